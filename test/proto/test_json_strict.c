/* The strict reader of JSON: what jansson would take and we refuse, and how refusals read. */
#include "proto/json_strict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/mem.h"

#include <stdio.h>

static char why[QR_ERR_TEXT_MAX];

static qr_err
parse_n(const char *text, size_t len, size_t max)
{
    struct qr_json j;
    qr_err e = qr_json_parse(&j, qr_view_of(text, len), max, why, sizeof why);
    if (e == QR_OK) {
        qr_json_clear(&j);
    }
    return e;
}

static qr_err
parse(const char *text)
{
    return parse_n(text, strlen(text), 100);
}

static void
test_form(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " {\"a\" : 1}\n",
        "{\"a\":[0,9223372036854775807]}",
        "{\"a\":\"\\u00e9\xc3\xa9\"}",
        "[true,false,null]",
        "{\"e\":\"1e5 -1 1.5\"}",
        "{\"a\":{\"a\":1}}",
        "[[[[[[[[]]]]]]]]",
        "{\"\\\\\":\"\\\"\"}",
    };
    static const struct {
        const char *text;
        qr_err e;
    } bad[] = {
        {"", QR_ERR_MALFORMED},
        {" ", QR_ERR_MALFORMED},
        {"1", QR_ERR_MALFORMED},
        {"\"a\"", QR_ERR_MALFORMED},
        {"{\"a\":1,\"a\":1}", QR_ERR_MALFORMED},
        {"{\"a\":1,\"\\u0061\":1}", QR_ERR_MALFORMED},
        {"[{\"b\":{\"a\":1,\"x\":2,\"a\":1}}]", QR_ERR_MALFORMED},
        {"{\"a\":1.0}", QR_ERR_MALFORMED},
        {"{\"a\":1e5}", QR_ERR_MALFORMED},
        {"{\"a\":1E5}", QR_ERR_MALFORMED},
        {"{\"a\":-1}", QR_ERR_MALFORMED},
        {"{\"a\":-0}", QR_ERR_MALFORMED},
        {"{\"a\":+1}", QR_ERR_MALFORMED},
        {"{\"a\":01}", QR_ERR_MALFORMED},
        {"{\"a\":.5}", QR_ERR_MALFORMED},
        {"{\"a\":9223372036854775808}", QR_ERR_MALFORMED},
        {"{\"a\":18446744073709551616}", QR_ERR_MALFORMED},
        {"{\"a\":99999999999999999999999999999999999999999999999999}", QR_ERR_MALFORMED},
        {"{\"a\":NaN}", QR_ERR_MALFORMED},
        {"{\"a\":Infinity}", QR_ERR_MALFORMED},
        {"{\"a\":0x10}", QR_ERR_MALFORMED},
        {"{\"a\":\"\\u0000\"}", QR_ERR_MALFORMED},
        {"{\"\\u0000\":1}", QR_ERR_MALFORMED},
        {"{\"a\":\"\n\"}", QR_ERR_MALFORMED},
        {"{\"a\":\"\xff\"}", QR_ERR_MALFORMED},
        {"{\"a\":\"\xc0\xaf\"}", QR_ERR_MALFORMED},     /* overlong */
        {"{\"a\":\"\xed\xa0\x80\"}", QR_ERR_MALFORMED}, /* a surrogate */
        {"{\"a\":\"\xf4\x90\x80\x80\"}", QR_ERR_MALFORMED},
        {"{\"a\":\"\\ud800\"}", QR_ERR_MALFORMED},
        {"{\"a\":\"\\x\"}", QR_ERR_MALFORMED},
        {"{\"a\":\"", QR_ERR_MALFORMED},
        {"{\"a\":\"\\", QR_ERR_MALFORMED},
        {"{\"a\":1", QR_ERR_MALFORMED},
        {"{\"a\"}", QR_ERR_MALFORMED},
        {"{\"a\":1,}", QR_ERR_MALFORMED},
        {"[1,]", QR_ERR_MALFORMED},
        {"{'a':1}", QR_ERR_MALFORMED},
        {"{a:1}", QR_ERR_MALFORMED},
        {"{} {}", QR_ERR_MALFORMED},
        {"{}x", QR_ERR_MALFORMED},
        {"{}]", QR_ERR_MALFORMED},
        {"/* */{}", QR_ERR_MALFORMED},
        {"\xef\xbb\xbf{}", QR_ERR_MALFORMED},
        {"[[[[[[[[[]]]]]]]]]", QR_ERR_TOO_LARGE},
        {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}", QR_ERR_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(parse(good[i]), QR_OK);
        assert_string_equal(why, "");
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = parse(bad[i].text);
        if (e != bad[i].e) {
            fail_msg("%s: %s instead of %s", bad[i].text, qr_err_name(e), qr_err_name(bad[i].e));
        }
        assert_int_not_equal(why[0], 0);
        for (const char *p = why; *p; p++) {
            assert_true(*p >= 0x20 && *p < 0x7f); /* nothing hostile reaches a log */
        }
    }
    /* bytes after a NUL are not hidden from us */
    assert_int_equal(parse_n("{}\0{}", 5, 100), QR_ERR_MALFORMED);
    assert_int_equal(parse_n("{\"a\0b\":1}", 9, 100), QR_ERR_MALFORMED);
    assert_int_equal(parse_n("{}\0", 3, 100), QR_ERR_MALFORMED);
}

