/*
 * The inside of qr_chan, for chan.c (frames and output) and chan_hs.c (the handshake) only.
 *
 * What: the object, its states, and the two calls between the files.
 * Invariants: as chan.h; the handshake's secrets are wiped when it ends.
 * Thread rules: as chan.h.
 */
#ifndef QR_CHAN_INT_H
#define QR_CHAN_INT_H

#include "transport/chan.h"

enum qr_chan_state {
    CHAN_TLS,
    CHAN_HELLO,
    CHAN_EVIDENCE,
    CHAN_CONFIRM,
    CHAN_READY,
    CHAN_DEAD,
};

/* The two sides' contributions, by role. */
enum { QR_CHAN_CLIENT, QR_CHAN_SERVER, QR_CHAN_SIDES };

struct qr_chan {
    const struct qr_chan_env *env;
    struct qr_chan_events ev;
    struct qr_tls *tls;
    enum qr_role role;
    uint16_t expect;
    enum qr_chan_state state, died_in;
    int identified;

    /* handshake */
    struct qr_hello own, peer;
    struct qr_binding binding;
    uint8_t confirm_key[32];
    uint8_t hello_hash[QR_CHAN_SIDES][32], evidence_hash[QR_CHAN_SIDES][32];
    struct qr_claims claims;

    /* the frame being received */
    uint8_t head[QR_FRAME_HEAD_LEN];
    size_t head_len, got;
    enum qr_frame kind;
    int zstd;
    struct qr_block *body;
    uint64_t consumed; /* ciphertext read so far */

    /* the record being filled */
    uint8_t *record;
    size_t record_len;
    size_t owed; /* bytes of the frame being written that are still to come */
    size_t record_class[QR_CLASSES_COUNT];
    size_t out_seen; /* output already in the tally */
    struct qr_tally tally;
    struct qr_ledger_peer *row;

    char why[QR_CHAN_WHY_MAX];
};

/* TLS stands: keys are exported, the client says HELLO. */
qr_err QR_MUST qr_chan_hs_begin(struct qr_chan *c);
/* The frame that the present state waited for. */
qr_err QR_MUST qr_chan_hs_frame(struct qr_chan *c, qr_view body);

#endif
