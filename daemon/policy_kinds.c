/*
 * Reading the members of a rule that one kind of request alone can be asked: what an Ethereum transaction,
 * typed data, a message, a Bitcoin transaction may be. What could never match is refused.
 */
#include "daemon/policy_read.h"
#include "protocol/base/enc.h"

static const char *const erc20_names[QR_ERC20_COUNT] = {
    [QR_ERC20_TRANSFER] = "transfer",
    [QR_ERC20_APPROVE] = "approve",
    [QR_ERC20_TRANSFER_FROM] = "transferFrom",
};

const char *
qr_erc20_name(enum qr_erc20 m)
{
    return (unsigned)m < QR_ERC20_COUNT ? erc20_names[m] : "unknown";
}

/* ---- elements ---- */

/* "0x" and exactly n bytes. */
static qr_err
read_0x(const struct qr_json_at *at, size_t n, uint8_t *out)
{
    char q[QR_QUOTE_MAX];
    qr_view v;

    QR_TRY(qr_rule_text(at, 2 * QR_RULE_SCRIPT_MAX, &v));
    if (v.len != 2 + 2 * n || memcmp(v.p, "0x", 2) != 0 ||
        qr_hex_decode((const char *)v.p + 2, 2 * n, out, n) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"%s\" is not \"0x\" and %zu lower-case hex digits", qr_quote(q, v),
                            2 * n);
    }
    return QR_OK;
}

static qr_err
read_address(const struct qr_json_at *at, uint8_t *out)
{
    return read_0x(at, 20, out);
}

static qr_err
read_chain(const struct qr_json_at *at, uint8_t *out)
{
    uint64_t v;
    const struct qr_json_field f = {"", QR_JSON_U64, 1, INT64_MAX, &v, NULL};

    QR_TRY(qr_json_value(at, &f));
    qr_put64(out, v);
    return QR_OK;
}

static qr_err
read_type_name(const struct qr_json_at *at, uint8_t *out)
{
    char q[QR_QUOTE_MAX];
    qr_view v;

    QR_TRY(qr_rule_text(at, QR_NAME_MAX, &v));
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.p[i], lower = c | 0x20;
        int letter = (lower >= 'a' && lower <= 'z') || c == '_' || c == '$';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "\"%s\" cannot be a type's name",
                                qr_quote(q, v));
        }
    }
    memcpy(out, v.p, v.len);
    return QR_OK;
}

static qr_err
read_script(const struct qr_json_at *at, uint8_t *out)
{
    qr_view v;

    QR_TRY(qr_rule_text(at, 2 * QR_RULE_SCRIPT_MAX, &v));
    if (v.len % 2 != 0 || qr_hex_decode((const char *)v.p, v.len, out + 1, v.len / 2) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be a script in lower-case hex");
    }
    out[0] = (uint8_t)(v.len / 2); /* first, so that padding cannot make two of them equal */
    return QR_OK;
}

/* ---- members ---- */

static qr_err
read_eth_types(const struct qr_json_at *list, struct qr_rule *r)
{
    static const char *const names[] = {"legacy", "2930", "1559"};
    char q[QR_QUOTE_MAX];

    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        unsigned t = 0;
        qr_view v;
        QR_TRY(qr_rule_text(&at, QR_NAME_MAX, &v));
        while (t < 3 && !qr_view_eq(v, qr_view_str(names[t]))) {
            t++;
        }
        if (t == 3) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "\"%s\" is none of legacy, 2930, 1559",
                                qr_quote(q, v));
        }
        if (r->eth_types & 1u << t) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
        }
        r->eth_types |= 1u << t;
    }
    return QR_OK;
}

static qr_err
read_selectors(const struct qr_json_at *list, struct qr_rule *r)
{
    size_t n = qr_json_count(list);

    QR_TRY(qr_rule_list_new(list, n, 4, &r->eth_selectors));
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        uint8_t bytes[4];
        qr_view v;
        QR_TRY(qr_rule_text(&at, 2 * QR_RULE_SCRIPT_MAX, &v));
        if (qr_view_eq(v, qr_view_str("none"))) {
            if (r->no_data) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
            }
            r->no_data = 1;
            continue;
        }
        QR_TRY(read_0x(&at, sizeof bytes, bytes));
        QR_TRY(qr_rule_list_put(&at, &r->eth_selectors, bytes));
    }
    return QR_OK;
}

/* Which predicates a table of members brought. */
static unsigned
asked(const int *present, const enum qr_pred *pred, size_t n)
{
    unsigned mask = 0;
    for (size_t i = 0; i < n; i++) {
        mask |= present[i] ? QR_PRED_BIT(pred[i]) : 0;
    }
    return mask;
}

