#include "enclave-shim/nitro/https.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOOPBACK "127.0.0.1:"
#define UNIX "unix:"
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct conn {
    const char *route;
    int fd;
    int64_t deadline;
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    int again;
    char *why;
    size_t why_cap;
};

static qr_err say(struct conn *c, int again, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
say(struct conn *c, int again, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(c->why, c->why_cap, format, ap);
    va_end(ap);
    c->again = again;
    return QR_ERR_PLATFORM;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int64_t
monotonic_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

/* The length of the address; 0: no route. */
static socklen_t
address_of(const char *route, union address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!route) {
        return 0;
    }
    if (strncmp(route, UNIX, strlen(UNIX)) == 0) {
        size_t n = strlen(route) - strlen(UNIX);
        if (n == 0 || n >= sizeof ret->un.sun_path) {
            return 0;
        }
        ret->un.sun_family = AF_UNIX;
        memcpy(ret->un.sun_path, route + strlen(UNIX), n);
        return (socklen_t)sizeof ret->un;
    }
    if (strncmp(route, LOOPBACK, strlen(LOOPBACK)) == 0) {
        unsigned port = 0;
        const char *p = route + strlen(LOOPBACK);
        size_t n = strlen(p);
        if (n == 0 || n > 5 || p[0] == '0') {
            return 0;
        }
        for (; *p; p++) {
            if (*p < '0' || *p > '9') {
                return 0;
            }
            port = port * 10 + (unsigned)(*p - '0');
        }
        if (port > 65535) {
            return 0;
        }
        ret->in.sin_family = AF_INET;
        ret->in.sin_port = htons((uint16_t)port);
        ret->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return (socklen_t)sizeof ret->in;
    }
    return 0;
}

int
qr_route_ok(const char *route)
{
    union address a;
    return address_of(route, &a) != 0;
}

/* Waits until the socket can, or the deadline has passed. */
static qr_err
wait_for(struct conn *c, short events)
{
    for (;;) {
        int64_t left = c->deadline - monotonic_ms();
        struct pollfd p = {.fd = c->fd, .events = events};
        if (left <= 0) {
            return say(c, 1, "%s: no answer in time", c->route);
        }
        int n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0) {
            return QR_OK;
        }
        if (n < 0 && errno != EINTR) {
            return say(c, 1, "%s: %s", c->route, strerror(errno));
        }
    }
}

static qr_err
conn_open(struct conn *c)
{
    union address a;
    socklen_t n = address_of(c->route, &a);
    int e = 0, on = 1;
    socklen_t e_len = sizeof e;

    if (n == 0) {
        return say(c, 0, "%s is no route; write 127.0.0.1:PORT or unix:PATH",
                   c->route ? c->route : "(none)");
    }
    c->fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        return say(c, 0, "%s: no socket: %s", c->route, strerror(errno));
    }
    if (a.any.sa_family ==
        AF_INET) { /* small records, each waited for; a refusal costs time only */
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (connect(c->fd, &a.any, n) != 0) {
        if (errno != EINPROGRESS) {
            return say(c, 1, "%s: %s; is the host's forwarding up?", c->route, strerror(errno));
        }
        QR_TRY(wait_for(c, POLLOUT));
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &e_len) != 0 || e != 0) {
            return say(c, 1, "%s: %s; is the host's forwarding up?", c->route, strerror(e));
        }
    }
    return QR_OK;
}

/* *ret_n 0: the end. */
static qr_err
conn_recv(struct conn *c, uint8_t *out, size_t cap, size_t *ret_n)
{
    for (;;) {
        ssize_t n = recv(c->fd, out, cap, 0);
        if (n >= 0) {
            *ret_n = (size_t)n;
            return QR_OK;
        }
        if (errno == EAGAIN) {
            QR_TRY(wait_for(c, POLLIN));
        } else if (errno != EINTR) {
            return say(c, 1, "%s: %s", c->route, strerror(errno));
        }
    }
}

static qr_err
conn_send(struct conn *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            QR_TRY(wait_for(c, POLLOUT));
        } else if (n < 0 && errno != EINTR) {
            return say(c, 1, "%s: %s", c->route, strerror(errno));
        }
    }
    return QR_OK;
}

static void
conn_close(struct conn *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    ERR_clear_error();
}

qr_err
qr_route_read(const char *route, uint32_t timeout_ms, uint8_t *out, size_t cap, size_t *ret_len,
              char *why, size_t why_cap)
{
    struct conn c = {.route = route,
                     .fd = -1,
                     .deadline = monotonic_ms() + timeout_ms,
                     .why = why,
                     .why_cap = why_cap};
    size_t len = 0, n = 1;
    uint8_t more;

    qr_err e = conn_open(&c);
    while (e == QR_OK && n > 0) {
        e = len < cap ? conn_recv(&c, out + len, cap - len, &n) : conn_recv(&c, &more, 1, &n);
        if (e == QR_OK && len == cap && n > 0) {
            (void)say(&c, 0, "%s: more than %zu bytes", route, cap);
            e = QR_ERR_TOO_LARGE;
        }
        len += e == QR_OK ? n : 0;
    }
    conn_close(&c);
    if (e == QR_OK) {
        *ret_len = len;
    }
    return e;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static int
add_roots(X509_STORE *store, const struct qr_kms_roots *roots)
{
    int ok = roots->n > 0;
    for (size_t i = 0; i < roots->n && ok; i++) {
        BIO *b = BIO_new_mem_buf(roots->pem[i], -1);
        X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
        ok = x && X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
        BIO_free(b);
    }
    return ok;
}

/* SSL_set_tlsext_host_name, whose cast drops a const that OpenSSL keeps to. */
static long
set_sni(SSL *ssl, const char *host)
{
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host);
}

