/*
 * PROVES: qr_buf as a reader never passes its end and never writes through its view. From any state that
 *         keeps the invariant, any get keeps it (so any number of gets does). A view it gives lies inside
 *         the input; what is not there comes back as zeros or an empty view and sets the sticky error;
 *         a put on a read buffer is refused.
 * BOUND:  input of exactly 0..12 bytes, any contents; lengths asked for: any size_t (16 for copies);
 *         length prefixes: any u32.
 * CBMC:   --unwind 3 --unsigned-overflow-check
 * BITE:   protocol/base/buf.c s/n > b->len - b->pos)/b->pos + n > b->len + 1)/
 * BITE:   protocol/base/buf.c s/b->err == QR_OK \&\& n > max/b->err == QR_OK \&\& n > max + 1/
 * BITE:   protocol/base/buf.c s/.cap = v.len, .len/.cap = v.len + 1, .len/
 */
#include "protocol/base/buf.c"

#include "test/proof/cbmc/proof.h"

#define IN_MAX 12
#define OUT_MAX 16

void
proof(void)
{
    size_t len = any_size(IN_MAX), n = nondet_size(), max = any_size(SIZE_MAX - 1);
    uint8_t *in = any_bytes(len);
    uint8_t out[OUT_MAX];
    struct qr_buf b = qr_buf_read(qr_view_of(in, len));
    uint64_t x = 0;
    qr_view v = {NULL, 0};
    unsigned kind = nondet_unsigned() % 8;
    size_t watch = any_size(OUT_MAX - 1);
    uint8_t seen = watch < len ? in[watch] : 0;

    PROVE(b.pos == 0 && b.len == len && b.err == QR_OK, "a new reader stands at the start");
    b.pos = any_size(len);
    b.err = (qr_err)nondet_int();
    const struct qr_buf old = b;

    switch (kind) {
    case 0:
        n = 1;
        x = qr_buf_get8(&b);
        break;
    case 1:
        n = 2;
        x = qr_buf_get16(&b);
        break;
    case 2:
        n = 4;
        x = qr_buf_get32(&b);
        break;
    case 3:
        n = 8;
        x = qr_buf_get64(&b);
        break;
    case 4:
        v = qr_buf_take(&b, n);
        break;
    case 5:
        ASSUME(n <= OUT_MAX);
        qr_buf_get(&b, out, n);
        PROVE(b.err == QR_OK || watch >= n || out[watch] == 0, "zeros for what is not there");
        PROVE(b.err != QR_OK || watch >= n || out[watch] == in[old.pos + watch], "a copy");
        break;
    case 6:
        v = qr_buf_get_lp(&b, max);
        PROVE(v.len <= max, "a length above the maximum is refused");
        n = 4 + v.len;
        break;
    default:
        n = 0;
        qr_buf_put8(&b, nondet_u8());
        PROVE(b.err != QR_OK && b.len == len, "a put on a read buffer is refused");
        break;
    }
    PROVE(b.pos <= b.len && b.len == len && b.cap == len && b.p == in, "the invariant holds");
    PROVE(v.len == 0 || (v.p >= in && (size_t)(v.p - in) <= len - v.len), "a view lies inside");
    if (old.err != QR_OK) {
        PROVE(b.err == old.err && b.pos == old.pos && v.len == 0, "nothing happens after an error");
    } else if (b.err == QR_OK) {
        PROVE(n <= len - old.pos && b.pos == old.pos + n, "what was read is behind us");
    }
    PROVE(b.err == QR_OK || x == 0, "zeros for what is not there");
    PROVE(watch >= len || in[watch] == seen, "the input is never written");
}
