/* The connections at this half: accepted for a route or made for it, and the bytes that wait for them. */
#include "enclave-shim/pump/pump_int.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRANT (QR_PUMP_WINDOW / 4) /* credit goes back in pieces of this */
#define LOG_NS UINT64_C(1000000000)
#define REST_NS UINT64_C(100000000)
#define ACCEPTS 16

static struct qr_pump_gate *
gate_of(struct qr_trunk *t, const struct qr_stream *s)
{
    return &t->p->gate[s->route];
}

static void
tell(struct qr_pump *p, unsigned route, const char *ev, const char *what)
{
    struct qr_pump_gate *g = &p->gate[route];
    char text[QR_ENDPOINT_TEXT_MAX];

    if (g->told && p->now - g->told < LOG_NS) {
        return;
    }
    g->told = p->now;
    qr_endpoint_text(&p->c.route[route].at, text);
    qr_pump_say(p, QR_PUMP_WARN, ev, "route %u (%s): %s", route, text, what);
}

/* So that the other end sees a reset, not an end. */
static void
close_hard(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static void
listen_again(struct qr_pump *p, unsigned route, int on)
{
    struct qr_pump_gate *g = &p->gate[route];
    struct epoll_event e = {.events = on ? EPOLLIN : 0,
                            .data.u64 = qr_pump_tag(QR_PUMP_EV_ROUTE, 0, route)};
    if (g->fd >= 0 && g->waiting == on && epoll_ctl(p->epoll, EPOLL_CTL_MOD, g->fd, &e) == 0) {
        g->waiting = !on;
    }
}

/* The number is free again. */
static void
release(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];

    if (s->counted) {
        gate_of(t, s)->streams--;
        listen_again(t->p, s->route, 1);
    }
    if (s->touched) {
        (void)madvise(s->ring, QR_PUMP_WINDOW, MADV_DONTNEED);
    }
    *s = (struct qr_stream){
        .fd = -1, .gen = s->gen + 1, .ring = s->ring, .queued = s->queued, .next = s->next};
}

static void
begin(struct qr_trunk *t, unsigned i, unsigned route)
{
    struct qr_stream *s = &t->s[i];
    s->route = (uint8_t)route;
    s->counted = 1;
    gate_of(t, s)->streams++;
}

/* The connection here is over; tell the other half, unless its END and ours are there. */
static void
give_up(struct qr_trunk *t, unsigned i, enum qr_pump_end why)
{
    struct qr_stream *s = &t->s[i];

    if (s->fd >= 0) {
        close_hard(s->fd);
    }
    s->fd = -1;
    s->gen++;
    s->state = QR_STREAM_GONE;
    s->len = s->head = 0;
    if (!t->mux.lane[i].out_end) {
        s->want_end = 1;
        s->end = (uint8_t)why;
        qr_trunk_queue(t, i);
    }
}

static int
watch(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    return qr_pump_watch(t->p, s->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                         qr_pump_tag(QR_PUMP_EV_STREAM, s->gen, t->index << 16 | i));
}

/* Connections that come. */

static void
take(struct qr_pump *p, unsigned route, int fd)
{
    struct qr_trunk *t = &p->trunk[p->c.route[route].trunk];
    int i = qr_mux_open(&t->mux);

    if (i < 0) {
        close_hard(fd);
        tell(p, route, "streams_full", "no stream is free; a connection was reset");
        return;
    }
    struct qr_stream *s = &t->s[i];
    begin(t, (unsigned)i, route);
    s->fd = fd;
    s->state = QR_STREAM_OPEN;
    s->want_open = 1;
    qr_trunk_queue(t, (unsigned)i);
    if (watch(t, (unsigned)i) != 0) {
        give_up(t, (unsigned)i, QR_PUMP_RESET);
    }
}

