/*
 * qr_store: the sealed store of a party at its hostile host.
 *
 * What: named records, each sealed by the platform with (table, name, serial) as additional data.
 *       Chained records form one hash chain: every commit raises `serial` and binds the previous
 *       root, so loss, reordering and substitution inside the store are found at open, and a
 *       rollback of the whole store is found by the peers that remember (serial, root).
 *       Unchained records (what we remember of others) are sealed and versioned one by one.
 * Why: the host may roll back, clone, tear or refuse; nothing it does may yield a second answer or
 *      another share, and the operator must see what happened.
 * Invariants: put returns OK only after the data is durable (WAL, synchronous=FULL); a failed put
 *             leaves the store unusable for writing until reopened (a failed fsync is never
 *             retried); never stored: presignatures, OT state, nonces.
 * Thread rules: single-threaded.
 */
#ifndef QR_STORE_H
#define QR_STORE_H

#include "enclave-shim/tee.h"
#include "protocol/base/mem.h"

struct qr_store;

enum qr_table {
    QR_TABLE_META = 1,  /* chained: identity key, admin set, highest serials, boot counter */
    QR_TABLE_KEY = 2,   /* chained: key records, name = key_id */
    QR_TABLE_DOC = 3,   /* chained: roster and policy in force */
    QR_TABLE_PAIR = 4,  /* chained: retired pairs and their notices */
    QR_TABLE_PIECE = 5, /* chained: pieces of the peers' secrets, name = owner-epoch */
    QR_TABLE_PEER = 16, /* unchained: (boot counter, serial, root) of each peer */
};

#define QR_STORE_NAME_MAX 64u                    /* names: 1..64 of [A-Za-z0-9._-] */
#define QR_STORE_ROWS_MAX 1024u                  /* records; more is STORE_FULL */
#define QR_STORE_BYTES_MAX (64u * 1024u * 1024u) /* the file; more is STORE_FULL */
#define QR_STORE_RECORD_MAX (QR_DOC_MAX + 64u * 1024u)

/*
 * Opens or creates PATH, checks every record and the chain. The file must be ours with mode 0600, in
 * a directory that only we (or root) can write to; it is locked against every other process.
 * Errors: PERMISSIONS, STORE_CORRUPT (also missing, added, swapped or old records), STORE_READONLY,
 * STORE_FULL, SEAL (sealed elsewhere, or changed), STORE (also: another process has it open),
 * NO_MEMORY; err_text says what, where and what to do. *ret_fresh = 1 when it was created.
 */
qr_err QR_MUST qr_store_open(const char *path, struct qr_tee *tee, struct qr_store **ret,
                             int *ret_fresh, char *err_text, size_t err_cap);
struct qr_store *qr_store_close(struct qr_store *s);

uint64_t qr_store_serial(const struct qr_store *s);
const uint8_t *qr_store_root(const struct qr_store *s); /* 32 bytes */

/*
 * Durable when it returns OK. STORE_FULL, STORE_READONLY, STORE; USAGE for a bad name or table, and
 * TOO_LARGE for a value above QR_STORE_RECORD_MAX (these two change nothing).
 */
qr_err QR_MUST qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);
/* Absent records are NOT_FOUND. */
qr_err QR_MUST qr_store_del(struct qr_store *s, enum qr_table t, const char *name);
/* Several changes in one commit: all are durable or none is. */
struct qr_store_change {
    enum qr_table table;
    const char *name;
    qr_view value;
    int del; /* 1: delete; value is not used */
};
#define QR_STORE_CHANGES_MAX 128u /* all keys at once, and what says so */
qr_err QR_MUST qr_store_commit(struct qr_store *s, const struct qr_store_change *c, size_t n);
/* NOT_FOUND; out is caller's memory (locked for secrets); the value is appended to it. */
qr_err QR_MUST qr_store_get(struct qr_store *s, enum qr_table t, const char *name,
                            struct qr_buf *out);
/* Names of a table in order; stops when fn returns non-zero. fn may read the store, not change it. */
qr_err QR_MUST qr_store_scan(struct qr_store *s, enum qr_table t,
                             int (*fn)(void *ctx, const char *name), void *ctx);
/* 1 while puts are expected to work (readyz). */
int qr_store_writable(const struct qr_store *s);
/* Why the last failed call failed, for the operator; "" if none did. Valid until the next call. */
const char *qr_store_error(const struct qr_store *s);

#endif
