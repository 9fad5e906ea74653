/* The gateway over real sockets: well-formed requests, and what is refused for its form. */
#include "daemon/loop.h"
#include "test/common/gwrig.h"
#include "test/common/tlscert.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY_HEX "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_sign(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 200);
    assert_true(rawresp_has(&r, "Content-Type: application/json"));
    assert_string_equal(
        r.body, "{\"v\":1,"
                "\"request\":\"2222222222222222222222222222222222222222222222222222222222222222\","
                "\"key\":\"020202020202020202020202020202020202020202020202020202020202020202\","
                "\"signatures\":[{"
                "\"digest\":\"1111111111111111111111111111111111111111111111111111111111111111\","
                "\"r\":\"3333333333333333333333333333333333333333333333333333333333333333\","
                "\"s\":\"3333333333333333333333333333333333333333333333333333333333333333\","
                "\"recid\":1}],\"signers\":[1,3],\"micros\":7,\"bytes\":99,\"moves\":1,"
                "\"move_reason\":\"party 2 did not answer in 500 ms\",\"insecure_sim\":true}\n");
    /* The party got exactly the bytes and the stamp. */
    assert_string_equal(gwrig.body, "{\"v\":1}");
    assert_string_equal(gwrig.stamp, "c3RhbXA");
    assert_string_equal(gwrig.trace, "");
}

static void
test_sign_exact_bytes(void **state)
{
    (void)state;
    static char body[QR_BODY_MAX], head[512];
    struct rawhttp h;
    struct rawresp r;
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)(i * 7 + i / 251); /* any bytes: the gateway does not read them */
    }
    snprintf(head, sizeof head,
             "POST /v1/sign HTTP/1.1\r\n" HOST STAMP
             "content-type: application/json; charset=utf-8\r\n"
             "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
             "Content-Length: %zu\r\n\r\n",
             sizeof body);
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    assert_true(rawhttp_text(&h, head));
    for (size_t at = 0; at < sizeof body; at += 5000) {
        assert_true(rawhttp_send(&h, body + at, sizeof body - at < 5000 ? sizeof body - at : 5000));
    }
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(gwrig.body_len, sizeof body);
    assert_memory_equal(gwrig.body, body, sizeof body);
    assert_string_equal(gwrig.trace, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    /* The connection is kept. */
    rawhttp_text(&h, gwrig_sign);
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 200);
    rawhttp_close(&h);
}

static void
test_sign_form(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
        const char *code;
    } cases[] = {
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 401,
         "stamp_missing"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON "X-Stamp:\r\nContent-Length: 2\r\n\r\n{}", 401,
         "stamp_missing"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP STAMP "Content-Length: 2\r\n\r\n{}", 400,
         "malformed"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST STAMP "Content-Length: 2\r\n\r\n{}", 415, "media_type"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST STAMP "Content-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, "media_type"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST STAMP "Content-Type: application/jsonp\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, "media_type"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST STAMP JSON JSON "Content-Length: 2\r\n\r\n{}", 400,
         "malformed"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST STAMP JSON "Content-Encoding: gzip\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, "media_type"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 0\r\n\r\n", 400,
         "malformed"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "\r\n", 411, "length_required"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Transfer-Encoding: chunked\r\n\r\n"
         "2\r\n{}\r\n0\r\n\r\n",
         411, "length_required"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP
         "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
         400, "malformed"},
        {"POST /v1/sign HTTP/1.1\r\n" HOST HOST JSON STAMP "Content-Length: 2\r\n\r\n{}", 400,
         "malformed"},
        {"GET /v1/sign HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed"},
        {"PUT /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 2\r\n\r\n{}", 405,
         "method_not_allowed"},
        {"POST /v1/keys HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405, "method_not_allowed"},
        {"DELETE /v1/keys HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed"},
        {"GET /v2/keys HTTP/1.1\r\n" HOST "\r\n", 404, "route_unknown"},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 404, "route_unknown"},
        {"GET /v1/keys/ HTTP/1.1\r\n" HOST "\r\n", 404, "key_unknown"},
        {"GET /v1/sign/ HTTP/1.1\r\n" HOST "\r\n", 404, "route_unknown"},
        {"POST /v1/%73ign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 2\r\n\r\n{}", 404,
         "route_unknown"},
        {"GET //v1/keys HTTP/1.1\r\n" HOST "\r\n", 404, "route_unknown"},
        {"GET /v1/keys?x=1 HTTP/1.1\r\n" HOST "\r\n", 400, "malformed"},
        {"GET /v1/keys HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 400, "malformed"},
        {"GET /v1/keys/02AA HTTP/1.1\r\n" HOST "\r\n", 404, "key_unknown"},
        {"GET /v1/attestation HTTP/1.1\r\n" HOST "\r\n", 400, "malformed"},
        {"GET /v1/attestation?nonce=00 HTTP/1.1\r\n" HOST "\r\n", 400, "malformed"},
        {"POST /v1/admin HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 2\r\n\r\n{}", 404,
         "route_unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rawresp r;
        unsigned asked = fakeparty_asks(gwrig.party);
        gwrig_once(cases[i].request, &r);
        if (r.status != cases[i].status) {
            print_message("case %zu\n", i);
        }
        gwrig_expect_problem(&r, cases[i].status, cases[i].code);
        /* None of these reaches the party. */
        assert_int_equal(fakeparty_asks(gwrig.party), asked);
        if (cases[i].status == 405) {
            assert_true(rawresp_has(&r, "Allow: POST") || rawresp_has(&r, "Allow: GET, HEAD"));
        }
    }
}

