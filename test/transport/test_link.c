/*
 * One suite for every link: what link.h promises, over nng, plain TCP, Unix sockets and memory.
 */
#include "transport/link_mem.h"

#include "protocol/base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * ThreadSanitizer does not see how nng, which is not built with it, hands objects to its reaper
 * thread. Our side of nng stays checked.
 */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "race:libnng.so\n";
}

enum kind { KIND_NNG, KIND_TCP, KIND_UNIX, KIND_MEM };

#define CONNS 8

/* What one end of a connection has seen. */
struct seen {
    struct qr_conn *conn;
    uint64_t received, sum;
    unsigned opened, closed, rooms;
    qr_err why;
    char text[64];
};

/* One link and its connections, in order of arrival. */
struct end {
    struct qr_link *link;
    struct seen seen[CONNS];
    size_t n;
    int refuse; /* close at once whoever comes */
    int echo;
};

struct rig {
    enum kind kind;
    struct qr_link_mem_net *mem;
    struct end a, b; /* a listens */
    char address[QR_ADDRESS_MAX];
};

static uint64_t
now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *
on_accept(void *ctx, struct qr_conn *c)
{
    struct end *e = ctx;
    struct seen *s = &e->seen[e->n++ % CONNS];
    s->conn = c;
    s->opened++;
    if (e->refuse) {
        c->link->ops->close(c, 0);
    }
    return s;
}

static void
on_open(void *ctx, struct qr_conn *c)
{
    struct seen *s = c->user;
    (void)ctx;
    s->conn = c;
    s->opened++;
}

static void
on_data(void *ctx, struct qr_conn *c, qr_view data)
{
    struct end *e = ctx;
    struct seen *s = c->user;
    assert_true(data.len > 0);
    assert_int_equal(s->closed, 0);
    for (size_t i = 0; i < data.len; i++) { /* position-dependent: order matters */
        s->sum += data.p[i] * (++s->received % 65521);
    }
    if (e->echo) {
        assert_int_equal(c->link->ops->send(c, data), data.len);
    }
}

static void
on_room(void *ctx, struct qr_conn *c)
{
    struct seen *s = c->user;
    (void)ctx;
    s->rooms++;
}

static void
on_close(void *ctx, struct qr_conn *c, qr_err why, const char *text)
{
    struct seen *s = c->user;
    (void)ctx;
    s->closed++;
    s->why = why;
    (void)snprintf(s->text, sizeof s->text, "%s", text);
    s->conn = NULL;
}

static struct qr_link *
new_link(struct rig *r, struct end *e)
{
    struct qr_link_events ev = {e, on_accept, on_open, on_data, on_room, on_close};
    switch (r->kind) {
    case KIND_NNG:
        return qr_link_nng_new(&ev);
    case KIND_MEM:
        return qr_link_mem_new(r->mem, &ev);
    default:
        return qr_link_sock_new(&ev);
    }
}

/* A port that was free a moment ago. */
static unsigned
free_port(void)
{
    struct sockaddr_in s = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof s;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&s, sizeof s), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&s, &n), 0);
    (void)close(fd);
    return ntohs(s.sin_port);
}

static void
address_for(struct rig *r, char *out, size_t cap)
{
    static unsigned serial;
    if (r->kind == KIND_UNIX) {
        (void)snprintf(out, cap, "unix:///tmp/qr-test-link-%d-%u.sock", (int)getpid(), ++serial);
    } else if (r->kind == KIND_MEM) {
        (void)snprintf(out, cap, "mem://a");
    } else {
        (void)snprintf(out, cap, "tcp://127.0.0.1:%u", free_port());
    }
}

static void
rig_up(struct rig *r, enum kind kind)
{
    char err[256] = "";
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->mem = qr_link_mem_net_new();
    address_for(r, r->address, sizeof r->address);
    r->a.link = new_link(r, &r->a);
    r->b.link = new_link(r, &r->b);
    assert_non_null(r->a.link);
    assert_non_null(r->b.link);
    if (r->a.link->ops->listen(r->a.link, r->address, err, sizeof err) != QR_OK) {
        fail_msg("%s", err);
    }
}

