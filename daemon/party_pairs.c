/* Pair set-up with every peer, and the ban rule (protocol/README.md, "The ban rule"). */
#include "daemon/log.h"
#include "daemon/party_int.h"
#include "protocol/ids.h"

#include <sodium.h>
#include <stdio.h>

#define SECRETS_FIRST (100 * MS)

int
qr_pairs_active(const struct qr_party *p, uint16_t peer)
{
    return p->peer[peer].pair && qr_pair_active(p->peer[peer].pair);
}

int
qr_pairs_retired(const struct qr_party *p, uint16_t i, uint16_t j)
{
    return (p->peer[i].retired >> (j - 1)) & 1;
}

int
qr_pairs_set_usable(const struct qr_party *p, uint16_t mask)
{
    if (qr_attest_may_sign(p, mask) != QR_OK) {
        return 0;
    }
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (!(mask >> (i - 1) & 1)) {
            continue;
        }
        if (p->peer[i].retired & mask) {
            return 0;
        }
        if (i != p->self && (!p->net || !qr_net_is_up(p->net, i) || !qr_pairs_active(p, i))) {
            return 0;
        }
    }
    return 1;
}

void
qr_pairs_drop(struct qr_party *p, uint16_t peer)
{
    struct qr_peerslot *s = &p->peer[peer];
    if (s->pair) {
        qr_pair_wipe(s->pair);
        s->pair = qr_locked_free(s->pair);
    }
}

static void
drop_early(struct qr_party *p, uint16_t peer)
{
    if (p->peer[peer].early) {
        qr_msg_unref(p->peer[peer].early);
        p->peer[peer].early = NULL;
    }
}

static struct qr_pair_params
params(const struct qr_party *p, uint16_t peer, const struct qr_peer_info *info, uint32_t number)
{
    struct qr_pair_params pp = {.self = p->self, .peer = peer, .attempt = number};
    memcpy(pp.id_self, p->id, 32);
    memcpy(pp.id_peer, p->roster->party[peer - 1].identity, 32);
    memcpy(pp.nonce_self, p->boot_nonce, 32);
    memcpy(pp.nonce_peer, info->boot_nonce, 32);
    return pp;
}

/* Attempt numbers count within one pair of boot nonces, so every sid is new. */
static qr_err
attempt(struct qr_party *p, uint16_t peer, uint32_t number)
{
    struct qr_peerslot *s = &p->peer[peer];
    const struct qr_peer_info *info = qr_net_info(p->net, peer);
    if (!info) {
        return QR_ERR_LINK_CLOSED;
    }
    struct qr_pair_params pp = params(p, peer, info, number);
    qr_pairs_drop(p, peer);
    void *mem = qr_locked_alloc(qr_pair_size(), NULL);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    s->pair = qr_pair_init(mem, &pp);
    s->attempt = number;
    s->pair_started = p->now;
    QR_TRY(qr_pair_start(s->pair, &p->env.rng, &p->out));
    /* The peer may have begun this attempt before we did. */
    struct qr_msg_in *early = s->early;
    s->early = NULL;
    if (early) {
        qr_pairs_on_message(p, early);
        qr_msg_unref(early);
    }
    return QR_OK;
}

/* How many attempts ahead of ours the peer is with this message, 0 if it is not. */
static uint32_t
ahead(const struct qr_party *p, const struct qr_msg_in *m)
{
    const struct qr_peer_info *info = qr_net_info(p->net, m->from);
    for (uint32_t a = 1; info && a <= PAIR_ATTEMPTS; a++) {
        struct qr_pair_params pp = params(p, m->from, info, p->peer[m->from].attempt + a);
        uint8_t sid[32];
        qr_pair_make_sid(&pp, sid);
        if (memcmp(sid, m->sid, 32) == 0) {
            return a;
        }
    }
    return 0;
}

