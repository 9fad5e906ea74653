/*
 * The raw-payload form: bodies as published clients send them (recorded from @turnkey/viem 0.14 with
 * viem 2.40 and @turnkey/ethers 1.3 with ethers 6.17), what each combination of encoding and hash
 * means, and every way to be refused.
 */
#include "daemon/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/keccak.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/vectors.h"

#include <stdio.h>

#define ORG "00112233445566778899aabbccddeeff"
#define ADDRESS "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf" /* of the key 1 */
#define KEY "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define HELLO "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"

static char why[256];
static struct qr_request req;

static int
setup(void **state)
{
    struct qr_rng rng = qr_rng_system();
    (void)state;
    return qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    qr_request_clear(&req);
    return 0;
}

static qr_err
parse(const char *body)
{
    why[0] = '\0';
    return qr_request_parse(qr_view_str(body), &req, why, sizeof why);
}

static void
expect_raw(enum qr_kind kind, const char *body)
{
    uint8_t id[32];
    char hex[65];

    if (parse(body) != QR_OK) {
        fail_msg("%s\n%s", why, body);
    }
    assert_true(req.form == QR_FORM_RAW && req.depth == 0);
    assert_int_equal(req.kinds, QR_KIND_BIT(kind));
    assert_int_equal(req.items[0].kind, kind);
    assert_true(req.window.expires_ms == req.window.issued_ms + 60000);
    qr_sha256(qr_view_str(body), id);
    qr_hex_encode(qr_view_of(id, 32), hex);
    assert_string_equal(req.id, hex);
    assert_int_equal(qr_request_hash(qr_view_str(body), id), QR_OK);
    assert_memory_equal(id, req.hash, 32);
}

