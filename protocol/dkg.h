/*
 * Distributed key generation: four rounds, all n parties, dishonest majority.
 *
 * What: commit, open with proof and shares, echo with status, signed confirmation.
 * Why commit-before-reveal *and* a proof of knowledge: either stops a rogue key; see README.md.
 * Invariants: a machine never sends a round twice; DKG4 is sent only after the caller has persisted
 *             the result (qr_dkg_confirm); the key is complete only with all n valid confirmations.
 * Source: SPEC.md section 7.
 */
#ifndef QR_DKG_H
#define QR_DKG_H

#include "protocol/group.h"
#include "protocol/key.h"
#include "protocol/outbox.h"

/* Ed25519 with the identity key; 0 on success. The key itself stays with the caller. */
struct qr_id_signer {
    void *ctx;
    int (*sign)(void *ctx, const uint8_t msg[32], uint8_t sig[64]);
};

struct qr_dkg_params {
    uint16_t self, t, n;
    uint8_t cluster[32], roster_hash[32], admin_hash[32], command_hash[32];
    uint8_t flags; /* QR_KEY_INSECURE_SIM */
    uint8_t id[QR_MAX_PARTIES][32], measurement[QR_MAX_PARTIES][32], nonce[QR_MAX_PARTIES][32];
};

struct qr_dkg; /* opaque; holds secrets, must live in locked memory */

size_t qr_dkg_size(void);
/*
 * QR_ERR_SET for bad (self, t, n) and for an identity key that stands twice. mem: qr_dkg_size()
 * bytes, 64-byte aligned, locked.
 */
qr_err QR_MUST qr_dkg_init(void *mem, const struct qr_dkg_params *p, struct qr_dkg **ret);
/* The sid of a run, for peers that must know it before they have a machine. n <= QR_MAX_PARTIES. */
void qr_dkg_sid(const struct qr_dkg_params *p, uint8_t ret_sid[static 32]);

/* Draws everything and sends DKG1 to all. Errors other than STATE are fatal for the run. */
qr_err QR_MUST qr_dkg_start(struct qr_dkg *d, const struct qr_rng *rng,
                            const struct qr_outbox *out);
/*
 * One message of this sid. Benign and without effect: LENGTH, STATE (duplicate or out of phase).
 * Messages of the next round may arrive early (even before qr_dkg_start) and are kept. Fatal for
 * the run, machine wiped: COMMITMENT, PROOF, SHARE, EQUIVOCATION, POINT, SCALAR, INFINITY, IDENTITY
 * (bad confirmation), BACKPRESSURE; *ret_blame is then the dealer's index, or 0 if nobody can be
 * blamed. A party that finds a fault still sends DKG3, with a non-zero status, so that the others
 * fail at once: with SHARE and blame 0, because the complaint of one peer proves nothing.
 */
qr_err QR_MUST qr_dkg_recv(struct qr_dkg *d, uint16_t from, enum qr_msg type, qr_view payload,
                           const struct qr_outbox *out, uint16_t *ret_blame);
/* 1 when the key is computed, all statuses are zero, and the caller must persist it as pending. */
int qr_dkg_ready(const struct qr_dkg *d);
/* The key (state PENDING, own confirmation missing) once ready. */
const struct qr_key *qr_dkg_key(const struct qr_dkg *d);
/*
 * After persisting: signs and sends DKG4. IDENTITY if the signer's key is not the roster's: nothing
 * was sent and the machine stays ready. BACKPRESSURE and a peer's bad confirmation that was waiting
 * (IDENTITY, qr_dkg_failed) are fatal.
 */
qr_err QR_MUST qr_dkg_confirm(struct qr_dkg *d, const struct qr_id_signer *s,
                              const struct qr_outbox *out);
/* 1 when all n confirmations are in: qr_dkg_key is then state ACTIVE and complete. */
int qr_dkg_done(const struct qr_dkg *d);
int qr_dkg_failed(const struct qr_dkg *d);
void qr_dkg_wipe(struct qr_dkg *d);

#endif
