#include "enclave-shim/verify/sig.h"

#include "protocol/base/check.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

static const EVP_MD *
md_of(enum qr_hash_alg h)
{
    switch (h) {
    case QR_SHA1:
        return EVP_sha1();
    case QR_SHA256:
        return EVP_sha256();
    case QR_SHA384:
        return EVP_sha384();
    case QR_SHA512:
        return EVP_sha512();
    }
    QR_ASSERT(0); /* a hash that is none of the enum */
    return NULL;
}

size_t
qr_hash_len(enum qr_hash_alg h)
{
    return (size_t)EVP_MD_get_size(md_of(h));
}

int
qr_hash_of(enum qr_hash_alg h, const qr_view *piece, size_t n, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex(ctx, md_of(h), NULL) == 1;
    for (size_t i = 0; ok && i < n; i++) {
        ok = piece[i].len == 0 || EVP_DigestUpdate(ctx, piece[i].p, piece[i].len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *k = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        k = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return k;
}

EVP_PKEY *
qr_key_ec(qr_view xy)
{
    uint8_t point[1 + 96];
    char group256[] = "prime256v1", group384[] = "secp384r1";

    if (xy.len != 64 && xy.len != 96) {
        return NULL;
    }
    point[0] = 0x04; /* uncompressed; OpenSSL checks that it is on the curve */
    memcpy(point + 1, xy.p, xy.len);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         xy.len == 64 ? group256 : group384, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + xy.len),
        OSSL_PARAM_construct_end(),
    };
    return key_from("EC", params);
}

EVP_PKEY *
qr_key_rsa(qr_view n, qr_view e)
{
    EVP_PKEY *k = NULL;
    OSSL_PARAM *params = NULL;
    BIGNUM *bn = NULL, *be = NULL;
    OSSL_PARAM_BLD *bld = NULL;

    while (n.len > 0 && n.p[0] == 0) { /* ASN.1 puts one in front */
        n.p++;
        n.len--;
    }
    if (n.len > RSA_BITS_MAX / 8 || e.len > 8) {
        return NULL;
    }
    bn = BN_bin2bn(n.p, (int)n.len, NULL);
    be = BN_bin2bn(e.p, (int)e.len, NULL);
    bld = OSSL_PARAM_BLD_new();
    if (bn && be && bld && BN_is_odd(bn) && BN_is_odd(be) && !BN_is_one(be) &&
        BN_num_bits(bn) >= RSA_BITS_MIN &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1) {
        params = OSSL_PARAM_BLD_to_param(bld);
        k = params ? key_from("RSA", params) : NULL;
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    return k;
}

int
qr_key_is_ec(EVP_PKEY *k, unsigned bits)
{
    char name[32];
    size_t n = 0;
    int explicit_params = 0;
    const char *want = bits == 256 ? "prime256v1" : bits == 384 ? "secp384r1" : NULL;

    if (!k || !want || !EVP_PKEY_is_a(k, "EC") ||
        EVP_PKEY_get_group_name(k, name, sizeof name, &n) != 1) {
        return 0;
    }
    /* A curve that a certificate spells out is no named curve, whatever it resembles. */
    if (EVP_PKEY_get_int_param(k, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &explicit_params) == 1 &&
        explicit_params) {
        return 0;
    }
    return strcmp(name, want) == 0;
}

int
qr_key_is_rsa(EVP_PKEY *k)
{
    return k && EVP_PKEY_is_a(k, "RSA") && EVP_PKEY_get_bits(k) >= RSA_BITS_MIN &&
           EVP_PKEY_get_bits(k) <= RSA_BITS_MAX;
}

/* The orders of P-256 and P-384: SEC 2, sections 2.4.2 and 2.5.1. */
static const uint8_t order256[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order384[48] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

/* INTEGER of n big-endian bytes, 0 < value < order; appends to out. 0: out of range. */
static int
put_integer(uint8_t *out, size_t *len, const uint8_t *be, size_t n, const uint8_t *order)
{
    size_t skip = 0;
    if (memcmp(be, order, n) >= 0) {
        return 0;
    }
    while (skip < n && be[skip] == 0) {
        skip++;
    }
    if (skip == n) {
        return 0;
    }
    size_t sign = be[skip] >= 0x80; /* a zero octet keeps it positive */
    out[(*len)++] = 0x02;
    out[(*len)++] = (uint8_t)(n - skip + sign);
    if (sign) {
        out[(*len)++] = 0;
    }
    memcpy(out + *len, be + skip, n - skip);
    *len += n - skip;
    return 1;
}

static int
digest_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig)
{
    EVP_PKEY_CTX *pctx = NULL; /* belongs to ctx */
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestVerifyInit(ctx, &pctx, md_of(h), NULL, k) == 1;
    if (ok && pss) {
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) == 1;
    }
    ok = ok && EVP_DigestVerify(ctx, sig.p, sig.len, msg.p, msg.len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

int
qr_evp_ecdsa_verify(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, qr_view raw)
{
    uint8_t der[3 + 2 * (3 + 48)];
    size_t half = raw.len / 2, len = 2;
    const uint8_t *order = half == 32 ? order256 : order384;

    if ((raw.len != 64 && raw.len != 96) || !qr_key_is_ec(k, (unsigned)half * 8) ||
        !put_integer(der, &len, raw.p, half, order) ||
        !put_integer(der, &len, raw.p + half, half, order)) {
        return 0;
    }
    der[0] = 0x30;
    der[1] = (uint8_t)(len - 2); /* at most 2 * 51 = 102 */
    return digest_verify(k, h, 0, msg, qr_view_of(der, len));
}

int
qr_evp_rsa_verify(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, qr_view sig)
{
    return qr_key_is_rsa(k) && sig.len == (size_t)EVP_PKEY_get_size(k) &&
           digest_verify(k, h, pss, msg, sig);
}