static qr_err
tls_new(struct conn *c, const struct qr_https *h)
{
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (!c->ctx || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(c->ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c->ctx, CIPHERS) != 1 ||
        !add_roots(SSL_CTX_get_cert_store(c->ctx), h->roots)) {
        return QR_ERR_CRYPTO_LIB;
    }
    (void)SSL_CTX_set_options(c->ctx,
                              SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(c->ctx, 5);
    SSL_CTX_set_security_level(c->ctx, 2);

    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    if (!c->ssl || !c->in || !c->out) {
        BIO_free(c->in);
        BIO_free(c->out);
        return QR_ERR_NO_MEMORY;
    }
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    SSL_set_hostflags(c->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(c->ssl, h->host) != 1 || set_sni(c->ssl, h->host) != 1) {
        return QR_ERR_CRYPTO_LIB;
    }
    X509_VERIFY_PARAM_set_time(SSL_get0_param(c->ssl), (time_t)(h->now_ms / 1000));
    return QR_OK;
}

static qr_err
tls_flush(struct conn *c)
{
    uint8_t piece[4096];
    int n;
    while ((n = BIO_read(c->out, piece, sizeof piece)) > 0) {
        QR_TRY(conn_send(c, piece, (size_t)n));
    }
    return QR_OK;
}

/* More bytes for TLS; *ret_n 0: the connection ended. */
static qr_err
tls_fill(struct conn *c, size_t *ret_n)
{
    uint8_t piece[4096];
    QR_TRY(conn_recv(c, piece, sizeof piece, ret_n));
    return BIO_write(c->in, piece, (int)*ret_n) == (int)*ret_n ? QR_OK : QR_ERR_NO_MEMORY;
}

static qr_err
tls_failed(struct conn *c, const struct qr_https *h)
{
    long v = SSL_get_verify_result(c->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    if (v != X509_V_OK) {
        return say(c, 0,
                   "%s: not believed to be %s: %s; something else answers behind the route, or its "
                   "certificate is not for this name or time",
                   c->route, h->host, X509_verify_cert_error_string(v));
    }
    return say(c, 0, "%s: TLS with %s failed: %s", c->route, h->host,
               reason ? reason : "no reason given");
}

static qr_err
tls_handshake(struct conn *c, const struct qr_https *h)
{
    for (;;) {
        ERR_clear_error();
        int r = SSL_do_handshake(c->ssl), e = SSL_get_error(c->ssl, r);
        size_t n = 0;
        if (r != 1 && e != SSL_ERROR_WANT_READ) {
            qr_err told = tls_flush(c); /* the alert; if it is lost, what failed is still told */
            (void)told;
            return tls_failed(c, h);
        }
        QR_TRY(tls_flush(c));
        if (r == 1) {
            return QR_OK;
        }
        QR_TRY(tls_fill(c, &n));
        if (n == 0) {
            return say(c, 1, "%s: the connection ended during TLS's handshake", c->route);
        }
    }
}

static qr_err
write_request(struct conn *c, const struct qr_https *h, qr_view request)
{
    size_t done = 0, n = 0;
    while (done < request.len) {
        ERR_clear_error();
        if (SSL_write_ex(c->ssl, request.p + done, request.len - done, &n) != 1) {
            return tls_failed(c, h);
        }
        done += n;
        QR_TRY(tls_flush(c));
    }
    return QR_OK;
}

static qr_err
read_answer(struct conn *c, const struct qr_https *h, uint8_t *answer, size_t cap,
            struct qr_http_answer *ret)
{
    size_t len = 0, n = 0;
    const char *what = "the head";

    for (;;) {
        uint8_t more;
        ERR_clear_error();
        int r = len < cap ? SSL_read_ex(c->ssl, answer + len, cap - len, &n)
                          : SSL_read_ex(c->ssl, &more, 1, &n);
        if (r == 1) {
            if (len == cap) {
                return say(c, 0, "%s: an answer of more than %zu bytes", h->host, cap);
            }
            len += n;
            qr_err e = qr_http_parse(answer, len, QR_KMS_HEAD_MAX, QR_KMS_BODY_MAX, ret, &what);
            if (e != QR_ERR_TRUNCATED) {
                return e == QR_OK ? QR_OK
                                  : say(c, 0, "%s: an answer that is not HTTP as we read it: %s",
                                        h->host, what);
            }
            continue;
        }
        int e = SSL_get_error(c->ssl, r);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_ZERO_RETURN) {
            return tls_failed(c, h);
        }
        QR_TRY(tls_flush(c));
        n = 0;
        if (e == SSL_ERROR_WANT_READ) {
            QR_TRY(tls_fill(c, &n));
        }
        if (n == 0) {
            return say(c, 1, "%s: the answer was cut off in %s, after %zu bytes", h->host, what,
                       len);
        }
    }
}

qr_err
qr_https_post(const struct qr_https *h, qr_view request, uint8_t *answer, size_t cap,
              struct qr_http_answer *ret, int *ret_again, char *why, size_t why_cap)
{
    struct conn c = {.route = h->route,
                     .fd = -1,
                     .deadline = monotonic_ms() + h->timeout_ms,
                     .why = why,
                     .why_cap = why_cap};

    (void)snprintf(why, why_cap, "%s: OpenSSL cannot set up TLS (out of memory?)", h->host);
    qr_err e = conn_open(&c);
    if (e == QR_OK) {
        e = tls_new(&c, h);
    }
    if (e == QR_OK) {
        e = tls_handshake(&c, h);
    }
    if (e == QR_OK) {
        e = write_request(&c, h, request);
    }
    if (e == QR_OK) {
        e = read_answer(&c, h, answer, cap, ret);
    }
    *ret_again = c.again;
    conn_close(&c);
    return e;
}
