/*
 * Sealed blobs: one AEAD format for every platform.
 *
 * What: u8 version (1) || nonce 24 || XChaCha20-Poly1305 ciphertext and tag. The nonce is drawn at
 *       random, which 24 bytes allow without counting. The version is part of the additional data.
 * Why here: a back end derives a sealing key its own way; what is done with the key is the same.
 * Constant time: in key and plaintext (libsodium).
 */
#ifndef QR_SEAL_H
#define QR_SEAL_H

#include "protocol/base/buf.h"
#include "protocol/base/rng.h"
#include "protocol/base/secret.h"

#define QR_SEAL_AD_MAX 256u

/* Appends the blob to out. TOO_LARGE (ad above QR_SEAL_AD_MAX), NO_SPACE. */
qr_err QR_MUST qr_seal_blob(const struct qr_sec32 *key, const struct qr_rng *rng, qr_view ad,
                            qr_view plain, struct qr_buf *out);
/*
 * Appends the plaintext to out; out is unchanged on errors. QR_ERR_SEAL when key, ad or blob are
 * not the ones that were sealed, NO_SPACE.
 */
qr_err QR_MUST qr_unseal_blob(const struct qr_sec32 *key, qr_view ad, qr_view sealed,
                              struct qr_buf *out);

#endif
