/* n parties in one process; see quorum.h. */
#include "test/common/quorum.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/poly.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void
quorum_rng_seed(struct quorum_rng *r, const char *seed)
{
    qr_sha256(qr_view_str(seed), r->key);
    r->drawn = 0;
}

static void
rng_fill(void *ctx, uint8_t *out, size_t n)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    struct quorum_rng *r = ctx;
    size_t skip = r->drawn % 64;
    uint8_t first[64] = {0};

    /* the stream does not know how it was cut: a draw may start inside a block */
    if (skip != 0) {
        size_t k = n < 64 - skip ? n : 64 - skip;
        crypto_stream_chacha20_ietf_xor_ic(first, first, 64, nonce, (uint32_t)(r->drawn / 64),
                                           r->key);
        memcpy(out, first + skip, k);
        r->drawn += k;
        out += k;
        n -= k;
    }
    if (n > 0) {
        memset(out, 0, n);
        crypto_stream_chacha20_ietf_xor_ic(out, out, n, nonce, (uint32_t)(r->drawn / 64), r->key);
        r->drawn += n;
    }
}

struct qr_rng
quorum_rng_of(struct quorum_rng *r)
{
    return (struct qr_rng){r, rng_fill};
}

uint64_t
quorum_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
enter(const struct quorum_party *p)
{
    return p->q->timed ? quorum_cpu_ns() : 0;
}

static void
leave(struct quorum_party *p, uint64_t since)
{
    if (p->q->timed)
        p->cpu_ns += quorum_cpu_ns() - since;
}

/* ---- the queue ----------------------------------------------------------------------------------
 */

static struct quorum_msg *
msg_new(uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t *sid,
        size_t len)
{
    struct quorum_msg *m = qr_alloc(sizeof *m);

    QR_ASSERT(m != NULL);
    m->p = qr_alloc(len + 1);
    QR_ASSERT(m->p != NULL);
    m->from = from;
    m->to = to;
    m->type = type;
    m->epoch = epoch;
    memcpy(m->sid, sid, 32);
    m->len = len;
    return m;
}

static void
msg_free(struct quorum_msg *m)
{
    qr_free(m->p);
    qr_free(m);
}

static void
push(struct quorum *q, struct quorum_msg *m)
{
    m->next = NULL;
    *q->tail = m;
    q->tail = &m->next;
}

static struct quorum_msg *
pop(struct quorum *q)
{
    struct quorum_msg **at = &q->head;

    if (q->shuffle && q->head != NULL) {
        size_t n = 0, pick = 0;
        uint32_t r;

        for (struct quorum_msg *m = q->head; m != NULL; m = m->next)
            n++;
        rng_fill(&q->order, (uint8_t *)&r, sizeof r);
        for (pick = r % n; pick > 0; pick--)
            at = &(*at)->next;
        /* the oldest message of the link that was picked */
        struct quorum_msg *chosen = *at;
        for (at = &q->head; (*at)->from != chosen->from || (*at)->to != chosen->to;)
            at = &(*at)->next;
    }
    struct quorum_msg *m = *at;
    if (m != NULL) {
        *at = m->next;
        if (m->next == NULL)
            q->tail = at;
    }
    return m;
}

/* Reserved messages wait in `kept`, where their payload's address finds them again. */
static uint8_t *
box_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
            size_t len)
{
    struct quorum_party *p = ctx;

    if (p->q->reserve_fails_after == 0)
        return NULL;
    if (p->q->reserve_fails_after != SIZE_MAX)
        p->q->reserve_fails_after--;
    struct quorum_msg *m = msg_new(p->index, to, type, epoch, sid, len);
    m->next = p->q->kept;
    p->q->kept = m;
    p->q->outstanding++;
    return m->p;
}

/* Takes the message with this payload out of the list of reserved and kept ones. */
static struct quorum_msg *
take(struct quorum *q, const uint8_t *payload)
{
    struct quorum_msg **at = &q->kept;

    while (*at != NULL && (*at)->p != payload)
        at = &(*at)->next;
    QR_ASSERT(*at != NULL);
    struct quorum_msg *m = *at;
    *at = m->next;
    return m;
}

