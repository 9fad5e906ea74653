/* Confidential Space: both flavours of genuine tokens, tokens that must be refused, real tokens. */
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
#define HEX "c0ffee0000000000000000000000000000000000000000000000000000000000"
#define OTHER "badc0de000000000000000000000000000000000000000000000000000000000"

static struct evtoken t;
static struct evjudge j;
static const uint8_t binder[32] = {0xc0, 0xff, 0xee};
static struct evgen_der genuine_root;
static int pin_genuine;

static void
make(int pki)
{
    pin_genuine = 0;
    if (pki) {
        evtoken_pki(&t, qr_view_of(binder, sizeof binder));
    } else {
        evtoken_oidc(&t, qr_view_of(binder, sizeof binder));
    }
}

static void
prepare(void)
{
    evtoken_judge(&t, QR_EV_CONFIDENTIAL_SPACE, &j);
    if (pin_genuine) {
        memset(&j.roots, 0, sizeof j.roots);
        evgen_pin(&j.roots, QR_ROOT_CONFIDENTIAL_SPACE, &genuine_root);
    }
    j.o.binder = qr_view_of(binder, sizeof binder);
    j.o.audience = qr_view_str("https://quorum.example");
}

static void
judge(void)
{
    evtoken_build(&t);
    prepare();
    evjudge_run(&j);
}

/* ---- genuine tokens ---------------------------------------------------------------------------- */

static void
test_genuine(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        make(form > 0);
        t.pem = form == 2; /* as in 2024 */
        judge();
        evjudge_valid(&j, "genuine");
        for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
            int always = c == QR_CHECK_LIMITS || c == QR_CHECK_PARSE || c == QR_CHECK_ALGORITHM ||
                         c == QR_CHECK_SIGNATURE || c == QR_CHECK_TIMESTAMP ||
                         c == QR_CHECK_TOKEN || c == QR_CHECK_BINDER;
            /* Only certificates end in something that is pinned. */
            int chain = c == QR_CHECK_ROOT || c == QR_CHECK_CHAIN || c == QR_CHECK_VALIDITY;
            assert_int_equal(j.v.check[c],
                             always || (chain && form > 0) ? QR_CHECK_PASS : QR_CHECK_SKIPPED);
        }
        assert_int_equal(j.out.latest_issue_ms, EVGEN_NOW_MS - 60000);
        assert_int_equal(j.out.earliest_end_ms, EVGEN_NOW_MS + 3540000);
        json_t *c = evjudge_claims(&j);
        assert_true(json_equal(json_object_get(c, "payload"), t.payload));
        json_object_del(t.header, "x5c");
        assert_true(json_equal(json_object_get(c, "header"), t.header));
        assert_true(json_is_false(json_object_get(c, "debug")));
        json_decref(c);
        uint8_t sha[32];
        qr_view key;
        assert_true(qr_claim_get_hex(&j.v.claims, "key_sha256", &key));
        assert_int_equal(qr_key_sha256(t.key, sha), 1);
        assert_true(qr_view_eq(key, qr_view_of(sha, sizeof sha)));
        evtoken_free(&t);
    }
    /* One nonce in a list is one nonce. */
    make(1);
    json_object_set_new(t.payload, "eat_nonce", json_pack("[s]", HEX));
    judge();
    evjudge_valid(&j, "list of one nonce");
    evtoken_free(&t);
}

/* 17.106, 17.107: genuine, and the policy reads what it is. */
static void
test_for_the_policy(void **state)
{
    static const char *const status[] = {"enabled", "disabled", "Disabled-Since-Boot", ""};
    int debug = 0;
    (void)state;
    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++) {
        make(0);
        json_object_set_new(t.payload, "dbgstat", json_string(status[i]));
        json_object_set_new(t.payload, "hwmodel", json_string("GCP_AMD_SEV"));
        judge();
        evjudge_valid(&j, "17.106 debug image");
        assert_true(qr_claim_get_bool(&j.v.claims, "debug", &debug) && debug);
        json_t *c = evjudge_claims(&j);
        assert_string_equal(json_string_value(evjudge_at(c, "payload.hwmodel")), "GCP_AMD_SEV");
        json_decref(c);
        evtoken_free(&t);
    }
    make(0);
    json_object_del(t.payload, "dbgstat");
    judge();
    evjudge_valid(&j, "no dbgstat");
    assert_null(qr_claim_find(&j.v.claims, "debug")); /* absent is absent, not "no" */
    evtoken_free(&t);
}

