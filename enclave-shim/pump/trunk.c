/* The trunk: making and losing the connection, frames in and out, whose turn it is. */
#include "enclave-shim/pump/pump_int.h"

#include "protocol/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKOFF_MIN UINT64_C(50000000)
#define BACKOFF_MAX UINT64_C(1000000000)
#define LOG_NS UINT64_C(1000000000)
#define ROUNDS 4
#define HYBRID_ANSWER_MAX 32u

static const char *
where(const struct qr_trunk *t, char text[static QR_ENDPOINT_TEXT_MAX])
{
    qr_endpoint_text(&t->at, text);
    return text;
}

/* At most one line a second about what the other half can provoke. */
static int
may_log(const struct qr_trunk *t, uint64_t *told)
{
    if (*told && t->p->now - *told < LOG_NS) {
        return 0;
    }
    *told = t->p->now;
    return 1;
}

void
qr_trunk_close(struct qr_trunk *t)
{
    enum qr_trunk_state was = t->state;

    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    t->fd = -1;
    t->gen++;
    t->state = QR_TRUNK_DOWN;
    t->in_len = t->out_head = t->out_tail = 0;
    t->rd_ready = t->rd_hup = t->wr_ready = t->want_pong = t->pinged = 0;
    t->first = t->last = QR_PUMP_NONE;
    for (unsigned i = 0; i < QR_PUMP_STREAMS; i++) {
        qr_stream_drop(t, i);
    }
    /* A connection that lived counts as a new beginning. */
    if (was == QR_TRUNK_UP && t->p->now - t->since > BACKOFF_MAX) {
        t->backoff = 0;
    }
    t->backoff = t->backoff ? t->backoff * 2 : BACKOFF_MIN;
    if (t->backoff > BACKOFF_MAX) {
        t->backoff = BACKOFF_MAX;
    }
    t->until = t->p->now + t->backoff;
    t->p->soon = 1;
}

static void
lost(struct qr_trunk *t, const char *why)
{
    char text[QR_ENDPOINT_TEXT_MAX];
    if (t->state == QR_TRUNK_UP || may_log(t, &t->told)) {
        qr_pump_say(t->p, QR_PUMP_WARN, "trunk_lost",
                    "trunk %u (%s): %s; its streams are reset, the connection is made again",
                    t->index, where(t, text), why);
        t->told = t->p->now;
    }
    qr_trunk_close(t);
}

static void
say_hello(struct qr_trunk *t)
{
    const struct qr_pump_frame hello = {
        .type = QR_PUMP_HELLO, .arg = QR_PUMP_VERSION, .stream = (uint16_t)t->p->c.side};
    t->state = QR_TRUNK_HELLO;
    qr_trunk_put(t, &hello);
}

static int
attach(struct qr_trunk *t, int fd, enum qr_trunk_state state)
{
    t->fd = fd;
    t->gen++;
    t->state = state;
    t->until = t->p->now + QR_PUMP_MEET_NS;
    t->heard = t->p->now;
    t->p->soon = 1;
    qr_mux_init(&t->mux, t->p->c.side);
    return qr_pump_watch(t->p, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                         qr_pump_tag(QR_PUMP_EV_TRUNK, t->gen, t->index));
}

static void
dial(struct qr_trunk *t)
{
    int fd = qr_endpoint_dial(&t->at);
    if (fd < 0) {
        lost(t, strerror(errno));
    } else if (attach(t, fd, QR_TRUNK_CONNECTING) != 0) {
        lost(t, "out of descriptors or memory");
    }
}

void
qr_trunk_accept(struct qr_trunk *t)
{
    char text[QR_ENDPOINT_TEXT_MAX];
    int fd = qr_endpoint_accept(&t->at, t->listener);

    if (fd < 0) {
        if (errno == EACCES && may_log(t, &t->told)) {
            qr_pump_say(t->p, QR_PUMP_WARN, "trunk_stranger",
                        "trunk %u (%s): a connection from another CID was closed", t->index,
                        where(t, text));
        }
        return;
    }
    if (t->state != QR_TRUNK_DOWN) {
        lost(t, "a new connection took its place");
    }
    if (attach(t, fd, QR_TRUNK_HELLO) != 0) {
        lost(t, "out of descriptors or memory");
        return;
    }
    say_hello(t);
}

static void
connected(struct qr_trunk *t)
{
    int e = 0;
    socklen_t len = sizeof e;

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0 || e != 0) {
        lost(t, strerror(e ? e : errno));
        return;
    }
    if (t->at.kind == QR_ENDPOINT_HYBRID) {
        t->out_tail = (size_t)snprintf((char *)t->out, 32, "CONNECT %u\n", t->at.port);
        t->state = QR_TRUNK_HYBRID;
    } else {
        say_hello(t);
    }
}

