/* Release manifests: what is read and refused, detached signatures, dates. */
#include "enclave-shim/verify/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "protocol/base/mem.h"
#include "test/common/peerkit.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>

#define X4(x) x x x x
#define X16(x) X4(x) X4(x) X4(x) X4(x)
#define X20(x) X16(x) X4(x)
#define X32(x) X16(x) X16(x)
#define X48(x) X32(x) X16(x)

static char why[QR_ERR_TEXT_MAX], text[QR_MANIFEST_MAX + 2];

static const char good[] =
    "{\"v\": 1, \"type\": \"quorate/measurements\", \"note\": \"a release\",\n" /* 1 */
    " \"release\": \"1.2.0\",\n"
    " \"source\": \"" X20(
        "5c") "\",\n"
              " \"recipe\": \"" X32(
                  "7e") "\",\n"
                        " \"valid_from\": \"2026-11-01T00:00:00Z\", \"valid_until\": "
                        "\"2027-05-01T00:00:00Z\",\n" /* 5 */
                        " \"supersedes\": [\"1.1.0\", \"1.0.9\"],\n"
                        " \"revoked\": [\"1.0.3\"], \"minimum_release\": 3,\n"
                        " \"minimum_tcb\": {\"amd_sev_snp\": [\n"
                        "   {\"product\": \"Milan\", \"bootloader\": 4, \"tee\": 0, \"snp\": 24, "
                        "\"microcode\": 219}],\n"
                        "  \"intel_tcb_evaluation\": 17},\n" /* 10 */
                        " \"measurements\": [\n"
                        "  {\"name\": \"nitro\", \"platform\": \"aws-nitro\",\n"
                        "   \"expect\": {\"pcrs.0\": \"" X48(
                            "11") "\"}},\n"
                                  "  {\"name\": \"genoa-4vcpu\", \"platform\": \"amd-sev-snp\",\n"
                                  "   \"valid_until\": \"2026-12-01T00:00:00Z\",\n" /* 15 */
                                  "   \"expect\": {\"measurement\": \"" X48("22") "\"}}]}\n";

static qr_err
parse(const char *t, struct qr_manifest **ret)
{
    return qr_manifest_parse(qr_view_str(t), ret, why, sizeof why);
}