/* ---- tokens that must be refused --------------------------------------------------------------- */

static void
set(const char *name, json_t *value)
{
    assert_int_equal(json_object_set_new(t.payload, name, value), 0);
}

static void
software(unsigned k)
{
    static const char *const name[] = {"GCE", "HARDENED_IMAGE", "confidential_space", "",
                                       "CONFIDENTIAL_SPACE "};
    set("swname", json_string(name[k]));
}

static void
issuer(unsigned k)
{
    static const char *const iss[] = {
        "https://accounts.google.com",
        "http://confidentialcomputing.googleapis.com",
        "https://confidentialcomputing.googleapis.com/",
        "https://confidentialcomputing.googleapis.com.attacker.example",
        "confidentialcomputing.googleapis.com",
        "",
    };
    set("iss", json_string(iss[k]));
}

static void
absent(unsigned k)
{
    static const char *const name[] = {"iss", "swname", "iat", "nbf", "exp"};
    if (k < 5) {
        json_object_del(t.payload, name[k]);
    } else {
        json_object_del(t.header, "kid");
    }
}

static void
form(unsigned k)
{
    static const char *const name[] = {"iss", "swname", "iat", "nbf", "exp"};
    set(name[k % 5], k < 5 ? json_null() : json_pack("[s]", "x"));
}

static void
twice(unsigned k)
{
    static const char *const text[] = {
        "{\"aud\":\"a\",\"aud\":\"https://quorum.example\"}",
        "{\"eat_nonce\":\"" OTHER "\",\"eat_nonce\":\"" HEX "\"}",
        "{\"submods\":{\"container\":{\"image_digest\":\"a\",\"image_digest\":\"b\"}}}",
    };
    t.payload_text = text[k];
}

static void
audience(unsigned k)
{
    switch (k) {
    case 0:
        set("aud", json_string("https://sts.google.com"));
        break;
    case 1:
        json_object_del(t.payload, "aud");
        break;
    case 2: /* one that is good for us and for another */
        set("aud", json_pack("[s,s]", "https://quorum.example", "https://attacker.example"));
        break;
    case 3:
        set("aud", json_pack("[s]", "https://quorum.example"));
        break;
    case 4:
        set("aud", json_string("https://quorum.example/"));
        break;
    case 5:
        set("aud", json_string("https://quorum"));
        break;
    default:
        set("aud", json_null());
        break;
    }
}

static void
over(unsigned k)
{
    set("exp", json_integer(k == 0 ? NOW : NOW - 1));
}

static void
early(unsigned k)
{
    set(k % 2 ? "nbf" : "iat", json_integer(NOW + 1));
}

static void
key(unsigned k)
{
    json_t *keys = json_object_get(t.jwks, "keys");
    if (k == 0) {
        json_decref(t.jwks);
        t.jwks = NULL;
    } else if (k == 1) {
        json_array_remove(keys, 1); /* it was rotated away */
    } else {
        json_object_set_new(t.header, "kid",
                            json_string("4676c490dc43829636595442e93cdc5d27aaa279"));
    }
}

static void
signature(unsigned k)
{
    if (k == 0) {
        t.key = evgen_key(EVGEN_RSA2048, 1);
    } else if (k == 1) {
        t.hash = QR_SHA512;
    } else {
        t.pss = 1;
    }
}

static void
nonce(unsigned k)
{
    static const char *const text[] = {
        OTHER,    "",         "C0FFEE0000000000000000000000000000000000000000000000000000000000",
        HEX "00", "c0ffee00", "wP/uAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        " " HEX,  "0x" HEX,
    };
    if (k < 8) {
        set("eat_nonce", json_string(text[k]));
    } else if (k == 8) {
        set("eat_nonce", json_pack("[s,s]", HEX, OTHER)); /* the second of another session */
    } else if (k == 9) {
        set("eat_nonce", json_pack("[s,s]", OTHER, HEX));
    } else if (k == 10) {
        set("eat_nonce", json_pack("[s,s]", HEX, HEX));
    } else if (k == 11) {
        set("eat_nonce", json_array());
    } else if (k == 12) {
        set("eat_nonce", json_pack("[[s]]", HEX));
    } else if (k == 13) {
        set("eat_nonce", json_pack("[i]", 7));
    } else if (k == 14) {
        set("eat_nonce", json_integer(7));
    } else if (k == 15) {
        json_object_del(t.payload, "eat_nonce");
    } else {
        set("nonce", json_string(HEX));
        set("eat_nonce", json_pack("{s:s}", "nonce", HEX));
    }
}

