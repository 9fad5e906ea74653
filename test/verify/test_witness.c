/*
 * Second witnesses: a token beside evidence of every platform, what is compared, what stays of it, and
 * everything that must refuse: a bad token, a token of another machine, of another cloud.
 */
#include "enclave-shim/verify/witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"
#include "test/common/evgen_all.h"
#include "test/common/evgen_snp.h"
#include "test/common/evgen_token.h"

#include <string.h>

#define NOW (EVGEN_NOW_MS / 1000)
#define TEE "x-ms-isolation-tee"
#define VM "390CBCF5-6C67-4D9B-98EF-C3F1699CC8FC" /* of evhcl_runtime */
#define INSTANCE "7885236546812373301"            /* of evak_init */

static struct evtoken t;
static struct qr_verdict v;
static struct qr_verify_out out;

static const struct evall *
evidence_of(enum qr_evidence_kind kind)
{
    for (size_t i = 0; i < evall_n(); i++) {
        if (evall_get(i)->e.kind == kind) {
            return evall_get(i);
        }
    }
    fail_msg("no evidence of %s", qr_evidence_kind_name(kind));
    return NULL;
}

static void
set(const char *object, const char *member, const char *text)
{
    json_t *in = object ? json_object_get(t.payload, object) : t.payload;
    if (text) {
        assert_int_equal(json_object_set_new(in, member, json_string(text)), 0);
    } else {
        (void)json_object_del(in, member);
    }
}

static void
set_hex(const char *member, qr_view bytes)
{
    char text[129];
    assert_true(bytes.len <= 64);
    qr_hex_encode(bytes, text);
    set(TEE, member, text);
}

/* What Azure Attestation says of this evidence: read from its bytes, by offsets of the generators. */
static void
maa_of(const struct evall *a)
{
    qr_view hcl = qr_evidence_get(&a->e, QR_PART_HCL_REPORT);
    qr_view snp = qr_evidence_get(&a->e, QR_PART_SNP_REPORT);
    qr_view quote = qr_evidence_get(&a->e, QR_PART_QUOTE);
    const uint8_t *report = snp.p ? snp.p : hcl.p ? hcl.p + 32 : NULL;

    evtoken_maa(&t, evall_binder());
    if (hcl.p) {
        set(NULL, "x-ms-azurevm-vmid", VM);
    }
    if (quote.p) {
        set(TEE, "x-ms-attestation-type", "tdxvm");
        set_hex("tdx_mrtd", qr_view_of(quote.p + 48 + 136, 48));
        set_hex("tdx_report_data", qr_view_of(quote.p + 48 + 520, 64));
    } else {
        set_hex("x-ms-sevsnpvm-launchmeasurement", qr_view_of(report + EVSNP_MEASUREMENT, 48));
        set_hex("x-ms-sevsnpvm-idkeydigest", qr_view_of(report + EVSNP_ID_KEY_DIGEST, 48));
        set_hex("x-ms-sevsnpvm-reportdata", qr_view_of(report + EVSNP_REPORT_DATA, 64));
    }
}

static void
cspace_of(const struct evall *a, int pki)
{
    (pki ? evtoken_pki : evtoken_oidc)(&t, evall_binder());
    set(NULL, "hwmodel",
        qr_evidence_get(&a->e, QR_PART_QUOTE).p ? "GCP_INTEL_TDX" : "GCP_AMD_SEV_SNP");
    json_t *gce = json_object_get(json_object_get(t.payload, "submods"), "gce");
    assert_int_equal(json_object_set_new(gce, "instance_id", json_string(INSTANCE)), 0);
}

enum { WITH_KEYS = 1, NO_BINDER = 2, OLD = 4, NO_TIME = 8, NO_PIN = 16, AUDIENCE = 32 };

static int countdown = -1;
static int
gate(size_t n)
{
    (void)n;
    return countdown < 0 || countdown-- > 0;
}

