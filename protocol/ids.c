/* Identifiers; see ids.h. */
#include "protocol/ids.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"

uint16_t
qr_set_mask(const uint16_t *S, size_t t)
{
    unsigned mask = 0;
    for (size_t k = 0; k < t; k++)
        mask |= 1u << (S[k] - 1u);
    return (uint16_t)mask;
}

size_t
qr_set_put(const uint16_t *S, size_t t, uint8_t out[static 2 * QR_MAX_PARTIES])
{
    for (size_t k = 0; k < t; k++)
        qr_put16(out + 2 * k, S[k]);
    return 2 * t;
}

size_t
qr_set_find(const uint16_t *S, size_t t, uint16_t party)
{
    size_t k = 0;
    while (k < t && S[k] != party)
        k++;
    return k;
}

void
qr_grp(const uint16_t *S, size_t t, const uint8_t (*id)[32], const uint8_t (*measurement)[32],
       const uint8_t (*nonce)[32], uint8_t ret_grp[static 32])
{
    uint8_t member[QR_MAX_PARTIES][98];
    qr_view f[QR_MAX_PARTIES];

    QR_ASSERT(t >= 1 && t <= QR_MAX_PARTIES);
    for (size_t k = 0; k < t; k++) {
        qr_put16(member[k], S[k]);
        memcpy(member[k] + 2, id[k], 32);
        memcpy(member[k] + 34, measurement[k], 32);
        memcpy(member[k] + 66, nonce[k], 32);
        f[k] = qr_view_of(member[k], sizeof member[k]);
    }
    qr_th(QR_TAG_GRP, f, t, ret_grp);
}

void
qr_batch_sid(const struct qr_batch_id *b, uint8_t ret_sid[static 32])
{
    uint8_t epoch[4], set[2 * QR_MAX_PARTIES], initiator[2], ctr[8], B[2];

    QR_ASSERT(b->t <= QR_MAX_PARTIES);
    qr_put32(epoch, b->epoch);
    size_t set_len = qr_set_put(b->S, b->t, set);
    qr_put16(initiator, b->initiator);
    qr_put64(ctr, b->ctr);
    qr_put16(B, b->B);
    qr_th(QR_TAG_PRESIGN,
          QR_FIELDS(QR_F(b->key_id, 32), QR_F(b->dkg_sid, 32), QR_F(epoch, 4), QR_F(set, set_len),
                    QR_F(b->grp, 32), QR_F(initiator, 2), QR_F(ctr, 8), QR_F(b->nonce, 32),
                    QR_F(B, 2)),
          ret_sid);
}

void
qr_rsid(const uint8_t batch_sid[static 32], uint16_t alice, uint16_t bob,
        uint8_t ret_rsid[static 32])
{
    uint8_t a[2], b[2];

    qr_put16(a, alice);
    qr_put16(b, bob);
    qr_th(QR_TAG_RVOLE, QR_FIELDS(QR_F(batch_sid, 32), QR_F(a, 2), QR_F(b, 2)), ret_rsid);
}

void
qr_presig_id(const uint8_t batch_sid[static 32], uint16_t idx, uint8_t ret_id[static 34])
{
    memcpy(ret_id, batch_sid, 32);
    qr_put16(ret_id + 32, idx);
}

void
qr_key_id(const uint8_t pk[static 33], uint16_t n, uint16_t t, const uint8_t roster_hash[static 32],
          uint8_t ret_id[static 32])
{
    uint8_t n_be[2], t_be[2];

    qr_put16(n_be, n);
    qr_put16(t_be, t);
    qr_th(QR_TAG_KEY, QR_FIELDS(QR_F(pk, 33), QR_F(n_be, 2), QR_F(t_be, 2), QR_F(roster_hash, 32)),
          ret_id);
}
