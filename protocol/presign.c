/* Presigning; see presign.h and SPEC.md section 8. */
#include "protocol/presign_int.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/cot.h"
#include "protocol/poly.h"
#include "protocol/rvole.h"

#include <sodium.h>
#include <string.h>

static int
batch_size_ok(uint16_t B)
{
    return B == 4 || B == 8 || B == 12 || B == 16;
}

static size_t
scratch_len(uint16_t B)
{
    size_t cot = qr_cot_scratch(B), rvole = qr_rvole_scratch();
    return cot > rvole ? cot : rvole;
}

size_t
qr_presign_size(uint16_t t, uint16_t B)
{
    size_t rows = QR_ARENA_ROUND(QR_COT_ROWS(B) * sizeof(struct qr_sec16));
    size_t peer = QR_ARENA_ROUND(QR_COT_LEN(B)) + QR_ARENA_ROUND(QR_COT_BETA_LEN(B)) +
                  2 * QR_ARENA_ROUND(QR_XI * sizeof(qr_fq)) + 2 * rows +
                  QR_ARENA_ROUND(B * sizeof(qr_fq)) +
                  QR_ARENA_ROUND(B * sizeof(struct qr_ps_points));
    return QR_ARENA_ROUND(sizeof(struct qr_presign)) +
           QR_ARENA_ROUND(B * sizeof(struct qr_presig)) + QR_ARENA_ROUND(33u * B) +
           QR_ARENA_ROUND(B * sizeof(struct qr_ps_own)) + QR_ARENA_ROUND(scratch_len(B)) +
           (t - 1u) * peer;
}

static qr_err
check_id(const struct qr_key *key, const struct qr_batch_id *id)
{
    if (!batch_size_ok(id->B))
        return QR_ERR_USAGE;
    if (id->t != key->pub.t)
        return QR_ERR_SET;
    QR_TRY(qr_set_check(id->S, id->t, key->pub.n));
    if (qr_set_find(id->S, id->t, key->self) == id->t ||
        qr_set_find(id->S, id->t, id->initiator) == id->t)
        return QR_ERR_SET;
    if (key->state != QR_KEY_ACTIVE)
        return QR_ERR_STATE;
    if (memcmp(id->key_id, key->pub.key_id, 32) != 0 ||
        memcmp(id->dkg_sid, key->pub.dkg_sid, 32) != 0 || id->epoch != key->pub.epoch)
        return QR_ERR_SID;
    return QR_OK;
}

const struct qr_pair_keys *
qr_ps_keys(const struct qr_ps_peer *j)
{
    const struct qr_pair_keys *k = qr_pair_keys(j->pair);
    return k != NULL && memcmp(qr_pair_sid(j->pair), j->pair_sid, 32) == 0 ? k : NULL;
}

/* A pair that was retired or set up anew meanwhile must not get one more answer. */
static qr_err
check_pairs(const struct qr_presign *p)
{
    for (uint16_t k = 0; k < p->n_peers; k++)
        if (qr_ps_keys(&p->peer[k]) == NULL)
            return QR_ERR_RETIRED;
    return QR_OK;
}

/* The wipe of a finished or dead machine; results survive only if keep is set. */
static void
clear(struct qr_presign *p, int keep, enum qr_ps_phase phase)
{
    for (uint16_t k = 0; k < p->n_peers; k++)
        if (p->peer[k].out2 != NULL)
            p->out.cancel(p->out.ctx, p->peer[k].party, p->peer[k].out2);
    if (p->wipe_from != NULL)
        qr_wipe(p->wipe_from, p->size - (size_t)(p->wipe_from - (uint8_t *)p));
    if (!keep && p->result != NULL)
        qr_wipe(p->result, p->B * sizeof *p->result);
    QR_VERIFY(p->wipe_from == NULL ||
              sodium_is_zero(p->wipe_from, p->size - (size_t)(p->wipe_from - (uint8_t *)p)));
    for (uint16_t k = 0; k < p->n_peers; k++) {
        p->peer[k].out2 = NULL;
        p->peer[k].msg2 = (qr_view){NULL, 0};
    }
    p->phase = phase;
}

