#include "daemon/store_db.h"

#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define APPLICATION_ID 0x51524431 /* "QRD1" */
#define SCHEMA_VERSION 1
#define PAGE_SIZE 4096
#define SEALED_MAX (QR_STORE_RECORD_MAX + QR_SEAL_OVERHEAD)

/* Compared with what the file says, byte for byte. */
static const struct {
    const char *name, *sql;
} tables[] = {
    {"head", "CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id=1), sealed BLOB NOT NULL) STRICT"},
    {"record", "CREATE TABLE record(tab INTEGER NOT NULL, name TEXT NOT NULL, "
               "serial INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY(tab,name)) "
               "STRICT, WITHOUT ROWID"},
};
#define TABLES (sizeof tables / sizeof tables[0])

enum { PUT, DEL, GET, NEXT, PUT_HEAD, GET_HEAD, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [PUT] = ("INSERT INTO record(tab,name,serial,sealed) VALUES(?1,?2,?3,?4) "
             "ON CONFLICT(tab,name) DO UPDATE SET serial=?3, sealed=?4"),
    [DEL] = "DELETE FROM record WHERE tab=?1 AND name=?2",
    [GET] = "SELECT tab,name,serial,sealed FROM record WHERE tab=?1 AND name=?2",
    [NEXT] = ("SELECT tab,name,serial,sealed FROM record WHERE (tab,name)>(?1,?2) "
              "ORDER BY tab,name LIMIT 1"),
    [PUT_HEAD] = "INSERT INTO head(id,sealed) VALUES(1,?1) ON CONFLICT(id) DO UPDATE SET sealed=?1",
    [GET_HEAD] = "SELECT sealed FROM head WHERE id=1",
};

struct file_db {
    struct qr_db base; /* first */
    sqlite3 *h;
    sqlite3_stmt *st[STATEMENTS];
    int in_transaction;
    char path[PATH_MAX];
    char error[512];
};

static struct file_db *
file_of(struct qr_db *base)
{
    return (struct file_db *)base;
}

static const char *
file_error(const struct qr_db *base)
{
    return ((const struct file_db *)base)->error;
}

static void __attribute__((format(printf, 2, 3))) say(struct file_db *db, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(db->error, sizeof db->error, format, ap);
    va_end(ap);
}

/*
 * The errno of what failed. SQLite reads its own after it has tidied up, when it is often gone; each
 * file remembers its last one.
 */
static int
system_errno(struct file_db *db, int primary)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};

    if (!db->h || (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN)) {
        return 0; /* not of the system's making, or said already */
    }
    int e = sqlite3_system_errno(db->h);

    for (size_t i = 0; e == 0 && i < sizeof files / sizeof files[0]; i++) {
        sqlite3_file *f = NULL;
        if (sqlite3_file_control(db->h, "main", files[i], &f) == SQLITE_OK && f && f->pMethods &&
            f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &e) != SQLITE_OK) {
            e = 0;
        }
    }
    return e;
}

/* SQLite's answer as ours, with a sentence that says what to do. */
static qr_err
fail(struct file_db *db, int rc)
{
    static const struct {
        int primary;
        qr_err e;
        const char *advice;
    } map[] = {
        {SQLITE_FULL, QR_ERR_STORE_FULL, "free space on the device, then restart"},
        {SQLITE_READONLY, QR_ERR_STORE_READONLY, "make file and directory writable, then restart"},
        {SQLITE_PERM, QR_ERR_STORE_READONLY, "make file and directory writable, then restart"},
        {SQLITE_CORRUPT, QR_ERR_STORE_CORRUPT, "keep a copy; replace it by the newest good one"},
        {SQLITE_NOTADB, QR_ERR_STORE_CORRUPT, "this is no store; check the path"},
        {SQLITE_TOOBIG, QR_ERR_STORE_CORRUPT, "a record is larger than any we write"},
        {SQLITE_MISMATCH, QR_ERR_STORE_CORRUPT, "a record is not of the form we write"},
        {SQLITE_BUSY, QR_ERR_STORE, "another quorated uses this store"},
        {SQLITE_LOCKED, QR_ERR_STORE, "another quorated uses this store"},
        {SQLITE_NOMEM, QR_ERR_NO_MEMORY, "out of memory"},
    };
    qr_err e = QR_ERR_STORE;
    const char *advice = "check the device and the system log, then restart";
    int primary = rc & 0xff, os = system_errno(db, primary);

    /* Only a plain ENOSPC is SQLITE_FULL; quotas and directories without write access are not. */
    if (primary == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT || os == EFBIG)) {
        primary = SQLITE_FULL;
    } else if (primary == SQLITE_CANTOPEN && (os == EACCES || os == EPERM || os == EROFS)) {
        primary = SQLITE_READONLY;
    }
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (map[i].primary == primary) {
            e = map[i].e;
            advice = map[i].advice;
        }
    }
    say(db, "%s: %s%s%s (SQLite %d); %s", db->path, sqlite3_errstr(rc), os ? ": " : "",
        os ? strerror(os) : "", rc, advice);
    return e;
}

