/*
 * Frames of the pump's trunk, and what may follow what: the whole of what one half believes of the
 * other. No input or output, no allocation, no clock.
 *
 * What: a trunk is one byte stream between the two halves of a pump. It carries frames: a header of
 *       QR_PUMP_HEADER bytes, after DATA as many bytes as the header says.
 *
 *           u8 type | u8 arg | u16 stream | u32 value          big-endian
 *
 *           HELLO   arg: version; stream: side; value: "QRPM". The first frame of each half, once.
 *           OPEN    arg: route. A new stream; inside opens even numbers, outside odd ones.
 *           DATA    value: 1..QR_PUMP_DATA_MAX bytes that follow; they come out of the receiver's window.
 *           CREDIT  value: so many bytes more may be sent.
 *           FIN     no more DATA from here: half-close.
 *           END     arg: enum qr_pump_end. The last frame of a stream in this direction; without a FIN
 *                   both ways before it, it breaks the stream off.
 *           PING    answered by PONG.
 *
 *       Fields that are not named are zero. Each half sends one END for each stream; when both are
 *       there, the number may be used again, so that no late frame can meet a new stream.
 * Why: the other half is hostile. Each frame is checked alone (qr_pump_frame_read), then against what
 *      went before (qr_mux_recv); the first that does not fit ends the trunk.
 * Invariants: a half never holds more than QR_PUMP_WINDOW bytes of a stream; QR_PUMP_STREAMS bounds the
 *             streams; so memory is fixed. Credits never exceed the window in either direction.
 * What it is not: integrity. A parent that changes bytes of DATA goes unnoticed here; what runs through
 *      the pump is TLS or sealed.
 */
#ifndef QR_PUMP_FRAME_H
#define QR_PUMP_FRAME_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_PUMP_HEADER 8u
/* One write on a trunk. Some virtio-vsock devices stall on larger ones (above 32 KiB). */
#define QR_PUMP_WRITE 16384u
#define QR_PUMP_DATA_MAX (QR_PUMP_WRITE - QR_PUMP_HEADER)
#define QR_PUMP_STREAMS 64u
#define QR_PUMP_WINDOW (256u * 1024u)
#define QR_PUMP_ROUTES 64u
#define QR_PUMP_VERSION 1u

enum qr_pump_side { QR_PUMP_INSIDE = 1, QR_PUMP_OUTSIDE = 2 };

enum qr_pump_type {
    QR_PUMP_HELLO = 1,
    QR_PUMP_OPEN = 2,
    QR_PUMP_DATA = 3,
    QR_PUMP_CREDIT = 4,
    QR_PUMP_FIN = 5,
    QR_PUMP_END = 6,
    QR_PUMP_PING = 7,
    QR_PUMP_PONG = 8,
};

enum qr_pump_end {
    QR_PUMP_DONE = 0,    /* both halves sent FIN, and everything was delivered */
    QR_PUMP_RESET = 1,   /* the connection at this half broke, or was reset */
    QR_PUMP_REFUSED = 2, /* no such route, or what it leads to does not answer */
};

struct qr_pump_frame {
    enum qr_pump_type type;
    uint8_t arg;
    uint16_t stream;
    uint32_t value;
};

/* "OPEN". */
const char *qr_pump_type_name(enum qr_pump_type t);

void qr_pump_frame_write(const struct qr_pump_frame *f, uint8_t out[static QR_PUMP_HEADER]);
/* MALFORMED for everything that no state allows; *why, static, then says what is wrong. */
qr_err QR_MUST qr_pump_frame_read(const uint8_t in[static QR_PUMP_HEADER],
                                  struct qr_pump_frame *ret, const char **why);

/* One stream, as both halves' frames have made it. */
struct qr_lane {
    uint8_t used, in_fin, in_end, out_fin, out_end;
    uint32_t may_recv; /* bytes that the other half may still send */
    uint32_t may_send;
};

struct qr_mux {
    enum qr_pump_side side;
    int hello; /* the other half said HELLO */
    struct qr_lane lane[QR_PUMP_STREAMS];
};

void qr_mux_init(struct qr_mux *m, enum qr_pump_side side);
/*
 * The other half's frame, in order. On OK the state has moved on; when both ENDs are there, the number
 * is free (lane.used is 0). MALFORMED: the trunk must end; *why, static, says what was wrong.
 */
qr_err QR_MUST qr_mux_recv(struct qr_mux *m, const struct qr_pump_frame *f, const char **why);
/* A free number of ours, its lane in use from now on, or -1 when there is none. */
int qr_mux_open(struct qr_mux *m);
/* Our own frame goes out. Panics when it is not allowed: that is a bug of ours. */
void qr_mux_sent(struct qr_mux *m, const struct qr_pump_frame *f);

#endif
