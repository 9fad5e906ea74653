/*
 * Several trunks, dialled from outside through a monitor that speaks CONNECT, as a virtual machine
 * monitor does for its host: a route keeps to its trunk, one trunk that is lost takes its own streams and
 * no others, and a message on one is not held up by a flood on the other.
 */
#include "enclave-shim/pump/pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/tmpdir.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 10
#define PAIRS 8

static struct tmpdir dir;
static struct qr_pump *in, *out;
static struct qr_pump_conf in_conf, out_conf;
static char log_text[8192];

/* The monitor: a connection that says CONNECT n is joined with PATH_n. */
static pthread_t monitor_thread;
static _Atomic int monitor_stop, monitor_cut; /* cut: the port whose joins end; 0: none */
static int monitor_listener;

struct join {
    int a, b, port; /* a < 0: free */
};

static int
unix_fd(const char *path, int listening, int flags)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0), r;

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    if (listening) {
        r = bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8);
    } else {
        r = connect(fd, (struct sockaddr *)&a, sizeof a);
    }
    if (r != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void
end_join(struct join *j)
{
    (void)close(j->a);
    (void)close(j->b);
    j->a = -1;
}

static void
meet(struct join *j)
{
    char line[32] = "", path[160];
    size_t n = 0;
    int a = accept(monitor_listener, NULL, NULL);

    while (n + 1 < sizeof line && recv(a, line + n, 1, 0) == 1 && line[n] != '\n') {
        n++;
    }
    line[n] = 0;
    int port = strncmp(line, "CONNECT ", 8) == 0 ? (int)strtol(line + 8, NULL, 10) : 0;
    (void)snprintf(path, sizeof path, "%s/vm_%d", dir.path, port);
    int b = unix_fd(path, 0, 0);
    if (b < 0 || send(a, "OK 5\n", 5, MSG_NOSIGNAL) != 5) {
        (void)close(a);
        return;
    }
    *j = (struct join){a, b, port};
}

/* Blocking in both directions is enough here: both ends read always. */
static int
pass(int from, int to)
{
    static char chunk[65536];
    ssize_t n = recv(from, chunk, sizeof chunk, 0);
    for (ssize_t at = 0; at < n;) {
        ssize_t w = send(to, chunk + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (w <= 0) {
            return 0;
        }
        at += w;
    }
    return n > 0;
}

static void *
monitor(void *arg)
{
    struct join j[PAIRS];

    (void)arg;
    for (int i = 0; i < PAIRS; i++) {
        j[i].a = -1;
    }
    while (!monitor_stop) {
        struct pollfd p[1 + 2 * PAIRS] = {{monitor_listener, POLLIN, 0}};
        struct join *place = NULL;
        for (int i = 0; i < PAIRS; i++) {
            if (j[i].a >= 0 && j[i].port == monitor_cut) {
                end_join(&j[i]);
            }
            p[1 + 2 * i] = (struct pollfd){j[i].a, POLLIN, 0};
            p[2 + 2 * i] = (struct pollfd){j[i].a < 0 ? -1 : j[i].b, POLLIN, 0};
            place = j[i].a < 0 ? &j[i] : place;
        }
        monitor_cut = 0;
        (void)poll(p, 1 + 2 * PAIRS, 5);
        for (int i = 0; i < PAIRS; i++) {
            if ((p[1 + 2 * i].revents && !pass(j[i].a, j[i].b)) ||
                (p[2 + 2 * i].revents && !pass(j[i].b, j[i].a))) {
                end_join(&j[i]);
            }
        }
        if (p[0].revents && place) {
            meet(place);
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        if (j[i].a >= 0) {
            end_join(&j[i]);
        }
    }
    return NULL;
}

static void
on_log(void *ctx, enum qr_pump_log level, const char *ev, const char *msg)
{
    size_t n = strlen(log_text);
    (void)ctx;
    (void)level;
    (void)snprintf(log_text + n, sizeof log_text - n, "%s: %s\n", ev, msg);
}

static double
now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
turn(void)
{
    qr_pump_step(in, 0);
    qr_pump_step(out, 0);
}

#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        double until_ = now_s() + PATIENCE_S;                                                      \
        while (!(cond)) {                                                                          \
            if (now_s() > until_) {                                                                \
                fail_msg("%d: waited in vain for " #cond "\n%s", __LINE__, log_text);              \
            }                                                                                      \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static struct qr_pump *start(enum qr_pump_side side, struct qr_pump_conf *c, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

static struct qr_pump *
start(enum qr_pump_side side, struct qr_pump_conf *c, const char *format, ...)
{
    struct qr_pump *p = NULL;
    char text[1024], err[256];
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (qr_pump_conf_parse(side, "conf", qr_view_of(text, (size_t)n), c, err, sizeof err) !=
            QR_OK ||
        qr_pump_new(c, on_log, NULL, &p, err, sizeof err) != QR_OK) {
        fail_msg("%s", err);
    }
    return p;
}

static int server; /* both routes lead here, from inside to outside */

static int
setup(void **state)
{
    (void)state;
    log_text[0] = 0;
    monitor_stop = monitor_cut = 0;
    tmpdir_new(&dir);
    monitor_listener = unix_fd(tmpdir_file(&dir, "vm"), 1, 0);
    server = unix_fd(tmpdir_file(&dir, "server"), 1, SOCK_NONBLOCK);
    in = start(QR_PUMP_INSIDE, &in_conf,
               "[pump]\nlisten = hybrid:%s/vm:7000\ntrunks = 2\n[route 1]\nlisten = unix:%s/one\n"
               "[route 2]\nlisten = unix:%s/two\ntrunk = 1\n",
               dir.path, dir.path, dir.path);
    out = start(QR_PUMP_OUTSIDE, &out_conf,
                "[pump]\ndial = hybrid:%s/vm:7000\ntrunks = 2\n[route 1]\ndial = unix:%s/server\n"
                "[route 2]\ndial = unix:%s/server\ntrunk = 1\n",
                dir.path, dir.path, dir.path);
    assert_int_equal(pthread_create(&monitor_thread, NULL, monitor, NULL), 0);
    WAIT(qr_pump_is_up(in, 0) && qr_pump_is_up(in, 1) && qr_pump_is_up(out, 0) &&
         qr_pump_is_up(out, 1));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    monitor_stop = 1;
    (void)pthread_join(monitor_thread, NULL);
    in = qr_pump_free(in);
    out = qr_pump_free(out);
    (void)close(monitor_listener);
    (void)close(server);
    tmpdir_remove(&dir);
    return 0;
}

static void
pair(const char *route, int *c, int *s)
{
    *s = -1;
    assert_true((*c = unix_fd(tmpdir_file(&dir, route), 0, SOCK_NONBLOCK)) >= 0);
    WAIT((*s = accept4(server, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static void
knock(int from, int to)
{
    char c = 0;
    WAIT(send(from, "k", 1, MSG_NOSIGNAL) == 1);
    WAIT(recv(to, &c, 1, 0) == 1);
}

static int
ended(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void
test_one_is_lost(void **state)
{
    int c[2], s[2];

    (void)state;
    pair("one", &c[0], &s[0]);
    pair("two", &c[1], &s[1]);
    knock(c[0], s[0]);
    knock(c[1], s[1]);
    monitor_cut = 7001;
    WAIT(ended(c[1]));
    WAIT(ended(s[1]));
    knock(c[0], s[0]); /* the other one does not notice */
    knock(s[0], c[0]);
    (void)close(c[1]);
    (void)close(s[1]);
    WAIT(qr_pump_is_up(in, 1) && qr_pump_is_up(out, 1));
    pair("two", &c[1], &s[1]);
    knock(c[1], s[1]);
    for (int i = 0; i < 2; i++) {
        (void)close(c[i]);
        (void)close(s[i]);
    }
    assert_non_null(strstr(log_text, "trunk 1 (hybrid:"));
    assert_null(strstr(log_text, "trunk_lost: trunk 0"));
}

static void
test_flood_beside(void **state)
{
    static char chunk[65536];
    size_t flooded = 0;
    int c[2], s[2];

    (void)state;
    pair("two", &c[1], &s[1]);
    pair("one", &c[0], &s[0]);
    for (int k = 0; k < 200; k++) {
        char b = 0;
        WAIT(send(c[0], "k", 1, MSG_NOSIGNAL) == 1);
        do {
            (void)send(c[1], chunk, sizeof chunk, MSG_NOSIGNAL | MSG_DONTWAIT);
            ssize_t n = recv(s[1], chunk, sizeof chunk, 0);
            flooded += n > 0 ? (size_t)n : 0;
            turn();
        } while (recv(s[0], &b, 1, 0) != 1);
        assert_int_equal(b, 'k');
    }
    assert_true(flooded > 0);
    for (int i = 0; i < 2; i++) {
        (void)close(c[i]);
        (void)close(s[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_beside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
