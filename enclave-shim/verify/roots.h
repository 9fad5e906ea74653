/*
 * qr_roots: which root certificates are believed, by SHA-256 of their DER, per vendor.
 *
 * What: the table of fingerprints that a verdict may end in. The certificates travel with the
 *       evidence and mean nothing by themselves.
 * Why: a fingerprint can be read aloud and compared with the vendor's page; a trust store cannot.
 * Invariants: `qr_roots_builtin` is the product's only table; tests pass their own.
 * Source: attestation.md of the design; fingerprints as published by the vendors.
 */
#ifndef QR_ROOTS_H
#define QR_ROOTS_H

#include "protocol/base/view.h"

enum qr_vendor_root {
    QR_ROOT_AWS_NITRO,
    QR_ROOT_AMD_MILAN,
    QR_ROOT_AMD_GENOA,
    QR_ROOT_AMD_TURIN,
    QR_ROOT_INTEL,
    QR_ROOT_GOOGLE_VTPM, /* two generations */
    QR_ROOT_MICROSOFT_VTPM,
    QR_ROOT_CONFIDENTIAL_SPACE,
    QR_ROOT_COUNT
};

#define QR_ROOT_PINS 4u

struct qr_roots {
    struct {
        size_t n;
        uint8_t sha256[QR_ROOT_PINS][32];
    } of[QR_ROOT_COUNT];
};

const struct qr_roots *qr_roots_builtin(void);
int qr_root_pinned(const struct qr_roots *r, enum qr_vendor_root v,
                   const uint8_t sha256[static 32]);

#endif
