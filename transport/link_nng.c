/*
 * nng's tcp:// byte streams. The only file that includes nng.
 *
 * Only nng's streams are used, not its sockets: no message sizes chosen by a peer, no reconnect of
 * its own, no pipe callbacks. nng runs threads; its completion callbacks do nothing but note, under
 * one mutex, that an operation is done, and wake the descriptor. Everything else happens in step, on
 * the caller's thread.
 *
 * Closing: closing a stream makes its operations end; the connection is reported and freed by a
 * later step, when none is under way. Nothing of nng's is stopped or freed from a callback, and
 * nothing that is freed has an operation in flight (nng's closing paths deadlock otherwise).
 */
#include "transport/address.h"
#include "transport/link.h"

#include "protocol/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RECV_BUF (128u * 1024u)
#define SEND_BUF (256u * 1024u) /* two of them: one with nng, one being filled */
#define ACCEPT_REST_NS UINT64_C(100000000)

enum state { DIALLING, OPEN, LINGERING, CLOSING };

/* Operations: one bit each, set by the callback, taken by step. */
enum op { OP_DIAL = 1, OP_SEND = 2, OP_RECV = 4, OP_ACCEPT = 8 };

struct nng_link;

/* One asynchronous operation and whom it reports to. */
struct task {
    struct nng_link *link;
    struct ready *ready;
    enum op op;
    nng_aio *aio;
    int busy; /* handed to nng and not yet reported; only step touches it */
};

/* An entry of the queue of things that are done; a connection's or the listener's. */
struct ready {
    struct ready *next;
    unsigned done; /* enum op, under the mutex */
    int queued;    /* under the mutex */
};

struct nng_conn {
    struct qr_conn base; /* first */
    struct nng_conn *next;
    struct ready ready;
    struct task dial, send, recv;
    nng_stream_dialer *dialer;
    nng_stream *stream;
    enum state state;
    uint64_t until; /* end of LINGERING */
    uint8_t *recv_buf;
    uint8_t *send_buf[2];
    size_t send_at, send_len; /* of the buffer that nng has: send_buf[0] */
    size_t pend_len;          /* of the buffer being filled: send_buf[1] */
    int want_room;
    qr_err why;
    char text[64], remote[QR_ADDRESS_MAX];
};

struct nng_link {
    struct qr_link base; /* first */
    pthread_mutex_t mutex;
    struct ready *done; /* under the mutex */
    int event;
    nng_stream_listener *listener;
    struct ready accept_ready;
    struct task accept;
    struct nng_conn *conns;
    uint64_t now, accept_rest;
};

static struct nng_link *
link_of(struct qr_link *l)
{
    return (struct nng_link *)l;
}

static struct nng_conn *
conn_of(struct qr_conn *c)
{
    return (struct nng_conn *)c;
}

/* On one of nng's threads. */
static void
on_done(void *arg)
{
    struct task *t = arg;
    struct nng_link *l = t->link;
    uint64_t one = 1;
    int wake = 0;

    (void)pthread_mutex_lock(&l->mutex);
    t->ready->done |= t->op;
    if (!t->ready->queued) {
        wake = l->done == NULL;
        t->ready->queued = 1;
        t->ready->next = l->done;
        l->done = t->ready;
    }
    if (wake) { /* inside the lock: the descriptor outlives whoever holds it */
        ssize_t n = write(l->event, &one, sizeof one);
        (void)n;
    }
    (void)pthread_mutex_unlock(&l->mutex);
}

static int
task_init(struct task *t, struct nng_link *l, struct ready *r, enum op op)
{
    *t = (struct task){.link = l, .ready = r, .op = op};
    return nng_aio_alloc(&t->aio, on_done, t) == 0;
}

static void
task_free(struct task *t)
{
    if (t->aio) {
        nng_aio_free(t->aio);
        t->aio = NULL;
    }
}

