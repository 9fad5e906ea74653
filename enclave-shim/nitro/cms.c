/*
 * The reader knows definite lengths in their shortest form, and indefinite lengths where the caller
 * says so: around the containers that KMS's library streams.
 */
#include "enclave-shim/nitro/cms.h"

#include "protocol/base/buf.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#define SEQUENCE 0x30u
#define SET 0x31u
#define INTEGER 0x02u
#define OCTETS 0x04u
#define NIL 0x05u
#define OID 0x06u
#define CONTEXT_0 0x80u /* [0], primitive */
#define CONSTRUCTED 0x20u
#define CONTEXT_1 0x81u
#define PIECES 4u

static const uint8_t oid_enveloped[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
static const uint8_t oid_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_oaep[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07};
static const uint8_t oid_mgf1[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08};
static const uint8_t oid_sha256[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
static const uint8_t oid_aes256_cbc[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a};

/* A container being read, or the whole. */
struct ber {
    qr_view in;
    size_t pos, end; /* end: behind the last byte; of an indefinite one, of its parent */
    int indefinite;
};

static qr_err
read_head(struct ber *b, uint8_t *ret_tag, size_t *ret_len, int *ret_indefinite)
{
    const uint8_t *p = b->in.p;
    size_t left = b->end - b->pos, octets, len = 0;

    if (left < 2 || (p[b->pos] & 0x1f) == 0x1f) {
        return QR_ERR_MALFORMED;
    }
    uint8_t tag = p[b->pos], first = p[b->pos + 1];
    *ret_indefinite = first == 0x80;
    if (first <= 0x80) {
        len = first & 0x7f;
        octets = 0;
    } else {
        octets = first & 0x7fu;
        if (octets > 2 || left < 2 + octets) {
            return QR_ERR_MALFORMED;
        }
        for (size_t i = 0; i < octets; i++) {
            len = len << 8 | p[b->pos + 2 + i];
        }
        if (len < 0x80 || (octets == 2 && len < 0x100)) {
            return QR_ERR_MALFORMED; /* not the shortest form */
        }
    }
    if (*ret_indefinite && !(tag & CONSTRUCTED)) {
        return QR_ERR_MALFORMED;
    }
    if (len > left - 2 - octets) {
        return QR_ERR_MALFORMED;
    }
    b->pos += 2 + octets;
    *ret_tag = tag;
    *ret_len = len;
    return QR_OK;
}

/* The next value, of this tag and of definite length. */
static qr_err
value(struct ber *b, uint8_t tag, qr_view *ret)
{
    struct ber ahead = *b;
    uint8_t found;
    size_t len;
    int indefinite;

    QR_TRY(read_head(&ahead, &found, &len, &indefinite));
    if (found != tag || indefinite) {
        return QR_ERR_MALFORMED;
    }
    *ret = qr_view_of(b->in.p + ahead.pos, len);
    b->pos = ahead.pos + len;
    return QR_OK;
}

/* Goes into a container of either kind of length. */
static qr_err
enter(struct ber *b, uint8_t tag, struct ber *ret)
{
    struct ber ahead = *b;
    uint8_t found;
    size_t len;
    int indefinite;

    QR_TRY(read_head(&ahead, &found, &len, &indefinite));
    if (found != tag) {
        return QR_ERR_MALFORMED;
    }
    *ret = (struct ber){.in = b->in,
                        .pos = ahead.pos,
                        .end = indefinite ? b->end : ahead.pos + len,
                        .indefinite = indefinite};
    return QR_OK;
}

/* Leaves it: nothing may be left of it, and of an indefinite one its two zeros stand here. */
static qr_err
leave(const struct ber *inner, struct ber *outer)
{
    size_t pos = inner->pos;
    if (inner->indefinite) {
        if (inner->end - pos < 2 || inner->in.p[pos] != 0 || inner->in.p[pos + 1] != 0) {
            return QR_ERR_MALFORMED;
        }
        pos += 2;
    } else if (pos != inner->end) {
        return QR_ERR_MALFORMED;
    }
    outer->pos = pos;
    return QR_OK;
}

static int
at_end(const struct ber *b)
{
    return b->indefinite ? b->end - b->pos >= 2 && b->in.p[b->pos] == 0 && b->in.p[b->pos + 1] == 0
                         : b->pos == b->end;
}

static qr_err
oid(struct ber *b, const uint8_t *want, size_t len)
{
    qr_view v;
    QR_TRY(value(b, OID, &v));
    return qr_view_eq(v, qr_view_of(want, len)) ? QR_OK : QR_ERR_MALFORMED;
}

static qr_err
small(struct ber *b, uint8_t want)
{
    qr_view v;
    QR_TRY(value(b, INTEGER, &v));
    return v.len == 1 && v.p[0] == want ? QR_OK : QR_ERR_MALFORMED;
}

/* SHA-256 with parameters NULL or absent. */
static qr_err
sha256_algorithm(struct ber *b)
{
    struct ber a;
    qr_view v;
    QR_TRY(enter(b, SEQUENCE, &a));
    QR_TRY(oid(&a, oid_sha256, sizeof oid_sha256));
    if (!at_end(&a)) {
        QR_TRY(value(&a, NIL, &v));
        if (v.len != 0) {
            return QR_ERR_MALFORMED;
        }
    }
    return leave(&a, b);
}

/* RSAES-OAEP { [0] SHA-256, [1] MGF1 with SHA-256 }: no default, no label. */
static qr_err
oaep_algorithm(struct ber *b)
{
    struct ber a, params, tagged, mgf;
    QR_TRY(enter(b, SEQUENCE, &a));
    QR_TRY(oid(&a, oid_oaep, sizeof oid_oaep));
    QR_TRY(enter(&a, SEQUENCE, &params));
    QR_TRY(enter(&params, CONTEXT_0 | CONSTRUCTED, &tagged));
    QR_TRY(sha256_algorithm(&tagged));
    QR_TRY(leave(&tagged, &params));
    QR_TRY(enter(&params, CONTEXT_1 | CONSTRUCTED, &tagged));
    QR_TRY(enter(&tagged, SEQUENCE, &mgf));
    QR_TRY(oid(&mgf, oid_mgf1, sizeof oid_mgf1));
    QR_TRY(sha256_algorithm(&mgf));
    QR_TRY(leave(&mgf, &tagged));
    QR_TRY(leave(&tagged, &params));
    QR_TRY(leave(&params, &a));
    return leave(&a, b);
}

static qr_err
recipient(struct ber *b, struct qr_cms *c, const char **what)
{
    struct ber set, r;
    qr_view id;

    *what = "the set of one recipient";
    QR_TRY(enter(b, SET, &set));
    QR_TRY(enter(&set, SEQUENCE, &r));
    *what = "the recipient's version 2";
    QR_TRY(small(&r, 2));
    *what = "the recipient's key identifier of 1 to 64 bytes";
    QR_TRY(value(&r, CONTEXT_0, &id));
    if (id.len < 1 || id.len > 64) {
        return QR_ERR_MALFORMED;
    }
    *what = "RSAES-OAEP with SHA-256";
    QR_TRY(oaep_algorithm(&r));
    *what = "a wrapped key of 256 bytes";
    QR_TRY(value(&r, OCTETS, &c->wrapped));
    if (c->wrapped.len != QR_CMS_WRAPPED) {
        return QR_ERR_MALFORMED;
    }
    *what = "the end of the only recipient";
    QR_TRY(leave(&r, &set));
    return leave(&set, b);
}

/* In one piece, or in octet strings inside a constructed one. */
static qr_err
content_bytes(struct ber *b, struct qr_buf *out)
{
    struct ber pieces;
    qr_view v;

    if (value(b, CONTEXT_0, &v) == QR_OK) {
        qr_buf_put(out, v.p, v.len);
        return out->err;
    }
    QR_TRY(enter(b, CONTEXT_0 | CONSTRUCTED, &pieces));
    for (unsigned i = 0; !at_end(&pieces); i++) {
        if (i == PIECES) {
            return QR_ERR_MALFORMED;
        }
        QR_TRY(value(&pieces, OCTETS, &v));
        qr_buf_put(out, v.p, v.len);
    }
    QR_TRY(leave(&pieces, b));
    return out->err;
}

static qr_err
content(struct ber *b, struct qr_cms *c, const char **what)
{
    struct ber info, a;
    struct qr_buf out = qr_buf_over(c->content, sizeof c->content);
    qr_view iv;

    *what = "encrypted content of type data";
    QR_TRY(enter(b, SEQUENCE, &info));
    QR_TRY(oid(&info, oid_data, sizeof oid_data));
    *what = "AES-256-CBC and its 16 bytes";
    QR_TRY(enter(&info, SEQUENCE, &a));
    QR_TRY(oid(&a, oid_aes256_cbc, sizeof oid_aes256_cbc));
    QR_TRY(value(&a, OCTETS, &iv));
    if (iv.len != sizeof c->iv) {
        return QR_ERR_MALFORMED;
    }
    memcpy(c->iv, iv.p, sizeof c->iv);
    QR_TRY(leave(&a, &info));
    *what = "encrypted content of 48 bytes";
    if (content_bytes(&info, &out) != QR_OK || out.len != QR_CMS_CONTENT) {
        return QR_ERR_MALFORMED;
    }
    return leave(&info, b);
}

qr_err
qr_cms_parse(qr_view der, struct qr_cms *ret, const char **ret_what)
{
    struct ber whole = {.in = der, .end = der.len}, info, explicit_0, enveloped;
    struct qr_cms c = {0};

    if (der.len > QR_CMS_MAX) {
        *ret_what = "a length above the bound";
        return QR_ERR_TOO_LARGE;
    }
    *ret_what = "EnvelopedData";
    QR_TRY(enter(&whole, SEQUENCE, &info));
    QR_TRY(oid(&info, oid_enveloped, sizeof oid_enveloped));
    QR_TRY(enter(&info, CONTEXT_0 | CONSTRUCTED, &explicit_0));
    QR_TRY(enter(&explicit_0, SEQUENCE, &enveloped));
    *ret_what = "version 2";
    QR_TRY(small(&enveloped, 2));
    QR_TRY(recipient(&enveloped, &c, ret_what));
    QR_TRY(content(&enveloped, &c, ret_what));
    *ret_what = "the end";
    QR_TRY(leave(&enveloped, &explicit_0));
    QR_TRY(leave(&explicit_0, &info));
    QR_TRY(leave(&info, &whole));
    if (whole.pos != whole.end) {
        return QR_ERR_TRAILING;
    }
    *ret = c;
    return QR_OK;
}

static int
unwrap(const struct qr_cms *c, EVP_PKEY *key, uint8_t out[static QR_CMS_WRAPPED], size_t *ret_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    int ok = ctx && EVP_PKEY_decrypt_init(ctx) > 0 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
             EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
             EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0 &&
             EVP_PKEY_decrypt(ctx, out, ret_len, c->wrapped.p, c->wrapped.len) > 0;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static int
decrypt_content(const struct qr_cms *c, const uint8_t key[static 32],
                uint8_t out[static QR_CMS_CONTENT + 16], size_t *ret_len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, last = 0;
    int ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, c->iv) == 1 &&
             EVP_DecryptUpdate(ctx, out, &n, c->content, (int)sizeof c->content) == 1 &&
             EVP_DecryptFinal_ex(ctx, out + n, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    *ret_len = ok ? (size_t)(n + last) : 0;
    return ok;
}

qr_err
qr_cms_decrypt(const struct qr_cms *c, EVP_PKEY *key, struct qr_sec32 *ret)
{
    uint8_t wrapped[QR_CMS_WRAPPED] = {0}, plain[QR_CMS_CONTENT + 16] = {0};
    size_t key_len = sizeof wrapped, len = 0;
    qr_err e = QR_ERR_SEAL;

    if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) != 8 * (int)QR_CMS_WRAPPED) {
        return QR_ERR_CRYPTO_LIB;
    }
    ERR_clear_error();
    if (unwrap(c, key, wrapped, &key_len) && key_len == 32 &&
        decrypt_content(c, wrapped, plain, &len) && len == sizeof ret->b) {
        memcpy(ret->b, plain, sizeof ret->b);
        e = QR_OK;
    }
    ERR_clear_error();
    qr_wipe(wrapped, sizeof wrapped);
    qr_wipe(plain, sizeof plain);
    return e;
}
