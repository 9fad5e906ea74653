/*
 * Genuine evidence that a policy must refuse: what is measured, debugged, migrated, too old, on another
 * machine, or less than was agreed. Evidence is generated and properly signed, verified, and then
 * judged by a policy that accepts what the generators make unchanged, so that each change alone is
 * what is refused. HOSTILE.md names these tests by the number of the attack.
 */
#include "enclave-shim/verify/peers.h"
#include "test/common/evgen_all.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_nitro.h"
#include "test/common/evgen_snp.h"
#include "test/common/evgen_tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct qr_verdict verdict;
static struct qr_peers_domain domain;

/* ---- policies ---- */

#define HEAD                                                                                       \
    "{\"peer_secret\": {\"threshold\": 2}, \"freshness\": {\"max_age_s\": 300, \"reattest_s\": "   \
    "600, \"clock_spread_s\": 60,"                                                                 \
    "  \"stages\": {\"warn_s\": 3600, \"no_peers_s\": 7200, \"no_keys_s\": 14400,"                 \
    "  \"stop_s\": 86400}},"                                                                       \
    " \"require\": [\"binder\", \"validity\"],"                                                    \
    " \"measurements\": [{\"name\": \"release\", \"platform\": \"%s\","                            \
    "  \"valid_from\": \"2025-06-01T00:00:00Z\", \"valid_until\": \"2026-06-01T00:00:00Z\","       \
    "  \"expect\": {\"%s\": \"%s\"}}],"                                                            \
    " \"platforms\": {\"%s\": {%s}}}"

static char text[8192], wanted[256];

/* A claim of the last verdict in hex. */
static const char *
shown(const char *path)
{
    qr_view v;
    if (!qr_claim_get_hex(&verdict.claims, path, &v)) {
        fail_msg("no claim %s", path);
    }
    assert_true(v.len * 2 < sizeof wanted);
    for (size_t i = 0; i < v.len; i++) {
        snprintf(wanted + 2 * i, 3, "%02x", v.p[i]);
    }
    return wanted;
}

/* A policy for one platform, that wants this one value of one claim. */
static struct qr_peers *
policy(const char *platform, const char *path, const char *value, const char *rules)
{
    struct qr_peers *p = NULL;
    char err[256] = "";

    assert_true((size_t)snprintf(text, sizeof text, HEAD, platform, path, value, platform, rules) <
                sizeof text);
    if (qr_peers_read(qr_view_str(text), &p, err, sizeof err) != QR_OK) {
        fail_msg("%s: %s", platform, err);
    }
    return p;
}

static qr_err
verify(const struct qr_evidence *e, const struct qr_roots *roots)
{
    const struct qr_verify_opts o = {
        .roots = roots, .now_ms = EVGEN_NOW_MS, .binder = evall_binder()};
    return qr_verify(e, &o, &verdict, NULL);
}

/* What the policy says; the evidence must have been genuine. */
static void
judged(const struct qr_peers *p, const struct qr_evidence *e, const struct qr_roots *roots,
       const char *what, enum qr_reason reason)
{
    const struct qr_peers_who who = {.index = 1, .cloud = "", .operator_name = "ops"};

    if (verify(e, roots) != QR_OK) {
        fail_msg("%s: not genuine: %s", what, verdict.sentence);
    }
    qr_err err = qr_peers_judge(p, e->kind, 0, &who, EVGEN_NOW_MS, &verdict, &domain);
    if ((err == QR_OK) != (reason == QR_REASON_NONE) || verdict.reason != reason) {
        fail_msg("%s: expected %s, found %s: %s", what, qr_reason_word(reason),
                 qr_reason_word(verdict.reason), verdict.sentence);
    }
    if (reason != QR_REASON_NONE) {
        assert_non_null(strstr(verdict.sentence, "line "));
    }
}

/* ---- AMD ---- */

static struct evsnp snp;
static struct qr_evidence snp_e;
static struct qr_roots roots;

static void
snp_start(void)
{
    evsnp_init(&snp, EVSNP_MILAN, 3);
    memset(snp.report + EVSNP_REPORT_DATA, 0, 64);
    memcpy(snp.report + EVSNP_REPORT_DATA, evall_binder().p, 32);
}

static void
snp_end(void)
{
    evsnp_build(&snp);
    memset(&snp_e, 0, sizeof snp_e);
    evsnp_evidence(&snp, QR_EV_SNP, &snp_e);
}