/* A name for nng's error, as errno where there is one. */
static int
to_errno(int rv)
{
    switch (rv) {
    case NNG_EADDRINUSE:
        return EADDRINUSE;
    case NNG_EADDRINVAL:
        return EADDRNOTAVAIL;
    case NNG_EPERM:
        return EACCES;
    default:
        return 0;
    }
}

/* Connections. */

static void
conn_free(struct nng_conn *c)
{
    task_free(&c->dial);
    task_free(&c->send);
    task_free(&c->recv);
    if (c->stream) {
        nng_stream_free(c->stream);
    }
    if (c->dialer) {
        nng_stream_dialer_free(c->dialer);
    }
    qr_free(c->recv_buf);
    qr_free(c->send_buf[0]);
    qr_free(c->send_buf[1]);
    qr_free(c);
}

static struct nng_conn *
conn_new(struct nng_link *l, enum state state, void *user)
{
    struct nng_conn *c = qr_alloc(sizeof *c);
    if (!c) {
        return NULL;
    }
    c->base = (struct qr_conn){&l->base, user};
    c->state = state;
    c->why = QR_ERR_LINK_CLOSED;
    /* Not zeroed: pages that are never used stay out of memory. */
    c->recv_buf = qr_realloc(NULL, RECV_BUF);
    c->send_buf[0] = qr_realloc(NULL, SEND_BUF);
    c->send_buf[1] = qr_realloc(NULL, SEND_BUF);
    if (!c->recv_buf || !c->send_buf[0] || !c->send_buf[1] ||
        !task_init(&c->dial, l, &c->ready, OP_DIAL) ||
        !task_init(&c->send, l, &c->ready, OP_SEND) ||
        !task_init(&c->recv, l, &c->ready, OP_RECV)) {
        conn_free(c);
        return NULL;
    }
    c->next = l->conns;
    l->conns = c;
    return c;
}

/* No more from now on; what is under way ends soon, and step then reports and frees. */
static void
gone(struct nng_conn *c, qr_err why, const char *text)
{
    if (c->state == CLOSING) {
        return;
    }
    if (c->state != LINGERING) {
        c->why = why;
        (void)snprintf(c->text, sizeof c->text, "%s", text);
    }
    c->state = CLOSING;
    if (c->stream) {
        nng_stream_close(c->stream);
    }
    if (c->dial.busy) {
        nng_aio_abort(c->dial.aio, NNG_ECANCELED);
    }
}

static void
start_recv(struct nng_conn *c)
{
    nng_iov v = {c->recv_buf, RECV_BUF};
    if (nng_aio_set_iov(c->recv.aio, 1, &v) != 0) {
        gone(c, QR_ERR_LINK_CLOSED, "cannot receive");
        return;
    }
    c->recv.busy = 1;
    nng_stream_recv(c->stream, c->recv.aio);
}

static void
start_send(struct nng_conn *c)
{
    if (c->send_at == c->send_len) { /* the filled buffer's turn */
        uint8_t *sent = c->send_buf[0];
        c->send_buf[0] = c->send_buf[1];
        c->send_buf[1] = sent;
        c->send_at = 0;
        c->send_len = c->pend_len;
        c->pend_len = 0;
    }
    if (c->send_len == 0) {
        return;
    }
    nng_iov v = {c->send_buf[0] + c->send_at, c->send_len - c->send_at};
    if (nng_aio_set_iov(c->send.aio, 1, &v) != 0) {
        gone(c, QR_ERR_LINK_CLOSED, "cannot send");
        return;
    }
    c->send.busy = 1;
    nng_stream_send(c->stream, c->send.aio);
}

