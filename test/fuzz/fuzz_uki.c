/*
 * Unified kernel images: refused with a printable sentence, or read and measured; measured twice it is
 * the same, and PCR 12 is zero.
 */
#include "daemon/uki.h"
#include "test/fuzz/kit.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct qr_uki_firmware none = {0};
    static const uint8_t zero[QR_UKI_PCR];
    struct qr_uki_pcrs p, q;
    struct qr_uki u;
    char why[QR_UKI_ERR_MAX] = "";
    qr_err e = qr_uki_read(qr_view_of(data, size), &u, why);

    for (size_t i = 0; e == QR_OK && i < QR_UKI_SECTIONS; i++) {
        /* What is not in the file is zeros, made when they are hashed: not 512 MiB a run. */
        if (u.size[i] > (1u << 20)) {
            return 0;
        }
    }
    if (e == QR_OK) {
        e = qr_uki_measure(&u, &none, &p, why);
    }
    if (e != QR_OK) {
        FUZZ_MUST(why[0] != '\0' && strnlen(why, sizeof why) < sizeof why);
        return 0;
    }
    FUZZ_MUST(qr_uki_measure(&u, &none, &q, why) == QR_OK && memcmp(&p, &q, sizeof p) == 0);
    FUZZ_MUST(memcmp(p.pcr12, zero, sizeof zero) == 0);
    return 0;
}
