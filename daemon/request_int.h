/*
 * What the three files that read requests share: request.c (memory, the native form), request_item.c (one
 * item and its digest), request_raw.c (the raw form).
 *
 * Memory: q->mem has room for everything that a body can decode to, so a view into it stays where it
 *       is while the rest is read. Hex halves, and JSON's escapes never grow, so the body's own length
 *       bounds all decoded bytes together.
 */
#ifndef QR_REQUEST_INT_H
#define QR_REQUEST_INT_H

#include "daemon/request.h"
#include "proto/json_strict.h"

/* Outputs that the transactions of one request spend, all together. */
#define QR_REQ_PREVOUTS_MAX (2u * QR_BTC_INPUTS_MAX)

/* What is being read, besides the result. */
struct qr_req_reader {
    struct qr_request *q;
    size_t used; /* bytes of q->mem taken */
    /* Of the Bitcoin items so far; NULL before the first. Freed by qr_request_parse. */
    struct qr_btc_prevout *prev;
    size_t n_prev;
    size_t prev_at[QR_ITEMS_MAX]; /* where each item's begin */
};

/* Decodes lower-case hex into the request's memory. MALFORMED (says `name`). */
qr_err QR_MUST qr_req_hex(struct qr_req_reader *r, const struct qr_json_at *at, const char *name,
                          qr_view hex, qr_view *ret);
/* Copies text there. */
qr_view qr_req_keep(struct qr_req_reader *r, qr_view text);

/* One element of "items", native form; the items before it have been read. */
qr_err QR_MUST qr_req_item(struct qr_req_reader *r, const struct qr_json_at *at, size_t i);
/* The digest of kind and preimage, which are set; not for Bitcoin and DIGEST. */
qr_err QR_MUST qr_req_derive(struct qr_request_item *item, const struct qr_json_at *at);
/* What can be said only when all items are there: fee_bound; no input is signed twice in it. */
qr_err QR_MUST qr_req_items_end(struct qr_request *q, const struct qr_json_at *items);

/* The raw form. `root` is an object with "type" and without "v". */
qr_err QR_MUST qr_req_raw(struct qr_req_reader *r, const struct qr_json_at *root, qr_view body);

#endif
