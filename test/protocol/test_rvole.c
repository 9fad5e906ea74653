/*
 * RVOLE: products, the bytes against SPEC.md section 6, and what C2 must catch.
 *
 * QR_TEST_LONG=1 multiplies 10^5 times; without it, 2,048.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/cot.h"
#include "protocol/rvole.h"
#include "test/common/ot.h"

#include <stdlib.h>
#include <string.h>

#define B 16u
#define A_TILDE 0u
#define ETA (QR_XI * 96u)
#define MU (ETA + 32u)

static const uint8_t q_bytes[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

static struct qr_testrng rng;
static struct qr_aes *aes;
static uint8_t *cot_scratch;
static struct ot_seeds seeds;
static uint8_t rsid[32], beta[QR_COT_BETA_LEN(B)], cot_msg[QR_COT_LEN(B)];
static qr_fq g[QR_XI];
static struct qr_rvole rv = {.rsid = rsid, .g = g};
_Alignas(64) static struct qr_sec16 rows_t[QR_COT_ROWS(B)], rows_q[QR_COT_ROWS(B)];
static uint8_t payload[QR_RVOLE_LEN], bad[QR_RVOLE_LEN];

static void
random_fq(qr_fq *ret)
{
    uint8_t wide[64];
    qr_testrng_fill(&rng, wide, sizeof wide);
    qr_fq_reduce64(ret, wide);
}

/* A new batch of rows under a new rsid. */
static void
batch(void)
{
    qr_testrng_fill(&rng, rsid, sizeof rsid);
    qr_testrng_fill(&rng, beta, sizeof beta);
    qr_cot_send(rsid, ot_bob(&seeds), B, beta, aes, cot_scratch, cot_msg, rows_t);
    assert_int_equal(
        qr_cot_recv(rsid, ot_alice(&seeds), &seeds.delta, B, cot_msg, aes, cot_scratch, rows_q),
        QR_OK);
    qr_gadget(rsid, g);
    qr_rvole_key(aes, rsid);
}

static int
setup(void **state)
{
    (void)state;
    if (qr_hash_init() != QR_OK || qr_aes_init() != QR_OK)
        return -1;
    qr_testrng_seed(&rng, "test_rvole");
    aes = qr_aes_new();
    cot_scratch = aligned_alloc(64, qr_cot_scratch(B));
    rv.aes = aes;
    rv.scratch = aligned_alloc(64, qr_rvole_scratch());
    if (!aes || !cot_scratch || !rv.scratch)
        return -1;
    ot_seeds_make(&seeds, &rng);
    batch();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    aes = qr_aes_free(aes);
    free(cot_scratch);
    free(rv.scratch);
    return 0;
}

static void
alice(uint16_t k, const qr_fq a[2], uint8_t *out, qr_fq c[2])
{
    qr_fq a_hat;
    random_fq(&a_hat);
    qr_rvole_alice(&rv, k, rows_q, &seeds.delta, a, &a_hat, out, c);
}

static qr_err
bob(uint16_t k, const uint8_t *p, qr_fq d[2])
{
    return qr_rvole_bob(&rv, k, rows_t, beta, p, d);
}

/* c_i + d_i = a_i * b. */
static void
expect_product(uint16_t k, const qr_fq a[2])
{
    qr_fq c[2], d[2], b, sum, product;

    alice(k, a, payload, c);
    qr_rvole_mask(g, beta, k, &b);
    assert_int_equal(bob(k, payload, d), QR_OK);
    for (size_t i = 0; i < 2; i++) {
        qr_fq_add(&sum, &c[i], &d[i]);
        qr_fq_mul(&product, &a[i], &b);
        assert_true(qr_fq_eq(&sum, &product));
    }
}

static void
test_products(void **state)
{
    const size_t want = getenv("QR_TEST_LONG") ? 100000 : 2000;
    qr_fq a[2];

    (void)state;
    for (size_t n = 0; n < want;) {
        batch();
        for (uint16_t k = 0; k < B; k++, n += 2) {
            random_fq(&a[0]);
            random_fq(&a[1]);
            expect_product(k, a);
        }
    }
}

