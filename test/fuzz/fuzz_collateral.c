/*
 * What the gateway reads about collateral: a vendor's answer of each kind, and what a party says that
 * it needs. The first byte chooses. Pieces are copies of parts of the answer, or its base64; a refusal
 * is a printable sentence; an address stands on the base that was configured, whatever was asked for.
 */
#include "daemon/gw_need.h"
#include "test/fuzz/fuzz.h"

static void
printable(const char *why)
{
    for (const char *p = why; *p; p++) {
        FUZZ_MUST(*p >= 0x20 && *p < 0x7f);
    }
}

static void
document(enum qr_doc_kind kind, qr_view in)
{
    struct qr_doc d;
    char why[160] = "";
    qr_view header = qr_view_of(NULL, 0);

    if (qr_doc_header(kind) && in.len >= 2) {
        size_t n = qr_get16(in.p);
        n = n > in.len - 2 ? in.len - 2 : n;
        header = qr_view_of(in.p + 2, n);
        in = qr_view_of(in.p + 2 + n, in.len - 2 - n);
    }
    if (qr_doc_read(kind, in, header, &d, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] != '\0');
        printable(why);
        return;
    }
    FUZZ_MUST(d.n >= 1 && d.n <= QR_DOC_PIECES);
    for (size_t i = 0; i < d.n; i++) {
        FUZZ_MUST(d.piece[i].len > 0 && d.piece[i].len <= in.len + header.len);
    }
    qr_doc_free(&d);
}

static void
needs(qr_view in)
{
    static const struct qr_need_bases bases = {
        .amd_kds = "https://a.example",
        .intel_pcs = "https://b.example",
        .intel_crl = "https://c.example",
        .azure_thim = "http://d.example",
        .google_ca = "https://f.example",
        .jwks = "https://e.example",
    };
    static struct qr_needs n;
    char why[256] = "";

    if (qr_needs_read(in, &bases, &n, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] != '\0');
        printable(why);
        return;
    }
    FUZZ_MUST(n.n <= QR_NEEDS_MAX);
    for (size_t i = 0; i < n.n; i++) {
        FUZZ_MUST(n.need[i].n >= 1 && n.need[i].n <= QR_NEED_DOCS);
        for (size_t k = 0; k < n.need[i].n; k++) {
            const char *url = n.need[i].doc[k].url;
            const char *host = strstr(url, "://");
            FUZZ_MUST(host && strncmp(host + 4, ".example/", 9) == 0);
            printable(url);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    qr_view in = qr_view_of(data + 1, size - 1);
    if (data[0] < QR_DOC_KINDS) {
        document((enum qr_doc_kind)data[0], in);
    } else {
        needs(in);
    }
    return 0;
}
