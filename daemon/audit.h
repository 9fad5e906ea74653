/*
 * The audit log of a party: what it signed, refused and was told to do, as a chain of records.
 *
 * What: a record is one line of JSON, written once:
 *   {"v":1,"party":1,"boot":7,"serial":12,"prev":"<64 hex>","time_ms":…,"event":"signed",…}
 *   hash = TH("audit"; line without its newline); prev is the hash of the record before it, zeros at a
 *   cluster's very first. serial rises by one within a boot, from 1; the first record of a boot ("boot")
 *   names the last head that the party's store knew, and its boot nonce.
 *   Events: boot, signed, refused, admin, key, policy, roster, peer, head, anchor.
 *   "head": every second with news, or after 256 records: serial and hash so far, signed with the
 *   identity key over TH("audit-head"; cluster, party, boot nonce, boot, serial, hash).
 *   "anchor": another party's head as it told us; so each log holds the heads of all the others.
 * Who keeps it: the gateway (gw_audit), as lines in files. It may lose or change them; the chain, the signed
 *   heads and the anchors in the other parties' logs show it (quorate audit verify). The party keeps the
 *   records that were not fetched yet, and the newest ones for receipts, in a ring of QR_AUDIT_BYTES.
 * When nobody fetches: a full ring refuses requests (NOT_READY), it never drops what was not fetched.
 * Time is never waited for: no write to a disk before an answer. What a crash loses is what was not fetched
 *   (a second's worth); the next boot's first record and the peers' anchors show that something is missing.
 * Nothing secret, no preimage and no stamp is in a record.
 * Thread rules: none. No clock, no I/O.
 */
#ifndef QR_AUDIT_H
#define QR_AUDIT_H

#include "protocol/base/mem.h"

#define QR_AUDIT_BYTES (4u * 1024u * 1024u)
#define QR_AUDIT_RECORD_MAX 8192u
#define QR_AUDIT_FETCH_MAX (1024u * 1024u)

struct qr_audit; /* opaque */

struct qr_audit_head {
    uint64_t boot, serial;
    uint8_t hash[32];
};

/* party 1..16; boot: the boot counter; prev: the last head the store knew (zeros: none). NO_MEMORY. */
qr_err QR_MUST qr_audit_new(uint16_t party, uint64_t boot, const struct qr_audit_head *prev,
                            struct qr_audit **ret);
struct qr_audit *qr_audit_free(struct qr_audit *a);

/*
 * Adds a record: `members` is what follows "event":"…" in the line, beginning with a comma, or empty.
 * *ret_serial names it. BUSY: the ring is full of what nobody fetched. TOO_LARGE.
 */
qr_err QR_MUST qr_audit_add(struct qr_audit *a, uint64_t time_ms, const char *event,
                            qr_view members, uint64_t *ret_serial);
/* 1: a record of QR_AUDIT_RECORD_MAX has room. Asked before a request is worked on. */
int qr_audit_room(const struct qr_audit *a);
void qr_audit_head(const struct qr_audit *a, struct qr_audit_head *ret);
/* The line of a serial that is still in the ring, without newline; empty view: gone. */
qr_view qr_audit_line(const struct qr_audit *a, uint64_t serial);
/*
 * Lines (with newlines) after serial `after`, appended to out, up to QR_AUDIT_FETCH_MAX bytes. What was
 * before `after` counts as fetched. MALFORMED: after is beyond what there is.
 */
qr_err QR_MUST qr_audit_fetch(struct qr_audit *a, uint64_t after, struct qr_dbuf *out);

/* ---- reading logs ---- */

/* One line, checked for form; views point into it. */
struct qr_audit_record {
    uint16_t party;
    uint64_t boot, serial, time_ms;
    uint8_t prev[32], hash[32];
    char event[32];
};
qr_err QR_MUST qr_audit_parse(qr_view line, struct qr_audit_record *ret, char *why, size_t cap);

#endif
