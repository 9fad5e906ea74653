/*
 * Predicates one by one. Each row is a rule's members and an item, and what the predicate answers: yes,
 * no, or that it cannot be asked. The row is played as anallow rule, which takes only a yes, and as a deny
 * rule before one that allows everything, which takes all but a no.
 */
#include "daemon/policy_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/documents.h"

#include <stdio.h>

#define A1 "1111111111111111111111111111111111111111"
#define A2 "2222222222222222222222222222222222222222"
#define W1 "000000000000000000000000" A1
#define W2 "000000000000000000000000" A2
#define N7 "0000000000000000000000000000000000000000000000000000000000000007"
#define TO1 "\"to\":[\"0x" A1 "\"]"
#define ALL_KINDS                                                                                  \
    "\"eth_tx\",\"eip191\",\"eip712\",\"btc_legacy\",\"btc_bip143\",\"keccak256\",\"sha256\","     \
    "\"sha256d\",\"digest\""

static char why[QR_ERR_TEXT_MAX], text[QR_DOC_MAX];
static struct stamper ops, alice, bob;
static struct qr_request q;
static uint8_t memory[8192];
static size_t memory_used;
static struct qr_policy_says says;

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

/* One rule, and behind it, when asked for, one that allows everything to everybody. */
static qr_err
policy_of(const char *effect, const char *kinds, const char *members, int allow_all,
          struct qr_policy **ret)
{
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                   "\",\"serial\":1,\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":["
                   "{\"name\":\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"}],\"approvers\":["
                   "{\"name\":\"alice\",\"scheme\":\"p256\",\"key\":\"%s\"},"
                   "{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"%s\"}],\"rules\":["
                   "{\"id\":\"r\",\"effect\":\"%s\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
                   "\"kinds\":[%s]%s%s}%s]}}",
                   ops.hex, alice.hex, bob.hex, effect, kinds, members[0] ? "," : "", members,
                   allow_all ? ",{\"id\":\"all\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":"
                               "[\"*\"],\"kinds\":[" ALL_KINDS "]}"
                             : "");
    why[0] = 0;
    return qr_policy_parse(qr_view_str(text), ret, why, sizeof why);
}

static qr_view
hex(const char *s)
{
    size_t n = strlen(s) / 2;
    uint8_t *p = memory + memory_used;

    assert_true(memory_used + n <= sizeof memory);
    assert_int_equal(qr_hex_decode(s, 2 * n, p, n), QR_OK);
    memory_used += n;
    return qr_view_of(p, n);
}

/* ---- items ---- */

struct eth {
    int type, no_chain;
    uint64_t chain, gas;
    const char *to, *value, *fee, *data; /* to NULL: creates a contract */
};

struct typed {
    int has_chain, has_contract;
    uint64_t chain;
    const char *contract, *type;
};

struct btc {
    uint64_t spent;
    int bip143, bound;
    const char *own;
    const char *outputs; /* as they stand in a transaction, in hex */
    uint16_t n_out;
    uint64_t out;
};

static void
new_request(void)
{
    memset(&q, 0, sizeof q);
    memory_used = 0;
    q.window = (struct qr_window){1000, 61000};
}

static struct qr_request_item *
new_item(enum qr_kind k)
{
    struct qr_request_item *item = &q.items[q.n_items++];
    item->kind = k;
    q.kinds |= QR_KIND_BIT(k);
    return item;
}

static void
put_u256(uint8_t out[32], const char *decimal)
{
    struct qr_u256 v;

    assert_int_equal(qr_u256_parse(qr_view_str(decimal ? decimal : "0"), &v), QR_OK);
    memcpy(out, v.b, 32);
}

static void
add_eth(const struct eth *e)
{
    struct qr_eth_tx *t = &new_item(QR_KIND_ETH_TX)->eth;

    t->type = (uint8_t)e->type;
    t->has_chain_id = !e->no_chain;
    t->chain_id = e->chain;
    t->gas_limit = e->gas;
    t->has_to = e->to != NULL;
    if (e->to) {
        memcpy(t->to, hex(e->to).p, 20);
    }
    put_u256(t->value, e->value);
    put_u256(t->max_fee, e->fee);
    t->data = hex(e->data ? e->data : "");
    t->has_selector = t->has_to && t->data.len >= 4;
    if (t->has_selector) {
        memcpy(t->selector, t->data.p, 4);
    }
}

