/*
 * The machine is a straight line: PAIR1 out, PAIR1 in, PAIR2 out, PAIR2 in, PAIR3 out, PAIR3 in.
 * The channel keeps the order, so a message that is not the next one is a duplicate or a fault.
 */
#include "protocol/pair.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base_ot.h"
#include "protocol/pprf.h"

enum state {
    NEW,      /* nothing sent */
    OFFERED,  /* PAIR1 sent, waiting for the peer's */
    ANSWERED, /* PAIR2 sent, waiting for the peer's */
    SETTLED,  /* PAIR3 sent, waiting for the peer's */
    ACTIVE,
    FAILED,
};

/* PAIR1 = com_zero || OT1; PAIR2 = part || salt || OT2 || PPRF. */
#define OT1_AT 32u
#define PART_AT 0u
#define SALT_AT 32u
#define OT2_AT 64u
#define PPRF_AT (OT2_AT + QR_OT2_LEN)

/* What only the set-up needs; wiped when it ends. Index 0: ours, 1: the peer's. */
struct setup {
    uint8_t pair1[2][QR_PAIR1_LEN];
    uint8_t pair2[QR_PAIR2_LEN]; /* ours */
    struct qr_sec32 part, salt;
    struct qr_base_ot alice;
    struct qr_sec16 key[2 * QR_OT_COUNT];
    struct qr_pprf_work work;
    uint8_t confirm[32];
};

struct qr_pair {
    enum state state;
    uint16_t self, peer;
    uint32_t attempt;
    uint8_t sid[32];
    uint8_t sid_alice[32]; /* setup_sid(self, peer) */
    uint8_t sid_bob[32];   /* setup_sid(peer, self) */
    struct qr_pair_keys keys;
    struct setup setup;
};

size_t
qr_pair_size(void)
{
    return QR_ARENA_ROUND(sizeof(struct qr_pair));
}

static void
setup_sid(const uint8_t sid[static 32], uint16_t alice, uint16_t bob, uint8_t ret[static 32])
{
    uint8_t a[2], b[2];

    qr_put16(a, alice);
    qr_put16(b, bob);
    qr_th(QR_TAG_OTSETUP, QR_FIELDS(QR_F(sid, 32), QR_F(a, 2), QR_F(b, 2)), ret);
}

void
qr_pair_make_sid(const struct qr_pair_params *p, uint8_t ret_sid[static 32])
{
    const int low = p->self < p->peer; /* self is the lower index */
    uint8_t lo[2], hi[2], attempt[4];

    qr_put16(lo, low ? p->self : p->peer);
    qr_put16(hi, low ? p->peer : p->self);
    qr_put32(attempt, p->attempt);
    qr_th(QR_TAG_PAIR,
          QR_FIELDS(QR_F(lo, 2), QR_F(hi, 2), QR_F(low ? p->id_self : p->id_peer, 32),
                    QR_F(low ? p->id_peer : p->id_self, 32),
                    QR_F(low ? p->nonce_self : p->nonce_peer, 32),
                    QR_F(low ? p->nonce_peer : p->nonce_self, 32), QR_F(attempt, 4)),
          ret_sid);
}

struct qr_pair *
qr_pair_init(void *mem, const struct qr_pair_params *p)
{
    struct qr_pair *s = mem;

    QR_ASSERT(p->self != p->peer);
    qr_wipe(s, sizeof *s);
    s->state = NEW;
    s->self = p->self;
    s->peer = p->peer;
    s->attempt = p->attempt;
    qr_pair_make_sid(p, s->sid);
    setup_sid(s->sid, s->self, s->peer, s->sid_alice);
    setup_sid(s->sid, s->peer, s->self, s->sid_bob);
    return s;
}

const uint8_t *
qr_pair_sid(const struct qr_pair *p)
{
    return p->sid;
}

uint32_t
qr_pair_attempt(const struct qr_pair *p)
{
    return p->attempt;
}

int
qr_pair_active(const struct qr_pair *p)
{
    return p->state == ACTIVE;
}

int
qr_pair_failed(const struct qr_pair *p)
{
    return p->state == FAILED;
}

const struct qr_pair_keys *
qr_pair_keys(const struct qr_pair *p)
{
    return p->state == ACTIVE ? &p->keys : NULL;
}

/* The identifiers stay: the next attempt is counted from them. */
void
qr_pair_wipe(struct qr_pair *p)
{
    qr_wipe(&p->keys, sizeof p->keys);
    qr_wipe(&p->setup, sizeof p->setup);
    p->state = FAILED;
}

static qr_err
fail(struct qr_pair *p, qr_err e)
{
    qr_pair_wipe(p);
    return e;
}

static uint8_t *
reserve(struct qr_pair *p, const struct qr_outbox *out, enum qr_msg type, size_t len)
{
    return out->reserve(out->ctx, p->peer, type, 0, p->sid, len);
}

/* com_zero of party `who`. */
static void
commit_zero(const struct qr_pair *p, uint16_t who, const uint8_t *part, const uint8_t *salt,
            uint8_t ret[static 32])
{
    uint8_t who_be[2];

    qr_put16(who_be, who);
    qr_th(QR_TAG_COM_ZERO,
          QR_FIELDS(QR_F(p->sid, 32), QR_F(who_be, 2), QR_F(part, 32), QR_F(salt, 32)), ret);
}

