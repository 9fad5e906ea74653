/* Secret types, wiping, and the two generators: the system's and the tests' seeded one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/rng.h"
#include "protocol/base/secret.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

static int
setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

static void
test_eq_sees_every_bit(void **state)
{
    uint8_t a[64], b[64];
    (void)state;
    memset(a, 0x33, sizeof a);
    for (size_t n = 0; n <= sizeof a; n++) {
        memcpy(b, a, sizeof a);
        assert_int_equal(qr_sec_eq(a, b, n), 1);
        for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
            b[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(qr_sec_eq(a, b, n), bit / 8 >= n);
            b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* A type whose wiping can be watched: it notes what the variable held when its scope ended. */
struct watched {
    uint8_t v;
};

static uint8_t wiped[4];
static size_t n_wiped;

static void
qr_wipe_watched(struct watched *p)
{
    wiped[n_wiped++] = p->v;
}

static int
leaves_early(int early)
{
    struct watched a QR_WIPE(watched) = {1};
    if (early) {
        return 1;
    }
    struct watched b QR_WIPE(watched) = {2};
    return a.v + b.v;
}

static void
test_scope_wipes(void **state)
{
    struct qr_sec32 s = {{1, 2, 3}};
    struct qr_sec16 t = {{1, 2, 3}};
    const uint8_t zero[32] = {0};

    (void)state;
    assert_int_equal(leaves_early(1), 1);
    assert_int_equal(n_wiped, 1);
    assert_int_equal(wiped[0], 1);
    assert_int_equal(leaves_early(0), 3);
    assert_int_equal(n_wiped, 3);
    assert_int_equal(wiped[1], 2);
    assert_int_equal(wiped[2], 1);
    assert_ptr_equal(qr_declassify_sec32(&s, "a test"), s.b);
    assert_int_equal(qr_declassify_bit(0, "a test"), 0);
    assert_int_equal(qr_declassify_bit(1, "a test"), 1);
    assert_int_equal(qr_declassify_bit(UINT64_C(1) << 63, "a test"), 1);
    qr_wipe_qr_sec32(&s);
    qr_wipe_qr_sec16(&t);
    assert_memory_equal(&s, zero, sizeof s);
    assert_memory_equal(&t, zero, sizeof t);
}

static void
test_system_rng(void **state)
{
    struct qr_rng r = qr_rng_system();
    uint8_t a[64], b[64] = {0};
    size_t same = 0;

    (void)state;
    memset(a, 0, sizeof a);
    qr_rng_fill(&r, a, sizeof a);
    qr_rng_fill(&r, b, sizeof b);
    for (size_t i = 0; i < sizeof a; i++) {
        same += a[i] == b[i];
    }
    assert_true(same < 16); /* 2^-80 for an honest generator */
    memset(a, 0x5a, sizeof a);
    qr_rng_fill(&r, a, 0);
    assert_int_equal(a[0], 0x5a);
}

/* The stream of testrng.h: the same bytes whatever the draws, from block 0, and seeds differ. */
static void
test_seeded_rng(void **state)
{
    static uint8_t whole[5000], parts[5000];
    struct qr_testrng t, u;
    struct qr_rng r;

    (void)state;
    qr_testrng_seed(&t, "seed");
    qr_testrng_fill(&t, whole, sizeof whole);
    for (size_t step = 1; step <= 200; step++) {
        qr_testrng_seed(&t, "seed");
        r = qr_testrng_rng(&t);
        for (size_t at = 0; at < sizeof parts; at += step) {
            size_t n = step < sizeof parts - at ? step : sizeof parts - at;
            qr_rng_fill(&r, parts + at, n);
        }
        assert_memory_equal(parts, whole, sizeof whole);
        assert_int_equal(t.offset, sizeof whole);
    }
    /* Python: ChaCha20 of RFC 8439 with key SHA-256("seed"), nonce 0, counter 0. */
    uint8_t key[32], nonce[12] = {0}, want[128];
    hex_bytes("19b25856e1c150ca834cffc8b59b23adbd0ec0389e58eb22b3b64768098d002b", key, 32);
    assert_int_equal(crypto_stream_chacha20_ietf(want, sizeof want, nonce, key), 0);
    assert_memory_equal(whole, want, sizeof want);

    qr_testrng_seed(&t, "seed");
    qr_testrng_seed(&u, "seed2");
    assert_true(qr_testrng_u64(&t) != qr_testrng_u64(&u));
    assert_true(qr_testrng_u64(&t) == qr_get64(whole + 8));
    for (int i = 0; i < 1000; i++) {
        assert_true(qr_testrng_below(&t, 7) < 7);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eq_sees_every_bit),
        cmocka_unit_test(test_scope_wipes),
        cmocka_unit_test(test_system_rng),
        cmocka_unit_test(test_seeded_rng),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
