/* The key record; see key.h. */
#include "protocol/key.h"

#include "protocol/base/buf.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "protocol/ids.h"
#include "protocol/poly.h"

#include <sodium.h>
#include <string.h>

#define RECORD_VERSION 1
#define RECORD_FIXED (1u + 1u + 2u + 2u + 2u + 1u + 4u + 32u + 33u + 5u * 32u + 32u)
#define RECORD_PARTY (32u + 33u + 64u)
_Static_assert(RECORD_FIXED + QR_MAX_PARTIES * RECORD_PARTY <= QR_KEY_RECORD_MAX,
               "the largest record fits");

#define FLAGS_KNOWN QR_KEY_INSECURE_SIM

void
qr_key_out(const struct qr_key_pub *k, uint8_t ret_out[static 32])
{
    uint8_t t[2], n[2], epoch[4];

    QR_ASSERT(k->n <= QR_MAX_PARTIES);
    qr_put16(t, k->t);
    qr_put16(n, k->n);
    qr_put32(epoch, k->epoch);
    qr_th(QR_TAG_DKG_OUT,
          QR_FIELDS(QR_F(k->dkg_sid, 32), QR_F(k->key_id, 32), QR_F(k->pk, 33),
                    QR_F(k->P, 33u * k->n), QR_F(k->cc, 32), QR_F(t, 2), QR_F(n, 2), QR_F(epoch, 4),
                    QR_F(k->cluster, 32), QR_F(k->admin_hash, 32), QR_F(k->roster_hash, 32),
                    QR_F(&k->flags, 1)),
          ret_out);
}

/* What needs no curve arithmetic: ranges, flags, key_id. */
static qr_err
check_shape(const struct qr_key_pub *k)
{
    uint8_t id[32];

    if (k->n > QR_MAX_PARTIES || k->t < QR_MIN_THRESHOLD || k->t > k->n)
        return QR_ERR_SET;
    if ((k->flags & ~FLAGS_KNOWN) != 0)
        return QR_ERR_SET;
    qr_key_id(k->pk, k->n, k->t, k->roster_hash, id);
    return memcmp(id, k->key_id, 32) == 0 ? QR_OK : QR_ERR_SET;
}

/*
 * pk and P_1..P_{t-1} fix one polynomial of degree t-1; each further P_j lies on it exactly if the
 * set {1..t-1, j} interpolates to pk at 0. So any t shares make the key, as the threshold promises.
 */
static qr_err
check_points(const struct qr_key_pub *k)
{
    qr_pt pk, P[QR_MAX_PARTIES], term[QR_MAX_PARTIES], sum;
    const qr_pt *terms[QR_MAX_PARTIES];
    uint16_t set[QR_MAX_PARTIES];

    QR_TRY(qr_pt_parse(&pk, k->pk));
    for (uint16_t j = 0; j < k->n; j++)
        QR_TRY(qr_pt_parse(&P[j], k->P[j]));
    for (uint16_t j = k->t; j <= k->n; j++) {
        for (uint16_t i = 0; i < k->t; i++) {
            set[i] = (uint16_t)(i + 1u);
            terms[i] = &term[i];
        }
        set[k->t - 1u] = j;
        for (uint16_t i = 0; i < k->t; i++) {
            qr_fq lambda;
            QR_TRY(qr_lagrange_at_zero(set, k->t, set[i], &lambda));
            QR_TRY(qr_pt_mul_var(&term[i], &P[set[i] - 1u], &lambda));
        }
        if (qr_pt_sum(&sum, terms, k->t) != QR_OK || !qr_pt_eq_var(&sum, &pk))
            return QR_ERR_SUM;
    }
    return QR_OK;
}

qr_err
qr_key_check(const struct qr_key_pub *k, uint16_t *ret_party)
{
    uint8_t out[32];

    *ret_party = 0;
    QR_TRY(check_shape(k));
    QR_TRY(check_points(k));
    qr_key_out(k, out);
    for (uint16_t j = 0; j < k->n; j++) {
        int twice = 0;

        /* one identity confirming for two indices would be one party holding two shares */
        for (uint16_t i = 0; i < j; i++)
            twice |= memcmp(k->id[i], k->id[j], 32) == 0;
        if (twice || crypto_sign_verify_detached(k->confirm[j], out, sizeof out, k->id[j]) != 0) {
            *ret_party = (uint16_t)(j + 1u);
            return QR_ERR_IDENTITY;
        }
    }
    return QR_OK;
}

