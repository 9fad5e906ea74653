/* Attacks on the machines of protocol/; see attacks.h. */
#include "test/common/attacks.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base_ot.h"
#include "protocol/pprf.h"
#include "test/common/cotref.h"
#include "test/common/liar.h"
#include "test/common/quorum.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define B 4

static struct quorum *
signers(uint16_t n, uint16_t t, const char *seed)
{
    struct quorum *q = quorum_new(n, t, seed);
    return quorum_pairs_all(q) == QR_OK && quorum_dkg(q) == QR_OK ? q : quorum_free(q);
}

/* ---- raw-hash forgery ---------------------------------------------------------------------- */

/* x(c*R) mod q; c NULL: of R. */
static void
rx_of(const uint8_t R33[static 33], const qr_fq *c, qr_fq *ret)
{
    uint8_t x[32];
    qr_pt R;
    int odd;

    QR_ASSERT(qr_pt_parse(&R, R33) == QR_OK);
    if (c != NULL)
        QR_ASSERT(qr_pt_mul_var(&R, &R, c) == QR_OK);
    qr_pt_xy(&R, x, &odd);
    qr_fq_reduce32(ret, x);
}

/* (rx(cR), s*rx(cR)/(c*rx)): 1 if it is a signature on `target`. */
static int
forged(const uint8_t pk33[static 33], const uint8_t R33[static 33], const qr_fq *c,
       const uint8_t target[static 32], const qr_fq *s)
{
    qr_fq rx, rxc, t, inv;
    uint8_t sig[64];

    rx_of(R33, NULL, &rx);
    rx_of(R33, c, &rxc);
    qr_fq_mul(&t, c, &rx);
    qr_fq_inv_var(&inv, &t);
    qr_fq_mul(&t, s, &rxc);
    qr_fq_mul(&t, &t, &inv);
    if (qr_fq_is_high_var(&t))
        qr_fq_neg(&t, &t);
    qr_fq_put(sig, &rxc);
    qr_fq_put(sig + 32, &t);
    return quorum_openssl_verify(pk33, target, sig);
}

/*
 * A member knows R of every presignature in its pool before the hash is chosen. For the message it
 * wants, with hash h*, and any c, it has the client's service sign h = h* * rx / rx(cR), and turns the
 * answer into a signature on its own message (CVE-2025-66017).
 */
enum attack_result
attack_raw_hash_forgery(char *said, size_t cap)
{
    static const uint16_t S[] = {1, 2};
    const uint8_t target[32] = "the message the attacker wants.";
    struct quorum *q = signers(2, 2, "raw-hash");
    enum attack_result result = ATTACK_BROKEN;
    qr_fq c, rx, rxc, inv, h, s;
    unsigned tries = 0;

    (void)snprintf(said, cap, "no quorum");
    if (q == NULL || quorum_presign(q, S, 2, B) != QR_OK)
        goto out;
    result = ATTACK_FAILED;
    for (size_t slot = 0; slot < B && result == ATTACK_FAILED; slot++) {
        struct quorum_input in = {.request_id = {1}, .rq = {2}};
        uint8_t R33[33], sig[64];
        const uint8_t *pk = q->party[1].key.pub.pk;
        uint16_t blame;
        int recid;

        memcpy(R33, q->party[1].presig[slot].R, 33);
        qr_fq_set_u64(&c, 987654321 + slot);
        rx_of(R33, NULL, &rx);
        rx_of(R33, &c, &rxc);
        qr_fq_inv_var(&inv, &rxc);
        qr_fq_reduce32(&h, target);
        qr_fq_mul(&h, &h, &rx);
        qr_fq_mul(&h, &h, &inv);
        qr_fq_put(in.digest, &h);
        if (quorum_sign(q, S, 2, slot, &in, NULL, NULL, sig, &recid, &blame) != QR_OK ||
            qr_fq_parse(&s, sig + 32) != QR_OK) {
            (void)snprintf(said, cap, "no signature on the chosen hash");
            result = ATTACK_BROKEN;
            break;
        }
        for (int turn = 0; turn < 2; turn++, tries++) {
            if (forged(pk, R33, &c, target, &s))
                result = ATTACK_SUCCEEDED;
            qr_fq_neg(&s, &s);
        }
        (void)snprintf(said, cap,
                       result == ATTACK_SUCCEEDED
                           ? "a signature that verifies on a message nobody was asked to sign"
                           : "%u forgeries from chosen hashes, none verifies",
                       tries);
    }
out:
    quorum_free(q);
    return result;
}

