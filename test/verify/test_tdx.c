/* Intel TDX: genuine quotes of every form, what is refused and by which check, real cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/verify_int.h"
#include "test/common/dcapkit.h"

#include <stdio.h>

static struct dcapkit k;

static int
passed(enum qr_check c)
{
    return k.j.v.check[c] == QR_CHECK_PASS;
}

static void
test_genuine(void **state)
{
    static const enum qr_check made[] = {
        QR_CHECK_LIMITS,    QR_CHECK_PARSE,       QR_CHECK_ALGORITHM,  QR_CHECK_ROOT,
        QR_CHECK_CHAIN,     QR_CHECK_VALIDITY,    QR_CHECK_CRL,        QR_CHECK_SIGNATURE,
        QR_CHECK_QE_REPORT, QR_CHECK_QE_IDENTITY, QR_CHECK_COLLATERAL, QR_CHECK_TCB,
        QR_CHECK_TDX_MODULE};
    (void)state;
    for (int kind = EVGEN_TDX_V4; kind < EVGEN_DCAP_KINDS; kind++) {
        dcapkit_init(&k, (enum evgen_dcap_kind)kind);
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "genuine");
        for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
            assert_true(passed(made[i]));
        }
        assert_false(passed(QR_CHECK_BINDER));
        assert_false(passed(QR_CHECK_EVENT_LOG));
    }
}

static void
test_binder(void **state)
{
    (void)state;
    for (size_t len = 32; len <= 64; len += 32) {
        dcapkit_init(&k, EVGEN_TDX_V5_15);
        memset(k.binder, 0xb1, sizeof k.binder);
        memcpy(evgen_dcap_report_data(&k.d), k.binder, len);
        k.j.o.binder = qr_view_of(k.binder, len);
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "binder");
        assert_true(passed(QR_CHECK_BINDER));
    }
}

/* Attributes are claims: a debuggable TD's quote is genuine, and policy refuses it. */
static void
test_debug_is_told(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 8; bit++) {
        dcapkit_init(&k, EVGEN_TDX_V4);
        k.d.body[EVGEN_TD_ATTRIBUTES] = (uint8_t)(1u << bit);
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "debug");
        int debug = 0;
        uint64_t of_bit = 7;
        assert_true(qr_claim_get_bool(&k.j.v.claims, "debug", &debug));
        assert_int_equal(debug, 1);
        assert_true(qr_claim_get_uint(&k.j.v.claims, "body.td_attr_bits.debug", &of_bit));
        assert_int_equal(of_bit, bit == 0);
    }
}

static void
test_event_log(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V5_10);
    dcapneg_good_log(&k);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "event log");
    assert_true(passed(QR_CHECK_EVENT_LOG));
}

/* What composites use: no binder, the user field is theirs to compare. */
static void
test_part(void **state)
{
    struct qr_verify_out out = {0};
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    memset(evgen_dcap_report_data(&k.d), 0x64, 64);
    dcapkit_run(&k, 0);
    qr_view quote = dcapkit_item(&k, QR_PART_QUOTE), field = {0};
    struct qr_verify_run r = {
        .e = &k.j.e, .o = &k.j.o, .roots = &k.j.roots, .v = &k.j.v, .out = out};
    r.out.earliest_end_ms = INT64_MAX;
    qr_verdict_init(&k.j.v);
    assert_int_equal(qr_tdx_part(&r, quote, &field), QR_OK);
    assert_int_equal(field.len, 64);
    assert_memory_equal(field.p, evgen_dcap_report_data(&k.d), 64);
    assert_false(passed(QR_CHECK_BINDER));

    qr_verdict_init(&k.j.v);
    quote.len = 300;
    assert_int_equal(qr_tdx_part(&r, quote, &field), QR_ERR_ATTESTATION);
    assert_int_equal(k.j.v.reason, QR_REASON_MALFORMED);
}

static void
test_refused(void **state)
{
    static const enum qr_check checks[] = {
        QR_CHECK_LIMITS,     QR_CHECK_PARSE,       QR_CHECK_ALGORITHM,  QR_CHECK_ROOT,
        QR_CHECK_CHAIN,      QR_CHECK_VALIDITY,    QR_CHECK_CRL,        QR_CHECK_SIGNATURE,
        QR_CHECK_QE_REPORT,  QR_CHECK_QE_IDENTITY, QR_CHECK_COLLATERAL, QR_CHECK_TCB,
        QR_CHECK_TDX_MODULE, QR_CHECK_BINDER,      QR_CHECK_EVENT_LOG};
    static struct dcapneg_tally t;
    (void)state;
    dcapneg_run_all(DCAP_TDX, &t);
    dcapneg_assert(&t, 500, checks, sizeof checks / sizeof checks[0]);
    for (unsigned line = 49; line <= 72; line++) {
        if (line != 66 && line != 67 && t.line[line] == 0) { /* these two: test_debug_is_told */
            fail_msg("nothing is refused for line %u", line);
        }
    }
}

static void
test_real(void **state)
{
    size_t mutations = 0;
    (void)state;
    size_t n = dcapkit_real(QR_EV_TDX, &mutations);
    printf("intel-tdx: %zu real cases, %zu mutations of them\n", n, mutations);
}

/*
 * Hosts whose SEAMLDR is older than the vendor's list: operators patch the list in memory. Here it is an
 * exception of one FMSPC, one component and an end, and it shows in the claims.
 */
static void
test_real_exception(void **state)
{
    const char *const name = "intel-tdx/azure-v5-nomatch";
    struct qr_tcb_exception e = {.fmspc = {0x90, 0xc0, 0x6f, 0, 0, 0},
                                 .component = 8,
                                 .min_svn = 3,
                                 .until_ms = INT64_C(1790000000000)};
    struct evjudge *j = NULL;
    (void)state;
    if (!dcapkit_real_one(name, QR_EV_TDX, NULL, -1, &j)) {
        return; /* no real cases here; test_dcap_tcb has the same on generated evidence */
    }
    evjudge_refused(j, name, QR_CHECK_TCB, QR_REASON_TCB);
    assert_non_null(strstr(j->v.sentence, "SGX component 8: expected at least 5, found 3"));
    assert_true(dcapkit_real_one(name, QR_EV_TDX, &e, -1, &j));
    evjudge_valid(j, name);
    assert_non_null(qr_claim_find(&j->v.claims, "tcb.exceptions"));
    e.until_ms = INT64_C(1770000000000); /* before the case's time */
    assert_true(dcapkit_real_one(name, QR_EV_TDX, &e, -1, &j));
    evjudge_refused(j, name, QR_CHECK_TCB, QR_REASON_TCB);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),       cmocka_unit_test(test_binder),
        cmocka_unit_test(test_debug_is_told), cmocka_unit_test(test_event_log),
        cmocka_unit_test(test_part),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_real),          cmocka_unit_test(test_real_exception),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
