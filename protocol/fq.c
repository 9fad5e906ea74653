/*
 * Arithmetic modulo q = 2^256 - c, c a 129-bit number, on four 64-bit limbs.
 *
 * Products are summed column by column. A column of the schoolbook has up to four 128-bit products;
 * its sum is a struct column: 128 bits and a count of the carries out of them, which compilers keep
 * in three registers and add with one add/adc/adc chain (measured against row-wise summation, which
 * gcc spills).
 *
 * Reduction folds what lies above 2^256 back in, times c: up to 545 bits become 419, then 293, then
 * one last fold and a conditional subtraction of q. The bounds stand at each step.
 *
 * Constant time: no branch and no index below depends on a value. Masks go through qr_ct_mask(), whose
 * empty asm keeps a compiler from turning the selection back into a branch.
 */
#include "protocol/fq.h"

#include "protocol/base/check.h"
#include "protocol/ct.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

__extension__ typedef unsigned __int128 u128;

const qr_fq qr_fq_zero = {{0, 0, 0, 0}};
const qr_fq qr_fq_one = {{1, 0, 0, 0}};

/* q, limb by limb. */
#define Q0 UINT64_C(0xbfd25e8cd0364141)
#define Q1 UINT64_C(0xbaaedce6af48a03b)
#define Q2 UINT64_C(0xfffffffffffffffe)
#define Q3 UINT64_C(0xffffffffffffffff)

/* c = 2^256 - q; its third limb is 1. */
#define C0 UINT64_C(0x402da1732fc9bebf)
#define C1 UINT64_C(0x4551231950b75fc4)

/* (q - 1) / 2. */
#define H0 UINT64_C(0xdfe92f46681b20a0)
#define H1 UINT64_C(0x5d576e7357a4501d)
#define H2 UINT64_C(0xffffffffffffffff)
#define H3 UINT64_C(0x7fffffffffffffff)

#ifdef QR_VERIFY_BUILD
/* The invariant of fq.h: below q. */
static int
reduced(const qr_fq *a)
{
    const uint64_t *d = a->d;

    if (d[3] != Q3 || d[2] != Q2) {
        return d[3] < Q3 || d[2] < Q2;
    }
    return d[1] != Q1 ? d[1] < Q1 : d[0] < Q0;
}
#endif

struct column {
    u128 s;
    uint64_t carries;
};

static inline void
column_add(struct column *k, u128 v)
{
    k->carries += __builtin_add_overflow(k->s, v, &k->s);
}

static inline void
column_mul(struct column *k, uint64_t a, uint64_t b)
{
    column_add(k, (u128)a * b);
}

/* The column's lowest limb; the rest moves down to become the next column's start. */
static inline uint64_t
column_next(struct column *k)
{
    uint64_t low = (uint64_t)k->s;
    k->s = k->s >> 64 | (u128)k->carries << 64;
    k->carries = 0;
    return low;
}

/* carry, borrow: 0 or 1, returned for the next limb. gcc makes adc chains of the builtins only. */
static inline uint64_t
add_carry(uint64_t *ret, uint64_t a, uint64_t b, uint64_t carry)
{
#if defined(__x86_64__)
    unsigned long long t;
    carry = _addcarry_u64((unsigned char)carry, a, b, &t);
    *ret = t;
    return carry;
#else
    u128 t = (u128)a + b + carry;
    *ret = (uint64_t)t;
    return (uint64_t)(t >> 64);
#endif
}

static inline uint64_t
sub_borrow(uint64_t *ret, uint64_t a, uint64_t b, uint64_t borrow)
{
#if defined(__x86_64__)
    unsigned long long t;
    borrow = _subborrow_u64((unsigned char)borrow, a, b, &t);
    *ret = t;
    return borrow;
#else
    u128 t = (u128)a - b - borrow;
    *ret = (uint64_t)t;
    return (uint64_t)(t >> 64) & 1;
#endif
}

/*
 * r + over * 2^256 < 2q goes to the number below q that it equals mod q. Adding c is subtracting q
 * modulo 2^256, and it carries out exactly when r >= q. The sum is made twice, first for its carry
 * alone: two chains of adds beat one and a selection, which gcc vectorises through memory.
 */
