/*
 * The audit log: the ring and who has fetched what, the form of records, and logs that are not whole.
 */
#include "daemon/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/audit_check.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static struct qr_audit *a;

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static uint64_t
add(const char *event, const char *members)
{
    uint64_t serial = 0;
    assert_int_equal(qr_audit_add(a, 1000, event, qr_view_str(members), &serial), QR_OK);
    return serial;
}

/* Lines after the place, as a string. */
static const char *
fetch(uint64_t boot, uint64_t serial)
{
    static struct qr_dbuf d;
    qr_dbuf_free(&d);
    qr_dbuf_init(&d, QR_AUDIT_FETCH_MAX + 1);
    assert_int_equal(qr_audit_fetch(a, boot, serial, &d), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, "", 1), QR_OK);
    return (const char *)d.p;
}

static size_t
count(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

/* ---- the ring ---------------------------------------------------------------------------- */

static void
test_chain(void **state)
{
    struct qr_audit_head last = {.boot = 3, .serial = 9}, h;
    struct qr_audit_record r, before;
    char why[128];
    (void)state;
    memset(last.hash, 0xab, 32);
    assert_int_equal(qr_audit_new(2, 4, &last, &a), QR_OK);
    qr_audit_head(a, &h);
    assert_int_equal(h.serial, 0);
    assert_memory_equal(h.hash, last.hash, 32);
    assert_int_equal(add("boot", ""), 1);
    assert_int_equal(add("peer", ",\"what\":\"up\""), 2);
    assert_int_equal(qr_audit_parse(qr_audit_line(a, 4, 1), &before, why, sizeof why), QR_OK);
    assert_memory_equal(before.prev, last.hash, 32);
    assert_int_equal(before.members.len, 0);
    assert_int_equal(qr_audit_parse(qr_audit_line(a, 4, 2), &r, why, sizeof why), QR_OK);
    assert_memory_equal(r.prev, before.hash, 32);
    assert_int_equal(r.party, 2);
    assert_int_equal(r.boot, 4);
    assert_int_equal(r.time_ms, 1000);
    assert_string_equal(r.event, "peer");
    qr_audit_head(a, &h);
    assert_memory_equal(h.hash, r.hash, 32);
    /* Another boot of the process: the chain goes on. */
    assert_int_equal(qr_audit_boot(a, 3, 4), QR_ERR_USAGE);
    assert_int_equal(qr_audit_boot(a, 3, 5), QR_OK);
    assert_int_equal(add("boot", ""), 1);
    assert_int_equal(qr_audit_parse(qr_audit_line(a, 5, 1), &before, why, sizeof why), QR_OK);
    assert_memory_equal(before.prev, r.hash, 32);
    assert_int_equal(before.party, 3);
    a = qr_audit_free(a);
}

static void
test_what_is_refused(void **state)
{
    static char big[QR_AUDIT_RECORD_MAX];
    uint64_t serial;
    (void)state;
    assert_int_equal(qr_audit_new(1, 1, NULL, &a), QR_OK);
    const char *events[] = {"", "Boot", "a-b", "a1", "abcdefghijklmnopqrstuvwxyzabcdefg"};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        assert_int_equal(qr_audit_add(a, 1, events[i], qr_view_str(""), &serial), QR_ERR_MALFORMED);
    }
    assert_int_equal(qr_audit_add(a, 1, "x", qr_view_str(",\"a\":\n1"), &serial), QR_ERR_MALFORMED);
    memset(big, 'x', sizeof big);
    assert_int_equal(qr_audit_add(a, 1, "x", qr_view_of(big, sizeof big), &serial),
                     QR_ERR_TOO_LARGE);
    struct qr_audit_head h;
    qr_audit_head(a, &h);
    assert_int_equal(h.serial, 0);
    a = qr_audit_free(a);
}

