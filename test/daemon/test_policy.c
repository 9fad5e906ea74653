/*
 * Policies: what is refused and how it is said, clients and their stamps, and decisions against a
 * second, naive evaluation over random policies.
 */
#include "daemon/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/roster.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/documents.h"
#include "test/common/testrng.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_A "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define KEY_B "03c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"

static char why[256], text[QR_DOC_MAX + 2];
static struct stamper ops, bot, stranger;

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    stamper_new(&ops, QR_SCHEME_P256);
    stamper_new(&bot, QR_SCHEME_ED25519);
    stamper_new(&stranger, QR_SCHEME_P256);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    stamper_free(&ops);
    stamper_free(&bot);
    stamper_free(&stranger);
    return 0;
}

static void
good(void)
{
    (void)snprintf(
        text, sizeof text,
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER "\",\"serial\":3,"
        "\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":["
        "{\"name\":\"ops\",\"scheme\":\"p256\",\"key\":\"%s\"},"
        "{\"name\":\"bot\",\"scheme\":\"ed25519\",\"key\":\"%s\"}],\"rules\":["
        "{\"id\":\"r1\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"*\"],"
        "\"kinds\":[\"eth_tx\",\"eip191\"]},"
        "{\"id\":\"r2\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"" KEY_A "\"],"
        "\"kinds\":[\"sha256\"]},"
        "{\"id\":\"r3\",\"effect\":\"deny\",\"clients\":[\"bot\"],\"keys\":[\"" KEY_B "\",\"" KEY_A
        "\"],\"kinds\":[\"sha256\",\"digest\"]}]}}",
        ops.hex, bot.hex);
}

/* A request of one item for each kind of the mask, which says nothing but its kinds. */
static qr_err
decide(const struct qr_policy *p, const struct qr_client *c, const uint8_t *key, unsigned kinds,
       struct qr_policy_says *says)
{
    static struct qr_request q;

    memset(&q, 0, sizeof q);
    q.kinds = kinds;
    for (int k = 0; k < QR_KIND_COUNT; k++) {
        if (kinds & QR_KIND_BIT(k)) {
            q.items[q.n_items++].kind = (enum qr_kind)k;
        }
    }
    return qr_policy_decide(
        p, &(struct qr_policy_ask){.client = c, .req = &q, .key = key, .lower_ms = -1}, says);
}

static qr_err
parse(struct qr_policy **ret)
{
    why[0] = 0;
    return qr_policy_parse(qr_view_str(text), ret, why, sizeof why);
}

static void
test_parse(void **state)
{
    struct qr_policy *p = NULL;
    const struct qr_client *c = NULL;
    uint8_t h[32];

    (void)state;
    good();
    assert_int_equal(parse(&p), QR_OK);
    assert_true(qr_policy_serial(p) == 3 && qr_policy_insecure_sim(p) == 1);
    assert_int_equal(qr_policy_n_clients(p), 2);
    assert_string_equal(qr_policy_client(p, 0)->name, "ops");
    assert_int_equal(qr_policy_find_client(p, &bot.pub, &c), QR_OK);
    assert_string_equal(c->name, "bot");
    assert_int_equal(qr_policy_find_client(p, &stranger.pub, &c), QR_ERR_CLIENT_UNKNOWN);
    qr_th(QR_TAG_DOC, QR_FIELDS(qr_view_str("policy"), qr_view_str(text)), h);
    assert_memory_equal(qr_policy_hash(p), h, 32);
    memset(h, 0xc1, 32);
    assert_memory_equal(qr_policy_cluster(p), h, 32);
    qr_policy_free(p);
    qr_policy_free(NULL);
    /* the software TEE is not accepted unless the policy says so */
    good();
    doc_replace(text, sizeof text, "\"insecure_sim\":true", "");
    assert_int_equal(parse(&p), QR_OK);
    assert_int_equal(qr_policy_insecure_sim(p), 0);
    qr_policy_free(p);
    good();
    doc_replace(text, sizeof text, "true", "false");
    assert_int_equal(parse(&p), QR_OK);
    assert_int_equal(qr_policy_insecure_sim(p), 0);
    qr_policy_free(p);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *from, *to;
        qr_err e;
        const char *why;
    } bad[] = {
        {"\"v\":1", "\"v\":3", QR_ERR_VERSION, "version 3 is not supported, only 1"},
        {"quorate/policy", "quorate/roster", QR_ERR_MALFORMED,
         "this is a \"quorate/roster\", not a \"quorate/policy\""},
        {"\"serial\":3", "\"serial\":0", QR_ERR_MALFORMED,
         "serial: 0 is not between 1 and 9223372036854775807"},
        {"\"serial\":3,", "", QR_ERR_MALFORMED, "member \"serial\" is missing"},
        {"\"peers\":{\"insecure_sim\":true},", "", QR_ERR_MALFORMED, "member \"peers\" is missing"},
        {"\"insecure_sim\":true", "\"insecure_sim\":1", QR_ERR_MALFORMED,
         "line 1: peers.insecure_sim: must be true or false"},
        {"\"insecure_sim\":true", "\"insecure\":true", QR_ERR_UNKNOWN_FIELD,
         "line 1: peers: unknown member \"insecure\""},
        {"\"kinds\":[\"eth_tx\",\"eip191\"]", "\"kinds\":[\"eth_tx\",\"foo\"]", QR_ERR_MALFORMED,
         "requests.rules[0].kinds[1]: unknown kind \"foo\""},
        {"\"kinds\":[\"eth_tx\",\"eip191\"]", "\"kinds\":[\"*\"]", QR_ERR_MALFORMED,
         "requests.rules[0].kinds[0]: unknown kind \"*\"; kinds are named one by one"},
        {"\"kinds\":[\"eth_tx\",\"eip191\"]", "\"kinds\":[\"eth_tx\",\"eth_tx\"]", QR_ERR_MALFORMED,
         "requests.rules[0].kinds[1]: is listed twice"},
        {"\"kinds\":[\"eth_tx\",\"eip191\"]", "\"kinds\":[]", QR_ERR_MALFORMED, NULL},
        {"\"kinds\":[\"sha256\"]", "\"kinds\":[5]", QR_ERR_MALFORMED,
         "requests.rules[1].kinds[0]: must be text"},
        {"\"effect\":\"deny\"", "\"effect\":\"DENY\"", QR_ERR_MALFORMED,
         "requests.rules[2]: effect \"DENY\" is neither allow nor deny"},
        {"\"effect\":\"deny\",", "", QR_ERR_MALFORMED,
         "requests.rules[2]: member \"effect\" is missing"},
        {"\"id\":\"r2\"", "\"id\":\"r1\"", QR_ERR_MALFORMED,
         "requests.rules[1]: rule id \"r1\" is used twice"},
        {"\"id\":\"r2\"", "\"id\":\"r 2\"", QR_ERR_MALFORMED, NULL},
        {"\"id\":\"r2\"", "\"id\":\"r2\",\"remark\":\"x\"", QR_ERR_UNKNOWN_FIELD,
         "requests.rules[1]: unknown member \"remark\""},
        {"\"clients\":[\"bot\"]", "\"clients\":[\"b0t\"]", QR_ERR_MALFORMED,
         "requests.rules[2].clients[0]: no client is called \"b0t\""},
        {"\"clients\":[\"bot\"]", "\"clients\":[\"bot\",\"bot\"]", QR_ERR_MALFORMED,
         "requests.rules[2].clients[1]: is listed twice"},
        {"\"clients\":[\"bot\"]", "\"clients\":[\"bot\",\"*\"]", QR_ERR_MALFORMED,
         "requests.rules[2].clients[1]: \"*\" must stand alone"},
        {"\"clients\":[\"bot\"]", "\"clients\":[\"*\",\"*\"]", QR_ERR_MALFORMED,
         "requests.rules[2].clients[0]: \"*\" must stand alone"},
        {"\"clients\":[\"bot\"]", "\"clients\":[]", QR_ERR_MALFORMED, NULL},
        {"\"keys\":[\"*\"]", "\"keys\":[\"*\",\"" KEY_A "\"]", QR_ERR_MALFORMED,
         "requests.rules[0].keys[0]: \"*\" must stand alone"},
        {"\"keys\":[\"" KEY_A "\"]", "\"keys\":[\"" KEY_A "\",\"" KEY_A "\"]", QR_ERR_MALFORMED,
         "requests.rules[1].keys[1]: is listed twice"},
        {"\"keys\":[\"*\"]", "\"keys\":[\"04\"]", QR_ERR_MALFORMED,
         "requests.rules[0].keys[0]: must have 66 hex digits, has 2 characters"},
        {"\"keys\":[\"" KEY_A "\"]", "\"keys\":[\"05" KEY_B "\"]", QR_ERR_TOO_LARGE, NULL},
        {"\"name\":\"bot\"", "\"name\":\"ops\"", QR_ERR_MALFORMED,
         "requests.clients[1]: name \"ops\" is used twice"},
        {"\"name\":\"bot\"", "\"name\":\"*\"", QR_ERR_MALFORMED, NULL},
        {"\"scheme\":\"ed25519\"", "\"scheme\":\"p256\"", QR_ERR_MALFORMED,
         "requests.clients[1]: key must be 66 lower-case hex digits for p256"},
        {"\"rules\":[", "\"more\":[],\"rules\":[", QR_ERR_UNKNOWN_FIELD,
         "requests: unknown member \"more\""},
    };
    struct qr_policy *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        good();
        doc_replace(text, sizeof text, bad[i].from, bad[i].to);
        qr_err e = parse(&p);
        if (e != bad[i].e || !why[0] || (bad[i].why && strcmp(why, bad[i].why) != 0)) {
            fail_msg("%s -> %s: %s, \"%s\"", bad[i].from, bad[i].to, qr_err_name(e), why);
        }
    }
    good();
    doc_replace(text, sizeof text, "ed25519", "p256");
    doc_replace(text, sizeof text, bot.hex, ops.hex);
    assert_int_equal(parse(&p), QR_ERR_MALFORMED);
    assert_string_equal(why, "requests.clients[1]: same key as client \"ops\"");
    memset(text, ' ', sizeof text);
    assert_int_equal(qr_policy_parse(qr_view_of(text, QR_DOC_MAX + 1), &p, why, sizeof why),
                     QR_ERR_TOO_LARGE);
}

