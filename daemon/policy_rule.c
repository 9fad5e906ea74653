/* Reading a rule. Members that only some kinds can be asked come behind `kinds`, which decides. */
#include "daemon/policy_read.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#define WITHIN_MIN_S (QR_REQUEST_LIFE_MS / 1000u)
#define WITHIN_MAX_S (QR_APPROVAL_LIFE_MS / 1000u)
#define WINDOW_MIN_S 60u
#define WINDOW_MAX_S 31536000u

/* ---- lists ---- */

qr_err
qr_rule_list_new(const struct qr_json_at *at, size_t n, size_t width, struct qr_rule_list *ret)
{
    ret->p = qr_alloc(n * width);
    if (!ret->p) {
        return qr_json_fail(at, QR_ERR_NO_MEMORY, "out of memory");
    }
    ret->width = width;
    return QR_OK;
}

/* Puts an element where it belongs; at: for the message when it is there already. */
qr_err
qr_rule_list_put(const struct qr_json_at *at, struct qr_rule_list *l, const uint8_t *bytes)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = memcmp(l->p + mid * l->width, bytes, l->width);
        if (c == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "is listed twice");
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    uint8_t *to = l->p + lo * l->width;
    memmove(to + l->width, to, (l->n - lo) * l->width);
    memcpy(to, bytes, l->width);
    l->n++;
    return QR_OK;
}

qr_err
qr_rule_list_read(const struct qr_json_at *list, size_t width, qr_rule_element element,
                  struct qr_rule_list *ret)
{
    uint8_t bytes[QR_RULE_SCRIPT_MAX + 1];
    size_t n = qr_json_count(list);

    QR_ASSERT(width <= sizeof bytes);
    QR_TRY(qr_rule_list_new(list, n, width, ret));
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        memset(bytes, 0, sizeof bytes);
        QR_TRY(element(&at, bytes));
        QR_TRY(qr_rule_list_put(&at, ret, bytes));
    }
    return QR_OK;
}

qr_err
qr_rule_text(const struct qr_json_at *at, size_t max, qr_view *ret)
{
    const struct qr_json_field f = {"", QR_JSON_TEXT, 1, max, ret, NULL};
    return qr_json_value(at, &f);
}

/* ---- whom, what key, which kinds ---- */

static int
is_star(qr_view v)
{
    return v.len == 1 && v.p[0] == '*';
}

static qr_err
star_alone(const struct qr_json_at *at, const struct qr_json_at *list)
{
    return qr_json_count(list) == 1 ? QR_OK
                                    : qr_json_fail(at, QR_ERR_MALFORMED, "\"*\" must stand alone");
}

static qr_err
read_clients(const struct qr_json_at *list, const struct qr_rule_names *names, struct qr_rule *r)
{
    char q[QR_QUOTE_MAX];
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        size_t k = 0;
        qr_view v;
        QR_TRY(qr_rule_text(&at, QR_NAME_MAX, &v));
        if (is_star(v)) {
            r->all_clients = 1;
            return star_alone(&at, list);
        }
        while (k < names->n_clients && !qr_view_eq(v, qr_view_str(names->client[k].name))) {
            k++;
        }
        if (k == names->n_clients) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "no client is called \"%s\"",
                                qr_quote(q, v));
        }
        uint64_t bit = (uint64_t)1 << (k % 64);
        if (r->clients[k / 64] & bit) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
        }
        r->clients[k / 64] |= bit;
    }
    return QR_OK;
}

static qr_err
read_key(const struct qr_json_at *at, uint8_t *out)
{
    const struct qr_json_field f = {"", QR_JSON_HEX, 0, 33, out, NULL};

    QR_TRY(qr_json_value(at, &f));
    if (out[0] != 2 && out[0] != 3) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "must be a compressed point (66 hex digits, 02 or 03 first)");
    }
    return QR_OK;
}

static qr_err
read_keys(const struct qr_json_at *list, struct qr_rule *r)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        QR_TRY(qr_rule_text(&at, 2 * 33, &v));
        if (is_star(v)) {
            r->all_keys = 1;
            return star_alone(&at, list);
        }
    }
    return qr_rule_list_read(list, 33, read_key, &r->keys);
}

static qr_err
read_kinds(const struct qr_json_at *list, struct qr_rule *r)
{
    char q[QR_QUOTE_MAX];
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        enum qr_kind kind;
        qr_view v;
        QR_TRY(qr_rule_text(&at, QR_NAME_MAX, &v));
        if (qr_kind_parse(v, &kind) != QR_OK) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "unknown kind \"%s\"%s", qr_quote(q, v),
                                is_star(v) ? "; kinds are named one by one" : "");
        }
        if (r->kinds & QR_KIND_BIT(kind)) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
        }
        r->kinds |= QR_KIND_BIT(kind);
    }
    return QR_OK;
}

