/*
 * Eight rows at a time with AVX-512 IFMA, whose multiply-add takes 52-bit limbs: the low or the
 * high 52 bits of eight 104-bit products are added to eight 64-bit lanes.
 *
 * A number is five limbs of 52 bits, limb k of row j in lane j of l[k]. "Tight" limbs are below
 * 2^52, and the top one holds what is left; only tight limbs may be multiplied. Sums are kept loose
 * in their lanes; the bound of every lane stands where it matters.
 *
 * There is no branch and no address here that depends on a number.
 */
#include "protocol/rows.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Arrays of vectors live in registers only where loops over them are unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define IFMA __attribute__((target("avx512f,avx512bw,avx512ifma")))
#define TEMPLATE static inline __attribute__((always_inline)) IFMA

__extension__ typedef unsigned __int128 u128;
typedef __m512i v8;

#define LIMBS 5
#define LIMB_MASK ((UINT64_C(1) << 52) - 1)
#define TOP_BITS 48 /* of the fifth limb, in a number below 2^256 */
#define BELOW_TOP ((UINT64_C(1) << TOP_BITS) - 1)

/* 2^256 - q, 2^260 mod q = 16 * (2^256 - q), and 2q, in 52-bit limbs. */
static const uint64_t c_limb[3] = {0xda1732fc9bebf, 0x1950b75fc4402, 0x1455123};
static const uint64_t d_limb[3] = {0xa1732fc9bebf0, 0x950b75fc4402d, 0x14551231};
static const uint64_t q2_limb[LIMBS] = {0x4bd19a06c8282, 0xcd5e9140777fa, 0xffffffd755db9,
                                        0xfffffffffffff, 0x1ffffffffffff};

struct n8 {
    v8 l[LIMBS];
};

/* A product or a sum of products: column k has weight 2^(52k). */
struct p8 {
    v8 c[2 * LIMBS];
};

TEMPLATE v8
all(uint64_t v)
{
    return _mm512_set1_epi64((long long)v);
}

TEMPLATE v8
swap_bytes(v8 v)
{
    const v8 order =
        _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    return _mm512_shuffle_epi8(v, order);
}

/* 32 bytes at p and 32 at p + 2 * stride, side by side. */
TEMPLATE v8
load_two(const uint8_t *p, size_t stride)
{
    const __m256i a = _mm256_loadu_si256((const void *)p);
    const __m256i b = _mm256_loadu_si256((const void *)(p + 2 * stride));
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}

/* w[k] = 64-bit word k of the eight numbers. */
TEMPLATE void
load_words(v8 w[4], const uint8_t *p, size_t stride)
{
    const v8 a = load_two(p, stride), b = load_two(p + stride, stride);
    const v8 c = load_two(p + 4 * stride, stride), d = load_two(p + 5 * stride, stride);
    const v8 ab02 = _mm512_unpacklo_epi64(a, b), ab13 = _mm512_unpackhi_epi64(a, b);
    const v8 cd02 = _mm512_unpacklo_epi64(c, d), cd13 = _mm512_unpackhi_epi64(c, d);

    w[0] = _mm512_shuffle_i64x2(ab02, cd02, 0x88);
    w[1] = _mm512_shuffle_i64x2(ab13, cd13, 0x88);
    w[2] = _mm512_shuffle_i64x2(ab02, cd02, 0xdd);
    w[3] = _mm512_shuffle_i64x2(ab13, cd13, 0xdd);
}

/* Words, w0 the lowest, to tight limbs. */
TEMPLATE void
split(struct n8 *ret, v8 w0, v8 w1, v8 w2, v8 w3)
{
    const v8 m = all(LIMB_MASK);

    ret->l[0] = _mm512_and_si512(w0, m);
    ret->l[1] =
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w0, 52), _mm512_slli_epi64(w1, 12)), m);
    ret->l[2] =
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w1, 40), _mm512_slli_epi64(w2, 24)), m);
    ret->l[3] =
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w2, 28), _mm512_slli_epi64(w3, 36)), m);
    ret->l[4] = _mm512_srli_epi64(w3, 16);
}

