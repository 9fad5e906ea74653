/*
 * The sealed store in good times, and at the hands of its host: every change that SQL can make from
 * outside, bytes flipped and cut off, permissions, another process, a device without space.
 * What happens at each failing or interrupted write is in test_store_fault.c.
 */
#include "daemon/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "test/common/faultvfs.h"
#include "test/common/testrng.h"
#include "test/common/tmpdir.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir dir, keys; /* the store's, the platform's */
static struct qr_tee tee;
static char why[512], path[256];

/* After a test that moved owners or modes, failed or not. */
static int
restore(void **state)
{
    (void)state;
    (void)chmod(dir.path, 0700);
    if (geteuid() == 0) {
        (void)!chown(dir.path, 0, 0);
    }
    (void)unlink(path);
    (void)unlink(tmpdir_file(&dir, "store-wal"));
    return 0;
}

static int
setup(void **state)
{
    (void)state;
    tmpdir_new(&dir);
    tmpdir_new(&keys);
    (void)snprintf(path, sizeof path, "%s/store", dir.path);
    /* no real syncs but where the device itself is tested: they take most of the time */
    faultvfs_start(&(struct fault_plan){.what = FAULT_NONE});
    return qr_hash_init() == QR_OK && qr_tee_sim_open(keys.path, &tee, why, sizeof why) == QR_OK
               ? 0
               : -1;
}

static int
teardown(void **state)
{
    (void)state;
    qr_tee_close(&tee);
    tmpdir_remove(&dir);
    tmpdir_remove(&keys);
    return 0;
}

static void
wipe(void)
{
    (void)unlink(path);
    (void)unlink(tmpdir_file(&dir, "store-wal"));
}

static qr_err
try_open(struct qr_store **ret)
{
    int fresh = -1;
    why[0] = 0;
    return qr_store_open(path, &tee, ret, &fresh, why, sizeof why);
}

static struct qr_store *
open_store(int want_fresh)
{
    struct qr_store *s = NULL;
    int fresh = -1;
    qr_err e = qr_store_open(path, &tee, &s, &fresh, why, sizeof why);
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), why);
    }
    assert_int_equal(fresh, want_fresh);
    return s;
}

static void
put(struct qr_store *s, enum qr_table t, const char *name, const char *value)
{
    qr_err e = qr_store_put(s, t, name, qr_view_str(value));
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), qr_store_error(s));
    }
}

static void
expect(struct qr_store *s, enum qr_table t, const char *name, const char *value)
{
    uint8_t out[256];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    qr_err e = qr_store_get(s, t, name, &b);
    assert_int_equal(e, value ? QR_OK : QR_ERR_NOT_FOUND);
    if (value && !qr_view_eq(qr_buf_view(&b), qr_view_str(value))) {
        fail_msg("%s holds \"%.*s\", not \"%s\"", name, (int)b.len, out, value);
    }
}

static int
collect(void *ctx, const char *name)
{
    char *out = ctx;
    size_t n = strlen(out);
    (void)snprintf(out + n, 256 - n, "%s ", name);
    return strcmp(name, "stop") == 0;
}

