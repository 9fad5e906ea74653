/* daemon/userdata: what the quorate: map gives, what is ignored, and every refusal with its line. */
#include "daemon/userdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "#cloud-config\n"
#define PARTY                                                                                      \
    "quorate:\n  party:\n    listen: 0.0.0.0:9440\n    cloud: gcp\n    operator: example\n"

static struct qr_userdata u;
static char err[QR_USERDATA_ERR_MAX];

static qr_err
parse(const char *text)
{
    err[0] = '\0';
    return qr_userdata_parse((const uint8_t *)text, strlen(text), &u, err);
}

/* Refused with e, and words in the text. *ret stays as it was. */
static void
refused(const char *text, qr_err e, const char *words)
{
    struct qr_userdata before;
    memset(&u, 0x5a, sizeof u);
    before = u;
    qr_err got = parse(text);
    if (got != e || !strstr(err, words)) {
        fail_msg("%s: %s, \"%s\"; expected %s, \"%s\"", text, qr_err_name(got), err, qr_err_name(e),
                 words);
    }
    assert_memory_equal(&u, &before, sizeof u);
    for (const char *c = err; *c; c++) {
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
    }
}

static void
accepted(const char *text)
{
    if (parse(text) != QR_OK) {
        fail_msg("%s: %s", text, err);
    }
}

static void
test_reads(void **state)
{
    (void)state;
    accepted("#cloud-config\n"
             "# a comment\n"
             "quorate: # ours\n"
             "\n"
             "  party:   # a section\n"
             "    listen: \"[::]:9440\"\n"
             "# at the margin\n"
             "    advertise: 'party-1.example.net:9440'   # and here\n"
             "    cloud: gcp\n"
             "        # deep\n"
             "    operator: Example_Inc.\n"
             "  sign:\n"
             "    timeout: 750ms\n"
             "  collateral:\n"
             "    amd_kds: https://mirror.example.net:8443/kds\n"
             "  documents:\n"
             "    roster: https://example.net/roster.json?v=1\n"
             "  network:\n"
             "    dns: 10.0.0.2\n"
             "  routes:\n"
             "    7001: b.example.net:9440\n"
             "    7002: 10.1.2.3:9440");
    assert_string_equal(qr_userdata_get(&u, "party", "listen"), "[::]:9440");
    assert_string_equal(qr_userdata_get(&u, "party", "advertise"), "party-1.example.net:9440");
    assert_string_equal(qr_userdata_get(&u, "party", "operator"), "Example_Inc.");
    assert_string_equal(qr_userdata_get(&u, "sign", "timeout"), "750ms");
    assert_string_equal(qr_userdata_get(&u, "documents", "roster"),
                        "https://example.net/roster.json?v=1");
    assert_string_equal(qr_userdata_get(&u, "documents", "policy"), "");
    assert_null(qr_userdata_get(&u, "party", "state_dir"));
    assert_int_equal(u.n_routes, 2);
    assert_int_equal(u.route[1].number, 7002);
    assert_string_equal(u.route[0].to, "b.example.net:9440");
}

/* What cloud-init would obey, and bytes that no YAML parser takes. */
static void
test_ignores_the_rest(void **state)
{
    (void)state;
    struct qr_userdata plain, other;
    static const char hostile[] = HEAD
        "runcmd: [touch /canary]\nbootcmd:\n  - touch /canary\nwrite_files:\n- path: /etc/x\n"
        "  content: |\n    quorate:\n      party:\n\tssh_authorized_keys: [k]\n\x01\xff\x00\r\n"
        "users: &a [*a]\n!!python/object:x\nquorated:\n" PARTY
        "swap:\n    listen: 6.6.6.6:1\n  party:\n    listen: 6.6.6.6:1\nvendor_data: {x: y}\n";
    accepted(HEAD PARTY);
    plain = u;
    assert_int_equal(qr_userdata_parse((const uint8_t *)hostile, sizeof hostile - 1, &other, err),
                     QR_OK);
    assert_memory_equal(&plain, &other, sizeof plain);
}

