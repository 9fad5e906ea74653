/*
 * PROVES: the items of a DATA frame. Walking any body, each item lies inside it, directly behind its
 *         head and directly in front of the next; none is empty; the walk ends; a body that is accepted
 *         to its end consists of its items and their heads alone, which are the ones we write.
 * BOUND:  bodies of exactly 0..16 bytes, all contents (so up to 3 items).
 * CBMC:   --unwind 5 --unsigned-overflow-check
 * BITE:   transport/frame.c s/if (v.len == 0)/if (0)/
 * BITE:   transport/frame.c s/word \& ~QR_ITEM_ZSTD)/word \& 0xffffu)/
 */
#include "protocol/base/buf.c"
#include "transport/frame.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    size_t len = any_size(16), items = 0, bytes = 0;
    uint8_t *body = any_bytes(len);
    struct qr_buf b = qr_buf_read(qr_view_of(body, len));

    while (b.pos < b.len) {
        size_t at = b.pos;
        int zstd = 7;
        qr_view v = {NULL, 0};
        qr_err e = qr_frame_item(&b, &zstd, &v);
        if (e != QR_OK) {
            PROVE(v.p == NULL && zstd == 7, "nothing is returned with an error");
            return;
        }
        PROVE(v.len >= 1 && v.p == body + at + QR_ITEM_HEAD_LEN, "behind its head");
        PROVE(v.len <= len - at - QR_ITEM_HEAD_LEN, "inside the body");
        uint8_t head[4];
        qr_put32(head, (uint32_t)v.len | (zstd ? QR_ITEM_ZSTD : 0));
        PROVE(memcmp(head, body + at, 4) == 0, "every accepted head is the one we write");
        items++;
        bytes += v.len;
    }
    PROVE(items * QR_ITEM_HEAD_LEN + bytes == len, "items and heads, and nothing else");
}
