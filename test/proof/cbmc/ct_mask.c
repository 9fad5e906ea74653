/*
 * PROVES: selection without branches, for all inputs: masks are all zeros or all ones as told, equality of
 *         numbers below 2^31, bits of a byte string, selection and conditional addition over 16 bytes, in
 *         place as well.
 * BOUND:  none on values; strings of 16 bytes.
 * SCALE:  protocol/ct.h s/__asm__("" : "+r"(m));//
 * CBMC:   --unwind 17
 * BITE:   protocol/ct.h s/(uint64_t)(a ^ b)) - 1) >> 63/(uint64_t)(a ^ b)) - 1) >> 62/
 * BITE:   protocol/ct.h s/x ^= (x ^ y) \& mask;/x ^= y \& mask;/
 */
#include "protocol/ct.h"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    uint32_t x = nondet_u32(), y = nondet_u32();
    ASSUME(x < 0x80000000u && y < 0x80000000u);
    PROVE(qr_ct_mask(0) == 0 && qr_ct_mask(1) == UINT64_MAX, "masks");
    PROVE(qr_ct_mask_eq(x, y) == (x == y ? UINT64_MAX : 0), "equality");

    uint8_t a[16], b[16], out[16], sum[16];
    uint64_t mask = nondet_int() ? UINT64_MAX : 0;
    size_t k = any_size(15), bit = any_size(127);
    PROVE(qr_ct_bit(a, bit) == (a[bit / 8] >> bit % 8 & 1), "a bit");
    qr_ct_select(out, a, b, 16, mask);
    PROVE(out[k] == (mask ? b[k] : a[k]), "a selection");
    memcpy(sum, a, 16);
    qr_ct_xor(sum, b, 16, mask);
    PROVE(sum[k] == (mask ? a[k] ^ b[k] : a[k]), "a conditional addition");
    memcpy(out, a, 16);
    qr_ct_select(out, out, b, 16, mask);
    PROVE(out[k] == (mask ? b[k] : a[k]), "in place");
}
