/*
 * AWS Nitro Enclaves: a document signed by a key that lives for three hours, under certificates that
 * live for a day, six days, twenty days and thirty years.
 *
 * Order: parse, certificates up to the pinned root, the document's signature, its time, the binder.
 * A debug enclave's document is as genuine as any other: `debug` is a claim for the policy.
 * Source: AWS "Verifying the root of trust"; RFC 9052 section 4.4 for what is signed.
 */
#include "enclave-shim/verify/nitro_doc.h"

#include "enclave-shim/verify/manifest.h"
#include "enclave-shim/verify/verify_int.h"
#include "protocol/base/mem.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

/* The leaf is dated back by three seconds only; a clock that is a little slow must not refuse it. */
#define NOT_BEFORE_SKEW_MS 60000
#define MAX_AGE_DEFAULT_MS 300000u

/* ---- claims ---------------------------------------------------------------------------------- */

static void
claim_time(struct qr_claimset *c, const char *path, int64_t ms)
{
    char text[21];
    if (ms >= 0) {
        qr_time_print(ms, text);
        qr_claim_text_copy(c, path, qr_view_str(text));
    }
}

static void
claim_optional(struct qr_claimset *c, const char *path, const struct qr_nitro_optional *o)
{
    if (o->state == QR_NITRO_SET) {
        qr_claim_hex(c, path, o->v);
    } else if (o->state == QR_NITRO_NULL) {
        qr_claim_null(c, path);
    }
}

/* PCR0 to PCR2 measure the image; the hypervisor leaves them zero when a debugger may look inside. */
static int
is_debug(const struct qr_nitro_doc *d)
{
    uint8_t any = 0;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < d->pcr[i].len; k++) {
            any |= d->pcr[i].p[k];
        }
    }
    return any == 0;
}

static void
claim_document(struct qr_claimset *c, const struct qr_nitro_doc *d)
{
    qr_claim_text(c, "module_id", d->module_id);
    qr_claim_uint(c, "timestamp_ms", d->timestamp_ms);
    claim_time(c, "timestamp", (int64_t)d->timestamp_ms);
    qr_claim_text(c, "digest", qr_view_str("SHA384"));
    for (unsigned i = 0; i < QR_NITRO_PCRS; i++) {
        if (d->pcr[i].p) {
            qr_claim_hex(c, qr_claim_path(c, "pcrs.%u", i), d->pcr[i]);
        }
    }
    qr_claim_bool(c, "debug", is_debug(d));
    claim_optional(c, "user_data", &d->user_data);
    claim_optional(c, "nonce", &d->nonce);
    claim_optional(c, "public_key", &d->public_key);
}

static void
claim_cose(struct qr_claimset *c, const struct qr_nitro_doc *d)
{
    qr_claim_bool(c, "cose.tagged", d->tagged);
    qr_claim_hex(c, "cose.protected", d->protected_bytes);
    if (d->unprotected_empty) {
        qr_claim_json_copy(c, "cose.unprotected", qr_view_str("{}"));
    }
    qr_claim_text(c, "cose.payload_map", qr_view_str(d->indefinite ? "indefinite" : "definite"));
    for (unsigned i = 0; i < d->n_keys; i++) {
        qr_claim_text(c, qr_claim_path(c, "cose.key_order[%u]", i), d->key[i]);
    }
}

static void
claim_leaf(struct qr_claimset *c, const struct qr_nitro_doc *d, X509 *leaf)
{
    char subject[512];
    uint8_t sha[32];
    int64_t from, to;

    qr_cert_subject(leaf, subject, sizeof subject);
    qr_claim_text_copy(c, "leaf_subject", qr_view_str(subject));
    qr_cert_sha256(d->certificate, sha);
    qr_claim_hex_copy(c, "leaf_sha256", qr_view_of(sha, sizeof sha));
    if (qr_cert_dates(leaf, &from, &to)) {
        claim_time(c, "leaf_not_before", from);
        claim_time(c, "leaf_not_after", to);
    }
    qr_claim_uint(c, "cabundle_len", d->n_ca);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static qr_err
load_certs(struct qr_verdict *v, const struct qr_nitro_doc *d, struct qr_certs *certs)
{
    QR_TRY(qr_certs_add_der(certs, d->certificate, v, QR_CHECK_PARSE, "certificate"));
    for (size_t i = d->n_ca; i > 0; i--) { /* the document has the root first */
        QR_TRY(qr_certs_add_der(certs, d->ca[i - 1], v, QR_CHECK_PARSE, "cabundle"));
    }
    return QR_OK;
}

/* One curve and one hash, all the way up; a certificate of another kind was not made by AWS. */
static qr_err
check_algorithms(struct qr_verdict *v, const struct qr_certs *certs)
{
    for (size_t i = 0; i < certs->n; i++) {
        if (!qr_key_is_ec(X509_get0_pubkey(certs->x[i]), 384)) {
            return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                           "certificate %zu above the leaf: expected a P-384 key, found another",
                           i);
        }
        if (X509_get_signature_nid(certs->x[i]) != NID_ecdsa_with_SHA384) {
            return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                           "certificate %zu above the leaf: expected ECDSA with SHA-384, found "
                           "another algorithm",
                           i);
        }
    }
    qr_pass(v, QR_CHECK_ALGORITHM);
    return QR_OK;
}

/* Stricter than RFC 5280 and than qr_chain_verify: AWS marks each of its certificates, the leaf too. */
static qr_err
check_marks(struct qr_verdict *v, const struct qr_certs *certs)
{
    for (size_t i = 0; i < certs->n; i++) {
        uint32_t flags = X509_get_extension_flags(certs->x[i]);
        if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_BCONS_CRITICAL)) {
            return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                           "certificate %zu above the leaf: expected critical basicConstraints, "
                           "found %s",
                           i, flags & EXFLAG_BCONS ? "ones that are not" : "none");
        }
    }
    return QR_OK;
}

