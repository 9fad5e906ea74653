/*
 * SEV-SNP evidence that is accepted, what is claimed of it, which checks are recorded, and the list
 * of hostile evidence of this platform by its numbers. test_snp_refused.c has the rules one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/snp.h"
#include "test/common/evjudge.h"
#include "test/common/snp_break.h"

#define ANY_DATE (EVGEN_NOW_MS + EVGEN_DAY_MS)

static struct snp_scene scene;
static struct qr_roots roots;
static struct qr_verdict verdict;
static struct qr_verify_out out;

static void
start(enum evsnp_line line, unsigned version)
{
    memset(&scene, 0, sizeof scene);
    scene.o = (struct qr_verify_opts){.roots = &roots, .now_ms = ANY_DATE};
    evsnp_init(&scene.s, line, version);
}

static qr_err
judge(void)
{
    evsnp_evidence(&scene.s, QR_EV_SNP, &scene.e);
    return qr_verify(&scene.e, &scene.o, &verdict, &out);
}

static qr_err
build_and_judge(void)
{
    evsnp_build(&scene.s);
    return judge();
}

static void
expect_checks(const enum qr_check *passed, size_t n)
{
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        uint8_t want = QR_CHECK_SKIPPED;
        for (size_t i = 0; i < n; i++) {
            want = passed[i] == c ? QR_CHECK_PASS : want;
        }
        if (verdict.check[c] != want) {
            fail_msg("check %s: expected %u, found %u", qr_check_name((enum qr_check)c), want,
                     verdict.check[c]);
        }
    }
}

/* ---- claims ---- */

/* One claim as the command line prints it. */
static const char *
claim_text(const char *path)
{
    static char text[160];
    const struct qr_claim *c = qr_claim_find(&verdict.claims, path);
    if (!c) {
        return "absent";
    }
    switch (c->type) {
    case QR_CLAIM_UINT:
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)c->u);
        return text;
    case QR_CLAIM_X64:
        (void)snprintf(text, sizeof text, "0x%016llx", (unsigned long long)c->u);
        return text;
    case QR_CLAIM_BOOL:
        return c->u ? "true" : "false";
    case QR_CLAIM_TEXT:
        (void)snprintf(text, sizeof text, "\"%.*s\"", (int)c->v.len, (const char *)c->v.p);
        return text;
    case QR_CLAIM_HEX: /* length, first and last byte: fills differ from field to field */
        (void)snprintf(text, sizeof text, "%zu:%02x..%02x", c->v.len, c->v.p[0],
                       c->v.p[c->v.len - 1]);
        return text;
    default:
        return "?";
    }
}

struct expected {
    const char *path, *text;
};

static void
expect_claims(const struct expected *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(claim_text(e[i].path), e[i].text) != 0) {
            fail_msg("%s: expected %s, found %s", e[i].path, e[i].text, claim_text(e[i].path));
        }
    }
}

