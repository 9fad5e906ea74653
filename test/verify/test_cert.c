/* Certificates, chains and revocation lists: every rule broken once, everything else intact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "test/common/evgen_ca.h"

#define ROOT "CN=Root,O=Test"
#define MID "CN=Middle,O=Test"
#define LEAF "CN=Leaf,O=Test"
#define INTEL QR_ROOT_INTEL

/* Leaf, intermediate and root, by their specifications, and what one reads of them. */
struct chain {
    struct evgen_cert_spec spec[3];
    struct evgen_der der[3];
    size_t n;
    struct qr_roots roots;
    int keep_roots; /* 0: the root is pinned when it is made */
    struct qr_certs certs;
    struct qr_chain_rules rules;
    struct qr_verdict v;
};

static struct chain c;

static void
begin(void)
{
    EVP_PKEY *root = evgen_key(EVGEN_P256, 0), *mid = evgen_key(EVGEN_P256, 1);
    memset(&c, 0, sizeof c);
    c.n = 3;
    c.spec[0] = evgen_cert_spec_of(LEAF, evgen_key(EVGEN_P256, 2), MID, mid, 0);
    c.spec[1] = evgen_cert_spec_of(MID, mid, ROOT, root, 1);
    c.spec[2] = evgen_cert_spec_of(ROOT, root, ROOT, root, 1);
    c.rules = (struct qr_chain_rules){.root = INTEL, .now_ms = EVGEN_NOW_MS};
}

/* Makes the certificates, pins the root, reads all; the chain is not looked at yet. */
static void
make(void)
{
    qr_verdict_init(&c.v);
    for (size_t i = 0; i < 3; i++) {
        evgen_cert(&c.spec[i], &c.der[i]);
    }
    if (!c.keep_roots) {
        c.roots.of[INTEL].n = 0;
        evgen_pin(&c.roots, INTEL, &c.der[2]);
    }
    for (size_t i = 0; i < c.n; i++) {
        assert_int_equal(
            qr_certs_add_der(&c.certs, evgen_view(&c.der[i]), &c.v, QR_CHECK_PARSE, "x"), QR_OK);
    }
}

static void
expect(enum qr_reason reason, enum qr_check check, const char *words)
{
    make();
    qr_err e = qr_chain_verify(&c.certs, &c.roots, &c.rules, &c.v);
    qr_certs_free(&c.certs);
    if (reason == QR_REASON_NONE) {
        assert_string_equal(c.v.sentence, "");
        assert_int_equal(e, QR_OK);
        return;
    }
    assert_int_equal(e, QR_ERR_ATTESTATION);
    assert_string_equal(qr_reason_word(c.v.reason), qr_reason_word(reason));
    assert_string_equal(qr_check_name(c.v.failed), qr_check_name(check));
    assert_int_equal(c.v.check[check], QR_CHECK_FAIL);
    assert_non_null(strstr(c.v.sentence, words));
    assert_non_null(strstr(c.v.sentence, "expected"));
    assert_non_null(strstr(c.v.sentence, "found"));
}

