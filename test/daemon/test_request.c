/*
 * Bodies of POST /v1/sign: what is derived from them, and a refusal with its sentence for each way
 * to be wrong. Digests of preimages are computed a second time here through OpenSSL's one-shot
 * calls; the Ethereum ones are those of test_preimage_eth.c.
 */
#include "daemon/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/window.h"
#include "protocol/base/hash.h"
#include "test/common/vectors.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#define CLUSTER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define ID "0123456789abcdef"
#define DIGEST "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define ETH                                                                                        \
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"

static char why[256];
static struct qr_request req;

static qr_err
parse(const char *body)
{
    why[0] = 0;
    return qr_request_parse(qr_view_str(body), &req, why, sizeof why);
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static void
test_all_kinds(void **state)
{
    static const char body[] =
        "{\"v\":1,\"cluster\":\"" CLUSTER "\",\"key\":\"" KEY "\",\"id\":\"" ID "\","
        "\"issued_ms\":1795251934338,\"expires_ms\":1795251994338,\"path\":[0,5,2147483647],"
        "\"items\":[{\"kind\":\"eth_tx\",\"preimage\":\"" ETH "\"},"
        "{\"kind\":\"eip191\",\"preimage\":\"68656c6c6f\"},"
        "{\"preimage\":\"68656c6c6f\",\"kind\":\"sha256\"},"
        "{\"kind\":\"sha256d\",\"preimage\":\"\"},"
        "{\"kind\":\"digest\",\"digest\":\"" DIGEST "\"}]}";
    uint8_t d[32], framed[2048];
    size_t n = strlen(body);

    (void)state;
    assert_int_equal(parse(body), QR_OK);
    expect_hex(req.cluster, 32, CLUSTER);
    expect_hex(req.key, 33, KEY);
    assert_string_equal(req.id, ID);
    assert_true(req.window.issued_ms == 1795251934338 && req.window.expires_ms == 1795251994338);
    assert_true(req.depth == 3 && req.path[0] == 0 && req.path[1] == 5 &&
                req.path[2] == 2147483647);
    assert_int_equal(req.n_items, 5);
    assert_int_equal(req.kinds, QR_KIND_BIT(QR_KIND_ETH_TX) | QR_KIND_BIT(QR_KIND_EIP191) |
                                    QR_KIND_BIT(QR_KIND_SHA256) | QR_KIND_BIT(QR_KIND_SHA256D) |
                                    QR_KIND_BIT(QR_KIND_DIGEST));
    expect_hex(req.items[0].digest, 32,
               "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    assert_true(req.items[0].eth.chain_id == 1 && req.items[0].eth.has_to);
    assert_int_equal(req.items[0].eth.data.len, 0);
    assert_int_equal(req.items[0].preimage.len, sizeof ETH / 2);
    expect_hex(req.items[1].digest, 32,
               "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750");
    SHA256((const uint8_t *)"hello", 5, d);
    assert_memory_equal(req.items[2].digest, d, 32);
    SHA256((const uint8_t *)"", 0, d);
    SHA256(d, 32, d);
    assert_memory_equal(req.items[3].digest, d, 32);
    expect_hex(req.items[4].digest, 32, DIGEST);

    /* the request hash, as clients compute it */
    memcpy(framed, "quorate/sign-request/v1", 23);
    qr_put32(framed + 23, (uint32_t)n);
    memcpy(framed + 27, body, n);
    SHA256(framed, 27 + n, d);
    assert_memory_equal(req.hash, d, 32);
    memset(req.hash, 0, 32);
    assert_int_equal(qr_request_hash(qr_view_str(body), req.hash), QR_OK);
    assert_memory_equal(req.hash, d, 32);
}

/* A body that reads, with one member replaced (NULL: left out) or added. */
static const char *
with(const char *member, const char *value)
{
    static const char *const members[][2] = {
        {"v", "1"},
        {"cluster", "\"" CLUSTER "\""},
        {"key", "\"" KEY "\""},
        {"id", "\"" ID "\""},
        {"issued_ms", "1000000"},
        {"expires_ms", "1060000"},
        {"path", "[]"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"00\"}]"},
    };
    static char body[70000];
    size_t len = 1;
    int known = 0;

    body[0] = '{';
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        int it = strcmp(members[i][0], member) == 0;
        const char *v = it ? value : members[i][1];
        known |= it;
        if (v) {
            len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\":%s",
                                    len > 1 ? "," : "", members[i][0], v);
        }
    }
    if (!known && value) {
        len += (size_t)snprintf(body + len, sizeof body - len, ",\"%s\":%s", member, value);
    }
    (void)snprintf(body + len, sizeof body - len, "}");
    return body;
}

