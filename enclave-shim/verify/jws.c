#include "enclave-shim/verify/jws.h"

#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <jansson.h>

/* The last second of the year 9999. */
#define TIME_MAX INT64_C(253402300799)

static qr_err
malformed(struct qr_verdict *v, const char *what, const char *expected)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected %s, found something else",
                   what, expected);
}

/* ---- the three parts --------------------------------------------------------------------------- */

qr_view
qr_jws_text(const json_t *object, const char *name)
{
    const json_t *t = json_object_get(object, name);
    return t && json_is_string(t) ? qr_view_of(json_string_value(t), json_string_length(t))
                                  : (qr_view){0};
}

qr_err
qr_jws_json(qr_view text, size_t max_values, struct qr_verdict *v, const char *what,
            struct qr_json *ret)
{
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_json j;

    switch (qr_json_parse_foreign(&j, text, max_values, why, sizeof why)) {
    case QR_OK:
        break;
    case QR_ERR_NO_MEMORY:
        return QR_ERR_NO_MEMORY;
    case QR_ERR_TOO_LARGE:
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected bounded JSON, found: %s", what, why);
    case QR_ERR_DUPLICATE:
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY,
                       "%s: expected each member once, found: %s", what, why);
    default:
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected JSON, found: %s", what,
                       why);
    }
    j.err_text = NULL; /* it ends with this function */
    j.err_cap = 0;
    if (!json_is_object(j.root)) {
        qr_json_clear(&j);
        return malformed(v, what, "a JSON object");
    }
    *ret = j;
    return QR_OK;
}

/* Decodes one part to *at, which is moved behind it. */
static qr_err
decode(struct qr_verdict *v, const char *what, qr_view part, struct qr_buf *b, qr_view *ret)
{
    size_t n;
    uint8_t *out = b->p + b->len;
    if (part.len == 0 ||
        qr_b64url_decode((const char *)part.p, part.len, out, b->cap - b->len, &n) != QR_OK) {
        return malformed(v, what, "base64url without padding");
    }
    b->len += n;
    *ret = qr_view_of(out, n);
    return QR_OK;
}

static qr_err
check_header(struct qr_verdict *v, const json_t *header)
{
    char q[QR_QUOTE_MAX];
    qr_view alg = qr_jws_text(header, "alg");
    qr_view typ = qr_jws_text(header, "typ");

    if (!alg.p) {
        return malformed(v, "token header", "the member alg, text");
    }
    /* Not one word more: with "none" or HS256 the token itself would choose what it is checked by. */
    if (!qr_view_eq(alg, qr_view_str("RS256"))) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "token header: expected alg RS256, found \"%s\"", qr_quote(q, alg));
    }
    if (json_object_get(header, "crit")) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "token header: expected no member crit, found one");
    }
    if (json_object_get(header, "typ") && !qr_view_eq(typ, qr_view_str("JWT"))) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "token header: expected typ JWT, found \"%s\"", qr_quote(q, typ));
    }
    return QR_OK;
}

static qr_err
parse_parts(struct qr_verdict *v, struct qr_jws *j, qr_view token)
{
    qr_view part[3] = {{0}}, header_text = {0};
    size_t at = 0;

    for (size_t i = 0; i < 3; i++) {
        const uint8_t *dot = memchr(token.p + at, '.', token.len - at);
        if ((i < 2) != (dot != NULL)) {
            return malformed(v, "token", "three parts with dots between them");
        }
        size_t end = dot ? (size_t)(dot - token.p) : token.len;
        part[i] = qr_view_of(token.p + at, end - at);
        at = end + 1;
    }
    j->signed_part = qr_view_of(token.p, part[0].len + 1 + part[1].len);

    struct qr_buf b = qr_buf_over(j->mem, token.len);
    /* The algorithm first: what the other parts must look like follows from it. */
    QR_TRY(decode(v, "token header", part[0], &b, &header_text));
    QR_TRY(qr_jws_json(header_text, QR_JWS_VALUES, v, "token header", &j->header));
    QR_TRY(check_header(v, j->header.root));
    QR_TRY(decode(v, "token payload", part[1], &b, &j->payload_text));
    QR_TRY(decode(v, "token signature", part[2], &b, &j->signature));
    if (j->signature.len > QR_JWS_SIG_MAX) {
        return malformed(v, "token signature", "at most 512 bytes");
    }
    return qr_jws_json(j->payload_text, QR_JWS_VALUES, v, "token payload", &j->payload);
}