static void
failed(struct qr_party *p, uint16_t peer, qr_err why)
{
    struct qr_peerslot *s = &p->peer[peer];
    p->c.pair_failures++;
    qr_pairs_drop(p, peer);
    if (++s->failures >= PAIR_ATTEMPTS) {
        qr_party_log(
            QR_LOG_ERROR, "pair_setup_gave_up", peer,
            "pair set-up failed %u times (%s); no signing with this party until one of the "
            "two processes restarts",
            s->failures, qr_err_text(why));
        return;
    }
    qr_party_log(QR_LOG_WARN, "pair_setup_failed", peer, "pair set-up failed (%s); trying again",
                 qr_err_text(why));
    qr_err e = attempt(p, peer, s->attempt + 1);
    if (e != QR_OK) {
        qr_pairs_drop(p, peer);
    }
}

static void
begin(struct qr_party *p, uint16_t peer)
{
    qr_err e = attempt(p, peer, 1);
    if (e != QR_OK) {
        failed(p, peer, e);
    }
}

void
qr_pairs_up(struct qr_party *p, uint16_t peer)
{
    struct qr_peerslot *s = &p->peer[peer];
    qr_pairs_drop(p, peer);
    drop_early(p, peer);
    s->begin_at = 0;
    s->attempt = 0;
    s->failures = 0;
    s->ctr_seen = 0;
    if (qr_pairs_retired(p, p->self, peer)) {
        qr_party_log(QR_LOG_WARN, "pair_retired", peer,
                     "the pair with this party is retired; administrators can re-admit it");
        return;
    }
    /* Pieces of secrets go first: one of the two may be locked, and a set-up takes tens of ms. */
    if (qr_peers_secret(qr_policy_peers(p->policy)) != 0) {
        s->begin_at = p->now + SECRETS_FIRST;
    } else {
        begin(p, peer);
    }
}

void
qr_pairs_begin(struct qr_party *p)
{
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        struct qr_peerslot *s = &p->peer[i];
        if (s->begin_at == 0 || p->now < s->begin_at || !qr_net_is_up(p->net, i)) {
            continue;
        }
        s->begin_at = 0;
        if (!s->pair && s->attempt == 0 && !qr_pairs_retired(p, p->self, i)) {
            begin(p, i); /* unless the peer began */
        }
    }
}

uint64_t
qr_pairs_deadline(const struct qr_party *p)
{
    uint64_t d = UINT64_MAX;

    for (uint16_t i = 1; i <= p->roster->n; i++) {
        uint64_t at = p->peer[i].begin_at;
        d = at != 0 && at < d && qr_net_is_up(p->net, i) ? at : d;
    }
    return d;
}

void
qr_pairs_on_message(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_peerslot *s = &p->peer[m->from];
    uint32_t a = m->type == QR_MSG_PAIR1 ? ahead(p, m) : 0;
    if (a && qr_pairs_retired(p, p->self, m->from)) {
        /* It has the administrators' re-admission, we do not yet. */
        if (s->early) {
            qr_msg_unref(s->early);
        }
        qr_msg_ref(m);
        s->early = m;
        return;
    }
    if (a && !qr_pairs_active(p, m->from) && s->failures + 1 < PAIR_ATTEMPTS) {
        /* It failed, or timed out, before we noticed anything. */
        qr_party_log(QR_LOG_WARN, "pair_setup_again", m->from, "the peer begins attempt %u",
                     s->attempt + a);
        s->failures++;
        p->c.pair_failures++;
        qr_msg_ref(m);
        if (s->early) {
            qr_msg_unref(s->early);
        }
        s->early = m;
        if (attempt(p, m->from, s->attempt + a) != QR_OK) {
            qr_pairs_drop(p, m->from);
        }
        return;
    }
    if (!s->pair || memcmp(qr_pair_sid(s->pair), m->sid, 32) != 0) {
        return; /* an old attempt's bytes */
    }
    qr_err e = qr_pair_recv(s->pair, m->type, m->payload, &p->env.rng, &p->out);
    if (qr_pair_failed(s->pair)) {
        qr_party_abort(p, m->from, m->sid, QR_ABORT_GONE);
        failed(p, m->from, e);
    } else if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "pair_message", m->from, "pair set-up message ignored: %s",
                     qr_err_text(e));
    } else if (qr_pair_active(s->pair)) {
        p->c.pair_setups++;
        qr_party_log(QR_LOG_INFO, "pair_active", m->from, "pair set up in %u ms",
                     (unsigned)((p->now - s->pair_started) / MS));
        p->pool_want = 1;
    }
}

