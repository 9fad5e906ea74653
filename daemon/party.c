/* A party's life: opening, linking, dispatch of network events and asks, timers. */
#include "daemon/party_int.h"

#include "daemon/addr.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/group.h"

#include <stdarg.h>
#include <stdio.h>

#define TICK (100 * MS)
#define EARLY_LIFE (5 * SECOND)
#define REPLAY_ENTRIES 262144u
#define REPLAY_BYTES (16u * 1024u * 1024u)

void
qr_party_log(enum qr_log_level level, const char *ev, uint16_t peer, const char *fmt, ...)
{
    char msg[768]; /* a verdict's sentence and what comes before it */
    va_list ap;
    if (!qr_log_on(level)) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (peer) {
        qr_log(level, "party", ev, msg, QR_LOG_U64("peer", peer), QR_LOG_END);
    } else {
        qr_log(level, "party", ev, msg, QR_LOG_END);
    }
}

void
qr_party_answer_error(struct qr_party *p, uint64_t to, qr_err e, uint16_t party, const char *detail)
{
    struct qr_answer a = {.error = e, .party = party, .detail = qr_view_str(detail)};
    p->env.answer(p->env.answer_ctx, to, &a);
}

void
qr_party_answer_json(struct qr_party *p, uint64_t to, const char *json, size_t len)
{
    struct qr_answer a = {.json = qr_view_of(json, len)};
    p->env.answer(p->env.answer_ctx, to, &a);
}

void
qr_party_abort(struct qr_party *p, uint16_t to, const uint8_t sid[32], enum qr_abort code)
{
    uint8_t b[2];
    qr_put16(b, (uint16_t)code);
    p->c.session_aborts++;
    if (p->net && qr_net_is_up(p->net, to)) {
        qr_err e = qr_net_send(p->net, to, QR_MSG_ABORT, 0, sid, qr_view_of(b, 2));
        (void)e; /* the session's own timeout tells the peer */
    }
}

/* ---- messages ---------------------------------------------------------------------------- */

/* A peer may be told of a session before we are; its first messages wait here, few and briefly. */
static void
keep_early(struct qr_party *p, struct qr_msg_in *m)
{
    size_t of_peer = 0, slot = QR_EARLY;
    for (size_t i = 0; i < QR_EARLY; i++) {
        if (p->early[i] && p->early[i]->from == m->from) {
            of_peer++;
        } else if (!p->early[i]) {
            slot = i;
        }
    }
    if (slot < QR_EARLY && of_peer < QR_EARLY / QR_MAX_PARTIES + 4 &&
        m->payload.len <= QR_PRESIGN1_LEN(QR_BATCH_MAX)) {
        qr_msg_ref(m);
        p->early[slot] = m;
        p->early_at[slot] = p->now;
    }
}

static void
drop_early(struct qr_party *p, uint16_t peer)
{
    for (size_t i = 0; i < QR_EARLY; i++) {
        struct qr_msg_in *m = p->early[i];
        if (m && (peer ? m->from == peer : p->now - p->early_at[i] > EARLY_LIFE)) {
            p->early[i] = NULL;
            qr_msg_unref(m);
        }
    }
}

static void
on_abort(struct qr_party *p, const struct qr_msg_in *m)
{
    if (m->payload.len == 2) {
        qr_pairs_on_abort(p, m->from, m->sid);
        qr_batch_on_abort(p, m->from, m->sid, qr_get16(m->payload.p));
        qr_keygen_on_abort(p, m->from, m->sid);
    }
}

