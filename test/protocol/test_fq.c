/*
 * Scalars against two independent implementations: OpenSSL's BN and libsecp256k1's own tweaks; on
 * random numbers, on numbers made of extreme limbs, and on the edges of q.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/fq.h"
#include "test/common/testrng.h"

#include <openssl/bn.h>
#include <secp256k1.h>

#define RANDOM_CASES 20000
#define TOP_LIMB_MAX ((UINT64_C(1) << 33) - 1) /* of an accumulator */

static const char q_hex[] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

static struct qr_testrng rng;
static BN_CTX *bn_ctx;
static BIGNUM *q;

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_fq");
    bn_ctx = BN_CTX_new();
    return bn_ctx && BN_hex2bn(&q, q_hex) == 64 ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    BN_free(q);
    BN_CTX_free(bn_ctx);
    return 0;
}

/* Half of all limbs are extreme: that is where carries go wrong. */
static uint64_t
limb(void)
{
    switch (qr_testrng_below(&rng, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_MAX - qr_testrng_below(&rng, 4);
    case 3:
        return qr_testrng_below(&rng, 4);
    default:
        return qr_testrng_u64(&rng);
    }
}

static BIGNUM *
bn_limbs(const uint64_t *d, size_t n)
{
    uint8_t b[9 * 8];
    assert_true(n <= 9);
    for (size_t i = 0; i < n; i++) {
        qr_put64(b + 8 * (n - 1 - i), d[i]);
    }
    return BN_bin2bn(b, (int)(8 * n), NULL);
}

static void
random_fq(qr_fq *ret)
{
    uint8_t b[32];
    for (int i = 0; i < 4; i++) {
        qr_put64(b + 8 * i, limb());
    }
    qr_fq_reduce32(ret, b);
}

/* got == want mod q, and got is below q. Frees want. */
static void
expect(const qr_fq *got, BIGNUM *want)
{
    BIGNUM *r = BN_new(), *g = bn_limbs(got->d, 4);
    assert_int_equal(BN_nnmod(r, want, q, bn_ctx), 1);
    assert_int_equal(BN_cmp(g, r), 0);
    BN_free(r);
    BN_free(g);
    BN_free(want);
}

enum op { ADD, SUB, MUL };

static BIGNUM *
bn_op(enum op op, const BIGNUM *a, const BIGNUM *b)
{
    BIGNUM *r = BN_new();
    int ok = op == ADD ? BN_add(r, a, b) : op == SUB ? BN_sub(r, a, b) : BN_mul(r, a, b, bn_ctx);
    assert_int_equal(ok, 1);
    return r;
}

static void
check_pair(const qr_fq *a, const qr_fq *b)
{
    BIGNUM *x = bn_limbs(a->d, 4), *y = bn_limbs(b->d, 4);
    qr_fq r, s;

    qr_fq_add(&r, a, b);
    expect(&r, bn_op(ADD, x, y));
    qr_fq_sub(&r, a, b);
    expect(&r, bn_op(SUB, x, y));
    qr_fq_mul(&r, a, b);
    expect(&r, bn_op(MUL, x, y));
    qr_fq_mul(&s, b, a);
    assert_true(qr_fq_eq(&r, &s));

    /* Results on top of operands. */
    s = *a;
    qr_fq_mul(&s, &s, b);
    assert_true(qr_fq_eq(&r, &s));
    s = *b;
    qr_fq_sub(&s, a, &s);
    expect(&s, bn_op(SUB, x, y));
    s = *a;
    qr_fq_cadd(&s, b, 0);
    assert_true(qr_fq_eq(&s, a));
    qr_fq_cadd(&s, b, 1);
    expect(&s, bn_op(ADD, x, y));

    qr_fq_cmov(&s, a, b, 0);
    assert_true(qr_fq_eq(&s, a));
    qr_fq_cmov(&s, a, b, 1);
    assert_true(qr_fq_eq(&s, b));
    assert_int_equal(qr_fq_eq(a, b), BN_cmp(x, y) == 0);
    assert_int_equal(qr_fq_is_zero(a), BN_is_zero(x));

    qr_fq_neg(&s, a);
    qr_fq_add(&s, &s, a);
    assert_true(qr_fq_is_zero(&s));
    BN_free(x);
    BN_free(y);
}

static void
test_random_against_bn(void **state)
{
    (void)state;
    for (int i = 0; i < RANDOM_CASES; i++) {
        qr_fq a, b;
        random_fq(&a);
        random_fq(&b);
        check_pair(&a, &b);
    }
}

/* 0, 2^k, q - 2^k, q/2 and its neighbours; every one against a cut of them. */
static void
test_edges_against_bn(void **state)
{
    static qr_fq edge[2 * 256 + 8];
    size_t n = 0;

    (void)state;
    edge[n++] = qr_fq_zero;
    for (unsigned k = 0; k < 256; k++) {
        qr_fq p = {{0, 0, 0, 0}};
        p.d[k / 64] = UINT64_C(1) << (k % 64);
        edge[n++] = p;
        qr_fq_neg(&edge[n++], &p);
    }
    for (int i = 0; i < 3; i++) { /* (q-1)/2 - 1, (q-1)/2, (q+1)/2 */
        qr_fq h;
        uint8_t b[32];
        BIGNUM *half = BN_dup(q);
        assert_int_equal(BN_rshift1(half, half) && BN_add_word(half, (BN_ULONG)i), 1);
        assert_int_equal(BN_sub_word(half, 1), 1);
        assert_int_equal(BN_bn2binpad(half, b, 32), 32);
        assert_int_equal(qr_fq_parse(&h, b), QR_OK);
        assert_int_equal(qr_fq_is_high_var(&h), i == 2);
        BN_free(half);
        edge[n++] = h;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i % 16; j < n; j += 16) {
            check_pair(&edge[i], &edge[j]);
        }
    }
}