void
qr_stream_gate(struct qr_pump *p, unsigned route)
{
    struct qr_pump_gate *g = &p->gate[route];
    const struct qr_pump_route *r = &p->c.route[route];

    for (int k = 0; k < ACCEPTS; k++) {
        int up = p->trunk[r->trunk].state == QR_TRUNK_UP;
        if (up && g->streams >= r->streams) {
            listen_again(p, route, 0); /* they wait in the kernel until one ends */
            return;
        }
        int fd = qr_endpoint_accept(&r->at, g->fd);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            tell(p, route, "descriptors", "out of descriptors or memory; connections wait");
            g->rest_until = p->now + REST_NS;
            p->soon = 1;
            listen_again(p, route, 0);
            return;
        }
        if (fd < 0) {
            return;
        }
        if (up) {
            take(p, route, fd);
        } else {
            close_hard(fd);
            tell(p, route, "trunk_down", "the other half is away; a connection was reset");
        }
    }
}

int
qr_stream_gates(struct qr_pump *p)
{
    int soon = 0;
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        struct qr_pump_gate *g = &p->gate[i];
        if (g->rest_until && p->now >= g->rest_until) {
            g->rest_until = 0;
            listen_again(p, i, 1);
        }
        soon |= g->rest_until != 0;
    }
    return soon;
}

/* Connections that the other half asks for. */

static void
dial(struct qr_trunk *t, unsigned i, const struct qr_endpoint *at)
{
    struct qr_stream *s = &t->s[i];
    char text[128];

    s->fd = qr_endpoint_dial(at);
    if (s->fd < 0 || watch(t, i) != 0) {
        (void)snprintf(text, sizeof text, "cannot be reached: %s", strerror(errno));
        tell(t->p, s->route, "unreachable", text);
        give_up(t, i, QR_PUMP_REFUSED);
        return;
    }
    s->state = QR_STREAM_CONNECTING;
}

void
qr_stream_opened(struct qr_trunk *t, unsigned i, unsigned route)
{
    struct qr_stream *s = &t->s[i];
    const struct qr_pump_route *r = &t->p->c.route[route];

    s->route = (uint8_t)route;
    if (r->way != QR_PUMP_DIAL || &t->p->trunk[r->trunk] != t) {
        tell(t->p, route, "no_route", "the other half opened it; here it does not lead anywhere");
        give_up(t, i, QR_PUMP_REFUSED);
        return;
    }
    if (gate_of(t, s)->streams >= r->streams) {
        tell(t->p, route, "streams_full", "as many connections as it may have; one was refused");
        give_up(t, i, QR_PUMP_REFUSED);
        return;
    }
    begin(t, i, route);
    s->until = t->p->now + QR_PUMP_DIAL_NS;
    t->p->soon = 1;
    if (!qr_endpoint_is_name(&r->at)) {
        dial(t, i, &r->at);
        return;
    }
    s->state = QR_STREAM_NAMING;
    if (qr_names_ask(t->p, qr_pump_tag(QR_PUMP_EV_NAME, s->gen, t->index << 16 | i), &r->at) != 0) {
        tell(t->p, route, "unreachable", "too many names are being resolved");
        give_up(t, i, QR_PUMP_REFUSED);
    }
}

void
qr_stream_named(struct qr_pump *p, uint64_t tag, const char *failed,
                const struct qr_endpoint *numeric)
{
    uint32_t index = (uint32_t)tag;
    struct qr_trunk *t = &p->trunk[index >> 16];
    unsigned i = index & 0xffffu;
    struct qr_stream *s = &t->s[i];

    if (qr_pump_tag(QR_PUMP_EV_NAME, s->gen, index) != tag || s->state != QR_STREAM_NAMING) {
        return;
    }
    if (failed) {
        tell(p, s->route, "unreachable", failed);
        give_up(t, i, QR_PUMP_REFUSED);
    } else {
        dial(t, i, numeric);
    }
}

