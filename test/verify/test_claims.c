/* Claims: what was added is found, what clashes or overflows is told, and what is printed is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/claims.h"

#include <jansson.h>
#include <stdio.h>

static struct qr_claimset s;
static char text[262144];

/* Prints, and has another reader read it; duplicate members are refused there. */
static json_t *
print(void)
{
    size_t len = 0;
    json_error_t err;
    assert_int_equal(qr_claims_json(&s, text, sizeof text, &len), QR_OK);
    assert_int_equal(len, strlen(text));
    json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    return j;
}

static void
expect(const char *json)
{
    json_decref(print());
    assert_string_equal(text, json);
}

static void
test_types(void **state)
{
    uint64_t u = 7;
    int b = 7;
    qr_view v = {NULL, 7};
    (void)state;
    qr_claims_init(&s);
    expect("{}");
    qr_claim_uint(&s, "u", UINT64_MAX >> 1);
    qr_claim_x64(&s, "x", 0x30000);
    qr_claim_bool(&s, "b", 4);
    qr_claim_hex(&s, "h", qr_view_of("\x00\xff", 2));
    qr_claim_hex_copy(&s, "hc", qr_view_of("\x01", 1));
    qr_claim_text(&s, "t", qr_view_str("ab\"\\\n\x7f\xc3\xa4"));
    qr_claim_text_copy(&s, "tc", qr_view_str(""));
    qr_claim_json_copy(&s, "j", qr_view_str("{\"a\":[1,2.5e3]}"));
    qr_claim_null(&s, "n");
    assert_false(s.overflow);
    expect("{\"u\":9223372036854775807,\"x\":\"0x0000000000030000\",\"b\":true,\"h\":\"00ff\","
           "\"hc\":\"01\",\"t\":\"ab\\\"\\\\\\u000a\\u007f\xc3\xa4\",\"tc\":\"\","
           "\"j\":{\"a\":[1,2.5e3]},\"n\":null}");
    assert_true(qr_claim_get_uint(&s, "u", &u) && u == UINT64_MAX >> 1);
    assert_true(qr_claim_get_uint(&s, "x", &u) && u == 0x30000);
    assert_true(qr_claim_get_bool(&s, "b", &b) && b == 1);
    assert_true(qr_claim_get_hex(&s, "h", &v) && v.len == 2);
    assert_true(qr_claim_get_text(&s, "tc", &v) && v.len == 0);
    assert_int_equal(qr_claim_find(&s, "n")->type, QR_CLAIM_NULL);
    /* absent, or of another type: nothing is written */
    u = 7;
    b = 7;
    v.len = 7;
    assert_false(qr_claim_get_uint(&s, "b", &u) || qr_claim_get_uint(&s, "no", &u));
    assert_false(qr_claim_get_uint(&s, "n", &u) || qr_claim_get_uint(&s, "h", &u));
    assert_false(qr_claim_get_bool(&s, "u", &b) || qr_claim_get_bool(&s, "", &b));
    assert_false(qr_claim_get_hex(&s, "t", &v) || qr_claim_get_hex(&s, "no", &v));
    assert_false(qr_claim_get_text(&s, "h", &v) || qr_claim_get_text(&s, "j", &v));
    assert_true(u == 7 && b == 7 && v.len == 7);
    assert_null(qr_claim_find(&s, "U"));
}

static void
test_nesting(void **state)
{
    (void)state;
    qr_claims_init(&s);
    qr_claim_uint(&s, "a.b", 1);
    qr_claim_uint(&s, "c", 2);
    qr_claim_uint(&s, "a.d.e", 3); /* joins its object, in the order of its first member */
    qr_claim_uint(&s, "pcrs.0", 4);
    qr_claim_uint(&s, "k[0].kid", 5);
    qr_claim_uint(&s, "k[1].kid", 6);
    qr_claim_uint(&s, "k[0].n", 7);
    qr_claim_uint(&s, "m[0][0]", 8);
    qr_claim_uint(&s, "m[0][1]", 9);
    qr_claim_uint(&s, "m[1]", 10);
    qr_claim_uint(&s, "pcrs.1", 11);
    qr_claim_uint(&s, "ab", 12);
    assert_false(s.overflow);
    expect("{\"a\":{\"b\":1,\"d\":{\"e\":3}},\"c\":2,\"pcrs\":{\"0\":4,\"1\":11},"
           "\"k\":[{\"kid\":5,\"n\":7},{\"kid\":6}],\"m\":[[8,9],10],\"ab\":12}");
}

