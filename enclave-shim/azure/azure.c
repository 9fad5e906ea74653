#include "enclave-shim/azure/azure.h"

#include "enclave-shim/snp/snp_part.h"
#include "enclave-shim/tdx/tdx_part.h"
#include "enclave-shim/verify/hcl.h"
#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/tpm.h"
#include "protocol/base/enc.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define TYPE_AT 1224u /* report type, behind the processor's report */

const struct qr_tee_profile qr_tee_azure_profile = {
    .name = "azure-vtpm", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1};
const struct qr_tee_profile qr_tee_azure_kept_profile = {
    .name = "azure-vtpm", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1, .keeps_secrets = 1};

struct azure {
    struct qr_tee_base base;
    struct qr_tpm_key ak;
    uint32_t pcrs;
    int tdx;
    struct qr_dbuf nv; /* the HCL report */
    struct qr_dbuf ak_cert;
    struct qr_snp_piece snp;
    uint8_t tdreport[QR_TDREPORT_LEN], report_data[64];
    int has_quote; /* the TD quote in base.coll is of this TD */
    struct qr_tdx_piece td;
    struct qr_tee_quote quote;
};

/* ---- the paravisor's report ---------------------------------------------------------------- */

/* Does it bind the key that we quote with? Verifiers ask the same; here it is told at the start. */
static qr_err
check_key(struct azure *a, const struct qr_hcl *h, struct qr_verdict *v)
{
    struct qr_runtime t = {0};
    struct qr_tpm_public p = {0};
    qr_err e = qr_runtime_parse(h->runtime, QR_RUNTIME_HCL, v, &t);

    if (e == QR_OK && qr_runtime_accept(&t, v) != QR_OK) {
        e = qr_tee_base_fail(&a->base, QR_ERR_PLATFORM, "%s", v->sentence);
    }
    if (e == QR_OK &&
        qr_tpm_public_parse(qr_view_of(a->ak.public_area, a->ak.public_len), v, &p) != QR_OK) {
        e = qr_tee_base_fail(&a->base, QR_ERR_PLATFORM, "TPM: key 0x%08x: %s", QR_AZURE_AK,
                             v->sentence);
    }
    if (e == QR_OK && EVP_PKEY_eq(t.ak, p.key) != 1) {
        e = qr_tee_base_fail(&a->base, QR_ERR_PLATFORM,
                             "TPM: the HCL report binds another attestation key than the one at "
                             "0x%08x",
                             QR_AZURE_AK);
    }
    EVP_PKEY_free(t.ak);
    EVP_PKEY_free(p.key);
    return e;
}

static qr_err
take_report(struct azure *a, struct qr_verdict *v)
{
    struct qr_hcl h;
    qr_view nv = qr_view_of(a->nv.p, a->nv.len);

    qr_verdict_init(v);
    a->tdx = qr_le32(nv.p + TYPE_AT) == QR_HCL_TDX;
    if (qr_hcl_parse(nv, a->tdx ? QR_HCL_TDX : QR_HCL_SNP, v, &h) != QR_OK) {
        return qr_tee_base_fail(&a->base, QR_ERR_PLATFORM, "TPM: NV index 0x%08x: %s",
                                QR_AZURE_NV_REPORT, v->sentence);
    }
    if (a->tdx) {
        memcpy(a->tdreport, h.tdreport.p, sizeof a->tdreport);
        memcpy(a->report_data, qr_tdreport_data(&h).p, sizeof a->report_data);
    } else {
        QR_TRY(qr_snp_piece_read(&a->base, h.snp, qr_view_of(NULL, 0), &a->snp));
    }
    return check_key(a, &h, v);
}

static qr_err
read_report(struct azure *a)
{
    struct qr_verdict *v = qr_alloc(sizeof *v);
    if (!v) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_tpm_nv_read(a->base.tpm, QR_AZURE_NV_REPORT, QR_HCL_HEAD, &a->nv);
    if (e == QR_ERR_NOT_FOUND) {
        e = qr_tee_base_fail(&a->base, QR_ERR_PLATFORM,
                             "TPM: no HCL report at NV index 0x%08x: this is no Azure confidential "
                             "VM (a Trusted Launch VM has none)",
                             QR_AZURE_NV_REPORT);
    } else if (e != QR_OK) {
        e = qr_tee_base_fail(&a->base, e, "TPM: NV index 0x%08x: %s", QR_AZURE_NV_REPORT,
                             qr_tpm_error(a->base.tpm));
    } else {
        e = take_report(a, v);
    }
    qr_free(v);
    return e;
}

/* ---- the table ----------------------------------------------------------------------------- */

static qr_err
azure_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct azure *a = ctx;
    struct qr_evidence e = {.kind = a->tdx ? QR_EV_AZURE_TDX : QR_EV_AZURE_SNP};

    if (a->tdx && !a->has_quote) {
        return qr_tee_base_fail(
            &a->base, QR_ERR_PLATFORM,
            "the TD quote has not come yet: the host's metadata service makes it, "
            "and the gateway brings it; is quorate-gateway running, and what does "
            "its log say of azure-tdquote?");
    }
    QR_TRY(qr_evidence_add(&e, QR_PART_HCL_REPORT, 0, qr_view_of(a->nv.p, a->nv.len)));
    if (a->ak_cert.len > 0) {
        QR_TRY(qr_evidence_add(&e, QR_PART_AK_CERT, 0, qr_view_of(a->ak_cert.p, a->ak_cert.len)));
    }
    QR_TRY(qr_tee_base_quote(&a->base, &a->ak, a->pcrs, binder, &a->quote, &e));
    return qr_tee_base_finish(&a->base, &e, out);
}

