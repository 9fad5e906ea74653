/*
 * The pump: what it adds to a message, and how much goes through it. Every end is a process of its own:
 * client, server, the two halves over a hybrid socket, and a plain TCP relay beside them.
 *
 *     bench_pump               every case, one JSON object a line; under fifteen seconds
 *
 * pump_added_p50, pump_added_p99: round trip of a 512-byte message through both halves and back, less the
 *                  same to the same server directly, one at a time; ratio: the round trips' quotient
 * pump_relay_p50:  the same of the plain relay
 * pump_mbit, pump_relay_mbit, pump_tcp_mbit: one way, one connection; ratio: over the plain relay
 * In each run the ways are measured in turn; the figures are medians over the runs.
 */
#include "bench/bench.h"
#include "enclave-shim/pump/pump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE 512u
#define ROUNDS_MAX 200000u
#define CHUNK (256u * 1024u)
#define TOO_LONG_S 60u

enum way { DIRECT, RELAY, PUMP, WAYS };

static int ports[WAYS];
static uint8_t chunk[CHUNK];

static double
now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
tcp_listen(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    QR_ASSERT(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0 &&
              getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int
tcp_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    QR_ASSERT(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int
send_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0) {
            return 0;
        }
        p += w;
        n -= (size_t)w;
    }
    return 1;
}

/* The server: the first byte says 'e' to echo, or 's' to swallow until the end and say how much. */
static void
server(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL), one = 1;
        uint64_t total = 0;
        char mode = 0;
        ssize_t n;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (recv(fd, &mode, 1, 0) == 1) {
            while ((n = recv(fd, chunk, sizeof chunk, 0)) > 0) {
                total += (uint64_t)n;
                if (mode == 'e' && !send_all(fd, chunk, (size_t)n)) {
                    break;
                }
            }
        }
        if (mode == 's') {
            (void)send(fd, &total, sizeof total, MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
}

/* What anybody would write: two blocking directions by poll, one connection at a time. */
static void
relay(int listener, int to)
{
    for (;;) {
        int fd[2] = {accept(listener, NULL, NULL), tcp_connect(to)}, one = 1, open = 3;
        (void)setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while (open) {
            struct pollfd p[2] = {{open & 1 ? fd[0] : -1, POLLIN, 0},
                                  {open & 2 ? fd[1] : -1, POLLIN, 0}};
            if (poll(p, 2, -1) < 0) {
                break;
            }
            for (int i = 0; i < 2; i++) {
                ssize_t n = p[i].revents ? recv(fd[i], chunk, 65536, 0) : -1;
                if (n == 0) {
                    open &= i ? 1 : 2;
                    (void)shutdown(fd[!i], SHUT_WR);
                } else if (n > 0 && !send_all(fd[!i], chunk, (size_t)n)) {
                    open = 0;
                }
            }
        }
        (void)close(fd[0]);
        (void)close(fd[1]);
    }
}

static struct qr_pump *
half(enum qr_pump_side side, const char *text)
{
    struct qr_pump_conf c;
    struct qr_pump *p = NULL;
    char err[256];

    if (qr_pump_conf_parse(side, "bench", qr_view_str(text), &c, err, sizeof err) != QR_OK ||
        qr_pump_new(&c, NULL, NULL, &p, err, sizeof err) != QR_OK) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
    return p;
}

static void
run_half(struct qr_pump *p)
{
    for (;;) {
        qr_pump_step(p, -1);
    }
}

static pid_t
child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(TOO_LONG_S);
    }
    return pid;
}

static double times[ROUNDS_MAX];

/* Sorted round trips in microseconds; returns how many. */
static size_t
round_trips(int port, double span)
{
    uint8_t m[MESSAGE] = {0};
    int fd = tcp_connect(port);
    size_t n = 0;
    double until = now_s() + span;

    QR_ASSERT(send_all(fd, (const uint8_t *)"e", 1));
    for (int warm = -100; n < ROUNDS_MAX; warm++) {
        double since = now_s();
        QR_ASSERT(send_all(fd, m, sizeof m) &&
                  recv(fd, m, sizeof m, MSG_WAITALL) == (ssize_t)sizeof m);
        double end = now_s();
        if (warm >= 0) {
            times[n++] = (end - since) * 1e6;
        }
        if (end > until && n > 0) {
            break;
        }
    }
    (void)close(fd);
    qsort(times, n, sizeof times[0], bench_compare);
    return n;
}

