/*
 * Online signing, the coordinator's side of a client's request; party_member.c is every other signer's.
 *
 * The coordinator is always a member of the set. A request that meets a member which is down, slow
 * or unwilling moves to another set with fresh presignatures; what was consumed stays consumed.
 */
#include "daemon/party_int.h"

#include <stdio.h>

#define NONE UINT32_MAX
#define SIGN_BYTES_MAX (32u * 1024u * 1024u) /* bodies and shares of all requests in hand */

static uint16_t
bit(uint16_t party)
{
    return (uint16_t)(1u << (party - 1));
}

qr_err
qr_sign_init(struct qr_party *p)
{
    p->sign = qr_alloc(QR_SIGN_RUNS * sizeof *p->sign);
    p->presig_tmp = qr_locked_alloc(sizeof *p->presig_tmp, NULL);
    if (!p->sign || !p->presig_tmp) {
        return QR_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < QR_SIGN_RUNS; i++) {
        p->sign_free[p->n_sign_free++] = QR_SIGN_RUNS - 1 - i;
        p->sign_bucket[i] = NONE;
    }
    return QR_OK;
}

void
qr_sign_close(struct qr_party *p)
{
    for (uint32_t i = 0; p->sign && i < QR_SIGN_RUNS; i++) {
        p->sign[i].mem = qr_free(p->sign[i].mem);
    }
    p->sign = qr_free(p->sign);
    p->presig_tmp = qr_locked_free(p->presig_tmp);
}

size_t
qr_sign_running(const struct qr_party *p)
{
    return QR_SIGN_RUNS - p->n_sign_free;
}

static uint32_t *
bucket(struct qr_party *p, const uint8_t *request)
{
    return &p->sign_bucket[qr_get32(request) % QR_SIGN_RUNS];
}

static struct qr_signrun *
find(struct qr_party *p, const uint8_t *request)
{
    for (uint32_t i = *bucket(p, request); i != NONE; i = p->sign[i].next) {
        if (memcmp(p->sign[i].request, request, 32) == 0) {
            return &p->sign[i];
        }
    }
    return NULL;
}

/* ---- a run's life ------------------------------------------------------------------------ */

static void
end(struct qr_party *p, struct qr_signrun *r)
{
    uint32_t i = (uint32_t)(r - p->sign);
    uint32_t *link = bucket(p, r->request);
    while (*link != i) {
        link = &p->sign[*link].next;
    }
    *link = r->next;
    p->n_sign_wait -= r->want != 0;
    p->sign_bytes -= r->mem_len;
    r->mem = qr_free(r->mem);
    *r = (struct qr_signrun){0};
    p->sign_free[p->n_sign_free++] = i;
}

static void
refuse(struct qr_party *p, struct qr_signrun *r, qr_err e, uint16_t party, const char *detail)
{
    qr_replay_fail(p->replay, r->slot);
    qr_audit_failed(p, r->request, r->who, e, party, detail);
    qr_party_log(QR_LOG_WARN, "request_failed", party,
                 "request failed after %u ms and %u moves: %s",
                 (unsigned)((p->now - r->started) / MS), r->moves, detail);
    qr_party_answer_error(p, r->to, e, party, detail);
    end(p, r);
}

static size_t
stamps_len(const qr_view *stamps, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        len += stamps[i].len;
    }
    return len;
}

