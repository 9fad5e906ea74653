/*
 * Strict where OpenSSL is generous: whole input, DER lengths, an explicit order of certificates, the
 * names and roles of each. OpenSSL parses and checks signatures; its trust store and its path
 * building are not used.
 */
#include "enclave-shim/verify/cert.h"

#include "enclave-shim/verify/der.h"
#include "enclave-shim/verify/sig.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

#define CERT_MAX 8192u
#define CRL_MAX 65536u
#define PEM_MAX (128u * 1024u)
#define SEQUENCE 0x30u

/* ---- parsing ---- */

/* One definite, minimal SEQUENCE and nothing behind it. */
static qr_err
one_sequence(qr_view der)
{
    struct qr_der d = qr_der_of(der);
    qr_view body;
    QR_TRY(qr_der_want(&d, SEQUENCE, &body));
    return d.left == 0 ? QR_OK : QR_ERR_TRAILING;
}

/* Tells hostile bytes from a machine without memory; OpenSSL returns NULL for both. */
static int
out_of_memory(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

static qr_err
append(struct qr_certs *s, qr_view der, struct qr_verdict *v, enum qr_check c, const char *what)
{
    const unsigned char *p = der.p;

    if (s->n == QR_CERTS_MAX || der.len > CERT_MAX) {
        return qr_fail(v, c, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected at most %u certificates of %u bytes, found more", what,
                       QR_CERTS_MAX, CERT_MAX);
    }
    qr_err e = one_sequence(der);
    if (e == QR_ERR_TRAILING) {
        return qr_fail(v, c, QR_REASON_TRAILING_DATA,
                       "%s: expected a certificate, found bytes after it", what);
    }
    X509 *x = e == QR_OK ? d2i_X509(NULL, &p, (long)der.len) : NULL;
    if (!x && e == QR_OK && out_of_memory()) {
        return QR_ERR_NO_MEMORY;
    }
    if (!x || p != der.p + der.len) {
        X509_free(x);
        return qr_fail(v, c, QR_REASON_MALFORMED, "%s: expected a certificate, found other bytes",
                       what);
    }
    s->x[s->n] = x;
    s->der[s->n] = der;
    s->n++;
    return QR_OK;
}

qr_err
qr_certs_add_der(struct qr_certs *s, qr_view der, struct qr_verdict *v, enum qr_check c,
                 const char *what)
{
    return append(s, der, v, c, what);
}

static int
is_space(uint8_t ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static int
starts_with(qr_view v, const char *s)
{
    return v.len >= strlen(s) && memcmp(v.p, s, strlen(s)) == 0;
}

static void
drop(qr_view *v, size_t n)
{
    v->p += n;
    v->len -= n;
}

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END "-----END CERTIFICATE-----"

/* One block at the start of *pem, decoded to out (CERT_MAX bytes). MALFORMED, TOO_LARGE. */
static qr_err
pem_block(qr_view *pem, uint8_t *out, size_t *ret_len)
{
    char text[(CERT_MAX + 2) / 3 * 4];
    size_t n = 0;

    if (!starts_with(*pem, PEM_BEGIN)) {
        return QR_ERR_MALFORMED;
    }
    drop(pem, strlen(PEM_BEGIN));
    while (pem->len > 0 && pem->p[0] != '-') {
        if (!is_space(pem->p[0])) {
            if (n == sizeof text) {
                return QR_ERR_TOO_LARGE;
            }
            text[n++] = (char)pem->p[0];
        }
        drop(pem, 1);
    }
    if (!starts_with(*pem, PEM_END)) {
        return QR_ERR_MALFORMED;
    }
    drop(pem, strlen(PEM_END));
    return qr_b64_decode(text, n, out, CERT_MAX, ret_len);
}

qr_err
qr_certs_add_pem(struct qr_certs *s, qr_view pem, struct qr_verdict *v, enum qr_check c,
                 const char *what)
{
    int nuls = 0;

    if (pem.len > PEM_MAX) {
        return qr_fail(v, c, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected at most %u bytes of PEM, found %zu", what, PEM_MAX, pem.len);
    }
    if (!s->decoded) {
        s->decoded = qr_alloc(QR_CERTS_MAX * CERT_MAX);
        if (!s->decoded) {
            return QR_ERR_NO_MEMORY;
        }
    }
    for (;;) {
        while (pem.len > 0 && (is_space(pem.p[0]) || (pem.p[0] == 0 && nuls == 0))) {
            nuls += pem.p[0] == 0;
            drop(&pem, 1);
        }
        if (pem.len == 0) {
            return QR_OK;
        }
        if (s->n == QR_CERTS_MAX) {
            return qr_fail(v, c, QR_REASON_RESOURCE_LIMIT,
                           "%s: expected at most %u certificates, found more", what, QR_CERTS_MAX);
        }
        /* Every certificate takes its own CERT_MAX, so that QR_CERTS_MAX of them always fit. */
        uint8_t *at = s->decoded + s->n * CERT_MAX;
        size_t len = 0;
        qr_err e = pem_block(&pem, at, &len);
        if (e != QR_OK) {
            return qr_fail(
                v, c, e == QR_ERR_TOO_LARGE ? QR_REASON_RESOURCE_LIMIT : QR_REASON_MALFORMED,
                "%s: expected a PEM certificate at certificate %zu, found other text", what, s->n);
        }
        QR_TRY(append(s, qr_view_of(at, len), v, c, what));
    }
}

void
qr_certs_free(struct qr_certs *s)
{
    for (size_t i = 0; i < s->n; i++) {
        X509_free(s->x[i]);
    }
    s->decoded = qr_free(s->decoded);
    s->n = 0;
}

/* ---- facts ---- */

void
qr_cert_sha256(qr_view der, uint8_t out[static 32])
{
    if (!qr_hash_of(QR_SHA256, &der, 1, out)) {
        memset(out, 0, 32); /* no memory: nobody pins zeros */
    }
}

void
qr_cert_cn(X509 *x, char *out, size_t cap)
{
    X509_NAME *name = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    size_t n = 0;

    if (cap == 0) {
        return;
    }
    if (at >= 0) {
        const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        const uint8_t *p = ASN1_STRING_get0_data(s);
        size_t len = (size_t)ASN1_STRING_length(s);
        for (; n < len && n < cap - 1; n++) {
            out[n] = p[n] >= 0x20 && p[n] < 0x7f ? (char)p[n] : '?';
        }
    }
    out[n] = 0;
}

void
qr_cert_subject(X509 *x, char *out, size_t cap)
{
    size_t n = 0;
    char *text = NULL;
    BIO *b = BIO_new(BIO_s_mem());

    if (cap == 0) {
        BIO_free(b);
        return;
    }
    if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0,
                                XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        long len = BIO_get_mem_data(b, &text);
        n = len > 0 ? (size_t)len : 0;
        n = n < cap - 1 ? n : cap - 1;
        if (n > 0) { /* a name without parts has no text either */
            memcpy(out, text, n);
        }
    }
    out[n] = 0;
    BIO_free(b);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; month 1..12. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    /* Years that begin in March end with the leap day; 400 of them are 146097 days. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, in_era = y % 400; /* y >= 0: ASN.1 has no years before 0 */
    int64_t from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day_of_year - 719468;
}

static int
time_ms(const ASN1_TIME *t, int64_t *ret)
{
    struct tm tm;
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1 || tm.tm_year < -1899) {
        return 0;
    }
    int64_t days = days_of((int64_t)tm.tm_year + 1900, (int64_t)tm.tm_mon + 1, tm.tm_mday);
    *ret = ((days * 24 + tm.tm_hour) * 60 + tm.tm_min) * 60000 + (int64_t)tm.tm_sec * 1000;
    return 1;
}

int
qr_cert_dates(X509 *x, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
    int64_t from = 0, to = 0;
    if (!time_ms(X509_get0_notBefore(x), &from) || !time_ms(X509_get0_notAfter(x), &to)) {
        return 0;
    }
    *ret_from_ms = from;
    *ret_to_ms = to;
    return 1;
}

qr_view
qr_cert_ext(X509 *x, const char *oid)
{
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *ext = X509_get_ext(x, i);
        const ASN1_OBJECT *o = X509_EXTENSION_get_object(ext);
        if (qr_der_is_oid(qr_view_of(OBJ_get0_data(o), OBJ_length(o)), oid)) {
            const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(ext);
            return qr_view_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        }
    }
    return (qr_view){NULL, 0};
}

