/*
 * qr_https: one request, one answer, over TLS to a named server behind a local route.
 *
 * What: connects to "127.0.0.1:PORT" or "unix:PATH" (the host's forwarding), speaks TLS to the server
 *       whose name is asked for, sends the request's bytes, reads one answer (http.h), closes.
 * Invariants: TLS 1.2 with ECDHE and AEAD or TLS 1.3; the certificate is for `host`, ends in one of
 *       `roots` and is valid at now_ms, which the caller takes from a signed source; no tickets, no
 *       renegotiation, no compression; every wait has one deadline for the whole exchange.
 * Not done: revocation lists (nobody could fetch them from here); see README.md.
 * Source: RFC 8446, RFC 5246, RFC 6125. Library: OpenSSL over memory; the socket is ours.
 * Thread rules: blocks; one thread.
 */
#ifndef QR_HTTPS_H
#define QR_HTTPS_H

#include "enclave-shim/nitro/http.h"
#include "enclave-shim/nitro/kms.h"

struct qr_https {
    const char *route, *host;
    const struct qr_kms_roots *roots;
    int64_t now_ms;
    uint32_t timeout_ms;
};

/* 1: of one of the two forms. */
int qr_route_ok(const char *route);
/*
 * Everything the route gives until it ends, at most cap bytes (TOO_LARGE). PLATFORM: nobody there, or
 * it takes longer than timeout_ms; why says which.
 */
qr_err QR_MUST qr_route_read(const char *route, uint32_t timeout_ms, uint8_t *out, size_t cap,
                             size_t *ret_len, char *why, size_t why_cap);
/*
 * `answer` (cap bytes) holds what ret's view points into. PLATFORM; *ret_again = 1 if another try may
 * succeed (nobody there, too slow, cut off), 0 otherwise (TLS, an answer that is none). CRYPTO_LIB.
 */
qr_err QR_MUST qr_https_post(const struct qr_https *h, qr_view request, uint8_t *answer, size_t cap,
                             struct qr_http_answer *ret, int *ret_again, char *why, size_t why_cap);

#endif