static void
set_stream(struct nng_conn *c, nng_stream *s)
{
    nng_sockaddr a;
    char host[INET6_ADDRSTRLEN] = "?";

    c->stream = s;
    c->state = OPEN;
    /* A delayed ACK would cost 40 ms a round; best effort. */
    (void)nng_stream_set_bool(s, NNG_OPT_TCP_NODELAY, true);
    if (c->remote[0] || nng_stream_get_addr(s, NNG_OPT_REMADDR, &a) != 0) {
        return;
    }
    if (a.s_family == NNG_AF_INET) {
        (void)inet_ntop(AF_INET, &a.s_in.sa_addr, host, sizeof host);
        (void)snprintf(c->remote, sizeof c->remote, "%s:%u", host, (unsigned)ntohs(a.s_in.sa_port));
    } else if (a.s_family == NNG_AF_INET6) {
        (void)inet_ntop(AF_INET6, a.s_in6.sa_addr, host, sizeof host);
        (void)snprintf(c->remote, sizeof c->remote, "[%s]:%u", host,
                       (unsigned)ntohs(a.s_in6.sa_port));
    }
}

/* The operations. */

static qr_err
nng_listen_(struct qr_link *base, const char *address, char *err_text, size_t err_cap)
{
    struct nng_link *l = link_of(base);
    struct qr_address a;
    int bad = 0, rv = 0;

    if (qr_address_parse(address, &a) != QR_OK || a.kind != QR_ADDRESS_TCP || l->listener) {
        qr_address_explain(address, EINVAL, err_text, err_cap);
        return QR_ERR_ADDRESS;
    }
    if (!task_init(&l->accept, l, &l->accept_ready, OP_ACCEPT)) {
        qr_address_explain(address, ENOMEM, err_text, err_cap);
        return QR_ERR_NO_MEMORY;
    }
    rv = nng_stream_listener_alloc(&l->listener, address);
    if (rv == 0) {
        rv = nng_stream_listener_listen(l->listener);
    }
    if (rv != 0) {
        bad = to_errno(rv);
        if (bad != 0) {
            qr_address_explain(address, bad, err_text, err_cap);
        } else {
            (void)snprintf(err_text, err_cap, "%s: %s", address, nng_strerror(rv));
        }
        return QR_ERR_ADDRESS;
    }
    l->accept.busy = 1;
    nng_stream_listener_accept(l->listener, l->accept.aio);
    return QR_OK;
}

static qr_err
nng_dial_(struct qr_link *base, const char *address, void *user)
{
    struct nng_link *l = link_of(base);
    struct qr_address a;

    if (qr_address_parse(address, &a) != QR_OK || a.kind != QR_ADDRESS_TCP) {
        return QR_ERR_ADDRESS;
    }
    struct nng_conn *c = conn_new(l, DIALLING, user);
    if (!c) {
        return QR_ERR_NO_MEMORY;
    }
    (void)snprintf(c->remote, sizeof c->remote, "%s", address);
    int rv = nng_stream_dialer_alloc(&c->dialer, address);
    if (rv != 0) {
        l->conns = c->next;
        conn_free(c);
        return rv == NNG_ENOMEM ? QR_ERR_NO_MEMORY : QR_ERR_ADDRESS;
    }
    nng_aio_set_timeout(c->dial.aio, (nng_duration)(QR_LINK_DIAL_NS / 1000000));
    c->dial.busy = 1;
    nng_stream_dialer_dial(c->dialer, c->dial.aio);
    return QR_OK;
}

static size_t
nng_send_(struct qr_conn *base, qr_view data)
{
    struct nng_conn *c = conn_of(base);

    if (c->state != OPEN) {
        return 0;
    }
    size_t room = SEND_BUF - c->pend_len, n = data.len < room ? data.len : room;
    memcpy(c->send_buf[1] + c->pend_len, data.p, n);
    c->pend_len += n;
    c->want_room = c->want_room || n < data.len;
    if (!c->send.busy) {
        start_send(c);
    }
    return n;
}

static void
nng_close_(struct qr_conn *base, int graceful)
{
    struct nng_conn *c = conn_of(base);

    if (graceful && c->state == OPEN && c->send.busy) {
        (void)snprintf(c->text, sizeof c->text, "closed");
        c->state = LINGERING;
        c->until = link_of(base->link)->now + QR_LINK_LINGER_NS;
        return;
    }
    gone(c, QR_ERR_LINK_CLOSED, "closed");
}

static void
nng_remote(const struct qr_conn *base, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s", ((const struct nng_conn *)base)->remote);
}