/* What the HTTP library itself must refuse: no request ever reaches the party. */
static void
test_broken_http(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: +2\r\n\r\n{}",
        "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 2x\r\n\r\n{}",
        "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP
        "Content-Length: 99999999999999999999\r\n\r\n{}",
        "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: -1\r\n\r\n{}",
        "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /v1/sign HTTP/1.1\r\n" JSON STAMP "Content-Length: 2\r\n\r\n{}",
        "\r\n\r\nrubbish\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rawhttp h;
        struct rawresp r;
        rawhttp_open(&h, qr_gw_port(gwrig.gw), 200); /* some leave the server waiting for more */
        rawhttp_text(&h, cases[i]);
        rawhttp_read(&h, &r);
        rawhttp_close(&h);
        if (r.status != 0 && (r.status < 400 || r.status > 499)) {
            fail_msg("case %zu: %d %s", i, r.status, r.body);
        }
    }
    assert_int_equal(fakeparty_asks(gwrig.party), 0);
    struct rawresp r;
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 200);
}

static void
test_sizes(void **state)
{
    (void)state;
    static char buf[200000];
    struct rawhttp h;
    struct rawresp r;

    /* A body just above the limit is read to its end and answered; the connection lives on. */
    int n = snprintf(buf, sizeof buf,
                     "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: %u\r\n\r\n",
                     QR_BODY_MAX + 1);
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    assert_true(rawhttp_send(&h, buf, (size_t)n));
    memset(buf, 'x', sizeof buf);
    assert_true(rawhttp_send(&h, buf, QR_BODY_MAX + 1));
    rawhttp_read(&h, &r);
    gwrig_expect_problem(&r, 413, "too_large");
    rawhttp_text(&h, gwrig_sign);
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 200);
    rawhttp_close(&h);

    /* A body that nobody wants to read: answered at once, closed. */
    gwrig_once("POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP "Content-Length: 10000000\r\n\r\n", &r);
    gwrig_expect_problem(&r, 413, "too_large");
    assert_true(rawresp_has(&r, "Connection: close"));

    /* A stamp that is too long, and headers that are. */
    n = snprintf(buf, sizeof buf,
                 "POST /v1/sign HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\nX-Stamp: ");
    memset(buf + n, 'a', QR_STAMP_MAX + 1);
    snprintf(buf + n + QR_STAMP_MAX + 1, 16, "\r\n\r\n{}");
    gwrig_once(buf, &r);
    gwrig_expect_problem(&r, 413, "too_large");
    n = snprintf(buf, sizeof buf, "GET /v1/keys HTTP/1.1\r\n" HOST "X-Long: ");
    memset(buf + n, 'a', 100000);
    snprintf(buf + n + 100000, 16, "\r\n\r\n");
    gwrig_once(buf, &r);
    assert_true(r.status == 431 || r.status == 413 || r.status == 0);
    n = snprintf(buf, sizeof buf, "GET /v1/keys HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 70; i++) {
        n += snprintf(buf + n, sizeof buf - (size_t)n, "X-%d: 1\r\n", i);
    }
    snprintf(buf + n, sizeof buf - (size_t)n, "\r\n");
    gwrig_once(buf, &r);
    gwrig_expect_problem(&r, 400, "malformed");
}