static void
test_limits(void **state)
{
    char big[4096] = "[";

    (void)state;
    assert_int_equal(parse_n("[1,2,3]", 7, 4), QR_OK);
    assert_int_equal(parse_n("[1,2,3]", 7, 3), QR_ERR_TOO_LARGE);
    assert_string_equal(why, "line 1 column 5: too many values");
    for (size_t i = 0; i < 1000; i++) {
        memcpy(big + 1 + 3 * i, "[],", 3);
    }
    assert_int_equal(parse(big), QR_ERR_TOO_LARGE);
    /* a place in a document of several lines */
    assert_int_equal(parse("{\n \"a\": 1,\n \"b\": 1.5\n}"), QR_ERR_MALFORMED);
    assert_string_equal(why, "line 3 column 8: only integers from 0 up are numbers here");
    /* no room for an explanation */
    struct qr_json j;
    assert_int_equal(qr_json_parse(&j, qr_view_str("{"), 9, NULL, 0), QR_ERR_MALFORMED);
    char tiny[4];
    assert_int_equal(qr_json_parse(&j, qr_view_str("{"), 9, tiny, sizeof tiny), QR_ERR_MALFORMED);
    assert_true(strlen(tiny) < sizeof tiny);
}

struct got {
    uint64_t n;
    int flag, has_flag;
    uint8_t hex[4];
    qr_view name, id, text, utf8;
    struct qr_json_at list, object;
};

static qr_err
read_all(const char *text, struct got *g, struct qr_json *j)
{
    const struct qr_json_field fields[] = {
        {"n", QR_JSON_U64, 2, 10, &g->n, NULL},
        {"flag", QR_JSON_BOOL, 0, 0, &g->flag, &g->has_flag},
        {"hex", QR_JSON_HEX, 0, 4, g->hex, NULL},
        {"name", QR_JSON_NAME, 1, 4, &g->name, NULL},
        {"id", QR_JSON_ID, 2, 4, &g->id, NULL},
        {"text", QR_JSON_TEXT, 0, 8, &g->text, NULL},
        {"utf8", QR_JSON_UTF8, 0, 8, &g->utf8, NULL},
        {"list", QR_JSON_ARRAY, 1, 2, &g->list, NULL},
        {"object", QR_JSON_OBJECT, 0, 0, &g->object, NULL},
        {"skip", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {.type = QR_JSON_END},
    };
    assert_int_equal(qr_json_parse(j, qr_view_str(text), 100, why, sizeof why), QR_OK);
    struct qr_json_at root = qr_json_root(j);
    return qr_json_fields(&root, fields);
}

/* A document that reads, with one member written another way. */
static qr_err
with(const char *member, const char *value)
{
    static const char *const members[][2] = {
        {"n", "5"},        {"flag", "true"},    {"hex", "\"00ff10aa\""},  {"name", "\"a.b\""},
        {"id", "\"a_-\""}, {"text", "\"a b\""}, {"utf8", "\"\xc3\xa9\""}, {"list", "[1]"},
        {"object", "{}"},  {"skip", "[[]]"},
    };
    char text[1024] = "{";
    size_t len = 1;
    struct got g;
    struct qr_json j;
    int known = 0;

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        int it = strcmp(members[i][0], member) == 0;
        known |= it;
        const char *v = it ? value : members[i][1];
        if (v) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s\"%s\":%s",
                                    len > 1 ? "," : "", members[i][0], v);
        }
    }
    if (!known) {
        len += (size_t)snprintf(text + len, sizeof text - len, ",\"%s\":%s", member, value);
    }
    (void)snprintf(text + len, sizeof text - len, "}");
    qr_err e = read_all(text, &g, &j);
    qr_json_clear(&j);
    return e;
}

