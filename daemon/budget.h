/*
 * Budgets: what is left of the policy's limits, in one party.
 *
 * What: a limit is so many requests, wei or satoshis in a window of so many seconds, of one rule. The
 *       limits are the quorum's; a party counts alone, so each gets limit / (n - t + 1) of it: every
 *       signature needs one honest party at least, and n - t + 1 of them are the most there can be.
 *       Windows begin at multiples of their length since 1970.
 * Durable in blocks: `reserved` is what the store knows of; what is used never exceeds it. A crash
 *       forfeits what was reserved and not used. The record carries the counters of each limit by its
 *       identity (rule id, what, window), so that another policy does not begin anew.
 * Invariants: used <= reserved <= share; a charge is made as a whole or not at all; nothing is given
 *       back; a window that has turned never counts again, whatever the clock says later.
 * Shut: after a start a budget is shut until its owner says that nothing of it was rolled back
 *       (qr_budget_open), or until its window has turned.
 * Thread rules: none. No clock, no I/O.
 */
#ifndef QR_BUDGET_H
#define QR_BUDGET_H

#include "daemon/u256.h"
#include "protocol/base/limits.h"
#include "protocol/base/mem.h"

enum qr_unit { QR_UNIT_REQUESTS, QR_UNIT_WEI, QR_UNIT_SAT, QR_UNIT_COUNT };
const char *qr_unit_name(enum qr_unit u); /* "requests", "value_wei", "value_sat" */

/* A limit as the policy says it; index: its place in the policy, the name that charges use. */
struct qr_limit {
    char rule[QR_NAME_MAX + 1];
    enum qr_unit unit;
    uint32_t window_s; /* 60..31536000 */
    struct qr_u256 max;
};

/* What one request takes from one limit. */
struct qr_charge {
    uint16_t limit; /* index */
    struct qr_u256 amount;
};

struct qr_budget; /* opaque */

/*
 * The budgets of n limits. divisor: n_parties - t + 1, from the smallest t of this party's keys (no
 * key yet: 1). record: what qr_budget_record wrote before, or empty; with `shut` the limits it
 * speaks of, and all others, begin shut. STORE_CORRUPT (record), NO_MEMORY.
 */
qr_err QR_MUST qr_budget_new(const struct qr_limit *limits, size_t n, uint32_t divisor,
                             qr_view record, int shut, struct qr_budget **ret);
struct qr_budget *qr_budget_free(struct qr_budget *b);
/* Carries counters and reservations of `old` over to the same limits of `b` (another policy). */
void qr_budget_inherit(struct qr_budget *b, const struct qr_budget *old);
/* A key with a smaller t came: shares shrink. Never grows within a process. */
void qr_budget_divide(struct qr_budget *b, uint32_t divisor);

/*
 * now_ms: the lower bound of the quorum's time; started_ms: the same for when this process started (it is
 * known better later, and only rises). Windows turn, which empties them; one that began after started_ms
 * opens what was shut, because nothing that was lost can be of it.
 */
void qr_budget_time(struct qr_budget *b, int64_t now_ms, int64_t started_ms);
/* Nothing was rolled back: all may be used, less what the record had reserved. */
void qr_budget_open(struct qr_budget *b);
int qr_budget_shut(const struct qr_budget *b); /* how many are shut */

/*
 * Would n charges fit, together? LIMIT: *ret_limit is the first that is exceeded, *ret_retry_s the
 * seconds until its window turns. One charge above a whole share never fits: *ret_retry_s is 0.
 */
qr_err QR_MUST qr_budget_room(const struct qr_budget *b, const struct qr_charge *c, size_t n,
                              uint16_t *ret_limit, uint64_t *ret_retry_s);
/*
 * Takes them. *ret_write = 1: reservations grew; the caller makes the record durable before anything that
 * was charged for is done, and on failure the process signs nothing limited any more
 * (qr_budget_fail). LIMIT as above; nothing is taken then.
 */
qr_err QR_MUST qr_budget_take(struct qr_budget *b, const struct qr_charge *c, size_t n,
                              int *ret_write);
/* The record failed to become durable: everything is shut until the process ends. */
void qr_budget_fail(struct qr_budget *b);
/* Appends the record: at most QR_BUDGET_RECORD_MAX bytes. */
#define QR_BUDGET_RECORD_MAX (16u + QR_LIMITS_MAX * 160u)
qr_err QR_MUST qr_budget_record(const struct qr_budget *b, struct qr_dbuf *out);

/* For people and metrics: what is left and when the window turns; used, share. */
struct qr_budget_state {
    struct qr_u256 used, share;
    int64_t turns_ms;
    int shut;
};
void qr_budget_state(const struct qr_budget *b, size_t i, struct qr_budget_state *ret);

#endif