static void
rig_down(struct rig *r)
{
    if (r->a.link) {
        r->a.link->ops->free(r->a.link);
    }
    r->b.link->ops->free(r->b.link);
    qr_link_mem_net_free(r->mem);
}

/* Steps both ends when they have work; at most 100 ms of waiting. */
static void
turn(struct rig *r)
{
    struct pollfd f[2] = {{.fd = r->a.link ? r->a.link->ops->fd(r->a.link) : -1, .events = POLLIN},
                          {.fd = r->b.link->ops->fd(r->b.link), .events = POLLIN}};
    if (r->kind != KIND_MEM) {
        (void)poll(f, 2, 100);
    }
    if (r->a.link) {
        r->a.link->ops->step(r->a.link, now_ns());
    }
    r->b.link->ops->step(r->b.link, now_ns());
}

#define UNTIL(r, cond)                                                                             \
    do {                                                                                           \
        uint64_t until_ = now_ns() + UINT64_C(10000000000);                                        \
        while (!(cond)) {                                                                          \
            turn(r);                                                                               \
            if (now_ns() > until_) {                                                               \
                fail_msg("never came: %s", #cond);                                                 \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static struct seen *
dial(struct rig *r)
{
    struct seen *s = &r->b.seen[r->b.n++ % CONNS];
    memset(s, 0, sizeof *s);
    assert_int_equal(r->b.link->ops->dial(r->b.link, r->address, s), QR_OK);
    return s;
}

/* Bytes to send, and the sum that on_data would make of them. */
static uint64_t
fill(uint8_t *p, size_t n, uint64_t from)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)((from + i) * 31 + ((from + i) >> 8));
        sum += p[i] * ((from + i + 1) % 65521);
    }
    return sum;
}

static void
both_ways(struct rig *r)
{
    uint8_t buf[1000];
    struct seen *out = dial(r);

    UNTIL(r, out->opened && r->a.n == 1);
    struct seen *in = &r->a.seen[0];
    UNTIL(r, in->conn);
    uint64_t sum = fill(buf, sizeof buf, 0);
    assert_int_equal(r->b.link->ops->send(out->conn, qr_view_of(buf, sizeof buf)), sizeof buf);
    assert_int_equal(r->a.link->ops->send(in->conn, qr_view_of(buf, sizeof buf)), sizeof buf);
    UNTIL(r, in->received == sizeof buf && out->received == sizeof buf);
    assert_int_equal(in->sum, sum);
    assert_int_equal(out->sum, sum);

    char remote[QR_ADDRESS_MAX] = "";
    r->a.link->ops->remote(in->conn, remote, sizeof remote);
    assert_true(strlen(remote) > 0);
    if (r->kind == KIND_NNG || r->kind == KIND_TCP) {
        assert_memory_equal(remote, "127.0.0.1:", 10);
    }
}

/* The reader does not step: the writer must be told to stop, within bounds, and to go on. */
static void
back_pressure(struct rig *r)
{
    static uint8_t buf[64 * 1024];
    struct seen *out = dial(r);
    uint64_t sent = 0, sum = 0;
    size_t n = sizeof buf;

    UNTIL(r, out->opened && r->a.n == 1 && r->a.seen[0].conn);
    /* Give up only when a pause does not help: the kernel's buffers fill behind our back. */
    for (int quiet = 0; quiet < 20;) {
        sum += fill(buf, n = sizeof buf, sent);
        size_t took = r->b.link->ops->send(out->conn, qr_view_of(buf, n));
        if (took < n) { /* count only what was taken */
            uint64_t again = fill(buf, n, sent), part = fill(buf, took, sent);
            sum = sum - again + part;
        }
        sent += took;
        struct pollfd f = {.fd = r->b.link->ops->fd(r->b.link), .events = POLLIN};
        (void)poll(&f, 1, took == 0 ? 5 : 0);
        r->b.link->ops->step(r->b.link, now_ns());
        quiet = took == 0 ? quiet + 1 : 0;
        assert_true(sent < 64u * 1024u * 1024u); /* somebody buffers without bound */
    }
    assert_true(sent >= 1000);
    unsigned rooms = out->rooms;
    UNTIL(r, out->rooms > rooms);
    UNTIL(r, r->a.seen[0].received == sent);
    assert_int_equal(r->a.seen[0].sum, sum);
}

static void
large(struct rig *r)
{
    static uint8_t buf[300 * 1024];
    struct seen *out = dial(r);
    const uint64_t total = 20u * 1024u * 1024u;
    uint64_t sent = 0, sum = 0;

    UNTIL(r, out->opened);
    while (sent < total) {
        size_t n = total - sent < sizeof buf ? (size_t)(total - sent) : sizeof buf;
        (void)fill(buf, n, sent);
        size_t took = r->b.link->ops->send(out->conn, qr_view_of(buf, n));
        sum += fill(buf, took, sent);
        sent += took;
        turn(r);
    }
    UNTIL(r, r->a.n == 1 && r->a.seen[0].received == total);
    assert_int_equal(r->a.seen[0].sum, sum);
}

/* What was sent before a graceful close arrives; the other end sees the close after it. */
static void
graceful_close(struct rig *r)
{
    static uint8_t buf[100 * 1024];
    struct seen *out = dial(r);

    UNTIL(r, out->opened && r->a.n == 1 && r->a.seen[0].conn);
    uint64_t sum = fill(buf, sizeof buf, 0);
    assert_int_equal(r->b.link->ops->send(out->conn, qr_view_of(buf, sizeof buf)), sizeof buf);
    r->b.link->ops->close(out->conn, 1);
    UNTIL(r, r->a.seen[0].closed);
    assert_int_equal(r->a.seen[0].received, sizeof buf);
    assert_int_equal(r->a.seen[0].sum, sum);
    assert_int_equal(r->a.seen[0].why, QR_ERR_LINK_CLOSED);
    UNTIL(r, out->closed);
}

static void
hard_close(struct rig *r)
{
    struct seen *out = dial(r);

    UNTIL(r, out->opened && r->a.n == 1 && r->a.seen[0].conn);
    r->a.link->ops->close(r->a.seen[0].conn, 0);
    assert_int_equal(r->a.seen[0].closed, 0); /* never from inside close */
    UNTIL(r, r->a.seen[0].closed && out->closed);
    assert_int_equal(out->closed, 1);
    assert_int_equal(r->a.seen[0].closed, 1);
    assert_true(strlen(out->text) > 0);
}

static void
close_on_accept(struct rig *r)
{
    r->a.refuse = 1;
    for (int i = 0; i < 5; i++) {
        struct seen *out = dial(r);
        UNTIL(r, out->closed);
        assert_true(out->opened <= 1);
    }
    r->a.refuse = 0; /* the listener is as good as new */
    r->a.n = r->b.n = 0;
    memset(r->a.seen, 0, sizeof r->a.seen);
    both_ways(r);
}

static void
nobody_there(struct rig *r)
{
    struct rig empty = *r;

    if (r->kind == KIND_MEM) {
        (void)snprintf(empty.address, sizeof empty.address, "mem://nobody");
    } else {
        address_for(r, empty.address, sizeof empty.address);
    }
    struct seen *out = &r->b.seen[r->b.n++];
    assert_int_equal(r->b.link->ops->dial(r->b.link, empty.address, out), QR_OK);
    assert_int_equal(out->closed, 0); /* callbacks belong into step */
    UNTIL(r, out->closed);
    assert_int_equal(out->opened, 0);
    assert_int_equal(out->why, QR_ERR_LINK_CLOSED);
    assert_true(strlen(out->text) > 0);
}

static void
many(struct rig *r)
{
    uint8_t buf[5000];
    struct seen *out[CONNS];
    uint64_t sum = fill(buf, sizeof buf, 0);

    r->a.echo = 1;
    for (size_t i = 0; i < CONNS; i++) {
        out[i] = dial(r);
    }
    for (size_t i = 0; i < CONNS; i++) {
        UNTIL(r, out[i]->opened);
        assert_int_equal(r->b.link->ops->send(out[i]->conn, qr_view_of(buf, sizeof buf)),
                         sizeof buf);
    }
    for (size_t i = 0; i < CONNS; i++) {
        UNTIL(r, out[i]->received == sizeof buf);
        assert_int_equal(out[i]->sum, sum);
    }
}

/* A link may go with connections in every state. */
static void
free_at_any_time(struct rig *r)
{
    uint8_t buf[5000] = {0};
    struct seen *out = dial(r);

    UNTIL(r, out->opened && r->a.n == 1 && r->a.seen[0].conn);
    (void)r->b.link->ops->send(out->conn, qr_view_of(buf, sizeof buf));
    (void)dial(r); /* under way */
    (void)dial(r);
    r->a.link->ops->free(r->a.link);
    r->a.link = NULL;
    UNTIL(r, out->closed);
}

static void
bad_addresses(struct rig *r)
{
    static const char *const bad[] = {"",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:70000",
                                      "tcp://127.0.0.1:7001/x",
                                      "ipc:///tmp/x",
                                      "unix://relative",
                                      "tcp://127.0.0.1:07001",
                                      "tcp://a b:7001",
                                      "mem://"};
    char err[256];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(r->b.link->ops->dial(r->b.link, bad[i], NULL), QR_ERR_ADDRESS);
        err[0] = '\0';
        assert_int_equal(r->b.link->ops->listen(r->b.link, bad[i], err, sizeof err),
                         QR_ERR_ADDRESS);
        assert_non_null(strstr(err, bad[i]));
    }
    /* Taken: the sentence says where and what to do. */
    assert_int_equal(r->b.link->ops->listen(r->b.link, r->address, err, sizeof err),
                     QR_ERR_ADDRESS);
    assert_non_null(strstr(err, r->address));
    assert_non_null(strstr(err, "address already in use"));
    if (r->kind != KIND_MEM) {
        assert_non_null(strstr(err, "is another quorated running?"));
    }
}

