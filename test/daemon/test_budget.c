/*
 * Budgets: windows, blocks and crashes, what is shut and when it opens; and the reason for them: whatever
 * fewer than t corrupt parties and a gateway that chooses the sets do, no window sees more than its limit.
 */
#include "daemon/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/testrng.h"

#include <stdio.h>
#include <stdlib.h>

#define HOUR_MS INT64_C(3600000)
#define T0 (INT64_C(480000) * HOUR_MS) /* the beginning of an hour */

static struct qr_limit
limit(const char *rule, enum qr_unit unit, uint32_t window_s, uint64_t max)
{
    struct qr_limit l = {.unit = unit, .window_s = window_s, .max = qr_u256_of(max)};

    (void)snprintf(l.rule, sizeof l.rule, "%s", rule);
    return l;
}

static struct qr_budget *
make(const struct qr_limit *l, size_t n, uint32_t divisor, qr_view record, int shut)
{
    struct qr_budget *b = NULL;

    assert_int_equal(qr_budget_new(l, n, divisor, record, shut, &b), QR_OK);
    return b;
}

/* Takes `amount` of limit i: the error; retry and write only where asked for. */
static qr_err
take(struct qr_budget *b, uint16_t i, uint64_t amount, int *write)
{
    const struct qr_charge c = {.limit = i, .amount = qr_u256_of(amount)};
    int w = -1;

    qr_err e = qr_budget_take(b, &c, 1, &w);
    if (e == QR_OK) {
        assert_true(w == 0 || w == 1);
    }
    if (write) {
        *write = w;
    }
    return e;
}

static uint64_t
retry(const struct qr_budget *b, uint16_t i, uint64_t amount)
{
    const struct qr_charge c = {.limit = i, .amount = qr_u256_of(amount)};
    uint16_t which = UINT16_MAX;
    uint64_t s = UINT64_MAX;

    assert_int_equal(qr_budget_room(b, &c, 1, &which, &s), QR_ERR_LIMIT);
    assert_int_equal(which, i);
    return s;
}

static uint64_t
used(const struct qr_budget *b, size_t i)
{
    struct qr_budget_state s;

    qr_budget_state(b, i, &s);
    return qr_get64(s.used.b + 24);
}

static uint64_t
share(const struct qr_budget *b, size_t i)
{
    struct qr_budget_state s;

    qr_budget_state(b, i, &s);
    return qr_get64(s.share.b + 24);
}

static const qr_view nothing = {NULL, 0};

static void
test_windows(void **state)
{
    const struct qr_limit l[2] = {limit("a", QR_UNIT_REQUESTS, 3600, 10),
                                  limit("a", QR_UNIT_WEI, 60, 1000)};
    struct qr_budget *b = make(l, 2, 2, nothing, 0);
    struct qr_budget_state s;

    (void)state;
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT); /* nobody knows the time */
    assert_int_equal(retry(b, 0, 1), 1);
    assert_int_equal(qr_budget_shut(b), 2);
    qr_budget_time(b, T0 + 1000, 0);
    assert_int_equal(qr_budget_shut(b), 0);
    assert_true(share(b, 0) == 5 && share(b, 1) == 500);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take(b, 0, 1, NULL), QR_OK);
    }
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT);
    assert_int_equal(retry(b, 0, 1), 3599);
    assert_int_equal(retry(b, 0, 6), 0); /* above the whole share: never */
    qr_budget_state(b, 0, &s);
    assert_true(s.turns_ms == T0 + HOUR_MS && !s.shut);
    qr_budget_time(b, T0 + HOUR_MS - 1, 0);
    assert_int_equal(retry(b, 0, 1), 1);
    /* the short window turned meanwhile, many times */
    assert_int_equal(take(b, 1, 500, NULL), QR_OK);
    assert_int_equal(take(b, 1, 1, NULL), QR_ERR_LIMIT);
    /* a lower bound that goes back says nothing, and a window that is over does not come back */
    qr_budget_time(b, T0 + HOUR_MS, 0);
    assert_int_equal(take(b, 0, 5, NULL), QR_OK);
    qr_budget_time(b, T0, 0);
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT);
    qr_budget_time(b, -1, 0);
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT);
    qr_budget_free(b);
    /* a limit below n - t + 1 leaves a party nothing */
    b = make(l, 1, 11, nothing, 0);
    qr_budget_time(b, T0, 0);
    assert_int_equal(share(b, 0), 0);
    assert_int_equal(retry(b, 0, 1), 0);
    qr_budget_free(b);
}

