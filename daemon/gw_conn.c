#include "daemon/gw_int.h"

#include "daemon/addr.h"
#include "daemon/gw_openapi.h"
#include "daemon/log.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <netinet/in.h>
#include <stdio.h>

#define TYPE_JSON "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

static void
enter(struct qr_gw_conn *c, enum qr_gw_phase phase)
{
    c->phase = phase;
    c->since_ns = c->l->gw->now_ns;
}

/* ---- connections ---- */

void
qr_gw_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                    enum MHD_ConnectionNotificationCode what)
{
    struct qr_gw_listener *l = cls;
    struct qr_gw *g = l->gw;
    struct qr_gw_conn *c = *socket_context;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!c) {
            return;
        }
        if (c->prev) {
            c->prev->next = c->next;
        } else {
            g->conns = c->next;
        }
        if (c->next) {
            c->next->prev = c->prev;
        } else {
            g->oldest = c->prev;
        }
        g->ending -= c->ending ? 1 : 0;
        g->count.connections--;
        qr_dbuf_free(&c->body);
        qr_free(c);
        *socket_context = NULL;
        return;
    }
    c = qr_alloc(sizeof *c);
    if (!c) {
        return; /* the first request finds no context and closes */
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->l = l;
    c->mhd = mhd;
    c->fd = fd ? fd->connect_fd : -1;
    qr_dbuf_init(&c->body, QR_BODY_MAX);
    enter(c, QR_GW_IDLE);
    c->next = g->conns;
    if (c->next) {
        c->next->prev = c;
    } else {
        g->oldest = c;
    }
    g->conns = c;
    g->count.connections++;
    g->count.connections_total++;
    *socket_context = c;
}

void
qr_gw_on_completed(void *cls, struct MHD_Connection *mhd, void **req,
                   enum MHD_RequestTerminationCode why)
{
    struct qr_gw_listener *l = cls;
    struct qr_gw_conn *c = *req;

    (void)mhd;
    if (!c) {
        return;
    }
    *req = NULL;
    if (c->phase == QR_GW_WAITING) {
        qr_gw_party_forget(l->gw->party, c->ask_id);
        qr_gw_crowd_done(c);
    }
    if (c->reply) {
        MHD_destroy_response(c->reply);
        c->reply = NULL;
    }
    /* A client that left before its answer counts with status 0. */
    qr_gw_metrics_count(&l->gw->count, c->route,
                        why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? c->status : 0,
                        l->gw->now_ns - c->started_ns);
    c->body.len = 0;
    if (c->body.cap > QR_GW_BODY_KEEP) {
        qr_dbuf_free(&c->body);
    }
    enter(c, QR_GW_IDLE);
}

/* ---- answers ---- */

static void
log_refusal(const struct qr_gw_conn *c, const struct qr_gw_problem *p)
{
    char from[QR_ADDR_TEXT_MAX] = "unknown";
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (i && i->client_addr) {
        struct qr_addr a;
        a.len = i->client_addr->sa_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                      : (socklen_t)sizeof(struct sockaddr_in);
        memcpy(&a.ss, i->client_addr, a.len);
        qr_addr_text(&a, from);
    }
    qr_log(p->status >= 500 ? QR_LOG_WARN : QR_LOG_INFO, "gateway", "request_refused",
           "a request was not served", QR_LOG_STR("route", qr_gw_route_name(c->route)),
           QR_LOG_U64("status", p->status), QR_LOG_STR("code", p->code),
           QR_LOG_TEXT("detail", p->detail), QR_LOG_U64("party", p->party),
           QR_LOG_TEXT("rule", p->rule), QR_LOG_STR("client", from), QR_LOG_END);
}

/* Which page may read the answer, where any may. 0: out of memory. */
static int
add_cors(const struct qr_gw_conn *c, struct MHD_Response *r)
{
    const struct qr_gw_cors *cors = &c->l->gw->cors;
    const char *origin = c->head.n_origin == 1 ? qr_gw_cors_find(cors, c->head.origin) : NULL;

    if (cors->n == 0 || !c->l->api) {
        return 1;
    }
    return MHD_add_response_header(r, "Vary", "Origin") != MHD_NO &&
           (!origin ||
            (MHD_add_response_header(r, "Access-Control-Allow-Origin", origin) != MHD_NO &&
             MHD_add_response_header(r, "Access-Control-Expose-Headers", "Retry-After") != MHD_NO));
}

