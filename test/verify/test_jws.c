/* Tokens before anybody knows whose they are: form, algorithms, key sets, certificates, times. */
#include "enclave-shim/verify/jwks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/evgen_token.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct evtoken t;
static struct qr_verdict v;

static void
expect(const char *name, qr_err e, enum qr_check check, enum qr_reason reason)
{
    if (e != QR_ERR_ATTESTATION || v.reason != reason || v.failed != check) {
        fail_msg("%s: expected %s at %s, found %s at %s: %s", name, qr_reason_word(reason),
                 qr_check_name(check), qr_reason_word(v.reason), qr_check_name(v.failed),
                 v.sentence);
    }
    assert_non_null(strstr(v.sentence, "expected "));
    assert_non_null(strstr(v.sentence, "found"));
}

/* ---- form -------------------------------------------------------------------------------------- */

static void
refuse_text(const char *name, qr_view token, enum qr_check check, enum qr_reason reason)
{
    struct qr_jws j;
    qr_verdict_init(&v);
    expect(name, qr_jws_parse(token, &v, &j), check, reason);
    assert_int_not_equal(v.check[QR_CHECK_PARSE], QR_CHECK_PASS);
}

static void
test_genuine(void **state)
{
    struct qr_jws j;
    (void)state;
    evtoken_maa(&t, (qr_view){0});
    evtoken_build(&t);
    qr_verdict_init(&v);
    assert_int_equal(qr_jws_parse(evgen_buf_view(&t.token), &v, &j), QR_OK);
    assert_int_equal(j.signature.len, 256);
    assert_true(json_equal(j.payload.root, t.payload));
    assert_true(json_equal(j.header.root, t.header));
    const uint8_t *last = memrchr(t.token.p, '.', t.token.len);
    assert_int_equal(j.signed_part.len, last - t.token.p);
    for (enum qr_check c = QR_CHECK_LIMITS; c <= QR_CHECK_ALGORITHM; c++) {
        assert_int_equal(v.check[c], QR_CHECK_PASS);
    }
    qr_jws_free(&j);
    evtoken_free(&t);
}

/* Another text of the same bytes, or of bytes that are nearly a token. */
static void
test_parts(void **state)
{
    static const char *const bad[] = {
        ".",       "..",    "...",      "a",        "a.b",     "eyJhIjoxfQ.e30",
        "e30.e30", "e30..", ".e30.e30", "e30.e30.", "e30. .a", "!!!.e30.aaaa",
    };
    static char text[EVTOKEN_MAX];
    struct evgen_buf b;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuse_text(bad[i], qr_view_str(bad[i]), QR_CHECK_PARSE, QR_REASON_MALFORMED);
    }
    refuse_text("empty", qr_view_str(""), QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT);
    static uint8_t large[32769];
    memset(large, 'e', sizeof large);
    refuse_text("17.114 large", qr_view_of(large, sizeof large), QR_CHECK_LIMITS,
                QR_REASON_RESOURCE_LIMIT);
    refuse_text("one part of 32 KiB", qr_view_of(large, sizeof large - 1), QR_CHECK_PARSE,
                QR_REASON_MALFORMED);

    evtoken_maa(&t, (qr_view){0});
    evtoken_build(&t);
    static const char *const around[][2] = {
        {"", "\n"}, {"", "="}, {"", "=="}, {"", ".e30"},         {"", "."},       {" ", ""},
        {"", " "},  {".", ""}, {"", "\0"}, {"\xef\xbb\xbf", ""}, {"Bearer ", ""},
    };
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        b = evgen_buf_over(text, sizeof text);
        evgen_put_str(&b, around[i][0]);
        evgen_put_view(&b, evgen_buf_view(&t.token));
        evgen_put(&b, around[i][1], i == 8 ? 1 : strlen(around[i][1]));
        refuse_text("around", evgen_buf_view(&b), QR_CHECK_PARSE, QR_REASON_MALFORMED);
    }
    /* Padding and the other alphabet inside; spare bits of a last letter. */
    for (unsigned k = 0; k < 4; k++) {
        b = evgen_buf_over(text, sizeof text);
        evgen_put_view(&b, evgen_buf_view(&t.token));
        uint8_t *last = memrchr(b.p, '.', b.len);
        if (k == 0) {
            b.p[3] = '=';
        } else if (k == 1) {
            last[5] = '+';
        } else if (k == 2) {
            last[5] = '/';
        } else {
            b.p[b.len - 1] = b.p[b.len - 1] == 'B' ? 'C' : 'B'; /* 256 bytes: four spare bits */
        }
        refuse_text("alphabet", evgen_buf_view(&b), QR_CHECK_PARSE, QR_REASON_MALFORMED);
    }
    evtoken_free(&t);
}

