/*
 * What a party makes of evidence over time: what clients get, what ages, clocks that disagree, its own
 * evidence; over the software TEE, whose renewals a box can make fail.
 */
#include "daemon/party_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/common/cluster.h"
#include "test/common/teebox.h"

static struct cluster c;
static struct teebox box[4];

/* ---- a platform that remembers what it was asked for ---------------------------------------- */

static uint8_t asked[64][32]; /* binders that party 2's platform made evidence over */
static size_t n_asked;
static qr_err (*real_evidence)(void *ctx, const uint8_t binder[32], struct qr_buf *out);

static qr_err
spy(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    memcpy(asked[n_asked++ % 64], binder, 32);
    return real_evidence(ctx, binder, out);
}

static void
wrap(void *ctx, size_t i, struct qr_tee *tee)
{
    (void)ctx;
    teebox_wrap(&box[i], QR_PLATFORM_SIM, &c.wall_ms, tee);
    if (i == 2) {
        real_evidence = tee->evidence;
        tee->evidence = spy;
    }
}

static char kept[512][512];
static size_t kept_of[512], n_kept;

static void
keep(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)snprintf(kept[n_kept % 512], sizeof kept[0], "%.*s", (int)len, line);
    kept_of[n_kept++ % 512] = c.running;
}

static int
logged(size_t party, const char *a, const char *b)
{
    for (size_t i = 0; i < n_kept && i < 512; i++) {
        if (kept_of[i] == party && strstr(kept[i], a) && strstr(kept[i], b)) {
            return 1;
        }
    }
    return 0;
}

static const char stages[] =
    "{\"insecure_sim\":true,\"freshness\":{\"max_age_s\":300,\"reattest_s\":2,\"clock_spread_s\":5,"
    "\"stages\":{\"warn_s\":4,\"no_peers_s\":8,\"no_keys_s\":12,\"stop_s\":16}}}";
static struct cluster_how how = {.peers = stages, .box = wrap};

static void
begin(size_t n, int no_pairs)
{
    how.no_pairs = no_pairs;
    memset(box, 0, sizeof box);
    n_asked = n_kept = 0;
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON); /* the limiter of lines begins anew */
    cluster_start_as(&c, n, &how);
}

static void
turns(size_t n)
{
    for (size_t k = 0; k < n; k++) {
        cluster_turn(&c);
    }
}

static char *
query(size_t i, enum qr_query q, qr_view body)
{
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = q, .body = body};
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, i, 0, &ask), 10);
    assert_non_null(a);
    assert_int_equal(a->error, QR_OK);
    qr_view v = a->json.len ? a->json : a->text;
    char *text = calloc(1, v.len + 1);
    assert_non_null(text);
    memcpy(text, v.p, v.len);
    return text;
}

static qr_err
verify(qr_view evidence, const uint8_t binder[32])
{
    static struct qr_verdict v;
    static struct qr_verify_out out;
    const struct qr_verify_opts o = {.now_ms = -1};
    struct qr_claims claims;
    char why[256];
    return qr_tee_verify(QR_PLATFORM_SIM, evidence, binder, &o, &v, &out, &claims, why, sizeof why);
}

/* ---- tests --------------------------------------------------------------------------------- */

/*
 * Oracle: a client gives as its nonce the very binder of a channel, or anything else; what it gets is
 * evidence over a hash, which no channel accepts.
 */
static void
channel_binder_as_nonce(void **state)
{
    uint8_t evidence[512], want[32];
    char why[QR_ERR_TEXT_MAX];
    struct qr_claims claims;
    (void)state;

    begin(2, 1);
    assert_true(n_asked >= 2); /* its own check, and a channel's */
    size_t channels = n_asked;
    for (size_t i = 0; i < channels; i++) {
        struct qr_party *p = c.p[2].party;
        char *json = query(2, QR_QUERY_ATTESTATION, qr_view_of(asked[i], 32));
        const char *b64 = strstr(json, "\"evidence\":\"");
        assert_non_null(b64);
        b64 += 12;
        struct qr_buf b = qr_buf_over(evidence, sizeof evidence);
        size_t n = 0;
        assert_int_equal(qr_b64_decode(b64, strcspn(b64, "\""), evidence, sizeof evidence, &n),
                         QR_OK);
        b.len = n;
        free(json);

        qr_client_binder(asked[i], p->id, qr_policy_hash(p->policy), p->roster->hash, p->boot_nonce,
                         want);
        assert_int_equal(verify(qr_buf_view(&b), want), QR_OK); /* what a client checks */
        assert_int_equal(verify(qr_buf_view(&b), asked[i]), QR_ERR_ATTESTATION);
        /* What party 1's channel says to it. */
        assert_int_equal(qr_attest_verify(c.p[1].party, 2, QR_PLATFORM_SIM, p->boot_nonce,
                                          qr_buf_view(&b), asked[i], &claims, why, sizeof why),
                         QR_ERR_ATTESTATION);
        assert_non_null(strstr(why, "binder"));
        /* The platform was asked for the hash, and never for what the caller gave. */
        assert_memory_equal(asked[(channels + i) % 64], want, 32);
        assert_memory_not_equal(asked[(channels + i) % 64], asked[i], 32);
    }
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = QR_QUERY_ATTESTATION};
    for (size_t n = 0; n <= 64; n += n == 31 ? 2 : 1) { /* a nonce has 32 bytes */
        ask.body = qr_view_of(asked[0], n);
        const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 2, 0, &ask), 10);
        assert_true(a && a->error == QR_ERR_LENGTH);
    }
    cluster_stop(&c);
}

