/*
 * qr_gw_feed: between the cache of collateral and the party.
 *
 * What: asks the party every QR_FEED_NEEDS_MS, and after each connection, what its platform needs;
 *       passes that to the cache (gw_coll.h); carries documents to the party.
 * Why: the party decides what it wants and believes none of it; the gateway does the errands. A party
 *      that needs nothing costs one small question a minute: no thread is started, nothing fetched.
 * Thread rules: the gateway's thread. qr_gw_feed_answer runs inside qr_gw_party_step and asks nothing.
 */
#ifndef QR_GW_FEED_H
#define QR_GW_FEED_H

#include "daemon/config.h"
#include "daemon/gw_coll.h"
#include "daemon/gw_party.h"

#define QR_FEED_NEEDS_MS 60000u

struct qr_gw_feed;

/* cfg and party outlive it. PERMISSIONS, NOT_FOUND (the cache folder), NO_MEMORY. */
qr_err QR_MUST qr_gw_feed_new(const struct qr_config_gateway *cfg, struct qr_gw_party *party,
                              struct qr_gw_feed **ret, char *err_text, size_t err_cap);
struct qr_gw_feed *qr_gw_feed_free(struct qr_gw_feed *f);

/* 1: the waiter of a question is the feed's own. */
int qr_gw_feed_owns(const struct qr_gw_feed *f, const void *waiter);
void qr_gw_feed_answer(struct qr_gw_feed *f, const void *waiter, const struct qr_answer *a,
                       qr_err why);

void qr_gw_feed_step(struct qr_gw_feed *f, uint64_t now_ns);
int qr_gw_feed_fd(const struct qr_gw_feed *f); /* -1: none */
uint64_t qr_gw_feed_deadline(const struct qr_gw_feed *f);
/* The cache's metrics; nothing when the party needs nothing. */
qr_err QR_MUST qr_gw_feed_metrics(const struct qr_gw_feed *f, struct qr_dbuf *out);

#endif
