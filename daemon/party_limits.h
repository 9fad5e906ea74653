/*
 * The policy's limits in a running party: budgets that outlive it.
 *
 * What: budgets (budget.h) under the policy in force, their durable record, and when they are open.
 *   - The record is written whenever reservations grow, before what was charged for is signed. Its
 *     commit raises the store's serial, which every peer is told and remembers.
 *   - After a start nothing limited is signed until every other party of the roster has been heard of
 *     on a channel: a peer that has seen a later serial of our store lets us have no channel, so a
 *     store that was rolled back does not open while one honest peer saw what was lost. A window that
 *     turns by the quorum's lower bound opens its limit all the same.
 * Why both: a limit that a restart resets is no limit, and a party that waits for a dead one for ever
 *     is no service.
 * What it cannot do: daemon/README.md and THREATS.md say what corrupt peers and rolled-back stores get.
 */
#ifndef QR_PARTY_LIMITS_H
#define QR_PARTY_LIMITS_H

#include "daemon/policy.h"

struct qr_party;
struct qr_jsonw;

/*
 * Budgets for a policy that is about to come into force (or does at the start); the caller sets them together
 * with it, so that a policy is never in force with another's. STORE_CORRUPT, STORE, NO_MEMORY.
 */
qr_err QR_MUST qr_limits_make(struct qr_party *p, const struct qr_policy *next,
                              struct qr_budget **ret);
void qr_limits_set(struct qr_party *p, struct qr_budget *b);
void qr_limits_close(struct qr_party *p);
/* Something came from this peer over an attested channel. */
void qr_limits_heard(struct qr_party *p, uint16_t peer);
/* The time went on, or a key came whose threshold makes shares smaller: before every decision. */
void qr_limits_time(struct qr_party *p);
/*
 * Takes what the decision charges; durable when it returns OK. LIMIT (it no longer fits), STORE (nothing
 * limited is signed by this process any more), NO_MEMORY.
 */
qr_err QR_MUST qr_limits_take(struct qr_party *p, const struct qr_policy_says *says);
/* "budgets":[{"rule","what","window_s","used","share","turns_ms","open"},…] for /v1/status. */
void qr_limits_status(const struct qr_party *p, struct qr_jsonw *w);

#endif
