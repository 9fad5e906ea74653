/*
 * The signature of an enclave image, and its measurements: against published vectors, an independent
 * computation, and every single changed byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/eif/eif_pcr.h"
#include "enclave-shim/eif/eif_sig.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_ca.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

/* ---- measurements ---- */

static void
assert_hex(const uint8_t *v, const char *hex)
{
    char got[2 * QR_EIF_PCR + 1];
    qr_hex_encode(qr_view_of(v, QR_EIF_PCR), got);
    assert_string_equal(got, hex);
}

/* The expected values come from three lines of Python's hashlib. */
static void
test_pcrs(void **state)
{
    struct qr_eif e = {.kernel = qr_view_str("kernel"),
                       .cmdline = qr_view_str("cmdline"),
                       .n_ramdisk = 3,
                       .ramdisk = {qr_view_str("boot"), qr_view_str("app1"), qr_view_str("app2")}};
    struct qr_eif_pcrs p;
    uint8_t text[QR_EIF_PCR];
    (void)state;
    assert_int_equal(qr_eif_measure(&e, &p), QR_OK);
    assert_hex(p.pcr0, "4899abbc99388c61e0c94fc2ee49378d9bcd4f95efba9c5a7faae0daa1700d5e"
                       "a5c07dfd00cfbdb6a9a543de14220d6f");
    assert_hex(p.pcr1, "57550eb13fb31d195ad533ebbb9e2c6d19fa967be171fe457072caef63398106"
                       "d6704e4cb9ee4a0d637264a92241bfd8");
    assert_hex(p.pcr2, "4d75c1ad1f691c63f15aea20df0bebd07ee6ba234ace95b71ec63d6ec100475d"
                       "fbb9f6327f5546737a848a58eed2e089");
    assert_int_equal(p.has_pcr8, 0);
    /* With one ramdisk PCR2 is the hash of nothing: the same for every image. */
    e.n_ramdisk = 1;
    assert_int_equal(qr_eif_measure(&e, &p), QR_OK);
    assert_memory_equal(p.pcr0, p.pcr1, sizeof p.pcr0);
    assert_hex(p.pcr2, "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c"
                       "10edb30948c90ba67310f7b964fc500a");
    assert_int_equal(
        qr_eif_pcr_text(qr_view_str("arn:aws:iam::123456789012:role/quorate-parent"), text), QR_OK);
    assert_hex(text, "50366c3d8f20a0c2ddf2ff83ca2dde68f47f12bf85e37099c42029f6493512c3"
                     "afbcaffb1283cb4932cb5e5c5e7a9adc");
    assert_int_equal(qr_eif_pcr_text(qr_view_str("i-0123456789abcdef0"), text), QR_OK);
    assert_hex(text, "d6432900ac1c343cb40286898792c55e962aef0cc35c4910c0c286145b51af19"
                     "e782cb21cc31a042671d7dfbd398251c");
}

/* ---- RFC 6979, A.2.6 ---- */

static EVP_PKEY *
key_of(const char *hex)
{
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_secp384r1);
    EC_POINT *p = EC_POINT_new(g);
    BIGNUM *x = NULL;
    uint8_t point[97];
    EVP_PKEY *k = NULL;
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    assert_true(BN_hex2bn(&x, hex) > 0);
    assert_int_equal(EC_POINT_mul(g, p, x, NULL, NULL, NULL), 1);
    assert_int_equal(
        EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, NULL),
        sizeof point);
    assert_true(OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-384", 0));
    assert_true(OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point));
    assert_true(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, x));
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(c), 1);
    assert_int_equal(EVP_PKEY_fromdata(c, &k, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(x);
    EC_POINT_free(p);
    EC_GROUP_free(g);
    return k;
}

static void
test_rfc6979(void **state)
{
    static const struct {
        const char *text, *raw;
    } rows[] = {
        {"sample", "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
                   "81a648152e44acf96e36dd1e80fabe46"
                   "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f"
                   "a329c145786e679e7b82c71a38628ac8"},
        {"test", "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb"
                 "0542a7f0812998da8f1dd3ca3cf023db"
                 "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e0"
                 "6a739f040649a667bf3b828246baa5a5"},
    };
    EVP_PKEY *k = key_of("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8"
                         "96D5724E4C70A825F872C9EA60D2EDF5");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t digest[48], raw[96];
        char hex[193];
        evgen_sha384(qr_view_str(rows[i].text), digest);
        assert_int_equal(qr_eif_es384(k, digest, raw), QR_OK);
        qr_hex_encode(qr_view_of(raw, sizeof raw), hex);
        assert_string_equal(hex, rows[i].raw);
    }
    EVP_PKEY_free(k);
    uint8_t digest[48] = {0}, raw[96];
    assert_int_equal(qr_eif_es384(evgen_key(EVGEN_P256, 0), digest, raw), QR_ERR_CRYPTO_LIB);
    printf("vectors: rfc6979-p384-sha384 2\n");
}

/* ---- the section ---- */

struct cert {
    char pem[8192];
    size_t len;
};

static qr_view
pem_of(enum evgen_key_kind kind, unsigned slot, struct cert *ret)
{
    struct evgen_der der;
    EVP_PKEY *k = evgen_key(kind, slot);
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=releases,O=Q", k, "CN=releases,O=Q", k, 0);
    evgen_cert(&s, &der);
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(b, x), 1);
    int n = BIO_read(b, ret->pem, (int)sizeof ret->pem);
    assert_true(n > 0);
    ret->len = (size_t)n;
    BIO_free(b);
    X509_free(x);
    return qr_view_of(ret->pem, ret->len);
}

