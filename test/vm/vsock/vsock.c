/* The host's side of virtio-vsock; see vsock.h. */
#include "test/vm/vsock/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum op { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };
enum { SHUT_RECEIVE = 1, SHUT_SEND = 2, STREAM = 1 };

#define HOST_CID 2u
#define PARENT_CID 3u
#define PACKET_MAX (64u * 1024u)
#define LOST_MAX 64u

struct __attribute__((packed)) header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
};
_Static_assert(sizeof(struct header) == 44, "the header of the specification");

enum state { FREE, GREETING /* "CONNECT n" not read yet */, ASKED, OPEN };

struct conn {
    enum state state;
    int fd;
    uint64_t host_cid;
    uint32_t host_port, guest_port;
    /* Guest to host. */
    uint8_t *room; /* VSOCK_ROOM bytes, a ring */
    size_t at, held;
    uint32_t fwd_cnt, told_fwd; /* bytes that the socket took; what the guest knows of it */
    uint64_t got;
    int guest_shut; /* SHUT_ bits that the guest sent */
    /* Host to guest. */
    uint32_t peer_alloc, peer_fwd, sent;
    int eof, told_eof;
    /* Packets that are due. */
    int due_request, due_response, due_credit, due_rst;
    char greeting[32];
    size_t greeted;
};

struct vsock {
    const char *path;
    uint64_t guest_cid;
    struct virtq *rx, *tx;
    struct vsock_malice malice;
    int listener;
    uint32_t next_port, packets;
    size_t turn;
    uint64_t not_before_ms; /* nothing goes to the guest earlier */
    struct conn c[VSOCK_CONNS];
    struct header lost[LOST_MAX]; /* RST for packets of connections that are not */
    size_t n_lost;
};

static uint64_t
now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int
unix_socket(const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a->sun_path) {
        vm_die("%s is too long for a socket", path);
    }
    memcpy(a->sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        vm_die("socket: %s", strerror(errno));
    }
    return fd;
}

