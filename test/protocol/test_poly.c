/* Shamir, Lagrange and Feldman: every subset of every size up to n = 7, and the hostile dealer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/poly.h"
#include "test/common/testrng.h"

static struct qr_testrng rng;

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_poly");
    struct qr_rng r = qr_testrng_rng(&rng);
    return qr_group_init(&r) == QR_OK ? 0 : -1;
}

static void
random_scalar(qr_fq *ret)
{
    uint8_t b[64];
    qr_testrng_fill(&rng, b, sizeof b);
    qr_fq_reduce64(ret, b);
}

static void
random_poly(qr_fq *coef, size_t t)
{
    for (size_t k = 0; k < t; k++) {
        random_scalar(&coef[k]);
    }
}

static void
commit(const qr_fq *coef, size_t t, qr_pt *F)
{
    for (size_t k = 0; k < t; k++) {
        assert_int_equal(qr_pt_mul_base(&F[k], &coef[k]), QR_OK);
    }
}

/* The set of the bits of `mask`; returns its size. */
static size_t
set_of(unsigned mask, uint16_t *set)
{
    size_t t = 0;
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (mask >> (i - 1) & 1) {
            set[t++] = i;
        }
    }
    return t;
}

/* sum over the set of lambda_i * p(i). */
static void
interpolate(const uint16_t *set, size_t t, const qr_fq *shares, qr_fq *ret)
{
    qr_fq sum = qr_fq_zero, lambda;
    for (size_t k = 0; k < t; k++) {
        assert_int_equal(qr_lagrange_at_zero(set, t, set[k], &lambda), QR_OK);
        qr_fq_mul(&lambda, &lambda, &shares[set[k]]);
        qr_fq_add(&sum, &sum, &lambda);
    }
    *ret = sum;
}

static void
test_every_subset_up_to_seven(void **state)
{
    size_t enough = 0, short_of = 0;

    (void)state;
    for (size_t n = 2; n <= 7; n++) {
        for (size_t t = 2; t <= n; t++) {
            qr_fq coef[7], shares[8], secret;
            random_poly(coef, t);
            for (uint16_t i = 1; i <= n; i++) {
                qr_poly_eval(coef, t, i, &shares[i]);
            }
            for (unsigned mask = 1; mask < 1u << n; mask++) {
                uint16_t set[QR_MAX_PARTIES];
                size_t size = set_of(mask, set);
                interpolate(set, size, shares, &secret);
                /* Any t or more give p(0); fewer give something else. */
                assert_int_equal(qr_fq_eq(&secret, &coef[0]), size >= t);
                assert_int_equal(qr_set_check(set, size, n), size >= 2 ? QR_OK : QR_ERR_SET);
                enough += size >= t;
                short_of += size < t;
            }
        }
    }
    assert_true(enough > 500 && short_of > 250);
}

/* The largest case: 16 of 16, and random sets. */
static void
test_sixteen(void **state)
{
    qr_fq coef[16], shares[17], secret;
    uint16_t set[16];

    (void)state;
    random_poly(coef, 16);
    for (uint16_t i = 1; i <= 16; i++) {
        qr_poly_eval(coef, 16, i, &shares[i]);
    }
    interpolate(set, set_of(0xffff, set), shares, &secret);
    assert_true(qr_fq_eq(&secret, &coef[0]));
    for (int run = 0; run < 200; run++) {
        size_t t = set_of(1 + (unsigned)qr_testrng_below(&rng, 0xffff), set);
        for (uint16_t i = 1; i <= 16; i++) {
            qr_poly_eval(coef, t, i, &shares[i]);
        }
        interpolate(set, t, shares, &secret);
        assert_true(qr_fq_eq(&secret, &coef[0]));
    }
}

/* By hand: 7 + 5x + 3x^2 and lambda over {1, 2, 3}: 3, -3, 1. */
static void
test_by_hand(void **state)
{
    const qr_fq coef[3] = {{{7, 0, 0, 0}}, {{5, 0, 0, 0}}, {{3, 0, 0, 0}}};
    const uint16_t set[3] = {1, 2, 3};
    qr_fq r, three = {{3, 0, 0, 0}};

    (void)state;
    qr_poly_eval(coef, 3, 1, &r);
    assert_true(qr_fq_eq(&r, &(qr_fq){{15, 0, 0, 0}}));
    qr_poly_eval(coef, 3, 16, &r);
    assert_true(qr_fq_eq(&r, &(qr_fq){{7 + 80 + 768, 0, 0, 0}}));
    qr_poly_eval(coef, 1, 9, &r);
    assert_true(qr_fq_eq(&r, &coef[0]));
    assert_int_equal(qr_lagrange_at_zero(set, 3, 1, &r), QR_OK);
    assert_true(qr_fq_eq(&r, &three));
    assert_int_equal(qr_lagrange_at_zero(set, 3, 2, &r), QR_OK);
    qr_fq_add(&r, &r, &three);
    assert_true(qr_fq_is_zero(&r));
    assert_int_equal(qr_lagrange_at_zero(set, 3, 3, &r), QR_OK);
    assert_true(qr_fq_eq(&r, &qr_fq_one));
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){16}, 1, 16, &r), QR_OK);
    assert_true(qr_fq_eq(&r, &qr_fq_one));
}

