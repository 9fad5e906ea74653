/* Keys and signatures of evgen_ca.h. */
#include "test/common/evgen_ca.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(cond) ((cond) ? (void)0 : die(__LINE__, #cond))

static void
die(int line, const char *what)
{
    (void)fprintf(stderr, "evgen_keys.c:%d: %s\n", line, what);
    abort();
}

/* Primes p and q; making them takes seconds. */
static const char *const primes[2][EVGEN_RSA_SLOTS][2] = {
    {
        {
            "eefb2759a95c402b0039433af59479e0e92e914f1b90c079ed31f6fbc31428a991955d2fee4d087d4622"
            "5768f7beede9a22c77e64e0a02016312b46ead59313727885f1a189c5f26ebb8a206013cd014b64b93ce"
            "cf2fd999c82bf0c4550fc7942106afb85e94e7bd0788e4f10ad79613de991095060be898c49cdceedbf8"
            "c56f",
            "eb2109607a7b987f6258303752800c09324fddaf91e7bbccc82bc6d214230c6553772f330a3814cfaf87"
            "351052215f4a6b7b35e5eabb7b70feba292b7845c744fe20e4da01ab1206428e8acb23a7e745f735de11"
            "ce99fe25b2af11dfe1a2dc88978631aadc735d9401ea083e76c80d35f84f29a1fd83958be824908d1202"
            "3205",
        },
        {
            "e5a8356ccec7766437bf2a5747dffd3cf896f7f645a8b88d3e438855addb2cdf287275985e12ee38edc7"
            "6ac72790c6ec681ec0f2ce45bf33de5498e4855c77fb734779f57d939a09dc8d7e97a200d176b66256af"
            "b8361a7a2cb3945c0f7a258301c7c1bab667431337af4b67d15d11404ffa2c7782d3a6bb7e467c857721"
            "3651",
            "e2535efb9cbbc75858f8f62ca985e0bad2f17bacead724f4e344dcc37c8dc3b2fcff1d5182c29d5803eb"
            "dfa8c0e2773cc65b2f0363519da20ebef31744ab988ad7ec77660dcb2a4b3a682c173ac79552ab2b872a"
            "d8374413fa8b5bbb3564055c21eb885c884d973d00e110ff665ddd40db01a3307cabc7fa25cc6af50db0"
            "41c5",
        },
        {
            "e653a4277dc8349b7892c6c85e4a53f183907b5c5ee59c95c9b5a36428b17800f4886dab60d6a0fe9a9e"
            "33e99eecaa318cec7e3db53cf108523b42d08e8c4db2472c2ec5112230befcd80adedfb97182abaaff3b"
            "88fecb728fb577abfbd8f6a2a4f7339a1c7268016eb0e6b36495dbfdd8b75b011e6fc746aa8f42013637"
            "fd3d",
            "da960a59bf81f22ab8f7953d4b11ca9cf4cabfbcb80eb1f2d182b3e44da60f7f25d362ae2e1e8f730ead"
            "b1f55b49cba551e0c97cd5bcd06a12b0d6c98856892c6ce677e8013b77622a193628047467df020b5263"
            "0f78c0937dbfec56ae446ee864034db74883844f8bb559b349d5de3db063790ae8f7cdcb15d5fe657785"
            "fef5",
        },
    },
    {
        {
            "efec56165a6547479ab5b42c77678416c7b0cdfe206566abb2e32a32015e616ee195f6d82ebce850fcde"
            "15b04059cf61b3ef55b29e0b39300c737d04e409303b7f1241782348b4c4e8a7c1e739c1db9046a2b8a3"
            "ab7f69761be8bbf635d2d1369819f2de19d84bd532d5e6fff986591614b6e555748c1d034f515fc7face"
            "ba5b268eb34fd0a5bcb775db9a087be218722351c88736a7fd9d78f08028939e6689e948a3c36cf46481"
            "deb994fe482b7660ae0300bc2d373c0eb1a82501f4e3db871e4d5511734aea2ead8b08f67e2f08bb93b2"
            "b181d603a52cd3eb0104cbe2af65b674d72d8f1def9be0999004103900827b6c749490b92fb7d4d86f07"
            "70eb1379",
            "d205aa383b93727f085885168e9a2d9934a1ce625854e90a3919418872f4ae5c6abe5ef40e246b968772"
            "65da4883115f0a8348a61d152fb10eceb1cd97ffa574872155fa573055728ba9b471621a144149106314"
            "97de74401420229db7ad3480ac2bc0a016624ccbbcb2dae6be2fd61895bbdbf23442f127ede78516e377"
            "ec1a3143c7308aaa0e44331e7a78d2495e87642e99e08f9737313b1d9f8cc8ce8eb5c2526dd1c71a5158"
            "cfb666fab08491bc3e927e85d2584504fb812e7040835ba412e270fde3126fd0569228cb143e07b4a4a7"
            "6f07eb2f1c5049f7bb5754fd32362b9c09864c1989fd42340dd5f154618b5343b1d2d669262cada01067"
            "9e4d8f53",
        },
        {
            "cd9324f3e0dd899adb8c1f1b8d7f7a23142822a9329dce1f67adcc5d9628de080abfb56dba660b39351a"
            "664840bfbb9f8964fa9631b76b3b4ef192571318bedf7a72315a060530cb29eb83268d20046c3f217e74"
            "516c47f7dc77e911ffc761e95c7de4c3ebedcf6b60062f0509d46926780d707ad10aab8b509c0eafd53f"
            "670788c73ce8bad00568107f7b6cb61f289556a2ec0e770dfe850447e1c81cbdae7f8602e4b96df61d3b"
            "1bda786aa0357b795b0eed298f399d3f2e45568a5d1eb11790430aedf71ffd0e65e1815a74c709ef3c45"
            "000e471e8ec4d848b507063632c141a66a26d557e751542ef0c0e9c97ecce781e52d1c5b47b4d6a4230a"
            "d5d2d7cf",
            "c72af931d549b328bee4a23ff2c09ebad7560b4eb2152d1565240543c35a05525ebdfc894706d4f58fcf"
            "b10fa73bbcf1bfb40b76f8df66cde64a4d746f45f0848f440db2aba51a12c7326869556a52c07e8fe023"
            "6cd85871edde31a25701a619f259aecadd1ed16ec564b24aa9936e4a63f55d6ab7bbc8239e490c249bfb"
            "04c05eeb067a681f07f0329e74a2aea5269b34012fe91b6df9c22bf9dd4ab29d9e9baf531429bc3af6f9"
            "d2ae92abb6ead64b4a0685ff7caebc7878cb9f3608e97f63a8260f2a8183221058804b3f2170641d18b3"
            "56b2ae1571a1f5df3135e836f573500653036b0c296b7122daef3b1a85e05411ca468b818d8e5a39c326"
            "08e09f5b",
        },
        {
            "d6790919e3d8cb60c6c42d209cb9102ac3f13f49de91007a1c6d6ce162a097fc83cba3592fc69a9a7f6b"
            "fc0e840e763de8691f263f75b23f7fddb24547c4709f395a72bbb6597b4f71d9016fe75fccd88f89b54c"
            "a620e7d03fa78c060af2c848ddd0edba1e0e1388832595ed960f11621b76b36174ec69553c9994804ab7"
            "3c75e3fe04289622424687ee41c1770d82f4f88d4956205a677f7aa3ad35eaae2c021b22a5abb6258276"
            "37d2be61a71718bf9dc060e4743956c3b500e4c4c3b163aa488388c1fbca19db1fbb9620e6ec142b9457"
            "0bf0506696ec7e96e3bf45e5c6907bc94f206a38293d93ebfbfc1303fb7f81bd3995d14702eaae3150e3"
            "5e748303",
            "b5ef284cf8ecfa1cb2abee96c53173d8a5cbf8c39b4cc5e775020b064274c143553ad40cbc50654ef915"
            "7a527186784f98e8d0d3b2c10ce9f659ba3c87da2d67d93cae549179cf63780fb286b680b3e9fb34057d"
            "b88f756cad2a49241882b56a25a80abba2990f12c6f5bbac7aa270715c28eaf20186243f7efdcf4d1389"
            "68de5769c2429fb36600eef272b23eb89e79ea4acfe249f5202eb51f616bfbae0eb3ee8fd38d3dd53d9b"
            "7b5d3c5af8cbdbdf755b00ec3837c1752fa8b78b8e28a628094469bc31887d9b1be50f61ac33735b97fe"
            "b4cc32dae178e132cec42f515776dc9e129cc6afa8cca16c60f5e62284630d20fa5d713c9533a8e7736a"
            "63fecf4f",
        },
    },
};

