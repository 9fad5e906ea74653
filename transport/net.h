/*
 * qr_net: all peers of one party; reliable, ordered, attested messages between running processes.
 *
 * What: one channel per peer (TLS 1.3 over a link, then identity signature, then evidence, then
 *       confirmation), frames that batch all that waits for a peer, acknowledgement and resend of
 *       stored bytes across reconnections, bounded queues, and a ledger of every byte.
 * Why: a protocol message is computed once. Between one pair of boot nonces every committed message
 *      is delivered exactly once and in order, however often the connection breaks; when either
 *      process restarts, everything queued is dropped and the sessions above are told to die.
 * Invariants: no application byte before both sides are confirmed; `from` of every delivered
 *      envelope equals the channel's identity; nothing of one boot nonce is delivered under
 *      another; one live boot nonce per index, boot counters only rise; unacknowledged bytes per
 *      peer never exceed QR_PEER_QUEUE_MAX.
 *      A boot nonce belongs to one net: a second net under the same nonce and roster is refused by
 *      peers that remember the first one's messages. A new roster means a new net at every party.
 * The party with the lower index dials. Reconnect backoff: 50 ms doubling to 1 s, with jitter; kept
 *      growing by connections that live less than a second.
 * Evidence is renewed every `reattest_ns` on a second connection that takes over without a gap. A try
 *      that fails is repeated after 10 s, doubling up to reattest_ns; a line whose evidence is older
 *      than `evidence_ns` is closed.
 * Thread and callback rules: single-threaded; callbacks run inside qr_net_step and may call
 *      everything below but qr_net_free and qr_net_step.
 * Source: attestation notes on channel binding; README.md in this folder.
 */
#ifndef QR_NET_H
#define QR_NET_H

#include "protocol/base/limits.h"
#include "protocol/base/msg_t.h"
#include "protocol/base/rng.h"
#include "protocol/dkg.h" /* qr_id_signer */
#include "transport/attest_if.h"
#include "transport/ledger.h"
#include "transport/link.h"

struct qr_net;

struct qr_net_peer {
    uint16_t index;
    uint8_t id[32];
    char address[QR_ADDRESS_MAX]; /* where it listens */
    char cloud[QR_NAME_MAX];      /* for the ledger's link kind; same cloud: intra */
};

struct qr_net_params {
    uint16_t self;
    const char *listen; /* address of our listener, e.g. tcp://127.0.0.1:7001 */
    const char *self_cloud;
    uint8_t id[32];
    struct qr_id_signer signer;
    size_t n_peers; /* the others: self is not among them */
    struct qr_net_peer peers[QR_MAX_PARTIES];
    uint8_t cluster[32], roster_hash[32], policy_hash[32];
    uint64_t roster_serial, policy_serial;
    uint8_t boot_nonce[32];
    uint64_t boot_counter; /* rises with every start of this party's sealed store */
    struct qr_attester attester;
    struct qr_rng rng;
    /* Makes the link; called once with the events the net wants. */
    struct qr_link *(*new_link)(void *ctx, const struct qr_link_events *ev);
    void *new_link_ctx;
    int zstd_level;                    /* 0: off; compressible classes only */
    uint64_t reattest_ns, evidence_ns; /* 0: 10 and 11 minutes */
};

/* A received message; alive until the last unref. */
struct qr_msg_in {
    uint16_t from;
    enum qr_msg type;
    uint32_t epoch;
    uint8_t sid[32];
    uint64_t seq;
    qr_view payload;
    unsigned refs; /* owned by net.c */
};
void qr_msg_ref(struct qr_msg_in *m);
void qr_msg_unref(struct qr_msg_in *m);

struct qr_peer_info {
    uint16_t index;
    int resumed; /* 1: same boot nonces as before, queues kept; 0: new process on one side */
    uint8_t boot_nonce[32];
    uint64_t boot_counter, store_serial;
    uint8_t store_root[32];
    struct qr_claims claims;
};

