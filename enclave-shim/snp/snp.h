/*
 * qr_tee_snp: an AMD SEV-SNP guest.
 *
 * What: the processor's report with report_data = binder || 32 zeros, from configfs-tsm or else
 *       /dev/sev-guest; certificates from the host's table or AMD through the gateway; sealing by a TPM
 *       if [tee] tpm names one, else by nothing that outlives the process.
 * Why such sealing: SNP's own derived keys know measurement and firmware, not which release may follow.
 * Measured: the launch (firmware; with direct boot also kernel, initrd and command line). A TPM beside
 *       it is the host's, outside the processor's protection.
 */
#ifndef QR_TEE_SNP_H
#define QR_TEE_SNP_H

#include "enclave-shim/tee_open.h"
#include "enclave-shim/tsm/report.h"

extern const struct qr_tee_profile qr_tee_snp_profile, qr_tee_snp_tpm_profile;

/* As qr_tee_open. */
qr_err QR_MUST qr_tee_snp_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                               size_t err_cap);
/* The same over a source of reports, which it takes over, also on errors. */
qr_err QR_MUST qr_tee_snp_over(const struct qr_tee_opts *o, struct qr_report_src *src,
                               struct qr_tee *ret, char *err_text, size_t err_cap);

#endif
