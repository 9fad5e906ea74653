/*
 * Two kinds of ends for tests of the channel: a genuine party's, and an attacker's.
 *
 * What: `side` is a qr_chan with a fake attester and counters; `raw` is TLS and frames by hand, with
 *       whatever HELLO its holder likes; a `duel` is an attacker's client before a genuine server.
 * Why: an attacker terminates TLS where he wants and may hold any key but the one that is tested.
 * Invariants: no clock, no sockets; outputs are moved from one end to the other until both are quiet.
 */
#ifndef QR_TEST_CHANRIG_H
#define QR_TEST_CHANRIG_H

#include "test/common/parties.h"
#include "transport/chan.h"

/* A genuine party's end of a channel. */
struct side {
    struct qr_chan_env env;
    struct qr_tls_id *tls_id;
    struct test_identity id, other[4];
    struct test_attester attester;
    struct qr_ledger_peer row;
    struct qr_chan *chan;
    unsigned identified, ready, frames;
    enum qr_frame last_kind;
    uint8_t last[64];
    size_t last_len;
    uint64_t given; /* bytes its output handed over */
    uint64_t taken;
    qr_err verdict; /* of judge() */
    qr_err dead;
};

/* The attacker's end: TLS and frames by hand, with whatever HELLO he likes. */
struct raw {
    struct qr_tls_id *id;
    struct qr_tls *tls;
    enum qr_role role;
    struct qr_binding binding;
    uint8_t confirm_key[32];
    struct test_identity identity;
    struct qr_hello own;
    int up;
    uint8_t rx[256 * 1024]; /* plaintext received */
    size_t rx_len, rx_at;
};

/* An attacker's client and a genuine server, TLS done, nothing said yet. */
struct duel {
    struct raw w;
    struct side s;
};

void side_init(struct side *s, uint16_t index);
void side_open(struct side *s, enum qr_role role, uint16_t expect);
void side_free(struct side *s);
void side_pump(struct side *a, struct side *b, size_t piece);
void side_check_ledger(const struct side *s);
void raw_init(struct raw *w, enum qr_role role, uint16_t index);
void raw_free(struct raw *w);
/* Until neither has anything to say. */
void raw_pump(struct raw *w, struct side *s);
void raw_frame(struct raw *w, unsigned kind, qr_view body);
/* Finds the next frame of this kind in what was received; its body is copied out. */
size_t raw_take(struct raw *w, enum qr_frame want, uint8_t *body, size_t cap);
void raw_hello(struct raw *w);
/* Evidence as a genuine TEE of the same measurement would make it over this binder. */
size_t raw_evidence(const uint8_t binder[32], uint8_t *out);
struct duel *duel_new(void);
void duel_free(struct duel *d);
/* The genuine side refused for this reason, before or after having made evidence. */
void side_refused(struct side *s, qr_err why, const char *text, unsigned made);
/* As by_hand, up to the server's EVIDENCE; what remains is the attacker's evidence. */
void duel_until_evidence(struct duel *d, struct qr_hello *ret_peer);

#endif
