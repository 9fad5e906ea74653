/*
 * Azure confidential VMs: processor -> paravisor -> runtime data -> attestation key -> TPM quote.
 *
 * Each arrow is one check; a later one means nothing without the earlier ones, so they run in this
 * order. What travels beside the HCL report (a bare report, runtime data, a PEM key) was cut out of
 * it: it must be the same, and is not used.
 */
#include "enclave-shim/verify/hcl.h"
#include "enclave-shim/verify/tpm.h"

/* The quote of the TD that the HCL report is from: a TDREPORT is only worth something on its machine. */
static qr_err
tdx_part(struct qr_verify_run *r, const struct qr_hcl *h, qr_view *ret_report_data)
{
    struct qr_verdict *v = r->v;
    qr_view quote = qr_evidence_get(r->e, QR_PART_QUOTE), mrtd, attributes, data = {0};

    if (!quote.p) {
        qr_claim_hex(&v->claims, "mr_td", qr_tdreport_mrtd(h));
        qr_claim_hex(&v->claims, "td_attributes", qr_tdreport_attributes(h));
        return qr_fail(v, QR_CHECK_COMPOSITE, QR_REASON_NOT_EVIDENCE,
                       "HCL report: a TDREPORT proves nothing to another machine; the TD quote is "
                       "missing");
    }
    QR_TRY(qr_tdx_part(r, quote, &data));
    if (!qr_view_eq(data, qr_tdreport_data(h))) {
        return qr_fail(v, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH,
                       "TD quote: its report_data is not that of the HCL report's TDREPORT");
    }
    if (!qr_claim_get_hex(&v->claims, "body.mr_td", &mrtd) ||
        !qr_view_eq(mrtd, qr_tdreport_mrtd(h))) {
        return qr_fail(v, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH,
                       "TD quote: its MRTD is not that of the HCL report's TDREPORT");
    }
    if (!qr_claim_get_hex(&v->claims, "body.td_attributes", &attributes) ||
        !qr_view_eq(attributes, qr_tdreport_attributes(h))) {
        return qr_fail(v, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH,
                       "TD quote: its attributes are not those of the HCL report's TDREPORT");
    }
    *ret_report_data = data;
    return QR_OK;
}

/* A second witness, never a needed one: Microsoft's certificate must be for the key that is bound. */
static qr_err
certificate_part(struct qr_verify_run *r, EVP_PKEY *ak)
{
    struct qr_ak cert = {0};

    if (!qr_evidence_get(r->e, QR_PART_AK_CERT).p) {
        return QR_OK;
    }
    QR_TRY(qr_ak_chain_part(r, QR_ROOT_MICROSOFT_VTPM, &cert));
    int same = EVP_PKEY_eq(ak, cert.key) == 1;
    EVP_PKEY_free(cert.key);
    if (!same) {
        return qr_fail(r->v, QR_CHECK_AK, QR_REASON_KEY_BINDING,
                       "AK certificate: not of the key that the HCL report binds");
    }
    return QR_OK;
}

static qr_err
same_bytes(struct qr_verify_run *r, enum qr_part part, qr_view want)
{
    qr_view v = qr_evidence_get(r->e, part);
    if (v.p && !qr_view_eq(v, want)) {
        return qr_fail(r->v, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH,
                       "%s: differs from what the HCL report holds", qr_part_name(part));
    }
    return QR_OK;
}

/* Copies of parts of the HCL report that travel beside it. */
static qr_err
copies_part(struct qr_verify_run *r, const struct qr_hcl *h, EVP_PKEY *ak)
{
    qr_view pem = qr_evidence_get(r->e, QR_PART_AK_PEM);

    if (h->snp.p) {
        QR_TRY(same_bytes(r, QR_PART_SNP_REPORT, h->snp));
    }
    QR_TRY(same_bytes(r, QR_PART_RUNTIME_DATA, h->runtime));
    if (pem.p) {
        EVP_PKEY *k = qr_tpm_pem_parse(pem);
        int same = k && EVP_PKEY_eq(k, ak) == 1;
        EVP_PKEY_free(k);
        if (!same) {
            return qr_fail(r->v, QR_CHECK_AK, QR_REASON_KEY_BINDING,
                           "%s: not the key that the HCL report binds",
                           qr_part_name(QR_PART_AK_PEM));
        }
    }
    return QR_OK;
}

/* From the bound key on. */
static qr_err
key_part(struct qr_verify_run *r, const struct qr_hcl *h, EVP_PKEY *ak)
{
    qr_view extra = {0};

    QR_TRY(qr_ak_claim(r, ak));
    qr_pass(r->v, QR_CHECK_AK);
    QR_TRY(certificate_part(r, ak));
    if (qr_tpm_has_quote(r)) {
        QR_TRY(qr_tpm_quotes_part(r, ak, &extra));
    }
    QR_TRY(copies_part(r, h, ak));
    qr_pass(r->v, QR_CHECK_COMPOSITE);
    /* report_data is the paravisor's: what was asked for can only stand in a quote. */
    if (r->o->binder.p && !qr_tpm_has_quote(r)) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "quote: expected one with the value that was asked for, found none");
    }
    return qr_tpm_binder(r, extra);
}

static qr_err
machine_part(struct qr_verify_run *r, const struct qr_hcl *h, const struct qr_runtime *t)
{
    qr_view report_data = {0};

    QR_TRY(h->snp.p ? qr_snp_part(r, h->snp, &report_data) : tdx_part(r, h, &report_data));
    QR_TRY(qr_hcl_bound(h, report_data, r->v));
    QR_TRY(qr_runtime_accept(t, r->v));
    return key_part(r, h, t->ak);
}

qr_err
qr_verify_azure(struct qr_verify_run *r)
{
    struct qr_runtime t = {0};
    struct qr_hcl h;
    qr_view nv;

    /* A vTPM's word alone may be an ordinary VM's. */
    QR_TRY(qr_run_need(r, QR_PART_HCL_REPORT, QR_CHECK_COMPOSITE, QR_REASON_NOT_EVIDENCE, &nv));
    QR_TRY(qr_hcl_parse(nv, r->e->kind == QR_EV_AZURE_TDX ? QR_HCL_TDX : QR_HCL_SNP, r->v, &h));
    QR_TRY(qr_runtime_parse(h.runtime, QR_RUNTIME_HCL, r->v, &t));
    qr_err e = machine_part(r, &h, &t);
    EVP_PKEY_free(t.ak);
    return e;
}
