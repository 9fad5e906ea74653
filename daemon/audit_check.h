/*
 * qr_audit_check: are these audit logs whole? The logs of several parties, against each other.
 *
 * What: fed with every line of every file, in two passes. First pass: the heads that others recorded (anchors) and
 *       which boots there are. Second pass, a party's lines in order of boot and serial: form, chain (serial and
 *       prev), boots joined, own heads' signatures, and at every place that another party anchored, that the record
 *       there is the one it anchored. At the end: anchors and boots' last records that no line reached.
 * Verdict: findings, each with the first record that is missing, changed, or out of its place, and the signed heads
 *       between which that lies. A log is whole up to its last head or anchor; records after that are counted
 *       ("not covered yet").
 * What it cannot show: what was cut from the end before any head of it reached another party or the store; a party
 *       that writes two logs (a broken TEE), when the others' logs are not at hand. One honest party's log is enough
 *       to hold all others to what they told it.
 * Bounds: QR_AUDIT_ANCHORS_MAX anchors (56 bytes each), QR_AUDIT_BOOTS_MAX boots.
 * Thread rules: none; no I/O.
 */
#ifndef QR_AUDIT_CHECK_H
#define QR_AUDIT_CHECK_H

#include "daemon/audit_read.h"
#include "daemon/roster.h"

#define QR_AUDIT_ANCHORS_MAX (16u * 1024u * 1024u)
#define QR_AUDIT_BOOTS_MAX 65536u
#define QR_AUDIT_FINDING_MAX 600u

struct qr_audit_check; /* opaque */

/* One thing that is wrong. where: "FILE:LINE" or "". */
typedef void qr_audit_finding(void *ctx, const char *where, const char *text);

/*
 * until_ms: anchors recorded later are not looked at (0: all are). partial: a log may begin where its first
 * file begins; what is before it is not missed. NO_MEMORY.
 */
qr_err QR_MUST qr_audit_check_new(const struct qr_roster *r, uint64_t until_ms, int partial,
                                  qr_audit_finding *found, void *ctx, struct qr_audit_check **ret);
struct qr_audit_check *qr_audit_check_free(struct qr_audit_check *k);

/* First pass, any order: TOO_LARGE (more anchors than fit), NO_MEMORY. What is malformed is left for pass two. */
qr_err QR_MUST qr_audit_check_collect(struct qr_audit_check *k, qr_view line);
/* Between the passes. */
void qr_audit_check_sort(struct qr_audit_check *k);
/*
 * Second pass: the lines of a party, files in order of (boot, first serial), then qr_audit_check_end; then the next
 * party's. A record that is out of place is found once, and the chain goes on from it.
 */
void qr_audit_check_line(struct qr_audit_check *k, const char *where, qr_view line);
void qr_audit_check_end(struct qr_audit_check *k, uint16_t party);

struct qr_audit_totals {
    uint64_t records, boots, heads,
        anchors;         /* anchors: places of these logs that others vouch for */
    uint64_t uncovered;  /* records after the last head of their party */
    uint64_t unrecorded; /* refusals that heads count without a record */
    uint64_t findings;
};
void qr_audit_check_totals(const struct qr_audit_check *k, struct qr_audit_totals *ret);

#endif
