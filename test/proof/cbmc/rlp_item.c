/*
 * PROVES: items of RLP. For any bytes: an accepted item lies inside them, its content directly behind its
 *         head, and the cursor directly behind it; the head is the shortest there is for this content
 *         (single bytes as themselves, short form up to 55, minimal lengths), so no item has two
 *         encodings. Integers go right-aligned into their field, without leading zeros, never past it.
 * BOUND:  inputs of exactly 0..70 bytes, all contents (both forms, up to 4 length bytes).
 * CBMC:   --unwind 6 --unsigned-overflow-check
 * BITE:   daemon/preimage_eth.c s/if (len > in->len - skip)/if (len > in->len)/
 * BITE:   daemon/preimage_eth.c s/if (len <= 55)/if (len < 55)/
 * BITE:   daemon/preimage_eth.c s/in->p\[1\] == 0 || width > 4/width > 4/
 */
#include "test/proof/cbmc/proof.h"

#include "daemon/preimage_eth.c"

void
proof(void)
{
    size_t len = any_size(70);
    const uint8_t *p = any_bytes(len);
    struct rlp in = {p, len};
    const struct reader r = {NULL, 0};
    int list = nondet_int() ? 1 : 0;
    qr_view v = {NULL, 0};

    if (rlp_next(&r, &in, list, &v, "x") == QR_OK) {
        size_t head = (size_t)(v.p - p);
        PROVE(v.p >= p && head <= 5 && v.len <= len - head, "inside");
        PROVE(in.p == v.p + v.len && in.len == len - head - v.len, "the cursor is behind it");
        if (!list && v.len == 1 && v.p[0] < 0x80) {
            PROVE(head == 0, "a small byte stands for itself");
        } else if (v.len <= 55) {
            PROVE(head == 1 && p[0] == (list ? 0xc0 : 0x80) + v.len, "the short form");
        } else {
            PROVE(head == 2 && p[0] == (list ? 0xf8 : 0xb8) && p[1] == v.len,
                  "the shortest long form");
        }
    }
    struct rlp again = {p, len};
    uint8_t *field = any_bytes(4);
    if (rlp_integer(&r, &again, 4, field, "x") == QR_OK) {
        PROVE(!list ? v.len <= 4 && (v.len == 0 || v.p[0] != 0) : 1, "no leading zeros");
        if (!list) {
            size_t k = any_size(3);
            PROVE(field[3 - k] == (k < v.len ? v.p[v.len - 1 - k] : 0), "right-aligned");
        }
    }
}
