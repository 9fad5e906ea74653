#include "daemon/hostsock.h"

#include "daemon/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNS 64
#define FOR_OPERATOR 16 /* of them: a host that takes all the others does not shut him out */
#define OUT_MAX (16u * 1024u * 1024u)
#define MAX_PENDING 8192

struct conn {
    int fd; /* -1: free */
    int admin, reading, want_out, dirty;
    uint32_t generation; /* so that a late answer never reaches a new connection */
    struct qr_frames in;
    struct qr_dbuf out;
    uint64_t pending; /* asks without an answer */
};

/* The ask's own id is put back into its answer. */
struct pending {
    uint64_t id;
    uint32_t conn, generation, next;
};

struct qr_hostsock {
    struct qr_loop *loop;
    int listen_fd[2];
    char path[2][108];
    uint32_t admin_uid; /* 0: nobody but root and us */
    qr_host_ask_fn fn;
    void *ctx;
    struct conn conn[MAX_CONNS];
    struct pending pend[MAX_PENDING];
    uint32_t free_pend;
    size_t n_pend;
};

static void
drop(struct qr_hostsock *h, struct conn *c)
{
    qr_loop_del(h->loop, c->fd);
    (void)close(c->fd);
    c->fd = -1;
    c->generation++;
    qr_frames_clear(&c->in);
    qr_dbuf_free(&c->out);
    c->pending = 0;
}

static struct conn *
find_free(struct qr_hostsock *h, int admin)
{
    size_t end = admin ? MAX_CONNS : MAX_CONNS - FOR_OPERATOR;
    for (size_t i = admin ? MAX_CONNS - FOR_OPERATOR : 0; i < end; i++) {
        if (h->conn[i].fd < 0) {
            return &h->conn[i];
        }
    }
    return NULL;
}

static struct conn *
by_fd(struct qr_hostsock *h, int fd)
{
    for (size_t i = 0; i < MAX_CONNS; i++) {
        if (h->conn[i].fd == fd) {
            return &h->conn[i];
        }
    }
    return NULL;
}

static void
set_events(struct qr_hostsock *h, struct conn *c)
{
    uint32_t ev = (c->reading ? (uint32_t)EPOLLIN : 0u) | (c->want_out ? (uint32_t)EPOLLOUT : 0u);
    if (qr_loop_change(h->loop, c->fd, ev) != QR_OK) {
        drop(h, c);
    }
}

static void
write_out(struct qr_hostsock *h, struct conn *c)
{
    size_t done = 0;
    c->dirty = 0;
    while (done < c->out.len) {
        ssize_t n = send(c->fd, c->out.p + done, c->out.len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            drop(h, c);
            return;
        }
        done += (size_t)n;
    }
    qr_dbuf_consume(&c->out, done);
    if (c->want_out != (c->out.len > 0)) {
        c->want_out = c->out.len > 0;
        set_events(h, c);
    }
}

static int
take_ask(struct qr_hostsock *h, struct conn *c, qr_view frame)
{
    struct qr_ask *ask = NULL;
    qr_err e = qr_ask_decode(frame, &ask);
    if (e != QR_OK) {
        qr_log(QR_LOG_WARN, "host", "bad_frame", "frame from the host refused; connection closed",
               QR_LOG_ERR(e), QR_LOG_END);
        drop(h, c);
        return 0;
    }
    if (h->free_pend == UINT32_MAX) {
        struct qr_answer a = {.id = ask->id, .error = QR_ERR_BUSY};
        a.detail = qr_view_str("too many questions are waiting");
        if (qr_answer_put(&c->out, &a) == QR_OK) {
            c->dirty = 1;
        }
    } else {
        uint32_t i = h->free_pend, ci = (uint32_t)(c - h->conn);
        h->free_pend = h->pend[i].next;
        h->pend[i] = (struct pending){ask->id, ci, c->generation, 0};
        h->n_pend++;
        c->pending++;
        h->fn(h->ctx, c->admin, (uint64_t)i + 1, ask); /* 0 means nobody to the party */
    }
    ask = qr_ask_free(ask);
    return c->fd >= 0;
}

