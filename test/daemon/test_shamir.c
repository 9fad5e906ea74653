/*
 * Shamir's sharing by vectors of test/model/sharing.py, which computes it another way, and by its
 * algebra: any need pieces give the secret, one less fits every secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon/shamir.h"
#include "protocol/base/hash.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

static struct qr_rng rng;

static const struct {
    unsigned need, n;
    const char *secret;
    struct {
        uint16_t x;
        const char *y;
    } at[3];
} known[] = {
    {1,
     2,
     "6102e9c1a2b61e03a91195d5b3479dbd8c1af3e4212d9aef0d08723ece597411",
     {{1, "6102e9c1a2b61e03a91195d5b3479dbd8c1af3e4212d9aef0d08723ece597411"},
      {16, "6102e9c1a2b61e03a91195d5b3479dbd8c1af3e4212d9aef0d08723ece597411"}}},
    {2,
     3,
     "b355d9c7373e81f8046c8de4332ec3a82bd3a50e5a5e2c0487d4bc276ebb8aa0",
     {{1, "cff2081e718caec7f165ea5f0f6bfe0b438f4452b8b75c4dac0902fd62af6b29"},
      {2, "4b00606ebb41df86f57e43894ba4b9f5fb6b7cb68597cc96d175db88769353a9"},
      {3, "37a7b1b7fdf3f0b90077243277e1845693379dea677ebcdffaa865527a87b220"}}},
    {3,
     3,
     "0482b4a8561f79ded465c744fc01ac888afea48160581985f6ea2c7d3cbd9aa6",
     {{1, "bf3d873e91e14713657a2a17ce282a650d117b993c04c41b71cb22fc3f1a540d"},
      {5, "1b06d5f4b455e04655ff78a17ea13b8391f24adaa01fd3e1fb719fd9ee008a6e"},
      {16, "03e7c40399b3543d804e9038cbf5358c593e3a90cf75c9f506f966822a20cb38"}}},
    {15,
     3,
     "4e48edd81e22f3d346e468fa084691a17c334683a5a3e93ed63c0207e487307d",
     {{1, "645d8cacffa9df8589353b61aafb9e97bc5bffdee77ea3447e426f9819f594e0"},
      {8, "615c0909d76de21b5dea3009050cc1257320863e97c8ac43488da945966971ba"},
      {16, "69c6eb3e7d262768a9535e22599e25f80f3db5ee71ffddf0f01ef61efdca8126"}}},
};

/* The model's polynomial by its coefficients: SHA-256("shamir NEED/i"). */
static void
coefficients(unsigned need, uint8_t c[QR_SHAMIR_NEED_MAX][32])
{
    for (unsigned i = 0; i < need; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "shamir %u/%u", need, i);
        qr_sha256(qr_view_str(text), c[i]);
    }
}

/* Of AES's field, a bit at a time from the other end than the product does. */
static uint8_t
times(uint8_t a, uint8_t b)
{
    unsigned r = 0;
    for (int i = 7; i >= 0; i--) {
        r <<= 1;
        r ^= r & 0x100 ? 0x11b : 0;
        r ^= b >> i & 1 ? a : 0;
    }
    return (uint8_t)r;
}

static void
horner(unsigned need, uint8_t c[QR_SHAMIR_NEED_MAX][32], uint16_t x, uint8_t out[32])
{
    for (size_t k = 0; k < 32; k++) {
        uint8_t y = 0;
        for (unsigned i = need; i-- > 0;) {
            y = (uint8_t)(times(y, (uint8_t)x) ^ c[i][k]);
        }
        out[k] = y;
    }
}

static void
test_vectors(void **state)
{
    struct qr_shamir_point p[QR_SHAMIR_NEED_MAX];
    uint8_t c[QR_SHAMIR_NEED_MAX][32];
    struct qr_sec32 y;
    size_t n = 0;

    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        coefficients(known[k].need, c);
        expect_hex(c[0], 32, known[k].secret);
        for (unsigned i = 0; i < known[k].need; i++) { /* as the points 0, 2, 3, 4, … */
            p[i].x = (uint16_t)(i ? i + 1 : 0);
            horner(known[k].need, c, p[i].x, p[i].y.b);
        }
        for (size_t i = 0; i < known[k].n; i++, n++) {
            assert_int_equal(qr_shamir_at(p, known[k].need, known[k].at[i].x, &y), QR_OK);
            expect_hex(y.b, 32, known[k].at[i].y);
        }
        assert_int_equal(qr_shamir_at(p, known[k].need, 0, &y), QR_OK);
        expect_hex(y.b, 32, known[k].secret);
    }
    vectors_ran("shamir", n);
}

