/*
 * The verdict on a SEV-SNP report: what it says, whom it names, who signed, for which firmware.
 *
 * Order: form, kind of key, product, chain (root, signatures, algorithms), chip, signature, TCB, dates,
 * revocation, binder. Debug, VMPL and versions are claims: a policy's business.
 */
#include "enclave-shim/verify/snp.h"
#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/verify_int.h"

#define SCALAR_LEN 48u
/* The header that Azure's paravisor puts between a report and the data the report commits to. */
#define RUNTIME_HEADER_LEN 20u

/*
 * Is the endorsement for the chip that reports? A VLEK names no chip, and a host may have the chip's
 * id masked: then the check stays unrecorded, and a policy that demands it refuses.
 */
static qr_err
check_chip(const struct qr_snp_report *p, const struct qr_snp_vek *k, struct qr_verdict *v)
{
    if (k->kind != QR_SNP_VCEK) {
        return QR_OK;
    }
    uint8_t any = 0;
    for (size_t i = 0; i < p->chip_id.len; i++) {
        any |= p->chip_id.p[i];
    }
    if (p->mask_chip_key && any == 0) {
        return QR_OK;
    }
    /* 64 bytes, or Turin's 8 with zeros behind them in the report: snp_cert.c and snp_report.c */
    if (memcmp(p->chip_id.p, k->hwid.p, k->hwid.len) != 0) {
        return qr_fail(
            v, QR_CHECK_CHIP_ID, QR_REASON_IDENTITY_MISMATCH,
            "leaf certificate: expected the hwID %02x%02x%02x%02x... of the report's chip, "
            "found %02x%02x%02x%02x...",
            p->chip_id.p[0], p->chip_id.p[1], p->chip_id.p[2], p->chip_id.p[3], k->hwid.p[0],
            k->hwid.p[1], k->hwid.p[2], k->hwid.p[3]);
    }
    qr_pass(v, QR_CHECK_CHIP_ID);
    return QR_OK;
}

static qr_err
check_signature(const struct qr_snp_report *p, X509 *leaf, struct qr_verdict *v)
{
    uint8_t raw[2 * SCALAR_LEN];
    for (size_t i = 0; i < SCALAR_LEN; i++) {
        raw[i] = p->r.p[SCALAR_LEN - 1 - i];
        raw[SCALAR_LEN + i] = p->s.p[SCALAR_LEN - 1 - i];
    }
    if (!qr_evp_ecdsa_verify(X509_get0_pubkey(leaf), QR_SHA384,
                             qr_view_of(p->all.p, QR_SNP_SIGNED_LEN),
                             qr_view_of(raw, sizeof raw))) {
        return qr_fail(
            v, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE,
            "SNP report: the signature does not verify under the leaf certificate's key");
    }
    qr_pass(v, QR_CHECK_SIGNATURE);
    return QR_OK;
}

/* The leaf endorses reported_tcb, component by component and byte by byte. */
static qr_err
check_tcb(const struct qr_snp_report *p, const struct qr_snp_chain *c, struct qr_verdict *v)
{
    for (int i = 0; i < QR_SNP_SPLS; i++) {
        int at = qr_snp_tcb_byte(c->line, (enum qr_snp_spl)i);
        unsigned endorsed = c->vek.spl[i].present ? c->vek.spl[i].value : 0;
        unsigned reported = at >= 0 ? p->reported_tcb.p[at] : 0;
        if (endorsed != reported) {
            return qr_fail(v, QR_CHECK_TCB_BINDING, QR_REASON_TCB,
                           "leaf certificate: component %d of the TCB: expected %u as in "
                           "reported_tcb, found %u",
                           i, reported, endorsed);
        }
    }
    for (size_t i = 0; i < p->reported_tcb.len; i++) {
        if (p->reported_tcb.p[i] > p->committed_tcb.p[i] ||
            p->committed_tcb.p[i] > p->current_tcb.p[i]) {
            return qr_fail(v, QR_CHECK_TCB_BINDING, QR_REASON_TCB,
                           "SNP report: byte %zu of the TCBs: expected reported <= committed <= "
                           "current, found %u, %u, %u",
                           i, p->reported_tcb.p[i], p->committed_tcb.p[i], p->current_tcb.p[i]);
        }
    }
    qr_pass(v, QR_CHECK_TCB_BINDING);
    return QR_OK;
}

static qr_err
judge(struct qr_verify_run *r, const struct qr_snp_report *p, const struct qr_snp_chain *c)
{
    QR_TRY(qr_snp_chain_match(r, c, p));
    QR_TRY(qr_snp_report_check(p, c->line, r->v));
    QR_TRY(qr_snp_chain_verify(r, c));
    QR_TRY(check_chip(p, &c->vek, r->v));
    QR_TRY(check_signature(p, c->certs.x[0], r->v));
    QR_TRY(check_tcb(p, c, r->v));
    return qr_snp_chain_dates(r, c);
}

