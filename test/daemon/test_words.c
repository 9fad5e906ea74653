/*
 * Words: a corpus of requests with the texts that people read for them, which the approvers' page is
 * held to as well; what does not fit is refused, never shortened in silence; every failing allocation.
 */
#include "daemon/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"

#include <dirent.h>
#include <stdio.h>

#define FOLDER "test/clients/words"
#define WORDS_MAX (1024u * 1024u)

static char why[256];
static struct qr_request request;

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
    qr_request_clear(&request);
    return 0;
}

static size_t
slurp(const char *name, const char *ending, char *out, size_t cap)
{
    char path[512];
    (void)snprintf(path, sizeof path, FOLDER "/%s%s", name, ending);
    FILE *f = fopen(path, "r");
    if (!f) {
        fail_msg("%s cannot be read", path);
        return 0;
    }
    size_t n = fread(out, 1, cap - 1, f);
    assert_int_equal(fclose(f), 0);
    out[n] = 0;
    return n;
}

static void
words_of(const char *body, size_t len, const char *client, struct qr_dbuf *out)
{
    why[0] = 0;
    if (qr_request_parse(qr_view_of(body, len), &request, why, sizeof why) != QR_OK) {
        fail_msg("%.80s: %s", body, why);
    }
    qr_dbuf_init(out, WORDS_MAX);
    assert_int_equal(qr_words(&request, client, out), QR_OK);
}

static void
test_corpus(void **state)
{
    static char body[QR_BODY_MAX], text[WORDS_MAX];
    struct qr_dbuf d;
    DIR *dir = opendir(FOLDER);
    unsigned n = 0;

    (void)state;
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char name[256];
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)(dot - e->d_name), e->d_name);
        size_t len = slurp(name, ".json", body, sizeof body);
        size_t want = slurp(name, ".txt", text, sizeof text);
        words_of(body, len, NULL, &d);
        if (d.len != want || memcmp(d.p, text, want) != 0) {
            fail_msg("%s reads otherwise:\n%.*s", name, (int)d.len, (const char *)d.p);
        }
        for (size_t i = 0; i < d.len; i++) {
            assert_true(d.p[i] == '\n' || (d.p[i] >= 0x20 && d.p[i] < 0x7f));
        }
        qr_dbuf_free(&d);
        n++;
    }
    assert_int_equal(closedir(dir), 0);
    assert_true(n >= 30); /* the corpus was found */
}

/* The corpus shows a request without a client's name; with one it differs in that line alone. */
static void
test_client(void **state)
{
    static char body[QR_BODY_MAX];
    size_t len = slurp("digest", ".json", body, sizeof body);
    struct qr_dbuf d;

    (void)state;
    words_of(body, len, "ops-1", &d);
    assert_int_equal(qr_dbuf_append(&d, "", 1), QR_OK);
    assert_non_null(strstr((const char *)d.p, "\nasked by: ops-1\n"));
    qr_dbuf_free(&d);
}

static void
test_chains(void **state)
{
    (void)state;
    assert_string_equal(qr_chain_name(1), "Ethereum");
    assert_string_equal(qr_chain_name(11155111), "Sepolia, a test chain");
    assert_null(qr_chain_name(0));
    assert_null(qr_chain_name(2));
    assert_null(qr_chain_name(UINT64_MAX));
}

/* Every length that is too short for the words, and every allocation that fails. */
static unsigned left;

static int
gate(size_t n)
{
    (void)n;
    left -= left > 0;
    return left > 0;
}

static void
test_no_room(void **state)
{
    static char body[QR_BODY_MAX];
    static const char *const names[] = {"typed", "btc", "eth_unknown", "message_lines"};
    struct qr_dbuf d;

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        words_of(body, slurp(names[k], ".json", body, sizeof body), NULL, &d);
        size_t whole = d.len;
        qr_dbuf_free(&d);
        for (size_t max = 0; max < whole; max += 1 + max / 64) {
            qr_dbuf_init(&d, max);
            assert_int_equal(qr_words(&request, NULL, &d), QR_ERR_TOO_LARGE);
            assert_true(d.len <= max);
            qr_dbuf_free(&d);
        }
        qr_err e = QR_ERR_NO_MEMORY;
        for (unsigned n = 0; e != QR_OK; n++) {
            qr_dbuf_init(&d, WORDS_MAX);
            left = n;
            qr_alloc_gate(gate);
            e = qr_words(&request, NULL, &d);
            qr_alloc_gate(NULL);
            qr_dbuf_free(&d);
            assert_true((e == QR_OK || e == QR_ERR_NO_MEMORY) && n < 100);
        }
    }
}

