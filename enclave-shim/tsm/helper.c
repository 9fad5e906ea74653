/* A source of reports in a child process. */
#include "enclave-shim/tsm/helper.h"

#include "enclave-shim/sandbox.h"
#include "protocol/base/buf.h"
#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Question: u32 number || data. Answer: u32 number, error, lengths of why, out, aux || those. */
#define ASK_LEN (4u + QR_REPORT_DATA)
#define HEAD_LEN 20u
#define WHY_MAX 512u
#define CHILD_FD 3
#define BODY_MS 2000u /* a whole answer is on its way: the child has it before it begins to send */
#define LOOK_MS 60000u

struct head {
    uint32_t number, error, why_len, out_len, aux_len;
};

struct helper {
    int fd;
    uint32_t number; /* of the last question */
    uint32_t wait_ms;
    int broken; /* an answer came in part, or the process is gone */
    char why[WHY_MAX];
};

/* ---- both sides ---------------------------------------------------------------------------- */

static int
send_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t w = send(fd, at, n, MSG_NOSIGNAL);
        if (w < 0 && errno != EINTR) {
            return -errno;
        }
        at += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
    return 0;
}

/*
 * n bytes by the time `end_ms`. 0, or -errno; -ETIMEDOUT with nothing read when *ret_some is 0;
 * -EPIPE: the other end is closed.
 */
