/*
 * One rule of a policy: what it asks of a request, read and asked.
 *
 * What: the closed predicates of daemon/REQUESTS.md. A rule is compiled while it is read: clients are
 *       bits, lists are sorted byte strings of one width, kinds a mask.
 * Three answers: a predicate says yes, no, or that it cannot be asked of this item (the chain of a
 *       transaction that names none). A rule matches when nothing says no, and: an allow rule when nothing
 *       was in doubt either; a deny rule in doubt, too.
 * Why strict reading: what can never match, or means the reverse of what it seems to, is refused
 *       here: a highest amount in a deny rule, a chain id for kinds that have none.
 * Thread rules: immutable once read.
 */
#ifndef QR_POLICY_RULE_H
#define QR_POLICY_RULE_H

#include "daemon/policy.h"
#include "proto/json_strict.h"

#define QR_RULE_LIST_MAX 256u /* elements of one list of a predicate */
#define QR_RULE_PATHS_MAX 32u
#define QR_RULE_SCRIPT_MAX 128u /* a receiver's script, bytes */
#define QR_RULE_NOTE_MAX 512u

/* Sorted byte strings of one width; text and scripts are padded with zeros behind their length. */
struct qr_rule_list {
    size_t n, width;
    uint8_t *p;
};

/* Predicates beside client, key and kind; a bit each in qr_rule.asks. */
enum qr_pred {
    QR_PRED_PATHS,
    QR_PRED_HOURS,
    QR_PRED_LIFE, /* every allow rule: how long the request lives */
    QR_PRED_ETH_TYPES,
    QR_PRED_ETH_CHAINS,
    QR_PRED_ETH_TO,
    QR_PRED_ETH_CREATE,
    QR_PRED_ETH_SELECTORS,
    QR_PRED_ETH_VALUE,
    QR_PRED_ETH_FEE,
    QR_PRED_ERC20_METHODS,
    QR_PRED_ERC20_TO,
    QR_PRED_ERC20_AMOUNT,
    QR_PRED_712_CHAINS,
    QR_PRED_712_CONTRACTS,
    QR_PRED_712_TYPES,
    QR_PRED_191_BYTES,
    QR_PRED_BTC_RECIPIENTS,
    QR_PRED_BTC_VALUE,
    QR_PRED_BTC_FEE,
    QR_PRED_COUNT
};
#define QR_PRED_BIT(p) (1u << (p))
const char *qr_pred_name(enum qr_pred p); /* "eth.max_value_wei": where it stands in a rule */

enum qr_erc20 { QR_ERC20_TRANSFER, QR_ERC20_APPROVE, QR_ERC20_TRANSFER_FROM, QR_ERC20_COUNT };
const char *qr_erc20_name(enum qr_erc20 m);

/* A path begins with this; depth 0: any. */
struct qr_rule_path {
    uint32_t at[QR_PATH_MAX];
    size_t depth;
};

/* What deciding looks at for every rule comes first, so that it lies together. */
struct qr_rule {
    int deny, all_clients, all_keys;
    unsigned kinds, asks;
    uint32_t life_ms; /* how long a request may live that this rule allows */
    uint64_t clients[QR_CLIENTS_MAX / 64];
    unsigned eth_types; /* bit n: type n */
    int create, no_data;
    struct qr_rule_list eth_chains, eth_to, eth_selectors;
    struct qr_u256 max_value, max_fee;
    struct qr_rule_list keys;

    unsigned erc20; /* bit per enum qr_erc20 */
    struct qr_rule_list erc20_to;
    struct qr_u256 max_amount;
    struct qr_rule_list typed_chains, typed_contracts, typed_types;
    uint64_t max_bytes; /* of an EIP-191 message */
    struct qr_rule_list recipients;
    uint64_t max_value_sat, max_fee_sat;

    struct qr_rule_path *path;
    size_t n_paths;
    unsigned days; /* bit 0: Monday */
    unsigned from_min,
        until_min; /* minutes of the day; until 1..1440; from > until: over midnight */

    size_t limit_first, n_limits; /* its limits, in the policy's list */
    unsigned need;                /* approvals; 0: none */
    uint64_t of;
    char id[QR_NAME_MAX];
};

/* What names in a rule may refer to. */
struct qr_rule_names {
    const struct qr_client *client;
    size_t n_clients;
    const struct qr_approver *approver;
    size_t n_approvers;
};

/*
 * Reads a rule into *ret, which is zeroed, and its limits behind the *n_limits that are there already in
 * `limit` (room for QR_LIMITS_MAX). Also on an error *ret is to be cleared. Errors as qr_json_fields.
 */
qr_err QR_MUST qr_rule_read(const struct qr_json_at *at, const struct qr_rule_names *names,
                            struct qr_limit *limit, size_t *n_limits, struct qr_rule *ret);
void qr_rule_clear(struct qr_rule *r);

/* A moment as "hours" sees it. */
struct qr_rule_moment {
    int known;
    unsigned day, minute; /* 0: Monday; of the day, UTC */
};
struct qr_rule_moment qr_rule_moment(int64_t ms); /* negative: not known */

/* What a rule is asked about, prepared once for all rules. */
struct qr_rule_ask {
    const struct qr_client *client;
    const struct qr_request *req;
    const uint8_t *key; /* 33 bytes */
    struct qr_rule_moment now, lower;
    uint64_t life_ms;
};

/* Client, key and one of the request's kinds: what is the same for all items. */
int qr_rule_concerns(const struct qr_rule *r, const struct qr_rule_ask *ask);
/*
 * Does a rule that concerns this request match this item? On 0 *ret_pred (may be NULL) is the first
 * predicate that was in the way; QR_PRED_COUNT: its kind.
 */
int qr_rule_match(const struct qr_rule *r, const struct qr_rule_ask *ask,
                  const struct qr_request_item *item, enum qr_pred *ret_pred);
/* What `pred` found in an item, for a sentence: "the value is 5 wei". Writes at most cap bytes. */
void qr_rule_found(enum qr_pred pred, const struct qr_rule_ask *ask,
                   const struct qr_request_item *item, char *out, size_t cap);

/* Satoshis that a Bitcoin item's outputs give to others than the script that is signed for. */
uint64_t qr_rule_leaving_sat(const struct qr_btc *t);

#endif
