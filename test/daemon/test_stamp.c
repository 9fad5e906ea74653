/*
 * Stamps: what a client makes is accepted by the right key over the right bytes only; malformed
 * headers, DER and keys are refused; Wycheproof's verdicts for all three schemes through the very
 * functions a request goes through.
 */
#include "daemon/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/stamps.h"
#include "test/common/vectors.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>

static char why[256];

static int
setup(void **state)
{
    (void)state;
    return qr_stamp_init() == QR_OK ? 0 : -1;
}

/* A header with these member values; NULL leaves one out. */
static qr_view
header(const char *key, const char *sig, const char *scheme, const char *more, char *out)
{
    char json[1500] = "{";
    const char *const names[] = {"publicKey", "signature", "scheme"};
    const char *const values[] = {key, sig, scheme};
    size_t len = 1;

    for (size_t i = 0; i < 3; i++) {
        if (values[i]) {
            len += (size_t)snprintf(json + len, sizeof json - len, "%s\"%s\":\"%s\"",
                                    len > 1 ? "," : "", names[i], values[i]);
        }
    }
    len += (size_t)snprintf(json + len, sizeof json - len, "%s}", more);
    qr_b64url_encode(qr_view_of(json, len), out);
    return qr_view_str(out);
}

static void
test_round_trip(void **state)
{
    static const char body[] = "{\"v\":1}", other[] = "{\"v\":2}";
    (void)state;
    for (int scheme = QR_SCHEME_P256; scheme <= QR_SCHEME_ED25519; scheme++) {
        struct stamper a, b;
        struct qr_pubkey *ka = NULL, *kb = NULL;
        struct qr_stamp s, t;
        char out[QR_STAMP_MAX];

        stamper_new(&a, (enum qr_scheme)scheme);
        stamper_new(&b, (enum qr_scheme)scheme);
        assert_int_equal(qr_pubkey_new(&a.pub, &ka), QR_OK);
        assert_int_equal(qr_pubkey_new(&b.pub, &kb), QR_OK);
        /* many, because signatures differ in length and in the size of s */
        for (int i = 0; i < 40; i++) {
            qr_view h = stamper_stamp(&a, qr_view_str(body), out);
            assert_int_equal(qr_stamp_parse(h, &s, why, sizeof why), QR_OK);
            assert_int_equal(qr_stamp_key_cmp(&s.key, &a.pub), 0);
            assert_int_equal(qr_stamp_verify(ka, &s, qr_view_str(body)), QR_OK);
            assert_int_equal(qr_stamp_verify(ka, &s, qr_view_str(other)), QR_ERR_STAMP_INVALID);
            assert_int_equal(qr_stamp_verify(ka, &s, qr_view_of(body, 6)), QR_ERR_STAMP_INVALID);
            assert_int_equal(qr_stamp_verify(ka, &s, qr_view_of(body, 0)), QR_ERR_STAMP_INVALID);
            assert_int_equal(qr_stamp_verify(kb, &s, qr_view_str(body)), QR_ERR_STAMP_INVALID);
            /* the other key's name on our signature */
            t = s;
            t.key = b.pub;
            assert_int_equal(qr_stamp_verify(kb, &t, qr_view_str(body)), QR_ERR_STAMP_INVALID);
        }
        for (size_t i = 0; i < 8 * s.sig_len; i++) {
            t = s;
            t.sig[i / 8] ^= (uint8_t)(1u << (i % 8));
            assert_int_equal(qr_stamp_verify(ka, &t, qr_view_str(body)), QR_ERR_STAMP_INVALID);
        }
        /* an empty body is a body */
        qr_view h = stamper_stamp(&a, qr_view_of("", 0), out);
        assert_int_equal(qr_stamp_parse(h, &s, why, sizeof why), QR_OK);
        assert_int_equal(qr_stamp_verify(ka, &s, qr_view_of("", 0)), QR_OK);
        qr_pubkey_free(ka);
        qr_pubkey_free(kb);
        stamper_free(&a);
        stamper_free(&b);
    }
    EVP_PKEY *other_curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    struct qr_stamp_key k;
    char out[QR_STAMP_MAX];
    assert_int_equal(qr_stamp_key_of(other_curve, &k), QR_ERR_USAGE);
    assert_int_equal(qr_stamp_sign(other_curve, qr_view_str("x"), out, sizeof out), QR_ERR_USAGE);
    EVP_PKEY_free(other_curve);
}

