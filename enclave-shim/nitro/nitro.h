/*
 * The back end for AWS Nitro Enclaves: the Nitro Security Module for evidence, time and randomness,
 * KMS for sealing.
 *
 * What: opens /dev/nsm, reads the image's measurements, and takes the sealing root out of KMS: the
 *       first start makes it and keeps it wrapped (tee_keep.h, name "nitro-root"), every later start
 *       opens what was kept. Without `kms` it makes evidence but seals nothing: seal, unseal and
 *       derive fail with PLATFORM.
 * The root: HKDF over KMS's data key and 32 local bytes. The local bytes are kept sealed under the data
 *       key, beside KMS's own blob. KMS without the host's value, and the host without KMS, know
 *       nothing of it; README.md says who still can, and why production policies demand the peer
 *       secret besides.
 * Invariants: a debug enclave (PCR0 to 2 zero) gets no root; nothing is sealed by a root before KMS has
 *       given it back once; what was kept for another key, name or party does not open.
 * Limits: releases are governed by the KMS key's policy, not from inside: `revoke` is NULL.
 * Thread rules: single-threaded.
 */
#ifndef QR_NITRO_H
#define QR_NITRO_H

#include "enclave-shim/nitro/kms.h"
#include "enclave-shim/nitro/nsm.h"
#include "enclave-shim/tee_open.h"

#define QR_NITRO_KEEP "nitro-root"

extern const struct qr_tee_profile qr_tee_nitro_profile;

/* o: nsm, keep, kms. Errors as qr_tee_open. */
qr_err QR_MUST qr_tee_nitro_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                                 size_t err_cap);
/*
 * The same over a device that is open, which is closed with the platform, or at once on errors. For who
 * has another device than the kernel's.
 */
qr_err QR_MUST qr_tee_nitro_over(const struct qr_nsm_dev *dev, const struct qr_tee_opts *o,
                                 struct qr_tee *ret, char *err_text, size_t err_cap);

/*
 * What the host keeps, taken apart; views into it, and nothing of it judged but its form. Layout:
 *   "QRNK" || u8 version (1) || u16 length || key's ARN || u16 length || KMS's blob ||
 *   the local 32 bytes, sealed (seal.h) under HKDF(data key), with context and the blob's hash bound
 * context = SHA-256("quorate/nitro-root/1" || u32 length || ARN || u32 length || party's name).
 * MALFORMED, VERSION.
 */
struct qr_nitro_kept {
    qr_view arn, blob, local;
};
qr_err QR_MUST qr_nitro_kept_read(qr_view bytes, struct qr_nitro_kept *ret);

#endif
