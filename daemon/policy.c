/*
 * The document: who asks (clients), who approves (approvers), which origins are the gateways'. Rules are
 * policy_rule.c's, deciding is policy_decide.c's.
 */
#include "daemon/policy_int.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* Of a document of QR_DOC_MAX bytes with as many rules as there may be: one in eight bytes. */
#define POLICY_VALUES 32768u
#define GATEWAYS_MAX 64u

struct qr_policy *
qr_policy_free(struct qr_policy *p)
{
    if (p) {
        for (size_t i = 0; i < p->n_clients; i++) {
            qr_pubkey_free(p->client[i].pub);
        }
        for (size_t i = 0; i < p->n_approvers; i++) {
            qr_pubkey_free(p->approver[i].pub);
        }
        for (size_t i = 0; i < p->n_rules; i++) {
            qr_rule_clear(&p->rule[i]);
        }
        qr_free(p->approver);
        qr_free(p->rule);
        qr_free(p->limit);
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

/* ---- approvers, and where they may not approve ---- */

/* The host of scheme://host[:port]. */
static qr_view
host_of(qr_view origin)
{
    const uint8_t *end = origin.p + origin.len, *from = origin.p, *to;

    for (const uint8_t *p = origin.p; p + 3 <= end; p++) {
        if (memcmp(p, "://", 3) == 0) {
            from = p + 3;
            break;
        }
    }
    for (to = from; to < end && *to != ':'; to++) {
    }
    return qr_view_of(from, (size_t)(to - from));
}

/* http or https, a host of [a-z0-9.-], maybe a port: as browsers write origins. */
static qr_err
read_gateway(const struct qr_json_at *at, qr_view *ret)
{
    static const char *const schemes[] = {"https://", "http://"};
    const struct qr_json_field f = {"", QR_JSON_TEXT, 1, QR_ORIGIN_MAX, ret, NULL};
    char q[QR_QUOTE_MAX];
    size_t from = 0;
    int good;

    QR_TRY(qr_json_value(at, &f));
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        from = from == 0 && ret->len > n && memcmp(ret->p, schemes[i], n) == 0 ? n : from;
    }
    qr_view host = host_of(*ret);
    good = from > 0 && host.len > 0;
    for (size_t i = from; good && i < ret->len; i++) {
        uint8_t c = ret->p[i];
        int digit = c >= '0' && c <= '9';
        int in_host = i < from + host.len;
        good = digit || (in_host && ((c >= 'a' && c <= 'z') || c == '.' || c == '-')) ||
               (i == from + host.len && c == ':' && i + 1 < ret->len);
    }
    return good ? QR_OK
                : qr_json_fail(at, QR_ERR_MALFORMED,
                               "\"%s\" is not scheme://host[:port] in lower case",
                               qr_quote(q, *ret));
}

/* A gateway could serve a page of its own; a passkey used on that is nobody's consent. */
static qr_err
check_gateways(const struct qr_json_at *requests, const struct qr_json_at *list, int has_list,
               const struct qr_policy *p)
{
    char q[QR_QUOTE_MAX];

    for (size_t g = 0; has_list && g < qr_json_count(list); g++) {
        struct qr_json_at at = qr_json_elem(list, g);
        qr_view gateway;
        QR_TRY(read_gateway(&at, &gateway));
        for (size_t i = 0; i < p->n_approvers && !qr_policy_insecure_sim(p); i++) {
            const struct qr_approver *a = &p->approver[i];
            for (size_t k = 0; k < a->n_origins; k++) {
                if (qr_view_eq(host_of(gateway), host_of(qr_view_str(a->origin[k])))) {
                    return qr_json_fail(&at, QR_ERR_MALFORMED,
                                        "\"%s\" is on the same host as an origin of approver "
                                        "\"%s\"; his page must be served by somebody else",
                                        qr_quote(q, gateway), a->name);
                }
            }
        }
    }
    for (size_t i = 0; i < p->n_approvers; i++) {
        if (p->approver[i].webauthn && !has_list && !qr_policy_insecure_sim(p)) {
            return qr_json_fail(requests, QR_ERR_MALFORMED,
                                "approver \"%s\" uses a passkey, so \"gateways\" must name the "
                                "gateways' origins, which may not be his",
                                p->approver[i].name);
        }
    }
    return QR_OK;
}

/* One key is one voice: not two approvers', and not an approver's and a client's. */
static qr_err
read_approver(const struct qr_json_at *at, struct qr_policy *p)
{
    struct qr_approver *a = &p->approver[p->n_approvers];
    int found = 0;

    QR_TRY(qr_approver_read(at, qr_policy_insecure_sim(p), a));
    a->index = (uint16_t)p->n_approvers;
    p->n_approvers++; /* from now on qr_policy_free sees what it holds */
    for (size_t i = 0; i < a->index; i++) {
        const struct qr_approver *twin = &p->approver[i];
        int same = qr_stamp_key_cmp(&twin->key, &a->key) == 0;
        if (same || strcmp(twin->name, a->name) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                same ? "same key as approver \"%s\"" : "name \"%s\" is used twice",
                                twin->name);
        }
    }
    size_t pos = position(p, &a->key, &found);
    return found ? qr_json_fail(at, QR_ERR_MALFORMED,
                                "same key as client \"%s\", who could approve his own requests",
                                p->client[p->by_key[pos]].name)
                 : QR_OK;
}

