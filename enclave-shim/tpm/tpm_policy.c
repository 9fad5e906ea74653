#include "enclave-shim/tpm/tpm_policy.h"

#include "protocol/base/hash.h"

#include <string.h>

/*
 * Without a salt: it carries no secret, and t->session stands beside it in the command that matters. The
 * steps need no HMAC: who changes one on the bus makes the policy another, which the key does not have.
 */
static qr_err
policy_session(struct qr_tpm *t, ESYS_TR *ret)
{
    const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    TSS2_RC rc =
        Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, ret);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_TRSess_SetAttributes(t->esys, *ret, TPMA_SESSION_CONTINUESESSION, 0xff);
    }
    return rc == TSS2_RC_SUCCESS ? QR_OK : qr_tpm_rc(t, "TPM2_StartAuthSession (policy)", rc);
}

/* What a TPM says when a policy's step is not so. */
static qr_err
refused(struct qr_tpm *t, const char *command, TSS2_RC rc)
{
    TSS2_RC base = qr_tpm_rc_base(rc);
    qr_err e = qr_tpm_rc(t, command, rc);
    if (e == QR_ERR_PLATFORM &&
        (base == TPM2_RC_VALUE || base == TPM2_RC_POLICY || base == TPM2_RC_POLICY_FAIL ||
         base == TPM2_RC_SIGNATURE || base == TPM2_RC_NV_UNINITIALIZED)) {
        return QR_ERR_SEAL;
    }
    return e;
}

static qr_err
show_pcrs(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR session)
{
    const TPM2B_DIGEST now = {0}; /* empty: the TPM's own values, whatever they are */
    TPML_PCR_SELECTION sel;

    qr_tpm_selection(p->s->mask, &sel);
    TSS2_RC rc =
        Esys_PolicyPCR(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &now, &sel);
    return rc == TSS2_RC_SUCCESS ? QR_OK : refused(t, "TPM2_PolicyPCR", rc);
}

qr_err
qr_tpm_policy_ticket(struct qr_tpm *t, struct qr_tpm_shown *p)
{
    TPM2B_PUBLIC pub = {0};
    TPM2B_DIGEST digest = {.size = 32};
    TPMT_SIGNATURE sig = {.sigAlg = TPM2_ALG_ECDSA};
    TPMS_SIGNATURE_ECDSA *e = &sig.signature.ecdsa;
    TPMT_TK_VERIFIED *ticket = NULL;
    uint8_t msg[32 + QR_TPM_REF_LEN];
    ESYS_TR key = ESYS_TR_NONE;
    size_t at = 0;

    qr_tpm_policy_pcr(p->s, msg);
    qr_tpm_policy_ref(p->s->release, msg + 32);
    qr_sha256(qr_view_of(msg, sizeof msg), digest.buffer);
    e->hash = TPM2_ALG_SHA256;
    e->signatureR.size = e->signatureS.size = 32;
    memcpy(e->signatureR.buffer, p->s->sig, 32);
    memcpy(e->signatureS.buffer, p->s->sig + 32, 32);
    TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Unmarshal(p->key_public, QR_TPM_RELEASE_PUBLIC_LEN, &at,
                                               &pub.publicArea);
    if (rc == TSS2_RC_SUCCESS) {
        /* Not the null hierarchy: its tickets count for nothing. */
        rc = Esys_LoadExternal(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, &pub,
                               ESYS_TR_RH_OWNER, &key);
    }
    if (rc != TSS2_RC_SUCCESS) {
        return refused(t, "TPM2_LoadExternal (release key)", rc);
    }
    rc = Esys_VerifySignature(t->esys, key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &sig,
                              &ticket);
    qr_tpm_flush(t, &key);
    if (rc != TSS2_RC_SUCCESS) {
        return refused(t, "TPM2_VerifySignature", rc);
    }
    p->ticket = *ticket;
    Esys_Free(ticket);
    return QR_OK;
}

static qr_err
show_release(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR session)
{
    TPM2B_DIGEST approved = {.size = 32};
    TPM2B_NONCE ref = {.size = QR_TPM_REF_LEN};
    TPM2B_NAME name = {.size = QR_TPM_NAME_LEN};

    qr_tpm_policy_pcr(p->s, approved.buffer);
    qr_tpm_policy_ref(p->s->release, ref.buffer);
    memcpy(name.name, p->key_name, QR_TPM_NAME_LEN);
    TSS2_RC rc = Esys_PolicyAuthorize(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      &approved, &ref, &name, &p->ticket);
    return rc == TSS2_RC_SUCCESS ? QR_OK : refused(t, "TPM2_PolicyAuthorize", rc);
}

static qr_err
show_counter(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR session)
{
    TPM2B_OPERAND most = {.size = 8};
    struct qr_buf b = qr_buf_over(most.buffer, 8);
    ESYS_TR nv = p->counter->nv;

    qr_buf_put64(&b, p->scale->start + (p->s->release - p->scale->minimum));
    TSS2_RC rc = Esys_PolicyNV(t->esys, nv, nv, session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                               ESYS_TR_NONE, &most, 0, TPM2_EO_UNSIGNED_LE);
    return rc == TSS2_RC_SUCCESS ? QR_OK : refused(t, "TPM2_PolicyNV (release counter)", rc);
}

static qr_err
show_path(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR session)
{
    for (size_t level = 0; level < QR_TPM_TREE_LEVELS; level++) {
        TPML_DIGEST list = {.count = 8};
        for (size_t i = 0; i < 8; i++) {
            list.digests[i].size = 32;
            memcpy(list.digests[i].buffer, p->path->node[level][i], 32);
        }
        TSS2_RC rc =
            Esys_PolicyOR(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &list);
        if (rc != TSS2_RC_SUCCESS) {
            return refused(t, "TPM2_PolicyOR", rc);
        }
    }
    return QR_OK;
}

qr_err
qr_tpm_policy_show(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR *ret)
{
    ESYS_TR session = ESYS_TR_NONE;

    qr_err e = policy_session(t, &session);
    if (e == QR_OK) {
        e = show_pcrs(t, p, session);
    }
    if (e == QR_OK) {
        e = show_release(t, p, session);
    }
    if (e == QR_OK) {
        e = show_counter(t, p, session);
    }
    if (e == QR_OK) {
        e = show_path(t, p, session);
    }
    if (e != QR_OK) {
        qr_tpm_flush(t, &session);
        return e;
    }
    *ret = session;
    return QR_OK;
}
