/* Key generation; see dkg.h and SPEC.md section 7. */
#include "protocol/dkg.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/ids.h"
#include "protocol/poly.h"

#include <sodium.h>
#include <string.h>

/* The broadcast part of DKG2: F || cc || R || z || salt || echo1. */
#define AT_CC(t) (33u * (size_t)(t))
#define AT_POK_R(t) (AT_CC(t) + 32u)
#define AT_POK_Z(t) (AT_POK_R(t) + 33u)
#define AT_SALT(t) (AT_POK_Z(t) + 32u)
#define AT_ECHO(t) (AT_SALT(t) + 32u)
#define BCAST_MAX QR_DKG2_BCAST_LEN(QR_MAX_PARTIES)
_Static_assert(AT_ECHO(QR_MAX_PARTIES) + 32u == BCAST_MAX, "the layout fills the message");

enum phase {
    NEW = 0,    /* nothing sent */
    ROUND1 = 1, /* DKG1 sent; the number is the round whose messages we wait for */
    ROUND2 = 2, /* DKG2 sent */
    ROUND3 = 3, /* DKG3 sent */
    READY,      /* key computed, all statuses zero; waiting for qr_dkg_confirm */
    CONFIRMED,  /* DKG4 sent */
    DONE,
    FAILED,
};

struct qr_dkg {
    struct qr_dkg_params prm;
    uint8_t sid[32];
    enum phase phase;
    uint16_t have[5];   /* [r]: who sent round r, bit j-1; self when our own is made */
    uint16_t confirmed; /* whose DKG4 verified */

    /* secret: the polynomial, what each dealer gave us */
    qr_fq coef[QR_MAX_PARTIES];
    qr_fq dealt[QR_MAX_PARTIES];

    /* contiguous as the echoes hash them: u16 j || value */
    uint8_t com[QR_MAX_PARTIES][2 + 32];
    uint8_t bcast[QR_MAX_PARTIES * (2 + BCAST_MAX)];
    uint8_t share_in[QR_MAX_PARTIES][32]; /* secret */
    uint8_t r3[QR_MAX_PARTIES][QR_DKG3_LEN];
    uint8_t r4[QR_MAX_PARTIES][QR_DKG4_LEN];
    uint8_t echo1[32], echo2[32], out[32];

    qr_pt F[QR_MAX_PARTIES][QR_MAX_PARTIES]; /* [dealer][coefficient] */
    struct qr_key key;
};

static uint16_t
bit(uint16_t party)
{
    return (uint16_t)(1u << (party - 1u));
}

static int
have_all(const struct qr_dkg *d, unsigned round)
{
    return d->have[round] == (uint16_t)((1u << d->prm.n) - 1u);
}

/* u16 j || broadcast part of j, of 2 + QR_DKG2_BCAST_LEN(t) bytes. */
static uint8_t *
bcast_of(struct qr_dkg *d, uint16_t j)
{
    uint8_t *p = d->bcast + (size_t)(j - 1u) * (2u + QR_DKG2_BCAST_LEN(d->prm.t));
    return p + 2;
}

size_t
qr_dkg_size(void)
{
    return sizeof(struct qr_dkg);
}

void
qr_dkg_sid(const struct qr_dkg_params *p, uint8_t ret_sid[static 32])
{
    uint16_t all[QR_MAX_PARTIES];
    uint8_t grp[32], t[2], n[2];

    for (uint16_t j = 0; j < QR_MAX_PARTIES; j++)
        all[j] = (uint16_t)(j + 1u);
    qr_grp(all, p->n, p->id, p->measurement, p->nonce, grp);
    qr_put16(t, p->t);
    qr_put16(n, p->n);
    qr_th(QR_TAG_DKG,
          QR_FIELDS(QR_F(p->cluster, 32), QR_F(p->roster_hash, 32), QR_F(p->admin_hash, 32),
                    QR_F(p->command_hash, 32), QR_F(t, 2), QR_F(n, 2), QR_F(grp, 32)),
          ret_sid);
}

