/* The command line's HTTP client: URLs, TLS, and servers that send anything but an answer. */
#include "daemon/client/http.h"
#include "daemon/loop.h"
#include "protocol/base/check.h"
#include "test/common/fakegate.h"
#include "test/common/tlscert.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    pthread_mutex_t lock;
    const void *bytes; /* what the server sends */
    size_t len;
    char request[4096]; /* what it got */
    struct fakegate *g;
} t = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
set_answer(const void *bytes, size_t len)
{
    pthread_mutex_lock(&t.lock);
    t.bytes = bytes;
    t.len = len;
    pthread_mutex_unlock(&t.lock);
}

static void
canned(void *ctx, const char *request, struct qr_dbuf *out)
{
    (void)ctx;
    pthread_mutex_lock(&t.lock);
    snprintf(t.request, sizeof t.request, "%s", request);
    QR_ASSERT(qr_dbuf_append(out, t.bytes, t.len) == QR_OK);
    pthread_mutex_unlock(&t.lock);
}

static int
setup(void **state)
{
    (void)state;
    t.g = fakegate_start(canned, NULL, NULL, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t.g = fakegate_stop(t.g);
    return 0;
}

static qr_err
get(const char *url, const char *ca, unsigned timeout_ms, struct qr_http_response *r, char err[256])
{
    struct qr_http_url u;
    struct qr_http_request q = {
        .method = "GET", .path = "/v1/keys", .ca_file = ca, .timeout_ms = timeout_ms};
    assert_int_equal(qr_http_url_parse(url, &u), QR_OK);
    return qr_http_do(&u, &q, r, err, 256);
}

static qr_err
get_canned(const char *bytes, size_t len, struct qr_http_response *r, char err[256])
{
    char url[64];
    set_answer(bytes, len);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fakegate_port(t.g));
    return get(url, NULL, 5000, r, err);
}

static void
test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port;
        int tls;
    } good[] = {
        {"http://127.0.0.1:8440", "127.0.0.1", "8440", 0},
        {"https://sign.example/", "sign.example", "443", 1},
        {"https://a-b.c:1", "a-b.c", "1", 1},
        {"http://[::1]:80/", "::1", "80", 0},
        {"http://localhost", "localhost", "80", 0},
        {"https://[fe80::1]", "fe80::1", "443", 1},
    };
    static const char *const bad[] = {
        "",
        "127.0.0.1:80",
        "ftp://x",
        "http://",
        "http:///",
        "http://a:0",
        "http://a:x",
        "http://a:65536",
        "http://a/b",
        "http://a?b",
        "http://a b",
        "http://u@a",
        "http://[::1",
        "http://a:80:81",
        "http://a:80/x/",
        "https://a\r\nX:",
        "http://a%00b",
        "http://[]:80",
    };
    struct qr_http_url u;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_http_url_parse(good[i].text, &u), QR_OK);
        assert_string_equal(u.host, good[i].host);
        assert_string_equal(u.port, good[i].port);
        assert_int_equal(u.tls, good[i].tls);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_http_url_parse(bad[i], &u) == QR_OK) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
}

static void
test_get(void **state)
{
    (void)state;
    struct qr_http_response r;
    char err[256];
    static const char with_len[] = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello";
    static const char until_end[] = "HTTP/1.0 503 No\r\n\r\nbye";
    assert_int_equal(get_canned(with_len, sizeof with_len - 1, &r, err), QR_OK);
    assert_int_equal(r.status, 200);
    assert_true(qr_view_eq(qr_view_of(r.body.p, r.body.len), qr_view_str("hello")));
    qr_dbuf_free(&r.body);
    assert_int_equal(strncmp(t.request, "GET /v1/keys HTTP/1.1\r\nHost: 127.0.0.1:", 39), 0);
    assert_null(strstr(t.request, "X-Stamp"));
    assert_int_equal(get_canned(until_end, sizeof until_end - 1, &r, err), QR_OK);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.body.len, 3);
    qr_dbuf_free(&r.body);
}