static void
test_pipelined(void **state)
{
    (void)state;
    struct rawhttp h;
    struct rawresp r;
    char two[1024];
    snprintf(two, sizeof two, "%s%sGET /upcheck HTTP/1.1\r\n" HOST "\r\n", gwrig_sign, gwrig_sign);
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h, two);
    for (int i = 0; i < 2; i++) {
        rawhttp_read(&h, &r);
        assert_int_equal(r.status, 200);
    }
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "OK");
    assert_int_equal(fakeparty_asks(gwrig.party), 2);
    rawhttp_close(&h);
    /* After a request whose end is uncertain nothing more is read as a request. */
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h, "POST /v1/sign HTTP/1.1\r\n" HOST JSON STAMP
                     "Content-Length: 2\r\nContent-Length: 250\r\n\r\n{}");
    rawhttp_text(&h, gwrig_sign);
    rawhttp_read(&h, &r);
    gwrig_expect_problem(&r, 400, "malformed");
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(fakeparty_asks(gwrig.party), 2);
    rawhttp_close(&h);
}

/* Three clients, answers in reverse order: each gets its own. */
static void
test_out_of_order(void **state)
{
    (void)state;
    struct rawhttp h[3];
    struct rawresp r;
    atomic_store(&gwrig.mode, BACKWARDS);
    for (int i = 0; i < 3; i++) {
        rawhttp_open(&h[i], qr_gw_port(gwrig.gw), 5000);
        rawhttp_text(&h[i], gwrig_sign);
        while (fakeparty_asks(gwrig.party) <= (unsigned)i) {
            usleep(500); /* until the party has it, so that the order is known */
        }
    }
    for (int i = 0; i < 3; i++) {
        char want[24];
        snprintf(want, sizeof want, "\"r\":\"a%d", i);
        rawhttp_read(&h[i], &r);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body, want));
        rawhttp_close(&h[i]);
    }
}

static void
test_refusals(void **state)
{
    (void)state;
    struct rawresp r;
    atomic_store(&gwrig.mode, REFUSE);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 403, "policy_denied");
    assert_non_null(strstr(r.body, "\"detail\":\"no rule allows kind \\\"digest\\\"\""));
    assert_non_null(strstr(r.body, "\"party\":2"));
    assert_non_null(strstr(r.body, "\"rule\":\"deny-\\\"raw\\\"\""));
    atomic_store(&gwrig.mode, UNREADY);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 503, "not_ready");
    assert_true(rawresp_has(&r, "Retry-After: 1"));
    atomic_store(&gwrig.mode, EMPTY);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 500, "internal");
    atomic_store(&gwrig.mode, HOSTILE);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 400, "malformed");
    assert_null(strstr(r.head, "X-Evil"));
    assert_non_null(
        strstr(r.body, "\\\"}\\u000d\\nX-Evil: 1\\u000d\\n\\u000d\\n{\\u0001\xef\xbf\xbd\\\""));
}

static void
test_routes(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum qr_query query;
    } routes[] = {
        {"/v1/keys", QR_QUERY_KEYS},
        {"/v1/keys/" KEY_HEX, QR_QUERY_KEY},
        {"/v1/status", QR_QUERY_STATUS},
        {"/v1/attestation?nonce=1111111111111111111111111111111111111111111111111111111111111111",
         QR_QUERY_ATTESTATION},
    };
    struct rawresp r;
    char req[256];
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        snprintf(req, sizeof req, "GET %s HTTP/1.1\r\n" HOST "\r\n", routes[i].path);
        gwrig_once(req, &r);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "{\"ready\":true}");
        assert_int_equal(gwrig.query, routes[i].query);
    }
    assert_int_equal(gwrig.body_len, 32); /* the nonce, as bytes */
    assert_int_equal((uint8_t)gwrig.body[31], 0x11);
    gwrig_once("GET /readyz HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    gwrig_once("GET /healthcheck HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"outcome\":\"UP\""));
    gwrig_once("GET /metrics HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "quorate_gateway_party_up 1\n"));
    assert_non_null(strstr(r.body, "quorated_ready 1\n"));
    assert_non_null(
        strstr(r.body, "quorate_gateway_requests_total{route=\"keys\",status=\"200\"} 1\n"));
    atomic_store(&gwrig.mode, UNREADY);
    gwrig_once("GET /readyz HTTP/1.1\r\n" HOST "\r\n", &r);
    gwrig_expect_problem(&r, 503, "not_ready");
    gwrig_once("GET /healthcheck HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "\"id\":\"party\",\"status\":\"UP\""));
    assert_non_null(strstr(r.body, "\"outcome\":\"DOWN\""));
    gwrig_once("GET /livez HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
}

static void
test_head(void **state)
{
    (void)state;
    struct rawhttp h;
    struct rawresp r;
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 300);
    rawhttp_text(&h, "HEAD /v1/keys HTTP/1.1\r\n" HOST "\r\n");
    rawhttp_read(&h, &r); /* no body will come */
    assert_int_equal(r.status, 0);
    assert_true(h.in.len > 0 && memcmp(h.in.p, "HTTP/1.1 200", 12) == 0);
    rawhttp_close(&h);
}

