/*
 * Base OTs: what both sides learn, what neither must, and every malformed point.
 *
 * The reference below is written from SPEC.md section 3 and replays Alice's draws from a second
 * copy of her generator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base_ot.h"
#include "test/common/testrng.h"

#include <sodium.h>
#include <string.h>

struct run {
    uint8_t sid[32];
    struct qr_base_ot alice;
    uint8_t ot1[QR_OT1_LEN], ot2[QR_OT2_LEN];
    struct qr_sec16 key_a[QR_OT_COUNT], key_b[2 * QR_OT_COUNT];
};

static struct run base; /* one good run, made once; tests copy what they change */
static const char *const alice_seed = "test_base_ot alice";
static const char *const bob_seed = "test_base_ot bob";

static unsigned
choice(const struct qr_base_ot *a, size_t j)
{
    return ((unsigned)a->choice.b[j / 8] >> (j % 8)) & 1u;
}

static void
request(struct run *r, const char *seed)
{
    struct qr_testrng t;
    struct qr_rng rng = qr_testrng_rng(&t);
    qr_testrng_seed(&t, seed);
    assert_int_equal(qr_base_ot_request(r->sid, &rng, &r->alice, r->ot1), QR_OK);
}

static qr_err
answer(struct run *r, const uint8_t *ot1, const char *seed)
{
    struct qr_testrng t;
    struct qr_rng rng = qr_testrng_rng(&t);
    qr_testrng_seed(&t, seed);
    return qr_base_ot_answer(r->sid, ot1, &rng, r->ot2, r->key_b);
}

static qr_err
finish(struct run *r, const uint8_t *ot2)
{
    return qr_base_ot_finish(&r->alice, r->sid, r->ot1, ot2, r->key_a);
}

static int
setup(void **state)
{
    (void)state;
    if (sodium_init() < 0 || qr_hash_init() != QR_OK)
        return -1;
    memset(base.sid, 0x51, sizeof base.sid);
    request(&base, alice_seed);
    assert_int_equal(answer(&base, base.ot1, bob_seed), QR_OK);
    assert_int_equal(finish(&base, base.ot2), QR_OK);
    return 0;
}

/* H_c(j, P); also the hash it starts from. */
static void
reference_h(uint8_t ret[32], uint8_t wide[64], const uint8_t sid[32], size_t j, uint8_t c,
            const uint8_t p[32])
{
    const uint8_t j_be[2] = {(uint8_t)(j >> 8), (uint8_t)j};
    qr_tb(QR_TAG_EOT_H, QR_FIELDS(QR_F(sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(p, 32)), wide);
    crypto_core_ristretto255_from_hash(ret, wide);
}

static void
test_alice_learns_one_key(void **state)
{
    unsigned ones = 0;

    (void)state;
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        const unsigned b = choice(&base.alice, j);
        ones += b;
        assert_memory_equal(&base.key_a[j], &base.key_b[2 * j + b], 16);
        assert_memory_not_equal(&base.key_a[j], &base.key_b[2 * j + 1 - b], 16);
        for (size_t i = 0; i < j; i++) {
            assert_memory_not_equal(&base.key_a[j], &base.key_a[i], 16);
            assert_memory_not_equal(&base.key_b[2 * j], &base.key_b[2 * i], 16);
            assert_memory_not_equal(&base.key_b[2 * j + 1], &base.key_b[2 * i + 1], 16);
        }
    }
    assert_in_range(ones, 32, 96); /* both kinds of bit were tried */
}

