/*
 * qr_tee_tdx: an Intel TDX guest (a TD) whose user field is its own.
 *
 * What: the TD quote with report_data = binder || 32 zeros, from configfs-tsm; the CC event log; Intel's
 *       lists through the gateway; sealing as snp/snp.h has it.
 * Measured: MRTD (the firmware), RTMR0 to 3 (what was loaded and started), by the event log's records.
 */
#ifndef QR_TEE_TDX_H
#define QR_TEE_TDX_H

#include "enclave-shim/tee_open.h"
#include "enclave-shim/tsm/report.h"

extern const struct qr_tee_profile qr_tee_tdx_profile, qr_tee_tdx_tpm_profile;

/* As qr_tee_open. */
qr_err QR_MUST qr_tee_tdx_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                               size_t err_cap);
/* The same over a source of quotes, which it takes over, also on errors. */
qr_err QR_MUST qr_tee_tdx_over(const struct qr_tee_opts *o, struct qr_report_src *src,
                               struct qr_tee *ret, char *err_text, size_t err_cap);

#endif
