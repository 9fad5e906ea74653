/*
 * Signature Version 4 of a request, verified strictly.
 *
 * What: the header form, "AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request,
 *       SignedHeaders=a;b, Signature=<64 hex>". The canonical request is made from the list that the
 *       client signed, because clients differ in it; but host, x-amz-date, and x-amz-target and content-type
 *       where they are sent, must be in it. The body's hash is always computed here: what a client says of
 *       it must agree, and "unsigned" or streamed bodies are refused.
 * Narrower than the standard: the target is "/" without a query, which is all that this protocol sends; no
 *       presigned addresses, no session tokens, and no header twice.
 * Compared in constant time. The secret is the caller's and is not kept.
 * Source: AWS General Reference, "Signature Version 4 signing process".
 * No state and no clock; any thread.
 */
#ifndef QR_FACADE_SIGV4_H
#define QR_FACADE_SIGV4_H

#include "daemon/facade/http.h"

#define QR_SIGV4_SKEW_MS 300000u
#define QR_SIGV4_WORD_MAX 64u /* access id, region, service */
#define QR_SIGV4_SECRET_MAX 128u
#define QR_SIGV4_SIGNED_MAX 32u

enum qr_sigv4_result {
    QR_SIGV4_OK,
    QR_SIGV4_MISSING,    /* no Authorization of this kind */
    QR_SIGV4_INCOMPLETE, /* a part is missing or malformed */
    QR_SIGV4_TOKEN,      /* a session token, which is not known here */
    QR_SIGV4_INVALID,    /* wrong signature, wrong scope, or too old or new */
};

/* What the header says; nothing of it is true yet. Views point into the request. */
struct qr_sigv4 {
    qr_view access, date, region, service; /* date: YYYYMMDD */
    qr_view signed_header[QR_SIGV4_SIGNED_MAX];
    size_t n_signed;
    qr_view signed_list; /* as it came */
    uint8_t signature[32];
    qr_view time; /* x-amz-date: YYYYMMDDTHHMMSSZ */
    uint64_t time_ms;
};

/* Form. why: a sentence for the client. */
enum qr_sigv4_result qr_sigv4_parse(const struct qr_facade_request *r, struct qr_sigv4 *ret,
                                    char *why, size_t cap);
/* The signature and its time against the access id's own secret (at most QR_SIGV4_SECRET_MAX). */
enum qr_sigv4_result qr_sigv4_check(const struct qr_sigv4 *s, const struct qr_facade_request *r,
                                    const char *secret, const char *region, const char *service,
                                    uint64_t now_ms, char *why, size_t cap);

#endif