qr_err
qr_dkg_init(void *mem, const struct qr_dkg_params *p, struct qr_dkg **ret)
{
    struct qr_dkg *d = mem;

    if (p->n > QR_MAX_PARTIES || p->t < QR_MIN_THRESHOLD || p->t > p->n || p->self < 1 ||
        p->self > p->n)
        return QR_ERR_SET;
    for (uint16_t j = 1; j < p->n; j++)
        for (uint16_t i = 0; i < j; i++)
            if (memcmp(p->id[i], p->id[j], 32) == 0)
                return QR_ERR_SET;
    memset(d, 0, sizeof *d);
    d->prm = *p;
    d->phase = NEW;
    qr_dkg_sid(p, d->sid);
    *ret = d;
    return QR_OK;
}

void
qr_dkg_wipe(struct qr_dkg *d)
{
    qr_wipe(d, sizeof *d);
    d->phase = FAILED;
}

static void
cancel_all(struct qr_dkg *d, const struct qr_outbox *out, uint8_t *const *msg)
{
    for (uint16_t j = 1; j <= d->prm.n; j++)
        if (msg[j - 1u] != NULL)
            out->cancel(out->ctx, j, msg[j - 1u]);
}

/* Room for one message to every peer, or none at all. */
static qr_err
reserve_all(struct qr_dkg *d, const struct qr_outbox *out, enum qr_msg type, size_t len,
            uint8_t *msg[static QR_MAX_PARTIES])
{
    memset(msg, 0, QR_MAX_PARTIES * sizeof *msg);
    for (uint16_t j = 1; j <= d->prm.n; j++) {
        if (j == d->prm.self)
            continue;
        msg[j - 1u] = out->reserve(out->ctx, j, type, 0, d->sid, len);
        if (msg[j - 1u] == NULL) {
            cancel_all(d, out, msg);
            return QR_ERR_BACKPRESSURE;
        }
    }
    return QR_OK;
}

static void
commit_all(struct qr_dkg *d, const struct qr_outbox *out, uint8_t *const *msg)
{
    for (uint16_t j = 1; j <= d->prm.n; j++)
        if (msg[j - 1u] != NULL)
            out->commit(out->ctx, j, msg[j - 1u]);
}

static qr_err
broadcast(struct qr_dkg *d, const struct qr_outbox *out, enum qr_msg type, const uint8_t *p,
          size_t len)
{
    uint8_t *msg[QR_MAX_PARTIES];

    QR_TRY(reserve_all(d, out, type, len, msg));
    for (uint16_t j = 1; j <= d->prm.n; j++)
        if (msg[j - 1u] != NULL)
            memcpy(msg[j - 1u], p, len);
    commit_all(d, out, msg);
    return QR_OK;
}

/* e = TS("pok"; dkg_sid, u16 i, F_i, R): bound to the run and to the prover's index. */
static void
pok_challenge(const struct qr_dkg *d, uint16_t i, const uint8_t *bc, qr_fq *ret)
{
    uint8_t i_be[2], wide[64];

    qr_put16(i_be, i);
    qr_tb(QR_TAG_POK,
          QR_FIELDS(QR_F(d->sid, 32), QR_F(i_be, 2), QR_F(bc, AT_CC(d->prm.t)),
                    QR_F(bc + AT_POK_R(d->prm.t), 33)),
          wide);
    qr_fq_reduce64(ret, wide);
}

/* com_i over the opening F || cc || pok, salt. */
static void
commitment(const struct qr_dkg *d, uint16_t i, const uint8_t *bc, uint8_t ret[static 32])
{
    uint8_t i_be[2];

    qr_put16(i_be, i);
    qr_th(QR_TAG_COM_DKG,
          QR_FIELDS(QR_F(d->sid, 32), QR_F(i_be, 2), QR_F(bc, AT_SALT(d->prm.t)),
                    QR_F(bc + AT_SALT(d->prm.t), 32)),
          ret);
}

static void
draw_scalar(const struct qr_rng *rng, qr_fq *ret)
{
    uint8_t wide[64];

    qr_rng_fill(rng, wide, sizeof wide);
    qr_fq_reduce64(ret, wide);
    qr_wipe(wide, sizeof wide);
}

