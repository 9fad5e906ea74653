/*
 * Reading and making stamps, and one verifier for each scheme: P-256 by OpenSSL, secp256k1 by
 * libsecp256k1, Ed25519 by libsodium.
 *
 * ECDSA signatures are taken apart here and not by the libraries, so that exactly one DER encoding
 * of (r, s) is accepted whatever library version runs below.
 */
#include "daemon/stamp.h"

#include "proto/json_strict.h"
#include "protocol/base/buf.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <secp256k1.h>
#include <sodium.h>
#include <stdio.h>

/* base64url of the longest JSON we read: a little below QR_STAMP_MAX. */
#define JSON_MAX (QR_STAMP_MAX / 4u * 3u)
#define JSON_ITEMS 8u

static const struct {
    const char *name, *wire;
    size_t key_len;
} schemes[] = {
    [QR_SCHEME_P256] = {"p256", "SIGNATURE_SCHEME_TK_API_P256", 33},
    [QR_SCHEME_SECP256K1] = {"secp256k1", "SIGNATURE_SCHEME_TK_API_SECP256K1", 33},
    [QR_SCHEME_ED25519] = {"ed25519", "SIGNATURE_SCHEME_TK_API_ED25519", 32},
};
#define SCHEMES (sizeof schemes / sizeof schemes[0])

const char *
qr_scheme_name(enum qr_scheme s)
{
    return (size_t)s < SCHEMES && schemes[s].name ? schemes[s].name : "unknown";
}

size_t
qr_scheme_key_len(enum qr_scheme s)
{
    return (size_t)s < SCHEMES ? schemes[s].key_len : 0;
}

qr_err
qr_scheme_parse(qr_view name, enum qr_scheme *ret)
{
    for (size_t i = 1; i < SCHEMES; i++) {
        if (qr_view_eq(name, qr_view_str(schemes[i].name))) {
            *ret = (enum qr_scheme)i;
            return QR_OK;
        }
    }
    return QR_ERR_MALFORMED;
}

int
qr_stamp_key_cmp(const struct qr_stamp_key *a, const struct qr_stamp_key *b)
{
    if (a->scheme != b->scheme) {
        return a->scheme < b->scheme ? -1 : 1;
    }
    return memcmp(a->b, b->b, sizeof a->b);
}

/* One INTEGER of a DER signature: positive, minimal, at most 32 bytes. */
static int
der_integer(struct qr_buf *b, uint8_t out[static 32])
{
    if (qr_buf_get8(b) != 0x02) {
        return 0;
    }
    size_t len = qr_buf_get8(b);
    qr_view v = qr_buf_take(b, len);
    if (v.len != len || len == 0 || (v.p[0] & 0x80)) {
        return 0;
    }
    if (v.p[0] == 0) {
        if (len == 1 || !(v.p[1] & 0x80)) {
            return 0; /* zero, or a zero byte that is not needed */
        }
        v = qr_view_of(v.p + 1, len - 1);
    }
    if (v.len > 32) {
        return 0;
    }
    memset(out, 0, 32);
    memcpy(out + 32 - v.len, v.p, v.len);
    return 1;
}

/* r || s of a strict DER signature; 0 if it is none. */
static int
der_signature(qr_view der, uint8_t rs[static 64])
{
    struct qr_buf b = qr_buf_read(der);
    if (qr_buf_get8(&b) != 0x30 || qr_buf_get8(&b) != der.len - 2 || !der_integer(&b, rs) ||
        !der_integer(&b, rs + 32)) {
        return 0;
    }
    return qr_buf_end(&b) == QR_OK;
}

/* Reading. */

static qr_err
parse_json(struct qr_json *j, struct qr_stamp *ret)
{
    struct qr_json_at root = qr_json_root(j);
    qr_view key, sig, scheme;
    const struct qr_json_field fields[] = {
        {"publicKey", QR_JSON_TEXT, 64, 66, &key, NULL},
        {"signature", QR_JSON_TEXT, 16, 2 * QR_STAMP_SIG_MAX, &sig, NULL},
        {"scheme", QR_JSON_TEXT, 1, 64, &scheme, NULL},
        {.type = QR_JSON_END},
    };
    struct qr_stamp s = {0};
    uint8_t rs[64];
    char q[QR_QUOTE_MAX];

    QR_TRY(qr_json_fields(&root, fields));
    for (size_t i = 1; i < SCHEMES; i++) {
        if (qr_view_eq(scheme, qr_view_str(schemes[i].wire))) {
            s.key.scheme = (enum qr_scheme)i;
        }
    }
    if (!s.key.scheme) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "unknown scheme \"%s\"", qr_quote(q, scheme));
    }
    if (qr_hex_decode((const char *)key.p, key.len, s.key.b, qr_scheme_key_len(s.key.scheme)) !=
        QR_OK) {
        return qr_json_fail(&root, QR_ERR_MALFORMED,
                            "publicKey must be %zu lower-case hex digits for this scheme",
                            2 * qr_scheme_key_len(s.key.scheme));
    }
    s.sig_len = sig.len / 2;
    if (qr_hex_decode((const char *)sig.p, sig.len, s.sig, s.sig_len) != QR_OK) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "signature must be lower-case hex");
    }
    if (s.key.scheme == QR_SCHEME_ED25519 ? s.sig_len != crypto_sign_BYTES
                                          : !der_signature(qr_view_of(s.sig, s.sig_len), rs)) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "signature is not %s",
                            s.key.scheme == QR_SCHEME_ED25519 ? "64 bytes" : "strict DER");
    }
    *ret = s;
    return QR_OK;
}

