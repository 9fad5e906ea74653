/* Key generation runs, and the confirmations a crashed party may still be missing. */
#include "daemon/log.h"
#include "daemon/party_int.h"

#define KEY_ASK_MAX (64 * SECOND)

static struct qr_keygenrun *
find(struct qr_party *p, const uint8_t sid[32])
{
    for (size_t i = 0; i < QR_KEYGEN_RUNS; i++) {
        if (p->keygen[i].used && memcmp(p->keygen[i].sid, sid, 32) == 0) {
            return &p->keygen[i];
        }
    }
    return NULL;
}

static void
end(struct qr_keygenrun *r)
{
    if (r->m) {
        qr_dkg_wipe(r->m);
        r->m = qr_locked_free(r->m);
    }
    *r = (struct qr_keygenrun){0};
}

static void
fail(struct qr_party *p, struct qr_keygenrun *r, qr_err why, uint16_t blame, int tell)
{
    qr_party_log(QR_LOG_ERROR, "keygen_failed", blame, "key generation failed: %s",
                 qr_err_text(why));
    for (uint16_t i = 1; tell && i <= p->roster->n; i++) {
        if (i != p->self) {
            qr_party_abort(p, i, r->sid, QR_ABORT_FAILED);
        }
    }
    if (r->ask) {
        qr_party_answer_error(p, r->ask, why, blame, "key generation failed; see the party's log");
    }
    end(r);
}

qr_err
qr_keygen_begin(struct qr_party *p, const struct qr_command *cmd, uint64_t ask, char *why,
                size_t cap)
{
    struct qr_dkg_params dp = {.self = p->self, .t = cmd->t, .n = (uint16_t)p->roster->n};
    struct qr_keygenrun *r = NULL;
    size_t keys = p->n_keys;
    for (size_t i = 0; i < QR_KEYGEN_RUNS; i++) {
        keys += p->keygen[i].used && !p->keygen[i].persisted;
        r = r || p->keygen[i].used ? r : &p->keygen[i];
    }
    /* Every run may end as a record, and a start reads all of them. */
    if (keys >= QR_KEYS_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    if (!r) {
        return QR_ERR_BUSY;
    }
    QR_TRY(qr_secret_may_keygen(p, cmd->t, why, cap));
    QR_TRY(qr_attest_may_keygen(p, why, cap));
    memcpy(dp.cluster, p->roster->cluster, 32);
    memcpy(dp.roster_hash, p->roster->hash, 32);
    memcpy(dp.admin_hash, p->roster->admins.hash, 32);
    memcpy(dp.command_hash, cmd->hash, 32);
    dp.flags = qr_policy_insecure_sim(p->policy) ? QR_KEY_INSECURE_SIM : 0;
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        const struct qr_peer_info *info = i == p->self ? NULL : qr_net_info(p->net, i);
        if (i != p->self && !info) {
            return QR_ERR_QUORUM;
        }
        memcpy(dp.id[i - 1], p->roster->party[i - 1].identity, 32);
        memcpy(dp.measurement[i - 1], info ? info->claims.measurement : qr_attest_measurement(p),
               32);
        memcpy(dp.nonce[i - 1], info ? info->boot_nonce : p->boot_nonce, 32);
    }
    void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_dkg_init(mem, &dp, &r->m);
    if (e != QR_OK) {
        mem = qr_locked_free(mem);
        r->m = NULL;
        return e;
    }
    r->used = 1;
    r->ask = ask;
    r->started = p->now;
    r->deadline = p->now + SESSION_LIFE;
    qr_dkg_sid(&dp, r->sid);
    qr_party_log(QR_LOG_INFO, "keygen_start", 0, "making a %u-of-%u key", dp.t, dp.n);
    e = qr_dkg_start(r->m, &p->env.rng, &p->out);
    if (e != QR_OK) {
        r->ask = 0; /* the caller answers */
        fail(p, r, e, 0, 1);
        return e;
    }
    for (size_t i = 0; i < QR_EARLY && r->used; i++) {
        struct qr_msg_in *m = p->early[i];
        if (m && memcmp(m->sid, r->sid, 32) == 0) {
            p->early[i] = NULL;
            (void)qr_keygen_on_message(p, m);
            qr_msg_unref(m);
        }
    }
    return QR_OK;
}

