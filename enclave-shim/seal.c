#include "enclave-shim/seal.h"

#include <sodium.h>

#define VERSION 1u
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define OVERHEAD (1u + NONCE + TAG)

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "keys are qr_sec32");

/* version || ad: the version byte stands outside the ciphertext and must be bound. */
static size_t
full_ad(qr_view ad, uint8_t out[static 1 + QR_SEAL_AD_MAX])
{
    out[0] = VERSION;
    if (ad.len > 0) {
        memcpy(out + 1, ad.p, ad.len);
    }
    return 1 + ad.len;
}

qr_err
qr_seal_blob(const struct qr_sec32 *key, const struct qr_rng *rng, qr_view ad, qr_view plain,
             struct qr_buf *out)
{
    uint8_t full[1 + QR_SEAL_AD_MAX];

    if (ad.len > QR_SEAL_AD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    if (out->err || out->cap - out->len < OVERHEAD || plain.len > out->cap - out->len - OVERHEAD) {
        return QR_ERR_NO_SPACE;
    }
    uint8_t *p = out->p + out->len;
    p[0] = VERSION;
    qr_rng_fill(rng, p + 1, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(p + 1 + NONCE, NULL, plain.p, plain.len, full,
                                                     full_ad(ad, full), NULL, p + 1, key->b);
    out->len += OVERHEAD + plain.len;
    return QR_OK;
}

qr_err
qr_unseal_blob(const struct qr_sec32 *key, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    uint8_t full[1 + QR_SEAL_AD_MAX];

    if (ad.len > QR_SEAL_AD_MAX || sealed.len < OVERHEAD || sealed.p[0] != VERSION) {
        return QR_ERR_SEAL;
    }
    size_t len = sealed.len - OVERHEAD;
    if (out->err || len > out->cap - out->len) {
        return QR_ERR_NO_SPACE;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            out->p + out->len, NULL, NULL, sealed.p + 1 + NONCE, sealed.len - 1 - NONCE, full,
            full_ad(ad, full), sealed.p + 1, key->b) != 0) {
        return QR_ERR_SEAL;
    }
    out->len += len;
    return QR_OK;
}
