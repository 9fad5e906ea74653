/*
 * A configuration against a platform's profile: what a profile forbids is refused, and the key is named;
 * what it allows is not.
 */
#include "daemon/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/platform.h"
#include "enclave-shim/tee_open.h"
#include "protocol/base/hash.h"
#include "test/common/tmpdir.h"

#include <stdio.h>
#include <string.h>

static char why[700];

/* What is right for the platform. */
static struct qr_config_party
good(const char *platform)
{
    struct qr_config_party c = {.listen = "tcp://10.0.0.1:7400",
                                .advertise = "tcp://a.example:7400"};
    int nitro = strcmp(platform, "nitro") == 0;

    (void)snprintf(c.tee.platform, sizeof c.tee.platform, "%s", platform);
    (void)snprintf(c.state_dir, sizeof c.state_dir, "/var/lib/q");
    c.pool.high = 256;
    if (nitro) {
        (void)snprintf(c.listen, sizeof c.listen, "tcp://127.0.0.1:7400");
        (void)snprintf(c.via, sizeof c.via, "127.0.0.1:7500");
        (void)snprintf(c.store, sizeof c.store, "tcp://127.0.0.1:7600");
    }
    return c;
}

static void
allowed(const struct qr_config_party *c)
{
    const struct qr_tee_profile *p = qr_tee_profile_of(c->tee.platform);
    why[0] = '\0';
    if (qr_fit_before(c, p, why, sizeof why) != QR_OK) {
        fail_msg("%s: %s", c->tee.platform, why);
    }
}

static void
refused(const struct qr_config_party *c, const char *key)
{
    const struct qr_tee_profile *p = qr_tee_profile_of(c->tee.platform);
    assert_int_equal(qr_fit_before(c, p, why, sizeof why), QR_ERR_CONFIG);
    if (strncmp(why, key, strlen(key)) != 0 || !strstr(why, c->tee.platform)) {
        fail_msg("\"%s\" does not begin with \"%s\", or does not name %s", why, key,
                 c->tee.platform);
    }
}

static void
test_good(void **state)
{
    (void)state;
    for (const char *const *w = qr_tee_words(); *w; w++) {
        const struct qr_config_party c = good(*w);
        allowed(&c);
    }
}

#define SET(member, text) (void)snprintf(c.member, sizeof c.member, "%s", text)

static void
test_no_network(void **state)
{
    struct qr_config_party c = good("nitro");

    (void)state;
    SET(listen, "tcp://0.0.0.0:7400");
    refused(&c, "[party] listen");
    SET(listen, "tcp://10.0.0.1:7400");
    refused(&c, "[party] listen");
    SET(listen, "tcp://[::1]:7400");
    allowed(&c);
    SET(via, "");
    refused(&c, "[link] via");
}

static void
test_no_disk(void **state)
{
    struct qr_config_party c = good("nitro");

    (void)state;
    SET(store, "");
    refused(&c, "[store] socket");
}

/* Every key of [tee] on every platform: a key that is not read is refused. */
static void
test_options_of_others(void **state)
{
    static const struct {
        const char *key;
        size_t at;
        const char *of; /* words of the platforms that read it */
    } keys[] = {
#define KEY(name) "[tee] " #name, offsetof(struct qr_config_party, tee.name)
        {KEY(tpm), "snp tdx azure-vtpm gcp-vtpm"},
        {KEY(tsm), "snp tdx gcp-vtpm"},
        {KEY(tsm_entry), "snp tdx gcp-vtpm"},
        {KEY(sev_guest), "snp gcp-vtpm"},
        {KEY(nsm), "nitro"},
        {KEY(kms_key), "nitro"},
        {KEY(kms_route), "nitro"},
        {KEY(kms_credentials), "nitro"},
        {KEY(cc_log), "tdx"},
        {KEY(tcg_log), "azure-vtpm gcp-vtpm"},
        {KEY(ak_chain), "azure-vtpm gcp-vtpm"},
    };
    (void)state;
    for (const char *const *w = qr_tee_words(); *w; w++) {
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            struct qr_config_party c = good(*w);
            memcpy((char *)&c + keys[i].at, "/x", 3);
            if (strstr(keys[i].of, *w)) {
                allowed(&c);
            } else {
                refused(&c, keys[i].key);
            }
        }
    }
}

