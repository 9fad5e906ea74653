/* The host's credentials: what is taken, and every way in which they are none. */
#include "enclave-shim/nitro/creds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define ID "ASIATESTTESTTESTTEST"
#define SECRET "0123456789abcdef/+ghijklmnop"

struct creds_case {
    const char *what, *json;
    qr_err want;
    const char *names; /* in err_text */
};

#define GOOD "\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"" SECRET "\""

static const struct creds_case cases[] = {
    {"plain", "{" GOOD "}", QR_OK, NULL},
    {"as the metadata service has it",
     "{\"Code\":\"Success\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"Type\":\"AWS-HMAC\"," GOOD
     ",\"Token\":\"abc/+=\",\"Expiration\":\"2026-01-01T06:00:00Z\"}",
     QR_OK, NULL},
    {"nothing", "", QR_ERR_MALFORMED, "1 to"},
    {"no JSON", "<html>", QR_ERR_MALFORMED, "credentials"},
    {"cut off", "{" GOOD, QR_ERR_MALFORMED, "credentials"},
    {"more behind it", "{" GOOD "}{}", QR_ERR_MALFORMED, "credentials"},
    {"an array",
     "["
     "1"
     "]",
     QR_ERR_MALFORMED, "object"},
    {"no success", "{\"Code\":\"Failed\"," GOOD "}", QR_ERR_MALFORMED, "instance role"},
    {"a code that is no text", "{\"Code\":1," GOOD "}", QR_ERR_MALFORMED, "instance role"},
    {"no key id", "{\"SecretAccessKey\":\"" SECRET "\"}", QR_ERR_MALFORMED, "AccessKeyId"},
    {"a short key id", "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"" SECRET "\"}",
     QR_ERR_MALFORMED, "AccessKeyId"},
    {"a key id with a line in it",
     "{\"AccessKeyId\":\"ASIATESTTESTTEST\\r\\nX: y\",\"SecretAccessKey\":\"" SECRET "\"}",
     QR_ERR_MALFORMED, "AccessKeyId"},
    {"no secret", "{\"AccessKeyId\":\"" ID "\"}", QR_ERR_MALFORMED, "SecretAccessKey"},
    {"a secret with a space",
     "{\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"0123456789 abcdef\"}", QR_ERR_MALFORMED,
     "SecretAccessKey"},
    {"a token with a line in it", "{" GOOD ",\"Token\":\"a\\nHost: b\"}", QR_ERR_MALFORMED,
     "Token"},
    {"an empty token", "{" GOOD ",\"Token\":\"\"}", QR_ERR_MALFORMED, "Token"},
    {"a token that is a number", "{" GOOD ",\"Token\":7}", QR_ERR_MALFORMED, "Token"},
    {"a date that is none", "{" GOOD ",\"Expiration\":\"tomorrow\"}", QR_ERR_MALFORMED,
     "Expiration"},
    {"a date that is a number", "{" GOOD ",\"Expiration\":1}", QR_ERR_MALFORMED, "Expiration"},
    {"a member twice", "{" GOOD "," GOOD "}", QR_ERR_DUPLICATE, "credentials"},
};

static void
test_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_creds c;
        char why[256] = "";
        memset(&c, 0x55, sizeof c);
        qr_err e = qr_creds_parse(qr_view_str(cases[i].json), &c, why, sizeof why);
        if (e != cases[i].want) {
            fail_msg("%s: %s (%s)", cases[i].what, qr_err_name(e), why);
        }
        if (e == QR_OK) {
            assert_string_equal(c.key_id, ID);
            assert_string_equal(c.secret, SECRET);
        } else {
            assert_non_null(strstr(why, cases[i].names));
            assert_null(strstr(why, SECRET)); /* no value in a message */
            assert_int_equal(c.key_id[0], 0x55);
        }
    }
}

static void
test_fields(void **state)
{
    struct qr_creds c;
    (void)state;
    assert_int_equal(qr_creds_parse(qr_view_str(cases[0].json), &c, NULL, 0), QR_OK);
    assert_string_equal(c.token, "");
    assert_true(c.expires_ms == INT64_MAX);
    assert_int_equal(qr_creds_parse(qr_view_str(cases[1].json), &c, NULL, 0), QR_OK);
    assert_string_equal(c.token, "abc/+=");
    assert_true(c.expires_ms == INT64_C(1767247200000));
}

static void
test_bounds(void **state)
{
    static char text[QR_CREDS_TEXT_MAX + 64], token[QR_CREDS_TOKEN_MAX + 2];
    struct qr_creds c;
    (void)state;
    for (size_t n = QR_CREDS_TOKEN_MAX; n <= QR_CREDS_TOKEN_MAX + 1; n++) {
        memset(token, 'a', n);
        token[n] = 0;
        (void)snprintf(text, sizeof text, "{" GOOD ",\"Token\":\"%s\"}", token);
        assert_int_equal(qr_creds_parse(qr_view_str(text), &c, NULL, 0),
                         n == QR_CREDS_TOKEN_MAX ? QR_OK : QR_ERR_MALFORMED);
    }
    memset(text, ' ', sizeof text);
    memcpy(text, cases[0].json, strlen(cases[0].json));
    assert_int_equal(qr_creds_parse(qr_view_of(text, QR_CREDS_TEXT_MAX), &c, NULL, 0), QR_OK);
    assert_int_equal(qr_creds_parse(qr_view_of(text, QR_CREDS_TEXT_MAX + 1), &c, NULL, 0),
                     QR_ERR_TOO_LARGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