int
qr_key_sha256(EVP_PKEY *k, uint8_t out[static 32])
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(k, &der), ok = 0;
    if (len > 0) {
        qr_view v = qr_view_of(der, (size_t)len);
        ok = qr_hash_of(QR_SHA256, &v, 1, out);
    }
    OPENSSL_free(der);
    return ok;
}

/* ---- chains ---- */

static qr_err
no_chain(struct qr_verdict *v, size_t i, const char *what)
{
    return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN, "certificate %zu of the chain: %s", i, what);
}

/* A CA's key: of the platform's type, and of a size that is worth something. */
static int
key_fits(EVP_PKEY *k, int key_type)
{
    int ec = qr_key_is_ec(k, 256) || qr_key_is_ec(k, 384), rsa = qr_key_is_rsa(k);
    return key_type == EVP_PKEY_EC ? ec : key_type == EVP_PKEY_RSA ? rsa : ec || rsa;
}

/* SHA-2 of 256 bits and more, with ECDSA or RSA. */
static int
hash_fits(X509 *x)
{
    int md = NID_undef;
    return X509_get_signature_info(x, &md, NULL, NULL, NULL) == 1 &&
           (md == NID_sha256 || md == NID_sha384 || md == NID_sha512);
}

/* Extensions that change what a certificate means and that nobody here reads, or that are broken. */
static int
extensions_fit(X509 *x)
{
    uint32_t flags = X509_get_extension_flags(x);
    return (flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) == 0;
}

