/*
 * Policies in words: every predicate has its line, amounts and shares are what they are, and what may
 * surprise is said. The examples of deploy/policies parse, and say what their notes promise.
 */
#include "daemon/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/documents.h"

#include <stdio.h>

static char why[QR_ERR_TEXT_MAX], text[QR_DOC_MAX], said[65536];
static struct stamper ops, alice;

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&ops, QR_SCHEME_P256);
    stamper_new(&alice, QR_SCHEME_P256);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    stamper_free(&ops);
    stamper_free(&alice);
    return 0;
}

static void
line(void *ctx, const char *words)
{
    size_t *len = ctx;
    int n = snprintf(said + *len, sizeof said - *len, "%s\n", words);

    assert_true(n > 0 && *len + (size_t)n < sizeof said);
    *len += (size_t)n;
}

static void
explain(const struct qr_policy *p, unsigned n, unsigned t)
{
    size_t len = 0;

    said[0] = 0;
    qr_policy_explain(p, n, t, line, &len);
}

/* The words of a policy with these rules. */
static void
words_of(const char *rules, unsigned n, unsigned t)
{
    struct qr_policy *p = NULL;

    (void)snprintf(
        text, sizeof text,
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
        "\",\"serial\":1,\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":["
        "{\"name\":\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"}],\"approvers\":["
        "{\"name\":\"alice\",\"scheme\":\"webauthn\",\"key\":\"%s\",\"rp_id\":\"example.org\","
        "\"origins\":[\"https://a.example.org\",\"https://b.example.org\"]}],\"rules\":[%s]}}",
        ops.hex, alice.hex, rules);
    if (qr_policy_parse(qr_view_str(text), &p, why, sizeof why) != QR_OK) {
        fail_msg("%s: %s", rules, why);
    }
    explain(p, n, t);
    qr_policy_free(p);
}

#define RULE(effect, kinds, more)                                                                  \
    "{\"id\":\"r\",\"effect\":\"" effect                                                           \
    "\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":[" kinds "]" more "}"
#define ADDR "0x1111111111111111111111111111111111111111"

static void
test_lines(void **state)
{
    static const struct {
        const char *rule, *line;
    } rows[] = {
        {RULE("allow", "\"eip191\"", ""), "rule r: allow eip191 for every client, any key\n"},
        {RULE("deny", "\"eip191\",\"digest\"", ""),
         "rule r: deny eip191, digest for every client, any"},
        {"{\"id\":\"x\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":["
         "\"0279be667ef9dcbbac55a0629"
         "5ce870b07029bfcdb2dce28d959f2815b16f81798\"],\"kinds\":[\"eip191\"]}",
         "rule x: allow eip191 for ops, with "
         "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b"
         "16f81798\n"},
        {RULE("allow", "\"eip191\"", ",\"paths\":[[],[44,60]]"),
         "paths that begin with m, m/44/60\n"},
        {RULE("allow", "\"eip191\"", ",\"eip191\":{\"max_bytes\":99}"),
         "messages of at most 99 bytes\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"types\":[\"legacy\",\"1559\"]}"),
         "transactions of type legacy EIP-1559\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"chain_ids\":[137,1]}"), "on chains 1, 137\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"to\":[\"" ADDR "\"]}"), "    to " ADDR "\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"create\":true}"), "that create a contract\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"create\":false}"), "that create no contract\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"selectors\":[\"none\"]}"),
         "that call nothing (no data)"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"selectors\":[\"none\",\"0xa9059cbb\"]}"),
         "that call 0xa9059cbb, or nothing (no data)\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"1500000000000000000\"}"),
         "worth at most 1500000000000000000 wei (1.5 ether)\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"100000000000000000\"}"),
         "100000000000000000 wei (0.1 ether)\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"20000000000000000000\"}"),
         "20000000000000000000 wei (20 ether)\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"1000000000000000\"}"),
         "1000000000000000 wei (0.001 ether)\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"0\"}"),
         "worth at most 0 wei\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_fee_wei\":\"7\"}"),
         "a fee of at most 7 wei\n"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"7\"}"),
         "note: fees come on top; max_fee_w"},
        {RULE("allow", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"7\"}"),
         "note: value is the transaction's own; calls may move any amount of tokens (erc20)\n"},
        {RULE("allow", "\"eth_tx\"",
              ",\"eth\":{\"to\":[\"" ADDR
              "\"]},\"erc20\":{\"methods\":[\"transferFrom\",\"transfer\"],"
              "\"to\":[\"" ADDR "\"],\"max_amount\":\"5\"}"),
         "tokens: transfer transferFrom, for " ADDR
         ", at most 5 of the token's smallest unit in each\n"},
        {RULE("allow", "\"eip712\"",
              ",\"eip712\":{\"chain_ids\":[1],\"contracts\":[\"" ADDR
              "\"],\"primary_types\":[\"Mail\"]}"),
         "    of domains on chains 1\n    for contracts " ADDR "\n    of primary type Mail\n"},
        {RULE("allow", "\"btc_bip143\"",
              ",\"btc\":{\"recipients\":[\"0014\"],\"max_value_sat\":7,\"max_fee_sat\":8}"),
         "    outputs to nobody but 0014, or back to the script that is signed for\n    of which "
         "at most 7 "
         "satoshis leave\n    with a fee of at most 8 satoshis, all inputs signed in one "
         "request\n"},
        {RULE("deny", "\"btc_bip143\"", ",\"btc\":{\"recipients\":[\"0014\"]}"),
         "    with any output to 0014\n"},
        {RULE("allow", "\"btc_legacy\"", ",\"btc\":{\"max_value_sat\":7}"),
         "note: fees come on top; max_fee_s"},
        {RULE("allow", "\"digest\"", ""),
         "note: the client alone knows what these digests stand for"},
        {RULE("allow", "\"eip191\"",
              ",\"hours\":{\"days\":[\"sun\",\"mon\"],\"from\":\"08:05\",\"to\":\"24:00\"}"),
         "    from 08:05 to 24:00 UTC on Mon Sun\n"},
        {RULE("allow", "\"eip191\"",
              ",\"hours\":{\"days\":[\"fri\"],\"from\":\"22:00\",\"to\":\"02:00\"}"),
         "    from 22:00 to 02:00 UTC of the next day, beginning on Fri\n"},
        {RULE("allow", "\"eip191\"", ",\"limits\":[{\"window_s\":3600,\"requests\":101}]"),
         "    at most 101 signatures in 1 h; each of the 4 parties counts up to 50 (1/2 of it)\n"},
        {RULE("allow", "\"eip191\"", ",\"limits\":[{\"window_s\":90,\"requests\":1}]"),
         "    at most 1 signatures in 90 s; each of the 4 parties counts up to 0 (1/2 of it), so "
         "nothing is "
         "ever signed by this rule\n"},
        {RULE("allow", "\"btc_legacy\"", ",\"limits\":[{\"window_s\":172800,\"value_sat\":9}]"),
         "    at most 9 satoshis in 2 d; each of the 4 parties counts up to 4 (1/2 of it)\n"},
        {RULE("allow", "\"eth_tx\"",
              ",\"limits\":[{\"window_s\":60,\"value_wei\":\"3000000000000000\"}]"),
         "    at most 3000000000000000 wei (0.003 ether) in 1 min; each of the 4 parties counts up "
         "to "
         "1500000000000000 (1/2 of it)\n"},
        {RULE("allow", "\"eip191\"",
              ",\"approvals\":{\"need\":1,\"of\":[\"alice\"],\"within_s\":7200}"),
         "    approved by 1 of alice, in requests that live at most 2 h\n"},
        {RULE("allow", "\"eip191\"", ""), "approver alice: a passkey of example.org, used at "
                                          "https://a.example.org, https://b.example.org\n"},
        {RULE("allow", "\"eip191\"", ""), "\neverything else is denied\n"},
        {"", "\nno rules: every request is denied\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        words_of(rows[i].rule, 4, 3);
        if (!strstr(said, rows[i].line)) {
            fail_msg("no \"%s\" in:\n%s", rows[i].line, said);
        }
    }
    words_of(RULE("allow", "\"eip191\"", ",\"limits\":[{\"window_s\":60,\"requests\":8}]"), 0, 0);
    assert_non_null(
        strstr(said, "at most 8 signatures in 1 min; each party counts up to 1/(n - t + 1)"));
    words_of(
        RULE("allow", "\"eth_tx\"",
             ",\"eth\":{\"selectors\":[\"none\"],\"max_value_wei\":\"7\",\"max_fee_wei\":\"7\"}"),
        0, 0);
    assert_null(strstr(said, "note:"));
}

