/*
 * The host's table of certificates: what is taken from it lies inside it, behind its header, and no two
 * pieces share a byte; what does not parse gives nothing.
 */
#include "enclave-shim/verify/snp.h"
#include "test/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_snp_table t, none = {{0}};
    /* a copy of its own, so that a byte past its end is noticed */
    uint8_t *copy = malloc(size + 1);
    FUZZ_MUST(copy);
    memcpy(copy, data, size);
    uint8_t *table = realloc(copy, size > 0 ? size : 1);
    FUZZ_MUST(table);
    t = none;
    qr_err e = qr_snp_table_parse(qr_view_of(table, size), &t);
    const qr_view got[] = {t.vcek, t.vlek, t.ask, t.ark, t.crl};
    size_t n = sizeof got / sizeof got[0], pieces = 0;
    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST((got[i].p == NULL) == (got[i].len == 0));
        if (!got[i].p) {
            continue;
        }
        pieces++;
        FUZZ_MUST(e == QR_OK && got[i].p >= table + 24 && got[i].p + got[i].len <= table + size);
        for (size_t k = 0; k < i; k++) {
            FUZZ_MUST(!got[k].p || got[k].p + got[k].len <= got[i].p ||
                      got[i].p + got[i].len <= got[k].p);
        }
    }
    FUZZ_MUST(e == QR_OK || pieces == 0);
    for (int kind = QR_SNP_VCEK; kind <= QR_SNP_VLEK; kind++) {
        struct qr_evidence ev = {.kind = QR_EV_SNP};
        if (qr_snp_table_fill(&t, (enum qr_snp_signing_key)kind, &ev) == QR_OK) {
            FUZZ_MUST(ev.n <= 4);
            qr_view vek = qr_evidence_get(&ev, QR_PART_SNP_VEK);
            FUZZ_MUST(vek.p == (kind == QR_SNP_VLEK ? t.vlek.p : t.vcek.p));
        }
    }
    free(table);
    return 0;
}
