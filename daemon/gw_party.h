/*
 * The gateway's end of the boundary: one stream to the party, many questions in flight.
 *
 * What: connects to the party's socket and reconnects with backoff; numbers each question with a
 *       slot and a generation; writes all that waits in one call, reads all that came in one call,
 *       and hands each answer to whoever asked.
 * Why: a party that restarts must not take the gateway with it, and a late answer must never reach
 *      the wrong client.
 * Invariants: every accepted question gets exactly one on_answer or one qr_gw_party_forget; at most
 *      max_in_flight are open; nothing is sent twice (clients retry: requests are idempotent).
 * Thread and callback rules: single-threaded; on_answer runs inside qr_gw_party_step and may not
 *      ask or free.
 */
#ifndef QR_GW_PARTY_H
#define QR_GW_PARTY_H

#include "proto/boundary.h"

struct qr_gw_party;

struct qr_gw_party_cfg {
    const char *path; /* AF_UNIX; must outlive the object */
    uint32_t max_in_flight;
    uint32_t answer_timeout_ms;
    void *ctx;
    /*
     * a: the party's answer, alive during the call; NULL when there is none, and `why` says it:
     * NOT_READY (the connection was lost) or TIMEOUT.
     */
    void (*on_answer)(void *ctx, void *waiter, const struct qr_answer *a, qr_err why);
};

/* NO_MEMORY. Connects at the first step. */
qr_err QR_MUST qr_gw_party_new(const struct qr_gw_party_cfg *cfg, struct qr_gw_party **ret);
/* Open questions are dropped without a call. Takes NULL, returns NULL. */
struct qr_gw_party *qr_gw_party_free(struct qr_gw_party *p);

/*
 * Queues a question (its id is set here). NOT_READY: the party is away; BUSY: too many in flight or
 * too many bytes queued; MALFORMED and the like from the encoder.
 */
qr_err QR_MUST qr_gw_party_ask(struct qr_gw_party *p, struct qr_ask *a, void *waiter,
                               uint64_t now_ns, uint64_t *ret_id);
/* The waiter is gone; its answer will be thrown away. Unknown ids are ignored. */
void qr_gw_party_forget(struct qr_gw_party *p, uint64_t id);

/* Connects, reads, answers, times out. */
void qr_gw_party_step(struct qr_gw_party *p, uint64_t now_ns);
/* Writes what was asked since. */
void qr_gw_party_flush(struct qr_gw_party *p, uint64_t now_ns);
/* For poll(2): the socket or -1, and POLLIN with POLLOUT while a write is stuck. */
int qr_gw_party_fd(const struct qr_gw_party *p);
short qr_gw_party_events(const struct qr_gw_party *p);
/* When step must run even if the socket is quiet. */
uint64_t qr_gw_party_deadline(const struct qr_gw_party *p);

int qr_gw_party_up(const struct qr_gw_party *p);
uint32_t qr_gw_party_in_flight(const struct qr_gw_party *p);
uint64_t qr_gw_party_connects(const struct qr_gw_party *p);

#endif