int
qr_stream_tick(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    if (s->state != QR_STREAM_NAMING && s->state != QR_STREAM_CONNECTING) {
        return 0;
    }
    if (t->p->now >= s->until) {
        tell(t->p, s->route, "unreachable", "no connection within 10 s");
        give_up(t, i, QR_PUMP_REFUSED);
        return 0;
    }
    return 1;
}

/* Bytes to the connection. */

static void
finish(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    struct qr_lane *l = &t->mux.lane[i];

    if (s->state != QR_STREAM_OPEN) {
        return;
    }
    if (l->in_fin && s->len == 0 && !s->wr_shut) {
        s->wr_shut = 1;
        (void)shutdown(s->fd, SHUT_WR);
    }
    if (s->wr_shut && l->out_fin) {
        (void)close(s->fd);
        s->fd = -1;
        s->gen++;
        s->state = QR_STREAM_GONE;
        s->want_end = 1;
        s->end = QR_PUMP_DONE;
        qr_trunk_queue(t, i);
    }
}

static void
delivered(struct qr_trunk *t, unsigned i, size_t n)
{
    t->s[i].owed += (uint32_t)n;
    if (t->s[i].owed >= GRANT) {
        qr_trunk_queue(t, i);
    }
}

/* Sends what it can; bytes taken, or -1 when the stream was given up. */
static ssize_t
push(struct qr_trunk *t, unsigned i, const struct iovec *v, size_t n)
{
    struct qr_stream *s = &t->s[i];
    struct iovec copy[2] = {v[0], n > 1 ? v[1] : (struct iovec){NULL, 0}};
    const struct msghdr m = {.msg_iov = copy, .msg_iovlen = n};
    size_t want = copy[0].iov_len + copy[1].iov_len;
    ssize_t w;

    do {
        w = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (w < 0 && errno == EINTR);
    if (w < 0 && errno != EAGAIN) {
        give_up(t, i, QR_PUMP_RESET);
        return -1;
    }
    w = w < 0 ? 0 : w;
    if ((size_t)w < want) {
        s->wr_ready = 0;
    }
    delivered(t, i, (size_t)w);
    return w;
}

static void
drain(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];

    while (s->state == QR_STREAM_OPEN && s->wr_ready && s->len > 0) {
        uint32_t first = QR_PUMP_WINDOW - s->head;
        first = first > s->len ? s->len : first;
        const struct iovec v[2] = {{s->ring + s->head, first}, {s->ring, s->len - first}};
        ssize_t w = push(t, i, v, 2);
        if (w < 0) {
            return;
        }
        s->head = (s->head + (uint32_t)w) % QR_PUMP_WINDOW;
        s->len -= (uint32_t)w;
    }
    if (s->len == 0) {
        s->head = 0;
    }
    finish(t, i);
}

/* The window bounds n: qr_mux_recv saw to it. */
void
qr_stream_data(struct qr_trunk *t, unsigned i, const uint8_t *p, size_t n)
{
    struct qr_stream *s = &t->s[i];

    if (s->state == QR_STREAM_OPEN && s->wr_ready && s->len == 0) {
        struct iovec v = {.iov_len = n};
        memcpy(&v.iov_base, &p, sizeof p); /* sendmsg only reads it */
        ssize_t w = push(t, i, &v, 1);
        if (w < 0) {
            return;
        }
        p += w;
        n -= (size_t)w;
    }
    if (n == 0 || s->state == QR_STREAM_GONE) {
        return; /* what comes for a connection that is gone is dropped */
    }
    uint32_t at = (s->head + s->len) % QR_PUMP_WINDOW;
    size_t first = QR_PUMP_WINDOW - at;
    first = first > n ? n : first;
    memcpy(s->ring + at, p, first);
    memcpy(s->ring, p + first, n - first);
    s->len += (uint32_t)n;
    s->touched = 1;
}

void
qr_stream_fin(struct qr_trunk *t, unsigned i)
{
    finish(t, i);
}

