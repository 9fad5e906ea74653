#include "test/common/tpmproxy.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* 1: fd can be read; 0: told to stop. */
static int
readable(const struct tpmproxy *p, int fd)
{
    struct pollfd f[2] = {{.fd = fd, .events = POLLIN}, {.fd = p->wake[0], .events = POLLIN}};
    while (poll(f, 2, -1) < 0) {
    }
    return !(f[1].revents);
}

/* One framed message; 0: the other side is gone, or it is time to stop. */
static size_t
message(const struct tpmproxy *p, int fd, uint8_t *out)
{
    size_t have = 0, len = 10;
    while (have < len) {
        ssize_t n = readable(p, fd) ? read(fd, out + have, len - have) : 0;
        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
        if (have == 10) {
            len = (size_t)out[2] << 24 | (size_t)out[3] << 16 | (size_t)out[4] << 8 | out[5];
            if (len < 10 || len > TPMPROXY_MAX) {
                return 0;
            }
        }
    }
    return len;
}

static void
serve(struct tpmproxy *p, int fd, int tpm)
{
    uint8_t m[TPMPROXY_MAX];

    for (;;) {
        size_t n = message(p, fd, m);
        if (n == 0) {
            return;
        }
        uint32_t code =
            (uint32_t)m[6] << 24 | (uint32_t)m[7] << 16 | (uint32_t)m[8] << 8 | (uint32_t)m[9];
        if (p->before) {
            p->before(p->ctx, code, tpm);
        }
        if (write(tpm, m, n) != (ssize_t)n || (n = message(p, tpm, m)) == 0) {
            return;
        }
        enum tpmproxy_do what = p->answer ? p->answer(p->ctx, code, tpm, m, &n) : TPMPROXY_PASS;
        if (what == TPMPROXY_SWALLOW) {
            continue;
        }
        if (send(fd, m, n, MSG_NOSIGNAL) != (ssize_t)n || what == TPMPROXY_CLOSE) {
            return;
        }
    }
}

static int
dial(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void *
run(void *arg)
{
    struct tpmproxy *p = arg;
    while (readable(p, p->listener)) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), tpm = fd < 0 ? -1 : dial(p->tpm);
        if (tpm >= 0) {
            serve(p, fd, tpm);
            close(tpm);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return NULL;
}

int
tpmproxy_start(struct tpmproxy *p, const char *socket_path, const char *tpm)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)snprintf(p->socket, sizeof p->socket, "%s", socket_path);
    (void)snprintf(p->path, sizeof p->path, "unix:%s", socket_path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", socket_path);
    p->tpm = tpm;
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return p->listener < 0 || bind(p->listener, (const struct sockaddr *)&a, sizeof a) != 0 ||
           listen(p->listener, 4) != 0 || pipe(p->wake) != 0 ||
           pthread_create(&p->thread, NULL, run, p) != 0;
}

void
tpmproxy_stop(struct tpmproxy *p)
{
    if (p->listener > 0) {
        (void)!write(p->wake[1], "x", 1);
        (void)pthread_join(p->thread, NULL);
        close(p->listener);
        close(p->wake[0]);
        close(p->wake[1]);
        (void)unlink(p->socket);
        p->listener = 0;
    }
}
