/*
 * qr_tpm_blob: what a sealed secret looks like on the host's disk.
 *
 *     "QRTW" || u8 version (1) || storage key's name (34) || release key's name (34) || u64 minimum ||
 *     u64 start || unique (32) || u16 length || private area || u16 length || the secret (seal.h)
 *
 * All big-endian, nothing behind it. The two names only help to say what is wrong; minimum, start and the
 * release key are in the object's policy, the policy and `unique` in its name, which the private area is
 * bound to by the TPM; all before the secret is its additional data.
 */
#ifndef QR_TPM_BLOB_H
#define QR_TPM_BLOB_H

#include "enclave-shim/tpm/tpm_tree.h"

#define QR_TPM_PRIVATE_MAX 512u

struct qr_tpm_blob {
    uint8_t storage[QR_TPM_NAME_LEN], key[QR_TPM_NAME_LEN];
    struct qr_tpm_scale scale;
    uint8_t unique[32];
    qr_view private_area; /* TPM2B_PRIVATE's content */
    qr_view secret;
    qr_view head; /* all before the secret's length */
};

/* Views into v. MALFORMED, VERSION, TRUNCATED, TRAILING, TOO_LARGE. */
qr_err QR_MUST qr_tpm_blob_read(qr_view v, struct qr_tpm_blob *ret);
/* All up to the secret's length; b->secret and b->head are not looked at. */
void qr_tpm_blob_write_head(const struct qr_tpm_blob *b, struct qr_buf *out);

#endif
