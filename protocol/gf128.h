/*
 * GF(2^128) inner products for the consistency check of the OT extension.
 *
 * What: x[m] ^ sum chi_k * x[k] over GF(2)[x]/(x^128 + x^7 + x^2 + x + 1); bit j of a 16-byte block
 *       (LSB first, as everywhere in SPEC.md) is the coefficient of x^j.
 * Why: one reduction per sum; carry-less multiplication instructions where the CPU has them,
 *      otherwise integer multiplications with holes (no tables, no branches).
 * Constant time: in all operands; time depends on m only (integer multiplication is taken to be
 *       constant time, as it is on x86-64 and AArch64).
 * Source: SPEC.md section 5.
 */
#ifndef QR_GF128_H
#define QR_GF128_H

#include <stddef.h>
#include <stdint.h>

/*
 * ret = last ^ sum_{k < m} chi[16k..] * x[k*stride..], blocks of 16 bytes, no alignment needed.
 * ret may be `last`.
 */
void qr_gf128_combine(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x, size_t stride,
                      size_t m, const uint8_t last[static 16]);

/* The same without special instructions; what other CPUs run, and the tests' second opinion. */
void qr_gf128_combine_portable(uint8_t ret[static 16], const uint8_t *chi, const uint8_t *x,
                               size_t stride, size_t m, const uint8_t last[static 16]);

#endif
