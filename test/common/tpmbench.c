#include "test/common/tpmbench.h"

#include "protocol/base/check.h"

#include <openssl/x509.h>
#include <stdio.h>

static struct evsnp *
genuine_snp(void)
{
    static struct evsnp s;
    static int made;
    if (!made) {
        evsnp_init(&s, EVSNP_MILAN, 3);
        evsnp_build(&s);
        made = 1;
    }
    return &s;
}

static const struct evak *
genuine_ca(enum qr_vendor_root vendor, EVP_PKEY *ak)
{
    static struct evak ca[2];
    struct evak *c = &ca[vendor == QR_ROOT_GOOGLE_VTPM];
    if (c->leaf.len == 0 || c->leaf_spec.key != ak) {
        evak_init(c, vendor, ak);
        evak_build(c);
    }
    return c;
}

static const struct qr_roots *
genuine_roots(EVP_PKEY *ak)
{
    static struct qr_roots r;
    if (r.of[QR_ROOT_GOOGLE_VTPM].n == 0) {
        evsnp_roots(&r);
        evak_pin(genuine_ca(QR_ROOT_GOOGLE_VTPM, ak), &r);
        evak_pin(genuine_ca(QR_ROOT_MICROSOFT_VTPM, ak), &r);
    }
    return &r;
}

static void
spki_hash(EVP_PKEY *k, uint8_t out[static 32])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k, &der);
    QR_ASSERT(n > 0);
    evgen_sha256(qr_view_of(der, (size_t)n), out);
    OPENSSL_free(der);
}

static enum qr_evidence_kind
kind_of(enum tb_base base)
{
    return base == TB_AZURE                       ? QR_EV_AZURE_SNP
           : base == TB_GCP || base == TB_GCP_SET ? QR_EV_GCP_SNP
                                                  : QR_EV_TPM;
}

static void
set_up(struct tpmbench *b, enum tb_base base)
{
    static const enum qr_hash_alg banks[] = {QR_SHA1, QR_SHA256, QR_SHA384};
    static const char data[] = "what was asked for, and more";
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 2);

    memset(b, 0, sizeof *b);
    b->base = base;
    b->ak = base == TB_EC ? evgen_key(EVGEN_P256, 11) : rsa;
    evtpm_init(&b->q, b->ak);
    b->pub = evtpm_public_of(b->ak);
    b->ca = *genuine_ca(base == TB_MSFT ? QR_ROOT_MICROSOFT_VTPM : QR_ROOT_GOOGLE_VTPM, rsa);
    b->snp = genuine_snp();
    b->roots = *genuine_roots(rsa);
    b->o = (struct qr_verify_opts){.roots = &b->roots, .now_ms = EVGEN_NOW_MS};
    evhcl_init(&b->hcl, 2);
    evhcl_runtime(&b->hcl, rsa);
    if (base == TB_LOG) {
        evlog_open(&b->log, b->log_mem, sizeof b->log_mem, 0, banks, 3);
        evlog_boot(&b->log);
    }
    if (base == TB_GCP_SET) {
        char n[352];
        evhcl_modulus(b->ak, n);
        (void)snprintf(b->key_set, sizeof b->key_set,
                       "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"
                       "\"%s\"}]}",
                       n);
        memcpy(b->data, data, sizeof data);
        evgen_sha256(qr_view_str(b->data), b->q.extra);
    }
    memcpy(b->binder, b->q.extra, sizeof b->q.extra < 64 ? sizeof b->q.extra : 64);
    b->o.binder = qr_view_of(b->binder, 32);
}

/* What the processor is to report. */
static void
fill_report_data(struct tpmbench *b)
{
    memset(b->report_data, 0, sizeof b->report_data);
    if (b->base == TB_AZURE) {
        evhcl_hash(&b->hcl, b->report_data);
    } else if (b->base == TB_GCP_SET) {
        evgen_sha256(qr_view_str(b->key_set), b->report_data);
    } else if (b->base == TB_GCP) {
        uint8_t text[17 + 32 + 80];
        memcpy(text, "quorate/gcp-ak/v1", 17);
        spki_hash(b->ak, text + 17);
        memcpy(text + 49, b->q.extra, b->q.extra_len);
        evgen_sha256(qr_view_of(text, 49 + b->q.extra_len), b->report_data);
    }
}

