/* The processor's generator: retries, exhaustion, and generators that do not run. */
#include "enclave-shim/cpurand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static uint64_t counter, seeds, rands;
static unsigned busy; /* answers of "nothing ready" before each word */
static unsigned waited;
static uint64_t fixed;
static uint64_t period;

static int
ready(uint64_t *ret)
{
    *ret = 0x1111111111111111u; /* what must not be taken */
    if (waited++ < busy) {
        return 0;
    }
    waited = 0;
    return 1;
}

static int
seed_ok(uint64_t *ret)
{
    seeds++;
    if (!ready(ret)) {
        return 0;
    }
    *ret = ++counter * UINT64_C(0x9e3779b97f4a7c15);
    return 1;
}

static int
rand_ok(uint64_t *ret)
{
    rands++;
    *ret = ++counter * UINT64_C(0xbf58476d1ce4e5b9);
    return 1;
}

static int
never(uint64_t *ret)
{
    seeds++;
    *ret = counter++;
    return 0;
}

static int
always_fixed(uint64_t *ret)
{
    *ret = fixed;
    return 1;
}

static int
repeats(uint64_t *ret)
{
    *ret = 1 + counter++ / period;
    return 1;
}

static void
start(void)
{
    counter = seeds = rands = 0;
    busy = waited = 0;
}

static void
sources(void **state)
{
    uint8_t a[61], zero[61] = {0};
    (void)state;

    start();
    const struct qr_cpurand_ops both = {seed_ok, rand_ok}, second = {NULL, rand_ok},
                                tired = {never, rand_ok}, none = {NULL, NULL},
                                dead = {never, never};
    assert_int_equal(qr_cpurand(&both, a, sizeof a), QR_OK);
    assert_int_equal(seeds, 8);
    assert_int_equal(rands, 0);
    assert_memory_not_equal(a, a + 8, 8);
    start();
    busy = 150; /* a busy generator is asked again */
    assert_int_equal(qr_cpurand(&both, a, 16), QR_OK);
    assert_int_equal(seeds, 302);
    assert_int_equal(rands, 0);
    start();
    assert_int_equal(qr_cpurand(&second, a, sizeof a), QR_OK);
    assert_int_equal(rands, 8);
    start();
    assert_int_equal(qr_cpurand(&tired, a, sizeof a), QR_OK); /* exhausted: the other one */
    assert_int_equal(rands, 8);
    memset(a, 0xff, sizeof a);
    assert_int_equal(qr_cpurand(&dead, a, sizeof a), QR_ERR_PLATFORM);
    assert_memory_equal(a, zero, sizeof a);
    memset(a, 0xff, sizeof a);
    assert_int_equal(qr_cpurand(&none, a, sizeof a), QR_ERR_NOT_FOUND);
    assert_memory_equal(a, zero, sizeof a);
}

static void
stuck(void **state)
{
    static const uint64_t bad[] = {0, UINT64_MAX, 0x1234567890abcdefu};
    const struct qr_cpurand_ops f = {NULL, always_fixed}, r = {NULL, repeats};
    uint8_t a[64], zero[64] = {0};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fixed = bad[i];
        memset(a, 0xff, sizeof a);
        assert_int_equal(qr_cpurand(&f, a, sizeof a), QR_ERR_PLATFORM);
        assert_memory_equal(a, zero, sizeof a);
    }
    start();
    period = 2; /* every word twice */
    assert_int_equal(qr_cpurand(&r, a, sizeof a), QR_ERR_PLATFORM);
    start();
    period = 1;
    assert_int_equal(qr_cpurand(&r, a, sizeof a), QR_OK);
}

/* This machine's own: whichever it is, it works or is absent. */
static void
here(void **state)
{
    uint8_t a[64], b[64];
    const struct qr_cpurand_ops *ops = qr_cpurand_ops();
    (void)state;

    qr_err e = qr_cpurand(ops, a, sizeof a);
    print_message("processor: %s\n", qr_cpurand_name());
    assert_int_equal(e, strcmp(qr_cpurand_name(), "none") == 0 ? QR_ERR_NOT_FOUND : QR_OK);
    if (e == QR_OK) {
        assert_int_equal(qr_cpurand(ops, b, sizeof b), QR_OK);
        assert_memory_not_equal(a, b, sizeof a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources),
        cmocka_unit_test(stuck),
        cmocka_unit_test(here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
