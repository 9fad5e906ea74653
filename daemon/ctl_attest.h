/*
 * qr_ctl_attest: a party's answer to `GET /v1/attestation?nonce=`, read by a client that trusts nobody.
 *
 * What: takes the JSON apart and compares what it says of the party with the roster and the policy that
 *       the client has: identity key, platform, both hashes. What the evidence must commit to is
 *       computed from those and the client's nonce, so that an answer to another question, of another
 *       party or under another policy does not verify.
 * The platform's own evidence is verified by the caller, with `binder`.
 */
#ifndef QR_CTL_ATTEST_H
#define QR_CTL_ATTEST_H

#include "daemon/ctl_case.h"
#include "daemon/roster.h"

/* What the client holds against the answer. */
struct qr_ctl_asked {
    const uint8_t *nonce; /* 32 bytes */
    const struct qr_roster *roster;
    const uint8_t *policy_hash; /* 32 bytes */
};

struct qr_ctl_attest {
    const struct qr_roster_party *party; /* in the roster */
    int sim;                             /* 1: of the software TEE: k->e is empty */
    uint8_t binder[32];
    struct qr_dbuf evidence;
};

/*
 * Fills k->platform and k->e. An answer that is not what was asked for fails *v. Returns 0, or says
 * what is wrong with the file and returns an exit code. The caller frees ret->evidence.
 */
int qr_ctl_attest_load(const struct qr_ctl *c, const char *path, const struct qr_ctl_asked *asked,
                       struct qr_ctl_attest *ret, struct qr_ctl_case *k, struct qr_verdict *v);

#endif