static void
test_life(void **state)
{
    struct qr_store *s = open_store(1);
    uint8_t root0[32], root[32];
    char names[256] = "";
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(qr_store_serial(s) == 0 && qr_store_writable(s));
    memcpy(root0, qr_store_root(s), 32);
    put(s, QR_TABLE_META, "identity", "secret");
    assert_true(qr_store_serial(s) == 1);
    assert_memory_not_equal(qr_store_root(s), root0, 32);
    put(s, QR_TABLE_META, "identity", "secret"); /* the same again is another state */
    assert_true(qr_store_serial(s) == 2);
    put(s, QR_TABLE_KEY, "b", "key b");
    put(s, QR_TABLE_KEY, "a", "key a");
    put(s, QR_TABLE_KEY, "stop", "");
    put(s, QR_TABLE_KEY, "z", "key z");
    put(s, QR_TABLE_DOC, "a", "doc a");
    memcpy(root, qr_store_root(s), 32);
    put(s, QR_TABLE_PEER, "2", "peer"); /* not of the chain */
    put(s, QR_TABLE_PEER, "2", "peer, newer");
    assert_true(qr_store_serial(s) == 7);
    assert_memory_equal(qr_store_root(s), root, 32);
    expect(s, QR_TABLE_KEY, "a", "key a");
    expect(s, QR_TABLE_DOC, "a", "doc a");
    expect(s, QR_TABLE_PAIR, "a", NULL);
    expect(s, QR_TABLE_KEY, "stop", "");
    expect(s, QR_TABLE_PEER, "2", "peer, newer");
    assert_int_equal(qr_store_scan(s, QR_TABLE_KEY, collect, names), QR_OK);
    assert_string_equal(names, "a b stop ");
    assert_int_equal(qr_store_del(s, QR_TABLE_KEY, "stop"), QR_OK);
    assert_int_equal(qr_store_del(s, QR_TABLE_KEY, "stop"), QR_ERR_NOT_FOUND);
    assert_true(qr_store_serial(s) == 8 && qr_store_writable(s));
    memcpy(root, qr_store_root(s), 32);
    assert_null(qr_store_close(s));

    s = open_store(0);
    assert_true(qr_store_serial(s) == 8);
    assert_memory_equal(qr_store_root(s), root, 32);
    expect(s, QR_TABLE_META, "identity", "secret");
    expect(s, QR_TABLE_KEY, "stop", NULL);
    expect(s, QR_TABLE_KEY, "z", "key z");
    expect(s, QR_TABLE_PEER, "2", "peer, newer");
    names[0] = 0;
    assert_int_equal(qr_store_scan(s, QR_TABLE_KEY, collect, names), QR_OK);
    assert_string_equal(names, "a b z ");
    put(s, QR_TABLE_KEY, "a", "key a, newer");
    assert_true(qr_store_serial(s) == 9);
    /* values are appended, and a buffer that is too small is an error */
    uint8_t out[16];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    qr_buf_put(&b, "xy", 2);
    assert_int_equal(qr_store_get(s, QR_TABLE_KEY, "b", &b), QR_OK);
    assert_true(b.len == 7 && memcmp(out, "xykey b", 7) == 0);
    b = qr_buf_over(out, 4);
    assert_int_equal(qr_store_get(s, QR_TABLE_KEY, "b", &b), QR_ERR_NO_SPACE);
    qr_store_close(s);
    qr_store_close(NULL);
    wipe();
}

static void
test_usage(void **state)
{
    static uint8_t big[QR_STORE_RECORD_MAX + 1];
    struct qr_store *s = open_store(1);
    char name[QR_STORE_NAME_MAX + 2];
    uint8_t root[32];

    (void)state;
    put(s, QR_TABLE_KEY, "a", "1");
    memcpy(root, qr_store_root(s), 32);
    static const char *const bad[] = {"", "a/b", "a b", "\xc3\xa9", "a\n", "'"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_store_put(s, QR_TABLE_KEY, bad[i], qr_view_str("x")), QR_ERR_USAGE);
    }
    assert_int_equal(qr_store_put(s, (enum qr_table)5, "a", qr_view_str("x")), QR_ERR_USAGE);
    assert_int_equal(qr_store_put(s, (enum qr_table)0, "a", qr_view_str("x")), QR_ERR_USAGE);
    assert_int_equal(qr_store_put(s, (enum qr_table)17, "a", qr_view_str("x")), QR_ERR_USAGE);
    assert_int_equal(qr_store_put(s, QR_TABLE_KEY, "big", qr_view_of(big, sizeof big)),
                     QR_ERR_TOO_LARGE);
    memset(name, 'n', sizeof name);
    name[QR_STORE_NAME_MAX + 1] = 0;
    assert_int_equal(qr_store_put(s, QR_TABLE_KEY, name, qr_view_str("x")), QR_ERR_USAGE);
    assert_true(qr_store_writable(s) && qr_store_serial(s) == 1);
    assert_memory_equal(qr_store_root(s), root, 32);
    /* the limits themselves */
    name[QR_STORE_NAME_MAX] = 0;
    put(s, QR_TABLE_KEY, name, "long name");
    memset(big, 7, sizeof big);
    assert_int_equal(qr_store_put(s, QR_TABLE_DOC, "big", qr_view_of(big, QR_STORE_RECORD_MAX)),
                     QR_OK);
    qr_store_close(s);
    s = open_store(0);
    static uint8_t out[QR_STORE_RECORD_MAX];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    assert_int_equal(qr_store_get(s, QR_TABLE_DOC, "big", &b), QR_OK);
    assert_true(b.len == QR_STORE_RECORD_MAX && memcmp(out, big, b.len) == 0);
    expect(s, QR_TABLE_KEY, name, "long name");
    qr_store_close(s);
    wipe();
}