/* A bundle in the wrong order is not a foreign root, and says so. */
static qr_err
check_order(struct qr_verify_run *r, const struct qr_certs *certs)
{
    for (size_t i = 0; i + 1 < certs->n; i++) {
        uint8_t sha[32];
        qr_cert_sha256(certs->der[i], sha);
        if (qr_root_pinned(r->roots, QR_ROOT_AWS_NITRO, sha)) {
            return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                           "cabundle: expected the root in front, found it %zu above the leaf", i);
        }
    }
    return QR_OK;
}

static qr_err
check_chain(struct qr_verify_run *r, const struct qr_certs *certs)
{
    const struct qr_chain_rules rules = {.root = QR_ROOT_AWS_NITRO,
                                         .now_ms = r->o->now_ms,
                                         .not_before_skew_ms = NOT_BEFORE_SKEW_MS,
                                         .key_type = EVP_PKEY_EC};
    QR_TRY(check_order(r, certs));
    QR_TRY(qr_run_chain(r, certs, &rules));
    QR_TRY(check_algorithms(r->v, certs));
    return check_marks(r->v, certs);
}

/* ---- signature and time ---------------------------------------------------------------------- */

/* Sig_structure = ["Signature1", protected, external_aad = '', payload]; the payload's bytes as received. */
static qr_err
check_signature(struct qr_verify_run *r, const struct qr_nitro_doc *d, X509 *leaf)
{
    static const uint8_t head[] = "\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40";
    size_t n = sizeof head - 1 + d->payload_item.len;
    uint8_t *mem = qr_alloc(n);

    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(mem, n);
    qr_buf_put(&b, head, sizeof head - 1);
    qr_buf_put(&b, d->payload_item.p, d->payload_item.len);
    int ok = b.err == QR_OK &&
             qr_evp_ecdsa_verify(X509_get0_pubkey(leaf), QR_SHA384, qr_buf_view(&b), d->signature);
    qr_free(mem);
    if (!ok) {
        return qr_fail(r->v, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE,
                       "document: expected a signature of the leaf certificate's key, found one "
                       "that does not verify");
    }
    qr_pass(r->v, QR_CHECK_SIGNATURE);
    return QR_OK;
}

/*
 * The leaf signs documents for three hours, so that its dates say little about a document's age. The
 * time is signed by the module: it cannot be ahead of AWS's clock, only ahead of ours.
 */
static qr_err
check_time(struct qr_verify_run *r, const struct qr_nitro_doc *d, X509 *leaf)
{
    int64_t at = (int64_t)d->timestamp_ms, now = r->o->now_ms, from, to;
    uint64_t max = r->o->max_age_ms ? r->o->max_age_ms : MAX_AGE_DEFAULT_MS;

    if (!qr_cert_dates(leaf, &from, &to)) {
        return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "certificate: expected dates, found something else");
    }
    if (at < from || at > to) {
        return qr_fail(r->v, QR_CHECK_TIMESTAMP, QR_REASON_STALE,
                       "timestamp: expected a time within the leaf certificate's dates, found one "
                       "outside");
    }
    qr_run_issued(r, at);
    if (now < 0) {
        return QR_OK;
    }
    uint64_t age = (uint64_t)(now > at ? now - at : at - now);
    if (age > max) {
        return qr_fail(r->v, QR_CHECK_TIMESTAMP, QR_REASON_STALE,
                       "timestamp: expected at most %llu ms between the document's time and now, "
                       "found %llu ms",
                       (unsigned long long)max, (unsigned long long)age);
    }
    qr_pass(r->v, QR_CHECK_TIMESTAMP);
    return QR_OK;
}

static qr_err
check_binder(struct qr_verify_run *r, const struct qr_nitro_doc *d)
{
    if (!r->o->binder.p) {
        return QR_OK;
    }
    /* The field has no fixed size that zeros would have to fill. */
    if (d->nonce.state != QR_NITRO_SET || d->nonce.v.len != r->o->binder.len) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "nonce: expected the %zu bytes that were asked for, found %s",
                       r->o->binder.len,
                       d->nonce.state == QR_NITRO_SET ? "another length" : "none");
    }
    return qr_run_binder(r, d->nonce.v, "nonce");
}

static qr_err
check_all(struct qr_verify_run *r, const struct qr_nitro_doc *d, const struct qr_certs *certs)
{
    QR_TRY(check_chain(r, certs));
    QR_TRY(check_signature(r, d, certs->x[0]));
    QR_TRY(check_time(r, d, certs->x[0]));
    return check_binder(r, d);
}

qr_err
qr_verify_nitro(struct qr_verify_run *r)
{
    struct qr_nitro_doc d;
    struct qr_certs certs = {0};
    qr_view bytes;

    QR_TRY(qr_run_need(r, QR_PART_NITRO_DOCUMENT, QR_CHECK_PARSE, QR_REASON_MALFORMED, &bytes));
    QR_TRY(qr_nitro_parse(bytes, r->v, &d));
    claim_document(&r->v->claims, &d);
    claim_cose(&r->v->claims, &d);
    qr_err e = load_certs(r->v, &d, &certs);
    if (e == QR_OK) {
        claim_leaf(&r->v->claims, &d, certs.x[0]);
        e = check_all(r, &d, &certs);
    }
    qr_certs_free(&certs);
    return e;
}
