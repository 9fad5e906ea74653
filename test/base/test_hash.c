/* Plain digests by published answers; the tagged ones by an encoding written out here by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/base/hash.h"
#include "protocol/base/secret.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

/* FIPS 180-4; the examples of NIST's "Examples with Intermediate Values", and the empty message. */
static void
test_fips180(void **state)
{
    static const struct {
        const char *text, *sha256, *sha512;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
         "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
         "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
         "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
         "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
         "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
         "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
    };
    uint8_t out[64];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        qr_sha256(qr_view_str(known[i].text), out);
        expect_hex(out, 32, known[i].sha256);
        qr_sha512(qr_view_str(known[i].text), out);
        expect_hex(out, 64, known[i].sha512);
    }
    uint8_t *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    qr_sha256(qr_view_of(million, 1000000), out);
    expect_hex(out, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    qr_sha512(qr_view_of(million, 1000000), out);
    expect_hex(out, 64,
               "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
               "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
    free(million);
    vectors_ran("FIPS 180-4 SHA-256 and SHA-512", 10);
}

/* RFC 4231 section 4, cases 1 to 4, 6 and 7 (5 is about truncation). */
static void
test_rfc4231(void **state)
{
    static const struct {
        const char *key, *data, *mac;
    } known[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
         "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
         "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "dddddddddddddddddddddddddddddddddddddddddddddddddd"
         "dddddddddddddddddddddddddddddddddddddddddddddddddd",
         "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
         "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
         "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
         "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
        {NULL, /* 131 bytes of aa */
         "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"
         "65204b6579202d2048617368204b6579204669727374",
         "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
         "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
        {NULL,
         "5468697320697320612074657374207573696e672061206c6172676572207468"
         "616e20626c6f636b2d73697a65206b657920616e642061206c61726765722074"
         "68616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565"
         "647320746f20626520686173686564206265666f7265206265696e6720757365"
         "642062792074686520484d414320616c676f726974686d2e",
         "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
         "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
    };
    size_t n = sizeof known / sizeof known[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint8_t key[131], data[256], mac[64];
        size_t key_len = sizeof key;
        memset(key, 0xaa, sizeof key);
        if (known[i].key) {
            key_len = hex_any(known[i].key, key, sizeof key);
        }
        size_t data_len = hex_any(known[i].data, data, sizeof data);
        qr_hmac_sha512(qr_view_of(key, key_len), qr_view_of(data, data_len), mac);
        expect_hex(mac, 64, known[i].mac);
    }
    vectors_ran("RFC 4231 HMAC-SHA-512", n);
}

static void
test_wycheproof_hmac(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "hmac_sha512_test.json");
    while (vec_next(&v)) {
        uint8_t mac[64];
        qr_view tag = vec_hex(&v, v.test, "tag");
        vec_require(&v, tag.len > 0 && tag.len <= sizeof mac, "tag size");
        qr_hmac_sha512(vec_hex(&v, v.test, "key"), vec_hex(&v, v.test, "msg"), mac);
        vec_expect(&v, qr_sec_eq(mac, tag.p, tag.len));
    }
    vec_close(&v);
}

/* The encoding of SPEC.md section 1, written out without the code under test. */
static size_t
encode(const char *tag, const qr_view *f, size_t m, uint8_t *out, size_t cap)
{
    uint8_t text[64], t[32];
    struct qr_buf b = qr_buf_over(text, sizeof text);
    qr_buf_put(&b, "quorate/1/", 10);
    qr_buf_put(&b, tag, strlen(tag));
    assert_int_equal(EVP_Digest(text, b.len, t, NULL, EVP_sha256(), NULL), 1);
    b = qr_buf_over(out, cap);
    qr_buf_put(&b, t, 32);
    qr_buf_put(&b, t, 32);
    qr_buf_put32(&b, (uint32_t)m);
    for (size_t i = 0; i < m; i++) {
        qr_buf_put_lp(&b, f[i]);
    }
    assert_int_equal(b.err, QR_OK);
    return b.len;
}

static void
shake256(const uint8_t *in, size_t n, uint8_t *out, size_t out_len)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(c, EVP_shake256(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(c, in, n), 1);
    assert_int_equal(EVP_DigestFinalXOF(c, out, out_len), 1);
    EVP_MD_CTX_free(c);
}

/* FIPS 202: SHAKE256 of the empty message, and of NIST's 1600-bit example (200 bytes of a3). */
static void
test_fips202(void **state)
{
    uint8_t in[200] = {0}, out[64];
    (void)state;
    shake256(in, 0, out, 64);
    expect_hex(out, 64,
               "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
               "d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be");
    memset(in, 0xa3, sizeof in);
    shake256(in, sizeof in, out, 64);
    expect_hex(out, 64,
               "cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d"
               "2d700caae7396ece96604440577da4f3aa22aeb8857f961c4cd8e06f0ae6610b");
    vectors_ran("FIPS 202 SHAKE256", 2);
}

/* All three, for field lists of all shapes: empty, short, at the collecting buffer's edges, long.
 */
static void
test_tagged(void **state)
{
    static const size_t lengths[] = {0, 1, 4, 31, 32, 33, 400, 439, 440, 441, 507, 508, 509, 4000};
    static uint8_t data[64 * 1024], enc[256 * 1024], got_enc[256 * 1024];
    struct qr_testrng rng;

    (void)state;
    qr_testrng_seed(&rng, "tagged");
    qr_testrng_fill(&rng, data, sizeof data);
    for (int run = 0; run < 2000; run++) {
        qr_view f[40];
        uint8_t want[200], got[200];
        size_t m = qr_testrng_below(&rng, 41);
        enum qr_tag tag = (enum qr_tag)qr_testrng_below(&rng, QR_TAG_COUNT);
        for (size_t i = 0; i < m; i++) {
            size_t n = lengths[qr_testrng_below(&rng, sizeof lengths / sizeof lengths[0])];
            f[i] = qr_view_of(data + qr_testrng_below(&rng, sizeof data - n), n);
            if (n == 0 && run % 2) {
                f[i].p = NULL;
            }
        }
        size_t n = encode(qr_tag_text(tag), f, m, enc, sizeof enc);
        assert_int_equal(qr_enc(tag, f, m, got_enc, n), n); /* in exactly the room it needs */
        assert_memory_equal(got_enc, enc, n);
        assert_int_equal(EVP_Digest(enc, n, want, NULL, EVP_sha256(), NULL), 1);
        qr_th(tag, f, m, got);
        assert_memory_equal(got, want, 32);
        assert_int_equal(EVP_Digest(enc, n, want, NULL, EVP_sha512(), NULL), 1);
        qr_tb(tag, f, m, got);
        assert_memory_equal(got, want, 64);
        size_t out_len = qr_testrng_below(&rng, sizeof got) + 1;
        shake256(enc, n, want, out_len);
        qr_tx(tag, f, m, got, out_len);
        assert_memory_equal(got, want, out_len);
    }
}

/* Python's hashlib over the encoding of SPEC.md section 1. */
static void
test_tagged_known(void **state)
{
    uint8_t zeros[32] = {0}, one = 1, out[32];
    (void)state;
    qr_th(QR_TAG_PPRF_G, QR_FIELDS(QR_F(zeros, 32), QR_F(zeros, 2), QR_F(&one, 1), QR_F(zeros, 16)),
          out);
    expect_hex(out, 32, "5ab7b5dffe6e92dbe0863e690d220ab27ed8c5b553dd432dcb1a118ad8ce27af");
}

static void
must_differ(const qr_view *f, size_t m, const qr_view *g, size_t n)
{
    uint8_t a[64], b[64];
    qr_th(QR_TAG_PAIR, f, m, a);
    qr_th(QR_TAG_PAIR, g, n, b);
    assert_memory_not_equal(a, b, 32);
    qr_tb(QR_TAG_PAIR, f, m, a);
    qr_tb(QR_TAG_PAIR, g, n, b);
    assert_memory_not_equal(a, b, 64);
    qr_tx(QR_TAG_PAIR, f, m, a, 64);
    qr_tx(QR_TAG_PAIR, g, n, b, 64);
    assert_memory_not_equal(a, b, 64);
}

/* Moving a boundary, joining, splitting, adding an empty field, imitating a length: all differ. */
static void
attack_18_injective_encoding(void **state)
{
    const qr_view ab = qr_view_str("ab"), c = qr_view_str("c"), a = qr_view_str("a");
    const qr_view bc = qr_view_str("bc"), abc = qr_view_str("abc"), none = {NULL, 0};

    (void)state;
    must_differ(QR_FIELDS(ab, c), QR_FIELDS(a, bc));
    must_differ(QR_FIELDS(ab, c), QR_FIELDS(abc));
    must_differ(QR_FIELDS(ab, c), QR_FIELDS(c, ab));
    must_differ(QR_FIELDS(abc), QR_FIELDS(abc, none));
    must_differ(QR_FIELDS(none, abc), QR_FIELDS(abc, none));
    must_differ(QR_FIELDS(none), NULL, 0);
    must_differ(QR_FIELDS(a, c), QR_FIELDS(qr_view_of("a\0\0\0\1c", 6)));
    must_differ(QR_FIELDS(qr_view_of("a", 1)), QR_FIELDS(qr_view_of("a\0", 2)));

    /* Every way to cut six bytes into fields (with up to two empty ones) has a digest of its own.
     */
    static uint8_t digests[4096][32];
    size_t n = 0;
    for (unsigned cuts = 0; cuts < 1u << 5; cuts++) {
        qr_view f[8];
        size_t m = 0, from = 0;
        for (size_t i = 0; i < 6; i++) {
            if (i == 5 || (cuts >> i & 1)) {
                f[m++] = qr_view_of(&"aaaaaa"[from], i + 1 - from);
                from = i + 1;
            }
        }
        for (size_t empties = 0; empties <= 2; empties++) {
            qr_th(QR_TAG_PAIR, f, m, digests[n++]);
            if (empties < 2) {
                f[m++] = none;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(digests[i], digests[k], 32);
        }
    }
}

/* One meaning, one tag; and the texts keep to one alphabet. */
static void
attack_18_tags_unique(void **state)
{
    uint8_t digests[QR_TAG_COUNT][32];
    (void)state;
    assert_true(QR_TAG_COUNT > 40);
    for (int i = 0; i < QR_TAG_COUNT; i++) {
        const char *t = qr_tag_text((enum qr_tag)i);
        assert_non_null(t);
        assert_true(strlen(t) > 0);
        assert_int_equal(strspn(t, "abcdefghijklmnopqrstuvwxyzR-/"), strlen(t));
        qr_th((enum qr_tag)i, NULL, 0, digests[i]);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(t, qr_tag_text((enum qr_tag)k));
            assert_memory_not_equal(digests[i], digests[k], 32);
        }
    }
}

static void
test_tx_is_a_stream(void **state)
{
    static uint8_t long_out[14000], out[14000];
    (void)state;
    qr_tx(QR_TAG_GADGET, QR_FIELDS(qr_view_str("x")), long_out, sizeof long_out);
    for (size_t n = 1; n <= sizeof out; n += n < 300 ? 1 : 1371) {
        qr_tx(QR_TAG_GADGET, QR_FIELDS(qr_view_str("x")), out, n);
        assert_memory_equal(out, long_out, n);
    }
}

static void *
hash_in_thread(void *arg)
{
    uint8_t *out = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        qr_th(QR_TAG_ECHO, QR_FIELDS(QR_F(out, 32), QR_F(&i, 4)), out);
    }
    return NULL;
}

/* Each thread has contexts of its own, made on first use and freed with it. */
static void
test_threads(void **state)
{
    pthread_t t[4];
    uint8_t out[5][32] = {{0}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, hash_in_thread, out[i]), 0);
    }
    (void)hash_in_thread(out[4]);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_memory_equal(out[i], out[4], 32);
    }
}

