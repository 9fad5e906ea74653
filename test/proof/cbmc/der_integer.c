/*
 * PROVES: numbers as DER. Any 32 bytes become one minimal, non-negative INTEGER of 3 to 35 bytes with
 *         that value, and no more than 35 bytes are written: two of them and the head of a SEQUENCE fit
 *         into the 72 bytes of a signature.
 * BOUND:  none: all numbers.
 * CBMC:   --unwind 33
 * BITE:   daemon/client/ecsig.c s/size_t pad = v\[skip\] >> 7/size_t pad = 0/
 * BITE:   daemon/client/ecsig.c s/while (skip < 31 \&\&/while (skip < 30 \&\&/
 * BITE:   daemon/client/ecsig.c s/while (skip < 31 \&\&/while (skip < 32 \&\&/
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One byte after the other: what the checker has for a length that is not fixed is far slower. */
static void *
copy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}
#define memcpy copy
#include "daemon/client/ecsig.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    uint8_t v[32], out[35];
    size_t n = der_integer(v, out), k = any_size(31);

    PROVE(n >= 3 && n <= 35 && out[0] == 0x02 && out[1] == n - 2, "tag and length");
    PROVE(!(out[2] & 0x80), "not negative");
    PROVE(n == 3 || out[2] != 0 || (out[3] & 0x80), "minimal");
    PROVE(v[31 - k] == (k < n - 2 ? out[n - 1 - k] : 0), "the value");
    PROVE(n < 35 || out[2] == 0, "33 bytes only for the sign");
}