void
qr_trunk_event(struct qr_trunk *t, uint32_t events)
{
    if (t->state == QR_TRUNK_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        connected(t);
    }
    if (t->fd >= 0) {
        t->rd_hup |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        t->rd_ready |= t->rd_hup || (events & EPOLLIN);
        t->wr_ready |= (events & EPOLLOUT) != 0;
    }
}

/* Out. */

int
qr_trunk_room(const struct qr_trunk *t, size_t payload)
{
    return QR_PUMP_OUT_CAP - (t->out_tail - t->out_head) >= QR_PUMP_HEADER + payload;
}

static void
compact(struct qr_trunk *t)
{
    if (t->out_head > 0) {
        memmove(t->out, t->out + t->out_head, t->out_tail - t->out_head);
        t->out_tail -= t->out_head;
        t->out_head = 0;
    }
}

uint8_t *
qr_trunk_space(struct qr_trunk *t, size_t payload)
{
    if (QR_PUMP_OUT_CAP - t->out_tail < QR_PUMP_HEADER + payload) {
        compact(t);
    }
    return t->out + t->out_tail + QR_PUMP_HEADER;
}

void
qr_trunk_put(struct qr_trunk *t, const struct qr_pump_frame *f)
{
    size_t payload = f->type == QR_PUMP_DATA ? f->value : 0;

    QR_ASSERT(qr_trunk_room(t, payload));
    (void)qr_trunk_space(t, payload); /* DATA was read to there already; nothing moves then */
    qr_mux_sent(&t->mux, f);
    qr_pump_frame_write(f, t->out + t->out_tail);
    t->out_tail += QR_PUMP_HEADER + payload;
}

static void
flush(struct qr_trunk *t)
{
    while (t->wr_ready && t->out_head < t->out_tail) {
        size_t n = t->out_tail - t->out_head;
        n = n > QR_PUMP_WRITE ? QR_PUMP_WRITE : n;
        ssize_t w = send(t->fd, t->out + t->out_head, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w < 0 && errno != EAGAIN) {
            lost(t, strerror(errno));
            return;
        }
        if (w < 0) {
            t->wr_ready = 0;
        } else {
            t->out_head += (size_t)w;
        }
    }
    if (t->out_head == t->out_tail) {
        t->out_head = t->out_tail = 0;
    }
}

void
qr_trunk_queue(struct qr_trunk *t, unsigned stream)
{
    struct qr_stream *s = &t->s[stream];

    if (s->queued) {
        return;
    }
    s->queued = 1;
    s->next = QR_PUMP_NONE;
    if (t->last == QR_PUMP_NONE) {
        t->first = (uint16_t)stream;
    } else {
        t->s[t->last].next = (uint16_t)stream;
    }
    t->last = (uint16_t)stream;
}

/* One frame a stream in turn, while there is room for the largest. */
static int
serve(struct qr_trunk *t)
{
    int any = 0;

    if (t->want_pong && qr_trunk_room(t, 0)) {
        const struct qr_pump_frame pong = {.type = QR_PUMP_PONG};
        t->want_pong = 0;
        qr_trunk_put(t, &pong);
    }
    while (t->first != QR_PUMP_NONE && qr_trunk_room(t, QR_PUMP_DATA_MAX)) {
        unsigned i = t->first;
        t->first = t->s[i].next;
        if (t->first == QR_PUMP_NONE) {
            t->last = QR_PUMP_NONE;
        }
        t->s[i].queued = 0;
        if (qr_stream_serve(t, i)) {
            qr_trunk_queue(t, i);
        }
        any = 1;
    }
    return any;
}

/* In. */

static void
broken(struct qr_trunk *t, const uint8_t *header, const char *why)
{
    char text[QR_ENDPOINT_TEXT_MAX];
    if (may_log(t, &t->told_broken)) {
        qr_pump_say(t->p, QR_PUMP_WARN, "trunk_broken",
                    "trunk %u (%s): the other half sent %s (header %02x %02x %02x%02x "
                    "%02x%02x%02x%02x); the connection is closed",
                    t->index, where(t, text), why, header[0], header[1], header[2], header[3],
                    header[4], header[5], header[6], header[7]);
    }
    qr_trunk_close(t);
}

static void
dispatch(struct qr_trunk *t, const struct qr_pump_frame *f, const uint8_t *payload)
{
    char text[QR_ENDPOINT_TEXT_MAX];

    switch (f->type) {
    case QR_PUMP_HELLO:
        t->state = QR_TRUNK_UP;
        t->since = t->p->now;
        qr_pump_say(t->p, QR_PUMP_INFO, "trunk_up", "trunk %u (%s) has met the other half",
                    t->index, where(t, text));
        break;
    case QR_PUMP_OPEN:
        qr_stream_opened(t, f->stream, f->arg);
        break;
    case QR_PUMP_DATA:
        qr_stream_data(t, f->stream, payload, f->value);
        break;
    case QR_PUMP_FIN:
        qr_stream_fin(t, f->stream);
        break;
    case QR_PUMP_END:
        qr_stream_ended(t, f->stream, (enum qr_pump_end)f->arg);
        break;
    case QR_PUMP_PING:
        t->want_pong = 1;
        break;
    case QR_PUMP_CREDIT:
        qr_trunk_queue(t, f->stream);
        break;
    case QR_PUMP_PONG:
    default:
        break;
    }
}

