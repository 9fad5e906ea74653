/*
 * Reading approvers from a policy, and judging approvals: header value, passkey assertion, key of
 * one's own. A passkey's clientDataJSON is written by a browser and may grow members that we do not
 * know; they are passed over, as the standard asks, and the ones we know are compared exactly.
 */
#include "daemon/approval.h"

#include "daemon/admins.h"
#include "daemon/policy.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <stdarg.h>
#include <stdio.h>

#define APPROVAL_PREFIX "quorate/approval/v1\n"
/* base64url of the longest JSON we read. */
#define JSON_MAX (QR_STAMP_MAX / 4u * 3u)
#define JSON_ITEMS 16u
/* Browsers write some five members; what they may add is bounded, not known. */
#define CLIENT_ITEMS 64u

/* authenticatorData: RP id's hash, flags, counter; then only what the flags announce. */
#define DATA_MIN 37u
#define FLAG_PRESENT 0x01u
#define FLAG_VERIFIED 0x04u
#define FLAG_BACKUP_ELIGIBLE 0x08u
#define FLAG_BACKED_UP 0x10u
#define FLAG_CREDENTIAL 0x40u
#define FLAG_EXTENSIONS 0x80u

/* Where a refusal is explained. */
struct reason {
    char *why;
    size_t cap;
};

static qr_err __attribute__((format(printf, 2, 3)))
refuse(const struct reason *r, const char *format, ...)
{
    if (r->why && r->cap > 0) {
        va_list ap;
        va_start(ap, format);
        (void)vsnprintf(r->why, r->cap, format, ap);
        va_end(ap);
    }
    return QR_ERR_APPROVAL_INVALID;
}

/* Does this object's "scheme" say webauthn? What else it is, the reader of that form finds. */
static int
says_webauthn(const struct qr_json_at *object)
{
    for (size_t i = 0; i < qr_json_size(object); i++) {
        struct qr_json_at m = qr_json_member(object, i);
        qr_view v;
        const struct qr_json_field f = {m.name, QR_JSON_UTF8, 0, QR_STAMP_MAX, &v, NULL};
        if (strcmp(m.name, "scheme") == 0) {
            return qr_json_value(&m, &f) == QR_OK && qr_view_eq(v, qr_view_str("webauthn"));
        }
    }
    return 0;
}

/* ---- approvers ---- */

/* A domain as browsers write it: labels of [a-z0-9-], at least min_labels of them, no IPv4 address. */
static int
is_domain(qr_view v, size_t min_labels)
{
    size_t labels = 0;
    int letters = 0;

    for (size_t i = 0; i < v.len;) {
        size_t n = 0;
        for (letters = 0; i + n < v.len && v.p[i + n] != '.'; n++) {
            uint8_t c = v.p[i + n];
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
                return 0;
            }
            letters |= c < '0' || c > '9';
        }
        if (n == 0 || n > 63 || v.p[i] == '-' || v.p[i + n - 1] == '-') {
            return 0;
        }
        labels++;
        i += n;
        if (i < v.len && ++i == v.len) {
            return 0; /* a dot at the end */
        }
    }
    return labels >= min_labels && letters;
}

static int
is_localhost(qr_view host)
{
    return qr_view_eq(host, qr_view_str("localhost"));
}

/* 1..65535 without a zero in front, and not the one that the scheme means anyway. */
static int
is_port(qr_view v, unsigned implied)
{
    unsigned port = 0;

    if (v.len == 0 || v.len > 5 || v.p[0] == '0') {
        return 0;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            return 0;
        }
        port = 10 * port + (unsigned)(v.p[i] - '0');
    }
    return port <= 65535 && port != implied;
}

/* host is rp_id, or a name below it. */
static int
is_below(qr_view host, qr_view rp_id)
{
    if (host.len <= rp_id.len) {
        return qr_view_eq(host, rp_id);
    }
    size_t more = host.len - rp_id.len;
    return host.p[more - 1] == '.' && qr_view_eq(qr_view_of(host.p + more, rp_id.len), rp_id);
}

