/* Points: encodings, algebra, infinity everywhere it can appear, ECDSA with known answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

static struct qr_testrng rng;

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_group");
    struct qr_rng r = qr_testrng_rng(&rng);
    return qr_hash_init() == QR_OK && qr_group_init(&r) == QR_OK ? 0 : -1;
}

static void
random_scalar(qr_fq *ret)
{
    uint8_t b[64];
    do {
        qr_testrng_fill(&rng, b, sizeof b);
        qr_fq_reduce64(ret, b);
    } while (qr_fq_is_zero(ret));
}

static void
mul_base(qr_pt *ret, uint64_t k)
{
    qr_fq s;
    qr_fq_set_u64(&s, k);
    assert_int_equal(qr_pt_mul_base(ret, &s), QR_OK);
}

/* SEC 2 v2 section 2.4.1 for G; its multiples follow from the affine formulas. */
static void
test_small_multiples(void **state)
{
    static const struct {
        uint64_t k;
        const char *hex;
    } known[] = {
        {1, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
        {2, "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"},
        {3, "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"},
        {4, "02e493dbf1c10d80f3581e4904930b1404cc6c13900ee0758474fa94abe8c4cd13"},
        {5, "022f8bde4d1a07209355b4a7250a5c5128e88b84bddc619ab7cba8d569b240efe4"},
        {6, "03fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556"},
        {7, "025cbdf0646e5db4eaa398f365f2ea7a0e3d419b7e0330e39ce92bddedcac4f9bc"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t b[33], x[32];
        qr_pt p, r;
        int odd;
        mul_base(&p, known[i].k);
        qr_pt_put(b, &p);
        expect_hex(b, 33, known[i].hex);
        assert_int_equal(qr_pt_parse(&r, b), QR_OK);
        assert_true(qr_pt_eq(&p, &r));
        qr_pt_xy(&p, x, &odd);
        assert_memory_equal(x, b + 1, 32);
        assert_int_equal(odd, b[0] == 3);
    }
}

static void
test_multiplications_agree(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        qr_fq a, b, c;
        qr_pt p, q, r;
        random_scalar(&a);
        random_scalar(&b);
        if (i < 16) {
            qr_fq_set_u64(&b, (uint64_t)i + 1);
        } else if (i < 32) {
            qr_fq_set_u64(&b, (uint64_t)i - 15);
            qr_fq_neg(&b, &b);
        }
        qr_fq_mul(&c, &a, &b);
        assert_int_equal(qr_pt_mul_base(&p, &a), QR_OK);
        assert_int_equal(qr_pt_mul(&q, &p, &b), QR_OK);
        assert_int_equal(qr_pt_mul_base(&r, &c), QR_OK);
        assert_true(qr_pt_eq(&q, &r));
        assert_int_equal(qr_pt_mul_var(&q, &p, &b), QR_OK);
        assert_true(qr_pt_eq(&q, &r));
        assert_int_equal(qr_pt_mul(&p, &p, &b), QR_OK); /* onto itself */
        assert_true(qr_pt_eq(&p, &r));
    }
}

static void
test_sums(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        qr_pt p[5], sum, want;
        const qr_pt *in[5];
        qr_fq total = qr_fq_zero, k;
        for (size_t j = 0; j < 5; j++) {
            random_scalar(&k);
            qr_fq_add(&total, &total, &k);
            assert_int_equal(qr_pt_mul_base(&p[j], &k), QR_OK);
            in[j] = &p[j];
            assert_int_equal(qr_pt_sum(&sum, in, j + 1), QR_OK);
            assert_int_equal(qr_pt_mul_base(&want, &total), QR_OK);
            assert_true(qr_pt_eq(&sum, &want));
        }
        assert_int_equal(qr_pt_add(&sum, &p[0], &p[0]), QR_OK); /* doubling */
        qr_fq_set_u64(&k, 2);
        assert_int_equal(qr_pt_mul_var(&want, &p[0], &k), QR_OK);
        assert_true(qr_pt_eq(&sum, &want));
        random_scalar(&k);
        assert_int_equal(qr_pt_mul_base(&want, &k), QR_OK);
        assert_int_equal(qr_pt_add(&want, &want, &p[1]), QR_OK);
        assert_int_equal(qr_pt_add_base_var(&sum, &p[1], &k), QR_OK);
        assert_true(qr_pt_eq(&sum, &want));
    }
}

