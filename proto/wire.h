/*
 * Envelope: strict coding of party-to-party messages.
 *
 * What: the one encoding of an envelope that we write is the one we accept: fields in ascending
 *       order, each at most once, none that holds its default, shortest integers, no unknown field,
 *       nothing after the payload.
 * Why: two byte strings that mean the same message are two chances to disagree about it; and a
 *      payload is 640 KB, so neither direction may copy it.
 * How: the payload is the last field. Encoding writes the header (every other field, by protobuf-c)
 *      and the payload's tag and length; the payload itself may already stand behind it. Decoding
 *      first walks the bytes, which bounds every length and finds the payload, then lets protobuf-c
 *      unpack the header into memory on the stack, then packs it again and compares. Nothing is
 *      taken from the heap.
 * Source: wire.proto; README.md in this folder.
 * Thread rules: no state.
 */
#ifndef QR_WIRE_H
#define QR_WIRE_H

#include "protocol/base/buf.h"
#include "protocol/base/msg_t.h"

/* The longest header: everything in front of the payload's first byte. */
#define QR_WIRE_HEADER_MAX 80u
/* The longest payload: header, frame and acknowledgement still fit into QR_FRAME_MAX. */
#define QR_WIRE_PAYLOAD_MAX (QR_FRAME_MAX - 128u)

struct qr_envelope {
    enum qr_msg type;
    uint16_t from, to; /* 1..QR_MAX_PARTIES */
    uint32_t epoch;
    uint8_t sid[QR_SID_LEN];
    uint64_t seq; /* >= 1 */
    qr_view payload;
};

/* 1 if the number is a message of this protocol version. */
int qr_wire_type_known(uint32_t type);

/*
 * Writes the header for e, whose payload (only its length counts) follows it directly; *ret_len
 * bytes, at most QR_WIRE_HEADER_MAX. MALFORMED: a field out of range; TOO_LARGE: payload.
 */
qr_err QR_MUST qr_wire_header(const struct qr_envelope *e, uint8_t out[static QR_WIRE_HEADER_MAX],
                              size_t *ret_len);

/* Header and payload, appended to out. As above, and NO_SPACE. */
qr_err QR_MUST qr_wire_encode(const struct qr_envelope *e, struct qr_buf *out);

/*
 * The envelope that fills `in` exactly. ret->payload points into it. TRUNCATED, TRAILING, TOO_LARGE,
 * UNKNOWN_FIELD, LENGTH (sid), VERSION, or MALFORMED (order, repetition, wire type, defaults, long
 * integers, ranges). Who may send what is for the caller to check.
 */
qr_err QR_MUST qr_wire_decode(qr_view in, struct qr_envelope *ret);

#endif
