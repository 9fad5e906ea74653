#include "protocol/poly.h"

#include "protocol/base/check.h"

/* The integers below are products of at most 15 numbers up to 16: exact in 64 bits. */
_Static_assert(QR_MAX_PARTIES <= 16, "16^15 < 2^63");

static int
in_range(size_t t, uint16_t x)
{
    return t >= 1 && t <= QR_MAX_PARTIES && x >= 1 && x <= QR_MAX_PARTIES;
}

static int
is_ascending(const uint16_t *set, size_t t, size_t max)
{
    uint16_t last = 0;
    for (size_t k = 0; k < t; k++) {
        if (set[k] <= last || set[k] > max) {
            return 0;
        }
        last = set[k];
    }
    return 1;
}

qr_err
qr_set_check(const uint16_t *set, size_t t, size_t n)
{
    if (n > QR_MAX_PARTIES || t < QR_MIN_THRESHOLD || t > n || !is_ascending(set, t, n)) {
        return QR_ERR_SET;
    }
    return QR_OK;
}

int
qr_set_has(const uint16_t *set, size_t t, uint16_t i)
{
    for (size_t k = 0; k < t; k++) {
        if (set[k] == i) {
            return 1;
        }
    }
    return 0;
}

/* Horner's rule from the highest coefficient. */
void
qr_poly_eval(const qr_fq *coef, size_t t, uint16_t x, qr_fq *ret)
{
    qr_fq sum QR_WIPE(qr_fq), at;

    QR_ASSERT(in_range(t, x));
    qr_fq_set_u64(&at, x);
    sum = coef[t - 1];
    for (size_t k = t - 1; k > 0; k--) {
        qr_fq_mul(&sum, &sum, &at);
        qr_fq_add(&sum, &sum, &coef[k - 1]);
    }
    *ret = sum;
}

qr_err
qr_lagrange_at_zero(const uint16_t *set, size_t t, uint16_t i, qr_fq *ret)
{
    uint64_t over = 1, under = 1;
    int negative = 0;
    qr_fq a, b;

    if (t < 1 || t > QR_MAX_PARTIES || !is_ascending(set, t, QR_MAX_PARTIES) ||
        !qr_set_has(set, t, i)) {
        return QR_ERR_SET;
    }
    for (size_t k = 0; k < t; k++) {
        uint16_t j = set[k];
        if (j != i) {
            over *= j;
            under *= (uint64_t)(j > i ? j - i : i - j);
            negative ^= j < i;
        }
    }
    qr_fq_set_u64(&a, over);
    qr_fq_set_u64(&b, under);
    qr_fq_inv_var(&b, &b);
    qr_fq_mul(&a, &a, &b);
    if (negative) {
        qr_fq_neg(&a, &a);
    }
    *ret = a;
    return QR_OK;
}

/*
 * Each term by itself and one sum at the end. Horner's rule would meet partial sums at infinity for
 * commitments that are perfectly good, and a hostile dealer could arrange it.
 */
qr_err
qr_feldman_eval_var(const qr_pt *F, size_t t, uint16_t x, qr_pt *ret)
{
    qr_pt terms[QR_MAX_PARTIES];
    const qr_pt *in[QR_MAX_PARTIES];
    uint64_t power = 1;

    if (!in_range(t, x)) {
        return QR_ERR_SET;
    }
    for (size_t k = 0; k < t; k++) {
        in[k] = &F[k];
        if (power != 1) {
            qr_fq s;
            qr_fq_set_u64(&s, power);
            QR_TRY(qr_pt_mul_var(&terms[k], &F[k], &s));
            in[k] = &terms[k];
        }
        power *= x;
    }
    return qr_pt_sum(ret, in, t);
}

qr_err
qr_share_check(const qr_pt *F, size_t t, uint16_t x, const qr_fq *share)
{
    qr_pt ours, theirs;

    QR_TRY(qr_feldman_eval_var(F, t, x, &theirs));
    QR_TRY(qr_pt_mul_base(&ours, share));
    return qr_pt_eq(&ours, &theirs) ? QR_OK : QR_ERR_SHARE;
}
