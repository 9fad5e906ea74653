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
    qr_pt pk; /* pk' */
    uint8_t pk33[33];
    qr_fq tau;
};

/*
 * Checks S against the key (exactly t strictly ascending members) and derives pk', tau. Errors: SET,
 * TOO_LARGE (depth > QR_PATH_MAX), HARDENED, INFINITY, POINT. Public, variable time.
 */
qr_err QR_MUST qr_sign_prepare(const struct qr_key_pub *key, const uint16_t *S, size_t t,
                               const uint8_t request_id[static 32], const uint8_t rq[static 32],
                               const uint32_t *path, size_t depth, struct qr_sign_common *ret);
/* rq of SPEC.md section 9; at most QR_STAMPS_MAX stamps of at most QR_STAMP_MAX bytes. */
void qr_sign_rq(qr_view body, const qr_view *stamps, size_t n_stamps, uint8_t ret_rq[static 32]);

/* Public per-item values that combine needs again. */
struct qr_sign_item {
    uint8_t digest[32], ctx[32];
    qr_pt R; /* R' */
    qr_fq rx;
    int recid; /* before low-S */
};

/*
 * rx = x mod q and the recovery id before low-S of a nonce point with these coordinates:
 * odd | (x >= q) << 1. x is a field element (32 bytes big-endian, below the field's prime).
 * QR_ERR_INFINITY if rx = 0 (the presignature is burned).
 */
qr_err QR_MUST qr_sign_rx(const uint8_t x[static 32], int odd, qr_fq *ret_rx, int *ret_recid);

/*
 * Consumes *presig (wiped on every path, before anything is computed from it) and writes the 96-byte
 * share. `item` is filled for the coordinator's use. On an error both outputs are zeroed. Errors:
 * CONSUMED (the slot is empty: wiped, used already), SET (presig is of another set), INFINITY
 * (burned), POINT. Constant time in phi, u, v.
 */
qr_err QR_MUST qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32],
                             uint16_t item_index, struct qr_presig *presig,
                             uint8_t ret_share[static QR_SIGN_SHARE_LEN],
                             struct qr_sign_item *item);
/*
 * t shares in the order of S; the caller's own is among them. Errors: SID (a ctx differs;
 * *ret_blame = its owner), SCALAR (blame), BAD_SIGNATURE (*ret_blame = 0: at t = 2 the caller knows
 * that it was its only peer, at t > 2 nobody can tell). On an error the signature and recid are
 * zeroed. Public computation, variable time.
 */
qr_err QR_MUST qr_sign_combine(const struct qr_sign_common *c, const struct qr_sign_item *item,
                               const uint8_t *const *shares, uint8_t ret_sig[static 64],
                               int *ret_recid, uint16_t *ret_blame);

#endif
