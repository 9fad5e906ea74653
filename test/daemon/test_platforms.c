/*
 * Parties on different platforms under one policy: they connect, make a key and sign; one that is not
 * what the policy asks for is refused, in words that its operator can act on.
 * qr_hello_binder is wrapped: party 4's side of it can be wrong in role or nonce (Makefile).
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
#include "test/common/evgen_ca.h"
#include "test/common/teebox.h"
#include "transport/hello.h"

static struct cluster c;
static struct teebox box[5];
static char peers[12288];
static const enum qr_platform platform[4] = {0, QR_PLATFORM_NITRO, QR_PLATFORM_SNP,
                                             QR_PLATFORM_TDX};
static enum qr_platform fourth_is = QR_PLATFORM_SNP;
static const uint64_t wall_start = EVGEN_NOW_MS;

/* ---- the binder, wrong at one end --------------------------------------------------------- */

static enum binder { BINDER_RIGHT, BINDER_ROLE, BINDER_NONCE } binder_is;

void __real_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                            const struct qr_binding *b, uint8_t out[static 32]);
void __wrap_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                            const struct qr_binding *b, uint8_t out[static 32]);

void
__wrap_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                       const struct qr_binding *b, uint8_t out[static 32])
{
    struct qr_hello p = *prover, v = *verifier;

    if (c.running == 4 && prover->index == 4 && binder_is == BINDER_ROLE) {
        p.role = verifier->role;
        v.role = prover->role;
    }
    if (c.running == 4 && prover->index == 4 && binder_is == BINDER_NONCE) {
        v.nonce[0] ^= 1;
    }
    __real_qr_hello_binder(&p, &v, b, out);
}

/* ---- the policy -------------------------------------------------------------------------- */

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
add(const char *fmt, ...)
{
    size_t at = strlen(peers);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(peers + at, sizeof peers - at, fmt, ap);
    va_end(ap);
    assert_true(n > 0 && at + (size_t)n < sizeof peers);
}

static void
add_set(const char *name, enum qr_platform p, const char *const *path, size_t n, const char *end)
{
    add("{\"name\":\"%s\",\"platform\":\"%s\",\"valid_from\":\"2025-06-01T00:00:00Z\",\"expect\":{",
        name, qr_platform_name(p));
    for (unsigned i = 0; i < n; i++) {
        char hex[97];
        teebox_measurement(p, i, hex);
        add("%s\n\"%s\":\"%s\"", i ? "," : "", path[i], hex);
    }
    add("}}%s\n", end);
}

/* The three-cloud policy of these tests; a line for each rule. */
static const char *
policy(unsigned per_vendor)
{
    static const char *const nitro[] = {"pcrs.0", "pcrs.1", "pcrs.2"},
                             *const snp[] = {"measurement"},
                             *const tdx[] = {"body.mr_td", "body.rtmr0", "body.rtmr1"};
    char chip[129], ppid[129], module[129];

    teebox_machine(QR_PLATFORM_NITRO, module);
    teebox_machine(QR_PLATFORM_SNP, chip);
    teebox_machine(QR_PLATFORM_TDX, ppid);
    peers[0] = '\0';
    add("{\n\"freshness\":{\"max_age_s\":300,\"reattest_s\":600,\"clock_spread_s\":60,\n"
        "\"stages\":{\"warn_s\":3600,\"no_peers_s\":86400,\"no_keys_s\":172800,\"stop_s\":259200}},"
        "\n"
        "\"require\":[\"root\",\"chain\",\"validity\",\"signature\",\"binder\",\"debug\","
        "\"machine\"],\n"
        "\"measurements\":[\n");
    add_set("nitro-1.2", QR_PLATFORM_NITRO, nitro, 3, ",");
    add_set("snp-1.2", QR_PLATFORM_SNP, snp, 1, ",");
    add_set("tdx-1.2", QR_PLATFORM_TDX, tdx, 3, "");
    add("],\n\"platforms\":{\n"
        "\"aws-nitro\":{\"machines\":{\"allow\":[{\"module_id\":\"%s\"}]}},\n"
        "\"amd-sev-snp\":{\n"
        "\"products\":[{\"product\":\"Genoa\",\"bootloader\":9,\"tee\":0,\"snp\":23,"
        "\"microcode\":72}],\n"
        "\"vmpl\":[0],\n"
        "\"machines\":{\"allow\":[\n{\"chip_id\":\"%s\"}]}},\n"
        "\"intel-tdx\":{\"statuses\":[{\"status\":\"UpToDate\",\"advisories\":[]}],\n"
        "\"machines\":{\"allow\":[{\"ppid\":\"%s\"}]}}},\n"
        "\"quorum\":{\n\"max_per_vendor\":%u,\n\"max_per_cloud\":2}}",
        module, chip, ppid, per_vendor);
    return peers;
}

