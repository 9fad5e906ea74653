/* Amounts: against the machine's own arithmetic where that fits, and at the edges where it does not. */
#include "daemon/u256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/testrng.h"

static const char *const largest =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935"; /* 2^256-1 */

static struct qr_u256
of(const char *text)
{
    struct qr_u256 v;

    assert_int_equal(qr_u256_parse(qr_view_str(text), &v), QR_OK);
    return v;
}

static void
is(const struct qr_u256 *v, const char *want)
{
    char text[QR_U256_TEXT];

    qr_u256_text(v, text);
    assert_string_equal(text, want);
}

static void
test_text(void **state)
{
    static const struct {
        const char *text;
        qr_err e;
    } bad[] = {
        {"", QR_ERR_MALFORMED},
        {"00", QR_ERR_MALFORMED},
        {"01", QR_ERR_MALFORMED},
        {"-1", QR_ERR_MALFORMED},
        {"+1", QR_ERR_MALFORMED},
        {" 1", QR_ERR_MALFORMED},
        {"1e9", QR_ERR_MALFORMED},
        {"0x10", QR_ERR_MALFORMED},
        {"1.0", QR_ERR_MALFORMED},
        {"1 ", QR_ERR_MALFORMED},
        /* 2^256, ten times that, and 79 digits */
        {"115792089237316195423570985008687907853269984665640564039457584007913129639936",
         QR_ERR_TOO_LARGE},
        {"999999999999999999999999999999999999999999999999999999999999999999999999999999",
         QR_ERR_TOO_LARGE},
        {"1000000000000000000000000000000000000000000000000000000000000000000000000000000",
         QR_ERR_TOO_LARGE},
    };
    static const char *const good[] = {"0", "1", "9", "10", "255", "256", "1000000000000000000"};
    struct qr_u256 v, ones;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_u256_parse(qr_view_str(bad[i].text), &v), bad[i].e);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        v = of(good[i]);
        is(&v, good[i]);
    }
    memset(ones.b, 0xff, sizeof ones.b);
    v = of(largest);
    assert_memory_equal(v.b, ones.b, 32);
    is(&v, largest);
    assert_int_equal(qr_u256_parse(qr_view_of("1\0002", 3), &v), QR_ERR_MALFORMED);
}

static void
test_edges(void **state)
{
    struct qr_u256 top = of(largest), one = qr_u256_of(1), zero = qr_u256_of(0), v;

    (void)state;
    assert_int_equal(qr_u256_add(&top, &one, &v), QR_ERR_TOO_LARGE);
    is(&v, largest);
    assert_int_equal(qr_u256_add(&top, &zero, &v), QR_OK);
    assert_int_equal(qr_u256_cmp(&v, &top), 0);
    qr_u256_sub(&zero, &one, &v);
    assert_true(qr_u256_is_zero(&v));
    qr_u256_sub(&top, &top, &v);
    assert_true(qr_u256_is_zero(&v));
    assert_int_equal(qr_u256_mul(&top, 2, &v), QR_ERR_TOO_LARGE);
    is(&v, largest);
    assert_int_equal(qr_u256_mul(&top, UINT64_MAX, &v), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_u256_mul(&top, 1, &v), QR_OK);
    is(&v, largest);
    assert_int_equal(qr_u256_mul(&top, 0, &v), QR_OK);
    assert_true(qr_u256_is_zero(&v));
    qr_u256_div(&top, 1, &v);
    is(&v, largest);
    qr_u256_div(&top, 1u << 24, &v); /* 2^232 - 1 */
    is(&v, "6901746346790563787434755862277025452451108972170386555162524223799295");
    v = of("340282366920938463463374607431768211455"); /* 2^128-1, squared by halves */
    assert_int_equal(qr_u256_mul(&v, UINT64_MAX, &v), QR_OK);
    is(&v, "6277101735386680763495507056286727952620534092958556749825");
    assert_true(qr_u256_cmp(&zero, &one) < 0 && qr_u256_cmp(&top, &one) > 0);
}

/* Sums, differences, products and quotients of numbers that fit into 64 bits. */
static void
test_random(void **state)
{
    struct qr_testrng rng;

    (void)state;
    qr_testrng_seed(&rng, "u256");
    for (int i = 0; i < 2000; i++) {
        unsigned shift = (unsigned)qr_testrng_below(&rng, 33);
        uint64_t a = qr_testrng_below(&rng, UINT64_C(1) << 32) >> shift;
        uint64_t b = qr_testrng_below(&rng, UINT64_C(1) << 32);
        uint32_t d = (uint32_t)qr_testrng_below(&rng, 1u << 24) + 1;
        struct qr_u256 x = qr_u256_of(a), y = qr_u256_of(b), v, w;
        assert_int_equal(qr_u256_add(&x, &y, &v), QR_OK);
        w = qr_u256_of(a + b);
        assert_int_equal(qr_u256_cmp(&v, &w), 0);
        qr_u256_sub(&v, &y, &v);
        assert_int_equal(qr_u256_cmp(&v, &x), 0);
        qr_u256_sub(&x, &y, &v);
        w = qr_u256_of(a > b ? a - b : 0);
        assert_int_equal(qr_u256_cmp(&v, &w), 0);
        assert_int_equal(qr_u256_mul(&x, b, &v), QR_OK);
        w = qr_u256_of(a * b);
        assert_int_equal(qr_u256_cmp(&v, &w), 0);
        qr_u256_div(&v, d, &v);
        w = qr_u256_of(a * b / d);
        assert_int_equal(qr_u256_cmp(&v, &w), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