static void
test_fetch(void **state)
{
    struct qr_dbuf d;
    (void)state;
    assert_int_equal(qr_audit_new(1, 7, NULL, &a), QR_OK);
    for (int i = 0; i < 10; i++) {
        add("peer", ",\"what\":\"up\"");
    }
    assert_int_equal(qr_audit_waiting(a), 10);
    assert_int_equal(count(fetch(0, 0)), 10); /* nobody has any */
    assert_int_equal(qr_audit_waiting(a), 10);
    assert_int_equal(count(fetch(7, 4)), 6);
    assert_int_equal(qr_audit_waiting(a), 6);
    assert_int_equal(count(fetch(7, 2)), 8); /* asked again: what is there; nothing is unfetched */
    assert_int_equal(qr_audit_waiting(a), 6);
    assert_int_equal(count(fetch(6, 400)), 10); /* of a process that was before us: marks nothing */
    assert_int_equal(qr_audit_waiting(a), 6);
    qr_dbuf_init(&d, 4096);
    assert_int_equal(qr_audit_fetch(a, 7, 11, &d), QR_ERR_MALFORMED);
    assert_int_equal(qr_audit_fetch(a, 8, 1, &d), QR_ERR_MALFORMED);
    assert_int_equal(d.len, 0);
    assert_int_equal(qr_audit_boot(a, 1, 9), QR_OK);
    add("boot", "");
    assert_int_equal(count(fetch(7, 10)), 1);
    assert_int_equal(qr_audit_waiting(a), 1);
    assert_int_equal(count(fetch(9, 1)), 0);
    assert_int_equal(qr_audit_waiting(a), 0);
    qr_dbuf_free(&d);
    a = qr_audit_free(a);
}

/* Full of what nobody fetched: refused, nothing dropped; fetched: the oldest make room. */
static void
test_full(void **state)
{
    static char big[12000];
    uint64_t serial, n = 0, at = 0;
    (void)state;
    memset(big, 'x', sizeof big);
    memcpy(big, ",\"x\":\"", 6);
    big[sizeof big - 1] = '"';
    assert_int_equal(qr_audit_new(1, 1, NULL, &a), QR_OK);
    assert_true(qr_audit_room(a, QR_AUDIT_RECORD_MAX));
    while (qr_audit_room(a, 0)) {
        assert_int_equal(qr_audit_add(a, 1, "x", qr_view_of(big, sizeof big), &n), QR_OK);
    }
    assert_true(n * sizeof big > QR_AUDIT_BYTES - QR_AUDIT_SPARE - QR_AUDIT_BYTES / 8);
    while (qr_audit_add(a, 1, "x", qr_view_of(big, sizeof big), &serial) == QR_OK) {
        n = serial; /* the spare part is for what is no request */
    }
    assert_int_equal(qr_audit_add(a, 1, "x", qr_view_of(big, sizeof big), &serial), QR_ERR_BUSY);
    assert_int_equal(qr_audit_waiting(a), n);
    /* All of it comes out, piece by piece, and what was confirmed can be overwritten. */
    size_t total = 0;
    for (;;) {
        const char *text = fetch(at ? 1 : 0, at);
        size_t k = count(text);
        assert_true(strlen(text) <= QR_AUDIT_FETCH_MAX);
        if (k == 0) {
            break;
        }
        total += k;
        at += k;
    }
    assert_int_equal(total, n);
    assert_int_equal(qr_audit_waiting(a), 0);
    assert_true(qr_audit_room(a, 0));
    assert_true(qr_audit_line(a, 1, 1).len > 0);
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(qr_audit_add(a, 1, "x", qr_view_of(big, sizeof big), &serial), QR_OK);
        if (i % 64 == 0) {
            (void)fetch(1, serial);
        }
    }
    assert_int_equal(qr_audit_line(a, 1, 1).len, 0);
    assert_true(qr_audit_line(a, 1, serial).len > sizeof big);
    a = qr_audit_free(a);
}

