/*
 * KMS's CMS: read as KMS writes it and as OpenSSL does, opened by the right key alone, and refused
 * when anything about it is different.
 */
#include "enclave-shim/nitro/cms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/evgen_ca.h"
#include "test/common/kmsbox.h"

#include <openssl/cms.h>
#include <openssl/rsa.h>

static const char *what;
static uint8_t secret[32];

static qr_err
open_it(qr_view der, EVP_PKEY *key, struct qr_sec32 *ret)
{
    struct qr_cms c;
    QR_TRY(qr_cms_parse(der, &c, &what));
    return qr_cms_decrypt(&c, key, ret);
}

static void
test_forms_of_kms(void **state)
{
    uint8_t der[2048];
    (void)state;
    for (unsigned pieces = 0; pieces <= 4; pieces++) {
        struct qr_sec32 k = {{0}};
        size_t n = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, 32), pieces, der,
                              sizeof der);
        assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k), QR_OK);
        assert_memory_equal(k.b, secret, 32);
        assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 1), &k), QR_ERR_SEAL);
    }
    size_t n = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, 32), 5, der, sizeof der);
    struct qr_sec32 k;
    assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k),
                     QR_ERR_MALFORMED);
}

/* The same message by OpenSSL's CMS, which knows nothing of ours, and ours read by it. */
static size_t
by_openssl(const char *subject, int with_md, const EVP_CIPHER *cipher, unsigned flags, uint8_t *out,
           size_t cap)
{
    struct evgen_der der;
    uint8_t id_mem[32];
    struct evgen_buf id = evgen_buf_over(id_mem, sizeof id_mem);
    EVP_PKEY *k = evgen_key(EVGEN_RSA2048, 0);
    struct evgen_cert_spec s = evgen_cert_spec_of(subject, k, subject, k, 1);
    evgen_der_put(&id, 0x04, qr_view_str("0123456789abcdef0123"));
    evgen_spec_add_ext(&s, "2.5.29.14", evgen_buf_view(&id), 0);
    evgen_cert(&s, &der);
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    BIO *plain = BIO_new_mem_buf(secret, sizeof secret);
    CMS_ContentInfo *c = CMS_encrypt(NULL, plain, cipher, CMS_BINARY | CMS_PARTIAL | CMS_USE_KEYID);
    assert_non_null(c);
    CMS_RecipientInfo *ri =
        CMS_add1_recipient_cert(c, x, CMS_KEY_PARAM | CMS_USE_KEYID | CMS_BINARY);
    assert_non_null(ri);
    EVP_PKEY_CTX *pctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_OAEP_PADDING) > 0);
    if (with_md) {
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(pctx, EVP_sha256()) > 0);
    }
    assert_int_equal(CMS_final(c, plain, NULL, CMS_BINARY | flags), 1);
    unsigned char *o = NULL;
    int n = i2d_CMS_ContentInfo(c, &o);
    assert_true(n > 0 && (size_t)n <= cap);
    memcpy(out, o, (size_t)n);
    OPENSSL_free(o);
    CMS_ContentInfo_free(c);
    BIO_free(plain);
    X509_free(x);
    return (size_t)n;
}

static void
test_read_what_openssl_wrote(void **state)
{
    uint8_t der[2048];
    struct qr_sec32 k = {{0}};
    (void)state;
    size_t n = by_openssl("CN=r", 1, EVP_aes_256_cbc(), 0, der, sizeof der);
    assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k), QR_OK);
    assert_memory_equal(k.b, secret, 32);
    /* Other algorithms than KMS's are other messages. */
    n = by_openssl("CN=r", 0, EVP_aes_256_cbc(), 0, der, sizeof der);
    assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k),
                     QR_ERR_MALFORMED);
    assert_string_equal(what, "RSAES-OAEP with SHA-256");
    n = by_openssl("CN=r", 1, EVP_aes_128_cbc(), 0, der, sizeof der);
    assert_int_equal(open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k),
                     QR_ERR_MALFORMED);
}

