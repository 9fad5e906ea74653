/* Ages, stages, tolerance, and the record that a restart reads. */
#include "daemon/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define H UINT64_C(3600000)
#define NOW INT64_C(1795000000000)

static const struct qr_peers_times times = {.reattest_ms = 600000,
                                            .warn_ms = 2 * H,
                                            .no_peers_ms = 24 * H,
                                            .no_keys_ms = 48 * H,
                                            .stop_ms = 72 * H,
                                            .collateral_grace_ms = H};
static const uint8_t boot_a[32] = {1}, boot_b[32] = {2};

static void
stages(void **state)
{
    static const struct {
        uint64_t age;
        enum qr_fresh_stage stage;
        uint64_t next;
    } cases[] = {
        {0, QR_FRESH_OK, 2 * H},
        {2 * H - 1, QR_FRESH_OK, 2 * H},
        {2 * H, QR_FRESH_WARN, 24 * H},
        {24 * H - 1, QR_FRESH_WARN, 24 * H},
        {24 * H, QR_FRESH_NO_PEERS, 48 * H},
        {48 * H - 1, QR_FRESH_NO_PEERS, 48 * H},
        {48 * H, QR_FRESH_NO_KEYS, 72 * H},
        {72 * H - 1, QR_FRESH_NO_KEYS, 72 * H},
        {72 * H, QR_FRESH_STOP, UINT64_MAX},
        {UINT64_MAX, QR_FRESH_STOP, UINT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(qr_fresh_stage(&times, cases[i].age), cases[i].stage);
        assert_true(qr_fresh_next_ms(&times, cases[i].age) == cases[i].next);
    }
    for (int s = QR_FRESH_OK; s < QR_FRESH_STAGES; s++) {
        assert_true(qr_fresh_stage_name((enum qr_fresh_stage)s)[0] != '\0');
        assert_int_equal(qr_fresh_stage_means((enum qr_fresh_stage)s)[0] == '\0', s == QR_FRESH_OK);
    }
    assert_string_equal(qr_fresh_stage_name((enum qr_fresh_stage)9), "unknown");
    assert_string_equal(qr_fresh_stage_means((enum qr_fresh_stage)9), "");
}

static void
ages(void **state)
{
    struct qr_fresh f = {0};
    (void)state;

    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000 * H, NOW), 0); /* nobody has no age */
    qr_fresh_accepted(&f, 2, boot_a, 1000, INT64_MAX);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000, NOW), 0);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000 + 3 * H, NOW), 3 * H);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 0, NOW), 0); /* a clock that went back */
    /* Attested just now, with collateral that ended five hours ago. */
    qr_fresh_accepted(&f, 2, boot_a, 1000, NOW - (int64_t)(5 * H));
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000, NOW), 5 * H);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000 + 7 * H, NOW), 7 * H); /* the longer one counts */
    /* It has not ended yet, and then it has. */
    qr_fresh_accepted(&f, 2, boot_a, 1000, NOW + (int64_t)H);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000, NOW), 0);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000, NOW + (int64_t)(3 * H)), 2 * H);
    assert_int_equal(qr_fresh_age_ms(&f, 2, 1000, -1), 0); /* no time is known */
}

static void
of_the_party(void **state)
{
    struct qr_fresh f = {0};
    (void)state;

    assert_int_equal(qr_fresh_party_age_ms(&f, 0, 2, 0, NOW), 0);
    for (uint16_t i = 2; i <= 5; i++) {
        qr_fresh_accepted(&f, i, boot_a, (uint64_t)(10 - i) * H, INT64_MAX);
    }
    /* At 10 h the ages of 2, 3, 4, 5 are 2, 3, 4, 5 h. */
    assert_int_equal(qr_fresh_party_age_ms(&f, 0x1e, 2, 10 * H, NOW), 2 * H);
    assert_int_equal(qr_fresh_party_age_ms(&f, 0x1e, 3, 10 * H, NOW), 3 * H);
    assert_int_equal(qr_fresh_party_age_ms(&f, 0x1e, 5, 10 * H, NOW), 5 * H);
    assert_int_equal(qr_fresh_party_age_ms(&f, 0x1e, 9, 10 * H, NOW), 5 * H); /* fewer are there */
    assert_int_equal(qr_fresh_party_age_ms(&f, 0x18, 2, 10 * H, NOW), 4 * H); /* 4 and 5 are up */
    /* One peer that cannot renew holds nobody up while a quorum can. */
    assert_int_equal(qr_fresh_stage(&times, qr_fresh_party_age_ms(&f, 0x1e, 2, 10 * H, NOW)),
                     QR_FRESH_WARN);
}

