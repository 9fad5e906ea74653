/*
 * qr_eif_sig: the signature section of an enclave image.
 *
 * What: CBOR, an array of one map {"signing_certificate": the PEM's bytes, "signature": the bytes of a
 *       COSE_Sign1}, both as arrays of small integers and not as byte strings, because that is what the
 *       first writer's serialiser made of them. The COSE_Sign1 [h'a1013822', {}, payload, r || s] is
 *       ES384 over ["Signature1", protected, h'', payload]; the payload is {"register_index": 0,
 *       "register_value": the 48 bytes of PCR0, again as an array}.
 * Why: PCR8 is the hash of the certificate alone. The hypervisor checks the signature over PCR0 before
 *      it starts the image, so that a policy that pins PCR8 accepts what this key signed.
 * Invariants: one certificate, P-384, nothing beside it; exactly these members, each once, in this
 *      order, in shortest form. Signatures are deterministic (RFC 6979, HMAC-SHA-384), so that a signed
 *      image is as reproducible as an unsigned one, and each is verified before it is given out.
 * Source: AWS's crate, eif_signer.rs and utils; RFC 9052; RFC 6979 (test vectors A.2.6).
 */
#ifndef QR_EIF_SIG_H
#define QR_EIF_SIG_H

#include "enclave-shim/eif/eif.h"
#include "enclave-shim/eif/eif_pcr.h"

#include <openssl/evp.h>

#define QR_EIF_CERT_MAX 16384u

struct qr_eif_sig {
    uint8_t cert_der[QR_EIF_CERT_MAX];
    size_t cert_der_len;
    char subject[256];
    int64_t from_ms, until_ms; /* the certificate's dates, Unix milliseconds */
    uint8_t pcr0[QR_EIF_PCR];  /* what was signed */
    int valid;                 /* 1: the certificate's key signed this PCR0 */
};

/*
 * Reads a section and checks its signature over the PCR0 it carries; the caller compares that with the
 * image's. Dates are reported, not judged: the hypervisor judges them when it starts the image.
 * Errors: MALFORMED; VERSION (a key or an algorithm other than P-384 and ES384).
 */
qr_err QR_MUST qr_eif_sig_read(qr_view section, struct qr_eif_sig *ret, char *err_text,
                               size_t err_cap);

/*
 * Appends a section that signs pcr0. key: P-384, private; cert_pem: one certificate of that key.
 * Constant time in the key as far as OpenSSL's big numbers are (BN_FLG_CONSTTIME); meant for the
 * machine that makes releases. Errors: MALFORMED (they do not fit each other); CRYPTO_LIB.
 */
qr_err QR_MUST qr_eif_sig_write(EVP_PKEY *key, qr_view cert_pem,
                                const uint8_t pcr0[static QR_EIF_PCR], struct qr_dbuf *out,
                                char *err_text, size_t err_cap);

/* RFC 6979 with P-384 and SHA-384 over a digest; raw = r || s. For the writer, and its test. */
qr_err QR_MUST qr_eif_es384(EVP_PKEY *key, const uint8_t digest[static 48], uint8_t raw[static 96]);

#endif
