/* Quotes, and the PCR values that belong to them. */
#include "enclave-shim/tpm/tpm_int.h"

#include "enclave-shim/verify/tpm.h"

#include <string.h>

#define TRIES 3
#define MASK_ALL 0x00ffffffu

/* Digests of one TPM2_PCR_Read, put where its selection says. Returns which PCRs came; 0: nonsense. */
static uint32_t
place(const TPML_PCR_SELECTION *sel, const TPML_DIGEST *d, uint32_t want,
      uint8_t pcr[QR_TPM_PCRS][32])
{
    uint32_t got = 0, n = 0;

    if (sel->count != 1 || sel->pcrSelections[0].hash != TPM2_ALG_SHA256 ||
        sel->pcrSelections[0].sizeofSelect != 3 || d->count > 8) {
        return 0;
    }
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (!(sel->pcrSelections[0].pcrSelect[i / 8] >> (i % 8) & 1)) {
            continue;
        }
        if (!(want >> i & 1) || n >= d->count || d->digests[n].size != 32) {
            return 0;
        }
        memcpy(pcr[i], d->digests[n].buffer, 32);
        got |= 1u << i;
        n++;
    }
    return n == d->count ? got : 0;
}

qr_err
qr_tpm_pcr_read(struct qr_tpm *t, uint32_t mask, uint8_t pcr[QR_TPM_PCRS][32])
{
    uint8_t values[QR_TPM_PCRS][32] = {{0}};

    if (mask == 0 || mask & ~MASK_ALL) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "PCR mask 0x%x", mask);
    }
    /* A TPM returns as many as fit into an answer, at most 8. */
    for (uint32_t left = mask; left;) {
        TPML_PCR_SELECTION in, *out = NULL;
        TPML_DIGEST *d = NULL;
        uint32_t updates;
        qr_tpm_selection(left, &in);
        TSS2_RC rc = Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, &updates,
                                   &out, &d);
        if (rc != TSS2_RC_SUCCESS) {
            return qr_tpm_rc(t, "TPM2_PCR_Read", rc);
        }
        uint32_t got = place(out, d, left, values);
        Esys_Free(out);
        Esys_Free(d);
        if (got == 0) {
            return qr_tpm_fail(t, QR_ERR_PLATFORM,
                               "TPM2_PCR_Read: other PCRs came than were asked for (mask 0x%x)",
                               left);
        }
        left &= ~got;
    }
    memcpy(pcr, values, sizeof values);
    return QR_OK;
}

static qr_err
quote_once(struct qr_tpm *t, const struct qr_tpm_key *k, uint32_t mask, qr_view qualifying,
           struct qr_tpm_quote *q)
{
    const TPMT_SIG_SCHEME fixed = {.scheme = TPM2_ALG_NULL};
    TPM2B_DATA data = {.size = (uint16_t)qualifying.len};
    TPML_PCR_SELECTION sel;
    TPM2B_ATTEST *a = NULL;
    TPMT_SIGNATURE *sig = NULL;

    memcpy(data.buffer, qualifying.p, qualifying.len);
    qr_tpm_selection(mask, &sel);
    TSS2_RC rc = Esys_Quote(t->esys, k->handle, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &data,
                            &fixed, &sel, &a, &sig);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_Quote", rc);
    }
    rc = Tss2_MU_TPMT_SIGNATURE_Marshal(sig, q->sig, sizeof q->sig, &q->sig_len);
    if (rc == TSS2_RC_SUCCESS && a->size > sizeof q->attest) {
        rc = TSS2_MU_RC_INSUFFICIENT_BUFFER;
    }
    if (rc == TSS2_RC_SUCCESS) {
        memcpy(q->attest, a->attestationData, a->size);
        q->attest_len = a->size;
    }
    Esys_Free(a);
    Esys_Free(sig);
    return rc == TSS2_RC_SUCCESS ? QR_OK : qr_tpm_rc(t, "TPM2_Quote", rc);
}

/* What was quoted is what was asked for; *ret_same: the values read are those quoted. */
static qr_err
compare(struct qr_tpm *t, const struct qr_tpm_quote *q, qr_view qualifying, int *ret_same)
{
    struct qr_verdict *v = qr_alloc(sizeof *v);
    struct qr_tpm_attest a;
    qr_view piece[QR_TPM_PCRS];
    uint8_t digest[32];
    uint16_t hash = (uint16_t)(q->sig[2] << 8 | q->sig[3]);
    enum qr_hash_alg alg;
    size_t n = 0;

    if (!v) {
        return qr_tpm_fail(t, QR_ERR_NO_MEMORY, "out of memory");
    }
    qr_err e = qr_tpm_attest_parse(qr_view_of(q->attest, q->attest_len), v, &a);
    if (e != QR_OK) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM, "TPM2_Quote: %s", v->sentence);
    } else if (a.bank != QR_SHA256 || a.selected != q->pcr_mask ||
               !qr_view_eq(a.extra, qualifying)) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "TPM2_Quote: other PCRs or other data were quoted than was asked for");
    } else if (!qr_hash_of_tpm(hash, &alg) || alg != QR_SHA256) {
        /* The digest is made with the signing scheme's hash. */
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "TPM2_Quote: the key signs with hash 0x%04x; expected SHA-256", hash);
    }
    qr_free(v);
    QR_TRY(e);
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (q->pcr_mask >> i & 1) {
            piece[n++] = qr_view_of(q->pcr[i], 32);
        }
    }
    if (!qr_hash_of(QR_SHA256, piece, n, digest)) {
        return qr_tpm_fail(t, QR_ERR_NO_MEMORY, "out of memory");
    }
    *ret_same = qr_view_eq(a.digest, qr_view_of(digest, sizeof digest));
    return QR_OK;
}

qr_err
qr_tpm_quote(struct qr_tpm *t, const struct qr_tpm_key *k, uint32_t mask, qr_view qualifying,
             struct qr_tpm_quote *ret)
{
    int same = 0;

    if (mask == 0 || mask & ~MASK_ALL || qualifying.len == 0 || qualifying.len > 64) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "a quote is over 1 to 24 PCRs and 1 to 64 bytes");
    }
    struct qr_tpm_quote *q = qr_alloc(sizeof *q);
    if (!q) {
        return qr_tpm_fail(t, QR_ERR_NO_MEMORY, "out of memory");
    }
    qr_err e = QR_OK;
    for (int i = 0; i < TRIES && e == QR_OK && !same; i++) {
        *q = (struct qr_tpm_quote){.pcr_mask = mask};
        e = qr_tpm_pcr_read(t, mask, q->pcr);
        if (e == QR_OK) {
            e = quote_once(t, k, mask, qualifying, q);
        }
        if (e == QR_OK) {
            e = compare(t, q, qualifying, &same);
        }
    }
    if (e == QR_OK && !same) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "TPM2_Quote: the PCRs changed while they were quoted, %d times: something "
                        "on this machine measures all the time, or the values read are not the "
                        "TPM's",
                        TRIES);
    }
    if (e == QR_OK) {
        *ret = *q;
    }
    qr_free(q);
    return e;
}
