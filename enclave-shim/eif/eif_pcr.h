/*
 * qr_eif_pcrs: what an enclave started from an image will report.
 *
 * What: the platform configuration registers that the Nitro hypervisor sets before the first
 *       instruction, computed from the file alone.
 *
 *         ext(h) = SHA-384(48 zero bytes || h)
 *         PCR0 = ext(SHA-384(kernel || cmdline || ramdisks))            the whole image
 *         PCR1 = ext(SHA-384(kernel || cmdline || first ramdisk))       what boots
 *         PCR2 = ext(SHA-384(the other ramdisks))                       the application
 *         PCR3 = SHA-384(48 zero bytes || the parent's IAM role, its ARN)
 *         PCR4 = SHA-384(48 zero bytes || the parent's instance id)
 *         PCR8 = ext(SHA-384(DER of the signing certificate))           signed images only
 *
 * Payloads only: no section header, no metadata. With one ramdisk PCR0 = PCR1 and PCR2 says nothing:
 * it is the same value for every image. Debug mode (nitro-cli --debug-mode) reports zeros instead.
 * Source: AWS's documentation of enclave measurements; QEMU's hw/i386/nitro_enclave.c; compared with
 * AWS's tools and, through /dev/nsm, with QEMU's machine.
 */
#ifndef QR_EIF_PCR_H
#define QR_EIF_PCR_H

#include "enclave-shim/eif/eif.h"

#define QR_EIF_PCR 48u

struct qr_eif_pcrs {
    uint8_t pcr0[QR_EIF_PCR], pcr1[QR_EIF_PCR], pcr2[QR_EIF_PCR], pcr8[QR_EIF_PCR];
    int has_pcr8; /* signed */
};

/*
 * PCR0, 1 and 2 of an image; PCR8 when it has a signature section (whose signature is not checked here:
 * eif_sig.h). Errors: MALFORMED (no certificate can be read), CRYPTO_LIB.
 */
qr_err QR_MUST qr_eif_measure(const struct qr_eif *e, struct qr_eif_pcrs *ret);

/* PCR0 alone, of parts that have no signature yet. CRYPTO_LIB. */
qr_err QR_MUST qr_eif_pcr0(const struct qr_eif *e, uint8_t ret[static QR_EIF_PCR]);

/* PCR3 from a role's ARN, PCR4 from an instance id: the text as it is, without NUL. CRYPTO_LIB. */
qr_err QR_MUST qr_eif_pcr_text(qr_view text, uint8_t ret[static QR_EIF_PCR]);

/* PCR8 from a certificate's DER. CRYPTO_LIB. */
qr_err QR_MUST qr_eif_pcr8(qr_view der, uint8_t ret[static QR_EIF_PCR]);

#endif