/*
 * Persist as pending before our confirmation leaves; as active when all are in. Whatever ends the
 * run in between, the others may have a whole key: so it is in the table from then on, and tick()
 * asks them about it.
 */
static void
advance(struct qr_party *p, struct qr_keygenrun *r)
{
    if (qr_dkg_ready(r->m) && !r->persisted) {
        qr_err e = qr_state_save_key(p, qr_dkg_key(r->m));
        if (e == QR_OK) {
            e = qr_state_add_key(p, qr_dkg_key(r->m));
        }
        if (e == QR_OK) {
            struct qr_id_signer s = {p, qr_state_sign};
            r->persisted = 1;
            p->key_ask_wait = SECOND;
            p->key_ask_at = p->now + SECOND;
            e = qr_dkg_confirm(r->m, &s, &p->out);
        }
        if (e != QR_OK) {
            fail(p, r, e, 0, 1);
            return;
        }
    }
    if (!qr_dkg_done(r->m)) {
        return;
    }
    const struct qr_key *k = qr_dkg_key(r->m);
    char hex[67];
    qr_err e = qr_state_save_key(p, k);
    if (e == QR_OK) {
        e = qr_state_add_key(p, k);
    }
    if (e != QR_OK) {
        fail(p, r, e, 0, 0);
        return;
    }
    qr_hex_encode(qr_view_of(k->pub.pk, 33), hex);
    p->c.keygens++;
    p->pool_want = 1;
    qr_party_log(QR_LOG_INFO, "keygen_done", 0, "key %s is active (%u-of-%u%s), %u ms", hex,
                 k->pub.t, k->pub.n,
                 k->pub.flags & QR_KEY_INSECURE_SIM ? ", software TEE: insecure" : "",
                 (unsigned)((p->now - r->started) / MS));
    qr_audit_event(p, "key", "made", 0, "key %s, %u of %u%s", hex, k->pub.t, k->pub.n,
                   k->pub.flags & QR_KEY_INSECURE_SIM ? ", software TEE: insecure" : "");
    if (r->ask) {
        struct qr_dbuf out;
        qr_dbuf_init(&out, QR_KEYJSON_MAX);
        if (qr_keyjson_put(&out, &k->pub) == QR_OK) {
            qr_party_answer_json(p, r->ask, (const char *)out.p, out.len);
        } else {
            qr_party_answer_error(p, r->ask, QR_ERR_NO_MEMORY, 0, "key made; ask for it again");
        }
        qr_dbuf_free(&out);
    }
    end(r);
}

int
qr_keygen_on_message(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_keygenrun *r = find(p, m->sid);
    uint16_t blame = 0;
    if (!r) {
        return 0;
    }
    qr_err e = qr_dkg_recv(r->m, m->from, m->type, m->payload, &p->out, &blame);
    if (qr_dkg_failed(r->m)) {
        fail(p, r, e, blame, 1);
    } else if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "keygen_message", m->from, "key generation message ignored: %s",
                     qr_err_text(e));
    } else {
        advance(p, r);
    }
    return 1;
}

void
qr_keygen_on_abort(struct qr_party *p, uint16_t from, const uint8_t sid[32])
{
    struct qr_keygenrun *r = find(p, sid);
    if (r) {
        fail(p, r, QR_ERR_STATE, from, 0);
    }
}

void
qr_keygen_kill(struct qr_party *p, uint16_t peer)
{
    for (size_t i = 0; i < QR_KEYGEN_RUNS; i++) {
        if (p->keygen[i].used) {
            fail(p, &p->keygen[i], QR_ERR_LINK_CLOSED, peer, 1);
        }
    }
}