/* Body, stamps, digests, items and shares in one block. */
static qr_err
begin(struct qr_party *p, uint64_t to, qr_view body, const qr_view *stamps, size_t n_stamps,
      struct qr_signrun **ret)
{
    const struct qr_judgement *v = &p->verdict;
    const struct qr_key *k = p->key[v->key].key;
    char who[QR_AUDIT_WHO_MAX];
    size_t n_who = qr_audit_who(p, v, who);
    size_t n = v->req.n_items, items = QR_ARENA_ROUND(n * sizeof(struct qr_sign_item));
    size_t len = items + n * 32 + n * k->pub.t * QR_SIGN_SHARE_LEN + body.len +
                 stamps_len(stamps, n_stamps) + n_who;
    if (p->n_sign_free == 0 || p->sign_bytes + len > SIGN_BYTES_MAX) {
        return QR_ERR_BUSY;
    }
    uint8_t *mem = qr_alloc(len);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    uint32_t i = p->sign_free[--p->n_sign_free];
    struct qr_signrun *r = &p->sign[i];
    *r = (struct qr_signrun){.used = 1,
                             .to = to,
                             .started = p->now,
                             .deadline = p->now + REQUEST_LIFE,
                             .key = v->key,
                             .slot = v->slot,
                             .depth = v->req.depth,
                             .n = (uint16_t)n,
                             .mem = mem,
                             .mem_len = len};
    r->item = (struct qr_sign_item *)(void *)mem;
    mem += items;
    r->digest = (uint8_t(*)[32])(void *)mem;
    mem += n * 32;
    r->share = mem;
    mem += n * k->pub.t * QR_SIGN_SHARE_LEN;
    memcpy(mem, body.p, body.len);
    r->body = qr_view_of(mem, body.len);
    mem += body.len;
    r->n_stamps = n_stamps;
    for (size_t j = 0; j < n_stamps; j++) {
        memcpy(mem, stamps[j].p, stamps[j].len);
        r->stamp[j] = qr_view_of(mem, stamps[j].len);
        mem += stamps[j].len;
    }
    memcpy(mem, who, n_who);
    r->who = qr_view_of(mem, n_who);
    memcpy(r->request, v->req.hash, 32);
    memcpy(r->path, v->req.path, sizeof r->path);
    memcpy(r->rule, v->rule, sizeof r->rule);
    for (size_t j = 0; j < n; j++) {
        memcpy(r->digest[j], v->req.items[j].digest, 32);
    }
    qr_sign_rq(r->body, r->stamp, r->n_stamps, r->rq);
    r->next = *bucket(p, r->request);
    *bucket(p, r->request) = i;
    p->sign_bytes += len;
    *ret = r;
    return QR_OK;
}

/* ---- one attempt with one set ------------------------------------------------------------ */

static void next_set(struct qr_party *p, struct qr_signrun *r);

/* Leaves the set of this attempt because of `party` (0: not known). */
static void
move(struct qr_party *p, struct qr_signrun *r, uint16_t party, qr_err why, const char *text)
{
    r->last_err = why;
    r->last_party = party;
    (void)snprintf(r->reason, sizeof r->reason, "party %u: %s", party, text);
    qr_party_log(QR_LOG_WARN, "request_moved", party, "request leaves this set: %s", text);
    p->c.sign_moved++;
    p->c.presigs_burned += r->mask ? r->n : 0;
    r->moves++;
    r->mask = 0;
    if (party) {
        r->excluded |= bit(party);
    }
    next_set(p, r);
}

static uint8_t *
share_at(struct qr_signrun *r, size_t pos, size_t item)
{
    return r->share + (pos * r->n + item) * QR_SIGN_SHARE_LEN;
}

static void
send_request(struct qr_party *p, struct qr_signrun *r, const uint8_t (*ids)[QR_PRESIG_ID_LEN])
{
    struct qr_ctl_sign m = {.attempt = r->attempt,
                            .set_mask = r->mask,
                            .n = r->n,
                            .presig_ids = ids[0],
                            .body = r->body,
                            .n_stamps = r->n_stamps};
    size_t len = 4 + 2 + 2 + (size_t)r->n * QR_PRESIG_ID_LEN + 4 + r->body.len + 1 +
                 4 * r->n_stamps + stamps_len(r->stamp, r->n_stamps);
    memcpy(m.stamp, r->stamp, sizeof m.stamp);
    uint32_t attempt = r->attempt;
    for (size_t i = 0; i < r->common.t; i++) {
        uint16_t to = r->common.S[i];
        if (to == p->self) {
            continue;
        }
        uint8_t *out =
            p->out.reserve(p->out.ctx, to, QR_MSG_SIGN_REQUEST, r->common.epoch, r->request, len);
        if (!out) {
            move(p, r, to, QR_ERR_BACKPRESSURE, "its queue is full");
            return;
        }
        struct qr_buf b = qr_buf_over(out, len);
        qr_ctl_put_sign(&b, &m);
        p->out.commit(p->out.ctx, to, out);
        r->out += len;
        r->request_len = (uint32_t)len;
        if (!r->used || r->attempt != attempt) {
            return;
        }
    }
}

