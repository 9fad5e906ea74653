#include "daemon/store_remote.h"

#include "daemon/store_line.h"
#include "protocol/base/hash.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

struct remote_db {
    struct qr_db base; /* first */
    struct qr_store_line l;
    struct qr_dbuf batch; /* the changes of the open transaction */
    unsigned n_batch;
    int have_head, lost; /* lost: a commit's outcome is unknown */
    uint8_t head[32];    /* SHA-256 of the head that is there, as far as we know */
    int next_have_head;  /* of the open transaction */
    uint8_t next_head[32];
};

static struct remote_db *
db_of(struct qr_db *base)
{
    return (struct remote_db *)base;
}

/* After a reconnection: is the host's head still the one that we know? */
static qr_err
check_head(struct remote_db *r, int fresh)
{
    struct qr_store_line *l = &r->l;
    struct qr_dbuf question = l->ask;
    struct qr_buf b;
    uint8_t hash[32];

    qr_dbuf_init(&l->ask, 16);
    qr_err e = qr_sw_begin(&l->ask, QR_SW_HEAD);
    if (e == QR_OK) {
        qr_sw_end(&l->ask);
        e = qr_sl_exchange(l);
    }
    qr_dbuf_free(&l->ask);
    l->ask = question;
    QR_TRY(e);
    e = qr_sl_status(l, &b);
    if (e == QR_ERR_NOT_FOUND && fresh && !r->have_head) {
        return QR_OK;
    }
    if (e != QR_OK && e != QR_ERR_NOT_FOUND) {
        return e;
    }
    qr_view head = qr_buf_get_lp(&b, QR_DB_SEALED_MAX);
    if (e == QR_OK && qr_buf_end(&b) != QR_OK) {
        return qr_sl_malformed(l, "HEAD");
    }
    qr_sha256(head, hash);
    if (e != QR_OK || !r->have_head || memcmp(hash, r->head, sizeof hash) != 0) {
        qr_sl_hang_up(l);
        return qr_sl_fail(l, QR_ERR_STORE_CORRUPT,
                          "the store there is not the one that was there before: the host put back "
                          "another, or another party writes to it");
    }
    return QR_OK;
}

static qr_err
reconnect(struct remote_db *r)
{
    int fresh = 0;
    if (r->l.fd >= 0) {
        return QR_OK;
    }
    QR_TRY(qr_sl_call(&r->l, &fresh));
    qr_err e = check_head(r, fresh);
    if (e != QR_OK) {
        qr_sl_hang_up(&r->l);
    }
    return e == QR_ERR_LINK_CLOSED || e == QR_ERR_MALFORMED ? QR_ERR_STORE : e;
}

/* Sends r->l.ask. On OK *ret reads the answer's body. */
static qr_err
ask(struct remote_db *r, int is_commit, struct qr_buf *ret)
{
    qr_err e = QR_OK;
    int fresh;

    if (r->lost) {
        return QR_ERR_STORE; /* the first explanation stands */
    }
    qr_sl_timer(&r->l);
    qr_sw_end(&r->l.ask);
    for (int again = 0; again < 2; again++) {
        /* A commit goes out on a line that has just answered: so few outcomes as can be are unknown. */
        if (is_commit && r->l.fd >= 0 && qr_sl_hello(&r->l, &fresh) != QR_OK) {
            qr_sl_hang_up(&r->l);
        }
        QR_TRY(reconnect(r));
        e = qr_sl_exchange(&r->l);
        if (e == QR_OK) {
            return qr_sl_status(&r->l, ret);
        }
        qr_sl_hang_up(&r->l);
        if (is_commit && r->l.handed_over) {
            char why[sizeof r->l.error];
            memcpy(why, r->l.error, sizeof why);
            r->lost = 1;
            (void)snprintf(r->l.error, sizeof r->l.error,
                           "%.300s; whether the last commit was written is unknown: restart", why);
            break;
        }
        if (e != QR_ERR_LINK_CLOSED) {
            break;
        }
    }
    return e == QR_ERR_NO_MEMORY ? e : QR_ERR_STORE;
}

static qr_err
remote_begin(struct qr_db *base)
{
    struct remote_db *r = db_of(base);
    r->batch.len = 0;
    r->n_batch = 0;
    r->next_have_head = r->have_head;
    memcpy(r->next_head, r->head, sizeof r->head);
    return r->lost ? QR_ERR_STORE : QR_OK;
}