static double
mbit(int port, double span)
{
    int fd = tcp_connect(port);
    uint64_t total = 0;
    double since = now_s();

    QR_ASSERT(send_all(fd, (const uint8_t *)"s", 1));
    while (now_s() - since < span) {
        QR_ASSERT(send_all(fd, chunk, sizeof chunk));
    }
    (void)shutdown(fd, SHUT_WR);
    QR_ASSERT(recv(fd, &total, sizeof total, MSG_WAITALL) == (ssize_t)sizeof total);
    double end = now_s();
    (void)close(fd);
    return (double)total * 8 / (end - since) / 1e6;
}

struct series {
    double v[WAYS][BENCH_RUNS];
};

static double
median_of(struct series *s, enum way w, int runs)
{
    return bench_median(s->v[w], (size_t)runs);
}

static void
measure(void)
{
    static struct series p50, p99, rate;
    int runs = bench_runs();
    double span = runs == 1 ? 0.05 : 0.4;

    for (int r = 0; r < runs; r++) {
        for (int w = 0; w < WAYS; w++) {
            size_t n = round_trips(ports[w], span);
            p50.v[w][r] = times[n / 2];
            p99.v[w][r] = times[n - 1 - n / 100];
            rate.v[w][r] = mbit(ports[w], span);
        }
    }
    double tcp50 = median_of(&p50, DIRECT, runs), tcp99 = median_of(&p99, DIRECT, runs);
    double pump50 = median_of(&p50, PUMP, runs), pump99 = median_of(&p99, PUMP, runs);
    double relay_mbit = median_of(&rate, RELAY, runs), pump_mbit = median_of(&rate, PUMP, runs);
    double tcp_mbit = median_of(&rate, DIRECT, runs);

    bench_emit("pump_added_p50", 0, 0, pump50 - tcp50, "us", pump50 / tcp50);
    bench_emit("pump_added_p99", 0, 0, pump99 - tcp99, "us", pump99 / tcp99);
    bench_emit("pump_relay_p50", 0, 0, median_of(&p50, RELAY, runs) - tcp50, "us",
               median_of(&p50, RELAY, runs) / tcp50);
    bench_emit("pump_tcp_p50", 0, 0, tcp50, "us", -1);
    bench_emit("pump_mbit", 0, 0, pump_mbit, "Mbit/s", pump_mbit / relay_mbit);
    bench_emit("pump_relay_mbit", 0, 0, relay_mbit, "Mbit/s", 1);
    bench_emit("pump_tcp_mbit", 0, 0, tcp_mbit, "Mbit/s", tcp_mbit / relay_mbit);
}

int
main(void)
{
    char dir[] = "/tmp/quorate-bench-pump-XXXXXX", text[512], path[64];
    pid_t pid[4];

    QR_ASSERT(mkdtemp(dir));
    (void)alarm(TOO_LONG_S);
    int echo = tcp_listen(&ports[DIRECT]), plain = tcp_listen(&ports[RELAY]);
    if ((pid[0] = child()) == 0) {
        server(echo);
    }
    if ((pid[1] = child()) == 0) {
        relay(plain, ports[DIRECT]);
    }
    (void)snprintf(text, sizeof text,
                   "[pump]\nlisten = hybrid:%s/vm:7000\n[route 1]\ndial = tcp:127.0.0.1:%d\n", dir,
                   ports[DIRECT]);
    struct qr_pump *out = half(QR_PUMP_OUTSIDE, text);
    if ((pid[2] = child()) == 0) {
        run_half(out);
    }
    (void)snprintf(text, sizeof text,
                   "[pump]\ndial = unix:%s/vm_7000\n[route 1]\nlisten = tcp:127.0.0.1:0\n", dir);
    struct qr_pump *in = half(QR_PUMP_INSIDE, text);
    ports[PUMP] = qr_pump_port(in, 1);
    while (!qr_pump_is_up(in, 0)) {
        qr_pump_step(in, 10);
    }
    if ((pid[3] = child()) == 0) {
        run_half(in);
    }
    measure();
    for (int i = 0; i < 4; i++) {
        (void)kill(pid[i], SIGKILL);
        (void)waitpid(pid[i], NULL, 0);
    }
    (void)snprintf(path, sizeof path, "%s/vm_7000", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}
