/*
 * Row arithmetic: every table this CPU can run against single scalar operations, on numbers made of
 * extreme limbs in both radices (64 bits, 52 bits), around q and around 2^256.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/rows.h"
#include "test/common/testrng.h"

#include <string.h>

#define ROWS 1024u /* the most `dot` takes */

static const uint8_t q_bytes[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

static struct qr_testrng rng;
static const struct qr_rows *tables[2];
static size_t n_tables;
static uint8_t x[ROWS * QR_ROW_LEN + 1], y[sizeof x], got[sizeof x], bits[ROWS / 8];
static qr_fq g[ROWS];

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_rows");
    tables[n_tables++] = &qr_rows_portable;
    if (qr_rows_best() != &qr_rows_portable)
        tables[n_tables++] = qr_rows_best();
    print_message("tables: %s%s%s\n", tables[0]->name, n_tables > 1 ? ", " : "",
                  n_tables > 1 ? tables[1]->name : "");
    return 0;
}

/* Runs of zeros and ones of random length, from the lowest bit up. */
static void
runs(uint8_t out[32])
{
    memset(out, 0, 32);
    unsigned ones = (unsigned)qr_testrng_below(&rng, 2);
    for (size_t at = 0; at < 256; ones ^= 1) {
        const size_t end = at + 1 + qr_testrng_below(&rng, 60);
        for (; at < end && at < 256; at++)
            out[31 - at / 8] |= (uint8_t)(ones << (at % 8));
    }
}

/* Any number below 2^256. */
static void
number(uint8_t out[32])
{
    switch (qr_testrng_below(&rng, 6)) {
    case 0: /* q and its neighbours */
        memcpy(out, q_bytes, 32);
        out[31] = (uint8_t)(out[31] + qr_testrng_below(&rng, 5) - 2);
        break;
    case 1: /* 2^256 - 1 and just below, 0 and just above */
        memset(out, qr_testrng_below(&rng, 2) ? 0xff : 0, 32);
        out[31] ^= (uint8_t)qr_testrng_below(&rng, 4);
        break;
    case 2:
    case 3:
        runs(out);
        break;
    default:
        qr_testrng_fill(&rng, out, 32);
        break;
    }
}

static void
scalar(qr_fq *ret)
{
    uint8_t b[32];
    number(b);
    qr_fq_reduce32(ret, b);
}

/* New rows; the numbers of y are below q. An odd start, so that nothing can count on alignment. */
static void
fill_rows(size_t n)
{
    qr_fq t;

    for (size_t i = 0; i < 3 * n; i++) {
        number(x + 1 + 32 * i);
        scalar(&t);
        qr_fq_put(y + 1 + 32 * i, &t);
    }
    for (size_t j = 0; j < n; j++)
        scalar(&g[j]);
    qr_testrng_fill(&rng, bits, sizeof bits);
}

static void
read(qr_fq *ret, const uint8_t *p, size_t row, size_t column)
{
    qr_fq_reduce32(ret, p + 1 + QR_ROW_LEN * row + 32 * column);
}

static uint64_t
bit(size_t j)
{
    return ((uint64_t)bits[j / 8] >> (j % 8)) & 1;
}

static void
expect_number(const uint8_t *p, const qr_fq *want)
{
    uint8_t b[32];
    qr_fq_put(b, want);
    assert_memory_equal(p, b, 32);
}

static const size_t sizes[] = {0, 8, 16, 32, 416};