/* The same bytes under another scheme's name are another key. */
static void
test_schemes_apart(void **state)
{
    struct stamper a;
    struct qr_stamp s;
    struct qr_pubkey *k = NULL;
    char out[QR_STAMP_MAX];
    enum qr_scheme parsed;

    (void)state;
    stamper_new(&a, QR_SCHEME_SECP256K1);
    assert_int_equal(qr_pubkey_new(&a.pub, &k), QR_OK);
    assert_int_equal(qr_stamp_parse(stamper_stamp(&a, qr_view_str("x"), out), &s, why, sizeof why),
                     QR_OK);
    s.key.scheme = QR_SCHEME_P256;
    assert_int_equal(qr_stamp_verify(k, &s, qr_view_str("x")), QR_ERR_STAMP_INVALID);
    assert_int_not_equal(qr_stamp_key_cmp(&s.key, &a.pub), 0);
    qr_pubkey_free(k);
    stamper_free(&a);
    for (int i = QR_SCHEME_P256; i <= QR_SCHEME_ED25519; i++) {
        assert_int_equal(qr_scheme_parse(qr_view_str(qr_scheme_name((enum qr_scheme)i)), &parsed),
                         QR_OK);
        assert_int_equal(parsed, i);
    }
    assert_string_equal(qr_scheme_name((enum qr_scheme)0), "unknown");
    assert_string_equal(qr_scheme_name((enum qr_scheme)9), "unknown");
    assert_int_equal(qr_scheme_parse(qr_view_str("P256"), &parsed), QR_ERR_MALFORMED);
}

#define P256 "SIGNATURE_SCHEME_TK_API_P256"
#define SECP "SIGNATURE_SCHEME_TK_API_SECP256K1"
#define ED "SIGNATURE_SCHEME_TK_API_ED25519"
#define KEY33 "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define KEY32 "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define DER "3006020101020101"
#define ZERO16 "00000000000000000000000000000000"
#define SIG64 ZERO16 ZERO16 ZERO16 ZERO16

