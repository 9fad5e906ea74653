/* Reads enclave image files; see eif.h. */
#include "enclave-shim/eif/eif.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define OFFSETS 28u
#define SIZES (OFFSETS + 8u * QR_EIF_SECTIONS)
#define UNUSED (SIZES + 8u * QR_EIF_SECTIONS)
#define CRC (UNUSED + 4u)

_Static_assert(CRC + 4u == QR_EIF_HEADER, "the header's last field is its CRC");

struct reader {
    qr_view file;
    struct qr_eif *e;
    char *err;
    size_t err_cap;
};

static qr_err __attribute__((format(printf, 3, 4)))
refuse(const struct reader *r, qr_err e, const char *format, ...)
{
    if (r->err_cap > 0) {
        va_list ap;
        va_start(ap, format);
        vsnprintf(r->err, r->err_cap, format, ap);
        va_end(ap);
    }
    return e;
}

const char *
qr_eif_arch_name(enum qr_eif_arch a)
{
    return a == QR_EIF_ARM64 ? "arm64" : "x86_64";
}

const char *
qr_eif_type_name(enum qr_eif_type t)
{
    switch (t) {
    case QR_EIF_KERNEL:
        return "kernel";
    case QR_EIF_CMDLINE:
        return "cmdline";
    case QR_EIF_RAMDISK:
        return "ramdisk";
    case QR_EIF_SIGNATURE:
        return "signature";
    case QR_EIF_METADATA:
        return "metadata";
    default:
        return "unknown";
    }
}

uint32_t
qr_eif_crc32(uint32_t crc, qr_view v)
{
    uint32_t table[256];

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) {
            c = (c >> 1) ^ (0xedb88320u & (0u - (c & 1u)));
        }
        table[i] = c;
    }
    crc = ~crc;
    for (size_t i = 0; i < v.len; i++) {
        crc = (crc >> 8) ^ table[(crc ^ v.p[i]) & 0xffu];
    }
    return ~crc;
}

static qr_err
read_header(const struct reader *r)
{
    const uint8_t *p = r->file.p;
    struct qr_eif *e = r->e;

    if (r->file.len > QR_EIF_MAX) {
        return refuse(r, QR_ERR_TOO_LARGE, "the file has %zu bytes; the limit is %u", r->file.len,
                      QR_EIF_MAX);
    }
    if (r->file.len < 4 || memcmp(p, ".eif", 4) != 0) {
        return refuse(r, QR_ERR_MALFORMED, "not an enclave image: it does not begin with \".eif\"");
    }
    if (r->file.len < QR_EIF_HEADER) {
        return refuse(r, QR_ERR_TRUNCATED, "the file ends in its header: %zu bytes of %u",
                      r->file.len, QR_EIF_HEADER);
    }
    if (qr_get16(p + 4) != QR_EIF_VERSION) {
        return refuse(r, QR_ERR_VERSION, "version %u; this tool reads version %u",
                      (unsigned)qr_get16(p + 4), QR_EIF_VERSION);
    }
    if (qr_get16(p + 6) > 1) {
        return refuse(r, QR_ERR_MALFORMED,
                      "header flags 0x%04x: only bit 0, the architecture, has a meaning",
                      (unsigned)qr_get16(p + 6));
    }
    e->arch = qr_get16(p + 6) == 1 ? QR_EIF_ARM64 : QR_EIF_X86_64;
    e->default_mem = qr_get64(p + 8);
    e->default_cpus = qr_get64(p + 16);
    e->n_section = qr_get16(p + 26);
    e->crc = qr_get32(p + CRC);
    if (qr_get16(p + 24) != 0 || qr_get32(p + UNUSED) != 0) {
        return refuse(r, QR_ERR_MALFORMED, "a reserved field of the header is not zero");
    }
    if (e->n_section < 3 || e->n_section > QR_EIF_SECTIONS) {
        return refuse(r, QR_ERR_MALFORMED,
                      "%zu sections: an image has 3 (kernel, command line, ramdisk) to %u",
                      e->n_section, QR_EIF_SECTIONS);
    }
    for (size_t i = e->n_section; i < QR_EIF_SECTIONS; i++) {
        if (qr_get64(p + OFFSETS + 8 * i) != 0 || qr_get64(p + SIZES + 8 * i) != 0) {
            return refuse(r, QR_ERR_MALFORMED,
                          "the table has an entry %zu, but the header counts %zu sections", i,
                          e->n_section);
        }
    }
    return QR_OK;
}

