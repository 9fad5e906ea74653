/*
 * Both halves of the pump in one process, over hybrid sockets, with clients and servers around them: what
 * goes in comes out, half-closes and resets are carried, a slow reader stops its own stream and no other,
 * a lost trunk comes back, a hostile half gets its connection closed, memory and descriptors are bounded.
 */
#include "enclave-shim/pump/pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "test/common/testrng.h"
#include "test/common/tmpdir.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 10
#define BIG (3u * 1024u * 1024u)

/* The largest write on a trunk (the pump's only send(); streams use sendmsg). */
static size_t largest_write;
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
    largest_write = n > largest_write ? n : largest_write;
    return __real_send(fd, p, n, flags);
}

static struct rig {
    struct tmpdir dir;
    struct qr_pump *in, *out;
    struct qr_pump_conf in_conf, out_conf;
    int server;   /* tcp; route 1 outside and route 2 inside lead here */
    int in_port;  /* route 1 inside: opened from the inside */
    int out_port; /* route 2 outside: opened from the outside */
    char log[16384];
} rig;

static void
on_log(void *ctx, enum qr_pump_log level, const char *ev, const char *msg)
{
    size_t n = strlen(rig.log);
    (void)ctx;
    (void)level;
    (void)snprintf(rig.log + n, sizeof rig.log - n, "%s: %s\n", ev, msg);
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
    if (rig.in) {
        qr_pump_step(rig.in, 0);
    }
    if (rig.out) {
        qr_pump_step(rig.out, 0);
    }
}

