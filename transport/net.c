/*
 * The net's face: parameters, the step, the outbox.
 */
#include "transport/net.h"

#include "proto/wire.h"
#include "protocol/base/mem.h"
#include "transport/net_int.h"

#include <stdio.h>

struct qr_peer *
qr_net_peer_of(struct qr_net *n, uint16_t index)
{
    for (size_t i = 0; i < n->p.n_peers; i++) {
        if (n->peers[i].cfg->index == index) {
            return &n->peers[i];
        }
    }
    return NULL;
}

static const struct qr_peer *
find(const struct qr_net *n, uint16_t index)
{
    for (size_t i = 0; i < n->p.n_peers; i++) {
        if (n->peers[i].cfg->index == index) {
            return &n->peers[i];
        }
    }
    return NULL;
}

static size_t
digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* The same sentence: counters and times in it may differ. `kept` may have been cut short. */
static int
same_words(const char *text, const char *kept, size_t cap)
{
    const char *end = kept + cap - 1;

    while (*text && *kept) {
        size_t a = digits(text), b = digits(kept);
        if (a == 0 || b == 0) {
            if (*text != *kept) {
                return 0;
            }
            a = b = 1;
        }
        text += a;
        kept += b;
    }
    return kept == end || *text == *kept;
}

void
qr_net_report(struct qr_net *n, struct qr_peer *p, qr_err why, const char *text, const char *detail)
{
    struct qr_peer *at = p ? p : &n->stranger;
    int same = why == at->said && same_words(text, at->said_text, sizeof at->said_text);

    if (same && n->now - at->said_at < QR_NET_REPEAT_NS) {
        return;
    }
    at->said = why;
    at->said_at = n->now;
    (void)snprintf(at->said_text, sizeof at->said_text, "%s", text);
    n->ev.on_refused(n->ev.ctx, p ? p->cfg->index : 0, why, detail);
}

/* What the channels ask. */

static const uint8_t *
identity(void *ctx, uint16_t index)
{
    const struct qr_peer *p = find(ctx, index);
    return p ? p->cfg->id : NULL;
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    struct qr_net *n = ctx;

    *serial = 0;
    memset(root, 0, 32);
    if (n->ev.store_state) {
        n->ev.store_state(n->ev.ctx, serial, root);
    }
}

static qr_err
judge(void *ctx, const struct qr_hello *h, char *why, size_t cap)
{
    struct qr_net *n = ctx;
    struct qr_peer *p = qr_net_peer_of(n, h->index);

    if (!p) {
        return QR_ERR_IDENTITY;
    }
    if ((h->role == QR_ROLE_CLIENT) != (h->index < n->p.self)) {
        (void)snprintf(why, cap, "dials us, but of two parties the one with the lower index dials");
        return QR_ERR_IDENTITY;
    }
    return qr_peer_judge(p, h, why, cap);
}

/* Birth. */

static void
set_ages(struct qr_net *n, uint64_t reattest_ns, uint64_t evidence_ns)
{
    n->p.reattest_ns = reattest_ns ? reattest_ns : QR_NET_REATTEST_NS;
    n->p.evidence_ns = evidence_ns ? evidence_ns : QR_NET_EVIDENCE_NS;
}

static qr_err
check_params(const struct qr_net_params *p, char *err_text, size_t cap)
{
    if (p->self < 1 || p->self > QR_MAX_PARTIES || p->n_peers >= QR_MAX_PARTIES) {
        (void)snprintf(err_text, cap, "party index %u with %zu peers is not possible",
                       (unsigned)p->self, p->n_peers);
        return QR_ERR_USAGE;
    }
    for (size_t i = 0; i < p->n_peers; i++) {
        uint16_t x = p->peers[i].index;
        int bad = x < 1 || x > QR_MAX_PARTIES || x == p->self;
        for (size_t j = 0; j < i; j++) {
            bad = bad || p->peers[j].index == x;
        }
        if (bad) {
            (void)snprintf(err_text, cap, "peer index %u is out of range, our own, or there twice",
                           (unsigned)x);
            return QR_ERR_USAGE;
        }
    }
    return QR_OK;
}

