/*
 * COT extension: the relation, the bytes against SPEC.md section 5, and what C1 must catch.
 *
 * Seeds come from test/common/ot.h: no set-up is run. Where a test needs many values of Delta for
 * one message, Alice gets all of Bob's seeds: her result does not depend on the leaves she lacks,
 * which is a test of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/cot.h"
#include "protocol/gf128.h"
#include "test/common/cotref.h"
#include "test/common/ot.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS QR_COT_ROWS(QR_BATCH_MAX)
#define U_LEN(B) (16 * QR_COT_ROW_BYTES(B))

static struct qr_testrng rng;
static struct qr_aes *aes;
static uint8_t *scratch;
static struct ot_seeds seeds;
static uint8_t rsid[32], beta[QR_COT_BETA_LEN(QR_BATCH_MAX)], msg[QR_COT_LEN(QR_BATCH_MAX)];
_Alignas(64) static struct qr_sec16 rows_t[MAX_ROWS], rows_q[MAX_ROWS];

static int
setup(void **state)
{
    (void)state;
    if (qr_hash_init() != QR_OK || qr_aes_init() != QR_OK)
        return -1;
    qr_testrng_seed(&rng, "test_cot");
    aes = qr_aes_new();
    scratch = aligned_alloc(64, qr_cot_scratch(QR_BATCH_MAX));
    return aes && scratch ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    aes = qr_aes_free(aes);
    free(scratch);
    return 0;
}

/* New seeds, sid and bits; Bob's message. */
static void
fresh(uint16_t B)
{
    ot_seeds_make(&seeds, &rng);
    qr_testrng_fill(&rng, rsid, sizeof rsid);
    qr_testrng_fill(&rng, beta, QR_COT_BETA_LEN(B));
    qr_cot_send(rsid, ot_bob(&seeds), B, beta, aes, scratch, msg, rows_t);
}

static qr_err
recv_with(uint16_t B, const uint8_t *m, const struct qr_sec16 *delta)
{
    return qr_cot_recv(rsid, ot_alice(&seeds), delta, B, m, aes, scratch, rows_q);
}

static unsigned
bit(const uint8_t *s, size_t j)
{
    return ((unsigned)s[j / 8] >> (j % 8)) & 1u;
}

/* t_j = q_j ^ beta_j * Delta for all rows. */
static void
expect_relation(uint16_t B)
{
    for (size_t j = 0; j < QR_COT_ROWS(B); j++) {
        for (size_t i = 0; i < 16; i++) {
            const int want = bit(beta, j) ? seeds.delta.b[i] : 0;
            assert_int_equal(rows_t[j].b[i] ^ rows_q[j].b[i], want);
        }
    }
}

static void
test_relation(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        for (uint16_t B = 4; B <= QR_BATCH_MAX; B = (uint16_t)(B + 4)) {
            fresh(B);
            assert_int_equal(recv_with(B, msg, &seeds.delta), QR_OK);
            expect_relation(B);
        }
    }
}

/* Delta, or beta', all zeros and all ones: the masks' extremes. */
static void
test_extreme_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        ot_seeds_make(&seeds, &rng);
        memcpy(seeds.alice, seeds.bob, sizeof seeds.alice);
        memset(&seeds.delta, i & 1 ? 0xff : 0, sizeof seeds.delta);
        memset(beta, i & 2 ? 0xff : 0, sizeof beta);
        qr_cot_send(rsid, ot_bob(&seeds), 4, beta, aes, scratch, msg, rows_t);
        assert_int_equal(recv_with(4, msg, &seeds.delta), QR_OK);
        expect_relation(4);
    }
}

