/*
 * What the two readers of rules share: policy_rule.c (whom, when, how often, by whose leave) and
 * policy_kinds.c (what, by kind).
 */
#ifndef QR_POLICY_READ_H
#define QR_POLICY_READ_H

#include "daemon/policy_rule.h"

#define QR_KINDS_BTC (QR_KIND_BIT(QR_KIND_BTC_LEGACY) | QR_KIND_BIT(QR_KIND_BTC_BIP143))

/* Room for n elements. */
qr_err QR_MUST qr_rule_list_new(const struct qr_json_at *at, size_t n, size_t width,
                                struct qr_rule_list *ret);
/* Puts an element where it belongs; at: for the message when it is there already. */
qr_err QR_MUST qr_rule_list_put(const struct qr_json_at *at, struct qr_rule_list *l,
                                const uint8_t *bytes);
/* Reads one element of a list into exactly the list's width, zeroed before. */
typedef qr_err (*qr_rule_element)(const struct qr_json_at *at, uint8_t *out);
qr_err QR_MUST qr_rule_list_read(const struct qr_json_at *list, size_t width,
                                 qr_rule_element element, struct qr_rule_list *ret);

/* An element that is text of 1..max bytes. */
qr_err QR_MUST qr_rule_text(const struct qr_json_at *at, size_t max, qr_view *ret);
/* A member of an object at `at` that holds an amount in decimal. */
qr_err QR_MUST qr_rule_amount(const struct qr_json_at *at, const char *name, qr_view v,
                              struct qr_u256 *ret);
/* A member that only `kinds` can be asked stands in a rule for those alone. */
qr_err QR_MUST qr_rule_only_for(const struct qr_json_at *at, const struct qr_rule *r,
                                unsigned kinds);
/*
 * Highest amounts, limits and approvals say what is allowed; in a deny rule they would say the reverse.
 */
qr_err QR_MUST qr_rule_not_in_deny(const struct qr_json_at *at, const struct qr_rule *r,
                                   int present, const char *name);

/* The members of that name. */
qr_err QR_MUST qr_rule_read_eth(const struct qr_json_at *at, struct qr_rule *r);
qr_err QR_MUST qr_rule_read_erc20(const struct qr_json_at *at, struct qr_rule *r);
qr_err QR_MUST qr_rule_read_eip712(const struct qr_json_at *at, struct qr_rule *r);
qr_err QR_MUST qr_rule_read_eip191(const struct qr_json_at *at, struct qr_rule *r);
qr_err QR_MUST qr_rule_read_btc(const struct qr_json_at *at, struct qr_rule *r);

#endif