static void
test_extreme_inputs(void **state)
{
    qr_fq x[3], a[2];
    uint16_t k = 0;

    (void)state;
    x[0] = qr_fq_zero;
    x[1] = qr_fq_one;
    qr_fq_neg(&x[2], &qr_fq_one);
    batch();
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            a[0] = x[i];
            a[1] = x[j];
            expect_product(k++, a);
        }
    }
    /* All of Bob's bits 0: b = 0. All 1: b is the sum of the gadget. */
    for (size_t i = 0; i < 2; i++) {
        memset(beta, i == 0 ? 0 : 0xff, sizeof beta);
        qr_cot_send(rsid, ot_bob(&seeds), B, beta, aes, cot_scratch, cot_msg, rows_t);
        assert_int_equal(
            qr_cot_recv(rsid, ot_alice(&seeds), &seeds.delta, B, cot_msg, aes, cot_scratch, rows_q),
            QR_OK);
        qr_rvole_key(aes, rsid);
        qr_rvole_mask(g, beta, 3, &a[0]);
        assert_int_equal(qr_fq_is_zero(&a[0]), i == 0);
        random_fq(&a[1]);
        expect_product(3, a);
    }
}

static unsigned
bit(const uint8_t *s, size_t j)
{
    return ((unsigned)s[j / 8] >> (j % 8)) & 1u;
}

static void
test_gadget_and_mask(void **state)
{
    static uint8_t wide[QR_XI * 32];
    qr_fq want, got;

    (void)state;
    batch();
    qr_tx(QR_TAG_GADGET, QR_FIELDS(QR_F(rsid, 32)), wide, sizeof wide);
    for (size_t j = 0; j < QR_XI; j++) {
        qr_fq_reduce32(&want, wide + 32 * j);
        assert_true(qr_fq_eq(&g[j], &want));
    }
    for (uint16_t k = 0; k < B; k++) {
        want = qr_fq_zero;
        for (size_t j = 0; j < QR_XI; j++) {
            if (bit(beta, QR_XI * k + j))
                qr_fq_add(&want, &want, &g[j]);
        }
        qr_rvole_mask(g, beta, k, &got);
        assert_true(qr_fq_eq(&got, &want));
    }
}

/* pad(x; J, i), block by block. */
static void
reference_pad(const uint8_t x[16], size_t J, uint8_t i, qr_fq *ret)
{
    uint8_t y[16], in[16], out[32];

    qr_aes_blocks(aes, x, y, 1);
    for (uint8_t h = 0; h < 2; h++) {
        memcpy(in, y, 16);
        in[0] ^= (uint8_t)(J >> 24);
        in[1] ^= (uint8_t)(J >> 16);
        in[2] ^= (uint8_t)(J >> 8);
        in[3] ^= (uint8_t)J;
        in[4] ^= i;
        in[5] ^= h;
        qr_aes_blocks(aes, in, out + 16 * h, 1);
        for (size_t b = 0; b < 16; b++)
            out[16 * h + b] ^= y[b];
    }
    qr_fq_reduce32(ret, out);
}

/*
 * Alice from the specification, one reduced operation at a time. In row `cheat` (if below QR_XI)
 * she uses a_0 + 1 in place of a_0 and is honest otherwise.
 */
