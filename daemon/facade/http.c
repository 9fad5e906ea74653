#include "daemon/facade/http.h"

#include "daemon/addr.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

struct qr_facade_http {
    struct MHD_Daemon *daemon;
    qr_facade_fn fn;
    void *ctx;
    size_t body_max;
    uint16_t port;
    char path[108]; /* of a Unix socket; "" else */
};

/* One request while its body comes. */
struct pending {
    const char *target;
    struct qr_dbuf body;
    int seen, bad; /* bad: a status to answer once the body has been read */
};

/* ---- requests ---- */

size_t
qr_facade_headers(const struct qr_facade_request *r, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_headers; i++) {
        n += strcasecmp(r->header[i].name, name) == 0;
    }
    return n;
}

const char *
qr_facade_header(const struct qr_facade_request *r, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->header[i].name, name) == 0) {
            if (value) {
                return NULL;
            }
            value = r->header[i].value;
        }
    }
    return value;
}

static enum MHD_Result
on_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct qr_facade_request *r = cls;
    (void)kind;
    if (r->n_headers == QR_FACADE_HEADERS_MAX) {
        r->n_headers++; /* too many: seen by the caller */
        return MHD_NO;
    }
    r->header[r->n_headers++] = (struct qr_facade_header){name, value ? value : ""};
    return MHD_YES;
}

/* 0, or the status that says what is wrong with the head. */
static unsigned
judge_head(const struct qr_facade_request *r)
{
    if (r->n_headers > QR_FACADE_HEADERS_MAX) {
        return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
    }
    if (qr_facade_headers(r, "Host") != 1 || qr_facade_headers(r, "Content-Length") > 1 ||
        qr_facade_headers(r, "Content-Type") > 1 || qr_facade_headers(r, "Authorization") > 1 ||
        qr_facade_headers(r, "Transfer-Encoding") != 0) {
        return MHD_HTTP_BAD_REQUEST;
    }
    return 0;
}

static enum MHD_Result
send_answer(struct MHD_Connection *mhd, struct qr_facade_answer *a)
{
    static const uint8_t nothing[1];
    struct MHD_Response *r = MHD_create_response_from_buffer(
        a->body.len, a->body.len ? (void *)a->body.p : (void *)(uintptr_t)nothing,
        MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (r && MHD_add_response_header(r, "Content-Type", a->type) == MHD_YES &&
        MHD_add_response_header(r, "Cache-Control", "no-store") == MHD_YES) {
        result = MHD_YES;
        for (size_t i = 0; i < a->n_extra && result == MHD_YES; i++) {
            result = MHD_add_response_header(r, a->extra[i].name, a->extra[i].value);
        }
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(mhd, a->status, r);
    }
    if (r) {
        MHD_destroy_response(r);
    }
    qr_dbuf_free(&a->body);
    return result;
}

static enum MHD_Result
refuse(struct MHD_Connection *mhd, unsigned status)
{
    struct qr_facade_answer a = {
        .status = status, .type = "text/plain", .extra = {{"Connection", "close"}}, .n_extra = 1};
    qr_dbuf_init(&a.body, 16);
    return send_answer(mhd, &a);
}

/* Only our own user has anything to ask on a Unix socket. */
static int
is_stranger(struct MHD_Connection *mhd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    return !i || getsockopt(i->connect_fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 ||
           who.uid != geteuid();
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
           const char *version, const char *data, size_t *size, void **state)
{
    struct qr_facade_http *h = cls;
    struct pending *p = *state;
    struct qr_facade_request r = {.method = method, .is_unix = h->path[0] != '\0'};

    (void)url;
    (void)version;
    if (!p) {
        return MHD_NO;
    }
    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, on_header, &r);
    if (!p->seen) {
        p->seen = 1;
        unsigned bad = judge_head(&r);
        if (bad == 0 && r.is_unix && is_stranger(mhd)) {
            bad = MHD_HTTP_FORBIDDEN;
        }
        return bad ? refuse(mhd, bad) : MHD_YES;
    }
    if (*size) {
        if (!p->bad && qr_dbuf_append(&p->body, data, *size) != QR_OK) {
            p->bad = MHD_HTTP_CONTENT_TOO_LARGE;
            qr_dbuf_free(&p->body);
        }
        *size = 0;
        return MHD_YES;
    }
    if (p->bad) {
        return refuse(mhd, (unsigned)p->bad);
    }
    struct qr_facade_answer a = {.status = 500, .type = "text/plain"};
    qr_dbuf_init(&a.body, 4u * 1024u * 1024u);
    r.target = p->target;
    r.body = qr_view_of(p->body.p, p->body.len);
    h->fn(h->ctx, &r, &a);
    return send_answer(mhd, &a);
}

/* Called with the raw target, before anything else of a request. */
static void *
on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct qr_facade_http *h = cls;
    struct pending *p = qr_alloc(sizeof *p);
    (void)mhd;
    if (p) {
        p->target = qr_strdup(target);
        qr_dbuf_init(&p->body, h->body_max);
        if (!p->target) {
            p = qr_free(p);
        }
    }
    return p;
}

