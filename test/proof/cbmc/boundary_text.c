/*
 * PROVES: texts cut for an answer. At most cap - 1 bytes and a NUL, never past `cap`; a prefix of the
 *         text; a text in UTF-8 is cut between characters, never inside one.
 * BOUND:  texts of exactly 0..7 bytes, any contents; cap 1..6.
 * CBMC:   --unwind 9
 * BITE:   proto/boundary.c s/v.len < cap ? v.len : cap - 1/v.len <= cap ? v.len : cap - 1/
 * BITE:   proto/boundary.c s/\& 0xc0) == 0x80) {/\& 0xe0) == 0x80) {/
 */
#include "proto/boundary.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    size_t len = any_size(7), cap = any_size(5) + 1;
    uint8_t *in = any_bytes(len);
    char *out = (char *)any_bytes(cap);

    PROVE(text_of_view(out, cap, qr_view_of(in, len)) == out, "returns out");
    size_t n = 0;
    while (n < cap && out[n] != '\0' && n < len) {
        PROVE((uint8_t)out[n] == in[n], "a prefix");
        n++;
    }
    PROVE(n < cap && out[n] == '\0', "terminated inside");
    /* Without NUL bytes in the text, n is how much of it was kept. */
    PROVE(n == len || n == 0 || in[n] == 0 || (in[n] & 0xc0) != 0x80, "not inside a character");
    PROVE(len >= cap || n == len || in[n] == 0, "what fits is not cut");
}
