/* Certificates, revocation lists and bytes of evgen_ca.h; keys and signatures are in evgen_keys.c. */
#include "test/common/evgen_ca.h"

#include "protocol/base/enc.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(cond) ((cond) ? (void)0 : die(__LINE__, #cond))

static void
die(int line, const char *what)
{
    (void)fprintf(stderr, "evgen_ca.c:%d: %s\n", line, what);
    abort();
}

/* ---- certificates ---- */

static X509_NAME *
name_of(const char *text)
{
    X509_NAME *name = X509_NAME_new();
    char part[160];
    while (*text) {
        size_t n = strcspn(text, ",");
        MUST(n < sizeof part);
        memcpy(part, text, n);
        part[n] = 0;
        char *eq = strchr(part, '=');
        MUST(eq);
        *eq = 0;
        MUST(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)eq + 1,
                                        -1, -1, 0) == 1);
        text += n + (text[n] == ',');
    }
    return name;
}

static ASN1_TIME *
time_of(int64_t ms)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)(ms / 1000));
    MUST(t);
    return t;
}

static EVP_MD_CTX *
signing(EVP_PKEY *signer, enum evgen_sig sig)
{
    const EVP_MD *md = sig == EVGEN_ECDSA_SHA256 || sig == EVGEN_RSA_SHA256 ? EVP_sha256()
                       : sig == EVGEN_RSA_SHA1                              ? EVP_sha1()
                                                                            : EVP_sha384();
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    MUST(ctx && EVP_DigestSignInit(ctx, &pctx, md, NULL, signer) == 1);
    if (sig == EVGEN_RSA_PSS_SHA384) {
        MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48) == 1);
    }
    return ctx;
}

static enum evgen_sig
usual_sig(EVP_PKEY *signer)
{
    return EVP_PKEY_is_a(signer, "RSA")       ? EVGEN_RSA_PSS_SHA384
           : EVP_PKEY_get_bits(signer) == 384 ? EVGEN_ECDSA_SHA384
                                              : EVGEN_ECDSA_SHA256;
}

struct evgen_cert_spec
evgen_cert_spec_of(const char *subject, EVP_PKEY *key, const char *issuer, EVP_PKEY *signer, int ca)
{
    return (struct evgen_cert_spec){
        .subject = subject,
        .issuer = issuer,
        .key = key,
        .signer = signer,
        .sig = usual_sig(signer),
        .serial = 4711,
        .from_ms = EVGEN_NOW_MS - 365 * EVGEN_DAY_MS,
        .to_ms = EVGEN_NOW_MS + 9 * 365 * EVGEN_DAY_MS,
        .ca = ca,
        .pathlen = -1,
        .key_usage = ca == 1   ? EVGEN_KU_CERT_SIGN | EVGEN_KU_CRL_SIGN
                     : ca == 0 ? EVGEN_KU_SIGN
                               : 0,
    };
}

void
evgen_spec_add_ext(struct evgen_cert_spec *s, const char *oid, qr_view value, int critical)
{
    MUST(s->n_ext < EVGEN_EXTS);
    s->ext[s->n_ext++] = (struct evgen_ext){oid, value, critical};
}

static void
add_marks(X509 *x, const struct evgen_cert_spec *s)
{
    if (s->ca >= 0) {
        BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
        MUST(bc);
        bc->ca = s->ca ? 0xff : 0;
        if (s->pathlen >= 0) {
            bc->pathlen = ASN1_INTEGER_new();
            MUST(bc->pathlen && ASN1_INTEGER_set(bc->pathlen, s->pathlen) == 1);
        }
        MUST(X509_add1_ext_i2d(x, NID_basic_constraints, bc, 1, 0) == 1);
        BASIC_CONSTRAINTS_free(bc);
    }
    if (s->key_usage != 0) {
        ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
        MUST(ku);
        for (int bit = 0; bit < 9; bit++) {
            MUST((s->key_usage >> bit & 1) == 0 || ASN1_BIT_STRING_set_bit(ku, bit, 1) == 1);
        }
        MUST(X509_add1_ext_i2d(x, NID_key_usage, ku, 1, 0) == 1);
        ASN1_BIT_STRING_free(ku);
    }
}

static void
add_ext(X509 *x, const struct evgen_ext *e)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = OBJ_txt2obj(e->oid, 1);
    MUST(oid && value && ASN1_OCTET_STRING_set(value, e->value.p, (int)e->value.len) == 1);
    X509_EXTENSION *ext = X509_EXTENSION_create_by_OBJ(NULL, oid, e->critical, value);
    MUST(ext && X509_add_ext(x, ext, -1) == 1);
    X509_EXTENSION_free(ext);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
}

