/*
 * qr_tpm_seal: one secret that this release, and releases signed after it, can open on this machine.
 *
 * What: 32 bytes, encrypted under a key that the TPM made and will not show (an HMAC key below the owner
 *       hierarchy's storage key). The TPM uses it only for whom this policy holds: for some release k of
 *       the QR_TPM_WINDOW ones from a minimum on,
 *           PolicyAuthorize(release key, "quorate/seal" || k)   the image booted is release k, and
 *           PolicyNV(counter <= start + (k - minimum))          k was not revoked,
 *       where the release key approved PolicyPCR(SHA-256, mask, values) for k (tpm_release.h). The
 *       counter is an NV counter of ours; raising it by one revokes one more release, for ever.
 * Why: an update must not lose the shares; a revoked release must lose them; neither may depend on
 *       the host's word. Policy and counter are the TPM's to enforce.
 * Why so, and what it does not give: README.md, "Sealing".
 * Invariants: minimum and start are in the policy, so that what is sealed is revoked by its own scale,
 *       wherever the TPM's counters began; an index deleted and made anew never counts from below where
 *       it was. A sealed object planted by whoever booted another image on this TPM opens to nothing: its
 *       key would be one that only a release can use. Secrets cross in an encrypted, salted session.
 * Limit: the TPM is the cloud's. A share needs the peer secret besides.
 */
#ifndef QR_TPM_SEAL_H
#define QR_TPM_SEAL_H

#include "enclave-shim/tpm/tpm_release.h"

#define QR_TPM_COUNTER 0x01857172u /* NV counter of releases, in the owner's range */
#define QR_TPM_WRAPPED_MAX 1024u
#define QR_TPM_REVOKE_STEPS 4096u

/*
 * Seals; `wrapped` (replaced) may be given to the host. Refuses what this release could not open again:
 * the PCRs must be the statement's. Makes the counter if it is absent.
 * minimum: 1..release; releases below it never open this. When a secret was opened or sealed over `t`
 * before, its scale goes on and minimum may not be above what qr_tpm_revoke reached (USAGE).
 * SEAL (PCRs), STAMP_INVALID and parse errors (the statement), PLATFORM, NO_MEMORY; qr_tpm_error says
 * what.
 */
qr_err QR_MUST qr_tpm_seal(struct qr_tpm *t, const struct qr_tpm_release *r, uint64_t minimum,
                           const struct qr_sec32 *secret, struct qr_dbuf *wrapped);
/*
 * SEAL: another machine, another release key, other PCR values, a revoked release, a changed blob;
 * qr_tpm_error says which, with the PCRs that differ. Other errors as above; MALFORMED: no blob of ours.
 */
qr_err QR_MUST qr_tpm_unseal(struct qr_tpm *t, const struct qr_tpm_release *r, qr_view wrapped,
                             struct qr_sec32 *ret);
/*
 * Revokes releases below `minimum` for what was last sealed or opened over `t`, by at most
 * QR_TPM_REVOKE_STEPS steps in a call; *ret_now: the lowest release not revoked, now. USAGE: nothing
 * was opened yet, or minimum is above the release that runs. Lower than it is already: nothing happens.
 */
qr_err QR_MUST qr_tpm_revoke(struct qr_tpm *t, uint64_t minimum, uint64_t *ret_now);

#endif
