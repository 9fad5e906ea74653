/*
 * qr_ledger: every byte on a link, by peer, class, direction and link kind.
 *
 * What: counters. Application classes count payload bytes as the protocol made them (before
 *       compression: `raw`) and as framed (after compression: `wire`); QR_CLASSES_OVERHEAD counts
 *       frame headers, envelopes, acknowledgements and TLS record bytes; so the sum of `wire` over
 *       all classes is exactly the bytes given to the link. TCP/IP headers are an estimate on a
 *       line of its own: 40 bytes per started MSS of 1448 in each flush, plus pure ACKs.
 * Why: bytes cost dollars between clouds; users see them per signature.
 */
#ifndef QR_LEDGER_H
#define QR_LEDGER_H

#include "protocol/base/limits.h"
#include "protocol/base/msg_t.h"

enum qr_link_kind { QR_LINK_LOOPBACK, QR_LINK_INTRA, QR_LINK_CROSS, QR_LINK_KINDS };
enum qr_dir { QR_DIR_OUT, QR_DIR_IN, QR_DIRS };

struct qr_ledger_row {
    uint64_t raw[QR_DIRS], wire[QR_DIRS], messages[QR_DIRS];
};

struct qr_ledger_peer {
    uint16_t index;
    enum qr_link_kind kind;
    struct qr_ledger_row class_[QR_CLASSES_COUNT];
    uint64_t tcpip_estimate[QR_DIRS];
    uint64_t frames[QR_DIRS], connects, resumes;
};

struct qr_ledger {
    size_t n;
    struct qr_ledger_peer peer[QR_MAX_PARTIES];
};

enum qr_class qr_msg_class(enum qr_msg type);
const char *qr_class_name(enum qr_class c); /* "presign" */
const char *qr_link_kind_name(enum qr_link_kind k);

#endif
