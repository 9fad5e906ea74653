/* daemon/log: lines are valid JSON whatever is in them, rate limits count, levels filter. */
#include "daemon/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char last[16384];
static size_t last_len;
static unsigned lines;

static void
keep(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    assert_true(len < sizeof last);
    memcpy(last, line, len);
    last[len] = '\0';
    last_len = len;
    lines++;
}

static int
setup(void **state)
{
    (void)state;
    qr_log_init(QR_LOG_INFO, QR_LOG_JSON);
    qr_log_sink(keep, NULL);
    lines = 0;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    qr_log_sink(NULL, NULL);
    qr_log_init(QR_LOG_INFO, QR_LOG_AUTO);
    return 0;
}

static json_t *
parsed(void)
{
    json_error_t err;
    assert_null(memchr(last, '\n', last_len));
    json_t *j = json_loadb(last, last_len, JSON_REJECT_DUPLICATES, &err);
    if (!j) {
        fail_msg("not JSON: %s: %s", err.text, last);
    }
    return j;
}

static void
expect(const json_t *j, const char *name, const char *value)
{
    const char *got = json_string_value(json_object_get(j, name));
    assert_non_null(got);
    assert_string_equal(got, value);
}

static void
test_fields(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xde, 0xad, 0x00};
    qr_log(QR_LOG_WARN, "net", "peer_up", "peer 2 is up", QR_LOG_U64("peer", INT64_MAX),
           QR_LOG_I64("delta", -5), QR_LOG_BOOL("resumed", 7), QR_LOG_STR("why", "it is"),
           QR_LOG_STR("none", NULL), QR_LOG_TEXT("text", qr_view_of("abcdef", 3)),
           QR_LOG_HEX("id", bytes, sizeof bytes), QR_LOG_ERR(QR_ERR_POLICY_DENIED), QR_LOG_END);
    json_t *j = parsed();
    expect(j, "lvl", "warn");
    expect(j, "mod", "net");
    expect(j, "ev", "peer_up");
    expect(j, "msg", "peer 2 is up");
    expect(j, "why", "it is");
    expect(j, "text", "abc");
    expect(j, "id", "dead00");
    expect(j, "err", "POLICY_DENIED");
    assert_true(json_is_true(json_object_get(j, "resumed")));
    assert_true(json_is_null(json_object_get(j, "none")));
    assert_int_equal(json_integer_value(json_object_get(j, "delta")), -5);
    assert_non_null(strstr(last, "\"peer\":9223372036854775807"));
    /* 2026-11-21T12:00:00.123Z */
    const char *ts = json_string_value(json_object_get(j, "ts"));
    assert_int_equal(strlen(ts), 24);
    assert_true(ts[4] == '-' && ts[10] == 'T' && ts[19] == '.' && ts[23] == 'Z');
    json_decref(j);
}

static void
test_hostile_text(void **state)
{
    (void)state;
    const char evil[] =
        "\",\"lvl\":\"error\"}\n{\"forged\":1\\\t\x01\x7f\x1b[31m\xff\xc3\x28\xe2\x82\xed\xa0\x80"
        "\xc2\x9b\xc3\xa9\xf0\x9f\x94\x91";
    qr_log(QR_LOG_INFO, "x", "hostile", evil, QR_LOG_STR("s", evil), QR_LOG_END);
    json_t *j = parsed();
    expect(j, "lvl", "info");
    assert_null(json_object_get(j, "forged"));
    const char *s = json_string_value(json_object_get(j, "s"));
    assert_non_null(strstr(s, "\xc3\xa9\xf0\x9f\x94\x91")); /* good UTF-8 stays */
    assert_null(strchr(last, 0x1b));
    json_decref(j);
    qr_log_init(QR_LOG_INFO, QR_LOG_HUMAN);
    qr_log(QR_LOG_INFO, "x", "hostile", evil, QR_LOG_STR("s", evil), QR_LOG_END);
    for (size_t i = 0; i < last_len; i++) {
        assert_true((unsigned char)last[i] >= 0x20 && last[i] != 0x7f);
    }
}

static void
test_long_lines(void **state)
{
    (void)state;
    static char big[100000];
    static uint8_t bytes[100];
    memset(big, '\x01', sizeof big - 1); /* six characters each once escaped */
    qr_log(QR_LOG_INFO, "x", "big", big, QR_LOG_STR("a", big), QR_LOG_U64("n", 1), QR_LOG_END);
    json_t *j = parsed();
    assert_true(json_is_true(json_object_get(j, "truncated")));
    json_decref(j);
    memset(big, 'a', sizeof big - 1);
    qr_log(QR_LOG_INFO, "x", "big2", "m", QR_LOG_STR("a", big),
           QR_LOG_HEX("h", bytes, sizeof bytes), QR_LOG_END);
    j = parsed();
    const char *a = json_string_value(json_object_get(j, "a"));
    assert_int_equal(strlen(a), 1024 + 3);
    assert_string_equal(a + 1024, "...");
    assert_int_equal(strlen(json_string_value(json_object_get(j, "h"))), 128 + 3);
    json_decref(j);
    for (int k = 0; k < 40; k++) { /* many fields: whole ones are dropped */
        qr_log(QR_LOG_INFO, "x", "many", "m", QR_LOG_STR("a", big), QR_LOG_STR("b", big),
               QR_LOG_STR("c", big), QR_LOG_STR("d", big), QR_LOG_STR("e", big),
               QR_LOG_STR("f", big), QR_LOG_STR("g", big), QR_LOG_STR("h", big), QR_LOG_END);
        j = parsed();
        assert_non_null(json_object_get(j, "a"));
        assert_null(json_object_get(j, "h"));
        assert_true(json_is_true(json_object_get(j, "truncated")));
        json_decref(j);
    }
}

static void
test_levels(void **state)
{
    (void)state;
    qr_log(QR_LOG_DEBUG, "x", "d", "m", QR_LOG_END);
    assert_int_equal(lines, 0);
    assert_false(qr_log_on(QR_LOG_DEBUG));
    qr_log_init(QR_LOG_ERROR, QR_LOG_JSON);
    qr_log(QR_LOG_WARN, "x", "w", "m", QR_LOG_END);
    assert_int_equal(lines, 0);
    qr_log(QR_LOG_ERROR, "x", "e", "m", QR_LOG_END);
    assert_int_equal(lines, 1);
    qr_log_init(QR_LOG_DEBUG, QR_LOG_JSON);
    for (int i = 0; i < 200; i++) { /* debug is not limited */
        qr_log(QR_LOG_DEBUG, "x", "d", "m", QR_LOG_END);
    }
    assert_int_equal(lines, 201);
}

static void
test_rate(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        qr_log(QR_LOG_ERROR, "x", "storm", "m", QR_LOG_END);
    }
    assert_true(lines >= 50 && lines <= 60);
    /* Another event is not held back by it, nor the same name in another module. */
    unsigned before = lines;
    qr_log(QR_LOG_INFO, "x", "calm", "m", QR_LOG_END);
    qr_log(QR_LOG_INFO, "y", "storm", "m", QR_LOG_END);
    assert_int_equal(lines, before + 2);
    /* What was held back is counted in the next line of that event. */
    unsigned written = before;
    before = lines;
    unsigned extra = 0;
    while (lines == before) {
        qr_log(QR_LOG_ERROR, "x", "storm", "m", QR_LOG_END);
        extra++;
        usleep(1000);
    }
    json_t *j = parsed();
    assert_int_equal(json_integer_value(json_object_get(j, "suppressed")),
                     1000 - written + extra - 1);
    json_decref(j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
