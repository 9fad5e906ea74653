/* What time it is, with parties that lie, a host that lies, and dates that vendors signed. */
#include "daemon/qtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1795000000000)
#define SECOND_MS 1000
#define HOUR (INT64_C(3600) * 1000)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define SPREAD (60u * 1000u)

static struct qr_qtime q;
static struct qr_qtime_now r;

static void
tell(uint16_t party, int64_t wall)
{
    qr_qtime_told(&q, party, (uint64_t)wall, 0);
}

static void
read_at(uint16_t t, uint64_t mono)
{
    qr_qtime_read(&q, t, mono, SPREAD, &r);
}

static void
alone(void **state)
{
    (void)state;
    qr_qtime_init(&q, 1, -1);
    read_at(2, 0);
    assert_int_equal(r.now_ms, -1); /* nothing is known at all */
    assert_int_equal(r.lower_ms, -1);
    tell(1, NOW);
    read_at(2, 500);
    assert_int_equal(r.now_ms, NOW + 500); /* a hint is all there is */
    assert_int_equal(r.lower_ms, -1);
    assert_true(r.upper_ms == INT64_MAX);
    assert_int_equal(q.floor_ms, -1); /* and nothing is sure */
    assert_int_equal(r.agree, 1);

    qr_qtime_init(&q, 1, NOW); /* an earlier process was sure of more than the host says now */
    tell(1, NOW - YEAR);
    read_at(2, 0);
    assert_int_equal(r.now_ms, NOW);
}

/* Three parties, two to sign: whatever one of them says, the others' time holds. */
static void
one_liar_of_three(void **state)
{
    static const int64_t lies[] = {0, NOW - YEAR, NOW - HOUR, NOW + HOUR, NOW + 10 * YEAR};
    (void)state;

    for (uint16_t liar = 1; liar <= 3; liar++) {
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
            qr_qtime_init(&q, 1, -1);
            for (uint16_t p = 1; p <= 3; p++) {
                tell(p, p == liar ? lies[i] : NOW + p);
            }
            read_at(2, 0);
            assert_in_range(r.lower_ms, NOW + 1, NOW + 3);
            assert_in_range(r.upper_ms, NOW + 1, NOW + 3);
            assert_in_range(r.now_ms, NOW + 1, NOW + 3); /* also when the liar is our own host */
            assert_int_equal(r.agree, 1);
        }
    }
}

/* Every number of liars below the threshold, every way they may lie: within what honest clocks say. */
static void
fewer_liars_than_a_quorum(void **state)
{
    (void)state;
    for (uint16_t n = 2; n <= 7; n++) {
        for (uint16_t t = 2; t <= n; t++) {
            for (unsigned early = 0; early < t; early++) {
                for (unsigned late = 0; early + late < t; late++) {
                    qr_qtime_init(&q, n, -1);
                    unsigned honest = n - early - late;
                    for (uint16_t p = 1; p <= n; p++) {
                        tell(p, p <= early          ? NOW - YEAR
                                : p <= early + late ? NOW + YEAR
                                                    : NOW + (p - early - late - 1));
                    }
                    read_at(t, 0);
                    int64_t latest = NOW + (int64_t)honest - 1;
                    assert_true(r.lower_ms <= latest); /* it was reached */
                    assert_true(r.upper_ms >= NOW);    /* it was not passed by all */
                    assert_true(q.floor_ms <= latest);
                    if (honest >= t && n + 1u > t + early + late) {
                        assert_in_range(r.lower_ms, NOW, latest);
                        assert_in_range(r.upper_ms, NOW, latest);
                        assert_int_equal(r.agree, 1);
                    }
                }
            }
        }
    }
}

/* A quorum of liars is beyond what can be defended against; it is said here so that it is known. */
static void
a_quorum_of_liars(void **state)
{
    (void)state;
    qr_qtime_init(&q, 3, -1);
    tell(1, NOW + YEAR);
    tell(2, NOW + YEAR);
    tell(3, NOW);
    read_at(2, 0);
    assert_int_equal(r.lower_ms, NOW + YEAR);
}

static void
disagreement(void **state)
{
    (void)state;
    qr_qtime_init(&q, 1, -1);
    tell(1, NOW);
    tell(2, NOW + SPREAD);
    read_at(2, 0);
    assert_int_equal(r.apart_ms, SPREAD);
    assert_int_equal(r.agree, 1);
    tell(2, NOW + SPREAD + 1);
    read_at(2, 0);
    assert_int_equal(r.apart_ms, SPREAD + 1);
    assert_int_equal(r.agree, 0);
    tell(3, NOW + 7); /* a third clock decides */
    read_at(2, 0);
    assert_int_equal(r.apart_ms, 0);
    assert_int_equal(r.agree, 1);
}

