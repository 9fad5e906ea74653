/*
 * Three days without a vendor, in virtual time: no party can have its evidence renewed. The quorum
 * goes on signing through each stage that its policy names, each is told before it comes, and when
 * the outage ends everything comes back by itself. (The quick set has shorter hours.)
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
#include "transport/link_mem.h"
#include "transport/net_int.h"

#define PARTIES 3u
#define HOUR (unit_s * SECOND)
#define OUTAGE (72 * HOUR)
#define STRIDE (2900 * MS) /* a line that is silent for 3 s is lost */

/* Seconds in an hour: 3600, or 150 in the quick set, with the policy's times in the same measure. */
static uint64_t unit_s = 3600;
static char policy[512];
static const char policy_format[] =
    "{\"insecure_sim\":true,\"freshness\":{\"max_age_s\":300,\"reattest_s\":600,"
    "\"clock_spread_s\":60,\"stages\":{\"warn_s\":%llu,\"no_peers_s\":%llu,"
    "\"no_keys_s\":%llu,\"stop_s\":%llu}}}";
static const unsigned begins[QR_FRESH_STAGES] = {0, 6, 24, 48, 66};

static struct cluster c;
static struct teebox box[PARTIES + 1];
static struct cluster_how how = {.peers = policy};

static void
wrap(void *ctx, size_t i, struct qr_tee *tee)
{
    (void)ctx;
    teebox_wrap(&box[i], QR_PLATFORM_SIM, &c.wall_ms, tee);
}

/* ---- logs ---------------------------------------------------------------------------------- */

/* What party 1's operator read about the party's own stage: "stage X" and what comes next. */
static char told[32][512];
static uint64_t told_at[32];
static size_t n_told;

static void
keep(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    if (c.running == 1 && n_told < 32 && memmem(line, len, "\"ev\":\"freshness\"", 16) &&
        memmem(line, len, "a quorum", 8)) {
        told_at[n_told] = c.now;
        (void)snprintf(told[n_told++], sizeof told[0], "%.*s", (int)len, line);
    }
}

/* ---- time ---------------------------------------------------------------------------------- */

static int
handshaking(void)
{
    for (size_t i = 1; i <= PARTIES; i++) {
        const struct qr_net *n = c.p[i].party->net;
        for (size_t k = 0; k < n->p.n_peers; k++) {
            if (n->peers[k].dial || n->peers[k].next) {
                return 1;
            }
        }
        if (n->half_open) {
            return 1;
        }
    }
    return 0;
}

/* On by one stride, and as many rounds as connections need that are in the making. */
static void
stride(void)
{
    cluster_jump(&c, STRIDE, 4);
    for (int k = 0; k < 100 && handshaking(); k++) {
        cluster_turn(&c);
    }
}

static int
linked(struct cluster *x, void *ctx)
{
    return cluster_linked(x, ctx);
}

/* ---- what is asked ------------------------------------------------------------------------- */

static qr_err
sign(const uint8_t pk[33], size_t at)
{
    static unsigned number;
    char body[2048], id[32];
    (void)snprintf(id, sizeof id, "outage-request-%05u", number++);
    cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
    const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, at, body), 20000);
    assert_non_null(a);
    return a->error;
}

static qr_err
make_key(void)
{
    static unsigned number;
    char body[512], cid[65];
    qr_hex_encode(qr_view_of(c.cluster, 32), cid);
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":\"%s\",\"id\":\"outage-keygen-%05u\","
        "\"issued_ms\":%llu,\"expires_ms\":%llu,\"cmd\":\"keygen\",\"t\":2}",
        cid, number++, (unsigned long long)c.wall_ms, (unsigned long long)c.wall_ms + 60000);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .n_stamps = 1};
    ask.body = qr_view_str(body);
    ask.stamps[0] = cluster_stamp(c.admin, body, 0);
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 1, 1, &ask), 20000);
    assert_non_null(a);
    return a->error;
}

/* Status and metrics show the stage that is, the one that comes, and when. */
static void
shown(enum qr_fresh_stage s)
{
    static const enum qr_query what[] = {QR_QUERY_STATUS, QR_QUERY_METRICS};
    char want[2][96];

    (void)snprintf(want[0], sizeof want[0], "\"freshness\":{\"stage\":\"%s\"",
                   qr_fresh_stage_name(s));
    (void)snprintf(want[1], sizeof want[1], "quorated_freshness_stage %d\n", (int)s);
    for (size_t i = 0; i < 2; i++) {
        struct qr_ask ask = {.what = QR_ASK_QUERY, .query = what[i]};
        const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 1, 0, &ask), 10);
        assert_true(a && a->error == QR_OK);
        qr_view v = i ? a->text : a->json;
        assert_non_null(memmem(v.p, v.len, want[i], strlen(want[i])));
    }
}

/* ---- the three days -------------------------------------------------------------------------- */