static void
box_commit(void *ctx, uint16_t to, uint8_t *payload)
{
    struct quorum_party *p = ctx;
    struct quorum_msg *m = take(p->q, payload);

    QR_ASSERT(m->to == to && m->from == p->index);
    p->q->outstanding--;
    p->q->sent_msgs[m->type]++;
    p->q->sent_bytes[m->type] += m->len;
    push(p->q, m);
}

static void
box_cancel(void *ctx, uint16_t to, uint8_t *payload)
{
    struct quorum_party *p = ctx;
    struct quorum_msg *m = take(p->q, payload);

    QR_ASSERT(m->to == to && m->from == p->index);
    p->q->outstanding--;
    msg_free(m);
}

struct qr_outbox
quorum_outbox(struct quorum_party *p)
{
    return (struct qr_outbox){p, box_reserve, box_commit, box_cancel};
}

void
quorum_inject(struct quorum *q, uint16_t from, uint16_t to, enum qr_msg type, const uint8_t *sid,
              qr_view payload)
{
    struct quorum_msg *m = msg_new(from, to, type, 0, sid, payload.len);

    if (payload.len > 0)
        memcpy(m->p, payload.p, payload.len);
    push(q, m);
}

static void
drop_all(struct quorum *q)
{
    struct quorum_msg *m;

    while ((m = pop(q)) != NULL)
        msg_free(m);
    while ((m = q->kept) != NULL) {
        q->kept = m->next;
        msg_free(m);
    }
}

/* ---- delivery -----------------------------------------------------------------------------------
 */

static int
benign(qr_err err)
{
    return err == QR_ERR_STATE || err == QR_ERR_LENGTH;
}

static void
record(struct quorum_party *p, qr_err err, uint16_t blame)
{
    if (err != QR_OK && p->err == QR_OK) {
        p->err = err;
        p->blame = blame;
    }
}

struct quorum_msg *
quorum_next(struct quorum *q)
{
    struct quorum_msg *m = pop(q);

    if (m != NULL && q->tap != NULL)
        q->tap(q->tap_ctx, q, m);
    return m;
}

void
quorum_deliver(struct quorum *q, struct quorum_msg *m)
{
    struct quorum_party *p = &q->party[m->to];
    struct qr_outbox out = quorum_outbox(p);
    qr_view v = qr_view_of(m->p, m->len);
    uint16_t blame = 0;
    int kept = 0;
    qr_err err = QR_OK;
    uint64_t since = enter(p);

    if (m->drop) {
        /* nothing arrives */
    } else if (m->type <= QR_MSG_PAIR3) {
        struct qr_pair *pair = p->pair[m->from];
        if (pair != NULL && memcmp(qr_pair_sid(pair), m->sid, 32) == 0)
            err = qr_pair_recv(pair, m->type, v, &p->rng, &out);
    } else if (m->type <= QR_MSG_DKG4) {
        if (p->dkg != NULL)
            err = qr_dkg_recv(p->dkg, m->from, m->type, v, &out, &blame);
    } else if (p->ps != NULL) {
        err = qr_presign_recv(p->ps, m->from, m->type, v, &kept);
    }
    leave(p, since);
    if (!benign(err))
        record(p, err, blame);
    if (kept) {
        m->next = q->kept;
        q->kept = m;
    } else {
        msg_free(m);
    }
}

/* One quantum for a party that has something to do; 1 if it did. */
static int
work(struct quorum_party *p)
{
    struct qr_outbox out = quorum_outbox(p);
    int more = 0;
    uint16_t blame;

    if (p->ps == NULL || p->err != QR_OK || qr_presign_done(p->ps))
        return 0;
    uint64_t since = enter(p);
    qr_err err = qr_presign_work(p->ps, &p->rng, &out, &more, &blame);
    leave(p, since);
    p->worked++;
    record(p, err, blame);
    return more;
}

void
quorum_pump(struct quorum *q)
{
    for (;;) {
        struct quorum_msg *m = quorum_next(q);
        int busy = m != NULL;

        if (m != NULL)
            quorum_deliver(q, m);
        for (uint16_t i = 1; i <= q->n; i++)
            while (work(&q->party[i]))
                busy = 1;
        if (!busy)
            break;
    }
}

/* ---- set-up -------------------------------------------------------------------------------------
 */

