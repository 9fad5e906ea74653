/*
 * The `requests` part in words. What a rule lets through is said as well as what it asks: a person who
 * signs a policy should meet here what surprises him, not later.
 */
#include "daemon/policy_int.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX 1024u
#define NAMED_MAX 8u /* elements of a list that are written out */

struct out {
    void (*line)(void *ctx, const char *text);
    void *ctx;
    unsigned n, t; /* 0: not known */
    char text[LINE_MAX];
    size_t len;
};

static void __attribute__((format(printf, 2, 3))) put(struct out *o, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(o->text + o->len, sizeof o->text - o->len, format, ap);
    va_end(ap);
    size_t left = sizeof o->text - 1 - o->len;
    o->len += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
}

static void
end(struct out *o)
{
    o->line(o->ctx, o->text);
    o->len = 0;
    o->text[0] = '\0';
}

/* " a, b, c" with an element's own writer, and how many more there are. */
static void
put_list(struct out *o, const struct qr_rule_list *l,
         void (*one)(struct out *o, const uint8_t *bytes))
{
    for (size_t i = 0; i < l->n && i < NAMED_MAX; i++) {
        put(o, i ? ", " : " ");
        one(o, l->p + i * l->width);
    }
    if (l->n > NAMED_MAX) {
        put(o, " and %zu more", l->n - NAMED_MAX);
    }
}

static void
put_hex(struct out *o, const char *prefix, const uint8_t *bytes, size_t n)
{
    char hex[2 * QR_RULE_SCRIPT_MAX + 1];

    qr_hex_encode(qr_view_of(bytes, n), hex);
    put(o, "%s%s", prefix, hex);
}

static void
one_key(struct out *o, const uint8_t *bytes)
{
    put_hex(o, "", bytes, 33);
}

static void
one_address(struct out *o, const uint8_t *bytes)
{
    put_hex(o, "0x", bytes, 20);
}

static void
one_selector(struct out *o, const uint8_t *bytes)
{
    put_hex(o, "0x", bytes, 4);
}

static void
one_chain(struct out *o, const uint8_t *bytes)
{
    put(o, "%llu", (unsigned long long)qr_get64(bytes));
}

static void
one_type(struct out *o, const uint8_t *bytes)
{
    put(o, "%.*s", (int)QR_NAME_MAX, (const char *)bytes);
}

static void
one_script(struct out *o, const uint8_t *bytes)
{
    put_hex(o, "", bytes + 1, bytes[0]);
}

static void
put_amount(struct out *o, const struct qr_u256 *v, const char *unit)
{
    char text[QR_U256_TEXT];

    qr_u256_text(v, text);
    put(o, "%s%s", text, unit);
}

static void
put_wei(struct out *o, const struct qr_u256 *v)
{
    char text[QR_U256_TEXT];

    qr_u256_text(v, text);
    put(o, "%s wei", text);
    size_t n = strlen(text), zeros = 0;
    while (zeros < n && text[n - 1 - zeros] == '0') {
        zeros++;
    }
    /* In ether where that is shorter: 10^15 wei and its multiples. */
    if (n > 18) {
        size_t whole = n - 18, part = zeros < 18 ? 18 - zeros : 0;
        put(o, " (%.*s%s%.*s ether)", (int)whole, text, part ? "." : "", (int)part, text + whole);
    } else if (zeros >= 15) {
        put(o, " (0.%.*s%.*s ether)", (int)(18 - n), "00000000000000000", (int)(n - zeros), text);
    }
}

static void
put_seconds(struct out *o, uint64_t s)
{
    if (s % 86400 == 0) {
        put(o, "%llu d", (unsigned long long)(s / 86400));
    } else if (s % 3600 == 0) {
        put(o, "%llu h", (unsigned long long)(s / 3600));
    } else if (s % 60 == 0) {
        put(o, "%llu min", (unsigned long long)(s / 60));
    } else {
        put(o, "%llu s", (unsigned long long)s);
    }
}

/* ---- a rule ---- */

static int
asks(const struct qr_rule *r, enum qr_pred p)
{
    return (r->asks & QR_PRED_BIT(p)) != 0;
}

/* "rule pay: allow client ops eth_tx with any key" */
static void
explain_head(struct out *o, const struct qr_policy *p, const struct qr_rule *r)
{
    size_t n = 0;

    put(o, "rule %s: %s", r->id, r->deny ? "deny" : "allow");
    for (int k = 0; k < QR_KIND_COUNT; k++) {
        if (r->kinds & QR_KIND_BIT(k)) {
            put(o, "%s%s", n++ ? ", " : " ", qr_kind_name((enum qr_kind)k));
        }
    }
    put(o, r->all_clients ? " for every client" : " for");
    n = 0;
    for (size_t i = 0; i < p->n_clients && !r->all_clients; i++) {
        if (r->clients[i / 64] >> (i % 64) & 1 && n++ < NAMED_MAX) {
            put(o, "%s%s", n > 1 ? ", " : " ", p->client[i].name);
        }
    }
    if (n > NAMED_MAX) {
        put(o, " and %zu more", n - NAMED_MAX);
    }
    put(o, r->all_keys ? ", any key" : ", with");
    if (!r->all_keys) {
        put_list(o, &r->keys, one_key);
    }
    end(o);
}

