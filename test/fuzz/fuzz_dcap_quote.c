/*
 * An SGX or TDX quote by itself; the first byte chooses which is wanted.
 *
 * Beyond "no crash": what is accepted adds up to the byte, its fields lie in the input one behind the
 * other, its claims print; under a key that signed nothing no quote passes.
 */
#include "test/common/evgen_ca.h"
#include "test/fuzz/kit_dcap.h"

static struct qr_verdict v;

static void
adds_up(const struct qr_dcap_quote *q, qr_view in)
{
    size_t outer = q->version == 3 ? 0 : 6;
    size_t head = q->version == 5 ? 54 : 48;

    FUZZ_MUST(q->version >= 3 && q->version <= 5);
    FUZZ_MUST(q->covered.p == in.p && q->covered.len == head + q->body.len);
    FUZZ_MUST(q->body.len == (q->tdx ? (q->body_type == 3 ? 648u : 584u) : 384u));
    FUZZ_MUST(q->covered.len + 4 + q->signature_len + q->trailing.len == in.len);
    FUZZ_MUST(q->signature.p == q->covered.p + q->covered.len + 4 && q->signature.len == 64);
    FUZZ_MUST(q->key.p == q->signature.p + 64 && q->qe_report.p == q->key.p + 64 + outer);
    FUZZ_MUST(q->qe_signature.p == q->qe_report.p + 384);
    FUZZ_MUST(q->auth.p == q->qe_signature.p + 64 + 2);
    FUZZ_MUST(q->pck_pem.p == q->auth.p + q->auth.len + 6);
    FUZZ_MUST(q->pck_pem.p + q->pck_pem.len == q->trailing.p);
    FUZZ_MUST(q->report_data.p + 64 <= q->body.p + q->body.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_dcap_quote q;
    int tdx = (int)fuzz_choice(&data, &size, 2);
    qr_view in = qr_view_of(data, size);

    qr_verdict_init(&v);
    qr_err e = qr_dcap_quote_parse(in, tdx, &v, &q);
    fuzz_dcap_sane(&v, e);
    if (e == QR_OK) {
        FUZZ_MUST(q.tdx == tdx);
        adds_up(&q, in);
        e = qr_dcap_quote_check(&q, evgen_key(EVGEN_P256, 15), &v);
        fuzz_dcap_sane(&v, e);
        FUZZ_MUST(e == QR_ERR_ATTESTATION);
    }
    return 0;
}
