#include "daemon/receipt.h"
#include "protocol/base/hash.h"

void
qr_receipt_hash(qr_view record, uint64_t made_ms, const uint8_t nonce[static 32],
                const uint8_t boot_nonce[static 32], const uint8_t evidence[static 32],
                uint8_t ret[static 32])
{
    uint8_t at[8];
    qr_put64(at, made_ms);
    qr_th(QR_TAG_RECEIPT,
          QR_FIELDS(record, QR_F(at, 8), QR_F(nonce, 32), QR_F(boot_nonce, 32), QR_F(evidence, 32)),
          ret);
}
