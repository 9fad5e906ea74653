/* DER values: what is read is written back as the same bytes; identifiers agree with OpenSSL's text. */
#include "enclave-shim/verify/der.h"
#include "test/common/evgen_ca.h"
#include "test/fuzz/fuzz.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>

static void
integer(qr_view v)
{
    uint64_t u = 0;
    uint8_t out[16];
    struct evgen_buf b = evgen_buf_over(out, sizeof out);
    if (qr_der_uint(v, &u) == QR_OK) {
        evgen_der_put_uint(&b, u);
        FUZZ_MUST(qr_view_eq(qr_view_of(out + 2, b.len - 2), v));
    }
}

static void
identifier(qr_view whole, qr_view v)
{
    static const char *const known[] = {"1.2.840.113741.1.13.1", "1.3.6.1.4.1.3704.1.3.8",
                                        "2.5.29.15"};
    char text[512];
    const unsigned char *p = whole.p;
    ASN1_OBJECT *o = d2i_ASN1_OBJECT(NULL, &p, (long)whole.len);
    if (!o) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            FUZZ_MUST(!qr_der_is_oid(v, known[i]));
        }
        return;
    }
    int n = OBJ_obj2txt(text, sizeof text, o, 1);
    if (n > 0 && (size_t)n < sizeof text) {
        /* arcs above 32 bits and more are nobody's here: never equal */
        int same = qr_der_is_oid(v, text);
        size_t run = 0;
        int small = 1;
        for (const char *c = text; *c; c++) {
            run = *c == '.' ? 0 : run + 1;
            small &= run <= 9;
        }
        FUZZ_MUST(same || !small);
    }
    ASN1_OBJECT_free(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[1 << 20];
    struct qr_der d = qr_der_of(qr_view_of(data, size));
    size_t before = d.left;
    uint8_t tag = 0;
    qr_view v;

    if (size > sizeof out - 16) {
        return 0;
    }
    while (qr_der_next(&d, &tag, &v) == QR_OK) {
        struct evgen_buf b = evgen_buf_over(out, sizeof out);
        const uint8_t *start = d.p - (before - d.left);
        struct qr_der again = qr_der_of(qr_view_of(start, before));
        qr_view same;
        evgen_der_put(&b, tag, v);
        FUZZ_MUST(qr_view_eq(evgen_buf_view(&b), qr_view_of(start, before - d.left)));
        FUZZ_MUST(qr_der_want(&again, tag ^ 1u, &same) == QR_ERR_MALFORMED && again.left == before);
        FUZZ_MUST(qr_der_want(&again, tag, &same) == QR_OK && again.left == d.left);
        integer(v);
        if (tag == 0x06) {
            identifier(qr_view_of(start, before - d.left), v);
        }
        if ((tag & 0x20) != 0 && v.len > 0) { /* constructed: its inside is the rest */
            d = qr_der_of(v);
        }
        before = d.left;
    }
    FUZZ_MUST(d.left == before);
    return 0;
}
