/* Zero shares: they sum to zero over every set, and each is what SPEC.md section 4 says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/limits.h"
#include "protocol/zero.h"
#include "test/common/testrng.h"

static struct qr_testrng rng;
static struct qr_sec32 seed[QR_MAX_PARTIES + 1][QR_MAX_PARTIES + 1]; /* symmetric */

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_zero");
    for (size_t i = 1; i <= QR_MAX_PARTIES; i++) {
        for (size_t j = 1; j < i; j++) {
            qr_testrng_fill(&rng, &seed[i][j], 32);
            seed[j][i] = seed[i][j];
        }
    }
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static void
share(const uint16_t *S, size_t t, uint16_t self, const uint8_t sid[32], uint16_t idx, qr_fq *ret)
{
    const struct qr_sec32 *z[QR_MAX_PARTIES];
    for (size_t k = 0; k < t; k++)
        z[k] = S[k] == self ? NULL : &seed[self][S[k]];
    qr_zero_share(z, S, t, self, sid, idx, ret);
}

static void
check_set(const uint16_t *S, size_t t)
{
    uint8_t sid[32];

    qr_testrng_fill(&rng, sid, 32);
    for (uint16_t idx = 0; idx < 2; idx++) {
        qr_fq sum = qr_fq_zero, zeta;
        for (size_t k = 0; k < t; k++) {
            share(S, t, S[k], sid, idx, &zeta);
            assert_false(qr_fq_is_zero(&zeta));
            qr_fq_add(&sum, &sum, &zeta);
        }
        assert_true(qr_fq_is_zero(&sum));
    }
}

/* Every subset of two or more of seven parties, and all sixteen. */
static void
test_sum_is_zero(void **state)
{
    (void)state;
    for (unsigned mask = 1; mask < 128; mask++) {
        uint16_t S[7];
        size_t t = 0;
        for (uint16_t i = 0; i < 7; i++) {
            if (mask >> i & 1u)
                S[t++] = (uint16_t)(i + 1);
        }
        if (t >= 2)
            check_set(S, t);
    }
    uint16_t all[QR_MAX_PARTIES];
    for (uint16_t i = 0; i < QR_MAX_PARTIES; i++)
        all[i] = (uint16_t)(i + 1);
    check_set(all, QR_MAX_PARTIES);
}

/* Party 5 of {2, 5, 9}: minus the term with 2, plus the term with 9. */
static void
test_definition(void **state)
{
    static const uint16_t S[3] = {2, 5, 9};
    const uint8_t idx_be[2] = {1, 2};
    uint8_t sid[32], wide[64];
    qr_fq low, high, want, got;

    (void)state;
    qr_testrng_fill(&rng, sid, 32);
    qr_tb(QR_TAG_ZERO, QR_FIELDS(QR_F(seed[5][2].b, 32), QR_F(sid, 32), QR_F(idx_be, 2)), wide);
    qr_fq_reduce64(&low, wide);
    qr_tb(QR_TAG_ZERO, QR_FIELDS(QR_F(seed[5][9].b, 32), QR_F(sid, 32), QR_F(idx_be, 2)), wide);
    qr_fq_reduce64(&high, wide);
    qr_fq_sub(&want, &high, &low);
    share(S, 3, 5, sid, 0x0102, &got);
    assert_true(qr_fq_eq(&got, &want));
}

/* Another index, batch or set gives another share: none of them can be mixed. */
static void
test_separation(void **state)
{
    static const uint16_t S[3] = {1, 2, 3}, other[3] = {1, 2, 4};
    uint8_t sid[32], sid2[32];
    qr_fq a, b;

    (void)state;
    qr_testrng_fill(&rng, sid, 32);
    qr_testrng_fill(&rng, sid2, 32);
    share(S, 3, 1, sid, 0, &a);
    share(S, 3, 1, sid, 1, &b);
    assert_false(qr_fq_eq(&a, &b));
    share(S, 3, 1, sid2, 0, &b);
    assert_false(qr_fq_eq(&a, &b));
    share(other, 3, 1, sid, 0, &b);
    assert_false(qr_fq_eq(&a, &b));
    share(S, 3, 1, sid, 0, &b);
    assert_true(qr_fq_eq(&a, &b));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_is_zero),
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_separation),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
