/*
 * Budgets: the record of a store that a host may have changed, and a life of charges, crashes, stores that
 * were rolled back, clocks that lag and policies that are replaced.
 *
 * Oracles: what reads as a record is written again as at most as many bytes, and the same from then on. A
 * charge that was taken is covered by the record as soon as the budget says so. In no window is more
 * taken than the largest share, whatever is restarted from whichever record it had.
 */
#include "daemon/budget.h"
#include "test/fuzz/kit.h"

#define N 3u
#define RECORDS 8u
#define WINDOWS 64u /* of each limit that the model remembers: the last ones */

static struct qr_limit limits[N];

static void
make_limits(void)
{
    static const struct {
        const char *rule;
        enum qr_unit unit;
        uint32_t window_s;
        uint64_t max;
    } is[N] = {{"a", QR_UNIT_REQUESTS, 60, 90},
               {"a", QR_UNIT_WEI, 3600, 1000000},
               {"bb", QR_UNIT_SAT, 600, 7}};

    for (size_t i = 0; i < N; i++) {
        limits[i] = (struct qr_limit){.unit = is[i].unit, .window_s = is[i].window_s};
        (void)snprintf(limits[i].rule, sizeof limits[i].rule, "%s", is[i].rule);
        limits[i].max = qr_u256_of(is[i].max);
    }
}

/* ---- the record alone ---- */

static void
read_record(qr_view v)
{
    struct qr_budget *b = NULL, *same = NULL;
    struct qr_dbuf one, two;

    if (qr_budget_new(limits, N, 2, v, 0, &b) != QR_OK) {
        return;
    }
    qr_dbuf_init(&one, QR_BUDGET_RECORD_MAX);
    qr_dbuf_init(&two, QR_BUDGET_RECORD_MAX);
    FUZZ_MUST(qr_budget_record(b, &one) == QR_OK);
    FUZZ_MUST(v.len == 0 || one.len <= v.len);
    FUZZ_MUST(qr_budget_new(limits, N, 2, qr_view_of(one.p, one.len), 0, &same) == QR_OK);
    FUZZ_MUST(qr_budget_record(same, &two) == QR_OK);
    FUZZ_MUST(qr_view_eq(qr_view_of(one.p, one.len), qr_view_of(two.p, two.len)));
    qr_budget_free(b);
    qr_budget_free(same);
    qr_dbuf_free(&one);
    qr_dbuf_free(&two);
}

/* ---- a life ---- */

struct life {
    struct qr_budget *b;
    int64_t wall_ms, started_ms;
    struct qr_dbuf record[RECORDS]; /* the last ones; [0] is the newest */
    struct {
        int64_t turns_ms;
        uint64_t taken;
    } window[N][WINDOWS];
};

static void
keep_record(struct life *l)
{
    qr_dbuf_free(&l->record[RECORDS - 1]);
    memmove(&l->record[1], &l->record[0], (RECORDS - 1) * sizeof l->record[0]);
    qr_dbuf_init(&l->record[0], QR_BUDGET_RECORD_MAX);
    FUZZ_MUST(qr_budget_record(l->b, &l->record[0]) == QR_OK);
}

/* Counts what was taken, by the window that the budget says it is of. */
static void
count(struct life *l, size_t i, uint64_t amount)
{
    struct qr_budget_state s;

    qr_budget_state(l->b, i, &s);
    size_t at = (size_t)(s.turns_ms / 1000 / limits[i].window_s) % WINDOWS;
    if (l->window[i][at].turns_ms != s.turns_ms) {
        l->window[i][at].turns_ms = s.turns_ms;
        l->window[i][at].taken = 0;
    }
    l->window[i][at].taken += amount;
    FUZZ_MUST(l->window[i][at].taken <= qr_get64(limits[i].max.b + 24));
}

