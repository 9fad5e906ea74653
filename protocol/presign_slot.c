/* Presigning, the arithmetic of one slot; see presign_int.h and SPEC.md sections 4, 6 and 8. */
#include "protocol/presign_int.h"

#include "protocol/base/hash.h"
#include "protocol/cot.h"
#include "protocol/rvole.h"
#include "protocol/zero.h"

#include <string.h>

/* One slot of PRESIGN2. */
#define AT_R 0u
#define AT_PK 33u
#define AT_GU 66u
#define AT_GV 99u
#define AT_PSI 132u
#define AT_PAYLOAD 164u
_Static_assert(AT_PAYLOAD + QR_RVOLE_LEN == QR_PRESIGN2_SLOT_LEN, "the layout fills the slot");

/* TS("hedge"; drawn 64, x_i, batch_sid, u16 idx, u8 which): safe if either input is. */
static qr_err
hedged_scalar(const struct qr_presign *p, const uint8_t drawn[static 64], uint16_t idx,
              uint8_t which, qr_fq *ret)
{
    struct qr_sec32 x QR_WIPE(qr_sec32);
    uint8_t idx_be[2], wide[64];

    qr_fq_put(x.b, &p->key->share);
    qr_put16(idx_be, idx);
    qr_tb(QR_TAG_HEDGE,
          QR_FIELDS(QR_F(drawn, 64), QR_F(x.b, 32), QR_F(p->batch_sid, 32), QR_F(idx_be, 2),
                    QR_F(&which, 1)),
          wide);
    qr_fq_reduce64(ret, wide);
    qr_wipe(wide, sizeof wide);
    /* probability 2^-256; whether a nonce is zero would be public anyway */
    return qr_fq_is_zero(ret) ? QR_ERR_INFINITY : QR_OK;
}

qr_err
qr_ps_draw(struct qr_presign *p, const struct qr_rng *rng)
{
    uint8_t drawn[128], self[2];
    qr_err err = QR_OK;

    for (uint16_t idx = 0; idx < p->B && err == QR_OK; idx++) {
        struct qr_ps_own *o = &p->own[idx];

        qr_rng_fill(rng, drawn, 64);
        qr_rng_fill(rng, drawn + 64, 64);
        err = hedged_scalar(p, drawn, idx, 0, &o->r);
        if (err == QR_OK)
            err = hedged_scalar(p, drawn + 64, idx, 1, &o->phi);
        if (err == QR_OK)
            err = qr_pt_mul_base(&o->R, &o->r);
        if (err == QR_OK)
            qr_pt_put(p->R33 + 33u * idx, &o->R);
        o->c_u = qr_fq_zero;
        o->c_v = qr_fq_zero;
    }
    qr_wipe(drawn, sizeof drawn);
    QR_TRY(err);
    qr_rng_fill(rng, p->salt, 32);
    qr_put16(self, p->self);
    qr_th(QR_TAG_COM_R,
          QR_FIELDS(QR_F(p->batch_sid, 32), QR_F(self, 2), QR_F(p->R33, 33u * p->B),
                    QR_F(p->salt, 32)),
          p->com);
    return QR_OK;
}

static struct qr_rvole
rvole_of(struct qr_presign *p, const uint8_t *rsid, const qr_fq *g)
{
    qr_rvole_key(p->aes, rsid);
    return (struct qr_rvole){.rsid = rsid, .g = g, .aes = p->aes, .scratch = p->scratch};
}

/* sk_i = lambda_i*x_i + zeta_i(idx), and its point. */
static qr_err
additive_share(struct qr_presign *p, uint16_t idx)
{
    const struct qr_sec32 *z[QR_MAX_PARTIES] = {NULL};
    struct qr_ps_own *o = &p->own[idx];
    qr_fq zeta QR_WIPE(qr_fq);

    for (size_t k = 0; k < p->t; k++)
        for (uint16_t i = 0; i < p->n_peers; i++)
            if (p->peer[i].party == p->S[k])
                z[k] = &qr_ps_keys(&p->peer[i])->zero_seed;
    qr_zero_share(z, p->S, p->t, p->self, p->batch_sid, idx, &zeta);
    qr_fq_mul(&o->sk, &p->lambda, &p->key->share);
    qr_fq_add(&o->sk, &o->sk, &zeta);
    return qr_pt_mul_base(&o->pk, &o->sk);
}

