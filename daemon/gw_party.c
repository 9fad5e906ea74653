/*
 * Slots: a question's id is generation << 32 | slot. A slot is free, waiting, or forgotten (its
 * waiter left; the answer is still to come and closes it). Free slots form a stack.
 */
#include "daemon/gw_party.h"

#include "daemon/log.h"
#include "protocol/base/check.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define BACKOFF_MIN (50 * MS)
#define BACKOFF_MAX (1000 * MS)
#define SWEEP_EVERY (100 * MS)
#define QUEUE_MAX (32u * 1024u * 1024u)
#define SOCKET_BUFFER (1024 * 1024)
#define READS_A_STEP 16 /* so that one step stays short whatever the party sends */

struct slot {
    enum { SLOT_FREE, SLOT_WAITING, SLOT_FORGOTTEN } state;
    uint32_t gen;
    uint32_t next_free;
    void *waiter;
    uint64_t deadline_ns;
};

struct qr_gw_party {
    struct qr_gw_party_cfg cfg;
    int fd;
    uint64_t retry_at, backoff, sweep_at;
    uint64_t connects;
    int said_down; /* one line per outage */
    struct qr_frames in;
    struct qr_dbuf out;
    size_t out_pos;
    struct slot *slots;
    uint32_t free_head; /* == max_in_flight: none */
    uint32_t n_open, n_waiting;
};

qr_err
qr_gw_party_new(const struct qr_gw_party_cfg *cfg, struct qr_gw_party **ret)
{
    struct qr_gw_party *p = qr_alloc(sizeof *p);
    if (!p) {
        return QR_ERR_NO_MEMORY;
    }
    p->cfg = *cfg;
    p->fd = -1;
    p->backoff = BACKOFF_MIN;
    p->slots = qr_alloc(cfg->max_in_flight * sizeof *p->slots);
    if (!p->slots) {
        qr_free(p);
        return QR_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < cfg->max_in_flight; i++) {
        p->slots[i].next_free = i + 1;
    }
    qr_frames_init(&p->in, QR_ANSWER_FRAME_MAX);
    qr_dbuf_init(&p->out, QUEUE_MAX);
    *ret = p;
    return QR_OK;
}

static void
close_fd(struct qr_gw_party *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    p->out.len = p->out_pos = 0;
    qr_frames_clear(&p->in);
}

struct qr_gw_party *
qr_gw_party_free(struct qr_gw_party *p)
{
    if (p) {
        close_fd(p);
        qr_dbuf_free(&p->out);
        qr_free(p->slots);
        qr_free(p);
    }
    return NULL;
}

/* ---- slots ---- */

static void
slot_release(struct qr_gw_party *p, uint32_t i)
{
    struct slot *s = &p->slots[i];
    s->state = SLOT_FREE;
    s->waiter = NULL;
    s->gen++;
    s->next_free = p->free_head;
    p->free_head = i;
    p->n_open--;
}

/* Closes a slot and tells its waiter, if it still waits. */
static void
slot_answer(struct qr_gw_party *p, uint32_t i, const struct qr_answer *a, qr_err why)
{
    void *waiter = p->slots[i].waiter;
    int waits = p->slots[i].state == SLOT_WAITING;

    if (waits) {
        p->n_waiting--;
    }
    slot_release(p, i);
    if (waits) {
        p->cfg.on_answer(p->cfg.ctx, waiter, a, why);
    }
}

/* The open slot of an id, or max_in_flight. */
static uint32_t
slot_find(const struct qr_gw_party *p, uint64_t id)
{
    uint32_t i = (uint32_t)id;
    if (i < p->cfg.max_in_flight && p->slots[i].state != SLOT_FREE &&
        p->slots[i].gen == (uint32_t)(id >> 32)) {
        return i;
    }
    return p->cfg.max_in_flight;
}

/* ---- connection ---- */

static void
lost(struct qr_gw_party *p, uint64_t now_ns, const char *why)
{
    int was_up = p->fd >= 0;
    close_fd(p);
    p->retry_at = now_ns + p->backoff;
    p->backoff = p->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : p->backoff * 2;
    if (was_up || !p->said_down) {
        qr_log(QR_LOG_WARN, "gateway", "party_down",
               "the party cannot be reached; requests are answered 503 until it is back",
               QR_LOG_STR("socket", p->cfg.path), QR_LOG_STR("why", why),
               QR_LOG_U64("lost_requests", p->n_waiting), QR_LOG_END);
        p->said_down = 1;
    }
    for (uint32_t i = 0; i < p->cfg.max_in_flight && p->n_open > 0; i++) {
        if (p->slots[i].state != SLOT_FREE) {
            slot_answer(p, i, NULL, QR_ERR_NOT_READY);
        }
    }
}

static void
try_connect(struct qr_gw_party *p, uint64_t now_ns)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int size = SOCKET_BUFFER;

    snprintf(a.sun_path, sizeof a.sun_path, "%s", p->cfg.path); /* the config bounds it */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        int err = errno;
        if (fd >= 0) {
            close(fd);
        }
        lost(p, now_ns, err == ENOENT ? "no such socket: is quorated running?" : strerror(err));
        return;
    }
    /* Larger buffers batch better; the defaults work too. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    p->fd = fd;
    p->connects++;
    p->said_down = 0;
    qr_log(QR_LOG_INFO, "gateway", "party_up", "connected to the party",
           QR_LOG_STR("socket", p->cfg.path), QR_LOG_END);
}

static void
take_answer(struct qr_gw_party *p, const struct qr_answer *a)
{
    uint32_t i = slot_find(p, a->id);
    if (i < p->cfg.max_in_flight) {
        p->backoff = BACKOFF_MIN; /* a party that answers is well */
        slot_answer(p, i, a, QR_OK);
    }
    /* Else: it came after its time-out. */
}