/* Several limits at once: all or nothing, and charges of one limit count together. */
static void
test_whole(void **state)
{
    const struct qr_limit l[3] = {limit("a", QR_UNIT_REQUESTS, 60, 4),
                                  limit("a", QR_UNIT_WEI, 60, 100),
                                  limit("b", QR_UNIT_REQUESTS, 60, 9)};
    struct qr_budget *b = make(l, 3, 1, nothing, 0);
    struct qr_charge c[4] = {
        {0, qr_u256_of(1)}, {1, qr_u256_of(60)}, {2, qr_u256_of(2)}, {1, qr_u256_of(41)}};
    uint16_t which = 9;
    uint64_t s = 9;
    int write = -1;

    (void)state;
    qr_budget_time(b, T0, 0);
    assert_int_equal(qr_budget_take(b, c, 4, &write), QR_ERR_LIMIT);
    assert_int_equal(write, -1);
    assert_int_equal(qr_budget_room(b, c, 4, &which, &s), QR_ERR_LIMIT);
    assert_true(which == 1 && s == 0);
    assert_true(used(b, 0) == 0 && used(b, 1) == 0 && used(b, 2) == 0);
    c[3].amount = qr_u256_of(40);
    assert_int_equal(qr_budget_take(b, c, 4, &write), QR_OK);
    assert_true(used(b, 0) == 1 && used(b, 1) == 100 && used(b, 2) == 2);
    /* sums that do not fit are more than any limit */
    memset(c[0].amount.b, 0xff, 32);
    c[1] = c[0];
    assert_int_equal(qr_budget_take(b, c, 2, &write), QR_ERR_LIMIT);
    c[0].limit = c[1].limit = 2;
    assert_int_equal(qr_budget_take(b, c, 1, &write), QR_ERR_LIMIT); /* and with what was used */
    assert_int_equal(used(b, 2), 2);
    assert_int_equal(qr_budget_take(b, c, 0, &write), QR_OK); /* nothing to charge */
    assert_int_equal(write, 0);
    qr_budget_free(b);
    /* a limit of 2^256-1 does not wrap either */
    struct qr_limit top = limit("t", QR_UNIT_WEI, 60, 0);
    memset(top.max.b, 0xff, 32);
    b = make(&top, 1, 1, nothing, 0);
    qr_budget_time(b, T0, 0);
    c[0].limit = 0;
    assert_int_equal(qr_budget_take(b, c, 1, &write), QR_OK);
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT);
    qr_budget_free(b);
}

/* What the store knows covers what is used, always; a crash forfeits the difference, once. */
static void
test_blocks(void **state)
{
    const struct qr_limit l = limit("a", QR_UNIT_REQUESTS, 3600, 100);
    struct qr_budget *b = make(&l, 1, 1, nothing, 0), *next;
    struct qr_dbuf rec;
    int write, writes = 0;

    (void)state;
    qr_dbuf_init(&rec, QR_BUDGET_RECORD_MAX);
    qr_budget_time(b, T0, 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(take(b, 0, 1, &write), QR_OK);
        if (write) {
            writes++;
            qr_dbuf_free(&rec);
            qr_dbuf_init(&rec, QR_BUDGET_RECORD_MAX);
            assert_int_equal(qr_budget_record(b, &rec), QR_OK);
        }
        next = make(&l, 1, 1, qr_view_of(rec.p, rec.len), 0);
        assert_true(used(next, 0) >= used(b, 0) && used(next, 0) <= used(b, 0) + 6);
        qr_budget_free(next);
    }
    assert_true(writes >= 2 && writes <= 4); /* not one for each request */
    /* a crash now, and the clock a little further */
    next = make(&l, 1, 1, qr_view_of(rec.p, rec.len), 0);
    qr_budget_time(next, T0 + 5000, 0);
    uint64_t forfeit = used(next, 0);
    assert_true(forfeit >= 20 && forfeit < 27);
    assert_int_equal(take(next, 0, 100 - forfeit, &write), QR_OK);
    assert_int_equal(write, 1);
    assert_int_equal(take(next, 0, 1, NULL), QR_ERR_LIMIT);
    /* the next window is whole */
    qr_budget_time(next, T0 + HOUR_MS, 0);
    assert_int_equal(take(next, 0, 100, NULL), QR_OK);
    qr_budget_free(next);
    /* a clock that was set back: the record's window counts on */
    next = make(&l, 1, 1, qr_view_of(rec.p, rec.len), 0);
    qr_budget_time(next, T0 - 10 * HOUR_MS, 0);
    assert_int_equal(used(next, 0), forfeit);
    qr_budget_free(next);
    /* a window that was over is over after a crash, too, although nothing of it is in the record */
    qr_budget_time(b, T0 + HOUR_MS, 0);
    qr_dbuf_consume(&rec, rec.len);
    assert_int_equal(qr_budget_record(b, &rec), QR_OK);
    next = make(&l, 1, 1, qr_view_of(rec.p, rec.len), 0);
    qr_budget_time(next, T0, 0);
    assert_int_equal(take(next, 0, 100, NULL), QR_OK); /* of the next window */
    qr_budget_time(next, T0 + HOUR_MS + 1000, 0);
    assert_int_equal(take(next, 0, 1, NULL), QR_ERR_LIMIT);
    qr_budget_free(next);
    qr_budget_free(b);
    qr_dbuf_free(&rec);
}