static void
test_post(void **state)
{
    (void)state;
    struct qr_http_url u;
    struct qr_http_response r;
    char err[256], url[64];
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    set_answer(text, sizeof text - 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", fakegate_port(t.g));
    assert_int_equal(qr_http_url_parse(url, &u), QR_OK);
    struct qr_http_request q = {.method = "POST",
                                .path = "/v1/sign",
                                .stamp = "abc",
                                .body = qr_view_str("{\"v\":1}"),
                                .timeout_ms = 5000};
    assert_int_equal(qr_http_do(&u, &q, &r, err, sizeof err), QR_OK);
    qr_dbuf_free(&r.body);
    assert_non_null(strstr(t.request, "\r\nX-Stamp: abc\r\n"));
    assert_non_null(strstr(t.request, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(t.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(t.request, "\r\n\r\n{\"v\":1}"));
}

static void
test_bad_answers(void **state)
{
    (void)state;
    static char huge_head[QR_HTTP_HEAD_MAX + 8192];
    static const char nul[] = "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n";
    static const struct {
        const char *bytes;
        qr_err e;
    } cases[] = {
        {"", QR_ERR_TRUNCATED},
        {"HTTP/1.1 200 OK\r\n", QR_ERR_TRUNCATED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", QR_ERR_TRUNCATED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", QR_ERR_TRAILING},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
         QR_ERR_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", QR_ERR_MALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", QR_ERR_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n", QR_ERR_TOO_LARGE},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         QR_ERR_MALFORMED},
        {"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED},
        {"HTTP/1.1 abc OK\r\n\r\n", QR_ERR_MALFORMED},
        {"HTTP/2 200\r\n\r\n", QR_ERR_MALFORMED},
        {"SSH-2.0-x\r\n\r\n", QR_ERR_MALFORMED},
    };
    struct qr_http_response r;
    char err[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_err e = get_canned(cases[i].bytes, strlen(cases[i].bytes), &r, err);
        if (e != cases[i].e) {
            fail_msg("case %zu: %s, not %s", i, qr_err_name(e), qr_err_name(cases[i].e));
        }
        assert_non_null(strstr(err, "http://127.0.0.1:"));
    }
    assert_int_equal(get_canned(nul, sizeof nul - 1, &r, err), QR_ERR_MALFORMED);
    memset(huge_head, 'a', sizeof huge_head);
    memcpy(huge_head, "HTTP/1.1 200 OK\r\nX: ", 20);
    assert_int_equal(get_canned(huge_head, sizeof huge_head, &r, err), QR_ERR_TOO_LARGE);
}

static void
test_endless_body(void **state)
{
    (void)state;
    static char big[QR_HTTP_BODY_MAX + 200000];
    struct qr_http_response r;
    char err[256];
    memset(big, 'a', sizeof big);
    memcpy(big, "HTTP/1.1 200 OK\r\n\r\n",
           19); /* no length: until the end, but not beyond the limit */
    assert_int_equal(get_canned(big, sizeof big, &r, err), QR_ERR_TOO_LARGE);
}

static void
test_deadline(void **state)
{
    (void)state;
    struct qr_http_response r;
    char err[256], url[64];
    static char slow[4096];
    memset(slow, 'a', sizeof slow);
    memcpy(slow, "HTTP/1.1 200 OK\r\nX: ", 20);
    set_answer(slow, 400);
    fakegate_drip(t.g, 5000);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fakegate_port(t.g));
    uint64_t start = qr_mono_ns();
    assert_int_equal(get(url, NULL, 300, &r, err), QR_ERR_TIMEOUT);
    assert_true(qr_mono_ns() - start < 1500000000u); /* each byte in time, the whole not */
}

static void
test_nobody_there(void **state)
{
    (void)state;
    struct qr_http_response r;
    char err[256], url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fakegate_port(t.g));
    t.g = fakegate_stop(t.g);
    assert_int_equal(get(url, NULL, 2000, &r, err), QR_ERR_LINK_CLOSED);
    assert_non_null(strstr(err, "refused"));
    /* Plain HTTP leaves this machine for nobody (no packet is sent: the address is checked first). */
    assert_int_equal(get("http://192.0.2.1:80", NULL, 2000, &r, err), QR_ERR_ADDRESS);
    assert_non_null(strstr(err, "https"));
    t.g = fakegate_start(canned, NULL, NULL, NULL);
}

static void
test_tls(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_ctl_http_XXXXXX", cert[64], key[64], other[64], other_key[64], url[64],
         err[256];
    struct qr_http_response r;
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(other, sizeof other, "%s/other.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other-key.pem", dir);
    tlscert_write(cert, key);
    tlscert_write(other, other_key);
    struct fakegate *g = fakegate_start(canned, NULL, cert, key);
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    set_answer(text, sizeof text - 1);

    snprintf(url, sizeof url, "https://127.0.0.1:%u", fakegate_port(g));
    assert_int_equal(get(url, cert, 5000, &r, err), QR_OK);
    assert_int_equal(r.body.len, 2);
    qr_dbuf_free(&r.body);
    snprintf(url, sizeof url, "https://localhost:%u", fakegate_port(g));
    assert_int_equal(get(url, cert, 5000, &r, err), QR_OK);
    qr_dbuf_free(&r.body);
    /* Another root, the system's roots, a name that is not in the certificate. */
    assert_int_equal(get(url, other, 5000, &r, err), QR_ERR_TLS);
    assert_non_null(strstr(err, "self"));
    assert_int_equal(get(url, NULL, 5000, &r, err), QR_ERR_TLS);
    snprintf(url, sizeof url, "https://127.0.0.2:%u", fakegate_port(g));
    qr_err e = get(url, cert, 5000, &r, err);
    assert_true(e == QR_ERR_TLS || e == QR_ERR_LINK_CLOSED);
    assert_int_equal(get(url, "/nonexistent", 5000, &r, err) == QR_OK, 0);
    /* TLS to a server that speaks none, and the other way round. */
    snprintf(url, sizeof url, "https://127.0.0.1:%u", fakegate_port(t.g));
    assert_int_not_equal(get(url, cert, 1000, &r, err), QR_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fakegate_port(g));
    assert_int_not_equal(get(url, NULL, 1000, &r, err), QR_OK);
    fakegate_stop(g);
    unlink(cert);
    unlink(key);
    unlink(other);
    unlink(other_key);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test_setup_teardown(test_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endless_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