/* ---- records ----------------------------------------------------------------------------- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define LINE                                                                                       \
    "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":12,\"prev\":\"" ZEROS                              \
    "\",\"time_ms\":5,\"event\":\"peer\",\"what\":\"up\"}"

static void
test_parse(void **state)
{
    struct qr_audit_record r;
    char why[128];
    (void)state;
    assert_int_equal(qr_audit_parse(qr_view_str(LINE), &r, why, sizeof why), QR_OK);
    const char *bad[] = {
        "",
        "{}",
        "{\"v\":2,\"party\":1}",
        "{\"v\":1,\"party\":01,\"boot\":7,\"serial\":12,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":17,\"boot\":7,\"serial\":12,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":0,\"serial\":12,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":0,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":9223372036854775808,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":-1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"A" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1, \"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"Peer\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"x}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\",\"a\":\"\t\"}",
        "{\"v\":1,\"party\":1,\"boot\":7,\"serial\":1,\"prev\":\"" ZEROS
        "\",\"time_ms\":5,\"event\":\"peer\"} ",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        if (qr_audit_parse(qr_view_str(bad[i]), &r, why, sizeof why) != QR_ERR_MALFORMED || !*why) {
            fail_msg("accepted, or without a reason: %s", bad[i]);
        }
    }
    static char big[QR_AUDIT_RECORD_MAX + 1];
    memset(big, ' ', sizeof big);
    assert_int_equal(qr_audit_parse(qr_view_of(big, sizeof big), &r, why, sizeof why),
                     QR_ERR_TOO_LARGE);
}

/* ---- whole logs -------------------------------------------------------------------------- */

#define LOG_LINES 40u
static struct qr_roster roster;
static uint8_t secret[3][64], nonce[32] = {5};
static struct {
    size_t n;
    char line[LOG_LINES][1024];
} logs[3]; /* of parties 1 and 2, by index */
static size_t n_found;
static char said[QR_AUDIT_FINDING_MAX];

static void
found(void *ctx, const char *where, const char *text)
{
    (void)ctx;
    (void)where;
    if (n_found++ == 0) {
        (void)snprintf(said, sizeof said, "%s", text);
    }
}

static void
put_line(uint16_t party, struct qr_audit *log, const char *event, const char *members)
{
    uint64_t serial;
    struct qr_audit_head h;
    assert_int_equal(qr_audit_add(log, 1000, event, qr_view_str(members), &serial), QR_OK);
    qr_audit_head(log, &h);
    qr_view v = qr_audit_line(log, h.boot, serial);
    assert_true(v.len < sizeof logs[0].line[0] && logs[party].n < LOG_LINES);
    memcpy(logs[party].line[logs[party].n], v.p, v.len);
    logs[party].line[logs[party].n++][v.len] = '\0';
}

static void
signed_head(uint16_t party, const struct qr_audit_head *h, char sig[129])
{
    uint8_t hash[32], raw[64];
    qr_audit_head_hash(roster.cluster, party, nonce, h, hash);
    crypto_sign_detached(raw, NULL, hash, 32, secret[party]);
    qr_hex_encode(qr_view_of(raw, 64), sig);
}

static void
put_head(uint16_t party, struct qr_audit *log)
{
    char sig[129], hex[65], members[400];
    struct qr_audit_head h;
    qr_audit_head(log, &h);
    signed_head(party, &h, sig);
    qr_hex_encode(qr_view_of(nonce, 32), hex);
    (void)snprintf(members, sizeof members, ",\"boot_nonce\":\"%s\",\"signature\":\"%s\"", hex,
                   sig);
    put_line(party, log, "head", members);
}