static void
add_typed(const struct typed *e)
{
    struct qr_712 *t = &new_item(QR_KIND_EIP712)->typed;

    t->has_chain_id = (uint8_t)e->has_chain;
    t->has_contract = (uint8_t)e->has_contract;
    t->chain_id = e->chain;
    if (e->contract) {
        memcpy(t->contract, hex(e->contract).p, 20);
    }
    (void)snprintf(t->primary_type, sizeof t->primary_type, "%s", e->type ? e->type : "Permit");
}

static void
add_btc(const struct btc *e)
{
    struct qr_request_item *item = new_item(e->bip143 ? QR_KIND_BTC_BIP143 : QR_KIND_BTC_LEGACY);
    char tx[4096];

    /* version and a count stand before, the lock time behind */
    (void)snprintf(tx, sizeof tx, "0200000001%s00000000", e->outputs);
    item->btc.tx = hex(tx);
    item->btc.outputs_at = 5;
    item->btc.n_out = e->n_out;
    item->btc.spent_sat = e->spent;
    item->btc.out_sat = e->out;
    item->btc.own_script = hex(e->own);
    item->btc.bip143 = (uint8_t)e->bip143;
    item->btc.fee_bound = (uint8_t)e->bound;
}

/* ---- rows ---- */

static qr_err
decide(const struct qr_policy *p, int64_t now_ms, int64_t lower_ms, uint64_t approved,
       const struct qr_budget *budget)
{
    static const uint8_t key[33] = {2};

    memset(&says, 0xa5, sizeof says); /* what is not written must not be read */
    return qr_policy_decide(p,
                            &(struct qr_policy_ask){.client = qr_policy_client(p, 0),
                                                    .req = &q,
                                                    .key = key,
                                                    .approved = approved,
                                                    .now_ms = now_ms,
                                                    .lower_ms = lower_ms,
                                                    .budget = budget},
                            &says);
}

enum want { NO, DOUBT, YES };

/* The request in q; deny: -1 where a deny rule may not have these members. */
static void
play(size_t row, const char *kinds, const char *members, int may_deny, enum want want,
     int64_t now_ms, int64_t lower_ms)
{
    struct qr_policy *p = NULL;

    if (policy_of("allow", kinds, members, 0, &p) != QR_OK) {
        fail_msg("row %zu: %s: %s", row, members, why);
    }
    qr_err e = decide(p, now_ms, lower_ms, 0, NULL);
    if (e != (want == YES ? QR_OK : QR_ERR_POLICY_DENIED) ||
        strcmp(says.rule, want == YES ? "r" : "") != 0) {
        fail_msg("row %zu as allow: %s: %s, \"%s\"", row, members, qr_err_name(e), says.why);
    }
    if (e != QR_OK && !strstr(says.why, "rule r (")) {
        fail_msg("row %zu: \"%s\" names no rule", row, says.why);
    }
    qr_policy_free(p);
    e = policy_of("deny", kinds, members, 1, &p);
    if (!may_deny) {
        if (e != QR_ERR_MALFORMED || !strstr(why, "has no meaning in a deny rule")) {
            fail_msg("row %zu as deny: %s, \"%s\"", row, qr_err_name(e), why);
        }
        return;
    }
    if (e != QR_OK) {
        fail_msg("row %zu as deny: %s: %s", row, members, why);
    }
    e = decide(p, now_ms, lower_ms, 0, NULL);
    if (e != (want == NO ? QR_OK : QR_ERR_POLICY_DENIED) ||
        strcmp(says.rule, want == NO ? "all" : "r") != 0) {
        fail_msg("row %zu as deny: %s: %s by \"%s\"", row, members, qr_err_name(e), says.rule);
    }
    qr_policy_free(p);
}

#define TX .type = 2, .chain = 1, .gas = 21000, .fee = "10", .to = A1

