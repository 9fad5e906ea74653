/*
 * The replay table: its rules one by one, then a long random run beside a plain list that applies
 * the same rules by looking at everything.
 */
#include "daemon/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/testrng.h"

#include <stdio.h>
#include <stdlib.h>

static const struct qr_replay_limits limits = {5000, 4000, 100000};
static const struct qr_stamp_key alice = {QR_SCHEME_P256, {2, 1}};
static const struct qr_stamp_key bob = {QR_SCHEME_P256, {2, 2}};
static const struct qr_stamp_key alice_too = {QR_SCHEME_SECP256K1, {2, 1}}; /* same bytes */
static const uint8_t h1[32] = {1}, h2[32] = {2};

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static struct qr_replay *
table(const struct qr_replay_limits *l)
{
    struct qr_replay *r = NULL;
    assert_int_equal(qr_replay_new(l, &r), QR_OK);
    return r;
}

static qr_err
begin(struct qr_replay *r, const struct qr_stamp_key *who, const char *id, const uint8_t *hash,
      uint64_t now, uint64_t forget, enum qr_replay_state *state, uint64_t *slot)
{
    return qr_replay_begin(r, who, qr_view_str(id), hash, now, forget, 100, state, slot);
}

static void
test_rules(void **state)
{
    struct qr_replay *r = table(&limits);
    enum qr_replay_state st;
    uint64_t slot = 0, again = 0, b = 0;
    uint8_t h[32];
    size_t n = 0, bytes = 0;

    (void)state;
    assert_int_equal(begin(r, &alice, "a", h1, 0, 100, &st, &slot), QR_OK);
    assert_int_equal(st, QR_REPLAY_NEW);
    assert_int_equal(begin(r, &alice, "a", h1, 1, 100, &st, &again), QR_OK);
    assert_true(st == QR_REPLAY_RUNNING && again == slot);
    assert_int_equal(begin(r, &alice, "a", h2, 1, 100, &st, &again), QR_ERR_REPLAY_CONFLICT);
    assert_int_equal(qr_replay_answer(r, slot).len, 0);
    /* ids belong to a client, and a client is scheme and bytes */
    assert_int_equal(begin(r, &bob, "a", h2, 1, 100, &st, &again), QR_OK);
    assert_true(st == QR_REPLAY_NEW && again != slot);
    assert_int_equal(begin(r, &alice_too, "a", h2, 1, 100, &st, &again), QR_OK);
    assert_int_equal(st, QR_REPLAY_NEW);
    assert_int_equal(begin(r, &alice, "b", h2, 1, 100, &st, &b), QR_OK);
    assert_int_equal(st, QR_REPLAY_NEW);
    qr_replay_stats(r, &n, &bytes);
    assert_true(n == 4 && bytes == 400);

    assert_int_equal(qr_replay_finish(r, slot, qr_view_str("answer")), QR_OK);
    assert_int_equal(begin(r, &alice, "a", h1, 2, 100, &st, &again), QR_OK);
    assert_true(st == QR_REPLAY_DONE && again == slot);
    assert_true(qr_view_eq(qr_replay_answer(r, slot), qr_view_str("answer")));
    assert_int_equal(begin(r, &alice, "a", h2, 2, 100, &st, &again), QR_ERR_REPLAY_CONFLICT);
    assert_int_equal(qr_replay_finish(r, slot, qr_view_str("other")), QR_ERR_USAGE);
    qr_replay_fail(r, slot); /* too late: nothing happens */
    assert_true(qr_view_eq(qr_replay_answer(r, slot), qr_view_str("answer")));
    qr_replay_stats(r, &n, &bytes);
    assert_true(n == 4 && bytes == 306);

    /* failing frees the reservation and lets the same request run again, and no other */
    qr_replay_fail(r, b);
    assert_int_equal(begin(r, &alice, "b", h1, 2, 100, &st, &again), QR_ERR_REPLAY_CONFLICT);
    assert_int_equal(begin(r, &alice, "b", h2, 2, 100, &st, &again), QR_OK);
    assert_int_equal(st, QR_REPLAY_FAILED);
    assert_int_equal(begin(r, &alice, "b", h2, 2, 100, &st, &again), QR_OK);
    assert_int_equal(st, QR_REPLAY_RUNNING);
    uint8_t long_answer[101] = {0};
    assert_int_equal(qr_replay_finish(r, again, qr_view_of(long_answer, 101)), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_replay_finish(r, again, qr_view_of(long_answer, 100)), QR_OK);

    assert_int_equal(qr_replay_find(r, &alice, qr_view_str("a"), 2, h), 1);
    assert_memory_equal(h, h1, 32);
    assert_int_equal(qr_replay_find(r, &bob, qr_view_str("b"), 2, h), 0);
    qr_replay_free(r);
    qr_replay_free(NULL);
}

