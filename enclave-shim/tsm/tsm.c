/* configfs-tsm: one entry, used again and again. */
#include "enclave-shim/tsm/tsm.h"

#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_MAX_LEN 256u
#define OWN_PREFIX "quorate-"
#define ENTRY_TRIES 16u

struct tsm {
    const struct qr_sys *sys;
    char root[PATH_MAX_LEN - 2 * QR_TSM_NAME_MAX];
    char entry[QR_TSM_NAME_MAX + 1];
    char provider[QR_TSM_NAME_MAX];
    int made; /* ours to remove */
    uint32_t patience_ms;
    char why[512];
};

static qr_err __attribute__((format(printf, 3, 4)))
fail(struct tsm *t, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(t->why, sizeof t->why, format, ap);
    va_end(ap);
    return e;
}

static void
path_of(const struct tsm *t, const char *file, char out[static PATH_MAX_LEN])
{
    (void)snprintf(out, PATH_MAX_LEN, "%s/%s%s%s", t->root, t->entry, file[0] ? "/" : "", file);
}

/* Another attempt may do better. */
static int
passes(long e)
{
    return e == -EBUSY || e == -EAGAIN || e == -EINTR || e == -ETIMEDOUT;
}

static const char *
remedy(long e)
{
    switch (e) {
    case -EACCES:
    case -EPERM:
        return "; give this user the entry's files, or prepare one and name it in [tee] tsm_entry";
    case -EBUSY:
        return "; the entry takes no more settings: is another process using it?";
    case -EAGAIN:
        return "; the processor's firmware is throttled by its host";
    case -ETIMEDOUT:
        return "; the host's quoting service does not answer";
    case -EIO:
        return "; the processor's firmware or the host refused the request: see the kernel's log";
    case -ENOENT:
        return "; the entry is gone: restart the party";
    case -EFBIG:
        return "; more than any report has";
    default:
        return "";
    }
}

static qr_err
fail_call(struct tsm *t, const char *file, const char *call, long e)
{
    char path[PATH_MAX_LEN];
    path_of(t, file, path);
    return fail(t, e == -EACCES || e == -EPERM ? QR_ERR_PERMISSIONS : QR_ERR_PLATFORM,
                "%s: %s: %s%s", path, call, strerror((int)-e), remedy(e));
}

/* ---- attributes ---------------------------------------------------------------------------- */

/* Decimal digits alone, at most max. */
static int
decimal(const char *s, size_t n, unsigned long max, unsigned long *ret)
{
    unsigned long v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v > (max - (unsigned long)(s[i] - '0')) / 10) {
            return 0;
        }
        v = v * 10 + (unsigned long)(s[i] - '0');
    }
    *ret = v;
    return n > 0;
}

/* Text attribute without its line's end; length or -errno; -EBADMSG: no short printable text. */
static long
read_text(struct tsm *t, const char *file, char *out, size_t cap)
{
    char path[PATH_MAX_LEN];
    path_of(t, file, path);
    long n = qr_sys_slurp(t->sys, path, out, cap - 1);
    if (n == -EFBIG) {
        return -EBADMSG;
    }
    if (n < 0) {
        return n;
    }
    n -= n > 0 && out[n - 1] == '\n';
    out[n] = '\0';
    for (long i = 0; i < n; i++) {
        if (out[i] <= 0x20 || out[i] >= 0x7f) {
            return -EBADMSG;
        }
    }
    return n > 0 ? n : -EBADMSG;
}

static long
read_number(struct tsm *t, const char *file, unsigned long max, unsigned long *ret)
{
    char text[24];
    long n = read_text(t, file, text, sizeof text);
    if (n < 0) {
        return n;
    }
    return decimal(text, (size_t)n, max, ret) ? 0 : -EBADMSG;
}

/* Opens, writes in one call, closes: the close is what counts. 0 or -errno. */
static long
write_once(struct tsm *t, const char *file, const void *p, size_t n)
{
    char path[PATH_MAX_LEN];
    path_of(t, file, path);
    int fd = t->sys->open(t->sys->ctx, path, O_WRONLY | O_NOFOLLOW);
    if (fd < 0) {
        return fd;
    }
    long w = t->sys->write(t->sys->ctx, fd, p, n);
    int c = t->sys->close(t->sys->ctx, fd);
    if (w < 0) {
        return w;
    }
    return (size_t)w != n ? -EBADMSG : c < 0 ? c : 0;
}

/* ---- a report ------------------------------------------------------------------------------ */

enum outcome { DONE, AGAIN, FAILED };

static enum outcome
bad_call(struct tsm *t, const char *file, const char *call, long e, qr_err *ret)
{
    char path[PATH_MAX_LEN];
    if (e == -EBADMSG) {
        path_of(t, file, path);
        *ret = fail(t, QR_ERR_PLATFORM, "%s: %s: not what configfs-tsm says there", path, call);
        return FAILED;
    }
    *ret = fail_call(t, file, call, e);
    return passes(e) ? AGAIN : FAILED;
}

