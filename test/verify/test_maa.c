/* Azure Attestation: genuine tokens and their claims, tokens that must be refused, real tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_token.h"

#include <stdio.h>

#include <stdlib.h>
#include <string.h>

#define NOW (EVGEN_NOW_MS / 1000)

static struct evtoken t;
static struct evjudge j;
static const uint8_t binder[32] = {0xb1, 0x0d, 0xe5};

static void
judge(int bind)
{
    evtoken_build(&t);
    evtoken_judge(&t, QR_EV_MAA, &j);
    if (bind) {
        j.o.binder = qr_view_of(binder, sizeof binder);
    }
    evjudge_run(&j);
}

/* ---- genuine tokens ---------------------------------------------------------------------------- */

static void
test_genuine(void **state)
{
    static const enum qr_check made[] = {QR_CHECK_LIMITS,    QR_CHECK_PARSE,     QR_CHECK_ALGORITHM,
                                         QR_CHECK_SIGNATURE, QR_CHECK_TIMESTAMP, QR_CHECK_TOKEN,
                                         QR_CHECK_BINDER};
    size_t passed = 0;
    (void)state;
    evtoken_maa(&t, qr_view_of(binder, sizeof binder));
    judge(1);
    evjudge_valid(&j, "genuine");
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        assert_int_equal(j.v.check[made[i]], QR_CHECK_PASS);
    }
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        passed += j.v.check[c] == QR_CHECK_PASS;
    }
    /* Nothing is said of roots and certificates: a key set has none. */
    assert_int_equal(passed, sizeof made / sizeof made[0]);
    assert_int_equal(j.out.latest_issue_ms, EVGEN_NOW_MS - 60000);
    assert_int_equal(j.out.earliest_end_ms, EVGEN_NOW_MS + 28740000);
    evtoken_free(&t);

    static const char *const hosts[] = {"https://a.attest.azure.us", "https://b-1.attest.azure.cn",
                                        "https://sharedweu.weu.attest.azure.net"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        evtoken_maa(&t, (qr_view){0});
        json_object_set_new(t.payload, "iss", json_string(hosts[i]));
        json_object_set_new(t.header, "jku", json_sprintf("%s/certs", hosts[i]));
        judge(0);
        evjudge_valid(&j, hosts[i]);
        evtoken_free(&t);
    }
    evtoken_maa(&t, (qr_view){0});
    json_object_set_new(json_object_get(t.payload, "x-ms-isolation-tee"), "x-ms-attestation-type",
                        json_string("tdxvm"));
    judge(0);
    evjudge_valid(&j, "TDX");
    evtoken_free(&t);
}

static void
test_claims(void **state)
{
    uint8_t sha[32];
    (void)state;
    evtoken_maa(&t, qr_view_of(binder, sizeof binder));
    judge(1);
    evjudge_valid(&j, "claims");
    json_t *c = evjudge_claims(&j);
    assert_true(json_equal(json_object_get(c, "header"), t.header));
    assert_true(json_equal(json_object_get(c, "payload"), t.payload));
    static const char *const same[][2] = {
        {"iss", "iss"},
        {"iat", "iat"},
        {"nbf", "nbf"},
        {"exp", "exp"},
        {"jti", "jti"},
        {"attestation_type", "x-ms-attestation-type"},
        {"secureboot", "secureboot"},
        {"policy_hash", "x-ms-policy-hash"},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_true(
            json_equal(json_object_get(c, same[i][0]), json_object_get(t.payload, same[i][1])));
    }
    /* The isolation without its key material, and what the client sent. */
    json_t *tee = json_copy(json_object_get(t.payload, "x-ms-isolation-tee"));
    assert_int_equal(json_object_del(tee, "x-ms-runtime"), 0);
    assert_true(json_equal(json_object_get(c, "isolation_tee"), tee));
    json_decref(tee);
    assert_true(
        json_equal(json_object_get(c, "runtime_client_payload"),
                   json_object_get(json_object_get(t.payload, "x-ms-runtime"), "client-payload")));
    assert_true(json_is_false(json_object_get(c, "debug")));
    json_decref(c);
    qr_view key;
    assert_true(qr_claim_get_hex(&j.v.claims, "key_sha256", &key));
    assert_int_equal(qr_key_sha256(t.key, sha), 1);
    assert_true(qr_view_eq(key, qr_view_of(sha, sizeof sha)));
    evtoken_free(&t);

    /* Debuggable: genuine, and said. No client payload: null. */
    int debug = 0;
    evtoken_maa(&t, (qr_view){0});
    json_object_set_new(json_object_get(t.payload, "x-ms-isolation-tee"),
                        "x-ms-sevsnpvm-is-debuggable", json_true());
    json_object_del(json_object_get(t.payload, "x-ms-runtime"), "client-payload");
    judge(0);
    evjudge_valid(&j, "debug");
    assert_true(qr_claim_get_bool(&j.v.claims, "debug", &debug) && debug);
    assert_int_equal(qr_claim_find(&j.v.claims, "runtime_client_payload")->type, QR_CLAIM_NULL);
    evtoken_free(&t);
}