/* The evidence with the token, judged; countdown >= 0: that allocation fails. */
static qr_err
judge(const struct evall *a, int how)
{
    struct qr_evidence e = a->e;
    struct qr_roots roots = a->roots;
    struct qr_verify_opts o = {.roots = &roots, .now_ms = how & NO_TIME ? -1 : EVGEN_NOW_MS};

    evtoken_build(&t);
    assert_int_equal(qr_evidence_add(&e, QR_PART_TOKEN, 0, evgen_buf_view(&t.token)), QR_OK);
    if (how & WITH_KEYS && t.keys.len > 0) {
        assert_int_equal(qr_evidence_add(&e, QR_PART_JWKS, 0, evgen_buf_view(&t.keys)), QR_OK);
    }
    if (t.pki && !(how & NO_PIN)) {
        evgen_pin(&roots, QR_ROOT_CONFIDENTIAL_SPACE, &t.cert[EVTOKEN_ROOT]);
    }
    const qr_view none = qr_view_of(NULL, 0);
    o.binder = how & NO_BINDER ? none : evall_binder();
    o.max_age_ms = how & OLD ? 59999 : 0;
    o.audience = how & AUDIENCE ? qr_view_str("https://other.example") : none;
    qr_alloc_gate(gate);
    qr_err err = qr_verify(&e, &o, &v, &out);
    qr_alloc_gate(NULL);
    assert_true((err == QR_OK) == (v.reason == QR_REASON_NONE));
    return err;
}

static void
good(const char *name, const struct evall *a, int how)
{
    if (judge(a, how) != QR_OK) {
        fail_msg("%s: %s", name, v.sentence);
    }
    assert_int_equal(v.check[QR_CHECK_TOKEN], QR_CHECK_PASS);
}

static void
bad(const char *name, const struct evall *a, int how, enum qr_check c, enum qr_reason r)
{
    size_t failed = 0;
    if (judge(a, how) == QR_OK) {
        fail_msg("%s: accepted", name);
    }
    if (v.failed != c || v.reason != r) {
        fail_msg("%s: %s, %s: %s", name, qr_check_name(v.failed), qr_reason_word(v.reason),
                 v.sentence);
    }
    for (unsigned i = 0; i < QR_CHECK_COUNT; i++) {
        failed += v.check[i] == QR_CHECK_FAIL;
    }
    assert_int_equal(failed, 1);
    assert_true(strncmp(v.sentence, "second witness: ", 16) == 0);
    assert_int_not_equal(v.check[QR_CHECK_TOKEN], QR_CHECK_PASS);
    assert_null(qr_claim_find(&v.claims, "witness.kind"));
    assert_int_equal(out.earliest_end_ms, INT64_MAX);
}

/* ---- genuine ---- */

static void
claims_are(const char *kind, int pinned)
{
    qr_view x;
    uint64_t exp = 0;
    uint8_t sha[32];
    int root = 2, debug = 2;

    assert_true(qr_claim_get_text(&v.claims, "witness.kind", &x));
    assert_true(qr_view_eq(x, qr_view_str(kind)));
    assert_true(qr_claim_get_text(&v.claims, "witness.iss", &x));
    assert_true(qr_view_eq(x, qr_view_str(json_string_value(json_object_get(t.payload, "iss")))));
    assert_true(qr_claim_get_uint(&v.claims, "witness.exp", &exp));
    assert_int_equal(exp, json_integer_value(json_object_get(t.payload, "exp")));
    assert_int_equal(qr_key_sha256(t.key, sha), 1);
    assert_true(qr_claim_get_hex(&v.claims, "witness.key_sha256", &x));
    assert_true(qr_view_eq(x, qr_view_of(sha, sizeof sha)));
    assert_true(qr_claim_get_bool(&v.claims, "witness.pinned_root", &root));
    assert_int_equal(root, pinned);
    assert_true(qr_claim_get_bool(&v.claims, "witness.debug", &debug));
    assert_int_equal(debug, 0);
    assert_true(out.earliest_end_ms <= (int64_t)exp * 1000);
    assert_null(qr_claim_find(&v.claims, "payload"));
}