static enum outcome
moved(struct tsm *t, const char *when, unsigned long was, unsigned long is, qr_err *ret)
{
    *ret = fail(t, QR_ERR_PLATFORM,
                "%s/%s: generation is %lu %s, expected %lu: the report may be over other bytes%s",
                t->root, t->entry, is, when, was,
                is < was ? "; the kernel did not take ours" : "; another process uses this entry");
    return AGAIN;
}

static enum outcome
read_blobs(struct tsm *t, struct qr_report *r, qr_err *ret)
{
    char path[PATH_MAX_LEN];

    path_of(t, "outblob", path);
    long n = qr_sys_slurp(t->sys, path, r->out, sizeof r->out);
    if (n < 0) {
        return bad_call(t, "outblob", "read", n, ret);
    }
    if (n == 0) {
        *ret = fail(t, QR_ERR_PLATFORM, "%s: empty; the kernel made no report", path);
        return AGAIN;
    }
    r->out_len = (size_t)n;
    r->aux_len = 0;
    path_of(t, "auxblob", path);
    n = qr_sys_slurp(t->sys, path, r->aux, sizeof r->aux);
    if (n == -ENOENT || n == -ENODATA) {
        return DONE; /* TDX has none, SNP may have none */
    }
    if (n < 0) {
        return bad_call(t, "auxblob", "read", n, ret);
    }
    r->aux_len = (size_t)n;
    return DONE;
}

static enum outcome
attempt(struct tsm *t, const uint8_t data[QR_REPORT_DATA], struct qr_report *r, qr_err *ret)
{
    unsigned long before = 0, set = 0, after = 0;

    long e = read_number(t, "generation", UINT32_MAX, &before);
    if (e == 0) {
        e = write_once(t, "inblob", data, QR_REPORT_DATA);
        if (e != 0) {
            /* A full counter is emptied by a read of what is there. */
            if (e == -EBUSY) {
                (void)read_blobs(t, r, ret);
            }
            return bad_call(t, "inblob", "write of 64 bytes", e, ret);
        }
        e = read_number(t, "generation", UINT32_MAX, &set);
    }
    if (e != 0) {
        return bad_call(t, "generation", "read", e, ret);
    }
    if (set != ((before + 1) & UINT32_MAX)) {
        return moved(t, "after our write", before + 1, set, ret);
    }
    enum outcome o = read_blobs(t, r, ret);
    if (o != DONE) {
        return o;
    }
    e = read_number(t, "generation", UINT32_MAX, &after);
    if (e != 0) {
        return bad_call(t, "generation", "read", e, ret);
    }
    return after == set ? DONE : moved(t, "after reading", set, after, ret);
}

static qr_err
tsm_get(void *ctx, const uint8_t data[QR_REPORT_DATA], struct qr_report *ret)
{
    struct tsm *t = ctx;
    struct qr_patience p = qr_patience_of(t->sys, t->patience_ms);
    qr_err e = QR_OK;
    enum outcome o;

    t->why[0] = '\0';
    do {
        o = attempt(t, data, ret, &e);
    } while (o == AGAIN && qr_patience_wait(t->sys, &p));
    if (o == AGAIN) {
        size_t n = strlen(t->why);
        (void)snprintf(t->why + n, sizeof t->why - n, "; tried for %u ms", t->patience_ms);
    }
    return o == DONE ? QR_OK : e;
}

static const char *
tsm_why(void *ctx)
{
    return ((struct tsm *)ctx)->why;
}

/* ---- the entry ----------------------------------------------------------------------------- */

static void
remove_entry(struct tsm *t)
{
    char path[PATH_MAX_LEN];
    if (t->made) {
        path_of(t, "", path);
        (void)t->sys->rmdir(t->sys->ctx, path);
        t->made = 0;
    }
}

static void
tsm_free(void *ctx)
{
    remove_entry(ctx);
    qr_free(ctx);
}

/* "quorate-PID-N" of a process that is gone: what a crash left. */
static void
sweep_one(void *to, const char *name)
{
    struct tsm *t = to;
    char path[PATH_MAX_LEN];
    unsigned long pid = 0, n = 0;
    size_t at = sizeof OWN_PREFIX - 1;

    if (strncmp(name, OWN_PREFIX, at) != 0 || strlen(name) > QR_TSM_NAME_MAX) {
        return;
    }
    size_t digits = strspn(name + at, "0123456789");
    const char *dash = name + at + digits;
    if (*dash != '-' || !decimal(name + at, digits, INT32_MAX, &pid) || pid == 0 ||
        !decimal(dash + 1, strlen(dash + 1), ENTRY_TRIES, &n) ||
        t->sys->alive(t->sys->ctx, (long)pid)) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", t->root, name);
    (void)t->sys->rmdir(t->sys->ctx, path);
}