static inline void
subtract_q_once(qr_fq *ret, uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t over)
{
    uint64_t t, carry;
    carry = add_carry(&t, r0, C0, 0);
    carry = add_carry(&t, r1, C1, carry);
    carry = add_carry(&t, r2, 1, carry);
    carry = add_carry(&t, r3, 0, carry);
    const uint64_t m = qr_ct_mask(carry | over);
    carry = add_carry(&ret->d[0], r0, C0 & m, 0);
    carry = add_carry(&ret->d[1], r1, C1 & m, carry);
    carry = add_carry(&ret->d[2], r2, 1 & m, carry);
    ret->d[3] = r3 + carry;
}

/*
 * Any number d below 2^545, which holds 2^33 products. Limbs travel in registers, for arrays would
 * earn a stack protector. A product's two halves are added by separate chains of carries, which the
 * processor runs side by side.
 */
static inline void
reduce(qr_fq *ret, uint64_t d0, uint64_t d1, uint64_t d2, uint64_t d3, uint64_t d4, uint64_t d5,
       uint64_t d6, uint64_t d7, uint64_t d8)
{
    uint64_t d9 = 0, d10 = 0, h, k;
    u128 p0, p1, p2, p3, p4, t;

    /* m = d[0..3] + d[4..8] * c  < 2^256 + 2^289 * 2^129: seven limbs, in d0..d3, d8..d10. */
    const uint64_t a4 = d4, a5 = d5, a6 = d6, a7 = d7, a8 = d8;
    p0 = (u128)a4 * C0;
    p1 = (u128)a5 * C0;
    p2 = (u128)a6 * C0;
    p3 = (u128)a7 * C0;
    p4 = (u128)a8 * C0;
    k = add_carry(&d0, d0, (uint64_t)p0, 0);
    k = add_carry(&d1, d1, (uint64_t)p1, k);
    k = add_carry(&d2, d2, (uint64_t)p2, k);
    k = add_carry(&d3, d3, (uint64_t)p3, k);
    k = add_carry(&d8, (uint64_t)p4, 0, k);
    d9 = k;
    k = add_carry(&d1, d1, (uint64_t)(p0 >> 64), 0);
    k = add_carry(&d2, d2, (uint64_t)(p1 >> 64), k);
    k = add_carry(&d3, d3, (uint64_t)(p2 >> 64), k);
    k = add_carry(&d8, d8, (uint64_t)(p3 >> 64), k);
    d9 += (uint64_t)(p4 >> 64) + k;
    p0 = (u128)a4 * C1;
    p1 = (u128)a5 * C1;
    p2 = (u128)a6 * C1;
    p3 = (u128)a7 * C1;
    p4 = (u128)a8 * C1;
    k = add_carry(&d1, d1, (uint64_t)p0, 0);
    k = add_carry(&d2, d2, (uint64_t)p1, k);
    k = add_carry(&d3, d3, (uint64_t)p2, k);
    k = add_carry(&d8, d8, (uint64_t)p3, k);
    k = add_carry(&d9, d9, (uint64_t)p4, k);
    d10 = k;
    k = add_carry(&d2, d2, (uint64_t)(p0 >> 64), 0);
    k = add_carry(&d3, d3, (uint64_t)(p1 >> 64), k);
    k = add_carry(&d8, d8, (uint64_t)(p2 >> 64), k);
    k = add_carry(&d9, d9, (uint64_t)(p3 >> 64), k);
    d10 += (uint64_t)(p4 >> 64) + k;
    k = add_carry(&d2, d2, a4, 0);
    k = add_carry(&d3, d3, a5, k);
    k = add_carry(&d8, d8, a6, k);
    k = add_carry(&d9, d9, a7, k);
    d10 += a8 + k;

    /* m[0..3] + m[4..6] * c  < 2^256 + 2^163 * 2^129, so h < 2^37. */
    p0 = (u128)d8 * C0;
    p1 = (u128)d9 * C0;
    p2 = (u128)d10 * C0;
    p3 = (u128)d8 * C1;
    p4 = (u128)d9 * C1;
    t = (u128)d10 * C1;
    k = add_carry(&d0, d0, (uint64_t)p0, 0);
    k = add_carry(&d1, d1, (uint64_t)p1, k);
    k = add_carry(&d2, d2, (uint64_t)p2, k);
    k = add_carry(&d3, d3, (uint64_t)t, k);
    h = (uint64_t)(t >> 64) + k;
    k = add_carry(&d1, d1, (uint64_t)(p0 >> 64), 0);
    k = add_carry(&d2, d2, (uint64_t)(p1 >> 64), k);
    k = add_carry(&d3, d3, (uint64_t)(p2 >> 64), k);
    h += k;
    k = add_carry(&d1, d1, (uint64_t)p3, 0);
    k = add_carry(&d2, d2, (uint64_t)p4, k);
    k = add_carry(&d3, d3, (uint64_t)(p4 >> 64), k);
    h += k;
    k = add_carry(&d2, d2, (uint64_t)(p3 >> 64), 0);
    k = add_carry(&d3, d3, d9, k);
    h += d10 + k;
    k = add_carry(&d2, d2, d8, 0);
    k = add_carry(&d3, d3, 0, k);
    h += k;

    /* + h * c: below 2^256 + 2^166 < 2q. */
    t = (u128)h * C0;
    k = add_carry(&d0, d0, (uint64_t)t, 0);
    t = (u128)h * C1 + (uint64_t)(t >> 64);
    k = add_carry(&d1, d1, (uint64_t)t, k);
    k = add_carry(&d2, d2, h + (uint64_t)(t >> 64), k);
    k = add_carry(&d3, d3, 0, k);
    subtract_q_once(ret, d0, d1, d2, d3, k);
}