static void
test_good_chains(void **state)
{
    (void)state;
    begin();
    expect(QR_REASON_NONE, 0, "");
    assert_int_equal(c.v.check[QR_CHECK_ROOT], QR_CHECK_PASS);
    assert_int_equal(c.v.check[QR_CHECK_CHAIN], QR_CHECK_PASS);
    assert_int_equal(c.v.check[QR_CHECK_VALIDITY], QR_CHECK_PASS);
    begin(); /* no time: dates are not looked at, and nobody says they were */
    c.rules.now_ms = -1;
    c.spec[0].to_ms = EVGEN_NOW_MS - EVGEN_DAY_MS;
    expect(QR_REASON_NONE, 0, "");
    assert_int_equal(c.v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    begin(); /* a leaf without basicConstraints, as Microsoft's are */
    c.spec[0].ca = -1;
    expect(QR_REASON_NONE, 0, "");
    begin(); /* without anything, as AMD's are, where that is expected */
    c.spec[0].ca = -1;
    c.spec[0].key_usage = 0;
    c.spec[0].serial = 0;
    c.rules.ca_unmarked_leaf = 1;
    expect(QR_REASON_NONE, 0, "");
    begin(); /* a path length that just suffices */
    c.spec[2].pathlen = 1;
    c.spec[1].pathlen = 0;
    expect(QR_REASON_NONE, 0, "");
    begin(); /* key types of the platform */
    c.rules.key_type = EVP_PKEY_EC;
    expect(QR_REASON_NONE, 0, "");
}

static void
test_rsa_chains(void **state)
{
    static const enum evgen_sig sigs[] = {EVGEN_RSA_PSS_SHA384, EVGEN_RSA_SHA256, EVGEN_RSA_SHA384};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        begin();
        c.spec[2].key = c.spec[2].signer = c.spec[1].signer = evgen_key(EVGEN_RSA4096, 0);
        c.spec[1].key = c.spec[0].signer = evgen_key(EVGEN_RSA2048, 1);
        c.spec[0].sig = c.spec[1].sig = c.spec[2].sig = sigs[i];
        c.rules.key_type = EVP_PKEY_RSA;
        expect(QR_REASON_NONE, 0, "");
        c.rules.key_type = EVP_PKEY_EC;
        expect(QR_REASON_CHAIN, QR_CHECK_CHAIN, "platform's type");
    }
    begin();
    c.spec[2].key = c.spec[2].signer = c.spec[1].signer = evgen_key(EVGEN_RSA2048, 0);
    c.spec[2].sig = EVGEN_RSA_SHA256;
    c.spec[1].sig = EVGEN_RSA_SHA1;
    expect(QR_REASON_CHAIN, QR_CHECK_CHAIN,
           "certificate 1 of the chain: expected a signature with SHA-2");
    begin();
    c.rules.key_type = EVP_PKEY_RSA;
    expect(QR_REASON_CHAIN, QR_CHECK_CHAIN, "certificate 1 of the chain: expected a CA key");
}

static void
test_roots(void **state)
{
    (void)state;
    begin();
    evgen_cert(&c.spec[1], &c.der[1]);
    evgen_pin(&c.roots, INTEL, &c.der[1]); /* another one is pinned */
    c.keep_roots = 1;
    expect(QR_REASON_UNTRUSTED_ROOT, QR_CHECK_ROOT, "SHA-256");
    begin();
    make();
    qr_certs_free(&c.certs);
    c.rules.root = QR_ROOT_AMD_MILAN; /* pinned, for another vendor */
    expect(QR_REASON_UNTRUSTED_ROOT, QR_CHECK_ROOT, "SHA-256");
    begin(); /* the same key and name, but another certificate */
    make();
    qr_certs_free(&c.certs);
    c.spec[2].serial++;
    c.keep_roots = 1;
    expect(QR_REASON_UNTRUSTED_ROOT, QR_CHECK_ROOT, "SHA-256");
    begin(); /* pinned, but not the end of a chain */
    c.spec[2].issuer = "CN=Somebody";
    expect(QR_REASON_UNTRUSTED_ROOT, QR_CHECK_ROOT, "another issuer");
    begin(); /* the root is told before anything else */
    c.rules.root = QR_ROOT_AMD_MILAN;
    c.spec[0].bad_signature = 1;
    c.spec[0].to_ms = 0;
    expect(QR_REASON_UNTRUSTED_ROOT, QR_CHECK_ROOT, "SHA-256");
    begin();
    c.n = 1;
    expect(QR_REASON_CHAIN, QR_CHECK_CHAIN, "a leaf and a root");
    begin();
    c.n = 0;
    expect(QR_REASON_CHAIN, QR_CHECK_CHAIN, "found 0");
}

