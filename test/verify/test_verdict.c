/* Verdicts: the first failure wins, a failed check stays failed, names are unique. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/verdict.h"

static struct qr_verdict v;

static void
test_first_failure(void **state)
{
    char long_text[400];
    (void)state;
    memset(&v, 0xa5, sizeof v);
    qr_verdict_init(&v);
    assert_int_equal(v.reason, QR_REASON_NONE);
    assert_string_equal(v.sentence, "");
    assert_int_equal(v.claims.n, 0);
    for (int c = 0; c < QR_CHECK_COUNT; c++) {
        assert_int_equal(v.check[c], QR_CHECK_SKIPPED);
    }
    qr_pass(&v, QR_CHECK_PARSE);
    assert_int_equal(v.check[QR_CHECK_PARSE], QR_CHECK_PASS);
    assert_int_equal(qr_fail(&v, QR_CHECK_TCB, QR_REASON_TCB, "expected %d, found %s", 3, "4"),
                     QR_ERR_ATTESTATION);
    assert_int_equal(qr_fail(&v, QR_CHECK_CRL, QR_REASON_REVOKED, "later"), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_TCB);
    assert_int_equal(v.failed, QR_CHECK_TCB);
    assert_string_equal(v.sentence, "expected 3, found 4");
    assert_int_equal(v.check[QR_CHECK_TCB], QR_CHECK_FAIL);
    assert_int_equal(v.check[QR_CHECK_CRL], QR_CHECK_FAIL);
    qr_pass(&v, QR_CHECK_CRL);
    assert_int_equal(v.check[QR_CHECK_CRL], QR_CHECK_FAIL);
    qr_fail(&v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "x"); /* passed before: failed now */
    assert_int_equal(v.check[QR_CHECK_PARSE], QR_CHECK_FAIL);
    /* a long sentence is cut and ended */
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    qr_verdict_init(&v);
    qr_fail(&v, QR_CHECK_TCB, QR_REASON_TCB, "%s", long_text);
    assert_int_equal(strlen(v.sentence), QR_SENTENCE_MAX - 1);
}

static void
test_names(void **state)
{
    (void)state;
    for (int c = 0; c < QR_CHECK_COUNT; c++) {
        const char *name = qr_check_name((enum qr_check)c);
        assert_int_equal(qr_check_by_name(qr_view_str(name)), c);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_true(strlen(qr_check_meaning((enum qr_check)c)) > 10);
    }
    assert_string_equal(qr_check_name(QR_CHECK_TCB_BINDING), "tcb-binding");
    assert_int_equal(qr_check_by_name(qr_view_str("tcb-bindin")), QR_CHECK_COUNT);
    assert_int_equal(qr_check_by_name(qr_view_str("")), QR_CHECK_COUNT);
    assert_string_equal(qr_check_name(QR_CHECK_COUNT), "unknown");
    assert_string_equal(qr_check_meaning(QR_CHECK_COUNT), "unknown");
}

/* Tools match on these words. */
static void
test_reasons(void **state)
{
    static const char *const words[] = {
        "none",
        "malformed",
        "trailing-data",
        "resource-limit",
        "duplicate-key",
        "unsupported",
        "signature",
        "chain",
        "untrusted-root",
        "expired",
        "not-yet-valid",
        "revoked",
        "collateral-missing",
        "collateral-expired",
        "collateral-mismatch",
        "collateral-rollback",
        "tcb",
        "measurement",
        "debug",
        "binder",
        "key-binding",
        "identity-mismatch",
        "not-evidence",
        "stale",
        "policy",
    };
    (void)state;
    assert_int_equal(QR_REASON_COUNT, sizeof words / sizeof words[0]);
    for (int r = 0; r < QR_REASON_COUNT; r++) {
        assert_string_equal(qr_reason_word((enum qr_reason)r), words[r]);
    }
    assert_string_equal(qr_reason_word(QR_REASON_COUNT), "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_failure),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
