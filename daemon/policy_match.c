/*
 * Asking a rule: one small function for each predicate, which answers no, doubt or yes. They are asked
 * in the order of enum qr_pred, the cheap ones first.
 */
#include "daemon/policy_rule.h"
#include "protocol/base/enc.h"

#include <stdio.h>

enum answer { NO, DOUBT, YES };

static const char *const pred_names[QR_PRED_COUNT] = {
    [QR_PRED_PATHS] = "paths",
    [QR_PRED_HOURS] = "hours",
    [QR_PRED_LIFE] = "approvals.within_s",
    [QR_PRED_ETH_TYPES] = "eth.types",
    [QR_PRED_ETH_CHAINS] = "eth.chain_ids",
    [QR_PRED_ETH_TO] = "eth.to",
    [QR_PRED_ETH_CREATE] = "eth.create",
    [QR_PRED_ETH_SELECTORS] = "eth.selectors",
    [QR_PRED_ETH_VALUE] = "eth.max_value_wei",
    [QR_PRED_ETH_FEE] = "eth.max_fee_wei",
    [QR_PRED_ERC20_METHODS] = "erc20.methods",
    [QR_PRED_ERC20_TO] = "erc20.to",
    [QR_PRED_ERC20_AMOUNT] = "erc20.max_amount",
    [QR_PRED_712_CHAINS] = "eip712.chain_ids",
    [QR_PRED_712_CONTRACTS] = "eip712.contracts",
    [QR_PRED_712_TYPES] = "eip712.primary_types",
    [QR_PRED_191_BYTES] = "eip191.max_bytes",
    [QR_PRED_BTC_RECIPIENTS] = "btc.recipients",
    [QR_PRED_BTC_VALUE] = "btc.max_value_sat",
    [QR_PRED_BTC_FEE] = "btc.max_fee_sat",
};

const char *
qr_pred_name(enum qr_pred p)
{
    return (unsigned)p < QR_PRED_COUNT ? pred_names[p] : "kinds";
}

static enum answer
yes_if(int c)
{
    return c ? YES : NO;
}

static int
listed(const struct qr_rule_list *l, const uint8_t *bytes)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = memcmp(l->p + mid * l->width, bytes, l->width);
        if (c == 0) {
            return 1;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return 0;
}

static int
chain_listed(const struct qr_rule_list *l, uint64_t chain)
{
    uint8_t bytes[8];

    qr_put64(bytes, chain);
    return listed(l, bytes);
}

static struct qr_u256
amount_at(const uint8_t bytes[static 32])
{
    struct qr_u256 v;

    memcpy(v.b, bytes, sizeof v.b);
    return v;
}

/* ---- of the whole request ---- */

static enum answer
ask_paths(const struct qr_rule *r, const struct qr_request *q)
{
    for (size_t i = 0; i < r->n_paths; i++) {
        const struct qr_rule_path *p = &r->path[i];
        if (p->depth <= q->depth && memcmp(p->at, q->path, p->depth * sizeof p->at[0]) == 0) {
            return YES;
        }
    }
    return NO;
}

struct qr_rule_moment
qr_rule_moment(int64_t ms)
{
    struct qr_rule_moment m = {.known = ms >= 0};

    if (m.known) {
        uint64_t minutes = (uint64_t)ms / 60000;
        m.minute = (unsigned)(minutes % 1440);
        m.day = (unsigned)((minutes / 1440 + 3) % 7); /* 1970 began on a Thursday */
    }
    return m;
}

/* Hours over midnight belong to the day on which they began. */
static int
within_hours(const struct qr_rule *r, const struct qr_rule_moment *m)
{
    int today = r->days >> m->day & 1, yesterday = r->days >> (m->day + 6) % 7 & 1;

    if (r->from_min < r->until_min) {
        return today && m->minute >= r->from_min && m->minute < r->until_min;
    }
    return (today && m->minute >= r->from_min) || (yesterday && m->minute < r->until_min);
}

/* Our clock is a hint of our host's; the lower bound is the quorum's word. They must agree. */
static enum answer
ask_hours(const struct qr_rule *r, const struct qr_rule_ask *ask)
{
    if (!ask->now.known || !ask->lower.known) {
        return DOUBT;
    }
    int now = within_hours(r, &ask->now), lower = within_hours(r, &ask->lower);
    return now && lower ? YES : now || lower ? DOUBT : NO;
}