/* Infinity is an error wherever it appears, and the result stays as it was. */
static void
test_infinity(void **state)
{
    qr_pt p, minus, r, untouched;
    qr_fq k, minus_k;

    (void)state;
    memset(&untouched, 0x5a, sizeof untouched);
    random_scalar(&k);
    qr_fq_neg(&minus_k, &k);
    assert_int_equal(qr_pt_mul_base(&p, &k), QR_OK);
    assert_int_equal(qr_pt_mul_base(&minus, &minus_k), QR_OK);
    qr_pt_neg(&r, &p);
    assert_true(qr_pt_eq(&r, &minus));
    assert_false(qr_pt_eq(&p, &minus));

    r = untouched;
    assert_int_equal(qr_pt_mul_base(&r, &qr_fq_zero), QR_ERR_INFINITY);
    assert_int_equal(qr_pt_mul(&r, &p, &qr_fq_zero), QR_ERR_INFINITY);
    assert_int_equal(qr_pt_mul_var(&r, &p, &qr_fq_zero), QR_ERR_INFINITY);
    assert_int_equal(qr_pt_add(&r, &p, &minus), QR_ERR_INFINITY);
    assert_int_equal(qr_pt_sum(&r, (const qr_pt *const[]){&p, &p, &minus, &minus}, 4),
                     QR_ERR_INFINITY);
    assert_int_equal(qr_pt_sum(&r, NULL, 0), QR_ERR_INFINITY);
    assert_int_equal(qr_pt_add_base_var(&r, &p, &minus_k), QR_ERR_INFINITY);
    assert_memory_equal(&r, &untouched, sizeof r);

    /* A partial sum at infinity is none of our business. */
    assert_int_equal(qr_pt_sum(&r, (const qr_pt *const[]){&p, &minus, &p}, 3), QR_OK);
    assert_true(qr_pt_eq(&r, &p));
    assert_int_equal(qr_pt_add_base_var(&r, &p, &qr_fq_zero), QR_OK);
    assert_true(qr_pt_eq(&r, &p));
}

static void
attack_31_off_curve_points(void **state)
{
    static const struct {
        const char *why, *hex;
    } bad[] = {
        {"x = p", "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"},
        {"x = p + 1", "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30"},
        {"x all ones", "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        {"no y for x = 0", "020000000000000000000000000000000000000000000000000000000000000000"},
        {"no y for x = 5", "020000000000000000000000000000000000000000000000000000000000000005"},
        {"no y for x = 7", "030000000000000000000000000000000000000000000000000000000000000007"},
    };
    uint8_t b[33];
    qr_pt p, untouched;
    size_t valid = 0;

    (void)state;
    memset(&untouched, 0x5a, sizeof untouched);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hex_bytes(bad[i].hex, b, 33);
        p = untouched;
        if (qr_pt_parse(&p, b) != QR_ERR_POINT) {
            fail_msg("%s is taken", bad[i].why);
        }
        assert_memory_equal(&p, &untouched, sizeof p);
    }
    mul_base(&p, 1);
    qr_pt_put(b, &p);
    for (unsigned prefix = 0; prefix < 256; prefix++) {
        b[0] = (uint8_t)prefix;
        assert_int_equal(qr_pt_parse(&p, b), prefix == 2 || prefix == 3 ? QR_OK : QR_ERR_POINT);
    }
    /* Half of all x have points; what parses encodes to itself. */
    for (int i = 0; i < 1000; i++) {
        uint8_t back[33];
        b[0] = (uint8_t)(2 + i % 2);
        qr_testrng_fill(&rng, b + 1, 32);
        if (qr_pt_parse(&p, b) == QR_OK) {
            qr_pt_put(back, &p);
            assert_memory_equal(back, b, 33);
            valid++;
        }
    }
    assert_in_range(valid, 400, 600);
}

