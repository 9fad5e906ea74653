/*
 * The generator's three sources, system, platform and processor: whichever of them are constant, or
 * known to an attacker, what the others give makes the output another one. And the boot nonce is
 * drawn from it.
 */
#include "enclave-shim/tee.h"

#include "enclave-shim/cpurand.h"
#include "protocol/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

/* Each source gives one byte over and over; the processor may have none. */
static uint8_t system_byte, platform_byte, cpu_byte;
static int cpu_there;

static const char *
name(void)
{
    return "constant";
}

static uint32_t
system_random(void)
{
    return system_byte;
}

static void
system_fill(void *const out, const size_t n)
{
    memset(out, system_byte, n);
}

static void
platform_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, platform_byte, n);
}

qr_err __wrap_qr_cpurand(const struct qr_cpurand_ops *ops, uint8_t *out, size_t n);

qr_err
__wrap_qr_cpurand(const struct qr_cpurand_ops *ops, uint8_t *out, size_t n)
{
    (void)ops;
    memset(out, cpu_there ? cpu_byte : 0, n);
    return cpu_there ? QR_OK : QR_ERR_NOT_FOUND;
}

/* Two draws of a new generator. */
static void
draw(uint8_t s, uint8_t p, uint8_t c, int there, uint8_t out[static 128])
{
    struct qr_tee t = {.random = platform_fill};

    system_byte = s;
    platform_byte = p;
    cpu_byte = c;
    cpu_there = there;
    struct qr_rng r = qr_tee_rng(&t);
    qr_rng_fill(&r, out, 64);
    qr_rng_fill(&r, out + 64, 64);
    qr_tee_close(&t);
}

/* Nobody who knows two of the sources knows the output, and no constant shows through. */
static void
each_source_counts(void **state)
{
    static const struct {
        uint8_t s, p, c;
        int there;
    } one[] = {
        {0, 0, 0, 0}, /* all dead, no generator in the processor */
        {0, 0, 0, 1}, /* constant, as if it had */
        {1, 0, 0, 1}, /* the system differs */
        {0, 1, 0, 1}, /* the platform */
        {0, 0, 1, 1}, /* the processor */
        {0xff, 0, 0, 1}, {0, 0xff, 0, 1}, {0, 0, 0xff, 1}, {1, 1, 1, 1}, {0xff, 0xff, 0xff, 1},
    };
    uint8_t out[sizeof one / sizeof one[0]][128];
    (void)state;

    for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
        draw(one[i].s, one[i].p, one[i].c, one[i].there, out[i]);
        assert_memory_not_equal(out[i], out[i] + 64, 64); /* it moves on */
        for (size_t k = 0; k < 120; k++) {                /* no run of one byte */
            assert_false(memcmp(out[i] + k, out[i] + k + 1, 7) == 0);
        }
        for (size_t j = 0; j < i; j++) {
            /* with zeros, "not there" and "there" are the same by construction */
            if (i == 1 && j == 0) {
                continue;
            }
            assert_memory_not_equal(out[i], out[j], 64);
            assert_memory_not_equal(out[i] + 64, out[j] + 64, 64);
        }
    }
}

/* Sources do not trade places: the same bytes from another one are another key. */
static void
sources_do_not_mix_up(void **state)
{
    uint8_t a[128], b[128], c[128];
    (void)state;

    /* the system's own byte is xored on top, so it stays the same here */
    draw(5, 7, 9, 1, a);
    draw(5, 9, 7, 1, b);
    draw(5, 7, 9, 0, c);
    assert_memory_not_equal(a, b, 128);
    assert_memory_not_equal(a, c, 128);
}

/*
 * Two machines from one snapshot: the same state, the same system and platform. Until the next reseed
 * they draw alike; from then on the processor tells them apart.
 */
static void
snapshot(void **state)
{
    struct qr_tee t[2] = {{.random = platform_fill}, {.random = platform_fill}};
    uint8_t a[64], b[64], big[QR_TEE_RESEED];
    (void)state;

    system_byte = platform_byte = 1;
    cpu_there = 1;
    cpu_byte = 1;
    struct qr_rng r[2] = {qr_tee_rng(&t[0]), qr_tee_rng(&t[1])};
    qr_rng_fill(&r[0], a, 64);
    qr_rng_fill(&r[1], b, 64);
    assert_memory_equal(a, b, 64); /* the test's premise */
    cpu_byte = 2;
    qr_rng_fill(&r[0], big, sizeof big);
    cpu_byte = 3;
    qr_rng_fill(&r[1], big, sizeof big);
    qr_rng_fill(&r[0], a, 64);
    qr_rng_fill(&r[1], b, 64);
    assert_memory_not_equal(a, b, 64);
    qr_tee_close(&t[0]);
    qr_tee_close(&t[1]);
}

int
main(void)
{
    static randombytes_implementation constant = {
        .implementation_name = name, .random = system_random, .buf = system_fill};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_counts),
        cmocka_unit_test(sources_do_not_mix_up),
        cmocka_unit_test(snapshot),
    };
    if (qr_hash_init() != QR_OK || randombytes_set_implementation(&constant) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