struct qr_net_events {
    void *ctx;
    /*
     * Confirmed and ready. resumed == 0: all sessions and pair state with this peer are void.
     * Comes again, with resumed == 1 and no on_down between, when evidence was renewed.
     */
    void (*on_up)(void *ctx, const struct qr_peer_info *info);
    /* The connection is gone (sessions wait for resume, or time out above). */
    void (*on_down)(void *ctx, uint16_t peer, qr_err why, const char *detail);
    /*
     * An incoming or outgoing attempt failed; peer 0 when unknown. detail is a whole sentence that
     * names the peer or the address. The same text about the same peer comes once a minute.
     */
    void (*on_refused)(void *ctx, uint16_t peer, qr_err why, const char *detail);
    /* One message, in order. Ref it to keep it. */
    void (*on_message)(void *ctx, struct qr_msg_in *m);
    /* Our own store state for HELLO. May be NULL, as the next one: then nothing is judged. */
    void (*store_state)(void *ctx, uint64_t *serial, uint8_t root[32]);
    /* Judge a peer's announced store state; non-OK refuses the peer (QR_ERR_ROLLBACK). */
    qr_err (*check_store)(void *ctx, uint16_t peer, uint64_t boot_counter, uint64_t serial,
                          const uint8_t root[32]);
};

/*
 * Listens at once, dials in the first step. err_text names what failed and where. ADDRESS (in use,
 * not one), USAGE (indices), NO_MEMORY, CRYPTO_LIB.
 */
qr_err QR_MUST qr_net_new(const struct qr_net_params *p, const struct qr_net_events *ev,
                          struct qr_net **ret, char *err_text, size_t err_cap);
/* Says goodbye to peers, without waiting. Messages that are referenced stay. Takes NULL. */
void qr_net_free(struct qr_net *n);

/* Poll readable => call step. -1 for the in-memory link. */
int qr_net_fd(const struct qr_net *n);
/* Does everything that can be done now, flushes included. */
void qr_net_step(struct qr_net *n, uint64_t now_ns);
/* When step must be called even if the fd is quiet; at once, if something was committed. */
uint64_t qr_net_deadline(const struct qr_net *n);

int qr_net_is_up(const struct qr_net *n, uint16_t peer);
/* Info of an up peer, or NULL. */
const struct qr_peer_info *qr_net_info(const struct qr_net *n, uint16_t peer);
uint64_t qr_net_rtt_ns(const struct qr_net *n, uint16_t peer); /* smoothed, 0: unknown */
size_t qr_net_queued(const struct qr_net *n, uint16_t peer);   /* unacknowledged bytes */

/*
 * The three functions of a qr_outbox. reserve gives zeroed memory, 64-byte aligned; NULL when the
 * queue is full, the peer never came up, the type is unknown or len exceeds QR_WIRE_PAYLOAD_MAX
 * (proto/wire.h). Order of delivery is order of commit; it goes out with the next step. What was
 * reserved before the peer's process was replaced is discarded at commit.
 */
uint8_t *qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                        const uint8_t sid[32], size_t len);
void qr_net_commit(void *net, uint16_t to, uint8_t *p);
void qr_net_cancel(void *net, uint16_t to, uint8_t *p);
/* Copies and commits. BACKPRESSURE: reserve said no; TOO_LARGE. */
qr_err QR_MUST qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                           const uint8_t sid[32], qr_view payload);

/*
 * The policy changed: the next step closes all links, and they are attested anew under the new hash.
 * The ages are as in the parameters.
 * Queues are kept; peers that have another policy are refused until they have this one.
 */
void qr_net_set_policy(struct qr_net *n, const uint8_t policy_hash[32], uint64_t policy_serial,
                       uint64_t reattest_ns, uint64_t evidence_ns);

const struct qr_ledger *qr_net_ledger(const struct qr_net *n);

#endif
