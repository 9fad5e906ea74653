/* Another secret in place of the one in force: by epoch, roster or threshold, and crashes on the way. */
#include "test/common/cluster.h"
#include "test/common/secretkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct cluster c;

static int
set_up(void **state)
{
    (void)state;
    secretkit_log_start(&c);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    secretkit_stop(&c);
    secretkit_log_stop();
    return 0;
}

static void
turns(size_t n)
{
    for (size_t k = 0; k < n; k++) {
        cluster_turn(&c);
    }
}

static void
restart_all(void)
{
    for (size_t i = 1; i <= c.n; i++) {
        cluster_kill(&c, i);
    }
    for (size_t i = 1; i <= c.n; i++) {
        cluster_boot(&c, i);
    }
}

static size_t
key_record(size_t i, char name[65], uint8_t out[static QR_SECRET_RECORD_MAX])
{
    struct qr_buf b = qr_buf_over(out, QR_SECRET_RECORD_MAX);
    if (c.p[i].party->n_keys) {
        qr_hex_encode(qr_view_of(c.p[i].party->key[0].key->pub.key_id, 32), name);
    }
    assert_int_equal(qr_store_get(c.p[i].store, QR_TABLE_KEY, name, &b), QR_OK);
    return b.len;
}

static void
test_by_epoch(void **state)
{
    static uint8_t was[QR_SECRET_RECORD_MAX], is[QR_SECRET_RECORD_MAX];
    uint8_t pk[33];
    char name[65], line[288];
    struct qr_piece piece;

    (void)state;
    secretkit_start(&c, 3, 2);
    struct qr_party *p = c.p[1].party;
    cluster_keygen(&c, 2, pk);
    size_t n = key_record(1, name, was);
    assert_int_equal(qr_secret_rotate(p, 1), QR_ERR_SERIAL);
    assert_int_equal(qr_secret_rotate(p, 5), QR_OK);
    assert_int_equal(qr_secret_rotate(p, 6), QR_ERR_BUSY);
    cluster_turn(&c); /* under way: the old one counts, and keys may be made */
    assert_int_equal(p->secret.now.epoch, 1);
    assert_int_equal(qr_secret_may_keygen(p, 2, line, sizeof line), QR_OK);
    assert_true(cluster_until(&c, 1000, secretkit_open, NULL));
    assert_int_equal(p->secret.now.epoch, 5);
    assert_int_equal(qr_secret_rotate(p, 5), QR_ERR_SERIAL);
    turns(20);
    assert_int_equal(key_record(1, name, is), n);
    assert_memory_not_equal(was, is, n);
    for (size_t i = 2; i <= 3; i++) {
        assert_true(secretkit_piece(&c, i, 1, 5, &piece));
        assert_false(secretkit_piece(&c, i, 1, 1, &piece));
        assert_true(secretkit_logged(i, "piece_dropped", "epoch 5 counts"));
    }
    restart_all();
    assert_int_equal(qr_secret_rotate(c.p[1].party, 9), QR_ERR_NOT_READY); /* locked */
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 1, pk);

    /* the record of the epoch before, put back where the new one was */
    assert_int_equal(qr_store_put(c.p[1].store, QR_TABLE_KEY, name, qr_view_of(was, n)), QR_OK);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    turns(50);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_BROKEN);
    assert_int_equal(c.p[1].party->n_keys, 0);
    assert_int_equal(qr_party_ready(c.p[1].party, line, sizeof line), 0);
    assert_non_null(strstr(line, "keys do not open with the peer secret"));
    assert_true(secretkit_logged(1, "secret_broken", "replace the store by the newest good copy"));
    secretkit_sign(&c, 2, pk); /* the others go on */
}

/* Owner and holder stop at every moment of a rotation: one of the two secrets opens, and signs. */
static void
test_stopped_at_every_step(void **state)
{
    uint8_t pk[33];
    uint32_t began = 0;
    unsigned olds = 0, news = 0;

    (void)state;
    secretkit_start(&c, 2, 2);
    cluster_keygen(&c, 2, pk);
    for (size_t k = 0; olds == 0 || news < 2; k++) {
        struct qr_secret *s = &c.p[1].party->secret;
        uint32_t was = s->now.epoch;
        assert_true(k < 12);
        assert_true(s->last + 1 > began); /* no number a second time */
        began = s->last + 1;
        assert_int_equal(qr_secret_rotate(c.p[1].party, began), QR_OK);
        turns(k);
        restart_all();
        uint32_t now = c.p[1].party->secret.now.epoch;
        assert_true(now == was || now == began);
        olds += now == was;
        news += now == began;
        assert_int_equal(c.p[1].party->secret.last, began);
        assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
        assert_int_equal(c.p[1].party->n_keys, 1);
    }
    assert_true(olds > 0 && news > 0);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 1, pk);
    secretkit_sign(&c, 2, pk);
}

/* Another roster, then another threshold: the old pieces count until all hold the new ones. */
static void
test_by_roster_and_threshold(void **state)
{
    uint8_t pk[33];
    struct qr_piece piece;

    (void)state;
    secretkit_start(&c, 2, 2);
    cluster_keygen(&c, 2, pk);
    cluster_grow(&c);
    cluster_roster(&c);
    c.p[3].frozen = 1; /* as if it were not there */
    turns(300);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_MAKING);
    assert_int_equal(qr_secret_waits(c.p[1].party), 4);
    assert_int_equal(c.p[1].party->secret.now.epoch, 1);
    assert_true(secretkit_piece(&c, 2, 1, 1, &piece));
    assert_true(secretkit_piece(&c, 2, 1, 2, &piece));
    cluster_kill(&c, 1);
    cluster_boot(&c, 1); /* by the old one, and then it begins again */
    turns(300);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_MAKING);
    assert_int_equal(c.p[1].party->n_keys, 1);
    assert_int_equal(c.p[1].party->secret.next.epoch, 3);
    secretkit_no_key(&c, 2, 2, QR_ERR_QUORUM, "party 3 is not connected");
    c.p[3].frozen = 0;
    assert_true(cluster_until(&c, 9000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->secret.now.epoch, 3);
    assert_int_equal(c.p[1].party->secret.now.n, 2);
    turns(20);
    assert_false(secretkit_piece(&c, 2, 1, 1, &piece));
    assert_true(secretkit_piece(&c, 3, 1, 3, &piece));
    assert_int_equal(piece.name.need, 1);

    cluster_policy(&c, secretkit_peers(3));
    turns(300);
    assert_true(cluster_until(&c, 9000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->secret.now.epoch, 4);
    assert_true(secretkit_piece(&c, 3, 1, 4, &piece));
    assert_int_equal(piece.name.need, 2);
    restart_all();
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->n_keys, 1);
    uint8_t other[33];
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    cluster_keygen(&c, 3, other);
    secretkit_sign(&c, 3, other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_at_every_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_by_roster_and_threshold, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