static void
test_eth(void **state)
{
    static const struct {
        const char *members;
        int may_deny;
        enum want want;
        struct eth item;
    } rows[] = {
        {"\"eth\":{\"types\":[\"1559\"]}", 1, YES, {TX}},
        {"\"eth\":{\"types\":[\"legacy\",\"2930\"]}", 1, NO, {TX}},
        {"\"eth\":{\"types\":[\"legacy\",\"2930\"]}", 1, YES, {.type = 1, .to = A1}},
        {"\"eth\":{\"types\":[\"legacy\"]}", 1, YES, {.type = 0, .to = A1}},
        {"\"eth\":{\"chain_ids\":[5,1,10]}", 1, YES, {TX}},
        {"\"eth\":{\"chain_ids\":[5,10]}", 1, NO, {TX}},
        {"\"eth\":{\"chain_ids\":[1]}", 1, DOUBT, {.no_chain = 1, .to = A1}},
        {"\"eth\":{\"to\":[\"0x" A2 "\",\"0x" A1 "\"]}", 1, YES, {TX}},
        {"\"eth\":{\"to\":[\"0x" A2 "\"]}", 1, NO, {TX}},
        {"\"eth\":{\"to\":[\"0x" A2 "\"]}", 1, DOUBT, {.type = 2, .chain = 1}},
        {"\"eth\":{\"create\":true}", 1, YES, {.type = 2, .chain = 1}},
        {"\"eth\":{\"create\":true}", 1, NO, {TX}},
        {"\"eth\":{\"create\":false}", 1, NO, {.type = 2, .chain = 1}},
        {"\"eth\":{\"create\":false}", 1, YES, {TX}},
        /* a deny rule about a receiver need not be about creations */
        {"\"eth\":{\"create\":false,\"to\":[\"0x" A2 "\"]}", 1, NO, {.type = 2, .chain = 1}},
        {"\"eth\":{\"selectors\":[\"0xa9059cbb\"]}", 1, YES, {TX, .data = "a9059cbb00"}},
        {"\"eth\":{\"selectors\":[\"0xa9059cbb\"]}", 1, NO, {TX, .data = "a9059cbc"}},
        {"\"eth\":{\"selectors\":[\"0xa9059cbb\"]}", 1, NO, {TX}},
        {"\"eth\":{\"selectors\":[\"0xa9059cbb\",\"none\"]}", 1, YES, {TX}},
        {"\"eth\":{\"selectors\":[\"none\"]}", 1, NO, {TX, .data = "a9059cbb"}},
        {"\"eth\":{\"selectors\":[\"none\"]}", 1, DOUBT, {TX, .data = "a9059c"}},
        {"\"eth\":{\"selectors\":[\"0xa9059cbb\"]}", 1, DOUBT, {.data = "a9059cbb"}},
        {"\"eth\":{\"max_value_wei\":\"7\"}", 0, YES, {TX, .value = "7"}},
        {"\"eth\":{\"max_value_wei\":\"7\"}", 0, NO, {TX, .value = "8"}},
        {"\"eth\":{\"max_value_wei\":\"0\"}", 0, YES, {TX}},
        {"\"eth\":{\"max_value_wei\":\"0\"}", 0, NO, {TX, .value = "1"}},
        {"\"eth\":{\"max_value_wei\":\"1000000000000000000000000\"}",
         0,
         NO,
         {TX, .value = "1000000000000000000000001"}},
        {"\"eth\":{\"max_fee_wei\":\"210000\"}", 0, YES, {TX}},
        {"\"eth\":{\"max_fee_wei\":\"209999\"}", 0, NO, {TX}},
        /* the product does not fit into 256 bits */
        {"\"eth\":{\"max_fee_wei\":\"999999999999999999999999999999999999999999999999999999999999"
         "99999999999999999\"}",
         0,
         NO,
         {.type = 2,
          .gas = 21000,
          .to = A1,
          .fee = "11579208923731619542357098500868790785326998466564056403945758400791312963993"}},
        /* all of them together; one that is not so is enough */
        {"\"eth\":{\"types\":[\"1559\"],\"chain_ids\":[1],\"to\":[\"0x" A1
         "\"],\"selectors\":[\"none\"]}",
         1,
         YES,
         {TX}},
        {"\"eth\":{\"types\":[\"1559\"],\"chain_ids\":[2],\"to\":[\"0x" A1
         "\"],\"selectors\":[\"none\"]}",
         1,
         NO,
         {TX}},
        {"\"eth\":{\"chain_ids\":[1],\"to\":[\"0x" A2 "\"]}", 1, NO, {.no_chain = 1, .to = A1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        add_eth(&rows[i].item);
        play(i, "\"eth_tx\"", rows[i].members, rows[i].may_deny, rows[i].want, 0, 0);
    }
}

/* Tokens: an allow rule has to say which; as a deny rule the same without it. */
static void
test_erc20(void **state)
{
    static const struct {
        const char *erc20;
        int may_deny;
        enum want want;
        const char *data;
    } rows[] = {
        {"\"methods\":[\"transfer\"]", 1, YES, "a9059cbb" W2 N7},
        {"\"methods\":[\"approve\",\"transferFrom\"]", 1, NO, "a9059cbb" W2 N7},
        {"\"methods\":[\"approve\"]", 1, YES, "095ea7b3" W2 N7},
        {"\"methods\":[\"transferFrom\"]", 1, YES, "23b872dd" W1 W2 N7},
        {"\"methods\":[\"transfer\"]", 1, NO, ""},
        {"\"methods\":[\"transfer\"]", 1, NO, "a9059cbc" W2 N7},
        {"\"methods\":[\"transfer\"]", 1, DOUBT, "a9059cbb" W2},
        {"\"methods\":[\"transfer\"]", 1, DOUBT, "a9059cbb" W2 N7 "00"},
        {"\"methods\":[\"transfer\"]", 1, DOUBT, "a9059cbb000000000000000000000001" A2 N7},
        {"\"methods\":[\"transferFrom\"]", 1, DOUBT, "23b872dd010000000000000000000000" A1 W2 N7},
        {"\"methods\":[\"transfer\"],\"to\":[\"0x" A2 "\"]", 1, YES, "a9059cbb" W2 N7},
        {"\"methods\":[\"transfer\"],\"to\":[\"0x" A1 "\"]", 1, NO, "a9059cbb" W2 N7},
        {"\"methods\":[\"transferFrom\"],\"to\":[\"0x" A2 "\"]", 1, YES, "23b872dd" W1 W2 N7},
        {"\"methods\":[\"transferFrom\"],\"to\":[\"0x" A1 "\"]", 1, NO, "23b872dd" W1 W2 N7},
        {"\"methods\":[\"transfer\"],\"max_amount\":\"7\"", 0, YES, "a9059cbb" W2 N7},
        {"\"methods\":[\"transfer\"],\"max_amount\":\"6\"", 0, NO, "a9059cbb" W2 N7},
        {"\"methods\":[\"transferFrom\"],\"max_amount\":\"6\"", 0, NO, "23b872dd" W1 W2 N7},
    };
    char members[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        add_eth(&(struct eth){TX, .data = rows[i].data});
        (void)snprintf(members, sizeof members, "\"eth\":{" TO1 "},\"erc20\":{%s}", rows[i].erc20);
        play(i, "\"eth_tx\"", members, rows[i].may_deny, rows[i].want, 0, 0);
    }
}

static void
test_typed(void **state)
{
    static const struct {
        const char *members;
        enum want want;
        struct typed item;
    } rows[] = {
        {"\"eip712\":{\"chain_ids\":[1,137]}", YES, {.has_chain = 1, .chain = 137}},
        {"\"eip712\":{\"chain_ids\":[1]}", NO, {.has_chain = 1, .chain = 137}},
        {"\"eip712\":{\"chain_ids\":[1]}", DOUBT, {.chain = 1}},
        {"\"eip712\":{\"contracts\":[\"0x" A1 "\"]}", YES, {.has_contract = 1, .contract = A1}},
        {"\"eip712\":{\"contracts\":[\"0x" A1 "\"]}", NO, {.has_contract = 1, .contract = A2}},
        {"\"eip712\":{\"contracts\":[\"0x" A1 "\"]}", DOUBT, {.contract = A1}},
        {"\"eip712\":{\"primary_types\":[\"Mail\",\"Permit\"]}", YES, {.type = "Permit"}},
        {"\"eip712\":{\"primary_types\":[\"Mail\",\"Permit\"]}", NO, {.type = "Permit2"}},
        {"\"eip712\":{\"primary_types\":[\"Permit2\"]}", NO, {.type = "Permit"}},
        {"\"eip712\":{\"primary_types\":[\"a234567890123456789012345678901234567890123456789012345"
         "678901234\"]}",
         YES,
         {.type = "a234567890123456789012345678901234567890123456789012345678901234"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        add_typed(&rows[i].item);
        play(i, "\"eip712\"", rows[i].members, 1, rows[i].want, 0, 0);
    }
}

static void
test_message(void **state)
{
    (void)state;
    for (size_t n = 5; n <= 7; n++) {
        new_request();
        new_item(QR_KIND_EIP191)->preimage = qr_view_of(memory, n);
        play(n, "\"eip191\"", "\"eip191\":{\"max_bytes\":6}", 0, n <= 6 ? YES : NO, 0, 0);
    }
}

#define OWN "0014aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PAYEE "0014bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OTHER "0014cccccccccccccccccccccccccccccccccccccccc"
#define OUT(sat_le, script) sat_le "16" script
#define SAT_600 "5802000000000000"
#define SAT_300 "2c01000000000000"

static void
test_btc(void **state)
{
    static const struct {
        const char *members;
        int may_deny;
        enum want want;
        struct btc item;
    } rows[] = {
#define PAY_AND_BACK                                                                               \
    .own = OWN, .outputs = OUT(SAT_600, PAYEE) OUT(SAT_300, OWN), .n_out = 2, .out = 900,          \
    .spent = 1000
#define RECIPIENTS "\"btc\":{\"recipients\":[\"" OTHER "\",\"" PAYEE "\"]}"
        {RECIPIENTS, 1, YES, {PAY_AND_BACK}},
        {"\"btc\":{\"recipients\":[\"" PAYEE "00\",\"" OTHER "\"]}", 1, NO, {PAY_AND_BACK}},
        {"\"btc\":{\"max_value_sat\":600}", 0, YES, {PAY_AND_BACK}},
        {"\"btc\":{\"max_value_sat\":599}", 0, NO, {PAY_AND_BACK}},
        /* nothing comes back: all of it leaves */
        {"\"btc\":{\"max_value_sat\":899}",
         0,
         NO,
         {.own = OTHER, .outputs = OUT(SAT_600, PAYEE) OUT(SAT_300, OWN), .n_out = 2, .out = 900}},
        {"\"btc\":{\"max_value_sat\":0}",
         0,
         YES,
         {.own = OWN, .outputs = OUT(SAT_600, OWN) OUT(SAT_300, OWN), .n_out = 2, .out = 900}},
        {"\"btc\":{\"max_fee_sat\":100}", 0, YES, {PAY_AND_BACK, .bip143 = 1, .bound = 1}},
        {"\"btc\":{\"max_fee_sat\":99}", 0, NO, {PAY_AND_BACK, .bip143 = 1, .bound = 1}},
        {"\"btc\":{\"max_fee_sat\":1000}", 0, DOUBT, {PAY_AND_BACK, .bip143 = 1}},
    };
    static const struct btc mixed = {
        .own = OWN, .outputs = OUT(SAT_600, PAYEE) OUT(SAT_300, OTHER), .n_out = 2, .out = 900};
    struct qr_policy *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        add_btc(&rows[i].item);
        play(i, rows[i].item.bip143 ? "\"btc_bip143\"" : "\"btc_bip143\",\"btc_legacy\"",
             rows[i].members, rows[i].may_deny, rows[i].want, 0, 0);
    }
    /* one receiver of two is named: too little to allow, enough to deny */
    new_request();
    add_btc(&mixed);
    assert_int_equal(
        policy_of("allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"" PAYEE "\"]}", 0, &p),
        QR_OK);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_ERR_POLICY_DENIED);
    qr_policy_free(p);
    assert_int_equal(
        policy_of("deny", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"" PAYEE "\"]}", 1, &p),
        QR_OK);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_ERR_POLICY_DENIED);
    assert_string_equal(says.rule, "r");
    qr_policy_free(p);
}

/* Longer scripts and counts, as Bitcoin writes lengths. */
static void
test_btc_lengths(void **state)
{
    char outputs[2048], script[2 * 300 + 1];
    struct qr_policy *p = NULL;

    (void)state;
    memset(script, 'a', sizeof script - 1);
    script[sizeof script - 1] = 0;
    (void)snprintf(outputs, sizeof outputs, SAT_600 "fd2c01%s" OUT(SAT_300, PAYEE), script);
    new_request();
    add_btc(&(struct btc){.own = script, .outputs = outputs, .n_out = 2, .out = 900});
    assert_true(qr_rule_leaving_sat(&q.items[0].btc) == 300);
    assert_int_equal(
        policy_of("allow", "\"btc_legacy\"", "\"btc\":{\"recipients\":[\"" PAYEE "\"]}", 0, &p),
        QR_OK);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_OK);
    /* outputs that the bytes do not hold are a doubt, not an end */
    q.items[0].btc.n_out = 3;
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_ERR_POLICY_DENIED);
    qr_policy_free(p);
}

