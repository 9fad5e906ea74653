#include "daemon/ctl_sock.h"

#include "daemon/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

/* Waits for the descriptor; 0 when the deadline has passed. */
static int
wait_for(int fd, short events, uint64_t deadline)
{
    for (;;) {
        uint64_t now = qr_mono_ns();
        if (now >= deadline) {
            return 0;
        }
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)((deadline - now) / MS) + 1);
        if (n > 0) {
            return 1;
        }
        if (n < 0 && errno != EINTR) {
            return 0;
        }
    }
}

static qr_err
open_socket(const char *path, int *ret, char *err_text, size_t err_cap)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof a.sun_path) {
        snprintf(err_text, err_cap, "%s: the path is too long for a socket", path);
        return QR_ERR_ADDRESS;
    }
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        int err = errno;
        snprintf(err_text, err_cap, "%s: %s%s", path, strerror(err),
                 err == ENOENT || err == ECONNREFUSED ? "; is quorated running?"
                 : err == EACCES                      ? "; run this as the daemon's user"
                                                      : "");
        if (fd >= 0) {
            close(fd);
        }
        return QR_ERR_LINK_CLOSED;
    }
    *ret = fd;
    return QR_OK;
}

static qr_err
send_all(int fd, const struct qr_dbuf *d, uint64_t deadline)
{
    for (size_t at = 0; at < d->len;) {
        ssize_t n = send(fd, d->p + at, d->len - at, MSG_NOSIGNAL);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT, deadline)) {
                return QR_ERR_TIMEOUT;
            }
        } else if (errno != EINTR) {
            return QR_ERR_LINK_CLOSED;
        }
    }
    return QR_OK;
}

static qr_err
receive(int fd, uint64_t id, uint64_t deadline, struct qr_frames *in, struct qr_answer **ret)
{
    uint8_t *p;
    size_t room;
    qr_view frame;

    for (;;) {
        QR_TRY(qr_frames_next(in, &frame));
        if (frame.p) {
            struct qr_answer *a;
            QR_TRY(qr_answer_decode(frame, &a));
            if (a->id == id) {
                *ret = a;
                return QR_OK;
            }
            qr_answer_free(a);
            continue;
        }
        if (!wait_for(fd, POLLIN, deadline)) {
            return QR_ERR_TIMEOUT;
        }
        QR_TRY(qr_frames_room(in, &p, &room));
        ssize_t n = read(fd, p, room);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return QR_ERR_LINK_CLOSED;
        }
        qr_frames_added(in, n > 0 ? (size_t)n : 0);
    }
}

qr_err
qr_ctl_ask(const char *socket, struct qr_ask *ask, unsigned timeout_ms, struct qr_answer **ret,
           char *err_text, size_t err_cap)
{
    uint64_t deadline = qr_mono_ns() + timeout_ms * MS;
    struct qr_frames in;
    struct qr_dbuf out;
    int fd = -1;

    QR_TRY(open_socket(socket, &fd, err_text, err_cap));
    qr_frames_init(&in, QR_ANSWER_FRAME_MAX);
    qr_dbuf_init(&out, QR_ASK_FRAME_MAX + 4);
    ask->id = 1;
    qr_err e = qr_ask_put(&out, ask);
    if (e != QR_OK) {
        snprintf(err_text, err_cap, "the question cannot be put: %s", qr_err_text(e));
        goto out;
    }
    e = send_all(fd, &out, deadline);
    if (e == QR_OK) {
        e = receive(fd, ask->id, deadline, &in, ret);
    }
    if (e != QR_OK) {
        snprintf(err_text, err_cap, "%s: %s", socket,
                 e == QR_ERR_TIMEOUT       ? "the party did not answer in time"
                 : e == QR_ERR_LINK_CLOSED ? "the party closed the connection; it accepts root and "
                                             "its own user only"
                                           : qr_err_text(e));
    }
out:
    close(fd);
    qr_dbuf_free(&out);
    qr_frames_clear(&in);
    return e;
}