/* Draws the polynomial, chain-code part, proof and salt; fills our own broadcast part but echo1. */
static qr_err
deal(struct qr_dkg *d, const struct qr_rng *rng)
{
    const uint16_t self = d->prm.self, t = d->prm.t;
    uint8_t *bc = bcast_of(d, self);
    qr_pt *F = d->F[self - 1u];
    qr_pt R;
    qr_fq k QR_WIPE(qr_fq), z QR_WIPE(qr_fq);
    qr_fq e;

    for (uint16_t m = 0; m < t; m++)
        draw_scalar(rng, &d->coef[m]);
    qr_rng_fill(rng, bc + AT_CC(t), 32);
    draw_scalar(rng, &k);
    qr_rng_fill(rng, bc + AT_SALT(t), 32);

    for (uint16_t m = 0; m < t; m++) {
        QR_TRY(qr_pt_mul_base(&F[m], &d->coef[m]));
        qr_pt_put(bc + 33u * m, &F[m]);
    }
    QR_TRY(qr_pt_mul_base(&R, &k));
    qr_pt_put(bc + AT_POK_R(t), &R);
    pok_challenge(d, self, bc, &e);
    qr_fq_mul(&z, &e, &d->coef[0]);
    qr_fq_add(&z, &z, &k);
    qr_fq_put(bc + AT_POK_Z(t), &z);
    qr_poly_eval(d->coef, t, self, &d->dealt[self - 1u]);
    return QR_OK;
}

/* All commitments are in: opens ours to everybody, with the share of each. */
static qr_err
send_round2(struct qr_dkg *d, const struct qr_outbox *out)
{
    const uint16_t self = d->prm.self, t = d->prm.t, n = d->prm.n;
    const size_t len = QR_DKG2_BCAST_LEN(t);
    uint8_t *msg[QR_MAX_PARTIES];
    const uint8_t round = 1;
    uint8_t *bc = bcast_of(d, self);

    qr_th(QR_TAG_ECHO, QR_FIELDS(QR_F(d->sid, 32), QR_F(&round, 1), QR_F(d->com, n * 34u)),
          d->echo1);
    memcpy(bc + AT_ECHO(t), d->echo1, 32);
    qr_put16(bc - 2, self);
    QR_TRY(reserve_all(d, out, QR_MSG_DKG2, QR_DKG2_LEN(t), msg));
    for (uint16_t j = 1; j <= n; j++) {
        qr_fq share QR_WIPE(qr_fq);

        if (msg[j - 1u] == NULL)
            continue;
        qr_poly_eval(d->coef, t, j, &share);
        memcpy(msg[j - 1u], bc, len);
        qr_fq_put(msg[j - 1u] + len, &share);
    }
    commit_all(d, out, msg);
    /* nothing below needs the polynomial again */
    qr_wipe(d->coef, sizeof d->coef);
    d->have[2] |= bit(self);
    d->phase = ROUND2;
    return QR_OK;
}

/* z*G == R + e*F_0 */
static qr_err
check_proof(const struct qr_dkg *d, uint16_t j, const uint8_t *bc)
{
    const uint16_t t = d->prm.t;
    qr_fq e, z;
    qr_pt R, lhs, rhs;

    QR_TRY(qr_pt_parse(&R, bc + AT_POK_R(t)));
    QR_TRY(qr_fq_parse(&z, bc + AT_POK_Z(t)));
    pok_challenge(d, j, bc, &e);
    if (qr_pt_mul_base(&lhs, &z) != QR_OK || qr_pt_mul_var(&rhs, &d->F[j - 1u][0], &e) != QR_OK ||
        qr_pt_add(&rhs, &rhs, &R) != QR_OK || !qr_pt_eq_var(&lhs, &rhs))
        return QR_ERR_PROOF;
    return QR_OK;
}

