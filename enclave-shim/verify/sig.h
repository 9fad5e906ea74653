/*
 * qr_sig: signatures and hashes of evidence, by OpenSSL.
 *
 * What: ECDSA P-256 and P-384 over raw r || s, RSA PKCS#1 v1.5 and PSS, keys from raw coordinates.
 * Invariants: r and s must be in 1..n-1 before OpenSSL sees them; a key's curve is checked against
 *             the algorithm; no function here allocates more than a key. Public data: variable time.
 */
#ifndef QR_SIG_H
#define QR_SIG_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#include <openssl/evp.h>

enum qr_hash_alg { QR_SHA1, QR_SHA256, QR_SHA384, QR_SHA512 };

size_t qr_hash_len(enum qr_hash_alg h);
/* The pieces one after the other. 1 on success, 0 when OpenSSL has no memory. */
int qr_hash_of(enum qr_hash_alg h, const qr_view *piece, size_t n, uint8_t *out);

/* A P-256 (64 bytes) or P-384 (96 bytes) point x || y; NULL when it is not on the curve. */
EVP_PKEY *qr_key_ec(qr_view xy);
/* n and e, big-endian; 2048..4096 bits, e odd and > 1; NULL otherwise. */
EVP_PKEY *qr_key_rsa(qr_view n, qr_view e);
int qr_key_is_ec(EVP_PKEY *k, unsigned bits);
int qr_key_is_rsa(EVP_PKEY *k);

/* 1: valid. raw is r || s, big-endian, each as long as the curve's order. */
int qr_evp_ecdsa_verify(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, qr_view raw);
/* pss: MGF1 with the same hash, a salt of any length: TPMs have long ones and short ones. */
int qr_evp_rsa_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig);

#endif
