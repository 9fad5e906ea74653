/*
 * The library's functions: what a wallet may rely on, bad arguments, and the five checks of published
 * guides (chain, measurement, freshness, debug off, signature) with nonce and key binding, each broken
 * alone.
 */
#include "enclave-shim/verify/quorate_verify.h"

#include "enclave-shim/tee.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/evgen_all.h"
#include "test/common/walletkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static struct walletkit k;
static struct quorate_policy *policy;
static struct quorate_roots *roots;
static struct quorate_request *request;
static struct quorate_evidence *evidence;
static struct quorate_verdict *verdict;
static char err[256];

/* Handles of what lies in k; the request asks for all that a wallet asks for. */
static void
open_all(void)
{
    uint8_t binder[32];
    const uint8_t *c = k.context;
    policy = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
    assert_string_equal(err, "");
    assert_non_null(policy);
    roots = quorate_roots_new();
    assert_int_equal(quorate_roots_pin(roots, "aws-nitro", k.root), QUORATE_OK);
    evidence = quorate_evidence_read(k.wire, k.wire_len);
    assert_non_null(evidence);
    request = quorate_request_new();
    assert_int_equal(quorate_client_binder(c, c + 32, c + 64, c + 96, c + 128, binder), QUORATE_OK);
    assert_int_equal(quorate_request_set_binder(request, binder, sizeof binder), QUORATE_OK);
    quorate_request_set_policy(request, policy);
    quorate_request_set_roots(request, roots);
    quorate_request_set_time(request, k.now_ms);
}

static void
close_all(void)
{
    quorate_verdict_free(verdict);
    quorate_request_free(request);
    quorate_evidence_free(evidence);
    quorate_roots_free(roots);
    quorate_policy_free(policy);
    verdict = NULL;
    request = NULL;
    evidence = NULL;
    roots = NULL;
    policy = NULL;
}

static void
judge(void)
{
    quorate_verdict_free(verdict);
    verdict = quorate_verify(evidence, request);
    assert_non_null(verdict);
}

/* A wallet's own functions for jansson, given before the library is first used. */
static size_t taken, given;

static void *
wallet_malloc(size_t n)
{
    taken++;
    return malloc(n);
}

static void
wallet_free(void *p)
{
    given += p != NULL;
    free(p);
}

static int
group_begin(void **state)
{
    (void)state;
    json_set_alloc_funcs(wallet_malloc, wallet_free);
    return qr_hash_init() == QR_OK ? 0 : -1; /* the party's side of test_client_binder */
}

static void
test_accepted(void **state)
{
    const uint8_t *p = NULL;
    size_t len = 0;
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    open_all();
    judge();
    assert_string_equal(quorate_verdict_sentence(verdict), "");
    assert_int_equal(quorate_verdict_accepted(verdict), 1);
    assert_int_equal(quorate_verdict_genuine(verdict), 1);
    assert_string_equal(quorate_verdict_reason(verdict), "none");
    static const char *const made[] = {"limits",   "parse",       "root",  "chain",
                                       "validity", "signature",   "debug", "freshness",
                                       "binder",   "measurement", "policy"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        assert_int_equal(quorate_verdict_check(verdict, made[i]), 1);
    }
    assert_int_equal(quorate_verdict_check(verdict, "tcb"), -1);
    assert_int_equal(quorate_verdict_check(verdict, "chains"), -2);
    /* claims outlive the evidence's handle */
    quorate_evidence_free(evidence);
    evidence = NULL;
    assert_int_equal(quorate_verdict_bytes(verdict, "nonce", &p, &len), 1);
    assert_int_equal(len, 32);
    assert_memory_equal(p, k.binder, 32);
    assert_int_equal(quorate_verdict_bytes(verdict, "pcrs.0", &p, &len), 1);
    assert_int_equal(len, 48);
    assert_int_equal(quorate_verdict_bytes(verdict, "no", &p, &len), 0);
    assert_int_equal(quorate_verdict_bytes(verdict, "debug", &p, &len), 0);
    close_all();
}

