#include "daemon/gw_store.h"

#include "daemon/addr.h"
#include "daemon/log.h"
#include "daemon/store_wire.h"
#include "protocol/base/hash.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define KEEP_TABLE 0x8000u /* from here on: not the party's, but its platform's */
#define BUFFER_KEEP 65536u /* larger buffers are freed after use */
#define LISTENER 0xffffu

struct conn {
    int fd; /* -1: free */
    int greeted;
    uint64_t used; /* a count of events; the least is the oldest */
    struct qr_dbuf in, out;
    size_t sent;
    uint32_t events;
};

struct qr_gw_store {
    struct qr_db *db;
    int epoll, listener;
    char path[108]; /* of the Unix socket, or empty */
    uint64_t tick;
    int have_head;
    uint8_t head[32]; /* SHA-256 of the head that is there; zeros: none */
    struct qr_dbuf scratch;
    struct conn conn[QR_GW_STORE_CONNS];
};

/* Answers, into c->out. */

static qr_err
refuse(struct conn *c, enum qr_sw_status status, const char *text)
{
    size_t n = strlen(text);
    QR_TRY(qr_sw_begin(&c->out, (uint8_t)status));
    return qr_dbuf_append(&c->out, text, n > QR_SW_TEXT_MAX ? QR_SW_TEXT_MAX : n);
}

/* The store's own refusal; the operator hears of it here, too. */
static qr_err
refuse_db(struct qr_gw_store *s, struct conn *c, qr_err e)
{
    if (e == QR_ERR_NOT_FOUND) {
        return qr_sw_begin(&c->out, QR_SW_NOT_FOUND);
    }
    qr_log(QR_LOG_ERROR, "store", "store", qr_db_error(s->db), QR_LOG_ERR(e), QR_LOG_END);
    return refuse(c, qr_sw_status_of(e), qr_db_error(s->db));
}

static qr_err
ok_bytes(struct conn *c, qr_view v)
{
    return qr_sw_put_bytes(&c->out, v);
}

static qr_view
scratch_view(const struct qr_gw_store *s)
{
    return qr_view_of(s->scratch.p, s->scratch.len);
}

static qr_err
on_hello(struct qr_gw_store *s, struct conn *c, struct qr_buf *b)
{
    qr_view text = qr_buf_take(b, sizeof QR_SW_HELLO_TEXT - 1);
    if (qr_buf_end(b) != QR_OK || !qr_view_eq(text, qr_view_str(QR_SW_HELLO_TEXT))) {
        return QR_ERR_MALFORMED;
    }
    c->greeted = 1;
    QR_TRY(qr_sw_begin(&c->out, QR_SW_OK));
    return qr_sw_put8(&c->out, !s->have_head);
}

static qr_err
on_head(struct qr_gw_store *s, struct conn *c, struct qr_buf *b)
{
    QR_TRY(qr_buf_end(b));
    qr_err e = qr_db_get_head(s->db, &s->scratch);
    if (e != QR_OK) {
        return refuse_db(s, c, e);
    }
    QR_TRY(qr_sw_begin(&c->out, QR_SW_OK));
    return ok_bytes(c, scratch_view(s));
}

static qr_err
on_get(struct qr_gw_store *s, struct conn *c, struct qr_buf *b)
{
    char name[QR_SW_NAME_MAX + 1];
    uint64_t serial = 0;
    uint16_t tab = qr_buf_get16(b);

    qr_sw_get_name(b, name);
    QR_TRY(qr_buf_end(b));
    qr_err e =
        tab >= KEEP_TABLE ? QR_ERR_NOT_FOUND : qr_db_get(s->db, tab, name, &serial, &s->scratch);
    if (e != QR_OK) {
        return refuse_db(s, c, e);
    }
    QR_TRY(qr_sw_begin(&c->out, QR_SW_OK));
    QR_TRY(qr_sw_put64(&c->out, serial));
    return ok_bytes(c, scratch_view(s));
}

static qr_err
on_next(struct qr_gw_store *s, struct conn *c, struct qr_buf *b)
{
    char name[QR_SW_NAME_MAX + 1] = "";
    struct qr_db_key key = {.tab = 0};
    uint8_t first = qr_buf_get8(b);
    uint16_t tab = qr_buf_get16(b);

    if (first > 1) {
        return QR_ERR_MALFORMED;
    }
    if (!first) {
        qr_sw_get_name(b, name);
    }
    QR_TRY(qr_buf_end(b));
    qr_err e = qr_db_next(s->db, tab, first ? NULL : name, &key, &s->scratch);
    if (e == QR_OK && key.tab >= KEEP_TABLE) {
        e = QR_ERR_NOT_FOUND; /* those come last */
    }
    if (e != QR_OK) {
        return refuse_db(s, c, e);
    }
    QR_TRY(qr_sw_begin(&c->out, QR_SW_OK));
    QR_TRY(qr_sw_put16(&c->out, key.tab));
    QR_TRY(qr_sw_put_name(&c->out, key.name));
    QR_TRY(qr_sw_put64(&c->out, key.serial));
    return ok_bytes(c, scratch_view(s));
}

