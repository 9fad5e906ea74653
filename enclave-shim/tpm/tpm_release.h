/*
 * qr_tpm_release: what a signed release says to a TPM, made and read without one.
 *
 * What: the statement of a release (its number and the PCR values of its image, signed by the release
 *       key), and the policy digests that follow from it, computed here as TPM 2.0 part 3 defines them.
 * Why: a release is signed on a machine that has no TPM; a party wants to know what is wrong with a
 *      statement before its TPM says 0x99d.
 * Where it lies: the statement names the PCR values of the image, so it cannot be inside what the PCRs
 *      measure. It comes by an untrusted way (the ESP, the state disk, user data); its content is signed.
 *      The release key's public half is inside the image, measured with it: whoever changes it has
 *      another image.
 * Invariants: everything here is public and variable time. The release key signs nothing else: the
 *      signature is over 52 bytes, a policy digest and a reference that begins with "quorate/seal".
 * Thread rules: after qr_hash_init(), any thread.
 * Source: TPM 2.0 part 3, 23.7 (PolicyPCR), 23.9 (PolicyNV), 23.6 (PolicyOR), 23.16 (PolicyAuthorize);
 *      part 1, 16 (names).
 */
#ifndef QR_TPM_RELEASE_H
#define QR_TPM_RELEASE_H

#include "enclave-shim/tpm/tpm.h"

struct evp_pkey_st;

#define QR_TPM_STATEMENT_MAX 1024u
#define QR_TPM_RELEASE_MAX 1000000u /* release numbers are 1 to this */
#define QR_TPM_WINDOW 512u /* releases that one sealed object knows: a minimum and those above */
#define QR_TPM_REF_LEN 20u

/* What a release brings. */
struct qr_tpm_release {
    qr_view key;       /* SPKI DER, P-256; from the image */
    qr_view statement; /* as below; from anywhere */
};

/*
 * "QRRS" || u8 version (1) || u64 release || u32 PCR mask || values of the SHA-256 bank, 32 bytes each,
 * ascending || u16 length || DER ECDSA P-256 signature with SHA-256 over
 *     PolicyPCR's digest of mask and values (32) || reference (20),
 * which is what TPM2_PolicyAuthorize has a key approve. All big-endian.
 */
struct qr_tpm_statement {
    uint64_t release;
    uint32_t mask;
    uint8_t pcr[QR_TPM_PCRS][32]; /* those not in mask: zero */
    uint8_t sig[64];              /* r || s */
};

/*
 * MALFORMED, TRUNCATED, TRAILING, VERSION; STAMP_INVALID when the key did not sign it. err_text may be
 * NULL.
 */
qr_err QR_MUST qr_tpm_statement_read(const struct qr_tpm_release *r, struct qr_tpm_statement *ret,
                                     char *err_text, size_t err_cap);
/* Signs s (its sig is ignored) and writes the statement. USAGE: release or mask, or no P-256 key. */
qr_err QR_MUST qr_tpm_statement_sign(const struct qr_tpm_statement *s, struct evp_pkey_st *key,
                                     struct qr_buf *out);

/* ---- policies ---- */

/* "quorate/seal" || u64 release: TPM2_PolicyAuthorize's policyRef. */
void qr_tpm_policy_ref(uint64_t release, uint8_t out[static QR_TPM_REF_LEN]);
/* What the release key approves: PolicyPCR alone, from a fresh session. */
void qr_tpm_policy_pcr(const struct qr_tpm_statement *s, uint8_t out[static 32]);
/* A fresh session after PolicyAuthorize by the key of this name. */
void qr_tpm_policy_authorize(const uint8_t key_name[static QR_TPM_NAME_LEN], uint64_t release,
                             uint8_t out[static 32]);
/* After PolicyNV(index of this name <= value, unsigned, 8 bytes at offset 0). */
void qr_tpm_policy_nv(const uint8_t before[static 32],
                      const uint8_t nv_name[static QR_TPM_NAME_LEN], uint64_t value,
                      uint8_t out[static 32]);
/* PolicyOR over n (2..8) digests. */
void qr_tpm_policy_or(const uint8_t (*branch)[32], size_t n, uint8_t out[static 32]);

/*
 * TPMT_PUBLIC of a release key as it is loaded to verify (sign, ECDSA SHA-256, nothing else), and its
 * name. MALFORMED: not a P-256 SPKI and nothing behind it.
 */
#define QR_TPM_RELEASE_PUBLIC_LEN 88u
qr_err QR_MUST qr_tpm_release_key(qr_view spki,
                                  uint8_t public_area[static QR_TPM_RELEASE_PUBLIC_LEN],
                                  uint8_t name[static QR_TPM_NAME_LEN]);

#endif
