/*
 * qr_manifest: a release's measurements, published and signed by k of n release keys.
 *
 * What: {"v":1,"type":"quorate/measurements","release":"1.2.0","source":"<40 or 64 hex>",
 *        "recipe":"<64 hex>","valid_from":"...Z","valid_until":"...Z","supersedes":[...],
 *        "revoked":[...],"minimum_release":3,"minimum_tcb":{...},"measurements":[...]}; POLICY.md has the schema.
 *        Signatures lie beside it, one a line: "ed25519 <64 hex> <128 hex>" or
 *        "p256 <66 hex> <128 hex>" (scheme, public key, signature over the manifest's exact bytes;
 *        ECDSA with SHA-256, r || s).
 * Why: measurements are computed from source, offline, by whoever wants to; the running server is
 *      the last place to ask what it should measure as.
 * Invariants: immutable once parsed; names unique; an all-zero measurement is refused; a manifest
 *             is believed by its SHA-256 or by k signatures of named keys, never else.
 * Library: OpenSSL, jansson. Thread rules: immutable after parsing, so any thread.
 */
#ifndef QR_MANIFEST_H
#define QR_MANIFEST_H

#include "enclave-shim/verify/evidence.h"
#include "proto/json_strict.h"
#include "protocol/base/limits.h"

#define QR_MANIFEST_MAX (64u * 1024u)
#define QR_MANIFEST_SETS 64u
#define QR_MANIFEST_LIST 64u    /* superseded releases, revoked ones */
#define QR_MANIFEST_SIGNERS 16u /* keys of a set */
#define QR_MANIFEST_SIGS_MAX 8192u

/* One expected value: a claim's path and the bytes it must have. */
struct qr_expect {
    char path[32]; /* "pcrs.0", "measurement", "body.mr_td", "quote.pcrs.11" */
    uint8_t len;
    uint8_t bytes[64];
    unsigned line; /* in its document */
};
#define QR_EXPECT_MAX 32u

/* A set in force accepts evidence of its kind that shows every one of its values. */
struct qr_measurement {
    char name[QR_NAME_MAX];
    enum qr_evidence_kind kind;
    int64_t from_ms, until_ms; /* until is exclusive; INT64_MAX: no end was given */
    unsigned line;
    size_t n;
    struct qr_expect expect[QR_EXPECT_MAX];
};

/* The oldest firmware of an AMD product line that is good enough: each component at least. */
struct qr_min_tcb {
    char product[QR_NAME_MAX]; /* as the claim says it: "Milan" */
    uint8_t bootloader, tee, snp, microcode, fmc;
    int has_fmc; /* Turin and later */
    unsigned line;
};
#define QR_PRODUCTS_MAX 8u

struct qr_manifest; /* opaque */

/* Errors as qr_json_fields; err_text names line and member, and what to write instead. */
qr_err QR_MUST qr_manifest_parse(qr_view text, struct qr_manifest **ret, char *err_text,
                                 size_t err_cap);
struct qr_manifest *qr_manifest_free(struct qr_manifest *m);

qr_view qr_manifest_text(const struct qr_manifest *m);          /* the exact bytes */
const uint8_t *qr_manifest_sha256(const struct qr_manifest *m); /* of them, 32 bytes */
const char *qr_manifest_release(const struct qr_manifest *m);
const char *qr_manifest_source(const struct qr_manifest *m);    /* hex */
const uint8_t *qr_manifest_recipe(const struct qr_manifest *m); /* 32 bytes */
int64_t qr_manifest_from_ms(const struct qr_manifest *m);
int64_t qr_manifest_until_ms(const struct qr_manifest *m);
size_t qr_manifest_n(const struct qr_manifest *m);
/* Dates of a set are within those of the manifest. */
const struct qr_measurement *qr_manifest_get(const struct qr_manifest *m, size_t i);
/* Names on the two lists; NULL from the end on. */
const char *qr_manifest_superseded(const struct qr_manifest *m, size_t i);
const char *qr_manifest_revoked(const struct qr_manifest *m, size_t i);
/* 1: this release (by name) is on the manifest's revoked list. */
int qr_manifest_revokes(const struct qr_manifest *m, const char *release);
/*
 * The lowest release number whose code may open what a platform sealed; a platform that counts (a TPM)
 * raises its counter to it for ever. 0: none is said.
 */
uint64_t qr_manifest_min_release(const struct qr_manifest *m);
/* The release's minimum for an AMD product; NULL: none. */
const struct qr_min_tcb *qr_manifest_min_tcb(const struct qr_manifest *m, qr_view product);
uint64_t qr_manifest_min_evaluation(const struct qr_manifest *m); /* of Intel's TCB; 0: none */

/* Release keys: at least `need` different ones must have signed. */
enum qr_release_scheme { QR_RELEASE_ED25519 = 1, QR_RELEASE_P256 = 2 };
struct qr_release_key {
    char name[QR_NAME_MAX];
    enum qr_release_scheme scheme;
    uint8_t b[33]; /* 32 bytes, or a compressed point; the rest is zero */
};
struct qr_release_signers {
    unsigned need;
    size_t n;
    struct qr_release_key key[QR_MANIFEST_SIGNERS];
};
size_t qr_release_key_len(enum qr_release_scheme s);
const char *qr_release_scheme_name(enum qr_release_scheme s);
/* A name ("p256") and hex digits as a key; the caller fills the name. MALFORMED, POINT. */
qr_err QR_MUST qr_release_key_read(qr_view scheme, qr_view hex, struct qr_release_key *ret);

/*
 * OK when at least need of these keys signed exactly `text`. Lines of other keys are passed over; a
 * line of a listed key that does not verify refuses, and so does a key with two lines. Empty lines
 * are passed over. Errors: ATTESTATION (too few: err_text says who signed; a bad signature: whose),
 * MALFORMED (the line), TOO_LARGE, NO_MEMORY. ret_signed: bit i is key[i]; may be NULL.
 */
qr_err QR_MUST qr_manifest_verify(qr_view text, qr_view signatures,
                                  const struct qr_release_signers *s, unsigned *ret_signed,
                                  char *err_text, size_t err_cap);

struct evp_pkey_st;
#define QR_SIGNATURE_LINE_MAX 224u
/* A signature line over text, with newline and NUL. USAGE (another kind of key), CRYPTO_LIB. */
qr_err QR_MUST qr_manifest_sign(struct evp_pkey_st *key, qr_view text,
                                char ret[static QR_SIGNATURE_LINE_MAX]);

/* "2026-11-21T17:00:00Z" and nothing else, years 1970 to 9999; MALFORMED. */
qr_err QR_MUST qr_time_parse(qr_view text, int64_t *ret_ms);
/* 21 bytes with the NUL; ms is not negative and below the year 10000. */
void qr_time_print(int64_t ms, char out[static 21]);

#endif
