/*
 * RVOLE: one presignature's two multiplications of an ordered pair, from 416 correlated OT rows.
 *
 * What: Alice puts in a_0, a_1, Bob gets a random b = sum g_j * beta_j; they end with additive
 *       shares c_i + d_i = a_i * b (mod q). One payload of QR_RVOLE_LEN bytes, Alice -> Bob,
 *       checked by C2.
 * Why: with a_0 = r_A and a_1 = sk_A this is all the secret multiplication that ECDSA needs.
 * Invariants: g is fixed by rsid; a (rsid, k) is used once; pads are separated by global row,
 *             column and half, and by rsid through the AES key. C2 and both products are computed
 *             to their end before the one verdict.
 * Constant time: in everything but the payload's canonical form, which is public.
 * Memory: no heap; scratch is the caller's, and the caller wipes it when the batch ends.
 * Source: SPEC.md section 6; DKLs23, ePrint 2023/765, protocol 5.2.
 */
#ifndef QR_RVOLE_H
#define QR_RVOLE_H

#include "protocol/base/aes.h"
#include "protocol/base/err.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/secret.h"
#include "protocol/fq.h"

/* What all presignatures of one batch and ordered pair share. */
struct qr_rvole {
    const uint8_t *rsid; /* 32 bytes */
    const qr_fq *g;      /* QR_XI scalars, from qr_gadget(rsid) */
    struct qr_aes *aes;  /* last keyed by qr_rvole_key(aes, rsid) */
    void *scratch;       /* qr_rvole_scratch() bytes, 64-byte aligned; may be shared by all */
};

/* Bytes; about 60 KB. */
size_t qr_rvole_scratch(void);
/* Keys aes for the pads of rsid; again whenever aes was keyed for something else. */
void qr_rvole_key(struct qr_aes *aes, const uint8_t rsid[static 32]);
/* The gadget vector: once per batch and ordered pair. About 35 us. Public. */
void qr_gadget(const uint8_t rsid[static 32], qr_fq ret_g[static QR_XI]);

/*
 * Alice, presignature k of the batch (0..B-1). rows_q: all rows of the batch, from qr_cot_recv;
 * a: her two inputs; a_hat: fresh uniform scalar. Writes payload (QR_RVOLE_LEN bytes) and c_0, c_1.
 */
void qr_rvole_alice(const struct qr_rvole *v, uint16_t k, const struct qr_sec16 *rows_q,
                    const struct qr_sec16 *delta, const qr_fq a[static 2], const qr_fq *a_hat,
                    uint8_t payload[static QR_RVOLE_LEN], qr_fq ret_c[static 2]);

/* Bob's b = chi_{B,A} of presignature k. beta: choice bits of the whole batch (qr_cot_send's). */
void qr_rvole_mask(const qr_fq g[static QR_XI], const uint8_t *beta, uint16_t k, qr_fq *ret_b);

/*
 * Bob, presignature k. rows_t, beta: of the whole batch, as in qr_cot_send. QR_ERR_SCALAR for a
 * payload with a scalar >= q, before anything secret is touched; QR_ERR_CHECK if C2 fails: the pair
 * must then be retired. Writes d_0, d_1 on success only.
 */
qr_err QR_MUST qr_rvole_bob(const struct qr_rvole *v, uint16_t k, const struct qr_sec16 *rows_t,
                            const uint8_t *beta, const uint8_t payload[static QR_RVOLE_LEN],
                            qr_fq ret_d[static 2]);

#endif
