/* The gateway's parts without sockets: header rules, routes, rendering, metrics. */
#include "daemon/gw_check.h"
#include "daemon/gw_cors.h"
#include "daemon/gw_metrics.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "Name: value" lines, judged for a route. */
static struct qr_gw_verdict
judge(enum qr_gw_route r, enum qr_gw_method m, const char *lines)
{
    struct qr_gw_head h = {0};
    struct qr_gw_verdict v;
    for (const char *p = lines; *p;) {
        size_t name = strcspn(p, ":"), end = strcspn(p, "\n");
        size_t value = name + 1 + strspn(p + name + 1, " ");
        qr_gw_head_add(&h, qr_view_of(p, name), qr_view_of(p + value, end - value));
        p += end + (p[end] == '\n');
    }
    qr_gw_judge(&h, r, m, &v);
    return v;
}

#define GOOD "Host: x\nContent-Type: application/json\nX-Stamp: abc\n"

static void
test_sign_rules(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        unsigned status;
        int must_close;
    } cases[] = {
        {GOOD "Content-Length: 1", 0, 0},
        {GOOD "content-LENGTH: 65536", 0, 0},
        {GOOD "Content-Length: 65537", 413, 0},
        {GOOD "Content-Length: 1048576", 413, 0},
        {GOOD "Content-Length: 1048577", 413, 1},
        {GOOD "Content-Length: 9223372036854775808", 400, 1},
        {GOOD "Content-Length: 01", 400, 1},
        {GOOD "Content-Length: 1 ", 400, 1},
        {GOOD "Content-Length: 1,1", 400, 1},
        {GOOD "Content-Length:", 400, 1},
        {GOOD "Content-Length: 1\nContent-Length: 1", 400, 1},
        {GOOD "Content-Length: 1\nTransfer-Encoding: chunked", 400, 1},
        {GOOD "Transfer-Encoding: identity", 411, 1},
        {GOOD "Host: y\nContent-Length: 1", 400, 1},
        {GOOD "Content-Length: 0", 400, 0},
        {GOOD, 411, 0},
        {GOOD "X-Stamp: def\nContent-Length: 1", 400, 0},
        {GOOD "x-stamp: abc\nContent-Length: 1", 400, 0},
        {GOOD "Content-Encoding: identity\nContent-Length: 1", 415, 0},
        {"Host: x\nX-Stamp: abc\nContent-Type: application/JSON;charset=UTF-8\nContent-Length: 1",
         0, 0},
        {"Host: x\nX-Stamp: abc\nContent-Type: application/json ; charset=utf-16\nContent-Length: "
         "1",
         415, 0},
        {"Host: x\nX-Stamp: abc\nContent-Type: application/json+x\nContent-Length: 1", 415, 0},
        {"Host: x\nX-Stamp: abc\nContent-Type: json\nContent-Length: 1", 415, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_gw_verdict v = judge(QR_GW_SIGN, QR_GW_POST, cases[i].lines);
        if (v.problem.status != cases[i].status || v.must_close != cases[i].must_close) {
            fail_msg("case %zu: %u, close %d", i, v.problem.status, v.must_close);
        }
    }
    struct qr_gw_head h = {0};
    struct qr_gw_verdict v;
    qr_gw_head_add(&h, qr_view_of("X-A", 3), qr_view_of("a\0b", 3));
    qr_gw_judge(&h, QR_GW_KEYS, QR_GW_GET, &v);
    assert_int_equal(v.problem.status, 400);
    /* Framing comes first: a bad length on an unknown path still closes. */
    assert_true(judge(QR_GW_NONE, QR_GW_GET, "Content-Length: x").must_close);
    assert_int_equal(judge(QR_GW_NONE, QR_GW_GET, "").problem.status, 404);
    assert_int_equal(judge(QR_GW_KEYS, QR_GW_POST, "").problem.status, 405);
    assert_int_equal(judge(QR_GW_KEYS, QR_GW_GET, "Content-Length: 1").problem.status, 400);
    assert_int_equal(judge(QR_GW_KEYS, QR_GW_GET, "Content-Length: 0").problem.status, 0);
}