static void
remote_rollback(struct qr_db *base)
{
    (void)remote_begin(base); /* nothing has left this process */
}

static qr_err
keep_error(struct remote_db *r, qr_err e)
{
    e = e == QR_ERR_TOO_LARGE ? QR_ERR_STORE_FULL : e;
    return e == QR_OK ? QR_OK : qr_sl_fail(&r->l, e, "%s", qr_err_text(e));
}

/* Counts a change; a batch that would not fit one question is STORE_FULL. */
static qr_err
change(struct remote_db *r, enum qr_sw_change kind)
{
    if (r->n_batch >= QR_DB_CHANGES_MAX) {
        return QR_ERR_STORE_FULL;
    }
    r->n_batch++;
    return qr_sw_put8(&r->batch, (uint8_t)kind);
}

static qr_err
put(struct remote_db *r, const struct qr_db_row *row)
{
    QR_TRY(change(r, QR_SW_PUT));
    QR_TRY(qr_sw_put16(&r->batch, row->tab));
    QR_TRY(qr_sw_put_name(&r->batch, row->name));
    QR_TRY(qr_sw_put64(&r->batch, row->serial));
    return qr_sw_put_bytes(&r->batch, row->sealed);
}

static qr_err
remote_put(struct qr_db *base, const struct qr_db_row *row)
{
    return keep_error(db_of(base), put(db_of(base), row));
}

static qr_err
del(struct remote_db *r, uint16_t tab, const char *name)
{
    QR_TRY(change(r, QR_SW_DEL));
    QR_TRY(qr_sw_put16(&r->batch, tab));
    return qr_sw_put_name(&r->batch, name);
}

static qr_err
remote_del(struct qr_db *base, uint16_t tab, const char *name)
{
    return keep_error(db_of(base), del(db_of(base), tab, name));
}

static qr_err
remote_put_head(struct qr_db *base, qr_view sealed)
{
    struct remote_db *r = db_of(base);
    qr_err e = change(r, QR_SW_PUT_HEAD);

    if (e == QR_OK) {
        e = qr_sw_put_bytes(&r->batch, sealed);
    }
    qr_sha256(sealed, r->next_head);
    r->next_have_head = 1;
    return keep_error(r, e);
}

static qr_err
remote_commit(struct qr_db *base)
{
    static const uint8_t none[32];
    struct remote_db *r = db_of(base);
    struct qr_dbuf *q = &r->l.ask;
    struct qr_buf b;

    qr_err e = qr_sw_begin(q, QR_SW_COMMIT);
    if (e == QR_OK) {
        e = qr_dbuf_append(q, r->have_head ? r->head : none, 32);
    }
    if (e == QR_OK) {
        e = qr_sw_put8(q, (uint8_t)r->n_batch);
    }
    if (e == QR_OK) {
        e = qr_dbuf_append(q, r->batch.p, r->batch.len);
    }
    QR_TRY(keep_error(r, e));
    e = ask(r, 1, &b);
    if (e == QR_ERR_NOT_FOUND) {
        e = qr_sl_fail(&r->l, QR_ERR_STORE_CORRUPT, "no such record");
    }
    QR_TRY(e);
    if (qr_buf_end(&b) != QR_OK) {
        r->lost = 1; /* who answers like this cannot be believed to have written */
        return qr_sl_malformed(&r->l, "COMMIT");
    }
    r->have_head = r->next_have_head;
    memcpy(r->head, r->next_head, sizeof r->head);
    return remote_begin(base);
}

static qr_err
remote_get_head(struct qr_db *base, struct qr_dbuf *out)
{
    struct remote_db *r = db_of(base);
    struct qr_buf b;

    QR_TRY(keep_error(r, qr_sw_begin(&r->l.ask, QR_SW_HEAD)));
    QR_TRY(ask(r, 0, &b));
    qr_view v = qr_buf_get_lp(&b, QR_DB_SEALED_MAX);
    if (qr_buf_end(&b) != QR_OK || v.len == 0) {
        return qr_sl_malformed(&r->l, "HEAD");
    }
    return qr_sl_replace(&r->l, out, v);
}

static qr_err
remote_get(struct qr_db *base, uint16_t tab, const char *name, uint64_t *ret_serial,
           struct qr_dbuf *out)
{
    struct remote_db *r = db_of(base);
    struct qr_dbuf *q = &r->l.ask;
    struct qr_buf b;

