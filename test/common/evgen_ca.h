/*
 * evgen_ca: throwaway certificate authorities and signatures for the evidence generators.
 *
 * What: keys, certificates, CRLs, signatures, DER and byte helpers, all under the test's control: a
 *       certificate may be as wrong as one likes, and is always properly signed by whom one names.
 * Keys are the same in every run: an EC key is made from its slot's number, an RSA key from primes
 *       that stand in evgen_keys.c. They are public, so nothing but a test may ever believe them.
 * A failure of the generator itself ends the program: it is a bug of the test. One thread.
 */
#ifndef TEST_EVGEN_CA_H
#define TEST_EVGEN_CA_H

#include "enclave-shim/verify/roots.h"
#include "enclave-shim/verify/sig.h"

#include <openssl/evp.h>

/* A time at which certificates of `evgen_cert_spec_of` are valid: 2026-01-01T00:00:00Z. */
#define EVGEN_NOW_MS INT64_C(1767225600000)
#define EVGEN_DAY_MS INT64_C(86400000)

enum evgen_key_kind { EVGEN_P256, EVGEN_P384, EVGEN_RSA2048, EVGEN_RSA4096 };
#define EVGEN_EC_SLOTS 16u
#define EVGEN_RSA_SLOTS 3u
/* The key of this kind and slot; made at the first call, kept for ever, never freed by the caller. */
EVP_PKEY *evgen_key(enum evgen_key_kind kind, unsigned slot);
/* x || y of an EC key: 64 or 96 bytes. Returns the length. */
size_t evgen_key_xy(EVP_PKEY *k, uint8_t *out);
/* The modulus, big-endian, without leading zeros: 256 or 512 bytes. e is 65537. */
size_t evgen_key_modulus(EVP_PKEY *k, uint8_t *out);

enum evgen_sig {
    EVGEN_ECDSA_SHA256,
    EVGEN_ECDSA_SHA384,
    EVGEN_RSA_PSS_SHA384, /* salt 48, MGF1 with SHA-384, as AMD signs */
    EVGEN_RSA_SHA256,     /* PKCS#1 v1.5 */
    EVGEN_RSA_SHA384,
    EVGEN_RSA_SHA1, /* what no one may accept any more */
};

#define EVGEN_DER_MAX 8192u
struct evgen_der {
    size_t len;
    uint8_t p[EVGEN_DER_MAX];
};
static inline qr_view
evgen_view(const struct evgen_der *d)
{
    return qr_view_of(d->p, d->len);
}

/* keyUsage bits as RFC 5280 numbers them, for key_usage below. */
#define EVGEN_KU_SIGN (1u << 0)      /* digitalSignature */
#define EVGEN_KU_CERT_SIGN (1u << 5) /* keyCertSign */
#define EVGEN_KU_CRL_SIGN (1u << 6)  /* cRLSign */

struct evgen_ext {
    const char *oid; /* in dots */
    qr_view value;   /* what the OCTET STRING holds, as it is */
    int critical;
};
#define EVGEN_EXTS 24u

struct evgen_cert_spec {
    const char *subject, *issuer; /* "CN=a,O=b,C=US"; no commas or escapes in values */
    EVP_PKEY *key;                /* of the subject */
    EVP_PKEY *signer;
    enum evgen_sig sig;
    uint64_t serial;
    int64_t from_ms, to_ms;
    int ca;             /* 1: CA:TRUE, 0: CA:FALSE, -1: no basicConstraints */
    int pathlen;        /* -1: none */
    unsigned key_usage; /* 0: no keyUsage */
    int bad_signature;  /* 1: a bit of the signature is flipped at the end */
    size_t n_ext;
    struct evgen_ext ext[EVGEN_EXTS];
};

/*
 * Plain values: valid from a year before EVGEN_NOW_MS to nine after, serial 4711, ECDSA-SHA384 for a
 * P-384 signer, SHA256 for a P-256 one, RSA-PSS for an RSA one. ca 1: CA:TRUE, no path length,
 * keyCertSign and cRLSign; ca 0: CA:FALSE and digitalSignature; ca -1: neither extension.
 */
