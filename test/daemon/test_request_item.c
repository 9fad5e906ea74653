/*
 * Items of the kinds whose preimages are documents: typed data, and Bitcoin inputs that share a
 * transaction. When a fee counts; what may not be mixed.
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
#include "test/common/vectors.h"

#include <stdio.h>
#include <time.h>

#define HEAD                                                                                       \
    "{\"v\":1,\"cluster\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","   \
    "\"key\":\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\","              \
    "\"id\":\"0123456789abcdef\",\"issued_ms\":1000000,\"expires_ms\":1060000,\"path\":[],"        \
    "\"items\":["
/* BIP143's first example: a P2PK input and a P2WPKH one. */
#define MIXED                                                                                      \
    "\"preimage\":\"0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f000" \
    "0000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ff"  \
    "ffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d0000000"  \
    "01976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000\",\"prevouts\":[{\"sat\":"      \
    "625000000,\"script\":\"2103c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432"  \
    "ac\"},{\"sat\":600000000,\"script\":\"00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1\"}]"
#define MIXED_DIGEST "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"
/* Two inputs, both P2WPKH. */
#define H64 "6464646464646464646464646464646464646464646464646464646464646464"
#define P2WPKH "00148280b37df378db99f66f85c95a783a76ac7a6d59"
#define BOTH                                                                                       \
    "\"preimage\":\"0200000002" H64 "0000000000ffffffff" H64                                       \
    "0100000000ffffffff01e803000000000000"                                                         \
    "16" P2WPKH "00000000\",\"prevouts\":[{\"sat\":1000,\"script\":\"" P2WPKH                      \
    "\"},{\"sat\":500,\"script\":\"" P2WPKH "\"}]"

#define SINGLE                                                                                     \
    "\"preimage\":\"0200000001" H64 "0000000000ffffffff01e80300000000000016" P2WPKH                \
    "00000000\",\"prevouts\":[{\"sat\":1100,\"script\":\"" P2WPKH "\"}]"

static char why[256];
static struct qr_request req;

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    qr_request_clear(&req);
    return 0;
}

static qr_err
parse(const char *items)
{
    static char body[QR_BODY_MAX + 2];
    int n = snprintf(body, sizeof body, HEAD "%s]}", items);
    assert_true(n > 0 && (size_t)n < sizeof body);
    why[0] = '\0';
    return qr_request_parse(qr_view_of(body, (size_t)n), &req, why, sizeof why);
}

static void
test_btc(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"kind\":\"btc_bip143\",\"input\":1," MIXED "}"), QR_OK);
    expect_hex(req.items[0].digest, 32, MIXED_DIGEST);
    assert_true(req.items[0].btc.spent_sat == 1225000000 && req.items[0].btc.first == 0);
    assert_int_equal(req.items[0].btc.fee_bound, 0); /* the other input's amount is a claim */
    assert_int_equal(req.kinds, QR_KIND_BIT(QR_KIND_BTC_BIP143));
    /* the views are ours and stay */
    const struct qr_btc *t = &req.items[0].btc;
    assert_true(t->tx.p >= req.mem && t->tx.p + t->tx.len <= req.mem + req.mem_cap);
    assert_true(t->own_script.p >= req.mem && t->own_script.p < req.mem + req.mem_cap);
    assert_int_equal(t->own_script.len, 22);

    /* one transaction, both inputs: still each signature binds one amount, so no fee is known */
    assert_int_equal(parse("{\"kind\":\"btc_bip143\",\"input\":1," BOTH "},"
                           "{\"kind\":\"sha256\",\"preimage\":\"\"},"
                           "{\"kind\":\"btc_bip143\",\"input\":0,\"of\":0}"),
                     QR_OK);
    assert_true(!req.items[0].btc.fee_bound && !req.items[2].btc.fee_bound);
    assert_true(req.items[2].btc.first == 0 && req.items[2].btc.input == 0);
    assert_true(req.items[2].btc.own_sat == 1000 && req.items[0].btc.own_sat == 500);
    assert_memory_not_equal(req.items[0].digest, req.items[2].digest, 32);
    /* one of two: no; `of` an item that is `of` itself: the first one's */
    assert_int_equal(parse("{\"kind\":\"btc_bip143\",\"input\":1," BOTH "}"), QR_OK);
    assert_int_equal(req.items[0].btc.fee_bound, 0);
    /* two that each bring the transaction are apart: their amounts need not agree */
    assert_int_equal(parse("{\"kind\":\"btc_bip143\",\"input\":1," BOTH "},"
                           "{\"kind\":\"btc_bip143\",\"input\":0," BOTH "}"),
                     QR_OK);
    assert_true(!req.items[0].btc.fee_bound && !req.items[1].btc.fee_bound);
    assert_true(req.items[1].btc.first == 1);
    /* the only input: its signature binds what it spends, so the fee is known */
    assert_int_equal(parse("{\"kind\":\"btc_bip143\",\"input\":0," SINGLE "}"), QR_OK);
    assert_int_equal(req.items[0].btc.fee_bound, 1);
    assert_true(req.items[0].btc.spent_sat == 1100 && req.items[0].btc.out_sat == 1000);
    /* legacy: the fee never counts */
    assert_int_equal(parse("{\"kind\":\"btc_legacy\",\"input\":0," MIXED "}"), QR_OK);
    assert_int_equal(req.items[0].btc.fee_bound, 0);
}

