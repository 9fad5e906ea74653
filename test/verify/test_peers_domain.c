/* Where a member stands by its evidence, and how many may stand together. */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/peerjudge.h"

#include <stdio.h>

static void
test_sim(void **state)
{
    const struct qr_peers_who who = {2, "aws-eu", "op2"};
    struct qr_peers *p = pj_policy("{\n\"insecure_sim\":true}");

    (void)state;
    qr_verdict_init(&pj.v);
    assert_int_equal(qr_peers_judge(p, QR_EV_NONE, 1, &who, -1, &pj.v, &pj.domain), QR_OK);
    assert_string_equal(pj.domain.vendor, "sim");
    assert_string_equal(pj.domain.product, "sim");
    assert_string_equal(pj.domain.cloud, "aws");
    assert_int_equal(pj.domain.index, 2);
    assert_true(qr_peers_insecure_sim(p));
    /* it accepts nothing else */
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj_refused(p, QR_EV_NITRO, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY,
               "rule platforms at line 1: expected no platform, found aws-nitro");
    qr_peers_free(p);
    p = pj_policy(peerkit_policy());
    qr_verdict_init(&pj.v);
    assert_int_equal(qr_peers_judge(p, QR_EV_NONE, 1, &who, PEERKIT_NOW, &pj.v, &pj.domain),
                     QR_ERR_INSECURE_SIM);
    assert_string_equal(pj.v.sentence,
                        "rule insecure_sim at line 1: expected evidence of hardware, "
                        "found the software TEE");
    assert_int_equal(pj.v.reason, QR_REASON_POLICY);
    assert_false(qr_peers_insecure_sim(p));
    qr_peers_free(p);
}

static void
test_cloud(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());
    static const struct {
        enum qr_evidence_kind kind;
        const char *declared, *csp, *cloud; /* cloud NULL: refused */
        const char *sentence;
    } tries[] = {
        {QR_EV_NITRO, "aws", NULL, "aws", NULL},
        {QR_EV_NITRO, "aws-eu-west-1", NULL, "aws", NULL},
        {QR_EV_NITRO, "awsome", NULL, NULL,
         "rule platforms.aws-nitro.cloud at line 31: expected cloud awsome, as the roster says, "
         "found "
         "aws"},
        {QR_EV_NITRO, "azure", NULL, NULL,
         "rule platforms.aws-nitro.cloud at line 31: expected cloud azure, as the roster says, "
         "found "
         "aws"},
        {QR_EV_AZURE_SNP, "azure", NULL, "azure", NULL},
        {QR_EV_AZURE_TDX, "gcp", NULL, NULL,
         "rule platforms.azure-tdx-vtpm.cloud at line 82: expected cloud gcp, as the roster says, "
         "found azure"},
        {QR_EV_GCP_SNP, "gcp.us", NULL, "gcp", NULL},
        {QR_EV_GCP_TDX, "local", NULL, NULL,
         "rule platforms.gcp-tdx-vtpm.cloud at line 90: expected cloud local, as the roster says, "
         "found gcp"},
        {QR_EV_SNP, "our-racks", NULL, "our-racks", NULL},
        {QR_EV_SNP, "azure-eu", NULL, "azure", NULL},
        {QR_EV_SNP, "aws", "tCN=cc-us-east-2.amazonaws.com", "aws", NULL},
        {QR_EV_SNP, "our-racks", "tCN=cc-us-east-2.amazonaws.com", NULL,
         "rule platforms.amd-sev-snp.cloud at line 38: expected cloud our-racks, as the roster "
         "says, "
         "found aws"},
        {QR_EV_SNP, "our-racks", "tCN=somebody.example", "our-racks", NULL},
        {QR_EV_TDX, "gcp", NULL, "gcp", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        struct qr_peers_who who = {1, tries[i].declared, "op"};
        peerkit_verdict(tries[i].kind, &pj.v);
        if (tries[i].csp) {
            peerkit_set(&pj.v, "vek_extensions.cspID", tries[i].csp);
        }
        qr_err e = qr_peers_judge(p, tries[i].kind, 0, &who, PEERKIT_NOW, &pj.v, &pj.domain);
        if (tries[i].cloud) {
            assert_int_equal(e, QR_OK);
            assert_string_equal(pj.domain.cloud, tries[i].cloud);
        } else {
            assert_int_equal(e, QR_ERR_ATTESTATION);
            assert_int_equal(pj.v.reason, QR_REASON_IDENTITY_MISMATCH);
            assert_string_equal(pj.v.sentence, tries[i].sentence);
        }
    }
    /* whoever checks one evidence has no roster */
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    assert_int_equal(qr_peers_judge(p, QR_EV_NITRO, 0, NULL, PEERKIT_NOW, &pj.v, &pj.domain),
                     QR_OK);
    assert_string_equal(pj.domain.cloud, "aws");
    assert_int_equal(pj.domain.index, 0);
    qr_peers_free(p);
}

