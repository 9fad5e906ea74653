/*
 * Nets among themselves: who is not let in, and what each side's operator reads about it.
 */
#include "test/common/netrig.h"

#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
start_all(struct rig *r, uint16_t n)
{
    rig_init(r, n);
    for (uint16_t i = 1; i <= n; i++) {
        rig_start(r, i);
    }
    RIG_UNTIL(r, 200, rig_all_up(r));
}

/* A copy of party 1 with its identity key, another boot and other addresses. */
static struct rig_party *
clone_of_1(struct rig *r, uint64_t counter)
{
    struct rig_party *c = &r->party[RIG_MAX + 1];
    *c = r->party[1];
    c->net = NULL;
    memset(c->of, 0, sizeof c->of);
    c->params.listen = "mem://clone";
    c->params.new_link_ctx = c;
    c->params.signer = test_signer(&c->id);
    c->params.attester = test_attester(&c->attester);
    c->params.boot_nonce[5] ^= 0xff;
    c->params.boot_counter = counter;
    return c;
}

static void
attack_23_clone_is_refused(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    struct rig_party *c = clone_of_1(&r, 2);
    rig_start(&r, RIG_MAX + 1);
    RIG_UNTIL(&r, 100, r.party[2].of[1].refused > 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_BOOT_NONCE);
    assert_non_null(strstr(r.party[2].of[1].detail, "peer 1 from "));
    assert_non_null(strstr(r.party[2].of[1].detail, "two instances of the same party"));
    rig_run(&r, 5000);
    /* The clone learns a coarse word only, and the first instance is not disturbed. */
    assert_int_equal(c->of[2].ups, 0);
    assert_non_null(strstr(c->of[2].detail, "refused us"));
    assert_null(strstr(c->of[2].detail, "two instances"));
    assert_int_equal(r.party[1].of[2].downs, 0);
    assert_int_equal(r.party[2].of[1].downs, 0);
    assert_true(rig_send(&r, 1, 2, QR_MSG_PRESIGN1, 0, 64));
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 1);
    /* When the first is gone, the clone's higher counter makes it the party's next boot... */
    rig_stop(&r, 1);
    RIG_UNTIL(&r, 5000, c->of[2].ups == 1);
    assert_int_equal(r.party[2].of[1].info.resumed, 0);
    /* ... and the first, coming back as it was, is a rollback. */
    rig_stop(&r, RIG_MAX + 1);
    rig_run(&r, 100);
    r.party[2].of[1].refused = 0;
    rig_start(&r, 1);
    RIG_UNTIL(&r, 5000, r.party[2].of[1].refused > 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_ROLLBACK);
    assert_non_null(strstr(r.party[2].of[1].detail, "boot counter 1 is not above the last one"));
    rig_free(&r);
}

static void
same_counter_is_refused(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    struct rig_party *c = clone_of_1(&r, 1);
    rig_stop(&r, 1);
    rig_run(&r, 100);
    rig_start(&r, RIG_MAX + 1);
    RIG_UNTIL(&r, 1000, r.party[2].of[1].refused > 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_ROLLBACK);
    assert_int_equal(c->of[2].ups, 0);
    rig_free(&r);
}

static void
store_rollback(void **state)
{
    struct rig r;
    (void)state;

    rig_init(&r, 2);
    r.party[2].store_verdict = QR_ERR_ROLLBACK;
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 1000, r.party[2].of[1].refused > 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_ROLLBACK);
    assert_non_null(strstr(r.party[2].of[1].detail, "store serial 101"));
    assert_int_equal(r.party[1].attester.made, 0); /* no evidence for a party we turn away */
    assert_int_equal(r.party[2].attester.made, 0);
    r.party[2].store_verdict = QR_OK;
    RIG_UNTIL(&r, 2000, rig_all_up(&r));
    rig_free(&r);
}

static void
evidence_refused(void **state)
{
    struct rig r;
    (void)state;

    rig_init(&r, 2);
    r.party[2].attester.refuse = 1;
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 500, r.party[2].of[1].refused > 0 && r.party[1].of[2].refused > 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_ATTESTATION);
    assert_non_null(strstr(r.party[2].of[1].detail, "sim evidence refused: measurement is not"));
    assert_non_null(strstr(r.party[1].of[2].detail, "refused us (identity, evidence"));
    assert_int_equal(r.party[1].of[2].ups + r.party[2].of[1].ups, 0);
    rig_free(&r);
}