qr_err
qr_stamp_parse(qr_view header, struct qr_stamp *ret, char *err_text, size_t err_cap)
{
    uint8_t json[JSON_MAX];
    size_t len = 0;
    struct qr_json j;

    if (header.len > QR_STAMP_MAX) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "stamp has %zu bytes, at most %u are allowed",
                           header.len, QR_STAMP_MAX);
        }
        return QR_ERR_TOO_LARGE;
    }
    if (qr_b64url_decode((const char *)header.p, header.len, json, sizeof json, &len) != QR_OK) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "stamp is not base64url without padding");
        }
        return QR_ERR_STAMP_INVALID;
    }
    qr_err e = qr_json_parse(&j, qr_view_of(json, len), JSON_ITEMS, err_text, err_cap);
    if (e == QR_OK) {
        e = parse_json(&j, ret);
        qr_json_clear(&j);
    }
    return e == QR_OK || e == QR_ERR_NO_MEMORY ? e : QR_ERR_STAMP_INVALID;
}

/* Verification. */

static EVP_MD *sha256_md;
static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static qr_err init_result = QR_ERR_CRYPTO_LIB;

static void
init(void)
{
    if (qr_hash_init() != QR_OK) {
        return;
    }
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    init_result = sha256_md ? QR_OK : QR_ERR_CRYPTO_LIB;
}

qr_err
qr_stamp_init(void)
{
    return pthread_once(&init_once, init) == 0 ? init_result : QR_ERR_CRYPTO_LIB;
}

struct qr_pubkey {
    struct qr_stamp_key key;
    EVP_PKEY *pkey;        /* P-256 */
    EVP_PKEY_CTX *verify;  /* ready for EVP_PKEY_verify, again and again */
    secp256k1_pubkey secp; /* secp256k1 */
};

static qr_err
p256_decode(struct qr_pubkey *k)
{
    uint8_t point[33];
    char group[] = "prime256v1";
    qr_err e = QR_ERR_POINT;

    memcpy(point, k->key.b, sizeof point);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!c || EVP_PKEY_fromdata_init(c) != 1) {
        e = QR_ERR_CRYPTO_LIB;
        goto out;
    }
    if ((point[0] != 2 && point[0] != 3) ||
        EVP_PKEY_fromdata(c, &k->pkey, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) != 1) {
        goto out;
    }
    k->verify = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    e = k->verify && EVP_PKEY_verify_init(k->verify) == 1 &&
                EVP_PKEY_CTX_set_signature_md(k->verify, sha256_md) == 1
            ? QR_OK
            : QR_ERR_CRYPTO_LIB;
out:
    EVP_PKEY_CTX_free(c);
    return e;
}

qr_err
qr_pubkey_new(const struct qr_stamp_key *key, struct qr_pubkey **ret)
{
    qr_err e = QR_ERR_POINT;

    QR_TRY(qr_stamp_init());
    struct qr_pubkey *k = qr_alloc(sizeof *k);
    if (!k) {
        return QR_ERR_NO_MEMORY;
    }
    k->key = *key;
    switch (key->scheme) {
    case QR_SCHEME_P256:
        e = p256_decode(k);
        break;
    case QR_SCHEME_SECP256K1:
        if (secp256k1_ec_pubkey_parse(secp256k1_context_static, &k->secp, key->b, 33) == 1) {
            e = QR_OK;
        }
        break;
    case QR_SCHEME_ED25519:
        if (crypto_core_ed25519_is_valid_point(key->b) == 1) {
            e = QR_OK;
        }
        break;
    }
    if (e != QR_OK) {
        qr_pubkey_free(k);
        return e;
    }
    *ret = k;
    return QR_OK;
}

struct qr_pubkey *
qr_pubkey_free(struct qr_pubkey *k)
{
    if (k) {
        EVP_PKEY_CTX_free(k->verify);
        EVP_PKEY_free(k->pkey);
    }
    return qr_free(k);
}