static void
test_good(void **state)
{
    struct qr_manifest *m = NULL;
    uint8_t sha[32], recipe[32];

    (void)state;
    assert_int_equal(parse(good, &m), QR_OK);
    assert_string_equal(qr_manifest_release(m), "1.2.0");
    assert_string_equal(qr_manifest_source(m), X20("5c"));
    memset(recipe, 0x7e, 32);
    assert_memory_equal(qr_manifest_recipe(m), recipe, 32);
    assert_int_equal(EVP_Digest(good, strlen(good), sha, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(qr_manifest_sha256(m), sha, 32);
    assert_true(qr_view_eq(qr_manifest_text(m), qr_view_str(good)));
    assert_true(qr_manifest_from_ms(m) == INT64_C(1793491200000));
    assert_true(qr_manifest_until_ms(m) == INT64_C(1809129600000));
    assert_string_equal(qr_manifest_superseded(m, 1), "1.0.9");
    assert_null(qr_manifest_superseded(m, 2));
    assert_string_equal(qr_manifest_revoked(m, 0), "1.0.3");
    assert_null(qr_manifest_revoked(m, 1));
    assert_true(qr_manifest_revokes(m, "1.0.3") && !qr_manifest_revokes(m, "1.1.0"));
    assert_int_equal(qr_manifest_min_evaluation(m), 17);
    assert_int_equal(qr_manifest_min_release(m), 3);
    assert_int_equal(qr_manifest_min_tcb(m, qr_view_str("Milan"))->microcode, 219);
    assert_null(qr_manifest_min_tcb(m, qr_view_str("Genoa")));
    assert_int_equal(qr_manifest_n(m), 2);
    const struct qr_measurement *a = qr_manifest_get(m, 0), *b = qr_manifest_get(m, 1);
    assert_string_equal(a->name, "nitro");
    assert_int_equal(a->kind, QR_EV_NITRO);
    assert_int_equal(a->line, 12);
    assert_int_equal(a->expect[0].line, 13);
    assert_string_equal(a->expect[0].path, "pcrs.0");
    assert_int_equal(a->expect[0].len, 48);
    assert_true(a->from_ms == qr_manifest_from_ms(m) && a->until_ms == qr_manifest_until_ms(m));
    assert_true(b->until_ms == INT64_C(1796083200000) && b->from_ms == a->from_ms);
    qr_manifest_free(m);
    qr_manifest_free(NULL);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *from, *to, *why;
    } bad[] = {
        {"\"v\": 1", "\"v\": 2", "line 1: version 2 is not supported, only 1"},
        {"quorate/measurements", "quorate/policy",
         "line 1: this is a \"quorate/policy\", not a \"quorate/measurements\""},
        {" \"release\": \"1.2.0\",\n", "", "line 1: member \"release\" is missing"},
        {"\"1.2.0\"", "\"1.2 0\"",
         "line 2: release: \"1.2 0\" may hold only letters, digits, '.', '_' and '-'"},
        {"\"release\"", "\"relaese\"", "line 1: unknown member \"relaese\""},
        {X20("5c"), X20("5c") "5c",
         "line 1: source must be a commit: 40 or 64 hex digits, has 42 characters"},
        {X20("5c"), X20("5C"), "line 1: source must be lower-case hex"},
        {X32("7e"), "7e", "line 4: recipe: must have 64 hex digits, has 2 characters"},
        {"\"2026-11-01T00:00:00Z\"", "\"2026-11-01\"",
         "line 1: valid_from \"2026-11-01\" is no date; write one as \"2026-11-21T17:00:00Z\""},
        {"\"2027-05-01T00:00:00Z\"", "\"2026-11-01T00:00:00Z\"",
         "line 1: valid_until is not after valid_from: the release would never count"},
        {", \"valid_until\": \"2027-05-01T00:00:00Z\"", "",
         "line 1: member \"valid_until\" is missing"},
        {"\"1.0.9\"", "\"1.1.0\"", "line 6: supersedes[1]: \"1.1.0\" is listed twice"},
        {"[\"1.0.3\"]", "[\"1.2.0\"]",
         "line 7: revoked[0]: a release neither supersedes nor revokes itself; name other ones"},
        {"[\"1.0.3\"]", "[3]", "line 7: revoked[0]: must be text"},
        {"\"minimum_release\": 3", "\"minimum_release\": 0",
         "line 7: minimum_release: 0 is not between 1 and 4294967295"},
        {"\"intel_tcb_evaluation\": 17", "\"intel_tcb_evaluation\": 0",
         "line 10: minimum_tcb.intel_tcb_evaluation: 0 is not between 1 and 4294967295"},
        {"\"product\": \"Milan\"", "\"product\": \"Naples\"",
         "line 9: minimum_tcb.amd_sev_snp[0]: no product line is called \"Naples\"; known are "
         "Milan, "
         "Genoa (also for Siena and Bergamo), Turin"},
        {"\"microcode\": 219}]",
         "\"microcode\": 219},\n{\"product\":\"Milan\",\"bootloader\":1,\"tee\":1,\"snp\":1,"
         "\"microcode\":1}]",
         "line 10: minimum_tcb.amd_sev_snp[1]: product Milan is listed twice"},
        {"\"genoa-4vcpu\"", "\"nitro\"", "line 14: measurements[1]: name \"nitro\" is used twice"},
        {"\"aws-nitro\"", "\"azure-maa\"",
         "line 12: measurements[0]: \"azure-maa\" is a service's word and no member's evidence; "
         "write the platform whose evidence it comes with"},
        {X48("22"), X48("00"),
         "line 16: measurements[1].expect.measurement: all zero is how an absent value looks; "
         "write "
         "the real one, or leave the member out"},
        {"\"2026-12-01T00:00:00Z\"", "\"2027-05-01T00:00:01Z\"",
         "line 14: measurements[1]: the set's dates leave those of the manifest; narrow them or "
         "widen "
         "the manifest's"},
        {"\"valid_until\": \"2026-12-01T00:00:00Z\"", "\"valid_from\": \"2026-10-01T00:00:00Z\"",
         "line 14: measurements[1]: the set's dates leave those of the manifest; narrow them or "
         "widen "
         "the manifest's"},
        {"\"pcrs.0\"", "\"pcrs.1\"",
         "line 13: measurements[0].expect: add pcrs.0 (the image) or pcrs.8 (its signer); without "
         "them any image will do"},
        {"}]}\n", "}]}}\n", "line 16 column 132: end of file expected near '}'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct qr_manifest *m = NULL;
        peerkit_edit(good, bad[i].from, bad[i].to, text, sizeof text);
        assert_int_not_equal(parse(text, &m), QR_OK);
        assert_null(m);
        assert_string_equal(why, bad[i].why);
    }
}

static int countdown;
static int
gate(size_t n)
{
    assert_true(n <= 1024 * 1024);
    return countdown-- > 0;
}

static void
test_hostile(void **state)
{
    struct qr_manifest *m = NULL;

    (void)state;
    for (size_t n = 0; n + 2 < strlen(good); n += 3) {
        assert_int_not_equal(qr_manifest_parse(qr_view_of(good, n), &m, why, sizeof why), QR_OK);
    }
    memset(text, ' ', sizeof text);
    assert_int_equal(qr_manifest_parse(qr_view_of(text, QR_MANIFEST_MAX + 1), &m, why, sizeof why),
                     QR_ERR_TOO_LARGE);
    assert_string_equal(why, "manifest has 65537 bytes, at most 65536 are allowed");
    assert_int_not_equal(parse("{\"measurements\":[[[[[[[[[", &m), QR_OK);
    assert_int_not_equal(parse("{\"v\":1,\"v\":1}", &m), QR_OK);
    assert_int_not_equal(parse("[]", &m), QR_OK);
    assert_null(m);
    for (int n = 0;; n++) {
        countdown = n;
        qr_alloc_gate(gate);
        qr_err e = parse(good, &m);
        qr_alloc_gate(NULL);
        if (e == QR_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(e, QR_ERR_NO_MEMORY);
    }
    qr_manifest_free(m);
}

/* ---- signatures ---- */

static void
key_line(EVP_PKEY *k, qr_view over, char line[static QR_SIGNATURE_LINE_MAX],
         struct qr_release_key *ret, const char *name)
{
    char copy[QR_SIGNATURE_LINE_MAX];
    assert_int_equal(qr_manifest_sign(k, over, line), QR_OK);
    snprintf(copy, sizeof copy, "%s", line);
    char *scheme = copy, *key = strchr(copy, ' ') + 1;
    key[-1] = 0;
    *strchr(key, ' ') = 0;
    assert_int_equal(qr_release_key_read(qr_view_str(scheme), qr_view_str(key), ret), QR_OK);
    snprintf(ret->name, sizeof ret->name, "%s", name);
}

static void
test_signatures(void **state)
{
    EVP_PKEY *k[4] = {
        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_EC_gen("P-256"), EVP_EC_gen("P-256"),
        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), /* of nobody */
    };
    struct qr_release_signers s = {.need = 2, .n = 3};
    struct qr_release_key stranger;
    char line[4][QR_SIGNATURE_LINE_MAX], lines[1024], bad[QR_SIGNATURE_LINE_MAX];
    qr_view doc = qr_view_str(good), other = qr_view_of(good, strlen(good) - 1);
    unsigned mask = 0;

    (void)state;
    key_line(k[0], doc, line[0], &s.key[0], "ann");
    key_line(k[1], doc, line[1], &s.key[1], "ben");
    key_line(k[2], doc, line[2], &s.key[2], "cat");
    key_line(k[3], doc, line[3], &stranger, "eve");
    /* two of three, in any order, with a stranger's and empty lines among them */
    snprintf(lines, sizeof lines, "%s\n%s\n%s", line[2], line[3], line[0]);
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, &mask, why, sizeof why),
                     QR_OK);
    assert_int_equal(mask, 5);
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, NULL, NULL, 0), QR_OK);
    /* without the last newline */
    lines[strlen(lines) - 1] = 0;
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, NULL, why, sizeof why), QR_OK);
    /* too few */
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(line[1]), &s, &mask, why, sizeof why),
                     QR_ERR_ATTESTATION);
    assert_string_equal(why, "1 of 2 needed release keys signed it (ben)");
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(""), &s, NULL, why, sizeof why),
                     QR_ERR_ATTESTATION);
    assert_string_equal(why, "0 of 2 needed release keys signed it (none)");
    snprintf(lines, sizeof lines, "%s%s", line[3], line[1]);
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, NULL, why, sizeof why),
                     QR_ERR_ATTESTATION);
    /* one key twice is one key, and a mistake */
    snprintf(lines, sizeof lines, "%s%s", line[1], line[1]);
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, NULL, why, sizeof why),
                     QR_ERR_MALFORMED);
    assert_string_equal(why, "signatures line 2 is \"ben\"'s second one");
    /* other bytes */
    snprintf(lines, sizeof lines, "%s%s", line[0], line[1]);
    assert_int_equal(qr_manifest_verify(other, qr_view_str(lines), &s, NULL, why, sizeof why),
                     QR_ERR_ATTESTATION);
    assert_string_equal(why, "signatures line 1: \"ann\" did not sign these bytes");
    /* every character of a line counts */
    for (int w = 0; w < 2; w++) {
        for (size_t i = 0; line[w][i] != '\n'; i++) {
            memcpy(bad, line[w], sizeof bad);
            bad[i] = bad[i] == '0' ? '1' : '0';
            snprintf(lines, sizeof lines, "%s%s", bad, line[2]);
            mask = 77;
            assert_int_not_equal(
                qr_manifest_verify(doc, qr_view_str(lines), &s, &mask, why, sizeof why), QR_OK);
            assert_int_equal(mask, 77);
        }
    }
    /* a set that needs nobody believes nobody */
    s.need = 0;
    snprintf(lines, sizeof lines, "%s%s", line[0], line[1]);
    assert_int_equal(qr_manifest_verify(doc, qr_view_str(lines), &s, NULL, why, sizeof why),
                     QR_ERR_ATTESTATION);
    for (int i = 0; i < 4; i++) {
        EVP_PKEY_free(k[i]);
    }
}

