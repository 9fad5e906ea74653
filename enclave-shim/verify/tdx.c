/*
 * Intel TDX: a TD quote with its collateral, and the CC event log when it was sent along. What is in
 * the body (attributes, measurements, registers) is claims: whether they are liked is policy.
 */
#include "enclave-shim/verify/dcap.h"

enum { TD_RTMR0 = 328, RTMR_LEN = 48 };

qr_err
qr_tdx_part(struct qr_verify_run *r, qr_view quote, qr_view *ret_report_data)
{
    struct qr_dcap_quote q;
    QR_TRY(qr_dcap_quote_parse(quote, 1, r->v, &q));
    QR_TRY(qr_dcap_run(r, &q));
    *ret_report_data = q.report_data;
    return QR_OK;
}

qr_err
qr_verify_tdx(struct qr_verify_run *r)
{
    struct qr_dcap_quote q;
    qr_view quote, rtmr[4];

    QR_TRY(qr_run_need(r, QR_PART_QUOTE, QR_CHECK_PARSE, QR_REASON_MALFORMED, &quote));
    QR_TRY(qr_dcap_quote_parse(quote, 1, r->v, &q));
    QR_TRY(qr_dcap_run(r, &q));
    if (r->o->binder.p) {
        QR_TRY(qr_run_binder(r, q.report_data, "report data"));
    }
    if (qr_evidence_get(r->e, QR_PART_CC_LOG).p) {
        for (size_t i = 0; i < 4; i++) {
            rtmr[i] = qr_view_of(q.body.p + TD_RTMR0 + i * RTMR_LEN, RTMR_LEN);
        }
        QR_TRY(qr_cc_log_part(r, rtmr));
    }
    return QR_OK;
}
