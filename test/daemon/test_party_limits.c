/*
 * Limits in running parties: shares of a quorum's limit, charged once a request, kept over a crash, shut
 * after a start; and the time that requests are judged by.
 */
#include "test/common/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define LIMITED                                                                                    \
    "{\"id\":\"hour\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],"                  \
    "\"kinds\":[\"sha256\"],\"limits\":[{\"window_s\":3600,\"requests\":16}]}"
#define SHARE 8u /* 16 / (3 - 2 + 1) */

static struct cluster c;
static uint8_t pk[33];
static unsigned number;

static void
begin(void)
{
    cluster_start(&c, 3, LIMITED);
    cluster_keygen(&c, 2, pk);
}

static qr_err
ask_again(size_t at, const char *body)
{
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, at, body), 20000);
    assert_non_null(a);
    return a->error;
}

static qr_err
sign(size_t at)
{
    char body[2048], id[32];
    (void)snprintf(id, sizeof id, "limit-request-%05u", ++number);
    cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
    return ask_again(at, body);
}

static void
turns(unsigned n)
{
    while (n-- > 0) {
        cluster_turn(&c);
    }
}

static struct qr_budget_state
state_of(size_t i)
{
    struct qr_budget_state s;
    qr_budget_state(c.p[i].party->budget, 0, &s);
    return s;
}

static uint64_t
used(size_t i)
{
    struct qr_u256 u = state_of(i).used;
    return u.b[31];
}

static void
each_party_has_its_share(void **state)
{
    unsigned signatures = 0;
    (void)state;

    begin();
    for (unsigned round = 0; round < 24; round++) {
        signatures += sign(round % 3 + 1) == QR_OK;
    }
    /* Two parties are charged for each, and there are three shares. */
    assert_int_equal(signatures, 3 * SHARE / 2);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(used(i), SHARE);
    }
    uint64_t id = 0;
    char body[2048];
    cluster_body(&c, pk, "limit-request-last", "", 1, "sha256", body, sizeof body);
    id = cluster_sign(&c, 1, body);
    const struct qr_answer *a = cluster_wait(&c, id, 20000);
    assert_int_equal(a->error, QR_ERR_LIMIT);
    assert_int_equal(a->party, 1);
    assert_true(a->retry_s > 0 && a->retry_s <= 3600);
    assert_true(qr_view_eq(a->rule, qr_view_str("hour")));
    /* The window turns, and all is there again. */
    cluster_jump(&c, UINT64_C(3600) * 1000000000u, 50);
    turns(200); /* clocks are told again */
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_int_equal(sign(1), QR_OK);
    cluster_stop(&c);
}

static void
a_request_is_charged_once(void **state)
{
    char body[2048];
    (void)state;

    begin();
    cluster_body(&c, pk, "limit-request-once", "", 1, "sha256", body, sizeof body);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(ask_again(i % 3 + 1, body), QR_OK);
    }
    for (size_t i = 1; i <= 3; i++) {
        assert_in_range(used(i), 1, 1);
    }
    cluster_stop(&c);
}

static int
two_linked(struct cluster *x, void *ctx)
{
    (void)ctx;
    return qr_net_is_up(x->p[1].party->net, 2) && qr_pairs_active(x->p[1].party, 2) &&
           qr_net_is_up(x->p[2].party->net, 1) && qr_pairs_active(x->p[2].party, 1);
}

static void
shut_after_a_start_until_all_were_heard_of(void **state)
{
    (void)state;

    begin();
    assert_int_equal(sign(1), QR_OK);
    uint64_t before = used(1);
    cluster_kill(&c, 3);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 20000, two_linked, NULL));
    assert_true(state_of(1).shut);
    assert_int_equal(sign(1), QR_ERR_LIMIT);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_false(state_of(1).shut);
    assert_true(used(1) >= before); /* what was reserved and not used is lost */
    assert_int_equal(sign(1), QR_OK);
    cluster_stop(&c);
}

static void
a_window_that_began_after_the_start_is_open(void **state)
{
    (void)state;

    begin();
    cluster_kill(&c, 3);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 20000, two_linked, NULL));
    assert_int_equal(sign(1), QR_ERR_LIMIT);
    cluster_jump(&c, UINT64_C(3600) * 1000000000u, 50);
    assert_true(cluster_until(&c, 20000, two_linked, NULL));
    assert_int_equal(sign(1), QR_OK);
    cluster_stop(&c);
}

static void
crashes_give_nothing_back(void **state)
{
    unsigned signatures = 0;
    (void)state;

    begin();
    for (unsigned life = 0; life < SHARE; life++) {
        signatures += sign(1) == QR_OK;
        cluster_kill(&c, 1);
        cluster_boot(&c, 1);
        assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    }
    assert_in_range(signatures, 1, SHARE);
    assert_int_equal(sign(1), QR_ERR_LIMIT);
    cluster_stop(&c);
}

static void
another_policy_does_not_begin_anew(void **state)
{
    (void)state;

    begin();
    while (sign(1) == QR_OK) {
    }
    cluster_policy(&c, NULL);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_int_equal(used(1), SHARE);
    assert_int_equal(sign(1), QR_ERR_LIMIT);
    cluster_stop(&c);
}

/* An enclave's clock lagged by minutes: its party refused every request as one from the future. */
static void
a_clock_that_lags_takes_requests(void **state)
{
    (void)state;

    begin();
    c.skew_ms[1] = -386000;
    assert_true(cluster_until(&c, 400, cluster_linked, NULL));
    turns(300);
    assert_int_equal(sign(1), QR_OK);
    cluster_stop(&c);
}

/* A host that turns its party's clock forth and back does not make it forget what it has answered. */
static void
a_clock_set_forth_and_back_forgets_nothing(void **state)
{
    char body[2048];
    (void)state;

    begin();
    cluster_body(&c, pk, "limit-request-back", "", 1, "sha256", body, sizeof body);
    assert_int_equal(ask_again(1, body), QR_OK);
    c.skew_ms[1] = 600000;
    turns(300);
    (void)sign(1);
    c.skew_ms[1] = 0;
    turns(300);
    uint64_t spent = c.p[1].party->c.presigs_spent;
    assert_int_equal(ask_again(1, body), QR_OK); /* the stored answer */
    assert_int_equal(c.p[1].party->c.presigs_spent, spent);
    cluster_stop(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_party_has_its_share),
        cmocka_unit_test(a_request_is_charged_once),
        cmocka_unit_test(shut_after_a_start_until_all_were_heard_of),
        cmocka_unit_test(a_window_that_began_after_the_start_is_open),
        cmocka_unit_test(crashes_give_nothing_back),
        cmocka_unit_test(another_policy_does_not_begin_anew),
        cmocka_unit_test(a_clock_that_lags_takes_requests),
        cmocka_unit_test(a_clock_set_forth_and_back_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
