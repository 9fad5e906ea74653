/* See malice.h. */
#include "test/common/malice.h"

#include "daemon/request.h"
#include "protocol/base/check.h"
#include "protocol/group.h"

#include <stdio.h>
#include <string.h>

void
malice_start(struct malice *m, struct wiretap *w, uint16_t self, uint16_t victim)
{
    *m = (struct malice){.c = w->c, .w = w, .self = self, .victim = victim};
    m->aes = qr_aes_new();
    QR_ASSERT(m->aes != NULL);
}

void
malice_stop(struct malice *m)
{
    m->aes = qr_aes_free(m->aes);
}

void
malice_quiet(struct cluster *c)
{
    for (size_t i = 1; i <= c->n; i++) {
        struct qr_party_cfg *cfg = &c->p[i].party->cfg;
        cfg->pool_low = cfg->pool_high = cfg->pool_standby = 0;
    }
    c->cfg.pool_low = c->cfg.pool_high = c->cfg.pool_standby = 0;
}

void
malice_batch_id(const struct malice *m, uint16_t owner, const struct qr_ctl_start *st,
                struct qr_batch_id *ret)
{
    const struct qr_party *p = m->c->p[m->self].party;
    const struct qr_key_pub *k = &p->key[m->key].key->pub;
    uint8_t id[QR_MAX_PARTIES][32], meas[QR_MAX_PARTIES][32], nonce[QR_MAX_PARTIES][32];

    *ret = (struct qr_batch_id){.epoch = st->epoch, .initiator = owner, .B = st->B, .ctr = st->ctr};
    memcpy(ret->key_id, st->key_id, 32);
    memcpy(ret->dkg_sid, k->dkg_sid, 32);
    memcpy(ret->nonce, st->nonce, 32);
    for (uint16_t i = 1; i <= k->n; i++) {
        if (!(st->set_mask >> (i - 1) & 1)) {
            continue;
        }
        const struct qr_peer_info *info = i == m->self ? NULL : qr_net_info(p->net, i);
        QR_ASSERT(i == m->self || info != NULL);
        memcpy(id[ret->t], k->id[i - 1], 32);
        memcpy(meas[ret->t], info ? info->claims.measurement : p->env.tee->measurement, 32);
        memcpy(nonce[ret->t], info ? info->boot_nonce : p->boot_nonce, 32);
        ret->S[ret->t++] = i;
    }
    qr_grp(ret->S, ret->t, (const uint8_t(*)[32])id, (const uint8_t(*)[32])meas,
           (const uint8_t(*)[32])nonce, ret->grp);
}

void
malice_open(struct malice *m, uint8_t ret_sid[static 32])
{
    struct qr_party *p = m->c->p[m->self].party;
    const struct qr_key_pub *k = &p->key[m->key].key->pub;
    struct qr_ctl_start st = {.epoch = k->epoch, .B = 4, .ctr = ++p->batch_ctr};
    struct qr_batch_id id;
    uint8_t buf[QR_CTL_START_LEN];
    struct qr_buf b = qr_buf_over(buf, sizeof buf);

    st.set_mask = (uint16_t)(1u << (m->self - 1) | 1u << (m->victim - 1));
    memcpy(st.key_id, k->key_id, 32);
    qr_rng_fill(&p->env.rng, st.nonce, 32);
    malice_batch_id(m, m->self, &st, &id);
    qr_batch_sid(&id, ret_sid);
    qr_ctl_put_start(&b, &st);
    wiretap_say(m->w, m->self, m->victim, QR_MSG_PRESIGN_START, st.epoch, ret_sid, qr_buf_view(&b));
}

/* A PRESIGN1 with a commitment of no meaning and room for the COT message; then it is said. */
static void
say_presign1(struct malice *m, const uint8_t sid[static 32], size_t g, const uint8_t *e,
             unsigned guess, size_t flip)
{
    struct qr_party *p = m->c->p[m->self].party;
    const struct qr_pair_keys *keys =
        p->peer[m->victim].pair ? qr_pair_keys(p->peer[m->victim].pair) : NULL;
    uint8_t msg[QR_PRESIGN1_LEN(4)], beta[COTREF_ROW], rsid[32];

    if (!keys) {
        return; /* the pair is gone at our own side: nothing to say */
    }
    qr_rsid(sid, m->victim, m->self, rsid);
    qr_rng_fill(&p->env.rng, msg, 32);
    qr_rng_fill(&p->env.rng, beta, sizeof beta);
    cotref_cheat(&m->ref, m->aes, rsid, keys->bob_seed, beta, g, e, guess, msg + 32);
    if (flip != SIZE_MAX) {
        msg[flip] ^= 1;
    }
    wiretap_say(m->w, m->self, m->victim, QR_MSG_PRESIGN1, p->key[m->key].key->pub.epoch, sid,
                qr_view_of(msg, sizeof msg));
}

void
malice_guess(struct malice *m, const uint8_t sid[static 32], size_t g, unsigned guess)
{
    uint8_t e[COTREF_ROW] = {0};
    e[5] = 0x10; /* one choice bit that is another in this group */
    say_presign1(m, sid, g, e, guess, SIZE_MAX);
}

void
malice_flip(struct malice *m, const uint8_t sid[static 32], size_t at)
{
    uint8_t e[COTREF_ROW] = {0};
    say_presign1(m, sid, 0, e, 0, at);
}

