/* The peer secret of whole parties: made, asked back after restarts, waited for, refused in doubt. */
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

/* The answer's text to a question; the caller's until the next. */
static const char *
query(size_t i, enum qr_query what)
{
    static char text[65536];
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = what};
    const struct qr_answer *a = cluster_answer(&c, cluster_ask(&c, i, 0, &ask));

    assert_non_null(a);
    (void)snprintf(text, sizeof text, "%.*s", (int)(a->text.len ? a->text.len : a->json.len),
                   (const char *)(a->text.len ? a->text.p : a->json.p));
    return text;
}

static void
turns(size_t n)
{
    for (size_t k = 0; k < n; k++) {
        cluster_turn(&c);
    }
}

static void
says(const char *text, const char *words)
{
    if (!strstr(text, words)) {
        fail_msg("\"%.600s\" lacks \"%s\"", text, words);
    }
}

static void
test_all_restart_at_once(void **state)
{
    uint8_t pk[33];

    (void)state;
    secretkit_with_pairs();
    secretkit_start(&c, 3, 2);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(qr_secret_state(c.p[i].party), QR_SECRET_OPEN);
    }
    cluster_keygen(&c, 2, pk);
    secretkit_sign(&c, 1, pk);
    for (size_t i = 1; i <= 3; i++) {
        cluster_kill(&c, i);
    }
    for (size_t i = 1; i <= 3; i++) {
        cluster_boot(&c, i);
        assert_int_equal(qr_secret_state(c.p[i].party), QR_SECRET_LOCKED);
        assert_int_equal(c.p[i].party->n_keys, 0);
    }
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(c.p[i].party->n_keys, 1);
    }
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 2, pk);
    /* one peer of two is t - 1 */
    cluster_kill(&c, 1);
    cluster_kill(&c, 3);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_int_equal(c.p[1].party->secret.got, 2);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 1, pk);
}

/* t - 1 of the others are enough, t - 2 are not: it waits, and everybody can see for whom. */
static void
test_waits_and_names_them(void **state)
{
    uint8_t pk[33];
    char body[2048], line[288];

    (void)state;
    secretkit_start(&c, 3, 3);
    cluster_keygen(&c, 3, pk);
    cluster_kill(&c, 1);
    cluster_kill(&c, 3);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    turns(2100);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_LOCKED);
    assert_int_equal(c.p[1].party->secret.got, 2); /* party 2's */
    assert_int_equal(qr_secret_waits(c.p[1].party), 4);
    says(query(1, QR_QUERY_STATUS), "\"peer_secret\":{\"state\":\"locked\",\"epoch\":1,\"need\":2");
    says(query(1, QR_QUERY_STATUS), "\"waits_for\":[3],\"wrong_pieces\":[],\"holds_of\":[2,3]");
    says(query(1, QR_QUERY_METRICS), "quorated_peer_secret_state 2\n");
    says(query(1, QR_QUERY_METRICS), "quorated_peer_secret_waits{peer=\"2\"} 0\n");
    says(query(1, QR_QUERY_METRICS), "quorated_peer_secret_waits{peer=\"3\"} 1\n");
    says(query(1, QR_QUERY_READY), "locked: needs 1 more of its pieces, from party 3");
    assert_int_equal(qr_party_ready(c.p[1].party, line, sizeof line), 0);
    assert_true(secretkit_logged(1, "secret_waits", "needs 1 more of its pieces, from party 3"));
    /* and says so to those who want something */
    cluster_body(&c, pk, "while-it-is-locked", "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 1, body), 100);
    assert_non_null(a);
    assert_int_equal(a->error, QR_ERR_NOT_READY);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL)); /* 1 and 3 by each other's, too */
    assert_int_equal(c.p[1].party->n_keys, 1);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    secretkit_sign(&c, 3, pk);
    assert_int_equal(qr_party_ready(c.p[1].party, line, sizeof line), 1);
    says(query(1, QR_QUERY_STATUS), "\"state\":\"open\"");
}

