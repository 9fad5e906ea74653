/*
 * The example policies of deploy/policies: each compiles, accepts what it is for, and refuses a
 * wrong measurement, debug, and a quorum that is not spread. What they accept is made from their
 * own text.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/peerkit.h"

#include <stdio.h>

static char why[QR_ERR_TEXT_MAX], text[32768];
static struct qr_verdict v;

static struct qr_peers *
load(const char *name)
{
    char path[128];
    struct qr_peers *p = NULL;

    snprintf(path, sizeof path, "deploy/policies/%s.json", name);
    FILE *f = fopen(path, "r");
    if (!f) {
        fail_msg("%s: run this from the root of the source tree", path);
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    if (qr_peers_read(qr_view_of(text, n), &p, why, sizeof why) != QR_OK) {
        fail_msg("%s: %s", path, why);
    }
    return p;
}

/* The value that stands behind the first `name` after `section`, as bytes of the claim `path`. */
static void
from_text(const char *section, const char *name, const char *path)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[64];
    char quoted[64];
    const char *at = strstr(text, section);

    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    assert_non_null(at);
    at = strstr(at, quoted);
    assert_non_null(at);
    at += strlen(quoted);
    at += strspn(at, " [\n");
    at++; /* the quote */
    size_t n = strspn(at, digits);
    assert_int_equal(qr_hex_decode(at, n, bytes, n / 2), QR_OK);
    peerkit_set(&v, path, "-");
    qr_claim_hex_copy(&v.claims, path, qr_view_of(bytes, n / 2));
    assert_false(v.claims.overflow);
}

static void
nitro(void)
{
    peerkit_verdict(QR_EV_NITRO, &v);
    from_text("measurements", "pcrs.0", "pcrs.0");
    from_text("measurements", "pcrs.1", "pcrs.1");
    from_text("measurements", "pcrs.2", "pcrs.2");
    from_text("platforms", "signer_pcr8", "pcrs.8");
    peerkit_set(&v, "module_id", "ti-0a00000000000000a-enc0123456789abcdef");
}

/* What a measured image is pinned by. */
static void
registers(const char *release)
{
    static const char *const path[] = {"quote.pcrs.4", "quote.pcrs.7", "quote.pcrs.9",
                                       "quote.pcrs.11", "quote.pcrs.12"};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        from_text(release, path[i], path[i]);
    }
}

static void
azure(void)
{
    static const char *const tcb[][2] = {
        {"bootloader", "u10"}, {"snp", "u23"}, {"microcode", "u84"}};
    static char path[6][48];

    peerkit_verdict(QR_EV_AZURE_SNP, &v);
    qr_pass(&v, QR_CHECK_KEY_KIND);
    qr_pass(&v, QR_CHECK_CHIP_ID);
    registers("quorate-1.0-azure");
    from_text("platforms", "id_key_digests", "id_key_digest");
    peerkit_set(&v, "product", "tGenoa");
    for (int i = 0; i < 6; i++) {
        snprintf(path[i], sizeof path[i], "%s_tcb.%s", i < 3 ? "reported" : "committed",
                 tcb[i % 3][0]);
        peerkit_set(&v, path[i], tcb[i % 3][1]);
    }
}

static void
gcp(void)
{
    peerkit_verdict(QR_EV_GCP_TDX, &v);
    qr_pass(&v, QR_CHECK_TDX_MODULE);
    registers("quorate-1.0-gcp");
}

static const struct {
    enum qr_evidence_kind kind;
    void (*make)(void);
    const char *measured, *cloud;
} platforms[] = {
    {QR_EV_NITRO, nitro, "pcrs.0", "aws"},
    {QR_EV_AZURE_SNP, azure, "quote.pcrs.11", "azure"},
    {QR_EV_GCP_TDX, gcp, "quote.pcrs.4", "gcp"},
};

static qr_err
judge(const struct qr_peers *p, int i, uint16_t index, struct qr_peers_domain *d)
{
    char operator_name[16];
    snprintf(operator_name, sizeof operator_name, "op-%u", index);
    const struct qr_peers_who who = {index, platforms[i].cloud, operator_name};
    return qr_peers_judge(p, platforms[i].kind, 0, &who, PEERKIT_NOW, &v, d);
}

/* Platform i of this policy: accepted; with one thing wrong, refused for that. */
static void
check_platform(const struct qr_peers *p, int i, struct qr_peers_domain *d)
{
    struct qr_peers_domain unused;

    platforms[i].make();
    if (judge(p, i, d->index, d) != QR_OK) {
        fail_msg("%s", v.sentence);
    }
    platforms[i].make();
    peerkit_set(&v, platforms[i].measured, "hee*32");
    assert_int_equal(judge(p, i, 1, &unused), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_MEASUREMENT);
    platforms[i].make();
    peerkit_set(&v, "debug", "b1");
    assert_int_equal(judge(p, i, 1, &unused), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_DEBUG);
    platforms[i].make();
    v.check[QR_CHECK_BINDER] = QR_CHECK_SKIPPED;
    assert_int_equal(judge(p, i, 1, &unused), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_POLICY);
}