static void
on_conn(void *ctx, int fd, uint32_t events)
{
    struct qr_hostsock *h = ctx;
    struct conn *c = by_fd(h, fd);
    uint8_t *p;
    size_t room;
    if (!c) {
        return;
    }
    if (events & EPOLLOUT) {
        write_out(h, c);
    }
    if (c->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !c->reading) {
        return;
    }
    if (qr_frames_room(&c->in, &p, &room) != QR_OK) {
        drop(h, c);
        return;
    }
    ssize_t n = recv(fd, p, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        drop(h, c);
        return;
    }
    qr_frames_added(&c->in, (size_t)n);
    for (;;) {
        qr_view frame;
        if (qr_frames_next(&c->in, &frame) != QR_OK) {
            qr_log(QR_LOG_WARN, "host", "bad_frame", "stream from the host is out of step; closed",
                   QR_LOG_END);
            drop(h, c);
            return;
        }
        if (!frame.p || !take_ask(h, c, frame)) {
            return;
        }
    }
}

static int
allowed(const struct qr_hostsock *h, int fd, int admin)
{
    struct ucred u;
    socklen_t n = sizeof u;
    if (!admin) {
        return 1; /* the socket's mode decides */
    }
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0 &&
           (u.uid == 0 || u.uid == geteuid() || (h->admin_uid && u.uid == h->admin_uid));
}

static void
on_listen(void *ctx, int fd, uint32_t events)
{
    struct qr_hostsock *h = ctx;
    int admin = fd == h->listen_fd[1];
    (void)events;
    int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (s < 0) {
        return;
    }
    struct conn *c = find_free(h, admin);
    if (!c || !allowed(h, s, admin)) {
        qr_log(QR_LOG_WARN, "host", "connection_refused",
               c ? "this user may not use the operator's socket" : "too many host connections",
               QR_LOG_END);
        (void)close(s);
        return;
    }
    c->fd = s;
    c->admin = admin;
    c->reading = 1;
    c->want_out = c->dirty = 0;
    qr_frames_init(&c->in, QR_ASK_FRAME_MAX);
    qr_dbuf_init(&c->out, OUT_MAX);
    if (qr_loop_add(h->loop, s, EPOLLIN, on_conn, h) != QR_OK) {
        (void)close(s);
        c->fd = -1;
    }
}

static qr_err
listen_on(struct qr_hostsock *h, int which, const char *path, char *err, size_t cap)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof a.sun_path) {
        (void)snprintf(err, cap, "%s: socket path is too long", path);
        return QR_ERR_ADDRESS;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    memcpy(h->path[which], path, strlen(path) + 1);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) {
        (void)snprintf(err, cap, "%s: %s", path, strerror(errno));
        return QR_ERR_NO_SPACE;
    }
    /* A live socket answers; a dead one is left from a crash and may go. */
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) {
            (void)snprintf(err, cap, "%s: exists and is not a socket", path);
            (void)close(s);
            return QR_ERR_ADDRESS;
        }
        if (connect(s, (struct sockaddr *)&a, sizeof a) == 0) {
            (void)snprintf(err, cap, "%s: another quorated answers here", path);
            (void)close(s);
            return QR_ERR_ADDRESS;
        }
        (void)unlink(path);
        (void)close(s);
        s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    mode_t old = umask(which ? 0177 : 0117);
    int r = s < 0 ? -1 : bind(s, (struct sockaddr *)&a, sizeof a);
    int saved = errno;
    (void)umask(old);
    if (r != 0 || listen(s, 64) != 0) {
        (void)snprintf(err, cap, "%s: %s", path, strerror(r != 0 ? saved : errno));
        if (s >= 0) {
            (void)close(s);
        }
        return QR_ERR_ADDRESS;
    }
    h->listen_fd[which] = s;
    return qr_loop_add(h->loop, s, EPOLLIN, on_listen, h);
}

