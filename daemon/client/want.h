/*
 * What a client wants signed, and the body of the request that says so.
 *
 * What: a list of items of every kind of request.h becomes the one JSON text of the native form. The
 *       caller stamps these bytes and sends them; nobody between here and the parties can write them
 *       anew.
 * Why one writer: the command line, the facades and the library must not differ in what they ask.
 * No clock and no randomness in here: times and id are given.
 */
#ifndef QR_CLIENT_WANT_H
#define QR_CLIENT_WANT_H

#include "daemon/request.h"
#include "protocol/base/mem.h"

#define QR_WANT_LIFE_MS 120000u /* also while gateways are tried in turn */

struct qr_want_item {
    enum qr_kind kind;
    qr_view bytes;  /* the preimage; DIGEST: 32 bytes; BTC: the unsigned transaction */
    uint32_t input; /* BTC: which input is signed */
    int has_of;     /* BTC: 1: transaction and prevouts are those of item `of`, an earlier one */
    size_t of;
    const struct qr_btc_prevout *prev; /* BTC: one for each input */
    size_t n_prev;
};

struct qr_want {
    const uint8_t *cluster; /* 32 bytes */
    const uint8_t *key;     /* 33 bytes */
    const char *id;         /* QR_ID_MIN..QR_ID_MAX of [A-Za-z0-9_-] */
    uint64_t issued_ms, expires_ms;
    const uint32_t *path;
    size_t depth;
    const struct qr_want_item *item;
    size_t n; /* 1..QR_ITEMS_MAX */
};

/*
 * Appends the body to out, whose max is QR_BODY_MAX. TOO_LARGE, NO_MEMORY. Whether parties will take
 * it is for qr_request_parse to say.
 */
qr_err QR_MUST qr_want_write(const struct qr_want *w, struct qr_dbuf *out);
/* "0/5" to {0, 5}; "" to nothing. MALFORMED: up to QR_PATH_MAX numbers below 2^31. */
qr_err QR_MUST qr_want_path(const char *text, uint32_t ret[static QR_PATH_MAX], size_t *ret_depth);
/* 32 random hex digits and a NUL. */
void qr_want_id(char ret[static QR_ID_MAX + 1]);

#endif
