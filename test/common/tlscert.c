#include "test/common/tlscert.h"

#include "protocol/base/check.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

static void
add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    QR_ASSERT(e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

void
tlscert_write(const char *cert_path, const char *key_path)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    QR_ASSERT(k && x);
    X509_NAME *name = X509_get_subject_name(x);
    QR_ASSERT(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -60) &&
              X509_gmtime_adj(X509_getm_notAfter(x), 86400) && X509_set_pubkey(x, k) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)"quorate test", -1, -1, 0) == 1 &&
              X509_set_issuer_name(x, name) == 1);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    QR_ASSERT(X509_sign(x, k, EVP_sha256()) > 0);

    FILE *f = fopen(cert_path, "we");
    QR_ASSERT(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
    int fd = open(key_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    f = fd >= 0 ? fdopen(fd, "w") : NULL;
    QR_ASSERT(f && PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
    X509_free(x);
    EVP_PKEY_free(k);
}
