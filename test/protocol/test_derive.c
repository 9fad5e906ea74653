/*
 * BIP32: the public derivation of test vectors 1 to 4, and the invalid keys of vector 5.
 * Source: bip-0032.mediawiki, "Test Vectors", in bitcoin/bips at 7fe0b034.
 *
 * Hardened steps are impossible for us, so the test walks them with the private key, from the seed.
 * Every step that is not hardened is walked by qr_derive as well, from its parent's public key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

#define H UINT32_C(0x80000000)
#define XPUB_LEN 78
#define XPUB_VERSION UINT32_C(0x0488b21e)

static struct qr_testrng rng;

struct chain {
    size_t depth;
    uint32_t path[6];
    const char *xpub;
};

/* Test vector 1. */
static const struct chain chains_1[] = {
    {0,
     {0},
     "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8Y"
     "tGqsefD265TMg7usUDFdp6W1EGMcet8"},
    {1,
     {H + 0},
     "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCd"
     "rfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw"},
    {2,
     {H + 0, 1},
     "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7"
     "SyYq527Hqck2AxYysAA7xmALppuCkwQ"},
    {3,
     {H + 0, 1, H + 2},
     "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5"
     "uJh7n7epu4trkrX7x7DogT5Uv6fcLW5"},
    {4,
     {H + 0, 1, H + 2, 2},
     "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZAC"
     "Tj37sR62cfN7fe5JnJ7dh8zL4fiyLHV"},
    {5,
     {H + 0, 1, H + 2, 2, 1000000000},
     "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro"
     "49S8yGasTvXEYBVPamhGW6cFJodrTHy"},
};

/* Test vector 2. */
static const struct chain chains_2[] = {
    {0,
     {0},
     "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8ido"
     "c4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"},
    {1,
     {0},
     "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUm"
     "mDznezpbZb7ap6r1D3tgFxHmwMkQTPH"},
    {2,
     {0, H + 2147483647},
     "xpub6ASAVgeehLbnwdqV6UKMHVzgqAG8Gr6riv3Fxxpj8ksbH9ebxaEyBLZ85ySDhKiLDBrQSARLq1uN"
     "Rts8RuJiHjaDMBU4Zn9h8LZNnBC5y4a"},
    {3,
     {0, H + 2147483647, 1},
     "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwVvmdMVCQcoNJxGoWaU9DC"
     "Wh89LojfZ537wTfunKau47EL2dhHKon"},
    {4,
     {0, H + 2147483647, 1, H + 2147483646},
     "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4"
     "ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"},
    {5,
     {0, H + 2147483647, 1, H + 2147483646, 2},
     "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3"
     "emM2rnY5agb9rXpVGyy3bdW6EEgAtqt"},
};

/* Test vector 3. */
static const struct chain chains_3[] = {
    {0,
     {0},
     "xpub661MyMwAqRbcEZVB4dScxMAdx6d4nFc9nvyvH3v4gJL378CSRZiYmhRoP7mBy6gSPSCYk6SzXPTf"
     "3ND1cZAceL7SfJ1Z3GC8vBgp2epUt13"},
    {1,
     {H + 0},
     "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9"
     "fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y"},
};

/* Test vector 4. */
static const struct chain chains_4[] = {
    {0,
     {0},
     "xpub661MyMwAqRbcGczjuMoRm6dXaLDEhW1u34gKenbeYqAix21mdUKJyuyu5F1rzYGVxyL6tmgBUAEP"
     "rEz92mBXjByMRiJdba9wpnN37RLLAXa"},
    {1,
     {H + 0},
     "xpub69AUMk3qDBi3uW1sXgjCmVjJ2G6WQoYSnNHyzkmdCHEhSZ4tBok37xfFEqHd2AddP56Tqp4o56Ae"
     "PAgCjYdvpW2PU2jbUPFKsav5ut6Ch1m"},
    {2,
     {H + 0, H + 1},
     "xpub6BJA1jSqiukeaesWfxe6sNK9CCGaujFFSJLomWHprUL9DePQ4JDkM5d88n49sMGJxrhpjazuXYWd"
     "Mf17C9T5XnxkopaeS7jGk1GyyVziaMt"},
};

