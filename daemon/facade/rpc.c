#include "daemon/facade/rpc.h"

#include "daemon/log.h"
#include "proto/json_strict.h"
#include "protocol/base/secret.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DUMP (JSON_COMPACT | JSON_ENCODE_ANY)
#define ID_MAX 256u

qr_err
qr_rpc_init(struct qr_rpc *r, struct qr_client *client, const struct qr_facade_conf *conf)
{
    memset(r, 0, sizeof *r);
    r->client = client;
    r->conf = conf;
    return pthread_mutex_init(&r->lock, NULL) == 0 ? QR_OK : QR_ERR_NO_MEMORY;
}

void
qr_rpc_listens(struct qr_rpc *r, const char *listen, uint16_t port)
{
    if (port) {
        int n = (int)(strrchr(listen, ':') - listen);
        snprintf(r->own_host[0], sizeof r->own_host[0], "%.*s:%u", n, listen, port);
        snprintf(r->own_host[1], sizeof r->own_host[1], "localhost:%u", port);
    }
}

void
qr_rpc_clear(struct qr_rpc *r)
{
    pthread_mutex_destroy(&r->lock);
}

void
qr_rpc_fail(struct qr_rpc_call *c, int code, const char *format, ...)
{
    va_list ap;
    c->code = code;
    va_start(ap, format);
    vsnprintf(c->why, sizeof c->why, format, ap);
    va_end(ap);
}

/* ---- who asks ---- */