static void
test_refused(void **state)
{
    static const struct {
        const char *member, *value;
        qr_err e;
        const char *why;
    } bad[] = {
        {"v", "2", QR_ERR_VERSION, "version 2 is not supported, only 1"},
        {"v", "\"1\"", QR_ERR_MALFORMED, "\"v\" must be the integer 1"},
        {"v", NULL, QR_ERR_MALFORMED, "\"v\" must be the integer 1"},
        {"type", "\"quorate/command\"", QR_ERR_UNKNOWN_FIELD, "unknown member \"type\""},
        {"cluster", NULL, QR_ERR_MALFORMED, "member \"cluster\" is missing"},
        {"cluster", "\"00\"", QR_ERR_MALFORMED,
         "cluster: must have 64 hex digits, has 2 characters"},
        {"key", "\"0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"",
         QR_ERR_MALFORMED, "key must be a compressed point (66 hex digits, 02 or 03 first)"},
        {"key", "\"0279BE667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"",
         QR_ERR_MALFORMED, "key: must be lower-case hex"},
        {"id", "\"0123456789abcde\"", QR_ERR_MALFORMED, "id: 15 bytes, at least 16 are needed"},
        {"id", "\"01234567890123456789012345678901234567890123456789012345678901234\"",
         QR_ERR_TOO_LARGE, "id: 65 bytes, at most 64 are allowed"},
        {"id", "\"0123456789abcde.\"", QR_ERR_MALFORMED,
         "id: \"0123456789abcde.\" may hold only letters, digits, '_' and '-'"},
        {"issued_ms", "1.5", QR_ERR_MALFORMED, NULL},
        {"issued_ms", "-1", QR_ERR_MALFORMED, NULL},
        {"issued_ms", "1060000", QR_ERR_MALFORMED, "expires_ms must be after issued_ms"},
        {"expires_ms", "999999", QR_ERR_MALFORMED, "expires_ms must be after issued_ms"},
        {"expires_ms", "87400001", QR_ERR_MALFORMED,
         "expires_ms is 86400001 ms after issued_ms; at most 86400000 are allowed"},
        {"path", "[1,2,3,4,5,6,7,8,9]", QR_ERR_TOO_LARGE, "path: 9 elements; 0 to 8 are allowed"},
        {"path", "[0,2147483648]", QR_ERR_HARDENED,
         "path[1]: 2147483648 is a hardened index; a shared key has none"},
        {"path", "[4294967296]", QR_ERR_TOO_LARGE, NULL},
        {"path", "[\"0\"]", QR_ERR_MALFORMED, "path[0]: must be an integer"},
        {"path", "{}", QR_ERR_MALFORMED, "path: must be an array"},
        {"items", "[]", QR_ERR_MALFORMED, "items: 0 elements; 1 to 64 are allowed"},
        {"items", "[[]]", QR_ERR_MALFORMED, "items[0]: must be an object"},
        {"items", "[{}]", QR_ERR_MALFORMED, "items[0]: member \"kind\" is missing"},
        {"items", "[{\"kind\":\"foo\",\"preimage\":\"00\"}]", QR_ERR_MALFORMED,
         "items[0]: unknown kind \"foo\""},
        {"items", "[{\"kind\":\"DIGEST\",\"digest\":\"" DIGEST "\"}]", QR_ERR_MALFORMED,
         "items[0]: unknown kind \"DIGEST\""},
        {"items", "[{\"kind\":\"sha256\"}]", QR_ERR_MALFORMED,
         "items[0]: kind \"sha256\" takes \"preimage\" and nothing else"},
        {"items", "[{\"kind\":\"sha256\",\"digest\":\"" DIGEST "\"}]", QR_ERR_MALFORMED,
         "items[0]: kind \"sha256\" takes \"preimage\" and nothing else"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"00\",\"digest\":\"" DIGEST "\"}]",
         QR_ERR_MALFORMED, "items[0]: kind \"sha256\" takes \"preimage\" and nothing else"},
        {"items", "[{\"kind\":\"digest\",\"preimage\":\"00\"}]", QR_ERR_MALFORMED,
         "items[0]: kind \"digest\" takes \"digest\" and nothing else"},
        {"items", "[{\"kind\":\"digest\",\"digest\":\"00\"}]", QR_ERR_MALFORMED,
         "items[0].digest: must have 64 hex digits, has 2 characters"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"000\"}]", QR_ERR_MALFORMED,
         "items[0]: preimage must be lower-case hex with an even number of digits"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"0x00\"}]", QR_ERR_MALFORMED,
         "items[0]: preimage must be lower-case hex with an even number of digits"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"AA\"}]", QR_ERR_MALFORMED,
         "items[0]: preimage must be lower-case hex with an even number of digits"},
        {"items",
         "[{\"kind\":\"sha256\",\"preimage\":\"00\"},{\"kind\":\"eth_tx\",\"preimage\":\"03\"}]",
         QR_ERR_PREIMAGE, "items[1]: EIP-4844 blob transactions (type 3) are not supported"},
        {"items", "[{\"kind\":\"eth_tx\",\"preimage\":\"\"}]", QR_ERR_PREIMAGE,
         "items[0]: transaction is empty"},
        {"items", "[{\"kind\":\"sha256\",\"preimage\":\"00\",\"note\":1}]", QR_ERR_UNKNOWN_FIELD,
         "items[0]: unknown member \"note\""},
        {"note", "1", QR_ERR_UNKNOWN_FIELD, "unknown member \"note\""},
        {"v", "1,\"v\":1", QR_ERR_MALFORMED, NULL},
    };

    (void)state;
    assert_int_equal(parse(with("", NULL)), QR_OK);
    assert_int_equal(req.n_items, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = parse(with(bad[i].member, bad[i].value));
        if (e != bad[i].e || (bad[i].why && strcmp(why, bad[i].why) != 0) || !why[0]) {
            fail_msg("%s = %s: %s, \"%s\"", bad[i].member, bad[i].value ? bad[i].value : "(absent)",
                     qr_err_name(e), why);
        }
    }
    assert_int_equal(parse(""), QR_ERR_MALFORMED);
    assert_int_equal(parse("[]"), QR_ERR_MALFORMED);
    assert_int_equal(qr_request_parse(qr_view_str("{"), &req, NULL, 0), QR_ERR_MALFORMED);
}

