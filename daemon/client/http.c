#include "daemon/client/http.h"

#include "daemon/addr.h"
#include "daemon/client/stream.h"
#include "daemon/loop.h"

#include <stdio.h>
#include <strings.h>

#define MS UINT64_C(1000000)
#define RETRY_MAX (366ul * 86400ul)
/* A stamp, the approvals, and the rest. */
#define OUR_HEAD_MAX ((1u + QR_APPROVALS_MAX) * (QR_STAMP_MAX + 16u) + 2048u)

qr_err
qr_http_url_parse(const char *text, struct qr_http_url *ret)
{
    struct qr_http_url u = {.tls = strncmp(text, "https://", 8) == 0};
    unsigned long port = u.tls ? 443 : 80;

    if (!u.tls && strncmp(text, "http://", 7) != 0) {
        return QR_ERR_ADDRESS;
    }
    const char *host = text + (u.tls ? 8 : 7);
    int v6 = *host == '[';
    host += v6;
    size_t n = strcspn(host, v6 ? "]" : ":/");
    const char *rest = host + n;
    if (n == 0 || n >= sizeof u.host || (v6 && *rest != ']') ||
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") < n) {
        return QR_ERR_ADDRESS;
    }
    rest += v6;
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, "0123456789");
        if (!qr_parse_decimal(rest + 1, digits, 65535, &port) || port == 0) {
            return QR_ERR_ADDRESS;
        }
        rest += 1 + digits;
    }
    if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0) {
        return QR_ERR_ADDRESS;
    }
    memcpy(u.host, host, n);
    snprintf(u.port, sizeof u.port, "%lu", port);
    *ret = u;
    return QR_OK;
}

/*
 * Status, length and when to come again, out of the head (which ends before "\r\n\r\n" and is
 * NUL-terminated).
 */
static qr_err
parse_head(char *head, struct qr_http_response *ret, unsigned long *ret_len, int *ret_has_len)
{
    unsigned long status;

    unsigned long retry = 0;

    *ret_has_len = 0;
    if ((strncmp(head, "HTTP/1.1 ", 9) != 0 && strncmp(head, "HTTP/1.0 ", 9) != 0) ||
        !qr_parse_decimal(head + 9, 3, 599, &status) || status < 200 ||
        (head[12] != ' ' && head[12] != '\r' && head[12] != '\0')) {
        return QR_ERR_MALFORMED;
    }
    for (char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        size_t n = strcspn(line, "\r");
        if (strncasecmp(line, "Transfer-Encoding:", 18) == 0) {
            return QR_ERR_MALFORMED;
        }
        if (strncasecmp(line, "Retry-After:", 12) == 0) {
            size_t skip = 12 + strspn(line + 12, " ");
            (void)qr_parse_decimal(line + skip, n > skip ? n - skip : 0, RETRY_MAX, &retry);
        }
        if (strncasecmp(line, "Content-Length:", 15) != 0) {
            continue;
        }
        size_t skip = 15 + strspn(line + 15, " ");
        if (*ret_has_len || !qr_parse_decimal(line + skip, n - skip, QR_HTTP_BODY_MAX, ret_len)) {
            return *ret_has_len ? QR_ERR_MALFORMED : QR_ERR_TOO_LARGE;
        }
        *ret_has_len = 1;
    }
    ret->status = (unsigned)status;
    ret->retry_s = retry;
    return QR_OK;
}

