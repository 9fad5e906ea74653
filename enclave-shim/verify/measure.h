/*
 * measure: what policies and manifests have in common; not for users of the library.
 *
 * What: reading measurement sets, minimum firmware versions, dates and notes; a set against claims.
 * Invariants: a set names claims of its platform only, each once, none of them all zero, and enough
 *             of them that they say what runs: firmware alone, or a signer's switch alone, does not.
 */
#ifndef QR_MEASURE_H
#define QR_MEASURE_H

#include "enclave-shim/verify/claims.h"
#include "enclave-shim/verify/manifest.h"

/* A platform's bit in a mask of platforms. */
#define QR_KIND_MASK(k) (1u << (k))
#define QR_KINDS_SNP                                                                               \
    (QR_KIND_MASK(QR_EV_SNP) | QR_KIND_MASK(QR_EV_AZURE_SNP) | QR_KIND_MASK(QR_EV_GCP_SNP))
#define QR_KINDS_TDX                                                                               \
    (QR_KIND_MASK(QR_EV_TDX) | QR_KIND_MASK(QR_EV_AZURE_TDX) | QR_KIND_MASK(QR_EV_GCP_TDX))
#define QR_KINDS_INTEL (QR_KINDS_TDX | QR_KIND_MASK(QR_EV_SGX))
#define QR_KINDS_AZURE (QR_KIND_MASK(QR_EV_AZURE_SNP) | QR_KIND_MASK(QR_EV_AZURE_TDX))
#define QR_KINDS_GCP (QR_KIND_MASK(QR_EV_GCP_SNP) | QR_KIND_MASK(QR_EV_GCP_TDX))
#define QR_KINDS_TPM (QR_KINDS_AZURE | QR_KINDS_GCP | QR_KIND_MASK(QR_EV_TPM))

/* A row of a table for qr_json_fields: any object may carry a text for people. */
#define QR_NOTE_MAX 1024u
#define QR_NOTE_FIELD(view, has)                                                                   \
    {                                                                                              \
        "note", QR_JSON_UTF8, 0, QR_NOTE_MAX, &(view), &(has)                                      \
    }

/* The platforms that a policy and a manifest may name. MALFORMED, saying what to write instead. */
qr_err QR_MUST qr_measure_kind(const struct qr_json_at *at, qr_view name,
                               enum qr_evidence_kind *ret);

/* A text that is a date. */
qr_err QR_MUST qr_measure_date(const struct qr_json_at *object, const char *member, qr_view text,
                               int64_t *ret_ms);

/* A text of lower-case hex of exactly len bytes, not all of them zero. */
qr_err QR_MUST qr_measure_hex(const struct qr_json_at *at, size_t len, uint8_t *ret);

/*
 * {"name","platform","valid_from","valid_until","expect":{path: hex},"note"}. within: the dates
 * that stand for absent ones and that may not be left (a manifest's); NULL: valid_from must be
 * there.
 */
struct qr_measure_dates {
    int64_t from_ms, until_ms;
};
qr_err QR_MUST qr_measure_read(const struct qr_json_at *at, const struct qr_measure_dates *within,
                               struct qr_measurement *ret);

/* {"product","bootloader","tee","snp","microcode","fmc","note"}; fmc belongs to Turin only. */
qr_err QR_MUST qr_min_tcb_read(const struct qr_json_at *at, struct qr_min_tcb *ret);

/* How many values of the set the claims show; *ret_miss: the first that they do not, or NULL. */
size_t qr_measure_match(const struct qr_measurement *m, const struct qr_claimset *c,
                        const struct qr_expect **ret_miss);

#endif