static void
test_documents(void **state)
{
    (void)state;
    static char big[QR_USERDATA_MAX + 2];
    refused("", QR_ERR_MALFORMED, "line 1: the first line must be #cloud-config");
    refused("#!/bin/sh\nquorate:\n", QR_ERR_MALFORMED, "scripts, MIME");
    refused("#cloud-config-archive\n", QR_ERR_MALFORMED, "first line");
    refused("\x1f\x8b\x08", QR_ERR_MALFORMED, "compressed");
    refused(" #cloud-config\n" PARTY, QR_ERR_MALFORMED, "first line");
    refused(HEAD, QR_ERR_MALFORMED, "no line of the user data is \"quorate:\"");
    refused(HEAD " quorate:\n", QR_ERR_MALFORMED, "no line");
    refused(HEAD PARTY PARTY, QR_ERR_DUPLICATE, "line 7: quorate: stands twice");
    refused(HEAD PARTY "runcmd: []\nquorate:\n", QR_ERR_DUPLICATE, "line 8: quorate: stands twice");
    refused(HEAD PARTY "---\n", QR_ERR_MALFORMED, "line 7: a document marker");
    refused(HEAD PARTY "...\n", QR_ERR_MALFORMED, "line 7: a document marker");
    accepted(HEAD "--- \n" PARTY);
    accepted("#cloud-config  \n" PARTY);
    accepted(HEAD "quorate:\n");
    memset(big, '#', sizeof big);
    memcpy(big, HEAD PARTY, sizeof HEAD PARTY - 1);
    big[QR_USERDATA_MAX] = '\0';
    big[sizeof HEAD PARTY - 1] = '\n';
    refused(big, QR_ERR_TOO_LARGE, "line 8: longer than 256");
    big[sizeof HEAD PARTY - 1] = 'x'; /* outside the map a line may be long */
    accepted(big);
    big[QR_USERDATA_MAX] = '#';
    big[QR_USERDATA_MAX + 1] = '\0';
    refused(big, QR_ERR_TOO_LARGE, "at most 65536");
}

static void
test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *map, *words;
    } bad[] = {
        {"quorate: {party: {}}\n", "line 2: quorate: is a map"},
        {"quorate: &a\n", "line 2: quorate: is a map"},
        {"quorate:x\n", "line 2: quorate: is a map"},
        {"quorate:\n\tparty:\n", "line 3: a tab"},
        {"quorate:\n  party:\t\n", "line 3: a tab"},
        {"quorate:\n  party:\r\n", "line 3: byte 0x0d"},
        {"quorate:\r\n", "line 2: byte 0x0d"},
        {"quorate:\n  # \xc3\xa9\n", "line 3: byte 0xc3"},
        {"quorate:\n   party:\n", "line 3: sections stand two"},
        {"quorate:\n      listen: 1.2.3.4:5\n", "line 3: sections stand two"},
        {"quorate:\n    listen: 1.2.3.4:5\n", "line 3: a key before the first section"},
        {"quorate:\n  - party\n", "line 3: a list"},
        {"quorate:\n  <<: *x\n", "line 3: a merge key"},
        {"quorate:\n  ? party\n", "line 3: not \"key:\""},
        {"quorate:\n  \"party\":\n", "line 3: not \"key:\""},
        {"quorate:\n  party :\n", "line 3: not \"key:\""},
        {"quorate:\n  Party:\n", "line 3: not \"key:\""},
        {"quorate:\n  party: gcp\n", "line 3: section party: its keys"},
        {"quorate:\n  party: &a\n", "line 3: section party: its keys"},
        {"quorate:\n  party:\n", "line 3: section party is empty"},
        {"quorate:\n  party:\n  log:\n    level: info\n", "line 3: section party is empty"},
    };
    char text[512];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, HEAD "%s", bad[i].map);
        refused(text, QR_ERR_MALFORMED, bad[i].words);
    }
    refused(HEAD "quorate:\n  policy:\n", QR_ERR_UNKNOWN_FIELD,
            "line 3: no section is named policy");
    refused(HEAD PARTY "    state_dir: x\n", QR_ERR_UNKNOWN_FIELD,
            "line 7: section party has no key");
    refused(HEAD PARTY "    tee: sim\n", QR_ERR_UNKNOWN_FIELD, "line 7");
    refused(HEAD PARTY "    admin_socket: x\n", QR_ERR_UNKNOWN_FIELD, "line 7");
    refused(HEAD PARTY "    cloud: aws\n", QR_ERR_DUPLICATE, "line 7: cloud stands twice in party");
    refused(HEAD PARTY "  party:\n", QR_ERR_DUPLICATE, "line 7: section party stands twice");
    refused(HEAD PARTY "  routes:\n    1: a:1\n  routes:\n    2: a:1\n", QR_ERR_DUPLICATE,
            "line 9: section routes stands twice");
    refused(HEAD PARTY "  routes:\n    1: a:1\n    1: b:1\n", QR_ERR_DUPLICATE, "route 1 stands");
}

