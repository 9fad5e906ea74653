/*
 * qr_nitro_doc: an attestation document of the AWS Nitro Security Module, taken apart.
 *
 * What: COSE_Sign1 around a CBOR map; parsing finds every field, bounds it and judges nothing.
 * Why: what is signed (the payload as it came) and what the payload says are read in one pass over
 *      bytes that stay in place, so that nothing is ever encoded again.
 * Invariants: after success every mandatory field is there once and within its bounds; views point
 *             into the document; nothing was allocated; no byte of the document is unaccounted for.
 * Source: AWS "Verifying the root of trust" (field table), RFC 9052 section 4.2; documents of 2022
 *         to 2026: untagged, the payload's map definite until 2024 and indefinite since, F6 (null)
 *         for optional fields that were not set.
 */
#ifndef QR_NITRO_DOC_H
#define QR_NITRO_DOC_H

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/verdict.h"

#define QR_NITRO_PAYLOAD_MAX 16384u
#define QR_NITRO_DOC_MAX (QR_NITRO_PAYLOAD_MAX + 512u)
#define QR_NITRO_PCRS 32u
#define QR_NITRO_PCR_LEN 48u /* SHA-384, the only digest there is */
#define QR_NITRO_CAS (QR_CERTS_MAX - 1u)
#define QR_NITRO_KEYS 32u
#define QR_NITRO_CERT_MAX 1024u

/* A field that a document may leave out or set to null. */
struct qr_nitro_optional {
    enum { QR_NITRO_ABSENT, QR_NITRO_NULL, QR_NITRO_SET } state;
    qr_view v;
};

struct qr_nitro_doc {
    int tagged; /* the document began with COSE's tag 18 */
    int unprotected_empty;
    int indefinite; /* the payload's map */
    qr_view protected_bytes;
    qr_view payload;      /* content of the byte string */
    qr_view payload_item; /* the byte string, head included, as it was signed */
    qr_view signature;    /* r || s, 96 bytes */

    qr_view module_id;
    uint64_t timestamp_ms;
    qr_view pcr[QR_NITRO_PCRS]; /* p NULL: not in the document */
    qr_view certificate;
    size_t n_ca;
    qr_view ca[QR_NITRO_CAS]; /* root first, as it came */
    struct qr_nitro_optional public_key, user_data, nonce;
    size_t n_keys;
    qr_view key[QR_NITRO_KEYS]; /* names of the payload's members, in order */
};

/*
 * Parses `bytes`. On failure v says why; reasons: RESOURCE_LIMIT (at LIMITS), MALFORMED,
 * TRAILING_DATA, DUPLICATE_KEY (at PARSE), UNSUPPORTED (at ALGORITHM). Passes LIMITS and PARSE.
 */
qr_err QR_MUST qr_nitro_parse(qr_view bytes, struct qr_verdict *v, struct qr_nitro_doc *ret);

#endif
