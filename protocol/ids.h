/*
 * Identifiers: signing sets, grp, batch_sid, rsid, presig_id, key_id.
 *
 * What: the hashes that name a group of running processes, a batch, one ordered pair's
 *       multiplication in a batch, and a key; and the encodings of a signing set.
 * Why: every answer of the protocol is bound to these names. Sets are those that qr_set_check
 *      (poly.h) accepts.
 * Invariant: every member's boot nonce is in grp, so no sid can repeat after any party restarted.
 * Source: SPEC.md section 2.
 * Everything here is public and variable time.
 */
#ifndef QR_IDS_H
#define QR_IDS_H

#include "protocol/base/limits.h"

#include <stddef.h>
#include <stdint.h>

/* Bit i-1 for party i; 1 <= S[k] <= QR_MAX_PARTIES. */
uint16_t qr_set_mask(const uint16_t *S, size_t t);
/* t u16; writes 2*t bytes, returns 2*t. */
size_t qr_set_put(const uint16_t *S, size_t t, uint8_t out[static 2 * QR_MAX_PARTIES]);
/* Position of `party` in S, or t if it is no member. */
size_t qr_set_find(const uint16_t *S, size_t t, uint16_t party);

/*
 * grp over the t members of S (1 <= t <= QR_MAX_PARTIES); the arrays are indexed as S is: entry k
 * is party S[k]'s identity key, measurement digest and boot nonce.
 */
void qr_grp(const uint16_t *S, size_t t, const uint8_t (*id)[32], const uint8_t (*measurement)[32],
            const uint8_t (*nonce)[32], uint8_t ret_grp[static 32]);

/* What names a presigning batch. */
struct qr_batch_id {
    uint8_t key_id[32], dkg_sid[32], grp[32], nonce[32];
    uint32_t epoch;
    uint16_t S[QR_MAX_PARTIES], t;
    uint16_t initiator, B; /* B in {4, 8, 12, 16} */
    uint64_t ctr;          /* rises with every batch of this initiator and boot */
};

void qr_batch_sid(const struct qr_batch_id *b, uint8_t ret_sid[static 32]);
/* The ordered pair (alice, bob) in that batch. */
void qr_rsid(const uint8_t batch_sid[static 32], uint16_t alice, uint16_t bob,
             uint8_t ret_rsid[static 32]);
/* batch_sid || u16 idx: 34 bytes (QR_PRESIG_ID_LEN). */
void qr_presig_id(const uint8_t batch_sid[static 32], uint16_t idx, uint8_t ret_id[static 34]);
void qr_key_id(const uint8_t pk[static 33], uint16_t n, uint16_t t,
               const uint8_t roster_hash[static 32], uint8_t ret_id[static 32]);

#endif
