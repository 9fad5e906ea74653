/*
 * EIP-712 typed data: from the JSON document to the digest.
 *
 * What: a strict reader of {"types","primaryType","domain","message"} as wallets hand it to
 *       eth_signTypedData_v4. digest = Keccak-256(0x19 0x01 || hashStruct(domain) ||
 *       hashStruct(message)). What policies look at: the domain's chain and contract, the primary type.
 * Why: a party signs what it understood. Refused: a member that no type names, a member that is
 *      missing, a type that nobody defines or that is defined twice, a type that contains itself, a
 *      number that does not fit its type, hex of another length, text that is not UTF-8, anything
 *      that another reader could hash to something else. An EIP712Domain type that is absent is
 *      derived from the members of the domain; one that is there must name exactly those members.
 * Source: EIP-712; arrays and recursion as eth_signTypedData_v4 defines them.
 * No state; heap for the document while it is read, bounded by its length.
 */
#ifndef QR_PREIMAGE_712_H
#define QR_PREIMAGE_712_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

#define QR_712_TYPES_MAX 64u
#define QR_712_MEMBERS_MAX 64u /* of one type */
#define QR_712_DEPTH 16u       /* of nested values */

struct qr_712 {
    uint8_t has_chain_id, has_contract; /* absent is absent: a rule that names one does not match */
    uint64_t chain_id;
    uint8_t contract[20];
    char primary_type[QR_NAME_MAX + 1];
    char domain_name[QR_NAME_MAX + 1]; /* cut, '?' for what is not printable ASCII: for people */
};

/*
 * Reads and hashes one document (at most QR_PREIMAGE_MAX bytes). `why` (why_cap bytes, may be NULL with
 * 0) gets a sentence fragment for the client. QR_ERR_PREIMAGE, QR_ERR_NO_MEMORY.
 */
qr_err QR_MUST qr_712_parse(qr_view json, struct qr_712 *ret, uint8_t digest[static 32], char *why,
                            size_t why_cap);

#endif