static void
test_paths(void **state)
{
    static const struct {
        const char *paths;
        enum want want;
        size_t depth;
        uint32_t path[3];
    } rows[] = {
        {"[[0]]", YES, 1, {0}},
        {"[[0]]", YES, 3, {0, 7, 2147483647}},
        {"[[0]]", NO, 1, {1}},
        {"[[0]]", NO, 0, {0}},
        {"[[44,60],[1,2,3]]", YES, 2, {44, 60}},
        {"[[44,60],[1,2,3]]", YES, 3, {1, 2, 3}},
        {"[[44,60],[1,2,3]]", NO, 2, {1, 2}},
        {"[[44,60]]", NO, 2, {60, 44}},
        {"[[]]", YES, 0, {0}},
        {"[[]]", YES, 2, {5, 6}},
    };
    char members[128];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        new_item(QR_KIND_SHA256);
        q.depth = rows[i].depth;
        memcpy(q.path, rows[i].path, sizeof rows[i].path);
        (void)snprintf(members, sizeof members, "\"paths\":%s", rows[i].paths);
        play(i, "\"sha256\"", members, 1, rows[i].want, 0, 0);
    }
}

/* 2026-11-22 is a Sunday; its midnight. */
#define SUNDAY INT64_C(1795305600000)
#define AT(day, h, m) (SUNDAY + (((day)*24 + (h)) * 60 + (m)) * INT64_C(60000))