static void
on_message(void *ctx, struct qr_msg_in *m)
{
    struct qr_party *p = ctx;
    qr_limits_heard(p, m->from);
    switch (m->type) {
    case QR_MSG_PAIR1:
    case QR_MSG_PAIR2:
    case QR_MSG_PAIR3:
        qr_pairs_on_message(p, m);
        break;
    case QR_MSG_DKG1:
    case QR_MSG_DKG2:
    case QR_MSG_DKG3:
    case QR_MSG_DKG4:
        if (!qr_keygen_on_message(p, m)) {
            keep_early(p, m);
        }
        break;
    case QR_MSG_PRESIGN1:
    case QR_MSG_PRESIGN2:
        if (!qr_batch_on_message(p, m)) {
            keep_early(p, m);
        }
        break;
    case QR_MSG_PRESIGN_START:
        qr_batch_on_start(p, m);
        break;
    case QR_MSG_PRESIGN_DONE:
        qr_batch_on_done(p, m);
        break;
    case QR_MSG_SIGN_REQUEST:
        qr_sign_on_request(p, m);
        break;
    case QR_MSG_SIGN_SHARE:
        qr_sign_on_share(p, m);
        break;
    case QR_MSG_ADMIN:
        qr_admin_on_message(p, m);
        break;
    case QR_MSG_ABORT:
        on_abort(p, m);
        break;
    case QR_MSG_RETIRE:
        qr_pairs_on_retire(p, m);
        break;
    case QR_MSG_STORE_STATE:
        qr_state_on_store(p, m);
        break;
    case QR_MSG_TIME:
        qr_stage_on_time(p, m);
        break;
    case QR_MSG_KEY_SYNC:
        qr_keygen_on_sync(p, m);
        break;
    case QR_MSG_SECRET_PUT:
        qr_pieces_on_put(p, m);
        break;
    case QR_MSG_SECRET_HAVE:
        qr_secret_on_have(p, m);
        break;
    case QR_MSG_SECRET_GET:
        qr_pieces_on_get(p, m);
        break;
    case QR_MSG_SECRET_PIECE:
        qr_secret_on_piece(p, m);
        break;
    case QR_MSG_SECRET_KEEP:
        qr_pieces_on_keep(p, m);
        break;
    case QR_MSG_AUDIT_HEAD:
        qr_audit_on_head(p, m);
        break;
    case QR_MSG_RECEIPT_ASK:
        qr_receipt_on_ask(p, m);
        break;
    case QR_MSG_RECEIPT_TELL:
        qr_receipt_on_tell(p, m);
        break;
    default:
        qr_party_log(QR_LOG_WARN, "unknown_message", m->from, "message type %d ignored",
                     (int)m->type);
    }
}

/* ---- links ------------------------------------------------------------------------------- */

void
qr_party_forget(struct qr_party *p, uint16_t peer, const char *why)
{
    uint16_t mask = (uint16_t)(1u << (peer - 1));
    qr_pairs_drop(p, peer);
    p->c.presigs_dropped += qr_pool_drop_parties(p->pool, mask);
    qr_batch_kill(p, mask);
    qr_keygen_kill(p, peer);
    drop_early(p, peer);
    qr_sign_peer_lost(p, peer, why);
    p->peer[peer].batch_after = 0;
}

static void
on_up(void *ctx, const struct qr_peer_info *info)
{
    struct qr_party *p = ctx;
    qr_party_log(QR_LOG_INFO, "peer_up", info->index, "attested on %s%s, %s",
                 qr_platform_name(info->claims.platform),
                 info->claims.insecure ? " (software TEE: insecure)" : "",
                 info->resumed ? "sessions resumed" : "new process");
    struct qr_ctl_store s = {.boot_counter = info->boot_counter, .serial = info->store_serial};
    memcpy(s.root, info->store_root, 32);
    uint8_t buf[QR_CTL_STORE_LEN];
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    qr_ctl_put_store(&b, &s);
    struct qr_msg_in m = {.from = info->index, .payload = qr_buf_view(&b)};
    qr_state_on_store(p, &m);
    qr_attest_up(p, info);
    qr_audit_up(p, info);
    if (!info->resumed) {
        qr_party_forget(p, info->index, "it restarted");
        qr_secret_up(p, info->index); /* before the pair, which takes milliseconds */
        qr_pairs_up(p, info->index);
        qr_keygen_sync(p, info->index);
        qr_pairs_tell(p, info->index);
        for (size_t i = 0; i < p->n_keys; i++) {
            p->key[i].hot = 0; /* it may be nearer than who replaced it */
        }
    }
    p->pool_want = 1;
}

