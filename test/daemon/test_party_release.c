/* Measurement manifests in a party: believed by the policy alone, kept, dropped with the policy. */
#include "test/common/cluster.h"
#include "test/common/peerkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FRESH                                                                                      \
    "\"freshness\":{\"max_age_s\":300,\"reattest_s\":600,\"clock_spread_s\":60,\"stages\":"        \
    "{\"warn_s\":3600,\"no_peers_s\":86400,\"no_keys_s\":172800,\"stop_s\":259200}}"

static struct cluster c;

/* A policy for the software TEE and SEV-SNP, with these manifests by hash or by one key. */
static const char *
peers(const char *manifests)
{
    static char text[4096];
    assert_true((size_t)snprintf(
                    text, sizeof text,
                    "{\"insecure_sim\":true," FRESH
                    ",\"require\":[\"validity\",\"binder\"],%s\"platforms\":{\"amd-sev-snp\":{"
                    "\"products\":[{\"product\":\"Milan\",\"bootloader\":1,\"tee\":0,\"snp\":1,"
                    "\"microcode\":1}]}}}",
                    manifests) < sizeof text);
    return text;
}

static const char *
by_hash(const char *manifest)
{
    static char text[256];
    struct qr_manifest *m = NULL;
    char hex[65], why[256];
    assert_int_equal(qr_manifest_parse(qr_view_str(manifest), &m, why, sizeof why), QR_OK);
    qr_hex_encode(qr_view_of(qr_manifest_sha256(m), 32), hex);
    qr_manifest_free(m);
    (void)snprintf(text, sizeof text, "\"manifests\":[{\"sha256\":[\"%s\"]}],", hex);
    return text;
}

static const struct qr_answer *
load(const char *manifest, const char *line)
{
    struct qr_ask a = {
        .what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_MEASUREMENTS, .body = qr_view_str(manifest)};
    if (line) {
        a.stamps[0] = qr_view_of(line, strlen(line) - 1); /* without its newline */
        a.n_stamps = 1;
    }
    return cluster_wait(&c, cluster_ask(&c, 1, 1, &a), 1000);
}

static void
refused(const struct qr_answer *a, qr_err e, const char *words)
{
    assert_string_equal(qr_err_name(a->error), qr_err_name(e));
    if (!memmem(a->detail.p, a->detail.len, words, strlen(words))) {
        fail_msg("\"%.*s\" lacks \"%s\"", (int)a->detail.len, (const char *)a->detail.p, words);
    }
}

static int
set_up(void **state)
{
    (void)state;
    cluster_start(&c, 2, NULL);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    cluster_stop(&c);
    return 0;
}

static void
test_only_what_the_policy_names(void **state)
{
    (void)state;
    refused(load(peerkit_releases[0], NULL), QR_ERR_USAGE, "refers to no manifest");
    cluster_policy(&c, peers(by_hash(peerkit_releases[0])));
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    refused(load(peerkit_releases[1], NULL), QR_ERR_ATTESTATION, "no rule of the policy names");
    refused(load("{\"v\":1}", NULL), QR_ERR_MALFORMED, "type");
    assert_int_equal(c.p[1].party->n_releases, 0);
    assert_int_equal(load(peerkit_releases[0], NULL)->error, QR_OK);
    assert_int_equal(c.p[1].party->n_releases, 1);
    /* Another time is no change, and no reason to attest everybody anew. */
    uint64_t serial = qr_store_serial(c.p[1].store);
    assert_int_equal(load(peerkit_releases[0], NULL)->error, QR_OK);
    assert_int_equal(qr_store_serial(c.p[1].store), serial);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    /* Not on the gateway's socket. */
    struct qr_ask a = {.what = QR_ASK_ADMIN,
                       .admin = QR_ADMIN_LOAD_MEASUREMENTS,
                       .body = qr_view_str(peerkit_releases[0])};
    assert_int_equal(cluster_wait(&c, cluster_ask(&c, 1, 0, &a), 1000)->error, QR_ERR_ADMIN);
}

