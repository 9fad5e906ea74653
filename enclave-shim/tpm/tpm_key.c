/* Keys that quote: where each provider keeps them; and the one that vouches for our session's salt key. */
#include "enclave-shim/tpm/tpm_int.h"

#include "enclave-shim/verify/tpm.h"
#include "protocol/base/rng.h"

#include <string.h>

#define NONCE_LEN 32u

/* 1: it can sign nothing but what the TPM made. */
static int
can_quote(const TPMT_PUBLIC *p)
{
    TPMA_OBJECT must = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
    return (p->objectAttributes & must) == must && !(p->objectAttributes & TPMA_OBJECT_DECRYPT);
}

/* Takes the loaded key over, or flushes or closes it. */
static qr_err
take(struct qr_tpm *t, ESYS_TR tr, int persistent, const TPMT_PUBLIC *pub, const char *what,
     struct qr_tpm_key *ret)
{
    struct qr_tpm_key k = {.handle = tr, .persistent = persistent};
    qr_err e = QR_OK;

    TSS2_RC rc =
        Tss2_MU_TPMT_PUBLIC_Marshal(pub, k.public_area, sizeof k.public_area, &k.public_len);
    if (rc != TSS2_RC_SUCCESS) {
        e = qr_tpm_rc(t, what, rc);
    } else if (!can_quote(pub)) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "%s: attributes 0x%08x; expected a restricted signing key fixed to the TPM",
                        what, pub->objectAttributes);
    }
    if (e != QR_OK) {
        qr_tpm_key_free(t, &k);
        return e;
    }
    *ret = k;
    return QR_OK;
}

qr_err
qr_tpm_key_at(struct qr_tpm *t, uint32_t handle, struct qr_tpm_key *ret)
{
    TPM2B_PUBLIC *pub = NULL;
    TPM2B_NAME *name = NULL, *qualified = NULL;
    ESYS_TR tr = ESYS_TR_NONE;

    if (handle >> 24 != TPM2_HT_PERSISTENT) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "0x%08x is no handle of a persistent key", handle);
    }
    TSS2_RC rc =
        Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_ReadPublic(t->esys, tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pub, &name,
                             &qualified);
    }
    if (rc != TSS2_RC_SUCCESS) {
        (void)Esys_TR_Close(t->esys, &tr);
        if (qr_tpm_rc_base(rc) == TPM2_RC_HANDLE) {
            return qr_tpm_fail(t, QR_ERR_NOT_FOUND,
                               "the TPM has no attestation key at 0x%08x: this is not the platform "
                               "that the configuration names, or its firmware lost the key",
                               handle);
        }
        return qr_tpm_rc(t, "TPM2_ReadPublic", rc);
    }
    qr_err e = take(t, tr, 1, &pub->publicArea, "the attestation key", ret);
    Esys_Free(pub);
    Esys_Free(name);
    Esys_Free(qualified);
    return e;
}

static qr_err
primary(struct qr_tpm *t, ESYS_TR hierarchy, const TPM2B_PUBLIC *in, const char *what,
        struct qr_tpm_key *ret)
{
    const TPM2B_SENSITIVE_CREATE no_auth = {0};
    const TPM2B_DATA no_info = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PUBLIC *pub = NULL;
    ESYS_TR tr = ESYS_TR_NONE;

    TSS2_RC rc = Esys_CreatePrimary(t->esys, hierarchy, t->session, ESYS_TR_NONE, ESYS_TR_NONE,
                                    &no_auth, in, &no_info, &no_pcrs, &tr, &pub, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, what, rc);
    }
    qr_err e = take(t, tr, 0, &pub->publicArea, what, ret);
    Esys_Free(pub);
    return e;
}

qr_err
qr_tpm_key_by_template(struct qr_tpm *t, uint32_t nv_template, struct qr_tpm_key *ret)
{
    TPM2B_PUBLIC in = {0};
    struct qr_dbuf d;
    size_t at = 0;

    qr_dbuf_init(&d, QR_TPM_NV_MAX);
    qr_err e = qr_tpm_nv_read(t, nv_template, 10, &d);
    if (e == QR_OK) {
        /* A TPMT_PUBLIC begins with its type (0001, 0023), a TPM2B_PUBLIC with its length. */
        uint16_t first = (uint16_t)(d.p[0] << 8 | d.p[1]);
        if (first != TPM2_ALG_RSA && first != TPM2_ALG_ECC) {
            at = 2;
        }
        size_t end = at ? (size_t)first + 2 : d.len;
        TSS2_RC rc = end > d.len ? TSS2_MU_RC_INSUFFICIENT_BUFFER
                                 : Tss2_MU_TPMT_PUBLIC_Unmarshal(d.p, end, &at, &in.publicArea);
        if (rc != TSS2_RC_SUCCESS) {
            e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                            "NV index 0x%08x holds no template of a key (TPMT_PUBLIC, %zu bytes)",
                            nv_template, d.len);
        }
    }
    qr_dbuf_free(&d);
    QR_TRY(e);
    return primary(t, ESYS_TR_RH_ENDORSEMENT, &in, "TPM2_CreatePrimary (key by template)", ret);
}