/* "OK n\n" of the monitor; what follows it are frames. */
static void
hybrid_answer(struct qr_trunk *t)
{
    const uint8_t *end = memchr(t->in, '\n', t->in_len);

    if (!end) {
        if (t->in_len > HYBRID_ANSWER_MAX) {
            lost(t, "the monitor's answer to CONNECT is too long");
        }
        return;
    }
    size_t n = (size_t)(end - t->in) + 1;
    if (n > HYBRID_ANSWER_MAX || n < 4 || memcmp(t->in, "OK ", 3) != 0) {
        lost(t, "the monitor did not answer CONNECT by OK");
        return;
    }
    t->in_len -= n;
    memmove(t->in, t->in + n, t->in_len);
    say_hello(t);
}

static void
take_frames(struct qr_trunk *t)
{
    struct qr_pump_frame f;
    const char *why = "";
    size_t at = 0;

    while (t->in_len - at >= QR_PUMP_HEADER) {
        const uint8_t *header = t->in + at;
        if (qr_pump_frame_read(header, &f, &why) != QR_OK) {
            broken(t, header, why);
            return;
        }
        size_t n = QR_PUMP_HEADER + (f.type == QR_PUMP_DATA ? f.value : 0);
        if (t->in_len - at < n) {
            break;
        }
        if (qr_mux_recv(&t->mux, &f, &why) != QR_OK) {
            broken(t, header, why);
            return;
        }
        dispatch(t, &f, header + QR_PUMP_HEADER);
        at += n;
    }
    t->in_len -= at;
    if (at > 0 && t->in_len > 0) {
        memmove(t->in, t->in + at, t->in_len);
    }
}

static int
receive(struct qr_trunk *t)
{
    size_t room = QR_PUMP_IN_CAP - t->in_len;
    ssize_t n = recv(t->fd, t->in + t->in_len, room, MSG_DONTWAIT);

    if (n < 0 && errno == EINTR) {
        return 1;
    }
    if (n < 0 && errno == EAGAIN) {
        t->rd_ready = 0;
        return 0;
    }
    if (n <= 0) {
        lost(t, n == 0 ? "the other half closed it" : strerror(errno));
        return 0;
    }
    if ((size_t)n < room && !t->rd_hup) {
        t->rd_ready = 0; /* a short read has emptied it */
    }
    t->in_len += (size_t)n;
    t->heard = t->p->now;
    t->pinged = 0;
    if (t->state == QR_TRUNK_HYBRID) {
        hybrid_answer(t);
    }
    if (t->state == QR_TRUNK_HELLO || t->state == QR_TRUNK_UP) {
        take_frames(t);
    }
    return 1;
}

int
qr_trunk_turn(struct qr_trunk *t)
{
    for (int round = 0; round < ROUNDS; round++) {
        int any = 0;
        if (t->fd < 0 || t->state == QR_TRUNK_CONNECTING) {
            return 0;
        }
        if (t->rd_ready) {
            any |= receive(t);
        }
        if (t->state == QR_TRUNK_UP) {
            any |= serve(t);
        }
        if (t->fd >= 0) {
            flush(t);
        }
        if (!any) {
            break;
        }
    }
    return t->fd >= 0 && (t->rd_ready || (t->first != QR_PUMP_NONE && t->wr_ready));
}

int
qr_trunk_tick(struct qr_trunk *t)
{
    const struct qr_pump_frame ping = {.type = QR_PUMP_PING};
    uint64_t now = t->p->now;
    int soon = 0;

    switch (t->state) {
    case QR_TRUNK_DOWN:
        if (t->p->c.way == QR_PUMP_DIAL) {
            soon = 1;
            if (now >= t->until) {
                dial(t);
            }
        }
        break;
    case QR_TRUNK_CONNECTING:
    case QR_TRUNK_HYBRID:
    case QR_TRUNK_HELLO:
        soon = 1;
        if (now >= t->until) {
            lost(t, "the other half did not say HELLO in time");
        }
        break;
    case QR_TRUNK_UP:
    default:
        if (now - t->heard > QR_PUMP_DEAD_NS) {
            lost(t, "the other half has been silent for 30 s");
            break;
        }
        if (now - t->heard > QR_PUMP_PING_NS && !t->pinged && qr_trunk_room(t, 0)) {
            t->pinged = 1;
            qr_trunk_put(t, &ping);
            t->p->busy = 1;
        }
        for (unsigned i = 0; i < QR_PUMP_STREAMS; i++) {
            soon |= qr_stream_tick(t, i);
        }
        break;
    }
    return soon;
}
