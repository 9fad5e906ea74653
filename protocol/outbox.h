/*
 * qr_outbox: how a protocol machine hands out its messages without copying them.
 *
 * What: reserve memory for one message to one party, write it (over several calls if need be),
 *       commit it. The transport keeps the committed bytes until the peer acknowledges them.
 * Why: a PRESIGN2 message is 640 KB; and a (session, round, peer) message is computed once, so the
 *      bytes that a resend repeats are these.
 * Rules: reserve returns NULL when the peer's queue is full or the link is gone for good; the
 *        machine then fails with QR_ERR_BACKPRESSURE and the session is dead. Every reserved
 *        message is committed or cancelled.
 */
#ifndef QR_OUTBOX_H
#define QR_OUTBOX_H

#include "protocol/base/msg_t.h"

struct qr_outbox {
    void *ctx;
    uint8_t *(*reserve)(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch,
                        const uint8_t sid[32], size_t len);
    void (*commit)(void *ctx, uint16_t to, uint8_t *p);
    void (*cancel)(void *ctx, uint16_t to, uint8_t *p);
};

#endif