static void
test_btc_refused(void **state)
{
    static const struct {
        const char *items;
        qr_err e;
        const char *why;
    } bad[] = {
        {"{\"kind\":\"btc_bip143\"," MIXED "}", QR_ERR_MALFORMED,
         "items[0]: kind \"btc_bip143\" takes \"preimage\", \"input\" and \"prevouts\", or "
         "\"input\" and \"of\""},
        {"{\"kind\":\"btc_bip143\",\"input\":1,\"of\":0," MIXED "}", QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":1,\"preimage\":\"00\"}", QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":1,\"digest\":\"" H64 "\"," MIXED "}", QR_ERR_MALFORMED,
         NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"of\":0}", QR_ERR_MALFORMED,
         "items[0]: of: 0 is not an earlier item of kind \"btc_bip143\" (counted from 0)"},
        {"{\"kind\":\"btc_bip143\",\"input\":1," MIXED "},"
         "{\"kind\":\"btc_legacy\",\"input\":0,\"of\":0}",
         QR_ERR_MALFORMED,
         "items[1]: of: 0 is not an earlier item of kind \"btc_legacy\" (counted from 0)"},
        {"{\"kind\":\"sha256\",\"preimage\":\"00\"},{\"kind\":\"btc_legacy\",\"input\":0,\"of\":0}",
         QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":1," BOTH "},"
         "{\"kind\":\"btc_bip143\",\"input\":1,\"of\":0}",
         QR_ERR_MALFORMED, "items[1]: input 1 of this transaction is signed by another item, too"},
        {"{\"kind\":\"btc_bip143\",\"input\":2," BOTH "}", QR_ERR_PREIMAGE,
         "items[0]: there is no input 2 (counted from 0); the transaction has 2"},
        {"{\"kind\":\"btc_bip143\",\"input\":256," BOTH "}", QR_ERR_TOO_LARGE, NULL},
        {"{\"kind\":\"sha256\",\"preimage\":\"00\",\"input\":0}", QR_ERR_MALFORMED,
         "items[0]: kind \"sha256\" takes \"preimage\" and nothing else"},
        {"{\"kind\":\"sha256\",\"of\":0}", QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\",\"prevouts\":[]}",
         QR_ERR_MALFORMED, "items[0].prevouts: 0 elements; 1 to 256 are allowed"},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\",\"prevouts\":[{\"sat\":1}]}",
         QR_ERR_MALFORMED, "items[0].prevouts[0]: member \"script\" is missing"},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\","
         "\"prevouts\":[{\"sat\":2100000000000001,\"script\":\"\"}]}",
         QR_ERR_TOO_LARGE, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\","
         "\"prevouts\":[{\"sat\":\"1\",\"script\":\"\"}]}",
         QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\","
         "\"prevouts\":[{\"sat\":1,\"script\":\"0\"}]}",
         QR_ERR_MALFORMED,
         "items[0].prevouts[0]: script must be lower-case hex with an even number of digits"},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\","
         "\"prevouts\":[{\"sat\":1,\"script\":\"\",\"redeem\":\"\"}]}",
         QR_ERR_MALFORMED, NULL},
        {"{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"00\","
         "\"prevouts\":[{\"sat\":1,\"script\":\"\",\"value\":1}]}",
         QR_ERR_UNKNOWN_FIELD, NULL},
        {"{\"kind\":\"eip712\",\"preimage\":\"7b7d\"}", QR_ERR_PREIMAGE,
         "items[0]: typed data: member \"types\" is missing"},
        {"{\"kind\":\"eip712\",\"preimage\":\"7b\"}", QR_ERR_PREIMAGE, NULL},
    };
    static char items[QR_BODY_MAX];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = parse(bad[i].items);
        if (e != bad[i].e || (bad[i].why && strcmp(why, bad[i].why) != 0) || !why[0]) {
            fail_msg("row %zu: %s, \"%s\"", i, qr_err_name(e), why);
        }
    }
    /* prevouts of all items together are bounded: two of 256, and one more */
    for (unsigned k = 0; k < 3; k++) {
        unsigned inputs = k < 2 ? 256 : 1;
        n += (size_t)snprintf(items + n, sizeof items - n,
                              "%s{\"kind\":\"btc_bip143\",\"input\":0,\"preimage\":\"02000000%s",
                              k ? "," : "", k < 2 ? "fd0001" : "01");
        for (unsigned i = 0; i < inputs; i++) {
            n += (size_t)snprintf(items + n, sizeof items - n, "%064x%08x00ffffffff", 1, i);
        }
        n += (size_t)snprintf(items + n, sizeof items - n,
                              "01000000000000000016" P2WPKH "00000000\",\"prevouts\":[");
        for (unsigned i = 0; i < inputs; i++) {
            n += (size_t)snprintf(items + n, sizeof items - n, "%s{\"sat\":1,\"script\":\"%s\"}",
                                  i ? "," : "", i ? "" : P2WPKH);
        }
        n += (size_t)snprintf(items + n, sizeof items - n, "]}");
        assert_int_equal(parse(items), k < 2 ? QR_OK : QR_ERR_TOO_LARGE);
    }
    assert_string_equal(why, "items[2].prevouts: the transactions of one request spend more than "
                             "512 outputs");
}

