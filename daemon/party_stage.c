/*
 * What time it is, how old everybody's evidence is, and what may still be done: the clocks of the
 * parties, told to each other every half minute; a stage per peer and one of the party.
 */
#include "daemon/party_int.h"

#include <stdio.h>

#define TIME_EVERY (30 * SECOND) /* a clock is told again so often, */
#define CLOCK_JUMP_MS 1000       /* and at once when it was set */

/* The smallest number of parties that signs with any key; before there is one, the smallest at all. */
static uint16_t
quorum_of(const struct qr_party *p)
{
    uint16_t t = 0;

    for (size_t i = 0; i < p->n_keys; i++) {
        const struct qr_key *k = p->key[i].key;
        if (k->state == QR_KEY_ACTIVE && (t == 0 || k->pub.t < t)) {
            t = k->pub.t;
        }
    }
    return t ? t : QR_MIN_THRESHOLD;
}

static uint16_t
up_mask(const struct qr_party *p)
{
    uint16_t mask = 0;

    for (uint16_t i = 1; p->net && i <= p->roster->n; i++) {
        if (i != p->self && qr_net_is_up(p->net, i)) {
            mask |= (uint16_t)(1u << (i - 1));
        }
    }
    return mask;
}

void
qr_duration_text(uint64_t ms, char out[static 24])
{
    uint64_t s = ms / 1000;

    if (s >= 2 * 3600) {
        (void)snprintf(out, 24, "%llu h", (unsigned long long)(s / 3600));
    } else if (s >= 120) {
        (void)snprintf(out, 24, "%llu min", (unsigned long long)(s / 60));
    } else {
        (void)snprintf(out, 24, "%llu s", (unsigned long long)s);
    }
}

/* ---- the time ---------------------------------------------------------------------------- */

/* Did our clock and our steady one part since ours was told? Either may have jumped: who knows. */
static int
clock_was_set(const struct qr_party *p)
{
    uint64_t steady = qr_mono_ms(p) - p->attest.told_mono_ms;
    int64_t off = (int64_t)(p->wall_ms - p->attest.told_wall_ms) - (int64_t)steady;

    return off > CLOCK_JUMP_MS || off < -CLOCK_JUMP_MS;
}

void
qr_stage_read_clocks(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;

    if (clock_was_set(p)) {
        qr_qtime_jumped(&a->time);
    }
    qr_qtime_told(&a->time, p->self, p->wall_ms, qr_mono_ms(p));
    qr_qtime_read(&a->time, quorum_of(p), qr_mono_ms(p), qr_times(p)->clock_spread_ms, &a->clock);
}

uint64_t
qr_stage_now_ms(struct qr_party *p)
{
    const struct qr_qtime_now *c = &p->attest.clock;
    uint64_t since = qr_mono_ms(p) - p->started_mono_ms;

    qr_stage_read_clocks(p);
    if (c->lower_ms > 0 && (uint64_t)c->lower_ms > since &&
        (uint64_t)c->lower_ms - since > p->started_ms) {
        p->started_ms = (uint64_t)c->lower_ms - since;
    }
    return c->now_ms > 0 ? (uint64_t)c->now_ms : 0;
}

uint64_t
qr_stage_floor_ms(const struct qr_party *p)
{
    return p->attest.time.floor_ms > 0 ? (uint64_t)p->attest.time.floor_ms : 0;
}

void
qr_stage_tell(struct qr_party *p, uint16_t to)
{
    uint8_t buf[QR_CTL_TIME_LEN], sid[32] = {0};
    struct qr_ctl_time m = {p->wall_ms};
    struct qr_buf b = qr_buf_over(buf, sizeof buf);

    qr_ctl_put_time(&b, &m);
    qr_err e = qr_net_send(p->net, to, QR_MSG_TIME, 0, sid, qr_buf_view(&b));
    (void)e; /* told again in half a minute */
}

void
qr_stage_tell_all(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;

    if (p->now < a->tell_at && !clock_was_set(p)) {
        return;
    }
    a->tell_at = p->now + TIME_EVERY;
    a->told_wall_ms = p->wall_ms;
    a->told_mono_ms = qr_mono_ms(p);
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && qr_net_is_up(p->net, i)) {
            qr_stage_tell(p, i);
        }
    }
}

void
qr_stage_on_time(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_time t;

    struct qr_attest_peer *a = &p->attest.peer[m->from];

    if (qr_ctl_get_time(m->payload, &t) != QR_OK) {
        qr_party_log(QR_LOG_WARN, "time_malformed", m->from, "its time is ignored: malformed");
        return;
    }
    qr_qtime_told(&p->attest.time, m->from, t.wall_ms, qr_mono_ms(p));
    /* Out of turn: a clock of its jumped, so it has forgotten ours. Its answer to this one ends it. */
    if (a->heard_at && p->now - a->heard_at < TIME_EVERY / 2 &&
        (!a->replied_at || p->now - a->replied_at > 100 * MS)) {
        a->replied_at = p->now;
        qr_stage_tell(p, m->from);
    }
    a->heard_at = p->now;
}

/* ---- ages -------------------------------------------------------------------------------- */

