/*
 * qr_chan: one connection's way from a stranger's bytes to an attested peer, and its frames after.
 *
 * What: a state machine over qr_tls and frames: TLS, HELLO, EVIDENCE, CONFIRM, READY. Ciphertext
 *       goes in and comes out; the owner moves it to and from a link and keeps the time.
 * How: the client sends HELLO as soon as TLS stands; the server answers with its own only after the
 *      client's has verified, so strangers learn nothing but a key. Each side makes evidence only for
 *      a peer whose HELLO carries the roster's identity signature over this TLS session. CONFIRM is
 *      an HMAC under a key from the TLS exporter, over both HELLOs, both evidences and both verdicts:
 *      it says "I accepted yours, and these are the bytes we both saw".
 *        client: HELLO ->                         EVIDENCE, CONFIRM ->             frames ->
 *        server:          <- HELLO, EVIDENCE                        <- CONFIRM, frames
 * Invariants: every message of the handshake comes once, in this order, within QR_CHAN_HANDSHAKE_MAX
 *             bytes; nothing reaches on_frame before READY; one evidence is made per connection; a
 *             channel that failed reads nothing more.
 * Source: attestation notes on channel binding; README.md in this folder lists the attacks.
 * Thread and callback rules: one thread; callbacks run inside qr_chan_input and must not free the
 *      channel.
 */
#ifndef QR_CHAN_H
#define QR_CHAN_H

#include "protocol/base/rng.h"
#include "transport/attest_if.h"
#include "transport/frame.h"
#include "transport/hello.h"
#include "transport/ledger.h"
#include "transport/tls.h"
#include "transport/zip.h"

#define QR_EXPORTER_ATTEST "EXPORTER-quorate-attest-v1"
#define QR_EXPORTER_CONFIRM "EXPORTER-quorate-confirm-v1"
#define QR_EXPORTER_CHAIN "EXPORTER-quorate-chain-v1"
/* Ciphertext that a connection may send before it is READY. */
#define QR_CHAN_HANDSHAKE_MAX (QR_EVIDENCE_FRAME_MAX + 16u * 1024u)
#define QR_CHAN_WHY_MAX 512u /* a verdict's sentence and who it is about */

struct qr_chan;

/* What all channels of one party share; outlives them. */
struct qr_chan_env {
    const struct qr_tls_id *tls;
    struct qr_hello own; /* all but role, nonce and store state, which a connection fills in */
    struct qr_id_signer signer;
    struct qr_attester attester;
    struct qr_rng rng;
    struct qr_zip *zip;
    void *ctx;
    /* The roster's identity key of a peer; NULL if there is no such peer. */
    const uint8_t *(*identity)(void *ctx, uint16_t index);
    void (*store_state)(void *ctx, uint64_t *serial, uint8_t root[32]);
    /* A verified HELLO that agrees with ours on cluster, roster and policy: may it come in? */
    qr_err (*judge)(void *ctx, const struct qr_hello *peer, char *why, size_t cap);
};

struct qr_chan_events {
    void *ctx;
    /* The peer's HELLO carries the right signature: qr_chan_peer is set. Called once. */
    void (*on_identified)(void *ctx);
    /* READY: evidence accepted on both sides. Called once. */
    qr_err (*on_ready)(void *ctx);
    /* A frame after READY. body points into holder, which the callback may reference. */
    qr_err (*on_frame)(void *ctx, enum qr_frame kind, qr_view body, struct qr_block *holder);
};

/*
 * expect: the index a client dialled; 0 on the server's side. row: where bytes are counted; may be
 * changed with qr_chan_row. NO_MEMORY, CRYPTO_LIB.
 */
qr_err QR_MUST qr_chan_new(const struct qr_chan_env *env, const struct qr_chan_events *ev,
                           enum qr_role role, uint16_t expect, struct qr_ledger_peer *row,
                           struct qr_chan **ret);
/* Takes NULL; returns NULL. */
struct qr_chan *qr_chan_free(struct qr_chan *c);
void qr_chan_row(struct qr_chan *c, struct qr_ledger_peer *row);

/* The client's first flight. */
qr_err QR_MUST qr_chan_start(struct qr_chan *c);
/*
 * Takes all of `in`. On an error the channel is dead, qr_chan_why() says what the operator should
 * read, and a CLOSE frame with a coarse code waits among the output if the peer can read it.
 */
qr_err QR_MUST qr_chan_input(struct qr_chan *c, qr_view in);

/*
 * A frame in pieces: begin (kind may carry QR_FRAME_ZSTD), then writes that add up to body_len.
 * Plaintext gathers into records of QR_TLS_RECORD; pieces of that size or more are not copied.
 * Bytes are counted under the class they are given with. TLS, NO_MEMORY.
 */
qr_err QR_MUST qr_chan_begin(struct qr_chan *c, unsigned kind, enum qr_class class_,
                             size_t body_len);
qr_err QR_MUST qr_chan_write(struct qr_chan *c, enum qr_class class_, qr_view in);
/* Closes the current record, so that all that was written is in the output. */
qr_err QR_MUST qr_chan_push(struct qr_chan *c);
/* A whole small frame: head and body. */
qr_err QR_MUST qr_chan_frame(struct qr_chan *c, enum qr_frame kind, enum qr_class class_,
                             qr_view body);
/* Says goodbye with the coarse code of `why` and kills the channel; may be called at any time. */
void qr_chan_close(struct qr_chan *c, qr_err why);

qr_view qr_chan_out(const struct qr_chan *c);
void qr_chan_sent(struct qr_chan *c, size_t n);

int qr_chan_is_ready(const struct qr_chan *c);
/* The peer's HELLO once its signature has verified, else NULL. */
const struct qr_hello *qr_chan_peer(const struct qr_chan *c);
/* After READY. */
const struct qr_claims *qr_chan_claims(const struct qr_chan *c);

/* After READY: this session's secret for chain.h. TLS. */
qr_err QR_MUST qr_chan_secret(const struct qr_chan *c, uint8_t out[static 32]);

/* Records why this channel fails and returns e; the first reason stays. For callbacks. */
qr_err qr_chan_fail(struct qr_chan *c, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *qr_chan_why(const struct qr_chan *c);
/* How far it came, for the operator: "TLS handshake", "HELLO", "evidence", "confirmation", "ready". */
const char *qr_chan_stage(const struct qr_chan *c);

#endif