/* Whoever may ask a gateway may not keep a device busy: 16 at once, two a second. */
static void
clients_take_turns(void **state)
{
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = QR_QUERY_ATTESTATION};
    static const uint8_t nonce[32] = {1};
    size_t before, given = 0;
    (void)state;

    begin(2, 1);
    ask.body = qr_view_of(nonce, sizeof nonce);
    for (int insecure = 1; insecure >= 0; insecure--) {
        c.p[2].tee.insecure = insecure;
        before = n_asked;
        given = 0;
        for (int i = 0; i < 40; i++) {
            const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 2, 0, &ask), 10);
            assert_true(a && (a->error == QR_OK || a->error == QR_ERR_RATE_LIMITED));
            given += a->error == QR_OK;
        }
        assert_int_equal(n_asked - before, given); /* a refusal costs the device nothing */
        if (insecure) {
            assert_int_equal(given, 40);
        } else {
            assert_in_range(given, 16, 17);
        }
    }
    cluster_jump(&c, UINT64_C(3000000000), 3);
    given = 0;
    for (int i = 0; i < 40; i++) {
        given += cluster_wait(&c, cluster_ask(&c, 2, 0, &ask), 10)->error == QR_OK;
    }
    assert_in_range(given, 6, 8);
    c.p[2].tee.insecure = 1;
    cluster_stop(&c);
}

static void
mute(int yes)
{
    for (size_t i = 1; i <= 3; i++) {
        box[i].fault = yes ? TEEBOX_MUTE : TEEBOX_GOOD;
    }
}

static enum qr_fresh_stage
stage_of(size_t i)
{
    return c.p[i].party->attest.stage;
}

static int
reached(struct cluster *x, void *ctx)
{
    enum qr_fresh_stage want = *(enum qr_fresh_stage *)ctx;
    for (size_t i = 1; i <= 3; i++) {
        if (x->p[i].alive && x->p[i].party->attest.stage != want) {
            return 0;
        }
    }
    return 1;
}

static int
all_fresh(struct cluster *x, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= 3; i++) {
        for (size_t j = 1; j <= 3; j++) {
            if (i != j && (x->p[i].party->attest.peer[j].stage != QR_FRESH_OK ||
                           !qr_net_is_up(x->p[i].party->net, (uint16_t)j))) {
                return 0;
            }
        }
    }
    return 1;
}

static void
until_stage(enum qr_fresh_stage s)
{
    if (!cluster_until(&c, 20000, reached, &s)) {
        fail_msg("stage %s was not reached", qr_fresh_stage_name(s));
    }
}

static qr_err
sign_once(const uint8_t pk[33], size_t at)
{
    static unsigned number;
    char body[2048], id[32];
    (void)snprintf(id, sizeof id, "request-number-%05u", number++);
    cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, at, body), 20000);
    assert_non_null(a);
    return a->error;
}

static qr_err
keygen_once(char *why, size_t cap)
{
    static unsigned number;
    char body[512], cid[65];
    qr_hex_encode(qr_view_of(c.cluster, 32), cid);
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"keygen-again-%05u\","
        "\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":\"keygen\",\"t\":2}",
        cid, number++, (unsigned long long)c.wall_ms, (unsigned long long)c.wall_ms + 60000);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c.admin, body, 0);
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 1, 1, &ask), 20000);
    assert_non_null(a);
    (void)snprintf(why, cap, "%.*s", (int)a->detail.len, (const char *)a->detail.p);
    return a->error;
}

