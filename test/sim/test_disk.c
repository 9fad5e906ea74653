/*
 * The simulated disks under the product's own store: what a crash, a fault, a rollback and a clone
 * leave behind.
 *
 * The rule: after it the store opens and holds exactly what was acknowledged, plus at most the one
 * commit that was under way, wholly or not at all. It is the disk that is tested here as well: one
 * that loses nothing, or keeps what was not synced, would make every seed of the simulator pass.
 */
#include "test/sim/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/store.h"
#include "protocol/base/hash.h"
#include "test/common/tmpdir.h"
#include "test/sim/disk_int.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VALUE 3000
#define RUNS 1000

static struct tmpdir keys[2];
static struct qr_tee tee[2]; /* of hosts 1 and 2 */
static char why[512];

static int
setup(void **state)
{
    (void)state;
    if (qr_hash_init() != QR_OK) {
        return -1;
    }
    for (size_t i = 0; i < 2; i++) {
        tmpdir_new(&keys[i]);
        if (qr_tee_sim_open(keys[i].path, &tee[i], why, sizeof why) != QR_OK) {
            return -1;
        }
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    sim_disk_reset();
    for (size_t i = 0; i < 2; i++) {
        qr_tee_close(&tee[i]);
        tmpdir_remove(&keys[i]);
    }
    return 0;
}

static qr_err
try_open(unsigned host, struct qr_store **ret, int *ret_fresh)
{
    why[0] = 0;
    return qr_store_open(sim_disk_path(host), &tee[host - 1], ret, ret_fresh, why, sizeof why);
}

static struct qr_store *
open_on(unsigned host, int want_fresh)
{
    struct qr_store *s = NULL;
    int fresh = -1;
    qr_err e = try_open(host, &s, &fresh);
    if (e != QR_OK) {
        fail_msg("host %u: %s: %s", host, qr_err_name(e), why);
    }
    assert_int_equal(fresh, want_fresh);
    return s;
}

/* Commit i writes these; the values tell i. */
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
        {.table = QR_TABLE_PAIR, .name = "toggle", .value = qr_view_str("x"), .del = i % 2 == 0},
    };
    return qr_store_commit(s, c, 3);
}

/* How many commits the store holds, everything agreeing. */
static unsigned
commits_in(struct qr_store *s)
{
    static uint8_t out[VALUE + 1];
    struct qr_buf b = qr_buf_over(out, sizeof out - 1);
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
    return n;
}

static unsigned
reopened(unsigned host)
{
    struct qr_store *s = NULL;
    int fresh = -1;
    qr_err e = try_open(host, &s, &fresh);
    if (e != QR_OK) {
        fail_msg("host %u: %s: %s", host, qr_err_name(e), why);
    }
    unsigned n = commits_in(s);
    qr_store_close(s);
    return n;
}

static void
fill(struct qr_store *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        if (commit(s, i) != QR_OK) {
            fail_msg("commit %u: %s", i, qr_store_error(s));
        }
    }
}

