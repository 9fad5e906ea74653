/* Signature Version 4: answers that AWS publishes in its test suite and its reference, and one made by botocore. */
#include "enclave-shim/nitro/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"

#include <stdio.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
/* Of the published suite; no one's. */
#define TOKEN                                                                                      \
    "AQoDYXdzEPT//////////"                                                                        \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIe"                   \
    "oIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/"                                                           \
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq"                                \
    "5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"              \
    "scqKmlzm8FDrypNC"                                                                             \
    "9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

struct vector {
    const char *what, *method, *query, *region, *service, *body, *time;
    struct {
        const char *name, *value;
    } header[6];
    const char *signature;
};

static const struct vector vectors[] = {
    {"get-vanilla",
     "GET",
     "",
     "us-east-1",
     "service",
     "",
     "20150830T123600Z",
     {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-vanilla",
     "POST",
     "",
     "us-east-1",
     "service",
     "",
     "20150830T123600Z",
     {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "",
     "us-east-1",
     "service",
     "",
     "20150830T123600Z",
     {{"host", "example.amazonaws.com"},
      {"my-header1", "value1"},
      {"x-amz-date", "20150830T123600Z"}},
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-x-www-form-urlencoded",
     "POST",
     "",
     "us-east-1",
     "service",
     "Param1=value1",
     "20150830T123600Z",
     {{"content-type", "application/x-www-form-urlencoded"},
      {"host", "example.amazonaws.com"},
      {"x-amz-date", "20150830T123600Z"}},
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-sts-header-before",
     "POST",
     "",
     "us-east-1",
     "service",
     "",
     "20150830T123600Z",
     {{"host", "example.amazonaws.com"},
      {"x-amz-date", "20150830T123600Z"},
      {"x-amz-security-token", TOKEN}},
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"the reference's ListUsers",
     "GET",
     "Action=ListUsers&Version=2010-05-08",
     "us-east-1",
     "iam",
     "",
     "20150830T123600Z",
     {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
      {"host", "iam.amazonaws.com"},
      {"x-amz-date", "20150830T123600Z"}},
     "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
    {"a KMS call by botocore",
     "POST",
     "",
     "eu-west-1",
     "kms",
     "{\"KeyId\":\"k\"}",
     "20260101T000000Z",
     {{"content-type", "application/x-amz-json-1.1"},
      {"host", "kms.eu-west-1.amazonaws.com"},
      {"x-amz-date", "20260101T000000Z"},
      {"x-amz-security-token", "TOKEN"},
      {"x-amz-target", "TrentService.Decrypt"}},
     "4189ce17e4e1211d4a884e22b1df58da9ab4d5868e54fa568aa4566a09d30c7a"},
};
#define N_VECTORS (sizeof vectors / sizeof vectors[0])

static struct qr_sigv4
request_of(const struct vector *v)
{
    struct qr_sigv4 s = {.method = v->method,
                         .path = "/",
                         .query = v->query,
                         .region = v->region,
                         .service = v->service,
                         .key_id = "AKIDEXAMPLE",
                         .secret = qr_view_str(SECRET),
                         .body = qr_view_str(v->body)};
    memcpy(s.time, v->time, sizeof s.time);
    for (; s.n < 6 && v->header[s.n].name; s.n++) {
        s.header[s.n].name = v->header[s.n].name;
        s.header[s.n].value = qr_view_str(v->header[s.n].value);
    }
    return s;
}

static void
test_published_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        char out[1024] = "";
        struct qr_buf b = qr_buf_over(out, sizeof out - 1);
        struct qr_sigv4 s = request_of(&vectors[i]);
        assert_int_equal(qr_sigv4_authorization(&s, &b), QR_OK);
        const char *sig = strstr(out, "Signature=");
        if (!sig || strcmp(sig + 10, vectors[i].signature) != 0) {
            fail_msg("%s: %s", vectors[i].what, out);
        }
    }
    printf("vectors: sigv4 %zu\n", N_VECTORS);
}

static void
test_whole_header(void **state)
{
    char out[1024] = "";
    struct qr_buf b = qr_buf_over(out, sizeof out - 1);
    struct qr_sigv4 s = request_of(&vectors[3]);
    (void)state;
    assert_int_equal(qr_sigv4_authorization(&s, &b), QR_OK);
    assert_string_equal(out, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                             "aws4_request, SignedHeaders=content-type;host;x-amz-date, "
                             "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe0"
                             "9473a");
}

static void
test_no_room(void **state)
{
    static char big[9000];
    char out[64];
    struct qr_buf b = qr_buf_over(out, sizeof out), room = qr_buf_over(big, sizeof big);
    struct qr_sigv4 s = request_of(&vectors[0]);
    (void)state;
    assert_int_equal(qr_sigv4_authorization(&s, &b), QR_ERR_NO_SPACE);
    memset(big, 'x', sizeof big);
    s.header[0].value = qr_view_of(big, 8200);
    assert_int_equal(qr_sigv4_authorization(&s, &room), QR_ERR_NO_SPACE);
}

static void
test_time(void **state)
{
    char t[QR_SIGV4_TIME_LEN + 1];
    (void)state;
    qr_sigv4_time(INT64_C(1440938160000), t);
    assert_string_equal(t, "20150830T123600Z");
    qr_sigv4_time(0, t);
    assert_string_equal(t, "19700101T000000Z");
    qr_sigv4_time(INT64_C(253402300799999), t);
    assert_string_equal(t, "99991231T235959Z");
}

static int
start(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_answers),
        cmocka_unit_test(test_whole_header),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