static void
collect(struct tpmbench *b)
{
    struct qr_evidence *e = &b->e;

    if (b->base == TB_AZURE || b->base == TB_GCP || b->base == TB_GCP_SET) {
        evsnp_evidence(b->snp, kind_of(b->base), e);
    }
    e->kind = kind_of(b->base);
    if (b->base == TB_AZURE) {
        evtpm_swap(e, QR_PART_SNP_REPORT, 0, (qr_view){NULL, 0});
        evtpm_swap(e, QR_PART_HCL_REPORT, 0, qr_view_of(b->hcl.bytes, b->hcl.total));
    }
    if (b->base == TB_CERT || b->base == TB_MSFT || b->base == TB_GCP || b->base == TB_GCP_SET) {
        evak_add(&b->ca, e);
    }
    if (b->base == TB_CERT || b->base == TB_PUB || b->base == TB_EC || b->base == TB_LOG) {
        evtpm_swap(e, QR_PART_AK_PUBLIC, 0, qr_view_of(b->pub_bytes, b->pub_len));
    }
    if (b->pem_len > 0) {
        evtpm_swap(e, QR_PART_AK_PEM, 0, qr_view_of(b->pem, b->pem_len));
    }
    if (b->base == TB_LOG) {
        evtpm_swap(e, QR_PART_TCG_LOG, 0, evgen_buf_view(&b->log.b));
    }
    if (b->base == TB_GCP_SET) {
        evtpm_swap(e, QR_PART_RUNTIME_DATA, 0, qr_view_str(b->key_set));
        evtpm_swap(e, QR_PART_ATTESTATION_DATA, 0, qr_view_str(b->data));
    }
    evtpm_add(&b->q, 0, e);
}

static void
give(struct tpmbench *b, tb_change change, enum tb_stage s, unsigned arg)
{
    if (change) {
        change(b, s, arg);
    }
}

qr_err
tb_run(struct tpmbench *b, enum tb_base base, tb_change change, unsigned arg)
{
    set_up(b, base);
    give(b, change, TB_SPEC, arg);
    if (base == TB_LOG) {
        for (unsigned i = 0; i < EVTPM_PCRS; i++) {
            memcpy(b->q.pcr[i], b->log.reg[1][i], 64);
        }
    }
    struct evgen_buf pub = evgen_buf_over(b->pub_bytes, sizeof b->pub_bytes);
    evtpm_put_public(&pub, &b->pub);
    b->pub_len = pub.len;
    if (b->ca_changed) {
        evak_build(&b->ca);
    }
    fill_report_data(b);
    give(b, change, TB_REPORT, arg);
    if (base == TB_AZURE || base == TB_GCP || base == TB_GCP_SET) {
        memcpy(b->snp->report + EVSNP_REPORT_DATA, b->report_data, 64);
        evsnp_sign(b->snp);
        memcpy(b->hcl.report, b->snp->report, sizeof b->hcl.report);
        evhcl_make(&b->hcl);
    }
    evtpm_make(&b->q);
    give(b, change, TB_MSG, arg);
    evtpm_sign(&b->q);
    give(b, change, TB_SIG, arg);
    collect(b);
    give(b, change, TB_EVIDENCE, arg);
    return qr_verify(&b->e, &b->o, &b->v, NULL);
}

unsigned
tb_run_rows(struct tpmbench *b, const struct tb_row *row, size_t n, unsigned *documents,
            unsigned hits[QR_CHECK_COUNT])
{
    unsigned bad = 0;

    for (size_t i = 0; i < n; i++) {
        for (unsigned arg = row[i].from; arg <= row[i].to; arg++) {
            qr_err e = tb_run(b, row[i].base, row[i].change, arg);
            ++*documents;
            if (e == QR_ERR_ATTESTATION && b->v.failed == row[i].check &&
                b->v.reason == row[i].reason && b->v.check[row[i].check] == QR_CHECK_FAIL &&
                b->v.sentence[0]) {
                hits[row[i].check]++;
                continue;
            }
            (void)fprintf(stderr, "%s (%u): expected %s %s, found %s %s: %s\n", row[i].name, arg,
                          qr_check_name(row[i].check), qr_reason_word(row[i].reason),
                          e == QR_OK ? "-" : qr_check_name(b->v.failed),
                          qr_reason_word(b->v.reason), b->v.sentence);
            bad++;
        }
    }
    return bad;
}

uint8_t *
tb_own(struct tpmbench *b, enum qr_part part, uint8_t slot)
{
    qr_view v = qr_evidence_get_slot(&b->e, part, slot);
    QR_ASSERT(v.p && v.len <= sizeof b->scratch);
    memmove(b->scratch, v.p, v.len);
    evtpm_swap(&b->e, part, slot, qr_view_of(b->scratch, v.len));
    return b->scratch;
}

void
tb_grow(struct tpmbench *b, enum qr_part part, uint8_t slot, uint8_t byte, size_t n)
{
    size_t len = qr_evidence_get_slot(&b->e, part, slot).len;
    QR_ASSERT(len + n <= sizeof b->scratch);
    uint8_t *p = tb_own(b, part, slot);
    memset(p + len, byte, n);
    evtpm_swap(&b->e, part, slot, qr_view_of(p, len + n));
}

void
tb_cut(struct tpmbench *b, enum qr_part part, uint8_t slot, size_t n)
{
    qr_view v = qr_evidence_get_slot(&b->e, part, slot);
    QR_ASSERT(n < v.len);
    evtpm_swap(&b->e, part, slot, qr_view_of(v.p, v.len - n));
}
