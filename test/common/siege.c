/* The world of a siege, and the account of what was given away. See siege.h. */
#include "test/common/siege.h"

#include "protocol/base/check.h"
#include "protocol/derive.h"
#include "protocol/group.h"
#include "protocol/sign.h"
#include "transport/link_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define CORRUPT 2u

__attribute__((format(printf, 2, 3))) static void
violation(struct siege *s, const char *fmt, ...)
{
    va_list ap;
    char what[200];

    if (s->r->violation[0]) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    (void)snprintf(s->r->violation, sizeof s->r->violation, "attempt %zu: %s", s->r->attempts,
                   what);
}

static struct siege_req *
find(struct siege *s, const uint8_t hash[32])
{
    for (size_t k = s->n_req; k-- > 0;) {
        if (memcmp(s->req[k]->hash, hash, 32) == 0) {
            return s->req[k];
        }
    }
    return NULL;
}

/* ---- the account ------------------------------------------------------------------------- */

static void
account(struct siege *s, struct siege_req *q)
{
    uint64_t window = s->c.wall_ms / SIEGE_WINDOW_MS, wei = 0;
    int pay = 0, mole = 0;

    if (window != s->window) {
        s->window = window;
        s->pay_requests = s->pay_wei = s->mole_requests = 0;
    }
    q->counted = 1;
    for (size_t i = 0; i < q->n_items; i++) {
        unsigned by = siege_allowed(q, i);
        for (unsigned k = 0; k < SIEGE_RULES; k++) {
            s->r->by_rule[k] += by == 1u << k;
        }
        pay |= by == R_PAY;
        mole |= by == R_MOLE;
        wei += by == R_PAY ? q->item[i].value : 0;
    }
    s->pay_requests += (uint64_t)pay;
    s->pay_wei += wei;
    s->mole_requests += (uint64_t)mole;
    if (s->pay_requests > SIEGE_PAY_REQUESTS || s->pay_wei > SIEGE_PAY_WEI ||
        s->mole_requests > SIEGE_MOLE_REQUESTS) {
        violation(s,
                  "limits are exceeded: %llu requests and %llu wei of rule pay, %llu requests of "
                  "rule mole in one window",
                  (unsigned long long)s->pay_requests, (unsigned long long)s->pay_wei,
                  (unsigned long long)s->mole_requests);
    }
}

/* Party i gave what it has to give for a request: a share, or as coordinator the signature. */
static void
gave(struct siege *s, unsigned i, const uint8_t hash[32])
{
    struct siege_req *q = find(s, hash);

    s->r->shares++;
    if (!q) {
        violation(s, "party %u gave a share for bytes that are nobody's request", i);
        return;
    }
    const char *why = siege_judge(q, s->c.wall_ms);
    if (why) {
        violation(s, "party %u gave a share for a request although %s: %.*s", i, why, 80,
                  strstr(q->body, "\"items\"") ? strstr(q->body, "\"items\"") : q->body);
        return;
    }
    for (size_t k = 0; k < s->n_req; k++) {
        const struct siege_req *o = s->req[k];
        if (o != q && !o->raw && o->who == q->who && (o->taken >> (i - 1) & 1) &&
            strcmp(o->id, q->id) == 0 && !q->raw &&
            s->c.wall_ms < o->expires + QR_CLOCK_SKEW_MS) { /* an id is free again after that */
            violation(s, "party %u gave shares for two bodies of one id", i);
        }
    }
    q->taken |= (uint8_t)(1u << (i - 1));
    if (!q->counted) {
        account(s, q);
    }
}

static void
listen(void *ctx, struct wiretap *w, struct wire_msg *m)
{
    struct siege *s = ctx;

    (void)w;
    if (m->type != QR_MSG_SIGN_SHARE) {
        return;
    }
    if (m->from != CORRUPT && m->len > 6 && qr_get16(m->p + 4) == 0) {
        gave(s, m->from, m->sid);
    }
    m->drop |= s->mute;
}

