#include "enclave-shim/verify/gcp.h"

#include "enclave-shim/verify/hcl.h"
#include "enclave-shim/verify/tpm.h"

#define DOMAIN "quorate/gcp-ak/v1"

int
qr_gcp_report_data(const uint8_t ak_spki_sha256[static 32], const uint8_t extra[static 32],
                   uint8_t ret[static 64])
{
    qr_view piece[3] = {qr_view_str(DOMAIN), qr_view_of(ak_spki_sha256, 32), qr_view_of(extra, 32)};
    memset(ret, 0, 64);
    return qr_hash_of(QR_SHA256, piece, 3, ret);
}

/* Our own rule. */
static qr_err
bound_by_key(struct qr_verify_run *r, EVP_PKEY *ak, qr_view report_data, qr_view extra)
{
    uint8_t key[32], want[64];

    if (extra.len != 32) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "quote: expected extraData of 32 bytes, found %zu", extra.len);
    }
    if (!qr_key_sha256(ak, key) || !qr_gcp_report_data(key, extra.p, want)) {
        return QR_ERR_NO_MEMORY;
    }
    if (!qr_view_eq(report_data, qr_view_of(want, sizeof want))) {
        return qr_fail(r->v, QR_CHECK_COMPOSITE, QR_REASON_KEY_BINDING,
                       "report_data: expected a commitment to this attestation key and quote, "
                       "found another value");
    }
    return QR_OK;
}

/* 1: v is the SHA-256 of text, and then zeros; -1: no memory. */
static int
is_hash_of(qr_view v, qr_view text)
{
    uint8_t want[64] = {0};
    if (!qr_hash_of(QR_SHA256, &text, 1, want)) {
        return -1;
    }
    return (v.len == 32 || v.len == 64) && memcmp(v.p, want, v.len) == 0;
}

/* The published rule. */
static qr_err
bound_by_key_set(struct qr_verify_run *r, EVP_PKEY *ak, qr_view set, qr_view report_data,
                 qr_view extra)
{
    struct qr_verdict *v = r->v;
    struct qr_runtime t = {0};
    qr_view data = qr_evidence_get(r->e, QR_PART_ATTESTATION_DATA);

    int bound = is_hash_of(report_data, set);
    if (bound < 0) {
        return QR_ERR_NO_MEMORY;
    }
    if (!bound || report_data.len != 64) {
        return qr_fail(v, QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING,
                       "report_data: expected the SHA-256 of the key set and zeros, found another "
                       "value");
    }
    QR_TRY(qr_runtime_parse(set, QR_RUNTIME_JWKS, v, &t));
    int same = t.ak && EVP_PKEY_eq(t.ak, ak) == 1;
    EVP_PKEY_free(t.ak);
    QR_TRY(qr_runtime_accept(&t, v));
    if (!same) {
        return qr_fail(v, QR_CHECK_COMPOSITE, QR_REASON_KEY_BINDING,
                       "key set: its key is not the certified attestation key");
    }
    if (data.p) {
        bound = is_hash_of(extra, data);
        if (bound < 0) {
            return QR_ERR_NO_MEMORY;
        }
        if (!bound || extra.len != 32) {
            return qr_fail(v, QR_CHECK_BINDER, QR_REASON_BINDER,
                           "quote: expected extraData to be the SHA-256 of the attestation data, "
                           "found another value");
        }
    }
    return QR_OK;
}

static qr_err
parts(struct qr_verify_run *r, EVP_PKEY *ak, qr_view report_data)
{
    qr_view set = qr_evidence_get(r->e, QR_PART_RUNTIME_DATA), extra = {0};

    QR_TRY(qr_ak_claim(r, ak));
    qr_pass(r->v, QR_CHECK_AK);
    QR_TRY(qr_tpm_quotes_part(r, ak, &extra));
    QR_TRY(set.p ? bound_by_key_set(r, ak, set, report_data, extra)
                 : bound_by_key(r, ak, report_data, extra));
    qr_pass(r->v, QR_CHECK_COMPOSITE);
    return qr_tpm_binder(r, extra);
}

qr_err
qr_verify_gcp(struct qr_verify_run *r)
{
    int tdx = r->e->kind == QR_EV_GCP_TDX;
    struct qr_ak ak = {0};
    qr_view report, report_data = {0};

    QR_TRY(qr_run_need(r, tdx ? QR_PART_QUOTE : QR_PART_SNP_REPORT, QR_CHECK_COMPOSITE,
                       QR_REASON_NOT_EVIDENCE, &report));
    QR_TRY(tdx ? qr_tdx_part(r, report, &report_data) : qr_snp_part(r, report, &report_data));
    QR_TRY(qr_ak_chain_part(r, QR_ROOT_GOOGLE_VTPM, &ak));
    qr_err e = parts(r, ak.key, report_data);
    EVP_PKEY_free(ak.key);
    return e;
}

qr_err
qr_verify_gcp_ak(struct qr_verify_run *r)
{
    struct qr_ak ak = {0};

    QR_TRY(qr_ak_chain_part(r, QR_ROOT_GOOGLE_VTPM, &ak));
    qr_err e = qr_ak_claim(r, ak.key);
    EVP_PKEY_free(ak.key);
    QR_TRY(e);
    qr_pass(r->v, QR_CHECK_PARSE);
    qr_pass(r->v, QR_CHECK_AK);
    if (r->o->binder.p) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "AK certificate: commits to no value that was asked for");
    }
    return QR_OK;
}
