/*
 * A policy is compiled while it is read: clients become bit positions, keys a sorted list, kinds a
 * mask. Deciding is a walk over at most QR_RULES_MAX rules with one bit test each.
 */
#include "daemon/policy.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define POLICY_VALUES 16384u
/* Keys named by one rule: a party holds at most so many. */
#define RULE_KEYS_MAX QR_KEYS_MAX

struct rule {
    char id[QR_NAME_MAX];
    int deny, all_clients, all_keys;
    unsigned kinds;
    uint64_t clients[QR_CLIENTS_MAX / 64];
    size_t n_keys;
    uint8_t (*keys)[33];
};

struct qr_policy {
    uint8_t cluster[32], hash[32];
    uint64_t serial;
    struct qr_peers *peers;
    size_t n_clients, n_rules;
    struct qr_client client[QR_CLIENTS_MAX]; /* in the document's order */
    uint16_t by_key[QR_CLIENTS_MAX];         /* indices into client, ascending by key */
    struct rule rule[QR_RULES_MAX];
    size_t n_approvers, n_limits;
    struct qr_approver *approver;
    struct qr_limit *limit;
};

struct qr_policy *
qr_policy_free(struct qr_policy *p)
{
    if (p) {
        for (size_t i = 0; i < p->n_clients; i++) {
            qr_pubkey_free(p->client[i].pub);
        }
        for (size_t i = 0; i < p->n_rules; i++) {
            qr_free(p->rule[i].keys);
        }
        p->peers = qr_peers_free(p->peers);
    }
    return qr_free(p);
}

/* Where a key is, or belongs, in by_key. */
static size_t
position(const struct qr_policy *p, const struct qr_stamp_key *key, int *ret_found)
{
    size_t lo = 0, hi = p->n_clients;
    *ret_found = 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = qr_stamp_key_cmp(&p->client[p->by_key[mid]].key, key);
        if (c == 0) {
            *ret_found = 1;
            return mid;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static const struct qr_client *
client_named(const struct qr_policy *p, qr_view name)
{
    for (size_t i = 0; i < p->n_clients; i++) {
        if (qr_view_eq(name, qr_view_str(p->client[i].name))) {
            return &p->client[i];
        }
    }
    return NULL;
}

static qr_err
read_client(const struct qr_json_at *at, struct qr_policy *p)
{
    struct qr_client *c = &p->client[p->n_clients];
    int found = 0;

    QR_TRY(qr_signer_read(at, c->name, &c->key, &c->pub));
    size_t pos = position(p, &c->key, &found);
    const struct qr_client *twin =
        found ? &p->client[p->by_key[pos]] : client_named(p, qr_view_str(c->name));
    if (twin) {
        c->pub = qr_pubkey_free(c->pub);
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            found ? "same key as client \"%s\"" : "name \"%s\" is used twice",
                            twin->name);
    }
    c->index = (uint16_t)p->n_clients;
    memmove(&p->by_key[pos + 1], &p->by_key[pos], (p->n_clients - pos) * sizeof p->by_key[0]);
    p->by_key[pos] = c->index;
    p->n_clients++;
    return QR_OK;
}

/* Elements of a list of texts. */
static qr_err
text_at(const struct qr_json_at *at, qr_view *ret)
{
    const struct qr_json_field f = {"", QR_JSON_TEXT, 1, 2 * 33, ret, NULL};
    return qr_json_value(at, &f);
}

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
read_rule_clients(const struct qr_json_at *list, const struct qr_policy *p, struct rule *r)
{
    char q[QR_QUOTE_MAX];
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        QR_TRY(text_at(&at, &v));
        if (is_star(v)) {
            r->all_clients = 1;
            return star_alone(&at, list);
        }
        const struct qr_client *c = client_named(p, v);
        if (!c) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "no client is called \"%s\"",
                                qr_quote(q, v));
        }
        uint64_t bit = (uint64_t)1 << (c->index % 64);
        if (r->clients[c->index / 64] & bit) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "\"%s\" is listed twice", c->name);
        }
        r->clients[c->index / 64] |= bit;
    }
    return QR_OK;
}

