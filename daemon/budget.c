/*
 * Nothing here is a state of its own but four numbers a limit: the window that counts, what was used in
 * it, what the store knows of it, and the share. Whether a limit is shut follows from the window and from
 * when the process started, so that a window cannot turn without opening, nor open without turning.
 */
#include "daemon/budget.h"

#include "protocol/base/check.h"

#define RECORD_VERSION 1u
/* Of a share, at least one: what a crash may forfeit, against a durable write for each. */
#define BLOCKS 16u
#define NEVER INT64_MIN
#define TIME_MAX_MS (UINT64_C(1) << 48) /* year 10889 */

struct entry {
    struct qr_limit limit;
    int64_t window; /* number of the window that counts: its beginning is window * window_s */
    struct qr_u256 used, reserved, share;
};

struct qr_budget {
    uint32_t divisor;
    int opened;       /* nothing was rolled back */
    int failed;       /* a reservation did not become durable */
    int64_t now_ms;   /* NEVER: not known yet */
    int64_t started;  /* the highest that was said */
    int64_t floor_ms; /* what an earlier process had reached: its windows are over */
    size_t n;
    struct entry entry[];
};

static const char *const unit_names[QR_UNIT_COUNT] = {
    [QR_UNIT_REQUESTS] = "requests",
    [QR_UNIT_WEI] = "value_wei",
    [QR_UNIT_SAT] = "value_sat",
};

const char *
qr_unit_name(enum qr_unit u)
{
    return (unsigned)u < QR_UNIT_COUNT ? unit_names[u] : "unknown";
}

static int
same_limit(const struct qr_limit *a, const struct qr_limit *b)
{
    return a->unit == b->unit && a->window_s == b->window_s && strcmp(a->rule, b->rule) == 0;
}

static struct entry *
find(struct qr_budget *b, const struct qr_limit *l)
{
    for (size_t i = 0; i < b->n; i++) {
        if (same_limit(&b->entry[i].limit, l)) {
            return &b->entry[i];
        }
    }
    return NULL;
}

static int64_t
begins_ms(const struct entry *e)
{
    return e->window * (int64_t)e->limit.window_s * 1000;
}

static int64_t
turns_ms(const struct entry *e)
{
    return begins_ms(e) + (int64_t)e->limit.window_s * 1000;
}

static int
is_shut(const struct qr_budget *b, const struct entry *e)
{
    return b->failed || b->now_ms == NEVER || (!b->opened && begins_ms(e) <= b->started);
}

static void
set_shares(struct qr_budget *b)
{
    for (size_t i = 0; i < b->n; i++) {
        qr_u256_div(&b->entry[i].limit.max, b->divisor, &b->entry[i].share);
    }
}

/* ---- the record ---- */

/*
 * u8 version, u64 the time that was reached, u16 count, then of each limit of which anything was reserved: u8 length and the rule's
 * id, u8 unit, u32 window_s, u64 number of the window, 32 bytes reserved. Big-endian.
 */
#define RECORD_HEAD 11u
#define RECORD_TAIL (1u + 4u + 8u + 32u)

qr_err
qr_budget_record(const struct qr_budget *b, struct qr_dbuf *out)
{
    uint8_t raw[1 + QR_NAME_MAX + RECORD_TAIL] = {RECORD_VERSION};
    uint16_t count = 0;

    for (size_t i = 0; i < b->n; i++) {
        count = (uint16_t)(count + !qr_u256_is_zero(&b->entry[i].reserved));
    }
    qr_put64(raw + 1, (uint64_t)(b->now_ms > b->floor_ms ? b->now_ms : b->floor_ms));
    qr_put16(raw + 9, count);
    QR_TRY(qr_dbuf_append(out, raw, RECORD_HEAD));
    for (size_t i = 0; i < b->n; i++) {
        const struct entry *e = &b->entry[i];
        size_t len = strlen(e->limit.rule), at = 1 + len;
        if (qr_u256_is_zero(&e->reserved)) {
            continue;
        }
        QR_ASSERT(len <= QR_NAME_MAX);
        raw[0] = (uint8_t)len;
        memcpy(raw + 1, e->limit.rule, len);
        raw[at] = (uint8_t)e->limit.unit;
        qr_put32(raw + at + 1, e->limit.window_s);
        qr_put64(raw + at + 5, (uint64_t)e->window);
        memcpy(raw + at + 13, e->reserved.b, 32);
        QR_TRY(qr_dbuf_append(out, raw, at + RECORD_TAIL));
    }
    return QR_OK;
}