struct quorum *
quorum_new(uint16_t n, uint16_t t, const char *seed)
{
    struct quorum *q = qr_locked_alloc(sizeof *q, NULL);
    char name[128];

    QR_ASSERT(q != NULL && n <= QR_MAX_PARTIES);
    QR_ASSERT(qr_hash_init() == QR_OK && qr_aes_init() == QR_OK);
    q->n = n;
    q->t = t;
    q->tail = &q->head;
    q->reserve_fails_after = SIZE_MAX;
    snprintf(name, sizeof name, "%s/order", seed);
    quorum_rng_seed(&q->order, name);
    struct qr_rng rng = quorum_rng_of(&q->order);
    QR_ASSERT(qr_group_init(&rng) == QR_OK);
    for (uint16_t i = 1; i <= n; i++) {
        struct quorum_party *p = &q->party[i];
        uint8_t id_seed[32];

        p->index = i;
        p->q = q;
        qr_rng_fill(&rng, id_seed, 32);
        crypto_sign_seed_keypair(p->id_pk, p->id_sk, id_seed);
        qr_rng_fill(&rng, p->measurement, 32);
        qr_rng_fill(&rng, p->nonce, 32);
        snprintf(name, sizeof name, "%s/%u", seed, (unsigned)i);
        quorum_rng_seed(&p->seed, name);
        p->rng = quorum_rng_of(&p->seed);
        p->aes = qr_aes_new();
        QR_ASSERT(p->aes != NULL);
        memcpy(q->dkg.id[i - 1], p->id_pk, 32);
        memcpy(q->dkg.measurement[i - 1], p->measurement, 32);
        memcpy(q->dkg.nonce[i - 1], p->nonce, 32);
    }
    q->dkg.n = n;
    q->dkg.t = t;
    qr_rng_fill(&rng, q->dkg.cluster, 32);
    qr_rng_fill(&rng, q->dkg.roster_hash, 32);
    qr_rng_fill(&rng, q->dkg.admin_hash, 32);
    qr_rng_fill(&rng, q->dkg.command_hash, 32);
    return q;
}

struct quorum *
quorum_free(struct quorum *q)
{
    if (q == NULL)
        return NULL;
    for (uint16_t i = 1; i <= q->n; i++) {
        struct quorum_party *p = &q->party[i];

        if (p->ps != NULL)
            qr_presign_wipe(p->ps);
        qr_locked_free(p->ps);
        qr_locked_free(p->dkg);
        for (uint16_t j = 1; j <= q->n; j++)
            qr_locked_free(p->pair[j]);
        qr_aes_free(p->aes);
    }
    drop_all(q);
    return qr_locked_free(q);
}

/* Machines first: a wiped one takes its reserved messages back. */
static void
begin_run(struct quorum *q)
{
    for (uint16_t i = 1; i <= q->n; i++) {
        struct quorum_party *p = &q->party[i];

        if (p->ps != NULL)
            qr_presign_wipe(p->ps);
        p->ps = qr_locked_free(p->ps);
        p->err = QR_OK;
        p->blame = 0;
        p->worked = 0;
    }
    drop_all(q);
}

static qr_err
first_error(const struct quorum *q)
{
    for (uint16_t i = 1; i <= q->n; i++)
        if (q->party[i].err != QR_OK)
            return q->party[i].err;
    return QR_OK;
}

/* ---- pairs --------------------------------------------------------------------------------------
 */

static void
pair_new(struct quorum_party *p, const struct quorum_party *peer)
{
    struct qr_pair_params prm = {.self = p->index, .peer = peer->index};

    memcpy(prm.id_self, p->id_pk, 32);
    memcpy(prm.id_peer, peer->id_pk, 32);
    memcpy(prm.nonce_self, p->nonce, 32);
    memcpy(prm.nonce_peer, peer->nonce, 32);
    qr_locked_free(p->pair[peer->index]);
    void *mem = qr_locked_alloc(qr_pair_size(), NULL);
    QR_ASSERT(mem != NULL);
    p->pair[peer->index] = qr_pair_init(mem, &prm);
}

qr_err
quorum_pairs(struct quorum *q, const uint16_t *S, size_t n)
{
    begin_run(q);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            if (a != b)
                pair_new(&q->party[S[a]], &q->party[S[b]]);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            struct quorum_party *p = &q->party[S[a]];
            struct qr_outbox out = quorum_outbox(p);

            if (a == b)
                continue;
            uint64_t since = enter(p);
            record(p, qr_pair_start(p->pair[S[b]], &p->rng, &out), 0);
            leave(p, since);
        }
    quorum_pump(q);
    QR_TRY(first_error(q));
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            if (a != b && !qr_pair_active(q->party[S[a]].pair[S[b]]))
                return QR_ERR_SETUP;
    return QR_OK;
}

