/*
 * Evidence, from the party's side: made for the transport, judged by the policy in force, counted
 * against the quorum's constraints. How it ages, and the time, are in party_stage.c.
 */
#include "daemon/party_int.h"

#include <stdio.h>

#define SELF_RETRY (10 * SECOND)
#define MEMORY_RETRY SECOND            /* after a call that found no memory */
#define FLOOR_STEP_MS INT64_C(3600000) /* the floor is written down when it has risen so far */
#define MEMORY "fresh"                 /* the record's name */

/* ---- judging ----------------------------------------------------------------------------- */

/* Nothing is wrong with the process: something about it is too old, or not yet in force. */
static int
is_age(enum qr_reason r)
{
    return r == QR_REASON_COLLATERAL_MISSING || r == QR_REASON_COLLATERAL_EXPIRED ||
           r == QR_REASON_COLLATERAL_ROLLBACK || r == QR_REASON_EXPIRED ||
           r == QR_REASON_NOT_YET_VALID || r == QR_REASON_STALE;
}

/* Evidence of a member against the policy in force; judged at `at_ms`, which tolerance puts back. */
static qr_err
judge(struct qr_party *p, uint16_t index, enum qr_platform platform, qr_view evidence,
      const uint8_t binder[32], int64_t at_ms, struct qr_claims *ret,
      struct qr_peers_domain *domain, char *why, size_t cap)
{
    struct qr_attest *a = &p->attest;
    const struct qr_peers *peers = qr_policy_peers(p->policy);
    const struct qr_roster_party *r = &p->roster->party[index - 1];
    struct qr_peers_who who = {index, r->cloud, r->operator_name};
    struct qr_verify_opts o = {.seen = &a->memory.marks};
    int sim = platform == QR_PLATFORM_SIM;

    qr_peers_verify_opts(peers, &o);
    o.roots = p->env.roots;
    o.now_ms = at_ms;
    o.links = &a->links;
    QR_TRY(qr_tee_verify(platform, evidence, binder, &o, &a->verdict, &a->found, ret, why, cap));
    qr_err e = qr_peers_judge(peers, sim ? QR_EV_NONE : (enum qr_evidence_kind)platform, sim, &who,
                              a->clock.now_ms, &a->verdict, domain);
    if (e != QR_OK) {
        (void)snprintf(why, cap, "%s",
                       a->verdict.sentence[0] ? a->verdict.sentence : qr_err_text(e));
    }
    return e;
}

/* The constraints with all who are connected, ourselves, and `joins` (0: nobody) as it would be. */
static qr_err
check_quorum(const struct qr_party *p, uint16_t joins, const struct qr_peers_domain *as, char *why,
             size_t cap)
{
    const struct qr_attest *a = &p->attest;
    struct qr_peers_domain d[QR_MAX_PARTIES];
    size_t n = 0;

    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (as && i == joins) {
            d[n++] = *as;
        } else if (i == p->self ? a->self_known : a->peer[i].known && qr_net_is_up(p->net, i)) {
            d[n++] = i == p->self ? a->self_domain : a->peer[i].domain;
        }
    }
    return qr_peers_quorum(qr_policy_peers(p->policy), d, n, why, cap);
}

static void
watch_quorum(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    char why[QR_SENTENCE_MAX] = "";
    int broken = p->net && check_quorum(p, 0, NULL, why, sizeof why) != QR_OK;

    if (broken != a->quorum_broken) {
        qr_party_log(broken ? QR_LOG_ERROR : QR_LOG_INFO, "quorum_constraint", 0, "%s",
                     broken ? why : "the quorum's constraints hold again");
    }
    a->quorum_broken = broken;
    (void)snprintf(a->quorum_why, sizeof a->quorum_why, "%s", why);
}

/* What believed evidence teaches about the newest collateral; a change is worth a record. */
static void
learn(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    uint8_t was[QR_FRESH_MEMORY_MAX], is[QR_FRESH_MEMORY_MAX];
    struct qr_buf before = qr_buf_over(was, sizeof was), after = qr_buf_over(is, sizeof is);

    if (a->found.marks.n == 0) {
        return;
    }
    qr_fresh_memory_encode(&a->memory, &before);
    if (!qr_marks_merge(&a->memory.marks, &a->found.marks)) {
        qr_party_log(QR_LOG_WARN, "marks_full", 0,
                     "more than %u subjects of collateral: new ones are not remembered",
                     QR_MARKS_MAX);
    }
    qr_fresh_memory_encode(&a->memory, &after);
    a->memory_grew |= before.len != after.len || memcmp(was, is, before.len) != 0;
}

/* ---- ourselves --------------------------------------------------------------------------- */

