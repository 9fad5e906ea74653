#include "test/fuzz/kit_policy_seeds.h"

#include "daemon/budget.h"
#include "test/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static qr_seed_fn seed;

#define BYTES(a) qr_view_of(a, sizeof(a) - 1)
#define SCRIPT(a) a, sizeof(a) - 1

#define RULE(id, effect, kinds, more)                                                              \
    "{\"id\":\"" id "\",\"effect\":\"" effect                                                      \
    "\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":[" kinds "]" more "}"
#define A1 "\"0x1111111111111111111111111111111111111111\""

/* Every member of a rule once, and a request that it is asked about. */
static void
rules(void)
{
    static const struct {
        const char *name, *rules, *script;
        size_t len;
    } rows[] = {
        {"eth",
         RULE("r", "allow", "\"eth_tx\"",
              ",\"eth\":{\"types\":[\"legacy\",\"2930\",\"1559\"],\"chain_ids\":[1,137],\"to\":[" A1
              "],"
              "\"create\":false,\"selectors\":[\"0xa9059cbb\",\"none\"],\"max_value_wei\":\"7\","
              "\"max_fee_wei\":\"1000000\"},\"limits\":[{\"window_s\":60,\"requests\":9},{\"window_"
              "s\":"
              "3600,\"value_wei\":\"20\"}]"),
         /* two items, no path, a life; kind eth_tx: type 2, chain 1, to 11.., value 5, fee 3 */
         SCRIPT("\x01\x00\x00\x3c\x0e\x00\x01\x05\x11\x05\x03\x00\x0e\x00\x01\x05\x11\x06\x03\x04"
                "\xa9\x05"
                "\x9c\xbb")},
        {"erc20",
         RULE("no", "deny", "\"eth_tx\"", ",\"erc20\":{\"methods\":[\"approve\"]}") "," RULE(
             "r", "allow", "\"eth_tx\"",
             ",\"eth\":{\"to\":[" A1
             "]},\"erc20\":{\"methods\":[\"transfer\",\"transferFrom\"],\"to\":["
             "\"0x2222222222222222222222222222222222222222\"],\"max_amount\":\"7\"}"),
         SCRIPT("\x00\x00\x00\x3c\x0e\x00\x01\x05\x11\x00\x03\x44\xa9\x05\x9c\xbb"
                "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""
                "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07")},
        {"typed",
         RULE("r", "allow", "\"eip712\"",
              ",\"eip712\":{\"chain_ids\":[1],\"contracts\":[" A1
              "],\"primary_types\":[\"MMMM\"]}"),
         SCRIPT("\x00\x00\x00\x3c\x03\x02\x01\x11\x04")},
        {"message", RULE("r", "allow", "\"eip191\"", ",\"eip191\":{\"max_bytes\":4}"),
         SCRIPT("\x01\x00\x00\x3c\x00\x01\x04text\x00\x01\x05text2")},
        {"btc",
         RULE("r", "allow", "\"btc_bip143\"",
              ",\"btc\":{\"recipients\":[\"0014\",\"6a\"],\"max_value_sat\":1000,\"max_fee_sat\":"
              "100},"
              "\"limits\":[{\"window_s\":86400,\"value_sat\":2000}]") "," RULE("no", "deny",
                                                                               "\"btc_legacy\","
                                                                               "\"btc_bip143\"",
                                                                               ",\"btc\":{"
                                                                               "\"recipients\":["
                                                                               "\"0015\"]}"),
         /* 5 bytes before, two outputs (0014 and the own 51), 4 behind */
         SCRIPT("\x00\x00\x00\x3c\x03\x04\x1e\x02\x00\x00\x00\x01\x58\x02\x00\x00\x00\x00\x00\x00"
                "\x02\x00\x14"
                "\x2c\x01\x00\x00\x00\x00\x00\x00\x01\x51\x00\x00\x00\x00\x01\x51\x05\x02"
                "\x00\x00\x00\x00\x00\x00\x03\x84")},
        {"when",
         RULE("r", "allow", "\"sha256\"",
              ",\"note\":\"n\",\"paths\":[[],[0,1]],\"hours\":{\"days\":[\"mon\",\"sun\"],\"from\":"
              "\"22:00\",\"to\":\"24:00\"},\"approvals\":{\"need\":1,\"of\":[\"alice\",\"bob\"],"
              "\"within_s\":600}"),
         SCRIPT("\x00\x02\x00\x01\x02\x58\x00\x06\x01x\x00\x05\x00\x00\x01")},
        {"hours-over-midnight",
         RULE("r", "deny", "\"sha256\",\"digest\"",
              ",\"hours\":{\"days\":[\"fri\"],\"from\":\"22:00\",\"to\":\"06:00\"}"),
         SCRIPT("\x00\x00\x00\x3c\x00\x06\x01x\x00\x00\x06\x00\x01")},
        {"order",
         RULE("a", "allow", "\"eth_tx\"",
              ",\"limits\":[{\"window_s\":60,\"requests\":1}]") "," RULE("b", "allow", "\"eth_tx\"",
                                                                         ",\"approvals\":{\"need\":"
                                                                         "2,\"of\":[\"bob\","
                                                                         "\"alice\"]}"),
         SCRIPT(
             "\x02\x00\x00\x3c\x0e\x00\x01\x05\x11\x05\x03\x00\x0e\x00\x01\x05\x11\x06\x03\x00")},
        {"none", "", SCRIPT("\x00\x00\x00\x3c\x00\x06\x01x")},
        {"twice", RULE("r", "allow", "\"sha256\"", "") "," RULE("r", "deny", "\"sha256\"", ""),
         SCRIPT("")},
        {"value-in-deny", RULE("r", "deny", "\"eth_tx\"", ",\"eth\":{\"max_value_wei\":\"7\"}"),
         SCRIPT("")},
        {"other-kind", RULE("r", "allow", "\"sha256\"", ",\"eth\":{\"chain_ids\":[1]}"),
         SCRIPT("")},
        {"create-to",
         RULE("r", "allow", "\"eth_tx\"", ",\"eth\":{\"create\":true,\"to\":[" A1 "]}"),
         SCRIPT("")},
        {"never", RULE("r", "allow", "\"sha256\"", ",\"approvals\":{\"need\":2,\"of\":[\"bob\"]}"),
         SCRIPT("")},
        {"no-time",
         RULE("r", "allow", "\"sha256\"",
              ",\"hours\":{\"days\":[\"mon\"],\"from\":\"25:00\",\"to\":\"x\"}"),
         SCRIPT("")},
    };
    uint8_t all[4096];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].rules) + 1; /* with the NUL */
        FUZZ_MUST(n + rows[i].len <= sizeof all);
        memcpy(all, rows[i].rules, n);
        memcpy(all + n, rows[i].script, rows[i].len);
        seed("policy", rows[i].name, -1, qr_view_of(all, n + rows[i].len));
    }
}

