/*
 * Signed collateral: complete, signed over the bytes as they came, of this platform, in date, not
 * revoked, not older than what was seen. Opening comes before the TCB is looked for, dates after it,
 * so that a verdict on old collateral still shows which level it would have been.
 */
#include "enclave-shim/verify/dcap.h"

#include <stdio.h>

#define TCB_CHAIN_LEN 2u

struct document {
    const char *what;
    enum qr_part part, sig_part;
    qr_view text;
    uint8_t sig[64];
};

/* 64 raw bytes, or 128 hex digits with at most one line end behind them. */
static int
read_signature(qr_view v, uint8_t out[static 64])
{
    if (v.len == 64) {
        memcpy(out, v.p, 64);
        return 1;
    }
    if (v.len > 0 && v.p[v.len - 1] == '\n') {
        v.len--;
    }
    if (v.len > 0 && v.p[v.len - 1] == '\r') {
        v.len--;
    }
    return qr_dcap_hex(v, out, 64);
}

static qr_err
fetch(struct qr_verify_run *r, struct document *d)
{
    qr_view sig;
    QR_TRY(qr_run_need(r, d->part, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING, &d->text));
    QR_TRY(qr_run_need(r, d->sig_part, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING, &sig));
    if (!read_signature(sig, d->sig)) {
        return qr_fail(
            r->v, QR_CHECK_COLLATERAL, QR_REASON_MALFORMED,
            "signature of the %s: expected 128 hex digits or 64 bytes, found %zu bytes of "
            "something else",
            d->what, sig.len);
    }
    return QR_OK;
}

static qr_err
open_chain(struct qr_verify_run *r, qr_view pem, struct qr_certs *ret)
{
    char cn[64];
    struct qr_chain_rules rules = {
        .root = QR_ROOT_INTEL, .now_ms = -1, .key_type = EVP_PKEY_EC, .links = r->o->links};

    QR_TRY(qr_certs_add_pem(ret, pem, r->v, QR_CHECK_COLLATERAL, "TCB signing chain"));
    if (ret->n != TCB_CHAIN_LEN) {
        return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "TCB signing chain: expected 2 certificates, found %zu", ret->n);
    }
    QR_TRY(qr_chain_verify(ret, r->roots, &rules, r->v));
    qr_cert_cn(ret->x[0], cn, sizeof cn);
    if (strcmp(cn, "Intel SGX TCB Signing") != 0) {
        return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "signer of the collateral: expected \"Intel SGX TCB Signing\", found \"%s\"",
                       cn);
    }
    if (!qr_key_is_ec(X509_get0_pubkey(ret->x[0]), 256)) {
        return qr_fail(r->v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "key of the TCB signing certificate: expected P-256, found another kind");
    }
    return QR_OK;
}

static qr_err
check_signature(struct qr_verify_run *r, const struct document *d, X509 *signer)
{
    if (!qr_evp_ecdsa_verify(X509_get0_pubkey(signer), QR_SHA256, d->text,
                             qr_view_of(d->sig, sizeof d->sig))) {
        return qr_fail(
            r->v, QR_CHECK_COLLATERAL, QR_REASON_SIGNATURE,
            "%s: expected these bytes to be signed by the TCB signing certificate, found "
            "that they are not",
            d->what);
    }
    return QR_OK;
}

/* An error of the reader as a reason; its sentence says where. */
static qr_err
say(struct qr_verify_run *r, const struct document *d, qr_err e, const char *text)
{
    enum qr_reason why = QR_REASON_MALFORMED;

    if (e == QR_ERR_NO_MEMORY) {
        return e;
    }
    if (e == QR_ERR_TOO_LARGE) {
        why = QR_REASON_RESOURCE_LIMIT;
    } else if (e == QR_ERR_UNKNOWN_FIELD || e == QR_ERR_VERSION) {
        why = QR_REASON_UNSUPPORTED;
    } else if (strstr(text, ": duplicate object key")) {
        why = QR_REASON_DUPLICATE_KEY;
    }
    return qr_fail(r->v, QR_CHECK_COLLATERAL, why,
                   "%s: expected a document that this verifier knows, found: %s", d->what, text);
}

static qr_err
read_documents(struct qr_verify_run *r, const struct document *tcb, const struct document *qe,
               struct qr_dcap_collateral *c)
{
    qr_err e =
        qr_json_parse(&c->tcb_doc, tcb->text, QR_DCAP_VALUES, c->err_text, sizeof c->err_text);
    if (e == QR_OK) {
        e = qr_dcap_tcb_info_read(&c->tcb_doc, &c->tcb);
    }
    if (e != QR_OK) {
        return say(r, tcb, e, c->err_text);
    }
    e = qr_json_parse(&c->qe_doc, qe->text, QR_DCAP_VALUES, c->err_text, sizeof c->err_text);
    if (e == QR_OK) {
        e = qr_dcap_qe_identity_read(&c->qe_doc, &c->qe);
    }
    return e == QR_OK ? QR_OK : say(r, qe, e, c->err_text);
}

