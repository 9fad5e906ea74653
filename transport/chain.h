/*
 * qr_chain: the thread between two processes that runs through all their connections.
 *
 * What: each connection that both sides take up leaves them one secret, which comes from its TLS
 *       session. The next connection of the same two processes must show the last one's. One that
 *       cannot is by a copy of the process, or by the process set back to an earlier moment.
 * Why: a boot nonce names a process, and a copy of its memory has the same one. Of two copies that
 *      both know a secret, the first that is taken up changes it, and the other one is a stranger from
 *      then on, on this pair of processes, for good.
 * How: both sides must agree on which connection was the last although any message may be lost. So
 *      a side that took a connection up keeps the secret before it as well, until the peer has said
 *      something that it says only after having taken it up, too. Shown is HMAC-SHA256(secret, index
 *      of who shows it), for both; one that agrees is enough.
 * Invariants: at most two secrets are accepted, two only while nothing was heard from the peer on the
 *      newest connection: so of two copies at most one is ever heard after they parted. Zero stands
 *      for "no connection yet", and is accepted only while the very first one is not confirmed.
 * What it cannot do: a peer that breaks the rules may speak to both copies, and copies of one TLS
 *      connection cannot be told apart. Keeping memory from being copied is the platform's work.
 * Constant time: comparisons are.
 * Thread rules: no state but the struct.
 */
#ifndef QR_CHAIN_H
#define QR_CHAIN_H

#include "protocol/base/err.h"

#include <stdint.h>

#define QR_CHAIN_LEN 64u /* what is shown: for the newest secret, for the one before it */

struct qr_chain {
    uint8_t cur[32], prev[32]; /* secret */
    int open;                  /* prev counts still */
};

/* A new pair of processes takes up its first connection, whose secret is `fresh`. */
void qr_chain_start(struct qr_chain *c, const uint8_t fresh[static 32]);
/* What `self` shows. A zeroed chain knows of no connection. */
void qr_chain_say(const struct qr_chain *c, uint16_t self, uint8_t out[static QR_CHAIN_LEN]);
/*
 * What `peer` showed on the connection whose secret is `fresh`. On success it is taken up.
 * BOOT_NONCE: it follows none of our connections; nothing changed.
 */
qr_err QR_MUST qr_chain_hear(struct qr_chain *c, uint16_t peer,
                             const uint8_t in[static QR_CHAIN_LEN], const uint8_t fresh[static 32]);
/* The peer speaks on the newest connection: it took it up. */
void qr_chain_confirm(struct qr_chain *c);
/* Forgets everything. */
void qr_chain_wipe(struct qr_chain *c);

#endif