/* Turns both halves until cond holds. */
#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        double until_ = now_s() + PATIENCE_S;                                                      \
        while (!(cond)) {                                                                          \
            if (now_s() > until_) {                                                                \
                fail_msg("%d: waited in vain for " #cond "\n%s", __LINE__, rig.log);               \
            }                                                                                      \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static int
tcp_listen(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int
tcp_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int r = connect(fd, (struct sockaddr *)&a, sizeof a);
    assert_true(r == 0 || errno == EINPROGRESS);
    return fd;
}

static int
unix_socket(const char *path, int listening)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (listening) {
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(listen(fd, 8), 0);
    } else if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static struct qr_pump *start(enum qr_pump_side side, struct qr_pump_conf *c, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

static struct qr_pump *
start(enum qr_pump_side side, struct qr_pump_conf *c, const char *format, ...)
{
    struct qr_pump *p = NULL;
    char text[2048], err[256];
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

static void
start_in(void)
{
    rig.in = start(QR_PUMP_INSIDE, &rig.in_conf,
                   "[pump]\ndial = unix:%s/vm_7000\n"
                   "[route 1]\nlisten = tcp:127.0.0.1:0\n[route 2]\ndial = tcp:127.0.0.1:%d\n"
                   "[route 3]\nlisten = unix:%s/three\n[route 5]\nlisten = unix:%s/five\n"
                   "streams = 3\n[route 6]\nlisten = unix:%s/six\n",
                   rig.dir.path, rig.server ? rig.out_port : 0, rig.dir.path, rig.dir.path,
                   rig.dir.path);
    rig.in_port = qr_pump_port(rig.in, 1);
}

static void
start_out(int server_port)
{
    rig.out = start(QR_PUMP_OUTSIDE, &rig.out_conf,
                    "[pump]\nlisten = hybrid:%s/vm:7000\n"
                    "[route 1]\ndial = tcp:127.0.0.1:%d\n[route 2]\nlisten = tcp:127.0.0.1:0\n"
                    "[route 3]\ndial = unix:%s/nobody\n[route 5]\ndial = tcp:127.0.0.1:%d\n"
                    "streams = 3\n",
                    rig.dir.path, server_port, rig.dir.path, server_port);
}

static int server_port;

static int
setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    tmpdir_new(&rig.dir);
    rig.server = tcp_listen(&server_port);
    start_out(server_port);
    rig.out_port = server_port; /* where the inside half's route 2 leads */
    start_in();
    rig.out_port = qr_pump_port(rig.out, 2);
    WAIT(qr_pump_is_up(rig.in, 0) && qr_pump_is_up(rig.out, 0));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rig.in = qr_pump_free(rig.in);
    rig.out = qr_pump_free(rig.out);
    (void)close(rig.server);
    tmpdir_remove(&rig.dir);
    return 0;
}

static int
accepted(int listener)
{
    static int fd;
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    return fd;
}

/* A client through a port of one half, and the server's end of it. */
static void
pair(int port, int *client, int *server)
{
    *server = -1;
    *client = tcp_connect(port);
    WAIT((*server = accepted(rig.server)) >= 0);
}

/* One byte, to be sure that the other end is there. */
static void
knock(int from, int to)
{
    char c = 0;
    WAIT(__real_send(from, "k", 1, MSG_NOSIGNAL) == 1);
    WAIT(recv(to, &c, 1, 0) == 1);
    assert_int_equal(c, 'k');
}

static size_t
push_some(int fd, const uint8_t *p, size_t n, size_t chunk)
{
    ssize_t w = __real_send(fd, p, n < chunk ? n : chunk, MSG_NOSIGNAL);
    assert_true(w >= 0 || errno == EAGAIN);
    return w > 0 ? (size_t)w : 0;
}

/* All of it there, in pieces of many sizes, while the same amount comes back. */
static void
both_ways(int a, int b, struct qr_testrng *rng)
{
    static uint8_t to_b[BIG], to_a[BIG], got[2][BIG + 2];
    size_t sent[2] = {0, 0}, have[2] = {0, 0};

    qr_testrng_fill(rng, to_b, BIG);
    qr_testrng_fill(rng, to_a, BIG);
    double until = now_s() + PATIENCE_S;
    while (have[0] < BIG || have[1] < BIG) {
        assert_true(now_s() < until);
        sent[0] += push_some(a, to_b + sent[0], BIG - sent[0], 1 + qr_testrng_below(rng, 200000));
        sent[1] += push_some(b, to_a + sent[1], BIG - sent[1], 1 + qr_testrng_below(rng, 200000));
        turn();
        ssize_t r = recv(b, got[0] + have[0], 1 + qr_testrng_below(rng, BIG + 1 - have[0]), 0);
        have[0] += r > 0 ? (size_t)r : 0;
        r = recv(a, got[1] + have[1], 1 + qr_testrng_below(rng, BIG + 1 - have[1]), 0);
        have[1] += r > 0 ? (size_t)r : 0;
    }
    assert_memory_equal(got[0], to_b, BIG);
    assert_memory_equal(got[1], to_a, BIG);
}

static void
test_bytes(void **state)
{
    struct qr_testrng rng;
    int c, s;

    (void)state;
    qr_testrng_seed(&rng, "pump bytes");
    largest_write = 0;
    for (int k = 0; k < 2; k++) {
        pair(k ? rig.out_port : rig.in_port, &c, &s);
        both_ways(c, s, &rng);
        (void)close(c);
        (void)close(s);
        WAIT(qr_pump_streams(rig.in) == 0 && qr_pump_streams(rig.out) == 0);
    }
    assert_true(largest_write > 4096 && largest_write <= QR_PUMP_WRITE);
}

static int
at_end(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) == 0;
}

static int
was_reset(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET;
}

static void
test_half_close(void **state)
{
    char text[8];
    int c, s;

    (void)state;
    for (int k = 0; k < 2; k++) {
        pair(k ? rig.out_port : rig.in_port, &c, &s);
        assert_int_equal(__real_send(c, "last", 4, 0), 4);
        assert_int_equal(shutdown(c, SHUT_WR), 0);
        WAIT(recv(s, text, 4, 0) == 4);
        WAIT(at_end(s));
        assert_true(qr_pump_streams(rig.in) == 1); /* half of it goes on */
        knock(s, c);
        assert_int_equal(shutdown(s, SHUT_WR), 0);
        WAIT(at_end(c));
        WAIT(qr_pump_streams(rig.in) == 0 && qr_pump_streams(rig.out) == 0);
        (void)close(c);
        (void)close(s);
    }
}

static void
close_hard(int fd)
{
    const struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)close(fd);
}

static void
test_reset(void **state)
{
    int c, s, u = -1;

    (void)state;
    for (int k = 0; k < 4; k++) {
        pair(k & 1 ? rig.out_port : rig.in_port, &c, &s);
        knock(c, s);
        close_hard(k & 2 ? c : s);
        WAIT(was_reset(k & 2 ? s : c));
        (void)close(k & 2 ? s : c);
        WAIT(qr_pump_streams(rig.in) == 0 && qr_pump_streams(rig.out) == 0);
    }
    /* nobody behind the route; no such route at the other half */
    assert_true((u = unix_socket(tmpdir_file(&rig.dir, "three"), 0)) >= 0);
    WAIT(at_end(u) || was_reset(u));
    (void)close(u);
    assert_non_null(strstr(rig.log, "unreachable: route 3"));
    assert_non_null(strstr(rig.log, "No such file"));
    assert_true((u = unix_socket(tmpdir_file(&rig.dir, "six"), 0)) >= 0);
    WAIT(at_end(u) || was_reset(u));
    (void)close(u);
    assert_non_null(strstr(rig.log, "no_route: route 6 (nowhere)"));
    WAIT(qr_pump_streams(rig.in) == 0 && qr_pump_streams(rig.out) == 0);
}

static void
test_slow_reader(void **state)
{
    static uint8_t chunk[65536];
    size_t sent = 0, had = 0;
    int slow_c, slow_s, c, s, quiet = 0;

    (void)state;
    pair(rig.in_port, &slow_c, &slow_s);
    pair(rig.in_port, &c, &s);
    /* Fill it until nothing moves. */
    while (quiet < 200) {
        for (size_t i = 0; i < sizeof chunk; i++) {
            chunk[i] = (uint8_t)((sent + i) % 251);
        }
        size_t n = push_some(slow_c, chunk, sizeof chunk, sizeof chunk);
        sent += n;
        quiet = n ? 0 : quiet + 1;
        turn();
    }
    /* A window, and what the kernel's buffers hold at both ends. */
    assert_true(sent > QR_PUMP_WINDOW && sent < 32u * 1024u * 1024u);
    /* The other one goes on as if nothing was. */
    struct qr_testrng rng;
    qr_testrng_seed(&rng, "pump slow");
    both_ways(c, s, &rng);
    /* And nothing of the slow one is lost. */
    while (had < sent) {
        ssize_t r = recv(slow_s, chunk, sizeof chunk, 0);
        for (ssize_t i = 0; i < r; i++) {
            assert_int_equal(chunk[i], (had + (size_t)i) % 251);
        }
        had += r > 0 ? (size_t)r : 0;
        turn();
    }
    knock(slow_c, slow_s);
    (void)close(slow_c);
    (void)close(slow_s);
    (void)close(c);
    (void)close(s);
}

static void
test_trunk_lost(void **state)
{
    int c, s, d, e;

    (void)state;
    pair(rig.in_port, &c, &s);
    pair(rig.out_port, &d, &e);
    knock(c, s);
    knock(d, e);
    rig.out = qr_pump_free(rig.out);
    WAIT(was_reset(c) && was_reset(e));
    assert_true(!qr_pump_is_up(rig.in, 0) && qr_pump_streams(rig.in) == 0);
    (void)close(c);
    (void)close(s);
    (void)close(d);
    (void)close(e);
    /* The listener stays; who comes is told at once. */
    c = tcp_connect(rig.in_port);
    WAIT(was_reset(c));
    (void)close(c);
    start_out(server_port);
    rig.out_port = qr_pump_port(rig.out, 2);
    WAIT(qr_pump_is_up(rig.in, 0) && qr_pump_is_up(rig.out, 0));
    pair(rig.in_port, &c, &s);
    knock(c, s);
    knock(s, c);
    (void)close(c);
    (void)close(s);
}

/* An outside half of our own making, on the path where the inside half dials. */
static int
fake_half(int *listener, const void *first, size_t n)
{
    int fd = -1;

    WAIT((fd = accepted(*listener)) >= 0);
    if (n > 0) {
        assert_int_equal(__real_send(fd, first, n, MSG_NOSIGNAL), n);
    }
    return fd;
}

#define HELLO "\1\1\0\2QRPM"
#define OPEN1 "\2\2\0\1\0\0\0\0" /* route 2 */

static void
test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, "no known type"},
        {"\0\0\0\0\0\0\0\0", 8, "no known type"},
        {"\1\1\0\1QRPM", 8, "same side"},
        {"\1\2\0\2QRPM", 8, "another version"},
        {"\7\0\0\0\0\0\0\0", 8, "before HELLO"},
        {HELLO HELLO, 16, "second HELLO"},
        {HELLO "\3\0\0\1\0\0\0\1x", 17, "not open"},
        {HELLO "\2\2\0\2\0\0\0\0", 16, "this side's to open"},
        {HELLO OPEN1 OPEN1, 24, "OPEN of a stream that is open"},
        {HELLO OPEN1 "\4\0\0\1\0\0\0\1", 24, "more credit"},
        {HELLO OPEN1 "\3\0\0\1\377\377\377\377", 24, "length or credit"},
        {HELLO OPEN1 "\5\0\0\1\0\0\0\0\3\0\0\1\0\0\0\1x", 33, "behind a stream's FIN"},
        {HELLO OPEN1 "\6\2\0\1\0\0\0\0\5\0\0\1\0\0\0\0", 32, "stream's END"},
        {HELLO "\2\2\1\1\0\0\0\0", 16, "stream number"},
    };
    int listener, fd;
    size_t bytes, blocks, bytes_after, blocks_after;

    (void)state;
    rig.out = qr_pump_free(rig.out);
    WAIT(!qr_pump_is_up(rig.in, 0));
    listener = unix_socket(tmpdir_file(&rig.dir, "vm_7000"), 1);
    qr_alloc_stats(&bytes, &blocks);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig.log[0] = 0;
        /* The log holds one line a second about this; a new half has none yet. */
        rig.in = qr_pump_free(rig.in);
        rig.out_port = server_port;
        start_in();
        fd = fake_half(&listener, cases[i].bytes, cases[i].n);
        WAIT(strstr(rig.log, "trunk_broken"));
        if (!strstr(rig.log, cases[i].why)) {
            fail_msg("case %zu: %s", i, rig.log);
        }
        assert_true(qr_pump_streams(rig.in) == 0);
        (void)close(fd);
    }
    qr_alloc_stats(&bytes_after, &blocks_after);
    assert_int_equal(bytes, bytes_after);
    assert_int_equal(blocks, blocks_after);
    (void)close(listener);
    assert_int_equal(unlink(tmpdir_file(&rig.dir, "vm_7000")), 0);
}

