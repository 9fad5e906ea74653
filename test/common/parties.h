/*
 * Parties for transport tests: identities, a fake attester, recorded events.
 *
 * What: party i has an Ed25519 key from a fixed seed and evidence that anyone can forge but only over
 *       one binder, so that binding is what the tests test.
 * Invariants: the same identities every time; no clock.
 */
#ifndef QR_TEST_PARTIES_H
#define QR_TEST_PARTIES_H

#include "transport/net.h"

struct test_identity {
    uint8_t pk[32], sk[64];
};

/* Fixed by the index. */
void test_identity_make(struct test_identity *id, uint16_t index);
struct qr_id_signer test_signer(struct test_identity *id);
struct qr_rng test_rng(void);

struct test_attester {
    uint8_t measurement[32];
    unsigned made, verified;
    int fail;          /* evidence() fails */
    int refuse;        /* verify says no: 1 ATTESTATION, 2 STALE */
    uint8_t last[128]; /* what evidence() made last */
    size_t last_len;
    int replay;  /* evidence() repeats `last` */
    size_t bulk; /* bytes that do not compress, behind the rest */
};
struct qr_attester test_attester(struct test_attester *a);

/* Parameters of party `self` of n, with peers' addresses from `address` ("tcp://127.0.0.1:%u"). */
void test_params(struct qr_net_params *p, struct test_identity *id, struct test_attester *a,
                 uint16_t self, uint16_t n, const char *address, unsigned port0, uint8_t boot);

#endif