/* The line of the whole document in which this first stands, as logs tell it. */
static unsigned
line_of(const char *text)
{
    const char *p = strstr(c.policy, text);
    unsigned n = 1;

    assert_non_null(p);
    for (const char *q = c.policy; q < p; q++) {
        n += *q == '\n';
    }
    return n;
}

/* ---- logs -------------------------------------------------------------------------------- */

static char kept[256][1024];
static size_t kept_of[256], n_kept;

static void
keep(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    if (n_kept < 256) {
        (void)snprintf(kept[n_kept], sizeof kept[0], "%.*s", (int)len, line);
        kept_of[n_kept++] = c.running;
    }
}

/* A line of this party's log with all three texts; NULL: none. */
static const char *
logged(size_t party, const char *ev, const char *a, const char *b)
{
    for (size_t i = 0; i < n_kept; i++) {
        if (kept_of[i] == party && strstr(kept[i], ev) && strstr(kept[i], a) &&
            strstr(kept[i], b)) {
            return kept[i];
        }
    }
    return NULL;
}

/* Forgets what was kept; the limiter of lines begins anew. */
static void
clear_logs(void)
{
    n_kept = 0;
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON);
}

static void
show_logs(void)
{
    for (size_t i = 0; i < n_kept; i++) {
        fprintf(stderr, "party %zu: %s\n", kept_of[i], kept[i]);
    }
}

/* ---- clusters ---------------------------------------------------------------------------- */

static void
wrap(void *ctx, size_t i, struct qr_tee *tee)
{
    (void)ctx;
    teebox_wrap(&box[i], i == 4 ? fourth_is : platform[i], &c.wall_ms, tee);
}

/* Until everybody is linked; what stands in the way is shown. */
static int
linked(struct cluster *x, void *ctx)
{
    static uint64_t since;
    int is = cluster_linked(x, ctx);

    since = is || since == 0 || since > x->now ? x->now : since;
    if (x->now - since == 9 * SECOND) {
        show_logs();
    }
    return is;
}

static struct cluster_how
three_clouds(const char *text)
{
    return (struct cluster_how){
        .wall_ms = wall_start,
        .peers = text,
        .roots = teebox_roots(),
        .cloud = {NULL, "aws", "azure", "gcp", "azure"},
        .operator_name = {NULL, "ann", "bob", "cid", "dan"},
        .tee = {NULL, "aws-nitro", "amd-sev-snp", "intel-tdx", "amd-sev-snp"},
        .box = wrap,
        .until = linked,
    };
}

static int
up_with_4(struct cluster *x, void *ctx)
{
    const unsigned *want = ctx;
    unsigned n = 0;

    for (uint16_t i = 1; i <= 3; i++) {
        n += (unsigned)qr_net_is_up(x->p[i].party->net, 4);
    }
    return n == *want;
}

static void
clean(void)
{
    memset(box, 0, sizeof box);
    binder_is = BINDER_RIGHT;
    clear_logs();
}

/* ---- tests ------------------------------------------------------------------------------- */