struct vsock *
vsock_new(const char *path, uint64_t guest_cid, struct virtq *rx, struct virtq *tx,
          const struct vsock_malice *malice)
{
    struct vsock *v = calloc(1, sizeof *v);
    struct sockaddr_un a;

    if (!v) {
        vm_die("out of memory");
    }
    *v = (struct vsock){.path = path,
                        .guest_cid = guest_cid,
                        .rx = rx,
                        .tx = tx,
                        .malice = *malice,
                        .next_port = 1u << 30};
    v->listener = unix_socket(path, &a);
    (void)unlink(path);
    if (bind(v->listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(v->listener, 16) != 0) {
        vm_die("%s: %s", path, strerror(errno));
    }
    return v;
}

/* ---- connections ---- */

static struct conn *
conn_new(struct vsock *v, enum state s, int fd)
{
    for (size_t i = 0; i < VSOCK_CONNS; i++) {
        struct conn *c = &v->c[i];
        if (c->state == FREE) {
            uint8_t *room = c->room ? c->room : malloc(VSOCK_ROOM);
            if (!room) {
                vm_die("out of memory");
            }
            *c = (struct conn){.state = s, .fd = fd, .room = room, .host_cid = HOST_CID};
            return c;
        }
    }
    return NULL;
}

static void
conn_drop(struct conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->state = FREE;
}

/* The socket is gone; the guest is told, then the entry is free. */
static void
conn_reset(struct conn *c)
{
    if (c->state == GREETING) {
        conn_drop(c);
        return;
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->due_rst = 1;
}

static struct conn *
conn_of(struct vsock *v, const struct header *h)
{
    for (size_t i = 0; i < VSOCK_CONNS; i++) {
        struct conn *c = &v->c[i];
        if ((c->state == OPEN || c->state == ASKED) && c->host_cid == h->dst_cid &&
            c->host_port == h->dst_port && c->guest_port == h->src_port) {
            return c;
        }
    }
    return NULL;
}

/* ---- from the guest ---- */

static void
refuse(struct vsock *v, const struct header *h)
{
    if (h->op != RST && v->n_lost < LOST_MAX) {
        v->lost[v->n_lost++] = (struct header){.src_cid = h->dst_cid,
                                               .dst_cid = h->src_cid,
                                               .src_port = h->dst_port,
                                               .dst_port = h->src_port,
                                               .type = STREAM,
                                               .op = RST};
    }
}

static void
on_request(struct vsock *v, const struct header *h)
{
    char path[128];
    struct sockaddr_un a;

    if (conn_of(v, h) || (h->dst_cid != HOST_CID && h->dst_cid != PARENT_CID)) {
        refuse(v, h);
        return;
    }
    (void)snprintf(path, sizeof path, "%s_%u", v->path, h->dst_port);
    int fd = unix_socket(path, &a);
    struct conn *c = NULL;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        c = conn_new(v, OPEN, fd);
    }
    if (!c) {
        close(fd);
        refuse(v, h);
        return;
    }
    c->host_cid = h->dst_cid;
    c->host_port = h->dst_port;
    c->guest_port = h->src_port;
    c->peer_alloc = h->buf_alloc;
    c->peer_fwd = h->fwd_cnt;
    c->due_response = 1;
}

/* What the socket takes of what is held; the guest's end of sending after the last byte. */
static void
flush_held(struct conn *c)
{
    while (c->held > 0 && c->fd >= 0) {
        size_t n = c->held < VSOCK_ROOM - c->at ? c->held : VSOCK_ROOM - c->at;
        ssize_t k = send(c->fd, c->room + c->at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                conn_reset(c);
            }
            return;
        }
        c->at = (c->at + (size_t)k) % VSOCK_ROOM;
        c->held -= (size_t)k;
        c->fwd_cnt += (uint32_t)k;
        if (c->fwd_cnt - c->told_fwd >= VSOCK_ROOM / 4) {
            c->due_credit = 1;
        }
    }
    if (c->held == 0 && c->fd >= 0 && c->guest_shut == (SHUT_RECEIVE | SHUT_SEND)) {
        conn_reset(c); /* both are done: the answer to a clean end */
    } else if (c->held == 0 && c->fd >= 0 && (c->guest_shut & SHUT_SEND)) {
        (void)shutdown(c->fd, SHUT_WR);
    }
}

static void
on_data(struct vsock *v, struct conn *c, const struct header *h, const struct virtq_chain *chain)
{
    if (h->len > VSOCK_ROOM - c->held) {
        vm_die("port %u: the guest sent %u bytes and had credit for %zu", c->guest_port, h->len,
               VSOCK_ROOM - c->held);
    }
    c->got += h->len;
    if (v->malice.drop_every > 0 && ++v->packets % v->malice.drop_every == 0) {
        c->fwd_cnt += h->len;
        return;
    }
    for (size_t done = 0; done < h->len;) {
        size_t to = (c->at + c->held) % VSOCK_ROOM;
        size_t n = VSOCK_ROOM - to < h->len - done ? VSOCK_ROOM - to : h->len - done;
        chain_get(chain, sizeof *h + done, c->room + to, n);
        c->held += n;
        done += n;
    }
    flush_held(c);
    if (v->malice.reset_after > 0 && c->got >= v->malice.reset_after) {
        conn_reset(c);
    }
}