qr_err
qr_rule_only_for(const struct qr_json_at *at, const struct qr_rule *r, unsigned kinds)
{
    for (int k = 0; k < QR_KIND_COUNT; k++) {
        if (r->kinds & ~kinds & QR_KIND_BIT(k)) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "cannot be asked of kind \"%s\": give that a rule of its own",
                                qr_kind_name((enum qr_kind)k));
        }
    }
    return QR_OK;
}

/* Highest amounts, limits and approvals say what is allowed; in a deny rule they would say the reverse. */
qr_err
qr_rule_not_in_deny(const struct qr_json_at *at, const struct qr_rule *r, int present,
                    const char *name)
{
    return r->deny && present
               ? qr_json_fail(at, QR_ERR_MALFORMED,
                              "\"%s\" has no meaning in a deny rule; put it into the allow rules",
                              name)
               : QR_OK;
}

/* A member of a rule's object that holds an amount in decimal. */
qr_err
qr_rule_amount(const struct qr_json_at *at, const char *name, qr_view v, struct qr_u256 *ret)
{
    char q[QR_QUOTE_MAX];
    qr_err e = qr_u256_parse(v, ret);

    return e == QR_OK ? e
                      : qr_json_fail(at, e, "%s: \"%s\" is not a decimal number below 2^256", name,
                                     qr_quote(q, v));
}

/* ---- predicates ---- */

static qr_err
read_paths(const struct qr_json_at *list, struct qr_rule *r)
{
    r->path = qr_alloc(qr_json_count(list) * sizeof r->path[0]);
    if (!r->path) {
        return qr_json_fail(list, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i), path;
        struct qr_rule_path *p = &r->path[i];
        const struct qr_json_field f = {"", QR_JSON_ARRAY, 0, QR_PATH_MAX, &path, NULL};
        QR_TRY(qr_json_value(&at, &f));
        p->depth = qr_json_count(&path);
        for (size_t k = 0; k < p->depth; k++) {
            struct qr_json_at step = qr_json_elem(&path, k);
            uint64_t v;
            const struct qr_json_field n = {"", QR_JSON_U64, 0, INT32_MAX, &v, NULL};
            QR_TRY(qr_json_value(&step, &n));
            p->at[k] = (uint32_t)v;
        }
        for (size_t k = 0; k < i; k++) {
            if (memcmp(&r->path[k], p, sizeof *p) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "is listed twice");
            }
        }
    }
    r->n_paths = qr_json_count(list);
    r->asks |= QR_PRED_BIT(QR_PRED_PATHS);
    return QR_OK;
}

/* ---- when, how often, by whose leave ---- */

/* "HH:MM", "24:00" included where `end`. */
static qr_err
read_minute(const struct qr_json_at *at, const char *name, qr_view v, int end, unsigned *ret)
{
    char q[QR_QUOTE_MAX];
    unsigned d[5] = {0};

    if (v.len == 5 && v.p[2] == ':') {
        int digits = 1;
        for (size_t i = 0; i < 5; i++) {
            digits &= i == 2 || (v.p[i] >= '0' && v.p[i] <= '9');
            d[i] = v.p[i] - (unsigned)'0';
        }
        unsigned minute = (10 * d[0] + d[1]) * 60 + 10 * d[3] + d[4];
        if (digits && d[3] < 6 && minute < 1440u + (end != 0)) {
            *ret = minute;
            return QR_OK;
        }
    }
    return qr_json_fail(at, QR_ERR_MALFORMED, "%s: \"%s\" is not a time as \"08:00\"", name,
                        qr_quote(q, v));
}

static qr_err
read_hours(const struct qr_json_at *at, struct qr_rule *r)
{
    static const char *const names[7] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    char q[QR_QUOTE_MAX];
    struct qr_json_at days;
    qr_view from, to;
    const struct qr_json_field fields[] = {
        {"days", QR_JSON_ARRAY, 1, 7, &days, NULL},
        {"from", QR_JSON_TEXT, 1, 8, &from, NULL},
        {"to", QR_JSON_TEXT, 1, 8, &to, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < qr_json_count(&days); i++) {
        struct qr_json_at day = qr_json_elem(&days, i);
        unsigned d = 0;
        qr_view v;
        QR_TRY(qr_rule_text(&day, QR_NAME_MAX, &v));
        while (d < 7 && !qr_view_eq(v, qr_view_str(names[d]))) {
            d++;
        }
        if (d == 7) {
            return qr_json_fail(&day, QR_ERR_MALFORMED,
                                "\"%s\" is none of mon, tue, wed, thu, fri, sat, sun",
                                qr_quote(q, v));
        }
        if (r->days & 1u << d) {
            return qr_json_fail(&day, QR_ERR_MALFORMED, "is listed twice");
        }
        r->days |= 1u << d;
    }
    QR_TRY(read_minute(at, "from", from, 0, &r->from_min));
    QR_TRY(read_minute(at, "to", to, 1, &r->until_min));
    if (r->from_min == r->until_min || r->until_min == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "from and to are the same, or to is \"00:00\": the end of a day is "
                            "\"24:00\"");
    }
    r->asks |= QR_PRED_BIT(QR_PRED_HOURS);
    return QR_OK;
}

