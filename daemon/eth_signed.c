#include "daemon/eth_signed.h"

#include "daemon/preimage_eth.h"

#include <stdio.h>

#define LEGACY_FIELDS 6
#define TAIL_MAX 77u /* v of up to 9 bytes, r, s, each with its length */

/* Length of the head of the item at p, and of its content. The bytes were read strictly before. */
static size_t
item_head(const uint8_t *p, size_t *ret_content)
{
    uint8_t base = p[0] >= 0xc0 ? 0xc0 : 0x80;
    size_t len = 0;

    if (p[0] < 0x80) {
        *ret_content = 1;
        return 0;
    }
    if (p[0] - base <= 55) {
        *ret_content = (size_t)(p[0] - base);
        return 1;
    }
    size_t width = (size_t)(p[0] - base) - 55;
    for (size_t i = 0; i < width; i++) {
        len = (len << 8) | p[1 + i];
    }
    *ret_content = len;
    return 1 + width;
}

/* An integer, big-endian, in its shortest form. */
static size_t
put_integer(uint8_t *out, const uint8_t *p, size_t n)
{
    while (n > 0 && p[0] == 0) {
        p++;
        n--;
    }
    if (n == 1 && p[0] < 0x80) {
        out[0] = p[0];
        return 1;
    }
    out[0] = (uint8_t)(0x80 + n);
    memcpy(out + 1, p, n);
    return 1 + n;
}

/* 27 or 28 where there is no chain id, else chain id * 2 + 35 or 36: up to 65 bits. */
static void
legacy_v(const struct qr_eth_tx *tx, uint8_t recid, uint8_t ret[static 9])
{
    uint64_t twice = tx->chain_id << 1, add = (tx->has_chain_id ? 35u : 27u) + recid;
    uint64_t sum = twice + add;

    ret[0] = (uint8_t)((tx->chain_id >> 63) + (sum < twice));
    qr_put64(ret + 1, sum);
}

static size_t
list_head(uint8_t out[static 9], size_t len)
{
    uint8_t be[8];
    size_t skip = 0;

    if (len <= 55) {
        out[0] = (uint8_t)(0xc0 + len);
        return 1;
    }
    qr_put64(be, len);
    while (be[skip] == 0) {
        skip++;
    }
    out[0] = (uint8_t)(0xf7 + 8 - skip);
    memcpy(out + 1, be + skip, 8 - skip);
    return 9 - skip;
}

qr_err
qr_eth_tx_signed(struct qr_dbuf *out, qr_view unsigned_tx, const uint8_t rs[static 64],
                 uint8_t recid, char *why, size_t why_cap)
{
    struct qr_eth_tx tx;
    uint8_t tail[TAIL_MAX], v[9] = {0}, head[9];
    size_t keep = 0, n;

    QR_TRY(qr_eth_tx_parse(unsigned_tx, &tx, why, why_cap));
    if (recid > 1) {
        if (why_cap > 0) {
            (void)snprintf(why, why_cap, "recovery id %u has no form in a transaction", recid);
        }
        return QR_ERR_PREIMAGE;
    }
    const uint8_t *list = unsigned_tx.p + (tx.type != 0);
    list += item_head(list, &keep);
    if (tx.type == 0) {
        size_t at = 0, content;
        for (int i = 0; i < LEGACY_FIELDS; i++) {
            at += item_head(list + at, &content);
            at += content;
        }
        keep = at;
        legacy_v(&tx, recid, v);
    } else {
        v[8] = recid;
    }
    n = put_integer(tail, v, sizeof v);
    n += put_integer(tail + n, rs, 32);
    n += put_integer(tail + n, rs + 32, 32);

    size_t head_len = list_head(head, keep + n);
    QR_TRY(qr_dbuf_reserve(out, 1 + head_len + keep + n));
    if (tx.type != 0) {
        out->p[out->len++] = tx.type;
    }
    memcpy(out->p + out->len, head, head_len);
    memcpy(out->p + out->len + head_len, list, keep);
    memcpy(out->p + out->len + head_len + keep, tail, n);
    out->len += head_len + keep + n;
    return QR_OK;
}
