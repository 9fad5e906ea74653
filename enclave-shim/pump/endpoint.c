#include "enclave-shim/pump/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH_LONGEST 100u /* with "_PORT" behind it no more than sun_path takes */
#define BACKLOG 64

union sock {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_vm vm;
};

/* Decimal without leading zeros, up to max. */
static int
number(const char *s, uint32_t max, uint32_t *ret)
{
    uint64_t v = 0;
    if (!*s || (s[0] == '0' && s[1])) {
        return 0;
    }
    for (; *s; s++) {
        if (*s < '0' || *s > '9') {
            return 0;
        }
        v = v * 10 + (uint64_t)(*s - '0');
        if (v > max) {
            return 0;
        }
    }
    *ret = (uint32_t)v;
    return 1;
}

static int
copy_path(struct qr_endpoint *e, const char *s, size_t n)
{
    if (n == 0 || n > PATH_LONGEST || s[0] != '/') {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f) {
            return 0;
        }
    }
    memcpy(e->host, s, n);
    e->host[n] = 0;
    return 1;
}

static int
parse_vsock(const char *s, struct qr_endpoint *e)
{
    char cid[16];
    const char *colon = strchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : 0;

    if (n == 0 || n >= sizeof cid) {
        return 0;
    }
    memcpy(cid, s, n);
    cid[n] = 0;
    e->kind = QR_ENDPOINT_VSOCK;
    e->cid = QR_ENDPOINT_ANY;
    return (strcmp(cid, "any") == 0 || number(cid, UINT32_MAX - 1, &e->cid)) &&
           number(colon + 1, UINT32_MAX - 1, &e->port);
}

static int
parse_hybrid(const char *s, struct qr_endpoint *e)
{
    const char *colon = strrchr(s, ':');
    e->kind = QR_ENDPOINT_HYBRID;
    return colon && copy_path(e, s, (size_t)(colon - s)) && number(colon + 1, 999999999, &e->port);
}

static int
parse_tcp(const char *s, struct qr_endpoint *e)
{
    char url[QR_ADDRESS_MAX];
    struct qr_address a;
    int n = snprintf(url, sizeof url, "tcp://%s", s);

    if (n < 0 || (size_t)n >= sizeof url || qr_address_parse(url, &a) != QR_OK) {
        return 0;
    }
    e->kind = QR_ENDPOINT_TCP;
    e->port = a.port;
    memcpy(e->host, a.host, sizeof e->host);
    return 1;
}

qr_err
qr_endpoint_parse(const char *text, struct qr_endpoint *ret)
{
    struct qr_endpoint e = {.kind = QR_ENDPOINT_NONE};
    int ok = 0;

    if (strncmp(text, "vsock:", 6) == 0) {
        ok = parse_vsock(text + 6, &e);
    } else if (strncmp(text, "hybrid:", 7) == 0) {
        ok = parse_hybrid(text + 7, &e);
    } else if (strncmp(text, "tcp:", 4) == 0) {
        ok = parse_tcp(text + 4, &e);
    } else if (strncmp(text, "unix:", 5) == 0) {
        e.kind = QR_ENDPOINT_UNIX;
        ok = copy_path(&e, text + 5, strlen(text + 5));
    }
    if (!ok) {
        return QR_ERR_ADDRESS;
    }
    *ret = e;
    return QR_OK;
}

void
qr_endpoint_text(const struct qr_endpoint *e, char out[static QR_ENDPOINT_TEXT_MAX])
{
    int v6 = strchr(e->host, ':') != NULL;

    switch (e->kind) {
    case QR_ENDPOINT_VSOCK:
        if (e->cid == QR_ENDPOINT_ANY) {
            (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "vsock:any:%u", e->port);
        } else {
            (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "vsock:%u:%u", e->cid, e->port);
        }
        break;
    case QR_ENDPOINT_HYBRID:
        (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "hybrid:%s:%u", e->host, e->port);
        break;
    case QR_ENDPOINT_TCP:
        (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "tcp:%s%s%s:%u", v6 ? "[" : "", e->host,
                       v6 ? "]" : "", e->port);
        break;
    case QR_ENDPOINT_UNIX:
        (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "unix:%s", e->host);
        break;
    case QR_ENDPOINT_NONE:
    default:
        (void)snprintf(out, QR_ENDPOINT_TEXT_MAX, "nowhere");
        break;
    }
}

