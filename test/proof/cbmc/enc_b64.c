/*
 * PROVES: base64 with padding. decode(encode(x)) = x; the encoder writes qr_b64_len(n) + 1 bytes and no
 *         more; every accepted text is what the encoder makes of its value (no value has two texts,
 *         trailing bits included); a result never passes `cap`.
 * BOUND:  values of exactly 0..4 bytes, texts of exactly 0..8 characters, all contents; cap 0..6.
 * CBMC:   --unwind 10
 * SLOW:   nightly
 * BITE:   protocol/base/enc.c /^qr_b64_decode/,$s/text_len % 4 != 0/text_len % 4 == 1/
 * BITE:   protocol/base/enc.c s/if (n > cap)/if (n > cap + 1)/
 */
#include "protocol/base/enc.c"

#include "test/proof/cbmc/proof.h"

static void
there_and_back(void)
{
    size_t n = any_size(4), got = 99;
    uint8_t *v = any_bytes(n), *back = any_bytes(n);
    char *text = (char *)any_bytes(qr_b64_len(n) + 1);
    qr_b64_encode(qr_view_of(v, n), text);
    PROVE(strlen(text) == qr_b64_len(n), "the text ends where it should");
    PROVE(qr_b64_decode(text, qr_b64_len(n), back, n, &got) == QR_OK, "what we write we read");
    PROVE(got == n && memcmp(v, back, n) == 0, "decode(encode(x)) = x");
}

static void
back_and_there(void)
{
    size_t len = any_size(8), cap = any_size(6), got = 99;
    const char *text = (const char *)any_bytes(len);
    uint8_t *out = any_bytes(cap);
    char again[10];
    if (qr_b64_decode(text, len, out, cap, &got) == QR_OK) {
        PROVE(got <= cap && qr_b64_len(got) == len, "as long as it says");
        qr_b64_encode(qr_view_of(out, got), again);
        PROVE(memcmp(text, again, len) == 0, "encode(decode(t)) = t");
    } else {
        PROVE(got == 99, "nothing is returned with an error");
    }
}

void
proof(void)
{
    there_and_back();
    back_and_there();
}
