/* Intel SGX: genuine quotes of every form, custom claims, what is refused and by which check, real
 * cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/dcapkit.h"

#include <stdio.h>

static struct dcapkit k;

static void
test_genuine(void **state)
{
    (void)state;
    for (int kind = EVGEN_SGX_V3; kind <= EVGEN_SGX_V5; kind++) {
        dcapkit_init(&k, (enum evgen_dcap_kind)kind);
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "genuine");
        assert_int_equal(k.j.v.check[QR_CHECK_TCB], QR_CHECK_PASS);
        assert_int_equal(k.j.v.check[QR_CHECK_TDX_MODULE], QR_CHECK_SKIPPED);
        assert_int_equal(k.j.v.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_SKIPPED);
    }
}

static void
test_binder(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    memset(k.binder, 0xb1, 32);
    memcpy(evgen_dcap_report_data(&k.d), k.binder, 32);
    k.j.o.binder = qr_view_of(k.binder, 32);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "binder");
    assert_int_equal(k.j.v.check[QR_CHECK_BINDER], QR_CHECK_PASS);
}

static void
test_custom_claims(void **state)
{
    qr_view name, value;
    int bound = 0;
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    dcapneg_good_claims(&k);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "custom claims");
    assert_int_equal(k.j.v.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_PASS);
    assert_true(qr_claim_get_bool(&k.j.v.claims, "report_data_binds_custom_claims", &bound));
    assert_int_equal(bound, 1);
    assert_true(qr_claim_get_text(&k.j.v.claims, "custom_claims[1].name", &name));
    assert_true(qr_view_eq(name, qr_view_str("config")));
    assert_true(qr_claim_get_hex(&k.j.v.claims, "custom_claims[0].value", &value));
    assert_int_equal(value.len, 32);
}

/* What a policy judges: the quote is genuine whatever they say. */
static void
test_body_is_told(void **state)
{
    uint64_t prod = 0, svn = 0;
    int debug = 0;
    qr_view signer;
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V5);
    k.d.body[EVGEN_SGX_ATTRIBUTES] |= 2;
    evgen_set_le(k.d.body + EVGEN_SGX_PROD_ID, 0x1234, 2);
    evgen_set_le(k.d.body + EVGEN_SGX_SVN, 0xfedc, 2);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "debug");
    assert_true(qr_claim_get_bool(&k.j.v.claims, "debug", &debug));
    assert_true(qr_claim_get_uint(&k.j.v.claims, "body.isv_prod_id", &prod));
    assert_true(qr_claim_get_uint(&k.j.v.claims, "body.isv_svn", &svn));
    assert_true(qr_claim_get_hex(&k.j.v.claims, "body.mrsigner", &signer));
    assert_int_equal(debug, 1);
    assert_int_equal(prod, 0x1234);
    assert_int_equal(svn, 0xfedc);
    assert_int_equal(signer.len, 32);
    assert_int_equal(signer.p[0], 0x51);
}

static void
test_refused(void **state)
{
    static const enum qr_check checks[] = {
        QR_CHECK_LIMITS,    QR_CHECK_PARSE,       QR_CHECK_ALGORITHM,  QR_CHECK_ROOT,
        QR_CHECK_CHAIN,     QR_CHECK_VALIDITY,    QR_CHECK_CRL,        QR_CHECK_SIGNATURE,
        QR_CHECK_QE_REPORT, QR_CHECK_QE_IDENTITY, QR_CHECK_COLLATERAL, QR_CHECK_TCB,
        QR_CHECK_BINDER,    QR_CHECK_RUNTIME_DATA};
    static struct dcapneg_tally t;
    (void)state;
    dcapneg_run_all(DCAP_SGX, &t);
    dcapneg_assert(&t, 450, checks, sizeof checks / sizeof checks[0]);
    for (unsigned line = 75; line <= 77; line++) { /* 73 and 74: test_body_is_told */
        if (t.line[line] == 0) {
            fail_msg("nothing is refused for line %u", line);
        }
    }
}

static void
test_real(void **state)
{
    size_t mutations = 0;
    (void)state;
    size_t n = dcapkit_real(QR_EV_SGX, &mutations);
    printf("intel-sgx: %zu real cases, %zu mutations of them\n", n, mutations);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),       cmocka_unit_test(test_binder),
        cmocka_unit_test(test_custom_claims), cmocka_unit_test(test_body_is_told),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