static qr_err
read_limit(const struct qr_json_at *at, const struct qr_rule *r, struct qr_limit *ret)
{
    int has[QR_UNIT_COUNT];
    uint64_t window, requests = 0, sat = 0;
    qr_view wei;
    const struct qr_json_field fields[] = {
        {"window_s", QR_JSON_U64, WINDOW_MIN_S, WINDOW_MAX_S, &window, NULL},
        {"requests", QR_JSON_U64, 1, INT64_MAX, &requests, &has[QR_UNIT_REQUESTS]},
        {"value_wei", QR_JSON_TEXT, 1, QR_U256_TEXT - 1, &wei, &has[QR_UNIT_WEI]},
        {"value_sat", QR_JSON_U64, 1, QR_SAT_MAX, &sat, &has[QR_UNIT_SAT]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (has[QR_UNIT_REQUESTS] + has[QR_UNIT_WEI] + has[QR_UNIT_SAT] != 1) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "exactly one of requests, value_wei, value_sat beside window_s");
    }
    ret->window_s = (uint32_t)window;
    if (has[QR_UNIT_WEI]) {
        QR_TRY(qr_rule_only_for(at, r, QR_KIND_BIT(QR_KIND_ETH_TX)));
        QR_TRY(qr_rule_amount(at, "value_wei", wei, &ret->max));
        ret->unit = QR_UNIT_WEI;
        return qr_u256_is_zero(&ret->max)
                   ? qr_json_fail(at, QR_ERR_MALFORMED, "value_wei: 0 would allow nothing")
                   : QR_OK;
    }
    if (has[QR_UNIT_SAT]) {
        QR_TRY(qr_rule_only_for(at, r, QR_KINDS_BTC));
    }
    ret->unit = has[QR_UNIT_SAT] ? QR_UNIT_SAT : QR_UNIT_REQUESTS;
    ret->max = qr_u256_of(has[QR_UNIT_SAT] ? sat : requests);
    return QR_OK;
}

static qr_err
read_limits(const struct qr_json_at *list, struct qr_rule *r, struct qr_limit *limit, size_t *n)
{
    QR_TRY(qr_rule_not_in_deny(list, r, 1, "limits"));
    r->limit_first = *n;
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        struct qr_limit l = {.rule = ""};
        if (*n == QR_LIMITS_MAX) {
            return qr_json_fail(&at, QR_ERR_TOO_LARGE, "more than %u limits in one policy",
                                QR_LIMITS_MAX);
        }
        memcpy(l.rule, r->id, strlen(r->id));
        QR_TRY(read_limit(&at, r, &l));
        for (size_t k = r->limit_first; k < *n; k++) {
            if (limit[k].unit == l.unit && limit[k].window_s == l.window_s) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "the same window for %s twice",
                                    qr_unit_name(l.unit));
            }
        }
        limit[(*n)++] = l;
        r->n_limits++;
    }
    return QR_OK;
}

static qr_err
read_approvals(const struct qr_json_at *at, const struct qr_rule_names *names, struct qr_rule *r)
{
    char q[QR_QUOTE_MAX];
    uint64_t need, within = 0;
    struct qr_json_at of;
    int has_within;
    const struct qr_json_field fields[] = {
        {"need", QR_JSON_U64, 1, QR_APPROVALS_MAX, &need, NULL},
        {"of", QR_JSON_ARRAY, 1, QR_APPROVERS_MAX, &of, NULL},
        {"within_s", QR_JSON_U64, WITHIN_MIN_S, WITHIN_MAX_S, &within, &has_within},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_rule_not_in_deny(at, r, 1, "approvals"));
    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < qr_json_count(&of); i++) {
        struct qr_json_at who = qr_json_elem(&of, i);
        size_t k = 0;
        qr_view v;
        QR_TRY(qr_rule_text(&who, QR_NAME_MAX, &v));
        while (k < names->n_approvers && !qr_view_eq(v, qr_view_str(names->approver[k].name))) {
            k++;
        }
        if (k == names->n_approvers) {
            return qr_json_fail(&who, QR_ERR_MALFORMED, "no approver is called \"%s\"",
                                qr_quote(q, v));
        }
        if (r->of >> k & 1) {
            return qr_json_fail(&who, QR_ERR_MALFORMED, "is listed twice");
        }
        r->of |= (uint64_t)1 << k;
    }
    if (need > qr_json_count(&of)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "need %llu of %zu can never be",
                            (unsigned long long)need, qr_json_count(&of));
    }
    r->need = (unsigned)need;
    r->life_ms = has_within ? (uint32_t)within * 1000u : QR_REQUEST_LIFE_MS;
    return QR_OK;
}

