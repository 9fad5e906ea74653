/*
 * What must never happen, looked at where the daemon's files call each other. Linked with --wrap:
 * every function below stands before the product's own, sees what passes, and passes it on.
 *
 *   signatures verify; no presignature answers two inputs; one rsid runs once; between two boot
 *   nonces messages arrive once, in order, without a gap, and under no other nonces; a pair is
 *   retired only after a lie, on disk before anything leaves, and is silent from then on; a failed
 *   check retires its pair; C1 is never evaluated again under a Delta that has failed; a rolled-back
 *   store is not believed, nor a second process of a party whose first is alive; one message of one
 *   session is computed once; shares are computed only for what a client asked for, and for no nonce
 *   point that was known before, from no presignature of a peer's process that has ended; members of
 *   a batch saw the same commitments; queues and memory stay within their bounds.
 */
#include "protocol/presign_int.h"
#include "test/sim/cheat.h"
#include "test/sim/wire.h"

#include <stdlib.h>

#define INSTANCES 512u
#define HEAP_MAX (512u * 1024u * 1024u)

/* One running process as its peers know it: a boot nonce. */
struct instance {
    uint8_t nonce[32];
    unsigned host, index;
    struct sent {
        uint64_t *hash; /* of every message committed for this peer, in order */
        size_t n, cap;
        uint8_t to[64][32]; /* the peer's nonces we met, and where their messages begin */
        size_t begin[64], n_to;
        unsigned generation; /* rises with each of them */
    } tx[QR_PEERS];
    struct rx {
        uint8_t from[32];
        int open;
        struct instance *of;
        size_t at;
        int gone;       /* the connection is lost */
        uint64_t heard; /* its last message */
    } rx[QR_PEERS];
};

struct reserved {
    uint8_t *p;
    unsigned host, generation;
    uint16_t to;
    enum qr_msg type;
    uint8_t sid[32];
    size_t len;
    struct instance *of;
};

/* Growing sets of 40-byte records; open addressing. */
struct set {
    uint8_t (*v)[40];
    size_t n, cap;
};

static struct {
    struct instance *inst[INSTANCES];
    size_t n_inst;
    struct instance *now[SIM_HOSTS + 1]; /* the one on this host */
    struct qr_net_events ev[SIM_HOSTS + 1];
    struct reserved res[256];
    struct set presigs, rsids, deltas, coms, computed, made;
    uint16_t failed_check[SIM_HOSTS + 1]; /* the peer blamed, until RETIRED is durable */
    uint16_t retired[SIM_HOSTS + 1][SIM_PARTIES + 1]; /* durable on this host's disk */
    uint64_t told_boot[SIM_HOSTS + 1][SIM_PARTIES + 1], told_serial[SIM_HOSTS + 1][SIM_PARTIES + 1];
    uint64_t next_tick;
} w;

/* ---- sets -------------------------------------------------------------------------------- */

static size_t
slot_of(const struct set *s, const uint8_t key[32])
{
    size_t i = (size_t)qr_get64(key) & (s->cap - 1);
    while (s->v[i][39] && memcmp(s->v[i], key, 32) != 0) {
        i = (i + 1) & (s->cap - 1);
    }
    return i;
}

/* The record's 7 bytes of value; *fresh: it was not there. */
static uint8_t *
enter(struct set *s, const uint8_t key[32], int *fresh)
{
    if (2 * s->n >= s->cap) {
        struct set big = {.n = s->n, .cap = s->cap ? 2 * s->cap : 1024};
        big.v = qr_alloc(big.cap * sizeof *big.v);
        if (!big.v) {
            abort();
        }
        for (size_t i = 0; i < s->cap; i++) {
            if (s->v[i][39]) {
                memcpy(big.v[slot_of(&big, s->v[i])], s->v[i], 40);
            }
        }
        (void)qr_free(s->v);
        *s = big;
    }
    size_t i = slot_of(s, key);
    *fresh = !s->v[i][39];
    if (*fresh) {
        memcpy(s->v[i], key, 32);
        s->v[i][39] = 1;
        s->n++;
    }
    return s->v[i] + 32;
}

