/*
 * secp256k1 points over libsecp256k1's public API (0.2.0 up to today's).
 *
 * What: qr_pt, a parsed non-infinite point; multiplication, addition, encoding; ECDSA verify and
 *       public-key recovery. One encoding: 33 bytes compressed.
 * Why: infinity cannot be represented, so it is always an explicit QR_ERR_INFINITY and never a
 *      value. Function names ending in _var are variable time and take public inputs only.
 * Constant time: qr_pt_mul_base and qr_pt_mul (through secp256k1_ecdh with a copying hash function)
 *       in their scalar; a zero scalar is QR_ERR_INFINITY, which has negligible probability for
 *       secrets.
 * Thread rules: the context is made once by qr_group_init and randomised; read-only afterwards.
 */
#ifndef QR_GROUP_H
#define QR_GROUP_H

#include "protocol/base/rng.h"
#include "protocol/fq.h"

#include <secp256k1.h>

typedef struct qr_pt {
    secp256k1_pubkey k;
} qr_pt;

/*
 * Makes and blinds the context, with 32 bytes of rng; later calls do nothing. Comes before every
 * other function here. QR_ERR_CRYPTO_LIB. Library builds whose ecdh is known not to be constant
 * time cannot be told apart here: the build refuses their versions (see group.c).
 */
qr_err QR_MUST qr_group_init(const struct qr_rng *rng);

/* QR_ERR_POINT for anything that is not a compressed curve point. Variable time. */
qr_err QR_MUST qr_pt_parse(qr_pt *ret, const uint8_t in[static 33]);
void qr_pt_put(uint8_t out[static 33], const qr_pt *p);
/* x-coordinate (32 bytes, big-endian) and 1 if y is odd. */
void qr_pt_xy(const qr_pt *p, uint8_t x[static 32], int *ret_odd);
/* Both coordinates, 32 bytes each, big-endian. */
void qr_pt_affine(const qr_pt *p, uint8_t x[static 32], uint8_t y[static 32]);
int qr_pt_eq_var(const qr_pt *a, const qr_pt *b);
/* Constant time in both; for C3. */
int qr_pt_eq(const qr_pt *a, const qr_pt *b);

/* In all of these ret may be one of the operands. */
/* k*G and k*p; QR_ERR_INFINITY for k = 0. */
qr_err QR_MUST qr_pt_mul_base(qr_pt *ret, const qr_fq *k);
qr_err QR_MUST qr_pt_mul(qr_pt *ret, const qr_pt *p, const qr_fq *k);
qr_err QR_MUST qr_pt_mul_var(qr_pt *ret, const qr_pt *p, const qr_fq *k);
/*
 * Sums. QR_ERR_INFINITY if the sum is, or if n = 0. The library uses its constant-time addition but
 * does not promise to: points may depend on secrets, they must not be secrets.
 */
qr_err QR_MUST qr_pt_add(qr_pt *ret, const qr_pt *a, const qr_pt *b);
#define QR_PT_SUM_MAX 64
/* n <= QR_PT_SUM_MAX. */
qr_err QR_MUST qr_pt_sum(qr_pt *ret, const qr_pt *const *p, size_t n);
/* p + k*G, public k; k = 0 gives p. */
qr_err QR_MUST qr_pt_add_base_var(qr_pt *ret, const qr_pt *p, const qr_fq *k);
void qr_pt_neg(qr_pt *ret, const qr_pt *p);

/* ECDSA over a 32-byte digest; r||s, s low. QR_ERR_BAD_SIGNATURE. Public. */
qr_err QR_MUST qr_ecdsa_verify(const qr_pt *pk, const uint8_t digest[static 32],
                               const uint8_t sig[static 64]);
/* The point that (sig, recid 0..3) recovers to; s low here, too. QR_ERR_BAD_SIGNATURE. Public. */
qr_err QR_MUST qr_ecdsa_recover(qr_pt *ret, const uint8_t digest[static 32],
                                const uint8_t sig[static 64], int recid);
/*
 * Single-key RFC 6979 signature: the benches' reference and the tests' oracle. QR_ERR_SCALAR for a
 * key that is 0 or >= q.
 */
qr_err QR_MUST qr_ecdsa_sign(uint8_t sig[static 64], const uint8_t digest[static 32],
                             const uint8_t key[static 32]);

#endif