/* The socket address; 0 if it is a name or none. *ret_len is its length. */
static int
sockaddr_of(const struct qr_endpoint *e, int listening, union sock *s, socklen_t *ret_len)
{
    memset(s, 0, sizeof *s);
    switch (e->kind) {
    case QR_ENDPOINT_VSOCK:
        s->vm.svm_family = AF_VSOCK;
        s->vm.svm_cid = listening ? VMADDR_CID_ANY : e->cid;
        s->vm.svm_port = e->port;
        *ret_len = sizeof s->vm;
        return 1;
    case QR_ENDPOINT_HYBRID:
    case QR_ENDPOINT_UNIX:
        s->un.sun_family = AF_UNIX;
        if (e->kind == QR_ENDPOINT_HYBRID && listening) {
            int n = snprintf(s->un.sun_path, sizeof s->un.sun_path, "%s_%u", e->host, e->port);
            if (n < 0 || (size_t)n >= sizeof s->un.sun_path) {
                return 0;
            }
        } else {
            memcpy(s->un.sun_path, e->host, strlen(e->host) + 1); /* PATH_LONGEST fits */
        }
        *ret_len = sizeof s->un;
        return 1;
    case QR_ENDPOINT_TCP:
        if (inet_pton(AF_INET, e->host, &s->in.sin_addr) == 1) {
            s->in.sin_family = AF_INET;
            s->in.sin_port = htons((uint16_t)e->port);
            *ret_len = sizeof s->in;
            return 1;
        }
        if (inet_pton(AF_INET6, e->host, &s->in6.sin6_addr) == 1) {
            s->in6.sin6_family = AF_INET6;
            s->in6.sin6_port = htons((uint16_t)e->port);
            *ret_len = sizeof s->in6;
            return 1;
        }
        return 0;
    case QR_ENDPOINT_NONE:
    default:
        return 0;
    }
}

int
qr_endpoint_is_loopback(const struct qr_endpoint *e)
{
    union sock s;
    socklen_t len;
    if (e->kind != QR_ENDPOINT_TCP || !sockaddr_of(e, 0, &s, &len)) {
        return 0;
    }
    return s.any.sa_family == AF_INET ? (ntohl(s.in.sin_addr.s_addr) >> 24) == 127
                                      : IN6_IS_ADDR_LOOPBACK(&s.in6.sin6_addr);
}

int
qr_endpoint_is_name(const struct qr_endpoint *e)
{
    union sock s;
    socklen_t len;
    return e->kind == QR_ENDPOINT_TCP && !sockaddr_of(e, 0, &s, &len);
}

static void
no_delay(int fd, int family)
{
    int one = 1;
    if (family == AF_INET || family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    }
}

static int
close_with(int fd, int e)
{
    (void)close(fd);
    errno = e;
    return -1;
}

int
qr_endpoint_dial(const struct qr_endpoint *e)
{
    union sock s;
    socklen_t len;

    if (!sockaddr_of(e, 0, &s, &len)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(s.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    no_delay(fd, s.any.sa_family);
    if (connect(fd, &s.any, len) != 0 && errno != EINPROGRESS) {
        return close_with(fd, errno);
    }
    return fd;
}

/* A socket file that nobody listens on any more is removed; 0 if the path is in use. */
static int
clear_path(const union sock *s, socklen_t len)
{
    struct stat st;
    int in_use = 1;

    if (lstat(s->un.sun_path, &st) != 0) {
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return 0;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        in_use = connect(fd, &s->any, len) == 0 || errno != ECONNREFUSED;
        (void)close(fd);
    }
    return !in_use && unlink(s->un.sun_path) == 0;
}

int
qr_endpoint_listen(const struct qr_endpoint *e)
{
    union sock s;
    socklen_t len;
    int one = 1, bound;

    if (!sockaddr_of(e, 1, &s, &len)) {
        errno = EINVAL;
        return -1;
    }
    if (s.any.sa_family == AF_UNIX && !clear_path(&s, len)) {
        errno = EADDRINUSE;
        return -1;
    }
    int fd = socket(s.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (s.any.sa_family == AF_UNIX) {
        mode_t old = umask(0117);
        bound = bind(fd, &s.any, len);
        (void)umask(old);
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        bound = bind(fd, &s.any, len);
    }
    if (bound != 0 || listen(fd, BACKLOG) != 0) {
        return close_with(fd, errno);
    }
    return fd;
}

int
qr_endpoint_accept(const struct qr_endpoint *e, int listener)
{
    union sock s = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof s;
    int fd = accept4(listener, &s.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return -1;
    }
    if (e->kind == QR_ENDPOINT_VSOCK && e->cid != QR_ENDPOINT_ANY && s.vm.svm_cid != e->cid) {
        return close_with(fd, EACCES);
    }
    no_delay(fd, s.any.sa_family);
    return fd;
}