static void
test_limits(void **state)
{
    static char items[70000], big[QR_BODY_MAX + 2];
    size_t len = 1;

    (void)state;
    items[0] = '[';
    for (unsigned i = 0; i < QR_ITEMS_MAX; i++) {
        len += (size_t)snprintf(items + len, sizeof items - len,
                                "%s{\"kind\":\"sha256\",\"preimage\":\"%02x\"}", i ? "," : "", i);
    }
    memcpy(items + len, "]", 2);
    assert_int_equal(parse(with("items", items)), QR_OK);
    assert_int_equal(req.n_items, QR_ITEMS_MAX);
    for (unsigned i = 0; i < QR_ITEMS_MAX; i++) {
        uint8_t b = (uint8_t)i, d[32];
        SHA256(&b, 1, d);
        assert_memory_equal(req.items[i].digest, d, 32);
    }
    (void)snprintf(items + len, sizeof items - len, ",{\"kind\":\"sha256\",\"preimage\":\"00\"}]");
    assert_int_equal(parse(with("items", items)), QR_ERR_TOO_LARGE);

    /* The largest preimage whose body fits, and a body above the limit. */
    len = (size_t)snprintf(items, sizeof items, "[{\"kind\":\"sha256\",\"preimage\":\"");
    size_t digits = 2 * (QR_PREIMAGE_MAX - 256);
    memset(items + len, '0', digits);
    memcpy(items + len + digits, "\"}]", 4);
    assert_int_equal(parse(with("items", items)), QR_OK);
    memset(big, ' ', sizeof big - 1);
    memcpy(big, with("", NULL), strlen(with("", NULL)));
    assert_int_equal(qr_request_parse(qr_view_of(big, QR_BODY_MAX), &req, why, sizeof why), QR_OK);
    assert_int_equal(qr_request_parse(qr_view_of(big, QR_BODY_MAX + 1), &req, why, sizeof why),
                     QR_ERR_TOO_LARGE);
    assert_string_equal(why, "body has 65537 bytes, at most 65536 are allowed");
    /* too many values, wherever they stand */
    len = 1;
    for (unsigned i = 0; i < 1000; i++) {
        len += (size_t)snprintf(items + len, sizeof items - len, "%s0", i ? "," : "");
    }
    items[0] = '[';
    memcpy(items + len, "]", 2);
    assert_int_equal(parse(with("path", items)), QR_ERR_TOO_LARGE);
}