static qr_err
read_origin(const struct qr_json_at *at, int insecure, qr_view rp_id, char *out)
{
    static const char https[] = "https://", http[] = "http://";
    char q[QR_QUOTE_MAX];
    qr_view v;
    const struct qr_json_field f = {"", QR_JSON_TEXT, 1, QR_ORIGIN_MAX, &v, NULL};

    QR_TRY(qr_json_value(at, &f));
    int plain = v.len > sizeof http - 1 && memcmp(v.p, http, sizeof http - 1) == 0;
    if (!plain && !(v.len > sizeof https - 1 && memcmp(v.p, https, sizeof https - 1) == 0)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "\"%s\" does not begin with https://",
                            qr_quote(q, v));
    }
    size_t from = plain ? sizeof http - 1 : sizeof https - 1;
    qr_view host = qr_view_of(v.p + from, v.len - from);
    const uint8_t *colon = memchr(host.p, ':', host.len);
    if (colon) {
        qr_view port = qr_view_of(colon + 1, (size_t)(host.p + host.len - colon - 1));
        host.len = (size_t)(colon - host.p);
        if (!is_port(port, plain ? 80 : 443)) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "\"%s\": a port is 1 to 65535, and the scheme's own is left out",
                                qr_quote(q, v));
        }
    }
    if (!is_domain(host, insecure && is_localhost(host) ? 1 : 2)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"%s\" is not scheme://host[:port] in lower case, with a domain as "
                            "host and nothing behind",
                            qr_quote(q, v));
    }
    if (plain && !(insecure && is_localhost(host))) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"%s\" must be https (http is for localhost, and a policy with "
                            "insecure_sim)",
                            qr_quote(q, v));
    }
    if (!is_below(host, rp_id)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "the host of \"%s\" is not at or below the rp_id",
                            qr_quote(q, v));
    }
    memcpy(out, v.p, v.len);
    out[v.len] = 0;
    return QR_OK;
}

static qr_err
read_origins(const struct qr_json_at *list, int insecure, qr_view rp_id, struct qr_approver *a)
{
    a->n_origins = qr_json_count(list);
    for (size_t i = 0; i < a->n_origins; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(read_origin(&at, insecure, rp_id, a->origin[i]));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(a->origin[k], a->origin[i]) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "the origin is listed twice");
            }
        }
    }
    return QR_OK;
}

static qr_err
read_passkey(const struct qr_json_at *at, int insecure, struct qr_approver *a)
{
    struct qr_json_at origins;
    qr_view name, rp_id;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"name", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &name, NULL},
        {"scheme", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"key", QR_JSON_HEX, 0, 33, a->key.b, NULL},
        {"rp_id", QR_JSON_TEXT, 1, QR_RP_ID_MAX, &rp_id, NULL},
        {"origins", QR_JSON_ARRAY, 1, QR_ORIGINS_MAX, &origins, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    a->webauthn = 1;
    a->key.scheme = QR_SCHEME_P256;
    memcpy(a->name, name.p, name.len);
    memcpy(a->rp_id, rp_id.p, rp_id.len);
    if (!is_domain(rp_id, insecure && is_localhost(rp_id) ? 1 : 2)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "rp_id \"%s\" is not a domain in lower case",
                            qr_quote(q, rp_id));
    }
    QR_TRY(read_origins(&origins, insecure, rp_id, a));
    qr_err e = qr_pubkey_new(&a->key, &a->pub);
    return e == QR_ERR_POINT ? qr_json_fail(at, e, "key is not a P-256 public key")
           : e == QR_OK      ? e
                             : qr_json_fail(at, e, "%s", qr_err_text(e));
}

qr_err
qr_approver_read(const struct qr_json_at *at, int insecure, struct qr_approver *ret)
{
    struct qr_approver a = {0};

    if (says_webauthn(at)) {
        QR_TRY(read_passkey(at, insecure, &a));
    } else {
        QR_TRY(qr_signer_read(at, a.name, &a.key, &a.pub));
    }
    *ret = a;
    return QR_OK;
}

/* ---- form ---- */