static void
charge(struct life *l, struct fuzz_in *in)
{
    struct qr_charge c[4];
    size_t n = fuzz_u8(in) % 4u;
    uint16_t limit;
    uint64_t retry;
    int write = -1;

    for (size_t i = 0; i < n; i++) {
        c[i].limit = fuzz_u8(in) % N;
        c[i].amount = qr_u256_of(fuzz_u16(in));
    }
    qr_err room = qr_budget_room(l->b, c, n, &limit, &retry);
    qr_err e = qr_budget_take(l->b, c, n, &write);
    FUZZ_MUST(e == room && (e == QR_OK || e == QR_ERR_LIMIT));
    if (e != QR_OK) {
        FUZZ_MUST(limit < N && retry <= 2u * 3600u + 6554u); /* two windows and the longest lag */
        return;
    }
    for (size_t i = 0; i < n; i++) {
        count(l, c[i].limit, qr_get64(c[i].amount.b + 24));
    }
    if (write) {
        keep_record(l);
    }
    /* a process that ends now loses nothing that was taken */
    struct qr_budget *next = NULL;
    FUZZ_MUST(qr_budget_new(limits, N, 1, qr_view_of(l->record[0].p, l->record[0].len), 0, &next) ==
              QR_OK);
    for (size_t i = 0; i < n; i++) {
        struct qr_budget_state now, then;
        qr_budget_state(l->b, c[i].limit, &now);
        qr_budget_state(next, c[i].limit, &then);
        FUZZ_MUST(qr_u256_cmp(&now.used, &then.used) <= 0);
    }
    qr_budget_free(next);
}

/* From the newest record, or from any, shut: as a party does that does not know. */
static void
restart(struct life *l, uint8_t which)
{
    struct qr_dbuf *r = &l->record[which % RECORDS];

    qr_budget_free(l->b);
    l->b = NULL;
    FUZZ_MUST(qr_budget_new(limits, N, 1, qr_view_of(r->p, r->len), which % RECORDS != 0, &l->b) ==
              QR_OK);
    l->started_ms = l->wall_ms;
}

/* Another policy with the same limits, whose divisor may have been forgotten. */
static void
replace(struct life *l)
{
    struct qr_budget *next = NULL;

    FUZZ_MUST(qr_budget_new(limits, N, 1, qr_view_of(NULL, 0), 1, &next) == QR_OK);
    qr_budget_inherit(next, l->b);
    qr_budget_free(l->b);
    l->b = next;
}

static void
live(struct fuzz_in in)
{
    static struct life l;

    memset(&l, 0, sizeof l);
    for (size_t i = 0; i < RECORDS; i++) {
        qr_dbuf_init(&l.record[i], QR_BUDGET_RECORD_MAX);
    }
    l.wall_ms = INT64_C(1795305600000);
    FUZZ_MUST(qr_budget_new(limits, N, 1, qr_view_of(NULL, 0), 0, &l.b) == QR_OK);
    while (in.len > 0) {
        uint8_t op = fuzz_u8(&in);
        int64_t lag = op & 0x80 ? 100 * (int64_t)fuzz_u16(&in) : 0; /* of the lower bound */
        switch (op & 7) {
        case 0:
        case 1:
        case 2:
            charge(&l, &in);
            break;
        case 3:
            l.wall_ms += 100 * (int64_t)fuzz_u16(&in);
            qr_budget_time(l.b, l.wall_ms - lag, l.started_ms);
            break;
        case 4:
            restart(&l, 0); /* nothing was rolled back: it may be open at once */
            qr_budget_time(l.b, l.wall_ms - lag, l.started_ms);
            break;
        case 5:
            restart(&l, (uint8_t)(1u + fuzz_u8(&in) % (RECORDS - 1u)));
            qr_budget_time(l.b, l.wall_ms - lag, l.started_ms);
            break;
        case 6:
            replace(&l);
            break;
        default:
            if (op & 8) {
                qr_budget_divide(l.b, 1u + op % 4u);
            } else if (op & 16) {
                qr_budget_fail(l.b);
                FUZZ_MUST(qr_budget_shut(l.b) == (int)N);
            }
            break;
        }
    }
    qr_budget_free(l.b);
    for (size_t i = 0; i < RECORDS; i++) {
        qr_dbuf_free(&l.record[i]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    unsigned which = fuzz_choice(&data, &size, 2);

    if (!started) {
        make_limits();
        started = 1;
    }
    if (which == 0) {
        read_record(qr_view_of(data, size));
    } else {
        live(fuzz_in_of(data, size));
    }
    return 0;
}
