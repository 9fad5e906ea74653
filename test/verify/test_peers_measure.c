/*
 * Which measurement sets count: dates, two releases side by side, manifests and what they revoke.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/peerjudge.h"

#include <openssl/evp.h>
#include <stdio.h>

#define X4(x) x x x x
#define X24(x) X4(x) X4(x) X4(x) X4(x) X4(x) X4(x)
#define X32(x) X24(x) X4(x) X4(x)
#define X48(x) X24(x) X24(x)
/* Long values are shown by their beginning. */
#define H(x, bytes) X24(x) "... (" bytes " bytes)"

static const struct qr_peers_who nobody = {3, "", "op"};

/* Sets before, in and after their dates; a time that is not known. */
static void
test_dates(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());
    const int64_t from = INT64_C(1767225600000), until = INT64_C(1798761600000);

    (void)state;
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_accepted(p, QR_EV_SNP, from);
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_accepted(p, QR_EV_SNP, until - 1);
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_refused(p, QR_EV_SNP, from - 1, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp at line 13: expected a time from 2026-01-01T00:00:00Z until "
               "2027-01-01T00:00:00Z, found 2025-12-31T23:59:59Z");
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_refused(p, QR_EV_SNP, until, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp at line 13: expected a time from 2026-01-01T00:00:00Z until "
               "2027-01-01T00:00:00Z, found 2027-01-01T00:00:00Z");
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_refused(p, QR_EV_SNP, -1, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp at line 13: expected a time from 2026-01-01T00:00:00Z until "
               "2027-01-01T00:00:00Z, found no known time");
    qr_peers_free(p);
    /* no end */
    p = pj_edited("\"valid_until\": \"2027-01-01T00:00:00Z\",\n   \"expect\": {\"measurement\"",
                  "\"expect\": {\"measurement\"");
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_accepted(p, QR_EV_SNP, until);
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_refused(p, QR_EV_SNP, from - 1, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp at line 13: expected a time from 2026-01-01T00:00:00Z, found "
               "2025-12-31T23:59:59Z");
    qr_peers_free(p);
}

/* Two releases during a rolling upgrade: both in the overlap, each alone outside of it. */
static void
test_overlap(void **state)
{
    const int64_t day = 86400000, start = INT64_C(1798761600000) - day; /* new one's valid_from */
    struct qr_peers *p = pj_edited(
        "  {\"name\": \"tdx\"",
        "{\"name\":\"snp-next\",\"platform\":\"amd-sev-snp\",\"valid_from\":"
        "\"2026-12-31T00:00:00Z\",\"expect\":{\"measurement\":\"" X48("99") "\"}},"
                                                                            "  {\"name\": \"tdx\"");
    static const struct {
        int64_t at; /* days after the new one's beginning, or just before */
        int old_ok, new_ok;
    } when[] = {{-1, 1, 0}, {0, 1, 1}, {86399999, 1, 1}, {86400000, 0, 1}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (int next = 0; next < 2; next++) {
            peerkit_verdict(QR_EV_SNP, &pj.v);
            if (next) {
                peerkit_set(&pj.v, "measurement", "h99*48");
            }
            int ok = next ? when[i].new_ok : when[i].old_ok;
            qr_err e =
                qr_peers_judge(p, QR_EV_SNP, 0, &nobody, start + when[i].at, &pj.v, &pj.domain);
            assert_int_equal(e, ok ? QR_OK : QR_ERR_ATTESTATION);
            if (!ok) {
                assert_int_equal(pj.v.failed, QR_CHECK_MEASUREMENT);
            }
        }
    }
    qr_peers_free(p);
}

/* ---- manifests ---- */

#define DATED "\"valid_from\":\"2026-01-01T00:00:00Z\",\"valid_until\":\"2027-01-01T00:00:00Z\""
#define MANIFEST(release, more, byte)                                                              \
    "{\"v\":1,\"type\":\"quorate/measurements\",\"release\":\"" release                            \
    "\",\n\"source\":\"0123456789012345678901234567890123456789\",\n\"recipe\":\"" X32(            \
        "ab") "\",\n" DATED "," more "\n\"measurements\":[\n{\"name\":\"snp\",\"platform\":"       \
              "\"amd-sev-snp\",\n\"expect\":{\"measurement\":\"" X48(byte) "\"}}]}"

static struct qr_manifest *
manifest_of(const char *t)
{
    struct qr_manifest *m = NULL;
    if (qr_manifest_parse(qr_view_str(t), &m, pj.why, sizeof pj.why) != QR_OK) {
        fail_msg("%s", pj.why);
    }
    return m;
}

/* The policy believes manifests by the hash of this one, or by one of two keys. */
static struct qr_peers *
believing(const struct qr_manifest *a, EVP_PKEY *key)
{
    char sha[65], line[QR_SIGNATURE_LINE_MAX], rule[512];
    qr_hex_encode(qr_view_of(qr_manifest_sha256(a), 32), sha);
    assert_int_equal(qr_manifest_sign(key, qr_view_str("x"), line), QR_OK);
    snprintf(rule, sizeof rule,
             "\"manifests\":[{\"sha256\":[\"%s\"]},{\"need\":1,\"signers\":[{\"name\":\"rel\","
             "\"scheme\":\"ed25519\",\"key\":\"%.64s\"}]}],\"platforms\": {\n",
             sha, line + 8);
    return pj_edited("\"platforms\": {\n", rule);
}