static void
test_quorum(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy()), *none = pj_policy("{}");
    static const struct qr_peers_domain good[3] = {
        {1, "aws", "a", "aws", "nitro"},
        {2, "azure", "a", "amd", "milan"},
        {3, "gcp", "b", "intel", "intel-90c06f000000"},
    };
    static const struct {
        struct qr_peers_domain third, fourth;
        const char *why;
    } wrong[] = {
        {{3, "aws", "b", "intel", "x"},
         {4, "local", "c", "amd", "genoa"},
         "rule quorum.max_per_cloud at line 95: expected at most 1 of aws, found 2: members 1, 3"},
        {{3, "gcp", "a", "intel", "x"},
         {4, "local", "c", "amd", "genoa"},
         "rule quorum.max_per_operator at line 96: expected at most 2 of a, found 3: members 1, 2, "
         "3"},
        {{3, "gcp", "b", "amd", "genoa"},
         {4, "local", "c", "amd", "turin"},
         "rule quorum.max_per_vendor at line 97: expected at most 2 of amd, found 3: members 2, 3, "
         "4"},
        {{3, "gcp", "b", "amd", "milan"},
         {4, "local", "c", "intel", "x"},
         "rule quorum.max_per_product at line 98: expected at most 1 of milan, found 2: members 2, "
         "3"},
        {{3, "", "b", "intel", "x"},
         {4, "local", "c", "amd", "genoa"},
         "rule quorum.max_per_cloud at line 95: expected a cloud for member 3, found none in its "
         "evidence or in the roster"},
        {{3, "gcp", "b", "intel", "x"},
         {4, "local", "c", "", ""},
         "rule quorum.max_per_vendor at line 97: expected a vendor for member 4, found none in its "
         "evidence or in the roster"},
    };

    (void)state;
    assert_int_equal(qr_peers_quorum(p, good, 3, pj.why, sizeof pj.why), QR_OK);
    assert_int_equal(qr_peers_quorum(p, good, 0, pj.why, sizeof pj.why), QR_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct qr_peers_domain d[4] = {good[0], good[1], wrong[i].third, wrong[i].fourth};
        assert_int_equal(qr_peers_quorum(p, d, 4, pj.why, sizeof pj.why), QR_ERR_ATTESTATION);
        assert_string_equal(pj.why, wrong[i].why);
        assert_int_equal(qr_peers_quorum(p, d, 4, NULL, 0), QR_ERR_ATTESTATION);
        assert_int_equal(qr_peers_quorum(none, d, 4, pj.why, sizeof pj.why), QR_OK);
    }
    /* members of no roster are counted by place */
    struct qr_peers_domain two[2] = {good[0], good[0]};
    two[0].index = two[1].index = 0;
    assert_int_equal(qr_peers_quorum(p, two, 2, pj.why, sizeof pj.why), QR_ERR_ATTESTATION);
    assert_string_equal(pj.why,
                        "rule quorum.max_per_cloud at line 95: expected at most 1 of aws, found "
                        "2: members 1, 2");
    qr_peers_free(p);
    qr_peers_free(none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim),
        cmocka_unit_test(test_cloud),
        cmocka_unit_test(test_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
