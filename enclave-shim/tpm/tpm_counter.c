#include "enclave-shim/tpm/tpm_counter.h"

#include "enclave-shim/tpm/tpm_tree.h"

#include <string.h>

#define ATTRIBUTES                                                                                 \
    (TPMA_NV_OWNERWRITE | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_AUTHREAD |               \
     TPMA_NV_NO_DA | ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT))
#define AGAIN 5 /* times that a TPM may say that its memory is busy */

static qr_err
define(struct qr_tpm *t)
{
    const TPM2B_AUTH no_auth = {0};
    const TPM2B_NV_PUBLIC p = {.nvPublic = {.nvIndex = QR_TPM_COUNTER,
                                            .nameAlg = TPM2_ALG_SHA256,
                                            .attributes = ATTRIBUTES,
                                            .dataSize = 8}};
    ESYS_TR nv = ESYS_TR_NONE;
    TSS2_RC rc = Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, t->session, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &no_auth, &p, &nv);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_NV_DefineSpace (release counter)", rc);
    }
    (void)Esys_TR_Close(t->esys, &nv);
    return QR_OK;
}

static qr_err
increment(struct qr_tpm *t, ESYS_TR nv)
{
    TSS2_RC rc = TSS2_RC_SUCCESS;
    for (int i = 0; i < AGAIN; i++) {
        rc = Esys_NV_Increment(t->esys, nv, nv, t->session, ESYS_TR_NONE, ESYS_TR_NONE);
        if (qr_tpm_rc_base(rc) != TPM2_RC_NV_RATE) {
            break;
        }
    }
    return rc == TSS2_RC_SUCCESS ? QR_OK : qr_tpm_rc(t, "TPM2_NV_Increment", rc);
}

static qr_err
read_value(struct qr_tpm *t, struct qr_tpm_counter *c)
{
    TPM2B_MAX_NV_BUFFER *d = NULL;
    TSS2_RC rc =
        Esys_NV_Read(t->esys, c->nv, c->nv, t->session, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &d);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_NV_Read (release counter)", rc);
    }
    struct qr_buf b = qr_buf_read(qr_view_of(d->buffer, d->size <= 8 ? d->size : 0));
    c->value = qr_buf_get64(&b);
    qr_err e = qr_buf_end(&b);
    Esys_Free(d);
    if (e != QR_OK || c->value > UINT64_MAX / 4) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM, "the release counter's value makes no sense");
    }
    return QR_OK;
}

/* 1: it is what the policies mean. */
static qr_err
check_name(struct qr_tpm *t, ESYS_TR nv)
{
    uint8_t want[QR_TPM_NAME_LEN];
    TPM2B_NAME *n = NULL;
    TSS2_RC rc = Esys_TR_GetName(t->esys, nv, &n);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "the release counter's name", rc);
    }
    qr_tpm_counter_name(want);
    int same = n->size == sizeof want && memcmp(n->name, want, sizeof want) == 0;
    Esys_Free(n);
    if (!same) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "NV index 0x%08x is not our release counter, but something else that "
                           "somebody defined there; delete it (tpm2_nvundefine 0x%08x)",
                           QR_TPM_COUNTER, QR_TPM_COUNTER);
    }
    return QR_OK;
}

qr_err
qr_tpm_counter_open(struct qr_tpm *t, struct qr_tpm_counter *ret)
{
    struct qr_tpm_counter c = {.nv = ESYS_TR_NONE};
    TPMS_NV_PUBLIC pub = {0};

    qr_err e = qr_tpm_nv_at(t, QR_TPM_COUNTER, &c.nv, &pub);
    if (e == QR_ERR_NOT_FOUND) {
        QR_TRY(define(t));
        e = qr_tpm_nv_at(t, QR_TPM_COUNTER, &c.nv, &pub);
    }
    QR_TRY(e);
    if (pub.attributes == ATTRIBUTES) { /* defined, not counted yet: a start was cut short */
        e = increment(t, c.nv);
    }
    if (e == QR_OK) {
        e = check_name(t, c.nv);
    }
    if (e == QR_OK) {
        e = read_value(t, &c);
    }
    if (e != QR_OK) {
        qr_tpm_counter_close(t, &c);
        return e;
    }
    *ret = c;
    return QR_OK;
}

void
qr_tpm_counter_close(struct qr_tpm *t, struct qr_tpm_counter *c)
{
    if (c->nv != ESYS_TR_NONE) {
        (void)Esys_TR_Close(t->esys, &c->nv);
        c->nv = ESYS_TR_NONE;
    }
}

qr_err
qr_tpm_counter_step(struct qr_tpm *t, struct qr_tpm_counter *c)
{
    QR_TRY(increment(t, c->nv));
    return read_value(t, c);
}