static void
test_headers(void **state)
{
    static const struct {
        const char *key, *sig, *scheme, *more, *why;
    } cases[] = {
        {KEY33, DER, P256, "", NULL},
        {KEY33, DER, SECP, "", NULL},
        {KEY32, SIG64, ED, "", NULL},
        {KEY33, DER, "SIGNATURE_SCHEME_TK_API_P384", "",
         "unknown scheme \"SIGNATURE_SCHEME_TK_API_P384\""},
        {KEY33, DER, "", "", "scheme: 0 bytes, at least 1 are needed"},
        {KEY33, DER, NULL, "", "member \"scheme\" is missing"},
        {NULL, DER, P256, "", "member \"publicKey\" is missing"},
        {KEY33, NULL, P256, "", "member \"signature\" is missing"},
        {KEY33, DER, P256, ",\"nonce\":1", "unknown member \"nonce\""},
        {KEY33, DER, P256, ",\"scheme\":\"" P256 "\"", ""},
        {KEY32, DER, P256, "", "publicKey must be 66 lower-case hex digits for this scheme"},
        {KEY33, SIG64, ED, "", "publicKey must be 64 lower-case hex digits for this scheme"},
        {"0279BE667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", DER, P256, "",
         "publicKey must be 66 lower-case hex digits for this scheme"},
        {KEY33, "3006020101020101a", P256, "", "signature must be lower-case hex"},
        {KEY33, "300602010102010g", P256, "", "signature must be lower-case hex"},
        {KEY33, "0000000000000000", P256, "", "signature is not strict DER"},
        {KEY33, SIG64, P256, "", "signature is not strict DER"},
        {KEY32, DER, ED, "", "signature is not 64 bytes"},
        {KEY32, SIG64 "00", ED, "", "signature is not 64 bytes"},
        /* DER */
        {KEY33, "300702020001020101", P256, "", "signature is not strict DER"},
        {KEY33, "300702010102020001", P256, "", "signature is not strict DER"},
        {KEY33, "3006020181020101", P256, "", "signature is not strict DER"},
        {KEY33, "3006020100020101", P256, "", "signature is not strict DER"},
        {KEY33, "3006020101020100", P256, "", "signature is not strict DER"},
        {KEY33, "300602010102010100", P256, "", "signature is not strict DER"},
        {KEY33, "300702010102010100", P256, "", "signature is not strict DER"},
        {KEY33, "3005020101020101", P256, "", "signature is not strict DER"},
        {KEY33,
         "30810602010102"
         "0101",
         P256, "", "signature is not strict DER"},
        {KEY33, "3080020101020101", P256, "", "signature is not strict DER"},
        {KEY33, "3106020101020101", P256, "", "signature is not strict DER"},
        {KEY33, "3006030101020101", P256, "", "signature is not strict DER"},
        {KEY33, "3006020001020101", P256, "", "signature is not strict DER"},
        {KEY33, "3005020002010100", P256, "", "signature is not strict DER"},
        {KEY33, "3006020101020201", P256, "", "signature is not strict DER"},
        {KEY33,
         "30"
         "26"
         "0221"
         "01" ZERO16 ZERO16 "020101",
         P256, "", "signature is not strict DER"},
        {KEY33,
         "30"
         "26"
         "0221"
         "00"
         "ff" ZERO16 "000000000000000000000000000000"
         "020101",
         P256, "", NULL},
    };
    char out[4096];
    struct qr_stamp s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_view h = header(cases[i].key, cases[i].sig, cases[i].scheme, cases[i].more, out);
        qr_err e = qr_stamp_parse(h, &s, why, sizeof why);
        int ok = cases[i].why == NULL;
        if ((e == QR_OK) != ok || (!ok && e != QR_ERR_STAMP_INVALID) ||
            (!ok && cases[i].why[0] && strcmp(why, cases[i].why) != 0)) {
            fail_msg("case %zu: %s, \"%s\"", i, qr_err_name(e), why);
        }
    }
    /* base64url */
    size_t n = header(KEY33, DER, P256, "", out).len;
    assert_int_equal(qr_stamp_parse(qr_view_of(out, n), &s, why, sizeof why), QR_OK);
    static const char *const spoil[] = {"=", " ", "\n", "+", "/", "."};
    for (size_t i = 0; i < sizeof spoil / sizeof spoil[0]; i++) {
        char bad[4096];
        (void)snprintf(bad, sizeof bad, "%s%s", out, spoil[i]);
        assert_int_equal(qr_stamp_parse(qr_view_str(bad), &s, why, sizeof why),
                         QR_ERR_STAMP_INVALID);
    }
    for (size_t k = 0; k < n; k++) {
        assert_int_equal(qr_stamp_parse(qr_view_of(out, k), &s, why, sizeof why),
                         QR_ERR_STAMP_INVALID);
    }
    memset(out, 'A', sizeof out);
    assert_int_equal(qr_stamp_parse(qr_view_of(out, QR_STAMP_MAX + 1), &s, why, sizeof why),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(qr_stamp_parse(qr_view_of(out, QR_STAMP_MAX), &s, NULL, 0),
                     QR_ERR_STAMP_INVALID);
}

