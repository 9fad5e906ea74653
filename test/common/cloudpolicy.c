#include "test/common/cloudpolicy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/common/teebox.h"

static char peers[12288];

/* ---- the published policy ---------------------------------------------------------------- */

#define PUBLISHED "deploy/policies/three-clouds.json"
#define N_VALUES 18u

static char was[sizeof peers];
static struct {
    size_t at, len;
} changed[N_VALUES];
static size_t n_changed;

/* The object behind "peers", byte for byte. */
static void
read_published(void)
{
    static char text[32768];
    FILE *f = fopen(PUBLISHED, "r");

    if (!f) {
        fail_msg(PUBLISHED ": run this from the root of the source tree");
    }
    size_t n = fread(text, 1, sizeof text - 1, f), depth = 0;
    (void)fclose(f);
    text[n] = '\0';
    const char *from = strstr(text, "\"peers\": {"), *p;
    assert_non_null(from);
    p = from += strlen("\"peers\": ");
    int quoted = 0;
    do { /* its strings have no escapes */
        assert_true(*p != '\0' && *p != '\\');
        quoted ^= *p == '"';
        depth += !quoted && *p == '{';
        depth -= !quoted && *p == '}';
        p++;
    } while (depth > 0);
    n = (size_t)(p - from);
    assert_true(n < sizeof was);
    memcpy(was, from, n);
    was[n] = '\0';
}

/* Another value for the first `name` behind `section`: as long, and so of the same kind. */
static void
put(const char *section, const char *name, const char *value)
{
    char *at = strstr(peers, section);

    at = at ? strstr(at, name) : NULL;
    assert_non_null(at);
    at += strlen(name);
    at += strspn(at, ": [\n");
    assert_int_equal(*at, '"');
    at++;
    size_t len = strcspn(at, "\"");
    assert_int_equal(len, strlen(value));
    assert_memory_not_equal(at, value, len); /* a placeholder it was */
    memcpy(at, value, len);
    assert_true(n_changed < N_VALUES);
    changed[n_changed].at = (size_t)(at - peers);
    changed[n_changed++].len = len;
}

/* Whatever differs lies in a value that was put, and all lengths are what they were. */
static void
only_values_changed(void)
{
    assert_int_equal(n_changed, N_VALUES);
    assert_int_equal(strlen(peers), strlen(was));
    for (size_t i = 0; was[i]; i++) {
        size_t in = 0;
        for (size_t k = 0; k < n_changed; k++) {
            in += i >= changed[k].at && i < changed[k].at + changed[k].len;
        }
        assert_true(in <= 1); /* each value once */
        assert_true(in == 1 || peers[i] == was[i]);
    }
}

/* The published peers with what the throwaway parties measure, who signed them, and since when. */
const char *
cloudpolicy_published(void)
{
    static const struct {
        const char *set, *name;
        enum qr_platform platform;
        unsigned which;
    } measured[] = {
        {"\"quorate-1.0-nitro\"", "\"pcrs.0\"", QR_PLATFORM_NITRO, 0},
        {"\"quorate-1.0-nitro\"", "\"pcrs.1\"", QR_PLATFORM_NITRO, 1},
        {"\"quorate-1.0-nitro\"", "\"pcrs.2\"", QR_PLATFORM_NITRO, 2},
        {"\"quorate-1.0-azure\"", "\"quote.pcrs.4\"", QR_PLATFORM_AZURE_SNP, 4},
        {"\"quorate-1.0-azure\"", "\"quote.pcrs.7\"", QR_PLATFORM_AZURE_SNP, 7},
        {"\"quorate-1.0-azure\"", "\"quote.pcrs.9\"", QR_PLATFORM_AZURE_SNP, 9},
        {"\"quorate-1.0-azure\"", "\"quote.pcrs.11\"", QR_PLATFORM_AZURE_SNP, 11},
        {"\"quorate-1.0-azure\"", "\"quote.pcrs.12\"", QR_PLATFORM_AZURE_SNP, 12},
        {"\"quorate-1.0-gcp\"", "\"quote.pcrs.4\"", QR_PLATFORM_GCP_TDX, 4},
        {"\"quorate-1.0-gcp\"", "\"quote.pcrs.7\"", QR_PLATFORM_GCP_TDX, 7},
        {"\"quorate-1.0-gcp\"", "\"quote.pcrs.9\"", QR_PLATFORM_GCP_TDX, 9},
        {"\"quorate-1.0-gcp\"", "\"quote.pcrs.11\"", QR_PLATFORM_GCP_TDX, 11},
        {"\"quorate-1.0-gcp\"", "\"quote.pcrs.12\"", QR_PLATFORM_GCP_TDX, 12},
    };
    static const char *const sets[] = {"\"quorate-1.0-nitro\"", "\"quorate-1.0-azure\"",
                                       "\"quorate-1.0-gcp\""};
    char hex[97];

    read_published();
    memcpy(peers, was, sizeof peers);
    n_changed = 0;
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++) {
        teebox_measurement(measured[i].platform, measured[i].which, hex);
        put(measured[i].set, measured[i].name, hex);
    }
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        put(sets[i], "\"valid_from\"", "2025-06-01T00:00:00Z");
    }
    teebox_signer(QR_PLATFORM_NITRO, hex);
    put("\"platforms\": {", "\"signer_pcr8\"", hex);
    teebox_signer(QR_PLATFORM_AZURE_SNP, hex);
    put("\"platforms\": {", "\"id_key_digests\"", hex);
    only_values_changed();
    return peers;
}

/* ---- a policy with lists of machines ------------------------------------------------------ */

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

/* A line for each rule. */
const char *
cloudpolicy_machines(unsigned per_vendor)
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
        "\"quorum\":{\n\"max_per_vendor\":%u,\n\"max_per_cloud\":2},\n"
        "\"peer_secret\":{\"threshold\":2}}",
        module, chip, ppid, per_vendor);
    return peers;
}
