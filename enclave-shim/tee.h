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
    struct qr_tee_mix *mix; /* qr_tee_rng's state, made on first use */
};

/* Verifies evidence of any supported platform against a binder; no policy. why: for operators. */
qr_err QR_MUST qr_tee_verify(enum qr_platform platform, qr_view evidence,
                             const uint8_t binder[static 32], struct qr_claims *ret, char *why,
                             size_t why_cap);

/*
 * The software TEE. state_dir holds its sealing key, file "sim-seal.key": made there at the first
 * start, 32 bytes, mode 0600, ours. The key that seals depends on it and on the measurement of the
 * running program, so another build does not open what this one sealed.
 * Errors: PERMISSIONS (mode, owner, directory others may write to), PLATFORM; err_text: what, where.
 */
qr_err QR_MUST qr_tee_sim_open(const char *state_dir, struct qr_tee *ret, char *err_text,
                               size_t err_cap);

/* Frees the platform and the state of its generator; the table is zeroed. Takes a zeroed one. */
void qr_tee_close(struct qr_tee *t);

/*
 * System randomness xored with a stream keyed by hash(system, platform): at least as good as the
 * better of the two, and the platform is asked once in QR_TEE_RESEED bytes. `t` must outlive it and
 * stay in place. Panics when memory for its state runs out. Single-threaded.
 */
#define QR_TEE_RESEED (64u * 1024u)
struct qr_rng qr_tee_rng(struct qr_tee *t);

#endif