/* ---- certificates ---- */

static void
other_root(unsigned k)
{
    pin_genuine = 1;
    if (k == 0) { /* 17.104: of the same names, all three */
        t.spec[EVTOKEN_ROOT].key = t.spec[EVTOKEN_ROOT].signer = evgen_key(EVGEN_RSA2048, 1);
        t.spec[EVTOKEN_INTERMEDIATE].signer = evgen_key(EVGEN_RSA2048, 1);
    } else if (k == 1) {
        t.spec[EVTOKEN_ROOT].serial++;
    } else {
        t.spec[EVTOKEN_ROOT].to_ms += EVGEN_DAY_MS;
    }
}

static void
order(unsigned k)
{
    json_t *list;
    pin_genuine = 1;
    evtoken_x5c(&t);
    list = json_object_get(t.header, "x5c");
    if (k == 0) {
        json_array_remove(list, 2); /* no root */
    } else if (k == 1) {            /* reversed */
        json_array_append(list, json_array_get(list, 1));
        json_array_append(list, json_array_get(list, 0));
        json_array_remove(list, 0);
        json_array_remove(list, 0);
    } else { /* only the leaf, twice */
        json_array_remove(list, 2);
        json_array_set(list, 1, json_array_get(list, 0));
    }
}

static void
chain(unsigned k)
{
    struct evgen_cert_spec *leaf = &t.spec[EVTOKEN_LEAF], *ca = &t.spec[EVTOKEN_INTERMEDIATE];
    json_t *list;
    switch (k) {
    case 0: /* the intermediate missing */
        evtoken_x5c(&t);
        json_array_remove(json_object_get(t.header, "x5c"), 1);
        break;
    case 1: /* only the root, whose key signs */
        evtoken_x5c(&t);
        list = json_object_get(t.header, "x5c");
        json_array_remove(list, 0);
        json_array_remove(list, 0);
        t.key = evgen_key(EVGEN_RSA2048, 2);
        break;
    case 2: /* the intermediate as the leaf */
        evtoken_x5c(&t);
        json_array_remove(json_object_get(t.header, "x5c"), 0);
        t.key = evgen_key(EVGEN_RSA2048, 1);
        break;
    case 3:
        leaf->signer = evgen_key(EVGEN_RSA2048, 2);
        break;
    case 4:
        ca->signer = evgen_key(EVGEN_RSA2048, 0);
        break;
    case 5:
        leaf->issuer = "C=US,O=Google LLC,CN=Confidential Space Intermediate CA 2";
        break;
    case 6:
        ca->ca = 0;
        break;
    case 7:
        ca->ca = -1;
        break;
    case 8:
        ca->key_usage = EVGEN_KU_SIGN;
        break;
    case 9:
        leaf->ca = 1;
        break;
    case 10:
        leaf->key_usage = EVGEN_KU_CERT_SIGN;
        break;
    case 11:
        t.spec[EVTOKEN_ROOT].pathlen = 0;
        break;
    case 12:
        leaf->sig = EVGEN_RSA_SHA1;
        break;
    default: /* an intermediate of another kind of key */
        ca->key = evgen_key(EVGEN_P256, 0);
        leaf->signer = ca->key;
        leaf->sig = EVGEN_ECDSA_SHA256;
        break;
    }
}

static void
leaf_key(unsigned k)
{
    t.spec[EVTOKEN_LEAF].key = k == 0 ? evgen_key(EVGEN_P256, 0) : evgen_key(EVGEN_P384, 0);
}

static void
expired(unsigned level)
{
    t.spec[level].to_ms = EVGEN_NOW_MS - 1000;
}

static void
not_yet(unsigned level)
{
    t.spec[level].from_ms = EVGEN_NOW_MS + 1000;
}

static void
both(unsigned k)
{
    /* A key set does not help a token whose certificates are not to be believed. */
    t.jwks = json_pack("{s:[o]}", "keys", evtoken_jwk(t.key, EVTOKEN_KID));
    other_root(k);
}

struct bad {
    const char *name;
    int pki;
    void (*change)(unsigned arg);
    unsigned n;
    enum qr_check check;
    enum qr_reason reason;
};

static size_t count, hits[QR_CHECK_COUNT];