static int
recv_all(int fd, void *out, size_t n, uint64_t end_ms, int *ret_some)
{
    uint8_t *at = out;
    *ret_some = 0;
    while (n > 0) {
        uint64_t now = qr_sys_kernel.now_ms(NULL);
        struct pollfd f = {.fd = fd, .events = POLLIN};
        if (now >= end_ms) {
            return -ETIMEDOUT;
        }
        int r = poll(&f, 1, end_ms - now > LOOK_MS ? (int)LOOK_MS : (int)(end_ms - now));
        if (r == 0) {
            continue;
        }
        ssize_t got = r < 0 ? -1 : recv(fd, at, n, 0);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            return -EPIPE;
        }
        *ret_some |= got > 0;
        at += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* ---- the child ----------------------------------------------------------------------------- */

static int
answer(const struct head *h, const char *why, const struct qr_report *r)
{
    uint8_t mem[HEAD_LEN];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    qr_buf_put32(&b, h->number);
    qr_buf_put32(&b, h->error);
    qr_buf_put32(&b, h->why_len);
    qr_buf_put32(&b, h->out_len);
    qr_buf_put32(&b, h->aux_len);
    return send_all(CHILD_FD, mem, sizeof mem) == 0 && send_all(CHILD_FD, why, h->why_len) == 0 &&
           send_all(CHILD_FD, r->out, h->out_len) == 0 &&
           send_all(CHILD_FD, r->aux, h->aux_len) == 0;
}

static int
answer_error(uint32_t number, qr_err e, const char *why)
{
    static const struct qr_report none;
    size_t n = strnlen(why, WHY_MAX - 1);
    const struct head h = {.number = number, .error = (uint32_t)e, .why_len = (uint32_t)n};
    return answer(&h, why, &none);
}

static void
serve(struct qr_report_src *src, struct qr_report *r)
{
    uint8_t ask[ASK_LEN];
    int some = 0, going = 1;

    while (going && recv_all(CHILD_FD, ask, sizeof ask, UINT64_MAX, &some) == 0) {
        uint32_t number = qr_get32(ask);
        qr_err e = src->get(src->ctx, ask + 4, r);
        if (e == QR_OK) {
            const struct head h = {
                .number = number, .out_len = (uint32_t)r->out_len, .aux_len = (uint32_t)r->aux_len};
            going = answer(&h, "", r);
        } else {
            going = answer_error(number, e, src->why(src->ctx));
        }
    }
}

/* Nothing of the party's but the standard streams and our end of the pair. */
static void
leave_home(int fd)
{
    (void)signal(SIGINT, SIG_IGN); /* the party's end is ours: we hear of it by the socket */
    (void)signal(SIGTERM, SIG_IGN);
    if (fd != CHILD_FD) {
        (void)dup2(fd, CHILD_FD);
    }
    (void)fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC);
    (void)close_range(CHILD_FD + 1, ~0u, 0);
    (void)prctl(PR_SET_NAME, "quorate-report", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void __attribute__((noreturn)) child(int fd, const struct qr_helper_open *how)
{
    static struct qr_report report; /* the child's own copy of the page */
    char why[WHY_MAX] = "";
    struct qr_report_src src = {.fd = -1};

    leave_home(fd);
    qr_err e = qr_sandbox_enter_as(QR_SANDBOX_REPORTS, why, sizeof why);
    e = e == QR_OK ? how->open(how->ctx, &src, why, sizeof why) : e;
    if (answer_error(0, e, why) && e == QR_OK) {
        serve(&src, &report);
    }
    if (e == QR_OK) {
        qr_report_close(&src);
    }
    _exit(0);
}

/* ---- the parent ---------------------------------------------------------------------------- */

static qr_err __attribute__((format(printf, 2, 3))) fail(struct helper *h, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(h->why, sizeof h->why, format, ap);
    va_end(ap);
    return QR_ERR_PLATFORM;
}

static qr_err
lost(struct helper *h, int e, int part)
{
    if (e == -ETIMEDOUT && !part) {
        return fail(h, "the process that asks for reports did not answer within %u ms", h->wait_ms);
    }
    h->broken = 1;
    return fail(h,
                "the process that asks for reports is gone or out of step (%s): restart the party",
                e == -EPIPE ? "it ended" : strerror(-e));
}

/* What does not belong to our question. */
static int
skip(struct helper *h, size_t n, uint64_t end_ms)
{
    uint8_t sink[1024];
    int some, e = 0;
    while (n > 0 && e == 0) {
        size_t k = n < sizeof sink ? n : sizeof sink;
        e = recv_all(h->fd, sink, k, end_ms, &some);
        n -= k;
    }
    return e;
}

/* The answer with our number; r NULL: none with a report is expected. */
static qr_err
hear(struct helper *h, struct qr_report *r)
{
    uint64_t end = qr_sys_kernel.now_ms(NULL) + h->wait_ms;
    uint8_t mem[HEAD_LEN];
    int some = 0;

    for (;;) {
        int e = recv_all(h->fd, mem, sizeof mem, end, &some);
        if (e != 0) {
            return lost(h, e, some);
        }
        struct qr_buf b = qr_buf_read(qr_view_of(mem, sizeof mem));
        struct head a = {.number = qr_buf_get32(&b), .error = qr_buf_get32(&b)};
        a.why_len = qr_buf_get32(&b);
        a.out_len = qr_buf_get32(&b);
        a.aux_len = qr_buf_get32(&b);
        if (a.why_len >= WHY_MAX || a.out_len > QR_REPORT_OUT_MAX ||
            a.aux_len > QR_REPORT_AUX_MAX || (!r && (a.out_len || a.aux_len))) {
            return lost(h, -EBADMSG, 1);
        }
        uint64_t begun = qr_sys_kernel.now_ms(NULL) + BODY_MS;
        end = end > begun ? end
                          : begun; /* what has begun is heard to its end, or we are out of step */
        if (a.number != h->number) {
            e = skip(h, (size_t)a.why_len + a.out_len + a.aux_len, end);
            if (e != 0) {
                return lost(h, e, 1);
            }
            continue;
        }
        e = recv_all(h->fd, h->why, a.why_len, end, &some);
        h->why[a.why_len] = '\0';
        if (e == 0 && r) {
            e = recv_all(h->fd, r->out, a.out_len, end, &some);
            e = e == 0 ? recv_all(h->fd, r->aux, a.aux_len, end, &some) : e;
            r->out_len = a.out_len;
            r->aux_len = a.aux_len;
        }
        return e != 0 ? lost(h, e, 1) : (qr_err)a.error;
    }
}

static qr_err
helper_get(void *ctx, const uint8_t data[QR_REPORT_DATA], struct qr_report *ret)
{
    struct helper *h = ctx;
    uint8_t ask[ASK_LEN];

    if (h->broken) {
        return QR_ERR_PLATFORM; /* why stays as it was */
    }
    h->why[0] = '\0';
    h->number++;
    qr_put32(ask, h->number);
    memcpy(ask + 4, data, QR_REPORT_DATA);
    int e = send_all(h->fd, ask, sizeof ask);
    return e != 0 ? lost(h, e, 1) : hear(h, ret);
}

static const char *
helper_why(void *ctx)
{
    return ((struct helper *)ctx)->why;
}

static void
helper_free(void *ctx)
{
    struct helper *h = ctx;
    (void)close(h->fd);
    qr_free(h);
}

/* The child's child stays: it is init's, and nobody has to wait for it. */
static int
fork_away(int pair[2], const struct qr_helper_open *how)
{
    int status = 0;
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            (void)close(pair[0]);
            child(pair[1], how);
        }
        _exit(grandchild < 0 ? 1 : 0);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

qr_err
qr_helper_start(const struct qr_helper_open *how, uint32_t wait_ms, struct qr_report_src *ret,
                char *err_text, size_t err_cap)
{
    int pair[2] = {-1, -1};
    struct helper *h = qr_alloc(sizeof *h);
    qr_err e = h ? QR_OK : QR_ERR_NO_MEMORY;

    if (e == QR_OK) {
        *h = (struct helper){.fd = -1, .wait_ms = wait_ms};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
            e = fail(h, "socket pair: %s", strerror(errno));
        }
    }
    if (e == QR_OK) {
        int r = fork_away(pair, how);
        (void)close(pair[1]);
        h->fd = pair[0];
        e = r == 0 ? hear(h, NULL) : fail(h, "no process for reports: %s", strerror(-r));
    }
    if (e != QR_OK) {
        if (err_text && h) {
            (void)snprintf(err_text, err_cap, "%s", h->why);
        }
        if (h && h->fd >= 0) {
            (void)close(h->fd);
        }
        qr_free(h);
        return e;
    }
    *ret = (struct qr_report_src){h, helper_get, helper_why, helper_free, h->fd};
    return QR_OK;
}
