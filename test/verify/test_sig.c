/* Signatures and hashes: good ones, every kind of bad one, keys from coordinates; UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/sig.h"
#include "enclave-shim/verify/utf8.h"
#include "test/common/evgen_ca.h"
#include "test/common/vectors.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

static void
test_hash(void **state)
{
    static const struct {
        enum qr_hash_alg h;
        size_t len;
        const char *abc; /* FIPS 180-4's example */
    } rows[] = {
        {QR_SHA1, 20, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {QR_SHA256, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {QR_SHA384, 48,
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca13"
         "4c825a7"},
        {QR_SHA512, 64,
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a"
         "3feebbd"
         "454d4423643ce80e2a9ac94fa54ca49f"},
    };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t out[64], want[64];
        size_t n = rows[i].len;
        const qr_view whole = qr_view_str("abc");
        const qr_view pieces[3] = {qr_view_str("a"), {NULL, 0}, qr_view_str("bc")};
        assert_int_equal(qr_hash_len(rows[i].h), n);
        hex_bytes(rows[i].abc, want, n);
        assert_true(qr_hash_of(rows[i].h, &whole, 1, out));
        assert_memory_equal(out, want, n);
        assert_true(qr_hash_of(rows[i].h, pieces, 3, out));
        assert_memory_equal(out, want, n);
    }
}

/* Raw r || s of another project's vectors: ranges, lengths, edge cases of the curve. */
static void
test_wycheproof_p384(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ecdsa_secp384r1_sha384_p1363_test.json");
    while (vec_next(&v)) {
        qr_view point = vec_hex(&v, json_object_get(v.group, "publicKey"), "uncompressed");
        vec_require(&v, point.len == 97, "public key");
        EVP_PKEY *k = qr_key_ec(qr_view_of(point.p + 1, 96));
        vec_require(&v, k != NULL, "key on the curve");
        vec_expect(&v, qr_evp_ecdsa_verify(k, QR_SHA384, vec_hex(&v, v.test, "msg"),
                                           vec_hex(&v, v.test, "sig")));
        EVP_PKEY_free(k);
    }
    vec_close(&v);
}

static void
test_wycheproof_pss(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "rsa_pss_4096_sha384_mgf1_48_test.json");
    while (vec_next(&v)) {
        json_t *pub = json_object_get(v.group, "publicKey");
        EVP_PKEY *k = qr_key_rsa(vec_hex(&v, pub, "modulus"), vec_hex(&v, pub, "publicExponent"));
        vec_require(&v, k != NULL, "key");
        int ok = qr_evp_rsa_verify(k, QR_SHA384, 1, vec_hex(&v, v.test, "msg"),
                                   vec_hex(&v, v.test, "sig"));
        if (strstr(vec_str(&v, v.test, "comment"), "s_len changed")) {
            vec_require(&v, ok, "a salt of another length, as TPMs make them");
        } else {
            vec_expect(&v, ok);
        }
        EVP_PKEY_free(k);
    }
    vec_close(&v);
}

/* r and s of 0, n and above, and the halves of a good signature's twin. */
static void
test_ecdsa(void **state)
{
    static const char order[2][97] = {
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196acc"
        "c52973",
    };
    const qr_view msg = qr_view_str("message");
    (void)state;
    for (int big = 0; big < 2; big++) {
        enum qr_hash_alg h = big ? QR_SHA384 : QR_SHA256;
        size_t half = big ? 48 : 32;
        EVP_PKEY *k = evgen_key(big ? EVGEN_P384 : EVGEN_P256, 0);
        uint8_t sig[97], n[48];
        assert_int_equal(evgen_sign_raw(k, h, msg, sig), 2 * half);
        assert_true(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(sig, 2 * half)));
        assert_false(qr_evp_ecdsa_verify(k, h, qr_view_str("massage"), qr_view_of(sig, 2 * half)));
        assert_false(qr_evp_ecdsa_verify(k, QR_SHA512, msg, qr_view_of(sig, 2 * half)));
        assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(sig, 2 * half - 1)));
        assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(sig, 2 * half + 1)));
        assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(sig, 0)));
        assert_false(qr_evp_ecdsa_verify(NULL, h, msg, qr_view_of(sig, 2 * half)));
        assert_false(qr_evp_ecdsa_verify(evgen_key(big ? EVGEN_P256 : EVGEN_P384, 0), h, msg,
                                         qr_view_of(sig, 2 * half)));
        assert_false(
            qr_evp_ecdsa_verify(evgen_key(EVGEN_RSA2048, 0), h, msg, qr_view_of(sig, 2 * half)));
        hex_bytes(order[big], n, half);
        for (int part = 0; part < 2; part++) {
            uint8_t bad[96];
            memcpy(bad, sig, 2 * half);
            memcpy(bad + (size_t)part * half, n, half); /* n */
            assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(bad, 2 * half)));
            bad[(size_t)part * half + half - 1]--; /* n - 1: in range, and wrong */
            assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(bad, 2 * half)));
            memset(bad + (size_t)part * half, 0xff, half);
            assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(bad, 2 * half)));
            memset(bad + (size_t)part * half, 0, half);
            assert_false(qr_evp_ecdsa_verify(k, h, msg, qr_view_of(bad, 2 * half)));
        }
    }
}

