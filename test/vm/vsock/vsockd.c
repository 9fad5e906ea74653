/*
 * vsockd: a vhost-user backend for vsock, test equipment for guests under QEMU.
 *
 * usage: vsockd --vhost PATH --uds PATH [--cid N] [--delay-ms N] [--drop-every N] [--reset-after N]
 *   --vhost        listens there for one QEMU (-chardev socket,path=...), and ends when it goes
 *   --uds          the guest's connections to port P go to PATH_P; PATH takes "CONNECT P"
 *   --cid          the guest's address (default 4)
 *   the others     a hostile parent: vsock.h
 * Source: QEMU's docs/interop/vhost-user.rst for the messages. No memory regions are added or removed
 * later, nothing migrates, no reply-ack: only what a vsock device without those asks for.
 */
#include "test/vm/vsock/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    GET_CONFIG = 24,
    SET_CONFIG = 25,
};

#define FEATURES (1ull << 32 | 1ull << 30) /* version 1; protocol features */
#define PROTOCOL_FEATURES 0x201ull         /* MQ, CONFIG */
#define QUEUES 2u                          /* to the guest, from it; events are not ours */
#define PAYLOAD_MAX 1024u

struct message {
    uint32_t request, flags, size;
    uint8_t payload[PAYLOAD_MAX];
    int fd[VM_REGIONS];
    size_t n_fd;
};

struct daemon {
    int fd;
    uint64_t cid;
    struct vm_memory mem;
    struct virtq q[QUEUES];
};

static uint32_t
u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t
u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* 0: QEMU is gone. */
static int
receive(int fd, struct message *m)
{
    union {
        struct cmsghdr align;
        char b[CMSG_SPACE(VM_REGIONS * sizeof(int))];
    } control;
    struct iovec io = {m, 12};
    struct msghdr h = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.b,
                       .msg_controllen = sizeof control.b};

    m->n_fd = 0;
    ssize_t n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    if (n <= 0) {
        return 0;
    }
    if (n != 12 || m->size > PAYLOAD_MAX) {
        vm_die("a message of %zd bytes, payload %u", n, m->size);
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            m->n_fd = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(m->fd, CMSG_DATA(c), m->n_fd * sizeof(int));
        }
    }
    if (m->size > 0 && recv(fd, m->payload, m->size, MSG_WAITALL) != (ssize_t)m->size) {
        vm_die("a message ends early");
    }
    return 1;
}

static void
reply(int fd, struct message *m, uint32_t size)
{
    m->flags = 1u | 4u; /* version 1, a reply */
    m->size = size;
    if (send(fd, m, 12 + size, MSG_NOSIGNAL) != (ssize_t)(12 + size)) {
        vm_die("cannot answer QEMU: %s", strerror(errno));
    }
}

static void
reply_u64(int fd, struct message *m, uint64_t v)
{
    memcpy(m->payload, &v, sizeof v);
    reply(fd, m, sizeof v);
}

static void
set_memory(struct daemon *d, const struct message *m)
{
    uint32_t n = u32(m->payload);

    if (n > VM_REGIONS || n != m->n_fd || m->size < 8 + 32 * n) {
        vm_die("%u memory regions with %zu descriptors", n, m->n_fd);
    }
    for (size_t i = 0; i < d->mem.n; i++) {
        (void)munmap(d->mem.r[i].host, d->mem.r[i].size);
    }
    d->mem.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = m->payload + 8 + 32 * (size_t)i;
        uint64_t size = u64(p + 8), offset = u64(p + 24);
        /* The offset need not lie on a page: the whole file up to the end is mapped. */
        uint8_t *at = mmap(NULL, size + offset, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd[i], 0);
        if (at == MAP_FAILED) {
            vm_die("mmap of the guest's memory: %s", strerror(errno));
        }
        close(m->fd[i]);
        d->mem.r[i].guest = u64(p);
        d->mem.r[i].size = size;
        d->mem.r[i].user = u64(p + 16);
        d->mem.r[i].host = at + offset;
        d->mem.n++;
    }
}

static struct virtq *
queue(struct daemon *d, uint32_t index)
{
    if (index >= QUEUES) {
        vm_die("queue %u", index);
    }
    return &d->q[index];
}

static void
set_fd(struct daemon *d, const struct message *m)
{
    struct virtq *q = queue(d, (uint32_t)(u64(m->payload) & 0xff));
    int fd = m->n_fd == 1 ? m->fd[0] : -1;

    if (m->request == SET_VRING_ERR) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    int *to = m->request == SET_VRING_KICK ? &q->kick : &q->call;
    if (*to >= 0) {
        close(*to);
    }
    *to = fd;
    /* The kick that came before we listened. */
    if (m->request == SET_VRING_KICK && fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    }
}

static void
get_config(const struct daemon *d, int fd, struct message *m)
{
    uint8_t config[8];
    uint32_t offset = u32(m->payload), size = u32(m->payload + 4);

    memcpy(config, &d->cid, sizeof config);
    if (offset > sizeof config || size > PAYLOAD_MAX - 12) {
        vm_die("configuration of %u bytes at %u", size, offset);
    }
    memset(m->payload + 12, 0, size);
    memcpy(m->payload + 12, config + offset,
           size < sizeof config - offset ? size : sizeof config - offset);
    reply(fd, m, 12 + size);
}

