/*
 * The policy's second witness, judged on claims: whose token, signed by which key, seen by whom.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/peerjudge.h"

#define X4(x) x x x x
#define X24(x) X4(x) X4(x) X4(x) X4(x) X4(x) X4(x)
/* Long values are shown by their beginning. */
#define H(x, bytes) X24(x) "... (" bytes " bytes)"

#define MAA "https://a.weu.attest.azure.net"
#define GOOGLE "https://confidentialcomputing.googleapis.com"
#define KEY(x) X24(x) X4(x) X4(x)

/* The platform's verdict with what a witness of this issuer and key leaves in it. */
static void
with_witness(enum qr_evidence_kind k, const char *iss, const char *key, int pinned)
{
    peerkit_verdict(k, &pj.v);
    peerkit_set(&pj.v, "witness.iss", iss);
    peerkit_set(&pj.v, "witness.key_sha256", key);
    peerkit_set(&pj.v, "witness.pinned_root", pinned ? "b1" : "b0");
    peerkit_set(&pj.v, "witness.debug", "b0");
    qr_pass(&pj.v, QR_CHECK_TOKEN);
}

static void
witness_refused(const struct qr_peers *p, enum qr_evidence_kind k, const char *sentence)
{
    pj_refused(p, k, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY, sentence);
}

static void
test_witness(void **state)
{
    const enum qr_evidence_kind azure = QR_EV_AZURE_TDX, tdx = QR_EV_TDX, google = QR_EV_GCP_TDX;
    struct qr_peers *p = pj_edited("  \"azure-tdx-vtpm\": {",
                                   "  \"azure-tdx-vtpm\": {\n"
                                   "   \"require\": [\"token\"], \"witness\": {\n"
                                   "    \"issuers\": [\"" MAA "\"],\n"
                                   "    \"keys\": [\"" KEY("71") "\", \"" KEY("72") "\"]},");
    (void)state;
    with_witness(azure, "t" MAA, "h71*32", 0);
    pj_accepted(p, azure, PEERKIT_NOW);
    with_witness(azure, "t" MAA, "h72*32", 0);
    pj_accepted(p, azure, PEERKIT_NOW);
    peerkit_set(&pj.v, "witness.debug", "-"); /* it says nothing of it; the processor did */
    pj_accepted(p, azure, PEERKIT_NOW);
    peerkit_verdict(azure, &pj.v);
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
    peerkit_set(&pj.v, "witness.pinned_root", "-");
    witness_refused(p, azure,
                    "rule platforms.azure-tdx-vtpm.witness.keys at line 85: expected a listed key, "
                    "or certificates to a pinned root, found no such claim");
    with_witness(azure, "t" MAA, "h71*32", 0);
    peerkit_set(&pj.v, "witness.debug", "b1");
    pj_refused(p, azure, PEERKIT_NOW, QR_CHECK_DEBUG, QR_REASON_DEBUG,
               "rule platforms.azure-tdx-vtpm.witness at line 83: expected one that sees no "
               "debugging, found witness.debug true");
    /* Other sections ask for none, and one that came along changes nothing. */
    with_witness(tdx, "thttps://b.weu.attest.azure.net", "h73*32", 0);
    pj_accepted(p, tdx, PEERKIT_NOW);
    qr_peers_free(p);

    /* Without keys: certificates only. Without "require" the member alone asks. */
    p = pj_edited("  \"gcp-tdx-vtpm\": {",
                  "  \"gcp-tdx-vtpm\": {\"witness\": {\"issuers\": [\"" GOOGLE "\"]},");
    with_witness(google, "t" GOOGLE, "h71*32", 1);
    pj_accepted(p, google, PEERKIT_NOW);
    with_witness(google, "t" GOOGLE, "h71*32", 0);
    witness_refused(p, google,
                    "rule platforms.gcp-tdx-vtpm.witness.keys at line 90: expected certificates to "
                    "a pinned root, found " H("71", "32"));
    peerkit_verdict(google, &pj.v);
    witness_refused(p, google,
                    "rule platforms.gcp-tdx-vtpm.witness at line 90: expected a token of a second "
                    "witness, found none");
    qr_peers_free(p);

    /* Two services beside a bare quote. */
    p = pj_edited("  \"intel-tdx\": {", "  \"intel-tdx\": {\"witness\": {\"issuers\": [\"" GOOGLE
                                        "\", \"" MAA "\"], \"keys\": [\"" KEY("71") "\"]},");
    with_witness(tdx, "t" MAA, "h71*32", 0);
    pj_accepted(p, tdx, PEERKIT_NOW);
    with_witness(tdx, "t" GOOGLE, "h73*32", 1);
    pj_accepted(p, tdx, PEERKIT_NOW);
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