/* Kept to the millisecond before forget_ms, gone at it; old slot numbers then find nothing. */
static void
test_forgetting(void **state)
{
    struct qr_replay *r = table(&limits);
    enum qr_replay_state st;
    uint64_t slot = 0, other = 0, fresh = 0;
    uint8_t h[32];
    size_t n = 0, bytes = 0;

    (void)state;
    assert_int_equal(begin(r, &alice, "a", h1, 0, 100, &st, &slot), QR_OK);
    assert_int_equal(begin(r, &alice, "b", h1, 0, 101, &st, &other), QR_OK);
    assert_int_equal(begin(r, &alice, "a", h2, 99, 200, &st, &fresh), QR_ERR_REPLAY_CONFLICT);
    assert_int_equal(begin(r, &alice, "a", h1, 100, 100, &st, &fresh), QR_ERR_EXPIRED);
    assert_int_equal(begin(r, &alice, "a", h2, 100, 200, &st, &fresh), QR_OK);
    assert_int_equal(st, QR_REPLAY_NEW);
    assert_true(fresh != slot);
    /* an answer that comes too late goes nowhere, least of all into the new entry */
    assert_int_equal(qr_replay_finish(r, slot, qr_view_str("late")), QR_OK);
    qr_replay_fail(r, slot);
    assert_int_equal(qr_replay_answer(r, slot).len, 0);
    assert_int_equal(begin(r, &alice, "a", h2, 100, 200, &st, &fresh), QR_OK);
    assert_int_equal(st, QR_REPLAY_RUNNING);
    assert_int_equal(qr_replay_answer(r, fresh).len, 0);
    assert_int_equal(qr_replay_find(r, &alice, qr_view_str("b"), 101, h), 0);
    qr_replay_expire(r, 1000);
    qr_replay_stats(r, &n, &bytes);
    assert_true(n == 0 && bytes == 0);
    qr_replay_free(r);
}