/* One row breaks one rule. */
static void
leaf_is_ca(void)
{
    c.spec[0].ca = 1;
}
static void
leaf_may_not_sign(void)
{
    c.spec[0].key_usage = EVGEN_KU_CRL_SIGN;
}
static void
leaf_unmarked(void)
{
    c.spec[0].ca = -1;
    c.spec[0].key_usage = 0;
}
static void
leaf_of_another(void)
{
    c.spec[0].issuer = "CN=Other,O=Test";
}
static void
leaf_signed_by_another(void)
{
    c.spec[0].signer = evgen_key(EVGEN_P256, 3);
}
static void
leaf_bit_flipped(void)
{
    c.spec[0].bad_signature = 1;
}
static void
mid_is_no_ca(void)
{
    c.spec[1].ca = 0;
}
static void
mid_unmarked(void)
{
    c.spec[1].ca = -1;
}
static void
mid_without_use(void)
{
    c.spec[1].key_usage = 0;
}
static void
mid_may_not_certify(void)
{
    c.spec[1].key_usage = EVGEN_KU_CRL_SIGN | EVGEN_KU_SIGN;
}
static void
mid_bit_flipped(void)
{
    c.spec[1].bad_signature = 1;
}
static void
mid_skips_the_root(void)
{
    c.spec[1].issuer = MID;
}
static void
root_pathlen_zero(void)
{
    c.spec[2].pathlen = 0;
}
static void
root_is_no_ca(void)
{
    c.spec[2].ca = 0;
    c.spec[2].key_usage = EVGEN_KU_CERT_SIGN;
}
static void
leaf_unknown_critical(void)
{
    evgen_spec_add_ext(&c.spec[0], "1.2.3.4", qr_view_of("\x05\x00", 2), 1);
}
static void
mid_unknown_critical(void)
{
    evgen_spec_add_ext(&c.spec[1], "1.2.3.4", qr_view_of("\x05\x00", 2), 1);
}
static void
mid_broken_extension(void)
{
    c.spec[1].key_usage = 0;
    evgen_spec_add_ext(&c.spec[1], "2.5.29.15", qr_view_of("\x05\x00", 2), 1);
}
static void
mid_twice_constrained(void)
{
    evgen_spec_add_ext(&c.spec[1], "2.5.29.19", qr_view_of("\x30\x03\x01\x01\xff", 5), 1);
}
static void
leaf_and_mid_swapped(void)
{
    struct evgen_cert_spec t = c.spec[0];
    c.spec[0] = c.spec[1];
    c.spec[1] = t;
}

static void
test_chain_rules(void **state)
{
    static const struct {
        void (*damage)(void);
        const char *words;
    } rows[] = {
        {leaf_is_ca, "certificate 0 of the chain: expected a leaf, found a CA"},
        {leaf_may_not_sign, "certificate 0 of the chain: expected a leaf that may sign"},
        {leaf_unmarked, "certificate 0 of the chain: expected a leaf that may sign"},
        {leaf_of_another, "certificate 0 of the chain: expected the next one's subject"},
        {leaf_signed_by_another, "certificate 0 of the chain: expected the next one's signature"},
        {leaf_bit_flipped, "certificate 0 of the chain: expected the next one's signature"},
        {mid_is_no_ca, "certificate 1 of the chain: expected a CA"},
        {mid_unmarked, "certificate 1 of the chain: expected a CA"},
        {mid_without_use, "certificate 1 of the chain: expected a key that may sign"},
        {mid_may_not_certify, "certificate 1 of the chain: expected a key that may sign"},
        {mid_bit_flipped, "certificate 1 of the chain: expected the next one's signature"},
        {mid_skips_the_root, "certificate 1 of the chain: expected the next one's subject"},
        {root_pathlen_zero, "certificate 2 of the chain: expected fewer CAs"},
        {root_is_no_ca, "certificate 2 of the chain: expected a CA"},
        {leaf_unknown_critical, "certificate 0 of the chain: expected extensions that are known"},
        {mid_unknown_critical, "certificate 1 of the chain: expected extensions that are known"},
        {mid_broken_extension, "certificate 1 of the chain: expected extensions that are known"},
        {mid_twice_constrained, "certificate 1 of the chain: expected extensions that are known"},
        {leaf_and_mid_swapped, "certificate 0 of the chain: expected a leaf, found a CA"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        rows[i].damage();
        expect(QR_REASON_CHAIN, QR_CHECK_CHAIN, rows[i].words);
        assert_int_equal(c.v.check[QR_CHECK_ROOT], QR_CHECK_PASS);
        assert_int_equal(c.v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    }
}

static void
test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        begin();
        c.spec[i].to_ms = EVGEN_NOW_MS - 1000;
        expect(QR_REASON_EXPIRED, QR_CHECK_VALIDITY, "found 1767225599");
        begin();
        c.spec[i].to_ms = EVGEN_NOW_MS; /* the last moment */
        expect(QR_REASON_NONE, 0, "");
        begin();
        c.spec[i].from_ms = EVGEN_NOW_MS + 1000;
        expect(QR_REASON_NOT_YET_VALID, QR_CHECK_VALIDITY, "found 1767225601");
        c.rules.not_before_skew_ms = 1000;
        expect(QR_REASON_NONE, 0, "");
        begin();
        c.spec[i].from_ms = EVGEN_NOW_MS;
        expect(QR_REASON_NONE, 0, "");
    }
}

