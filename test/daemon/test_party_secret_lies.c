/* Peers, owners and hosts that lie about pieces of a secret: each is refused, named, or bounded. */
#include "test/common/cluster.h"
#include "test/common/secretkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

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

/* A good PUT of `from` for `to`, of any secret. */
static struct qr_ctl_secret_put
put_of(size_t from, size_t to, uint32_t epoch, uint32_t keep, uint8_t byte)
{
    struct qr_ctl_secret_put m = {.epoch = epoch, .keep = keep, .need = 1};
    struct qr_piece piece = {
        .name = {.epoch = epoch, .owner = (uint16_t)from, .holder = (uint16_t)to, .need = 1}};
    memcpy(piece.name.owner_id, c.p[from].id, 32);
    memset(m.piece.b, byte, 32);
    piece.y = m.piece;
    qr_piece_commitment(&piece, m.commitment);
    return m;
}

static void
say_put(size_t from, size_t to, const struct qr_ctl_secret_put *m)
{
    uint8_t mem[QR_CTL_SECRET_PUT_LEN];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_put(&b, m);
    secretkit_say(&c, from, to, QR_MSG_SECRET_PUT, qr_buf_view(&b));
}

static void
say_epoch(size_t from, size_t to, enum qr_msg type, uint32_t epoch)
{
    uint8_t mem[4];
    qr_put32(mem, epoch);
    secretkit_say(&c, from, to, type, qr_view_of(mem, 4));
}

static int
count_one(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return 0;
}

static size_t
rows(size_t i)
{
    size_t n = 0;
    assert_int_equal(qr_store_scan(c.p[i].store, QR_TABLE_PIECE, count_one, &n), QR_OK);
    return n;
}

/* What an owner can say to a holder, true and false; party 2 holds party 1's piece of epoch 1. */
static void
test_owners_that_lie(void **state)
{
    struct qr_piece was, is;
    uint8_t pk[33];

    (void)state;
    secretkit_start(&c, 3, 2);
    cluster_keygen(&c, 2, pk);
    assert_true(secretkit_piece(&c, 2, 1, 1, &was));
    assert_int_equal(was.name.holder, 2);
    assert_memory_equal(was.name.owner_id, c.p[1].id, 32);
    uint64_t serial = qr_store_serial(c.p[2].store);

    struct qr_ctl_secret_put m = put_of(1, 2, 1, 0, 7); /* another piece of the epoch it holds */
    say_put(1, 2, &m);
    assert_true(secretkit_logged(2, "piece_not_taken", "another piece of this epoch is held"));
    m = put_of(1, 2, 2, 1, 7); /* not what the commitment says */
    m.piece.b[0] ^= 1;
    say_put(1, 2, &m);
    assert_true(secretkit_logged(2, "piece_not_taken", "does not fit its commitment"));
    m = put_of(3, 2, 2, 1, 7); /* party 3's, said by party 1: names are the channel's */
    say_put(1, 2, &m);
    uint8_t rubbish[QR_CTL_SECRET_PUT_LEN] = {0};
    secretkit_say(&c, 1, 2, QR_MSG_SECRET_PUT, qr_view_of(rubbish, sizeof rubbish));
    assert_true(secretkit_logged(2, "piece_malformed", "malformed"));
    say_epoch(1, 2, QR_MSG_SECRET_KEEP, 9); /* nothing would be left */
    assert_int_equal(qr_store_serial(c.p[2].store), serial);

    m = put_of(1, 2, 5, 1, 9);
    say_put(1, 2, &m); /* one that is taken, beside the first */
    say_put(1, 2, &m); /* and again: nothing is written */
    assert_int_equal(qr_store_serial(c.p[2].store), serial + 1);
    m = put_of(1, 2, 4, 1, 9);
    say_put(1, 2, &m); /* replayed: older than the newest */
    assert_true(secretkit_logged(2, "piece_not_taken", "a newer one is held"));
    assert_int_equal(qr_store_serial(c.p[2].store), serial + 1);
    assert_int_equal(rows(2), 3); /* two of party 1, one of party 3 */

    /* from another index, of another epoch, for another identity */
    say_epoch(3, 2, QR_MSG_SECRET_GET, 1);
    assert_true(secretkit_logged(2, "piece_given", "\"peer\":3")); /* its own, not 1's */
    assert_false(secretkit_logged(2, "piece_given", "\"peer\":1"));
    say_epoch(1, 2, QR_MSG_SECRET_GET, 2);
    assert_true(secretkit_logged(2, "piece_refused", "its piece of epoch 2 was not given"));
    uint8_t id[32];
    memcpy(id, c.p[2].party->secret.peer[1].id, 32);
    memset(c.p[2].party->secret.peer[1].id, 0x77, 32);
    say_epoch(1, 2, QR_MSG_SECRET_GET, 1);
    say_epoch(1, 2, QR_MSG_SECRET_KEEP, 1);
    memcpy(c.p[2].party->secret.peer[1].id, id, 32);
    assert_true(secretkit_logged(
        2, "piece_refused", "piece of epoch 1 was not given: there is none here of this epoch"));
    assert_int_equal(rows(2), 3);

    for (uint32_t e = 6; e < 300; e++) { /* a flood */
        m = put_of(1, 2, e, 1, (uint8_t)e);
        say_put(1, 2, &m);
    }
    assert_int_equal(rows(2), 3);
    assert_in_range(qr_store_serial(c.p[2].store), serial + 2, serial + 4);
    /* the piece in force was kept through all of it, and the honest owner has the rest dropped */
    assert_true(secretkit_piece(&c, 2, 1, 1, &is));
    assert_true(secretkit_same_piece(&was, &is));
    say_epoch(1, 2, QR_MSG_SECRET_KEEP, 1);
    assert_int_equal(rows(2), 2);
    secretkit_sign(&c, 1, pk);
}