/* The gateway asks every minute: then a report that the host's update made new is seen. */
static qr_err
azure_needs(void *ctx, struct qr_dbuf *out)
{
    struct azure *a = ctx;
    char report[QR_TDREPORT_LEN * 4 / 3 + 4];

    QR_TRY(read_report(a));
    struct qr_tee_needs n = qr_tee_needs_begin(out);
    if (a->tdx) {
        qr_b64url_encode(qr_view_of(a->tdreport, sizeof a->tdreport), report);
        qr_tee_needs_add(&n, "{\"source\":\"azure-tdquote\",\"report\":\"%s\"}", report);
    } else {
        qr_tee_needs_add(&n, "{\"source\":\"azure-thim\"}");
    }
    if (a->has_quote) {
        qr_tdx_piece_need(&a->td, &n);
    }
    return qr_tee_needs_end(&n);
}

/* Of this TD and of this boot: its user field is the paravisor's. */
static qr_err
check_quote(struct azure *a, const struct qr_tee_piece *piece, size_t n, struct qr_tdx_piece *ret)
{
    if (n != 1 || piece[0].part != QR_PART_QUOTE) {
        return qr_tee_base_fail(&a->base, QR_ERR_PLATFORM, "azure-tdquote: expected one quote");
    }
    QR_TRY(qr_tdx_piece_read(&a->base, piece[0].body, ret));
    if (memcmp(ret->report_data, a->report_data, sizeof a->report_data) != 0) {
        return qr_tee_base_fail(&a->base, QR_ERR_PLATFORM,
                                "azure-tdquote: a quote of another TD or another boot");
    }
    return QR_OK;
}

static qr_err
azure_collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    static const struct qr_tee_source *const snp[] = {&qr_tee_azure_thim, NULL};
    static const struct qr_tee_source *const tdx[] = {&qr_tee_azure_tdquote, &qr_tee_intel_pcs,
                                                      NULL};
    struct azure *a = ctx;
    struct qr_tdx_piece td;
    int quote = a->tdx && qr_view_eq(source, qr_view_str(qr_tee_azure_tdquote.name));

    if (quote) {
        QR_TRY(check_quote(a, piece, n, &td));
    }
    QR_TRY(qr_tee_base_collateral(&a->base, a->tdx ? tdx : snp, source, piece, n));
    if (quote) {
        a->td = td;
        a->has_quote = 1;
    }
    return QR_OK;
}

static void
azure_free(void *ctx)
{
    struct azure *a = ctx;
    if (a->base.tpm) {
        qr_tpm_key_free(a->base.tpm, &a->ak);
    }
    qr_dbuf_free(&a->nv);
    qr_dbuf_free(&a->ak_cert);
    qr_tee_base_close(&a->base);
    qr_free(a);
}

static qr_err
open_devices(struct azure *a, const struct qr_tee_opts *o, char *err_text, size_t err_cap)
{
    QR_TRY(qr_tee_base_open(&a->base, o, QR_TEE_MUST_TPM, QR_BOOTLOG_OF_TPM, err_text, err_cap));
    qr_err e = qr_tpm_key_at(a->base.tpm, QR_AZURE_AK, &a->ak);
    if (e != QR_OK) {
        EXPLAIN("TPM: attestation key 0x%08x: %s%s", QR_AZURE_AK, qr_tpm_error(a->base.tpm),
                e == QR_ERR_NOT_FOUND ? "; is this an Azure confidential VM?" : "");
        return e == QR_ERR_NOT_FOUND ? QR_ERR_PLATFORM : e;
    }
    e = read_report(a);
    if (e != QR_OK) {
        EXPLAIN("%s", a->base.why);
        return e;
    }
    QR_TRY(qr_tee_base_vouch(&a->base, &a->ak, err_text, err_cap));
    QR_TRY(qr_tee_base_secret(&a->base, o, "azure-vtpm", err_text, err_cap));
    if (!o->ak_chain || !o->ak_chain[0]) {
        return QR_OK; /* Microsoft's certificate is a second witness, and needs its CAs beside it */
    }
    e = qr_tpm_nv_read(a->base.tpm, QR_AZURE_NV_AK_CERT, 1, &a->ak_cert);
    if (e != QR_OK) {
        EXPLAIN("[tee] ak_chain: the TPM has no certificate of its key at NV index 0x%08x: %s",
                QR_AZURE_NV_AK_CERT, qr_tpm_error(a->base.tpm));
        return QR_ERR_PLATFORM;
    }
    return qr_tee_base_ak_chain(&a->base, o->ak_chain, err_text, err_cap);
}

qr_err
qr_tee_azure_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct azure *a = qr_alloc(sizeof *a);

    if (!a) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    a->pcrs = o->pcrs;
    qr_dbuf_init(&a->nv, QR_TPM_NV_MAX);
    qr_dbuf_init(&a->ak_cert, QR_TPM_NV_MAX);
    qr_err e = open_devices(a, o, err_text, err_cap);
    if (e != QR_OK) {
        azure_free(a);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = a,
        .profile = a->base.kept ? &qr_tee_azure_kept_profile : &qr_tee_azure_profile,
        .platform = a->tdx ? QR_PLATFORM_AZURE_TDX : QR_PLATFORM_AZURE_SNP,
        .evidence = azure_evidence,
        .needs = azure_needs,
        .collateral = azure_collateral,
        .free = azure_free,
    };
    qr_tee_base_table(&a->base, ret);
    return QR_OK;
}
