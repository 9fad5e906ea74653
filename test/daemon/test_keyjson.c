/* daemon/keyjson, daemon/jsonw, daemon/addr: what is written is read again, and only that. */
#include "daemon/addr.h"
#include "daemon/jsonw.h"
#include "daemon/keyjson.h"
#include "test/common/fakekey.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t cluster[32] = {1}, admins[32] = {2}, roster[32] = {3};

static void
round_trip(uint16_t t, uint16_t n, uint8_t flags)
{
    static struct fakekey k;
    struct qr_key_pub got;
    struct qr_dbuf d;
    uint16_t bad;
    fakekey_make(&k, t, n, (uint8_t)(t + n), cluster, admins, roster, flags);
    qr_dbuf_init(&d, QR_KEYJSON_MAX);
    assert_int_equal(qr_keyjson_put(&d, &k.pub), QR_OK);
    json_t *j = json_loadb((const char *)d.p, d.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_int_equal(json_is_true(json_object_get(j, "insecure_sim")), flags);
    json_decref(j);
    memset(&got, 0xee, sizeof got);
    assert_int_equal(qr_keyjson_parse(qr_view_of(d.p, d.len), &got), QR_OK);
    assert_memory_equal(&got, &k.pub, sizeof got);
    assert_int_equal(qr_key_check(&got, &bad), QR_OK);
    qr_dbuf_free(&d);
}

static void
test_round_trip(void **state)
{
    (void)state;
    round_trip(2, 2, 0);
    round_trip(2, 3, QR_KEY_INSECURE_SIM);
    round_trip(5, 7, 0);
    round_trip(16, 16, QR_KEY_INSECURE_SIM); /* the longest text fits */
}

/* The text with one piece replaced. */
static qr_err
with(const struct qr_dbuf *d, const char *from, const char *to)
{
    static char text[32768];
    struct qr_key_pub got;
    assert_true(d->len + strlen(to) + 1 < sizeof text);
    memcpy(text, d->p, d->len);
    text[d->len] = '\0';
    char *at = strstr(text, from);
    assert_non_null(at);
    size_t rest = strlen(at + strlen(from));
    memmove(at + strlen(to), at + strlen(from), rest + 1);
    memcpy(at, to, strlen(to));
    return qr_keyjson_parse(qr_view_str(text), &got);
}

static void
test_strict(void **state)
{
    (void)state;
    static struct fakekey k;
    struct qr_dbuf d;
    fakekey_make(&k, 2, 3, 9, cluster, admins, roster, QR_KEY_INSECURE_SIM);
    qr_dbuf_init(&d, QR_KEYJSON_MAX);
    assert_int_equal(qr_keyjson_put(&d, &k.pub), QR_OK);
    assert_int_equal(with(&d, "\"v\":1", "\"v\":1"), QR_OK);
    assert_int_not_equal(with(&d, "\"v\":1", "\"v\":2"), QR_OK);
    assert_int_not_equal(with(&d, "\"v\":1,", ""), QR_OK);
    assert_int_equal(with(&d, "\"v\":1", "\"v\":1,\"w\":1"), QR_ERR_UNKNOWN_FIELD);
    assert_int_not_equal(with(&d, "\"v\":1", "\"v\":1,\"v\":1"), QR_OK);
    assert_int_equal(with(&d, "\"t\":2", "\"t\":1"), QR_ERR_SET);
    assert_int_equal(with(&d, "\"t\":2", "\"t\":4"), QR_ERR_SET);
    assert_int_equal(with(&d, "\"n\":3", "\"n\":4"), QR_ERR_SET);
    assert_int_equal(with(&d, "\"n\":3", "\"n\":2"), QR_ERR_SET);
    assert_int_equal(with(&d, "\"n\":3", "\"n\":65535"), QR_ERR_SET);
    assert_int_equal(with(&d, "\"party\":2", "\"party\":3"), QR_ERR_SET);
    assert_int_not_equal(with(&d, "\"party\":2", "\"party\":0"), QR_OK);
    assert_int_equal(with(&d, "\"insecure_sim\":true", "\"insecure_sim\":false"), QR_ERR_MALFORMED);
    assert_int_not_equal(with(&d, "\"insecure_sim\":true", "\"insecure_sim\":1"), QR_OK);
    assert_int_not_equal(with(&d, "\"epoch\":0", "\"epoch\":-1"), QR_OK);
    assert_int_not_equal(with(&d, "\"epoch\":0", "\"epoch\":4294967296"), QR_OK);
    assert_int_not_equal(with(&d, "\"cluster\":\"01", "\"cluster\":\"0G"), QR_OK);
    assert_int_not_equal(with(&d, "\"cluster\":\"01", "\"cluster\":\"1"), QR_OK);
    assert_int_not_equal(with(&d, "]}", "]}x"), QR_OK);
    for (size_t n = 0; n < d.len; n += 7) {
        struct qr_key_pub got;
        assert_int_not_equal(qr_keyjson_parse(qr_view_of(d.p, n), &got), QR_OK);
    }
    qr_dbuf_free(&d);
}

static void
test_jsonw(void **state)
{
    (void)state;
    struct qr_dbuf d;
    qr_dbuf_init(&d, 200);
    struct qr_jsonw w = qr_jsonw_to(&d);
    qr_jsonw_raw(&w, "{\"a\":");
    qr_jsonw_str(&w, qr_view_of("x\"\\\n\x00\x1f\xff\xc3\xa9", 9));
    qr_jsonw_raw(&w, ",\"h\":");
    qr_jsonw_hex(&w, "\x00\xff", 2);
    qr_jsonw_raw(&w, ",\"n\":");
    qr_jsonw_u64(&w, UINT64_MAX);
    qr_jsonw_raw(&w, ",\"b\":");
    qr_jsonw_bool(&w, 2);
    qr_jsonw_raw(&w, "}");
    assert_int_equal(w.err, QR_OK);
    qr_view want =
        qr_view_str("{\"a\":\"x\\\"\\\\\\n\\u0000\\u001f\xef\xbf\xbd\xc3\xa9\",\"h\":\"00ff\","
                    "\"n\":18446744073709551615,\"b\":true}");
    assert_true(qr_view_eq(qr_view_of(d.p, d.len), want));
    /* The first failure sticks. */
    static uint8_t big[200];
    qr_jsonw_hex(&w, big, sizeof big);
    assert_int_equal(w.err, QR_ERR_TOO_LARGE);
    size_t len = d.len;
    qr_jsonw_raw(&w, "x");
    assert_int_equal(d.len, len);
    qr_dbuf_free(&d);
}

static void
test_addr(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int loopback;
    } good[] = {{"127.0.0.1:1", 1},      {"127.255.0.9:65535", 1}, {"0.0.0.0:0", 0},
                {"10.1.2.3:80", 0},      {"[::1]:80", 1},          {"[::]:80", 0},
                {"[2001:db8::1]:443", 0}};
    static const char *const bad[] = {"",           ":",           "127.0.0.1",   "127.0.0.1:",
                                      ":80",        "1.2.3:80",    "localhost:1", "127.0.0.1:65536",
                                      "1.2.3.4:-1", "1.2.3.4:01",  "::1:80",      "[::1]80",
                                      "[::1",       "[::1]:",      "[]:80",       "1.2.3.4:80 ",
                                      " 1.2.3.4:8", "[1.2.3.4]:80"};
    struct qr_addr a;
    char text[QR_ADDR_TEXT_MAX];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_addr_parse(good[i].text, &a), QR_OK);
        assert_int_equal(qr_addr_is_loopback(&a), good[i].loopback);
        qr_addr_text(&a, text);
        assert_string_equal(text, good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_addr_parse(bad[i], &a) == QR_OK) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
    assert_int_equal(qr_addr_parse("[::ffff:127.0.0.1]:1", &a), QR_OK);
    assert_true(qr_addr_is_loopback(&a));
}

static void
test_decimal(void **state)
{
    (void)state;
    unsigned long v = 7;
    assert_true(qr_parse_decimal("0", 1, 0, &v) && v == 0);
    assert_true(qr_parse_decimal("4294967295", 10, 4294967295ul, &v) && v == 4294967295ul);
    v = 7;
    assert_false(qr_parse_decimal("4294967296", 10, 4294967295ul, &v));
    assert_false(qr_parse_decimal("18446744073709551616", 20, (unsigned long)-1, &v));
    assert_false(qr_parse_decimal("", 0, 9, &v));
    assert_false(qr_parse_decimal("00", 2, 9, &v));
    assert_false(qr_parse_decimal("+1", 2, 9, &v));
    assert_false(qr_parse_decimal("1 ", 2, 9, &v));
    assert_false(qr_parse_decimal("5", 1, 4, &v));
    assert_int_equal(v, 7); /* untouched */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_strict),
        cmocka_unit_test(test_jsonw),      cmocka_unit_test(test_addr),
        cmocka_unit_test(test_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