static void
test_kept_over_restarts_and_dropped_with_the_policy(void **state)
{
    (void)state;
    cluster_policy(&c, peers(by_hash(peerkit_releases[0])));
    assert_int_equal(load(peerkit_releases[0], NULL)->error, QR_OK);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_int_equal(c.p[1].party->n_releases, 1);
    assert_string_equal(qr_manifest_release(c.p[1].party->release[0].m), "1.0");
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    /* A policy that names it stays with it; one that does not lets it go, on the disk, too. */
    cluster_policy(&c, peers(by_hash(peerkit_releases[0])));
    assert_int_equal(c.p[1].party->n_releases, 1);
    cluster_policy(&c, peers(by_hash(peerkit_releases[1])));
    assert_int_equal(c.p[1].party->n_releases, 0);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_int_equal(c.p[1].party->n_releases, 0);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
}

static void
test_signed_by_a_release_key(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
             *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    char good[QR_SIGNATURE_LINE_MAX], bad[QR_SIGNATURE_LINE_MAX], rule[256];
    assert_int_equal(qr_manifest_sign(key, qr_view_str(peerkit_releases[1]), good), QR_OK);
    assert_int_equal(qr_manifest_sign(other, qr_view_str(peerkit_releases[1]), bad), QR_OK);
    (void)snprintf(rule, sizeof rule,
                   "\"manifests\":[{\"need\":1,\"signers\":[{\"name\":\"rel\",\"scheme\":"
                   "\"ed25519\",\"key\":\"%.64s\"}]}],",
                   good + 8);
    cluster_policy(&c, peers(rule));
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    refused(load(peerkit_releases[1], NULL), QR_ERR_ATTESTATION, "0 of 1 needed release keys");
    refused(load(peerkit_releases[1], bad), QR_ERR_ATTESTATION, "0 of 1 needed release keys");
    refused(load(peerkit_releases[0], good), QR_ERR_ATTESTATION, "rel");
    assert_int_equal(load(peerkit_releases[1], good)->error, QR_OK);
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_int_equal(c.p[1].party->n_releases, 1);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* ---- the lowest release that opens what is sealed ------------------------------------------ */

static uint64_t asked[8];
static size_t n_asked;
static qr_err answer;

static qr_err
fake_revoke(void *ctx, uint64_t minimum)
{
    (void)ctx;
    asked[n_asked++ % 8] = minimum;
    return answer;
}

/* A manifest of release 1.0 that asks for this minimum; static. */
static const char *
with_minimum(const char *number)
{
    static char text[8192];
    char member[64];
    (void)snprintf(member, sizeof member, "\"minimum_release\":%s,\"release\":", number);
    peerkit_edit(peerkit_releases[0], "\"release\":", member, text, sizeof text);
    return text;
}

static void
test_minimum_raises_the_platform(void **state)
{
    (void)state;
    n_asked = 0;
    answer = QR_ERR_PLATFORM; /* the first time it fails; nothing else does for that */
    c.p[1].tee.revoke = fake_revoke;
    cluster_policy(&c, peers(by_hash(with_minimum("3"))));
    assert_int_equal(load(with_minimum("3"), NULL)->error, QR_OK);
    assert_int_equal(n_asked, 1);
    assert_int_equal(asked[0], 3);
    assert_int_equal(c.p[1].party->n_releases, 1);
    /* the manifest is kept, and with the next policy the platform is asked again, once */
    answer = QR_OK;
    cluster_policy(&c, peers(by_hash(with_minimum("3"))));
    assert_int_equal(n_asked, 2);
    assert_int_equal(c.p[1].party->min_release, 3);
    cluster_policy(&c, peers(by_hash(with_minimum("3"))));
    assert_int_equal(n_asked, 2);
    /* a platform without a counter, and a manifest that asks for nothing, are no failure */
    c.p[1].tee.revoke = NULL;
    cluster_policy(&c, peers(by_hash(with_minimum("4"))));
    assert_int_equal(load(with_minimum("4"), NULL)->error, QR_OK);
    c.p[1].tee.revoke = fake_revoke;
    cluster_policy(&c, peers(by_hash(peerkit_releases[0])));
    assert_int_equal(load(peerkit_releases[0], NULL)->error, QR_OK);
    assert_int_equal(n_asked, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_the_policy_names),
        cmocka_unit_test(test_kept_over_restarts_and_dropped_with_the_policy),
        cmocka_unit_test(test_signed_by_a_release_key),
        cmocka_unit_test(test_minimum_raises_the_platform),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