static void
test_genuine(void **state)
{
    static const enum qr_evidence_kind azure[] = {QR_EV_AZURE_SNP, QR_EV_AZURE_TDX, QR_EV_SNP,
                                                  QR_EV_TDX};
    static const enum qr_evidence_kind google[] = {QR_EV_GCP_SNP, QR_EV_GCP_TDX, QR_EV_SNP,
                                                   QR_EV_TDX};
    static struct qr_verdict alone;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct evall *a = evidence_of(azure[i]);
        struct qr_verify_opts o = {.roots = &a->roots, .now_ms = EVGEN_NOW_MS};
        o.binder = evall_binder();
        assert_int_equal(qr_verify(&a->e, &o, &alone, NULL), QR_OK);
        maa_of(a);
        good(a->name, a, WITH_KEYS);
        claims_are("azure-maa", 0);
        assert_int_equal(out.earliest_end_ms, EVGEN_NOW_MS + 28740000);
        /* The platform's own claims are what they were: six more stand beside them. */
        assert_int_equal(v.claims.n, alone.claims.n + 6);
        for (size_t k = 0; k < alone.claims.n; k++) {
            assert_string_equal(v.claims.item[k].path, alone.claims.item[k].path);
        }
        good("no binder asked for", a, WITH_KEYS | NO_BINDER);
        good("no time", a, WITH_KEYS | NO_TIME);
        /* A key set is signed by nobody: its token's dates are no lower bound of the time. */
        assert_true(out.latest_issue_ms < EVGEN_NOW_MS - 60000);
        evtoken_free(&t);

        a = evidence_of(google[i]);
        cspace_of(a, 1);
        good(a->name, a, 0);
        claims_are("gcp-confidential-space", 1);
        evtoken_free(&t);
        cspace_of(a, 0);
        good(a->name, a, WITH_KEYS);
        claims_are("gcp-confidential-space", 0);
        assert_int_equal(out.earliest_end_ms, EVGEN_NOW_MS + 3540000);
        evtoken_free(&t);
    }
    /* A TD's values were not always in the token; then the VM's id names the machine. */
    maa_of(evidence_of(QR_EV_AZURE_TDX));
    set(TEE, "tdx_mrtd", NULL);
    set(TEE, "tdx_report_data", NULL);
    good("TDX by the VM's id", evidence_of(QR_EV_AZURE_TDX), WITH_KEYS);
    evtoken_free(&t);
    maa_of(evidence_of(QR_EV_AZURE_SNP));
    set(NULL, "x-ms-azurevm-vmid", NULL);
    good("SNP without the VM's id", evidence_of(QR_EV_AZURE_SNP), WITH_KEYS);
    evtoken_free(&t);
}

/* ---- tokens of other machines ---- */

#define ZEROS48                                                                                    \
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
    "0000"