static void
refuse_header(const char *name, const char *header, enum qr_check check, enum qr_reason reason)
{
    evtoken_maa(&t, (qr_view){0});
    t.header_text = header;
    evtoken_build(&t);
    refuse_text(name, evgen_buf_view(&t.token), check, reason);
    evtoken_free(&t);
}

static void
test_algorithms(void **state)
{
    static const char *const other[] = {"none",  "None",  "NONE",   "nOnE",  "HS256", "HS384",
                                        "HS512", "RS384", "RS512",  "PS256", "ES256", "ES384",
                                        "EdDSA", "rs256", "RS256 ", "",      "RSA1_5"};
    static uint8_t text[512];
    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        char header[128];
        (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"a\"}", other[i]);
        refuse_header("17.97 algorithm", header, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED);
    }
    static const struct {
        const char *name, *header;
        enum qr_check check;
        enum qr_reason reason;
    } bad[] = {
        {"no alg", "{\"kid\":\"a\"}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"alg null", "{\"alg\":null}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"alg a list", "{\"alg\":[\"RS256\"]}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"alg twice", "{\"alg\":\"RS256\",\"alg\":\"none\"}", QR_CHECK_PARSE,
         QR_REASON_DUPLICATE_KEY},
        {"alg twice, escaped", "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", QR_CHECK_PARSE,
         QR_REASON_DUPLICATE_KEY},
        {"crit", "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"unencoded payload", "{\"alg\":\"RS256\",\"b64\":false,\"crit\":[\"b64\"]}",
         QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"typ", "{\"alg\":\"RS256\",\"typ\":\"JOSE+JSON\"}", QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"typ a number", "{\"alg\":\"RS256\",\"typ\":1}", QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"header a list", "[\"RS256\"]", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header a text", "\"RS256\"", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header no JSON", "alg=RS256", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header twice", "{\"alg\":\"RS256\"}{}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header not closed", "{\"alg\":\"RS256\"", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header with a comment", "{\"alg\":\"RS256\"/**/}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header with a zero", "{\"alg\":\"RS256\\u0000\"}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header not UTF-8", "{\"alg\":\"RS256\",\"a\":\"\xc3\x28\"}", QR_CHECK_PARSE,
         QR_REASON_MALFORMED},
        {"header too deep", "{\"alg\":\"RS256\",\"a\":[[[[[[[[1]]]]]]]]}", QR_CHECK_LIMITS,
         QR_REASON_RESOURCE_LIMIT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuse_header(bad[i].name, bad[i].header, bad[i].check, bad[i].reason);
    }

    /* 17.97 as it was done to others: no signature at all; HMAC by the public key's text. */
    evtoken_maa(&t, (qr_view){0});
    evtoken_join(&t, qr_view_str("{\"alg\":\"none\"}"), qr_view_str("{}"), (qr_view){0});
    refuse_text("17.97 alg none", evgen_buf_view(&t.token), QR_CHECK_ALGORITHM,
                QR_REASON_UNSUPPORTED);
    unsigned n = 0;
    uint8_t mac[32];
    size_t len = evgen_key_modulus(t.key, text);
    assert_non_null(HMAC(EVP_sha256(), text, (int)len, (const uint8_t *)"x", 1, mac, &n));
    evtoken_join(&t, qr_view_str("{\"alg\":\"HS256\"}"), qr_view_str("{}"), qr_view_of(mac, n));
    refuse_text("17.97 HS256 by the public key", evgen_buf_view(&t.token), QR_CHECK_ALGORITHM,
                QR_REASON_UNSUPPORTED);
    evtoken_free(&t);
}

static void
test_payload(void **state)
{
    static char many[8192], sig[600];
    static const struct {
        const char *payload;
        enum qr_check check;
        enum qr_reason reason;
    } bad[] = {
        {"[]", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"null", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":1,\"a\":2}", QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY},
        {"{\"a\":{\"b\":1,\"b\":1}}", QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY},
        {"{\"a\":[[[[[[[[]]]]]]]]}", QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {many, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"{\"a\":01}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":1e999}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":9223372036854775808}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":NaN}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":\"\\ud800\"}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{'a':1}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":1,}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"\xef\xbb\xbf{}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"{\"a\":\"\n\"}", QR_CHECK_PARSE, QR_REASON_MALFORMED},
    };
    struct qr_jws j;
    (void)state;
    (void)snprintf(many, sizeof many, "{\"a\":[0");
    for (size_t i = 0; i < 600; i++) {
        memcpy(many + strlen(many), ",0", 3);
    }
    memcpy(many + strlen(many), "]}", 3);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        evtoken_maa(&t, (qr_view){0});
        t.payload_text = bad[i].payload;
        evtoken_build(&t);
        refuse_text(bad[i].payload, evgen_buf_view(&t.token), bad[i].check, bad[i].reason);
        evtoken_free(&t);
    }
    /* Tokens of others hold numbers that our own documents may not. */
    evtoken_maa(&t, (qr_view){0});
    t.payload_text = "{\"a\":-1,\"b\":1.5,\"c\":2e3}";
    evtoken_build(&t);
    qr_verdict_init(&v);
    assert_int_equal(qr_jws_parse(evgen_buf_view(&t.token), &v, &j), QR_OK);
    qr_jws_free(&j);
    /* 513 bytes of signature */
    evtoken_join(&t, qr_view_str("{\"alg\":\"RS256\"}"), qr_view_str("{}"),
                 qr_view_of(sig, QR_JWS_SIG_MAX + 1));
    refuse_text("long signature", evgen_buf_view(&t.token), QR_CHECK_PARSE, QR_REASON_MALFORMED);
    evtoken_free(&t);
}

/* ---- key sets ---------------------------------------------------------------------------------- */

static EVP_PKEY *
find(const char *set)
{
    EVP_PKEY *k = NULL;
    qr_verdict_init(&v);
    return qr_jwks_find(qr_view_str(set), qr_view_str(EVTOKEN_KID), &v, &k) == QR_OK ? k : NULL;
}

static void
refuse_set(const char *name, json_t *set, enum qr_check check, enum qr_reason reason)
{
    EVP_PKEY *k = NULL;
    char *text = json_dumps(set, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(text);
    qr_verdict_init(&v);
    expect(name, qr_jwks_find(qr_view_str(text), qr_view_str(EVTOKEN_KID), &v, &k), check, reason);
    assert_null(k);
    free(text);
    json_decref(set);
}

/* A set of one key that differs from a good one in one member; value NULL: it is absent. */
static json_t *
set_with(const char *name, json_t *value)
{
    json_t *key = evtoken_jwk(evgen_key(EVGEN_RSA2048, 0), EVTOKEN_KID);
    if (value) {
        assert_int_equal(json_object_set_new(key, name, value), 0);
    } else {
        assert_int_equal(json_object_del(key, name), 0);
    }
    return json_pack("{s:[o]}", "keys", key);
}

static void
test_key_sets(void **state)
{
    EVP_PKEY *good = evgen_key(EVGEN_RSA2048, 0), *k;
    (void)state;

    for (unsigned form = 0; form < 4; form++) {
        json_t *key =
            form == 0 ? evtoken_jwk_x5c(good, EVTOKEN_KID) : evtoken_jwk(good, EVTOKEN_KID);
        json_t *x = evtoken_jwk_x5c(good, EVTOKEN_KID);
        if (form == 1) {
            assert_int_equal(json_object_set(key, "x5c", json_object_get(x, "x5c")), 0);
        } else if (form == 2) {
            assert_int_equal(json_object_del(key, "alg"), 0);
            assert_int_equal(json_object_del(key, "use"), 0);
        }
        json_decref(x);
        /* others in the set are of no concern, whatever they are */
        json_t *set = json_pack("{s:[s,o,o,o,n,{s:s}], s:i}", "keys", "text",
                                json_pack("{s:s,s:s}", "kty", "EC", "kid", "other"),
                                json_pack("{s:i}", "kid", 7), key, "kty", "RSA", "later", 1);
        assert_non_null(set);
        char *text = json_dumps(set, 0);
        k = find(text);
        assert_non_null(k);
        assert_int_equal(EVP_PKEY_eq(k, good), 1);
        EVP_PKEY_free(k);
        free(text);
        json_decref(set);
    }
}

static void
test_bad_key_sets(void **state)
{
    const enum qr_check parse = QR_CHECK_PARSE, alg = QR_CHECK_ALGORITHM;
    const enum qr_reason malformed = QR_REASON_MALFORMED, unsupported = QR_REASON_UNSUPPORTED;
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 0), *other = evgen_key(EVGEN_RSA2048, 1);
    json_t *keys, *x;
    (void)state;

    refuse_set("empty set", json_pack("{s:[]}", "keys"), QR_CHECK_COLLATERAL,
               QR_REASON_COLLATERAL_MISSING);
    refuse_set("unknown kid", json_pack("{s:[o]}", "keys", evtoken_jwk(rsa, "other")),
               QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING);
    refuse_set("kid's prefix", json_pack("{s:[o]}", "keys", evtoken_jwk(rsa, "throwaway")),
               QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING);
    refuse_set("one name, two keys",
               json_pack("{s:[o,o]}", "keys", evtoken_jwk(rsa, EVTOKEN_KID),
                         evtoken_jwk(other, EVTOKEN_KID)),
               parse, QR_REASON_DUPLICATE_KEY);
    refuse_set("no keys", json_pack("{}"), parse, malformed);
    refuse_set("keys an object", json_pack("{s:{}}", "keys"), parse, malformed);
    refuse_set("a list", json_pack("[]"), parse, malformed);
    refuse_set("kty EC", set_with("kty", json_string("EC")), alg, unsupported);
    refuse_set("kty oct", set_with("kty", json_string("oct")), alg, unsupported);
    refuse_set("no kty", set_with("kty", NULL), alg, unsupported);
    refuse_set("alg RS512", set_with("alg", json_string("RS512")), alg, unsupported);
    refuse_set("alg a number", set_with("alg", json_integer(1)), alg, unsupported);
    refuse_set("use enc", set_with("use", json_string("enc")), alg, unsupported);
    refuse_set("no n", set_with("n", NULL), parse, malformed);
    refuse_set("no e", set_with("e", NULL), parse, malformed);
    refuse_set("n a number", set_with("n", json_integer(5)), parse, malformed);
    refuse_set("n short", set_with("n", json_string("AQAB")), parse, malformed);
    refuse_set("n padded", set_with("n", json_string("AQA=")), parse, malformed);
    refuse_set("e 1", set_with("e", json_string("AQ")), parse, malformed);
    refuse_set("e even", set_with("e", json_string("AQAA")), parse, malformed);
    refuse_set("e long", set_with("e", json_string("AQAAAAAAAAAAAAAB")), parse, malformed);
    refuse_set("x5c text", set_with("x5c", json_string("AQAB")), parse, malformed);
    refuse_set("x5c empty", set_with("x5c", json_pack("[]")), parse, malformed);
    refuse_set("x5c no base64", set_with("x5c", json_pack("[s]", "!!")), parse, malformed);
    refuse_set("x5c no certificate", set_with("x5c", json_pack("[s]", "AQAB")), parse, malformed);
    x = evtoken_jwk_x5c(other, "x");
    refuse_set("x5c of another key", set_with("x5c", json_incref(json_object_get(x, "x5c"))), parse,
               malformed);
    json_decref(x);
    x = evtoken_jwk_x5c(rsa, EVTOKEN_KID);
    struct evgen_cert_spec s =
        evgen_cert_spec_of("CN=a", evgen_key(EVGEN_P256, 0), "CN=a", evgen_key(EVGEN_P256, 0), 1);
    struct evgen_der der;
    char b64[4096];
    evgen_cert(&s, &der);
    qr_b64_encode(evgen_view(&der), b64);
    assert_int_equal(json_object_set_new(x, "x5c", json_pack("[s]", b64)), 0);
    refuse_set("x5c of an EC key", json_pack("{s:[o]}", "keys", x), parse, malformed);

    keys = json_array();
    for (size_t i = 0; i <= QR_JWKS_KEYS; i++) {
        assert_int_equal(json_array_append_new(keys, json_pack("{s:s}", "kid", "x")), 0);
    }
    refuse_set("65 keys", json_pack("{s:o}", "keys", keys), QR_CHECK_LIMITS,
               QR_REASON_RESOURCE_LIMIT);
    keys = json_array();
    for (size_t i = 0; i <= QR_JWKS_VALUES; i++) {
        assert_int_equal(json_array_append_new(keys, json_integer(0)), 0);
    }
    refuse_set("2049 values", json_pack("{s:o}", "other", keys), QR_CHECK_LIMITS,
               QR_REASON_RESOURCE_LIMIT);
    assert_null(find(""));
    assert_null(find("{\"keys\":[],\"keys\":[]}"));
    assert_int_equal(v.reason, QR_REASON_DUPLICATE_KEY);
}

/* ---- certificates in the header ---------------------------------------------------------------- */

/* Reads the x5c of a header that is otherwise good. */
static qr_err
read_x5c(json_t *list, size_t *ret_n)
{
    struct qr_jws j;
    struct qr_x5c x;
    evtoken_oidc(&t, (qr_view){0});
    assert_int_equal(json_object_set_new(t.header, "x5c", list), 0);
    evtoken_build(&t);
    qr_verdict_init(&v);
    assert_int_equal(qr_jws_parse(evgen_buf_view(&t.token), &v, &j), QR_OK);
    assert_true(qr_x5c_present(&j));
    qr_err e = qr_x5c_read(&j, &v, &x);
    if (e == QR_OK) {
        *ret_n = x.certs.n;
        qr_x5c_free(&x);
    }
    qr_jws_free(&j);
    evtoken_free(&t);
    return e;
}

static void
test_x5c(void **state)
{
    static char der[EVGEN_DER_MAX * 2], pem[EVGEN_DER_MAX * 2], more[EVGEN_DER_MAX * 2];
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=a", evgen_key(EVGEN_RSA2048, 0), "CN=a",
                                                  evgen_key(EVGEN_RSA2048, 0), 1);
    struct evgen_der cert;
    size_t n = 0;
    (void)state;

    evgen_cert(&s, &cert);
    qr_b64_encode(evgen_view(&cert), der);
    struct evgen_buf b = evgen_buf_over(pem, sizeof pem);
    evgen_put_pem(&b, &cert);
    evgen_put_be(&b, 0, 1);
    assert_int_equal(read_x5c(json_pack("[s,s]", der, der), &n), QR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(read_x5c(json_pack("[s,s,s]", pem, pem, pem), &n), QR_OK);
    assert_int_equal(n, 3);

    cert.p[cert.len++] = 0; /* a byte behind */
    qr_b64_encode(evgen_view(&cert), more);
    const struct {
        const char *name;
        json_t *list;
        enum qr_check check;
        enum qr_reason reason;
    } bad[] = {
        {"no list", json_string(der), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"empty", json_array(), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"null", json_null(), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"number in it", json_pack("[s,i]", der, 1), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"DER, then PEM", json_pack("[s,s]", der, pem), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"PEM, then DER", json_pack("[s,s]", pem, der), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"empty text", json_pack("[s,s]", der, ""), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"no base64", json_pack("[s]", "-_-_"), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"no certificate", json_pack("[s]", "AQAB"), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"two in one PEM", json_pack("[s+]", pem, pem), QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"PEM of a key",
         json_pack("[s]", "-----BEGIN PUBLIC KEY-----\nAQAB\n-----END PUBLIC "
                          "KEY-----\n"),
         QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"byte behind", json_pack("[s]", more), QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"nine", json_pack("[s,s,s,s,s,s,s,s,s]", der, der, der, der, der, der, der, der, der),
         QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(bad[i].list);
        expect(bad[i].name, read_x5c(bad[i].list, &n), bad[i].check, bad[i].reason);
    }
}

/* ---- claims that do not fit -------------------------------------------------------------------- */

static void
test_large_claims(void **state)
{
    static char text[18000];
    struct qr_jws j;
    (void)state;
    memset(text, 'a', sizeof text - 1);
    for (unsigned in_header = 0; in_header < 2; in_header++) {
        evtoken_oidc(&t, (qr_view){0});
        assert_int_equal(
            json_object_set_new(in_header ? t.header : t.payload, "later", json_string(text)), 0);
        evtoken_build(&t);
        qr_verdict_init(&v);
        assert_int_equal(qr_jws_parse(evgen_buf_view(&t.token), &v, &j), QR_OK);
        expect("17 KiB of claims", qr_jws_claims(&j, &v), QR_CHECK_LIMITS,
               QR_REASON_RESOURCE_LIMIT);
        qr_jws_free(&j);
        evtoken_free(&t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),    cmocka_unit_test(test_parts),
        cmocka_unit_test(test_algorithms), cmocka_unit_test(test_payload),
        cmocka_unit_test(test_key_sets),   cmocka_unit_test(test_bad_key_sets),
        cmocka_unit_test(test_x5c),        cmocka_unit_test(test_large_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
