/* Whole parties in one process: link, keygen, sign, lose a party, restart, refuse. */
#include "test/common/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/derive.h"

static char body[65536];

static int
quick(void)
{
    const char *set = getenv("QR_TEST_QUICK");
    return set && set[0] == '1';
}

static void
verify(const struct qr_answer *a, const uint8_t pk[33], const uint32_t *path, size_t depth,
       const uint8_t *cc)
{
    qr_pt p, child;
    qr_fq tweak;
    uint8_t cc2[32];
    assert_non_null(a);
    if (a->error != QR_OK) {
        fail_msg("%s: %.*s", qr_err_name(a->error), (int)a->detail.len, (const char *)a->detail.p);
    }
    assert_true(a->is_signed);
    assert_true(a->sgn.insecure_sim);
    assert_int_equal(qr_pt_parse(&p, pk), QR_OK);
    child = p;
    if (depth) {
        assert_int_equal(qr_derive(&p, cc, path, depth, &child, &tweak, cc2), QR_OK);
    }
    for (size_t i = 0; i < a->sgn.n_sigs; i++) {
        assert_int_equal(qr_ecdsa_verify(&child, a->sgn.sigs[i].digest, a->sgn.sigs[i].rs), QR_OK);
    }
}

static void
test_sign_2of3(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);

    /* every party coordinates; the pool is filled on demand */
    for (size_t i = 1; i <= 3; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "request-from-%zu-xx", i);
        cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
        verify(cluster_wait(&c, cluster_sign(&c, i, body), 5000), pk, NULL, 0, NULL);
    }
    /* 64 items and a path */
    const uint32_t path[2] = {0, 5};
    cluster_body(&c, pk, "sixty-four-items-1", "0,5", 64, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 20000);
    verify(a, pk, path, 2, c.p[1].party->key[0].key->pub.cc);
    assert_int_equal(a->sgn.n_sigs, 64);
    assert_int_equal(a->sgn.n_signers, 2);

    /* the same bytes: the stored answer; the same id with other bytes: conflict */
    uint8_t first[64];
    memcpy(first, a->sgn.sigs[63].rs, 64);
    a = cluster_wait(&c, cluster_sign(&c, 1, body), 100);
    verify(a, pk, path, 2, c.p[1].party->key[0].key->pub.cc);
    assert_memory_equal(first, a->sgn.sigs[63].rs, 64);
    cluster_body(&c, pk, "sixty-four-items-1", "0,6", 64, "sha256", body, sizeof body);
    /* there, and also where nobody heard of the first body: every set holds somebody who did */
    for (size_t i = 1; i <= 3; i++) {
        a = cluster_wait(&c, cluster_sign(&c, i, body), 5000);
        assert_non_null(a);
        assert_int_equal(a->error, QR_ERR_REPLAY_CONFLICT);
    }
    cluster_stop(&c);
}

/* The client hears that it must ask anew, not that it is forbidden. */
static void
test_members_started_after_the_request(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    cluster_body(&c, pk, "before-their-starts", "", 1, "sha256", body, sizeof body);
    c.p[2].party->started_ms = c.p[3].party->started_ms = c.wall_ms + 1;
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 5000);
    assert_non_null(a);
    assert_int_equal(a->error, QR_ERR_EXPIRED);
    assert_in_range(a->party, 2, 3);
    cluster_stop(&c);
}

/*
 * The members hang, the request fails, the client repeats it, and then the members answer the first
 * asking as well: those shares belong to other presignatures and nobody is to blame.
 */