static inline uint64_t
load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

qr_err
qr_fq_parse(qr_fq *ret, const uint8_t in[static 32])
{
    uint64_t r[4], t, borrow;
    for (int i = 0; i < 4; i++) {
        r[i] = load(in + 24 - 8 * i);
    }
    borrow = sub_borrow(&t, r[0], Q0, 0);
    borrow = sub_borrow(&t, r[1], Q1, borrow);
    borrow = sub_borrow(&t, r[2], Q2, borrow);
    borrow = sub_borrow(&t, r[3], Q3, borrow);
    if (!qr_declassify_bit(borrow, "whether it is an encoding at all is public, see fq.h")) {
        return QR_ERR_SCALAR;
    }
    memcpy(ret->d, r, sizeof r);
    return QR_OK;
}

void
qr_fq_reduce32(qr_fq *ret, const uint8_t in[static 32])
{
    /* 2^256 < 2q, so one subtraction is enough. */
    subtract_q_once(ret, load(in + 24), load(in + 16), load(in + 8), load(in), 0);
}

void
qr_fq_reduce64(qr_fq *ret, const uint8_t in[static 64])
{
    reduce(ret, load(in + 56), load(in + 48), load(in + 40), load(in + 32), load(in + 24),
           load(in + 16), load(in + 8), load(in), 0);
}

void
qr_fq_put(uint8_t out[static 32], const qr_fq *a)
{
    QR_VERIFY(reduced(a));
    for (int i = 0; i < 4; i++) {
        qr_put64(out + 24 - 8 * i, a->d[i]);
    }
}

void
qr_fq_set_u64(qr_fq *ret, uint64_t v)
{
    *ret = (qr_fq){{v, 0, 0, 0}};
}

void
qr_fq_add(qr_fq *ret, const qr_fq *a, const qr_fq *b)
{
    QR_VERIFY(reduced(a) && reduced(b));
    uint64_t r0, r1, r2, r3, carry;
    carry = add_carry(&r0, a->d[0], b->d[0], 0);
    carry = add_carry(&r1, a->d[1], b->d[1], carry);
    carry = add_carry(&r2, a->d[2], b->d[2], carry);
    carry = add_carry(&r3, a->d[3], b->d[3], carry);
    subtract_q_once(ret, r0, r1, r2, r3, carry);
    QR_VERIFY(reduced(ret));
}