static void
test_eq(void **state)
{
    qr_pt p, q;
    (void)state;
    mul_base(&p, 77);
    mul_base(&q, 78);
    assert_true(qr_pt_eq(&p, &p));
    assert_true(qr_pt_eq_var(&p, &p));
    assert_false(qr_pt_eq(&p, &q));
    assert_false(qr_pt_eq_var(&p, &q));
    qr_pt_neg(&q, &p); /* same x */
    assert_false(qr_pt_eq(&p, &q));
    assert_false(qr_pt_eq_var(&p, &q));
}

/* s -> q - s in the last 32 bytes of a signature. */
static void
negate_s(uint8_t sig[static 64])
{
    qr_fq s;
    assert_int_equal(qr_fq_parse(&s, sig + 32), QR_OK);
    qr_fq_neg(&s, &s);
    qr_fq_put(sig + 32, &s);
}

static void
test_ecdsa(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint8_t key[32], digest[32], sig[64];
        qr_fq k;
        qr_pt pk, found;
        int hits = 0;

        random_scalar(&k);
        qr_fq_put(key, &k);
        qr_testrng_fill(&rng, digest, sizeof digest);
        assert_int_equal(qr_pt_mul_base(&pk, &k), QR_OK);
        assert_int_equal(qr_ecdsa_sign(sig, digest, key), QR_OK);
        assert_int_equal(qr_ecdsa_verify(&pk, digest, sig), QR_OK);
        for (int recid = -1; recid <= 4; recid++) {
            if (qr_ecdsa_recover(&found, digest, sig, recid) == QR_OK) {
                assert_in_range(recid, 0, 3);
                hits += qr_pt_eq(&found, &pk);
            }
        }
        assert_int_equal(hits, 1);

        /* The same signature with the high s is refused, here and in recovery. */
        negate_s(sig);
        assert_int_equal(qr_ecdsa_verify(&pk, digest, sig), QR_ERR_BAD_SIGNATURE);
        for (int recid = 0; recid < 4; recid++) {
            assert_int_equal(qr_ecdsa_recover(&found, digest, sig, recid), QR_ERR_BAD_SIGNATURE);
        }
        negate_s(sig);
        /* Any one bit: digest, r, s. */
        size_t bit = qr_testrng_below(&rng, 256);
        digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(qr_ecdsa_verify(&pk, digest, sig), QR_ERR_BAD_SIGNATURE);
        digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bit = qr_testrng_below(&rng, 512);
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(qr_ecdsa_verify(&pk, digest, sig), QR_ERR_BAD_SIGNATURE);
    }
    uint8_t zero[64] = {0}, sig[64];
    qr_pt pk;
    mul_base(&pk, 1);
    assert_int_equal(qr_ecdsa_sign(sig, zero, zero), QR_ERR_SCALAR);
    assert_int_equal(qr_ecdsa_verify(&pk, zero, zero), QR_ERR_BAD_SIGNATURE);
    assert_int_equal(qr_ecdsa_recover(&pk, zero, zero, 0), QR_ERR_BAD_SIGNATURE);
    memset(sig, 0xff, sizeof sig); /* r, s >= q */
    assert_int_equal(qr_ecdsa_verify(&pk, zero, sig), QR_ERR_BAD_SIGNATURE);
    assert_int_equal(qr_ecdsa_recover(&pk, zero, sig, 0), QR_ERR_BAD_SIGNATURE);
}

/* Public key of a Wycheproof group, given uncompressed. */
static void
group_key(struct vec *v, qr_pt *ret)
{
    qr_view u = vec_hex(v, json_object_get(v->group, "publicKey"), "uncompressed");
    assert_int_equal(u.len, 65);
    assert_int_equal(secp256k1_ec_pubkey_parse(secp256k1_context_static, &ret->k, u.p, u.len), 1);
}

static void
digest_of(struct vec *v, uint8_t digest[static 32])
{
    qr_sha256(vec_hex(v, v->test, "msg"), digest);
}

/*
 * Bitcoin's rules: strict DER, low s. DER is the clients' business, so libsecp256k1's strict parser
 * makes r || s of it; our verification decides.
 */
