/*
 * qr_db: rows of sealed bytes and transactions over them, as a table of operations.
 *
 * What: two tables: `head` with one row and `record` with (tab, name, serial, sealed). Knows nothing of
 *       what is sealed. Two implementations: a file of our own (store_db.c, the only user of SQLite),
 *       and the host's, asked over a socket (store_remote.c), for a party without a disk.
 * Why apart from store.c: the chain can be read without knowing where the bytes are, and the traps of
 *      each place (locks, hostile schemas and WAL files; lost connections and lying servers) are in one
 *      file each.
 * The file is opened alone, in WAL mode with synchronous=FULL. It is the host's and may be hostile: its
 *      size is bounded, its schema must be the very text we write, triggers, views and ATTACH are off,
 *      and integrity_check runs before any row is read.
 * Both are hostile ground: every length is bounded here; what the bytes mean is for store.c to judge.
 * Thread rules: single-threaded. At most one connection to a file in a process.
 */
#ifndef QR_STORE_DB_H
#define QR_STORE_DB_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

/* store.h's, for those who must not know it. */
#define QR_DB_NAME_MAX 64u
#define QR_DB_ROWS_MAX 1024u
#define QR_DB_CHANGES_MAX 129u /* of one commit, the head among them */
#define QR_DB_SEALED_MAX (QR_DOC_MAX + 64u * 1024u + 64u)

struct qr_db_ops;

/* Common head of both. */
struct qr_db {
    const struct qr_db_ops *ops;
};

struct qr_db_row {
    uint16_t tab;
    const char *name;
    uint64_t serial;
    qr_view sealed; /* until the next call */
};

struct qr_db_key {
    uint16_t tab;
    char name[QR_DB_NAME_MAX + 1];
    uint64_t serial;
};

/* As the functions of the same names below. */
struct qr_db_ops {
    void (*close)(struct qr_db *db);
    const char *(*error)(const struct qr_db *db);
    qr_err (*begin)(struct qr_db *db);
    qr_err (*commit)(struct qr_db *db);
    void (*rollback)(struct qr_db *db);
    qr_err (*put)(struct qr_db *db, const struct qr_db_row *row);
    qr_err (*del)(struct qr_db *db, uint16_t tab, const char *name);
    qr_err (*put_head)(struct qr_db *db, qr_view sealed);
    qr_err (*get_head)(struct qr_db *db, struct qr_dbuf *out);
    qr_err (*get)(struct qr_db *db, uint16_t tab, const char *name, uint64_t *ret_serial,
                  struct qr_dbuf *out);
    qr_err (*next)(struct qr_db *db, uint16_t tab, const char *name, struct qr_db_key *ret,
                   struct qr_dbuf *out);
};

/*
 * where: "unix:///PATH" or "tcp://ADDRESS:PORT" is the host's store, anything else a file.
 * Opens or creates. On *ret_fresh = 1 there is nothing yet, in a transaction that is still open; the
 * caller writes the head and calls qr_db_commit. Errors: PERMISSIONS, STORE_CORRUPT, STORE_READONLY,
 * STORE_FULL, STORE, NO_MEMORY; err_text says what and where.
 */
qr_err QR_MUST qr_db_open(const char *where, struct qr_db **ret, int *ret_fresh, char *err_text,
                          size_t err_cap);
qr_err QR_MUST qr_db_file_open(const char *path, struct qr_db **ret, int *ret_fresh, char *err_text,
                               size_t err_cap);
/* 1 if `where` is the host's store. */
int qr_db_is_remote(const char *where);
/* Rolls an open transaction back. Takes NULL. */
struct qr_db *qr_db_close(struct qr_db *db);
/* Why the last call failed. */
const char *qr_db_error(const struct qr_db *db);

/* Errors of all of these: STORE_FULL, STORE_READONLY, STORE_CORRUPT, STORE, NO_MEMORY. */
qr_err QR_MUST qr_db_begin(struct qr_db *db);
/* Durable when OK. After an error the transaction is rolled back. */
qr_err QR_MUST qr_db_commit(struct qr_db *db);
void qr_db_rollback(struct qr_db *db);
qr_err QR_MUST qr_db_put(struct qr_db *db, const struct qr_db_row *row);
qr_err QR_MUST qr_db_del(struct qr_db *db, uint16_t tab, const char *name);
qr_err QR_MUST qr_db_put_head(struct qr_db *db, qr_view sealed);

/* out is replaced. NOT_FOUND. */
qr_err QR_MUST qr_db_get_head(struct qr_db *db, struct qr_dbuf *out);
qr_err QR_MUST qr_db_get(struct qr_db *db, uint16_t tab, const char *name, uint64_t *ret_serial,
                         struct qr_dbuf *out);
/* The first row behind (tab, name) (name NULL: the very first) in order of (tab, name as bytes). NOT_FOUND at the end. */
qr_err QR_MUST qr_db_next(struct qr_db *db, uint16_t tab, const char *name, struct qr_db_key *ret,
                          struct qr_dbuf *out);
/* All rows in that order; stops at fn's first error and returns it. STORE_CORRUPT: in another order. */
qr_err QR_MUST qr_db_each(struct qr_db *db, qr_err (*fn)(void *ctx, const struct qr_db_row *row),
                          void *ctx);

#endif