/* The holder's store is changed, as a holder that lies would: the owner names it and goes on without. */
static void
test_holders_that_lie(void **state)
{
    struct qr_piece piece;
    uint8_t rec[QR_PIECE_RECORD_LEN], pk[33], mem[QR_CTL_SECRET_PIECE_LEN];

    (void)state;
    secretkit_start(&c, 3, 2);
    cluster_keygen(&c, 2, pk);
    assert_true(secretkit_piece(&c, 2, 1, 1, &piece));
    /* what nobody asked for changes nothing */
    struct qr_ctl_secret_piece m = {.epoch = 1, .holder = 2};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_piece(&b, &m);
    secretkit_say(&c, 2, 1, QR_MSG_SECRET_PIECE, qr_buf_view(&b));
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_OPEN);

    piece.y.b[7] ^= 1;
    qr_piece_encode(&piece, rec);
    assert_int_equal(qr_store_put(c.p[2].store, QR_TABLE_PIECE, "1-1", qr_view_of(rec, sizeof rec)),
                     QR_OK);
    cluster_kill(&c, 1);
    cluster_kill(&c, 3);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    turns(50);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_LOCKED);
    assert_true(secretkit_logged(1, "piece_wrong", "is not the one it was given"));
    assert_true(secretkit_logged(1, "\"peer\":2", "it lies, or its store was changed"));
    assert_int_equal(c.p[1].party->secret.lied, 2);
    assert_int_equal(c.p[1].party->n_keys, 0);
    /* of another epoch, malformed, refused, from one whose piece was wrong: nothing opens */
    m = (struct qr_ctl_secret_piece){.epoch = 2, .holder = 2};
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_piece(&b, &m);
    secretkit_say(&c, 2, 1, QR_MSG_SECRET_PIECE, qr_buf_view(&b));
    secretkit_say(&c, 2, 1, QR_MSG_SECRET_PIECE, qr_view_of(mem, 5));
    m = (struct qr_ctl_secret_piece){.epoch = 1, .code = QR_ABORT_GONE};
    b = qr_buf_over(mem, sizeof mem);
    qr_ctl_put_secret_piece(&b, &m);
    secretkit_say(&c, 2, 1, QR_MSG_SECRET_PIECE, qr_buf_view(&b));
    assert_true(secretkit_logged(1, "piece_refused", "it has no piece of this epoch and identity"));
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_LOCKED);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 1, pk);
    /* a list of pieces that makes no sense, from a holder */
    uint8_t have[QR_CTL_SECRET_HAVE_LEN];
    memset(have, 0xff, sizeof have);
    secretkit_say(&c, 2, 1, QR_MSG_SECRET_HAVE, qr_view_of(have, sizeof have));
    assert_true(secretkit_logged(1, "piece_malformed", "list"));
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_OPEN);
}