static void
test_record(void **state)
{
    const struct qr_limit l[2] = {limit("a", QR_UNIT_REQUESTS, 3600, 100),
                                  limit("bb", QR_UNIT_SAT, 60, 50)};
    struct qr_budget *b = make(l, 2, 1, nothing, 0), *next = NULL;
    struct qr_dbuf rec;

    (void)state;
    qr_dbuf_init(&rec, QR_BUDGET_RECORD_MAX);
    qr_budget_time(b, T0, 0);
    assert_int_equal(qr_budget_record(b, &rec), QR_OK);
    assert_int_equal(rec.len, 11); /* nothing was reserved */
    assert_true(take(b, 0, 3, NULL) == QR_OK && take(b, 1, 7, NULL) == QR_OK);
    qr_dbuf_consume(&rec, rec.len);
    assert_int_equal(qr_budget_record(b, &rec), QR_OK);
    /* every shorter record, one byte more, another version, units and names that cannot be */
    for (size_t n = 1; n < rec.len; n++) {
        assert_int_equal(qr_budget_new(l, 2, 1, qr_view_of(rec.p, n), 0, &next),
                         QR_ERR_STORE_CORRUPT);
    }
    static const struct {
        size_t at;
        uint8_t byte;
    } bad[] = {{0, 2},  {1, 1},   {9, 1},  {10, 1}, {10, 3},
               {11, 0}, {11, 65}, {12, 0}, {13, 3}, {18, 0x7f}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = rec.p[bad[i].at];
        rec.p[bad[i].at] = bad[i].byte;
        if (qr_budget_new(l, 2, 1, qr_view_of(rec.p, rec.len), 0, &next) != QR_ERR_STORE_CORRUPT) {
            fail_msg("byte %zu as %u was taken", bad[i].at, bad[i].byte);
        }
        rec.p[bad[i].at] = was;
    }
    /* one limit twice */
    uint8_t twice[11 + 2 * 47];
    size_t one = 1 + 1 + 45; /* "a" */
    memcpy(twice, rec.p, 11 + one);
    memcpy(twice + 11 + one, rec.p + 11, one);
    assert_int_equal(qr_budget_new(l, 2, 1, qr_view_of(twice, sizeof twice), 0, &next),
                     QR_ERR_STORE_CORRUPT);
    /* limits that the policy has no more are passed over; another window is another limit */
    const struct qr_limit other = limit("a", QR_UNIT_REQUESTS, 7200, 100);
    next = make(&other, 1, 1, qr_view_of(rec.p, rec.len), 0);
    qr_budget_time(next, T0, 0);
    assert_int_equal(used(next, 0), 0);
    qr_budget_free(next);
    qr_budget_free(b);
    qr_dbuf_free(&rec);
}

