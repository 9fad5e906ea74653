/*
 * Short texts: addresses, URLs, numbers, names, routes, header fields, DER signatures, points, what a
 * service manager says, and what is written of all of them.
 *
 * The first byte chooses. Must hold: what is accepted has one form and comes back as it was; an
 * explanation is printable; what is rendered for a client is JSON, whatever is in it.
 */
#include "daemon/addr.h"
#include "daemon/client/check.h"
#include "daemon/client/ecsig.h"
#include "daemon/client/http.h"
#include "daemon/config.h"
#include "daemon/ctl.h"
#include "daemon/gw_check.h"
#include "daemon/log.h"
#include "daemon/roster.h"
#include "daemon/sdnotify.h"
#include "daemon/stamp.h"
#include "protocol/base/mem.h"
#include "protocol/group.h"
#include "test/fuzz/kit.h"
#include "transport/address.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <unistd.h>

#define TEXT_MAX 2048u

static void
address(const char *text)
{
    struct qr_address a;
    char said[512], again[QR_ADDRESS_MAX + 32];

    if (qr_address_parse(text, &a) == QR_OK && a.kind == QR_ADDRESS_TCP) {
        int v6 = strchr(a.host, ':') != NULL;
        (void)snprintf(again, sizeof again, "tcp://%s%s%s:%u", v6 ? "[" : "", a.host, v6 ? "]" : "",
                       a.port);
        FUZZ_MUST(strcmp(again, text) == 0);
        /* no resolver may read another address than the one that stands there */
        struct in_addr loose, strict;
        FUZZ_MUST(inet_aton(a.host, &loose) == 0 || inet_pton(AF_INET, a.host, &strict) == 1);
    }
    qr_address_explain(text, 98, said, sizeof said);
    FUZZ_MUST(strnlen(said, sizeof said) < sizeof said);
    if (qr_address_check(qr_view_str(text)) == QR_OK) {
        FUZZ_MUST(qr_address_parse(text, &a) == QR_OK);
    }
}

static void
addr(const char *text)
{
    struct qr_addr a, b;
    char again[QR_ADDR_TEXT_MAX];

    if (qr_addr_parse(text, &a) == QR_OK) {
        qr_addr_text(&a, again);
        FUZZ_MUST(qr_addr_parse(again, &b) == QR_OK && a.len == b.len);
        FUZZ_MUST(memcmp(&a.ss, &b.ss, a.len) == 0);
        (void)qr_addr_is_loopback(&a);
    }
}

static void
url(const char *text)
{
    struct qr_http_url u;
    if (qr_http_url_parse(text, &u) == QR_OK) {
        FUZZ_MUST(u.host[0] && u.port[0] && strlen(u.port) <= 5);
        FUZZ_MUST(strpbrk(u.host, " \r\n\t/@?#") == NULL);
    }
}

static void
number(const char *text, size_t len)
{
    unsigned long v = 77;
    char again[32];
    if (qr_parse_decimal(text, len, 4294967295ul, &v)) {
        (void)snprintf(again, sizeof again, "%lu", v);
        FUZZ_MUST(v <= 4294967295ul && strlen(again) == len && memcmp(again, text, len) == 0);
    } else {
        FUZZ_MUST(v == 77);
    }
}

static void
names(qr_view v)
{
    enum qr_kind k;
    enum qr_scheme s;
    enum qr_platform p;
    if (qr_kind_parse(v, &k) == QR_OK) {
        FUZZ_MUST(qr_view_eq(v, qr_view_str(qr_kind_name(k))));
    }
    if (qr_scheme_parse(v, &s) == QR_OK) {
        FUZZ_MUST(qr_view_eq(v, qr_view_str(qr_scheme_name(s))));
    }
    if (qr_platform_parse(v, &p) == QR_OK) {
        FUZZ_MUST(qr_view_eq(v, qr_view_str(qr_platform_name(p))));
    }
}

static void
route(const char *text)
{
    qr_view arg;
    enum qr_gw_route r = qr_gw_route_find(text, &arg);
    size_t len = strlen(text);
    FUZZ_MUST((unsigned)r < QR_GW_ROUTES);
    FUZZ_MUST(arg.len <= len && (arg.len == 0 || (arg.p >= (const uint8_t *)text &&
                                                  arg.p + arg.len == (const uint8_t *)text + len)));
    FUZZ_MUST(r != QR_GW_NONE || arg.len == 0);
    (void)qr_gw_route_takes(r, qr_gw_method_of(text));
}

