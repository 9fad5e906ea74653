/* NV indices: read whole, in the TPM's chunks, under the session's HMAC; written with care for their size. */
#include "enclave-shim/tpm/tpm_int.h"

#include <string.h>

qr_err
qr_tpm_nv_at(struct qr_tpm *t, uint32_t index, ESYS_TR *ret, TPMS_NV_PUBLIC *pub)
{
    TPM2B_NV_PUBLIC *p = NULL;
    TPM2B_NAME *name = NULL;
    ESYS_TR tr = ESYS_TR_NONE;

    if (index >> 24 != TPM2_HT_NV_INDEX) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "0x%08x is no handle of an NV index", index);
    }
    TSS2_RC rc =
        Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_NV_ReadPublic(t->esys, tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &p, &name);
    }
    if (rc != TSS2_RC_SUCCESS) {
        (void)Esys_TR_Close(t->esys, &tr);
        if (qr_tpm_rc_base(rc) == TPM2_RC_HANDLE) {
            return qr_tpm_fail(t, QR_ERR_NOT_FOUND, "the TPM has no NV index 0x%08x", index);
        }
        return qr_tpm_rc(t, "TPM2_NV_ReadPublic", rc);
    }
    *pub = p->nvPublic;
    Esys_Free(p);
    Esys_Free(name);
    if (pub->nvIndex != index) {
        (void)Esys_TR_Close(t->esys, &tr);
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "TPM2_NV_ReadPublic: asked for 0x%08x, answered for 0x%08x", index,
                           pub->nvIndex);
    }
    *ret = tr;
    return QR_OK;
}

/* Some indices are read with the owner's authorisation, some with their own. */
static ESYS_TR
reader(const TPMS_NV_PUBLIC *pub, ESYS_TR nv)
{
    return pub->attributes & TPMA_NV_AUTHREAD ? nv : ESYS_TR_RH_OWNER;
}

static qr_err
read_chunks(struct qr_tpm *t, ESYS_TR nv, const TPMS_NV_PUBLIC *pub, struct qr_dbuf *out)
{
    while (out->len < pub->dataSize) {
        TPM2B_MAX_NV_BUFFER *d = NULL;
        size_t left = pub->dataSize - out->len;
        uint16_t want = (uint16_t)(left < t->nv_chunk ? left : t->nv_chunk);
        TSS2_RC rc = Esys_NV_Read(t->esys, reader(pub, nv), nv, t->session, ESYS_TR_NONE,
                                  ESYS_TR_NONE, want, (uint16_t)out->len, &d);
        if (rc != TSS2_RC_SUCCESS) {
            return qr_tpm_rc(t, "TPM2_NV_Read", rc);
        }
        qr_err e = d->size == want ? qr_dbuf_append(out, d->buffer, d->size)
                                   : qr_tpm_fail(t, QR_ERR_PLATFORM,
                                                 "TPM2_NV_Read: asked for %u bytes of 0x%08x at "
                                                 "%zu, %u came",
                                                 want, pub->nvIndex, out->len, d->size);
        Esys_Free(d);
        QR_TRY(e);
    }
    return QR_OK;
}

qr_err
qr_tpm_nv_read(struct qr_tpm *t, uint32_t index, size_t min, struct qr_dbuf *out)
{
    TPMS_NV_PUBLIC pub = {0};
    ESYS_TR nv = ESYS_TR_NONE;
    qr_err e;

    out->len = 0;
    QR_TRY(qr_tpm_nv_at(t, index, &nv, &pub));
    if (pub.dataSize < min) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "NV index 0x%08x holds %u bytes, %zu are needed: not what this platform "
                        "keeps there",
                        index, pub.dataSize, min);
    } else if (pub.dataSize > QR_TPM_NV_MAX || pub.dataSize > out->max) {
        e = qr_tpm_fail(t, QR_ERR_TOO_LARGE, "NV index 0x%08x holds %u bytes, more than are read",
                        index, pub.dataSize);
    } else {
        e = read_chunks(t, nv, &pub, out);
    }
    (void)Esys_TR_Close(t->esys, &nv);
    if (e != QR_OK) {
        out->len = 0;
    }
    return e;
}

static qr_err
define(struct qr_tpm *t, uint32_t index, size_t size)
{
    const TPM2B_AUTH no_auth = {0};
    ESYS_TR nv = ESYS_TR_NONE;
    TPM2B_NV_PUBLIC p = {.nvPublic = {.nvIndex = index,
                                      .nameAlg = TPM2_ALG_SHA256,
                                      .attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE |
                                                    TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE |
                                                    TPMA_NV_NO_DA,
                                      .dataSize = (uint16_t)size}};

    if (size > t->nv_max) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "NV index 0x%08x: %zu bytes, but this TPM's indices hold %u at most",
                           index, size, t->nv_max);
    }
    TSS2_RC rc = Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, t->session, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &no_auth, &p, &nv);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_NV_DefineSpace", rc);
    }
    (void)Esys_TR_Close(t->esys, &nv);
    return QR_OK;
}

static qr_err
write_chunks(struct qr_tpm *t, ESYS_TR nv, const TPMS_NV_PUBLIC *pub, qr_view v)
{
    ESYS_TR who = pub->attributes & TPMA_NV_AUTHWRITE ? nv : ESYS_TR_RH_OWNER;

    for (size_t at = 0; at < v.len;) {
        size_t n = v.len - at < t->nv_chunk ? v.len - at : t->nv_chunk;
        TPM2B_MAX_NV_BUFFER d = {.size = (uint16_t)n};
        memcpy(d.buffer, v.p + at, n);
        TSS2_RC rc = Esys_NV_Write(t->esys, who, nv, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &d,
                                   (uint16_t)at);
        if (rc != TSS2_RC_SUCCESS) {
            return qr_tpm_rc(t, "TPM2_NV_Write", rc);
        }
        at += n;
    }
    return QR_OK;
}

qr_err
qr_tpm_nv_write(struct qr_tpm *t, uint32_t index, qr_view v)
{
    TPMS_NV_PUBLIC pub = {0};
    ESYS_TR nv = ESYS_TR_NONE;

    if (v.len == 0 || v.len > QR_TPM_NV_MAX) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "an NV index holds 1 to %u bytes, not %zu",
                           QR_TPM_NV_MAX, v.len);
    }
    qr_err e = qr_tpm_nv_at(t, index, &nv, &pub);
    if (e == QR_ERR_NOT_FOUND) {
        QR_TRY(define(t, index, v.len));
        e = qr_tpm_nv_at(t, index, &nv, &pub);
    }
    QR_TRY(e);
    if (pub.dataSize != v.len) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "NV index 0x%08x holds %u bytes, %zu were to be written: not what this "
                        "platform keeps there",
                        index, pub.dataSize, v.len);
    } else {
        e = write_chunks(t, nv, &pub, v);
    }
    (void)Esys_TR_Close(t->esys, &nv);
    return e;
}
