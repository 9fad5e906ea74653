/*
 * Deterministic ECDSA, P-384 with SHA-384 (RFC 6979); see eif_sig.h. OpenSSL has it from 3.2 on; Debian
 * 12 has 3.0.
 */
#include "enclave-shim/eif/eif_sig.h"
#include "enclave-shim/verify/sig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>

#define LEN 48u /* of the hash, of the order and of the field: no bits to shift */

/* HMAC_DRBG's state, as RFC 6979 section 3.2 names it. */
struct drbg {
    uint8_t k[LEN], v[LEN];
};

/* out = HMAC(k, v || tag || a || b); tag < 0 and lengths of 0: left out. */
static int
mac(const uint8_t k[static LEN], const uint8_t v[static LEN], int tag, const uint8_t *a,
    const uint8_t *b, uint8_t out[static LEN])
{
    uint8_t m[LEN + 1 + 2 * LEN];
    size_t n = LEN;

    memcpy(m, v, LEN);
    if (tag >= 0) {
        m[n++] = (uint8_t)tag;
    }
    if (a) {
        memcpy(m + n, a, LEN);
        memcpy(m + n + LEN, b, LEN);
        n += 2 * (size_t)LEN;
    }
    int ok = HMAC(EVP_sha384(), k, (int)LEN, m, n, out, NULL) != NULL;
    OPENSSL_cleanse(m, sizeof m);
    return ok;
}

/* Steps b to g. x: the private key, h: the digest reduced modulo the order. */
static int
drbg_start(struct drbg *d, const uint8_t x[static LEN], const uint8_t h[static LEN])
{
    memset(d->v, 1, LEN);
    memset(d->k, 0, LEN);
    return mac(d->k, d->v, 0, x, h, d->k) && mac(d->k, d->v, -1, NULL, NULL, d->v) &&
           mac(d->k, d->v, 1, x, h, d->k) && mac(d->k, d->v, -1, NULL, NULL, d->v);
}

struct signer {
    EC_GROUP *group;
    EC_POINT *point;
    BN_CTX *ctx;
    const BIGNUM *order;
    BIGNUM *x, *z, *k, *r, *s;
};

/* One try with nonce k: 1 done, 0 take the next nonce, -1 failed. */
static int
try_nonce(struct signer *g)
{
    BIGNUM *t = BN_new();
    int done = -1;

    if (BN_is_zero(g->k) || BN_cmp(g->k, g->order) >= 0) {
        done = 0;
    } else if (t && EC_POINT_mul(g->group, g->point, g->k, NULL, NULL, g->ctx) == 1 &&
               EC_POINT_get_affine_coordinates(g->group, g->point, g->r, NULL, g->ctx) == 1 &&
               BN_nnmod(g->r, g->r, g->order, g->ctx) == 1 &&
               BN_mod_mul(t, g->r, g->x, g->order, g->ctx) == 1 &&
               BN_mod_add(t, t, g->z, g->order, g->ctx) == 1 &&
               BN_mod_inverse(g->s, g->k, g->order, g->ctx) != NULL &&
               BN_mod_mul(g->s, g->s, t, g->order, g->ctx) == 1) {
        done = !BN_is_zero(g->r) && !BN_is_zero(g->s);
    }
    BN_clear_free(t);
    return done;
}

/* Steps h: nonces until one fits; the first does, but for one key and digest in 2^190. */
static int
sign(struct signer *g, struct drbg *d)
{
    int done = 0;

    for (int i = 0; i < 8 && done == 0; i++) {
        if (!mac(d->k, d->v, -1, NULL, NULL, d->v) || !BN_bin2bn(d->v, (int)LEN, g->k)) {
            return 0;
        }
        done = try_nonce(g);
        if (done == 0 &&
            (!mac(d->k, d->v, 0, NULL, NULL, d->k) || !mac(d->k, d->v, -1, NULL, NULL, d->v))) {
            return 0;
        }
    }
    return done == 1;
}

static int
signer_open(struct signer *g, EVP_PKEY *key, const uint8_t digest[static LEN])
{
    g->group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    g->point = g->group ? EC_POINT_new(g->group) : NULL;
    g->ctx = BN_CTX_secure_new();
    g->order = g->group ? EC_GROUP_get0_order(g->group) : NULL;
    g->z = BN_bin2bn(digest, (int)LEN, NULL);
    g->k = BN_secure_new();
    g->r = BN_new();
    g->s = BN_new();
    if (!g->point || !g->ctx || !g->z || !g->k || !g->r || !g->s ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &g->x) != 1) {
        return 0;
    }
    BN_set_flags(g->x, BN_FLG_CONSTTIME);
    BN_set_flags(g->k, BN_FLG_CONSTTIME);
    return BN_nnmod(g->z, g->z, g->order, g->ctx);
}

qr_err
qr_eif_es384(EVP_PKEY *key, const uint8_t digest[static 48], uint8_t raw[static 96])
{
    struct signer g = {0};
    struct drbg d;
    uint8_t x[LEN], h[LEN];

    int ok = qr_key_is_ec(key, 384) && signer_open(&g, key, digest) &&
             BN_bn2binpad(g.x, x, (int)LEN) == (int)LEN &&
             BN_bn2binpad(g.z, h, (int)LEN) == (int)LEN && drbg_start(&d, x, h) && sign(&g, &d) &&
             BN_bn2binpad(g.r, raw, (int)LEN) == (int)LEN &&
             BN_bn2binpad(g.s, raw + LEN, (int)LEN) == (int)LEN;
    OPENSSL_cleanse(&d, sizeof d);
    OPENSSL_cleanse(x, sizeof x);
    BN_clear_free(g.x);
    BN_clear_free(g.k);
    BN_free(g.z);
    BN_free(g.r);
    BN_free(g.s);
    BN_CTX_free(g.ctx);
    EC_POINT_clear_free(g.point);
    EC_GROUP_free(g.group);
    return ok ? QR_OK : QR_ERR_CRYPTO_LIB;
}
