/*
 * Enclave images: what is written is read again, and every way in which two readers could disagree
 * about a file is refused with a sentence that says where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/eif/eif.h"

#define CRC_AT (QR_EIF_HEADER - 4u)
#define OFFSETS 28u
#define SIZES 284u

static uint8_t kernel[0x300];
static const char cmdline[] = "console=ttyS0";
static const char metadata[] = "{\"ImageName\":\"t\"}";
static const char cpio[] = "070701 the first";
static const char gzip[] = "\x1f\x8b\x08 the second";

static struct qr_eif
parts(void)
{
    struct qr_eif e = {.arch = QR_EIF_X86_64, .default_mem = 1u << 30, .default_cpus = 2};

    memcpy(kernel + 0x202, "HdrS", 4);
    e.kernel = qr_view_of(kernel, sizeof kernel);
    e.cmdline = qr_view_str(cmdline);
    e.metadata = qr_view_str(metadata);
    e.ramdisk[0] = qr_view_of(cpio, sizeof cpio);
    e.ramdisk[1] = qr_view_of(gzip, sizeof gzip);
    e.n_ramdisk = 2;
    return e;
}

static void
write_image(struct qr_dbuf *d)
{
    struct qr_eif e = parts();
    char err[QR_EIF_ERR_MAX] = "";

    qr_dbuf_init(d, QR_EIF_MAX);
    qr_err r = qr_eif_write(&e, d, err, sizeof err);
    assert_string_equal(err, "");
    assert_int_equal(r, QR_OK);
}

static void
fix_crc(uint8_t *p, size_t n)
{
    uint32_t crc = qr_eif_crc32(0, qr_view_of(p, CRC_AT));
    crc = qr_eif_crc32(crc, qr_view_of(p + QR_EIF_HEADER, n - QR_EIF_HEADER));
    qr_put32(p + CRC_AT, crc);
}

static void
test_crc(void **state)
{
    (void)state;
    /* The check value that goes with the polynomial. */
    assert_int_equal(qr_eif_crc32(0, qr_view_str("123456789")), 0xcbf43926u);
    uint32_t part = qr_eif_crc32(0, qr_view_str("12345"));
    assert_int_equal(qr_eif_crc32(part, qr_view_str("6789")), 0xcbf43926u);
}

static void
test_round_trip(void **state)
{
    struct qr_dbuf d, again;
    struct qr_eif e;
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    write_image(&d);
    assert_int_equal(qr_eif_read(qr_view_of(d.p, d.len), &e, err, sizeof err), QR_OK);
    assert_int_equal(e.arch, QR_EIF_X86_64);
    assert_int_equal(e.n_section, 5);
    assert_int_equal(e.n_ramdisk, 2);
    assert_int_equal(e.default_mem, 1u << 30);
    assert_int_equal(e.default_cpus, 2);
    assert_true(qr_view_eq(e.kernel, qr_view_of(kernel, sizeof kernel)));
    assert_true(qr_view_eq(e.cmdline, qr_view_str(cmdline)));
    assert_true(qr_view_eq(e.metadata, qr_view_str(metadata)));
    assert_true(qr_view_eq(e.ramdisk[1], qr_view_of(gzip, sizeof gzip)));
    assert_int_equal(e.signature.len, 0);
    assert_int_equal(e.section[0].offset, QR_EIF_HEADER);
    assert_int_equal(e.section[2].type, QR_EIF_METADATA);
    /* What was read writes the same bytes. */
    qr_dbuf_init(&again, QR_EIF_MAX);
    assert_int_equal(qr_eif_write(&e, &again, err, sizeof err), QR_OK);
    assert_int_equal(again.len, d.len);
    assert_memory_equal(again.p, d.p, d.len);
    qr_dbuf_free(&again);
    qr_dbuf_free(&d);
}

/* Neither half a file nor one with a changed bit is accepted, anywhere. */
static void
test_every_byte(void **state)
{
    struct qr_dbuf d;
    struct qr_eif e;
    (void)state;
    write_image(&d);
    for (size_t n = 0; n < d.len; n++) {
        assert_int_not_equal(qr_eif_read(qr_view_of(d.p, n), &e, NULL, 0), QR_OK);
    }
    for (size_t i = 0; i < d.len; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        char err[QR_EIF_ERR_MAX] = "";
        d.p[i] ^= bit;
        assert_int_not_equal(qr_eif_read(qr_view_of(d.p, d.len), &e, err, sizeof err), QR_OK);
        assert_int_not_equal(err[0], '\0');
        d.p[i] ^= bit;
    }
    qr_dbuf_free(&d);
}

/* ---- one lie each, under a good CRC ---- */