qr_err
qr_hostsock_new(struct qr_loop *l, const char *gateway_path, const char *admin_path,
                qr_host_ask_fn fn, void *ctx, struct qr_hostsock **ret, char *err_text,
                size_t err_cap)
{
    struct qr_hostsock *h = qr_alloc(sizeof *h);
    if (!h) {
        return QR_ERR_NO_MEMORY;
    }
    h->loop = l;
    h->fn = fn;
    h->ctx = ctx;
    h->listen_fd[0] = h->listen_fd[1] = -1;
    for (size_t i = 0; i < MAX_CONNS; i++) {
        h->conn[i].fd = -1;
    }
    for (uint32_t i = 0; i < MAX_PENDING; i++) {
        h->pend[i].next = i + 1 < MAX_PENDING ? i + 1 : UINT32_MAX;
    }
    qr_err e = listen_on(h, 0, gateway_path, err_text, err_cap);
    if (e == QR_OK) {
        e = listen_on(h, 1, admin_path, err_text, err_cap);
    }
    if (e != QR_OK) {
        h = qr_hostsock_free(h);
        return e;
    }
    *ret = h;
    return QR_OK;
}

void
qr_hostsock_stop(struct qr_hostsock *h)
{
    for (int i = 0; i < 2; i++) {
        if (h->listen_fd[i] >= 0) {
            qr_loop_del(h->loop, h->listen_fd[i]);
            (void)close(h->listen_fd[i]);
            (void)unlink(h->path[i]);
            h->listen_fd[i] = -1;
        }
    }
    for (size_t i = 0; i < MAX_CONNS; i++) {
        struct conn *c = &h->conn[i];
        if (c->fd >= 0 && c->reading) {
            c->reading = 0;
            set_events(h, c);
        }
    }
}

struct qr_hostsock *
qr_hostsock_free(struct qr_hostsock *h)
{
    if (h) {
        qr_hostsock_stop(h);
        for (size_t i = 0; i < MAX_CONNS; i++) {
            if (h->conn[i].fd >= 0) {
                drop(h, &h->conn[i]);
            }
        }
    }
    return qr_free(h);
}

void
qr_hostsock_answer(void *ctx, uint64_t to, const struct qr_answer *a)
{
    struct qr_hostsock *h = ctx;
    if (to == 0 || to > MAX_PENDING) {
        return;
    }
    struct pending *pd = &h->pend[to - 1];
    struct conn *c = &h->conn[pd->conn];
    if (c->fd >= 0 && c->generation == pd->generation) {
        struct qr_answer copy = *a;
        copy.id = pd->id;
        c->pending--;
        qr_err e = qr_answer_put(&c->out, &copy);
        if (e != QR_OK) {
            /* The host does not read: its connection goes, not our memory. */
            qr_log(QR_LOG_WARN, "host", "host_stalled", "answers pile up unread; connection closed",
                   QR_LOG_ERR(e), QR_LOG_END);
            drop(h, c);
        } else {
            c->dirty = 1;
        }
    }
    pd->next = h->free_pend;
    h->free_pend = (uint32_t)to - 1;
    h->n_pend--;
}

qr_err
qr_hostsock_admit(struct qr_hostsock *h, uint32_t uid, char *err_text, size_t err_cap)
{
    h->admin_uid = uid;
    if (uid && chmod(h->path[1], 0660) != 0) {
        (void)snprintf(err_text, err_cap, "%s: %s", h->path[1], strerror(errno));
        return QR_ERR_PERMISSIONS;
    }
    return QR_OK;
}

void
qr_hostsock_flush(struct qr_hostsock *h)
{
    for (size_t i = 0; i < MAX_CONNS; i++) {
        if (h->conn[i].fd >= 0 && h->conn[i].dirty) {
            write_out(h, &h->conn[i]);
        }
    }
}

int
qr_hostsock_idle(const struct qr_hostsock *h)
{
    for (size_t i = 0; i < MAX_CONNS; i++) {
        if (h->conn[i].fd >= 0 && h->conn[i].out.len > 0) {
            return 0;
        }
    }
    return h->n_pend == 0;
}
