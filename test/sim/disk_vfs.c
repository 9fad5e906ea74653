/*
 * The simulated disks as SQLite sees them, and as store_db.c does through the system.
 *
 * SQLite's side behaves as its own for Unix where the store can tell: a new log's or journal's first
 * sync also syncs the directory, a file that cannot be opened for writing is opened for reading, an
 * error's errno can be asked for. No shared memory: a store that locks exclusively needs none.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/sim/disk_int.h"

#define ROOT "/sim-disk/"
#define ROOT_LEN (sizeof ROOT - 1)
#define FD_BASE 0x51440000 /* far above what the system gives */
#define UNIX_EPOCH_JULIAN_MS 210866760000000

int __real_stat(const char *path, struct stat *st);
int __real_lstat(const char *path, struct stat *st);
int __real_open(const char *path, int flags, ...);
int __real_fchmod(int fd, mode_t mode);
int __real_close(int fd);
int __real_fsync(int fd);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_close(int fd);
int __wrap_fsync(int fd);

struct handle {
    sqlite3_file base;
    struct handle *next; /* all open ones */
    struct disk_file *f;
    unsigned host;
    uint64_t life;
    int lock, readonly;
    int sync_names; /* a log or journal we made: its first sync covers the directory */
    int persist_wal;
};

static struct handle *handles;
static sqlite3_vfs vfs, *system_vfs;
static uint64_t random_state;
static int last_errno; /* of any host: what SQLite asks the file system for */

/* 1 if the path is ours; *ret_name is "" for the directory. */
static int
parse(const char *path, unsigned *ret_host, const char **ret_name)
{
    if (strncmp(path, ROOT, ROOT_LEN) != 0 || path[ROOT_LEN] < '0' || path[ROOT_LEN] > '9' ||
        path[ROOT_LEN + 1] < '0' || path[ROOT_LEN + 1] > '9') {
        return 0;
    }
    const char *rest = path + ROOT_LEN + 2;
    *ret_host = (unsigned)(path[ROOT_LEN] - '0') * 10 + (unsigned)(path[ROOT_LEN + 1] - '0');
    *ret_name = *rest == '/' ? rest + 1 : rest;
    return *ret_host < SIM_DISKS && (*rest == '/' || *rest == 0);
}

static int
errno_of(enum disk_answer a)
{
    return a == DISK_ENOSPC ? ENOSPC : a == DISK_EROFS ? EROFS : EIO;
}

/* SQLite's files. */

/* A dead handle does nothing; neither does a disk without power. */
static struct disk_host *
alive(const struct handle *x)
{
    struct disk_host *h = disk_host(x->host);
    return x->life == h->life && !h->cut ? h : NULL;
}

static int
failed(const struct handle *x, enum disk_answer a, int rc)
{
    disk_host(x->host)->last_errno = last_errno = errno_of(a);
    return a == DISK_ENOSPC ? SQLITE_FULL : rc;
}

static int
f_close(sqlite3_file *p)
{
    struct handle *x = (struct handle *)p;
    for (struct handle **at = &handles; *at; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            break;
        }
    }
    return SQLITE_OK;
}