/* Nobody can renew: each stage comes in order, is seen before it bites, bites, and goes away again. */
static void
stages_in_order(void **state)
{
    uint8_t pk[33];
    char why[512];
    (void)state;

    begin(3, 0);
    cluster_keygen(&c, 2, pk);
    mute(1);
    assert_int_equal(stage_of(1), QR_FRESH_OK);

    until_stage(QR_FRESH_WARN);
    assert_int_equal(sign_once(pk, 1), QR_OK);
    assert_true(logged(1, "\"ev\":\"freshness\"", "stage warn"));
    assert_true(logged(1, "\"ev\":\"freshness\"", "at 8 s: no new peers"));
    char *text = query(1, QR_QUERY_STATUS, (qr_view){NULL, 0});
    assert_non_null(strstr(text, "\"stage\":\"warn\""));
    assert_non_null(strstr(text, "\"next\":\"no-peers\""));
    free(text);
    text = query(1, QR_QUERY_METRICS, (qr_view){NULL, 0});
    assert_non_null(strstr(text, "quorated_freshness_stage 1\n"));
    assert_non_null(strstr(text, "quorated_freshness_limit_seconds{stage=\"no-keys\"} 12.000\n"));
    assert_non_null(strstr(text, "quorated_peer_freshness_stage{peer=\"2\"} 1\n"));
    free(text);

    until_stage(QR_FRESH_NO_PEERS);
    assert_true(logged(2, "\"ev\":\"freshness\"", "stage no-peers"));
    cluster_kill(&c, 3); /* a new process, with good evidence: not now */
    box[1].fault = box[3].fault = TEEBOX_GOOD;
    cluster_boot(&c, 3);
    turns(1500);
    assert_false(qr_net_is_up(c.p[1].party->net, 3));
    assert_true(logged(1, "\"ev\":\"peer_refused\"", "no new peers"));
    assert_int_equal(sign_once(pk, 1), QR_OK); /* with party 2 */
    mute(0); /* the outage ends: those who are known renew, then who is new comes in */
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    until_stage(QR_FRESH_OK);
    assert_true(logged(1, "\"ev\":\"freshness\"", "stage ok"));

    mute(1);
    until_stage(QR_FRESH_NO_KEYS);
    assert_int_equal(keygen_once(why, sizeof why), QR_ERR_STALE);
    assert_non_null(strstr(why, "no new keys: evidence of party"));
    assert_int_equal(sign_once(pk, 2), QR_OK);

    until_stage(QR_FRESH_STOP);
    assert_int_equal(sign_once(pk, 2), QR_ERR_STALE);
    assert_int_equal(sign_once(pk, 1), QR_ERR_STALE);
    char line[160];
    assert_int_equal(qr_party_ready(c.p[1].party, line, sizeof line), 0);
    assert_non_null(strstr(line, "EVIDENCE OLD"));
    assert_true(logged(1, "\"ev\":\"freshness\"", "stage stop"));

    mute(0);
    assert_true(cluster_until(&c, 30000, cluster_linked, NULL));
    assert_true(cluster_until(&c, 30000, all_fresh, NULL));
    assert_int_equal(sign_once(pk, 1), QR_OK);
    assert_int_equal(keygen_once(why, sizeof why), QR_OK);
    cluster_stop(&c);
}

/* One peer that cannot renew stops itself, not the other two. */
static void
one_stale_peer(void **state)
{
    uint8_t pk[33];
    (void)state;

    begin(3, 0);
    cluster_keygen(&c, 2, pk);
    box[3].fault = TEEBOX_MUTE;
    turns(17500);
    assert_int_equal(c.p[1].party->attest.stopped, 1u << 2);
    assert_int_equal(stage_of(1), QR_FRESH_OK);
    assert_int_equal(sign_once(pk, 1), QR_OK);
    assert_int_equal(sign_once(pk, 2), QR_OK);
    assert_int_equal(qr_attest_may_sign(c.p[1].party, 1u << 2 | 1u), QR_ERR_STALE);
    cluster_stop(&c);
}

static int
linked_with(struct cluster *x, void *ctx)
{
    size_t i = *(size_t *)ctx;
    return qr_net_is_up(x->p[1].party->net, (uint16_t)i);
}

