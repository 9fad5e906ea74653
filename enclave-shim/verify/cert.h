/*
 * qr_cert: X.509 as attestation needs it: a chain in a given order that ends in a pinned root.
 *
 * What: strict parsing of DER and PEM, signatures leaf to root in the order given (no path building,
 *       no trust store, no fetching), dates, CRLs, extensions as raw DER.
 * Why: vendors break the general rules (serial 0, no basicConstraints on AMD's leaves), and each
 *      platform knows exactly which certificates it expects, in which order.
 * Invariants: bytes after a DER certificate are an error; at most QR_CERTS_MAX certificates of at
 *             most 8 KiB; the root is believed by fingerprint only.
 * Library: OpenSSL. Thread rules: one thread at a time.
 */
#ifndef QR_CERT_H
#define QR_CERT_H

#include "enclave-shim/verify/roots.h"
#include "enclave-shim/verify/verdict.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define QR_CERTS_MAX 8u

struct qr_certs {
    size_t n;
    X509 *x[QR_CERTS_MAX];     /* leaf first, root last */
    qr_view der[QR_CERTS_MAX]; /* as it came; for PEM: into `decoded` */
    uint8_t *decoded;          /* heap, PEM only */
    size_t decoded_len;
};

/* Appends one DER certificate. Fails `v` at `c` with MALFORMED, TRAILING_DATA or RESOURCE_LIMIT. */
qr_err QR_MUST qr_certs_add_der(struct qr_certs *s, qr_view der, struct qr_verdict *v,
                                enum qr_check c, const char *what);
/* Appends every certificate of a PEM text, in order; only white space and one NUL may lie between. */
qr_err QR_MUST qr_certs_add_pem(struct qr_certs *s, qr_view pem, struct qr_verdict *v,
                                enum qr_check c, const char *what);
void qr_certs_free(struct qr_certs *s);

/*
 * Signatures of certificates that were found good: SHA-256 over the certificate and its issuer's
 * certificate, whole, the last QR_LINKS_MAX of them. P-384 takes 0.7 ms with OpenSSL 3.0, and a
 * peer's chain is the same for hours. Only the signature is spared: names, roles, dates, lists and
 * the root are looked at each time, and a certificate that differs in one bit is not in here. The
 * caller owns it; all zero is empty.
 */
#define QR_LINKS_MAX 64u
struct qr_links {
    size_t n, next; /* entries; where the next one goes */
    uint8_t good[QR_LINKS_MAX][32];
};

/* How strict a chain is looked at; zero is the plain case. */
struct qr_chain_rules {
    enum qr_vendor_root root;
    int64_t now_ms; /* < 0: dates are not looked at, and VALIDITY stays unrecorded */
    int64_t not_before_skew_ms;
    int ca_unmarked_leaf;   /* 1: the leaf needs no basicConstraints or keyUsage (AMD) */
    int key_type;           /* EVP_PKEY_EC or EVP_PKEY_RSA of the CAs; 0: either */
    struct qr_links *links; /* NULL: every signature is checked */
};

/*
 * Root pinned and self-issued (its own signature proves nothing that the fingerprint does not); each
 * certificate signed by the next, issuer and subject names match; CAs have CA:TRUE and keyCertSign where those extensions exist, and path lengths hold; dates.
 * Records ROOT, CHAIN, VALIDITY. Reasons: UNTRUSTED_ROOT, CHAIN, EXPIRED, NOT_YET_VALID.
 * Order of failures: root, chain, dates.
 */
qr_err QR_MUST qr_chain_verify(const struct qr_certs *s, const struct qr_roots *roots,
                               const struct qr_chain_rules *rules, struct qr_verdict *v);
/*
 * The dates alone, for a verifier that tells what a certificate endorses before it tells its age: it
 * has given qr_chain_verify no time. rules->now_ms >= 0. Records VALIDITY.
 */
qr_err QR_MUST qr_chain_dates(const struct qr_certs *s, const struct qr_chain_rules *rules,
                              struct qr_verdict *v);

/* What a list says of itself. */
struct qr_crl_facts {
    uint64_t number; /* 0 when it has none, or one of more than 8 bytes */
    int64_t this_ms, next_ms;
};

/*
 * A CRL of issuer `ca` against `cert`: parsed whole, issued and signed by that CA, in date, complete
 * for that kind of certificate. Reasons: MALFORMED, TRAILING_DATA, COLLATERAL_MISMATCH (other issuer,
 * other scope), UNSUPPORTED (delta, indirect, by reason, unknown critical extension), SIGNATURE,
 * COLLATERAL_EXPIRED, NOT_YET_VALID, REVOKED. Records CRL only on failure: the caller passes it when
 * all lists are done. cert may be NULL: the list alone. ret may be NULL. qr_run_crl (verify_int.h)
 * also sees to rollback.
 */
qr_err QR_MUST qr_crl_check(qr_view der, X509 *ca, X509 *cert, int64_t now_ms, struct qr_verdict *v,
                            const char *what, struct qr_crl_facts *ret);

void qr_cert_sha256(qr_view der, uint8_t out[static 32]);
/* Common name, or an empty string; at most cap - 1 bytes, '?' for what does not print. */
void qr_cert_cn(X509 *x, char *out, size_t cap);
/* All of the subject as RFC 4514 text ("CN=...,O=..."), cut at cap. */
void qr_cert_subject(X509 *x, char *out, size_t cap);
/* Dates in unix milliseconds. 1 when both could be read. */
int qr_cert_dates(X509 *x, int64_t *ret_from_ms, int64_t *ret_to_ms);
/* The bytes inside an extension's OCTET STRING; NULL view when there is none. OID in dots. */
qr_view qr_cert_ext(X509 *x, const char *oid);
/* The SubjectPublicKeyInfo's DER, hashed. 1 on success. */
int qr_key_sha256(EVP_PKEY *k, uint8_t out[static 32]);

#endif
