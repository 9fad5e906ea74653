/*
 * libsodium's ristretto255 works on encodings: every call checks that its inputs are canonical and
 * returns non-zero if not; the scalar multiplications do so also when the result is the identity.
 */
#include "protocol/base_ot.h"

#include "protocol/base/hash.h"
#include "protocol/ct.h"

#include <sodium.h>

/* H_c(j, P): a group element whose discrete logarithm nobody knows. c may be secret. */
static void
hash_to_group(uint8_t ret[static 32], const uint8_t sid[static 32], uint16_t j, uint8_t c,
              const uint8_t p[static 32])
{
    uint8_t wide[64], j_be[2];

    qr_put16(j_be, j);
    qr_tb(QR_TAG_EOT_H, QR_FIELDS(QR_F(sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(p, 32)), wide);
    (void)crypto_core_ristretto255_from_hash(ret, wide); /* cannot fail */
    qr_wipe(wide, sizeof wide);
}

/* K_{j,c}; points: P_0 || P_1; c may be secret. */
static void
derive_key(struct qr_sec16 *ret, const uint8_t sid[static 32], uint16_t j, uint8_t c,
           const uint8_t points[static 64], const uint8_t y[static 32],
           const struct qr_sec32 *product)
{
    struct qr_sec32 k QR_WIPE(qr_sec32);
    uint8_t j_be[2];

    qr_put16(j_be, j);
    qr_th(QR_TAG_EOT_K,
          QR_FIELDS(QR_F(sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(points, 32),
                    QR_F(points + 32, 32), QR_F(y, 32), QR_F(product->b, 32)),
          k.b);
    memcpy(ret->b, k.b, 16);
}

/*
 * 1 if both points have bit 255 clear, as every canonical encoding has: libsodium 1.0.18 does not look
 * at that bit. All that a peer sent is judged, so that no choice bit is in the verdict.
 */
static int
top_bits_clear(const uint8_t points[static 64])
{
    return ((points[31] | points[63]) & 0x80) == 0;
}

static void
draw_scalar(struct qr_sec32 *ret, const struct qr_rng *rng)
{
    uint8_t wide[64];

    qr_rng_fill(rng, wide, sizeof wide);
    crypto_core_ristretto255_scalar_reduce(ret->b, wide);
    qr_wipe(wide, sizeof wide);
}

qr_err
qr_base_ot_request(const uint8_t sid[static 32], const struct qr_rng *rng,
                   struct qr_base_ot *ret_st, uint8_t ot1[static QR_OT1_LEN])
{
    struct qr_base_ot st QR_WIPE(qr_base_ot);
    struct qr_sec32 random QR_WIPE(qr_sec32), mine QR_WIPE(qr_sec32), h QR_WIPE(qr_sec32);
    uint8_t wide[64];
    int bad = 0;

    qr_rng_fill(rng, st.choice.b, sizeof st.choice.b);
    for (uint16_t j = 0; j < QR_OT_COUNT; j++) {
        uint64_t b = qr_ct_bit(st.choice.b, j);
        uint8_t *p = ot1 + 64u * j;

        draw_scalar(&st.t[j], rng);
        qr_rng_fill(rng, wide, sizeof wide);
        (void)crypto_core_ristretto255_from_hash(random.b, wide);
        hash_to_group(h.b, sid, j, (uint8_t)b, random.b);
        bad |= crypto_scalarmult_ristretto255_base(mine.b, st.t[j].b);
        bad |= crypto_core_ristretto255_sub(mine.b, mine.b, h.b);
        /* Which of the two is `mine` is the secret; the order is b's. */
        qr_ct_select(p, mine.b, random.b, 32, qr_ct_mask(b));
        qr_ct_select(p + 32, random.b, mine.b, 32, qr_ct_mask(b));
    }
    qr_wipe(wide, sizeof wide);
    if (bad)
        return QR_ERR_SETUP;
    *ret_st = st;
    return QR_OK;
}

/* One instance for Bob. */
static qr_err
answer_one(const uint8_t sid[static 32], uint16_t j, const uint8_t points[static 64],
           const struct qr_rng *rng, uint8_t ys[static 64], struct qr_sec16 key[static 2])
{
    struct qr_sec32 y QR_WIPE(qr_sec32), product QR_WIPE(qr_sec32);
    uint8_t m[32];

    for (uint8_t c = 0; c < 2; c++) {
        const uint8_t *own = points + 32 * c, *other = points + 32 * (1 - c);

        draw_scalar(&y, rng);
        hash_to_group(m, sid, j, c, other);
        if (crypto_core_ristretto255_add(m, own, m) != 0 ||
            crypto_scalarmult_ristretto255_base(ys + 32 * c, y.b) != 0 ||
            crypto_scalarmult_ristretto255(product.b, y.b, m) != 0)
            return QR_ERR_SETUP;
        derive_key(&key[c], sid, j, c, points, ys + 32 * c, &product);
    }
    return QR_OK;
}

qr_err
qr_base_ot_answer(const uint8_t sid[static 32], const uint8_t ot1[static QR_OT1_LEN],
                  const struct qr_rng *rng, uint8_t ot2[static QR_OT2_LEN],
                  struct qr_sec16 key[static 2 * QR_OT_COUNT])
{
    for (uint16_t j = 0; j < QR_OT_COUNT; j++)
        if (!top_bits_clear(ot1 + 64u * j))
            return QR_ERR_SETUP;
    for (uint16_t j = 0; j < QR_OT_COUNT; j++)
        QR_TRY(answer_one(sid, j, ot1 + 64u * j, rng, ot2 + 64u * j, key + 2u * j));
    return QR_OK;
}

qr_err
qr_base_ot_finish(const struct qr_base_ot *st, const uint8_t sid[static 32],
                  const uint8_t ot1[static QR_OT1_LEN], const uint8_t ot2[static QR_OT2_LEN],
                  struct qr_sec16 key[static QR_OT_COUNT])
{
    struct qr_sec32 product QR_WIPE(qr_sec32), y QR_WIPE(qr_sec32), unused QR_WIPE(qr_sec32);
    int bad = 0;

    for (uint16_t j = 0; j < QR_OT_COUNT; j++) {
        uint64_t b = qr_ct_bit(st->choice.b, j);
        const uint8_t *ys = ot2 + 64u * j;

        /*
         * Bob could spoil one point only and learn the bit from our verdict, so the unused one must
         * pass what the multiplication checks of the other: canonical, and not the identity (whose
         * encoding is all zeros). The verdict is the same for every bit, and it is the last step.
         */
        qr_ct_select(y.b, ys, ys + 32, 32, qr_ct_mask(b));
        qr_ct_select(unused.b, ys + 32, ys, 32, qr_ct_mask(b));
        bad |= !top_bits_clear(ys);
        bad |= crypto_core_ristretto255_is_valid_point(unused.b) != 1;
        bad |= sodium_is_zero(unused.b, 32);
        bad |= crypto_scalarmult_ristretto255(product.b, st->t[j].b, y.b);
        derive_key(&key[j], sid, j, (uint8_t)b, ot1 + 64u * j, y.b, &product);
    }
    return bad ? QR_ERR_SETUP : QR_OK;
}