/* ---- the document ---- */

static qr_err
read_rules(const struct qr_json_at *rules, struct qr_policy *p)
{
    const struct qr_rule_names names = {p->client, p->n_clients, p->approver, p->n_approvers};
    size_t n = qr_json_count(rules);

    if (n == 0) {
        return QR_OK;
    }
    p->rule = qr_alloc(n * sizeof p->rule[0]);
    p->limit = qr_alloc(QR_LIMITS_MAX * sizeof p->limit[0]);
    if (!p->rule || !p->limit) {
        return qr_json_fail(rules, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(rules, i);
        p->n_rules++; /* from now on qr_policy_free sees what it holds */
        QR_TRY(qr_rule_read(&at, &names, p->limit, &p->n_limits, &p->rule[i]));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->rule[k].id, p->rule[i].id) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "rule id \"%s\" is used twice",
                                    p->rule[i].id);
            }
        }
    }
    return QR_OK;
}

static qr_err
read_requests(const struct qr_json_at *requests, struct qr_policy *p)
{
    struct qr_json_at clients, approvers, gateways, rules;
    int has_approvers, has_gateways;
    const struct qr_json_field fields[] = {
        {"clients", QR_JSON_ARRAY, 0, QR_CLIENTS_MAX, &clients, NULL},
        {"approvers", QR_JSON_ARRAY, 1, QR_APPROVERS_MAX, &approvers, &has_approvers},
        {"gateways", QR_JSON_ARRAY, 1, GATEWAYS_MAX, &gateways, &has_gateways},
        {"rules", QR_JSON_ARRAY, 0, QR_RULES_MAX, &rules, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(requests, fields));
    for (size_t i = 0; i < qr_json_count(&clients); i++) {
        struct qr_json_at at = qr_json_elem(&clients, i);
        QR_TRY(read_client(&at, p));
    }
    if (has_approvers) {
        size_t n = qr_json_count(&approvers);
        p->approver = qr_alloc(n * sizeof p->approver[0]);
        if (!p->approver) {
            return qr_json_fail(&approvers, QR_ERR_NO_MEMORY, "out of memory");
        }
        for (size_t i = 0; i < n; i++) {
            struct qr_json_at at = qr_json_elem(&approvers, i);
            QR_TRY(read_approver(&at, p));
        }
    }
    QR_TRY(check_gateways(requests, &gateways, has_gateways, p));
    return read_rules(&rules, p);
}

static qr_err
read_policy(struct qr_json *j, struct qr_policy *p)
{
    struct qr_json_at root = qr_json_root(j), peers, requests;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, p->cluster, NULL},
        {"serial", QR_JSON_U64, 1, INT64_MAX, &p->serial, NULL},
        {"peers", QR_JSON_OBJECT, 0, 0, &peers, NULL},
        {"requests", QR_JSON_OBJECT, 0, 0, &requests, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(&root, "quorate/policy"));
    QR_TRY(qr_json_fields(&root, fields));
    QR_TRY(qr_peers_parse(&peers, &p->peers));
    return read_requests(&requests, p);
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