static void
on_down(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct qr_party *p = ctx;
    qr_party_log(QR_LOG_WARN, "peer_down", peer, "connection lost (%s)%s%s", qr_err_text(why),
                 detail[0] ? ": " : "", detail);
    qr_audit_event(p, "peer", "down", peer, "connection lost (%s)", qr_err_text(why));
    qr_sign_peer_lost(p, peer, "its connection was lost");
    p->pool_want = 1;
}

static void
on_refused(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct qr_party *p = ctx;
    p->c.attest_refused++;
    qr_party_log(QR_LOG_WARN, "peer_refused", peer, "%s: %s", qr_err_text(why), detail);
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    struct qr_party *p = ctx;
    *serial = qr_store_serial(p->env.store);
    memcpy(root, qr_store_root(p->env.store), 32);
}

/* Where a peer is dialled. Behind a pump the roster's address is for the pump's other half. */
static void
peer_address(const struct qr_party *p, const struct qr_roster_party *rp,
             char out[static QR_ADDRESS_MAX])
{
    const char *via = p->cfg.via, *colon = via ? strrchr(via, ':') : NULL;
    unsigned long port = 0;

    if (colon && qr_parse_decimal(colon + 1, strlen(colon + 1), 65535, &port)) {
        (void)snprintf(out, QR_ADDRESS_MAX, "tcp://%.*s:%lu", (int)(colon - via), via,
                       port + rp->index);
    } else {
        memcpy(out, rp->address, QR_ADDRESS_MAX);
    }
}

qr_err
qr_party_link(struct qr_party *p, char *err_text, size_t err_cap)
{
    uint64_t reattest, evidence;
    QR_TRY(qr_audit_link(p));
    qr_attest_start(p);
    qr_attest_ages(p, &reattest, &evidence);
    struct qr_net_params np = {
        .self = p->self,
        .listen = p->cfg.listen,
        .self_cloud = p->roster->party[p->self - 1].cloud,
        .signer = {p, qr_state_sign},
        .roster_serial = p->roster->serial,
        .policy_serial = qr_policy_serial(p->policy),
        .boot_counter = p->boot_counter,
        .attester = {p, p->env.tee->platform, {0}, qr_attest_evidence, qr_attest_verify},
        .rng = p->env.rng,
        .new_link = p->env.new_link,
        .new_link_ctx = p->env.new_link_ctx,
        .zstd_level = p->cfg.zstd_level,
        .reattest_ns = reattest,
        .evidence_ns = evidence};
    struct qr_net_events ev = {
        p, on_up, on_down, on_refused, on_message, store_state, qr_state_check_store};
    memcpy(np.id, p->id, 32);
    memcpy(np.cluster, p->roster->cluster, 32);
    memcpy(np.roster_hash, p->roster->hash, 32);
    memcpy(np.policy_hash, qr_policy_hash(p->policy), 32);
    memcpy(np.boot_nonce, p->boot_nonce, 32);
    memcpy(np.attester.measurement, p->env.tee->measurement, 32);
    for (size_t i = 0; i < p->roster->n; i++) {
        const struct qr_roster_party *rp = &p->roster->party[i];
        if (rp->index != p->self) {
            struct qr_net_peer *x = &np.peers[np.n_peers++];
            x->index = rp->index;
            memcpy(x->id, rp->identity, 32);
            peer_address(p, rp, x->address);
            memcpy(x->cloud, rp->cloud, sizeof x->cloud);
        }
    }
    QR_TRY(qr_net_new(&np, &ev, &p->net, err_text, err_cap));
    p->out = (struct qr_outbox){p->net, qr_net_reserve, qr_net_commit, qr_net_cancel};
    qr_party_log(QR_LOG_INFO, "linked", 0, "party %u of %zu of cluster \"%s\" listens on %s",
                 p->self, p->roster->n, p->roster->name, p->cfg.listen);
    if (qr_policy_insecure_sim(p->policy)) {
        qr_party_log(
            QR_LOG_WARN, "insecure_sim", 0,
            "the policy accepts the software TEE: keys made here are marked insecure for ever");
    }
    qr_secret_check(p);
    return QR_OK;
}

/* ---- life -------------------------------------------------------------------------------- */

