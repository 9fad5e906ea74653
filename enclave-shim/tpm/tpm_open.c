/* Opening a TPM: the connection, what the TPM is, the storage key and the session salted with it. */
#include "enclave-shim/tpm/tpm_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MS 50

static const TPMT_SYM_DEF aes_cfb = {
    .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};

void
qr_tpm_selection(uint32_t mask, TPML_PCR_SELECTION *ret)
{
    *ret = (TPML_PCR_SELECTION){.count = 1};
    ret->pcrSelections[0].hash = TPM2_ALG_SHA256;
    ret->pcrSelections[0].sizeofSelect = 3;
    for (size_t i = 0; i < 3; i++) {
        ret->pcrSelections[0].pcrSelect[i] = (uint8_t)(mask >> (8 * i));
    }
}

void
qr_tpm_flush(struct qr_tpm *t, ESYS_TR *tr)
{
    if (*tr != ESYS_TR_NONE) {
        /* What cannot be flushed is the resource manager's when the descriptor closes. */
        (void)Esys_FlushContext(t->esys, *tr);
        *tr = ESYS_TR_NONE;
    }
}

static qr_err
start_session(struct qr_tpm *t)
{
    TSS2_RC rc = Esys_StartAuthSession(t->esys, t->storage, ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &aes_cfb,
                                       TPM2_ALG_SHA256, &t->session);
    if (rc == TSS2_RC_SUCCESS) {
        TPMA_SESSION on =
            TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
        rc = Esys_TRSess_SetAttributes(t->esys, t->session, on, 0xff);
    }
    return rc == TSS2_RC_SUCCESS ? QR_OK : qr_tpm_rc(t, "TPM2_StartAuthSession", rc);
}

/* ---- what it is ---- */

/* NULL: *ret_e says why. */
static TPMS_CAPABILITY_DATA *
property(struct qr_tpm *t, TPM2_CAP cap, uint32_t which, qr_err *ret_e)
{
    TPMS_CAPABILITY_DATA *d = NULL;
    TPMI_YES_NO more;
    TSS2_RC rc = Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, cap, which,
                                    cap == TPM2_CAP_PCRS ? 1 : 16, &more, &d);
    if (rc != TSS2_RC_SUCCESS) {
        *ret_e = qr_tpm_rc(t, "TPM2_GetCapability", rc);
        return NULL;
    }
    if (d->capability != cap) {
        Esys_Free(d);
        *ret_e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                             "TPM2_GetCapability: the answer is to another question");
        return NULL;
    }
    return d;
}

static uint32_t
find(const TPMS_CAPABILITY_DATA *d, TPM2_PT which, uint32_t absent)
{
    const TPML_TAGGED_TPM_PROPERTY *p = &d->data.tpmProperties;
    for (uint32_t i = 0; i < p->count && i < TPM2_MAX_TPM_PROPERTIES; i++) {
        if (p->tpmProperty[i].property == which) {
            return p->tpmProperty[i].value;
        }
    }
    return absent;
}

static qr_err
check_version(struct qr_tpm *t)
{
    qr_err e = QR_OK;
    TPMS_CAPABILITY_DATA *d = property(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FAMILY_INDICATOR, &e);
    if (!d) {
        return e;
    }
    uint32_t family = find(d, TPM2_PT_FAMILY_INDICATOR, 0);
    Esys_Free(d);
    if (family != 0x322e3000u) { /* "2.0" */
        return qr_tpm_fail(t, QR_ERR_PLATFORM, "%s: expected a TPM 2.0, found family 0x%08x",
                           t->path, family);
    }
    return QR_OK;
}

static qr_err
learn_nv(struct qr_tpm *t)
{
    qr_err e = QR_OK;
    TPMS_CAPABILITY_DATA *d = property(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_INDEX_MAX, &e);
    if (!d) {
        return e;
    }
    t->nv_max = find(d, TPM2_PT_NV_INDEX_MAX, 2048);
    Esys_Free(d);
    d = property(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, &e);
    if (!d) {
        return e;
    }
    uint32_t chunk = find(d, TPM2_PT_NV_BUFFER_MAX, 512);
    Esys_Free(d);
    if (chunk == 0) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "%s: the TPM says that it reads 0 bytes of NV at once", t->path);
    }
    t->nv_chunk = (uint16_t)(chunk < TPM2_MAX_NV_BUFFER_SIZE ? chunk : TPM2_MAX_NV_BUFFER_SIZE);
    return QR_OK;
}

static qr_err
check_bank(struct qr_tpm *t)
{
    qr_err e = QR_OK;
    unsigned bits = 0;

    TPMS_CAPABILITY_DATA *d = property(t, TPM2_CAP_PCRS, 0, &e);
    if (!d) {
        return e;
    }
    const TPML_PCR_SELECTION *p = &d->data.assignedPCR;
    for (uint32_t i = 0; i < p->count && i < TPM2_NUM_PCR_BANKS; i++) {
        const TPMS_PCR_SELECTION *s = &p->pcrSelections[i];
        if (s->hash == TPM2_ALG_SHA256 && s->sizeofSelect >= 3) {
            bits = (unsigned)s->pcrSelect[0] & s->pcrSelect[1] & s->pcrSelect[2];
        }
    }
    Esys_Free(d);
    if (bits != 0xff) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "%s: the TPM has no SHA-256 bank of 24 PCRs; enable it in the firmware "
                           "(tpm2_pcrallocate sha256:all, then restart)",
                           t->path);
    }
    return QR_OK;
}

/* ---- the storage key ---- */

