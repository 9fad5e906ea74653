/*
 * All-but-one PRFs: every punctured index of every tree, the leaves against a tree built from
 * SPEC.md section 3 alone, and each field of the message changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/pprf.h"
#include "test/common/testrng.h"

#include <string.h>

#define TREE 288u /* bytes of one tree in the message */

struct run {
    uint8_t sid[32];
    struct qr_sec16 choice, key_a[QR_OT_COUNT], key_b[2 * QR_OT_COUNT];
    uint8_t msg[QR_PPRF_LEN];
    struct qr_sec16 alice[QR_PPRF_GROUPS][QR_PPRF_LEAVES], bob[QR_PPRF_GROUPS][QR_PPRF_LEAVES];
    struct qr_sec16 delta;
    struct qr_pprf_work work;
};

static struct run base, r;
static struct qr_testrng rng;

/* Random OT keys and Bob's tree; choice bits so that Delta_g = delta[g]. */
static void
build(struct run *x, const uint8_t delta[QR_PPRF_GROUPS])
{
    qr_testrng_fill(&rng, x->key_b, sizeof x->key_b);
    memset(&x->choice, 0, sizeof x->choice);
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        /* The first OT of a tree gives the top bit of Delta_g; she lacks the side she chose not. */
        const unsigned b = 1u ^ (((unsigned)delta[j / 8] >> (7 - j % 8)) & 1u);
        x->choice.b[j / 8] |= (uint8_t)(b << (j % 8));
        x->key_a[j] = x->key_b[2 * j + b];
    }
    qr_pprf_build(x->sid, x->key_b, &x->work, x->msg, x->bob);
}

static qr_err
open_with(struct run *x, const uint8_t *msg)
{
    return qr_pprf_open(x->sid, &x->choice, x->key_a, msg, &x->work, x->alice, &x->delta);
}

static int
setup(void **state)
{
    uint8_t delta[QR_PPRF_GROUPS];

    (void)state;
    if (qr_hash_init() != QR_OK)
        return -1;
    qr_testrng_seed(&rng, "test_pprf");
    qr_testrng_fill(&rng, base.sid, sizeof base.sid);
    qr_testrng_fill(&rng, delta, sizeof delta);
    build(&base, delta);
    return open_with(&base, base.msg) == QR_OK ? 0 : -1;
}

static void
expect_all_but_one(const struct run *x, const uint8_t delta[QR_PPRF_GROUPS])
{
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        assert_int_equal(x->delta.b[g], delta[g]);
        for (size_t i = 0; i < QR_PPRF_LEAVES; i++)
            assert_int_equal(memcmp(&x->alice[g][i], &x->bob[g][i], 16) == 0, i != delta[g]);
    }
}

/* 16 runs of 16 trees: each index once, and each tree gets 16 of them. */
static void
test_every_index(void **state)
{
    (void)state;
    r = base;
    for (unsigned i = 0; i < 16; i++) {
        uint8_t delta[QR_PPRF_GROUPS];
        for (unsigned g = 0; g < QR_PPRF_GROUPS; g++)
            delta[g] = (uint8_t)(16 * g + (i + g) % 16);
        build(&r, delta);
        assert_int_equal(open_with(&r, r.msg), QR_OK);
        expect_all_but_one(&r, delta);
    }
}

