/* A document lives as long as a need names its URL. A need is handed when all of it is in hand. */
#include "daemon/gw_coll.h"

#include "daemon/gw_cache.h"
#include "daemon/log.h"
#include "protocol/base/check.h"

#include <stdarg.h>
#include <stdio.h>

#define MINUTE UINT64_C(60000)
#define BACKOFF_MIN MINUTE
#define BACKOFF_MAX (60 * MINUTE)
#define PIECES_MAX (QR_NEED_DOCS * QR_DOC_PIECES)

struct document {
    struct qr_need_doc what;
    const char *source;
    struct qr_doc have; /* n == 0: nothing yet */
    uint64_t good_ms, due_ms, backoff_ms;
    uint64_t job;     /* 0: not being fetched */
    uint64_t changes; /* how often `have` became another */
    int failing;      /* told */
    uint64_t failures, rollbacks;
};

struct need {
    const char *source;
    size_t n, doc[QR_NEED_DOCS];
    uint64_t handed; /* sum of changes when it was handed; 0: not yet */
};

struct qr_coll {
    struct qr_coll_cfg cfg;
    uint64_t next_job;
    size_t n_docs, n_needs;
    struct document doc[QR_NEEDS_MAX * QR_NEED_DOCS];
    struct need need[QR_NEEDS_MAX];
};

/* ---- taking documents in ------------------------------------------------------------------- */

/* 1: the pieces are the same bytes. */
static int
same(const struct qr_doc *a, const struct qr_doc *b)
{
    int eq = a->n == b->n;
    for (size_t i = 0; eq && i < a->n; i++) {
        eq = qr_view_eq(qr_view_of(a->piece[i].p, a->piece[i].len),
                        qr_view_of(b->piece[i].p, b->piece[i].len));
    }
    return eq;
}

static void
failed(struct document *d, uint64_t now_ms, unsigned retry_after_s, const char *why)
{
    uint64_t wait = retry_after_s ? retry_after_s * UINT64_C(1000) : d->backoff_ms;
    if (!retry_after_s) {
        d->backoff_ms = d->backoff_ms * 2 > BACKOFF_MAX ? BACKOFF_MAX : d->backoff_ms * 2;
    }
    d->due_ms = now_ms + wait;
    d->failures++;
    if (!d->failing) {
        qr_log(QR_LOG_WARN, "collateral", "fetch_failed",
               d->have.n ? "a document cannot be renewed; the last good one stays in use"
                         : "a document that the party needs cannot be fetched",
               QR_LOG_STR("what", qr_doc_name(d->what.kind)), QR_LOG_STR("url", d->what.url),
               QR_LOG_STR("why", why), QR_LOG_U64("again_in_s", wait / 1000), QR_LOG_END);
    }
    d->failing = 1;
}

/* A new document of an older issue stays outside: it would re-admit what was revoked since. */
static int
goes_back(struct document *d, const struct qr_doc *next)
{
    int back = d->have.n && next->issued_ms >= 0 && next->issued_ms < d->have.issued_ms;
    d->rollbacks += back ? 1 : 0;
    return back;
}

static void
keep(struct document *d, struct qr_doc *next)
{
    if (d->have.n && same(&d->have, next)) {
        qr_doc_free(next);
        return;
    }
    qr_doc_free(&d->have);
    d->have = *next;
    d->changes++;
}

static void
take_in(struct qr_coll *c, struct document *d, const struct qr_fetch_done *a, uint64_t now_ms)
{
    char why[160] = "";
    struct qr_doc next;

    d->job = 0;
    if (a->status == 0) {
        failed(d, now_ms, 0, a->why);
        return;
    }
    if (a->status != 200) {
        (void)snprintf(why, sizeof why, "the vendor answers %u%s", a->status,
                       a->status == 429 ? " (too many requests)" : "");
        failed(d, now_ms, a->retry_after_s, why);
        return;
    }
    if (qr_doc_read(d->what.kind, a->body, a->header, &next, why, sizeof why) != QR_OK) {
        failed(d, now_ms, 0, why);
        return;
    }
    if (goes_back(d, &next)) {
        qr_doc_free(&next);
        failed(d, now_ms, 0, "the vendor's document is older than the one in hand");
        return;
    }
    if (d->failing) {
        qr_log(QR_LOG_INFO, "collateral", "fetch_recovered", "the document could be fetched again",
               QR_LOG_STR("what", qr_doc_name(d->what.kind)), QR_LOG_STR("url", d->what.url),
               QR_LOG_END);
    }
    keep(d, &next);
    d->failing = 0;
    d->good_ms = now_ms;
    d->backoff_ms = BACKOFF_MIN;
    d->due_ms = now_ms + c->cfg.refresh_ms;
    if (c->cfg.cache && c->cfg.cache[0] && !d->what.post[0]) {
        qr_cache_put(c->cfg.cache, d->what.url, a->header, a->body);
    }
}