/* All presignatures are there: consume ours, compute our shares, ask the others. */
static void
run_set(struct qr_party *p, struct qr_signrun *r, uint16_t mask)
{
    uint8_t ids[QR_ITEMS_MAX][QR_PRESIG_ID_LEN];
    const struct qr_key *k = p->key[r->key].key;
    struct qr_pool_id pool = {.set_mask = mask, .owner = p->self};
    uint16_t S[QR_MAX_PARTIES], t = 0;
    for (uint16_t i = 1; i <= k->pub.n; i++) {
        if (mask & bit(i)) {
            S[t++] = i;
        }
    }
    memcpy(pool.key_id, k->pub.key_id, 32);
    r->attempt = ++p->sign_attempts;
    r->mask = mask;
    r->got = bit(p->self);
    r->attempt_deadline = p->now + p->cfg.sign_timeout_ms * MS;
    qr_err e = qr_sign_prepare(&k->pub, S, t, r->request, r->rq, r->path, r->depth, &r->common);
    if (e != QR_OK) {
        refuse(p, r, e, 0,
               e == QR_ERR_INFINITY ? "path: this child does not exist; use the next index"
                                    : qr_err_text(e));
        return;
    }
    size_t self = qr_set_find(S, t, p->self);
    e = qr_pool_choose(p->pool, &pool, r->n, ids);
    for (uint16_t i = 0; i < r->n && e == QR_OK; i++) {
        /* Out of the pool before anything is computed from it. */
        e = qr_pool_take(p->pool, &pool, ids[i], p->presig_tmp);
        if (e == QR_OK) {
            p->c.presigs_spent++;
            e = qr_sign_share(&r->common, r->digest[i], i, p->presig_tmp, share_at(r, self, i),
                              &r->item[i]);
        }
    }
    if (e != QR_OK) {
        move(p, r, 0, e, qr_err_text(e));
        return;
    }
    p->pool_want = 1;
    send_request(p, r, (const uint8_t(*)[QR_PRESIG_ID_LEN])ids);
}

/* Chooses where to go on: a set with enough presignatures, else the best set that can make some. */
static void
next_set(struct qr_party *p, struct qr_signrun *r)
{
    const struct qr_key *k = p->key[r->key].key;
    struct qr_pool_id pool = {.owner = p->self};
    uint16_t first = 0;
    memcpy(pool.key_id, k->pub.key_id, 32);
    p->n_sign_wait -= r->want != 0;
    r->want = 0;
    /* Each move excludes a party or burns presignatures, so this many are enough for any quorum. */
    for (unsigned rank = 0; rank < 2 && r->moves <= QR_MAX_PARTIES; rank++) {
        uint16_t mask = p->net ? qr_batch_set(p, r->key, rank, r->excluded) : 0;
        first = first ? first : mask;
        pool.set_mask = mask;
        if (mask && qr_pool_ready(p->pool, &pool) >= r->n) {
            run_set(p, r, mask);
            return;
        }
    }
    if (!first) {
        char text[200];
        (void)snprintf(text, sizeof text, "too few parties can sign%s%s",
                       r->reason[0] ? "; last: " : "", r->reason);
        /* A refusal that a new try would meet again is the client's to hear. */
        qr_err e = r->last_err == QR_ERR_REPLAY_CONFLICT || r->last_err == QR_ERR_LIMIT ||
                           qr_err_class(r->last_err) == QR_CLASS_AUTH
                       ? r->last_err
                       : QR_ERR_QUORUM;
        refuse(p, r, e, e == QR_ERR_QUORUM ? 0 : r->last_party, text);
        return;
    }
    if (p->draining) {
        refuse(p, r, QR_ERR_DRAINING, 0, "this party is shutting down; ask another one");
        return;
    }
    r->want = first;
    p->n_sign_wait++;
    qr_batch_demand(p, r->key, first, p->n_sign_wait * r->n);
}

