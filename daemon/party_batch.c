/* Presigning batches: ours to refill our pools, and our half of the other owners' batches. */
#include "daemon/log.h"
#include "daemon/party_int.h"

#include <stdlib.h>

static unsigned
members(uint16_t mask, uint16_t S[static QR_MAX_PARTIES])
{
    unsigned t = 0;
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (mask >> (i - 1) & 1) {
            S[t++] = i;
        }
    }
    return t;
}

static uint16_t
bit(uint16_t party)
{
    return (uint16_t)(1u << (party - 1));
}

/* A peer we would rather not wait for: sorts last. */
static uint64_t
cost(const struct qr_party *p, uint16_t i)
{
    uint64_t rtt = qr_net_rtt_ns(p->net, i) / MS; /* whole ms, so that noise does not reorder */
    return (p->peer[i].avoid_until > p->now ? 1000000u : 0u) + rtt;
}

/* The sets we are in: rank 0 of the cheapest peers, rank 1 of the others; 0 if there is none. */
static uint16_t
choose(const struct qr_party *p, const struct qr_key *k, unsigned rank, uint16_t excluded)
{
    uint16_t cand[QR_MAX_PARTIES], mask = bit(p->self);
    unsigned n = 0, need = (unsigned)k->pub.t - 1;
    for (uint16_t i = 1; i <= k->pub.n; i++) {
        if (i != p->self && !(excluded & bit(i)) &&
            qr_pairs_set_usable(p, (uint16_t)(mask | bit(i)))) {
            cand[n++] = i;
        }
    }
    /* Cheapest first; ties go round from our own index so that parties do not all pick party 1. */
    for (unsigned a = 1; a < n; a++) {
        for (unsigned b = a; b > 0; b--) {
            uint64_t x = cost(p, cand[b - 1]), y = cost(p, cand[b]);
            unsigned dx = (unsigned)(cand[b - 1] + k->pub.n - p->self) % k->pub.n;
            unsigned dy = (unsigned)(cand[b] + k->pub.n - p->self) % k->pub.n;
            if (x < y || (x == y && dx < dy)) {
                break;
            }
            uint16_t c = cand[b];
            cand[b] = cand[b - 1];
            cand[b - 1] = c;
        }
    }
    /* The standby set shares as few members with the hot one as it can. */
    for (unsigned got = 0, a = 0; got < need; a++) {
        if (a == n) {
            return 0;
        }
        uint16_t c = rank == 0 ? cand[a] : cand[n - 1 - a];
        if (qr_pairs_set_usable(p, (uint16_t)(mask | bit(c)))) {
            mask |= bit(c);
            got++;
        }
    }
    return mask;
}

static int
avoided(const struct qr_party *p, uint16_t mask)
{
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if ((mask & bit(i)) && p->peer[i].avoid_until > p->now) {
            return 1;
        }
    }
    return 0;
}

uint16_t
qr_batch_set(struct qr_party *p, size_t key, unsigned rank, uint16_t excluded)
{
    struct qr_keyslot *s = &p->key[key];
    if (rank > 0) {
        return choose(p, s->key, rank, excluded);
    }
    /* Round-trip times wander with load; a pool is worth more than the best one of the moment. */
    if (!s->hot || avoided(p, s->hot) || !qr_pairs_set_usable(p, s->hot)) {
        s->hot = choose(p, s->key, 0, 0);
    }
    return s->hot & excluded ? choose(p, s->key, 0, excluded) : s->hot;
}

static struct qr_batchrun *
find(struct qr_party *p, const uint8_t sid[32])
{
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        if (p->batch[i].used && memcmp(p->batch[i].sid, sid, 32) == 0) {
            return &p->batch[i];
        }
    }
    return NULL;
}

size_t
qr_batch_running(const struct qr_party *p)
{
    size_t n = 0;
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        n += (size_t)p->batch[i].used;
    }
    return n;
}