/* Two parties that do not agree: what each side's operator reads. */
static void
disagree(struct rig *r, qr_err why, const char *at_1, const char *at_2)
{
    rig_start(r, 1);
    rig_start(r, 2);
    RIG_UNTIL(r, 500, r->party[2].of[1].refused > 0);
    rig_run(r, 3000);
    assert_int_equal(r->party[2].of[1].why, why);
    if (!strstr(r->party[2].of[1].detail, at_2) || !strstr(r->party[1].of[2].detail, at_1)) {
        fail_msg("at 1: %s; at 2: %s", r->party[1].of[2].detail, r->party[2].of[1].detail);
    }
    assert_int_equal(r->party[1].of[2].ups + r->party[2].of[1].ups, 0);
    assert_int_equal(r->party[1].attester.made + r->party[2].attester.made, 0);
    rig_free(r);
}

#define OTHERS_FAULT "refused us (version, cluster, roster or policy differ)"

static void
documents_differ(void **state)
{
    struct rig r;
    (void)state;

    rig_init(&r, 2);
    r.party[1].params.cluster[3] ^= 1;
    disagree(&r, QR_ERR_CLUSTER, OTHERS_FAULT, "belongs to another cluster");

    rig_init(&r, 2);
    r.party[1].params.roster_hash[3] ^= 1;
    r.party[1].params.roster_serial = 3;
    disagree(&r, QR_ERR_ROSTER_MISMATCH, OTHERS_FAULT,
             "roster serial 3 is behind ours (4): load the new roster there");

    rig_init(&r, 2);
    r.party[1].params.roster_hash[3] ^= 1;
    r.party[1].params.roster_serial = 5;
    disagree(&r, QR_ERR_ROSTER_MISMATCH, OTHERS_FAULT,
             "roster serial 5 is ahead of ours (4): load the new roster here");

    rig_init(&r, 2);
    r.party[1].params.roster_hash[3] ^= 1;
    disagree(&r, QR_ERR_ROSTER_MISMATCH, OTHERS_FAULT, "the documents differ");

    rig_init(&r, 2);
    r.party[1].params.policy_hash[3] ^= 1;
    r.party[1].params.policy_serial = 6;
    disagree(&r, QR_ERR_POLICY_MISMATCH, OTHERS_FAULT,
             "policy serial 6 is behind ours (7): load the new policy there");

    rig_init(&r, 2); /* the same bytes under two serials */
    r.party[1].params.policy_serial = 6;
    disagree(&r, QR_ERR_POLICY_MISMATCH, OTHERS_FAULT, "policy serial 6 is behind ours (7)");

    rig_init(&r, 2);
    r.party[1].params.roster_serial = 3;
    disagree(&r, QR_ERR_ROSTER_MISMATCH, OTHERS_FAULT, "roster serial 3 is behind ours (4)");
}

static void
wrong_identities(void **state)
{
    struct rig r;
    struct test_identity stray;
    (void)state;

    rig_init(&r, 2); /* 1 signs with a key that is not the roster's */
    test_identity_make(&stray, 77);
    r.party[1].params.signer = test_signer(&stray);
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 500, r.party[2].of[0].refused > 0); /* a stranger: nothing is proven */
    assert_int_equal(r.party[2].of[0].why, QR_ERR_IDENTITY);
    assert_non_null(strstr(r.party[2].of[0].detail, "claims index 1, but its signature is not by"));
    rig_free(&r);

    rig_init(&r, 2); /* 2 does: the dialling side refuses */
    r.party[2].params.signer = test_signer(&stray);
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 500, r.party[1].of[2].refused > 0);
    assert_int_equal(r.party[1].of[2].why, QR_ERR_IDENTITY);
    assert_int_equal(r.party[1].attester.made, 0);
    rig_free(&r);

    rig_init(&r, 3); /* party 3 answers where 2 should */
    (void)snprintf(r.party[1].params.peers[0].address, QR_ADDRESS_MAX, "mem://p3");
    rig_start(&r, 1);
    rig_start(&r, 3);
    RIG_UNTIL(&r, 500, r.party[1].of[2].refused > 0);
    assert_non_null(strstr(r.party[1].of[2].detail,
                           "party 3 answers at the address of party 2: check the addresses"));
    RIG_UNTIL(&r, 500, qr_net_is_up(r.party[1].net, 3));
    rig_free(&r);

    rig_init(&r, 3); /* 1's roster entry for 2 leads back to 1 */
    (void)snprintf(r.party[1].params.peers[0].address, QR_ADDRESS_MAX, "mem://p1");
    rig_start(&r, 1);
    RIG_UNTIL(&r, 500, r.party[1].of[0].refused > 0);
    assert_non_null(strstr(r.party[1].of[0].detail, "claims our own index 1"));
    rig_free(&r);

    rig_init(&r, 3); /* 2's roster has no party 1 */
    r.party[2].params.peers[0] = r.party[2].params.peers[1];
    r.party[2].params.n_peers = 1;
    rig_start(&r, 1);
    rig_start(&r, 2);
    RIG_UNTIL(&r, 500, r.party[2].of[0].refused > 0);
    assert_non_null(strstr(r.party[2].of[0].detail, "claims index 1, which our roster does not"));
    rig_free(&r);
}