static void
test_other_machine(void **state)
{
    static const struct {
        enum qr_evidence_kind kind;
        const char *object, *member, *value;
    } rows[] = {
        {QR_EV_AZURE_SNP, TEE, "x-ms-attestation-type", "tdxvm"},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-launchmeasurement", ZEROS48},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-launchmeasurement", "8962535933f5c4b4"},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-launchmeasurement", NULL},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-idkeydigest", "00" ZEROS48},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-idkeydigest", NULL},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-reportdata", ZEROS48},
        {QR_EV_AZURE_SNP, TEE, "x-ms-sevsnpvm-reportdata", NULL},
        {QR_EV_AZURE_SNP, NULL, "x-ms-azurevm-vmid", "390CBCF5-6C67-4D9B-98EF-C3F1699CC8FD"},
        {QR_EV_SNP, TEE, "x-ms-sevsnpvm-launchmeasurement", ZEROS48},
        {QR_EV_SNP, TEE, "x-ms-sevsnpvm-reportdata", ""},
        {QR_EV_AZURE_TDX, TEE, "x-ms-attestation-type", "sevsnpvm"},
        {QR_EV_AZURE_TDX, TEE, "tdx_mrtd", ZEROS48},
        {QR_EV_AZURE_TDX, TEE, "tdx_report_data", ZEROS48},
        {QR_EV_AZURE_TDX, NULL, "x-ms-azurevm-vmid", "390CBCF5"},
        {QR_EV_TDX, TEE, "tdx_mrtd", ZEROS48},
        {QR_EV_TDX, TEE, "tdx_report_data", NULL}, /* then nothing names the machine */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct evall *a = evidence_of(rows[i].kind);
        maa_of(a);
        set(rows[i].object, rows[i].member, rows[i].value);
        bad(rows[i].member, a, WITH_KEYS, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH);
        evtoken_free(&t);
    }
    /* A member that is no text is no value. */
    maa_of(evidence_of(QR_EV_AZURE_TDX));
    json_object_set_new(json_object_get(t.payload, TEE), "tdx_mrtd", json_integer(1));
    bad("a number", evidence_of(QR_EV_AZURE_TDX), WITH_KEYS, QR_CHECK_COMPOSITE,
        QR_REASON_IDENTITY_MISMATCH);
    evtoken_free(&t);

    static const char *const models[] = {"GCP_AMD_SEV", "GCP_AMD_SEV_ES", "GCP_SHIELDED_VM", NULL};
    for (size_t i = 0; i < 4; i++) {
        cspace_of(evidence_of(QR_EV_GCP_SNP), 1);
        set(NULL, "hwmodel", models[i]);
        bad("hwmodel", evidence_of(QR_EV_GCP_SNP), 0, QR_CHECK_COMPOSITE,
            QR_REASON_IDENTITY_MISMATCH);
        evtoken_free(&t);
    }
    static const enum qr_evidence_kind other[][2] = {{QR_EV_GCP_TDX, QR_EV_GCP_SNP},
                                                     {QR_EV_SNP, QR_EV_TDX}};
    for (size_t i = 0; i < 2; i++) {
        cspace_of(evidence_of(other[i][0]), 1);
        bad("the other hwmodel", evidence_of(other[i][1]), 0, QR_CHECK_COMPOSITE,
            QR_REASON_IDENTITY_MISMATCH);
        evtoken_free(&t);
    }
    static const char *const ids[] = {"7885236546812373300", "07885236546812373301", "", NULL};
    for (size_t i = 0; i < 4; i++) {
        cspace_of(evidence_of(QR_EV_GCP_TDX), 1);
        json_t *gce = json_object_get(json_object_get(t.payload, "submods"), "gce");
        json_object_set_new(gce, "instance_id", ids[i] ? json_string(ids[i]) : json_null());
        bad("instance", evidence_of(QR_EV_GCP_TDX), 0, QR_CHECK_COMPOSITE,
            QR_REASON_IDENTITY_MISMATCH);
        evtoken_free(&t);
    }
    /* Of another cloud, though all else were right. */
    cspace_of(evidence_of(QR_EV_AZURE_TDX), 1);
    bad("Google's beside Azure's", evidence_of(QR_EV_AZURE_TDX), 0, QR_CHECK_COMPOSITE,
        QR_REASON_IDENTITY_MISMATCH);
    evtoken_free(&t);
    maa_of(evidence_of(QR_EV_GCP_SNP));
    bad("Azure's beside Google's", evidence_of(QR_EV_GCP_SNP), WITH_KEYS, QR_CHECK_COMPOSITE,
        QR_REASON_IDENTITY_MISMATCH);
    evtoken_free(&t);
}

/* ---- tokens that are not good ---- */