struct evgen_cert_spec evgen_cert_spec_of(const char *subject, EVP_PKEY *key, const char *issuer,
                                          EVP_PKEY *signer, int ca);
void evgen_spec_add_ext(struct evgen_cert_spec *s, const char *oid, qr_view value, int critical);
void evgen_cert(const struct evgen_cert_spec *s, struct evgen_der *ret);

#define EVGEN_REVOKED 8u
struct evgen_crl_spec {
    const char *issuer;
    EVP_PKEY *signer;
    enum evgen_sig sig;
    int64_t this_ms, next_ms; /* next_ms < 0: no nextUpdate */
    uint64_t number;          /* UINT64_MAX: no CRL number */
    int bad_signature;
    size_t n_revoked;
    uint64_t revoked[EVGEN_REVOKED];
    size_t n_ext;
    struct evgen_ext ext[4];
};
/* From a day before EVGEN_NOW_MS to 29 days after, number 1, nothing revoked. */
struct evgen_crl_spec evgen_crl_spec_of(const char *issuer, EVP_PKEY *signer);
void evgen_crl(const struct evgen_crl_spec *s, struct evgen_der *ret);

/* Adds the certificate's fingerprint to the pins of v. */
void evgen_pin(struct qr_roots *r, enum qr_vendor_root v, const struct evgen_der *cert);

/* Signatures over msg. raw: r || s, 64 or 96 bytes. Each returns the length. */
size_t evgen_sign_raw(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, uint8_t *out);
size_t evgen_sign_der(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, uint8_t *out, size_t cap);
/* pss: salt as long as the hash. */
size_t evgen_sign_rsa(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, uint8_t *out,
                      size_t cap);
void evgen_sha256(qr_view v, uint8_t out[static 32]);
void evgen_sha384(qr_view v, uint8_t out[static 48]);

/* Bytes in the making; overrunning ends the program. */
#define EVGEN_BUF_MAX (256u * 1024u)
struct evgen_buf {
    uint8_t *p; /* the caller's */
    size_t cap, len;
};
struct evgen_buf evgen_buf_over(void *mem, size_t cap);
static inline qr_view
evgen_buf_view(const struct evgen_buf *b)
{
    return qr_view_of(b->p, b->len);
}
void evgen_put(struct evgen_buf *b, const void *p, size_t n);
void evgen_put_view(struct evgen_buf *b, qr_view v);
void evgen_put_str(struct evgen_buf *b, const char *s);
void evgen_fill(struct evgen_buf *b, uint8_t byte, size_t n);
void evgen_put_le(struct evgen_buf *b, uint64_t v, size_t n); /* n bytes */
void evgen_put_be(struct evgen_buf *b, uint64_t v, size_t n);
/* In place, at offset; within what was put. */
void evgen_patch(struct evgen_buf *b, size_t at, const void *p, size_t n);
void evgen_patch_le(struct evgen_buf *b, size_t at, uint64_t v, size_t n);
void evgen_patch_be(struct evgen_buf *b, size_t at, uint64_t v, size_t n);
/* The same over plain memory. */
void evgen_set_le(uint8_t *p, uint64_t v, size_t n);
void evgen_set_be(uint8_t *p, uint64_t v, size_t n);

/* DER: identifier octet, definite minimal length, content. */
void evgen_der_put(struct evgen_buf *b, uint8_t tag, qr_view content);
void evgen_der_put_uint(struct evgen_buf *b, uint64_t v); /* INTEGER */
void evgen_der_put_oid(struct evgen_buf *b, const char *dots);
/* One "-----BEGIN CERTIFICATE-----" block with lines of 64 characters and a newline at the end. */
void evgen_put_pem(struct evgen_buf *b, const struct evgen_der *cert);
/* Lower-case hex. */
void evgen_put_hex(struct evgen_buf *b, qr_view v);

#endif
