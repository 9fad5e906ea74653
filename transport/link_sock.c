/*
 * Plain sockets: TCP and AF_UNIX, non-blocking, behind one epoll descriptor.
 *
 * No buffer of our own in either direction: send hands bytes to the kernel or reports that it is
 * full; received bytes go from one scratch buffer straight to on_data. A connection that failed or
 * was closed stays in the list, marked, until the end of step, because events of the same batch may
 * still point to it.
 */
#include "transport/address.h"
#include "transport/link.h"

#include "protocol/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SCRATCH (128u * 1024u)
#define READ_BUDGET (512u * 1024u) /* of one connection in one step, so that none starves others */
#define EVENTS 64
#define ACCEPT_BUDGET 64
#define BACKLOG 64
/* Out of descriptors: the listener rests, or its readiness would spin the loop. */
#define ACCEPT_REST_NS UINT64_C(100000000)

enum state { CONNECTING, OPEN, LINGERING, GONE };

struct sock_conn {
    struct qr_conn base; /* first */
    struct sock_conn *next;
    int fd;
    enum state state;
    int want_out;   /* EPOLLOUT is armed */
    uint64_t until; /* end of CONNECTING or LINGERING */
    qr_err why;
    char text[64], remote[QR_ADDRESS_MAX];
};

struct sock_link {
    struct qr_link base; /* first */
    int epoll, listener;
    struct sock_conn *conns;
    uint64_t now, accept_rest; /* != 0: the listener is out of epoll until then */
    char unix_path[QR_ADDRESS_MAX];
    uint8_t *scratch;
};

static struct sock_link *
link_of(struct qr_link *l)
{
    return (struct sock_link *)l;
}

static struct sock_conn *
conn_of(struct qr_conn *c)
{
    return (struct sock_conn *)c;
}

static void
gone(struct sock_conn *c, qr_err why, int errno_value, const char *text)
{
    if (c->state == GONE) {
        return;
    }
    if (c->state != LINGERING) { /* a linger's end is not an error of the peer's */
        c->why = why;
        (void)snprintf(c->text, sizeof c->text, "%s", text ? text : strerror(errno_value));
    }
    c->state = GONE;
    (void)close(c->fd); /* leaves epoll, too */
    c->fd = -1;
}

static int
watch(struct sock_link *l, struct sock_conn *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    return epoll_ctl(l->epoll, op, c->fd, &e);
}

static struct sock_conn *
conn_new(struct sock_link *l, int fd, enum state state, void *user)
{
    struct sock_conn *c = qr_alloc(sizeof *c);
    if (!c) {
        return NULL;
    }
    c->base = (struct qr_conn){&l->base, user};
    c->fd = fd;
    c->state = state;
    c->why = QR_ERR_LINK_CLOSED;
    uint32_t events = state == CONNECTING ? EPOLLOUT : EPOLLIN;
    if (watch(l, c, EPOLL_CTL_ADD, events) != 0) {
        return qr_free(c);
    }
    c->next = l->conns;
    l->conns = c;
    return c;
}

/* Addresses. */

struct sockaddr_any {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
};

/* 0 or an errno value. Names are not resolved: that would block; "localhost" is 127.0.0.1. */
static int
to_sockaddr(const char *text, struct sockaddr_any *ret)
{
    struct qr_address a;
    struct sockaddr_any s;

    if (qr_address_parse(text, &a) != QR_OK) {
        return EINVAL;
    }
    memset(&s, 0, sizeof s);
    if (a.kind == QR_ADDRESS_UNIX) {
        size_t n = strlen(a.host);
        if (n >= sizeof s.u.un.sun_path) {
            return ENAMETOOLONG;
        }
        s.u.un.sun_family = AF_UNIX;
        memcpy(s.u.un.sun_path, a.host, n + 1);
        s.len = sizeof s.u.un;
    } else if (a.kind == QR_ADDRESS_TCP) {
        const char *host = strcmp(a.host, "localhost") == 0 ? "127.0.0.1" : a.host;
        if (inet_pton(AF_INET, host, &s.u.in.sin_addr) == 1) {
            s.u.in.sin_family = AF_INET;
            s.u.in.sin_port = htons(a.port);
            s.len = sizeof s.u.in;
        } else if (inet_pton(AF_INET6, host, &s.u.in6.sin6_addr) == 1) {
            s.u.in6.sin6_family = AF_INET6;
            s.u.in6.sin6_port = htons(a.port);
            s.len = sizeof s.u.in6;
        } else {
            return ENOTSUP;
        }
    } else {
        return EINVAL;
    }
    *ret = s;
    return 0;
}

static void
describe(const struct sockaddr_any *s, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (s->u.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &s->u.in.sin_addr, host, sizeof host);
        (void)snprintf(out, cap, "%s:%u", host, (unsigned)ntohs(s->u.in.sin_port));
    } else if (s->u.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &s->u.in6.sin6_addr, host, sizeof host);
        (void)snprintf(out, cap, "[%s]:%u", host, (unsigned)ntohs(s->u.in6.sin6_port));
    } else {
        (void)snprintf(out, cap, "a Unix socket");
    }
}