/* What the platform signs of the time counts as a vendor's date does: it can only be too old. */
static int64_t
signed_time(const struct qr_party *p, int64_t issued_ms)
{
    const struct qr_tee *t = p->env.tee;
    int64_t now = -1;

    if (!t->profile->clock_signed || !t->time || t->time(t->ctx, &now) != QR_OK) {
        return issued_ms;
    }
    return now > issued_ms ? now : issued_ms;
}

/*
 * Our own evidence by our own policy: where we stand among the quorum's domains, and a word to our own
 * operator before every peer has refused us. What it is made over is no channel's binder, and it goes
 * nowhere.
 */
static qr_err
judge_self(struct qr_party *p, uint8_t *mem, char *why, size_t cap)
{
    struct qr_attest *a = &p->attest;
    uint8_t nonce[32], binder[32];
    struct qr_buf b = qr_buf_over(mem, QR_EVIDENCE_MAX);
    struct qr_peers_domain d;
    struct qr_claims c;

    qr_rng_fill(&p->env.rng, nonce, sizeof nonce);
    qr_th(QR_TAG_SELF_CHECK, QR_FIELDS(QR_F(p->boot_nonce, 32), QR_F(nonce, 32)), binder);
    qr_err e = p->env.tee->evidence(p->env.tee->ctx, binder, &b);
    e = e == QR_OK ? b.err : e;
    if (e != QR_OK) {
        (void)snprintf(why, cap, "the platform (%s) makes no evidence: %s",
                       qr_platform_name(p->env.tee->platform), qr_tee_why(p->env.tee, e));
        return e;
    }
    QR_TRY(judge(p, p->self, p->env.tee->platform, qr_buf_view(&b), binder, a->clock.now_ms, &c, &d,
                 why, cap));
    a->self_known = 1;
    a->self = c;
    a->self_domain = d;
    a->self_end_ms = a->found.earliest_end_ms;
    learn(p);
    qr_qtime_issued(&a->time, p->self, signed_time(p, a->found.latest_issue_ms));
    return QR_OK;
}

static void
check_self(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    char why[QR_ERR_TEXT_MAX] = "";
    uint8_t *mem = qr_alloc(QR_EVIDENCE_MAX);
    qr_err e = mem ? judge_self(p, mem, why, sizeof why) : QR_ERR_NO_MEMORY;

    qr_free(mem);
    a->self_at = p->now + (e == QR_OK              ? qr_times(p)->reattest_ms * MS
                           : e == QR_ERR_NO_MEMORY ? MEMORY_RETRY
                                                   : SELF_RETRY);
    if (e != QR_OK && (!a->self_failed || strcmp(why, a->self_why) != 0)) {
        qr_party_log(QR_LOG_ERROR, "own_evidence", p->self,
                     "our own evidence does not pass the policy in force; peers will refuse it: %s",
                     why[0] ? why : qr_err_text(e));
    } else if (e == QR_OK && a->self_failed) {
        qr_party_log(QR_LOG_INFO, "own_evidence", p->self, "our own evidence passes the policy");
    }
    a->self_failed = e != QR_OK;
    (void)snprintf(a->self_why, sizeof a->self_why, "%s", why);
}

/* ---- the transport's questions ------------------------------------------------------------ */

qr_err
qr_attest_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct qr_party *p = ctx;
    return p->env.tee->evidence(p->env.tee->ctx, binder, out);
}

/* Judges; evidence of which only the collateral has run out, a second time as of before it did. */
static qr_err
judge_peer(struct qr_party *p, uint16_t peer, enum qr_platform platform,
           const uint8_t boot_nonce[32], qr_view evidence, const uint8_t binder[32],
           struct qr_claims *ret, struct qr_peers_domain *domain, char *why, size_t cap)
{
    struct qr_attest *a = &p->attest;
    int64_t now = a->clock.now_ms;
    int64_t tolerance = (int64_t)qr_fresh_tolerance_ms(&a->fresh, qr_times(p), peer, boot_nonce);
    qr_err e = judge(p, peer, platform, evidence, binder, now, ret, domain, why, cap);

    if (e == QR_ERR_ATTESTATION && a->verdict.reason == QR_REASON_COLLATERAL_EXPIRED &&
        tolerance > 0 && now > tolerance) {
        e = judge(p, peer, platform, evidence, binder, now - tolerance, ret, domain, why, cap);
    }
    return e == QR_ERR_ATTESTATION && is_age(a->verdict.reason) ? QR_ERR_STALE : e;
}

/*
 * A process that is new here, while the clocks are too far apart to say what time it is: it comes in if
 * its evidence is good at both ends of what the time may be, so that their quarrel does not matter.
 */