static void
test_start_failures(void **state)
{
    (void)state;
    struct qr_config_gateway c = gwrig.cfg;
    struct qr_gw *g = NULL;
    char err[512];
    snprintf(c.listen, sizeof c.listen, "127.0.0.1:%u", qr_gw_port(gwrig.gw));
    assert_int_equal(qr_gw_new(&c, &g, err, sizeof err), QR_ERR_ADDRESS);
    assert_non_null(strstr(err, "in use"));
    assert_non_null(strstr(err, c.listen));
    snprintf(c.listen, sizeof c.listen, "127.0.0.1:0");
    snprintf(c.tls_cert, sizeof c.tls_cert, "%s/cert.pem", gwrig.dir);
    snprintf(c.tls_key, sizeof c.tls_key, "%s/key.pem", gwrig.dir);
    assert_int_equal(qr_gw_new(&c, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, "cert.pem"));
    const char *const files[] = {c.tls_cert, c.tls_key};
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(files[i], "w");
        assert_non_null(f);
        fputs("-----BEGIN NOTHING-----\n", f);
        fclose(f);
    }
    assert_int_equal(chmod(c.tls_key, 0640), 0);
    assert_int_equal(qr_gw_new(&c, &g, err, sizeof err), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(err, "0640"));
    assert_int_equal(chmod(c.tls_key, 0600), 0);
    assert_int_equal(qr_gw_new(&c, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_null(g);
    unlink(c.tls_cert);
    unlink(c.tls_key);
}

static void
separate_metrics(struct qr_config_gateway *c)
{
    snprintf(c->metrics_listen, sizeof c->metrics_listen, "127.0.0.1:0");
}

static void
test_metrics_listener(void **state)
{
    (void)state;
    struct rawhttp h;
    struct rawresp r;
    gwrig_restart(separate_metrics);
    gwrig_once("GET /metrics HTTP/1.1\r\n" HOST "\r\n", &r);
    gwrig_expect_problem(&r, 404, "route_unknown");
    rawhttp_open(&h, qr_gw_metrics_port(gwrig.gw), 5000);
    rawhttp_text(&h, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 200);
    rawhttp_text(&h, gwrig_sign);
    rawhttp_read(&h, &r);
    gwrig_expect_problem(&r, 404, "route_unknown");
    rawhttp_close(&h);
    gwrig.cfg.metrics_listen[0] = '\0';
}

static void
with_tls(struct qr_config_gateway *c)
{
    snprintf(c->tls_cert, sizeof c->tls_cert, "%s/cert.pem", gwrig.dir);
    snprintf(c->tls_key, sizeof c->tls_key, "%s/key.pem", gwrig.dir);
    tlscert_write(c->tls_cert, c->tls_key);
}

/* One handshake and request; returns the status, 0 when the handshake fails. */
static int
https_once(int max_version)
{
    char buf[4096];
    struct rawhttp h;
    int status = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* the server is under test, not the client */
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, h.fd);
    if (SSL_connect(ssl) == 1) {
        int n = (int)strlen(gwrig_sign);
        assert_int_equal(SSL_write(ssl, gwrig_sign, n), n);
        n = SSL_read(ssl, buf, sizeof buf - 1);
        assert_true(n > 12);
        buf[n] = '\0';
        status = (int)strtol(buf + 9, NULL, 10);
        assert_int_equal(SSL_version(ssl), max_version);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    rawhttp_close(&h);
    return status;
}

static void
test_tls(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig_restart(with_tls);
    assert_int_equal(https_once(TLS1_3_VERSION), 200);
    assert_int_equal(https_once(TLS1_2_VERSION), 200);
    assert_int_equal(https_once(TLS1_1_VERSION), 0);
    /* No plain HTTP on that port. */
    gwrig_once(gwrig_sign, &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(fakeparty_asks(gwrig.party), 2);
    unlink(gwrig.cfg.tls_cert);
    unlink(gwrig.cfg.tls_key);
    gwrig.cfg.tls_cert[0] = gwrig.cfg.tls_key[0] = '\0';
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, gwrig_setup, gwrig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sign),
        CASE(test_sign_exact_bytes),
        CASE(test_sign_form),
        CASE(test_broken_http),
        CASE(test_sizes),
        CASE(test_pipelined),
        CASE(test_out_of_order),
        CASE(test_refusals),
        CASE(test_routes),
        CASE(test_head),
        CASE(test_start_failures),
        CASE(test_tls),
        CASE(test_metrics_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