static int
secp_verify(const struct qr_pubkey *k, const struct qr_stamp *s, const uint8_t digest[static 32])
{
    secp256k1_ecdsa_signature sig;
    uint8_t rs[64];

    if (!der_signature(qr_view_of(s->sig, s->sig_len), rs) ||
        secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &sig, rs) != 1) {
        return 0;
    }
    (void)secp256k1_ecdsa_signature_normalize(secp256k1_context_static, &sig, &sig);
    return secp256k1_ecdsa_verify(secp256k1_context_static, &sig, digest, &k->secp) == 1;
}

qr_err
qr_stamp_verify(struct qr_pubkey *k, const struct qr_stamp *s, qr_view body)
{
    uint8_t digest[32], rs[64];
    int ok = 0;

    if (qr_stamp_key_cmp(&k->key, &s->key) != 0 || s->sig_len > sizeof s->sig) {
        return QR_ERR_STAMP_INVALID;
    }
    switch (s->key.scheme) {
    case QR_SCHEME_P256:
        qr_sha256(body, digest);
        ok = der_signature(qr_view_of(s->sig, s->sig_len), rs) &&
             EVP_PKEY_verify(k->verify, s->sig, s->sig_len, digest, sizeof digest) == 1;
        break;
    case QR_SCHEME_SECP256K1:
        qr_sha256(body, digest);
        ok = secp_verify(k, s, digest);
        break;
    case QR_SCHEME_ED25519:
        ok = s->sig_len == crypto_sign_BYTES &&
             crypto_sign_verify_detached(s->sig, body.p, body.len, s->key.b) == 0;
        break;
    }
    return ok ? QR_OK : QR_ERR_STAMP_INVALID;
}

/* Making. */

/* The scheme of an OpenSSL key; 0 if it is none of ours. */
static enum qr_scheme
scheme_of(EVP_PKEY *key)
{
    char group[32];
    size_t len = 0;

    if (EVP_PKEY_is_a(key, "ED25519")) {
        return QR_SCHEME_ED25519;
    }
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1) {
        return strcmp(group, "prime256v1") == 0  ? QR_SCHEME_P256
               : strcmp(group, "secp256k1") == 0 ? QR_SCHEME_SECP256K1
                                                 : (enum qr_scheme)0;
    }
    return (enum qr_scheme)0;
}

qr_err
qr_stamp_key_of(struct evp_pkey_st *key, struct qr_stamp_key *ret)
{
    struct qr_stamp_key k = {.scheme = scheme_of(key)};
    uint8_t point[65];
    size_t len = sizeof point;

    if (!k.scheme) {
        return QR_ERR_USAGE;
    }
    if (k.scheme == QR_SCHEME_ED25519) {
        len = 32;
        if (EVP_PKEY_get_raw_public_key(key, k.b, &len) != 1 || len != 32) {
            return QR_ERR_CRYPTO_LIB;
        }
    } else {
        /* The key may hold its point in either form; make the compressed one ourselves. */
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                            &len) != 1) {
            return QR_ERR_CRYPTO_LIB;
        }
        if (len == 65 && point[0] == 4) {
            point[0] = (uint8_t)(2 + (point[64] & 1));
        } else if (len != 33) {
            return QR_ERR_CRYPTO_LIB;
        }
        memcpy(k.b, point, 33);
    }
    *ret = k;
    return QR_OK;
}

qr_err
qr_stamp_sign(struct evp_pkey_st *key, qr_view body, char *out, size_t cap)
{
    struct qr_stamp_key k = {0};
    uint8_t sig[QR_STAMP_SIG_MAX + 8];
    size_t sig_len = sizeof sig;
    char key_hex[2 * 33 + 1], sig_hex[2 * sizeof sig + 1], json[512];

    QR_TRY(qr_stamp_key_of(key, &k));
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    /* Ed25519 hashes by itself and takes no digest. */
    const char *md = k.scheme == QR_SCHEME_ED25519 ? NULL : "SHA256";
    int ok = c && EVP_DigestSignInit_ex(c, NULL, md, NULL, NULL, key, NULL) == 1 &&
             EVP_DigestSign(c, sig, &sig_len, body.p, body.len) == 1;
    EVP_MD_CTX_free(c);
    if (!ok || sig_len > QR_STAMP_SIG_MAX) {
        return QR_ERR_CRYPTO_LIB;
    }
    qr_hex_encode(qr_view_of(k.b, qr_scheme_key_len(k.scheme)), key_hex);
    qr_hex_encode(qr_view_of(sig, sig_len), sig_hex);
    int n =
        snprintf(json, sizeof json, "{\"publicKey\":\"%s\",\"signature\":\"%s\",\"scheme\":\"%s\"}",
                 key_hex, sig_hex, schemes[k.scheme].wire);
    if (n < 0 || (size_t)n >= sizeof json || qr_b64url_len((size_t)n) + 1 > cap) {
        return QR_ERR_NO_SPACE;
    }
    qr_b64url_encode(qr_view_of(json, (size_t)n), out);
    return QR_OK;
}
