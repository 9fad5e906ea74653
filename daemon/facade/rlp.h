/*
 * Writing RLP: the encoding of Ethereum's transactions.
 *
 * What: byte strings and numbers appended to a buffer, and a list made of what was appended. Canonical:
 *       numbers without leading zeros, the shortest length that fits.
 * Source: Ethereum yellow paper, appendix B. Reading it is daemon/preimage_eth.h's work.
 */
#ifndef QR_FACADE_RLP_H
#define QR_FACADE_RLP_H

#include "protocol/base/mem.h"

/* Errors: those of qr_dbuf_append. */
qr_err QR_MUST qr_rlp_bytes(struct qr_dbuf *d, qr_view v);
/* A big-endian number of any length; its leading zeros are left out. */
qr_err QR_MUST qr_rlp_number(struct qr_dbuf *d, qr_view v);
qr_err QR_MUST qr_rlp_u64(struct qr_dbuf *d, uint64_t v);
/* A list whose elements are these bytes. */
qr_err QR_MUST qr_rlp_list(struct qr_dbuf *d, qr_view elements);

#endif