static void
three_platforms_sign(void **state)
{
    uint8_t pk[33];
    char body[2048];
    (void)state;

    clean();
    const struct cluster_how how = three_clouds(policy(1));
    cluster_start_as(&c, 3, &how);
    cluster_keygen(&c, 2, pk);
    assert_int_equal(c.p[1].party->key[0].key->pub.flags, 0); /* no software TEE was in it */
    for (size_t i = 1; i <= 3; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "signature-number-%zu", i);
        cluster_body(&c, pk, id, "", 1, "sha256", body, sizeof body);
        const struct qr_answer *a = cluster_wait(&c, cluster_sign(&c, i, body), 20000);
        assert_non_null(a);
        if (a->error != QR_OK) {
            show_logs();
            fail_msg("%.*s", (int)a->detail.len, (const char *)a->detail.p);
        }
        assert_int_equal(a->sgn.insecure_sim, 0);
    }
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = QR_QUERY_STATUS};
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 1, 0, &ask), 10);
    char *text = calloc(1, a->json.len + 1);
    memcpy(text, a->json.p, a->json.len);
    assert_non_null(strstr(text, "\"platform\":\"amd-sev-snp\""));
    assert_non_null(strstr(text, "\"vendor\":\"amd\",\"product\":\"genoa\""));
    assert_non_null(strstr(text, "\"vendor\":\"intel\""));
    assert_non_null(strstr(text, "\"vendor\":\"aws\",\"product\":\"nitro\""));
    assert_null(strstr(text, "\"insecure_sim\":true"));
    free(text);
    cluster_stop(&c);
}

struct bad_fourth {
    const char *name;
    enum teebox_fault fault;
    enum binder binder;
    const char *words, *found; /* in the logs of those who refuse it */
    const char *line_of;       /* the policy's line that is told; NULL: none */
    int own;                   /* its own operator reads it as well, before anybody refuses */
};

static const struct bad_fourth bad_fourths[] = {
    {"measurement", TEEBOX_MEASUREMENT, BINDER_RIGHT, "rule measurements.snp-1.2.measurement",
     "found", "\"measurement\":", 1},
    {"debug", TEEBOX_DEBUG, BINDER_RIGHT, "debug", "found", "\"amd-sev-snp\":{", 1},
    {"TCB", TEEBOX_TCB, BINDER_RIGHT, "microcode", "found", "\"products\"", 1},
    {"machine", TEEBOX_MACHINE, BINDER_RIGHT, "machine", "found", NULL, 1},
    {"nonce", TEEBOX_GOOD, BINDER_NONCE, "report_data", "binder", NULL, 0},
    {"role", TEEBOX_GOOD, BINDER_ROLE, "report_data", "binder", NULL, 0},
};

static void
refused_fourth(const struct bad_fourth *b)
{
    unsigned none = 0, all = 3;
    char line[32];

    cluster_kill(&c, 4);
    assert_true(cluster_until(&c, 5000, up_with_4, &none));
    clear_logs();
    box[4].fault = b->fault;
    binder_is = b->binder;
    cluster_boot(&c, 4);
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
        assert_true(up_with_4(&c, &none)); /* never, not for a moment */
    }
    (void)snprintf(line, sizeof line, "at line %u:", b->line_of ? line_of(b->line_of) : 0);
    for (uint16_t i = 1; i <= 3; i++) {
        const char *l = logged(i, "\"ev\":\"peer_refused\"", b->words, b->found);
        if (!l || !strstr(l, "\"peer\":4") || (b->line_of && !strstr(l, line)) ||
            (b->binder == BINDER_RIGHT && (!strstr(l, "rule ") || !strstr(l, "expected ")))) {
            show_logs();
            fail_msg("%s: party %u's log does not say it (wanted %s)", b->name, i,
                     b->line_of ? line : "no line");
        }
    }
    const char *told = logged(4, "\"ev\":\"peer_refused\"", "refused us", "");
    assert_true(told == NULL || strstr(told, "rule ") == NULL); /* its peers told it no rule */
    assert_int_equal(logged(4, "\"ev\":\"own_evidence\"", b->words, b->found) != NULL, b->own);

    cluster_kill(&c, 4); /* and it was that, and nothing else */
    box[4].fault = TEEBOX_GOOD;
    binder_is = BINDER_RIGHT;
    cluster_boot(&c, 4);
    assert_true(cluster_until(&c, 20000, up_with_4, &all));
}