/* ---- tokens that must be refused --------------------------------------------------------------- */

static void
set(const char *name, json_t *value)
{
    assert_int_equal(json_object_set_new(t.payload, name, value), 0);
}

static void
tee_set(const char *name, json_t *value)
{
    assert_int_equal(
        json_object_set_new(json_object_get(t.payload, "x-ms-isolation-tee"), name, value), 0);
}

static void
nonce(json_t *value)
{
    json_t *client = json_object_get(json_object_get(t.payload, "x-ms-runtime"), "client-payload");
    assert_int_equal(json_object_set_new(client, "nonce", value), 0);
}

static void
kind(unsigned k)
{
    switch (k) {
    case 0: /* Trusted Launch */
        json_object_del(t.payload, "x-ms-isolation-tee");
        break;
    case 1: /* and its key unknown: told first all the same */
        json_object_del(t.payload, "x-ms-isolation-tee");
        json_decref(t.jwks);
        t.jwks = NULL;
        break;
    default: /* what a guest says of itself does not count */
        json_object_set(
            json_object_get(json_object_get(t.payload, "x-ms-runtime"), "client-payload"),
            "x-ms-isolation-tee", json_object_get(t.payload, "x-ms-isolation-tee"));
        json_object_del(t.payload, "x-ms-isolation-tee");
        break;
    }
}

static void
tee_form(unsigned k)
{
    switch (k) {
    case 0:
        set("x-ms-isolation-tee", json_null());
        break;
    case 1:
        set("x-ms-isolation-tee", json_string("sevsnpvm"));
        break;
    case 2:
        set("x-ms-isolation-tee", json_array());
        break;
    case 3:
        tee_set("x-ms-attestation-type", json_integer(1));
        break;
    default:
        json_object_del(json_object_get(t.payload, "x-ms-isolation-tee"), "x-ms-attestation-type");
        break;
    }
}

static void
tee_type(unsigned k)
{
    static const char *const other[] = {"azurevm", "sgx", "", "sevsnpvm2", "SEVSNPVM"};
    tee_set("x-ms-attestation-type", json_string(other[k]));
}

static void
twice(unsigned k)
{
    static const char *const text[] = {
        "{\"iss\":\"a\",\"x-ms-isolation-tee\":{},\"x-ms-isolation-tee\":{}}",
        "{\"x-ms-isolation-tee\":{\"x-ms-vmpl\":0,\"x-ms-vmpl\":0}}",
        "{\"exp\":1,\"\\u0065xp\":2}",
    };
    t.payload_text = text[k];
}

