/*
 * Online signing: one round, re-randomised, BIP32-tweaked.
 *
 * What: qr_sign_share turns one presignature and one agreed input into one share; qr_sign_combine
 *       turns t shares into a signature that has been verified and recovered.
 * Why the presignature is passed as `struct qr_presig *`: qr_sign_share wipes it before the first
 *      share byte is computed, so that whoever holds the pointer holds nothing afterwards. The pool
 *      must have removed it already (consume first).
 * Invariants: every input of a share is in ctx; nothing leaves qr_sign_combine unverified; outputs
 *             are zeroed on every error path.
 * Source: SPEC.md section 9; Groth-Shoup 2021/1330 for the re-randomisation.
 */
#ifndef QR_SIGN_H
#define QR_SIGN_H

#include "protocol/group.h"
#include "protocol/key.h"
#include "protocol/presign.h"

/* What is the same for all items of a request; computed once by qr_sign_prepare. */
struct qr_sign_common {
    uint8_t key_id[32];
    uint32_t epoch;
    uint16_t S[QR_MAX_PARTIES], t;
    uint8_t request_id[32]; /* the client-visible request hash */
    uint8_t rq[32];         /* TH("request"; body, stamps) */
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    /* derived */
    qr_pt pk;      /* pk' */
    uint8_t pk33[33];
    qr_fq tau;
};

/* Derives pk', tau. Errors: HARDENED, SET, INFINITY, POINT. */
qr_err QR_MUST qr_sign_prepare(const struct qr_key_pub *key, const uint16_t *S, size_t t,
                               const uint8_t request_id[static 32], const uint8_t rq[static 32],
                               const uint32_t *path, size_t depth, struct qr_sign_common *ret);
/* rq of SPEC.md section 9. */
void qr_sign_rq(qr_view body, const qr_view *stamps, size_t n_stamps, uint8_t ret_rq[static 32]);

/* Public per-item values that combine needs again. */
struct qr_sign_item {
    uint8_t digest[32], ctx[32];
    qr_pt R;   /* R' */
    qr_fq rx;
    int recid; /* before low-S */
};

/*
 * Consumes *presig (wiped on every path) and writes the 96-byte share. `item` is filled for the
 * coordinator's use. Errors: SET (presig is of another set), INFINITY (burned).
 * Constant time in phi, u, v.
 */
qr_err QR_MUST qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32],
                             uint16_t item_index, struct qr_presig *presig,
                             uint8_t ret_share[static QR_SIGN_SHARE_LEN], struct qr_sign_item *item);
/*
 * t shares in the order of S. Errors: SID (a ctx differs; *ret_blame = its owner), SCALAR (blame),
 * BAD_SIGNATURE (nobody to blame when t > 2; the peer when t = 2). Public computation.
 */
qr_err QR_MUST qr_sign_combine(const struct qr_sign_common *c, const struct qr_sign_item *item,
                               const uint8_t *const *shares, uint8_t ret_sig[static 64],
                               int *ret_recid, uint16_t *ret_blame);

#endif