static void
fill_env(struct qr_net *n)
{
    struct qr_hello *h = &n->env.own;

    h->index = n->p.self;
    memcpy(h->cluster, n->p.cluster, 32);
    memcpy(h->roster_hash, n->p.roster_hash, 32);
    memcpy(h->policy_hash, n->p.policy_hash, 32);
    h->roster_serial = n->p.roster_serial;
    h->policy_serial = n->p.policy_serial;
    memcpy(h->boot_nonce, n->p.boot_nonce, 32);
    h->boot_counter = n->p.boot_counter;
    h->platform = (uint8_t)n->p.attester.platform;
    n->env.tls = n->tls;
    n->env.signer = n->p.signer;
    n->env.attester = n->p.attester;
    n->env.rng = n->p.rng;
    n->env.ctx = n;
    n->env.identity = identity;
    n->env.store_state = store_state;
    n->env.judge = judge;
}

static void
fill_peers(struct qr_net *n)
{
    n->ledger.n = n->p.n_peers;
    for (size_t i = 0; i < n->p.n_peers; i++) {
        struct qr_peer *p = &n->peers[i];
        p->net = n;
        p->cfg = &n->p.peers[i];
        p->row = &n->ledger.peer[i];
        p->row->index = p->cfg->index;
        p->row->kind =
            qr_link_kind_of(p->cfg->address, n->p.self_cloud ? n->p.self_cloud : "", p->cfg->cloud);
        qr_queue_init(&p->queue, n->p.self, p->cfg->index);
    }
}

static qr_err
assemble(struct qr_net *n, char *err_text, size_t err_cap)
{
    struct qr_link_events ev = qr_line_events;

    (void)snprintf(err_text, err_cap, "cannot make the TLS identity");
    QR_TRY(qr_tls_id_new(&n->tls));
    (void)snprintf(err_text, err_cap, "out of memory");
    n->env.zip = qr_zip_new(n->p.zstd_level);
    if (!n->env.zip) {
        return QR_ERR_NO_MEMORY;
    }
    fill_env(n);
    fill_peers(n);
    ev.ctx = n;
    n->link = n->p.new_link(n->p.new_link_ctx, &ev);
    if (!n->link) {
        (void)snprintf(err_text, err_cap, "cannot make a link: out of memory or descriptors");
        return QR_ERR_NO_MEMORY;
    }
    QR_TRY(n->link->ops->listen(n->link, n->p.listen, err_text, err_cap));
    if (err_cap > 0) {
        err_text[0] = '\0';
    }
    return QR_OK;
}

qr_err
qr_net_new(const struct qr_net_params *p, const struct qr_net_events *ev, struct qr_net **ret,
           char *err_text, size_t err_cap)
{
    QR_TRY(check_params(p, err_text, err_cap));
    struct qr_net *n = qr_alloc(sizeof *n);
    if (!n) {
        (void)snprintf(err_text, err_cap, "out of memory");
        return QR_ERR_NO_MEMORY;
    }
    n->p = *p;
    set_ages(n, p->reattest_ns, p->evidence_ns);
    n->p.listen = qr_strdup(p->listen);
    n->p.self_cloud = qr_strdup(p->self_cloud ? p->self_cloud : "");
    n->ev = *ev;
    n->dirty = 1;
    qr_err e = n->p.listen && n->p.self_cloud ? assemble(n, err_text, err_cap) : QR_ERR_NO_MEMORY;
    if (e != QR_OK) {
        qr_net_free(n);
        return e;
    }
    *ret = n;
    return QR_OK;
}

void
qr_net_free(struct qr_net *n)
{
    if (!n) {
        return;
    }
    for (struct qr_line *l = n->lines; l; l = l->next) {
        if (l->chan &&
            l->state != LINE_CLOSING) { /* best effort: peers need not wait for silence */
            qr_chan_close(l->chan, QR_OK);
            qr_line_pump(l);
        }
    }
    if (n->link) {
        n->link->ops->free(n->link);
    }
    while (n->lines) {
        qr_line_free(n->lines);
    }
    for (size_t i = 0; i < n->p.n_peers; i++) {
        qr_queue_clear(&n->peers[i].queue);
        qr_chain_wipe(&n->peers[i].chain);
    }
    qr_zip_free(n->env.zip);
    qr_tls_id_free(n->tls);
    qr_free((void *)(uintptr_t)n->p.listen);
    qr_free((void *)(uintptr_t)n->p.self_cloud);
    qr_free(n);
}

/* The step. */

int
qr_net_fd(const struct qr_net *n)
{
    return n->link->ops->fd(n->link);
}

