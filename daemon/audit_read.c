#include "daemon/audit_read.h"

#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <sodium.h>
#include <stdio.h>

#define VALUES_MAX 1024u

/* ---- the form of a line ------------------------------------------------------------------ */

struct cursor {
    const char *p, *end, *start;
    const char *bad; /* what was expected where the first difference is */
};

static void
fail(struct cursor *c, const char *expected)
{
    if (!c->bad) {
        c->bad = expected;
    }
}

static void
literal(struct cursor *c, const char *text)
{
    size_t n = strlen(text);
    if (c->bad || (size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0) {
        fail(c, text);
        return;
    }
    c->p += n;
}

/* Decimal without leading zeros, up to 2^63 - 1. */
static uint64_t
number(struct cursor *c)
{
    uint64_t v = 0;
    const char *from = c->p;
    while (!c->bad && c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        unsigned d = (unsigned)(*c->p - '0');
        if (v > ((uint64_t)INT64_MAX - d) / 10) {
            fail(c, "a number below 2^63");
            return 0;
        }
        v = v * 10 + d;
        c->p++;
    }
    if (c->p == from || (*from == '0' && c->p - from > 1)) {
        fail(c, "a number without leading zeros");
    }
    return v;
}

static void
hex32(struct cursor *c, uint8_t out[32])
{
    if (c->bad || c->end - c->p < 64 || qr_hex_decode(c->p, 64, out, 32) != QR_OK) {
        fail(c, "64 lower-case hex digits");
        return;
    }
    c->p += 64;
}

static void
word(struct cursor *c, char out[QR_AUDIT_EVENT_MAX + 1])
{
    size_t n = 0;
    while (!c->bad && c->p < c->end && *c->p >= 'a' && *c->p <= 'z' && n < QR_AUDIT_EVENT_MAX) {
        out[n++] = *c->p++;
    }
    out[n] = '\0';
    if (n == 0) {
        fail(c, "the name of an event");
    }
}

qr_err
qr_audit_parse(qr_view line, struct qr_audit_record *ret, char *why, size_t cap)
{
    struct qr_audit_record r = {0};
    struct cursor c = {(const char *)line.p, (const char *)line.p + line.len, (const char *)line.p,
                       NULL};
    if (line.len == 0 || line.len > QR_AUDIT_RECORD_MAX) {
        (void)snprintf(why, cap, "a record has 1 to %u bytes, not %zu", QR_AUDIT_RECORD_MAX,
                       line.len);
        return line.len ? QR_ERR_TOO_LARGE : QR_ERR_MALFORMED;
    }
    literal(&c, "{\"v\":1,\"party\":");
    uint64_t party = number(&c);
    literal(&c, ",\"boot\":");
    r.boot = number(&c);
    literal(&c, ",\"serial\":");
    r.serial = number(&c);
    literal(&c, ",\"prev\":\"");
    hex32(&c, r.prev);
    literal(&c, "\",\"time_ms\":");
    r.time_ms = number(&c);
    literal(&c, ",\"event\":\"");
    word(&c, r.event);
    literal(&c, "\"");
    if (!c.bad && (party < 1 || party > QR_MAX_PARTIES || r.boot == 0 || r.serial == 0)) {
        fail(&c, "a party of 1..16, a boot and a serial from 1");
    }
    const char *last = c.end - 1;
    if (!c.bad && (c.p > last || *last != '}' || (c.p < last && *c.p != ','))) {
        fail(&c, "members, and a closing brace at the end");
    }
    for (const char *p = c.p; !c.bad && p < last; p++) {
        if ((unsigned char)*p < 0x20) {
            c.p = p;
            fail(&c, "no control characters");
        }
    }
    if (c.bad) {
        (void)snprintf(why, cap, "byte %zu: expected %s", (size_t)(c.p - c.start), c.bad);
        return QR_ERR_MALFORMED;
    }
    r.party = (uint16_t)party;
    r.members = qr_view_of(c.p, (size_t)(last - c.p));
    qr_audit_hash(line, r.hash);
    *ret = r;
    return QR_OK;
}

/* ---- members ----------------------------------------------------------------------------- */

/* The members that every record has, for the tables below. */
#define COMMON                                                                                     \
    {"v", QR_JSON_SKIP, 0, 0, NULL, NULL}, {"party", QR_JSON_SKIP, 0, 0, NULL, NULL},              \
        {"boot", QR_JSON_SKIP, 0, 0, NULL, NULL}, {"serial", QR_JSON_SKIP, 0, 0, NULL, NULL},      \
        {"prev", QR_JSON_SKIP, 0, 0, NULL, NULL}, {"time_ms", QR_JSON_SKIP, 0, 0, NULL, NULL},     \
    {                                                                                              \
        "event", QR_JSON_SKIP, 0, 0, NULL, NULL                                                    \
    }

/* Opens the line as JSON, once its form and its event are right. */
static qr_err
open_line(struct qr_json *j, qr_view line, const char *event, struct qr_audit_record *r, char *why,
          size_t cap)
{
    QR_TRY(qr_audit_parse(line, r, why, cap));
    if (strcmp(r->event, event) != 0) {
        (void)snprintf(why, cap, "expected the event \"%s\", found \"%s\"", event, r->event);
        return QR_ERR_MALFORMED;
    }
    return qr_json_parse(j, line, VALUES_MAX, why, cap);
}

qr_err
qr_audit_read_boot(qr_view line, struct qr_audit_boot *ret, char *why, size_t cap)
{
    struct qr_json j = {0};
    struct qr_audit_record r;
    struct qr_audit_boot b = {0};
    qr_view platform = {NULL, 0};
    qr_err e = open_line(&j, line, "boot", &r, why, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        const struct qr_json_field fields[] = {
            COMMON,
            {"boot_nonce", QR_JSON_HEX, 0, 32, b.boot_nonce, NULL},
            {"cluster", QR_JSON_HEX, 0, 32, b.cluster, NULL},
            {"identity", QR_JSON_HEX, 0, 32, b.identity, NULL},
            {"roster", QR_JSON_HEX, 0, 32, b.roster, NULL},
            {"policy", QR_JSON_HEX, 0, 32, b.policy, NULL},
            {"platform", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &platform, NULL},
            {"last_boot", QR_JSON_U64, 0, INT64_MAX, &b.last_boot, NULL},
            {"last_serial", QR_JSON_U64, 0, INT64_MAX, &b.last_serial, NULL},
            {.type = QR_JSON_END},
        };
        e = qr_json_fields(&root, fields);
        if (e == QR_OK) {
            memcpy(b.platform, platform.p, platform.len);
            *ret = b;
        }
    }
    qr_json_clear(&j);
    return e;
}

qr_err
qr_audit_read_head(qr_view line, struct qr_audit_signed_head *ret, char *why, size_t cap)
{
    struct qr_json j = {0};
    struct qr_audit_record r;
    struct qr_audit_signed_head h = {0};
    struct qr_json_at more;
    int has_more = 0;
    qr_err e = open_line(&j, line, "head", &r, why, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        const struct qr_json_field fields[] = {
            COMMON,
            {"boot_nonce", QR_JSON_HEX, 0, 32, h.boot_nonce, NULL},
            {"signature", QR_JSON_HEX, 0, 64, h.sig, NULL},
            {"unrecorded", QR_JSON_OBJECT, 0, 0, &more, &has_more},
            {.type = QR_JSON_END},
        };
        const struct qr_json_field counts[] = {
            {"unknown_clients", QR_JSON_U64, 0, INT64_MAX, &h.unknown_clients, NULL},
            {"refused", QR_JSON_U64, 0, INT64_MAX, &h.refused, NULL},
            {"other", QR_JSON_U64, 0, INT64_MAX, &h.other, NULL},
            {.type = QR_JSON_END},
        };
        e = qr_json_fields(&root, fields);
        if (e == QR_OK && has_more) {
            e = qr_json_fields(&more, counts);
        }
        if (e == QR_OK && r.serial == 1) {
            e = qr_json_fail(&root, QR_ERR_MALFORMED,
                             "a head cannot be the first record of a boot");
        }
    }
    if (e == QR_OK) {
        h.party = r.party;
        h.at.boot = r.boot;
        h.at.serial = r.serial - 1;
        memcpy(h.at.hash, r.prev, 32);
        *ret = h;
    }
    qr_json_clear(&j);
    return e;
}

qr_err
qr_audit_read_anchor(qr_view line, struct qr_audit_signed_head *ret, char *why, size_t cap)
{
    struct qr_json j = {0};
    struct qr_audit_record r;
    struct qr_audit_signed_head h = {0};
    uint64_t of = 0;
    qr_err e = open_line(&j, line, "anchor", &r, why, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        const struct qr_json_field fields[] = {
            COMMON,
            {"of", QR_JSON_U64, 1, QR_MAX_PARTIES, &of, NULL},
            {"of_boot", QR_JSON_U64, 1, INT64_MAX, &h.at.boot, NULL},
            {"of_serial", QR_JSON_U64, 1, INT64_MAX, &h.at.serial, NULL},
            {"of_hash", QR_JSON_HEX, 0, 32, h.at.hash, NULL},
            {"of_boot_nonce", QR_JSON_HEX, 0, 32, h.boot_nonce, NULL},
            {"signature", QR_JSON_HEX, 0, 64, h.sig, NULL},
            {.type = QR_JSON_END},
        };
        e = qr_json_fields(&root, fields);
        if (e == QR_OK && of == r.party) {
            e = qr_json_fail(&root, QR_ERR_MALFORMED, "of: a party anchors others, not itself");
        }
    }
    if (e == QR_OK) {
        h.party = (uint16_t)of;
        *ret = h;
    }
    qr_json_clear(&j);
    return e;
}

/* ---- signed ------------------------------------------------------------------------------ */

static void
copy(char *out, qr_view v)
{
    memcpy(out, v.p, v.len);
    out[v.len] = '\0';
}

static qr_err
read_set(const struct qr_json_at *at, uint16_t self, struct qr_audit_signature *s)
{
    int has_self = 0;
    s->n_set = qr_json_count(at);
    for (size_t i = 0; i < s->n_set; i++) {
        struct qr_json_at e = qr_json_elem(at, i);
        struct qr_audit_member *m = &s->set[i];
        uint64_t party = 0;
        qr_view platform;
        const struct qr_json_field fields[] = {
            {"party", QR_JSON_U64, 1, QR_MAX_PARTIES, &party, NULL},
            {"platform", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &platform, NULL},
            {"measurement", QR_JSON_HEX, 0, 32, m->measurement, NULL},
            {"evidence", QR_JSON_HEX, 0, 32, m->evidence, &m->has_evidence},
            {.type = QR_JSON_END},
        };
        QR_TRY(qr_json_fields(&e, fields));
        if (i && party <= s->set[i - 1].party) {
            return qr_json_fail(&e, QR_ERR_SET, "parties are not in ascending order");
        }
        if ((party == self) == m->has_evidence) {
            return qr_json_fail(&e, QR_ERR_SET,
                                "a party judges the evidence of all others and not its own");
        }
        has_self |= party == self;
        m->party = (uint16_t)party;
        copy(m->platform, platform);
    }
    return has_self ? QR_OK
                    : qr_json_fail(at, QR_ERR_SET, "the record's own party is not in its set");
}

static qr_err
read_links(const struct qr_json_at *at, struct qr_audit_signature *s)
{
    s->n_links = qr_json_count(at);
    for (size_t i = 0; i < s->n_links; i++) {
        struct qr_json_at e = qr_json_elem(at, i);
        struct qr_audit_link *l = &s->link[i];
        uint64_t party = 0;
        const struct qr_json_field fields[] = {
            {"party", QR_JSON_U64, 1, QR_MAX_PARTIES, &party, NULL},
            {"out", QR_JSON_U64, 0, INT64_MAX, &l->out, NULL},
            {"in", QR_JSON_U64, 0, INT64_MAX, &l->in, NULL},
            {.type = QR_JSON_END},
        };
        QR_TRY(qr_json_fields(&e, fields));
        l->party = (uint16_t)party;
    }
    return QR_OK;
}

/* Elements that are hex of `each` bytes, to out one after another. */
static qr_err
read_hexes(const struct qr_json_at *at, uint8_t *out, size_t each)
{
    for (size_t i = 0; i < qr_json_count(at); i++) {
        struct qr_json_at e = qr_json_elem(at, i);
        const struct qr_json_field f = {"", QR_JSON_HEX, 0, each, out + i * each, NULL};
        QR_TRY(qr_json_value(&e, &f));
    }
    return QR_OK;
}

static qr_err
read_lists(const struct qr_json_at *path, const struct qr_json_at *approvers,
           struct qr_audit_signature *s)
{
    s->depth = qr_json_count(path);
    for (size_t i = 0; i < s->depth; i++) {
        struct qr_json_at e = qr_json_elem(path, i);
        uint64_t v = 0;
        const struct qr_json_field f = {"", QR_JSON_U64, 0, INT32_MAX, &v, NULL};
        QR_TRY(qr_json_value(&e, &f));
        s->path[i] = (uint32_t)v;
    }
    s->n_approvers = qr_json_count(approvers);
    for (size_t i = 0; i < s->n_approvers; i++) {
        struct qr_json_at e = qr_json_elem(approvers, i);
        qr_view v;
        const struct qr_json_field f = {"", QR_JSON_NAME, 1, QR_NAME_MAX, &v, NULL};
        QR_TRY(qr_json_value(&e, &f));
        copy(s->approver[i], v);
    }
    return QR_OK;
}

static qr_err
read_signed(const struct qr_json_at *root, uint16_t self, struct qr_audit_signature *s)
{
    struct qr_json_at path, approvers, set, digests, sigs, links;
    qr_view client, rule;
    uint64_t coordinator = 0, attempt = 0, epoch = 0;
    int has_links = 0, has_micros = 0;
    const struct qr_json_field fields[] = {
        COMMON,
        {"request", QR_JSON_HEX, 0, 32, s->request, NULL},
        {"coordinator", QR_JSON_U64, 1, QR_MAX_PARTIES, &coordinator, NULL},
        {"attempt", QR_JSON_U64, 0, UINT32_MAX, &attempt, NULL},
        {"key", QR_JSON_HEX, 0, 33, s->key, NULL},
        {"child", QR_JSON_HEX, 0, 33, s->child, NULL},
        {"epoch", QR_JSON_U64, 0, UINT32_MAX, &epoch, NULL},
        {"path", QR_JSON_ARRAY, 0, QR_PATH_MAX, &path, NULL},
        {"client", QR_JSON_NAME, 1, QR_NAME_MAX, &client, NULL},
        {"rule", QR_JSON_NAME, 1, QR_NAME_MAX, &rule, NULL},
        {"approvers", QR_JSON_ARRAY, 0, QR_APPROVALS_MAX, &approvers, NULL},
        {"policy", QR_JSON_HEX, 0, 32, s->policy, NULL},
        {"policy_serial", QR_JSON_U64, 0, INT64_MAX, &s->policy_serial, NULL},
        {"roster", QR_JSON_HEX, 0, 32, s->roster, NULL},
        {"set", QR_JSON_ARRAY, QR_MIN_THRESHOLD, QR_MAX_PARTIES, &set, NULL},
        {"digests", QR_JSON_ARRAY, 1, QR_ITEMS_MAX, &digests, NULL},
        {"signatures", QR_JSON_ARRAY, 1, QR_ITEMS_MAX, &sigs, &s->has_sigs},
        {"links", QR_JSON_ARRAY, 1, QR_MAX_PARTIES - 1, &links, &has_links},
        {"micros", QR_JSON_U64, 0, INT64_MAX, &s->micros, &has_micros},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(root, fields));
    s->coordinator = (uint16_t)coordinator;
    s->attempt = (uint32_t)attempt;
    s->epoch = (uint32_t)epoch;
    copy(s->client, client);
    copy(s->rule, rule);
    QR_TRY(read_lists(&path, &approvers, s));
    QR_TRY(read_set(&set, self, s));
    s->n = qr_json_count(&digests);
    QR_TRY(read_hexes(&digests, s->digest[0], 32));
    int own = s->coordinator == self;
    if (s->has_sigs != own || has_links != own || has_micros != own) {
        return qr_json_fail(root, QR_ERR_MALFORMED,
                            "signatures, links and micros stand in the coordinator's record alone");
    }
    if (own) {
        if (qr_json_count(&sigs) != s->n) {
            return qr_json_fail(&sigs, QR_ERR_MALFORMED, "as many as digests are expected");
        }
        QR_TRY(read_hexes(&sigs, s->sig[0], 65));
        QR_TRY(read_links(&links, s));
    }
    return QR_OK;
}

qr_err
qr_audit_read_signed(qr_view line, struct qr_audit_signature *ret, char *why, size_t cap)
{
    struct qr_json j = {0};
    struct qr_audit_record r;
    memset(ret, 0, sizeof *ret);
    qr_err e = open_line(&j, line, "signed", &r, why, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        e = read_signed(&root, r.party, ret);
    }
    qr_json_clear(&j);
    return e;
}

qr_err
qr_audit_verify_head(const struct qr_audit_signed_head *h, const uint8_t cluster[static 32],
                     const uint8_t identity[static 32])
{
    uint8_t hash[32];
    qr_audit_head_hash(cluster, h->party, h->boot_nonce, &h->at, hash);
    return crypto_sign_verify_detached(h->sig, hash, 32, identity) == 0 ? QR_OK : QR_ERR_IDENTITY;
}
