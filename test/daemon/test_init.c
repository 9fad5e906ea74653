/*
 * What PID 1 of an enclave does beyond system calls: the heartbeat, a document of bounded size, the
 * configuration that comes of it, when something is started again.
 */
#include "daemon/init.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "test/common/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON 20    /* ms; for what must time out */
#define LATE 10000 /* ms; for what must not */

static void
connected(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

static void
test_heartbeat(void **state)
{
    static const struct {
        const char *answer; /* NULL: none */
        qr_err e;
    } cases[] = {{"\xb7", QR_OK}, {"\xb8", QR_ERR_MALFORMED}, {"", QR_ERR_LINK_CLOSED}};
    uint8_t beat = 0;
    int fd[2];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        connected(fd);
        assert_int_equal(send(fd[1], cases[i].answer, strlen(cases[i].answer), 0),
                         strlen(cases[i].answer));
        assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
        assert_int_equal(qr_init_heartbeat(fd[0], LATE), cases[i].e);
        assert_int_equal(recv(fd[1], &beat, 1, 0), 1);
        assert_int_equal(beat, 0xb7);
        (void)close(fd[0]);
        (void)close(fd[1]);
    }
    connected(fd);
    assert_int_equal(qr_init_heartbeat(fd[0], SOON), QR_ERR_TIMEOUT);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void
test_fetch(void **state)
{
    uint8_t out[16];
    size_t len = 77;
    int fd[2];

    (void)state;
    for (size_t n = 0; n <= sizeof out + 1; n++) {
        uint8_t bytes[sizeof out + 1] = {0x5a};
        connected(fd);
        assert_int_equal(send(fd[1], bytes, n, 0), n);
        (void)close(fd[1]);
        qr_err e = qr_init_fetch(fd[0], out, sizeof out, &len, LATE);
        assert_int_equal(e, n == 0            ? QR_ERR_LINK_CLOSED
                            : n <= sizeof out ? QR_OK
                                              : QR_ERR_TOO_LARGE);
        assert_int_equal(len, n == 0 ? 77 : n <= sizeof out ? n : sizeof out);
        (void)close(fd[0]);
    }
    connected(fd);
    assert_int_equal(send(fd[1], "x", 1, 0), 1); /* and never ends */
    assert_int_equal(qr_init_fetch(fd[0], out, sizeof out, &len, SOON), QR_ERR_TIMEOUT);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

#define DOCUMENT                                                                                   \
    "#cloud-config\nruncmd: [rm]\nquorate:\n  party:\n    listen: 0.0.0.0:9440\n"                  \
    "    advertise: party-1.example.net:9440\n    cloud: aws\n    operator: example\n"             \
    "  pool:\n    low: 4\n    high: 8\n    standby: 4\n"

static qr_err
make(const char *document, const char *image, char *out, char *why)
{
    return qr_init_config((const uint8_t *)document, strlen(document), image, out,
                          QR_USERDATA_CONF_MAX, why);
}

static void
test_config(void **state)
{
    static const char *const lines[] = {
        "listen = tcp://127.0.0.1:7000\n",
        "platform = nitro\n",
        "via = 127.0.0.1:7100\n",
        "operator = example\n",
        "low = 4\n",
        "admin_uid = 991\n",
        "state_dir = /run/quorate/state\n",
        "format = json\n",
        "cloud = aws\n",
        "socket = unix:///run/quorate/pump/store.sock\n",
    };
    char out[QR_USERDATA_CONF_MAX], why[QR_USERDATA_ERR_MAX] = "";
    struct qr_config_party c;
    struct tmpdir dir;
    char err[512];

    (void)state;
    assert_int_equal(make(DOCUMENT, "", out, why), QR_OK);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(out, lines[i])) {
            fail_msg("%s is missing in\n%s", lines[i], out);
        }
    }
    assert_null(strstr(out, "0.0.0.0"));
    assert_null(strstr(out, "runcmd"));
    /* quorated reads it. */
    tmpdir_new(&dir);
    tmpdir_write(tmpdir_file(&dir, "conf"), (const uint8_t *)out, strlen(out));
    qr_err e = qr_config_load(QR_CONFIG_PARTY, tmpdir_file(&dir, "conf"), &c, err, sizeof err);
    if (e != QR_OK) {
        fail_msg("%s\n%s", err, out);
    }
    assert_string_equal(c.via, "127.0.0.1:7100");
    assert_int_equal(c.admin_uid, 991);
    tmpdir_remove(&dir);
    /* The image's lines win over both. */
    assert_int_equal(make(DOCUMENT,
                          "# of this image\n[tee] platform = sim\n\n  [pool]low=5\n"
                          "[party] cloud = fixed\n",
                          out, why),
                     QR_OK);
    assert_non_null(strstr(out, "platform = sim\n"));
    assert_non_null(strstr(out, "low = 5\n"));
    assert_non_null(strstr(out, "cloud = fixed\n"));
    assert_null(strstr(out, "nitro"));
    assert_null(strstr(out, "low = 4\n"));
}