static qr_err
check_leaf(X509 *x, const struct qr_chain_rules *rules, struct qr_verdict *v)
{
    uint32_t flags = X509_get_extension_flags(x);
    if ((flags & EXFLAG_BCONS) != 0 && (flags & EXFLAG_CA) != 0) {
        return no_chain(v, 0, "expected a leaf, found a CA");
    }
    if ((flags & EXFLAG_KUSAGE) == 0 && rules->ca_unmarked_leaf) {
        return QR_OK;
    }
    if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE) == 0) {
        return no_chain(v, 0, "expected a leaf that may sign, found another use of its key");
    }
    return QR_OK;
}

static qr_err
check_ca(X509 *x, size_t i, const struct qr_chain_rules *rules, struct qr_verdict *v)
{
    uint32_t flags = X509_get_extension_flags(x);
    long pathlen = X509_get_pathlen(x);

    if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) == 0) {
        return no_chain(v, i, "expected a CA by its basicConstraints, found none");
    }
    if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(x) & KU_KEY_CERT_SIGN) == 0) {
        return no_chain(v, i, "expected a key that may sign certificates, found another use");
    }
    if (pathlen >= 0 && (size_t)pathlen < i - 1) {
        return no_chain(v, i, "expected fewer CAs below it by its path length, found more");
    }
    if (!key_fits(X509_get0_pubkey(x), rules->key_type)) {
        return no_chain(v, i, "expected a CA key of the platform's type, found another");
    }
    return QR_OK;
}

static qr_err
check_root(const struct qr_certs *s, const struct qr_roots *roots,
           const struct qr_chain_rules *rules, struct qr_verdict *v)
{
    uint8_t found[32];
    char hex[2 * sizeof found + 1];
    X509 *root = s->x[s->n - 1];

    qr_cert_sha256(s->der[s->n - 1], found);
    if (!qr_root_pinned(roots, rules->root, found)) {
        qr_hex_encode(qr_view_of(found, sizeof found), hex);
        return qr_fail(v, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT,
                       "root: expected a pinned certificate, found SHA-256 %s", hex);
    }
    if (X509_NAME_cmp(X509_get_issuer_name(root), X509_get_subject_name(root)) != 0) {
        return qr_fail(v, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT,
                       "root: expected a certificate of its own, found another issuer");
    }
    qr_pass(v, QR_CHECK_ROOT);
    return QR_OK;
}