/* Claims come first, so that a refused report can still be shown. */
static void
add_claims(struct qr_verify_run *r, const struct qr_snp_report *p, const struct qr_snp_chain *c)
{
    struct qr_claimset *claims = &r->v->claims;
    enum qr_snp_line line = p->has_cpuid ? qr_snp_line_of_cpuid(p->family, p->model) : c->line;
    qr_snp_report_claims(p, line, claims);
    if (c->line != QR_SNP_UNKNOWN) {
        qr_claim_text(claims, "product", qr_view_str(qr_snp_line_name(c->line)));
    }
    qr_snp_vek_claims(&c->vek, claims);
}

qr_err
qr_snp_part(struct qr_verify_run *r, qr_view report, qr_view *ret_report_data)
{
    struct qr_snp_report p = {0};
    struct qr_snp_chain c = {0};
    QR_TRY(qr_snp_report_parse(report, r->v, &p));
    qr_err e = qr_snp_chain_read(r, &c);
    add_claims(r, &p, &c);
    if (e == QR_OK) {
        e = judge(r, &p, &c);
    }
    qr_certs_free(&c.certs);
    if (e == QR_OK) {
        *ret_report_data = p.report_data;
    }
    return e;
}

/* Splits off a runtime data header; a report without one stays whole. */
static qr_err
split_container(qr_view all, struct qr_verdict *v, qr_view *ret_report, uint32_t *ret_len)
{
    if (all.len != QR_SNP_REPORT_LEN + RUNTIME_HEADER_LEN) {
        *ret_report = all; /* qr_snp_report_parse judges the length */
        *ret_len = 0;
        return QR_OK;
    }
    const uint8_t *h = all.p + QR_SNP_REPORT_LEN;
    uint32_t size = qr_le32(h), version = qr_le32(h + 4), type = qr_le32(h + 8),
             hash = qr_le32(h + 12), len = qr_le32(h + 16);
    if (version != 1 || type != 2 || size < RUNTIME_HEADER_LEN ||
        size - RUNTIME_HEADER_LEN != len || len == 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "SNP report: runtime data header: expected version 1, type 2 and sizes that "
                       "agree, found version %u, type %u, sizes %u and %u",
                       version, type, size, len);
    }
    if (hash != 1) {
        return qr_fail(v, QR_CHECK_RUNTIME_DATA, QR_REASON_UNSUPPORTED,
                       "SNP report: runtime data header: expected hash type 1 (SHA-256), found %u",
                       hash);
    }
    *ret_report = qr_view_of(all.p, QR_SNP_REPORT_LEN);
    *ret_len = len;
    return QR_OK;
}

/* Data that came with the report must be what the report commits to. */
static qr_err
check_runtime_data(struct qr_verify_run *r, qr_view report_data, uint32_t announced)
{
    uint8_t expected[64] = {0};
    qr_view data = qr_evidence_get(r->e, QR_PART_RUNTIME_DATA);
    if (!data.p) {
        return QR_OK; /* nothing was bound that could be looked at: the check stays unrecorded */
    }
    if (announced != 0 && announced != data.len) {
        return qr_fail(r->v, QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING,
                       "runtime data: expected %u bytes as the header says, found %zu", announced,
                       data.len);
    }
    if (!qr_hash_of(QR_SHA256, &data, 1, expected)) {
        return QR_ERR_NO_MEMORY;
    }
    if (!qr_view_eq(report_data, qr_view_of(expected, sizeof expected))) {
        return qr_fail(r->v, QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING,
                       "runtime data: expected report_data to be its SHA-256 and zeros, found "
                       "something else");
    }
    qr_pass(r->v, QR_CHECK_RUNTIME_DATA);
    return QR_OK;
}

qr_err
qr_verify_snp(struct qr_verify_run *r)
{
    qr_view all, report, report_data;
    uint32_t announced = 0;
    QR_TRY(qr_run_need(r, QR_PART_SNP_REPORT, QR_CHECK_PARSE, QR_REASON_MALFORMED, &all));
    QR_TRY(split_container(all, r->v, &report, &announced));
    QR_TRY(qr_snp_part(r, report, &report_data));
    QR_TRY(check_runtime_data(r, report_data, announced));
    if (r->o->binder.p) {
        QR_TRY(qr_run_binder(r, report_data, "report_data"));
    }
    return QR_OK;
}