static void
test_hours(void **state)
{
    static const char week[] = "\"hours\":{\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\"],"
                               "\"from\":\"08:00\",\"to\":\"18:00\"}";
    static const char night[] =
        "\"hours\":{\"days\":[\"sat\"],\"from\":\"22:30\",\"to\":\"02:00\"}";
    static const char whole[] =
        "\"hours\":{\"days\":[\"sun\"],\"from\":\"00:00\",\"to\":\"24:00\"}";
    static const struct {
        const char *hours;
        enum want want;
        int64_t now, lower;
    } rows[] = {
        {week, YES, AT(1, 8, 0), AT(1, 8, 0)},
        {week, NO, AT(1, 7, 59), AT(1, 7, 59)},
        {week, YES, AT(5, 17, 59), AT(5, 17, 59)},
        {week, NO, AT(5, 18, 0), AT(5, 18, 0)},
        {week, NO, AT(0, 12, 0), AT(0, 12, 0)},
        {week, NO, AT(6, 12, 0), AT(6, 12, 0)},
        {week, DOUBT, AT(1, 8, 0), AT(1, 7, 59)},   /* by our clock alone */
        {week, DOUBT, AT(5, 18, 0), AT(5, 17, 59)}, /* by the quorum's alone */
        {week, DOUBT, AT(1, 8, 0), -1},             /* the quorum does not know */
        {night, YES, AT(6, 22, 30), AT(6, 22, 30)},
        {night, YES, AT(7, 1, 59), AT(7, 1, 59)},
        {night, NO, AT(7, 2, 0), AT(7, 2, 0)},
        {night, NO, AT(6, 1, 0), AT(6, 1, 0)}, /* of Friday's night */
        {night, NO, AT(0, 23, 0), AT(0, 23, 0)},
        {whole, YES, AT(0, 0, 0), AT(0, 23, 59)},
        {whole, NO, AT(1, 0, 0), AT(1, 0, 0)},
        {whole, NO, 0, 0}, /* 1970 began on a Thursday */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        new_request();
        new_item(QR_KIND_SHA256);
        play(i, "\"sha256\"", rows[i].hours, 1, rows[i].want, rows[i].now, rows[i].lower);
    }
}

