/* daemon/config: defaults, every kind of value, and the message for each way to get it wrong. */
#include "daemon/config.h"
#include "daemon/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PARTY_MIN                                                                                  \
    "[party]\nstate_dir = /var/lib/q\nlisten = tcp://127.0.0.1:7001\ncloud = aws\n"                \
    "operator = acme\ngateway_socket = /run/q/gw.sock\nadmin_socket = /run/q/admin.sock\n"
#define GATEWAY_MIN "[gateway]\nparty_socket = /run/q/gw.sock\n"

static char path[64];

static int
setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_config_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void
write_file(const void *p, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static qr_err
load(enum qr_config_role role, const char *text, void *ret, char *err, size_t cap)
{
    write_file(text, strlen(text));
    return qr_config_load(role, path, ret, err, cap);
}

static void
test_defaults(void **state)
{
    (void)state;
    struct qr_config_party p;
    struct qr_config_gateway g;
    char err[512];
    assert_int_equal(load(QR_CONFIG_PARTY, PARTY_MIN, &p, err, sizeof err), QR_OK);
    assert_string_equal(p.state_dir, "/var/lib/q");
    assert_string_equal(p.advertise, "tcp://127.0.0.1:7001");
    assert_string_equal(p.tee.platform, "sim");
    assert_string_equal(p.tee.tpm, "");
    assert_int_equal(p.tee.patience_ms, 5000);
    assert_int_equal(p.link, QR_CONFIG_LINK_NNG);
    assert_int_equal(p.sign.timeout_ms, 500);
    assert_int_equal(p.pool.batch, 16);
    assert_int_equal(p.log.level, QR_LOG_INFO);
    assert_int_equal(load(QR_CONFIG_GATEWAY, GATEWAY_MIN, &g, err, sizeof err), QR_OK);
    assert_string_equal(g.listen, "127.0.0.1:8440");
    assert_int_equal(g.header_max, 24 * 1024);
    assert_int_equal(g.answer_timeout_ms, 20000);
    assert_string_equal(g.tls_cert, "");
}

static void
test_values(void **state)
{
    (void)state;
    struct qr_config_party p;
    struct qr_config_gateway g;
    char err[512];
    assert_int_equal(
        load(QR_CONFIG_PARTY,
             "; a comment\n# another\r\n" PARTY_MIN
             "advertise = tcp://party-1.example:7001 ; as peers see it\nlink=sock\nzstd = 0\n"
             "[pool]\nlow = 0\nhigh = 10000\nstandby=0\nbatch = 8\n[sign]\ntimeout = 2s\n"
             "[log]\nlevel = debug\nformat = json",
             &p, err, sizeof err),
        QR_OK);
    assert_string_equal(p.advertise, "tcp://party-1.example:7001");
    assert_int_equal(p.link, QR_CONFIG_LINK_SOCK);
    assert_int_equal(p.zstd, 0);
    assert_int_equal(p.pool.low, 0);
    assert_int_equal(p.pool.high, 10000);
    assert_int_equal(p.pool.batch, 8);
    assert_int_equal(p.sign.timeout_ms, 2000);
    assert_int_equal(p.log.level, QR_LOG_DEBUG);
    assert_int_equal(p.log.format, QR_LOG_JSON);
    assert_int_equal(load(QR_CONFIG_GATEWAY,
                          GATEWAY_MIN
                          "listen = 0.0.0.0:443\ntls_cert = /c\ntls_key = /k\n"
                          "header_max = 64KiB\nidle_timeout = 10m\nanswer_timeout=100ms\n",
                          &g, err, sizeof err),
                     QR_OK);
    assert_int_equal(g.header_max, 65536);
    assert_int_equal(g.idle_timeout_ms, 600000);
    assert_int_equal(g.answer_timeout_ms, 100);
    assert_int_equal(
        load(QR_CONFIG_GATEWAY, GATEWAY_MIN "listen = [::1]:8440\n", &g, err, sizeof err), QR_OK);
}

/* Each refusal names the file, the line, the key, and what would be allowed. */
static void
test_refusals(void **state)
{
    (void)state;
    static const struct {
        enum qr_config_role role;
        const char *text;
        int line; /* 0: about the whole */
        const char *words[3];
    } cases[] = {
        /* fuzzed: the comment became the value, and a key that has a default was set */
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "tls_cert =; none\n", 3, {"[gateway] tls_cert", "\";\""}},
        {QR_CONFIG_PARTY, PARTY_MIN "advertise = tcp://a:1;b\n", 8, {"advertise", "\";\""}},
        {QR_CONFIG_PARTY, PARTY_MIN "colour = red\n", 8, {"[party] colour", "no key", "state_dir"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[poool]\nlow = 1\n", 8, {"[poool]", "no section", "pool"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[empty]\n", 8, {"[empty]", "no section", "sign"}},
        {QR_CONFIG_PARTY, "[party]\ncloud = two words\n", 2, {"[party] cloud", "letters, digits"}},
        {QR_CONFIG_PARTY, PARTY_MIN "cloud = gcp\n", 8, {"[party] cloud", "twice"}},
        {QR_CONFIG_PARTY, "x = 1\n" PARTY_MIN, 1, {"x", "before the first"}},
        {QR_CONFIG_PARTY,
         PARTY_MIN "[sign]\ntimeout = 500\n",
         9,
         {"[sign] timeout", "\"500\"", "unit"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[sign]\ntimeout = 5h\n", 9, {"[sign] timeout", "ms, s, m"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[sign]\ntimeout = 61s\n", 9, {"[sign] timeout", "10ms to 1m"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[sign]\ntimeout = 99999999999999999999s\n", 9, {"timeout"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[sign]\ntimeout = 0x10s\n", 9, {"timeout"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[pool]\nlow = -1\n", 9, {"[pool] low", "0 to 10000"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[pool]\nlow = 010\n", 9, {"[pool] low"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[pool]\nlow = 1e3\n", 9, {"[pool] low"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[pool]\nlow = \n", 9, {"[pool] low"}},
        {QR_CONFIG_PARTY,
         PARTY_MIN "[tee]\nplatform = sgx\n",
         9,
         {"[tee] platform", "sim or nitro or snp or tdx or azure-vtpm or gcp-vtpm"}},
        {QR_CONFIG_PARTY, PARTY_MIN "tee = sim\n", 8, {"[party] tee is no key"}},
        {QR_CONFIG_PARTY, PARTY_MIN "just words\n", 8, {"neither"}},
        {QR_CONFIG_PARTY, PARTY_MIN "  continued\n", 8, {"twice"}},
        {QR_CONFIG_PARTY, "[party]\nlisten = tcp://127.0.0.1:1\n", 0, {"state_dir", "required"}},
        {QR_CONFIG_PARTY,
         PARTY_MIN "[pool]\nlow = 100\nhigh = 50\n",
         0,
         {"[pool] high", "low = 100"}},
        {QR_CONFIG_PARTY, PARTY_MIN "[pool]\nbatch = 6\n", 0, {"batch", "4, 8, 12 or 16"}},
        {QR_CONFIG_GATEWAY, "[gateway]\nlisten = 127.0.0.1:1\n", 0, {"party_socket", "required"}},
        {QR_CONFIG_GATEWAY,
         GATEWAY_MIN "listen = 0.0.0.0:80\n",
         0,
         {"loopback", "plain HTTP", "tls_cert"}},
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "listen = localhost:80\n", 0, {"listen", "numeric"}},
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "listen = 127.0.0.1:65536\n", 0, {"listen"}},
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "tls_cert = /c\n", 0, {"tls_cert and tls_key"}},
        {QR_CONFIG_GATEWAY,
         GATEWAY_MIN "metrics_listen = 10.0.0.1:1\n",
         0,
         {"metrics_listen", "loopback"}},
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "header_max = 1KiB\n", 3, {"header_max", "4KiB to 64KiB"}},
        {QR_CONFIG_GATEWAY, GATEWAY_MIN "max_per_ip = 5000\n", 0, {"max_per_ip = 5000"}},
        {QR_CONFIG_GATEWAY, PARTY_MIN, 1, {"[party]", "no section of quorate-gateway", "gateway"}},
    };
    union {
        struct qr_config_party p;
        struct qr_config_gateway g;
    } c;
    char err[768], where[96];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err[0] = '\0';
        qr_err e = load(cases[i].role, cases[i].text, &c, err, sizeof err);
        if (e != QR_ERR_CONFIG) {
            fail_msg("case %zu was not refused", i);
        }
        if (cases[i].line) {
            snprintf(where, sizeof where, "%s:%d: ", path, cases[i].line);
        } else {
            snprintf(where, sizeof where, "%s: ", path);
        }
        if (strncmp(err, where, strlen(where)) != 0) {
            fail_msg("case %zu: \"%s\" does not begin with \"%s\"", i, err, where);
        }
        for (int w = 0; w < 3 && cases[i].words[w]; w++) {
            if (!strstr(err, cases[i].words[w])) {
                fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err, cases[i].words[w]);
            }
        }
    }
}