/* Any answer with signatures, whoever coordinated: it must be the request's, and verify. */
static void
check_answer(struct siege *s, unsigned at, const struct qr_answer *a)
{
    qr_pt p, child;
    qr_fq tweak;
    uint8_t cc[32];

    if (a->error != QR_OK || !a->is_signed) {
        s->r->errors++;
        s->r->by_error[a->error < 1024 ? a->error : 0]++;
        return;
    }
    s->r->answers++;
    if (at != CORRUPT) {
        gave(s, at, a->sgn.request);
    }
    const struct siege_req *q = find(s, a->sgn.request);
    if (!q) {
        violation(s, "a signature for bytes that are nobody's request");
        return;
    }
    if (a->sgn.n_sigs != q->n_items || memcmp(a->sgn.key, s->pk[q->key], 33) != 0) {
        violation(s, "another key or number of signatures than was asked for");
        return;
    }
    QR_ASSERT(qr_pt_parse(&p, s->pk[q->key]) == QR_OK);
    child = p;
    if (q->depth) {
        size_t k = 0;
        const struct qr_key *key = qr_state_find_key(s->c.p[1].party, s->pk[q->key], &k);
        QR_ASSERT(qr_derive(&p, key->pub.cc, q->path, q->depth, &child, &tweak, cc) == QR_OK);
    }
    for (size_t i = 0; i < q->n_items; i++) {
        if (memcmp(a->sgn.sigs[i].digest, q->item[i].digest, 32) != 0) {
            violation(s, "another digest was signed than was asked for");
        } else if (qr_ecdsa_verify(&child, q->item[i].digest, a->sgn.sigs[i].rs) != QR_OK) {
            violation(s, "a signature that does not verify");
        }
    }
}

/* ---- handing over ------------------------------------------------------------------------ */

/* The gateway shows what it has: an approval counts for its own request alone. */
static void
note_shown(struct siege *s, const struct siege_try *t)
{
    uint8_t hash[32];

    if (qr_request_hash(qr_view_str(s->body), hash) != QR_OK) {
        return;
    }
    struct siege_req *q = find(s, hash);
    if (q) {
        q->mole |= t->by_mole;
    }
    for (size_t i = 0; q && i < s->n_stamps; i++) {
        for (unsigned a = 0; a < SIEGE_APPROVERS; a++) {
            if ((q->approved >> a & 1) && strcmp(s->stamp[i], q->approval[a]) == 0) {
                q->shown |= 1u << a;
            }
        }
    }
}

static uint64_t
ask(struct siege *s, unsigned at)
{
    struct qr_ask a = {.what = QR_ASK_SIGN, .n_stamps = s->n_stamps};

    a.body = qr_view_str(s->body);
    for (size_t i = 0; i < s->n_stamps; i++) {
        a.stamps[i] = qr_view_str(s->stamp[i]);
    }
    return cluster_ask(&s->c, at, 0, &a);
}

static void
hear(struct siege *s, unsigned at, uint64_t id)
{
    const struct qr_answer *a = cluster_wait(&s->c, id, 2500);
    if (a) {
        check_answer(s, at, a);
    }
}

/* As party 2, with presignatures that it owns together with the receiver. */
static void
straight(struct siege *s, const struct siege_try *t)
{
    static uint8_t buf[QR_CTL_SIGN_MAX];
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    struct qr_party *p = s->c.p[CORRUPT].party;
    uint8_t ids[SIEGE_ITEMS][QR_PRESIG_ID_LEN];
    struct qr_pool_id pool = {.owner = CORRUPT,
                              .set_mask = (uint16_t)(1u << (CORRUPT - 1) | 1u << (t->at - 1))};
    struct qr_ctl_sign m = {.attempt = 1,
                            .set_mask = pool.set_mask,
                            .n = t->n,
                            .presig_ids = ids[0],
                            .body = qr_view_str(s->body),
                            .n_stamps = s->n_stamps};

    memcpy(pool.key_id, p->key[t->key].key->pub.key_id, 32);
    if (qr_pool_choose(p->pool, &pool, t->n, ids) != QR_OK) {
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        qr_err e = qr_pool_take(p->pool, &pool, ids[i], p->presig_tmp);
        QR_ASSERT(e == QR_OK);
    }
    for (size_t i = 0; i < s->n_stamps; i++) {
        m.stamp[i] = qr_view_str(s->stamp[i]);
    }
    qr_ctl_put_sign(&b, &m);
    wiretap_say(&s->w, CORRUPT, (uint16_t)t->at, QR_MSG_SIGN_REQUEST, p->key[0].key->pub.epoch,
                t->sid, qr_buf_view(&b));
    p->pool_want = 1;
    for (int k = 0; k < 4; k++) {
        cluster_turn(&s->c);
    }
}

static void
load(struct siege *s, unsigned at, const char *doc, int must)
{
    struct qr_ask a = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_POLICY, .n_stamps = 1};

    a.body = qr_view_str(doc);
    a.stamps[0] = cluster_stamp(s->c.admin, doc, 0);
    const struct qr_answer *r = cluster_answer(&s->c, cluster_ask(&s->c, at, 1, &a));
    QR_ASSERT(r != NULL);
    if (must && r->error != QR_OK) {
        fail_msg("the siege's policy: %.*s", (int)r->detail.len, (const char *)r->detail.p);
    }
}