/* ---- approvals, life, limits ---- */

static void
test_approvals(void **state)
{
    struct qr_policy *p = NULL;

    (void)state;
    assert_int_equal(
        policy_of("allow", "\"sha256\"",
                  "\"approvals\":{\"need\":2,\"of\":[\"bob\",\"alice\"],\"within_s\":3600}", 0, &p),
        QR_OK);
    new_request();
    new_item(QR_KIND_SHA256);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_ERR_APPROVALS);
    assert_true(says.need == 2 && says.of == 3);
    assert_string_equal(says.rule, "r");
    assert_string_equal(says.why, "rule r wants 2 approvals of 2 approvers, the request has 0");
    assert_int_equal(decide(p, 0, 0, 2, NULL), QR_ERR_APPROVALS);
    assert_true(says.need == 1 && says.of == 1);
    assert_int_equal(decide(p, 0, 0, UINT64_C(0x8000000000000002), NULL), QR_ERR_APPROVALS);
    assert_int_equal(decide(p, 0, 0, 3, NULL), QR_OK);
    assert_true(says.of == 3 && says.life_ms == 3600000);
    /* it may live as long as the rule says, and no longer */
    q.window.expires_ms = q.window.issued_ms + 3600000;
    assert_int_equal(decide(p, 0, 0, 3, NULL), QR_OK);
    q.window.expires_ms++;
    assert_int_equal(decide(p, 0, 0, 3, NULL), QR_ERR_POLICY_DENIED);
    assert_string_equal(says.why, "client ops may not have this sha256 signed: not by rule r "
                                  "(approvals.within_s: the request lives 3600 s)");
    qr_policy_free(p);
    /* without within_s, and without approvals: as ever */
    for (int with = 0; with < 2; with++) {
        assert_int_equal(policy_of("allow", "\"sha256\"",
                                   with ? "\"approvals\":{\"need\":1,\"of\":[\"bob\"]}" : "", 0,
                                   &p),
                         QR_OK);
        q.window.expires_ms = q.window.issued_ms + QR_REQUEST_LIFE_MS;
        assert_int_equal(decide(p, 0, 0, 2, NULL), QR_OK);
        assert_true(says.of == (with ? 2 : 0) && says.life_ms == QR_REQUEST_LIFE_MS);
        q.window.expires_ms++;
        assert_int_equal(decide(p, 0, 0, 2, NULL), QR_ERR_POLICY_DENIED);
        qr_policy_free(p);
    }
}

