/*
 * Reading records of audit logs: the form of a line, and the members of each event that somebody judges by.
 *
 * What: a line is exactly what audit.h writes: its first members in their order, canonical numbers (no leading
 *       zeros) and hex, an event, more members, one closing brace. qr_audit_parse looks at the form of that part
 *       alone and is fast; the readers below read the rest strictly, unknown members refused.
 *   boot    boot_nonce, cluster, identity, roster, policy, platform, last_boot, last_serial
 *   head    boot_nonce, signature, unrecorded {unknown_clients, refused, other}?
 *   anchor  of, of_boot, of_serial, of_hash, of_boot_nonce, signature
 *   signed  request, coordinator, attempt, key, child (the key at the path), epoch, path, client, rule, approvers, policy, policy_serial,
 *           roster, set, digests; the coordinator's also signatures (r || s || recid), links, micros
 * Why: logs are kept by hosts and shown to auditors: nothing in them is believed before the chain and the
 *       signatures hold, and two readers must not read two meanings out of one line.
 * Thread rules: none. All of it is public, variable time.
 */
#ifndef QR_AUDIT_READ_H
#define QR_AUDIT_READ_H

#include "daemon/audit.h"
#include "protocol/base/limits.h"

/* One line, checked for form. */
struct qr_audit_record {
    uint16_t party;
    uint64_t boot, serial, time_ms;
    uint8_t prev[32], hash[32];
    char event[QR_AUDIT_EVENT_MAX + 1];
    qr_view members; /* what follows the event, with its comma; may be empty */
};
/* line: without newline. MALFORMED, TOO_LARGE; why: what was expected, and at which byte. */
qr_err QR_MUST qr_audit_parse(qr_view line, struct qr_audit_record *ret, char *why, size_t cap);

struct qr_audit_boot {
    uint8_t boot_nonce[32], cluster[32], identity[32], roster[32], policy[32];
    char platform[QR_NAME_MAX];
    uint64_t last_boot, last_serial; /* 0: the store knew of none */
};

/* A signed head: of the record's own log ("head", over the record before it) or of another ("anchor"). */
struct qr_audit_signed_head {
    uint16_t party;
    struct qr_audit_head at;
    uint8_t boot_nonce[32], sig[64];
    uint64_t unknown_clients, refused, other; /* what a head counts beside its records */
};

struct qr_audit_member {
    uint16_t party;
    char platform[QR_NAME_MAX];
    uint8_t measurement[32], evidence[32];
    int has_evidence; /* not of the record's own party */
};

struct qr_audit_link {
    uint16_t party;
    uint64_t out, in;
};

struct qr_audit_signature {
    uint8_t request[32], key[33], child[33], policy[32], roster[32];
    uint64_t policy_serial, micros;
    uint16_t coordinator;
    uint32_t attempt, epoch;
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    char client[QR_NAME_MAX + 1], rule[QR_NAME_MAX + 1];
    size_t n_approvers;
    char approver[QR_APPROVALS_MAX][QR_NAME_MAX + 1];
    size_t n_set;
    struct qr_audit_member set[QR_MAX_PARTIES]; /* ascending, the record's party among them */
    size_t n;                                   /* items */
    uint8_t digest[QR_ITEMS_MAX][32];
    int has_sigs; /* the coordinator's */
    uint8_t sig[QR_ITEMS_MAX][65];
    size_t n_links;
    struct qr_audit_link link[QR_MAX_PARTIES];
};

/* Each takes the whole line of a record of its event. MALFORMED, UNKNOWN_FIELD, TOO_LARGE, SET, NO_MEMORY. */
qr_err QR_MUST qr_audit_read_boot(qr_view line, struct qr_audit_boot *ret, char *why, size_t cap);
qr_err QR_MUST qr_audit_read_head(qr_view line, struct qr_audit_signed_head *ret, char *why,
                                  size_t cap);
qr_err QR_MUST qr_audit_read_anchor(qr_view line, struct qr_audit_signed_head *ret, char *why,
                                    size_t cap);
/* *ret is large: keep it off small stacks. */
qr_err QR_MUST qr_audit_read_signed(qr_view line, struct qr_audit_signature *ret, char *why,
                                    size_t cap);
/* IDENTITY unless the head is signed by this key. */
qr_err QR_MUST qr_audit_verify_head(const struct qr_audit_signed_head *h,
                                    const uint8_t cluster[static 32],
                                    const uint8_t identity[static 32]);

#endif
