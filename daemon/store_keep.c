/* The remote implementation of tee_keep.h: a connection to the gateway for each value. */
#include "daemon/store_line.h"
#include "daemon/store_remote.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

static qr_err
keep_ask(struct qr_store_line *l, enum qr_sw_op op, const char *name, const qr_view *v,
         struct qr_buf *ret)
{
    int fresh = 0;

    if (!qr_tee_keep_is_name(name)) {
        return qr_sl_fail(l, QR_ERR_USAGE, "a kept value's name is 1 to %u of [a-z0-9-]",
                          QR_TEE_KEEP_NAME_MAX);
    }
    if (v && v->len > QR_TEE_KEEP_MAX) {
        return qr_sl_fail(l, QR_ERR_TOO_LARGE, "%zu bytes, at most %u are kept", v->len,
                          QR_TEE_KEEP_MAX);
    }
    qr_err e = qr_sw_begin(&l->ask, (uint8_t)op);
    if (e == QR_OK) {
        e = qr_sw_put_name(&l->ask, name);
    }
    if (e == QR_OK && v) {
        e = qr_sw_put_bytes(&l->ask, *v);
    }
    if (e != QR_OK) {
        return qr_sl_fail(l, e, "%s", qr_err_text(e));
    }
    qr_sw_end(&l->ask);
    qr_sl_timer(l);
    QR_TRY(qr_sl_call(l, &fresh));
    e = qr_sl_exchange(l);
    e = e == QR_OK ? qr_sl_status(l, ret) : e == QR_ERR_NO_MEMORY ? e : QR_ERR_STORE;
    qr_sl_hang_up(l);
    return e;
}

static qr_err
remote_load(void *ctx, const char *name, struct qr_dbuf *out)
{
    struct qr_store_line *l = ctx;
    struct qr_buf b;

    QR_TRY(keep_ask(l, QR_SW_KEEP_LOAD, name, NULL, &b));
    qr_view v = qr_buf_get_lp(&b, QR_TEE_KEEP_MAX);
    if (qr_buf_end(&b) != QR_OK) {
        return qr_sl_malformed(l, "KEEP_LOAD");
    }
    return qr_sl_replace(l, out, v);
}

static qr_err
remote_save(void *ctx, const char *name, qr_view v)
{
    struct qr_store_line *l = ctx;
    struct qr_buf b;

    qr_err e = keep_ask(l, QR_SW_KEEP_SAVE, name, &v, &b);
    if (e == QR_ERR_NOT_FOUND) {
        return qr_sl_malformed(l, "KEEP_SAVE");
    }
    QR_TRY(e);
    return qr_buf_end(&b) == QR_OK ? QR_OK : qr_sl_malformed(l, "KEEP_SAVE");
}

static const char *
remote_why(void *ctx)
{
    return ((struct qr_store_line *)ctx)->error;
}

static void
remote_free(void *ctx)
{
    qr_sl_free(ctx);
    qr_free(ctx);
}

qr_err
qr_tee_keep_remote(const char *where, struct qr_tee_keep *ret, char *err_text, size_t err_cap)
{
    struct qr_store_line *l = qr_alloc(sizeof *l);

    if (!l) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_sl_init(l, where);
    if (e != QR_OK) {
        EXPLAIN("%s", l->error);
        qr_free(l);
        return e;
    }
    *ret = (struct qr_tee_keep){l, remote_load, remote_save, remote_why, remote_free};
    return QR_OK;
}
