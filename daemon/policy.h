/*
 * The policy: which clients may have what signed, who has to approve it, and what a peer must be.
 *
 * What: {"v":1,"type":"quorate/policy","cluster":"<64 hex>","serial":3,
 *        "peers":{…},
 *        "requests":{"clients":[…],"approvers":[…],"gateways":[…],"rules":[…]}}
 *       signed by the administrators over the exact bytes. hash = TH("doc"; "policy", bytes).
 *       peers: enclave-shim/verify/POLICY.md. requests: daemon/REQUESTS.md, member by member.
 * Why a closed set of predicates: a rule that a person can read is a rule that a person can check.
 * Decision, for each item of a request: a deny rule that matches wins. Else the allow rules that match
 *       are tried in the document's order, and the first whose approvals are there and whose
 *       limits have room allows it. Else denied. All items are allowed, or the request is refused.
 *       "*" stands for all clients or all keys; kinds have no wildcard, so "digest" is allowed only
 *       where a rule says so. A predicate that an item cannot be asked (a chain id of a Bitcoin
 *       transaction) makes an allow rule not match, and a deny rule match: a doubt denies.
 * Invariants: immutable once parsed; names, keys and rule ids are unique; a rule names only clients
 *       and approvers that exist; an approver's origins are https, none of them a gateway's, unless
 *       the policy accepts the software TEE.
 * Thread rules: single-threaded (the clients' public keys are used in verification).
 */
#ifndef QR_POLICY_H
#define QR_POLICY_H

#include "daemon/admins.h"
#include "daemon/approval.h"
#include "daemon/budget.h"
#include "daemon/request.h"
#include "enclave-shim/verify/peers.h"

struct qr_client {
    char name[QR_NAME_MAX];
    struct qr_stamp_key key;
    struct qr_pubkey *pub;
    uint16_t index; /* position in qr_policy_client() order, 0.. */
};

struct qr_policy; /* opaque */

/*
 * Errors: as qr_json_parse and qr_json_fields, POINT (a client's key), NO_MEMORY; err_text names
 * the member and what is wrong with it.
 */
qr_err QR_MUST qr_policy_parse(qr_view text, struct qr_policy **ret, char *err_text,
                               size_t err_cap);
struct qr_policy *qr_policy_free(struct qr_policy *p);

/*
 * May `next` come into force over in_force (NULL: none yet)? Errors: CLUSTER (not this cluster's),
 * SERIAL, and qr_admins_verify's. *ret_same as for rosters.
 */
qr_err QR_MUST qr_policy_accept(const struct qr_policy *in_force, const struct qr_policy *next,
                                const uint8_t cluster[static 32], const struct qr_admins *admins,
                                qr_view text, const qr_view *stamps, size_t n_stamps, int *ret_same,
                                char *err_text, size_t err_cap);

const uint8_t *qr_policy_hash(const struct qr_policy *p);    /* 32 bytes */
const uint8_t *qr_policy_cluster(const struct qr_policy *p); /* 32 bytes */
uint64_t qr_policy_serial(const struct qr_policy *p);
/* 1: peers, and keys made with them, may be of the software TEE. */
int qr_policy_insecure_sim(const struct qr_policy *p);
/*
 * Makes a manifest's measurements count for this policy (peers.h); before anybody judges by it. m
 * must outlive the policy. Errors as qr_peers_add_manifest.
 */
qr_err QR_MUST qr_policy_add_manifest(struct qr_policy *p, const struct qr_manifest *m,
                                      qr_view signatures, char *err_text, size_t err_cap);
/* What a member must be; lives as long as p. */
const struct qr_peers *qr_policy_peers(const struct qr_policy *p);
size_t qr_policy_n_clients(const struct qr_policy *p);
const struct qr_client *qr_policy_client(const struct qr_policy *p, size_t i);

/* QR_ERR_CLIENT_UNKNOWN. */
qr_err QR_MUST qr_policy_find_client(const struct qr_policy *p, const struct qr_stamp_key *key,
                                     const struct qr_client **ret);

/*
 * Step 1 of a request: parses the stamp, finds its client, verifies. Errors: STAMP_MISSING (empty),
 * STAMP_INVALID, CLIENT_UNKNOWN, TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_policy_check_stamp(const struct qr_policy *p, qr_view header, qr_view body,
                                     const struct qr_client **ret, char *err_text, size_t err_cap);

size_t qr_policy_n_approvers(const struct qr_policy *p);
const struct qr_approver *qr_policy_approver(const struct qr_policy *p, size_t i);
/* All limits of all rules, in the document's order; what budgets are made of. */
size_t qr_policy_n_limits(const struct qr_policy *p);
const struct qr_limit *qr_policy_limit(const struct qr_policy *p, size_t i);

/* What is to be decided. */
struct qr_policy_ask {
    const struct qr_client *client;
    const struct qr_request *req;
    const uint8_t *key; /* 33 bytes: the key, looked up; not req->key, which may be an address */
    uint64_t approved;  /* bit i: approver i has approved exactly this request */
    /* "hours" must hold at both: our clock within the quorum's bounds, and the lower bound. */
    int64_t now_ms, lower_ms;
    const struct qr_budget *budget; /* NULL: limits are not looked at (a request known before) */
};

struct qr_policy_says {
    const char *rule; /* never NULL; lives as long as the policy. OK: of the first item */
    size_t item;      /* which one it is about */
    enum qr_kind kind;
    char why[QR_ERR_TEXT_MAX]; /* one sentence for the client: what was expected, what found */
    /* APPROVALS: how many of whom are missing. OK: who approved, of those the rules asked. */
    unsigned need;
    uint64_t of;
    uint64_t retry_s; /* LIMIT: 0: never */
    uint64_t life_ms; /* OK: how long a request may live that these rules allow */
    /* OK: what it takes from the limits; for qr_budget_take. */
    struct qr_charge charge[QR_ITEMS_MAX * QR_RULE_LIMITS_MAX];
    size_t n_charges;
};

/*
 * Decides. Also refuses, as POLICY_DENIED, a request that lives longer than QR_REQUEST_LIFE_MS when a
 * rule that allows it does not ask for approvals `within` that time. Errors: POLICY_DENIED (rule: the one
 * that denied, or "" when none matched), APPROVALS, LIMIT (rule: the first that would have allowed).
 * Charges of one limit are summed over the items. At most 50 us with 1,000 rules.
 */
qr_err QR_MUST qr_policy_decide(const struct qr_policy *p, const struct qr_policy_ask *ask,
                                struct qr_policy_says *ret);

/*
 * The `requests` part in words, a line at a time, for `quorate policy check`; with n and t of a quorum (0: not
 * known) also what each party gets of every limit.
 */
void qr_policy_explain(const struct qr_policy *p, unsigned n, unsigned t,
                       void (*line)(void *ctx, const char *text), void *ctx);

#endif
