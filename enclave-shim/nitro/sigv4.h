/*
 * qr_sigv4: AWS Signature Version 4 of one HTTP request.
 *
 * What: the canonical request, the string to sign and the Authorization header's value.
 * Limits: the path and the query are given in canonical form (a KMS call has "/" and none); header
 *         values without leading, trailing or doubled spaces; all headers given are signed.
 * Secrets: the secret access key came from the host and is no secret from it; it is kept out of logs
 *         and wiped for good manners. Its HMACs are OpenSSL's.
 * Source: AWS General Reference, "Create a signed AWS API request". Vectors: its test suite.
 */
#ifndef QR_SIGV4_H
#define QR_SIGV4_H

#include "protocol/base/buf.h"

#define QR_SIGV4_HEADERS 8u
#define QR_SIGV4_TIME_LEN 16u /* "20150830T123600Z" */

struct qr_sigv4 {
    const char *method, *path, *query, *region, *service;
    const char *key_id;
    qr_view secret;
    char time[QR_SIGV4_TIME_LEN + 1];
    size_t n;
    struct {
        const char *name; /* lower case, ascending */
        qr_view value;
    } header[QR_SIGV4_HEADERS];
    qr_view body;
};

/* ms since 1970, years 1970 to 9999. */
void qr_sigv4_time(int64_t ms, char out[static QR_SIGV4_TIME_LEN + 1]);
/*
 * Appends "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...". NO_SPACE (out, or a
 * canonical request above 8 KiB), CRYPTO_LIB.
 */
qr_err QR_MUST qr_sigv4_authorization(const struct qr_sigv4 *s, struct qr_buf *out);

#endif
