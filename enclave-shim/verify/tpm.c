#include "enclave-shim/verify/tpm.h"

#include "enclave-shim/verify/eventlog.h"
#include "protocol/base/enc.h"

#include <stdio.h>

static const struct {
    const char *prefix;
    enum qr_hash_alg bank;
} slots[QR_TPM_SLOTS] = {
    {"", QR_SHA256}, /* any bank */
    {"banks.sha1.", QR_SHA1},
    {"banks.sha256.", QR_SHA256},
    {"banks.sha384.", QR_SHA384},
};

const char *
qr_tpm_slot_prefix(uint8_t slot)
{
    return slot < QR_TPM_SLOTS ? slots[slot].prefix : "";
}

static int
slot_fits(uint8_t slot, enum qr_hash_alg bank)
{
    return slot == 0 || (slot < QR_TPM_SLOTS && slots[slot].bank == bank);
}

static const char *
at(struct qr_verify_run *r, uint8_t slot, const char *name)
{
    /* Those of slot 0 are literals; the others are made. */
    return slot == 0 ? name : qr_claim_path(&r->v->claims, "%s%s", qr_tpm_slot_prefix(slot), name);
}

/* [{"hash":"sha256","pcrs":[0,1,...]}] */
static void
claim_selection(struct qr_verify_run *r, uint8_t slot, const struct qr_tpm_attest *a)
{
    char text[160];
    int n = snprintf(text, sizeof text, "[{\"hash\":\"%s\",\"pcrs\":[", qr_hash_name(a->bank));
    const char *comma = "";
    for (unsigned i = 0; i < QR_PCRS; i++) {
        if (a->selected & (1u << i)) {
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%u", comma, i);
            comma = ",";
        }
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "]}]");
    qr_claim_json_copy(&r->v->claims, at(r, slot, "quote.pcrSelect"), qr_view_of(text, (size_t)n));
}

static void
claim_attest(struct qr_verify_run *r, uint8_t slot, qr_view msg, const struct qr_tpm_attest *a)
{
    struct qr_claimset *c = &r->v->claims;
    char firmware[19];

    qr_claim_hex(c, at(r, slot, "quote.magic"), qr_view_of(msg.p, 4));
    qr_claim_hex(c, at(r, slot, "quote.type"), qr_view_of(msg.p + 4, 2));
    qr_claim_hex(c, at(r, slot, "quote.qualifiedSigner"), a->signer);
    qr_claim_hex(c, at(r, slot, "quote.extraData"), a->extra);
    qr_claim_uint(c, at(r, slot, "quote.clock"), a->clock);
    qr_claim_uint(c, at(r, slot, "quote.resetCount"), a->reset_count);
    qr_claim_uint(c, at(r, slot, "quote.restartCount"), a->restart_count);
    qr_claim_uint(c, at(r, slot, "quote.safe"), a->safe);
    (void)snprintf(firmware, sizeof firmware, "0x%016llx", (unsigned long long)a->firmware);
    qr_claim_text_copy(c, at(r, slot, "quote.firmwareVersion"), qr_view_str(firmware));
    claim_selection(r, slot, a);
    qr_claim_hex(c, at(r, slot, "quote.pcrDigest"), a->digest);
}

static unsigned
count_bits(uint32_t x)
{
    unsigned n = 0;
    for (; x; x &= x - 1) {
        n++;
    }
    return n;
}

/* The values that travel beside a quote: in its slot, or in that of its bank. */
static qr_view
values_of(const struct qr_verify_run *r, uint8_t slot, enum qr_hash_alg bank)
{
    qr_view v = qr_evidence_get_slot(r->e, QR_PART_TPM_PCRS, slot);
    for (uint8_t s = 1; !v.p && slot == 0 && s < QR_TPM_SLOTS; s++) {
        if (slots[s].bank == bank) {
            v = qr_evidence_get_slot(r->e, QR_PART_TPM_PCRS, s);
        }
    }
    return v;
}

/*
 * Shown whatever comes of them, where there are as many as were selected; or all there are, which is
 * then refused.
 */
