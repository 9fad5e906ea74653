/*
 * Zero sharing: pseudorandom zeta_i with sum 0 over a signing set, from pairwise seeds.
 *
 * What: zeta_i(idx) = sum over j in S of +-TS("zero"; z_ij, batch_sid, idx), + towards higher
 *       indices and - towards lower ones, so that every pair's terms cancel.
 * Why: it turns lambda_i * x_i into an additive share of the key that is fresh in each
 *      presignature, without a round. batch_sid binds S.
 * Constant time: in the seeds and the result.
 * Source: SPEC.md section 4.
 */
#ifndef QR_ZERO_H
#define QR_ZERO_H

#include "protocol/base/secret.h"
#include "protocol/fq.h"

/*
 * S: t distinct party indices that contain self, in any order. z[k]: zero seed with S[k] (struct
 * qr_pair_keys.zero_seed); the entry of self is not read. idx: 0..B-1.
 */
void qr_zero_share(const struct qr_sec32 *const *z, const uint16_t *S, size_t t, uint16_t self,
                   const uint8_t batch_sid[static 32], uint16_t idx, qr_fq *ret);

#endif