/* A holder that lost its piece gets the very same again while the owner is open. */
static void
test_a_lost_piece_is_given_anew(void **state)
{
    struct qr_piece was, is;
    uint8_t pk[33];

    (void)state;
    secretkit_start(&c, 3, 3);
    cluster_keygen(&c, 3, pk);
    assert_true(secretkit_piece(&c, 2, 1, 1, &was));
    assert_int_equal(qr_store_del(c.p[2].store, QR_TABLE_PIECE, "1-1"), QR_OK);
    cluster_kill(&c, 2);
    cluster_boot(&c, 2);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    assert_true(secretkit_logged(1, "piece_lost", "is given it anew"));
    assert_true(secretkit_piece(&c, 2, 1, 1, &is));
    assert_true(secretkit_same_piece(&was, &is));
    for (size_t i = 1; i <= 3; i++) {
        cluster_kill(&c, i);
        cluster_boot(&c, i);
    }
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    /* an owner that lied before has left a newer one there, and the old is gone: all get a new one */
    struct qr_ctl_secret_put m = put_of(1, 2, 8, 0, 9);
    m.need = 2;
    struct qr_piece piece = {.name = {.epoch = 8, .owner = 1, .holder = 2, .need = 2},
                             .y = m.piece};
    memcpy(piece.name.owner_id, c.p[1].id, 32);
    qr_piece_commitment(&piece, m.commitment);
    say_put(1, 2, &m);
    turns(50);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->secret.now.epoch, 9);
    assert_true(secretkit_piece(&c, 2, 1, 9, &is));
    assert_int_equal(rows(2), 2);
}

static void
copy_store(size_t i, const char *from, const char *to)
{
    char cmd[512];
    (void)snprintf(cmd, sizeof cmd, "for f in %s/%s*; do cp -p \"$f\" \"%s/%s${f#%s/%s}\"; done",
                   c.p[i].dir, from, c.p[i].dir, to, c.p[i].dir, from);
    assert_int_equal(system(cmd), 0);
}

static void
drop_store(size_t i, const char *name)
{
    char cmd[256];
    (void)snprintf(cmd, sizeof cmd, "rm -f %s/%s*", c.p[i].dir, name);
    assert_int_equal(system(cmd), 0);
}

/* The host puts an old copy back: the peers remember, refuse the party, and give it nothing. */
static void
test_old_copies_of_a_store(void **state)
{
    (void)state;
    secretkit_start(&c, 3, 2);
    cluster_kill(&c, 1);
    copy_store(1, "store.db", "old.db");
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    assert_int_equal(qr_secret_rotate(c.p[1].party, 2), QR_OK);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->secret.now.epoch, 2);
    cluster_kill(&c, 1);
    drop_store(1, "store.db");
    copy_store(1, "old.db", "store.db");
    secretkit_log_start(&c);
    cluster_boot(&c, 1);
    assert_int_equal(c.p[1].party->secret.now.epoch, 1);
    turns(3000);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_LOCKED);
    assert_false(qr_net_is_up(c.p[2].party->net, 1));
    assert_true(secretkit_logged(2, "peer_refused", "its sealed store was copied or rolled back"));
    assert_false(secretkit_logged(0, "piece_given", ""));
    /* it held pieces for the others, too: they do not ask it */
    assert_int_equal(qr_secret_waits(c.p[1].party), 2 | 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_owners_that_lie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_holders_that_lie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_piece_is_given_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_copies_of_a_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
