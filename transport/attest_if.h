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

/*
 * What a party can run on: the platform id in HELLO, binders and rosters. Numbers and names are those
 * of the kinds of evidence (enclave-shim/verify/kinds.def), so that one word means one thing in a
 * roster, a policy and a log. Kinds that prove no confidential machine of the sender's own (a bare
 * TPM, an AK certificate, a token) are second witnesses and stand in no roster.
 */
enum qr_platform {
    QR_PLATFORM_SIM = 1, /* the software TEE */
    QR_PLATFORM_NITRO = 2,
    QR_PLATFORM_SNP = 3,
    QR_PLATFORM_TDX = 4,
    QR_PLATFORM_SGX = 5,
    QR_PLATFORM_AZURE_SNP = 7,
    QR_PLATFORM_AZURE_TDX = 8,
    QR_PLATFORM_GCP_SNP = 9,
    QR_PLATFORM_GCP_TDX = 10,
};
#define QR_PLATFORM_LAST QR_PLATFORM_GCP_TDX

/* "sim", "aws-nitro", "amd-sev-snp", …; "unknown" for what is no party's platform. */
const char *qr_platform_name(enum qr_platform p);

/* What the verdict says of a peer, as far as the layers below the policy need it. */
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
     * Verifies a peer's evidence against the expected binder and the policy in force; boot_nonce
     * says which of the peer's processes shows it. Errors: ATTESTATION and INSECURE_SIM speak of
     * that process, and end its other connections, too; STALE says that nothing is wrong but the age
     * of something, and leaves what was accepted before to its own age. `why` (for the operator)
     * names the rule and the difference.
     */
    qr_err (*verify)(void *ctx, uint16_t peer, enum qr_platform platform,
                     const uint8_t boot_nonce[32], qr_view evidence, const uint8_t binder[32],
                     struct qr_claims *ret, char *why, size_t why_cap);
};

#endif