/* One change, read and made; MALFORMED, or the store's error. */
static qr_err
change(struct qr_gw_store *s, struct qr_buf *b, qr_view *ret_head)
{
    char name[QR_SW_NAME_MAX + 1];
    struct qr_db_row row = {.name = name};
    uint8_t kind = qr_buf_get8(b);

    if (kind == QR_SW_PUT_HEAD) {
        qr_view v = qr_buf_get_lp(b, QR_DB_SEALED_MAX);
        if (b->err != QR_OK || v.len == 0) {
            return QR_ERR_MALFORMED;
        }
        *ret_head = v;
        return qr_db_put_head(s->db, v);
    }
    row.tab = qr_buf_get16(b);
    qr_sw_get_name(b, name);
    if (kind == QR_SW_PUT) {
        row.serial = qr_buf_get64(b);
        row.sealed = qr_buf_get_lp(b, QR_DB_SEALED_MAX);
    }
    if (b->err != QR_OK || row.tab >= KEEP_TABLE || row.serial > INT64_MAX ||
        (kind != QR_SW_PUT && kind != QR_SW_DEL) || (kind == QR_SW_PUT && row.sealed.len == 0)) {
        return QR_ERR_MALFORMED;
    }
    return kind == QR_SW_PUT ? qr_db_put(s->db, &row) : qr_db_del(s->db, row.tab, name);
}

static qr_err
on_commit(struct qr_gw_store *s, struct conn *c, struct qr_buf *b)
{
    qr_view expected = qr_buf_take(b, 32), head = {NULL, 0};
    uint8_t n = qr_buf_get8(b);

    if (b->err != QR_OK || n == 0 || n > QR_DB_CHANGES_MAX) {
        return QR_ERR_MALFORMED;
    }
    if (!qr_view_eq(expected, qr_view_of(s->head, 32))) {
        qr_log(QR_LOG_ERROR, "store", "conflict",
               "a party wanted to write over a store that it does not know: are two running?",
               QR_LOG_END);
        return refuse(c, QR_SW_CONFLICT, "another party has written to this store");
    }
    qr_err e = qr_db_begin(s->db);
    for (uint8_t i = 0; i < n && e == QR_OK; i++) {
        e = change(s, b, &head);
    }
    if (e == QR_OK && qr_buf_end(b) != QR_OK) {
        e = QR_ERR_MALFORMED;
    }
    if (e == QR_OK) {
        e = qr_db_commit(s->db);
    } else {
        qr_db_rollback(s->db);
    }
    if (e == QR_ERR_MALFORMED) {
        return e;
    }
    if (e != QR_OK) {
        return refuse_db(s, c, e);
    }
    if (head.len > 0) {
        qr_sha256(head, s->head);
        s->have_head = 1;
    }
    return qr_sw_begin(&c->out, QR_SW_OK);
}

static qr_err
on_keep(struct qr_gw_store *s, struct conn *c, struct qr_buf *b, int save)
{
    char name[QR_SW_NAME_MAX + 1];
    struct qr_db_row row = {.tab = KEEP_TABLE, .name = name, .serial = 1};
    uint64_t serial;
    qr_err e;

    qr_sw_get_name(b, name);
    if (save) {
        row.sealed = qr_buf_get_lp(b, QR_SW_KEEP_MAX);
    }
    QR_TRY(qr_buf_end(b));
    if (!save) {
        e = qr_db_get(s->db, KEEP_TABLE, name, &serial, &s->scratch);
        if (e != QR_OK) {
            return refuse_db(s, c, e);
        }
        QR_TRY(qr_sw_begin(&c->out, QR_SW_OK));
        return ok_bytes(c, scratch_view(s));
    }
    if (row.sealed.len == 0) {
        return QR_ERR_MALFORMED;
    }
    e = qr_db_begin(s->db);
    if (e == QR_OK) {
        e = qr_db_put(s->db, &row);
        if (e == QR_OK) {
            e = qr_db_commit(s->db);
        } else {
            qr_db_rollback(s->db);
        }
    }
    return e == QR_OK ? qr_sw_begin(&c->out, QR_SW_OK) : refuse_db(s, c, e);
}

