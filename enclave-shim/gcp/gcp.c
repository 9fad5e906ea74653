#include "enclave-shim/gcp/gcp.h"

#include "enclave-shim/gcp/aia.h"
#include "enclave-shim/snp/snp_part.h"
#include "enclave-shim/tdx/tdx_part.h"
#include "enclave-shim/tsm/door.h"
#include "enclave-shim/verify/gcp.h"
#include "enclave-shim/verify/tpm.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

const struct qr_tee_profile qr_tee_gcp_profile = {
    .name = "gcp-vtpm", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1};
const struct qr_tee_profile qr_tee_gcp_kept_profile = {
    .name = "gcp-vtpm", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1, .keeps_secrets = 1};

struct gcp {
    struct qr_tee_base base;
    struct qr_report_src src;
    struct qr_tpm_key ak;
    uint8_t ak_spki[32];
    struct qr_dbuf ak_cert;
    uint32_t pcrs;
    int tdx, has_chain; /* CA certificates came from a file */
    struct qr_snp_piece snp;
    struct qr_tdx_piece td;
    struct qr_report report;
    struct qr_tee_quote quote;
};

/* ---- the processor's report ---------------------------------------------------------------- */

static qr_err
report(struct gcp *g, const uint8_t data[QR_REPORT_DATA])
{
    struct qr_report *r = &g->report;
    const uint8_t *found = r->out + QR_SNP_DATA_AT;

    qr_err e = g->src.get(g->src.ctx, data, r);
    if (e != QR_OK) {
        return qr_tee_base_fail(&g->base, e, "%s", g->src.why(g->src.ctx));
    }
    g->tdx = r->out_len != QR_SNP_REPORT_LEN;
    if (g->tdx) {
        QR_TRY(qr_tdx_piece_read(&g->base, qr_view_of(r->out, r->out_len), &g->td));
        found = g->td.report_data;
    } else {
        QR_TRY(qr_snp_piece_read(&g->base, qr_view_of(r->out, r->out_len),
                                 qr_view_of(r->aux, r->aux_len), &g->snp));
    }
    if (memcmp(found, data, QR_REPORT_DATA) != 0) {
        return qr_tee_base_fail(
            &g->base, QR_ERR_PLATFORM,
            "the processor's report is over other bytes than ours: a stale one");
    }
    return QR_OK;
}

static qr_err
add_report(struct gcp *g, struct qr_evidence *e)
{
    qr_view out = qr_view_of(g->report.out, g->report.out_len);
    if (g->tdx) {
        return qr_evidence_add(e, QR_PART_QUOTE, 0, out);
    }
    return qr_snp_piece_add(&g->base, &g->snp, out, qr_view_of(g->report.aux, g->report.aux_len), 1,
                            e);
}

/* ---- the table ----------------------------------------------------------------------------- */

static qr_err
gcp_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct gcp *g = ctx;
    uint8_t data[QR_REPORT_DATA];

    if (!qr_gcp_report_data(g->ak_spki, binder, data)) {
        return QR_ERR_NO_MEMORY;
    }
    QR_TRY(report(g, data));
    struct qr_evidence e = {.kind = g->tdx ? QR_EV_GCP_TDX : QR_EV_GCP_SNP};
    QR_TRY(add_report(g, &e));
    QR_TRY(qr_evidence_add(&e, QR_PART_AK_CERT, 0, qr_view_of(g->ak_cert.p, g->ak_cert.len)));
    QR_TRY(qr_tee_base_quote(&g->base, &g->ak, g->pcrs, binder, &g->quote, &e));
    return qr_tee_base_finish(&g->base, &e, out);
}

/* One certificate leads to the next: what is asked for follows from what is there. */
static void
need_ca(const char *source, qr_view cert, struct qr_tee_needs *n)
{
    struct qr_gcp_aia a;
    if (cert.p && qr_gcp_aia_read(cert, &a) == QR_OK) {
        qr_tee_needs_add(n, "{\"source\":\"%s\",\"bucket\":\"%s\",\"object\":\"%s\"}", source,
                         a.bucket, a.object);
    }
}

static qr_err
gcp_needs(void *ctx, struct qr_dbuf *out)
{
    struct gcp *g = ctx;
    struct qr_tee_needs n = qr_tee_needs_begin(out);

    if (g->tdx) {
        qr_tdx_piece_need(&g->td, &n);
    } else {
        qr_snp_piece_need(&g->snp, &n);
    }
    if (g->has_chain) {
        return qr_tee_needs_end(&n);
    }
    need_ca(qr_tee_google_ca.name, qr_view_of(g->ak_cert.p, g->ak_cert.len), &n);
    need_ca(qr_tee_google_root.name, qr_tee_coll_get(&g->base.coll, QR_PART_AK_INTERMEDIATE), &n);
    return qr_tee_needs_end(&n);
}

static qr_err
gcp_collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    static const struct qr_tee_source *const snp[] = {&qr_tee_amd_kds, &qr_tee_google_ca,
                                                      &qr_tee_google_root, NULL};
    static const struct qr_tee_source *const tdx[] = {&qr_tee_intel_pcs, &qr_tee_google_ca,
                                                      &qr_tee_google_root, NULL};
    struct gcp *g = ctx;
    return qr_tee_base_collateral(&g->base, g->tdx ? tdx : snp, source, piece, n);
}

static void
gcp_free(void *ctx)
{
    struct gcp *g = ctx;
    if (g->base.tpm) {
        qr_tpm_key_free(g->base.tpm, &g->ak);
    }
    qr_report_close(&g->src);
    qr_dbuf_free(&g->ak_cert);
    qr_tee_base_close(&g->base);
    qr_free(g);
}