qr_err
qr_chain_dates(const struct qr_certs *s, const struct qr_chain_rules *rules, struct qr_verdict *v)
{
    for (size_t i = 0; i < s->n; i++) {
        int64_t from = 0, to = 0;
        if (!qr_cert_dates(s->x[i], &from, &to)) {
            return qr_fail(v, QR_CHECK_VALIDITY, QR_REASON_MALFORMED,
                           "certificate %zu of the chain: expected dates, found none", i);
        }
        if (rules->now_ms > to) {
            return qr_fail(v, QR_CHECK_VALIDITY, QR_REASON_EXPIRED,
                           "certificate %zu of the chain: expected an end after %lld, found %lld",
                           i, (long long)(rules->now_ms / 1000), (long long)(to / 1000));
        }
        if (rules->now_ms < from - rules->not_before_skew_ms) {
            return qr_fail(v, QR_CHECK_VALIDITY, QR_REASON_NOT_YET_VALID,
                           "certificate %zu of the chain: expected a start before %lld, found %lld",
                           i, (long long)(rules->now_ms / 1000), (long long)(from / 1000));
        }
    }
    qr_pass(v, QR_CHECK_VALIDITY);
    return QR_OK;
}

/* 1: the certificate is signed by its issuer. */
static int
signed_by(const struct qr_certs *s, size_t i, struct qr_links *links)
{
    const qr_view both[2] = {s->der[i], s->der[i + 1]};
    uint8_t name[32];

    /* A DER certificate says its length, so that no other pair gives the same bytes. */
    if (links && !qr_hash_of(QR_SHA256, both, 2, name)) {
        links = NULL;
    }
    for (size_t k = 0; links && k < links->n; k++) {
        if (memcmp(links->good[k], name, sizeof name) == 0) {
            return 1;
        }
    }
    if (X509_verify(s->x[i], X509_get0_pubkey(s->x[i + 1])) != 1) {
        return 0;
    }
    if (links) {
        memcpy(links->good[links->next], name, sizeof name);
        links->next = (links->next + 1) % QR_LINKS_MAX;
        links->n += links->n < QR_LINKS_MAX;
    }
    return 1;
}

qr_err
qr_chain_verify(const struct qr_certs *s, const struct qr_roots *roots,
                const struct qr_chain_rules *rules, struct qr_verdict *v)
{
    if (s->n < 2) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "chain: expected a leaf and a root at least, found %zu certificates", s->n);
    }
    QR_TRY(check_root(s, roots, rules, v));
    for (size_t i = 0; i < s->n; i++) {
        if (!extensions_fit(s->x[i])) {
            return no_chain(v, i, "expected extensions that are known, found others");
        }
        QR_TRY(i == 0 ? check_leaf(s->x[i], rules, v) : check_ca(s->x[i], i, rules, v));
    }
    for (size_t i = 0; i + 1 < s->n; i++) {
        if (X509_NAME_cmp(X509_get_issuer_name(s->x[i]), X509_get_subject_name(s->x[i + 1])) != 0) {
            return no_chain(v, i, "expected the next one's subject as issuer, found another name");
        }
        if (!hash_fits(s->x[i])) {
            return no_chain(v, i, "expected a signature with SHA-2, found another");
        }
        if (!signed_by(s, i, rules->links)) {
            return no_chain(v, i, "expected the next one's signature, found another");
        }
    }
    qr_pass(v, QR_CHECK_CHAIN);
    return rules->now_ms < 0 ? QR_OK : qr_chain_dates(s, rules, v);
}

/* ---- revocation lists ---- */

/* Why this list cannot speak for that certificate; QR_REASON_NONE: it can. */
static enum qr_reason
crl_scope(X509_CRL *crl, X509 *cert)
{
    int critical = 0;
    enum qr_reason r = QR_REASON_NONE;

    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *ext = X509_CRL_get_ext(crl, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));
        if (nid == NID_delta_crl ||
            (X509_EXTENSION_get_critical(ext) && nid != NID_issuing_distribution_point &&
             nid != NID_authority_key_identifier && nid != NID_crl_number)) {
            return QR_REASON_UNSUPPORTED;
        }
    }
    ISSUING_DIST_POINT *idp =
        X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
    if (!idp) {
        return critical == -1 ? QR_REASON_NONE : QR_REASON_MALFORMED; /* -1: there is none */
    }
    int is_ca = cert && (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
    if (idp->onlysomereasons || idp->indirectCRL > 0 || idp->onlyattr > 0) {
        r = QR_REASON_UNSUPPORTED;
    } else if (cert && ((idp->onlyuser > 0 && is_ca) || (idp->onlyCA > 0 && !is_ca))) {
        r = QR_REASON_COLLATERAL_MISMATCH;
    }
    ISSUING_DIST_POINT_free(idp);
    return r;
}