/* More than a window without credit: as much as the inside half takes, and not a byte more. */
static void
test_flood(void **state)
{
    static const char open_and_end[] = HELLO OPEN1;
    static uint8_t frame[QR_PUMP_WRITE] = {3, 0, 0, 1, 0, 0, 0x3f, 0xf8};
    int listener, fd, s = -1;
    size_t sent = 0;

    (void)state;
    rig.out = qr_pump_free(rig.out);
    WAIT(!qr_pump_is_up(rig.in, 0));
    listener = unix_socket(tmpdir_file(&rig.dir, "vm_7000"), 1);
    fd = fake_half(&listener, open_and_end, sizeof open_and_end - 1);
    WAIT((s = accepted(rig.server)) >= 0); /* and never read */
    rig.log[0] = 0;
    while (!strstr(rig.log, "trunk_broken")) {
        size_t at = sent % sizeof frame;
        ssize_t w = __real_send(fd, frame + at, sizeof frame - at, MSG_NOSIGNAL);
        sent += w > 0 ? (size_t)w : 0;
        assert_true(sent < 64u * 1024u * 1024u);
        turn();
    }
    assert_non_null(strstr(rig.log, "more DATA than its stream had credit for"));
    (void)close(fd);
    (void)close(s);
    (void)close(listener);
    assert_int_equal(unlink(tmpdir_file(&rig.dir, "vm_7000")), 0);
}

