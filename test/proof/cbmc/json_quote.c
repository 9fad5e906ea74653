/*
 * PROVES: hostile text in a message for people. Any text of any length gives at most QR_QUOTE_MAX - 1
 *         printable ASCII characters without quotes and backslashes, and a NUL inside the buffer.
 * BOUND:  texts of 0..2^20 bytes, of which at most 40 are looked at; all contents.
 * CBMC:   --unwind 46
 * BITE:   proto/json_strict.c s/v.len > 40 ? 40 : v.len/v.len > 41 ? 41 : v.len/
 * BITE:   proto/json_strict.c s/v.p\[i\] < 0x7f/v.p[i] < 0xff/
 */
#include "test/proof/cbmc/proof.h"

#include "proto/json_strict.c"

void
proof(void)
{
    size_t len = any_size((size_t)1 << 20), held = len < 41 ? len : 41;
    const uint8_t *p = any_bytes(held); /* no byte beyond the 41st may be touched */
    char *out = (char *)any_bytes(QR_QUOTE_MAX);

    PROVE(qr_quote(out, qr_view_of(p, len)) == out, "returns out");
    size_t n = strlen(out);
    PROVE(n < QR_QUOTE_MAX && n == (len > 40 ? 43 : len), "as long as it should be");
    size_t k = any_size(QR_QUOTE_MAX);
    ASSUME(k < n);
    PROVE(out[k] >= 0x20 && out[k] < 0x7f && out[k] != '"' && out[k] != '\\', "printable");
}