static void
test_late_shares_of_the_same_request(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    cluster_body(&c, pk, "warm-the-pools-up-1", "", 1, "sha256", body, sizeof body);
    verify(cluster_wait(&c, cluster_sign(&c, 1, body), 5000), pk, NULL, 0, NULL);
    for (int round = 0; round < (quick() ? 2 : 4); round++) {
        char id[32];
        (void)snprintf(id, sizeof id, "asked-once-more-%d", round);
        cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
        c.p[2].frozen = c.p[3].frozen = 1;
        const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 2500);
        assert_non_null(a);
        assert_int_equal(a->error, QR_ERR_QUORUM);
        uint64_t again = cluster_sign(&c, 1, body);
        c.p[2].frozen = c.p[3].frozen = 0;
        verify(cluster_wait(&c, again, 15000), pk, NULL, 0, NULL);
        assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    }
    assert_int_equal(c.p[1].party->c.sign_bad, 0);
    cluster_stop(&c);
}

static void
test_one_party_killed(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    for (int round = 0; round < (quick() ? 2 : 3); round++) {
        char id[32];
        size_t victim = round == 1 ? 3 : 2;
        cluster_kill(&c, victim);
        (void)snprintf(id, sizeof id, "after-a-kill-%d-yy", round);
        cluster_body(&c, pk, id, "", 2, "sha256", body, sizeof body);
        verify(cluster_wait(&c, cluster_sign(&c, 1, body), 8000), pk, NULL, 0, NULL);
        cluster_boot(&c, victim);
        assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
        (void)snprintf(id, sizeof id, "after-restart-%d-y", round);
        cluster_body(&c, pk, id, "", 2, "sha256", body, sizeof body);
        verify(cluster_wait(&c, cluster_sign(&c, victim, body), 8000), pk, NULL, 0, NULL);
    }
    /* below the threshold: a clear error in bounded time */
    cluster_kill(&c, 2);
    cluster_kill(&c, 3);
    cluster_body(&c, pk, "nobody-is-left-1", "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 15000);
    assert_non_null(a);
    assert_int_equal(a->error, QR_ERR_QUORUM);
    cluster_stop(&c);
}

/* A member that hangs without closing anything: the request moves on, and the answer says why. */
static void
test_slow_member(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    cluster_body(&c, pk, "before-it-is-slow-1", "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 5000);
    verify(a, pk, NULL, 0, NULL);
    size_t member = a->sgn.signers[0] == 1 ? a->sgn.signers[1] : a->sgn.signers[0];
    size_t other = 5 - member; /* of 2 and 3 */
    /* presignatures with both, so that the timeout and not a missing pool decides */
    c.p[1].party->cfg.pool_standby = 4;
    for (int k = 0; k < 400; k++) {
        cluster_turn(&c);
    }
    c.p[member].frozen = 1;
    uint64_t t0 = c.now;
    cluster_body(&c, pk, "while-it-is-frozen-1", "", 1, "sha256", body, sizeof body);
    a = cluster_wait(&c, cluster_sign(&c, 1, body), 5000);
    verify(a, pk, NULL, 0, NULL);
    assert_int_equal(a->sgn.moves, 1);
    assert_true(a->sgn.signers[0] == other || a->sgn.signers[1] == other);
    assert_non_null(
        memmem(a->sgn.move_reason.p, a->sgn.move_reason.len, "did not answer in time", 22));
    assert_true(c.now - t0 >= 500 * MS && c.now - t0 < 2000 * MS);
    cluster_stop(&c);
}

/* Other shapes: n of n, and 3-of-5 down to exactly three. */
static void
test_shapes(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 2, NULL);
    cluster_keygen(&c, 2, pk);
    cluster_body(&c, pk, "two-of-two-request-1", "", 3, "sha256d", body, sizeof body);
    verify(cluster_wait(&c, cluster_sign(&c, 2, body), 8000), pk, NULL, 0, NULL);
    cluster_stop(&c);

    cluster_start_apart(&c, 5, NULL);
    cluster_pairs(&c, 1 | 4 | 16);
    cluster_keygen(&c, 3, pk);
    cluster_kill(&c, 2);
    cluster_kill(&c, 4);
    cluster_body(&c, pk, "three-of-five-left-1", "", 2, "eip191", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 5, body), 9000);
    verify(a, pk, NULL, 0, NULL);
    assert_int_equal(a->sgn.n_signers, 3);
    cluster_stop(&c);
}