static void
test_signature_lines(void **state)
{
    static const char *const bad[] = {
        "x",
        " ",
        "ed25519",
        "ed25519 " X32("00"),
        "p256 02" X32("11") " " X32("11"),
        "ed25519 " X32("ab") " " X32("11") X32("11") " ",
        "ed25519  " X32("ab") " " X32("11") X32("11"),
        "secp256k1 02" X32("11") " " X32("11") X32("11"),
        "p256 04" X32("11") " " X32("11") X32("11"),
        "ed25519 " X32("ab") " " X32("AB") X32("11"),
        "\r",
    };
    struct qr_release_signers s = {.need = 1, .n = 0};
    struct qr_release_key k;
    char line[QR_SIGNATURE_LINE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            qr_manifest_verify(qr_view_str(good), qr_view_str(bad[i]), &s, NULL, why, sizeof why),
            QR_ERR_MALFORMED);
        assert_string_equal(why,
                            "signatures line 1 is not \"ed25519 <64 hex> <128 hex>\" or \"p256 "
                            "<66 hex> <128 hex>\"");
    }
    memset(text, '\n', QR_MANIFEST_SIGS_MAX + 1);
    assert_int_equal(qr_manifest_verify(qr_view_str(good),
                                        qr_view_of(text, QR_MANIFEST_SIGS_MAX + 1), &s, NULL, why,
                                        sizeof why),
                     QR_ERR_TOO_LARGE);
    /* not on the curve; not a scheme of releases */
    assert_int_equal(qr_release_key_read(qr_view_str("p256"), qr_view_str("02" X32("ff")), &k),
                     QR_ERR_POINT);
    assert_int_equal(qr_release_key_read(qr_view_str("secp256k1"), qr_view_str("02" X32("11")), &k),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_release_key_read(qr_view_str("ed25519"), qr_view_str("11"), &k),
                     QR_ERR_MALFORMED);
    EVP_PKEY *other = EVP_EC_gen("secp256k1");
    assert_int_equal(qr_manifest_sign(other, qr_view_str(good), line), QR_ERR_USAGE);
    EVP_PKEY_free(other);
}

