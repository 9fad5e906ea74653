/*
 * All-but-one puncturable PRFs: 16 trees of 256 leaves made from 128 base OTs.
 *
 * What: Bob knows every leaf seed of 16 GGM trees; Alice knows all but leaf number Delta_g of tree
 *       g, where Delta_g is the complement of her eight choice bits (the first OT is the top bit).
 *       One message of QR_PPRF_LEN bytes from Bob to Alice.
 * Why: this is what makes the OT extension "soft spoken": 16 rows of corrections a batch, not 128.
 * Invariant: s~ commits Bob to one value for every leaf, so a malformed tree is either refused or
 *       costs him a guess of Delta_g; a refused set-up is thrown away with its choice bits.
 * Constant time: in choice bits, Delta and seeds. Alice computes both children of every node and
 *       selects with masks; nothing is indexed by Delta.
 * Source: SPEC.md section 3; Roy, ePrint 2022/192, figures 13 and 14 (k = 8).
 */
#ifndef QR_PPRF_H
#define QR_PPRF_H

#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/secret.h"

#define QR_PPRF_LEAVES 256u

/* Working memory of one call, secret afterwards: the caller wipes it (or its whole state). */
struct qr_pprf_work {
    uint8_t check[QR_PPRF_LEAVES][32];       /* c_0..c_255 of one tree */
    struct qr_sec16 node[2][QR_PPRF_LEAVES]; /* two levels of one tree */
};

/*
 * Bob. key: K_{j,c} in key[2*j + c], from qr_base_ot_answer. Writes the message and all leaf seeds,
 * seed[g][x] = sd_{g,x}. Cost: about 3 ms.
 */
void qr_pprf_build(const uint8_t sid[static 32], const struct qr_sec16 key[static 2 * QR_OT_COUNT],
                   struct qr_pprf_work *work, uint8_t msg[static QR_PPRF_LEN],
                   struct qr_sec16 (*seed)[QR_PPRF_LEAVES]);

/*
 * Alice. choice: bit j is b_j; key: K_{j,b_j}. Writes seed[g][x] for all x (the entry x = Delta_g
 * is meaningless) and Delta, byte g = Delta_g. All 16 trees are evaluated before the one verdict.
 * QR_ERR_SETUP if a tree's s~ does not match; the seeds must then be thrown away.
 */
qr_err QR_MUST qr_pprf_open(const uint8_t sid[static 32], const struct qr_sec16 *choice,
                            const struct qr_sec16 key[static QR_OT_COUNT],
                            const uint8_t msg[static QR_PPRF_LEN], struct qr_pprf_work *work,
                            struct qr_sec16 (*seed)[QR_PPRF_LEAVES], struct qr_sec16 *ret_delta);

#endif