static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *k = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    MUST(params && ctx && EVP_PKEY_fromdata_init(ctx) == 1);
    MUST(EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_KEYPAIR, params) == 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    return k;
}

static EVP_PKEY *
make_rsa(const char *const pq[2])
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *b[8] = {NULL}; /* n e d p q dp dq qinv, in the order of `names` */
    static const char *const names[8] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    BIGNUM *p1 = BN_new(), *q1 = BN_new(), *phi = BN_new();
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

    for (size_t i = 0; i < 8; i++) {
        b[i] = BN_new();
        MUST(b[i]);
    }
    MUST(ctx && p1 && q1 && phi && bld && BN_hex2bn(&b[3], pq[0]) > 0 &&
         BN_hex2bn(&b[4], pq[1]) > 0 && BN_set_word(b[1], 65537) == 1);
    MUST(BN_mul(b[0], b[3], b[4], ctx) == 1 && BN_sub(p1, b[3], BN_value_one()) == 1 &&
         BN_sub(q1, b[4], BN_value_one()) == 1 && BN_mul(phi, p1, q1, ctx) == 1);
    MUST(BN_mod_inverse(b[2], b[1], phi, ctx) && BN_nnmod(b[5], b[2], p1, ctx) == 1 &&
         BN_nnmod(b[6], b[2], q1, ctx) == 1 && BN_mod_inverse(b[7], b[4], b[3], ctx));
    for (size_t i = 0; i < 8; i++) {
        MUST(OSSL_PARAM_BLD_push_BN(bld, names[i], b[i]) == 1);
    }
    EVP_PKEY *k = from_params("RSA", bld);
    for (size_t i = 0; i < 8; i++) {
        BN_free(b[i]);
    }
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
    BN_CTX_free(ctx);
    return k;
}

