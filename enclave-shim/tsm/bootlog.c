#include "enclave-shim/tsm/bootlog.h"

#include "enclave-shim/verify/eventlog.h"

#include <errno.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define CC_LAST 4u /* RTMR3 */
#define TPM_LAST 23u

size_t
qr_bootlog_length(enum qr_bootlog_kind kind, qr_view area, struct qr_verdict *v)
{
    struct qr_log l;
    struct qr_log_event e;
    size_t end;

    qr_verdict_init(v);
    if (qr_log_open(&l, area, kind == QR_BOOTLOG_OF_CC ? CC_LAST : TPM_LAST, v) != QR_OK) {
        return 0;
    }
    do {
        end = l.pos;
    } while (qr_log_next(&l, v, &e));
    return v->reason == QR_REASON_NONE ? end : 0;
}

static qr_err
read_error(long e, const char *path, char *err_text, size_t err_cap)
{
    EXPLAIN("%s: %s%s", path, strerror((int)-e),
            e == -EACCES || e == -EPERM ? "; give this user the file, or leave the log out" : "");
    return e == -EACCES || e == -EPERM ? QR_ERR_PERMISSIONS : QR_ERR_PLATFORM;
}

/* Keeps of `area` what is a log. */
static qr_err
keep(enum qr_bootlog_kind kind, const char *path, qr_view area, struct qr_verdict *v,
     struct qr_dbuf *out, char *err_text, size_t err_cap)
{
    enum qr_part part = kind == QR_BOOTLOG_OF_CC ? QR_PART_CC_LOG : QR_PART_TCG_LOG;
    size_t n = qr_bootlog_length(kind, area, v);

    if (n == 0) {
        EXPLAIN("%s: %s", path, v->sentence);
        return QR_ERR_PLATFORM;
    }
    if (n > qr_part_max(part)) {
        EXPLAIN("%s: a log of %zu bytes; evidence carries at most %zu", path, n, qr_part_max(part));
        return QR_ERR_PLATFORM;
    }
    return qr_dbuf_append(out, area.p, n);
}

qr_err
qr_bootlog_read(enum qr_bootlog_kind kind, const char *path, const struct qr_sys *sys,
                struct qr_dbuf *out, char *err_text, size_t err_cap)
{
    out->len = 0;
    uint8_t *area = qr_alloc(QR_BOOTLOG_AREA_MAX);
    struct qr_verdict *v = qr_alloc(sizeof *v);
    qr_err e = area && v ? QR_OK : QR_ERR_NO_MEMORY;

    if (e == QR_OK) {
        long n = qr_sys_slurp(sys, path, area, QR_BOOTLOG_AREA_MAX);
        if (n < 0 && n != -ENOENT) {
            e = read_error(n, path, err_text, err_cap);
        } else if (n > 0) {
            e = keep(kind, path, qr_view_of(area, (size_t)n), v, out, err_text, err_cap);
        }
    }
    qr_free(area);
    qr_free(v);
    return e;
}