/* 1 while more may be waiting in the socket. */
static int
read_some(struct qr_gw_party *p, uint64_t now_ns)
{
    uint8_t *at;
    size_t room;
    struct qr_answer *a;
    qr_view frame;

    if (qr_frames_room(&p->in, &at, &room) != QR_OK) {
        lost(p, now_ns, "out of memory");
        return 0;
    }
    ssize_t n = read(p->fd, at, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (n <= 0) {
        lost(p, now_ns, n == 0 ? "it closed the connection" : strerror(errno));
        return 0;
    }
    qr_frames_added(&p->in, (size_t)n);
    for (;;) {
        qr_err e = qr_frames_next(&p->in, &frame);
        if (e == QR_OK && !frame.p) {
            return (size_t)n == room;
        }
        if (e == QR_OK) {
            e = qr_answer_decode(frame, &a);
        }
        if (e != QR_OK) {
            qr_log(QR_LOG_ERROR, "gateway", "party_frame",
                   "the party sent a frame that cannot be read; do both run the same version?",
                   QR_LOG_ERR(e), QR_LOG_END);
            lost(p, now_ns, qr_err_text(e));
            return 0;
        }
        take_answer(p, a);
        qr_answer_free(a);
    }
}

static void
sweep(struct qr_gw_party *p, uint64_t now_ns)
{
    p->sweep_at = now_ns + SWEEP_EVERY;
    uint32_t left = p->n_open;
    for (uint32_t i = 0; i < p->cfg.max_in_flight && left > 0; i++) {
        struct slot *s = &p->slots[i];
        if (s->state == SLOT_FREE) {
            continue;
        }
        left--;
        if (now_ns >= s->deadline_ns) {
            slot_answer(p, i, NULL, QR_ERR_TIMEOUT);
        }
    }
}

void
qr_gw_party_step(struct qr_gw_party *p, uint64_t now_ns)
{
    if (p->fd < 0 && now_ns >= p->retry_at) {
        try_connect(p, now_ns);
    }
    for (int i = 0; i < READS_A_STEP && p->fd >= 0; i++) {
        if (!read_some(p, now_ns)) {
            break;
        }
    }
    if (p->n_open > 0 && now_ns >= p->sweep_at) {
        sweep(p, now_ns);
    }
}

void
qr_gw_party_flush(struct qr_gw_party *p, uint64_t now_ns)
{
    while (p->fd >= 0 && p->out_pos < p->out.len) {
        ssize_t n = send(p->fd, p->out.p + p->out_pos, p->out.len - p->out_pos, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            lost(p, now_ns, strerror(errno));
            return;
        }
        p->out_pos += (size_t)n;
    }
    if (p->out_pos == p->out.len) {
        p->out.len = p->out_pos = 0;
    }
}

qr_err
qr_gw_party_ask(struct qr_gw_party *p, struct qr_ask *a, void *waiter, uint64_t now_ns,
                uint64_t *ret_id)
{
    if (p->fd < 0) {
        return QR_ERR_NOT_READY;
    }
    if (p->free_head == p->cfg.max_in_flight) {
        return QR_ERR_BUSY;
    }
    if (p->out_pos > 0 && p->out_pos >= p->out.len / 2) {
        qr_dbuf_consume(&p->out, p->out_pos);
        p->out_pos = 0;
    }
    uint32_t i = p->free_head;
    struct slot *s = &p->slots[i];
    a->id = (uint64_t)s->gen << 32 | i;
    size_t before = p->out.len;
    qr_err e = qr_ask_put(&p->out, a);
    if (e != QR_OK) {
        /* A full queue is the party's slowness, not this question's size. */
        return e == QR_ERR_TOO_LARGE && before > QUEUE_MAX / 2 ? QR_ERR_BUSY : e;
    }
    p->free_head = s->next_free;
    s->state = SLOT_WAITING;
    s->waiter = waiter;
    s->deadline_ns = now_ns + p->cfg.answer_timeout_ms * MS;
    p->n_open++;
    p->n_waiting++;
    *ret_id = a->id;
    return QR_OK;
}

void
qr_gw_party_forget(struct qr_gw_party *p, uint64_t id)
{
    uint32_t i = slot_find(p, id);
    if (i < p->cfg.max_in_flight && p->slots[i].state == SLOT_WAITING) {
        p->slots[i].state = SLOT_FORGOTTEN;
        p->slots[i].waiter = NULL;
        p->n_waiting--;
    }
}

uint64_t
qr_gw_party_deadline(const struct qr_gw_party *p)
{
    if (p->fd < 0) {
        return p->retry_at;
    }
    return p->n_open > 0 ? p->sweep_at : UINT64_MAX;
}

int
qr_gw_party_fd(const struct qr_gw_party *p)
{
    return p->fd;
}

short
qr_gw_party_events(const struct qr_gw_party *p)
{
    return p->out.len > 0 ? POLLIN | POLLOUT : POLLIN;
}

int
qr_gw_party_up(const struct qr_gw_party *p)
{
    return p->fd >= 0;
}

uint32_t
qr_gw_party_in_flight(const struct qr_gw_party *p)
{
    return p->n_waiting;
}

uint64_t
qr_gw_party_connects(const struct qr_gw_party *p)
{
    return p->connects;
}