static const struct {
    const char *seed;
    const struct chain *chains;
    size_t n;
} vectors[] = {
    {"000102030405060708090a0b0c0d0e0f", chains_1, sizeof chains_1 / sizeof chains_1[0]},
    {"fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a"
     "8784817e7b7875726f6c696663605d5a5754514e4b484542",
     chains_2, sizeof chains_2 / sizeof chains_2[0]},
    {"4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f"
     "863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be",
     chains_3, sizeof chains_3 / sizeof chains_3[0]},
    {"3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678", chains_4,
     sizeof chains_4 / sizeof chains_4[0]},
};

/* Test vector 5. The private keys among them are refused for being private. */
static const struct {
    const char *why, *text;
} invalid[] = {
    {"pubkey version / prvkey mismatch",
     "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU5"
     "21AAwdZafEz7mnzBBsz4wKY5fTtTQBm"},
    {"prvkey version / pubkey mismatch",
     "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFGTQQD3dC4H2D5GBj7vW"
     "vSQaaBv5cxi9gafk7NF3pnBju6dwKvH"},
    {"invalid pubkey prefix 04",
     "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4"
     "qHZGc62TG4McvMGcAUjeuwZdduYEvFn"},
    {"invalid prvkey prefix 04",
     "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFGpWnsj83BHtEy5Zt8Cc"
     "Dr1UiRXuWCmTQLxEK9vbz5gPstX92JQ"},
    {"invalid pubkey prefix 01",
     "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964"
     "yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4"},
    {"invalid prvkey prefix 01",
     "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFAzHGBP2UuGCqWLTAPLc"
     "MtD9y5gkZ6Eq3Rjuahrv17fEQ3Qen6J"},
    {"zero depth with non-zero parent fingerprint",
     "xprv9s2SPatNQ9Vc6GTbVMFPFo7jsaZySyzk7L8n2uqKXJen3KUmvQNTuLh3fhZMBoG3G4ZW1N2kZuHE"
     "PY53qmbZzCHshoQnNf4GvELZfqTUrcv"},
    {"zero depth with non-zero parent fingerprint",
     "xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91XX27VbEXGENhYRCf7hyEb"
     "WrR3FewATdCEebj6znwMfQkhRYHRLpJ"},
    {"zero depth with non-zero index",
     "xprv9s21ZrQH4r4TsiLvyLXqM9P7k1K3EYhA1kkD6xuquB5i39AU8KF42acDyL3qsDbU9NmZn6MsGSUY"
     "ZEsuoePmjzsB3eFKSUEh3Gu1N3cqVUN"},
    {"zero depth with non-zero index",
     "xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvhpebzGerh7gucBvzEQWRu"
     "gZDuDXjNDRmXzSZe4c7mnTK97pTvGS8"},
    {"unknown extended key version",
     "DMwo58pR1QLEFihHiXPVykYB6fJmsTeHvyTp7hRThAtCX8CvYzgPcn8XnmdfHGMQzT7ayAmfo4z3gY5K"
     "fbrZWZ6St24UVf2Qgo6oujFktLHdHY4"},
    {"unknown extended key version",
     "DMwo58pR1QLEFihHiXPVykYB6fJmsTeHvyTp7hRThAtCX8CvYzgPcn8XnmdfHPmHJiEDXkTiJTVV9rHE"
     "BUem2mwVbbNfvT2MTcAqj3nesx8uBf9"},
    {"private key 0 not in 1..n-1",
     "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzF93Y5wvzdUayhgkkFoic"
     "QZcP3y52uPPxFnfoLZB21Teqt1VvEHx"},
    {"private key n not in 1..n-1",
     "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFAzHGBP2UuGCqWLTAPLc"
     "MtD5SDKr24z3aiUvKr9bJpdrcLg1y3G"},
    {"invalid pubkey 020000000000000000000000000000000000000000000000000000000000000007",
     "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4"
     "veMimro1xefsM58PgBMrvdYre8QyULY"},
    {"invalid checksum",
     "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF"
     "5kejMRNNU3TGtRBeJgk33yuGBxrMPHL"},
};

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_derive");
    struct qr_rng r = qr_testrng_rng(&rng);
    return qr_hash_init() == QR_OK && qr_group_init(&r) == QR_OK ? 0 : -1;
}