/* MALFORMED, TRUNCATED, TRAILING, TOO_LARGE: not a question; NO_MEMORY. Else c->out has the answer. */
static qr_err
answer(struct qr_gw_store *s, struct conn *c, qr_view question)
{
    struct qr_buf b = qr_buf_read(question);
    uint8_t op = qr_buf_get8(&b);

    if (!c->greeted && op != QR_SW_HELLO) {
        return QR_ERR_MALFORMED;
    }
    switch (op) {
    case QR_SW_HELLO:
        return on_hello(s, c, &b);
    case QR_SW_HEAD:
        return on_head(s, c, &b);
    case QR_SW_GET:
        return on_get(s, c, &b);
    case QR_SW_NEXT:
        return on_next(s, c, &b);
    case QR_SW_COMMIT:
        return on_commit(s, c, &b);
    case QR_SW_KEEP_LOAD:
    case QR_SW_KEEP_SAVE:
        return on_keep(s, c, &b, op == QR_SW_KEEP_SAVE);
    default:
        return QR_ERR_MALFORMED;
    }
}

/* Connections. */

static void
drop(struct conn *c)
{
    (void)close(c->fd);
    c->fd = -1;
    qr_dbuf_free(&c->in);
    qr_dbuf_free(&c->out);
}

static void
set_events(struct qr_gw_store *s, struct conn *c)
{
    struct epoll_event e = {.events = c->out.len > 0 ? EPOLLOUT : EPOLLIN,
                            .data.u32 = (uint32_t)(c - s->conn)};
    if (e.events != c->events) {
        c->events = e.events;
        if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &e) != 0) {
            drop(c);
        }
    }
}

/* 0: the connection is gone. */
static int
write_out(struct conn *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            return 1;
        }
        if (n < 0 && errno != EINTR) {
            drop(c);
            return 0;
        }
        c->sent += n > 0 ? (size_t)n : 0;
    }
    c->sent = c->out.len = 0;
    if (c->out.cap > BUFFER_KEEP) {
        qr_dbuf_free(&c->out);
    }
    return 1;
}

/* Answers the question that is complete; 0: none is, or the connection is gone. */
static int
take_question(struct qr_gw_store *s, struct conn *c)
{
    if (c->in.len < 4 || c->out.len > 0) {
        return 0;
    }
    uint32_t len = qr_get32(c->in.p);
    qr_err e = len < 1 || len > QR_SW_ASK_MAX ? QR_ERR_TOO_LARGE : QR_OK;
    if (e == QR_OK && c->in.len - 4 < len) {
        return 0;
    }
    if (e == QR_OK) {
        e = answer(s, c, qr_view_of(c->in.p + 4, len));
    }
    if (e != QR_OK) {
        qr_log(QR_LOG_WARN, "store", "bad_question",
               "a question to the store was not of the form it has; connection closed",
               QR_LOG_ERR(e), QR_LOG_END);
        drop(c);
        return 0;
    }
    qr_sw_end(&c->out);
    qr_dbuf_consume(&c->in, 4 + (size_t)len);
    if (c->in.len == 0 && c->in.cap > BUFFER_KEEP) {
        qr_dbuf_free(&c->in);
    }
    return write_out(c);
}

static void
read_in(struct qr_gw_store *s, struct conn *c)
{
    uint8_t chunk[65536];
    ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || qr_dbuf_append(&c->in, chunk, (size_t)n) != QR_OK) {
        drop(c);
        return;
    }
    while (take_question(s, c)) {
    }
}

static void
take_connection(struct qr_gw_store *s)
{
    struct conn *c = &s->conn[0];
    int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on Unix sockets */
    for (size_t i = 0; i < QR_GW_STORE_CONNS; i++) {
        struct conn *x = &s->conn[i];
        if (c->fd >= 0 && (x->fd < 0 || x->used < c->used)) {
            c = x;
        }
    }
    if (c->fd >= 0) {
        drop(c); /* the one that was silent longest, left behind by a party that ended */
    }
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - s->conn)};
    *c = (struct conn){.fd = fd, .used = ++s->tick, .events = EPOLLIN};
    qr_dbuf_init(&c->in, QR_SW_ASK_MAX + 4 + 65536);
    qr_dbuf_init(&c->out, QR_SW_ANSWER_MAX + 4);
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
        drop(c);
    }
}

void
qr_gw_store_step(struct qr_gw_store *s)
{
    struct epoll_event ev[QR_GW_STORE_CONNS + 1];
    int n = epoll_wait(s->epoll, ev, QR_GW_STORE_CONNS + 1, 0);

    for (int i = 0; i < n; i++) {
        if (ev[i].data.u32 == LISTENER) {
            take_connection(s);
            continue;
        }
        struct conn *c = &s->conn[ev[i].data.u32];
        if (c->fd < 0) {
            continue;
        }
        c->used = ++s->tick;
        if (c->out.len == 0) {
            read_in(s, c);
        } else if (write_out(c)) {
            while (take_question(s, c)) {
            }
        }
        if (c->fd >= 0) {
            set_events(s, c);
        }
    }
}

