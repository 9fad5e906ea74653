/* What a rule may not say: each member with what is wrong in it, and the sentence that comes back. */
#include "daemon/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/documents.h"

#include <stdio.h>

#define A1 "1111111111111111111111111111111111111111"
#define TO1 "\"to\":[\"0x" A1 "\"]"

static char why[QR_ERR_TEXT_MAX], text[QR_DOC_MAX];
static struct stamper ops, alice, bob;

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&ops, QR_SCHEME_P256);
    stamper_new(&alice, QR_SCHEME_P256);
    stamper_new(&bob, QR_SCHEME_ED25519);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    stamper_free(&ops);
    stamper_free(&alice);
    stamper_free(&bob);
    return 0;
}

/* A policy with this one rule. */
static qr_err
policy_of(const char *effect, const char *kinds, const char *members, struct qr_policy **ret)
{
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                   "\",\"serial\":1,\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":["
                   "{\"name\":\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"}],\"approvers\":["
                   "{\"name\":\"alice\",\"scheme\":\"p256\",\"key\":\"%s\"},"
                   "{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"%s\"}],\"rules\":["
                   "{\"id\":\"r\",\"effect\":\"%s\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
                   "\"kinds\":[%s]%s%s}]}}",
                   ops.hex, alice.hex, bob.hex, effect, kinds, members[0] ? "," : "", members);
    why[0] = 0;
    return qr_policy_parse(qr_view_str(text), ret, why, sizeof why);
}