static void
test_diff(void **state)
{
    qr_fq a, u, v;

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        const size_t n = sizes[round % 5], i = round % 3;
        fill_rows(n);
        for (size_t k = 0; k < 3 * n; k++) /* both operands may be any number */
            number(y + 1 + 32 * k);
        scalar(&a);
        for (size_t t = 0; t < n_tables; t++) {
            memset(got, 0xa7, sizeof got);
            tables[t]->diff(got + 1 + 32 * i, x + 1 + 32 * i, y + 1 + 32 * i, &a, n);
            for (size_t j = 0; j < n; j++) {
                read(&u, x, j, i);
                read(&v, y, j, i);
                qr_fq_sub(&u, &u, &v);
                qr_fq_add(&u, &u, &a);
                expect_number(got + 1 + QR_ROW_LEN * j + 32 * i, &u);
                /* The other columns are not touched. */
                assert_int_equal(got[1 + QR_ROW_LEN * j + 32 * ((i + 1) % 3)], 0xa7);
                assert_int_equal(got[1 + QR_ROW_LEN * j + 32 * ((i + 2) % 3) + 31], 0xa7);
            }
            assert_int_equal(got[0], 0xa7);
            assert_int_equal(got[1 + QR_ROW_LEN * n], 0xa7);
        }
    }
}

static void
test_cadd(void **state)
{
    qr_fq u, v;

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        const size_t n = sizes[round % 5];
        fill_rows(n);
        for (size_t t = 0; t < n_tables; t++) {
            memcpy(got, x, sizeof got);
            tables[t]->cadd(got + 1, y + 1, bits, n);
            for (size_t j = 0; j < n; j++) {
                for (size_t i = 0; i < 3; i++) {
                    read(&u, x, j, i);
                    read(&v, y, j, i);
                    qr_fq_cadd(&u, &v, bit(j));
                    read(&v, got, j, i); /* the result is any number of that residue */
                    assert_true(qr_fq_eq(&u, &v));
                }
            }
            assert_memory_equal(got + 1 + QR_ROW_LEN * n, x + 1 + QR_ROW_LEN * n, 16);
        }
    }
}

static void
expect_dot(size_t n, size_t i)
{
    qr_fq want = qr_fq_zero, u, r;

    for (size_t j = 0; j < n; j++) {
        read(&u, x, j, i);
        qr_fq_mul(&u, &u, &g[j]);
        qr_fq_add(&want, &want, &u);
    }
    for (size_t t = 0; t < n_tables; t++) {
        tables[t]->dot(&r, g, x + 1 + 32 * i, n);
        assert_true(qr_fq_eq(&r, &want));
    }
}

static void
test_dot(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        fill_rows(sizes[round % 5]);
        expect_dot(sizes[round % 5], round % 3);
    }
    /* The largest sum there is. */
    memset(x, 0xff, sizeof x);
    for (size_t j = 0; j < ROWS; j++)
        qr_fq_neg(&g[j], &qr_fq_one);
    expect_dot(ROWS, 1);
}

static void
test_combine(void **state)
{
    qr_fq theta[2], add, want, u;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        const size_t n = sizes[round % 5];
        fill_rows(n);
        scalar(&theta[0]);
        scalar(&theta[1]);
        scalar(&add);
        if (round % 10 == 6) /* sums that end just around q and 2^256 */
            theta[0] = theta[1] = qr_fq_zero;
        if (round % 10 == 7)
            theta[0] = theta[1] = qr_fq_one;
        if (round % 10 == 9) { /* the largest sums */
            memset(x, 0xff, sizeof x);
            qr_fq_neg(&theta[0], &qr_fq_one);
            theta[1] = add = theta[0];
        }
        for (size_t t = 0; t < n_tables; t++) {
            memset(got, 0xa7, sizeof got);
            tables[t]->combine(got + 1, x + 1, theta, &add, bits, n);
            for (size_t j = 0; j < n; j++) {
                read(&want, x, j, 2);
                for (size_t i = 0; i < 2; i++) {
                    read(&u, x, j, i);
                    qr_fq_mul(&u, &u, &theta[i]);
                    qr_fq_add(&want, &want, &u);
                }
                qr_fq_cadd(&want, &add, bit(j));
                expect_number(got + 1 + 32 * j, &want);
            }
            assert_int_equal(got[0], 0xa7);
            assert_int_equal(got[1 + 32 * n], 0xa7);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_cadd),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_combine),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
