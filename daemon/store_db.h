/*
 * qr_db: the only user of SQLite; rows of sealed bytes, and transactions over them.
 *
 * What: opens a file we own, alone, in WAL mode with synchronous=FULL; two tables: `head` with one
 *       row and `record` with (tab, name, serial, sealed). Knows nothing of what is sealed.
 * Why apart from store.c: the chain can be read without knowing SQLite, and SQLite's traps (locks,
 *      hostile schemas, WAL files, error codes) are in one place.
 * The file is the host's and may be hostile: its size is bounded, its schema must be the very text
 *      we write, triggers, views and ATTACH are off, and integrity_check runs before any row is read.
 * Thread rules: single-threaded. At most one connection to a file in a process.
 */
#ifndef QR_STORE_DB_H
#define QR_STORE_DB_H

#include "protocol/base/err.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

struct qr_db;

struct qr_db_row {
    uint16_t tab;
    const char *name;
    uint64_t serial;
    qr_view sealed; /* until the next call */
};

/*
 * Opens or creates. On *ret_fresh = 1 the tables were made in a transaction that is still open; the
 * caller writes the head and calls qr_db_commit. Errors: PERMISSIONS, STORE_CORRUPT, STORE_READONLY,
 * STORE_FULL, STORE, NO_MEMORY; err_text says what and where.
 */
qr_err QR_MUST qr_db_open(const char *path, struct qr_db **ret, int *ret_fresh, char *err_text,
                          size_t err_cap);
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
/* All rows in order of (tab, name); stops at fn's first error and returns it. */
qr_err QR_MUST qr_db_each(struct qr_db *db, qr_err (*fn)(void *ctx, const struct qr_db_row *row),
                          void *ctx);

#endif
