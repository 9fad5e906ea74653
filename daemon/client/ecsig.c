#include "daemon/client/ecsig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

static size_t
der_integer(const uint8_t v[static 32], uint8_t *out)
{
    size_t skip = 0;
    while (skip < 31 && v[skip] == 0) {
        skip++;
    }
    size_t pad = v[skip] >> 7, n = 32 - skip;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, v + skip, n);
    return 2 + pad + n;
}

size_t
qr_ecsig_der(const uint8_t rs[static 64], uint8_t out[static 72])
{
    size_t n = 2;
    n += der_integer(rs, out + n);
    n += der_integer(rs + 32, out + n);
    out[0] = 0x30;
    out[1] = (uint8_t)(n - 2);
    return n;
}

qr_err
qr_ecsig_parse(qr_view der, uint8_t ret_rs[static 64])
{
    const uint8_t *p = der.p;
    uint8_t rs[64], again[72];
    qr_err e = QR_ERR_MALFORMED;

    if (der.len > sizeof again) {
        return e;
    }
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    if (s && BN_bn2binpad(ECDSA_SIG_get0_r(s), rs, 32) == 32 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(s), rs + 32, 32) == 32 &&
        !BN_is_negative(ECDSA_SIG_get0_r(s)) && !BN_is_negative(ECDSA_SIG_get0_s(s)) &&
        /* One encoding only: encode again and compare. */
        qr_view_eq(qr_view_of(again, qr_ecsig_der(rs, again)), der)) {
        memcpy(ret_rs, rs, 64);
        e = QR_OK;
    }
    ECDSA_SIG_free(s);
    return e;
}

/* SEQUENCE { SEQUENCE { id-ecPublicKey, secp256k1 }, BIT STRING }, up to the point. */
static const uint8_t spki_head[23] = {0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                      0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                      0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00};

qr_err
qr_ecsig_spki(const uint8_t pk[static 33], uint8_t ret[static QR_ECSIG_SPKI_LEN])
{
    uint8_t xy[65];
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_secp256k1);
    EC_POINT *p = g ? EC_POINT_new(g) : NULL;
    qr_err e = QR_ERR_POINT;

    if (p && EC_POINT_oct2point(g, p, pk, 33, NULL) == 1 &&
        EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, xy, sizeof xy, NULL) == sizeof xy) {
        memcpy(ret, spki_head, sizeof spki_head);
        memcpy(ret + sizeof spki_head, xy, sizeof xy);
        e = QR_OK;
    }
    EC_POINT_free(p);
    EC_GROUP_free(g);
    return e;
}

qr_err
qr_ecsig_spki_pem(const uint8_t pk[static 33], struct qr_dbuf *out)
{
    char *pem = NULL;
    EVP_PKEY *k = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    qr_err e = QR_ERR_CRYPTO_LIB;

    if (ctx && b && bio &&
        OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "secp256k1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, pk, 33) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(b)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) == 1 &&
        PEM_write_bio_PUBKEY(bio, k) == 1) {
        long n = BIO_get_mem_data(bio, &pem);
        e = qr_dbuf_append(out, pem, (size_t)n);
    }
    BIO_free(bio);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_free(k);
    EVP_PKEY_CTX_free(ctx);
    return e;
}