static void
test_json(void **state)
{
    json_error_t e;
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    open_all();
    for (int i = 0; i < 2; i++) {
        judge();
        json_t *j = json_loads(quorate_verdict_json(verdict), JSON_REJECT_DUPLICATES, &e);
        assert_non_null(j);
        assert_string_equal(json_string_value(json_object_get(j, "platform")), "aws-nitro");
        assert_string_equal(json_string_value(json_object_get(j, "verdict")), "valid");
        assert_int_equal(json_is_true(json_object_get(j, "accepted")), i == 0);
        assert_string_equal(json_string_value(json_object_get(j, "reason")),
                            i ? "measurement" : "none");
        assert_int_equal(json_object_size(json_object_get(j, "checks")), QR_CHECK_COUNT);
        assert_true(json_object_size(json_object_get(j, "claims")) >= 6);
        assert_int_equal(json_object_size(json_object_get(json_object_get(j, "claims"), "pcrs")),
                         16);
        json_decref(j);
        quorate_request_set_policy(request, NULL); /* another policy: pcrs.2 differs */
        quorate_policy_free(policy);
        char *at = strstr(k.policy, "\"pcrs.2\"");
        at[12] = at[12] == '0' ? '1' : '0';
        policy = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
        assert_non_null(policy);
        quorate_request_set_policy(request, policy);
    }
    close_all();
}

/* ---- the wallet's checks ---- */

static void
other_signer(void)
{
    k.d.spec[EVNITRO_INSTANCE].bad_signature = 1;
    walletkit_build(&k);
}
static void
other_root(void)
{
    walletkit_build(&k);
    k.root[0] ^= 1;
}
static void
leaf_expired(void)
{
    k.d.spec[EVNITRO_LEAF].to_ms = k.now_ms - 1000;
    walletkit_build(&k);
}
static void
other_measurement(void)
{
    k.d.pcr[0][47] ^= 1;
    walletkit_build(&k);
}
static void
old_document(void)
{
    k.d.timestamp_ms -= 600000;
    k.d.spec[EVNITRO_LEAF].from_ms -= 3600000;
    walletkit_build(&k);
}
static void
debug_mode(void)
{
    memset(k.d.pcr, 0, 3 * sizeof k.d.pcr[0]);
    walletkit_build(&k);
}
static void
changed_payload(void)
{
    walletkit_build(&k);
    uint8_t *name = memmem(k.d.payload.p, k.d.payload.len, "i-0123", 6);
    assert_non_null(name);
    name[2] = '9'; /* another machine, signed for this one */
    evnitro_wrap(&k.d);
    walletkit_encode(&k);
}
static void
other_nonce(void)
{
    walletkit_build(&k);
    k.context[0] ^= 1;
}
static void
other_key(void)
{
    walletkit_build(&k);
    k.context[32] ^= 1;
}
static void
other_policy_hash(void)
{
    walletkit_build(&k);
    k.context[64] ^= 1;
}
static void
no_binder(void)
{
    walletkit_build(&k);
    k.d.nonce = (qr_view){NULL, 0};
    evnitro_build(&k.d);
    evgen_sha256(evgen_view(&k.d.cert[EVNITRO_ROOT]), k.root);
    walletkit_encode(&k);
}