typedef void (*case_fn)(struct rig *r);

static void
run(enum kind kind, case_fn f)
{
    struct rig r;
    rig_up(&r, kind);
    f(&r);
    rig_down(&r);
}

#define SUITE(name)                                                                                \
    static void name##_nng(void **s)                                                               \
    {                                                                                              \
        (void)s;                                                                                   \
        run(KIND_NNG, name);                                                                       \
    }                                                                                              \
    static void name##_tcp(void **s)                                                               \
    {                                                                                              \
        (void)s;                                                                                   \
        run(KIND_TCP, name);                                                                       \
    }                                                                                              \
    static void name##_unix(void **s)                                                              \
    {                                                                                              \
        (void)s;                                                                                   \
        run(KIND_UNIX, name);                                                                      \
    }                                                                                              \
    static void name##_mem(void **s)                                                               \
    {                                                                                              \
        (void)s;                                                                                   \
        run(KIND_MEM, name);                                                                       \
    }

#define ALL(name)                                                                                  \
    cmocka_unit_test(name##_nng), cmocka_unit_test(name##_tcp), cmocka_unit_test(name##_unix),     \
        cmocka_unit_test(name##_mem)

SUITE(both_ways)
SUITE(back_pressure)
SUITE(large)
SUITE(graceful_close)
SUITE(hard_close)
SUITE(close_on_accept)
SUITE(nobody_there)
SUITE(many)
SUITE(free_at_any_time)
SUITE(bad_addresses)

/* A crash leaves its socket file behind; a file that is no socket is not ours to remove. */
static void
unix_leftovers(void **state)
{
    struct rig r = {.kind = KIND_UNIX};
    struct qr_link_events ev = {&r.a, on_accept, on_open, on_data, on_room, on_close};
    char err[256], aside[QR_ADDRESS_MAX + 8];
    (void)state;

    address_for(&r, r.address, sizeof r.address);
    const char *path = r.address + strlen("unix://");
    struct qr_link *dead = qr_link_sock_new(&ev), *l = qr_link_sock_new(&ev);
    assert_int_equal(dead->ops->listen(dead, r.address, err, sizeof err), QR_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* for its owner alone */
    (void)snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0); /* so that freeing does not remove it */
    dead->ops->free(dead);
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(l->ops->listen(l, r.address, err, sizeof err), QR_OK);
    l->ops->free(l);
    assert_int_not_equal(access(path, F_OK), 0); /* tidied up */

    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
    l = qr_link_sock_new(&ev);
    assert_int_equal(l->ops->listen(l, r.address, err, sizeof err), QR_ERR_ADDRESS);
    assert_int_equal(access(path, F_OK), 0);
    l->ops->free(l);
    (void)unlink(path);
}

/* The faults that tests of the layers above rely on. */
static int
flip_and_cut(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    int *calls = ctx;
    (void)from;
    assert_string_equal(to, "a");
    bytes[0] ^= 1;
    *len = *len > 10 ? 10 : *len;
    return ++*calls == 2;
}

static void
mem_faults(void **state)
{
    struct rig r;
    uint8_t buf[100];
    int calls = 0;
    (void)state;

    rig_up(&r, KIND_MEM);
    *qr_link_mem_faults(r.mem) = (struct qr_link_mem_faults){
        .chunk = 3, .delay_ns = 1000, .ctx = &calls, .tamper = flip_and_cut};
    struct seen *out = dial(&r);
    uint64_t now = 5000;
    r.a.link->ops->step(r.a.link, now);
    r.b.link->ops->step(r.b.link, now);
    assert_int_equal(qr_link_mem_count(r.mem), 1);
    memset(buf, 0, sizeof buf);
    assert_int_equal(r.b.link->ops->send(out->conn, qr_view_of(buf, sizeof buf)), sizeof buf);
    r.a.link->ops->step(r.a.link, now + 999);
    assert_int_equal(r.a.seen[0].received, 0);
    r.a.link->ops->step(r.a.link, now + 1000);
    assert_int_equal(r.a.seen[0].received, 3);
    assert_int_equal(r.a.seen[0].sum, 1);
    for (int i = 0; i < 5; i++) {
        r.a.link->ops->step(r.a.link, now + 1000);
    }
    assert_int_equal(r.a.seen[0].received, 10);
    assert_int_equal(r.b.link->ops->send(out->conn, qr_view_of(buf, 1)), 1);
    assert_int_equal(qr_link_mem_count(r.mem), 0);
    UNTIL(&r, out->closed && r.a.seen[0].closed);
    assert_int_equal(r.a.seen[0].received, 11); /* what was in flight before the cut */
    qr_link_mem_faults(r.mem)->tamper = NULL;

    r.a.n = 0;
    memset(r.a.seen, 0, sizeof r.a.seen);
    out = dial(&r);
    UNTIL(&r, out->opened && r.a.n == 1 && r.a.seen[0].conn);
    assert_int_equal(r.b.link->ops->send(out->conn, qr_view_of(buf, 100)), 100);
    qr_link_mem_cut(r.mem, 0);
    UNTIL(&r, out->closed && r.a.seen[0].closed);
    assert_int_equal(r.a.seen[0].received, 0); /* lost with the connection */
    rig_down(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(both_ways),
        ALL(back_pressure),
        ALL(large),
        ALL(graceful_close),
        ALL(hard_close),
        ALL(close_on_accept),
        ALL(nobody_there),
        ALL(many),
        ALL(free_at_any_time),
        ALL(bad_addresses),
        cmocka_unit_test(unix_leftovers),
        cmocka_unit_test(mem_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