static void
test_fields(void **state)
{
    static const struct {
        const char *member, *value;
        qr_err e;
        const char *why;
    } cases[] = {
        {"n", "2", QR_OK, ""},
        {"n", "10", QR_OK, ""},
        {"n", "1", QR_ERR_MALFORMED, "n: 1 is not between 2 and 10"},
        {"n", "11", QR_ERR_TOO_LARGE, "n: 11 is not between 2 and 10"},
        {"n", "\"5\"", QR_ERR_MALFORMED, "n: must be an integer"},
        {"n", "null", QR_ERR_MALFORMED, "n: must be an integer"},
        {"n", "true", QR_ERR_MALFORMED, "n: must be an integer"},
        {"n", NULL, QR_ERR_MALFORMED, "member \"n\" is missing"},
        {"flag", "false", QR_OK, ""},
        {"flag", NULL, QR_OK, ""},
        {"flag", "1", QR_ERR_MALFORMED, "flag: must be true or false"},
        {"flag", "null", QR_ERR_MALFORMED, "flag: must be true or false"},
        {"hex", "\"00FF10AA\"", QR_ERR_MALFORMED, "hex: must be lower-case hex"},
        {"hex", "\"00ff10ag\"", QR_ERR_MALFORMED, "hex: must be lower-case hex"},
        {"hex", "\"00ff10a\"", QR_ERR_MALFORMED, "hex: must have 8 hex digits, has 7 characters"},
        {"hex", "\"00ff10aa11\"", QR_ERR_MALFORMED,
         "hex: must have 8 hex digits, has 10 characters"},
        {"hex", "5", QR_ERR_MALFORMED, "hex: must be text"},
        {"name", "\"\"", QR_ERR_MALFORMED, "name: 0 bytes, at least 1 are needed"},
        {"name", "\"abcde\"", QR_ERR_TOO_LARGE, "name: 5 bytes, at most 4 are allowed"},
        {"name", "\"a b\"", QR_ERR_MALFORMED,
         "name: \"a b\" may hold only letters, digits, '.', '_' and '-'"},
        {"name", "\"a/b\"", QR_ERR_MALFORMED,
         "name: \"a/b\" may hold only letters, digits, '.', '_' and '-'"},
        {"id", "\"a.b\"", QR_ERR_MALFORMED,
         "id: \"a.b\" may hold only letters, digits, '_' and '-'"},
        {"text", "\"\"", QR_OK, ""},
        {"text", "\"\\u0007\"", QR_ERR_MALFORMED, "text: \"?\" may hold only printable ASCII"},
        {"text", "\"\xc3\xa9\"", QR_ERR_MALFORMED, "text: \"??\" may hold only printable ASCII"},
        {"utf8", "\"\xf0\x9f\x98\x80\"", QR_OK, ""},
        {"list", "[]", QR_ERR_MALFORMED, "list: 0 elements; 1 to 2 are allowed"},
        {"list", "[1,2,3]", QR_ERR_TOO_LARGE, "list: 3 elements; 1 to 2 are allowed"},
        {"list", "{}", QR_ERR_MALFORMED, "list: must be an array"},
        {"object", "[]", QR_ERR_MALFORMED, "object: must be an object"},
        {"object", "null", QR_ERR_MALFORMED, "object: must be an object"},
        {"more", "1", QR_ERR_UNKNOWN_FIELD, "unknown member \"more\""},
        {"N", "1", QR_ERR_UNKNOWN_FIELD, "unknown member \"N\""},
        {"x\\u0007\\\"y", "1", QR_ERR_UNKNOWN_FIELD, "unknown member \"x??y\""},
    };
    struct got g;
    struct qr_json j;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_err e = with(cases[i].member, cases[i].value);
        if (e != cases[i].e || strcmp(why, cases[i].why) != 0) {
            fail_msg("%s = %s: %s, \"%s\"", cases[i].member,
                     cases[i].value ? cases[i].value : "(absent)", qr_err_name(e), why);
        }
    }
    assert_int_equal(
        read_all("{\"n\":7,\"hex\":\"00ff10aa\",\"name\":\"a.b\",\"id\":\"a_-\",\"text\":\"a b\","
                 "\"utf8\":\"\\u00e9\",\"list\":[3,4],\"object\":{},\"skip\":1}",
                 &g, &j),
        QR_OK);
    assert_int_equal(g.n, 7);
    assert_int_equal(g.has_flag, 0);
    assert_memory_equal(g.hex, "\x00\xff\x10\xaa", 4);
    assert_true(qr_view_eq(g.name, qr_view_str("a.b")));
    assert_true(qr_view_eq(g.utf8, qr_view_str("\xc3\xa9")));
    assert_int_equal(qr_json_count(&g.list), 2);
    qr_json_clear(&j);
    qr_json_clear(&j); /* a cleared document, too */
}

