/* daemon/ud_fetch: what is asked of a metadata service, and answers that are not taken. */
#include "daemon/ud_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char url[64], err[QR_UD_ERR_MAX];
static uint8_t buf[64];
static int heard[2];

/* A server for one connection: tells the request on `heard`, sends the answer. */
static pid_t
serve(const char *answer)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(s, 4), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&a, &n), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/x", ntohs(a.sin_port));
    assert_int_equal(pipe(heard), 0);
    pid_t p = fork();
    if (p == 0) {
        char request[2048];
        int c = accept(s, NULL, NULL);
        ssize_t len = read(c, request, sizeof request);
        if (len <= 0 || write(heard[1], request, (size_t)len) != len ||
            write(c, answer, strlen(answer)) < 0) {
            _exit(1);
        }
        _exit(0);
    }
    (void)close(s);
    (void)close(heard[1]);
    return p;
}

/* One GET against that answer; *ret_len as it comes. The request is in `request`. */
static qr_err
get(const char *answer, const char *header, char request[static 2048], size_t *ret_len)
{
    pid_t p = serve(answer);
    /* A proxy of the environment would be asked instead: there is none at this port. */
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    qr_err e = qr_ud_get(url, header, 2000, buf, sizeof buf, ret_len, err);
    ssize_t n = read(heard[0], request, 2047);
    request[n > 0 ? n : 0] = '\0';
    (void)close(heard[0]);
    (void)waitpid(p, NULL, 0);
    return e;
}

static void
test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        qr_err e;
        const char *words;
    } rows[] = {
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", QR_ERR_LINK_CLOSED, "status 404"},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", QR_ERR_LINK_CLOSED, "status 503"},
        {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED, "status 403"},
        {"HTTP/1.1 302 See\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         QR_ERR_MALFORMED, "status 302"},
        {"HTTP/1.1 302 See\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
         QR_ERR_MALFORMED, "status 302"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"
         "0123456789012345678901234567890123456789012345678901234567890123+",
         QR_ERR_TOO_LARGE, "more than 64 bytes"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", QR_ERR_LINK_CLOSED, "127.0.0.1"},
        {"nonsense\r\n\r\n", QR_ERR_ADDRESS, "HTTP/0.9"},
    };
    char request[2048];
    size_t n = 7;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        qr_err e = get(rows[i].answer, NULL, request, &n);
        if (e != rows[i].e || !strstr(err, rows[i].words)) {
            fail_msg("%zu: %s \"%s\"", i, qr_err_name(e), err);
        }
        assert_int_equal(n, 7);
    }
    assert_int_equal(get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                         "Metadata-Flavor: Google", request, &n),
                     QR_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "hello", 5);
    assert_non_null(strstr(request, "GET /x HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nMetadata-Flavor: Google\r\n"));
}

static void
test_addresses(void **state)
{
    (void)state;
    size_t n = 0;
    assert_int_equal(qr_ud_get("file:///etc/passwd", NULL, 1000, buf, sizeof buf, &n, err),
                     QR_ERR_ADDRESS);
    assert_int_equal(qr_ud_get("http://127.0.0.1:1/", NULL, 1000, buf, sizeof buf, &n, err),
                     QR_ERR_LINK_CLOSED);
    enum qr_ud_provider p = QR_UD_GCP;
    assert_true(qr_ud_provider_parse("azure", &p) && p == QR_UD_AZURE);
    assert_false(qr_ud_provider_parse("aws", &p));
    assert_true(qr_ud_source(QR_UD_AZURE)->base64 && !qr_ud_source(QR_UD_GCP)->base64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests_name("daemon/ud_fetch", tests, NULL, NULL);
}