static void
claim_values(struct qr_verify_run *r, uint8_t slot, const struct qr_tpm_attest *a, qr_view values)
{
    struct qr_verdict *v = r->v;
    size_t len = qr_hash_len(a->bank);
    int all = values.len == QR_PCRS * len;

    if (!values.p || (!all && values.len != count_bits(a->selected) * len)) {
        return;
    }
    for (unsigned i = 0, k = 0; i < QR_PCRS; i++) {
        if (all || (a->selected & (1u << i))) {
            qr_claim_hex(&v->claims,
                         qr_claim_path(&v->claims, "%squote.pcrs.%u", qr_tpm_slot_prefix(slot), i),
                         qr_view_of(values.p + len * k++, len));
        }
    }
}

static qr_err
check_values(struct qr_verify_run *r, const struct qr_tpm_attest *a, enum qr_hash_alg scheme_hash,
             qr_view values)
{
    struct qr_verdict *v = r->v;
    size_t len = qr_hash_len(a->bank), n = count_bits(a->selected);
    uint8_t digest[64];

    if (!values.p) {
        return qr_fail(v, QR_CHECK_PCRS, QR_REASON_MALFORMED,
                       "quote: the values of its %zu PCRs are missing", n);
    }
    if (values.len != n * len) {
        return qr_fail(v, QR_CHECK_PCRS, QR_REASON_MALFORMED,
                       "PCR values: expected %zu of %zu bytes, one for each selected PCR, found "
                       "%zu bytes",
                       n, len, values.len);
    }
    /* The hash is the signing scheme's, whatever the bank is. */
    if (!qr_hash_of(scheme_hash, &values, 1, digest)) {
        return QR_ERR_NO_MEMORY;
    }
    if (a->digest.len != qr_hash_len(scheme_hash)) {
        return qr_fail(v, QR_CHECK_PCRS, QR_REASON_MALFORMED,
                       "quote: expected a PCR digest of %zu bytes (%s, the signing scheme's), "
                       "found %zu",
                       qr_hash_len(scheme_hash), qr_hash_name(scheme_hash), a->digest.len);
    }
    if (memcmp(a->digest.p, digest, a->digest.len) != 0) {
        return qr_fail(v, QR_CHECK_PCRS, QR_REASON_MEASUREMENT,
                       "PCR values: their %s differs from the digest that the quote signs",
                       qr_hash_name(scheme_hash));
    }
    qr_pass(v, QR_CHECK_PCRS);
    return QR_OK;
}

static qr_err
check_signature(struct qr_verify_run *r, EVP_PKEY *ak, qr_view msg, const struct qr_tpm_sig *s)
{
    int ok = s->scheme == QR_TPM_ECDSA
                 ? qr_evp_ecdsa_verify(ak, s->hash, msg, qr_view_of(s->ecdsa, s->ecdsa_len))
                 : qr_evp_rsa_verify(ak, s->hash, s->scheme == QR_TPM_RSAPSS, msg, s->rsa);
    if (!ok) {
        return qr_fail(r->v, QR_CHECK_QUOTE, QR_REASON_SIGNATURE,
                       "quote: not signed by the attestation key");
    }
    qr_pass(r->v, QR_CHECK_QUOTE);
    return QR_OK;
}

static const char *
scheme_name(enum qr_tpm_scheme s)
{
    return s == QR_TPM_RSASSA ? "RSASSA" : s == QR_TPM_RSAPSS ? "RSAPSS" : "ECDSA";
}

/* One slot's quote; *ret_bank is what an event log may be replayed to. */
static qr_err
quote_part(struct qr_verify_run *r, EVP_PKEY *ak, uint8_t slot, qr_view *ret_extra,
           struct qr_pcr_bank *ret_bank)
{
    struct qr_verdict *v = r->v;
    struct qr_tpm_attest a;
    struct qr_tpm_sig s;
    qr_view msg = qr_evidence_get_slot(r->e, QR_PART_TPM_QUOTE, slot);
    qr_view sig = qr_evidence_get_slot(r->e, QR_PART_TPM_SIG, slot);

