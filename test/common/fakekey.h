/*
 * fakekey: a quorum's key made by one process, with everything a client checks.
 *
 * What: a t-of-n key record whose shares lie on one polynomial and whose n confirmations verify,
 *       together with the private key that a real quorum never has.
 * Why: gateways and clients are tested against genuine records and against each way of forging
 *      one, without running a key generation.
 */
#ifndef TEST_FAKEKEY_H
#define TEST_FAKEKEY_H

#include "protocol/key.h"

struct fakekey {
    struct qr_key_pub pub;
    uint8_t secret[32];
    uint8_t id_sk[QR_MAX_PARTIES][64]; /* Ed25519, libsodium's form */
};

/* Starts the libraries it needs. The same seed gives the same key; cluster etc. as given. */
void fakekey_make(struct fakekey *k, uint16_t t, uint16_t n, uint8_t seed,
                  const uint8_t cluster[static 32], const uint8_t admin_hash[static 32],
                  const uint8_t roster_hash[static 32], uint8_t flags);
/* Signs the confirmations again, after a test has changed k->pub. */
void fakekey_confirm(struct fakekey *k);
/* A recoverable signature under the key, moved along a path (depth may be 0). */
void fakekey_sign(const struct fakekey *k, const uint32_t *path, size_t depth,
                  const uint8_t digest[static 32], uint8_t ret_rs[static 64], uint8_t *ret_recid);

#endif
