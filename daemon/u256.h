/*
 * Amounts: unsigned integers of 256 bits, for wei and satoshis and counts alike.
 *
 * What: big-endian 32 bytes, as they stand in a transaction; sums, comparison, decimal text.
 * Why: a value limit that wraps around is no limit. Every sum says when it does not fit.
 * Public data; variable time.
 */
#ifndef QR_U256_H
#define QR_U256_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_U256_TEXT 79u /* decimal digits of the largest, and a NUL */

struct qr_u256 {
    uint8_t b[32]; /* big-endian */
};

struct qr_u256 qr_u256_of(uint64_t v);
/* <0, 0, >0. */
int qr_u256_cmp(const struct qr_u256 *a, const struct qr_u256 *b);
int qr_u256_is_zero(const struct qr_u256 *a);
/* *ret = a + b. TOO_LARGE when that does not fit; *ret is then all ones. ret may be a or b. */
qr_err QR_MUST qr_u256_add(const struct qr_u256 *a, const struct qr_u256 *b, struct qr_u256 *ret);
/* *ret = a - b, and 0 when b is larger. */
void qr_u256_sub(const struct qr_u256 *a, const struct qr_u256 *b, struct qr_u256 *ret);
/* *ret = a * m. TOO_LARGE when that does not fit; *ret is then all ones. ret may be a. */
qr_err QR_MUST qr_u256_mul(const struct qr_u256 *a, uint64_t m, struct qr_u256 *ret);
/* *ret = a / d, rounded down. d: 1..2^24. */
void qr_u256_div(const struct qr_u256 *a, uint32_t d, struct qr_u256 *ret);
/* Decimal digits without a leading zero, 1..78 of them. MALFORMED, TOO_LARGE. */
qr_err QR_MUST qr_u256_parse(qr_view text, struct qr_u256 *ret);
void qr_u256_text(const struct qr_u256 *a, char ret[static QR_U256_TEXT]);

#endif
