#include "enclave-shim/pump/pump_int.h"

#include "protocol/base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define EVENTS 64
#define TICK_NS UINT64_C(50000000)
#define IDLE_MS 1000

static uint64_t
mono_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
qr_pump_tag(enum qr_pump_kind kind, uint32_t gen, uint32_t index)
{
    return ((uint64_t)kind << 56) | ((uint64_t)(gen & 0xffffffu) << 32) | index;
}

int
qr_pump_watch(struct qr_pump *p, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event e = {.events = events, .data.u64 = tag};
    return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e);
}

void
qr_pump_say(struct qr_pump *p, enum qr_pump_log level, const char *ev, const char *format, ...)
{
    char msg[400];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(msg, sizeof msg, format, ap);
    va_end(ap);
    if (p->log) {
        p->log(p->log_ctx, level, ev, msg);
    }
}

/* Making. */

static qr_err
listen_at(struct qr_pump *p, const struct qr_endpoint *at, uint64_t tag, int *ret_fd,
          char *err_text, size_t err_cap)
{
    char text[QR_ENDPOINT_TEXT_MAX];
    int fd = qr_endpoint_listen(at);

    if (fd < 0 || qr_pump_watch(p, fd, EPOLLIN, tag) != 0) {
        qr_endpoint_text(at, text);
        EXPLAIN("%s: cannot listen: %s%s", text, strerror(errno),
                errno == EADDRINUSE ? ": is another pump running?" : "");
        if (fd >= 0) {
            (void)close(fd);
        }
        return QR_ERR_ADDRESS;
    }
    *ret_fd = fd;
    return QR_OK;
}

static qr_err
make_trunk(struct qr_pump *p, unsigned i, char *err_text, size_t err_cap)
{
    struct qr_trunk *t = &p->trunk[i];

    t->at = p->c.at;
    t->at.port += i;
    t->in = qr_alloc(QR_PUMP_IN_CAP);
    t->out = qr_alloc(QR_PUMP_OUT_CAP);
    if (!t->in || !t->out) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    for (unsigned k = 0; k < QR_PUMP_STREAMS; k++) {
        t->s[k].ring = p->rings + ((size_t)i * QR_PUMP_STREAMS + k) * QR_PUMP_WINDOW;
    }
    if (p->c.way == QR_PUMP_LISTEN) {
        QR_TRY(listen_at(p, &t->at, qr_pump_tag(QR_PUMP_EV_WAIT, 0, i), &t->listener, err_text,
                         err_cap));
    }
    return QR_OK;
}

static qr_err
make_all(struct qr_pump *p, char *err_text, size_t err_cap)
{
    p->trunk = qr_alloc(p->c.trunks * sizeof *p->trunk);
    if (!p->trunk) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < p->c.trunks; i++) {
        struct qr_trunk *t = &p->trunk[i];
        t->p = p;
        t->index = i;
        t->fd = t->listener = -1;
        t->first = t->last = QR_PUMP_NONE;
        for (unsigned k = 0; k < QR_PUMP_STREAMS; k++) {
            t->s[k].fd = -1;
        }
    }
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->resolver = qr_names_new(&p->names);
    /* Touched only where a reader is slow: an idle pump costs no memory for it. */
    p->rings_len = (size_t)p->c.trunks * QR_PUMP_STREAMS * QR_PUMP_WINDOW;
    p->rings = mmap(NULL, p->rings_len, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->epoll < 0 || !p->resolver || p->rings == MAP_FAILED ||
        qr_pump_watch(p, p->names, EPOLLIN, qr_pump_tag(QR_PUMP_EV_NAME, 0, 0)) != 0) {
        EXPLAIN("out of descriptors or memory: %s", strerror(errno));
        return QR_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < p->c.trunks; i++) {
        QR_TRY(make_trunk(p, i, err_text, err_cap));
    }
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        const struct qr_pump_route *r = &p->c.route[i];
        if (r->way == QR_PUMP_LISTEN) {
            QR_TRY(listen_at(p, &r->at, qr_pump_tag(QR_PUMP_EV_ROUTE, 0, i), &p->gate[i].fd,
                             err_text, err_cap));
        }
    }
    if (p->c.document.way == QR_PUMP_LISTEN) {
        QR_TRY(listen_at(p, &p->c.document.at, qr_pump_tag(QR_PUMP_EV_DOCUMENT, 0, 0), &p->document,
                         err_text, err_cap));
    }
    return QR_OK;
}

qr_err
qr_pump_new(const struct qr_pump_conf *c, qr_pump_log_fn log, void *log_ctx, struct qr_pump **ret,
            char *err_text, size_t err_cap)
{
    struct qr_pump *p = qr_alloc(sizeof *p);

    if (!p) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    p->c = *c;
    p->log = log;
    p->log_ctx = log_ctx;
    p->epoll = p->names = p->document = -1;
    p->rings = MAP_FAILED;
    p->now = mono_ns();
    p->soon = 1;
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        p->gate[i].fd = -1;
    }
    qr_err e = make_all(p, err_text, err_cap);
    if (e != QR_OK) {
        qr_pump_free(p);
        return e;
    }
    *ret = p;
    return QR_OK;
}

