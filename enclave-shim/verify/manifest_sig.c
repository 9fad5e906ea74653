/*
 * Detached signatures of manifests: text lines, so that signers work apart and their lines are
 * put together with `cat`. The exact bytes are signed, so that other tools can check them, too;
 * what else the key signs cannot be taken for a manifest, whose type stands in it.
 */
#include "enclave-shim/verify/manifest.h"
#include "enclave-shim/verify/sig.h"

#include "protocol/base/enc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

size_t
qr_release_key_len(enum qr_release_scheme s)
{
    return s == QR_RELEASE_P256 ? 33 : 32;
}

const char *
qr_release_scheme_name(enum qr_release_scheme s)
{
    return s == QR_RELEASE_P256 ? "p256" : "ed25519";
}

/* A key that OpenSSL takes: the point is on the curve. NULL otherwise. */
static EVP_PKEY *
key_open(const struct qr_release_key *k)
{
    char group[] = "prime256v1";
    uint8_t point[33];
    EVP_PKEY *ret = NULL;

    if (k->scheme == QR_RELEASE_ED25519) {
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->b, 32);
    }
    memcpy(point, k->b, sizeof point);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &ret, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        ret = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return ret;
}

qr_err
qr_release_key_read(qr_view scheme, qr_view hex, struct qr_release_key *ret)
{
    struct qr_release_key k = {0};

    if (qr_view_eq(scheme, qr_view_str("p256"))) {
        k.scheme = QR_RELEASE_P256;
    } else if (qr_view_eq(scheme, qr_view_str("ed25519"))) {
        k.scheme = QR_RELEASE_ED25519;
    } else {
        return QR_ERR_MALFORMED;
    }
    size_t len = qr_release_key_len(k.scheme);
    QR_TRY(qr_hex_decode((const char *)hex.p, hex.len, k.b, len));
    if (k.scheme == QR_RELEASE_P256 && k.b[0] != 2 && k.b[0] != 3) {
        return QR_ERR_POINT;
    }
    EVP_PKEY *open = key_open(&k);
    if (!open) {
        return QR_ERR_POINT;
    }
    EVP_PKEY_free(open);
    *ret = k;
    return QR_OK;
}

static int
same_key(const struct qr_release_key *a, const struct qr_release_key *b)
{
    return a->scheme == b->scheme && memcmp(a->b, b->b, sizeof a->b) == 0;
}

static int
signature_good(const struct qr_release_key *k, qr_view text, const uint8_t sig[static 64])
{
    EVP_PKEY *open = key_open(k);
    int good = 0;

    if (open && k->scheme == QR_RELEASE_P256) {
        good = qr_evp_ecdsa_verify(open, QR_SHA256, text, qr_view_of(sig, 64));
    } else if (open) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, open) == 1 &&
               EVP_DigestVerify(ctx, sig, 64, text.p, text.len) == 1;
        EVP_MD_CTX_free(ctx);
    }
    EVP_PKEY_free(open);
    return good;
}

/* The next word of a line, ended by one blank or the line's end. */
static qr_view
word(qr_view *line)
{
    size_t n = 0;
    while (n < line->len && line->p[n] != ' ') {
        n++;
    }
    qr_view w = qr_view_of(line->p, n);
    n += n < line->len;
    *line = qr_view_of(line->p + n, line->len - n);
    return w;
}

static qr_err
line_read(qr_view line, struct qr_release_key *key, uint8_t sig[static 64])
{
    int blank_ends = line.len > 0 && line.p[line.len - 1] == ' ';
    qr_view scheme = word(&line), pub = word(&line), hex = word(&line);

    if (line.len != 0 || blank_ends) {
        return QR_ERR_MALFORMED;
    }
    QR_TRY(qr_release_key_read(scheme, pub, key));
    return qr_hex_decode((const char *)hex.p, hex.len, sig, 64);
}

static void
signers_text(const struct qr_release_signers *s, unsigned mask, char *out, size_t cap)
{
    size_t len = 0;

    (void)snprintf(out, cap, "none");
    for (size_t i = 0; i < s->n && len < cap; i++) {
        if (mask >> i & 1) {
            int n = snprintf(out + len, cap - len, "%s%s", len ? " " : "", s->key[i].name);
            len += n > 0 ? (size_t)n : 0;
        }
    }
}