/* Seven approvals in their order, and not one more; on GETs nobody looks at them. */
static void
test_approvals(void **state)
{
    (void)state;
    static char lines[32 * 1024], value[QR_STAMP_MAX + 2];
    struct qr_gw_head h = {0};
    struct qr_gw_verdict v;
    int n = 0;

    for (unsigned i = 0; i < QR_APPROVALS_MAX; i++) {
        snprintf(value, sizeof value, "approval%u", i);
        qr_gw_head_add(&h, qr_view_str("x-approval"), qr_view_of(value, 8));
    }
    assert_int_equal(h.n_approval, QR_APPROVALS_MAX);
    for (unsigned i = 0; i <= QR_APPROVALS_MAX; i++) {
        n += snprintf(lines + n, sizeof lines - (size_t)n, "X-Approval: a%u\n", i);
        snprintf(lines + n, sizeof lines - (size_t)n, GOOD "Content-Length: 1");
        v = judge(QR_GW_SIGN, QR_GW_POST, lines);
        assert_int_equal(v.problem.status, i < QR_APPROVALS_MAX ? 0 : 400);
        assert_int_equal(v.must_close, 0);
        assert_int_equal(judge(QR_GW_RAW_PAYLOAD, QR_GW_POST, lines).problem.status,
                         v.problem.status);
    }
    assert_int_equal(judge(QR_GW_KEYS, QR_GW_GET, lines).problem.status, 400); /* a body */
    v = judge(QR_GW_SIGN, QR_GW_POST, GOOD "X-Approval:\nContent-Length: 1");
    assert_int_equal(v.problem.status, 400);
    /* fetch() joins the lines of one name with ", ". */
    h = (struct qr_gw_head){0};
    qr_gw_head_add(&h, qr_view_str("X-Approval"), qr_view_str("aa, bb\t,cc"));
    qr_gw_head_add(&h, qr_view_str("X-Approval"), qr_view_str("dd"));
    assert_int_equal(h.n_approval, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(h.approval[i].len, 2);
        assert_int_equal(h.approval[i].p[0], 'a' + i);
    }
    v = judge(QR_GW_SIGN, QR_GW_POST, GOOD "X-Approval: a,,b\nContent-Length: 1");
    assert_int_equal(v.problem.status, 400);
    v = judge(QR_GW_SIGN, QR_GW_POST, GOOD "X-Approval: a,b,c,d,e,f,g,h\nContent-Length: 1");
    assert_int_equal(v.problem.status, 400);
    memset(value, 'a', sizeof value - 1);
    for (size_t len = QR_STAMP_MAX; len <= QR_STAMP_MAX + 1; len++) {
        snprintf(lines, sizeof lines, GOOD "X-Approval: b\nX-Approval: %.*s\nContent-Length: 1",
                 (int)len, value);
        v = judge(QR_GW_SIGN, QR_GW_POST, lines);
        assert_int_equal(v.problem.status, len > QR_STAMP_MAX ? 413 : 0);
    }
}