static void
test_recorded(void **state)
{
    static const char message[] =
        "{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\",\"organizationId\":\"" ORG
        "\",\"parameters\":{\"signWith\":\"" ADDRESS "\",\"payload\":\"0x" HELLO
        "\",\"encoding\":\"PAYLOAD_ENCODING_HEXADECIMAL\",\"hashFunction\":\"HASH_FUNCTION_NO_OP\"}"
        ",\"timestampMs\":\"1795309027451\"}";
    static const char transaction[] =
        "{\"type\":\"ACTIVITY_TYPE_SIGN_TRANSACTION_V2\",\"organizationId\":\"" ORG
        "\",\"parameters\":{\"signWith\":\"" ADDRESS "\",\"type\":\"TRANSACTION_TYPE_ETHEREUM\","
        "\"unsignedTransaction\":"
        "\"02df0101010a825208947e5f4552091a69125d5dfcb7b8c2659029395bdf0580c0\"},"
        "\"timestampMs\":\"1795309027551\"}";
    /* typed data by ethers: chain ids in hex */
    static const char typed[] =
        "{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\",\"organizationId\":\"" ORG
        "\",\"parameters\":{\"signWith\":\"" ADDRESS "\",\"payload\":\"{\\\"types\\\":{"
        "\\\"Person\\\":[{\\\"name\\\":\\\"name\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":"
        "\\\"wallet\\\",\\\"type\\\":\\\"address\\\"}],\\\"Mail\\\":[{\\\"name\\\":\\\"from\\\","
        "\\\"type\\\":\\\"Person\\\"},{\\\"name\\\":\\\"to\\\",\\\"type\\\":\\\"Person\\\"},{"
        "\\\"name\\\":\\\"contents\\\",\\\"type\\\":\\\"string\\\"}],\\\"EIP712Domain\\\":[{"
        "\\\"name\\\":\\\"name\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"version\\\","
        "\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"chainId\\\",\\\"type\\\":\\\"uint256\\\"},"
        "{\\\"name\\\":\\\"verifyingContract\\\",\\\"type\\\":\\\"address\\\"}]},\\\"domain\\\":{"
        "\\\"name\\\":\\\"Ether Mail\\\",\\\"version\\\":\\\"1\\\",\\\"chainId\\\":\\\"0x1\\\","
        "\\\"verifyingContract\\\":\\\"0xcccccccccccccccccccccccccccccccccccccccc\\\"},"
        "\\\"primaryType\\\":\\\"Mail\\\",\\\"message\\\":{\\\"from\\\":{\\\"name\\\":\\\"Cow\\\","
        "\\\"wallet\\\":\\\"0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826\\\"},\\\"to\\\":{"
        "\\\"name\\\":\\\"Bob\\\",\\\"wallet\\\":\\\"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
        "\\\"},\\\"contents\\\":\\\"Hello, Bob!\\\"}}\",\"encoding\":\"PAYLOAD_ENCODING_EIP712\","
        "\"hashFunction\":\"HASH_FUNCTION_NO_OP\"},\"timestampMs\":\"1795309027591\"}";
    uint8_t address[20], pk[33], d[32];

    (void)state;
    hex_bytes(KEY, pk, 33);
    assert_int_equal(qr_eth_address(pk, address), QR_OK);
    expect_hex(address, 20, "7e5f4552091a69125d5dfcb7b8c2659029395bdf");

    expect_raw(QR_KIND_DIGEST, message);
    assert_true(req.by_address && memcmp(req.address, address, 20) == 0 && req.key[0] == 0);
    assert_int_equal(req.cluster_len, 16);
    expect_hex(req.cluster, 16, ORG);
    assert_true(req.window.issued_ms == 1795309027451);
    expect_hex(req.items[0].digest, 32, HELLO);
    assert_int_equal(req.items[0].preimage.len, 0);

    expect_raw(QR_KIND_ETH_TX, transaction);
    assert_true(req.items[0].eth.chain_id == 1 && req.items[0].eth.value[31] == 5);
    qr_keccak256(req.items[0].preimage, d);
    assert_memory_equal(d, req.items[0].digest, 32);

    expect_raw(QR_KIND_EIP712, typed);
    expect_hex(req.items[0].digest, 32,
               "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    assert_string_equal(req.items[0].typed.primary_type, "Mail");
    assert_int_equal(req.items[0].preimage.p[0], '{');
}

/* A body with one part replaced; NULL: as it is. */
static const char *
with(const char *member, const char *text)
{
    static const char *const parts[][2] = {
        {"type", "\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\""},
        {"timestampMs", "\"1000000\""},
        {"organizationId", "\"0011223344556677\""},
        {"signWith", "\"" KEY "\""},
        {"payload", "\"616263\""},
        {"encoding", "\"PAYLOAD_ENCODING_HEXADECIMAL\""},
        {"hashFunction", "\"HASH_FUNCTION_SHA256\""},
    };
    static char body[QR_BODY_MAX + 512];
    size_t n = 0;
    int known = 0, first = 1;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int it = member && strcmp(parts[i][0], member) == 0;
        const char *v = it ? text : parts[i][1];
        known |= it;
        if (i == 0 || i == 3) {
            n += (size_t)snprintf(body + n, sizeof body - n, i ? ",\"parameters\":{" : "{");
            first = 1;
        }
        if (v) {
            n += (size_t)snprintf(body + n, sizeof body - n, "%s\"%s\":%s", first ? "" : ",",
                                  parts[i][0], v);
            first = 0;
        }
    }
    n += (size_t)snprintf(body + n, sizeof body - n, "}");
    if (member && !known) {
        n += (size_t)snprintf(body + n, sizeof body - n, ",\"%s\":%s", member, text);
    }
    (void)snprintf(body + n, sizeof body - n, "}");
    return body;
}