/* From the calendar to milliseconds, either encoding. */
static void
test_date_values(void **state)
{
    static const int64_t moments[] = {
        INT64_C(0),               /* 1970-01-01, UTCTime */
        INT64_C(951782400000),    /* 2000-02-29 */
        INT64_C(951868800000),    /* 2000-03-01 */
        INT64_C(1735689599000),   /* 2024-12-31T23:59:59 */
        INT64_C(2524607999000),   /* 2049-12-31T23:59:59, the last UTCTime */
        INT64_C(2524608000000),   /* 2050-01-01, GeneralizedTime */
        INT64_C(4107542400000),   /* 2100-03-01, no leap year */
        INT64_C(4818268800000),   /* 2122-09-08 */
        INT64_C(-86400000),       /* 1969-12-31 */
        INT64_C(253402300799000), /* 9999-12-31T23:59:59 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        int64_t from = 1, to = 1;
        begin();
        c.spec[0].from_ms = moments[i];
        c.spec[0].to_ms = moments[sizeof moments / sizeof moments[0] - 1 - i];
        make();
        assert_true(qr_cert_dates(c.certs.x[0], &from, &to));
        assert_int_equal(from, c.spec[0].from_ms);
        assert_int_equal(to, c.spec[0].to_ms);
        qr_certs_free(&c.certs);
    }
}

static void
test_facts(void **state)
{
    char text[128];
    uint8_t hash[32], again[32];
    (void)state;
    begin();
    c.spec[0].subject = "CN=A\nB\xc3\xa4,O=Test,C=US";
    evgen_spec_add_ext(&c.spec[0], "1.3.6.1.4.1.3704.1.3.8", qr_view_of("\x02\x02\x00\xd9", 4), 0);
    evgen_spec_add_ext(&c.spec[0], "1.2.840.113741.1.13.1", qr_view_of("", 0), 0);
    make();
    qr_cert_cn(c.certs.x[0], text, sizeof text);
    assert_string_equal(text, "A?B??");
    qr_cert_cn(c.certs.x[0], text, 3);
    assert_string_equal(text, "A?");
    qr_cert_cn(c.certs.x[0], text, 1);
    assert_string_equal(text, "");
    qr_cert_subject(c.certs.x[1], text, sizeof text);
    assert_string_equal(text, "O=Test,CN=Middle");
    qr_cert_subject(c.certs.x[1], text, 5);
    assert_string_equal(text, "O=Te");
    qr_view v = qr_cert_ext(c.certs.x[0], "1.3.6.1.4.1.3704.1.3.8");
    assert_true(qr_view_eq(v, qr_view_of("\x02\x02\x00\xd9", 4)));
    v = qr_cert_ext(c.certs.x[0], "1.2.840.113741.1.13.1");
    assert_int_equal(v.len, 0);
    assert_null(qr_cert_ext(c.certs.x[0], "1.3.6.1.4.1.3704.1.3.9").p);
    assert_null(qr_cert_ext(c.certs.x[0], "1.3.6.1.4.1.3704.1.3").p);
    assert_true(qr_key_sha256(c.spec[0].key, hash));
    assert_true(qr_key_sha256(X509_get0_pubkey(c.certs.x[0]), again));
    assert_memory_equal(hash, again, 32);
    qr_cert_sha256(evgen_view(&c.der[2]), hash);
    assert_true(qr_root_pinned(&c.roots, INTEL, hash));
    qr_certs_free(&c.certs);
}

/* ---- revocation lists ---- */

static struct evgen_crl_spec l;
static struct evgen_der list;

static void
crl_begin(void)
{
    begin();
    l = evgen_crl_spec_of(MID, evgen_key(EVGEN_P256, 1));
}

/* Against certificate 0, or against nothing (cert < 0). */
static void
crl_expect(int cert, enum qr_reason reason, const char *words)
{
    struct qr_crl_facts f = {77, 77, 77};
    make();
    evgen_crl(&l, &list);
    qr_err e = qr_crl_check(evgen_view(&list), c.certs.x[1], cert < 0 ? NULL : c.certs.x[cert],
                            c.rules.now_ms, &c.v, "the list", &f);
    qr_certs_free(&c.certs);
    assert_string_equal(qr_reason_word(c.v.reason), qr_reason_word(reason));
    if (reason == QR_REASON_NONE) {
        assert_int_equal(e, QR_OK);
        assert_int_equal(f.number, l.number == UINT64_MAX ? 0 : l.number);
        assert_int_equal(f.this_ms, l.this_ms);
        assert_int_equal(f.next_ms, l.next_ms);
        assert_int_equal(c.v.check[QR_CHECK_CRL], QR_CHECK_SKIPPED); /* the caller's to record */
        return;
    }
    assert_int_equal(e, QR_ERR_ATTESTATION);
    assert_int_equal(c.v.check[QR_CHECK_CRL], QR_CHECK_FAIL);
    assert_int_equal(f.number, 77);
    assert_non_null(strstr(c.v.sentence, words));
}

static void
test_crl(void **state)
{
    (void)state;
    crl_begin();
    crl_expect(0, QR_REASON_NONE, "");
    crl_expect(-1, QR_REASON_NONE, "");
    crl_begin();
    l.n_revoked = 3;
    memcpy(l.revoked, (uint64_t[]){1, 4711, UINT64_MAX}, 3 * sizeof l.revoked[0]);
    crl_expect(0, QR_REASON_REVOKED, "found it");
    crl_expect(-1, QR_REASON_NONE, "");
    l.revoked[1] = 4712;
    crl_expect(0, QR_REASON_NONE, "");
    crl_begin();
    l.number = UINT64_MAX;
    crl_expect(0, QR_REASON_NONE, "");
    l.number = UINT64_MAX - 1;
    crl_expect(0, QR_REASON_NONE, "");
    crl_begin();
    l.issuer = ROOT;
    crl_expect(0, QR_REASON_COLLATERAL_MISMATCH, "another's");
    crl_begin();
    l.signer = evgen_key(EVGEN_P256, 5);
    crl_expect(0, QR_REASON_SIGNATURE, "issuer's signature");
    crl_begin();
    l.bad_signature = 1;
    crl_expect(0, QR_REASON_SIGNATURE, "issuer's signature");
    crl_begin();
    c.spec[1].key_usage = EVGEN_KU_CERT_SIGN;
    crl_expect(0, QR_REASON_CHAIN, "may sign lists");
}

static void
test_crl_dates(void **state)
{
    (void)state;
    crl_begin();
    l.next_ms = -1;
    crl_expect(0, QR_REASON_MALFORMED, "nextUpdate");
    crl_begin();
    l.next_ms = EVGEN_NOW_MS - 1000;
    crl_expect(0, QR_REASON_COLLATERAL_EXPIRED, "nextUpdate");
    l.next_ms = EVGEN_NOW_MS;
    crl_expect(0, QR_REASON_NONE, "");
    crl_begin();
    l.this_ms = EVGEN_NOW_MS + 1000;
    crl_expect(0, QR_REASON_NOT_YET_VALID, "thisUpdate");
    l.next_ms = EVGEN_NOW_MS - 1000; /* both: the end is told first */
    crl_expect(0, QR_REASON_COLLATERAL_EXPIRED, "nextUpdate");
    c.rules.now_ms = -1; /* no time */
    crl_expect(0, QR_REASON_NONE, "");
    /* A list that is out of date does not say whom it revoked. */
    crl_begin();
    l.next_ms = EVGEN_NOW_MS - 1000;
    l.n_revoked = 1;
    l.revoked[0] = 4711;
    crl_expect(0, QR_REASON_COLLATERAL_EXPIRED, "nextUpdate");
}

/* issuingDistributionPoint: [1] onlyContainsUserCerts, [2] CA certs, [4] indirect, [5] attributes. */
static void
with_idp(const char *der, size_t len)
{
    crl_begin();
    l.n_ext = 1;
    l.ext[0] = (struct evgen_ext){"2.5.29.28", qr_view_of(der, len), 1};
}

static void
test_crl_scope(void **state)
{
    (void)state;
    with_idp("\x30\x00", 2);
    crl_expect(0, QR_REASON_NONE, "");
    with_idp("\x30\x03\x81\x01\xff", 5);
    crl_expect(0, QR_REASON_NONE, "");
    crl_expect(1, QR_REASON_COLLATERAL_MISMATCH, "another scope");
    crl_expect(-1, QR_REASON_NONE, "");
    with_idp("\x30\x03\x82\x01\xff", 5);
    crl_expect(0, QR_REASON_COLLATERAL_MISMATCH, "another scope");
    crl_expect(1, QR_REASON_NONE, "");
    with_idp("\x30\x03\x84\x01\xff", 5);
    crl_expect(0, QR_REASON_UNSUPPORTED, "another scope");
    with_idp("\x30\x03\x85\x01\xff", 5);
    crl_expect(0, QR_REASON_UNSUPPORTED, "another scope");
    with_idp("\x30\x04\x83\x02\x01\x06", 6); /* onlySomeReasons */
    crl_expect(0, QR_REASON_UNSUPPORTED, "another scope");
    with_idp("\x05\x00", 2);
    crl_expect(0, QR_REASON_MALFORMED, "");
    crl_begin(); /* a delta list */
    l.n_ext = 1;
    l.ext[0] = (struct evgen_ext){"2.5.29.27", qr_view_of("\x02\x01\x01", 3), 0};
    crl_expect(0, QR_REASON_UNSUPPORTED, "another scope");
    crl_begin();
    l.n_ext = 1;
    l.ext[0] = (struct evgen_ext){"1.2.3.4", qr_view_of("\x05\x00", 2), 1};
    crl_expect(0, QR_REASON_UNSUPPORTED, "another scope");
    l.ext[0].critical = 0;
    crl_expect(0, QR_REASON_NONE, "");
}

static enum qr_reason
crl_bytes(qr_view v)
{
    make();
    qr_err e = qr_crl_check(v, c.certs.x[1], c.certs.x[0], -1, &c.v, "the list", NULL);
    qr_certs_free(&c.certs);
    assert_true((e == QR_OK) == (c.v.reason == QR_REASON_NONE));
    return c.v.reason;
}

static void
test_crl_bytes(void **state)
{
    static uint8_t bytes[70000];
    (void)state;
    crl_begin();
    evgen_crl(&l, &list);
    memcpy(bytes, list.p, list.len);
    assert_int_equal(crl_bytes(qr_view_of(bytes, list.len)), QR_REASON_NONE);
    assert_int_equal(crl_bytes(qr_view_of(bytes, list.len + 1)), QR_REASON_TRAILING_DATA);
    for (size_t n = 0; n < list.len; n += 7) {
        assert_int_equal(crl_bytes(qr_view_of(bytes, n)), QR_REASON_MALFORMED);
    }
    assert_int_equal(crl_bytes(qr_view_of(bytes, sizeof bytes)), QR_REASON_RESOURCE_LIMIT);
    bytes[4] ^= 1;
    assert_int_equal(crl_bytes(qr_view_of(bytes, list.len)), QR_REASON_MALFORMED);
}

static qr_err
judge(void)
{
    qr_verdict_init(&c.v);
    return qr_chain_verify(&c.certs, &c.roots, &c.rules, &c.v);
}

/* Counted by the linker's --wrap. */
static unsigned verified;
int __real_X509_verify(X509 *x, EVP_PKEY *k);
int __wrap_X509_verify(X509 *x, EVP_PKEY *k);
int
__wrap_X509_verify(X509 *x, EVP_PKEY *k)
{
    verified++;
    return __real_X509_verify(x, k);
}

static void
test_links_spare_the_signature_alone(void **state)
{
    static struct qr_links links;
    (void)state;
    memset(&links, 0, sizeof links);
    begin();
    make();
    c.rules.links = &links;
    verified = 0;
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verified, 2);
    assert_int_equal(links.n, 2);
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verified, 2);
    /* Everything else is looked at each time. */
    c.rules.now_ms = EVGEN_NOW_MS + 100 * 365 * EVGEN_DAY_MS;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_EXPIRED);
    c.rules.now_ms = EVGEN_NOW_MS;
    c.rules.key_type = EVP_PKEY_RSA;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_CHAIN);
    c.rules.key_type = 0;
    c.roots.of[INTEL].n = 0;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_UNTRUSTED_ROOT);
    qr_certs_free(&c.certs);
}

