/*
 * qr_snp_piece: an SEV-SNP report as part of evidence, and what it needs from AMD.
 *
 * What: for every platform that sends such a report (a plain SNP guest, Azure, Google): checks its
 *       form, puts it and the host's certificates into evidence, and writes the need "amd-kds".
 * Which certificate: of a VCEK, the host's collateral first, which is fetched for the very firmware
 *       versions of this report, then the table beside the report, which may be of an older firmware;
 *       of a VLEK, the table's: AMD gives none to the public.
 */
#ifndef QR_SNP_PIECE_H
#define QR_SNP_PIECE_H

#include "enclave-shim/tee_base.h"
#include "enclave-shim/tsm/report.h"
#include "enclave-shim/verify/snp.h"

#define QR_SNP_DATA_AT 0x50u /* REPORT_DATA */

/* What is remembered of a report for the sake of needs. */
struct qr_snp_piece {
    enum qr_snp_signing_key key;
    enum qr_snp_line line; /* UNKNOWN: a report of version 2 without a table */
    int masked;            /* no chip id */
    uint8_t chip_id[64], tcb[8];
};

/* report: 1184 bytes. PLATFORM: no report, unsigned, or of a form that nobody would accept. */
qr_err QR_MUST qr_snp_piece_read(struct qr_tee_base *b, qr_view report, qr_view table,
                                 struct qr_snp_piece *ret);
/*
 * Adds the report as QR_PART_SNP_REPORT (with_report), and certificates of the table that the host's
 * collateral does not have. Views into its arguments. PLATFORM: a table that is no table.
 */
qr_err QR_MUST qr_snp_piece_add(struct qr_tee_base *b, const struct qr_snp_piece *p, qr_view report,
                                qr_view table, int with_report, struct qr_evidence *e);
/* Nothing for a VLEK or a chip that hides its id. */
void qr_snp_piece_need(const struct qr_snp_piece *p, struct qr_tee_needs *n);

#endif
