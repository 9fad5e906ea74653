/* Certificates as bytes: DER and PEM, one form of each, every bound; and every byte of a leaf counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "test/common/evgen_ca.h"

/* Leaf, intermediate and pinned root. */
static struct {
    struct evgen_der der[3];
    struct qr_roots roots;
    struct qr_chain_rules rules;
    struct qr_verdict v;
} c;

static void
make(void)
{
    EVP_PKEY *key[3];
    static const char *const name[3] = {"CN=Leaf", "CN=Middle", "CN=Root"};
    memset(&c, 0, sizeof c);
    c.rules = (struct qr_chain_rules){.root = QR_ROOT_INTEL, .now_ms = EVGEN_NOW_MS};
    qr_verdict_init(&c.v);
    for (unsigned i = 0; i < 3; i++) {
        key[i] = evgen_key(EVGEN_P256, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        unsigned up = i < 2 ? i + 1 : 2;
        struct evgen_cert_spec s = evgen_cert_spec_of(name[i], key[i], name[up], key[up], i > 0);
        evgen_cert(&s, &c.der[i]);
    }
    evgen_pin(&c.roots, QR_ROOT_INTEL, &c.der[2]);
}

static enum qr_reason
add_der(qr_view v)
{
    struct qr_certs s = {0};
    qr_verdict_init(&c.v);
    qr_err e = qr_certs_add_der(&s, v, &c.v, QR_CHECK_PARSE, "piece");
    assert_true((e == QR_OK) == (c.v.reason == QR_REASON_NONE));
    assert_int_equal(s.n, e == QR_OK);
    qr_certs_free(&s);
    return c.v.reason;
}

static void
test_der(void **state)
{
    static uint8_t bytes[9000];
    (void)state;
    make();
    size_t len = c.der[0].len;
    memcpy(bytes, c.der[0].p, len);
    assert_int_equal(add_der(qr_view_of(bytes, len)), QR_REASON_NONE);
    assert_int_equal(add_der(qr_view_of(bytes, len + 1)), QR_REASON_TRAILING_DATA);
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(add_der(qr_view_of(bytes, n)), QR_REASON_MALFORMED);
    }
    assert_int_equal(add_der(qr_view_of(bytes, sizeof bytes)), QR_REASON_RESOURCE_LIMIT);
    bytes[0] = 0x31;
    assert_int_equal(add_der(qr_view_of(bytes, len)), QR_REASON_MALFORMED);
    /* BER that OpenSSL would take: a length with a leading zero octet */
    memcpy(bytes + 5, c.der[0].p + 4, len - 4);
    memcpy(bytes, "\x30\x83\x00", 3);
    memcpy(bytes + 3, c.der[0].p + 2, 2);
    assert_int_equal(add_der(qr_view_of(bytes, len + 1)), QR_REASON_MALFORMED);
    assert_non_null(strstr(c.v.sentence, "piece: expected a certificate"));
}

static void
test_too_many(void **state)
{
    struct qr_certs s = {0};
    static uint8_t text[32768];
    struct evgen_buf pem = evgen_buf_over(text, sizeof text);
    (void)state;
    make();
    for (size_t i = 0; i < QR_CERTS_MAX; i++) {
        assert_int_equal(qr_certs_add_der(&s, evgen_view(&c.der[0]), &c.v, QR_CHECK_PARSE, "x"),
                         QR_OK);
        evgen_put_pem(&pem, &c.der[0]);
    }
    assert_int_equal(qr_certs_add_der(&s, evgen_view(&c.der[0]), &c.v, QR_CHECK_PARSE, "x"),
                     QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_RESOURCE_LIMIT);
    assert_int_equal(s.n, QR_CERTS_MAX);
    qr_certs_free(&s);
    qr_verdict_init(&c.v);
    assert_int_equal(qr_certs_add_pem(&s, evgen_buf_view(&pem), &c.v, QR_CHECK_PARSE, "x"), QR_OK);
    assert_int_equal(s.n, QR_CERTS_MAX);
    qr_certs_free(&s);
    evgen_put_pem(&pem, &c.der[0]);
    assert_int_equal(qr_certs_add_pem(&s, evgen_buf_view(&pem), &c.v, QR_CHECK_PARSE, "x"),
                     QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_RESOURCE_LIMIT);
    qr_certs_free(&s);
}