/* The firmware that the generator's report shows is the oldest that is accepted. */
static struct qr_peers *
snp_policy(void)
{
    static char rules[2048];
    static const char *const parts[] = {"bootloader", "tee", "snp", "microcode"};
    char chip[130], measurement[100], path[64];
    uint64_t svn[4] = {0};

    memset(&roots, 0, sizeof roots);
    evsnp_roots(&roots);
    snp_start();
    snp_end();
    assert_int_equal(verify(&snp_e, &roots), QR_OK);
    snprintf(chip, sizeof chip, "%s", shown("chip_id"));
    snprintf(measurement, sizeof measurement, "%s", shown("measurement"));
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "reported_tcb.%s", parts[i]);
        assert_true(qr_claim_get_uint(&verdict.claims, path, &svn[i]));
    }
    snprintf(rules, sizeof rules,
             "\"products\": [{\"product\": \"Milan\", \"bootloader\": %u, \"tee\": %u,"
             " \"snp\": %u, \"microcode\": %u}], \"vmpl\": [0],"
             " \"machines\": {\"allow\": [{\"chip_id\": \"%s\"}]}",
             (unsigned)svn[0], (unsigned)svn[1], (unsigned)svn[2], (unsigned)svn[3], chip);
    return policy("amd-sev-snp", "measurement", measurement, rules);
}

static void
test_snp(void **state)
{
    (void)state;
    struct qr_peers *p = snp_policy();
    judged(p, &snp_e, &roots, "as made", QR_REASON_NONE);

    snp_start();
    snp.report[EVSNP_POLICY + 2] |= 1u << 3;
    snp_end();
    judged(p, &snp_e, &roots, "32. debug", QR_REASON_DEBUG);

    snp_start();
    snp.report[EVSNP_POLICY + 2] |= 1u << 2;
    memset(snp.report + EVSNP_REPORT_ID_MA, 0x12, 32);
    snp_end();
    judged(p, &snp_e, &roots, "33. migration agent", QR_REASON_POLICY);

    snp_start();
    evsnp_put(&snp, EVSNP_VMPL, 1, 4);
    snp_end();
    judged(p, &snp_e, &roots, "45. VMPL 1", QR_REASON_POLICY);

    snp_start();
    snp.report[EVSNP_MEASUREMENT] ^= 1;
    snp_end();
    judged(p, &snp_e, &roots, "something else", QR_REASON_MEASUREMENT);
    p = qr_peers_free(p);
}

/*
 * Older firmware than the policy's minimum, endorsed as such. (44: firmware that may be fallen back to is
 * older than the one that runs; then reported and committed contradict each other, which the verifier
 * refuses whatever the policy says.)
 */
static void
test_old_firmware(void **state)
{
    (void)state;
    struct qr_peers *p = snp_policy();

    for (size_t at = 6; at < 8; at++) { /* SNP firmware and microcode, in the order of Milan */
        snp_start();
        uint8_t *reported = snp.report + EVSNP_REPORTED_TCB;
        assert_true(reported[at] > 0);
        reported[at]--;
        evsnp_ext_uint(&snp, at == 6 ? EVSNP_EXT_SNP : EVSNP_EXT_UCODE, reported[at]);
        snp_end();
        judged(p, &snp_e, &roots, "older than the minimum", QR_REASON_TCB);
    }
    p = qr_peers_free(p);
}

/* 112: genuine, the right software, and not ours. */
static void
test_other_machine(void **state)
{
    (void)state;
    struct qr_peers *p = snp_policy();
    uint8_t chip[64];

    snp_start();
    snp.report[EVSNP_CHIP_ID] ^= 1;
    memcpy(chip, snp.report + EVSNP_CHIP_ID, 64);
    memcpy(snp.ext[EVSNP_EXT_HWID].bytes, chip, 64);
    snp.ext[EVSNP_EXT_HWID].len = 64;
    snp_end();
    judged(p, &snp_e, &roots, "112. another chip", QR_REASON_POLICY);
    assert_int_equal(verdict.failed, QR_CHECK_MACHINE);
    p = qr_peers_free(p);
}

/* ---- Nitro ---- */

static struct evnitro nitro;

static void
nitro_make(int debug, struct qr_evidence *e)
{
    evnitro_init(&nitro);
    nitro.nonce = evall_binder();
    for (size_t i = 0; debug && i < 3; i++) {
        memset(nitro.pcr[i], 0, sizeof nitro.pcr[i]);
    }
    evnitro_build(&nitro);
    memset(&roots, 0, sizeof roots);
    evgen_pin(&roots, QR_ROOT_AWS_NITRO, &nitro.cert[EVNITRO_ROOT]);
    *e = (struct qr_evidence){.kind = QR_EV_NITRO};
    assert_int_equal(qr_evidence_add(e, QR_PART_NITRO_DOCUMENT, 0, evnitro_doc(&nitro)), QR_OK);
}

