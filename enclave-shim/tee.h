/*
 * qr_tee: the platform a party runs on, as a table of functions.
 *
 * What: evidence over a binder, verification of a peer's evidence, sealing, randomness. Back ends
 *       live one to a file (tee_sim.c is the software TEE: a throwaway root, for laptops and tests;
 *       it can never satisfy a policy that does not say "insecure_sim": true).
 * Why: the party does not know which cloud it is in.
 * Invariants: evidence is made only over binders that the transport composed; unseal fails unless
 *             the same platform, the same code identity and the same additional data sealed it.
 * Thread rules: single-threaded.
 */
#ifndef QR_TEE_H
#define QR_TEE_H

#include "protocol/base/rng.h"
#include "transport/attest_if.h"

#define QR_SEAL_OVERHEAD 64u /* sealed length <= plain length + this */

struct qr_tee {
    void *ctx;
    enum qr_platform platform;
    uint8_t measurement[32];
    int insecure; /* 1 for sim */
    qr_err (*evidence)(void *ctx, const uint8_t binder[32], struct qr_buf *out);
    /* AEAD under the platform's sealing key; ad is bound. */
    qr_err (*seal)(void *ctx, qr_view ad, qr_view plain, struct qr_buf *out);
    /* QR_ERR_SEAL when anything differs. out holds secrets: give it locked memory. */
    qr_err (*unseal)(void *ctx, qr_view ad, qr_view sealed, struct qr_buf *out);
    void (*random)(void *ctx, uint8_t *out, size_t n); /* mixed into the system generator */
    void (*free)(void *ctx);
};

/* Verifies evidence of any supported platform against a binder; no policy. why: for operators. */
qr_err QR_MUST qr_tee_verify(enum qr_platform platform, qr_view evidence, const uint8_t binder[static 32],
                             struct qr_claims *ret, char *why, size_t why_cap);

/*
 * The software TEE. state_dir holds its sealing key (mode 0600; wrong permissions are
 * QR_ERR_PERMISSIONS). err_text: what and where.
 */
qr_err QR_MUST qr_tee_sim_open(const char *state_dir, struct qr_tee *ret, char *err_text, size_t err_cap);

/* System randomness with the platform's mixed in (hash of both). */
struct qr_rng qr_tee_rng(struct qr_tee *t);

#endif
