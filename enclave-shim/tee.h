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
#include "protocol/base/secret.h"
#include "transport/attest_if.h"

#define QR_SEAL_OVERHEAD 64u /* sealed length <= plain length + this */

/* How much of the machine evidence speaks of. */
enum qr_tee_grain {
    QR_TEE_PROCESS, /* this program's file, on a kernel that nobody vouches for */
    QR_TEE_IMAGE,   /* everything that runs: kernel, command line, file systems */
    QR_TEE_MACHINE, /* firmware and what it started, as far as the machine was told to measure */
};

/*
 * What a platform can do. The daemon refuses a configuration that does not fit it, and names the key.
 */
struct qr_tee_profile {
    const char *name; /* the word of `[tee] platform` */
    enum qr_tee_grain grain;
    int network;         /* 0: loopback only, everything goes through the pump */
    int disk;            /* 0: nothing survives here, the store must be the host's */
    int clock_signed;    /* 1: `time` is signed by the platform; 0: the host's word only */
    int keeps_secrets;   /* 1: sealing outlives a restart under the platform's own protection */
    uint64_t memory_max; /* bytes a party may plan with; 0: what the machine has */
};

struct qr_tee_piece {
    enum qr_part part;
    qr_view body;
};

struct qr_tee {
    void *ctx;
    const struct qr_tee_profile *profile; /* static */
    enum qr_platform platform;
    uint8_t measurement[32];
    int insecure; /* 1 for sim */
    /*
     * Appends evidence whose user field is the binder: tee_sim.h's form from the software TEE, the
     * wire form of enclave-shim/verify/evidence.h, with certificates and collateral, from hardware.
     */
    qr_err (*evidence)(void *ctx, const uint8_t binder[32], struct qr_buf *out);
    /* AEAD under the platform's sealing key of this epoch (0: of all); ad is bound. */
    qr_err (*seal)(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out);
    /* QR_ERR_SEAL when anything differs. out holds secrets: give it locked memory. */
    qr_err (*unseal)(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out);
    /*
     * The platform's part of a key that is made of more than the platform: 32 bytes for (epoch,
     * label, ad), the same at every start of code that may open what this code sealed, unknown
     * elsewhere, and apart from the keys of `seal`. label: static, at most 32 bytes; ad: at most
     * QR_SEAL_AD_MAX. PLATFORM.
     */
    qr_err (*derive)(void *ctx, uint32_t epoch, const char *label, qr_view ad,
                     struct qr_sec32 *ret);
    /*
     * Wall clock, ms since 1970, as the platform tells it: signed if the profile says so, else a hint.
     * NULL: it has none beyond the system's. PLATFORM.
     */
    qr_err (*time)(void *ctx, int64_t *ret_ms);
    /*
     * Code of a release below `minimum` shall open nothing from now on; it only rises. NULL: sealing
     * is to one build, so there is nothing to revoke. PLATFORM; what was raised so far stays raised.
     */
    qr_err (*revoke)(void *ctx, uint64_t minimum);
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
    /*
     * Why the last call failed: what, where, what to do; for operators. Valid until the next call.
     * NULL: the error's own text is all there is (see qr_tee_why).
     */
    const char *(*why)(void *ctx);
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

/* The platform's own words for why its last call failed with e, or else the error's. Never NULL. */
const char *qr_tee_why(const struct qr_tee *t, qr_err e);

/* Frees the platform and the state of its generator; the table is zeroed. Takes a zeroed one. */
void qr_tee_close(struct qr_tee *t);

/*
 * System randomness xored with a stream keyed by hash(system, platform, processor): at least as good
 * as the best of the three. Platform and processor are asked once in QR_TEE_RESEED bytes. `t` must
 * outlive it and stay in place. Panics when memory for its state runs out. Single-threaded.
 */
#define QR_TEE_RESEED (64u * 1024u)
struct qr_rng qr_tee_rng(struct qr_tee *t);

#endif
