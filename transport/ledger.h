/*
 * qr_ledger: every byte on a link, by peer, class, direction and link kind.
 *
 * What: counters. Application classes count payload bytes as the protocol made them (before
 *       compression, once per message: `raw`) and as they went over the wire (after compression,
 *       resends included: `wire`); QR_CLASSES_HANDSHAKE counts the TLS handshake and the frames up to
 *       RESUME; QR_CLASSES_OVERHEAD counts frame heads, envelopes, acknowledgements, pings and TLS
 *       record bytes.
 *       TCP/IP headers are an estimate on a line of its own: QR_TCPIP_HEADER bytes for every started
 *       QR_TCPIP_MSS of each piece handed to the link, and for one pure ACK per two segments in the
 *       other direction.
 * Why: bytes cost dollars between clouds; users see them per signature.
 * Invariants: at every moment the sum of `wire` over all classes and peers (the stranger's row
 *             included) is exactly the bytes that links took from us and gave to us.
 * Thread rules: none; plain counters of one net.
 */
#ifndef QR_LEDGER_H
#define QR_LEDGER_H

#include "protocol/base/limits.h"
#include "protocol/base/msg_t.h"

/* Ethernet's 1500: 20 bytes of IPv4, 20 of TCP, 12 of its timestamps, 1448 of ours. */
#define QR_TCPIP_HEADER 52u
#define QR_TCPIP_MSS 1448u

enum qr_link_kind { QR_LINK_LOOPBACK, QR_LINK_INTRA, QR_LINK_CROSS, QR_LINK_KINDS };
enum qr_dir { QR_DIR_OUT, QR_DIR_IN, QR_DIRS };

struct qr_ledger_row {
    uint64_t raw[QR_DIRS], wire[QR_DIRS], messages[QR_DIRS];
};

struct qr_ledger_peer {
    uint16_t index; /* 0: the stranger's row */
    enum qr_link_kind kind;
    struct qr_ledger_row class_[QR_CLASSES_COUNT];
    uint64_t tcpip_estimate[QR_DIRS];
    uint64_t frames[QR_DIRS];   /* after the handshake */
    uint64_t connects, resumes; /* confirmed connections; those that kept their queues */
    uint64_t duplicates;        /* messages dropped because they had been received before */
};

struct qr_ledger {
    size_t n;
    struct qr_ledger_peer peer[QR_MAX_PARTIES];
    /* Connections that never proved an identity. */
    struct qr_ledger_peer stranger;
};

enum qr_class qr_msg_class(enum qr_msg type);
const char *qr_class_name(enum qr_class c);         /* "presign" */
const char *qr_link_kind_name(enum qr_link_kind k); /* "loopback", "intra", "cross" */

/* Loopback by address; else by whether both names of clouds are the same and not empty. */
enum qr_link_kind qr_link_kind_of(const char *address, const char *cloud_a, const char *cloud_b);

/* Sum of wire over all classes of a row. */
uint64_t qr_ledger_wire(const struct qr_ledger_peer *p, enum qr_dir d);
/* Adds every counter of `from` to `to`; index and kind of `to` stay. */
void qr_ledger_merge(struct qr_ledger_peer *to, const struct qr_ledger_peer *from);
/* n bytes taken from or given to a link in one piece. */
void qr_ledger_tcpip(struct qr_ledger_peer *p, enum qr_dir d, size_t n);
/* Moves n received bytes from overhead, where they arrived, to what they turned out to be. */
void qr_ledger_in(struct qr_ledger_peer *p, enum qr_class c, size_t n);

/*
 * What the ciphertext that waits for a link consists of, in order, so that bytes are counted when
 * the link takes them and not before.
 */
#define QR_TALLY_SPANS 8u
struct qr_tally {
    struct {
        size_t cipher, taken;
        size_t by_class[QR_CLASSES_COUNT]; /* sums to at most cipher; the rest is overhead */
    } span[QR_TALLY_SPANS];
    unsigned first, n;
};

/* cipher bytes were appended, of which by_class[c] are class c. */
void qr_tally_add(struct qr_tally *t, size_t cipher,
                  const size_t by_class[static QR_CLASSES_COUNT]);
/* The link took n bytes: counts them into p's outgoing wire. */
void qr_tally_take(struct qr_tally *t, size_t n, struct qr_ledger_peer *p);

#endif