static const TPM2B_PUBLIC storage_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail =
            {
                .symmetric = {.algorithm = TPM2_ALG_AES,
                              .keyBits = {.aes = 128},
                              .mode = {.aes = TPM2_ALG_CFB}},
                .scheme = {.scheme = TPM2_ALG_NULL},
                .curveID = TPM2_ECC_NIST_P256,
                .kdf = {.scheme = TPM2_ALG_NULL},
            },
    }};

/* 1: what was made is what was asked for, but for the point. */
static int
is_as_asked(const TPMT_PUBLIC *made, const TPMT_PUBLIC *asked)
{
    uint8_t a[sizeof(TPMT_PUBLIC)], b[sizeof(TPMT_PUBLIC)];
    TPMT_PUBLIC m = *made;
    size_t na = 0, nb = 0;

    if (m.type != asked->type) {
        return 0;
    }
    m.unique = asked->unique;
    return Tss2_MU_TPMT_PUBLIC_Marshal(&m, a, sizeof a, &na) == TSS2_RC_SUCCESS &&
           Tss2_MU_TPMT_PUBLIC_Marshal(asked, b, sizeof b, &nb) == TSS2_RC_SUCCESS && na == nb &&
           memcmp(a, b, na) == 0;
}

static qr_err
make_storage(struct qr_tpm *t)
{
    const TPM2B_SENSITIVE_CREATE no_auth = {0};
    const TPM2B_DATA no_info = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PUBLIC *pub = NULL;
    TPM2B_NAME *name = NULL;
    qr_err e = QR_OK;

    TSS2_RC rc = Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &no_auth, &storage_template, &no_info, &no_pcrs,
                                    &t->storage, &pub, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_CreatePrimary (storage key)", rc);
    }
    rc = Esys_TR_GetName(t->esys, t->storage, &name);
    if (rc != TSS2_RC_SUCCESS) {
        e = qr_tpm_rc(t, "the storage key's name", rc);
    } else if (!is_as_asked(&pub->publicArea, &storage_template.publicArea) ||
               name->size != QR_TPM_NAME_LEN) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "TPM2_CreatePrimary: the TPM made another kind of storage key than it was "
                        "asked for");
    } else {
        memcpy(t->storage_name, name->name, QR_TPM_NAME_LEN);
    }
    Esys_Free(name);
    Esys_Free(pub);
    return e;
}

/* ---- opening and closing ---- */

static void
sleep_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

static qr_err
set_up(struct qr_tpm *t)
{
    TSS2_RC rc = Esys_Initialize(&t->esys, qr_tcti_context(t->tcti), NULL);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "Esys_Initialize", rc);
    }
    QR_TRY(check_version(t));
    QR_TRY(check_bank(t));
    QR_TRY(learn_nv(t));
    QR_TRY(make_storage(t));
    return start_session(t);
}

qr_err
qr_tpm_open(const char *path, uint32_t patience_ms, struct qr_tpm **ret, char *err_text,
            size_t err_cap)
{
    struct qr_tpm *t = qr_alloc(sizeof *t);
    if (!t) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "out of memory");
        }
        return QR_ERR_NO_MEMORY;
    }
    t->storage = t->session = ESYS_TR_NONE;
    (void)snprintf(t->path, sizeof t->path, "%s", path);
    /* The library would write every refusal to stderr; ours say more, once. */
    (void)setenv("TSS2_LOG", "all+none", 0);
    qr_err e = qr_tcti_open(path, &t->tcti, t->err, sizeof t->err);
    for (uint32_t waited = 0; e == QR_ERR_BUSY && waited < patience_ms; waited += RETRY_MS) {
        sleep_ms(RETRY_MS);
        e = qr_tcti_open(path, &t->tcti, t->err, sizeof t->err);
    }
    if (e == QR_OK) {
        e = set_up(t);
    }
    if (e != QR_OK) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "%s", t->err);
        }
        (void)qr_tpm_close(t);
        return e == QR_ERR_BUSY ? QR_ERR_PLATFORM : e;
    }
    *ret = t;
    return QR_OK;
}

struct qr_tpm *
qr_tpm_close(struct qr_tpm *t)
{
    if (t) {
        if (t->esys) {
            qr_tpm_flush(t, &t->session);
            qr_tpm_flush(t, &t->storage);
            Esys_Finalize(&t->esys);
        }
        qr_tcti_close(t->tcti);
        qr_free(t);
    }
    return NULL;
}

int
qr_tpm_fd(const struct qr_tpm *t)
{
    return qr_tcti_fd(t->tcti);
}

const char *
qr_tpm_error(const struct qr_tpm *t)
{
    return t->err;
}

qr_err
qr_tpm_random(struct qr_tpm *t, uint8_t *out, size_t n)
{
    while (n > 0) {
        TPM2B_DIGEST *d = NULL;
        uint16_t want = (uint16_t)(n < 32 ? n : 32);
        TSS2_RC rc = Esys_GetRandom(t->esys, t->session, ESYS_TR_NONE, ESYS_TR_NONE, want, &d);
        if (rc != TSS2_RC_SUCCESS) {
            return qr_tpm_rc(t, "TPM2_GetRandom", rc);
        }
        size_t got = d->size < want ? d->size : want;
        memcpy(out, d->buffer, got);
        sodium_memzero(d->buffer, sizeof d->buffer);
        Esys_Free(d);
        if (got == 0) {
            return qr_tpm_fail(t, QR_ERR_PLATFORM, "TPM2_GetRandom: no bytes came");
        }
        out += got;
        n -= got;
    }
    return QR_OK;
}
