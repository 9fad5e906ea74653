/*
 * What a client must check for itself, because gateways are not trusted.
 *
 * What: that a key is the quorum's (n signed confirmations by the roster's identities), that an
 *       answer carries signatures of exactly what was asked under that key or its child, and what
 *       a gateway says when it refuses.
 * Why: a gateway that could substitute a key would receive other people's deposits.
 */
#ifndef QR_CTL_CHECK_H
#define QR_CTL_CHECK_H

#include "daemon/ctl.h"
#include "daemon/request.h"
#include "daemon/roster.h"
#include "protocol/group.h"
#include "protocol/key.h"

/*
 * OK when qr_key_check accepts k, and its cluster, number of parties, identities 1..n and
 * administrators are the roster's. (The roster's hash may differ: addresses change after a key was
 * made.) Errors: those of qr_key_check, CLUSTER, IDENTITY, ADMIN; why says which and for whom.
 */
qr_err QR_MUST qr_ctl_key_check(const struct qr_key_pub *k, const struct qr_roster *r, char *why,
                                size_t cap);

/* One verified answer. */
struct qr_ctl_signed {
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
qr_err QR_MUST qr_ctl_signed_check(qr_view body, const struct qr_request *asked,
                                   const struct qr_key_pub *k, struct qr_ctl_signed *ret, char *why,
                                   size_t cap);

/* Says what a problem document says, or its status; returns the exit code that fits. */
int qr_ctl_problem(const struct qr_ctl *c, const char *from, unsigned status, qr_view body);

/* ECDSA in DER, at most 72 bytes; returns the length. */
size_t qr_ctl_der(const uint8_t rs[static 64], uint8_t out[static 72]);
/* MALFORMED unless it is exactly one DER signature with 0 < r, s of at most 32 bytes. */
qr_err QR_MUST qr_ctl_der_parse(qr_view der, uint8_t ret_rs[static 64]);
/* SubjectPublicKeyInfo of a secp256k1 key in PEM, appended. CRYPTO_LIB, NO_MEMORY. */
qr_err QR_MUST qr_ctl_spki_pem(const uint8_t pk[static 33], struct qr_dbuf *out);

#endif