static void
old_version(uint8_t *p)
{
    qr_put16(p + 4, 3);
}
static void
flag(uint8_t *p)
{
    qr_put16(p + 6, 2);
}
static void
reserved(uint8_t *p)
{
    qr_put16(p + 24, 1);
}
static void
unused(uint8_t *p)
{
    qr_put32(p + 540, 1);
}
static void
too_few(uint8_t *p)
{
    qr_put16(p + 26, 2);
}
static void
too_many(uint8_t *p)
{
    qr_put16(p + 26, 33);
}
static void
one_less(uint8_t *p)
{
    qr_put16(p + 26, 4);
}
static void
one_more(uint8_t *p)
{
    qr_put16(p + 26, 6);
}
static void
overlap(uint8_t *p)
{
    qr_put64(p + OFFSETS + 8, QR_EIF_HEADER);
}
static void
gap(uint8_t *p)
{
    qr_put64(p + OFFSETS, QR_EIF_HEADER + 1);
}
static void
huge(uint8_t *p)
{
    qr_put64(p + SIZES, UINT64_MAX - 4);
}
static void
table_differs(uint8_t *p)
{
    qr_put64(p + SIZES, sizeof kernel - 1);
}
static void
section_flags(uint8_t *p)
{
    qr_put16(p + QR_EIF_HEADER + 2, 1);
}
static void
unknown_type(uint8_t *p)
{
    qr_put16(p + QR_EIF_HEADER, 6);
}
static void
no_type(uint8_t *p)
{
    qr_put16(p + QR_EIF_HEADER, 0);
}
static void
two_kernels(uint8_t *p)
{
    qr_put16(p + QR_EIF_HEADER + 12 + sizeof kernel, QR_EIF_KERNEL);
}
static void
cmdline_first(uint8_t *p)
{
    qr_put16(p + QR_EIF_HEADER, QR_EIF_CMDLINE);
}
static void
at_section(uint8_t *p, size_t i, enum qr_eif_type t)
{
    qr_put16(p + qr_get64(p + OFFSETS + 8 * i), (uint16_t)t);
}
static void
two_cmdlines(uint8_t *p)
{
    at_section(p, 2, QR_EIF_CMDLINE);
}
static void
two_metadata(uint8_t *p)
{
    at_section(p, 3, QR_EIF_METADATA);
}
static void
signature_first(uint8_t *p)
{
    at_section(p, 2, QR_EIF_SIGNATURE);
}
static void
after_signature(uint8_t *p)
{
    at_section(p, 2, QR_EIF_RAMDISK);
    at_section(p, 3, QR_EIF_SIGNATURE);
}
static void
no_ramdisk(uint8_t *p)
{
    /* The last two become metadata of nothing: the fifth section cannot be a second one. */
    at_section(p, 2, QR_EIF_RAMDISK);
    at_section(p, 3, QR_EIF_METADATA);
    at_section(p, 4, QR_EIF_METADATA);
}

static void
test_lies(void **state)
{
    static const struct {
        void (*lie)(uint8_t *p);
        qr_err e;
        const char *says;
    } rows[] = {
        {old_version, QR_ERR_VERSION, "version 3"},
        {flag, QR_ERR_MALFORMED, "flags 0x0002"},
        {reserved, QR_ERR_MALFORMED, "reserved"},
        {unused, QR_ERR_MALFORMED, "reserved"},
        {too_few, QR_ERR_MALFORMED, "2 sections"},
        {too_many, QR_ERR_MALFORMED, "33 sections"},
        {one_less, QR_ERR_MALFORMED, "entry 4"},
        {one_more, QR_ERR_MALFORMED, "section 5: the table puts it at 0"},
        {overlap, QR_ERR_MALFORMED, "section 1: the table puts it at 548"},
        {gap, QR_ERR_MALFORMED, "section 0: the table puts it at 549"},
        {huge, QR_ERR_TRUNCATED, "section 0 at 548"},
        {table_differs, QR_ERR_MALFORMED, "its own header 768"},
        {section_flags, QR_ERR_MALFORMED, "section 0 has flags"},
        {unknown_type, QR_ERR_MALFORMED, "type 6"},
        {no_type, QR_ERR_MALFORMED, "type 0"},
        {two_kernels, QR_ERR_MALFORMED, "section 1 is a kernel"},
        {cmdline_first, QR_ERR_MALFORMED, "section 0 is a cmdline"},
        {two_cmdlines, QR_ERR_MALFORMED, "section 2 is a cmdline"},
        {two_metadata, QR_ERR_MALFORMED, "metadata already"},
        {signature_first, QR_ERR_MALFORMED, "no ramdisk before it"},
        {after_signature, QR_ERR_MALFORMED, "after the signature"},
        {no_ramdisk, QR_ERR_MALFORMED, "metadata already"},
    };
    struct qr_dbuf d;
    struct qr_eif e;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char err[QR_EIF_ERR_MAX] = "";
        write_image(&d);
        rows[i].lie(d.p);
        fix_crc(d.p, d.len);
        qr_err r = qr_eif_read(qr_view_of(d.p, d.len), &e, err, sizeof err);
        if (r != rows[i].e || !strstr(err, rows[i].says)) {
            fail_msg("row %zu: %s, \"%s\"; expected %s, \"%s\"", i, qr_err_name(r), err,
                     qr_err_name(rows[i].e), rows[i].says);
        }
        qr_dbuf_free(&d);
    }
}