/* Eight big-endian numbers; eight scalars, in little-endian words; one scalar eight times. */
TEMPLATE void
load_numbers(struct n8 *ret, const uint8_t *p, size_t stride)
{
    v8 w[4];

    load_words(w, p, stride);
    split(ret, swap_bytes(w[3]), swap_bytes(w[2]), swap_bytes(w[1]), swap_bytes(w[0]));
}

TEMPLATE void
load_scalars(struct n8 *ret, const qr_fq *g)
{
    v8 w[4];

    load_words(w, (const uint8_t *)g, sizeof *g);
    split(ret, w[0], w[1], w[2], w[3]);
}

TEMPLATE void
load_same(struct n8 *ret, const qr_fq *a)
{
    split(ret, all(a->d[0]), all(a->d[1]), all(a->d[2]), all(a->d[3]));
}

/* Tight limbs of numbers below 2^256 to eight big-endian numbers. */
TEMPLATE void
store_numbers(uint8_t *p, size_t stride, const struct n8 *a)
{
    const v8 *l = a->l;
    const v8 w0 = swap_bytes(_mm512_or_si512(l[0], _mm512_slli_epi64(l[1], 52)));
    const v8 w1 =
        swap_bytes(_mm512_or_si512(_mm512_srli_epi64(l[1], 12), _mm512_slli_epi64(l[2], 40)));
    const v8 w2 =
        swap_bytes(_mm512_or_si512(_mm512_srli_epi64(l[2], 24), _mm512_slli_epi64(l[3], 28)));
    const v8 w3 =
        swap_bytes(_mm512_or_si512(_mm512_srli_epi64(l[3], 36), _mm512_slli_epi64(l[4], 16)));
    /* Lane k of 128 bits: the upper or lower half of row 2k, or of row 2k + 1. */
    const v8 even_high = _mm512_unpacklo_epi64(w3, w2), even_low = _mm512_unpacklo_epi64(w1, w0);
    const v8 odd_high = _mm512_unpackhi_epi64(w3, w2), odd_low = _mm512_unpackhi_epi64(w1, w0);

#define STORE_PAIR(k)                                                                              \
    _mm_storeu_si128((void *)(p + 2 * (k)*stride), _mm512_extracti32x4_epi32(even_high, k));       \
    _mm_storeu_si128((void *)(p + 2 * (k)*stride + 16), _mm512_extracti32x4_epi32(even_low, k));   \
    _mm_storeu_si128((void *)(p + (2 * (k) + 1) * stride),                                         \
                     _mm512_extracti32x4_epi32(odd_high, k));                                      \
    _mm_storeu_si128((void *)(p + (2 * (k) + 1) * stride + 16),                                    \
                     _mm512_extracti32x4_epi32(odd_low, k))
    STORE_PAIR(0);
    STORE_PAIR(1);
    STORE_PAIR(2);
    STORE_PAIR(3);
#undef STORE_PAIR
}

/* acc[k] += a * b for a of n limbs and b of m limbs, all tight: at most 2 * 2^52 a product. */
TEMPLATE void
multiply(v8 *acc, const v8 *a, int n, const v8 *b, int m)
{
    UNROLL for (int i = 0; i < n; i++)
    {
        UNROLL for (int k = 0; k < m; k++)
        {
            acc[i + k] = _mm512_madd52lo_epu64(acc[i + k], a[i], b[k]);
            acc[i + k + 1] = _mm512_madd52hi_epu64(acc[i + k + 1], a[i], b[k]);
        }
    }
}

/* Makes limbs 0..n-2 tight; lanes are signed, the number they make is not negative. */
TEMPLATE void
carry(v8 *l, int n)
{
    UNROLL for (int k = 0; k + 1 < n; k++)
    {
        l[k + 1] = _mm512_add_epi64(l[k + 1], _mm512_srai_epi64(l[k], 52));
        l[k] = _mm512_and_si512(l[k], all(LIMB_MASK));
    }
}