/* The scratch buffer's bytes as a response; NULL when out of memory. */
static struct MHD_Response *
response_of(const struct qr_gw_conn *c, const char *type, const char *more_name,
            const char *more_value)
{
    const struct qr_gw *g = c->l->gw;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(g->scratch.len, g->scratch.p, MHD_RESPMEM_MUST_COPY);
    if (!r) {
        return NULL;
    }
    if (MHD_add_response_header(r, "Content-Type", type) == MHD_NO ||
        MHD_add_response_header(r, "Cache-Control", "no-store") == MHD_NO ||
        MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") == MHD_NO ||
        (more_name && MHD_add_response_header(r, more_name, more_value) == MHD_NO) ||
        !add_cors(c, r)) {
        MHD_destroy_response(r);
        return NULL;
    }
    return r;
}

/* Makes the reply; c->reply stays NULL only when there is no memory for one. */
static void
make_problem(struct qr_gw_conn *c, const struct qr_gw_problem *p)
{
    struct qr_gw *g = c->l->gw;
    int raw = qr_gw_raw_is(c->route);
    const char *type = raw ? TYPE_JSON : TYPE_PROBLEM;
    char seconds[24];

    log_refusal(c, p);
    g->scratch.len = 0;
    c->status = p->status;
    qr_err e = raw ? qr_gw_raw_problem(&g->scratch, p) : qr_gw_render_problem(&g->scratch, p);
    if (e == QR_OK) {
        if (p->status == 405) {
            c->reply = response_of(c, type, "Allow", qr_gw_route_allow(c->route));
        } else if (p->retry_s) {
            (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)p->retry_s);
            c->reply = response_of(c, type, "Retry-After", seconds);
        } else {
            c->reply = response_of(c, type, NULL, NULL);
        }
    }
    if (c->reply && (c->verdict.must_close || g->draining)) {
        (void)MHD_add_response_header(c->reply, "Connection", "close");
    }
}

static void
make_error(struct qr_gw_conn *c, qr_err e, const char *detail)
{
    struct qr_gw_problem p = qr_gw_problem_of(e, qr_view_str(detail));
    make_problem(c, &p);
}

static void
make_ok(struct qr_gw_conn *c, unsigned status, const char *type)
{
    c->status = status;
    c->reply = response_of(c, type, NULL, NULL);
    if (c->reply && c->l->gw->draining) {
        (void)MHD_add_response_header(c->reply, "Connection", "close");
    }
}

static void
make_bytes(struct qr_gw_conn *c, unsigned status, const char *type, qr_view bytes)
{
    struct qr_dbuf *d = &c->l->gw->scratch;
    d->len = 0;
    if (qr_dbuf_append(d, bytes.p, bytes.len) == QR_OK) {
        make_ok(c, status, type);
    }
}

static enum MHD_Result
send_reply(struct qr_gw_conn *c)
{
    if (!c->reply) {
        return MHD_NO; /* out of memory: closes the connection */
    }
    enum MHD_Result ok = MHD_queue_response(c->mhd, c->status, c->reply);
    MHD_destroy_response(c->reply);
    c->reply = NULL;
    enter(c, QR_GW_SENDING);
    return ok;
}

static void
make_metrics(struct qr_gw_conn *c, qr_view party_text)
{
    struct qr_gw *g = c->l->gw;
    const struct qr_gw_now now = {
        .party_up = qr_gw_party_up(g->party),
        .in_flight = qr_gw_party_in_flight(g->party),
        .party_connects = qr_gw_party_connects(g->party),
    };
    g->scratch.len = 0;
    if (qr_gw_metrics_put(&g->scratch, &g->count, &now) == QR_OK &&
        qr_gw_feed_metrics(g->feed, &g->scratch) == QR_OK &&
        (!g->audit || qr_gw_audit_metrics(g->audit, &g->scratch) == QR_OK) &&
        qr_dbuf_append(&g->scratch, party_text.p, party_text.len) == QR_OK) {
        make_ok(c, 200, TYPE_METRICS);
    }
}