static void
test_manifests(void **state)
{
    static const char one[] = MANIFEST("1.0", "", "61"),
                      two[] = MANIFEST("2.0",
                                       "\"revoked\":[\"1.0\"],\"minimum_tcb\":{\"amd_sev_snp\":[\n{"
                                       "\"product\":\"Milan\",\"bootloader\":4,\"tee\":0,\"snp\":"
                                       "24,\"microcode\":221}],\"intel_tcb_evaluation\":18},",
                                       "62"),
                      twice[] = MANIFEST("2.0", "", "63");
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
             *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    char sig[QR_SIGNATURE_LINE_MAX], bad[QR_SIGNATURE_LINE_MAX];
    struct qr_manifest *m1 = manifest_of(one), *m2 = manifest_of(two), *m3 = manifest_of(twice);
    struct qr_peers *p = believing(m1, key);
    struct qr_verify_opts o = {.now_ms = PEERKIT_NOW};

    (void)state;
    assert_true(qr_peers_wants_manifests(p));
    assert_int_equal(qr_manifest_sign(key, qr_view_str(two), sig), QR_OK);
    assert_int_equal(qr_manifest_sign(other, qr_view_str(two), bad), QR_OK);
    /* not believed yet */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h61*48");
    pj_refused(p, QR_EV_SNP, PEERKIT_NOW, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp.measurement at line 14: expected " H("21", "48") ", found " H(
                   "61", "48"));
    /* by hash */
    assert_int_equal(qr_peers_add_manifest(p, m1, qr_view_str(""), pj.why, sizeof pj.why), QR_OK);
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h61*48");
    pj_accepted(p, QR_EV_SNP, PEERKIT_NOW);
    /* by a signature that the policy names, and by no other */
    assert_int_equal(qr_peers_add_manifest(p, m2, qr_view_str(""), pj.why, sizeof pj.why),
                     QR_ERR_ATTESTATION);
    assert_string_equal(pj.why,
                        "rule manifests at line 30: manifest 2.0: 0 of 1 needed release keys "
                        "signed it (none)");
    assert_int_equal(qr_peers_add_manifest(p, m2, qr_view_str(bad), pj.why, sizeof pj.why),
                     QR_ERR_ATTESTATION);
    assert_int_equal(qr_peers_add_manifest(p, m2, qr_view_str(sig), pj.why, sizeof pj.why), QR_OK);
    assert_string_equal(pj.why, "");
    assert_int_equal(qr_peers_add_manifest(p, m3, qr_view_str(sig), pj.why, sizeof pj.why),
                     QR_ERR_MALFORMED);
    assert_string_equal(pj.why, "there is a manifest of release 2.0 already");
    /* the second one revokes the first, at once */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h61*48");
    pj_refused(
        p, QR_EV_SNP, PEERKIT_NOW, QR_CHECK_MEASUREMENT, QR_REASON_REVOKED,
        "rule measurements.snp of manifest 1.0 at line 6: expected a release in force, found "
        "that release 2.0 revokes it");
    /* and brings its own minimum, above the policy's */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h62*48");
    pj_refused(
        p, QR_EV_SNP, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_TCB,
        "rule minimum_tcb of manifest 2.0 at line 5: expected reported_tcb.microcode of at least "
        "221, found 219");
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h62*48");
    peerkit_set(&pj.v, "reported_tcb.microcode", "u221");
    peerkit_set(&pj.v, "committed_tcb.microcode", "u221");
    pj_accepted(p, QR_EV_SNP, PEERKIT_NOW);
    /* which the policy's own set does not ask for */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    pj_accepted(p, QR_EV_SNP, PEERKIT_NOW);
    qr_peers_verify_opts(p, &o);
    assert_int_equal(o.min_tcb_evaluation, 18);
    o.now_ms = INT64_C(1798761600000); /* its end: the policy's own counts */
    qr_peers_verify_opts(p, &o);
    assert_int_equal(o.min_tcb_evaluation, 17);
    /* out of date */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "measurement", "h62*48");
    pj_refused(p, QR_EV_SNP, INT64_C(1798761600000), QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule measurements.snp of manifest 2.0 at line 7: expected a time from "
               "2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z, found 2027-01-01T00:00:00Z");
    qr_peers_free(p);
    /* a policy that names none */
    p = pj_policy(peerkit_policy());
    assert_false(qr_peers_wants_manifests(p));
    assert_int_equal(qr_peers_add_manifest(p, m1, qr_view_str(sig), pj.why, sizeof pj.why),
                     QR_ERR_ATTESTATION);
    assert_string_equal(pj.why,
                        "manifest 1.0: no rule of the policy names its SHA-256, and none names "
                        "signers");
    qr_peers_free(p);
    /* sets come from manifests alone, and none was loaded */
    p = pj_policy("{\"peer_secret\":{\"threshold\":2},\"freshness\":{\"max_age_s\":1,\"reattest_"
                  "s\":1,\"clock_spread_s\":1,\"stages\":{"
                  "\"warn_s\":2,\"no_peers_s\":3,\"no_keys_s\":4,\"stop_s\":5}},\n"
                  "\"require\":[\"binder\"],\"manifests\":[{\"sha256\":[\"" X32(
                      "11") "\"]}],"
                            "\"platforms\":{\"aws-nitro\":{}}}");
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj_refused(
        p, QR_EV_NITRO, PEERKIT_NOW, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
        "rule measurements at line 1: expected a measurement set for aws-nitro, found none: no "
        "manifest was loaded");
    qr_peers_free(p);
    qr_manifest_free(m1);
    qr_manifest_free(m2);
    qr_manifest_free(m3);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
