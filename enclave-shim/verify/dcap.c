/*
 * The order of checks for SGX and TDX: what the quote is, whose it is, what the vendor says of such
 * platforms, whether what the vendor says is in force, and only then what it says of this one.
 */
#include "enclave-shim/verify/dcap.h"

#include "protocol/base/mem.h"

struct work {
    struct qr_dcap_pck pck;
    struct qr_dcap_collateral collateral;
    struct qr_dcap_tcb tcb;
};

static qr_err
run(struct qr_verify_run *r, const struct qr_dcap_quote *q, struct work *w)
{
    QR_TRY(qr_dcap_pck_read(r, q->pck_pem, &w->pck));
    QR_TRY(qr_dcap_quote_check(q, X509_get0_pubkey(w->pck.certs.x[0]), r->v));
    QR_TRY(qr_dcap_collateral_open(r, &w->pck, q->tdx, &w->collateral));
    QR_TRY(qr_dcap_tcb_find(r, q, &w->pck, &w->collateral, &w->tcb));
    QR_TRY(qr_dcap_collateral_check(r, &w->pck, &w->collateral));
    return qr_dcap_tcb_check(r, q, &w->pck, &w->collateral, &w->tcb);
}

qr_err
qr_dcap_run(struct qr_verify_run *r, const struct qr_dcap_quote *q)
{
    struct work *w = qr_alloc(sizeof *w);
    if (!w) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = run(r, q, w);
    qr_dcap_collateral_free(&w->collateral);
    qr_dcap_pck_free(&w->pck);
    w = qr_free(w);
    return e;
}