static void
test_meanings(void **state)
{
    static const struct {
        const char *encoding, *hash, *payload;
        enum qr_kind kind;
    } rows[] = {
        {"HEXADECIMAL", "SHA256", "616263", QR_KIND_SHA256},
        {"HEXADECIMAL", "SHA256", "0x616263", QR_KIND_SHA256},
        {"HEXADECIMAL", "KECCAK256", "616263", QR_KIND_KECCAK256},
        {"TEXT_UTF8", "SHA256", "abc", QR_KIND_SHA256},
        {"TEXT_UTF8", "KECCAK256", "abc", QR_KIND_KECCAK256},
    };
    static char body[1024];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOADS\",\"timestampMs\":\"1\","
                       "\"organizationId\":\"0011223344556677\",\"parameters\":{\"signWith\":\"" KEY
                       "\",\"payloads\":[\"%s\",\"\"],\"encoding\":\"PAYLOAD_ENCODING_%s\","
                       "\"hashFunction\":\"HASH_FUNCTION_%s\"}}",
                       rows[i].payload, rows[i].encoding, rows[i].hash);
        expect_raw(rows[i].kind, body);
        assert_int_equal(req.n_items, 2);
        assert_int_equal(req.items[0].preimage.len, 3);
        assert_memory_equal(req.items[0].preimage.p, "abc", 3);
        expect_hex(req.items[0].digest, 32,
                   rows[i].kind == QR_KIND_SHA256
                       ? "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
                       : "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
        assert_int_equal(req.items[1].preimage.len, 0);
        expect_hex(req.key, 33, KEY);
        assert_int_equal(req.by_address, 0);
    }
}