qr_err
qr_pair_start(struct qr_pair *p, const struct qr_rng *rng, const struct qr_outbox *out)
{
    struct setup *s = &p->setup;
    uint8_t *msg;
    qr_err e;

    if (p->state != NEW)
        return QR_ERR_STATE;
    msg = reserve(p, out, QR_MSG_PAIR1, QR_PAIR1_LEN);
    if (!msg)
        return fail(p, QR_ERR_BACKPRESSURE);
    qr_rng_fill(rng, s->part.b, 32);
    qr_rng_fill(rng, s->salt.b, 32);
    commit_zero(p, p->self, s->part.b, s->salt.b, s->pair1[0]);
    e = qr_base_ot_request(p->sid_alice, rng, &s->alice, s->pair1[0] + OT1_AT);
    if (e != QR_OK) {
        out->cancel(out->ctx, p->peer, msg);
        return fail(p, e);
    }
    memcpy(msg, s->pair1[0], QR_PAIR1_LEN);
    out->commit(out->ctx, p->peer, msg);
    p->state = OFFERED;
    return QR_OK;
}

/* The peer as Alice asks; we answer as Bob of (peer, self). */
static qr_err
recv_pair1(struct qr_pair *p, const uint8_t *in, const struct qr_rng *rng,
           const struct qr_outbox *out)
{
    struct setup *s = &p->setup;
    uint8_t *msg = reserve(p, out, QR_MSG_PAIR2, QR_PAIR2_LEN);
    qr_err e;

    if (!msg)
        return fail(p, QR_ERR_BACKPRESSURE);
    memcpy(s->pair1[1], in, QR_PAIR1_LEN);
    memcpy(s->pair2 + PART_AT, s->part.b, 32);
    memcpy(s->pair2 + SALT_AT, s->salt.b, 32);
    e = qr_base_ot_answer(p->sid_bob, s->pair1[1] + OT1_AT, rng, s->pair2 + OT2_AT, s->key);
    if (e != QR_OK) {
        out->cancel(out->ctx, p->peer, msg);
        return fail(p, e);
    }
    qr_pprf_build(p->sid_bob, s->key, &s->work, s->pair2 + PPRF_AT, p->keys.bob_seed);
    memcpy(msg, s->pair2, QR_PAIR2_LEN);
    out->commit(out->ctx, p->peer, msg);
    p->state = ANSWERED;
    return QR_OK;
}

/* The value both sides send as PAIR3. */
static void
confirmation(const struct qr_pair *p, const uint8_t *peer_pair2, uint8_t ret[static 32])
{
    const struct setup *s = &p->setup;
    const int low = p->self < p->peer;

    qr_th(QR_TAG_PAIR_CONFIRM,
          QR_FIELDS(QR_F(p->sid, 32), QR_F(s->pair1[low ? 0 : 1], QR_PAIR1_LEN),
                    QR_F(s->pair1[low ? 1 : 0], QR_PAIR1_LEN),
                    QR_F(low ? s->pair2 : peer_pair2, QR_PAIR2_LEN),
                    QR_F(low ? peer_pair2 : s->pair2, QR_PAIR2_LEN)),
          ret);
}

/* The peer as Bob answers; we end as Alice of (self, peer). */
static qr_err
recv_pair2(struct qr_pair *p, const uint8_t *in, const struct qr_outbox *out)
{
    struct setup *s = &p->setup;
    struct qr_pair_keys *k = &p->keys;
    const int low = p->self < p->peer;
    uint8_t com[32];
    uint8_t *msg;
    qr_err e;

    commit_zero(p, p->peer, in + PART_AT, in + SALT_AT, com);
    if (!qr_sec_eq(com, s->pair1[1], 32))
        return fail(p, QR_ERR_COMMITMENT);
    e = qr_base_ot_finish(&s->alice, p->sid_alice, s->pair1[0] + OT1_AT, in + OT2_AT, s->key);
    if (e == QR_OK)
        e = qr_pprf_open(p->sid_alice, &s->alice.choice, s->key, in + PPRF_AT, &s->work,
                         k->alice_seed, &k->delta);
    if (e != QR_OK)
        return fail(p, e);
    msg = reserve(p, out, QR_MSG_PAIR3, QR_PAIR3_LEN);
    if (!msg)
        return fail(p, QR_ERR_BACKPRESSURE);
    qr_th(QR_TAG_ZERO_SEED,
          QR_FIELDS(QR_F(p->sid, 32), QR_F(low ? s->part.b : in + PART_AT, 32),
                    QR_F(low ? in + PART_AT : s->part.b, 32)),
          k->zero_seed.b);
    confirmation(p, in, s->confirm);
    memcpy(msg, s->confirm, QR_PAIR3_LEN);
    out->commit(out->ctx, p->peer, msg);
    p->state = SETTLED;
    return QR_OK;
}

static qr_err
recv_pair3(struct qr_pair *p, const uint8_t *in)
{
    if (!qr_sec_eq(in, p->setup.confirm, QR_PAIR3_LEN))
        return fail(p, QR_ERR_SETUP);
    qr_wipe(&p->setup, sizeof p->setup);
    p->state = ACTIVE;
    return QR_OK;
}

qr_err
qr_pair_recv(struct qr_pair *p, enum qr_msg type, qr_view payload, const struct qr_rng *rng,
             const struct qr_outbox *out)
{
    switch (type) {
    case QR_MSG_PAIR1:
        if (payload.len != QR_PAIR1_LEN)
            return QR_ERR_LENGTH;
        return p->state == OFFERED ? recv_pair1(p, payload.p, rng, out) : QR_ERR_STATE;
    case QR_MSG_PAIR2:
        if (payload.len != QR_PAIR2_LEN)
            return QR_ERR_LENGTH;
        return p->state == ANSWERED ? recv_pair2(p, payload.p, out) : QR_ERR_STATE;
    case QR_MSG_PAIR3:
        if (payload.len != QR_PAIR3_LEN)
            return QR_ERR_LENGTH;
        return p->state == SETTLED ? recv_pair3(p, payload.p) : QR_ERR_STATE;
    default:
        return QR_ERR_STATE;
    }
}