/* ---- base OTs under a hash with known logarithms ------------------------------------------- */

/* The logarithm of H_c(j, P), if H is a hash times the base point. */
static void
guessed_log(const uint8_t sid[static 32], uint16_t j, uint8_t c, const uint8_t p[static 32],
            uint8_t ret[static 32])
{
    uint8_t wide[64], j_be[2];

    qr_put16(j_be, j);
    qr_tb(QR_TAG_EOT_H, QR_FIELDS(QR_F(sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(p, 32)), wide);
    crypto_core_ristretto255_scalar_reduce(ret, wide);
}

/* K_{j,c} for a receiver who takes m for the logarithm of M_c. */
static void
guessed_key(const uint8_t sid[static 32], uint16_t j, uint8_t c, const uint8_t points[static 64],
            const uint8_t y[static 32], const uint8_t m[static 32], struct qr_sec16 *ret)
{
    uint8_t product[32], k[32], j_be[2];

    memset(ret, 0, sizeof *ret);
    if (crypto_scalarmult_ristretto255(product, m, y) != 0)
        return;
    qr_put16(j_be, j);
    qr_th(QR_TAG_EOT_K,
          QR_FIELDS(QR_F(sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(points, 32),
                    QR_F(points + 32, 32), QR_F(y, 32), QR_F(product, 32)),
          k);
    memcpy(ret->b, k, 16);
}

/*
 * A receiver who knows the logarithms of both her points. If those of the hash were known as well, she
 * would know both keys of each OT, hence all leaves of the sender's trees, hence his choice bits in
 * every batch.
 */
enum attack_result
attack_base_ot_known_dlog(char *said, size_t cap)
{
    static uint8_t ot1[QR_OT1_LEN], ot2[QR_OT2_LEN], logs[QR_OT_COUNT][2][32];
    static uint8_t pprf[QR_PPRF_LEN], cot[QR_COT_LEN(B)], scratch_mem[65536];
    static struct qr_sec16 key[2 * QR_OT_COUNT], mine[2 * QR_OT_COUNT];
    _Alignas(64) static struct qr_sec16 seed[16][256], stolen[16][256], rows[QR_COT_ROWS(B)];
    static struct qr_pprf_work work;
    static struct cotref f;
    uint8_t sid[32] = "the set-up of this demonstration", rsid[32] = "and a batch of it";
    uint8_t beta[QR_COT_BETA_LEN(B)], read[QR_COT_BETA_LEN(B)], zero[QR_COT_BETA_LEN(B)] = {0};
    const uint8_t *none[16];
    struct quorum_rng r;
    unsigned known = 0;

    struct qr_aes *aes = qr_hash_init() == QR_OK && qr_aes_init() == QR_OK ? qr_aes_new() : NULL;
    (void)snprintf(said, cap, "no libraries");
    if (aes == NULL || sizeof scratch_mem < qr_cot_scratch(B) + 64)
        return ATTACK_BROKEN;
    quorum_rng_seed(&r, "known logarithms");
    struct qr_rng rng = quorum_rng_of(&r);
    for (uint16_t j = 0; j < QR_OT_COUNT; j++)
        for (size_t c = 0; c < 2; c++) {
            uint8_t wide[64];
            qr_rng_fill(&rng, wide, 64);
            crypto_core_ristretto255_scalar_reduce(logs[j][c], wide);
            (void)crypto_scalarmult_ristretto255_base(ot1 + 64u * j + 32 * c, logs[j][c]);
        }
    /* the sender, honest: his keys, his trees, one batch with his choice bits */
    if (qr_base_ot_answer(sid, ot1, &rng, ot2, key) != QR_OK)
        return ATTACK_BROKEN;
    qr_pprf_build(sid, key, &work, pprf, seed);
    qr_rng_fill(&rng, beta, sizeof beta);
    uint8_t *scratch = scratch_mem + (64 - (uintptr_t)scratch_mem % 64) % 64;
    qr_cot_send(rsid, (const struct qr_sec16(*)[256])seed, B, beta, aes, scratch, cot, rows);

    /* the receiver */
    for (uint16_t j = 0; j < QR_OT_COUNT; j++)
        for (uint8_t c = 0; c < 2; c++) {
            uint8_t m[32];
            guessed_log(sid, j, c, ot1 + 64u * j + 32u * (1u - c), m);
            crypto_core_ristretto255_scalar_add(m, m, logs[j][c]);
            guessed_key(sid, j, c, ot1 + 64u * j, ot2 + 64u * j + 32u * c, m, &mine[2u * j + c]);
            known += memcmp(&mine[2u * j + c], &key[2u * j + c], 16) == 0;
        }
    qr_pprf_build(sid, mine, &work, pprf, stolen);
    for (size_t g = 0; g < 16; g++)
        none[g] = zero;
    cotref_bob(&f, aes, rsid, (const struct qr_sec16(*)[256])stolen, none);
    for (size_t i = 0; i < sizeof read; i++)
        read[i] = cot[i] ^ f.u[0][i];
    aes = qr_aes_free(aes);
    int bits = memcmp(read, beta, sizeof beta) == 0;
    (void)snprintf(said, cap, "%u of %u keys of the sender known to the receiver%s", known,
                   2 * QR_OT_COUNT, bits ? ", and every choice bit of his batch" : "");
    return known > QR_OT_COUNT || bits ? ATTACK_SUCCEEDED : ATTACK_FAILED;
}

/* ---- a signature that does not verify ------------------------------------------------------- */

static void
wrong_share(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN])
{
    const size_t *at = ctx;
    share[1][*at] ^= 1;
}

enum attack_result
attack_bad_signature(char *said, size_t cap)
{
    static const uint16_t S[] = {1, 2};
    static const size_t at[] = {63, 95, 40, 70}; /* w and u' */
    struct quorum *q = signers(2, 2, "bad-signature");
    enum attack_result result = ATTACK_BROKEN;
    unsigned refused = 0;

    (void)snprintf(said, cap, "no quorum");
    if (q == NULL || quorum_presign(q, S, 2, B) != QR_OK)
        goto out;
    result = ATTACK_FAILED;
    for (size_t slot = 0; slot < B; slot++) {
        struct quorum_input in = {.digest = {7}, .request_id = {1}, .rq = {2}};
        uint8_t sig[64];
        uint16_t blame;
        int recid;
        size_t where = at[slot];
        qr_err e = quorum_sign(q, S, 2, slot, &in, wrong_share, &where, sig, &recid, &blame);
        if (e == QR_OK && !quorum_openssl_verify(q->party[1].key.pub.pk, in.digest, sig))
            result = ATTACK_SUCCEEDED;
        else
            refused += e == QR_ERR_BAD_SIGNATURE;
    }
    (void)snprintf(said, cap,
                   result == ATTACK_SUCCEEDED
                       ? "the coordinator released bytes that are no signature (%u refused)"
                       : "%u wrong shares, nothing released",
                   refused);
    if (result == ATTACK_FAILED && refused != B)
        result = ATTACK_BROKEN;
out:
    quorum_free(q);
    return result;
}

/* ---- two stories about one batch ------------------------------------------------------------ */

enum attack_result
attack_split_view(char *said, size_t cap)
{
    static const uint16_t S[] = {1, 2, 3};
    struct quorum *q = signers(3, 3, "split-view");
    struct liars l;
    enum attack_result result = ATTACK_BROKEN;
    struct qr_batch_id id;

    (void)snprintf(said, cap, "no quorum");
    if (q == NULL)
        return result;
    quorum_batch_id(q, S, 3, B, &id);
    liars_start(&l, q, &id, 1);
    liars_run(&l);

    size_t n2 = 0, n3 = 0;
    const struct qr_presig *r2 = qr_presign_result(q->party[2].ps, &n2);
    const struct qr_presig *r3 = qr_presign_result(q->party[3].ps, &n3);
    if (r2 != NULL && r3 != NULL && memcmp(r2->id, r3->id, QR_PRESIG_ID_LEN) == 0 &&
        memcmp(r2->R, r3->R, 33) != 0) {
        result = ATTACK_SUCCEEDED;
        (void)snprintf(said, cap, "two honest parties hold one presignature id with two R");
    } else if (q->party[2].err != QR_OK && q->party[3].err != QR_OK) {
        result = ATTACK_FAILED;
        (void)snprintf(said, cap, "both members refused: %s, %s", qr_err_name(q->party[2].err),
                       qr_err_name(q->party[3].err));
    }
    liars_end(&l);
    quorum_free(q);
    return result;
}