static void
test_wycheproof_ecdsa_bitcoin(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ecdsa_secp256k1_sha256_bitcoin_test.json");
    while (vec_next(&v)) {
        secp256k1_ecdsa_signature s;
        uint8_t digest[32], sig[64];
        qr_view der = vec_hex(&v, v.test, "sig");
        qr_pt pk;
        int ok = 0;
        group_key(&v, &pk);
        digest_of(&v, digest);
        if (secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &s, der.p, der.len)) {
            assert_int_equal(
                secp256k1_ecdsa_signature_serialize_compact(secp256k1_context_static, sig, &s), 1);
            ok = qr_ecdsa_verify(&pk, digest, sig) == QR_OK;
        }
        vec_expect(&v, ok);
    }
    vec_close(&v);
}

/* ECDSA without the low-s rule: s is normalised before it comes to us. */
static void
test_wycheproof_ecdsa_der(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ecdsa_secp256k1_sha256_test.json");
    while (vec_next(&v)) {
        secp256k1_ecdsa_signature s;
        uint8_t digest[32], sig[64];
        qr_view der = vec_hex(&v, v.test, "sig");
        qr_pt pk;
        int ok = 0;
        group_key(&v, &pk);
        digest_of(&v, digest);
        if (secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &s, der.p, der.len)) {
            (void)secp256k1_ecdsa_signature_normalize(secp256k1_context_static, &s, &s);
            assert_int_equal(
                secp256k1_ecdsa_signature_serialize_compact(secp256k1_context_static, sig, &s), 1);
            ok = qr_ecdsa_verify(&pk, digest, sig) == QR_OK;
        }
        vec_expect(&v, ok);
    }
    vec_close(&v);
}

/*
 * r || s. The format is ours, the low-s rule is ours alone: a vector with high s must be refused as
 * it stands, and gets its verdict with s replaced by q - s.
 */
static void
test_wycheproof_ecdsa_p1363(void **state)
{
    struct vec v;
    size_t high = 0;
    (void)state;
    vec_open(&v, "ecdsa_secp256k1_sha256_p1363_test.json");
    while (vec_next(&v)) {
        uint8_t digest[32], sig[64];
        qr_view raw = vec_hex(&v, v.test, "sig");
        qr_pt pk, found;
        qr_fq s;
        int ok = 0, recovered = 0;

        group_key(&v, &pk);
        digest_of(&v, digest);
        if (raw.len == sizeof sig) {
            memcpy(sig, raw.p, sizeof sig);
            if (qr_fq_parse(&s, sig + 32) == QR_OK && qr_fq_is_high_var(&s)) {
                vec_require(&v, qr_ecdsa_verify(&pk, digest, sig) != QR_OK, "high s is taken");
                negate_s(sig);
                high++;
            }
            ok = qr_ecdsa_verify(&pk, digest, sig) == QR_OK;
            for (int recid = 0; recid < 4; recid++) {
                recovered |=
                    qr_ecdsa_recover(&found, digest, sig, recid) == QR_OK && qr_pt_eq(&found, &pk);
            }
            vec_require(&v, recovered == ok, "recovery and verification differ");
        }
        vec_expect(&v, ok);
    }
    assert_true(v.count == 0 || high > 10);
    vec_close(&v);
}

/* The point of a SubjectPublicKeyInfo that names the curve; 0 for any other form. */
static int
spki_point(qr_view der, qr_pt *ret)
{
    uint8_t compressed_head[23], plain_head[23], b[33];
    size_t len = sizeof b;
    secp256k1_pubkey k;

    hex_bytes("3056301006072a8648ce3d020106052b8104000a034200", plain_head, 23);
    hex_bytes("3036301006072a8648ce3d020106052b8104000a032200", compressed_head, 23);
    int plain = der.len == 23 + 65 && memcmp(der.p, plain_head, 23) == 0;
    int compressed = der.len == 23 + 33 && memcmp(der.p, compressed_head, 23) == 0;
    if ((!plain && !compressed) ||
        !secp256k1_ec_pubkey_parse(secp256k1_context_static, &k, der.p + 23, der.len - 23)) {
        return 0;
    }
    assert_int_equal(secp256k1_ec_pubkey_serialize(secp256k1_context_static, b, &len, &k,
                                                   SECP256K1_EC_COMPRESSED),
                     1);
    return qr_pt_parse(ret, b) == QR_OK;
}

