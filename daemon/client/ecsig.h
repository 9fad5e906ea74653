/*
 * Signatures and secp256k1 public keys in the encodings of others: DER and PEM.
 *
 * What: ECDSA signatures as SEQUENCE { r, s } (RFC 3279, 2.2.3); public keys as SubjectPublicKeyInfo
 *       (RFC 5480), which OpenSSL, key managers and chains' tools read.
 * Why: a signature has one encoding only here: the parser takes what the writer writes.
 * All of it is public.
 */
#ifndef QR_CLIENT_ECSIG_H
#define QR_CLIENT_ECSIG_H

#include "protocol/base/mem.h"

#define QR_ECSIG_DER_MAX 72u
#define QR_ECSIG_SPKI_LEN 88u

/* ECDSA in DER, at most 72 bytes; returns the length. */
size_t qr_ecsig_der(const uint8_t rs[static 64], uint8_t out[static QR_ECSIG_DER_MAX]);
/* MALFORMED unless it is exactly one DER signature with 0 < r, s of at most 32 bytes. */
qr_err QR_MUST qr_ecsig_parse(qr_view der, uint8_t ret_rs[static 64]);
/* SubjectPublicKeyInfo of a compressed secp256k1 key, with the point uncompressed. POINT. */
qr_err QR_MUST qr_ecsig_spki(const uint8_t pk[static 33], uint8_t ret[static QR_ECSIG_SPKI_LEN]);
/* The same in PEM, appended, with the point as it was given. CRYPTO_LIB, NO_MEMORY. */
qr_err QR_MUST qr_ecsig_spki_pem(const uint8_t pk[static 33], struct qr_dbuf *out);

#endif
