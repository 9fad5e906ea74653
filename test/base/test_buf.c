/* qr_buf and qr_view: bounds, stickiness, big-endian layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

static void
test_layout(void **state)
{
    uint8_t mem[64];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    (void)state;
    qr_buf_put8(&b, 0x01);
    qr_buf_put16(&b, 0x0203);
    qr_buf_put32(&b, 0x04050607);
    qr_buf_put64(&b, UINT64_C(0x08090a0b0c0d0e0f));
    qr_buf_put_lp(&b, qr_view_str("xyz"));
    qr_buf_put_lp(&b, (qr_view){NULL, 0});
    qr_buf_put(&b, NULL, 0);
    assert_int_equal(b.err, QR_OK);
    expect_hex(mem, b.len, "01 0203 04050607 08090a0b0c0d0e0f 00000003 78797a 00000000");

    struct qr_buf r = qr_buf_read(qr_buf_view(&b));
    assert_int_equal(qr_buf_get8(&r), 0x01);
    assert_int_equal(qr_buf_get16(&r), 0x0203);
    assert_int_equal(qr_buf_get32(&r), 0x04050607);
    assert_int_equal(qr_buf_get64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(qr_view_eq(qr_buf_get_lp(&r, 3), qr_view_str("xyz")));
    assert_int_equal(qr_buf_get_lp(&r, 0).len, 0);
    assert_int_equal(qr_buf_end(&r), QR_OK);
}

/* For every capacity one byte too small somewhere: NO_SPACE, nothing written past the end. */
static void
test_write_bounds(void **state)
{
    uint8_t mem[40];

    (void)state;
    for (size_t cap = 0; cap <= 22; cap++) {
        memset(mem, 0xee, sizeof mem);
        struct qr_buf b = qr_buf_over(mem, cap);
        qr_buf_put8(&b, 1);
        qr_buf_put16(&b, 2);
        qr_buf_put32(&b, 3);
        qr_buf_put64(&b, 4);
        qr_buf_put_lp(&b, qr_view_str("abc"));
        assert_int_equal(b.err, cap >= 22 ? QR_OK : QR_ERR_NO_SPACE);
        assert_true(b.len <= cap);
        for (size_t i = cap; i < sizeof mem; i++) {
            assert_int_equal(mem[i], 0xee);
        }
        /* The first failure stays, even for a put that would fit. */
        size_t len = b.len;
        if (b.err != QR_OK) {
            qr_buf_put(&b, mem, 0);
            qr_buf_put8(&b, 9);
            assert_int_equal(b.err, QR_ERR_NO_SPACE);
            assert_int_equal(b.len, len);
        }
    }
}

static void
test_read_bounds(void **state)
{
    const uint8_t mem[16] = {0, 0, 0, 4, 1, 2, 3, 4, 9, 9, 9, 9, 9, 9, 9, 9};
    uint8_t out[8];

    (void)state;
    for (size_t len = 0; len <= 8; len++) {
        struct qr_buf b = qr_buf_read(qr_view_of(mem, len));
        qr_view v = qr_buf_get_lp(&b, 100);
        if (len == 8) {
            assert_int_equal(v.len, 4);
            assert_int_equal(qr_buf_end(&b), QR_OK);
        } else {
            assert_null(v.p);
            assert_int_equal(v.len, 0);
            assert_int_equal(qr_buf_end(&b), QR_ERR_TRUNCATED);
        }
    }
    /* An underrun gives zeros, not what was on the stack. */
    struct qr_buf b = qr_buf_read(qr_view_of(mem, 3));
    memset(out, 0xee, sizeof out);
    qr_buf_get(&b, out, sizeof out);
    expect_hex(out, sizeof out, "0000000000000000");
    assert_int_equal(qr_buf_get8(&b), 0);
    assert_int_equal(qr_buf_get64(&b), 0);
    assert_int_equal(qr_buf_end(&b), QR_ERR_TRUNCATED);

    b = qr_buf_read(qr_view_of(mem, 16));
    (void)qr_buf_get_lp(&b, 3); /* 4 bytes announced, 3 allowed */
    assert_int_equal(qr_buf_end(&b), QR_ERR_TOO_LARGE);

    b = qr_buf_read(qr_view_of(mem, 5));
    (void)qr_buf_take(&b, 4);
    assert_int_equal(qr_buf_end(&b), QR_ERR_TRAILING);
    (void)qr_buf_take(&b, SIZE_MAX);
    assert_int_equal(qr_buf_end(&b), QR_ERR_TRUNCATED);

    /* A huge announced length does not wrap round. */
    const uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
    b = qr_buf_read(qr_view_of(huge, 8));
    assert_null(qr_buf_get_lp(&b, SIZE_MAX).p);
    assert_int_equal(qr_buf_end(&b), QR_ERR_TRUNCATED);
}

/* Bytes that are read are never written through the buffer. */
static void
test_read_buffer_refuses_writes(void **state)
{
    uint8_t mem[4] = {1, 2, 3, 4};
    struct qr_buf b = qr_buf_read(qr_view_of(mem, 4));

    (void)state;
    qr_buf_put8(&b, 9);
    assert_int_equal(b.err, QR_ERR_NO_SPACE);
    expect_hex(mem, 4, "01020304");
}

static void
test_put_lp_refuses_4_gib(void **state)
{
    uint8_t mem[8];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    (void)state;
    qr_buf_put_lp(&b, (qr_view){mem, (size_t)UINT32_MAX + 1});
    assert_int_equal(b.err, QR_ERR_TOO_LARGE);
    assert_int_equal(b.len, 0);
}

static void
test_views(void **state)
{
    uint8_t b[8];
    struct qr_testrng rng;

    (void)state;
    assert_true(qr_view_eq((qr_view){NULL, 0}, (qr_view){NULL, 0}));
    assert_true(qr_view_eq((qr_view){NULL, 0}, qr_view_str("")));
    assert_false(qr_view_eq(qr_view_str("a"), qr_view_str("")));
    assert_false(qr_view_eq(qr_view_str("a"), qr_view_str("b")));
    assert_true(qr_view_eq(qr_view_str("ab"), qr_view_of("abc", 2)));
    qr_testrng_seed(&rng, "views");
    for (int i = 0; i < 1000; i++) {
        uint64_t v = qr_testrng_u64(&rng);
        qr_put64(b, v);
        assert_true(qr_get64(b) == v);
        qr_put32(b, (uint32_t)v);
        assert_true(qr_get32(b) == (uint32_t)v);
        qr_put16(b, (uint16_t)v);
        assert_true(qr_get16(b) == (uint16_t)v);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_write_bounds),
        cmocka_unit_test(test_read_bounds),
        cmocka_unit_test(test_read_buffer_refuses_writes),
        cmocka_unit_test(test_put_lp_refuses_4_gib),
        cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