/* Base58Check of XPUB_LEN bytes; 0 if it is none. */
static int
base58_check(const char *text, uint8_t out[static XPUB_LEN])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t n[XPUB_LEN + 4] = {0}, sum[32];

    for (const char *c = text; *c; c++) {
        const char *d = strchr(digits, *c);
        if (!d) {
            return 0;
        }
        unsigned carry = (unsigned)(d - digits);
        for (size_t i = sizeof n; i-- > 0;) {
            carry += 58u * n[i];
            n[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry) {
            return 0;
        }
    }
    qr_sha256(qr_view_of(n, XPUB_LEN), sum);
    qr_sha256(qr_view_of(sum, 32), sum);
    memcpy(out, n, XPUB_LEN);
    return memcmp(sum, n + XPUB_LEN, 4) == 0;
}

struct xpub {
    uint8_t depth;
    uint32_t parent, child;
    uint8_t cc[32];
    qr_pt key;
};

static int
xpub_parse(const char *text, struct xpub *ret)
{
    uint8_t b[XPUB_LEN];
    if (!base58_check(text, b) || qr_get32(b) != XPUB_VERSION) {
        return 0;
    }
    ret->depth = b[4];
    ret->parent = qr_get32(b + 5);
    ret->child = qr_get32(b + 9);
    memcpy(ret->cc, b + 13, 32);
    if (ret->depth == 0 && (ret->parent != 0 || ret->child != 0)) {
        return 0;
    }
    return qr_pt_parse(&ret->key, b + 45) == QR_OK;
}

/* A private node: what no party of ours ever has. */
struct node {
    qr_fq key;
    uint8_t cc[32];
};

static void
node_from(const uint8_t i[static 64], const qr_fq *plus, struct node *ret)
{
    assert_int_equal(qr_fq_parse(&ret->key, i), QR_OK);
    qr_fq_add(&ret->key, &ret->key, plus);
    memcpy(ret->cc, i + 32, 32);
}

static void
node_child(const struct node *n, uint32_t index, struct node *ret)
{
    uint8_t data[37] = {0}, i[64];
    qr_pt pk;

    if (index & H) {
        qr_fq_put(data + 1, &n->key);
    } else {
        assert_int_equal(qr_pt_mul_base(&pk, &n->key), QR_OK);
        qr_pt_put(data, &pk);
    }
    qr_put32(data + 33, index);
    qr_hmac_sha512(qr_view_of(n->cc, 32), qr_view_of(data, sizeof data), i);
    qr_fq parent = n->key;
    node_from(i, &parent, ret);
}

static void
expect_xpub(const struct xpub *want, const qr_pt *key, const uint8_t *cc)
{
    assert_true(qr_pt_eq(key, &want->key));
    assert_memory_equal(cc, want->cc, 32);
}

/* Returns how many answers of qr_derive were compared. */
static size_t
check_chain(const struct node *master, const struct chain *c)
{
    struct node n = *master;
    struct xpub want;
    qr_pt pk, child;
    qr_fq tau, private_child;
    uint8_t cc[32];
    size_t first = c->depth, derived = 0;

    assert_true(xpub_parse(c->xpub, &want));
    assert_int_equal(want.depth, c->depth);
    assert_int_equal(want.child, c->depth ? c->path[c->depth - 1] : 0);
    /* The longest tail without a hardened step is ours. */
    while (first > 0 && !(c->path[first - 1] & H)) {
        first--;
    }
    for (size_t k = 0; k < c->depth; k++) {
        if (k >= first) {
            /* From every node of the tail to its end, in one call. */
            assert_int_equal(qr_pt_mul_base(&pk, &n.key), QR_OK);
            assert_int_equal(qr_derive(&pk, n.cc, c->path + k, c->depth - k, &child, &tau, cc),
                             QR_OK);
            expect_xpub(&want, &child, cc);
            /* The tweak moves the private key to the same place. */
            qr_fq_add(&private_child, &n.key, &tau);
            assert_int_equal(qr_pt_mul_base(&pk, &private_child), QR_OK);
            assert_true(qr_pt_eq(&pk, &child));
            derived++;
        }
        node_child(&n, c->path[k], &n);
    }
    assert_int_equal(qr_pt_mul_base(&pk, &n.key), QR_OK);
    expect_xpub(&want, &pk, n.cc);
    assert_int_equal(qr_derive(&pk, n.cc, NULL, 0, &child, &tau, cc), QR_OK);
    expect_xpub(&want, &child, cc);
    assert_true(qr_fq_is_zero(&tau));
    return derived;
}

