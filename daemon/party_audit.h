/*
 * The audit log inside a party: who writes what into it, its heads, the peers' heads, receipts.
 *
 * What: one log a party (audit.h), from the moment it is linked. Written here:
 *   signed    every contribution to a signature: the coordinator's when it releases one, a member's when its
 *             shares go out (it never sees the signature; its record has "signatures" left out)
 *   refused   a request of a known client that was refused or failed. At most QR_AUDIT_REFUSED_RATE a second;
 *             what is above that, and what came from no known client, is counted in the next head's record
 *             ("unrecorded"), so that a stranger cannot fill the disk of the log's keeper
 *   admin, key, policy, roster, peer    by qr_audit_event
 *   head      each second with news: signed
 *   anchor    the newest signed place of a peer, at most one a second each. What a party tells its peers is the last
 *             record that its gateway confirmed as durable (when none was for 30 s: the last there is), so that a
 *             log that ends before it was cut by its keeper, and not by a crash
 * Nothing here waits for a disk. The store keeps the last record that the gateway confirmed (META "audit"), written
 * soon after a boot, at a drain and every QR_AUDIT_SAVE_MS: what the next boot names was on the host's disk, so that a
 * log that ends before it was cut, by nobody but the host.
 * Receipts (receipt.h): the coordinator answers the query RECEIPT; it asks the other members of the set for
 *   their records (RECEIPT_ASK), and each signs its own (RECEIPT_TELL). Evidence is made once a renewal period and
 *   travels once per peer and period.
 * Thread rules: as the party's.
 */
#ifndef QR_PARTY_AUDIT_H
#define QR_PARTY_AUDIT_H

#include "daemon/audit.h"
#include "daemon/request.h"
#include "proto/boundary.h"
#include "transport/net.h"

struct qr_party;
struct qr_judgement;
struct qr_paudit; /* p->audit */

#define QR_AUDIT_REFUSED_RATE 50u
#define QR_AUDIT_SAVE_MS 300000u
#define QR_AUDIT_WHO_MAX 1024u

/* Memory. NO_MEMORY. Before the first link. */
qr_err QR_MUST qr_audit_open(struct qr_party *p);
void qr_audit_close(struct qr_party *p);
/* A boot of the log begins: the party has a boot nonce, an index and documents. NO_MEMORY, STORE_CORRUPT, BUSY. */
qr_err QR_MUST qr_audit_link(struct qr_party *p);
void qr_audit_tick(struct qr_party *p);
void qr_audit_up(struct qr_party *p, const struct qr_peer_info *info);
/* The last head, signed and durable; then 0 for a moment while a gateway that fetches has not fetched all. */
void qr_audit_drain(struct qr_party *p);
int qr_audit_drained(const struct qr_party *p);

/*
 * Before a request is worked on, coordinator and member alike: is there room for its record, and for those of all
 * that are in hand? NOT_READY, with a sentence that says why.
 */
qr_err QR_MUST qr_audit_may_work(const struct qr_party *p, size_t items, char *why, size_t cap);

/*
 * Who asked and what allowed it, of a request that was judged: members of its record, to be kept until it is
 * written: ,"client":…,"rule":…,"approvers":[…],"policy":…,"policy_serial":…,"roster":… Returns the length.
 */
size_t qr_audit_who(const struct qr_party *p, const struct qr_judgement *v,
                    char out[static QR_AUDIT_WHO_MAX]);

struct qr_audit_sign {
    const uint8_t *request, *key; /* 32, 33 bytes */
    const uint8_t *child;         /* 33: the key at the path, which the signature is valid under */
    uint16_t coordinator;         /* whose request it is; ourselves: sig is there */
    uint16_t mask;                /* the signing set */
    uint32_t attempt, epoch;
    const uint32_t *path;
    size_t depth, n;                    /* n: items */
    qr_view who;                        /* of qr_audit_who */
    const struct qr_request_item *item; /* n, a member's; NULL when sig is there */
    const struct qr_answer_sig *sig;    /* n, the coordinator's */
    uint64_t out, in; /* the coordinator's: payload bytes to and from each other member */
    uint64_t micros;  /* since the request came; a member's: 0 */
};
/*
 * Before a signature is released or shares go out. An error means that nothing may leave: BUSY and NO_MEMORY (ask
 * qr_audit_may_work first and they do not come), TOO_LARGE.
 */
qr_err QR_MUST qr_audit_signed(struct qr_party *p, const struct qr_audit_sign *s);

/*
 * A request was refused by us, or failed with us. from: the coordinator, ourselves when it is our client's.
 * v: as far as the judgement came; v->client must be zeroed when a judgement begins.
 */
void qr_audit_refused(struct qr_party *p, uint16_t from, qr_view body, const struct qr_judgement *v,
                      qr_err e);
/* A request of ours that was judged, and failed later: who of qr_audit_who. */
void qr_audit_failed(struct qr_party *p, const uint8_t request[static 32], qr_view who, qr_err e,
                     uint16_t party, const char *detail);
/* event: admin, key, policy, roster, peer. what: one word; detail: one sentence, escaped here. peer 0: none. */
void qr_audit_event(struct qr_party *p, const char *event, const char *what, uint16_t peer,
                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Evidence of a peer was accepted; for the records' "set". */
void qr_audit_evidence(struct qr_party *p, uint16_t peer, qr_view evidence);

void qr_audit_on_head(struct qr_party *p, struct qr_msg_in *m);
/* Query AUDIT: arg is u64 boot || u64 serial, the last record that is durable with whoever asks. */
qr_err QR_MUST qr_audit_query(struct qr_party *p, qr_view arg, struct qr_dbuf *out);
/* Appends quorated_audit_*. */
void qr_audit_metrics(const struct qr_party *p, struct qr_dbuf *d);
/* Why qr_party_ready says no, with a comma before it; "" when the log takes records. */
const char *qr_audit_trouble(const struct qr_party *p);

/* ---- party_receipt.c ---- */

void qr_receipt_on_ask(struct qr_party *p, struct qr_msg_in *m);
void qr_receipt_on_tell(struct qr_party *p, struct qr_msg_in *m);
/* Query RECEIPT: answers now or when the members have told. arg: 32 bytes. */
void qr_receipt_ask(struct qr_party *p, uint64_t to, qr_view arg);
void qr_receipt_tick(struct qr_party *p);

#endif
