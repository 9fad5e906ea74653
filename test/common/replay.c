#include "test/common/replay.h"

#include "protocol/base/aes.h"
#include "protocol/base/hash.h"
#include "protocol/dkg.h"
#include "protocol/ids.h"
#include "protocol/pair.h"
#include "protocol/presign.h"
#include "protocol/sign.h"
#include "test/common/testrng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define MAX_MSGS 2048
#define N QR_MAX_PARTIES

struct message {
    uint16_t from, to;
    enum qr_msg type;
    uint8_t *p;
    size_t len;
    int committed;
};

struct replay {
    struct transcript *s;
    uint16_t n, t, B, S[N];
    uint8_t id[N][32], measurement[N][32], nonce[N][32], id_key[N][64];
    struct qr_testrng rng[N];
    void *pair[N][N];
    struct qr_pair *pair_of[N][N];
    void *dkg_mem[N], *presign_mem[N];
    struct qr_dkg *dkg[N];
    struct qr_key key[N];
    struct qr_presign *presign[N];
    struct qr_aes *aes;
    struct message msg[MAX_MSGS];
    size_t n_msg;
    uint8_t sid[32]; /* what the envelope of a message must say now; checked unless of a pair */
    struct transcript_run out;
    enum replay_order order;
};

/* The context of a party's generator and of its outbox. */
struct seat {
    struct replay *r;
    uint16_t me;
};

static void
put_fq(struct transcript_put *l, const qr_fq *a)
{
    uint8_t b[32];
    qr_fq_put(b, a);
    transcript_put_hex(l, b, 32);
}

static void
seat_fill(void *ctx, uint8_t *out, size_t n)
{
    struct seat *c = ctx;
    qr_testrng_fill(&c->r->rng[c->me - 1], out, n);
}

static uint8_t *
seat_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
             size_t len)
{
    struct seat *c = ctx;
    struct replay *r = c->r;
    assert_true(r->n_msg < MAX_MSGS);
    assert_int_equal(epoch, 0);
    if (type >= QR_MSG_DKG1)
        assert_memory_equal(sid, r->sid, 32);
    else
        assert_memory_equal(sid, qr_pair_sid(r->pair_of[c->me - 1][to - 1]), 32);
    struct message *m = &r->msg[r->n_msg++];
    *m = (struct message){c->me, to, type, qr_alloc(len), len, 0};
    assert_non_null(m->p);
    return m->p;
}

static void
seat_commit(void *ctx, uint16_t to, uint8_t *p)
{
    struct seat *c = ctx;
    for (size_t i = 0; i < c->r->n_msg; i++) {
        struct message *m = &c->r->msg[i];
        if (m->p == p) {
            assert_int_equal(m->from, c->me);
            assert_int_equal(m->to, to);
            assert_false(m->committed);
            m->committed = 1;
            return;
        }
    }
    fail_msg("commit of memory that was not reserved");
}

static void
seat_cancel(void *ctx, uint16_t to, uint8_t *p)
{
    (void)ctx;
    (void)to;
    (void)p;
    fail_msg("no message of an honest run is cancelled");
}

#define SEAT(r, i) (&(struct seat){(r), (i)})
#define RNG(r, i) (&(struct qr_rng){SEAT(r, i), seat_fill})
#define OUTBOX(r, i) (&(struct qr_outbox){SEAT(r, i), seat_reserve, seat_commit, seat_cancel})

#define OK(expr) ok((expr), #expr, __LINE__)

static void
ok(qr_err e, const char *what, int line)
{
    if (e != QR_OK)
        fail_msg("line %d: %s: %s", line, what, qr_err_name(e));
}

static const struct message *
message(const struct replay *r, enum qr_msg type, uint16_t from, uint16_t to)
{
    for (size_t i = 0; i < r->n_msg; i++) {
        const struct message *m = &r->msg[i];
        if (m->type == type && m->from == from && m->to == to && m->committed)
            return m;
    }
    return NULL;
}

static qr_view
payload(const struct replay *r, enum qr_msg type, uint16_t from, uint16_t to)
{
    const struct message *m = message(r, type, from, to);
    if (m != NULL)
        return qr_view_of(m->p, m->len);
    fail_msg("no message of type %d from %u to %u", (int)type, from, to);
    return qr_view_of(NULL, 0);
}