/* Ends a run in whatever state it is; its secrets go with it. */
static void
end(struct qr_party *p, struct qr_batchrun *r)
{
    if (r->m) {
        qr_presign_wipe(r->m);
        r->m = qr_locked_free(r->m);
    }
    for (size_t i = 0; i < r->n_kept; i++) {
        qr_msg_unref(r->kept[i]);
    }
    /* Still ours if the batch never reached the pool. */
    qr_pool_unreserve(p->pool, &r->pool, r->local_done == 2 ? 0 : r->id.B);
    *r = (struct qr_batchrun){0};
}

static void
fail(struct qr_party *p, struct qr_batchrun *r, qr_err why, uint16_t blame, int tell,
     enum qr_abort code)
{
    uint16_t S[QR_MAX_PARTIES];
    unsigned t = members(r->pool.set_mask, S);
    p->c.batches_failed++;
    qr_party_log(QR_LOG_WARN, "batch_failed", blame, "presigning batch of party %u failed: %s",
                 r->pool.owner, qr_err_text(why));
    for (unsigned i = 0; tell && i < t; i++) {
        if (S[i] != p->self) {
            qr_party_abort(p, S[i], r->sid, code);
        }
    }
    end(p, r);
}

/* Checks and builds a run; nothing is sent yet. */
static qr_err
build(struct qr_party *p, const struct qr_ctl_start *st, uint16_t owner, struct qr_batchrun **ret)
{
    uint16_t S[QR_MAX_PARTIES];
    uint8_t id[QR_MAX_PARTIES][32], meas[QR_MAX_PARTIES][32], nonce[QR_MAX_PARTIES][32];
    const struct qr_pair *pairs[QR_MAX_PARTIES] = {NULL};
    struct qr_key *k = qr_state_find_key_id(p, st->key_id);
    struct qr_batchrun *r = NULL;
    unsigned t = members(st->set_mask, S);

    if (!k || k->state != QR_KEY_ACTIVE || k->pub.epoch != st->epoch || t != k->pub.t ||
        S[t - 1] > k->pub.n || !(st->set_mask & bit(p->self)) || !(st->set_mask & bit(owner))) {
        return QR_ERR_SET;
    }
    if (!qr_pairs_set_usable(p, st->set_mask)) {
        return QR_ERR_QUORUM;
    }
    /* Every run holds megabytes for each of its peers; no owner may claim all of it. */
    unsigned of_owner = 0, peers = t - 1;
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        const struct qr_batchrun *b = &p->batch[i];
        of_owner += b->used && b->pool.owner == owner;
        peers += b->used ? b->id.t - 1u : 0;
        r = b->used || r ? r : &p->batch[i];
    }
    if (!r || of_owner >= QR_BATCH_OWNER || peers > QR_BATCH_PEERS) {
        return QR_ERR_BUSY;
    }
    *r = (struct qr_batchrun){.ours = owner == p->self, .deadline = p->now + SESSION_LIFE};
    r->pool = (struct qr_pool_id){.set_mask = st->set_mask, .owner = owner};
    memcpy(r->pool.key_id, st->key_id, 32);
    r->id = (struct qr_batch_id){
        .epoch = st->epoch, .t = (uint16_t)t, .initiator = owner, .B = st->B, .ctr = st->ctr};
    memcpy(r->id.key_id, st->key_id, 32);
    memcpy(r->id.dkg_sid, k->pub.dkg_sid, 32);
    memcpy(r->id.nonce, st->nonce, 32);
    memcpy(r->id.S, S, sizeof r->id.S);
    for (unsigned i = 0; i < t; i++) {
        const struct qr_peer_info *info = S[i] == p->self ? NULL : qr_net_info(p->net, S[i]);
        memcpy(id[i], k->pub.id[S[i] - 1], 32);
        memcpy(meas[i], info ? info->claims.measurement : qr_attest_measurement(p), 32);
        memcpy(nonce[i], info ? info->boot_nonce : p->boot_nonce, 32);
        pairs[i] = info ? p->peer[S[i]].pair : NULL;
    }
    qr_grp(S, t, (const uint8_t(*)[32])id, (const uint8_t(*)[32])meas, (const uint8_t(*)[32])nonce,
           r->id.grp);
    qr_batch_sid(&r->id, r->sid);
    if (find(p, r->sid)) {
        return QR_ERR_STATE; /* one rsid never runs twice */
    }
    QR_TRY(qr_pool_reserve(p->pool, &r->pool, st->B));
    void *mem = qr_locked_alloc(qr_presign_size((uint16_t)t, st->B), NULL);
    qr_err e = mem ? qr_presign_init(mem, k, &r->id, pairs, p->aes, &r->m) : QR_ERR_NO_MEMORY;
    if (e != QR_OK) {
        mem = qr_locked_free(mem);
        qr_pool_unreserve(p->pool, &r->pool, st->B);
        return e;
    }
    r->used = 1;
    *ret = r;
    return QR_OK;
}