static int
nng_fd(struct qr_link *base)
{
    return link_of(base)->event;
}

/* What is done. */

static void
done_dial(struct nng_link *l, struct nng_conn *c)
{
    int rv = nng_aio_result(c->dial.aio);

    c->dial.busy = 0;
    if (rv != 0) {
        gone(c, rv == NNG_ETIMEDOUT ? QR_ERR_TIMEOUT : QR_ERR_LINK_CLOSED, nng_strerror(rv));
        return;
    }
    nng_stream *s = nng_aio_get_output(c->dial.aio, 0);
    if (c->state != DIALLING) {
        nng_stream_free(s);
        return;
    }
    set_stream(c, s);
    l->base.ev.on_open(l->base.ev.ctx, &c->base);
    if (c->state == OPEN) {
        start_recv(c);
    }
}

static void
done_send(struct nng_link *l, struct nng_conn *c)
{
    int rv = nng_aio_result(c->send.aio);

    c->send.busy = 0;
    if (rv != 0) {
        gone(c, QR_ERR_LINK_CLOSED, nng_strerror(rv));
        return;
    }
    c->send_at += nng_aio_count(c->send.aio);
    if (c->state == OPEN || c->state == LINGERING) {
        start_send(c);
    }
    if (c->state == LINGERING && !c->send.busy) {
        gone(c, QR_ERR_LINK_CLOSED, "closed");
    }
    if (c->state == OPEN && c->want_room && c->pend_len == 0) {
        c->want_room = 0;
        l->base.ev.on_room(l->base.ev.ctx, &c->base);
    }
}

static void
done_recv(struct nng_link *l, struct nng_conn *c)
{
    int rv = nng_aio_result(c->recv.aio);

    c->recv.busy = 0;
    if (rv != 0) {
        gone(c, QR_ERR_LINK_CLOSED,
             rv == NNG_ECONNSHUT || rv == NNG_ECLOSED ? "the other end closed the connection"
                                                      : nng_strerror(rv));
        return;
    }
    if (c->state == OPEN) {
        l->base.ev.on_data(l->base.ev.ctx, &c->base,
                           qr_view_of(c->recv_buf, nng_aio_count(c->recv.aio)));
    }
    if (c->state == OPEN) {
        start_recv(c);
    }
}

static void
done_accept(struct nng_link *l)
{
    int rv = nng_aio_result(l->accept.aio);

    l->accept.busy = 0;
    if (rv != 0) { /* most likely out of descriptors: trying again at once would spin */
        l->accept_rest = l->now + ACCEPT_REST_NS;
        return;
    }
    nng_stream *s = nng_aio_get_output(l->accept.aio, 0);
    struct nng_conn *c = conn_new(l, OPEN, NULL);
    if (c) {
        set_stream(c, s);
        c->base.user = l->base.ev.on_accept(l->base.ev.ctx, &c->base);
        if (c->state == OPEN) {
            start_recv(c);
        }
    } else {
        nng_stream_free(s);
    }
    l->accept.busy = 1;
    nng_stream_listener_accept(l->listener, l->accept.aio);
}

/* The whole queue of what is done, oldest first. */
static struct ready *
take_done(struct nng_link *l)
{
    struct ready *list, *reversed = NULL;
    uint64_t n;

    (void)pthread_mutex_lock(&l->mutex);
    list = l->done;
    l->done = NULL;
    if (list) { /* non-blocking; it was written to because the queue was not empty */
        ssize_t got = read(l->event, &n, sizeof n);
        (void)got;
    }
    (void)pthread_mutex_unlock(&l->mutex);
    while (list) {
        struct ready *r = list;
        list = r->next;
        r->next = reversed;
        reversed = r;
    }
    return reversed;
}

static unsigned
take_ops(struct nng_link *l, struct ready *r)
{
    (void)pthread_mutex_lock(&l->mutex);
    unsigned ops = r->done;
    r->done = 0;
    r->queued = 0;
    (void)pthread_mutex_unlock(&l->mutex);
    return ops;
}

