/*
 * tpmrel: release keys and statements for tests: a release signed for what a TPM holds right now.
 *
 * Rules: a failure of the generator ends the program. One thread; keep the struct static.
 */
#ifndef TEST_TPMREL_H
#define TEST_TPMREL_H

#include "enclave-shim/tpm/tpm_release.h"

#include <openssl/evp.h>

struct tpmrel {
    EVP_PKEY *key;
    uint8_t spki[128], statement[QR_TPM_STATEMENT_MAX];
    struct qr_tpm_statement s;
    struct qr_tpm_release r; /* views into the above */
};

/* A key of its own. */
void tpmrel_new(struct tpmrel *r);
/* This one, which it takes over. */
void tpmrel_of(struct tpmrel *r, EVP_PKEY *key);
/* This release, signed for these values. */
void tpmrel_sign(struct tpmrel *r, uint64_t release, uint32_t mask,
                 const uint8_t pcr[QR_TPM_PCRS][32]);
void tpmrel_free(struct tpmrel *r);

#endif
