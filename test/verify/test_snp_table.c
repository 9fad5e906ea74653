/* The host's table of certificates: what is taken from it, and every way in which it can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/snp.h"
#include "test/common/snp_break.h"

/* In the order of the text form, as the vendor's and the cloud's tools write them. */
static const char *const guid[] = {
    "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd", /* VCEK */
    "\xa8\x07\x4b\xc2\xa2\x5a\x48\x3e\xaa\xe6\x39\xc0\x45\xa0\xb8\xa1", /* VLEK */
    "\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82", /* ASK */
    "\xc0\xb4\x06\xa4\xa8\x03\x49\x52\x97\x43\x3f\xb6\x01\x4c\xd0\xae", /* ARK */
    "\x92\xf8\x1b\xc3\x58\x11\x4d\x3d\x97\xff\xd1\x9f\x88\xdc\x67\xea", /* CRL */
    "unknown kind one",
    "unknown kind two",
};
enum { VCEK, VLEK, ASK, ARK, CRL, ODD, ODDER };

static uint8_t table[QR_SNP_TABLE_MAX + 1];
static size_t table_len;
static struct qr_snp_table parsed;

static void
put(size_t at, const char *kind, size_t offset, size_t len)
{
    if (kind) {
        memcpy(table + 24 * at, kind, 16);
    } else {
        memset(table + 24 * at, 0, 16);
    }
    evgen_set_le(table + 24 * at + 16, offset, 4);
    evgen_set_le(table + 24 * at + 20, len, 4);
}

/* Three entries and the terminator: the header is 96 bytes; data of 10, 20, 30 bytes; 200 in all. */
static void
make(void)
{
    memset(table, 0, sizeof table);
    for (size_t i = 96; i < 200; i++) {
        table[i] = (uint8_t)i;
    }
    table_len = 200;
    put(0, guid[ARK], 96, 10);
    put(1, guid[ODD], 106, 20);
    put(2, guid[VCEK], 126, 30);
    put(3, NULL, 0, 0);
}

static qr_err
parse(void)
{
    memset(&parsed, 0, sizeof parsed);
    return qr_snp_table_parse(qr_view_of(table, table_len), &parsed);
}

static void
test_entries(void **state)
{
    (void)state;
    make();
    assert_int_equal(parse(), QR_OK);
    assert_ptr_equal(parsed.ark.p, table + 96);
    assert_int_equal(parsed.ark.len, 10);
    assert_ptr_equal(parsed.vcek.p, table + 126);
    assert_int_equal(parsed.vcek.len, 30);
    assert_null(parsed.vlek.p);
    assert_null(parsed.ask.p);
    assert_null(parsed.crl.p);
    /* any order of the data; to the last byte; two of unknown kinds */
    put(0, guid[CRL], 170, 30);
    put(1, guid[VLEK], 96, 1);
    put(2, guid[ASK], 97, 73);
    assert_int_equal(parse(), QR_OK);
    assert_int_equal(parsed.crl.len, 30);
    assert_int_equal(parsed.vlek.len, 1);
    assert_int_equal(parsed.ask.len, 73);
    put(0, guid[ODD], 170, 30);
    put(1, guid[ODD], 96, 1);
    put(2, guid[ODDER], 97, 1);
    assert_int_equal(parse(), QR_OK);
    assert_null(parsed.ask.p);
    /* a host that has nothing to say; behind the terminator is no table */
    put(0, NULL, 0xffffffff, 0xffffffff);
    put(1, guid[ARK], 1, 1);
    assert_int_equal(parse(), QR_OK);
    assert_null(parsed.ark.p);
    table_len = 24;
    assert_int_equal(parse(), QR_OK);
}