static int
is_listed(const char *text, char list[][QR_FACADE_TEXT_MAX + 1], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static int
has_token(const struct qr_facade_conf *conf, const struct qr_facade_request *q)
{
    const char *auth = qr_facade_header(q, "authorization");
    size_t n = strlen(conf->token);

    return auth && strncmp(auth, "Bearer ", 7) == 0 && strlen(auth + 7) == n && n > 0 &&
           qr_sec_eq(auth + 7, conf->token, n);
}

/* Of a page: the headers that let its browser show it the answer. */
static void
allow_origin(struct qr_facade_answer *a, const char *origin)
{
    a->extra[a->n_extra++] = (struct qr_facade_header){"Access-Control-Allow-Origin", origin};
    a->extra[a->n_extra++] = (struct qr_facade_header){"Vary", "Origin"};
}

/* 0, or the status to answer with and in a->body why. */
static unsigned
authorize(const struct qr_rpc *r, const struct qr_facade_request *q, struct qr_facade_answer *a,
          const char **ret_why)
{
    struct qr_facade_conf *conf = (struct qr_facade_conf *)(uintptr_t)r->conf;
    const char *host = qr_facade_header(q, "host"), *origin = qr_facade_header(q, "origin");
    size_t origins = qr_facade_headers(q, "origin");

    if (!q->is_unix &&
        (!host || (strcmp(host, r->own_host[0]) != 0 && strcmp(host, r->own_host[1]) != 0 &&
                   !is_listed(host, conf->host, conf->n_hosts)))) {
        *ret_why = "this Host is not this facade's; `hosts` in its configuration may name it";
        return 421;
    }
    if (origins && (!origin || !is_listed(origin, conf->origin, conf->n_origins))) {
        *ret_why = "pages of this origin may not ask";
        return 403;
    }
    if (origin) {
        allow_origin(a, origin);
    }
    if (origin && strcmp(q->method, "OPTIONS") == 0) {
        a->extra[a->n_extra++] = (struct qr_facade_header){"Access-Control-Allow-Headers",
                                                           "authorization, content-type"};
        a->extra[a->n_extra++] = (struct qr_facade_header){"Access-Control-Allow-Methods", "POST"};
        *ret_why = "";
        return 204;
    }
    if (!q->is_unix && !has_token(conf, q)) {
        *ret_why = "a bearer token is needed";
        return 401;
    }
    return 0;
}

static int
is_json(const struct qr_facade_request *q)
{
    const char *type = qr_facade_header(q, "content-type");
    size_t n = type ? strcspn(type, "; ") : 0;
    return n == 16 && strncmp(type, "application/json", n) == 0;
}

/* ---- calls ---- */

static json_t *
error_object(const struct qr_rpc_call *c)
{
    json_t *o = json_pack("{s:i,s:s}", "code", c->code, "message", c->why);

    if (o && c->problem[0]) {
        json_t *data = json_pack("{s:s}", "code", c->problem);
        if (c->rule[0]) {
            json_object_set_new(data, "rule", json_string(c->rule));
        }
        json_object_set_new(o, "data", data);
    }
    return o;
}

static void
log_call(const struct qr_rpc_call *c)
{
    char q[QR_QUOTE_MAX];
    qr_log(c->result ? QR_LOG_INFO : QR_LOG_WARN, "rpc", c->result ? "answered" : "refused",
           c->result ? "a call was answered" : c->why,
           QR_LOG_STR("method", c->method ? qr_quote(q, qr_view_str(c->method)) : NULL),
           QR_LOG_STR("request", c->request[0] ? c->request : NULL), QR_LOG_I64("code", c->code),
           QR_LOG_END);
}

/* The id as it came; NULL: it is none. */
static const json_t *
id_of(const json_t *call)
{
    const json_t *id = json_object_get(call, "id");
    int is_text = json_is_string(id) && json_string_length(id) <= ID_MAX;
    return is_text || json_is_integer(id) || json_is_null(id) ? id : NULL;
}

/* One call of a batch or alone; NULL: no memory. */
static json_t *
one(struct qr_rpc *r, const json_t *call)
{
    struct qr_rpc_call c = {.r = r};
    const json_t *id = id_of(call), *params = json_object_get(call, "params");
    const char *version = json_string_value(json_object_get(call, "jsonrpc"));
    json_t *o = json_pack("{s:s}", "jsonrpc", "2.0"), *none = json_array();

    c.method = json_string_value(json_object_get(call, "method"));
    c.params = params ? params : none;
    if (!id || !version || strcmp(version, "2.0") != 0 || !c.method || !json_is_array(c.params)) {
        qr_rpc_fail(
            &c, QR_RPC_REQUEST,
            "a call is {\"jsonrpc\":\"2.0\",\"id\",\"method\",\"params\":[…]} with an id of "
            "text or a whole number");
    } else {
        qr_rpc_run(&c);
    }
    log_call(&c);
    int failed = !o || json_object_set_new(o, "id", id ? json_deep_copy(id) : json_null()) != 0;
    if (c.result) {
        failed |= json_object_set_new(o, "result", c.result) != 0;
    } else {
        failed |= json_object_set_new(o, "error", error_object(&c)) != 0;
    }
    json_decref(none);
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *
batch(struct qr_rpc *r, const json_t *calls)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(calls); i++) {
        if (json_array_append_new(out, one(r, json_array_get(calls, i))) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *
refused(int code, const char *why)
{
    struct qr_rpc_call c = {0};
    qr_rpc_fail(&c, code, "%s", why);
    log_call(&c);
    return json_pack("{s:s,s:n,s:o}", "jsonrpc", "2.0", "id", "error", error_object(&c));
}

static json_t *
answer(struct qr_rpc *r, qr_view body)
{
    json_error_t err;
    json_t *doc = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, &err), *out;

    if (!doc) {
        return refused(QR_RPC_PARSE, err.text);
    }
    if (!json_is_array(doc)) {
        out = one(r, doc);
    } else if (json_array_size(doc) == 0 || json_array_size(doc) > QR_RPC_BATCH_MAX) {
        out = refused(QR_RPC_REQUEST, "a batch has 1 to 32 calls");
    } else {
        out = batch(r, doc);
    }
    json_decref(doc);
    return out;
}

static int
append(const char *bytes, size_t n, void *to)
{
    return qr_dbuf_append(to, bytes, n) == QR_OK ? 0 : -1;
}

static void
say(struct qr_facade_answer *a, unsigned status, const char *text)
{
    a->status = status;
    a->type = "text/plain";
    a->body.len = 0;
    if (text[0] && (qr_dbuf_append(&a->body, text, strlen(text)) != QR_OK ||
                    qr_dbuf_append(&a->body, "\n", 1) != QR_OK)) {
        a->body.len = 0;
    }
}

void
qr_rpc_handle(void *ctx, const struct qr_facade_request *q, struct qr_facade_answer *a)
{
    struct qr_rpc *r = ctx;
    const char *why = "";

    unsigned bad = authorize(r, q, a, &why);
    if (bad == 0 && strcmp(q->target, "/") != 0) {
        bad = 404;
        why = "everything here is POST /";
    } else if (bad == 0 && strcmp(q->method, "POST") != 0) {
        bad = 405;
        why = "everything here is POST /";
    } else if (bad == 0 && !is_json(q)) {
        bad = 415;
        why = "Content-Type must be application/json";
    }
    if (bad) {
        if (bad != 204) {
            qr_log(QR_LOG_WARN, "rpc", "turned_away", why, QR_LOG_U64("status", bad), QR_LOG_END);
        }
        say(a, bad, why);
        return;
    }
    json_t *out = answer(r, q->body);
    a->status = 200;
    a->type = "application/json";
    if (!out || json_dump_callback(out, append, &a->body, DUMP) != 0) {
        say(a, 503, "out of memory");
    }
    json_decref(out);
}