static void
test_claims_of_milan(void **state)
{
    static const struct expected all[] = {
        {"version", "3"},
        {"guest_svn", "7"},
        {"policy", "0x000000000003001f"},
        {"policy_bits.abi_minor", "31"},
        {"policy_bits.abi_major", "0"},
        {"policy_bits.smt", "1"},
        {"policy_bits.reserved1_must_be_1", "1"},
        {"policy_bits.migrate_ma", "0"},
        {"policy_bits.debug", "0"},
        {"policy_bits.single_socket", "0"},
        {"policy_bits.cxl_allow", "0"},
        {"policy_bits.mem_aes_256_xts", "0"},
        {"policy_bits.rapl_dis", "0"},
        {"policy_bits.ciphertext_hiding", "0"},
        {"policy_bits.page_swap_disable", "0"},
        {"family_id", "16:0f..0f"},
        {"image_id", "16:1a..1a"},
        {"vmpl", "0"},
        {"signature_algo", "1"},
        {"current_tcb.bootloader", "5"},
        {"current_tcb.tee", "2"},
        {"current_tcb.snp", "25"},
        {"current_tcb.microcode", "220"},
        {"current_tcb.fmc", "absent"},
        {"current_tcb.raw", "8:05..dc"},
        {"platform_info", "0x0000000000000025"},
        {"platform_info_bits.smt_en", "1"},
        {"platform_info_bits.tsme_en", "0"},
        {"platform_info_bits.ecc_en", "1"},
        {"platform_info_bits.rapl_dis", "0"},
        {"platform_info_bits.ciphertext_hiding_en", "0"},
        {"platform_info_bits.alias_check_complete", "1"},
        {"platform_info_bits.tio_en", "0"},
        {"author_key_en", "0"},
        {"mask_chip_key", "0"},
        {"signing_key", "\"VCEK\""},
        {"report_data", "64:b1..00"},
        {"measurement", "48:3e..3e"},
        {"host_data", "32:4d..4d"},
        {"id_key_digest", "48:1d..1d"},
        {"author_key_digest", "48:00..00"},
        {"report_id", "32:1e..1e"},
        {"report_id_ma", "32:ff..ff"},
        {"reported_tcb.bootloader", "4"},
        {"reported_tcb.tee", "1"},
        {"reported_tcb.snp", "24"},
        {"reported_tcb.microcode", "217"},
        {"reported_tcb.raw", "8:04..d9"},
        {"chip_id", "64:c1..c1"},
        {"committed_tcb.bootloader", "4"},
        {"committed_tcb.tee", "1"},
        {"committed_tcb.snp", "24"},
        {"committed_tcb.microcode", "219"},
        {"committed_tcb.raw", "8:04..db"},
        {"current_version", "\"1.55.40\""},
        {"committed_version", "\"1.55.29\""},
        {"launch_tcb.microcode", "219"},
        {"launch_tcb.raw", "8:04..db"},
        {"cpuid_fms", "\"family=0x19 model=0x01 stepping=0x1\""},
        {"product_from_cpuid", "\"Milan\""},
        {"launch_mit_vector", "absent"},
        {"current_mit_vector", "absent"},
        {"product", "\"Milan\""},
        {"vek_extensions.structVersion", "0"},
        {"vek_extensions.productName", "\"Milan-B0\""},
        {"vek_extensions.blSPL", "4"},
        {"vek_extensions.teeSPL", "1"},
        {"vek_extensions.spl4", "0"},
        {"vek_extensions.spl7", "0"},
        {"vek_extensions.snpSPL", "24"},
        {"vek_extensions.ucodeSPL", "217"},
        {"vek_extensions.fmcSPL", "absent"},
        {"vek_extensions.hwID", "64:c1..c1"},
        {"vek_extensions.cspID", "absent"},
        {"debug", "false"},
    };
    qr_view v;

    (void)state;
    start(EVSNP_MILAN, 3);
    assert_int_equal(build_and_judge(), QR_OK);
    expect_claims(all, sizeof all / sizeof all[0]);
    assert_true(qr_claim_get_hex(&verdict.claims, "signature_r_le", &v));
    assert_true(qr_view_eq(v, qr_view_of(scene.s.report + EVSNP_R, 72)));
    assert_true(qr_claim_get_hex(&verdict.claims, "signature_s_le", &v));
    assert_true(qr_view_eq(v, qr_view_of(scene.s.report + EVSNP_S, 72)));
}

static void
test_claims_of_turin(void **state)
{
    static const struct expected some[] = {
        {"version", "5"},
        {"reported_tcb.fmc", "3"},
        {"reported_tcb.bootloader", "4"},
        {"reported_tcb.tee", "1"},
        {"reported_tcb.snp", "24"},
        {"reported_tcb.microcode", "217"},
        {"reported_tcb.raw", "8:03..d9"},
        {"current_tcb.fmc", "4"},
        {"chip_id", "64:c1..00"},
        {"cpuid_fms", "\"family=0x1a model=0x02 stepping=0x1\""},
        {"product_from_cpuid", "\"Turin\""},
        {"product", "\"Turin\""},
        {"launch_mit_vector", "0x0000000000000003"},
        {"current_mit_vector", "0x0000000000000007"},
        {"vek_extensions.structVersion", "1"},
        {"vek_extensions.spl4", "absent"},
        {"vek_extensions.fmcSPL", "3"},
        {"vek_extensions.hwID", "8:c1..c1"},
    };

    (void)state;
    start(EVSNP_TURIN, 5);
    assert_int_equal(build_and_judge(), QR_OK);
    expect_claims(some, sizeof some / sizeof some[0]);
}

