/*
 * /dev/nsm itself. Linux has had <linux/nsm.h> since 6.8; the two structures are defined here, so that
 * older headers build it.
 */
#include "enclave-shim/nitro/nsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct nsm_iovec {
    uint64_t addr;
    uint64_t len;
};

struct nsm_raw {
    struct nsm_iovec request;
    struct nsm_iovec response;
};

#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)

_Static_assert(sizeof(struct nsm_raw) == 32, "as the kernel has it");
_Static_assert(NSM_IOCTL_RAW == 0xC0200A00u, "as the kernel has it");

/* The context is the descriptor itself: nothing to allocate, nothing to free. */
static int
fd_of(void *ctx)
{
    return (int)(intptr_t)ctx;
}

static int
dev_exchange(void *ctx, const uint8_t *request, size_t len, uint8_t *answer, size_t cap,
             size_t *ret_len)
{
    struct nsm_raw raw = {.request = {.addr = (uint64_t)(uintptr_t)request, .len = len},
                          .response = {.addr = (uint64_t)(uintptr_t)answer, .len = cap}};
    if (ioctl(fd_of(ctx), NSM_IOCTL_RAW, &raw) != 0) {
        return errno != 0 ? errno : EIO;
    }
    *ret_len = raw.response.len > SIZE_MAX ? SIZE_MAX : (size_t)raw.response.len;
    return 0;
}

static void
dev_pause(void *ctx, unsigned ms)
{
    (void)ctx;
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

static void
dev_close(void *ctx)
{
    (void)close(fd_of(ctx));
}

static qr_err
explain(const char *path, int e, char *why)
{
    switch (e) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        (void)snprintf(why, QR_NSM_WHY_MAX,
                       "%s: %s; this is no Nitro enclave, or its kernel has no NSM driver "
                       "(CONFIG_NSM)",
                       path, strerror(e));
        return QR_ERR_PLATFORM;
    case EACCES:
    case EPERM:
        (void)snprintf(why, QR_NSM_WHY_MAX, "%s: %s; the party's user must be able to open it",
                       path, strerror(e));
        return QR_ERR_PERMISSIONS;
    case EBUSY:
    case EAGAIN:
    case EINTR:
        (void)snprintf(why, QR_NSM_WHY_MAX, "%s: still busy after %u tries; try again later", path,
                       QR_NSM_TRIES);
        return QR_ERR_PLATFORM;
    default:
        (void)snprintf(why, QR_NSM_WHY_MAX, "%s: %s", path, strerror(e));
        return QR_ERR_PLATFORM;
    }
}

qr_err
qr_nsm_device(const char *path, struct qr_nsm_dev *ret, char *why)
{
    int fd = -1, e = 0;
    unsigned pause_ms = 1;

    for (unsigned i = 0; i < QR_NSM_TRIES && fd < 0; i++) {
        if (i > 0) {
            dev_pause(NULL, pause_ms);
            pause_ms *= 2;
        }
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        e = errno;
        if (fd < 0 && e != EBUSY && e != EAGAIN && e != EINTR) {
            break;
        }
    }
    if (fd < 0) {
        return explain(path, e, why);
    }
    *ret = (struct qr_nsm_dev){.ctx = (void *)(intptr_t)fd,
                               .fd = fd,
                               .exchange = dev_exchange,
                               .pause = dev_pause,
                               .close = dev_close};
    return QR_OK;
}

qr_err
qr_nsm_open(const char *path, struct qr_nsm *ret)
{
    struct qr_nsm_dev dev;

    memset(ret, 0, sizeof *ret);
    QR_TRY(qr_nsm_device(path, &dev, ret->why));
    qr_nsm_over(ret, &dev);
    return QR_OK;
}
