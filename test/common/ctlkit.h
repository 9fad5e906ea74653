/*
 * ctlkit: a command of `quorate`, run in this process.
 *
 * What: words in, exit code, stdout and stderr out; files in the test's own folder.
 * Rules: for cmocka tests that are linked with the command line's objects (test_ctl_*); what cannot
 *        be done fails the running test. ctl_home is made and removed by the test.
 */
#ifndef TEST_CTLKIT_H
#define TEST_CTLKIT_H

#include <stddef.h>

extern char ctl_home[64];
extern char ctl_out[65536], ctl_err[16384]; /* of the last command */

/* Words are separated by blanks; "@" stands for the test's folder. Returns the exit code. */
int ctl_run(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last command's stderr holds this text. */
void ctl_says(const char *text);
/* Of a file in the folder; one of four static buffers. */
char *ctl_path(const char *name);
/* A whole file, by its path, as a string. */
void ctl_read(const char *path, char *to, size_t cap);
void ctl_write(const char *name, const void *p, size_t n);

#endif