static void
close_listener(const struct qr_endpoint *at, int fd)
{
    char path[QR_ADDRESS_MAX + 16];

    if (fd < 0) {
        return;
    }
    (void)close(fd);
    if (at->kind == QR_ENDPOINT_UNIX) {
        (void)unlink(at->host);
    } else if (at->kind == QR_ENDPOINT_HYBRID) {
        (void)snprintf(path, sizeof path, "%s_%u", at->host, at->port);
        (void)unlink(path);
    }
}

struct qr_pump *
qr_pump_free(struct qr_pump *p)
{
    if (!p) {
        return NULL;
    }
    for (unsigned i = 0; p->trunk && i < p->c.trunks; i++) {
        struct qr_trunk *t = &p->trunk[i];
        qr_trunk_close(t);
        close_listener(&t->at, t->listener);
        qr_free(t->in);
        qr_free(t->out);
    }
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        close_listener(&p->c.route[i].at, p->gate[i].fd);
    }
    close_listener(&p->c.document.at, p->document);
    qr_names_free(p->resolver);
    if (p->rings != MAP_FAILED) {
        (void)munmap(p->rings, p->rings_len);
    }
    if (p->epoll >= 0) {
        (void)close(p->epoll);
    }
    qr_free(p->trunk);
    return qr_free(p);
}

/* Turning. */

static void
on_event(struct qr_pump *p, const struct epoll_event *ev)
{
    enum qr_pump_kind kind = (enum qr_pump_kind)(ev->data.u64 >> 56);
    uint32_t gen = (uint32_t)(ev->data.u64 >> 32) & 0xffffffu, index = (uint32_t)ev->data.u64;
    struct qr_trunk *t;

    switch (kind) {
    case QR_PUMP_EV_STREAM:
        t = &p->trunk[index >> 16];
        if ((t->s[index & 0xffffu].gen & 0xffffffu) == gen) {
            qr_stream_event(t, index & 0xffffu, ev->events);
        }
        break;
    case QR_PUMP_EV_TRUNK:
        t = &p->trunk[index];
        if ((t->gen & 0xffffffu) == gen) {
            qr_trunk_event(t, ev->events);
        }
        break;
    case QR_PUMP_EV_WAIT:
        qr_trunk_accept(&p->trunk[index]);
        break;
    case QR_PUMP_EV_ROUTE:
        qr_stream_gate(p, index);
        break;
    case QR_PUMP_EV_DOCUMENT:
        qr_document_accept(p);
        break;
    case QR_PUMP_EV_NAME:
    default:
        qr_names_take(p);
        break;
    }
}

void
qr_pump_step(struct qr_pump *p, int timeout_ms)
{
    struct epoll_event ev[EVENTS];
    int limit = p->soon ? 50 : IDLE_MS;

    if (p->busy) {
        limit = 0;
    }
    if (timeout_ms < 0 || timeout_ms > limit) {
        timeout_ms = limit;
    }
    int n = epoll_wait(p->epoll, ev, EVENTS, timeout_ms);
    p->now = mono_ns();
    for (int i = 0; i < n; i++) {
        on_event(p, &ev[i]);
    }
    p->busy = 0;
    for (unsigned i = 0; i < p->c.trunks; i++) {
        p->busy |= qr_trunk_turn(&p->trunk[i]);
    }
    if (p->now - p->ticked >= TICK_NS) {
        p->ticked = p->now;
        p->soon = 0;
        for (unsigned i = 0; i < p->c.trunks; i++) {
            p->soon |= qr_trunk_tick(&p->trunk[i]);
        }
        p->soon |= qr_stream_gates(p);
    }
}

int
qr_pump_fd(const struct qr_pump *p)
{
    return p->epoll;
}

int
qr_pump_is_up(const struct qr_pump *p, unsigned trunk)
{
    return trunk < p->c.trunks && p->trunk[trunk].state == QR_TRUNK_UP;
}

unsigned
qr_pump_streams(const struct qr_pump *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->c.trunks; i++) {
        for (unsigned k = 0; k < QR_PUMP_STREAMS; k++) {
            n += p->trunk[i].s[k].state != QR_STREAM_FREE;
        }
    }
    return n;
}

uint16_t
qr_pump_port(const struct qr_pump *p, unsigned route)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } s = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof s;

    if (route >= QR_PUMP_ROUTES || p->gate[route].fd < 0 ||
        getsockname(p->gate[route].fd, &s.any, &len) != 0) {
        return 0;
    }
    return s.any.sa_family == AF_INET    ? ntohs(s.in.sin_port)
           : s.any.sa_family == AF_INET6 ? ntohs(s.in6.sin6_port)
                                         : 0;
}