static void
on_packet(struct vsock *v, const struct virtq_chain *chain)
{
    struct header h;
    char line[32];

    if (chain->len < sizeof h) {
        vm_die("a packet of %zu bytes", chain->len);
    }
    chain_get(chain, 0, &h, sizeof h);
    if (h.type != STREAM || h.src_cid != v->guest_cid || h.len > chain->len - sizeof h) {
        refuse(v, &h);
        return;
    }
    if (h.op == REQUEST) {
        on_request(v, &h);
        return;
    }
    struct conn *c = conn_of(v, &h);
    if (!c) {
        refuse(v, &h);
        return;
    }
    c->peer_alloc = h.buf_alloc;
    c->peer_fwd = h.fwd_cnt;
    if (c->due_rst) {
        return; /* it will learn */
    }
    switch (h.op) {
    case RESPONSE:
        if (c->state == ASKED) {
            int n = snprintf(line, sizeof line, "OK %u\n", c->host_port);
            c->state = OPEN;
            if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
                conn_reset(c);
            }
        }
        break;
    case RW:
        on_data(v, c, &h, chain);
        break;
    case SHUTDOWN:
        c->guest_shut |= (int)(h.flags & 3u);
        flush_held(c);
        break;
    case CREDIT_REQUEST:
        c->due_credit = 1;
        break;
    case CREDIT_UPDATE:
        break;
    default:
        conn_drop(c);
        break;
    }
}

/* ---- to the guest ---- */

static void
put_packet(struct vsock *v, const struct virtq_chain *chain, const struct header *h)
{
    chain_put(chain, 0, h, sizeof *h);
    virtq_give(v->rx, chain, (uint32_t)sizeof *h + h->len);
}

/* What this connection has to say now, 0 or 1 packet in the chain. */
static int
speak(struct vsock *v, struct conn *c, const struct virtq_chain *chain)
{
    static uint8_t data[PACKET_MAX];
    struct header h = {.src_cid = c->host_cid,
                       .dst_cid = v->guest_cid,
                       .src_port = c->host_port,
                       .dst_port = c->guest_port,
                       .type = STREAM,
                       .buf_alloc = VSOCK_ROOM,
                       .fwd_cnt = c->fwd_cnt};
    uint32_t credit = c->peer_alloc - (c->sent - c->peer_fwd);

    if (c->state == FREE || c->state == GREETING) {
        return 0;
    }
    if (c->due_request) {
        h.op = REQUEST;
        c->due_request = 0;
    } else if (c->due_response) {
        h.op = RESPONSE;
        c->due_response = 0;
    } else if (c->due_rst) {
        h.op = RST;
        conn_drop(c);
    } else if (c->due_credit) {
        h.op = CREDIT_UPDATE;
        c->due_credit = 0;
    } else if (c->state == OPEN && !c->eof && credit > 0 && credit <= c->peer_alloc &&
               !(c->guest_shut & SHUT_RECEIVE)) {
        size_t n = chain->len - sizeof h;
        n = n < credit ? n : credit;
        n = n < sizeof data ? n : sizeof data;
        ssize_t k = recv(c->fd, data, n, MSG_DONTWAIT);
        if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
            return 0;
        }
        if (k > 0) {
            h.op = RW;
            h.len = (uint32_t)k;
            c->sent += h.len;
            chain_put(chain, sizeof h, data, h.len);
        } else {
            c->eof = 1;
        }
    }
    if (h.op == 0 && c->eof && !c->told_eof) {
        h.op = SHUTDOWN;
        h.flags = SHUT_SEND;
        c->told_eof = 1;
    }
    if (h.op == 0) {
        return 0;
    }
    c->told_fwd = c->fwd_cnt;
    put_packet(v, chain, &h);
    return 1;
}

static int
wants_to_speak(const struct conn *c, int readable)
{
    return c->state != FREE && c->state != GREETING &&
           (c->due_request || c->due_response || c->due_rst || c->due_credit ||
            (c->eof && !c->told_eof) || readable);
}

static int
is_readable(const struct conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    uint32_t credit = c->peer_alloc - (c->sent - c->peer_fwd);

    return c->state == OPEN && c->fd >= 0 && !c->eof && !(c->guest_shut & SHUT_RECEIVE) &&
           credit > 0 && credit <= c->peer_alloc && poll(&p, 1, 0) > 0;
}

