/*
 * qr_tpm_policy: showing a TPM that this release may use a sealed key.
 *
 * Why apart from tpm_tree.h: there the digests are computed, here the TPM comes to the same ones, or
 * does not.
 */
#ifndef QR_TPM_POLICY_H
#define QR_TPM_POLICY_H

#include "enclave-shim/tpm/tpm_counter.h"
#include "enclave-shim/tpm/tpm_tree.h"

/* What is shown: the statement, the key that signed it, the counter, the way up the tree. */
struct qr_tpm_shown {
    const struct qr_tpm_statement *s;
    const uint8_t *key_public; /* QR_TPM_RELEASE_PUBLIC_LEN */
    const uint8_t *key_name;   /* QR_TPM_NAME_LEN */
    const struct qr_tpm_counter *counter;
    const struct qr_tpm_scale *scale;
    const struct qr_tpm_path *path;
    TPMT_TK_VERIFIED ticket; /* qr_tpm_policy_ticket's */
};

/*
 * The TPM verifies the release's signature and gives a ticket for it, good until the TPM restarts. A
 * step of its own, so that no more than one object of ours is loaded besides storage key and
 * attestation key: a TPM without a resource manager has room for three. SEAL, PLATFORM.
 */
qr_err QR_MUST qr_tpm_policy_ticket(struct qr_tpm *t, struct qr_tpm_shown *p);

/*
 * PolicyPCR, PolicyAuthorize, PolicyNV, PolicyOR three times, in a new policy session. The caller
 * flushes *ret. SEAL: the TPM refuses a step; PLATFORM.
 */
qr_err QR_MUST qr_tpm_policy_show(struct qr_tpm *t, const struct qr_tpm_shown *p, ESYS_TR *ret);

#endif
