/*
 * The peer secret in a party: its own, in pieces at its peers, and the pieces it holds for them.
 *
 * What: where the policy asks for it (peer_secret), a party draws a secret S, gives every other party
 *       a piece, and seals its key records under a key made of its platform's secret and S (sharing.h).
 *       After a restart S is in nobody's memory: the party links with what its platform alone opens
 *       (identity, documents, pieces of others), serves the others, asks for its own pieces, and goes
 *       on when threshold - 1 have come.
 *
 *   none    the policy asks for no secret, and none was made
 *   making  a new one lies with some peers; it counts when each of them holds its piece durably
 *   locked  there is one, and fewer pieces than needed are back: no key is loaded
 *   open    there is one, and its key is known
 *   broken  enough pieces came and the keys do not open: the store is not what was written
 *
 * Making again is how everything changes: another roster (members, indices), another threshold, an
 * epoch that the administrators ask for. A party that is open goes on under the secret in force until
 * the new one is complete; then one commit seals every key record anew and writes the new list; then
 * the holders are told which epoch counts (SECRET_KEEP) and drop the rest. So a crash at any point
 * leaves one of the two, whole.
 *
 * A holder keeps at most two pieces of each owner. It knows the owner by index and identity key,
 * whatever the roster's serial; it takes no piece below the newest it holds, and few in a minute. It
 * gives a piece back over an attested channel only, while neither the owner nor itself is in doubt of
 * the policy; the owner hears a coarse code, both logs have the reason. Its list of what it holds goes
 * to every owner that connects, so that an owner that is open replaces a piece that was lost.
 *
 * What this does not stop: any threshold - 1 TEEs that are broken give their pieces to whoever broke
 * them, and so do their accounts, for pieces at rest are sealed by the holder's platform alone; with
 * the platform's secret of one more party its share opens.
 */
#ifndef QR_PARTY_SECRET_H
#define QR_PARTY_SECRET_H

#include "daemon/control.h"
#include "daemon/sharing.h"
#include "transport/net.h"

struct qr_party;
struct qr_secret_mem; /* what is secret; locked */

enum qr_secret_state {
    QR_SECRET_NONE,
    QR_SECRET_MAKING,
    QR_SECRET_LOCKED,
    QR_SECRET_OPEN,
    QR_SECRET_BROKEN,
};

/* A peer, as a holder of our pieces and as an owner of pieces with us. Index 0 is unused. */
struct qr_secret_peer {
    uint64_t try_at, wait; /* PUT or GET is tried again then; how long after the next failure */
    uint16_t said;         /* its last refusal, enum qr_abort; 0: none */
    /* held for it */
    uint8_t id[32];
    uint32_t older, newer;     /* epochs; one alone is newer; 0: none */
    uint32_t has;              /* newest piece of ours that it told of */
    uint64_t heal_at;          /* a lost piece is put again then at the soonest */
    uint64_t puts_to, logs_to; /* until then its allowances are spent */
};

struct qr_secret {
    struct qr_secret_mem *mem;
    uint32_t last;               /* highest epoch ever begun; durable before anybody hears of it */
    struct qr_sharing now, next; /* in force; being made. epoch 0: none */
    int open;
    uint16_t acked;   /* bit i-1: holder i has its piece of next durably */
    uint16_t got;     /* pieces of now that came back and fit */
    uint16_t lost;    /* holders that said they have no piece of now */
    uint16_t lied;    /* pieces that came back and did not fit */
    uint64_t since;   /* making or locked since then */
    uint64_t tell_at; /* whom it waits for is logged then */
    struct qr_secret_peer peer[QR_MAX_PARTIES + 1];
    char broken[96]; /* why, in a sentence */
};

/* ---- party_secret.c: the owner ---- */

/* From the store, before keys are loaded: *ret_locked = 1 if they cannot be yet. */
qr_err QR_MUST qr_secret_load(struct qr_party *p, int *ret_locked);
void qr_secret_close(struct qr_party *p);

/* After linking, and when documents changed: begins to make what they ask for, if it is not there. */
void qr_secret_check(struct qr_party *p);
void qr_secret_up(struct qr_party *p, uint16_t peer); /* another process at one side */
void qr_secret_tick(struct qr_party *p);
void qr_secret_on_have(struct qr_party *p, const struct qr_msg_in *m);
void qr_secret_on_piece(struct qr_party *p, const struct qr_msg_in *m);

/*
 * A new secret under a higher epoch; it counts when every other party holds its piece. Errors: USAGE
 * (the policy asks for none), NOT_READY (locked; no network), BUSY (one is being made), SERIAL (epoch
 * not above every one before), STORE, SET, NO_MEMORY.
 */
qr_err QR_MUST qr_secret_rotate(struct qr_party *p, uint32_t epoch);

/* ---- party_secret_say.c ---- */

/* What the documents in force ask for, epoch 0; 0: nothing, or what this roster cannot give. */
int qr_secret_wanted(const struct qr_party *p, struct qr_sharing *ret);

enum qr_secret_state qr_secret_state(const struct qr_party *p);
const char *qr_secret_state_name(enum qr_secret_state s);
/* Whom it waits for: bit i-1; 0 in none and open. */
uint16_t qr_secret_waits(const struct qr_party *p);
/* "", or what stands in the way of keys: "locked: needs 1 more of its pieces, from party 2 or 3". */
#define QR_SECRET_TEXT_MAX 128u
void qr_secret_text(const struct qr_party *p, char out[static QR_SECRET_TEXT_MAX]);
/* Are the keys in memory? 0: locked or broken. */
int qr_secret_keys_open(const struct qr_party *p);
/* May a key of this threshold be made? NOT_READY, USAGE, with a sentence. 0: no key in particular. */
qr_err QR_MUST qr_secret_may_keygen(const struct qr_party *p, uint16_t t, char *why, size_t cap);

/*
 * A key record as the store keeps it: sealed under the share-sealing key if there is a secret, else as
 * it is. out: QR_SECRET_RECORD_MAX bytes. NOT_READY (locked), and sharing.h's.
 */
#define QR_SECRET_RECORD_MAX (QR_KEY_RECORD_MAX + QR_SEAL_OVERHEAD)
qr_err QR_MUST qr_secret_wrap(struct qr_party *p, const char *name, qr_view record,
                              struct qr_buf *out);
qr_err QR_MUST qr_secret_unwrap(struct qr_party *p, const char *name, qr_view stored,
                                struct qr_buf *out);

/* ---- party_pieces.c: the holder ---- */

/* What the store holds for others. STORE_CORRUPT, NO_MEMORY. */
qr_err QR_MUST qr_pieces_load(struct qr_party *p);
/* Tells a peer which pieces of its secret are here. asked: the epoch this answers; 0: none. */
void qr_pieces_tell(struct qr_party *p, uint16_t peer, uint16_t code, uint32_t asked);
void qr_pieces_on_put(struct qr_party *p, const struct qr_msg_in *m);
void qr_pieces_on_get(struct qr_party *p, const struct qr_msg_in *m);
void qr_pieces_on_keep(struct qr_party *p, const struct qr_msg_in *m);

#endif
