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

#include "enclave-shim/verify/verify.h"
#include "protocol/base/mem.h"
#include "protocol/base/rng.h"
#include "transport/attest_if.h"

#define QR_SEAL_OVERHEAD 64u /* sealed length <= plain length + this */

struct qr_tee_piece {
    enum qr_part part;
    qr_view body;
};

struct qr_tee {
    void *ctx;
    enum qr_platform platform;
    uint8_t measurement[32];
    int insecure; /* 1 for sim */
    /*
     * Appends evidence whose user field is the binder: tee_sim.h's form from the software TEE, the
     * wire form of enclave-shim/verify/evidence.h, with certificates and collateral, from hardware.
     */
    qr_err (*evidence)(void *ctx, const uint8_t binder[32], struct qr_buf *out);
    /* AEAD under the platform's sealing key; ad is bound. */
    qr_err (*seal)(void *ctx, qr_view ad, qr_view plain, struct qr_buf *out);
    /* QR_ERR_SEAL when anything differs. out holds secrets: give it locked memory. */
    qr_err (*unseal)(void *ctx, qr_view ad, qr_view sealed, struct qr_buf *out);
    void (*random)(void *ctx, uint8_t *out, size_t n); /* mixed into the system generator */
    /*
     * What this platform's evidence wants from vendors: the JSON of daemon/gw_need.h, appended.
     * NULL: nothing, ever.
     */
    qr_err (*needs)(void *ctx, struct qr_dbuf *out);
    /*
     * The host brings what it fetched for one need, piece by piece under the names of
     * enclave-shim/verify/parts.def. Untrusted: kept to travel with the evidence, where every
     * verifier, our own first, judges it. PLATFORM: not asked for, or not of use. NULL: never asked.
     */
    qr_err (*collateral)(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n);
    void (*free)(void *ctx);
    struct qr_tee_mix *mix; /* qr_tee_rng's state, made on first use */
};

/*
 * Verifies evidence of any platform against a binder; authenticity alone, no policy. o: roots, time,
 * what the policy and memory give (its binder is not looked at). *v and *out are written in any case;
 * for the software TEE they are empty. `why`, for operators, is v's sentence where there is one.
 * Errors: ATTESTATION; NO_MEMORY.
 */
qr_err QR_MUST qr_tee_verify(enum qr_platform platform, qr_view evidence,
                             const uint8_t binder[static 32], const struct qr_verify_opts *o,
                             struct qr_verdict *v, struct qr_verify_out *out, struct qr_claims *ret,
                             char *why, size_t why_cap);

/*
 * What evidence for a client commits to:
 *   SHA-256("quorate/client-evidence/v1" || nonce || identity key || policy hash || roster hash ||
 *           boot nonce)
 * Fixed lengths, so nothing can be shifted. A caller gives a nonce and never the platform's user
 * field: no nonce makes this the binder of a channel, which is a hash over other bytes.
 */
void qr_client_binder(const uint8_t nonce[static 32], const uint8_t identity[static 32],
                      const uint8_t policy_hash[static 32], const uint8_t roster_hash[static 32],
                      const uint8_t boot_nonce[static 32], uint8_t out[static 32]);

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
