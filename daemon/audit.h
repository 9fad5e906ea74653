/*
 * The audit log of a party: what it signed, refused and was told to do, as a chain of records.
 *
 * What: a record is one line of JSON, written once, its first members always these, in this order:
 *   {"v":1,"party":1,"boot":7,"serial":12,"prev":"<64 hex>","time_ms":…,"event":"signed",…}
 *   hash = TH("audit"; line without its newline); prev is the hash of the record before it, zeros at a
 *   party's very first. serial rises by one within a boot, from 1; the first record of a boot ("boot")
 *   names the last record that the party's store knew of, and its boot nonce.
 *   Events: boot, signed, refused, admin, key, policy, roster, peer, head, anchor (audit_read.h).
 *   "head": every second with news, or after 256 records: the party's signature with its identity key over
 *   TH("audit-head"; cluster, party, boot nonce, boot, serial, hash) of the record before it.
 *   "anchor": a signed head of another party as it told us: of records that its host had confirmed as durable.
 *   So each log vouches for all the others.
 * Who keeps it: the gateway (gw_audit.h), as lines in files. It may lose or change them; the chain, the signed
 *   heads and the anchors in the other parties' logs show it (quorate audit verify). The party keeps the
 *   records that were not fetched yet, and the newest ones for receipts, in a ring of QR_AUDIT_BYTES.
 * When nobody fetches: a full ring refuses requests (NOT_READY), it never drops what was not fetched.
 * Time is never waited for: no write to a disk before an answer. What a crash loses is what was not fetched
 *   (less than a second's worth), and of signatures the other signers' logs have their records. What was
 *   fetched and is gone is told by the next boot's first record and by the peers' anchors.
 * Nothing secret, no preimage and no stamp is in a record.
 * Memory: the ring is made of segments that are allocated when they are needed, and used again once every
 *   line in them was fetched; a line never leaves its segment, so that views stay good until it goes.
 * Thread rules: none. No clock, no I/O.
 */
#ifndef QR_AUDIT_H
#define QR_AUDIT_H

#include "protocol/base/mem.h"

#define QR_AUDIT_BYTES (8u * 1024u * 1024u)
#define QR_AUDIT_SEGMENT (256u * 1024u)
#define QR_AUDIT_RECORD_MAX 20480u
#define QR_AUDIT_FETCH_MAX (1024u * 1024u)
/* Room that requests leave free: what is not a request (heads, peers, administration) is always written. */
#define QR_AUDIT_SPARE (1024u * 1024u)
#define QR_AUDIT_EVENT_MAX 31u

struct qr_audit; /* opaque */

/* A place in a log: the record with this serial of this boot, and its hash. */
struct qr_audit_head {
    uint64_t boot, serial;
    uint8_t hash[32];
};

/*
 * party 1..16; boot: the boot counter; prev: the last head the store knew (NULL or zeros: none). NO_MEMORY.
 */
qr_err QR_MUST qr_audit_new(uint16_t party, uint64_t boot, const struct qr_audit_head *prev,
                            struct qr_audit **ret);
struct qr_audit *qr_audit_free(struct qr_audit *a);
/*
 * Another boot of the same process (a new roster): serials begin at 1 again, the chain goes on. USAGE: boot is not
 * above the one before. NO_MEMORY, BUSY.
 */
qr_err QR_MUST qr_audit_boot(struct qr_audit *a, uint16_t party, uint64_t boot);

/*
 * Adds a record: `members` is what follows "event":"…" in the line, beginning with a comma, or empty; the
 * caller's own text, printable and of balanced JSON. event: [a-z]{1,31}.
 * *ret_serial names it. BUSY: the ring is full of what nobody fetched. TOO_LARGE, MALFORMED, NO_MEMORY.
 */
qr_err QR_MUST qr_audit_add(struct qr_audit *a, uint64_t time_ms, const char *event,
                            qr_view members, uint64_t *ret_serial);
/* 1: records of `bytes` together have room beside QR_AUDIT_SPARE. Asked before a request is worked on. */
int qr_audit_room(const struct qr_audit *a, size_t bytes);
/* The last record; serial 0 and the hash of what was before while a boot has none yet. */
void qr_audit_head(const struct qr_audit *a, struct qr_audit_head *ret);
/* The line of a place that is still in the ring, without newline; empty view: gone. */
qr_view qr_audit_line(const struct qr_audit *a, uint64_t boot, uint64_t serial);
/*
 * Whole lines (with newlines) after the place (boot, serial), appended to out, up to QR_AUDIT_FETCH_MAX bytes.
 * What was before it counts as fetched. A boot that the ring does not know (0: none was fetched yet) is one
 * before its first, and marks nothing. MALFORMED: the place is beyond what there is; NO_MEMORY, TOO_LARGE.
 */
qr_err QR_MUST qr_audit_fetch(struct qr_audit *a, uint64_t boot, uint64_t serial,
                              struct qr_dbuf *out);
/* Records that nobody has fetched. */
uint64_t qr_audit_waiting(const struct qr_audit *a);

/* The hash of a line (without newline), and what a head's signature is over. */
void qr_audit_hash(qr_view line, uint8_t ret[static 32]);
void qr_audit_head_hash(const uint8_t cluster[static 32], uint16_t party,
                        const uint8_t boot_nonce[static 32], const struct qr_audit_head *h,
                        uint8_t ret[static 32]);

#endif
