/*
 * PROVES: hex. decode(encode(x)) = x; the encoder writes 2n + 1 bytes and no more, lower-case digits and
 *         a NUL; every text that is accepted is what the encoder makes of its value, so no value has
 *         two texts; any other text and any other length is refused.
 * BOUND:  values of exactly 0..4 bytes, texts of exactly 0..6 characters, all contents.
 * CBMC:   --unwind 10
 * BITE:   protocol/base/enc.c s/return c >= .a. \&\& c <= .f. ? c - .a. + 10/return (c | 32) >= 'a' \&\& (c | 32) <= 'f' ? (c | 32) - 'a' + 10/
 * BITE:   protocol/base/enc.c s/text_len \/ 2 != out_len/text_len \/ 2 > out_len + 1/
 */
#include "protocol/base/enc.c"

#include "test/proof/cbmc/proof.h"

static void
there_and_back(void)
{
    size_t n = any_size(4);
    uint8_t *v = any_bytes(n), *back = any_bytes(n);
    char *text = (char *)any_bytes(2 * n + 1);
    qr_hex_encode(qr_view_of(v, n), text);
    PROVE(strlen(text) == 2 * n, "the text ends where it should");
    PROVE(qr_hex_decode(text, 2 * n, back, n) == QR_OK, "what we write we read");
    PROVE(memcmp(v, back, n) == 0, "decode(encode(x)) = x");
}

static void
back_and_there(void)
{
    size_t len = any_size(6), n = any_size(4);
    const char *text = (const char *)any_bytes(len);
    uint8_t *out = any_bytes(n);
    char *again = (char *)any_bytes(2 * n + 1);
    if (qr_hex_decode(text, len, out, n) == QR_OK) {
        PROVE(len == 2 * n, "exactly two digits a byte");
        qr_hex_encode(qr_view_of(out, n), again);
        PROVE(memcmp(text, again, len) == 0, "encode(decode(t)) = t");
    }
}

void
proof(void)
{
    there_and_back();
    back_and_there();
}
