/* The file implementation of tee_keep.h: one small file a value, replaced whole by rename(2). */
#include "enclave-shim/tee_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define FILE_NAME_MAX (sizeof "keep-.new" + QR_TEE_KEEP_NAME_MAX)
#define DIR_MAX 256u

struct files {
    int dir;
    int sealed;
    char dir_name[DIR_MAX];
    char why[512];
};

int
qr_tee_keep_is_name(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++) {
        char c = name[n];
        if (n >= QR_TEE_KEEP_NAME_MAX ||
            !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return 0;
        }
    }
    return n > 0;
}

static qr_err __attribute__((format(printf, 3, 4)))
fail(struct files *f, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(f->why, sizeof f->why, format, ap);
    va_end(ap);
    return e;
}

static qr_err
from_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return QR_ERR_STORE_FULL;
    case EROFS:
        return QR_ERR_STORE_READONLY;
    case EACCES:
    case EPERM:
        return QR_ERR_PERMISSIONS;
    case ENOMEM:
        return QR_ERR_NO_MEMORY;
    default:
        return QR_ERR_STORE;
    }
}

static qr_err
file_name(struct files *f, const char *name, const char *suffix, char out[static FILE_NAME_MAX])
{
    if (!qr_tee_keep_is_name(name)) {
        return fail(f, QR_ERR_USAGE, "a kept value's name is 1 to %u of [a-z0-9-]",
                    QR_TEE_KEEP_NAME_MAX);
    }
    (void)snprintf(out, FILE_NAME_MAX, "keep-%s%s", name, suffix);
    return QR_OK;
}

static qr_err
read_all(struct files *f, int fd, const char *file, struct qr_dbuf *out)
{
    uint8_t mem[QR_TEE_KEEP_MAX + 1];
    struct stat st;
    size_t n = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return fail(f, QR_ERR_STORE, "%s/%s is not a regular file", f->dir_name, file);
    }
    if (st.st_uid != geteuid() || (st.st_mode & 077)) {
        return fail(f, QR_ERR_PERMISSIONS,
                    "%s/%s: owner %u, mode %04o; it must be this user's with mode 0600",
                    f->dir_name, file, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
    }
    while (n < sizeof mem) {
        ssize_t r = read(fd, mem + n, sizeof mem - n);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return fail(f, QR_ERR_STORE, "%s/%s: %s", f->dir_name, file, strerror(errno));
        }
        if (r == 0) {
            break;
        }
        n += (size_t)r;
    }
    if (n > QR_TEE_KEEP_MAX) {
        return fail(f, QR_ERR_TOO_LARGE,
                    "%s/%s has more than %u bytes: this program did not write it; restore it",
                    f->dir_name, file, QR_TEE_KEEP_MAX);
    }
    out->len = 0;
    qr_err e = qr_dbuf_append(out, mem, n);
    return e == QR_OK ? QR_OK : fail(f, e, "%s/%s: %s", f->dir_name, file, qr_err_text(e));
}

static qr_err
files_load(void *ctx, const char *name, struct qr_dbuf *out)
{
    struct files *f = ctx;
    char file[FILE_NAME_MAX];

    QR_TRY(file_name(f, name, "", file));
    int fd = openat(f->dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int e = errno;
        return fail(f, e == ENOENT ? QR_ERR_NOT_FOUND : from_errno(e), "%s/%s: %s", f->dir_name,
                    file, strerror(e));
    }
    qr_err e = read_all(f, fd, file, out);
    (void)close(fd);
    return e;
}

static int
write_all(int fd, qr_view v)
{
    for (size_t n = 0; n < v.len;) {
        ssize_t w = write(fd, v.p + n, v.len - n);
        if (w < 0 && errno != EINTR) {
            return -1;
        }
        n += w > 0 ? (size_t)w : 0;
    }
    return 0;
}

static qr_err
files_save(void *ctx, const char *name, qr_view v)
{
    struct files *f = ctx;
    char file[FILE_NAME_MAX], tmp[FILE_NAME_MAX];
    int e = 0;

    QR_TRY(file_name(f, name, "", file));
    QR_TRY(file_name(f, name, ".new", tmp));
    if (f->sealed) {
        return fail(f, QR_ERR_USAGE, "%s/%s: nothing is written here after start-up", f->dir_name,
                    file);
    }
    if (v.len > QR_TEE_KEEP_MAX) {
        return fail(f, QR_ERR_TOO_LARGE, "%s/%s: %zu bytes, at most %u are kept", f->dir_name, file,
                    v.len, QR_TEE_KEEP_MAX);
    }
    (void)unlinkat(f->dir, tmp, 0); /* of a start that was killed */
    int fd = openat(f->dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0 || write_all(fd, v) != 0 || fsync(fd) != 0) {
        e = errno;
    }
    if (fd >= 0 && close(fd) != 0 && e == 0) {
        e = errno;
    }
    if (e == 0 && (renameat(f->dir, tmp, f->dir, file) != 0 || fsync(f->dir) != 0)) {
        e = errno;
    }
    if (e != 0) {
        (void)unlinkat(f->dir, tmp, 0);
        return fail(f, from_errno(e),
                    "%s/%s: cannot be written: %s; make the folder writable or free space, then "
                    "restart",
                    f->dir_name, file, strerror(e));
    }
    return QR_OK;
}

static const char *
files_why(void *ctx)
{
    return ((struct files *)ctx)->why;
}

static void
files_free(void *ctx)
{
    struct files *f = ctx;
    (void)close(f->dir);
    qr_free(f);
}

qr_err
qr_tee_keep_files(const char *dir, struct qr_tee_keep *ret, char *err_text, size_t err_cap)
{
    struct stat st;
    size_t n = strlen(dir);

    if (n == 0 || n >= DIR_MAX) {
        EXPLAIN("the state folder's path is empty or too long");
        return QR_ERR_STORE;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int e = errno;
        EXPLAIN("%s: %s", dir, strerror(e));
        if (fd >= 0) {
            (void)close(fd);
        }
        return from_errno(e);
    }
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022)) {
        EXPLAIN("%s: others may write here (owner %u, mode %04o); chown it to this user and "
                "chmod 0700",
                dir, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        (void)close(fd);
        return QR_ERR_PERMISSIONS;
    }
    struct files *f = qr_alloc(sizeof *f);
    if (!f) {
        EXPLAIN("out of memory");
        (void)close(fd);
        return QR_ERR_NO_MEMORY;
    }
    f->dir = fd;
    memcpy(f->dir_name, dir, n + 1);
    *ret = (struct qr_tee_keep){f, files_load, files_save, files_why, files_free};
    return QR_OK;
}

void
qr_tee_keep_seal(struct qr_tee_keep *k)
{
    if (k->free == files_free) {
        ((struct files *)k->ctx)->sealed = 1;
    }
}

void
qr_tee_keep_close(struct qr_tee_keep *k)
{
    if (k->free) {
        k->free(k->ctx);
    }
    *k = (struct qr_tee_keep){0};
}