static void
reference_alice(uint16_t k, const qr_fq a[2], const qr_fq *a_hat, size_t cheat, uint8_t *out,
                qr_fq c[2])
{
    static qr_fq alpha0[QR_XI][3];
    static uint8_t mu[QR_XI * 32];
    const uint8_t k_be[2] = {(uint8_t)(k >> 8), (uint8_t)k};
    uint8_t h[32], wide[64], other[16];
    qr_fq t, u, theta[2];

    c[0] = c[1] = qr_fq_zero;
    for (size_t j = 0; j < QR_XI; j++) {
        const size_t J = QR_XI * k + j;
        for (size_t i = 0; i < 16; i++)
            other[i] = rows_q[J].b[i] ^ seeds.delta.b[i];
        for (uint8_t i = 0; i < 3; i++) {
            reference_pad(rows_q[J].b, J, i, &alpha0[j][i]);
            reference_pad(other, J, i, &t);
            qr_fq_sub(&t, &alpha0[j][i], &t);
            qr_fq_add(&t, &t, i == 2 ? a_hat : &a[i]);
            if (j == cheat && i == 0)
                qr_fq_add(&t, &t, &qr_fq_one);
            qr_fq_put(out + 96 * j + 32 * i, &t);
        }
        for (size_t i = 0; i < 2; i++) {
            qr_fq_mul(&t, &g[j], &alpha0[j][i]);
            qr_fq_sub(&c[i], &c[i], &t);
        }
    }
    qr_th(QR_TAG_THETA_IN, QR_FIELDS(QR_F(rsid, 32), QR_F(k_be, 2), QR_F(out, ETA)), h);
    for (uint8_t i = 0; i < 2; i++) {
        qr_tb(QR_TAG_THETA, QR_FIELDS(QR_F(rsid, 32), QR_F(k_be, 2), QR_F(&i, 1), QR_F(h, 32)),
              wide);
        qr_fq_reduce64(&theta[i], wide);
    }
    t = *a_hat;
    for (size_t i = 0; i < 2; i++) {
        qr_fq_mul(&u, &theta[i], &a[i]);
        qr_fq_add(&t, &t, &u);
    }
    qr_fq_put(out + ETA, &t);
    for (size_t j = 0; j < QR_XI; j++) {
        t = alpha0[j][2];
        for (size_t i = 0; i < 2; i++) {
            qr_fq_mul(&u, &theta[i], &alpha0[j][i]);
            qr_fq_add(&t, &t, &u);
        }
        qr_fq_put(mu + 32 * j, &t);
    }
    qr_th(QR_TAG_MU, QR_FIELDS(QR_F(rsid, 32), QR_F(k_be, 2), QR_F(mu, sizeof mu)), out + MU);
}

static void
test_reference(void **state)
{
    static uint8_t want[QR_RVOLE_LEN];
    qr_fq a[2], a_hat, c[2], want_c[2];

    (void)state;
    batch();
    for (uint16_t k = 0; k < B; k = (uint16_t)(k + 5)) {
        random_fq(&a[0]);
        random_fq(&a[1]);
        random_fq(&a_hat);
        reference_alice(k, a, &a_hat, QR_XI, want, want_c);
        qr_rvole_alice(&rv, k, rows_q, &seeds.delta, a, &a_hat, payload, c);
        assert_memory_equal(payload, want, sizeof want);
        assert_true(qr_fq_eq(&c[0], &want_c[0]) && qr_fq_eq(&c[1], &want_c[1]));
    }
}

/* p += 1 mod q, so that what was canonical stays so. */
static void
bump(uint8_t *p)
{
    qr_fq t;
    assert_int_equal(qr_fq_parse(&t, p), QR_OK);
    qr_fq_add(&t, &t, &qr_fq_one);
    qr_fq_put(p, &t);
}

static void
expect_refused(uint16_t k, qr_err want)
{
    qr_fq d[2] = {qr_fq_one, qr_fq_one};
    assert_int_equal(bob(k, bad, d), want);
    /* Written on success only. */
    assert_true(qr_fq_eq(&d[0], &qr_fq_one) && qr_fq_eq(&d[1], &qr_fq_one));
}

/* A changed scalar in any row of any column, whatever beta_j is there; eta; every bit of mu. */
static void
attack_06_every_row_is_checked(void **state)
{
    qr_fq a[2], c[2], d[2];
    unsigned ones = 0;

    (void)state;
    batch();
    random_fq(&a[0]);
    random_fq(&a[1]);
    alice(9, a, payload, c);
    for (size_t j = 0; j < QR_XI; j++) {
        ones += bit(beta, QR_XI * 9 + j);
        for (size_t i = 0; i < 3; i++) {
            memcpy(bad, payload, sizeof bad);
            bump(bad + 96 * j + 32 * i);
            expect_refused(9, QR_ERR_CHECK);
        }
    }
    assert_in_range(ones, 100, 316); /* both kinds of row were met */
    memcpy(bad, payload, sizeof bad);
    bump(bad + ETA);
    expect_refused(9, QR_ERR_CHECK);
    for (size_t i = 0; i < 256; i++) {
        memcpy(bad, payload, sizeof bad);
        bad[MU + i / 8] ^= (uint8_t)(1u << (i % 8));
        expect_refused(9, QR_ERR_CHECK);
    }
    assert_int_equal(bob(9, payload, d), QR_OK);
}

