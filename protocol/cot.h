/*
 * Correlated OT extension (SoftSpokenOT, k = 8) for one presigning batch and one ordered pair.
 *
 * What: n = 416*B rows with t_j = q_j ^ beta_j * Delta. Bob has the choice bits beta and t, Alice
 *       has Delta and q. One message of QR_COT_LEN(B) bytes, Bob -> Alice, checked by C1.
 * Why: RVOLE needs 416 such rows a presignature; a batch pays for the check and its 128 masking
 *      bits once.
 * Invariants: an rsid is used once, with one beta'; all parameters of C1 are 128 bits, because its
 *       challenge is a hash and can be tried off line. C1 is computed to its end before its one
 *       verdict; a failure says nothing of where.
 * Constant time: in seeds, beta' and Delta.
 * Memory: no heap; the caller gives rows and scratch and wipes them.
 * Source: SPEC.md section 5; Roy, ePrint 2022/192, figures 8 and 10; DKLs23 section 5.1.
 */
#ifndef QR_COT_H
#define QR_COT_H

#include "protocol/base/aes.h"
#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/secret.h"

/* Rows of a batch, and bytes of beta' (choice bits, then 128 masking bits). B: 4, 8, 12 or 16. */
#define QR_COT_ROWS(B) QR_COT_BITS(B)
#define QR_COT_BETA_LEN(B) QR_COT_ROW_BYTES(B)

/* Bytes of scratch for either role, 64-byte aligned; about 22 KB. Secret afterwards. */
size_t qr_cot_scratch(uint16_t B);

/*
 * Bob. seed: all leaves, qr_pair_keys.bob_seed. beta: QR_COT_BETA_LEN(B) fresh random bytes.
 * aes is re-keyed. Writes msg (QR_COT_LEN(B) bytes) and QR_COT_ROWS(B) rows t_j (64-byte aligned).
 */
void qr_cot_send(const uint8_t rsid[static 32], const struct qr_sec16 (*seed)[256], uint16_t B,
                 const uint8_t *beta, struct qr_aes *aes, void *scratch, uint8_t *msg,
                 struct qr_sec16 *rows_t);

/*
 * Alice. seed: qr_pair_keys.alice_seed; the punctured entries may hold anything. msg: exactly
 * QR_COT_LEN(B) bytes, every value of which is well formed. Writes QR_COT_ROWS(B) rows q_j (64-byte
 * aligned); QR_ERR_CHECK if C1 fails, and the rows must then be thrown away and the pair retired.
 */
qr_err QR_MUST qr_cot_recv(const uint8_t rsid[static 32], const struct qr_sec16 (*seed)[256],
                           const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg,
                           struct qr_aes *aes, void *scratch, struct qr_sec16 *rows_q);

#endif