/* ---- Ethereum ---- */

static enum answer
ask_to(const struct qr_rule *r, const struct qr_eth_tx *t)
{
    return t->has_to ? yes_if(listed(&r->eth_to, t->to)) : DOUBT;
}

/* The data of a creation is a program, and one to three bytes reach a contract's fallback. */
static enum answer
ask_selectors(const struct qr_rule *r, const struct qr_eth_tx *t)
{
    if (!t->has_to) {
        return DOUBT;
    }
    if (t->data.len == 0) {
        return yes_if(r->no_data);
    }
    return t->has_selector ? yes_if(listed(&r->eth_selectors, t->selector)) : DOUBT;
}

/* The most that may be paid for gas. */
static qr_err
highest_fee(const struct qr_eth_tx *t, struct qr_u256 *ret)
{
    struct qr_u256 per_gas = amount_at(t->max_fee);

    return qr_u256_mul(&per_gas, t->gas_limit, ret);
}

static enum answer
ask_fee(const struct qr_rule *r, const struct qr_eth_tx *t)
{
    struct qr_u256 fee;

    return yes_if(highest_fee(t, &fee) == QR_OK && qr_u256_cmp(&fee, &r->max_fee) <= 0);
}

/*
 * A call of one of the three methods, exactly as its signature says: who receives, or may take, and
 * how much. 0: another call; -1: one of the methods with arguments that are not canonical.
 */
struct erc20_call {
    enum qr_erc20 method;
    const uint8_t *to, *amount;
};

static int
read_erc20_call(const struct qr_eth_tx *t, struct erc20_call *ret)
{
    static const struct {
        uint8_t selector[4];
        size_t words;
    } methods[QR_ERC20_COUNT] = {
        [QR_ERC20_TRANSFER] = {{0xa9, 0x05, 0x9c, 0xbb}, 2},
        [QR_ERC20_APPROVE] = {{0x09, 0x5e, 0xa7, 0xb3}, 2},
        [QR_ERC20_TRANSFER_FROM] = {{0x23, 0xb8, 0x72, 0xdd}, 3},
    };
    static const uint8_t zeros[12];
    unsigned m = 0;

    while (m < QR_ERC20_COUNT &&
           !(t->has_selector && memcmp(t->selector, methods[m].selector, 4) == 0)) {
        m++;
    }
    if (m == QR_ERC20_COUNT) {
        return 0;
    }
    size_t words = methods[m].words;
    if (t->data.len != 4 + 32 * words) {
        return -1;
    }
    for (size_t i = 0; i + 1 < words; i++) {
        if (memcmp(t->data.p + 4 + 32 * i, zeros, sizeof zeros) != 0) {
            return -1;
        }
    }
    *ret = (struct erc20_call){.method = (enum qr_erc20)m,
                               .to = t->data.p + 4 + 32 * (words - 2) + sizeof zeros,
                               .amount = t->data.p + 4 + 32 * (words - 1)};
    return 1;
}

static enum answer
ask_erc20(enum qr_pred pred, const struct qr_rule *r, const struct qr_eth_tx *t)
{
    struct erc20_call c;
    int is = read_erc20_call(t, &c);

    if (is <= 0) {
        return is < 0 ? DOUBT : NO;
    }
    if (pred == QR_PRED_ERC20_METHODS) {
        return yes_if(r->erc20 >> c.method & 1);
    }
    if (pred == QR_PRED_ERC20_TO) {
        return yes_if(listed(&r->erc20_to, c.to));
    }
    struct qr_u256 amount = amount_at(c.amount);
    return yes_if(qr_u256_cmp(&amount, &r->max_amount) <= 0);
}

/* ---- typed data ---- */

static enum answer
ask_type(const struct qr_rule *r, const struct qr_712 *t)
{
    uint8_t name[QR_NAME_MAX] = {0};
    size_t len = strlen(t->primary_type);

    if (len > sizeof name) {
        return NO; /* no rule can name it */
    }
    memcpy(name, t->primary_type, len);
    return yes_if(listed(&r->typed_types, name));
}