/* k*P by all three ways of multiplying. Keys that are no SPKI of a named curve count as refused. */
static void
test_wycheproof_ecdh(void **state)
{
    struct vec v;
    size_t multiplied = 0;
    (void)state;
    vec_open(&v, "ecdh_secp256k1_test.json");
    while (vec_next(&v)) {
        qr_view key = vec_hex(&v, v.test, "private"), shared = vec_hex(&v, v.test, "shared");
        uint8_t k32[32] = {0}, x[32];
        qr_pt p, r, r_var;
        qr_fq k;
        int ok = 0, odd;

        while (key.len > 0 && key.p[0] == 0) {
            key.p++;
            key.len--;
        }
        vec_require(&v, key.len <= 32, "private key of more than 32 bytes");
        memcpy(k32 + 32 - key.len, key.p, key.len);
        vec_require(&v, qr_fq_parse(&k, k32) == QR_OK, "private key");
        if (spki_point(vec_hex(&v, v.test, "public"), &p)) {
            vec_require(&v, qr_pt_mul(&r, &p, &k) == QR_OK, "product");
            vec_require(&v, qr_pt_mul_var(&r_var, &p, &k) == QR_OK, "product, variable time");
            vec_require(&v, qr_pt_eq(&r, &r_var), "constant and variable time differ");
            qr_pt_xy(&r, x, &odd);
            ok = shared.len == 32 && memcmp(x, shared.p, 32) == 0;
            multiplied++;
        }
        vec_expect(&v, ok);
    }
    assert_true(v.count == 0 || multiplied > 400);
    vec_close(&v);
}

/* A positive ASN.1 integer of at most 32 bytes' value: without its leading zero. */
static qr_view
magnitude(qr_view v)
{
    while (v.len > 32 && v.p[0] == 0) {
        v.p++;
        v.len--;
    }
    return v;
}

/* q and G of the domain parameters file are the ones we compute with. */
static void
test_wycheproof_curve(void **state)
{
    struct vec v;
    (void)state;
    vec_open(&v, "ec_prime_order_curves_test.json");
    while (vec_next(&v)) {
        uint8_t b[33], want[32];
        qr_fq last, one = qr_fq_one, sum;
        qr_pt g;
        int odd;
        if (strcmp(vec_str(&v, v.test, "name"), "secp256k1") != 0) {
            continue;
        }
        qr_view n = magnitude(vec_hex(&v, v.test, "n"));
        qr_view gx = magnitude(vec_hex(&v, v.test, "gx"));
        qr_view gy = magnitude(vec_hex(&v, v.test, "gy"));
        assert_int_equal(n.len, 32);
        assert_int_equal(gx.len, 32);
        memcpy(b, n.p, 32);
        assert_int_equal(qr_fq_parse(&last, b), QR_ERR_SCALAR);
        b[31]--;
        assert_int_equal(qr_fq_parse(&last, b), QR_OK);
        qr_fq_add(&sum, &last, &one);
        assert_true(qr_fq_is_zero(&sum));
        assert_int_equal(qr_pt_mul_base(&g, &one), QR_OK);
        qr_pt_xy(&g, want, &odd);
        assert_memory_equal(want, gx.p, 32);
        assert_int_equal(odd, gy.p[gy.len - 1] & 1);
        vec_expect(&v, 1);
    }
    vec_close(&v);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_multiples),
        cmocka_unit_test(test_multiplications_agree),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_infinity),
        cmocka_unit_test(attack_31_off_curve_points),
        cmocka_unit_test(test_eq),
        cmocka_unit_test(test_ecdsa),
        cmocka_unit_test(test_wycheproof_ecdsa_bitcoin),
        cmocka_unit_test(test_wycheproof_ecdsa_der),
        cmocka_unit_test(test_wycheproof_ecdsa_p1363),
        cmocka_unit_test(test_wycheproof_ecdh),
        cmocka_unit_test(test_wycheproof_curve),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