static void
hand_over(struct siege *s, const struct siege_try *t)
{
    uint64_t id[4] = {0};

    note_shown(s, t);
    switch (t->way) {
    case WAY_DIRECT:
        straight(s, t);
        return;
    case WAY_POLICY:
        load(s, t->at, s->old_policy, 0);
        break;
    case WAY_ALL:
        for (unsigned i = 1; i <= 3; i++) {
            id[i] = ask(s, i);
        }
        for (unsigned i = 1; i <= 3; i++) {
            hear(s, i, id[i]);
        }
        return;
    case WAY_WITHHOLD:
        s->mute = 1;
        id[0] = ask(s, t->at);
        for (int k = 0; k < 6; k++) {
            cluster_turn(&s->c);
        }
        s->mute = 0;
        id[1] = ask(s, 1 + t->at % 3);
        hear(s, 1 + t->at % 3, id[1]);
        hear(s, t->at, id[0]);
        return;
    case WAY_ASK:
        break;
    }
    hear(s, t->at, ask(s, t->at));
}

/* ---- the world --------------------------------------------------------------------------- */

/* So much time passes for all; links stay up. */
static void
let_pass(struct siege *s, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < 500 ? ms : 500;
        cluster_jump(&s->c, step * MS, 3);
        ms -= step;
    }
}

static int
stocked(struct cluster *c, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= c->n; i++) {
        if (qr_batch_running(c->p[i].party) != 0) {
            return 0;
        }
    }
    return cluster_linked(c, NULL);
}

static void
begin(struct siege *s, const char *seed)
{
    static struct cluster_how how;
    static const enum qr_scheme schemes[SIEGE_KEYS] = {
        QR_SCHEME_P256, QR_SCHEME_ED25519, QR_SCHEME_SECP256K1, QR_SCHEME_P256, QR_SCHEME_P256};
    static const enum qr_scheme by[SIEGE_APPROVERS] = {QR_SCHEME_P256, QR_SCHEME_ED25519,
                                                       QR_SCHEME_P256};

    how = (struct cluster_how){.mem = qr_link_mem_net_new()};
    QR_ASSERT(how.mem != NULL);
    qr_testrng_seed(&s->rng, seed);
    cluster_start_as(&s->c, 3, &how);
    wiretap_on(&s->w, &s->c, listen, s);
    for (unsigned i = 0; i < SIEGE_KEYS; i++) {
        stamper_new(&s->who[i], schemes[i]);
    }
    for (unsigned i = 0; i < SIEGE_APPROVERS; i++) {
        stamper_new(&s->approver[i], by[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        cluster_keygen(&s->c, 2, s->pk[i]);
    }
    siege_policy(s, 1, s->old_policy, sizeof s->old_policy);
    siege_policy(s, 0, s->policy, sizeof s->policy);
    for (unsigned i = 1; i <= 3; i++) {
        struct qr_party_cfg *cfg = &s->c.p[i].party->cfg;
        cfg->pool_low = 16;
        cfg->pool_high = 32;
        cfg->pool_standby = 16;
        cfg->batch = 16;
        load(s, i, s->old_policy, 1);
        load(s, i, s->policy, 1);
    }
    if (!cluster_until(&s->c, 20000, stocked, NULL)) {
        fail_msg("no presignatures were made");
    }
}

static void
end(struct siege *s)
{
    const struct cluster_how *how = s->c.how;

    wiretap_off(&s->w);
    cluster_stop(&s->c);
    qr_link_mem_net_free(how->mem);
    for (size_t i = 0; i < s->n_req; i++) {
        qr_free(s->req[i]);
    }
    qr_free(s->req);
    for (unsigned i = 0; i < SIEGE_KEYS; i++) {
        stamper_free(&s->who[i]);
    }
    for (unsigned i = 0; i < SIEGE_APPROVERS; i++) {
        stamper_free(&s->approver[i]);
    }
    qr_free(s);
}

void
siege_run(const char *seed, size_t attempts, struct siege_report *ret)
{
    struct siege *s = qr_alloc(sizeof *s);
    struct siege_try t;

    QR_ASSERT(s != NULL);
    *ret = (struct siege_report){0};
    s->r = ret;
    begin(s, seed);
    for (unsigned k = 0; k < 8; k++) {
        (void)siege_ask_new(s);
    }
    while (ret->attempts < attempts && !ret->violation[0]) {
        ret->attempts++;
        if (qr_testrng_below(&s->rng, 10) < 4) {
            (void)siege_ask_new(s);
        }
        siege_try_make(s, &t);
        ret->by_move[t.move]++;
        hand_over(s, &t);
        /* No attempt of some seconds crosses the end of a window; a window holds some 300 attempts. */
        uint64_t left = SIEGE_WINDOW_MS - s->c.wall_ms % SIEGE_WINDOW_MS;
        if (left < 8000) {
            let_pass(s, left + 1);
        } else if (qr_testrng_below(&s->rng, 500) == 0) {
            let_pass(s, 1500 + qr_testrng_below(&s->rng, (size_t)left - 5000));
        }
    }
    end(s);
}
