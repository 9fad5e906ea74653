/*
 * The transport over loopback, against plain TCP: two processes, one echoes or swallows.
 *
 *     bench_transport          every case, one JSON object a line; under ten seconds
 *
 * transport_connect_*: from the start of both nets to attested (fake evidence), milliseconds.
 * transport_rtt_*:     round trip of a 96-byte message, one at a time, median of all.
 * transport_mb_*:      megabytes of 640 KB messages a second, one way, acknowledged.
 * transport_cpu_*:     CPU of both processes for one megabyte of them, microseconds.
 * ratio: over plain TCP of the same run (64 KiB writes, no TLS, no frames).
 */
#include "bench/bench.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/parties.h"
#include "transport/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 96u
#define BIG QR_PRESIGN2_LEN(16)
#define ROUNDS_MAX 100000u
#define TOO_LONG_S 30u /* ended by SIGALRM */

enum mode { ECHO, SWALLOW };

struct figures {
    double connect_ms, rtt_us, mb_s, cpu_us_mb;
};

static double rtt[ROUNDS_MAX];

static uint64_t
now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How long a case is measured. */
static uint64_t
span_ns(void)
{
    return bench_runs() == 1 ? UINT64_C(50000000) : UINT64_C(700000000);
}

static double
cpu_us(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return 1e6 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* One process with one net. */

struct end {
    struct qr_net *net;
    struct qr_net_params params;
    struct test_identity id;
    struct test_attester attester;
    int up, down, echo;
    uint64_t received;
};

static void
on_up(void *ctx, const struct qr_peer_info *info)
{
    struct end *e = ctx;
    (void)info;
    e->up = 1;
}

static void
on_down(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct end *e = ctx;
    (void)peer;
    (void)why;
    (void)detail;
    e->down = 1;
}

static void
on_refused(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    (void)ctx;
    (void)peer;
    (void)why;
    (void)detail;
}

static void
on_message(void *ctx, struct qr_msg_in *m)
{
    struct end *e = ctx;
    e->received += m->payload.len;
    if (e->echo && m->payload.len == SMALL) {
        QR_ASSERT(qr_net_send(e->net, m->from, m->type, 0, m->sid, m->payload) == QR_OK);
    }
}

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    return strcmp(ctx, "nng") == 0 ? qr_link_nng_new(ev) : qr_link_sock_new(ev);
}

static void
end_start(struct end *e, const char *kind, uint16_t self, const char *format, unsigned port0)
{
    struct qr_net_events ev = {.ctx = e,
                               .on_up = on_up,
                               .on_down = on_down,
                               .on_refused = on_refused,
                               .on_message = on_message};
    char err[256];

    QR_ASSERT(qr_hash_init() == QR_OK);
    test_params(&e->params, &e->id, &e->attester, self, 2, format, port0, 1);
    e->params.new_link = new_link;
    e->params.new_link_ctx = (void *)(uintptr_t)kind;
    if (qr_net_new(&e->params, &ev, &e->net, err, sizeof err) != QR_OK) {
        (void)fprintf(stderr, "bench_transport: %s\n", err);
        exit(1);
    }
}

static void
end_step(struct end *e)
{
    struct pollfd f = {.fd = qr_net_fd(e->net), .events = POLLIN};
    uint64_t now = now_ns(), next = qr_net_deadline(e->net);

    (void)poll(&f, 1, next <= now ? 0 : (int)((next - now) / 1000000) + 1);
    qr_net_step(e->net, now_ns());
}

static struct figures
measure_net(const char *kind, const char *format, unsigned port0)
{
    static struct end e;
    static const uint8_t sid[32] = {1};
    struct figures f;
    size_t n = 0;
    uint64_t t0 = now_ns();

    memset(&e, 0, sizeof e);
    (void)fflush(stdout);
    pid_t child = fork(); /* before either has threads */
    QR_ASSERT(child >= 0);
    if (child == 0) {
        (void)alarm(TOO_LONG_S);
        e.echo = 1;
        end_start(&e, kind, 2, format, port0);
        while (!e.down) {
            end_step(&e);
        }
        qr_net_free(e.net);
        _exit(0);
    }
    end_start(&e, kind, 1, format, port0);
    while (!e.up) {
        end_step(&e);
    }
    f.connect_ms = (double)(now_ns() - t0) / 1e6;

    uint64_t end = now_ns() + span_ns();
    while (now_ns() < end && n < ROUNDS_MAX) {
        uint64_t t = now_ns(), want = e.received + SMALL;
        uint8_t *p = qr_net_reserve(e.net, 2, QR_MSG_SIGN_SHARE, 0, sid, SMALL);
        QR_ASSERT(p);
        qr_net_commit(e.net, 2, p);
        while (e.received < want) {
            end_step(&e);
        }
        rtt[n++] = (double)(now_ns() - t) / 1e3;
    }
    f.rtt_us = bench_median(rtt, n);

    double cpu = cpu_us(RUSAGE_SELF);
    uint64_t sent = 0, t = now_ns();
    end = t + span_ns();
    while (now_ns() < end || qr_net_queued(e.net, 2) > 0) {
        for (uint8_t *p; now_ns() < end && qr_net_queued(e.net, 2) < 4 * BIG; sent += BIG) {
            p = qr_net_reserve(e.net, 2, QR_MSG_PRESIGN2, 0, sid, BIG);
            QR_ASSERT(p);
            qr_net_commit(e.net, 2, p);
        }
        end_step(&e);
    }
    double s = (double)(now_ns() - t) / 1e9, mb = (double)sent / 1e6;
    f.mb_s = mb / s;
    cpu = cpu_us(RUSAGE_SELF) - cpu;
    double children = cpu_us(RUSAGE_CHILDREN);
    qr_net_free(e.net);
    (void)waitpid(child, NULL, 0);
    /* The other end's round trips are in its sum, too: a few per cent. */
    f.cpu_us_mb = (cpu + cpu_us(RUSAGE_CHILDREN) - children) / mb;
    return f;
}