static enum qr_reason
add_pem(qr_view text, size_t *ret_n)
{
    struct qr_certs s = {0};
    qr_verdict_init(&c.v);
    qr_err e = qr_certs_add_pem(&s, text, &c.v, QR_CHECK_PARSE, "text");
    assert_true((e == QR_OK) == (c.v.reason == QR_REASON_NONE));
    *ret_n = s.n;
    for (size_t i = 0; i < s.n; i++) {
        assert_true(qr_view_eq(s.der[i], evgen_view(&c.der[i])));
    }
    qr_certs_free(&s);
    return c.v.reason;
}

static void
test_pem(void **state)
{
    static uint8_t text[200000];
    struct evgen_buf b = evgen_buf_over(text, sizeof text);
    size_t n = 0;
    (void)state;
    make();
    assert_int_equal(add_pem(evgen_buf_view(&b), &n),
                     QR_REASON_NONE); /* nothing is no error here */
    assert_int_equal(n, 0);
    for (size_t i = 0; i < 3; i++) {
        evgen_put_pem(&b, &c.der[i]);
        evgen_put_str(&b, " \t\r\n");
    }
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_NONE);
    assert_int_equal(n, 3);
    evgen_put(&b, "", 1); /* quotes end their chains with a NUL */
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_NONE);
    assert_int_equal(n, 3);
    evgen_put(&b, "", 1);
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_MALFORMED);
    b.len--;
    evgen_put_str(&b, "x");
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_MALFORMED);
    assert_int_equal(add_pem(qr_view_of(text, sizeof text), &n), QR_REASON_RESOURCE_LIMIT);
    b.len = 0;
    evgen_put_pem(&b, &c.der[0]);
    size_t one = b.len;
    for (size_t len = 1; len < one - 1;
         len++) { /* the last byte is a newline that may be missing */
        assert_int_equal(add_pem(qr_view_of(text, len), &n), QR_REASON_MALFORMED);
    }
    text[40] = '*'; /* not of the alphabet */
    assert_int_equal(add_pem(qr_view_of(text, one), &n), QR_REASON_MALFORMED);
    b.len = 0;
    evgen_put_str(&b, "-----BEGIN CERTIFICATE-----\n");
    evgen_fill(&b, 'A', 12000);
    evgen_put_str(&b, "\n-----END CERTIFICATE-----\n");
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_RESOURCE_LIMIT);
    b.len = 0;
    evgen_put_str(&b, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_MALFORMED);
    b.len = 0;
    evgen_put_str(&b, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert_int_equal(add_pem(evgen_buf_view(&b), &n), QR_REASON_MALFORMED);
}

/* Several texts, and PEM beside DER: each certificate keeps its own bytes. */
static void
test_pem_again(void **state)
{
    static uint8_t text[3][8192];
    struct qr_certs s = {0};
    (void)state;
    make();
    for (size_t i = 0; i < 3; i++) {
        struct evgen_buf b = evgen_buf_over(text[i], sizeof text[i]);
        evgen_put_pem(&b, &c.der[i]);
        assert_int_equal(
            i == 1 ? qr_certs_add_der(&s, evgen_view(&c.der[1]), &c.v, QR_CHECK_PARSE, "x")
                   : qr_certs_add_pem(&s, evgen_buf_view(&b), &c.v, QR_CHECK_PARSE, "x"),
            QR_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(qr_view_eq(s.der[i], evgen_view(&c.der[i])));
    }
    assert_int_equal(qr_chain_verify(&s, &c.roots, &c.rules, &c.v), QR_OK);
    qr_certs_free(&s);
    qr_certs_free(&s); /* twice is once */
}

/* No byte of a certificate may be changed without the chain noticing. */
static void
test_every_byte(void **state)
{
    (void)state;
    make();
    for (size_t at = 0; at < c.der[0].len; at++) {
        struct qr_certs s = {0};
        int ok = 1;
        c.der[0].p[at] ^= 1;
        qr_verdict_init(&c.v);
        for (size_t i = 0; i < 3 && ok; i++) {
            ok = qr_certs_add_der(&s, evgen_view(&c.der[i]), &c.v, QR_CHECK_PARSE, "x") == QR_OK;
        }
        ok = ok && qr_chain_verify(&s, &c.roots, &c.rules, &c.v) == QR_OK;
        assert_false(ok);
        qr_certs_free(&s);
        c.der[0].p[at] ^= 1;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_der),        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_pem),        cmocka_unit_test(test_pem_again),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