static void
gateways(void)
{
    static const char policy[] =
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":"
        "\"c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1\",\"serial\":1,"
        "\"peers\":{},"
        "\"requests\":{\"clients\":[],\"approvers\":[{\"name\":\"a\",\"scheme\":\"webauthn\","
        "\"key\":"
        "\"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\",\"rp_id\":"
        "\"example.org\","
        "\"origins\":[\"https://a.example.org\"]}],\"gateways\":[\"https://gw.example.org:8443\"],"
        "\"rules\":[]}}";

    seed("document", "policy-gateways", 2, BYTES(policy));
}

static void
budgets(void)
{
    struct qr_limit l[2] = {{.rule = "a", .unit = QR_UNIT_REQUESTS, .window_s = 60},
                            {.rule = "bb", .unit = QR_UNIT_SAT, .window_s = 600}};
    struct qr_charge c[2] = {{0, qr_u256_of(3)}, {1, qr_u256_of(2)}};
    struct qr_budget *b = NULL;
    struct qr_dbuf rec;
    int write = 0;

    l[0].max = l[1].max = qr_u256_of(100);
    qr_dbuf_init(&rec, QR_BUDGET_RECORD_MAX);
    FUZZ_MUST(qr_budget_new(l, 2, 1, qr_view_of(NULL, 0), 0, &b) == QR_OK);
    qr_budget_time(b, INT64_C(1795305600000), 0);
    FUZZ_MUST(qr_budget_take(b, c, 2, &write) == QR_OK && write);
    FUZZ_MUST(qr_budget_record(b, &rec) == QR_OK);
    seed("budget", "record", 0, qr_view_of(rec.p, rec.len));
    rec.p[11] = 0;
    seed("budget", "record-no-name", 0, qr_view_of(rec.p, rec.len));
    qr_budget_free(b);
    qr_dbuf_free(&rec);
    /* time; charges of one, two and three limits; crashes with each record; a policy; shares; a failure */
    seed("budget", "life", 1,
         BYTES("\x03\x00\x01\x00\x01\x00\x00\x05\x01\x02\x01\x00\x64\x02\x00\x02\x02\x03\x00\x00"
               "\x01\x01"
               "\x00\x09\x02\x00\x01\x83\x10\x00\x20\x00\x04\x00\x01\x00\x00\x05\x05\x03\x03\x02"
               "\x58\x00"
               "\x01\x00\x00\x05\x06\x00\x01\x00\x00\x05\x0f\x03\x70\x00\x00\x01\x00\x00\x05\x17"
               "\x00\x01"
               "\x00\x00\x05"));
    seed("budget", "lag", 1,
         BYTES("\x03\x00\x01\x00\x01\x00\x00\x50\x03\x02\x58\x00\x01\x02\x00\x01\x84\x02\x58\x00"
               "\x01\x00"
               "\x00\x50\x85\x02\x58\x03\x00\x01\x00\x00\x50"));
}

void
fuzz_seeds_policy(qr_seed_fn fn)
{
    seed = fn;
    rules();
    gateways();
    budgets();
}