static void
put_anchor(uint16_t party, struct qr_audit *log, uint16_t of, struct qr_audit *from)
{
    char sig[129], hash[65], hex[65], members[600];
    struct qr_audit_head h;
    qr_audit_head(from, &h);
    signed_head(of, &h, sig);
    qr_hex_encode(qr_view_of(nonce, 32), hex);
    qr_hex_encode(qr_view_of(h.hash, 32), hash);
    (void)snprintf(members, sizeof members,
                   ",\"of\":%u,\"of_boot\":%llu,\"of_serial\":%llu,\"of_hash\":\"%s\",\"of_boot_"
                   "nonce\":\"%s\",\"signature\":\"%s\"",
                   of, (unsigned long long)h.boot, (unsigned long long)h.serial, hash, hex, sig);
    put_line(party, log, "anchor", members);
}

static void
put_boot(uint16_t party, struct qr_audit *log)
{
    char id[65], hex[65], members[700];
    qr_hex_encode(qr_view_of(roster.party[party - 1].identity, 32), id);
    qr_hex_encode(qr_view_of(nonce, 32), hex);
    (void)snprintf(members, sizeof members,
                   ",\"boot_nonce\":\"%s\",\"cluster\":\"" ZEROS "\",\"identity\":\"%s\","
                   "\"roster\":\"" ZEROS "\",\"policy\":\"" ZEROS
                   "\",\"platform\":\"sim\",\"last_boot\":0,\"last_serial\":0",
                   hex, id);
    put_line(party, log, "boot", members);
}

/* Two parties: records 3, 4, 6, 7, 9, 10 of each are plain, 2, 5, 8 and 11 heads; 2's log anchors 1's at 7 and 11. */
static void
make_logs(void)
{
    struct qr_audit *log[3] = {0};
    memset(logs, 0, sizeof logs);
    roster = (struct qr_roster){.n = 2};
    for (uint16_t i = 1; i <= 2; i++) {
        assert_int_equal(crypto_sign_keypair(roster.party[i - 1].identity, secret[i]), 0);
        roster.party[i - 1].index = i;
        assert_int_equal(qr_audit_new(i, 1, NULL, &log[i]), QR_OK);
        put_boot(i, log[i]);
    }
    for (int k = 0; k < 3; k++) {
        for (uint16_t i = 1; i <= 2; i++) {
            put_head(i, log[i]);
            put_line(i, log[i], "peer", ",\"what\":\"up\"");
            put_line(i, log[i], "peer", ",\"what\":\"down\"");
        }
        if (k == 1) {
            put_anchor(2, log[2], 1, log[1]); /* at 7 */
        }
    }
    put_head(1, log[1]);
    put_anchor(2, log[2], 1, log[1]); /* at 11 */
    put_head(2, log[2]);
    qr_audit_free(log[1]);
    qr_audit_free(log[2]);
}

static void
check_from(int partial)
{
    struct qr_audit_check *k;
    struct qr_audit_totals t;
    n_found = 0;
    said[0] = '\0';
    assert_int_equal(qr_audit_check_new(&roster, 0, partial, found, NULL, &k), QR_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (uint16_t i = 1; i <= 2; i++) {
            for (size_t l = 0; l < logs[i].n; l++) {
                qr_view v = qr_view_str(logs[i].line[l]);
                if (pass == 0) {
                    assert_int_equal(qr_audit_check_collect(k, v), QR_OK);
                } else {
                    qr_audit_check_line(k, "x", v);
                }
            }
            if (pass == 1) {
                qr_audit_check_end(k, i);
            }
        }
        if (pass == 0) {
            qr_audit_check_sort(k);
        }
    }
    qr_audit_check_totals(k, &t);
    assert_int_equal(t.findings, n_found);
    qr_audit_check_free(k);
}

#define EXPECT(words)                                                                              \
    do {                                                                                           \
        check_from(0);                                                                             \
        if (n_found != 1 || !strstr(said, words)) {                                                \
            fail_msg("%zu findings: %s", n_found, said);                                           \
        }                                                                                          \
    } while (0)

static void
drop(uint16_t party, size_t at, size_t n)
{
    memmove(logs[party].line[at], logs[party].line[at + n],
            (logs[party].n - at - n) * sizeof logs[0].line[0]);
    logs[party].n -= n;
}

