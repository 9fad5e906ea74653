#include "enclave-shim/nitro/http.h"

#include <strings.h>

struct cursor {
    qr_view in;
    size_t pos;
    const char **why;
};

static qr_err
say(struct cursor *c, qr_err e, const char *why)
{
    *c->why = why;
    return e;
}

static int
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int
is_token(uint8_t c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The line at pos, without its CRLF; at most max bytes long with it. */
static qr_err
next_line(struct cursor *c, size_t max, const char *what, qr_view *ret)
{
    size_t left = c->in.len - c->pos, look = left < max ? left : max;
    const uint8_t *p = c->in.p + c->pos, *lf = look > 0 ? memchr(p, '\n', look) : NULL;

    if (!lf) {
        return left >= max ? say(c, QR_ERR_TOO_LARGE, what) : say(c, QR_ERR_TRUNCATED, what);
    }
    size_t n = (size_t)(lf - p);
    if (n == 0 || p[n - 1] != '\r' || memchr(p, '\r', n - 1) || memchr(p, 0, n)) {
        return say(c, QR_ERR_MALFORMED, "a line that does not end in CRLF, or holds CR or NUL");
    }
    *ret = qr_view_of(p, n - 1);
    c->pos += n + 1;
    return QR_OK;
}

static qr_err
read_status(struct cursor *c, qr_view line, int *ret)
{
    static const char version[] = "HTTP/1.1 ";
    size_t v = sizeof version - 1;

    if (line.len < v || memcmp(line.p, version, v) != 0) {
        return say(c, QR_ERR_VERSION, "an answer that is not HTTP/1.1");
    }
    if (line.len < v + 3 || !is_digit(line.p[v]) || !is_digit(line.p[v + 1]) ||
        !is_digit(line.p[v + 2]) || (line.len > v + 3 && line.p[v + 3] != ' ')) {
        return say(c, QR_ERR_MALFORMED, "a status line without a status");
    }
    *ret = (line.p[v] - '0') * 100 + (line.p[v + 1] - '0') * 10 + (line.p[v + 2] - '0');
    return *ret >= 200 && *ret <= 599 ? QR_OK
                                      : say(c, QR_ERR_MALFORMED, "a status outside 200 to 599");
}

static int
is_name(qr_view name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp((const char *)name.p, wanted, name.len) == 0;
}

/* Decimal, at most 7 digits. */
static int
read_length(qr_view v, size_t *ret)
{
    size_t n = 0;
    if (v.len == 0 || v.len > 7) {
        return 0;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!is_digit(v.p[i])) {
            return 0;
        }
        n = n * 10 + (size_t)(v.p[i] - '0');
    }
    *ret = n;
    return 1;
}

struct framing {
    int lengths, chunked;
    size_t length;
};

static qr_err
read_header(struct cursor *c, qr_view line, struct framing *f)
{
    size_t colon = 0;

    while (colon < line.len && is_token(line.p[colon])) {
        colon++;
    }
    if (colon == 0 || colon == line.len || line.p[colon] != ':') {
        return say(c, QR_ERR_MALFORMED, "a header line without a name, or a folded one");
    }
    qr_view name = qr_view_of(line.p, colon),
            value = qr_view_of(line.p + colon + 1, line.len - colon - 1);
    while (value.len > 0 && (value.p[0] == ' ' || value.p[0] == '\t')) {
        value = qr_view_of(value.p + 1, value.len - 1);
    }
    while (value.len > 0 && (value.p[value.len - 1] == ' ' || value.p[value.len - 1] == '\t')) {
        value.len--;
    }
    if (is_name(name, "content-length")) {
        if (f->lengths++ > 0 || !read_length(value, &f->length)) {
            return say(c, QR_ERR_MALFORMED, "a Content-Length that is no number, or a second one");
        }
    } else if (is_name(name, "transfer-encoding")) {
        if (f->chunked++ > 0 || !is_name(value, "chunked")) {
            return say(c, QR_ERR_MALFORMED, "a Transfer-Encoding other than chunked");
        }
    } else if (is_name(name, "content-encoding")) {
        return say(c, QR_ERR_MALFORMED, "a Content-Encoding, which nobody asked for");
    }
    return QR_OK;
}