/* One slot of the message to one peer: the multiplication as Alice, and what C3 will need. */
static qr_err
fill_slot(struct qr_presign *p, struct qr_ps_peer *j, uint16_t idx, const uint8_t pk33[static 33],
          const struct qr_rng *rng)
{
    struct qr_ps_own *o = &p->own[idx];
    uint8_t *slot = j->out2 + 64 + (size_t)idx * QR_PRESIGN2_SLOT_LEN;
    qr_fq a[2] = {o->r, o->sk}, c[2], a_hat, psi;
    uint8_t wide[64];
    qr_pt gamma;
    qr_err err;

    qr_rng_fill(rng, wide, sizeof wide);
    qr_fq_reduce64(&a_hat, wide);
    struct qr_rvole v = rvole_of(p, j->rsid_a, j->g_a);
    qr_rvole_alice(&v, idx, j->rows_q, &qr_ps_keys(j)->delta, a, &a_hat, slot + AT_PAYLOAD, c);
    qr_fq_add(&o->c_u, &o->c_u, &c[0]);
    qr_fq_add(&o->c_v, &o->c_v, &c[1]);
    memcpy(slot + AT_R, p->R33 + 33u * idx, 33);
    memcpy(slot + AT_PK, pk33, 33);
    err = qr_pt_mul_base(&gamma, &c[0]);
    if (err == QR_OK) {
        qr_pt_put(slot + AT_GU, &gamma);
        err = qr_pt_mul_base(&gamma, &c[1]);
    }
    if (err == QR_OK) {
        qr_pt_put(slot + AT_GV, &gamma);
        qr_rvole_mask(j->g_b, j->beta, idx, &j->chi[idx]);
        qr_fq_sub(&psi, &o->phi, &j->chi[idx]);
        qr_fq_put(slot + AT_PSI, &psi);
    }
    qr_wipe(wide, sizeof wide);
    qr_wipe(a, sizeof a);
    qr_wipe(c, sizeof c);
    qr_wipe(&a_hat, sizeof a_hat);
    return err;
}

qr_err
qr_ps_fill(struct qr_presign *p, uint16_t idx, const struct qr_rng *rng)
{
    uint8_t pk33[33];

    QR_TRY(additive_share(p, idx));
    qr_pt_put(pk33, &p->own[idx].pk);
    for (uint16_t k = 0; k < p->n_peers; k++)
        QR_TRY(fill_slot(p, &p->peer[k], idx, pk33, rng));
    return QR_OK;
}

qr_err
qr_ps_parse(struct qr_presign *p, struct qr_ps_peer *j)
{
    const uint8_t *m = j->msg2.p;
    uint8_t R33[33u * QR_BATCH_MAX], com[32], party[2];

    for (uint16_t idx = 0; idx < p->B; idx++) {
        const uint8_t *slot = m + 64 + (size_t)idx * QR_PRESIGN2_SLOT_LEN;
        struct qr_ps_points *pt = &j->pts[idx];

        QR_TRY(qr_pt_parse(&pt->R, slot + AT_R));
        QR_TRY(qr_pt_parse(&pt->pk, slot + AT_PK));
        QR_TRY(qr_pt_parse(&pt->gamma_u, slot + AT_GU));
        QR_TRY(qr_pt_parse(&pt->gamma_v, slot + AT_GV));
        QR_TRY(qr_fq_parse(&pt->psi, slot + AT_PSI));
        memcpy(R33 + 33u * idx, slot + AT_R, 33);
    }
    if (memcmp(m + 32, p->view, 32) != 0)
        return QR_ERR_EQUIVOCATION;
    qr_put16(party, j->party);
    qr_th(QR_TAG_COM_R,
          QR_FIELDS(QR_F(p->batch_sid, 32), QR_F(party, 2), QR_F(R33, 33u * p->B), QR_F(m, 32)),
          com);
    return memcmp(com, j->com, 32) == 0 ? QR_OK : QR_ERR_COMMITMENT;
}

