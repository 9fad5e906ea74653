/* daemon/uki: registers of a small image against values computed by other means; files that lie. */
#include "daemon/uki.h"

#include "enclave-shim/verify/manifest.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PE_AT 0x80u
#define OPT (PE_AT + 24)
#define TABLE (OPT + 240)
#define HEADERS 1024u
#define FILE_MAX 65536u

struct part {
    const char *name, *data;
    size_t len, size; /* in the file, as loaded */
};

static uint8_t image[FILE_MAX];
static char err[QR_UKI_ERR_MAX];
static const struct qr_uki_firmware off = {0};

static void
le(uint8_t *p, size_t n, size_t v)
{
    for (; n > 0; n--, v >>= 8) {
        *p++ = (uint8_t)v;
    }
}

/* A PE file of these sections, each rounded up to 64 bytes of file; its length. */
static size_t
build(uint8_t *f, const struct part *part, size_t n)
{
    size_t at = HEADERS;
    memset(f, 0, HEADERS);
    memcpy(f, "MZ", 2);
    le(f + 60, 4, PE_AT);
    memcpy(f + PE_AT, "PE\0\0", 4);
    le(f + PE_AT + 4, 2, 0x8664);
    le(f + PE_AT + 6, 2, n);
    le(f + PE_AT + 20, 2, 240);
    le(f + OPT, 2, 0x20b);
    le(f + OPT + 60, 4, HEADERS);
    le(f + OPT + 64, 4, 0x12345678); /* a checksum, which nothing covers */
    le(f + OPT + 108, 4, 16);
    for (size_t i = 0; i < n; i++) {
        uint8_t *s = f + TABLE + 40 * i;
        size_t raw = (part[i].len + 63) / 64 * 64;
        memcpy(s, part[i].name, strlen(part[i].name));
        le(s + 8, 4, part[i].size ? part[i].size : part[i].len);
        le(s + 16, 4, raw);
        le(s + 20, 4, at);
        memset(f + at, 0, raw);
        memcpy(f + at, part[i].data, part[i].len);
        at += raw;
    }
    return at;
}

static uint8_t kernel[4096];
#define PARTS 7u
static struct part parts[PARTS];

/* A UKI whose kernel is a PE file too; .sbat is longer when it is loaded. */
static size_t
uki(void)
{
    static const struct part text = {".text", "kernel", 6, 0};
    size_t len = build(kernel, &text, 1);
    const struct part all[PARTS] = {
        {".text", "stub", 4, 0},
        {".sbat", "sbat,1\n", 7, 200},
        {".osrel", "ID=quorate\n", 11, 0},
        {".cmdline", "console=ttyS0 ro", 16, 0},
        {".uname", "6.12.0", 6, 0},
        {".linux", (const char *)kernel, len, 0},
        {".initrd", "070701 not an archive", 21, 0},
    };
    memcpy(parts, all, sizeof parts);
    return build(image, parts, PARTS);
}

static void
is_hex(const uint8_t *pcr, const char *hex)
{
    char got[2 * QR_UKI_PCR + 1];
    qr_hex_encode(qr_view_of(pcr, QR_UKI_PCR), got);
    assert_string_equal(got, hex);
}

static void
test_registers(void **state)
{
    (void)state;
    static const uint8_t list[] = {1, 2, 3};
    struct qr_uki u;
    struct qr_uki_pcrs p, q;
    size_t n = uki();

    assert_int_equal(qr_uki_read(qr_view_of(image, n), &u, err), QR_OK);
    assert_int_equal(qr_uki_measure(&u, &off, &p, err), QR_OK);
    is_hex(p.pcr4, "682348afa87555cd0f059a46dd3ffb8e5c1b6079766aadd4d594ac9f4de9bdde");
    /* Also what OVMF without keys has. */
    is_hex(p.pcr7, "65caf8dd1e0ea7a6347b635d2b379c93b9a1351edc2afc3ecda700e534eb3068");
    is_hex(p.pcr9, "d16f7fad33a75771a056bc17f143a4cb93d48a60830134ad93910da66b5c5450");
    is_hex(p.pcr11, "f5ccb3e2225ce695eed9b6ca6d1803ba1999e9b1511581df339e933230ef8ed5");
    is_hex(p.pcr12, "0000000000000000000000000000000000000000000000000000000000000000");

    const struct qr_uki_firmware on = {.secure_boot = 1,
                                       .pk = qr_view_of(list, 1),
                                       .kek = qr_view_of(list, 2),
                                       .db = qr_view_of(list, 3),
                                       .authority = qr_view_of(list, 2)};
    assert_int_equal(qr_uki_measure(&u, &on, &q, err), QR_OK);
    is_hex(q.pcr7, "5b09aac9e1959a69ed1753eafb2564a3b8858170f4b8823c855f759e67da0097");
    memcpy(q.pcr7, p.pcr7, sizeof q.pcr7);
    assert_memory_equal(&p, &q, sizeof p);
}

