/*
 * quorate verify on evidence: folders and files in, one JSON object or words for people out, exit codes.
 * The evidence is generated. Those platforms are used whose trust is handed over beside it (a TPM's
 * key, a token's key set); all others end at the product's own roots, which is tested, too.
 */
#include "daemon/ctl.h"
#include "daemon/ctl_case.h"
#include "daemon/ctl_report.h"
#include "protocol/base/enc.h"
#include "test/common/ctlkit.h"
#include "test/common/evgen_all.h"

#include <ftw.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define AT "2026-01-01T00:00:00Z"

/* ---- folders ---- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static int
setup(void **state)
{
    (void)state;
    snprintf(ctl_home, sizeof ctl_home, "/tmp/test_ctl_XXXXXX");
    return mkdtemp(ctl_home) ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    return nftw(ctl_home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
put(const char *name, qr_view v)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", ctl_home, name);
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(v.p, 1, v.len, f), v.len);
    assert_int_equal(fclose(f), 0);
}

static void
folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", ctl_home, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static const struct evall *
evidence_of(const char *name)
{
    for (size_t i = 0; i < evall_n(); i++) {
        if (strcmp(evall_get(i)->name, name) == 0) {
            return evall_get(i);
        }
    }
    fail_msg("no evidence %s", name);
    return NULL;
}

/* "tpm_quote.sha256.msg" for slot 2 of "tpm_quote.msg". */
static const char *
file_name(const struct qr_item *it)
{
    static const char *const bank[] = {"", "sha1", "sha256", "sha384"};
    static char name[64];
    const char *plain = qr_part_name(it->part), *dot = strrchr(plain, '.');

    if (it->slot == 0) {
        return plain;
    }
    snprintf(name, sizeof name, "%.*s.%s%s", (int)(dot - plain), plain, bank[it->slot], dot);
    return name;
}

/* A case folder below `platform`, with a case.json if there is a text for it. */
static void
write_case(const char *platform, const struct evall *a, const char *json)
{
    char path[128];

    folder(platform);
    snprintf(path, sizeof path, "%s/a", platform);
    folder(path);
    for (size_t i = 0; i < a->e.n; i++) {
        snprintf(path, sizeof path, "%s/a/%s", platform, file_name(&a->e.item[i]));
        put(path, a->e.item[i].bytes);
    }
    if (json) {
        snprintf(path, sizeof path, "%s/a/case.json", platform);
        put(path, qr_view_str(json));
    }
}

/* ---- reports ---- */

static const char *
text_of(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_null(v) ? "null" : json_string_value(v) ? json_string_value(v) : "?";
}

static json_t *
report(void)
{
    json_error_t err;
    json_t *j = json_loads(ctl_out, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    return j;
}

static void
expect(const char *verdict, const char *reason, const char *check, const char *result)
{
    json_t *j = report();
    const json_t *checks = json_object_get(j, "checks");

    assert_string_equal(text_of(j, "verdict"), verdict);
    assert_string_equal(text_of(j, "reason"), reason);
    assert_int_equal(json_object_size(checks), QR_CHECK_COUNT);
    if (check) {
        assert_string_equal(text_of(checks, check), result);
    }
    json_decref(j);
}

/* ---- tests ---- */

static void
test_case(void **state)
{
    (void)state;
    char nonce[65];
    write_case("tpm2", evidence_of("tpm"), "{\"platform\":\"tpm2\",\"evaluation_time\":null}");
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a --json"), QR_EXIT_OK);
    expect("valid", "null", "quote", "pass");
    json_t *j = report();
    const char *const members[] = {"platform",   "verdict", "reason", "tcb_status",
                                   "advisories", "checks",  "claims"};
    assert_int_equal(json_object_size(j), sizeof members / sizeof members[0]);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        assert_non_null(json_object_get(j, members[i]));
    }
    assert_string_equal(text_of(j, "platform"), "tpm2");
    assert_string_equal(text_of(j, "tcb_status"), "null");
    assert_int_equal(json_array_size(json_object_get(j, "advisories")), 0);
    const json_t *bank = json_object_get(json_object_get(j, "claims"), "banks");
    const json_t *quote = json_object_get(json_object_get(bank, "sha256"), "quote");
    qr_hex_encode(evall_binder(), nonce);
    assert_string_equal(text_of(quote, "extraData"), nonce);
    json_decref(j);
    assert_string_equal(ctl_err, "");

    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a --nonce %s", nonce), QR_EXIT_OK);
    expect("valid", "null", "binder", "pass");
    nonce[63] = nonce[63] == '0' ? '1' : '0';
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a --nonce %s", nonce),
                     QR_EXIT_REFUSED);
    expect("invalid", "binder", "binder", "fail");
    ctl_says("refused: ");
}