    qr_err e = qr_sw_begin(q, QR_SW_GET);
    if (e == QR_OK) {
        e = qr_sw_put16(q, tab);
    }
    if (e == QR_OK) {
        e = qr_sw_put_name(q, name);
    }
    QR_TRY(keep_error(r, e));
    QR_TRY(ask(r, 0, &b));
    uint64_t serial = qr_buf_get64(&b);
    qr_view v = qr_buf_get_lp(&b, QR_DB_SEALED_MAX);
    if (qr_buf_end(&b) != QR_OK || v.len == 0) {
        return qr_sl_malformed(&r->l, "GET");
    }
    QR_TRY(qr_sl_replace(&r->l, out, v));
    *ret_serial = serial;
    return QR_OK;
}

static qr_err
remote_next(struct qr_db *base, uint16_t tab, const char *name, struct qr_db_key *ret,
            struct qr_dbuf *out)
{
    struct remote_db *r = db_of(base);
    struct qr_dbuf *q = &r->l.ask;
    struct qr_db_key key;
    struct qr_buf b;

    qr_err e = qr_sw_begin(q, QR_SW_NEXT);
    if (e == QR_OK) {
        e = qr_sw_put8(q, name == NULL);
    }
    if (e == QR_OK) {
        e = qr_sw_put16(q, tab);
    }
    if (e == QR_OK && name) {
        e = qr_sw_put_name(q, name);
    }
    QR_TRY(keep_error(r, e));
    QR_TRY(ask(r, 0, &b));
    key.tab = qr_buf_get16(&b);
    qr_sw_get_name(&b, key.name);
    key.serial = qr_buf_get64(&b);
    qr_view v = qr_buf_get_lp(&b, QR_DB_SEALED_MAX);
    if (qr_buf_end(&b) != QR_OK || v.len == 0) {
        return qr_sl_malformed(&r->l, "NEXT");
    }
    QR_TRY(qr_sl_replace(&r->l, out, v));
    *ret = key;
    return QR_OK;
}

static const char *
remote_error(const struct qr_db *base)
{
    return ((const struct remote_db *)base)->l.error;
}

static void
remote_close(struct qr_db *base)
{
    struct remote_db *r = db_of(base);
    qr_sl_free(&r->l);
    qr_dbuf_free(&r->batch);
    qr_free(r);
}

static const struct qr_db_ops remote_ops = {
    .close = remote_close,
    .error = remote_error,
    .begin = remote_begin,
    .commit = remote_commit,
    .rollback = remote_rollback,
    .put = remote_put,
    .del = remote_del,
    .put_head = remote_put_head,
    .get_head = remote_get_head,
    .get = remote_get,
    .next = remote_next,
};

/* The head that is there now is the one to hold the host to. */
static qr_err
learn_head(struct remote_db *r, int fresh)
{
    struct qr_dbuf head;
    qr_err e;

    qr_dbuf_init(&head, QR_DB_SEALED_MAX);
    e = remote_get_head(&r->base, &head);
    if (e == QR_OK) {
        r->have_head = 1;
        qr_sha256(qr_view_of(head.p, head.len), r->head);
    }
    qr_dbuf_free(&head);
    if (e == QR_OK && fresh) {
        return qr_sl_fail(&r->l, QR_ERR_STORE_CORRUPT,
                          "the gateway says that there is no store yet, and shows one");
    }
    if (e == QR_ERR_NOT_FOUND) {
        return fresh
                   ? QR_OK
                   : qr_sl_fail(&r->l, QR_ERR_STORE_CORRUPT,
                                "the store has no head record; replace it by the newest good copy");
    }
    return e;
}

qr_err
qr_db_remote_open(const char *where, struct qr_db **ret, int *ret_fresh, char *err_text,
                  size_t err_cap)
{
    struct remote_db *r = qr_alloc(sizeof *r);
    int fresh = 0;

    if (!r) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    r->base.ops = &remote_ops;
    qr_dbuf_init(&r->batch, QR_SW_ASK_MAX - 64);
    qr_err e = qr_sl_init(&r->l, where);
    qr_sl_timer(&r->l);
    if (e == QR_OK) {
        e = qr_sl_call(&r->l, &fresh);
    }
    if (e == QR_OK) {
        e = learn_head(r, fresh);
    }
    if (e == QR_OK) {
        e = remote_begin(&r->base);
    }
    if (e != QR_OK) {
        EXPLAIN("%s", r->l.error);
        remote_close(&r->base);
        return e;
    }
    *ret = &r->base;
    *ret_fresh = fresh;
    return QR_OK;
}
