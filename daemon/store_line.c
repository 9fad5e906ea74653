#include "daemon/store_line.h"

#include "daemon/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_NS UINT64_C(100000000)
#define MS UINT64_C(1000000)

qr_err
qr_sl_fail(struct qr_store_line *l, qr_err e, const char *format, ...)
{
    int n = snprintf(l->error, sizeof l->error, "%s: ", l->where);
    va_list ap;

    va_start(ap, format);
    if (n >= 0 && (size_t)n < sizeof l->error) {
        (void)vsnprintf(l->error + n, sizeof l->error - (size_t)n, format, ap);
    }
    va_end(ap);
    return e;
}

/* The connection. */

void
qr_sl_hang_up(struct qr_store_line *l)
{
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    l->fd = -1;
}

/* 1 when ready; 0 when the time is over. */
static int
wait_for(const struct qr_store_line *l, short events)
{
    for (;;) {
        uint64_t now = qr_mono_ns();
        struct pollfd p = {.fd = l->fd, .events = events};
        if (now >= l->until) {
            return 0;
        }
        int r = poll(&p, 1, (int)((l->until - now) / MS) + 1);
        if (r > 0) {
            return 1;
        }
        if (r < 0 && errno != EINTR) {
            return 0;
        }
    }
}

static int
socket_address(const char *where, struct sockaddr_storage *ss, socklen_t *ret_len)
{
    union {
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } s;
    struct qr_address a;

    memset(&s, 0, sizeof s);
    memset(ss, 0, sizeof *ss);
    if (qr_address_parse(where, &a) != QR_OK) {
        return 0;
    }
    if (a.kind == QR_ADDRESS_UNIX && strlen(a.host) < sizeof s.un.sun_path) {
        s.un.sun_family = AF_UNIX;
        memcpy(s.un.sun_path, a.host, strlen(a.host) + 1);
        *ret_len = sizeof s.un;
    } else if (a.kind == QR_ADDRESS_TCP && inet_pton(AF_INET, a.host, &s.in.sin_addr) == 1) {
        s.in.sin_family = AF_INET;
        s.in.sin_port = htons(a.port);
        *ret_len = sizeof s.in;
    } else if (a.kind == QR_ADDRESS_TCP && inet_pton(AF_INET6, a.host, &s.in6.sin6_addr) == 1) {
        s.in6.sin6_family = AF_INET6;
        s.in6.sin6_port = htons(a.port);
        *ret_len = sizeof s.in6;
    } else {
        return 0;
    }
    memcpy(ss, &s, *ret_len);
    return 1;
}

/* One try. */
static int
connect_once(struct qr_store_line *l, const struct sockaddr_storage *ss, socklen_t len)
{
    int one = 1, e = 0;
    socklen_t e_len = sizeof e;

    l->fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return errno;
    }
    if (ss->ss_family != AF_UNIX) {
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    if (connect(l->fd, (const struct sockaddr *)ss, len) != 0) {
        e = errno;
        if (e == EINPROGRESS) {
            e = !wait_for(l, POLLOUT)                                      ? ETIMEDOUT
                : getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &e, &e_len) != 0 ? errno
                                                                           : e;
        }
    }
    if (e != 0) {
        qr_sl_hang_up(l);
    }
    return e;
}

/* The whole question out, the whole answer in. */
qr_err
qr_sl_exchange(struct qr_store_line *l)
{
    uint8_t head[4];
    size_t done = 0, got = 0;

    l->handed_over = 0;
    while (done < l->ask.len) {
        ssize_t n = send(l->fd, l->ask.p + done, l->ask.len - done, MSG_NOSIGNAL);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR && !(errno == EAGAIN && wait_for(l, POLLOUT))) {
            return qr_sl_fail(l, QR_ERR_LINK_CLOSED, "the gateway went away: %s", strerror(errno));
        }
    }
    l->handed_over = 1;
    l->answer.len = 0;
    for (size_t want = sizeof head; got < want;) {
        int in_head = got < sizeof head;
        uint8_t *to = in_head ? head + got : l->answer.p + (got - sizeof head);
        ssize_t n = recv(l->fd, to, in_head ? sizeof head - got : want - got, 0);
        if (n == 0) {
            return qr_sl_fail(l, QR_ERR_LINK_CLOSED, "the gateway went away without an answer");
        }
        if (n < 0) {
            if (errno != EINTR && !(errno == EAGAIN && wait_for(l, POLLIN))) {
                return qr_sl_fail(l, QR_ERR_LINK_CLOSED, "no answer within %u s: %s",
                                  QR_STORE_REMOTE_MS / 1000, strerror(errno));
            }
            continue;
        }
        got += (size_t)n;
        if (in_head && got == sizeof head) {
            uint32_t len = qr_get32(head);
            if (len < 1 || len > QR_SW_ANSWER_MAX) {
                return qr_sl_fail(l, QR_ERR_MALFORMED,
                                  "an answer of %u bytes; at most %u are possible", len,
                                  QR_SW_ANSWER_MAX);
            }
            qr_err e = qr_dbuf_reserve(&l->answer, len);
            if (e != QR_OK) {
                return qr_sl_fail(l, e, "out of memory");
            }
            want += len;
            l->answer.len = len;
        }
    }
    return QR_OK;
}