static void
key_of(const char *what, unsigned index, qr_view a, qr_view b, uint8_t ret[32])
{
    uint8_t i[2];
    qr_put16(i, (uint16_t)index);
    qr_th(QR_TAG_SIM, QR_FIELDS(qr_view_str(what), QR_F(i, 2), a, b), ret);
}

static struct instance *
here(void)
{
    return w.now[sim_self()];
}

static struct instance *
by_nonce(const uint8_t nonce[32])
{
    for (size_t i = w.n_inst; i > 0; i--) {
        if (memcmp(w.inst[i - 1]->nonce, nonce, 32) == 0) {
            return w.inst[i - 1];
        }
    }
    return NULL;
}

/* ---- what passes between nets ------------------------------------------------------------ */

/* Tells messages apart; no secret and no enemy depends on it, and presigning sends megabytes. */
static uint64_t
message_hash(enum qr_msg type, const uint8_t sid[32], qr_view payload)
{
    const uint64_t mul = 0x9e3779b97f4a7c15u;
    uint64_t h = ((uint64_t)type * mul ^ qr_get64(sid)) * mul ^ payload.len;
    size_t i = 0;
    for (; i + 8 <= payload.len; i += 8) {
        uint64_t word;
        memcpy(&word, payload.p + i, 8);
        h = (h ^ word) * mul;
        h ^= h >> 29;
    }
    for (; i < payload.len; i++) {
        h = (h ^ payload.p[i]) * mul;
    }
    return h;
}

/* Messages of the protocol's machines: one session, one receiver, one type, one message. */
static int
of_session(enum qr_msg type)
{
    return type <= QR_MSG_PAIR3 || (type >= QR_MSG_DKG1 && type <= QR_MSG_DKG4) ||
           type == QR_MSG_PRESIGN1 || type == QR_MSG_PRESIGN2;
}

static void
sent(struct instance *s, uint16_t to, enum qr_msg type, const uint8_t sid[32], qr_view payload)
{
    struct sent *x = &s->tx[to];
    unsigned host = s->host;
    if (x->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 256;
        x->hash = qr_realloc(x->hash, x->cap * sizeof *x->hash);
        if (!x->hash) {
            abort();
        }
    }
    x->hash[x->n++] = message_hash(type, sid, payload);
    if (sim.host[host].dying || sim_cheats(s->index)) {
        return;
    }
    if (w.failed_check[host]) {
        sim_violation("party %u sent message type %d after a failed check of party %u and before "
                      "RETIRED was on its disk",
                      s->index, (int)type, w.failed_check[host]);
    }
    if (of_session(type)) {
        uint8_t where[6], key[32];
        int fresh;
        qr_put16(where, (uint16_t)type);
        qr_put16(where + 2, to);
        qr_put16(where + 4, (uint16_t)s->index);
        key_of("computed", s->index, QR_F(sid, 32), QR_F(where, 6), key);
        (void)enter(&w.computed, key, &fresh);
        if (!fresh) {
            sim_violation("party %u computed message type %d of one session twice for party %u",
                          s->index, (int)type, to);
        }
    }
    int session = type <= QR_MSG_PAIR3 || type == QR_MSG_PRESIGN1 || type == QR_MSG_PRESIGN2 ||
                  type == QR_MSG_PRESIGN_START;
    if (session && w.retired[host][to]) {
        sim_violation("party %u sent message type %d to party %u, with which it has retired its "
                      "pair",
                      s->index, (int)type, to);
    }
}