/* What a policy looks at is claimed as it is, and refuses nothing here. */
static void
test_a_policys_business(void **state)
{
    static const struct expected said[] = {
        {"debug", "true"},
        {"policy", "0x00000000038f001f"},
        {"policy_bits.smt", "1"},
        {"policy_bits.migrate_ma", "1"},
        {"policy_bits.debug", "1"},
        {"policy_bits.single_socket", "0"},
        {"policy_bits.rapl_dis", "1"},
        {"policy_bits.ciphertext_hiding", "1"},
        {"policy_bits.page_swap_disable", "1"},
        {"vmpl", "3"},
        {"guest_svn", "4294967295"},
        {"author_key_en", "1"},
        {"author_key_digest", "48:aa..aa"},
        {"report_id_ma", "32:12..12"},
        {"measurement", "48:00..00"},
        {"platform_info", "0xffffffffffffffff"},
        {"platform_info_bits.ciphertext_hiding_en", "1"},
        {"platform_info_bits.tio_en", "1"},
    };

    (void)state;
    start(EVSNP_MILAN, 3);
    evsnp_put(&scene.s, EVSNP_POLICY, 0x38f001f, 8);
    evsnp_put(&scene.s, EVSNP_VMPL, 3, 4);
    evsnp_put(&scene.s, EVSNP_GUEST_SVN, 0xffffffff, 4);
    evsnp_put(&scene.s, EVSNP_FLAGS, 1, 4);
    evsnp_put(&scene.s, EVSNP_PLATFORM_INFO, UINT64_MAX, 8);
    memset(scene.s.report + EVSNP_AUTHOR_KEY_DIGEST, 0xaa, 48);
    memset(scene.s.report + EVSNP_REPORT_ID_MA, 0x12, 32);
    memset(scene.s.report + EVSNP_MEASUREMENT, 0, 48);
    assert_int_equal(build_and_judge(), QR_OK);
    expect_claims(said, sizeof said / sizeof said[0]);
}

/* ---- what is recorded ---- */

static const enum qr_check usual[] = {
    QR_CHECK_LIMITS,   QR_CHECK_PARSE, QR_CHECK_ALGORITHM, QR_CHECK_KEY_KIND,     QR_CHECK_PRODUCT,
    QR_CHECK_ROOT,     QR_CHECK_CHAIN, QR_CHECK_SIGNATURE, QR_CHECK_TCB_BINDING,  QR_CHECK_CHIP_ID,
    QR_CHECK_VALIDITY, QR_CHECK_CRL,   QR_CHECK_BINDER,    QR_CHECK_RUNTIME_DATA,
};

static void
test_checks_are_recorded(void **state)
{
    int64_t from = 0;

    (void)state;
    start(EVSNP_GENOA, 3);
    scene.s.vek_spec.from_ms = from = EVGEN_NOW_MS - 3 * EVGEN_DAY_MS;
    assert_int_equal(build_and_judge(), QR_OK);
    expect_checks(usual, 11);
    assert_int_equal(out.latest_issue_ms, from);
    assert_int_equal(out.earliest_end_ms, scene.s.vek_spec.to_ms);
    assert_int_equal(out.marks.n, 0);

    /* a list: its dates bound the verdict, its number is remembered */
    evsnp_crl(&scene.s, (const uint64_t[]){1, 99}, 2);
    assert_int_equal(judge(), QR_OK);
    expect_checks(usual, 12);
    assert_int_equal(out.marks.n, 1);
    assert_int_equal(out.marks.mark[0].kind, QR_COLL_CRL);
    assert_int_equal(out.marks.mark[0].number, 1);
    assert_int_equal(out.earliest_end_ms, out.marks.mark[0].next_ms);

    /* the same list and a newer one do not roll back */
    scene.seen = out.marks;
    scene.o.seen = &scene.seen;
    assert_int_equal(judge(), QR_OK);

    /* no time: dates stay unrecorded, and the list is read all the same */
    scene.o.now_ms = -1;
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    assert_int_equal(verdict.check[QR_CHECK_CRL], QR_CHECK_PASS);
}