/* RFC 5869 over SHA-512 as OpenSSL has it, for every length it gives and salts that are short, long, none. */
static void
test_hkdf_by_openssl(void **state)
{
    static const size_t lens[] = {0, 1, 32, 64, 127, 128, 129, 200, 512};
    struct qr_testrng t;
    uint8_t salt[512], ikm[512], info[512], want[64], got[66];
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    size_t n_tried = 0;

    (void)state;
    assert_non_null(kdf);
    qr_testrng_seed(&t, "hkdf");
    for (size_t k = 0; k < 200; k++, n_tried++) {
        size_t n_salt = lens[qr_testrng_below(&t, 9)], n_ikm = lens[1 + qr_testrng_below(&t, 8)],
               n_info = lens[qr_testrng_below(&t, 9)], n = 1 + k % 64;
        qr_testrng_fill(&t, salt, n_salt);
        qr_testrng_fill(&t, ikm, n_ikm);
        qr_testrng_fill(&t, info, n_info);
        char sha[] = "SHA512";
        OSSL_PARAM p[5], *at = p;
        *at++ = OSSL_PARAM_construct_utf8_string("digest", sha, 0);
        *at++ = OSSL_PARAM_construct_octet_string("key", ikm, n_ikm);
        if (n_salt) { /* no salt is a salt of zeros */
            *at++ = OSSL_PARAM_construct_octet_string("salt", salt, n_salt);
        }
        *at++ = OSSL_PARAM_construct_octet_string("info", info, n_info);
        *at = OSSL_PARAM_construct_end();
        EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
        assert_non_null(ctx);
        assert_int_equal(EVP_KDF_derive(ctx, want, n, p), 1);
        EVP_KDF_CTX_free(ctx);
        memset(got, 0xa5, sizeof got);
        qr_hkdf_sha512(qr_view_of(salt, n_salt), qr_view_of(ikm, n_ikm), qr_view_of(info, n_info),
                       got, n);
        assert_memory_equal(got, want, n);
        assert_int_equal(got[n], 0xa5); /* not a byte more */
    }
    EVP_KDF_free(kdf);
    vectors_ran("hkdf-sha512", n_tried);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hkdf_by_openssl),  cmocka_unit_test(test_fips180),
        cmocka_unit_test(test_rfc4231),          cmocka_unit_test(test_wycheproof_hmac),
        cmocka_unit_test(test_fips202),          cmocka_unit_test(test_tagged),
        cmocka_unit_test(test_tagged_known),     cmocka_unit_test(attack_18_injective_encoding),
        cmocka_unit_test(attack_18_tags_unique), cmocka_unit_test(test_tx_is_a_stream),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