void
qr_fq_sub(qr_fq *ret, const qr_fq *a, const qr_fq *b)
{
    QR_VERIFY(reduced(a) && reduced(b));
    uint64_t r0, r1, r2, r3, borrow, carry;
    borrow = sub_borrow(&r0, a->d[0], b->d[0], 0);
    borrow = sub_borrow(&r1, a->d[1], b->d[1], borrow);
    borrow = sub_borrow(&r2, a->d[2], b->d[2], borrow);
    borrow = sub_borrow(&r3, a->d[3], b->d[3], borrow);
    /* Below zero: add q. */
    const uint64_t m = qr_ct_mask(borrow);
    carry = add_carry(&ret->d[0], r0, Q0 & m, 0);
    carry = add_carry(&ret->d[1], r1, Q1 & m, carry);
    carry = add_carry(&ret->d[2], r2, Q2 & m, carry);
    ret->d[3] = r3 + (Q3 & m) + carry;
}

void
qr_fq_neg(qr_fq *ret, const qr_fq *a)
{
    qr_fq_sub(ret, &qr_fq_zero, a);
}

void
qr_fq_mul(qr_fq *ret, const qr_fq *a, const qr_fq *b)
{
    QR_VERIFY(reduced(a) && reduced(b));
    const uint64_t *x = a->d, *y = b->d;
    uint64_t p0, p1, p2, p3, p4, p5, p6, p7;
    struct column k = {0, 0};

    column_mul(&k, x[0], y[0]);
    p0 = column_next(&k);
    column_mul(&k, x[0], y[1]);
    column_mul(&k, x[1], y[0]);
    p1 = column_next(&k);
    column_mul(&k, x[0], y[2]);
    column_mul(&k, x[1], y[1]);
    column_mul(&k, x[2], y[0]);
    p2 = column_next(&k);
    column_mul(&k, x[0], y[3]);
    column_mul(&k, x[1], y[2]);
    column_mul(&k, x[2], y[1]);
    column_mul(&k, x[3], y[0]);
    p3 = column_next(&k);
    column_mul(&k, x[1], y[3]);
    column_mul(&k, x[2], y[2]);
    column_mul(&k, x[3], y[1]);
    p4 = column_next(&k);
    column_mul(&k, x[2], y[3]);
    column_mul(&k, x[3], y[2]);
    p5 = column_next(&k);
    column_mul(&k, x[3], y[3]);
    p6 = column_next(&k);
    p7 = (uint64_t)k.s;
    reduce(ret, p0, p1, p2, p3, p4, p5, p6, p7, 0);
}

void
qr_fq_cmov(qr_fq *ret, const qr_fq *a, const qr_fq *b, uint64_t flag)
{
    QR_VERIFY(reduced(a) && reduced(b) && flag <= 1);
    uint64_t m = qr_ct_mask(flag);
    for (int i = 0; i < 4; i++) {
        ret->d[i] = (a->d[i] & ~m) | (b->d[i] & m);
    }
}

void
qr_fq_cadd(qr_fq *ret, const qr_fq *b, uint64_t flag)
{
    QR_VERIFY(reduced(ret) && reduced(b) && flag <= 1);
    const uint64_t m = qr_ct_mask(flag);
    uint64_t r0, r1, r2, r3, carry;
    carry = add_carry(&r0, ret->d[0], b->d[0] & m, 0);
    carry = add_carry(&r1, ret->d[1], b->d[1] & m, carry);
    carry = add_carry(&r2, ret->d[2], b->d[2] & m, carry);
    carry = add_carry(&r3, ret->d[3], b->d[3] & m, carry);
    subtract_q_once(ret, r0, r1, r2, r3, carry);
}

int
qr_fq_is_zero(const qr_fq *a)
{
    uint64_t v = a->d[0] | a->d[1] | a->d[2] | a->d[3];
    return (int)(((v | (0 - v)) >> 63) ^ 1);
}