static int
key_cmp(const void *a, const void *b)
{
    return memcmp(a, b, 33);
}

static qr_err
read_rule_keys(const struct qr_json_at *list, struct rule *r)
{
    size_t n = qr_json_count(list);

    r->keys = qr_alloc(n * sizeof r->keys[0]);
    if (!r->keys) {
        return qr_json_fail(list, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        QR_TRY(text_at(&at, &v));
        if (is_star(v)) {
            r->all_keys = 1;
            return star_alone(&at, list);
        }
        const struct qr_json_field f = {"", QR_JSON_HEX, 0, 33, r->keys[i], NULL};
        QR_TRY(qr_json_value(&at, &f));
        if (r->keys[i][0] != 2 && r->keys[i][0] != 3) {
            return qr_json_fail(&at, QR_ERR_MALFORMED,
                                "must be a compressed point (66 hex digits, 02 or 03 first)");
        }
    }
    r->n_keys = n;
    qsort(r->keys, n, sizeof r->keys[0], key_cmp);
    for (size_t i = 1; i < n; i++) {
        if (memcmp(r->keys[i - 1], r->keys[i], 33) == 0) {
            return qr_json_fail(list, QR_ERR_MALFORMED, "a key is listed twice");
        }
    }
    return QR_OK;
}

static qr_err
read_rule_kinds(const struct qr_json_at *list, struct rule *r)
{
    char q[QR_QUOTE_MAX];
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        enum qr_kind kind;
        qr_view v;
        QR_TRY(text_at(&at, &v));
        if (qr_kind_parse(v, &kind) != QR_OK) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "unknown kind \"%s\"%s", qr_quote(q, v),
                                is_star(v) ? "; kinds are named one by one" : "");
        }
        if (r->kinds & QR_KIND_BIT(kind)) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "\"%s\" is listed twice",
                                qr_kind_name(kind));
        }
        r->kinds |= QR_KIND_BIT(kind);
    }
    return QR_OK;
}

static qr_err
read_rule(const struct qr_json_at *at, struct qr_policy *p)
{
    struct rule *r = &p->rule[p->n_rules];
    struct qr_json_at clients, keys, kinds;
    qr_view id, effect;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"id", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &id, NULL},
        {"effect", QR_JSON_TEXT, 1, 32, &effect, NULL},
        {"clients", QR_JSON_ARRAY, 1, QR_CLIENTS_MAX, &clients, NULL},
        {"keys", QR_JSON_ARRAY, 1, RULE_KEYS_MAX, &keys, NULL},
        {"kinds", QR_JSON_ARRAY, 1, QR_KIND_COUNT, &kinds, NULL},
        {.type = QR_JSON_END},
    };

    p->n_rules++; /* from now on qr_policy_free sees what it holds */
    QR_TRY(qr_json_fields(at, fields));
    memcpy(r->id, id.p, id.len);
    for (size_t i = 0; i + 1 < p->n_rules; i++) {
        if (strcmp(p->rule[i].id, r->id) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "rule id \"%s\" is used twice", r->id);
        }
    }
    r->deny = qr_view_eq(effect, qr_view_str("deny"));
    if (!r->deny && !qr_view_eq(effect, qr_view_str("allow"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "effect \"%s\" is neither allow nor deny",
                            qr_quote(q, effect));
    }
    QR_TRY(read_rule_clients(&clients, p, r));
    QR_TRY(read_rule_keys(&keys, r));
    return read_rule_kinds(&kinds, r);
}

