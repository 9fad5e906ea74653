/*
 * Base oblivious transfer: 128 endemic OTs of 16-byte keys over ristretto255.
 *
 * What: Alice (the receiver) has one choice bit per instance and learns K_{j,b}; Bob (the sender)
 *       learns both keys. Two messages: OT1 from Alice, OT2 from Bob.
 * Why endemic: both keys are outputs of a hash over group elements, so nobody chooses them, and two
 *      messages suffice with active security in the random-oracle model.
 * Invariants: every group element that must be random comes from the one-way map, never from a hash
 *       times the base point: a known discrete logarithm would hand Bob every choice bit. "+" is
 *       the group's addition, never xor. Each peer and direction has its own setup_sid and its own
 *       choice bits.
 * Selective failure: Alice's verdict must not depend on her choice bits, so she checks both points
 *       of every instance, the one she uses and the one she does not.
 * Constant time: in choice bits, scalars and keys. Points are public.
 * Source: SPEC.md section 3; Masny-Rindal, ePrint 2019/706, figure 8; RFC 9496 for the group.
 */
#ifndef QR_BASE_OT_H
#define QR_BASE_OT_H

#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/rng.h"
#include "protocol/base/secret.h"

/* What Alice keeps between OT1 and OT2. */
struct qr_base_ot {
    struct qr_sec16 choice;         /* bit j: b_j */
    struct qr_sec32 t[QR_OT_COUNT]; /* scalars mod the ristretto255 order, little-endian */
};

static inline void
qr_wipe_qr_base_ot(struct qr_base_ot *p)
{
    qr_wipe(p, sizeof *p);
}

/*
 * Alice, first message: draws (SPEC.md order) and writes QR_OT1_LEN bytes.
 * sid: setup_sid(A,B). Cost: about 9 ms. QR_ERR_SETUP only if a drawn scalar is zero.
 */
qr_err QR_MUST qr_base_ot_request(const uint8_t sid[static 32], const struct qr_rng *rng,
                                  struct qr_base_ot *ret_st, uint8_t ot1[static QR_OT1_LEN]);

/*
 * Bob: reads OT1, writes OT2 (QR_OT2_LEN bytes) and his keys, K_{j,c} in key[2*j + c].
 * QR_ERR_SETUP for an encoding that is not canonical or a product that is the identity; `ot2` and
 * `key` are then partly written and must be thrown away. ot1 and ot2 do not overlap. Cost: about
 * 26 ms.
 */
qr_err QR_MUST qr_base_ot_answer(const uint8_t sid[static 32], const uint8_t ot1[static QR_OT1_LEN],
                                 const struct qr_rng *rng, uint8_t ot2[static QR_OT2_LEN],
                                 struct qr_sec16 key[static 2 * QR_OT_COUNT]);

/*
 * Alice, end: K_{j,b_j} in key[j]. ot1 is her own first message. QR_ERR_SETUP if any of the 256
 * points of OT2 is not canonical or is the identity, whatever her bits are; `key` must then be
 * thrown away. Cost: about 7 ms.
 */
qr_err QR_MUST qr_base_ot_finish(const struct qr_base_ot *st, const uint8_t sid[static 32],
                                 const uint8_t ot1[static QR_OT1_LEN],
                                 const uint8_t ot2[static QR_OT2_LEN],
                                 struct qr_sec16 key[static QR_OT_COUNT]);

#endif