static qr_err
mkdir_failed(struct tsm *t, int e)
{
    switch (e) {
    case -ENOENT:
    case -ENOTDIR:
        return fail(
            t, QR_ERR_NOT_FOUND,
            "%s: no configfs-tsm here: the kernel is older than 6.7 or lacks TSM_REPORTS, or "
            "configfs is not mounted",
            t->root);
    case -ENXIO:
    case -ENODEV:
        return fail(
            t, QR_ERR_PLATFORM,
            "%s: no provider of reports: load sev-guest or tdx-guest; is this a confidential "
            "VM?",
            t->root);
    case -EACCES:
    case -EPERM:
        return fail(
            t, QR_ERR_PERMISSIONS,
            "%s: this user may not make an entry here; let root prepare one, give this user "
            "its files, and name it in [tee] tsm_entry",
            t->root);
    default:
        return fail(t, QR_ERR_PLATFORM, "%s/%s: mkdir: %s", t->root, t->entry, strerror(-e));
    }
}

static qr_err
make_entry(struct tsm *t)
{
    struct qr_patience p = qr_patience_of(t->sys, t->patience_ms);
    char path[PATH_MAX_LEN];
    unsigned n = 0;
    int e;

    (void)t->sys->list(t->sys->ctx, t->root, sweep_one, t);
    for (;;) {
        (void)snprintf(t->entry, sizeof t->entry, OWN_PREFIX "%ld-%u", (long)getpid(), n);
        path_of(t, "", path);
        e = t->sys->mkdir(t->sys->ctx, path);
        if (e == -EEXIST && n + 1 < ENTRY_TRIES) {
            n++;
            continue;
        }
        if (!passes(e) || !qr_patience_wait(t->sys, &p)) {
            break;
        }
    }
    t->made = e >= 0;
    return e >= 0 ? QR_OK : mkdir_failed(t, e);
}

/*
 * Our privilege level, where the guest does not run at the highest one: the kernel refuses reports
 * above its floor. TDX has none.
 */
static qr_err
set_level(struct tsm *t)
{
    unsigned long floor = 0;
    char text[8];

    long e = read_number(t, "privlevel_floor", 3, &floor);
    if (e == -ENOENT || (e == 0 && floor == 0)) {
        return QR_OK;
    }
    if (e == 0) {
        int n = snprintf(text, sizeof text, "%lu", floor);
        e = write_once(t, "privlevel", text, (size_t)n);
    }
    if (e != 0) {
        qr_err r = QR_OK;
        (void)bad_call(t, "privlevel", "setting the privilege level", e, &r);
        return r;
    }
    return QR_OK;
}

static qr_err
check_provider(struct tsm *t)
{
    char found[QR_TSM_NAME_MAX + 2];
    struct qr_patience p = qr_patience_of(t->sys, t->patience_ms);
    long e;

    do {
        e = read_text(t, "provider", found, sizeof found);
    } while (passes(e) && qr_patience_wait(t->sys, &p));
    if (e < 0) {
        qr_err r = QR_OK;
        (void)bad_call(t, "provider", "read", e, &r);
        return r;
    }
    int known = strcmp(found, "sev_guest") == 0 || strcmp(found, "tdx_guest") == 0;
    if (t->provider[0] ? strcmp(found, t->provider) != 0 : !known) {
        return fail(t, QR_ERR_PLATFORM,
                    "%s/%s: reports come from %s, this platform's from %s: set [tee] platform to "
                    "what the machine is",
                    t->root, t->entry, found,
                    t->provider[0] ? t->provider : "sev_guest or tdx_guest");
    }
    return set_level(t);
}

qr_err
qr_tsm_open(const struct qr_tsm_opts *o, const struct qr_sys *sys, struct qr_report_src *ret,
            char *err_text, size_t err_cap)
{
    const char *root = o->root && o->root[0] ? o->root : QR_TSM_ROOT;
    const char *entry = o->entry ? o->entry : "";
    struct tsm *t = qr_alloc(sizeof *t);

    if (!t) {
        return QR_ERR_NO_MEMORY;
    }
    t->sys = sys;
    t->patience_ms = o->patience_ms;
    qr_err e = QR_OK;
    if (strlen(root) >= sizeof t->root || strlen(entry) >= sizeof t->entry ||
        strlen(o->provider) >= sizeof t->provider || strchr(entry, '/') || entry[0] == '.') {
        e = fail(t, QR_ERR_PLATFORM,
                 "[tee] tsm, tsm_entry: \"%.64s\", \"%.64s\": not names that fit", root, entry);
    } else {
        memcpy(t->root, root, strlen(root) + 1);
        memcpy(t->entry, entry, strlen(entry) + 1);
        memcpy(t->provider, o->provider, strlen(o->provider) + 1);
        e = entry[0] ? QR_OK : make_entry(t);
    }
    e = e == QR_OK ? check_provider(t) : e;
    if (e != QR_OK) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "%s", t->why);
        }
        tsm_free(t);
        return e;
    }
    *ret = (struct qr_report_src){t, tsm_get, tsm_why, tsm_free, -1};
    return QR_OK;
}