static void
fmspc_text(const uint8_t fmspc[static 6], char out[static 13])
{
    (void)snprintf(out, 13, "%02x%02x%02x%02x%02x%02x", fmspc[0], fmspc[1], fmspc[2], fmspc[3],
                   fmspc[4], fmspc[5]);
}

static qr_err
mismatch(struct qr_verify_run *r, const char *what, const char *expected, const char *found)
{
    return qr_fail(r->v, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISMATCH,
                   "%s: expected %s, found %s", what, expected, found);
}

static qr_err
check_subject(struct qr_verify_run *r, const struct qr_dcap_pck *pck, int tdx,
              const struct qr_dcap_collateral *c)
{
    if (c->tcb.tdx != tdx) {
        return mismatch(r, "id of the TCB info", tdx ? "TDX" : "SGX", tdx ? "SGX" : "TDX");
    }
    if (c->qe.tdx != tdx) {
        return mismatch(r, "id of the QE identity", tdx ? "TD_QE" : "QE", tdx ? "QE" : "TD_QE");
    }
    if (memcmp(c->tcb.fmspc, pck->fmspc, sizeof pck->fmspc) != 0) {
        char want[13], is[13];
        fmspc_text(pck->fmspc, want);
        fmspc_text(c->tcb.fmspc, is);
        return mismatch(r, "FMSPC of the TCB info", want, is);
    }
    if (memcmp(c->tcb.pce_id, pck->pce_id, sizeof pck->pce_id) != 0) {
        return mismatch(r, "PCE-ID of the TCB info", "that of the PCK certificate", "another");
    }
    return QR_OK;
}

qr_err
qr_dcap_collateral_open(struct qr_verify_run *r, const struct qr_dcap_pck *pck, int tdx,
                        struct qr_dcap_collateral *ret)
{
    struct document tcb = {"TCB info", QR_PART_TCB_INFO, QR_PART_TCB_INFO_SIG, {0}, {0}};
    struct document qe = {"QE identity", QR_PART_QE_IDENTITY, QR_PART_QE_IDENTITY_SIG, {0}, {0}};
    struct qr_claimset *claims = &r->v->claims;
    qr_view pem;

    QR_TRY(fetch(r, &tcb));
    QR_TRY(fetch(r, &qe));
    QR_TRY(
        qr_run_need(r, QR_PART_TCB_CHAIN, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING, &pem));
    QR_TRY(
        qr_run_need(r, QR_PART_PCK_CRL, QR_CHECK_CRL, QR_REASON_COLLATERAL_MISSING, &ret->pck_crl));
    QR_TRY(qr_run_need(r, QR_PART_ROOT_CRL, QR_CHECK_CRL, QR_REASON_COLLATERAL_MISSING,
                       &ret->root_crl));
    QR_TRY(open_chain(r, pem, &ret->chain));
    /* The root's list is looked up for both, so both must be that root's. */
    if (!qr_view_eq(ret->chain.der[1], pck->certs.der[2])) {
        return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "TCB signing chain: expected the PCK chain's root, found another that is "
                       "pinned");
    }
    QR_TRY(check_signature(r, &tcb, ret->chain.x[0]));
    QR_TRY(check_signature(r, &qe, ret->chain.x[0]));
    QR_TRY(read_documents(r, &tcb, &qe, ret));
    qr_claim_uint(claims, "collateral.tcb_info_version", ret->tcb.version);
    qr_claim_uint(claims, "collateral.tcb_info_evaluation", ret->tcb.issue.evaluation);
    qr_claim_uint(claims, "collateral.qe_identity_evaluation", ret->qe.issue.evaluation);
    return check_subject(r, pck, tdx, ret);
}

/* Dates. */

static qr_err
check_expired(struct qr_verify_run *r, const char *what, const struct qr_dcap_issue *i)
{
    qr_run_ends(r, i->next_ms);
    if (r->o->now_ms >= 0 && r->o->now_ms > i->next_ms) {
        char now[QR_TIME_TEXT], next[QR_TIME_TEXT];
        return qr_fail(r->v, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED,
                       "nextUpdate of the %s: expected %s or later, found %s", what,
                       qr_dcap_time_text(r->o->now_ms, now), qr_dcap_time_text(i->next_ms, next));
    }
    return QR_OK;
}

static qr_err
check_issued(struct qr_verify_run *r, const char *what, const struct qr_dcap_issue *i)
{
    qr_run_issued(r, i->issued_ms);
    if (r->o->now_ms >= 0 && r->o->now_ms < i->issued_ms) {
        char now[QR_TIME_TEXT], issued[QR_TIME_TEXT];
        return qr_fail(r->v, QR_CHECK_COLLATERAL, QR_REASON_NOT_YET_VALID,
                       "issueDate of the %s: expected at most %s, found %s", what,
                       qr_dcap_time_text(r->o->now_ms, now),
                       qr_dcap_time_text(i->issued_ms, issued));
    }
    return QR_OK;
}

