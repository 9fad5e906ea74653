/*
 * Bit matrices of the OT extension: 128 x 128 transposition, and the fold of 256 leaf blocks.
 *
 * What: qr_bitmat_transpose turns 128 rows of 16 bytes into their 128 columns, in place;
 *       qr_bitmat_fold xors 256 blocks into the eight sums "index bit b is set" and the total.
 * Why: they move every bit of an extension; done by halving they cost a few xors a block.
 * Constant time: in all bits; no address or branch depends on data.
 * Source: SPEC.md section 5 (V, W, rows); the halving is Roy 2022/192 section 3.
 */
#ifndef QR_BITMAT_H
#define QR_BITMAT_H

#include <stddef.h>
#include <stdint.h>

/* A 128 x 128 block: row i is bytes 16i..16i+15, bit j LSB first. */
#define QR_BITMAT_BLOCK 2048u

/* Transposes `n` consecutive blocks, each in place. 16-byte aligned. */
void qr_bitmat_transpose(uint8_t *blocks, size_t n);

/*
 * leaf: 256 blocks of 16 bytes. sum[16b..] = xor of leaf x over all x with bit b set, b = 0..7;
 * sum[128..] = xor of all; and `add` is added to that. No alignment needed; sum may be `add`.
 */
void qr_bitmat_fold(uint8_t sum[static 144], const uint8_t add[static 144],
                    const uint8_t leaf[static 4096]);

/*
 * out[i] = in[i] ^ c for n blocks of 16 bytes, n a multiple of 8. No alignment needed; in == out is
 * allowed.
 */
void qr_bitmat_add_each(uint8_t *out, const uint8_t *in, const uint8_t c[static 16], size_t n);

/* The fold without special instructions; what other CPUs run, and the tests' second opinion. */
void qr_bitmat_fold_portable(uint8_t sum[static 144], const uint8_t add[static 144],
                             const uint8_t leaf[static 4096]);

#endif