/* Every byte that counts changes a register; the checksum and a certificate change none. */
static void
test_what_counts(void **state)
{
    (void)state;
    struct qr_uki u;
    struct qr_uki_pcrs p, q;
    size_t n = uki();

    assert_int_equal(qr_uki_read(qr_view_of(image, n), &u, err), QR_OK);
    assert_int_equal(qr_uki_measure(&u, &off, &p, err), QR_OK);
    for (size_t i = 0; i < PARTS; i++) {
        size_t at = HEADERS;
        for (size_t k = 0; k < i; k++) {
            at += (parts[k].len + 63) / 64 * 64;
        }
        image[at] ^= 1;
        if (strcmp(parts[i].name, ".linux") != 0) { /* it would be no PE file */
            assert_int_equal(qr_uki_read(qr_view_of(image, n), &u, err), QR_OK);
            assert_int_equal(qr_uki_measure(&u, &off, &q, err), QR_OK);
            assert_memory_not_equal(p.pcr4, q.pcr4, QR_UKI_PCR);
            int eleven = memcmp(p.pcr11, q.pcr11, QR_UKI_PCR) != 0;
            assert_int_equal(eleven, strcmp(parts[i].name, ".text") != 0);
        }
        image[at] ^= 1;
    }
    le(image + OPT + 64, 4, 0);
    memset(image + n, 0xcc, 64);
    le(image + OPT + 144, 4, n);
    le(image + OPT + 148, 4, 64);
    assert_int_equal(qr_uki_read(qr_view_of(image, n + 64), &u, err), QR_OK);
    assert_int_equal(qr_uki_measure(&u, &off, &q, err), QR_OK);
    assert_memory_equal(&p, &q, sizeof p);
}

static void
refused(size_t n, qr_err e, const char *words)
{
    struct qr_uki u;
    struct qr_uki_pcrs p;
    err[0] = '\0';
    qr_err got = qr_uki_read(qr_view_of(image, n), &u, err);
    if (got == QR_OK) {
        got = qr_uki_measure(&u, &off, &p, err);
    }
    if (got != e || !strstr(err, words)) {
        fail_msg("%s \"%s\"; expected %s \"%s\"", qr_err_name(got), err, qr_err_name(e), words);
    }
}