static void
test_refused(void **state)
{
#define E QR_ERR_MALFORMED
    static const struct {
        const char *effect, *kinds, *members;
        qr_err e;
        const char *why; /* behind "requests.rules[0]" */
    } rows[] = {
        /* paths */
        {"allow", "\"sha256\"", "\"paths\":[]", E, ".paths: 0 elements; 1 to 32 are allowed"},
        {"allow", "\"sha256\"", "\"paths\":[0]", E, ".paths[0]: must be an array"},
        {"allow", "\"sha256\"", "\"paths\":[[2147483648]]", QR_ERR_TOO_LARGE,
         ".paths[0][0]: 21474"},
        {"allow", "\"sha256\"", "\"paths\":[[1,2,3,4,5,6,7,8,9]]", QR_ERR_TOO_LARGE,
         ".paths[0]: 9"},
        {"allow", "\"sha256\"", "\"paths\":[[1],[1]]", E, ".paths[1]: is listed twice"},
        /* members of other kinds */
        {"allow", "\"sha256\"", "\"eth\":{\"chain_ids\":[1]}", E,
         ".eth: cannot be asked of kind \"sha256\""},
        {"allow", "\"eth_tx\",\"eip712\"", "\"eth\":{\"chain_ids\":[1]}", E,
         ".eth: cannot be asked"},
        {"deny", "\"eth_tx\",\"digest\"", "\"eip712\":{\"chain_ids\":[1]}", E,
         ".eip712: cannot be"},
        {"allow", "\"eth_tx\"", "\"eip191\":{\"max_bytes\":1}", E, ".eip191: cannot be asked"},
        {"allow", "\"eth_tx\"", "\"btc\":{\"max_value_sat\":1}", E, ".btc: cannot be asked"},
        {"allow", "\"eip712\"", "\"erc20\":{\"methods\":[\"transfer\"]}", E, ".erc20: cannot be"},
        {"allow", "\"eip191\"", "\"limits\":[{\"window_s\":60,\"value_wei\":\"1\"}]", E,
         ".limits[0]: cannot be asked of kind \"eip191\""},
        {"allow", "\"eth_tx\"", "\"limits\":[{\"window_s\":60,\"value_sat\":1}]", E,
         ".limits[0]: ca"},
        /* eth */
        {"allow", "\"eth_tx\"", "\"eth\":{}", E, ".eth: asks nothing; leave it out"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"value\":\"1\"}", QR_ERR_UNKNOWN_FIELD,
         ".eth: unknown member \"value\""},
        {"allow", "\"eth_tx\"", "\"eth\":{\"types\":[\"blob\"]}", E,
         ".eth.types[0]: \"blob\" is none of legacy, 2930, 1559"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"types\":[\"1559\",\"1559\"]}", E,
         ".eth.types[1]: is lis"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"types\":[1559]}", E, ".eth.types[0]: must be text"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"chain_ids\":[0]}", E,
         ".eth.chain_ids[0]: 0 is not betw"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"chain_ids\":[1,5,1]}", E,
         ".eth.chain_ids[2]: is listed"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"chain_ids\":[]}", E, ".eth.chain_ids: 0 elements"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"to\":[\"" A1 "\"]}", E, ".eth.to[0]: \""},
        {"allow", "\"eth_tx\"", "\"eth\":{\"to\":[\"0xABcdabcdabcdabcdabcdabcdabcdabcdabcdabcd\"]}",
         E,
         ".eth.to[0]: \"0xABcdabcdabcdabcdabcdabcdabcdabcdabcdab...\" is not \"0x\" and 40 lower-"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"to\":[\"0x" A1 "\",\"0x" A1 "\"]}", E,
         ".eth.to[1]: is l"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"selectors\":[\"0xa9059c\"]}", E,
         ".eth.selectors[0]: \"0"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"selectors\":[\"none\",\"none\"]}", E,
         ".eth.selectors[1]"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"create\":1}", E, ".eth.create: must be true or false"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"create\":true," TO1 "}", E,
         ".eth: what creates a contract"},
        {"deny", "\"eth_tx\"", "\"eth\":{\"create\":true,\"selectors\":[\"none\"]}", E,
         ".eth: what cr"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"max_value_wei\":1}", E,
         ".eth.max_value_wei: must be text"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"max_value_wei\":\"1e18\"}", E,
         ".eth: max_value_wei: \"1e18\" is not a decimal number below 2^256"},
        {"allow", "\"eth_tx\"", "\"eth\":{\"max_fee_wei\":\"007\"}", E,
         ".eth: max_fee_wei: \"007\""},
        {"allow", "\"eth_tx\"",
         "\"eth\":{\"max_value_wei\":"
         "\"11579208923731619542357098500868790785326998466564056403945758"
         "4007913129639936\"}",
         QR_ERR_TOO_LARGE, ".eth: max_value_wei"},
        /* erc20 */
        {"allow", "\"eth_tx\"", "\"erc20\":{\"methods\":[\"transfer\"]}", E,
         ".erc20: which token?"},
        {"allow", "\"eth_tx\"", "\"eth\":{" TO1 "},\"erc20\":{\"methods\":[\"mint\"]}", E,
         ".erc20.methods[0]: \"mint\" is none of transfer, approve, transferFrom"},
        {"allow", "\"eth_tx\"", "\"eth\":{" TO1 "},\"erc20\":{\"max_amount\":\"1\"}", E,
         ".erc20: member \"methods\" is missing"},
        {"allow", "\"eth_tx\"",
         "\"eth\":{" TO1 ",\"selectors\":[\"none\"]},\"erc20\":{\"methods\":[\"transfer\"]}", E,
         ".erc20: \"methods\" says what is called"},
        {"deny", "\"eth_tx\"", "\"eth\":{\"create\":true},\"erc20\":{\"methods\":[\"approve\"]}", E,
         ".erc20: \"methods\" says what is called"},
        {"allow", "\"eth_tx\"",
         "\"eth\":{" TO1 "},\"erc20\":{\"methods\":[\"approve\",\"approve\"]}", E,
         ".erc20.methods[1]: is listed twice"},
        {"allow", "\"eth_tx\"",
         "\"eth\":{" TO1 "},\"erc20\":{\"methods\":[\"approve\"],\"to\":[\"0x\"]}", E,
         ".erc20.to[0]"},
        {"allow", "\"eth_tx\"",
         "\"eth\":{" TO1 "},\"erc20\":{\"methods\":[\"approve\"],\"max_amount\":\"-1\"}", E,
         ".erc20: m"},
        /* eip712 */
        {"allow", "\"eip712\"", "\"eip712\":{}", E, ".eip712: asks nothing"},
        {"allow", "\"eip712\"", "\"eip712\":{\"primary_types\":[\"2Mail\"]}", E,
         ".eip712.primary_types[0]: \"2Mail\" cannot be a type's name"},
        {"allow", "\"eip712\"", "\"eip712\":{\"primary_types\":[\"Ma il\"]}", E, ".eip712.primary"},
        {"allow", "\"eip712\"", "\"eip712\":{\"contracts\":[\"0x1\"]}", E, ".eip712.contracts[0]"},
        {"allow", "\"eip712\"", "\"eip712\":{\"chain_ids\":[\"1\"]}", E, ".eip712.chain_ids[0]"},
        /* eip191 */
        {"allow", "\"eip191\"", "\"eip191\":{}", E, ".eip191: member \"max_bytes\" is missing"},
        {"allow", "\"eip191\"", "\"eip191\":{\"max_bytes\":32769}", QR_ERR_TOO_LARGE,
         ".eip191.max_b"},
        /* btc */
        {"allow", "\"btc_legacy\"", "\"btc\":{}", E, ".btc: asks nothing"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"0\"]}", E,
         ".btc.recipients[0]: must"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"\"]}", E,
         ".btc.recipients[0]: 0 byt"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"0A\"]}", E,
         ".btc.recipients[0]: must"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"00\",\"00\"]}", E,
         ".btc.recipients[1]"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"max_value_sat\":2100000000000001}",
         QR_ERR_TOO_LARGE, ".btc.max_value_sat"},
        {"allow", "\"btc_legacy\"", "\"btc\":{\"max_fee_sat\":1}", E,
         ".btc: \"max_fee_sat\": a btc_legacy signature does not bind amounts"},
        /* hours */
        {"allow", "\"sha256\"", "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:00\"}", E,
         ".hours: member \"to\" is missing"},
        {"allow", "\"sha256\"", "\"hours\":{\"days\":[],\"from\":\"08:00\",\"to\":\"09:00\"}", E,
         ".hours.days: 0 elements"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"Mon\"],\"from\":\"08:00\",\"to\":\"09:00\"}", E,
         ".hours.days[0]: \"Mon\" is none of mon"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\",\"mon\"],\"from\":\"08:00\",\"to\":\"09:00\"}", E,
         ".hours.days[1]: is listed twice"},
        {"allow", "\"sha256\"", "\"hours\":{\"days\":[\"mon\"],\"from\":\"8:00\",\"to\":\"09:00\"}",
         E, ".hours: from: \"8:00\" is not a time"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"24:00\",\"to\":\"09:00\"}", E, ".hours: from"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:60\",\"to\":\"09:00\"}", E, ".hours: from"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:00\",\"to\":\"24:01\"}", E, ".hours: to"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:0a\",\"to\":\"09:00\"}", E, ".hours: from"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:00\",\"to\":\"08:00\"}", E,
         ".hours: from and to are the same"},
        {"allow", "\"sha256\"",
         "\"hours\":{\"days\":[\"mon\"],\"from\":\"08:00\",\"to\":\"00:00\"}", E,
         ".hours: from and to are the same, or to is \"00:00\""},
        /* limits */
        {"deny", "\"sha256\"", "\"limits\":[{\"window_s\":60,\"requests\":1}]", E,
         ".limits: \"limits\" has no meaning in a deny rule"},
        {"allow", "\"sha256\"", "\"limits\":[]", E, ".limits: 0 elements"},
        {"allow", "\"sha256\"", "\"limits\":[{\"window_s\":60}]", E, ".limits[0]: exactly one of"},
        {"allow", "\"eth_tx\"", "\"limits\":[{\"window_s\":60,\"requests\":1,\"value_wei\":\"1\"}]",
         E, ".limits[0]: exactly one of"},
        {"allow", "\"sha256\"", "\"limits\":[{\"requests\":1}]", E,
         ".limits[0]: member \"window_s\""},
        {"allow", "\"sha256\"", "\"limits\":[{\"window_s\":59,\"requests\":1}]", E,
         ".limits[0].window"},
        {"allow", "\"sha256\"", "\"limits\":[{\"window_s\":31536001,\"requests\":1}]",
         QR_ERR_TOO_LARGE, ".limits[0].window_s"},
        {"allow", "\"sha256\"", "\"limits\":[{\"window_s\":60,\"requests\":0}]", E,
         ".limits[0].reque"},
        {"allow", "\"eth_tx\"", "\"limits\":[{\"window_s\":60,\"value_wei\":\"0\"}]", E,
         ".limits[0]: va"},
        {"allow", "\"eth_tx\"", "\"limits\":[{\"window_s\":60,\"value_wei\":5}]", E,
         ".limits[0].value"},
        {"allow", "\"sha256\"",
         "\"limits\":[{\"window_s\":60,\"requests\":1},{\"window_s\":60,\"requests\":2}]", E,
         ".limits[1]: the same window for requests twice"},
        {"allow", "\"sha256\"",
         "\"limits\":[{\"window_s\":60,\"requests\":1},{\"window_s\":61,\"requests\":2},{\"window_"
         "s\":62,"
         "\"requests\":2},{\"window_s\":63,\"requests\":2},{\"window_s\":64,\"requests\":2}]",
         QR_ERR_TOO_LARGE, ".limits: 5 elements"},
        /* approvals */
        {"deny", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"bob\"]}", E,
         ".approvals: \"approvals\" has no meaning in a deny rule"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"eve\"]}", E,
         ".approvals.of[0]: no approver is called \"eve\""},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"ops\"]}", E,
         ".approvals.of[0]: no"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"bob\",\"bob\"]}", E,
         ".approvals.of[1]: is listed twice"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":2,\"of\":[\"bob\"]}", E,
         ".approvals: need 2 of 1 can never be"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":0,\"of\":[\"bob\"]}", E,
         ".approvals.need: 0"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":8,\"of\":[\"bob\"]}", QR_ERR_TOO_LARGE,
         ".approvals.need: 8"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"bob\"],\"within_s\":299}", E,
         ".approvals.within_s: 299"},
        {"allow", "\"sha256\"", "\"approvals\":{\"need\":1,\"of\":[\"bob\"],\"within_s\":86401}",
         QR_ERR_TOO_LARGE, ".approvals.within_s: 86401"},
        {"allow", "\"sha256\"", "\"approvals\":[]", E, ".approvals: must be an object"},
        {"allow", "\"sha256\"", "\"note\":5", E, ".note: must be text"},
    };