static void
explain_paths(struct out *o, const struct qr_rule *r)
{
    put(o, "    paths that begin with");
    for (size_t i = 0; i < r->n_paths; i++) {
        put(o, i ? ", m" : " m");
        for (size_t k = 0; k < r->path[i].depth; k++) {
            put(o, "/%u", r->path[i].at[k]);
        }
    }
    end(o);
}

static void
explain_hours(struct out *o, const struct qr_rule *r)
{
    static const char *const names[7] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

    put(o, "    from %02u:%02u to %02u:%02u UTC%s on", r->from_min / 60, r->from_min % 60,
        r->until_min / 60, r->until_min % 60,
        r->from_min > r->until_min ? " of the next day, beginning" : "");
    for (unsigned d = 0; d < 7; d++) {
        if (r->days >> d & 1) {
            put(o, " %s", names[d]);
        }
    }
    end(o);
}

static void
explain_eth(struct out *o, const struct qr_rule *r)
{
    static const char *const types[] = {"legacy", "EIP-2930", "EIP-1559"};

    if (asks(r, QR_PRED_ETH_TYPES)) {
        put(o, "    transactions of type");
        for (unsigned t = 0; t < 3; t++) {
            if (r->eth_types >> t & 1) {
                put(o, " %s", types[t]);
            }
        }
        end(o);
    }
    if (asks(r, QR_PRED_ETH_CHAINS)) {
        put(o, "    on chains");
        put_list(o, &r->eth_chains, one_chain);
        end(o);
    }
    if (asks(r, QR_PRED_ETH_TO)) {
        put(o, "    to");
        put_list(o, &r->eth_to, one_address);
        end(o);
    }
    if (asks(r, QR_PRED_ETH_CREATE)) {
        put(o, r->create ? "    that create a contract" : "    that create no contract");
        end(o);
    }
    if (asks(r, QR_PRED_ETH_SELECTORS)) {
        put(o, "    that call");
        put_list(o, &r->eth_selectors, one_selector);
        if (r->no_data) {
            put(o, "%s nothing (no data)", r->eth_selectors.n ? ", or" : "");
        }
        end(o);
    }
    if (asks(r, QR_PRED_ETH_VALUE)) {
        put(o, "    worth at most ");
        put_wei(o, &r->max_value);
        end(o);
    }
    if (asks(r, QR_PRED_ETH_FEE)) {
        put(o, "    with a fee of at most ");
        put_wei(o, &r->max_fee);
        end(o);
    }
}

static void
explain_erc20(struct out *o, const struct qr_rule *r)
{
    if (!asks(r, QR_PRED_ERC20_METHODS)) {
        return;
    }
    put(o, "    tokens:");
    for (unsigned m = 0; m < QR_ERC20_COUNT; m++) {
        if (r->erc20 >> m & 1) {
            put(o, " %s", qr_erc20_name((enum qr_erc20)m));
        }
    }
    if (asks(r, QR_PRED_ERC20_TO)) {
        put(o, ", for");
        put_list(o, &r->erc20_to, one_address);
    }
    if (asks(r, QR_PRED_ERC20_AMOUNT)) {
        put(o, ", at most ");
        put_amount(o, &r->max_amount, " of the token's smallest unit in each");
    }
    end(o);
}

static void
explain_other_kinds(struct out *o, const struct qr_rule *r)
{
    if (asks(r, QR_PRED_712_CHAINS)) {
        put(o, "    of domains on chains");
        put_list(o, &r->typed_chains, one_chain);
        end(o);
    }
    if (asks(r, QR_PRED_712_CONTRACTS)) {
        put(o, "    for contracts");
        put_list(o, &r->typed_contracts, one_address);
        end(o);
    }
    if (asks(r, QR_PRED_712_TYPES)) {
        put(o, "    of primary type");
        put_list(o, &r->typed_types, one_type);
        end(o);
    }
    if (asks(r, QR_PRED_191_BYTES)) {
        put(o, "    messages of at most %llu bytes", (unsigned long long)r->max_bytes);
        end(o);
    }
    if (asks(r, QR_PRED_BTC_RECIPIENTS)) {
        put(o, r->deny ? "    with any output to" : "    outputs to nobody but");
        put_list(o, &r->recipients, one_script);
        if (!r->deny) {
            put(o, ", or back to the script that is signed for");
        }
        end(o);
    }
    if (asks(r, QR_PRED_BTC_VALUE)) {
        put(o, "    of which at most %llu satoshis leave", (unsigned long long)r->max_value_sat);
        end(o);
    }
    if (asks(r, QR_PRED_BTC_FEE)) {
        put(o, "    with a fee of at most %llu satoshis, all inputs signed in one request",
            (unsigned long long)r->max_fee_sat);
        end(o);
    }
}

