/* See malice.h. */
#include "test/common/malice.h"

#include "daemon/request.h"
#include "protocol/base/check.h"

#include <string.h>

void
malice_start(struct malice *m, struct wiretap *w, uint16_t self, uint16_t victim)
{
    *m = (struct malice){.c = w->c, .w = w, .self = self, .victim = victim, .ctr = 1000000};
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
    struct qr_ctl_start st = {.epoch = k->epoch, .B = 4, .ctr = ++m->ctr};
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