static void
issuer(unsigned k)
{
    static const char *const from[] = {
        "https://attacker.example",
        "http://throwaway.eu.attest.azure.net",
        "https://throwaway.eu.attest.azure.net.attacker.example",
        "https://attacker.example/.attest.azure.net",
        "https://attacker.example#.attest.azure.net",
        "https://a@attacker.example:443/.attest.azure.net",
        "https://attest.azure.net",
        "https://.attest.azure.net:8443",
        "https://THROWAWAY.eu.attest.azure.net",
        "",
        "https://",
        "throwaway.eu.attest.azure.net",
    };
    set("iss", json_string(from[k]));
    json_object_set_new(t.header, "jku", json_sprintf("%s/certs", from[k]));
}

static void
key_source(unsigned k)
{
    static const char *const jku[] = {
        "https://attacker.example/certs",
        "https://throwaway.eu.attest.azure.net/certs/",
        "https://throwaway.eu.attest.azure.net",
        "https://throwaway.eu.attest.azure.net/../certs",
        "https://throwaway.eu.attest.azure.net/keys1",
        "https://throwaway.eu.attest.azure.ne1/certs",
        "",
    };
    json_object_set_new(t.header, "jku", json_string(jku[k]));
}

static void
absent(unsigned k)
{
    static const char *const name[] = {"iss", "iat", "nbf", "exp"};
    if (k < 4) {
        json_object_del(t.payload, name[k]);
    } else {
        json_object_del(t.header, k == 4 ? "jku" : "kid");
    }
}

static void
time_form(unsigned k)
{
    static const char *const name[] = {"iat", "nbf", "exp"};
    json_t *const value[] = {
        json_string("1767225540"), json_real(1767225540.5), json_null(),
        json_integer(0),           json_integer(-5),        json_integer(INT64_C(253402300800))};
    for (unsigned i = 0; i < 6; i++) {
        if (i == k / 3) {
            set(name[k % 3], value[i]);
        } else {
            json_decref(value[i]);
        }
    }
}

static void
times_cross(unsigned k)
{
    set("exp", json_integer(k == 0 ? NOW - 60 : k == 1 ? NOW - 61 : NOW + 10));
    if (k == 2) {
        set("nbf", json_integer(NOW + 10));
    }
}

static void
over(unsigned k)
{
    set("exp", json_integer(k == 0 ? NOW : k == 1 ? NOW - 1 : NOW - 30));
}

static void
early(unsigned k)
{
    set(k % 2 ? "nbf" : "iat", json_integer(k < 2 ? NOW + 1 : NOW + 3600));
}

static void
key(unsigned k)
{
    json_t *keys = json_object_get(t.jwks, "keys");
    if (k == 0) {
        json_decref(t.jwks);
        t.jwks = NULL;
    } else if (k == 1) {
        json_array_remove(keys, 1);
    } else {
        json_object_set_new(t.header, "kid", json_string("other key"));
    }
}

static void
signature(unsigned k)
{
    if (k == 0) {
        t.key = evgen_key(EVGEN_RSA2048, 1);
    } else if (k == 1) {
        json_object_set_new(t.header, "kid", json_string("other")); /* another key of the set */
    } else if (k == 2) {
        t.hash = QR_SHA384;
    } else {
        t.pss = 1;
    }
}

/* The signature of another token; 256 bytes of no meaning; a shorter one. */
static void
joined(unsigned k)
{
    static uint8_t sig[512];
    static char header[1024], payload[8192];
    size_t n = 0;
    evtoken_build(&t);
    const char *last = memrchr(t.token.p, '.', t.token.len);
    size_t at = (size_t)(last - (const char *)t.token.p) + 1;
    assert_int_equal(qr_b64url_decode(last + 1, t.token.len - at, sig, sizeof sig, &n), QR_OK);
    size_t nh = json_dumpb(t.header, header, sizeof header, JSON_COMPACT);
    set("secureboot", k == 0 ? json_false() : json_true());
    size_t np = json_dumpb(t.payload, payload, sizeof payload, JSON_COMPACT);
    if (k == 1) {
        memset(sig, 1, n);
    } else if (k == 2) {
        n--;
    } else if (k == 3) {
        n = 0;
    } else if (k == 4) {
        sig[n++] = 0;
    }
    evtoken_join(&t, qr_view_of(header, nh), qr_view_of(payload, np), qr_view_of(sig, n));
}

