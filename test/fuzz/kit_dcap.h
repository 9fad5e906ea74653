/* What the targets of Intel evidence share: what holds of every verdict. */
#ifndef TEST_FUZZ_KIT_DCAP_H
#define TEST_FUZZ_KIT_DCAP_H

#include "enclave-shim/verify/dcap.h"
#include "test/fuzz/kit.h"

/* Valid or refused, not both; a refusal is a printable sentence of a check that failed; claims print. */
static inline void
fuzz_dcap_sane(const struct qr_verdict *v, qr_err e)
{
    static char json[65536];
    size_t n = 0;
    FUZZ_MUST((e == QR_OK) == (v->reason == QR_REASON_NONE));
    FUZZ_MUST(e == QR_OK || (e == QR_ERR_ATTESTATION && v->sentence[0] != 0 &&
                             v->check[v->failed] == QR_CHECK_FAIL));
    fuzz_text(v->sentence, sizeof v->sentence);
    FUZZ_MUST(!v->claims.overflow);
    FUZZ_MUST(qr_claims_json(&v->claims, json, sizeof json, &n) == QR_OK && json[n] == 0);
}

#endif
