/*
 * What a request asks, in plain words: for the person who approves it, and for whoever reads a log.
 *
 * What: lines of "label: text", in an order of their own for each kind: chain, to, value, method, fee;
 *       the typed data's members; a Bitcoin transaction's receivers, change and fee; key and path; who
 *       asks; until when. The approvers' page (clients/approve) writes the same words from the same
 *       bytes: test/clients compares the two on a corpus.
 * Why here: what a person reads must be made from the bytes that are signed, at his side, by code that
 *       he has; never by the gateway, and never from a text that came along.
 * Everything hostile is escaped: what is not printable ASCII is shown as \u{…}, long text is cut and says
 *       so, with its length.
 */
#ifndef QR_WORDS_H
#define QR_WORDS_H

#include "daemon/request.h"
#include "protocol/base/mem.h"

/* client: the name of who stamped it, or NULL when not known. Lines end in '\n'. NO_MEMORY, TOO_LARGE. */
qr_err QR_MUST qr_words(const struct qr_request *q, const char *client, struct qr_dbuf *out);
/* "Ethereum", "Polygon"…; NULL when the chain is not in the table. */
const char *qr_chain_name(uint64_t chain_id);

#endif