static qr_err
execute(struct file_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? QR_OK : fail(db, rc);
}

/* Before SQLite sees the file. */

static qr_err
check_directory(const char *path, char *err_text, size_t err_cap)
{
    char dir[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;

    memcpy(dir, slash ? path : ".", n);
    dir[n] = 0;
    if (n == 0) {
        memcpy(dir, "/", 2);
    }
    if (stat(dir, &st) != 0) {
        EXPLAIN("%s: %s; create the directory, owned by this user, mode 0700", dir,
                strerror(errno));
        return QR_ERR_STORE;
    }
    if (!S_ISDIR(st.st_mode)) {
        EXPLAIN("%s is not a directory", dir);
        return QR_ERR_STORE;
    }
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022)) {
        EXPLAIN("%s: others may write here (owner %u, mode %04o); chown it to this user and "
                "chmod 0700",
                dir, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        return QR_ERR_PERMISSIONS;
    }
    return QR_OK;
}

/* *ret_there = 0 if there is no such file. */
static qr_err
check_file(const char *path, int *ret_there, char *err_text, size_t err_cap)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        if (errno == ENOENT) {
            *ret_there = 0;
            return QR_OK;
        }
        EXPLAIN("%s: %s", path, strerror(errno));
        return errno == EACCES ? QR_ERR_PERMISSIONS : QR_ERR_STORE;
    }
    if (!S_ISREG(st.st_mode)) {
        EXPLAIN("%s is not a regular file", path);
        return QR_ERR_STORE;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 077)) {
        EXPLAIN("%s: owner %u, mode %04o; it must be this user's with mode 0600", path,
                (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        return QR_ERR_PERMISSIONS;
    }
    if (st.st_size > (off_t)QR_STORE_BYTES_MAX) {
        EXPLAIN("%s has %lld bytes, at most %u are expected; this is not what was written here",
                path, (long long)st.st_size, QR_STORE_BYTES_MAX);
        return QR_ERR_STORE_CORRUPT;
    }
    *ret_there = 1;
    return QR_OK;
}

/* The log is made after the file's first page, so it is never there without one. */
static int
is_gone(const char *path)
{
    struct stat st;
    return lstat(path, &st) != 0 || st.st_size == 0;
}

static qr_err
create_file(const char *path, char *err_text, size_t err_cap)
{
    char dir[PATH_MAX];
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    qr_err e = QR_OK;

    if (fd < 0 || fchmod(fd, 0600) != 0) {
        e = errno == ENOSPC || errno == EDQUOT  ? QR_ERR_STORE_FULL
            : errno == EROFS || errno == EACCES ? QR_ERR_STORE_READONLY
                                                : QR_ERR_STORE;
        EXPLAIN("%s: cannot be made: %s; make the directory writable or free space, then restart",
                path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (e != QR_OK) {
        return e;
    }
    /* The name itself must survive a power failure. */
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 1;
    memcpy(dir, slash ? path : ".", n);
    dir[n] = 0;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        EXPLAIN("%s: %s", dir, strerror(errno));
        e = QR_ERR_STORE;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return e;
}

/* Opening. */

/* What a hostile file could make SQLite do, switched off. */
static qr_err
configure(struct file_db *db)
{
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int rc = sqlite3_db_config(db->h, options[i].option, options[i].value, NULL);
        if (rc != SQLITE_OK) {
            return fail(db, rc);
        }
    }
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_LENGTH, (int)SEALED_MAX + 1024);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_SQL_LENGTH, 4096);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_WORKER_THREADS, 0);
    (void)sqlite3_busy_timeout(db->h, 0);
    /*
     * exclusive before the first access: then WAL needs no shared-memory file, and the lock keeps
     * every other process out for as long as the file is open.
     */
    return execute(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY;"
                       "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;");
}