void
qr_pairs_on_abort(struct qr_party *p, uint16_t peer, const uint8_t sid[32])
{
    struct qr_peerslot *s = &p->peer[peer];
    if (s->pair && !qr_pair_active(s->pair) && memcmp(qr_pair_sid(s->pair), sid, 32) == 0) {
        failed(p, peer, QR_ERR_SETUP);
    }
}

void
qr_pairs_tick(struct qr_party *p)
{
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        struct qr_peerslot *s = &p->peer[i];
        if (s->pair && !qr_pair_active(s->pair) && p->net && qr_net_is_up(p->net, i) &&
            p->now - s->pair_started > SESSION_LIFE) {
            failed(p, i, QR_ERR_TIMEOUT);
        }
    }
}

void
qr_pairs_close(struct qr_party *p, uint16_t peer)
{
    qr_pairs_drop(p, peer);
    drop_early(p, peer);
}

/* What a retire notice signs. */
static void
notice_hash(const struct qr_party *p, const struct qr_ctl_retire *m, uint8_t out[static 32])
{
    uint8_t idx[6];
    qr_put16(idx, m->lo);
    qr_put16(idx + 2, m->hi);
    qr_put16(idx + 4, m->by);
    qr_th(QR_TAG_RETIRE, QR_FIELDS(QR_F(p->roster->cluster, 32), QR_F(idx, 6), QR_F(m->nonce, 32)),
          out);
}

static void
pair_name(uint16_t i, uint16_t j, char out[static 16])
{
    uint16_t lo = i < j ? i : j, hi = i < j ? j : i;
    (void)snprintf(out, 16, "%u-%u", lo, hi);
}

/* Memory first, so that a store that refuses to write still leaves the pair dead. */
static qr_err
mark(struct qr_party *p, uint16_t i, uint16_t j, qr_view record)
{
    char name[16];
    p->peer[i].retired |= (uint16_t)(1u << (j - 1));
    p->peer[j].retired |= (uint16_t)(1u << (i - 1));
    uint16_t mask = (uint16_t)(1u << (i - 1) | 1u << (j - 1));
    if (i == p->self || j == p->self) {
        qr_pairs_drop(p, i == p->self ? j : i);
    }
    p->c.presigs_dropped += qr_pool_drop_parties(p->pool, mask);
    pair_name(i, j, name);
    qr_err e = qr_state_put(p, QR_TABLE_PAIR, name, record);
    qr_batch_kill(p, mask);
    return e;
}

void
qr_pairs_retire(struct qr_party *p, uint16_t peer)
{
    struct qr_ctl_retire m = {.lo = p->self < peer ? p->self : peer,
                              .hi = p->self < peer ? peer : p->self,
                              .by = p->self};
    uint8_t h[32], rec[QR_CTL_RETIRE_LEN];
    if (qr_pairs_retired(p, p->self, peer)) {
        return;
    }
    memcpy(m.nonce, p->boot_nonce, 32);
    notice_hash(p, &m, h);
    if (qr_state_sign(p, h, m.sig) != 0) {
        memset(m.sig, 0, sizeof m.sig); /* still retired here; others will not believe the notice */
    }
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    qr_ctl_put_retire(&b, &m);
    p->c.retired++;
    qr_err e = mark(p, p->self, peer, qr_buf_view(&b));
    qr_party_log(QR_LOG_ERROR, "pair_retired", peer,
                 "a consistency check failed with this party: the pair is retired%s. Find out why "
                 "before administrators re-admit it",
                 e == QR_OK ? "" : " in memory, but the store refused to record it");
    qr_audit_event(p, "peer", "retired", peer, "a consistency check failed with this party");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self) {
            qr_err s = qr_net_send(p->net, i, QR_MSG_RETIRE, 0, h, qr_buf_view(&b));
            (void)s; /* a peer that is away hears it when it comes up */
        }
    }
}

