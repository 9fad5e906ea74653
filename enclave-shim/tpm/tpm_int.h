/*
 * tpm_int: what the files of this folder share. Only they include tss2.
 */
#ifndef QR_TPM_INT_H
#define QR_TPM_INT_H

#include "enclave-shim/tpm/tpm.h"

#include <stdarg.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tcti.h>

struct qr_tcti;

struct qr_tpm {
    struct qr_tcti *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR storage; /* the storage key: salts our sessions, parent of what is sealed */
    ESYS_TR session; /* HMAC, salted, both parameters encrypted; authorises with empty authValues */
    uint8_t storage_name[QR_TPM_NAME_LEN];
    uint16_t nv_chunk; /* TPM_PT_NV_BUFFER_MAX */
    uint32_t nv_max;   /* TPM_PT_NV_INDEX_MAX */
    /* The scale of what was sealed or opened last (tpm_seal.c): release `minimum` is `start`. */
    int scaled;
    int spoiled; /* an answer was changed on its way: the session is out of step since */
    uint64_t minimum, start, release;
    char path[128];
    char err[768];
};

/* ---- tcti.c ---- */

/*
 * Opens the device or the socket. *ret is what Esys_Initialize takes, cast. PLATFORM, PERMISSIONS,
 * NO_MEMORY; BUSY: somebody else has it open.
 */
qr_err QR_MUST qr_tcti_open(const char *path, struct qr_tcti **ret, char *err_text, size_t err_cap);
void qr_tcti_close(struct qr_tcti *c);
TSS2_TCTI_CONTEXT *qr_tcti_context(struct qr_tcti *c);
int qr_tcti_fd(const struct qr_tcti *c);
/* Why the connection was given up; "" while it was not. */
const char *qr_tcti_error(const struct qr_tcti *c);
/*
 * What has come so far of an answer: *ret_len is its whole length once its head (10 bytes) is there, 0
 * before. MALFORMED: no answer's tag, a length below the head's, more bytes than its length; TOO_LARGE.
 */
qr_err QR_MUST qr_tcti_frame(qr_view have, size_t *ret_len);

/* ---- tpm_rc.c ---- */

/* Says it; returns e. */
qr_err qr_tpm_fail(struct qr_tpm *t, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "TPM2_Quote: 0x18b (...): what to do". PLATFORM; NO_MEMORY when the library has none. */
qr_err qr_tpm_rc(struct qr_tpm *t, const char *command, TSS2_RC rc);
/* The code without the number of the handle, parameter or session, and without the layer. */
TSS2_RC qr_tpm_rc_base(TSS2_RC rc);

/* ---- tpm_open.c ---- */

/* Flushes if there is something, keeping the error text; *tr becomes ESYS_TR_NONE. */
void qr_tpm_flush(struct qr_tpm *t, ESYS_TR *tr);
void qr_tpm_selection(uint32_t mask, TPML_PCR_SELECTION *ret);

/* ---- tpm_nv.c ---- */

/* NOT_FOUND. The caller closes it with Esys_TR_Close. */
qr_err QR_MUST qr_tpm_nv_at(struct qr_tpm *t, uint32_t index, ESYS_TR *ret, TPMS_NV_PUBLIC *pub);

#endif
