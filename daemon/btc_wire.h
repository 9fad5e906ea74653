/*
 * How Bitcoin writes numbers: little-endian, and lengths as compact sizes in their shortest form.
 *
 * What: a cursor for readers of transactions and of PSBTs, and the few writers they need.
 * Invariant: nothing is read past the end; a length in a longer form than it needs is refused, because
 *       another reader might refuse it.
 * Source: Bitcoin Core's documentation of serialisation.
 */
#ifndef QR_BTC_WIRE_H
#define QR_BTC_WIRE_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct qr_btc_cur {
    const uint8_t *p;
    size_t len, at; /* at <= len */
};

/* The next n bytes. QR_ERR_TRUNCATED. */
qr_err QR_MUST qr_btc_take(struct qr_btc_cur *c, uint64_t n, qr_view *ret);
/* QR_ERR_TRUNCATED; QR_ERR_MALFORMED: not in the shortest form. */
qr_err QR_MUST qr_btc_take_size(struct qr_btc_cur *c, uint64_t *ret);
/* A compact size and as many bytes. Both errors. */
qr_err QR_MUST qr_btc_take_bytes(struct qr_btc_cur *c, qr_view *ret);

#define QR_BTC_SIZE_MAX 9u
/* Writes a compact size; returns its length. */
size_t qr_btc_put_size(uint8_t p[static QR_BTC_SIZE_MAX], uint64_t n);

/* n <= 8 bytes, the lowest first. */
uint64_t qr_btc_get_le(const uint8_t *p, size_t n);
void qr_btc_put_le(uint8_t *p, uint64_t v, size_t n);

/* SHA-256 twice. */
void qr_btc_hash256(qr_view v, uint8_t ret[static 32]);

#endif
