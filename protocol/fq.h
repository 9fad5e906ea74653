/*
 * qr_fq: scalars modulo q, the order of secp256k1; constant time.
 *
 * What: four 64-bit limbs, little-endian limb order, always fully reduced (< q).
 * Why: libsecp256k1's public API has no scalar type that accepts zero and no multiply-accumulate;
 *      the RVOLE rows need both, thousands of times a signature.
 * Invariant: every qr_fq outside fq.c is < q. Every function is constant time unless it ends in
 *      _var; a qr_fq is a secret unless it is declassified.
 * Source: SEC 2 v2 section 2.4.1 for q; tested against OpenSSL BN and libsecp256k1.
 */
#ifndef QR_FQ_H
#define QR_FQ_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "protocol/base/view.h"

typedef struct qr_fq {
    uint64_t d[4];
} qr_fq;

static inline void
qr_wipe_qr_fq(qr_fq *p)
{
    qr_wipe(p, sizeof *p);
}

extern const qr_fq qr_fq_zero, qr_fq_one;

/* 32 bytes big-endian; QR_ERR_SCALAR if >= q. The verdict is public, the value is not. */
qr_err QR_MUST qr_fq_parse(qr_fq *ret, const uint8_t in[static 32]);
/* 32 or 64 bytes big-endian, reduced mod q. */
void qr_fq_reduce32(qr_fq *ret, const uint8_t in[static 32]);
void qr_fq_reduce64(qr_fq *ret, const uint8_t in[static 64]);
void qr_fq_put(uint8_t out[static 32], const qr_fq *a);
void qr_fq_set_u64(qr_fq *ret, uint64_t v);

void qr_fq_add(qr_fq *ret, const qr_fq *a, const qr_fq *b);
void qr_fq_sub(qr_fq *ret, const qr_fq *a, const qr_fq *b);
void qr_fq_neg(qr_fq *ret, const qr_fq *a);
void qr_fq_mul(qr_fq *ret, const qr_fq *a, const qr_fq *b);
/* ret = a if flag == 0, b if flag == 1. */
void qr_fq_cmov(qr_fq *ret, const qr_fq *a, const qr_fq *b, uint64_t flag);
/* ret += b if flag == 1, masked. */
void qr_fq_cadd(qr_fq *ret, const qr_fq *b, uint64_t flag);
/* 1 or 0, constant time. */
int qr_fq_is_zero(const qr_fq *a);
int qr_fq_eq(const qr_fq *a, const qr_fq *b);
/* a > q/2 (for low-S); the value is public. */
int qr_fq_is_high_var(const qr_fq *a);
/* 1/a, public a != 0 only. */
void qr_fq_inv_var(qr_fq *ret, const qr_fq *a);

/*
 * Lazy multiply-accumulate: up to 2^32 products and as many single numbers, summed before one
 * reduction: a sum below 2^545, the most that qr_fq_acc_reduce brings back below q.
 */
typedef struct qr_fq_acc {
    uint64_t d[9];
} qr_fq_acc;

static inline void
qr_wipe_qr_fq_acc(qr_fq_acc *p)
{
    qr_wipe(p, sizeof *p);
}

void qr_fq_acc_zero(qr_fq_acc *acc);
void qr_fq_acc_mul(qr_fq_acc *acc, const qr_fq *a, const qr_fq *b);
/* acc += a (as a number < q). */
void qr_fq_acc_add(qr_fq_acc *acc, const qr_fq *a);
void qr_fq_acc_reduce(qr_fq *ret, const qr_fq_acc *acc);

/*
 * A number below 2^256 that stands for its residue: what the multiplication's rows are before
 * anything needs them reduced. Nothing else should use it.
 */
typedef struct qr_fq_loose {
    uint64_t d[4];
} qr_fq_loose;

static inline void
qr_wipe_qr_fq_loose(qr_fq_loose *p)
{
    qr_wipe(p, sizeof *p);
}

/* 32 bytes big-endian, any value; and back. */
void qr_fq_loose_load(qr_fq_loose *ret, const uint8_t in[static 32]);
void qr_fq_loose_put(uint8_t out[static 32], const qr_fq_loose *a);
/* ret += b if flag == 1, masked. */
void qr_fq_loose_cadd(qr_fq_loose *ret, const qr_fq_loose *b, uint64_t flag);
/* ret = x - y + a, reduced. */
void qr_fq_loose_diff(qr_fq *ret, const qr_fq_loose *x, const qr_fq_loose *y, const qr_fq *a);
/* As qr_fq_acc_mul and qr_fq_acc_add. */
void qr_fq_acc_mul_loose(qr_fq_acc *acc, const qr_fq *a, const qr_fq_loose *b);
void qr_fq_acc_add_loose(qr_fq_acc *acc, const qr_fq_loose *a);

#endif