/* One line; *mask and *good grow. */
static qr_err
line_check(qr_view line, unsigned number, qr_view text, const struct qr_release_signers *s,
           unsigned *mask, unsigned *good, char *err_text, size_t err_cap)
{
    struct qr_release_key key;
    uint8_t sig[64];
    size_t i = 0;

    if (line_read(line, &key, sig) != QR_OK) {
        EXPLAIN("signatures line %u is not \"ed25519 <64 hex> <128 hex>\" or \"p256 <66 hex> "
                "<128 hex>\"",
                number);
        return QR_ERR_MALFORMED;
    }
    while (i < s->n && !same_key(&s->key[i], &key)) {
        i++;
    }
    if (i == s->n) {
        return QR_OK; /* of another set of signers */
    }
    if (*mask >> i & 1) {
        EXPLAIN("signatures line %u is \"%s\"'s second one", number, s->key[i].name);
        return QR_ERR_MALFORMED;
    }
    if (!signature_good(&s->key[i], text, sig)) {
        EXPLAIN("signatures line %u: \"%s\" did not sign these bytes", number, s->key[i].name);
        return QR_ERR_ATTESTATION;
    }
    *mask |= 1u << i;
    (*good)++;
    return QR_OK;
}

qr_err
qr_manifest_verify(qr_view text, qr_view signatures, const struct qr_release_signers *s,
                   unsigned *ret_signed, char *err_text, size_t err_cap)
{
    unsigned mask = 0, good = 0, number = 0;

    if (signatures.len > QR_MANIFEST_SIGS_MAX) {
        EXPLAIN("signatures have %zu bytes, at most %u are allowed", signatures.len,
                QR_MANIFEST_SIGS_MAX);
        return QR_ERR_TOO_LARGE;
    }
    for (size_t at = 0; at < signatures.len;) {
        const uint8_t *p = signatures.p + at, *nl = memchr(p, '\n', signatures.len - at);
        size_t len = nl ? (size_t)(nl - p) : signatures.len - at;
        number++;
        if (len > 0) {
            QR_TRY(
                line_check(qr_view_of(p, len), number, text, s, &mask, &good, err_text, err_cap));
        }
        at += len + 1;
    }
    if (s->need == 0 || good < s->need) {
        char who[128];
        signers_text(s, mask, who, sizeof who);
        EXPLAIN("%u of %u needed release keys signed it (%s)", good, s->need, who);
        return QR_ERR_ATTESTATION;
    }
    if (ret_signed) {
        *ret_signed = mask;
    }
    return QR_OK;
}

/* ---- the signing side ---- */

static qr_err
key_of(EVP_PKEY *key, struct qr_release_key *ret)
{
    uint8_t point[65];
    size_t len = sizeof point;

    *ret = (struct qr_release_key){0};
    if (EVP_PKEY_is_a(key, "ED25519")) {
        ret->scheme = QR_RELEASE_ED25519;
        len = 32;
        return EVP_PKEY_get_raw_public_key(key, ret->b, &len) == 1 ? QR_OK : QR_ERR_CRYPTO_LIB;
    }
    if (!qr_key_is_ec(key, 256)) {
        return QR_ERR_USAGE;
    }
    ret->scheme = QR_RELEASE_P256;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) !=
        1) {
        return QR_ERR_CRYPTO_LIB;
    }
    if (len == 33) {
        memcpy(ret->b, point, 33);
        return QR_OK;
    }
    ret->b[0] = (uint8_t)(2 + (point[64] & 1));
    memcpy(ret->b + 1, point + 1, 32);
    return QR_OK;
}

/* r || s of a DER signature. */
static int
raw_of_der(const uint8_t *der, size_t len, uint8_t out[static 64])
{
    const uint8_t *p = der;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)len);
    int ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), out, 32) == 32 &&
             BN_bn2binpad(ECDSA_SIG_get0_s(s), out + 32, 32) == 32;
    ECDSA_SIG_free(s);
    return ok;
}

qr_err
qr_manifest_sign(struct evp_pkey_st *key, qr_view text, char ret[static QR_SIGNATURE_LINE_MAX])
{
    struct qr_release_key pub;
    uint8_t made[80], sig[64];
    size_t len = sizeof made;
    char key_hex[67], sig_hex[129];

    QR_TRY(key_of(key, &pub));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = pub.scheme == QR_RELEASE_P256 ? EVP_sha256() : NULL;
    int ok = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
             EVP_DigestSign(ctx, made, &len, text.p, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok && pub.scheme == QR_RELEASE_P256) {
        ok = raw_of_der(made, len, sig);
    } else if (ok) {
        memcpy(sig, made, 64);
    }
    if (!ok) {
        return QR_ERR_CRYPTO_LIB;
    }
    qr_hex_encode(qr_view_of(pub.b, qr_release_key_len(pub.scheme)), key_hex);
    qr_hex_encode(qr_view_of(sig, 64), sig_hex);
    (void)snprintf(ret, QR_SIGNATURE_LINE_MAX, "%s %s %s\n", qr_release_scheme_name(pub.scheme),
                   key_hex, sig_hex);
    return QR_OK;
}