#undef E
    char want[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qr_policy *p = NULL;
        (void)snprintf(want, sizeof want, "requests.rules[0]%s", rows[i].why);
        qr_err e = policy_of(rows[i].effect, rows[i].kinds, rows[i].members, &p);
        if (e != rows[i].e || strncmp(why, want, strlen(want)) != 0) {
            fail_msg("%s: %s, \"%s\"", rows[i].members, qr_err_name(e), why);
        }
    }
    struct qr_policy *p = NULL;
    assert_int_equal(policy_of("allow", "\"sha256\"", "\"note\":\"for people\"", &p), QR_OK);
    qr_policy_free(p);
}

/* ---- approvers and gateways ---- */

#define GW "\"gateways\":[\"https://gw.example.org\"],"

/* sim: whether the policy accepts the software TEE. The passkey's key is alice's. */
static qr_err
parties_of(int sim, const char *approvers, const char *gateways, struct qr_policy **ret)
{
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                   "\",\"serial\":1,\"peers\":{%s},\"requests\":{\"clients\":["
                   "{\"name\":\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"}],%s%s\"rules\":[]}}",
                   sim ? "\"insecure_sim\":true" : "", ops.hex, approvers, gateways);
    while (strstr(text, "ALICE")) {
        doc_replace(text, sizeof text, "ALICE", alice.hex);
    }
    while (strstr(text, "OPS")) {
        doc_replace(text, sizeof text, "OPS", ops.hex);
    }
    why[0] = 0;
    return qr_policy_parse(qr_view_str(text), ret, why, sizeof why);
}

