#include "protocol/base/buf.h"

#include "protocol/base/check.h"

struct qr_buf
qr_buf_over(void *mem, size_t cap)
{
    return (struct qr_buf){.p = mem, .cap = cap};
}

struct qr_buf
qr_buf_read(qr_view v)
{
    /* cap == len: a put on a read buffer fails before it writes. */
    return (struct qr_buf){.p = (uint8_t *)(uintptr_t)v.p, .cap = v.len, .len = v.len};
}

static int
room(struct qr_buf *b, size_t n)
{
    QR_VERIFY(b->pos <= b->len && b->len <= b->cap);
    if (b->err == QR_OK && n > b->cap - b->len) {
        b->err = QR_ERR_NO_SPACE;
    }
    return b->err == QR_OK;
}

void
qr_buf_put(struct qr_buf *b, const void *p, size_t n)
{
    if (room(b, n) && n > 0) {
        memcpy(b->p + b->len, p, n);
        b->len += n;
    }
}

void
qr_buf_put8(struct qr_buf *b, uint8_t v)
{
    qr_buf_put(b, &v, 1);
}

void
qr_buf_put16(struct qr_buf *b, uint16_t v)
{
    uint8_t t[2];
    qr_put16(t, v);
    qr_buf_put(b, t, sizeof t);
}

void
qr_buf_put32(struct qr_buf *b, uint32_t v)
{
    uint8_t t[4];
    qr_put32(t, v);
    qr_buf_put(b, t, sizeof t);
}

void
qr_buf_put64(struct qr_buf *b, uint64_t v)
{
    uint8_t t[8];
    qr_put64(t, v);
    qr_buf_put(b, t, sizeof t);
}

void
qr_buf_put_lp(struct qr_buf *b, qr_view v)
{
    if (v.len > UINT32_MAX) {
        b->err = b->err ? b->err : QR_ERR_TOO_LARGE;
        return;
    }
    qr_buf_put32(b, (uint32_t)v.len);
    qr_buf_put(b, v.p, v.len);
}

qr_view
qr_buf_take(struct qr_buf *b, size_t n)
{
    QR_VERIFY(b->pos <= b->len && b->len <= b->cap);
    if (b->err == QR_OK && n > b->len - b->pos) {
        b->err = QR_ERR_TRUNCATED;
    }
    if (b->err != QR_OK) {
        return (qr_view){NULL, 0};
    }
    qr_view v = {b->p + b->pos, n};
    b->pos += n;
    return v;
}

void
qr_buf_get(struct qr_buf *b, void *out, size_t n)
{
    qr_view v = qr_buf_take(b, n);
    if (v.len == n && n > 0) {
        memcpy(out, v.p, n);
    } else if (n > 0) {
        memset(out, 0, n);
    }
}

uint8_t
qr_buf_get8(struct qr_buf *b)
{
    uint8_t t[1];
    qr_buf_get(b, t, sizeof t);
    return t[0];
}

uint16_t
qr_buf_get16(struct qr_buf *b)
{
    uint8_t t[2];
    qr_buf_get(b, t, sizeof t);
    return qr_get16(t);
}

uint32_t
qr_buf_get32(struct qr_buf *b)
{
    uint8_t t[4];
    qr_buf_get(b, t, sizeof t);
    return qr_get32(t);
}

uint64_t
qr_buf_get64(struct qr_buf *b)
{
    uint8_t t[8];
    qr_buf_get(b, t, sizeof t);
    return qr_get64(t);
}

qr_view
qr_buf_get_lp(struct qr_buf *b, size_t max)
{
    uint32_t n = qr_buf_get32(b);
    if (b->err == QR_OK && n > max) {
        b->err = QR_ERR_TOO_LARGE;
    }
    return qr_buf_take(b, n);
}

qr_err
qr_buf_end(const struct qr_buf *b)
{
    if (b->err != QR_OK) {
        return b->err;
    }
    return b->pos == b->len ? QR_OK : QR_ERR_TRAILING;
}

qr_view
qr_buf_view(const struct qr_buf *b)
{
    return (qr_view){b->p, b->len};
}