static void
test_chip_is_not_always_known(void **state)
{
    (void)state;
    /* a VLEK names no chip: the check stays open, also where the report names one */
    for (int named = 0; named < 2; named++) {
        start(EVSNP_MILAN, 3);
        evsnp_vlek(&scene.s);
        memset(scene.s.report + EVSNP_CHIP_ID, named ? 0xc1 : 0, 64);
        assert_int_equal(build_and_judge(), QR_OK);
        assert_int_equal(verdict.check[QR_CHECK_CHIP_ID], QR_CHECK_SKIPPED);
        assert_string_equal(claim_text("vek_extensions.cspID"), "\"CN=cc-test-1.example.com\"");
        assert_string_equal(claim_text("vek_extensions.hwID"), "absent");
        assert_string_equal(claim_text("signing_key"), "\"VLEK\"");
    }
    /* masked */
    start(EVSNP_TURIN, 3);
    evsnp_put(&scene.s, EVSNP_FLAGS, 2, 4);
    memset(scene.s.report + EVSNP_CHIP_ID, 0, 64);
    assert_int_equal(build_and_judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_CHIP_ID], QR_CHECK_SKIPPED);
    assert_string_equal(claim_text("mask_chip_key"), "1");
    /* said to be masked, and the chip is named nevertheless, rightly */
    start(EVSNP_MILAN, 3);
    evsnp_put(&scene.s, EVSNP_FLAGS, 2, 4);
    assert_int_equal(build_and_judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_CHIP_ID], QR_CHECK_PASS);
}

/* Siena and Bergamo stand under Genoa's keys; a version 2 report takes the certificate's product. */
static void
test_lines_of_products(void **state)
{
    static const struct {
        uint8_t family, model;
        const char *name;
        enum evsnp_line line;
    } cpus[] = {
        {0x19, 0x00, "Milan-B0", EVSNP_MILAN}, {0x19, 0x0f, "Milan", EVSNP_MILAN},
        {0x19, 0x10, "Genoa-B1", EVSNP_GENOA}, {0x19, 0x1f, "Genoa", EVSNP_GENOA},
        {0x19, 0xa0, "Bergamo", EVSNP_GENOA},  {0x19, 0xaf, "Siena-B0", EVSNP_GENOA},
        {0x1a, 0x00, "Turin-B0", EVSNP_TURIN}, {0x1a, 0x11, "Turin", EVSNP_TURIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
        start(cpus[i].line, 4);
        scene.s.report[EVSNP_CPUID] = cpus[i].family;
        scene.s.report[EVSNP_CPUID + 1] = cpus[i].model;
        evsnp_ext_text(&scene.s, EVSNP_EXT_PRODUCT, cpus[i].name);
        assert_int_equal(build_and_judge(), QR_OK);
        char line[16];
        (void)snprintf(line, sizeof line, "\"%s\"", evsnp_line_name(cpus[i].line));
        assert_string_equal(claim_text("product"), line);
        assert_string_equal(claim_text("product_from_cpuid"), line);
    }
    start(EVSNP_GENOA, 2);
    assert_int_equal(build_and_judge(), QR_OK);
    assert_string_equal(claim_text("product"), "\"Genoa\"");
    assert_string_equal(claim_text("product_from_cpuid"), "absent");
    assert_string_equal(claim_text("cpuid_fms"), "absent");
}

/* What was read before a failure can be shown. */
static void
test_claims_of_refused_evidence(void **state)
{
    (void)state;
    start(EVSNP_MILAN, 3);
    evsnp_build(&scene.s);
    scene.s.vek.len = 0;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_COLLATERAL_MISSING);
    assert_string_equal(claim_text("reported_tcb.snp"), "24");
    assert_string_equal(claim_text("product"), "absent");

    /* without CPUID and certificate nobody knows the order of the bytes */
    start(EVSNP_MILAN, 2);
    evsnp_build(&scene.s);
    scene.s.vek.len = 0;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_string_equal(claim_text("reported_tcb.snp"), "absent");
    assert_string_equal(claim_text("reported_tcb.raw"), "8:04..d9");

    start(EVSNP_MILAN, 3);
    snp_break_sign_with_other_key(&scene, 1);
    evsnp_build(&scene.s);
    scene.s.report[EVSNP_REPORT_DATA] ^= 1;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_string_equal(claim_text("vek_extensions.snpSPL"), "24");
    assert_string_equal(claim_text("product"), "\"Milan\"");
}

/* ---- binder and runtime data ---- */