/* The way to a place, through objects and arrays. */
static void
test_places(void **state)
{
    const char *text = "{\"requests\":{\"rules\":[{},{},{\"kinds\":[\"foo\"]}]}}";
    struct qr_json j;
    struct qr_json_at requests, rules, kinds;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field f1[] = {{"requests", QR_JSON_OBJECT, 0, 0, &requests, NULL},
                                       {.type = QR_JSON_END}};
    const struct qr_json_field f2[] = {{"rules", QR_JSON_ARRAY, 0, 9, &rules, NULL},
                                       {.type = QR_JSON_END}};
    const struct qr_json_field f3[] = {{"kinds", QR_JSON_ARRAY, 0, 9, &kinds, NULL},
                                       {.type = QR_JSON_END}};

    (void)state;
    assert_int_equal(qr_json_parse(&j, qr_view_str(text), 100, why, sizeof why), QR_OK);
    struct qr_json_at root = qr_json_root(&j);
    assert_int_equal(qr_json_fields(&root, f1), QR_OK);
    assert_int_equal(qr_json_fields(&requests, f2), QR_OK);
    struct qr_json_at rule = qr_json_elem(&rules, 2);
    assert_int_equal(qr_json_fields(&rule, f3), QR_OK);
    struct qr_json_at kind = qr_json_elem(&kinds, 0);
    assert_int_equal(qr_json_fail(&kind, QR_ERR_MALFORMED, "unknown kind \"%s\"",
                                  qr_quote(q, qr_view_str("foo"))),
                     QR_ERR_MALFORMED);
    assert_string_equal(why, "requests.rules[2].kinds[0]: unknown kind \"foo\"");
    qr_json_clear(&j);

    assert_string_equal(qr_quote(q, qr_view_str("0123456789012345678901234567890123456789")),
                        "0123456789012345678901234567890123456789");
    assert_string_equal(qr_quote(q, qr_view_str("01234567890123456789012345678901234567890")),
                        "0123456789012345678901234567890123456789...");
    assert_string_equal(qr_quote(q, qr_view_of("a\n\0\"\\\x7f\xff", 7)), "a??????");
}

