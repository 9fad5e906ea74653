/*
 * Writing JSON: appends to a qr_dbuf, by hand and without a tree.
 *
 * What: raw pieces, escaped strings, hex, numbers. The first failure sticks in `err`, so that a
 *       writer checks once at its end. Commas and brackets are the caller's raw pieces: the shapes
 *       here are fixed and few.
 * Why: answers are rendered once per request; a tree per answer costs more than the signature's
 *      bookkeeping. Text from outside is always escaped and made valid UTF-8.
 */
#ifndef QR_JSONW_H
#define QR_JSONW_H

#include "protocol/base/err.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

struct qr_jsonw {
    struct qr_dbuf *d;
    qr_err err; /* sticky */
};

struct qr_jsonw qr_jsonw_to(struct qr_dbuf *d);
/* As it is. */
void qr_jsonw_raw(struct qr_jsonw *w, const char *s);
/* Quoted and escaped; bytes that are no UTF-8 become U+FFFD. */
void qr_jsonw_str(struct qr_jsonw *w, qr_view v);
/* Quoted lower-case hex. */
void qr_jsonw_hex(struct qr_jsonw *w, const void *p, size_t n);
void qr_jsonw_u64(struct qr_jsonw *w, uint64_t v);
void qr_jsonw_bool(struct qr_jsonw *w, int v);

/*
 * One character of v at i (i < v.len) in a form that is safe inside a JSON string and on a terminal:
 * writes at most 6 bytes to out and their number to *ret_n; returns how many bytes of v it took.
 */
size_t qr_json_escape(qr_view v, size_t i, char out[static 8], size_t *ret_n);

#endif