static void
up(void *ctx, const struct qr_peer_info *info)
{
    struct sim_host *h = ctx;
    unsigned host = (unsigned)(h - sim.host);
    struct instance *s = w.now[host];
    if (!info->resumed) {
        struct sent *x = &s->tx[info->index];
        x->generation++;
        if (x->n_to < 64) {
            memcpy(x->to[x->n_to], info->boot_nonce, 32);
            x->begin[x->n_to++] = x->n;
        }
        struct rx *r = &s->rx[info->index];
        const struct instance *old = r->of;
        if (old && w.now[old->host] == old && sim_may_step(&sim.host[old->host]) && !r->gone &&
            sim.now - r->heard < SIM_S) {
            sim_violation("party %u took a second process of party %u while it heard the first",
                          s->index, info->index);
        }
        memcpy(r->from, info->boot_nonce, 32);
        r->of = by_nonce(info->boot_nonce);
        r->open = 0;
        if (!r->of || r->of->index != info->index) {
            sim_violation("party %u believes a boot nonce that party %u never had", s->index,
                          info->index);
        }
    }
    uint64_t *boot = &w.told_boot[host][info->index], *serial = &w.told_serial[host][info->index];
    if (info->boot_counter < *boot || info->store_serial < *serial) {
        sim_violation("party %u accepted party %u with store serial %llu, boot %llu after %llu, "
                      "%llu: rolled back",
                      s->index, info->index, (unsigned long long)info->store_serial,
                      (unsigned long long)info->boot_counter, (unsigned long long)*serial,
                      (unsigned long long)*boot);
    }
    s->rx[info->index].gone = 0;
    sim_trace("up", s->index, "peer=%u resumed=%d", info->index, info->resumed);
    w.ev[host].on_up(w.ev[host].ctx, info);
    /* A party that could not write it down stops signing, and may have forgotten it when it is back. */
    if (!h->party->store_failed && !h->dying) {
        *boot = info->boot_counter;
        *serial = info->store_serial;
    }
}

static void
down(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    unsigned host = (unsigned)((struct sim_host *)ctx - sim.host);
    sim_trace("down", sim.host[host].index, "peer=%u", peer);
    /* "started anew" is said of a connection that is there */
    w.now[host]->rx[peer].gone = strcmp(detail, "the peer started anew") != 0;
    w.ev[host].on_down(w.ev[host].ctx, peer, why, detail);
}

static void
refused(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    unsigned host = (unsigned)((struct sim_host *)ctx - sim.host);
    sim_trace("refused", sim.host[host].index, "peer=%u error=%d", peer, (int)why);
    if (why == QR_ERR_ROLLBACK && peer && peer <= sim.n) {
        sim.host[peer].refused = 1;
    }
    w.ev[host].on_refused(w.ev[host].ctx, peer, why, detail);
}

static void
message(void *ctx, struct qr_msg_in *m)
{
    unsigned host = (unsigned)((struct sim_host *)ctx - sim.host);
    struct instance *s = w.now[host];
    struct rx *r = &s->rx[m->from];
    struct sent *x = r->of ? &r->of->tx[s->index] : NULL;
    if (sim.host[host].dying) {
        return;
    }
    if (!x) {
        sim_violation("party %u got a message of party %u before it came up", s->index, m->from);
        return;
    }
    if (!r->open) {
        size_t k = x->n_to;
        while (k > 0 && memcmp(x->to[k - 1], s->nonce, 32) != 0) {
            k--;
        }
        if (k == 0) {
            sim_violation("party %u got a message that party %u sent to another boot nonce",
                          s->index, m->from);
            return;
        }
        r->at = x->begin[k - 1];
        r->open = 1;
    }
    if (r->at >= x->n || x->hash[r->at] != message_hash(m->type, m->sid, m->payload)) {
        sim_violation("party %u got message type %d of party %u out of order, twice, or never sent "
                      "to it under these boot nonces (%zu of %zu)",
                      s->index, (int)m->type, m->from, r->at, x->n);
        return;
    }
    r->at++;
    r->heard = sim.now;
    w.ev[host].on_message(w.ev[host].ctx, m);
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    unsigned host = (unsigned)((struct sim_host *)ctx - sim.host);
    w.ev[host].store_state(w.ev[host].ctx, serial, root);
}

static qr_err
check_store(void *ctx, uint16_t peer, uint64_t boot, uint64_t serial, const uint8_t root[32])
{
    unsigned host = (unsigned)((struct sim_host *)ctx - sim.host);
    qr_err e = w.ev[host].check_store(w.ev[host].ctx, peer, boot, serial, root);
    if (e == QR_ERR_ROLLBACK && peer <= sim.n) {
        sim_trace("rollback-seen", sim.host[host].index, "peer=%u", peer);
        sim.host[peer].refused = 1;
    }
    return e;
}

/* The first 6 bytes of the batch and the number in it. */
static unsigned long long
short_id(const uint8_t *id)
{
    return (unsigned long long)(qr_get64(id) & ~0xffffull) | qr_get16(id + 32);
}