int
qr_fq_eq(const qr_fq *a, const qr_fq *b)
{
    QR_VERIFY(reduced(a) && reduced(b));
    qr_fq t;
    for (int i = 0; i < 4; i++) {
        t.d[i] = a->d[i] ^ b->d[i];
    }
    return qr_fq_is_zero(&t);
}

int
qr_fq_is_high_var(const qr_fq *a)
{
    QR_VERIFY(reduced(a));
    uint64_t t, borrow;
    borrow = sub_borrow(&t, H0, a->d[0], 0);
    borrow = sub_borrow(&t, H1, a->d[1], borrow);
    borrow = sub_borrow(&t, H2, a->d[2], borrow);
    borrow = sub_borrow(&t, H3, a->d[3], borrow);
    return (int)borrow;
}

/* a^(q-2), four bits of the exponent at a time. */
void
qr_fq_inv_var(qr_fq *ret, const qr_fq *a)
{
    static const uint64_t exponent[4] = {Q0 - 2, Q1, Q2, Q3};
    qr_fq power[16], r;

    power[0] = qr_fq_one;
    for (int i = 1; i < 16; i++) {
        qr_fq_mul(&power[i], &power[i - 1], a);
    }
    r = power[exponent[3] >> 60];
    for (int bit = 248; bit >= 0; bit -= 4) {
        for (int i = 0; i < 4; i++) {
            qr_fq_mul(&r, &r, &r);
        }
        qr_fq_mul(&r, &r, &power[exponent[bit / 64] >> (bit % 64) & 15]);
    }
    *ret = r;
}

void
qr_fq_acc_zero(qr_fq_acc *acc)
{
    memset(acc, 0, sizeof *acc);
}

/* As qr_fq_mul, with the accumulator's limbs put into the columns as they pass. x, y < 2^256. */
static inline void
accumulate(uint64_t *d, const uint64_t *x, const uint64_t *y)
{
    struct column k = {0, 0};

    column_mul(&k, x[0], y[0]);
    column_add(&k, d[0]);
    d[0] = column_next(&k);
    column_mul(&k, x[0], y[1]);
    column_mul(&k, x[1], y[0]);
    column_add(&k, d[1]);
    d[1] = column_next(&k);
    column_mul(&k, x[0], y[2]);
    column_mul(&k, x[1], y[1]);
    column_mul(&k, x[2], y[0]);
    column_add(&k, d[2]);
    d[2] = column_next(&k);
    column_mul(&k, x[0], y[3]);
    column_mul(&k, x[1], y[2]);
    column_mul(&k, x[2], y[1]);
    column_mul(&k, x[3], y[0]);
    column_add(&k, d[3]);
    d[3] = column_next(&k);
    column_mul(&k, x[1], y[3]);
    column_mul(&k, x[2], y[2]);
    column_mul(&k, x[3], y[1]);
    column_add(&k, d[4]);
    d[4] = column_next(&k);
    column_mul(&k, x[2], y[3]);
    column_mul(&k, x[3], y[2]);
    column_add(&k, d[5]);
    d[5] = column_next(&k);
    column_mul(&k, x[3], y[3]);
    column_add(&k, d[6]);
    d[6] = column_next(&k);
    column_add(&k, d[7]);
    d[7] = column_next(&k);
    d[8] += (uint64_t)k.s;
}

void
qr_fq_acc_mul(qr_fq_acc *acc, const qr_fq *a, const qr_fq *b)
{
    QR_VERIFY(reduced(a) && reduced(b));
    accumulate(acc->d, a->d, b->d);
}

void
qr_fq_acc_mul_loose(qr_fq_acc *acc, const qr_fq *a, const qr_fq_loose *b)
{
    accumulate(acc->d, a->d, b->d);
}

static inline void
accumulate_one(uint64_t *d, const uint64_t *x)
{
    uint64_t carry;
    carry = add_carry(&d[0], d[0], x[0], 0);
    carry = add_carry(&d[1], d[1], x[1], carry);
    carry = add_carry(&d[2], d[2], x[2], carry);
    carry = add_carry(&d[3], d[3], x[3], carry);
    carry = add_carry(&d[4], d[4], 0, carry);
    carry = add_carry(&d[5], d[5], 0, carry);
    carry = add_carry(&d[6], d[6], 0, carry);
    carry = add_carry(&d[7], d[7], 0, carry);
    d[8] += carry;
}