/* ---- the rule ---- */

/* Members that are objects or lists of their own, in the order in which they are read. */
struct parts {
    struct qr_json_at clients, keys, kinds, paths, eth, erc20, eip712, eip191, btc, hours, limits,
        approvals;
    int has_paths, has_eth, has_erc20, has_eip712, has_eip191, has_btc, has_hours, has_limits,
        has_approvals;
};

static qr_err
read_parts(const struct parts *p, const struct qr_rule_names *names, struct qr_limit *limit,
           size_t *n_limits, struct qr_rule *r)
{
    QR_TRY(read_clients(&p->clients, names, r));
    QR_TRY(read_keys(&p->keys, r));
    QR_TRY(read_kinds(&p->kinds, r));
    QR_TRY(p->has_paths ? read_paths(&p->paths, r) : QR_OK);
    QR_TRY(p->has_eth ? qr_rule_read_eth(&p->eth, r) : QR_OK);
    QR_TRY(p->has_erc20 ? qr_rule_read_erc20(&p->erc20, r) : QR_OK);
    QR_TRY(p->has_eip712 ? qr_rule_read_eip712(&p->eip712, r) : QR_OK);
    QR_TRY(p->has_eip191 ? qr_rule_read_eip191(&p->eip191, r) : QR_OK);
    QR_TRY(p->has_btc ? qr_rule_read_btc(&p->btc, r) : QR_OK);
    QR_TRY(p->has_hours ? read_hours(&p->hours, r) : QR_OK);
    QR_TRY(p->has_limits ? read_limits(&p->limits, r, limit, n_limits) : QR_OK);
    return p->has_approvals ? read_approvals(&p->approvals, names, r) : QR_OK;
}

qr_err
qr_rule_read(const struct qr_json_at *at, const struct qr_rule_names *names, struct qr_limit *limit,
             size_t *n_limits, struct qr_rule *ret)
{
    struct parts p;
    qr_view id, effect, note;
    int has_note;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"id", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &id, NULL},
        {"note", QR_JSON_UTF8, 0, QR_RULE_NOTE_MAX, &note, &has_note},
        {"effect", QR_JSON_TEXT, 1, 32, &effect, NULL},
        {"clients", QR_JSON_ARRAY, 1, QR_CLIENTS_MAX, &p.clients, NULL},
        {"keys", QR_JSON_ARRAY, 1, QR_KEYS_MAX, &p.keys, NULL},
        {"kinds", QR_JSON_ARRAY, 1, QR_KIND_COUNT, &p.kinds, NULL},
        {"paths", QR_JSON_ARRAY, 1, QR_RULE_PATHS_MAX, &p.paths, &p.has_paths},
        {"eth", QR_JSON_OBJECT, 0, 0, &p.eth, &p.has_eth},
        {"erc20", QR_JSON_OBJECT, 0, 0, &p.erc20, &p.has_erc20},
        {"eip712", QR_JSON_OBJECT, 0, 0, &p.eip712, &p.has_eip712},
        {"eip191", QR_JSON_OBJECT, 0, 0, &p.eip191, &p.has_eip191},
        {"btc", QR_JSON_OBJECT, 0, 0, &p.btc, &p.has_btc},
        {"hours", QR_JSON_OBJECT, 0, 0, &p.hours, &p.has_hours},
        {"limits", QR_JSON_ARRAY, 1, QR_RULE_LIMITS_MAX, &p.limits, &p.has_limits},
        {"approvals", QR_JSON_OBJECT, 0, 0, &p.approvals, &p.has_approvals},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    memcpy(ret->id, id.p, id.len);
    ret->deny = qr_view_eq(effect, qr_view_str("deny"));
    if (!ret->deny && !qr_view_eq(effect, qr_view_str("allow"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "effect \"%s\" is neither allow nor deny",
                            qr_quote(q, effect));
    }
    ret->life_ms = QR_REQUEST_LIFE_MS;
    ret->asks = ret->deny ? 0 : QR_PRED_BIT(QR_PRED_LIFE);
    return read_parts(&p, names, limit, n_limits, ret);
}

void
qr_rule_clear(struct qr_rule *r)
{
    struct qr_rule_list *lists[] = {
        &r->keys,         &r->eth_chains,      &r->eth_to,      &r->eth_selectors, &r->erc20_to,
        &r->typed_chains, &r->typed_contracts, &r->typed_types, &r->recipients,
    };

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        qr_free(lists[i]->p);
    }
    qr_free(r->path);
    *r = (struct qr_rule){.deny = 1};
}