/* What stands above 2^256 (less than 2^6) is taken off and, times c, put back in at the bottom. */
TEMPLATE void
fold_top(struct n8 *a)
{
    const v8 top = _mm512_srli_epi64(a->l[4], TOP_BITS);
    const v8 c[3] = {all(c_limb[0]), all(c_limb[1]), all(c_limb[2])};

    a->l[4] = _mm512_and_si512(a->l[4], all(BELOW_TOP));
    multiply(a->l, &top, 1, c, 3);
    carry(a->l, LIMBS);
}

/*
 * Tight limbs of a number below 2q to the same below q: adding c = 2^256 - q reaches 2^256 exactly
 * if the number is q or more, and then the rest is what is wanted.
 */
TEMPLATE void
subtract_q_once(struct n8 *a)
{
    struct n8 t = *a;

    UNROLL for (int k = 0; k < 3; k++) t.l[k] = _mm512_add_epi64(t.l[k], all(c_limb[k]));
    carry(t.l, LIMBS);
    const __mmask8 reached = _mm512_test_epi64_mask(t.l[4], all(~BELOW_TOP));
    t.l[4] = _mm512_and_si512(t.l[4], all(BELOW_TOP));
    UNROLL for (int k = 0; k < LIMBS; k++) a->l[k] =
        _mm512_mask_mov_epi64(a->l[k], reached, t.l[k]);
}

/* Columns below 2^58 of a sum below 2^514 to a number below q. */
TEMPLATE void
reduce(struct n8 *ret, struct p8 *p)
{
    const v8 d[3] = {all(d_limb[0]), all(d_limb[1]), all(d_limb[2])};
    const v8 zero = _mm512_setzero_si512();
    v8 r[2 * LIMBS - 2];

    carry(p->c, 2 * LIMBS);
    /* < 2^260 + 2^254 * 2^132.4, so eight limbs, the last below 2^23. */
    UNROLL for (int k = 0; k < LIMBS; k++) r[k] = p->c[k];
    r[5] = r[6] = r[7] = zero;
    multiply(r, p->c + LIMBS, LIMBS, d, 3);
    carry(r, 8);
    /* < 2^260 + 2^127 * 2^132.4 < 2^261 in five limbs: r[7] * d[2] < 2^52 leaves s[5] zero. */
    v8 s[6] = {r[0], r[1], r[2], r[3], r[4], zero};
    multiply(s, r + LIMBS, 3, d, 3);
    carry(s, LIMBS);
    UNROLL for (int k = 0; k < LIMBS; k++) ret->l[k] = s[k];
    fold_top(ret); /* < 2^256 + 2^6 * 2^129 */
    subtract_q_once(ret);
}

IFMA static void
diff(uint8_t *out, const uint8_t *x, const uint8_t *y, const qr_fq *a, size_t n)
{
    struct n8 base, u, v;

    load_same(&base, a);
    UNROLL for (int k = 0; k < LIMBS; k++) base.l[k] = _mm512_add_epi64(base.l[k], all(q2_limb[k]));
    for (size_t at = 0; at < n * QR_ROW_LEN; at += 8 * QR_ROW_LEN) {
        load_numbers(&u, x + at, QR_ROW_LEN);
        load_numbers(&v, y + at, QR_ROW_LEN);
        /* x - y + a + 2q: positive, below 2^256 + 3q. */
        UNROLL for (int k = 0; k < LIMBS; k++) u.l[k] =
            _mm512_sub_epi64(_mm512_add_epi64(u.l[k], base.l[k]), v.l[k]);
        carry(u.l, LIMBS);
        fold_top(&u);
        subtract_q_once(&u);
        store_numbers(out + at, QR_ROW_LEN, &u);
    }
}