/* A later rule may allow what an earlier one has no approvals or no room for. */
static void
test_order(void **state)
{
    static const char members[] =
        "\"eth\":{\"max_value_wei\":\"5\"},\"limits\":[{\"window_s\":60,\"requests\":2}]},"
        "{\"id\":\"big\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":"
        "[\"eth_tx\"],\"approvals\":{\"need\":1,\"of\":[\"alice\"]}";
    struct qr_policy *p = NULL;
    struct qr_budget *b = NULL;
    int write;

    (void)state;
    assert_int_equal(policy_of("allow", "\"eth_tx\"", members, 0, &p), QR_OK);
    assert_int_equal(qr_policy_n_limits(p), 1);
    assert_int_equal(qr_budget_new(qr_policy_limit(p, 0), 1, 1, qr_view_of(NULL, 0), 0, &b), QR_OK);
    qr_budget_time(b, SUNDAY, 0);
    new_request();
    add_eth(&(struct eth){TX, .value = "6"});
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_APPROVALS);
    assert_string_equal(says.rule, "big");
    assert_int_equal(decide(p, 0, 0, 1, b), QR_OK);
    assert_true(says.n_charges == 0);
    /* one item by each rule: charged for its own, approved by whom the second asked */
    add_eth(&(struct eth){TX, .value = "5"});
    assert_int_equal(decide(p, 0, 0, 1, b), QR_OK);
    assert_string_equal(says.rule, "big");
    assert_true(says.n_charges == 1 && says.of == 1);
    /* two more, and the first rule has no room for three: the second has, when approved */
    add_eth(&(struct eth){TX, .value = "5"});
    add_eth(&(struct eth){TX, .value = "5"});
    assert_int_equal(decide(p, 0, 0, 1, b), QR_OK);
    assert_true(says.n_charges == 1 && says.charge[0].amount.b[31] == 2);
    q.items[0] = q.items[1]; /* nothing above 5 any more: the first rule answers */
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_LIMIT);
    assert_string_equal(says.rule, "r");
    assert_true(says.item == 2 && says.n_charges == 0);
    /* denial comes before approvals and limits, whichever item it is of */
    new_item(QR_KIND_DIGEST);
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_POLICY_DENIED);
    assert_true(says.item == 4 && says.kind == QR_KIND_DIGEST);
    q.n_items = 2;
    q.kinds = QR_KIND_BIT(QR_KIND_ETH_TX);
    assert_int_equal(decide(p, 0, 0, 0, b), QR_OK);
    assert_int_equal(qr_budget_take(b, says.charge, says.n_charges, &write), QR_OK);
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_LIMIT);
    assert_int_equal(says.retry_s, 60);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_OK); /* a request known before */
    qr_budget_free(b);
    qr_policy_free(p);
}