/* Several changes are one commit, one serial, one root. */
static void
test_commit(void **state)
{
    struct qr_store *s = open_store(1);
    struct qr_store_change many[QR_STORE_CHANGES_MAX + 1];

    (void)state;
    put(s, QR_TABLE_DOC, "old", "x");
    const struct qr_store_change c[] = {
        {.table = QR_TABLE_DOC, .name = "roster", .value = qr_view_str("r")},
        {.table = QR_TABLE_META, .name = "admins", .value = qr_view_str("a")},
        {.table = QR_TABLE_DOC, .name = "old", .del = 1},
        {.table = QR_TABLE_PEER, .name = "3", .value = qr_view_str("p")},
    };
    assert_int_equal(qr_store_commit(s, c, 4), QR_OK);
    assert_true(qr_store_serial(s) == 2);
    /* one bad change and nothing of it happens */
    const struct qr_store_change half[] = {
        {.table = QR_TABLE_DOC, .name = "roster", .value = qr_view_str("r2")},
        {.table = QR_TABLE_DOC, .name = "no", .del = 1},
    };
    assert_int_equal(qr_store_commit(s, half, 2), QR_ERR_NOT_FOUND);
    const struct qr_store_change twice[] = {
        {.table = QR_TABLE_DOC, .name = "roster", .value = qr_view_str("r2")},
        {.table = QR_TABLE_DOC, .name = "roster", .del = 1},
    };
    assert_int_equal(qr_store_commit(s, twice, 2), QR_ERR_USAGE);
    assert_int_equal(qr_store_commit(s, c, 0), QR_ERR_USAGE);
    for (size_t i = 0; i < QR_STORE_CHANGES_MAX + 1; i++) {
        static char names[QR_STORE_CHANGES_MAX + 1][8];
        (void)snprintf(names[i], sizeof names[i], "m%zu", i);
        many[i] = (struct qr_store_change){
            .table = QR_TABLE_META, .name = names[i], .value = qr_view_str("v")};
    }
    assert_int_equal(qr_store_commit(s, many, QR_STORE_CHANGES_MAX + 1), QR_ERR_USAGE);
    assert_true(qr_store_serial(s) == 2 && qr_store_writable(s));
    expect(s, QR_TABLE_DOC, "roster", "r");
    expect(s, QR_TABLE_META, "m0", NULL);
    assert_int_equal(qr_store_commit(s, many, QR_STORE_CHANGES_MAX), QR_OK);
    qr_store_close(s);
    s = open_store(0);
    assert_true(qr_store_serial(s) == 3);
    expect(s, QR_TABLE_DOC, "roster", "r");
    expect(s, QR_TABLE_META, "admins", "a");
    expect(s, QR_TABLE_DOC, "old", NULL);
    expect(s, QR_TABLE_PEER, "3", "p");
    expect(s, QR_TABLE_META, "m31", "v");
    qr_store_close(s);
    wipe();
}

/* As many records as there may be. */
static void
test_rows(void **state)
{
    struct qr_store *s = open_store(1);
    struct qr_store_change c[QR_STORE_CHANGES_MAX];
    static char names[QR_STORE_CHANGES_MAX][8];

    (void)state;
    for (size_t i = 0; i < QR_STORE_ROWS_MAX; i += QR_STORE_CHANGES_MAX) {
        for (size_t k = 0; k < QR_STORE_CHANGES_MAX; k++) {
            (void)snprintf(names[k], sizeof names[k], "%zu", i + k);
            c[k] = (struct qr_store_change){
                .table = QR_TABLE_META, .name = names[k], .value = qr_view_str("v")};
        }
        assert_int_equal(qr_store_commit(s, c, QR_STORE_CHANGES_MAX), QR_OK);
    }
    assert_int_equal(qr_store_put(s, QR_TABLE_META, "one-more", qr_view_str("v")),
                     QR_ERR_STORE_FULL);
    assert_int_equal(qr_store_put(s, QR_TABLE_PEER, "one-more", qr_view_str("v")),
                     QR_ERR_STORE_FULL);
    assert_true(qr_store_writable(s));
    put(s, QR_TABLE_META, "7", "newer");
    assert_int_equal(qr_store_del(s, QR_TABLE_META, "8"), QR_OK);
    put(s, QR_TABLE_META, "one-more", "v");
    qr_store_close(s);
    s = open_store(0);
    expect(s, QR_TABLE_META, "7", "newer");
    expect(s, QR_TABLE_META, "1023", "v");
    expect(s, QR_TABLE_META, "one-more", "v");
    qr_store_close(s);
    wipe();
}