/* ---- Bitcoin ---- */

static uint64_t
little(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n-- > 0) {
        v = v << 8 | p[n];
    }
    return v;
}

/* The next output at *at (0 at first) of a transaction that was read before; 0: there is none. */
static int
next_output(const struct qr_btc *t, size_t *at, uint64_t *ret_sat, qr_view *ret_script)
{
    size_t i = *at ? *at : t->outputs_at;

    if (t->tx.len < i + 9 + 4) { /* behind the last one stands the lock time */
        return 0;
    }
    const uint8_t *p = t->tx.p + i;
    size_t width = p[8] < 0xfd ? 0 : p[8] == 0xfd ? 2 : 4;
    if (t->tx.len - i < 9 + width) {
        return 0;
    }
    uint64_t len = width ? little(p + 9, width) : p[8];
    if (len > t->tx.len - i - 9 - width) {
        return 0;
    }
    *ret_sat = little(p, 8);
    *ret_script = qr_view_of(p + 9 + width, (size_t)len);
    *at = i + 9 + width + (size_t)len;
    return 1;
}

uint64_t
qr_rule_leaving_sat(const struct qr_btc *t)
{
    uint64_t leaving = t->out_sat, sat;
    size_t at = 0;
    qr_view script;

    for (uint16_t i = 0; i < t->n_out && next_output(t, &at, &sat, &script); i++) {
        if (qr_view_eq(script, t->own_script)) {
            leaving -= sat < leaving ? sat : leaving;
        }
    }
    return leaving;
}

/*
 * An allow rule wants every output to go to one of its receivers, or back; a deny rule is about any
 * output that goes to one of them.
 */
static enum answer
ask_recipients(const struct qr_rule *r, const struct qr_btc *t)
{
    uint8_t padded[QR_RULE_SCRIPT_MAX + 1];
    uint64_t sat;
    size_t at = 0;
    uint16_t seen = 0;
    qr_view script;

    for (; seen < t->n_out && next_output(t, &at, &sat, &script); seen++) {
        int hit = 0;
        if (script.len > 0 && script.len <= QR_RULE_SCRIPT_MAX) {
            memset(padded, 0, sizeof padded);
            padded[0] = (uint8_t)script.len;
            memcpy(padded + 1, script.p, script.len);
            hit = listed(&r->recipients, padded);
        }
        if (r->deny && hit) {
            return YES;
        }
        if (!r->deny && !hit && !qr_view_eq(script, t->own_script)) {
            return NO;
        }
    }
    if (seen < t->n_out) {
        return DOUBT;
    }
    return r->deny ? NO : YES;
}

static enum answer
ask_btc_fee(const struct qr_rule *r, const struct qr_btc *t)
{
    if (!t->fee_bound || t->spent_sat < t->out_sat) {
        return DOUBT; /* the amounts are nobody's but the client's word */
    }
    return yes_if(t->spent_sat - t->out_sat <= r->max_fee_sat);
}

/* ---- all of them ---- */

