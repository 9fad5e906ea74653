/*
 * walletkit: a party's evidence for a client and the policy that accepts it, for tests of the library.
 *
 * What: a Nitro document of a throwaway hierarchy that commits to a client's context (nonce, identity
 *       key, policy hash, roster hash, boot nonce), encoded as a party sends it, and a policy document.
 * How: walletkit_init, change what is wanted, walletkit_build.
 */
#ifndef TEST_WALLETKIT_H
#define TEST_WALLETKIT_H

#include "test/common/evgen_nitro.h"

struct walletkit {
    int64_t now_ms;
    uint8_t context[160]; /* nonce first, then identity key, policy, roster, boot nonce */
    struct evnitro d;
    uint8_t binder[32]; /* of the context at walletkit_build */
    uint8_t root[32];   /* SHA-256 of the root's certificate */
    char policy[4096];
    size_t wire_len;
    uint8_t wire[EVNITRO_DOC_MAX];
};

/* Genuine at now_ms, whose distance from EVGEN_NOW_MS moves all dates; PCRs 0 to 2 of the policy. */
void walletkit_init(struct walletkit *k, int64_t now_ms);
void walletkit_build(struct walletkit *k);
/* The document that lies in k->d again, as it is. */
void walletkit_encode(struct walletkit *k);

#endif
