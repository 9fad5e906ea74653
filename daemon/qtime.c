#include "daemon/qtime.h"

#include <stddef.h>

/* 9999-12-31T23:59:59Z in milliseconds: later dates are nobody's clock. */
#define LATEST_MS INT64_C(253402300799000)
#define WITNESSES (2 * QR_MAX_PARTIES)

void
qr_qtime_init(struct qr_qtime *q, uint16_t self, int64_t floor_ms)
{
    *q = (struct qr_qtime){.self = self, .floor_ms = floor_ms};
    for (size_t i = 0; i <= QR_MAX_PARTIES; i++) {
        q->party[i].issued_ms = -1;
    }
}

void
qr_qtime_told(struct qr_qtime *q, uint16_t party, uint64_t wall_ms, uint64_t mono_ms)
{
    if (party < 1 || party > QR_MAX_PARTIES || wall_ms > (uint64_t)LATEST_MS) {
        return;
    }
    q->party[party].known = 1;
    q->party[party].wall_ms = (int64_t)wall_ms;
    q->party[party].mono_ms = mono_ms;
}

void
qr_qtime_jumped(struct qr_qtime *q)
{
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        q->party[i].known &= i == q->self;
    }
}

void
qr_qtime_issued(struct qr_qtime *q, uint16_t party, int64_t issued_ms)
{
    if (party >= 1 && party <= QR_MAX_PARTIES && issued_ms <= LATEST_MS &&
        issued_ms > q->party[party].issued_ms) {
        q->party[party].issued_ms = issued_ms;
    }
}

/* What this party's clock shows by now. */
static int64_t
clock_of(const struct qr_qtime *q, uint16_t party, uint64_t mono_ms)
{
    int64_t wall = q->party[party].wall_ms;
    uint64_t since = mono_ms > q->party[party].mono_ms ? mono_ms - q->party[party].mono_ms : 0;

    return since > (uint64_t)(LATEST_MS - wall) ? LATEST_MS : wall + (int64_t)since;
}

static int
is_old(const struct qr_qtime *q, uint16_t party, uint64_t mono_ms)
{
    return mono_ms > q->party[party].mono_ms &&
           mono_ms - q->party[party].mono_ms > QR_QTIME_KEEP_MS;
}

/* Insertion, ascending: a few dozen values. */
static void
insert(int64_t *v, size_t *n, int64_t x)
{
    size_t i = (*n)++;

    for (; i > 0 && v[i - 1] > x; i--) {
        v[i] = v[i - 1];
    }
    v[i] = x;
}

static int64_t
within(int64_t x, int64_t lower, int64_t upper)
{
    x = x < upper ? x : upper;
    return x > lower ? x : lower; /* when the bounds contradict, the lower one is the surer */
}

void
qr_qtime_read(struct qr_qtime *q, uint16_t t, uint64_t mono_ms, uint64_t spread_ms,
              struct qr_qtime_now *ret)
{
    int64_t clock[QR_MAX_PARTIES], witness[WITNESSES];
    size_t n_clocks = 0, n_witnesses = 0;
    struct qr_qtime_now r = {.lower_ms = -1, .upper_ms = INT64_MAX, .agree = 1};

    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (q->party[i].known && !is_old(q, i, mono_ms)) {
            insert(clock, &n_clocks, clock_of(q, i, mono_ms));
            insert(witness, &n_witnesses, clock_of(q, i, mono_ms));
        }
        if (q->party[i].issued_ms >= 0) {
            insert(witness, &n_witnesses, q->party[i].issued_ms);
        }
    }
    if (t >= 1 && n_witnesses >= t) {
        r.lower_ms = witness[n_witnesses - t];
    }
    if (t >= 1 && n_clocks >= t) {
        r.upper_ms = clock[t - 1];
        r.apart_ms =
            (uint64_t)(r.upper_ms > r.lower_ms ? r.upper_ms - r.lower_ms : r.lower_ms - r.upper_ms);
        r.agree = r.apart_ms <= spread_ms;
    }
    q->floor_ms = r.lower_ms > q->floor_ms ? r.lower_ms : q->floor_ms;
    int64_t own = q->party[q->self].known ? clock_of(q, q->self, mono_ms) : q->floor_ms;
    r.now_ms = within(own, q->floor_ms, r.upper_ms);
    *ret = r;
}
