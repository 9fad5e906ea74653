/* Authority and hostile hosts at party level: documents, commands, rollbacks, clones, crashes. */
#include "test/common/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static char body[65536];

/* The store takes everything but the count of starts, or no removals, while these are set. */
static int wrap_boot_fails, wrap_del_fails;
qr_err __real_qr_store_del(struct qr_store *s, enum qr_table t, const char *name);
qr_err __wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name);

qr_err
__wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name)
{
    return wrap_del_fails ? QR_ERR_STORE : __real_qr_store_del(s, t, name);
}

qr_err __real_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);
qr_err __wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);

qr_err
__wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value)
{
    return wrap_boot_fails && strcmp(name, "boot") == 0 ? QR_ERR_STORE
                                                        : __real_qr_store_put(s, t, name, value);
}

static const struct qr_answer *
admin(struct cluster *c, size_t i, enum qr_admin what, const char *text, EVP_PKEY *key)
{
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = what, .n_stamps = key ? 1 : 0};
    ask.body = qr_view_str(text);
    if (key) {
        ask.stamps[0] = cluster_stamp(key, text, 2);
    }
    return cluster_wait(c, cluster_ask(c, i, 1, &ask), 3000);
}

static void
command(struct cluster *c, const char *id, const char *what, char *out, size_t cap)
{
    char cid[65];
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    (void)snprintf(
        out, cap,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"%s\",\"issued_ms\":%llu,"
        "\"expires_ms\":%llu,%s}",
        cid, id, (unsigned long long)c->wall_ms, (unsigned long long)c->wall_ms + 60000, what);
}

/* The policy in force with another serial and rule. */
static void
policy(struct cluster *c, unsigned serial, const char *kinds, int sim, char *out, size_t cap)
{
    char cid[65], key[67];
    struct qr_stamp_key k;
    assert_int_equal(qr_stamp_key_of(c->client, &k), QR_OK);
    qr_hex_encode(qr_view_of(k.b, 33), key);
    qr_hex_encode(qr_view_of(c->cluster, 32), cid);
    (void)snprintf(
        out, cap,
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%s\",\"serial\":%u,"
        "\"peers\":{\"insecure_sim\":%s},\"requests\":{\"clients\":[{\"name\":\"ops\","
        "\"scheme\":\"p256\",\"key\":\"%s\"}],\"rules\":[{\"id\":\"r\",\"effect\":\"allow\","
        "\"clients\":[\"ops\"],\"keys\":[\"*\"],\"kinds\":[%s]}]}}",
        cid, serial, sim ? "true" : "false", key, kinds);
}

static int
signs(struct cluster *c, size_t at, const uint8_t pk[33], const char *id, const char *kind)
{
    cluster_body(c, pk, id, "", 1, kind, body, sizeof body);
    const struct qr_answer *a = cluster_wait(c, cluster_sign(c, at, body), 12000);
    return a && a->error == QR_OK && a->is_signed;
}

static int
all_up(struct cluster *c, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= c->n; i++) {
        for (uint16_t j = 1; j <= c->n; j++) {
            if (j != i && c->p[i].alive && c->p[j].alive && !qr_net_is_up(c->p[i].party->net, j)) {
                return 0;
            }
        }
    }
    return 1;
}