/* Takes a message into its run; the machine keeps PRESIGN2 by reference. */
static void
feed(struct qr_batchrun *r, struct qr_msg_in *m)
{
    int kept = 0;
    qr_err e = m->epoch == r->id.epoch ? QR_OK : QR_ERR_SID;
    if (e == QR_OK && r->n_kept == QR_MAX_PARTIES) {
        e = QR_ERR_STATE;
    }
    if (e == QR_OK) {
        e = qr_presign_recv(r->m, m->from, m->type, m->payload, &kept);
    }
    if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "batch_message", m->from, "presigning message ignored: %s",
                     qr_err_text(e));
    } else if (kept) {
        qr_msg_ref(m);
        r->kept[r->n_kept++] = m;
    }
}

static void
feed_early(struct qr_party *p, struct qr_batchrun *r)
{
    for (size_t i = 0; i < QR_EARLY && r->used; i++) {
        struct qr_msg_in *m = p->early[i];
        if (m && memcmp(m->sid, r->sid, 32) == 0) {
            p->early[i] = NULL;
            feed(r, m);
            qr_msg_unref(m);
        }
    }
}

static int
start_ours(struct qr_party *p, size_t key, uint16_t mask)
{
    const struct qr_key *k = p->key[key].key;
    struct qr_ctl_start st = {
        .epoch = k->pub.epoch, .set_mask = mask, .B = p->cfg.batch, .ctr = p->batch_ctr + 1};
    uint8_t buf[QR_CTL_START_LEN];
    uint16_t S[QR_MAX_PARTIES];
    struct qr_batchrun *r;
    unsigned t = members(mask, S);
    memcpy(st.key_id, k->pub.key_id, 32);
    qr_rng_fill(&p->env.rng, st.nonce, 32);
    /* Two messages of this size per peer must fit, or the batch would only die half-way. */
    for (unsigned i = 0; i < t; i++) {
        if (S[i] != p->self &&
            qr_net_queued(p->net, S[i]) + QR_PRESIGN2_LEN(st.B) * 2 > QR_PEER_QUEUE_MAX) {
            return 0;
        }
    }
    if (build(p, &st, p->self, &r) != QR_OK) {
        return 0;
    }
    p->batch_ctr++;
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    qr_ctl_put_start(&b, &st);
    qr_err e = QR_OK;
    for (unsigned i = 0; i < t && e == QR_OK; i++) {
        if (S[i] != p->self) {
            e = qr_net_send(p->net, S[i], QR_MSG_PRESIGN_START, st.epoch, r->sid, qr_buf_view(&b));
        }
    }
    if (e == QR_OK) {
        e = qr_presign_start(r->m, &p->env.rng, &p->out);
    }
    if (e != QR_OK) {
        fail(p, r, e, 0, 1, QR_ABORT_GONE);
        return 0;
    }
    return 1;
}

/* A member that drains or disagrees would refuse again, every tick, for each of our pools. */
static int
refusing(const struct qr_party *p, uint16_t mask)
{
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if ((mask & bit(i)) && p->peer[i].batch_after > p->now) {
            return 1;
        }
    }
    return 0;
}