/* Long lists are cut, and say how much is missing. */
static void
test_long(void **state)
{
    char rule[65536];
    size_t len =
        (size_t)snprintf(rule, sizeof rule,
                         "{\"id\":\"r\",\"effect\":\"deny\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
                         "\"kinds\":[\"btc_legacy\"],\"btc\":{\"recipients\":[");

    (void)state;
    for (int i = 0; i < 200; i++) {
        len += (size_t)snprintf(rule + len, sizeof rule - len, "%s\"%0256x\"", i ? "," : "", i);
    }
    (void)snprintf(rule + len, sizeof rule - len, "]}}");
    words_of(rule, 0, 0);
    assert_non_null(strstr(said, "\neverything else is denied\n"));
}

static void
test_examples(void **state)
{
    static const struct {
        const char *path, *says[4];
    } examples[] = {
        {"deploy/policies/one-cloud.json",
         {"rule no-allowances: deny eth_tx for every client",
          "worth at most 1000000000000000000 wei (1 ether)",
          "(5 ether) in 1 d; each of the 3 parties counts up to 2500000000000000000 (1/2 of it)",
          "from 08:00 to 18:00 UTC on Mon Tue Wed Thu Fri"}},
        {"deploy/policies/two-clouds.json",
         {"approver alice: a key of his own", "of which at most 50000000 satoshis leave",
          "approved by 2 of alice, bob, carol, in requests that live at most 4 h",
          "everything else is denied"}},
        {"deploy/policies/three-clouds.json",
         {"approver dora: a passkey of approve.example.org, used at https://approve.example.org",
          "at most 1000000000 of the token's smallest unit in each", "approved by 2 of dora, emil",
          "of primary type Order"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct qr_policy *p = NULL;
        FILE *f = fopen(examples[i].path, "r");
        if (!f) {
            fail_msg("%s: run this from the root of the source tree", examples[i].path);
        }
        size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = 0;
        fclose(f);
        if (qr_policy_parse(qr_view_of(text, n), &p, why, sizeof why) != QR_OK) {
            fail_msg("%s: %s", examples[i].path, why);
        }
        explain(p, 3, 2);
        for (size_t k = 0; k < 4; k++) {
            if (!strstr(said, examples[i].says[k])) {
                fail_msg("%s: no \"%s\" in:\n%s", examples[i].path, examples[i].says[k], said);
            }
        }
        qr_policy_free(p);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