qr_err
qr_presign_init(void *mem, const struct qr_key *key, const struct qr_batch_id *id,
                const struct qr_pair *const *pairs, struct qr_aes *aes, struct qr_presign **ret)
{
    struct qr_presign *p = mem;
    qr_pt pk;

    QR_TRY(check_id(key, id));
    for (size_t k = 0; k < id->t; k++)
        if (id->S[k] != key->self && (pairs[k] == NULL || qr_pair_keys(pairs[k]) == NULL))
            return QR_ERR_STATE;
    QR_TRY(qr_pt_parse(&pk, key->pub.pk));

    memset(p, 0, sizeof *p);
    p->phase = NEW;
    p->t = id->t;
    p->B = id->B;
    p->self = key->self;
    p->size = qr_presign_size(id->t, id->B);
    memcpy(p->S, id->S, sizeof p->S);
    p->key = key;
    p->aes = aes;
    p->pk = pk;
    p->epoch = id->epoch;
    qr_batch_sid(id, p->batch_sid);
    QR_ASSERT(qr_lagrange_at_zero(p->S, p->t, p->self, &p->lambda) == QR_OK);

    struct qr_arena a = {mem, p->size, QR_ARENA_ROUND(sizeof *p)};
    p->result = qr_arena_get(&a, p->B * sizeof *p->result);
    p->R33 = qr_arena_get(&a, 33u * p->B);
    p->wipe_from = p->R33;
    p->own = qr_arena_get(&a, p->B * sizeof *p->own);
    p->scratch = qr_arena_get(&a, scratch_len(p->B));
    for (size_t k = 0; k < p->t; k++) {
        if (p->S[k] == p->self)
            continue;
        struct qr_ps_peer *j = &p->peer[p->n_peers++];
        j->party = p->S[k];
        j->pair = pairs[k];
        memcpy(j->pair_sid, qr_pair_sid(pairs[k]), 32);
        qr_rsid(p->batch_sid, p->self, j->party, j->rsid_a);
        qr_rsid(p->batch_sid, j->party, p->self, j->rsid_b);
        j->cot = qr_arena_get(&a, QR_COT_LEN(p->B));
        j->beta = qr_arena_get(&a, QR_COT_BETA_LEN(p->B));
        j->g_a = qr_arena_get(&a, QR_XI * sizeof(qr_fq));
        j->g_b = qr_arena_get(&a, QR_XI * sizeof(qr_fq));
        j->rows_q = qr_arena_get(&a, QR_COT_ROWS(p->B) * sizeof(struct qr_sec16));
        j->rows_t = qr_arena_get(&a, QR_COT_ROWS(p->B) * sizeof(struct qr_sec16));
        j->chi = qr_arena_get(&a, p->B * sizeof(qr_fq));
        j->pts = qr_arena_get(&a, p->B * sizeof(struct qr_ps_points));
        QR_ASSERT(j->pts != NULL);
    }
    *ret = p;
    return QR_OK;
}

/* Reserves one message to every peer, or none. */
static qr_err
reserve_all(struct qr_presign *p, const struct qr_outbox *out, enum qr_msg type, size_t len,
            uint8_t *msg[static QR_MAX_PARTIES])
{
    for (uint16_t k = 0; k < p->n_peers; k++) {
        msg[k] = out->reserve(out->ctx, p->peer[k].party, type, p->epoch, p->batch_sid, len);
        if (msg[k] == NULL) {
            for (; k > 0; k--)
                out->cancel(out->ctx, p->peer[k - 1].party, msg[k - 1]);
            return QR_ERR_BACKPRESSURE;
        }
    }
    return QR_OK;
}

qr_err
qr_presign_start(struct qr_presign *p, const struct qr_rng *rng, const struct qr_outbox *out)
{
    uint8_t *msg[QR_MAX_PARTIES];
    qr_err err;

    if (p->phase != NEW)
        return QR_ERR_STATE;
    err = check_pairs(p);
    if (err == QR_OK)
        err = qr_ps_draw(p, rng);
    if (err == QR_OK)
        err = reserve_all(p, out, QR_MSG_PRESIGN1, QR_PRESIGN1_LEN(p->B), msg);
    if (err != QR_OK) {
        clear(p, 0, FAILED);
        return err;
    }
    for (uint16_t k = 0; k < p->n_peers; k++) {
        struct qr_ps_peer *j = &p->peer[k];

        qr_rng_fill(rng, j->beta, QR_COT_BETA_LEN(p->B));
        memcpy(msg[k], p->com, 32);
        qr_cot_send(j->rsid_b, qr_ps_keys(j)->bob_seed, p->B, j->beta, p->aes, p->scratch,
                    msg[k] + 32, j->rows_t);
        out->commit(out->ctx, j->party, msg[k]);
        qr_gadget(j->rsid_b, j->g_b);
    }
    p->phase = ROUND1;
    return QR_OK;
}