/* After a start: nothing until all others have spoken, or a window that began after it. */
static void
test_shut(void **state)
{
    const struct qr_limit l[2] = {limit("a", QR_UNIT_REQUESTS, 3600, 100),
                                  limit("a", QR_UNIT_REQUESTS, 60, 100)};
    const int64_t start = T0 + 90 * 1000;
    struct qr_budget *b = make(l, 2, 1, nothing, 1);

    (void)state;
    qr_budget_time(b, start, start);
    assert_int_equal(qr_budget_shut(b), 2);
    assert_int_equal(retry(b, 0, 1), 3600 - 90);
    assert_int_equal(retry(b, 1, 1), 30);
    qr_budget_time(b, T0 + 120 * 1000, start); /* the minute turned, the hour did not */
    assert_int_equal(qr_budget_shut(b), 1);
    assert_int_equal(take(b, 1, 1, NULL), QR_OK);
    assert_int_equal(take(b, 0, 1, NULL), QR_ERR_LIMIT);
    qr_budget_time(b, T0 + HOUR_MS, start);
    assert_int_equal(qr_budget_shut(b), 0);
    qr_budget_free(b);

    /* the first bound that is heard is behind the start by our clock: no window of it is new */
    b = make(l, 2, 1, nothing, 1);
    qr_budget_time(b, start - HOUR_MS, start);
    qr_budget_time(b, start, start);
    assert_int_equal(qr_budget_shut(b), 2);
    qr_budget_free(b);
    /* our host set our clock back before the start: the quorum's bound counts instead */
    b = make(l, 2, 1, nothing, 1);
    qr_budget_time(b, start, start - 5 * HOUR_MS);
    assert_int_equal(qr_budget_shut(b), 2);
    qr_budget_time(b, start + 1000, start - 5 * HOUR_MS);
    assert_int_equal(qr_budget_shut(b), 2);
    /* the start is known better: later than it seemed, and never earlier again */
    qr_budget_time(b, T0 + 115 * 1000, T0 + 125 * 1000);
    qr_budget_time(b, T0 + 130 * 1000, start);
    assert_int_equal(qr_budget_shut(b), 2);
    assert_int_equal(retry(b, 1, 1), 50);
    /* confirmed by all others */
    qr_budget_open(b);
    assert_int_equal(qr_budget_shut(b), 0);
    assert_int_equal(take(b, 0, 100, NULL), QR_OK);
    /* a reservation that did not become durable ends it, whatever turns or is confirmed */
    qr_budget_fail(b);
    qr_budget_time(b, T0 + 5 * HOUR_MS, start);
    qr_budget_open(b);
    assert_int_equal(qr_budget_shut(b), 2);
    assert_int_equal(retry(b, 0, 1), 0);
    qr_budget_free(b);
}

static void
test_inherit(void **state)
{
    const struct qr_limit was[2] = {limit("a", QR_UNIT_REQUESTS, 3600, 100),
                                    limit("b", QR_UNIT_REQUESTS, 3600, 100)};
    const struct qr_limit is[3] = {limit("new", QR_UNIT_REQUESTS, 3600, 100),
                                   limit("a", QR_UNIT_REQUESTS, 3600, 20),
                                   limit("a", QR_UNIT_WEI, 3600, 100)};
    struct qr_budget *old = make(was, 2, 2, nothing, 0), *b = make(is, 3, 1, nothing, 0);
    int write;

    (void)state;
    qr_budget_time(old, T0, 0);
    assert_int_equal(take(old, 0, 8, NULL), QR_OK);
    qr_budget_inherit(b, old);
    assert_true(share(b, 0) == 50 && share(b, 1) == 10); /* the divisor came along */
    assert_true(used(b, 0) == 0 && used(b, 1) == 8 && used(b, 2) == 0);
    assert_int_equal(take(b, 1, 2, &write), QR_OK);
    assert_int_equal(take(b, 1, 1, NULL), QR_ERR_LIMIT);
    assert_int_equal(take(b, 0, 1, NULL), QR_OK);
    qr_budget_free(b);
    /* above a share that shrank: nothing more, and no wrap */
    b = make(is, 3, 1, nothing, 0);
    qr_budget_inherit(b, old);
    qr_budget_divide(b, 16);
    assert_int_equal(share(b, 1), 1);
    assert_int_equal(take(b, 1, 1, NULL), QR_ERR_LIMIT);
    qr_budget_divide(b, 1); /* never grows */
    assert_int_equal(share(b, 1), 1);
    qr_budget_free(b);
    qr_budget_free(old);

    /* what was shut stays shut, for new limits as well; what failed stays failed */
    old = make(was, 2, 1, nothing, 1);
    qr_budget_time(old, T0 + 1000, T0 + 1000);
    b = make(is, 3, 1, nothing, 1);
    qr_budget_inherit(b, old);
    assert_int_equal(qr_budget_shut(b), 3);
    qr_budget_time(b, T0 + HOUR_MS, T0 + 1000);
    assert_int_equal(qr_budget_shut(b), 0);
    qr_budget_free(b);
    /* the window turned before the other policy came: its limits open with it */
    qr_budget_time(old, T0 + HOUR_MS, T0 + 1000);
    assert_int_equal(qr_budget_shut(old), 0);
    b = make(is, 3, 1, nothing, 1);
    qr_budget_inherit(b, old);
    assert_int_equal(qr_budget_shut(b), 0);
    qr_budget_fail(old);
    qr_budget_inherit(b, old);
    assert_int_equal(qr_budget_shut(b), 3);
    qr_budget_free(b);
    qr_budget_free(old);
}

