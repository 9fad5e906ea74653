/* Online signing; see sign.h and SPEC.md section 9. */
#include "protocol/sign.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "protocol/poly.h"

#include <string.h>

static void
qr_wipe_presig(struct qr_presig *p)
{
    qr_wipe(p, sizeof *p);
}

qr_err
qr_sign_prepare(const struct qr_key_pub *key, const uint16_t *S, size_t t,
                const uint8_t request_id[static 32], const uint8_t rq[static 32],
                const uint32_t *path, size_t depth, struct qr_sign_common *ret)
{
    struct qr_sign_common c;
    qr_pt pk;

    if (t != key->t)
        return QR_ERR_SET;
    QR_TRY(qr_set_check(S, t, key->n));
    memset(&c, 0, sizeof c);
    QR_TRY(qr_pt_parse(&pk, key->pk));
    QR_TRY(qr_derive(&pk, key->cc, path, depth, &c.pk, &c.tau, NULL));
    qr_pt_put(c.pk33, &c.pk);
    memcpy(c.key_id, key->key_id, 32);
    c.epoch = key->epoch;
    memcpy(c.S, S, t * sizeof *S);
    c.t = (uint16_t)t;
    memcpy(c.request_id, request_id, 32);
    memcpy(c.rq, rq, 32);
    if (depth > 0)
        memcpy(c.path, path, depth * sizeof *path);
    c.depth = depth;
    *ret = c;
    return QR_OK;
}

void
qr_sign_rq(qr_view body, const qr_view *stamps, size_t n_stamps, uint8_t ret_rq[static 32])
{
    uint8_t all[QR_STAMPS_MAX * (4u + QR_STAMP_MAX)];
    size_t len = 0;

    QR_ASSERT(n_stamps <= QR_STAMPS_MAX);
    for (size_t k = 0; k < n_stamps; k++) {
        QR_ASSERT(stamps[k].len <= QR_STAMP_MAX);
        qr_put32(all + len, (uint32_t)stamps[k].len);
        if (stamps[k].len > 0)
            memcpy(all + len + 4, stamps[k].p, stamps[k].len);
        len += 4 + stamps[k].len;
    }
    qr_th(QR_TAG_REQUEST, QR_FIELDS(body, QR_F(all, len)), ret_rq);
}

qr_err
qr_sign_rx(const uint8_t x[static 32], int odd, qr_fq *ret_rx, int *ret_recid)
{
    qr_fq rx;
    uint8_t back[32];

    qr_fq_reduce32(&rx, x);
    if (qr_fq_is_zero(&rx))
        return QR_ERR_INFINITY;
    /* x was >= q exactly when the reduction changed it; x is public. */
    qr_fq_put(back, &rx);
    *ret_recid = (odd ? 1 : 0) | (memcmp(back, x, 32) != 0 ? 2 : 0);
    *ret_rx = rx;
    return QR_OK;
}

/* ctx: every input of a share, the entropy of this request and presignature among them. */
static void
sign_ctx(const struct qr_sign_common *c, const uint8_t digest[static 32], uint16_t item_index,
         const uint8_t presig_id[static QR_PRESIG_ID_LEN], const uint8_t R[static 33],
         uint8_t ret_ctx[static 32])
{
    uint8_t e[32], epoch[4], set[2 * QR_MAX_PARTIES], path[4 * QR_PATH_MAX], item[34];

    qr_th(QR_TAG_ENTROPY, QR_FIELDS(QR_F(c->rq, 32), QR_F(presig_id, QR_PRESIG_ID_LEN)), e);
    qr_put32(epoch, c->epoch);
    size_t set_len = qr_set_put(c->S, c->t, set);
    for (size_t k = 0; k < c->depth; k++)
        qr_put32(path + 4 * k, c->path[k]);
    memcpy(item, c->request_id, 32);
    qr_put16(item + 32, item_index);
    qr_th(QR_TAG_SIGN,
          QR_FIELDS(QR_F(c->key_id, 32), QR_F(epoch, 4), QR_F(presig_id, QR_PRESIG_ID_LEN),
                    QR_F(set, set_len), QR_F(R, 33), QR_F(c->pk33, 33), QR_F(path, 4 * c->depth),
                    QR_F(digest, 32), QR_F(item, sizeof item), QR_F(e, 32)),
          ret_ctx);
}

/* The agreed public values of one item: ctx, delta, R' = R + delta*G, rx, recid. */
static qr_err
sign_item(const struct qr_sign_common *c, const uint8_t digest[static 32], uint16_t item_index,
          const uint8_t presig_id[static QR_PRESIG_ID_LEN], const uint8_t R33[static 33],
          struct qr_sign_item *ret, qr_fq *ret_delta)
{
    struct qr_sign_item it;
    uint8_t wide[64], x[32];
    qr_pt R;
    qr_fq delta;
    int odd;