void
qr_approval_text(const uint8_t request[static 32], char ret[static QR_APPROVAL_TEXT_LEN])
{
    char hex[65];
    _Static_assert(sizeof APPROVAL_PREFIX - 1 + 64 + 1 == QR_APPROVAL_TEXT_LEN, "approval text");

    qr_hex_encode(qr_view_of(request, 32), hex);
    memcpy(ret, APPROVAL_PREFIX, sizeof APPROVAL_PREFIX - 1);
    memcpy(ret + sizeof APPROVAL_PREFIX - 1, hex, 64);
    ret[QR_APPROVAL_TEXT_LEN - 1] = '\n';
}

static qr_err
read_assertion(struct qr_json *j, struct qr_approval *a)
{
    struct qr_json_at root = qr_json_root(j);
    struct qr_stamp *s = &a->stamp;
    qr_view data, client, sig;
    const struct qr_json_field fields[] = {
        {"scheme", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"publicKey", QR_JSON_HEX, 0, 33, s->key.b, NULL},
        {"authenticatorData", QR_JSON_TEXT, 1, QR_STAMP_MAX, &data, NULL},
        {"clientDataJSON", QR_JSON_TEXT, 1, QR_STAMP_MAX, &client, NULL},
        {"signature", QR_JSON_TEXT, 16, 2 * QR_STAMP_SIG_MAX, &sig, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(&root, fields));
    s->key.scheme = QR_SCHEME_P256;
    s->sig_len = sig.len / 2;
    if (qr_hex_decode((const char *)sig.p, sig.len, s->sig, s->sig_len) != QR_OK) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "signature must be lower-case hex");
    }
    if (qr_b64url_decode((const char *)data.p, data.len, a->data, sizeof a->data, &a->data_len) !=
        QR_OK) {
        return qr_json_fail(&root, QR_ERR_MALFORMED,
                            "authenticatorData must be base64url of at most %zu bytes",
                            sizeof a->data);
    }
    if (qr_b64url_decode((const char *)client.p, client.len, a->client, sizeof a->client,
                         &a->client_len) != QR_OK) {
        return qr_json_fail(&root, QR_ERR_MALFORMED,
                            "clientDataJSON must be base64url of at most %zu bytes",
                            sizeof a->client);
    }
    a->webauthn = 1;
    return QR_OK;
}

qr_err
qr_approval_parse(qr_view header, struct qr_approval *ret, char *why, size_t cap)
{
    const struct reason r = {why, cap};
    uint8_t json[JSON_MAX];
    size_t len = 0;
    struct qr_json j;
    struct qr_approval a = {0};

    if (header.len > QR_STAMP_MAX) {
        (void)refuse(&r, "approval has %zu bytes, at most %u are allowed", header.len,
                     QR_STAMP_MAX);
        return QR_ERR_TOO_LARGE;
    }
    if (qr_b64url_decode((const char *)header.p, header.len, json, sizeof json, &len) != QR_OK) {
        return refuse(&r, "approval is not base64url without padding");
    }
    qr_err e = qr_json_parse(&j, qr_view_of(json, len), JSON_ITEMS, why, cap);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        e = says_webauthn(&root) ? read_assertion(&j, &a)
                                 : qr_stamp_parse(header, &a.stamp, why, cap);
        qr_json_clear(&j);
    }
    if (e != QR_OK) {
        return e == QR_ERR_NO_MEMORY ? e : QR_ERR_APPROVAL_INVALID;
    }
    *ret = a;
    return QR_OK;
}

/* ---- judging ---- */

/* Members of clientDataJSON that count; texts are NULL where absent. */
struct client_data {
    qr_view type, challenge, origin;
    int cross_origin, top_origin;
};

static qr_err
read_client_data(struct qr_json *j, struct client_data *ret)
{
    struct qr_json_at root = qr_json_root(j);
    const struct qr_json_field known[] = {
        {"type", QR_JSON_UTF8, 0, QR_STAMP_MAX, &ret->type, NULL},
        {"challenge", QR_JSON_UTF8, 0, QR_STAMP_MAX, &ret->challenge, NULL},
        {"origin", QR_JSON_UTF8, 0, QR_STAMP_MAX, &ret->origin, NULL},
        {"crossOrigin", QR_JSON_BOOL, 0, 0, &ret->cross_origin, NULL},
        {"topOrigin", QR_JSON_SKIP, 0, 0, NULL, &ret->top_origin},
        {.type = QR_JSON_END},
    };

    for (size_t i = 0; i < qr_json_size(&root); i++) {
        struct qr_json_at m = qr_json_member(&root, i);
        const struct qr_json_field *f = known;
        while (f->type != QR_JSON_END && strcmp(f->name, m.name) != 0) {
            f++;
        }
        if (f->ret_present) {
            *f->ret_present = 1;
        }
        if (f->type != QR_JSON_END) {
            QR_TRY(qr_json_value(&m, f));
        }
    }
    return QR_OK;
}

