#include "test/common/fakeparty.h"

#include "protocol/base/check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNS 16

struct conn {
    int fd; /* -1: free */
    int hang_up;
    struct qr_frames in;
    struct qr_dbuf out;
};

struct fakeparty {
    pthread_t thread;
    char path[108];
    int listen_fd, stop_fd[2];
    struct conn conn[CONNS];
    struct conn *cur; /* whose ask is being answered */
    void (*on_ask)(void *ctx, struct fakeparty *f, const struct qr_ask *ask);
    void *ctx;
    atomic_uint asks, connections;
};

void
fakeparty_answer(struct fakeparty *f, const struct qr_answer *a)
{
    QR_ASSERT(qr_answer_put(&f->cur->out, a) == QR_OK);
}

void
fakeparty_raw(struct fakeparty *f, const void *p, size_t n)
{
    QR_ASSERT(qr_dbuf_append(&f->cur->out, p, n) == QR_OK);
}

void
fakeparty_hang_up(struct fakeparty *f)
{
    f->cur->hang_up = 1;
}

static void
conn_close(struct conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
        qr_frames_clear(&c->in);
        qr_dbuf_free(&c->out);
    }
}

static void
conn_serve(struct fakeparty *f, struct conn *c)
{
    uint8_t *p;
    size_t room;
    qr_view frame;
    struct qr_ask *ask;

    QR_ASSERT(qr_frames_room(&c->in, &p, &room) == QR_OK);
    ssize_t n = read(c->fd, p, room);
    if (n <= 0) {
        conn_close(c);
        return;
    }
    qr_frames_added(&c->in, (size_t)n);
    f->cur = c;
    for (;;) {
        QR_ASSERT(qr_frames_next(&c->in, &frame) == QR_OK);
        if (!frame.p || c->hang_up) {
            break;
        }
        QR_ASSERT(qr_ask_decode(frame, &ask) == QR_OK); /* the gateway writes good frames */
        if (ask->what == QR_ASK_QUERY && ask->query == QR_QUERY_NEEDS) {
            struct qr_answer a = {.id = ask->id, .json = qr_view_str("{\"v\":1,\"needs\":[]}")};
            fakeparty_answer(f, &a);
        } else {
            atomic_fetch_add(&f->asks, 1);
            f->on_ask(f->ctx, f, ask);
        }
        qr_ask_free(ask);
    }
    for (size_t at = 0; at < c->out.len;) {
        ssize_t w = send(c->fd, c->out.p + at, c->out.len - at, MSG_NOSIGNAL);
        if (w <= 0) {
            break;
        }
        at += (size_t)w;
    }
    c->out.len = 0;
    if (c->hang_up) {
        conn_close(c);
    }
}

static void
accept_one(struct fakeparty *f)
{
    int fd = accept(f->listen_fd, NULL, NULL);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < CONNS; i++) {
        struct conn *c = &f->conn[i];
        if (c->fd < 0) {
            c->fd = fd;
            c->hang_up = 0;
            qr_frames_init(&c->in, QR_ASK_FRAME_MAX);
            qr_dbuf_init(&c->out, 64 * 1024 * 1024);
            atomic_fetch_add(&f->connections, 1);
            return;
        }
    }
    close(fd);
}

static void *
run(void *arg)
{
    struct fakeparty *f = arg;
    for (;;) {
        struct pollfd p[CONNS + 2] = {{.fd = f->stop_fd[0], .events = POLLIN},
                                      {.fd = f->listen_fd, .events = POLLIN}};
        for (size_t i = 0; i < CONNS; i++) {
            p[i + 2] = (struct pollfd){.fd = f->conn[i].fd, .events = POLLIN};
        }
        if (poll(p, CONNS + 2, -1) < 0) {
            continue;
        }
        if (p[0].revents) {
            return NULL;
        }
        for (size_t i = 0; i < CONNS; i++) {
            if (p[i + 2].revents && f->conn[i].fd >= 0) {
                conn_serve(f, &f->conn[i]);
            }
        }
        if (p[1].revents) {
            accept_one(f);
        }
    }
}

struct fakeparty *
fakeparty_start(const char *path,
                void (*on_ask)(void *ctx, struct fakeparty *f, const struct qr_ask *ask), void *ctx)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct fakeparty *f = qr_alloc(sizeof *f);

    QR_ASSERT(f && strlen(path) < sizeof a.sun_path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    memcpy(f->path, path, strlen(path) + 1);
    f->on_ask = on_ask;
    f->ctx = ctx;
    for (size_t i = 0; i < CONNS; i++) {
        f->conn[i].fd = -1;
    }
    unlink(path);
    f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QR_ASSERT(f->listen_fd >= 0 && bind(f->listen_fd, (const struct sockaddr *)&a, sizeof a) == 0 &&
              listen(f->listen_fd, 16) == 0 && pipe(f->stop_fd) == 0);
    QR_ASSERT(pthread_create(&f->thread, NULL, run, f) == 0);
    return f;
}

struct fakeparty *
fakeparty_stop(struct fakeparty *f)
{
    if (!f) {
        return NULL;
    }
    QR_ASSERT(write(f->stop_fd[1], "x", 1) == 1);
    pthread_join(f->thread, NULL);
    for (size_t i = 0; i < CONNS; i++) {
        conn_close(&f->conn[i]);
    }
    close(f->listen_fd);
    close(f->stop_fd[0]);
    close(f->stop_fd[1]);
    unlink(f->path);
    return qr_free(f);
}

unsigned
fakeparty_asks(const struct fakeparty *f)
{
    return atomic_load(&f->asks);
}

unsigned
fakeparty_connections(const struct fakeparty *f)
{
    return atomic_load(&f->connections);
}
