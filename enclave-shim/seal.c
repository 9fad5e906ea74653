#include "enclave-shim/seal.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <sodium.h>

#define VERSION 2u
#define HEAD (1u + 4u) /* version, epoch */
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define OVERHEAD (HEAD + NONCE + TAG)

#define LABEL_MAX 32u

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "keys are qr_sec32");

/* version || epoch: they stand outside the ciphertext and must be bound. */
static void
put_head(uint32_t epoch, uint8_t out[static HEAD])
{
    out[0] = VERSION;
    struct qr_buf b = qr_buf_over(out + 1, HEAD - 1);
    qr_buf_put32(&b, epoch);
}

static size_t
full_ad(uint32_t epoch, qr_view ad, uint8_t out[static HEAD + QR_SEAL_AD_MAX])
{
    put_head(epoch, out);
    if (ad.len > 0) {
        memcpy(out + HEAD, ad.p, ad.len);
    }
    return HEAD + ad.len;
}

qr_err
qr_seal_blob(const struct qr_sec32 *key, const struct qr_rng *rng, uint32_t epoch, qr_view ad,
             qr_view plain, struct qr_buf *out)
{
    uint8_t full[HEAD + QR_SEAL_AD_MAX];

    if (ad.len > QR_SEAL_AD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    if (out->err || out->cap - out->len < OVERHEAD || plain.len > out->cap - out->len - OVERHEAD) {
        return QR_ERR_NO_SPACE;
    }
    uint8_t *p = out->p + out->len;
    put_head(epoch, p);
    qr_rng_fill(rng, p + HEAD, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(p + HEAD + NONCE, NULL, plain.p, plain.len,
                                                     full, full_ad(epoch, ad, full), NULL, p + HEAD,
                                                     key->b);
    out->len += OVERHEAD + plain.len;
    return QR_OK;
}

qr_err
qr_unseal_blob(const struct qr_sec32 *key, uint32_t epoch, qr_view ad, qr_view sealed,
               struct qr_buf *out)
{
    uint8_t full[HEAD + QR_SEAL_AD_MAX], head[HEAD];

    put_head(epoch, head);
    if (ad.len > QR_SEAL_AD_MAX || sealed.len < OVERHEAD || memcmp(sealed.p, head, HEAD) != 0) {
        return QR_ERR_SEAL;
    }
    size_t len = sealed.len - OVERHEAD;
    if (out->err || len > out->cap - out->len) {
        return QR_ERR_NO_SPACE;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            out->p + out->len, NULL, NULL, sealed.p + HEAD + NONCE, sealed.len - HEAD - NONCE, full,
            full_ad(epoch, ad, full), sealed.p + HEAD, key->b) != 0) {
        return QR_ERR_SEAL;
    }
    out->len += len;
    return QR_OK;
}

/* The key of one use: HKDF over the root, with everything that tells uses apart in the info field. */
static void
use_key(const struct qr_sealroot *r, const char *use, uint32_t epoch, const char *label, qr_view ad,
        struct qr_sec32 *ret)
{
    uint8_t info[8 + 4 + 1 + LABEL_MAX + QR_SEAL_AD_MAX];
    struct qr_buf b = qr_buf_over(info, sizeof info);
    qr_view l = qr_view_str(label);

    qr_buf_put(&b, use, 8);
    qr_buf_put32(&b, epoch);
    qr_buf_put8(&b, (uint8_t)l.len);
    qr_buf_put(&b, l.p, l.len);
    qr_buf_put(&b, ad.p, ad.len);
    QR_ASSERT(!b.err);
    qr_hkdf_sha512(qr_view_of(r->context, sizeof r->context), qr_view_of(r->secret.b, 32),
                   qr_buf_view(&b), ret->b, 32);
}

qr_err
qr_sealroot_seal(const struct qr_sealroot *r, const struct qr_rng *rng, uint32_t epoch, qr_view ad,
                 qr_view plain, struct qr_buf *out)
{
    struct qr_sec32 key QR_WIPE(qr_sec32);
    use_key(r, "qr/seal1", epoch, "", qr_view_of(NULL, 0), &key);
    return qr_seal_blob(&key, rng, epoch, ad, plain, out);
}

qr_err
qr_sealroot_unseal(const struct qr_sealroot *r, uint32_t epoch, qr_view ad, qr_view sealed,
                   struct qr_buf *out)
{
    struct qr_sec32 key QR_WIPE(qr_sec32);
    use_key(r, "qr/seal1", epoch, "", qr_view_of(NULL, 0), &key);
    return qr_unseal_blob(&key, epoch, ad, sealed, out);
}

qr_err
qr_sealroot_derive(const struct qr_sealroot *r, uint32_t epoch, const char *label, qr_view ad,
                   struct qr_sec32 *ret)
{
    if (qr_view_str(label).len > LABEL_MAX || ad.len > QR_SEAL_AD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    use_key(r, "qr/deriv", epoch, label, ad, ret);
    return QR_OK;
}