static void
test_charges(void **state)
{
    struct qr_policy *p = NULL;
    struct qr_budget *b = NULL;

    (void)state;
    assert_int_equal(
        policy_of(
            "allow", "\"eth_tx\"",
            "\"limits\":[{\"window_s\":60,\"requests\":100},{\"window_s\":86400,\"value_wei\":"
            "\"12\"},{\"window_s\":60,\"value_wei\":\"115792089237316195423570985008687907853"
            "269984665640564039457584007913129639935\"}]",
            0, &p),
        QR_OK);
    assert_int_equal(qr_policy_n_limits(p), 3);
    assert_int_equal(qr_budget_new(qr_policy_limit(p, 0), 3, 1, qr_view_of(NULL, 0), 0, &b), QR_OK);
    qr_budget_time(b, SUNDAY, 0);
    new_request();
    add_eth(&(struct eth){TX, .value = "5"});
    add_eth(&(struct eth){TX, .value = "7"});
    assert_int_equal(decide(p, 0, 0, 0, b), QR_OK);
    assert_int_equal(says.n_charges, 3);
    assert_true(says.charge[0].limit == 0 && says.charge[0].amount.b[31] == 2);
    assert_true(says.charge[1].limit == 1 && says.charge[1].amount.b[31] == 12);
    add_eth(&(struct eth){TX, .value = "1"});
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_LIMIT);
    assert_true(says.item == 2 && says.retry_s == 0);
    assert_string_equal(says.why,
                        "rule r: more than this party's part of 12 value_wei in 86400 s at "
                        "once");
    /* values that wrap around together */
    q.n_items = 2;
    memset(q.items[0].eth.value, 0xff, 32);
    assert_int_equal(decide(p, 0, 0, 0, b), QR_ERR_LIMIT);
    qr_budget_free(b);
    qr_policy_free(p);

    /* the inputs of one transaction are charged once, for the most that any of them says leaves */
    assert_int_equal(policy_of("allow", "\"btc_legacy\",\"btc_bip143\"",
                               "\"limits\":[{\"window_s\":60,\"value_sat\":1000}]", 0, &p),
                     QR_OK);
    new_request();
    struct btc t = {PAY_AND_BACK};
    add_btc(&t);
    add_btc(&t);
    t.own = OTHER;
    t.bip143 = 1;
    add_btc(&t);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_OK);
    assert_true(says.n_charges == 1 && qr_get64(says.charge[0].amount.b + 24) == 900);
    t.outputs = OUT(SAT_300, PAYEE) OUT(SAT_300, OWN); /* another transaction */
    t.out = 600;
    add_btc(&t);
    assert_int_equal(decide(p, 0, 0, 0, NULL), QR_OK);
    assert_true(says.n_charges == 1 && qr_get64(says.charge[0].amount.b + 24) == 1500);
    qr_policy_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eth),       cmocka_unit_test(test_erc20),
        cmocka_unit_test(test_typed),     cmocka_unit_test(test_message),
        cmocka_unit_test(test_btc),       cmocka_unit_test(test_btc_lengths),
        cmocka_unit_test(test_paths),     cmocka_unit_test(test_hours),
        cmocka_unit_test(test_approvals), cmocka_unit_test(test_order),
        cmocka_unit_test(test_charges),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