/* One element at *at of a record; what is not one of today's limits is passed over. */
static qr_err
read_entry(struct qr_budget *b, qr_view record, size_t *at)
{
    struct qr_limit l = {.rule = ""};
    const uint8_t *p = record.p + *at;
    size_t left = record.len - *at;

    if (left < 1 || p[0] == 0 || p[0] > QR_NAME_MAX || left < 1u + p[0] + RECORD_TAIL ||
        memchr(p + 1, 0, p[0]) != NULL) {
        return QR_ERR_STORE_CORRUPT;
    }
    memcpy(l.rule, p + 1, p[0]);
    *at += 1u + p[0] + RECORD_TAIL;
    p += 1u + p[0];
    l.unit = (enum qr_unit)p[0];
    l.window_s = qr_get32(p + 1);
    uint64_t window = qr_get64(p + 5);
    if ((unsigned)l.unit >= QR_UNIT_COUNT || l.window_s == 0 ||
        window > TIME_MAX_MS / 1000 / l.window_s) {
        return QR_ERR_STORE_CORRUPT;
    }
    struct entry *e = find(b, &l);
    if (e) {
        if (!qr_u256_is_zero(&e->reserved)) {
            return QR_ERR_STORE_CORRUPT; /* twice */
        }
        e->window = (int64_t)window;
        memcpy(e->reserved.b, p + 13, 32);
        e->used = e->reserved; /* what was not used of it is forfeit */
    }
    return QR_OK;
}

static qr_err
read_record(struct qr_budget *b, qr_view record)
{
    size_t at = RECORD_HEAD;

    if (record.len == 0) {
        return QR_OK;
    }
    if (record.len < RECORD_HEAD || record.p[0] != RECORD_VERSION ||
        qr_get64(record.p + 1) > TIME_MAX_MS) {
        return QR_ERR_STORE_CORRUPT;
    }
    b->floor_ms = (int64_t)qr_get64(record.p + 1);
    for (uint16_t left = qr_get16(record.p + 9); left > 0; left--) {
        QR_TRY(read_entry(b, record, &at));
    }
    return at == record.len ? QR_OK : QR_ERR_STORE_CORRUPT;
}

/* ---- life ---- */

qr_err
qr_budget_new(const struct qr_limit *limits, size_t n, uint32_t divisor, qr_view record, int shut,
              struct qr_budget **ret)
{
    struct qr_budget *b = qr_alloc(sizeof *b + n * sizeof b->entry[0]);

    QR_ASSERT(n <= QR_LIMITS_MAX && divisor >= 1 && divisor <= QR_MAX_PARTIES);
    if (!b) {
        return QR_ERR_NO_MEMORY;
    }
    b->divisor = divisor;
    b->opened = !shut;
    b->now_ms = b->started = NEVER;
    b->n = n;
    for (size_t i = 0; i < n; i++) {
        QR_ASSERT(limits[i].window_s > 0);
        b->entry[i].limit = limits[i];
    }
    set_shares(b);
    qr_err e = read_record(b, record);
    if (e != QR_OK) {
        qr_budget_free(b);
        return e;
    }
    *ret = b;
    return QR_OK;
}

struct qr_budget *
qr_budget_free(struct qr_budget *b)
{
    return qr_free(b);
}

/* Empties the windows that are over. */
static void
turn(struct qr_budget *b)
{
    if (b->now_ms == NEVER) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        struct entry *e = &b->entry[i];
        int64_t window = b->now_ms / 1000 / (int64_t)e->limit.window_s;
        if (window > e->window) {
            e->window = window;
            e->used = e->reserved = qr_u256_of(0);
        }
    }
}

void
qr_budget_inherit(struct qr_budget *b, const struct qr_budget *old)
{
    b->opened |= old->opened;
    b->failed |= old->failed;
    b->started = old->started > b->started ? old->started : b->started;
    b->floor_ms = old->floor_ms > b->floor_ms ? old->floor_ms : b->floor_ms;
    qr_budget_divide(b, old->divisor);
    for (size_t i = 0; i < old->n; i++) {
        const struct entry *from = &old->entry[i];
        struct entry *e = find(b, &from->limit);
        if (e) {
            e->window = from->window;
            e->used = from->used;
            e->reserved = from->reserved;
        }
    }
    b->now_ms = old->now_ms;
    turn(b);
}

void
qr_budget_divide(struct qr_budget *b, uint32_t divisor)
{
    QR_ASSERT(divisor >= 1 && divisor <= QR_MAX_PARTIES);
    if (divisor > b->divisor) {
        b->divisor = divisor;
        set_shares(b);
    }
}

