#include "daemon/gw_feed.h"

#include "daemon/gw_cache.h"
#include "daemon/log.h"

#include <stdio.h>

#define MS UINT64_C(1000000)
#define RETRY_MS 1000u

struct qr_gw_feed {
    const struct qr_config_gateway *cfg;
    struct qr_gw_party *party;
    struct qr_coll *coll; /* NULL until the party needs something */
    uint64_t now_ns, ask_at;
    uint64_t connects;    /* of the party, when it was last asked */
    int asking;           /* the answer to NEEDS is still to come */
    struct qr_dbuf needs; /* its last answer, not yet passed on */
    char tag_needs, tag_hand;
};

qr_err
qr_gw_feed_new(const struct qr_config_gateway *cfg, struct qr_gw_party *party,
               struct qr_gw_feed **ret, char *err_text, size_t err_cap)
{
    if (cfg->collateral.cache[0]) {
        QR_TRY(qr_cache_check(cfg->collateral.cache, err_text, err_cap));
    }
    struct qr_gw_feed *f = qr_alloc(sizeof *f);
    if (!f) {
        return QR_ERR_NO_MEMORY;
    }
    f->cfg = cfg;
    f->party = party;
    qr_dbuf_init(&f->needs, 64 * 1024);
    *ret = f;
    return QR_OK;
}

struct qr_gw_feed *
qr_gw_feed_free(struct qr_gw_feed *f)
{
    if (f) {
        qr_coll_free(f->coll);
        qr_dbuf_free(&f->needs);
    }
    return qr_free(f);
}

/* ---- to the party -------------------------------------------------------------------------- */

static qr_err
hand(void *ctx, const char *source, const struct qr_doc_piece *piece, size_t n)
{
    struct qr_gw_feed *f = ctx;
    struct qr_ask a = {.what = QR_ASK_COLLATERAL, .body = qr_view_str(source), .n_pieces = n};
    uint64_t id;

    if (n > QR_ASK_PIECES) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < n; i++) {
        a.pieces[i] =
            (struct qr_ask_piece){qr_view_str(piece[i].name), qr_view_of(piece[i].p, piece[i].len)};
    }
    return qr_gw_party_ask(f->party, &a, &f->tag_hand, f->now_ns, &id);
}

static void
ask_needs(struct qr_gw_feed *f)
{
    struct qr_ask a = {.what = QR_ASK_QUERY, .query = QR_QUERY_NEEDS};
    uint64_t id;

    if (qr_gw_party_connects(f->party) != f->connects && f->coll) {
        qr_coll_forget_handed(f->coll);
    }
    if (qr_gw_party_ask(f->party, &a, &f->tag_needs, f->now_ns, &id) == QR_OK) {
        f->connects = qr_gw_party_connects(f->party);
        f->ask_at = f->now_ns + QR_FEED_NEEDS_MS * MS;
        f->asking = 1;
    } else {
        f->ask_at = f->now_ns + RETRY_MS * MS; /* clients' questions fill its slots */
    }
}

int
qr_gw_feed_owns(const struct qr_gw_feed *f, const void *waiter)
{
    return waiter == &f->tag_needs || waiter == &f->tag_hand;
}

void
qr_gw_feed_answer(struct qr_gw_feed *f, const void *waiter, const struct qr_answer *a, qr_err why)
{
    qr_err e = a ? a->error : why;

    if (waiter == &f->tag_hand) {
        if (e != QR_OK) {
            qr_log(QR_LOG_WARN, "collateral", "not_taken",
                   "the party did not take a document; its log may say why", QR_LOG_ERR(e),
                   QR_LOG_END);
        }
        return;
    }
    f->asking = 0;
    f->needs.len = 0;
    if (e == QR_OK && qr_dbuf_append(&f->needs, a->json.p, a->json.len) != QR_OK) {
        f->needs.len = 0;
    }
}

/* ---- the cache ----------------------------------------------------------------------------- */

/* The first need starts the fetcher. */
static qr_err
start(struct qr_gw_feed *f, char *err_text, size_t err_cap)
{
    struct qr_coll_cfg c = {.bases = f->cfg->collateral.bases,
                            .cache = f->cfg->collateral.cache,
                            .refresh_ms = f->cfg->collateral.refresh_ms,
                            .ctx = f,
                            .hand = hand};
    QR_TRY(qr_fetch_curl(&c.fetcher));
    qr_err e = qr_coll_new(&c, &f->coll, err_text, err_cap);
    if (e != QR_OK) {
        c.fetcher.free(c.fetcher.ctx);
    }
    return e;
}

static void
take_needs(struct qr_gw_feed *f)
{
    static const char nothing[] = "{\"v\":1,\"needs\":[]}";
    char err[256] = "";
    qr_view json = qr_view_of(f->needs.p, f->needs.len);
    qr_err e = QR_OK;

    if (!f->coll && !qr_view_eq(json, qr_view_str(nothing))) {
        e = start(f, err, sizeof err);
    }
    if (e == QR_OK && f->coll) {
        e = qr_coll_need(f->coll, json, f->now_ns / MS, err, sizeof err);
    }
    if (e != QR_OK) {
        qr_log(QR_LOG_ERROR, "collateral", "needs",
               "what the party needs cannot be read or fetched; do both run the same version?",
               QR_LOG_ERR(e), QR_LOG_STR("why", err), QR_LOG_END);
    }
    f->needs.len = 0;
}

void
qr_gw_feed_step(struct qr_gw_feed *f, uint64_t now_ns)
{
    f->now_ns = now_ns;
    if (f->needs.len > 0) {
        take_needs(f);
    }
    if (qr_gw_party_up(f->party) && !f->asking &&
        (now_ns >= f->ask_at || qr_gw_party_connects(f->party) != f->connects)) {
        ask_needs(f);
    }
    if (f->coll) {
        qr_coll_step(f->coll, now_ns / MS);
    }
}

int
qr_gw_feed_fd(const struct qr_gw_feed *f)
{
    return f->coll ? qr_coll_fd(f->coll) : -1;
}

uint64_t
qr_gw_feed_deadline(const struct qr_gw_feed *f)
{
    uint64_t at = f->asking || !qr_gw_party_up(f->party) ? UINT64_MAX : f->ask_at;
    uint64_t coll = f->coll ? qr_coll_deadline(f->coll) : UINT64_MAX;
    coll = coll > UINT64_MAX / MS ? UINT64_MAX : coll * MS;
    return coll < at ? coll : at;
}

qr_err
qr_gw_feed_metrics(const struct qr_gw_feed *f, struct qr_dbuf *out)
{
    return f->coll ? qr_coll_metrics(f->coll, f->now_ns / MS, out) : QR_OK;
}