/* The lines of one round: by sender, then receiver. */
static void
put_round(struct replay *r, int round, const char *name, enum qr_msg type)
{
    for (uint16_t i = 1; i <= r->n; i++)
        for (uint16_t j = 1; j <= r->n; j++) {
            const struct message *m = message(r, type, i, j);
            if (m == NULL)
                continue;
            char len[24];
            snprintf(len, sizeof len, "%zu", m->len);
            transcript_put_digest(transcript_add(&r->out, "msg.%d.%s.%u.%u", round, name, i, j),
                                  len, m->p, m->len);
        }
}

static void
run_init(struct replay *r, struct transcript *s)
{
    memset(r, 0, sizeof *r);
    r->s = s;
    assert_int_equal(transcript_number(transcript_input(s, "version")), QR_PROTOCOL_VERSION);
    r->n = (uint16_t)transcript_number(transcript_input(s, "n"));
    r->t = (uint16_t)transcript_number(transcript_input(s, "t"));
    r->B = (uint16_t)transcript_number(transcript_input(s, "B"));
    assert_true(r->n <= N && r->t <= r->n);
    uint8_t set[2 * N], seed[64], id_seed[32];
    assert_int_equal(transcript_bytes(transcript_input(s, "S"), set, sizeof set), 2u * r->t);
    for (size_t k = 0; k < r->t; k++)
        r->S[k] = qr_get16(set + 2 * k);
    for (unsigned i = 0; i < r->n; i++) {
        transcript_bytes32(transcript_input(s, "id_seed.%u", i + 1), id_seed);
        crypto_sign_seed_keypair(r->id[i], r->id_key[i], id_seed);
        uint8_t id[32];
        transcript_bytes32(transcript_input(s, "id.%u", i + 1), id);
        assert_memory_equal(id, r->id[i], 32);
        transcript_bytes32(transcript_input(s, "measurement.%u", i + 1), r->measurement[i]);
        transcript_bytes32(transcript_input(s, "nonce.%u", i + 1), r->nonce[i]);
        size_t len = transcript_bytes(transcript_input(s, "seed.%u", i + 1), seed, sizeof seed - 1);
        seed[len] = 0;
        qr_testrng_seed(&r->rng[i], (const char *)seed);
    }
    r->aes = qr_aes_new();
    assert_non_null(r->aes);
}

void
replay_free(struct replay *r)
{
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            if (r->pair_of[i][j] != NULL)
                qr_pair_wipe(r->pair_of[i][j]);
            qr_locked_free(r->pair[i][j]);
        }
        if (r->dkg[i] != NULL)
            qr_dkg_wipe(r->dkg[i]);
        if (r->presign[i] != NULL)
            qr_presign_wipe(r->presign[i]);
        qr_locked_free(r->dkg_mem[i]);
        qr_locked_free(r->presign_mem[i]);
    }
    for (size_t i = 0; i < r->n_msg; i++)
        qr_free(r->msg[i].p);
    qr_aes_free(r->aes);
    qr_free(r);
}

/* The k-th peer that i has a pair with, 0 when there are no more. */
static uint16_t
peer(const struct replay *r, uint16_t i, unsigned k)
{
    for (uint16_t step = 1; step <= r->n; step++) {
        uint16_t j = r->order == REPLAY_PEERS_DESCENDING ? (uint16_t)(r->n + 1 - step) : step;
        if (r->pair_of[i - 1][j - 1] != NULL && k-- == 0)
            return j;
    }
    return 0;
}

static void
pair_new(struct replay *r, uint16_t self, uint16_t other, uint32_t attempt)
{
    struct qr_pair_params p = {.self = self, .peer = other, .attempt = attempt};
    memcpy(p.id_self, r->id[self - 1], 32);
    memcpy(p.id_peer, r->id[other - 1], 32);
    memcpy(p.nonce_self, r->nonce[self - 1], 32);
    memcpy(p.nonce_peer, r->nonce[other - 1], 32);
    void *mem = r->pair[self - 1][other - 1] = qr_locked_alloc(qr_pair_size(), NULL);
    assert_non_null(mem);
    r->pair_of[self - 1][other - 1] = qr_pair_init(mem, &p);
}

