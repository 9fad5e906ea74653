/*
 * Put before every source of a build with clang's MemorySanitizer (CONF=msan), so that it can follow
 * the instructions that valgrind does not know: AVX-512 IFMA, in protocol/rows_ifma.c.
 *
 * What: MSan follows a sum bit by bit and forgets carries. Here each 64-bit lane of a sum is secret as
 *       a whole if any bit of an operand is, and so are sum and carry of the scalar builtins, which it
 *       would otherwise report at once.
 * Limits: the product's empty asm statements, which MSan takes for uses of their operands, are left
 *       out, and a mask made of one secret bit (0 - bit) is public to MSan but for its lowest bit. So
 *       this build says something about rows_ifma.c; about the rest valgrind says more.
 */
#ifndef TEST_CTIME_MSAN_H
#define TEST_CTIME_MSAN_H

#if defined(__x86_64__) && defined(__clang__)

#include <immintrin.h>
#include <sanitizer/msan_interface.h>
#include <stdint.h>

static inline int
msan_any(const void *a, const void *b)
{
    return __msan_test_shadow(a, 8) >= 0 || __msan_test_shadow(b, 8) >= 0;
}

static inline unsigned char
msan_sum(unsigned char carry, uint64_t a, uint64_t b, unsigned long long *ret, int minus)
{
    int secret = msan_any(&a, &b) || __msan_test_shadow(&carry, 1) >= 0;
    uint64_t x = a, y = b;
    unsigned char c = carry;

    __msan_unpoison(&x, sizeof x);
    __msan_unpoison(&y, sizeof y);
    __msan_unpoison(&c, sizeof c);
    unsigned __int128 t = minus ? (unsigned __int128)x - y - c : (unsigned __int128)x + y + c;
    *ret = (unsigned long long)t;
    c = (unsigned char)((t >> 64) & 1);
    if (secret) {
        __msan_poison(ret, sizeof *ret);
        __msan_poison(&c, sizeof c);
    }
    return c;
}

#define _addcarry_u64(c, a, b, r) msan_sum(c, a, b, r, 0)
#define _subborrow_u64(c, a, b, r) msan_sum(c, a, b, r, 1)

__attribute__((target("avx512f"))) static inline __m512i
msan_lanes(__m512i v)
{
    uint64_t lane[8];

    _mm512_storeu_si512(lane, v);
    for (int i = 0; i < 8; i++)
        if (__msan_test_shadow(&lane[i], 8) >= 0)
            __msan_poison(&lane[i], 8);
    return _mm512_loadu_si512(lane);
}

/* A macro does not expand inside itself: these call the intrinsics of the same name. */
#define _mm512_add_epi64(a, b) msan_lanes(_mm512_add_epi64(a, b))
#define _mm512_sub_epi64(a, b) msan_lanes(_mm512_sub_epi64(a, b))
#define _mm512_mask_add_epi64(s, k, a, b) msan_lanes(_mm512_mask_add_epi64(s, k, a, b))
#define _mm512_madd52lo_epu64(s, a, b) msan_lanes(_mm512_madd52lo_epu64(s, a, b))
#define _mm512_madd52hi_epu64(s, a, b) msan_lanes(_mm512_madd52hi_epu64(s, a, b))

#endif

#define __asm__(...)

#endif