/*
 * The best attack: Alice deviates in one row and makes the rest fit. C2 then passes exactly if
 * beta_j is 0 there. That one bit is what a passed check can tell her, and a failed one retires the
 * pair.
 */
static void
attack_06_consistent_cheat_is_one_guess(void **state)
{
    qr_fq a[2], a_hat, c[2], d[2];
    unsigned passed = 0;

    (void)state;
    batch();
    random_fq(&a[0]);
    random_fq(&a[1]);
    random_fq(&a_hat);
    for (size_t j = 0; j < QR_XI; j += 7) {
        reference_alice(2, a, &a_hat, j, bad, c);
        const int caught = bob(2, bad, d) != QR_OK;
        assert_int_equal(caught, bit(beta, QR_XI * 2 + j));
        passed += !caught;
    }
    assert_in_range(passed, 10, 50); /* of 60 */
}

/* A payload belongs to one presignature of one batch. */
static void
attack_05_payload_is_bound(void **state)
{
    qr_fq a[2], c[2];

    (void)state;
    random_fq(&a[0]);
    random_fq(&a[1]);
    alice(4, a, bad, c);
    expect_refused(5, QR_ERR_CHECK);
    batch();
    expect_refused(4, QR_ERR_CHECK);
}

/* The same inputs give unrelated scalars for another index and under another rsid. */
static void
attack_10_presignatures_are_separate(void **state)
{
    qr_fq a[2], a_hat, c[2];

    (void)state;
    batch();
    random_fq(&a[0]);
    random_fq(&a[1]);
    random_fq(&a_hat);
    /* Equal rows, so that only the tweak can tell them apart. */
    for (size_t J = 0; J < QR_COT_ROWS(B); J++)
        rows_q[J] = rows_q[0];
    qr_rvole_alice(&rv, 0, rows_q, &seeds.delta, a, &a_hat, payload, c);
    for (size_t j = 1; j < QR_XI; j++)
        assert_memory_not_equal(payload + 96 * j, payload, 32);
    qr_rvole_alice(&rv, 1, rows_q, &seeds.delta, a, &a_hat, bad, c);
    for (size_t i = 0; i < QR_RVOLE_LEN / 32; i++)
        assert_memory_not_equal(payload + 32 * i, bad + 32 * i, 32);
    rsid[5] ^= 1;
    qr_rvole_key(aes, rsid);
    qr_rvole_alice(&rv, 0, rows_q, &seeds.delta, a, &a_hat, bad, c);
    for (size_t i = 0; i < QR_RVOLE_LEN / 32; i++)
        assert_memory_not_equal(payload + 32 * i, bad + 32 * i, 32);
}

/* A scalar of q or more anywhere is a malformed message, also when the check would fail too. */
static void
test_non_canonical(void **state)
{
    static const size_t at[] = {0, 1, 2, 600, 3 * QR_XI - 1, 3 * QR_XI};
    qr_fq a[2], c[2];

    (void)state;
    batch();
    random_fq(&a[0]);
    random_fq(&a[1]);
    alice(0, a, payload, c);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        memcpy(bad, payload, sizeof bad);
        memcpy(bad + 32 * at[i], q_bytes, 32); /* q itself */
        expect_refused(0, QR_ERR_SCALAR);
        bad[MU] ^= 1;
        expect_refused(0, QR_ERR_SCALAR);
        memset(bad + 32 * at[i], 0xff, 32);
        expect_refused(0, QR_ERR_SCALAR);
        memcpy(bad, payload, sizeof bad);
        memcpy(bad + 32 * at[i], q_bytes, 32);
        bad[32 * at[i] + 31]--; /* q - 1 is canonical, and wrong */
        expect_refused(0, QR_ERR_CHECK);
    }
    /* mu is no scalar: any bytes are well formed. */
    memcpy(bad, payload, sizeof bad);
    memset(bad + MU, 0xff, 32);
    expect_refused(0, QR_ERR_CHECK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_extreme_inputs),
        cmocka_unit_test(test_gadget_and_mask),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(attack_06_every_row_is_checked),
        cmocka_unit_test(attack_06_consistent_cheat_is_one_guess),
        cmocka_unit_test(attack_05_payload_is_bound),
        cmocka_unit_test(attack_10_presignatures_are_separate),
        cmocka_unit_test(test_non_canonical),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
