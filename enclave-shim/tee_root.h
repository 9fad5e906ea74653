/*
 * qr_tee_root: the secret that a platform with a TPM seals by, from one start to the next.
 *
 * What: at the first start 32 bytes are drawn and wrapped by the TPM under the release's policy
 *       (tpm/tpm_seal.h); the wrapping is kept (tee_keep.h, value "tpm-root") and opened at every
 *       later start. Without a TPM, a release or a place to keep it, the secret lasts as long as the
 *       process: the profile says so (keeps_secrets 0), and the daemon takes it from there.
 * Why here: four platforms do the same.
 * Invariants: a wrapping that does not open is never replaced: the shares under it would be lost, and
 *       the host could have brought that about. Losing the wrapping is losing the shares; the host
 *       can do that, as it can destroy the disk. The context of derived keys is a hash over the
 *       platform's name and the wrapping, so that equal secrets elsewhere give other keys.
 * Thread rules: single-threaded; before the filter of system calls, as keep->save is.
 */
#ifndef QR_TEE_ROOT_H
#define QR_TEE_ROOT_H

#include "enclave-shim/seal.h"
#include "enclave-shim/tee_open.h"
#include "enclave-shim/tpm/tpm_seal.h"

#define QR_TEE_ROOT_KEEP "tpm-root"
#define QR_TEE_RELEASE_MAX 4096u

/* Files of a release: [tee] release_key and release. */
struct qr_tee_release {
    size_t key_len, statement_len;
    uint8_t key[QR_TEE_RELEASE_MAX], statement[QR_TEE_RELEASE_MAX];
};
/* *ret zeroed when neither is given. PLATFORM: one without the other, unreadable, too large. */
qr_err QR_MUST qr_tee_release_load(const struct qr_tee_opts *o, struct qr_tee_release *ret,
                                   char *err_text, size_t err_cap);

/*
 * t NULL, no release or no keep: a secret of this process. root: in locked memory. *ret_kept: 1 if it
 * outlives the process. SEAL (the TPM does not open what was kept; the text says which part differs),
 * PLATFORM, STORE and its kin, NO_MEMORY.
 */
qr_err QR_MUST qr_tee_root_open(struct qr_tpm *t, const struct qr_tee_release *r,
                                struct qr_tee_keep *keep, const char *platform,
                                struct qr_sealroot *root, int *ret_kept, char *err_text,
                                size_t err_cap);

#endif