static void
test_one_cloud(void **state)
{
    struct qr_peers *p = load("one-cloud");
    struct qr_peers_domain d[3] = {{.index = 1}, {.index = 2}, {.index = 3}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        check_platform(p, 0, &d[i]);
    }
    assert_int_equal(qr_peers_quorum(p, d, 3, why, sizeof why), QR_OK);
    d[2] = d[0];
    d[2].index = 3;
    assert_int_equal(qr_peers_quorum(p, d, 3, why, sizeof why), QR_ERR_ATTESTATION);
    assert_non_null(strstr(why, "expected at most 1 of op-1, found 2: members 1, 3"));
    /* another instance than those listed */
    nitro();
    peerkit_set(&v, "module_id", "ti-0d00000000000000d-enc0123456789abcdef");
    assert_int_equal(judge(p, 0, 1, &d[0]), QR_ERR_ATTESTATION);
    assert_int_equal(v.failed, QR_CHECK_MACHINE);
    /* another cloud's evidence is nothing here */
    peerkit_verdict(QR_EV_AZURE_SNP, &v);
    assert_int_equal(judge(p, 1, 1, &d[0]), QR_ERR_ATTESTATION);
    assert_non_null(strstr(v.sentence, "expected a platform that the policy names"));
    qr_peers_free(p);
}

static void
test_two_clouds(void **state)
{
    struct qr_peers *p = load("two-clouds");
    struct qr_peers_domain d[4] = {{.index = 1}, {.index = 2}, {.index = 3}, {.index = 4}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        check_platform(p, i / 2, &d[i]);
    }
    assert_int_equal(qr_peers_quorum(p, d, 4, why, sizeof why), QR_OK);
    d[3] = d[0];
    d[3].index = 4;
    assert_int_equal(qr_peers_quorum(p, d, 4, why, sizeof why), QR_ERR_ATTESTATION);
    assert_non_null(strstr(why, "expected at most 2 of aws, found 3: members 1, 2, 4"));
    /* the chip that is denied */
    azure();
    from_text("\"machines\"", "chip_id", "chip_id");
    assert_int_equal(judge(p, 1, 1, &d[0]), QR_ERR_ATTESTATION);
    assert_int_equal(v.failed, QR_CHECK_MACHINE);
    /* Milan, whose root seed is out */
    azure();
    peerkit_set(&v, "product", "tMilan");
    assert_int_equal(judge(p, 1, 1, &d[0]), QR_ERR_ATTESTATION);
    assert_non_null(strstr(v.sentence, "expected Genoa, found Milan"));
    qr_peers_free(p);
}

static void
test_three_clouds(void **state)
{
    struct qr_peers *p = load("three-clouds");
    struct qr_peers_domain d[3] = {{.index = 1}, {.index = 2}, {.index = 3}}, same;

    (void)state;
    for (int i = 0; i < 3; i++) {
        check_platform(p, i, &d[i]);
    }
    assert_int_equal(qr_peers_quorum(p, d, 3, why, sizeof why), QR_OK);
    assert_true(qr_peers_wants_manifests(p));
    for (int i = 0; i < 3; i++) {
        same = d[i];
        d[i] = d[(i + 1) % 3];
        assert_int_equal(qr_peers_quorum(p, d, 3, why, sizeof why), QR_ERR_ATTESTATION);
        d[i] = same;
    }
    /* another vendor's product on the same cloud is the same cloud still */
    same = d[2];
    snprintf(d[2].cloud, sizeof d[2].cloud, "azure");
    assert_int_equal(qr_peers_quorum(p, d, 3, why, sizeof why), QR_ERR_ATTESTATION);
    assert_non_null(strstr(why, "max_per_cloud"));
    d[2] = same;
    gcp();
    peerkit_set(&v, "tcb.final_status", "tOutOfDate");
    assert_int_equal(judge(p, 2, 3, &same), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_TCB);
    qr_peers_free(p);
}

/* None of them needs a service's word. */
static void
test_no_tokens(void **state)
{
    static const char *const names[] = {"one-cloud", "two-clouds", "three-clouds"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        qr_peers_free(load(names[i]));
        assert_null(strstr(text, "token"));
        assert_null(strstr(text, "azure-maa"));
        assert_null(strstr(text, "confidential-space"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cloud),
        cmocka_unit_test(test_two_clouds),
        cmocka_unit_test(test_three_clouds),
        cmocka_unit_test(test_no_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