/* As long as there are buffers and something to put into them. */
static void
serve_rx(struct vsock *v)
{
    struct virtq_chain chain;
    int gave = 0, again = 1;

    if (v->malice.delay_ms > 0 && now_ms() < v->not_before_ms) {
        return;
    }
    while (again && virtq_ready(v->rx)) {
        again = 0;
        if (v->n_lost > 0 && virtq_take(v->rx, &chain)) {
            put_packet(v, &chain, &v->lost[--v->n_lost]);
            gave = again = 1;
        }
        for (size_t i = 0; i < VSOCK_CONNS; i++) {
            struct conn *c = &v->c[(v->turn + i) % VSOCK_CONNS];
            if (!wants_to_speak(c, is_readable(c)) || !virtq_take(v->rx, &chain)) {
                continue;
            }
            if (speak(v, c, &chain)) {
                gave = again = 1;
            } else {
                v->rx->next--; /* the chain stays the guest's */
            }
        }
        v->turn++;
    }
    if (gave) {
        virtq_notify(v->rx);
        v->not_before_ms = now_ms() + v->malice.delay_ms;
    }
}

static void
serve_tx(struct vsock *v)
{
    struct virtq_chain chain;
    int gave = 0;

    while (virtq_take(v->tx, &chain)) {
        on_packet(v, &chain);
        virtq_give(v->tx, &chain, 0);
        gave = 1;
    }
    if (gave) {
        virtq_notify(v->tx);
    }
}

/* ---- from the host's sockets ---- */

static void
greet(struct vsock *v, struct conn *c)
{
    char *end = NULL;

    for (;;) {
        ssize_t k = recv(c->fd, c->greeting + c->greeted, 1, MSG_DONTWAIT);
        if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (k <= 0 || ++c->greeted == sizeof c->greeting) {
            conn_drop(c);
            return;
        }
        if (c->greeting[c->greeted - 1] == '\n') {
            break;
        }
    }
    c->greeting[c->greeted - 1] = '\0';
    unsigned long port =
        strncmp(c->greeting, "CONNECT ", 8) == 0 ? strtoul(c->greeting + 8, &end, 10) : UINT32_MAX;
    if (!end || *end || end == c->greeting + 8 || port >= UINT32_MAX) {
        conn_drop(c);
        return;
    }
    c->guest_port = (uint32_t)port;
    c->host_port = v->next_port++;
    c->state = ASKED;
    c->due_request = 1;
}

size_t
vsock_polls(struct vsock *v, struct pollfd *p, int *timeout_ms)
{
    size_t n = 0;

    p[n++] = (struct pollfd){.fd = v->listener, .events = POLLIN};
    for (size_t i = 0; i < VSOCK_CONNS; i++) {
        struct conn *c = &v->c[i];
        short events = 0;
        if (c->state == GREETING) {
            events = POLLIN;
        } else if (c->state == OPEN && c->fd >= 0) {
            uint32_t credit = c->peer_alloc - (c->sent - c->peer_fwd);
            int may =
                !c->eof && credit > 0 && credit <= c->peer_alloc && !(c->guest_shut & SHUT_RECEIVE);
            events = (short)((may ? POLLIN : 0) | (c->held > 0 ? POLLOUT : 0));
        }
        p[n++] = (struct pollfd){.fd = events ? c->fd : -1, .events = events};
    }
    if (v->malice.delay_ms > 0) {
        *timeout_ms = (int)v->malice.delay_ms;
    }
    return n;
}

void
vsock_step(struct vsock *v, const struct pollfd *p, size_t n)
{
    if (p[0].revents & POLLIN) {
        int fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0 && !conn_new(v, GREETING, fd)) {
            close(fd);
        }
    }
    for (size_t i = 0; i + 1 < n && i < VSOCK_CONNS; i++) {
        struct conn *c = &v->c[i];
        if (p[i + 1].fd < 0 || p[i + 1].fd != c->fd) {
            continue;
        }
        if (c->state == GREETING && p[i + 1].revents) {
            greet(v, c);
        } else if (c->state == OPEN && (p[i + 1].revents & POLLOUT)) {
            flush_held(c);
        }
    }
    serve_tx(v);
    serve_rx(v);
}
