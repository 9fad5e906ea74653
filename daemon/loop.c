#include "daemon/loop.h"

#include "protocol/base/mem.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 1024
#define MAX_READY 64

struct slot {
    int used;
    qr_loop_fn fn;
    void *ctx;
};

struct qr_loop {
    int ep, sig, stop;
    struct slot slot[MAX_FDS]; /* by descriptor */
};

struct qr_loop *
qr_loop_new(void)
{
    struct qr_loop *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    l->sig = -1;
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    if (l->ep < 0) {
        return qr_free(l);
    }
    return l;
}

struct qr_loop *
qr_loop_free(struct qr_loop *l)
{
    if (l) {
        if (l->sig >= 0) {
            (void)close(l->sig);
        }
        (void)close(l->ep);
    }
    return qr_free(l);
}

static qr_err
control(struct qr_loop *l, int op, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(l->ep, op, fd, &e) == 0 ? QR_OK : QR_ERR_NO_MEMORY;
}

qr_err
qr_loop_add(struct qr_loop *l, int fd, uint32_t events, qr_loop_fn fn, void *ctx)
{
    if (fd < 0 || fd >= MAX_FDS || l->slot[fd].used) {
        return QR_ERR_NO_SPACE;
    }
    QR_TRY(control(l, EPOLL_CTL_ADD, fd, events));
    l->slot[fd] = (struct slot){1, fn, ctx};
    return QR_OK;
}

qr_err
qr_loop_change(struct qr_loop *l, int fd, uint32_t events)
{
    return control(l, EPOLL_CTL_MOD, fd, events);
}

void
qr_loop_del(struct qr_loop *l, int fd)
{
    if (fd >= 0 && fd < MAX_FDS && l->slot[fd].used) {
        (void)epoll_ctl(l->ep, EPOLL_CTL_DEL, fd, NULL);
        l->slot[fd] = (struct slot){0, NULL, NULL};
    }
}

void
qr_loop_wait(struct qr_loop *l, int timeout_ms)
{
    struct epoll_event ev[MAX_READY];
    int n = epoll_wait(l->ep, ev, MAX_READY, timeout_ms);
    for (int i = 0; i < n; i++) {
        int fd = ev[i].data.fd;
        /* An earlier callback of this round may have removed it. */
        if (l->slot[fd].used) {
            l->slot[fd].fn(l->slot[fd].ctx, fd, ev[i].events);
        }
    }
}

static void
on_signal(void *ctx, int fd, uint32_t events)
{
    struct qr_loop *l = ctx;
    struct signalfd_siginfo s;
    (void)events;
    while (read(fd, &s, sizeof s) == (ssize_t)sizeof s) {
        if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT) {
            l->stop = 1;
        }
    }
}

qr_err
qr_loop_signals(struct qr_loop *l)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return QR_ERR_INTERNAL;
    }
    l->sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->sig < 0) {
        return QR_ERR_NO_SPACE;
    }
    return qr_loop_add(l, l->sig, EPOLLIN, on_signal, l);
}

int
qr_loop_stop_asked(const struct qr_loop *l)
{
    return l->stop;
}

uint64_t
qr_mono_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
qr_wall_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}