/* One bound of all certificates' dates. */
static qr_err
check_certs(struct qr_verify_run *r, const struct qr_certs *s, int end)
{
    for (size_t i = 0; i < s->n; i++) {
        int64_t from = 0, to = 0;
        char cn[64];
        qr_cert_cn(s->x[i], cn, sizeof cn);
        if (!qr_cert_dates(s->x[i], &from, &to)) {
            return qr_fail(r->v, QR_CHECK_VALIDITY, QR_REASON_MALFORMED,
                           "certificate \"%s\": expected dates, found none", cn);
        }
        if (end ? r->o->now_ms > to : r->o->now_ms < from) {
            char now[QR_TIME_TEXT], bound[QR_TIME_TEXT];
            return qr_fail(r->v, QR_CHECK_VALIDITY,
                           end ? QR_REASON_EXPIRED : QR_REASON_NOT_YET_VALID,
                           "certificate \"%s\": expected one valid at %s, found one that is valid "
                           "%s %s",
                           cn, qr_dcap_time_text(r->o->now_ms, now), end ? "until" : "from",
                           qr_dcap_time_text(end ? to : from, bound));
        }
        qr_run_ends(r, to);
    }
    return QR_OK;
}

static qr_err
check_validity(struct qr_verify_run *r, const struct qr_dcap_pck *pck,
               const struct qr_dcap_collateral *c)
{
    if (r->o->now_ms < 0) {
        return QR_OK; /* and VALIDITY stays unrecorded */
    }
    for (int end = 1; end >= 0; end--) {
        QR_TRY(check_certs(r, &pck->certs, end));
        QR_TRY(check_certs(r, &c->chain, end));
    }
    qr_pass(r->v, QR_CHECK_VALIDITY);
    return QR_OK;
}

/* The root revokes PCK CAs and the TCB signer, a PCK CA its leaves. */
static qr_err
check_crls(struct qr_verify_run *r, const struct qr_dcap_pck *pck,
           const struct qr_dcap_collateral *c)
{
    X509 *leaf = pck->certs.x[0], *ca = pck->certs.x[1], *root = pck->certs.x[2];

    QR_TRY(qr_run_crl(r, c->root_crl, root, ca, "root CRL"));
    QR_TRY(qr_crl_check(c->root_crl, root, c->chain.x[0], -1, r->v, "root CRL", NULL));
    QR_TRY(qr_run_crl(r, c->pck_crl, ca, leaf, "PCK CRL"));
    qr_pass(r->v, QR_CHECK_CRL);
    return QR_OK;
}

static qr_err
mark(struct qr_verify_run *r, enum qr_collateral_kind kind, qr_view subject,
     const struct qr_dcap_issue *i, const char *what)
{
    struct qr_collateral_mark m = {
        .kind = kind, .number = i->evaluation, .issued_ms = i->issued_ms, .next_ms = i->next_ms};
    if (i->evaluation < r->o->min_tcb_evaluation) {
        return qr_fail(r->v, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_ROLLBACK,
                       "tcbEvaluationDataNumber of the %s: expected at least %llu, found %llu",
                       what, (unsigned long long)r->o->min_tcb_evaluation,
                       (unsigned long long)i->evaluation);
    }
    if (!qr_hash_of(QR_SHA256, &subject, 1, m.subject)) {
        return QR_ERR_NO_MEMORY;
    }
    return qr_run_mark(r, &m, what);
}

static qr_err
check_marks(struct qr_verify_run *r, const struct qr_dcap_collateral *c)
{
    char fmspc[13], subject[17];
    fmspc_text(c->tcb.fmspc, fmspc);
    int n = snprintf(subject, sizeof subject, "%s:%s", c->tcb.tdx ? "TDX" : "SGX", fmspc);
    QR_TRY(mark(r, QR_COLL_TCB_INFO, qr_view_of(subject, n > 0 ? (size_t)n : 0), &c->tcb.issue,
                "TCB info"));
    return mark(r, QR_COLL_QE_IDENTITY, qr_view_str(c->qe.tdx ? "TD_QE" : "QE"), &c->qe.issue,
                "QE identity");
}

qr_err
qr_dcap_collateral_check(struct qr_verify_run *r, const struct qr_dcap_pck *pck,
                         const struct qr_dcap_collateral *c)
{
    QR_TRY(check_expired(r, "TCB info", &c->tcb.issue));
    QR_TRY(check_expired(r, "QE identity", &c->qe.issue));
    QR_TRY(check_crls(r, pck, c));
    QR_TRY(check_validity(r, pck, c));
    QR_TRY(check_issued(r, "TCB info", &c->tcb.issue));
    QR_TRY(check_issued(r, "QE identity", &c->qe.issue));
    QR_TRY(check_marks(r, c));
    qr_pass(r->v, QR_CHECK_COLLATERAL);
    return QR_OK;
}

void
qr_dcap_collateral_free(struct qr_dcap_collateral *c)
{
    qr_certs_free(&c->chain);
    qr_json_clear(&c->tcb_doc);
    qr_json_clear(&c->qe_doc);
}
