#include "enclave-shim/tpm/tpm_tree.h"

#include "enclave-shim/tpm/tpm_seal.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <string.h>

/* TPMA_NV: a counter that its owner or anybody may read and raise, without dictionary attack lock. */
#define COUNTER_ATTRIBUTES 0x02060016u
#define WRITTEN 0x20000000u

void
qr_tpm_counter_name(uint8_t out[static QR_TPM_NAME_LEN])
{
    uint8_t mem[32];
    struct qr_buf b = qr_buf_over(mem, sizeof mem); /* TPMS_NV_PUBLIC */

    qr_buf_put32(&b, QR_TPM_COUNTER);
    qr_buf_put16(&b, 0x000b);
    qr_buf_put32(&b, COUNTER_ATTRIBUTES | WRITTEN);
    qr_buf_put16(&b, 0);
    qr_buf_put16(&b, 8);
    out[0] = 0x00;
    out[1] = 0x0b;
    qr_sha256(qr_buf_view(&b), out + 2);
}

/* n digests to n / 8. */
static void
join(uint8_t (*d)[32], size_t n)
{
    for (size_t i = 0; i < n / 8; i++) {
        uint8_t up[32];
        qr_tpm_policy_or((const uint8_t(*)[32])(d + 8 * i), 8, up);
        memcpy(d[i], up, 32);
    }
}

void
qr_tpm_tree_path(const uint8_t key_name[static QR_TPM_NAME_LEN], const struct qr_tpm_scale *s,
                 uint64_t release, struct qr_tpm_path *ret)
{
    uint8_t d[QR_TPM_WINDOW][32], counter[QR_TPM_NAME_LEN];
    size_t at = (size_t)(release - s->minimum);

    QR_ASSERT(release >= s->minimum && at < QR_TPM_WINDOW);
    qr_tpm_counter_name(counter);
    for (size_t i = 0; i < QR_TPM_WINDOW; i++) {
        uint8_t approved[32];
        qr_tpm_policy_authorize(key_name, s->minimum + i, approved);
        qr_tpm_policy_nv(approved, counter, s->start + i, d[i]);
    }
    size_t n = QR_TPM_WINDOW;
    for (size_t level = 0; level < QR_TPM_TREE_LEVELS; level++) {
        memcpy(ret->node[level], d[at / 8 * 8], sizeof ret->node[level]);
        join(d, n);
        n /= 8;
        at /= 8;
    }
    memcpy(ret->root, d[0], 32);
}
