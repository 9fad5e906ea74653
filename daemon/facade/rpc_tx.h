/*
 * A transaction as JSON-RPC says it: into the bytes that are signed, and back with the signature.
 *
 * What: {"from","to","gas"|"gasLimit","gasPrice"|"maxFeePerGas","maxPriorityFeePerGas","value","nonce",
 *       "data"|"input","chainId","accessList","type"}, quantities as 0x hex without leading zeros. The type
 *       is 2 unless gasPrice is given (0, or 1 with an access list), or as `type` says.
 * Why strict: there is no node behind the facade, so what is missing is asked for and not guessed; what is
 *       not understood (blobs, authorisations, unknown members) is refused by name.
 * Source: Ethereum execution API, eth_signTransaction; EIP-155, 1559, 2718, 2930.
 */
#ifndef QR_FACADE_RPC_TX_H
#define QR_FACADE_RPC_TX_H

#include "protocol/base/mem.h"

struct json_t;

#define QR_RPC_TX_MAX (64u * 1024u)
#define QR_RPC_ACCESS_MAX 256u /* addresses of an access list; keys of one */

struct qr_rpc_tx {
    uint8_t type; /* 0, 1, 2 */
    int has_to;
    uint64_t chain_id, nonce, gas;
    uint8_t from[20], to[20];
    uint8_t value[32], gas_price[32], max_fee[32], max_priority[32]; /* big-endian */
    struct qr_dbuf data;
    struct qr_dbuf access;            /* RLP: the elements of the access list */
    const struct json_t *access_json; /* as it came, or NULL */
};

/*
 * Reads `o`; chain_id: what it must be, and what it is when it is not said. why names the member.
 * MALFORMED, UNKNOWN_FIELD, TOO_LARGE, NO_MEMORY. Cleared in any case.
 */
qr_err QR_MUST qr_rpc_tx_read(const struct json_t *o, uint64_t chain_id, struct qr_rpc_tx *ret,
                              char *why, size_t cap);
void qr_rpc_tx_clear(struct qr_rpc_tx *t);
/* The bytes whose Keccak-256 is signed (rs NULL), or the signed transaction. Appends. */
qr_err QR_MUST qr_rpc_tx_put(const struct qr_rpc_tx *t, const uint8_t *rs, uint8_t recid,
                             struct qr_dbuf *out);
/* The signed transaction as nodes show it; NULL: no memory. raw: what qr_rpc_tx_put gave. */
struct json_t *qr_rpc_tx_json(const struct qr_rpc_tx *t, const uint8_t rs[static 64], uint8_t recid,
                              qr_view raw);

/* "0x" and an even number of hex digits of any case, at most max bytes; appended. MALFORMED, TOO_LARGE. */
qr_err QR_MUST qr_rpc_hex(const char *text, size_t max, struct qr_dbuf *out);
/* "0x" and exactly 40 hex digits of any case. */
qr_err QR_MUST qr_rpc_address(const char *text, uint8_t ret[static 20]);
/* A quantity: "0x0", or "0x" and hex without a leading zero, at most 32 bytes. */
qr_err QR_MUST qr_rpc_quantity(const char *text, uint8_t ret[static 32]);

#endif
