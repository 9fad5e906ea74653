/*
 * Shamir's polynomials over scalars and points: evaluation, Lagrange at zero, Feldman's check.
 *
 * What: p(x) for the dealer, F(x) = p(x)*G from the published coefficients F_k = a_k*G for everyone
 *       else, and the coefficient lambda_i with which member i of a signing set enters the sum.
 * Why: the party with index i holds p(i); any t of them determine p(0).
 * Invariant: x is a party index, 1..QR_MAX_PARTIES, never 0: p(0) is the key. 1 <= t <=
 *       QR_MAX_PARTIES coefficients. Sets are public: strictly ascending indices.
 * Constant time: qr_poly_eval in the coefficients, qr_share_check in the share; x, t and sets are
 *       public everywhere, and the other functions take public input only.
 * Source: protocol/SPEC.md sections 1 and 7.
 */
#ifndef QR_POLY_H
#define QR_POLY_H

#include "protocol/base/limits.h"
#include "protocol/group.h"

/* A signing set of t among n: t indices, strictly ascending, 1..n; 2 <= t <= n <= 16. */
qr_err QR_MUST qr_set_check(const uint16_t *set, size_t t, size_t n);
/* 1 if i is one of the t members. */
int qr_set_has(const uint16_t *set, size_t t, uint16_t i);

/* coef[0] + coef[1]*x + ... + coef[t-1]*x^(t-1); x and t in range, else it panics. */
void qr_poly_eval(const qr_fq *coef, size_t t, uint16_t x, qr_fq *ret);

/*
 * lambda_i = product over j in set, j != i, of j / (j - i) mod q. QR_ERR_SET if i is no member or
 * the set is not strictly ascending within 1..QR_MAX_PARTIES.
 */
qr_err QR_MUST qr_lagrange_at_zero(const uint16_t *set, size_t t, uint16_t i, qr_fq *ret);

/*
 * F[0] + x*F[1] + ... + x^(t-1)*F[t-1]. A sum at infinity is QR_ERR_INFINITY: a hostile dealer can
 * choose F so. QR_ERR_SET for x or t out of range.
 */
qr_err QR_MUST qr_feldman_eval_var(const qr_pt *F, size_t t, uint16_t x, qr_pt *ret);

/*
 * share*G == F(x). QR_ERR_SHARE if not; QR_ERR_INFINITY if either side is infinite (a share of zero
 * included); QR_ERR_SET as above. The verdict is public.
 */
qr_err QR_MUST qr_share_check(const qr_pt *F, size_t t, uint16_t x, const qr_fq *share);

#endif
