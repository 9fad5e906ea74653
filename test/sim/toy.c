/*
 * A group that costs nothing in place of ristretto255: the integers modulo its order, with 1 for the
 * base point. Base OTs work in it as in the real one, in a hundredth of the time, and hide nothing.
 *
 * Pair set-up is 50 ms of ristretto255, and a life of restarts sets pairs up dozens of times. What is
 * tested here is when messages come, not what they hide; one seed in 32 runs the real group.
 */
#include "test/sim/sim.h"

#include <sodium.h>

#define REAL(name, args)                                                                           \
    int __real_##name args;                                                                        \
    int __wrap_##name args;                                                                        \
    int __wrap_##name args

static int
real(void)
{
    return sim.plan->seed % 32 == 0;
}

REAL(crypto_core_ristretto255_is_valid_point, (const unsigned char *p))
{
    unsigned char r[32], wide[64] = {0};
    if (real()) {
        return __real_crypto_core_ristretto255_is_valid_point(p);
    }
    memcpy(wide, p, 32);
    crypto_core_ristretto255_scalar_reduce(r, wide);
    return memcmp(r, p, 32) == 0 && !sodium_is_zero(p, 32);
}

REAL(crypto_core_ristretto255_add,
     (unsigned char *r, const unsigned char *p, const unsigned char *q))
{
    if (real()) {
        return __real_crypto_core_ristretto255_add(r, p, q);
    }
    crypto_core_ristretto255_scalar_add(r, p, q);
    return 0;
}

REAL(crypto_core_ristretto255_sub,
     (unsigned char *r, const unsigned char *p, const unsigned char *q))
{
    if (real()) {
        return __real_crypto_core_ristretto255_sub(r, p, q);
    }
    crypto_core_ristretto255_scalar_sub(r, p, q);
    return 0;
}

REAL(crypto_core_ristretto255_from_hash, (unsigned char *p, const unsigned char *h))
{
    if (real()) {
        return __real_crypto_core_ristretto255_from_hash(p, h);
    }
    crypto_core_ristretto255_scalar_reduce(p, h);
    return 0;
}

REAL(crypto_scalarmult_ristretto255,
     (unsigned char *q, const unsigned char *n, const unsigned char *p))
{
    if (real()) {
        return __real_crypto_scalarmult_ristretto255(q, n, p);
    }
    crypto_core_ristretto255_scalar_mul(q, n, p);
    return sodium_is_zero(q, 32) ? -1 : 0;
}

REAL(crypto_scalarmult_ristretto255_base, (unsigned char *q, const unsigned char *n))
{
    unsigned char wide[64] = {0};
    if (real()) {
        return __real_crypto_scalarmult_ristretto255_base(q, n);
    }
    memcpy(wide, n, 32);
    crypto_core_ristretto255_scalar_reduce(q, wide);
    return sodium_is_zero(q, 32) ? -1 : 0;
}
