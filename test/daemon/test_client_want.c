/*
 * Requests that the client writes: parties read them, every kind, as what was meant; paths; problems.
 */
#include "daemon/client/problem.h"
#include "daemon/client/want.h"
#include "protocol/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t cluster[32] = {1}, key[33] = {2, 5};
static struct qr_request got;
static char why[256];

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
    qr_request_clear(&got);
    return 0;
}

/* Writes and reads back. */
static qr_err
round_trip(const struct qr_want_item *item, size_t n)
{
    static const uint32_t path[] = {0, 5};
    struct qr_dbuf d;
    const struct qr_want w = {.cluster = cluster,
                              .key = key,
                              .id = "0123456789abcdef",
                              .issued_ms = 1000,
                              .expires_ms = 2000,
                              .path = path,
                              .depth = 2,
                              .item = item,
                              .n = n};
    qr_dbuf_init(&d, QR_BODY_MAX);
    qr_err e = qr_want_write(&w, &d);
    if (e == QR_OK) {
        e = qr_request_parse(qr_view_of(d.p, d.len), &got, why, sizeof why);
    }
    qr_dbuf_free(&d);
    return e;
}

static void
test_every_kind(void **state)
{
    (void)state;
    static const uint8_t digest[32] = {9};
    static const char typed[] = "{\"types\":{\"A\":[{\"name\":\"b\",\"type\":\"string\"}]},"
                                "\"primaryType\":\"A\",\"domain\":{\"name\":\"x\"},"
                                "\"message\":{\"b\":\"\\u00e9\"}}";
    static const uint8_t tx[] = {0x02, 0xdf, 0x01, 0x07, 0x02, 0x03, 0x82, 0x52, 0x08, 0x94, 0x11,
                                 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x05, 0x80, 0xc0};
    const struct qr_want_item items[] = {
        {.kind = QR_KIND_SHA256, .bytes = qr_view_str("a")},
        {.kind = QR_KIND_SHA256D, .bytes = {NULL, 0}},
        {.kind = QR_KIND_KECCAK256, .bytes = qr_view_str("b")},
        {.kind = QR_KIND_EIP191, .bytes = qr_view_str("c")},
        {.kind = QR_KIND_EIP712, .bytes = qr_view_str(typed)},
        {.kind = QR_KIND_ETH_TX, .bytes = {tx, sizeof tx}},
        {.kind = QR_KIND_DIGEST, .bytes = {digest, 32}},
    };
    size_t n = sizeof items / sizeof items[0];

    if (round_trip(items, n) != QR_OK) {
        fail_msg("%s", why);
    }
    assert_int_equal(got.n_items, n);
    assert_int_equal(got.form, QR_FORM_NATIVE);
    assert_memory_equal(got.cluster, cluster, 32);
    assert_memory_equal(got.key, key, 33);
    assert_int_equal(got.depth, 2);
    assert_int_equal(got.path[1], 5);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got.items[i].kind, items[i].kind);
        if (items[i].kind != QR_KIND_DIGEST) {
            assert_true(qr_view_eq(got.items[i].preimage, items[i].bytes));
        }
    }
    assert_memory_equal(got.items[6].digest, digest, 32);
    assert_int_equal(got.items[5].eth.nonce, 7);
}

/* Two inputs of one transaction; the second refers to the first item. */
static void
test_bitcoin(void **state)
{
    (void)state;
    uint8_t tx[4 + 1 + 2 * 41 + 1 + 8 + 1 + 22 + 4] = {2, 0, 0, 0, 2};
    uint8_t script[22] = {0, 20, 7};
    struct qr_btc_prevout prev[2] = {{60000, {script, sizeof script}, {NULL, 0}, {NULL, 0}},
                                     {50000, {script, sizeof script}, {NULL, 0}, {NULL, 0}}};
    struct qr_want_item items[2] = {
        {.kind = QR_KIND_BTC_BIP143, .bytes = {tx, sizeof tx}, .prev = prev, .n_prev = 2},
        {.kind = QR_KIND_BTC_BIP143, .input = 1, .has_of = 1, .of = 0},
    };

    for (size_t i = 0; i < 2; i++) {
        memset(tx + 5 + 41 * i, (int)i + 1, 32);
        memset(tx + 5 + 41 * i + 37, 0xff, 4);
    }
    tx[87] = 1; /* outputs */
    tx[88] = 1; /* of one satoshi */
    tx[96] = sizeof script;
    memcpy(tx + 97, script, sizeof script);
    if (round_trip(items, 2) != QR_OK) {
        fail_msg("%s", why);
    }
    assert_int_equal(got.items[0].btc.own_sat, 60000);
    assert_int_equal(got.items[1].btc.own_sat, 50000);
    assert_int_equal(got.items[1].btc.input, 1);
    assert_memory_not_equal(got.items[0].digest, got.items[1].digest, 32);
    items[1].of = 1;
    assert_int_not_equal(round_trip(items, 2), QR_OK);
}

static void
test_too_large(void **state)
{
    (void)state;
    static uint8_t big[QR_PREIMAGE_MAX];
    const struct qr_want_item items[] = {
        {.kind = QR_KIND_SHA256, .bytes = {big, sizeof big}},
        {.kind = QR_KIND_SHA256, .bytes = {big, sizeof big}},
    };
    assert_int_equal(round_trip(items, 2), QR_ERR_TOO_LARGE);
}

static void
test_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"x",  "0/", "/0",         "0//1",
                                      "-1", "01", "2147483648", "1/2/3/4/5/6/7/8/9",
                                      "0'", " 0", "0/1/",       "0x1"};
    uint32_t path[QR_PATH_MAX];
    size_t depth = 9;
    assert_int_equal(qr_want_path("", path, &depth), QR_OK);
    assert_int_equal(depth, 0);
    assert_int_equal(qr_want_path("44/60/0/0/2147483647", path, &depth), QR_OK);
    assert_int_equal(depth, 5);
    assert_int_equal(path[4], 0x7fffffff);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_want_path(bad[i], path, &depth) == QR_OK) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
}

static void
test_problems(void **state)
{
    (void)state;
    static const char text[] =
        "{\"code\":\"approval_needed\",\"detail\":\"two\\u001b[31m\",\"rule\":\"hot\",\"party\":2,"
        "\"need\":2,\"approvers\":[\"alice\",5,\"bob\"],\"more\":-1.5}";
    struct qr_problem p;
    char out[1024];

    qr_problem_read(403, qr_view_str(text), &p);
    assert_string_equal(p.code, "approval_needed");
    assert_string_equal(p.detail, "two?[31m");
    assert_string_equal(p.approvers, "alice, bob");
    assert_int_equal(p.need, 2);
    assert_true(qr_problem_is_refusal(&p) && !qr_problem_is_temporary(&p));
    assert_string_equal(qr_problem_text(&p, out, sizeof out),
                        "403 approval_needed: two?[31m, party 2, rule hot, approvals needed 2, of "
                        "alice, bob");
    assert_int_equal(strlen(qr_problem_text(&p, out, 20)), 19);
    qr_problem_read(503, qr_view_str("<html>"), &p);
    assert_string_equal(p.code, "");
    assert_true(qr_problem_is_temporary(&p));
    qr_problem_read(403, qr_view_str("{\"party\":17,\"need\":-1,\"code\":5}"), &p);
    assert_int_equal(p.party, 0);
    assert_int_equal(p.need, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind), cmocka_unit_test(test_bitcoin),
        cmocka_unit_test(test_too_large),  cmocka_unit_test(test_paths),
        cmocka_unit_test(test_problems),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
