#include "daemon/store_wire.h"

_Static_assert(QR_SW_NAME_MAX == QR_DB_NAME_MAX, "names of records are names");

qr_err
qr_sw_put8(struct qr_dbuf *d, uint8_t v)
{
    return qr_dbuf_append(d, &v, 1);
}

qr_err
qr_sw_put16(struct qr_dbuf *d, uint16_t v)
{
    uint8_t b[2];
    qr_put16(b, v);
    return qr_dbuf_append(d, b, sizeof b);
}

static qr_err
put32(struct qr_dbuf *d, uint32_t v)
{
    uint8_t b[4];
    qr_put32(b, v);
    return qr_dbuf_append(d, b, sizeof b);
}

qr_err
qr_sw_put64(struct qr_dbuf *d, uint64_t v)
{
    uint8_t b[8];
    qr_put64(b, v);
    return qr_dbuf_append(d, b, sizeof b);
}

qr_err
qr_sw_put_name(struct qr_dbuf *d, const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > QR_SW_NAME_MAX) {
        return QR_ERR_USAGE;
    }
    QR_TRY(qr_sw_put8(d, (uint8_t)n));
    return qr_dbuf_append(d, name, n);
}

qr_err
qr_sw_put_bytes(struct qr_dbuf *d, qr_view v)
{
    if (v.len > QR_DB_SEALED_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(put32(d, (uint32_t)v.len));
    return qr_dbuf_append(d, v.p, v.len);
}

qr_err
qr_sw_begin(struct qr_dbuf *d, uint8_t code)
{
    d->len = 0;
    QR_TRY(put32(d, 0));
    return qr_sw_put8(d, code);
}

void
qr_sw_end(struct qr_dbuf *d)
{
    qr_put32(d->p, (uint32_t)(d->len - 4));
}

void
qr_sw_get_name(struct qr_buf *b, char out[static QR_SW_NAME_MAX + 1])
{
    size_t n = qr_buf_get8(b);
    qr_view v = qr_buf_take(b, n);

    out[0] = 0;
    if (b->err != QR_OK) {
        return;
    }
    if (n == 0 || n > QR_SW_NAME_MAX) {
        b->err = QR_ERR_MALFORMED;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (v.p[i] <= 0x20 || v.p[i] > 0x7e) {
            b->err = QR_ERR_MALFORMED;
            return;
        }
    }
    memcpy(out, v.p, n);
    out[n] = 0;
}

static const struct {
    enum qr_sw_status s;
    qr_err e;
} map[] = {
    {QR_SW_OK, QR_OK},
    {QR_SW_NOT_FOUND, QR_ERR_NOT_FOUND},
    {QR_SW_FULL, QR_ERR_STORE_FULL},
    {QR_SW_READONLY, QR_ERR_STORE_READONLY},
    {QR_SW_CORRUPT, QR_ERR_STORE_CORRUPT},
    {QR_SW_NO_MEMORY, QR_ERR_NO_MEMORY},
    {QR_SW_FAILED, QR_ERR_STORE},
    {QR_SW_CONFLICT, QR_ERR_STORE_CORRUPT},
    {QR_SW_BAD, QR_ERR_STORE},
};

enum qr_sw_status
qr_sw_status_of(qr_err e)
{
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (map[i].e == e) {
            return map[i].s;
        }
    }
    return QR_SW_FAILED;
}

qr_err
qr_sw_err_of(enum qr_sw_status s)
{
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (map[i].s == s) {
            return map[i].e;
        }
    }
    return QR_ERR_STORE;
}
