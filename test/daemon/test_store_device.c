/*
 * The sealed store and the system around it: permissions, kinds of files, a file or directory that
 * cannot be written, another process, a device without space.
 */
#include "daemon/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/faultvfs.h"
#include "test/common/storekit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Permissions, owners, kinds of files. */
static void
test_permissions(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0666, 0777};
    struct qr_store *s = NULL;

    (void)state;
    kit_victim();
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(kit.path, modes[i]), 0);
        assert_int_equal(kit_try_open(&s), QR_ERR_PERMISSIONS);
        assert_non_null(strstr(kit.why, "it must be this user's with mode 0600"));
    }
    assert_int_equal(chmod(kit.path, 0600), 0);
    assert_int_equal(chmod(tmpdir_file(&kit.dir, "store-wal"), 0644), 0);
    assert_int_equal(kit_try_open(&s), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(kit.why, "store-wal"));
    assert_int_equal(chmod(tmpdir_file(&kit.dir, "store-wal"), 0600), 0);
    assert_int_equal(chmod(kit.dir.path, 0720), 0);
    assert_int_equal(kit_try_open(&s), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(kit.why, "others may write here"));
    assert_int_equal(chmod(kit.dir.path, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(kit.path, 65534, 65534), 0);
        assert_int_equal(kit_try_open(&s), QR_ERR_PERMISSIONS);
        assert_int_equal(chown(kit.path, 0, 0), 0);
    } else {
        print_message("not root: a file of another owner was not tried\n");
    }
    s = kit_open(0);
    qr_store_close(s);
    /* links, directories, nothing */
    assert_int_equal(rename(kit.path, tmpdir_file(&kit.dir, "real")), 0);
    assert_int_equal(symlink("real", kit.path), 0);
    assert_int_equal(kit_try_open(&s), QR_ERR_STORE);
    assert_non_null(strstr(kit.why, "not a regular file"));
    assert_int_equal(unlink(kit.path), 0);
    (void)unlink(tmpdir_file(&kit.dir, "real"));
    kit_wipe();
    int fresh;
    const char *sub = tmpdir_file(&kit.dir, "sub");
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(qr_store_open(sub, &kit.tee, &s, &fresh, kit.why, sizeof kit.why),
                     QR_ERR_STORE);
    assert_non_null(strstr(kit.why, "not a regular file"));
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(
        qr_store_open("/nonexistent/store", &kit.tee, &s, &fresh, kit.why, sizeof kit.why),
        QR_ERR_STORE);
    assert_non_null(
        strstr(kit.why, "/nonexistent: No such file or directory; create the directory"));
    assert_int_equal(qr_store_open("", &kit.tee, &s, &fresh, kit.why, sizeof kit.why),
                     QR_ERR_STORE);
}

/* A child's own: the sealing key is in memory that is wiped in children. */
static void
child_tee(void)
{
    if (qr_tee_sim_open(kit.keys.path, &kit.tee, kit.why, sizeof kit.why) != QR_OK) {
        (void)dprintf(2, "%s\n", kit.why);
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
        assert_int_equal(chown(kit.dir.path, to, to), 0);
        assert_int_equal(chown(kit.path, to, to), 0);
        assert_int_equal(chown(tmpdir_file(&kit.dir, "store-wal"), to, to), 0);
    }
}

static void
open_readonly(void)
{
    struct qr_store *s = NULL;
    if (kit_try_open(&s) != QR_ERR_STORE_READONLY || !strstr(kit.why, "writable")) {
        (void)dprintf(2, "%s\n", kit.why);
        _exit(1);
    }
}

static void
test_readonly(void **state)
{
    (void)state;
    faultvfs_stop();
    kit_victim();
    own_all(65534);
    assert_int_equal(chmod(kit.path, 0400), 0);
    assert_int_equal(as_user(open_readonly), 0);
    assert_int_equal(chmod(kit.path, 0600), 0);
    /* a directory in which no file can be made */
    (void)unlink(tmpdir_file(&kit.dir, "store-wal"));
    assert_int_equal(chmod(kit.dir.path, 0500), 0);
    assert_int_equal(as_user(open_readonly), 0);
    assert_int_equal(chmod(kit.dir.path, 0700), 0);
    kit_wipe();
    assert_int_equal(chmod(kit.dir.path, 0500), 0);
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
    kit_victim();
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_tee();
        s = NULL;
        if (kit_try_open(&s) != QR_OK ||
            qr_store_put(s, QR_TABLE_KEY, "x", qr_view_str("y")) != QR_OK ||
            write(ready[1], "x", 1) != 1) {
            (void)dprintf(2, "%s\n", kit.why);
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(close(ready[1]), 0); /* so that a child that failed is noticed */
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(kit_try_open(&s), QR_ERR_STORE);
    assert_non_null(strstr(kit.why, "another quorated uses this store"));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    s = kit_open(0);
    kit_expect(s, QR_TABLE_KEY, "x", "y");
    qr_store_close(s);
    (void)close(ready[0]);
    kit_wipe();
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
    if (kit_try_open(&s) != QR_OK || setrlimit(RLIMIT_FSIZE, &small) != 0) {
        _exit(1);
    }
    qr_err e = QR_OK;
    for (; i < 20 && e == QR_OK; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i % 100);
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
    kit_victim();
    own_all(65534);
    assert_int_equal(as_user(write_until_full), 0);
    own_all(0);
    struct qr_store *s = kit_open(0);
    assert_true(qr_store_serial(s) > 3);
    kit_expect(s, QR_TABLE_KEY, "a", "old a");
    kit_expect(s, QR_TABLE_DOC, "later", NULL);
    kit_put(s, QR_TABLE_DOC, "later", "x");
    qr_store_close(s);
    kit_wipe();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_permissions, storekit_restore),
        cmocka_unit_test_teardown(test_readonly, storekit_restore),
        cmocka_unit_test_teardown(test_locked, storekit_restore),
        cmocka_unit_test_teardown(test_full, storekit_restore),
    };
    return cmocka_run_group_tests(tests, storekit_setup, storekit_teardown);
}