/* Everything one dealer sent us: opening, points, proof, and our share against his commitment. */
static qr_err
check_dealer(struct qr_dkg *d, uint16_t j)
{
    const uint16_t t = d->prm.t;
    const uint8_t *bc = bcast_of(d, j);
    uint8_t com[32];

    commitment(d, j, bc, com);
    if (memcmp(com, d->com[j - 1u] + 2, 32) != 0)
        return QR_ERR_COMMITMENT;
    for (uint16_t m = 0; m < t; m++)
        QR_TRY(qr_pt_parse(&d->F[j - 1u][m], bc + 33u * m));
    QR_TRY(check_proof(d, j, bc));
    QR_TRY(qr_fq_parse(&d->dealt[j - 1u], d->share_in[j - 1u]));
    return qr_share_check(d->F[j - 1u], t, d->prm.self, &d->dealt[j - 1u]);
}

/* SPEC.md section 7, "After all DKG2". */
static qr_err
check_round2(struct qr_dkg *d, uint16_t *ret_blame)
{
    const uint16_t n = d->prm.n, t = d->prm.t;

    for (uint16_t j = 1; j <= n; j++) {
        if (j == d->prm.self)
            continue;
        *ret_blame = j;
        QR_TRY(check_dealer(d, j));
        /* A copied constant term: the proof already forbids it to anyone who has not the secret. */
        for (uint16_t i = 1; i <= n; i++)
            if ((i < j || i == d->prm.self) && memcmp(bcast_of(d, i), bcast_of(d, j), 33) == 0)
                return QR_ERR_PROOF;
    }
    *ret_blame = 0;
    for (uint16_t j = 1; j <= n; j++)
        if (memcmp(bcast_of(d, j) + AT_ECHO(t), d->echo1, 32) != 0)
            return QR_ERR_EQUIVOCATION;
    return QR_OK;
}

/* pk, share, P_1..P_n, cc, key_id, out. */
static qr_err
compute_key(struct qr_dkg *d)
{
    const uint16_t n = d->prm.n, t = d->prm.t, self = d->prm.self;
    struct qr_key *k = &d->key;
    qr_pt sum[QR_MAX_PARTIES], mine, P;
    const qr_pt *column[QR_MAX_PARTIES];
    qr_view cc[1 + QR_MAX_PARTIES];

    for (uint16_t m = 0; m < t; m++) {
        for (uint16_t j = 0; j < n; j++)
            column[j] = &d->F[j][m];
        QR_TRY(qr_pt_sum(&sum[m], column, n));
    }
    qr_pt_put(k->pub.pk, &sum[0]);
    k->share = qr_fq_zero;
    for (uint16_t j = 1; j <= n; j++) {
        QR_TRY(qr_feldman_eval_var(sum, t, j, &P));
        qr_pt_put(k->pub.P[j - 1u], &P);
        qr_fq_add(&k->share, &k->share, &d->dealt[j - 1u]);
        if (j == self)
            mine = P;
    }
    /* Follows from the checks of each dealer; a failure is memory corruption or a bug. */
    QR_TRY(qr_pt_mul_base(&P, &k->share));
    if (!qr_pt_eq(&P, &mine))
        return QR_ERR_INTERNAL;

    cc[0] = QR_F(d->sid, 32);
    for (uint16_t j = 1; j <= n; j++)
        cc[j] = QR_F(bcast_of(d, j) + AT_CC(t), 32);
    qr_th(QR_TAG_CC, cc, n + 1u, k->pub.cc);
    memcpy(k->pub.dkg_sid, d->sid, 32);
    memcpy(k->pub.cluster, d->prm.cluster, 32);
    memcpy(k->pub.admin_hash, d->prm.admin_hash, 32);
    memcpy(k->pub.roster_hash, d->prm.roster_hash, 32);
    memcpy(k->pub.id, d->prm.id, sizeof k->pub.id);
    k->pub.epoch = 0;
    k->pub.t = t;
    k->pub.n = n;
    k->pub.flags = d->prm.flags;
    k->self = self;
    k->state = QR_KEY_PENDING;
    qr_key_id(k->pub.pk, n, t, k->pub.roster_hash, k->pub.key_id);
    qr_key_out(&k->pub, d->out);
    /* the dealt shares have done their work */
    qr_wipe(d->dealt, sizeof d->dealt);
    qr_wipe(d->share_in, sizeof d->share_in);
    return QR_OK;
}

