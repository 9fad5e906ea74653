/*
 * Parties on different platforms under one policy: they connect, make a key and sign; one that is not
 * what the policy asks for is refused, in words that its operator can act on.
 * The policy is deploy/policies/three-clouds.json with the values of throwaway vendors and machines;
 * for what that does not say (lists of machines, two parties of one vendor, bare SNP and TDX) it is
 * one of cloudpolicy.h's own. qr_hello_binder is wrapped: one party's side can be wrong in role or nonce (Makefile).
 */
#include "daemon/party_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/common/cloudpolicy.h"
#include "test/common/cluster.h"
#include "test/common/evgen_ca.h"
#include "test/common/teebox.h"
#include "transport/hello.h"

static struct cluster c;
static struct teebox box[5];
static enum qr_platform fourth_is = QR_PLATFORM_SNP;
static const uint64_t wall_start = EVGEN_NOW_MS;

/* ---- the binder, wrong at one end --------------------------------------------------------- */

static enum binder { BINDER_RIGHT, BINDER_ROLE, BINDER_NONCE } binder_is;
static uint16_t binder_of;

void __real_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                            const struct qr_binding *b, uint8_t out[static 32]);
void __wrap_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                            const struct qr_binding *b, uint8_t out[static 32]);

void
__wrap_qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                       const struct qr_binding *b, uint8_t out[static 32])
{
    struct qr_hello p = *prover, v = *verifier;

    int own = c.running == binder_of && prover->index == binder_of;

    if (own && binder_is == BINDER_ROLE) {
        p.role = verifier->role;
        v.role = prover->role;
    }
    if (own && binder_is == BINDER_NONCE) {
        v.nonce[0] ^= 1;
    }
    __real_qr_hello_binder(&p, &v, b, out);
}

/* ---- logs -------------------------------------------------------------------------------- */

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
    const enum qr_platform *platform = ctx;
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
    static enum qr_platform platform[] = {0, QR_PLATFORM_NITRO, QR_PLATFORM_AZURE_SNP,
                                          QR_PLATFORM_GCP_TDX};
    return (struct cluster_how){
        .wall_ms = wall_start,
        .peers = text,
        .roots = teebox_roots(),
        .cloud = {NULL, "aws", "azure", "gcp"},
        .operator_name = {NULL, "ann", "bob", "cid"},
        .tee = {NULL, "aws-nitro", "azure-snp-vtpm", "gcp-tdx-vtpm"},
        .box = wrap,
        .box_ctx = platform,
        .until = linked,
    };
}

/* Under the policy with lists of machines; a fourth party is on SNP as well. */
static struct cluster_how
bare_machines(const char *text)
{
    static enum qr_platform platform[] = {0, QR_PLATFORM_NITRO, QR_PLATFORM_SNP, QR_PLATFORM_TDX};
    return (struct cluster_how){
        .wall_ms = wall_start,
        .peers = text,
        .roots = teebox_roots(),
        .cloud = {NULL, "aws", "azure", "gcp", "azure"},
        .operator_name = {NULL, "ann", "bob", "cid", "dan"},
        .tee = {NULL, "aws-nitro", "amd-sev-snp", "intel-tdx", "amd-sev-snp"},
        .box = wrap,
        .box_ctx = platform,
        .until = linked,
    };
}

static int
up_with(struct cluster *x, uint16_t who, unsigned want)
{
    unsigned n = 0;

    for (uint16_t i = 1; i <= x->n; i++) {
        n += i != who && (unsigned)qr_net_is_up(x->p[i].party->net, who);
    }
    return n == want;
}

/* ctx: whose lines, all or none. */
static int
all_up(struct cluster *x, void *ctx)
{
    return up_with(x, *(uint16_t *)ctx, (unsigned)x->n - 1);
}

static int
all_down(struct cluster *x, void *ctx)
{
    return up_with(x, *(uint16_t *)ctx, 0);
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
    const struct cluster_how how = three_clouds(cloudpolicy_published());
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
    assert_non_null(strstr(text, "\"platform\":\"azure-snp-vtpm\""));
    assert_non_null(strstr(text, "\"platform\":\"gcp-tdx-vtpm\""));
    assert_non_null(strstr(text, "\"vendor\":\"amd\",\"product\":\"genoa\""));
    assert_non_null(strstr(text, "\"vendor\":\"intel\""));
    assert_non_null(strstr(text, "\"vendor\":\"aws\",\"product\":\"nitro\""));
    assert_null(strstr(text, "\"insecure_sim\":true"));
    free(text);
    cluster_stop(&c);
}

struct bad_party {
    const char *name;
    enum teebox_fault fault;
    enum binder binder;
    const char *words, *found; /* in the logs of those who refuse it */
    const char *line_of;       /* the policy's line that is told; NULL: none */
    int own;                   /* its own operator reads it as well, before anybody refuses */
};

