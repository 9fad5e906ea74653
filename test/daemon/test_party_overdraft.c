/*
 * Limits belong to the quorum: real parties, some of which charge nothing, under a gateway that asks
 * whom it likes, restarts parties, sets clocks and puts old disks back.
 *
 * In the quick set rotation and clocks alone.
 *
 * The rule allows LIMIT requests an hour. Each party has LIMIT / (n - t + 1) of them; a corrupt party has
 * as many as it likes. What counts is how many different requests were signed in all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "protocol/base/check.h"
#include "test/common/cluster.h"
#include "transport/link_mem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 9u
#define RULES                                                                                      \
    "{\"id\":\"few\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"*\"],"                 \
    "\"kinds\":[\"sha256\"],\"limits\":[{\"window_s\":3600,\"requests\":9}]}"
#define HOUR_MS 3600000u

static struct {
    struct cluster c;
    struct cluster_how how;
    struct qr_link_mem_net *net;
    uint8_t pk[33];
    unsigned n, asked, signed_, limited;
    uint16_t apart; /* bits of two parties that do not reach each other; 0: all do */
} g;

static void
no_lines(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

static int
quick(void)
{
    const char *set = getenv("QR_TEST_QUICK");
    return set && set[0] == '1';
}

/* The party charges nothing: a budget of its own making, of the same limit. */
static void
corrupt(unsigned i)
{
    struct qr_party *p = g.c.p[i].party;
    struct qr_limit l = *qr_policy_limit(p->policy, 0);
    struct qr_budget *b = NULL;

    l.max = qr_u256_of(UINT64_MAX);
    assert_int_equal(qr_budget_new(&l, 1, 1, qr_view_of(NULL, 0), 0, &b), QR_OK);
    qr_limits_set(p, b);
}

static unsigned
number_of(const char *name)
{
    const char *at = strrchr(name, 'p');
    return at ? (unsigned)strtoul(at + 1, NULL, 10) : 0;
}

static int
partition(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    unsigned a = number_of(from), b = number_of(to);
    uint16_t both = (uint16_t)(a && b ? 1u << (a - 1) | 1u << (b - 1) : 0);

    (void)ctx, (void)bytes, (void)len;
    return both != 0 && both == g.apart;
}

static void
start(unsigned n, unsigned t)
{
    memset(&g, 0, sizeof g);
    g.n = n;
    g.net = qr_link_mem_net_new();
    assert_non_null(g.net);
    *qr_link_mem_faults(g.net) = (struct qr_link_mem_faults){.tamper = partition};
    g.how = (struct cluster_how){.rules = RULES, .mem = g.net, .no_pool = 1};
    cluster_start_as(&g.c, n, &g.how);
    cluster_keygen(&g.c, t, g.pk);
}

static void
stop(void)
{
    cluster_stop(&g.c);
    qr_link_mem_net_free(g.net);
}

/* A new request at party i. OK: it was signed. */
static qr_err
ask_new(unsigned i)
{
    static char body[2048];
    char id[40];

    (void)snprintf(id, sizeof id, "limited-request-%u", g.asked++);
    cluster_body(&g.c, g.pk, id, "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&g.c, cluster_sign(&g.c, i, body), 14000);
    assert_non_null(a);
    g.signed_ += a->error == QR_OK;
    g.limited += a->error == QR_ERR_LIMIT;
    return a->error;
}

static void
turns(unsigned n)
{
    while (n-- > 0) {
        cluster_turn(&g.c);
    }
}

/* Time passes for all, and links stay up. */
static void
pass(uint64_t ms)
{
    for (; ms > 0; ms -= 1000) {
        cluster_jump(&g.c, SECOND, 3);
    }
}

static int
has_heard_all(struct cluster *c, void *ctx)
{
    unsigned i = *(unsigned *)ctx;
    uint16_t others = (uint16_t)(((1u << g.n) - 1) & ~(1u << (i - 1)));
    return (c->p[i].party->heard & others) == others;
}

static void
linked_and_heard(unsigned i)
{
    assert_true(cluster_until(&g.c, 20000, cluster_linked, NULL));
    assert_true(cluster_until(&g.c, 5000, has_heard_all, &i));
}

/* Fewer than t hosts that set their clocks forward turn no window, not even at their own party. */
static void
clocks_turn_nothing(void)
{
    unsigned before = g.signed_;

    for (unsigned i = 1; i <= 3; i++) {
        g.c.skew_ms[i] = HOUR_MS;
        turns(50);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_not_equal(ask_new(1 + 2 * (k % 2)), QR_OK);
            (void)ask_new(2);
        }
        g.c.skew_ms[i] = 0;
        turns(50);
    }
    assert_int_equal(g.signed_, before);
}

/* ---- rotation ---------------------------------------------------------------------------- */

/* A corrupt coordinator takes every set in turn; so do honest ones that it is asked beside. */
static void
test_rotation(void **state)
{
    (void)state;
    start(3, 2);
    corrupt(2);
    for (unsigned k = 0; k < 14; k++) {
        (void)ask_new(2);
    }
    assert_int_equal(g.signed_, 2 * (LIMIT / 2)); /* all that the honest two have */
    for (unsigned k = 0; k < 6; k++) {
        assert_int_equal(ask_new(1 + 2 * (k % 2)), QR_ERR_LIMIT);
    }
    assert_true(g.signed_ <= LIMIT);
    clocks_turn_nothing();
    if (!quick()) {
        /* the next hour is another window */
        pass(HOUR_MS);
        assert_int_equal(ask_new(1), QR_OK);
    }
    stop();
}

/* Honest alone: nobody gets less than a share, and together never more than the limit. */
static void
test_honest_rotation(void **state)
{
    (void)state;
    start(3, 2);
    for (unsigned k = 0; k < 18; k++) {
        (void)ask_new(1 + k % 3);
    }
    assert_in_range(g.signed_, LIMIT / 2, LIMIT);
    assert_true(g.limited > 0);
    stop();
}

/* Three of five, two of them corrupt: each signature takes from one honest party alone. */
static void
test_two_corrupt_of_five(void **state)
{
    (void)state;
    start(5, 3);
    corrupt(2);
    corrupt(4);
    for (unsigned i = 1; i <= 5; i += 2) {
        for (unsigned k = 1; k <= 5; k += 2) {
            g.c.p[k].frozen = k != i; /* so that i alone is left for the set */
        }
        for (unsigned k = 0; k < LIMIT / 3 + 2; k++) {
            (void)ask_new(k % 2 ? 2 : 4);
        }
    }
    assert_int_equal(g.signed_, 3 * (LIMIT / 3));
    stop();
}

/* ---- restarts ---------------------------------------------------------------------------- */

/* A restarted party has nothing until all others were heard, and then what is left of its record. */
static void
test_restarts_give_nothing(void **state)
{
    (void)state;
    start(3, 2);
    corrupt(2);
    for (unsigned round = 0; round < 5; round++) {
        cluster_kill(&g.c, 1);
        g.apart = 1 | 4; /* it does not hear party 3 */
        turns(3);
        cluster_boot(&g.c, 1);
        if (round == 0) {
            turns(3000);
            assert_int_equal(ask_new(1), QR_ERR_LIMIT);
            assert_int_equal(qr_budget_shut(g.c.p[1].party->budget), 1);
        }
        g.apart = 0;
        linked_and_heard(1);
        (void)ask_new(2);
        (void)ask_new(1);
    }
    for (unsigned k = 0; k < 12; k++) {
        (void)ask_new(2);
    }
    assert_in_range(g.signed_, 1, LIMIT);
    assert_int_equal(ask_new(1), QR_ERR_LIMIT);
    stop();
}

static void
disk(unsigned i, int restore)
{
    char cmd[512];
    const char *d = g.c.p[i].dir;

    (void)snprintf(cmd, sizeof cmd,
                   restore ? "rm -f '%s'/store.db*; cp -p '%s'/old/* '%s'/"
                           : "mkdir -p '%s'/old && cp -p '%s'/store.db* '%s'/old/",
                   d, d, d);
    assert_int_equal(system(cmd), 0);
}

/* An old disk: the honest peer saw a later state of it, says so, and the budget stays shut. */
static void
test_old_disk_gives_nothing(void **state)
{
    unsigned before;

    (void)state;
    start(3, 2);
    corrupt(2);
    disk(1, 0);
    for (unsigned k = 0; k < 14; k++) {
        (void)ask_new(2);
    }
    before = g.signed_;
    assert_int_equal(before, 2 * (LIMIT / 2));
    cluster_kill(&g.c, 1);
    disk(1, 1);
    cluster_boot(&g.c, 1);
    turns(6000);
    assert_int_equal(qr_budget_shut(g.c.p[1].party->budget), 1);
    assert_false(qr_net_is_up(g.c.p[3].party->net, 1));
    for (unsigned k = 0; k < 4; k++) {
        (void)ask_new(k % 2 ? 2 : 1);
    }
    assert_int_equal(g.signed_, before);
    stop();
}

/*
 * What does get more, and THREATS.md says so: a corrupt peer to sign with, the honest peers kept away
 * while the victim signs, and then its disk from before. Nobody who would tell saw what it gave out.
 */
static void
test_old_disk_that_no_honest_peer_saw(void **state)
{
    unsigned before;

    (void)state;
    start(3, 2);
    corrupt(2);
    disk(1, 0);
    g.apart = 1 | 4;
    turns(3000);
    for (unsigned k = 0; k < 8; k++) {
        (void)ask_new(1);
    }
    before = g.signed_;
    assert_int_equal(before, LIMIT / 2);
    cluster_kill(&g.c, 1);
    disk(1, 1);
    /* the corrupt one forgets what it saw */
    assert_int_equal(qr_store_del(g.c.p[2].store, QR_TABLE_PEER, "1"), QR_OK);
    cluster_kill(&g.c, 2);
    cluster_boot(&g.c, 2);
    corrupt(2);
    g.apart = 0;
    cluster_boot(&g.c, 1);
    linked_and_heard(1);
    for (unsigned k = 0; k < 8; k++) {
        (void)ask_new(1);
    }
    assert_int_equal(g.signed_ - before, LIMIT / 2);
    stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_honest_rotation),
        cmocka_unit_test(test_two_corrupt_of_five),
        cmocka_unit_test(test_restarts_give_nothing),
        cmocka_unit_test(test_old_disk_gives_nothing),
        cmocka_unit_test(test_old_disk_that_no_honest_peer_saw),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    qr_log_init(QR_LOG_ERROR, QR_LOG_HUMAN);
    if (!getenv("QR_TEST_LOG")) {
        qr_log_sink(no_lines, NULL);
    }
    if (quick()) { /* a quorum takes half a second to come up */
        const struct CMUnitTest first[] = {cmocka_unit_test(test_rotation)};
        return cmocka_run_group_tests(first, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
