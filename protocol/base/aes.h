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

/* Fetches the cipher once and checks the CPU; safe to call again. */
qr_err QR_MUST qr_aes_init(void);

/* Contexts are made at start-up and kept, so that no protocol step allocates. */
struct qr_aes *qr_aes_new(void);
struct qr_aes *qr_aes_free(struct qr_aes *a);

void qr_aes_key(struct qr_aes *a, const uint8_t key[static 16]);
/* n_blocks blocks of 16 bytes; in == out is allowed. */
void qr_aes_blocks(struct qr_aes *a, const uint8_t *in, uint8_t *out, size_t n_blocks);

#endif