void
qr_fq_acc_add(qr_fq_acc *acc, const qr_fq *a)
{
    QR_VERIFY(reduced(a));
    accumulate_one(acc->d, a->d);
}

void
qr_fq_acc_add_loose(qr_fq_acc *acc, const qr_fq_loose *a)
{
    accumulate_one(acc->d, a->d);
}

void
qr_fq_acc_reduce(qr_fq *ret, const qr_fq_acc *acc)
{
    const uint64_t *d = acc->d;
    QR_VERIFY(d[8] >> 33 == 0);
    reduce(ret, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8]);
}

void
qr_fq_loose_load(qr_fq_loose *ret, const uint8_t in[static 32])
{
    for (int i = 0; i < 4; i++) {
        ret->d[i] = load(in + 24 - 8 * i);
    }
}

void
qr_fq_loose_put(uint8_t out[static 32], const qr_fq_loose *a)
{
    for (int i = 0; i < 4; i++) {
        qr_put64(out + 24 - 8 * i, a->d[i]);
    }
}

void
qr_fq_loose_cadd(qr_fq_loose *ret, const qr_fq_loose *b, uint64_t flag)
{
    uint64_t m = qr_ct_mask(flag), *r = ret->d, carry;
    carry = add_carry(&r[0], r[0], b->d[0] & m, 0);
    carry = add_carry(&r[1], r[1], b->d[1] & m, carry);
    carry = add_carry(&r[2], r[2], b->d[2] & m, carry);
    carry = add_carry(&r[3], r[3], b->d[3] & m, carry);
    /* A carry is worth c. Adding c carries again only from r >= q, and then leaves r < c. */
    for (int i = 0; i < 2; i++) {
        m = qr_ct_mask(carry);
        carry = add_carry(&r[0], r[0], C0 & m, 0);
        carry = add_carry(&r[1], r[1], C1 & m, carry);
        carry = add_carry(&r[2], r[2], 1 & m, carry);
        carry = add_carry(&r[3], r[3], 0, carry);
    }
}

void
qr_fq_loose_diff(qr_fq *ret, const qr_fq_loose *x, const qr_fq_loose *y, const qr_fq *a)
{
    uint64_t r0, r1, r2, r3, t0, t1, t2, h, carry;

    /* r + h * 2^256 = x - y + a + 2q: positive, below 2^256 + 3q, so h <= 3. 2q = 2^257 - 2c. */
    carry = add_carry(&r0, x->d[0], a->d[0], 0);
    carry = add_carry(&r1, x->d[1], a->d[1], carry);
    carry = add_carry(&r2, x->d[2], a->d[2], carry);
    h = add_carry(&r3, x->d[3], a->d[3], carry) + 1;
    carry = add_carry(&r0, r0, 2 * Q0, 0);
    carry = add_carry(&r1, r1, 2 * Q1 + 1, carry);
    carry = add_carry(&r2, r2, 2 * Q2 + 1, carry);
    h += add_carry(&r3, r3, 2 * Q3 + 1, carry);
    carry = sub_borrow(&r0, r0, y->d[0], 0);
    carry = sub_borrow(&r1, r1, y->d[1], carry);
    carry = sub_borrow(&r2, r2, y->d[2], carry);
    h -= sub_borrow(&r3, r3, y->d[3], carry);
    /* h * 2^256 is h * c. C1 < 2^63, so the products of one limb are small enough to add up. */
    u128 t = (u128)h * C0;
    t0 = (uint64_t)t;
    t = (u128)h * C1 + (uint64_t)(t >> 64);
    t1 = (uint64_t)t;
    t2 = h + (uint64_t)(t >> 64);
    carry = add_carry(&r0, r0, t0, 0);
    carry = add_carry(&r1, r1, t1, carry);
    carry = add_carry(&r2, r2, t2, carry);
    carry = add_carry(&r3, r3, 0, carry);
    subtract_q_once(ret, r0, r1, r2, r3, carry);
}
