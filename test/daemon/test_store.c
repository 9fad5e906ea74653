/*
 * The sealed store in good times: what is put is there, in order and after reopening; commits of
 * several changes; limits; the chain by its formula. What its host may do to it is in
 * test_store_host.c and test_store_device.c, what a failing device does in test_store_fault.c.
 */
#include "daemon/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "test/common/storekit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
    struct qr_store *s = kit_open(1);
    uint8_t root0[32], root[32];
    char names[256] = "";
    struct stat st;

    (void)state;
    assert_int_equal(stat(kit.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(qr_store_serial(s) == 0 && qr_store_writable(s));
    memcpy(root0, qr_store_root(s), 32);
    kit_put(s, QR_TABLE_META, "identity", "secret");
    assert_true(qr_store_serial(s) == 1);
    assert_memory_not_equal(qr_store_root(s), root0, 32);
    kit_put(s, QR_TABLE_META, "identity", "secret"); /* the same again is another state */
    assert_true(qr_store_serial(s) == 2);
    kit_put(s, QR_TABLE_KEY, "b", "key b");
    kit_put(s, QR_TABLE_KEY, "a", "key a");
    kit_put(s, QR_TABLE_KEY, "stop", "");
    kit_put(s, QR_TABLE_KEY, "z", "key z");
    kit_put(s, QR_TABLE_DOC, "a", "doc a");
    memcpy(root, qr_store_root(s), 32);
    kit_put(s, QR_TABLE_PEER, "2", "peer"); /* not of the chain */
    kit_put(s, QR_TABLE_PEER, "2", "peer, newer");
    assert_true(qr_store_serial(s) == 7);
    assert_memory_equal(qr_store_root(s), root, 32);
    kit_expect(s, QR_TABLE_KEY, "a", "key a");
    kit_expect(s, QR_TABLE_DOC, "a", "doc a");
    kit_expect(s, QR_TABLE_PAIR, "a", NULL);
    kit_expect(s, QR_TABLE_KEY, "stop", "");
    kit_expect(s, QR_TABLE_PEER, "2", "peer, newer");
    assert_int_equal(qr_store_scan(s, QR_TABLE_KEY, collect, names), QR_OK);
    assert_string_equal(names, "a b stop ");
    assert_int_equal(qr_store_del(s, QR_TABLE_KEY, "stop"), QR_OK);
    assert_int_equal(qr_store_del(s, QR_TABLE_KEY, "stop"), QR_ERR_NOT_FOUND);
    assert_true(qr_store_serial(s) == 8 && qr_store_writable(s));
    memcpy(root, qr_store_root(s), 32);
    assert_null(qr_store_close(s));

    s = kit_open(0);
    assert_true(qr_store_serial(s) == 8);
    assert_memory_equal(qr_store_root(s), root, 32);
    kit_expect(s, QR_TABLE_META, "identity", "secret");
    kit_expect(s, QR_TABLE_KEY, "stop", NULL);
    kit_expect(s, QR_TABLE_KEY, "z", "key z");
    kit_expect(s, QR_TABLE_PEER, "2", "peer, newer");
    names[0] = 0;
    assert_int_equal(qr_store_scan(s, QR_TABLE_KEY, collect, names), QR_OK);
    assert_string_equal(names, "a b z ");
    kit_put(s, QR_TABLE_KEY, "a", "key a, newer");
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
    kit_wipe();
}

static void
test_usage(void **state)
{
    static uint8_t big[QR_STORE_RECORD_MAX + 1];
    struct qr_store *s = kit_open(1);
    char name[QR_STORE_NAME_MAX + 2];
    uint8_t root[32];

    (void)state;
    kit_put(s, QR_TABLE_KEY, "a", "1");
    memcpy(root, qr_store_root(s), 32);
    static const char *const bad[] = {"", "a/b", "a b", "\xc3\xa9", "a\n", "'"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_store_put(s, QR_TABLE_KEY, bad[i], qr_view_str("x")), QR_ERR_USAGE);
    }
    assert_int_equal(qr_store_put(s, (enum qr_table)6, "a", qr_view_str("x")), QR_ERR_USAGE);
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
    kit_put(s, QR_TABLE_KEY, name, "long name");
    memset(big, 7, sizeof big);
    assert_int_equal(qr_store_put(s, QR_TABLE_DOC, "big", qr_view_of(big, QR_STORE_RECORD_MAX)),
                     QR_OK);
    qr_store_close(s);
    s = kit_open(0);
    static uint8_t out[QR_STORE_RECORD_MAX];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    assert_int_equal(qr_store_get(s, QR_TABLE_DOC, "big", &b), QR_OK);
    assert_true(b.len == QR_STORE_RECORD_MAX && memcmp(out, big, b.len) == 0);
    kit_expect(s, QR_TABLE_KEY, name, "long name");
    qr_store_close(s);
    kit_wipe();
}

/* Several changes are one commit, one serial, one root. */
static void
test_commit(void **state)
{
    struct qr_store *s = kit_open(1);
    struct qr_store_change many[QR_STORE_CHANGES_MAX + 1];

    (void)state;
    kit_put(s, QR_TABLE_DOC, "old", "x");
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
    kit_expect(s, QR_TABLE_DOC, "roster", "r");
    kit_expect(s, QR_TABLE_META, "m0", NULL);
    assert_int_equal(qr_store_commit(s, many, QR_STORE_CHANGES_MAX), QR_OK);
    qr_store_close(s);
    s = kit_open(0);
    assert_true(qr_store_serial(s) == 3);
    kit_expect(s, QR_TABLE_DOC, "roster", "r");
    kit_expect(s, QR_TABLE_META, "admins", "a");
    kit_expect(s, QR_TABLE_DOC, "old", NULL);
    kit_expect(s, QR_TABLE_PEER, "3", "p");
    kit_expect(s, QR_TABLE_META, "m31", "v");
    qr_store_close(s);
    kit_wipe();
}

/* As many records as there may be. */
static void
test_rows(void **state)
{
    struct qr_store *s = kit_open(1);
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
    kit_put(s, QR_TABLE_META, "7", "newer");
    assert_int_equal(qr_store_del(s, QR_TABLE_META, "8"), QR_OK);
    kit_put(s, QR_TABLE_META, "one-more", "v");
    qr_store_close(s);
    s = kit_open(0);
    kit_expect(s, QR_TABLE_META, "7", "newer");
    kit_expect(s, QR_TABLE_META, "1023", "v");
    kit_expect(s, QR_TABLE_META, "one-more", "v");
    qr_store_close(s);
    kit_wipe();
}

/* SQL from outside. */

/* The root is what the text says, so that others can compute it. */
static void
test_root(void **state)
{
    static char hex[4096];
    struct qr_store *s = kit_open(1);
    uint8_t root0[32], root1[32], want[32], sealed[2048], h[32];
    const uint8_t serial[8] = {0, 0, 0, 0, 0, 0, 0, 1}, op = 1, tab[2] = {0, 2};
    size_t n = 0;

    (void)state;
    memcpy(root0, qr_store_root(s), 32);
    kit_put(s, QR_TABLE_KEY, "a", "value");
    memcpy(root1, qr_store_root(s), 32);
    qr_store_close(s);
    kit_literal("SELECT sealed FROM record", hex, sizeof hex);
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
    kit_wipe();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life), cmocka_unit_test(test_usage), cmocka_unit_test(test_commit),
        cmocka_unit_test(test_rows), cmocka_unit_test(test_root),
    };
    return cmocka_run_group_tests(tests, storekit_setup, storekit_teardown);
}