static void
reap(struct nng_link *l)
{
    for (struct nng_conn *c = l->conns; c; c = c->next) {
        if (c->state == LINGERING && l->now >= c->until) {
            gone(c, QR_ERR_LINK_CLOSED, "closed");
        }
    }
    for (struct nng_conn **at = &l->conns; *at;) {
        struct nng_conn *c = *at;
        if (c->state != CLOSING || c->dial.busy || c->send.busy || c->recv.busy) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        l->base.ev.on_close(l->base.ev.ctx, &c->base, c->why, c->text);
        conn_free(c);
        at = &l->conns; /* the callback may have dialled */
    }
}

static void
nng_step(struct qr_link *base, uint64_t now_ns)
{
    struct nng_link *l = link_of(base);

    l->now = now_ns;
    if (l->accept_rest != 0 && now_ns >= l->accept_rest) {
        l->accept_rest = 0;
        l->accept.busy = 1;
        nng_stream_listener_accept(l->listener, l->accept.aio);
    }
    for (struct ready *r = take_done(l); r;) {
        struct ready *next = r->next; /* before its flag is taken: then it may be queued anew */
        unsigned ops = take_ops(l, r);
        if (ops & OP_ACCEPT) {
            done_accept(l);
        } else {
            struct nng_conn *c =
                (struct nng_conn *)(void *)((uint8_t *)r - offsetof(struct nng_conn, ready));
            if (ops & OP_DIAL) {
                done_dial(l, c);
            }
            if (ops & OP_SEND) {
                done_send(l, c);
            }
            if (ops & OP_RECV) {
                done_recv(l, c);
            }
        }
        r = next;
    }
    reap(l);
}

/* Stops everything first, frees after: nng_aio_stop waits for a callback that is running. */
static void
nng_free_(struct qr_link *base)
{
    struct nng_link *l = link_of(base);

    if (l->listener) {
        nng_stream_listener_close(l->listener);
    }
    if (l->accept.aio) {
        nng_aio_stop(l->accept.aio);
        if (l->accept.busy && nng_aio_result(l->accept.aio) == 0) {
            nng_stream_free(nng_aio_get_output(l->accept.aio, 0)); /* came while we were leaving */
        }
    }
    for (struct nng_conn *c = l->conns; c; c = c->next) {
        gone(c, QR_ERR_LINK_CLOSED, "closed");
        if (c->dialer) {
            nng_stream_dialer_close(c->dialer);
        }
        nng_aio_stop(c->dial.aio);
        nng_aio_stop(c->send.aio);
        nng_aio_stop(c->recv.aio);
        if (c->dial.busy && nng_aio_result(c->dial.aio) == 0) {
            nng_stream_free(nng_aio_get_output(c->dial.aio, 0));
        }
    }
    while (l->conns) {
        struct nng_conn *c = l->conns;
        l->conns = c->next;
        conn_free(c);
    }
    task_free(&l->accept);
    if (l->listener) {
        nng_stream_listener_free(l->listener);
    }
    if (l->event >= 0) {
        (void)close(l->event);
    }
    (void)pthread_mutex_destroy(&l->mutex);
    qr_free(l);
}

static const struct qr_link_ops ops = {
    .name = "nng",
    .listen = nng_listen_,
    .dial = nng_dial_,
    .send = nng_send_,
    .close = nng_close_,
    .remote = nng_remote,
    .fd = nng_fd,
    .step = nng_step,
    .free = nng_free_,
};

struct qr_link *
qr_link_nng_new(const struct qr_link_events *ev)
{
    nng_aio *first = NULL;
    struct nng_link *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    if (nng_aio_alloc(&first, NULL, NULL) != 0) { /* starts nng's threads */
        return qr_free(l);
    }
    nng_aio_free(first);
    l->base = (struct qr_link){&ops, *ev};
    if (pthread_mutex_init(&l->mutex, NULL) != 0) {
        return qr_free(l);
    }
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->event < 0) {
        nng_free_(&l->base);
        return NULL;
    }
    return &l->base;
}
