#include "daemon/client/stream.h"

#include "daemon/addr.h"
#include "daemon/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static qr_err
wait_for(const struct qr_stream *s, short events)
{
    uint64_t now = qr_mono_ns();
    struct pollfd p = {.fd = s->fd, .events = events};
    if (now >= s->deadline) {
        return QR_ERR_TIMEOUT;
    }
    int n = poll(&p, 1, (int)((s->deadline - now) / MS) + 1);
    return n != 0 || qr_mono_ns() < s->deadline ? QR_OK : QR_ERR_TIMEOUT;
}

/* Tries every address of the name. */
static qr_err
dial(struct qr_stream *s, const struct qr_http_url *u, char *why, size_t cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    qr_err e = QR_ERR_LINK_CLOSED;

    int gai = getaddrinfo(u->host, u->port, &hints, &list);
    if (gai != 0) {
        snprintf(why, cap, "%s", gai_strerror(gai));
        return QR_ERR_ADDRESS;
    }
    for (struct addrinfo *ai = list; ai && s->fd < 0; ai = ai->ai_next) {
        struct qr_addr a = {.len = ai->ai_addrlen};
        memcpy(&a.ss, ai->ai_addr, ai->ai_addrlen);
        if (!u->tls && !qr_addr_is_loopback(&a)) {
            snprintf(why, cap, "plain HTTP is only for loopback addresses; use https://");
            e = QR_ERR_ADDRESS;
            continue;
        }
        s->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int err = 0;
        socklen_t len = sizeof err;
        if (s->fd < 0 || (connect(s->fd, ai->ai_addr, ai->ai_addrlen) != 0 &&
                          (errno != EINPROGRESS || wait_for(s, POLLOUT) != QR_OK ||
                           getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0))) {
            snprintf(why, cap, "%s",
                     strerror(err                    ? err
                              : errno == EINPROGRESS ? ETIMEDOUT
                                                     : errno));
            e = QR_ERR_LINK_CLOSED;
            if (s->fd >= 0) {
                close(s->fd);
                s->fd = -1;
            }
        }
    }
    freeaddrinfo(list);
    return s->fd >= 0 ? QR_OK : e;
}

/* What to do after an SSL call returned r <= 0: OK to try again. */
static qr_err
ssl_wait(const struct qr_stream *s, int r)
{
    switch (SSL_get_error(s->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(s, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(s, POLLOUT);
    default:
        return QR_ERR_TLS;
    }
}

static qr_err
start_tls(struct qr_stream *s, const struct qr_http_url *u, const char *ca_file, char *why,
          size_t cap)
{
    struct qr_addr a;
    char numeric[300];

    s->ctx = SSL_CTX_new(TLS_client_method());
    s->ssl = s->ctx ? SSL_new(s->ctx) : NULL;
    if (!s->ssl || SSL_set_min_proto_version(s->ssl, TLS1_2_VERSION) != 1) {
        return QR_ERR_CRYPTO_LIB;
    }
    if ((ca_file ? SSL_CTX_load_verify_file(s->ctx, ca_file)
                 : SSL_CTX_set_default_verify_paths(s->ctx)) != 1) {
        snprintf(why, cap, "no certificates in %s", ca_file ? ca_file : "the system's store");
        return QR_ERR_TLS;
    }
    SSL_set_verify(s->ssl, SSL_VERIFY_PEER, NULL);
    snprintf(numeric, sizeof numeric, strchr(u->host, ':') ? "[%s]:1" : "%s:1", u->host);
    int named = qr_addr_parse(numeric, &a) != QR_OK;
    /* The macro SSL_set_tlsext_host_name casts away a const; this is what it calls. */
    if ((named && (SSL_set1_host(s->ssl, u->host) != 1 ||
                   SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                            (void *)(uintptr_t)u->host) != 1)) ||
        (!named && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), u->host) != 1) ||
        SSL_set_fd(s->ssl, s->fd) != 1) {
        return QR_ERR_CRYPTO_LIB;
    }
    for (;;) {
        int r = SSL_connect(s->ssl);
        if (r == 1) {
            return QR_OK;
        }
        qr_err e = ssl_wait(s, r);
        if (e != QR_OK) {
            long v = SSL_get_verify_result(s->ssl);
            snprintf(why, cap, "%s",
                     v != X509_V_OK ? X509_verify_cert_error_string(v)
                                    : "the TLS handshake failed");
            return e;
        }
    }
}

qr_err
qr_stream_write(struct qr_stream *s, qr_view v)
{
    const uint8_t *p = v.p;
    size_t n = v.len;

    while (n > 0) {
        size_t done = 0;
        if (s->ssl) {
            int r = SSL_write_ex(s->ssl, p, n, &done);
            if (r != 1) {
                QR_TRY(ssl_wait(s, r));
            }
        } else {
            ssize_t w = send(s->fd, p, n, MSG_NOSIGNAL);
            if (w < 0 && errno != EAGAIN && errno != EINTR) {
                return QR_ERR_LINK_CLOSED;
            }
            done = w > 0 ? (size_t)w : 0;
            if (w < 0) {
                QR_TRY(wait_for(s, POLLOUT));
            }
        }
        p += done;
        n -= done;
    }
    return QR_OK;
}

qr_err
qr_stream_read(struct qr_stream *s, struct qr_dbuf *d, int *ret_end)
{
    uint8_t buf[16384];
    size_t n = 0;

    *ret_end = 0;
    if (s->ssl) {
        int r = SSL_read_ex(s->ssl, buf, sizeof buf, &n);
        if (r != 1 && SSL_get_error(s->ssl, r) == SSL_ERROR_ZERO_RETURN) {
            *ret_end = 1;
        } else if (r != 1) {
            return ssl_wait(s, r);
        }
    } else {
        ssize_t r = recv(s->fd, buf, sizeof buf, 0);
        if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
            return wait_for(s, POLLIN);
        }
        if (r < 0) {
            return QR_ERR_LINK_CLOSED;
        }
        *ret_end = r == 0;
        n = (size_t)r;
    }
    return qr_mono_ns() < s->deadline ? qr_dbuf_append(d, buf, n) : QR_ERR_TIMEOUT;
}

qr_err
qr_stream_open(struct qr_stream *s, const struct qr_http_url *u, const char *ca_file,
               uint64_t deadline, char *why, size_t cap)
{
    *s = (struct qr_stream){.fd = -1, .deadline = deadline};
    QR_TRY(dial(s, u, why, cap));
    return u->tls ? start_tls(s, u, ca_file, why, cap) : QR_OK;
}

void
qr_stream_close(struct qr_stream *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
    if (s->fd >= 0) {
        close(s->fd);
    }
    *s = (struct qr_stream){.fd = -1};
}
