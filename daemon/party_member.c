/*
 * Online signing, the side of a signer who is not the coordinator: judges the same bytes itself, spends its own
 * halves of the presignatures, answers with shares or with a coarse code.
 */
#include "daemon/party_int.h"

static uint16_t
bit(uint16_t party)
{
    return (uint16_t)(1u << (party - 1));
}

/* Written before the shares go out. */
static qr_err
log_member(struct qr_party *p, uint16_t from, const struct qr_ctl_sign *m,
           const struct qr_sign_common *common)
{
    const struct qr_judgement *v = &p->verdict;
    char who[QR_AUDIT_WHO_MAX];
    const struct qr_audit_sign s = {.request = v->req.hash,
                                    .key = p->key[v->key].key->pub.pk,
                                    .child = common->pk33,
                                    .coordinator = from,
                                    .mask = m->set_mask,
                                    .attempt = m->attempt,
                                    .epoch = common->epoch,
                                    .path = v->req.path,
                                    .depth = v->req.depth,
                                    .n = v->req.n_items,
                                    .who = qr_view_of(who, qr_audit_who(p, v, who)),
                                    .item = v->req.items};
    return qr_audit_signed(p, &s);
}

static qr_err
sign_as_member(struct qr_party *p, uint16_t from, const struct qr_ctl_sign *m, const uint8_t *sid,
               uint32_t epoch, uint8_t *shares)
{
    struct qr_judgement *v = &p->verdict;
    struct qr_pool_id pool = {.set_mask = m->set_mask, .owner = from};
    struct qr_sign_common common;
    uint16_t S[QR_MAX_PARTIES], t = 0;
    uint8_t rq[32];

    if (p->draining || p->store_failed) {
        return QR_ERR_NOT_READY;
    }
    QR_TRY(qr_attest_may_sign(p, m->set_mask));
    QR_TRY(qr_judge(p, 0, m->body, m->stamp, m->n_stamps, v));
    const struct qr_key *k = p->key[v->key].key;
    if (memcmp(v->req.hash, sid, 32) != 0 || v->req.n_items != m->n || epoch != k->pub.epoch) {
        return QR_ERR_SID;
    }
    if (!(m->set_mask & bit(p->self)) || !(m->set_mask & bit(from)) ||
        (p->peer[from].retired & m->set_mask) || (p->peer[p->self].retired & m->set_mask)) {
        return QR_ERR_SET;
    }
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (m->set_mask & bit(i)) {
            S[t++] = i;
        }
    }
    memcpy(pool.key_id, k->pub.key_id, 32);
    qr_sign_rq(m->body, m->stamp, m->n_stamps, rq);
    QR_TRY(qr_sign_prepare(&k->pub, S, t, sid, rq, v->req.path, v->req.depth, &common));
    for (uint16_t i = 0; i < m->n; i++) {
        struct qr_sign_item item;
        QR_TRY(qr_pool_take(p->pool, &pool, m->presig_ids + (size_t)i * QR_PRESIG_ID_LEN,
                            p->presig_tmp));
        p->c.presigs_spent++;
        QR_TRY(qr_sign_share(&common, v->req.items[i].digest, i, p->presig_tmp,
                             shares + (size_t)i * QR_SIGN_SHARE_LEN, &item));
    }
    return log_member(p, from, m, &common);
}

/* What a peer may know of a refusal: its class, not its cause, unless the client can mend it. */
static uint16_t
coarse(qr_err e)
{
    if (e == QR_OK) {
        return 0;
    }
    if (e == QR_ERR_CONSUMED) {
        return QR_ERR_NO_PRESIGS;
    }
    if (e == QR_ERR_EXPIRED || e == QR_ERR_NOT_YET_VALID || e == QR_ERR_REPLAY_CONFLICT ||
        e == QR_ERR_LIMIT) {
        return (uint16_t)e;
    }
    return qr_err_class(e) == QR_CLASS_AUTH ? QR_ERR_POLICY_DENIED : QR_ERR_NOT_READY;
}

void
qr_sign_on_request(struct qr_party *p, struct qr_msg_in *m)
{
    uint8_t shares[QR_ITEMS_MAX * QR_SIGN_SHARE_LEN];
    struct qr_ctl_sign s = {0};
    qr_judge_start(&p->verdict);
    qr_err e = qr_ctl_get_sign(m->payload, &s);
    if (e == QR_OK) {
        e = sign_as_member(p, m->from, &s, m->sid, m->epoch, shares);
    }
    if (e != QR_OK) {
        qr_audit_refused(p, m->from, s.body, &p->verdict, e);
        qr_party_log(QR_LOG_WARN, "sign_refused", m->from, "did not sign for this party: %s%s%s",
                     qr_err_text(e), p->verdict.detail[0] ? ": " : "", p->verdict.detail);
    }
    struct qr_ctl_share a = {
        .attempt = s.attempt, .code = coarse(e), .n = e == QR_OK ? s.n : 0, .shares = shares};
    size_t len = 8 + (size_t)a.n * QR_SIGN_SHARE_LEN;
    uint8_t *out = p->out.reserve(p->out.ctx, m->from, QR_MSG_SIGN_SHARE, m->epoch, m->sid, len);
    if (out) {
        struct qr_buf b = qr_buf_over(out, len);
        qr_ctl_put_share(&b, &a);
        p->out.commit(p->out.ctx, m->from, out);
    }
}