static void
new_policy(void **state)
{
    struct rig r;
    uint8_t hash[32];
    (void)state;

    start_all(&r, 3);
    memset(hash, 0x77, 32);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PAIR1, 0, 100), 1);
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 1);
    qr_net_set_policy(r.party[1].net, hash, 8, 0, 0);
    assert_int_equal(qr_net_deadline(r.party[1].net) <= r.now, 1);
    assert_int_equal(r.party[1].of[2].downs, 0); /* callbacks only in step */
    rig_run(&r, 500);
    assert_int_equal(r.party[1].of[2].downs, 1);
    assert_int_equal(r.party[1].of[3].downs, 1);
    assert_false(qr_net_is_up(r.party[1].net, 2));
    assert_int_equal(r.party[2].of[1].why, QR_ERR_POLICY_MISMATCH);
    assert_non_null(strstr(r.party[2].of[1].detail,
                           "policy serial 8 is ahead of ours (7): load the new policy here"));
    assert_true(qr_net_is_up(r.party[2].net, 3)); /* the two that agree go on */
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PAIR1, 1, 100), 1);
    qr_net_set_policy(r.party[2].net, hash, 8, 0, 0);
    qr_net_set_policy(r.party[3].net, hash, 8, 0, 0);
    RIG_UNTIL(&r, 3000, rig_all_up(&r));
    assert_int_equal(r.party[1].of[2].info.resumed, 1); /* the processes are the same ones */
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 2);
    rig_free(&r);
}

static void
bad_parameters(void **state)
{
    struct rig r;
    struct qr_net *net;
    struct qr_net_events ev = {0};
    char err[256];
    (void)state;

    rig_init(&r, 3);
    struct qr_net_params p = r.party[1].params;
    p.listen = "tcp://nowhere";
    assert_int_equal(qr_net_new(&p, &ev, &net, err, sizeof err), QR_ERR_ADDRESS);
    assert_non_null(strstr(err, "tcp://nowhere: not an address"));
    p = r.party[1].params;
    p.peers[0].index = 1;
    assert_int_equal(qr_net_new(&p, &ev, &net, err, sizeof err), QR_ERR_USAGE);
    p = r.party[1].params;
    p.peers[0].index = p.peers[1].index;
    assert_int_equal(qr_net_new(&p, &ev, &net, err, sizeof err), QR_ERR_USAGE);
    p = r.party[1].params;
    p.self = 17;
    assert_int_equal(qr_net_new(&p, &ev, &net, err, sizeof err), QR_ERR_USAGE);
    rig_start(&r, 1);
    p = r.party[1].params; /* the same address again */
    assert_int_equal(qr_net_new(&p, &ev, &net, err, sizeof err), QR_ERR_ADDRESS);
    assert_non_null(strstr(err, "mem://p1: address already in use"));
    rig_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_23_clone_is_refused),
        cmocka_unit_test(same_counter_is_refused),
        cmocka_unit_test(store_rollback),
        cmocka_unit_test(evidence_refused),
        cmocka_unit_test(documents_differ),
        cmocka_unit_test(wrong_identities),
        cmocka_unit_test(new_policy),
        cmocka_unit_test(bad_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
