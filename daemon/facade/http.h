/*
 * The HTTP server of the facades: one request in, one answer out, on this machine only.
 *
 * What: libmicrohttpd with a thread for each connection, because a signature is waited for. A handler
 *       gets the whole request: method, target as it came, headers as they came, the body up to a
 *       limit; it fills one answer.
 * Who may connect: the listener is a loopback address, or a Unix socket of mode 0600 whose peer must be
 *       our own user. Anything else is refused at start.
 * What is refused here, before a handler: more than one Host, Content-Length or Content-Type, a transfer
 *       coding, a body above the limit, too many connections.
 * Thread rules: the handler runs in many threads at once.
 */
#ifndef QR_FACADE_HTTP_H
#define QR_FACADE_HTTP_H

#include "protocol/base/mem.h"

#define QR_FACADE_HEADERS_MAX 48u
#define QR_FACADE_BODY_MAX (128u * 1024u)
#define QR_FACADE_CONNECTIONS 128u
#define QR_FACADE_IDLE_S 30u

struct qr_facade_header {
    const char *name, *value;
};

struct qr_facade_request {
    const char *method, *target; /* the target is the raw text: path and query */
    struct qr_facade_header header[QR_FACADE_HEADERS_MAX];
    size_t n_headers;
    qr_view body;
    int is_unix; /* 1: the peer is our own user, on a Unix socket */
};

/* The value of the only header of this name (any case); NULL: absent, or more than one. */
const char *qr_facade_header(const struct qr_facade_request *r, const char *name);
/* How often it is there. */
size_t qr_facade_headers(const struct qr_facade_request *r, const char *name);

struct qr_facade_answer {
    unsigned status;
    const char *type;
    struct qr_dbuf body;
    struct qr_facade_header extra[4]; /* names and values outlive the call, or lie in `text` */
    size_t n_extra;
    char text[64];
};

typedef void (*qr_facade_fn)(void *ctx, const struct qr_facade_request *r,
                             struct qr_facade_answer *a);

struct qr_facade_http;

/*
 * Serves from now on. listen: "127.0.0.1:PORT", "[::1]:PORT" (0: any), "unix:PATH" (must not exist).
 * body_max: at most QR_FACADE_BODY_MAX. ADDRESS, NO_MEMORY; err says what and what to do.
 */
qr_err QR_MUST qr_facade_http_new(const char *listen, size_t body_max, qr_facade_fn fn, void *ctx,
                                  struct qr_facade_http **ret, char *err, size_t err_cap);
/* Waits for answers that are being made. Takes NULL, returns NULL. */
struct qr_facade_http *qr_facade_http_free(struct qr_facade_http *h);
/* Of a listener on TCP; 0 else. */
uint16_t qr_facade_http_port(const struct qr_facade_http *h);

#endif
