/*
 * The store on a device that fails, and in a process or machine that stops: at every single change
 * of a file, one after the other, from the making of the store to its last checkpoint.
 *
 * The rule that is checked: after it, the store opens, and holds exactly what was acknowledged, plus
 * at most the one commit that was under way, wholly or not at all. When a commit was acknowledged,
 * no loss of what was not synced can undo it.
 */
#include "daemon/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "test/common/faultvfs.h"
#include "test/common/tmpdir.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir dir, keys;
static char why[512], path[256];

/* Commit i writes these; the values tell i. Large ones make the log turn over. */
#define COMMITS 16
#define VALUE 40000

static int
setup(void **state)
{
    (void)state;
    tmpdir_new(&dir);
    tmpdir_new(&keys);
    (void)snprintf(path, sizeof path, "%s/store", dir.path);
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    faultvfs_stop();
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
commit(struct qr_store *s, unsigned i)
{
    static uint8_t value[VALUE];
    char small[16];

    memset(value, (int)i, sizeof value);
    (void)snprintf(small, sizeof small, "%u", i);
    const struct qr_store_change c[] = {
        {.table = QR_TABLE_META, .name = "count", .value = qr_view_str(small)},
        {.table = QR_TABLE_DOC, .name = i % 2 ? "odd" : "even", .value = qr_view_of(value, VALUE)},
        {.table = QR_TABLE_PEER, .name = "1", .value = qr_view_str(small)},
        {.table = QR_TABLE_PAIR, .name = "toggle", .value = qr_view_str("x"), .del = i % 2 == 0},
    };
    return qr_store_commit(s, c, 4);
}

/* What the store says how many commits it has, everything agreeing. */
static unsigned
commits_in(struct qr_store *s)
{
    static uint8_t out[VALUE];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    unsigned n = 0;

    if (qr_store_get(s, QR_TABLE_META, "count", &b) == QR_OK) {
        out[b.len] = 0;
        n = (unsigned)strtoul((char *)out, NULL, 10);
    }
    assert_true(qr_store_serial(s) == n);
    for (unsigned i = n > 1 ? n - 1 : n; n > 0 && i <= n; i++) {
        b = qr_buf_over(out, sizeof out);
        assert_int_equal(qr_store_get(s, QR_TABLE_DOC, i % 2 ? "odd" : "even", &b), QR_OK);
        assert_true(b.len == VALUE && out[0] == (uint8_t)i && out[VALUE - 1] == (uint8_t)i);
    }
    b = qr_buf_over(out, sizeof out);
    assert_int_equal(qr_store_get(s, QR_TABLE_PAIR, "toggle", &b),
                     n % 2 ? QR_OK : QR_ERR_NOT_FOUND);
    if (n > 0) {
        b = qr_buf_over(out, sizeof out);
        assert_int_equal(qr_store_get(s, QR_TABLE_PEER, "1", &b), QR_OK);
        out[b.len] = 0;
        assert_true(strtoul((char *)out, NULL, 10) == n);
    }
    return n;
}

/* Opens what is there on a good device and says how far it is; then it must be of use again. */
static unsigned
recover(struct qr_tee *tee)
{
    struct qr_store *s = NULL;
    int fresh = -1;

    faultvfs_start(&(struct fault_plan){.what = FAULT_NONE});
    qr_err e = qr_store_open(path, tee, &s, &fresh, why, sizeof why);
    if (e != QR_OK) {
        fail_msg("after the fault: %s: %s", qr_err_name(e), why);
    }
    unsigned n = commits_in(s);
    assert_int_equal(commit(s, n + 1), QR_OK);
    qr_store_close(s);
    assert_int_equal(qr_store_open(path, tee, &s, &fresh, why, sizeof why), QR_OK);
    assert_int_equal(commits_in(s), n + 1);
    qr_store_close(s);
    return n;
}

/* How many changes a run without faults makes. */
static long
changes(struct qr_tee *tee)
{
    struct qr_store *s = NULL;
    int fresh = -1;

    wipe();
    faultvfs_start(&(struct fault_plan){.what = FAULT_NONE});
    assert_int_equal(qr_store_open(path, tee, &s, &fresh, why, sizeof why), QR_OK);
    for (unsigned i = 1; i <= COMMITS; i++) {
        assert_int_equal(commit(s, i), QR_OK);
    }
    qr_store_close(s);
    return faultvfs_count();
}

static struct qr_tee
platform(void)
{
    struct qr_tee tee;
    assert_int_equal(qr_tee_sim_open(keys.path, &tee, why, sizeof why), QR_OK);
    return tee;
}

/* The device gives an error: the call says so, nothing more is written, reading goes on. */
static void
one_failure(struct qr_tee *tee, const struct fault_plan *plan)
{
    struct qr_store *s = NULL;
    int fresh = -1;
    unsigned acknowledged = 0;

    wipe();
    faultvfs_start(plan);
    qr_err e = qr_store_open(path, tee, &s, &fresh, why, sizeof why);
    if (e != QR_OK) {
        assert_int_not_equal(why[0], 0);
        assert_true(e == QR_ERR_STORE || e == QR_ERR_STORE_FULL || e == QR_ERR_STORE_CORRUPT);
    }
    for (unsigned i = 1; e == QR_OK && i <= COMMITS; i++) {
        e = commit(s, i);
        if (e == QR_OK) {
            acknowledged = i;
            continue;
        }
        assert_true(e == QR_ERR_STORE || e == QR_ERR_STORE_FULL);
        if (plan->rc == SQLITE_FULL) {
            assert_int_equal(e, QR_ERR_STORE_FULL);
        }
        assert_int_equal(qr_store_writable(s), 0);
        assert_non_null(strstr(qr_store_error(s), path));
        /* a failed sync is never tried again: the same commit, and any other, is refused */
        assert_int_equal(commit(s, i), QR_ERR_STORE);
        assert_true(qr_store_serial(s) == acknowledged);
        if (plan->what == FAULT_ONCE) {
            assert_int_equal(commits_in(s), acknowledged);
        }
    }
    qr_store_close(s);
    unsigned n = recover(tee);
    if (n != acknowledged && n != acknowledged + 1) {
        fail_msg("change %ld: %u commits, %u acknowledged", plan->at, n, acknowledged);
    }
}

static void
test_errors(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_FULL};
    struct qr_tee tee = platform();
    long n = changes(&tee), step = getenv("QR_TEST_QUICK") ? 7 : 1;

    (void)state;
    assert_true(n > 3 * COMMITS);
    for (int what = FAULT_ONCE; what <= FAULT_FROM_NOW_ON; what++) {
        for (long at = 1; at <= n + 1; at += step) {
            one_failure(&tee, &(struct fault_plan){
                                  .what = (enum fault)what, .at = at, .rc = codes[(size_t)at % 3]});
        }
    }
    print_message("%ld changes of files, each failed in two ways\n", n);
    qr_tee_close(&tee);
}

