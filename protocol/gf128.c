/*
 * Products are summed unreduced (a 255-bit polynomial in four words) and reduced once, by shifts.
 * Little-endian machines only: a block's first byte holds its lowest coefficients.
 */
#include "protocol/gf128.h"

#include "protocol/base/cpu.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blocks are loaded as words");

/* ret = last ^ (p mod x^128 + x^7 + x^2 + x + 1). */
static void
reduce_add(uint8_t ret[static 16], const uint64_t p[4], const uint8_t last[static 16])
{
    uint64_t r[2], w;

    memcpy(r, last, 16);
    /* x^128 = x^7 + x^2 + x + 1: word 3 lands on words 1 and 2, then word 2 on 0 and 1. */
    w = p[2] ^ (p[3] >> 63) ^ (p[3] >> 62) ^ (p[3] >> 57);
    r[1] ^= p[1] ^ p[3] ^ (p[3] << 1) ^ (p[3] << 2) ^ (p[3] << 7);
    r[1] ^= (w >> 63) ^ (w >> 62) ^ (w >> 57);
    r[0] ^= p[0] ^ w ^ (w << 1) ^ (w << 2) ^ (w << 7);
    memcpy(ret, r, 16);
}

/* Four partial products, summed over all terms, put together. */
static void
finish(uint8_t ret[static 16], const uint64_t lo[2], const uint64_t mid[2], const uint64_t hi[2],
       const uint8_t last[static 16])
{
    const uint64_t p[4] = {lo[0], lo[1] ^ mid[0], hi[0] ^ mid[1], hi[1]};
    reduce_add(ret, p, last);
}

/*
 * Carry-less 32 x 32 -> 64 by integer multiplications: with only every fourth bit set, at most
 * eight terms meet in a column, so carries stay inside the three empty bits above it.
 */
static uint64_t
clmul32(uint32_t a, uint32_t b)
{
    const uint64_t m = 0x1111111111111111u;
    uint64_t x[4], y[4], z, ret = 0;

    for (unsigned i = 0; i < 4; i++) {
        x[i] = a & (m << i);
        y[i] = b & (m << i);
    }
    for (unsigned i = 0; i < 4; i++) {
        z = 0;
        for (unsigned k = 0; k < 4; k++)
            z ^= x[k] * y[(i - k) % 4];
        ret |= z & (m << i);
    }
    return ret;
}

/* r ^= a * b, 64 x 64 -> 128, one Karatsuba step. */
static void
clmul64_add(uint64_t r[2], uint64_t a, uint64_t b)
{
    uint64_t lo = clmul32((uint32_t)a, (uint32_t)b);
    uint64_t hi = clmul32((uint32_t)(a >> 32), (uint32_t)(b >> 32));
    uint64_t mid = clmul32((uint32_t)(a ^ (a >> 32)), (uint32_t)(b ^ (b >> 32))) ^ lo ^ hi;

    r[0] ^= lo ^ (mid << 32);
    r[1] ^= hi ^ (mid >> 32);
}

void
qr_gf128_combine_portable(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x,
                          size_t stride, size_t m, const uint8_t last[static 16])
{
    uint64_t lo[2] = {0, 0}, mid[2] = {0, 0}, hi[2] = {0, 0}, a[2], b[2];

    for (size_t k = 0; k < m; k++) {
        memcpy(a, chi + 16 * k, 16);
        memcpy(b, x + stride * k, 16);
        clmul64_add(lo, a[0], b[0]);
        clmul64_add(hi, a[1], b[1]);
        clmul64_add(mid, a[0] ^ a[1], b[0] ^ b[1]);
    }
    mid[0] ^= lo[0] ^ hi[0];
    mid[1] ^= lo[1] ^ hi[1];
    finish(ret, lo, mid, hi, last);
}

#if defined(__x86_64__)

#include <immintrin.h>

__attribute__((target("pclmul"))) static void
combine_clmul(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x, size_t stride, size_t m,
              const uint8_t last[static 16])
{
    __m128i lo = _mm_setzero_si128(), hi = lo, mid = lo, mid2 = lo;
    uint64_t l[2], h[2], c[2];

    for (size_t k = 0; k < m; k++) {
        __m128i a = _mm_loadu_si128((const void *)(chi + 16 * k));
        __m128i b = _mm_loadu_si128((const void *)(x + stride * k));
        lo = _mm_xor_si128(lo, _mm_clmulepi64_si128(a, b, 0x00));
        hi = _mm_xor_si128(hi, _mm_clmulepi64_si128(a, b, 0x11));
        mid = _mm_xor_si128(mid, _mm_clmulepi64_si128(a, b, 0x01));
        mid2 = _mm_xor_si128(mid2, _mm_clmulepi64_si128(a, b, 0x10));
    }
    _mm_storeu_si128((void *)l, lo);
    _mm_storeu_si128((void *)h, hi);
    _mm_storeu_si128((void *)c, _mm_xor_si128(mid, mid2));
    finish(ret, l, c, h, last);
}

#elif defined(__aarch64__)

#include <arm_neon.h>

/*
 * Lower or upper halves multiplied. In assembler, because compilers differ in how they let one
 * function use an extension that the rest of the program may not.
 */
#define PMULL(op, lanes, r, a, b)                                                                  \
    __asm__(".arch_extension aes\n\t" op " %0.1q, %1." lanes ", %2." lanes                         \
            : "=w"(r)                                                                              \
            : "w"(a), "w"(b))

static void
combine_clmul(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x, size_t stride, size_t m,
              const uint8_t last[static 16])
{
    uint64x2_t lo = vdupq_n_u64(0), hi = lo, mid = lo, a, b, p;
    uint64_t l[2], h[2], c[2];

    for (size_t k = 0; k < m; k++) {
        memcpy(&a, chi + 16 * k, 16);
        memcpy(&b, x + stride * k, 16);
        PMULL("pmull", "1d", p, a, b);
        lo = veorq_u64(lo, p);
        PMULL("pmull2", "2d", p, a, b);
        hi = veorq_u64(hi, p);
        b = vextq_u64(b, b, 1);
        PMULL("pmull", "1d", p, a, b);
        mid = veorq_u64(mid, p);
        PMULL("pmull2", "2d", p, a, b);
        mid = veorq_u64(mid, p);
    }
    memcpy(l, &lo, 16);
    memcpy(h, &hi, 16);
    memcpy(c, &mid, 16);
    finish(ret, l, c, h, last);
}

#endif

void
qr_gf128_combine(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x, size_t stride,
                 size_t m, const uint8_t last[static 16])
{
#if defined(__x86_64__) || defined(__aarch64__)
    if (qr_cpu_clmul()) {
        combine_clmul(ret, chi, x, stride, m, last);
        return;
    }
#endif
    qr_gf128_combine_portable(ret, chi, x, stride, m, last);
}
