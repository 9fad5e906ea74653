/*
 * The pump's configuration: the files that are shipped, what is refused and why, places as text and back.
 */
#include "enclave-shim/pump/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/limits.h"

static struct qr_pump_conf c;
static char err[512];

static void
test_shipped(void **state)
{
    (void)state;
    if (qr_pump_conf_load(QR_PUMP_INSIDE, "deploy/nitro/pump-inside.conf", &c, err, sizeof err) !=
        QR_OK) {
        fail_msg("%s", err);
    }
    assert_int_equal(c.at.kind, QR_ENDPOINT_VSOCK);
    assert_int_equal(c.at.cid, 3);
    assert_int_equal(c.way, QR_PUMP_DIAL);
    for (unsigned i = 1; i <= QR_MAX_PARTIES; i++) {
        assert_int_equal(c.route[i].way, QR_PUMP_LISTEN);
        assert_int_equal(c.route[i].at.port, 7100 + i); /* [link] via = 127.0.0.1:7100 */
    }
    struct qr_pump_conf in = c;
    if (qr_pump_conf_load(QR_PUMP_OUTSIDE, "deploy/nitro/pump-outside.conf", &c, err, sizeof err) !=
        QR_OK) {
        fail_msg("%s", err);
    }
    assert_int_equal(c.document.way, QR_PUMP_LISTEN);
    /* The halves fit: where one listens the other dials. */
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        assert_true(c.route[i].way == QR_PUMP_NOWHERE || in.route[i].way != c.route[i].way);
        assert_true(c.route[i].way == QR_PUMP_NOWHERE || in.route[i].way != QR_PUMP_NOWHERE);
    }
    assert_int_equal(in.at.port, c.at.port);
    assert_int_equal(qr_pump_conf_load(QR_PUMP_INSIDE, "/nowhere/at/all", &c, err, sizeof err),
                     QR_ERR_CONFIG);
    assert_non_null(strstr(err, "cannot be opened"));
}

#define PUMP "[pump]\ndial = vsock:3:7000\n"
#define ROUTE "[route 1]\nlisten = tcp:127.0.0.1:1\n"

static void
test_refused(void **state)
{
    static const struct {
        enum qr_pump_side side;
        const char *text, *why;
    } cases[] = {
        {QR_PUMP_INSIDE, "", "needs dial or listen"},
        {QR_PUMP_INSIDE, PUMP, "no [route N]"},
        {QR_PUMP_INSIDE, ROUTE, "needs dial or listen"},
        {QR_PUMP_INSIDE, "dial = vsock:3:1\n", "1: dial stands before any section"},
        {QR_PUMP_INSIDE, "[pump\n", "a section is [NAME]"},
        {QR_PUMP_INSIDE, "[pumps]\n", "[pumps] is unknown"},
        {QR_PUMP_INSIDE, "[route 64]\n", "[route 64] is unknown"},
        {QR_PUMP_INSIDE, "[route 01]\n", "[route 01] is unknown"},
        {QR_PUMP_INSIDE, PUMP "[pump]\n", "3: [pump] stands twice"},
        {QR_PUMP_INSIDE, PUMP ROUTE "[route 1]\n", "[route 1] stands twice"},
        {QR_PUMP_INSIDE, PUMP "listen = vsock:3:1\n", "takes one of them"},
        {QR_PUMP_INSIDE, PUMP "trunks = 5\n", "a number from 1 to 4"},
        {QR_PUMP_INSIDE, PUMP "trunks = 1\ntrunks = 1\n", "trunks stands twice"},
        {QR_PUMP_INSIDE, PUMP "color = red\n", "color is unknown"},
        {QR_PUMP_INSIDE, PUMP "nonsense\n", "neither [section] nor key"},
        {QR_PUMP_INSIDE, PUMP "\x01\n", "byte 0x01"},
        {QR_PUMP_INSIDE, PUMP ROUTE "streams = 0\n", "a number from 1 to 32"},
        {QR_PUMP_INSIDE, PUMP ROUTE "trunk = 1\n", "there are 1 trunks"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\n", "neither listen nor dial"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\ndial = tcp:10.0.0.1:443\n", "must be a loopback address"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\ndial = tcp:example.net:443\n", "must be a loopback"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\nlisten = tcp:0.0.0.0:443\n", "must be a loopback"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\nlisten = vsock:3:1\n", "tcp: or unix: only"},
        {QR_PUMP_INSIDE, PUMP "[route 1]\ndial = tcp:127.0.0.1:0\n", "a port from 1"},
        {QR_PUMP_OUTSIDE, PUMP "[route 1]\nlisten = tcp:example.net:443\n", "numeric address"},
        {QR_PUMP_OUTSIDE, "[pump]\ndial = tcp:127.0.0.1:1\n" ROUTE, "vsock:, hybrid: or unix:"},
        {QR_PUMP_OUTSIDE, "[pump]\ndial = vsock:any:1\n" ROUTE, "a CID is needed"},
        {QR_PUMP_OUTSIDE, "[pump]\ndial = unix:/a\ntrunks = 2\n" ROUTE, "unix: has one"},
        {QR_PUMP_INSIDE, PUMP ROUTE "[document]\n", "outside half's"},
        {QR_PUMP_OUTSIDE, PUMP ROUTE "[document]\n", "needs listen and file"},
        {QR_PUMP_OUTSIDE, PUMP ROUTE "[document]\nfile = x\n", "an absolute path"},
        {QR_PUMP_OUTSIDE, PUMP ROUTE "[document]\ndial = unix:/x\n", "listen and file"},
        {QR_PUMP_OUTSIDE, PUMP ROUTE "[document]\nfile = /x\nlisten = tcp:127.0.0.1:1\n",
         "are allowed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err[0] = 0;
        if (qr_pump_conf_parse(cases[i].side, "file", qr_view_str(cases[i].text), &c, err,
                               sizeof err) != QR_ERR_CONFIG ||
            !strstr(err, cases[i].why) || strncmp(err, "file:", 5) != 0) {
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, err, cases[i].why);
        }
    }
}

static void
test_places(void **state)
{
    static const char *const good[] = {
        "vsock:3:7000",      "vsock:any:1",   "hybrid:/run/vm.sock:7000", "unix:/run/x",
        "tcp:127.0.0.1:443", "tcp:[::1]:443", "tcp:a-b.example.net:9440",
    };
    static const char *const bad[] = {
        "",
        "vsock:",
        "vsock:3",
        "vsock:3:",
        "vsock:03:1",
        "vsock:4294967295:1",
        "vsock:-1:1",
        "vsock:3:1:1",
        "hybrid:run:1",
        "hybrid:/run",
        "hybrid:/run:1x",
        "unix:",
        "unix:relative",
        "unix:/with space",
        "tcp:127.0.0.1",
        "tcp:127.1:1",
        "tcp:010.0.0.1:1",
        "tcp:127.0.0.1:65536",
        "tcp::1:1",
        "udp:127.0.0.1:1",
        "unix:/"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
        "5678901234567890",
    };
    char text[QR_ENDPOINT_TEXT_MAX];
    struct qr_endpoint e;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_endpoint_parse(good[i], &e), QR_OK);
        qr_endpoint_text(&e, text);
        assert_string_equal(text, good[i]);
        assert_int_equal(qr_endpoint_is_name(&e), i == 6);
        assert_int_equal(qr_endpoint_is_loopback(&e), i == 4 || i == 5);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_endpoint_parse(bad[i], &e) != QR_ERR_ADDRESS) {
            fail_msg("\"%s\" is no place", bad[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
