#include "protocol/derive.h"

#include "protocol/base/hash.h"

#define FIRST_HARDENED UINT32_C(0x80000000)

/* One step: (key, cc) become the child's, tau grows by the tweak. */
static qr_err
step(qr_pt *key, uint8_t cc[static 32], uint32_t index, qr_fq *tau)
{
    uint8_t data[33 + 4], i[64];
    qr_fq tweak;

    qr_pt_put(data, key);
    qr_put32(data + 33, index);
    qr_hmac_sha512(qr_view_of(cc, 32), qr_view_of(data, sizeof data), i);
    if (qr_fq_parse(&tweak, i) != QR_OK) {
        return QR_ERR_INFINITY;
    }
    QR_TRY(qr_pt_add_base_var(key, key, &tweak));
    qr_fq_add(tau, tau, &tweak);
    memcpy(cc, i + 32, 32);
    return QR_OK;
}

qr_err
qr_derive(const qr_pt *pk, const uint8_t cc[static 32], const uint32_t *path, size_t depth,
          qr_pt *ret_child, qr_fq *ret_tweak_sum, uint8_t *ret_cc)
{
    qr_pt key = *pk;
    qr_fq tau = qr_fq_zero;
    uint8_t code[32];

    if (depth > QR_PATH_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    for (size_t k = 0; k < depth; k++) {
        if (path[k] >= FIRST_HARDENED) {
            return QR_ERR_HARDENED;
        }
    }
    memcpy(code, cc, sizeof code);
    for (size_t k = 0; k < depth; k++) {
        QR_TRY(step(&key, code, path[k], &tau));
    }
    *ret_child = key;
    *ret_tweak_sum = tau;
    if (ret_cc) {
        memcpy(ret_cc, code, sizeof code);
    }
    return QR_OK;
}
