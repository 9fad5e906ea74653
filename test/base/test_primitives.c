/*
 * Known answers of the libraries' primitives that we build on without a wrapper of our own, called
 * as the product calls them: a library that is broken, or that another release made more lenient,
 * is noticed here and not in a protocol run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/view.h"
#include "test/common/vectors.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <sodium.h>

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1; /* starts libsodium, too */
}

/* RFC 9496 appendix A.1: 0*B .. 15*B. */
static const char *const ristretto_multiples[16] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
    "e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e",
    "f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403",
    "44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d",
    "903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c",
    "02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031",
    "20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f",
    "bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42",
    "e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460",
    "aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f",
    "46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e",
    "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e",
};

/* RFC 9496 appendix A.2. */
static const char *const ristretto_bad[] = {
    /* non-canonical field encodings */
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    /* negative field elements */
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
    "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
    "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
    "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
    "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
    /* x^2 is no square */
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
    "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
    "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
    "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
    "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
    "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
    /* x*y is negative */
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
    "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
    "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
    "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
    "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
    "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
    "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
    /* s = -1, so that y = 0 */
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

/* RFC 9496 appendix A.3: SHA-512 of each line, mapped. */
static const struct {
    const char *label, *hex;
} ristretto_hashed[] = {
    {"Ristretto is traditionally a short shot of espresso coffee",
     "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"},
    {"made with the normal amount of ground coffee but extracted with",
     "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b"},
    {"about half the amount of water in the same amount of time",
     "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826"},
    {"by using a finer grind.", "f8f0c87cf237953c5890aec3998169005dae3eca1fbb04548c635953c817f92a"},
    {"This produces a concentrated shot of coffee per volume.",
     "ae81e7dedf20a497e10c304a765c1767a42d6e06029758d2d7e8ef7cc4c41179"},
    {"Just pulling a normal shot short will produce a weaker shot",
     "e2705652ff9f5e44d3e841bf1c251cf7dddb77d140870d1ab2ed64f1a9ce8628"},
    {"and is not a Ristretto as some believe.",
     "80bd07262511cdde4863f8a7434cef696750681cb9510eea557088f76d9e5065"},
};

static void
test_rfc9496(void **state)
{
    uint8_t p[32], want[32], base[32], sum[32];
    size_t bad = sizeof ristretto_bad / sizeof ristretto_bad[0];
    size_t hashed = sizeof ristretto_hashed / sizeof ristretto_hashed[0];

    (void)state;
    hex_bytes(ristretto_multiples[1], base, 32);
    memset(sum, 0, sizeof sum);
    for (uint8_t k = 0; k < 16; k++) {
        uint8_t scalar[32] = {k};
        hex_bytes(ristretto_multiples[k], want, 32);
        assert_memory_equal(sum, want, 32); /* by addition */
        assert_int_equal(crypto_core_ristretto255_is_valid_point(want), 1);
        assert_int_equal(crypto_core_ristretto255_add(sum, sum, base), 0);
        /* by multiplication, of B and of any point; 0*B is told apart by the result */
        assert_int_equal(crypto_scalarmult_ristretto255_base(p, scalar), k == 0 ? -1 : 0);
        if (k > 0) {
            assert_memory_equal(p, want, 32);
            assert_int_equal(crypto_scalarmult_ristretto255(p, scalar, base), 0);
            assert_memory_equal(p, want, 32);
        }
    }
    for (size_t i = 0; i < bad; i++) {
        uint8_t one[32] = {1};
        hex_bytes(ristretto_bad[i], p, 32);
        assert_int_equal(crypto_core_ristretto255_is_valid_point(p), 0);
        assert_int_equal(crypto_scalarmult_ristretto255(want, one, p), -1);
        assert_int_equal(crypto_core_ristretto255_add(want, base, p), -1);
        assert_int_equal(crypto_core_ristretto255_sub(want, p, base), -1);
    }
    for (size_t i = 0; i < hashed; i++) {
        uint8_t h[64];
        qr_sha512(qr_view_str(ristretto_hashed[i].label), h);
        assert_int_equal(crypto_core_ristretto255_from_hash(p, h), 0);
        expect_hex(p, 32, ristretto_hashed[i].hex);
    }
    vectors_ran("RFC 9496 ristretto255", 16 + bad + hashed);
}

/* RFC 8439 sections 2.4.2 and 2.8.2, appendix A.1 vector 1. */
static void
test_rfc8439(void **state)
{
    static const char sunscreen[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
    uint8_t key[32] = {0}, nonce[12] = {0}, out[160], ad[12];
    size_t n = sizeof sunscreen - 1;
    unsigned long long out_len;

    (void)state;
    assert_int_equal(crypto_stream_chacha20_ietf(out, 64, nonce, key), 0);
    expect_hex(out, 64,
               "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
               "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    for (uint8_t i = 0; i < 32; i++) {
        key[i] = i;
    }
    hex_bytes("000000000000004a00000000", nonce, 12);
    assert_int_equal(
        crypto_stream_chacha20_ietf_xor_ic(out, (const uint8_t *)sunscreen, n, nonce, 1, key), 0);
    expect_hex(out, n,
               "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
               "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
               "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
               "5af90bbf74a35be6b40b8eedf2785e42874d");
    for (uint8_t i = 0; i < 32; i++) {
        key[i] = (uint8_t)(0x80 + i);
    }
    hex_bytes("070000004041424344454647", nonce, 12);
    hex_bytes("50515253c0c1c2c3c4c5c6c7", ad, 12);
    assert_int_equal(crypto_aead_chacha20poly1305_ietf_encrypt(
                         out, &out_len, (const uint8_t *)sunscreen, n, ad, 12, NULL, nonce, key),
                     0);
    assert_int_equal(out_len, n + 16);
    expect_hex(out, n + 16,
               "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
               "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
               "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
               "3ff4def08e4b7a9de576d26586cec64b6116"
               "1ae10b594f09e26a7e902ecbd0600691");
    vectors_ran("RFC 8439 ChaCha20 and Poly1305", 3);
}

typedef int (*open_fn)(unsigned char *m, unsigned long long *m_len, unsigned char *nsec,
                       const unsigned char *c, unsigned long long c_len, const unsigned char *ad,
                       unsigned long long ad_len, const unsigned char *nonce,
                       const unsigned char *key);
typedef int (*seal_fn)(unsigned char *c, unsigned long long *c_len, const unsigned char *m,
                       unsigned long long m_len, const unsigned char *ad, unsigned long long ad_len,
                       const unsigned char *nsec, const unsigned char *nonce,
                       const unsigned char *key);

static void
wycheproof_aead(const char *file, size_t nonce_len, open_fn open, seal_fn seal)
{
    static uint8_t box[8192], plain[8192];
    struct vec v;

    vec_open(&v, file);
    while (vec_next(&v)) {
        qr_view key = vec_hex(&v, v.test, "key"), iv = vec_hex(&v, v.test, "iv");
        qr_view ad = vec_hex(&v, v.test, "aad"), msg = vec_hex(&v, v.test, "msg");
        qr_view ct = vec_hex(&v, v.test, "ct"), tag = vec_hex(&v, v.test, "tag");
        unsigned long long n = 0;
        int ok = 0;

        vec_require(&v, key.len == 32 && ct.len + tag.len <= sizeof box, "sizes");
        if (iv.len == nonce_len && tag.len == 16) { /* other sizes do not exist in the API */
            memcpy(box, ct.p, ct.len);
            memcpy(box + ct.len, tag.p, tag.len);
            ok = open(plain, &n, NULL, box, ct.len + 16, ad.p, ad.len, iv.p, key.p) == 0 &&
                 n == msg.len && memcmp(plain, msg.p, msg.len) == 0;
            if (ok) {
                assert_int_equal(seal(plain, &n, msg.p, msg.len, ad.p, ad.len, NULL, iv.p, key.p),
                                 0);
                assert_int_equal(n, ct.len + 16);
                assert_memory_equal(plain, box, ct.len + 16);
            }
        }
        vec_expect(&v, ok);
    }
    vec_close(&v);
}

static void
test_wycheproof_chacha20_poly1305(void **state)
{
    (void)state;
    wycheproof_aead("chacha20_poly1305_test.json", 12, crypto_aead_chacha20poly1305_ietf_decrypt,
                    crypto_aead_chacha20poly1305_ietf_encrypt);
}

static void
test_wycheproof_xchacha20_poly1305(void **state)
{
    (void)state;
    wycheproof_aead("xchacha20_poly1305_test.json", 24, crypto_aead_xchacha20poly1305_ietf_decrypt,
                    crypto_aead_xchacha20poly1305_ietf_encrypt);
}

/* RFC 8032 section 7.1, tests 1 to 3. */
static void
test_rfc8032(void **state)
{
    static const struct {
        const char *seed, *pk, *msg, *sig;
    } known[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    size_t n = sizeof known / sizeof known[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint8_t seed[32], pk[32], sk[64], msg[8], sig[64];
        hex_bytes(known[i].seed, seed, 32);
        size_t len = hex_any(known[i].msg, msg, sizeof msg);
        assert_int_equal(crypto_sign_seed_keypair(pk, sk, seed), 0);
        expect_hex(pk, 32, known[i].pk);
        assert_int_equal(crypto_sign_detached(sig, NULL, msg, len, sk), 0);
        expect_hex(sig, 64, known[i].sig);
        assert_int_equal(crypto_sign_verify_detached(sig, msg, len, pk), 0);
    }
    vectors_ran("RFC 8032 Ed25519", n);
}

static void
test_wycheproof_ed25519(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ed25519_test.json");
    while (vec_next(&v)) {
        qr_view pk = vec_hex(&v, json_object_get(v.group, "publicKey"), "pk");
        qr_view msg = vec_hex(&v, v.test, "msg"), sig = vec_hex(&v, v.test, "sig");
        vec_require(&v, pk.len == 32, "key size");
        vec_expect(&v,
                   sig.len == 64 && crypto_sign_verify_detached(sig.p, msg.p, msg.len, pk.p) == 0);
    }
    vec_close(&v);
}

/* ECDSA on P-256 over SHA-256, DER signatures, as EVP does it. */
static void
test_wycheproof_p256(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ecdsa_secp256r1_sha256_test.json");
    while (vec_next(&v)) {
        qr_view der = vec_hex(&v, v.group, "publicKeyDer"), msg = vec_hex(&v, v.test, "msg");
        qr_view sig = vec_hex(&v, v.test, "sig");
        const uint8_t *at = der.p;
        EVP_PKEY *pk = d2i_PUBKEY(NULL, &at, (long)der.len);
        EVP_MD_CTX *c = EVP_MD_CTX_new();

        vec_require(&v, pk != NULL && at == der.p + der.len, "public key");
        assert_int_equal(EVP_DigestVerifyInit_ex(c, NULL, "SHA256", NULL, NULL, pk, NULL), 1);
        vec_expect(&v, EVP_DigestVerify(c, sig.p, sig.len, msg.p, msg.len) == 1);
        EVP_MD_CTX_free(c);
        EVP_PKEY_free(pk);
    }
    vec_close(&v);
}

static int
hkdf_sha256(qr_view ikm, qr_view salt, qr_view info, uint8_t *out, size_t out_len)
{
    /* OpenSSL takes an empty parameter by any pointer but NULL. */
    static uint8_t nothing[1];
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
                                          ikm.len ? (void *)(uintptr_t)ikm.p : nothing, ikm.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
                                          salt.len ? (void *)(uintptr_t)salt.p : nothing, salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
                                          info.len ? (void *)(uintptr_t)info.p : nothing, info.len),
        OSSL_PARAM_construct_end(),
    };
    int ok = EVP_KDF_derive(c, out, out_len, params) == 1;
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return ok;
}

/* RFC 5869 appendix A.1 to A.3. */
static void
test_rfc5869(void **state)
{
    static const struct {
        const char *ikm, *salt, *info, *okm;
    } known[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
         "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
         "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
         "404142434445464748494a4b4c4d4e4f",
         "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
         "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
         "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
         "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
         "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
         "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
         "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
         "cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    size_t n = sizeof known / sizeof known[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint8_t ikm[80], salt[80], info[80], okm[82];
        qr_view k = qr_view_of(ikm, hex_any(known[i].ikm, ikm, sizeof ikm));
        qr_view s = qr_view_of(salt, hex_any(known[i].salt, salt, sizeof salt));
        qr_view f = qr_view_of(info, hex_any(known[i].info, info, sizeof info));
        size_t len = strlen(known[i].okm) / 2;
        assert_int_equal(hkdf_sha256(k, s, f, okm, len), 1);
        expect_hex(okm, len, known[i].okm);
    }
    vectors_ran("RFC 5869 HKDF-SHA-256", n);
}

static void
test_wycheproof_hkdf(void **state)
{
    static uint8_t out[255 * 32 + 1];
    struct vec v;
    (void)state;
    vec_open(&v, "hkdf_sha256_test.json");
    while (vec_next(&v)) {
        qr_view okm = vec_hex(&v, v.test, "okm");
        size_t size = (size_t)json_integer_value(json_object_get(v.test, "size"));
        vec_require(&v, size <= sizeof out, "size");
        int ok = hkdf_sha256(vec_hex(&v, v.test, "ikm"), vec_hex(&v, v.test, "salt"),
                             vec_hex(&v, v.test, "info"), out, size);
        vec_expect(&v, ok && okm.len == size && memcmp(out, okm.p, size) == 0);
    }
    vec_close(&v);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc9496),
        cmocka_unit_test(test_rfc8439),
        cmocka_unit_test(test_wycheproof_chacha20_poly1305),
        cmocka_unit_test(test_wycheproof_xchacha20_poly1305),
        cmocka_unit_test(test_rfc8032),
        cmocka_unit_test(test_wycheproof_ed25519),
        cmocka_unit_test(test_wycheproof_p256),
        cmocka_unit_test(test_rfc5869),
        cmocka_unit_test(test_wycheproof_hkdf),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
