/*
 * What a client must check for itself, because gateways are not trusted.
 *
 * What: that a key is the quorum's (n signed confirmations by the roster's identities), that an
 *       answer carries signatures of exactly what was asked under that key or its child.
 * Why: a gateway that could substitute a key would receive other people's deposits.
 */
#ifndef QR_CLIENT_CHECK_H
#define QR_CLIENT_CHECK_H

#include "daemon/request.h"
#include "daemon/roster.h"
#include "protocol/group.h"
#include "protocol/key.h"

/*
 * OK when qr_key_check accepts k, and its cluster, number of parties, identities 1..n and
 * administrators are the roster's. (The roster's hash may differ: addresses change after a key was
 * made.) Errors: those of qr_key_check, CLUSTER, IDENTITY, ADMIN; why says which and for whom.
 */
qr_err QR_MUST qr_client_key_check(const struct qr_key_pub *k, const struct qr_roster *r, char *why,
                                   size_t cap);

/* One verified answer. */
struct qr_client_signed {
    uint8_t pk[33]; /* the key the signatures are under: k, or its child along the path */
    uint8_t rs[QR_ITEMS_MAX][64];
    uint8_t recid[QR_ITEMS_MAX];
    size_t n;
    uint16_t signers[QR_MAX_PARTIES];
    size_t n_signers;
    uint64_t micros, bytes, moves;
    int insecure_sim;
};

/*
 * Reads the 200 of POST /v1/sign and verifies it against the request that was sent: request hash,
 * key, number and digests of the items, each signature under the derived key, low s, recovery id.
 * Errors: MALFORMED and the like (form), BAD_SIGNATURE (everything that was promised and is not
 * so), HARDENED and the like (path); why says which item.
 */
qr_err QR_MUST qr_client_signed_check(qr_view body, const struct qr_request *asked,
                                      const struct qr_key_pub *k, struct qr_client_signed *ret,
                                      char *why, size_t cap);

#endif
