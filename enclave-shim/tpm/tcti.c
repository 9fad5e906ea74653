/*
 * The way to the TPM: one descriptor, a character device or an emulator's socket; whole commands out,
 * one framed answer back. No other TCTI of tpm2-tss is used: they load modules by name, and framing an
 * answer by what the other side says is the one thing here that a hostile TPM could aim at.
 */
#include "enclave-shim/tpm/tpm_int.h"

#include "protocol/base/enc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TCTI_MAGIC 0x7175726f72617465ull /* "quorate" in bytes; ESYS only passes it on */
#define HEAD 10u                         /* tag, length, response code */
#define TAG_NO_SESSIONS 0x8001u
#define TAG_SESSIONS 0x8002u
#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

struct qr_tcti {
    TSS2_TCTI_CONTEXT_COMMON_V1 v1; /* first: ESYS sees nothing else */
    int fd;
    int is_socket;
    int waiting; /* a command was sent whose answer has not come */
    int64_t until_ms;
    uint8_t answer[QR_TPM_ANSWER_MAX];
    size_t have;
    char broken[160];
};

static struct qr_tcti *
of(TSS2_TCTI_CONTEXT *x)
{
    return (struct qr_tcti *)(void *)x;
}

static int64_t
now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

qr_err
qr_tcti_frame(qr_view have, size_t *ret_len)
{
    struct qr_buf b = qr_buf_read(have);

    if (have.len < HEAD) {
        *ret_len = 0;
        return QR_OK;
    }
    uint16_t tag = qr_buf_get16(&b);
    uint32_t len = qr_buf_get32(&b);
    if ((tag != TAG_NO_SESSIONS && tag != TAG_SESSIONS) || len < HEAD) {
        return QR_ERR_MALFORMED;
    }
    if (len > QR_TPM_ANSWER_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    if (have.len > len) {
        return QR_ERR_MALFORMED;
    }
    *ret_len = len;
    return QR_OK;
}

/* From here on nothing is sent: what comes next could be the answer to an earlier command. */
static TSS2_RC __attribute__((format(printf, 2, 3)))
give_up(struct qr_tcti *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(c->broken, sizeof c->broken, format, ap);
    va_end(ap);
    return TSS2_TCTI_RC_IO_ERROR;
}

static TSS2_RC
transmit(TSS2_TCTI_CONTEXT *x, size_t size, uint8_t const *command)
{
    struct qr_tcti *c = of(x);

    if (c->broken[0]) {
        return TSS2_TCTI_RC_NO_CONNECTION;
    }
    if (c->waiting) {
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = c->is_socket ? send(c->fd, command + done, size - done, MSG_NOSIGNAL)
                                 : write(c->fd, command + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return give_up(c, "writing a command failed: %s", n < 0 ? strerror(errno) : "nothing");
        }
        done += (size_t)n;
    }
    c->waiting = 1;
    c->have = 0;
    c->until_ms = now_ms() + QR_TPM_ANSWER_MS;
    return TSS2_RC_SUCCESS;
}

/* Reads until the answer is whole. TRY_AGAIN when `timeout` ms pass first. */
static TSS2_RC
await(struct qr_tcti *c, int64_t timeout, size_t *ret_len)
{
    size_t len = 0;
    int64_t since = now_ms();

    /* What was asked for its length before is still here. */
    if (qr_tcti_frame(qr_view_of(c->answer, c->have), &len) != QR_OK) {
        return give_up(c, "what came is no TPM's answer");
    }
    while (len == 0 || c->have < len) {
        int64_t left = c->until_ms - now_ms(), mine = since + timeout - now_ms();
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (left <= 0) {
            return give_up(c, "no answer within %d s", QR_TPM_ANSWER_MS / 1000);
        }
        if (timeout >= 0 && mine < left) {
            left = mine < 0 ? 0 : mine;
        }
        int ready = poll(&p, 1, (int)left);
        if (ready < 0 && errno != EINTR) {
            return give_up(c, "waiting for an answer failed: %s", strerror(errno));
        }
        if (ready == 0 && timeout >= 0 && now_ms() >= since + timeout) {
            return TSS2_TCTI_RC_TRY_AGAIN;
        }
        if (ready <= 0) {
            continue;
        }
        /* A device gives an answer in one piece and to one reader that has room for all of it. */
        ssize_t n = read(c->fd, c->answer + c->have, sizeof c->answer - c->have);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n <= 0) {
            return give_up(c, "an answer ends after %zu bytes%s%s", c->have, n < 0 ? ": " : "",
                           n < 0 ? strerror(errno) : "");
        }
        c->have += (size_t)n;
        qr_err e = qr_tcti_frame(qr_view_of(c->answer, c->have), &len);
        if (e != QR_OK) {
            return give_up(c, "what came is no TPM's answer: %s", qr_err_text(e));
        }
    }
    *ret_len = len;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC
receive(TSS2_TCTI_CONTEXT *x, size_t *size, uint8_t *response, int32_t timeout)
{
    struct qr_tcti *c = of(x);
    size_t len = 0;

    if (c->broken[0]) {
        return TSS2_TCTI_RC_NO_CONNECTION;
    }
    if (!c->waiting) {
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    }
    TSS2_RC rc = await(c, timeout, &len);
    if (rc != TSS2_RC_SUCCESS) {
        return rc;
    }
    if (response && *size < len) {
        *size = len;
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    }
    *size = len;
    if (response) { /* without: the caller asks for the length only */
        memcpy(response, c->answer, len);
        sodium_memzero(c->answer, sizeof c->answer);
        c->waiting = 0;
    }
    return TSS2_RC_SUCCESS;
}

static TSS2_RC
cancel(TSS2_TCTI_CONTEXT *x)
{
    (void)x;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
poll_handles(TSS2_TCTI_CONTEXT *x, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
    (void)x;
    (void)handles;
    (void)n;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
locality(TSS2_TCTI_CONTEXT *x, uint8_t l)
{
    (void)x;
    return l == 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* ---- opening ---- */

static int
open_socket(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int
open_device(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode))) {
        close(fd);
        errno = ENOTTY;
        return -1;
    }
    return fd;
}

/* What each refusal means and what helps. */
static qr_err
explain(const char *path, int why, char *err_text, size_t err_cap)
{
    switch (why) {
    case EBUSY:
    case EAGAIN:
        EXPLAIN("%s is in use by another program; use /dev/tpmrm0, which many may share", path);
        return QR_ERR_BUSY;
    case EACCES:
    case EPERM:
        EXPLAIN("%s: %s; the party's user must be in the device's group (tss)", path,
                strerror(why));
        return QR_ERR_PERMISSIONS;
    case ENOENT:
    case ENXIO:
    case ENODEV:
    case ECONNREFUSED:
        EXPLAIN("%s: %s; this machine has no TPM, or its driver is not in the kernel (tpm_crb, "
                "tpm_tis)",
                path, strerror(why));
        return QR_ERR_PLATFORM;
    case ENOTTY:
        EXPLAIN("%s is no character device", path);
        return QR_ERR_PLATFORM;
    default:
        EXPLAIN("%s: %s", path, strerror(why));
        return why == ENOMEM ? QR_ERR_NO_MEMORY : QR_ERR_PLATFORM;
    }
}

qr_err
qr_tcti_open(const char *path, struct qr_tcti **ret, char *err_text, size_t err_cap)
{
    static const char prefix[] = "unix:";
    int is_socket = strncmp(path, prefix, sizeof prefix - 1) == 0;
    int fd = is_socket ? open_socket(path + sizeof prefix - 1) : open_device(path);
    if (fd < 0) {
        return explain(path, errno, err_text, err_cap);
    }
    struct qr_tcti *c = qr_alloc(sizeof *c);
    if (!c) {
        close(fd);
        EXPLAIN("%s: out of memory", path);
        return QR_ERR_NO_MEMORY;
    }
    c->fd = fd;
    c->is_socket = is_socket;
    c->v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){
        .magic = TCTI_MAGIC,
        .version = 1,
        .transmit = transmit,
        .receive = receive,
        .cancel = cancel,
        .getPollHandles = poll_handles,
        .setLocality = locality,
    };
    *ret = c;
    return QR_OK;
}

void
qr_tcti_close(struct qr_tcti *c)
{
    if (c) {
        close(c->fd);
        sodium_memzero(c, sizeof *c);
        qr_free(c);
    }
}

TSS2_TCTI_CONTEXT *
qr_tcti_context(struct qr_tcti *c)
{
    return (TSS2_TCTI_CONTEXT *)(void *)c;
}

int
qr_tcti_fd(const struct qr_tcti *c)
{
    return c->fd;
}

const char *
qr_tcti_error(const struct qr_tcti *c)
{
    return c->broken;
}