static void
test_decide(void **state)
{
    static const struct {
        int bot_asks;
        const char *key;
        unsigned kinds;
        qr_err e;
        const char *rule;
        enum qr_kind kind;
    } cases[] = {
#define K(k) QR_KIND_BIT(QR_KIND_##k)
        {0, KEY_A, K(ETH_TX), QR_OK, "r1", QR_KIND_ETH_TX},
        {0, KEY_B, K(ETH_TX) | K(EIP191), QR_OK, "r1", QR_KIND_ETH_TX},
        {0, KEY_A, K(EIP191) | K(SHA256), QR_OK, "r1", QR_KIND_EIP191},
        {0, KEY_A, K(SHA256), QR_OK, "r2", QR_KIND_SHA256},
        {0, KEY_B, K(SHA256), QR_ERR_POLICY_DENIED, "", QR_KIND_SHA256},
        {0, KEY_B, K(ETH_TX) | K(SHA256), QR_ERR_POLICY_DENIED, "", QR_KIND_SHA256},
        {0, KEY_A, K(DIGEST), QR_ERR_POLICY_DENIED, "", QR_KIND_DIGEST},
        {0, KEY_A, K(SHA256D), QR_ERR_POLICY_DENIED, "", QR_KIND_SHA256D},
        {1, KEY_A, K(SHA256), QR_ERR_POLICY_DENIED, "r3", QR_KIND_SHA256}, /* deny wins */
        {1, KEY_A, K(ETH_TX), QR_ERR_POLICY_DENIED, "", QR_KIND_ETH_TX},
        {1, KEY_B, K(DIGEST), QR_ERR_POLICY_DENIED, "r3", QR_KIND_DIGEST},
    };
    struct qr_policy *p = NULL;

    (void)state;
    good();
    assert_int_equal(parse(&p), QR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct qr_policy_says says;
        uint8_t key[33];
        assert_int_equal(qr_hex_decode(cases[i].key, 66, key, 33), QR_OK);
        qr_err e =
            decide(p, qr_policy_client(p, cases[i].bot_asks ? 1 : 0), key, cases[i].kinds, &says);
        if (e != cases[i].e || strcmp(says.rule, cases[i].rule) != 0 ||
            says.kind != cases[i].kind) {
            fail_msg("case %zu: %s by \"%s\" for %s", i, qr_err_name(e), says.rule,
                     qr_kind_name(says.kind));
        }
        assert_int_equal(says.why[0] != 0, e != QR_OK);
    }
    qr_policy_free(p);
}

