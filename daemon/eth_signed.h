/*
 * The signed form of an Ethereum transaction: what is sent to a node.
 *
 * What: takes the unsigned bytes and a signature, gives the bytes with the signature in their place:
 *       three more fields at the end of types 1 and 2; for legacy transactions v, r, s instead of
 *       chain id, 0, 0, or at the end where there is no chain id.
 * Why: whoever asks for a transaction wants one that a node takes; done in one place, from the bytes
 *      that were hashed, so that what is sent is what was signed.
 * Source: Ethereum yellow paper appendix B and F; EIP-155, 1559, 2718, 2930.
 */
#ifndef QR_ETH_SIGNED_H
#define QR_ETH_SIGNED_H

#include "protocol/base/err.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

/* Bytes that a signature adds at most. */
#define QR_ETH_SIGNED_MORE 96u

/*
 * Appends to out. rs: r and s, 32 bytes each, big-endian, s low; recid 0 or 1 (PREIMAGE otherwise: such
 * a signature has no form in a transaction). PREIMAGE with `why` as qr_eth_tx_parse, if the bytes are no
 * unsigned transaction; TOO_LARGE, NO_MEMORY. out is unchanged on error.
 */
qr_err QR_MUST qr_eth_tx_signed(struct qr_dbuf *out, qr_view unsigned_tx,
                                const uint8_t rs[static 64], uint8_t recid, char *why,
                                size_t why_cap);

#endif