static void
pairs_deliver(struct replay *r, enum qr_msg type)
{
    for (uint16_t i = 1, j; i <= r->n; i++)
        for (unsigned k = 0; (j = peer(r, i, k)) != 0; k++)
            OK(qr_pair_recv(r->pair_of[i - 1][j - 1], type, payload(r, type, j, i), RNG(r, i),
                            OUTBOX(r, i)));
}

static void
run_pairs(struct replay *r)
{
    for (size_t k = 0; k < r->s->n_in; k++) {
        unsigned a, b;
        if (strncmp(r->s->in[k].name, "in.attempt.", 11) != 0)
            continue;
        char *end;
        a = (unsigned)strtoul(r->s->in[k].name + 11, &end, 10);
        b = (unsigned)strtoul(end + 1, NULL, 10);
        assert_true(1 <= a && a < b && b <= r->n);
        uint32_t attempt = (uint32_t)transcript_number(r->s->in[k].value);
        pair_new(r, (uint16_t)a, (uint16_t)b, attempt);
        pair_new(r, (uint16_t)b, (uint16_t)a, attempt);
        transcript_put_hex(transcript_add(&r->out, "pair.%u.%u.sid", a, b),
                           qr_pair_sid(r->pair_of[a - 1][b - 1]), 32);
    }
    for (uint16_t i = 1, j; i <= r->n; i++)
        for (unsigned k = 0; (j = peer(r, i, k)) != 0; k++)
            OK(qr_pair_start(r->pair_of[i - 1][j - 1], RNG(r, i), OUTBOX(r, i)));
    put_round(r, 1, "PAIR1", QR_MSG_PAIR1);
    pairs_deliver(r, QR_MSG_PAIR1);
    put_round(r, 2, "PAIR2", QR_MSG_PAIR2);
    pairs_deliver(r, QR_MSG_PAIR2);
    put_round(r, 3, "PAIR3", QR_MSG_PAIR3);
    pairs_deliver(r, QR_MSG_PAIR3);
    for (unsigned i = 1; i <= r->n; i++)
        for (unsigned j = 1; j <= r->n; j++) {
            struct qr_pair *p = r->pair_of[i - 1][j - 1];
            if (p == NULL)
                continue;
            assert_true(qr_pair_active(p));
            const struct qr_pair_keys *k = qr_pair_keys(p);
            assert_non_null(k);
            transcript_put_hex(transcript_add(&r->out, "pair.%u.%u.zero_seed", i, j),
                               k->zero_seed.b, 32);
            transcript_put_hex(transcript_add(&r->out, "pair.%u.%u.delta", i, j), k->delta.b, 16);
            transcript_put_digest(transcript_add(&r->out, "pair.%u.%u.bob_seeds", i, j), "sha256",
                                  k->bob_seed, sizeof k->bob_seed);
        }
}

static int
identity_sign(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    return crypto_sign_detached(sig, NULL, msg, 32, ctx);
}

static void
dkg_deliver(struct replay *r, enum qr_msg type)
{
    for (uint16_t i = 1; i <= r->n; i++)
        for (uint16_t j = 1; j <= r->n; j++) {
            uint16_t blame = 0;
            if (i != j)
                OK(qr_dkg_recv(r->dkg[i - 1], j, type, payload(r, type, j, i), OUTBOX(r, i),
                               &blame));
        }
}

