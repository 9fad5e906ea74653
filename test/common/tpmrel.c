#include "test/common/tpmrel.h"

#include "protocol/base/check.h"

#include <openssl/ec.h>
#include <openssl/x509.h>
#include <string.h>

void
tpmrel_new(struct tpmrel *r)
{
    tpmrel_of(r, EVP_EC_gen("P-256"));
}

void
tpmrel_of(struct tpmrel *r, EVP_PKEY *key)
{
    uint8_t *p = r->spki;

    *r = (struct tpmrel){.key = key};
    QR_ASSERT(r->key);
    int n = i2d_PUBKEY(r->key, &p);
    QR_ASSERT(n > 0 && (size_t)n <= sizeof r->spki);
    r->r.key = qr_view_of(r->spki, (size_t)n);
}

void
tpmrel_sign(struct tpmrel *r, uint64_t release, uint32_t mask, const uint8_t pcr[QR_TPM_PCRS][32])
{
    struct qr_buf b = qr_buf_over(r->statement, sizeof r->statement);

    r->s = (struct qr_tpm_statement){.release = release, .mask = mask};
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (mask >> i & 1) {
            memcpy(r->s.pcr[i], pcr[i], 32);
        }
    }
    QR_ASSERT(qr_tpm_statement_sign(&r->s, r->key, &b) == QR_OK);
    r->r.statement = qr_buf_view(&b);
}

void
tpmrel_free(struct tpmrel *r)
{
    EVP_PKEY_free(r->key);
    *r = (struct tpmrel){0};
}