/* No byte of a good body can be changed or removed without a change of meaning or a refusal. */
static void
test_every_byte(void **state)
{
    static char body[2048];
    uint8_t hash[32];
    const char *good = with("items", "[{\"kind\":\"eth_tx\",\"preimage\":\"" ETH "\"}]");
    size_t n = strlen(good), ok = 0;

    (void)state;
    assert_int_equal(parse(good), QR_OK);
    memcpy(hash, req.hash, 32);
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(body, good, n);
            body[i] = (char)(body[i] ^ (1 << bit));
            if (qr_request_parse(qr_view_of(body, n), &req, why, sizeof why) == QR_OK) {
                assert_memory_not_equal(req.hash, hash, 32);
                ok++;
            }
        }
        memcpy(body, good, i);
        assert_int_not_equal(qr_request_parse(qr_view_of(body, i), &req, why, sizeof why), QR_OK);
    }
    assert_true(ok > 0); /* digits of times, keys and preimages */
}

static void
test_window(void **state)
{
    const struct qr_window w = {1000000, 1060000};
    static const struct {
        uint64_t now, start;
        qr_err e;
        const char *why;
    } cases[] = {
        {1000000, 0, QR_OK, ""},
        {1059999, 1000000, QR_OK, ""},
        {1089999, 0, QR_OK, ""}, /* expiry plus skew */
        {1090000, 0, QR_ERR_EXPIRED, "expired 30000 ms ago by this party's clock"},
        {970000, 0, QR_OK, ""},
        {969999, 0, QR_ERR_NOT_YET_VALID,
         "issued 30001 ms in the future by this party's clock; 30000 are tolerated"},
        {1000001, 1000001, QR_ERR_EXPIRED,
         "issued 1 ms before this party started; issue a new request"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        why[0] = 0;
        assert_int_equal(qr_window_check(&w, cases[i].now, cases[i].start, why, sizeof why),
                         cases[i].e);
        assert_string_equal(why, cases[i].why);
    }
    assert_int_equal(qr_window_forget_ms(&w), 1090000);
    const struct qr_window end = {UINT64_MAX - 10, UINT64_MAX - 1};
    assert_true(qr_window_forget_ms(&end) == UINT64_MAX);
    assert_int_equal(qr_window_check(&end, 0, 0, NULL, 0), QR_ERR_NOT_YET_VALID);
}

static void
test_kinds(void **state)
{
    enum qr_kind k;

    (void)state;
    for (int i = 0; i < QR_KIND_COUNT; i++) {
        assert_int_equal(qr_kind_parse(qr_view_str(qr_kind_name((enum qr_kind)i)), &k), QR_OK);
        assert_int_equal(k, i);
    }
    assert_string_equal(qr_kind_name(QR_KIND_COUNT), "unknown");
    assert_int_equal(qr_kind_parse(qr_view_str("*"), &k), QR_ERR_MALFORMED);
    assert_int_equal(qr_kind_parse(qr_view_str("sha25"), &k), QR_ERR_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_window),    cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
