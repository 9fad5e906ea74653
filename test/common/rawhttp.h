/*
 * rawhttp: bytes to a TCP port and what comes back, without a library's good manners.
 *
 * What: sends exactly what it is told, in pieces if wanted; reads one response or until the end.
 * Why: a server's strictness can only be tested by a client that has none.
 */
#ifndef TEST_RAWHTTP_H
#define TEST_RAWHTTP_H

#include "protocol/base/mem.h"

#include <stdint.h>

struct rawhttp {
    int fd;
    struct qr_dbuf in; /* bytes after the last response */
};

struct rawresp {
    int status; /* 0: the connection ended or timed out before a whole response */
    char head[4096];
    char body[70000];
    size_t body_len;
};

/* Reads give up after timeout_ms of silence. Aborts the test when it cannot connect. */
void rawhttp_open(struct rawhttp *h, uint16_t port, int timeout_ms);
void rawhttp_close(struct rawhttp *h);
/* Returns 0 when the peer has closed. */
int rawhttp_send(struct rawhttp *h, const void *p, size_t n);
int rawhttp_text(struct rawhttp *h, const char *s);
/* The next response (Content-Length framing only). */
void rawhttp_read(struct rawhttp *h, struct rawresp *ret);
/* 1 when the peer closes within the timeout without sending anything more. */
int rawhttp_closed(struct rawhttp *h);
/* 1 if the head has this line ("Content-Type: text/html"), whole, any case in the name. */
int rawresp_has(const struct rawresp *r, const char *line);

#endif