#define OWN_KEY(name, key) "{\"name\":\"" name "\",\"scheme\":\"p256\",\"key\":\"" key "\"}"
#define PASSKEY(name, key, origin)                                                                 \
    "{\"name\":\"" name "\",\"scheme\":\"webauthn\",\"key\":\"" key                                \
    "\",\"rp_id\":\"example.org\",\"origins\":[\"" origin "\"]}"

static void
test_parties(void **state)
{
#define E QR_ERR_MALFORMED
    static const struct {
        int sim;
        const char *approvers, *gateways;
        qr_err e;
        const char *why;
    } rows[] = {
        {0, "", "", QR_OK, ""},
        {0, "\"approvers\":[" OWN_KEY("a", "ALICE") "],", "", QR_OK, ""},
        {0, "\"approvers\":[" PASSKEY("a", "ALICE", "https://ok.example.org") "],", GW, QR_OK, ""},
        {0, "\"approvers\":[],", "", E, "requests.approvers: 0 elements"},
        {0, "\"approvers\":[" OWN_KEY("a", "ALICE") "," OWN_KEY("b", "ALICE") "],", "", E,
         "requests.approvers[1]: same key as approver \"a\""},
        {0,
         "\"approvers\":[" OWN_KEY("a", "ALICE") "," PASSKEY("b", "ALICE",
                                                             "https://ok.example.org") "],",
         GW, E, "requests.approvers[1]: same key as approver \"a\""},
        {0, "\"approvers\":[" OWN_KEY("a", "OPS") "],", "", E,
         "requests.approvers[0]: same key as client \"ops\", who could approve his own requests"},
        {0, "\"approvers\":[" OWN_KEY("a", "02") "],", "", E, "requests.approvers[0]"},
        /* where a passkey may be used */
        {0, "\"approvers\":[" PASSKEY("a", "ALICE", "https://ok.example.org") "],", "", E,
         "requests: approver \"a\" uses a passkey, so \"gateways\" must name"},
        {1, "\"approvers\":[" PASSKEY("a", "ALICE", "https://ok.example.org") "],", "", QR_OK, ""},
        {0, "\"approvers\":[" PASSKEY("a", "ALICE", "https://gw.example.org") "],", GW, E,
         "requests.gateways[0]: \"https://gw.example.org\" is on the same host as an origin of"},
        {0, "\"approvers\":[" PASSKEY("a", "ALICE", "https://gw.example.org:8443") "],", GW, E,
         "requests.gateways[0]: \"https://gw.example.org\" is on the same host"},
        {1, "\"approvers\":[" PASSKEY("a", "ALICE", "https://gw.example.org") "],", GW, QR_OK, ""},
        {0, "", "\"gateways\":[\"http://10.0.0.1:8501\",\"https://gw.example.org\"],", QR_OK, ""},
        {0, "", "\"gateways\":[],", E, "requests.gateways: 0 elements"},
        {0, "", "\"gateways\":[\"gw.example.org\"],", E,
         "requests.gateways[0]: \"gw.example.org\" is"},
        {0, "", "\"gateways\":[\"https://GW.example.org\"],", E,
         "requests.gateways[0]: \"https://GW"},
        {0, "", "\"gateways\":[\"https://gw.example.org/\"],", E,
         "requests.gateways[0]: \"https://gw"},
        {0, "", "\"gateways\":[\"https://gw.example.org:\"],", E,
         "requests.gateways[0]: \"https://gw"},
        {0, "", "\"gateways\":[\"https://gw.example.org:8a\"],", E,
         "requests.gateways[0]: \"https:/"},
        {0, "", "\"gateways\":[\"https://:8443\"],", E,
         "requests.gateways[0]: \"https://:8443\" is"},
        {0, "", "\"gateways\":[\"https://\"],", E, "requests.gateways[0]: \"https://\" is not"},
    };
#undef E

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qr_policy *p = NULL;
        qr_err e = parties_of(rows[i].sim, rows[i].approvers, rows[i].gateways, &p);
        if (e != rows[i].e || strncmp(why, rows[i].why, strlen(rows[i].why)) != 0) {
            fail_msg("row %zu: %s, \"%s\"", i, qr_err_name(e), why);
        }
        if (e == QR_OK) {
            assert_int_equal(qr_policy_n_approvers(p), rows[i].approvers[0] != 0);
            qr_policy_free(p);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_parties),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