/* A document of typed data, hostile to whoever shows it; item 0 of a request that no parser saw. */
static qr_err
typed_words(const char *json, struct qr_dbuf *d)
{
    static struct qr_request q;

    memset(&q, 0, sizeof q);
    q.n_items = 1;
    q.items[0].kind = QR_KIND_EIP712;
    q.items[0].preimage = qr_view_str(json);
    qr_dbuf_init(d, WORDS_MAX);
    qr_err e = qr_words(&q, NULL, d);
    if (e == QR_OK) {
        assert_int_equal(qr_dbuf_append(d, "", 1), QR_OK);
    }
    return e;
}

static void
test_typed_walk(void **state)
{
    static const struct {
        const char *json, *line; /* NULL: cannot be shown */
    } cases[] = {
        {"{\"message\":{\"a\":1}}", "\nmessage.a: 1\n"},
        {" {\n\"types\" : { \"message\" : [ { } , \"}\\\"\" ] } ,\t\"message\"\r:{ \"a\" : [ 1 ,2 "
         "] }"
         "}",
         "\nmessage.a[0]: 1\nmessage.a[1]: 2\n"},
        {"{\"message\":[[1,[2]],{\"b\":null}]}",
         "\nmessage[0][0]: 1\nmessage[0][1][0]: 2\nmessage[1].b: null\n"},
        {"{\"message\":{}}", "\nmessage: {}\n"},
        {"{\"message\":{\"a\":{},\"b\":[],\"c\":\"\"}}",
         "\nmessage.a: {}\nmessage.b: []\nmessage.c: \"\"\n"},
        {"{\"message\":{\"\\u0061\\u00e9 .b\":\"\\ud83d\\ude00\\b\\/\"}}",
         "\nmessage.a\\x{c3}\\x{a9}\\x{20}\\x{2e}b: \"\\u{1f600}\\u{8}/\"\n"},
        {"{\"message\":{\"a\":-1.5e3,\"b\":true}}", "\nmessage.a: -1.5e3\nmessage.b: true\n"},
        /* what the parser would not have let through is refused, or at least ends */
        {"", NULL},
        {"{", NULL},
        {"[]", NULL},
        {"{\"message\"", NULL},
        {"{\"message\":", NULL},
        {"{\"message\":{", NULL},
        {"{\"message\":{\"a\"}}", NULL},
        {"{\"message\":{\"a\":}}", NULL},
        {"{\"message\":{\"a\":\"x}}", NULL},
        {"{\"message\":{\"a\":1", NULL},
        {"{\"message\":{\"a\":1;}}", NULL},
        {"{\"types\":[", NULL},
        {"{\"types\":\"\\", NULL},
    };
    struct qr_dbuf d;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_err e = typed_words(cases[i].json, &d);
        if (cases[i].line ? e != QR_OK || !strstr((const char *)d.p, cases[i].line)
                          : e != QR_ERR_TOO_LARGE) {
            fail_msg("%s: %d, %.*s", cases[i].json, (int)e, (int)d.len, (const char *)d.p);
        }
        qr_dbuf_free(&d);
    }
}

static void
test_typed_depth(void **state)
{
    char json[1024];
    struct qr_dbuf d;

    (void)state;
    /* the root is a level, too */
    for (size_t depth = 60; depth < 68; depth++) {
        size_t n = (size_t)snprintf(json, sizeof json, "{\"message\":");
        memset(json + n, '[', depth);
        json[n + depth] = '1';
        memset(json + n + depth + 1, ']', depth);
        json[n + 2 * depth + 1] = '}';
        json[n + 2 * depth + 2] = 0;
        assert_int_equal(typed_words(json, &d), depth <= 63 ? QR_OK : QR_ERR_TOO_LARGE);
        qr_dbuf_free(&d);
    }
    /* a name that is too long for its line */
    size_t n = (size_t)snprintf(json, sizeof json, "{\"message\":{\"");
    memset(json + n, 'n', 300);
    (void)snprintf(json + n + 300, sizeof json - n - 300, "\":1}}");
    assert_int_equal(typed_words(json, &d), QR_ERR_TOO_LARGE);
    qr_dbuf_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus),     cmocka_unit_test(test_client),
        cmocka_unit_test(test_chains),     cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_typed_walk), cmocka_unit_test(test_typed_depth),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