static void
test_platform_of_folder(void **state)
{
    (void)state;
    write_case("azure-maa", evidence_of("maa"), NULL);
    assert_int_equal(ctl_run("verify", "--json --at " AT " --case @/azure-maa/a"), QR_EXIT_OK);
    expect("valid", "null", "token", "pass");
    assert_int_equal(ctl_run("verify", "--json --at " AT " --case @/azure-maa/a/"), QR_EXIT_OK);
    /* without a time of the case, now: the token is long over */
    assert_int_equal(ctl_run("verify", "--json --case @/azure-maa/a"), QR_EXIT_REFUSED);
    expect("invalid", "expired", NULL, NULL);
    write_case("gcp-confidential-space", evidence_of("maa"), NULL);
    assert_int_equal(ctl_run("verify", "--json --at " AT " --case @/gcp-confidential-space/a"),
                     QR_EXIT_REFUSED);
    write_case("another", evidence_of("maa"), NULL);
    assert_int_equal(ctl_run("verify", "--json --at " AT " --case @/another/a"), QR_EXIT_REFUSED);
    expect("invalid", "unsupported", "parse", "fail");
    /* case.json is asked first */
    put("another/a/case.json",
        qr_view_str("{\"platform\":\"azure-maa\",\"evaluation_time\":\"" AT "\"}"));
    assert_int_equal(ctl_run("verify", "--json --case @/another/a"), QR_EXIT_OK);
    put("another/a/case.json", qr_view_str("{\"platform\":\"azure-maa\",\"evaluation_time\":"
                                           "\"2026-01-01T02:00:00.25+02:00\",\"expected\":{}}"));
    assert_int_equal(ctl_run("verify", "--json --case @/another/a"), QR_EXIT_OK);
}

static void
test_case_json(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"platform\":1}",
                                      "{\"platform\":\"tpm2\",\"platform\":\"tpm2\"}",
                                      "{\"platform\":\"\\u001b[31m\"}",
                                      "{\"platform\":\"tpm2\",\"evaluation_time\":1}",
                                      "{\"platform\":\"tpm2\",\"evaluation_time\":\"yesterday\"}"};
    write_case("tpm2", evidence_of("tpm"), NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("tpm2/a/case.json", qr_view_str(bad[i]));
        assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_CONFIG);
        assert_string_equal(ctl_out, "");
        ctl_says("case.json");
    }
    put("tpm2/a/case.json", qr_view_str("{}")); /* says nothing: the folder above and now */
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_OK);
}

static void
test_pieces(void **state)
{
    (void)state;
    static uint8_t big[40000];
    char path[128];
    write_case("tpm2", evidence_of("tpm"), NULL);
    /* names that mean nothing are left out, and told on demand */
    put("tpm2/a/README", qr_view_str("x"));
    put("tpm2/a/tpm_quote.sha512.msg", qr_view_str("x"));
    put("tpm2/a/\033[31m", qr_view_str("x"));
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_OK);
    assert_string_equal(ctl_err, "");
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a --verbose"), QR_EXIT_OK);
    ctl_says("README");
    ctl_says("tpm_quote.sha512.msg");
    assert_null(strchr(ctl_err, '\033'));

    put("tpm2/a/tpm_quote.sha256.sig", qr_view_of(big, sizeof big));
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_REFUSED);
    expect("invalid", "resource-limit", "limits", "fail");
    put("tpm2/a/tpm_quote.sha256.sig", qr_view_str(""));
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_REFUSED);
    expect("invalid", "malformed", "parse", "fail");
    snprintf(path, sizeof path, "%s/tpm2/a/tpm_quote.sha256.sig", ctl_home);
    unlink(path);
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_REFUSED);
    expect("invalid", "malformed", NULL, NULL);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it */
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_REFUSED);
    expect("invalid", "malformed", "limits", "fail");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("verify", "--json --case @/nowhere"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", "--json --case @/tpm2/a/README"), QR_EXIT_USAGE);
}

