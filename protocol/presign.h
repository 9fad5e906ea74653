/*
 * Presigning: a batch of B presignatures by one signing set of exactly t parties, two rounds.
 *
 * What: a machine that is fed PRESIGN1 and PRESIGN2 of its t-1 peers and worked in small quanta, so
 *       that a single-threaded party stays responsive; it ends with B presignatures or an error.
 * Why quanta: a batch costs several milliseconds; qr_presign_work does at most one presignature's
 *      share (well under a millisecond at t = 2) and says whether there is more.
 * Invariants: S has exactly t members and is hashed in batch_sid; each message is computed once;
 *             one machine per batch_sid and per rsid, for ever (the caller refuses counters that do
 *             not rise); all secrets are wiped on every exit; C1, C2, C3 run to their end before
 *             any branch, and their failures are one error code, QR_ERR_CHECK.
 * Source: SPEC.md sections 4, 5, 6, 8; DKLs23 (2023/765) protocol 3.6 as reported, README.md.
 */
#ifndef QR_PRESIGN_H
#define QR_PRESIGN_H

#include "protocol/ids.h"
#include "protocol/key.h"
#include "protocol/outbox.h"
#include "protocol/pair.h"

/* One finished presignature; secret. At most QR_PRESIG_BYTES. */
struct qr_presig {
    uint8_t id[QR_PRESIG_ID_LEN]; /* batch_sid || u16 idx */
    uint16_t set_mask;            /* bit i-1: party i */
    uint8_t R[33];
    qr_fq phi, u, v;
};
_Static_assert(sizeof(struct qr_presig) <= QR_PRESIG_BYTES, "a slab slot holds a presignature");

struct qr_presign; /* opaque; locked memory */

/* Bytes for set size t (2..16) and batch B; about 0.4 MB at t = 2, B = 16. */
size_t qr_presign_size(uint16_t t, uint16_t B);
/*
 * mem: qr_presign_size bytes, locked, 64-byte aligned. key: state ACTIVE, k->self in S; outlives the
 * machine. pairs[i]: active pair with S[i] (NULL for self); outlives the machine, and kills it when
 * it is wiped or set up anew meanwhile. aes: a context the machine may re-key at will during its
 * calls. Errors: SET (S is no set of exactly the key's t members that holds self and the initiator),
 * SID (key_id, dkg_sid or epoch are not the key's), STATE (key not active, pair not active), USAGE
 * (B), POINT.
 */
qr_err QR_MUST qr_presign_init(void *mem, const struct qr_key *key, const struct qr_batch_id *id,
                               const struct qr_pair *const *pairs, struct qr_aes *aes,
                               struct qr_presign **ret);
/*
 * Draws, and sends PRESIGN1 to every peer; call once (STATE). Fatal, machine wiped: BACKPRESSURE,
 * RETIRED (a pair is gone), INFINITY.
 */
qr_err QR_MUST qr_presign_start(struct qr_presign *p, const struct qr_rng *rng,
                                const struct qr_outbox *out);
/*
 * Takes one message, in any order, even before qr_presign_start. The payload of PRESIGN2 is kept by
 * reference until the batch ends, well or badly: *ret_kept = 1 tells the caller to leave it alive
 * until then. Benign, no effect: LENGTH, STATE (duplicate, stranger, ended). No cryptography happens
 * here.
 */
qr_err QR_MUST qr_presign_recv(struct qr_presign *p, uint16_t from, enum qr_msg type,
                               qr_view payload, int *ret_kept);
/*
 * One quantum. *ret_more = 1: call again (now or later); 0: waiting for messages, or finished.
 * Quanta: C1 of one peer; one slot of the round 2 messages (all peers); the parsing of one peer's
 * round 2 message; C2 and C3 of one slot (all peers). `out` must outlive the machine once round 2 has
 * begun: any exit cancels through it what is reserved and not sent.
 *
 * Fatal, machine wiped: QR_ERR_CHECK with *ret_blame (C1, C2 or C3: the caller must retire the pair
 * before it answers anything); COMMITMENT, POINT and SCALAR with blame; EQUIVOCATION (the parties saw
 * different commitments), SUM, INFINITY, BACKPRESSURE, RETIRED without. If several peers fail C2 or C3, the one with the lowest index is
 * named: nobody outside learns the verdict on the others. STATE on a machine that has ended badly.
 */
qr_err QR_MUST qr_presign_work(struct qr_presign *p, const struct qr_rng *rng,
                               const struct qr_outbox *out, int *ret_more, uint16_t *ret_blame);
int qr_presign_done(const struct qr_presign *p);
/* The B results, once done (else NULL and 0); they stay until qr_presign_wipe. */
const struct qr_presig *qr_presign_result(const struct qr_presign *p, size_t *ret_n);
/*
 * The rsids this batch uses, for the "one rsid never runs twice" assertion: 2(t-1) of 32 bytes, known
 * from init on; as many as fit into cap, in pairs. Returns how many.
 */
size_t qr_presign_rsids(const struct qr_presign *p, uint8_t (*out)[32], size_t cap);
/* Wipes everything, results too, and cancels what is reserved; safe to call again. */
void qr_presign_wipe(struct qr_presign *p);

#endif