qr_err
qr_jws_parse(qr_view token, struct qr_verdict *v, struct qr_jws *ret)
{
    struct qr_jws j = {0};

    if (token.len == 0 || token.len > qr_part_max(QR_PART_TOKEN)) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "token: expected 1 to %zu bytes, found %zu", qr_part_max(QR_PART_TOKEN),
                       token.len);
    }
    j.mem = qr_alloc(token.len);
    if (!j.mem) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = parse_parts(v, &j, token);
    if (e != QR_OK) {
        qr_jws_free(&j);
        return e;
    }
    qr_pass(v, QR_CHECK_LIMITS);
    qr_pass(v, QR_CHECK_PARSE);
    qr_pass(v, QR_CHECK_ALGORITHM);
    *ret = j;
    return QR_OK;
}

void
qr_jws_free(struct qr_jws *j)
{
    qr_json_clear(&j->header);
    qr_json_clear(&j->payload);
    qr_free(j->mem);
    *j = (struct qr_jws){0};
}

qr_err
qr_jws_run(struct qr_verify_run *r,
           qr_err (*check)(struct qr_verify_run *r, const struct qr_jws *j))
{
    struct qr_jws j;
    qr_view token;

    QR_TRY(qr_run_need(r, QR_PART_TOKEN, QR_CHECK_PARSE, QR_REASON_MALFORMED, &token));
    QR_TRY(qr_jws_parse(token, r->v, &j));
    qr_err e = check(r, &j);
    qr_jws_free(&j);
    return e;
}

/* ---- claims ------------------------------------------------------------------------------------ */

static qr_err
check_fit(struct qr_verdict *v)
{
    return v->claims.overflow
               ? qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                         "token: expected claims of at most %u bytes, found more", QR_CLAIMS_ARENA)
               : QR_OK;
}

qr_err
qr_jws_claim_object(struct qr_verdict *v, const char *path, const json_t *object, const char *but)
{
    /* A copy of one level; what lies below is shared and stays as it is. */
    json_t *copy = json_copy((json_t *)(uintptr_t)object);
    char *text = qr_alloc(QR_CLAIMS_ARENA);
    qr_err e = QR_ERR_NO_MEMORY;

    if (copy && text) {
        if (but) {
            (void)json_object_del(copy, but); /* it may be absent */
        }
        size_t n = json_dumpb(copy, text, QR_CLAIMS_ARENA, JSON_COMPACT);
        if (n == 0 || n > QR_CLAIMS_ARENA) {
            v->claims.overflow = 1;
        } else {
            qr_claim_json_copy(&v->claims, path, qr_view_of(text, n));
        }
        e = check_fit(v);
    }
    qr_free(text);
    json_decref(copy);
    return e;
}

qr_err
qr_jws_claims(const struct qr_jws *j, struct qr_verdict *v)
{
    QR_TRY(qr_jws_claim_object(v, "header", j->header.root, "x5c"));
    qr_claim_json_copy(&v->claims, "payload", j->payload_text);
    return check_fit(v);
}

/* ---- times and audience ------------------------------------------------------------------------ */

static qr_err
read_time(const struct qr_jws *j, struct qr_verdict *v, const char *name, int64_t *ret)
{
    const json_t *t = json_object_get(j->payload.root, name);
    if (!t || !json_is_integer(t) || json_integer_value(t) <= 0 ||
        json_integer_value(t) > TIME_MAX) {
        return qr_fail(
            v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
            "token payload: expected the member %s, seconds between 1970 and 9999, found "
            "%s",
            name, t ? "something else" : "none");
    }
    *ret = json_integer_value(t);
    return QR_OK;
}

