/*
 * Frames: what is said inside a channel, one length-prefixed piece at a time.
 *
 * What: frame = u32 n || u8 kind || body of n - 1 bytes. Bit 7 of kind says that the body is zstd.
 *       A DATA body is u64 acknowledgement || items; item = u32 word || bytes, where the word's low
 *       31 bits are the length and bit 31 says zstd; unpacked, the bytes are one Envelope.
 * Why: everything that waits for a peer goes out in one frame, so a TLS record of 16 KiB is shared
 *      by many messages. Each message is compressed by itself (zip.h says why).
 * Invariants: the bounds of every kind are checked before memory is taken for its body; a frame, and
 *             all that its items unpack to, is at most QR_FRAME_MAX bytes.
 * Thread rules: no state; a qr_block is counted without locks, one thread.
 */
#ifndef QR_FRAME_H
#define QR_FRAME_H

#include "protocol/base/buf.h"
#include "protocol/base/limits.h"
#include "transport/chain.h"

#define QR_FRAME_HEAD_LEN 5u
#define QR_FRAME_ZSTD 0x80u /* in the kind byte */
#define QR_ITEM_HEAD_LEN 4u
#define QR_ITEM_ZSTD 0x80000000u /* in the item's word */
#define QR_RESUME_LEN (8u + QR_CHAIN_LEN)
#define QR_DATA_HEAD_LEN 8u /* the acknowledgement in front of the items */
#define QR_EVIDENCE_FRAME_MAX (QR_EVIDENCE_MAX + 1024u)

enum qr_frame {
    QR_FRAME_HELLO = 1,    /* hello.h */
    QR_FRAME_EVIDENCE = 2, /* a TEE's evidence, opaque; may be zstd */
    QR_FRAME_CONFIRM = 3,  /* u8 verdict || 32-byte MAC (chan.h) */
    QR_FRAME_RESUME = 4,   /* u64: last seq received in this pair of boots || chain.h's 64 bytes */
    QR_FRAME_DATA = 5,
    QR_FRAME_ACK = 6,  /* u64: last seq received, all before it included */
    QR_FRAME_PING = 7, /* u64, to be echoed */
    QR_FRAME_PONG = 8,
    QR_FRAME_CLOSE = 9, /* u8 enum qr_close; the sender closes after it */
};

/* All that a peer learns of why it was turned away. */
enum qr_close {
    QR_CLOSE_NORMAL = 0,   /* replaced by a newer connection, or shutting down */
    QR_CLOSE_PROTOCOL = 1, /* bytes that make no sense */
    QR_CLOSE_REFUSED = 2,  /* identity, evidence, boot or stored state */
    QR_CLOSE_CONFIG = 3,   /* version, cluster, roster or policy differ */
    QR_CLOSE_BUSY = 4,     /* out of memory or time */
};

enum qr_close qr_close_code(qr_err why);
/* "refused us", for the operator at the receiving end. */
const char *qr_close_text(uint8_t code);

/* body_len <= QR_FRAME_MAX - 1. */
void qr_frame_head_put(uint8_t out[static QR_FRAME_HEAD_LEN], unsigned kind, size_t body_len);

/*
 * Kind (bit 7 removed), zstd flag and body length of a head. MALFORMED: unknown kind, or zstd where
 * it is not allowed; LENGTH: outside the kind's bounds (TOO_LARGE above QR_FRAME_MAX).
 */
qr_err QR_MUST qr_frame_head_get(const uint8_t in[static QR_FRAME_HEAD_LEN],
                                 enum qr_frame *ret_kind, int *ret_zstd, size_t *ret_body_len);

/* The next item of a DATA body; call while items.pos < items.len. MALFORMED, TRUNCATED. */
qr_err QR_MUST qr_frame_item(struct qr_buf *items, int *ret_zstd, qr_view *ret_bytes);

/* Received bytes with a count of users; messages point into it. */
struct qr_block {
    unsigned refs;
    size_t len;
    _Alignas(16) uint8_t p[];
};

/* One reference; contents undefined. NULL when out of memory. */
struct qr_block *qr_block_new(size_t len);
struct qr_block *qr_block_ref(struct qr_block *b);
/* Takes NULL; returns NULL. */
struct qr_block *qr_block_unref(struct qr_block *b);

#endif
