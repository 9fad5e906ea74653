/* Writes enclave image files; see eif.h. */
#include "enclave-shim/eif/eif.h"
#include "proto/json_strict.h"

#include <stdarg.h>
#include <stdio.h>

#define METADATA_VALUES 4096u

struct writer {
    const struct qr_eif *e;
    struct qr_dbuf *out;
    size_t n; /* sections written */
    char *err;
    size_t err_cap;
};

static qr_err __attribute__((format(printf, 2, 3)))
refuse(const struct writer *w, const char *format, ...)
{
    if (w->err_cap > 0) {
        va_list ap;
        va_start(ap, format);
        vsnprintf(w->err, w->err_cap, format, ap);
        va_end(ap);
    }
    return QR_ERR_MALFORMED;
}

/* ---- the parts ---- */

/* x86: "HdrS" of the boot protocol; arm64: "ARM\x64" of the Image header. */
static qr_err
check_kernel(const struct writer *w)
{
    qr_view k = w->e->kernel;

    if (w->e->arch == QR_EIF_X86_64 && (k.len < 0x206 || memcmp(k.p + 0x202, "HdrS", 4) != 0)) {
        return refuse(w, "the kernel is no bzImage, which an x86_64 enclave starts from");
    }
    if (w->e->arch == QR_EIF_ARM64 && (k.len < 60 || memcmp(k.p + 56, "ARM\x64", 4) != 0)) {
        return refuse(w, "the kernel is no arm64 Image (is it compressed?)");
    }
    return QR_OK;
}

static qr_err
check_cmdline(const struct writer *w)
{
    qr_view c = w->e->cmdline;

    if (c.len == 0 || c.len > QR_EIF_CMDLINE_MAX) {
        return refuse(w, "the command line has %zu bytes; 1 to %u are possible", c.len,
                      QR_EIF_CMDLINE_MAX);
    }
    for (size_t i = 0; i < c.len; i++) {
        if (c.p[i] < 0x20 || c.p[i] > 0x7e) {
            return refuse(w, "the command line has the byte 0x%02x at %zu: printable ASCII only",
                          c.p[i], i);
        }
    }
    return QR_OK;
}

static qr_err
check_metadata(const struct writer *w)
{
    struct qr_json j;
    char why[QR_ERR_TEXT_MAX] = "";
    qr_view m = w->e->metadata;

    if (m.len == 0) {
        return QR_OK;
    }
    if (m.len > QR_EIF_METADATA_MAX) {
        return refuse(w, "the metadata has %zu bytes; the limit is %u", m.len, QR_EIF_METADATA_MAX);
    }
    qr_err e = qr_json_parse_foreign(&j, m, METADATA_VALUES, why, sizeof why);
    if (e != QR_OK) {
        return refuse(w, "the metadata is no JSON: %s", why);
    }
    qr_json_clear(&j);
    return m.p[0] == '{' ? QR_OK : refuse(w, "the metadata is no JSON object");
}

static qr_err
check_ramdisks(const struct writer *w)
{
    if (w->e->n_ramdisk == 0 || w->e->n_ramdisk > QR_EIF_RAMDISKS) {
        return refuse(w, "%zu ramdisks; 1 to %u are possible", w->e->n_ramdisk, QR_EIF_RAMDISKS);
    }
    for (size_t i = 0; i < w->e->n_ramdisk; i++) {
        qr_view v = w->e->ramdisk[i];
        if (v.len < 6 || (memcmp(v.p, "070701", 6) != 0 && memcmp(v.p, "\x1f\x8b\x08", 3) != 0)) {
            return refuse(w, "ramdisk %zu is neither a newc archive nor gzip", i + 1);
        }
    }
    return QR_OK;
}

/* ---- the file ---- */

/* The sections' sum cannot wrap: each is a buffer in memory, and the total stays below QR_EIF_MAX. */
static qr_err
put_section(struct writer *w, enum qr_eif_type type, qr_view v)
{
    uint8_t head[QR_EIF_SECTION_HEADER] = {0};

    if (v.len > QR_EIF_MAX || w->out->len > QR_EIF_MAX - sizeof head - v.len) {
        (void)refuse(w, "the image would be longer than %u bytes", QR_EIF_MAX);
        return QR_ERR_TOO_LARGE;
    }
    qr_put64(w->out->p + 28 + 8 * w->n, w->out->len);
    qr_put64(w->out->p + 28 + 8 * (QR_EIF_SECTIONS + w->n), v.len);
    w->n++;
    qr_put16(head, (uint16_t)type);
    qr_put64(head + 4, v.len);
    QR_TRY(qr_dbuf_append(w->out, head, sizeof head));
    return qr_dbuf_append(w->out, v.p, v.len);
}

static qr_err
put_sections(struct writer *w)
{
    const struct qr_eif *e = w->e;

    QR_TRY(put_section(w, QR_EIF_KERNEL, e->kernel));
    QR_TRY(put_section(w, QR_EIF_CMDLINE, e->cmdline));
    if (e->metadata.len > 0) {
        QR_TRY(put_section(w, QR_EIF_METADATA, e->metadata));
    }
    for (size_t i = 0; i < e->n_ramdisk; i++) {
        QR_TRY(put_section(w, QR_EIF_RAMDISK, e->ramdisk[i]));
    }
    if (e->signature.len > 0) {
        if (e->signature.len > QR_EIF_SIGNATURE_MAX) {
            return refuse(w, "the signature has %zu bytes; the limit is %u", e->signature.len,
                          QR_EIF_SIGNATURE_MAX);
        }
        QR_TRY(put_section(w, QR_EIF_SIGNATURE, e->signature));
    }
    return QR_OK;
}

qr_err
qr_eif_write(const struct qr_eif *e, struct qr_dbuf *out, char *err_text, size_t err_cap)
{
    struct writer w = {.e = e, .out = out, .err = err_text, .err_cap = err_cap};
    uint8_t head[QR_EIF_HEADER] = {'.', 'e', 'i', 'f'};

    if (err_cap > 0) {
        err_text[0] = '\0';
    }
    QR_TRY(check_kernel(&w));
    QR_TRY(check_cmdline(&w));
    QR_TRY(check_metadata(&w));
    QR_TRY(check_ramdisks(&w));
    qr_put16(head + 4, QR_EIF_VERSION);
    qr_put16(head + 6, e->arch == QR_EIF_ARM64 ? 1 : 0);
    qr_put64(head + 8, e->default_mem);
    qr_put64(head + 16, e->default_cpus);
    out->len = 0;
    QR_TRY(qr_dbuf_append(out, head, sizeof head));
    QR_TRY(put_sections(&w));
    qr_put16(out->p + 26, (uint16_t)w.n);
    uint32_t crc = qr_eif_crc32(0, qr_view_of(out->p, QR_EIF_HEADER - 4));
    crc = qr_eif_crc32(crc, qr_view_of(out->p + QR_EIF_HEADER, out->len - QR_EIF_HEADER));
    qr_put32(out->p + QR_EIF_HEADER - 4, crc);
    return QR_OK;
}