static void
time_out_handshakes(struct qr_net *n)
{
    for (struct qr_line *l = n->lines; l; l = l->next) {
        if ((l->state == LINE_HANDSHAKE || l->state == LINE_READY) &&
            n->now - l->since >= QR_NET_HANDSHAKE_NS) {
            char text[QR_CHAN_WHY_MAX];
            (void)snprintf(text, sizeof text, "not done after 10 s, in stage: %s",
                           qr_chan_stage(l->chan));
            qr_line_fail(l, QR_ERR_TIMEOUT, text);
        }
    }
}

static void
close_all(struct qr_net *n, const char *text)
{
    for (struct qr_line *l = n->lines; l; l = l->next) {
        if (l->state != LINE_CLOSING && l->state != LINE_DIALLING) {
            qr_line_fail(l, QR_ERR_LINK_CLOSED, text);
        }
    }
    for (size_t i = 0; i < n->p.n_peers; i++) {
        n->peers[i].attempt = 0;
        n->peers[i].dial_at = n->now;
    }
}

void
qr_net_step(struct qr_net *n, uint64_t now_ns)
{
    n->now = now_ns > n->now ? now_ns : n->now;
    n->dirty = 0;
    if (n->reset) {
        n->reset = 0;
        close_all(n, "the policy changed: attesting anew");
    }
    n->link->ops->step(n->link, n->now);
    time_out_handshakes(n);
    for (size_t i = 0; i < n->p.n_peers; i++) {
        qr_peer_timers(&n->peers[i]);
    }
    /* Last: what the callbacks above committed goes out in the same step. */
    for (size_t i = 0; i < n->p.n_peers; i++) {
        qr_peer_flush(&n->peers[i]);
    }
}

uint64_t
qr_net_deadline(const struct qr_net *n)
{
    uint64_t t = n->now + QR_NET_PING_NS; /* links want a step a second */

    if (n->dirty) {
        return n->now;
    }
    for (size_t i = 0; i < n->p.n_peers; i++) {
        uint64_t d = qr_peer_deadline(&n->peers[i]);
        t = d < t ? d : t;
    }
    return t;
}

/* Asking and telling. */

int
qr_net_is_up(const struct qr_net *n, uint16_t peer)
{
    const struct qr_peer *p = find(n, peer);
    return p && p->shown;
}

const struct qr_peer_info *
qr_net_info(const struct qr_net *n, uint16_t peer)
{
    const struct qr_peer *p = find(n, peer);
    return p && p->shown ? &p->info : NULL;
}

uint64_t
qr_net_rtt_ns(const struct qr_net *n, uint16_t peer)
{
    const struct qr_peer *p = find(n, peer);
    return p ? p->rtt : 0;
}

size_t
qr_net_queued(const struct qr_net *n, uint16_t peer)
{
    const struct qr_peer *p = find(n, peer);
    return p ? p->queue.bytes : 0;
}

uint8_t *
qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
               size_t len)
{
    struct qr_peer *p = qr_net_peer_of(net, to);
    return p && p->known ? qr_queue_reserve(&p->queue, type, epoch, sid, len) : NULL;
}

void
qr_net_commit(void *net, uint16_t to, uint8_t *p)
{
    struct qr_net *n = net;
    struct qr_peer *peer = qr_net_peer_of(n, to);
    if (peer) {
        qr_queue_commit(&peer->queue, n->env.zip, p);
    }
}

void
qr_net_cancel(void *net, uint16_t to, uint8_t *p)
{
    struct qr_peer *peer = qr_net_peer_of(net, to);
    if (peer) {
        qr_queue_cancel(&peer->queue, p);
    }
}

qr_err
qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
            qr_view payload)
{
    if (payload.len > QR_WIRE_PAYLOAD_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    uint8_t *p = qr_net_reserve(n, to, type, epoch, sid, payload.len);
    if (!p) {
        return QR_ERR_BACKPRESSURE;
    }
    if (payload.len > 0) {
        memcpy(p, payload.p, payload.len);
    }
    qr_net_commit(n, to, p);
    return QR_OK;
}

void
qr_net_set_policy(struct qr_net *n, const uint8_t policy_hash[32], uint64_t policy_serial,
                  uint64_t reattest_ns, uint64_t evidence_ns)
{
    set_ages(n, reattest_ns, evidence_ns);
    memcpy(n->env.own.policy_hash, policy_hash, 32);
    n->env.own.policy_serial = policy_serial;
    n->reset = n->dirty = 1; /* the lines are closed by the next step: callbacks belong there */
}

const struct qr_ledger *
qr_net_ledger(const struct qr_net *n)
{
    return &n->ledger;
}