qr_err
qr_tpm_key_own(struct qr_tpm *t, struct qr_tpm_key *ret)
{
    static const TPM2B_PUBLIC own = {
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                                TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.eccDetail =
                {
                    .symmetric = {.algorithm = TPM2_ALG_NULL},
                    .scheme = {.scheme = TPM2_ALG_ECDSA,
                               .details = {.ecdsa = {.hashAlg = TPM2_ALG_SHA256}}},
                    .curveID = TPM2_ECC_NIST_P256,
                    .kdf = {.scheme = TPM2_ALG_NULL},
                },
        }};
    return primary(t, ESYS_TR_RH_OWNER, &own, "TPM2_CreatePrimary (attestation key)", ret);
}

void
qr_tpm_key_free(struct qr_tpm *t, struct qr_tpm_key *k)
{
    if (k->handle) {
        ESYS_TR tr = k->handle;
        if (k->persistent) {
            (void)Esys_TR_Close(t->esys, &tr);
        } else {
            qr_tpm_flush(t, &tr);
        }
    }
    *k = (struct qr_tpm_key){0};
}

/* ---- who holds the salt key ---- */

/* TPMS_ATTEST of TPM2_Certify: ours, for this nonce, of this name. */
static int
is_of_salt_key(const struct qr_tpm *t, const TPMS_ATTEST *a, const uint8_t nonce[static NONCE_LEN])
{
    const TPM2B_NAME *n = &a->attested.certify.name;
    return a->magic == TPM2_GENERATED_VALUE && a->type == TPM2_ST_ATTEST_CERTIFY &&
           a->extraData.size == NONCE_LEN && memcmp(a->extraData.buffer, nonce, NONCE_LEN) == 0 &&
           n->size == QR_TPM_NAME_LEN && memcmp(n->name, t->storage_name, QR_TPM_NAME_LEN) == 0;
}

static int
signed_by(const struct qr_tpm_key *ak, qr_view msg, const TPMT_SIGNATURE *sig)
{
    struct qr_verdict *v = qr_alloc(sizeof *v);
    struct qr_tpm_public pub = {0};
    struct qr_tpm_sig s;
    uint8_t bytes[sizeof(TPMT_SIGNATURE)];
    size_t n = 0;
    int ok = 0;

    if (v && Tss2_MU_TPMT_SIGNATURE_Marshal(sig, bytes, sizeof bytes, &n) == TSS2_RC_SUCCESS &&
        qr_tpm_public_parse(qr_view_of(ak->public_area, ak->public_len), v, &pub) == QR_OK &&
        qr_tpm_sig_parse(qr_view_of(bytes, n), pub.key, v, &s) == QR_OK) {
        ok = s.scheme == QR_TPM_ECDSA
                 ? qr_evp_ecdsa_verify(pub.key, s.hash, msg, qr_view_of(s.ecdsa, s.ecdsa_len))
                 : qr_evp_rsa_verify(pub.key, s.hash, s.scheme == QR_TPM_RSAPSS, msg, s.rsa);
    }
    EVP_PKEY_free(pub.key);
    qr_free(v);
    return ok == 1;
}

qr_err
qr_tpm_vouch(struct qr_tpm *t, const struct qr_tpm_key *ak)
{
    const TPMT_SIG_SCHEME fixed = {.scheme = TPM2_ALG_NULL};
    TPM2B_DATA nonce = {.size = NONCE_LEN};
    TPM2B_ATTEST *info = NULL;
    TPMT_SIGNATURE *sig = NULL;
    TPMS_ATTEST a;
    size_t at = 0;

    struct qr_rng rng = qr_rng_system();
    qr_rng_fill(&rng, nonce.buffer, NONCE_LEN);
    TSS2_RC rc = Esys_Certify(t->esys, t->storage, ak->handle, t->session, ESYS_TR_PASSWORD,
                              ESYS_TR_NONE, &nonce, &fixed, &info, &sig);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_Certify (salt key)", rc);
    }
    qr_view msg = qr_view_of(info->attestationData, info->size);
    int ok = Tss2_MU_TPMS_ATTEST_Unmarshal(msg.p, msg.len, &at, &a) == TSS2_RC_SUCCESS &&
             at == msg.len && is_of_salt_key(t, &a, nonce.buffer) && signed_by(ak, msg, sig);
    Esys_Free(info);
    Esys_Free(sig);
    if (!ok) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "TPM2_Certify: the attestation key does not vouch for the key that our "
                           "sessions are salted with: somebody is between this machine and its "
                           "TPM");
    }
    return QR_OK;
}