static void
keep_der(struct evgen_der *ret, unsigned char *der, int len, int bad_signature)
{
    MUST(len > 0 && (size_t)len <= sizeof ret->p);
    memcpy(ret->p, der, (size_t)len);
    ret->len = (size_t)len;
    if (bad_signature) {
        ret->p[ret->len - 1] ^= 1;
    }
    OPENSSL_free(der);
}

void
evgen_cert(const struct evgen_cert_spec *s, struct evgen_der *ret)
{
    X509 *x = X509_new();
    X509_NAME *subject = name_of(s->subject), *issuer = name_of(s->issuer);
    ASN1_TIME *from = time_of(s->from_ms), *to = time_of(s->to_ms);
    EVP_MD_CTX *ctx = signing(s->signer, s->sig);
    unsigned char *der = NULL;

    MUST(x && X509_set_version(x, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), s->serial) == 1);
    MUST(X509_set_subject_name(x, subject) == 1 && X509_set_issuer_name(x, issuer) == 1 &&
         X509_set1_notBefore(x, from) == 1 && X509_set1_notAfter(x, to) == 1 &&
         X509_set_pubkey(x, s->key) == 1);
    add_marks(x, s);
    for (size_t i = 0; i < s->n_ext; i++) {
        add_ext(x, &s->ext[i]);
    }
    MUST(X509_sign_ctx(x, ctx) > 0);
    int len = i2d_X509(x, &der);
    keep_der(ret, der, len, s->bad_signature);
    EVP_MD_CTX_free(ctx);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_NAME_free(subject);
    X509_NAME_free(issuer);
    X509_free(x);
}

/* ---- revocation lists ---- */

struct evgen_crl_spec
evgen_crl_spec_of(const char *issuer, EVP_PKEY *signer)
{
    return (struct evgen_crl_spec){
        .issuer = issuer,
        .signer = signer,
        .sig = usual_sig(signer),
        .this_ms = EVGEN_NOW_MS - EVGEN_DAY_MS,
        .next_ms = EVGEN_NOW_MS + 29 * EVGEN_DAY_MS,
        .number = 1,
    };
}

static void
add_revoked(X509_CRL *crl, uint64_t serial, const ASN1_TIME *when)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    MUST(r && n && ASN1_INTEGER_set_uint64(n, serial) == 1 &&
         X509_REVOKED_set_serialNumber(r, n) == 1);
    ASN1_TIME *copy = ASN1_STRING_dup(when);
    MUST(copy && X509_REVOKED_set_revocationDate(r, copy) == 1 &&
         X509_CRL_add0_revoked(crl, r) == 1);
    ASN1_TIME_free(copy);
    ASN1_INTEGER_free(n);
}

void
evgen_crl(const struct evgen_crl_spec *s, struct evgen_der *ret)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *issuer = name_of(s->issuer);
    ASN1_TIME *this_update = time_of(s->this_ms);
    EVP_MD_CTX *ctx = signing(s->signer, s->sig);
    unsigned char *der = NULL;

    MUST(crl && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
         X509_CRL_set_issuer_name(crl, issuer) == 1 &&
         X509_CRL_set1_lastUpdate(crl, this_update) == 1);
    if (s->next_ms >= 0) {
        ASN1_TIME *next = time_of(s->next_ms);
        MUST(X509_CRL_set1_nextUpdate(crl, next) == 1);
        ASN1_TIME_free(next);
    }
    if (s->number != UINT64_MAX) {
        ASN1_INTEGER *n = ASN1_INTEGER_new();
        MUST(n && ASN1_INTEGER_set_uint64(n, s->number) == 1 &&
             X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1);
        ASN1_INTEGER_free(n);
    }
    for (size_t i = 0; i < s->n_revoked; i++) {
        add_revoked(crl, s->revoked[i], this_update);
    }
    for (size_t i = 0; i < s->n_ext; i++) {
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        ASN1_OBJECT *oid = OBJ_txt2obj(s->ext[i].oid, 1);
        MUST(oid && value &&
             ASN1_OCTET_STRING_set(value, s->ext[i].value.p, (int)s->ext[i].value.len) == 1);
        X509_EXTENSION *ext = X509_EXTENSION_create_by_OBJ(NULL, oid, s->ext[i].critical, value);
        MUST(ext && X509_CRL_add_ext(crl, ext, -1) == 1);
        X509_EXTENSION_free(ext);
        ASN1_OBJECT_free(oid);
        ASN1_OCTET_STRING_free(value);
    }
    MUST(X509_CRL_sort(crl) == 1 && X509_CRL_sign_ctx(crl, ctx) > 0);
    int len = i2d_X509_CRL(crl, &der);
    keep_der(ret, der, len, s->bad_signature);
    EVP_MD_CTX_free(ctx);
    ASN1_TIME_free(this_update);
    X509_NAME_free(issuer);
    X509_CRL_free(crl);
}

