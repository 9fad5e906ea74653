/*
 * qr_tee_azure: an Azure confidential VM, on SEV-SNP or TDX as its report says.
 *
 * What: the paravisor's HCL report from NV 0x01400001, a quote by its attestation key 0x81000003 over the
 *       binder, AMD's certificates through the gateway (need "azure-thim"); on TDX the TD quote, which
 *       only the host's metadata service makes (need "azure-tdquote"), and Intel's lists.
 * Chain: processor -> paravisor -> runtime data -> attestation key -> quote -> binder. The vTPM is inside
 *       the TEE, in the paravisor: its PCRs are as good as the paravisor's measurement, which Microsoft
 *       signs.
 * Sealing: by that vTPM (tee_root.h).
 * On TDX there is no evidence until the gateway has brought the TD quote: PLATFORM, and why() says so.
 */
#ifndef QR_TEE_AZURE_H
#define QR_TEE_AZURE_H

#include "enclave-shim/tee_open.h"

#define QR_AZURE_NV_REPORT 0x01400001u
#define QR_AZURE_NV_AK_CERT 0x01c101d0u
#define QR_AZURE_AK 0x81000003u

extern const struct qr_tee_profile qr_tee_azure_profile, qr_tee_azure_kept_profile;

/* As qr_tee_open. */
qr_err QR_MUST qr_tee_azure_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                                 size_t err_cap);

#endif