qr_err
qr_presign_recv(struct qr_presign *p, uint16_t from, enum qr_msg type, qr_view payload,
                int *ret_kept)
{
    struct qr_ps_peer *j = NULL;

    *ret_kept = 0;
    if (p->phase == DONE || p->phase == FAILED)
        return QR_ERR_STATE;
    for (uint16_t k = 0; k < p->n_peers; k++)
        if (p->peer[k].party == from)
            j = &p->peer[k];
    if (j == NULL)
        return QR_ERR_STATE;
    if (type == QR_MSG_PRESIGN1) {
        if (payload.len != QR_PRESIGN1_LEN(p->B))
            return QR_ERR_LENGTH;
        if (j->have1)
            return QR_ERR_STATE;
        memcpy(j->com, payload.p, 32);
        memcpy(j->cot, payload.p + 32, QR_COT_LEN(p->B));
        j->have1 = 1;
        return QR_OK;
    }
    if (type != QR_MSG_PRESIGN2)
        return QR_ERR_STATE;
    if (payload.len != QR_PRESIGN2_LEN(p->B))
        return QR_ERR_LENGTH;
    if (j->msg2.p != NULL)
        return QR_ERR_STATE;
    j->msg2 = payload;
    *ret_kept = 1;
    return QR_OK;
}

/* view = TH("view"; batch_sid, {u16 j || com_j for j in S}) */
static void
compute_view(struct qr_presign *p)
{
    uint8_t all[QR_MAX_PARTIES * 34u], *at = all;

    for (size_t k = 0; k < p->t; k++, at += 34) {
        const uint8_t *com = p->com;
        for (uint16_t i = 0; i < p->n_peers; i++)
            if (p->peer[i].party == p->S[k])
                com = p->peer[i].com;
        qr_put16(at, p->S[k]);
        memcpy(at + 2, com, 32);
    }
    qr_th(QR_TAG_VIEW, QR_FIELDS(QR_F(p->batch_sid, 32), QR_F(all, (size_t)(at - all))), p->view);
}

/* A quantum of ROUND1: C1 of one peer whose message is here; then, after the last, round 2 opens. */
static qr_err
work_round1(struct qr_presign *p, const struct qr_outbox *out, uint16_t *ret_blame)
{
    uint8_t *msg[QR_MAX_PARTIES];
    struct qr_ps_peer *j = NULL;
    int left = 0;

    for (uint16_t k = 0; k < p->n_peers; k++) {
        if (p->peer[k].c1_done)
            continue;
        left++;
        if (p->peer[k].have1 && j == NULL)
            j = &p->peer[k];
    }
    if (j == NULL)
        return QR_OK;
    const struct qr_pair_keys *keys = qr_ps_keys(j);
    *ret_blame = j->party;
    QR_TRY(qr_cot_recv(j->rsid_a, keys->alice_seed, &keys->delta, p->B, j->cot, p->aes, p->scratch,
                       j->rows_q));
    *ret_blame = 0;
    qr_gadget(j->rsid_a, j->g_a);
    j->c1_done = 1;
    if (left > 1)
        return QR_OK;

    compute_view(p);
    QR_TRY(reserve_all(p, out, QR_MSG_PRESIGN2, QR_PRESIGN2_LEN(p->B), msg));
    p->out = *out;
    for (uint16_t k = 0; k < p->n_peers; k++) {
        p->peer[k].out2 = msg[k];
        memcpy(msg[k], p->salt, 32);
        memcpy(msg[k] + 32, p->view, 32);
    }
    p->phase = ROUND2;
    p->next_slot = 0;
    return QR_OK;
}

/* A quantum of ROUND2: one slot of every peer's message; the last one sends them. */
static qr_err
work_round2(struct qr_presign *p, const struct qr_rng *rng)
{
    QR_TRY(qr_ps_fill(p, p->next_slot, rng));
    p->next_slot++;
    if (p->next_slot < p->B)
        return QR_OK;

    for (uint16_t k = 0; k < p->n_peers; k++) {
        struct qr_ps_peer *j = &p->peer[k];
        uint8_t *msg = j->out2;

        j->out2 = NULL;
        p->out.commit(p->out.ctx, j->party, msg);
        /* Alice's rows are spent */
        qr_wipe(j->rows_q, QR_COT_ROWS(p->B) * sizeof *j->rows_q);
    }
    p->phase = CHECK2;
    return QR_OK;
}

