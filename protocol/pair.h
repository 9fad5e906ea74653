/*
 * Pair set-up and pair state: base OTs, Delta, PPRF seeds and the zero seed of two processes.
 *
 * What: `struct qr_pair` is one party's half of both ordered pairs with one peer, made by three
 *       messages each way, and used afterwards by every presigning batch with that peer.
 * Why: OT state belongs to a pair of running processes: RAM only, locked, never sealed, dropped at
 *      restart, on RETIRED and at every epoch change. Delta is new each time, so a rolled-back disk
 *      gains nothing.
 * Invariants: attempt numbers only rise; a message of one attempt is computed once; `active` only
 *             after the peer's confirmation; a failed machine holds no secret any more.
 * Source: SPEC.md section 3; Masny-Rindal 2019/706 fig. 8; Roy 2022/192 fig. 13, 14.
 * Order: both sides call qr_pair_start, then each message is taken once, in the order 1, 2, 3; the
 *        channel keeps it. Anything else is QR_ERR_STATE.
 * Constant time: in choice bits, Delta and all keys. Cost: just under 50 ms of one core a party.
 */
#ifndef QR_PAIR_H
#define QR_PAIR_H

#include "protocol/base/aes.h"
#include "protocol/base/err.h"
#include "protocol/base/mem.h"
#include "protocol/base/rng.h"
#include "protocol/base/secret.h"
#include "protocol/outbox.h"

struct qr_pair; /* opaque; about 190 KB, must live in locked memory */

struct qr_pair_params {
    uint16_t self, peer;                    /* party indices, different */
    uint8_t id_self[32], id_peer[32];       /* identity keys */
    uint8_t nonce_self[32], nonce_peer[32]; /* boot nonces */
    uint32_t attempt;
};

/* The sid of such an attempt, for telling an old attempt's bytes from a newer one's. */
void qr_pair_make_sid(const struct qr_pair_params *p, uint8_t ret_sid[static 32]);

size_t qr_pair_size(void);
/* Placed at the start of `mem` (qr_pair_size bytes, locked, 64-byte aligned). */
struct qr_pair *qr_pair_init(void *mem, const struct qr_pair_params *p);
const uint8_t *qr_pair_sid(const struct qr_pair *p); /* 32 bytes */
uint32_t qr_pair_attempt(const struct qr_pair *p);

/*
 * Draws and sends PAIR1; call once, before any qr_pair_recv. About 9 ms of CPU. QR_ERR_STATE if it
 * was called before; QR_ERR_BACKPRESSURE if the outbox refuses: the machine has then failed.
 */
qr_err QR_MUST qr_pair_start(struct qr_pair *p, const struct qr_rng *rng,
                             const struct qr_outbox *out);
/*
 * One message of this sid. Errors: LENGTH, STATE (benign, state unchanged); SETUP, COMMITMENT,
 * BACKPRESSURE (set-up failed: everything wiped, qr_pair_failed). A duplicate of a message already
 * handled, one out of order and one before our own PAIR1 are QR_ERR_STATE. rng is drawn from for
 * PAIR1 only.
 */
qr_err QR_MUST qr_pair_recv(struct qr_pair *p, enum qr_msg type, qr_view payload,
                            const struct qr_rng *rng, const struct qr_outbox *out);
int qr_pair_active(const struct qr_pair *p);
int qr_pair_failed(const struct qr_pair *p);
/* Wipes all secrets and ends in the failed state; sid and attempt stay readable. Safe to repeat. */
void qr_pair_wipe(struct qr_pair *p);

/* What presigning uses. The trees are aligned for the vector loads of the COT extension. */
struct qr_pair_keys {
    struct qr_sec32 zero_seed; /* z, the same on both sides */
    struct qr_sec16 delta;     /* self as Alice of (self, peer) */
    /* self as Alice: leaves of the peer's trees, entry [g][Delta_g] is arbitrary */
    _Alignas(64) struct qr_sec16 alice_seed[QR_PPRF_GROUPS][256];
    /* self as Bob of (peer, self): all leaves */
    _Alignas(64) struct qr_sec16 bob_seed[QR_PPRF_GROUPS][256];
};
/* NULL unless active. */
const struct qr_pair_keys *qr_pair_keys(const struct qr_pair *p);

#endif
