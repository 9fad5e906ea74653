/*
 * qr_tee_gcp: a Google Cloud confidential VM, on SEV-SNP or TDX as the kernel's reports say.
 *
 * What: the processor's report whose data commits to the vTPM's attestation key and to the binder
 *       (verify/gcp.h), that key's quote over the binder, its certificate from NV, and what both need:
 *       AMD's or Intel's documents, and Google's CA certificates above the key's (needs "google-ca",
 *       "google-root", or the file [tee] ak_chain).
 * Limit: Google's vTPM stands outside the TEE. What it tells (PCRs, hence which image booted) and what
 *       it keeps (the sealing secret) is Google's word, not the processor's; only the report's own
 *       measurement is the processor's.
 */
#ifndef QR_TEE_GCP_H
#define QR_TEE_GCP_H

#include "enclave-shim/tee_open.h"
#include "enclave-shim/tsm/report.h"

/* Templates and certificates of the attestation keys, by kind. */
#define QR_GCP_NV_RSA_CERT 0x01c10000u
#define QR_GCP_NV_RSA_TEMPLATE 0x01c10001u
#define QR_GCP_NV_ECC_CERT 0x01c10002u
#define QR_GCP_NV_ECC_TEMPLATE 0x01c10003u

extern const struct qr_tee_profile qr_tee_gcp_profile, qr_tee_gcp_kept_profile;

/* As qr_tee_open. */
qr_err QR_MUST qr_tee_gcp_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                               size_t err_cap);
/* The same over a source of reports, which it takes over, also on errors. */
qr_err QR_MUST qr_tee_gcp_over(const struct qr_tee_opts *o, struct qr_report_src *src,
                               struct qr_tee *ret, char *err_text, size_t err_cap);

#endif