/* A quantum of CHECK2: parses one peer's message. */
static qr_err
work_check2(struct qr_presign *p, uint16_t *ret_blame)
{
    struct qr_ps_peer *j = NULL;
    int left = 0;

    for (uint16_t k = 0; k < p->n_peers; k++) {
        if (p->peer[k].parsed)
            continue;
        left++;
        if (p->peer[k].msg2.p != NULL && j == NULL)
            j = &p->peer[k];
    }
    if (j == NULL)
        return QR_OK;
    qr_err err = qr_ps_parse(p, j);
    /* whoever sees another commitment than we do may have been lied to: views blame nobody */
    if (err != QR_OK && err != QR_ERR_EQUIVOCATION)
        *ret_blame = j->party;
    QR_TRY(err);
    j->parsed = 1;
    if (left == 1) {
        p->phase = FINISH;
        p->next_slot = 0;
    }
    return QR_OK;
}

/*
 * After the last slot: the one verdict. CHECK goes before everything else, so that no other fault
 * of anybody can hide one.
 */
static qr_err
verdict(struct qr_presign *p, uint16_t *ret_blame)
{
    for (uint16_t k = 0; k < p->n_peers; k++)
        if (p->peer[k].failed) {
            *ret_blame = p->peer[k].party;
            return QR_ERR_CHECK;
        }
    for (uint16_t k = 0; k < p->n_peers; k++)
        if (p->peer[k].malformed) {
            *ret_blame = p->peer[k].party;
            return QR_ERR_SCALAR;
        }
    if (p->sum_bad)
        return QR_ERR_SUM;
    return p->infinity ? QR_ERR_INFINITY : QR_OK;
}

/* A quantum of FINISH: one slot; the last one ends the batch. */
static qr_err
work_finish(struct qr_presign *p, uint16_t *ret_blame)
{
    qr_ps_finish(p, p->next_slot);
    p->next_slot++;
    if (p->next_slot < p->B)
        return QR_OK;
    QR_TRY(verdict(p, ret_blame));
    for (size_t k = 0; k < p->B; k++) {
        QR_VERIFY(memcmp(p->result[k].id, p->batch_sid, 32) == 0);
        QR_VERIFY(__builtin_popcount(p->result[k].set_mask) == p->t);
    }
    clear(p, 1, DONE);
    return QR_OK;
}

static int
more_to_do(const struct qr_presign *p)
{
    if (p->phase == ROUND2 || p->phase == FINISH)
        return 1;
    for (uint16_t k = 0; k < p->n_peers; k++) {
        const struct qr_ps_peer *j = &p->peer[k];
        if (p->phase == ROUND1 && j->have1 && !j->c1_done)
            return 1;
        if (p->phase == CHECK2 && j->msg2.p != NULL && !j->parsed)
            return 1;
    }
    return 0;
}

qr_err
qr_presign_work(struct qr_presign *p, const struct qr_rng *rng, const struct qr_outbox *out,
                int *ret_more, uint16_t *ret_blame)
{
    qr_err err = p->phase == FAILED ? QR_ERR_STATE : QR_OK;

    *ret_more = 0;
    *ret_blame = 0;
    if (err == QR_OK && p->phase != NEW && p->phase != DONE)
        err = check_pairs(p);
    if (err != QR_OK)
        goto out;
    switch (p->phase) {
    case NEW:
    case DONE:
    case FAILED:
        break;
    case ROUND1:
        err = work_round1(p, out, ret_blame);
        break;
    case ROUND2:
        err = work_round2(p, rng);
        break;
    case CHECK2:
        err = work_check2(p, ret_blame);
        break;
    case FINISH:
        err = work_finish(p, ret_blame);
        break;
    }
out:
    if (err == QR_OK)
        *ret_more = more_to_do(p);
    else
        clear(p, 0, FAILED);
    return err;
}

int
qr_presign_done(const struct qr_presign *p)
{
    return p->phase == DONE;
}

const struct qr_presig *
qr_presign_result(const struct qr_presign *p, size_t *ret_n)
{
    *ret_n = p->phase == DONE ? p->B : 0;
    return p->phase == DONE ? p->result : NULL;
}

size_t
qr_presign_rsids(const struct qr_presign *p, uint8_t (*out)[32], size_t cap)
{
    size_t n = 0;

    for (uint16_t k = 0; k < p->n_peers && n + 2 <= cap; k++) {
        memcpy(out[n++], p->peer[k].rsid_a, 32);
        memcpy(out[n++], p->peer[k].rsid_b, 32);
    }
    return n;
}

void
qr_presign_wipe(struct qr_presign *p)
{
    clear(p, 0, FAILED);
}