static enum answer
answer(enum qr_pred pred, const struct qr_rule *r, const struct qr_rule_ask *ask,
       const struct qr_request_item *item)
{
    switch (pred) {
    case QR_PRED_PATHS:
        return ask_paths(r, ask->req);
    case QR_PRED_HOURS:
        return ask_hours(r, ask);
    case QR_PRED_LIFE:
        return yes_if(ask->life_ms <= r->life_ms);
    case QR_PRED_ETH_TYPES:
        return yes_if(item->eth.type < 3 && r->eth_types >> item->eth.type & 1);
    case QR_PRED_ETH_CHAINS:
        return item->eth.has_chain_id ? yes_if(chain_listed(&r->eth_chains, item->eth.chain_id))
                                      : DOUBT;
    case QR_PRED_ETH_TO:
        return ask_to(r, &item->eth);
    case QR_PRED_ETH_CREATE:
        return yes_if(r->create == !item->eth.has_to);
    case QR_PRED_ETH_SELECTORS:
        return ask_selectors(r, &item->eth);
    case QR_PRED_ETH_VALUE:
        return yes_if(memcmp(item->eth.value, r->max_value.b, 32) <= 0);
    case QR_PRED_ETH_FEE:
        return ask_fee(r, &item->eth);
    case QR_PRED_ERC20_METHODS:
    case QR_PRED_ERC20_TO:
    case QR_PRED_ERC20_AMOUNT:
        return ask_erc20(pred, r, &item->eth);
    case QR_PRED_712_CHAINS:
        return item->typed.has_chain_id
                   ? yes_if(chain_listed(&r->typed_chains, item->typed.chain_id))
                   : DOUBT;
    case QR_PRED_712_CONTRACTS:
        return item->typed.has_contract ? yes_if(listed(&r->typed_contracts, item->typed.contract))
                                        : DOUBT;
    case QR_PRED_712_TYPES:
        return ask_type(r, &item->typed);
    case QR_PRED_191_BYTES:
        return yes_if(item->preimage.len <= r->max_bytes);
    case QR_PRED_BTC_RECIPIENTS:
        return ask_recipients(r, &item->btc);
    case QR_PRED_BTC_VALUE:
        return yes_if(qr_rule_leaving_sat(&item->btc) <= r->max_value_sat);
    case QR_PRED_BTC_FEE:
        return ask_btc_fee(r, &item->btc);
    case QR_PRED_COUNT:
        break;
    }
    return DOUBT;
}

int
qr_rule_concerns(const struct qr_rule *r, const struct qr_rule_ask *ask)
{
    size_t c = ask->client->index;

    return (r->kinds & ask->req->kinds) &&
           (r->all_clients || (r->clients[c / 64] >> (c % 64) & 1)) &&
           (r->all_keys || listed(&r->keys, ask->key));
}

int
qr_rule_match(const struct qr_rule *r, const struct qr_rule_ask *ask,
              const struct qr_request_item *item, enum qr_pred *ret_pred)
{
    enum qr_pred in_the_way = QR_PRED_COUNT;
    int match = (r->kinds & QR_KIND_BIT(item->kind)) != 0;

    for (unsigned p = 0; match && r->asks >> p; p++) {
        if (r->asks & QR_PRED_BIT(p)) {
            in_the_way = (enum qr_pred)p;
            enum answer a = answer(in_the_way, r, ask, item);
            match = a == YES || (a == DOUBT && r->deny);
        }
    }
    if (!match && ret_pred) {
        *ret_pred = in_the_way;
    }
    return match;
}

/* ---- in words ---- */

static void
put_address(char *out, size_t cap, const char *what, const uint8_t *address)
{
    char hex[41];

    qr_hex_encode(qr_view_of(address, 20), hex);
    (void)snprintf(out, cap, "%s 0x%s", what, hex);
}

static void
put_amount(char *out, size_t cap, const char *what, const uint8_t *bytes, const char *unit)
{
    struct qr_u256 v = amount_at(bytes);
    char text[QR_U256_TEXT];

    qr_u256_text(&v, text);
    (void)snprintf(out, cap, "%s %s%s", what, text, unit);
}

static void
found_eth(enum qr_pred pred, const struct qr_eth_tx *t, char *out, size_t cap)
{
    struct qr_u256 fee;
    struct erc20_call c;
    char hex[9];

    switch (pred) {
    case QR_PRED_ETH_TYPES:
        (void)snprintf(out, cap, "the type is %u", t->type);
        break;
    case QR_PRED_ETH_CHAINS:
        if (t->has_chain_id) {
            (void)snprintf(out, cap, "the chain is %llu", (unsigned long long)t->chain_id);
        } else {
            (void)snprintf(out, cap, "the transaction names no chain");
        }
        break;
    case QR_PRED_ETH_VALUE:
        put_amount(out, cap, "the value is", t->value, " wei");
        break;
    case QR_PRED_ETH_FEE:
        if (highest_fee(t, &fee) == QR_OK) {
            put_amount(out, cap, "the fee may reach", fee.b, " wei");
        } else {
            (void)snprintf(out, cap, "the fee may reach more than fits");
        }
        break;
    case QR_PRED_ETH_TO:
    case QR_PRED_ETH_CREATE:
        if (t->has_to) {
            put_address(out, cap, "the receiver is", t->to);
        } else {
            (void)snprintf(out, cap, "it creates a contract");
        }
        break;
    case QR_PRED_ERC20_TO:
    case QR_PRED_ERC20_AMOUNT:
        if (read_erc20_call(t, &c) == 1) {
            if (pred == QR_PRED_ERC20_TO) {
                put_address(out, cap, "the tokens are for", c.to);
            } else {
                put_amount(out, cap, "the amount is", c.amount, "");
            }
            break;
        }
        (void)snprintf(out, cap, "the call's arguments are not canonical");
        break;
    default: /* methods and selectors */
        if (!t->has_to) {
            (void)snprintf(out, cap, "it creates a contract");
        } else if (t->has_selector) {
            qr_hex_encode(qr_view_of(t->selector, 4), hex);
            (void)snprintf(out, cap, "the selector is 0x%s, with %zu bytes behind", hex,
                           t->data.len - 4);
        } else {
            (void)snprintf(out, cap, "the data has %zu bytes", t->data.len);
        }
        break;
    }
}

