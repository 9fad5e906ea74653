/*
 * Enclave images. The first byte chooses: the bytes as a file; the same with the CRC put right, so that
 * what lies behind it is reached; a signature section.
 *
 * Beyond "no crash": every view of an accepted image lies inside the file, sections tile it without a
 * gap, and its parts written again are the same file; a refusal is a printable sentence.
 */
#include "enclave-shim/eif/eif_sig.h"
#include "test/fuzz/kit.h"

#define CRC_AT (QR_EIF_HEADER - 4u)

static void
sentence(const char *err)
{
    FUZZ_MUST(err[0]);
    for (const char *p = err; *p; p++) {
        FUZZ_MUST(*p >= 0x20 && *p < 0x7f);
    }
}

static void
inside(qr_view file, qr_view v)
{
    FUZZ_MUST(v.len == 0 || (v.p >= file.p && v.p + v.len <= file.p + file.len));
}

static void
image(qr_view file)
{
    struct qr_eif e;
    struct qr_dbuf again;
    char err[QR_EIF_ERR_MAX] = "";
    size_t at = QR_EIF_HEADER;

    if (qr_eif_read(file, &e, err, sizeof err) != QR_OK) {
        sentence(err);
        return;
    }
    inside(file, e.kernel);
    inside(file, e.cmdline);
    inside(file, e.metadata);
    inside(file, e.signature);
    for (size_t i = 0; i < e.n_ramdisk; i++) {
        inside(file, e.ramdisk[i]);
    }
    for (size_t i = 0; i < e.n_section; i++) {
        FUZZ_MUST(e.section[i].offset == at);
        at += QR_EIF_SECTION_HEADER + e.section[i].size;
    }
    FUZZ_MUST(at == file.len);
    struct qr_eif_pcrs p;
    (void)!qr_eif_measure(&e, &p);
    /* Metadata may stand elsewhere in a file of others; ours has it third. */
    qr_dbuf_init(&again, QR_EIF_MAX);
    if (qr_eif_write(&e, &again, err, sizeof err) == QR_OK &&
        (e.metadata.len == 0 || e.section[2].type == QR_EIF_METADATA)) {
        FUZZ_MUST(qr_view_eq(qr_view_of(again.p, again.len), file));
    }
    qr_dbuf_free(&again);
}

static void
section(qr_view v)
{
    static struct qr_eif_sig s;
    char err[QR_EIF_ERR_MAX] = "";

    if (qr_eif_sig_read(v, &s, err, sizeof err) != QR_OK) {
        sentence(err);
        return;
    }
    FUZZ_MUST(s.cert_der_len > 0 && s.cert_der_len <= sizeof s.cert_der);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[65536];
    struct fuzz_in in = fuzz_in_of(data, size < sizeof copy ? size : sizeof copy);
    unsigned mode = fuzz_u8(&in) % 3u;
    qr_view v = fuzz_take(&in, in.len);

    if (mode == 0) {
        image(v);
    } else if (mode == 1 && v.len >= QR_EIF_HEADER) {
        memcpy(copy, v.p, v.len);
        uint32_t crc = qr_eif_crc32(0, qr_view_of(copy, CRC_AT));
        crc = qr_eif_crc32(crc, qr_view_of(copy + QR_EIF_HEADER, v.len - QR_EIF_HEADER));
        qr_put32(copy + CRC_AT, crc);
        image(qr_view_of(copy, v.len));
    } else {
        section(v);
    }
    return 0;
}
