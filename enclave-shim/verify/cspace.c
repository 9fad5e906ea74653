/*
 * Google Confidential Space: a service's word about a container in a confidential VM.
 *
 * What: a token in one of two flavours. PKI: certificates in the header, up to a pinned root. OIDC: a
 *       key of the issuer's key set, by kid (see jwks.h for whom to believe about it). What runs,
 *       where, and on which hardware is in the payload, for the policy: plain SEV ("GCP_AMD_SEV") is
 *       not attested by its processor, and only "disabled-since-boot" is not a debug image.
 * Order: form, kind, issuer, key or certificates, signature, times, audience, binder.
 * Binder: eat_nonce is its lower-case hex, alone: a token with a second nonce answers two questions.
 * Source: Google's token claims reference; tokens of 2024 and 2025.
 */
#include "enclave-shim/verify/jwks.h"

#include "protocol/base/enc.h"

#include <jansson.h>

#define ISSUER "https://confidentialcomputing.googleapis.com"
#define BINDER_MAX 64u

static qr_err
add_claims(struct qr_verdict *v, const struct qr_jws *j)
{
    qr_view dbgstat = qr_jws_text(j->payload.root, "dbgstat");

    QR_TRY(qr_jws_claims(j, v));
    if (dbgstat.p) {
        qr_claim_bool(&v->claims, "debug",
                      !qr_view_eq(dbgstat, qr_view_str("disabled-since-boot")));
    }
    return QR_OK;
}

int
qr_cspace_is_issuer(qr_view iss)
{
    return qr_view_eq(iss, qr_view_str(ISSUER));
}

/* The issuer attests other things as well, with the same keys. */
static qr_err
check_kind(struct qr_verdict *v, const struct qr_jws *j)
{
    qr_view swname = qr_jws_text(j->payload.root, "swname");
    qr_view iss = qr_jws_text(j->payload.root, "iss");
    char q[QR_QUOTE_MAX];

    if (!swname.p || !iss.p) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "token payload: expected iss and swname, text, found one missing");
    }
    if (!qr_view_eq(swname, qr_view_str("CONFIDENTIAL_SPACE"))) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_NOT_EVIDENCE,
                       "token: expected swname CONFIDENTIAL_SPACE, found \"%s\"",
                       qr_quote(q, swname));
    }
    if (!qr_cspace_is_issuer(iss)) {
        return qr_fail(v, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT,
                       "token: expected iss " ISSUER ", found \"%s\"", qr_quote(q, iss));
    }
    return QR_OK;
}

static qr_err
check_by_certificates(struct qr_verify_run *r, const struct qr_jws *j)
{
    /* Google's leaves say CA:FALSE and nothing of their use. */
    const struct qr_chain_rules rules = {.root = QR_ROOT_CONFIDENTIAL_SPACE,
                                         .now_ms = r->o->now_ms,
                                         .ca_unmarked_leaf = 1,
                                         .key_type = EVP_PKEY_RSA};
    struct qr_x5c x;

    QR_TRY(qr_x5c_read(j, r->v, &x));
    qr_err e = qr_run_chain(r, &x.certs, &rules);
    if (e == QR_OK) {
        e = qr_jws_check_signature(r, j, X509_get0_pubkey(x.certs.x[0]));
    }
    qr_x5c_free(&x);
    return e;
}

static qr_err
check_binder(struct qr_verify_run *r, const struct qr_jws *j)
{
    char want[2 * BINDER_MAX + 1];
    const json_t *nonce = json_object_get(j->payload.root, "eat_nonce");
    const char *found = nonce ? "another value" : "none";

    if (!r->o->binder.p) {
        return QR_OK;
    }
    if (r->o->binder.len > BINDER_MAX) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "eat_nonce: expected to compare at most %u bytes, found %zu", BINDER_MAX,
                       r->o->binder.len);
    }
    qr_hex_encode(r->o->binder, want);
    if (nonce && json_is_array(nonce)) {
        found = json_array_size(nonce) == 1 ? found : "not exactly one";
        nonce = json_array_size(nonce) == 1 ? json_array_get(nonce, 0) : NULL;
    }
    if (!nonce || !json_is_string(nonce) || strcmp(json_string_value(nonce), want) != 0) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "eat_nonce: expected the hex of what was asked for, found %s", found);
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
    QR_TRY(qr_jws_read_times(j, r->v, &t));
    QR_TRY(qr_x5c_present(j) ? check_by_certificates(r, j) : qr_jwks_check(r, j));
    QR_TRY(qr_jws_check_times(r, &t));
    QR_TRY(qr_jws_check_audience(r, j));
    qr_pass(r->v, QR_CHECK_TOKEN);
    return check_binder(r, j);
}

qr_err
qr_verify_confidential_space(struct qr_verify_run *r)
{
    return qr_jws_run(r, check_all);
}
