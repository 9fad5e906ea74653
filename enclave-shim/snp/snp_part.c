#include "enclave-shim/snp/snp_part.h"

#include "protocol/base/enc.h"

#include <stdio.h>

/* A report of version 2 does not tell its product: the endorsement key's certificate does. */
static enum qr_snp_line
line_of_table(qr_view table, enum qr_snp_signing_key key)
{
    struct qr_snp_table t;
    struct qr_snp_vek k;

    if (table.len == 0 || qr_snp_table_parse(table, &t) != QR_OK) {
        return QR_SNP_UNKNOWN;
    }
    qr_view der = key == QR_SNP_VLEK ? t.vlek : t.vcek;
    const uint8_t *p = der.p;
    X509 *x = der.p ? d2i_X509(NULL, &p, (long)der.len) : NULL;
    if (!x) {
        return QR_SNP_UNKNOWN;
    }
    qr_snp_vek_read(x, &k);
    enum qr_snp_line line = k.product_name.p ? qr_snp_line_of_name(k.product_name) : QR_SNP_UNKNOWN;
    X509_free(x);
    return line;
}

static qr_err
read_report(struct qr_tee_base *b, qr_view report, qr_view table, struct qr_verdict *v,
            struct qr_snp_piece *ret)
{
    struct qr_snp_report r;
    static const uint8_t none[64];

    qr_verdict_init(v);
    if (qr_snp_report_parse(report, v, &r) != QR_OK) {
        return qr_tee_base_fail(b, QR_ERR_PLATFORM, "the processor's report: %s", v->sentence);
    }
    *ret = (struct qr_snp_piece){.key = r.signing_key,
                                 .masked = memcmp(r.chip_id.p, none, sizeof none) == 0};
    memcpy(ret->chip_id, r.chip_id.p, sizeof ret->chip_id);
    memcpy(ret->tcb, r.reported_tcb.p, sizeof ret->tcb);
    ret->line =
        r.has_cpuid ? qr_snp_line_of_cpuid(r.family, r.model) : line_of_table(table, r.signing_key);
    return QR_OK;
}

qr_err
qr_snp_piece_read(struct qr_tee_base *b, qr_view report, qr_view table, struct qr_snp_piece *ret)
{
    struct qr_verdict *v = qr_alloc(sizeof *v);
    qr_err e = v ? read_report(b, report, table, v, ret) : QR_ERR_NO_MEMORY;
    qr_free(v);
    return e;
}

static qr_err
add_if(struct qr_tee_base *b, int ours, enum qr_part part, qr_view v, struct qr_evidence *e)
{
    if (!v.p || (!ours && qr_tee_coll_get(&b->coll, part).p)) {
        return QR_OK;
    }
    return qr_evidence_add(e, part, 0, v);
}

qr_err
qr_snp_piece_add(struct qr_tee_base *b, const struct qr_snp_piece *p, qr_view report, qr_view table,
                 int with_report, struct qr_evidence *e)
{
    struct qr_snp_table t = {{0}};
    int vlek = p->key == QR_SNP_VLEK; /* the host's documents are for a VCEK */

    if (with_report) {
        QR_TRY(qr_evidence_add(e, QR_PART_SNP_REPORT, 0, report));
    }
    if (table.len == 0) {
        return QR_OK;
    }
    if (qr_snp_table_parse(table, &t) != QR_OK) {
        return qr_tee_base_fail(b, QR_ERR_PLATFORM,
                                "the host's certificate table of %zu bytes is not one: entries "
                                "overlap, stand outside, or have no end",
                                table.len);
    }
    QR_TRY(add_if(b, vlek, QR_PART_SNP_VEK, vlek ? t.vlek : t.vcek, e));
    QR_TRY(add_if(b, vlek, QR_PART_SNP_ASK, t.ask, e));
    QR_TRY(add_if(b, vlek, QR_PART_SNP_ARK, t.ark, e));
    return add_if(b, vlek, QR_PART_SNP_CRL, t.crl, e);
}

static unsigned
component(const struct qr_snp_piece *p, enum qr_snp_spl c)
{
    int at = qr_snp_tcb_byte(p->line, c);
    return at < 0 ? 0 : p->tcb[at];
}

void
qr_snp_piece_need(const struct qr_snp_piece *p, struct qr_tee_needs *n)
{
    char chip[2 * 64 + 1], fmc[24] = "";
    int turin = p->line == QR_SNP_TURIN;

    if (p->key != QR_SNP_VCEK || p->line == QR_SNP_UNKNOWN || p->masked) {
        return;
    }
    qr_hex_encode(qr_view_of(p->chip_id, turin ? 8 : 64), chip);
    if (turin) {
        (void)snprintf(fmc, sizeof fmc, ",\"fmc\":%u", component(p, QR_SNP_FMC));
    }
    qr_tee_needs_add(n,
                     "{\"source\":\"amd-kds\",\"product\":\"%s\",\"chip\":\"%s\","
                     "\"spl\":{\"bl\":%u,\"tee\":%u,\"snp\":%u,\"ucode\":%u%s}}",
                     qr_snp_line_name(p->line), chip, component(p, QR_SNP_BL),
                     component(p, QR_SNP_TEE), component(p, QR_SNP_FW), component(p, QR_SNP_UCODE),
                     fmc);
}