static void
test_bad(void **state)
{
    static const struct bad rows[] = {
        {"software of another name", 0, software, 5, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE},
        {"another issuer", 0, issuer, 6, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT},
        {"another issuer, certificates good", 1, issuer, 2, QR_CHECK_TOKEN,
         QR_REASON_UNTRUSTED_ROOT},
        {"member absent", 0, absent, 6, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"form of a member", 0, form, 10, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"member twice", 0, twice, 3, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY},
        {"17.103 audience", 0, audience, 7, QR_CHECK_TOKEN, QR_REASON_IDENTITY_MISMATCH},
        {"17.103 audience, certificates", 1, audience, 2, QR_CHECK_TOKEN,
         QR_REASON_IDENTITY_MISMATCH},
        {"exp passed", 0, over, 2, QR_CHECK_TIMESTAMP, QR_REASON_EXPIRED},
        {"nbf or iat in the future", 0, early, 2, QR_CHECK_TIMESTAMP, QR_REASON_NOT_YET_VALID},
        {"key rotated away", 0, key, 3, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING},
        {"17.105 signature", 0, signature, 3, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE},
        {"17.105 signature, certificates", 1, signature, 3, QR_CHECK_SIGNATURE,
         QR_REASON_SIGNATURE},
        {"17.108 eat_nonce", 0, nonce, 17, QR_CHECK_BINDER, QR_REASON_BINDER},
        {"17.104 another root", 1, other_root, 3, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT},
        {"17.104 another root, and a key set", 1, both, 3, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT},
        {"root not at the end", 1, order, 3, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT},
        {"chain", 1, chain, 14, QR_CHECK_CHAIN, QR_REASON_CHAIN},
        {"leaf with a key of another kind", 1, leaf_key, 2, QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"certificate expired, level", 1, expired, 3, QR_CHECK_VALIDITY, QR_REASON_EXPIRED},
        {"certificate not yet valid, level", 1, not_yet, 3, QR_CHECK_VALIDITY,
         QR_REASON_NOT_YET_VALID},
    };
    (void)state;
    make(1);
    evtoken_build(&t);
    genuine_root = t.cert[EVTOKEN_ROOT];
    evtoken_free(&t);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned k = 0; k < rows[i].n; k++) {
            char name[96];
            (void)snprintf(name, sizeof name, "%s %u", rows[i].name, k);
            make(rows[i].pki);
            rows[i].change(k);
            judge();
            evjudge_refused(&j, name, rows[i].check, rows[i].reason);
            evtoken_free(&t);
            count++;
            hits[rows[i].check]++;
        }
    }
    assert_true(count >= 100);
    static const enum qr_check own[] = {QR_CHECK_PARSE,  QR_CHECK_TOKEN,     QR_CHECK_ROOT,
                                        QR_CHECK_CHAIN,  QR_CHECK_VALIDITY,  QR_CHECK_COLLATERAL,
                                        QR_CHECK_BINDER, QR_CHECK_SIGNATURE, QR_CHECK_TIMESTAMP};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_true(hits[own[i]] >= 3);
    }
}

static void
test_without(void **state)
{
    static const uint8_t large[65] = {1};
    (void)state;
    evjudge_init(&j, QR_EV_CONFIDENTIAL_SPACE);
    evjudge_run(&j);
    evjudge_refused(&j, "no token", QR_CHECK_PARSE, QR_REASON_MALFORMED);

    make(1);
    evtoken_build(&t);
    prepare();
    j.o.binder = (qr_view){0};
    j.o.audience = (qr_view){0};
    j.o.now_ms = -1;
    evjudge_run(&j);
    evjudge_valid(&j, "nothing asked for");
    assert_int_equal(j.v.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
    assert_int_equal(j.v.check[QR_CHECK_TIMESTAMP], QR_CHECK_SKIPPED);
    assert_int_equal(j.v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    prepare();
    j.o.binder = qr_view_of(large, sizeof large);
    evjudge_run(&j);
    evjudge_refused(&j, "long binder", QR_CHECK_BINDER, QR_REASON_BINDER);
    prepare();
    j.o.max_age_ms = 60000;
    evjudge_run(&j);
    evjudge_valid(&j, "a minute old");
    prepare();
    j.o.max_age_ms = 59999;
    evjudge_run(&j);
    evjudge_refused(&j, "older than asked for", QR_CHECK_TIMESTAMP, QR_REASON_STALE);
    evtoken_free(&t);
}

static void
test_real(void **state)
{
    static const struct evjudge_reason reasons[] = {
        {"oak-2025-06-invalid-signature", QR_REASON_SIGNATURE},
    };
    (void)state;
    (void)evjudge_real(QR_EV_CONFIDENTIAL_SPACE, reasons, 1, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine), cmocka_unit_test(test_for_the_policy),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_without),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