/* Generated evidence of every platform ends at the product's own roots, if not before. */
static void
test_every_platform(void **state)
{
    (void)state;
    char path[64];
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        char json[128];
        int handed = qr_evidence_get(&a->e, QR_PART_AK_PEM).p ||
                     qr_evidence_get(&a->e, QR_PART_AK_PUBLIC).p ||
                     qr_evidence_get(&a->e, QR_PART_JWKS).p;
        snprintf(json, sizeof json, "{\"platform\":\"%s\",\"evaluation_time\":\"" AT "\"}",
                 qr_evidence_kind_name(a->e.kind));
        snprintf(path, sizeof path, "p%zu", i);
        write_case(path, a, json);
        assert_int_equal(ctl_run("verify", "--json --case @/%s/a", path),
                         handed ? QR_EXIT_OK : QR_EXIT_REFUSED);
        if (!handed) {
            expect("invalid", "untrusted-root", "root", "fail");
        }
    }
}

static void
test_files(void **state)
{
    (void)state;
    static uint8_t wire[QR_EVIDENCE_TOTAL_MAX];
    const struct evall *a = evidence_of("tpm");
    struct qr_buf b = qr_buf_over(wire, sizeof wire);
    char hex[65];

    qr_hex_encode(evall_binder(), hex);
    write_case("tpm2", a, NULL);
    /* pieces by name; what they are is guessed from them */
#define PIECES                                                                                     \
    "--evidence @/tpm2/a/tpm_quote.sha256.msg @/tpm2/a/tpm_quote.sha256.sig "                      \
    "@/tpm2/a/pcrs.sha256.bin "
    assert_int_equal(ctl_run("verify", PIECES "@/tpm2/a/ak_pub.pem --json --nonce %s", hex),
                     QR_EXIT_OK);
    expect("valid", "null", "binder", "pass");
    assert_int_equal(ctl_run("verify", PIECES "ak_pub.pem=%s/tpm2/a/ak_pub.pem --json", ctl_home),
                     QR_EXIT_OK);
    assert_int_equal(ctl_run("verify", PIECES "--json"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("verify", PIECES "@/tpm2/a/pcrs.sha256.bin --json"), QR_EXIT_REFUSED);
    expect("invalid", "malformed", "parse", "fail"); /* twice the same */
    assert_int_equal(ctl_run("verify", PIECES "README=%s/tpm2/a/ak_pub.pem", ctl_home),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", "--evidence @/tpm2/a/ak_pub.pem"), QR_EXIT_USAGE);
    ctl_says("--platform");
    assert_int_equal(ctl_run("verify", "--evidence @/tpm2/a/ak_pub.pem --platform tpm2 --json"),
                     QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("verify", "--evidence @/nothing/quote.bin"), QR_EXIT_USAGE);

    /* all in one */
    qr_evidence_encode(&a->e, &b);
    assert_int_equal(b.err, QR_OK);
    put("all", qr_buf_view(&b));
    assert_int_equal(ctl_run("verify", "--evidence @/all --json"), QR_EXIT_OK);
    expect("valid", "null", "quote", "pass");
    put("all", qr_view_of(wire, b.len - 1));
    assert_int_equal(ctl_run("verify", "--evidence @/all --json"), QR_EXIT_REFUSED);
    expect("invalid", "malformed", "limits", "fail");
    wire[b.len] = 0;
    put("all", qr_view_of(wire, b.len + 1));
    assert_int_equal(ctl_run("verify", "--evidence @/all --json"), QR_EXIT_REFUSED);
    expect("invalid", "trailing-data", "limits", "fail");
    wire[4] = 9;
    put("all", qr_view_of(wire, b.len));
    assert_int_equal(ctl_run("verify", "--evidence @/all --json"), QR_EXIT_REFUSED);
    expect("invalid", "unsupported", "limits", "fail");
    put("all", qr_view_str("QREX"));
    assert_int_equal(ctl_run("verify", "--evidence @/all --json"), QR_EXIT_USAGE);
}

/* Evidence of every platform says itself what it is; only tokens do not. */
static void
test_guesses(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *a = evall_get(i);
        struct qr_ctl_case k = {.e = a->e};
        k.e.kind = QR_EV_NONE;
        qr_ctl_case_guess(&k);
        int token = qr_evidence_get(&a->e, QR_PART_TOKEN).p != NULL;
        assert_int_equal(k.e.kind, token ? QR_EV_NONE : a->e.kind);
    }
}

static void
test_words(void **state)
{
    (void)state;
    write_case("tpm2", evidence_of("tpm"), NULL);
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a"), QR_EXIT_OK);
    assert_non_null(strstr(ctl_out, "verdict   valid\n"));
    assert_non_null(strstr(ctl_out, "ok  quote"));
    assert_non_null(strstr(ctl_out, qr_check_meaning(QR_CHECK_QUOTE)));
    assert_non_null(strstr(ctl_out, "not made"));
    assert_null(strstr(ctl_out, "extraData"));
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a --verbose"), QR_EXIT_OK);
    assert_non_null(strstr(ctl_out, "extraData"));
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a --nonce 00"), QR_EXIT_REFUSED);
    assert_non_null(strstr(ctl_out, "verdict   invalid: binder (check binder)\n"));
    assert_non_null(strstr(ctl_out, "because   "));
    assert_non_null(strstr(ctl_out, qr_ctl_report_advice(QR_REASON_BINDER)));
    assert_non_null(strstr(ctl_out, "NO  binder"));
    /* every reason has an advice, in one printable line */
    for (int r = QR_REASON_NONE + 1; r < QR_REASON_COUNT; r++) {
        const char *advice = qr_ctl_report_advice((enum qr_reason)r);
        assert_true(strlen(advice) > 20 && advice[strlen(advice) - 1] == '.');
    }
    assert_string_equal(qr_ctl_report_advice(QR_REASON_NONE), "");
    assert_string_equal(qr_ctl_report_advice(QR_REASON_COUNT), "");
}

static void
test_usage(void **state)
{
    (void)state;
    write_case("tpm2", evidence_of("tpm"), NULL);
    put("policy", qr_view_str("{\"v\":1,\"type\":\"quorate/policy\"}"));
    assert_int_equal(ctl_run("verify", "--json"), QR_EXIT_USAGE);
    ctl_says("--case");
    assert_int_equal(ctl_run("verify", "--key 02 @/policy"), QR_EXIT_USAGE);
#define CASE "--case @/tpm2/a "
    assert_int_equal(ctl_run("verify", CASE "--at yesterday"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--nonce 0"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--nonce 0G"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--nonce="), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--key 02"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE CASE), QR_EXIT_USAGE);
    ctl_says("--policy");
    assert_int_equal(ctl_run("verify", CASE "--roster @/policy"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--manifest @/policy"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--evidence @/policy"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--platform tpm2"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", "--evidence @/policy --platform sgx9"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("verify", CASE "--policy @/policy"), QR_EXIT_CONFIG);
    assert_int_equal(ctl_run("verify", CASE "--policy @/nothing"), QR_EXIT_USAGE);
}

/* Genuine evidence that a policy refuses, in its own words. */
static void
test_policy(void **state)
{
    (void)state;
    static const char format[] =
        "{\"peer_secret\": {\"threshold\": 2}, \"freshness\": {\"max_age_s\": 300, \"reattest_s\": "
        "600, \"clock_spread_s\": 60,"
        "  \"stages\": {\"warn_s\": 3600, \"no_peers_s\": 7200, \"no_keys_s\": 14400,"
        "  \"stop_s\": 86400}}, \"require\": [\"binder\"],"
        " \"measurements\": [{\"name\": \"release\", \"platform\": \"tpm2\","
        "  \"valid_from\": \"2025-06-01T00:00:00Z\", \"valid_until\": \"2026-06-01T00:00:00Z\","
        "  \"expect\": {\"quote.pcrs.11\": \"%s\"}}],"
        " \"platforms\": {\"tpm2\": {\"insecure\": true, \"machines\": {\"allow\":"
        "  [{\"ak_key_sha256\": \"%s\"}]}}}, \"quorum\": {\"max_per_product\": %u}}";
    char text[2048], nonce[65], pcr[65], ak[65];
    qr_hex_encode(evall_binder(), nonce);
    write_case("tpm2", evidence_of("tpm-public"),
               "{\"platform\":\"tpm2\",\"evaluation_time\":\"" AT "\"}");
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a --json"), QR_EXIT_OK);
    json_t *j = report();
    const json_t *quote = json_object_get(json_object_get(j, "claims"), "quote");
    snprintf(pcr, sizeof pcr, "%s", text_of(json_object_get(quote, "pcrs"), "11"));
    snprintf(ak, sizeof ak, "%s", text_of(json_object_get(j, "claims"), "ak_spki_sha256"));
    json_decref(j);

    snprintf(text, sizeof text, format, pcr, ak, 1u);
    put("policy", qr_view_str(text));
    assert_int_equal(ctl_run("verify", "--case @/tpm2/a --json --nonce %s", nonce), QR_EXIT_OK);
    assert_int_equal(
        ctl_run("verify", "--case @/tpm2/a --json --policy @/policy --nonce %s", nonce),
        QR_EXIT_OK); /* nobody certified the key, but the policy pins it */
    assert_int_equal(
        ctl_run("verify", "--case @/tpm2/a --case @/tpm2/a --policy @/policy --nonce %s", nonce),
        QR_EXIT_REFUSED);
    ctl_says("max_per_product");
    ak[0] = ak[0] == '0' ? '1' : '0';
    snprintf(text, sizeof text, format, pcr, ak, 1u);
    put("policy", qr_view_str(text));
    assert_int_equal(
        ctl_run("verify", "--case @/tpm2/a --json --policy @/policy --nonce %s", nonce),
        QR_EXIT_REFUSED);
    expect("invalid", "policy", "policy", "fail"); /* neither certified nor pinned */
    ctl_says("at line 1");
    assert_int_equal(
        ctl_run("verify", "--case @/tpm2/a --case @/tpm2/a --policy @/policy --nonce %s", nonce),
        QR_EXIT_REFUSED);
    ctl_says("not every member");
}

static void
test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-01T00:00:00Z", 1767225600000},
        {"2026-01-01T00:00:00.5Z", 1767225600500},
        {"2026-01-01T00:00:00.123456789Z", 1767225600123},
        {"2026-01-01T00:00:00+00:00", 1767225600000},
        {"2026-01-01T05:30:00+05:30", 1767225600000},
        {"2025-12-31T23:00:00-01:00", 1767225600000},
        {"2024-02-29T12:00:00Z", 1709208000000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "2026-01-01",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01 00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-01-32T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:60Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00Z ",
                                      "2026-01-01T00:00:00+1:00",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+0000",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "2026-1-01T00:00:00Z",
                                      "+026-01-01T00:00:00Z"};
    int64_t ms = 7;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_ctl_time(good[i].text, &ms), 1);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ms = 7;
        if (qr_ctl_time(bad[i], &ms) || ms != 7) {
            fail_msg("\"%s\" is taken for a time", bad[i]);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_case),           TEST(test_platform_of_folder),
        TEST(test_case_json),      TEST(test_pieces),
        TEST(test_every_platform), TEST(test_files),
        TEST(test_guesses),        TEST(test_words),
        TEST(test_usage),          TEST(test_policy),
        TEST(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
