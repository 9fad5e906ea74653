#include "daemon/fresh.h"

#include <string.h>

#define MEMORY_VERSION 1u

const char *
qr_fresh_stage_name(enum qr_fresh_stage s)
{
    static const char *const name[QR_FRESH_STAGES] = {"ok", "warn", "no-peers", "no-keys", "stop"};
    return (unsigned)s < QR_FRESH_STAGES ? name[s] : "unknown";
}

const char *
qr_fresh_stage_means(enum qr_fresh_stage s)
{
    static const char *const text[QR_FRESH_STAGES] = {
        "", "a warning only", "no new peers", "no new peers and no new keys", "no signatures"};
    return (unsigned)s < QR_FRESH_STAGES ? text[s] : "";
}

void
qr_fresh_accepted(struct qr_fresh *f, uint16_t peer, const uint8_t boot[static 32],
                  uint64_t mono_ms, int64_t end_ms)
{
    f->peer[peer].known = 1;
    memcpy(f->peer[peer].boot, boot, 32);
    f->peer[peer].ok_ms = mono_ms;
    f->peer[peer].end_ms = end_ms;
}

int
qr_fresh_knows(const struct qr_fresh *f, uint16_t peer, const uint8_t boot[static 32])
{
    return f->peer[peer].known && memcmp(f->peer[peer].boot, boot, 32) == 0;
}

uint64_t
qr_fresh_age_ms(const struct qr_fresh *f, uint16_t peer, uint64_t mono_ms, int64_t now_ms)
{
    uint64_t ok = f->peer[peer].ok_ms;
    int64_t end = f->peer[peer].end_ms;

    if (!f->peer[peer].known) {
        return 0;
    }
    uint64_t silent = mono_ms > ok ? mono_ms - ok : 0;
    uint64_t overdue = now_ms >= 0 && end >= 0 && now_ms > end ? (uint64_t)(now_ms - end) : 0;
    return silent > overdue ? silent : overdue;
}

/* The thresholds in order of the stages they begin. */
static void
limits(const struct qr_peers_times *t, uint64_t out[static QR_FRESH_STAGES])
{
    out[QR_FRESH_OK] = 0;
    out[QR_FRESH_WARN] = t->warn_ms;
    out[QR_FRESH_NO_PEERS] = t->no_peers_ms;
    out[QR_FRESH_NO_KEYS] = t->no_keys_ms;
    out[QR_FRESH_STOP] = t->stop_ms;
}

enum qr_fresh_stage
qr_fresh_stage(const struct qr_peers_times *t, uint64_t age_ms)
{
    uint64_t at[QR_FRESH_STAGES];
    int s = QR_FRESH_STOP;

    limits(t, at);
    while (s > QR_FRESH_OK && age_ms < at[s]) {
        s--;
    }
    return (enum qr_fresh_stage)s;
}

uint64_t
qr_fresh_next_ms(const struct qr_peers_times *t, uint64_t age_ms)
{
    uint64_t at[QR_FRESH_STAGES];
    enum qr_fresh_stage s = qr_fresh_stage(t, age_ms);

    limits(t, at);
    return s == QR_FRESH_STOP ? UINT64_MAX : at[s + 1];
}

uint64_t
qr_fresh_party_age_ms(const struct qr_fresh *f, uint16_t up_mask, uint16_t t, uint64_t mono_ms,
                      int64_t now_ms)
{
    uint64_t age[QR_MAX_PARTIES];
    size_t n = 0;

    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (up_mask >> (i - 1) & 1) {
            uint64_t a = qr_fresh_age_ms(f, i, mono_ms, now_ms);
            size_t k = n++;
            for (; k > 0 && age[k - 1] > a; k--) {
                age[k] = age[k - 1];
            }
            age[k] = a;
        }
    }
    if (n == 0) {
        return 0;
    }
    size_t need = t > 1 ? (size_t)t - 1 : 1;
    return age[(need < n ? need : n) - 1];
}

uint64_t
qr_fresh_tolerance_ms(const struct qr_fresh *f, const struct qr_peers_times *t, uint16_t peer,
                      const uint8_t boot[static 32])
{
    uint64_t grace = t->collateral_grace_ms;

    return qr_fresh_knows(f, peer, boot) && t->stop_ms > grace ? t->stop_ms : grace;
}

void
qr_fresh_memory_encode(const struct qr_fresh_memory *m, struct qr_buf *out)
{
    qr_buf_put8(out, MEMORY_VERSION);
    qr_buf_put64(out, (uint64_t)m->floor_ms);
    qr_buf_put16(out, (uint16_t)m->marks.n);
    for (size_t i = 0; i < m->marks.n; i++) {
        const struct qr_collateral_mark *k = &m->marks.mark[i];
        qr_buf_put8(out, (uint8_t)k->kind);
        qr_buf_put(out, k->subject, 32);
        qr_buf_put64(out, k->number);
        qr_buf_put64(out, (uint64_t)k->issued_ms);
        qr_buf_put64(out, (uint64_t)k->next_ms);
    }
}

static int64_t
get_date(struct qr_buf *b, int *ret_bad)
{
    int64_t v = (int64_t)qr_buf_get64(b);

    *ret_bad |= v < -1;
    return v;
}

/* 1 if mark i names a subject that stands before it. */
static int
twice(const struct qr_collateral_marks *m, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (m->mark[k].kind == m->mark[i].kind &&
            memcmp(m->mark[k].subject, m->mark[i].subject, 32) == 0) {
            return 1;
        }
    }
    return 0;
}

qr_err
qr_fresh_memory_decode(qr_view in, struct qr_fresh_memory *ret)
{
    struct qr_buf b = qr_buf_read(in);
    struct qr_fresh_memory m = {.floor_ms = -1};
    int bad = 0;
    uint8_t version = qr_buf_get8(&b);

    if (b.err == QR_OK && version != MEMORY_VERSION) {
        return QR_ERR_VERSION;
    }
    m.floor_ms = get_date(&b, &bad);
    m.marks.n = qr_buf_get16(&b);
    if (b.err == QR_OK && m.marks.n > QR_MARKS_MAX) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; b.err == QR_OK && i < m.marks.n; i++) {
        struct qr_collateral_mark *k = &m.marks.mark[i];
        uint8_t kind = qr_buf_get8(&b);
        bad |= kind < QR_COLL_TCB_INFO || kind > QR_COLL_CRL;
        k->kind = (enum qr_collateral_kind)kind;
        qr_buf_get(&b, k->subject, 32);
        k->number = qr_buf_get64(&b);
        k->issued_ms = get_date(&b, &bad);
        k->next_ms = get_date(&b, &bad);
        bad |= twice(&m.marks, i);
    }
    QR_TRY(qr_buf_end(&b));
    if (bad) {
        return QR_ERR_MALFORMED;
    }
    *ret = m;
    return QR_OK;
}
