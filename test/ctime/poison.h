/*
 * Poisoned memory: bytes that a tool watches, so that a branch or an address made of them is reported.
 *
 * What: marking memory secret and public again, over valgrind's memcheck or, in a build with
 *       -fsanitize=memory, over MSan. Without a tool everything here does nothing, so that the same
 *       program can be run for its coverage.
 * How a call into another library is made: hold() its inputs (they become public, what they were is
 *       kept), call, release() them (they are again what they were), then mark what came out.
 * Rules: one thread; holds are released in the opposite order.
 */
#ifndef TEST_CTIME_POISON_H
#define TEST_CTIME_POISON_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/rng.h"

/* 1 if a tool is there that reports; 0 natively. */
int poison_watched(void);

void poison_secret(void *p, size_t n);
void poison_public(const void *p, size_t n);
/* 1 if any bit of it is secret. */
int poison_is_secret(const void *p, size_t n);
/* 1 if each byte of it is secret in some bit. */
int poison_is_all_secret(const void *p, size_t n);
/* Reports, as a branch would be, if any of it is secret: for functions that vary in time. */
void poison_must_be_public(const void *p, size_t n);

struct hold {
    const void *p;
    size_t n;
    uint8_t *bits; /* NULL: nothing of it was secret */
};

/* Makes n bytes public; 1 if any was secret. p may be NULL. */
int poison_hold(struct hold *h, const void *p, size_t n);
void poison_release(struct hold *h);
/* What a call wrote: secret or public. */
void poison_output(void *p, size_t n, int secret);

/*
 * One library function's calls, counted; printed at the end as `boundary NAME CALLS`. A static one in
 * each wrapper.
 */
struct crossing {
    const char *name;
    unsigned long calls;
    struct crossing *next;
};
void poison_crossed(struct crossing *c);
void poison_print_crossings(void);

/*
 * Draws made through this are secret, but for lengths of `public_len` bytes (0: none): salts, chain
 * code parts and nonces, which the protocol publishes. `real` must outlive it.
 */
struct poison_rng {
    const struct qr_rng *real;
    size_t public_len;
};
struct qr_rng poison_rng_of(struct poison_rng *r);

#endif
