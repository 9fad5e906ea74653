#include "enclave-shim/tdx/tdx_part.h"

#include "enclave-shim/verify/dcap.h"
#include "protocol/base/enc.h"

/*
 * A table of roots that has the chain's own last certificate: what is wanted here is the PCK
 * certificate's words, and whether they are genuine is for verifiers to say, with the real table.
 */
static qr_err
own_root(qr_view pem, struct qr_verdict *v, struct qr_roots *ret)
{
    struct qr_certs s = {0};
    qr_err e = qr_certs_add_pem(&s, pem, v, QR_CHECK_PARSE, "PCK chain");

    if (e == QR_OK && s.n > 0) {
        qr_cert_sha256(s.der[s.n - 1], ret->of[QR_ROOT_INTEL].sha256[0]);
        ret->of[QR_ROOT_INTEL].n = 1;
    }
    qr_certs_free(&s);
    return e;
}

static qr_err
read_quote(struct qr_tee_base *b, qr_view quote, struct qr_verdict *v, struct qr_tdx_piece *ret)
{
    static const struct qr_evidence none = {.kind = QR_EV_TDX};
    const struct qr_verify_opts opts = {.now_ms = -1};
    struct qr_roots roots = {0};
    struct qr_verify_run run = {.e = &none, .o = &opts, .roots = &roots, .v = v};
    struct qr_dcap_quote q;
    struct qr_dcap_pck pck = {.certs = {.n = 0}};

    qr_verdict_init(v);
    qr_err e = qr_dcap_quote_parse(quote, 1, v, &q);
    if (e == QR_OK) {
        e = own_root(q.pck_pem, v, &roots);
    }
    if (e == QR_OK) {
        e = qr_dcap_pck_read(&run, q.pck_pem, &pck);
    }
    if (e == QR_OK) {
        memcpy(ret->report_data, q.report_data.p, sizeof ret->report_data);
        memcpy(ret->fmspc, pck.fmspc, sizeof ret->fmspc);
        ret->platform_ca = pck.platform_ca;
    } else if (e != QR_ERR_NO_MEMORY) {
        e = qr_tee_base_fail(b, QR_ERR_PLATFORM, "the TD quote: %s", v->sentence);
    }
    qr_dcap_pck_free(&pck);
    return e;
}

qr_err
qr_tdx_piece_read(struct qr_tee_base *b, qr_view quote, struct qr_tdx_piece *ret)
{
    struct qr_verdict *v = qr_alloc(sizeof *v);
    qr_err e = v ? read_quote(b, quote, v, ret) : QR_ERR_NO_MEMORY;
    qr_free(v);
    return e;
}

void
qr_tdx_piece_need(const struct qr_tdx_piece *p, struct qr_tee_needs *n)
{
    char fmspc[2 * sizeof p->fmspc + 1];
    qr_hex_encode(qr_view_of(p->fmspc, sizeof p->fmspc), fmspc);
    qr_tee_needs_add(n, "{\"source\":\"intel-pcs\",\"tee\":\"tdx\",\"ca\":\"%s\",\"fmspc\":\"%s\"}",
                     p->platform_ca ? "platform" : "processor", fmspc);
}
