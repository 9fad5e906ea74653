/*
 * GF(2^128) sums of products against a bit-by-bit reference, for the machine's instructions and for
 * the portable code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/gf128.h"
#include "test/common/testrng.h"

#include <string.h>

typedef void (*combine_fn)(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x,
                           size_t stride, size_t m, const uint8_t last[static 16]);

static const combine_fn implementations[] = {qr_gf128_combine, qr_gf128_combine_portable};

static struct qr_testrng rng;

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_gf128");
    return 0;
}

static unsigned
bit(const uint8_t *s, unsigned j)
{
    return ((unsigned)s[j / 8] >> (j % 8)) & 1u;
}

/* ret ^= a * b: shift and add, one bit of b at a time. */
static void
reference_add(uint8_t ret[16], const uint8_t a[16], const uint8_t b[16])
{
    uint8_t x[16];

    memcpy(x, a, 16);
    for (unsigned j = 0; j < 128; j++) {
        for (unsigned i = 0; bit(b, j) && i < 16; i++)
            ret[i] ^= x[i];
        unsigned top = bit(x, 127);
        for (unsigned i = 15; i > 0; i--)
            x[i] = (uint8_t)(x[i] << 1 | x[i - 1] >> 7);
        x[0] = (uint8_t)(x[0] << 1);
        if (top)
            x[0] ^= 0x87;
    }
}

static void
reference(uint8_t ret[16], const uint8_t *chi, const uint8_t *x, size_t stride, size_t m,
          const uint8_t last[16])
{
    memcpy(ret, last, 16);
    for (size_t k = 0; k < m; k++)
        reference_add(ret, chi + 16 * k, x + stride * k);
}

/* Random blocks, a third of them sparse or full: that is where shifts go wrong. */
static void
fill_blocks(uint8_t *p, size_t n)
{
    qr_testrng_fill(&rng, p, n);
    for (size_t i = 0; i + 16 <= n; i += 16) {
        switch (qr_testrng_below(&rng, 6)) {
        case 0:
            memset(p + i, 0, 16);
            p[i + qr_testrng_below(&rng, 16)] = (uint8_t)(1u << qr_testrng_below(&rng, 8));
            break;
        case 1:
            memset(p + i, 0xff, 16);
            break;
        default:
            break;
        }
    }
}

/* x^127 * x = x^128 = x^7 + x^2 + x + 1, and the same for every pair that meets at x^128. */
static void
test_modulus(void **state)
{
    static const uint8_t zero[16];

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        for (unsigned i = 1; i < 128; i++) {
            uint8_t a[16] = {0}, b[16] = {0}, r[16], want[16] = {0x87};
            a[i / 8] = (uint8_t)(1u << (i % 8));
            b[(128 - i) / 8] = (uint8_t)(1u << ((128 - i) % 8));
            implementations[f](r, a, b, 16, 1, zero);
            assert_memory_equal(r, want, 16);
        }
    }
}

/* a^(2^128) = a: every element satisfies it in a field of 2^128 elements. */
static void
test_frobenius(void **state)
{
    static const uint8_t zero[16];

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        uint8_t a[16], x[16], y[16];
        qr_testrng_fill(&rng, a, 16);
        memcpy(x, a, 16);
        for (unsigned i = 0; i < 128; i++) {
            implementations[f](y, x, x, 16, 1, zero);
            memcpy(x, y, 16);
            assert_true(i == 127 || memcmp(x, a, 16) != 0);
        }
        assert_memory_equal(x, a, 16);
    }
}

static void
test_against_reference(void **state)
{
    static uint8_t chi[64 * 16 + 1], x[64 * 48 + 1];

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        size_t m = qr_testrng_below(&rng, 64), stride = 16 * (1 + qr_testrng_below(&rng, 3));
        size_t shift = qr_testrng_below(&rng, 2); /* unaligned every other time */
        uint8_t last[16], want[16], got[16];

        fill_blocks(chi + shift, sizeof chi - 1);
        fill_blocks(x + shift, sizeof x - 1);
        fill_blocks(last, sizeof last);
        reference(want, chi + shift, x + shift, stride, m, last);
        for (size_t f = 0; f < 2; f++) {
            implementations[f](got, chi + shift, x + shift, stride, m, last);
            assert_memory_equal(got, want, 16);
        }
        /* The result may replace `last`. */
        qr_gf128_combine(last, chi + shift, x + shift, stride, m, last);
        assert_memory_equal(last, want, 16);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modulus),
        cmocka_unit_test(test_frobenius),
        cmocka_unit_test(test_against_reference),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