/* All openings are in: judges them, and tells everybody the verdict either way. */
static qr_err
send_round3(struct qr_dkg *d, const struct qr_outbox *out, uint16_t *ret_blame)
{
    const uint16_t n = d->prm.n;
    const uint8_t round = 2;
    uint8_t *mine = d->r3[d->prm.self - 1u];

    qr_th(QR_TAG_ECHO,
          QR_FIELDS(QR_F(d->sid, 32), QR_F(&round, 1),
                    QR_F(d->bcast, n * (2u + QR_DKG2_BCAST_LEN(d->prm.t)))),
          d->echo2);
    qr_err verdict = check_round2(d, ret_blame);
    if (verdict == QR_OK)
        verdict = compute_key(d);
    memcpy(mine, d->echo2, 32);
    mine[32] = verdict == QR_OK ? 0 : 1;
    qr_err sent = broadcast(d, out, QR_MSG_DKG3, mine, QR_DKG3_LEN);
    QR_TRY(verdict);
    *ret_blame = 0;
    QR_TRY(sent);
    d->have[3] |= bit(d->prm.self);
    d->phase = ROUND3;
    return QR_OK;
}

/* All verdicts are in. Nobody can be blamed: whoever differs may have been lied to. */
static qr_err
check_round3(struct qr_dkg *d)
{
    for (uint16_t j = 0; j < d->prm.n; j++)
        if (memcmp(d->r3[j], d->echo2, 32) != 0)
            return QR_ERR_EQUIVOCATION;
    for (uint16_t j = 0; j < d->prm.n; j++)
        if (d->r3[j][32] != 0)
            return QR_ERR_SHARE;
    d->phase = READY;
    return QR_OK;
}

/* Confirmations may arrive before or after our own; each is checked once, when out is known. */
static qr_err
check_round4(struct qr_dkg *d, uint16_t *ret_blame)
{
    for (uint16_t j = 1; j <= d->prm.n; j++) {
        if (!(d->have[4] & ~d->confirmed & bit(j)))
            continue;
        if (crypto_sign_verify_detached(d->r4[j - 1u], d->out, 32, d->prm.id[j - 1u]) != 0) {
            *ret_blame = j;
            return QR_ERR_IDENTITY;
        }
        memcpy(d->key.pub.confirm[j - 1u], d->r4[j - 1u], 64);
        d->confirmed |= bit(j);
    }
    if (d->phase == CONFIRMED && have_all(d, 4)) {
        d->key.state = QR_KEY_ACTIVE;
        d->phase = DONE;
    }
    return QR_OK;
}

/* Does all that the messages at hand allow. */
static qr_err
advance(struct qr_dkg *d, const struct qr_outbox *out, uint16_t *ret_blame)
{
    if (d->phase == ROUND1 && have_all(d, 1))
        QR_TRY(send_round2(d, out));
    if (d->phase == ROUND2 && have_all(d, 2))
        QR_TRY(send_round3(d, out, ret_blame));
    if (d->phase == ROUND3 && have_all(d, 3))
        QR_TRY(check_round3(d));
    if (d->phase == READY || d->phase == CONFIRMED)
        QR_TRY(check_round4(d, ret_blame));
    return QR_OK;
}

/* Every error of advance is the end of the run. */
static qr_err
advance_or_die(struct qr_dkg *d, const struct qr_outbox *out, uint16_t *ret_blame)
{
    qr_err err = advance(d, out, ret_blame);

    if (err != QR_OK)
        qr_dkg_wipe(d);
    return err;
}

