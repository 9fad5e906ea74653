/*
 * transcript: the frozen files of test/vectors/transcripts, and the lines a run gives.
 *
 * What: reads a file into its inputs ("in." lines) and its outputs; collects the lines of a run in
 *       the same form; compares the two.
 * Format: "name value" a line; integers decimal, byte strings hexadecimal with "-" for the empty
 *         one; the files' headers say the rest, test/model/README.md how they come about.
 * Rules: for cmocka tests: a file that is missing or malformed fails the running test.
 */
#ifndef TEST_TRANSCRIPT_H
#define TEST_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#define TRANSCRIPT_LINES 2048

struct transcript_line {
    char name[40];
    char *value; /* into the file's text, so that a test can change it */
};

struct transcript {
    char text[256 * 1024];
    struct transcript_line in[TRANSCRIPT_LINES], out[TRANSCRIPT_LINES];
    size_t n_in, n_out;
};

/* The file of this name, without folder and ".txt". transcript_free takes NULL. */
struct transcript *transcript_load(const char *name);
void transcript_free(struct transcript *t);

/* The value of an input; the arguments make its name, without "in.". */
char *transcript_input(struct transcript *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
uint64_t transcript_number(const char *value);
/* At most cap bytes; returns how many. */
size_t transcript_bytes(const char *value, uint8_t *out, size_t cap);
void transcript_bytes32(const char *value, uint8_t out[static 32]);

/* One line of a run. */
struct transcript_put {
    char name[40], value[224];
};

struct transcript_run {
    struct transcript_put line[TRANSCRIPT_LINES];
    size_t n;
};

/* Adds a line without a value; the other functions give it one. */
struct transcript_put *transcript_add(struct transcript_run *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void transcript_put_hex(struct transcript_put *l, const void *p, size_t len);
void transcript_put_number(struct transcript_put *l, uint64_t v);
/* "<what> <SHA-256>" */
void transcript_put_digest(struct transcript_put *l, const char *what, const void *p, size_t len);

/*
 * The number of lines that differ, missing and additional ones included; *first (may be NULL) is
 * the name of the first. With `loud`, says what differs.
 */
size_t transcript_compare(const struct transcript_run *r, const struct transcript *t,
                          const char **first, int loud);

#endif