/* The process or the machine stops. The child tells each acknowledged commit through a pipe. */
static void
child(const struct fault_plan *plan, int out)
{
    struct qr_tee tee;
    struct qr_store *s = NULL;
    int fresh = -1;

    if (qr_tee_sim_open(keys.path, &tee, why, sizeof why) != QR_OK) {
        _exit(1);
    }
    faultvfs_start(plan);
    if (qr_store_open(path, &tee, &s, &fresh, why, sizeof why) != QR_OK) {
        _exit(2);
    }
    for (unsigned i = 1; i <= COMMITS; i++) {
        uint8_t told = (uint8_t)i;
        if (commit(s, i) != QR_OK || write(out, &told, 1) != 1) {
            _exit(3);
        }
    }
    qr_store_close(s);
    _exit(0);
}

static unsigned
stopped(struct qr_tee *tee, const struct fault_plan *plan, int *ret_status)
{
    int pipes[2];
    uint8_t told[COMMITS];
    unsigned acknowledged = 0;

    wipe();
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(plan, pipes[1]);
    }
    assert_int_equal(close(pipes[1]), 0);
    for (ssize_t n = 1; n > 0;) {
        n = read(pipes[0], told, sizeof told);
        acknowledged = n > 0 ? told[n - 1] : acknowledged;
    }
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
    unsigned n = recover(tee);
    if (n != acknowledged && n != acknowledged + 1) {
        fail_msg("fault %d at change %ld: %u commits, %u acknowledged", (int)plan->what, plan->at,
                 n, acknowledged);
    }
    return acknowledged;
}

static void
test_stops(void **state)
{
    struct qr_tee tee = platform();
    long n = changes(&tee), step = getenv("QR_TEST_QUICK") ? 11 : 1;
    unsigned most = 0;
    int status = 0;

    (void)state;
    for (int what = FAULT_KILL; what <= FAULT_POWER_SOME; what++) {
        for (long at = 1 + what % step; at <= n; at += step) {
            const struct fault_plan plan = {
                .what = (enum fault)what, .at = at, .seed = (unsigned)at};
            unsigned k = stopped(&tee, &plan, &status);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT);
            most = k > most ? k : most;
        }
    }
    assert_int_equal(most, COMMITS); /* the last changes are those of closing */
    print_message("%ld changes of files, a stop at each in four ways\n", n);
    qr_tee_close(&tee);
}

/* SIGKILL from outside, on the real file system, at moments nobody chose. */
static void
test_kill(void **state)
{
    struct qr_tee tee = platform();

    (void)state;
    for (int round = 0; round < 8; round++) {
        int pipes[2], status;
        uint8_t told = 0, last = 0;

        wipe();
        faultvfs_stop();
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct qr_tee own;
            struct qr_store *s = NULL;
            int fresh = -1;
            if (qr_tee_sim_open(keys.path, &own, why, sizeof why) != QR_OK ||
                qr_store_open(path, &own, &s, &fresh, why, sizeof why) != QR_OK) {
                _exit(1);
            }
            for (unsigned i = 1; i < 250; i++) {
                told = (uint8_t)i;
                if (commit(s, i) != QR_OK || write(pipes[1], &told, 1) != 1) {
                    _exit(2);
                }
            }
            _exit(3); /* it should not come that far */
        }
        assert_int_equal(close(pipes[1]), 0);
        for (int i = 0; i <= round && read(pipes[0], &told, 1) == 1; i++) {
            last = told;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(pipes[0], &told, 1) == 1) {
            last = told;
        }
        (void)close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        unsigned n = recover(&tee);
        assert_true(n == last || n == last + 1u);
    }
    qr_tee_close(&tee);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_kill),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