/* Enough signatures that r and s begin with a set bit, without one, and with zero bytes. */
static void
test_many(void **state)
{
    EVP_PKEY *k = evgen_key(EVGEN_P256, 1);
    unsigned seen = 0;
    (void)state;
    for (uint32_t i = 0; i < 600; i++) {
        uint8_t sig[64], msg[4];
        qr_put32(msg, i);
        evgen_sign_raw(k, QR_SHA256, qr_view_of(msg, 4), sig);
        assert_true(qr_evp_ecdsa_verify(k, QR_SHA256, qr_view_of(msg, 4), qr_view_of(sig, 64)));
        seen |= sig[0] == 0 ? 1u : sig[0] < 0x80 ? 2u : 4u;
    }
    assert_int_equal(seen & 6u, 6);
}

static void
test_rsa(void **state)
{
    const qr_view msg = qr_view_str("message");
    (void)state;
    for (int big = 0; big < 2; big++) {
        EVP_PKEY *k = evgen_key(big ? EVGEN_RSA4096 : EVGEN_RSA2048, 0);
        for (int pss = 0; pss < 2; pss++) {
            uint8_t sig[513];
            size_t n = evgen_sign_rsa(k, QR_SHA256, pss, msg, sig, sizeof sig);
            assert_int_equal(n, big ? 512 : 256);
            assert_true(qr_evp_rsa_verify(k, QR_SHA256, pss, msg, qr_view_of(sig, n)));
            assert_false(qr_evp_rsa_verify(k, QR_SHA256, !pss, msg, qr_view_of(sig, n)));
            assert_false(qr_evp_rsa_verify(k, QR_SHA384, pss, msg, qr_view_of(sig, n)));
            assert_false(
                qr_evp_rsa_verify(k, QR_SHA256, pss, qr_view_str("x"), qr_view_of(sig, n)));
            assert_false(qr_evp_rsa_verify(k, QR_SHA256, pss, msg, qr_view_of(sig, n - 1)));
            assert_false(qr_evp_rsa_verify(k, QR_SHA256, pss, msg, qr_view_of(sig, n + 1)));
            assert_false(qr_evp_rsa_verify(evgen_key(EVGEN_RSA2048, 1), QR_SHA256, pss, msg,
                                           qr_view_of(sig, n)));
            assert_false(qr_evp_rsa_verify(evgen_key(EVGEN_P256, 0), QR_SHA256, pss, msg,
                                           qr_view_of(sig, n)));
            sig[n / 2] ^= 1;
            assert_false(qr_evp_rsa_verify(k, QR_SHA256, pss, msg, qr_view_of(sig, n)));
        }
    }
}

static void
test_keys(void **state)
{
    static const enum evgen_key_kind kinds[4] = {EVGEN_P256, EVGEN_P384, EVGEN_RSA2048,
                                                 EVGEN_RSA4096};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        EVP_PKEY *k = evgen_key(kinds[i], 2);
        assert_ptr_equal(k, evgen_key(kinds[i], 2));
        assert_int_equal(qr_key_is_ec(k, 256), i == 0);
        assert_int_equal(qr_key_is_ec(k, 384), i == 1);
        assert_int_equal(qr_key_is_rsa(k), i >= 2);
        assert_false(qr_key_is_ec(k, 521) || qr_key_is_ec(k, 0));
    }
    assert_false(qr_key_is_ec(NULL, 256) || qr_key_is_rsa(NULL));
    for (size_t i = 0; i < 2; i++) {
        uint8_t xy[97] = {0};
        EVP_PKEY *made = evgen_key(kinds[i], 3);
        size_t n = evgen_key_xy(made, xy);
        assert_int_equal(n, i == 0 ? 64 : 96);
        EVP_PKEY *k = qr_key_ec(qr_view_of(xy, n));
        assert_int_equal(EVP_PKEY_eq(k, made), 1);
        EVP_PKEY_free(k);
        assert_null(qr_key_ec(qr_view_of(xy, n - 1)));
        assert_null(qr_key_ec(qr_view_of(xy, n + 1)));
        xy[n - 1] ^= 1; /* off the curve */
        assert_null(qr_key_ec(qr_view_of(xy, n)));
        memset(xy, 0, sizeof xy);
        assert_null(qr_key_ec(qr_view_of(xy, n)));
        memset(xy, 0xff, sizeof xy); /* above the field */
        assert_null(qr_key_ec(qr_view_of(xy, n)));
    }
    assert_null(qr_key_ec(qr_view_of("", 0)));
}

