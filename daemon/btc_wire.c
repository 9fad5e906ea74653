#include "daemon/btc_wire.h"

#include "protocol/base/hash.h"

qr_err
qr_btc_take(struct qr_btc_cur *c, uint64_t n, qr_view *ret)
{
    if (n > c->len - c->at) {
        return QR_ERR_TRUNCATED;
    }
    *ret = qr_view_of(c->p + c->at, (size_t)n);
    c->at += (size_t)n;
    return QR_OK;
}

qr_err
qr_btc_take_size(struct qr_btc_cur *c, uint64_t *ret)
{
    qr_view v;

    QR_TRY(qr_btc_take(c, 1, &v));
    uint8_t head = v.p[0];
    if (head < 0xfd) {
        *ret = head;
        return QR_OK;
    }
    size_t n = (size_t)2 << (head - 0xfd); /* 2, 4, 8 */
    QR_TRY(qr_btc_take(c, n, &v));
    uint64_t size = qr_btc_get_le(v.p, n);
    if (size < 0xfd || (n > 2 && size >> (4 * n) == 0)) {
        return QR_ERR_MALFORMED;
    }
    *ret = size;
    return QR_OK;
}

qr_err
qr_btc_take_bytes(struct qr_btc_cur *c, qr_view *ret)
{
    uint64_t n = 0;
    QR_TRY(qr_btc_take_size(c, &n));
    return qr_btc_take(c, n, ret);
}

size_t
qr_btc_put_size(uint8_t p[static QR_BTC_SIZE_MAX], uint64_t n)
{
    if (n < 0xfd) {
        p[0] = (uint8_t)n;
        return 1;
    }
    unsigned k = n <= UINT16_MAX ? 0 : n <= UINT32_MAX ? 1 : 2;
    size_t width = (size_t)2 << k;
    p[0] = (uint8_t)(0xfd + k);
    qr_btc_put_le(p + 1, n, width);
    return 1 + width;
}

uint64_t
qr_btc_get_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n > 0) {
        v = (v << 8) | p[--n];
    }
    return v;
}

void
qr_btc_put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

void
qr_btc_hash256(qr_view v, uint8_t ret[static 32])
{
    qr_sha256(v, ret);
    qr_sha256(qr_view_of(ret, 32), ret);
}