void
qr_sign_pool_grew(struct qr_party *p)
{
    if (p->n_sign_wait == 0) {
        return;
    }
    for (size_t i = 0; i < QR_SIGN_RUNS && p->n_sign_wait > 0; i++) {
        if (p->sign[i].used && p->sign[i].want) {
            next_set(p, &p->sign[i]);
        }
    }
}

/* ---- the answer -------------------------------------------------------------------------- */

#define CACHED_ITEM 65u /* r || s || recid; the digests follow from the request */

static void
fill_answer(struct qr_answer *a, const struct qr_key *k, uint16_t mask, const uint8_t *request,
            const struct qr_answer_sig *sig, size_t n)
{
    *a = (struct qr_answer){.is_signed = 1};
    memcpy(a->sgn.request, request, 32);
    memcpy(a->sgn.key, k->pub.pk, 33);
    a->sgn.sigs = sig;
    a->sgn.n_sigs = n;
    a->sgn.insecure_sim = (k->pub.flags & QR_KEY_INSECURE_SIM) != 0;
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (mask & bit(i)) {
            a->sgn.signers[a->sgn.n_signers++] = i;
        }
    }
}

/* Bytes the replay table keeps free for the answer to a request of n items. */
size_t
qr_sign_cached_len(size_t n)
{
    return 2 + n * CACHED_ITEM;
}

static void
remember(struct qr_party *p, const struct qr_signrun *r, const struct qr_answer_sig *sig)
{
    uint8_t mem[2 + QR_ITEMS_MAX * CACHED_ITEM];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_buf_put16(&b, r->mask);
    for (size_t i = 0; i < r->n; i++) {
        qr_buf_put(&b, sig[i].rs, 64);
        qr_buf_put8(&b, sig[i].recid);
    }
    if (qr_replay_finish(p->replay, r->slot, qr_buf_view(&b)) != QR_OK) {
        qr_replay_fail(p->replay, r->slot); /* asked again, it would be signed again */
    }
}

/* The stored answer to the request in p->verdict. */
static void
answer_again(struct qr_party *p, uint64_t to)
{
    const struct qr_judgement *v = &p->verdict;
    struct qr_answer_sig sig[QR_ITEMS_MAX];
    struct qr_answer a;
    struct qr_buf b = qr_buf_read(qr_replay_answer(p->replay, v->slot));
    uint16_t mask = qr_buf_get16(&b);
    for (size_t i = 0; i < v->req.n_items; i++) {
        memcpy(sig[i].digest, v->req.items[i].digest, 32);
        qr_buf_get(&b, sig[i].rs, 64);
        sig[i].recid = qr_buf_get8(&b);
    }
    if (qr_buf_end(&b) != QR_OK) {
        qr_party_answer_error(p, to, QR_ERR_INTERNAL, 0, "the stored answer is damaged");
        return;
    }
    fill_answer(&a, p->key[v->key].key, mask, v->req.hash, sig, v->req.n_items);
    a.rule = qr_view_str(v->rule);
    p->env.answer(p->env.answer_ctx, to, &a);
}

/* Written before the signature is released. */
static qr_err
log_own(struct qr_party *p, const struct qr_signrun *r, const struct qr_answer_sig *sig,
        uint64_t us)
{
    const struct qr_audit_sign s = {.request = r->request,
                                    .key = p->key[r->key].key->pub.pk,
                                    .child = r->common.pk33,
                                    .coordinator = p->self,
                                    .mask = r->mask,
                                    .attempt = r->attempt,
                                    .epoch = r->common.epoch,
                                    .path = r->path,
                                    .depth = r->depth,
                                    .n = r->n,
                                    .who = r->who,
                                    .sig = sig,
                                    .out = r->request_len,
                                    .in = 8 + (uint64_t)r->n * QR_SIGN_SHARE_LEN,
                                    .micros = us};
    return qr_audit_signed(p, &s);
}

