/*
 * PROVES: what the writer puts, the reader gets: any values in any order of kinds come back equal, the
 *         input is used up exactly (qr_buf_end), and one byte more is TRAILING, one less TRUNCATED.
 *         With it the big-endian loads and stores of view.h, for all values.
 * BOUND:  2 fields of any kind (u8, u16, u32, u64, length-prefixed of 0..4 bytes), all values.
 * CBMC:   --unwind 5 --unsigned-overflow-check
 * BITE:   protocol/base/view.h s/p\[1\] = (uint8_t)(v >> 16)/p[1] = (uint8_t)(v >> 15)/
 * BITE:   protocol/base/buf.c s/b->pos == b->len ? QR_OK/b->pos <= b->len ? QR_OK/
 */
#include "protocol/base/buf.c"

#include "test/proof/cbmc/proof.h"

#define FIELDS 2

void
proof(void)
{
    uint8_t mem[FIELDS * 8 + 1], src[4];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    uint64_t v[FIELDS];
    unsigned kind[FIELDS];

    for (int i = 0; i < FIELDS; i++) {
        v[i] = nondet_u64();
        kind[i] = nondet_unsigned() % 5;
        switch (kind[i]) {
        case 0:
            qr_buf_put8(&b, (uint8_t)(v[i] &= 0xff));
            break;
        case 1:
            qr_buf_put16(&b, (uint16_t)(v[i] &= 0xffff));
            break;
        case 2:
            qr_buf_put32(&b, (uint32_t)(v[i] &= 0xffffffffu));
            break;
        case 3:
            qr_buf_put64(&b, v[i]);
            break;
        default:
            v[i] %= sizeof src + 1;
            qr_buf_put_lp(&b, qr_view_of(src, v[i]));
            break;
        }
    }
    PROVE(b.err == QR_OK, "it fits");
    size_t len = b.len;
    ptrdiff_t off = (ptrdiff_t)(nondet_unsigned() % 3) - 1;
    struct qr_buf r = qr_buf_read(qr_view_of(mem, (size_t)((ptrdiff_t)len + off)));
    for (int i = 0; i < FIELDS; i++) {
        uint64_t x = 0;
        switch (kind[i]) {
        case 0:
            x = qr_buf_get8(&r);
            break;
        case 1:
            x = qr_buf_get16(&r);
            break;
        case 2:
            x = qr_buf_get32(&r);
            break;
        case 3:
            x = qr_buf_get64(&r);
            break;
        default:;
            qr_view w = qr_buf_get_lp(&r, sizeof src);
            x = w.len;
            if (r.err == QR_OK && w.len > 0) {
                size_t k = any_size(w.len - 1);
                PROVE(w.p[k] == src[k], "bytes come back");
            }
            break;
        }
        PROVE(r.err != QR_OK || x == v[i], "values come back");
    }
    qr_err e = qr_buf_end(&r);
    PROVE(e == (off < 0   ? QR_ERR_TRUNCATED
                : off > 0 ? QR_ERR_TRAILING
                          : QR_OK),
          "the end is where the writer stopped");
}
