/*
 * qr_cms: what KMS answers a Nitro enclave with: 32 bytes in a CMS EnvelopedData for one RSA key.
 *
 * What: ContentInfo(envelopedData){ version 2, one KeyTransRecipientInfo of version 2 by subject key
 *       identifier, RSAES-OAEP with SHA-256 and MGF1-SHA-256, AES-256-CBC content of type data }.
 * Why own: KMS writes this one shape, in BER with indefinite lengths around DER parts. OpenSSL's CMS
 *       takes a hundred others (other recipients, passwords, originators' certificates, attributes,
 *       streamed content of any length) from whoever sits behind the socket; what is read here
 *       allocates nothing and has one way through. OpenSSL does the RSA and the AES.
 * Bounds: QR_CMS_MAX bytes; the recipient identifier 1..64, the wrapped key exactly 256, the content
 *       exactly 48 bytes in 1..4 pieces. Bytes behind the end are refused.
 * CBC has no tag. What is decrypted is believed because TLS brought it and because the sealed local
 *       part opens with it (nitro.c); the RSA key is made for one opening and gone after, so that no
 *       answer about a padding says anything about another message.
 * Source: RFC 5652 section 6, RFC 3560, RFC 3565; the shape: published answers of KMS.
 */
#ifndef QR_CMS_H
#define QR_CMS_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "protocol/base/view.h"

#include <openssl/evp.h>

#define QR_CMS_MAX 6144u
#define QR_CMS_WRAPPED 256u /* RSA-2048 */
#define QR_CMS_CONTENT 48u  /* 32 bytes and a block of padding */

struct qr_cms {
    qr_view wrapped; /* the content's key under ours */
    uint8_t iv[16];
    uint8_t content[QR_CMS_CONTENT];
};

/* MALFORMED (*ret_what: the part that is not as above), TRAILING, TOO_LARGE. Views into `der`. */
qr_err QR_MUST qr_cms_parse(qr_view der, struct qr_cms *ret, const char **ret_what);
/* SEAL: made for another key, or changed. NO_MEMORY, CRYPTO_LIB. */
qr_err QR_MUST qr_cms_decrypt(const struct qr_cms *c, EVP_PKEY *key, struct qr_sec32 *ret);

#endif