/*
 * One rule of the three-cloud policy each, broken by the party on Azure. What is refused twice in the
 * same words is logged once, so no two neighbours sound alike.
 */
static const struct bad_party bad_parties[] = {
    {"measurement", TEEBOX_MEASUREMENT, BINDER_RIGHT,
     "rule measurements.quorate-1.0-azure.quote.pcrs.11", "found", "\"quote.pcrs.11\":", 1},
    {"nonce", TEEBOX_GOOD, BINDER_NONCE, "extraData", "binder", NULL, 0},
    {"debug", TEEBOX_DEBUG, BINDER_RIGHT, "debug", "found", "\"azure-snp-vtpm\": {", 1},
    {"TCB", TEEBOX_TCB, BINDER_RIGHT, "microcode", "found", "\"product\": \"Genoa\"", 1},
    {"signer", TEEBOX_SIGNER, BINDER_RIGHT, "id_key_digests", "found", "\"id_key_digests\"", 1},
    {"role", TEEBOX_GOOD, BINDER_ROLE, "extraData", "binder", NULL, 0},
};

/* What the others' logs and its own say of it. */
static void
look_at_logs(uint16_t who, const struct bad_party *b)
{
    char line[32], peer[16];

    (void)snprintf(peer, sizeof peer, "\"peer\":%u", who);
    (void)snprintf(line, sizeof line, "at line %u:", b->line_of ? line_of(b->line_of) : 0);
    for (uint16_t i = 1; i <= c.n; i++) {
        const char *l = logged(i, "\"ev\":\"peer_refused\"", b->words, b->found);
        if (i != who &&
            (!l || !strstr(l, peer) || (b->line_of && !strstr(l, line)) ||
             (b->binder == BINDER_RIGHT && (!strstr(l, "rule ") || !strstr(l, "expected "))))) {
            show_logs();
            fail_msg("%s: party %u's log does not say it (wanted %s)", b->name, i,
                     b->line_of ? line : "no line");
        }
    }
    const char *told = logged(who, "\"ev\":\"peer_refused\"", "refused us", "");
    assert_true(told == NULL || strstr(told, "rule ") == NULL); /* its peers told it no rule */
    assert_int_equal(logged(who, "\"ev\":\"own_evidence\"", b->words, b->found) != NULL, b->own);
}

/* It is restarted, wrong, and refused by all. */
static void
refused(uint16_t who, const struct bad_party *b)
{
    cluster_kill(&c, who);
    assert_true(cluster_until(&c, 5000, all_down, &who));
    clear_logs();
    box[who].fault = b->fault;
    binder_is = b->binder;
    binder_of = who;
    cluster_boot(&c, who);
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
        assert_true(all_down(&c, &who)); /* never, not for a moment */
    }
    look_at_logs(who, b);
    box[who].fault = TEEBOX_GOOD;
    binder_is = BINDER_RIGHT;
}

static void
wrong_parties(void **state)
{
    uint16_t who = 2;
    (void)state;

    clean();
    struct cluster_how how = three_clouds(cloudpolicy_published());
    how.no_pairs = 1;
    cluster_start_as(&c, 3, &how);
    for (size_t i = 0; i < sizeof bad_parties / sizeof bad_parties[0]; i++) {
        refused(who, &bad_parties[i]);
    }
    cluster_kill(&c, who); /* and it was that, and nothing else */
    cluster_boot(&c, who);
    assert_true(cluster_until(&c, 20000, all_up, &who));
    cluster_stop(&c);
}

/* ---- renewals ---------------------------------------------------------------------------- */

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

/* All lines are lost, and everybody shows evidence anew; 700 s of the wall clock are over as well. */
static void
time_passes(void)
{
    c.wall_ms += 700000;
    c.now += 700 * SECOND;
    clear_logs();
}

/* ctx: the TPM clock that 1 must have seen of 2. */
static int
renewed(struct cluster *x, void *ctx)
{
    return three_up(x, NULL) && x->p[1].party->attest.peer[2].tpm.at.clock >= *(uint64_t *)ctx;
}

/* Party 2's process is known, and its machine is not what it was: it stays outside. */
static void
renewal_refused(const char *words)
{
    uint16_t who = 2;

    time_passes();
    for (int k = 0; k < 1500; k++) {
        cluster_turn(&c);
    }
    assert_true(all_down(&c, &who));
    for (uint16_t i = 1; i <= 3; i += 2) {
        if (!logged(i, "\"ev\":\"peer_refused\"", words, "\"peer\":2")) {
            show_logs();
            fail_msg("party %u's log does not say: %s", i, words);
        }
    }
}

