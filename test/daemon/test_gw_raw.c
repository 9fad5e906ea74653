/* The gateway's raw-payload routes, approvals, pages of other origins, the description of the API. */
#include "daemon/gw_raw.h"
#include "daemon/keccak.h"
#include "protocol/base/enc.h"
#include "test/common/gwrig.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SUBMIT "/public/v1/submit/"
#define ONE "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2"
#define MANY "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS"
#define TRANSACTION "ACTIVITY_TYPE_SIGN_TRANSACTION_V2"
#define ORG "0123456789abcdef"
/* EIP-155's example, unsigned. */
#define TX                                                                                         \
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"

#define THREES "3333333333333333333333333333333333333333333333333333333333333333"
#define TWOS "2222222222222222222222222222222222222222222222222222222222222222"

static char request_text[200000];

/* A POST of this body, with more header lines. */
static void
post(const char *path, const char *body, const char *more, struct rawresp *ret)
{
    snprintf(request_text, sizeof request_text,
             "POST %s HTTP/1.1\r\n" HOST JSON STAMP "%sContent-Length: %zu\r\n\r\n%s", path, more,
             strlen(body), body);
    gwrig_once(request_text, ret);
}

static const char *
body_of(const char *type, const char *parameters)
{
    static char text[100000];
    snprintf(text, sizeof text,
             "{\"type\":\"%s\",\"timestampMs\":\"1795251934338\",\"organizationId\":\"" ORG
             "\",\"parameters\":{%s}}",
             type, parameters);
    return text;
}

static void
test_payload(void **state)
{
    (void)state;
    struct rawresp r;
    const char *body = body_of(ONE, "\"signWith\":\"x\",\"payload\":\"00\"");
    post(SUBMIT "sign_raw_payload", body, "", &r);
    assert_int_equal(r.status, 200);
    assert_true(rawresp_has(&r, "Content-Type: application/json"));
    assert_string_equal(r.body, "{\"activity\":{\"id\":\"" TWOS "\",\"organizationId\":\"" ORG
                                "\",\"status\":\"ACTIVITY_STATUS_COMPLETED\",\"type\":\"" ONE
                                "\",\"result\":{\"signRawPayloadResult\":{\"r\":\"" THREES
                                "\",\"s\":\"" THREES "\",\"v\":\"01\"}},\"insecure_sim\":true}}\n");
    /* The party got exactly these bytes, and the stamp. */
    assert_string_equal(gwrig.body, body);
    assert_string_equal(gwrig.stamp, "c3RhbXA");
}

static void
test_payloads(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig.n_sigs = QR_ITEMS_MAX;
    post(SUBMIT "sign_raw_payloads", body_of(MANY, "\"payloads\":[]"), "", &r);
    assert_int_equal(r.status, 200);
    json_t *j = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL), *list = NULL;
    assert_int_equal(json_unpack(j, "{s:{s:{s:{s:o}}}}", "activity", "result",
                                 "signRawPayloadsResult", "signatures", &list),
                     0);
    assert_int_equal(json_array_size(list), QR_ITEMS_MAX);
    for (size_t i = 0; i < QR_ITEMS_MAX; i++) {
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "v")),
                            i & 1 ? "00" : "01");
    }
    json_decref(j);
    /* More signatures than one payload can have. */
    gwrig.n_sigs = 2;
    post(SUBMIT "sign_raw_payload", body_of(ONE, ""), "", &r);
    assert_int_equal(r.status, 500);
    gwrig.n_sigs = 0;
}

static void
test_transaction(void **state)
{
    (void)state;
    static const char *const forms[] = {TX, "0x" TX};
    uint8_t tx[64], digest[32];
    char parameters[256];
    struct rawresp r;

    assert_int_equal(qr_hex_decode(TX, strlen(TX), tx, strlen(TX) / 2), QR_OK);
    qr_keccak256(qr_view_of(tx, strlen(TX) / 2), digest);
    gwrig.digest = digest;
    for (size_t i = 0; i < 2; i++) {
        snprintf(parameters, sizeof parameters, "\"unsignedTransaction\":\"%s\"", forms[i]);
        post(SUBMIT "sign_transaction", body_of(TRANSACTION, parameters), "", &r);
        assert_int_equal(r.status, 200);
        /* v of chain 1 and recovery id 1 is 38; r and s are the rig's. */
        assert_non_null(strstr(
            r.body, "\"signTransactionResult\":{\"signedTransaction\":\"f86c098504a817c80082520894"
                    "3535353535353535353535353535353535353535880de0b6b3a76400008026a0" THREES
                    "a0" THREES "\"}"));
    }
    /* The party signed something else: nobody gets a transaction of it. */
    gwrig.digest = NULL;
    post(SUBMIT "sign_transaction", body_of(TRANSACTION, parameters), "", &r);
    assert_int_equal(r.status, 500);
    assert_non_null(
        strstr(r.body, "{\"code\":13,\"message\":\"internal: the party signed another"));
    assert_null(strstr(r.body, "signedTransaction"));
}

