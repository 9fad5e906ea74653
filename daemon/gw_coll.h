/*
 * qr_coll: the gateway's cache of collateral, and its way to the party.
 *
 * What: the party says what it needs (gw_need.h); each document is fetched when it is due, kept as
 *       the last good one, written to the cache folder, and handed to the party as untrusted
 *       pieces once a need is complete and whenever one of its documents changed.
 * Why: collateral expires (Intel's after 30 days), vendors throttle and fail, and a party that
 *      starts during an outage must find what was good yesterday.
 * Rules: a document that does not look like one never replaces a good one; nor does one that was
 *      issued before the one in hand. Failures back off from 1 to 60 minutes, or as long as the vendor
 *      asks for. Every failure is told once, with the time of the next attempt; every recovery too.
 * Invariants: at most QR_NEEDS_MAX * QR_NEED_DOCS documents; virtual time only: the caller has the
 *      clock, so that days pass in a test at once.
 * Thread rules: one thread; `hand` is called inside qr_coll_step.
 */
#ifndef QR_GW_COLL_H
#define QR_GW_COLL_H

#include "daemon/gw_fetch.h"
#include "protocol/base/mem.h"

struct qr_coll;

struct qr_coll_cfg {
    struct qr_need_bases bases;
    const char *cache; /* a folder of ours, or empty: memory only */
    uint32_t refresh_ms;
    struct qr_fetcher fetcher; /* freed with the object */
    void *ctx;
    /*
     * The pieces of one need. OK: the party has them or will; else they are handed again at the
     * next step.
     */
    qr_err (*hand)(void *ctx, const char *source, const struct qr_doc_piece *piece, size_t n);
};

/* NO_MEMORY; PERMISSIONS, NOT_FOUND (the cache folder), explained in err_text. */
qr_err QR_MUST qr_coll_new(const struct qr_coll_cfg *cfg, struct qr_coll **ret, char *err_text,
                           size_t err_cap);
struct qr_coll *qr_coll_free(struct qr_coll *c);

/*
 * What the party needs now. Documents that are needed still stay as they are. Errors as
 * qr_needs_read; then nothing changes.
 */
qr_err QR_MUST qr_coll_need(struct qr_coll *c, qr_view json, uint64_t now_ms, char *err_text,
                            size_t err_cap);
/* The party started anew: it has nothing. */
void qr_coll_forget_handed(struct qr_coll *c);

/* now_ms: of any clock that does not go backwards. */
void qr_coll_step(struct qr_coll *c, uint64_t now_ms);
/* When step must run even if the fetcher is quiet; UINT64_MAX: never. */
uint64_t qr_coll_deadline(const struct qr_coll *c);
int qr_coll_fd(const struct qr_coll *c);

/* Prometheus lines: by source, documents in hand, age of the oldest, failures, rollbacks refused. */
qr_err QR_MUST qr_coll_metrics(const struct qr_coll *c, uint64_t now_ms, struct qr_dbuf *out);

#endif