static void
test_refusals(void **state)
{
    struct cluster c;
    uint8_t pk[33], other[33];
    (void)state;
    cluster_start_apart(
        &c, 3,
        "{\"id\":\"one\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"*\"],"
        "\"kinds\":[\"sha256\"]}");
    cluster_keygen(&c, 2, pk);
    cluster_body(&c, pk, "kind-not-allowed-1", "", 1, "digest", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 10);
    assert_int_equal(a->error, QR_ERR_POLICY_DENIED);

    memcpy(other, pk, 33);
    other[0] ^= 1;
    cluster_body(&c, other, "no-such-key-here-1", "", 1, "sha256", body, sizeof body);
    a = cluster_wait(&c, cluster_sign(&c, 1, body), 10);
    assert_int_equal(a->error, QR_ERR_KEY_UNKNOWN);

    /* a body changed after it was stamped */
    cluster_body(&c, pk, "changed-after-stamp", "", 1, "sha256", body, sizeof body);
    struct qr_ask ask = {.what = QR_ASK_SIGN, .n_stamps = 1};
    ask.stamps[0] = cluster_stamp(c.client, body, 1);
    body[strlen(body) - 5] ^= 1;
    ask.body = qr_view_str(body);
    a = cluster_wait(&c, cluster_ask(&c, 1, 0, &ask), 10);
    assert_int_equal(a->error, QR_ERR_STAMP_INVALID);

    /* another client's key; the administrator is no client */
    cluster_body(&c, pk, "stamped-by-a-stranger", "", 1, "sha256", body, sizeof body);
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c.admin, body, 1);
    a = cluster_wait(&c, cluster_ask(&c, 1, 0, &ask), 10);
    assert_int_equal(a->error, QR_ERR_CLIENT_UNKNOWN);
    ask.n_stamps = 0;
    a = cluster_wait(&c, cluster_ask(&c, 1, 0, &ask), 10);
    assert_int_equal(a->error, QR_ERR_STAMP_MISSING);

    /* issued before this party started: its replay table would not know */
    c.wall_ms -= 5000;
    cluster_body(&c, pk, "issued-before-start", "", 1, "sha256", body, sizeof body);
    c.wall_ms += 5000;
    c.p[1].party->started_ms = c.wall_ms;
    a = cluster_wait(&c, cluster_sign(&c, 1, body), 10);
    assert_int_equal(a->error, QR_ERR_EXPIRED);

    /* administration on the gateway's socket */
    struct qr_ask adm = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_DRAIN};
    a = cluster_wait(&c, cluster_ask(&c, 1, 0, &adm), 10);
    assert_int_equal(a->error, QR_ERR_ADMIN);
    cluster_stop(&c);
}

static int
pool_filled(struct cluster *c, void *ctx)
{
    (void)ctx;
    return c->p[1].party->c.presigs_made >= 12 && qr_batch_running(c->p[1].party) == 0;
}

static int
retired_everywhere(struct cluster *c, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= c->n; i++) {
        if (!qr_pairs_retired(c->p[i].party, 1, 2)) {
            return 0;
        }
    }
    return 1;
}

/* The ban rule: durable, announced, survives a restart, signing goes on without the pair. */
static void
test_retired_pair(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    assert_true(cluster_until(&c, 5000, pool_filled, NULL));
    qr_pairs_retire(c.p[1].party, 2);
    /* on disk before anything else happened */
    uint8_t rec[256];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    assert_int_equal(qr_store_get(c.p[1].store, QR_TABLE_PAIR, "1-2", &b), QR_OK);
    assert_false(qr_pairs_active(c.p[1].party, 2));
    assert_true(cluster_until(&c, 2000, retired_everywhere, NULL));
    for (size_t i = 1; i <= 3; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "with-retired-pair-%zu", i);
        cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
        const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, i, body), 8000);
        verify(a, pk, NULL, 0, NULL);
        assert_true(a->sgn.signers[0] != 1 || a->sgn.signers[1] != 2);
    }
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_true(qr_pairs_retired(c.p[1].party, 1, 2));
    assert_null(c.p[1].party->peer[2].pair);
    cluster_stop(&c);
}