/* Starts batches for one pool until what is ready and on the way reaches `want`. */
static void
fill(struct qr_party *p, size_t key, uint16_t mask, size_t low, size_t want)
{
    struct qr_pool_id id = {.set_mask = mask, .owner = p->self};
    size_t coming = 0, running = 0;
    memcpy(id.key_id, p->key[key].key->pub.key_id, 32);
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        const struct qr_batchrun *r = &p->batch[i];
        if (r->used && r->ours && memcmp(&r->pool, &id, sizeof id) == 0) {
            coming += r->id.B;
            running++;
        }
    }
    if (refusing(p, mask)) {
        return;
    }
    size_t have = qr_pool_ready(p->pool, &id);
    /* Hysteresis: below the low mark start filling; once filling, go on up to the high mark. */
    if (have + coming >= want || (have >= low && running == 0)) {
        return;
    }
    while (running < QR_BATCH_OWN && have + coming < want && start_ours(p, key, mask)) {
        running++;
        coming += p->cfg.batch;
    }
}

void
qr_batch_refill(struct qr_party *p)
{
    p->pool_want = 0;
    if (!p->net || p->draining || p->store_failed) {
        return;
    }
    for (size_t k = 0; k < p->n_keys; k++) {
        if (p->key[k].key->state != QR_KEY_ACTIVE) {
            continue;
        }
        uint16_t hot = qr_batch_set(p, k, 0, 0);
        uint16_t cold = qr_batch_set(p, k, 1, 0);
        if (hot && p->cfg.pool_low > 0) {
            fill(p, k, hot, p->cfg.pool_low, p->cfg.pool_high);
        } else if (hot && p->key[k].filled != hot) {
            /* Low mark 0: fill a set once and leave it alone. */
            struct qr_pool_id id = {.set_mask = hot, .owner = p->self};
            memcpy(id.key_id, p->key[k].key->pub.key_id, 32);
            fill(p, k, hot, p->cfg.pool_high, p->cfg.pool_high);
            p->key[k].filled = qr_pool_ready(p->pool, &id) >= p->cfg.pool_high ? hot : 0;
        }
        if (cold && cold != hot) {
            fill(p, k, cold, p->cfg.pool_standby, p->cfg.pool_standby);
        }
    }
}

void
qr_batch_demand(struct qr_party *p, size_t key, uint16_t mask, size_t n)
{
    if (!p->draining) {
        fill(p, key, mask, n, n);
    }
}

void
qr_batch_on_start(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_start st;
    struct qr_batchrun *r;
    qr_err e = qr_ctl_get_start(m->payload, &st);
    if (e == QR_OK && p->draining) {
        e = QR_ERR_DRAINING;
    }
    /* A counter not above the last of this initiator and boot is a replay or a clone. */
    if (e == QR_OK && st.ctr <= p->peer[m->from].ctr_seen) {
        e = QR_ERR_REPLAYED_COUNTER;
    }
    if (e == QR_OK) {
        p->peer[m->from].ctr_seen = st.ctr;
        e = build(p, &st, m->from, &r);
    }
    if (e == QR_OK && memcmp(r->sid, m->sid, 32) != 0) {
        end(p, r);
        e = QR_ERR_SID;
    }
    if (e != QR_OK) {
        qr_party_log(QR_LOG_INFO, "batch_refused", m->from, "presigning batch refused: %s",
                     qr_err_text(e));
        qr_party_abort(p, m->from, m->sid, e == QR_ERR_BUSY ? QR_ABORT_BUSY : QR_ABORT_REFUSED);
        return;
    }
    e = qr_presign_start(r->m, &p->env.rng, &p->out);
    if (e != QR_OK) {
        fail(p, r, e, 0, 1, QR_ABORT_GONE);
        return;
    }
    feed_early(p, r);
}

int
qr_batch_on_message(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_batchrun *r = find(p, m->sid);
    if (!r) {
        return 0;
    }
    feed(r, m);
    return 1;
}

/* Ours, complete at every member: spendable. */
static void
publish(struct qr_party *p, struct qr_batchrun *r)
{
    size_t n = 0;
    const struct qr_presig *v = qr_presign_result(r->m, &n);
    qr_err e = v ? qr_pool_add(p->pool, &r->pool, r->sid, v, n) : QR_ERR_INTERNAL;
    if (e != QR_OK) {
        fail(p, r, e, 0, 0, QR_ABORT_GONE);
        return;
    }
    r->local_done = 2;
    p->c.batches_ok++;
    p->c.presigs_made += n;
    end(p, r);
    p->pool_want = 1;
    qr_sign_pool_grew(p);
}

