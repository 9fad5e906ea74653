/* The signature section: reading, checking, writing; see eif_sig.h. */
#include "enclave-shim/eif/eif_sig.h"
#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/sig.h"
#include "protocol/base/buf.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>

#define PEM_MAX 16384u
#define COSE_MAX 1024u
#define PAYLOAD_MAX 256u
#define RAW 96u

static const uint8_t protected_es384[] = {0xa1, 0x01, 0x38, 0x22};

static qr_err __attribute__((format(printf, 4, 5)))
refuse(char *err, size_t cap, qr_err e, const char *format, ...)
{
    if (cap > 0) {
        va_list ap;
        va_start(ap, format);
        vsnprintf(err, cap, format, ap);
        va_end(ap);
    }
    return e;
}

/* ---- CBOR: heads in shortest form, arrays of small integers ---- */

enum major { UINT = 0, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5 };

/* A head of this type; sets b->err. The list is far longer than qr_cbor's limit allows. */
static uint64_t
head(struct qr_buf *b, enum major want)
{
    uint8_t first = qr_buf_get8(b);
    uint64_t v = first & 0x1fu;
    uint64_t least = 0;

    if (v == 24) {
        v = qr_buf_get8(b);
        least = 24;
    } else if (v == 25) {
        v = qr_buf_get16(b);
        least = 0x100;
    } else if (v == 26) {
        v = qr_buf_get32(b);
        least = 0x10000;
    } else if (v > 26) {
        least = UINT64_MAX; /* eight bytes of length, or none said: no value here needs that */
    }
    if (b->err == QR_OK && ((first >> 5) != (uint8_t)want || v < least)) {
        b->err = QR_ERR_MALFORMED;
    }
    return b->err == QR_OK ? v : 0;
}

static void
expect(struct qr_buf *b, enum major type, uint64_t value)
{
    if (head(b, type) != value && b->err == QR_OK) {
        b->err = QR_ERR_MALFORMED;
    }
}

static void
expect_text(struct qr_buf *b, const char *name)
{
    qr_view v = qr_buf_take(b, (size_t)head(b, TEXT));

    if (b->err == QR_OK && !qr_view_eq(v, qr_view_str(name))) {
        b->err = QR_ERR_MALFORMED;
    }
}

/* [n * byte] to out; the number of them. */
static size_t
byte_list(struct qr_buf *b, uint8_t *out, size_t cap)
{
    uint64_t n = head(b, ARRAY);

    if (b->err == QR_OK && n > cap) {
        b->err = QR_ERR_TOO_LARGE;
    }
    for (uint64_t i = 0; i < n && b->err == QR_OK; i++) {
        uint64_t v = head(b, UINT);
        if (b->err == QR_OK && v > 255) {
            b->err = QR_ERR_MALFORMED;
        }
        out[i] = (uint8_t)v;
    }
    return b->err == QR_OK ? (size_t)n : 0;
}

static void
put_head(struct qr_buf *b, enum major type, size_t v)
{
    uint8_t t = (uint8_t)((unsigned)type << 5);

    if (v < 24) {
        qr_buf_put8(b, (uint8_t)(t | v));
    } else if (v < 0x100) {
        qr_buf_put8(b, t | 24u);
        qr_buf_put8(b, (uint8_t)v);
    } else {
        qr_buf_put8(b, t | 25u); /* nothing here reaches 65536 */
        qr_buf_put16(b, (uint16_t)v);
    }
}

static void
put_text(struct qr_buf *b, const char *s)
{
    put_head(b, TEXT, strlen(s));
    qr_buf_put(b, s, strlen(s));
}

static void
put_bytes(struct qr_buf *b, qr_view v)
{
    put_head(b, BYTES, v.len);
    qr_buf_put(b, v.p, v.len);
}

static void
put_byte_list(struct qr_buf *b, qr_view v)
{
    put_head(b, ARRAY, v.len);
    for (size_t i = 0; i < v.len; i++) {
        put_head(b, UINT, v.p[i]);
    }
}

/* ---- the certificate ---- */