/* SQL from outside. */

static void
sql(const char *text)
{
    sqlite3 *h = NULL;
    char *err = NULL;
    assert_int_equal(sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    if (sqlite3_exec(h, text, NULL, NULL, &err) != SQLITE_OK) {
        fail_msg("%s: %s", text, err);
    }
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

/* The sealed bytes of a record, as an SQL literal. */
static void
literal(const char *query, char *out, size_t cap)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, query, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const uint8_t *p = sqlite3_column_blob(st, 0);
    int n = sqlite3_column_bytes(st, 0);
    size_t len = (size_t)snprintf(out, cap, "x'");
    for (int i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%02x", p[i]);
    }
    len += (size_t)snprintf(out + len, cap - len, "'");
    assert_true(len < cap);
    (void)sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

/* key/a of serial 4, key/b of serial 2, meta/m of serial 3, peer/2 in its second version. */
static void
victim(void)
{
    wipe();
    struct qr_store *s = open_store(1);
    put(s, QR_TABLE_KEY, "a", "old a");
    put(s, QR_TABLE_KEY, "b", "b");
    put(s, QR_TABLE_META, "m", "m");
    put(s, QR_TABLE_PEER, "2", "old peer");
    put(s, QR_TABLE_PEER, "3", "third");
    qr_store_close(s);
}

static void
victim_grows(void)
{
    struct qr_store *s = open_store(0);
    put(s, QR_TABLE_KEY, "a", "new a");
    put(s, QR_TABLE_PEER, "2", "new peer");
    qr_store_close(s);
}

static void
refused(const char *statement, qr_err want, const char *text)
{
    struct qr_store *s = NULL;
    sql(statement);
    qr_err e = try_open(&s);
    if (e != want || !strstr(why, text) || !strstr(why, path)) {
        fail_msg("%s\n%s: \"%s\", not \"%s\"", statement, qr_err_name(e), why, text);
    }
}

static void
test_host(void **state)
{
    static const struct {
        const char *sql;
        qr_err e;
        const char *why;
    } attacks[] = {
        {"UPDATE record SET sealed=zeroblob(60) WHERE tab=2 AND name='a'", QR_ERR_STORE_CORRUPT,
         "record key/a was changed from outside"},
        {"UPDATE record SET sealed=CAST(sealed||x'00' AS BLOB) WHERE tab=2 AND name='b'", QR_ERR_STORE_CORRUPT,
         "record key/b was changed from outside"},
        {"DELETE FROM record WHERE tab=1", QR_ERR_STORE_CORRUPT, "record meta/m is missing"},
        {"DELETE FROM record", QR_ERR_STORE_CORRUPT, "is missing"},
        {"UPDATE record SET name='c' WHERE tab=2 AND name='b'", QR_ERR_STORE_CORRUPT,
         "record key/c was added from outside"},
        {"UPDATE record SET tab=3 WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "record doc/m was added from outside"},
        {"INSERT INTO record SELECT 2,'extra',serial,sealed FROM record WHERE name='a'",
         QR_ERR_STORE_CORRUPT, "record key/extra was added from outside"},
        {"UPDATE record SET serial=serial-1 WHERE tab=2 AND name='a'", QR_ERR_STORE_CORRUPT,
         "record key/a is of serial 3, the newest is 4: it was put back from an old copy"},
        {"UPDATE record SET serial=-1 WHERE tab=2 AND name='a'", QR_ERR_STORE_CORRUPT,
         "not of the form we write"},
        {"UPDATE record SET tab=99 WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "a record that this program never writes"},
        {"UPDATE record SET tab=-1 WHERE tab=1", QR_ERR_STORE_CORRUPT, "not of the form we write"},
        {"UPDATE record SET name='x/y' WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "a record that this program never writes"},
        {"UPDATE record SET name='m'||char(0)||'n' WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "not of the form we write"},
        {"UPDATE record SET name='' WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "a record that this program never writes"},
        {"UPDATE record SET sealed=zeroblob(0) WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "not of the form we write"},
        {"UPDATE record SET sealed=zeroblob(2000000) WHERE tab=1", QR_ERR_STORE_CORRUPT,
         "larger than any we write"},
        {"UPDATE record SET sealed=(SELECT sealed FROM record WHERE name='b') WHERE name='a';",
         QR_ERR_STORE_CORRUPT, "record key/a was changed from outside"},
        /* unchained records */
        {"UPDATE record SET sealed=(SELECT sealed FROM record WHERE tab=16 AND name='3') "
         "WHERE tab=16 AND name='2'",
         QR_ERR_STORE_CORRUPT, "record peer/2 does not open"},
        {"UPDATE record SET serial=9 WHERE tab=16 AND name='2'", QR_ERR_STORE_CORRUPT,
         "record peer/2 does not open"},
        {"INSERT INTO record SELECT 16,'4',serial,sealed FROM record WHERE tab=16 AND name='3'",
         QR_ERR_STORE_CORRUPT, "record peer/4 does not open"},
        /* the head */
        {"DELETE FROM head", QR_ERR_STORE_CORRUPT, "no head record"},
        {"UPDATE head SET sealed=zeroblob(100)", QR_ERR_SEAL, "sealed on another machine"},
        {"UPDATE head SET sealed=(SELECT sealed FROM record WHERE tab=1)", QR_ERR_SEAL,
         "sealed on another machine"},
        /* the file */
        {"CREATE TABLE more(x)", QR_ERR_STORE_CORRUPT, "tables are not those of a store"},
        {"CREATE INDEX more ON record(serial)", QR_ERR_STORE_CORRUPT,
         "tables are not those of a store"},
        {"CREATE VIEW more AS SELECT 1", QR_ERR_STORE_CORRUPT, "tables are not those of a store"},
        {"CREATE TRIGGER more AFTER UPDATE ON record BEGIN DELETE FROM head; END",
         QR_ERR_STORE_CORRUPT, "tables are not those of a store"},
        {"DROP TABLE head", QR_ERR_STORE_CORRUPT, "tables are not those of a store"},
        {"ALTER TABLE record ADD COLUMN more INTEGER", QR_ERR_STORE_CORRUPT,
         "tables are not those of a store"},
        {"PRAGMA application_id=7", QR_ERR_STORE_CORRUPT, "another program made this file"},
        {"PRAGMA user_version=2", QR_ERR_STORE, "format version 2, this program knows 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        victim();
        victim_grows();
        refused(attacks[i].sql, attacks[i].e, attacks[i].why);
    }
    wipe();
}

/* Old copies: of one record, of the head, of both, and of the whole file. */
static void
test_rollback(void **state)
{
    static char row[4096], head[8192], peer[4096], statement[16384];
    struct qr_store *s = NULL;
    uint8_t old_root[32];

    (void)state;
    victim();
    s = open_store(0);
    memcpy(old_root, qr_store_root(s), 32);
    assert_true(qr_store_serial(s) == 3);
    qr_store_close(s);
    literal("SELECT sealed FROM record WHERE tab=2 AND name='a'", row, sizeof row);
    literal("SELECT sealed FROM head", head, sizeof head);
    literal("SELECT sealed FROM record WHERE tab=16 AND name='2'", peer, sizeof peer);

    victim_grows();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET serial=1,sealed=%s WHERE tab=2 AND name='a'", row);
    refused(statement, QR_ERR_STORE_CORRUPT,
            "record key/a is of serial 1, the newest is 4: it was put back from an old copy");

    /* now the old head, too: that is the store as it was; the peers remember better */
    (void)snprintf(statement, sizeof statement, "UPDATE head SET sealed=%s", head);
    sql(statement);
    s = open_store(0);
    assert_true(qr_store_serial(s) == 3);
    assert_memory_equal(qr_store_root(s), old_root, 32);
    expect(s, QR_TABLE_KEY, "a", "old a");
    /* and it cannot become the state that was: the next root is another one */
    qr_store_close(s);

    /* the old head alone */
    victim();
    literal("SELECT sealed FROM head", head, sizeof head);
    victim_grows();
    (void)snprintf(statement, sizeof statement, "UPDATE head SET sealed=%s", head);
    refused(statement, QR_ERR_STORE_CORRUPT, "record key/a is of serial 4, the newest is 1");

    /* what we remember of a peer may be put back one by one: versions are not counted elsewhere */
    victim();
    literal("SELECT sealed FROM record WHERE tab=16 AND name='2'", peer, sizeof peer);
    victim_grows();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET serial=1,sealed=%s WHERE tab=16 AND name='2'", peer);
    sql(statement);
    s = open_store(0);
    expect(s, QR_TABLE_PEER, "2", "old peer");
    qr_store_close(s);

    /* a record of another store of the same platform */
    victim();
    literal("SELECT sealed FROM record WHERE tab=16 AND name='3'", peer, sizeof peer);
    victim();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET sealed=%s WHERE tab=16 AND name='3'", peer);
    refused(statement, QR_ERR_STORE_CORRUPT, "record peer/3 does not open");
    wipe();
}

/* The root is what the text says, so that others can compute it. */
static void
test_root(void **state)
{
    static char hex[4096];
    struct qr_store *s = open_store(1);
    uint8_t root0[32], root1[32], want[32], sealed[2048], h[32];
    const uint8_t serial[8] = {0, 0, 0, 0, 0, 0, 0, 1}, op = 1, tab[2] = {0, 2};
    size_t n = 0;

    (void)state;
    memcpy(root0, qr_store_root(s), 32);
    put(s, QR_TABLE_KEY, "a", "value");
    memcpy(root1, qr_store_root(s), 32);
    qr_store_close(s);
    literal("SELECT sealed FROM record", hex, sizeof hex);
    for (n = 0; hex[2 + 2 * n] != '\''; n++) {
        char two[3] = {hex[2 + 2 * n], hex[3 + 2 * n], 0};
        sealed[n] = (uint8_t)strtoul(two, NULL, 16);
    }
    qr_sha256(qr_view_of(sealed, n), h);
    qr_th(QR_TAG_STORE,
          QR_FIELDS(qr_view_of(root0, 32), qr_view_of(serial, 8), qr_view_of(&op, 1),
                    qr_view_of(tab, 2), qr_view_str("a"), qr_view_of(h, 32)),
          want);
    assert_memory_equal(root1, want, 32);
    wipe();
}

/* Another platform, or another build: a sealing key that differs. */
static void
test_other_platform(void **state)
{
    struct tmpdir d2;
    struct qr_tee other;
    struct qr_store *s = NULL;
    int fresh;

    (void)state;
    victim();
    tmpdir_new(&d2);
    assert_int_equal(qr_tee_sim_open(d2.path, &other, why, sizeof why), QR_OK);
    assert_int_equal(qr_store_open(path, &other, &s, &fresh, why, sizeof why), QR_ERR_SEAL);
    assert_non_null(strstr(why, "another machine or platform, by another build"));
    qr_tee_close(&other);
    tmpdir_remove(&d2);
    wipe();
}

/* Changed under our feet. SQLite's page cache hides it for a while; a record is never wrong. */
static void
test_while_open(void **state)
{
    static uint8_t image[1 << 20];
    struct qr_store *s = NULL;
    uint8_t out[64];

    (void)state;
    victim();
    s = open_store(0);
    size_t n = tmpdir_read(path, image, sizeof image);
    for (size_t i = 4096; i < n; i++) {
        image[i] ^= 0x55;
    }
    tmpdir_write(path, image, n);
    struct qr_buf b = qr_buf_over(out, sizeof out);
    qr_err e = qr_store_get(s, QR_TABLE_KEY, "a", &b);
    assert_true(e == QR_OK || e == QR_ERR_STORE_CORRUPT || e == QR_ERR_STORE);
    if (e == QR_OK) {
        assert_true(qr_view_eq(qr_buf_view(&b), qr_view_str("old a")));
    }
    qr_store_close(s);
    wipe();
}

/* Whatever single byte is changed, or wherever the file ends: refused, or nothing was lost. */
static void
test_flips(void **state)
{
    static uint8_t image[1 << 20];
    struct qr_testrng rng;
    unsigned refusals = 0, harmless = 0;
    const unsigned rounds = getenv("QR_TEST_QUICK") ? 150 : 1000;

    (void)state;
    victim();
    size_t n = tmpdir_read(path, image, sizeof image);
    qr_testrng_seed(&rng, "flips");
    for (unsigned i = 0; i < rounds; i++) {
        struct qr_store *s = NULL;
        size_t cut = n;
        /* headers of pages and of the file more often than the rest */
        size_t at = qr_testrng_below(&rng, n);
        if (i % 2) {
            at = at / 4096 * 4096 + qr_testrng_below(&rng, 120);
        }
        uint8_t bit = (uint8_t)(1u << qr_testrng_below(&rng, 8));
        image[at] ^= bit;
        if (i % 10 == 9) {
            cut = qr_testrng_below(&rng, n);
        }
        wipe();
        tmpdir_write(path, image, cut);
        qr_err e = try_open(&s);
        if (e == QR_OK && qr_store_serial(s) == 3) {
            expect(s, QR_TABLE_KEY, "a", "old a");
            expect(s, QR_TABLE_KEY, "b", "b");
            expect(s, QR_TABLE_META, "m", "m");
            expect(s, QR_TABLE_PEER, "3", "third");
            /* a version byte may forbid writing: then it must say so */
            qr_err w = qr_store_put(s, QR_TABLE_META, "m", qr_view_str("m2"));
            assert_true(w == QR_OK || (qr_store_error(s)[0] && !qr_store_writable(s)));
            harmless++;
        } else if (e == QR_OK) {
            /* cut to nothing: a new store, as if the host had removed it */
            assert_true(cut == 0 && qr_store_serial(s) == 0);
        } else {
            assert_true(e == QR_ERR_STORE_CORRUPT || e == QR_ERR_SEAL || e == QR_ERR_STORE);
            assert_non_null(strstr(why, path));
            refusals++;
        }
        qr_store_close(s);
        image[at] ^= bit;
    }
    print_message("%u changed files refused, %u without effect\n", refusals, harmless);
    assert_true(refusals > rounds / 10 && harmless > 0);
    wipe();
    /* not a store at all */
    tmpdir_write(path, (const uint8_t *)"hello, this is no database at all, not even a short one",
                 54);
    struct qr_store *s = NULL;
    assert_int_equal(try_open(&s), QR_ERR_STORE_CORRUPT);
    assert_non_null(strstr(why, "this is no store; check the path"));
    wipe();
}

/* Permissions, owners, kinds of files. */
static void
test_permissions(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0666, 0777};
    struct qr_store *s = NULL;

    (void)state;
    victim();
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(try_open(&s), QR_ERR_PERMISSIONS);
        assert_non_null(strstr(why, "it must be this user's with mode 0600"));
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(tmpdir_file(&dir, "store-wal"), 0644), 0);
    assert_int_equal(try_open(&s), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(why, "store-wal"));
    assert_int_equal(chmod(tmpdir_file(&dir, "store-wal"), 0600), 0);
    assert_int_equal(chmod(dir.path, 0720), 0);
    assert_int_equal(try_open(&s), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(why, "others may write here"));
    assert_int_equal(chmod(dir.path, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(try_open(&s), QR_ERR_PERMISSIONS);
        assert_int_equal(chown(path, 0, 0), 0);
    } else {
        print_message("not root: a file of another owner was not tried\n");
    }
    s = open_store(0);
    qr_store_close(s);
    /* links, directories, nothing */
    assert_int_equal(rename(path, tmpdir_file(&dir, "real")), 0);
    assert_int_equal(symlink("real", path), 0);
    assert_int_equal(try_open(&s), QR_ERR_STORE);
    assert_non_null(strstr(why, "not a regular file"));
    assert_int_equal(unlink(path), 0);
    (void)unlink(tmpdir_file(&dir, "real"));
    wipe();
    int fresh;
    const char *sub = tmpdir_file(&dir, "sub");
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(qr_store_open(sub, &tee, &s, &fresh, why, sizeof why), QR_ERR_STORE);
    assert_non_null(strstr(why, "not a regular file"));
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(qr_store_open("/nonexistent/store", &tee, &s, &fresh, why, sizeof why),
                     QR_ERR_STORE);
    assert_non_null(strstr(why, "/nonexistent: No such file or directory; create the directory"));
    assert_int_equal(qr_store_open("", &tee, &s, &fresh, why, sizeof why), QR_ERR_STORE);
}

/* A child's own: the sealing key is in memory that is wiped in children. */
static void
child_tee(void)
{
    if (qr_tee_sim_open(keys.path, &tee, why, sizeof why) != QR_OK) {
        (void)dprintf(2, "%s\n", why);
        _exit(1);
    }
}

/* In a child: as an ordinary user, for whom modes mean something. */
static int
as_user(void (*body)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_tee();
        if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) {
            _exit(2);
        }
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
own_all(uid_t to)
{
    if (geteuid() == 0) {
        assert_int_equal(chown(dir.path, to, to), 0);
        assert_int_equal(chown(path, to, to), 0);
        assert_int_equal(chown(tmpdir_file(&dir, "store-wal"), to, to), 0);
    }
}

static void
open_readonly(void)
{
    struct qr_store *s = NULL;
    if (try_open(&s) != QR_ERR_STORE_READONLY || !strstr(why, "writable")) {
        (void)dprintf(2, "%s\n", why);
        _exit(1);
    }
}

static void
test_readonly(void **state)
{
    (void)state;
    faultvfs_stop();
    victim();
    own_all(65534);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(as_user(open_readonly), 0);
    assert_int_equal(chmod(path, 0600), 0);
    /* a directory in which no file can be made */
    (void)unlink(tmpdir_file(&dir, "store-wal"));
    assert_int_equal(chmod(dir.path, 0500), 0);
    assert_int_equal(as_user(open_readonly), 0);
    assert_int_equal(chmod(dir.path, 0700), 0);
    wipe();
    assert_int_equal(chmod(dir.path, 0500), 0);
    assert_int_equal(as_user(open_readonly), 0);
}

/* Another process has it; and when that one is killed it is free. */
static void
test_locked(void **state)
{
    int ready[2], status;
    struct qr_store *s = NULL;
    char c;

    (void)state;
    faultvfs_stop();
    victim();
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_tee();
        s = NULL;
        if (try_open(&s) != QR_OK || qr_store_put(s, QR_TABLE_KEY, "x", qr_view_str("y")) != QR_OK ||
            write(ready[1], "x", 1) != 1) {
            (void)dprintf(2, "%s\n", why);
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(close(ready[1]), 0); /* so that a child that failed is noticed */
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(try_open(&s), QR_ERR_STORE);
    assert_non_null(strstr(why, "another quorated uses this store"));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    s = open_store(0);
    expect(s, QR_TABLE_KEY, "x", "y");
    qr_store_close(s);
    (void)close(ready[0]);
    wipe();
}

/* A real device without space: a limit on file size, which writes meet as EFBIG. */
static void
write_until_full(void)
{
    static uint8_t value[100000];
    const struct rlimit small = {400000, 400000};
    struct qr_store *s = NULL;
    int i = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (try_open(&s) != QR_OK || setrlimit(RLIMIT_FSIZE, &small) != 0) {
        _exit(1);
    }
    qr_err e = QR_OK;
    for (; i < 20 && e == QR_OK; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i);
        e = qr_store_put(s, QR_TABLE_DOC, name, qr_view_of(value, sizeof value));
    }
    if (e != QR_ERR_STORE_FULL || i < 2 || qr_store_writable(s) ||
        !strstr(qr_store_error(s), "free space on the device") ||
        qr_store_put(s, QR_TABLE_DOC, "later", qr_view_str("x")) != QR_ERR_STORE) {
        (void)dprintf(2, "%d: %s: %s\n", i, qr_err_name(e), qr_store_error(s));
        _exit(1);
    }
    /* reading goes on */
    uint8_t out[16];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    if (qr_store_get(s, QR_TABLE_KEY, "a", &b) != QR_OK) {
        _exit(1);
    }
    qr_store_close(s);
}

static void
test_full(void **state)
{
    (void)state;
    faultvfs_stop();
    victim();
    own_all(65534);
    assert_int_equal(as_user(write_until_full), 0);
    own_all(0);
    struct qr_store *s = open_store(0);
    assert_true(qr_store_serial(s) > 3);
    expect(s, QR_TABLE_KEY, "a", "old a");
    expect(s, QR_TABLE_DOC, "later", NULL);
    put(s, QR_TABLE_DOC, "later", "x");
    qr_store_close(s);
    wipe();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),       cmocka_unit_test(test_usage),
        cmocka_unit_test(test_commit),     cmocka_unit_test(test_rows),
        cmocka_unit_test(test_host),       cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_root),       cmocka_unit_test(test_other_platform),
        cmocka_unit_test(test_while_open), cmocka_unit_test(test_flips),
        cmocka_unit_test_teardown(test_permissions, restore),
        cmocka_unit_test_teardown(test_readonly, restore),
        cmocka_unit_test_teardown(test_locked, restore),
        cmocka_unit_test_teardown(test_full, restore),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