static void
run_dkg(struct replay *r)
{
    struct qr_dkg_params p = {.t = r->t, .n = r->n};
    transcript_bytes32(transcript_input(r->s, "cluster"), p.cluster);
    transcript_bytes32(transcript_input(r->s, "roster_hash"), p.roster_hash);
    transcript_bytes32(transcript_input(r->s, "admin_hash"), p.admin_hash);
    transcript_bytes32(transcript_input(r->s, "command_hash"), p.command_hash);
    p.flags = (uint8_t)transcript_number(transcript_input(r->s, "flags"));
    memcpy(p.id, r->id, sizeof p.id);
    memcpy(p.measurement, r->measurement, sizeof p.measurement);
    memcpy(p.nonce, r->nonce, sizeof p.nonce);
    qr_dkg_sid(&p, r->sid);
    transcript_put_hex(transcript_add(&r->out, "dkg.sid"), r->sid, 32);
    for (uint16_t i = 1; i <= r->n; i++) {
        p.self = i;
        r->dkg_mem[i - 1] = qr_locked_alloc(qr_dkg_size(), NULL);
        assert_non_null(r->dkg_mem[i - 1]);
        OK(qr_dkg_init(r->dkg_mem[i - 1], &p, &r->dkg[i - 1]));
        OK(qr_dkg_start(r->dkg[i - 1], RNG(r, i), OUTBOX(r, i)));
    }
    put_round(r, 1, "DKG1", QR_MSG_DKG1);
    dkg_deliver(r, QR_MSG_DKG1);
    put_round(r, 2, "DKG2", QR_MSG_DKG2);
    dkg_deliver(r, QR_MSG_DKG2);
    put_round(r, 3, "DKG3", QR_MSG_DKG3);
    dkg_deliver(r, QR_MSG_DKG3);
    for (uint16_t i = 1; i <= r->n; i++) {
        assert_true(qr_dkg_ready(r->dkg[i - 1]));
        struct qr_id_signer signer = {r->id_key[i - 1], identity_sign};
        OK(qr_dkg_confirm(r->dkg[i - 1], &signer, OUTBOX(r, i)));
    }
    put_round(r, 4, "DKG4", QR_MSG_DKG4);
    dkg_deliver(r, QR_MSG_DKG4);
    for (unsigned i = 0; i < r->n; i++) {
        assert_true(qr_dkg_done(r->dkg[i]));
        r->key[i] = *qr_dkg_key(r->dkg[i]);
        uint16_t bad = 0;
        OK(qr_key_check(&r->key[i].pub, &bad));
        OK(qr_key_check_share(&r->key[i]));
        assert_memory_equal(&r->key[i].pub, &r->key[0].pub, sizeof r->key[i].pub);
    }
    const struct qr_key_pub *k = &r->key[0].pub;
    uint8_t out[32];
    qr_key_out(k, out);
    transcript_put_hex(transcript_add(&r->out, "key.out"), out, 32);
    transcript_put_hex(transcript_add(&r->out, "key.id"), k->key_id, 32);
    transcript_put_hex(transcript_add(&r->out, "key.pk"), k->pk, 33);
    transcript_put_hex(transcript_add(&r->out, "key.cc"), k->cc, 32);
    transcript_put_number(transcript_add(&r->out, "key.epoch"), k->epoch);
    for (unsigned i = 0; i < r->n; i++)
        transcript_put_hex(transcript_add(&r->out, "key.P.%u", i + 1), k->P[i], 33);
    for (unsigned i = 0; i < r->n; i++)
        put_fq(transcript_add(&r->out, "key.share.%u", i + 1), &r->key[i].share);
}

static void
presign_work(struct replay *r, uint16_t i)
{
    int more = 1;
    uint16_t blame = 0;
    while (more)
        OK(qr_presign_work(r->presign[i - 1], RNG(r, i), OUTBOX(r, i), &more, &blame));
}

static void
presign_deliver(struct replay *r, enum qr_msg type)
{
    for (size_t a = 0; a < r->t; a++) {
        uint16_t i = r->S[a];
        for (size_t b = 0; b < r->t; b++) {
            int kept = 0;
            if (a != b)
                OK(qr_presign_recv(r->presign[i - 1], r->S[b], type, payload(r, type, r->S[b], i),
                                   &kept));
        }
        presign_work(r, i);
    }
}

/* The machine's own list of rsids must hold both orders of the pair. */
static void
put_rsid(struct replay *r, uint16_t i, uint16_t j)
{
    uint8_t mine[2 * N][32], want[2][32];
    size_t n = qr_presign_rsids(r->presign[i - 1], mine, 2 * N);
    assert_int_equal(n, 2u * (r->t - 1u));
    qr_rsid(r->sid, i, j, want[0]);
    qr_rsid(r->sid, j, i, want[1]);
    for (size_t k = 0; k < 2; k++) {
        size_t found = 0;
        for (size_t m = 0; m < n; m++)
            found += memcmp(mine[m], want[k], 32) == 0;
        assert_int_equal(found, 1);
    }
    transcript_put_hex(transcript_add(&r->out, "batch.rsid.%u.%u", i, j), want[0], 32);
}