static void
test_refused(void **state)
{
    static const struct {
        void (*damage)(void);
        const char *check, *reason;
        int genuine;
    } rows[] = {
        {other_signer, "chain", "chain", 0},
        {other_root, "root", "untrusted-root", 0},
        {leaf_expired, "validity", "expired", 0},
        {other_measurement, "measurement", "measurement", 1},
        {old_document, "timestamp", "stale", 0},
        {debug_mode, "debug", "debug", 1},
        {changed_payload, "signature", "signature", 0},
        {other_nonce, "binder", "binder", 0},
        {other_key, "binder", "binder", 0},
        {other_policy_hash, "binder", "binder", 0},
        {no_binder, "binder", "binder", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        walletkit_init(&k, EVGEN_NOW_MS);
        rows[i].damage();
        open_all();
        judge();
        assert_string_equal(quorate_verdict_reason(verdict), rows[i].reason);
        assert_int_equal(quorate_verdict_accepted(verdict), 0);
        assert_int_equal(quorate_verdict_genuine(verdict), rows[i].genuine);
        assert_int_equal(quorate_verdict_check(verdict, rows[i].check), 0);
        assert_true(strlen(quorate_verdict_sentence(verdict)) > 20);
        close_all();
    }
}

/* Without a time, a binder or a policy nothing is accepted, however genuine it is. */
static void
test_nothing_less(void **state)
{
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    for (int without = 0; without < 3; without++) {
        open_all();
        if (without == 0) {
            quorate_request_set_time(request, -5);
        } else if (without == 1) {
            quorate_request_set_policy(request, NULL);
        } else { /* a request of its own, with everything else */
            quorate_request_free(request);
            request = quorate_request_new();
            quorate_request_set_policy(request, policy);
            quorate_request_set_roots(request, roots);
            quorate_request_set_time(request, k.now_ms);
        }
        judge();
        assert_int_equal(quorate_verdict_genuine(verdict), 1);
        assert_int_equal(quorate_verdict_accepted(verdict), 0);
        close_all();
    }
    /* the built-in roots do not know this vendor */
    open_all();
    quorate_request_set_roots(request, NULL);
    judge();
    assert_string_equal(quorate_verdict_reason(verdict), "untrusted-root");
    close_all();
}

/* Evidence of every platform goes through the same functions. */
static void
test_platforms(void **state)
{
    static uint8_t wire[QR_EVIDENCE_TOTAL_MAX + 4096];
    static const char *const vendors[QR_ROOT_COUNT] = {
        "aws-nitro", "amd-milan",   "amd-genoa",      "amd-turin",
        "intel",     "google-vtpm", "microsoft-vtpm", "confidential-space"};
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *g = evall_get(i);
        struct qr_buf b = qr_buf_over(wire, sizeof wire);
        struct quorate_memory *memory = quorate_memory_new();
        roots = quorate_roots_new();
        for (size_t v = 0; v < QR_ROOT_COUNT; v++) {
            for (size_t n = 0; n < g->roots.of[v].n; n++) {
                assert_int_equal(quorate_roots_pin(roots, vendors[v], g->roots.of[v].sha256[n]),
                                 QUORATE_OK);
            }
        }
        request = quorate_request_new();
        quorate_request_set_roots(request, roots);
        quorate_request_set_time(request, EVGEN_NOW_MS);
        quorate_request_set_memory(request, memory);
        if (g->binds) {
            assert_int_equal(
                quorate_request_set_binder(request, evall_binder().p, evall_binder().len),
                QUORATE_OK);
        }
        qr_evidence_encode(&g->e, &b);
        evidence = quorate_evidence_read(wire, b.len);
        assert_non_null(evidence);
        judge();
        assert_string_equal(quorate_verdict_sentence(verdict), "");
        assert_int_equal(quorate_verdict_genuine(verdict), 1);
        assert_int_equal(quorate_verdict_check(verdict, "binder"), g->binds ? 1 : -1);
        quorate_evidence_free(evidence); /* the same from its pieces */
        evidence = quorate_evidence_new(qr_evidence_kind_name(g->e.kind));
        for (size_t n = g->e.n; n > 0; n--) {
            const struct qr_item *it = &g->e.item[n - 1];
            assert_int_equal(quorate_evidence_add(evidence, qr_part_name(it->part), it->slot,
                                                  it->bytes.p, it->bytes.len),
                             QUORATE_OK);
        }
        judge();
        assert_int_equal(quorate_verdict_genuine(verdict), 1);
        close_all();
        quorate_memory_free(memory);
    }
}