qr_err
qr_key_check_share(const struct qr_key *k)
{
    qr_pt mine, pub;

    if (k->self < 1 || k->self > k->pub.n || k->pub.n > QR_MAX_PARTIES)
        return QR_ERR_SET;
    QR_TRY(qr_pt_parse(&pub, k->pub.P[k->self - 1u]));
    QR_TRY(qr_pt_mul_base(&mine, &k->share));
    return qr_pt_eq(&mine, &pub) ? QR_OK : QR_ERR_SHARE;
}

size_t
qr_key_encode(const struct qr_key *k, uint8_t out[static QR_KEY_RECORD_MAX])
{
    const struct qr_key_pub *p = &k->pub;
    struct qr_buf b = qr_buf_over(out, QR_KEY_RECORD_MAX);
    uint8_t share[32];

    QR_ASSERT(p->n <= QR_MAX_PARTIES);
    qr_buf_put8(&b, RECORD_VERSION);
    qr_buf_put8(&b, (uint8_t)k->state);
    qr_buf_put16(&b, p->n);
    qr_buf_put16(&b, p->t);
    qr_buf_put16(&b, k->self);
    qr_buf_put8(&b, p->flags);
    qr_buf_put32(&b, p->epoch);
    qr_buf_put(&b, p->key_id, 32);
    qr_buf_put(&b, p->pk, 33);
    qr_buf_put(&b, p->cc, 32);
    qr_buf_put(&b, p->dkg_sid, 32);
    qr_buf_put(&b, p->cluster, 32);
    qr_buf_put(&b, p->admin_hash, 32);
    qr_buf_put(&b, p->roster_hash, 32);
    qr_fq_put(share, &k->share);
    qr_buf_put(&b, share, 32);
    qr_wipe(share, sizeof share);
    for (uint16_t j = 0; j < p->n; j++) {
        qr_buf_put(&b, p->id[j], 32);
        qr_buf_put(&b, p->P[j], 33);
        qr_buf_put(&b, p->confirm[j], 64);
    }
    QR_ASSERT(b.err == QR_OK);
    return b.len;
}

static void
qr_wipe_key(struct qr_key *k)
{
    qr_wipe(k, sizeof *k);
}

/* Everything decode promises about a record that has the right length. */
static qr_err
check_decoded(const struct qr_key *k)
{
    qr_pt pt;

    if (k->state != QR_KEY_PENDING && k->state != QR_KEY_ACTIVE)
        return QR_ERR_MALFORMED;
    if (k->self < 1 || k->self > k->pub.n || qr_fq_is_zero(&k->share))
        return QR_ERR_SET;
    QR_TRY(check_shape(&k->pub));
    QR_TRY(qr_pt_parse(&pt, k->pub.pk));
    for (uint16_t j = 0; j < k->pub.n; j++)
        QR_TRY(qr_pt_parse(&pt, k->pub.P[j]));
    return QR_OK;
}

qr_err
qr_key_decode(qr_view v, struct qr_key *ret)
{
    struct qr_key k QR_WIPE(key);
    struct qr_key_pub *p = &k.pub;
    struct qr_buf b = qr_buf_read(v);

    memset(&k, 0, sizeof k);
    uint8_t version = qr_buf_get8(&b);
    if (b.err == QR_OK && version != RECORD_VERSION)
        return QR_ERR_VERSION;
    k.state = (enum qr_key_state)qr_buf_get8(&b);
    p->n = qr_buf_get16(&b);
    if (p->n > QR_MAX_PARTIES)
        return QR_ERR_SET;
    p->t = qr_buf_get16(&b);
    k.self = qr_buf_get16(&b);
    p->flags = qr_buf_get8(&b);
    p->epoch = qr_buf_get32(&b);
    qr_buf_get(&b, p->key_id, 32);
    qr_buf_get(&b, p->pk, 33);
    qr_buf_get(&b, p->cc, 32);
    qr_buf_get(&b, p->dkg_sid, 32);
    qr_buf_get(&b, p->cluster, 32);
    qr_buf_get(&b, p->admin_hash, 32);
    qr_buf_get(&b, p->roster_hash, 32);
    /* the share is parsed where it lies: no copy to wipe */
    qr_view share = qr_buf_take(&b, 32);
    for (uint16_t j = 0; j < p->n; j++) {
        qr_buf_get(&b, p->id[j], 32);
        qr_buf_get(&b, p->P[j], 33);
        qr_buf_get(&b, p->confirm[j], 64);
    }
    QR_TRY(qr_buf_end(&b));
    QR_TRY(qr_fq_parse(&k.share, share.p));
    QR_TRY(check_decoded(&k));
    *ret = k;
    return QR_OK;
}