/* Clocks that are apart: signing goes on, nobody new comes in, no key is made, until they agree. */
static void
clocks_apart(void **state)
{
    size_t two = 2;
    uint8_t pk[33];
    char why[512];
    (void)state;

    begin(2, 0);
    cluster_keygen(&c, 2, pk);
    turns(200);
    assert_int_equal(c.p[1].party->attest.clock.agree, 1);
    c.skew_ms[2] = 20000; /* its host set its clock: told at once */
    turns(400);
    assert_int_equal(c.p[1].party->attest.clock.agree, 0);
    assert_in_range(c.p[1].party->attest.clock.apart_ms, 19900, 20100);
    assert_true(logged(1, "\"ev\":\"clocks\"", "apart: no new keys"));
    assert_int_equal(sign_once(pk, 1), QR_OK);
    assert_int_equal(keygen_once(why, sizeof why), QR_ERR_STALE);
    assert_non_null(strstr(why, "clocks disagree"));
    char *text = query(1, QR_QUERY_METRICS, (qr_view){NULL, 0});
    assert_non_null(strstr(text, "quorated_clocks_agree 0\n"));
    free(text);
    c.skew_ms[2] = 0;
    turns(400);
    assert_int_equal(c.p[1].party->attest.clock.agree, 1);
    assert_true(logged(1, "\"ev\":\"clocks\"", "agree again"));
    assert_int_equal(keygen_once(why, sizeof why), QR_OK);

    /* Both were put back by a day: what was sure stays sure, and both agree. */
    int64_t floor = c.p[1].party->attest.time.floor_ms;
    c.wall_ms -= 86400000;
    turns(400);
    assert_true(c.p[1].party->attest.clock.now_ms >= floor);
    assert_int_equal(c.p[1].party->attest.clock.agree, 1);
    assert_true(cluster_until(&c, 10, linked_with, &two));
    cluster_stop(&c);
}

/* Three parties, one lies about the time by a year: it changes nothing for the other two. */
static void
one_lying_clock(void **state)
{
    uint8_t pk[33];
    char why[512];
    (void)state;

    begin(3, 1);
    cluster_keygen(&c, 2, pk);
    c.skew_ms[3] = INT64_C(365) * 86400000;
    turns(400);
    for (size_t i = 1; i <= 3; i++) { /* also the one whose own host lies */
        const struct qr_qtime_now *t = &c.p[i].party->attest.clock;
        assert_int_equal(t->agree, 1);
        assert_true(t->now_ms < (int64_t)c.wall_ms + 1000 && t->now_ms > (int64_t)c.wall_ms - 1000);
    }
    cluster_kill(&c, 2); /* a new process comes in, and a key is made */
    cluster_boot(&c, 2);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    c.skew_ms[3] = 0; /* commands carry times of their own, which party 3 would refuse */
    turns(400);
    assert_int_equal(keygen_once(why, sizeof why), QR_OK);
    cluster_stop(&c);
}

static int
pair_up(struct cluster *x, void *ctx)
{
    (void)ctx;
    return qr_net_is_up(x->p[1].party->net, 2) && qr_net_is_up(x->p[2].party->net, 1);
}

/* A party that cannot show its own evidence says so to its own operator, and lets nobody in. */
static void
own_evidence(void **state)
{
    (void)state;
    begin(2, 1);
    box[1].fault = TEEBOX_MUTE;
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    box[1].fault = TEEBOX_MUTE;
    turns(3000);
    assert_false(pair_up(&c, NULL));
    assert_true(logged(1, "\"ev\":\"own_evidence\"", "the platform (sim) makes no evidence"));
    box[1].fault = TEEBOX_GOOD; /* tried again soon */
    assert_true(cluster_until(&c, 12000, pair_up, NULL));
    assert_true(logged(1, "\"ev\":\"own_evidence\"", "passes the policy"));
    cluster_stop(&c);
}

/* The floor of the time is written down as it rises, and read at the next start. */
static void
floor_is_kept(void **state)
{
    (void)state;
    begin(2, 1);
    turns(300);
    int64_t first = c.p[1].party->attest.time.floor_ms;
    assert_true(first > 0);
    c.wall_ms += 2 * 3600000; /* both clocks go on by two hours */
    turns(300);
    int64_t later = c.p[1].party->attest.time.floor_ms;
    assert_true(later >= first + 2 * 3600000 - 1000);
    c.wall_ms -= 48 * 3600000;
    for (size_t i = 1; i <= 2; i++) {
        cluster_kill(&c, i);
        cluster_boot(&c, i);
    }
    assert_true(c.p[1].party->attest.time.floor_ms >= later - 1000);
    assert_true(c.p[1].party->attest.clock.now_ms >= later - 1000);
    cluster_stop(&c);
}

static int
start(void **state)
{
    (void)state;
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON);
    qr_log_sink(keep, NULL);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channel_binder_as_nonce),
        cmocka_unit_test(clients_take_turns),
        cmocka_unit_test(stages_in_order),
        cmocka_unit_test(one_stale_peer),
        cmocka_unit_test(clocks_apart),
        cmocka_unit_test(one_lying_clock),
        cmocka_unit_test(own_evidence),
        cmocka_unit_test(floor_is_kept),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