qr_err
qr_jws_read_times(const struct qr_jws *j, struct qr_verdict *v, struct qr_jws_times *ret)
{
    struct qr_jws_times t;
    QR_TRY(read_time(j, v, "iat", &t.iat));
    QR_TRY(read_time(j, v, "nbf", &t.nbf));
    QR_TRY(read_time(j, v, "exp", &t.exp));
    if (t.exp <= t.iat || t.exp <= t.nbf) {
        return malformed(v, "token payload", "exp after iat and nbf");
    }
    *ret = t;
    return QR_OK;
}

qr_err
qr_jws_check_times(struct qr_verify_run *r, const struct qr_jws_times *t)
{
    int64_t now = r->o->now_ms;

    qr_run_issued(r, t->iat * 1000);
    qr_run_ends(r, t->exp * 1000);
    if (now < 0) {
        return QR_OK;
    }
    if (now >= t->exp * 1000) {
        return qr_fail(r->v, QR_CHECK_TIMESTAMP, QR_REASON_EXPIRED,
                       "token: expected a time before exp %lld, found %lld", (long long)t->exp,
                       (long long)(now / 1000));
    }
    if (now < t->nbf * 1000 || now < t->iat * 1000) {
        return qr_fail(r->v, QR_CHECK_TIMESTAMP, QR_REASON_NOT_YET_VALID,
                       "token: expected a time from nbf %lld and iat %lld on, found %lld",
                       (long long)t->nbf, (long long)t->iat, (long long)(now / 1000));
    }
    uint64_t age = (uint64_t)(now - t->iat * 1000);
    if (r->o->max_age_ms && age > r->o->max_age_ms) {
        return qr_fail(r->v, QR_CHECK_TIMESTAMP, QR_REASON_STALE,
                       "token: expected an age of at most %llu ms, found %llu ms",
                       (unsigned long long)r->o->max_age_ms, (unsigned long long)age);
    }
    qr_pass(r->v, QR_CHECK_TIMESTAMP);
    return QR_OK;
}

qr_err
qr_jws_check_audience(struct qr_verify_run *r, const struct qr_jws *j)
{
    char want[QR_QUOTE_MAX], found[QR_QUOTE_MAX];
    qr_view aud = qr_jws_text(j->payload.root, "aud");

    /* One audience: a token that is good for two parties can be passed on from one to the other. */
    if (r->o->audience.p && !(aud.p && qr_view_eq(aud, r->o->audience))) {
        return qr_fail(r->v, QR_CHECK_TOKEN, QR_REASON_IDENTITY_MISMATCH,
                       "token: expected the audience \"%s\", found \"%s\"",
                       qr_quote(want, r->o->audience),
                       aud.p ? qr_quote(found, aud) : "(no single one)");
    }
    return QR_OK;
}

/* ---- signature --------------------------------------------------------------------------------- */

qr_err
qr_jws_check_signature(struct qr_verify_run *r, const struct qr_jws *j, EVP_PKEY *key)
{
    uint8_t sha[32];

    if (!qr_key_is_rsa(key)) {
        return qr_fail(r->v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "token key: expected RSA of 2048 to 4096 bits, found another kind");
    }
    if (!qr_evp_rsa_verify(key, QR_SHA256, 0, j->signed_part, j->signature)) {
        return qr_fail(r->v, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE,
                       "token: expected a signature of the issuer's key, found one that does not "
                       "verify");
    }
    if (!qr_key_sha256(key, sha)) {
        return QR_ERR_NO_MEMORY;
    }
    qr_claim_hex_copy(&r->v->claims, "key_sha256", qr_view_of(sha, sizeof sha));
    qr_pass(r->v, QR_CHECK_SIGNATURE);
    return check_fit(r->v);
}
