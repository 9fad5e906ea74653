#include "daemon/sdnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX 16

static uint32_t taken; /* inherited sockets given out, by position */

/* Decimal digits only; -1 for anything else. */
static int64_t
number(const char *s)
{
    int64_t v = 0;
    if (!s || !*s) {
        return -1;
    }
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > INT64_MAX / 10 - 9) {
            return -1;
        }
        v = 10 * v + (*s - '0');
    }
    return v;
}

int
qr_sd_notify(const char *state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;

    if (len < 2 || len >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@')) {
        return 0;
    }
    memcpy(a.sun_path, path, len);
    if (path[0] == '@') {
        a.sun_path[0] = '\0'; /* abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    socklen_t alen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t n;
    do {
        n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a, alen);
    } while (n < 0 && errno == EINTR);
    close(fd);
    return n >= 0;
}

uint64_t
qr_sd_watchdog_us(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    int64_t us = number(getenv("WATCHDOG_USEC"));
    if (us <= 0 || (pid && number(pid) != (int64_t)getpid())) {
        return 0;
    }
    return (uint64_t)us;
}

/* Is the i-th name of the colon-separated list this one? */
static int
name_is(const char *names, int64_t i, const char *name)
{
    for (; names && i > 0; i--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    if (!names) {
        return 0;
    }
    size_t n = strcspn(names, ":");
    return n == strlen(name) && memcmp(names, name, n) == 0;
}

int
qr_sd_listen_fd(const char *name)
{
    int64_t n = number(getenv("LISTEN_FDS"));

    if (n <= 0 || number(getenv("LISTEN_PID")) != (int64_t)getpid()) {
        return -1;
    }
    n = n > LISTEN_FDS_MAX ? LISTEN_FDS_MAX : n;
    for (int64_t i = 0; i < n; i++) {
        if ((taken >> i) & 1u || (name && !name_is(getenv("LISTEN_FDNAMES"), i, name))) {
            continue;
        }
        int fd = LISTEN_FDS_START + (int)i;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
            continue;
        }
        taken |= 1u << i;
        return fd;
    }
    return -1;
}