static void
set_nodelay(int fd, const struct sockaddr_any *s)
{
    int one = 1;
    if (s->u.any.sa_family != AF_UNIX) { /* a delayed ACK would cost 40 ms a round; best effort */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

/* A socket file that nobody listens at is a crash's leftover and may go; any other file stays. */
static void
remove_stale(const struct sockaddr_any *s)
{
    struct stat st;
    int fd = -1;

    if (s->u.any.sa_family == AF_UNIX && lstat(s->u.un.sun_path, &st) == 0 &&
        S_ISSOCK(st.st_mode)) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, &s->u.any, s->len) != 0 && errno == ECONNREFUSED) {
            (void)unlink(s->u.un.sun_path);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* The operations. */

static int
open_listener(struct sock_link *l, const struct sockaddr_any *s)
{
    int one = 1;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    int fd = socket(s->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return errno;
    }
    remove_stale(s);
    /* Without it a restarted party would wait for its old connections to leave TIME_WAIT. */
    if (s->u.any.sa_family != AF_UNIX) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    mode_t mask = umask(0077); /* a Unix socket is for its owner alone */
    int bad = bind(fd, &s->u.any, s->len) != 0 ? errno : 0;
    (void)umask(mask);
    if (bad == 0 && (listen(fd, BACKLOG) != 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) != 0)) {
        bad = errno;
    }
    if (bad != 0) {
        (void)close(fd);
        return bad;
    }
    l->listener = fd;
    return 0;
}

static qr_err
sock_listen(struct qr_link *base, const char *address, char *err_text, size_t err_cap)
{
    struct sock_link *l = link_of(base);
    struct sockaddr_any s;

    int bad = to_sockaddr(address, &s);
    if (bad == 0 && l->listener >= 0) {
        bad = EISCONN;
    }
    if (bad == 0) {
        bad = open_listener(l, &s);
    }
    if (bad != 0) {
        qr_address_explain(address, bad, err_text, err_cap);
        return QR_ERR_ADDRESS;
    }
    if (s.u.any.sa_family == AF_UNIX) {
        (void)snprintf(l->unix_path, sizeof l->unix_path, "%s", s.u.un.sun_path);
    }
    return QR_OK;
}

static qr_err
sock_dial(struct qr_link *base, const char *address, void *user)
{
    struct sock_link *l = link_of(base);
    struct sockaddr_any s;

    if (to_sockaddr(address, &s) != 0) {
        return QR_ERR_ADDRESS;
    }
    int fd = socket(s.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return QR_ERR_NO_MEMORY;
    }
    set_nodelay(fd, &s);
    int bad = connect(fd, &s.u.any, s.len) == 0 || errno == EINPROGRESS ? 0 : errno;
    struct sock_conn *c = conn_new(l, fd, CONNECTING, user);
    if (!c) {
        (void)close(fd);
        return QR_ERR_NO_MEMORY;
    }
    c->until = l->now + QR_LINK_DIAL_NS;
    (void)snprintf(c->remote, sizeof c->remote, "%s", address);
    if (bad != 0) {
        gone(c, QR_ERR_LINK_CLOSED, bad, NULL); /* reported by the next step, like any other */
    }
    return QR_OK;
}

static size_t
sock_send(struct qr_conn *base, qr_view data)
{
    struct sock_conn *c = conn_of(base);
    size_t at = 0;

    while (c->state == OPEN && at < data.len) {
        ssize_t n = send(c->fd, data.p + at, data.len - at, MSG_NOSIGNAL);
        if (n > 0) {
            at += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            if (!c->want_out &&
                watch(link_of(base->link), c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT) == 0) {
                c->want_out = 1;
            }
            break;
        } else {
            gone(c, QR_ERR_LINK_CLOSED, errno, NULL);
        }
    }
    return at;
}

static void
sock_close(struct qr_conn *base, int graceful)
{
    struct sock_conn *c = conn_of(base);

    if (graceful && c->state == OPEN && shutdown(c->fd, SHUT_WR) == 0) {
        /* Closing now, with bytes unread, would reset the connection and lose our last ones. */
        (void)snprintf(c->text, sizeof c->text, "closed");
        c->state = LINGERING;
        c->until = link_of(base->link)->now + QR_LINK_LINGER_NS;
        if (c->want_out && watch(link_of(base->link), c, EPOLL_CTL_MOD, EPOLLIN) == 0) {
            c->want_out = 0;
        }
        return;
    }
    gone(c, QR_ERR_LINK_CLOSED, 0, "closed");
}

static void
sock_remote(const struct qr_conn *base, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s", ((const struct sock_conn *)base)->remote);
}

static int
sock_fd(struct qr_link *base)
{
    return link_of(base)->epoll;
}

static void
accept_all(struct sock_link *l)
{
    for (int i = 0; i < ACCEPT_BUDGET; i++) {
        struct sockaddr_any s = {.len = sizeof s.u};
        int fd = accept4(l->listener, &s.u.any, &s.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->listener, NULL);
                l->accept_rest = l->now + ACCEPT_REST_NS;
            }
            return; /* EAGAIN, or a connection that was gone before we came */
        }
        set_nodelay(fd, &s);
        struct sock_conn *c = conn_new(l, fd, OPEN, NULL);
        if (!c) {
            (void)close(fd);
            return;
        }
        describe(&s, c->remote, sizeof c->remote);
        c->base.user = l->base.ev.on_accept(l->base.ev.ctx, &c->base);
    }
}