/* Random rules over 8 clients, 4 keys and all kinds, decided a second time from a plain table. */
#define N_CLIENTS 8
#define N_KEYS 4
struct plain_rule {
    int deny;
    unsigned clients, keys, kinds; /* masks; all bits for "*" */
};

static size_t
put_list(char *out, size_t cap, const char *name, unsigned mask, unsigned n,
         void (*one)(unsigned i, char *out, size_t cap))
{
    char word[80];
    size_t len = (size_t)snprintf(out, cap, ",\"%s\":[", name), first = 1;
    if (one && mask == (1u << n) - 1) {
        return len + (size_t)snprintf(out + len, cap - len, "\"*\"]");
    }
    for (unsigned i = 0; i < n; i++) {
        if (mask >> i & 1) {
            if (one) {
                one(i, word, sizeof word);
            } else {
                (void)snprintf(word, sizeof word, "%s", qr_kind_name((enum qr_kind)i));
            }
            len += (size_t)snprintf(out + len, cap - len, "%s\"%s\"", first ? "" : ",", word);
            first = 0;
        }
    }
    return len + (size_t)snprintf(out + len, cap - len, "]");
}

static void
client_word(unsigned i, char *out, size_t cap)
{
    (void)snprintf(out, cap, "c%u", i);
}

