/*
 * A small HTTP/1.1 client: one request, one bounded response, one connection.
 *
 * What: http://HOST:PORT and https://HOST:PORT; TLS 1.2 and up with verification of name and chain;
 *       responses with a Content-Length or ended by the connection's end; a deadline over the whole.
 * Why: a client library would bring more protocols than this program has commands. What a gateway
 *      sends is hostile: status, header and body are bounded, transfer codings and redirects are
 *      refused.
 * Plain HTTP only to loopback addresses: elsewhere it would show requests to everyone on the way.
 */
#ifndef QR_CLIENT_HTTP_H
#define QR_CLIENT_HTTP_H

#include "protocol/base/limits.h"
#include "protocol/base/mem.h"

#define QR_HTTP_HEAD_MAX 16384u
#define QR_HTTP_BODY_MAX (4u * 1024u * 1024u)

struct qr_http_url {
    int tls;
    char host[256], port[6]; /* host without brackets */
};

/* QR_ERR_ADDRESS unless it is http(s)://HOST[:PORT] with nothing behind it but "/". */
qr_err QR_MUST qr_http_url_parse(const char *text, struct qr_http_url *ret);

struct qr_http_request {
    const char *method, *path;   /* path with its query, already encoded */
    const char *stamp;           /* X-Stamp, or NULL */
    const char *const *approval; /* X-Approval headers, in this order */
    size_t n_approvals;          /* at most QR_APPROVALS_MAX */
    qr_view body;                /* sent as application/json if not empty */
    const char *ca_file;         /* PEM roots instead of the system's, or NULL */
    unsigned timeout_ms;
};

struct qr_http_response {
    unsigned status;
    uint64_t retry_s; /* of Retry-After in seconds; 0: none, or a date */
    struct qr_dbuf body;
};

/*
 * OK whatever the status is; the caller frees ret->body. Errors: ADDRESS (name, plain HTTP to
 * elsewhere), LINK_CLOSED, TLS, TIMEOUT, MALFORMED, TOO_LARGE, TRUNCATED; err_text says which URL.
 */
qr_err QR_MUST qr_http_do(const struct qr_http_url *u, const struct qr_http_request *q,
                          struct qr_http_response *ret, char *err_text, size_t err_cap);

#endif
