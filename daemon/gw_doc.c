/* One reader for each kind of answer; they share the cutting of PEM, DER and signed JSON. */
#include "daemon/gw_doc.h"

#include "proto/json_strict.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <jansson.h>
#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END "-----END CERTIFICATE-----"
#define CERT_MAX 8192u

static const struct {
    const char *name, *header;
} kinds[QR_DOC_KINDS] = {
    [QR_DOC_VEK] = {"VCEK certificate", NULL},
    [QR_DOC_AMD_CHAIN] = {"ASK and ARK", NULL},
    [QR_DOC_AMD_CRL] = {"AMD revocation list", NULL},
    [QR_DOC_TCB_INFO] = {"TCB info", "tcb-info-issuer-chain"},
    [QR_DOC_QE_IDENTITY] = {"QE identity", NULL},
    [QR_DOC_PCK_CRL] = {"PCK revocation list", NULL},
    [QR_DOC_ROOT_CRL] = {"Intel root revocation list", NULL},
    [QR_DOC_THIM] = {"Azure THIM certificates", NULL},
    [QR_DOC_TDQUOTE] = {"Azure TD quote", NULL},
    [QR_DOC_GOOGLE_CA] = {"Google's CA certificate", NULL},
    [QR_DOC_GOOGLE_ROOT] = {"Google's root certificate", NULL},
    [QR_DOC_JWKS] = {"key set", NULL},
};

const char *
qr_doc_header(enum qr_doc_kind k)
{
    return kinds[k].header;
}

const char *
qr_doc_name(enum qr_doc_kind k)
{
    return kinds[k].name;
}

void
qr_doc_free(struct qr_doc *d)
{
    for (size_t i = 0; i < d->n; i++) {
        qr_free(d->piece[i].p);
    }
    *d = (struct qr_doc){.issued_ms = -1};
}

static qr_err
add(struct qr_doc *d, const char *name, qr_view v)
{
    uint8_t *p = qr_alloc(v.len + 1); /* not empty, whatever v is */
    if (!p) {
        return QR_ERR_NO_MEMORY;
    }
    memcpy(p, v.p, v.len);
    d->piece[d->n++] = (struct qr_doc_piece){name, p, v.len};
    return QR_OK;
}

/* ---- DER ----------------------------------------------------------------------------------- */

static int
is_certificate(qr_view v)
{
    const uint8_t *p = v.p;
    X509 *x = v.len <= CERT_MAX ? d2i_X509(NULL, &p, (long)v.len) : NULL;
    int ok = x && p == v.p + v.len;
    X509_free(x);
    return ok;
}

static int64_t
asn1_ms(const ASN1_TIME *t)
{
    struct tm tm;
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1) {
        return -1;
    }
    return (int64_t)timegm(&tm) * 1000;
}

static qr_err
read_crl(qr_view body, const char *name, struct qr_doc *d, char *err_text, size_t err_cap)
{
    const uint8_t *p = body.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)body.len);
    int ok = crl && p == body.p + body.len;
    d->issued_ms = ok ? asn1_ms(X509_CRL_get0_lastUpdate(crl)) : -1;
    X509_CRL_free(crl);
    if (!ok) {
        EXPLAIN("%zu bytes that are no revocation list in DER", body.len);
        return QR_ERR_MALFORMED;
    }
    return add(d, name, body);
}

static qr_err
read_certificate(qr_view body, const char *name, struct qr_doc *d, char *err_text, size_t err_cap)
{
    if (!is_certificate(body)) {
        EXPLAIN("%zu bytes that are no certificate in DER", body.len);
        return QR_ERR_MALFORMED;
    }
    return add(d, name, body);
}

/* ---- PEM ----------------------------------------------------------------------------------- */

/* The next certificate of *text, decoded into der; *text moves behind it. 0: there is none. */
static size_t
pem_next(qr_view *text, uint8_t der[static CERT_MAX])
{
    char b64[4 * ((CERT_MAX + 2) / 3)];
    size_t n = 0, len = 0;
    const uint8_t *end = text->p + text->len;
    const uint8_t *p = memmem(text->p, text->len, PEM_BEGIN, strlen(PEM_BEGIN));
    if (!p) {
        return 0;
    }
    p += strlen(PEM_BEGIN);
    const uint8_t *stop = memmem(p, (size_t)(end - p), PEM_END, strlen(PEM_END));
    if (!stop) {
        return 0;
    }
    for (; p < stop; p++) {
        if (*p == '\n' || *p == '\r') {
            continue;
        }
        if (n == sizeof b64) {
            return 0;
        }
        b64[n++] = (char)*p;
    }
    p = stop + strlen(PEM_END);
    *text = qr_view_of(p, (size_t)(end - p));
    if (qr_b64_decode(b64, n, der, CERT_MAX, &len) != QR_OK ||
        !is_certificate(qr_view_of(der, len))) {
        return 0;
    }
    return len;
}