    memcpy(it.digest, digest, 32);
    sign_ctx(c, digest, item_index, presig_id, R33, it.ctx);
    qr_tb(QR_TAG_RERAND, QR_FIELDS(QR_F(it.ctx, 32)), wide);
    qr_fq_reduce64(&delta, wide);
    QR_TRY(qr_pt_parse(&R, R33));
    QR_TRY(qr_pt_add_base_var(&it.R, &R, &delta));
    qr_pt_xy(&it.R, x, &odd);
    QR_TRY(qr_sign_rx(x, odd, &it.rx, &it.recid));
    *ret = it;
    *ret_delta = delta;
    return QR_OK;
}

qr_err
qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32], uint16_t item_index,
              struct qr_presig *presig, uint8_t ret_share[static QR_SIGN_SHARE_LEN],
              struct qr_sign_item *item)
{
    /* Consume first: from here on the only copy is this one, and it dies with the scope. */
    struct qr_presig p QR_WIPE(presig) = *presig;
    qr_fq a QR_WIPE(qr_fq), out QR_WIPE(qr_fq);
    qr_fq h, delta;
    qr_err err;

    qr_wipe(presig, sizeof *presig);
    memset(ret_share, 0, QR_SIGN_SHARE_LEN);
    memset(item, 0, sizeof *item);
    QR_VERIFY(presig->set_mask == 0);
    if (p.set_mask == 0)
        return QR_ERR_CONSUMED;
    if (p.set_mask != qr_set_mask(c->S, c->t))
        return QR_ERR_SET;

    struct qr_sign_item it;
    err = sign_item(c, digest, item_index, p.id, p.R, &it, &delta);
    if (err != QR_OK)
        return err;

    /* w = (h + rx*tau)*phi + rx*v; the first factor is public. */
    qr_fq_reduce32(&h, digest);
    qr_fq_mul(&a, &it.rx, &c->tau);
    qr_fq_add(&h, &h, &a);
    qr_fq_mul(&out, &h, &p.phi);
    qr_fq_mul(&a, &it.rx, &p.v);
    qr_fq_add(&out, &out, &a);
    memcpy(ret_share, it.ctx, 32);
    qr_fq_put(ret_share + 32, &out);
    /* u' = u + delta*phi */
    qr_fq_mul(&a, &delta, &p.phi);
    qr_fq_add(&out, &p.u, &a);
    qr_fq_put(ret_share + 64, &out);
    *item = it;
    return QR_OK;
}

/* Adds up the shares: checks each ctx, parses w and u'. */
static qr_err
sum_shares(const struct qr_sign_common *c, const struct qr_sign_item *item,
           const uint8_t *const *shares, qr_fq *ret_w, qr_fq *ret_u, uint16_t *ret_blame)
{
    *ret_w = qr_fq_zero;
    *ret_u = qr_fq_zero;
    for (size_t k = 0; k < c->t; k++) {
        qr_fq w, u;
        qr_err err = QR_OK;

        if (memcmp(shares[k], item->ctx, 32) != 0)
            err = QR_ERR_SID;
        if (err == QR_OK)
            err = qr_fq_parse(&w, shares[k] + 32);
        if (err == QR_OK)
            err = qr_fq_parse(&u, shares[k] + 64);
        if (err != QR_OK) {
            *ret_blame = c->S[k];
            return err;
        }
        qr_fq_add(ret_w, ret_w, &w);
        qr_fq_add(ret_u, ret_u, &u);
    }
    return QR_OK;
}

qr_err
qr_sign_combine(const struct qr_sign_common *c, const struct qr_sign_item *item,
                const uint8_t *const *shares, uint8_t ret_sig[static 64], int *ret_recid,
                uint16_t *ret_blame)
{
    uint8_t sig[64];
    qr_fq w, u, s;
    qr_pt recovered;
    int recid = item->recid;

    memset(ret_sig, 0, 64);
    *ret_recid = 0;
    *ret_blame = 0;
    QR_TRY(sum_shares(c, item, shares, &w, &u, ret_blame));
    if (qr_fq_is_zero(&u) || qr_fq_is_zero(&w))
        return QR_ERR_BAD_SIGNATURE;
    qr_fq_inv_var(&u, &u);
    qr_fq_mul(&s, &w, &u);
    if (qr_fq_is_high_var(&s)) {
        qr_fq_neg(&s, &s);
        recid ^= 1;
    }
    QR_VERIFY(!qr_fq_is_high_var(&s));
    qr_fq_put(sig, &item->rx);
    qr_fq_put(sig + 32, &s);
    /* Two independent roads to the same verdict: nothing unverified leaves. */
    QR_TRY(qr_ecdsa_verify(&c->pk, item->digest, sig));
    QR_TRY(qr_ecdsa_recover(&recovered, item->digest, sig, recid));
    if (!qr_pt_eq_var(&recovered, &c->pk))
        return QR_ERR_BAD_SIGNATURE;
    memcpy(ret_sig, sig, 64);
    *ret_recid = recid;
    return QR_OK;
}