static qr_err
read_policy(struct qr_json *j, struct qr_policy *p)
{
    struct qr_json_at root = qr_json_root(j), peers, requests, clients, rules;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, p->cluster, NULL},
        {"serial", QR_JSON_U64, 1, INT64_MAX, &p->serial, NULL},
        {"peers", QR_JSON_OBJECT, 0, 0, &peers, NULL},
        {"requests", QR_JSON_OBJECT, 0, 0, &requests, NULL},
        {.type = QR_JSON_END},
    };
    const struct qr_json_field request_fields[] = {
        {"clients", QR_JSON_ARRAY, 0, QR_CLIENTS_MAX, &clients, NULL},
        {"rules", QR_JSON_ARRAY, 0, QR_RULES_MAX, &rules, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(&root, "quorate/policy"));
    QR_TRY(qr_json_fields(&root, fields));
    QR_TRY(qr_peers_parse(&peers, &p->peers));
    QR_TRY(qr_json_fields(&requests, request_fields));
    for (size_t i = 0; i < qr_json_count(&clients); i++) {
        struct qr_json_at at = qr_json_elem(&clients, i);
        QR_TRY(read_client(&at, p));
    }
    for (size_t i = 0; i < qr_json_count(&rules); i++) {
        struct qr_json_at at = qr_json_elem(&rules, i);
        QR_TRY(read_rule(&at, p));
    }
    return QR_OK;
}

qr_err
qr_policy_parse(qr_view text, struct qr_policy **ret, char *err_text, size_t err_cap)
{
    struct qr_json j;

    if (text.len > QR_DOC_MAX) {
        EXPLAIN("policy has %zu bytes, at most %u are allowed", text.len, QR_DOC_MAX);
        return QR_ERR_TOO_LARGE;
    }
    struct qr_policy *p = qr_alloc(sizeof *p);
    if (!p) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_json_parse(&j, text, POLICY_VALUES, err_text, err_cap);
    if (e == QR_OK) {
        e = read_policy(&j, p);
        qr_json_clear(&j);
    }
    if (e != QR_OK) {
        qr_policy_free(p);
        return e;
    }
    qr_doc_hash("policy", text, p->hash);
    *ret = p;
    return QR_OK;
}

qr_err
qr_policy_accept(const struct qr_policy *in_force, const struct qr_policy *next,
                 const uint8_t cluster[static 32], const struct qr_admins *admins, qr_view text,
                 const qr_view *stamps, size_t n_stamps, int *ret_same, char *err_text,
                 size_t err_cap)
{
    int same = 0;

    if (memcmp(next->cluster, cluster, 32) != 0) {
        EXPLAIN("policy is for another cluster");
        return QR_ERR_CLUSTER;
    }
    if (in_force) {
        QR_TRY(qr_serial_check("policy", in_force->serial, in_force->hash, next->serial, next->hash,
                               &same, err_text, err_cap));
    }
    if (!same) {
        QR_TRY(qr_admins_verify(admins, text, stamps, n_stamps, err_text, err_cap));
    }
    *ret_same = same;
    return QR_OK;
}

const uint8_t *
qr_policy_hash(const struct qr_policy *p)
{
    return p->hash;
}

const uint8_t *
qr_policy_cluster(const struct qr_policy *p)
{
    return p->cluster;
}

uint64_t
qr_policy_serial(const struct qr_policy *p)
{
    return p->serial;
}

int
qr_policy_insecure_sim(const struct qr_policy *p)
{
    return qr_peers_insecure_sim(p->peers);
}

const struct qr_peers *
qr_policy_peers(const struct qr_policy *p)
{
    return p->peers;
}

qr_err
qr_policy_add_manifest(struct qr_policy *p, const struct qr_manifest *m, qr_view signatures,
                       char *err_text, size_t err_cap)
{
    return qr_peers_add_manifest(p->peers, m, signatures, err_text, err_cap);
}

size_t
qr_policy_n_clients(const struct qr_policy *p)
{
    return p->n_clients;
}

const struct qr_client *
qr_policy_client(const struct qr_policy *p, size_t i)
{
    QR_ASSERT(i < p->n_clients);
    return &p->client[i];
}

qr_err
qr_policy_find_client(const struct qr_policy *p, const struct qr_stamp_key *key,
                      const struct qr_client **ret)
{
    int found = 0;
    size_t pos = position(p, key, &found);

    if (!found) {
        return QR_ERR_CLIENT_UNKNOWN;
    }
    *ret = &p->client[p->by_key[pos]];
    return QR_OK;
}