static void
everybody(const struct quorum *q, uint16_t *S)
{
    for (uint16_t i = 0; i < q->n; i++)
        S[i] = (uint16_t)(i + 1);
}

qr_err
quorum_pairs_all(struct quorum *q)
{
    uint16_t S[QR_MAX_PARTIES];

    everybody(q, S);
    return quorum_pairs(q, S, q->n);
}

/* ---- key generation -----------------------------------------------------------------------------
 */

static int
sign_identity(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    const struct quorum_party *p = ctx;
    return crypto_sign_detached(sig, NULL, msg, 32, p->id_sk);
}

qr_err
quorum_dkg(struct quorum *q)
{
    begin_run(q);
    for (uint16_t i = 1; i <= q->n; i++) {
        struct quorum_party *p = &q->party[i];
        struct qr_dkg_params prm = q->dkg;

        prm.self = i;
        qr_locked_free(p->dkg);
        void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
        QR_ASSERT(mem != NULL && qr_dkg_init(mem, &prm, &p->dkg) == QR_OK);
    }
    for (uint16_t i = 1; i <= q->n; i++) {
        struct quorum_party *p = &q->party[i];
        struct qr_outbox out = quorum_outbox(p);
        uint64_t since = enter(p);

        record(p, qr_dkg_start(p->dkg, &p->rng, &out), 0);
        leave(p, since);
    }
    quorum_pump(q);
    for (uint16_t i = 1; i <= q->n; i++) {
        struct quorum_party *p = &q->party[i];
        struct qr_outbox out = quorum_outbox(p);
        struct qr_id_signer s = {p, sign_identity};

        if (!qr_dkg_ready(p->dkg))
            continue;
        uint64_t since = enter(p);
        record(p, qr_dkg_confirm(p->dkg, &s, &out), 0);
        leave(p, since);
    }
    quorum_pump(q);
    QR_TRY(first_error(q));
    for (uint16_t i = 1; i <= q->n; i++) {
        if (!qr_dkg_done(q->party[i].dkg))
            return QR_ERR_TIMEOUT;
        q->party[i].key = *qr_dkg_key(q->party[i].dkg);
    }
    return QR_OK;
}

/* ---- presigning ---------------------------------------------------------------------------------
 */

void
quorum_batch_id(struct quorum *q, const uint16_t *S, uint16_t t, uint16_t B,
                struct qr_batch_id *ret)
{
    uint8_t id[QR_MAX_PARTIES][32], m[QR_MAX_PARTIES][32], nonce[QR_MAX_PARTIES][32];
    const struct qr_key_pub *key = &q->party[S[0]].key.pub;
    struct qr_rng rng = quorum_rng_of(&q->order);

    memset(ret, 0, sizeof *ret);
    memcpy(ret->key_id, key->key_id, 32);
    memcpy(ret->dkg_sid, key->dkg_sid, 32);
    ret->epoch = key->epoch;
    for (uint16_t k = 0; k < t; k++) {
        const struct quorum_party *p = &q->party[S[k]];
        ret->S[k] = S[k];
        memcpy(id[k], p->id_pk, 32);
        memcpy(m[k], p->measurement, 32);
        memcpy(nonce[k], p->nonce, 32);
    }
    ret->t = t;
    ret->B = B;
    ret->initiator = S[0];
    ret->ctr = ++q->batch_ctr;
    qr_rng_fill(&rng, ret->nonce, 32);
    qr_grp(S, t, (const uint8_t(*)[32])id, (const uint8_t(*)[32])m, (const uint8_t(*)[32])nonce,
           ret->grp);
}