/* Every threshold, random subsets in random order, the secret and every other piece. */
static void
test_any_need_of_them(void **state)
{
    struct qr_shamir_point drawn[QR_SHAMIR_NEED_MAX], some[QR_SHAMIR_NEED_MAX];
    struct qr_sec32 piece[QR_MAX_PARTIES + 1], y;

    (void)state;
    for (unsigned need = 1; need <= QR_SHAMIR_NEED_MAX; need++) {
        assert_int_equal(qr_shamir_draw(&rng, need, drawn), QR_OK);
        for (uint16_t x = 0; x <= QR_MAX_PARTIES; x++) {
            assert_int_equal(qr_shamir_at(drawn, need, x, &piece[x]), QR_OK);
        }
        for (unsigned round = 0; round < 8; round++) {
            uint8_t order[QR_MAX_PARTIES], r[QR_MAX_PARTIES];
            qr_rng_fill(&rng, r, sizeof r);
            for (uint8_t i = 0; i < QR_MAX_PARTIES; i++) {
                uint8_t j = r[i] % (uint8_t)(i + 1);
                order[i] = order[j];
                order[j] = (uint8_t)(i + 1);
            }
            for (unsigned i = 0; i < need; i++) {
                some[i].x = order[i];
                some[i].y = piece[order[i]];
            }
            for (uint16_t x = 0; x <= QR_MAX_PARTIES; x++) {
                assert_int_equal(qr_shamir_at(some, need, x, &y), QR_OK);
                assert_memory_equal(y.b, piece[x].b, 32);
            }
            some[0].y.b[31] ^= 1; /* a wrong one gives another secret */
            assert_int_equal(qr_shamir_at(some, need, 0, &y), QR_OK);
            assert_memory_not_equal(y.b, piece[0].b, 32);
        }
    }
}

/* With need - 1 pieces each secret is as possible as any other: one fits every choice of it. */
static void
test_fewer_say_nothing(void **state)
{
    struct qr_shamir_point drawn[QR_SHAMIR_NEED_MAX], guess[QR_SHAMIR_NEED_MAX];
    struct qr_sec32 y;

    (void)state;
    for (unsigned need = 2; need <= QR_SHAMIR_NEED_MAX; need++) {
        assert_int_equal(qr_shamir_draw(&rng, need, drawn), QR_OK);
        for (unsigned i = 1; i < need; i++) {
            guess[i].x = (uint16_t)i;
            assert_int_equal(qr_shamir_at(drawn, need, guess[i].x, &guess[i].y), QR_OK);
        }
        guess[0].x = 0;
        qr_rng_fill(&rng, guess[0].y.b, 32);
        for (unsigned i = 1; i < need; i++) {
            assert_int_equal(qr_shamir_at(guess, need, (uint16_t)i, &y), QR_OK);
            assert_memory_equal(y.b, guess[i].y.b, 32);
        }
        /* and the pieces differ from the secret, which for need = 1 they are */
        assert_memory_not_equal(guess[1].y.b, drawn[0].y.b, 32);
    }
}

static void
test_bounds(void **state)
{
    struct qr_shamir_point p[QR_MAX_PARTIES + 1] = {{.x = 1}, {.x = 2}, {.x = 3}};
    struct qr_sec32 y, before;

    (void)state;
    memset(y.b, 0xa5, 32);
    before = y;
    for (uint16_t i = 0; i <= QR_MAX_PARTIES; i++) {
        p[i].x = i;
    }
    assert_int_equal(qr_shamir_at(p, 0, 0, &y), QR_ERR_SET);
    assert_int_equal(qr_shamir_at(p, QR_SHAMIR_NEED_MAX + 1, 0, &y), QR_ERR_SET);
    assert_int_equal(qr_shamir_at(p, 2, QR_MAX_PARTIES + 1, &y), QR_ERR_SET);
    p[1].x = 0;
    assert_int_equal(qr_shamir_at(p, 2, 1, &y), QR_ERR_SET);
    p[1].x = QR_MAX_PARTIES + 1;
    assert_int_equal(qr_shamir_at(p, 2, 1, &y), QR_ERR_SET);
    assert_memory_equal(y.b, before.b, 32);
    assert_int_equal(qr_shamir_draw(&rng, 0, p), QR_ERR_SET);
    assert_int_equal(qr_shamir_draw(&rng, QR_SHAMIR_NEED_MAX + 1, p), QR_ERR_SET);
    assert_int_equal(qr_shamir_at(p, 1, 16, &y), QR_OK);
}

static int
set_up(void **state)
{
    static struct qr_testrng t;

    (void)state;
    qr_testrng_seed(&t, "shamir");
    rng = qr_testrng_rng(&t);
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_any_need_of_them),
        cmocka_unit_test(test_fewer_say_nothing),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