/* ---- opening ------------------------------------------------------------------------------- */

static int
certified(struct gcp *g, EVP_PKEY *ak)
{
    const uint8_t *p = g->ak_cert.p;
    X509 *x = d2i_X509(NULL, &p, (long)g->ak_cert.len);
    int same = x && EVP_PKEY_eq(X509_get0_pubkey(x), ak) == 1;
    X509_free(x);
    return same;
}

/* What the report will commit to; and that the certificate is this key's. */
static qr_err
hash_key(struct gcp *g, struct qr_verdict *v)
{
    struct qr_tpm_public p = {0};

    qr_verdict_init(v);
    if (qr_tpm_public_parse(qr_view_of(g->ak.public_area, g->ak.public_len), v, &p) != QR_OK) {
        return qr_tee_base_fail(&g->base, QR_ERR_PLATFORM, "TPM: attestation key: %s", v->sentence);
    }
    qr_err e = qr_key_sha256(p.key, g->ak_spki) ? QR_OK : QR_ERR_NO_MEMORY;
    if (e == QR_OK && !certified(g, p.key)) {
        e = qr_tee_base_fail(&g->base, QR_ERR_PLATFORM,
                             "TPM: the certificate in NV is not of the attestation key that the "
                             "template makes");
    }
    EVP_PKEY_free(p.key);
    return e;
}

/* The P-256 key, which is faster, or the RSA key where there is no template for it. */
static qr_err
open_key(struct gcp *g)
{
    static const struct {
        uint32_t template_at, cert_at;
    } kind[] = {{QR_GCP_NV_ECC_TEMPLATE, QR_GCP_NV_ECC_CERT},
                {QR_GCP_NV_RSA_TEMPLATE, QR_GCP_NV_RSA_CERT}};
    qr_err e = QR_ERR_NOT_FOUND;
    size_t i = 0;

    for (; i < 2 && e == QR_ERR_NOT_FOUND; i++) {
        e = qr_tpm_key_by_template(g->base.tpm, kind[i].template_at, &g->ak);
    }
    if (e != QR_OK) {
        return qr_tee_base_fail(&g->base, e == QR_ERR_NOT_FOUND ? QR_ERR_PLATFORM : e,
                                "TPM: attestation key: %s%s", qr_tpm_error(g->base.tpm),
                                e == QR_ERR_NOT_FOUND ? "; is this a Google Cloud VM with a vTPM?"
                                                      : "");
    }
    e = qr_tpm_nv_read(g->base.tpm, kind[i - 1].cert_at, 1, &g->ak_cert);
    if (e != QR_OK) {
        return qr_tee_base_fail(&g->base, e == QR_ERR_NOT_FOUND ? QR_ERR_PLATFORM : e,
                                "TPM: certificate of the attestation key at NV index 0x%08x: %s",
                                kind[i - 1].cert_at, qr_tpm_error(g->base.tpm));
    }
    struct qr_verdict *v = qr_alloc(sizeof *v);
    e = v ? hash_key(g, v) : QR_ERR_NO_MEMORY;
    qr_free(v);
    return e;
}

static qr_err
open_devices(struct gcp *g, const struct qr_tee_opts *o, char *err_text, size_t err_cap)
{
    uint8_t probe[QR_REPORT_DATA];

    QR_TRY(qr_tee_base_open(&g->base, o, QR_TEE_MUST_TPM, QR_BOOTLOG_OF_TPM, err_text, err_cap));
    qr_report_probe(probe);
    qr_err e = report(g, probe);
    e = e == QR_OK ? open_key(g) : e;
    if (e != QR_OK) {
        EXPLAIN("%s", g->base.why);
        return e;
    }
    QR_TRY(qr_tee_base_vouch(&g->base, &g->ak, err_text, err_cap));
    /* It is made of its template at any time; a TPM without a resource manager has room for three. */
    qr_tpm_key_free(g->base.tpm, &g->ak);
    QR_TRY(qr_tee_base_secret(&g->base, o, "gcp-vtpm", err_text, err_cap));
    e = open_key(g);
    if (e != QR_OK) {
        EXPLAIN("%s", g->base.why);
        return e;
    }
    return qr_tee_base_ak_chain(&g->base, o->ak_chain, err_text, err_cap);
}

qr_err
qr_tee_gcp_over(const struct qr_tee_opts *o, struct qr_report_src *src, struct qr_tee *ret,
                char *err_text, size_t err_cap)
{
    struct gcp *g = qr_alloc(sizeof *g);

    if (!g) {
        qr_report_close(src);
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    g->src = *src;
    *src = (struct qr_report_src){.fd = -1};
    g->pcrs = o->pcrs;
    g->has_chain = o->ak_chain && o->ak_chain[0];
    qr_dbuf_init(&g->ak_cert, QR_TPM_NV_MAX);
    qr_err e = open_devices(g, o, err_text, err_cap);
    if (e != QR_OK) {
        gcp_free(g);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = g,
        .profile = g->base.kept ? &qr_tee_gcp_kept_profile : &qr_tee_gcp_profile,
        .platform = g->tdx ? QR_PLATFORM_GCP_TDX : QR_PLATFORM_GCP_SNP,
        .evidence = gcp_evidence,
        .needs = gcp_needs,
        .collateral = gcp_collateral,
        .free = gcp_free,
    };
    qr_tee_base_table(&g->base, ret);
    return QR_OK;
}

qr_err
qr_tee_gcp_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_report_src src = {.fd = -1};
    QR_TRY(qr_report_open(o, QR_DOOR_EITHER, &src, err_text, err_cap));
    return qr_tee_gcp_over(o, &src, ret, err_text, err_cap);
}