static void
test_client_binder(void **state)
{
    uint8_t c[160], ours[32], theirs[32], again[32];
    (void)state;
    for (size_t i = 0; i < sizeof c; i++) {
        c[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(quorate_client_binder(c, c + 32, c + 64, c + 96, c + 128, ours), QUORATE_OK);
    qr_client_binder(c, c + 32, c + 64, c + 96, c + 128, theirs); /* the party's */
    assert_memory_equal(ours, theirs, 32);
    for (size_t i = 0; i < sizeof c; i += 16) {
        c[i] ^= 1;
        assert_int_equal(quorate_client_binder(c, c + 32, c + 64, c + 96, c + 128, again),
                         QUORATE_OK);
        assert_memory_not_equal(ours, again, 32);
        c[i] ^= 1;
    }
    assert_int_equal(quorate_client_binder(NULL, c, c, c, c, ours), QUORATE_MALFORMED);
    assert_int_equal(quorate_client_binder(c, c, c, c, c, NULL), QUORATE_MALFORMED);
}

static void
test_policies(void **state)
{
    static char big[262145 + 1];
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    assert_null(quorate_policy_read(NULL, 5, err, sizeof err));
    assert_string_equal(err, "no text");
    assert_null(quorate_policy_read("{", 1, err, sizeof err));
    assert_true(strlen(err) > 5);
    assert_null(quorate_policy_read("{", 1, NULL, 0));
    assert_null(quorate_policy_read("{\"platforms\": {\"aws-nitro\": {}}}", 32, err, sizeof err));
    assert_non_null(strstr(err, "freshness"));
    memset(big, ' ', sizeof big);
    assert_null(quorate_policy_read(big, sizeof big, err, sizeof err));
    policy = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
    assert_non_null(policy);
    /* a manifest that is none, and one that nobody asked for */
    assert_int_equal(quorate_policy_add_manifest(policy, NULL, 0, NULL, 0, err, sizeof err),
                     QUORATE_MALFORMED);
    assert_int_equal(quorate_policy_add_manifest(NULL, "{}", 2, NULL, 0, err, sizeof err),
                     QUORATE_MALFORMED);
    assert_int_equal(quorate_policy_add_manifest(policy, "{}", 2, NULL, 0, err, sizeof err),
                     QUORATE_MALFORMED);
    assert_true(strlen(err) > 5);
    quorate_policy_free(policy);
    quorate_policy_free(NULL);
}

static void
test_bad_arguments(void **state)
{
    static uint8_t bytes[300];
    (void)state;
    /* roots */
    roots = quorate_roots_new();
    assert_int_equal(quorate_roots_pin(roots, "aws", bytes), QUORATE_MALFORMED);
    assert_int_equal(quorate_roots_pin(roots, NULL, bytes), QUORATE_MALFORMED);
    assert_int_equal(quorate_roots_pin(roots, "intel", NULL), QUORATE_MALFORMED);
    assert_int_equal(quorate_roots_pin(NULL, "intel", bytes), QUORATE_MALFORMED);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(quorate_roots_pin(roots, "intel", bytes), QUORATE_OK);
    }
    assert_int_equal(quorate_roots_pin(roots, "intel", bytes), QUORATE_TOO_LARGE);
    quorate_roots_free(roots);
    quorate_roots_free(NULL);
    quorate_memory_free(NULL);
    /* evidence */
    assert_null(quorate_evidence_new("aws-nitr"));
    assert_null(quorate_evidence_new("unknown"));
    assert_null(quorate_evidence_new(NULL));
    assert_null(quorate_evidence_read(NULL, 10));
    assert_null(quorate_evidence_read(bytes, sizeof bytes));
    evidence = quorate_evidence_new("aws-nitro");
    assert_int_equal(quorate_evidence_add(evidence, "attestation", 0, bytes, 9), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(evidence, NULL, 0, bytes, 9), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 256, bytes, 9), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 0, NULL, 9), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 0, bytes, 0), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 0, bytes, 5000), QUORATE_TOO_LARGE);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 255, bytes, 9), QUORATE_OK);
    assert_int_equal(quorate_evidence_add(evidence, "vek.der", 255, bytes, 9), QUORATE_MALFORMED);
    assert_int_equal(quorate_evidence_add(NULL, "vek.der", 0, bytes, 9), QUORATE_MALFORMED);
    /* requests */
    request = quorate_request_new();
    assert_int_equal(quorate_request_set_binder(request, bytes, 0), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_binder(request, bytes, 65), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_binder(request, NULL, 32), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_binder(NULL, bytes, 32), QUORATE_MALFORMED);
    memset(bytes, 'x', sizeof bytes - 1);
    assert_int_equal(quorate_request_set_audience(request, (char *)bytes), QUORATE_TOO_LARGE);
    assert_int_equal(quorate_request_set_audience(request, (char *)bytes + 44), QUORATE_OK);
    assert_int_equal(quorate_request_set_audience(request, NULL), QUORATE_OK);
    assert_int_equal(quorate_request_set_audience(NULL, "x"), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_member(request, 0, "aws", "x"), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_member(request, 17, "aws", "x"), QUORATE_MALFORMED);
    assert_int_equal(quorate_request_set_member(request, 1, (char *)bytes, "x"), QUORATE_TOO_LARGE);
    assert_int_equal(quorate_request_set_member(request, 1, "aws", (char *)bytes),
                     QUORATE_TOO_LARGE);
    assert_int_equal(quorate_request_set_member(NULL, 1, "aws", "x"), QUORATE_MALFORMED);
    quorate_request_set_time(NULL, 1);
    quorate_request_set_policy(NULL, NULL);
    quorate_request_set_roots(NULL, NULL);
    quorate_request_set_memory(NULL, NULL);
    /* verdicts */
    assert_null(quorate_verify(NULL, request));
    assert_null(quorate_verify(evidence, NULL));
    assert_int_equal(quorate_verdict_accepted(NULL), 0);
    assert_int_equal(quorate_verdict_genuine(NULL), 0);
    assert_int_equal(quorate_verdict_check(NULL, "chain"), -2);
    assert_int_equal(quorate_verdict_bytes(NULL, "x", NULL, NULL), 0);
    assert_string_equal(quorate_verdict_reason(NULL), "unknown");
    assert_string_equal(quorate_verdict_sentence(NULL), "");
    assert_string_equal(quorate_verdict_json(NULL), "{}");
    judge();
    assert_int_equal(quorate_verdict_genuine(verdict), 0);
    assert_int_equal(quorate_verdict_check(verdict, NULL), -2);
    quorate_verdict_free(verdict);
    verdict = NULL;
    quorate_request_free(request);
    quorate_evidence_free(evidence);
    quorate_request_free(NULL);
    quorate_evidence_free(NULL);
    quorate_verdict_free(NULL);
    assert_int_equal(quorate_verify_version(), QUORATE_VERIFY_VERSION);
}