static void
test_releases(void **state)
{
    (void)state;
    struct qr_config_party c = good("azure-vtpm");
    SET(tee.release, "/r");
    assert_int_equal(qr_fit_before(&c, qr_tee_profile_of("azure-vtpm"), why, sizeof why),
                     QR_ERR_CONFIG);
    assert_non_null(strstr(why, "release_key must be set together"));
    SET(tee.release_key, "/k");
    allowed(&c);
    SET(tee.platform, "snp"); /* it has no TPM unless one is named */
    refused(&c, "[tee] release");
    SET(tee.tpm, "/dev/tpmrm0");
    allowed(&c);
    SET(tee.tpm, "");
    SET(tee.platform, "sim");
    refused(&c, "[tee] release");
}

static void
test_memory(void **state)
{
    struct qr_config_party c = good("snp");
    struct qr_tee_profile small = *qr_tee_profile_of("snp");

    (void)state;
    small.memory_max = 65ull << 20;
    c.pool.high = 4096; /* 1 MiB */
    assert_int_equal(qr_fit_before(&c, &small, why, sizeof why), QR_OK);
    c.pool.high = 4097;
    assert_int_equal(qr_fit_before(&c, &small, why, sizeof why), QR_ERR_CONFIG);
    assert_non_null(strstr(why, "[pool] high"));
    assert_non_null(strstr(why, "65 MiB"));
}

/* Shares must not be sealed by what is gone at the next start. */
static void
test_secrets_that_do_not_last(void **state)
{
    static const char *const words[] = {"snp", "tdx", "azure-vtpm", "gcp-vtpm", "nitro"};
    struct qr_tee t = {.platform = QR_PLATFORM_SNP};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct qr_tee_profile p = *qr_tee_profile_of(words[i]);
        struct qr_config_party c = good(words[i]);
        t.profile = &p;
        p.keeps_secrets = 0;
        assert_int_equal(qr_fit_after(&c, &t, 0, why, sizeof why), QR_ERR_CONFIG);
        assert_non_null(strstr(why, p.disk ? "[party] state_dir" : "[store] socket"));
        assert_non_null(strstr(why, p.disk ? "release_key" : "kms_key"));
        assert_int_equal(qr_fit_after(&c, &t, 1, why, sizeof why), p.disk ? QR_OK : QR_ERR_CONFIG);
        p.keeps_secrets = 1;
        assert_int_equal(qr_fit_after(&c, &t, 0, why, sizeof why), QR_OK);
    }
    struct qr_config_party c = good("sim");
    t = (struct qr_tee){.platform = QR_PLATFORM_SIM, .profile = qr_tee_profile_of("sim")};
    assert_int_equal(qr_fit_after(&c, &t, 0, why, sizeof why), QR_OK);
    assert_int_equal(qr_fit_in_memory("/proc"), 0);
    assert_int_equal(qr_fit_in_memory("/nowhere"), 0);
}

/* From the configuration to an open platform, and the refusals on the way. */
static void
test_open(void **state)
{
    struct tmpdir dir;
    struct qr_platform_node n = {0};
    struct qr_tee t = {0};
    struct qr_config_party c = good("sim");

    (void)state;
    tmpdir_new(&dir);
    SET(state_dir, dir.path);
    assert_int_equal(qr_platform_open(&c, &n, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.platform, QR_PLATFORM_SIM);
    qr_platform_settle(&n);
    qr_platform_close(&n, &t);
    qr_platform_close(&n, &t);
    SET(tee.tpm, "/dev/tpmrm0");
    assert_int_equal(qr_platform_open(&c, &n, &t, why, sizeof why), QR_ERR_CONFIG);
    assert_non_null(strstr(why, "[tee] tpm: platform sim"));
    SET(tee.platform, "azure-vtpm");
    SET(tee.tpm, "/nowhere/tpm");
    assert_int_equal(qr_platform_open(&c, &n, &t, why, sizeof why), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "/nowhere/tpm"));
    assert_null(n.keep.ctx);
    SET(tee.platform, "oracle");
    assert_int_equal(qr_platform_open(&c, &n, &t, why, sizeof why), QR_ERR_CONFIG);
    tmpdir_remove(&dir);
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_no_network),
        cmocka_unit_test(test_no_disk),
        cmocka_unit_test(test_options_of_others),
        cmocka_unit_test(test_releases),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_secrets_that_do_not_last),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
