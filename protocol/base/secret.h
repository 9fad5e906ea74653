/*
 * Secret types: distinct structs with no implicit way to a public type.
 *
 * What: 32-byte and 16-byte secrets, wiping of locals, constant-time equality.
 * Why: a secret that is a struct cannot be printed, compared with memcmp or used as an index by
 *      accident; `qr_declassify_*(x, "why")` is the only door out and is found by grep.
 * Constant time: everything here. The scalar type qr_fq (protocol/fq.h) follows the same rules.
 */
#ifndef QR_SECRET_H
#define QR_SECRET_H

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

struct qr_sec32 {
    uint8_t b[32];
};

struct qr_sec16 {
    uint8_t b[16];
};

static inline void
qr_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

/* 1 if equal, 0 if not; time depends on n only. */
static inline int
qr_sec_eq(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

/*
 * A verdict on a secret that everybody may learn, as 0 or 1: whoever branches on it says why. A
 * function of its own file, so that no compiler joins the branch to the computation of the bit.
 */
int qr_declassify_bit(uint64_t bit, const char *why);

static inline const uint8_t *
qr_declassify_sec32(const struct qr_sec32 *s, const char *why)
{
    (void)why;
    return s->b;
}

/* For locals: struct qr_sec32 k QR_WIPE(qr_sec32);  — wiped at the end of the scope. */
static inline void
qr_wipe_qr_sec32(struct qr_sec32 *p)
{
    qr_wipe(p, sizeof *p);
}

static inline void
qr_wipe_qr_sec16(struct qr_sec16 *p)
{
    qr_wipe(p, sizeof *p);
}

#define QR_WIPE(type) __attribute__((cleanup(qr_wipe_##type)))

#endif