static qr_err
judge_at_both_ends(struct qr_party *p, uint16_t peer, enum qr_platform platform, qr_view evidence,
                   const uint8_t binder[32], struct qr_claims *ret, struct qr_peers_domain *domain,
                   char *why, size_t cap)
{
    const struct qr_qtime_now *t = &p->attest.clock;
    int64_t first = t->lower_ms < t->upper_ms ? t->lower_ms : t->upper_ms;
    int64_t last = t->lower_ms < t->upper_ms ? t->upper_ms : t->lower_ms;
    char apart[24], text[QR_SENTENCE_MAX] = "";

    qr_err e = judge(p, peer, platform, evidence, binder, first, ret, domain, text, sizeof text);
    if (e == QR_OK) {
        e = judge(p, peer, platform, evidence, binder, last, ret, domain, text, sizeof text);
    }
    if (e == QR_ERR_ATTESTATION && is_age(p->attest.verdict.reason)) {
        qr_duration_text(t->apart_ms, apart);
        (void)snprintf(why, cap, "the parties' clocks are %s apart, and it matters here: %s", apart,
                       text);
        return QR_ERR_STALE;
    }
    (void)snprintf(why, cap, "%s", text);
    return e;
}

qr_err
qr_attest_verify(void *ctx, uint16_t peer, enum qr_platform platform, const uint8_t boot_nonce[32],
                 qr_view evidence, const uint8_t binder[32], struct qr_claims *ret, char *why,
                 size_t cap)
{
    struct qr_party *p = ctx;
    struct qr_attest *a = &p->attest;
    struct qr_attest_peer *s = &a->peer[peer];
    struct qr_peers_domain domain;
    enum qr_platform told = p->roster->party[peer - 1].platform;
    struct qr_claims c;

    if (platform != told) {
        (void)snprintf(why, cap, "the roster says party %u runs on %s, its evidence says %s", peer,
                       qr_platform_name(told), qr_platform_name(platform));
        return QR_ERR_ATTESTATION;
    }
    qr_stage_read_clocks(p);
    int is_new = !qr_fresh_knows(&a->fresh, peer, boot_nonce);
    if (is_new) {
        QR_TRY(qr_stage_may_enter(p, why, cap));
    }
    if (is_new && !a->clock.agree) {
        QR_TRY(judge_at_both_ends(p, peer, platform, evidence, binder, &c, &domain, why, cap));
    } else {
        QR_TRY(judge_peer(p, peer, platform, boot_nonce, evidence, binder, &c, &domain, why, cap));
    }
    struct qr_tpmlife tpm;
    qr_tpmlife_of(&a->verdict.claims, &tpm);
    if (!is_new) {
        QR_TRY(qr_tpmlife_follows(&s->tpm, &tpm, why, cap));
    }
    QR_TRY(check_quorum(p, peer, &domain, why, cap));
    s->next = domain;
    s->next_tpm = tpm;
    s->next_end_ms = a->found.earliest_end_ms;
    memcpy(s->next_boot, boot_nonce, 32);
    learn(p);
    qr_audit_evidence(p, peer, evidence);
    qr_qtime_issued(&a->time, peer, a->found.latest_issue_ms);
    *ret = c;
    return QR_OK;
}

/* ---- what follows ------------------------------------------------------------------------ */

/* Chained: the host cannot give back an older record without the peers' noticing. */
static void
save_memory(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    uint8_t rec[QR_FRESH_MEMORY_MAX];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);

    if (a->time.floor_ms >= 0 && a->saved_floor_ms < 0) {
        a->saved_floor_ms = a->time.floor_ms; /* worth a record when it has risen from here */
    }
    if (!a->memory_grew && a->time.floor_ms < a->saved_floor_ms + FLOOR_STEP_MS) {
        return;
    }
    a->memory_grew = 0;
    a->memory.floor_ms = a->saved_floor_ms = a->time.floor_ms;
    qr_fresh_memory_encode(&a->memory, &b);
    qr_err e = qr_state_put(p, QR_TABLE_META, MEMORY, qr_buf_view(&b));
    (void)e; /* the party has stopped signing and said so */
}

void
qr_attest_up(struct qr_party *p, const struct qr_peer_info *info)
{
    struct qr_attest *a = &p->attest;
    struct qr_attest_peer *s = &a->peer[info->index];

    if (memcmp(s->next_boot, info->boot_nonce, 32) == 0) {
        s->known = 1;
        s->domain = s->next;
        s->tpm = s->next_tpm;
        qr_fresh_accepted(&a->fresh, info->index, info->boot_nonce, qr_mono_ms(p), s->next_end_ms);
    }
    qr_stage_tell(p, info->index);
    qr_stage_watch_ages(p);
    watch_quorum(p);
}

