/*
 * qr_jws: signed tokens (JWT in JWS compact form) as cloud services issue them about a machine.
 *
 * What: header.payload.signature taken apart, its JSON parsed, its times checked, its signature
 *       verified with RS256, its contents added as claims.
 * Why: a token's header is the attacker's until the signature was checked with a key that was found
 *      without it; so the algorithm is ours, and the header only says which of our keys to try.
 * Invariants: exactly three parts; base64url without padding and without spare bits; header and
 *             payload are JSON objects within json_strict.h's depth and at most QR_JWS_VALUES values,
 *             no member twice; "alg" is RS256; "crit" is refused, since nothing in it is understood.
 * Source: RFC 7515, RFC 7519, RFC 8725.
 * Library: jansson. Thread rules: one thread at a time.
 */
#ifndef QR_JWS_H
#define QR_JWS_H

#include "enclave-shim/verify/verify_int.h"
#include "proto/json_strict.h"

#define QR_JWS_VALUES 512u /* members and elements of header or payload */
#define QR_JWS_SIG_MAX 512u

struct qr_jws {
    qr_view signed_part;  /* of the token: header, dot, payload */
    qr_view payload_text; /* decoded */
    qr_view signature;
    struct qr_json header, payload;
    uint8_t *mem; /* what the views but the first point into */
};

/*
 * Parses `token`. On failure v says why; reasons: MALFORMED, RESOURCE_LIMIT, DUPLICATE_KEY,
 * UNSUPPORTED; checks LIMITS, PARSE, ALGORITHM, which it passes. On success the caller calls
 * qr_jws_free.
 */
qr_err QR_MUST qr_jws_parse(qr_view token, struct qr_verdict *v, struct qr_jws *ret);
void qr_jws_free(struct qr_jws *j);

/* Parses the evidence's token, hands it to `check`, frees it: what a token's verifier is. */
qr_err QR_MUST qr_jws_run(struct qr_verify_run *r,
                          qr_err (*check)(struct qr_verify_run *r, const struct qr_jws *j));

/* Parses a JSON object as the parts of a token are; `what` names it. The caller clears it. */
qr_err QR_MUST qr_jws_json(qr_view text, size_t max_values, struct qr_verdict *v, const char *what,
                           struct qr_json *ret);

/* A member of an object: its text, NUL-terminated; p NULL when it is absent or not text. */
qr_view qr_jws_text(const struct json_t *object, const char *name);

/*
 * Claims "header" (without x5c, which is bytes of certificates) and "payload", as JSON. Failure:
 * RESOURCE_LIMIT when they do not fit.
 */
qr_err QR_MUST qr_jws_claims(const struct qr_jws *j, struct qr_verdict *v);
/* An object as a claim, without its member `but` (NULL: all of it). */
qr_err QR_MUST qr_jws_claim_object(struct qr_verdict *v, const char *path,
                                   const struct json_t *object, const char *but);

/* iat, nbf and exp, each of which must be there, in unix seconds and in a possible order. */
struct qr_jws_times {
    int64_t iat, nbf, exp;
};
qr_err QR_MUST qr_jws_read_times(const struct qr_jws *j, struct qr_verdict *v,
                                 struct qr_jws_times *ret);
/*
 * iat, nbf <= now < exp, and no older than max_age_ms when that was given: a token says itself how
 * long it is meant to live. Records TIMESTAMP; reasons EXPIRED, NOT_YET_VALID, STALE. Without a time
 * (now_ms < 0) nothing is looked at or recorded.
 */
qr_err QR_MUST qr_jws_check_times(struct qr_verify_run *r, const struct qr_jws_times *t);

/* "aud" against r->o->audience, where one is asked for. TOKEN, IDENTITY_MISMATCH. */
qr_err QR_MUST qr_jws_check_audience(struct qr_verify_run *r, const struct qr_jws *j);

/*
 * RS256 over the first two parts, by an RSA key of 2048 to 4096 bits. Records SIGNATURE; adds the
 * claim "key_sha256", the key's SubjectPublicKeyInfo hashed, by which a policy may pin it.
 */
qr_err QR_MUST qr_jws_check_signature(struct qr_verify_run *r, const struct qr_jws *j,
                                      EVP_PKEY *key);

#endif