/* Health has its own shapes, also when there is no party to ask. */
static void
make_health(struct qr_gw_conn *c, const struct qr_answer *a, qr_err why)
{
    qr_err e = a ? a->error : why;

    if (c->route == QR_GW_READYZ && e == QR_OK) {
        make_bytes(c, 200, TYPE_TEXT, qr_view_str("ready\n"));
    } else if (c->route == QR_GW_READYZ) {
        struct qr_gw_problem p = qr_gw_problem_of(e, a ? a->detail : (qr_view){NULL, 0});
        make_problem(c, &p);
    } else {
        /* The shape that existing signers have. */
        char json[256];
        const char *quorum = e == QR_OK ? "UP" : "DOWN";
        int n = snprintf(json, sizeof json,
                         "{\"status\":\"%s\",\"checks\":[{\"id\":\"party\",\"status\":\"%s\"},"
                         "{\"id\":\"quorum\",\"status\":\"%s\"}],\"outcome\":\"%s\"}\n",
                         quorum, a ? "UP" : "DOWN", quorum, quorum);
        make_bytes(c, e == QR_OK ? 200 : 503, TYPE_JSON, qr_view_of(json, (size_t)n));
    }
}

static void
make_raw(struct qr_gw_conn *c, const struct qr_answer_signed *s)
{
    struct qr_gw *g = c->l->gw;
    struct qr_gw_raw raw;
    char why[QR_ANSWER_DETAIL_MAX] = "";

    /* Read once before the party was asked; again rather than kept, since the body is still there. */
    qr_err e = qr_gw_raw_read(qr_view_of(c->body.p, c->body.len), c->route, &raw, why, sizeof why);
    if (e == QR_OK) {
        g->scratch.len = 0;
        e = qr_gw_raw_render(&g->scratch, c->route, &raw, s, why, sizeof why);
        qr_gw_raw_clear(&raw);
    }
    if (e == QR_OK) {
        make_ok(c, 200, TYPE_JSON);
    } else {
        make_error(c, e, why);
    }
}

static void
make_answer(struct qr_gw_conn *c, const struct qr_answer *a, qr_err why)
{
    struct qr_gw *g = c->l->gw;

    c->known |= a && a->is_signed;
    if (c->route == QR_GW_HEALTHCHECK || c->route == QR_GW_READYZ) {
        make_health(c, a, why);
    } else if (c->route == QR_GW_METRICS) {
        make_metrics(c, a && a->error == QR_OK ? a->text : (qr_view){NULL, 0});
    } else if (!a) {
        make_error(c, why,
                   why == QR_ERR_TIMEOUT ? "the party did not answer in time; the request may "
                                           "still be served: repeat it with the same id"
                                         : "the connection to the party was lost; repeat the "
                                           "request with the same id");
    } else if (a->error != QR_OK) {
        struct qr_gw_problem p = qr_gw_problem_of_answer(a);
        make_problem(c, &p);
    } else if (qr_gw_raw_is(c->route) && a->is_signed) {
        make_raw(c, &a->sgn);
    } else if (c->route == QR_GW_SIGN && a->is_signed) {
        g->scratch.len = 0;
        if (qr_gw_render_signed(&g->scratch, &a->sgn) == QR_OK) {
            make_ok(c, 200, TYPE_JSON);
        }
    } else if (qr_gw_route_query(c->route) && a->json.len) {
        make_bytes(c, 200, TYPE_JSON, a->json);
    } else {
        make_error(c, QR_ERR_INTERNAL, "the party's answer is empty");
    }
}

void
qr_gw_on_answer(void *ctx, void *waiter, const struct qr_answer *a, qr_err why)
{
    struct qr_gw *g = ctx;
    if (qr_gw_feed_owns(g->feed, waiter)) {
        qr_gw_feed_answer(g->feed, waiter, a, why);
        return;
    }
    if (qr_gw_audit_owns(g->audit, waiter)) {
        qr_gw_audit_answer(g->audit, a, why);
        return;
    }
    struct qr_gw_conn *c = waiter;
    QR_ASSERT(c->phase == QR_GW_WAITING && !c->reply);
    qr_gw_crowd_done(c);
    make_answer(c, a, why);
    enter(c, QR_GW_SENDING);
    MHD_resume_connection(c->mhd);
}

/* ---- requests ---- */

static enum MHD_Result
on_field(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value,
         size_t value_len)
{
    (void)kind;
    qr_gw_head_add(cls, qr_view_of(key, key_len), qr_view_of(value, value_len));
    return MHD_YES;
}

/* A GET's argument list: one "nonce" of 64 hex digits for the attestation, nothing elsewhere. */
struct args {
    unsigned n;
    const char *nonce;
    size_t nonce_len;
};

static enum MHD_Result
on_arg(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value,
       size_t value_len)
{
    struct args *a = cls;
    (void)kind;
    a->n++;
    if (value && key_len == 5 && memcmp(key, "nonce", 5) == 0) {
        a->nonce = value;
        a->nonce_len = value_len;
    }
    return MHD_YES;
}