static void
on_completed(void *cls, struct MHD_Connection *mhd, void **state,
             enum MHD_RequestTerminationCode why)
{
    struct pending *p = *state;
    (void)cls;
    (void)mhd;
    (void)why;
    if (p) {
        qr_free((void *)(uintptr_t)p->target);
        qr_dbuf_free(&p->body);
        *state = qr_free(p);
    }
}

static size_t
no_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static void on_mhd_log(void *cls, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* What the library has to say concerns broken connections; the facade logs requests. */
static void
on_mhd_log(void *cls, const char *format, va_list ap)
{
    (void)cls;
    (void)format;
    (void)ap;
}

/* ---- listening ---- */

static int
open_unix(struct qr_facade_http *h, const char *path, char *err, size_t cap)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof a.sun_path || path[0] != '/') {
        snprintf(err, cap, "unix:PATH takes an absolute path of at most %zu characters",
                 sizeof a.sun_path - 1);
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 ||
        listen(fd, BACKLOG) != 0) {
        snprintf(err, cap, "cannot listen on %s: %s%s", path, strerror(errno),
                 errno == EADDRINUSE ? "; remove it if no facade is running" : "");
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    }
    umask(old);
    if (fd >= 0) {
        snprintf(h->path, sizeof h->path, "%s", path);
    }
    return fd;
}

static int
open_tcp(struct qr_facade_http *h, const char *text, char *err, size_t cap)
{
    struct qr_addr a;
    int one = 1;

    if (qr_addr_parse(text, &a) != QR_OK || !qr_addr_is_loopback(&a)) {
        snprintf(err, cap,
                 "\"%s\" is no loopback address; a facade listens on 127.0.0.1:PORT, [::1]:PORT or "
                 "unix:PATH, because whoever reaches it asks in your name",
                 text);
        return -1;
    }
    int fd = socket(a.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&a.ss, a.len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&a.ss, &a.len) != 0) {
        snprintf(err, cap, "cannot listen on %s: %s", text, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    h->port = a.ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a.ss)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&a.ss)->sin_port);
    return fd;
}

qr_err
qr_facade_http_new(const char *listen_on, size_t body_max, qr_facade_fn fn, void *ctx,
                   struct qr_facade_http **ret, char *err, size_t err_cap)
{
    struct qr_facade_http *h = qr_alloc(sizeof *h);

    if (!h) {
        snprintf(err, err_cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
        return QR_ERR_NO_MEMORY;
    }
    h->fn = fn;
    h->ctx = ctx;
    h->body_max = body_max < QR_FACADE_BODY_MAX ? body_max : QR_FACADE_BODY_MAX;
    int fd = strncmp(listen_on, "unix:", 5) == 0 ? open_unix(h, listen_on + 5, err, err_cap)
                                                 : open_tcp(h, listen_on, err, err_cap);
    if (fd < 0) {
        qr_free(h);
        return QR_ERR_ADDRESS;
    }
    h->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape,
        NULL, MHD_OPTION_CONNECTION_LIMIT, QR_FACADE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        QR_FACADE_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!h->daemon) {
        snprintf(err, err_cap, "the HTTP library does not start");
        close(fd);
        qr_free(h);
        return QR_ERR_ADDRESS;
    }
    *ret = h;
    return QR_OK;
}

struct qr_facade_http *
qr_facade_http_free(struct qr_facade_http *h)
{
    if (h) {
        MHD_stop_daemon(h->daemon);
        if (h->path[0]) {
            unlink(h->path);
        }
        qr_free(h);
    }
    return NULL;
}

uint16_t
qr_facade_http_port(const struct qr_facade_http *h)
{
    return h->port;
}
