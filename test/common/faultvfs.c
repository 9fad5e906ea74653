#include "test/common/faultvfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A change that was not synced: what was there before. */
struct undo {
    struct undo *next;
    sqlite3_int64 at, size; /* size of the file before */
    int n;                  /* bytes of old content */
    unsigned char old[];
};

struct file {
    sqlite3_file base;
    struct undo *undo; /* newest first */
    struct file *next; /* all open files */
    sqlite3_file *real;
};

static struct fault_plan plan;
static long count;
static int failing;
static sqlite3_vfs vfs, *real_vfs;
static struct file *files;

static unsigned
next_random(void)
{
    plan.seed = plan.seed * 1103515245u + 12345u;
    return plan.seed >> 16;
}

static void
forget(struct file *f)
{
    while (f->undo) {
        struct undo *u = f->undo;
        f->undo = u->next;
        free(u);
    }
}

static void
remember(struct file *f, sqlite3_int64 at, sqlite3_int64 n)
{
    sqlite3_int64 size = 0;
    (void)f->real->pMethods->xFileSize(f->real, &size);
    int keep = at >= size ? 0 : (int)(at + n > size ? size - at : n);
    struct undo *u = malloc(sizeof *u + (size_t)keep);
    if (!u) {
        abort();
    }
    u->at = at;
    u->size = size;
    u->n = keep;
    if (keep > 0) {
        (void)f->real->pMethods->xRead(f->real, u->old, keep, at);
    }
    u->next = f->undo;
    f->undo = u;
}

static void
cut_power(int all)
{
    for (struct file *f = files; f; f = f->next) {
        for (struct undo *u = f->undo; u; u = u->next) {
            if (all || next_random() % 2) {
                if (u->n > 0) {
                    (void)f->real->pMethods->xWrite(f->real, u->old, u->n, u->at);
                }
                if (all) {
                    (void)f->real->pMethods->xTruncate(f->real, u->size);
                }
            }
        }
    }
    _exit(FAULT_EXIT);
}

/* Before every change. Returns the error to give, or SQLITE_OK; *half asks for half of it. */
static int
change(int *half)
{
    count++;
    if (failing) {
        return plan.rc;
    }
    if (plan.what == FAULT_NONE || count != plan.at) {
        return SQLITE_OK;
    }
    switch (plan.what) {
    case FAULT_FROM_NOW_ON:
        failing = 1;
        return plan.rc;
    case FAULT_ONCE:
        return plan.rc;
    case FAULT_TORN:
        if (half) {
            *half = 1;
            return SQLITE_OK;
        }
        _exit(FAULT_EXIT);
    case FAULT_KILL:
        _exit(FAULT_EXIT);
    case FAULT_POWER:
        cut_power(1);
        break;
    case FAULT_POWER_SOME:
        cut_power(0);
        break;
    case FAULT_NONE:
        break;
    }
    return SQLITE_OK;
}

static int
f_close(sqlite3_file *p)
{
    struct file *f = (struct file *)p;
    for (struct file **at = &files; *at; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    forget(f);
    return f->real->pMethods ? f->real->pMethods->xClose(f->real) : SQLITE_OK;
}

static int
f_read(sqlite3_file *p, void *out, int n, sqlite3_int64 at)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xRead(f->real, out, n, at);
}

static int
f_write(sqlite3_file *p, const void *in, int n, sqlite3_int64 at)
{
    struct file *f = (struct file *)p;
    int half = 0, rc = change(&half);
    if (rc != SQLITE_OK) {
        return rc;
    }
    remember(f, at, n);
    rc = f->real->pMethods->xWrite(f->real, in, half ? n / 2 : n, at);
    if (half) {
        _exit(FAULT_EXIT);
    }
    return rc;
}

static int
f_truncate(sqlite3_file *p, sqlite3_int64 size)
{
    struct file *f = (struct file *)p;
    sqlite3_int64 old = 0;
    int rc = change(NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }
    (void)f->real->pMethods->xFileSize(f->real, &old);
    remember(f, size, old > size ? old - size : 0);
    return f->real->pMethods->xTruncate(f->real, size);
}

static int
f_sync(sqlite3_file *p, int flags)
{
    int rc = change(NULL);
    (void)flags;
    if (rc == SQLITE_OK) {
        forget((struct file *)p);
    }
    return rc;
}

static int
f_size(sqlite3_file *p, sqlite3_int64 *ret)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xFileSize(f->real, ret);
}

static int
f_lock(sqlite3_file *p, int level)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xLock(f->real, level);
}

static int
f_unlock(sqlite3_file *p, int level)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xUnlock(f->real, level);
}

static int
f_check(sqlite3_file *p, int *ret)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xCheckReservedLock(f->real, ret);
}

static int
f_control(sqlite3_file *p, int op, void *arg)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int
f_sector(sqlite3_file *p)
{
    struct file *f = (struct file *)p;
    return f->real->pMethods->xSectorSize(f->real);
}

/* No promises about torn or reordered writes. */
static int
f_characteristics(sqlite3_file *p)
{
    (void)p;
    return 0;
}

/* Version 1: no shared memory and no mapping, which a store must not need. */
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

static int
v_open(sqlite3_vfs *v, const char *name, sqlite3_file *p, int flags, int *ret_flags)
{
    struct file *f = (struct file *)p;
    int there = 0, rc = SQLITE_OK;

    (void)v;
    memset(f, 0, sizeof *f);
    f->real = (sqlite3_file *)(f + 1);
    (void)real_vfs->xAccess(real_vfs, name, SQLITE_ACCESS_EXISTS, &there);
    if (!there) {
        rc = change(NULL);
    }
    if (rc == SQLITE_OK) {
        rc = real_vfs->xOpen(real_vfs, name, f->real, flags, ret_flags);
    }
    if (rc == SQLITE_OK) {
        f->base.pMethods = &methods;
        f->next = files;
        files = f;
    }
    return rc;
}

static int
v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    int rc = change(NULL);
    (void)v;
    return rc == SQLITE_OK ? real_vfs->xDelete(real_vfs, name, sync_dir) : rc;
}

void
faultvfs_start(const struct fault_plan *p)
{
    plan = *p;
    count = 0;
    failing = 0;
    if (!real_vfs) {
        real_vfs = sqlite3_vfs_find(NULL);
        vfs = *real_vfs;
        vfs.pNext = NULL;
        vfs.zName = "fault";
        vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
        vfs.xOpen = v_open;
        vfs.xDelete = v_delete;
    }
    (void)sqlite3_vfs_register(&vfs, 1);
}

long
faultvfs_count(void)
{
    return count;
}

void
faultvfs_stop(void)
{
    if (real_vfs) {
        (void)sqlite3_vfs_register(real_vfs, 1);
    }
}