/* Fields "name 0x00 value 0x00", judged for every route and method. */
static void
fields(struct fuzz_in in)
{
    struct qr_gw_head h = {0};
    struct qr_gw_verdict v;
    char why[512];

    while (in.len > 0) {
        qr_view name = fuzz_take(&in, fuzz_u8(&in) & 63u);
        qr_gw_head_add(&h, name, fuzz_take(&in, fuzz_u8(&in)));
    }
    for (unsigned r = 0; r < QR_GW_ROUTES; r++) {
        for (unsigned m = QR_GW_GET; m <= QR_GW_OTHER; m++) {
            qr_gw_judge(&h, (enum qr_gw_route)r, (enum qr_gw_method)m, &v);
            FUZZ_MUST(v.problem.status == 0 || v.problem.status >= 400);
            FUZZ_MUST(v.problem.status != 0 || v.must_close || v.body_len <= QR_BODY_MAX);
            FUZZ_MUST(v.problem.status != 0 || (h.n_coding == 0 && h.n_length <= 1));
            FUZZ_MUST(v.trace.len == 0 || v.trace.len == 55);
            if (v.problem.status) {
                size_t n = v.problem.detail.len < sizeof why ? v.problem.detail.len : 0;
                memcpy(why, v.problem.detail.p, n);
                why[n] = '\0';
                fuzz_text(why, sizeof why);
            }
        }
    }
}

static void
der(qr_view v)
{
    uint8_t rs[64], again[72];
    if (qr_ecsig_parse(v, rs) == QR_OK) {
        size_t n = qr_ecsig_der(rs, again);
        FUZZ_MUST(n == v.len && memcmp(again, v.p, n) == 0);
    }
}

static void
points(struct fuzz_in in)
{
    uint8_t p33[33] = {2}, s32[32] = {0}, again[33], digest[32] = {1}, sig[64] = {0};
    qr_view v = fuzz_take(&in, 33);
    qr_pt p;
    qr_fq s;

    memcpy(p33, v.p, v.len);
    v = fuzz_take(&in, 32);
    memcpy(s32, v.p, v.len);
    v = fuzz_take(&in, 64);
    memcpy(sig, v.p, v.len);
    int point = qr_pt_parse(&p, p33) == QR_OK;
    if (point) {
        qr_pt_put(again, &p);
        FUZZ_MUST(memcmp(again, p33, 33) == 0);
        FUZZ_MUST(qr_ecdsa_verify(&p, digest, sig) != QR_OK);
    }
    if (qr_fq_parse(&s, s32) == QR_OK) {
        qr_fq_put(again, &s);
        FUZZ_MUST(memcmp(again, s32, 32) == 0);
    }
}

/* Text of a stranger in a problem document and in a log line. */
static void
render(struct fuzz_in in)
{
    struct qr_dbuf d;
    qr_view detail = fuzz_take(&in, fuzz_u8(&in)), rule = fuzz_take(&in, in.len);
    struct qr_gw_problem p = qr_gw_problem_of(QR_ERR_POLICY_DENIED, detail);

    p.rule = rule;
    qr_dbuf_init(&d, 1 << 20);
    if (qr_gw_render_problem(&d, &p) == QR_OK) {
        json_t *j = json_loadb((const char *)d.p, d.len, JSON_ALLOW_NUL, NULL);
        FUZZ_MUST(j != NULL);
        json_decref(j);
    }
    qr_dbuf_free(&d);
    qr_log(QR_LOG_INFO, "fuzz", "text", "a line", QR_LOG_TEXT("detail", detail),
           QR_LOG_HEX("rule", rule.p, rule.len), QR_LOG_TEXT("more", rule), QR_LOG_END);
}

static void
manager(const char *text)
{
    char mine[16];
    (void)snprintf(mine, sizeof mine, "%d", (int)getpid());
    FUZZ_MUST(setenv("LISTEN_PID", mine, 1) == 0 && setenv("LISTEN_FDS", text, 1) == 0);
    FUZZ_MUST(setenv("LISTEN_FDNAMES", text, 1) == 0 && setenv("WATCHDOG_USEC", text, 1) == 0);
    (void)qr_sd_listen_fd("api");
    (void)qr_sd_watchdog_us();
    FUZZ_MUST(setenv("WATCHDOG_PID", text, 1) == 0);
    (void)qr_sd_watchdog_us();
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    char text[TEXT_MAX + 1];
    unsigned which = fuzz_choice(&data, &size, 11);
    size_t n = size < TEXT_MAX ? size : TEXT_MAX;
    struct fuzz_in in = fuzz_in_of(data, size);

    if (!started) {
        struct qr_rng rng = qr_rng_system();
        FUZZ_MUST(qr_group_init(&rng) == QR_OK);
        fuzz_mute();
        started = 1;
    }
    memcpy(text, data, n);
    text[n] = '\0';
    switch (which) {
    case 0:
        address(text);
        break;
    case 1:
        addr(text);
        break;
    case 2:
        url(text);
        break;
    case 3:
        number((const char *)data, size);
        break;
    case 4:
        names(qr_view_of(data, size));
        break;
    case 5:
        route(text);
        break;
    case 6:
        fields(in);
        break;
    case 7:
        der(qr_view_of(data, size));
        break;
    case 8:
        points(in);
        break;
    case 9:
        render(in);
        break;
    default:
        manager(text);
    }
    return 0;
}