/* Turned on under keys that are there, in a quorum where one party cannot write. */
static void
test_no_key_before_all_hold_their_pieces(void **state)
{
    uint8_t pk[33], stored[QR_SECRET_RECORD_MAX];
    char name[65];
    struct qr_key key;

    (void)state;
    secretkit_start_as(&c, 3, secretkit_peers(0));
    cluster_keygen(&c, 2, pk);
    qr_hex_encode(qr_view_of(c.p[1].party->key[0].key->pub.key_id, 32), name);
    cluster_policy(&c, secretkit_peers(2));
    c.p[3].party->store_failed = 1;
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    turns(300);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_MAKING);
    assert_int_equal(qr_secret_waits(c.p[1].party), 4);
    secretkit_no_key(&c, 1, 2, QR_ERR_NOT_READY, "peer secret not made yet: waits for party 3");
    says(query(1, QR_QUERY_READY), "peer secret not made yet: waits for party 3");
    assert_true(secretkit_logged(3, "piece_not_taken", "store failed"));
    assert_true(secretkit_logged(1, "piece_not_taken", "it is busy"));
    secretkit_sign(&c, 1, pk); /* the key that is there goes on */
    struct qr_buf b = qr_buf_over(stored, sizeof stored);
    assert_int_equal(qr_store_get(c.p[1].store, QR_TABLE_KEY, name, &b), QR_OK);
    assert_int_equal(qr_key_decode(qr_buf_view(&b), &key), QR_OK); /* as the platform alone seals */

    cluster_kill(&c, 3);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 9000, secretkit_open, NULL));
    b = qr_buf_over(stored, sizeof stored);
    assert_int_equal(qr_store_get(c.p[1].store, QR_TABLE_KEY, name, &b), QR_OK);
    assert_int_not_equal(qr_key_decode(qr_buf_view(&b), &key), QR_OK);
    assert_null(memmem(stored, b.len, pk, sizeof pk));
    secretkit_no_key(&c, 1, 3, QR_ERR_USAGE, "above the policy's peer_secret.threshold, 2");
    cluster_keygen(&c, 2, pk);
    /* a policy that asks for none does not undo it */
    cluster_policy(&c, secretkit_peers(0));
    turns(200);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    cluster_keygen(&c, 3, pk);
    for (size_t i = 1; i <= 3; i++) {
        cluster_kill(&c, i);
        cluster_boot(&c, i);
        assert_int_equal(qr_secret_state(c.p[i].party), QR_SECRET_LOCKED);
    }
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
    assert_int_equal(c.p[2].party->n_keys, 3);
}

/* ---- doubt ------------------------------------------------------------------------------- */

static qr_err
no_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    (void)ctx;
    (void)binder;
    (void)out;
    return QR_ERR_PLATFORM;
}

static int
is_stale(struct cluster *x, void *unused)
{
    (void)unused;
    return x->p[2].party->attest.peer[1].stage >= QR_FRESH_NO_PEERS;
}

/* A threshold that this roster cannot have, in place of the policy in force. */
static void
refuse_threshold(const char *was)
{
    char doc[sizeof c.policy];
    memcpy(doc, c.policy, sizeof doc);
    char *at = strstr(doc, "\"serial\":1"), *peers = strstr(doc, was);
    assert_true(at && peers);
    at[9] = '2';
    char text[sizeof doc];
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(peers - doc), doc, secretkit_peers(3),
                   peers + strlen(was));
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_POLICY, .n_stamps = 1};
    ask.body = qr_view_str(text);
    ask.stamps[0] = cluster_stamp(c.admin, text, 0);
    const struct qr_answer *a = cluster_answer(&c, cluster_ask(&c, 1, 1, &ask));
    assert_non_null(a);
    assert_int_equal(a->error, QR_ERR_SET);
    assert_non_null(memmem(a->detail.p, a->detail.len, "threshold is 3, but the roster has 2", 36));
}

/* Evidence that is not renewed: the channel stays for a while, and gives no piece any more. */
static void
test_nothing_for_stale_evidence(void **state)
{
    static const char stages[] =
        "{\"insecure_sim\":true,\"peer_secret\":{\"threshold\":2},\"freshness\":{\"max_age_s\":300,"
        "\"reattest_s\":2,\"clock_spread_s\":5,\"stages\":{\"warn_s\":4,\"no_peers_s\":8,"
        "\"no_keys_s\":12,\"stop_s\":16}}}";
    uint8_t get[4] = {0, 0, 0, 1};

    (void)state;
    secretkit_start_as(&c, 2, stages);
    assert_true(cluster_until(&c, 1000, secretkit_open, NULL));
    refuse_threshold(stages);
    secretkit_say(&c, 1, 2, QR_MSG_SECRET_GET, qr_view_of(get, 4));
    assert_true(secretkit_logged(2, "piece_given", "epoch 1"));
    c.p[1].tee.evidence = no_evidence;
    for (int k = 0; k < 200 && !is_stale(&c, NULL); k++) {
        cluster_jump(&c, 100 * MS, 4);
    }
    assert_true(is_stale(&c, NULL));
    assert_true(qr_net_is_up(c.p[2].party->net, 1));
    secretkit_say(&c, 1, 2, QR_MSG_SECRET_GET, qr_view_of(get, 4));
    assert_true(secretkit_logged(2, "piece_refused", "its evidence is too old (stage no-peers)"));
}

/* Whom its holders doubt stays locked, hears no reason, and opens when the doubt is gone. */
static void
test_refused_in_doubt(void **state)
{
    (void)state;
    secretkit_start(&c, 3, 2);
    cluster_kill(&c, 1);
    c.p[2].party->attest.self_failed = c.p[3].party->attest.self_failed = 1;
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 5000, cluster_linked, NULL));
    turns(200);
    assert_int_equal(qr_secret_state(c.p[1].party), QR_SECRET_LOCKED);
    assert_int_equal(qr_secret_waits(c.p[1].party), 2 | 4);
    assert_true(secretkit_logged(2, "piece_refused", "our own evidence does not pass the policy"));
    assert_true(
        secretkit_logged(1, "piece_refused", "it is in doubt of the policy; its log says why"));
    assert_false(secretkit_logged(1, "piece_refused", "our own evidence"));
    c.p[3].party->attest.self_failed = 0;
    assert_true(cluster_until(&c, 5000, secretkit_open, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_restart_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_and_names_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key_before_all_hold_their_pieces, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_for_stale_evidence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_in_doubt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