/* Bodies that could not be answered on their path reach no party. */
static void
test_form(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type, *parameters;
    } cases[] = {
        {"sign_raw_payload", MANY, ""},
        {"sign_raw_payload", TRANSACTION, "\"unsignedTransaction\":\"" TX "\""},
        {"sign_raw_payloads", ONE, ""},
        {"sign_transaction", ONE, ""},
        {"sign_transaction", TRANSACTION, ""},
        {"sign_transaction", TRANSACTION, "\"unsignedTransaction\":\"\""},
        {"sign_transaction", TRANSACTION, "\"unsignedTransaction\":\"0x\""},
        {"sign_transaction", TRANSACTION, "\"unsignedTransaction\":\"abc\""},
        {"sign_transaction", TRANSACTION, "\"unsignedTransaction\":\"AB\""},
        {"sign_transaction", TRANSACTION, "\"unsignedTransaction\":7"},
        {"sign_raw_payload", ONE, "\"a\":1,\"a\":2"},
        {"sign_raw_payload", ONE, "\"a\":1.5"},
        {"sign_raw_payload", ONE "\\u0000", ""},
    };
    static const char *const bodies[] = {
        "{}",
        "[]",
        "7",
        "{",
        "",
        "{\"type\":\"" ONE "\"}",
        "{\"type\":7,\"organizationId\":\"ab\"}",
        "{\"type\":\"" ONE "\",\"organizationId\":\"\"}",
        "{\"type\":\"" ONE "\",\"organizationId\":\"" TWOS "2\"}",
        "{\"v\":1,\"items\":[]}",
        "\xff\xfe{}",
    };
    struct rawresp r;
    char path[128];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(path, sizeof path, SUBMIT "%s", cases[i].path);
        post(path, body_of(cases[i].type, cases[i].parameters), "", &r);
        if (r.status != 400 || !strstr(r.body, "{\"code\":3,\"message\":\"malformed: ")) {
            fail_msg("case %zu: %d %s", i, r.status, r.body);
        }
    }
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        post(SUBMIT "sign_raw_payload", bodies[i], "", &r);
        if (r.status != 400 || !strstr(r.body, "\"code\":\"malformed\"")) {
            fail_msg("body %zu: %d %s", i, r.status, r.body);
        }
    }
    assert_int_equal(fakeparty_asks(gwrig.party), 0);
}

/* Every refusal on these routes has their shape, with the problem inside. */
static void
test_errors(void **state)
{
    (void)state;
    static const struct {
        int mode, status, code;
        const char *problem;
    } cases[] = {
        {REFUSE, 403, 7, "policy_denied"},      {UNREADY, 503, 14, "not_ready"},
        {APPROVERS, 403, 7, "approval_needed"}, {LIMITED, 429, 8, "limit_exceeded"},
        {HOSTILE, 400, 3, "malformed"},         {EMPTY, 500, 13, "internal"},
    };
    struct rawresp r;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&gwrig.mode, cases[i].mode);
        post(SUBMIT "sign_raw_payload", body_of(ONE, ""), "", &r);
        assert_int_equal(r.status, cases[i].status);
        assert_true(rawresp_has(&r, "Content-Type: application/json"));
        json_t *j = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL);
        const char *message = NULL, *problem = NULL;
        int code = 0, status = 0;
        assert_int_equal(json_unpack(j, "{s:i,s:s,s:[{s:s,s:i}]}", "code", &code, "message",
                                     &message, "details", "code", &problem, "status", &status),
                         0);
        assert_int_equal(code, cases[i].code);
        assert_int_equal(status, cases[i].status);
        assert_string_equal(problem, cases[i].problem);
        assert_int_equal(strncmp(message, problem, strlen(problem)), 0);
        json_decref(j);
    }
    atomic_store(&gwrig.mode, GOOD);
    /* What the gateway refuses by itself looks the same. */
    snprintf(request_text, sizeof request_text,
             "POST " SUBMIT "sign_raw_payload HTTP/1.1\r\n" HOST JSON
             "Content-Length: 2\r\n\r\n{}");
    gwrig_once(request_text, &r);
    assert_int_equal(r.status, 401);
    assert_non_null(strstr(r.body, "{\"code\":16,\"message\":\"stamp_missing: "));
    snprintf(request_text, sizeof request_text,
             "GET " SUBMIT "sign_raw_payload HTTP/1.1\r\n" HOST "\r\n");
    gwrig_once(request_text, &r);
    assert_int_equal(r.status, 405);
    assert_true(rawresp_has(&r, "Allow: POST"));
    assert_non_null(strstr(r.body, "{\"code\":12,"));
}

