/*
 * qr_cbor: a bounded, pull-style CBOR reader over libcbor's streaming decoder.
 *
 * What: reads one item after the other from bytes that stay in place; strings are views.
 * Why: libcbor's tree builder allocates what a header declares; here nothing is allocated at all.
 * Invariants: depth <= 8, items <= 512 (a larger declared count is TOO_LARGE at its head); a declared
 *             count never exceeds the bytes that are left;
 *             indefinite maps and arrays are read, indefinite strings are not; text is UTF-8;
 *             floats, negative tags' payloads and simple values but false, true, null are refused
 *             where the caller does not skip them.
 * Errors are sticky: after the first, every call returns it. MALFORMED, TRAILING, TOO_LARGE.
 * Source: RFC 8949.
 */
#ifndef QR_CBOR_H
#define QR_CBOR_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_CBOR_DEPTH 8u
#define QR_CBOR_ITEMS 512u

struct qr_cbor {
    qr_view in;
    size_t pos;
    unsigned depth, items;
    qr_err err;
};

enum qr_cbor_type {
    QR_CBOR_UINT,
    QR_CBOR_NEGINT,
    QR_CBOR_BYTES,
    QR_CBOR_TEXT,
    QR_CBOR_ARRAY,
    QR_CBOR_MAP,
    QR_CBOR_TAG,
    QR_CBOR_BOOL,
    QR_CBOR_NULL,
    QR_CBOR_BREAK,
    QR_CBOR_OTHER,
};

struct qr_cbor_item {
    enum qr_cbor_type type;
    int indefinite; /* of ARRAY and MAP */
    uint64_t u;     /* value, count, tag; NEGINT: -1 - u; BOOL: 0 or 1 */
    qr_view v;      /* of BYTES and TEXT */
    int minimal;    /* 1: the head is in its shortest form */
};

void qr_cbor_init(struct qr_cbor *c, qr_view in);
/* The next item's head (for containers) or the item. */
qr_err QR_MUST qr_cbor_next(struct qr_cbor *c, struct qr_cbor_item *ret);

/* A container that was opened by qr_cbor_next; counts what is left of it. */
struct qr_cbor_open {
    uint64_t left; /* elements, or pairs of a map */
    int indefinite;
};
/* Enters the container `head`; TOO_LARGE past the depth. Every enter has its qr_cbor_more == 0. */
qr_err QR_MUST qr_cbor_enter(struct qr_cbor *c, const struct qr_cbor_item *head,
                             struct qr_cbor_open *ret);
/* 1: another element (pair) follows; 0: the end, which was consumed, or an error (see c->err). */
int qr_cbor_more(struct qr_cbor *c, struct qr_cbor_open *o);
/* Skips the whole of the next item. */
qr_err QR_MUST qr_cbor_skip(struct qr_cbor *c);
/* The sticky error, or TRAILING when bytes are left. */
qr_err QR_MUST qr_cbor_end(const struct qr_cbor *c);

#endif