/* OT1, OT2 and the keys are what the specification says, draw for draw. */
static void
test_reference(void **state)
{
    struct qr_testrng ta, tb;
    uint8_t bits[16];

    (void)state;
    qr_testrng_seed(&ta, alice_seed);
    qr_testrng_seed(&tb, bob_seed);
    qr_testrng_fill(&ta, bits, 16);
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        const uint8_t *p[2] = {base.ot1 + 64 * j, base.ot1 + 64 * j + 32};
        const uint8_t j_be[2] = {(uint8_t)(j >> 8), (uint8_t)j};
        uint8_t wide[64], t[32], w[64], h[32], x[32], m[32], y[32], k[32];
        const uint8_t b = (uint8_t)((bits[j / 8] >> (j % 8)) & 1);

        qr_testrng_fill(&ta, wide, 64);
        crypto_core_ristretto255_scalar_reduce(t, wide);
        qr_testrng_fill(&ta, w, 64);
        crypto_core_ristretto255_from_hash(x, w);
        assert_memory_equal(p[1 - b], x, 32);
        /* P_b + H_b(P_{1-b}) = t*B0, by addition in the group. */
        reference_h(h, wide, base.sid, j, b, p[1 - b]);
        assert_int_equal(crypto_core_ristretto255_add(m, p[b], h), 0);
        assert_int_equal(crypto_scalarmult_ristretto255_base(x, t), 0);
        assert_memory_equal(m, x, 32);

        for (uint8_t c = 0; c < 2; c++) {
            qr_testrng_fill(&tb, wide, 64);
            crypto_core_ristretto255_scalar_reduce(y, wide);
            assert_int_equal(crypto_scalarmult_ristretto255_base(x, y), 0);
            assert_memory_equal(base.ot2 + 64 * j + 32 * c, x, 32);
            reference_h(h, wide, base.sid, j, c, p[1 - c]);
            assert_int_equal(crypto_core_ristretto255_add(m, p[c], h), 0);
            assert_int_equal(crypto_scalarmult_ristretto255(m, y, m), 0);
            qr_th(QR_TAG_EOT_K,
                  QR_FIELDS(QR_F(base.sid, 32), QR_F(j_be, 2), QR_F(&c, 1), QR_F(p[0], 32),
                            QR_F(p[1], 32), QR_F(x, 32), QR_F(m, 32)),
                  k);
            assert_memory_equal(&base.key_b[2 * j + c], k, 16);
        }
    }
}

/*
 * What Bob sees must not depend on the choice bits. 2,048 instances: every bit of both points is
 * compared with b (512 counts, mean 1,024, standard deviation 22.6), and so is the order of the
 * points. Both points are always valid, so membership tells nothing either: an addition read as an
 * xor would be found here.
 */
static void
attack_01_points_hide_the_choice(void **state)
{
    static struct run r;
    static unsigned agree[512];
    unsigned order = 0, n = 0;
    char seed[] = "distinguisher 0";

    (void)state;
    for (char i = 0; i < 16; i++) {
        seed[sizeof seed - 2] = (char)('a' + i);
        request(&r, seed);
        for (size_t j = 0; j < QR_OT_COUNT; j++, n++) {
            const uint8_t *p = r.ot1 + 64 * j;
            const unsigned b = choice(&r.alice, j);
            for (size_t k = 0; k < 512; k++)
                agree[k] += (((unsigned)p[k / 8] >> (k % 8)) & 1u) == b;
            order += (memcmp(p, p + 32, 32) < 0) == (b == 1);
            assert_int_equal(crypto_core_ristretto255_is_valid_point(p), 1);
            assert_int_equal(crypto_core_ristretto255_is_valid_point(p + 32), 1);
        }
    }
    assert_int_equal(n, 2048);
    for (size_t k = 0; k < 512; k++) {
        /* Canonical encodings are even and below 2^255: bits 0 and 255 are always 0. */
        if (k % 256 != 0 && k % 256 != 255)
            assert_in_range(agree[k], 1024 - 113, 1024 + 113);
    }
    assert_in_range(order, 1024 - 113, 1024 + 113);
}

/*
 * The discrete logarithm of M_c is known to Alice for c = b alone, and no point that must be random
 * is a hash times the base point.
 */
static void
attack_02_no_known_logarithm(void **state)
{
    struct qr_testrng ta;
    uint8_t bits[16];

    (void)state;
    qr_testrng_seed(&ta, alice_seed);
    qr_testrng_fill(&ta, bits, 16);
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        const uint8_t *p[2] = {base.ot1 + 64 * j, base.ot1 + 64 * j + 32};
        const uint8_t b = (uint8_t)choice(&base.alice, j);
        uint8_t wide[64], w[64], s[32], x[32], h[32], m[32];

        qr_testrng_fill(&ta, wide, 64);
        qr_testrng_fill(&ta, w, 64);
        crypto_core_ristretto255_scalar_reduce(s, w);
        assert_int_equal(crypto_scalarmult_ristretto255_base(x, s), 0);
        assert_memory_not_equal(p[1 - b], x, 32);
        assert_int_equal(crypto_scalarmult_ristretto255_base(x, base.alice.t[j].b), 0);
        for (uint8_t c = 0; c < 2; c++) {
            assert_memory_not_equal(p[c], x, 32);
            reference_h(h, wide, base.sid, j, c, p[1 - c]);
            assert_int_equal(crypto_core_ristretto255_add(m, p[c], h), 0);
            assert_int_equal(memcmp(m, x, 32) == 0, c == b);
            crypto_core_ristretto255_scalar_reduce(s, wide);
            assert_int_equal(crypto_scalarmult_ristretto255_base(m, s), 0);
            assert_memory_not_equal(h, m, 32);
        }
    }
}