/* Nothing of it is on the system's disk, and other paths are. */
static void
test_paths(void **state)
{
    struct stat st;

    (void)state;
    sim_disk_init(1);
    assert_string_equal(sim_disk_path(7), "/sim-disk/07/store.db");
    assert_int_equal(access("/sim-disk", F_OK), -1);
    assert_int_equal(stat("/", &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_true(sim_disk_bytes(1) == 0 && sim_disk_changes(1) == 0);
    qr_store_close(open_on(1, 1));
    assert_true(sim_disk_bytes(1) > 0 && sim_disk_changes(1) > 5);
    assert_true(sim_disk_bytes(2) == 0);
    /* two at once: the second is refused, on this disk as on a real one */
    struct qr_store *s = open_on(1, 0), *second = NULL;
    int fresh = -1;
    assert_int_equal(try_open(1, &second, &fresh), QR_ERR_STORE);
    assert_non_null(strstr(why, "another quorated"));
    fill(s, 1, 3);
    qr_store_close(s);
    assert_int_equal(reopened(1), 3);
}

/* What was acknowledged is there in every mode; what was not synced goes in one and stays in another. */
static void
test_crash_modes(void **state)
{
    (void)state;
    for (int mode = SIM_DISK_LOSE; mode <= SIM_DISK_SOME; mode++) {
        sim_disk_init(1);
        struct qr_store *s = open_on(1, 1);
        fill(s, 1, 5);
        sim_disk_crash(1, 9, (enum sim_disk_crash)mode);
        /* the process that is no more can neither read nor write nor, on closing, tidy up */
        uint64_t before = sim_disk_changes(1);
        assert_int_not_equal(commit(s, 6), QR_OK);
        qr_store_close(s);
        assert_true(sim_disk_changes(1) == before);
        assert_int_equal(reopened(1), 5);
    }
    /* below SQLite: the same three on a file that was written and not synced */
    for (int mode = SIM_DISK_LOSE; mode <= SIM_DISK_KEEP; mode++) {
        sim_disk_init(1);
        struct disk_host *h = disk_host(1);
        struct disk_file *f = disk_file(h, "x", 1);
        disk_create(f);
        disk_write(f, "old", 3, 0);
        disk_sync(f, 0);
        assert_int_equal(f->durable, 0); /* the name waits for the directory */
        disk_sync_names(h);
        assert_int_equal(f->durable, 1);
        disk_write(f, "new", 3, 0);
        disk_write(f, "er", 2, 3);
        sim_disk_crash(1, 0, (enum sim_disk_crash)mode);
        assert_int_equal(f->now.len, mode == SIM_DISK_LOSE ? 3 : 5);
        assert_memory_equal(f->now.p, mode == SIM_DISK_LOSE ? "old" : "newer", f->now.len);
    }
    /* a name that was not synced goes with all it named */
    sim_disk_init(1);
    struct disk_file *f = disk_file(disk_host(1), "x", 1);
    disk_create(f);
    disk_write(f, "abc", 3, 0);
    disk_sync(f, 0);
    sim_disk_crash(1, 0, SIM_DISK_LOSE);
    assert_true(!f->there && f->now.len == 0);
}

/* Over many seeds a kept part is sometimes nothing, sometimes all but the torn one, sometimes torn. */
static void
test_some(void **state)
{
    unsigned kept[4] = {0}, torn = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim_disk_init(1);
        struct disk_host *h = disk_host(1);
        struct disk_file *f = disk_file(h, "x", 1);
        disk_create(f);
        disk_write(f, "........................", 24, 0);
        disk_sync(f, 0);
        disk_sync_names(h);
        for (size_t i = 0; i < 3; i++) {
            disk_write(f, "abcdefgh", 8, 8 * i);
        }
        sim_disk_crash(1, seed, SIM_DISK_SOME);
        unsigned whole = 0;
        assert_int_equal(f->now.len, 24);
        for (size_t i = 0; i < 3; i++) {
            const uint8_t *p = f->now.p + 8 * i;
            whole += memcmp(p, "abcdefgh", 8) == 0;
            torn += p[0] == 'a' && p[7] == '.';
        }
        kept[whole]++;
    }
    assert_true(kept[0] > 0 && kept[1] > 0 && kept[2] > 0);
    assert_int_equal(kept[3], 0);
    assert_int_equal(torn, 200);
}

static void
test_refused(void **state)
{
    (void)state;
    sim_disk_init(1);
    struct qr_store *s = open_on(1, 1);
    fill(s, 1, 2);
    sim_disk_fault(1, SIM_DISK_REFUSE, 2);
    assert_int_equal(commit(s, 3), QR_ERR_STORE);
    assert_non_null(strstr(qr_store_error(s), "Input/output error"));
    assert_int_equal(qr_store_writable(s), 0);
    assert_true(sim_disk_struck(1) == 1);
    assert_int_equal(commits_in(s), 2);
    qr_store_close(s);
    assert_int_equal(reopened(1), 2);
}

static void
test_full(void **state)
{
    struct qr_store *s = NULL;
    int fresh = -1;

    (void)state;
    sim_disk_init(1);
    sim_disk_fault(1, SIM_DISK_FULL, 0);
    assert_int_equal(try_open(1, &s, &fresh), QR_ERR_STORE_FULL);
    assert_non_null(strstr(why, "No space left"));
    sim_disk_fault(1, SIM_DISK_NONE, 0);
    s = open_on(1, 1);
    fill(s, 1, 2);
    sim_disk_fault(1, SIM_DISK_FULL, 0);
    assert_int_equal(commit(s, 3), QR_ERR_STORE_FULL);
    qr_store_close(s);
    /* still full: it opens or says why, and loses nothing */
    qr_err e = try_open(1, &s, &fresh);
    assert_true(e == QR_OK || e == QR_ERR_STORE_FULL);
    if (e == QR_OK) {
        assert_int_equal(commit(s, 3), QR_ERR_STORE_FULL);
        qr_store_close(s);
    }
    sim_disk_fault(1, SIM_DISK_NONE, 0);
    assert_int_equal(reopened(1), 2);
}

static void
test_readonly(void **state)
{
    struct qr_store *s = NULL;
    int fresh = -1;

    (void)state;
    sim_disk_init(1);
    sim_disk_fault(1, SIM_DISK_READONLY, 0);
    assert_int_equal(try_open(1, &s, &fresh), QR_ERR_STORE_READONLY);
    sim_disk_fault(1, SIM_DISK_NONE, 0);
    s = open_on(1, 1);
    fill(s, 1, 2);
    sim_disk_fault(1, SIM_DISK_READONLY, 0);
    assert_int_equal(commit(s, 3), QR_ERR_STORE);
    assert_non_null(strstr(qr_store_error(s), "Read-only file system"));
    qr_store_close(s);
    assert_int_equal(try_open(1, &s, &fresh), QR_ERR_STORE_READONLY);
    sim_disk_fault(1, SIM_DISK_NONE, 0);
    assert_int_equal(reopened(1), 2);
}

/* Half a change, then nothing works; after the crash the store is what it was before or after. */
static void
test_torn(void **state)
{
    unsigned with = 0, without = 0;

    (void)state;
    for (unsigned k = 0; k < 24; k++) {
        const unsigned at = k / 2;
        sim_disk_init(1);
        struct qr_store *s = open_on(1, 1);
        fill(s, 1, 2);
        sim_disk_fault(1, SIM_DISK_TORN, at);
        unsigned acknowledged = 2;
        while (commit(s, acknowledged + 1) == QR_OK) {
            acknowledged++;
        }
        assert_true(sim_disk_is_cut(1) && sim_disk_struck(1) == 1);
        sim_disk_crash(1, at, k % 2 ? SIM_DISK_KEEP : SIM_DISK_SOME);
        qr_store_close(s);
        unsigned n = reopened(1);
        assert_true(n == acknowledged || n == acknowledged + 1);
        *(n > acknowledged ? &with : &without) += 1;
    }
    assert_true(with > 0 && without > 0);
}

static void
test_rollback_and_clone(void **state)
{
    struct qr_store *s = NULL;
    int fresh = -1;

    (void)state;
    sim_disk_init(1);
    s = open_on(1, 1);
    fill(s, 1, 2);
    struct sim_disk_image *old = sim_disk_snapshot(1); /* of an open store, as hosts make them */
    fill(s, 3, 40);
    sim_disk_restore(1, old);
    assert_int_not_equal(commit(s, 41), QR_OK); /* its disk was exchanged under it */
    qr_store_close(s);
    assert_int_equal(reopened(1), 2); /* consistent, older: the peers' business */
    s = open_on(1, 0);
    fill(s, 3, 4);
    qr_store_close(s);

    sim_disk_restore(2, old); /* a clone: another machine's seal */
    assert_int_equal(try_open(2, &s, &fresh), QR_ERR_SEAL);
    assert_non_null(strstr(why, "sealed on another machine"));
    assert_int_equal(reopened(1), 4);
    sim_disk_image_free(old);

    struct sim_disk_image *none = sim_disk_snapshot(3);
    sim_disk_restore(1, none);
    qr_store_close(open_on(1, 1)); /* a disk that was wiped */
    sim_disk_image_free(none);
    sim_disk_image_free(NULL);
}

/* Crashes at seeded changes. */

struct cutter {
    uint64_t at;
    int done;
};

static void
cut_at(void *ctx, unsigned host, uint64_t change_no)
{
    struct cutter *c = ctx;
    if (host == 1 && change_no == c->at) {
        c->done = 1;
        sim_disk_cut(host);
    }
}

static void
test_crash_points(void **state)
{
    const unsigned commits = 24;
    unsigned modes[3] = {0}, under_way = 0, fresh_again = 0;

    (void)state;
    sim_disk_init(1);
    struct qr_store *s = open_on(1, 1);
    fill(s, 1, commits);
    qr_store_close(s);
    uint64_t all = sim_disk_changes(1);
    assert_true(all > 3 * commits);
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct cutter c = {.at = 1 + seed * 7919 % all};
        enum sim_disk_crash mode = (enum sim_disk_crash)(seed % 3);
        unsigned acknowledged = 0;
        int fresh = -1;

        sim_disk_init(seed);
        sim_disk_on_change(cut_at, &c);
        s = NULL;
        if (try_open(1, &s, &fresh) == QR_OK) {
            while (acknowledged < commits && commit(s, acknowledged + 1) == QR_OK) {
                acknowledged++;
            }
        }
        if (!c.done) { /* the changes of closing */
            s = qr_store_close(s);
            assert_int_equal(c.done, 1);
        }
        sim_disk_crash(1, seed, mode);
        qr_store_close(s);
        qr_err e = try_open(1, &s, &fresh);
        if (e != QR_OK) {
            fail_msg("seed %llu, mode %d, change %llu: %s: %s", (unsigned long long)seed, (int)mode,
                     (unsigned long long)c.at, qr_err_name(e), why);
        }
        unsigned n = commits_in(s);
        if (n != acknowledged && n != acknowledged + 1) {
            fail_msg("seed %llu, mode %d, change %llu: %u commits, %u acknowledged",
                     (unsigned long long)seed, (int)mode, (unsigned long long)c.at, n,
                     acknowledged);
        }
        under_way += n > acknowledged;
        fresh_again += fresh == 1;
        modes[mode]++;
        fill(s, n + 1, n + 2); /* of use again */
        qr_store_close(s);
        assert_int_equal(reopened(1), n + 2);
    }
    assert_true(modes[0] > 300 && modes[1] > 300 && modes[2] > 300);
    assert_true(under_way > 0 && fresh_again > 0);
    print_message("%d crashes at %llu changes: %u found the commit that was under way, %u an empty "
                  "disk\n",
                  RUNS, (unsigned long long)all, under_way, fresh_again);
}

