/*
 * qr_tdx_piece: a TD quote as part of evidence, and what it needs from Intel.
 *
 * For every platform that sends one (a plain TD, Azure, Google). The quote brings its own PCK chain;
 * lists and dates come through the gateway, need "intel-pcs".
 */
#ifndef QR_TDX_PIECE_H
#define QR_TDX_PIECE_H

#include "enclave-shim/tee_base.h"

/* What is remembered of a quote for the sake of needs, and its user field. */
struct qr_tdx_piece {
    uint8_t report_data[64];
    uint8_t fmspc[6];
    int platform_ca;
};

/* PLATFORM: no quote (a TDREPORT, say), or of a form that nobody would accept; NO_MEMORY. */
qr_err QR_MUST qr_tdx_piece_read(struct qr_tee_base *b, qr_view quote, struct qr_tdx_piece *ret);
void qr_tdx_piece_need(const struct qr_tdx_piece *p, struct qr_tee_needs *n);

#endif
