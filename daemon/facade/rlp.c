#include "daemon/facade/rlp.h"

#include "protocol/base/buf.h"

static qr_err
put_head(struct qr_dbuf *d, uint8_t base, size_t len)
{
    uint8_t head[9];
    size_t n = 0;

    if (len < 56) {
        head[n++] = (uint8_t)(base + len);
    } else {
        size_t bytes = 0;
        for (size_t v = len; v; v >>= 8) {
            bytes++;
        }
        head[n++] = (uint8_t)(base + 55 + bytes);
        for (size_t i = bytes; i-- > 0;) {
            head[n++] = (uint8_t)(len >> (8 * i));
        }
    }
    return qr_dbuf_append(d, head, n);
}

qr_err
qr_rlp_bytes(struct qr_dbuf *d, qr_view v)
{
    if (v.len != 1 || v.p[0] >= 0x80) {
        QR_TRY(put_head(d, 0x80, v.len));
    }
    return v.len ? qr_dbuf_append(d, v.p, v.len) : QR_OK;
}

qr_err
qr_rlp_number(struct qr_dbuf *d, qr_view v)
{
    size_t skip = 0;
    while (skip < v.len && v.p[skip] == 0) {
        skip++;
    }
    return qr_rlp_bytes(d, qr_view_of(v.p + skip, v.len - skip));
}

qr_err
qr_rlp_u64(struct qr_dbuf *d, uint64_t v)
{
    uint8_t b[8];
    qr_put64(b, v);
    return qr_rlp_number(d, qr_view_of(b, sizeof b));
}

qr_err
qr_rlp_list(struct qr_dbuf *d, qr_view elements)
{
    QR_TRY(put_head(d, 0xc0, elements.len));
    return elements.len ? qr_dbuf_append(d, elements.p, elements.len) : QR_OK;
}
