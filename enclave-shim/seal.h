/*
 * Sealed blobs: one AEAD format for every platform.
 *
 * What: u8 version (2) || u32 epoch || nonce 24 || XChaCha20-Poly1305 ciphertext and tag. The nonce
 *       is drawn at random, which 24 bytes allow without counting. Version and epoch are part of the
 *       additional data.
 * Epoch: which generation of a secret the blob belongs to; 0 for what has none. A blob of another
 *       epoch does not open, so that what a rotation replaced cannot be put back.
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
qr_err QR_MUST qr_seal_blob(const struct qr_sec32 *key, const struct qr_rng *rng, uint32_t epoch,
                            qr_view ad, qr_view plain, struct qr_buf *out);
/*
 * Appends the plaintext to out; out is unchanged on errors. QR_ERR_SEAL when key, epoch, ad or blob are
 * not the ones that were sealed, NO_SPACE.
 */
qr_err QR_MUST qr_unseal_blob(const struct qr_sec32 *key, uint32_t epoch, qr_view ad,
                              qr_view sealed, struct qr_buf *out);

/*
 * The one secret a hardware platform keeps for us, and what is made of it. A back end draws it at the
 * first start, has the platform wrap it, and puts it back at every later one; context says which
 * platform and machine it belongs to (a hash), so that equal secrets elsewhere give other keys.
 * Keys of uses: HKDF-SHA512 (RFC 5869), salt = context, info = use || epoch || label || ad.
 * In locked memory. Constant time in the secret.
 */
struct qr_sealroot {
    struct qr_sec32 secret;
    uint8_t context[32];
};

/* qr_tee.seal, unseal and derive over it; errors as qr_seal_blob, qr_unseal_blob; TOO_LARGE. */
qr_err QR_MUST qr_sealroot_seal(const struct qr_sealroot *r, const struct qr_rng *rng,
                                uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out);
qr_err QR_MUST qr_sealroot_unseal(const struct qr_sealroot *r, uint32_t epoch, qr_view ad,
                                  qr_view sealed, struct qr_buf *out);
qr_err QR_MUST qr_sealroot_derive(const struct qr_sealroot *r, uint32_t epoch, const char *label,
                                  qr_view ad, struct qr_sec32 *ret);

#endif