/* Plain TCP. */

static int
read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = read(fd, p, n);
        if (k <= 0) {
            return 0;
        }
        p += k;
        n -= (size_t)k;
    }
    return 1;
}

static void
tcp_child(int listener)
{
    static uint8_t buf[128 * 1024];
    int one = 1, fd = accept(listener, NULL, NULL);

    (void)alarm(TOO_LONG_S);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* A zero byte asks for an echo, a one announces the stream. */
    while (read_all(fd, buf, SMALL) && buf[0] == 0) {
        (void)!write(fd, buf, SMALL);
    }
    while (read(fd, buf, sizeof buf) > 0) {
    }
    _exit(0);
}

static struct figures
measure_tcp(void)
{
    static uint8_t buf[64 * 1024];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    struct figures f;
    int one = 1;
    size_t n = 0;

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    QR_ASSERT(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
    QR_ASSERT(getsockname(listener, (struct sockaddr *)&a, &len) == 0);
    (void)fflush(stdout);
    pid_t child = fork();
    QR_ASSERT(child >= 0);
    if (child == 0) {
        tcp_child(listener);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* after the fork: the child must see its end */
    uint64_t t = now_ns();
    QR_ASSERT(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    f.connect_ms = (double)(now_ns() - t) / 1e6;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uint64_t end = now_ns() + span_ns();
    while (now_ns() < end && n < ROUNDS_MAX) {
        t = now_ns();
        QR_ASSERT(write(fd, buf, SMALL) == SMALL && read_all(fd, buf, SMALL));
        rtt[n++] = (double)(now_ns() - t) / 1e3;
    }
    f.rtt_us = bench_median(rtt, n);

    double cpu = cpu_us(RUSAGE_SELF);
    uint64_t sent = 0;
    buf[0] = 1;
    QR_ASSERT(write(fd, buf, SMALL) == SMALL);
    t = now_ns();
    end = t + span_ns();
    while (now_ns() < end) {
        ssize_t k = write(fd, buf, sizeof buf);
        QR_ASSERT(k > 0);
        sent += (uint64_t)k;
    }
    (void)close(fd);
    double s = (double)(now_ns() - t) / 1e9, mb = (double)sent / 1e6;
    f.mb_s = mb / s;
    cpu = cpu_us(RUSAGE_SELF) - cpu;
    double children = cpu_us(RUSAGE_CHILDREN);
    (void)waitpid(child, NULL, 0);
    (void)close(listener);
    f.cpu_us_mb = (cpu + cpu_us(RUSAGE_CHILDREN) - children) / mb;
    return f;
}

static void
emit(const char *what, const char *link, double value, const char *unit, double base)
{
    char name[64];
    (void)snprintf(name, sizeof name, "transport_%s_%s", what, link);
    bench_emit(name, 2, 2, value, unit, base > 0 ? value / base : -1);
}

int
main(void)
{
    unsigned port0 = 20000 + (unsigned)getpid() % 1000 * 12;

    (void)alarm(TOO_LONG_S); /* a bench that hangs must not hang what runs it */
    (void)signal(SIGPIPE, SIG_IGN);
    struct figures tcp = measure_tcp();
    emit("rtt", "tcp", tcp.rtt_us, "us", 0);
    emit("mb", "tcp", tcp.mb_s, "MB/s", 0);
    emit("cpu", "tcp", tcp.cpu_us_mb, "us/MB", 0);
    static const struct {
        const char *name, *kind, *format;
    } links[] = {{"unix", "sock", "unix:///tmp/qr-bench-transport-%u.sock"},
                 {"sock", "sock", "tcp://127.0.0.1:%u"},
                 {"nng", "nng", "tcp://127.0.0.1:%u"}}; /* nng last: it leaves threads behind */
    for (unsigned i = 0; i < 3; i++) {
        struct figures f = measure_net(links[i].kind, links[i].format, port0 + 4 * i);
        emit("connect", links[i].name, f.connect_ms, "ms", 0);
        emit("rtt", links[i].name, f.rtt_us, "us", tcp.rtt_us);
        emit("mb", links[i].name, f.mb_s, "MB/s", tcp.mb_s);
        emit("cpu", links[i].name, f.cpu_us_mb, "us/MB", tcp.cpu_us_mb);
    }
    return 0;
}