/*
 * n parties, t - 1 of them corrupt (they sign whatever comes), a gateway that chooses sets at random or
 * goes round, honest parties that crash and come back with an old record and shut: the sum of what was
 * signed in a window is never above the limit. Honest parties see a window change at different moments,
 * within which both count: the windows are theirs.
 */
static void
test_quorum(void **state)
{
    const unsigned rounds = getenv("QR_TEST_QUICK") ? 60 : 400;
    struct qr_testrng rng;
    uint64_t signed_in_all = 0, most_share = 0;

    (void)state;
    qr_testrng_seed(&rng, "budget quorum");
    for (unsigned round = 0; round < rounds; round++) {
        uint16_t n = (uint16_t)(2 + qr_testrng_below(&rng, 6));
        uint16_t t = (uint16_t)(2 + qr_testrng_below(&rng, n - 1u));
        struct qr_limit l = limit("a", QR_UNIT_WEI, 3600, 1 + qr_testrng_below(&rng, 1000));
        uint64_t max = qr_get64(l.max.b + 24), total = 0;
        struct qr_budget *b[QR_MAX_PARTIES];
        struct qr_dbuf rec[QR_MAX_PARTIES];
        int64_t now = T0;
        for (uint16_t i = 0; i < n; i++) {
            b[i] = make(&l, 1, n - t + 1u, nothing, 0);
            qr_budget_time(b[i], now, 0);
            qr_dbuf_init(&rec[i], QR_BUDGET_RECORD_MAX);
        }
        for (unsigned step = 0; step < 120; step++) {
            uint64_t amount = 1 + qr_testrng_below(&rng, 1 + max / 4);
            unsigned set = 0;
            int all = 1;
            for (uint16_t k = 0; k < t;) { /* t different parties; 0..t-2 are corrupt */
                unsigned i = (unsigned)(round % 2 ? qr_testrng_below(&rng, n) : (step + k) % n);
                k = (uint16_t)(k + !(set >> i & 1));
                set |= 1u << i;
            }
            for (uint16_t i = (uint16_t)(t - 1); i < n; i++) { /* the honest ones judge alone */
                int write = 0;
                if (!(set >> i & 1)) {
                    continue;
                }
                if (take(b[i], 0, amount, &write) != QR_OK) {
                    all = 0;
                } else if (write) {
                    qr_dbuf_consume(&rec[i], rec[i].len);
                    assert_int_equal(qr_budget_record(b[i], &rec[i]), QR_OK);
                }
            }
            total += all ? amount : 0;
            if (qr_testrng_below(&rng, 10) ==
                0) { /* a crash; every other one with an empty store */
                uint16_t i = (uint16_t)qr_testrng_below(&rng, n);
                int lost = (int)qr_testrng_below(&rng, 2);
                qr_budget_free(b[i]);
                b[i] = make(&l, 1, n - t + 1u, lost ? nothing : qr_view_of(rec[i].p, rec[i].len),
                            lost);
                qr_budget_time(b[i], now, now);
            }
            now += (int64_t)qr_testrng_below(&rng, 20000); /* 40 minutes at most */
            for (uint16_t i = 0; i < n; i++) {
                qr_budget_time(b[i], now, T0);
            }
        }
        if (total > max) {
            fail_msg("round %u: n %u t %u: %llu signed, limit %llu", round, n, t,
                     (unsigned long long)total, (unsigned long long)max);
        }
        signed_in_all += total;
        most_share += total > max / 2;
        for (uint16_t i = 0; i < n; i++) {
            qr_budget_free(b[i]);
            qr_dbuf_free(&rec[i]);
        }
    }
    assert_true(signed_in_all > 0 &&
                most_share > 0); /* limits that let nothing pass prove nothing */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_record),
        cmocka_unit_test(test_shut),    cmocka_unit_test(test_inherit),
        cmocka_unit_test(test_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