static void
test_trailing(void **state)
{
    struct qr_dbuf d;
    struct qr_eif e;
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    write_image(&d);
    assert_int_equal(qr_dbuf_append(&d, "x", 1), QR_OK);
    fix_crc(d.p, d.len);
    assert_int_equal(qr_eif_read(qr_view_of(d.p, d.len), &e, err, sizeof err), QR_ERR_TRAILING);
    assert_non_null(strstr(err, "1 bytes follow"));
    qr_dbuf_free(&d);
}

static void
test_other_files(void **state)
{
    struct qr_eif e;
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    assert_int_equal(qr_eif_read(qr_view_str("\x7f"
                                             "ELF, say"),
                                 &e, err, sizeof err),
                     QR_ERR_MALFORMED);
    assert_non_null(strstr(err, "not an enclave image"));
    assert_int_equal(qr_eif_read(qr_view_of(NULL, 0), &e, err, sizeof err), QR_ERR_MALFORMED);
    assert_int_equal(qr_eif_read(qr_view_of(".eif", 4), &e, err, sizeof err), QR_ERR_TRUNCATED);
}

/* ---- what the writer refuses ---- */

static void
no_kernel(struct qr_eif *e)
{
    e->kernel.len = 0;
}
static void
wrong_arch(struct qr_eif *e)
{
    e->arch = QR_EIF_ARM64;
}
static void
empty_cmdline(struct qr_eif *e)
{
    e->cmdline.len = 0;
}
static void
long_cmdline(struct qr_eif *e)
{
    static char text[QR_EIF_CMDLINE_MAX + 1];
    memset(text, 'x', sizeof text);
    e->cmdline = qr_view_of(text, sizeof text);
}
static void
cmdline_with_nul(struct qr_eif *e)
{
    e->cmdline.len++;
}
static void
bad_json(struct qr_eif *e)
{
    e->metadata.len--;
}
static void
json_list(struct qr_eif *e)
{
    e->metadata = qr_view_str("[]");
}
static void
without_ramdisk(struct qr_eif *e)
{
    e->n_ramdisk = 0;
}
static void
ramdisk_of_text(struct qr_eif *e)
{
    e->ramdisk[1] = qr_view_str("hello, world");
}
static void
long_signature(struct qr_eif *e)
{
    static uint8_t s[QR_EIF_SIGNATURE_MAX + 1];
    e->signature = qr_view_of(s, sizeof s);
}

static void
test_write_refuses(void **state)
{
    static const struct {
        void (*change)(struct qr_eif *e);
        const char *says;
    } rows[] = {
        {no_kernel, "no bzImage"},       {wrong_arch, "no arm64 Image"},
        {empty_cmdline, "has 0 bytes"},  {long_cmdline, "has 2048 bytes"},
        {cmdline_with_nul, "byte 0x00"}, {bad_json, "no JSON"},
        {json_list, "no JSON object"},   {without_ramdisk, "0 ramdisks"},
        {ramdisk_of_text, "ramdisk 2"},  {long_signature, "the limit is 65536"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qr_eif e = parts();
        struct qr_dbuf d;
        char err[QR_EIF_ERR_MAX] = "";
        qr_dbuf_init(&d, QR_EIF_MAX);
        rows[i].change(&e);
        qr_err r = qr_eif_write(&e, &d, err, sizeof err);
        if (r != QR_ERR_MALFORMED || !strstr(err, rows[i].says)) {
            fail_msg("row %zu: %s, \"%s\"; expected \"%s\"", i, qr_err_name(r), err, rows[i].says);
        }
        qr_dbuf_free(&d);
    }
}

static void
test_arm64(void **state)
{
    struct qr_eif e = parts(), back;
    struct qr_dbuf d;
    char err[QR_EIF_ERR_MAX] = "";
    (void)state;
    memcpy(kernel + 56, "ARM\x64", 4);
    e.arch = QR_EIF_ARM64;
    e.metadata.len = 0;
    qr_dbuf_init(&d, QR_EIF_MAX);
    assert_int_equal(qr_eif_write(&e, &d, err, sizeof err), QR_OK);
    assert_int_equal(qr_get16(d.p + 6), 1);
    assert_int_equal(qr_eif_read(qr_view_of(d.p, d.len), &back, err, sizeof err), QR_OK);
    assert_int_equal(back.arch, QR_EIF_ARM64);
    assert_int_equal(back.metadata.len, 0);
    assert_string_equal(qr_eif_arch_name(back.arch), "arm64");
    qr_dbuf_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),           cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_byte),    cmocka_unit_test(test_lies),
        cmocka_unit_test(test_trailing),      cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_write_refuses), cmocka_unit_test(test_arm64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