static EVP_PKEY *
make_ec(int nid, const char *name, unsigned slot)
{
    char label[64];
    uint8_t seed[64], point[97];
    int n = snprintf(label, sizeof label, "quorate test key %s %u", name, slot);
    qr_view v = qr_view_of(label, (size_t)n);
    BN_CTX *ctx = BN_CTX_new();
    EC_GROUP *g = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *pub = g ? EC_POINT_new(g) : NULL;
    BIGNUM *d = BN_new(), *below = BN_new();
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

    MUST(ctx && pub && d && below && bld && qr_hash_of(QR_SHA512, &v, 1, seed));
    MUST(BN_sub(below, EC_GROUP_get0_order(g), BN_value_one()) == 1 &&
         BN_bin2bn(seed, sizeof seed, d) && BN_nnmod(d, d, below, ctx) == 1 &&
         BN_add_word(d, 1) == 1 && EC_POINT_mul(g, pub, d, NULL, NULL, ctx) == 1);
    size_t len =
        EC_POINT_point2oct(g, pub, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, ctx);
    MUST(len > 0 && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, name, 0) == 1);
    MUST(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1 &&
         OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1);
    EVP_PKEY *k = from_params("EC", bld);
    BN_free(d);
    BN_free(below);
    EC_POINT_free(pub);
    EC_GROUP_free(g);
    BN_CTX_free(ctx);
    return k;
}

EVP_PKEY *
evgen_key(enum evgen_key_kind kind, unsigned slot)
{
    static EVP_PKEY *ec[2][EVGEN_EC_SLOTS], *rsa[2][EVGEN_RSA_SLOTS];
    if (kind == EVGEN_P256 || kind == EVGEN_P384) {
        int big = kind == EVGEN_P384;
        MUST(slot < EVGEN_EC_SLOTS);
        if (!ec[big][slot]) {
            ec[big][slot] = big ? make_ec(NID_secp384r1, "secp384r1", slot)
                                : make_ec(NID_X9_62_prime256v1, "prime256v1", slot);
        }
        return ec[big][slot];
    }
    int big = kind == EVGEN_RSA4096;
    MUST(slot < EVGEN_RSA_SLOTS);
    if (!rsa[big][slot]) {
        rsa[big][slot] = make_rsa(primes[big][slot]);
    }
    return rsa[big][slot];
}

size_t
evgen_key_xy(EVP_PKEY *k, uint8_t *out)
{
    uint8_t point[97];
    size_t n = 0;
    MUST(EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof point,
                                         &n) == 1 &&
         point[0] == 4);
    memcpy(out, point + 1, n - 1);
    return n - 1;
}

size_t
evgen_key_modulus(EVP_PKEY *k, uint8_t *out)
{
    BIGNUM *n = NULL;
    MUST(EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_N, &n) == 1);
    int len = BN_bn2bin(n, out);
    BN_free(n);
    return (size_t)len;
}

static const EVP_MD *
md_of(enum qr_hash_alg h)
{
    return h == QR_SHA1     ? EVP_sha1()
           : h == QR_SHA256 ? EVP_sha256()
           : h == QR_SHA384 ? EVP_sha384()
                            : EVP_sha512();
}

static size_t
sign(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, uint8_t *out, size_t cap)
{
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = cap;
    MUST(ctx && EVP_DigestSignInit(ctx, &pctx, md_of(h), NULL, k) == 1);
    if (pss) {
        MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    MUST(EVP_DigestSign(ctx, out, &n, msg.p, msg.len) == 1);
    EVP_MD_CTX_free(ctx);
    return n;
}

size_t
evgen_sign_der(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, uint8_t *out, size_t cap)
{
    return sign(k, h, 0, msg, out, cap);
}

size_t
evgen_sign_rsa(EVP_PKEY *k, enum qr_hash_alg h, int pss, qr_view msg, uint8_t *out, size_t cap)
{
    return sign(k, h, pss, msg, out, cap);
}

size_t
evgen_sign_raw(EVP_PKEY *k, enum qr_hash_alg h, qr_view msg, uint8_t *out)
{
    uint8_t der[160];
    const unsigned char *p = der;
    size_t n = sign(k, h, 0, msg, der, sizeof der);
    int half = EVP_PKEY_get_bits(k) / 8;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
    MUST(sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half) == half &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half) == half);
    ECDSA_SIG_free(sig);
    return 2 * (size_t)half;
}

void
evgen_sha256(qr_view v, uint8_t out[static 32])
{
    MUST(qr_hash_of(QR_SHA256, &v, 1, out));
}

void
evgen_sha384(qr_view v, uint8_t out[static 48])
{
    MUST(qr_hash_of(QR_SHA384, &v, 1, out));
}
