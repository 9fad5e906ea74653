/*
 * HCL reports and runtime data. The first byte chooses: a report of SNP, one of TDX; runtime data as
 * Azure's, as a key set.
 *
 * Beyond "no crash": views lie inside the input; runtime data without a fault has a key, and with one
 * has none; a hash that fits nothing is refused.
 */
#include "enclave-shim/verify/hcl.h"
#include "enclave-shim/verify/tpm.h"
#include "test/fuzz/kit_verdict.h"

static struct qr_verdict v;

static void
runtime(qr_view text, enum qr_runtime_form form)
{
    struct qr_runtime t = {0};

    qr_verdict_init(&v);
    FUZZ_MUST(qr_runtime_parse(text, form, &v, &t) == QR_OK);
    FUZZ_MUST((t.ak != NULL) == (t.reason == QR_REASON_NONE));
    fuzz_text(t.text, sizeof t.text);
    qr_err e = qr_runtime_accept(&t, &v);
    fuzz_verdict(&v, e);
    FUZZ_MUST(e != QR_OK || qr_tpm_key_fits(t.ak));
    EVP_PKEY_free(t.ak);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[64];
    struct qr_hcl h;

    unsigned mode = fuzz_choice(&data, &size, 4);
    qr_view bytes = qr_view_of(data, size);
    if (mode >= 2) {
        runtime(bytes, mode == 2 ? QR_RUNTIME_HCL : QR_RUNTIME_JWKS);
        return 0;
    }
    qr_verdict_init(&v);
    qr_err e = qr_hcl_parse(bytes, mode ? QR_HCL_TDX : QR_HCL_SNP, &v, &h);
    fuzz_verdict(&v, e);
    if (e == QR_OK) {
        FUZZ_MUST(h.runtime.p >= data && h.runtime.len == h.var_size);
        FUZZ_MUST(h.padding.p + h.padding.len == data + size);
        FUZZ_MUST(mode ? qr_tdreport_mrtd(&h).len == 48 && qr_tdreport_data(&h).len == 64 &&
                             qr_tdreport_attributes(&h).len == 8
                       : h.snp.len == 1184);
        e = qr_hcl_bound(&h, qr_view_of(zeros, sizeof zeros), &v);
        fuzz_verdict(&v, e);
        FUZZ_MUST(e != QR_OK);
        runtime(h.runtime, QR_RUNTIME_HCL);
    }
    return 0;
}