/* 22: PCRs of a debugged enclave are zero; a policy cannot ask for zero. */
static void
test_nitro_debug(void **state)
{
    (void)state;
    struct qr_evidence e;
    struct qr_peers *p, *none = NULL;
    char err[256] = "", zero[97];

    nitro_make(0, &e);
    assert_int_equal(verify(&e, &roots), QR_OK);
    p = policy("aws-nitro", "pcrs.0", shown("pcrs.0"), "");
    judged(p, &e, &roots, "as made", QR_REASON_NONE);
    nitro_make(1, &e);
    judged(p, &e, &roots, "22. debug", QR_REASON_DEBUG);
    p = qr_peers_free(p);

    memset(zero, '0', 96);
    zero[96] = '\0';
    snprintf(text, sizeof text, HEAD, "aws-nitro", "pcrs.0", zero, "aws-nitro", "");
    assert_int_not_equal(qr_peers_read(qr_view_str(text), &none, err, sizeof err), QR_OK);
    assert_null(none);
    assert_non_null(strstr(err, "zero"));
}

/* ---- Intel ---- */

static struct evgen_dcap dcap;
static struct evgen_dcap_out dcap_out;

static void
dcap_start(enum evgen_dcap_kind kind)
{
    evgen_dcap_default(&dcap, kind);
    memset(evgen_dcap_report_data(&dcap), 0, 64);
    memcpy(evgen_dcap_report_data(&dcap), evall_binder().p, 32);
}

static void
dcap_end(enum qr_evidence_kind kind, struct qr_evidence *e)
{
    evgen_dcap_make(&dcap, &dcap_out);
    memset(&roots, 0, sizeof roots);
    evgen_dcap_pin(&dcap_out, &roots);
    *e = (struct qr_evidence){.kind = kind};
    evgen_dcap_add(&dcap_out, e);
}

#define STATUS "\"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []}]"

/* 66, 67: TDATTRIBUTES bits 0 to 7 take the TD out of the trust boundary. */
static void
test_tdx_attributes(void **state)
{
    (void)state;
    struct qr_evidence e;
    char values[256];

    dcap_start(EVGEN_TDX_V4);
    dcap_end(QR_EV_TDX, &e);
    assert_int_equal(verify(&e, &roots), QR_OK);
    int n = snprintf(values, sizeof values, "%s\", \"body.rtmr1\": \"", shown("body.mr_td"));
    snprintf(values + n, sizeof values - (size_t)n, "%s", shown("body.rtmr1"));
    struct qr_peers *p = policy("intel-tdx", "body.mr_td", values, STATUS);
    judged(p, &e, &roots, "as made", QR_REASON_NONE);
    for (unsigned bit = 0; bit < 8; bit++) {
        dcap_start(EVGEN_TDX_V4);
        dcap.body[EVGEN_TD_ATTRIBUTES] |= (uint8_t)(1u << bit);
        dcap_end(QR_EV_TDX, &e);
        if (verify(&e, &roots) != QR_OK) { /* a bit that the format reserves */
            continue;
        }
        judged(p, &e, &roots, "66, 67. TDATTRIBUTES", QR_REASON_DEBUG);
    }
    p = qr_peers_free(p);
}

/* 73: MRENCLAVE is right, and a debugger reads along. */
static void
test_sgx_debug(void **state)
{
    (void)state;
    struct qr_evidence e;

    dcap_start(EVGEN_SGX_V3);
    dcap_end(QR_EV_SGX, &e);
    assert_int_equal(verify(&e, &roots), QR_OK);
    struct qr_peers *p = policy("intel-sgx", "body.mrenclave", shown("body.mrenclave"), STATUS);
    judged(p, &e, &roots, "as made", QR_REASON_NONE);
    dcap_start(EVGEN_SGX_V3);
    dcap.body[EVGEN_SGX_ATTRIBUTES] |= 2;
    dcap_end(QR_EV_SGX, &e);
    judged(p, &e, &roots, "73. debug", QR_REASON_DEBUG);
    p = qr_peers_free(p);
}