static unsigned
descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n;
}

static void
test_limits(void **state)
{
    unsigned before = descriptors();
    size_t bytes, blocks, bytes_after, blocks_after;
    int c[6], s[6];

    (void)state;
    qr_alloc_stats(&bytes, &blocks);
    for (int i = 0; i < 6; i++) {
        c[i] = unix_socket(tmpdir_file(&rig.dir, "five"), 0);
        assert_true(c[i] >= 0);
        assert_int_equal(__real_send(c[i], "k", 1, 0), 1);
    }
    for (int i = 0; i < 3; i++) {
        WAIT((s[i] = accepted(rig.server)) >= 0);
    }
    for (int i = 0; i < 100; i++) {
        turn();
    }
    assert_true(accepted(rig.server) < 0); /* the others wait */
    assert_int_equal(qr_pump_streams(rig.in), 3);
    for (int i = 0; i < 3; i++) {
        (void)close(c[i]);
        (void)close(s[i]);
        WAIT((s[i + 3] = accepted(rig.server)) >= 0); /* one ends, the next comes */
    }
    for (int i = 3; i < 6; i++) {
        (void)close(c[i]);
        (void)close(s[i]);
    }
    WAIT(qr_pump_streams(rig.in) == 0 && qr_pump_streams(rig.out) == 0);
    assert_int_equal(descriptors(), before);
    qr_alloc_stats(&bytes_after, &blocks_after);
    assert_int_equal(bytes, bytes_after);
    assert_int_equal(blocks, blocks_after);
}

