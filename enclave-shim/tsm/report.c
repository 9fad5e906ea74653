/* The kernel behind the table of calls, and the two loops that everybody needs. */
#include "enclave-shim/tsm/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int
result(int r)
{
    return r < 0 ? -errno : r;
}

static int
sys_open(void *ctx, const char *path, int flags)
{
    (void)ctx;
    return result(open(path, flags | O_CLOEXEC));
}

static long
sys_read(void *ctx, int fd, void *out, size_t cap)
{
    (void)ctx;
    ssize_t n = read(fd, out, cap);
    return n < 0 ? -errno : (long)n;
}

static long
sys_write(void *ctx, int fd, const void *p, size_t n)
{
    (void)ctx;
    ssize_t w = write(fd, p, n);
    return w < 0 ? -errno : (long)w;
}

static int
sys_close(void *ctx, int fd)
{
    (void)ctx;
    return result(close(fd));
}

static int
sys_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    (void)ctx;
    return result(ioctl(fd, request, arg));
}

static int
sys_mkdir(void *ctx, const char *path)
{
    (void)ctx;
    return result(mkdir(path, 0700));
}

static int
sys_rmdir(void *ctx, const char *path)
{
    (void)ctx;
    return result(rmdir(path));
}

static int
sys_list(void *ctx, const char *path, void (*each)(void *to, const char *name), void *to)
{
    (void)ctx;
    DIR *d = opendir(path);
    if (!d) {
        return -errno;
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            each(to, e->d_name);
        }
    }
    (void)closedir(d);
    return 0;
}

static int
sys_alive(void *ctx, long pid)
{
    (void)ctx;
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static uint64_t
sys_now(void *ctx)
{
    struct timespec t;
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void
sys_sleep(void *ctx, unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)ctx;
    (void)nanosleep(&t, NULL);
}

const struct qr_sys qr_sys_kernel = {
    .open = sys_open,
    .read = sys_read,
    .write = sys_write,
    .close = sys_close,
    .ioctl = sys_ioctl,
    .mkdir = sys_mkdir,
    .rmdir = sys_rmdir,
    .list = sys_list,
    .alive = sys_alive,
    .now_ms = sys_now,
    .sleep_ms = sys_sleep,
};

long
qr_sys_slurp(const struct qr_sys *s, const char *path, void *out, size_t cap)
{
    uint8_t more;
    size_t n = 0;
    int fd = s->open(s->ctx, path, O_RDONLY | O_NOFOLLOW);

    if (fd < 0) {
        return fd;
    }
    for (;;) {
        int full = n == cap;
        long r = s->read(s->ctx, fd, full ? &more : (uint8_t *)out + n, full ? 1 : cap - n);
        if (r == -EINTR) {
            continue;
        }
        if (r > 0 && !full && (size_t)r <= cap - n) {
            n += (size_t)r;
            continue;
        }
        (void)s->close(s->ctx, fd);
        return r < 0 ? r : r > 0 ? -EFBIG : (long)n;
    }
}

#define FIRST_MS 2u
#define LONGEST_MS 256u

struct qr_patience
qr_patience_of(const struct qr_sys *s, uint32_t patience_ms)
{
    return (struct qr_patience){s->now_ms(s->ctx) + patience_ms, FIRST_MS};
}

int
qr_patience_wait(const struct qr_sys *s, struct qr_patience *p)
{
    if (s->now_ms(s->ctx) + p->next_ms > p->end_ms) {
        return 0;
    }
    s->sleep_ms(s->ctx, p->next_ms);
    p->next_ms = p->next_ms * 2 > LONGEST_MS ? LONGEST_MS : p->next_ms * 2;
    return 1;
}

void
qr_report_close(struct qr_report_src *s)
{
    if (s->free) {
        s->free(s->ctx);
    }
    *s = (struct qr_report_src){.fd = -1};
}