/* Another sid, the same draws: only the unhashed random points stay. */
static void
attack_10_set_up_sids_are_unrelated(void **state)
{
    static struct run r;

    (void)state;
    memset(r.sid, 0x52, sizeof r.sid);
    request(&r, alice_seed);
    assert_int_equal(answer(&r, r.ot1, bob_seed), QR_OK);
    assert_int_equal(finish(&r, r.ot2), QR_OK);
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        const unsigned b = choice(&r.alice, j);
        assert_memory_not_equal(r.ot1 + 64 * j + 32 * b, base.ot1 + 64 * j + 32 * b, 32);
        assert_memory_equal(&r.key_a[j], &r.key_b[2 * j + b], 16);
        assert_memory_not_equal(&r.key_a[j], &base.key_a[j], 16);
        assert_memory_not_equal(&r.key_b[2 * j], &base.key_b[2 * j], 16);
        assert_memory_not_equal(&r.key_b[2 * j + 1], &base.key_b[2 * j + 1], 16);
    }
    /* A run whose sides disagree about the sid gives unrelated keys, not an error. */
    assert_int_equal(finish(&r, base.ot2), QR_OK);
    for (size_t j = 0; j < QR_OT_COUNT; j++) {
        assert_memory_not_equal(&r.key_a[j], &base.key_b[2 * j], 16);
        assert_memory_not_equal(&r.key_a[j], &base.key_b[2 * j + 1], 16);
    }
}

/* Every kind of string that RFC 9496 tells a decoder to refuse. */
static size_t
bad_encodings(uint8_t (*out)[32])
{
    uint8_t one_more[32], good[32];
    size_t n = 0;

    memset(out[n++], 0xff, 32); /* top bit */
    memset(out[n], 0xff, 32);   /* 2^255 - 1, above p */
    out[n++][31] = 0x7f;
    memset(out[n], 0xff, 32); /* p itself: zero, but not canonical */
    out[n][0] = 0xed;
    out[n++][31] = 0x7f;
    memset(out[n], 0, 32); /* 1: odd, that is negative */
    out[n++][0] = 1;
    /* A good point's field element negated: p - s, odd. */
    memcpy(good, base.ot1, 32);
    for (unsigned i = 0, borrow = 0; i < 32; i++) {
        unsigned p = i == 0 ? 0xed : i == 31 ? 0x7f : 0xff;
        unsigned d = p - good[i] - borrow;
        out[n][i] = (uint8_t)d;
        borrow = d >> 31;
    }
    n++;
    /* Even and below p, but not the encoding of any point: the next such after a good one. */
    memcpy(one_more, good, 32);
    do {
        one_more[1]++;
    } while (crypto_core_ristretto255_is_valid_point(one_more));
    memcpy(out[n++], one_more, 32);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(crypto_core_ristretto255_is_valid_point(out[i]), 0);
    return n;
}

static void
attack_01_bad_encodings(void **state)
{
    static struct run r;
    static const size_t at[] = {0, 1, 77, 254, 255}; /* of 256 points */
    uint8_t bad[8][32], msg[QR_OT1_LEN];
    size_t n = bad_encodings(bad);

    (void)state;
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
            r = base;
            memcpy(msg, base.ot1, sizeof msg);
            memcpy(msg + 32 * at[k], bad[i], 32);
            /* The cheap positions suffice for all kinds; the last ones are slow to reach. */
            if (at[k] < 2 || i == 0)
                assert_int_equal(answer(&r, msg, bob_seed), QR_ERR_SETUP);
            memcpy(msg, base.ot2, sizeof msg);
            memcpy(msg + 32 * at[k], bad[i], 32);
            if (at[k] == 77 || i == 0)
                assert_int_equal(finish(&r, msg), QR_ERR_SETUP);
        }
    }
}

/* A good point with bit 255 set, which libsodium 1.0.18 takes for the point itself. */
static void
test_an_encoding_with_its_top_bit_set(void **state)
{
    static struct run r;
    static const size_t at[] = {0, 1, 77, 254, 255}; /* of 256 points */
    uint8_t msg[QR_OT1_LEN];

    (void)state;
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
        r = base;
        memcpy(msg, base.ot1, sizeof msg);
        msg[32 * at[k] + 31] ^= 0x80;
        assert_int_equal(answer(&r, msg, bob_seed), QR_ERR_SETUP);
        memcpy(msg, base.ot2, sizeof msg);
        msg[32 * at[k] + 31] ^= 0x80;
        assert_int_equal(finish(&r, msg), QR_ERR_SETUP);
    }
}

