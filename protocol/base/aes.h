/*
 * Fixed-key AES-128 in bulk (ECB over independent blocks), through OpenSSL's EVP.
 *
 * What: one key, many blocks in one call: 1-2 ns a block with AES-NI. Used as an ideal permutation
 *       by the COT extension and the RVOLE pads (SPEC.md sections 5 and 6).
 * Constant time: in key and data, given AES-NI or ARMv8-CE; qr_aes_init refuses other machines,
 *       because table AES is not.
 */
#ifndef QR_AES_H
#define QR_AES_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

struct qr_aes; /* one EVP context, reused through qr_aes_key */

/*
 * Fetches the cipher once and checks the CPU; safe to call again. QR_ERR_CPU without AES
 * instructions, or when OPENSSL_ia32cap or OPENSSL_armcap is set and may hide them from OpenSSL;
 * QR_ERR_CRYPTO_LIB if the cipher is missing.
 */
qr_err QR_MUST qr_aes_init(void);

/*
 * Contexts are made at start-up and kept, so that no protocol step allocates. The first key is all
 * zeros. NULL when out of memory or when qr_aes_init() fails. One thread at a time per context.
 */
struct qr_aes *qr_aes_new(void);
/* Wipes the key schedule; takes NULL; returns NULL. */
struct qr_aes *qr_aes_free(struct qr_aes *a);

/* A failing library call in these two panics: nothing in a protocol could handle it. */
void qr_aes_key(struct qr_aes *a, const uint8_t key[static 16]);
/* n_blocks blocks of 16 bytes; in == out is allowed. */
void qr_aes_blocks(struct qr_aes *a, const uint8_t *in, uint8_t *out, size_t n_blocks);

#endif