/* Where the section goes; refuses what may not stand here. */
static qr_err
place(const struct reader *r, size_t i, enum qr_eif_type type, qr_view v)
{
    struct qr_eif *e = r->e;
    const char *wrong = NULL;
    size_t max = QR_EIF_MAX;

    if (e->signature.len > 0) {
        return refuse(r, QR_ERR_MALFORMED, "section %zu stands after the signature", i);
    }
    switch (type) {
    case QR_EIF_KERNEL:
        wrong = i == 0 ? NULL : "the kernel is the first section, and there is one";
        e->kernel = v;
        break;
    case QR_EIF_CMDLINE:
        wrong = i == 1 ? NULL : "the command line is the second section, and there is one";
        max = QR_EIF_CMDLINE_MAX;
        e->cmdline = v;
        break;
    case QR_EIF_METADATA:
        wrong = i < 2 ? "kernel and command line come first"
                      : (e->metadata.len > 0 ? "there is metadata already" : NULL);
        max = QR_EIF_METADATA_MAX;
        e->metadata = v;
        break;
    case QR_EIF_RAMDISK:
        wrong = i < 2 ? "kernel and command line come first"
                      : (e->n_ramdisk == QR_EIF_RAMDISKS ? "too many ramdisks" : NULL);
        if (!wrong) {
            e->ramdisk[e->n_ramdisk++] = v;
        }
        break;
    case QR_EIF_SIGNATURE:
        wrong = e->n_ramdisk == 0 ? "there is no ramdisk before it" : NULL;
        max = QR_EIF_SIGNATURE_MAX;
        e->signature = v;
        break;
    default:
        return refuse(r, QR_ERR_MALFORMED, "section %zu has type %u; 1 to 5 are known", i,
                      (unsigned)type);
    }
    if (wrong) {
        return refuse(r, QR_ERR_MALFORMED, "section %zu is a %s: %s", i, qr_eif_type_name(type),
                      wrong);
    }
    if (v.len > max) {
        return refuse(r, QR_ERR_TOO_LARGE, "section %zu, the %s, has %zu bytes; the limit is %zu",
                      i, qr_eif_type_name(type), v.len, max);
    }
    return QR_OK;
}

/* The section at *at, which the table must describe in the same way. */
static qr_err
read_section(const struct reader *r, size_t i, size_t *at)
{
    const uint8_t *table = r->file.p;
    uint64_t offset = qr_get64(table + OFFSETS + 8 * i), size = qr_get64(table + SIZES + 8 * i);
    size_t left = r->file.len - *at;

    if (offset != *at) {
        return refuse(r, QR_ERR_MALFORMED,
                      "section %zu: the table puts it at %" PRIu64
                      ", but the part before it ends at "
                      "%zu: sections follow each other, without gap or overlap",
                      i, offset, *at);
    }
    if (left < QR_EIF_SECTION_HEADER || size > left - QR_EIF_SECTION_HEADER) {
        return refuse(r, QR_ERR_TRUNCATED,
                      "section %zu at %zu: a header and %" PRIu64
                      " bytes, but the file has only %zu more",
                      i, *at, size, left);
    }
    const uint8_t *head = r->file.p + *at;
    if (qr_get64(head + 4) != size) {
        return refuse(r, QR_ERR_MALFORMED,
                      "section %zu: the table says %" PRIu64 " bytes, its own header %" PRIu64, i,
                      size, qr_get64(head + 4));
    }
    if (qr_get16(head + 2) != 0) {
        return refuse(r, QR_ERR_MALFORMED, "section %zu has flags 0x%04x; there are none", i,
                      (unsigned)qr_get16(head + 2));
    }
    if (size == 0) {
        return refuse(r, QR_ERR_MALFORMED, "section %zu is empty", i);
    }
    enum qr_eif_type type = (enum qr_eif_type)qr_get16(head);
    r->e->section[i].type = type;
    r->e->section[i].offset = offset;
    r->e->section[i].size = size;
    *at += QR_EIF_SECTION_HEADER + (size_t)size;
    return place(r, i, type, qr_view_of(head + QR_EIF_SECTION_HEADER, (size_t)size));
}

qr_err
qr_eif_read(qr_view file, struct qr_eif *ret, char *err_text, size_t err_cap)
{
    struct qr_eif e = {0};
    const struct reader r = {file, &e, err_text, err_cap};
    size_t at = QR_EIF_HEADER;

    QR_TRY(read_header(&r));
    for (size_t i = 0; i < e.n_section; i++) {
        QR_TRY(read_section(&r, i, &at));
    }
    if (at != file.len) {
        return refuse(&r, QR_ERR_TRAILING, "%zu bytes follow the last section, which ends at %zu",
                      file.len - at, at);
    }
    if (e.n_ramdisk == 0) {
        return refuse(&r, QR_ERR_MALFORMED, "there is no ramdisk");
    }
    uint32_t crc = qr_eif_crc32(0, qr_view_of(file.p, CRC));
    crc = qr_eif_crc32(crc, qr_view_of(file.p + QR_EIF_HEADER, file.len - QR_EIF_HEADER));
    if (crc != e.crc) {
        return refuse(&r, QR_ERR_MALFORMED,
                      "the CRC is %08" PRIx32 ", the header says %08" PRIx32
                      ": the file was damaged or changed",
                      crc, e.crc);
    }
    *ret = e;
    return QR_OK;
}
