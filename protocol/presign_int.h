/*
 * Inside presigning: the machine's state, shared by presign.c (messages, order of events, exits) and
 * presign_slot.c (the arithmetic of one slot).
 *
 * What: one block of locked memory: the machine, its results, then everything that is wiped when it
 *       ends. Peers are in ascending order of their index, as SPEC.md's draw order wants it.
 * Why: the two halves are read separately: one is about protocol state, the other about numbers.
 * Rules: for these two files only.
 */
#ifndef QR_PRESIGN_INT_H
#define QR_PRESIGN_INT_H

#include "protocol/group.h"
#include "protocol/presign.h"

enum qr_ps_phase {
    NEW,
    ROUND1, /* PRESIGN1 sent; C1 of each peer as its message comes */
    ROUND2, /* PRESIGN2 reserved; filled slot by slot */
    CHECK2, /* PRESIGN2 sent; each peer's message is parsed as it comes */
    FINISH, /* all parsed; C2 and C3 slot by slot */
    DONE,
    FAILED,
};

/* The public points of one peer and slot, parsed once. */
struct qr_ps_points {
    qr_pt R, pk, gamma_u, gamma_v;
    qr_fq psi;
};

struct qr_ps_peer {
    uint16_t party;
    const struct qr_pair *pair;
    uint8_t pair_sid[32];           /* at init: a pair set up anew is another pair */
    uint8_t rsid_a[32], rsid_b[32]; /* self as Alice; self as Bob */
    uint8_t com[32];
    int have1, c1_done, parsed;
    qr_view msg2;  /* p != NULL: received, kept by reference */
    uint8_t *out2; /* reserved, not yet committed */
    uint8_t *cot;  /* received COT message, public */
    uint8_t *beta; /* secret: choice bits and mask as Bob */
    qr_fq *g_a, *g_b;
    struct qr_sec16 *rows_q, *rows_t;
    qr_fq *chi;               /* [B], secret: our mask b in rsid_b */
    struct qr_ps_points *pts; /* [B] */
    unsigned failed;          /* C2 or C3 of any slot; looked at once, at the end */
    unsigned malformed;       /* payload with a scalar >= q */
};

/* Our own values of one presignature; secret but R and pk. */
struct qr_ps_own {
    qr_fq r, phi, sk;
    qr_fq c_u, c_v; /* sums over the peers, of c_0 and c_1 */
    qr_pt R, pk;
};

struct qr_presign {
    enum qr_ps_phase phase;
    uint16_t t, B, self, next_slot, n_peers;
    uint16_t S[QR_MAX_PARTIES];
    size_t size;
    const struct qr_key *key;
    struct qr_aes *aes;
    struct qr_outbox out; /* copied when PRESIGN2 is reserved, so that any exit can cancel */
    qr_pt pk;
    uint8_t batch_sid[32], com[32], salt[32], view[32];
    uint32_t epoch;
    qr_fq lambda;
    int sum_bad, infinity; /* found in FINISH; public */
    uint8_t *R33;          /* [33*B]: our R list, as committed */
    struct qr_ps_own *own; /* [B] */
    struct qr_presig *result;
    uint8_t *wipe_from; /* everything behind the results */
    void *scratch;      /* of COT and RVOLE */
    struct qr_ps_peer peer[QR_MAX_PARTIES - 1];
};

/* The peer's pair state, NULL if the pair is no longer the one the batch began with. */
const struct qr_pair_keys *qr_ps_keys(const struct qr_ps_peer *j);

/* Draws r and phi of the whole batch and the salt; commits to the R list. INFINITY. */
qr_err QR_MUST qr_ps_draw(struct qr_presign *p, const struct qr_rng *rng);
/* Writes slot idx of every peer's reserved PRESIGN2; all pairs are live. INFINITY. */
qr_err QR_MUST qr_ps_fill(struct qr_presign *p, uint16_t idx, const struct qr_rng *rng);
/*
 * Everything public about one peer's PRESIGN2: encodings, view, opening; no secret is used. POINT,
 * SCALAR, EQUIVOCATION, COMMITMENT.
 */
qr_err QR_MUST qr_ps_parse(struct qr_presign *p, struct qr_ps_peer *j);
/* C2, C3, sums and the presignature of slot idx; verdicts go to the flags, none is acted upon. */
void qr_ps_finish(struct qr_presign *p, uint16_t idx);

#endif