/* 74: the signer is right, the product or its version is not. */
static void
test_sgx_signer(void **state)
{
    (void)state;
    struct qr_evidence e;
    char rules[512];

    dcap_start(EVGEN_SGX_V3);
    dcap.body[EVGEN_SGX_PROD_ID] = 7;
    dcap.body[EVGEN_SGX_SVN] = 3;
    dcap_end(QR_EV_SGX, &e);
    assert_int_equal(verify(&e, &roots), QR_OK);
    snprintf(rules, sizeof rules,
             STATUS ", \"signers\": [{\"mrsigner\": \"%s\", \"isv_prod_id\": 7,"
                    " \"min_isv_svn\": 3}]",
             shown("body.mrsigner"));
    char enclave[65];
    snprintf(enclave, sizeof enclave, "%s", shown("body.mrenclave"));
    enclave[0] = enclave[0] == '0' ? '1' : '0'; /* so that only its signer speaks for it */
    struct qr_peers *p = policy("intel-sgx", "body.mrenclave", enclave, rules);
    judged(p, &e, &roots, "as made", QR_REASON_NONE);
    for (int i = 0; i < 3; i++) {
        dcap_start(EVGEN_SGX_V3);
        dcap.body[EVGEN_SGX_PROD_ID] = i == 0 ? 8 : 7;
        dcap.body[EVGEN_SGX_SVN] = i == 1 ? 2 : 3;
        dcap.body[EVGEN_SGX_MRSIGNER] ^= i == 2;
        dcap_end(QR_EV_SGX, &e);
        judged(p, &e, &roots, "74. signer", QR_REASON_MEASUREMENT);
    }
    p = qr_peers_free(p);
}

/* ---- less than was agreed ---- */

static const struct evall *
evidence_of(const char *name, size_t *ret)
{
    for (size_t i = 0; i < evall_n(); i++) {
        if (strcmp(evall_get(i)->name, name) == 0) {
            *ret = i;
            return evall_get(i);
        }
    }
    fail_msg("no evidence %s", name);
    return NULL;
}

/*
 * 106, 107, 113: a quote of the vTPM alone, a certificate of its key, and tokens, whatever they say,
 * where the policy names the composite of processor and vTPM. 109: another machine of Google's.
 */
static void
test_downgrade(void **state)
{
    (void)state;
    static const char *const weaker[] = {"tpm", "gcp-ak", "maa", "cs-oidc", "cs-pki"};
    static const struct qr_peers_who who = {.index = 1, .cloud = "gcp", .operator_name = "ops"};
    char rules[512], measurement[100], instance[32];
    size_t i = 0;
    const struct evall *a = evidence_of("gcp-snp", &i);
    uint64_t id = 0;

    assert_int_equal(verify(&a->e, &a->roots), QR_OK);
    snprintf(measurement, sizeof measurement, "%s", shown("quote.pcrs.4"));
    assert_true(qr_claim_get_uint(&verdict.claims, "ak_cert.instance.instance_id", &id));
    snprintf(instance, sizeof instance, "%llu", (unsigned long long)id);
    for (int other = 0; other < 2; other++) {
        snprintf(rules, sizeof rules,
                 "\"products\": [{\"product\": \"Genoa\", \"bootloader\": 1, \"tee\": 0,"
                 " \"snp\": 0, \"microcode\": 0}],"
                 " \"machines\": {\"allow\": [{\"gcp_instance\": \"%s\"}]}",
                 other ? "12345" : instance);
        struct qr_peers *p = policy("gcp-snp-vtpm", "quote.pcrs.4", measurement, rules);
        judged(p, &a->e, &a->roots, "109. instance", other ? QR_REASON_POLICY : QR_REASON_NONE);
        for (size_t k = 0; k < sizeof weaker / sizeof weaker[0]; k++) {
            const struct evall *w = evidence_of(weaker[k], &i);
            struct qr_verify_opts o = evall_opts(i);
            o.binder = w->binds ? evall_binder() : (qr_view){NULL, 0};
            assert_int_equal(qr_verify(&w->e, &o, &verdict, NULL), QR_OK);
            assert_int_equal(qr_peers_judge(p, w->e.kind, 0, &who, EVGEN_NOW_MS, &verdict, &domain),
                             QR_ERR_ATTESTATION);
            assert_int_equal(verdict.reason, QR_REASON_POLICY);
        }
        p = qr_peers_free(p);
    }
}

/* 110, 111: evidence commits to one session and one direction; asked for another, it says nothing. */
static void
test_other_session(void **state)
{
    (void)state;
    uint8_t other[32];
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        memcpy(other, evall_binder().p, sizeof other);
        other[i % sizeof other] ^= 0x80;
        o.binder = qr_view_of(other, sizeof other);
        if (a->binds) {
            assert_int_equal(qr_verify(&a->e, &o, &verdict, NULL), QR_ERR_ATTESTATION);
            assert_int_equal(verdict.reason, QR_REASON_BINDER);
            assert_int_equal(verdict.failed, QR_CHECK_BINDER);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snp),
        cmocka_unit_test(test_old_firmware),
        cmocka_unit_test(test_other_machine),
        cmocka_unit_test(test_nitro_debug),
        cmocka_unit_test(test_tdx_attributes),
        cmocka_unit_test(test_sgx_debug),
        cmocka_unit_test(test_sgx_signer),
        cmocka_unit_test(test_downgrade),
        cmocka_unit_test(test_other_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