/* Opening. */

static int
bind_unix(struct qr_gw_store *s, const char *path, int fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    size_t n = strlen(path);

    if (n >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, n + 1);
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode) || connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ||
            errno != ECONNREFUSED) {
            errno = EADDRINUSE;
            return -1;
        }
        (void)unlink(path); /* of a gateway that was killed */
    }
    mode_t old = umask(0117);
    int r = bind(fd, (struct sockaddr *)&a, sizeof a);
    (void)umask(old);
    if (r == 0) {
        memcpy(s->path, path, n + 1);
    }
    return r;
}

static qr_err
start_listening(struct qr_gw_store *s, const char *listen_at, char *err_text, size_t err_cap)
{
    int is_unix = strncmp(listen_at, "unix://", 7) == 0, one = 1, r = -1;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = LISTENER};
    struct qr_addr a = {.len = 0};

    errno = EINVAL;
    if (is_unix || (strncmp(listen_at, "tcp://", 6) == 0 &&
                    qr_addr_parse(listen_at + 6, &a) == QR_OK && qr_addr_is_loopback(&a))) {
        s->listener = socket(is_unix ? AF_UNIX : a.ss.ss_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (s->listener >= 0 && is_unix) {
        r = bind_unix(s, listen_at + 7, s->listener);
    } else if (s->listener >= 0) {
        (void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        r = bind(s->listener, (struct sockaddr *)&a.ss, a.len);
    }
    if (r != 0 || listen(s->listener, 8) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) != 0) {
        EXPLAIN("the store at %s: cannot listen: %s", listen_at, strerror(errno));
        return QR_ERR_ADDRESS;
    }
    return QR_OK;
}

static qr_err
open_file(struct qr_gw_store *s, const char *path, char *err_text, size_t err_cap)
{
    int fresh = 0;

    QR_TRY(qr_db_file_open(path, &s->db, &fresh, err_text, err_cap));
    qr_err e = fresh ? qr_db_commit(s->db) : QR_OK;
    if (e == QR_OK) {
        e = qr_db_get_head(s->db, &s->scratch);
    }
    if (e == QR_OK) {
        s->have_head = 1;
        qr_sha256(scratch_view(s), s->head);
    }
    if (e != QR_OK && e != QR_ERR_NOT_FOUND) {
        EXPLAIN("%s", qr_db_error(s->db));
        return e;
    }
    return QR_OK;
}

qr_err
qr_gw_store_new(const char *path, const char *listen_at, struct qr_gw_store **ret, char *err_text,
                size_t err_cap)
{
    struct qr_gw_store *s = qr_alloc(sizeof *s);

    if (!s) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    s->listener = -1;
    for (size_t i = 0; i < QR_GW_STORE_CONNS; i++) {
        s->conn[i].fd = -1;
    }
    qr_dbuf_init(&s->scratch, QR_DB_SEALED_MAX);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    qr_err e = s->epoll < 0 ? QR_ERR_NO_MEMORY : qr_hash_init();
    if (e != QR_OK) {
        EXPLAIN("%s", qr_err_text(e));
    } else {
        e = open_file(s, path, err_text, err_cap);
    }
    if (e == QR_OK) {
        e = start_listening(s, listen_at, err_text, err_cap);
    }
    if (e != QR_OK) {
        qr_gw_store_free(s);
        return e;
    }
    *ret = s;
    return QR_OK;
}

struct qr_gw_store *
qr_gw_store_free(struct qr_gw_store *s)
{
    if (!s) {
        return NULL;
    }
    for (size_t i = 0; i < QR_GW_STORE_CONNS; i++) {
        if (s->conn[i].fd >= 0) {
            drop(&s->conn[i]);
        }
    }
    if (s->listener >= 0) {
        (void)close(s->listener);
    }
    if (s->path[0]) {
        (void)unlink(s->path);
    }
    if (s->epoll >= 0) {
        (void)close(s->epoll);
    }
    qr_db_close(s->db);
    qr_dbuf_free(&s->scratch);
    return qr_free(s);
}

int
qr_gw_store_fd(const struct qr_gw_store *s)
{
    return s->epoll;
}

uint16_t
qr_gw_store_port(const struct qr_gw_store *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof a;

    if (getsockname(s->listener, &a.any, &len) != 0) {
        return 0;
    }
    return a.any.sa_family == AF_INET    ? ntohs(a.in.sin_port)
           : a.any.sa_family == AF_INET6 ? ntohs(a.in6.sin6_port)
                                         : 0;
}