static void
never_backwards(void **state)
{
    (void)state;
    qr_qtime_init(&q, 1, -1);
    tell(1, NOW);
    tell(2, NOW);
    read_at(2, 0);
    assert_int_equal(q.floor_ms, NOW);
    tell(1, NOW - DAY); /* both hosts put their clocks back */
    tell(2, NOW - DAY);
    read_at(2, 0);
    assert_int_equal(q.floor_ms, NOW);
    assert_int_equal(r.now_ms, NOW);
    assert_int_equal(r.lower_ms, NOW - DAY); /* what they say is told as it is */
    assert_int_equal(r.agree, 1);
    int64_t was = r.now_ms;
    for (uint64_t mono = 0; mono < (uint64_t)(2 * DAY); mono += 3600 * 1000) {
        qr_qtime_told(&q, 1, (uint64_t)(NOW - DAY) + mono, mono);
        qr_qtime_told(&q, 2, (uint64_t)(NOW - DAY) + mono, mono);
        read_at(2, mono);
        assert_true(r.now_ms >= was);
        was = r.now_ms;
    }
    assert_true(was > NOW); /* and it goes on when they have caught up */
}

/* A vendor's date is a witness for "at least so late", and none for "at most". */
static void
signed_dates(void **state)
{
    (void)state;
    qr_qtime_init(&q, 1, -1);
    tell(1, NOW - YEAR); /* our host put its clock back by a year, nobody else is there */
    qr_qtime_issued(&q, 1, NOW - 2 * DAY);
    qr_qtime_issued(&q, 2, NOW - DAY);
    read_at(2, 0);
    assert_int_equal(r.lower_ms, NOW - 2 * DAY);
    assert_int_equal(r.now_ms, NOW - 2 * DAY);
    assert_true(r.upper_ms == INT64_MAX);
    qr_qtime_issued(&q, 2, NOW - 3 * DAY); /* an older one changes nothing */
    read_at(2, 0);
    assert_int_equal(r.lower_ms, NOW - 2 * DAY);
    tell(1, NOW);
    tell(2, NOW);
    read_at(2, 0);
    assert_int_equal(r.upper_ms, NOW); /* dates are old, and pull nothing down */
    assert_int_equal(r.lower_ms, NOW);
    tell(1, NOW - YEAR);
    tell(2, NOW - YEAR);
    read_at(2, 0);
    assert_int_equal(r.lower_ms, NOW - 2 * DAY); /* whatever the clocks say now: it is signed */
    assert_int_equal(r.now_ms, NOW);             /* and the floor stays where it was */
}

/* Told once, a clock goes on with our steady one; nonsense is ignored. */
static void
steady_between(void **state)
{
    (void)state;
    qr_qtime_init(&q, 1, -1);
    qr_qtime_told(&q, 1, (uint64_t)NOW + 5000, 5000);
    qr_qtime_told(&q, 2, (uint64_t)NOW + 1000, 1000);
    read_at(2, 5000);
    assert_int_equal(r.apart_ms, 0);
    read_at(2, 90000);
    assert_int_equal(r.apart_ms, 0);
    assert_int_equal(r.now_ms, NOW + 90000);
    read_at(2, 0); /* a steady clock that went back is no reason to */
    assert_true(r.now_ms >= NOW + 90000);

    qr_qtime_told(&q, 0, (uint64_t)NOW, 0);
    qr_qtime_told(&q, QR_MAX_PARTIES + 1, (uint64_t)NOW, 0);
    qr_qtime_told(&q, 2, UINT64_MAX, 90000);
    qr_qtime_issued(&q, 0, NOW);
    qr_qtime_issued(&q, QR_MAX_PARTIES + 1, NOW);
    qr_qtime_issued(&q, 2, INT64_MAX);
    read_at(2, 90000);
    assert_int_equal(r.now_ms, NOW + 90000);
    assert_int_equal(r.apart_ms, 0);
    /* The last second there is, and nothing after it. */
    qr_qtime_told(&q, 1, (uint64_t)INT64_C(253402300799000), 0);
    qr_qtime_told(&q, 2, (uint64_t)INT64_C(253402300799000), 0);
    read_at(2, 5000);
    assert_int_equal(r.lower_ms, INT64_C(253402300799000));
    /* What was told long ago is no clock any more; what was sure stays. */
    read_at(2, QR_QTIME_KEEP_MS);
    assert_true(r.upper_ms != INT64_MAX);
    read_at(2, QR_QTIME_KEEP_MS + 1);
    assert_true(r.upper_ms == INT64_MAX);
    assert_int_equal(r.lower_ms, -1);
    assert_int_equal(r.now_ms, INT64_C(253402300799000));
}

/* As many clocks as a roster can have, told twice: each counts once. */
static void
full_house(void **state)
{
    (void)state;
    qr_qtime_init(&q, 16, -1);
    for (int round = 0; round < 2; round++) {
        for (uint16_t p = 1; p <= QR_MAX_PARTIES; p++) {
            tell(p, NOW + 10 * (17 - p));
            qr_qtime_issued(&q, p, NOW - DAY + p);
        }
    }
    read_at(9, 0);
    assert_int_equal(r.lower_ms, NOW + 80);
    assert_int_equal(r.upper_ms, NOW + 90);
    read_at(16, 0);
    assert_int_equal(r.lower_ms, NOW + 10);
    assert_int_equal(r.upper_ms, NOW + 160);
    assert_int_equal(r.apart_ms, 150);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone),
        cmocka_unit_test(one_liar_of_three),
        cmocka_unit_test(fewer_liars_than_a_quorum),
        cmocka_unit_test(a_quorum_of_liars),
        cmocka_unit_test(disagreement),
        cmocka_unit_test(never_backwards),
        cmocka_unit_test(signed_dates),
        cmocka_unit_test(steady_between),
        cmocka_unit_test(full_house),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
