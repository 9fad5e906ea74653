/*
 * The words between a party without a disk and the gateway that keeps its sealed store.
 *
 * What: a question, one answer, in turn, over a Unix socket or TCP on loopback (inside an enclave: the
 *       pump's end of a route). Big-endian; a frame is
 *
 *           question  u32 length | u8 op     | body        length counts what follows it
 *           answer    u32 length | u8 status | body
 *           name      u8 length | bytes      1..QR_DB_NAME_MAX
 *           bytes     u32 length | bytes
 *
 *       HELLO      "QRST1"                    -> u8 fresh: 1 if there is nothing yet
 *       HEAD                                  -> bytes
 *       GET        u16 tab, name              -> u64 serial, bytes
 *       NEXT       u8 first, u16 tab, name    -> u16 tab, name, u64 serial, bytes  (name absent if first = 1)
 *       COMMIT     32 bytes, u8 n, n changes  -> nothing
 *                  change: u8 1 (put), u16 tab, name, u64 serial, bytes
 *                          u8 2 (delete), u16 tab, name
 *                          u8 3 (head), bytes
 *       KEEP_LOAD  name                       -> bytes
 *       KEEP_SAVE  name, bytes                -> nothing
 *
 *       A status that is not OK has a text of at most QR_SW_TEXT_MAX bytes as its body.
 * Why a whole transaction in one question: either it arrived as a whole or it did not, so a lost
 *      connection leaves two outcomes to tell apart, not many.
 * The 32 bytes of COMMIT are SHA-256 of the head that the party knows (zeros: none). Another head there
 *      means another party has written: CONFLICT, and nothing is changed.
 * Trust: none in either direction. The gateway bounds what it is sent; the party judges what comes back
 *      by its chain (store.h). All bytes that matter are sealed.
 * Thread rules: no state.
 */
#ifndef QR_STORE_WIRE_H
#define QR_STORE_WIRE_H

#include "daemon/store_db.h"
#include "protocol/base/buf.h"

#define QR_SW_HELLO_TEXT "QRST1"
#define QR_SW_TEXT_MAX 256u
#define QR_SW_KEEP_MAX 16384u
#define QR_SW_NAME_MAX 64u
/* The largest frame each way, its length field not counted. */
#define QR_SW_ASK_MAX (16u * 1024u * 1024u) /* a commit with more fails as STORE_FULL */
#define QR_SW_ANSWER_MAX (QR_DB_SEALED_MAX + 256u)

enum qr_sw_op {
    QR_SW_HELLO = 1,
    QR_SW_HEAD = 2,
    QR_SW_GET = 3,
    QR_SW_NEXT = 4,
    QR_SW_COMMIT = 5,
    QR_SW_KEEP_LOAD = 6,
    QR_SW_KEEP_SAVE = 7,
};

enum qr_sw_status {
    QR_SW_OK = 0,
    QR_SW_NOT_FOUND = 1,
    QR_SW_FULL = 2,
    QR_SW_READONLY = 3,
    QR_SW_CORRUPT = 4,
    QR_SW_FAILED = 5,
    QR_SW_NO_MEMORY = 6,
    QR_SW_CONFLICT = 7,
    QR_SW_BAD = 8, /* the question is not of this form */
};

enum qr_sw_change { QR_SW_PUT = 1, QR_SW_DEL = 2, QR_SW_PUT_HEAD = 3 };

/* Appended to d; TOO_LARGE, NO_MEMORY. */
qr_err QR_MUST qr_sw_put8(struct qr_dbuf *d, uint8_t v);
qr_err QR_MUST qr_sw_put16(struct qr_dbuf *d, uint16_t v);
qr_err QR_MUST qr_sw_put64(struct qr_dbuf *d, uint64_t v);
qr_err QR_MUST qr_sw_put_name(struct qr_dbuf *d, const char *name);
qr_err QR_MUST qr_sw_put_bytes(struct qr_dbuf *d, qr_view v);
/* A frame that begins: room for its length, then the op or status. */
qr_err QR_MUST qr_sw_begin(struct qr_dbuf *d, uint8_t code);
/* Writes the length of the frame that d is. */
void qr_sw_end(struct qr_dbuf *d);

/* Sets b->err to MALFORMED unless it is a name of printable bytes without a NUL. */
void qr_sw_get_name(struct qr_buf *b, char out[static QR_SW_NAME_MAX + 1]);

enum qr_sw_status qr_sw_status_of(qr_err e);
qr_err qr_sw_err_of(enum qr_sw_status s); /* STORE for what is unknown */

#endif
