/*
 * Microsoft Azure Attestation: a service's word that it has seen a confidential VM's evidence.
 *
 * What: a token of a provider of Azure, about a VM with SEV-SNP or TDX. Trust lies in Microsoft, not
 *       in the processor's maker: a second witness beside evidence, not in its place.
 * Order: form, then whether the token speaks of a confidential VM at all, issuer, key, signature,
 *        times, audience, binder.
 * Keys: from the provider's key set (see jwks.h for whom to believe about it). The token's jku is
 *       compared with its iss and never followed.
 * Binder: x-ms-runtime.client-payload.nonce is the base64 of what the guest sent. Other members of
 *         client-payload are the guest's own words.
 * Source: Azure Attestation's token reference; tokens of 2022 and 2023.
 */
#include "enclave-shim/verify/jwks.h"

#include "protocol/base/enc.h"

#include <jansson.h>

#define BINDER_MAX 64u

/* ---- claims ---------------------------------------------------------------------------------- */

static void
claim_text(struct qr_claimset *c, const char *path, const json_t *object, const char *name)
{
    qr_view t = qr_jws_text(object, name);
    if (t.p) {
        qr_claim_text_copy(c, path, t);
    }
}

static void
claim_bool(struct qr_claimset *c, const char *path, const json_t *object, const char *name)
{
    const json_t *b = json_object_get(object, name);
    if (b && json_is_boolean(b)) {
        qr_claim_bool(c, path, json_is_true(b));
    }
}

static void
claim_number(struct qr_claimset *c, const char *path, const json_t *object, const char *name)
{
    const json_t *n = json_object_get(object, name);
    if (n && json_is_integer(n) && json_integer_value(n) >= 0) {
        qr_claim_uint(c, path, (uint64_t)json_integer_value(n));
    }
}

static const json_t *
isolation_tee(const struct qr_jws *j)
{
    return json_object_get(j->payload.root, "x-ms-isolation-tee");
}

static const json_t *
client_payload(const struct qr_jws *j)
{
    return json_object_get(json_object_get(j->payload.root, "x-ms-runtime"), "client-payload");
}

static qr_err
add_claims(struct qr_verdict *v, const struct qr_jws *j)
{
    struct qr_claimset *c = &v->claims;
    const json_t *p = j->payload.root, *tee = isolation_tee(j), *client = client_payload(j);

    QR_TRY(qr_jws_claims(j, v));
    claim_text(c, "iss", p, "iss");
    claim_number(c, "iat", p, "iat");
    claim_number(c, "nbf", p, "nbf");
    claim_number(c, "exp", p, "exp");
    claim_text(c, "jti", p, "jti");
    claim_text(c, "attestation_type", p, "x-ms-attestation-type");
    claim_bool(c, "secureboot", p, "secureboot");
    claim_text(c, "policy_hash", p, "x-ms-policy-hash");
    claim_bool(c, "debug", tee, "x-ms-sevsnpvm-is-debuggable");
    if (tee && json_is_object(tee)) {
        QR_TRY(qr_jws_claim_object(v, "isolation_tee", tee, "x-ms-runtime"));
    } else {
        qr_claim_json_copy(c, "isolation_tee", qr_view_str("{}"));
    }
    if (client && json_is_object(client)) {
        return qr_jws_claim_object(v, "runtime_client_payload", client, NULL);
    }
    qr_claim_null(c, "runtime_client_payload");
    return QR_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A Trusted Launch VM gets tokens of the same service with the same key; it isolates nothing. */
static qr_err
check_kind(struct qr_verdict *v, const struct qr_jws *j)
{
    const json_t *tee = isolation_tee(j);
    qr_view type = qr_jws_text(tee, "x-ms-attestation-type");
    char q[QR_QUOTE_MAX];

    if (!tee) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE,
                       "token: expected x-ms-isolation-tee, found none: not a confidential VM");
    }
    if (!type.p) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "x-ms-isolation-tee: expected an object with x-ms-attestation-type, found "
                       "something else");
    }
    if (!qr_view_eq(type, qr_view_str("sevsnpvm")) && !qr_view_eq(type, qr_view_str("tdxvm"))) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_UNSUPPORTED,
                       "x-ms-isolation-tee: expected sevsnpvm or tdxvm, found \"%s\"",
                       qr_quote(q, type));
    }
    return QR_OK;
}

static int
ends_with(qr_view v, const char *end)
{
    size_t n = strlen(end);
    return v.len > n && memcmp(v.p + v.len - n, end, n) == 0;
}

/* "https://NAME.REGION.attest.azure.net", also of Azure Government and Azure China. */
int
qr_maa_is_issuer(qr_view iss)
{
    static const char scheme[] = "https://";
    size_t n = sizeof scheme - 1;

    if (iss.len <= n || memcmp(iss.p, scheme, n) != 0) {
        return 0;
    }
    for (size_t i = n; i < iss.len; i++) {
        uint8_t c = iss.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
            return 0; /* no port, user, path or query: only a host name */
        }
    }
    return ends_with(iss, ".attest.azure.net") || ends_with(iss, ".attest.azure.us") ||
           ends_with(iss, ".attest.azure.cn");
}

static qr_err
check_issuer(struct qr_verdict *v, const struct qr_jws *j)
{
    qr_view iss = qr_jws_text(j->payload.root, "iss");
    qr_view jku = qr_jws_text(j->header.root, "jku");
    char q[QR_QUOTE_MAX];

    if (!iss.p || !jku.p) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "token: expected iss and jku, text, found one missing");
    }
    if (!qr_maa_is_issuer(iss)) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT,
                       "token: expected an attestation provider of Azure as iss, found \"%s\"",
                       qr_quote(q, iss));
    }
    if (jku.len != iss.len + strlen("/certs") || memcmp(jku.p, iss.p, iss.len) != 0 ||
        !ends_with(jku, "/certs")) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT,
                       "token: expected jku to be iss and /certs, found \"%s\"", qr_quote(q, jku));
    }
    return QR_OK;
}

static qr_err
check_binder(struct qr_verify_run *r, const struct qr_jws *j)
{
    char want[(BINDER_MAX + 2) / 3 * 4 + 1];
    qr_view nonce = qr_jws_text(client_payload(j), "nonce");

    if (!r->o->binder.p) {
        return QR_OK;
    }
    if (r->o->binder.len > BINDER_MAX) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "nonce: expected to compare at most %u bytes, found %zu", BINDER_MAX,
                       r->o->binder.len);
    }
    qr_b64_encode(r->o->binder, want);
    if (!nonce.p || !qr_view_eq(nonce, qr_view_str(want))) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "nonce: expected the base64 of what was asked for, found %s",
                       nonce.p ? "another value" : "none");
    }
    qr_pass(r->v, QR_CHECK_BINDER);
    return QR_OK;
}

static qr_err
check_all(struct qr_verify_run *r, const struct qr_jws *j)
{
    struct qr_jws_times t;

    QR_TRY(add_claims(r->v, j));
    QR_TRY(check_kind(r->v, j));
    QR_TRY(check_issuer(r->v, j));
    QR_TRY(qr_jws_read_times(j, r->v, &t));
    QR_TRY(qr_jwks_check(r, j));
    QR_TRY(qr_jws_check_times(r, &t));
    QR_TRY(qr_jws_check_audience(r, j));
    qr_pass(r->v, QR_CHECK_TOKEN);
    return check_binder(r, j);
}

qr_err
qr_verify_maa(struct qr_verify_run *r)
{
    return qr_jws_run(r, check_all);
}