/* The same operations through libsecp256k1, which refuses zeros. */
static void
test_random_against_secp256k1(void **state)
{
    size_t compared = 0;

    (void)state;
    for (int i = 0; i < RANDOM_CASES; i++) {
        qr_fq a, b, r;
        uint8_t key[32], tweak[32], got[32];

        random_fq(&a);
        random_fq(&b);
        qr_fq_put(tweak, &b);
        if (qr_fq_is_zero(&a) || qr_fq_is_zero(&b)) {
            continue;
        }
        qr_fq_put(key, &a);
        qr_fq_add(&r, &a, &b);
        qr_fq_put(got, &r);
        assert_int_equal(secp256k1_ec_seckey_tweak_add(secp256k1_context_static, key, tweak),
                         !qr_fq_is_zero(&r));
        if (!qr_fq_is_zero(&r)) {
            assert_memory_equal(got, key, 32);
        }
        qr_fq_put(key, &a);
        qr_fq_mul(&r, &a, &b);
        qr_fq_put(got, &r);
        assert_int_equal(secp256k1_ec_seckey_tweak_mul(secp256k1_context_static, key, tweak), 1);
        assert_memory_equal(got, key, 32);

        qr_fq_put(key, &a);
        qr_fq_neg(&r, &a);
        qr_fq_put(got, &r);
        assert_int_equal(secp256k1_ec_seckey_negate(secp256k1_context_static, key), 1);
        assert_memory_equal(got, key, 32);
        compared++;
    }
    assert_true(compared > RANDOM_CASES * 9 / 10);
}

static void
test_reduce(void **state)
{
    (void)state;
    for (int i = 0; i < RANDOM_CASES; i++) {
        uint8_t b[64];
        qr_fq r;
        for (int k = 0; k < 8; k++) {
            qr_put64(b + 8 * k, limb());
        }
        qr_fq_reduce32(&r, b);
        expect(&r, BN_bin2bn(b, 32, NULL));
        qr_fq_reduce64(&r, b);
        expect(&r, BN_bin2bn(b, 64, NULL));
    }
    /* Around multiples of q, where the last subtraction decides. */
    for (BN_ULONG m = 1; m <= 64; m++) {
        for (BN_ULONG away = 0; away < 5; away++) {
            uint8_t b[64];
            qr_fq r;
            BIGNUM *v = BN_dup(q);
            int shift = m <= 32 ? 0 : (int)(8 * (m - 32));
            assert_int_equal(BN_lshift(v, v, shift) && BN_mul_word(v, m <= 32 ? m : 1), 1);
            assert_int_equal(BN_add_word(v, away) && BN_sub_word(v, 2), 1);
            assert_int_equal(BN_bn2binpad(v, b, 64), 64);
            qr_fq_reduce64(&r, b);
            expect(&r, v);
        }
    }
}