/* The library keeps to the wallet's functions, and keeps nothing. */
static void
test_host_functions(void **state)
{
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    json_t *own = json_string("the wallet's");
    size_t before = taken - given;
    policy = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
    assert_non_null(policy);
    assert_true(taken > 20);
    quorate_policy_free(policy);
    assert_int_equal(taken - given, before);
    json_decref(own);
    assert_int_equal(taken - given, before - 2); /* the value and its text */
}

/* Members in one cloud: the policy allows one. */
static void
test_quorum(void **state)
{
    struct quorate_verdict *v[3] = {NULL};
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    open_all();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(quorate_request_set_member(request, i < 2 ? i + 1 : 2, "", "operator"),
                         QUORATE_OK);
        v[i] = quorate_verify(evidence, request);
        assert_string_equal(quorate_verdict_sentence(v[i]), "");
        assert_int_equal(quorate_verdict_accepted(v[i]), 1);
    }
    const struct quorate_verdict *one[1] = {v[0]}, *two[2] = {v[0], v[1]}, *twice[2] = {v[1], v[2]},
                                 *none[1] = {NULL};
    assert_int_equal(quorate_quorum(policy, one, 1, err, sizeof err), QUORATE_OK);
    assert_int_equal(quorate_quorum(policy, two, 2, err, sizeof err), QUORATE_REFUSED);
    assert_non_null(strstr(err, "aws"));
    assert_int_equal(quorate_quorum(policy, twice, 2, err, sizeof err), QUORATE_MALFORMED);
    assert_non_null(strstr(err, "distinct"));
    assert_int_equal(quorate_quorum(policy, none, 1, err, sizeof err), QUORATE_MALFORMED);
    assert_int_equal(quorate_quorum(policy, one, 0, err, sizeof err), QUORATE_MALFORMED);
    assert_int_equal(quorate_quorum(policy, one, 17, err, sizeof err), QUORATE_MALFORMED);
    assert_int_equal(quorate_quorum(NULL, one, 1, err, sizeof err), QUORATE_MALFORMED);
    assert_int_equal(quorate_quorum(policy, NULL, 1, NULL, 0), QUORATE_MALFORMED);
    struct quorate_policy *other = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
    assert_int_equal(quorate_quorum(other, one, 1, err, sizeof err), QUORATE_MALFORMED);
    quorate_policy_free(other);
    quorate_request_set_time(request, -1);
    judge(); /* not accepted */
    one[0] = verdict;
    assert_int_equal(quorate_quorum(policy, one, 1, err, sizeof err), QUORATE_MALFORMED);
    for (size_t i = 0; i < 3; i++) {
        quorate_verdict_free(v[i]);
    }
    close_all();
}