static void
test_cors_list(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*",
        "null",
        "https://",
        "https://*.example.org",
        "http://example.org",
        "HTTPS://a.org",
        "https://A.org",
        "https://a.org/",
        "https://a.org/x",
        "https://a.org:443",
        "http://localhost:80",
        "https://a.org:0",
        "https://a.org:65536",
        "https://a.org:",
        "https://a.org:08",
        "https://u@a.org",
        "https://a.org?x",
        "ftp://a.org",
        "a.org",
        "https://a.org  https://b.org",
        "https://a.org ",
        " https://a.org",
        "https://a https://b https://c https://d https://e https://f https://g https://h https://i",
    };
    struct qr_gw_cors c = {.n = 7};
    char err[256];

    assert_int_equal(qr_gw_cors_parse("", &c, err, sizeof err), QR_OK);
    assert_int_equal(c.n, 0);
    assert_null(qr_gw_cors_find(&c, qr_view_str("")));
    assert_int_equal(qr_gw_cors_parse("https://app.example.org http://localhost:5173 "
                                      "https://b-2.org:8443 http://127.0.0.1",
                                      &c, err, sizeof err),
                     QR_OK);
    assert_int_equal(c.n, 4);
    assert_string_equal(qr_gw_cors_find(&c, qr_view_str("http://localhost:5173")),
                        "http://localhost:5173");
    static const char *const other[] = {"https://app.example.org.evil.org",
                                        "https://app.example.or",
                                        "http://app.example.org",
                                        "https://app.example.org:8443",
                                        "https://APP.example.org",
                                        "null",
                                        "*",
                                        ""};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        assert_null(qr_gw_cors_find(&c, qr_view_str(other[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err[0] = '\0';
        if (qr_gw_cors_parse(bad[i], &c, err, sizeof err) != QR_ERR_CONFIG) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_non_null(strstr(err, "[api] cors: "));
        assert_int_equal(c.n, 4); /* untouched */
    }
}

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void
test_trace(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        (TRACE "0"),
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
    };
    char line[256];
    assert_int_equal(judge(QR_GW_KEYS, QR_GW_GET, "traceparent: " TRACE).trace.len, 55);
    assert_int_equal(
        judge(QR_GW_KEYS, QR_GW_GET, "traceparent: " TRACE "\ntraceparent: " TRACE).trace.len, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(line, sizeof line, "traceparent: %s", bad[i]);
        struct qr_gw_verdict v = judge(QR_GW_KEYS, QR_GW_GET, line);
        assert_int_equal(v.trace.len, 0);
        assert_int_equal(v.problem.status, 0); /* ignored, not refused */
    }
}

static void
test_routes(void **state)
{
    (void)state;
    qr_view arg;
    assert_int_equal(qr_gw_route_find("/v1/sign", &arg), QR_GW_SIGN);
    assert_int_equal(qr_gw_route_find("/v1/keys", &arg), QR_GW_KEYS);
    assert_int_equal(arg.len, 0);
    assert_int_equal(qr_gw_route_find("/v1/keys/02ab/x", &arg), QR_GW_KEY);
    assert_true(qr_view_eq(arg, qr_view_str("02ab/x")));
    assert_int_equal(qr_gw_route_find("/public/v1/submit/sign_raw_payload", &arg),
                     QR_GW_RAW_PAYLOAD);
    assert_int_equal(qr_gw_route_find("/public/v1/submit/sign_raw_payloads", &arg),
                     QR_GW_RAW_PAYLOADS);
    assert_int_equal(qr_gw_route_find("/public/v1/submit/sign_transaction", &arg),
                     QR_GW_RAW_TRANSACTION);
    assert_int_equal(qr_gw_route_find("/public/v1/submit/", &arg), QR_GW_NONE);
    assert_int_equal(qr_gw_route_find("/v1/openapi.json", &arg), QR_GW_OPENAPI);
    static const char *const none[] = {"",         "/",         "/v1",       "/v1/sign/",
                                       "/V1/sign", "/v1/sign?", "//v1/sign", "/v1/../v1/sign",
                                       "v1/sign",  "/v1/key",   "/metrics/"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(qr_gw_route_find(none[i], &arg), QR_GW_NONE);
    }
    assert_int_equal(qr_gw_method_of("HEAD"), QR_GW_GET);
    assert_int_equal(qr_gw_method_of("get"), QR_GW_OTHER);
    assert_int_equal(qr_gw_method_of("OPTIONS"), QR_GW_OPTIONS);
    assert_int_equal(qr_gw_method_of("options"), QR_GW_OTHER);
    assert_true(qr_gw_route_takes(QR_GW_SIGN, QR_GW_OPTIONS));
}

static void
test_problems(void **state)
{
    (void)state;
    /* Every error there is becomes a problem with a status of 400 and more. */
    static const qr_err all[] = {
#define QR_E(name, value, class, http, code, text) QR_ERR_##name,
#include "protocol/base/err.def"
#undef QR_E
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct qr_gw_problem p = qr_gw_problem_of(all[i], qr_view_str("x\"y"));
        struct qr_dbuf d;
        qr_dbuf_init(&d, 4096);
        assert_true(p.status >= 400 && p.status <= 504);
        assert_int_equal(qr_gw_render_problem(&d, &p), QR_OK);
        json_t *j = json_loadb((const char *)d.p, d.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        assert_int_equal(json_integer_value(json_object_get(j, "status")), p.status);
        assert_string_equal(json_string_value(json_object_get(j, "detail")), "x\"y");
        assert_null(json_object_get(j, "party"));
        json_decref(j);
        qr_dbuf_free(&d);
    }
    struct qr_gw_problem p = qr_gw_problem_of(QR_ERR_EXPIRED, (qr_view){NULL, 0});
    assert_true(qr_view_eq(p.detail, qr_view_str(qr_err_text(QR_ERR_EXPIRED))));
    /* Seconds to wait: one where it may help, the limit's own, or none. */
    assert_int_equal(qr_gw_problem_of(QR_ERR_NOT_READY, (qr_view){NULL, 0}).retry_s, 1);
    assert_int_equal(qr_gw_problem_of(QR_ERR_POLICY_DENIED, (qr_view){NULL, 0}).retry_s, 0);
    struct qr_answer a = {.error = QR_ERR_LIMIT, .need = 9};
    assert_int_equal(qr_gw_problem_of_answer(&a).retry_s, 0);
    a.retry_s = 3600;
    assert_int_equal(qr_gw_problem_of_answer(&a).retry_s, 3600);
    assert_int_equal(qr_gw_problem_of_answer(&a).need, 0); /* of another error */
    /* A buffer that is too small: an error, not half a document taken for a whole one. */
    struct qr_dbuf d;
    qr_dbuf_init(&d, 20);
    assert_int_equal(qr_gw_render_problem(&d, &p), QR_ERR_TOO_LARGE);
    qr_dbuf_free(&d);
}

static int
has(const struct qr_dbuf *d, const char *line)
{
    return memmem(d->p, d->len, line, strlen(line)) != NULL;
}

static void
test_metrics(void **state)
{
    (void)state;
    static struct qr_gw_metrics m;
    struct qr_gw_now now = {.party_up = 1, .in_flight = 3, .party_connects = 2};
    struct qr_dbuf d;
    qr_gw_metrics_count(&m, QR_GW_SIGN, 200, 500000);      /* 0.5 ms: the edge is inside */
    qr_gw_metrics_count(&m, QR_GW_SIGN, 200, 500001);      /* and this is above it */
    qr_gw_metrics_count(&m, QR_GW_SIGN, 200, 20000000000); /* 20 s: only +Inf */
    qr_gw_metrics_count(&m, QR_GW_SIGN, 503, 1);           /* no latency of refusals */
    qr_gw_metrics_count(&m, QR_GW_NONE, 418, 1);           /* no label that nobody knows */
    qr_dbuf_init(&d, 65536);
    assert_int_equal(qr_gw_metrics_put(&d, &m, &now), QR_OK);
    assert_true(has(&d, "_bucket{le=\"0.0005\"} 1\n"));
    assert_true(has(&d, "_bucket{le=\"0.001\"} 2\n"));
    assert_true(has(&d, "_bucket{le=\"10\"} 2\n"));
    assert_true(has(&d, "_bucket{le=\"+Inf\"} 3\n"));
    assert_true(has(&d, "_sum 20.001000\n"));
    assert_true(has(&d, "requests_total{route=\"sign\",status=\"503\"} 1\n"));
    assert_true(has(&d, "requests_total{route=\"none\",status=\"0\"} 1\n"));
    assert_true(has(&d, "\nquorate_gateway_in_flight 3\n"));
    assert_int_equal(d.p[d.len - 1], '\n');
    qr_dbuf_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_rules), cmocka_unit_test(test_approvals),
        cmocka_unit_test(test_cors_list),  cmocka_unit_test(test_trace),
        cmocka_unit_test(test_routes),     cmocka_unit_test(test_problems),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