/* The same calls make the same bytes below the sealing. */
static void
test_same_again(void **state)
{
    uint8_t random[2][32];
    uint64_t changes[2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        sim_disk_init(77);
        sqlite3_randomness(sizeof random[i], random[i]);
        struct qr_store *s = open_on(1, 1);
        fill(s, 1, 50);
        qr_store_close(s);
        changes[i] = sim_disk_changes(1);
    }
    assert_memory_equal(random[0], random[1], 32);
    assert_true(changes[0] == changes[1]);
    /* memory is bounded by the files, not by how much was ever written */
    assert_true(sim_disk_bytes(1) < 4u * 1024 * 1024);
}

/* A start must cost next to nothing: a world makes thousands. Printed, not judged: others run too. */
static void
test_cost(void **state)
{
    struct timespec a, b;

    (void)state;
    sim_disk_init(1);
    struct qr_store *s = open_on(1, 1);
    fill(s, 1, 30);
    qr_store_close(s);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (unsigned i = 0; i < 100; i++) {
        qr_store_close(open_on(1, 0));
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    print_message("open and close of a store with 4 records: %.0f us of CPU\n",
                  ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),        cmocka_unit_test(test_crash_modes),
        cmocka_unit_test(test_some),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full),         cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_torn),         cmocka_unit_test(test_rollback_and_clone),
        cmocka_unit_test(test_crash_points), cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