static void
test_config_refused(void **state)
{
    static const struct {
        const char *document, *image;
        qr_err e;
        const char *why;
    } cases[] = {
        {"", "", QR_ERR_MALFORMED, ""},
        {"#cloud-config\nquorate:\n  party:\n    state_dir: /x\n", "", QR_ERR_UNKNOWN_FIELD, ""},
        {DOCUMENT, "low = 4\n", QR_ERR_CONFIG, "fixed.conf:1: is not [section] key = value"},
        {DOCUMENT, "\n[pool] low\n", QR_ERR_CONFIG, "fixed.conf:2: is not"},
        {DOCUMENT, "[pool = low]\n", QR_ERR_CONFIG, "is not [section]"},
        {DOCUMENT, "[pool] low = 4\n[pool] low = 5\n", QR_ERR_CONFIG, "fixed.conf:2: stands twice"},
    };
    char out[QR_USERDATA_CONF_MAX], why[QR_USERDATA_ERR_MAX], many[QR_INIT_FIXED_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        why[0] = 0;
        qr_err e = make(cases[i].document, cases[i].image, out, why);
        if (e != cases[i].e || !strstr(why, cases[i].why)) {
            fail_msg("case %zu: %s: %s", i, qr_err_name(e), why);
        }
    }
    memset(many, '#', sizeof many);
    many[sizeof many - 1] = 0;
    assert_int_equal(make(DOCUMENT, many, out, why), QR_ERR_CONFIG);
    size_t n = 0;
    for (int i = 0; i < 33; i++) {
        n += (size_t)snprintf(many + n, sizeof many - n, "[x] k%d = 1\n", i);
    }
    assert_int_equal(make(DOCUMENT, many, out, why), QR_ERR_CONFIG);
    assert_non_null(strstr(why, "too many lines"));
    assert_int_equal(
        qr_init_config((const uint8_t *)DOCUMENT, sizeof DOCUMENT - 1, "", out, 64, why),
        QR_ERR_NO_SPACE);
}

static void
test_seed(void **state)
{
    uint8_t seed[QR_INIT_SEED + 1] = {1};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_int_equal(qr_init_seed(null, seed, sizeof seed), QR_ERR_USAGE);
    assert_int_equal(qr_init_seed(null, seed, QR_INIT_SEED), QR_ERR_PLATFORM); /* no generator */
    (void)close(null);
}

static void
test_backoff(void **state)
{
    struct qr_init_backoff b = {0};
    static const uint32_t want[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    uint64_t now = 1000;

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        qr_init_started(&b, now);
        now += 59999;
        assert_int_equal(qr_init_ended(&b, now), want[i]);
    }
    qr_init_started(&b, now);
    assert_int_equal(qr_init_ended(&b, now + 60000), 500); /* it lived a minute */
}

static void
test_describe(void **state)
{
    char out[96];

    (void)state;
    qr_init_describe(W_EXITCODE(78, 0), out, sizeof out);
    assert_string_equal(out, "exited with 78 (configuration)");
    qr_init_describe(W_EXITCODE(3, 0), out, sizeof out);
    assert_string_equal(out, "exited with 3");
    qr_init_describe(W_EXITCODE(0, 9), out, sizeof out);
    assert_string_equal(out, "was killed by signal 9");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat), cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_config),    cmocka_unit_test(test_config_refused),
        cmocka_unit_test(test_seed),      cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
