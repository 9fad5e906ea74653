/*
 * qr_tpm_seal: one secret that this release, and releases signed after it, can open on this machine.
 *
 * What: 32 bytes in a sealed object under the owner hierarchy's storage key. Its policy is
 *       PolicyAuthorize(release key, "quorate/seal"): a release carries a statement signed by that
 *       key which approves
 *           PolicyPCR(SHA-256, mask, values)  and  PolicyNV(counter <= release number)
 *       for its own image. The counter is an NV counter of ours: raising it to N makes every release
 *       below N unable to open, on this machine, for ever.
 * Why: an update must not lose the shares; a revoked release must lose them; neither may depend on
 *       the host's word. Policy and counter are the TPM's to enforce.
 * Invariants: the counter's name (attributes, "written") is in the approved policy, so an index that
 *       was deleted and made anew is either the same counter, never below where it was, or no use.
 *       Secrets cross in an encrypted, salted session. The statement is parsed strictly and its
 *       signature checked by us before the TPM sees it, so that the error says what is wrong.
 * Limit: the TPM is the cloud's. What it gives is in README.md; a share needs the peer secret besides.
 * Source: TPM 2.0 part 3, 23.6 to 23.16 (policies), 31 (NV); RFC 7517 is not used: keys are DER.
 */
#ifndef QR_TPM_SEAL_H
#define QR_TPM_SEAL_H

#include "enclave-shim/tpm/tpm.h"

#define QR_TPM_COUNTER 0x01510001u /* NV counter of releases, owner hierarchy */
#define QR_TPM_STATEMENT_MAX 1024u
#define QR_TPM_WRAPPED_MAX 1024u

/*
 * What a release carries: the statement (layout below) and its P-256 signature. The key is in the
 * image as well (SPKI DER, P-256), measured with it; whoever changes it is another image.
 *   "QRRS" || u8 version (1) || u64 release number (1..) || u32 PCR mask || values, 32 bytes each,
 *   ascending || u16 length and ASN.1 ECDSA P-256 SHA-256 signature over
 *   SHA-256(approved policy || SHA-256("quorate/seal")'s policyRef)  as TPM2_PolicyAuthorize has it.
 */
struct qr_tpm_release {
    qr_view key;       /* SPKI DER */
    qr_view statement; /* as above */
};

struct qr_tpm_statement {
    uint64_t release;
    uint32_t mask;
    uint8_t pcr[QR_TPM_PCRS][32];
    qr_view sig;
};
/* MALFORMED, TRAILING, VERSION; AUTH-class errors when the signature is not the key's. */
qr_err QR_MUST qr_tpm_statement_read(const struct qr_tpm_release *r, struct qr_tpm_statement *ret,
                                     char *err_text, size_t err_cap);
/* What a release key signs for an image (for the tool that makes releases): the policy digest. */
void qr_tpm_statement_policy(const struct qr_tpm_statement *s, uint8_t out[static 32]);

/*
 * Seals; `wrapped` (public and private areas, strict layout of its own) may be given to the host.
 * Makes the counter if it is absent. PLATFORM: qr_tpm_error says what.
 */
qr_err QR_MUST qr_tpm_seal(struct qr_tpm *t, const struct qr_tpm_release *r,
                           const struct qr_sec32 *secret, struct qr_dbuf *wrapped);
/*
 * SEAL: another machine, other PCR values, a release below the counter, a changed blob; qr_tpm_error
 * says which, with the PCRs that differ. PLATFORM, MALFORMED.
 */
qr_err QR_MUST qr_tpm_unseal(struct qr_tpm *t, const struct qr_tpm_release *r, qr_view wrapped,
                             struct qr_sec32 *ret);
/* Raises the counter to at least `minimum` (by at most 4096 steps in a call); *ret_now: where it is. */
qr_err QR_MUST qr_tpm_revoke(struct qr_tpm *t, uint64_t minimum, uint64_t *ret_now);

#endif