qr_err
qr_dkg_start(struct qr_dkg *d, const struct qr_rng *rng, const struct qr_outbox *out)
{
    const uint16_t self = d->prm.self;
    uint16_t blame = 0;
    qr_err err;

    if (d->phase != NEW)
        return QR_ERR_STATE;
    err = deal(d, rng);
    if (err == QR_OK) {
        qr_put16(d->com[self - 1u], self);
        commitment(d, self, bcast_of(d, self), d->com[self - 1u] + 2);
        err = broadcast(d, out, QR_MSG_DKG1, d->com[self - 1u] + 2, QR_DKG1_LEN);
    }
    if (err != QR_OK) {
        qr_dkg_wipe(d);
        return err;
    }
    d->have[1] |= bit(self);
    d->phase = ROUND1;
    return advance_or_die(d, out, &blame);
}

qr_err
qr_dkg_recv(struct qr_dkg *d, uint16_t from, enum qr_msg type, qr_view payload,
            const struct qr_outbox *out, uint16_t *ret_blame)
{
    const size_t len[5] = {0, QR_DKG1_LEN, QR_DKG2_LEN(d->prm.t), QR_DKG3_LEN, QR_DKG4_LEN};

    *ret_blame = 0;
    if (d->phase == DONE || d->phase == FAILED || from < 1 || from > d->prm.n ||
        from == d->prm.self || type < QR_MSG_DKG1 || type > QR_MSG_DKG4)
        return QR_ERR_STATE;
    unsigned round = (unsigned)type - QR_MSG_DKG1 + 1u;
    if (payload.len != len[round])
        return QR_ERR_LENGTH;
    /* The round we wait for, or the next: a peer may be one ahead, never two, as it waits for us. */
    unsigned now = d->phase < READY ? (unsigned)d->phase : 4u;
    if ((round != now && round != now + 1u) || (d->have[round] & bit(from)))
        return QR_ERR_STATE;

    const uint16_t j = (uint16_t)(from - 1u);
    switch (type) {
    case QR_MSG_DKG1:
        qr_put16(d->com[j], from);
        memcpy(d->com[j] + 2, payload.p, 32);
        break;
    case QR_MSG_DKG2:
        qr_put16(bcast_of(d, from) - 2, from);
        memcpy(bcast_of(d, from), payload.p, QR_DKG2_BCAST_LEN(d->prm.t));
        memcpy(d->share_in[j], payload.p + QR_DKG2_BCAST_LEN(d->prm.t), 32);
        break;
    case QR_MSG_DKG3:
        memcpy(d->r3[j], payload.p, QR_DKG3_LEN);
        break;
    default:
        memcpy(d->r4[j], payload.p, QR_DKG4_LEN);
        break;
    }
    d->have[round] |= bit(from);
    return advance_or_die(d, out, ret_blame);
}

int
qr_dkg_ready(const struct qr_dkg *d)
{
    return d->phase == READY;
}

const struct qr_key *
qr_dkg_key(const struct qr_dkg *d)
{
    return d->phase == READY || d->phase == CONFIRMED || d->phase == DONE ? &d->key : NULL;
}

qr_err
qr_dkg_confirm(struct qr_dkg *d, const struct qr_id_signer *s, const struct qr_outbox *out)
{
    uint16_t blame = 0;

    if (d->phase != READY) /* a wiped machine has no index to look at, either */
        return QR_ERR_STATE;
    const uint16_t self = d->prm.self;
    uint8_t *mine = d->r4[self - 1u];
    /* A signature that the others would refuse is never sent: the caller's key is not the roster's. */
    if (s->sign(s->ctx, d->out, mine) != 0 ||
        crypto_sign_verify_detached(mine, d->out, 32, d->prm.id[self - 1u]) != 0)
        return QR_ERR_IDENTITY;
    qr_err err = broadcast(d, out, QR_MSG_DKG4, mine, QR_DKG4_LEN);
    if (err != QR_OK) {
        qr_dkg_wipe(d);
        return err;
    }
    d->have[4] |= bit(self);
    d->phase = CONFIRMED;
    return advance_or_die(d, out, &blame);
}

int
qr_dkg_done(const struct qr_dkg *d)
{
    return d->phase == DONE;
}

int
qr_dkg_failed(const struct qr_dkg *d)
{
    return d->phase == FAILED;
}