IFMA static void
cadd(uint8_t *x, const uint8_t *y, const uint8_t *bits, size_t n)
{
    struct n8 u, v;

    for (size_t j = 0; j < n; j += 8, x += 8 * QR_ROW_LEN, y += 8 * QR_ROW_LEN) {
        const __mmask8 bit = bits[j / 8];
        for (size_t i = 0; i < QR_ROW_LEN; i += 32) {
            load_numbers(&u, x + i, QR_ROW_LEN);
            load_numbers(&v, y + i, QR_ROW_LEN);
            UNROLL for (int k = 0; k < LIMBS; k++) u.l[k] =
                _mm512_mask_add_epi64(u.l[k], bit, u.l[k], v.l[k]);
            carry(u.l, LIMBS);
            /* y < q, so that x + y - 2^256 + c < 2^256. */
            fold_top(&u);
            store_numbers(x + i, QR_ROW_LEN, &u);
        }
    }
}

IFMA static void
dot(qr_fq *ret, const qr_fq *g, const uint8_t *x, size_t n)
{
    struct p8 sum;
    struct n8 u, v;
    qr_fq_acc acc QR_WIPE(qr_fq_acc);
    uint64_t lane[8];
    u128 t = 0;

    UNROLL for (int k = 0; k < 2 * LIMBS; k++) sum.c[k] = _mm512_setzero_si512();
    /* A product adds at most 10 * 2^52 to a column, so 128 of them stay below 2^63. */
    for (size_t j = 0; j < n; j += 8) {
        load_scalars(&u, g + j);
        load_numbers(&v, x + QR_ROW_LEN * j, QR_ROW_LEN);
        multiply(sum.c, u.l, LIMBS, v.l, LIMBS);
    }
    /* Lanes together, then 52-bit columns to 64-bit limbs. */
    qr_fq_acc_zero(&acc);
    for (unsigned k = 0; k < 2 * LIMBS; k++) {
        _mm512_storeu_si512(lane, sum.c[k]);
        for (int i = 0; i < 8; i++)
            t += lane[i];
        const unsigned at = 52 * k / 64, shift = 52 * k % 64;
        const uint64_t limb = (uint64_t)t & LIMB_MASK;
        acc.d[at] |= limb << shift;
        if (shift > 12)
            acc.d[at + 1] |= limb >> (64 - shift);
        t >>= 52;
    }
    /* 520 bits are placed; the rest is what 1,024 products exceed them by. */
    acc.d[8] |= (uint64_t)t << 8;
    qr_fq_acc_reduce(ret, &acc);
    qr_wipe(lane, sizeof lane);
}

IFMA static void
combine(uint8_t *out, const uint8_t *x, const qr_fq theta[static 2], const qr_fq *add,
        const uint8_t *bits, size_t n)
{
    struct n8 t0, t1, plus, u;
    struct p8 p;

    load_same(&t0, &theta[0]);
    load_same(&t1, &theta[1]);
    load_same(&plus, add);
    for (size_t j = 0; j < n; j += 8, x += 8 * QR_ROW_LEN) {
        load_numbers(&u, x + 64, QR_ROW_LEN);
        UNROLL for (int k = 0; k < LIMBS; k++)
        {
            p.c[k] = _mm512_mask_add_epi64(u.l[k], bits[j / 8], u.l[k], plus.l[k]);
            p.c[LIMBS + k] = _mm512_setzero_si512();
        }
        load_numbers(&u, x, QR_ROW_LEN);
        multiply(p.c, t0.l, LIMBS, u.l, LIMBS);
        load_numbers(&u, x + 32, QR_ROW_LEN);
        multiply(p.c, t1.l, LIMBS, u.l, LIMBS);
        reduce(&u, &p);
        store_numbers(out + 32 * j, 32, &u);
    }
}

const struct qr_rows qr_rows_ifma = {"avx512-ifma", diff, cadd, dot, combine};

#endif
