#include "test/common/rawhttp.h"

#include "protocol/base/check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void
rawhttp_open(struct rawhttp *h, uint16_t port, int timeout_ms)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QR_ASSERT(h->fd >= 0 && connect(h->fd, (const struct sockaddr *)&a, sizeof a) == 0);
    QR_ASSERT(setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    qr_dbuf_init(&h->in, 1024 * 1024);
}

void
rawhttp_close(struct rawhttp *h)
{
    close(h->fd);
    qr_dbuf_free(&h->in);
}

int
rawhttp_send(struct rawhttp *h, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t w = send(h->fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (w <= 0) {
            return 0;
        }
        at += (size_t)w;
    }
    return 1;
}

int
rawhttp_text(struct rawhttp *h, const char *s)
{
    return rawhttp_send(h, s, strlen(s));
}

static int
more(struct rawhttp *h)
{
    char buf[16384];
    ssize_t n = recv(h->fd, buf, sizeof buf, 0);
    return n > 0 && qr_dbuf_append(&h->in, buf, (size_t)n) == QR_OK;
}

void
rawhttp_read(struct rawhttp *h, struct rawresp *ret)
{
    memset(ret, 0, sizeof *ret);
    const uint8_t *end;
    while (!(end = h->in.len ? memmem(h->in.p, h->in.len, "\r\n\r\n", 4) : NULL)) {
        if (!more(h)) {
            return;
        }
    }
    size_t head = (size_t)(end - h->in.p) + 4, body = 0;
    QR_ASSERT(head < sizeof ret->head);
    memcpy(ret->head, h->in.p, head);
    for (const char *line = ret->head; line; line = strstr(line, "\r\n")) {
        line += line == ret->head ? 0 : 2;
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            body = strtoul(line + 15, NULL, 10);
        }
    }
    QR_ASSERT(body < sizeof ret->body);
    while (h->in.len < head + body) {
        if (!more(h)) {
            return;
        }
    }
    memcpy(ret->body, h->in.p + head, body);
    ret->body_len = body;
    qr_dbuf_consume(&h->in, head + body);
    ret->status = (int)strtol(ret->head + 9, NULL, 10);
}

int
rawhttp_closed(struct rawhttp *h)
{
    char c;
    return h->in.len == 0 && recv(h->fd, &c, 1, 0) == 0;
}

int
rawresp_has(const struct rawresp *r, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = strstr(r->head, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, line, n) == 0 && strncmp(p + n, "\r\n", 2) == 0) {
            return 1;
        }
    }
    return 0;
}