/* Typed data: the views live in the request, and a longer request after a shorter one has room. */
static void
test_712(void **state)
{
    static const char doc[] =
        "{\"types\":{\"T\":[{\"name\":\"x\",\"type\":\"uint8\"}]},\"primaryType\":\"T\","
        "\"domain\":{\"name\":\"A name\",\"chainId\":5},\"message\":{\"x\":1}}";
    static char hex[2 * sizeof doc], items[8192];

    (void)state;
    qr_request_clear(&req);
    qr_hex_encode(qr_view_str(doc), hex);
    assert_int_equal(parse("{\"kind\":\"sha256\",\"preimage\":\"00\"}"), QR_OK);
    size_t cap = req.mem_cap;
    size_t n = 0;
    for (unsigned i = 0; i < 16; i++) {
        n += (size_t)snprintf(items + n, sizeof items - n,
                              "%s{\"kind\":\"eip712\",\"preimage\":\"%s\"}", i ? "," : "", hex);
    }
    assert_int_equal(parse(items), QR_OK);
    assert_true(req.mem_cap > cap);
    for (unsigned i = 0; i < 16; i++) {
        const struct qr_request_item *it = &req.items[i];
        assert_true(it->typed.has_chain_id && it->typed.chain_id == 5 && !it->typed.has_contract);
        assert_string_equal(it->typed.primary_type, "T");
        assert_string_equal(it->typed.domain_name, "A name");
        assert_int_equal(it->preimage.len, strlen(doc));
        assert_memory_equal(it->preimage.p, doc, strlen(doc));
        assert_memory_equal(it->digest, req.items[0].digest, 32);
    }
    cap = req.mem_cap;
    assert_int_equal(parse("{\"kind\":\"sha256\",\"preimage\":\"00\"}"), QR_OK);
    assert_int_equal(req.mem_cap, cap); /* kept */
}

static double
ms_between(const struct timespec *a, const struct timespec *b)
{
    return (double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) / 1e6;
}

/* The most work that a body can ask for: the largest transaction, signed again and again by `of`. */
static void
test_cost(void **state)
{
    static char items[QR_BODY_MAX], block[1024 * 1024];
    double best = 1e9, reference = 1e9;
    struct timespec a, b;
    uint8_t d[32];
    size_t n = 0;

    (void)state;
    n += (size_t)snprintf(items, sizeof items,
                          "{\"kind\":\"btc_legacy\",\"input\":0,\"preimage\":\"020000003e");
    for (unsigned i = 0; i < 62; i++) {
        n += (size_t)snprintf(items + n, sizeof items - n, "%064x%08x00ffffffff", 1, i);
    }
    n += (size_t)snprintf(items + n, sizeof items - n, "fd1009"); /* 2320 outputs */
    for (unsigned i = 0; i < 2320; i++) {
        n += (size_t)snprintf(items + n, sizeof items - n,
                              "0000000000000000"
                              "0151");
    }
    n += (size_t)snprintf(items + n, sizeof items - n, "00000000\",\"prevouts\":[");
    for (unsigned i = 0; i < 62; i++) {
        n += (size_t)snprintf(items + n, sizeof items - n, "%s{\"sat\":1,\"script\":\"51\"}",
                              i ? "," : "");
    }
    n += (size_t)snprintf(items + n, sizeof items - n, "]}");
    for (unsigned i = 1; i < 62; i++) {
        n += (size_t)snprintf(items + n, sizeof items - n,
                              ",{\"kind\":\"btc_legacy\",\"input\":%u,\"of\":0}", i);
    }
    for (int i = 0; i < 3; i++) {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        qr_err e = parse(items);
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        if (e != QR_OK) {
            fail_msg("%s, %zu bytes", why, n);
        }
        best = ms_between(&a, &b) < best ? ms_between(&a, &b) : best;
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        qr_keccak256(qr_view_of(block, sizeof block), d);
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        reference = ms_between(&a, &b) < reference ? ms_between(&a, &b) : reference;
    }
    print_message("62 inputs of one transaction: %.2f ms (a mebibyte hashed: %.2f ms)\n", best,
                  reference);
    assert_true(best < 6 * reference);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_btc),
        cmocka_unit_test(test_btc_refused),
        cmocka_unit_test(test_712),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