static qr_err
read_response(struct qr_stream *s, struct qr_http_response *ret)
{
    struct qr_dbuf *d = &ret->body;
    uint8_t *end = NULL;
    unsigned long len = 0;
    int eof = 0, has_len = 0;

    while (!end) {
        QR_TRY(qr_stream_read(s, d, &eof));
        end = d->len ? memmem(d->p, d->len, "\r\n\r\n", 4) : NULL;
        if (!end && d->len > QR_HTTP_HEAD_MAX) {
            return QR_ERR_TOO_LARGE;
        }
        if (!end && eof) {
            return QR_ERR_TRUNCATED;
        }
    }
    size_t head = (size_t)(end - d->p) + 4;
    *end = '\0';
    if (strlen((const char *)d->p) != head - 4) {
        return QR_ERR_MALFORMED; /* a NUL */
    }
    QR_TRY(parse_head((char *)d->p, ret, &len, &has_len));
    qr_dbuf_consume(d, head);
    while (!eof && (!has_len || d->len < len)) {
        QR_TRY(qr_stream_read(s, d, &eof));
    }
    if (has_len && d->len != len) {
        return d->len < len ? QR_ERR_TRUNCATED : QR_ERR_TRAILING;
    }
    return QR_OK;
}

/* One value of one header: no blank, no line end. */
static int
is_word(const char *s)
{
    size_t n = 0;
    while (s[n] > 0x20 && s[n] < 0x7f) {
        n++;
    }
    return s[n] == '\0';
}

/* The head of a request; its length, or 0 when it does not fit or would be more than one head. */
static size_t
put_head(const struct qr_http_url *u, const struct qr_http_request *q, char *out, size_t cap)
{
    int v6 = strchr(u->host, ':') != NULL;
    int n = snprintf(out, cap, "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n",
                     q->method, q->path, v6 ? "[" : "", u->host, v6 ? "]" : "", u->port);
    size_t at = n > 0 ? (size_t)n : cap;

    if (q->body.len > 0 && at < cap) {
        n = snprintf(out + at, cap - at,
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n%s%s%s", q->body.len,
                     q->stamp ? "X-Stamp: " : "", q->stamp ? q->stamp : "", q->stamp ? "\r\n" : "");
        at += n > 0 ? (size_t)n : cap;
    }
    if (q->stamp && !is_word(q->stamp)) {
        return 0;
    }
    for (size_t i = 0; q->body.len > 0 && i < q->n_approvals && at < cap; i++) {
        if (!is_word(q->approval[i])) {
            return 0;
        }
        n = snprintf(out + at, cap - at, "X-Approval: %s\r\n", q->approval[i]);
        at += n > 0 ? (size_t)n : cap;
    }
    if (at + 2 > cap) {
        return 0;
    }
    memcpy(out + at, "\r\n", 2);
    return at + 2;
}

qr_err
qr_http_do(const struct qr_http_url *u, const struct qr_http_request *q,
           struct qr_http_response *ret, char *err_text, size_t err_cap)
{
    struct qr_stream s = {.fd = -1};
    struct qr_http_response r = {0};
    char head[OUR_HEAD_MAX], why[256] = "";

    qr_dbuf_init(&r.body, QR_HTTP_HEAD_MAX + QR_HTTP_BODY_MAX + 16384);
    size_t n = put_head(u, q, head, sizeof head);
    if (n == 0) {
        snprintf(err_text, err_cap,
                 "the request's header is too long, or a value in it has a blank");
        return QR_ERR_TOO_LARGE;
    }
    qr_err e =
        qr_stream_open(&s, u, q->ca_file, qr_mono_ns() + q->timeout_ms * MS, why, sizeof why);
    if (e == QR_OK) {
        e = qr_stream_write(&s, qr_view_of(head, n));
        if (e == QR_OK) {
            e = qr_stream_write(&s, q->body);
        }
        /* A server may answer and close before it has read everything. */
        if (e == QR_OK || e == QR_ERR_LINK_CLOSED) {
            e = read_response(&s, &r);
        }
    }
    qr_stream_close(&s);
    if (e != QR_OK) {
        qr_dbuf_free(&r.body);
        snprintf(err_text, err_cap, "%s://%s:%s%s: %s", u->tls ? "https" : "http", u->host, u->port,
                 q->path, why[0] ? why : qr_err_text(e));
        return e;
    }
    *ret = r;
    return QR_OK;
}