/*
 * Selective failure: Bob spoils one of the two points of an instance, in any way that Alice might
 * notice only if she uses it. Her verdict is the same whichever it is.
 */
static void
attack_03_set_up_verdict_hides_the_choice(void **state)
{
    static struct run r;
    uint8_t bad[8][32], msg[QR_OT2_LEN];
    size_t n = bad_encodings(bad);

    (void)state;
    r = base;
    memset(bad[n++], 0, 32); /* the identity: a valid encoding */
    assert_int_equal(crypto_core_ristretto255_is_valid_point(bad[n - 1]), 1);
    for (size_t i = 0; i < n; i++) {
        for (unsigned c = 0; c < 2; c++) {
            const size_t j = 5 + i;
            memcpy(msg, base.ot2, sizeof msg);
            memcpy(msg + 64 * j + 32 * c, bad[i], 32);
            assert_int_equal(finish(&r, msg), QR_ERR_SETUP);
        }
    }
}

/* Alice can make M_c the identity; Bob must not use it. */
static void
test_identity_product(void **state)
{
    static struct run r;
    uint8_t msg[QR_OT1_LEN], h[32], wide[64];
    const uint8_t zero[32] = {0};

    (void)state;
    r = base;
    for (uint8_t c = 0; c < 2; c++) {
        const size_t j = 3;
        memcpy(msg, base.ot1, sizeof msg);
        reference_h(h, wide, base.sid, j, c, msg + 64 * j + 32 * (1 - c));
        assert_int_equal(crypto_core_ristretto255_sub(msg + 64 * j + 32 * c, zero, h), 0);
        assert_int_equal(answer(&r, msg, bob_seed), QR_ERR_SETUP);
    }
}

static void
fill_zero(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, 0, n);
}

/* A generator that is stuck gives an error and not keys. */
static void
test_zero_scalars(void **state)
{
    static struct run r;
    const struct qr_rng stuck = {NULL, fill_zero};

    (void)state;
    r = base;
    assert_int_equal(qr_base_ot_request(r.sid, &stuck, &r.alice, r.ot1), QR_ERR_SETUP);
    /* Not written on failure. */
    assert_memory_equal(&r.alice, &base.alice, sizeof r.alice);
    assert_int_equal(qr_base_ot_answer(r.sid, base.ot1, &stuck, r.ot2, r.key_b), QR_ERR_SETUP);
}

/* Any change of either message that is still well formed changes the keys it belongs to. */
static void
test_keys_bind_both_messages(void **state)
{
    static struct run r;
    uint8_t msg[QR_OT2_LEN];

    (void)state;
    r = base;
    memcpy(msg, base.ot2, sizeof msg);
    memcpy(msg, base.ot2 + 64 * 9, 64); /* instance 0 gets the points of instance 9 */
    assert_int_equal(finish(&r, msg), QR_OK);
    assert_memory_not_equal(&r.key_a[0], &base.key_a[0], 16);
    assert_memory_equal(&r.key_a[1], &base.key_a[1], sizeof r.key_a - 16);
    memcpy(msg, base.ot1, sizeof msg);
    memcpy(msg, base.ot1 + 32, 32); /* P_0 and P_1 swapped */
    memcpy(msg + 32, base.ot1, 32);
    assert_int_equal(answer(&r, msg, bob_seed), QR_OK);
    for (unsigned c = 0; c < 2; c++) {
        assert_memory_not_equal(&r.key_b[c], &base.key_b[0], 16);
        assert_memory_not_equal(&r.key_b[c], &base.key_b[1], 16);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alice_learns_one_key),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(attack_01_points_hide_the_choice),
        cmocka_unit_test(attack_02_no_known_logarithm),
        cmocka_unit_test(attack_10_set_up_sids_are_unrelated),
        cmocka_unit_test(attack_01_bad_encodings),
        cmocka_unit_test(test_an_encoding_with_its_top_bit_set),
        cmocka_unit_test(attack_03_set_up_verdict_hides_the_choice),
        cmocka_unit_test(test_identity_product),
        cmocka_unit_test(test_zero_scalars),
        cmocka_unit_test(test_keys_bind_both_messages),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