/* What was good when the gateway last ran; it is due at once. */
static void
from_cache(struct qr_coll *c, struct document *d)
{
    struct qr_dbuf mem;
    qr_view header, body;

    qr_dbuf_init(&mem, QR_CACHE_FILE_MAX);
    if (c->cfg.cache && c->cfg.cache[0] && !d->what.post[0] &&
        qr_cache_get(c->cfg.cache, d->what.url, &mem, &header, &body) == QR_OK) {
        struct qr_doc got;
        if (qr_doc_read(d->what.kind, body, header, &got, NULL, 0) == QR_OK) {
            keep(d, &got);
        }
    }
    qr_dbuf_free(&mem);
}

/* ---- needs --------------------------------------------------------------------------------- */

/* An answer to other words is another document. */
static int
same_ask(const struct qr_need_doc *a, const struct qr_need_doc *b)
{
    return strcmp(a->url, b->url) == 0 && strcmp(a->post, b->post) == 0;
}

static struct document *
find(struct qr_coll *c, const struct qr_need_doc *what)
{
    for (size_t i = 0; i < c->n_docs; i++) {
        if (same_ask(&c->doc[i].what, what)) {
            return &c->doc[i];
        }
    }
    return NULL;
}

/* The documents of `next` take over what is known of the same URLs; the rest is freed. */
static void
take_over(struct qr_coll *c, struct document *next, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct document *old = find(c, &next[i].what);
        if (old) {
            next[i] = *old;
            *old = (struct document){0};
        } else {
            from_cache(c, &next[i]);
        }
    }
    for (size_t i = 0; i < c->n_docs; i++) {
        qr_doc_free(&c->doc[i].have);
    }
    memcpy(c->doc, next, n * sizeof *next);
    c->n_docs = n;
}

qr_err
qr_coll_need(struct qr_coll *c, qr_view json, uint64_t now_ms, char *err_text, size_t err_cap)
{
    struct scratch {
        struct qr_needs needs;
        struct document doc[QR_NEEDS_MAX * QR_NEED_DOCS];
    } *s = qr_alloc(sizeof *s);
    size_t n = 0;

    if (!s) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_needs_read(json, &c->cfg.bases, &s->needs, err_text, err_cap);
    if (e != QR_OK) {
        qr_free(s);
        return e;
    }
    struct need was[QR_NEEDS_MAX];
    size_t n_was = c->n_needs;
    memcpy(was, c->need, sizeof was);
    c->n_needs = s->needs.n;
    for (size_t i = 0; i < s->needs.n; i++) {
        const struct qr_need *from = &s->needs.need[i];
        struct need *to = &c->need[i];
        *to = (struct need){.source = from->source, .n = from->n};
        for (size_t k = 0; k < from->n; k++) {
            size_t at = 0;
            while (at < n && !same_ask(&s->doc[at].what, &from->doc[k])) {
                at++;
            }
            if (at == n) {
                s->doc[n++] = (struct document){.what = from->doc[k],
                                                .source = from->source,
                                                .due_ms = now_ms,
                                                .good_ms = now_ms,
                                                .backoff_ms = BACKOFF_MIN,
                                                .have = {.issued_ms = -1}};
            }
            to->doc[k] = at;
        }
        /* The same need in the same place with the same documents was handed already. */
        int known = i < n_was && was[i].source == to->source && was[i].n == to->n;
        for (size_t k = 0; known && k < to->n; k++) {
            known = same_ask(&c->doc[was[i].doc[k]].what, &s->doc[to->doc[k]].what);
        }
        to->handed = known ? was[i].handed : 0;
    }
    take_over(c, s->doc, n);
    qr_free(s);
    return QR_OK;
}

void
qr_coll_forget_handed(struct qr_coll *c)
{
    for (size_t i = 0; i < c->n_needs; i++) {
        c->need[i].handed = 0;
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static void
hand(struct qr_coll *c, struct need *need)
{
    struct qr_doc_piece piece[PIECES_MAX];
    size_t n = 0;
    uint64_t changes = 0;

    for (size_t k = 0; k < need->n; k++) {
        const struct document *d = &c->doc[need->doc[k]];
        if (!d->have.n && !d->what.optional) {
            return;
        }
        changes += d->changes;
        for (size_t i = 0; i < d->have.n; i++) {
            piece[n++] = d->have.piece[i];
        }
    }
    if (changes != need->handed && c->cfg.hand(c->cfg.ctx, need->source, piece, n) == QR_OK) {
        need->handed = changes;
    }
}

void
qr_coll_step(struct qr_coll *c, uint64_t now_ms)
{
    struct qr_fetch_done a;

    while (c->cfg.fetcher.next(c->cfg.fetcher.ctx, &a)) {
        for (size_t i = 0; i < c->n_docs; i++) {
            if (c->doc[i].job == a.id) {
                take_in(c, &c->doc[i], &a, now_ms);
            }
        }
    }
    for (size_t i = 0; i < c->n_docs; i++) {
        struct document *d = &c->doc[i];
        if (d->job == 0 && now_ms >= d->due_ms &&
            c->cfg.fetcher.start(c->cfg.fetcher.ctx, c->next_job,
                                 &(struct qr_fetch_ask){d->what.url, d->what.post, d->what.metadata,
                                                        qr_doc_header(d->what.kind)}) == QR_OK) {
            d->job = c->next_job++;
        }
    }
    for (size_t i = 0; i < c->n_needs; i++) {
        hand(c, &c->need[i]);
    }
}

uint64_t
qr_coll_deadline(const struct qr_coll *c)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < c->n_docs; i++) {
        if (c->doc[i].job == 0 && c->doc[i].due_ms < at) {
            at = c->doc[i].due_ms;
        }
    }
    return at;
}