/* Any accumulator content that 2^32 products and as many sums can reach, and a little more. */
static void
test_accumulator_reduces_anything(void **state)
{
    qr_fq_acc acc;
    qr_fq r;

    (void)state;
    memset(&acc, 0xff, sizeof acc);
    acc.d[8] = TOP_LIMB_MAX;
    qr_fq_acc_reduce(&r, &acc);
    expect(&r, bn_limbs(acc.d, 9));
    qr_fq_acc_zero(&acc);
    qr_fq_acc_reduce(&r, &acc);
    assert_true(qr_fq_is_zero(&r));
    for (int top = 0; top < 9; top++) {
        qr_fq_acc_zero(&acc);
        acc.d[top] = top < 8 ? UINT64_MAX : TOP_LIMB_MAX;
        qr_fq_acc_reduce(&r, &acc);
        expect(&r, bn_limbs(acc.d, 9));
    }
    for (int i = 0; i < RANDOM_CASES; i++) {
        for (int k = 0; k < 9; k++) {
            acc.d[k] = limb();
        }
        acc.d[8] &= TOP_LIMB_MAX;
        qr_fq_acc_reduce(&r, &acc);
        expect(&r, bn_limbs(acc.d, 9));
    }
}

static void
test_accumulator_sums(void **state)
{
    (void)state;
    for (int run = 0; run < 60; run++) {
        qr_fq_acc acc;
        qr_fq slow = qr_fq_zero, r;
        BIGNUM *sum = BN_new();
        int n = 1 + (int)qr_testrng_below(&rng, 832);

        qr_fq_acc_zero(&acc);
        for (int i = 0; i < n; i++) {
            qr_fq a, b, p;
            random_fq(&a);
            random_fq(&b);
            if (run == 0) { /* the largest products there are */
                qr_fq_neg(&a, &qr_fq_one);
                b = a;
            }
            BIGNUM *x = bn_limbs(a.d, 4), *y = bn_limbs(b.d, 4), *product = BN_new();
            assert_int_equal(BN_mul(product, x, y, bn_ctx) && BN_add(sum, sum, product), 1);
            qr_fq_acc_mul(&acc, &a, &b);
            qr_fq_mul(&p, &a, &b);
            qr_fq_add(&slow, &slow, &p);
            if (i % 3 == 0) {
                qr_fq_acc_add(&acc, &b);
                qr_fq_add(&slow, &slow, &b);
                assert_int_equal(BN_add(sum, sum, y), 1);
            }
            BN_free(x);
            BN_free(y);
            BN_free(product);
        }
        qr_fq_acc_reduce(&r, &acc);
        assert_true(qr_fq_eq(&r, &slow));
        expect(&r, sum);
    }
    /* acc_add carries through all nine limbs. */
    qr_fq_acc acc = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                      UINT64_MAX, UINT64_MAX, 6}};
    qr_fq_acc_add(&acc, &qr_fq_one);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(acc.d[i], 0);
    }
    assert_int_equal(acc.d[8], 7);
    /* So does acc_mul. */
    memset(&acc, 0xff, 64);
    acc.d[8] = 1;
    qr_fq_acc_mul(&acc, &qr_fq_one, &qr_fq_one);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(acc.d[i], 0);
    }
    assert_int_equal(acc.d[8], 2);
}

static BIGNUM *
random_loose(qr_fq_loose *ret)
{
    uint8_t b[32];
    for (int i = 0; i < 4; i++) {
        qr_put64(b + 8 * i, limb());
    }
    qr_fq_loose_load(ret, b);
    return bn_limbs(ret->d, 4);
}

/* Numbers of 256 bits that are not reduced: x - y + a, masked sums, products. */
static void
test_loose(void **state)
{
    (void)state;
    for (int i = 0; i < RANDOM_CASES; i++) {
        qr_fq_loose x, y;
        qr_fq_acc acc;
        qr_fq a, r;
        BIGNUM *bx = random_loose(&x), *by = random_loose(&y), *ba, *want = BN_new();
        uint64_t flag = i & 1;

        random_fq(&a);
        ba = bn_limbs(a.d, 4);
        qr_fq_loose_diff(&r, &x, &y, &a);
        assert_true(BN_sub(want, bx, by) && BN_add(want, want, ba));
        assert_true(BN_nnmod(want, want, q, bn_ctx));
        expect(&r, BN_dup(want));

        qr_fq_acc_zero(&acc);
        qr_fq_acc_mul_loose(&acc, &a, &x);
        qr_fq_acc_add_loose(&acc, &y);
        qr_fq_acc_reduce(&r, &acc);
        assert_true(BN_mul(want, ba, bx, bn_ctx) && BN_add(want, want, by));
        expect(&r, BN_dup(want));

        qr_fq_loose_cadd(&x, &y, flag);
        qr_fq_acc_zero(&acc);
        qr_fq_acc_add_loose(&acc, &x);
        qr_fq_acc_reduce(&r, &acc);
        assert_true(flag ? BN_add(want, bx, by) == 1 : BN_copy(want, bx) != NULL);
        expect(&r, want);
        BN_free(bx);
        BN_free(by);
        BN_free(ba);
    }
}