/* One line for a change of stage, of a peer or (0) of the party. */
static void
say_stage(struct qr_party *p, uint16_t peer, enum qr_fresh_stage was, enum qr_fresh_stage is,
          uint64_t age_ms)
{
    char age[24], next[24] = "";
    const struct qr_peers_times *t = qr_times(p);
    uint64_t next_ms = qr_fresh_next_ms(t, age_ms);

    if (is == QR_FRESH_OK) {
        qr_party_log(QR_LOG_INFO, "freshness", peer,
                     peer ? "stage ok: its evidence was renewed (stage was %s)"
                          : "stage ok: evidence of a quorum was renewed (stage was %s)",
                     qr_fresh_stage_name(was));
        return;
    }
    qr_duration_text(age_ms, age);
    qr_duration_text(next_ms, next);
    qr_party_log(is == QR_FRESH_WARN ? QR_LOG_WARN : QR_LOG_ERROR, "freshness", peer,
                 "stage %s: %s was not renewed for %s: %s%s%s%s%s", qr_fresh_stage_name(is),
                 peer ? "its evidence" : "evidence of a quorum", age, qr_fresh_stage_means(is),
                 is == QR_FRESH_STOP ? "" : "; at ", is == QR_FRESH_STOP ? "" : next,
                 is == QR_FRESH_STOP ? "" : ": ",
                 is == QR_FRESH_STOP ? "" : qr_fresh_stage_means((enum qr_fresh_stage)(is + 1)));
}

/* Whether connected or not: who comes back comes with evidence. */
static uint16_t
known_mask(const struct qr_party *p)
{
    uint16_t mask = 0;

    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (p->attest.fresh.peer[i].known) {
            mask |= (uint16_t)(1u << (i - 1));
        }
    }
    return mask;
}

void
qr_stage_watch_ages(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    const struct qr_peers_times *t = qr_times(p);
    uint16_t stopped = 0;

    for (uint16_t i = 1; i <= p->roster->n; i++) {
        struct qr_attest_peer *s = &a->peer[i];
        uint64_t age = qr_fresh_age_ms(&a->fresh, i, qr_mono_ms(p), a->clock.now_ms);
        enum qr_fresh_stage is = qr_fresh_stage(t, age);
        if (is != s->stage) {
            say_stage(p, i, s->stage, is, age);
        }
        s->stage = is;
        s->age_ms = age;
        if (is == QR_FRESH_STOP) {
            stopped |= (uint16_t)(1u << (i - 1));
        }
    }
    a->stopped = stopped;
    a->age_ms = qr_fresh_party_age_ms(&a->fresh, known_mask(p), quorum_of(p), qr_mono_ms(p),
                                      a->clock.now_ms);
    enum qr_fresh_stage is = qr_fresh_stage(t, a->age_ms);
    if (is != a->stage) {
        say_stage(p, 0, a->stage, is, a->age_ms);
    }
    a->stage = is;
}

void
qr_stage_watch_clocks(struct qr_party *p)
{
    struct qr_attest *a = &p->attest;
    char apart[24];

    qr_stage_read_clocks(p);
    if (a->clock.agree == a->agreed) {
        return;
    }
    a->agreed = a->clock.agree;
    qr_duration_text(a->clock.apart_ms, apart);
    if (a->agreed) {
        qr_party_log(QR_LOG_INFO, "clocks", 0, "the parties' clocks agree again");
    } else {
        qr_party_log(
            QR_LOG_ERROR, "clocks", 0,
            "the parties' clocks are %s apart: no new keys, and no new peers whose evidence "
            "depends on it, until they are set right; signing goes on",
            apart);
    }
}

/* May a process that we have not seen come in now, whatever it shows? */
qr_err
qr_stage_may_enter(const struct qr_party *p, char *why, size_t cap)
{
    const struct qr_attest *a = &p->attest;
    char age[24];

    if (!a->self_known) {
        (void)snprintf(why, cap, "nobody is let in before our own evidence passes the policy: %s",
                       a->self_why);
        return QR_ERR_STALE;
    }
    /* Of those who are connected: when all are gone, somebody must be the first to come back. */
    uint64_t age_ms =
        qr_fresh_party_age_ms(&a->fresh, up_mask(p), quorum_of(p), qr_mono_ms(p), a->clock.now_ms);
    if (qr_fresh_stage(qr_times(p), age_ms) >= QR_FRESH_NO_PEERS) {
        qr_duration_text(age_ms, age);
        (void)snprintf(why, cap,
                       "no new peers: the evidence of those we have was not renewed for %s", age);
        return QR_ERR_STALE;
    }
    return QR_OK;
}

void
qr_stage_start(struct qr_party *p, int64_t floor_ms)
{
    struct qr_attest *a = &p->attest;

    a->stage = QR_FRESH_OK;
    a->stopped = 0;
    a->agreed = 1;
    a->tell_at = p->now + TIME_EVERY;
    a->told_wall_ms = p->wall_ms;
    a->told_mono_ms = qr_mono_ms(p);
    qr_qtime_init(&a->time, p->self, floor_ms);
    qr_stage_read_clocks(p);
}
