/*
 * The policy's second witness, judged on claims: whose token, signed by which key, seen by whom.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/peerkit.h"

#define X4(x) x x x x
#define X24(x) X4(x) X4(x) X4(x) X4(x) X4(x) X4(x)
/* Long values are shown by their beginning. */
#define H(x, bytes) X24(x) "... (" bytes " bytes)"

#define MAA "https://a.weu.attest.azure.net"
#define GOOGLE "https://confidentialcomputing.googleapis.com"
#define KEY(x) X24(x) X4(x) X4(x)

static char why[QR_ERR_TEXT_MAX], text[32768];
static struct qr_verdict v;
static struct qr_peers_domain domain;
static const struct qr_peers_who nobody = {3, "", "op"};

static struct qr_peers *
policy_of(const char *t)
{
    struct qr_peers *p = NULL;
    qr_err e = qr_peers_read(qr_view_str(t), &p, why, sizeof why);
    if (e != QR_OK) {
        fail_msg("%s", why);
    }
    return p;
}

static struct qr_peers *
edited(const char *from, const char *to)
{
    peerkit_edit(peerkit_policy(), from, to, text, sizeof text);
    return policy_of(text);
}

static void
refused(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now, enum qr_check check,
        enum qr_reason reason, const char *sentence)
{
    struct qr_peers_domain before = domain;
    assert_int_equal(qr_peers_judge(p, k, 0, &nobody, now, &v, &domain), QR_ERR_ATTESTATION);
    assert_string_equal(v.sentence, sentence);
    assert_int_equal(v.failed, check);
    assert_int_equal(v.reason, reason);
    assert_int_equal(v.check[check], QR_CHECK_FAIL);
    assert_int_not_equal(v.check[QR_CHECK_POLICY], QR_CHECK_PASS);
    assert_memory_equal(&before, &domain, sizeof domain);
}

static void
accepted(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now)
{
    qr_err e = qr_peers_judge(p, k, 0, &nobody, now, &v, &domain);
    if (e != QR_OK) {
        fail_msg("%s", v.sentence);
    }
    assert_int_equal(v.reason, QR_REASON_NONE);
    assert_int_equal(v.check[QR_CHECK_POLICY], QR_CHECK_PASS);
    assert_int_equal(v.check[QR_CHECK_MEASUREMENT], QR_CHECK_PASS);
    assert_int_equal(v.check[QR_CHECK_FRESHNESS], QR_CHECK_PASS);
}

/* The platform's verdict with what a witness of this issuer and key leaves in it. */
static void
with_witness(enum qr_evidence_kind k, const char *iss, const char *key, int pinned)
{
    peerkit_verdict(k, &v);
    peerkit_set(&v, "witness.iss", iss);
    peerkit_set(&v, "witness.key_sha256", key);
    peerkit_set(&v, "witness.pinned_root", pinned ? "b1" : "b0");
    peerkit_set(&v, "witness.debug", "b0");
    qr_pass(&v, QR_CHECK_TOKEN);
}

static void
witness_refused(const struct qr_peers *p, enum qr_evidence_kind k, const char *sentence)
{
    refused(p, k, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY, sentence);
}

static void
test_witness(void **state)
{
    const enum qr_evidence_kind azure = QR_EV_AZURE_TDX, tdx = QR_EV_TDX, google = QR_EV_GCP_TDX;
    struct qr_peers *p =
        edited("  \"azure-tdx-vtpm\": {", "  \"azure-tdx-vtpm\": {\n"
                                          "   \"require\": [\"token\"], \"witness\": {\n"
                                          "    \"issuers\": [\"" MAA "\"],\n"
                                          "    \"keys\": [\"" KEY("71") "\", \"" KEY("72") "\"]},");
    (void)state;
    with_witness(azure, "t" MAA, "h71*32", 0);
    accepted(p, azure, PEERKIT_NOW);
    with_witness(azure, "t" MAA, "h72*32", 0);
    accepted(p, azure, PEERKIT_NOW);
    peerkit_set(&v, "witness.debug", "-"); /* it says nothing of it; the processor did */
    accepted(p, azure, PEERKIT_NOW);
    peerkit_verdict(azure, &v);
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.require at line 83: expected check token to "
                    "pass, found it skipped");
    with_witness(azure, "thttps://b.weu.attest.azure.net", "h71*32", 0);
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.issuers at line 84: expected " MAA
                    ", found https://b.weu.attest.azure.net");
    with_witness(azure, "-", "h71*32", 0);
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.issuers at line 84: expected " MAA
                    ", found no such claim");
    with_witness(azure, "t" MAA, "h73*32", 0);
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.keys at line 85: expected a listed key, "
                    "or certificates to a pinned root, found " H("73", "32"));
    with_witness(azure, "t" MAA, "h71*31", 0);
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.keys at line 85: expected a listed key, "
                    "or certificates to a pinned root, found " H("71", "31"));
    with_witness(azure, "t" MAA, "-", 0);
    peerkit_set(&v, "witness.pinned_root", "-");
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.keys at line 85: expected a listed key, "
                    "or certificates to a pinned root, found no such claim");
    with_witness(azure, "t" MAA, "h71*32", 0);
    peerkit_set(&v, "witness.debug", "b1");
    refused(p, azure, PEERKIT_NOW, QR_CHECK_DEBUG, QR_REASON_DEBUG,
            "rule platforms.azure-tdx-vtpm.witness at line 83: expected one that sees no "
            "debugging, found witness.debug true");
    /* Other sections ask for none, and one that came along changes nothing. */
    with_witness(tdx, "thttps://b.weu.attest.azure.net", "h73*32", 0);
    accepted(p, tdx, PEERKIT_NOW);
    qr_peers_free(p);

    /* Without keys: certificates only. Without "require" the member alone asks. */
    p = edited("  \"gcp-tdx-vtpm\": {",
               "  \"gcp-tdx-vtpm\": {\"witness\": {\"issuers\": [\"" GOOGLE "\"]},");
    with_witness(google, "t" GOOGLE, "h71*32", 1);
    accepted(p, google, PEERKIT_NOW);
    with_witness(google, "t" GOOGLE, "h71*32", 0);
    witness_refused(p, google,
                    "rule platforms.gcp-tdx-vtpm.witness.keys at line 90: expected certificates to "
                    "a pinned root, found " H("71", "32"));
    peerkit_verdict(google, &v);
    witness_refused(p, google,
                    "rule platforms.gcp-tdx-vtpm.witness at line 90: expected a token of a second "
                    "witness, found none");
    qr_peers_free(p);

    /* Two services beside a bare quote. */
    p = edited("  \"intel-tdx\": {", "  \"intel-tdx\": {\"witness\": {\"issuers\": [\"" GOOGLE
                                     "\", \"" MAA "\"], \"keys\": [\"" KEY("71") "\"]},");
    with_witness(tdx, "t" MAA, "h71*32", 0);
    accepted(p, tdx, PEERKIT_NOW);
    with_witness(tdx, "t" GOOGLE, "h73*32", 1);
    accepted(p, tdx, PEERKIT_NOW);
    with_witness(tdx, "thttps://b.weu.attest.azure.net", "h71*32", 0);
    witness_refused(p, tdx,
                    "rule platforms.intel-tdx.witness.issuers at line 52: expected " GOOGLE
                    " (or 1 more), found https://b.weu.attest.azure.net");
    qr_peers_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_witness)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
