/*
 * The replay and idempotency table of a party: in memory only.
 *
 * What: (client key, id) -> (request hash, state, answer). The same id with the same bytes gives
 *       the stored answer; with other bytes it is a conflict.
 * Why in memory: it is complete for everything issued since the party started, and older requests
 *       are refused (daemon/window.h); so nothing needs a disk write per request.
 * Invariants: an entry is forgotten only when nobody would accept its request any more (expiry plus
 *       skew). When entries or bytes run out, new requests are refused (RATE_LIMITED); nothing is
 *       dropped early. One client holds at most `per_client` entries, so it cannot lock out others.
 *       Bytes for the answer are reserved when the request is admitted.
 * Thread rules: single-threaded.
 */
#ifndef QR_REPLAY_H
#define QR_REPLAY_H

#include "daemon/stamp.h"

struct qr_replay;

struct qr_replay_limits {
    size_t entries;    /* 1..2^24 */
    size_t per_client; /* 1..entries */
    size_t bytes;      /* of reserved and stored answers */
};

enum qr_replay_state {
    QR_REPLAY_NEW,     /* entered now; the caller goes on */
    QR_REPLAY_RUNNING, /* the same request is being worked on */
    QR_REPLAY_DONE,    /* the same request; the answer is there */
    QR_REPLAY_FAILED,  /* the same request failed before and may be tried again; now RUNNING */
};

/* NO_MEMORY, USAGE (limits). Memory grows with use. */
qr_err QR_MUST qr_replay_new(const struct qr_replay_limits *limits, struct qr_replay **ret);
struct qr_replay *qr_replay_free(struct qr_replay *r);

/*
 * Enters or finds a request. who: the client's key (commands: the zero key). forget_ms:
 * qr_window_forget_ms of its window. answer_max: bytes to keep free for the answer. *ret_slot names
 * the entry until forget_ms. Errors: REPLAY_CONFLICT (this id, other hash), RATE_LIMITED (full),
 * EXPIRED (forget_ms is not after now_ms), NO_MEMORY.
 */
qr_err QR_MUST qr_replay_begin(struct qr_replay *r, const struct qr_stamp_key *who, qr_view id,
                               const uint8_t hash[static 32], uint64_t now_ms, uint64_t forget_ms,
                               size_t answer_max, enum qr_replay_state *ret_state,
                               uint64_t *ret_slot);
/*
 * Stores the answer of a RUNNING entry (at most its answer_max bytes). A slot that was forgotten
 * meanwhile is no error: there is nobody left to ask. Errors: USAGE (not running), TOO_LARGE,
 * NO_MEMORY (the entry stays RUNNING: fail it).
 */
qr_err QR_MUST qr_replay_finish(struct qr_replay *r, uint64_t slot, qr_view answer);
/* Ends a RUNNING entry without an answer: the same request may run again. */
void qr_replay_fail(struct qr_replay *r, uint64_t slot);
/* The answer of a DONE entry; empty if there is none. Valid until the next call that changes r. */
qr_view qr_replay_answer(const struct qr_replay *r, uint64_t slot);
/* The hash a client's id is known by; 0 if unknown or forgotten. For a second signer's own check. */
int qr_replay_find(struct qr_replay *r, const struct qr_stamp_key *who, qr_view id, uint64_t now_ms,
                   uint8_t ret_hash[static 32]);
/* Forgets what is due; begin does it as well. */
void qr_replay_expire(struct qr_replay *r, uint64_t now_ms);
void qr_replay_stats(const struct qr_replay *r, size_t *ret_entries, size_t *ret_bytes);

#endif