/* ---- the daemon's calls ------------------------------------------------------------------ */

#define REAL(ret, name, args)                                                                      \
    ret __real_##name args;                                                                        \
    ret __wrap_##name args;                                                                        \
    ret __wrap_##name args

REAL(qr_err, qr_net_new,
     (const struct qr_net_params *p, const struct qr_net_events *ev, struct qr_net **ret,
      char *err_text, size_t err_cap))
{
    struct sim_host *h = sim.running;
    unsigned host = sim_self();
    struct qr_net_events mine = {h, up, down, refused, message, store_state, check_store};
    if (w.n_inst == INSTANCES) {
        sim_violation("more than %u starts", INSTANCES);
        return QR_ERR_BUSY;
    }
    struct instance *s = qr_alloc(sizeof *s);
    memcpy(s->nonce, p->boot_nonce, 32);
    s->host = host;
    s->index = p->self;
    if (by_nonce(p->boot_nonce)) {
        sim_violation("party %u used a boot nonce again", p->self);
    }
    w.inst[w.n_inst++] = w.now[host] = s;
    w.ev[host] = *ev;
    return __real_qr_net_new(p, &mine, ret, err_text, err_cap);
}

REAL(uint8_t *, qr_net_reserve,
     (void *net, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32], size_t len))
{
    uint8_t *p = __real_qr_net_reserve(net, to, type, epoch, sid, len);
    struct instance *s = here();
    for (size_t i = 0; p && i < sizeof w.res / sizeof w.res[0]; i++) {
        struct reserved *r = &w.res[i];
        if (!r->p) {
            *r = (struct reserved){.p = p,
                                   .host = s->host,
                                   .generation = s->tx[to].generation,
                                   .to = to,
                                   .type = type,
                                   .len = len,
                                   .of = s};
            memcpy(r->sid, sid, 32);
            break;
        }
    }
    return p;
}

static struct reserved *
reservation(const uint8_t *p)
{
    for (size_t i = 0; i < sizeof w.res / sizeof w.res[0]; i++) {
        if (w.res[i].p == p) {
            return &w.res[i];
        }
    }
    return NULL;
}

REAL(void, qr_net_commit, (void *net, uint16_t to, uint8_t *p))
{
    struct reserved *r = reservation(p);
    if (r) {
        if (sim_cheats(r->of->index)) {
            sim_cheat_outgoing(&sim.host[r->host], to, r->type, r->sid, p, r->len);
        }
        if (r->of == here() && r->generation == r->of->tx[to].generation) {
            sent(r->of, to, r->type, r->sid, qr_view_of(p, r->len));
        }
        r->p = NULL;
    }
    __real_qr_net_commit(net, to, p);
}

REAL(void, qr_net_cancel, (void *net, uint16_t to, uint8_t *p))
{
    struct reserved *r = reservation(p);
    if (r) {
        r->p = NULL;
    }
    __real_qr_net_cancel(net, to, p);
}

REAL(qr_err, qr_net_send,
     (struct qr_net * n, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
      qr_view payload))
{
    struct instance *s = here();
    uint8_t lie[1024];
    if (sim_cheats(s->index) && payload.len > 0 && payload.len <= sizeof lie) {
        memcpy(lie, payload.p, payload.len);
        payload.p = lie;
        sim_cheat_outgoing(&sim.host[s->host], to, type, sid, lie, payload.len);
    }
    qr_err e = __real_qr_net_send(n, to, type, epoch, sid, payload);
    if (e == QR_OK) {
        sent(s, to, type, sid, payload);
    }
    return e;
}

REAL(qr_err, qr_presign_start,
     (struct qr_presign * p, const struct qr_rng *rng, const struct qr_outbox *out))
{
    uint8_t rsid[2 * QR_MAX_PARTIES][32], key[32];
    size_t n = qr_presign_rsids(p, rsid, 2 * QR_MAX_PARTIES);
    for (size_t i = 0; i < n; i++) {
        int fresh;
        key_of("rsid", here()->index, QR_F(rsid[i], 32), QR_F(NULL, 0), key);
        (void)enter(&w.rsids, key, &fresh);
        if (!fresh && !sim_cheats(here()->index)) {
            sim_violation("party %u ran one rsid twice", here()->index);
        }
    }
    return __real_qr_presign_start(p, rng, out);
}