static void
test_bytes(void **state)
{
    (void)state;
    struct qr_config_gateway g;
    char err[512];
    char text[1024];
    static const char nul[] = GATEWAY_MIN "listen = 127.0.0.1:1\0\n";
    write_file(nul, sizeof nul - 1);
    assert_int_equal(qr_config_load(QR_CONFIG_GATEWAY, path, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, "0x00"));
    /* A line that the parser's buffer would cut in two. */
    int n = snprintf(text, sizeof text, GATEWAY_MIN "tls_cert = ");
    memset(text + n, 'a', 300);
    text[n + 300] = '\0';
    assert_int_equal(load(QR_CONFIG_GATEWAY, text, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, ":3: line is longer than"));
    /* A path of exactly the longest length, and one more. */
    n = snprintf(text, sizeof text, "[gateway]\nparty_socket = ");
    memset(text + n, 'a', 107);
    text[n + 107] = '\0';
    assert_int_equal(load(QR_CONFIG_GATEWAY, text, &g, err, sizeof err), QR_OK);
    text[n + 107] = 'a';
    text[n + 108] = '\0';
    assert_int_equal(load(QR_CONFIG_GATEWAY, text, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, "1 to 107 characters"));
    /* Names: the longest, and one more. */
    struct qr_config_party party;
    for (int extra = 0; extra < 2; extra++) {
        n = snprintf(text, sizeof text, "%s",
                     "[party]\nstate_dir = /s\nlisten = tcp://127.0.0.1:1\n"
                     "operator = o\ngateway_socket = /g\n"
                     "admin_socket = /a\ncloud = ");
        memset(text + n, 'c', QR_NAME_MAX);
        text[n + (int)QR_NAME_MAX - 1 + extra] = '\0';
        assert_int_equal(load(QR_CONFIG_PARTY, text, &party, err, sizeof err),
                         extra ? QR_ERR_CONFIG : QR_OK);
        assert_string_equal(party.operator_name, "o");
    }
    /* No file, and a short buffer for the reason. */
    assert_int_equal(qr_config_load(QR_CONFIG_GATEWAY, "/nonexistent/x", &g, err, sizeof err),
                     QR_ERR_CONFIG);
    assert_non_null(strstr(err, "/nonexistent/x: cannot be opened"));
    assert_int_equal(qr_config_load(QR_CONFIG_GATEWAY, "/nonexistent/x", &g, err, 8),
                     QR_ERR_CONFIG);
    assert_int_equal(strlen(err), 7);
}