/* Full means refused, never forgotten; and one client cannot fill the table for the others. */
static void
test_full(void **state)
{
    const struct qr_replay_limits small = {10, 6, 1000}, narrow = {10, 10, 250};
    struct qr_replay *r = table(&small);
    enum qr_replay_state st;
    uint64_t slot = 0, first = 0;
    char id[16];

    (void)state;
    for (int i = 0; i < 6; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        assert_int_equal(begin(r, &alice, id, h1, 0, 100, &st, i ? &slot : &first), QR_OK);
    }
    assert_int_equal(begin(r, &alice, "6", h1, 0, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        assert_int_equal(begin(r, &bob, id, h1, 0, 50, &st, &slot), QR_OK);
    }
    assert_int_equal(begin(r, &bob, "4", h1, 0, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    assert_int_equal(begin(r, &alice, "0", h1, 0, 100, &st, &slot), QR_OK); /* known ones answer */
    assert_true(st == QR_REPLAY_RUNNING && slot == first);
    /* room comes with time: bob's are due first */
    assert_int_equal(begin(r, &bob, "4", h1, 49, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    assert_int_equal(begin(r, &bob, "4", h1, 50, 100, &st, &slot), QR_OK);
    assert_int_equal(begin(r, &alice, "6", h1, 50, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    qr_replay_free(r);

    r = table(&narrow); /* bytes */
    assert_int_equal(begin(r, &alice, "a", h1, 0, 100, &st, &first), QR_OK);
    assert_int_equal(begin(r, &alice, "b", h1, 0, 100, &st, &slot), QR_OK);
    assert_int_equal(begin(r, &alice, "c", h1, 0, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    assert_int_equal(qr_replay_finish(r, first, qr_view_str("0123456789")), QR_OK);
    assert_int_equal(begin(r, &alice, "c", h1, 0, 100, &st, &slot), QR_OK);
    qr_replay_fail(r, slot);
    assert_int_equal(begin(r, &bob, "d", h1, 0, 100, &st, &slot), QR_OK);
    /* a failed one must find room again to run again */
    assert_int_equal(begin(r, &alice, "c", h1, 0, 100, &st, &slot), QR_ERR_RATE_LIMITED);
    qr_replay_free(r);

    const struct qr_replay_limits wrong[] = {{0, 1, 1}, {1, 0, 1}, {1, 2, 1}, {1u << 25, 1, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(qr_replay_new(&wrong[i], &r), QR_ERR_USAGE);
    }
}

/* Every allocation fails in turn: refused, and the table goes on as before. */
static int allocations_left;

static int
gate(size_t n)
{
    (void)n;
    return allocations_left < 0 || allocations_left-- > 0;
}

static void
test_no_memory(void **state)
{
    size_t blocks0 = 0, blocks1 = 0, bytes = 0;

    (void)state;
    qr_alloc_stats(&bytes, &blocks0);
    for (int at = 0; at < 12; at++) {
        struct qr_replay *r = NULL;
        enum qr_replay_state st;
        uint64_t slot = 0;
        char id[16];
        size_t entered = 0, n = 0;

        allocations_left = at;
        qr_alloc_gate(gate);
        qr_err e = qr_replay_new(&limits, &r);
        for (int i = 0; e == QR_OK && i < 2100; i++) {
            (void)snprintf(id, sizeof id, "%d", i);
            qr_err f = qr_replay_begin(r, &alice, qr_view_str(id), h1, 0, 100, 1, &st, &slot);
            assert_true(f == QR_OK || f == QR_ERR_NO_MEMORY);
            entered += f == QR_OK;
            if (f == QR_OK && i % 1000 == 0 &&
                qr_replay_finish(r, slot, qr_view_str("x")) == QR_ERR_NO_MEMORY) {
                qr_replay_fail(r, slot);
            }
        }
        allocations_left = -1;
        if (r) {
            qr_replay_stats(r, &n, &bytes);
            assert_int_equal(n, entered);
            /* what did not fit may come now, what fitted is known */
            size_t fresh = 0;
            for (int i = 0; i < 2100; i++) {
                (void)snprintf(id, sizeof id, "%d", i);
                assert_int_equal(
                    qr_replay_begin(r, &alice, qr_view_str(id), h1, 0, 100, 1, &st, &slot), QR_OK);
                fresh += st == QR_REPLAY_NEW;
            }
            assert_int_equal(fresh, 2100 - entered);
        }
        qr_replay_free(r);
        qr_alloc_gate(NULL);
    }
    qr_alloc_stats(&bytes, &blocks1);
    assert_int_equal(blocks0, blocks1);
}

/* The plain list. */

#define MODEL 6000

struct model {
    int used, state; /* state: 0 running, 1 done, 2 failed */
    unsigned client, id, hash;
    uint64_t forget, slot;
    size_t reserved, stored;
} m[MODEL];

static void
test_random(void **state)
{
    const struct qr_replay_limits l = {1600, 430, 9000};
    const unsigned steps = getenv("QR_TEST_QUICK") ? 20000 : 60000;
    struct qr_replay *r = table(&l);
    struct qr_testrng rng;
    uint64_t now = 0;
    size_t n = 0, per[4] = {0}, bytes = 0, refused = 0, conflicts = 0, known = 0, top = 0;

    (void)state;
    qr_testrng_seed(&rng, "replay");
    for (unsigned step = 0; step < steps; step++) {
        unsigned client = (unsigned)qr_testrng_below(&rng, 4);
        unsigned id = (unsigned)qr_testrng_below(&rng, 2500);
        unsigned hash = (unsigned)qr_testrng_below(&rng, 10) == 0;
        size_t want = qr_testrng_below(&rng, 20);
        uint64_t forget = now + 1 + qr_testrng_below(&rng, 4000), slot = 0;
        struct qr_stamp_key who = {QR_SCHEME_ED25519, {(uint8_t)client}};
        enum qr_replay_state st;
        char text[16];
        struct model *hit = NULL, *unused = NULL;

        now += qr_testrng_below(&rng, 3);
        for (size_t i = 0; i < MODEL; i++) {
            if (m[i].used && m[i].forget <= now) {
                m[i].used = 0;
                n--;
                per[m[i].client]--;
                bytes -= m[i].reserved + m[i].stored;
            }
            if (!m[i].used) {
                unused = unused ? unused : &m[i];
            } else if (m[i].client == client && m[i].id == id) {
                hit = &m[i];
            }
        }
        (void)snprintf(text, sizeof text, "%u", id);
        qr_err e = qr_replay_begin(r, &who, qr_view_str(text), hash ? h2 : h1, now, forget, want,
                                   &st, &slot);
        if (forget <= now) {
            assert_int_equal(e, QR_ERR_EXPIRED);
            continue;
        }
        if (hit && hit->hash != hash) {
            assert_int_equal(e, QR_ERR_REPLAY_CONFLICT);
            conflicts++;
            continue;
        }
        int fits = bytes + want <= l.bytes;
        if (!hit) {
            fits = fits && n < l.entries && per[client] < l.per_client;
        } else if (hit->state != 2) {
            fits = 1;
        }
        assert_int_equal(e, fits ? QR_OK : QR_ERR_RATE_LIMITED);
        if (!fits) {
            refused++;
            continue;
        }
        if (!hit) {
            assert_int_equal(st, QR_REPLAY_NEW);
            hit = unused;
            *hit = (struct model){1, 0, client, id, hash, forget, slot, want, 0};
            n++;
            per[client]++;
            bytes += want;
        } else {
            known++;
            assert_true(slot == hit->slot);
            assert_int_equal(st, hit->state == 0   ? QR_REPLAY_RUNNING
                                 : hit->state == 1 ? QR_REPLAY_DONE
                                                   : QR_REPLAY_FAILED);
            if (hit->state == 2) {
                hit->state = 0;
                hit->reserved = want;
                bytes += want;
            }
        }
        /* settle some */
        switch (hit->state == 0 ? qr_testrng_below(&rng, 3) : 9) {
        case 0: {
            size_t len = qr_testrng_below(&rng, hit->reserved + 1);
            uint8_t answer[20];
            memset(answer, (int)hit->id, sizeof answer);
            assert_int_equal(qr_replay_finish(r, slot, qr_view_of(answer, len)), QR_OK);
            bytes -= hit->reserved - len;
            hit->stored = len;
            hit->reserved = 0;
            hit->state = 1;
            break;
        }
        case 1:
            qr_replay_fail(r, slot);
            bytes -= hit->reserved;
            hit->reserved = 0;
            hit->state = 2;
            break;
        default:
            break;
        }
        qr_view a = qr_replay_answer(r, slot);
        assert_int_equal(a.len, hit->stored);
        for (size_t i = 0; i < a.len; i++) {
            assert_int_equal(a.p[i], (uint8_t)hit->id);
        }
        size_t rn = 0, rb = 0;
        qr_replay_stats(r, &rn, &rb);
        assert_int_equal(rn, n);
        assert_int_equal(rb, bytes);
        top = n > top ? n : top;
    }
    qr_replay_free(r);
    print_message("%zu refused, %zu conflicts, %zu known, at most %zu entries\n", refused,
                  conflicts, known, top);
    /* the run went where it should */
    assert_true(refused > 100 && conflicts > 100 && known > 100 && top > 1024);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),  cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_full),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
