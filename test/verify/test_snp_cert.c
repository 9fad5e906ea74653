/*
 * Certificates under a SEV-SNP report: extensions as they are read, edges of dates, lists that are all
 * right. What is refused stands in test_snp_refused.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/snp.h"
#include "test/common/snp_break.h"

static struct snp_scene scene;
static struct qr_roots roots;
static struct qr_verdict verdict;

static void
start(enum evsnp_line line, int vlek)
{
    memset(&scene, 0, sizeof scene);
    scene.o = (struct qr_verify_opts){.roots = &roots, .now_ms = EVGEN_NOW_MS};
    evsnp_init(&scene.s, line, 3);
    if (vlek) {
        evsnp_vlek(&scene.s);
    }
}

static enum qr_reason
judge(void)
{
    evsnp_build(&scene.s);
    evsnp_evidence(&scene.s, QR_EV_SNP, &scene.e);
    qr_err e = qr_verify(&scene.e, &scene.o, &verdict, NULL);
    assert_int_equal(e, verdict.reason == QR_REASON_NONE ? QR_OK : QR_ERR_ATTESTATION);
    return verdict.reason;
}

/* ---- names and bytes ---- */

static void
test_names_of_lines(void **state)
{
    static const struct {
        const char *text;
        enum qr_snp_line line;
    } names[] = {
        {"Milan", QR_SNP_MILAN},     {"Milan-B0", QR_SNP_MILAN}, {"Genoa-", QR_SNP_GENOA},
        {"Bergamo", QR_SNP_GENOA},   {"Siena-X", QR_SNP_GENOA},  {"Turin-B1-C2", QR_SNP_TURIN},
        {"", QR_SNP_UNKNOWN},        {"-", QR_SNP_UNKNOWN},      {"milan", QR_SNP_UNKNOWN},
        {"MilanB0", QR_SNP_UNKNOWN}, {"Mila", QR_SNP_UNKNOWN},   {"Rome", QR_SNP_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(qr_snp_line_of_name(qr_view_str(names[i].text)), names[i].line);
    }
    assert_string_equal(qr_snp_line_name(QR_SNP_MILAN), "Milan");
    assert_string_equal(qr_snp_line_name(QR_SNP_GENOA), "Genoa");
    assert_string_equal(qr_snp_line_name(QR_SNP_TURIN), "Turin");
    assert_string_equal(qr_snp_line_name(QR_SNP_UNKNOWN), "unknown");
}

/* Every byte of a TCB has exactly one component, on every line. */
static void
test_bytes_of_tcbs(void **state)
{
    static const enum qr_snp_line lines[] = {QR_SNP_MILAN, QR_SNP_GENOA, QR_SNP_TURIN};

    (void)state;
    for (size_t l = 0; l < 3; l++) {
        unsigned used = 0;
        for (int c = 0; c < QR_SNP_SPLS; c++) {
            int at = qr_snp_tcb_byte(lines[l], (enum qr_snp_spl)c);
            assert_in_range(at + 1, 0, 8);
            if (at >= 0) {
                assert_int_equal(used >> at & 1, 0);
                used |= 1u << at;
            }
        }
        assert_int_equal(used, 0xff);
    }
    assert_int_equal(qr_snp_tcb_byte(QR_SNP_TURIN, QR_SNP_FMC), 0);
    assert_int_equal(qr_snp_tcb_byte(QR_SNP_MILAN, QR_SNP_FMC), -1);
    assert_int_equal(qr_snp_tcb_byte(QR_SNP_UNKNOWN, QR_SNP_BL), -1);
}

/* ---- extensions ---- */

static void
read_vek(struct qr_snp_vek *k, struct qr_certs *certs)
{
    qr_verdict_init(&verdict);
    evsnp_build(&scene.s);
    assert_int_equal(
        qr_certs_add_der(certs, evgen_view(&scene.s.vek), &verdict, QR_CHECK_CHAIN, "leaf"), QR_OK);
    qr_snp_vek_read(certs->x[0], k);
}

static void
test_extensions_are_read(void **state)
{
    struct qr_snp_vek k;
    struct qr_certs certs = {0};
    static const struct evsnp_tcb high = {255, 128, 127, 200, 0};

    (void)state;
    start(EVSNP_MILAN, 0);
    evsnp_ext_tcb(&scene.s, &high);
    /* what is not known and not critical is left */
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.1.6", qr_view_str("x"), 0);
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.1.3.10", qr_view_str("x"), 0);
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.1.3", qr_view_str("x"), 0);
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.1.3.1.1", qr_view_str("x"), 0);
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.2.4", qr_view_str("x"), 0);
    evgen_spec_add_ext(&scene.s.vek_spec, "1.3.6.1.4.1.3704.1", qr_view_str("x"), 0);
    read_vek(&k, &certs);
    assert_null(k.problem);
    assert_int_equal(k.kind, QR_SNP_VCEK);
    assert_int_equal(k.spl[QR_SNP_BL].value, 255);
    assert_int_equal(k.spl[QR_SNP_TEE].value, 128);
    assert_int_equal(k.spl[QR_SNP_FW].value, 127);
    assert_int_equal(k.spl[QR_SNP_UCODE].value, 200);
    assert_true(k.spl[QR_SNP_SPL4].present && !k.spl[QR_SNP_FMC].present);
    assert_true(k.has_struct_version && k.struct_version == 0);
    assert_true(qr_view_eq(k.product_name, qr_view_str("Milan-B0")));
    assert_int_equal(k.hwid.len, 64);
    assert_null(k.csp_id.p);
    qr_certs_free(&certs);

    start(EVSNP_TURIN, 1);
    read_vek(&k, &certs);
    assert_null(k.problem);
    assert_int_equal(k.kind, QR_SNP_VLEK);
    assert_true(k.spl[QR_SNP_FMC].present && !k.spl[QR_SNP_SPL4].present);
    assert_true(qr_view_eq(k.csp_id, qr_view_str("CN=cc-test-1.example.com")));
    qr_certs_free(&certs);

    /* a broken one among good ones: the good ones are still there to be shown */
    start(EVSNP_MILAN, 0);
    evsnp_ext_raw(&scene.s, EVSNP_EXT_TEE, "\x02\x01\x80", 3);
    read_vek(&k, &certs);
    assert_non_null(k.problem);
    assert_true(k.spl[QR_SNP_BL].present && !k.spl[QR_SNP_TEE].present);
    assert_int_equal(k.hwid.len, 64);
    qr_certs_free(&certs);
}

/* Components at the top of their range bind like any other. */
static void
test_high_versions(void **state)
{
    static const struct evsnp_tcb high = {255, 128, 127, 200, 129};

    (void)state;
    for (int line = 0; line < EVSNP_LINES; line++) {
        start((enum evsnp_line)line, 0);
        evsnp_ext_tcb(&scene.s, &high);
        evsnp_put_tcb(&scene.s, EVSNP_REPORTED_TCB, &high);
        evsnp_put_tcb(&scene.s, EVSNP_COMMITTED_TCB, &high);
        evsnp_put_tcb(&scene.s, EVSNP_CURRENT_TCB, &high);
        assert_int_equal(judge(), QR_REASON_NONE);
    }
    /* an extension that may be missing stands for zero, and only for that */
    start(EVSNP_MILAN, 0);
    scene.s.ext[EVSNP_EXT_SPL5].len = 0;
    scene.s.ext[EVSNP_EXT_STRUCT_VERSION].len = 0;
    assert_int_equal(judge(), QR_REASON_NONE);
    snp_break_raise_all_tcbs(&scene, 3);
    assert_int_equal(judge(), QR_REASON_TCB);
    evsnp_ext_uint(&scene.s, EVSNP_EXT_SPL5, 1);
    assert_int_equal(judge(), QR_REASON_NONE);
}

/* ---- dates ---- */

static void
test_edges_of_dates(void **state)
{
    (void)state;
    start(EVSNP_MILAN, 0);
    scene.s.vek_spec.from_ms = EVGEN_NOW_MS;
    scene.s.vek_spec.to_ms = EVGEN_NOW_MS + EVGEN_DAY_MS;
    assert_int_equal(judge(), QR_REASON_NONE);
    scene.o.now_ms = EVGEN_NOW_MS - 1;
    assert_int_equal(judge(), QR_REASON_NOT_YET_VALID);
    scene.o.now_ms = EVGEN_NOW_MS + EVGEN_DAY_MS;
    assert_int_equal(judge(), QR_REASON_NONE);
    scene.o.now_ms++;
    assert_int_equal(judge(), QR_REASON_EXPIRED);
    assert_int_equal(verdict.check[QR_CHECK_VALIDITY], QR_CHECK_FAIL);
    /* nothing of the machine is in doubt: the signature was looked at before the age */
    assert_int_equal(verdict.check[QR_CHECK_SIGNATURE], QR_CHECK_PASS);
    scene.o.now_ms = -1;
    assert_int_equal(judge(), QR_REASON_NONE);
    assert_int_equal(verdict.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);

    /* what a certificate endorses is told before its age */
    scene.o.now_ms = EVGEN_NOW_MS - 1;
    snp_break_other_chip(&scene, 0);
    assert_int_equal(judge(), QR_REASON_IDENTITY_MISMATCH);
    start(EVSNP_MILAN, 0);
    snp_break_ends_now(&scene, 0);
    snp_break_old_vcek(&scene, 0);
    assert_int_equal(judge(), QR_REASON_TCB);
}

/* The vendor issues the same key again with other dates: both endorse the report. */
static void
test_issued_again(void **state)
{
    static struct evgen_der earlier;

    (void)state;
    start(EVSNP_GENOA, 0);
    scene.s.vek_spec.from_ms = EVGEN_NOW_MS - 9 * EVGEN_DAY_MS;
    assert_int_equal(judge(), QR_REASON_NONE);
    earlier = scene.s.vek;
    scene.s.vek_spec.from_ms = EVGEN_NOW_MS - 2 * EVGEN_DAY_MS;
    assert_int_equal(judge(), QR_REASON_NONE);
    scene.s.vek = earlier;
    evsnp_evidence(&scene.s, QR_EV_SNP, &scene.e);
    assert_int_equal(qr_verify(&scene.e, &scene.o, &verdict, NULL), QR_OK);
}

/* ---- lists ---- */

static void
make_list(const char *issuer, const uint64_t *serials, size_t n)
{
    struct evgen_crl_spec crl = evgen_crl_spec_of(issuer, scene.s.ark_spec.key);
    crl.sig = EVGEN_RSA_PSS_SHA384;
    for (size_t i = 0; i < n; i++) {
        crl.revoked[i] = serials[i];
    }
    crl.n_revoked = n;
    evgen_crl(&crl, &scene.s.crl);
}

static void
test_lists(void **state)
{
    static const uint64_t others[] = {1, 0x10, 0xffffffff}, zero[] = {0};

    (void)state;
    for (int vlek = 0; vlek < 2; vlek++) {
        start(EVSNP_MILAN, vlek);
        assert_int_equal(judge(), QR_REASON_NONE);
        assert_int_equal(verdict.check[QR_CHECK_CRL], QR_CHECK_SKIPPED);

        make_list(scene.s.ark_spec.subject, others, 3);
        assert_int_equal(judge(), QR_REASON_NONE);
        assert_int_equal(verdict.check[QR_CHECK_CRL], QR_CHECK_PASS);

        make_list(scene.s.ark_spec.subject, zero, 1);
        assert_int_equal(judge(), QR_REASON_REVOKED);

        /* an ASK that may sign lists speaks of its leaves */
        scene.s.ask_spec.key_usage |= EVGEN_KU_CRL_SIGN;
        make_list(scene.s.ask_spec.subject, others, 3);
        assert_int_equal(judge(), QR_REASON_NONE);
        assert_int_equal(verdict.check[QR_CHECK_CRL], QR_CHECK_PASS);
        make_list(scene.s.ask_spec.subject, zero, 1);
        assert_int_equal(judge(), QR_REASON_REVOKED);
    }
    /* an entry for the ASK's serial number, in the list of another line's ARK */
    start(EVSNP_MILAN, 0);
    make_list(evsnp_name(&scene.s, 3, "ARK-Genoa"), &scene.s.ask_spec.serial, 1);
    assert_int_equal(judge(), QR_REASON_COLLATERAL_MISMATCH);
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
        cmocka_unit_test(test_names_of_lines),
        cmocka_unit_test(test_bytes_of_tcbs),
        cmocka_unit_test(test_extensions_are_read),
        cmocka_unit_test(test_high_versions),
        cmocka_unit_test(test_edges_of_dates),
        cmocka_unit_test(test_issued_again),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, make_roots, NULL);
}
