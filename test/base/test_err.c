/* The error list: values, names and codes that others rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/err.h"

#include <string.h>

static const int values[] = {
#define QR_E(name, value, class, http, code, text) (value),
#include "protocol/base/err.def"
#undef QR_E
};

#define N (sizeof values / sizeof values[0])

/* Values and names are unique, and sit in their layer's block of 100. */
static void
test_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        assert_in_range(values[i], 0, 599);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(values[i], values[k]);
            assert_string_not_equal(qr_err_name((qr_err)values[i]), qr_err_name((qr_err)values[k]));
        }
    }
}

static void
test_every_error_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        qr_err e = (qr_err)values[i];
        int http = qr_err_http(e);
        enum qr_err_class class = qr_err_class(e);

        assert_true(strlen(qr_err_name(e)) > 0);
        assert_true(strlen(qr_err_text(e)) > 0);
        /* A client's code is one lower-case word. */
        const char *code = qr_err_code(e);
        assert_true(strlen(code) > 0);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
        assert_true(e == QR_OK ? http == 200 : http >= 400 && http <= 599);
        assert_int_equal(e == QR_OK, class == QR_CLASS_OK);
        /* Only what is temporary may tell a client to try again. */
        if (class == QR_CLASS_TEMPORARY) {
            assert_true(http == 429 || http >= 503);
        }
        if (class == QR_CLASS_AUTH && http >= 400 && http < 500) {
            assert_true(http == 401 || http == 403 || http == 409);
        }
    }
    assert_string_equal(qr_err_name(QR_ERR_MALFORMED), "MALFORMED");
    assert_string_equal(qr_err_code(QR_ERR_POLICY_DENIED), "policy_denied");
}

/* One code has one meaning: the same HTTP status each time it appears, but for these. */
static void
test_codes_agree_on_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i; k++) {
            qr_err a = (qr_err)values[i], b = (qr_err)values[k];
            if (strcmp(qr_err_code(a), qr_err_code(b)) == 0) {
                assert_int_equal(qr_err_http(a), qr_err_http(b));
            }
        }
    }
}

static void
test_unknown(void **state)
{
    (void)state;
    qr_err e = (qr_err)599;
    assert_string_equal(qr_err_name(e), "UNKNOWN");
    assert_string_equal(qr_err_code(e), "internal");
    assert_int_equal(qr_err_http(e), 500);
    assert_int_equal(qr_err_class(e), QR_CLASS_INTERNAL);
}

static qr_err
try_it(qr_err first, int *ret_went_on)
{
    QR_TRY(first);
    *ret_went_on = 1;
    return QR_ERR_USAGE;
}

static void
test_try(void **state)
{
    int went_on = 0;
    (void)state;
    assert_int_equal(try_it(QR_ERR_TRUNCATED, &went_on), QR_ERR_TRUNCATED);
    assert_int_equal(went_on, 0);
    assert_int_equal(try_it(QR_OK, &went_on), QR_ERR_USAGE);
    assert_int_equal(went_on, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unique),
        cmocka_unit_test(test_every_error_is_complete),
        cmocka_unit_test(test_codes_agree_on_status),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
