/*
 * What a policy is inside; for policy.c, policy_decide.c and policy_explain.c alone.
 */
#ifndef QR_POLICY_INT_H
#define QR_POLICY_INT_H

#include "daemon/policy_rule.h"

struct qr_policy {
    uint8_t cluster[32], hash[32];
    uint64_t serial;
    struct qr_peers *peers;
    size_t n_clients, n_approvers, n_rules, n_limits;
    struct qr_client client[QR_CLIENTS_MAX]; /* in the document's order */
    uint16_t by_key[QR_CLIENTS_MAX];         /* indices into client, ascending by key */
    struct qr_approver *approver;            /* arrays of what the document has; NULL: none */
    struct qr_rule *rule;
    struct qr_limit *limit;
};

#endif