/* One certificate and nothing beside it but white space; NULL otherwise. */
static X509 *
only_cert(qr_view pem)
{
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.len);
    X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    char c;

    /* PEM_read skips what stands before: the text must begin with the armour. */
    if (x && (pem.len < 27 || memcmp(pem.p, "-----BEGIN CERTIFICATE-----", 27) != 0)) {
        X509_free(x);
        x = NULL;
    }
    while (x && BIO_read(in, &c, 1) == 1) {
        if (c != '\n' && c != '\r' && c != ' ') {
            X509_free(x);
            x = NULL;
        }
    }
    BIO_free(in);
    return x;
}

/* DER, dates and subject; the key must be P-384. */
static qr_err
take_cert(X509 *x, struct qr_eif_sig *s, char *err, size_t cap)
{
    unsigned char *der = s->cert_der;
    int n = i2d_X509(x, NULL);

    if (n <= 0 || (size_t)n > sizeof s->cert_der || i2d_X509(x, &der) != n ||
        !qr_cert_dates(x, &s->from_ms, &s->until_ms)) {
        return refuse(err, cap, QR_ERR_MALFORMED, "the signing certificate cannot be read");
    }
    s->cert_der_len = (size_t)n;
    qr_cert_subject(x, s->subject, sizeof s->subject);
    if (!qr_key_is_ec(X509_get0_pubkey(x), 384)) {
        return refuse(err, cap, QR_ERR_VERSION,
                      "the signing certificate's key is not on P-384, the one curve read here");
    }
    return QR_OK;
}

/* ---- COSE ---- */

static size_t
to_be_signed(qr_view payload, uint8_t *out, size_t cap)
{
    struct qr_buf b = qr_buf_over(out, cap);

    put_head(&b, ARRAY, 4);
    put_text(&b, "Signature1");
    put_bytes(&b, qr_view_of(protected_es384, sizeof protected_es384));
    put_bytes(&b, qr_view_of(NULL, 0));
    put_bytes(&b, payload);
    return b.err == QR_OK ? b.len : 0;
}

/* [h'a1013822', {}, payload, r || s] and {"register_index": 0, "register_value": [48]}. */
static qr_err
read_cose(qr_view cose, EVP_PKEY *key, struct qr_eif_sig *s, char *err, size_t cap)
{
    struct qr_buf b = qr_buf_read(cose);
    uint8_t tbs[PAYLOAD_MAX + 64];

    expect(&b, ARRAY, 4);
    qr_view prot = qr_buf_take(&b, (size_t)head(&b, BYTES));
    expect(&b, MAP, 0);
    qr_view payload = qr_buf_take(&b, (size_t)head(&b, BYTES));
    qr_view raw = qr_buf_take(&b, (size_t)head(&b, BYTES));
    if (qr_buf_end(&b) != QR_OK) {
        return refuse(err, cap, QR_ERR_MALFORMED, "the signature is no COSE_Sign1 of this format");
    }
    if (!qr_view_eq(prot, qr_view_of(protected_es384, sizeof protected_es384))) {
        return refuse(err, cap, QR_ERR_VERSION,
                      "the signature's algorithm is not ES384, the one read here");
    }
    b = qr_buf_read(payload);
    expect(&b, MAP, 2);
    expect_text(&b, "register_index");
    expect(&b, UINT, 0);
    expect_text(&b, "register_value");
    size_t n = byte_list(&b, s->pcr0, sizeof s->pcr0);
    if (qr_buf_end(&b) != QR_OK || n != sizeof s->pcr0 || payload.len > PAYLOAD_MAX) {
        return refuse(err, cap, QR_ERR_MALFORMED, "what was signed is not a PCR0");
    }
    n = to_be_signed(payload, tbs, sizeof tbs);
    s->valid = n > 0 && raw.len == RAW &&
               qr_evp_ecdsa_verify(key, QR_SHA384, qr_view_of(tbs, n), raw) == 1;
    return QR_OK;
}

