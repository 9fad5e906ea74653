/*
 * qr_queue: what was said to one peer and is not yet acknowledged.
 *
 * What: messages between reserve and commit; then, in order of commit, the exact item bytes that a
 *       DATA frame carries (item head, envelope header, payload; or the packed envelope). A cursor
 *       separates what has been written to the present connection from what has not.
 * Why: a message is computed once. After a broken connection the same bytes are sent again from the
 *      first one that the peer lacks.
 * Memory: one block a message: the payload stands where the caller wrote it, and the headers are
 *         written in front of it at commit, when seq is known. Blocks start zeroed, so that a caller
 *         that forgets a byte sends a zero and not what was on the heap; all but presigning's are
 *         wiped when they go.
 * Invariants: bytes <= QR_PEER_QUEUE_MAX; seqs of the queue are consecutive and end at last_seq;
 *             freed only by acknowledgement, cancel, or drop. A message reserved before a drop and
 *             committed after it is discarded.
 * Thread rules: one thread.
 */
#ifndef QR_QUEUE_H
#define QR_QUEUE_H

#include "protocol/base/limits.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/view.h"
#include "transport/zip.h"

struct qr_queued {
    struct qr_queued *prev, *next;
    uint64_t magic, generation;
    uint64_t seq; /* 0 until committed */
    size_t room;  /* of p[] */
    size_t cost;  /* bytes counted against the limit */
    enum qr_msg type;
    uint32_t epoch;
    uint8_t sid[32];
    size_t payload_len;
    size_t item_at, item_len; /* in p[]; known at commit */
    size_t header_len;        /* envelope bytes that are not payload, for the ledger */
    int counted;              /* already in the ledger as a message */
    _Alignas(64) uint8_t p[];
};

struct qr_queue {
    uint16_t from, to;
    struct qr_queued *first, *last; /* committed and not acknowledged */
    struct qr_queued *cursor;       /* first not yet written here; NULL: all written */
    struct qr_queued *open;         /* reserved, not committed */
    uint64_t last_seq, acked;
    uint64_t generation;
    size_t bytes;
};

void qr_queue_init(struct qr_queue *q, uint16_t from, uint16_t to);
/* Frees everything, reserved messages included. */
void qr_queue_clear(struct qr_queue *q);

/*
 * 64-byte aligned, zeroed memory for a payload of len bytes; NULL when the limit would be passed,
 * len is above QR_WIRE_PAYLOAD_MAX, the type is unknown, or memory is out.
 */
uint8_t *qr_queue_reserve(struct qr_queue *q, enum qr_msg type, uint32_t epoch,
                          const uint8_t sid[static 32], size_t len);
/* p comes from reserve; anything else panics. zip may pack it. */
void qr_queue_commit(struct qr_queue *q, struct qr_zip *zip, uint8_t *p);
void qr_queue_cancel(struct qr_queue *q, uint8_t *p);

/* Forgets all that was committed and starts again from seq 1: another pair of boots. */
void qr_queue_drop(struct qr_queue *q);
/* The peer has everything up to seq. MALFORMED if it cannot have: not yet written (`written`). */
qr_err QR_MUST qr_queue_ack(struct qr_queue *q, uint64_t seq);
/* A new connection: the peer has everything up to seq; the cursor goes to what it lacks. STATE. */
qr_err QR_MUST qr_queue_resume(struct qr_queue *q, uint64_t seq);

#endif