static void
test_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at, bytes, value;
        qr_err e;
        const char *words;
    } bad[] = {
        {0, 2, 0, QR_ERR_MALFORMED, "no MZ"},
        {60, 4, FILE_MAX, QR_ERR_MALFORMED, "no PE header"},
        {60, 4, 0xffffffff, QR_ERR_MALFORMED, "no PE header"},
        {PE_AT, 4, 0, QR_ERR_MALFORMED, "no PE header"},
        {PE_AT + 4, 2, 0xaa64, QR_ERR_VERSION, "x86-64"},
        {PE_AT + 6, 2, 0, QR_ERR_TRUNCATED, "table of sections"},
        {PE_AT + 6, 2, 0xffff, QR_ERR_TRUNCATED, "table of sections"},
        {PE_AT + 20, 2, 100, QR_ERR_MALFORMED, "with directories"},
        {PE_AT + 20, 2, 0xffff, QR_ERR_MALFORMED, "with directories"},
        {OPT, 2, 0x10b, QR_ERR_MALFORMED, "64 bits"},
        {OPT + 108, 4, 4, QR_ERR_MALFORMED, "with directories"},
        {OPT + 60, 4, 16, QR_ERR_MALFORMED, "sizes do not fit"},
        {OPT + 60, 4, 0xffffffff, QR_ERR_MALFORMED, "sizes do not fit"},
        {OPT + 148, 4, 0xffffffff, QR_ERR_MALFORMED, "sizes do not fit"},
        {TABLE + 20, 4, 0xffffffff, QR_ERR_TRUNCATED, "outside the file"},
        {TABLE + 16, 4, 0xffffffff, QR_ERR_TRUNCATED, "outside the file"},
        {TABLE + 20, 4, 0, QR_ERR_TRUNCATED, "outside the file"},
        {TABLE, 8, 0x6c69666f72702e, QR_ERR_UNKNOWN_FIELD, "section .profil"},
        {TABLE, 8, 0x656d616e752e, QR_ERR_DUPLICATE, "section .uname stands twice"},
        {TABLE + 80, 8, 0, QR_ERR_MALFORMED, "no section .osrel"},
        {TABLE + 80 + 8, 4, 0, QR_ERR_MALFORMED, "section .osrel is empty"},
        {TABLE + 80 + 8, 4, 100, QR_ERR_MALFORMED, "section .osrel is cut off"},
        {TABLE + 80 + 8, 4, 0xffffffff, QR_ERR_MALFORMED, "too long"},
        {TABLE + 200 + 8, 4, 10, QR_ERR_MALFORMED, "not a PE file"},
        {TABLE + 200 + 8, 4, 9000, QR_ERR_MALFORMED, "section .linux is cut off"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t n = uki();
        if (bad[i].e == QR_ERR_UNKNOWN_FIELD) {
            memcpy(image + TABLE, ".profile", 8);
        } else {
            le(image + bad[i].at, bad[i].bytes, bad[i].value);
        }
        refused(n, bad[i].e, bad[i].words);
    }
    size_t n = uki();
    for (size_t cut = 0; cut < n; cut += cut < 1200 ? 1 : 37) {
        struct qr_uki u;
        assert_int_not_equal(qr_uki_read(qr_view_of(image, cut), &u, err), QR_OK);
    }
    size_t cmdline = HEADERS + 64 + 64 + 64;
    image[cmdline + 3] = '\n';
    refused(n, QR_ERR_MALFORMED, "printable ASCII");
    image[cmdline + 3] = 's';
    image[cmdline] = ' ';
    refused(n, QR_ERR_MALFORMED, "a space");
}

/* PCR 12 is published as it must be, zero; of other registers zero is how an absent one looks. */
static void
test_manifest(void **state)
{
    (void)state;
    static const char *const pcr[] = {"12", "11"};
    char text[1024], why[QR_ERR_TEXT_MAX];
    for (int i = 0; i < 2; i++) {
        struct qr_manifest *m = NULL;
        int n = snprintf(
            text, sizeof text,
            "{\"v\":1,\"type\":\"quorate/measurements\",\"release\":\"1.2.0\","
            "\"source\":\"%040d\",\"recipe\":\"%064d\",\"valid_from\":\"2026-11-01T00:00:00Z\","
            "\"valid_until\":\"2027-05-01T00:00:00Z\",\"measurements\":[{\"name\":\"gcp\","
            "\"platform\":\"gcp-snp-vtpm\",\"expect\":{\"quote.pcrs.4\":\"%064d\","
            "\"quote.pcrs.%s\":\"%064d\"}}]}\n",
            1, 1, 1, pcr[i], 0);
        assert_true(n > 0 && (size_t)n < sizeof text);
        qr_err e = qr_manifest_parse(qr_view_str(text), &m, why, sizeof why);
        if (i == 0 && e != QR_OK) {
            fail_msg("%s", why);
        }
        assert_int_equal(e, i == 0 ? QR_OK : QR_ERR_MALFORMED);
        qr_manifest_free(m);
    }
    assert_non_null(strstr(why, "all zero"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_manifest),
    };
    return cmocka_run_group_tests_name("daemon/uki", tests, NULL, NULL);
}
