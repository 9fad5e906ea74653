/*
 * A gateway's problem document (RFC 9457), read by whoever asked.
 *
 * What: the stable `code` and what belongs to it: the rule that refused, the party, how many approvals
 *       and whose, when to come again. Everything else in the document is left out.
 * Why: it is a stranger's text that ends on a terminal, in a log or in another protocol's error. So it
 *      is bounded, and what is not printable ASCII becomes '?'. Nothing of it is believed: a
 *      gateway can refuse with any words.
 * A body that is no such document leaves all but `status` empty.
 */
#ifndef QR_CLIENT_PROBLEM_H
#define QR_CLIENT_PROBLEM_H

#include "protocol/base/limits.h"
#include "protocol/base/view.h"

#define QR_PROBLEM_VALUES 256u
#define QR_PROBLEM_APPROVERS_MAX 512u

struct qr_problem {
    unsigned status;
    char code[40];    /* "" when there is none */
    char detail[400]; /* cut */
    char rule[QR_NAME_MAX + 1];
    unsigned party;                           /* 1..16; 0: none named */
    uint32_t need;                            /* approvals that a rule asks for */
    char approvers[QR_PROBLEM_APPROVERS_MAX]; /* their names, ", " between them; cut */
    uint64_t retry_s; /* of the header Retry-After, which the caller fills; 0: not said */
};

void qr_problem_read(unsigned status, qr_view body, struct qr_problem *ret);
/* "403 policy_denied: no rule allows it, party 2, rule hot-1": one line. Returns out. */
const char *qr_problem_text(const struct qr_problem *p, char *out, size_t cap);
/* 1: the same bytes may be accepted later: a limit, a party that is not ready, no answer in time. */
int qr_problem_is_temporary(const struct qr_problem *p);
/* 1: it was judged and refused: stamp, policy, approvals, replay. */
int qr_problem_is_refusal(const struct qr_problem *p);

#endif