static const uint8_t pcr0[QR_EIF_PCR] = {1, 2, 3, 24, 0x80, 255};

static void
make_section(struct qr_dbuf *d)
{
    static struct cert c; /* its own signature is random: one certificate for all */
    char err[QR_EIF_ERR_MAX] = "";
    qr_view pem = c.len > 0 ? qr_view_of(c.pem, c.len) : pem_of(EVGEN_P384, 0, &c);
    qr_dbuf_init(d, QR_EIF_SIGNATURE_MAX);
    qr_err e = qr_eif_sig_write(evgen_key(EVGEN_P384, 0), pem, pcr0, d, err, sizeof err);
    assert_string_equal(err, "");
    assert_int_equal(e, QR_OK);
}

static void
test_section(void **state)
{
    struct qr_dbuf d, again;
    struct qr_eif_sig s;
    struct qr_eif_pcrs p;
    uint8_t pcr8[QR_EIF_PCR];
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    make_section(&d);
    make_section(&again); /* deterministic */
    assert_int_equal(d.len, again.len);
    assert_memory_equal(d.p, again.p, d.len);
    assert_int_equal(qr_eif_sig_read(qr_view_of(d.p, d.len), &s, err, sizeof err), QR_OK);
    assert_int_equal(s.valid, 1);
    assert_memory_equal(s.pcr0, pcr0, sizeof pcr0);
    assert_string_equal(s.subject, "O=Q,CN=releases");
    assert_true(s.from_ms < EVGEN_NOW_MS && s.until_ms > EVGEN_NOW_MS);
    struct qr_eif e = {.kernel = qr_view_str("k"),
                       .cmdline = qr_view_str("c"),
                       .n_ramdisk = 1,
                       .ramdisk = {qr_view_str("r")},
                       .signature = qr_view_of(d.p, d.len)};
    assert_int_equal(qr_eif_measure(&e, &p), QR_OK);
    assert_int_equal(qr_eif_pcr8(qr_view_of(s.cert_der, s.cert_der_len), pcr8), QR_OK);
    assert_int_equal(p.has_pcr8, 1);
    assert_memory_equal(p.pcr8, pcr8, sizeof pcr8);
    e.signature.len--;
    assert_int_equal(qr_eif_measure(&e, &p), QR_ERR_MALFORMED);
    qr_dbuf_free(&d);
    qr_dbuf_free(&again);
}

/*
 * Every changed byte of the section, and every shorter one: refused, or no longer valid, or the same
 * PCR0 signed (a certificate's text has white space that means nothing), never another PCR0.
 */
static void
test_every_byte(void **state)
{
    struct qr_dbuf d;
    struct qr_eif_sig s;
    (void)state;
    make_section(&d);
    for (size_t n = 0; n < d.len; n++) {
        assert_int_equal(qr_eif_sig_read(qr_view_of(d.p, n), &s, NULL, 0), QR_ERR_MALFORMED);
    }
    for (size_t i = 0; i < d.len; i++) {
        d.p[i] ^= 1;
        if (qr_eif_sig_read(qr_view_of(d.p, d.len), &s, NULL, 0) == QR_OK && s.valid) {
            assert_memory_equal(s.pcr0, pcr0, sizeof pcr0);
        }
        d.p[i] ^= 1;
    }
    assert_int_equal(qr_dbuf_append(&d, "\0", 1), QR_OK);
    assert_int_equal(qr_eif_sig_read(qr_view_of(d.p, d.len), &s, NULL, 0), QR_ERR_MALFORMED);
    qr_dbuf_free(&d);
}

static void
test_write_refuses(void **state)
{
    struct cert own, other, p256, twice;
    struct qr_dbuf d;
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    qr_view o = pem_of(EVGEN_P384, 0, &own);
    memcpy(twice.pem, own.pem, own.len);
    memcpy(twice.pem + own.len, own.pem, own.len);
    const struct {
        EVP_PKEY *key;
        qr_view cert;
        const char *says;
    } rows[] = {
        {evgen_key(EVGEN_P384, 0), pem_of(EVGEN_P384, 1, &other), "belong together"},
        {evgen_key(EVGEN_P256, 0), pem_of(EVGEN_P256, 0, &p256), "P-384"},
        {evgen_key(EVGEN_P384, 0), qr_view_of(twice.pem, 2 * own.len), "one PEM certificate"},
        {evgen_key(EVGEN_P384, 0), qr_view_of(o.p + 1, o.len - 1), "one PEM certificate"},
        {evgen_key(EVGEN_P384, 0), qr_view_str("none"), "one PEM certificate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        qr_dbuf_init(&d, QR_EIF_SIGNATURE_MAX);
        assert_int_equal(qr_eif_sig_write(rows[i].key, rows[i].cert, pcr0, &d, err, sizeof err),
                         QR_ERR_MALFORMED);
        assert_non_null(strstr(err, rows[i].says));
        assert_int_equal(d.len, 0);
        qr_dbuf_free(&d);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcrs),          cmocka_unit_test(test_rfc6979),
        cmocka_unit_test(test_section),       cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_write_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