static void
wrong_fourths(void **state)
{
    (void)state;
    clean();
    const struct cluster_how how = three_clouds(policy(2));
    cluster_start_as(&c, 4, &how);
    for (size_t i = 0; i < sizeof bad_fourths / sizeof bad_fourths[0]; i++) {
        refused_fourth(&bad_fourths[i]);
    }
    cluster_stop(&c);
}

/* A platform that is not the one the roster tells, however good. */
static void
another_platform(void **state)
{
    unsigned none = 0;
    (void)state;

    clean();
    const struct cluster_how how = three_clouds(policy(2));
    cluster_start_as(&c, 4, &how);
    cluster_kill(&c, 4);
    assert_true(cluster_until(&c, 5000, up_with_4, &none));
    clear_logs();
    cluster_boot(&c, 4);
    box[4].platform = QR_PLATFORM_NITRO; /* HELLO says SNP, the evidence is Nitro's */
    for (int k = 0; k < 1000; k++) {
        cluster_turn(&c);
        assert_true(up_with_4(&c, &none));
    }
    assert_non_null(logged(1, "peer_refused",
                           "evidence kind: expected amd-sev-snp, found aws-nitro", "\"peer\":4"));
    cluster_kill(&c, 4);
    clear_logs();
    fourth_is = QR_PLATFORM_NITRO; /* HELLO says so as well */
    cluster_boot(&c, 4);
    fourth_is = QR_PLATFORM_SNP;
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
        assert_true(up_with_4(&c, &none));
    }
    assert_non_null(logged(1, "peer_refused", "the roster says party 4 runs on amd-sev-snp",
                           "its evidence says aws-nitro"));
    cluster_stop(&c);
}

static int
three_up(struct cluster *x, void *ctx)
{
    (void)ctx;
    for (uint16_t i = 1; i <= 3; i++) {
        for (uint16_t j = 1; j <= 3; j++) {
            if (i != j && !qr_net_is_up(x->p[i].party->net, j)) {
                return 0;
            }
        }
    }
    return 1;
}

/* Genuine, allowed, and one too many of its vendor. */
static void
one_too_many(void **state)
{
    uint8_t pk[33];
    char body[2048];
    (void)state;

    clean();
    struct cluster_how how = three_clouds(policy(2));
    cluster_start_as(&c, 4, &how);
    cluster_keygen(&c, 2, pk);
    clear_logs();
    cluster_kill(&c, 4);
    cluster_policy(&c, policy(1)); /* 2 and 4 are AMD's */
    cluster_turn(&c);
    assert_false(three_up(&c, NULL)); /* all are attested anew */
    assert_true(cluster_until(&c, 20000, three_up, NULL));
    clear_logs();
    cluster_boot(&c, 4);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_POLICY, .n_stamps = 1};
    ask.body = qr_view_str(c.policy);
    ask.stamps[0] = cluster_stamp(c.admin, c.policy, 0);
    const struct qr_answer *a = cluster_answer(&c, cluster_ask(&c, 4, 1, &ask));
    assert_true(a && a->error == QR_OK);
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
        assert_true(three_up(&c, NULL));
        assert_false(qr_net_is_up(c.p[1].party->net, 4));
        assert_false(qr_net_is_up(c.p[3].party->net, 4));
    }
    char line[32];
    (void)snprintf(line, sizeof line, "line %u", line_of("\"max_per_vendor\""));
    if (!logged(1, "peer_refused", "max_per_vendor", line)) {
        show_logs();
        fail_msg("the constraint is not told");
    }
    assert_non_null(logged(1, "peer_refused", "amd", "\"peer\":4"));
    assert_non_null(logged(3, "peer_refused", "max_per_vendor", "\"peer\":4"));

    /* The three go on signing; a key needs all four, and is not to be had. */
    cluster_body(&c, pk, "without-the-fourth", "", 1, "sha256", body, sizeof body);
    a = cluster_wait(&c, cluster_sign(&c, 3, body), 20000);
    assert_true(a && a->error == QR_OK);
    cluster_stop(&c);
}

