/*
 * What a platform keeps in files: loads what was saved, replaces it whole, refuses names, sizes,
 * permissions and what somebody else put there, and writes nothing once it was told to stop.
 */
#include "enclave-shim/tee_keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/tmpdir.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tmpdir dir;
static struct qr_tee_keep keep;
static struct qr_dbuf out;
static char why[256];

static int
setup(void **state)
{
    (void)state;
    tmpdir_new(&dir);
    qr_dbuf_init(&out, QR_TEE_KEEP_MAX);
    return qr_tee_keep_files(dir.path, &keep, why, sizeof why) == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    qr_tee_keep_close(&keep);
    qr_tee_keep_close(&keep); /* a zeroed one */
    qr_dbuf_free(&out);
    tmpdir_remove(&dir);
    return 0;
}

static void
test_round_trip(void **state)
{
    char path[512];
    struct stat st;

    (void)state;
    assert_int_equal(keep.load(keep.ctx, "wrapped-key", &out), QR_ERR_NOT_FOUND);
    assert_int_equal(keep.save(keep.ctx, "wrapped-key", qr_view_str("one")), QR_OK);
    assert_int_equal(keep.save(keep.ctx, "wrapped-key", qr_view_str("the second")), QR_OK);
    assert_int_equal(keep.save(keep.ctx, "other", qr_view_of(NULL, 0)), QR_OK);
    assert_int_equal(keep.load(keep.ctx, "wrapped-key", &out), QR_OK);
    assert_true(qr_view_eq(qr_view_of(out.p, out.len), qr_view_str("the second")));
    assert_int_equal(keep.load(keep.ctx, "other", &out), QR_OK);
    assert_int_equal(out.len, 0);
    (void)snprintf(path, sizeof path, "%s/keep-wrapped-key", dir.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    qr_tee_keep_seal(&keep);
    assert_int_equal(keep.save(keep.ctx, "other", qr_view_str("late")), QR_ERR_USAGE);
    assert_non_null(strstr(keep.why(keep.ctx), "after start-up"));
    assert_int_equal(keep.load(keep.ctx, "wrapped-key", &out), QR_OK);
}

static void
test_refused(void **state)
{
    static const char *const names[] = {
        "", "UPPER", "a/b", "..", "a.b", "a b", "123456789012345678901234567890123",
    };
    static uint8_t big[QR_TEE_KEEP_MAX + 1];
    char path[512];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(keep.save(keep.ctx, names[i], qr_view_str("x")), QR_ERR_USAGE);
        assert_int_equal(keep.load(keep.ctx, names[i], &out), QR_ERR_USAGE);
    }
    assert_int_equal(keep.save(keep.ctx, "k", qr_view_of(big, sizeof big)), QR_ERR_TOO_LARGE);
    assert_int_equal(keep.load(keep.ctx, "k", &out), QR_ERR_NOT_FOUND);
    assert_int_equal(keep.save(keep.ctx, "k", qr_view_of(big, sizeof big - 1)), QR_OK);
    assert_int_equal(keep.load(keep.ctx, "k", &out), QR_OK);
    assert_int_equal(out.len, sizeof big - 1);

    (void)snprintf(path, sizeof path, "%s/keep-k", dir.path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keep.load(keep.ctx, "k", &out), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(keep.why(keep.ctx), "0600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, sizeof big), 0);
    assert_int_equal(keep.load(keep.ctx, "k", &out), QR_ERR_TOO_LARGE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_not_equal(keep.load(keep.ctx, "k", &out), QR_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(keep.load(keep.ctx, "k", &out), QR_ERR_STORE);
    assert_int_not_equal(keep.save(keep.ctx, "k", qr_view_str("x")), QR_OK);
    assert_non_null(strstr(keep.why(keep.ctx), "cannot be written"));
    assert_int_equal(rmdir(path), 0);
}

static void
test_folder(void **state)
{
    struct qr_tee_keep k = {0};

    (void)state;
    assert_int_equal(qr_tee_keep_files("", &k, why, sizeof why), QR_ERR_STORE);
    assert_int_equal(qr_tee_keep_files("/nowhere/at/all", &k, why, sizeof why), QR_ERR_STORE);
    assert_int_equal(chmod(dir.path, 0777), 0);
    assert_int_equal(qr_tee_keep_files(dir.path, &k, why, sizeof why), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(why, "chmod 0700"));
    assert_int_equal(chmod(dir.path, 0700), 0);
    assert_null(k.ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
