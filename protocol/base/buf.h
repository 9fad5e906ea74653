/*
 * qr_buf: a bounded cursor buffer over memory the caller owns.
 *
 * What: writes append at `len`; reads advance `pos`. The maximum is fixed at birth.
 * Why: one place where lengths are checked. The first failure sticks in `err` and later calls do
 *      nothing, so a writer or parser checks once at its end.
 * Invariant: pos <= len <= cap. No allocation; see qr_dbuf in mem.h for a growing one.
 */
#ifndef QR_BUF_H
#define QR_BUF_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct qr_buf {
    uint8_t *p;
    size_t cap, len, pos;
    qr_err err; /* sticky */
};

/* An empty buffer to write to. */
struct qr_buf qr_buf_over(void *mem, size_t cap);
/* A full buffer to read from; the bytes are never written through it. */
struct qr_buf qr_buf_read(qr_view v);

void qr_buf_put(struct qr_buf *b, const void *p, size_t n);
void qr_buf_put8(struct qr_buf *b, uint8_t v);
void qr_buf_put16(struct qr_buf *b, uint16_t v);
void qr_buf_put32(struct qr_buf *b, uint32_t v);
void qr_buf_put64(struct qr_buf *b, uint64_t v);
/* u32 length, then the bytes. */
void qr_buf_put_lp(struct qr_buf *b, qr_view v);

/* On underrun these set err and return zeros or an empty view. */
void qr_buf_get(struct qr_buf *b, void *out, size_t n);
qr_view qr_buf_take(struct qr_buf *b, size_t n);
uint8_t qr_buf_get8(struct qr_buf *b);
uint16_t qr_buf_get16(struct qr_buf *b);
uint32_t qr_buf_get32(struct qr_buf *b);
uint64_t qr_buf_get64(struct qr_buf *b);
/* u32 length <= max, then that many bytes as a view into the buffer. */
qr_view qr_buf_get_lp(struct qr_buf *b, size_t max);

/* End of a parse: the sticky error, or QR_ERR_TRAILING if bytes are left. */
qr_err QR_MUST qr_buf_end(const struct qr_buf *b);
qr_view qr_buf_view(const struct qr_buf *b);

#endif
