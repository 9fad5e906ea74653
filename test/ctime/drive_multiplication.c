/*
 * Pair set-up's halves, then one batch's extension and multiplication, each side with its secrets;
 * then the same with messages that must be refused: a refusal takes the same path up to its verdict.
 */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/aes.h"
#include "protocol/base_ot.h"
#include "protocol/cot.h"
#include "protocol/pprf.h"
#include "protocol/rvole.h"

#define B 4u

static const uint8_t sid[32] = {7}, rsid[32] = {9};

struct rig {
    uint8_t ot1[QR_OT1_LEN], ot2[QR_OT2_LEN], pprf[QR_PPRF_LEN];
    struct qr_base_ot st;
    struct qr_sec16 alice_key[QR_OT_COUNT], bob_key[2 * QR_OT_COUNT], delta;
    _Alignas(64) struct qr_sec16 alice_seed[16][256];
    _Alignas(64) struct qr_sec16 bob_seed[16][256];
    struct qr_pprf_work work;
    uint8_t beta[QR_COT_BETA_LEN(B)], msg[QR_COT_LEN(B)], payload[QR_RVOLE_LEN];
    _Alignas(64) struct qr_sec16 t[QR_COT_ROWS(B)];
    _Alignas(64) struct qr_sec16 q[QR_COT_ROWS(B)];
    _Alignas(64) uint8_t scratch[128 * 1024];
};

static struct rig rig;

static void
pair(struct rig *r)
{
    must(qr_base_ot_request(sid, secret_rng(), &r->st, r->ot1) == QR_OK, "base OT, request");
    poison_public(r->ot1, sizeof r->ot1);
    must(qr_base_ot_answer(sid, r->ot1, secret_rng(), r->ot2, r->bob_key) == QR_OK,
         "base OT, answer");
    poison_public(r->ot2, sizeof r->ot2);
    must(qr_base_ot_finish(&r->st, sid, r->ot1, r->ot2, r->alice_key) == QR_OK, "base OT, end");
    qr_pprf_build(sid, r->bob_key, &r->work, r->pprf, r->bob_seed);
    poison_public(r->pprf, sizeof r->pprf);
    must(qr_pprf_open(sid, &r->st.choice, r->alice_key, r->pprf, &r->work, r->alice_seed,
                      &r->delta) == QR_OK,
         "PPRF");

    /* one point of the answer is none, as bit 255 is never set; one tree's t~ is not Bob's: of a
     * correction Alice reads the half that her choice bit names, so that might go unseen */
    r->ot2[64 + 31] ^= 0x80;
    must(qr_base_ot_finish(&r->st, sid, r->ot1, r->ot2, r->alice_key) == QR_ERR_SETUP,
         "a bad point");
    r->ot2[64 + 31] ^= 0x80;
    must(qr_base_ot_finish(&r->st, sid, r->ot1, r->ot2, r->alice_key) == QR_OK, "base OT again");
    r->pprf[7 * 32 + 6] ^= 1;
    must(qr_pprf_open(sid, &r->st.choice, r->alice_key, r->pprf, &r->work, r->alice_seed,
                      &r->delta) == QR_ERR_SETUP,
         "a bad tree");
    r->pprf[7 * 32 + 6] ^= 1;
    must(qr_pprf_open(sid, &r->st.choice, r->alice_key, r->pprf, &r->work, r->alice_seed,
                      &r->delta) == QR_OK,
         "PPRF again");
}

static void
multiply(struct rig *r, struct qr_aes *aes)
{
    static qr_fq g[QR_XI];
    qr_fq in[2], a_hat, c[2], d[2], b, sum, product;
    struct qr_rvole v = {rsid, g, aes, r->scratch};

    qr_gadget(rsid, g);
    draw_scalar(&in[0]);
    draw_scalar(&in[1]);
    draw_scalar(&a_hat);
    qr_rvole_key(aes, rsid);
    qr_rvole_alice(&v, 0, r->q, &r->delta, in, &a_hat, r->payload, c);
    poison_public(r->payload, sizeof r->payload);
    qr_rvole_mask(g, r->beta, 0, &b);
    must(qr_rvole_bob(&v, 0, r->t, r->beta, r->payload, d) == QR_OK, "RVOLE");
    for (int i = 0; i < 2; i++) {
        qr_fq_add(&sum, &c[i], &d[i]);
        qr_fq_mul(&product, &in[i], &b);
        must(qr_fq_eq(&sum, &product), "product");
    }
    r->payload[100] ^= 1;
    must(qr_rvole_bob(&v, 0, r->t, r->beta, r->payload, d) == QR_ERR_CHECK, "C2 must refuse");
    memset(r->payload, 0xff, 32);
    must(qr_rvole_bob(&v, 0, r->t, r->beta, r->payload, d) == QR_ERR_SCALAR, "no scalar");
}

void
drive_multiplication(void)
{
    struct rig *r = &rig;
    struct qr_aes *aes = qr_aes_new();

    must(aes != NULL, "AES");
    must(qr_cot_scratch(B) <= sizeof r->scratch && qr_rvole_scratch() <= sizeof r->scratch, "room");
    pair(r);
    draw(r->beta, sizeof r->beta);
    qr_cot_send(rsid, (const struct qr_sec16(*)[256])r->bob_seed, B, r->beta, aes, r->scratch,
                r->msg, r->t);
    poison_public(r->msg, sizeof r->msg);
    /* C1 fails; then it holds */
    r->msg[sizeof r->msg - 1] ^= 1;
    must(qr_cot_recv(rsid, (const struct qr_sec16(*)[256])r->alice_seed, &r->delta, B, r->msg, aes,
                     r->scratch, r->q) == QR_ERR_CHECK,
         "C1 must refuse");
    r->msg[sizeof r->msg - 1] ^= 1;
    must(qr_cot_recv(rsid, (const struct qr_sec16(*)[256])r->alice_seed, &r->delta, B, r->msg, aes,
                     r->scratch, r->q) == QR_OK,
         "COT");
    multiply(r, aes);
    qr_aes_free(aes);
}