/* Whatever stands in the leaves she lacks, her rows and her verdict are the same. */
static void
test_missing_leaves_do_not_matter(void **state)
{
    static struct qr_sec16 first[QR_COT_ROWS(4)];

    (void)state;
    fresh(4);
    assert_int_equal(recv_with(4, msg, &seeds.delta), QR_OK);
    memcpy(first, rows_q, sizeof first);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t g = 0; g < QR_PPRF_GROUPS; g++)
            qr_testrng_fill(&rng, &seeds.alice[g][seeds.delta.b[g]], 16);
        assert_int_equal(recv_with(4, msg, &seeds.delta), QR_OK);
        assert_memory_equal(rows_q, first, sizeof first);
    }
    /* A leaf she has does matter. */
    seeds.alice[7][seeds.delta.b[7] ^ 0x10].b[3] ^= 4;
    assert_int_equal(recv_with(4, msg, &seeds.delta), QR_ERR_CHECK);
}

static void
test_reference(void **state)
{
    static struct cotref f;
    static uint8_t want[QR_COT_LEN(4)];
    const uint8_t *bits[16];

    (void)state;
    fresh(4);
    for (size_t g = 0; g < 16; g++)
        bits[g] = beta;
    cotref_bob(&f, aes, rsid, ot_bob(&seeds), bits);
    cotref_combine(&f, beta, f.x);
    cotref_hash(&f, rsid);
    cotref_message(&f, want);
    assert_memory_equal(msg, want, sizeof want);
    for (size_t j = 0; j < QR_COT_ROWS(4); j++) {
        for (size_t i = 0; i < 128; i++)
            assert_int_equal(bit(rows_t[j].b, i), bit(f.v[i], j));
    }
}