static void
found_typed(enum qr_pred pred, const struct qr_712 *t, char *out, size_t cap)
{
    if (pred == QR_PRED_712_TYPES) {
        (void)snprintf(out, cap, "the primary type is %s", t->primary_type);
    } else if (pred == QR_PRED_712_CHAINS && t->has_chain_id) {
        (void)snprintf(out, cap, "the chain is %llu", (unsigned long long)t->chain_id);
    } else if (pred == QR_PRED_712_CONTRACTS && t->has_contract) {
        put_address(out, cap, "the contract is", t->contract);
    } else {
        (void)snprintf(out, cap, "the domain names none");
    }
}

static void
found_btc(enum qr_pred pred, const struct qr_btc *t, char *out, size_t cap)
{
    if (pred == QR_PRED_BTC_RECIPIENTS) {
        (void)snprintf(out, cap, "an output goes to another script");
    } else if (pred == QR_PRED_BTC_VALUE) {
        (void)snprintf(out, cap, "%llu satoshis leave", (unsigned long long)qr_rule_leaving_sat(t));
    } else if (t->fee_bound) {
        (void)snprintf(out, cap, "the fee is %llu satoshis",
                       (unsigned long long)(t->spent_sat - t->out_sat));
    } else {
        (void)snprintf(out, cap,
                       "the fee is not known unless all inputs are signed in this request");
    }
}

void
qr_rule_found(enum qr_pred pred, const struct qr_rule_ask *ask, const struct qr_request_item *item,
              char *out, size_t cap)
{
    switch (item->kind) {
    case QR_KIND_ETH_TX:
        if (pred >= QR_PRED_ETH_TYPES && pred <= QR_PRED_ERC20_AMOUNT) {
            found_eth(pred, &item->eth, out, cap);
            return;
        }
        break;
    case QR_KIND_EIP712:
        if (pred >= QR_PRED_712_CHAINS && pred <= QR_PRED_712_TYPES) {
            found_typed(pred, &item->typed, out, cap);
            return;
        }
        break;
    case QR_KIND_BTC_LEGACY:
    case QR_KIND_BTC_BIP143:
        if (pred >= QR_PRED_BTC_RECIPIENTS && pred <= QR_PRED_BTC_FEE) {
            found_btc(pred, &item->btc, out, cap);
            return;
        }
        break;
    default:
        break;
    }
    if (pred == QR_PRED_PATHS) {
        (void)snprintf(out, cap, "the path begins with none of them");
    } else if (pred == QR_PRED_HOURS) {
        (void)snprintf(out, cap,
                       ask->lower.known ? "it is another time by our clock, or by the "
                                          "quorum's"
                                        : "the quorum does not know the time yet");
    } else if (pred == QR_PRED_LIFE) {
        (void)snprintf(out, cap, "the request lives %llu s",
                       (unsigned long long)ask->life_ms / 1000);
    } else if (pred == QR_PRED_191_BYTES) {
        (void)snprintf(out, cap, "the message has %zu bytes", item->preimage.len);
    } else {
        (void)snprintf(out, cap, "the kind is %s", qr_kind_name(item->kind));
    }
}