static void
run_batch(struct replay *r)
{
    const struct qr_key_pub *k = &r->key[r->S[0] - 1].pub;
    struct qr_batch_id id = {.epoch = k->epoch, .t = r->t, .B = r->B};
    memcpy(id.key_id, k->key_id, 32);
    memcpy(id.dkg_sid, k->dkg_sid, 32);
    memcpy(id.S, r->S, sizeof id.S);
    id.initiator = (uint16_t)transcript_number(transcript_input(r->s, "batch.initiator"));
    id.ctr = transcript_number(transcript_input(r->s, "batch.ctr"));
    transcript_bytes32(transcript_input(r->s, "batch.nonce"), id.nonce);
    uint8_t ids[N][32], ms[N][32], nonces[N][32];
    for (size_t a = 0; a < r->t; a++) {
        memcpy(ids[a], r->id[r->S[a] - 1], 32);
        memcpy(ms[a], r->measurement[r->S[a] - 1], 32);
        memcpy(nonces[a], r->nonce[r->S[a] - 1], 32);
    }
    qr_grp(r->S, r->t, (const uint8_t(*)[32])ids, (const uint8_t(*)[32])ms,
           (const uint8_t(*)[32])nonces, id.grp);
    qr_batch_sid(&id, r->sid);
    transcript_put_hex(transcript_add(&r->out, "batch.grp"), id.grp, 32);
    transcript_put_hex(transcript_add(&r->out, "batch.sid"), r->sid, 32);
    for (size_t a = 0; a < r->t; a++) {
        uint16_t i = r->S[a];
        const struct qr_pair *pairs[N] = {NULL};
        for (size_t b = 0; b < r->t; b++)
            pairs[b] = r->pair_of[i - 1][r->S[b] - 1];
        void *mem = r->presign_mem[i - 1] = qr_locked_alloc(qr_presign_size(r->t, r->B), NULL);
        assert_non_null(mem);
        OK(qr_presign_init(mem, &r->key[i - 1], &id, pairs, r->aes, &r->presign[i - 1]));
        for (size_t b = 0; b < r->t; b++)
            if (a != b)
                put_rsid(r, i, r->S[b]);
        OK(qr_presign_start(r->presign[i - 1], RNG(r, i), OUTBOX(r, i)));
        presign_work(r, i);
    }
    put_round(r, 1, "PRESIGN1", QR_MSG_PRESIGN1);
    presign_deliver(r, QR_MSG_PRESIGN1);
    put_round(r, 2, "PRESIGN2", QR_MSG_PRESIGN2);
    presign_deliver(r, QR_MSG_PRESIGN2);
    for (size_t idx = 0; idx < r->B; idx++)
        for (size_t a = 0; a < r->t; a++) {
            size_t n = 0;
            const struct qr_presign *p = r->presign[r->S[a] - 1];
            assert_true(qr_presign_done(p));
            const struct qr_presig *ps = qr_presign_result(p, &n);
            assert_int_equal(n, r->B);
            uint8_t secret[96], presig_id[QR_PRESIG_ID_LEN];
            qr_presig_id(r->sid, (uint16_t)idx, presig_id);
            assert_memory_equal(ps[idx].id, presig_id, sizeof presig_id);
            assert_int_equal(ps[idx].set_mask, qr_set_mask(r->S, r->t));
            qr_fq_put(secret, &ps[idx].phi);
            qr_fq_put(secret + 32, &ps[idx].u);
            qr_fq_put(secret + 64, &ps[idx].v);
            if (a == 0)
                transcript_put_hex(transcript_add(&r->out, "presig.%zu.R", idx), ps[idx].R, 33);
            transcript_put_digest(transcript_add(&r->out, "presig.%zu.secret.%u", idx, r->S[a]),
                                  "sha256", secret, 96);
        }
    for (unsigned i = 0; i < r->n; i++)
        transcript_put_number(transcript_add(&r->out, "drawn.%u", i + 1), r->rng[i].offset);
}

