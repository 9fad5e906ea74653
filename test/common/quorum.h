/*
 * quorum: n parties in one process, joined by a queue; for tests and benches.
 *
 * What: drives the sans-IO machines of pairs, key generation, presigning and signing for all
 *       parties, from seeded generators. Every message goes through one queue, where a tap may
 *       look at it, change it, drop it or add others: that is how attacks are written.
 * Why: the machines meet here exactly what a network could bring them, and a failing run repeats.
 * Rules: parties are numbered 1..n and indexed so in every array (entry 0 is unused). Misuse of the
 *        harness itself aborts; errors of the machines are recorded per party, in err and blame.
 *        The machines of a run stay until the next run of the same kind or quorum_free.
 */
#ifndef TEST_QUORUM_H
#define TEST_QUORUM_H

#include "protocol/base/aes.h"
#include "protocol/base/view.h"
#include "protocol/dkg.h"
#include "protocol/pair.h"
#include "protocol/presign.h"
#include "protocol/sign.h"

#define QUORUM_SLOTS (QR_MAX_PARTIES + 1)

/*
 * A seeded generator: one ChaCha20 stream (RFC 8439, nonce zero, block 0 on), key = SHA-256 of a
 * seed string. The same as in test/model, so that transcripts can be compared.
 */
struct quorum_rng {
    uint8_t key[32];
    uint64_t drawn; /* bytes */
};
void quorum_rng_seed(struct quorum_rng *r, const char *seed);
/* A qr_rng over r, which must outlive it. */
struct qr_rng quorum_rng_of(struct quorum_rng *r);

struct quorum_msg {
    uint16_t from, to;
    enum qr_msg type;
    uint32_t epoch;
    uint8_t sid[32];
    uint8_t *p; /* len bytes, with room for one more */
    size_t len;
    int drop; /* set by the tap: forget it */
    struct quorum_msg *next;
};

struct quorum;
/* Called for each message when it is about to be delivered. */
typedef void (*quorum_tap)(void *ctx, struct quorum *q, struct quorum_msg *m);

struct quorum_party {
    uint16_t index;
    struct quorum *q;
    struct quorum_rng seed;
    struct qr_rng rng;
    uint8_t id_pk[32], id_sk[64], measurement[32], nonce[32];
    struct qr_aes *aes;
    struct qr_pair *pair[QUORUM_SLOTS]; /* by peer */
    struct qr_dkg *dkg;
    struct qr_key key; /* of the last key generation that was done */
    struct qr_presign *ps;
    struct qr_presig presig[QR_BATCH_MAX];
    size_t n_presig;
    qr_err err; /* of the last run; QR_OK */
    uint16_t blame;
    uint64_t cpu_ns; /* CPU of all calls made on its behalf, if q->timed */
    size_t worked;   /* quanta of the last presign run */
};

struct quorum {
    uint16_t n, t;
    struct quorum_party party[QUORUM_SLOTS];
    quorum_tap tap;
    void *tap_ctx;
    int timed;
    int shuffle; /* deliver in random order over links; each link stays in order */
    struct quorum_rng order;
    uint64_t batch_ctr;
    struct qr_dkg_params dkg; /* of the next key generation; self is filled in by the run */
    struct quorum_msg *head, **tail, *kept;
    /* what was sent, by message type */
    size_t sent_msgs[64], sent_bytes[64];
    size_t reserve_fails_after; /* reservations until one fails; SIZE_MAX: never */
    size_t outstanding;         /* reserved, neither committed nor cancelled */
};

/* Identities, nonces and generators from the seed; libraries started. t may be changed later. */
struct quorum *quorum_new(uint16_t n, uint16_t t, const char *seed);
/* Takes NULL; returns NULL. */
struct quorum *quorum_free(struct quorum *q);

/* Pair set-up between all parties of S at once; attempt 0. QR_OK when all are active. */
qr_err quorum_pairs(struct quorum *q, const uint16_t *S, size_t n);
/* The same for 1..n. */
qr_err quorum_pairs_all(struct quorum *q);

/* Key generation among 1..n by q->dkg; QR_OK when all are done. Otherwise the first error. */
qr_err quorum_dkg(struct quorum *q);

/* The names of the next batch of S: a new counter and nonce. */
void quorum_batch_id(struct quorum *q, const uint16_t *S, uint16_t t, uint16_t B,
                     struct qr_batch_id *ret);
/*
 * The three steps of a batch, for tests that want to stand between them: makes the machines of id->S;
 * starts one; after quorum_pump, takes over the results (QR_ERR_TIMEOUT if somebody is not done).
 */
qr_err quorum_presign_init(struct quorum *q, const struct qr_batch_id *id);
void quorum_presign_start(struct quorum *q, uint16_t party);
qr_err quorum_presign_collect(struct quorum *q, const struct qr_batch_id *id);
/* One batch by S; QR_OK when all members are done: party[i].presig then holds B presignatures. */
qr_err quorum_presign(struct quorum *q, const uint16_t *S, uint16_t t, uint16_t B);
/* The same with given names. */
qr_err quorum_presign_id(struct quorum *q, const struct qr_batch_id *id);

struct quorum_input {
    uint8_t digest[32], request_id[32], rq[32];
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    uint16_t item;
};

/*
 * All of S sign with presignature number `slot` of their last batch; S[0] combines. `shares` (may
 * be NULL) gets the shares before they are combined and may change them.
 */
qr_err quorum_sign(struct quorum *q, const uint16_t *S, uint16_t t, size_t slot,
                   const struct quorum_input *in,
                   void (*shares)(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN]), void *ctx,
                   uint8_t ret_sig[static 64], int *ret_recid, uint16_t *ret_blame);

/* A party's way into the queue, for calls that a test makes itself. */
struct qr_outbox quorum_outbox(struct quorum_party *p);
/* Puts a message at the end of the queue, as if `from` had sent it. */
void quorum_inject(struct quorum *q, uint16_t from, uint16_t to, enum qr_msg type,
                   const uint8_t *sid, qr_view payload);
/* Takes the next message out of the queue, past the tap; NULL if there is none. Give it back. */
struct quorum_msg *quorum_next(struct quorum *q);
/* Delivers it to its machine; no work is done. The message is the harness's again. */
void quorum_deliver(struct quorum *q, struct quorum_msg *m);
/* Delivers and works until nothing is left to do. */
void quorum_pump(struct quorum *q);

/* CPU time of this thread, nanoseconds. */
uint64_t quorum_cpu_ns(void);

/* sk from the shares of the first t parties of S (tests only: nothing else may ever do this). */
void quorum_reconstruct(const struct quorum *q, const uint16_t *S, size_t t, qr_fq *ret_sk);
/* ECDSA verification by OpenSSL, from the encodings alone: 1 if it verifies. */
int quorum_openssl_verify(const uint8_t pk33[static 33], const uint8_t digest[static 32],
                          const uint8_t sig[static 64]);

#endif