static void
nonce_is(unsigned k)
{
    char b64[128];
    qr_b64_encode(qr_view_of(binder, sizeof binder), b64);
    switch (k) {
    case 0:
        nonce(json_string("bWlkbmlnaHQtc3Jz")); /* 17.101: a constant */
        break;
    case 1:
        nonce(json_string(""));
        break;
    case 2:
        nonce(json_null());
        break;
    case 3:
        nonce(json_pack("[s]", b64));
        break;
    case 4:
        nonce(json_sprintf("%s ", b64));
        break;
    case 5:
        b64[strlen(b64) - 1] = 0; /* without its padding */
        nonce(json_string(b64));
        break;
    case 6:
        nonce(json_string("b10de50000000000000000000000000000000000000000000000000000000000"));
        break;
    case 7: /* in the top level, where the service would not put it */
        set("nonce", json_string(b64));
        nonce(json_string(""));
        break;
    case 8: /* in the isolation's own runtime data */
        tee_set("x-ms-runtime", json_pack("{s:{s:s}}", "client-payload", "nonce", b64));
        nonce(json_string("AA=="));
        break;
    case 9:
        json_object_del(json_object_get(t.payload, "x-ms-runtime"), "client-payload");
        break;
    case 10:
        json_object_del(t.payload, "x-ms-runtime");
        break;
    default:
        set("x-ms-runtime", json_string(b64));
        break;
    }
}

struct bad {
    const char *name;
    void (*change)(unsigned arg);
    unsigned from, to;
    enum qr_check check;
    enum qr_reason reason;
};

static size_t count, hits[QR_CHECK_COUNT];