void
qr_attest_tick(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;

    qr_stage_watch_clocks(p);
    if (p->now >= a->self_at) {
        check_self(p);
    }
    qr_stage_watch_ages(p);
    qr_stage_tell_all(p);
    save_memory(p);
}

const uint8_t *
qr_attest_measurement(const struct qr_party *p)
{
    return p->attest.self_known ? p->attest.self.measurement : p->env.tee->measurement;
}

/* ---- gates ------------------------------------------------------------------------------- */

qr_err
qr_attest_may_keygen(const struct qr_party *p, char *why, size_t cap)
{
    const struct qr_attest *a = &p->attest;

    if (!a->self_known || a->quorum_broken) {
        (void)snprintf(why, cap, "%s", a->self_known ? a->quorum_why : a->self_why);
        return QR_ERR_ATTESTATION;
    }
    if (!a->clock.agree) {
        (void)snprintf(why, cap, "no new keys while the parties' clocks disagree");
        return QR_ERR_STALE;
    }
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && a->peer[i].stage >= QR_FRESH_NO_KEYS) {
            char age[24];
            qr_duration_text(a->peer[i].age_ms, age);
            (void)snprintf(why, cap, "no new keys: evidence of party %u was not renewed for %s", i,
                           age);
            return QR_ERR_STALE;
        }
    }
    return QR_OK;
}

/* A look at two words: it stands in the way of every signature. */
qr_err
qr_attest_may_sign(const struct qr_party *p, uint16_t mask)
{
    if (p->attest.quorum_broken) {
        return QR_ERR_ATTESTATION;
    }
    return mask & p->attest.stopped ? QR_ERR_STALE : QR_OK;
}

#define SHOW_BURST 16u
#define SHOW_EVERY (SECOND / 2)

qr_err
qr_attest_may_show(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    uint64_t back = (p->now - a->shown_at) / SHOW_EVERY;

    if (p->env.tee->insecure) {
        return QR_OK;
    }
    if (back >= a->shown) {
        a->shown = 0;
        a->shown_at = p->now;
    } else {
        a->shown -= (unsigned)back;
        a->shown_at += back * SHOW_EVERY;
    }
    if (a->shown >= SHOW_BURST) {
        return QR_ERR_RATE_LIMITED;
    }
    a->shown++;
    return QR_OK;
}

/* ---- beginnings -------------------------------------------------------------------------- */

qr_err
qr_attest_open(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    uint8_t rec[QR_FRESH_MEMORY_MAX];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);

    a->memory.floor_ms = a->saved_floor_ms = -1;
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, MEMORY, &b);
    if (e == QR_ERR_NOT_FOUND) {
        return QR_OK;
    }
    QR_TRY(e);
    if (qr_fresh_memory_decode(qr_buf_view(&b), &a->memory) != QR_OK) {
        return QR_ERR_STORE_CORRUPT;
    }
    a->saved_floor_ms = a->memory.floor_ms;
    return QR_OK;
}

/* Nothing is known of anybody; what was sure of the time and of collateral stays. */
void
qr_attest_start(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    int64_t floor = a->time.floor_ms > a->memory.floor_ms ? a->time.floor_ms : a->memory.floor_ms;

    memset(a->peer, 0, sizeof a->peer);
    memset(&a->fresh, 0, sizeof a->fresh);
    a->self_known = a->self_failed = a->quorum_broken = 0;
    a->self_why[0] = '\0';
    a->links = (struct qr_links){0};
    qr_stage_start(p, floor);
    check_self(p);
}

static uint64_t
ns(uint64_t ms)
{
    return ms > UINT64_MAX / MS ? UINT64_MAX : ms * MS;
}

/* Lines are closed only after signing has stopped: until then the stages speak. */
void
qr_attest_ages(const struct qr_party *p, uint64_t *ret_reattest_ns, uint64_t *ret_evidence_ns)
{
    const struct qr_peers_times *t = qr_times(p);
    uint64_t end = t->stop_ms + t->reattest_ms;

    *ret_reattest_ns = ns(t->reattest_ms);
    *ret_evidence_ns = ns(end > t->stop_ms ? end : UINT64_MAX);
}

void
qr_attest_policy(struct qr_party *p)
{
    uint64_t reattest, evidence;

    qr_attest_ages(p, &reattest, &evidence);
    p->attest.self_known = 0; /* by the policy that was */
    check_self(p);
    qr_net_set_policy(p->net, qr_policy_hash(p->policy), qr_policy_serial(p->policy), reattest,
                      evidence);
}