static void
test_clashes(void **state)
{
    static const char *const rows[][2] = {
        {"a", "a"},       {"a.b", "a"},       {"a", "a.b"},       {"a[0]", "a"},
        {"a", "a[0]"},    {"a.b", "a[0]"},    {"a[0]", "a.b"},    {"a.b.c", "a.b"},
        {"a[0]", "a[0]"}, {"a[0].b", "a[0]"}, {"a[0]", "a[0].b"}, {"a[0].b", "a[0][1]"},
    };
    static const char *const fine[][2] = {
        {"a", "ab"},      {"a.b", "a.c"},    {"a.b", "ab"},
        {"a[0]", "a[1]"}, {"a[1]", "a[10]"}, {"a.b", "a.bc"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        qr_claims_init(&s);
        qr_claim_uint(&s, rows[i][0], 1);
        assert_false(s.overflow);
        qr_claim_uint(&s, rows[i][1], 2);
        assert_true(s.overflow);
        assert_int_equal(s.n, 1);
        json_decref(print());
    }
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        qr_claims_init(&s);
        qr_claim_uint(&s, fine[i][0], 1);
        qr_claim_uint(&s, fine[i][1], 2);
        assert_false(s.overflow);
        json_decref(print());
    }
    qr_claims_init(&s);
    qr_claim_uint(&s, "", 1);
    assert_true(s.overflow);
}

static void
test_limits(void **state)
{
    static const char big[QR_CLAIMS_ARENA];
    char path[QR_CLAIM_PATH_MAX + 1];
    (void)state;
    qr_claims_init(&s);
    for (unsigned i = 0; i < QR_CLAIMS_MAX; i++) {
        qr_claim_uint(&s, qr_claim_path(&s, "c%u", i), i);
    }
    assert_false(s.overflow);
    json_t *j = print();
    assert_int_equal(json_object_size(j), QR_CLAIMS_MAX);
    json_decref(j);
    qr_claim_null(&s, "more");
    assert_true(s.overflow);
    assert_int_equal(s.n, QR_CLAIMS_MAX);
    /* the arena: one byte is the NUL's */
    qr_claims_init(&s);
    qr_claim_hex_copy(&s, "a", qr_view_of(big, sizeof big - 1));
    assert_false(s.overflow);
    assert_int_equal(s.used, sizeof big);
    json_decref(print());
    assert_string_equal(qr_claim_path(&s, "x"), "");
    assert_true(s.overflow);
    qr_claims_init(&s);
    qr_claim_text_copy(&s, "a", qr_view_of(big, sizeof big));
    assert_true(s.overflow);
    assert_int_equal(s.n, 0);
    qr_claims_init(&s);
    qr_claim_json_copy(&s, "a", qr_view_of(big, SIZE_MAX / 2));
    assert_true(s.overflow);
    /* a set that overflowed takes nothing any more */
    qr_claim_uint(&s, "b", 1);
    assert_int_equal(s.n, 0);
    /* paths */
    memset(path, 'p', sizeof path);
    path[QR_CLAIM_PATH_MAX] = 0;
    qr_claims_init(&s);
    qr_claim_uint(&s, path, 1);
    assert_true(s.overflow);
    qr_claims_init(&s);
    qr_claim_uint(&s, path + 1, 1);
    assert_false(s.overflow);
    json_decref(print());
    qr_claims_init(&s);
    assert_string_equal(qr_claim_path(&s, "%s", path), "");
    assert_true(s.overflow);
    qr_claims_init(&s);
    assert_string_equal(qr_claim_path(&s, "%s%u", "pcrs.", 23u), "pcrs.23");
}

/* As deep as a path can be. */
static void
test_depth(void **state)
{
    char path[QR_CLAIM_PATH_MAX];
    (void)state;
    for (int list = 0; list < 2; list++) {
        size_t n = 0;
        path[n++] = 'a';
        while (n + 4 < sizeof path) {
            memcpy(path + n, list ? "[0]" : ".b", list ? 3 : 2);
            n += list ? 3 : 2;
        }
        path[n] = 0;
        qr_claims_init(&s);
        qr_claim_uint(&s, path, 1);
        assert_false(s.overflow);
        json_decref(print());
    }
}

/* Every size of buffer: written whole and ended, or refused; never one byte past it. */
static void
test_cut(void **state)
{
    size_t len = 0, need = 0;
    (void)state;
    qr_claims_init(&s);
    qr_claim_hex(&s, "a.h", qr_view_of("\x01\x02\x03", 3));
    qr_claim_text(&s, "a.t", qr_view_str("x\xff\"y"));
    qr_claim_uint(&s, "l[0]", 17);
    assert_int_equal(qr_claims_json(&s, text, sizeof text, &need), QR_OK);
    for (size_t cap = 1; cap <= need + 4; cap++) {
        memset(text, '#', need + 8);
        qr_err e = qr_claims_json(&s, text, cap, &len);
        assert_int_equal(e, cap > need ? QR_OK : QR_ERR_TOO_LARGE);
        assert_int_equal(text[cap], '#');
    }
}

/* Text of evidence that is no UTF-8 stays one string of valid JSON. */
static void
test_hostile_text(void **state)
{
    uint8_t bytes[256];
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    qr_claims_init(&s);
    qr_claim_text(&s, "t", qr_view_of(bytes + 1, 255));
    qr_claim_text_copy(&s, "u", qr_view_str("\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80"));
    qr_claim_uint(&s, "q\"\n\xff", 1);
    json_t *j = print();
    assert_int_equal(json_object_size(j), 3);
    json_decref(j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_clashes),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_hostile_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