qr_err
qr_party_new(const struct qr_party_cfg *cfg, const struct qr_party_env *env, uint64_t now_ns,
             uint64_t wall_ms, struct qr_party **ret, char *err_text, size_t err_cap)
{
    struct qr_party *p = qr_alloc(sizeof *p);
    struct qr_replay_limits lim = {REPLAY_ENTRIES, REPLAY_ENTRIES / 4 * 3, REPLAY_BYTES};
    struct qr_replay_limits cmd = {4096, 4096, 4096};
    err_text[0] = '\0';
    if (!p) {
        (void)snprintf(err_text, err_cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
        return QR_ERR_NO_MEMORY;
    }
    p->cfg = *cfg;
    p->env = *env;
    p->now = now_ns;
    p->wall_ms = p->started_ms = wall_ms;
    p->started_mono_ms = qr_mono_ms(p);
    qr_err e = qr_hash_init();
    if (e == QR_OK) {
        e = qr_aes_init();
    }
    if (e == QR_OK) {
        e = qr_group_init(&env->rng);
    }
    if (e == QR_OK) {
        e = qr_stamp_init();
    }
    if (e == QR_OK) {
        p->aes = qr_aes_new();
        p->pool = qr_pool_new(QR_POOL_SLOTS, &p->pool_locked);
        e = p->aes && p->pool ? qr_sign_init(p) : QR_ERR_NO_MEMORY;
    }
    if (e == QR_OK) {
        e = qr_audit_open(p);
    }
    if (e == QR_OK) {
        e = qr_replay_new(&lim, &p->replay);
    }
    if (e == QR_OK) {
        e = qr_replay_new(&cmd, &p->commands);
    }
    if (e == QR_OK) {
        e = qr_state_open(p, err_text, err_cap);
    }
    if (e == QR_OK && !p->pool_locked) {
        qr_party_log(QR_LOG_WARN, "memory_not_locked", 0,
                     "mlock was refused: secrets may reach swap. Raise LimitMEMLOCK");
    }
    if (e == QR_OK && p->roster && p->policy && p->self) {
        e = qr_party_link(p, err_text, err_cap);
    }
    if (e != QR_OK) {
        if (err_text[0] == '\0') {
            (void)snprintf(err_text, err_cap, "%s", qr_err_text(e));
        }
        p = qr_party_free(p);
        return e;
    }
    *ret = p;
    return QR_OK;
}

struct qr_party *
qr_party_free(struct qr_party *p)
{
    if (p) {
        for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
            qr_pairs_close(p, i);
            drop_early(p, i);
        }
        if (p->pool) {
            qr_batch_kill(p, 0);
        }
        qr_keygen_close(p);
        qr_sign_close(p);
        qr_request_clear(&p->verdict.req);
        if (p->net) {
            qr_net_free(p->net);
        }
        qr_audit_close(p);
        qr_state_close(p);
        p->pool = qr_pool_free(p->pool);
        p->aes = qr_aes_free(p->aes);
        qr_request_clear(&p->verdict.req);
        p->replay = qr_replay_free(p->replay);
        p->commands = qr_replay_free(p->commands);
    }
    return qr_free(p);
}

int
qr_party_step(struct qr_party *p, uint64_t now_ns, uint64_t wall_ms)
{
    int more = 0;
    p->now = now_ns;
    p->wall_ms = wall_ms;
    if (!p->net) {
        return 0;
    }
    qr_net_step(p->net, now_ns);
    qr_pairs_begin(p);
    if (now_ns >= p->next_tick) {
        p->next_tick = now_ns + TICK;
        qr_pairs_tick(p);
        qr_batch_tick(p);
        qr_keygen_tick(p);
        qr_secret_tick(p);
        qr_attest_tick(p);
        qr_audit_tick(p);
        drop_early(p, 0);
        p->pool_want = 1;
    }
    qr_sign_tick(p);
    if (p->pool_want) {
        qr_batch_refill(p);
    }
    more = qr_batch_work(p);
    qr_net_step(p->net, now_ns);
    return more;
}

int
qr_party_fd(const struct qr_party *p)
{
    return p->net ? qr_net_fd(p->net) : -1;
}

