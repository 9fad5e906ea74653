/*
 * qr_tpm: a TPM 2.0, as much of one as a party needs.
 *
 * What: a session with a (virtual) TPM over one open descriptor: quotes over chosen PCRs, NV indices,
 *       attestation keys by handle or by template, random bytes, and one sealed secret under a policy
 *       that a signed release satisfies (tpm_seal.h).
 * Why: Azure's and Google's evidence is half a TPM quote, and a VM's sealing is its vTPM's.
 * Invariants: the TPM and what is between us and it belong to the host: answers are framed by their own
 *       length, bounded at 4096 bytes and parsed strictly; secrets cross in salted sessions with
 *       parameter encryption (AES-128-CFB, HMAC-SHA256), so that a bus that listens learns nothing and
 *       one that changes answers is noticed; every transient object is flushed, also on errors. After a
 *       torn answer the descriptor is given up: every later call says so.
 * Salt key: an ECC P-256 storage primary of the owner hierarchy, made by the TPM at each open. Who stands
 *       in the middle from the first byte on could make one of its own. qr_tpm_vouch closes that: the
 *       attestation key, which the evidence binds to the machine, signs the salt key's name.
 * Source: TCG TPM 2.0 Library 1.59 parts 1 to 3; tpm2-tss ESYS; NV handles: TCG EK profile 2.5, and
 *       the providers' documents.
 * Thread rules: single-threaded. Calls block for as long as the TPM does (QR_TPM_ANSWER_MS at most);
 *       those made after start (quotes) take milliseconds to tens of milliseconds.
 */
#ifndef QR_TPM_DEVICE_H
#define QR_TPM_DEVICE_H

#include "protocol/base/buf.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

struct qr_tpm;

#define QR_TPM_PCRS 24u
#define QR_TPM_NV_MAX 8192u
#define QR_TPM_ATTEST_MAX 2048u
#define QR_TPM_SIG_MAX 1024u
#define QR_TPM_PUBLIC_MAX 1024u
#define QR_TPM_ANSWER_MAX 4096u
#define QR_TPM_ANSWER_MS 60000 /* a slow TPM makes an RSA key in less */
#define QR_TPM_NAME_LEN 34u    /* nameAlg SHA-256 (000b), then the hash */

/*
 * path: "/dev/tpmrm0", "/dev/tpm0", or "unix:PATH" of an emulator's data socket (the same commands,
 * framed by their own length). The descriptor stays open for the sandbox's sake. Runs
 * TPM2_GetCapability and makes the salt key and its session. Busy devices are retried for
 * `patience_ms`.
 * Errors: PLATFORM (no device, no TPM 2.0, no SHA-256 bank, busy, failure mode; err_text: what, where,
 * what to do), PERMISSIONS, NO_MEMORY.
 */
qr_err QR_MUST qr_tpm_open(const char *path, uint32_t patience_ms, struct qr_tpm **ret,
                           char *err_text, size_t err_cap);
struct qr_tpm *qr_tpm_close(struct qr_tpm *t); /* takes NULL; NULL always */
int qr_tpm_fd(const struct qr_tpm *t);         /* for the sandbox's tests */
/* Why the last call failed: command, response code in words, what to do. Valid until the next call. */
const char *qr_tpm_error(const struct qr_tpm *t);

/*
 * Errors of all that follow: PLATFORM, NO_MEMORY; NOT_FOUND where a handle or index may be absent; USAGE
 * for arguments out of range.
 */

/* Any n; in an encrypted session. */
qr_err QR_MUST qr_tpm_random(struct qr_tpm *t, uint8_t *out, size_t n);

/* A key that can quote. */
struct qr_tpm_key {
    uint32_t handle; /* as ESYS knows it; 0: none */
    int persistent;
    uint8_t public_area[QR_TPM_PUBLIC_MAX]; /* TPMT_PUBLIC, big-endian, as it stands */
    size_t public_len;
};

/*
 * The three refuse (PLATFORM) a key that is not a restricted signing key fixed to the TPM: another one
 * could sign a forged quote. A key that is no more in use goes to qr_tpm_key_free.
 */

/* A persistent key, as Azure's AK 0x81000003. NOT_FOUND. */
qr_err QR_MUST qr_tpm_key_at(struct qr_tpm *t, uint32_t handle, struct qr_tpm_key *ret);
/*
 * A primary key of the endorsement hierarchy by the template (TPMT_PUBLIC or TPM2B_PUBLIC) in an NV
 * index, as Google's AK. NOT_FOUND: no such index.
 */
qr_err QR_MUST qr_tpm_key_by_template(struct qr_tpm *t, uint32_t nv_template,
                                      struct qr_tpm_key *ret);
/* A restricted ECDSA P-256 (SHA-256) signing primary of the owner hierarchy. */
qr_err QR_MUST qr_tpm_key_own(struct qr_tpm *t, struct qr_tpm_key *ret);
/* Takes a zeroed one; zeroes it. */
void qr_tpm_key_free(struct qr_tpm *t, struct qr_tpm_key *k);

/*
 * Has `ak` certify the salt key over a nonce of ours and checks the signature with ak's public area: what
 * then crosses in the session is between us and the TPM that holds ak. As good as what binds ak to the
 * machine (a certificate, a CPU's report): the caller compares ak with that first, and quotes with the
 * same ak, so that who lies to it here makes evidence that nobody accepts. The certified name holds
 * the attributes fixedTPM and restricted, which no key that was brought along can have. PLATFORM: it
 * is not so, somebody is in between.
 */
qr_err QR_MUST qr_tpm_vouch(struct qr_tpm *t, const struct qr_tpm_key *ak);

/*
 * Whole contents of an index, in chunks of TPM_PT_NV_BUFFER_MAX; `out` is replaced. At least `min` bytes
 * (PLATFORM: the index is too short). NOT_FOUND, TOO_LARGE.
 */
qr_err QR_MUST qr_tpm_nv_read(struct qr_tpm *t, uint32_t index, size_t min, struct qr_dbuf *out);
/*
 * Defines the index (owner hierarchy, ownerread|ownerwrite|authread|authwrite) if absent, then writes.
 * PLATFORM: it exists with another size, or may not be written by us.
 */
qr_err QR_MUST qr_tpm_nv_write(struct qr_tpm *t, uint32_t index, qr_view v);

struct qr_tpm_quote {
    uint8_t attest[QR_TPM_ATTEST_MAX]; /* TPMS_ATTEST */
    size_t attest_len;
    uint8_t sig[QR_TPM_SIG_MAX]; /* TPMT_SIGNATURE */
    size_t sig_len;
    uint32_t pcr_mask; /* which are quoted, SHA-256 bank */
    uint8_t pcr[QR_TPM_PCRS][32];
};

/*
 * Quotes the SHA-256 bank's PCRs of `mask` over qualifying data (1..64 bytes), and reads them. The two
 * must agree: values that changed in between are read and quoted again, up to 3 times (PLATFORM then).
 * The quote's form, qualifying data and selection are checked, its signature is the verifier's to judge.
 */
qr_err QR_MUST qr_tpm_quote(struct qr_tpm *t, const struct qr_tpm_key *k, uint32_t mask,
                            qr_view qualifying, struct qr_tpm_quote *ret);
qr_err QR_MUST qr_tpm_pcr_read(struct qr_tpm *t, uint32_t mask, uint8_t pcr[QR_TPM_PCRS][32]);

#endif