static void
on_message(struct daemon *d, struct message *m)
{
    struct virtq *q;

    switch (m->request) {
    case GET_FEATURES:
        reply_u64(d->fd, m, FEATURES);
        break;
    case GET_PROTOCOL_FEATURES:
        reply_u64(d->fd, m, PROTOCOL_FEATURES);
        break;
    case GET_QUEUE_NUM:
        reply_u64(d->fd, m, QUEUES);
        break;
    case SET_FEATURES:
    case SET_PROTOCOL_FEATURES:
    case SET_OWNER:
    case SET_CONFIG:
        break;
    case SET_MEM_TABLE:
        set_memory(d, m);
        break;
    case SET_VRING_NUM:
        q = queue(d, u32(m->payload));
        q->num = u32(m->payload + 4);
        if (q->num == 0 || q->num > 32768 || (q->num & (q->num - 1)) != 0) {
            vm_die("a queue of %u entries", q->num);
        }
        break;
    case SET_VRING_BASE:
        queue(d, u32(m->payload))->next = (uint16_t)u32(m->payload + 4);
        break;
    case SET_VRING_ADDR:
        q = queue(d, u32(m->payload));
        q->desc = u64(m->payload + 8);
        q->used = u64(m->payload + 16);
        q->avail = u64(m->payload + 24);
        break;
    case SET_VRING_KICK:
    case SET_VRING_CALL:
    case SET_VRING_ERR:
        set_fd(d, m);
        break;
    case SET_VRING_ENABLE:
        queue(d, u32(m->payload))->enabled = u32(m->payload + 4) != 0;
        break;
    case GET_VRING_BASE: {
        q = queue(d, u32(m->payload));
        uint32_t next = q->next;
        q->enabled = 0;
        memcpy(m->payload + 4, &next, sizeof next);
        reply(d->fd, m, 8);
        break;
    }
    case GET_CONFIG:
        get_config(d, d->fd, m);
        break;
    default:
        vm_die("QEMU asks for %u, which this backend did not offer", m->request);
    }
}

static int
accept_qemu(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (s < 0 || strlen(path) >= sizeof a.sun_path) {
        vm_die("%s is too long for a socket", path);
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    if (bind(s, (struct sockaddr *)&a, sizeof a) != 0 || listen(s, 1) != 0) {
        vm_die("%s: %s", path, strerror(errno));
    }
    int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        vm_die("accept: %s", strerror(errno));
    }
    close(s);
    return fd;
}

/* Until QEMU goes. */
static void
serve(struct daemon *d, struct vsock *v)
{
    static struct message m;
    struct pollfd p[1 + QUEUES + VSOCK_POLLS];
    uint64_t kicks;

    for (;;) {
        int timeout = -1;
        p[0] = (struct pollfd){.fd = d->fd, .events = POLLIN};
        for (unsigned i = 0; i < QUEUES; i++) {
            p[1 + i] = (struct pollfd){.fd = d->q[i].kick, .events = POLLIN};
        }
        size_t n = vsock_polls(v, p + 1 + QUEUES, &timeout);
        if (poll(p, 1 + QUEUES + n, timeout) < 0 && errno != EINTR) {
            vm_die("poll: %s", strerror(errno));
        }
        for (unsigned i = 0; i < QUEUES; i++) {
            if (p[1 + i].revents & POLLIN) {
                (void)!read(d->q[i].kick, &kicks, sizeof kicks);
            }
        }
        if (p[0].revents && !receive(d->fd, &m)) {
            return;
        }
        if (p[0].revents) {
            on_message(d, &m);
        }
        vsock_step(v, p + 1 + QUEUES, n);
    }
}

static unsigned long
number(const char *s)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);
    if (!*s || *end) {
        vm_die("%s is no number", s);
    }
    return v;
}

int
main(int argc, char **argv)
{
    const char *vhost = NULL, *uds = NULL;
    struct vsock_malice malice = {0};
    struct daemon d = {.cid = 4};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--vhost") == 0) {
            vhost = argv[i + 1];
        } else if (strcmp(argv[i], "--uds") == 0) {
            uds = argv[i + 1];
        } else if (strcmp(argv[i], "--cid") == 0) {
            d.cid = number(argv[i + 1]);
        } else if (strcmp(argv[i], "--delay-ms") == 0) {
            malice.delay_ms = (unsigned)number(argv[i + 1]);
        } else if (strcmp(argv[i], "--drop-every") == 0) {
            malice.drop_every = (unsigned)number(argv[i + 1]);
        } else if (strcmp(argv[i], "--reset-after") == 0) {
            malice.reset_after = number(argv[i + 1]);
        } else {
            vm_die("unknown option %s", argv[i]);
        }
    }
    if (!vhost || !uds || argc % 2 == 0) {
        vm_die("usage: vsockd --vhost PATH --uds PATH [--cid N] [--delay-ms N] [--drop-every N] "
               "[--reset-after N]");
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        d.q[i] = (struct virtq){.mem = &d.mem, .kick = -1, .call = -1};
    }
    struct vsock *v = vsock_new(uds, d.cid, &d.q[0], &d.q[1], &malice);
    d.fd = accept_qemu(vhost);
    serve(&d, v);
    return 0;
}