/* Could the answer to this body be given on this route? If not, the reply is made. */
static int
raw_is_ours(struct qr_gw_conn *c)
{
    struct qr_gw_raw raw;
    char why[QR_ANSWER_DETAIL_MAX] = "";

    qr_err e = qr_gw_raw_read(qr_view_of(c->body.p, c->body.len), c->route, &raw, why, sizeof why);
    if (e != QR_OK) {
        make_error(c, e, why);
        return 0;
    }
    qr_gw_raw_clear(&raw);
    return 1;
}

/* Builds the question. Returns 0 with the reply made when there is none to ask. */
static int
build_ask(struct qr_gw_conn *c, struct qr_ask *ask, uint8_t arg[static 33])
{
    struct args args = {0};

    MHD_get_connection_values_n(c->mhd, MHD_GET_ARGUMENT_KIND, on_arg, &args);
    if (args.n > (c->route == QR_GW_ATTESTATION ? 1u : 0u)) {
        make_error(c, QR_ERR_MALFORMED, "this path does not take these parameters");
        return 0;
    }
    if (qr_gw_raw_is(c->route) && !raw_is_ours(c)) {
        return 0;
    }
    if (c->route == QR_GW_SIGN || qr_gw_raw_is(c->route)) {
        *ask = (struct qr_ask){.what = QR_ASK_SIGN,
                               .body = qr_view_of(c->body.p, c->body.len),
                               .n_stamps = 1 + c->head.n_approval,
                               .stamps = {c->head.stamp},
                               .traceparent = c->verdict.trace};
        memcpy(ask->stamps + 1, c->head.approval, c->head.n_approval * sizeof c->head.approval[0]);
        return 1;
    }
    *ask = (struct qr_ask){.what = QR_ASK_QUERY, .query = qr_gw_route_query(c->route)};
    if (c->route == QR_GW_KEY) {
        if (qr_hex_decode((const char *)c->arg.p, c->arg.len, arg, 33) != QR_OK) {
            make_error(c, QR_ERR_KEY_UNKNOWN, "a key is named by 66 lower-case hex digits");
            return 0;
        }
        ask->body = qr_view_of(arg, 33);
    } else if (c->route == QR_GW_RECEIPT) {
        if (qr_hex_decode((const char *)c->arg.p, c->arg.len, arg, 32) != QR_OK) {
            make_error(c, QR_ERR_NO_RECEIPT, "a request is named by 64 lower-case hex digits");
            return 0;
        }
        ask->body = qr_view_of(arg, 32);
    } else if (c->route == QR_GW_ATTESTATION) {
        if (!args.nonce || qr_hex_decode(args.nonce, args.nonce_len, arg, 32) != QR_OK) {
            make_error(c, QR_ERR_MALFORMED, "give ?nonce= with 64 lower-case hex digits");
            return 0;
        }
        ask->body = qr_view_of(arg, 32);
    }
    return 1;
}

#define CORS_HEADERS "Content-Type, X-Stamp, X-Approval, X-Client-Version, traceparent"

/* A browser asks whether a page may send a request here; the party hears nothing of it. */
static void
make_preflight(struct qr_gw_conn *c)
{
    struct qr_gw *g = c->l->gw;
    struct qr_gw_problem p = {.status = 405,
                              .code = QR_GW_CODE_METHOD,
                              .detail = qr_view_str("no page of another origin may call this")};

    if (g->cors.n == 0 || !c->l->api) {
        make_problem(c, &p);
        return;
    }
    if (c->head.n_origin != 1 || c->head.n_preflight != 1 ||
        !qr_gw_cors_find(&g->cors, c->head.origin)) {
        p.status = 403;
        p.code = QR_GW_CODE_ORIGIN;
        p.detail = qr_view_str("this origin may not call this; see [api] cors");
        make_problem(c, &p);
        return;
    }
    make_bytes(c, 204, TYPE_TEXT, (qr_view){NULL, 0});
    if (c->reply &&
        (MHD_add_response_header(c->reply, "Access-Control-Allow-Methods",
                                 qr_gw_route_allow(c->route)) == MHD_NO ||
         MHD_add_response_header(c->reply, "Access-Control-Allow-Headers", CORS_HEADERS) ==
             MHD_NO ||
         MHD_add_response_header(c->reply, "Access-Control-Max-Age", "600") == MHD_NO)) {
        MHD_destroy_response(c->reply);
        c->reply = NULL;
    }
}

