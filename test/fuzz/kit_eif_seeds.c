/* The named seeds of the target eif: a signed image of nothing, an unsigned one, the section alone. */
#include "test/fuzz/kit_eif_seeds.h"

#include "enclave-shim/eif/eif_sig.h"
#include "test/common/evgen_ca.h"

#include <openssl/bio.h>
#include <openssl/pem.h>

/* A throwaway certificate, as PEM. */
static size_t
certificate(char *out, int cap)
{
    struct evgen_der der;
    EVP_PKEY *k = evgen_key(EVGEN_P384, 0);
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=r", k, "CN=r", k, 0);

    evgen_cert(&s, &der);
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    BIO *b = BIO_new(BIO_s_mem());
    FUZZ_MUST(x && b && PEM_write_bio_X509(b, x) == 1);
    int n = BIO_read(b, out, cap);
    FUZZ_MUST(n > 0);
    BIO_free(b);
    X509_free(x);
    return (size_t)n;
}

void
fuzz_seeds_eif(qr_seed_fn seed)
{
    static uint8_t kernel[0x206];
    static char pem[4096];
    struct qr_dbuf sig, file;
    uint8_t pcr0[QR_EIF_PCR];
    char err[QR_EIF_ERR_MAX];
    struct qr_eif e = {.kernel = qr_view_of(kernel, sizeof kernel),
                       .cmdline = qr_view_str("c"),
                       .metadata = qr_view_str("{}"),
                       .n_ramdisk = 2,
                       .ramdisk = {qr_view_str("070701a"), qr_view_str("070701b")}};

    memcpy(kernel + 0x202, "HdrS", 4);
    qr_dbuf_init(&sig, QR_EIF_SIGNATURE_MAX);
    qr_dbuf_init(&file, QR_EIF_MAX);
    FUZZ_MUST(qr_eif_pcr0(&e, pcr0) == QR_OK);
    qr_view cert = qr_view_of(pem, certificate(pem, sizeof pem));
    FUZZ_MUST(qr_eif_sig_write(evgen_key(EVGEN_P384, 0), cert, pcr0, &sig, err, sizeof err) ==
              QR_OK);
    FUZZ_MUST(qr_eif_write(&e, &file, err, sizeof err) == QR_OK);
    seed("eif", "unsigned", 0, qr_view_of(file.p, file.len));
    seed("eif", "unsigned_any_crc", 1, qr_view_of(file.p, file.len));
    e.signature = qr_view_of(sig.p, sig.len);
    FUZZ_MUST(qr_eif_write(&e, &file, err, sizeof err) == QR_OK);
    seed("eif", "signed", 0, qr_view_of(file.p, file.len));
    seed("eif", "signed_any_crc", 1, qr_view_of(file.p, file.len));
    seed("eif", "section", 2, qr_view_of(sig.p, sig.len));
    qr_dbuf_free(&sig);
    qr_dbuf_free(&file);
}