int
qr_coll_fd(const struct qr_coll *c)
{
    return c->cfg.fetcher.fd;
}

qr_err
qr_coll_new(const struct qr_coll_cfg *cfg, struct qr_coll **ret, char *err_text, size_t err_cap)
{
    if (cfg->cache && cfg->cache[0]) {
        QR_TRY(qr_cache_check(cfg->cache, err_text, err_cap));
    }
    struct qr_coll *c = qr_alloc(sizeof *c);
    if (!c) {
        return QR_ERR_NO_MEMORY;
    }
    c->cfg = *cfg;
    c->next_job = 1;
    *ret = c;
    return QR_OK;
}

struct qr_coll *
qr_coll_free(struct qr_coll *c)
{
    if (c) {
        if (c->cfg.fetcher.free) {
            c->cfg.fetcher.free(c->cfg.fetcher.ctx);
        }
        for (size_t i = 0; i < c->n_docs; i++) {
            qr_doc_free(&c->doc[i].have);
        }
    }
    return qr_free(c);
}

/* ---- metrics ------------------------------------------------------------------------------- */

struct row {
    uint64_t have, want, failures, rollbacks, oldest_ms;
};

static qr_err __attribute__((format(printf, 2, 3)))
say(struct qr_dbuf *out, const char *format, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    QR_ASSERT(n >= 0 && (size_t)n < sizeof line);
    return qr_dbuf_append(out, line, (size_t)n);
}

static struct row
count(const struct qr_coll *c, const char *source, uint64_t now_ms)
{
    struct row r = {0};
    for (size_t i = 0; i < c->n_docs; i++) {
        const struct document *d = &c->doc[i];
        if (strcmp(d->source, source) == 0) {
            r.want++;
            r.have += d->have.n ? 1 : 0;
            r.failures += d->failures;
            r.rollbacks += d->rollbacks;
            uint64_t age = d->have.n ? now_ms - d->good_ms : 0;
            r.oldest_ms = age > r.oldest_ms ? age : r.oldest_ms;
        }
    }
    return r;
}

qr_err
qr_coll_metrics(const struct qr_coll *c, uint64_t now_ms, struct qr_dbuf *out)
{
    static const char *const sources[] = {"amd-kds",   "intel-pcs",   "azure-thim", "azure-tdquote",
                                          "google-ca", "google-root", "jwks"};
    static const struct {
        const char *name, *type, *help;
        size_t at;
        uint64_t per;
    } rows[] = {
        {"documents_wanted", "gauge", "Documents that the party's platform needs.",
         offsetof(struct row, want), 1},
        {"documents_held", "gauge", "Of them, in hand.", offsetof(struct row, have), 1},
        {"age_seconds", "gauge", "Since the oldest of them was fetched, or found on disk.",
         offsetof(struct row, oldest_ms), 1000},
        {"failures_total", "counter", "Attempts that failed.", offsetof(struct row, failures), 1},
        {"rollbacks_total", "counter", "Documents refused because a newer one is in hand.",
         offsetof(struct row, rollbacks), 1},
    };

    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        int said = 0;
        for (size_t s = 0; s < sizeof sources / sizeof sources[0]; s++) {
            struct row r = count(c, sources[s], now_ms);
            uint64_t v;
            if (r.want == 0) {
                continue;
            }
            memcpy(&v, (const uint8_t *)&r + rows[k].at, sizeof v);
            if (!said) {
                QR_TRY(say(out, "# HELP quorate_gateway_collateral_%s %s\n", rows[k].name,
                           rows[k].help));
                QR_TRY(say(out, "# TYPE quorate_gateway_collateral_%s %s\n", rows[k].name,
                           rows[k].type));
                said = 1;
            }
            QR_TRY(say(out, "quorate_gateway_collateral_%s{source=\"%s\"} %llu\n", rows[k].name,
                       sources[s], (unsigned long long)(v / rows[k].per)));
        }
    }
    return QR_OK;
}