static void
finish(struct qr_party *p, struct qr_signrun *r)
{
    struct qr_answer_sig sig[QR_ITEMS_MAX];
    const struct qr_key *k = p->key[r->key].key;
    const uint8_t *shares[QR_MAX_PARTIES];
    uint16_t blame = 0;
    for (uint16_t i = 0; i < r->n; i++) {
        int recid = 0;
        for (size_t s = 0; s < r->common.t; s++) {
            shares[s] = share_at(r, s, i);
        }
        qr_err e = qr_sign_combine(&r->common, &r->item[i], shares, sig[i].rs, &recid, &blame);
        if (e != QR_OK) {
            p->c.sign_bad++;
            if (blame == 0 && r->common.t == 2) {
                blame = r->common.S[r->common.S[0] == p->self]; /* it was not us */
            }
            if (blame) {
                p->peer[blame].avoid_until = p->now + 60 * SECOND;
            }
            qr_party_log(QR_LOG_ERROR, "bad_share", blame,
                         "shares of set mask %#x do not make a signature (%s); presignature burned",
                         r->mask, qr_err_text(e));
            move(p, r, blame, e, "a share of its was wrong");
            return;
        }
        sig[i].recid = (uint8_t)recid;
        memcpy(sig[i].digest, r->digest[i], 32);
    }
    uint64_t us = (p->now - r->started) / 1000;
    qr_err logged = log_own(p, r, sig, us);
    if (logged != QR_OK) {
        refuse(p, r, QR_ERR_NOT_READY, p->self, "the audit log took no record of it");
        return;
    }
    struct qr_answer a;
    fill_answer(&a, k, r->mask, r->request, sig, r->n);
    a.rule = qr_view_str(r->rule);
    a.sgn.moves = r->moves;
    a.sgn.move_reason = qr_view_str(r->reason);
    a.sgn.micros = us;
    a.sgn.bytes = r->out + r->in;
    p->c.sign_ok += r->n;
    p->c.sign_us_sum += us;
    p->c.sign_us_count++;
    for (unsigned b = 0; b < 12; b++) {
        p->c.sign_us_bucket[b] += us <= (1000u << b);
    }
    remember(p, r, sig);
    p->env.answer(p->env.answer_ctx, r->to, &a);
    end(p, r);
}

void
qr_sign_on_share(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_share s;
    struct qr_signrun *r = find(p, m->sid);
    qr_err e = qr_ctl_get_share(m->payload, &s);
    if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "share_malformed", m->from, "share ignored: %s", qr_err_text(e));
        return;
    }
    if (!r || r->attempt != s.attempt || !(r->mask & bit(m->from)) || (r->got & bit(m->from))) {
        return; /* too late, or of an attempt we left */
    }
    r->in += m->payload.len;
    if (s.code != 0) {
        move(p, r, m->from, (qr_err)s.code, qr_err_text((qr_err)s.code));
        return;
    }
    if (s.n != r->n) {
        move(p, r, m->from, QR_ERR_LENGTH, "it answered another number of items");
        return;
    }
    memcpy(share_at(r, qr_set_find(r->common.S, r->common.t, m->from), 0), s.shares,
           (size_t)s.n * QR_SIGN_SHARE_LEN);
    r->got |= bit(m->from);
    if (r->got == r->mask) {
        finish(p, r);
    }
}

/* What the judgement at hand says, with what the client can do about it. */
static void
answer_refusal(struct qr_party *p, uint64_t to, qr_err e)
{
    const struct qr_judgement *v = &p->verdict;
    struct qr_answer a = {.error = e,
                          .detail = qr_view_str(v->detail[0] ? v->detail : qr_err_text(e)),
                          .rule = qr_view_str(v->rule)};

    if (e == QR_ERR_POLICY_DENIED || e == QR_ERR_APPROVALS || e == QR_ERR_LIMIT) {
        a.party = p->self;
    }
    if (e == QR_ERR_LIMIT) {
        a.retry_s = v->says.retry_s;
    }
    if (e == QR_ERR_APPROVALS) {
        a.need = v->says.need;
        for (size_t i = 0; i < qr_policy_n_approvers(p->policy); i++) {
            if (v->says.of >> i & 1) {
                a.approvers[a.n_approvers++] = qr_view_str(qr_policy_approver(p->policy, i)->name);
            }
        }
    }
    p->env.answer(p->env.answer_ctx, to, &a);
}

