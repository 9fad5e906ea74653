/*
 * qr_der: reading DER values inside certificate extensions.
 *
 * What: tag, length, value, one at a time, with definite minimal lengths only.
 * Why: vendors put version numbers into private extensions, and "the third byte" is wrong for 128.
 */
#ifndef QR_DER_H
#define QR_DER_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct qr_der {
    const uint8_t *p;
    size_t left;
};

/* The next value; identifier octet in *ret_tag (one octet only). MALFORMED. */
qr_err QR_MUST qr_der_next(struct qr_der *d, uint8_t *ret_tag, qr_view *ret);
/* The next value, which must have this tag. */
qr_err QR_MUST qr_der_want(struct qr_der *d, uint8_t tag, qr_view *ret);
/* A non-negative INTEGER's value of at most 8 bytes, minimal. */
qr_err QR_MUST qr_der_uint(qr_view v, uint64_t *ret);
/* OBJECT IDENTIFIER's content against dots; both exact. */
int qr_der_is_oid(qr_view v, const char *dots);
static inline struct qr_der
qr_der_of(qr_view v)
{
    return (struct qr_der){v.p, v.len};
}

#endif
