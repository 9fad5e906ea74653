/*
 * tmpdir: a folder of mode 0700 that a test makes and removes with all that is in it.
 *
 * Rules: for cmocka tests: what cannot be made fails the running test. One level of files only.
 */
#ifndef TEST_TMPDIR_H
#define TEST_TMPDIR_H

#include <stddef.h>
#include <stdint.h>

struct tmpdir {
    char path[64];
};

void tmpdir_new(struct tmpdir *d);
void tmpdir_remove(struct tmpdir *d);
/* "<dir>/<name>" in a buffer of the next call but three. */
const char *tmpdir_file(const struct tmpdir *d, const char *name);
/* Whole files. tmpdir_read returns the length and fails the test above cap. */
size_t tmpdir_read(const char *path, uint8_t *out, size_t cap);
void tmpdir_write(const char *path, const uint8_t *p, size_t n);

#endif