qr_err
quorum_presign_init(struct quorum *q, const struct qr_batch_id *id)
{
    for (uint16_t i = 1; i <= q->n; i++) {
        qr_wipe(q->party[i].presig, sizeof q->party[i].presig);
        q->party[i].n_presig = 0;
    }
    begin_run(q);
    for (uint16_t k = 0; k < id->t; k++) {
        struct quorum_party *p = &q->party[id->S[k]];
        const struct qr_pair *pairs[QR_MAX_PARTIES];
        void *mem = qr_locked_alloc(qr_presign_size(id->t, id->B), NULL);

        QR_ASSERT(mem != NULL);
        for (uint16_t j = 0; j < id->t; j++)
            pairs[j] = j == k ? NULL : p->pair[id->S[j]];
        uint64_t since = enter(p);
        record(p, qr_presign_init(mem, &p->key, id, pairs, p->aes, &p->ps), 0);
        leave(p, since);
        if (p->err != QR_OK) {
            qr_locked_free(mem);
            return p->err;
        }
    }
    return QR_OK;
}

void
quorum_presign_start(struct quorum *q, uint16_t party)
{
    struct quorum_party *p = &q->party[party];
    struct qr_outbox out = quorum_outbox(p);
    uint64_t since = enter(p);

    record(p, qr_presign_start(p->ps, &p->rng, &out), 0);
    leave(p, since);
}

qr_err
quorum_presign_collect(struct quorum *q, const struct qr_batch_id *id)
{
    QR_TRY(first_error(q));
    for (uint16_t k = 0; k < id->t; k++) {
        struct quorum_party *p = &q->party[id->S[k]];

        if (!qr_presign_done(p->ps))
            return QR_ERR_TIMEOUT;
        uint64_t since = enter(p);
        const struct qr_presig *r = qr_presign_result(p->ps, &p->n_presig);
        memcpy(p->presig, r, p->n_presig * sizeof *r);
        qr_presign_wipe(p->ps);
        leave(p, since);
    }
    return QR_OK;
}

qr_err
quorum_presign_id(struct quorum *q, const struct qr_batch_id *id)
{
    QR_TRY(quorum_presign_init(q, id));
    for (uint16_t k = 0; k < id->t; k++)
        quorum_presign_start(q, id->S[k]);
    quorum_pump(q);
    return quorum_presign_collect(q, id);
}

qr_err
quorum_presign(struct quorum *q, const uint16_t *S, uint16_t t, uint16_t B)
{
    struct qr_batch_id id;

    quorum_batch_id(q, S, t, B, &id);
    return quorum_presign_id(q, &id);
}

/* ---- signing ------------------------------------------------------------------------------------
 */

qr_err
quorum_sign(struct quorum *q, const uint16_t *S, uint16_t t, size_t slot,
            const struct quorum_input *in,
            void (*shares)(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN]), void *ctx,
            uint8_t ret_sig[static 64], int *ret_recid, uint16_t *ret_blame)
{
    uint8_t share[QR_MAX_PARTIES][QR_SIGN_SHARE_LEN];
    const uint8_t *view[QR_MAX_PARTIES];
    struct qr_sign_common first = {0};
    struct qr_sign_item first_item = {0};

    for (uint16_t k = 0; k < t; k++) {
        struct quorum_party *p = &q->party[S[k]];
        struct qr_sign_common c;
        struct qr_sign_item item;
        uint64_t since = enter(p);

        qr_err err =
            qr_sign_prepare(&p->key.pub, S, t, in->request_id, in->rq, in->path, in->depth, &c);
        if (err == QR_OK)
            err = qr_sign_share(&c, in->digest, in->item, &p->presig[slot], share[k], &item);
        leave(p, since);
        QR_TRY(err);
        view[k] = share[k];
        if (k == 0) {
            first = c;
            first_item = item;
        }
    }
    if (shares != NULL)
        shares(ctx, share);
    uint64_t since = enter(&q->party[S[0]]);
    qr_err err = qr_sign_combine(&first, &first_item, view, ret_sig, ret_recid, ret_blame);
    leave(&q->party[S[0]], since);
    return err;
}

void
quorum_reconstruct(const struct quorum *q, const uint16_t *S, size_t t, qr_fq *ret_sk)
{
    *ret_sk = qr_fq_zero;
    for (size_t k = 0; k < t; k++) {
        qr_fq lambda;
        QR_ASSERT(qr_lagrange_at_zero(S, t, S[k], &lambda) == QR_OK);
        qr_fq_mul(&lambda, &lambda, &q->party[S[k]].key.share);
        qr_fq_add(ret_sk, ret_sk, &lambda);
    }
}