void
malice_abort(struct malice *m, const uint8_t sid[static 32])
{
    const uint8_t code[2] = {0, QR_ABORT_GONE};
    wiretap_say(m->w, m->self, m->victim, QR_MSG_ABORT, 0, sid, qr_view_of(code, 2));
}

void
malice_ask(struct malice *m, const char *body, const qr_view *stamps, size_t n_stamps,
           const uint8_t presig_id[static QR_PRESIG_ID_LEN], uint8_t ret_request[static 32])
{
    static uint8_t buf[QR_CTL_SIGN_MAX];
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    struct qr_ctl_sign s = {.attempt = 1, .n = 1, .presig_ids = presig_id, .n_stamps = n_stamps};

    s.set_mask = (uint16_t)(1u << (m->self - 1) | 1u << (m->victim - 1));
    s.body = qr_view_str(body);
    for (size_t i = 0; i < n_stamps; i++) {
        s.stamp[i] = stamps[i];
    }
    QR_ASSERT(qr_request_hash(s.body, ret_request) == QR_OK);
    qr_ctl_put_sign(&b, &s);
    wiretap_say(m->w, m->self, m->victim, QR_MSG_SIGN_REQUEST,
                m->c->p[m->self].party->key[m->key].key->pub.epoch, ret_request, qr_buf_view(&b));
}

enum malice_reply
malice_reply(const struct malice *m, size_t from, const uint8_t sid[static 32])
{
    for (size_t k = from; k < m->w->n; k++) {
        const struct wire_event *e = wiretap_event(m->w, k);
        if (e->what != WIRE_SENT || e->from != m->victim || e->to != m->self ||
            memcmp(e->sid, sid, 32) != 0) {
            continue;
        }
        if (e->type == QR_MSG_PRESIGN2) {
            return REPLY_ROUND2;
        }
        if (e->type == QR_MSG_ABORT) {
            return e->code == QR_ABORT_FAILED    ? REPLY_FAILED
                   : e->code == QR_ABORT_REFUSED ? REPLY_REFUSED
                                                 : REPLY_OTHER;
        }
    }
    return REPLY_NONE;
}

enum malice_reply
malice_wait(struct malice *m, size_t from, const uint8_t sid[static 32], size_t turns)
{
    for (size_t k = 0; k < turns; k++) {
        enum malice_reply r = malice_reply(m, from, sid);
        if (r != REPLY_NONE) {
            return r;
        }
        cluster_turn(m->c);
    }
    return malice_reply(m, from, sid);
}

void
malice_demand(struct cluster *c, uint16_t owner, uint16_t mask)
{
    struct qr_party *p = c->p[owner].party;
    struct qr_pool_id id = {.set_mask = mask, .owner = owner};

    memcpy(id.key_id, p->key[0].key->pub.key_id, 32);
    for (uint16_t i = 1; i <= c->n; i++) {
        p->peer[i].batch_after = 0; /* a second of not asking a peer that refused */
    }
    qr_batch_demand(p, 0, mask, qr_pool_ready(p->pool, &id) + 1);
}

void
malice_readmit(struct cluster *c, uint16_t i, uint16_t j)
{
    static unsigned number;
    char cmd[512], cid[65];

    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    (void)snprintf(cmd, sizeof cmd,
                   "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\","
                   "\"id\":\"readmission-%06u\",\"issued_ms\":%llu,\"expires_ms\":%llu,"
                   "\"cmd\":\"readmit\",\"pair\":[%u,%u]}",
                   cid, number++, (unsigned long long)c->wall_ms,
                   (unsigned long long)c->wall_ms + 60000, i, j);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(cmd);
    ask.stamps[0] = cluster_stamp(c->admin, cmd, 2);
    const struct qr_answer *a = cluster_wait(c, cluster_ask(c, i, 1, &ask), 3000);
    QR_ASSERT(a != NULL && a->error == QR_OK);
    for (int k = 0; k < 20; k++) {
        cluster_turn(c);
    }
    QR_ASSERT(cluster_until(c, 20000, cluster_linked, NULL) && malice_nobody_retired(c));
}

int
malice_signs(struct cluster *c, size_t at, const uint8_t pk[static 33], uint16_t *ret_signers)
{
    static char body[4096];
    static unsigned number;
    char id[40];
    qr_pt P;

    (void)snprintf(id, sizeof id, "after-the-malice-%06u", number++);
    cluster_body(c, pk, id, "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(c, cluster_sign(c, at, body), 12000);
    if (!a || a->error != QR_OK || !a->is_signed || qr_pt_parse(&P, pk) != QR_OK ||
        qr_ecdsa_verify(&P, a->sgn.sigs[0].digest, a->sgn.sigs[0].rs) != QR_OK) {
        return 0;
    }
    *ret_signers = 0;
    for (size_t k = 0; k < a->sgn.n_signers; k++) {
        *ret_signers |= (uint16_t)(1u << (a->sgn.signers[k] - 1));
    }
    return 1;
}

static int
count_one(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
    return 0;
}

int
malice_nobody_retired(struct cluster *c)
{
    for (size_t i = 1; i <= c->n; i++) {
        unsigned records = 0;
        if (!c->p[i].alive) {
            continue;
        }
        for (uint16_t j = 1; j <= c->n; j++) {
            if (c->p[i].party->peer[j].retired) {
                return 0;
            }
        }
        if (qr_store_scan(c->p[i].store, QR_TABLE_PAIR, count_one, &records) != QR_OK || records) {
            return 0;
        }
    }
    return 1;
}
