#include "enclave-shim/snp/snp.h"

#include "enclave-shim/snp/snp_part.h"
#include "enclave-shim/tsm/door.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

const struct qr_tee_profile qr_tee_snp_profile = {
    .name = "snp", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1};
const struct qr_tee_profile qr_tee_snp_tpm_profile = {
    .name = "snp", .grain = QR_TEE_MACHINE, .network = 1, .disk = 1, .keeps_secrets = 1};

struct snp {
    struct qr_tee_base base;
    struct qr_report_src src;
    struct qr_snp_piece piece; /* of the last report */
    struct qr_report report;
};

/* A report over `data`, checked to be over it. */
static qr_err
report(struct snp *s, const uint8_t data[QR_REPORT_DATA])
{
    struct qr_report *r = &s->report;

    qr_err e = s->src.get(s->src.ctx, data, r);
    if (e != QR_OK) {
        return qr_tee_base_fail(&s->base, e, "%s", s->src.why(s->src.ctx));
    }
    QR_TRY(qr_snp_piece_read(&s->base, qr_view_of(r->out, r->out_len),
                             qr_view_of(r->aux, r->aux_len), &s->piece));
    if (!qr_view_eq(qr_view_of(r->out + QR_SNP_DATA_AT, QR_REPORT_DATA),
                    qr_view_of(data, QR_REPORT_DATA))) {
        return qr_tee_base_fail(
            &s->base, QR_ERR_PLATFORM,
            "the processor's report is over other bytes than ours: a stale one");
    }
    return QR_OK;
}

static qr_err
snp_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct snp *s = ctx;
    uint8_t data[QR_REPORT_DATA] = {0};
    struct qr_evidence e = {.kind = QR_EV_SNP};

    memcpy(data, binder, 32);
    QR_TRY(report(s, data));
    QR_TRY(qr_snp_piece_add(&s->base, &s->piece, qr_view_of(s->report.out, s->report.out_len),
                            qr_view_of(s->report.aux, s->report.aux_len), 1, &e));
    return qr_tee_base_finish(&s->base, &e, out);
}

static qr_err
snp_needs(void *ctx, struct qr_dbuf *out)
{
    struct snp *s = ctx;
    struct qr_tee_needs n = qr_tee_needs_begin(out);
    qr_snp_piece_need(&s->piece, &n);
    return qr_tee_needs_end(&n);
}

static qr_err
snp_collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    static const struct qr_tee_source *const sources[] = {&qr_tee_amd_kds, NULL};
    struct snp *s = ctx;
    return qr_tee_base_collateral(&s->base, sources, source, piece, n);
}

static void
snp_free(void *ctx)
{
    struct snp *s = ctx;
    qr_report_close(&s->src);
    qr_tee_base_close(&s->base);
    qr_free(s);
}

qr_err
qr_tee_snp_over(const struct qr_tee_opts *o, struct qr_report_src *src, struct qr_tee *ret,
                char *err_text, size_t err_cap)
{
    uint8_t probe[QR_REPORT_DATA];
    struct snp *s = qr_alloc(sizeof *s);

    if (!s) {
        qr_report_close(src);
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    s->src = *src;
    *src = (struct qr_report_src){.fd = -1};
    qr_err e = qr_tee_base_open(&s->base, o, QR_TEE_MAY_TPM, QR_BOOTLOG_NONE, err_text, err_cap);
    if (e != QR_OK) {
        qr_report_close(&s->src);
        qr_free(s);
        return e;
    }
    qr_report_probe(probe);
    e = report(s, probe);
    if (e != QR_OK) {
        EXPLAIN("%s", s->base.why);
    } else {
        /* A TPM beside a plain guest is the host's: nothing here vouches for it. */
        e = qr_tee_base_secret(&s->base, o, "snp", err_text, err_cap);
    }
    if (e != QR_OK) {
        snp_free(s);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = s,
        .profile = s->base.kept ? &qr_tee_snp_tpm_profile : &qr_tee_snp_profile,
        .platform = QR_PLATFORM_SNP,
        .evidence = snp_evidence,
        .needs = snp_needs,
        .collateral = snp_collateral,
        .free = snp_free,
    };
    qr_tee_base_table(&s->base, ret);
    return QR_OK;
}

qr_err
qr_tee_snp_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_report_src src = {.fd = -1};
    QR_TRY(qr_report_open(o, QR_DOOR_SNP, &src, err_text, err_cap));
    return qr_tee_snp_over(o, &src, ret, err_text, err_cap);
}