/*
 * Walks the chunks; with `to`, moves them together. The walk alone comes first: it finds whatever is
 * wrong before a byte is changed.
 */
static qr_err
walk_chunks(struct cursor *c, size_t body_max, uint8_t *to, size_t *ret_len)
{
    size_t total = 0;

    for (;;) {
        qr_view line;
        size_t size = 0;
        QR_TRY(next_line(c, 8, "a chunk's size", &line));
        if (line.len == 0) {
            return say(c, QR_ERR_MALFORMED, "a chunk without a size");
        }
        for (size_t i = 0; i < line.len; i++) {
            uint8_t x = line.p[i];
            int digit = is_digit(x)            ? x - '0'
                        : x >= 'a' && x <= 'f' ? x - 'a' + 10
                        : x >= 'A' && x <= 'F' ? x - 'A' + 10
                                               : -1;
            if (digit < 0) {
                return say(c, QR_ERR_MALFORMED, "a chunk's size that is no number");
            }
            size = size * 16 + (size_t)digit;
        }
        if (size > body_max - total) {
            return say(c, QR_ERR_TOO_LARGE, "the body");
        }
        if (size > 0 && c->in.len - c->pos < size) {
            return say(c, QR_ERR_TRUNCATED, "a chunk");
        }
        if (to && size > 0) {
            memmove(to + total, c->in.p + c->pos, size);
        }
        total += size;
        c->pos += size;
        QR_TRY(next_line(c, 2, "a chunk's end", &line)); /* of the last one: no trailers */
        if (size == 0) {
            *ret_len = total;
            return QR_OK;
        }
    }
}

static qr_err
read_chunked(struct cursor *c, uint8_t *p, size_t body_max, qr_view *ret)
{
    size_t start = c->pos, n = 0;

    QR_TRY(walk_chunks(c, body_max, NULL, &n));
    if (c->pos != c->in.len) {
        return say(c, QR_ERR_TRAILING, "bytes behind the answer");
    }
    c->pos = start;
    QR_TRY(walk_chunks(c, body_max, p + start, &n));
    *ret = qr_view_of(p + start, n);
    return QR_OK;
}

qr_err
qr_http_parse(uint8_t *p, size_t len, size_t head_max, size_t body_max, struct qr_http_answer *ret,
              const char **ret_why)
{
    struct cursor c = {.in = qr_view_of(p, len), .why = ret_why};
    struct qr_http_answer a = {0};
    struct framing f = {0};
    qr_view line;

    QR_TRY(next_line(&c, head_max, "the head", &line));
    QR_TRY(read_status(&c, line, &a.status));
    for (unsigned lines = 0;; lines++) {
        QR_TRY(next_line(&c, head_max > c.pos ? head_max - c.pos : 0, "the head", &line));
        if (line.len == 0) {
            break;
        }
        if (lines == QR_HTTP_LINES) {
            return say(&c, QR_ERR_TOO_LARGE, "the number of header lines");
        }
        QR_TRY(read_header(&c, line, &f));
    }
    if (f.lengths + f.chunked != 1) {
        return say(&c, QR_ERR_MALFORMED, "neither or both of Content-Length and Transfer-Encoding");
    }
    if (f.chunked) {
        QR_TRY(read_chunked(&c, p, body_max, &a.body));
    } else {
        if (f.length > body_max) {
            return say(&c, QR_ERR_TOO_LARGE, "the body");
        }
        if (len - c.pos < f.length) {
            return say(&c, QR_ERR_TRUNCATED, "the body");
        }
        if (len - c.pos > f.length) {
            return say(&c, QR_ERR_TRAILING, "bytes behind the answer");
        }
        a.body = qr_view_of(p + c.pos, f.length);
    }
    *ret = a;
    return QR_OK;
}
