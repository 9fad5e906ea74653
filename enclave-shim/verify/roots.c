/*
 * The product's only table of roots: SHA-256 of each certificate's DER, until when it is valid, and
 * where its vendor shows it.
 */
#include "enclave-shim/verify/roots.h"

#include "protocol/base/check.h"

/* A fingerprint in four words, as one reads it. */
#define BYTES(w)                                                                                   \
    (uint8_t)((w) >> 56), (uint8_t)((w) >> 48), (uint8_t)((w) >> 40), (uint8_t)((w) >> 32),        \
        (uint8_t)((w) >> 24), (uint8_t)((w) >> 16), (uint8_t)((w) >> 8), (uint8_t)(w)
#define SHA(a, b, c, d)                                                                            \
    {                                                                                              \
        BYTES(UINT64_C(a)), BYTES(UINT64_C(b)), BYTES(UINT64_C(c)), BYTES(UINT64_C(d))             \
    }

/* clang-format off */
static const struct qr_roots builtin = {.of = {
    /* aws.nitro-enclaves, until 2049-10-28. Printed under "Verifying the root of trust" in the
       documentation of Nitro Enclaves; the other fingerprint there is of the zip file. */
    [QR_ROOT_AWS_NITRO] = {1, {
        SHA(0x641a0321a3e244ef, 0xe456463195d60631, 0x7ed7cdcc3c1756e0, 0x9893f3c68f79bb5b),
    }},
    /* ARK-Milan, until 2045-10-22: kdsintf.amd.com/vcek/v1/Milan/cert_chain */
    [QR_ROOT_AMD_MILAN] = {1, {
        SHA(0x69d063b45344d26a, 0x2e94e1f4210de49e, 0xf555308287d4c174, 0x445c95639a540bcd),
    }},
    /* ARK-Genoa, until 2047-01-26: .../Genoa/cert_chain; Siena and Bergamo have it, too */
    [QR_ROOT_AMD_GENOA] = {1, {
        SHA(0x4c6598d19c18719c, 0x5dfd4a7d335f674e, 0x5bfe1d8f800cea2c, 0xf270c10d103db2f1),
    }},
    /* ARK-Turin, until 2048-05-15: .../Turin/cert_chain */
    [QR_ROOT_AMD_TURIN] = {1, {
        SHA(0x1f084161a44bb6d9, 0x3778a904877d4819, 0xcafa5d05ef4193b2, 0xded9dd9c73dd3f6a),
    }},
    /* Intel SGX Root CA, until 2049-12-31, for SGX and TDX; its key is the one in the source of
       Intel's quote verification enclave. */
    [QR_ROOT_INTEL] = {1, {
        SHA(0x44a0196b2b99f889, 0xb8e149e95b807a35, 0x0e7424964399e885, 0xa7cbb8ccfab674d3),
    }},
    /* tpm_ek_v1_cloud_host_root, until 2118-04-06, and EK/AK CA Root, until 2122-07-08:
       pki.goog/cloud_integrity */
    [QR_ROOT_GOOGLE_VTPM] = {2, {
        SHA(0x9bd5285f8fb18502, 0xa7947e621ffd4702, 0x66f49fcd3b73e19a, 0x190f690ad32a7caf),
        SHA(0x594759594b9b6152, 0x4f6c8ef668f7177f, 0x7b9066bc0674f2f4, 0x9fe9e052be78beb2),
    }},
    /* Azure Virtual TPM Root Certificate Authority 2023, until 2048-06-01. Printed in "Trusted
       Launch for Azure VMs FAQ", section Certificates. */
    [QR_ROOT_MICROSOFT_VTPM] = {1, {
        SHA(0xe6c596b17f8ffefb, 0xa5c300f714cfb126, 0x0c6028704ecf7bec, 0xc4ab5018efb00e95),
    }},
    /* Confidential Space Root CA, until 2034-01-16: confidential_space_root.crt below
       confidentialcomputing.googleapis.com/.well-known */
    [QR_ROOT_CONFIDENTIAL_SPACE] = {1, {
        SHA(0x148b293821bb0c6a, 0x317f413c8ba47581, 0x4091cb22d49b9e3c, 0x94198db8e8f86c39),
    }},
}};
/* clang-format on */

const struct qr_roots *
qr_roots_builtin(void)
{
    return &builtin;
}

int
qr_root_pinned(const struct qr_roots *r, enum qr_vendor_root v, const uint8_t sha256[static 32])
{
    QR_ASSERT((unsigned)v < QR_ROOT_COUNT && r->of[v].n <= QR_ROOT_PINS);
    for (size_t i = 0; i < r->of[v].n; i++) {
        if (memcmp(r->of[v].sha256[i], sha256, 32) == 0) {
            return 1;
        }
    }
    return 0;
}
