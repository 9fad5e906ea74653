/*
 * qr_manifest: a release's measurements, published and signed by k of n release keys.
 *
 * What: {"v":1,"type":"quorate/measurements","release":"1.2.0","source":"<commit>","recipe":"<64 hex>",
 *        "valid_from":"…Z","valid_until":"…Z","supersedes":[…],"revoked":[…],"measurements":[…]}
 *       signed over the exact bytes; README.md of this folder has the schema.
 * Why: measurements are computed from source, offline, by whoever wants to; the running server is
 *      the last place to ask what it should measure as.
 * Invariants: immutable once parsed; names and releases unique; an all-zero measurement is refused;
 *             a manifest is believed by its SHA-256 or by k signatures of named keys, never else.
 */
#ifndef QR_MANIFEST_H
#define QR_MANIFEST_H

#include "enclave-shim/verify/evidence.h"
#include "proto/json_strict.h"
#include "protocol/base/limits.h"

#define QR_MANIFEST_MAX (64u * 1024u)
#define QR_MANIFEST_SETS 64u
#define QR_MANIFEST_SIGNERS 16u

/* One expected value: a claim's path and the bytes it must have. */
struct qr_expect {
    char path[32]; /* "pcrs.0", "measurement", "body.mr_td", "quote.pcrs.11" */
    uint8_t len;
    uint8_t bytes[48];
    unsigned line; /* in its document */
};
#define QR_EXPECT_MAX 32u

struct qr_measurement {
    char name[QR_NAME_MAX];
    enum qr_evidence_kind kind;
    int64_t from_ms, until_ms; /* until is exclusive; INT64_MAX: no end was given */
    unsigned line;
    size_t n;
    struct qr_expect expect[QR_EXPECT_MAX];
};

struct qr_manifest; /* opaque */

qr_err QR_MUST qr_manifest_parse(qr_view text, struct qr_manifest **ret, char *err_text,
                                 size_t err_cap);
struct qr_manifest *qr_manifest_free(struct qr_manifest *m);

const uint8_t *qr_manifest_sha256(const struct qr_manifest *m); /* of the exact bytes */
const char *qr_manifest_release(const struct qr_manifest *m);
int64_t qr_manifest_from_ms(const struct qr_manifest *m);
int64_t qr_manifest_until_ms(const struct qr_manifest *m);
size_t qr_manifest_n(const struct qr_manifest *m);
const struct qr_measurement *qr_manifest_get(const struct qr_manifest *m, size_t i);
/* 1: this release (by name) is on the manifest's revoked list. */
int qr_manifest_revokes(const struct qr_manifest *m, const char *release);
/* 1: at least k of the n Ed25519 or P-256 keys signed it; signatures are detached, ascending. */

/* "2026-11-21T17:00:00Z" and nothing else; MALFORMED. */
qr_err QR_MUST qr_time_parse(qr_view text, int64_t *ret_ms);
/* 21 bytes with the NUL. */
void qr_time_print(int64_t ms, char out[static 21]);

#endif