/* The request is complete and well formed. */
static enum MHD_Result
dispatch(struct qr_gw_conn *c)
{
    struct qr_gw *g = c->l->gw;
    struct qr_ask ask;
    uint8_t arg[33];

    if (c->method == QR_GW_OPTIONS) {
        make_preflight(c);
        return send_reply(c);
    }
    if (c->route == QR_GW_OPENAPI) {
        make_bytes(c, 200, TYPE_JSON, qr_gw_openapi());
        return send_reply(c);
    }
    if (c->route == QR_GW_UPCHECK) {
        make_bytes(c, 200, TYPE_TEXT, qr_view_str("OK"));
        return send_reply(c);
    }
    if (c->route == QR_GW_LIVEZ) {
        make_bytes(c, 200, TYPE_TEXT, qr_view_str("alive\n"));
        return send_reply(c);
    }
    if (!build_ask(c, &ask, arg)) {
        return send_reply(c);
    }
    qr_err e = g->draining ? QR_ERR_DRAINING
               : !qr_gw_crowd_may_ask(c)
                   ? QR_ERR_BUSY
                   : qr_gw_party_ask(g->party, &ask, c, g->now_ns, &c->ask_id);
    if (e == QR_OK) {
        qr_gw_crowd_asked(c);
        enter(c, QR_GW_WAITING);
        MHD_suspend_connection(c->mhd);
        return MHD_YES;
    }
    if (c->route == QR_GW_HEALTHCHECK || c->route == QR_GW_READYZ || c->route == QR_GW_METRICS) {
        make_answer(c, NULL, e);
    } else {
        make_error(c, e,
                   e == QR_ERR_NOT_READY  ? "the gateway is not connected to its party"
                   : e == QR_ERR_BUSY     ? "too many requests are waiting for the party"
                   : e == QR_ERR_DRAINING ? "the gateway is shutting down"
                                          : "");
    }
    return send_reply(c);
}

/* Which paths exist depends on the listener. */
static enum qr_gw_route
route_here(const struct qr_gw_listener *l, const char *url, qr_view *ret_arg)
{
    enum qr_gw_route r = qr_gw_route_find(url, ret_arg);
    int there = r == QR_GW_METRICS ? l->metrics : l->api || r == QR_GW_LIVEZ;
    return there ? r : QR_GW_NONE;
}

/* The header is complete. */
static enum MHD_Result
begin(struct qr_gw_conn *c, const char *url, const char *method)
{
    struct qr_gw *g = c->l->gw;

    enter(c, QR_GW_RECEIVING);
    c->started_ns = g->now_ns;
    c->status = 0;
    c->body.len = 0;
    c->route = route_here(c->l, url, &c->arg);
    memset(&c->head, 0, sizeof c->head);
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, on_field, &c->head);
    c->method = qr_gw_method_of(method);
    qr_gw_judge(&c->head, c->route, c->method, &c->verdict);
    if (c->verdict.problem.status == 0 &&
        qr_dbuf_reserve(&c->body, (size_t)c->verdict.body_len) != QR_OK) {
        c->verdict.problem = qr_gw_problem_of(QR_ERR_NO_MEMORY, (qr_view){NULL, 0});
    }
    if (c->verdict.must_close) {
        make_problem(c, &c->verdict.problem);
        return send_reply(c);
    }
    return MHD_YES;
}

enum MHD_Result
qr_gw_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                 const char *version, const char *data, size_t *data_len, void **req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct qr_gw_conn *c = info ? info->socket_context : NULL;

    (void)cls;
    (void)version;
    if (!c) {
        return MHD_NO; /* there was no memory for it */
    }
    if (!*req) {
        *req = c;
        return begin(c, url, method);
    }
    if (*data_len > 0) {
        /* A refused body is read to its end, so that the client gets to the answer. */
        if (c->verdict.problem.status == 0 && qr_dbuf_append(&c->body, data, *data_len) != QR_OK) {
            c->verdict.problem = qr_gw_problem_of(QR_ERR_TOO_LARGE, (qr_view){NULL, 0});
        }
        *data_len = 0;
        return MHD_YES;
    }
    if (c->phase == QR_GW_SENDING) {
        return send_reply(c); /* resumed */
    }
    if (c->verdict.problem.status == 0 && c->body.len != c->verdict.body_len) {
        c->verdict.problem = qr_gw_problem_of(QR_ERR_TRUNCATED, (qr_view){NULL, 0});
    }
    if (c->verdict.problem.status != 0) {
        make_problem(c, &c->verdict.problem);
        return send_reply(c);
    }
    return dispatch(c);
}