/* What stands behind a key. */
static void
test_values(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"advertise:x:1", "a space must follow"},
        {"advertise:", "has no value on its line"},
        {"advertise: # none", "has no value on its line"},
        {"advertise: \"a:1", "the quote is not closed"},
        {"advertise: 'a:1\"", "the quote is not closed"},
        {"advertise: \"a\\u0031:1\"", "escapes"},
        {"advertise: \"a:1\" b", "something follows"},
        {"advertise: \"a:1\"# b", "something follows"},
        {"advertise: a: 1", "without quotes has no spaces"},
        {"advertise: a:1 b", "without quotes has no spaces"},
        {"advertise: a:", "a map in a key"},
        {"advertise: &x a:1", "an anchor"},
        {"advertise: *x", "an alias"},
        {"advertise: !!str a:1", "a tag"},
        {"advertise: [::1]:9440", "a flow collection"},
        {"advertise: {a: 1}", "a flow collection"},
        {"advertise: |", "a block of text"},
        {"advertise: >-", "a block of text"},
        {"advertise: - a", "begins with a letter or a digit"},
        {"advertise: @a:1", "begins with a letter or a digit"},
        {"advertise: \"\"", "is not HOST:PORT"},
        {"advertise: a", "is not HOST:PORT"},
        {"advertise: a:0", "is not HOST:PORT"},
        {"advertise: a:65536", "is not HOST:PORT"},
        {"advertise: a:01", "is not HOST:PORT"},
        {"advertise: -a:1", "begins with"},
        {"advertise: \"-a:1\"", "is not HOST:PORT"},
        {"advertise: a..b:1", "is not HOST:PORT"},
        {"advertise: a/b:1", "is not HOST:PORT"},
        {"advertise: \"a;b:1\"", "is not HOST:PORT"},
        {"advertise: tcp://a:1", "is not HOST:PORT"},
        {"advertise: \"[::1\"", "is not HOST:PORT"},
        {"advertise: \"[zz::]:1\"", "is not HOST:PORT"},
    };
    static const char *const wrong[] = {
        "gateway:\n    listen: localhost:80",
        "gateway:\n    listen: 1.2.3:80",
        "gateway:\n    listen: 1.2.3.256:80",
        "gateway:\n    listen: 1.2.3.04:80",
        "gateway:\n    listen: 1.2.3.4.5:80",
        "pool:\n    low: 0x10",
        "pool:\n    low: 1234567890",
        "pool:\n    low: 007",
        "pool:\n    low: \"\"",
        "sign:\n    timeout: 5",
        "sign:\n    timeout: 5h",
        "sign:\n    timeout: ms",
        "log:\n    level: \"in fo\"",
        "network:\n    dns: example.net",
        "network:\n    dns: 1.2.3.4:53",
        "documents:\n    roster: ftp://example.net/x",
        "documents:\n    roster: https://",
        "documents:\n    roster: https:///x",
        "documents:\n    roster: file:///etc",
        "documents:\n    roster: \"https://a/ b\"",
        "documents:\n    roster: https://a/#b",
        "documents:\n    roster: https://u@a/",
        "routes:\n    0: a:1",
        "routes:\n    65536: a:1",
        "routes:\n    01: a:1",
        "routes:\n    x: a:1",
        "routes:\n    1: a",
    };
    char text[1024];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, HEAD PARTY "    %s\n", bad[i].line);
        refused(text, QR_ERR_MALFORMED, bad[i].words);
        assert_non_null(strstr(err, "line 7: "));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)snprintf(text, sizeof text, HEAD PARTY "  %s\n", wrong[i]);
        refused(text, QR_ERR_MALFORMED, "line 8: ");
    }
    (void)snprintf(text, sizeof text, HEAD PARTY "    advertise: %0*d.example:1\n",
                   (int)QR_USERDATA_VALUE_MAX, 0);
    refused(text, QR_ERR_TOO_LARGE, "line 7: advertise: longer than 159");
}