static int
pragma_text(void *ctx, int n, char **values, char **names)
{
    char *out = ctx; /* 32 bytes */
    (void)names;
    (void)snprintf(out, 32, "%s", n > 0 && values[0] ? values[0] : "");
    return 0;
}

static qr_err
pragma(struct file_db *db, const char *sql, char out[static 32])
{
    out[0] = 0;
    int rc = sqlite3_exec(db->h, sql, pragma_text, out, NULL);
    return rc == SQLITE_OK ? QR_OK : fail(db, rc);
}

static qr_err
corrupt(struct file_db *db, const char *what)
{
    say(db, "%s: %s; keep a copy and replace it by the newest good one", db->path, what);
    return QR_ERR_STORE_CORRUPT;
}

static qr_err
journal(struct file_db *db)
{
    char mode[32];
    int keep = 1;

    if (sqlite3_db_readonly(db->h, "main") == 1) {
        return fail(db, SQLITE_READONLY);
    }
    QR_TRY(pragma(db, "PRAGMA journal_mode=WAL", mode));
    if (strcmp(mode, "wal") != 0) {
        return corrupt(db, "write-ahead logging is not possible");
    }
    /* The WAL file stays when the store is closed: a sandboxed process removes no files. */
    (void)sqlite3_file_control(db->h, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    return execute(db, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=1048576;"
                       "PRAGMA wal_autocheckpoint=128;");
}

/* *ret_n: how many of our tables are there; anything else is corruption. */
static qr_err
check_schema(struct file_db *db, size_t *ret_n)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    qr_err e = QR_OK;
    int rc = sqlite3_prepare_v2(db->h, "SELECT type,name,sql FROM sqlite_schema ORDER BY name", -1,
                                &st, NULL);

    while (rc == SQLITE_OK && e == QR_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(st, 0);
        const char *name = (const char *)sqlite3_column_text(st, 1);
        const char *sql = (const char *)sqlite3_column_text(st, 2);
        if (n >= TABLES || !type || !name || !sql || strcmp(type, "table") != 0 ||
            strcmp(name, tables[n].name) != 0 || strcmp(sql, tables[n].sql) != 0) {
            e = corrupt(db, "its tables are not those of a store");
        }
        n++;
        rc = SQLITE_OK;
    }
    if (e == QR_OK && rc != SQLITE_DONE) {
        e = fail(db, rc);
    }
    (void)sqlite3_finalize(st);
    if (e == QR_OK) {
        *ret_n = n;
    }
    return e;
}

static qr_err
create_tables(struct file_db *db)
{
    char sql[128];
    for (size_t i = 0; i < TABLES; i++) {
        QR_TRY(execute(db, tables[i].sql));
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   APPLICATION_ID, SCHEMA_VERSION);
    return execute(db, sql);
}

static qr_err
check_identity(struct file_db *db)
{
    char text[32], want[32];

    QR_TRY(pragma(db, "PRAGMA application_id", text));
    (void)snprintf(want, sizeof want, "%d", APPLICATION_ID);
    if (strcmp(text, want) != 0) {
        return corrupt(db, "another program made this file");
    }
    QR_TRY(pragma(db, "PRAGMA user_version", text));
    (void)snprintf(want, sizeof want, "%d", SCHEMA_VERSION);
    if (strcmp(text, want) != 0) {
        say(db, "%s: format version %s, this program knows %s; use the program that wrote it",
            db->path, text, want);
        return QR_ERR_STORE;
    }
    QR_TRY(pragma(db, "PRAGMA integrity_check(1)", text));
    return strcmp(text, "ok") == 0 ? QR_OK : corrupt(db, "it fails SQLite's integrity check");
}