static void
test_rsa_keys(void **state)
{
    uint8_t n[514] = {0};
    const qr_view e = qr_view_of("\x01\x00\x01", 3);
    (void)state;
    for (int big = 0; big < 2; big++) {
        EVP_PKEY *made = evgen_key(big ? EVGEN_RSA4096 : EVGEN_RSA2048, 1);
        size_t len = evgen_key_modulus(made, n);
        EVP_PKEY *k = qr_key_rsa(qr_view_of(n, len), e);
        assert_int_equal(EVP_PKEY_eq(k, made), 1);
        EVP_PKEY_free(k);
    }
    /* Base64url of a JWK has no leading zero, ASN.1 may have one. */
    memmove(n + 1, n, 512);
    n[0] = 0;
    EVP_PKEY *k = qr_key_rsa(qr_view_of(n, 513), e);
    assert_true(qr_key_is_rsa(k));
    EVP_PKEY_free(k);
    memmove(n, n + 1, 512);
    assert_null(qr_key_rsa(qr_view_of(n, 255), e));
    assert_null(qr_key_rsa(qr_view_of(n, 0), e));
    n[512] = n[513] = 1;
    assert_null(qr_key_rsa(qr_view_of(n, 514), e));
    assert_null(qr_key_rsa(qr_view_of(n, 512), qr_view_of("\x01", 1)));
    assert_null(qr_key_rsa(qr_view_of(n, 512), qr_view_of("\x02", 1)));
    assert_null(qr_key_rsa(qr_view_of(n, 512), qr_view_of("", 0)));
    assert_null(
        qr_key_rsa(qr_view_of(n, 512), qr_view_of("\x01\x00\x00\x00\x00\x00\x00\x00\x01", 9)));
    n[511] &= 0xfe; /* even */
    assert_null(qr_key_rsa(qr_view_of(n, 512), e));
    memset(n, 0, 257); /* long, and still short */
    assert_null(qr_key_rsa(qr_view_of(n, 512), e));
}

/* A curve that a key spells out is refused, although its numbers are those of P-256. */
static void
test_explicit_curve(void **state)
{
    uint8_t *der = NULL;
    const uint8_t *at = NULL;
    EVP_PKEY *named = evgen_key(EVGEN_P256, 4);
    EVP_PKEY *copy = EVP_PKEY_dup(named);
    (void)state;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
                     1);
    int len = i2d_PUBKEY(copy, &der);
    assert_true(len > 150);
    at = der;
    EVP_PKEY *back = d2i_PUBKEY(NULL, &at, len);
    assert_non_null(back);
    assert_true(qr_key_is_ec(named, 256));
    assert_false(qr_key_is_ec(back, 256));
    EVP_PKEY_free(back);
    EVP_PKEY_free(copy);
    OPENSSL_free(der);
}

static void
test_utf8(void **state)
{
    uint8_t p[4];
    size_t good = 0;
    (void)state;
    /* Every scalar value in its shortest form, and no other sequence of up to three bytes. */
    for (uint32_t u = 0xe00000; u < 0x1000000; u++) {
        p[0] = (uint8_t)(u >> 16);
        p[1] = (uint8_t)(u >> 8);
        p[2] = (uint8_t)u;
        if (qr_utf8_next(qr_view_of(p, 3), 0) == 3) {
            uint32_t s = ((p[0] & 15u) << 12) | ((p[1] & 63u) << 6) | (p[2] & 63u);
            assert_true(s >= 0x800 && s <= 0xffff && (s < 0xd800 || s > 0xdfff));
            good++;
        }
    }
    assert_int_equal(good, 0x10000 - 0x800 - 0x800);
    good = 0;
    for (uint32_t u = 0; u < 0x10000; u++) {
        p[0] = (uint8_t)(u >> 8);
        p[1] = (uint8_t)u;
        good += p[0] >= 0x80 && qr_utf8_next(qr_view_of(p, 2), 0) == 2;
        assert_int_equal(qr_utf8_next(qr_view_of(p, 1), 0), p[0] < 0x80);
    }
    assert_int_equal(good, 0x800 - 0x80);
    good = 0;
    for (uint32_t u = 0; u < 0x10000; u++) {
        p[0] = (uint8_t)(0xf0 + (u >> 12));
        p[1] = (uint8_t)(u >> 4);
        p[2] = 0x80;
        p[3] = (uint8_t)(0x80 + (u & 15u));
        good += qr_utf8_next(qr_view_of(p, 4), 0) == 4;
    }
    assert_int_equal(good, (0x110000 - 0x10000) >> 12 << 4);
    assert_true(qr_utf8_valid(qr_view_of("", 0)));
    assert_true(qr_utf8_valid(qr_view_str("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z")));
    assert_false(qr_utf8_valid(qr_view_str("a\xc3\xa4\xe2\x82")));
    assert_false(qr_utf8_valid(qr_view_str("\x80z")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),           cmocka_unit_test(test_wycheproof_p384),
        cmocka_unit_test(test_wycheproof_pss), cmocka_unit_test(test_ecdsa),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_rsa),
        cmocka_unit_test(test_keys),           cmocka_unit_test(test_rsa_keys),
        cmocka_unit_test(test_explicit_curve), cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