void
qr_keygen_close(struct qr_party *p)
{
    for (size_t i = 0; i < QR_KEYGEN_RUNS; i++) {
        end(&p->keygen[i]);
    }
}

void
qr_keygen_tick(struct qr_party *p)
{
    for (size_t i = 0; i < QR_KEYGEN_RUNS; i++) {
        if (p->keygen[i].used && p->now > p->keygen[i].deadline) {
            fail(p, &p->keygen[i], QR_ERR_TIMEOUT, 0, 1);
        }
    }
    if (p->now < p->key_ask_at) {
        return;
    }
    /* One of them may get the last confirmation after it was asked; later ever more rarely. */
    uint64_t wait = p->key_ask_wait ? 2 * p->key_ask_wait : SECOND;
    p->key_ask_wait = wait < KEY_ASK_MAX ? wait : KEY_ASK_MAX;
    p->key_ask_at = p->now + p->key_ask_wait;
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && qr_net_is_up(p->net, i)) {
            qr_keygen_sync(p, i);
        }
    }
}

/* An end between our confirmation and the last of the others' leaves a pending key: ask. */
void
qr_keygen_sync(struct qr_party *p, uint16_t peer)
{
    for (size_t i = 0; i < p->n_keys; i++) {
        const struct qr_key *k = p->key[i].key;
        if (k->state == QR_KEY_PENDING) {
            uint8_t buf[64];
            struct qr_ctl_key m = {.tell = 0};
            struct qr_buf b = qr_buf_over(buf, sizeof buf);
            memcpy(m.key_id, k->pub.key_id, 32);
            qr_ctl_put_key(&b, &m);
            qr_err e =
                qr_net_send(p->net, peer, QR_MSG_KEY_SYNC, 0, k->pub.key_id, qr_buf_view(&b));
            (void)e; /* asked again at the next connection */
        }
    }
}

static void
tell(struct qr_party *p, uint16_t peer, const struct qr_key *k)
{
    uint8_t buf[64 + QR_MAX_PARTIES * 64];
    struct qr_ctl_key m = {.tell = 1, .n = k->pub.n, .confirm = k->pub.confirm[0]};
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    memcpy(m.key_id, k->pub.key_id, 32);
    qr_ctl_put_key(&b, &m);
    qr_err e = qr_net_send(p->net, peer, QR_MSG_KEY_SYNC, 0, k->pub.key_id, qr_buf_view(&b));
    (void)e;
}

void
qr_keygen_on_sync(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_key s;
    if (qr_ctl_get_key(m->payload, &s) != QR_OK) {
        return;
    }
    struct qr_key *k = qr_state_find_key_id(p, s.key_id);
    if (!k) {
        return;
    }
    if (!s.tell) {
        if (k->state == QR_KEY_ACTIVE) {
            tell(p, m->from, k);
        }
        return;
    }
    if (k->state != QR_KEY_PENDING || s.n != k->pub.n) {
        return;
    }
    struct qr_key_pub pub = k->pub;
    uint16_t bad = 0;
    memcpy(pub.confirm, s.confirm, (size_t)s.n * 64u);
    qr_err e = qr_key_check(&pub, &bad);
    if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "key_sync", m->from,
                     "confirmations of a pending key do not verify (party %u): %s", bad,
                     qr_err_text(e));
        return;
    }
    k->pub = pub;
    k->state = QR_KEY_ACTIVE;
    e = qr_state_save_key(p, k);
    if (e != QR_OK) {
        k->state = QR_KEY_PENDING;
        return;
    }
    p->pool_want = 1;
    qr_party_log(QR_LOG_INFO, "key_activated", m->from,
                 "a key left pending by a restart is active: this party had all confirmations");
    qr_audit_event(p, "key", "activated", m->from, "all confirmations are there after a restart");
}
