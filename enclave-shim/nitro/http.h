/*
 * qr_http: one HTTP/1.1 answer, strictly.
 *
 * What: tells from the bytes received so far whether an answer is whole, and where its body is. A
 *       chunked body is put together in place.
 * Why own: the only HTTP of a party is one POST to KMS; what it has to read is small, and everything
 *       that two readers could read differently is refused.
 * Refused: versions other than 1.1, interim answers, header lines that are folded or without a name,
 *       both or two of Content-Length and Transfer-Encoding, codings other than chunked, chunk
 *       extensions, trailers, a body whose end only the connection tells, bytes behind the end, NUL and
 *       bare CR or LF in the head, more than QR_HTTP_LINES header lines.
 * Source: RFC 9112.
 */
#ifndef QR_HTTP_H
#define QR_HTTP_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_HTTP_LINES 48u

struct qr_http_answer {
    int status; /* 200..599 */
    qr_view body;
};

/*
 * p is changed only on success (a chunked body moves together). TRUNCATED: more bytes must come;
 * TOO_LARGE: head or body above their bounds; MALFORMED, TRAILING, VERSION. *ret_why names the rule,
 * also for TRUNCATED ("the head").
 */
qr_err QR_MUST qr_http_parse(uint8_t *p, size_t len, size_t head_max, size_t body_max,
                             struct qr_http_answer *ret, const char **ret_why);

#endif