static void
key_word(unsigned i, char *out, size_t cap)
{
    (void)snprintf(out, cap, "02%064x", i + 1);
}

static void
test_random(void **state)
{
    struct stamper c[N_CLIENTS];
    struct qr_testrng rng;
    const unsigned rounds = getenv("QR_TEST_QUICK") ? 8 : 100;

    (void)state;
    qr_testrng_seed(&rng, "policies");
    for (size_t i = 0; i < N_CLIENTS; i++) {
        stamper_new(&c[i], QR_SCHEME_SECP256K1);
    }
    for (unsigned round = 0; round < rounds; round++) {
        struct plain_rule r[12];
        struct qr_policy *p = NULL;
        size_t n = qr_testrng_below(&rng, 12) + 1;
        size_t len = (size_t)snprintf(text, sizeof text,
                                      "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":"
                                      "\"" DOC_CLUSTER "\",\"serial\":1,\"peers\":{},"
                                      "\"requests\":{\"clients\":[");
        for (size_t i = 0; i < N_CLIENTS; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s{\"name\":\"c%zu\",\"scheme\":\"secp256k1\",\"key\":\"%s\"}",
                                    i ? "," : "", i, c[i].hex);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "],\"rules\":[");
        for (size_t i = 0; i < n; i++) {
            r[i].deny = qr_testrng_below(&rng, 4) == 0;
            r[i].clients = (unsigned)qr_testrng_below(&rng, (1u << N_CLIENTS) - 1) + 1;
            r[i].keys = (unsigned)qr_testrng_below(&rng, (1u << N_KEYS) - 1) + 1;
            r[i].kinds = (unsigned)qr_testrng_below(&rng, (1u << QR_KIND_COUNT) - 1) + 1;
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s{\"id\":\"%zu\",\"effect\":\"%s\"", i ? "," : "", i,
                                    r[i].deny ? "deny" : "allow");
            len += put_list(text + len, sizeof text - len, "clients", r[i].clients, N_CLIENTS,
                            client_word);
            len += put_list(text + len, sizeof text - len, "keys", r[i].keys, N_KEYS, key_word);
            len +=
                put_list(text + len, sizeof text - len, "kinds", r[i].kinds, QR_KIND_COUNT, NULL);
            len += (size_t)snprintf(text + len, sizeof text - len, "}");
        }
        (void)snprintf(text + len, sizeof text - len, "]}}");
        if (parse(&p) != QR_OK) {
            fail_msg("%s: %s", why, text);
        }
        for (unsigned ci = 0; ci < N_CLIENTS; ci++) {
            for (unsigned ki = 0; ki <= N_KEYS; ki++) { /* the last is a key no rule names */
                for (unsigned kinds = 1; kinds < 1u << QR_KIND_COUNT; kinds++) {
                    char hex[80];
                    uint8_t key[33];
                    static struct qr_policy_says says;
                    int want = 1;
                    key_word(ki, hex, sizeof hex);
                    assert_int_equal(qr_hex_decode(hex, 66, key, 33), QR_OK);
                    for (unsigned k = 0; k < QR_KIND_COUNT; k++) {
                        int allow = 0, deny = 0;
                        for (size_t i = 0; i < n; i++) {
                            int any_key = r[i].keys == (1u << N_KEYS) - 1;
                            int hit = (r[i].clients >> ci & 1) && (r[i].kinds >> k & 1) &&
                                      (any_key || (ki < N_KEYS && (r[i].keys >> ki & 1)));
                            allow |= hit && !r[i].deny;
                            deny |= hit && r[i].deny;
                        }
                        want &= !(kinds >> k & 1) || (allow && !deny);
                    }
                    qr_err e = decide(p, qr_policy_client(p, ci), key, kinds, &says);
                    if ((e == QR_OK) != want) {
                        fail_msg("round %u client %u key %u kinds %x: %s", round, ci, ki, kinds,
                                 qr_err_name(e));
                    }
                    if (says.rule[0]) { /* the rule that is named does what is said of it */
                        const struct plain_rule *named = &r[strtoul(says.rule, NULL, 10)];
                        assert_int_equal(named->deny, e != QR_OK);
                        assert_true((named->kinds >> says.kind & 1) && (named->clients >> ci & 1));
                    }
                }
            }
        }
        qr_policy_free(p);
    }
    for (size_t i = 0; i < N_CLIENTS; i++) {
        stamper_free(&c[i]);
    }
}