/* Bob's message and leaves, made by recursion-free text-book code. */
static void
test_reference(void **state)
{
    (void)state;
    for (unsigned g = 0; g < QR_PPRF_GROUPS; g++) {
        const uint8_t g_be[2] = {0, (uint8_t)g};
        uint8_t node[256][16], next[256][16], wide[64], c[256][32], t[32] = {0}, s[32];
        const uint8_t *msg = base.msg + TREE * g;

        memcpy(node[0], &base.key_b[16 * g], 16);
        memcpy(node[1], &base.key_b[16 * g + 1], 16);
        for (uint8_t v = 1; v <= 7; v++) {
            uint8_t sum[2][16];
            for (unsigned side = 0; side < 2; side++)
                memcpy(sum[side], &base.key_b[2 * (8 * g + v) + side], 16);
            for (unsigned x = 0; x < 1u << v; x++) {
                uint8_t both[32];
                qr_th(QR_TAG_PPRF_G,
                      QR_FIELDS(QR_F(base.sid, 32), QR_F(g_be, 2), QR_F(&v, 1), QR_F(node[x], 16)),
                      both);
                memcpy(next[2 * x], both, 16);
                memcpy(next[2 * x + 1], both + 16, 16);
                for (unsigned i = 0; i < 32; i++)
                    sum[i / 16][i % 16] ^= both[i];
            }
            assert_memory_equal(msg + 32 * (v - 1), sum, 32);
            memcpy(node, next, sizeof node);
        }
        for (unsigned y = 0; y < 256; y++) {
            qr_tb(QR_TAG_PPRF_H, QR_FIELDS(QR_F(base.sid, 32), QR_F(g_be, 2), QR_F(node[y], 16)),
                  wide);
            memcpy(c[y], wide, 32);
            assert_memory_equal(&base.bob[g][y], wide + 32, 16);
            for (unsigned i = 0; i < 32; i++)
                t[i] ^= wide[i];
        }
        assert_memory_equal(msg + 224, t, 32);
        qr_th(QR_TAG_PPRF_T, QR_FIELDS(QR_F(base.sid, 32), QR_F(g_be, 2), QR_F(c, sizeof c)), s);
        assert_memory_equal(msg + 256, s, 32);
    }
}

/*
 * Each field of one tree with one bit flipped. Of a pair of corrections Alice uses the one on the
 * side she chose; a change of the other changes nothing for her, and must not be noticed either,
 * for she cannot know it.
 */
static void
test_each_field(void **state)
{
    uint8_t msg[QR_PPRF_LEN];
    struct qr_sec16 delta;

    (void)state;
    r = base;
    for (unsigned g = 0; g < QR_PPRF_GROUPS; g += 5) {
        for (unsigned field = 0; field < 16; field++) {
            /* Fields 0..13: corrections, left and right of levels 1..7; then t~, s~. */
            const unsigned at = field < 14 ? 16 * field : 224 + 32 * (field - 14);
            const unsigned side = field % 2, v = 1 + field / 2;
            const unsigned b = ((unsigned)base.choice.b[g] >> v) & 1u;
            const int used = field >= 14 || side == b;

            memcpy(msg, base.msg, sizeof msg);
            msg[TREE * g + at + qr_testrng_below(&rng, field < 14 ? 16 : 32)] ^=
                (uint8_t)(1u << qr_testrng_below(&rng, 8));
            memset(&r.delta, 0x5a, sizeof r.delta);
            delta = r.delta;
            if (used) {
                assert_int_equal(open_with(&r, msg), QR_ERR_SETUP);
                assert_memory_equal(&r.delta, &delta, sizeof delta);
            } else {
                assert_int_equal(open_with(&r, msg), QR_OK);
                expect_all_but_one(&r, base.delta.b);
            }
        }
    }
}

static void
test_wrong_key_or_sid(void **state)
{
    (void)state;
    for (unsigned j = 0; j < 8; j++) {
        r = base;
        r.key_a[8 * 3 + j].b[j] ^= 1;
        assert_int_equal(open_with(&r, base.msg), QR_ERR_SETUP);
    }
    r = base;
    r.sid[31] ^= 1;
    assert_int_equal(open_with(&r, base.msg), QR_ERR_SETUP);
    /* Trees of two groups swapped: the group is part of every hash. */
    uint8_t msg[QR_PPRF_LEN];
    r = base;
    memcpy(msg, base.msg, sizeof msg);
    memcpy(msg, base.msg + TREE, TREE);
    memcpy(msg + TREE, base.msg, TREE);
    assert_int_equal(open_with(&r, msg), QR_ERR_SETUP);
}

/* The same OT keys under another sid give unrelated trees. */
static void
test_sids_are_unrelated(void **state)
{
    (void)state;
    r = base;
    r.sid[0] ^= 0x80;
    qr_pprf_build(r.sid, r.key_b, &r.work, r.msg, r.bob);
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        for (size_t i = 0; i < QR_PPRF_LEAVES; i++)
            assert_memory_not_equal(&r.bob[g][i], &base.bob[g][i], 16);
    }
    for (size_t i = 0; i < QR_PPRF_LEN; i += 16)
        assert_memory_not_equal(r.msg + i, base.msg + i, 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index),        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_each_field),         cmocka_unit_test(test_wrong_key_or_sid),
        cmocka_unit_test(test_sids_are_unrelated),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
