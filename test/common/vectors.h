/*
 * Known answers: Wycheproof's JSON files, and literal hex for the vectors of RFCs and BIPs.
 *
 * What: iterates over the tests of wycheproof/<file> under $QUORATE_VECTORS (default
 *       ../shared/vectors, as seen from the repository's root) and counts what was checked.
 * Why: the files are data of another project and are not committed. A run without them must say so,
 *       and where they were promised (the variable is set) it must fail.
 * Rules: a case counts when the product's answer was compared, not when it was read. vec_close
 *       prints `vectors: wycheproof/<file> <count>`, which test/run adds up.
 */
#ifndef QR_TEST_VECTORS_H
#define QR_TEST_VECTORS_H

#include "protocol/base/view.h"

#include <jansson.h>

struct vec {
    const char *file;
    json_t *root; /* NULL: the file is not there */
    size_t next_group, next_test;
    json_t *group; /* of the current test */
    json_t *test;
    size_t count;
    void *scratch[64]; /* decoded hex of the current test */
    size_t n_scratch;
};

/* Fails the test if the file is there but is not what it should be, or promised but missing. */
void vec_open(struct vec *v, const char *file);
/* Moves to the next test; 0 at the end. Frees what vec_hex gave for the last one. */
int vec_next(struct vec *v);
/* Prints the count; fails the test if it is 0 though QUORATE_VECTORS is set. */
void vec_close(struct vec *v);
/* Compares the answer of the product for the current test with the verdict; counts. */
void vec_expect(struct vec *v, int accepted);
/* Fails with file, test id and comment unless ok. */
void vec_require(struct vec *v, int ok, const char *what);

const char *vec_str(struct vec *v, json_t *object, const char *key);
/* Hex member as bytes, valid until vec_next. */
qr_view vec_hex(struct vec *v, json_t *object, const char *key);
/* 1 if the current test carries the flag. */
int vec_has_flag(struct vec *v, const char *flag);
/* "valid", "invalid" or "acceptable". */
const char *vec_result(struct vec *v);

/* Hex literal (spaces allowed) to exactly n bytes; fails the test otherwise. */
void hex_bytes(const char *hex, uint8_t *out, size_t n);
/* Literal of unknown length; returns it. */
size_t hex_any(const char *hex, uint8_t *out, size_t cap);
/* Fails the test, showing both, unless got equals the literal. */
void expect_hex(const uint8_t *got, size_t n, const char *hex);
/* Prints `vectors: <name> <count>` for vectors typed in by hand. */
void vectors_ran(const char *name, size_t count);

#endif
