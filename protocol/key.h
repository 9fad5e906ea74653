/*
 * The key record: what a party keeps of a key for ever, and what anyone can check of it.
 *
 * What: public part (struct qr_key_pub: pk, P_1..P_n, chain code, confirmations) and the share.
 *       A fixed-layout encoding for the sealed store, with an epoch, so that refresh and reshare
 *       need no new format.
 * Why: clients and peers check the n confirmations themselves; a gateway cannot substitute a key.
 * Source: SPEC.md section 7 (out, key_id).
 */
#ifndef QR_KEY_H
#define QR_KEY_H

#include "protocol/base/limits.h"
#include "protocol/fq.h"

#define QR_KEY_INSECURE_SIM 1u /* flags: made under a policy that accepts the software TEE */

enum qr_key_state {
    QR_KEY_PENDING = 1, /* persisted, confirmations not complete */
    QR_KEY_ACTIVE = 2,
};

struct qr_key_pub {
    uint8_t key_id[32], pk[33], cc[32], dkg_sid[32];
    uint8_t cluster[32], admin_hash[32], roster_hash[32];
    uint32_t epoch;
    uint16_t t, n;
    uint8_t flags;
    uint8_t id[QR_MAX_PARTIES][32];      /* identity keys of 1..n at DKG */
    uint8_t P[QR_MAX_PARTIES][33];       /* public shares */
    uint8_t confirm[QR_MAX_PARTIES][64]; /* Ed25519 over out, by id */
};

struct qr_key {
    struct qr_key_pub pub;
    uint16_t self;
    enum qr_key_state state;
    qr_fq share; /* secret */
};

/* out of SPEC.md section 7: what the confirmations sign. */
void qr_key_out(const struct qr_key_pub *k, uint8_t ret_out[static 32]);
/*
 * Everything public about a key: key_id recomputes, lengths, points parse, the P_j lie on one
 * polynomial of degree t-1 with P(0) = pk, all n confirmations verify. *ret_party names the first bad
 * confirmation (0 otherwise). Errors: POINT, SET, SUM, IDENTITY. Variable time, public.
 * It proves that these n identities vouch for this key; that they are the roster's is for the caller
 * to compare.
 */
qr_err QR_MUST qr_key_check(const struct qr_key_pub *k, uint16_t *ret_party);
/* share*G == P_self. Errors: SET, POINT, INFINITY, SHARE. Constant time in the share. */
qr_err QR_MUST qr_key_check_share(const struct qr_key *k);

/*
 * Fixed layout, version byte first; the length follows from n. Integers big-endian:
 *   version u8 = 1 | state u8 | n u16 | t u16 | self u16 | flags u8 | epoch u32 | key_id 32 | pk 33 |
 *   cc 32 | dkg_sid 32 | cluster 32 | admin_hash 32 | roster_hash 32 | share 32 |
 *   n times: id 32 | P 33 | confirm 64 (zeros where missing)
 * The record is secret: whoever encodes wipes the buffer. decode accepts exactly one encoding of
 * each key (VERSION, TRUNCATED, TRAILING, MALFORMED, SET, SCALAR, POINT) and checks ranges, key_id
 * and that points are points; qr_key_check and qr_key_check_share do the rest.
 */
#define QR_KEY_RECORD_MAX (1024u + QR_MAX_PARTIES * 129u)
size_t qr_key_encode(const struct qr_key *k, uint8_t out[static QR_KEY_RECORD_MAX]);
qr_err QR_MUST qr_key_decode(qr_view v, struct qr_key *ret);

#endif