/* Memory that runs out at each allocation in turn: NULL or a full verdict, and nothing is left. */
static int countdown;

static int
gate(size_t n)
{
    (void)n;
    return countdown-- != 0;
}

static void
test_no_memory(void **state)
{
    size_t bytes, blocks, bytes_after, blocks_after;
    int finished = 0;
    (void)state;
    walletkit_init(&k, EVGEN_NOW_MS);
    walletkit_build(&k);
    /* read before: jansson 2.14 ends a program whose memory runs out within a string */
    struct quorate_policy *p = quorate_policy_read(k.policy, strlen(k.policy), err, sizeof err);
    assert_non_null(p);
    qr_alloc_stats(&bytes, &blocks);
    for (int n = 0; n < 200 && !finished; n++) {
        countdown = n;
        qr_alloc_gate(gate);
        struct quorate_evidence *e = quorate_evidence_read(k.wire, k.wire_len);
        struct quorate_roots *r = quorate_roots_new();
        struct quorate_request *q = quorate_request_new();
        (void)quorate_roots_pin(r, "aws-nitro", k.root);
        (void)quorate_request_set_binder(q, k.binder, 32);
        quorate_request_set_policy(q, p);
        quorate_request_set_roots(q, r);
        quorate_request_set_time(q, k.now_ms);
        struct quorate_verdict *v = quorate_verify(e, q);
        finished = countdown > 0;
        qr_alloc_gate(NULL);
        if (quorate_verdict_accepted(v)) {
            assert_true(e && r && q);
        }
        assert_true(!finished || quorate_verdict_accepted(v));
        quorate_verdict_free(v);
        quorate_request_free(q);
        quorate_roots_free(r);
        quorate_evidence_free(e);
    }
    assert_true(finished);
    qr_alloc_stats(&bytes_after, &blocks_after);
    assert_int_equal(bytes, bytes_after);
    assert_int_equal(blocks, blocks_after);
    quorate_policy_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_nothing_less),
        cmocka_unit_test(test_platforms),      cmocka_unit_test(test_client_binder),
        cmocka_unit_test(test_policies),       cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_host_functions), cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, group_begin, NULL);
}