static void
test_lies(void **state)
{
    static const struct {
        uint32_t offset, len;
        const char *what;
    } lies[] = {
        {96, 0, "empty"},
        {0, 10, "the header itself"},
        {95, 1, "the last byte of the header"},
        {72, 30, "the terminator"},
        {200, 1, "behind the end"},
        {201, 0, "behind the end, empty"},
        {199, 2, "past the end by one"},
        {126, 75, "past the end"},
        {0xffffffff, 1, "offset that wraps"},
        {0xffffffff, 0xffffffff, "both wrap"},
        {126, 0xffffffff, "length that wraps"},
        {126, 0x80000000, "negative length"},
        {105, 1, "last byte of another"},
        {96, 10, "all of another"},
        {96, 104, "over all others"},
        {125, 10, "over the one before"},
        {110, 5, "inside an unknown one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        make();
        put(2, guid[VCEK], lies[i].offset, lies[i].len);
        if (parse() != QR_ERR_MALFORMED) {
            fail_msg("%s", lies[i].what);
        }
        assert_null(parsed.ark.p); /* nothing is returned of a table that lies */
        /* the same of a kind that is of no use */
        put(2, guid[ODDER], lies[i].offset, lies[i].len);
        assert_int_equal(parse(), QR_ERR_MALFORMED);
    }
    make();
    put(1, guid[ARK], 106, 20); /* two ARKs */
    assert_int_equal(parse(), QR_ERR_MALFORMED);
}

static void
test_no_terminator(void **state)
{
    (void)state;
    make();
    for (size_t len = 0; len < 96; len++) {
        table_len = len;
        assert_int_equal(parse(), QR_ERR_MALFORMED);
    }
    /* the header is whole, the data not */
    for (size_t len = 96; len < 156; len++) {
        table_len = len;
        assert_int_equal(parse(), QR_ERR_MALFORMED);
    }
    table_len = 156;
    assert_int_equal(parse(), QR_OK);
    /* a table of one entry that never ends */
    make();
    put(3, guid[ODD], 156, 1);
    table_len = 96;
    assert_int_equal(parse(), QR_ERR_MALFORMED);
}

static void
test_limits(void **state)
{
    (void)state;
    for (size_t n = QR_SNP_TABLE_ENTRIES; n <= QR_SNP_TABLE_ENTRIES + 1; n++) {
        memset(table, 0, sizeof table);
        for (size_t i = 0; i < n; i++) {
            put(i, guid[ODD], 24 * (n + 1) + i, 1);
        }
        table_len = 24 * (n + 1) + n;
        assert_int_equal(parse(), n == QR_SNP_TABLE_ENTRIES ? QR_OK : QR_ERR_TOO_LARGE);
    }
    make();
    table_len = QR_SNP_TABLE_MAX;
    assert_int_equal(parse(), QR_OK);
    table_len = QR_SNP_TABLE_MAX + 1;
    assert_int_equal(parse(), QR_ERR_TOO_LARGE);
}

/* ---- into evidence ---- */

static size_t
append(size_t at, const char *kind, size_t offset, qr_view v)
{
    memcpy(table + offset, v.p, v.len);
    put(at, kind, offset, v.len);
    return offset + v.len;
}

/* What a host hands out and a guest passes on is verified like any other endorsement. */
static void
test_table_to_verdict(void **state)
{
    static struct snp_scene vcek, vlek;
    static struct qr_roots roots;
    static struct qr_verdict v;

    (void)state;
    evsnp_roots(&roots);
    evsnp_init(&vcek.s, EVSNP_GENOA, 3);
    evsnp_build(&vcek.s);
    evsnp_crl(&vcek.s, NULL, 0);
    evsnp_init(&vlek.s, EVSNP_GENOA, 3);
    evsnp_vlek(&vlek.s);
    evsnp_build(&vlek.s);
    for (int kind = 0; kind < 2; kind++) {
        const struct evsnp *s = kind == QR_SNP_VLEK ? &vlek.s : &vcek.s;
        memset(table, 0, sizeof table);
        size_t at = 24 * 6;
        at = append(0, guid[VCEK], at, evgen_view(&vcek.s.vek));
        at = append(1, guid[VLEK], at, evgen_view(&vlek.s.vek));
        at = append(2, guid[ASK], at, evgen_view(&s->ask));
        at = append(3, guid[ARK], at, evgen_view(&s->ark));
        at = append(4, guid[CRL], at, evgen_view(&vcek.s.crl));
        table_len = at;
        assert_int_equal(parse(), QR_OK);
        struct qr_evidence e = {.kind = QR_EV_SNP};
        struct qr_verify_opts o = {.roots = &roots, .now_ms = EVGEN_NOW_MS};
        assert_int_equal(
            qr_evidence_add(&e, QR_PART_SNP_REPORT, 0, qr_view_of(s->report, s->report_len)),
            QR_OK);
        assert_int_equal(qr_snp_table_fill(&parsed, (enum qr_snp_signing_key)kind, &e), QR_OK);
        assert_int_equal(e.n, 5);
        assert_int_equal(qr_verify(&e, &o, &v, NULL), QR_OK);
        assert_int_equal(v.check[QR_CHECK_CRL], QR_CHECK_PASS);
        /* a second time: the parts are there already */
        assert_int_equal(qr_snp_table_fill(&parsed, (enum qr_snp_signing_key)kind, &e),
                         QR_ERR_MALFORMED);
    }
    /* no VLEK in the table: none is made up from the VCEK */
    struct qr_evidence e = {.kind = QR_EV_SNP};
    parsed.vlek = qr_view_of(NULL, 0);
    assert_int_equal(qr_snp_table_fill(&parsed, QR_SNP_VLEK, &e), QR_OK);
    assert_null(qr_evidence_get(&e, QR_PART_SNP_VEK).p);
    /* a certificate larger than the part may be */
    parsed.vcek = qr_view_of(table, 4097);
    e.n = 0;
    assert_int_equal(qr_snp_table_fill(&parsed, QR_SNP_VCEK, &e), QR_ERR_TOO_LARGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),          cmocka_unit_test(test_lies),
        cmocka_unit_test(test_no_terminator),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_table_to_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