void
qr_budget_time(struct qr_budget *b, int64_t now_ms, int64_t started_ms)
{
    if (now_ms < 0 || now_ms < b->now_ms || (uint64_t)now_ms > TIME_MAX_MS) {
        return; /* a lower bound says no less for being lower */
    }
    now_ms = now_ms > b->floor_ms ? now_ms : b->floor_ms;
    /* What began before the first bound that we hear is not new either, whatever our clock said when we
     * started. */
    if (b->now_ms == NEVER && now_ms > started_ms) {
        started_ms = now_ms;
    }
    b->started = started_ms > b->started ? started_ms : b->started;
    b->now_ms = now_ms;
    turn(b);
}

void
qr_budget_open(struct qr_budget *b)
{
    b->opened = 1;
}

int
qr_budget_shut(const struct qr_budget *b)
{
    int shut = 0;

    for (size_t i = 0; i < b->n; i++) {
        shut += is_shut(b, &b->entry[i]);
    }
    return shut;
}

/* ---- charges ---- */

/* Seconds until the window in which something is free again; 0: this process will not see it. */
static uint64_t
retry_s(const struct qr_budget *b, const struct entry *e)
{
    if (b->failed) {
        return 0;
    }
    if (b->now_ms == NEVER) {
        return 1;
    }
    int64_t at = turns_ms(e);
    if (is_shut(b, e) && at <= b->started) { /* the first window that begins after the start */
        int64_t len = (int64_t)e->limit.window_s * 1000;
        at = (b->started / len + 1) * len;
    }
    return at > b->now_ms ? (uint64_t)(at - b->now_ms + 999) / 1000 : 1;
}

/* What the charges from i on take from charge i's limit, together. */
static qr_err
sum_from(const struct qr_charge *c, size_t n, size_t i, struct qr_u256 *ret)
{
    *ret = c[i].amount;
    for (size_t k = i + 1; k < n; k++) {
        if (c[k].limit == c[i].limit) {
            QR_TRY(qr_u256_add(ret, &c[k].amount, ret));
        }
    }
    return QR_OK;
}

static int
seen_before(const struct qr_charge *c, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (c[k].limit == c[i].limit) {
            return 1;
        }
    }
    return 0;
}

qr_err
qr_budget_room(const struct qr_budget *b, const struct qr_charge *c, size_t n, uint16_t *ret_limit,
               uint64_t *ret_retry_s)
{
    for (size_t i = 0; i < n; i++) {
        struct qr_u256 sum, after;
        QR_ASSERT(c[i].limit < b->n);
        if (seen_before(c, i)) {
            continue;
        }
        const struct entry *e = &b->entry[c[i].limit];
        int never = sum_from(c, n, i, &sum) != QR_OK || qr_u256_cmp(&sum, &e->share) > 0;
        if (never || is_shut(b, e) || qr_u256_add(&e->used, &sum, &after) != QR_OK ||
            qr_u256_cmp(&after, &e->share) > 0) {
            *ret_limit = c[i].limit;
            *ret_retry_s = never ? 0 : retry_s(b, e);
            return QR_ERR_LIMIT;
        }
    }
    return QR_OK;
}

/* Raises what is reserved so that `used` is covered: by a block, and never above the share. */
static void
reserve(struct entry *e)
{
    struct qr_u256 block, most;

    qr_u256_div(&e->share, BLOCKS, &block);
    if (qr_u256_add(&e->used, &block, &most) != QR_OK || qr_u256_cmp(&most, &e->share) > 0) {
        most = e->share;
    }
    e->reserved = most;
}

qr_err
qr_budget_take(struct qr_budget *b, const struct qr_charge *c, size_t n, int *ret_write)
{
    uint16_t limit;
    uint64_t retry;
    int write = 0;

    QR_TRY(qr_budget_room(b, c, n, &limit, &retry));
    for (size_t i = 0; i < n; i++) {
        struct entry *e = &b->entry[c[i].limit];
        qr_err fits = qr_u256_add(&e->used, &c[i].amount, &e->used);
        QR_ASSERT(fits == QR_OK); /* there was room for all of them together */
    }
    for (size_t i = 0; i < n; i++) {
        struct entry *e = &b->entry[c[i].limit];
        if (qr_u256_cmp(&e->used, &e->reserved) > 0) {
            reserve(e);
            write = 1;
        }
    }
    *ret_write = write;
    return QR_OK;
}

void
qr_budget_fail(struct qr_budget *b)
{
    b->failed = 1;
}

void
qr_budget_state(const struct qr_budget *b, size_t i, struct qr_budget_state *ret)
{
    QR_ASSERT(i < b->n);
    const struct entry *e = &b->entry[i];
    *ret = (struct qr_budget_state){.used = e->used,
                                    .share = e->share,
                                    .turns_ms = b->now_ms == NEVER ? 0 : turns_ms(e),
                                    .shut = is_shut(b, e)};
}
