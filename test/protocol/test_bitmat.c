/* Transposition and fold against loops over single bits and blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/bitmat.h"
#include "test/common/testrng.h"

#include <string.h>

#define BLOCKS 3u

typedef void (*fold_fn)(uint8_t sum[static 144], const uint8_t add[static 144],
                        const uint8_t leaf[static 4096]);

static struct qr_testrng rng;

static int
setup(void **state)
{
    (void)state;
    qr_testrng_seed(&rng, "test_bitmat");
    return 0;
}

static unsigned
bit(const uint8_t *block, unsigned row, unsigned column)
{
    return ((unsigned)block[16 * row + column / 8] >> (column % 8)) & 1u;
}

static void
test_transpose(void **state)
{
    _Alignas(16) static uint8_t m[BLOCKS * QR_BITMAT_BLOCK];
    static uint8_t old[sizeof m];

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        qr_testrng_fill(&rng, m, sizeof m);
        memcpy(old, m, sizeof m);
        qr_bitmat_transpose(m, BLOCKS);
        for (unsigned b = 0; b < BLOCKS; b++) {
            const uint8_t *now = m + b * QR_BITMAT_BLOCK, *was = old + b * QR_BITMAT_BLOCK;
            for (unsigned i = 0; i < 128; i++) {
                for (unsigned j = 0; j < 128; j++)
                    assert_int_equal(bit(now, i, j), bit(was, j, i));
            }
        }
        qr_bitmat_transpose(m, BLOCKS);
        assert_memory_equal(m, old, sizeof m);
    }
    /* No blocks, nothing touched. */
    qr_bitmat_transpose(m, 0);
    assert_memory_equal(m, old, sizeof m);
}

static void
reference_fold(uint8_t sum[144], const uint8_t add[144], const uint8_t *leaf)
{
    memcpy(sum, add, 144);
    for (unsigned x = 0; x < 256; x++) {
        for (unsigned b = 0; b < 9; b++) {
            for (unsigned i = 0; (b == 8 || x >> b & 1u) && i < 16; i++)
                sum[16 * b + i] ^= leaf[16 * x + i];
        }
    }
}

static void
test_fold(void **state)
{
    static const fold_fn implementations[] = {qr_bitmat_fold, qr_bitmat_fold_portable};
    static uint8_t leaf[4096 + 1];
    uint8_t add[144], want[144], got[144];

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        const uint8_t *p = leaf + round % 2; /* unaligned every other time */
        qr_testrng_fill(&rng, leaf, sizeof leaf);
        qr_testrng_fill(&rng, add, sizeof add);
        reference_fold(want, add, p);
        for (size_t f = 0; f < 2; f++) {
            implementations[f](got, add, p);
            assert_memory_equal(got, want, sizeof want);
            memcpy(got, add, sizeof got);
            implementations[f](got, got, p);
            assert_memory_equal(got, want, sizeof want);
        }
    }
    /* One leaf at a time: each lands where its index says, and nowhere else. */
    memset(add, 0, sizeof add);
    for (unsigned x = 0; x < 256; x++) {
        memset(leaf, 0, sizeof leaf);
        leaf[16 * x + x % 16] = 0xa5;
        for (size_t f = 0; f < 2; f++) {
            implementations[f](got, add, leaf);
            for (unsigned b = 0; b < 9; b++)
                assert_int_equal(got[16 * b + x % 16], b == 8 || x >> b & 1u ? 0xa5 : 0);
        }
    }
}

static void
test_add_each(void **state)
{
    static uint8_t in[64 * 16 + 1], out[64 * 16 + 1];
    uint8_t c[16];

    (void)state;
    for (size_t n = 0; n <= 64; n += 8) {
        qr_testrng_fill(&rng, in, sizeof in);
        qr_testrng_fill(&rng, c, sizeof c);
        memset(out, 0x77, sizeof out);
        qr_bitmat_add_each(out, in + 1, c, n);
        for (size_t i = 0; i < 16 * n; i++)
            assert_int_equal(out[i], in[1 + i] ^ c[i % 16]);
        assert_int_equal(out[16 * n], 0x77);
        qr_bitmat_add_each(in + 1, in + 1, c, n);
        assert_memory_equal(in + 1, out, 16 * n);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_add_each),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
