/*
 * qr_attester: evidence and its verdict, as the transport sees them.
 *
 * What: the two functions the channel needs from the layer above: make evidence over a 32-byte
 *       binder the channel composed, and judge a peer's.
 * Why: the transport composes binders and never attests caller-chosen data; the platform and the
 *      policy stay above it.
 */
#ifndef QR_ATTEST_IF_H
#define QR_ATTEST_IF_H

#include "protocol/base/buf.h"
#include "protocol/base/limits.h"

/* Platform ids on the wire and in binders. */
enum qr_platform {
    QR_PLATFORM_SIM = 1,
    QR_PLATFORM_NITRO = 2,
    QR_PLATFORM_SNP = 3,
    QR_PLATFORM_TDX = 4,
    QR_PLATFORM_AZURE_VTPM = 5,
    QR_PLATFORM_GCP_VTPM = 6,
};

const char *qr_platform_name(enum qr_platform p); /* "sim", "nitro", … or "unknown" */

/* What the verdict says of a peer; extended when hardware verifiers arrive. */
struct qr_claims {
    enum qr_platform platform;
    uint8_t measurement[32]; /* digest of what runs there */
    uint8_t debug;           /* 1: a debugger can read it */
    uint8_t insecure;        /* 1: software TEE */
};

struct qr_attester {
    void *ctx;
    enum qr_platform platform; /* our own */
    uint8_t measurement[32];   /* our own */
    /* Appends evidence whose user data is exactly this binder. QR_ERR_PLATFORM. */
    qr_err (*evidence)(void *ctx, const uint8_t binder[32], struct qr_buf *out);
    /*
     * Verifies a peer's evidence against the expected binder and the policy in force. Errors:
     * ATTESTATION, INSECURE_SIM; `why` (for the operator) names the rule and the difference.
     */
    qr_err (*verify)(void *ctx, uint16_t peer, enum qr_platform platform, qr_view evidence,
                     const uint8_t binder[32], struct qr_claims *ret, char *why, size_t why_cap);
};

#endif