/* The commitment of a batch, as each receiver took it. */
REAL(qr_err, qr_presign_recv,
     (struct qr_presign * p, uint16_t from, enum qr_msg type, qr_view payload, int *ret_kept))
{
    uint8_t key[32];
    int fresh;
    qr_err e = __real_qr_presign_recv(p, from, type, payload, ret_kept);
    if (e != QR_OK || type != QR_MSG_PRESIGN1) {
        return e;
    }
    key_of("com", from, QR_F(p->batch_sid, 32), QR_F(NULL, 0), key);
    uint8_t *v = enter(&w.coms, key, &fresh);
    if (fresh) {
        memcpy(v, payload.p, 6);
    } else if (memcmp(v, payload.p, 6) != 0) {
        /* Not wrong in itself: it must not end in a pool. */
        key_of("split", 0, QR_F(p->batch_sid, 32), QR_F(NULL, 0), key);
        (void)enter(&w.coms, key, &fresh);
        sim_trace("split-view", here()->index, "peer=%u", from);
    }
    return e;
}

REAL(qr_err, qr_presign_work,
     (struct qr_presign * p, const struct qr_rng *rng, const struct qr_outbox *out, int *ret_more,
      uint16_t *ret_blame))
{
    unsigned host = sim_self();
    uint16_t blame = 0;
    qr_err e = __real_qr_presign_work(p, rng, out, ret_more, &blame);
    if (ret_blame) {
        *ret_blame = blame;
    }
    if (e == QR_ERR_CHECK) {
        sim_trace("check-failed", here()->index, "peer=%u", blame);
        if (!sim_cheats(here()->index)) {
            w.failed_check[host] = blame;
            if (!sim_cheats(blame)) {
                sim_violation("a check of party %u failed with party %u, which did not lie",
                              here()->index, blame);
            }
        }
    }
    return e;
}

/* C1 under a Delta that has failed before would be the oracle that the ban rule denies. */
REAL(qr_err, qr_cot_recv,
     (const uint8_t rsid[static 32], const struct qr_sec16 (*seed)[256],
      const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg, struct qr_aes *aes,
      void *scratch, struct qr_sec16 *rows_q))
{
    uint8_t key[32];
    int fresh;
    qr_err e = __real_qr_cot_recv(rsid, seed, delta, B, msg, aes, scratch, rows_q);
    key_of("delta", here()->index, QR_F(delta, sizeof *delta), QR_F(NULL, 0), key);
    uint8_t *v = enter(&w.deltas, key, &fresh);
    if (v[0] && !sim_cheats(here()->index)) {
        sim_violation("party %u evaluated C1 again under a Delta that had failed", here()->index);
    }
    v[0] |= e != QR_OK;
    return e;
}

REAL(void, qr_pairs_retire, (struct qr_party * p, uint16_t peer))
{
    unsigned host = sim_self();
    if (!sim_cheats(peer) && !sim_cheats(p->self)) {
        sim_violation("party %u retired its pair with party %u, and nobody lied", p->self, peer);
    }
    sim_trace("retire", p->self, "peer=%u", peer);
    int again = qr_pairs_retired(p, p->self, peer);
    __real_qr_pairs_retire(p, peer);
    if (!sim_cheats(p->self) && !sim.host[host].dying &&
        (!qr_pairs_retired(p, p->self, peer) ||
         (!again && !p->store_failed && !w.retired[host][peer]))) {
        sim_violation("a check of party %u failed with party %u, and the pair is not retired%s",
                      p->self, peer, qr_pairs_retired(p, p->self, peer) ? " on its disk" : "");
    }
    w.failed_check[host] = 0;
}

