/* One HTTP answer: what is whole, what must go on, and what is none. */
#include "enclave-shim/nitro/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define HEAD_MAX 512u
#define BODY_MAX 256u

struct http_case {
    const char *what, *text;
    qr_err want;
    const char *body;
};

static const struct http_case cases[] = {
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", QR_OK, "ab"},
    {"no body", "HTTP/1.1 204 \r\ncontent-length:0\r\n\r\n", QR_OK, ""},
    {"no reason", "HTTP/1.1 200\r\ncontent-length: 0 \r\n\r\n", QR_OK, ""},
    {"chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0A\r\n0123456789\r\n0\r\n\r\n",
     QR_OK, "a0123456789"},
    {"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", QR_OK, ""},
    {"other headers", "HTTP/1.1 500 x\r\nX: y\r\nContent-Length: 1\r\nEmpty:\r\n\r\na", QR_OK, "a"},
    {"nothing", "", QR_ERR_TRUNCATED, NULL},
    {"half a line", "HTTP/1.1 200 OK", QR_ERR_TRUNCATED, NULL},
    {"half a head", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", QR_ERR_TRUNCATED, NULL},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", QR_ERR_TRUNCATED, NULL},
    {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
     QR_ERR_TRUNCATED, NULL},
    {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
     QR_ERR_TRUNCATED, NULL},
    {"version 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", QR_ERR_VERSION, NULL},
    {"version 2", "HTTP/2 200\r\n\r\n", QR_ERR_VERSION, NULL},
    {"something else", "SSH-2.0-x\r\n\r\n", QR_ERR_VERSION, NULL},
    {"an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"status 600", "HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"status 2x0", "HTTP/1.1 2x0 x\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"status 2000", "HTTP/1.1 2000 x\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", QR_ERR_MALFORMED, NULL},
    {"a bare CR", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", QR_ERR_MALFORMED,
     NULL},
    {"a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", QR_ERR_MALFORMED,
     NULL},
    {"no colon", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"no name", "HTTP/1.1 200 OK\r\n: 0\r\n\r\n", QR_ERR_MALFORMED, NULL},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
     QR_ERR_MALFORMED, NULL},
    {"a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na", QR_ERR_MALFORMED,
     NULL},
    {"a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", QR_ERR_MALFORMED, NULL},
    {"a length of 8 digits", "HTTP/1.1 200 OK\r\nContent-Length: 00000001\r\n\r\na",
     QR_ERR_MALFORMED, NULL},
    {"an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na", QR_ERR_MALFORMED, NULL},
    {"both framings",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"two codings",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"compressed content", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"no framing", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab", QR_ERR_MALFORMED, NULL},
    {"bytes behind it", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", QR_ERR_TRAILING, NULL},
    {"bytes behind the last chunk",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", QR_ERR_TRAILING, NULL},
    {"a chunk extension",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
     QR_ERR_TOO_LARGE, NULL},
    {"a chunk without size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
     QR_ERR_MALFORMED, NULL},
    {"a chunk that goes on",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", QR_ERR_TOO_LARGE,
     NULL},
    {"a size of many digits",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000001\r\na\r\n0\r\n\r\n",
     QR_ERR_TOO_LARGE, NULL},
    {"a length above the bound", "HTTP/1.1 200 OK\r\nContent-Length: 257\r\n\r\n", QR_ERR_TOO_LARGE,
     NULL},
    {"a chunk above the bound", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n101\r\n",
     QR_ERR_TOO_LARGE, NULL},
};

static void
test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t mem[1024], before[1024];
        size_t n = strlen(cases[i].text);
        struct qr_http_answer a = {0};
        const char *why = NULL;
        memcpy(mem, cases[i].text, n);
        memcpy(before, mem, n);
        qr_err e = qr_http_parse(mem, n, HEAD_MAX, BODY_MAX, &a, &why);
        if (e != cases[i].want) {
            fail_msg("%s: %s (%s)", cases[i].what, qr_err_name(e), why ? why : "");
        }
        if (e == QR_OK) {
            assert_true(qr_view_eq(a.body, qr_view_str(cases[i].body)));
        } else {
            assert_non_null(why);
            assert_memory_equal(mem, before, n); /* nothing moved */
        }
    }
}

/* Every prefix of a whole answer asks for more. */
static void
test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        size_t n = strlen(cases[i].text);
        for (size_t len = 0; len < n; len++) {
            uint8_t mem[1024];
            struct qr_http_answer a;
            const char *why;
            memcpy(mem, cases[i].text, len);
            assert_int_equal(qr_http_parse(mem, len, HEAD_MAX, BODY_MAX, &a, &why),
                             QR_ERR_TRUNCATED);
        }
    }
}

static void
test_bounds_of_the_head(void **state)
{
    static uint8_t mem[8192];
    struct qr_http_answer a;
    const char *why;
    (void)state;

    memset(mem, 'a', sizeof mem);
    memcpy(mem, "HTTP/1.1 200 ", 13);
    assert_int_equal(qr_http_parse(mem, HEAD_MAX - 1, HEAD_MAX, BODY_MAX, &a, &why),
                     QR_ERR_TRUNCATED);
    assert_int_equal(qr_http_parse(mem, HEAD_MAX, HEAD_MAX, BODY_MAX, &a, &why), QR_ERR_TOO_LARGE);
    for (unsigned lines = QR_HTTP_LINES; lines <= QR_HTTP_LINES + 1; lines++) {
        size_t n = (size_t)snprintf((char *)mem, sizeof mem, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; i + 1 < lines; i++) {
            n += (size_t)snprintf((char *)mem + n, sizeof mem - n, "a: b\r\n");
        }
        n += (size_t)snprintf((char *)mem + n, sizeof mem - n, "Content-Length: 0\r\n\r\n");
        assert_int_equal(qr_http_parse(mem, n, sizeof mem, BODY_MAX, &a, &why),
                         lines == QR_HTTP_LINES ? QR_OK : QR_ERR_TOO_LARGE);
    }
    static const char nul[] = "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n";
    memcpy(mem, nul, sizeof nul - 1);
    assert_int_equal(qr_http_parse(mem, sizeof nul - 1, HEAD_MAX, BODY_MAX, &a, &why),
                     QR_ERR_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_bounds_of_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