struct tell {
    struct qr_party *p;
    uint16_t peer;
};

static int
tell_one(void *ctx, const char *name)
{
    struct tell *t = ctx;
    uint8_t rec[QR_CTL_RETIRE_LEN], sid[32] = {0};
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    /* Pairs retired by the administrators carry no notice: every party had the command. */
    if (qr_store_get(t->p->env.store, QR_TABLE_PAIR, name, &b) == QR_OK && b.len == sizeof rec) {
        qr_err e = qr_net_send(t->p->net, t->peer, QR_MSG_RETIRE, 0, sid, qr_buf_view(&b));
        (void)e; /* told again at the next connection */
    }
    return 0;
}

void
qr_pairs_tell(struct qr_party *p, uint16_t peer)
{
    struct tell t = {p, peer};
    qr_err e = qr_store_scan(p->env.store, QR_TABLE_PAIR, tell_one, &t);
    (void)e;
}

void
qr_pairs_on_retire(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_retire r;
    uint8_t h[32];
    if (qr_ctl_get_retire(m->payload, &r) != QR_OK || r.hi > p->roster->n) {
        qr_party_log(QR_LOG_WARN, "retire_notice", m->from, "malformed retire notice ignored");
        return;
    }
    notice_hash(p, &r, h);
    if (crypto_sign_verify_detached(r.sig, h, 32, p->roster->party[r.by - 1].identity) != 0) {
        qr_party_log(QR_LOG_WARN, "retire_notice", m->from,
                     "retire notice for %u-%u is not signed by party %u; ignored", r.lo, r.hi,
                     r.by);
        return;
    }
    if (qr_pairs_retired(p, r.lo, r.hi)) {
        return;
    }
    qr_err e = mark(p, r.lo, r.hi, m->payload);
    qr_party_log(QR_LOG_ERROR, "pair_retired", r.by, "party %u retired its pair with party %u%s",
                 r.by, r.by == r.lo ? r.hi : r.lo,
                 e == QR_OK ? "" : " (not recorded: store failed)");
    qr_audit_event(p, "peer", "retired", r.by, "party %u retired its pair with party %u", r.by,
                   r.by == r.lo ? r.hi : r.lo);
}

qr_err
qr_pairs_set_retired(struct qr_party *p, uint16_t i, uint16_t j, int retired)
{
    char name[16];
    if (retired) {
        return qr_pairs_retired(p, i, j) ? QR_OK
                                         : mark(p, i, j, (qr_view){(const uint8_t *)"admin", 5});
    }
    if (!qr_pairs_retired(p, i, j)) {
        return QR_OK;
    }
    pair_name(i, j, name);
    QR_TRY(qr_state_del(p, QR_TABLE_PAIR, name));
    p->peer[i].retired &= (uint16_t) ~(1u << (j - 1));
    p->peer[j].retired &= (uint16_t) ~(1u << (i - 1));
    uint16_t peer = i == p->self ? j : i;
    if ((i == p->self || j == p->self) && p->net && qr_net_is_up(p->net, peer)) {
        struct qr_peerslot *s = &p->peer[peer];
        s->failures = 0;
        qr_err e = attempt(p, peer, s->attempt + 1);
        if (e != QR_OK) {
            failed(p, peer, e);
        }
    }
    return QR_OK;
}