void
evgen_pin(struct qr_roots *r, enum qr_vendor_root v, const struct evgen_der *cert)
{
    MUST(r->of[v].n < QR_ROOT_PINS);
    evgen_sha256(evgen_view(cert), r->of[v].sha256[r->of[v].n++]);
}

/* ---- bytes ---- */

struct evgen_buf
evgen_buf_over(void *mem, size_t cap)
{
    return (struct evgen_buf){.p = mem, .cap = cap};
}

void
evgen_put(struct evgen_buf *b, const void *p, size_t n)
{
    MUST(n <= b->cap - b->len);
    if (n > 0) {
        memcpy(b->p + b->len, p, n);
        b->len += n;
    }
}

void
evgen_put_view(struct evgen_buf *b, qr_view v)
{
    evgen_put(b, v.p, v.len);
}

void
evgen_put_str(struct evgen_buf *b, const char *s)
{
    evgen_put(b, s, strlen(s));
}

void
evgen_fill(struct evgen_buf *b, uint8_t byte, size_t n)
{
    MUST(n <= b->cap - b->len);
    memset(b->p + b->len, byte, n);
    b->len += n;
}

void
evgen_set_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
    }
}

void
evgen_set_be(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[n - 1 - i] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
    }
}

void
evgen_put_le(struct evgen_buf *b, uint64_t v, size_t n)
{
    evgen_fill(b, 0, n);
    evgen_set_le(b->p + b->len - n, v, n);
}

void
evgen_put_be(struct evgen_buf *b, uint64_t v, size_t n)
{
    evgen_fill(b, 0, n);
    evgen_set_be(b->p + b->len - n, v, n);
}

void
evgen_patch(struct evgen_buf *b, size_t at, const void *p, size_t n)
{
    MUST(at <= b->len && n <= b->len - at);
    memcpy(b->p + at, p, n);
}

void
evgen_patch_le(struct evgen_buf *b, size_t at, uint64_t v, size_t n)
{
    MUST(at <= b->len && n <= b->len - at);
    evgen_set_le(b->p + at, v, n);
}

void
evgen_patch_be(struct evgen_buf *b, size_t at, uint64_t v, size_t n)
{
    MUST(at <= b->len && n <= b->len - at);
    evgen_set_be(b->p + at, v, n);
}

void
evgen_der_put(struct evgen_buf *b, uint8_t tag, qr_view content)
{
    size_t octets = 0;
    while (content.len >= 0x80 && content.len >> (8 * octets) != 0) {
        octets++;
    }
    evgen_put_be(b, tag, 1);
    evgen_put_be(b, octets > 0 ? 0x80 | octets : content.len, 1);
    evgen_put_be(b, content.len, octets);
    evgen_put_view(b, content);
}

void
evgen_der_put_uint(struct evgen_buf *b, uint64_t v)
{
    uint8_t be[9] = {0};
    size_t skip = 0;
    evgen_set_be(be + 1, v, 8);
    while (skip < 8 && be[skip] == 0 && be[skip + 1] < 0x80) {
        skip++;
    }
    evgen_der_put(b, 0x02, qr_view_of(be + skip, sizeof be - skip));
}

void
evgen_der_put_oid(struct evgen_buf *b, const char *dots)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(dots, 1);
    MUST(oid);
    evgen_der_put(b, 0x06, qr_view_of(OBJ_get0_data(oid), OBJ_length(oid)));
    ASN1_OBJECT_free(oid);
}

void
evgen_put_pem(struct evgen_buf *b, const struct evgen_der *cert)
{
    static char text[EVGEN_DER_MAX * 2];
    qr_b64_encode(evgen_view(cert), text);
    size_t n = strlen(text);
    evgen_put_str(b, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < n; at += 64) {
        evgen_put(b, text + at, n - at < 64 ? n - at : 64);
        evgen_put_str(b, "\n");
    }
    evgen_put_str(b, "-----END CERTIFICATE-----\n");
}

void
evgen_put_hex(struct evgen_buf *b, qr_view v)
{
    MUST(2 * v.len + 1 <= b->cap - b->len);
    qr_hex_encode(v, (char *)b->p + b->len);
    b->len += 2 * v.len;
}
