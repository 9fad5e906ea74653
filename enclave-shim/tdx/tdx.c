#include "enclave-shim/tdx/tdx.h"

#include "enclave-shim/tdx/tdx_part.h"
#include "enclave-shim/tsm/door.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

const struct qr_tee_profile qr_tee_tdx_profile = {
    .name = "tdx", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1};
const struct qr_tee_profile qr_tee_tdx_tpm_profile = {
    .name = "tdx", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1, .keeps_secrets = 1};

struct tdx {
    struct qr_tee_base base;
    struct qr_report_src src;
    struct qr_tdx_piece piece; /* of the last quote */
    struct qr_report quote;
};

/* A quote over `data`, checked to be over it. */
static qr_err
quote(struct tdx *t, const uint8_t data[QR_REPORT_DATA])
{
    qr_err e = t->src.get(t->src.ctx, data, &t->quote);
    if (e != QR_OK) {
        return qr_tee_base_fail(&t->base, e, "%s", t->src.why(t->src.ctx));
    }
    QR_TRY(qr_tdx_piece_read(&t->base, qr_view_of(t->quote.out, t->quote.out_len), &t->piece));
    if (memcmp(t->piece.report_data, data, QR_REPORT_DATA) != 0) {
        return qr_tee_base_fail(&t->base, QR_ERR_PLATFORM,
                                "the TD quote is over other bytes than ours: a stale one");
    }
    return QR_OK;
}

static qr_err
tdx_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct tdx *t = ctx;
    uint8_t data[QR_REPORT_DATA] = {0};
    struct qr_evidence e = {.kind = QR_EV_TDX};

    memcpy(data, binder, 32);
    QR_TRY(quote(t, data));
    QR_TRY(qr_evidence_add(&e, QR_PART_QUOTE, 0, qr_view_of(t->quote.out, t->quote.out_len)));
    return qr_tee_base_finish(&t->base, &e, out);
}

static qr_err
tdx_needs(void *ctx, struct qr_dbuf *out)
{
    struct tdx *t = ctx;
    struct qr_tee_needs n = qr_tee_needs_begin(out);
    qr_tdx_piece_need(&t->piece, &n);
    return qr_tee_needs_end(&n);
}

static qr_err
tdx_collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    static const struct qr_tee_source *const sources[] = {&qr_tee_intel_pcs, NULL};
    struct tdx *t = ctx;
    return qr_tee_base_collateral(&t->base, sources, source, piece, n);
}

static void
tdx_free(void *ctx)
{
    struct tdx *t = ctx;
    qr_report_close(&t->src);
    qr_tee_base_close(&t->base);
    qr_free(t);
}

qr_err
qr_tee_tdx_over(const struct qr_tee_opts *o, struct qr_report_src *src, struct qr_tee *ret,
                char *err_text, size_t err_cap)
{
    uint8_t probe[QR_REPORT_DATA];
    struct tdx *t = qr_alloc(sizeof *t);

    if (!t) {
        qr_report_close(src);
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    t->src = *src;
    *src = (struct qr_report_src){.fd = -1};
    qr_err e = qr_tee_base_open(&t->base, o, QR_TEE_MAY_TPM, QR_BOOTLOG_OF_CC, err_text, err_cap);
    if (e != QR_OK) {
        qr_report_close(&t->src);
        qr_free(t);
        return e;
    }
    qr_report_probe(probe);
    e = quote(t, probe);
    if (e != QR_OK) {
        EXPLAIN("%s", t->base.why);
    } else {
        /* A TPM beside a plain guest is the host's: nothing here vouches for it. */
        e = qr_tee_base_secret(&t->base, o, "tdx", err_text, err_cap);
    }
    if (e != QR_OK) {
        tdx_free(t);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = t,
        .profile = t->base.kept ? &qr_tee_tdx_tpm_profile : &qr_tee_tdx_profile,
        .platform = QR_PLATFORM_TDX,
        .evidence = tdx_evidence,
        .needs = tdx_needs,
        .collateral = tdx_collateral,
        .free = tdx_free,
    };
    qr_tee_base_table(&t->base, ret);
    return QR_OK;
}

qr_err
qr_tee_tdx_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_report_src src = {.fd = -1};
    QR_TRY(qr_report_open(o, QR_DOOR_TDX, &src, err_text, err_cap));
    return qr_tee_tdx_over(o, &src, ret, err_text, err_cap);
}
