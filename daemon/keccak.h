/*
 * Keccak-256 as Ethereum uses it: the Keccak submission's padding (0x01), not SHA-3's (0x06).
 *
 * Why here: OpenSSL 3.0 has SHA-3 only (Keccak came with 3.2).
 * Constant time: the permutation has no branch and no table; inputs here are public anyway.
 * Source: the Keccak reference, version 3.0, rate 1088, capacity 512.
 */
#ifndef QR_KECCAK_H
#define QR_KECCAK_H

#include "protocol/base/view.h"

struct qr_keccak {
    uint64_t a[25];
    size_t pos; /* bytes absorbed into the current block, < 136 */
};

void qr_keccak_init(struct qr_keccak *k);
void qr_keccak_put(struct qr_keccak *k, qr_view v);
/* The state is of no use afterwards. */
void qr_keccak_end(struct qr_keccak *k, uint8_t ret[static 32]);

void qr_keccak256(qr_view v, uint8_t ret[static 32]);

#endif