static void
explain_limits(struct out *o, const struct qr_policy *p, const struct qr_rule *r)
{
    for (size_t i = r->limit_first; i < r->limit_first + r->n_limits; i++) {
        const struct qr_limit *l = &p->limit[i];
        struct qr_u256 share;
        put(o, "    at most ");
        if (l->unit == QR_UNIT_WEI) {
            put_wei(o, &l->max);
        } else {
            put_amount(o, &l->max, l->unit == QR_UNIT_SAT ? " satoshis" : " signatures");
        }
        put(o, " in ");
        put_seconds(o, l->window_s);
        if (o->n >= o->t && o->t > 0) {
            qr_u256_div(&l->max, o->n - o->t + 1, &share);
            put(o, "; each of the %u parties counts up to ", o->n);
            put_amount(o, &share, "");
            put(o, " (1/%u of it)", o->n - o->t + 1);
            if (qr_u256_is_zero(&share)) {
                put(o, ", so nothing is ever signed by this rule");
            }
        } else {
            put(o, "; each party counts up to 1/(n - t + 1) of it");
        }
        end(o);
    }
}

static void
explain_approvals(struct out *o, const struct qr_policy *p, const struct qr_rule *r)
{
    const char *sep = " ";

    if (!r->need) {
        return;
    }
    put(o, "    approved by %u of", r->need);
    for (size_t i = 0; i < p->n_approvers; i++) {
        if (r->of >> i & 1) {
            put(o, "%s%s", sep, p->approver[i].name);
            sep = ", ";
        }
    }
    put(o, ", in requests that live at most ");
    put_seconds(o, r->life_ms / 1000);
    end(o);
}

/* What may surprise whoever signs it. */
static void
warn(struct out *o, const struct qr_policy *p, const struct qr_rule *r)
{
    const unsigned blind = QR_KIND_BIT(QR_KIND_DIGEST) | QR_KIND_BIT(QR_KIND_KECCAK256) |
                           QR_KIND_BIT(QR_KIND_SHA256) | QR_KIND_BIT(QR_KIND_SHA256D);
    int value = asks(r, QR_PRED_ETH_VALUE), sat = asks(r, QR_PRED_BTC_VALUE);

    if (r->deny) {
        return;
    }
    for (size_t i = r->limit_first; i < r->limit_first + r->n_limits; i++) {
        value |= p->limit[i].unit == QR_UNIT_WEI;
        sat |= p->limit[i].unit == QR_UNIT_SAT;
    }
    if (r->kinds & blind) {
        put(o,
            "    note: the client alone knows what these digests stand for; a transaction's can be "
            "among them");
        end(o);
    }
    if (value && !asks(r, QR_PRED_ETH_FEE)) {
        put(o, "    note: fees come on top; max_fee_wei bounds them");
        end(o);
    }
    if (sat && !asks(r, QR_PRED_BTC_FEE)) {
        put(o, "    note: fees come on top; max_fee_sat bounds them (btc_bip143 alone)");
        end(o);
    }
    if (value && !asks(r, QR_PRED_ERC20_METHODS) &&
        !(asks(r, QR_PRED_ETH_SELECTORS) && r->eth_selectors.n == 0)) {
        put(o, "    note: value is the transaction's own; calls may move any amount of tokens "
               "(erc20)");
        end(o);
    }
}

void
qr_policy_explain(const struct qr_policy *p, unsigned n, unsigned t,
                  void (*line)(void *ctx, const char *text), void *ctx)
{
    struct out o = {.line = line, .ctx = ctx, .n = n, .t = t};

    for (size_t i = 0; i < p->n_approvers; i++) {
        const struct qr_approver *a = &p->approver[i];
        put(&o, "approver %s: ", a->name);
        put(&o, a->webauthn ? "a passkey of %s, used at" : "a key of his own%s", a->rp_id);
        for (size_t k = 0; k < a->n_origins; k++) {
            put(&o, "%s%s", k ? ", " : " ", a->origin[k]);
        }
        end(&o);
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct qr_rule *r = &p->rule[i];
        explain_head(&o, p, r);
        if (asks(r, QR_PRED_PATHS)) {
            explain_paths(&o, r);
        }
        explain_eth(&o, r);
        explain_erc20(&o, r);
        explain_other_kinds(&o, r);
        if (asks(r, QR_PRED_HOURS)) {
            explain_hours(&o, r);
        }
        explain_limits(&o, p, r);
        explain_approvals(&o, p, r);
        warn(&o, p, r);
    }
    line(ctx, p->n_rules ? "everything else is denied" : "no rules: every request is denied");
}
