/*
 * The sealed store at the hands of its host: every change that SQL can make from outside, old copies
 * of parts and of the whole, another platform, bytes flipped and cut off.
 */
#include "daemon/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/storekit.h"
#include "test/common/testrng.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
refused(const char *statement, qr_err want, const char *text)
{
    struct qr_store *s = NULL;
    kit_sql(statement);
    qr_err e = kit_try_open(&s);
    if (e != want || !strstr(kit.why, text) || !strstr(kit.why, kit.path)) {
        fail_msg("%s\n%s: \"%s\", not \"%s\"", statement, qr_err_name(e), kit.why, text);
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
        {"UPDATE record SET sealed=CAST(sealed||x'00' AS BLOB) WHERE tab=2 AND name='b'",
         QR_ERR_STORE_CORRUPT, "record key/b was changed from outside"},
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
        kit_victim();
        kit_victim_grows();
        refused(attacks[i].sql, attacks[i].e, attacks[i].why);
    }
    kit_wipe();
}

/* Old copies: of one record, of the head, of both, and of the whole file. */
static void
test_rollback(void **state)
{
    static char row[4096], head[8192], peer[4096], statement[16384];
    struct qr_store *s = NULL;
    uint8_t old_root[32];

    (void)state;
    kit_victim();
    s = kit_open(0);
    memcpy(old_root, qr_store_root(s), 32);
    assert_true(qr_store_serial(s) == 3);
    qr_store_close(s);
    kit_literal("SELECT sealed FROM record WHERE tab=2 AND name='a'", row, sizeof row);
    kit_literal("SELECT sealed FROM head", head, sizeof head);
    kit_literal("SELECT sealed FROM record WHERE tab=16 AND name='2'", peer, sizeof peer);

    kit_victim_grows();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET serial=1,sealed=%s WHERE tab=2 AND name='a'", row);
    refused(statement, QR_ERR_STORE_CORRUPT,
            "record key/a is of serial 1, the newest is 4: it was put back from an old copy");

    /* now the old head, too: that is the store as it was; the peers remember better */
    (void)snprintf(statement, sizeof statement, "UPDATE head SET sealed=%s", head);
    kit_sql(statement);
    s = kit_open(0);
    assert_true(qr_store_serial(s) == 3);
    assert_memory_equal(qr_store_root(s), old_root, 32);
    kit_expect(s, QR_TABLE_KEY, "a", "old a");
    /* and it cannot become the state that was: the next root is another one */
    qr_store_close(s);

    /* the old head alone */
    kit_victim();
    kit_literal("SELECT sealed FROM head", head, sizeof head);
    kit_victim_grows();
    (void)snprintf(statement, sizeof statement, "UPDATE head SET sealed=%s", head);
    refused(statement, QR_ERR_STORE_CORRUPT, "record key/a is of serial 4, the newest is 1");

    /* what we remember of a peer may be put back one by one: versions are not counted elsewhere */
    kit_victim();
    kit_literal("SELECT sealed FROM record WHERE tab=16 AND name='2'", peer, sizeof peer);
    kit_victim_grows();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET serial=1,sealed=%s WHERE tab=16 AND name='2'", peer);
    kit_sql(statement);
    s = kit_open(0);
    kit_expect(s, QR_TABLE_PEER, "2", "old peer");
    qr_store_close(s);

    /* a record of another store of the same platform */
    kit_victim();
    kit_literal("SELECT sealed FROM record WHERE tab=16 AND name='3'", peer, sizeof peer);
    kit_victim();
    (void)snprintf(statement, sizeof statement,
                   "UPDATE record SET sealed=%s WHERE tab=16 AND name='3'", peer);
    refused(statement, QR_ERR_STORE_CORRUPT, "record peer/3 does not open");
    kit_wipe();
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
    kit_victim();
    tmpdir_new(&d2);
    assert_int_equal(qr_tee_sim_open(d2.path, &other, kit.why, sizeof kit.why), QR_OK);
    assert_int_equal(qr_store_open(kit.path, &other, &s, &fresh, kit.why, sizeof kit.why),
                     QR_ERR_SEAL);
    assert_non_null(strstr(kit.why, "another machine or platform, by another build"));
    qr_tee_close(&other);
    tmpdir_remove(&d2);
    kit_wipe();
}

/* Changed under our feet. SQLite's page cache hides it for a while; a record is never wrong. */
static void
test_while_open(void **state)
{
    static uint8_t image[1 << 20];
    struct qr_store *s = NULL;
    uint8_t out[64];

    (void)state;
    kit_victim();
    s = kit_open(0);
    size_t n = tmpdir_read(kit.path, image, sizeof image);
    for (size_t i = 4096; i < n; i++) {
        image[i] ^= 0x55;
    }
    tmpdir_write(kit.path, image, n);
    struct qr_buf b = qr_buf_over(out, sizeof out);
    qr_err e = qr_store_get(s, QR_TABLE_KEY, "a", &b);
    assert_true(e == QR_OK || e == QR_ERR_STORE_CORRUPT || e == QR_ERR_STORE);
    if (e == QR_OK) {
        assert_true(qr_view_eq(qr_buf_view(&b), qr_view_str("old a")));
    }
    qr_store_close(s);
    kit_wipe();
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
    kit_victim();
    size_t n = tmpdir_read(kit.path, image, sizeof image);
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
        kit_wipe();
        tmpdir_write(kit.path, image, cut);
        qr_err e = kit_try_open(&s);
        if (e == QR_OK && qr_store_serial(s) == 3) {
            kit_expect(s, QR_TABLE_KEY, "a", "old a");
            kit_expect(s, QR_TABLE_KEY, "b", "b");
            kit_expect(s, QR_TABLE_META, "m", "m");
            kit_expect(s, QR_TABLE_PEER, "3", "third");
            /* a version byte may forbid writing: then it must say so */
            qr_err w = qr_store_put(s, QR_TABLE_META, "m", qr_view_str("m2"));
            assert_true(w == QR_OK || (qr_store_error(s)[0] && !qr_store_writable(s)));
            harmless++;
        } else if (e == QR_OK) {
            /* cut to nothing: a new store, as if the host had removed it */
            assert_true(cut == 0 && qr_store_serial(s) == 0);
        } else {
            assert_true(e == QR_ERR_STORE_CORRUPT || e == QR_ERR_SEAL || e == QR_ERR_STORE);
            assert_non_null(strstr(kit.why, kit.path));
            refusals++;
        }
        qr_store_close(s);
        image[at] ^= bit;
    }
    print_message("%u changed files refused, %u without effect\n", refusals, harmless);
    assert_true(refusals > rounds / 10 && harmless > 0);
    kit_wipe();
    /* not a store at all */
    tmpdir_write(kit.path,
                 (const uint8_t *)"hello, this is no database at all, not even a short one", 54);
    struct qr_store *s = NULL;
    assert_int_equal(kit_try_open(&s), QR_ERR_STORE_CORRUPT);
    assert_non_null(strstr(kit.why, "this is no store; check the path"));
    kit_wipe();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),           cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_other_platform), cmocka_unit_test(test_while_open),
        cmocka_unit_test(test_flips),
    };
    return cmocka_run_group_tests(tests, storekit_setup, storekit_teardown);
}