/* An entry with a critical extension might mean another issuer's certificate. */
static int
entries_fit(X509_CRL *crl)
{
    STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);
    for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
        const X509_REVOKED *r = sk_X509_REVOKED_value(list, i);
        if (X509_REVOKED_get_ext_by_critical(r, 1, -1) >= 0) {
            return 0;
        }
    }
    return 1;
}

static qr_err
crl_dates(X509_CRL *crl, int64_t now_ms, struct qr_verdict *v, const char *what,
          struct qr_crl_facts *f)
{
    if (!time_ms(X509_CRL_get0_lastUpdate(crl), &f->this_ms) ||
        !time_ms(X509_CRL_get0_nextUpdate(crl), &f->next_ms)) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_MALFORMED,
                       "%s: expected thisUpdate and nextUpdate, found a list without", what);
    }
    if (now_ms >= 0 && now_ms > f->next_ms) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_COLLATERAL_EXPIRED,
                       "%s: expected nextUpdate after %lld, found %lld", what,
                       (long long)(now_ms / 1000), (long long)(f->next_ms / 1000));
    }
    if (now_ms >= 0 && now_ms < f->this_ms) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_NOT_YET_VALID,
                       "%s: expected thisUpdate before %lld, found %lld", what,
                       (long long)(now_ms / 1000), (long long)(f->this_ms / 1000));
    }
    return QR_OK;
}

/* 0 when there is none, or none of 64 bits. */
static uint64_t
crl_number(X509_CRL *crl)
{
    uint64_t n = 0;
    ASN1_INTEGER *a = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    if (a && ASN1_INTEGER_get_uint64(&n, a) != 1) {
        n = 0;
    }
    ASN1_INTEGER_free(a);
    return n;
}

/* What is checked of a list that was parsed. */
static qr_err
crl_judge(X509_CRL *crl, X509 *ca, X509 *cert, int64_t now_ms, struct qr_verdict *v,
          const char *what, struct qr_crl_facts *f)
{
    X509_REVOKED *entry = NULL;
    uint32_t flags = X509_get_extension_flags(ca);

    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) != 0) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_COLLATERAL_MISMATCH,
                       "%s: expected a list of the certificate's issuer, found another's", what);
    }
    if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(ca) & KU_CRL_SIGN) == 0) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_CHAIN,
                       "%s: expected an issuer that may sign lists, found another use of its key",
                       what);
    }
    if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) != 1) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_SIGNATURE,
                       "%s: expected the issuer's signature, found another", what);
    }
    enum qr_reason r = entries_fit(crl) ? crl_scope(crl, cert) : QR_REASON_UNSUPPORTED;
    if (r != QR_REASON_NONE) {
        return qr_fail(v, QR_CHECK_CRL, r,
                       "%s: expected a complete list for such certificates, found one of another "
                       "scope",
                       what);
    }
    QR_TRY(crl_dates(crl, now_ms, v, what, f));
    f->number = crl_number(crl);
    if (cert && X509_CRL_get0_by_cert(crl, &entry, cert) != 0) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_REVOKED,
                       "%s: expected a certificate that is not on the list, found it", what);
    }
    return QR_OK;
}

qr_err
qr_crl_check(qr_view der, X509 *ca, X509 *cert, int64_t now_ms, struct qr_verdict *v,
             const char *what, struct qr_crl_facts *ret)
{
    const unsigned char *p = der.p;
    struct qr_crl_facts f = {0};

    if (der.len > CRL_MAX) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected at most %u bytes, found %zu", what, CRL_MAX, der.len);
    }
    qr_err e = one_sequence(der);
    if (e == QR_ERR_TRAILING) {
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_TRAILING_DATA,
                       "%s: expected a revocation list, found bytes after it", what);
    }
    X509_CRL *crl = e == QR_OK ? d2i_X509_CRL(NULL, &p, (long)der.len) : NULL;
    if (!crl && e == QR_OK && out_of_memory()) {
        return QR_ERR_NO_MEMORY;
    }
    if (!crl || p != der.p + der.len) {
        X509_CRL_free(crl);
        return qr_fail(v, QR_CHECK_CRL, QR_REASON_MALFORMED,
                       "%s: expected a revocation list, found other bytes", what);
    }
    e = crl_judge(crl, ca, cert, now_ms, v, what, &f);
    X509_CRL_free(crl);
    if (e == QR_OK && ret) {
        *ret = f;
    }
    return e;
}