    if (!msg.p || !sig.p) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "quote: its %s is missing",
                       msg.p ? "signature" : "TPMS_ATTEST");
    }
    QR_TRY(qr_tpm_attest_parse(msg, v, &a));
    claim_attest(r, slot, msg, &a);
    if (!slot_fits(slot, a.bank)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "quote: expected PCRs of another bank in slot %u, found %s", slot,
                       qr_hash_name(a.bank));
    }
    qr_view values = values_of(r, slot, a.bank);
    claim_values(r, slot, &a, values);
    QR_TRY(qr_tpm_sig_parse(sig, ak, v, &s));
    qr_pass(v, QR_CHECK_PARSE);
    qr_pass(v, QR_CHECK_ALGORITHM);
    qr_claim_text(&v->claims, at(r, slot, "signature_alg"), qr_view_str(scheme_name(s.scheme)));
    qr_claim_text(&v->claims, at(r, slot, "signature_hash"), qr_view_str(qr_hash_name(s.hash)));
    QR_TRY(check_signature(r, ak, msg, &s));
    QR_TRY(check_values(r, &a, s.hash, values));
    *ret_extra = a.extra;
    *ret_bank = (struct qr_pcr_bank){a.bank, a.selected, values, qr_tpm_slot_prefix(slot)};
    return QR_OK;
}

/* 1: a part of a quote is in this slot. */
static int
slot_used(const struct qr_verify_run *r, uint8_t slot)
{
    return qr_evidence_get_slot(r->e, QR_PART_TPM_QUOTE, slot).p ||
           qr_evidence_get_slot(r->e, QR_PART_TPM_SIG, slot).p;
}

int
qr_tpm_has_quote(const struct qr_verify_run *r)
{
    for (uint8_t slot = 0; slot < QR_TPM_SLOTS; slot++) {
        if (slot_used(r, slot)) {
            return 1;
        }
    }
    return 0;
}

/* Items in slots that mean nothing, and PCR values that no quote is for. */
static qr_err
refuse_strays(struct qr_verify_run *r)
{
    for (size_t i = 0; i < r->e->n; i++) {
        const struct qr_item *it = &r->e->item[i];
        if ((it->part == QR_PART_TPM_QUOTE || it->part == QR_PART_TPM_SIG ||
             it->part == QR_PART_TPM_PCRS) &&
            it->slot >= QR_TPM_SLOTS) {
            return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "quote: slot %u; 0 to %u are known", it->slot, QR_TPM_SLOTS - 1);
        }
    }
    return QR_OK;
}

qr_err
qr_tpm_quotes_part(struct qr_verify_run *r, EVP_PKEY *ak, qr_view *ret_extra_data)
{
    struct qr_pcr_bank bank[QR_TPM_SLOTS];
    qr_view extra = {0};
    size_t n = 0;

    QR_TRY(refuse_strays(r));
    for (uint8_t slot = 0; slot < QR_TPM_SLOTS; slot++) {
        qr_view x = {0};
        if (!slot_used(r, slot)) {
            continue;
        }
        QR_TRY(quote_part(r, ak, slot, &x, &bank[n]));
        if (n > 0 && !qr_view_eq(x, extra)) {
            return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                           "quote: the quotes of one evidence have different extraData");
        }
        extra = x;
        n++;
    }
    if (n == 0) {
        return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "the TPM quote is missing");
    }
    if (qr_evidence_get(r->e, QR_PART_TCG_LOG).p) {
        QR_TRY(qr_tcg_log_part(r, bank, n));
    }
    *ret_extra_data = extra;
    return QR_OK;
}

qr_err
qr_tpm_binder(struct qr_verify_run *r, qr_view extra)
{
    if (!r->o->binder.p) {
        return QR_OK;
    }
    /* extraData has a length of its own: nothing is padded, and a prefix is another value. */
    if (extra.len != r->o->binder.len || extra.len == 0) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "quote: expected extraData of %zu bytes, found %zu", r->o->binder.len,
                       extra.len);
    }
    return qr_run_binder(r, extra, "extraData");
}

qr_err
qr_verify_tpm(struct qr_verify_run *r)
{
    EVP_PKEY *ak = NULL;
    qr_view extra = {0};

    if (!qr_tpm_has_quote(r)) {
        return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "the TPM quote is missing");
    }
    QR_TRY(qr_ak_collect(r, &ak));
    qr_err e = qr_tpm_quotes_part(r, ak, &extra);
    EVP_PKEY_free(ak);
    return e == QR_OK ? qr_tpm_binder(r, extra) : e;
}