static int
f_read(sqlite3_file *p, void *out, int n, sqlite3_int64 at)
{
    const struct handle *x = (struct handle *)p;
    size_t from = (size_t)at, want = (size_t)n, have = 0;

    if (!alive(x)) {
        return failed(x, DISK_EIO, SQLITE_IOERR_READ);
    }
    if (from < x->f->now.len) {
        have = x->f->now.len - from < want ? x->f->now.len - from : want;
        memcpy(out, x->f->now.p + from, have);
    }
    if (have < want) {
        memset((uint8_t *)out + have, 0, want - have);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static enum disk_answer
ask(const struct handle *x, enum disk_kind kind)
{
    if (!alive(x)) {
        return DISK_EIO;
    }
    enum disk_answer a = disk_change(x->host, kind);
    return a == DISK_GO && x->readonly ? DISK_EROFS : a;
}

static int
f_write(sqlite3_file *p, const void *in, int n, sqlite3_int64 at)
{
    struct handle *x = (struct handle *)p;
    enum disk_answer a = ask(x, DISK_WRITE);

    if (a == DISK_GO || a == DISK_HALF) {
        disk_write(x->f, in, a == DISK_HALF ? (size_t)n / 2 : (size_t)n, (size_t)at);
    }
    return a == DISK_GO ? SQLITE_OK : failed(x, a, SQLITE_IOERR_WRITE);
}

static int
f_truncate(sqlite3_file *p, sqlite3_int64 size)
{
    struct handle *x = (struct handle *)p;
    enum disk_answer a = ask(x, DISK_TRUNCATE);

    if (a == DISK_GO || a == DISK_HALF) {
        size_t to = (size_t)size, now = x->f->now.len;
        disk_truncate(x->f, a == DISK_HALF ? to + (now > to ? (now - to) / 2 : 0) : to);
    }
    return a == DISK_GO ? SQLITE_OK : failed(x, a, SQLITE_IOERR_TRUNCATE);
}

static int
f_sync(sqlite3_file *p, int flags)
{
    struct handle *x = (struct handle *)p;
    enum disk_answer a = ask(x, DISK_SYNC);

    (void)flags;
    if (a == DISK_GO || a == DISK_HALF) {
        disk_sync(x->f, a == DISK_HALF);
    }
    if (a == DISK_GO && x->sync_names) {
        disk_sync_names(disk_host(x->host));
        x->sync_names = 0;
    }
    return a == DISK_GO ? SQLITE_OK : failed(x, a, SQLITE_IOERR_FSYNC);
}

static int
f_size(sqlite3_file *p, sqlite3_int64 *ret)
{
    const struct handle *x = (struct handle *)p;
    if (!alive(x)) {
        return failed(x, DISK_EIO, SQLITE_IOERR_FSTAT);
    }
    *ret = (sqlite3_int64)x->f->now.len;
    return SQLITE_OK;
}

static int
f_lock(sqlite3_file *p, int level)
{
    struct handle *x = (struct handle *)p;

    if (!alive(x)) {
        return failed(x, DISK_EIO, SQLITE_IOERR_LOCK);
    }
    for (const struct handle *o = handles; o; o = o->next) {
        if (o == x || o->f != x->f || o->life != x->life) {
            continue;
        }
        if ((level >= SQLITE_LOCK_EXCLUSIVE && o->lock >= SQLITE_LOCK_SHARED) ||
            (level >= SQLITE_LOCK_RESERVED && o->lock >= SQLITE_LOCK_RESERVED) ||
            o->lock >= SQLITE_LOCK_PENDING) {
            return SQLITE_BUSY;
        }
    }
    x->lock = level > x->lock ? level : x->lock;
    return SQLITE_OK;
}

static int
f_unlock(sqlite3_file *p, int level)
{
    struct handle *x = (struct handle *)p;
    x->lock = level < x->lock ? level : x->lock;
    return SQLITE_OK;
}

static int
f_check(sqlite3_file *p, int *ret)
{
    const struct handle *x = (struct handle *)p;
    *ret = 0;
    for (const struct handle *o = handles; o; o = o->next) {
        *ret |= o->f == x->f && o->life == x->life && o->lock >= SQLITE_LOCK_RESERVED;
    }
    return SQLITE_OK;
}

static int
f_control(sqlite3_file *p, int op, void *arg)
{
    struct handle *x = (struct handle *)p;
    int *value = arg;

    switch (op) {
    case SQLITE_FCNTL_LAST_ERRNO:
        *value = disk_host(x->host)->last_errno;
        return SQLITE_OK;
    case SQLITE_FCNTL_LOCKSTATE:
        *value = x->lock;
        return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
        if (*value >= 0) {
            x->persist_wal = *value != 0;
        }
        *value = x->persist_wal;
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int
f_sector(sqlite3_file *p)
{
    (void)p;
    return 4096;
}

static int
f_characteristics(sqlite3_file *p)
{
    (void)p;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_check,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_characteristics,
};

/* SQLite's file system. */

static int
v_open(sqlite3_vfs *v, const char *name, sqlite3_file *p, int flags, int *ret_flags)
{
    struct handle *x = (struct handle *)p;
    const char *file = NULL;
    unsigned host = 0;

    (void)v;
    *x = (struct handle){.f = NULL};
    if (!name || !parse(name, &host, &file) || !*file) {
        return SQLITE_CANTOPEN;
    }
    struct disk_host *h = disk_host(host);
    struct disk_file *f = disk_file(h, file, 1);
    x->host = host;
    if (h->cut || !f) {
        return failed(x, DISK_EIO, SQLITE_CANTOPEN);
    }
    if (!f->there) {
        enum disk_answer a = DISK_EIO;
        if (!(flags & SQLITE_OPEN_CREATE)) {
            h->last_errno = last_errno = ENOENT;
            return SQLITE_CANTOPEN;
        }
        a = disk_change(host, DISK_CREATE);
        if (a == DISK_GO || a == DISK_HALF) {
            disk_create(f);
        }
        if (a != DISK_GO) {
            (void)failed(x, a, SQLITE_CANTOPEN);
            return SQLITE_CANTOPEN;
        }
        x->sync_names = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    } else if ((flags & SQLITE_OPEN_READWRITE) && disk_readonly(h)) {
        x->readonly = 1;
        flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    }
    x->base.pMethods = &methods;
    x->f = f;
    x->life = h->life;
    x->next = handles;
    handles = x;
    if (ret_flags) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int
v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    const char *file = NULL;
    unsigned host = 0;

    (void)v;
    if (!parse(name, &host, &file)) {
        return SQLITE_IOERR_DELETE;
    }
    struct disk_host *h = disk_host(host);
    struct disk_file *f = disk_file(h, file, 0);
    if (!h->cut && (!f || !f->there)) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    enum disk_answer a = disk_change(host, DISK_REMOVE);
    if (f && (a == DISK_GO || a == DISK_HALF)) {
        disk_remove(f);
    }
    if (a != DISK_GO) {
        h->last_errno = last_errno = errno_of(a);
        return SQLITE_IOERR_DELETE;
    }
    if (sync_dir) {
        disk_sync_names(h);
    }
    return SQLITE_OK;
}

static int
v_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
    const char *file = NULL;
    unsigned host = 0;

    (void)v;
    *ret = 0;
    if (parse(name, &host, &file)) {
        struct disk_host *h = disk_host(host);
        const struct disk_file *f = disk_file(h, file, 0);
        if (h->cut) {
            return SQLITE_IOERR_ACCESS;
        }
        *ret = f && f->there &&
               (flags == SQLITE_ACCESS_READWRITE ? !disk_readonly(h) : f->now.len > 0);
    }
    return SQLITE_OK;
}

static int
v_full_path(sqlite3_vfs *v, const char *name, int cap, char *out)
{
    size_t n = strlen(name) + 1;
    (void)v;
    if (n > (size_t)cap) {
        return SQLITE_CANTOPEN;
    }
    memcpy(out, name, n);
    return SQLITE_OK;
}

static int
v_randomness(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    for (int i = 0; i < n; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (char)(random_state >> 56);
    }
    return n;
}

static int
v_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us;
}

static int
v_time64(sqlite3_vfs *v, sqlite3_int64 *ret)
{
    (void)v;
    *ret = UNIX_EPOCH_JULIAN_MS; /* it stands still */
    return SQLITE_OK;
}

static int
v_time(sqlite3_vfs *v, double *ret)
{
    sqlite3_int64 t = 0;
    (void)v_time64(v, &t);
    *ret = (double)t / 86400000.0;
    return SQLITE_OK;
}

static int
v_last_error(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    (void)n;
    (void)out;
    return last_errno;
}

void
disk_vfs_register(uint64_t seed)
{
    if (!system_vfs) {
        system_vfs = sqlite3_vfs_find(NULL);
        vfs = (sqlite3_vfs){
            .iVersion = 2,
            .szOsFile = (int)sizeof(struct handle),
            .mxPathname = 64,
            .zName = "sim-disk",
            .xOpen = v_open,
            .xDelete = v_delete,
            .xAccess = v_access,
            .xFullPathname = v_full_path,
            .xRandomness = v_randomness,
            .xSleep = v_sleep,
            .xCurrentTime = v_time,
            .xGetLastError = v_last_error,
            .xCurrentTimeInt64 = v_time64,
        };
    }
    random_state = seed;
    (void)sqlite3_vfs_register(&vfs, 1);
    sqlite3_randomness(0, NULL); /* its generator asks v_randomness again */
}

void
disk_vfs_unregister(void)
{
    if (system_vfs) {
        (void)sqlite3_vfs_register(system_vfs, 1);
        (void)sqlite3_vfs_unregister(&vfs);
        sqlite3_randomness(0, NULL);
    }
}

unsigned
disk_vfs_handles(void)
{
    unsigned n = 0;
    for (const struct handle *x = handles; x; x = x->next) {
        n++;
    }
    return n;
}

/* The system's calls, as store_db.c makes them before SQLite sees the file. */

static int
refuse(int e)
{
    errno = e;
    return -1;
}

static int
stat_of(unsigned host, const char *name, struct stat *st)
{
    struct disk_host *h = disk_host(host);
    const struct disk_file *f = *name ? disk_file(h, name, 0) : NULL;

    if (h->cut) {
        return refuse(EIO);
    }
    if (*name && (!f || !f->there)) {
        return refuse(ENOENT);
    }
    *st = (struct stat){
        .st_mode = f ? S_IFREG | 0600 : S_IFDIR | 0700,
        .st_uid = geteuid(),
        .st_size = f ? (off_t)f->now.len : 0,
        .st_nlink = 1,
    };
    return 0;
}

int
__wrap_stat(const char *path, struct stat *st)
{
    const char *name = NULL;
    unsigned host = 0;
    return parse(path, &host, &name) ? stat_of(host, name, st) : __real_stat(path, st);
}

int
__wrap_lstat(const char *path, struct stat *st)
{
    const char *name = NULL;
    unsigned host = 0;
    return parse(path, &host, &name) ? stat_of(host, name, st) : __real_lstat(path, st);
}

int
__wrap_open(const char *path, int flags, ...)
{
    const char *name = NULL;
    unsigned host = 0;
    mode_t mode = 0;

    if (flags & O_CREAT) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (!parse(path, &host, &name)) {
        return __real_open(path, flags, mode);
    }
    struct disk_host *h = disk_host(host);
    struct disk_file *f = *name ? disk_file(h, name, 1) : NULL;
    if (h->cut || (*name && !f)) {
        return refuse(EIO);
    }
    if (f && f->there && (flags & O_EXCL)) {
        return refuse(EEXIST);
    }
    if (f && !f->there) {
        if (!(flags & O_CREAT)) {
            return refuse(ENOENT);
        }
        enum disk_answer a = disk_change(host, DISK_CREATE);
        if (a == DISK_GO || a == DISK_HALF) {
            disk_create(f);
        }
        if (a != DISK_GO) {
            return refuse(errno_of(a));
        }
    }
    return FD_BASE + (int)host;
}

static int
is_ours(int fd)
{
    return fd >= FD_BASE && fd < FD_BASE + (int)SIM_DISKS;
}

int
__wrap_fchmod(int fd, mode_t mode)
{
    return is_ours(fd) ? 0 : __real_fchmod(fd, mode);
}

int
__wrap_close(int fd)
{
    return is_ours(fd) ? 0 : __real_close(fd);
}

/* Of the directory: the store syncs its files through SQLite alone. */
int
__wrap_fsync(int fd)
{
    if (!is_ours(fd)) {
        return __real_fsync(fd);
    }
    enum disk_answer a = disk_change((unsigned)(fd - FD_BASE), DISK_SYNC);
    if (a != DISK_GO) {
        return refuse(errno_of(a));
    }
    disk_sync_names(disk_host((unsigned)(fd - FD_BASE)));
    return 0;
}
