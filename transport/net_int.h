/*
 * The inside of qr_net: net, peer and line, for net.c, peer.c and line.c only.
 *
 * What: a line is one connection: a link's conn, a channel, and the peer it belongs to once that is
 *       known. A peer has at most one line that carries messages (`up`), one that waits for RESUME
 *       (`next`), and one that we dial (`dial`, which may be the same as next).
 * Why: a peer outlives its connections; a connection may never learn whose it is.
 * Swapping lines: a new line of the same two boots replaces the old one without a gap. When it is
 *       READY, the old line is frozen (it neither sends nor receives), because RESUME states what was
 *       received and that must stay true; when RESUME arrives, the old line is closed.
 * Invariants: peer->up, next, dial point to lines of the net's list, never to one in LINE_CLOSING;
 *             lines are freed only by the link's on_close, or with the net.
 * Thread rules: as net.h.
 */
#ifndef QR_NET_INT_H
#define QR_NET_INT_H

#include "transport/chan.h"
#include "transport/net.h"
#include "transport/queue.h"

enum qr_line_state {
    LINE_DIALLING,
    LINE_HANDSHAKE,
    LINE_READY, /* RESUME sent, the peer's awaited */
    LINE_UP,
    LINE_FROZEN,
    LINE_CLOSING,
};

struct qr_line {
    struct qr_line *prev, *next;
    struct qr_net *net;
    struct qr_conn *conn; /* NULL while dialling */
    struct qr_chan *chan; /* NULL while dialling */
    struct qr_peer *peer; /* NULL: a stranger still */
    enum qr_role role;
    enum qr_line_state state;
    uint64_t since, heard; /* ns: start of this state's clock; last bytes received */
    int full;              /* the link took less than it was given */
    /* The DATA frame being written: bytes still to write, and how far into the cursor's item. */
    size_t frame_left, item_at;
    struct qr_ledger_peer counts; /* until it is known whose they are */
};

struct qr_peer {
    struct qr_net *net;
    const struct qr_net_peer *cfg;
    struct qr_ledger_peer *row;
    struct qr_line *up, *next, *dial;
    int shown; /* on_up was reported last, not on_down */

    /* This pair of boots; valid once `known`. */
    int known;
    struct qr_peer_info info;
    struct qr_queue queue;
    uint64_t recv_seq;
    struct qr_chain chain;

    /* ns; 0: nothing due */
    uint64_t ack_due, ping_due, ping_sent, rtt;
    uint64_t up_at;       /* when the evidence in force was accepted */
    uint64_t renew_at;    /* when the dialling side tries to have it renewed */
    unsigned renew_fails; /* tries in a row that came to nothing */
    size_t unacked;       /* bytes received since our last acknowledgement */
    uint64_t pong;        /* value to echo */
    int pong_due;

    unsigned attempt; /* dials that failed in a row */
    uint64_t dial_at; /* not before */

    /* The last refusal reported, so that a lasting fault is not reported every second. */
    qr_err said;
    uint64_t said_at;
    char said_text[QR_CHAN_WHY_MAX];
};

struct qr_net {
    struct qr_net_params p;
    struct qr_net_events ev;
    struct qr_chan_env env;
    struct qr_tls_id *tls;
    struct qr_link *link;
    struct qr_line *lines;
    size_t half_open; /* accepted lines that are not up */
    uint64_t now;
    int dirty; /* there is work that no descriptor announces */
    int reset; /* close everything and attest anew */
    struct qr_ledger ledger;
    struct qr_peer peers[QR_MAX_PARTIES];
    struct qr_peer stranger; /* only its `said` fields */
};

#define QR_MS UINT64_C(1000000)
#define QR_NET_HANDSHAKE_NS (10000 * QR_MS) /* from dial or accept to UP */
#define QR_NET_SILENCE_NS (3000 * QR_MS)    /* a line that says nothing for so long is gone */
#define QR_NET_PING_NS (1000 * QR_MS)
#define QR_NET_REATTEST_NS (600000 * QR_MS) /* age at which the dialling side attests anew */
#define QR_NET_EVIDENCE_NS (660000 * QR_MS) /* age at which a line is closed all the same */
#define QR_NET_RENEW_NS (10000 * QR_MS)     /* until a failed renewal is tried again; doubles */
#define QR_NET_BACKOFF_MIN_NS (50 * QR_MS)
#define QR_NET_BACKOFF_MAX_NS (1000 * QR_MS)
#define QR_NET_STEADY_NS (1000 * QR_MS)  /* a line that lived so long forgives failed dials */
#define QR_NET_ACK_NS (25 * QR_MS)       /* an acknowledgement waits so long for company */
#define QR_NET_ACK_BYTES (256u * 1024u)  /* but not for more than this */
#define QR_NET_BATCH (64u * 1024u)       /* a frame takes no further message beyond this */
#define QR_NET_REPEAT_NS (60000 * QR_MS) /* the same refusal is reported once in this time */

/* net.c */
struct qr_peer *qr_net_peer_of(struct qr_net *n, uint16_t index);
/* Reports `detail` unless the same text was just reported. p: NULL for strangers. */
void qr_net_report(struct qr_net *n, struct qr_peer *p, qr_err why, const char *text,
                   const char *detail);

/* line.c */
extern const struct qr_link_events qr_line_events; /* ctx to be filled in */
qr_err QR_MUST qr_line_dial(struct qr_peer *p);
/* Ends a line for a reason: says so to the peer and to the operator, and lets its peer know. */
void qr_line_fail(struct qr_line *l, qr_err why, const char *text);
/* Hands output to the link until it is full. */
void qr_line_pump(struct qr_line *l);
/* Frees without callbacks. */
void qr_line_free(struct qr_line *l);

/* peer.c */
qr_err QR_MUST qr_peer_judge(struct qr_peer *p, const struct qr_hello *h, char *why, size_t cap);
qr_err QR_MUST qr_peer_ready(struct qr_peer *p, struct qr_line *l);
qr_err QR_MUST qr_peer_frame(struct qr_peer *p, struct qr_line *l, enum qr_frame kind, qr_view body,
                             struct qr_block *holder);
/* A line of this peer is no more. */
void qr_peer_lost(struct qr_peer *p, struct qr_line *l, qr_err why, const char *text);
void qr_peer_timers(struct qr_peer *p);
void qr_peer_flush(struct qr_peer *p);
/* When qr_peer_timers has something to do. */
uint64_t qr_peer_deadline(const struct qr_peer *p);

#endif
