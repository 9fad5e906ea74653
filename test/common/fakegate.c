#include "test/common/fakegate.h"

#include "protocol/base/check.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct fakegate {
    pthread_t thread;
    int listen_fd, stop_fd[2];
    uint16_t port;
    SSL_CTX *ctx;
    fakegate_fn fn;
    void *fn_ctx;
    atomic_uint drip_us, requests;
};

void
fakegate_reply(struct qr_dbuf *out, unsigned status, qr_view body)
{
    char head[128];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %u x\r\nContent-Length: %zu\r\n\r\n", status,
                     body.len);
    QR_ASSERT(qr_dbuf_append(out, head, (size_t)n) == QR_OK &&
              qr_dbuf_append(out, body.p, body.len) == QR_OK);
}

static ssize_t
get(SSL *ssl, int fd, void *p, size_t n)
{
    return ssl ? SSL_read(ssl, p, (int)n) : recv(fd, p, n, 0);
}

static int
put(SSL *ssl, int fd, const uint8_t *p, size_t n)
{
    return ssl ? SSL_write(ssl, p, (int)n) == (int)n : send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One request into d, NUL-terminated; 0 when the client left. */
static int
read_request(SSL *ssl, int fd, struct qr_dbuf *d)
{
    char buf[8192];
    for (;;) {
        QR_ASSERT(qr_dbuf_append(d, "", 1) == QR_OK); /* the NUL */
        d->len--;
        const char *text = (const char *)d->p, *end = strstr(text, "\r\n\r\n");
        const char *cl = strcasestr(text, "\r\nContent-Length:");
        size_t body = end && cl && cl < end ? strtoul(cl + 17, NULL, 10) : 0;
        if (end && d->len >= (size_t)(end - text) + 4 + body) {
            return 1;
        }
        ssize_t n = get(ssl, fd, buf, sizeof buf);
        if (n <= 0) {
            return 0;
        }
        QR_ASSERT(qr_dbuf_append(d, buf, (size_t)n) == QR_OK);
    }
}

static void
serve(struct fakegate *g, int fd)
{
    struct qr_dbuf in, out;
    struct timeval tv = {.tv_sec = 5};
    SSL *ssl = NULL;

    qr_dbuf_init(&in, 1024 * 1024);
    qr_dbuf_init(&out, 16 * 1024 * 1024);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (g->ctx) {
        ssl = SSL_new(g->ctx);
        QR_ASSERT(ssl && SSL_set_fd(ssl, fd) == 1);
    }
    if ((!ssl || SSL_accept(ssl) == 1) && read_request(ssl, fd, &in)) {
        atomic_fetch_add(&g->requests, 1);
        g->fn(g->fn_ctx, (const char *)in.p, &out);
        unsigned us = atomic_load(&g->drip_us);
        for (size_t at = 0; at < out.len;) {
            size_t n = us || out.len - at < 65536 ? (us ? 1 : out.len - at) : 65536;
            if (!put(ssl, fd, out.p + at, n)) {
                break;
            }
            at += n;
            if (us) {
                usleep(us);
            }
        }
        if (ssl) {
            SSL_shutdown(ssl);
        }
    }
    SSL_free(ssl);
    close(fd);
    qr_dbuf_free(&in);
    qr_dbuf_free(&out);
}

static void *
run(void *arg)
{
    struct fakegate *g = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = g->stop_fd[0], .events = POLLIN},
                              {.fd = g->listen_fd, .events = POLLIN}};
        if (poll(p, 2, -1) < 0) {
            continue;
        }
        if (p[0].revents) {
            return NULL;
        }
        int fd = accept(g->listen_fd, NULL, NULL);
        if (fd >= 0) {
            serve(g, fd);
        }
    }
}

struct fakegate *
fakegate_start(fakegate_fn fn, void *ctx, const char *cert, const char *key)
{
    struct fakegate *g = qr_alloc(sizeof *g);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;

    QR_ASSERT(g && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    g->fn = fn;
    g->fn_ctx = ctx;
    if (cert) {
        g->ctx = SSL_CTX_new(TLS_server_method());
        QR_ASSERT(g->ctx && SSL_CTX_use_certificate_file(g->ctx, cert, SSL_FILETYPE_PEM) == 1 &&
                  SSL_CTX_use_PrivateKey_file(g->ctx, key, SSL_FILETYPE_PEM) == 1);
    }
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QR_ASSERT(g->listen_fd >= 0 && bind(g->listen_fd, (const struct sockaddr *)&a, sizeof a) == 0 &&
              listen(g->listen_fd, 16) == 0 &&
              getsockname(g->listen_fd, (struct sockaddr *)&a, &len) == 0 && pipe(g->stop_fd) == 0);
    g->port = ntohs(a.sin_port);
    QR_ASSERT(pthread_create(&g->thread, NULL, run, g) == 0);
    return g;
}

struct fakegate *
fakegate_stop(struct fakegate *g)
{
    if (!g) {
        return NULL;
    }
    QR_ASSERT(write(g->stop_fd[1], "x", 1) == 1);
    pthread_join(g->thread, NULL);
    close(g->listen_fd);
    close(g->stop_fd[0]);
    close(g->stop_fd[1]);
    SSL_CTX_free(g->ctx);
    return qr_free(g);
}

uint16_t
fakegate_port(const struct fakegate *g)
{
    return g->port;
}

void
fakegate_drip(struct fakegate *g, unsigned us)
{
    atomic_store(&g->drip_us, us);
}

unsigned
fakegate_requests(const struct fakegate *g)
{
    return atomic_load(&g->requests);
}