/* Exactly these certificates, in this order. */
static qr_err
read_pem(qr_view text, const char *const *names, size_t n, struct qr_doc *d, char *err_text,
         size_t err_cap)
{
    uint8_t der[CERT_MAX];

    for (size_t i = 0; i < n; i++) {
        size_t len = pem_next(&text, der);
        if (len == 0) {
            EXPLAIN("certificate %zu of %zu is missing or is no PEM", i + 1, n);
            return QR_ERR_MALFORMED;
        }
        QR_TRY(add(d, names[i], qr_view_of(der, len)));
    }
    if (pem_next(&text, der) != 0) {
        EXPLAIN("more than %zu certificates", n);
        return QR_ERR_MALFORMED;
    }
    return QR_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *
parse(qr_view body, char *err_text, size_t err_cap)
{
    json_error_t e;
    json_t *j = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, &e);
    if (!json_is_object(j)) {
        char q[QR_QUOTE_MAX];
        EXPLAIN("no JSON object: \"%s\"", qr_quote(q, body));
        json_decref(j);
        return NULL;
    }
    return j;
}

/* From an opening brace to the one that closes it; the text has been parsed. */
static qr_view
object_at(qr_view text, size_t at)
{
    size_t depth = 0;
    int quoted = 0;
    for (size_t i = at; i < text.len; i++) {
        uint8_t c = text.p[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = 1;
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && --depth == 0) {
            return qr_view_of(text.p + at, i + 1 - at);
        }
    }
    return qr_view_of(NULL, 0);
}

/* Behind `{"member":` at the very start of the text, the only place where vendors put it. */
static qr_view
first_member(qr_view text, const char *member)
{
    size_t at = 0, n = strlen(member);
    const char *const want[] = {"{", "\"", member, "\"", ":"};

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        size_t len = i == 2 ? n : 1;
        int space = i != 2 && i != 3; /* not inside the name */
        while (space && at < text.len && memchr(" \t\r\n", text.p[at], 4)) {
            at++;
        }
        if (text.len - at < len || memcmp(text.p + at, want[i], len) != 0) {
            return qr_view_of(NULL, 0);
        }
        at += len;
    }
    while (at < text.len && memchr(" \t\r\n", text.p[at], 4)) {
        at++;
    }
    return at < text.len && text.p[at] == '{' ? object_at(text, at) : qr_view_of(NULL, 0);
}

/* "2026-11-21T17:00:00Z"; -1: it is something else. */
static int64_t
date_ms(const char *s)
{
    struct tm tm = {0};
    const char *end = s ? strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
    return end && *end == '\0' ? (int64_t)timegm(&tm) * 1000 : -1;
}

static qr_err
read_signed(qr_view body, const char *member, const char *name, const char *sig_name,
            struct qr_doc *d, char *err_text, size_t err_cap)
{
    json_t *j = parse(body, err_text, err_cap);
    if (!j) {
        return QR_ERR_MALFORMED;
    }
    qr_err e = QR_ERR_MALFORMED;
    qr_view exact = first_member(body, member);
    const char *sig = json_string_value(json_object_get(j, "signature"));
    const json_t *inner = json_object_get(j, member);
    d->issued_ms = date_ms(json_string_value(json_object_get(inner, "issueDate")));
    if (!exact.p || !sig || strlen(sig) != 128 || d->issued_ms < 0) {
        EXPLAIN("no signed \"%s\" with an issueDate and a signature of 128 digits", member);
    } else {
        e = add(d, name, exact);
        e = e == QR_OK ? add(d, sig_name, qr_view_str(sig)) : e;
    }
    json_decref(j);
    return e;
}

static int
hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A percent-encoded PEM chain; '+' is itself in base64 and stays. */
static qr_err
read_chain_header(qr_view header, struct qr_doc *d, char *err_text, size_t err_cap)
{
    char pem[CERT_MAX];
    uint8_t der[CERT_MAX];
    size_t n = 0, certs = 0;

    for (size_t i = 0; i < header.len && n < sizeof pem; i++) {
        int c = header.p[i];
        if (c == '%' && header.len - i > 2) {
            int hi = hex_digit(header.p[i + 1]), lo = hex_digit(header.p[i + 2]);
            c = hi < 0 || lo < 0 ? '%' : hi * 16 + lo;
            i += 2;
        }
        pem[n++] = (char)c;
    }
    qr_view left = qr_view_of(pem, n);
    while (pem_next(&left, der) != 0) {
        certs++;
    }
    if (certs != 2) {
        EXPLAIN("the issuer chain in the header has %zu certificates, expected 2", certs);
        return QR_ERR_MALFORMED;
    }
    return add(d, "tcb_signing_chain.pem", qr_view_of(pem, n));
}