/* Evidence of party 2's process, judged by party 1. */
static qr_err
judged(char why[static QR_SENTENCE_MAX])
{
    static uint8_t mem[QR_EVIDENCE_MAX];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    const struct qr_tee *t = &c.p[2].tee;
    const uint8_t binder[32] = {9};
    struct qr_claims claims;

    assert_int_equal(t->evidence(t->ctx, binder, &b), QR_OK);
    return qr_attest_verify(c.p[1].party, 2, t->platform, c.p[2].party->boot_nonce, qr_buf_view(&b),
                            binder, &claims, why, QR_SENTENCE_MAX);
}

/* A chain is verified once; a new roster forgets that it was good. */
static void
same_chain(void)
{
    const struct qr_links *links = &c.p[1].party->attest.links;
    char why[QR_SENTENCE_MAX] = "";
    size_t n = links->n;

    assert_true(n > 0);
    for (int k = 0; k < 3; k++) {
        if (judged(why) != QR_OK) {
            fail_msg("renewal %d: %s", k, why);
        }
        assert_int_equal(links->n, n);
    }
    box[2].fault = TEEBOX_MACHINE; /* another certificate under the same authorities */
    assert_int_equal(judged(why), QR_OK);
    assert_int_equal(links->n, n + 1);
    box[2].fault = TEEBOX_GOOD;

    qr_attest_start(c.p[1].party);
    size_t own = links->n; /* of its own evidence, which it judges at once */
    assert_true(own < n);
    assert_int_equal(judged(why), QR_OK);
    assert_int_equal(links->n, own + 2); /* the machine's certificate and its authority's */
}

/* A process stays on the boot that it started on: its virtual TPM says so. */
static void
renewals(void **state)
{
    (void)state;
    clean();
    struct cluster_how how = three_clouds(cloudpolicy_published());
    how.no_pairs = 1;
    cluster_start_as(&c, 3, &how);
    const struct qr_tpmlife *seen = &c.p[1].party->attest.peer[2].tpm;
    assert_true(seen->known);
    assert_false(c.p[2].party->attest.peer[1].tpm.known); /* Nitro has none */
    uint64_t clock = seen->at.clock;

    time_passes();
    clock += 700000;
    assert_true(cluster_until(&c, 20000, renewed, &clock));
    clock = seen->at.clock;

    box[2].resets = 1;
    renewal_refused("the machine was rebooted");
    box[2].resets = 0;
    box[2].clock_off_ms = -3600000;
    renewal_refused("the TPM's time went back");
    assert_true(seen->at.clock == clock); /* what was refused teaches nothing */
    box[2].clock_off_ms = 0;
    assert_true(cluster_until(&c, 20000, three_up, NULL));

    box[2].resets = 1;
    box[2].clock_off_ms = -3600000;
    cluster_kill(&c, 2);
    clear_logs();
    cluster_boot(&c, 2); /* another process: the first evidence only says where it begins */
    assert_true(cluster_until(&c, 20000, three_up, NULL));
    assert_true(seen->at.clock < clock);
    same_chain();
    cluster_stop(&c);
}

/* A platform that is not the one the roster tells, however good. */
static void
another_platform(void **state)
{
    static const struct bad_party machine = {
        "machine", TEEBOX_MACHINE, BINDER_RIGHT, "machine", "found", NULL, 1};
    uint16_t who = 4;
    (void)state;

    clean();
    struct cluster_how how = bare_machines(cloudpolicy_machines(2));
    how.no_pairs = 1;
    cluster_start_as(&c, 4, &how);
    refused(4, &machine);
    cluster_kill(&c, 4);
    assert_true(cluster_until(&c, 5000, all_down, &who));
    clear_logs();
    cluster_boot(&c, 4);
    box[4].platform = QR_PLATFORM_NITRO; /* HELLO says SNP, the evidence is Nitro's */
    for (int k = 0; k < 1000; k++) {
        cluster_turn(&c);
        assert_true(all_down(&c, &who));
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
        assert_true(all_down(&c, &who));
    }
    assert_non_null(logged(1, "peer_refused", "the roster says party 4 runs on amd-sev-snp",
                           "its evidence says aws-nitro"));
    cluster_stop(&c);
}

/* Genuine, allowed, and one too many of its vendor. */
static void
one_too_many(void **state)
{
    uint8_t pk[33];
    char body[2048];
    (void)state;

    clean();
    struct cluster_how how = bare_machines(cloudpolicy_machines(2));
    cluster_start_as(&c, 4, &how);
    cluster_keygen(&c, 2, pk);
    clear_logs();
    cluster_kill(&c, 4);
    cluster_policy(&c, cloudpolicy_machines(1)); /* 2 and 4 are AMD's */
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
    struct cluster_how how = bare_machines(cloudpolicy_machines(1));
    how.no_pairs = 1;
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
        cmocka_unit_test(three_platforms_sign),
        cmocka_unit_test(wrong_parties),
        cmocka_unit_test(renewals),

        cmocka_unit_test(another_platform),
        cmocka_unit_test(one_too_many),
        cmocka_unit_test(collateral_ends),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