static void
test_binder(void **state)
{
    static const uint8_t zeros[64];

    (void)state;
    start(EVSNP_MILAN, 3);
    evsnp_build(&scene.s);
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
    snp_break_want(&scene, 32);
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_BINDER], QR_CHECK_PASS);
    /* all 64 bytes */
    scene.o.binder = qr_view_of(scene.s.report + EVSNP_REPORT_DATA, 64);
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_BINDER], QR_CHECK_PASS);
    /* a shorter one is a prefix, and no binder */
    scene.o.binder.len = 16;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_BINDER);
    /* empty is asked for, and never there */
    scene.o.binder.len = 0;
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_BINDER);

    /* a report that nobody gave anything, against zeros */
    start(EVSNP_MILAN, 3);
    memset(scene.s.report + EVSNP_REPORT_DATA, 0, 64);
    evsnp_build(&scene.s);
    scene.o.binder = qr_view_of(scene.binder, 32);
    memset(scene.binder, 0x55, 32);
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_BINDER);
    scene.o.binder = qr_view_of(zeros, 64);
    assert_int_equal(judge(), QR_OK); /* asked for by the caller, so the caller's business */
}

static void
test_runtime_data(void **state)
{
    (void)state;
    start(EVSNP_MILAN, 2);
    evsnp_runtime_data(&scene.s, "{\"keys\":[]}");
    assert_int_equal(build_and_judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_PASS);
    /* the header alone binds nothing that could be looked at */
    const char *data = scene.s.runtime_data;
    scene.s.runtime_data = NULL;
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_SKIPPED);
    /* the data is bound, but the header, which nobody signs, speaks of a byte more */
    scene.s.runtime_data = data;
    evsnp_put(&scene.s, EVSNP_REPORT_LEN, 20 + strlen(data) + 1, 4);
    evsnp_put(&scene.s, EVSNP_REPORT_LEN + 16, strlen(data) + 1, 4);
    assert_int_equal(judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_KEY_BINDING);
    /* and a report without it may come with the data */
    scene.s.runtime_data = data;
    scene.s.report_len = EVSNP_REPORT_LEN;
    assert_int_equal(judge(), QR_OK);
    assert_int_equal(verdict.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_PASS);
}

/* ---- the list of hostile evidence, by number ---- */