static void
test_bad_keys(void **state)
{
    static const struct {
        enum qr_scheme scheme;
        const char *hex;
    } bad[] = {
        /* not on the curve, not a compressed form, x above the field's prime */
        {QR_SCHEME_P256, "020000000000000000000000000000000000000000000000000000000000000007"},
        {QR_SCHEME_P256, "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"},
        {QR_SCHEME_P256, "066b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"},
        {QR_SCHEME_P256, "000000000000000000000000000000000000000000000000000000000000000000"},
        {QR_SCHEME_P256, "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        {QR_SCHEME_SECP256K1, "020000000000000000000000000000000000000000000000000000000000000005"},
        {QR_SCHEME_SECP256K1, "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
        {QR_SCHEME_SECP256K1, "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        /* small order, and an encoding that is not canonical */
        {QR_SCHEME_ED25519, "0100000000000000000000000000000000000000000000000000000000000000"},
        {QR_SCHEME_ED25519, "0000000000000000000000000000000000000000000000000000000000000000"},
        {QR_SCHEME_ED25519, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        {QR_SCHEME_ED25519, "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    };
    struct qr_pubkey *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct qr_stamp_key k = {.scheme = bad[i].scheme};
        hex_bytes(bad[i].hex, k.b, qr_scheme_key_len(k.scheme));
        if (qr_pubkey_new(&k, &p) != QR_ERR_POINT) {
            fail_msg("%s was taken for a key", bad[i].hex);
        }
    }
    qr_pubkey_free(NULL);
}

/* n - s signs the same: the published scheme does not say which of the two a client sends. */
static void
test_high_s(void **state)
{
    static const char *const order[] = {
        [QR_SCHEME_P256] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        [QR_SCHEME_SECP256K1] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    };
    (void)state;
    for (int scheme = QR_SCHEME_P256; scheme <= QR_SCHEME_SECP256K1; scheme++) {
        struct stamper a;
        struct qr_pubkey *k = NULL;
        struct qr_stamp s;
        char out[QR_STAMP_MAX];
        uint8_t n_bytes[32], *p = s.sig;
        const uint8_t *in = s.sig;

        stamper_new(&a, (enum qr_scheme)scheme);
        assert_int_equal(qr_pubkey_new(&a.pub, &k), QR_OK);
        qr_view h = stamper_stamp(&a, qr_view_str("x"), out);
        assert_int_equal(qr_stamp_parse(h, &s, why, sizeof why), QR_OK);

        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &in, (long)s.sig_len);
        hex_bytes(order[scheme], n_bytes, 32);
        BIGNUM *n = BN_bin2bn(n_bytes, 32, NULL), *flipped = BN_new(),
               *r = BN_dup(ECDSA_SIG_get0_r(sig));
        assert_int_equal(BN_sub(flipped, n, ECDSA_SIG_get0_s(sig)), 1);
        assert_int_equal(ECDSA_SIG_set0(sig, r, flipped), 1);
        s.sig_len = (size_t)i2d_ECDSA_SIG(sig, &p);
        assert_int_equal(qr_stamp_verify(k, &s, qr_view_str("x")), QR_OK);
        assert_int_equal(qr_stamp_verify(k, &s, qr_view_str("y")), QR_ERR_STAMP_INVALID);
        ECDSA_SIG_free(sig);
        BN_free(n);
        qr_pubkey_free(k);
        stamper_free(&a);
    }
}

/* Wycheproof through qr_stamp_verify. Signatures too long for a stamp are refused with the header. */
static void
wycheproof(const char *file, enum qr_scheme scheme)
{
    struct vec v;

    vec_open(&v, file);
    while (vec_next(&v)) {
        struct qr_stamp s = {.key = {.scheme = scheme}};
        json_t *key = json_object_get(v.group, "publicKey");
        struct qr_pubkey *p = NULL;
        qr_view sig = vec_hex(&v, v.test, "sig"), msg = vec_hex(&v, v.test, "msg");
        char key_hex[67], sig_hex[2048], out[4096];
        qr_view wire = {0};

        if (scheme == QR_SCHEME_ED25519) {
            qr_view pk = vec_hex(&v, key, "pk");
            vec_require(&v, pk.len == 32, "key of 32 bytes");
            memcpy(s.key.b, pk.p, 32);
        } else {
            qr_view pk = vec_hex(&v, key, "uncompressed");
            vec_require(&v, pk.len == 65, "key of 65 bytes");
            s.key.b[0] = (uint8_t)(2 + (pk.p[64] & 1));
            memcpy(s.key.b + 1, pk.p + 1, 32);
        }
        qr_err e = qr_pubkey_new(&s.key, &p);
        if (e == QR_OK) {
            /* as a header, so that the reader's verdict counts, too */
            if (2 * sig.len < sizeof sig_hex) {
                static const char *const names[] = {[QR_SCHEME_P256] = P256,
                                                    [QR_SCHEME_SECP256K1] = SECP,
                                                    [QR_SCHEME_ED25519] = ED};
                qr_hex_encode(qr_view_of(s.key.b, qr_scheme_key_len(scheme)), key_hex);
                qr_hex_encode(sig, sig_hex);
                wire = header(key_hex, sig_hex, names[scheme], "", out);
                e = qr_stamp_parse(wire, &s, why, sizeof why);
            } else {
                e = QR_ERR_STAMP_INVALID;
            }
            if (e == QR_OK) {
                e = qr_stamp_verify(p, &s, msg);
            }
        }
        vec_expect(&v, e == QR_OK);
        qr_pubkey_free(p);
    }
    vec_close(&v);
}

static void
test_wycheproof(void **state)
{
    (void)state;
    wycheproof("ecdsa_secp256r1_sha256_test.json", QR_SCHEME_P256);
    wycheproof("ecdsa_secp256k1_sha256_test.json", QR_SCHEME_SECP256K1);
    wycheproof("ed25519_test.json", QR_SCHEME_ED25519);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_schemes_apart),
        cmocka_unit_test(test_headers),    cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_high_s),     cmocka_unit_test(test_wycheproof),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