static void
three_days(void **state)
{
    uint8_t pk[33];
    enum qr_fresh_stage stage = QR_FRESH_OK;
    uint64_t signatures = 0;
    (void)state;

    how.mem = qr_link_mem_net_new();
    how.box = wrap;
    how.until = linked;
    cluster_start_as(&c, PARTIES, &how);
    cluster_keygen(&c, 2, pk);
    for (int k = 0; k < 420; k++) { /* twenty minutes in which all is well: two renewals */
        stride();
    }
    assert_int_equal(c.p[1].party->attest.stage, QR_FRESH_OK);
    assert_int_equal(n_told, 0);
    assert_int_equal(sign(pk, 1), QR_OK);

    uint64_t start = c.now, next_try = c.now;
    for (size_t i = 1; i <= PARTIES; i++) {
        box[i].fault = TEEBOX_MUTE;
    }
    while (c.now - start < OUTAGE) {
        stride();
        enum qr_fresh_stage is = c.p[1].party->attest.stage;
        if (is != stage) { /* one after the other, each at its time */
            assert_int_equal(is, stage + 1);
            stage = is;
            uint64_t age = c.p[1].party->attest.age_ms / 1000;
            assert_in_range(age, begins[is] * unit_s, begins[is] * unit_s + 5);
            uint64_t since = (c.now - start) / SECOND; /* the last renewal was before it began */
            assert_in_range(since, begins[is] * unit_s - 700, begins[is] * unit_s + 5);
            shown(is);
        }
        for (uint16_t i = 1; stage < QR_FRESH_STOP && i <= PARTIES; i++) { /* nobody is lost */
            for (uint16_t j = 1; j <= PARTIES; j++) {
                assert_true(i == j || qr_net_is_up(c.p[i].party->net, j));
            }
        }
        if (c.now >= next_try) {
            next_try = c.now + 3 * HOUR;
            size_t at = 1 + (size_t)(next_try / HOUR) % PARTIES;
            qr_err e = sign(pk, at);
            assert_int_equal(e, c.p[at].party->attest.stage < QR_FRESH_STOP ? QR_OK : QR_ERR_STALE);
            signatures += e == QR_OK;
            if (stage >= QR_FRESH_NO_KEYS && stage < QR_FRESH_STOP) {
                assert_int_equal(make_key(), QR_ERR_STALE);
            }
        }
    }
    assert_int_equal(stage, QR_FRESH_STOP);
    assert_true(signatures >= 21); /* every three hours for 66 hours */
    assert_int_equal(c.p[1].party->store_failed, 0);

    /* The operator read each, and before each what would come and when. */
    assert_int_equal(n_told, 4);
    for (size_t s = QR_FRESH_WARN; s <= QR_FRESH_STOP; s++) {
        char text[48];
        (void)snprintf(text, sizeof text, "stage %s:", qr_fresh_stage_name((enum qr_fresh_stage)s));
        assert_non_null(strstr(told[s - 1], text));
        if (s < QR_FRESH_STOP) {
            char at[24];
            qr_duration_text(begins[s + 1] * unit_s * 1000, at);
            (void)snprintf(text, sizeof text, "at %s: %s", at,
                           qr_fresh_stage_means((enum qr_fresh_stage)(s + 1)));
            assert_non_null(strstr(told[s - 1], text));
        }
    }

    /* It is over. Nobody restarts anything. */
    for (size_t i = 1; i <= PARTIES; i++) {
        box[i].fault = TEEBOX_GOOD;
    }
    uint64_t over = c.now;
    while (!cluster_linked(&c, NULL) || c.p[1].party->attest.stage != QR_FRESH_OK ||
           c.p[2].party->attest.stage != QR_FRESH_OK || c.p[3].party->attest.stage != QR_FRESH_OK) {
        assert_true(c.now - over < 3600 * SECOND);
        stride();
    }
    for (int k = 0; k < 420; k++) {
        stride();
    }
    shown(QR_FRESH_OK);
    assert_int_equal(n_told, 5);
    assert_non_null(strstr(told[4], "stage ok"));
    for (size_t i = 1; i <= PARTIES; i++) {
        assert_int_equal(sign(pk, i), QR_OK);
    }
    assert_int_equal(make_key(), QR_OK);
    cluster_stop(&c);
    qr_link_mem_net_free(how.mem);
}

static int
begin(void **state)
{
    const char *quick = getenv("QR_TEST_QUICK");
    (void)state;
    unit_s = quick && quick[0] == '0' ? 3600 : 150;
    (void)snprintf(policy, sizeof policy, policy_format,
                   (unsigned long long)(begins[QR_FRESH_WARN] * unit_s),
                   (unsigned long long)(begins[QR_FRESH_NO_PEERS] * unit_s),
                   (unsigned long long)(begins[QR_FRESH_NO_KEYS] * unit_s),
                   (unsigned long long)(begins[QR_FRESH_STOP] * unit_s));
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON);
    qr_log_sink(keep, NULL);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(three_days)};
    return cmocka_run_group_tests(tests, begin, NULL);
}