static void
test_bad_token(void **state)
{
    const struct evall *a = evidence_of(QR_EV_AZURE_SNP), *g = evidence_of(QR_EV_GCP_TDX);
    (void)state;
    maa_of(a);
    bad("no key set", a, 0, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING);
    bad("too old", a, WITH_KEYS | OLD, QR_CHECK_TIMESTAMP, QR_REASON_STALE);
    bad("audience", a, WITH_KEYS | AUDIENCE, QR_CHECK_TOKEN, QR_REASON_IDENTITY_MISMATCH);
    json_object_set_new(t.payload, "exp", json_integer(NOW));
    bad("expired", a, WITH_KEYS, QR_CHECK_TIMESTAMP, QR_REASON_EXPIRED);
    json_object_set_new(t.payload, "exp", json_integer(NOW + 100));
    json_object_set_new(t.payload, "nbf", json_integer(NOW + 1));
    bad("not yet", a, WITH_KEYS, QR_CHECK_TIMESTAMP, QR_REASON_NOT_YET_VALID);
    json_object_set_new(t.payload, "nbf", json_integer(NOW - 60));
    good("in time again", a, WITH_KEYS);
    t.key = evgen_key(EVGEN_RSA2048, 2);
    bad("another's signature", a, WITH_KEYS, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE);
    t.key = evgen_key(EVGEN_RSA2048, 0);
    json_object_set_new(t.header, "kid", json_string("unknown"));
    bad("unknown kid", a, WITH_KEYS, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING);
    json_object_set_new(t.header, "kid", json_string(EVTOKEN_KID));
    json_object_set_new(t.header, "alg", json_string("none"));
    bad("no algorithm", a, WITH_KEYS, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED);
    json_object_set_new(t.header, "alg", json_string("RS256"));
    json_object_set_new(
        json_object_get(json_object_get(t.payload, "x-ms-runtime"), "client-payload"), "nonce",
        json_string("AAAA"));
    bad("another binder", a, WITH_KEYS, QR_CHECK_BINDER, QR_REASON_BINDER);
    /* The evidence's own binder has passed, and is not taken for the token's. */
    good("another binder, not asked for", a, WITH_KEYS | NO_BINDER);
    set(NULL, TEE, NULL);
    bad("Trusted Launch", a, WITH_KEYS, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE);
    static const char *const isses[] = {"https://evil.example",
                                        "https://attest.azure.net.evil.com",
                                        "https://confidentialcomputing.googleapis.com/",
                                        "http://a.attest.azure.net",
                                        "",
                                        NULL};
    for (size_t i = 0; i < sizeof isses / sizeof isses[0]; i++) {
        set(NULL, "iss", isses[i]);
        bad("issuer", a, WITH_KEYS, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT);
    }
    t.payload_text = "[]";
    bad("no object", a, WITH_KEYS, QR_CHECK_PARSE, QR_REASON_MALFORMED);
    evtoken_free(&t);

    cspace_of(g, 1);
    bad("root not pinned", g, NO_PIN, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT);
    set(NULL, "swname", "GCE");
    bad("not Confidential Space", g, 0, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE);
    set(NULL, "swname", "CONFIDENTIAL_SPACE");
    set(NULL, "eat_nonce", "00");
    bad("another nonce", g, 0, QR_CHECK_BINDER, QR_REASON_BINDER);
    evtoken_free(&t);
    cspace_of(g, 0);
    bad("no key set", g, 0, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING);
    evtoken_free(&t);

    /* Evidence that is refused is refused for its own reason, whatever stands beside it. */
    static struct evall broken;
    broken = *a;
    memset(&broken.roots, 0, sizeof broken.roots);
    maa_of(a);
    assert_int_equal(judge(&broken, 0), QR_ERR_ATTESTATION);
    assert_int_equal(v.failed, QR_CHECK_ROOT);
    assert_null(strstr(v.sentence, "second witness"));
    evtoken_free(&t);
}

/* Other platforms have no second witness: a token beside them is not looked at, nor counts. */
static void
test_not_taken(void **state)
{
    static const enum qr_evidence_kind kinds[] = {QR_EV_NITRO, QR_EV_SGX, QR_EV_TPM};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct evall *a = evidence_of(kinds[i]);
        assert_false(qr_witness_taken(kinds[i]));
        evtoken_maa(&t, evall_binder());
        assert_int_equal(judge(a, WITH_KEYS), QR_OK);
        assert_int_equal(v.check[QR_CHECK_TOKEN], QR_CHECK_SKIPPED);
        assert_null(qr_claim_find(&v.claims, "witness.kind"));
        evtoken_free(&t);
    }
}

/* Debugging is the policy's business: the token is genuine, and it is said. */
static void
test_debug(void **state)
{
    int debug = 0;
    (void)state;
    cspace_of(evidence_of(QR_EV_GCP_TDX), 1);
    set(NULL, "dbgstat", "enabled");
    good("debug image", evidence_of(QR_EV_GCP_TDX), 0);
    assert_true(qr_claim_get_bool(&v.claims, "witness.debug", &debug) && debug);
    assert_true(qr_claim_get_bool(&v.claims, "debug", &debug) && !debug);
    evtoken_free(&t);
}

/* Every allocation may fail; what was taken is given back. */
static void
test_memory(void **state)
{
    const struct evall *a = evidence_of(QR_EV_AZURE_SNP);
    size_t bytes = 0, blocks = 0, bytes_now = 0, blocks_now = 0;
    int fails = 0;

    (void)state;
    maa_of(a);
    qr_alloc_stats(&bytes, &blocks);
    for (;; fails++) {
        countdown = fails;
        qr_err e = judge(a, WITH_KEYS);
        qr_alloc_stats(&bytes_now, &blocks_now);
        assert_true(bytes_now == bytes && blocks_now == blocks);
        if (e == QR_OK) {
            break;
        }
        assert_int_equal(v.reason, QR_REASON_RESOURCE_LIMIT);
    }
    assert_true(fails > 100);
    countdown = -1;
    evtoken_free(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),   cmocka_unit_test(test_other_machine),
        cmocka_unit_test(test_bad_token), cmocka_unit_test(test_not_taken),
        cmocka_unit_test(test_debug),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