/* One changed bit anywhere: 16 rows at several places, all of x~ and of h_T. */
static void
attack_04_every_row_of_the_extension(void **state)
{
    static uint8_t bad[QR_COT_LEN(4)];
    const size_t row = QR_COT_ROW_BYTES(4);

    (void)state;
    fresh(4);
    for (size_t g = 0; g < 16; g++) {
        for (size_t k = 0; k < 5; k++) {
            /* First, last data, first and last mask bit, and one anywhere. */
            const size_t at[5] = {0, 8 * row - 129, 8 * row - 128, 8 * row - 1,
                                  qr_testrng_below(&rng, 8 * row)};
            memcpy(bad, msg, sizeof bad);
            bad[g * row + at[k] / 8] ^= (uint8_t)(1u << (at[k] % 8));
            assert_int_equal(recv_with(4, bad, &seeds.delta), QR_ERR_CHECK);
        }
    }
    for (size_t i = 0; i < 8 * 48; i++) {
        memcpy(bad, msg, sizeof bad);
        bad[U_LEN(4) + i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(recv_with(4, bad, &seeds.delta), QR_ERR_CHECK);
    }
    assert_int_equal(recv_with(4, msg, &seeds.delta), QR_OK);
}

/*
 * A changed row is caught whatever Alice's Delta_g is, also where it does not touch her matrix
 * (Delta_g = 0): the challenge is a hash of all rows.
 */
static void
attack_04_changed_row_for_every_delta(void **state)
{
    static uint8_t bad[QR_COT_LEN(4)];

    (void)state;
    fresh(4);
    memcpy(seeds.alice, seeds.bob, sizeof seeds.alice);
    memcpy(bad, msg, sizeof bad);
    bad[5 * QR_COT_ROW_BYTES(4) + 17] ^= 0x20;
    for (unsigned d = 0; d < 256; d++) {
        struct qr_sec16 delta = seeds.delta;
        delta.b[5] = (uint8_t)d;
        assert_int_equal(recv_with(4, bad, &delta), QR_ERR_CHECK);
        assert_int_equal(recv_with(4, msg, &delta), QR_OK);
    }
}

/* The best attack (cotref.h) on this batch. */
static void
cheat(struct cotref *f, size_t g, const uint8_t *e, unsigned guess)
{
    cotref_cheat(f, aes, rsid, ot_bob(&seeds), beta, g, e, guess, msg);
}

/* It passes for exactly one of the 256 values of Delta_g: the guess. */
static void
attack_03_consistent_cheat_is_one_guess(void **state)
{
    static struct cotref f;
    uint8_t e[QR_COT_ROW_BYTES(4)] = {0};

    (void)state;
    fresh(4);
    memcpy(seeds.alice, seeds.bob, sizeof seeds.alice);
    e[3] = 0x40; /* one choice bit differs */
    for (unsigned round = 0; round < 2; round++) {
        const unsigned guess = round == 0 ? 0 : 0xb2;
        const size_t g = 4 + 7 * round;
        cheat(&f, g, e, guess);
        for (unsigned d = 0; d < 256; d++) {
            struct qr_sec16 delta = seeds.delta;
            delta.b[g] = (uint8_t)d;
            assert_int_equal(recv_with(4, msg, &delta), d == guess ? QR_OK : QR_ERR_CHECK);
        }
        qr_testrng_fill(&rng, e, sizeof e); /* and then many */
    }
}

/* Against random Deltas the attack passes with probability 2^-8: 4,096 trials, 16 expected. */
static void
attack_03_consistent_cheat_rate(void **state)
{
    static struct cotref f;
    uint8_t e[QR_COT_ROW_BYTES(4)];
    unsigned passed = 0;

    (void)state;
    fresh(4);
    memcpy(seeds.alice, seeds.bob, sizeof seeds.alice);
    qr_testrng_fill(&rng, e, sizeof e);
    cheat(&f, 11, e, 0x37);
    for (unsigned i = 0; i < 4096; i++) {
        struct qr_sec16 delta;
        qr_testrng_fill(&rng, &delta, sizeof delta);
        const qr_err got = recv_with(4, msg, &delta);
        assert_true(got == QR_OK || got == QR_ERR_CHECK);
        assert_int_equal(got == QR_OK, delta.b[11] == 0x37);
        passed += got == QR_OK;
    }
    assert_in_range(passed, 4, 34); /* mean 16, standard deviation 4 */
}

/* The same seeds under another rsid: nothing of the message or the rows is the same. */
static void
attack_10_rsids_are_unrelated(void **state)
{
    static uint8_t old[QR_COT_LEN(4)];
    static struct qr_sec16 old_t[QR_COT_ROWS(4)];

    (void)state;
    fresh(4);
    memcpy(old, msg, sizeof old);
    memcpy(old_t, rows_t, sizeof old_t);
    rsid[0] ^= 1;
    assert_int_equal(recv_with(4, msg, &seeds.delta), QR_ERR_CHECK);
    qr_cot_send(rsid, ot_bob(&seeds), 4, beta, aes, scratch, msg, rows_t);
    for (size_t i = 0; i < sizeof old; i += 16)
        assert_memory_not_equal(msg + i, old + i, 16);
    for (size_t j = 0; j < QR_COT_ROWS(4); j++)
        assert_memory_not_equal(&rows_t[j], &old_t[j], 16);
}

/* Everything about the check has 128 bits: it can be tried off line, 40 would be minutes of work. */
static void
attack_32_the_check_has_128_bits(void **state)
{
    (void)state;
    _Static_assert(QR_OT_COUNT == 128, "bits of Delta, and rows of the check");
    for (uint16_t B = 4; B <= QR_BATCH_MAX; B = (uint16_t)(B + 4)) {
        assert_int_equal(8 * QR_COT_ROW_BYTES(B) - QR_COT_BITS(B), 128);     /* masking bits */
        assert_int_equal(QR_COT_LEN(B) - 16 * QR_COT_ROW_BYTES(B), 16 + 32); /* x~ and h_T */
        assert_int_equal(QR_COT_BITS(B) % 128, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relation),
        cmocka_unit_test(test_extreme_bits),
        cmocka_unit_test(test_missing_leaves_do_not_matter),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(attack_04_every_row_of_the_extension),
        cmocka_unit_test(attack_04_changed_row_for_every_delta),
        cmocka_unit_test(attack_03_consistent_cheat_is_one_guess),
        cmocka_unit_test(attack_03_consistent_cheat_rate),
        cmocka_unit_test(attack_10_rsids_are_unrelated),
        cmocka_unit_test(attack_32_the_check_has_128_bits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