static void
test_inverse(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        qr_fq a, r;
        random_fq(&a);
        if (i < 300) {
            qr_fq_set_u64(&a, (uint64_t)i + 1);
        }
        if (qr_fq_is_zero(&a)) {
            continue;
        }
        BIGNUM *x = bn_limbs(a.d, 4);
        qr_fq_inv_var(&r, &a);
        expect(&r, BN_mod_inverse(NULL, x, q, bn_ctx));
        BN_free(x);
        qr_fq_mul(&r, &r, &a);
        assert_true(qr_fq_eq(&r, &qr_fq_one));
    }
}

static void
test_parse_and_put(void **state)
{
    uint8_t b[32], back[32];
    qr_fq a, untouched;

    (void)state;
    memset(&untouched, 0x5a, sizeof untouched);
    /* q - 1 is the last one; q, q + 1 and on are refused, and nothing is written. */
    BIGNUM *v = BN_dup(q);
    assert_int_equal(BN_sub_word(v, 1), 1);
    assert_int_equal(BN_bn2binpad(v, b, 32), 32);
    assert_int_equal(qr_fq_parse(&a, b), QR_OK);
    qr_fq_put(back, &a);
    assert_memory_equal(back, b, 32);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(BN_add_word(v, 1), 1);
        assert_int_equal(BN_bn2binpad(v, b, 32), 32);
        a = untouched;
        assert_int_equal(qr_fq_parse(&a, b), QR_ERR_SCALAR);
        assert_memory_equal(&a, &untouched, sizeof a);
    }
    BN_free(v);
    memset(b, 0xff, sizeof b);
    assert_int_equal(qr_fq_parse(&a, b), QR_ERR_SCALAR);
    memset(b, 0, sizeof b);
    assert_int_equal(qr_fq_parse(&a, b), QR_OK);
    assert_true(qr_fq_is_zero(&a));
    b[31] = 1;
    assert_int_equal(qr_fq_parse(&a, b), QR_OK);
    assert_true(qr_fq_eq(&a, &qr_fq_one));
    for (int i = 0; i < 2000; i++) {
        qr_fq c;
        random_fq(&a);
        qr_fq_put(b, &a);
        assert_int_equal(qr_fq_parse(&c, b), QR_OK);
        assert_true(qr_fq_eq(&a, &c));
    }
    qr_fq_set_u64(&a, UINT64_C(0x0123456789abcdef));
    qr_fq_put(b, &a);
    assert_int_equal(qr_get64(b + 24), UINT64_C(0x0123456789abcdef));
    assert_int_equal(qr_get64(b) | qr_get64(b + 8) | qr_get64(b + 16), 0);
}

/* One flipped bit anywhere makes two scalars differ. */
static void
test_eq_sees_every_bit(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 256; k++) {
        qr_fq a = {{1, 2, 3, 4}}, b = a;
        b.d[k / 64] ^= UINT64_C(1) << (k % 64);
        assert_false(qr_fq_eq(&a, &b));
        qr_fq_sub(&b, &b, &b);
        assert_true(qr_fq_is_zero(&b));
        b.d[k / 64] = UINT64_C(1) << (k % 64);
        assert_false(qr_fq_is_zero(&b));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_bn),
        cmocka_unit_test(test_edges_against_bn),
        cmocka_unit_test(test_random_against_secp256k1),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_accumulator_reduces_anything),
        cmocka_unit_test(test_accumulator_sums),
        cmocka_unit_test(test_loose),
        cmocka_unit_test(test_inverse),
        cmocka_unit_test(test_parse_and_put),
        cmocka_unit_test(test_eq_sees_every_bit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