static qr_err
judge_client_data(const struct reason *r, const struct qr_approver *who,
                  const struct client_data *d, const uint8_t challenge[static 32])
{
    char expected[44], q[QR_QUOTE_MAX];
    int known = 0;

    if (!qr_view_eq(d->type, qr_view_str("webauthn.get"))) {
        return refuse(r, "type is \"%s\"; expected webauthn.get", qr_quote(q, d->type));
    }
    qr_b64url_encode(qr_view_of(challenge, 32), expected);
    if (!qr_view_eq(d->challenge, qr_view_str(expected))) {
        return refuse(r, "it is of another request: the challenge is \"%s\", this request's is %s",
                      qr_quote(q, d->challenge), expected);
    }
    for (size_t i = 0; i < who->n_origins; i++) {
        known |= qr_view_eq(d->origin, qr_view_str(who->origin[i]));
    }
    if (!known) {
        return refuse(r, "it was made at origin \"%s\", which is none of %s's origins (%s%s)",
                      qr_quote(q, d->origin), who->name, who->origin[0],
                      who->n_origins > 1 ? ", ..." : "");
    }
    if (d->cross_origin || d->top_origin) {
        return refuse(r, "it was made inside a page of another origin (an iframe)");
    }
    return QR_OK;
}

static qr_err
judge_data(const struct reason *r, const struct qr_approver *who, const struct qr_approval *a)
{
    uint8_t rp[32];

    if (a->data_len < DATA_MIN) {
        return refuse(r, "authenticatorData has %zu bytes, at least %u are needed", a->data_len,
                      DATA_MIN);
    }
    qr_sha256(qr_view_str(who->rp_id), rp);
    if (memcmp(rp, a->data, sizeof rp) != 0) {
        return refuse(r, "it is for another relying party than %s", who->rp_id);
    }
    unsigned flags = a->data[32];
    if (!(flags & FLAG_PRESENT)) {
        return refuse(r, "nobody was present at the authenticator (UP is not set)");
    }
    if (!(flags & FLAG_VERIFIED)) {
        return refuse(r, "the authenticator did not verify its user by PIN or biometrics (UV is "
                         "not set)");
    }
    if ((flags & FLAG_BACKED_UP) && !(flags & FLAG_BACKUP_ELIGIBLE)) {
        return refuse(r, "authenticatorData is backed up (BS) and cannot be (BE)");
    }
    if (flags & FLAG_CREDENTIAL) {
        return refuse(r, "authenticatorData carries a new credential (AT); an assertion does not");
    }
    if (!(flags & FLAG_EXTENSIONS) != (a->data_len == DATA_MIN)) {
        return refuse(r, "authenticatorData has %zu bytes, which its flags (0x%02x) do not say",
                      a->data_len, flags);
    }
    return QR_OK;
}

qr_err
qr_passkey_check(const struct qr_approver *who, const struct qr_approval *a,
                 const uint8_t challenge[static 32], char *why, size_t cap)
{
    const struct reason r = {why, cap};
    uint8_t signed_bytes[sizeof a->data + 32];
    struct client_data d = {0};
    struct qr_json j;

    if (!who->webauthn || !a->webauthn || a->data_len > sizeof a->data ||
        a->client_len > sizeof a->client) {
        return refuse(&r, "it is not made with %s's passkey", who->name);
    }
    memcpy(signed_bytes, a->data, a->data_len);
    qr_sha256(qr_view_of(a->client, a->client_len), signed_bytes + a->data_len);
    if (qr_stamp_verify(who->pub, &a->stamp, qr_view_of(signed_bytes, a->data_len + 32)) != QR_OK) {
        return refuse(&r, "the signature is not %s's passkey's over these bytes", who->name);
    }
    qr_err e =
        qr_json_parse_foreign(&j, qr_view_of(a->client, a->client_len), CLIENT_ITEMS, why, cap);
    if (e == QR_OK) {
        e = read_client_data(&j, &d);
        e = e == QR_OK ? judge_client_data(&r, who, &d, challenge) : e;
        qr_json_clear(&j); /* the views in d are its */
    }
    if (e != QR_OK) {
        return e == QR_ERR_NO_MEMORY ? e : QR_ERR_APPROVAL_INVALID;
    }
    return judge_data(&r, who, a);
}