void
qr_sign_ask(struct qr_party *p, uint64_t to, qr_view body, const qr_view *stamps, size_t n)
{
    struct qr_judgement *v = &p->verdict;
    struct qr_signrun *r;
    if (!p->policy || !p->roster || !p->net) {
        qr_party_answer_error(p, to, QR_ERR_NOT_READY, 0,
                              "this party has no roster and policy yet");
        return;
    }
    if (p->draining || p->store_failed) {
        qr_party_answer_error(p, to, p->draining ? QR_ERR_DRAINING : QR_ERR_NOT_READY, 0,
                              p->draining ? "this party is shutting down"
                                          : "this party's store failed");
        return;
    }
    if (p->attest.quorum_broken || p->attest.stage == QR_FRESH_STOP) {
        qr_party_answer_error(p, to, p->attest.quorum_broken ? QR_ERR_ATTESTATION : QR_ERR_STALE, 0,
                              p->attest.quorum_broken
                                  ? "the parties that are connected break the policy's constraints"
                                  : "this party has stopped signing: the evidence of its peers "
                                    "could not be renewed");
        return;
    }
    qr_err e = qr_judge(p, 1, body, stamps, n, v);
    if (e != QR_OK) {
        qr_audit_refused(p, p->self, body, v, e);
        answer_refusal(p, to, e);
        return;
    }
    if (v->replay == QR_REPLAY_DONE) {
        answer_again(p, to);
        return;
    }
    if (v->replay == QR_REPLAY_RUNNING && find(p, v->req.hash)) {
        qr_party_answer_error(p, to, QR_ERR_BUSY, 0, "this very request is being worked on");
        return;
    }
    e = begin(p, to, body, stamps, n, &r);
    if (e != QR_OK) {
        qr_replay_fail(p->replay, v->slot);
        qr_party_answer_error(p, to, e, 0,
                              e == QR_ERR_BUSY ? "too many requests are in flight; try again"
                                               : qr_err_text(e));
        return;
    }
    next_set(p, r);
}

/* ---- time and loss ----------------------------------------------------------------------- */

void
qr_sign_peer_lost(struct qr_party *p, uint16_t peer, const char *why)
{
    for (size_t i = 0; i < QR_SIGN_RUNS && qr_sign_running(p) > 0; i++) {
        struct qr_signrun *r = &p->sign[i];
        if (r->used && (r->mask & bit(peer)) && !(r->got & bit(peer))) {
            move(p, r, peer, QR_ERR_LINK_CLOSED, why);
        } else if (r->used && (r->want & bit(peer))) {
            next_set(p, r);
        }
    }
}

void
qr_sign_tick(struct qr_party *p)
{
    if (qr_sign_running(p) == 0 || p->now < p->sign_sweep) {
        return;
    }
    p->sign_sweep = p->now + 20 * MS;
    for (size_t i = 0; i < QR_SIGN_RUNS; i++) {
        struct qr_signrun *r = &p->sign[i];
        if (!r->used) {
            continue;
        }
        if (p->now > r->deadline) {
            refuse(p, r, r->want ? QR_ERR_NO_PRESIGS : QR_ERR_TIMEOUT, r->last_party,
                   r->want ? "no presignatures were ready in time"
                           : "the quorum did not answer in time");
        } else if (r->mask && p->now > r->attempt_deadline) {
            uint16_t late = 0;
            for (uint16_t j = 1; j <= QR_MAX_PARTIES && !late; j++) {
                late = (r->mask & ~r->got) & bit(j) ? j : 0;
            }
            p->peer[late].avoid_until = p->now + 5 * SECOND;
            move(p, r, late, QR_ERR_TIMEOUT, "it did not answer in time");
        } else if (r->want) {
            next_set(p, r); /* asks for more batches if the last ones failed */
        }
    }
}