/* A half that listens in a guest, behind a monitor that speaks CONNECT. */
static void
test_hybrid_dial(void **state)
{
    static const struct {
        const char *answer, *log;
    } cases[] = {
        {"OK 1073741824\n" HELLO, NULL},
        {"FAIL\n", "did not answer CONNECT by OK"},
        {"OK                                           ", "too long"},
    };
    char line[64];
    int listener = -1, fd = -1;

    (void)state;
    rig.out = qr_pump_free(rig.out);
    rig.in = qr_pump_free(rig.in);
    listener = unix_socket(tmpdir_file(&rig.dir, "vm"), 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = 0, want = sizeof "CONNECT 7000\n" - 1;
        rig.log[0] = 0;
        rig.in = start(QR_PUMP_INSIDE, &rig.in_conf,
                       "[pump]\ndial = hybrid:%s/vm:7000\n[route 1]\nlisten = tcp:127.0.0.1:0\n",
                       rig.dir.path);
        WAIT((fd = accepted(listener)) >= 0);
        while (n < want) {
            ssize_t r = recv(fd, line + n, want - n, 0);
            n += r > 0 ? (size_t)r : 0;
            turn();
        }
        assert_memory_equal(line, "CONNECT 7000\n", want);
        n = cases[i].log ? strlen(cases[i].answer) : sizeof "OK 1073741824\n" - 1 + 8;
        assert_int_equal(__real_send(fd, cases[i].answer, n, 0), n);
        if (cases[i].log) {
            WAIT(strstr(rig.log, cases[i].log));
        } else {
            WAIT(qr_pump_is_up(rig.in, 0));
            WAIT(recv(fd, line, 8, 0) == 8);
            assert_memory_equal(line, "\1\1\0\1QRPM", 8);
        }
        rig.in = qr_pump_free(rig.in);
        (void)close(fd);
    }
    (void)close(listener);
    assert_int_equal(unlink(tmpdir_file(&rig.dir, "vm")), 0);
}

static void
test_document(void **state)
{
    static const char text[] = "#cloud-config\nquorate:\n  party:\n    cloud: aws\n";
    char got[256];
    size_t n = 0;
    int fd = -1;
    ssize_t r;

    (void)state;
    tmpdir_write(tmpdir_file(&rig.dir, "doc"), (const uint8_t *)text, sizeof text - 1);
    rig.out = qr_pump_free(rig.out);
    rig.out = start(QR_PUMP_OUTSIDE, &rig.out_conf,
                    "[pump]\nlisten = hybrid:%s/vm:7000\n[route 1]\ndial = tcp:127.0.0.1:1\n"
                    "[document]\nlisten = hybrid:%s/vm:9001\nfile = %s/doc\n",
                    rig.dir.path, rig.dir.path, rig.dir.path);
    for (int k = 0; k < 2; k++) {
        n = 0;
        assert_true((fd = unix_socket(tmpdir_file(&rig.dir, "vm_9001"), 0)) >= 0);
        WAIT((r = recv(fd, got + n, sizeof got - n, 0)) == 0 || (r > 0 && (n += (size_t)r) == 0));
        (void)close(fd);
        assert_int_equal(n, k ? 0 : sizeof text - 1);
        assert_memory_equal(got, text, n);
        assert_int_equal(unlink(tmpdir_file(&rig.dir, "doc")), k ? -1 : 0);
    }
    assert_non_null(strstr(rig.log, "given to the enclave"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_bytes),       T(test_half_close), T(test_reset), T(test_slow_reader),
        T(test_trunk_lost),  T(test_garbage),    T(test_flood), T(test_limits),
        T(test_hybrid_dial), T(test_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