static qr_err
read_inner(qr_view section, struct qr_eif_sig *s, X509 **x, char *err, size_t cap)
{
    struct qr_buf b = qr_buf_read(section);
    uint8_t pem[PEM_MAX], cose[COSE_MAX];

    expect(&b, ARRAY, 1);
    expect(&b, MAP, 2);
    expect_text(&b, "signing_certificate");
    size_t pem_len = byte_list(&b, pem, sizeof pem);
    expect_text(&b, "signature");
    size_t cose_len = byte_list(&b, cose, sizeof cose);
    if (qr_buf_end(&b) != QR_OK) {
        return refuse(err, cap, QR_ERR_MALFORMED,
                      "the signature section is damaged near byte %zu of %zu", b.pos, section.len);
    }
    *x = only_cert(qr_view_of(pem, pem_len));
    if (!*x) {
        return refuse(err, cap, QR_ERR_MALFORMED,
                      "the signature section does not hold one PEM certificate");
    }
    QR_TRY(take_cert(*x, s, err, cap));
    return read_cose(qr_view_of(cose, cose_len), X509_get0_pubkey(*x), s, err, cap);
}

qr_err
qr_eif_sig_read(qr_view section, struct qr_eif_sig *ret, char *err_text, size_t err_cap)
{
    struct qr_eif_sig s = {0};
    X509 *x = NULL;

    qr_err e = read_inner(section, &s, &x, err_text, err_cap);
    X509_free(x);
    if (e == QR_OK) {
        *ret = s;
    }
    return e;
}

/* ---- writing ---- */

static qr_err
write_section(EVP_PKEY *key, qr_view pem, const uint8_t pcr0[static QR_EIF_PCR], struct qr_buf *out)
{
    uint8_t payload[PAYLOAD_MAX], tbs[PAYLOAD_MAX + 64], cose[COSE_MAX], raw[RAW], digest[48];
    struct qr_buf b = qr_buf_over(payload, sizeof payload);

    put_head(&b, MAP, 2);
    put_text(&b, "register_index");
    put_head(&b, UINT, 0);
    put_text(&b, "register_value");
    put_byte_list(&b, qr_view_of(pcr0, QR_EIF_PCR));
    qr_view p = qr_buf_view(&b);
    qr_view t = qr_view_of(tbs, to_be_signed(p, tbs, sizeof tbs));
    if (!qr_hash_of(QR_SHA384, &t, 1, digest)) {
        return QR_ERR_CRYPTO_LIB;
    }
    QR_TRY(qr_eif_es384(key, digest, raw));

    struct qr_buf c = qr_buf_over(cose, sizeof cose);
    put_head(&c, ARRAY, 4);
    put_bytes(&c, qr_view_of(protected_es384, sizeof protected_es384));
    put_head(&c, MAP, 0);
    put_bytes(&c, p);
    put_bytes(&c, qr_view_of(raw, sizeof raw));

    put_head(out, ARRAY, 1);
    put_head(out, MAP, 2);
    put_text(out, "signing_certificate");
    put_byte_list(out, pem);
    put_text(out, "signature");
    put_byte_list(out, qr_buf_view(&c));
    return out->err;
}

qr_err
qr_eif_sig_write(EVP_PKEY *key, qr_view cert_pem, const uint8_t pcr0[static QR_EIF_PCR],
                 struct qr_dbuf *out, char *err_text, size_t err_cap)
{
    struct qr_eif_sig back;
    X509 *x = cert_pem.len <= PEM_MAX ? only_cert(cert_pem) : NULL;

    if (!x) {
        return refuse(err_text, err_cap, QR_ERR_MALFORMED,
                      "the certificate must be one PEM certificate and nothing beside it");
    }
    int fits = qr_key_is_ec(key, 384) && X509_check_private_key(x, key) == 1;
    X509_free(x);
    if (!fits) {
        return refuse(err_text, err_cap, QR_ERR_MALFORMED,
                      "key and certificate must belong together, on P-384");
    }
    uint8_t *mem = qr_alloc(QR_EIF_SIGNATURE_MAX);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(mem, QR_EIF_SIGNATURE_MAX);
    qr_err e = write_section(key, cert_pem, pcr0, &b);
    /* A fault while signing could give the key away: nothing leaves here unverified. */
    if (e == QR_OK) {
        e = qr_eif_sig_read(qr_buf_view(&b), &back, err_text, err_cap);
    }
    if (e == QR_OK && (!back.valid || memcmp(back.pcr0, pcr0, QR_EIF_PCR) != 0)) {
        e = QR_ERR_CRYPTO_LIB;
    }
    if (e == QR_OK) {
        e = qr_dbuf_append(out, b.p, b.len);
    }
    qr_free(mem);
    return e;
}