static qr_err
open_connection(struct file_db *db, int *ret_fresh)
{
    char sql[64];
    size_t n = 0;
    int rc =
        sqlite3_open_v2(db->path, &db->h,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) {
        return fail(db, rc);
    }
    QR_TRY(configure(db));
    (void)snprintf(sql, sizeof sql, "PRAGMA page_size=%d", PAGE_SIZE); /* of a new file */
    QR_TRY(execute(db, sql));
    QR_TRY(journal(db));
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count=%u", QR_STORE_BYTES_MAX / PAGE_SIZE);
    QR_TRY(execute(db, sql));
    QR_TRY(execute(db, "BEGIN EXCLUSIVE"));
    db->in_transaction = 1;
    QR_TRY(check_schema(db, &n));
    if (n == 0) {
        QR_TRY(create_tables(db));
    } else if (n != TABLES) {
        return corrupt(db, "a table is missing");
    } else {
        QR_TRY(check_identity(db));
        QR_TRY(qr_db_commit(&db->base));
    }
    for (size_t i = 0; i < STATEMENTS; i++) {
        rc = sqlite3_prepare_v3(db->h, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->st[i],
                                NULL);
        if (rc != SQLITE_OK) {
            return fail(db, rc);
        }
    }
    *ret_fresh = n == 0;
    return QR_OK;
}

static const struct qr_db_ops file_ops;

qr_err
qr_db_file_open(const char *path, struct qr_db **ret, int *ret_fresh, char *err_text,
                size_t err_cap)
{
    char wal[PATH_MAX];
    int there = 0, wal_there = 0;
    size_t len = strlen(path);

    if (len == 0 || len + 8 > sizeof wal) {
        EXPLAIN("the store's path is empty or too long");
        return QR_ERR_STORE;
    }
    QR_TRY(check_directory(path, err_text, err_cap));
    QR_TRY(check_file(path, &there, err_text, err_cap));
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    QR_TRY(check_file(wal, &wal_there, err_text, err_cap));
    if (wal_there && is_gone(path)) {
        EXPLAIN(
            "%s is missing or empty, but its log %s is there: put the store back, or remove the "
            "log as well to start as a new party",
            path, wal);
        return QR_ERR_STORE_CORRUPT;
    }
    if (!there) {
        QR_TRY(create_file(path, err_text, err_cap));
    }
    struct file_db *db = qr_alloc(sizeof *db);
    if (!db) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    db->base.ops = &file_ops;
    memcpy(db->path, path, len + 1);
    qr_err e = open_connection(db, ret_fresh);
    if (e != QR_OK) {
        EXPLAIN("%s", db->error);
        qr_db_close(&db->base);
        return e;
    }
    *ret = &db->base;
    return QR_OK;
}

static void file_rollback(struct qr_db *base);

static void
file_close(struct qr_db *base)
{
    struct file_db *db = file_of(base);

    file_rollback(base);
    for (size_t i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(db->st[i]);
    }
    (void)sqlite3_close(db->h);
    qr_free(db);
}

/* Transactions and rows. */

static qr_err
file_begin(struct qr_db *base)
{
    struct file_db *db = file_of(base);
    QR_TRY(execute(db, "BEGIN IMMEDIATE"));
    db->in_transaction = 1;
    return QR_OK;
}

static qr_err
file_commit(struct qr_db *base)
{
    struct file_db *db = file_of(base);
    qr_err e = execute(db, "COMMIT");
    if (e != QR_OK) {
        char why[sizeof db->error];
        memcpy(why, db->error, sizeof why);
        file_rollback(base);
        memcpy(db->error, why, sizeof why);
        return e;
    }
    db->in_transaction = 0;
    return QR_OK;
}

static void
file_rollback(struct qr_db *base)
{
    struct file_db *db = file_of(base);
    if (db->in_transaction) {
        db->in_transaction = 0;
        (void)sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL); /* may have happened by itself */
    }
}

/* Runs a statement that returns no rows. */
static qr_err
run(struct file_db *db, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    qr_err e = rc == SQLITE_DONE ? QR_OK : fail(db, rc);
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return e;
}

static qr_err
file_put(struct qr_db *base, const struct qr_db_row *row)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[PUT];
    (void)sqlite3_bind_int(st, 1, row->tab);
    (void)sqlite3_bind_text(st, 2, row->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 3, (sqlite3_int64)row->serial);
    (void)sqlite3_bind_blob(st, 4, row->sealed.p, (int)row->sealed.len, SQLITE_STATIC);
    return run(db, st);
}

static qr_err
file_del(struct qr_db *base, uint16_t tab, const char *name)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[DEL];
    (void)sqlite3_bind_int(st, 1, tab);
    (void)sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
    return run(db, st);
}

