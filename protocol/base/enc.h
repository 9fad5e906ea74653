/*
 * Text encodings, strict: lower-case hex and unpadded base64url; standard base64 with padding.
 *
 * Invariant: decode(encode(x)) == x and every text has at most one decoding; upper-case hex, odd
 * lengths, non-zero trailing bits, spaces and padding where none belongs are QR_ERR_MALFORMED.
 * Variable time: public data only.
 */
#ifndef QR_ENC_H
#define QR_ENC_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

/* Writes 2*v.len characters and a NUL; out has room for 2*v.len + 1. */
void qr_hex_encode(qr_view v, char *out);
/* Exactly text_len/2 bytes to out; text_len must be 2*out_len. */
qr_err QR_MUST qr_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t out_len);

/* Characters for n bytes, without NUL. */
size_t qr_b64url_len(size_t n);
void qr_b64url_encode(qr_view v, char *out); /* and a NUL */
/* Decodes to out (cap bytes); writes *ret_len. QR_ERR_TOO_LARGE if it does not fit. */
qr_err QR_MUST qr_b64url_decode(const char *text, size_t text_len, uint8_t *out, size_t cap,
                                size_t *ret_len);

size_t qr_b64_len(size_t n);
void qr_b64_encode(qr_view v, char *out); /* and a NUL */
qr_err QR_MUST qr_b64_decode(const char *text, size_t text_len, uint8_t *out, size_t cap,
                             size_t *ret_len);

#endif