void
qr_stream_ended(struct qr_trunk *t, unsigned i, enum qr_pump_end why)
{
    struct qr_stream *s = &t->s[i];

    if (!t->mux.lane[i].used) {
        release(t, i); /* ours was there before */
        return;
    }
    if (why != QR_PUMP_DONE && s->state != QR_STREAM_GONE) {
        give_up(t, i, QR_PUMP_RESET);
    }
}

void
qr_stream_drop(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    if (s->fd >= 0) {
        close_hard(s->fd);
    }
    s->queued = 0;
    if (s->state != QR_STREAM_FREE) {
        release(t, i);
    }
}

void
qr_stream_event(struct qr_trunk *t, unsigned i, uint32_t events)
{
    struct qr_stream *s = &t->s[i];
    int e = 0;
    socklen_t len = sizeof e;

    if (events & (EPOLLERR | EPOLLHUP) || s->state == QR_STREAM_CONNECTING) {
        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0) {
            e = errno;
        }
    }
    if (s->state == QR_STREAM_CONNECTING) {
        if (e != 0) {
            char text[128];
            (void)snprintf(text, sizeof text, "cannot be reached: %s", strerror(e));
            tell(t->p, s->route, "unreachable", text);
            give_up(t, i, QR_PUMP_REFUSED);
            return;
        }
        if (!(events & EPOLLOUT)) {
            return;
        }
        s->state = QR_STREAM_OPEN;
    } else if (e != 0) {
        give_up(t, i, QR_PUMP_RESET);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) {
        s->rd_ready = 1;
        s->rd_hup |= (events & (EPOLLRDHUP | EPOLLHUP)) != 0;
        qr_trunk_queue(t, i);
    }
    if (events & EPOLLOUT) {
        s->wr_ready = 1;
        drain(t, i);
    }
}

/* Bytes from the connection. */

static int
put(struct qr_trunk *t, unsigned i, enum qr_pump_type type, uint8_t arg, uint32_t value)
{
    const struct qr_pump_frame f = {
        .type = type, .arg = arg, .stream = (uint16_t)i, .value = value};
    qr_trunk_put(t, &f);
    return 1;
}

/* 1 if a frame was put and there may be more. */
static int
pull(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    struct qr_lane *l = &t->mux.lane[i];
    size_t n = l->may_send < QR_PUMP_DATA_MAX ? l->may_send : QR_PUMP_DATA_MAX;
    ssize_t r;

    do {
        r = recv(s->fd, qr_trunk_space(t, n), n, MSG_DONTWAIT);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        (void)put(t, i, QR_PUMP_DATA, 0, (uint32_t)r);
        /* A short read has emptied it; an end may be behind that. */
        s->rd_ready = (size_t)r == n || s->rd_hup;
        return s->rd_ready && l->may_send > 0;
    }
    s->rd_ready = 0;
    if (r == 0) {
        (void)put(t, i, QR_PUMP_FIN, 0, 0);
        finish(t, i);
    } else if (errno != EAGAIN) {
        give_up(t, i, QR_PUMP_RESET);
    }
    return 0;
}

int
qr_stream_serve(struct qr_trunk *t, unsigned i)
{
    struct qr_stream *s = &t->s[i];
    struct qr_lane *l = &t->mux.lane[i];

    if (s->state == QR_STREAM_FREE) {
        return 0; /* it ended while it stood in the queue */
    }
    if (s->want_open) {
        s->want_open = 0;
        return put(t, i, QR_PUMP_OPEN, s->route, 0);
    }
    if (s->want_end) {
        s->want_end = 0;
        (void)put(t, i, QR_PUMP_END, s->end, 0);
        if (!l->used) {
            release(t, i);
        }
        return 0;
    }
    if (s->owed >= GRANT && !l->in_fin) {
        uint32_t n = s->owed;
        s->owed = 0;
        return put(t, i, QR_PUMP_CREDIT, 0, n);
    }
    if (s->state == QR_STREAM_OPEN && s->rd_ready && !l->out_fin && l->may_send > 0) {
        return pull(t, i);
    }
    return 0;
}