static void
test_check_stamp(void **state)
{
    struct qr_policy *p = NULL;
    const struct qr_client *c = NULL;
    char out[QR_STAMP_MAX];
    qr_view body = qr_view_str("{\"a\":1}");

    (void)state;
    good();
    assert_int_equal(parse(&p), QR_OK);
    qr_view h = stamper_stamp(&ops, body, out);
    assert_int_equal(qr_policy_check_stamp(p, h, body, &c, why, sizeof why), QR_OK);
    assert_string_equal(c->name, "ops");
    assert_int_equal(qr_policy_check_stamp(p, h, qr_view_str("{\"a\":2}"), &c, why, sizeof why),
                     QR_ERR_STAMP_INVALID);
    assert_string_equal(why, "the stamp of client \"ops\" is not over these bytes");
    assert_int_equal(qr_policy_check_stamp(p, qr_view_of("", 0), body, &c, why, sizeof why),
                     QR_ERR_STAMP_MISSING);
    assert_int_equal(qr_policy_check_stamp(p, qr_view_str("AAAA"), body, &c, why, sizeof why),
                     QR_ERR_STAMP_INVALID);
    h = stamper_stamp(&stranger, body, out);
    assert_int_equal(qr_policy_check_stamp(p, h, body, &c, why, sizeof why), QR_ERR_CLIENT_UNKNOWN);
    assert_string_equal(why, "the policy (serial 3) has no client with the stamp's key");
    h = stamper_stamp(&bot, body, out);
    assert_int_equal(qr_policy_check_stamp(p, h, body, &c, why, sizeof why), QR_OK);
    assert_string_equal(c->name, "bot");
    qr_policy_free(p);
}

