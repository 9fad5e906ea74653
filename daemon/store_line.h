/*
 * qr_store_line: one connection to the gateway that keeps a store: a question out, an answer in.
 *
 * What: what store_remote.c and store_keep.c share. Blocking, until `until`.
 * Invariants: an answer's length is judged before it is read; text of the gateway's is made printable.
 *      After a failure of qr_sl_exchange, handed_over tells whether the question may have arrived.
 * Thread rules: single-threaded.
 */
#ifndef QR_STORE_LINE_H
#define QR_STORE_LINE_H

#include "daemon/store_wire.h"
#include "transport/address.h"

#define QR_STORE_REMOTE_MS 10000u /* a question, reconnection included */

struct qr_store_line {
    char where[QR_ADDRESS_MAX];
    int fd; /* -1: none */
    uint64_t until;
    int handed_over; /* all of the question is the kernel's: it may have arrived */
    struct qr_dbuf ask, answer;
    char error[512];
};

/* ADDRESS: `where` is no unix:// or numeric tcp:// address. Nothing is connected yet. */
qr_err QR_MUST qr_sl_init(struct qr_store_line *l, const char *where);
void qr_sl_free(struct qr_store_line *l);
void qr_sl_hang_up(struct qr_store_line *l);
/* The time for what follows begins. */
void qr_sl_timer(struct qr_store_line *l);
/* Connects, trying until the time is over, and says HELLO. `ask` may hold a question already. STORE. */
qr_err QR_MUST qr_sl_call(struct qr_store_line *l, int *ret_fresh);
/* HELLO on a connection that is there. A question that waits in `ask` stays. LINK_CLOSED and others. */
qr_err QR_MUST qr_sl_hello(struct qr_store_line *l, int *ret_fresh);
/* Sends `ask`, fills `answer`. LINK_CLOSED, MALFORMED, NO_MEMORY. */
qr_err QR_MUST qr_sl_exchange(struct qr_store_line *l);
/* What the answer says, as an error; *ret reads its body. */
qr_err QR_MUST qr_sl_status(struct qr_store_line *l, struct qr_buf *ret);
/* Hangs up and returns STORE_CORRUPT. */
qr_err QR_MUST qr_sl_malformed(struct qr_store_line *l, const char *what);
/* Writes l->error, returns e. */
qr_err QR_MUST qr_sl_fail(struct qr_store_line *l, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* out becomes v; an error is explained. */
qr_err QR_MUST qr_sl_replace(struct qr_store_line *l, struct qr_dbuf *out, qr_view v);

#endif