static void
run_signature(struct replay *r, unsigned k)
{
    struct transcript *s = r->s;
    uint8_t path_bytes[4 * QR_PATH_MAX], digest[32], request_id[32], body[1024], rq[32];
    uint8_t stamp[QR_STAMPS_MAX][64];
    qr_view stamps[QR_STAMPS_MAX];
    uint32_t path[QR_PATH_MAX];
    size_t depth =
        transcript_bytes(transcript_input(s, "sign.%u.path", k), path_bytes, sizeof path_bytes) / 4;
    for (size_t d = 0; d < depth; d++)
        path[d] = qr_get32(path_bytes + 4 * d);
    transcript_bytes32(transcript_input(s, "sign.%u.digest", k), digest);
    transcript_bytes32(transcript_input(s, "sign.%u.request_id", k), request_id);
    size_t idx = (size_t)transcript_number(transcript_input(s, "sign.%u.idx", k));
    uint16_t item_index = (uint16_t)transcript_number(transcript_input(s, "sign.%u.item", k));
    size_t n_stamps = (size_t)transcript_number(transcript_input(s, "sign.%u.stamps", k));
    assert_true(n_stamps <= QR_STAMPS_MAX && idx < r->B);
    for (size_t m = 0; m < n_stamps; m++) {
        size_t len = transcript_bytes(transcript_input(s, "sign.%u.stamp.%zu", k, m), stamp[m],
                                      sizeof stamp[m]);
        stamps[m] = qr_view_of(stamp[m], len);
    }
    size_t body_len = transcript_bytes(transcript_input(s, "sign.%u.body", k), body, sizeof body);
    qr_sign_rq(qr_view_of(body, body_len), stamps, n_stamps, rq);
    transcript_put_hex(transcript_add(&r->out, "sign.%u.rq", k), rq, 32);

    struct qr_sign_common c;
    struct qr_sign_item item;
    uint8_t share[N][QR_SIGN_SHARE_LEN], sig[64];
    const uint8_t *shares[N];
    for (size_t a = 0; a < r->t; a++) {
        uint16_t i = r->S[a];
        size_t n = 0;
        struct qr_presig ps = qr_presign_result(r->presign[i - 1], &n)[idx];
        OK(qr_sign_prepare(&r->key[i - 1].pub, r->S, r->t, request_id, rq, path, depth, &c));
        OK(qr_sign_share(&c, digest, item_index, &ps, share[a], &item));
        shares[a] = share[a];
        if (a == 0) {
            uint8_t R[33];
            qr_pt_put(R, &item.R);
            transcript_put_hex(transcript_add(&r->out, "sign.%u.pk", k), c.pk33, 33);
            put_fq(transcript_add(&r->out, "sign.%u.tau", k), &c.tau);
            transcript_put_hex(transcript_add(&r->out, "sign.%u.ctx", k), item.ctx, 32);
            transcript_put_hex(transcript_add(&r->out, "sign.%u.R", k), R, 33);
        }
        transcript_put_hex(transcript_add(&r->out, "sign.%u.share.%u", k, i), share[a],
                           QR_SIGN_SHARE_LEN);
    }
    int recid = -1;
    uint16_t blame = 0;
    OK(qr_sign_combine(&c, &item, shares, sig, &recid, &blame));
    transcript_put_hex(transcript_add(&r->out, "sign.%u.r", k), sig, 32);
    transcript_put_hex(transcript_add(&r->out, "sign.%u.s", k), sig + 32, 32);
    transcript_put_number(transcript_add(&r->out, "sign.%u.recid", k), (uint64_t)recid);
}

struct replay *
replay_play(struct transcript *s, enum replay_order order)
{
    struct replay *r = qr_alloc(sizeof *r);
    assert_non_null(r);
    run_init(r, s);
    r->order = order;
    run_pairs(r);
    run_dkg(r);
    run_batch(r);
    for (unsigned k = 0; k < transcript_number(transcript_input(s, "sign.count")); k++)
        run_signature(r, k);
    return r;
}

struct transcript_run *
replay_lines(struct replay *r)
{
    return &r->out;
}