static void
test_head(void **state)
{
    static const struct {
        const char *text;
        qr_err e, no_type;
        const char *why;
    } cases[] = {
        {"{\"v\":1,\"type\":\"quorate/x\"}", QR_OK, QR_OK, ""},
        {"{\"v\":2,\"type\":\"quorate/x\",\"new\":1}", QR_ERR_VERSION, QR_ERR_VERSION,
         "version 2 is not supported, only 1"},
        {"{\"v\":1,\"type\":\"quorate/y\"}", QR_ERR_MALFORMED, QR_OK,
         "this is a \"quorate/y\", not a \"quorate/x\""},
        {"{\"v\":1}", QR_ERR_MALFORMED, QR_OK, "\"type\" must be the text \"quorate/x\""},
        {"{\"v\":\"1\",\"type\":\"quorate/x\"}", QR_ERR_MALFORMED, QR_ERR_MALFORMED,
         "\"v\" must be the integer 1"},
        {"[]", QR_ERR_MALFORMED, QR_ERR_MALFORMED, "must be an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_json j;
        assert_int_equal(qr_json_parse(&j, qr_view_str(cases[i].text), 100, why, sizeof why),
                         QR_OK);
        struct qr_json_at root = qr_json_root(&j);
        assert_int_equal(qr_json_head(&root, NULL), cases[i].no_type);
        assert_int_equal(qr_json_head(&root, "quorate/x"), cases[i].e);
        assert_string_equal(why, cases[i].why);
        qr_json_clear(&j);
    }
}

/* An allocation that fails is told as such; jansson alone would drop a digit here and go on. */
static size_t gate_at, gate_count;

static int
gate(size_t n)
{
    (void)n;
    return ++gate_count != gate_at;
}

static void
test_no_memory_changes_no_text(void **state)
{
    static const char text[] =
        "{\"limit\":1234567890123456,\"name\":\"0123456789abcdef0123456789abcdef\"}";
    size_t refused = 0;

    (void)state;
    int met = 1;
    for (gate_at = 1; met; gate_at++) {
        struct qr_json j;
        gate_count = 0;
        qr_alloc_gate(gate);
        qr_err e = qr_json_parse(&j, qr_view_str(text), 100, why, sizeof why);
        qr_alloc_gate(NULL);
        met = gate_count >= gate_at;
        if (e != QR_OK) {
            assert_int_equal(e, QR_ERR_NO_MEMORY);
            assert_string_equal(why, "out of memory");
            refused++;
            continue;
        }
        struct qr_json_at root = qr_json_root(&j);
        uint64_t limit = 0;
        qr_view name = {NULL, 0};
        const struct qr_json_field fields[] = {
            {.name = "limit", .type = QR_JSON_U64, .ret = &limit, .max = UINT64_MAX},
            {.name = "name", .type = QR_JSON_TEXT, .ret = &name, .max = 64},
            {.type = QR_JSON_END},
        };
        assert_int_equal(qr_json_fields(&root, fields), QR_OK);
        assert_true(limit == 1234567890123456);
        assert_true(name.len == 32);
        qr_json_clear(&j);
    }
    assert_true(refused >= 8);
}

/*
 * The nth allocation fails, for strings of every length. jansson alone would drop the quote that ends a
 * string whose buffer is full, and read and write on behind it.
 */
static void
test_no_memory_at_the_end_of_a_string(void **state)
{
    static char text[1300] = "{\"name\":\"";
    const size_t head = strlen(text);
    (void)state;

    for (size_t len = 1; len < 1200; len++) {
        memset(text + head, 'x', len);
        memcpy(text + head + len, "\"}", 3);
        int met = 1;
        for (gate_at = 1; met; gate_at++) {
            struct qr_json j;
            gate_count = 0;
            qr_alloc_gate(gate);
            qr_err e = qr_json_parse(&j, qr_view_str(text), 100, why, sizeof why);
            qr_alloc_gate(NULL);
            met = gate_count >= gate_at;
            assert_int_equal(e, met ? QR_ERR_NO_MEMORY : QR_OK);
            if (e == QR_OK) {
                qr_json_clear(&j);
            }
        }
    }
}

/* The lines of every value of a document, asked for in order and against it. */
static void
test_lines(void **state)
{
    static const char text[] = "\n{ \"a\": true,\n"       /* 2 */
                               " \"b\": [1,\n"            /* 3 */
                               "  2, \"}\\\"],\", [\n"    /* 4 */
                               "  []], {\"x\":\n"         /* 5 */
                               "  true}\n],\n"            /* 6, 7 */
                               " \"\\u0063\"\n"           /* 8 */
                               " :\n true, \"d\": true}"; /* 10 */
    static const unsigned b_lines[] = {3, 4, 4, 4, 5};
    struct qr_json j;

    (void)state;
    assert_int_equal(qr_json_parse(&j, qr_view_str(text), 100, why, sizeof why), QR_OK);
    struct qr_json_at root = qr_json_root(&j);
    assert_int_equal(qr_json_line(&root), 2);
    assert_int_equal(qr_json_size(&root), 4);
    struct qr_json_at a = qr_json_member(&root, 0), b = qr_json_member(&root, 1),
                      c = qr_json_member(&root, 2), d = qr_json_member(&root, 3);
    assert_string_equal(c.name, "c");
    for (int round = 0; round < 3; round++) {
        assert_int_equal(qr_json_line(&d), 10);
        assert_int_equal(qr_json_line(&a), 2);
        assert_int_equal(qr_json_line(&c), 8);
        for (size_t i = 0; i < 5; i++) {
            size_t k = round % 2 ? i : 4 - i;
            struct qr_json_at e = qr_json_elem(&b, k);
            assert_int_equal(qr_json_line(&e), b_lines[k]);
        }
        struct qr_json_at e = qr_json_elem(&b, 4), x = qr_json_member(&e, 0);
        assert_int_equal(qr_json_line(&x), 5);
        struct qr_json_at f = qr_json_elem(&b, 3), g = qr_json_elem(&f, 0);
        assert_int_equal(qr_json_line(&g), 5);
        assert_int_equal(qr_json_line(&b), 3);
    }
    /* errors say them where the reader of the document wants that */
    struct qr_json_at e = qr_json_elem(&b, 4);
    assert_int_equal(qr_json_fail(&e, QR_ERR_MALFORMED, "no"), QR_ERR_MALFORMED);
    assert_string_equal(why, "b[4]: no");
    j.lines = 1;
    assert_int_equal(qr_json_fail(&e, QR_ERR_MALFORMED, "no"), QR_ERR_MALFORMED);
    assert_string_equal(why, "line 5: b[4]: no");
    assert_int_equal(qr_json_fail(&d, QR_ERR_MALFORMED, "no"), QR_ERR_MALFORMED);
    assert_string_equal(why, "line 10: d: no");
    assert_int_equal(qr_json_fail(&root, QR_ERR_MALFORMED, "no"), QR_ERR_MALFORMED);
    assert_string_equal(why, "line 2: no");
    qr_json_clear(&j);
    /* a member's name that is data is shown clean */
    assert_int_equal(qr_json_parse(&j, qr_view_str("{\"\\u001b[\":1}"), 9, why, sizeof why), QR_OK);
    root = qr_json_root(&j);
    a = qr_json_member(&root, 0);
    assert_int_equal(qr_json_fail(&a, QR_ERR_MALFORMED, "no"), QR_ERR_MALFORMED);
    assert_string_equal(why, "?[: no");
    qr_json_clear(&j);
}

/* Documents of other makers: any number, and a word of its own for a member that stands twice. */
static void
test_foreign(void **state)
{
    static const char *const taken[] = {
        "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":-2e-3}", "[1E2,0]", "{\"a\":\"-.e\"}",
    };
    static const struct {
        const char *text;
        qr_err e;
    } refused[] = {
        {"{\"a\":1,\"a\":1}", QR_ERR_DUPLICATE},
        {"{\"b\":{\"a\":1,\"\\u0061\":1}}", QR_ERR_DUPLICATE},
        {"{\"a\":-}", QR_ERR_MALFORMED},
        {"{\"a\":.5}", QR_ERR_MALFORMED},
        {"{\"a\":+1}", QR_ERR_MALFORMED},
        {"{\"a\":1e999}", QR_ERR_MALFORMED},
        {"-", QR_ERR_MALFORMED},
        {"{\"a\":\"\\u0000\"}", QR_ERR_MALFORMED},
        {"[[[[[[[[[1]]]]]]]]]", QR_ERR_TOO_LARGE},
        {"[1,2,3,4,5,6,7,8,9,10,11]", QR_ERR_TOO_LARGE},
        {"", QR_ERR_MALFORMED},
    };
    struct qr_json j;
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        assert_int_equal(qr_json_parse_foreign(&j, qr_view_str(taken[i]), 10, why, sizeof why),
                         QR_OK);
        qr_json_clear(&j);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        qr_view v = qr_view_str(refused[i].text);
        assert_int_equal(qr_json_parse_foreign(&j, v, 10, why, sizeof why), refused[i].e);
        assert_true(why[0] != 0);
    }
    /* Our own documents are read as ever. */
    assert_int_equal(qr_json_parse(&j, qr_view_str("{\"a\":-1}"), 10, why, sizeof why),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_json_parse(&j, qr_view_str("{\"a\":1,\"a\":1}"), 10, why, sizeof why),
                     QR_ERR_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_no_memory_changes_no_text),
        cmocka_unit_test(test_no_memory_at_the_end_of_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