static void
on_connecting(struct sock_link *l, struct sock_conn *c)
{
    int bad = 0;
    socklen_t n = sizeof bad;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &bad, &n) != 0) {
        bad = errno;
    }
    if (bad == 0 && watch(l, c, EPOLL_CTL_MOD, EPOLLIN) != 0) {
        bad = errno;
    }
    if (bad != 0) {
        gone(c, QR_ERR_LINK_CLOSED, bad, NULL);
        return;
    }
    c->state = OPEN;
    l->base.ev.on_open(l->base.ev.ctx, &c->base);
}

static void
on_readable(struct sock_link *l, struct sock_conn *c)
{
    size_t budget = READ_BUDGET;

    while (budget > 0 && (c->state == OPEN || c->state == LINGERING)) {
        ssize_t n = recv(c->fd, l->scratch, budget < SCRATCH ? budget : SCRATCH, 0);
        if (n > 0) {
            budget -= (size_t)n;
            if (c->state == OPEN) {
                l->base.ev.on_data(l->base.ev.ctx, &c->base, qr_view_of(l->scratch, (size_t)n));
            }
            if ((size_t)n < SCRATCH) {
                return; /* most likely all there is; epoll tells if not */
            }
        } else if (n == 0) {
            gone(c, QR_ERR_LINK_CLOSED, 0, "the other end closed the connection");
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            gone(c, QR_ERR_LINK_CLOSED, errno, NULL);
        }
    }
}

static void
on_event(struct sock_link *l, struct sock_conn *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        on_connecting(l, c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        on_readable(l, c);
    }
    if ((events & EPOLLOUT) && c->state == OPEN && c->want_out &&
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN) == 0) {
        c->want_out = 0;
        l->base.ev.on_room(l->base.ev.ctx, &c->base);
    }
}

/* Ends what took too long, then reports and frees what is gone. */
static void
reap(struct sock_link *l)
{
    for (struct sock_conn *c = l->conns; c; c = c->next) {
        if (c->state == CONNECTING && l->now >= c->until) {
            gone(c, QR_ERR_TIMEOUT, 0, "no answer");
        } else if (c->state == LINGERING && l->now >= c->until) {
            gone(c, QR_ERR_LINK_CLOSED, 0, "closed");
        }
    }
    for (struct sock_conn **at = &l->conns; *at;) {
        struct sock_conn *c = *at;
        if (c->state != GONE) {
            at = &c->next;
            continue;
        }
        *at = c->next; /* callbacks only put new ones in front: at stays valid or is re-read */
        l->base.ev.on_close(l->base.ev.ctx, &c->base, c->why, c->text);
        qr_free(c);
        at = &l->conns;
    }
}

static void
sock_step(struct qr_link *base, uint64_t now_ns)
{
    struct sock_link *l = link_of(base);
    struct epoll_event e[EVENTS];

    l->now = now_ns;
    if (l->accept_rest != 0 && now_ns >= l->accept_rest) {
        struct epoll_event in = {.events = EPOLLIN, .data.ptr = NULL};
        if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->listener, &in) == 0) {
            l->accept_rest = 0;
        }
    }
    int n = epoll_wait(l->epoll, e, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct sock_conn *c = e[i].data.ptr;
        if (!c) {
            accept_all(l);
        } else if (c->state != GONE) {
            on_event(l, c, e[i].events);
        }
    }
    reap(l);
}

static void
sock_free(struct qr_link *base)
{
    struct sock_link *l = link_of(base);

    while (l->conns) {
        struct sock_conn *c = l->conns;
        l->conns = c->next;
        if (c->fd >= 0) {
            (void)close(c->fd);
        }
        qr_free(c);
    }
    if (l->listener >= 0) {
        (void)close(l->listener);
    }
    if (l->unix_path[0]) {
        (void)unlink(l->unix_path);
    }
    if (l->epoll >= 0) {
        (void)close(l->epoll);
    }
    qr_free(l->scratch);
    qr_free(l);
}

static const struct qr_link_ops ops = {
    .name = "sock",
    .listen = sock_listen,
    .dial = sock_dial,
    .send = sock_send,
    .close = sock_close,
    .remote = sock_remote,
    .fd = sock_fd,
    .step = sock_step,
    .free = sock_free,
};

struct qr_link *
qr_link_sock_new(const struct qr_link_events *ev)
{
    struct sock_link *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    l->base = (struct qr_link){&ops, *ev};
    l->listener = -1;
    l->scratch = qr_alloc(SCRATCH);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l->scratch || l->epoll < 0) {
        sock_free(&l->base);
        return NULL;
    }
    return &l->base;
}
