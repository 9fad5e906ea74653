/*
 * qr_jwks: the keys that tokens are signed with: key sets by issuer, and certificate chains.
 *
 * What: one key out of a JSON Web Key Set, by its kid; the certificates of a token's x5c header.
 * Why: the two ways in which an issuer publishes keys.
 * Trust: a key set is not signed by anybody. Whoever hands it to the verifier vouches for it; it is to
 *        be fetched from the issuer over TLS or pinned (claim "key_sha256"), never to be taken from
 *        the peer that sent the token. A verdict that rests on one leaves the check `root`
 *        unrecorded, so that a policy that demands `root` takes tokens with certificates only.
 * Source: RFC 7517, RFC 7518 section 6.3, RFC 7515 section 4.1.6.
 */
#ifndef QR_JWKS_H
#define QR_JWKS_H

#include "enclave-shim/verify/jws.h"

#define QR_JWKS_KEYS 64u
#define QR_JWKS_VALUES 2048u

/*
 * The RSA key named `kid`, from n and e or, where a set has only that, from the first certificate of
 * the key's own x5c; where it has both they must agree. Reasons: COLLATERAL_MISSING (no such key) at
 * COLLATERAL; DUPLICATE_KEY (two of that name), MALFORMED, RESOURCE_LIMIT; UNSUPPORTED (another kind
 * or use). *ret is the caller's, by EVP_PKEY_free.
 */
qr_err QR_MUST qr_jwks_find(qr_view jwks, qr_view kid, struct qr_verdict *v, EVP_PKEY **ret);

/*
 * The token's signature by the key of the run's JWKS part that the header's kid names. Reasons: those
 * of qr_jwks_find and qr_jws_check_signature; COLLATERAL_MISSING without a JWKS part.
 */
qr_err QR_MUST qr_jwks_check(struct qr_verify_run *r, const struct qr_jws *j);

/* 1 when the token brings certificates. */
int qr_x5c_present(const struct qr_jws *j);
/* Certificates of a token, leaf first, and what they lie in. */
struct qr_x5c {
    struct qr_certs certs;
    uint8_t *mem;
};
/*
 * Reads the x5c header: base64 of DER, as RFC 7515 has it; PEM text in every entry, as Google wrote
 * until 2024, is read as well. MALFORMED, TRAILING_DATA, RESOURCE_LIMIT. The caller calls qr_x5c_free.
 */
qr_err QR_MUST qr_x5c_read(const struct qr_jws *j, struct qr_verdict *v, struct qr_x5c *ret);
void qr_x5c_free(struct qr_x5c *x);

#endif