void
qr_batch_on_done(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_batchrun *r = find(p, m->sid);
    if (!r || !r->ours || m->payload.len != 0 || !(r->pool.set_mask & bit(m->from))) {
        return;
    }
    r->done_mask |= bit(m->from);
    if (r->local_done && (r->done_mask | bit(p->self)) == r->pool.set_mask) {
        publish(p, r);
    }
}

/* What a peer's coarse code amounts to, for the log. */
static qr_err
told(uint16_t code)
{
    return code == QR_ABORT_REFUSED  ? QR_ERR_NOT_READY
           : code == QR_ABORT_BUSY   ? QR_ERR_BUSY
           : code == QR_ABORT_FAILED ? QR_ERR_CHECK
                                     : QR_ERR_STATE;
}

void
qr_batch_on_abort(struct qr_party *p, uint16_t from, const uint8_t sid[32], uint16_t code)
{
    struct qr_batchrun *r = find(p, sid);
    if (r && (r->pool.set_mask & bit(from))) {
        /* The initiator passes it on; the others heard it from whoever failed. */
        if (code != QR_ABORT_BUSY) {
            p->peer[from].avoid_until = p->peer[from].batch_after = p->now + SECOND;
        }
        fail(p, r, told(code), from, r->ours, QR_ABORT_GONE);
    }
}

int
qr_batch_work(struct qr_party *p)
{
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        struct qr_batchrun *r = &p->batch[(p->batch_turn + i) % QR_BATCH_RUNS];
        int more = 0;
        uint16_t blame = 0;
        if (!r->used || r->local_done) {
            continue;
        }
        qr_err e = qr_presign_work(r->m, &p->env.rng, &p->out, &more, &blame);
        if (e != QR_OK) {
            if (e == QR_ERR_CHECK && blame != 0) {
                /* Durable and announced before anybody hears anything. This kills r, too. */
                uint16_t mask = r->pool.set_mask;
                uint8_t sid[32];
                memcpy(sid, r->sid, 32);
                qr_pairs_retire(p, blame);
                for (uint16_t j = 1; j <= QR_MAX_PARTIES; j++) {
                    if ((mask & bit(j)) && j != p->self) {
                        qr_party_abort(p, j, sid, QR_ABORT_FAILED);
                    }
                }
            } else {
                fail(p, r, e, blame, 1, QR_ABORT_FAILED);
            }
            return 1;
        }
        if (qr_presign_done(r->m)) {
            r->local_done = 1;
            if (r->ours) {
                if ((r->done_mask | bit(p->self)) == r->pool.set_mask) {
                    publish(p, r);
                }
            } else {
                size_t n = 0;
                const struct qr_presig *v = qr_presign_result(r->m, &n);
                e = v ? qr_pool_add(p->pool, &r->pool, r->sid, v, n) : QR_ERR_INTERNAL;
                if (e == QR_OK) {
                    r->local_done = 2;
                    e = qr_net_send(p->net, r->pool.owner, QR_MSG_PRESIGN_DONE, r->id.epoch, r->sid,
                                    (qr_view){NULL, 0});
                }
                if (e != QR_OK) {
                    fail(p, r, e, 0, 1, QR_ABORT_GONE);
                } else {
                    p->c.presigs_made += n;
                    p->c.batches_ok++;
                    end(p, r);
                }
            }
            more = 1;
        }
        if (more) {
            p->batch_turn = (p->batch_turn + i + 1) % QR_BATCH_RUNS;
            return 1;
        }
    }
    return 0;
}

void
qr_batch_kill(struct qr_party *p, uint16_t mask)
{
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        struct qr_batchrun *r = &p->batch[i];
        if (r->used && (r->pool.set_mask & mask) == mask) {
            p->c.batches_failed++;
            end(p, r);
        }
    }
}

void
qr_batch_tick(struct qr_party *p)
{
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        struct qr_batchrun *r = &p->batch[i];
        if (r->used && p->now > r->deadline) {
            fail(p, r, QR_ERR_TIMEOUT, 0, 1, QR_ABORT_GONE);
        }
    }
}