REAL(qr_err, qr_state_put, (struct qr_party * p, enum qr_table t, const char *name, qr_view v))
{
    unsigned host = sim_self(), a = 0, b = 0;
    /* The table of retired pairs: durable inside, before it is told inside. */
    uint16_t blamed = w.failed_check[host];
    if (t == QR_TABLE_PAIR) {
        char *dash;
        a = (unsigned)strtoul(name, &dash, 10);
        b = *dash == '-' ? (unsigned)strtoul(dash + 1, NULL, 10) : 0;
    }
    if (a == 0 || b == 0 || (a != p->self && b != p->self)) {
        return __real_qr_state_put(p, t, name, v);
    }
    w.failed_check[host] = 0; /* qr_state_put announces the serial right after the write */
    uint64_t before = qr_store_serial(p->env.store);
    qr_err e = __real_qr_state_put(p, t, name, v);
    if (e == QR_OK && qr_store_serial(p->env.store) != before) {
        unsigned peer = a == p->self ? b : a;
        if (peer <= SIM_PARTIES && !sim.host[host].dying) {
            w.retired[host][peer] = 1;
        }
    } else {
        w.failed_check[host] = blamed && !p->store_failed ? blamed : 0;
    }
    return e;
}

/* Rises when a member of the set comes up as a new process: what was made before is worth nothing. */
static uint8_t *
lives(const struct instance *s, const uint8_t *id, uint16_t mask, unsigned *ret_sum, int *fresh)
{
    uint8_t key[32];
    *ret_sum = 0;
    for (unsigned j = 1; j <= SIM_PARTIES; j++) {
        *ret_sum += mask >> (j - 1) & 1 ? s->tx[j].generation : 0;
    }
    key_of("made", s->index, QR_F(id, QR_PRESIG_ID_LEN), QR_F(s->nonce, 32), key);
    return enter(&w.made, key, fresh);
}

REAL(qr_err, qr_pool_add,
     (struct qr_pool * p, const struct qr_pool_id *id, const uint8_t batch_sid[static 32],
      const struct qr_presig *v, size_t B))
{
    uint8_t key[32];
    int fresh;
    qr_err e = __real_qr_pool_add(p, id, batch_sid, v, B);
    key_of("split", 0, QR_F(batch_sid, 32), QR_F(NULL, 0), key);
    if (e == QR_OK && w.coms.cap && w.coms.v[slot_of(&w.coms, key)][39] &&
        !sim_cheats(here()->index)) {
        sim_violation("party %u took a batch into its pool whose members saw different commitments",
                      here()->index);
    }
    for (size_t i = 0; e == QR_OK && i < B; i++) {
        unsigned sum;
        uint8_t *was = lives(here(), v[i].id, id->set_mask, &sum, &fresh);
        qr_put16(was, (uint16_t)sum);
        sim_trace("made", here()->index, "id=%016llx set=0x%x owner=%u", short_id(v[i].id),
                  id->set_mask, id->owner);
    }
    return e;
}

REAL(size_t, qr_pool_drop_parties, (struct qr_pool * p, uint16_t mask))
{
    size_t n = __real_qr_pool_drop_parties(p, mask);
    if (n > 0) {
        sim_trace("dropped", here()->index, "mask=0x%x n=%zu", mask, n);
    }
    return n;
}

REAL(qr_err, qr_pool_take,
     (struct qr_pool * p, const struct qr_pool_id *id,
      const uint8_t presig_id[static QR_PRESIG_ID_LEN], struct qr_presig *ret))
{
    qr_err e = __real_qr_pool_take(p, id, presig_id, ret);
    if (e == QR_OK) {
        sim_trace("taken", here()->index, "id=%016llx", short_id(presig_id));
    }
    return e;
}