static void
who_is_known(void **state)
{
    struct qr_fresh f = {0};
    struct qr_peers_times t = times;
    (void)state;

    assert_false(qr_fresh_knows(&f, 2, boot_a));
    assert_int_equal(qr_fresh_tolerance_ms(&f, &t, 2, boot_a), H); /* a stranger: the grace */
    qr_fresh_accepted(&f, 2, boot_a, 0, NOW);
    assert_true(qr_fresh_knows(&f, 2, boot_a));
    assert_false(qr_fresh_knows(&f, 2, boot_b)); /* its next process is a stranger again */
    assert_false(qr_fresh_knows(&f, 3, boot_a));
    assert_int_equal(qr_fresh_tolerance_ms(&f, &t, 2, boot_a), 72 * H);
    assert_int_equal(qr_fresh_tolerance_ms(&f, &t, 2, boot_b), H);
    t.collateral_grace_ms = 100 * H; /* never less than the policy's own grace */
    assert_int_equal(qr_fresh_tolerance_ms(&f, &t, 2, boot_a), 100 * H);
}

/* ---- the record -------------------------------------------------------------------------- */

static struct qr_fresh_memory
some_memory(size_t n)
{
    struct qr_fresh_memory m = {.floor_ms = NOW};
    m.marks.n = n;
    for (size_t i = 0; i < n; i++) {
        struct qr_collateral_mark *k = &m.marks.mark[i];
        k->kind = (enum qr_collateral_kind)(1 + i % 3);
        memset(k->subject, (int)i, 32);
        k->number = 17 + i;
        k->issued_ms = NOW - (int64_t)i;
        k->next_ms = i % 5 == 4 ? -1 : NOW + (int64_t)i;
    }
    return m;
}

static uint8_t rec[QR_FRESH_MEMORY_MAX + 1], back[QR_FRESH_MEMORY_MAX];

static size_t
encode(const struct qr_fresh_memory *m)
{
    struct qr_buf b = qr_buf_over(rec, QR_FRESH_MEMORY_MAX);
    qr_fresh_memory_encode(m, &b);
    assert_int_equal(b.err, QR_OK);
    return b.len;
}

static void
memory_comes_back(void **state)
{
    static const size_t sizes[] = {0, 1, 2, QR_MARKS_MAX};
    struct qr_fresh_memory got;
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct qr_fresh_memory m = some_memory(sizes[i]);
        size_t n = encode(&m);
        assert_int_equal(n, 11 + 57 * sizes[i]);
        assert_int_equal(qr_fresh_memory_decode(qr_view_of(rec, n), &got), QR_OK);
        assert_int_equal(got.floor_ms, NOW);
        assert_int_equal(got.marks.n, sizes[i]);
        struct qr_buf b = qr_buf_over(back, sizeof back);
        qr_fresh_memory_encode(&got, &b);
        assert_int_equal(b.len, n);
        assert_memory_equal(back, rec, n);
    }
}

static void
bad_memory(void **state)
{
    static const struct {
        size_t at;
        uint8_t to;
        qr_err want;
    } cases[] = {
        {0, 0, QR_ERR_VERSION},
        {0, 2, QR_ERR_VERSION},
        {1, 0x80, QR_ERR_MALFORMED}, /* a floor before the epoch */
        {9, 0xff, QR_ERR_MALFORMED}, /* more marks than there may be */
        {10, 1, QR_ERR_TRAILING},    /* fewer than there are */
        {10, 3, QR_ERR_TRUNCATED},   /* more */
        {11, 0, QR_ERR_MALFORMED},   /* kinds that do not exist */
        {11, 4, QR_ERR_MALFORMED},
        {11 + 41, 0x80, QR_ERR_MALFORMED}, /* issued, next */
        {11 + 49, 0x80, QR_ERR_MALFORMED},
    };
    struct qr_fresh_memory m = some_memory(2), got = {.floor_ms = 5};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = encode(&m);
        rec[cases[i].at] = cases[i].to;
        assert_int_equal(qr_fresh_memory_decode(qr_view_of(rec, n), &got), cases[i].want);
    }
    size_t n = encode(&m);
    for (size_t k = 0; k < n; k++) {
        assert_int_equal(qr_fresh_memory_decode(qr_view_of(rec, k), &got), QR_ERR_TRUNCATED);
    }
    assert_int_equal(qr_fresh_memory_decode(qr_view_of(rec, n + 1), &got), QR_ERR_TRAILING);
    m.marks.mark[1] = m.marks.mark[0]; /* one subject twice: which one counts? */
    n = encode(&m);
    assert_int_equal(qr_fresh_memory_decode(qr_view_of(rec, n), &got), QR_ERR_MALFORMED);
    assert_int_equal(got.floor_ms, 5); /* nothing was written */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages),
        cmocka_unit_test(ages),
        cmocka_unit_test(of_the_party),
        cmocka_unit_test(who_is_known),
        cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(bad_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