qr_err
qr_approval_check(const struct qr_approver *who, const struct qr_approval *a,
                  const uint8_t request[static 32], char *why, size_t cap)
{
    const struct reason r = {why, cap};
    char text[QR_APPROVAL_TEXT_LEN];
    uint8_t challenge[32];

    if (who->webauthn != a->webauthn || qr_stamp_key_cmp(&who->key, &a->stamp.key) != 0) {
        return refuse(&r, "it is not made with %s's key", who->name);
    }
    qr_approval_text(request, text);
    if (who->webauthn) {
        qr_sha256(qr_view_of(text, sizeof text), challenge);
        return qr_passkey_check(who, a, challenge, why, cap);
    }
    if (qr_stamp_verify(who->pub, &a->stamp, qr_view_of(text, sizeof text)) != QR_OK) {
        return refuse(&r, "%s's signature is not over the approval of exactly this request",
                      who->name);
    }
    return QR_OK;
}

static const struct qr_approver *
find_approver(const struct qr_policy *p, const struct qr_approval *a)
{
    for (size_t i = 0; i < qr_policy_n_approvers(p); i++) {
        const struct qr_approver *who = qr_policy_approver(p, i);
        if (who->webauthn == a->webauthn && qr_stamp_key_cmp(&who->key, &a->stamp.key) == 0) {
            return who;
        }
    }
    return NULL;
}

/* One header; its approver's bit is added to *mask. */
static qr_err
check_one(const struct qr_policy *p, qr_view header, const uint8_t request[static 32],
          uint64_t *mask, const struct reason *r)
{
    struct qr_approval a;

    QR_TRY(qr_approval_parse(header, &a, r->why, r->cap));
    const struct qr_approver *who = find_approver(p, &a);
    if (!who) {
        return refuse(r, "the policy (serial %llu) has no approver with its key (%s)",
                      (unsigned long long)qr_policy_serial(p),
                      a.webauthn ? "webauthn" : qr_scheme_name(a.stamp.key.scheme));
    }
    uint64_t bit = (uint64_t)1 << who->index;
    if (*mask & bit) {
        return refuse(r, "%s's stands here twice", who->name);
    }
    QR_TRY(qr_approval_check(who, &a, request, r->why, r->cap));
    *mask |= bit;
    return QR_OK;
}

qr_err
qr_approvals_check(const struct qr_policy *p, const qr_view *headers, size_t n,
                   const uint8_t request[static 32], uint64_t *ret_mask, char *why, size_t cap)
{
    const struct reason r = {why, cap};
    char one[QR_ERR_TEXT_MAX];
    uint64_t mask = 0;

    if (n > QR_APPROVALS_MAX) {
        (void)refuse(&r, "%zu approvals, at most %u are allowed", n, QR_APPROVALS_MAX);
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < n; i++) {
        const struct reason inner = {one, sizeof one};
        one[0] = 0;
        qr_err e = check_one(p, headers[i], request, &mask, &inner);
        if (e != QR_OK) {
            (void)refuse(&r, "approval %zu: %s", i + 1, one[0] ? one : qr_err_text(e));
            return e;
        }
    }
    *ret_mask = mask;
    return QR_OK;
}

qr_err
qr_approval_sign(struct evp_pkey_st *key, const uint8_t request[static 32], char *out, size_t cap)
{
    char text[QR_APPROVAL_TEXT_LEN];

    qr_approval_text(request, text);
    return qr_stamp_sign(key, qr_view_of(text, sizeof text), out, cap);
}