static qr_err
says_something(const struct qr_json_at *at, unsigned mask)
{
    return mask ? QR_OK : qr_json_fail(at, QR_ERR_MALFORMED, "asks nothing; leave it out");
}

qr_err
qr_rule_read_eth(const struct qr_json_at *at, struct qr_rule *r)
{
    enum { TYPES, CHAINS, TO, CREATE, SELECTORS, VALUE, FEE, N };
    static const enum qr_pred pred[N] = {
        QR_PRED_ETH_TYPES,     QR_PRED_ETH_CHAINS, QR_PRED_ETH_TO,  QR_PRED_ETH_CREATE,
        QR_PRED_ETH_SELECTORS, QR_PRED_ETH_VALUE,  QR_PRED_ETH_FEE,
    };
    struct qr_json_at types, chains, to, selectors;
    qr_view value, fee;
    int has[N];
    const struct qr_json_field fields[] = {
        {"types", QR_JSON_ARRAY, 1, 3, &types, &has[TYPES]},
        {"chain_ids", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &chains, &has[CHAINS]},
        {"to", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &to, &has[TO]},
        {"create", QR_JSON_BOOL, 0, 0, &r->create, &has[CREATE]},
        {"selectors", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &selectors, &has[SELECTORS]},
        {"max_value_wei", QR_JSON_TEXT, 1, QR_U256_TEXT - 1, &value, &has[VALUE]},
        {"max_fee_wei", QR_JSON_TEXT, 1, QR_U256_TEXT - 1, &fee, &has[FEE]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_only_for(at, r, QR_KIND_BIT(QR_KIND_ETH_TX)));
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(qr_rule_not_in_deny(at, r, has[VALUE], "max_value_wei"));
    QR_TRY(qr_rule_not_in_deny(at, r, has[FEE], "max_fee_wei"));
    unsigned mask = asked(has, pred, N);
    QR_TRY(says_something(at, mask));
    if (has[TYPES]) {
        QR_TRY(read_eth_types(&types, r));
    }
    if (has[CHAINS]) {
        QR_TRY(qr_rule_list_read(&chains, 8, read_chain, &r->eth_chains));
    }
    if (has[TO]) {
        QR_TRY(qr_rule_list_read(&to, 20, read_address, &r->eth_to));
    }
    if (has[SELECTORS]) {
        QR_TRY(read_selectors(&selectors, r));
    }
    if (has[VALUE]) {
        QR_TRY(qr_rule_amount(at, "max_value_wei", value, &r->max_value));
    }
    if (has[FEE]) {
        QR_TRY(qr_rule_amount(at, "max_fee_wei", fee, &r->max_fee));
    }
    r->asks |= mask;
    return r->create && (has[TO] || has[SELECTORS])
               ? qr_json_fail(at, QR_ERR_MALFORMED,
                              "what creates a contract has no receiver and no selector: \"create\" "
                              "cannot be true beside \"to\" or \"selectors\"")
               : QR_OK;
}

static qr_err
read_erc20_methods(const struct qr_json_at *list, struct qr_rule *r)
{
    char q[QR_QUOTE_MAX];

    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        unsigned m = 0;
        qr_view v;
        QR_TRY(qr_rule_text(&at, QR_NAME_MAX, &v));
        while (m < QR_ERC20_COUNT && !qr_view_eq(v, qr_view_str(erc20_names[m]))) {
            m++;
        }
        if (m == QR_ERC20_COUNT) {
            return qr_json_fail(&at, QR_ERR_MALFORMED,
                                "\"%s\" is none of transfer, approve, transferFrom",
                                qr_quote(q, v));
        }
        if (r->erc20 & 1u << m) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
        }
        r->erc20 |= 1u << m;
    }
    return QR_OK;
}

