#include "test/common/fakekey.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "protocol/ids.h"

#include <sodium.h>

static void
scalar(qr_fq *ret, uint8_t seed, uint8_t what)
{
    uint8_t in[2] = {seed, what}, h[64];
    qr_sha512(qr_view_of(in, sizeof in), h);
    qr_fq_reduce64(ret, h);
}

void
fakekey_confirm(struct fakekey *k)
{
    uint8_t out[32];
    qr_key_out(&k->pub, out);
    for (size_t i = 0; i < k->pub.n; i++) {
        crypto_sign_detached(k->pub.confirm[i], NULL, out, sizeof out, k->id_sk[i]);
    }
}

void
fakekey_make(struct fakekey *k, uint16_t t, uint16_t n, uint8_t seed,
             const uint8_t cluster[static 32], const uint8_t admin_hash[static 32],
             const uint8_t roster_hash[static 32], uint8_t flags)
{
    qr_fq a[QR_MAX_PARTIES];
    qr_pt p;
    struct qr_rng rng;

    QR_ASSERT(sodium_init() >= 0 && qr_hash_init() == QR_OK);
    rng = qr_rng_system();
    QR_ASSERT(qr_group_init(&rng) == QR_OK);
    memset(k, 0, sizeof *k);
    k->pub.t = t;
    k->pub.n = n;
    k->pub.flags = flags;
    memcpy(k->pub.cluster, cluster, 32);
    memcpy(k->pub.admin_hash, admin_hash, 32);
    memcpy(k->pub.roster_hash, roster_hash, 32);
    memset(k->pub.cc, seed ^ 0x55, 32);
    memset(k->pub.dkg_sid, seed ^ 0x77, 32);
    for (uint8_t c = 0; c < t; c++) {
        scalar(&a[c], seed, c);
    }
    qr_fq_put(k->secret, &a[0]);
    QR_ASSERT(qr_pt_mul_base(&p, &a[0]) == QR_OK);
    qr_pt_put(k->pub.pk, &p);
    for (uint16_t i = 1; i <= n; i++) {
        qr_fq x, y = a[t - 1];
        uint8_t id_seed[32];
        qr_fq_set_u64(&x, i);
        for (int c = t - 2; c >= 0; c--) {
            qr_fq_mul(&y, &y, &x);
            qr_fq_add(&y, &y, &a[c]);
        }
        QR_ASSERT(qr_pt_mul_base(&p, &y) == QR_OK);
        qr_pt_put(k->pub.P[i - 1], &p);
        memset(id_seed, seed, sizeof id_seed);
        id_seed[0] = (uint8_t)i;
        crypto_sign_seed_keypair(k->pub.id[i - 1], k->id_sk[i - 1], id_seed);
    }
    qr_key_id(k->pub.pk, n, t, k->pub.roster_hash, k->pub.key_id);
    fakekey_confirm(k);
}

void
fakekey_sign(const struct fakekey *k, const uint32_t *path, size_t depth,
             const uint8_t digest[static 32], uint8_t ret_rs[static 64], uint8_t *ret_recid)
{
    qr_fq x, tau;
    qr_pt pk, child, got;
    uint8_t secret[32];

    QR_ASSERT(qr_pt_parse(&pk, k->pub.pk) == QR_OK);
    QR_ASSERT(qr_derive(&pk, k->pub.cc, path, depth, &child, &tau, NULL) == QR_OK);
    QR_ASSERT(qr_fq_parse(&x, k->secret) == QR_OK);
    qr_fq_add(&x, &x, &tau);
    qr_fq_put(secret, &x);
    QR_ASSERT(qr_ecdsa_sign(ret_rs, digest, secret) == QR_OK);
    for (uint8_t id = 0; id < 4; id++) {
        if (qr_ecdsa_recover(&got, digest, ret_rs, id) == QR_OK && qr_pt_eq_var(&got, &child)) {
            *ret_recid = id;
            return;
        }
    }
    QR_ASSERT(0);
}
