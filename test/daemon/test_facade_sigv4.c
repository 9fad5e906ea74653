/*
 * Signature Version 4: published examples verify; a changed byte, another list, another clock do not.
 */
#include "daemon/facade/sigv4.h"

#include "protocol/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define NOW UINT64_C(1440938160000) /* 20150830T123600Z */
#define CREDENTIAL                                                                                 \
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "

/* "AWS Signature Version 4 test suite", those with the target "/" and no query: values are facts. */
static const struct example {
    const char *name, *method;
    struct qr_facade_header header[4]; /* ends with a NULL name */
    const char *body, *authorization;
} examples[] = {
    {"get-vanilla",
     "GET",
     {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}},
     "",
     CREDENTIAL "SignedHeaders=host;x-amz-date, "
                "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-vanilla",
     "POST",
     {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}},
     "",
     CREDENTIAL "SignedHeaders=host;x-amz-date, "
                "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-x-www-form-urlencoded",
     "POST",
     {{"Content-Type", "application/x-www-form-urlencoded"},
      {"Host", "example.amazonaws.com"},
      {"X-Amz-Date", "20150830T123600Z"}},
     "Param1=value1",
     CREDENTIAL "SignedHeaders=content-type;host;x-amz-date, "
                "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

static struct qr_facade_request
request_of(const struct example *x)
{
    struct qr_facade_request r = {.method = x->method, .target = "/"};
    for (size_t i = 0; i < 4 && x->header[i].name; i++) {
        r.header[r.n_headers++] = x->header[i];
    }
    r.header[r.n_headers++] = (struct qr_facade_header){"Authorization", x->authorization};
    r.body = qr_view_str(x->body);
    return r;
}

static char why[256];

static enum qr_sigv4_result
check_at(const struct qr_facade_request *r, const char *secret, uint64_t now)
{
    struct qr_sigv4 s;
    why[0] = '\0';
    enum qr_sigv4_result v = qr_sigv4_parse(r, &s, why, sizeof why);
    return v == QR_SIGV4_OK
               ? qr_sigv4_check(&s, r, secret, "us-east-1", "service", now, why, sizeof why)
               : v;
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static void
test_published_examples(void **state)
{
    (void)state;
    size_t n = sizeof examples / sizeof examples[0];
    for (size_t i = 0; i < n; i++) {
        struct qr_facade_request r = request_of(&examples[i]);
        if (check_at(&r, SECRET, NOW) != QR_SIGV4_OK) {
            fail_msg("%s: %s", examples[i].name, why);
        }
        assert_int_equal(check_at(&r, SECRET "x", NOW), QR_SIGV4_INVALID);
        r.body = qr_view_str("Param1=value2");
        assert_int_equal(check_at(&r, SECRET, NOW), QR_SIGV4_INVALID);
    }
    printf("vectors: sigv4 %zu\n", n);
}

static void
test_time(void **state)
{
    (void)state;
    struct qr_facade_request r = request_of(&examples[1]);
    assert_int_equal(check_at(&r, SECRET, NOW + QR_SIGV4_SKEW_MS), QR_SIGV4_OK);
    assert_int_equal(check_at(&r, SECRET, NOW - QR_SIGV4_SKEW_MS), QR_SIGV4_OK);
    assert_int_equal(check_at(&r, SECRET, NOW + QR_SIGV4_SKEW_MS + 1), QR_SIGV4_INVALID);
    assert_non_null(strstr(why, "300 s"));
    assert_int_equal(check_at(&r, SECRET, NOW - QR_SIGV4_SKEW_MS - 1), QR_SIGV4_INVALID);
    static const char *const bad[] = {"20150831T123600Z", "20150830T123600",  "2015083T1236000Z",
                                      "20150830T253600Z", "20150830T126000Z", "20151330T123600Z",
                                      "20150230T123600Z", "20150830 123600Z", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        r.header[1].value = bad[i];
        assert_int_equal(check_at(&r, SECRET, NOW), QR_SIGV4_INCOMPLETE);
    }
}

static void
test_every_character_of_the_header_counts(void **state)
{
    (void)state;
    struct qr_facade_request r = request_of(&examples[1]);
    const char *good = examples[1].authorization;
    char text[512];

    for (size_t i = 0; good[i]; i++) {
        for (unsigned bit = 0; bit < 7; bit++) {
            snprintf(text, sizeof text, "%s", good);
            text[i] = (char)(text[i] ^ (1 << bit));
            r.header[2].value = text;
            struct qr_sigv4 s;
            /* The access id is looked up by the caller; the rest is covered. */
            if (check_at(&r, SECRET, NOW) == QR_SIGV4_OK &&
                (qr_sigv4_parse(&r, &s, why, sizeof why) != QR_SIGV4_OK ||
                 qr_view_eq(s.access, qr_view_str("AKIDEXAMPLE")))) {
                fail_msg("character %zu, bit %u: \"%s\" was taken", i, bit, text);
            }
        }
    }
}

static void
test_forms_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *authorization;
        enum qr_sigv4_result want;
    } cases[] = {
        {"", QR_SIGV4_MISSING},
        {"Bearer x", QR_SIGV4_MISSING},
        {"AWS4-HMAC-SHA512 Credential=a", QR_SIGV4_MISSING},
        {"AWS4-HMAC-SHA256 ", QR_SIGV4_INCOMPLETE},
        {CREDENTIAL, QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=host;x-amz-date, Signature=", QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=x-amz-date, Signature="
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=x-amz-date;host, Signature="
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=host;host;x-amz-date, Signature="
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=host;x-amz-date;, Signature="
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         QR_SIGV4_INCOMPLETE},
        {CREDENTIAL "SignedHeaders=host;x-amz-date;x-other, Signature="
                    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         QR_SIGV4_INVALID},
    };
    struct qr_facade_request r = request_of(&examples[1]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        r.header[2].value = cases[i].authorization;
        if (check_at(&r, SECRET, NOW) != cases[i].want) {
            fail_msg("\"%s\": %s", cases[i].authorization, why);
        }
    }
}

static void
test_headers_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct qr_facade_header more;
        enum qr_sigv4_result want;
    } cases[] = {
        {{"X-Amz-Security-Token", "t"}, QR_SIGV4_TOKEN},
        {{"X-Amz-Target", "T.Sign"}, QR_SIGV4_INCOMPLETE}, /* there, and not signed */
        {{"Content-Type", "a"}, QR_SIGV4_INCOMPLETE},
        {{"Host", "example.amazonaws.com"}, QR_SIGV4_INVALID}, /* twice */
        {{"X-Amz-Date", "20150830T123600Z"}, QR_SIGV4_INCOMPLETE},
        {{"Authorization", "x"}, QR_SIGV4_MISSING},
        {{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"}, QR_SIGV4_INVALID},
        {{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, QR_SIGV4_INVALID},
        {{"X-Amz-Content-Sha256",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
         QR_SIGV4_OK},
        {{"X-Something-Else", "x"}, QR_SIGV4_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_facade_request r = request_of(&examples[1]);
        r.header[r.n_headers++] = cases[i].more;
        if (check_at(&r, SECRET, NOW) != cases[i].want) {
            fail_msg("%s: %s", cases[i].more.name, why);
        }
    }
    struct qr_facade_request r = request_of(&examples[1]);
    r.target = "/?x=1";
    assert_int_equal(check_at(&r, SECRET, NOW), QR_SIGV4_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_examples),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_every_character_of_the_header_counts),
        cmocka_unit_test(test_forms_that_are_refused),
        cmocka_unit_test(test_headers_that_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