static void
test_vectors_1_to_4(void **state)
{
    size_t chains = 0, derived = 0;

    (void)state;
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        uint8_t seed[64], i[64];
        struct node master;
        size_t n = hex_any(vectors[v].seed, seed, sizeof seed);
        qr_hmac_sha512(qr_view_str("Bitcoin seed"), qr_view_of(seed, n), i);
        node_from(i, &qr_fq_zero, &master);
        for (size_t k = 0; k < vectors[v].n; k++) {
            derived += check_chain(&master, &vectors[v].chains[k]);
            chains++;
        }
    }
    assert_int_equal(chains, 17);
    assert_int_equal(derived, 7);
    vectors_ran("BIP32 vectors 1-4", chains);
}

static void
test_vector_5(void **state)
{
    size_t n = sizeof invalid / sizeof invalid[0];
    struct xpub x;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        if (xpub_parse(invalid[i].text, &x)) {
            fail_msg("taken as a public key: %s", invalid[i].why);
        }
    }
    assert_int_equal(n, 16);
    vectors_ran("BIP32 vector 5", n);
}

static void
test_refusals(void **state)
{
    static const uint32_t hard[] = {0, 1, H, 2}, long_path[QR_PATH_MAX + 1];
    uint8_t cc[32] = {1}, ret_cc[32], cc_before[32];
    qr_pt pk, child, child_before;
    qr_fq tau, tau_before;

    (void)state;
    memset(&child, 0x5a, sizeof child);
    memset(&tau, 0x5a, sizeof tau);
    memset(ret_cc, 0x5a, sizeof ret_cc);
    child_before = child;
    tau_before = tau;
    memcpy(cc_before, ret_cc, sizeof ret_cc);
    assert_int_equal(qr_pt_mul_base(&pk, &qr_fq_one), QR_OK);
    assert_int_equal(qr_derive(&pk, cc, hard, 4, &child, &tau, ret_cc), QR_ERR_HARDENED);
    assert_int_equal(qr_derive(&pk, cc, (const uint32_t[]){UINT32_MAX}, 1, &child, &tau, ret_cc),
                     QR_ERR_HARDENED);
    assert_int_equal(qr_derive(&pk, cc, long_path, QR_PATH_MAX + 1, &child, &tau, ret_cc),
                     QR_ERR_TOO_LARGE);
    assert_memory_equal(&child, &child_before, sizeof child);
    assert_memory_equal(&tau, &tau_before, sizeof tau);
    assert_memory_equal(ret_cc, cc_before, sizeof ret_cc);
    assert_int_equal(qr_derive(&pk, cc, long_path, QR_PATH_MAX, &child, &tau, NULL), QR_OK);
    assert_int_equal(qr_derive(&pk, cc, hard, 2, &child, &tau, NULL), QR_OK);
}

/* In one call or step by step, in place or not: the same child; and tau sums up. */
static void
test_composition(void **state)
{
    (void)state;
    for (int run = 0; run < 20; run++) {
        uint32_t path[QR_PATH_MAX];
        uint8_t cc[32], b[64], step_cc[32], all_cc[32];
        qr_pt pk, at, all;
        qr_fq k, tau, sum = qr_fq_zero;

        qr_testrng_fill(&rng, cc, sizeof cc);
        qr_testrng_fill(&rng, b, sizeof b);
        qr_fq_reduce64(&k, b);
        assert_int_equal(qr_pt_mul_base(&pk, &k), QR_OK);
        at = pk;
        memcpy(step_cc, cc, sizeof cc);
        for (size_t i = 0; i < QR_PATH_MAX; i++) {
            path[i] = (uint32_t)qr_testrng_u64(&rng) & ~H;
            assert_int_equal(qr_derive(&at, step_cc, &path[i], 1, &at, &tau, step_cc), QR_OK);
            qr_fq_add(&sum, &sum, &tau);
            assert_int_equal(qr_derive(&pk, cc, path, i + 1, &all, &tau, all_cc), QR_OK);
            assert_true(qr_pt_eq(&all, &at));
            assert_true(qr_fq_eq(&tau, &sum));
            assert_memory_equal(all_cc, step_cc, sizeof all_cc);
        }
        qr_fq_add(&k, &k, &sum);
        assert_int_equal(qr_pt_mul_base(&pk, &k), QR_OK);
        assert_true(qr_pt_eq(&pk, &all));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_1_to_4),
        cmocka_unit_test(test_vector_5),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_composition),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
