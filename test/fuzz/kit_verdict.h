/*
 * What targets of evidence share: what holds of every verdict, and changed bytes.
 *
 * Valid or refused, not both; a refusal is a printable sentence of a check that failed; claims print.
 */
#ifndef TEST_FUZZ_KIT_VERDICT_H
#define TEST_FUZZ_KIT_VERDICT_H

#include "enclave-shim/verify/verdict.h"
#include "test/fuzz/kit.h"

static inline void
fuzz_verdict(const struct qr_verdict *v, qr_err e)
{
    static char json[65536];
    size_t n = 0;
    FUZZ_MUST((e == QR_OK) == (v->reason == QR_REASON_NONE));
    FUZZ_MUST(e == QR_OK || (e == QR_ERR_ATTESTATION && v->sentence[0] != 0 &&
                             v->check[v->failed] == QR_CHECK_FAIL));
    fuzz_text(v->sentence, sizeof v->sentence);
    FUZZ_MUST(v->claims.overflow ||
              (qr_claims_json(&v->claims, json, sizeof json, &n) == QR_OK && json[n] == 0));
    FUZZ_MUST(e != QR_OK || !v->claims.overflow);
}

/* u16 offset, u8 count, bytes that are xored. 1: something became different. */
static inline int
fuzz_xor(struct fuzz_in *in, uint8_t *p, size_t len)
{
    size_t at = fuzz_u16(in), n = fuzz_u8(in) % 32u + 1u;
    int changed = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t x = fuzz_u8(in);
        if (at + i < len) {
            p[at + i] ^= x;
            changed |= x != 0;
        }
    }
    return changed;
}

#endif