static void
test_too_many_routes(void **state)
{
    (void)state;
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof text, HEAD PARTY "  routes:\n");
    for (unsigned i = 1; i <= QR_USERDATA_ROUTES_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "    %u: a:1\n", i);
    }
    accepted(text);
    assert_int_equal(u.n_routes, QR_USERDATA_ROUTES_MAX);
    (void)snprintf(text + n, sizeof text - n, "    99: a:1\n");
    refused(text, QR_ERR_TOO_LARGE, "more than 32 routes");
}

static void
test_conf(void **state)
{
    (void)state;
    static const struct qr_userdata_fixed fixed[] = {
        {"party", "state_dir", "/s"}, {"party", "cloud", "image"}, {"link", "via", "v"},
        {"log", "format", "json"},    {NULL, NULL, NULL},
    };
    static const struct qr_userdata_fixed none[] = {{NULL, NULL, NULL}};
    char out[QR_USERDATA_CONF_MAX];
    accepted(HEAD PARTY "    advertise: h:1\n  pool:\n    low: 4\n  gateway:\n    listen: "
                        "127.0.0.1:80\n  log:\n    level: warn\n  documents:\n    roster: "
                        "https://h/r\n");
    assert_int_equal(qr_userdata_conf(&u, QR_USERDATA_PARTY, fixed, out, sizeof out), QR_OK);
    /* The image's cloud, not the document's; the documents are nobody's configuration. */
    assert_string_equal(out, "[link]\nvia = v\n[party]\nstate_dir = /s\ncloud = image\n"
                             "listen = tcp://0.0.0.0:9440\nadvertise = tcp://h:1\n"
                             "operator = example\n[pool]\nlow = 4\n[log]\nformat = json\n"
                             "level = warn\n");
    assert_int_equal(qr_userdata_conf(&u, QR_USERDATA_GATEWAY, none, out, sizeof out), QR_OK);
    assert_string_equal(out, "[gateway]\nlisten = 127.0.0.1:80\n[log]\nlevel = warn\n");
    for (size_t cap = 0; cap <= strlen(out); cap++) {
        assert_int_equal(qr_userdata_conf(&u, QR_USERDATA_GATEWAY, none, out, cap),
                         QR_ERR_NO_SPACE);
    }
    accepted(HEAD "quorate:\n");
    assert_int_equal(qr_userdata_conf(&u, QR_USERDATA_GATEWAY, none, out, sizeof out), QR_OK);
    assert_string_equal(out, "");
}

/* Everything that the document can say at its longest fits the text and inih's lines. */
static void
test_conf_longest(void **state)
{
    (void)state;
    static const struct qr_userdata_fixed none[] = {{NULL, NULL, NULL}};
    char out[QR_USERDATA_CONF_MAX];
    memset(&u, 0, sizeof u);
    for (size_t i = 0; i < QR_USERDATA_KEYS; i++) {
        memset(u.value[i], 'x', QR_USERDATA_VALUE_MAX - 1);
    }
    for (int role = QR_USERDATA_PARTY; role <= QR_USERDATA_GATEWAY; role++) {
        assert_int_equal(qr_userdata_conf(&u, (enum qr_userdata_role)role, none, out, sizeof out),
                         QR_OK);
        assert_true(strlen(out) < sizeof out / 2);
        for (const char *line = out; *line; line += strcspn(line, "\n") + 1) {
            assert_true(strcspn(line, "\n") <= 197);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),     cmocka_unit_test(test_ignores_the_rest),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_too_many_routes),
        cmocka_unit_test(test_conf),      cmocka_unit_test(test_conf_longest),
    };
    return cmocka_run_group_tests_name("daemon/userdata", tests, NULL, NULL);
}