/* What the answer says; *ret reads its body. */
qr_err
qr_sl_status(struct qr_store_line *l, struct qr_buf *ret)
{
    *ret = qr_buf_read(qr_view_of(l->answer.p, l->answer.len));
    uint8_t status = qr_buf_get8(ret);
    char text[QR_SW_TEXT_MAX + 1];
    size_t n = 0;

    if (status == QR_SW_OK) {
        return QR_OK;
    }
    if (status == QR_SW_NOT_FOUND) {
        return QR_ERR_NOT_FOUND;
    }
    for (; n < QR_SW_TEXT_MAX && ret->pos < ret->len; n++) {
        uint8_t c = qr_buf_get8(ret);
        text[n] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    text[n] = 0;
    return qr_sl_fail(l, qr_sw_err_of((enum qr_sw_status)status), "the gateway says: %s",
                      n ? text : "nothing");
}

qr_err
qr_sl_malformed(struct qr_store_line *l, const char *what)
{
    qr_sl_hang_up(l);
    return qr_sl_fail(l, QR_ERR_STORE_CORRUPT,
                      "the gateway's answer to %s is not of the form it has", what);
}

qr_err
qr_sl_hello(struct qr_store_line *l, int *ret_fresh)
{
    struct qr_dbuf question = l->ask; /* one may wait */
    struct qr_buf b;

    qr_dbuf_init(&l->ask, 64);
    qr_err e = qr_sw_begin(&l->ask, QR_SW_HELLO);
    if (e == QR_OK) {
        e = qr_dbuf_append(&l->ask, QR_SW_HELLO_TEXT, sizeof QR_SW_HELLO_TEXT - 1);
    }
    if (e == QR_OK) {
        qr_sw_end(&l->ask);
        e = qr_sl_exchange(l);
    }
    qr_dbuf_free(&l->ask);
    l->ask = question;
    QR_TRY(e);
    e = qr_sl_status(l, &b);
    if (e == QR_ERR_NOT_FOUND) {
        return qr_sl_malformed(l, "HELLO");
    }
    QR_TRY(e);
    uint8_t fresh = qr_buf_get8(&b);
    if (qr_buf_end(&b) != QR_OK || fresh > 1) {
        return qr_sl_malformed(l, "HELLO");
    }
    *ret_fresh = fresh;
    return QR_OK;
}

/*
 * What lies between may take a connection and drop it at once, as a pump does when the gateway is away:
 * that is tried again like a connection that is refused.
 */
qr_err
qr_sl_call(struct qr_store_line *l, int *ret_fresh)
{
    struct sockaddr_storage ss;
    socklen_t len;

    if (!socket_address(l->where, &ss, &len)) {
        return qr_sl_fail(l, QR_ERR_ADDRESS, "is no place for a store");
    }
    for (;;) {
        int e = connect_once(l, &ss, len);
        qr_err x = e != 0
                       ? qr_sl_fail(l, QR_ERR_LINK_CLOSED,
                                    "cannot be reached: %s; is the gateway running?", strerror(e))
                       : qr_sl_hello(l, ret_fresh);
        if (x == QR_OK) {
            return QR_OK;
        }
        qr_sl_hang_up(l);
        if (x != QR_ERR_LINK_CLOSED || qr_mono_ns() + RETRY_NS >= l->until) {
            return qr_err_class(x) == QR_CLASS_STORE && x != QR_ERR_NOT_FOUND ? x : QR_ERR_STORE;
        }
        (void)poll(NULL, 0, (int)(RETRY_NS / MS));
    }
}

void
qr_sl_timer(struct qr_store_line *l)
{
    l->until = qr_mono_ns() + QR_STORE_REMOTE_MS * MS;
}

qr_err
qr_sl_init(struct qr_store_line *l, const char *where)
{
    struct sockaddr_storage ss;
    socklen_t len;

    l->fd = -1;
    (void)snprintf(l->where, sizeof l->where, "%s", where);
    qr_dbuf_init(&l->ask, QR_SW_ASK_MAX + 4);
    qr_dbuf_init(&l->answer, QR_SW_ANSWER_MAX);
    return socket_address(l->where, &ss, &len)
               ? QR_OK
               : qr_sl_fail(l, QR_ERR_ADDRESS, "is no place for a store");
}

void
qr_sl_free(struct qr_store_line *l)
{
    qr_sl_hang_up(l);
    qr_dbuf_free(&l->ask);
    qr_dbuf_free(&l->answer);
}

qr_err
qr_sl_replace(struct qr_store_line *l, struct qr_dbuf *out, qr_view v)
{
    out->len = 0;
    qr_err e = qr_dbuf_append(out, v.p, v.len);
    return e == QR_OK ? QR_OK : qr_sl_fail(l, e, "%s", qr_err_text(e));
}