/* ---- a member that cheats in presigning ---- */

static struct {
    struct qr_outbox real;
    enum qr_msg type;
    size_t at;
    const uint8_t *target; /* the message being written */
    unsigned cheats;
} cheat;

static uint8_t *
cheat_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
              size_t len)
{
    uint8_t *p = cheat.real.reserve(ctx, to, type, epoch, sid, len);
    if (type == cheat.type && to == 1) {
        cheat.target = p;
    }
    return p;
}

static void
cheat_commit(void *ctx, uint16_t to, uint8_t *p)
{
    if (p == cheat.target) {
        p[cheat.at] ^= 1;
        cheat.target = NULL;
        cheat.cheats++;
    }
    cheat.real.commit(ctx, to, p);
}

static int
first_batch_failed(struct cluster *c, void *ctx)
{
    (void)ctx;
    return c->p[1].party->c.batches_failed > 0;
}

/* Party 2 flips one bit of its messages to party 1; `retires`: is that a failed C1, C2 or C3? */
static void
cheat_once(enum qr_msg type, size_t at, int retires)
{
    struct cluster c;
    uint8_t pk[33];
    cluster_start(&c, 3, NULL);
    struct qr_party *two = c.p[2].party;
    cheat.real = two->out;
    cheat.type = type;
    cheat.at = at;
    cheat.cheats = 0;
    cheat.target = NULL;
    two->out.reserve = cheat_reserve;
    two->out.commit = cheat_commit;
    cluster_keygen(&c, 2, pk);
    assert_true(cluster_until(&c, 5000, first_batch_failed, NULL));
    assert_true(cheat.cheats > 0);
    assert_int_equal(qr_pairs_retired(c.p[1].party, 1, 2), retires);
    if (retires) {
        /* durable by the time anything was answered, told to all, and no innocent pair with it */
        uint8_t rec[256];
        struct qr_buf b = qr_buf_over(rec, sizeof rec);
        assert_int_equal(qr_store_get(c.p[1].store, QR_TABLE_PAIR, "1-2", &b), QR_OK);
        assert_false(qr_pairs_active(c.p[1].party, 2));
        assert_true(cluster_until(&c, 2000, retired_everywhere, NULL));
        assert_false(qr_pairs_retired(c.p[1].party, 1, 3));
        assert_false(qr_pairs_retired(c.p[3].party, 2, 3));
    }
    two->out = cheat.real;
    cluster_body(&c, pk, "after-the-cheating-1", "", 1, "sha256", body, sizeof body);
    verify(cluster_wait(&c, cluster_sign(&c, 1, body), 12000), pk, NULL, 0, NULL);
    cluster_stop(&c);
}

static void
test_cheaters(void **state)
{
    (void)state;
    cheat_once(QR_MSG_PRESIGN1, 40, 1);           /* u: C1 */
    cheat_once(QR_MSG_PRESIGN2, 64 + 164 + 7, 1); /* a row of the RVOLE payload: C2 */
    cheat_once(QR_MSG_PRESIGN2, 0, 0);            /* the salt: a commitment does not open, no ban */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_2of3),
        cmocka_unit_test(test_one_party_killed),
        cmocka_unit_test(test_slow_member),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_late_shares_of_the_same_request),
        cmocka_unit_test(test_members_started_after_the_request),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_retired_pair),
        cmocka_unit_test(test_cheaters),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    qr_log_init(getenv("QR_TEST_LOG") ? QR_LOG_DEBUG : QR_LOG_ERROR, QR_LOG_HUMAN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