static void
test_accept(void **state)
{
    static char roster_text[8192], admins[2048], mem[2 * QR_STAMP_MAX], first[4096];
    struct stamper who[2] = {ops, stranger};
    struct qr_roster *r = NULL;
    struct qr_policy *now = NULL, *next = NULL;
    qr_view st[2];
    int same = -1;

    (void)state;
    doc_admins(admins, sizeof admins, 2, who, 2);
    doc_roster(roster_text, sizeof roster_text, 1, 2, admins, "party");
    assert_int_equal(qr_roster_parse(qr_view_str(roster_text), &r, why, sizeof why), QR_OK);
#define ACCEPT(f, n)                                                                               \
    qr_policy_accept(f, next, r->cluster, &r->admins, qr_view_str(text), st, n, &same, why,        \
                     sizeof why)
    good();
    memcpy(first, text, sizeof first);
    assert_int_equal(parse(&next), QR_OK);
    doc_stamps(who, 2, qr_view_str(text), mem, st);
    assert_int_equal(ACCEPT(NULL, 0), QR_ERR_STAMP_MISSING);
    assert_int_equal(ACCEPT(NULL, 1), QR_ERR_ADMIN);
    assert_int_equal(ACCEPT(NULL, 2), QR_OK);
    assert_int_equal(same, 0);
    now = next;
    assert_int_equal(parse(&next), QR_OK);
    assert_int_equal(ACCEPT(now, 0), QR_OK);
    assert_int_equal(same, 1);
    qr_policy_free(next);

    static const struct {
        const char *from, *to;
        qr_err e;
    } cases[] = {
        {"true", "false", QR_ERR_SERIAL}, /* other bytes, serial 3 */
        {"\"serial\":3", "\"serial\":2", QR_ERR_SERIAL},
        {"\"serial\":3", "\"serial\":4", QR_OK},
        {"c1c1", "c2c2", QR_ERR_CLUSTER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(text, first, sizeof first);
        doc_replace(text, sizeof text, cases[i].from, cases[i].to);
        assert_int_equal(parse(&next), QR_OK);
        doc_stamps(who, 2, qr_view_str(text), mem, st);
        assert_int_equal(ACCEPT(now, 2), cases[i].e);
        qr_policy_free(next);
    }
    qr_policy_free(now);
    qr_roster_free(r);
}

/* As many clients and rules as there may be, found and decided; one more is refused. */
static void
test_full(void **state)
{
    struct qr_policy *p = NULL;
    struct stamper s;
    static struct stamper all[QR_CLIENTS_MAX];

    (void)state;
    for (size_t i = 0; i < QR_CLIENTS_MAX; i++) {
        stamper_new(&all[i], QR_SCHEME_SECP256K1);
    }
    stamper_new(&s, QR_SCHEME_SECP256K1);
    for (int over = 0; over < 3; over++) {
        size_t len = (size_t)snprintf(text, sizeof text,
                                      "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":"
                                      "\"" DOC_CLUSTER "\",\"serial\":1,\"peers\":{},"
                                      "\"requests\":{\"clients\":[");
        for (size_t i = 0; i < QR_CLIENTS_MAX + (over == 1); i++) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s{\"name\":\"c%zu\",\"scheme\":\"secp256k1\",\"key\":\"%s\"}",
                                    i ? "," : "", i, i < QR_CLIENTS_MAX ? all[i].hex : s.hex);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "],\"rules\":[");
        for (size_t i = 0; i < QR_RULES_MAX + (over == 2); i++) {
            len +=
                (size_t)snprintf(text + len, sizeof text - len,
                                 "%s{\"id\":\"r%zu\",\"effect\":\"allow\",\"clients\":[\"c%zu\"],"
                                 "\"keys\":[\"*\"],\"kinds\":[\"sha256\"]}",
                                 i ? "," : "", i, i % QR_CLIENTS_MAX);
        }
        (void)snprintf(text + len, sizeof text - len, "]}}");
        assert_int_equal(parse(&p), over ? QR_ERR_TOO_LARGE : QR_OK);
        if (!over) {
            for (size_t i = 0; i < QR_CLIENTS_MAX; i++) {
                const struct qr_client *c = NULL;
                static struct qr_policy_says says;
                char want[16];
                uint8_t key[33] = {2};
                assert_int_equal(qr_policy_find_client(p, &all[i].pub, &c), QR_OK);
                assert_int_equal(c->index, i);
                (void)snprintf(want, sizeof want, "r%zu", i);
                assert_int_equal(decide(p, c, key, QR_KIND_BIT(QR_KIND_SHA256), &says), QR_OK);
                assert_string_equal(says.rule, want);
            }
            qr_policy_free(p);
        }
    }
    for (size_t i = 0; i < QR_CLIENTS_MAX; i++) {
        stamper_free(&all[i]);
    }
    stamper_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_decide),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_check_stamp), cmocka_unit_test(test_accept),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