static void
test_openssl_reads_what_the_box_wrote(void **state)
{
    uint8_t der[2048];
    (void)state;
    for (unsigned pieces = 0; pieces <= 2; pieces++) {
        size_t n = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, 32), pieces, der,
                              sizeof der);
        const unsigned char *p = der;
        CMS_ContentInfo *c = d2i_CMS_ContentInfo(NULL, &p, (long)n);
        BIO *out = BIO_new(BIO_s_mem());
        uint8_t plain[64];
        assert_non_null(c);
        assert_int_equal(CMS_decrypt_set1_pkey(c, evgen_key(EVGEN_RSA2048, 0), NULL), 1);
        assert_int_equal(CMS_decrypt(c, NULL, NULL, NULL, out, 0), 1);
        assert_int_equal(BIO_read(out, plain, sizeof plain), 32);
        assert_memory_equal(plain, secret, 32);
        BIO_free(out);
        CMS_ContentInfo_free(c);
    }
}

/* A prefix, a byte behind it, and every bit of it turned: what still opens gives the same secret. */
static void
test_changed(void **state)
{
    uint8_t der[2048], x[2048];
    struct qr_sec32 k;
    size_t opened = 0;
    (void)state;
    size_t n = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, 32), 1, der, sizeof der);

    for (size_t len = 0; len < n; len++) {
        struct qr_cms c;
        assert_int_not_equal(qr_cms_parse(qr_view_of(der, len), &c, &what), QR_OK);
    }
    der[n] = 0;
    struct qr_cms c;
    assert_int_equal(qr_cms_parse(qr_view_of(der, n + 1), &c, &what), QR_ERR_TRAILING);
    for (size_t i = 0; i < n; i++) {
        memcpy(x, der, n);
        x[i] ^= 1;
        qr_err e = qr_cms_parse(qr_view_of(x, n), &c, &what);
        if (e != QR_OK) {
            assert_int_equal(e, QR_ERR_MALFORMED);
            assert_true(what && what[0]);
            continue;
        }
        /* Only the identifier (not looked at), the wrapped key, the IV and the content are free. */
        opened++;
    }
    assert_int_equal(opened, 32 + 256 + 16 + 48);
    /* The wrapped key changed: no secret. */
    memcpy(x, der, n);
    for (size_t i = 0; i + 256 < n; i++) {
        if (x[i] == 0x04 && x[i + 1] == 0x82 && x[i + 2] == 0x01 && x[i + 3] == 0x00) {
            x[i + 100] ^= 1;
            break;
        }
    }
    assert_int_equal(open_it(qr_view_of(x, n), evgen_key(EVGEN_RSA2048, 0), &k), QR_ERR_SEAL);
}

static void
test_lengths_inside(void **state)
{
    uint8_t der[2048];
    static const size_t lens[] = {0, 15, 16, 31, 33, 47};
    struct qr_sec32 k;
    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t plain[64] = {0};
        size_t n =
            kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(plain, lens[i]), 1, der, sizeof der);
        qr_err e = open_it(qr_view_of(der, n), evgen_key(EVGEN_RSA2048, 0), &k);
        assert_true(e == QR_ERR_MALFORMED || e == QR_ERR_SEAL);
    }
    size_t n = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, 32), 1, der, sizeof der);
    struct qr_cms c;
    assert_int_equal(qr_cms_parse(qr_view_of(der, n), &c, &what), QR_OK);
    assert_int_equal(qr_cms_decrypt(&c, evgen_key(EVGEN_P256, 0), &k), QR_ERR_CRYPTO_LIB);
    n = kmsbox_cms(evgen_key(EVGEN_RSA4096, 0), qr_view_of(secret, 32), 1, der, sizeof der);
    assert_int_equal(qr_cms_parse(qr_view_of(der, n), &c, &what), QR_ERR_MALFORMED);
    static uint8_t big[QR_CMS_MAX + 1];
    assert_int_equal(qr_cms_parse(qr_view_of(big, sizeof big), &c, &what), QR_ERR_TOO_LARGE);
}

static int
start(void **state)
{
    (void)state;
    memset(secret, 0x42, sizeof secret);
    secret[0] = 1;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_kms),
        cmocka_unit_test(test_read_what_openssl_wrote),
        cmocka_unit_test(test_openssl_reads_what_the_box_wrote),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_lengths_inside),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