static void
test_policy_serials(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    char doc[4096];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    assert_true(signs(&c, 1, pk, "under-policy-one-1", "sha256"));

    /* unsigned, signed by a stranger, lower, equal with other bytes, without sim */
    policy(&c, 2, "\"digest\"", 1, doc, sizeof doc);
    assert_int_equal(admin(&c, 1, QR_ADMIN_LOAD_POLICY, doc, NULL)->error, QR_ERR_STAMP_MISSING);
    assert_int_equal(admin(&c, 1, QR_ADMIN_LOAD_POLICY, doc, c.client)->error, QR_ERR_ADMIN);
    policy(&c, 1, "\"digest\"", 1, doc, sizeof doc);
    assert_int_equal(admin(&c, 1, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_ERR_SERIAL);
    policy(&c, 2, "\"digest\"", 0, doc, sizeof doc);
    assert_int_equal(admin(&c, 1, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_ERR_INSECURE_SIM);

    /* one party has the new policy: it refuses peers with the old one, which can still sign */
    policy(&c, 2, "\"digest\"", 1, doc, sizeof doc);
    assert_int_equal(admin(&c, 3, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_OK);
    for (int k = 0; k < 500; k++) {
        cluster_turn(&c);
    }
    assert_false(qr_net_is_up(c.p[1].party->net, 3));
    assert_true(signs(&c, 1, pk, "two-with-the-old-one", "sha256"));
    assert_false(signs(&c, 3, pk, "alone-with-new-one-1", "digest"));
    /* now everywhere: links come back, the new rule holds and the old one is gone */
    assert_int_equal(admin(&c, 1, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_OK);
    assert_int_equal(admin(&c, 2, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_OK);
    assert_true(cluster_until(&c, 8000, all_up, NULL));
    assert_true(signs(&c, 1, pk, "digest-by-new-rule-1", "digest"));
    assert_false(signs(&c, 1, pk, "sha256-not-any-more1", "sha256"));
    /* and it stays after a restart */
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_int_equal(qr_policy_serial(c.p[1].party->policy), 2);
    cluster_stop(&c);
}

static void
test_commands(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    char cmd[1024];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);

    command(&c, "retire-by-stranger-1", "\"cmd\":\"retire\",\"pair\":[1,2]", cmd, sizeof cmd);
    assert_int_equal(admin(&c, 1, QR_ADMIN_COMMAND, cmd, c.client)->error, QR_ERR_ADMIN);
    assert_false(qr_pairs_retired(c.p[1].party, 1, 2));

    command(&c, "retire-one-and-two-1", "\"cmd\":\"retire\",\"pair\":[1,2]", cmd, sizeof cmd);
    assert_int_equal(admin(&c, 3, QR_ADMIN_COMMAND, cmd, c.admin)->error, QR_OK);
    assert_int_equal(admin(&c, 3, QR_ADMIN_COMMAND, cmd, c.admin)->error, QR_ERR_REPLAY_CONFLICT);
    for (int k = 0; k < 200; k++) {
        cluster_turn(&c);
    }
    for (size_t i = 1; i <= 3; i++) {
        assert_true(qr_pairs_retired(c.p[i].party, 1, 2));
    }
    assert_null(c.p[1].party->peer[2].pair);
    assert_true(signs(&c, 1, pk, "around-retired-pair1", "sha256"));

    command(&c, "readmit-one-and-two1", "\"cmd\":\"readmit\",\"pair\":[1,2]", cmd, sizeof cmd);
    assert_int_equal(admin(&c, 1, QR_ADMIN_COMMAND, cmd, c.admin)->error, QR_OK);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_true(qr_pairs_active(c.p[1].party, 2) && qr_pairs_active(c.p[2].party, 1));
    cluster_kill(&c, 3);
    assert_true(signs(&c, 1, pk, "with-the-pair-again1", "sha256"));

    /* keygen with a party away, and with a threshold above n */
    command(&c, "keygen-one-is-away-1", "\"cmd\":\"keygen\",\"t\":2", cmd, sizeof cmd);
    assert_int_equal(admin(&c, 1, QR_ADMIN_COMMAND, cmd, c.admin)->error, QR_ERR_QUORUM);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    command(&c, "keygen-threshold-16x", "\"cmd\":\"keygen\",\"t\":16", cmd, sizeof cmd);
    assert_int_not_equal(admin(&c, 1, QR_ADMIN_COMMAND, cmd, c.admin)->error, QR_OK);
    assert_int_equal(c.p[2].party->n_keys, 1);
    cluster_stop(&c);
}

static void
copy_store(struct cluster *c, size_t i, int restore)
{
    char cmd[512];
    const char *d = c->p[i].dir;
    (void)snprintf(cmd, sizeof cmd,
                   restore ? "rm -f '%s'/store.db*; cp -p '%s'/old/* '%s'/"
                           : "mkdir -p '%s'/old && cp -p '%s'/store.db* '%s'/old/",
                   d, d, d);
    assert_int_equal(system(cmd), 0);
}

static int
rollback_seen(struct cluster *c, void *ctx)
{
    (void)ctx;
    return c->p[1].party->c.attest_refused > 0 && !qr_net_is_up(c->p[1].party->net, 3);
}

/* The host puts an old disk back: the peers remember a higher serial and refuse the party. */
static void
attack_23_rolled_back_store(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start_apart(&c, 3, NULL);
    cluster_kill(&c, 3);
    copy_store(&c, 3, 0);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    cluster_keygen(&c, 2, pk); /* raises every serial */
    for (int k = 0; k < 100; k++) {
        cluster_turn(&c);
    }
    cluster_kill(&c, 3);
    copy_store(&c, 3, 1);
    uint64_t before = c.p[1].party->c.attest_refused;
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 5000, rollback_seen, NULL));
    assert_true(c.p[1].party->c.attest_refused > before);
    assert_false(qr_net_is_up(c.p[1].party->net, 3));
    assert_false(qr_net_is_up(c.p[2].party->net, 3));
    cluster_pairs(&c, 1 | 2);
    assert_true(signs(&c, 1, pk, "without-the-old-disk", "sha256"));
    /* the peers' memory of it is on their disks, too */
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
    }
    assert_false(qr_net_is_up(c.p[1].party->net, 3));
    cluster_stop(&c);
}

static int
others_done(struct cluster *c, void *ctx)
{
    for (size_t i = 1; i <= 3; i++) {
        const struct qr_party *p = c->p[i].party;
        if (i != *(size_t *)ctx && (p->n_keys == 0 || p->key[0].key->state != QR_KEY_ACTIVE)) {
            return 0;
        }
    }
    return 1;
}

static int
victim_active(struct cluster *c, void *ctx)
{
    const struct qr_party *p = c->p[*(size_t *)ctx].party;
    return p->n_keys == 1 && p->key[0].key->state == QR_KEY_ACTIVE;
}

/* Begins a key and stops where one party has confirmed without having the others' confirmations. */
static size_t
first_to_confirm(struct cluster *c, const char *id)
{
    char cmd[1024];
    command(c, id, "\"cmd\":\"keygen\",\"t\":2", cmd, sizeof cmd);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(cmd);
    ask.stamps[0] = cluster_stamp(c->admin, cmd, 2);
    (void)cluster_ask(c, 1, 1, &ask);
    for (int k = 0; k < 20000; k++) {
        c->now += MS;
        c->wall_ms++;
        for (size_t i = 1; i <= 3; i++) {
            (void)qr_party_step(c->p[i].party, c->now, c->wall_ms);
            if (c->p[i].party->keygen[0].persisted) {
                return i;
            }
        }
    }
    fail_msg("nobody confirmed");
    return 0;
}

/* A crash after our confirmation left and before the others' arrived: pending, then activated. */
static void
test_crash_in_keygen(void **state)
{
    struct cluster c;
    (void)state;
    cluster_start_apart(&c, 3, NULL);
    size_t victim = first_to_confirm(&c, "keygen-with-a-crash1");
    assert_int_equal(c.p[victim].party->key[0].key->state, QR_KEY_PENDING);
    cluster_kill(&c, victim);
    assert_true(cluster_until(&c, 3000, others_done, &victim));
    cluster_boot(&c, victim);
    assert_int_equal(c.p[victim].party->n_keys, 1);
    assert_int_equal(c.p[victim].party->key[0].key->state, QR_KEY_PENDING);
    assert_true(cluster_until(&c, 20000, victim_active, &victim));
    uint8_t pk[33];
    memcpy(pk, c.p[victim].party->key[0].key->pub.pk, 33);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    cluster_pairs(&c, (uint16_t)(victim == 1 ? 1 | 2 : 1 | 1u << (victim - 1)));
    assert_true(signs(&c, victim, pk, "by-the-one-that-died", "sha256"));
    cluster_stop(&c);
}

/*
 * The same, but it is a peer that is lost, and we live on: the key that the others may have announced
 * must come to be active here without a restart.
 */
static void
test_peer_lost_in_keygen(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    (void)state;
    cluster_start_apart(&c, 3, NULL);
    size_t victim = first_to_confirm(&c, "keygen-and-a-loss-01");
    struct qr_party *p = c.p[victim].party;
    c.p[victim].frozen = 1;
    assert_true(cluster_until(&c, 3000, others_done, &victim));
    qr_keygen_kill(p, (uint16_t)(victim == 1 ? 2 : 1));
    assert_int_equal(p->keygen[0].used, 0);
    c.p[victim].frozen = 0;
    assert_true(cluster_until(&c, 5000, victim_active, &victim));
    memcpy(pk, p->key[0].key->pub.pk, 33);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    cluster_pairs(&c, (uint16_t)(victim == 1 ? 1 | 2 : 1 | 1u << (victim - 1)));
    assert_true(signs(&c, victim, pk, "by-the-one-that-lost", "sha256"));
    cluster_stop(&c);
}

/* A store that refuses to write: no more signing here, the others go on, and everyone can see why. */
static void
test_store_fails(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    char line[160];
    (void)state;
    cluster_start(&c, 3, NULL);
    cluster_keygen(&c, 2, pk);
    c.p[2].party->store_failed = 1;
    assert_false(qr_party_ready(c.p[2].party, line, sizeof line));
    assert_non_null(strstr(line, "STORE FAILED"));
    cluster_body(&c, pk, "at-the-failed-store1", "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, 2, body), 100);
    assert_int_equal(a->error, QR_ERR_NOT_READY);
    assert_true(signs(&c, 1, pk, "around-failed-store1", "sha256"));
    cluster_stop(&c);
}

/* A key made in software stays one: a policy that does not take the software TEE refuses it. */
/*
 * A new roster is a new start, and the store refuses to count it: the party stays without a network
 * and says why. It used to wait "for a policy", and the next document linked it again under the boot
 * nonce that had had its net.
 */
static void
test_store_fails_under_a_new_roster(void **state)
{
    struct cluster c;
    char line[160], doc[sizeof c.roster];
    (void)state;
    cluster_start_apart(&c, 2, NULL);
    struct qr_party *p = c.p[1].party;
    uint8_t nonce[32];
    memcpy(nonce, p->boot_nonce, 32);
    memcpy(doc, c.roster, sizeof doc);
    char *serial = strstr(doc, "\"serial\":1");
    assert_non_null(serial);
    serial[strlen("\"serial\":")] = '2';
    struct qr_ask ask = {.what = QR_ASK_ADMIN,
                         .admin = QR_ADMIN_LOAD_ROSTER,
                         .body = qr_view_str(doc),
                         .n_stamps = 1};
    ask.stamps[0] = cluster_stamp(c.admin, doc, 0);
    wrap_boot_fails = 1;
    const struct qr_answer *a = cluster_answer(&c, cluster_ask(&c, 1, 1, &ask));
    wrap_boot_fails = 0;
    assert_int_equal(a->error, QR_ERR_STORE);
    assert_int_equal(p->roster->serial, 2);
    for (int i = 0; i < 2; i++) {
        assert_null(p->net);
        assert_false(qr_party_ready(p, line, sizeof line));
        assert_non_null(strstr(line, "STORE FAILED: restart this party"));
        a = cluster_answer(&c, cluster_ask(&c, 1, 1, &ask)); /* the operator tries again */
        assert_int_equal(a->error, QR_ERR_STORE);
    }
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_memory_not_equal(c.p[1].party->boot_nonce, nonce, 32);
    assert_non_null(c.p[1].party->net);
    cluster_stop(&c);
}

/* A removal that fails stops the party as a failed write does, and the pair stays retired. */
static void
test_store_fails_under_a_readmission(void **state)
{
    struct cluster c;
    char line[160];
    (void)state;
    cluster_start(&c, 2, NULL);
    struct qr_party *p = c.p[1].party;
    assert_int_equal(qr_pairs_set_retired(p, 1, 2, 1), QR_OK);
    wrap_del_fails = 1;
    assert_int_equal(qr_pairs_set_retired(p, 1, 2, 0), QR_ERR_STORE);
    wrap_del_fails = 0;
    assert_true(qr_pairs_retired(p, 1, 2));
    assert_false(qr_party_ready(p, line, sizeof line));
    assert_non_null(strstr(line, "STORE FAILED"));
    assert_int_equal(qr_pairs_set_retired(p, 1, 2, 0), QR_ERR_STORE);
    cluster_stop(&c);
}

static void
test_software_key_under_a_strict_policy(void **state)
{
    struct cluster c;
    uint8_t pk[33];
    char doc[4096];
    (void)state;
    cluster_start_apart(&c, 3, NULL);
    cluster_pairs(&c, 1 | 2);
    cluster_keygen(&c, 2, pk);
    assert_true(signs(&c, 1, pk, "in-software-still-1", "sha256"));
    policy(&c, 2, "\"sha256\"", 0, doc, sizeof doc);
    for (size_t i = 1; i <= 3; i++) {
        c.p[i].tee.insecure = 0; /* as if it had moved to hardware */
        assert_int_equal(admin(&c, i, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_OK);
    }
    for (size_t i = 1; i <= 3; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "under-strict-policy-%zu", i);
        cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
        const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, i, body), 10);
        assert_non_null(a);
        assert_int_equal(a->error, QR_ERR_INSECURE_SIM);
        assert_true(qr_view_eq(a->detail, qr_view_str("key: made with the software TEE, which this "
                                                      "policy does not accept")));
    }
    /* nor is it lost: it signs again where it is accepted */
    policy(&c, 3, "\"sha256\"", 1, doc, sizeof doc);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(admin(&c, i, QR_ADMIN_LOAD_POLICY, doc, c.admin)->error, QR_OK);
    }
    for (int k = 0; k < 500; k++) { /* the lines of the policy before close first */
        cluster_turn(&c);
    }
    assert_true(cluster_until(&c, 20000, all_up, NULL));
    assert_true(signs(&c, 1, pk, "in-software-again-1", "sha256"));
    cluster_stop(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_serials),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(attack_23_rolled_back_store),
        cmocka_unit_test(test_crash_in_keygen),
        cmocka_unit_test(test_peer_lost_in_keygen),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_store_fails_under_a_new_roster),
        cmocka_unit_test(test_store_fails_under_a_readmission),
        cmocka_unit_test(test_software_key_under_a_strict_policy),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    qr_log_init(getenv("QR_TEST_LOG") ? QR_LOG_DEBUG : QR_LOG_ERROR, QR_LOG_HUMAN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
