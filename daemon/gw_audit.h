/*
 * qr_gw_audit: keeps the party's audit log on the host's disk.
 *
 * What: asks the party twice a second (query AUDIT) for what came after the last record that is durable here, and
 *       appends the lines to [audit] path, one file a boot and QR_GW_AUDIT_FILE_MAX bytes:
 *       audit-PARTY-BOOT-SERIAL.jsonl, SERIAL being that of its first record. Written and synced by a thread
 *       of its own, so that no client waits for the disk; the party is told of a record (by asking for what comes
 *       after it) only when it is durable.
 * Why: a party has no disk, and must not wait for one. It keeps what was not fetched and refuses
 *       requests when that is too much; so nothing is lost while either side restarts.
 * Invariants: files are only appended to. A last line that a crash cut off is dropped at start: nobody was told of
 *       it. A failed write leaves the file at its last durable length and is tried again. Lines are checked for
 *       form alone: the folder's keeper is not trusted, the signed chain is what counts (quorate audit verify).
 * Thread rules: the gateway's thread; the worker touches one job's memory and file, between start and its end.
 */
#ifndef QR_GW_AUDIT_H
#define QR_GW_AUDIT_H

#include "daemon/gw_party.h"

#define QR_GW_AUDIT_EVERY_MS 500u
#define QR_GW_AUDIT_AGAIN_MS 200u /* after records came: they are confirmed, and more may wait */
#define QR_GW_AUDIT_FILE_MAX (64u * 1024u * 1024u)

struct qr_gw_audit;

/* Opens the folder and finds its end; party outlives it. NOT_FOUND, PERMISSIONS, MALFORMED, NO_MEMORY. */
qr_err QR_MUST qr_gw_audit_new(const char *folder, struct qr_gw_party *party,
                               struct qr_gw_audit **ret, char *err_text, size_t err_cap);
/* Waits for a write that is under way. */
struct qr_gw_audit *qr_gw_audit_free(struct qr_gw_audit *a);

/* 1: the waiter of a question is ours. */
int qr_gw_audit_owns(const struct qr_gw_audit *a, const void *waiter);
/* Inside qr_gw_party_step; asks nothing. */
void qr_gw_audit_answer(struct qr_gw_audit *a, const struct qr_answer *answer, qr_err why);

void qr_gw_audit_step(struct qr_gw_audit *a, uint64_t now_ns);
int qr_gw_audit_fd(const struct qr_gw_audit *a); /* readable when a write ended */
uint64_t qr_gw_audit_deadline(const struct qr_gw_audit *a);
/* Records written, the age of the last answer, failures. */
qr_err QR_MUST qr_gw_audit_metrics(const struct qr_gw_audit *a, struct qr_dbuf *out);

#endif