/* ---- collateral -------------------------------------------------------------------------- */

#define DAY_MS UINT64_C(86400000)

static int
stage_of_3(struct cluster *x, void *ctx)
{
    enum qr_fresh_stage want = *(enum qr_fresh_stage *)ctx;
    return x->p[1].party->attest.peer[3].stage == want &&
           x->p[2].party->attest.peer[3].stage == want;
}

/*
 * TDX collateral that ends: lines stay and age by it; a restart needs a new issue; an older issue than
 * was seen is refused, also by a party that restarted in between.
 */
static void
collateral_ends(void **state)
{
    enum qr_fresh_stage ok = QR_FRESH_OK, warn = QR_FRESH_WARN;
    (void)state;

    clean();
    const struct cluster_how how = three_clouds(policy(1));
    (void)snprintf(box[3].issued, sizeof box[3].issued, "2025-12-20T00:00:00Z");
    (void)snprintf(box[3].next, sizeof box[3].next, "2026-01-10T00:00:00Z");
    cluster_start_as(&c, 3, &how);
    assert_true(c.p[1].party->attest.memory.marks.n > 0);
    assert_true(stage_of_3(&c, &ok));

    c.wall_ms += 9 * DAY_MS + DAY_MS / 6; /* four hours past its end */
    clear_logs();
    assert_true(cluster_until(&c, 2000, stage_of_3, &warn));
    assert_true(three_up(&c, NULL));
    assert_non_null(logged(1, "\"ev\":\"freshness\"", "stage warn", "\"peer\":3"));

    /* Its process is known: a connection that was lost comes back. A new process does not. */
    cluster_kill(&c, 3);
    cluster_boot(&c, 3);
    clear_logs();
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
    }
    assert_false(qr_net_is_up(c.p[1].party->net, 3));
    if (!logged(1, "peer_refused", "collateral-expired", "\"peer\":3")) {
        show_logs();
        fail_msg("the end of the collateral is not told");
    }
    (void)snprintf(box[3].issued, sizeof box[3].issued, "2026-01-09T00:00:00Z");
    (void)snprintf(box[3].next, sizeof box[3].next, "2026-01-25T00:00:00Z");
    cluster_kill(&c, 3);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 20000, three_up, NULL));
    assert_true(cluster_until(&c, 1000, stage_of_3, &ok));
    int64_t end = 0;
    assert_int_equal(qr_time_parse(qr_view_str(box[3].next), &end), QR_OK);
    assert_true(c.p[1].party->attest.fresh.peer[3].end_ms <= end);

    /* Evidence that teaches nothing new is no reason to write. */
    for (int k = 0; k < 300; k++) {
        cluster_turn(&c);
    }
    uint64_t serial = qr_store_serial(c.p[1].store);
    c.now += 700 * SECOND; /* a renewal is due, after the lines are up again */
    assert_true(cluster_until(&c, 20000, three_up, NULL));
    for (int k = 0; k < 300; k++) {
        cluster_turn(&c);
    }
    assert_int_equal(qr_store_serial(c.p[1].store), serial);

    /* Back to an issue that has not ended either, but is older. */
    for (int round = 0; round < 2; round++) {
        (void)snprintf(box[3].issued, sizeof box[3].issued, "2026-01-08T00:00:00Z");
        clear_logs();
        cluster_kill(&c, 3);
        if (round == 1) {
            cluster_kill(&c, 1); /* its memory is in its store */
            cluster_boot(&c, 1);
        }
        cluster_boot(&c, 3);
        for (int k = 0; k < 1500; k++) {
            cluster_turn(&c);
        }
        assert_false(qr_net_is_up(c.p[1].party->net, 3));
        if (!logged(1, "peer_refused", "collateral-rollback", "\"peer\":3")) {
            show_logs();
            fail_msg("the rollback is not told (round %d)", round);
        }
    }
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
        cmocka_unit_test(three_platforms_sign), cmocka_unit_test(wrong_fourths),
        cmocka_unit_test(another_platform),     cmocka_unit_test(one_too_many),
        cmocka_unit_test(collateral_ends),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
