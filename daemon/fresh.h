/*
 * qr_fresh: how old is what we know of the peers, and what may still be done with it.
 *
 * What: per peer the time since its evidence was last accepted, or since the collateral of that
 *       evidence ran out, whichever is longer; from it a stage; and what has to be remembered over a
 *       restart (marks of the newest collateral seen, the floor of the time).
 * Why: an outage of a vendor's service must neither stop a quorum at once nor go unnoticed: first it
 *      warns, then no new process is let in, then no new key is made, then nothing is signed, at the
 *      times of the signed policy.
 * Stages: of a peer by its age, connected or not; of the party by the (t-1)-th freshest peer, because
 *      with that one and the fresher ones it still signs.
 * Invariants: a process is `known` from the first evidence of its that was accepted without
 *             tolerance; only a known one may come back with collateral that has run out since.
 * Thread rules: none; no clock, no I/O.
 */
#ifndef QR_FRESH_H
#define QR_FRESH_H

#include "enclave-shim/verify/peers.h"
#include "protocol/base/buf.h"
#include "protocol/base/limits.h"

enum qr_fresh_stage {
    QR_FRESH_OK,
    QR_FRESH_WARN,
    QR_FRESH_NO_PEERS,
    QR_FRESH_NO_KEYS,
    QR_FRESH_STOP,
    QR_FRESH_STAGES
};

struct qr_fresh {
    struct {
        int known;
        uint8_t boot[32];
        uint64_t ok_ms; /* by the steady clock: when evidence was accepted last */
        int64_t end_ms; /* when its collateral and certificates end; INT64_MAX: they do not */
    } peer[QR_MAX_PARTIES + 1]; /* from 1 */
};

const char *qr_fresh_stage_name(enum qr_fresh_stage s); /* "ok", "warn", "no-peers", … */
/* What is no longer done, for people: "no new peers"; "" for OK. */
const char *qr_fresh_stage_means(enum qr_fresh_stage s);

/* Evidence of this process of the peer was accepted. */
void qr_fresh_accepted(struct qr_fresh *f, uint16_t peer, const uint8_t boot[static 32],
                       uint64_t mono_ms, int64_t end_ms);
int qr_fresh_knows(const struct qr_fresh *f, uint16_t peer, const uint8_t boot[static 32]);

/* 0 for a peer that is not known. now_ms: qr_qtime's. */
uint64_t qr_fresh_age_ms(const struct qr_fresh *f, uint16_t peer, uint64_t mono_ms, int64_t now_ms);

enum qr_fresh_stage qr_fresh_stage(const struct qr_peers_times *t, uint64_t age_ms);
/* When the stage after the one of this age begins; UINT64_MAX: there is none. */
uint64_t qr_fresh_next_ms(const struct qr_peers_times *t, uint64_t age_ms);

/*
 * The age that decides over the whole party: of the (t-1)-th freshest peer in the mask (bit i-1 is
 * party i), of the stalest if there are fewer, 0 if there is none.
 */
uint64_t qr_fresh_party_age_ms(const struct qr_fresh *f, uint16_t up_mask, uint16_t t,
                               uint64_t mono_ms, int64_t now_ms);

/*
 * How long after its end the collateral of this process is still taken: the policy's grace, and for
 * a known process up to where signing stops.
 */
uint64_t qr_fresh_tolerance_ms(const struct qr_fresh *f, const struct qr_peers_times *t,
                               uint16_t peer, const uint8_t boot[static 32]);

/*
 * What a restart must not forget.
 * Layout (big-endian): u8 version 1 || i64 floor || u16 n || n times: u8 kind || subject 32 || u64
 *      number || i64 issued || i64 next; dates are >= -1, each subject once.
 */
struct qr_fresh_memory {
    int64_t floor_ms;
    struct qr_collateral_marks marks;
};
#define QR_FRESH_MEMORY_MAX (11u + QR_MARKS_MAX * 57u)
void qr_fresh_memory_encode(const struct qr_fresh_memory *m, struct qr_buf *out);
/* MALFORMED, VERSION, TRUNCATED, TRAILING. */
qr_err QR_MUST qr_fresh_memory_decode(qr_view in, struct qr_fresh_memory *ret);

#endif