static void
test_approvals(void **state)
{
    (void)state;
    static char more[20000], long_one[QR_STAMP_MAX + 1];
    struct rawresp r;
    int n = 0;

    memset(long_one, 'x', QR_STAMP_MAX);
    for (unsigned i = 0; i < QR_APPROVALS_MAX; i++) {
        long_one[0] = (char)('0' + i);
        n += snprintf(more + n, sizeof more - (size_t)n, "X-Approval: %s\r\n", long_one);
    }
    /* Seven of the longest, in their order: what a default configuration takes. */
    post("/v1/sign", "{\"v\":1}", more, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(gwrig.n_approvals, QR_APPROVALS_MAX);
    for (unsigned i = 0; i < QR_APPROVALS_MAX; i++) {
        assert_int_equal(gwrig.approval[i][0], '0' + (int)i);
        assert_int_equal(strlen(gwrig.approval[i]), QR_STAMP_MAX);
    }
    assert_string_equal(gwrig.stamp, "c3RhbXA");
    post(SUBMIT "sign_raw_payload", body_of(ONE, ""), "X-Approval: a\r\nx-approval: b\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(gwrig.n_approvals, 2);
    assert_string_equal(gwrig.approval[1], "b");
    unsigned asked = fakeparty_asks(gwrig.party);
    post("/v1/sign", "{\"v\":1}",
         "X-Approval: a\r\nX-Approval: a\r\nX-Approval: a\r\nX-Approval: a\r\n"
         "X-Approval: a\r\nX-Approval: a\r\nX-Approval: a\r\nX-Approval: a\r\n",
         &r);
    gwrig_expect_problem(&r, 400, "malformed");
    post("/v1/sign", "{\"v\":1}", "X-Approval:\r\n", &r);
    gwrig_expect_problem(&r, 400, "malformed");
    assert_int_equal(fakeparty_asks(gwrig.party), asked);
    /* Who is missing is told. */
    atomic_store(&gwrig.mode, APPROVERS);
    post("/v1/sign", "{\"v\":1}", "", &r);
    gwrig_expect_problem(&r, 403, "approval_needed");
    assert_non_null(
        strstr(r.body, "\"rule\":\"hot-1\",\"need\":1,\"approvers\":[\"alice\",\"bob\"]"));
}

static void
test_limits(void **state)
{
    (void)state;
    struct rawresp r;
    atomic_store(&gwrig.mode, LIMITED);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 429, "limit_exceeded");
    assert_true(rawresp_has(&r, "Retry-After: 90"));
    assert_non_null(strstr(r.body, "\"rule\":\"hot-1\",\"retry_s\":90}"));
    /* More than there will ever be: no time is promised. */
    atomic_store(&gwrig.mode, NEVER);
    gwrig_once(gwrig_sign, &r);
    gwrig_expect_problem(&r, 429, "limit_exceeded");
    assert_null(strstr(r.head, "Retry-After"));
    assert_null(strstr(r.body, "retry_s"));
}

#define PREFLIGHT                                                                                  \
    "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-stamp\r\n"
#define APP "Origin: https://app.example.org\r\n"

static void
with_cors(struct qr_config_gateway *c)
{
    snprintf(c->cors, sizeof c->cors, "https://app.example.org http://localhost:5173");
}

static void
test_cors(void **state)
{
    (void)state;
    struct rawresp r;
    /* Nobody is named: no page may, and no answer says otherwise. */
    gwrig_once("OPTIONS /v1/sign HTTP/1.1\r\n" HOST APP PREFLIGHT "\r\n", &r);
    gwrig_expect_problem(&r, 405, "method_not_allowed");
    gwrig_once("GET /upcheck HTTP/1.1\r\n" HOST APP "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.head, "Access-Control"));

    gwrig_restart(with_cors);
    snprintf(request_text, sizeof request_text,
             "OPTIONS /v1/sign HTTP/1.1\r\n" HOST APP PREFLIGHT "\r\n%s", gwrig_sign);
    struct rawhttp h;
    rawhttp_open(&h, qr_gw_port(gwrig.gw), 5000);
    rawhttp_text(&h, request_text);
    rawhttp_read(&h, &r);
    assert_int_equal(r.status, 204);
    assert_true(rawresp_has(&r, "Access-Control-Allow-Origin: https://app.example.org"));
    assert_true(rawresp_has(&r, "Access-Control-Allow-Methods: POST"));
    assert_true(rawresp_has(&r, "Vary: Origin"));
    assert_non_null(strstr(r.head, "X-Stamp, X-Approval"));
    assert_null(strstr(r.head, "Credentials"));
    rawhttp_read(&h, &r); /* the connection goes on, without an origin */
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.head, "Access-Control"));
    assert_true(rawresp_has(&r, "Vary: Origin"));
    rawhttp_close(&h);
    assert_int_equal(fakeparty_asks(gwrig.party), 1);

    static const char *const refused[] = {
        "Origin: https://evil.example\r\n" PREFLIGHT,
        "Origin: https://app.example.org.evil.example\r\n" PREFLIGHT,
        "Origin: null\r\n" PREFLIGHT,
        "Origin: https://APP.example.org\r\n" PREFLIGHT,
        APP APP PREFLIGHT,
        PREFLIGHT,
        APP,
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(request_text, sizeof request_text, "OPTIONS /v1/sign HTTP/1.1\r\n" HOST "%s\r\n",
                 refused[i]);
        gwrig_once(request_text, &r);
        gwrig_expect_problem(&r, 403, "origin_denied");
        assert_null(strstr(r.head, "Access-Control-Allow-Methods"));
    }
    gwrig_once("OPTIONS /v1/nothing HTTP/1.1\r\n" HOST APP PREFLIGHT "\r\n", &r);
    gwrig_expect_problem(&r, 404, "route_unknown");
    /* Refusals can be read by the page, too. */
    atomic_store(&gwrig.mode, LIMITED);
    post("/v1/sign", "{\"v\":1}", APP, &r);
    gwrig_expect_problem(&r, 429, "limit_exceeded");
    assert_true(rawresp_has(&r, "Access-Control-Allow-Origin: https://app.example.org"));
    assert_true(rawresp_has(&r, "Access-Control-Expose-Headers: Retry-After"));
    post("/v1/sign", "{\"v\":1}", "Origin: https://evil.example\r\n", &r);
    assert_null(strstr(r.head, "Access-Control"));
    gwrig.cfg.cors[0] = '\0';
}

static void
bad_cors(struct qr_config_gateway *c)
{
    snprintf(c->cors, sizeof c->cors, "https://app.example.org *");
}

static void
test_cors_config(void **state)
{
    (void)state;
    struct qr_config_gateway c = gwrig.cfg;
    struct qr_gw *g = NULL;
    char err[512];
    bad_cors(&c);
    assert_int_equal(qr_gw_new(&c, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, "[api] cors: \"*\""));
    assert_null(g);
}

static void
test_openapi(void **state)
{
    (void)state;
    struct rawresp r;
    gwrig_once("GET /v1/openapi.json HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_true(rawresp_has(&r, "Content-Type: application/json"));
    json_t *j = json_loadb(r.body, r.body_len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "openapi")), "3.1.0");
    json_decref(j);
    assert_int_equal(fakeparty_asks(gwrig.party), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, gwrig_setup, gwrig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_payload),     CASE(test_payloads),  CASE(test_transaction), CASE(test_form),
        CASE(test_errors),      CASE(test_approvals), CASE(test_limits),      CASE(test_cors),
        CASE(test_cors_config), CASE(test_openapi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
