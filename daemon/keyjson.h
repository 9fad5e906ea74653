/*
 * A key's public record as JSON: what GET /v1/keys/{key} and the KEY query answer.
 *
 * What: one writer (the party) and one strict reader (clients, the command line) of the same text:
 *       {"v":1,"key":hex33,"key_id":hex32,"chain_code":hex32,"dkg_sid":hex32,"cluster":hex32,
 *        "admin_hash":hex32,"roster_hash":hex32,"epoch":0,"t":2,"n":3,"insecure_sim":true,
 *        "parties":[{"party":1,"id":hex32,"share":hex33,"confirmation":hex64},..]}
 *       parties in order 1..n; "insecure_sim" only when set.
 * Why: a client decides from this text whether a key is the quorum's or a gateway's invention. So
 *      the reader takes exactly these members in any order, and qr_key_check (protocol/key.h)
 *      judges the result; the text itself proves nothing.
 * All of it is public.
 */
#ifndef QR_KEYJSON_H
#define QR_KEYJSON_H

#include "protocol/base/mem.h"
#include "protocol/key.h"

#define QR_KEYJSON_MAX (1024u + QR_MAX_PARTIES * 384u) /* bytes of text */

/* Appends the text (no NUL). Errors: those of qr_dbuf_append. */
qr_err QR_MUST qr_keyjson_put(struct qr_dbuf *out, const struct qr_key_pub *k);
/*
 * MALFORMED, UNKNOWN_FIELD, TOO_LARGE, SET (n or t out of range), NO_MEMORY. Says nothing about
 * truth: qr_key_check next.
 */
qr_err QR_MUST qr_keyjson_parse(qr_view text, struct qr_key_pub *ret);

#endif