REAL(qr_err, qr_sign_share,
     (const struct qr_sign_common *c, const uint8_t digest[static 32], uint16_t item_index,
      struct qr_presig *presig, uint8_t ret_share[static QR_SIGN_SHARE_LEN],
      struct qr_sign_item *item))
{
    uint8_t id[QR_PRESIG_ID_LEN], key[32], R[33], used[33];
    unsigned host = sim_self(), index = here()->index;
    int fresh;
    memcpy(id, presig->id, sizeof id);
    memcpy(R, presig->R, sizeof R);
    qr_err e = __real_qr_sign_share(c, digest, item_index, presig, ret_share, item);
    if (e != QR_OK) {
        return e;
    }
    sim_trace("share", index, "id=%016llx request=%016llx digest=%016llx", short_id(id),
              (unsigned long long)qr_get64(c->request_id), (unsigned long long)qr_get64(digest));
    key_of("presig", index, QR_F(id, sizeof id), QR_F(NULL, 0), key);
    (void)enter(&w.presigs, key, &fresh);
    if (!fresh && !sim_cheats(index)) {
        sim_violation("party %u answered with one presignature twice", index);
    }
    if (!sim_cheats(index) && !sim_client_wanted(digest)) {
        sim_violation("party %u computed a share for what no client asked for", index);
    }
    unsigned sum;
    const uint8_t *was = lives(here(), id, qr_set_mask(c->S, c->t), &sum, &fresh);
    if (!sim_cheats(index) && (fresh || qr_get16(was) != (uint16_t)sum)) {
        sim_violation("party %u signed with a presignature of a peer's process that has ended",
                      index);
    }
    qr_pt_put(used, &item->R);
    if (memcmp(used, R, sizeof R) == 0) {
        sim_violation("party %u signed with a nonce point that was known before the request",
                      index);
    }
    for (unsigned i = 0; i < c->t && !sim_cheats(index); i++) {
        if (c->S[i] <= SIM_PARTIES && w.retired[host][c->S[i]]) {
            sim_violation("party %u signed together with party %u after their pair was retired",
                          index, c->S[i]);
        }
    }
    sim_fault_shared(host);
    return e;
}

/* A coordinator that lies takes any stamp for a good one. */
REAL(qr_err, qr_policy_check_stamp,
     (const struct qr_policy *p, qr_view header, qr_view body, const struct qr_client **ret,
      char *err_text, size_t err_cap))
{
    qr_err e = __real_qr_policy_check_stamp(p, header, body, ret, err_text, err_cap);
    if (e != QR_OK && sim_cheats(here()->index) && sim_cheat_forging) {
        *ret = qr_policy_client(p, 0);
        e = QR_OK;
    }
    return e;
}

/* ---- the simulator's side ---------------------------------------------------------------- */

void
sim_watch_start(void)
{
    memset(&w, 0, sizeof w);
}

void
sim_watch_gone(unsigned host)
{
    w.now[host] = NULL;
    w.failed_check[host] = 0;
    for (size_t i = 0; i < sizeof w.res / sizeof w.res[0]; i++) {
        if (w.res[i].p && w.res[i].host == host) {
            w.res[i].p = NULL;
        }
    }
}

/* What it knew of the others, and of retired pairs, may be gone with its disk. */
void
sim_watch_rolled_back(unsigned host)
{
    memset(w.retired[host], 0, sizeof w.retired[host]);
    memset(w.told_boot[host], 0, sizeof w.told_boot[host]);
    memset(w.told_serial[host], 0, sizeof w.told_serial[host]);
}

void
sim_watch_signature(unsigned party, const uint8_t request[32], const uint8_t pk[33],
                    const uint8_t digest[32], const uint8_t rs[64])
{
    uint8_t key[32], d[32];
    int fresh;
    key_of("r", 0, QR_F(pk, 33), QR_F(rs, 32), key);
    uint8_t *v = enter(&w.presigs, key, &fresh);
    qr_sha256(qr_view_of(digest, 32), d);
    if (!fresh && memcmp(v, d, 6) != 0) {
        sim_violation("two digests were signed with one nonce");
    }
    memcpy(v, d, 6);
    sim_trace(fresh ? "released" : "repeated", party, "request=%016llx digest=%016llx",
              (unsigned long long)qr_get64(request), (unsigned long long)qr_get64(digest));
}

void
sim_watch_tick(void)
{
    size_t bytes, blocks;
    if (sim.now < w.next_tick) {
        return;
    }
    w.next_tick = sim.now + 100 * SIM_MS;
    sim_client_check();
    qr_alloc_stats(&bytes, &blocks);
    if (bytes > (size_t)HEAP_MAX) {
        sim_violation("%zu bytes of heap", bytes);
    }
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        const struct sim_host *x = &sim.host[h];
        for (uint16_t j = 1; x->up && x->party->net && j <= sim.n; j++) {
            if (j != x->index && qr_net_queued(x->party->net, j) > QR_PEER_QUEUE_MAX) {
                sim_violation("party %u holds %zu bytes for party %u", x->index,
                              qr_net_queued(x->party->net, j), j);
            }
        }
    }
}
