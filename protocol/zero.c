#include "protocol/zero.h"

#include "protocol/base/hash.h"

void
qr_zero_share(const struct qr_sec32 *const *z, const uint16_t *S, size_t t, uint16_t self,
              const uint8_t batch_sid[static 32], uint16_t idx, qr_fq *ret)
{
    qr_fq sum QR_WIPE(qr_fq) = qr_fq_zero;
    qr_fq term QR_WIPE(qr_fq);
    uint8_t wide[64], idx_be[2];

    qr_put16(idx_be, idx);
    for (size_t k = 0; k < t; k++) {
        if (S[k] == self)
            continue;
        qr_tb(QR_TAG_ZERO, QR_FIELDS(QR_F(z[k]->b, 32), QR_F(batch_sid, 32), QR_F(idx_be, 2)),
              wide);
        qr_fq_reduce64(&term, wide);
        if (S[k] > self)
            qr_fq_add(&sum, &sum, &term);
        else
            qr_fq_sub(&sum, &sum, &term);
    }
    *ret = sum;
    qr_wipe(wide, sizeof wide);
}
