/* DER values: one form each, and object identifiers against their dots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/der.h"
#include "test/common/evgen_ca.h"

static qr_err
next(const char *bytes, size_t len, uint8_t *tag, qr_view *v, size_t *left)
{
    struct qr_der d = qr_der_of(qr_view_of(bytes, len));
    qr_err e = qr_der_next(&d, tag, v);
    *left = d.left;
    return e;
}

static void
test_next(void **state)
{
    static uint8_t big[70000];
    uint8_t tag = 0xee;
    qr_view v = {NULL, 77};
    size_t left = 0;
    (void)state;
    assert_int_equal(next("\x02\x01\x05\x04", 4, &tag, &v, &left), QR_OK);
    assert_int_equal(tag, 2);
    assert_int_equal(v.len, 1);
    assert_int_equal(v.p[0], 5);
    assert_int_equal(left, 1);
    assert_int_equal(next("\x05\x00", 2, &tag, &v, &left), QR_OK);
    assert_int_equal(v.len, 0);
    assert_int_equal(left, 0);
    /* The generator writes what the reader takes, at every change of the length's form. */
    for (size_t len = 0; len < 69000; len += len < 300 ? 1 : len < 65000 ? 3001 : 500) {
        struct evgen_buf b = evgen_buf_over(big, sizeof big);
        static uint8_t content[69000];
        evgen_der_put(&b, 0x30, qr_view_of(content, len));
        assert_int_equal(next((const char *)big, b.len, &tag, &v, &left), QR_OK);
        assert_int_equal(tag, 0x30);
        assert_int_equal(v.len, len);
        assert_int_equal(left, 0);
        assert_int_equal(next((const char *)big, b.len - 1, &tag, &v, &left), QR_ERR_MALFORMED);
        assert_int_equal(left, b.len - 1); /* nothing was consumed */
    }
}

static void
test_not_der(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"", 0},
        {"\x30", 1},
        {"\x30\x80\x00\x00", 4},                 /* indefinite */
        {"\x1f\x81\x01\x00", 4},                 /* an identifier of several octets */
        {"\x30\x81\x05\x01\x02\x03\x04\x05", 8}, /* long form where short is due */
        {"\x30\x81", 2},
        {"\x30\x82\x00\x01\x00", 5}, /* a zero in front */
        {"\x30\x82\x01", 3},
        {"\x30\x83\x00\x01\x00\x00", 6},
        {"\x30\x84\x00\x00\x00\x01\x00", 7}, /* four octets of length */
        {"\x30\xff\x01\x01\x01", 5},
        {"\x30\x05\x00\x00\x00\x00", 6}, /* more than there is */
        {"\x30\x83\xff\xff\xff\x00", 6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t tag = 0xee;
        qr_view v = {NULL, 77};
        size_t left = 0;
        assert_int_equal(next(rows[i].bytes, rows[i].len, &tag, &v, &left), QR_ERR_MALFORMED);
        assert_int_equal(tag, 0xee);
        assert_int_equal(v.len, 77);
        assert_int_equal(left, rows[i].len);
    }
}

static void
test_want(void **state)
{
    struct qr_der d = qr_der_of(qr_view_of("\x02\x01\x05\x04\x00", 5));
    qr_view v = {NULL, 77};
    (void)state;
    assert_int_equal(qr_der_want(&d, 0x04, &v), QR_ERR_MALFORMED);
    assert_int_equal(d.left, 5);
    assert_int_equal(v.len, 77);
    assert_int_equal(qr_der_want(&d, 0x02, &v), QR_OK);
    assert_int_equal(v.len, 1);
    assert_int_equal(qr_der_want(&d, 0x04, &v), QR_OK);
    assert_int_equal(v.len, 0);
    assert_int_equal(qr_der_want(&d, 0x04, &v), QR_ERR_MALFORMED);
}

static void
test_uint(void **state)
{
    static const uint64_t values[] = {
        0,         1,     127,   128,   200,      255,        256,
        32767,     32768, 65535, 65536, 1u << 31, UINT32_MAX, (uint64_t)1 << 63,
        UINT64_MAX};
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0},
               {"\x80", 1},
               {"\xff", 1},
               {"\x00\x00", 2},
               {"\x00\x7f", 2},
               {"\x01\x00\x00\x00\x00\x00\x00\x00\x00", 9},
               {"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00", 10}};
    uint64_t u = 77;
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t bytes[16];
        struct evgen_buf b = evgen_buf_over(bytes, sizeof bytes);
        struct qr_der d;
        qr_view v;
        evgen_der_put_uint(&b, values[i]);
        d = qr_der_of(evgen_buf_view(&b));
        assert_int_equal(qr_der_want(&d, 0x02, &v), QR_OK);
        assert_int_equal(qr_der_uint(v, &u), QR_OK);
        assert_true(u == values[i]);
    }
    u = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_der_uint(qr_view_of(bad[i].bytes, bad[i].len), &u), QR_ERR_MALFORMED);
        assert_int_equal(u, 77);
    }
}

static void
test_oid(void **state)
{
    static const char *const dots[] = {
        "1.3.6.1.4.1.3704.1.3.8",
        "1.2.840.113741.1.13.1",
        "2.5.29.15",
        "0.9.2342",
        "2.999.3",
        "1.3.6.1.4.1.311.10.3.12",
        "2.23.133.8.3",
        "1.2.3",
        "1.3.4294967295",
    };
    static const char *const no_oids[] = {"",
                                          "1",
                                          "3.1",
                                          "1.40",
                                          "1..3",
                                          ".1.3",
                                          "1.3.",
                                          "01.3.6",
                                          "1.3a",
                                          "1.3.-6",
                                          "1.3.42949672960",
                                          "1 3",
                                          "1.3.06"};
    const qr_view snp = qr_view_of("\x2b\x06\x01\x04\x01\x9c\x78\x01\x03\x08", 10);
    (void)state;
    assert_true(qr_der_is_oid(snp, dots[0]));
    assert_false(qr_der_is_oid(qr_view_of(snp.p, snp.len - 1), dots[0]));
    assert_false(qr_der_is_oid(qr_view_of("", 0), dots[0]));
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
        uint8_t bytes[64];
        struct evgen_buf b = evgen_buf_over(bytes, sizeof bytes);
        struct qr_der d;
        qr_view v;
        evgen_der_put_oid(&b, dots[i]);
        d = qr_der_of(evgen_buf_view(&b));
        assert_int_equal(qr_der_want(&d, 0x06, &v), QR_OK);
        for (size_t k = 0; k < sizeof dots / sizeof dots[0]; k++) {
            assert_int_equal(qr_der_is_oid(v, dots[k]), i == k);
        }
        for (size_t k = 0; k < sizeof no_oids / sizeof no_oids[0]; k++) {
            assert_false(qr_der_is_oid(v, no_oids[k]));
        }
    }
    /* 0x80 in front of a number is another writing of it, which DER has not */
    assert_false(qr_der_is_oid(qr_view_of("\x2b\x80\x06", 3), "1.3.6"));
    assert_true(qr_der_is_oid(qr_view_of("\x2b\x06", 2), "1.3.6"));
    assert_false(qr_der_is_oid(qr_view_of("\x2b\x06\x01", 3), "1.3.6"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next), cmocka_unit_test(test_not_der), cmocka_unit_test(test_want),
        cmocka_unit_test(test_uint), cmocka_unit_test(test_oid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