static void
test_bad(void **state)
{
    static const struct bad rows[] = {
        {"17.99 not a confidential VM", kind, 0, 3, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE},
        {"x-ms-isolation-tee's form", tee_form, 0, 5, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"isolation of another kind", tee_type, 0, 5, QR_CHECK_TOKEN, QR_REASON_UNSUPPORTED},
        {"17.100 member twice", twice, 0, 3, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY},
        {"iss that is no provider", issuer, 0, 12, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT},
        {"17.98 jku of somebody else", key_source, 0, 7, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT},
        {"member absent", absent, 0, 6, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"form of a time", time_form, 0, 18, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"times that contradict", times_cross, 0, 3, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.102 exp passed", over, 0, 3, QR_CHECK_TIMESTAMP, QR_REASON_EXPIRED},
        {"17.102 nbf or iat in the future", early, 0, 4, QR_CHECK_TIMESTAMP,
         QR_REASON_NOT_YET_VALID},
        {"unknown key", key, 0, 3, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING},
        {"signature of another key or kind", signature, 0, 4, QR_CHECK_SIGNATURE,
         QR_REASON_SIGNATURE},
        {"17.101 nonce", nonce_is, 0, 12, QR_CHECK_BINDER, QR_REASON_BINDER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned k = rows[i].from; k < rows[i].to; k++) {
            char name[96];
            (void)snprintf(name, sizeof name, "%s %u", rows[i].name, k);
            evtoken_maa(&t, qr_view_of(binder, sizeof binder));
            rows[i].change(k);
            judge(1);
            evjudge_refused(&j, name, rows[i].check, rows[i].reason);
            evtoken_free(&t);
            count++;
            hits[rows[i].check]++;
        }
    }
    for (unsigned k = 0; k < 5; k++) {
        evtoken_maa(&t, qr_view_of(binder, sizeof binder));
        joined(k);
        t.keys.len = 0;
        char *keys = json_dumps(t.jwks, 0);
        evgen_put_str(&t.keys, keys);
        free(keys);
        evtoken_judge(&t, QR_EV_MAA, &j);
        evjudge_run(&j);
        if (k == 3) { /* an empty part is none */
            evjudge_refused(&j, "empty signature", QR_CHECK_PARSE, QR_REASON_MALFORMED);
        } else {
            evjudge_refused(&j, "signature", QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE);
        }
        evtoken_free(&t);
    }
    assert_true(count >= 80);
    assert_true(hits[QR_CHECK_TOKEN] >= 3 && hits[QR_CHECK_PARSE] >= 3 &&
                hits[QR_CHECK_TIMESTAMP] >= 3 && hits[QR_CHECK_COLLATERAL] >= 3 &&
                hits[QR_CHECK_SIGNATURE] >= 3 && hits[QR_CHECK_BINDER] >= 3);
}

/* ---- times, audience --------------------------------------------------------------------------- */

static void
test_times(void **state)
{
    static const struct {
        int64_t now; /* after iat */
        uint64_t max_age;
        enum qr_reason reason;
    } rows[] = {
        {0, 0, QR_REASON_NONE},
        {-1, 0, QR_REASON_NOT_YET_VALID},
        {28799999, 0, QR_REASON_NONE},
        {28800000, 0, QR_REASON_EXPIRED},
        {60000, 60000, QR_REASON_NONE},
        {60001, 60000, QR_REASON_STALE},
        {28800000, 60000, QR_REASON_EXPIRED},
        {INT64_MAX - EVGEN_NOW_MS + 60000, UINT64_MAX, QR_REASON_EXPIRED},
    };
    (void)state;
    evtoken_maa(&t, (qr_view){0});
    evtoken_build(&t);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        evtoken_judge(&t, QR_EV_MAA, &j);
        j.o.now_ms = EVGEN_NOW_MS - 60000 + rows[i].now;
        j.o.max_age_ms = rows[i].max_age;
        evjudge_run(&j);
        if (rows[i].reason == QR_REASON_NONE) {
            evjudge_valid(&j, "in time");
        } else {
            evjudge_refused(&j, "out of time", QR_CHECK_TIMESTAMP, rows[i].reason);
        }
    }
    evtoken_judge(&t, QR_EV_MAA, &j);
    j.o.now_ms = -1;
    evjudge_run(&j);
    evjudge_valid(&j, "no time");
    assert_int_equal(j.v.check[QR_CHECK_TIMESTAMP], QR_CHECK_SKIPPED);
    /* These tokens have no audience: asked for one, they do not have it. */
    evtoken_judge(&t, QR_EV_MAA, &j);
    j.o.audience = qr_view_str("quorum");
    evjudge_run(&j);
    evjudge_refused(&j, "audience", QR_CHECK_TOKEN, QR_REASON_IDENTITY_MISMATCH);
    /* A binder that no nonce can hold. */
    static const uint8_t large[65] = {1};
    evtoken_judge(&t, QR_EV_MAA, &j);
    j.o.binder = qr_view_of(large, sizeof large);
    evjudge_run(&j);
    evjudge_refused(&j, "long binder", QR_CHECK_BINDER, QR_REASON_BINDER);
    evtoken_free(&t);
}

static void
test_evidence(void **state)
{
    (void)state;
    evjudge_init(&j, QR_EV_MAA);
    evjudge_run(&j);
    evjudge_refused(&j, "no token", QR_CHECK_PARSE, QR_REASON_MALFORMED);
}

static void
test_real(void **state)
{
    static const struct evjudge_reason reasons[] = {
        {"microsoft-eus2-2022-trustedlaunch", QR_REASON_NOT_EVIDENCE},
    };
    (void)state;
    (void)evjudge_real(QR_EV_MAA, reasons, 1, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),  cmocka_unit_test(test_claims),
        cmocka_unit_test(test_bad),      cmocka_unit_test(test_times),
        cmocka_unit_test(test_evidence), cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