qr_err
qr_policy_check_stamp(const struct qr_policy *p, qr_view header, qr_view body,
                      const struct qr_client **ret, char *err_text, size_t err_cap)
{
    struct qr_stamp s;
    const struct qr_client *c = NULL;

    if (header.len == 0) {
        EXPLAIN("the request carries no X-Stamp");
        return QR_ERR_STAMP_MISSING;
    }
    QR_TRY(qr_stamp_parse(header, &s, err_text, err_cap));
    if (qr_policy_find_client(p, &s.key, &c) != QR_OK) {
        EXPLAIN("the policy (serial %llu) has no client with the stamp's key",
                (unsigned long long)p->serial);
        return QR_ERR_CLIENT_UNKNOWN;
    }
    if (qr_stamp_verify(c->pub, &s, body) != QR_OK) {
        EXPLAIN("the stamp of client \"%s\" is not over these bytes", c->name);
        return QR_ERR_STAMP_INVALID;
    }
    *ret = c;
    return QR_OK;
}

size_t
qr_policy_n_approvers(const struct qr_policy *p)
{
    return p->n_approvers;
}

const struct qr_approver *
qr_policy_approver(const struct qr_policy *p, size_t i)
{
    QR_ASSERT(i < p->n_approvers);
    return &p->approver[i];
}

size_t
qr_policy_n_limits(const struct qr_policy *p)
{
    return p->n_limits;
}

const struct qr_limit *
qr_policy_limit(const struct qr_policy *p, size_t i)
{
    QR_ASSERT(i < p->n_limits);
    return &p->limit[i];
}

void
qr_policy_explain(const struct qr_policy *p, unsigned n, unsigned t,
                  void (*line)(void *ctx, const char *text), void *ctx)
{
    char text[QR_NAME_MAX + 32];

    (void)n;
    (void)t;
    for (size_t i = 0; i < p->n_rules; i++) {
        (void)snprintf(text, sizeof text, "rule %s: %s", p->rule[i].id,
                       p->rule[i].deny ? "deny" : "allow");
        line(ctx, text);
    }
}

static int
names_key(const struct rule *r, const uint8_t key[static 33])
{
    return r->all_keys || bsearch(key, r->keys, r->n_keys, sizeof r->keys[0], key_cmp) != NULL;
}

static int
names_client(const struct rule *r, const struct qr_client *c)
{
    return r->all_clients || (r->clients[c->index / 64] >> (c->index % 64) & 1);
}

qr_err
qr_policy_decide(const struct qr_policy *p, const struct qr_policy_ask *ask,
                 struct qr_policy_says *ret)
{
    const struct rule *allowed[QR_KIND_COUNT] = {NULL}, *denied[QR_KIND_COUNT] = {NULL};

    *ret = (struct qr_policy_says){.rule = "", .life_ms = QR_REQUEST_LIFE_MS};
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rule[i];
        if (!(r->kinds & ask->req->kinds) || !names_client(r, ask->client) ||
            !names_key(r, ask->key)) {
            continue;
        }
        for (int k = 0; k < QR_KIND_COUNT; k++) {
            const struct rule **slot = r->deny ? &denied[k] : &allowed[k];
            if ((r->kinds & QR_KIND_BIT(k)) && !*slot) {
                *slot = r;
            }
        }
    }
    for (size_t i = 0; i < ask->req->n_items; i++) {
        enum qr_kind k = ask->req->items[i].kind;
        if (denied[k] || !allowed[k]) {
            ret->rule = denied[k] ? denied[k]->id : "";
            ret->kind = k;
            ret->item = i;
            (void)snprintf(ret->why, sizeof ret->why, "client %s may not have %s signed: %s%s",
                           ask->client->name, qr_kind_name(k),
                           denied[k] ? "denied by rule " : "no rule allows it", ret->rule);
            return QR_ERR_POLICY_DENIED;
        }
    }
    ret->kind = ask->req->items[0].kind;
    ret->rule = allowed[ret->kind]->id;
    return QR_OK;
}
