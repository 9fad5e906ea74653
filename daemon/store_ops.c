/* qr_db's table of operations, and the walk over all rows that both implementations share. */
#include "daemon/store_db.h"
#include "daemon/store_remote.h"

#include <string.h>

int
qr_db_is_remote(const char *where)
{
    return strncmp(where, "unix://", 7) == 0 || strncmp(where, "tcp://", 6) == 0;
}

qr_err
qr_db_open(const char *where, struct qr_db **ret, int *ret_fresh, char *err_text, size_t err_cap)
{
    return qr_db_is_remote(where) ? qr_db_remote_open(where, ret, ret_fresh, err_text, err_cap)
                                  : qr_db_file_open(where, ret, ret_fresh, err_text, err_cap);
}

struct qr_db *
qr_db_close(struct qr_db *db)
{
    if (db) {
        db->ops->close(db);
    }
    return NULL;
}

const char *
qr_db_error(const struct qr_db *db)
{
    return db->ops->error(db);
}

qr_err
qr_db_begin(struct qr_db *db)
{
    return db->ops->begin(db);
}

qr_err
qr_db_commit(struct qr_db *db)
{
    return db->ops->commit(db);
}

void
qr_db_rollback(struct qr_db *db)
{
    db->ops->rollback(db);
}

qr_err
qr_db_put(struct qr_db *db, const struct qr_db_row *row)
{
    return db->ops->put(db, row);
}

qr_err
qr_db_del(struct qr_db *db, uint16_t tab, const char *name)
{
    return db->ops->del(db, tab, name);
}

qr_err
qr_db_put_head(struct qr_db *db, qr_view sealed)
{
    return db->ops->put_head(db, sealed);
}

qr_err
qr_db_get_head(struct qr_db *db, struct qr_dbuf *out)
{
    return db->ops->get_head(db, out);
}

qr_err
qr_db_get(struct qr_db *db, uint16_t tab, const char *name, uint64_t *ret_serial,
          struct qr_dbuf *out)
{
    return db->ops->get(db, tab, name, ret_serial, out);
}

qr_err
qr_db_next(struct qr_db *db, uint16_t tab, const char *name, struct qr_db_key *ret,
           struct qr_dbuf *out)
{
    return db->ops->next(db, tab, name, ret, out);
}

qr_err
qr_db_each(struct qr_db *db, qr_err (*fn)(void *ctx, const struct qr_db_row *row), void *ctx)
{
    struct qr_db_key at = {.tab = 0}, key;
    struct qr_dbuf sealed;
    qr_err e = QR_OK;
    int first = 1;

    qr_dbuf_init(&sealed, QR_DB_SEALED_MAX);
    for (;;) {
        e = qr_db_next(db, at.tab, first ? NULL : at.name, &key, &sealed);
        if (e != QR_OK) {
            e = e == QR_ERR_NOT_FOUND ? QR_OK : e;
            break;
        }
        /* What follows rises, so this ends. */
        if (!first && (key.tab < at.tab || (key.tab == at.tab && strcmp(key.name, at.name) <= 0))) {
            e = QR_ERR_STORE_CORRUPT;
            break;
        }
        first = 0;
        at = key;
        const struct qr_db_row row = {key.tab, key.name, key.serial,
                                      qr_view_of(sealed.p, sealed.len)};
        e = fn(ctx, &row);
        if (e != QR_OK) {
            break;
        }
    }
    qr_dbuf_free(&sealed);
    return e;
}
