#include "daemon/client/client.h"

#include "daemon/client/http.h"
#include "daemon/keyjson.h"
#include "daemon/loop.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct gateway {
    char text[QR_CLIENT_URL_MAX];
    struct qr_http_url url;
};

struct qr_client {
    struct qr_client_opts o;
    char *ca_file;
    struct gateway gateway[QR_CLIENT_GATEWAYS_MAX];
    size_t n_gateways;
    pthread_mutex_t lock; /* what follows */
    struct qr_key_pub *known[QR_KEYS_MAX];
    size_t n_known;
};

/* ---- failures ---- */

static enum qr_client_verdict fail(struct qr_client_fail *f, enum qr_client_verdict v, qr_err e,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum qr_client_verdict
fail(struct qr_client_fail *f, enum qr_client_verdict v, qr_err e, const char *format, ...)
{
    va_list ap;
    f->verdict = v;
    f->err = e;
    va_start(ap, format);
    vsnprintf(f->text, sizeof f->text, format, ap);
    va_end(ap);
    return v;
}

static enum qr_client_verdict
problem(struct qr_client_fail *f, const struct gateway *g, const struct qr_http_response *r)
{
    char text[1000];

    qr_problem_read(r->status, qr_view_of(r->body.p, r->body.len), &f->problem);
    f->problem.retry_s = r->retry_s;
    enum qr_client_verdict v = qr_problem_is_temporary(&f->problem) ? QR_CLIENT_TEMPORARY
                               : qr_problem_is_refusal(&f->problem) ? QR_CLIENT_REFUSED
                               : r->status >= 500                   ? QR_CLIENT_INTERNAL
                                                                    : QR_CLIENT_BAD_REQUEST;
    return fail(f, v, QR_OK, "%s answered %s", g->text,
                qr_problem_text(&f->problem, text, sizeof text));
}

static void
tell(const struct qr_client *c, enum qr_client_step step, const struct gateway *g,
     const struct qr_client_fail *f)
{
    if (c->o.on_step) {
        c->o.on_step(c->o.ctx, step, g->text, f);
    }
}

/* ---- life ---- */

static qr_err
add_gateway(struct qr_client *c, const char *p, size_t n, char *err, size_t cap)
{
    struct gateway *g = &c->gateway[c->n_gateways];

    if (n == 0 || n >= sizeof g->text) {
        snprintf(err, cap, "gateways are URLs with commas between them");
        return QR_ERR_ADDRESS;
    }
    if (c->n_gateways == QR_CLIENT_GATEWAYS_MAX) {
        snprintf(err, cap, "more than %u gateways", QR_CLIENT_GATEWAYS_MAX);
        return QR_ERR_ADDRESS;
    }
    memcpy(g->text, p, n);
    g->text[n] = '\0';
    if (qr_http_url_parse(g->text, &g->url) != QR_OK) {
        snprintf(err, cap, "\"%s\" is not http(s)://HOST:PORT", g->text);
        return QR_ERR_ADDRESS;
    }
    c->n_gateways++;
    return QR_OK;
}

qr_err
qr_client_new(const struct qr_client_opts *o, struct qr_client **ret, char *err, size_t err_cap)
{
    struct qr_client *c = qr_alloc(sizeof *c);
    qr_err e = QR_OK;

    snprintf(err, err_cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
    if (!c || pthread_mutex_init(&c->lock, NULL) != 0) {
        qr_free(c);
        return QR_ERR_NO_MEMORY;
    }
    c->o = *o;
    c->o.gateways = NULL;
    c->o.timeout_ms = o->timeout_ms ? o->timeout_ms : QR_CLIENT_TIMEOUT_MS;
    c->o.ca_file = c->ca_file = o->ca_file ? qr_strdup(o->ca_file) : NULL;
    if (o->ca_file && !c->ca_file) {
        e = QR_ERR_NO_MEMORY;
    }
    const char *p = o->gateways;
    do {
        size_t n = strcspn(p, ",");
        if (e == QR_OK) {
            e = add_gateway(c, p, n, err, err_cap);
        }
        p += n + (p[n] == ',');
    } while (*p);
    if (e != QR_OK) {
        qr_client_free(c);
        return e;
    }
    *ret = c;
    return QR_OK;
}

struct qr_client *
qr_client_free(struct qr_client *c)
{
    if (c) {
        for (size_t i = 0; i < c->n_known; i++) {
            qr_free(c->known[i]);
        }
        pthread_mutex_destroy(&c->lock);
        qr_free(c->ca_file);
        qr_free(c);
    }
    return NULL;
}

/* ---- jobs ---- */

qr_err
qr_client_prepare(const struct qr_client *c, const struct qr_want *want, struct qr_client_job *j,
                  char *why, size_t cap)
{
    struct qr_want w = *want;
    char id[QR_ID_MAX + 1];

    if (!w.id) {
        qr_want_id(id);
        w.id = id;
    }
    if (!w.cluster) {
        w.cluster = c->o.roster->cluster;
    }
    if (!w.expires_ms) {
        w.issued_ms = qr_wall_ms();
        w.expires_ms = w.issued_ms + QR_WANT_LIFE_MS;
    }
    if (!c->o.key) {
        snprintf(why, cap, "there is no key to stamp with");
        return QR_ERR_USAGE;
    }
    qr_dbuf_free(&j->body);
    qr_dbuf_init(&j->body, QR_BODY_MAX);
    qr_err e = qr_want_write(&w, &j->body);
    if (e != QR_OK) {
        snprintf(why, cap, e == QR_ERR_TOO_LARGE ? "it would be longer than %u bytes" : "memory",
                 QR_BODY_MAX);
        return e;
    }
    qr_view body = qr_view_of(j->body.p, j->body.len);
    QR_TRY(qr_request_parse(body, &j->request, why, cap));
    e = qr_stamp_sign(c->o.key, body, j->stamp, sizeof j->stamp);
    if (e != QR_OK) {
        snprintf(why, cap, "the client's key cannot stamp: %s", qr_err_text(e));
    }
    return e;
}

qr_err
qr_client_adopt(struct qr_client_job *j, qr_view body, const char *stamp, char *why, size_t cap)
{
    if (strlen(stamp) >= sizeof j->stamp) {
        snprintf(why, cap, "the stamp is longer than %u characters", QR_STAMP_MAX);
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_request_parse(body, &j->request, why, cap));
    qr_dbuf_free(&j->body);
    qr_dbuf_init(&j->body, QR_BODY_MAX);
    snprintf(why, cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
    QR_TRY(qr_dbuf_append(&j->body, body.p, body.len));
    snprintf(j->stamp, sizeof j->stamp, "%s", stamp);
    return QR_OK;
}

void
qr_client_job_clear(struct qr_client_job *j)
{
    qr_dbuf_free(&j->body);
    qr_request_clear(&j->request);
}

/* ---- one gateway ---- */

/* A response of 200; its body is the caller's. */
static enum qr_client_verdict
call(const struct qr_client *c, const struct gateway *g, const struct qr_http_request *given,
     struct qr_dbuf *ret, struct qr_client_fail *f)
{
    struct qr_http_request q = *given;
    struct qr_http_response r;
    char err[512];

    q.ca_file = c->ca_file;
    q.timeout_ms = c->o.timeout_ms;
    qr_err e = qr_http_do(&g->url, &q, &r, err, sizeof err);
    if (e != QR_OK) {
        return fail(f, e == QR_ERR_ADDRESS ? QR_CLIENT_BAD_REQUEST : QR_CLIENT_TEMPORARY, e, "%s",
                    err);
    }
    if (r.status != 200) {
        enum qr_client_verdict v = problem(f, g, &r);
        qr_dbuf_free(&r.body);
        return v;
    }
    *ret = r.body;
    return QR_CLIENT_DONE;
}

static int
recall(struct qr_client *c, const uint8_t key[static 33], struct qr_key_pub *ret)
{
    int found = 0;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_known && !found; i++) {
        found = memcmp(c->known[i]->pk, key, 33) == 0;
        if (found) {
            *ret = *c->known[i];
        }
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static void
remember(struct qr_client *c, const struct qr_key_pub *key)
{
    pthread_mutex_lock(&c->lock);
    struct qr_key_pub *k = c->n_known < QR_KEYS_MAX ? qr_alloc(sizeof *k) : NULL;
    if (k) {
        *k = *key;
        c->known[c->n_known++] = k;
    }
    pthread_mutex_unlock(&c->lock);
}

static enum qr_client_verdict
fetch_key(struct qr_client *c, const struct gateway *g, const uint8_t key[static 33],
          struct qr_key_pub *ret, struct qr_client_fail *f)
{
    char path[16 + 67] = "/v1/keys/", why[256];
    struct qr_http_request q = {.method = "GET", .path = path};
    struct qr_dbuf body;

    if (recall(c, key, ret)) {
        return QR_CLIENT_DONE;
    }
    tell(c, QR_CLIENT_ASKS_KEY, g, NULL);
    qr_hex_encode(qr_view_of(key, 33), path + strlen(path));
    enum qr_client_verdict v = call(c, g, &q, &body, f);
    if (v != QR_CLIENT_DONE) {
        return v;
    }
    qr_err e = qr_keyjson_parse(qr_view_of(body.p, body.len), ret);
    qr_dbuf_free(&body);
    if (e != QR_OK) {
        snprintf(why, sizeof why, "its key record cannot be read: %s", qr_err_text(e));
    } else if (memcmp(ret->pk, key, 33) != 0) {
        e = QR_ERR_IDENTITY;
        snprintf(why, sizeof why, "it showed another key than the one asked for");
    } else {
        e = qr_client_key_check(ret, c->o.roster, why, sizeof why);
    }
    if (e != QR_OK) {
        return fail(f, QR_CLIENT_UNTRUSTED, e, "%s is not to be trusted: %s", g->text, why);
    }
    remember(c, ret);
    return QR_CLIENT_DONE;
}

static enum qr_client_verdict
sign_at(struct qr_client *c, const struct gateway *g, struct qr_client_job *j,
        struct qr_client_fail *f)
{
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_http_request q = {.method = "POST",
                                .path = "/v1/sign",
                                .stamp = j->stamp,
                                .approval = j->approval,
                                .n_approvals = j->n_approvals,
                                .body = qr_view_of(j->body.p, j->body.len)};
    struct qr_dbuf body;

    enum qr_client_verdict v = fetch_key(c, g, j->request.key, &j->key, f);
    if (v != QR_CLIENT_DONE) {
        return v;
    }
    tell(c, QR_CLIENT_SENDS, g, NULL);
    v = call(c, g, &q, &body, f);
    if (v != QR_CLIENT_DONE) {
        return v;
    }
    qr_err e = qr_client_signed_check(qr_view_of(body.p, body.len), &j->request, &j->key, &j->out,
                                      why, sizeof why);
    qr_dbuf_free(&body);
    if (e != QR_OK) {
        return fail(f, QR_CLIENT_UNTRUSTED, e, "%s is not to be trusted: %s", g->text, why);
    }
    tell(c, QR_CLIENT_SIGNED, g, NULL);
    return QR_CLIENT_DONE;
}

/* ---- all of them ---- */

/* What is asked of a gateway; one of the three. */
struct task {
    struct qr_client_job *job;
    const uint8_t *key;
    struct qr_key_pub *ret_key;
    const char *path;
    struct qr_dbuf *ret;
};

static enum qr_client_verdict
ask_one(struct qr_client *c, const struct gateway *g, const struct task *t,
        struct qr_client_fail *f)
{
    if (t->job) {
        return sign_at(c, g, t->job, f);
    }
    if (t->key) {
        return fetch_key(c, g, t->key, t->ret_key, f);
    }
    const struct qr_http_request q = {.method = "GET", .path = t->path};
    return call(c, g, &q, t->ret, f);
}

static enum qr_client_verdict
ask_all(struct qr_client *c, const struct task *t, struct qr_client_fail *worst)
{
    struct qr_client_fail f;

    memset(worst, 0, sizeof *worst);
    for (size_t i = 0; i < c->n_gateways; i++) {
        const struct gateway *g = &c->gateway[i];
        memset(&f, 0, sizeof f);
        snprintf(f.gateway, sizeof f.gateway, "%s", g->text);
        if (i > 0) {
            tell(c, QR_CLIENT_NEXT, g, NULL);
        }
        if (ask_one(c, g, t, &f) == QR_CLIENT_DONE) {
            worst->verdict = QR_CLIENT_DONE;
            return QR_CLIENT_DONE;
        }
        tell(c, QR_CLIENT_FAILED, g, &f);
        if (f.verdict > worst->verdict) {
            *worst = f;
        }
    }
    return worst->verdict;
}

enum qr_client_verdict
qr_client_sign(struct qr_client *c, struct qr_client_job *j, struct qr_client_fail *f)
{
    const struct task t = {.job = j};
    return ask_all(c, &t, f);
}

enum qr_client_verdict
qr_client_key(struct qr_client *c, const uint8_t key[static 33], struct qr_key_pub *ret,
              struct qr_client_fail *f)
{
    const struct task t = {.key = key, .ret_key = ret};
    return ask_all(c, &t, f);
}

enum qr_client_verdict
qr_client_get(struct qr_client *c, const char *path, struct qr_dbuf *ret, struct qr_client_fail *f)
{
    const struct task t = {.path = path, .ret = ret};
    return ask_all(c, &t, f);
}

enum qr_client_verdict
qr_client_receipt(struct qr_client *c, const uint8_t request[static 32], struct qr_dbuf *ret,
                  struct qr_client_fail *f)
{
    static const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    char path[32 + 65] = "/v1/receipts/";
    uint64_t until = qr_mono_ns() + QR_CLIENT_RECEIPT_MS * UINT64_C(1000000);
    enum qr_client_verdict v;

    qr_hex_encode(qr_view_of(request, 32), path + strlen(path));
    for (;;) {
        v = qr_client_get(c, path, ret, f);
        if (v == QR_CLIENT_DONE || v == QR_CLIENT_UNTRUSTED || qr_mono_ns() > until) {
            return v;
        }
        nanosleep(&pause, NULL);
    }
}
