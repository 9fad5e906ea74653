/*
 * qr_tpmlife: is a process that shows a newer TPM quote still on the boot that it started on?
 *
 * What: what a verdict tells of the TPM (its attestation key, clock and counters), and whether a later
 *       quote can be from the same life of the same machine.
 * Why: a process has spent presignatures that its host could bring back with a snapshot of the whole
 *      machine, boot nonce and all. The TPM's clock goes back with it, and its counters tell a reboot
 *      that no process lives through.
 * Invariants: quotes of one process only are compared; the first one of a process only sets what later
 *             ones are held to. The TPM's `safe` flag is not looked at: it speaks of the clock before
 *             the last reset, and within one boot the clock runs forward whatever the flag says.
 * Source: TPM 2.0 Library, part 1, 36 (timing components); part 2, 10.11.1 (TPMS_CLOCK_INFO).
 * Thread rules: no state.
 */
#ifndef QR_TPMLIFE_H
#define QR_TPMLIFE_H

#include "enclave-shim/verify/tpm.h"

struct qr_tpmlife {
    int known;      /* 0: the evidence has no quote; nothing below counts */
    uint8_t ak[32]; /* SHA-256 of the attestation key's SubjectPublicKeyInfo */
    struct qr_tpm_moment at;
};

/* From the claims of valid evidence. */
void qr_tpmlife_of(const struct qr_claimset *c, struct qr_tpmlife *ret);

/*
 * ATTESTATION with a sentence for the operator when `is` cannot follow `was` in the life of one
 * process: the quote or its key is another's, the machine was rebooted, or time went back there.
 */
qr_err QR_MUST qr_tpmlife_follows(const struct qr_tpmlife *was, const struct qr_tpmlife *is,
                                  char *why, size_t cap);

#endif
