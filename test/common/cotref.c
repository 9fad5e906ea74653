/* See cotref.h. */
#include "test/common/cotref.h"

#include "protocol/base/hash.h"
#include "protocol/gf128.h"

#include <string.h>

void
cotref_combine(const struct cotref *f, const uint8_t *row, uint8_t ret[static 16])
{
    const size_t m = QR_COT_BITS(4) / 128;
    qr_gf128_combine_portable(ret, f->chi, row, 16, m, row + 16 * m);
}

/* PRG(seed): blocks AES_K(s ^ <j>) ^ s ^ <j>. */
static void
prg(struct qr_aes *aes, const struct qr_sec16 *seed, uint8_t out[static COTREF_ROW])
{
    uint8_t in[COTREF_ROW];

    for (size_t j = 0; j < COTREF_ROW / 16; j++) {
        memcpy(in + 16 * j, seed, 16);
        in[16 * j + 15] ^= (uint8_t)j;
    }
    qr_aes_blocks(aes, in, out, COTREF_ROW / 16);
    for (size_t i = 0; i < COTREF_ROW; i++)
        out[i] ^= in[i];
}

void
cotref_bob(struct cotref *f, struct qr_aes *aes, const uint8_t rsid[static 32],
           const struct qr_sec16 (*seed)[256], const uint8_t *const bits[16])
{
    uint8_t k[32], r[COTREF_ROW];

    qr_th(QR_TAG_K_PRG, QR_FIELDS(QR_F(rsid, 32)), k);
    qr_aes_key(aes, k);
    memset(f->v, 0, sizeof f->v);
    for (size_t g = 0; g < 16; g++) {
        memcpy(f->u[g], bits[g], COTREF_ROW);
        for (size_t x = 0; x < 256; x++) {
            prg(aes, &seed[g][x], r);
            for (size_t i = 0; i < COTREF_ROW; i++)
                f->u[g][i] ^= r[i];
            for (size_t b = 0; b < 8; b++)
                for (size_t i = 0; (x >> b & 1) && i < COTREF_ROW; i++)
                    f->v[8 * g + b][i] ^= r[i];
        }
    }
    qr_tx(QR_TAG_CHI, QR_FIELDS(QR_F(rsid, 32), QR_F(f->u, sizeof f->u)), f->chi, sizeof f->chi);
    for (size_t i = 0; i < 128; i++)
        cotref_combine(f, f->v[i], f->combined[i]);
}

void
cotref_hash(struct cotref *f, const uint8_t rsid[static 32])
{
    qr_th(QR_TAG_OT_CHK, QR_FIELDS(QR_F(rsid, 32), QR_F(f->combined, sizeof f->combined)), f->h);
}

void
cotref_message(const struct cotref *f, uint8_t *out)
{
    memcpy(out, f->u, sizeof f->u);
    memcpy(out + sizeof f->u, f->x, 16);
    memcpy(out + sizeof f->u + 16, f->h, 32);
}

void
cotref_cheat(struct cotref *f, struct qr_aes *aes, const uint8_t rsid[static 32],
             const struct qr_sec16 (*seed)[256], const uint8_t *beta, size_t g, const uint8_t *e,
             unsigned guess, uint8_t *out)
{
    uint8_t other[COTREF_ROW], e_combined[16];
    const uint8_t *bits[16];

    for (size_t i = 0; i < sizeof other; i++)
        other[i] = beta[i] ^ e[i];
    for (size_t i = 0; i < 16; i++)
        bits[i] = i == g ? other : beta;
    cotref_bob(f, aes, rsid, seed, bits);
    cotref_combine(f, beta, f->x);
    cotref_combine(f, e, e_combined);
    for (size_t b = 0; b < 8; b++)
        for (size_t i = 0; (guess >> b & 1) && i < 16; i++)
            f->combined[8 * g + b][i] ^= e_combined[i];
    cotref_hash(f, rsid);
    cotref_message(f, out);
}
