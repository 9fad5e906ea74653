/*
 * Ethereum preimages: unsigned transactions and EIP-191 messages.
 *
 * What: a strict reader of the RLP that is hashed for signing: legacy (6 fields), EIP-155 (9 fields,
 *       the last two zero), EIP-2930 (type 1) and EIP-1559 (type 2); other types are refused by name.
 *       The digest, and the fields that policies look at.
 * Why: a party signs what it understood. An encoding that another reader could take differently
 *      (non-canonical lengths, leading zeros, wrong field counts, trailing bytes) is refused.
 * Source: Ethereum yellow paper appendix B; EIP-55, 155, 191, 1559, 2681, 2718, 2930.
 * No allocation; the views in the result point into the caller's bytes.
 */
#ifndef QR_PREIMAGE_ETH_H
#define QR_PREIMAGE_ETH_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct qr_eth_tx {
    uint8_t type;         /* 0, 1, 2 */
    uint8_t has_chain_id; /* 0: a legacy transaction that is valid on every chain */
    uint8_t has_to;       /* 0: creates a contract */
    uint8_t has_selector; /* data has at least 4 bytes and there is a receiver */
    uint64_t chain_id, nonce, gas_limit;
    uint8_t to[20];
    uint8_t value[32];   /* wei, big-endian */
    uint8_t max_fee[32]; /* per gas, big-endian: the gas price for types 0 and 1 */
    uint8_t selector[4];
    qr_view data;
    uint32_t access_addresses, access_keys; /* sizes of the access list */
};

/*
 * Reads one unsigned transaction (the bytes whose Keccak-256 is signed). `why` (why_cap bytes, may
 * be NULL with 0) gets a sentence fragment for the client. QR_ERR_PREIMAGE.
 */
qr_err QR_MUST qr_eth_tx_parse(qr_view bytes, struct qr_eth_tx *ret, char *why, size_t why_cap);

/*
 * An address as people write it: 0x and 40 hex digits of one case, or in the mixture of cases that
 * EIP-55 prescribes, so that a typing error does not name another account. QR_ERR_MALFORMED.
 */
qr_err QR_MUST qr_eth_address_read(qr_view text, uint8_t ret[static 20]);

/* Keccak-256("\x19Ethereum Signed Message:\n" || decimal length || message). */
void qr_eip191_digest(qr_view message, uint8_t ret[static 32]);

#endif