static qr_err
file_put_head(struct qr_db *base, qr_view sealed)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[PUT_HEAD];
    (void)sqlite3_bind_blob(st, 1, sealed.p, (int)sealed.len, SQLITE_STATIC);
    return run(db, st);
}

/* The row a statement stands on; STRICT tables hold no other types, a corrupt file might. */
static qr_err
read_row(struct file_db *db, sqlite3_stmt *st, struct qr_db_row *ret)
{
    sqlite3_int64 tab = sqlite3_column_int64(st, 0), serial = sqlite3_column_int64(st, 2);
    const char *name = (const char *)sqlite3_column_text(st, 1);
    const void *p = sqlite3_column_blob(st, 3);
    int len = sqlite3_column_bytes(st, 3);

    if (tab < 0 || tab > UINT16_MAX || serial < 0 || !name ||
        strlen(name) != (size_t)sqlite3_column_bytes(st, 1) || !p || len <= 0) {
        return fail(db, SQLITE_MISMATCH);
    }
    *ret = (struct qr_db_row){
        .tab = (uint16_t)tab,
        .name = name,
        .serial = (uint64_t)serial,
        .sealed = qr_view_of(p, (size_t)len),
    };
    return QR_OK;
}

static qr_err
replace(struct qr_dbuf *out, qr_view v)
{
    out->len = 0;
    return qr_dbuf_append(out, v.p, v.len);
}

static qr_err
not_found_or(struct file_db *db, int rc)
{
    return rc == SQLITE_DONE ? QR_ERR_NOT_FOUND : fail(db, rc);
}

static qr_err
file_get_head(struct qr_db *base, struct qr_dbuf *out)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[GET_HEAD];
    int rc = sqlite3_step(st);
    qr_err e = QR_OK;

    if (rc == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(st, 0);
        int len = sqlite3_column_bytes(st, 0);
        e = p && len > 0 ? replace(out, qr_view_of(p, (size_t)len)) : fail(db, SQLITE_MISMATCH);
    } else {
        e = not_found_or(db, rc);
    }
    (void)sqlite3_reset(st);
    return e;
}

static qr_err
file_get(struct qr_db *base, uint16_t tab, const char *name, uint64_t *ret_serial,
         struct qr_dbuf *out)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[GET];
    struct qr_db_row row;

    (void)sqlite3_bind_int(st, 1, tab);
    (void)sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    qr_err e = rc == SQLITE_ROW ? read_row(db, st, &row) : not_found_or(db, rc);
    if (e == QR_OK) {
        e = replace(out, row.sealed);
    }
    if (e == QR_OK) {
        *ret_serial = row.serial;
    }
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return e;
}

static qr_err
file_next(struct qr_db *base, uint16_t tab, const char *name, struct qr_db_key *ret,
          struct qr_dbuf *out)
{
    struct file_db *db = file_of(base);
    sqlite3_stmt *st = db->st[NEXT];
    struct qr_db_row row;

    (void)sqlite3_bind_int64(st, 1, name ? (sqlite3_int64)tab : INT64_MIN);
    (void)sqlite3_bind_text(st, 2, name ? name : "", -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    qr_err e = rc == SQLITE_ROW ? read_row(db, st, &row) : not_found_or(db, rc);
    if (e == QR_OK && strlen(row.name) > QR_DB_NAME_MAX) {
        e = fail(db, SQLITE_MISMATCH);
    }
    if (e == QR_OK) {
        e = replace(out, row.sealed);
    }
    if (e == QR_OK) {
        *ret = (struct qr_db_key){.tab = row.tab, .serial = row.serial};
        memcpy(ret->name, row.name, strlen(row.name) + 1);
    }
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return e;
}

static const struct qr_db_ops file_ops = {
    .close = file_close,
    .error = file_error,
    .begin = file_begin,
    .commit = file_commit,
    .rollback = file_rollback,
    .put = file_put,
    .del = file_del,
    .put_head = file_put_head,
    .get_head = file_get_head,
    .get = file_get,
    .next = file_next,
};

_Static_assert(QR_DB_NAME_MAX == QR_STORE_NAME_MAX && QR_DB_ROWS_MAX == QR_STORE_ROWS_MAX &&
                   QR_DB_CHANGES_MAX >= QR_STORE_CHANGES_MAX + 1 && QR_DB_SEALED_MAX == SEALED_MAX,
               "the store's own bounds");