static const struct {
    unsigned line;
    const char *what;
    enum evsnp_line product;
    snp_change *before, *after;
    uint64_t arg;
    enum qr_check check;
    enum qr_reason reason;
} hostile[] = {
#define LINE(n, what, product, before, after, arg, check, reason)                                  \
    {n,                                                                                            \
     what,                                                                                         \
     EVSNP_##product,                                                                              \
     snp_break_##before,                                                                           \
     snp_break_##after,                                                                            \
     arg,                                                                                          \
     QR_CHECK_##check,                                                                             \
     QR_REASON_##reason},
#include "test/verify/snp_lines.def"
#undef LINE
};

static void
test_hostile_evidence_by_number(void **state)
{
    unsigned seen[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        start(hostile[i].product, hostile[i].product == EVSNP_TURIN ? 5 : 3);
        if (hostile[i].before) {
            hostile[i].before(&scene, hostile[i].arg);
        }
        evsnp_build(&scene.s);
        if (hostile[i].after) {
            hostile[i].after(&scene, hostile[i].arg);
        }
        if (judge() != QR_ERR_ATTESTATION || verdict.failed != hostile[i].check ||
            verdict.reason != hostile[i].reason) {
            fail_msg("%u. %s: found %s: %s", hostile[i].line, hostile[i].what,
                     qr_reason_word(verdict.reason), verdict.sentence);
        }
        seen[hostile[i].line]++;
    }
    /* 32, 33, 44, 45: a policy's, told by claims: test_a_policys_business; 47: test_snp_table.c */
    for (unsigned n = 25; n <= 48; n++) {
        int elsewhere = n == 32 || n == 33 || n == 44 || n == 45 || n == 47;
        assert_int_equal(seen[n] > 0, !elsewhere);
    }
}

/* 44: the minimum of a policy is compared with committed_tcb as well, so both are claimed. */
static void
test_44_committed_below_reported_is_refused(void **state)
{
    (void)state;
    start(EVSNP_MILAN, 3);
    snp_break_reported_above_committed(&scene, 0);
    assert_int_equal(build_and_judge(), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_TCB);
    assert_string_equal(claim_text("committed_tcb.bootloader"), "3");
    assert_string_equal(claim_text("reported_tcb.bootloader"), "4");
}

/* ---- bytes ---- */

/* No byte of the signed part, of the signature or of a certificate is without a meaning. */
static void
test_every_changed_byte_is_refused(void **state)
{
    (void)state;
    start(EVSNP_TURIN, 5);
    evsnp_build(&scene.s);
    for (size_t at = 0; at < EVSNP_REPORT_LEN; at += 5) {
        scene.s.report[at] ^= 0x01;
        assert_int_equal(judge(), QR_ERR_ATTESTATION);
        scene.s.report[at] ^= 0x01;
    }
    for (size_t at = 0; at < scene.s.vek.len; at += 5) {
        scene.s.vek.p[at] ^= 0x01;
        assert_int_equal(judge(), QR_ERR_ATTESTATION);
        scene.s.vek.p[at] ^= 0x01;
    }
    for (size_t at = 0; at < scene.s.ask.len; at += 11) {
        scene.s.ask.p[at] ^= 0x01;
        assert_int_equal(judge(), QR_ERR_ATTESTATION);
        scene.s.ask.p[at] ^= 0x01;
    }
    assert_int_equal(judge(), QR_OK);
}

static void
test_every_length_is_refused(void **state)
{
    (void)state;
    start(EVSNP_MILAN, 3);
    evsnp_build(&scene.s);
    for (size_t len = 1; len <= EVSNP_REPORT_LEN + 40; len++) {
        scene.s.report_len = len;
        if (len != EVSNP_REPORT_LEN) {
            assert_int_equal(judge(), QR_ERR_ATTESTATION);
            assert_int_equal(verdict.reason, QR_REASON_MALFORMED);
        }
    }
    /* more than the item may have: nothing is parsed */
    static uint8_t big[8193];
    memset(&scene.e, 0, sizeof scene.e);
    scene.e = (struct qr_evidence){
        .kind = QR_EV_SNP, .n = 1, .item = {{QR_PART_SNP_REPORT, 0, qr_view_of(big, sizeof big)}}};
    assert_int_equal(qr_verify(&scene.e, &scene.o, &verdict, NULL), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_RESOURCE_LIMIT);
    assert_int_equal(verdict.failed, QR_CHECK_LIMITS);
    scene.e.n = 0;
    assert_int_equal(qr_verify(&scene.e, &scene.o, &verdict, NULL), QR_ERR_ATTESTATION);
    assert_int_equal(verdict.reason, QR_REASON_MALFORMED);
}

/*
 * Published evidence of real machines, under the product's own pins: verdict, reason, and all claims,
 * neither more nor fewer. What the cases list as changes is test_cases.c's.
 */
static void
test_real_cases(void **state)
{
    static const struct evjudge_reason reasons[] = {
        {"coco-milan-v2-wrong-vcek-legacy", QR_REASON_CHAIN},
        {"coco-milan-v2-wrong-vcek-new", QR_REASON_CHAIN},
    };

    (void)state;
    size_t n = evjudge_real(QR_EV_SNP, reasons, sizeof reasons / sizeof reasons[0], 1);
    printf("real cases of SEV-SNP: %zu\n", n);
}

static int
make_roots(void **state)
{
    (void)state;
    evsnp_roots(&roots);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_of_milan),
        cmocka_unit_test(test_claims_of_turin),
        cmocka_unit_test(test_a_policys_business),
        cmocka_unit_test(test_checks_are_recorded),
        cmocka_unit_test(test_chip_is_not_always_known),
        cmocka_unit_test(test_lines_of_products),
        cmocka_unit_test(test_claims_of_refused_evidence),
        cmocka_unit_test(test_binder),
        cmocka_unit_test(test_runtime_data),
        cmocka_unit_test(test_hostile_evidence_by_number),
        cmocka_unit_test(test_44_committed_below_reported_is_refused),
        cmocka_unit_test(test_every_changed_byte_is_refused),
        cmocka_unit_test(test_every_length_is_refused),
        cmocka_unit_test(test_real_cases),
    };
    return cmocka_run_group_tests(tests, make_roots, NULL);
}
