/*
 * PROVES: qr_buf as a writer never passes its end. From any state that keeps the invariant, any put of
 *         any kind and length keeps it (so any number of puts does): what fits is there byte by byte,
 *         what does not fit changes nothing, the first error sticks and nothing happens after it.
 * BOUND:  memory of exactly 0..12 bytes, sources of 0..16 bytes; every length in between and contents.
 * CBMC:   --unwind 3 --unsigned-overflow-check
 * BITE:   protocol/base/buf.c s/n > b->cap - b->len)/n > b->cap - b->len + 1)/
 * BITE:   protocol/base/buf.c s/if (room(b, n) \&\& n > 0)/room(b, n); if (n > 0)/
 */
#include "protocol/base/buf.c"

#include "test/proof/cbmc/proof.h"

#define CAP_MAX 12
#define SRC_MAX 16

void
proof(void)
{
    size_t cap = any_size(CAP_MAX), n = any_size(SRC_MAX);
    uint8_t *mem = any_bytes(cap), *src = any_bytes(n);
    struct qr_buf b = qr_buf_over(mem, cap);
    uint64_t v = nondet_u64();
    unsigned kind = nondet_unsigned() % 6;

    PROVE(b.len == 0 && b.pos == 0 && b.err == QR_OK, "a new buffer is empty");
    b.len = any_size(cap);
    b.pos = any_size(b.len);
    b.err = (qr_err)nondet_int();
    const struct qr_buf old = b;
    size_t watch = any_size(CAP_MAX);
    uint8_t seen = watch < cap ? mem[watch] : 0;

    switch (kind) {
    case 0:
        qr_buf_put8(&b, (uint8_t)v);
        n = 1;
        break;
    case 1:
        qr_buf_put16(&b, (uint16_t)v);
        n = 2;
        break;
    case 2:
        qr_buf_put32(&b, (uint32_t)v);
        n = 4;
        break;
    case 3:
        qr_buf_put64(&b, v);
        n = 8;
        break;
    default:
        qr_buf_put(&b, src, n);
        break;
    }
    PROVE(b.pos <= b.len && b.len <= b.cap, "the invariant holds");
    PROVE(b.pos == old.pos && b.cap == cap && b.p == mem, "only len and err change");
    PROVE(watch >= old.len || mem[watch] == seen, "what was written before stays");
    if (old.err != QR_OK) {
        PROVE(b.len == old.len && b.err == old.err, "nothing happens after an error");
    } else if (n <= cap - old.len) {
        PROVE(b.err == QR_OK && b.len == old.len + n, "what fits is written");
        PROVE(kind < 4 || watch >= n || mem[old.len + watch] == src[watch], "byte by byte");
    } else {
        PROVE(b.err == QR_ERR_NO_SPACE && b.len == old.len, "what does not fit is refused whole");
    }
}