/* ---- dates ---- */

static void
test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good_dates[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-12-31T23:59:59Z", INT64_C(31535999000)},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2024-12-31T00:00:00Z", INT64_C(1735603200000)},
        {"2026-11-21T17:00:00Z", PEERKIT_NOW},
        {"2100-03-01T00:00:00Z", INT64_C(4107542400000)},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799000)},
    };
    static const char *const bad_dates[] = {
        "",
        "2026-11-21",
        "2026-11-21T17:00:00",
        "2026-11-21T17:00:00z",
        "2026-11-21t17:00:00Z",
        "2026-11-21 17:00:00Z",
        "2026-11-21T17:00:60Z",
        "2026-11-21T17:60:00Z",
        "2026-11-21T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-11-21T17:00:00ZZ",
        "+026-11-21T17:00:00Z",
        "2026-1 -21T17:00:00Z",
    };
    char out[21];
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < sizeof good_dates / sizeof good_dates[0]; i++) {
        assert_int_equal(qr_time_parse(qr_view_str(good_dates[i].text), &ms), QR_OK);
        assert_true(ms == good_dates[i].ms);
        qr_time_print(ms, out);
        assert_string_equal(out, good_dates[i].text);
    }
    for (size_t i = 0; i < sizeof bad_dates / sizeof bad_dates[0]; i++) {
        ms = 7;
        assert_int_equal(qr_time_parse(qr_view_str(bad_dates[i]), &ms), QR_ERR_MALFORMED);
        assert_true(ms == 7);
    }
    /* every day for 140 years, there and back */
    for (int64_t day = 0; day < 51134; day++) {
        qr_time_print(day * 86400000 + 999, out);
        assert_int_equal(qr_time_parse(qr_view_str(out), &ms), QR_OK);
        assert_true(ms == day * 86400000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_signature_lines),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
