/*
 * qr_party: one party, without its sockets and clocks.
 *
 * What: everything a party decides: who its peers are, which pairs are set up, which keys and
 *       presignatures it holds, which request it answers. It is driven by qr_party_step with the
 *       time as an argument and asked through qr_party_ask; main_party.c adds the event loop and the
 *       sockets, a simulation adds n of them, a fake clock and an in-memory link.
 * Why: the code that runs in production is the code that is tested under every fault.
 * Invariants: RETIRED is durable and announced before anything is answered; a presignature leaves
 *       its pool before a share is computed; no rsid runs twice; requests are judged by every
 *       signer itself.
 * Thread rules: single-threaded; `answer` callbacks run inside ask and step.
 */
#ifndef QR_PARTY_H
#define QR_PARTY_H

#include "daemon/store.h"
#include "enclave-shim/tee.h"
#include "proto/boundary.h"
#include "transport/net.h"

struct qr_party;

struct qr_party_cfg {
    /* Must outlive the party. advertise: what the descriptor says; NULL: the same as listen. */
    const char *listen, *advertise, *cloud, *operator_name;
    uint32_t pool_low, pool_high, pool_standby; /* presignatures per (key, set) we own */
    uint16_t batch;                             /* 4, 8, 12 or 16 */
    uint32_t sign_timeout_ms;                   /* before a request moves to another set */
    int zstd_level;
    const char
        *via; /* "127.0.0.1:7100": party i is dialled at port 7100 + i; NULL: by the roster */
};

struct qr_party_env {
    struct qr_tee *tee;
    const struct qr_roots *roots; /* whose evidence is believed; NULL: qr_roots_builtin() */
    struct qr_store *store;
    struct qr_rng rng;
    struct qr_link *(*new_link)(void *ctx, const struct qr_link_events *ev);
    void *new_link_ctx;
    /* One answer for every ask, at once or later. `to` is the ask's own. */
    void (*answer)(void *ctx, uint64_t to, const struct qr_answer *a);
    void *answer_ctx;
};

/*
 * Opens the party's state in the store (making an identity key the first time), and links if a
 * roster and a policy are in force. err_text: what, where, what to do.
 */
qr_err QR_MUST qr_party_new(const struct qr_party_cfg *cfg, const struct qr_party_env *env,
                            uint64_t now_ns, uint64_t wall_ms, struct qr_party **ret,
                            char *err_text, size_t err_cap);
struct qr_party *qr_party_free(struct qr_party *p);

/* Network, timers, and one quantum of presigning work. Returns 1 if there is more to do at once. */
int qr_party_step(struct qr_party *p, uint64_t now_ns, uint64_t wall_ms);
/* Poll readable => step; -1 while unlinked or in memory. It can change after an ask. */
int qr_party_fd(const struct qr_party *p);
/* When step must run even if all is quiet. */
uint64_t qr_party_deadline(const struct qr_party *p);

/* admin: 1 on the operator's socket; to: not 0. The ask's views need not outlive the call. */
void qr_party_ask(struct qr_party *p, int admin, uint64_t to, const struct qr_ask *ask);

/* Stops accepting; *ret_idle of drained becomes 1 when nothing is in flight. */
void qr_party_drain(struct qr_party *p);
int qr_party_drained(const struct qr_party *p);
int qr_party_drain_asked(const struct qr_party *p); /* by the operator's socket */

/* For readiness and sd_notify: 1 when a quorum is attested and the store is writable. */
int qr_party_ready(const struct qr_party *p, char *line, size_t cap);

#endif
