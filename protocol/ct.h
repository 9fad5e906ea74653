/*
 * Constant-time masks and selections on secret bits.
 *
 * What: a secret bit becomes an all-zero or all-one word; bytes are added or chosen with it.
 * Why: the empty asm hides from the compiler that the word has only two values, so that it cannot
 *      turn a selection back into a branch.
 * Constant time: everything here.
 */
#ifndef QR_CT_H
#define QR_CT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* bit: 0 or 1; gives 0 or ~0. */
static inline uint64_t
qr_ct_mask(uint64_t bit)
{
    uint64_t m = 0 - bit;
    __asm__("" : "+r"(m));
    return m;
}

/* ~0 if a == b, else 0; both below 2^31. */
static inline uint64_t
qr_ct_mask_eq(uint32_t a, uint32_t b)
{
    return qr_ct_mask((((uint64_t)(a ^ b)) - 1) >> 63);
}

/* Bit j of a byte string, LSB first; j is public. */
static inline uint64_t
qr_ct_bit(const uint8_t *s, size_t j)
{
    return ((uint64_t)s[j / 8] >> (j % 8)) & 1;
}

/* ret ^= a & mask over n bytes, n a multiple of 8. */
static inline void
qr_ct_xor(uint8_t *ret, const uint8_t *a, size_t n, uint64_t mask)
{
    uint64_t x, y;

    for (size_t i = 0; i < n; i += 8) {
        memcpy(&x, ret + i, 8);
        memcpy(&y, a + i, 8);
        x ^= y & mask;
        memcpy(ret + i, &x, 8);
    }
}

/* ret = mask ? b : a over n bytes, n a multiple of 8; ret may be a or b. */
static inline void
qr_ct_select(uint8_t *ret, const uint8_t *a, const uint8_t *b, size_t n, uint64_t mask)
{
    uint64_t x, y;

    for (size_t i = 0; i < n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        x ^= (x ^ y) & mask;
        memcpy(ret + i, &x, 8);
    }
}

#endif
