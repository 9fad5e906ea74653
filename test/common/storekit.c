#include "test/common/storekit.h"

#include "protocol/base/hash.h"
#include "test/common/faultvfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct storekit kit;

/* After a test that moved owners or modes, failed or not. */
int
storekit_restore(void **state)
{
    (void)state;
    (void)chmod(kit.dir.path, 0700);
    if (geteuid() == 0) {
        (void)!chown(kit.dir.path, 0, 0);
    }
    (void)unlink(kit.path);
    (void)unlink(tmpdir_file(&kit.dir, "store-wal"));
    return 0;
}

int
storekit_setup(void **state)
{
    (void)state;
    tmpdir_new(&kit.dir);
    tmpdir_new(&kit.keys);
    (void)snprintf(kit.path, sizeof kit.path, "%s/store", kit.dir.path);
    /* no real syncs but where the device itself is tested: they take most of the time */
    faultvfs_start(&(struct fault_plan){.what = FAULT_NONE});
    return qr_hash_init() == QR_OK &&
                   qr_tee_sim_open(kit.keys.path, &kit.tee, kit.why, sizeof kit.why) == QR_OK
               ? 0
               : -1;
}

int
storekit_teardown(void **state)
{
    (void)state;
    qr_tee_close(&kit.tee);
    tmpdir_remove(&kit.dir);
    tmpdir_remove(&kit.keys);
    return 0;
}

void
kit_wipe(void)
{
    (void)unlink(kit.path);
    (void)unlink(tmpdir_file(&kit.dir, "store-wal"));
}

qr_err
kit_try_open(struct qr_store **ret)
{
    int fresh = -1;
    kit.why[0] = 0;
    return qr_store_open(kit.path, &kit.tee, ret, &fresh, kit.why, sizeof kit.why);
}

struct qr_store *
kit_open(int want_fresh)
{
    struct qr_store *s = NULL;
    int fresh = -1;
    qr_err e = qr_store_open(kit.path, &kit.tee, &s, &fresh, kit.why, sizeof kit.why);
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), kit.why);
    }
    assert_int_equal(fresh, want_fresh);
    return s;
}

void
kit_put(struct qr_store *s, enum qr_table t, const char *name, const char *value)
{
    qr_err e = qr_store_put(s, t, name, qr_view_str(value));
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), qr_store_error(s));
    }
}

void
kit_expect(struct qr_store *s, enum qr_table t, const char *name, const char *value)
{
    uint8_t out[256];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    qr_err e = qr_store_get(s, t, name, &b);
    assert_int_equal(e, value ? QR_OK : QR_ERR_NOT_FOUND);
    if (value && !qr_view_eq(qr_buf_view(&b), qr_view_str(value))) {
        fail_msg("%s holds \"%.*s\", not \"%s\"", name, (int)b.len, out, value);
    }
}
void
kit_sql(const char *text)
{
    sqlite3 *h = NULL;
    char *err = NULL;
    assert_int_equal(sqlite3_open_v2(kit.path, &h, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    if (sqlite3_exec(h, text, NULL, NULL, &err) != SQLITE_OK) {
        fail_msg("%s: %s", text, err);
    }
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

/* The sealed bytes of a record, as an SQL literal. */
void
kit_literal(const char *query, char *out, size_t cap)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open_v2(kit.path, &h, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
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
void
kit_victim(void)
{
    kit_wipe();
    struct qr_store *s = kit_open(1);
    kit_put(s, QR_TABLE_KEY, "a", "old a");
    kit_put(s, QR_TABLE_KEY, "b", "b");
    kit_put(s, QR_TABLE_META, "m", "m");
    kit_put(s, QR_TABLE_PEER, "2", "old peer");
    kit_put(s, QR_TABLE_PEER, "3", "third");
    qr_store_close(s);
}

void
kit_victim_grows(void)
{
    struct qr_store *s = kit_open(0);
    kit_put(s, QR_TABLE_KEY, "a", "new a");
    kit_put(s, QR_TABLE_PEER, "2", "new peer");
    qr_store_close(s);
}