static void
test_check(void **state)
{
    char kept[1024];
    (void)state;
    make_logs();
    check_from(0);
    assert_int_equal(n_found, 0);
    assert_int_equal(logs[1].n, 11);
    drop(1, 3, 1);
    EXPECT("record 4 is missing here; between the signed head at 2 and that at 5");
    make_logs();
    drop(1, 2, 2);
    EXPECT("records 3 to 4 are missing here; between the signed head at 2 and that at 5");
    make_logs();
    strstr(logs[1].line[2], "up\"")[0] = 'U';
    EXPECT("record 3 was changed; between the signed head at 2 and that at 5");
    make_logs();
    strstr(logs[1].line[3], "down\"")[0] = 'D'; /* the head after it is good: it is this one */
    EXPECT("record 4 was changed; between");
    make_logs();
    logs[1].line[3][strlen("{\"v\":1,\"party\":1,\"boot\":1,\"serial\":4,\"prev\":\"")] ^= 1;
    check_from(0); /* prev itself: one of the two, and only one finding */
    assert_int_equal(n_found, 1);
    make_logs();
    memcpy(kept, logs[1].line[2], sizeof kept);
    memcpy(logs[1].line[2], logs[1].line[3], sizeof kept);
    memcpy(logs[1].line[3], kept, sizeof kept);
    EXPECT("record 3 is missing here; between the signed head at 2 and that at 5");
    make_logs();
    drop(1, 9, 2);
    EXPECT("the end is missing: records 10 to 11; party 2's log vouches for the last of them");
    make_logs();
    drop(1, 0, 11);
    check_from(0); /* nothing of party 1 was given: nothing is said of it but that boot's log */
    assert_int_equal(n_found, 1);
    assert_non_null(strstr(said, "party 1, boot 1: its log is missing"));
    make_logs();
    drop(1, 0, 1);
    EXPECT("records 1 to 1 are missing here");
    check_from(1);
    assert_int_equal(n_found, 0);
    make_logs();
    (void)snprintf(logs[1].line[2], sizeof logs[0].line[0], "junk");
    EXPECT("the line after record 2 is no record");
}

/* All prev computed anew after a change: the heads and the other party's anchors speak. */
static void
test_check_rewritten(void **state)
{
    struct qr_audit_record r;
    char why[128], hex[65];
    (void)state;
    make_logs();
    strstr(logs[1].line[2], "up\"")[0] = 'U';
    for (size_t i = 3; i < logs[1].n; i++) {
        assert_int_equal(qr_audit_parse(qr_view_str(logs[1].line[i - 1]), &r, why, sizeof why),
                         QR_OK);
        qr_hex_encode(qr_view_of(r.hash, 32), hex);
        memcpy(strstr(logs[1].line[i], "\"prev\":\"") + 8, hex, 64);
    }
    EXPECT("the head at 5 does not carry the party's signature");
    drop(2, 0, logs[2].n); /* also without anybody else's log */
    EXPECT("the head at 5 does not carry the party's signature");
}

/* A party that signs two logs of its own is held to what it told the other. */
static void
test_check_two_logs(void **state)
{
    struct qr_audit *other;
    (void)state;
    make_logs();
    logs[1].n = 0;
    assert_int_equal(qr_audit_new(1, 1, NULL, &other), QR_OK);
    put_boot(1, other);
    for (int k = 0; k < 5; k++) {
        put_head(1, other);
        put_line(1, other, "peer", ",\"what\":\"xx\"");
    }
    qr_audit_free(other);
    check_from(0);
    assert_int_equal(n_found, 2); /* at 7 and at 11 */
    assert_non_null(strstr(said, "record 7 is another one than party 2's log vouches for"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),           cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_fetch),           cmocka_unit_test(test_full),
        cmocka_unit_test(test_parse),           cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_rewritten), cmocka_unit_test(test_check_two_logs),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