uint64_t
qr_party_deadline(const struct qr_party *p)
{
    if (!p->net) {
        return UINT64_MAX;
    }
    uint64_t d = qr_net_deadline(p->net);
    d = p->next_tick < d ? p->next_tick : d;
    uint64_t pairs = qr_pairs_deadline(p);
    d = pairs < d ? pairs : d;
    return qr_sign_running(p) && p->sign_sweep < d ? p->sign_sweep : d;
}

void
qr_party_ask(struct qr_party *p, int admin, uint64_t to, const struct qr_ask *ask)
{
    switch (ask->what) {
    case QR_ASK_SIGN:
        qr_sign_ask(p, to, ask->body, ask->stamps, ask->n_stamps);
        break;
    case QR_ASK_QUERY:
        qr_query_ask(p, to, ask);
        break;
    case QR_ASK_COLLATERAL:
        qr_party_take_collateral(p, to, ask);
        break;
    case QR_ASK_ADMIN:
        if (admin) {
            qr_admin_ask(p, to, ask);
        } else {
            qr_party_answer_error(p, to, QR_ERR_ADMIN, 0,
                                  "administration is only answered on the operator's socket");
        }
        break;
    default:
        qr_party_answer_error(p, to, QR_ERR_MALFORMED, 0, "unknown question");
    }
}

void
qr_party_drain(struct qr_party *p)
{
    if (!p->draining) {
        p->draining = 1;
        qr_audit_drain(p);
    }
    qr_sign_pool_grew(p); /* what waits for presignatures is told that none are made any more */
}

int
qr_party_drained(const struct qr_party *p)
{
    return p->draining && qr_sign_running(p) == 0 && qr_audit_drained(p);
}

int
qr_party_drain_asked(const struct qr_party *p)
{
    return p->drain_asked;
}

int
qr_party_ready(const struct qr_party *p, char *line, size_t cap)
{
    unsigned up = 0, keys = 0, t = 0;
    size_t ready = 0;
    if (!p->net) {
        (void)snprintf(line, cap, "%s%s",
                       p->store_failed ? "STORE FAILED: restart this party; " : "",
                       !p->roster   ? "waiting for a roster"
                       : !p->policy ? "waiting for a policy"
                                    : "not linked");
        return 0;
    }
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        up += i != p->self && qr_net_is_up(p->net, i);
    }
    for (size_t i = 0; i < p->n_keys; i++) {
        const struct qr_key *k = p->key[i].key;
        if (k->state == QR_KEY_ACTIVE) {
            keys++;
            t = t == 0 || k->pub.t < t ? k->pub.t : t;
            ready += qr_pool_outstanding(p->pool, k->pub.key_id);
        }
    }
    char age[24], secret[QR_SECRET_TEXT_MAX];
    const struct qr_attest *a = &p->attest;
    /* Without keys there is nothing to sign before the peer secret is made; with them there is. */
    int waits = !qr_secret_keys_open(p) ||
                (keys == 0 && qr_secret_may_keygen(p, 0, secret, sizeof secret) != QR_OK);
    qr_duration_text(a->age_ms, age);
    qr_secret_text(p, secret);
    (void)snprintf(line, cap, "%s%s%u/%zu peers, %zu presignatures, %u keys%s%s%s%s%s%s%s", secret,
                   secret[0] ? "; " : "", up, p->roster->n - 1, ready, keys,
                   p->store_failed ? ", STORE FAILED" : "", p->draining ? ", draining" : "",
                   a->stage != QR_FRESH_OK ? ", EVIDENCE OLD: " : "",
                   a->stage != QR_FRESH_OK ? age : "", a->agreed ? "" : ", CLOCKS DISAGREE",
                   a->quorum_broken ? ", QUORUM CONSTRAINT BROKEN" : "", qr_audit_trouble(p));
    return !waits && !p->store_failed && !p->draining && qr_store_writable(p->env.store) &&
           !a->quorum_broken && a->stage != QR_FRESH_STOP && !*qr_audit_trouble(p) &&
           up + 1 >= (t ? t : 2);
}
