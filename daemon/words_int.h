/*
 * What the files that write a request's words share: a writer of lines, and forms of bytes, texts and
 * amounts that are the same everywhere. clients/approve/words.js has each of them once more.
 *
 * Forms: text is quoted; printable ASCII stands as it is, '"' and '\' behind a '\', other characters
 *       as \u{hex}, bytes that are no UTF-8 as \x{hex}. Bytes are 0x and hex. Both are cut at a
 *       length, and then the line says how long they are.
 */
#ifndef QR_WORDS_INT_H
#define QR_WORDS_INT_H

#include "daemon/words.h"

#define QR_WORDS_TEXT_MAX 4096u /* bytes of one text that are shown */
#define QR_WORDS_HEX_MAX 256u   /* bytes shown in hex */

struct qr_words {
    struct qr_dbuf *out;
    qr_err err; /* sticky */
};

void qr_words_put(struct qr_words *w, const char *s);
void qr_words_printf(struct qr_words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "label: " */
void qr_words_label(struct qr_words *w, const char *label);
/* A whole line. */
void qr_words_line(struct qr_words *w, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Quoted; v is the beginning of a text of `whole` bytes. */
void qr_words_quoted(struct qr_words *w, qr_view v, size_t whole);
/* Lines of a text (one for each of its lines), or of bytes that are no text. */
void qr_words_bytes(struct qr_words *w, qr_view v);
/* "N bytes: 0x…", cut. */
void qr_words_hex(struct qr_words *w, qr_view v);
void qr_words_eth_address(struct qr_words *w, const uint8_t a[static 20]);
/* n <= 40 bytes, big-endian, in decimal digits; decimals > 0: a point that many digits from the end. */
void qr_words_decimal(struct qr_words *w, const uint8_t *be, size_t n, unsigned decimals);
/* "Ethereum (1)" */
void qr_words_chain(struct qr_words *w, uint64_t chain_id);

/* Lines of one item, behind the line that says what it is. */
void qr_words_eth_tx(struct qr_words *w, const struct qr_eth_tx *tx);
void qr_words_712(struct qr_words *w, const struct qr_request_item *item);
/* same: number (from 1) of an earlier item of the same transaction, 0: there is none. */
void qr_words_btc(struct qr_words *w, const struct qr_btc *t, size_t same);

#endif
