/*
 * What party_audit.c and party_receipt.c share: the audit log of one party and the receipts in the making.
 *
 * Invariants: text is the one record being written; peer[] is of the roster in force.
 * Thread rules: as the party's.
 */
#ifndef QR_PARTY_AUDIT_INT_H
#define QR_PARTY_AUDIT_INT_H

#include "daemon/control.h"
#include "daemon/party_audit.h"

#define QR_RECEIPT_RUNS 64u
#define QR_RECEIPT_BUCKETS 4096u
#define QR_RECEIPT_WAYS 4u

struct qr_paudit_peer {
    struct qr_audit_head seen;     /* the last head of its that we recorded */
    struct qr_ctl_audit_head next; /* one that came since, not judged yet */
    int waits;
    uint64_t next_at;
    uint8_t judging[32];                   /* digest of the evidence judged last */
    uint8_t evidence[32], measurement[32]; /* of the connection that is up */
};

/* Evidence for clients: our own at index 0, the peers' as it came with the last receipt. */
struct qr_shown {
    uint8_t digest[32]; /* zeros: none */
    struct qr_dbuf evidence;
    uint8_t nonce[32], policy[32]; /* our own alone, as the next two */
    uint64_t at, made_ms;
};

/* Where the record of a request stands; the oldest of a bucket makes room. */
struct qr_receipt_place {
    uint64_t tag, boot, serial;
};

/* A receipt that waits for the other members. */
struct qr_receiptrun {
    int used;
    uint64_t to, deadline;
    uint8_t request[32];
    uint32_t attempt;
    uint16_t mask, got;
    struct qr_dbuf part[QR_MAX_PARTIES + 1]; /* by index, rendered */
};

struct qr_paudit {
    struct qr_audit *log; /* NULL until the first link */
    struct qr_dbuf text;
    struct qr_audit_head durable, saved; /* with the gateway, as it says; of that in our store */
    uint64_t saved_at, head_at, refused_at, fetched_at, drain_until, durable_at, told_at;
    struct qr_ctl_audit_head told; /* what the peers heard of us last; boot 0: nothing yet */
    uint64_t news, anchors;        /* records since the last head; anchors apart */
    uint64_t strangers, refused_more, lost;
    unsigned refusals; /* this second */
    int said_lost, full, final;
    struct qr_paudit_peer peer[QR_MAX_PARTIES + 1];
    struct qr_shown shown[QR_MAX_PARTIES + 1];
    struct qr_receiptrun run[QR_RECEIPT_RUNS];
    struct qr_receipt_place place[QR_RECEIPT_BUCKETS][QR_RECEIPT_WAYS];
};

/* party_receipt.c */
void qr_receipt_init(struct qr_paudit *a);
void qr_receipt_close(struct qr_paudit *a);
/* What was shown under another roster or boot is worth nothing. */
void qr_receipt_forget(struct qr_paudit *a);
/* A record of this request stands there. */
void qr_receipt_note(struct qr_paudit *a, const uint8_t request[static 32],
                     const struct qr_audit_head *at);

#endif
