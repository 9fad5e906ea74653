/*
 * qr_qtime: what time it is, as far as a quorum can know it.
 *
 * What: a lower bound (the t-th highest of the parties' clocks, our own included, and of the issue
 *       dates that vendors signed), an upper bound (the t-th lowest of the clocks), and a time within
 *       them that certificates and collateral are judged at.
 * Why: an enclave has no clock, its host's is a hint. With fewer than t liars, one of the t highest
 *      clocks belongs to an honest party, so its time was really reached, and one of the t lowest does,
 *      so it was not passed. A signed date is no liar's: it can only be too old.
 * Invariants: the floor (the highest lower bound so far) never goes down, and is kept over restarts
 *             by the owner; fewer than t clocks bound nothing; a clock that is told twice counts once.
 * Thread rules: none; no clock, no I/O. `mono_ms` is any clock that counts milliseconds steadily.
 * Source: Byzantine clock bounds by order statistics (Lamport, Melliar-Smith 1985).
 */
#ifndef QR_QTIME_H
#define QR_QTIME_H

#include "protocol/base/limits.h"

#include <stdint.h>

/* A clock that was told goes on with our steady one for so long; then it says nothing any more. */
#define QR_QTIME_KEEP_MS UINT64_C(3600000)

struct qr_qtime {
    uint16_t self;
    struct {
        int known;
        int64_t wall_ms;   /* what it said, */
        uint64_t mono_ms;  /* when it said it, by our steady clock */
        int64_t issued_ms; /* the newest date that a vendor signed in its evidence; -1: none */
    } party[QR_MAX_PARTIES + 1]; /* from 1 */
    int64_t floor_ms;            /* -1: nothing was ever sure */
};

/* Where the bounds stand. What is not known is -1 (lower) and INT64_MAX (upper). */
struct qr_qtime_now {
    int64_t now_ms; /* to judge dates by: our clock, kept within the bounds and above the floor */
    int64_t lower_ms, upper_ms;
    uint64_t apart_ms; /* between the bounds; 0 while one is not known */
    int agree;         /* 1: apart_ms is within the policy's spread */
};

/* self: 1..QR_MAX_PARTIES; floor_ms: what an earlier process was sure of, or -1. */
void qr_qtime_init(struct qr_qtime *q, uint16_t self, int64_t floor_ms);

/* Party's clock (our own: at every step). Values beyond year 9999 and unknown parties are ignored. */
void qr_qtime_told(struct qr_qtime *q, uint16_t party, uint64_t wall_ms, uint64_t mono_ms);

/* Our clock or our steady one jumped: what others said cannot be carried on. They tell us again soon. */
void qr_qtime_jumped(struct qr_qtime *q);

/* Its evidence was accepted, and the newest signed date in it is this; -1: it had none. */
void qr_qtime_issued(struct qr_qtime *q, uint16_t party, int64_t issued_ms);

/* t: 2..QR_MAX_PARTIES, the smallest number of parties that is a quorum. Raises the floor. */
void qr_qtime_read(struct qr_qtime *q, uint16_t t, uint64_t mono_ms, uint64_t spread_ms,
                   struct qr_qtime_now *ret);

#endif