/* chi*P == d*G + Gamma: 1 if not. A point at infinity can only come from a cheat and is one. */
static unsigned
c3_fails(const qr_fq *chi, const qr_pt *P, const qr_fq *d, const qr_pt *gamma)
{
    qr_pt lhs, rhs;
    unsigned bad = 0;

    /* every operand exists whatever fails, so that the work is the same */
    lhs = rhs = *P;
    bad |= qr_pt_mul(&lhs, P, chi) != QR_OK;
    bad |= qr_pt_mul_base(&rhs, d) != QR_OK;
    bad |= qr_pt_add(&rhs, &rhs, gamma) != QR_OK;
    bad |= (unsigned)!qr_pt_eq(&lhs, &rhs);
    qr_wipe(&lhs, sizeof lhs);
    qr_wipe(&rhs, sizeof rhs);
    return bad;
}

/* C2 and C3 of one peer and slot: verdicts are gathered, never acted upon here. */
static void
check_slot(struct qr_presign *p, struct qr_ps_peer *j, uint16_t idx, qr_fq *sum_u, qr_fq *sum_v)
{
    const struct qr_ps_points *pt = &j->pts[idx];
    const uint8_t *payload = j->msg2.p + 64 + (size_t)idx * QR_PRESIGN2_SLOT_LEN + AT_PAYLOAD;
    qr_fq d[2] = {qr_fq_one, qr_fq_one};

    struct qr_rvole v = rvole_of(p, j->rsid_b, j->g_b);
    qr_err err = qr_rvole_bob(&v, idx, j->rows_t, j->beta, payload, d);
    j->malformed |= err == QR_ERR_SCALAR;
    j->failed |= err != QR_OK && err != QR_ERR_SCALAR;
    unsigned c3 = c3_fails(&j->chi[idx], &pt->R, &d[0], &pt->gamma_u);
    c3 |= c3_fails(&j->chi[idx], &pt->pk, &d[1], &pt->gamma_v);
    /* without a readable payload there is no d, and C3 says nothing about the peer */
    j->failed |= c3 & (unsigned)(err != QR_ERR_SCALAR);
    qr_fq_add(sum_u, sum_u, &d[0]);
    qr_fq_add(sum_v, sum_v, &d[1]);
    qr_wipe(d, sizeof d);
}

void
qr_ps_finish(struct qr_presign *p, uint16_t idx)
{
    struct qr_ps_own *o = &p->own[idx];
    struct qr_presig *out = &p->result[idx];
    const qr_pt *R[QR_MAX_PARTIES] = {&o->R}, *pk[QR_MAX_PARTIES] = {&o->pk};
    qr_fq phi QR_WIPE(qr_fq) = o->phi;
    qr_fq sum_u QR_WIPE(qr_fq) = o->c_u;
    qr_fq sum_v QR_WIPE(qr_fq) = o->c_v;
    qr_pt sum;

    for (uint16_t k = 0; k < p->n_peers; k++) {
        struct qr_ps_peer *j = &p->peer[k];

        check_slot(p, j, idx, &sum_u, &sum_v);
        qr_fq_add(&phi, &phi, &j->pts[idx].psi);
        R[k + 1u] = &j->pts[idx].R;
        pk[k + 1u] = &j->pts[idx].pk;
    }
    if (qr_pt_sum(&sum, pk, p->t) != QR_OK || !qr_pt_eq_var(&sum, &p->pk))
        p->sum_bad = 1;
    if (qr_pt_sum(&sum, R, p->t) != QR_OK)
        p->infinity = 1;
    else
        qr_pt_put(out->R, &sum);
    qr_presig_id(p->batch_sid, idx, out->id);
    out->set_mask = qr_set_mask(p->S, p->t);
    out->phi = o->phi;
    qr_fq_mul(&out->u, &o->r, &phi);
    qr_fq_add(&out->u, &out->u, &sum_u);
    qr_fq_mul(&out->v, &o->sk, &phi);
    qr_fq_add(&out->v, &out->v, &sum_v);
}