/* What is printed parses to the same configuration; the default file is complete but for the required. */
static void
test_print(void **state)
{
    (void)state;
    struct qr_config_party p, again;
    char err[512];
    assert_int_equal(load(QR_CONFIG_PARTY,
                          PARTY_MIN
                          "[pool]\nlow = 7\nhigh = 9\nstandby = 5\n[sign]\ntimeout = 1500ms\n",
                          &p, err, sizeof err),
                     QR_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    qr_config_print(QR_CONFIG_PARTY, &p, f);
    fclose(f);
    assert_int_equal(qr_config_load(QR_CONFIG_PARTY, path, &again, err, sizeof err), QR_OK);
    assert_memory_equal(&p, &again, sizeof p);

    f = fopen(path, "w");
    assert_non_null(f);
    qr_config_print(QR_CONFIG_GATEWAY, NULL, f);
    fputs("party_socket = /x\n", f); /* lands in [log], the last section */
    fclose(f);
    struct qr_config_gateway g;
    assert_int_equal(qr_config_load(QR_CONFIG_GATEWAY, path, &g, err, sizeof err), QR_ERR_CONFIG);
    assert_non_null(strstr(err, "[log] party_socket is no key"));
}

static int
run_main(enum qr_config_role role, const char *a, const char *b, const char *c)
{
    static union {
        struct qr_config_party party;
        struct qr_config_gateway gateway;
    } cfg;
    char name[] = "test", one[128], two[128], three[128];
    char *argv[] = {name, one, two, three, NULL};
    snprintf(one, sizeof one, "%s", a ? a : "");
    snprintf(two, sizeof two, "%s", b ? b : "");
    snprintf(three, sizeof three, "%s", c ? c : "");
    int argc = c ? 4 : b ? 3 : a ? 2 : 1;
    argv[argc] = NULL;
    return qr_config_main(role, argc, argv, &cfg);
}

static void
test_main(void **state)
{
    (void)state;
    fflush(stdout);
    fflush(stderr);
    int keep1 = dup(1), keep2 = dup(2), null = open("/dev/null", O_WRONLY);
    assert_true(keep1 >= 0 && keep2 >= 0 && null >= 0);
    dup2(null, 1);
    dup2(null, 2);
    write_file(PARTY_MIN, strlen(PARTY_MIN));
    int good = run_main(QR_CONFIG_PARTY, "--config", path, "--check-config");
    int start = run_main(QR_CONFIG_PARTY, "-c", path, NULL);
    int wrong_role = run_main(QR_CONFIG_GATEWAY, "--config", path, "--check-config");
    int print = run_main(QR_CONFIG_GATEWAY, "--print-default-config", NULL, NULL);
    int version = run_main(QR_CONFIG_GATEWAY, "--version", NULL, NULL);
    int help = run_main(QR_CONFIG_PARTY, "--help", NULL, NULL);
    int unknown = run_main(QR_CONFIG_PARTY, "--frobnicate", NULL, NULL);
    int extra = run_main(QR_CONFIG_PARTY, "-c", path, "extra");
    fflush(stdout);
    fflush(stderr);
    dup2(keep1, 1);
    dup2(keep2, 2);
    close(keep1);
    close(keep2);
    close(null);
    assert_int_equal(good, QR_EXIT_OK);
    assert_int_equal(start, -1);
    assert_int_equal(wrong_role, QR_EXIT_CONFIG);
    assert_int_equal(print, QR_EXIT_OK);
    assert_int_equal(version, QR_EXIT_OK);
    assert_int_equal(help, QR_EXIT_OK);
    assert_int_equal(unknown, QR_EXIT_USAGE);
    assert_int_equal(extra, QR_EXIT_USAGE);
    qr_log_init(QR_LOG_INFO, QR_LOG_AUTO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_print, setup, teardown),
        cmocka_unit_test_setup_teardown(test_main, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
