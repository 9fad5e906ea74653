/*
 * PROVES: the envelope's integers. get(put(v)) = v for all 2^64 values, in at most 10 bytes; every
 *         accepted encoding is the one put writes, so no value has two encodings (overlong and
 *         past-64-bit forms are refused); nothing is read past the input.
 * BOUND:  none on values; inputs of exactly 0..11 bytes, all contents.
 * CBMC:   --unwind 12 --unsigned-overflow-check
 * BITE:   proto/wire.c s/if (c == 0 \&\& shift > 0)/if (0)/
 * BITE:   proto/wire.c s/shift == 63 \&\& c > 1/shift == 63 \&\& c > 3/
 * BITE:   proto/wire.c s/v >= 0x80; v >>= 7/v > 0x80; v >>= 7/
 */
#include "proto/wire.c"
#include "protocol/base/buf.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    uint8_t out[10];
    uint64_t v = nondet_u64(), got = 1;
    size_t n = put_varint(out, v);
    PROVE(n >= 1 && n <= sizeof out, "at most 10 bytes");
    struct qr_buf b = qr_buf_read(qr_view_of(out, n));
    PROVE(get_varint(&b, &got) == QR_OK && got == v && b.pos == n, "what we write we read");

    size_t len = any_size(11);
    uint8_t *in = any_bytes(len);
    b = qr_buf_read(qr_view_of(in, len));
    if (get_varint(&b, &got) == QR_OK) {
        n = put_varint(out, got);
        PROVE(n == b.pos && memcmp(in, out, n) == 0, "every accepted encoding is the one we write");
    }
}