static void
attack_15_sets_refused(void **state)
{
    static const struct {
        uint16_t set[4];
        size_t t, n;
    } bad[] = {
        {{1, 2}, 1, 3},       /* below the least threshold */
        {{1, 2}, 0, 3},       /* empty */
        {{1, 2, 3, 4}, 4, 3}, /* more than n */
        {{0, 1}, 2, 3},       /* index 0 is the key itself */
        {{1, 1}, 2, 3},       /* twice */
        {{2, 1}, 2, 3},       /* not ascending */
        {{1, 4}, 2, 3},       /* above n */
        {{1, 65535}, 2, 3},   /* far above n */
        {{1, 2, 2}, 3, 5},    /* twice at the end */
        {{1, 17}, 2, 17},     /* n above the limit */
    };
    qr_fq r, untouched;

    (void)state;
    memset(&untouched, 0x5a, sizeof untouched);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_set_check(bad[i].set, bad[i].t, bad[i].n), QR_ERR_SET);
    }
    assert_int_equal(qr_set_check((const uint16_t[]){1, 3}, 2, 3), QR_OK);
    assert_true(qr_set_has((const uint16_t[]){1, 3}, 2, 3));
    assert_false(qr_set_has((const uint16_t[]){1, 3}, 2, 2));
    assert_false(qr_set_has((const uint16_t[]){1, 3}, 1, 3));

    r = untouched;
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){1, 3}, 2, 2, &r), QR_ERR_SET);
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){0, 3}, 2, 3, &r), QR_ERR_SET);
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){3, 3}, 2, 3, &r), QR_ERR_SET);
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){3, 1}, 2, 3, &r), QR_ERR_SET);
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){1, 17}, 2, 1, &r), QR_ERR_SET);
    assert_int_equal(qr_lagrange_at_zero((const uint16_t[]){1, 3}, 0, 1, &r), QR_ERR_SET);
    assert_memory_equal(&r, &untouched, sizeof r);
}

static void
test_feldman(void **state)
{
    (void)state;
    for (size_t t = 1; t <= QR_MAX_PARTIES; t += t < 5 ? 1 : 5) {
        qr_fq coef[QR_MAX_PARTIES], share, off;
        qr_pt F[QR_MAX_PARTIES], at, want;
        random_poly(coef, t);
        commit(coef, t, F);
        for (uint16_t x = 1; x <= QR_MAX_PARTIES; x += 5) {
            qr_poly_eval(coef, t, x, &share);
            assert_int_equal(qr_feldman_eval_var(F, t, x, &at), QR_OK);
            assert_int_equal(qr_pt_mul_base(&want, &share), QR_OK);
            assert_true(qr_pt_eq(&at, &want));
            assert_int_equal(qr_share_check(F, t, x, &share), QR_OK);
            qr_fq_add(&off, &share, &qr_fq_one);
            assert_int_equal(qr_share_check(F, t, x, &off), QR_ERR_SHARE);
            qr_fq_neg(&off, &share);
            assert_int_equal(qr_share_check(F, t, x, &off), QR_ERR_SHARE);
            assert_int_equal(qr_share_check(F, t, x, &qr_fq_zero), QR_ERR_INFINITY);
            if (t > 1) { /* another party's share is not mine */
                assert_int_equal(qr_share_check(F, t, (uint16_t)(x % 16 + 1), &share),
                                 QR_ERR_SHARE);
            }
        }
    }
    qr_fq one = qr_fq_one;
    qr_pt F[1], at;
    commit(&one, 1, F);
    assert_int_equal(qr_feldman_eval_var(F, 1, 0, &at), QR_ERR_SET);
    assert_int_equal(qr_feldman_eval_var(F, 1, 17, &at), QR_ERR_SET);
    assert_int_equal(qr_feldman_eval_var(F, 0, 1, &at), QR_ERR_SET);
    assert_int_equal(qr_feldman_eval_var(F, 17, 1, &at), QR_ERR_SET);
    assert_int_equal(qr_share_check(F, 1, 0, &one), QR_ERR_SET);
}

/* Commitments made so that F(x) is infinite for one party; and so that only a partial sum is. */
static void
attack_09_feldman_at_infinity(void **state)
{
    (void)state;
    for (uint16_t x = 1; x <= QR_MAX_PARTIES; x++) {
        qr_fq coef[3], v, at;
        qr_pt F[3], p, want, untouched;

        /* p(x) = 0: a_0 = -(a_1 x + a_2 x^2). */
        random_poly(coef, 3);
        coef[0] = qr_fq_zero;
        qr_poly_eval(coef, 3, x, &v);
        qr_fq_neg(&coef[0], &v);
        commit(coef, 3, F);
        memset(&untouched, 0x5a, sizeof untouched);
        p = untouched;
        assert_int_equal(qr_feldman_eval_var(F, 3, x, &p), QR_ERR_INFINITY);
        assert_memory_equal(&p, &untouched, sizeof p);
        assert_int_equal(qr_share_check(F, 3, x, &qr_fq_zero), QR_ERR_INFINITY);
        assert_int_equal(qr_feldman_eval_var(F, 3, (uint16_t)(x % 16 + 1), &p), QR_OK);

        /* a_1 + a_2 x = 0 (inside Horner's rule) and a_0 + a_1 x = 0 (a running sum): still fine.
         */
        random_poly(coef, 3);
        qr_fq_set_u64(&at, x);
        qr_fq_mul(&v, &coef[2], &at);
        qr_fq_neg(&coef[1], &v);
        commit(coef, 3, F);
        assert_int_equal(qr_feldman_eval_var(F, 3, x, &p), QR_OK);
        assert_int_equal(qr_pt_mul_base(&want, &coef[0]), QR_OK);
        assert_true(qr_pt_eq(&p, &want));
        qr_fq_mul(&v, &coef[1], &at);
        qr_fq_neg(&coef[0], &v);
        commit(coef, 3, F);
        qr_poly_eval(coef, 3, x, &v);
        assert_int_equal(qr_share_check(F, 3, x, &v), QR_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_subset_up_to_seven),
        cmocka_unit_test(test_sixteen),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(attack_15_sets_refused),
        cmocka_unit_test(test_feldman),
        cmocka_unit_test(attack_09_feldman_at_infinity),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
