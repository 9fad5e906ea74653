/*
 * PROVES: decimal numbers in addresses and configuration. Accepted is exactly the canonical decimal of a
 *         value up to `max` (no sign, space, leading zero, empty text), and the value is right; no
 *         arithmetic wraps round, whatever `max` is.
 * BOUND:  texts of exactly 0..5 characters, all contents; max 0..65535 or the largest there is.
 * CBMC:   --unwind 8 --unsigned-overflow-check
 * BITE:   daemon/addr.c s/v > (max - digit) \/ 10/v > max \/ 10/
 * BITE:   daemon/addr.c s/(len > 1 \&\& s\[0\] == .0.)/0/
 */
#include "daemon/addr.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    size_t len = any_size(5);
    const char *s = (const char *)any_bytes(len);
    unsigned long max = nondet_int() ? nondet_u16() : (unsigned long)-1, got = 77, value = 0;
    int digits = len > 0;

    for (size_t i = 0; i < len && digits; i++) {
        digits = s[i] >= '0' && s[i] <= '9';
        value = digits ? 10 * value + (unsigned long)(s[i] - '0') : value;
    }
    int want = digits && (len == 1 || s[0] != '0') && value <= max;
    PROVE(qr_parse_decimal(s, len, max, &got) == want, "exactly the canonical ones");
    PROVE(got == (want ? value : 77), "the value");
}