qr_err
qr_rule_read_erc20(const struct qr_json_at *at, struct qr_rule *r)
{
    enum { METHODS, TO, AMOUNT, N };
    static const enum qr_pred pred[N] = {QR_PRED_ERC20_METHODS, QR_PRED_ERC20_TO,
                                         QR_PRED_ERC20_AMOUNT};
    struct qr_json_at methods, to;
    qr_view amount;
    int has[N] = {1, 0, 0};
    const struct qr_json_field fields[] = {
        {"methods", QR_JSON_ARRAY, 1, QR_ERC20_COUNT, &methods, NULL},
        {"to", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &to, &has[TO]},
        {"max_amount", QR_JSON_TEXT, 1, QR_U256_TEXT - 1, &amount, &has[AMOUNT]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_only_for(at, r, QR_KIND_BIT(QR_KIND_ETH_TX)));
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(qr_rule_not_in_deny(at, r, has[AMOUNT], "max_amount"));
    QR_TRY(read_erc20_methods(&methods, r));
    if (has[TO]) {
        QR_TRY(qr_rule_list_read(&to, 20, read_address, &r->erc20_to));
    }
    if (has[AMOUNT]) {
        QR_TRY(qr_rule_amount(at, "max_amount", amount, &r->max_amount));
    }
    if (r->asks & QR_PRED_BIT(QR_PRED_ETH_SELECTORS) || r->create) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"methods\" says what is called: leave out \"eth.selectors\" and "
                            "\"eth.create\"");
    }
    if (!r->deny && !(r->asks & QR_PRED_BIT(QR_PRED_ETH_TO))) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "which token? name its contract in \"eth.to\" of the same rule");
    }
    r->asks |= asked(has, pred, N);
    return QR_OK;
}

qr_err
qr_rule_read_eip712(const struct qr_json_at *at, struct qr_rule *r)
{
    enum { CHAINS, CONTRACTS, TYPES, N };
    static const enum qr_pred pred[N] = {QR_PRED_712_CHAINS, QR_PRED_712_CONTRACTS,
                                         QR_PRED_712_TYPES};
    struct qr_json_at chains, contracts, types;
    int has[N];
    const struct qr_json_field fields[] = {
        {"chain_ids", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &chains, &has[CHAINS]},
        {"contracts", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &contracts, &has[CONTRACTS]},
        {"primary_types", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &types, &has[TYPES]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_only_for(at, r, QR_KIND_BIT(QR_KIND_EIP712)));
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(says_something(at, asked(has, pred, N)));
    if (has[CHAINS]) {
        QR_TRY(qr_rule_list_read(&chains, 8, read_chain, &r->typed_chains));
    }
    if (has[CONTRACTS]) {
        QR_TRY(qr_rule_list_read(&contracts, 20, read_address, &r->typed_contracts));
    }
    if (has[TYPES]) {
        QR_TRY(qr_rule_list_read(&types, QR_NAME_MAX, read_type_name, &r->typed_types));
    }
    r->asks |= asked(has, pred, N);
    return QR_OK;
}

qr_err
qr_rule_read_eip191(const struct qr_json_at *at, struct qr_rule *r)
{
    const struct qr_json_field fields[] = {
        {"max_bytes", QR_JSON_U64, 0, QR_PREIMAGE_MAX, &r->max_bytes, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_only_for(at, r, QR_KIND_BIT(QR_KIND_EIP191)));
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(qr_rule_not_in_deny(at, r, 1, "max_bytes"));
    r->asks |= QR_PRED_BIT(QR_PRED_191_BYTES);
    return QR_OK;
}

qr_err
qr_rule_read_btc(const struct qr_json_at *at, struct qr_rule *r)
{
    enum { RECIPIENTS, VALUE, FEE, N };
    static const enum qr_pred pred[N] = {QR_PRED_BTC_RECIPIENTS, QR_PRED_BTC_VALUE,
                                         QR_PRED_BTC_FEE};
    struct qr_json_at recipients;
    int has[N];
    const struct qr_json_field fields[] = {
        {"recipients", QR_JSON_ARRAY, 1, QR_RULE_LIST_MAX, &recipients, &has[RECIPIENTS]},
        {"max_value_sat", QR_JSON_U64, 0, QR_SAT_MAX, &r->max_value_sat, &has[VALUE]},
        {"max_fee_sat", QR_JSON_U64, 0, QR_SAT_MAX, &r->max_fee_sat, &has[FEE]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_only_for(at, r, QR_KINDS_BTC));
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(says_something(at, asked(has, pred, N)));
    QR_TRY(qr_rule_not_in_deny(at, r, has[VALUE], "max_value_sat"));
    QR_TRY(qr_rule_not_in_deny(at, r, has[FEE], "max_fee_sat"));
    if (has[FEE] && r->kinds & QR_KIND_BIT(QR_KIND_BTC_LEGACY)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"max_fee_sat\": a btc_legacy signature does not bind amounts, so no "
                            "fee is known; give btc_bip143 a rule of its own");
    }
    if (has[RECIPIENTS]) {
        QR_TRY(qr_rule_list_read(&recipients, QR_RULE_SCRIPT_MAX + 1, read_script, &r->recipients));
    }
    r->asks |= asked(has, pred, N);
    return QR_OK;
}