static void
test_links_know_whole_certificates(void **state)
{
    static struct qr_links links;
    (void)state;
    memset(&links, 0, sizeof links);
    begin();
    make();
    c.rules.links = &links;
    assert_int_equal(judge(), QR_OK);
    qr_certs_free(&c.certs);
    /* A bit of the leaf's signature; the rest as before. */
    c.der[0].p[c.der[0].len - 1] ^= 1;
    for (size_t i = 0; i < c.n; i++) {
        assert_int_equal(
            qr_certs_add_der(&c.certs, evgen_view(&c.der[i]), &c.v, QR_CHECK_PARSE, "x"), QR_OK);
    }
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_CHAIN);
    assert_int_equal(links.n, 2); /* what failed is not remembered */
    qr_certs_free(&c.certs);
    /* The good leaf under another CA of the same name. */
    c.der[0].p[c.der[0].len - 1] ^= 1;
    c.spec[1].key = evgen_key(EVGEN_P256, 5);
    evgen_cert(&c.spec[1], &c.der[1]);
    for (size_t i = 0; i < c.n; i++) {
        assert_int_equal(
            qr_certs_add_der(&c.certs, evgen_view(&c.der[i]), &c.v, QR_CHECK_PARSE, "x"), QR_OK);
    }
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(c.v.reason, QR_REASON_CHAIN);
    qr_certs_free(&c.certs);
}

static void
test_links_are_bounded(void **state)
{
    static struct qr_links links;
    (void)state;
    memset(&links, 0, sizeof links);
    begin();
    c.rules.links = &links;
    for (unsigned i = 0; i < QR_LINKS_MAX; i++) { /* two new links each time */
        make();
        assert_int_equal(judge(), QR_OK);
        qr_certs_free(&c.certs);
    }
    assert_int_equal(links.n, QR_LINKS_MAX);
    assert_true(links.next < QR_LINKS_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_chains),
        cmocka_unit_test(test_rsa_chains),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_chain_rules),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_date_values),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_crl),
        cmocka_unit_test(test_crl_dates),
        cmocka_unit_test(test_crl_scope),
        cmocka_unit_test(test_crl_bytes),
        cmocka_unit_test(test_links_spare_the_signature_alone),
        cmocka_unit_test(test_links_know_whole_certificates),
        cmocka_unit_test(test_links_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
