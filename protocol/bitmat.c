/*
 * Written with the compilers' vector extension: the same code becomes SSE2, AVX2 or NEON. The fold
 * is compiled twice on x86-64, and the AVX2 copy is chosen at run time.
 */
#include "protocol/bitmat.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are loaded as words");

/* Element-wise vectors over bytes that other code wrote; `may_alias` makes that defined. */
typedef uint64_t v2 __attribute__((vector_size(16), may_alias));
typedef uint64_t v4 __attribute__((vector_size(32)));
typedef uint64_t v4u __attribute__((vector_size(32), aligned(1), may_alias));

/* Inlined into each caller, so that it is compiled for the caller's instruction set. */
#define TEMPLATE static inline __attribute__((always_inline))

/*
 * One level of the recursive transposition: in every 2s x 2s square, swap the upper right s x s
 * quarter with the lower left one. s = 1..32 stays inside the 64-bit words of a row.
 */
TEMPLATE void
swap_quarters(v2 *r, unsigned s)
{
    uint64_t low = ~(uint64_t)0 / (((uint64_t)1 << s) + 1); /* the low s of every 2s bits */

    for (unsigned i = 0; i < 128; i += 2 * s) {
        for (unsigned k = i; k < i + s; k++) {
            v2 t = ((r[k] >> s) ^ r[k + s]) & low;
            r[k + s] ^= t;
            r[k] ^= t << s;
        }
    }
}

static void
transpose_block(v2 *r)
{
    for (unsigned k = 0; k < 64; k++) {
        v2 a = r[k], b = r[k + 64];
        r[k] = (v2){a[0], b[0]};
        r[k + 64] = (v2){a[1], b[1]};
    }
    swap_quarters(r, 32);
    swap_quarters(r, 16);
    swap_quarters(r, 8);
    swap_quarters(r, 4);
    swap_quarters(r, 2);
    swap_quarters(r, 1);
}

void
qr_bitmat_transpose(uint8_t *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        transpose_block((v2 *)(void *)(blocks + i * QR_BITMAT_BLOCK));
}

/* Of eight vectors: their total, and their sums over index bits 0, 1, 2 added to s0, s1, s2. */
#define FOLD8(total, s0, s1, s2, r)                                                                \
    do {                                                                                           \
        v4 a_ = (r)[0] ^ (r)[1], b_ = (r)[2] ^ (r)[3];                                             \
        v4 c_ = (r)[4] ^ (r)[5], d_ = (r)[6] ^ (r)[7];                                             \
        v4 odd_ = (r)[1] ^ (r)[3], odd2_ = (r)[5] ^ (r)[7];                                        \
        (s0) ^= odd_ ^ odd2_;                                                                      \
        (s1) ^= b_ ^ d_;                                                                           \
        c_ ^= d_;                                                                                  \
        (s2) ^= c_;                                                                                \
        (total) = a_ ^ b_ ^ c_;                                                                    \
    } while (0)

/* out = add ^ both halves of v. */
TEMPLATE void
put_halves(uint8_t *out, const uint8_t *add, const v4 *v)
{
    v2 half[2], x;

    memcpy(half, v, 32);
    memcpy(&x, add, 16);
    x ^= half[0] ^ half[1];
    memcpy(out, &x, 16);
}

/*
 * A 32-byte vector holds leaves 2i and 2i + 1, so vectors are indexed by leaf bits 1..7 and bit 0
 * is the half within the vector. 128 vectors -> 16 totals (bits 1-3) -> 2 (bits 4-6) -> bit 7.
 */
TEMPLATE void
fold(uint8_t sum[static 144], const uint8_t add[static 144], const uint8_t leaf[static 4096])
{
    const v4u *r = (const v4u *)(const void *)leaf;
    v4 zero = {0}, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7;
    v4 t[16], total;

    for (unsigned i = 0; i < 16; i++)
        FOLD8(t[i], s1, s2, s3, r + 8 * i);
    FOLD8(total, s4, s5, s6, t);
    FOLD8(s7, s4, s5, s6, t + 8);
    total ^= s7;
    put_halves(sum + 16, add + 16, &s1);
    put_halves(sum + 32, add + 32, &s2);
    put_halves(sum + 48, add + 48, &s3);
    put_halves(sum + 64, add + 64, &s4);
    put_halves(sum + 80, add + 80, &s5);
    put_halves(sum + 96, add + 96, &s6);
    put_halves(sum + 112, add + 112, &s7);
    put_halves(sum + 128, add + 128, &total);
    /* Bit 0: the upper halves alone. */
    memcpy(&zero, &total, 32);
    zero[0] = zero[1] = 0;
    put_halves(sum, add, &zero);
}

TEMPLATE void
add_each(uint8_t *out, const uint8_t *in, const uint8_t c[static 16], size_t n)
{
    v4u *o = (v4u *)(void *)out;
    const v4u *p = (const v4u *)(const void *)in;
    uint64_t w[2];
    v4 cc;

    memcpy(w, c, 16);
    cc = (v4){w[0], w[1], w[0], w[1]};
    for (size_t i = 0; i < n / 2; i += 4) {
        o[i] = p[i] ^ cc;
        o[i + 1] = p[i + 1] ^ cc;
        o[i + 2] = p[i + 2] ^ cc;
        o[i + 3] = p[i + 3] ^ cc;
    }
}

void
qr_bitmat_fold_portable(uint8_t sum[static 144], const uint8_t add[static 144],
                        const uint8_t leaf[static 4096])
{
    fold(sum, add, leaf);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static void
fold_avx2(uint8_t sum[static 144], const uint8_t add[static 144], const uint8_t leaf[static 4096])
{
    fold(sum, add, leaf);
}

__attribute__((target("avx2"))) static void
add_each_avx2(uint8_t *out, const uint8_t *in, const uint8_t c[static 16], size_t n)
{
    add_each(out, in, c, n);
}

static int
have_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

#endif

void
qr_bitmat_fold(uint8_t sum[static 144], const uint8_t add[static 144],
               const uint8_t leaf[static 4096])
{
#if defined(__x86_64__)
    if (have_avx2()) {
        fold_avx2(sum, add, leaf);
        return;
    }
#endif
    fold(sum, add, leaf);
}

void
qr_bitmat_add_each(uint8_t *out, const uint8_t *in, const uint8_t c[static 16], size_t n)
{
#if defined(__x86_64__)
    if (have_avx2()) {
        add_each_avx2(out, in, c, n);
        return;
    }
#endif
    add_each(out, in, c, n);
}