static qr_err
read_thim(qr_view body, struct qr_doc *d, char *err_text, size_t err_cap)
{
    static const char *const leaf[] = {"vek.der"}, *const chain[] = {"ask.der", "ark.der"};
    json_t *j = parse(body, err_text, err_cap);
    if (!j) {
        return QR_ERR_MALFORMED;
    }
    const char *cert = json_string_value(json_object_get(j, "vcekCert"));
    const char *rest = json_string_value(json_object_get(j, "certificateChain"));
    qr_err e = QR_ERR_MALFORMED;
    if (!cert || !rest) {
        EXPLAIN("no vcekCert and certificateChain");
    } else {
        e = read_pem(qr_view_str(cert), leaf, 1, d, err_text, err_cap);
        e = e == QR_OK ? read_pem(qr_view_str(rest), chain, 2, d, err_text, err_cap) : e;
    }
    json_decref(j);
    return e;
}

#define QUOTE_MAX 16384u /* of a quote; enclave-shim/verify/parts.def */

static qr_err
read_tdquote(qr_view body, struct qr_doc *d, char *err_text, size_t err_cap)
{
    json_t *j = parse(body, err_text, err_cap);
    uint8_t *raw = qr_alloc(QUOTE_MAX);
    qr_err e = QR_ERR_MALFORMED;
    size_t n = 0;

    const char *text = j ? json_string_value(json_object_get(j, "quote")) : NULL;
    if (!raw) {
        e = QR_ERR_NO_MEMORY;
    } else if (j && (!text || qr_b64url_decode(text, strlen(text), raw, QUOTE_MAX, &n) != QR_OK ||
                     n == 0)) {
        EXPLAIN("no \"quote\" of at most %u bytes in base64url", QUOTE_MAX);
    } else if (j) {
        e = add(d, "quote.bin", qr_view_of(raw, n));
    }
    qr_free(raw);
    json_decref(j);
    return e;
}

/* Google's stores have DER; PEM is taken as well. */
static qr_err
read_ca(qr_view body, const char *const *name, struct qr_doc *d, char *err_text, size_t err_cap)
{
    return body.p[0] == 0x30 ? read_certificate(body, *name, d, err_text, err_cap)
                             : read_pem(body, name, 1, d, err_text, err_cap);
}

static qr_err
read_jwks(qr_view body, struct qr_doc *d, char *err_text, size_t err_cap)
{
    json_t *j = parse(body, err_text, err_cap);
    if (!j) {
        return QR_ERR_MALFORMED;
    }
    int ok = json_array_size(json_object_get(j, "keys")) > 0;
    json_decref(j);
    if (!ok) {
        EXPLAIN("no \"keys\"");
        return QR_ERR_MALFORMED;
    }
    return add(d, "jwks.json", body);
}

qr_err
qr_doc_read(enum qr_doc_kind k, qr_view body, qr_view header, struct qr_doc *ret, char *err_text,
            size_t err_cap)
{
    static const char *const chain[] = {"ask.der", "ark.der"};
    static const char *const ca[] = {"vtpm_intermediate.der"}, *const root[] = {"vtpm_root.der"};
    struct qr_doc d = {.issued_ms = -1};
    qr_err e = QR_ERR_MALFORMED;

    if (body.len == 0 || body.len > QR_DOC_BODY_MAX) {
        EXPLAIN("%zu bytes, expected 1 to %u", body.len, QR_DOC_BODY_MAX);
        return body.len ? QR_ERR_TOO_LARGE : QR_ERR_MALFORMED;
    }
    switch (k) {
    case QR_DOC_VEK:
        e = read_certificate(body, "vek.der", &d, err_text, err_cap);
        break;
    case QR_DOC_AMD_CHAIN:
        e = read_pem(body, chain, 2, &d, err_text, err_cap);
        break;
    case QR_DOC_AMD_CRL:
        e = read_crl(body, "crl.der", &d, err_text, err_cap);
        break;
    case QR_DOC_TCB_INFO:
        e = read_signed(body, "tcbInfo", "tcb_info.json", "tcb_info.sig.hex", &d, err_text,
                        err_cap);
        e = e == QR_OK ? read_chain_header(header, &d, err_text, err_cap) : e;
        break;
    case QR_DOC_QE_IDENTITY:
        e = read_signed(body, "enclaveIdentity", "qe_identity.json", "qe_identity.sig.hex", &d,
                        err_text, err_cap);
        break;
    case QR_DOC_PCK_CRL:
        e = read_crl(body, "pck_crl.der", &d, err_text, err_cap);
        break;
    case QR_DOC_ROOT_CRL:
        e = read_crl(body, "root_ca_crl.der", &d, err_text, err_cap);
        break;
    case QR_DOC_THIM:
        e = read_thim(body, &d, err_text, err_cap);
        break;
    case QR_DOC_TDQUOTE:
        e = read_tdquote(body, &d, err_text, err_cap);
        break;
    case QR_DOC_GOOGLE_CA:
        e = read_ca(body, ca, &d, err_text, err_cap);
        break;
    case QR_DOC_GOOGLE_ROOT:
        e = read_ca(body, root, &d, err_text, err_cap);
        break;
    case QR_DOC_JWKS:
        e = read_jwks(body, &d, err_text, err_cap);
        break;
    case QR_DOC_KINDS:
    default:
        break;
    }
    if (e != QR_OK) {
        qr_doc_free(&d);
        return e;
    }
    *ret = d;
    return QR_OK;
}