static void
test_refused(void **state)
{
    static const struct {
        const char *member, *text;
        qr_err e;
        const char *why;
    } bad[] = {
        {"type", "\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD\"", QR_ERR_MALFORMED,
         "type \"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD\" is not supported"},
        {"type", NULL, QR_ERR_MALFORMED, "\"v\" must be the integer 1"},
        {"v", "1", QR_ERR_UNKNOWN_FIELD, NULL},
        {"timestampMs", "1000000", QR_ERR_MALFORMED, "timestampMs: must be text"},
        {"timestampMs", "\"01\"", QR_ERR_MALFORMED,
         "timestampMs must be milliseconds since 1970 in 1 to 15 decimal digits"},
        {"timestampMs", "\"0\"", QR_ERR_MALFORMED, NULL},
        {"timestampMs", "\"1e3\"", QR_ERR_MALFORMED, NULL},
        {"timestampMs", "\"-1\"", QR_ERR_MALFORMED, NULL},
        {"timestampMs", "\"1000000000000000\"", QR_ERR_MALFORMED, NULL},
        {"organizationId", "\"00112233445566\"", QR_ERR_MALFORMED,
         "organizationId must be the first 16 to 64 lower-case hex digits of the cluster, an even "
         "number of them"},
        {"organizationId", "\"00112233445566778\"", QR_ERR_MALFORMED, NULL},
        {"organizationId", "\"001122334455667F\"", QR_ERR_MALFORMED, NULL},
        {"organizationId", "\"e16b8a6a-6f3c-4b9a-8c4c-0a2b1c3d4e5f\"", QR_ERR_MALFORMED, NULL},
        {"organizationId", NULL, QR_ERR_MALFORMED, "member \"organizationId\" is missing"},
        {"signWith", "\"0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf\"", QR_ERR_MALFORMED,
         "parameters: signWith must be a compressed public key (66 hex digits) or an Ethereum "
         "address (0x and 40 hex digits, with a right checksum if of both cases)"},
        {"signWith", "\"0x7e5f\"", QR_ERR_MALFORMED, NULL},
        {"signWith", "\"a-name\"", QR_ERR_MALFORMED, NULL},
        {"signWith", "\"0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"",
         QR_ERR_MALFORMED, NULL},
        {"signWith", "\"0279BE667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"",
         QR_ERR_MALFORMED, NULL},
        {"payload", "\"0x616\"", QR_ERR_MALFORMED,
         "parameters: payload must be lower-case hex with an even number of digits"},
        {"payload", "\"0X61\"", QR_ERR_MALFORMED, NULL},
        {"payload", "\"AA\"", QR_ERR_MALFORMED, NULL},
        {"payload", "\"0x0x61\"", QR_ERR_MALFORMED, NULL},
        {"payload", "[\"61\"]", QR_ERR_MALFORMED, "parameters.payload: must be text"},
        {"payload", NULL, QR_ERR_MALFORMED, "parameters: member \"payload\" is missing"},
        {"payloads", "[\"00\"]", QR_ERR_UNKNOWN_FIELD, "unknown member \"payloads\""},
        {"encoding", "\"PAYLOAD_ENCODING_EIP712\"", QR_ERR_MALFORMED,
         "parameters: encoding \"PAYLOAD_ENCODING_EIP712\" with hashFunction "
         "\"HASH_FUNCTION_SHA256\" is not supported"},
        {"encoding", "\"PAYLOAD_ENCODING_EIP7702_AUTHORIZATION\"", QR_ERR_MALFORMED, NULL},
        {"encoding", "\"payload_encoding_hexadecimal\"", QR_ERR_MALFORMED, NULL},
        {"hashFunction", "\"HASH_FUNCTION_NO_OP\"", QR_ERR_MALFORMED,
         "parameters: payload has 3 bytes; HASH_FUNCTION_NO_OP signs a digest of 32"},
        {"hashFunction", "\"HASH_FUNCTION_NOT_APPLICABLE\"", QR_ERR_MALFORMED, NULL},
        {"generateAppProofs", "true", QR_ERR_UNKNOWN_FIELD, "unknown member \"generateAppProofs\""},
    };
    static const char transactions[][2][160] = {
        {"\"type\":\"TRANSACTION_TYPE_SOLANA\",\"unsignedTransaction\":\"00\"",
         "parameters: type \"TRANSACTION_TYPE_SOLANA\" is not supported, only "
         "TRANSACTION_TYPE_ETHEREUM"},
        {"\"type\":\"TRANSACTION_TYPE_ETHEREUM\",\"unsignedTransaction\":\"03c0\"",
         "parameters: EIP-4844 blob transactions (type 3) are not supported"},
        {"\"type\":\"TRANSACTION_TYPE_ETHEREUM\",\"unsignedTransaction\":\"04c0\"",
         "parameters: EIP-7702 set-code transactions (type 4) are not supported"},
        {"\"type\":\"TRANSACTION_TYPE_ETHEREUM\",\"unsignedTransaction\":\"\"",
         "parameters: transaction is empty"},
        {"\"type\":\"TRANSACTION_TYPE_ETHEREUM\",\"unsignedTransaction\":\"0\"",
         "parameters: unsignedTransaction must be lower-case hex with an even number of digits"},
    };
    static char big[QR_BODY_MAX + 512], text[QR_BODY_MAX];

    (void)state;
    expect_raw(QR_KIND_SHA256, with(NULL, NULL));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = parse(with(bad[i].member, bad[i].text));
        if (e != bad[i].e || (bad[i].why && strcmp(why, bad[i].why) != 0) || !why[0]) {
            fail_msg("%s = %s: %s, \"%s\"", bad[i].member, bad[i].text ? bad[i].text : "(absent)",
                     qr_err_name(e), why);
        }
    }
    for (size_t i = 0; i < sizeof transactions / sizeof transactions[0]; i++) {
        (void)snprintf(big, sizeof big,
                       "{\"type\":\"ACTIVITY_TYPE_SIGN_TRANSACTION_V2\",\"timestampMs\":\"1\","
                       "\"organizationId\":\"0011223344556677\",\"parameters\":{\"signWith\":\"" KEY
                       "\",%s}}",
                       transactions[i][0]);
        assert_int_not_equal(parse(big), QR_OK);
        assert_string_equal(why, transactions[i][1]);
    }
    /* text above the limit of a preimage; the largest text */
    memset(text, 'a', sizeof text);
    for (size_t n = QR_PREIMAGE_MAX; n <= QR_PREIMAGE_MAX + 1; n++) {
        (void)snprintf(big, sizeof big,
                       "{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\",\"timestampMs\":\"1\","
                       "\"organizationId\":\"0011223344556677\",\"parameters\":{\"signWith\":\"" KEY
                       "\",\"payload\":\"%.*s\",\"encoding\":\"PAYLOAD_ENCODING_TEXT_UTF8\","
                       "\"hashFunction\":\"HASH_FUNCTION_SHA256\"}}",
                       (int)n, text);
        assert_int_equal(parse(big), n > QR_PREIMAGE_MAX ? QR_ERR_TOO_LARGE : QR_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_meanings),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
