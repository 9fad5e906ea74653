/*
 * qr_rng: where randomness comes from, as a table the caller supplies.
 *
 * Why: protocol/ is sans-IO; the daemon supplies the system generator mixed with the platform's,
 *      the tests a seeded one. `fill` never fails: a daemon that cannot draw randomness stops.
 */
#ifndef QR_RNG_H
#define QR_RNG_H

#include <stddef.h>
#include <stdint.h>

struct qr_rng {
    void *ctx;
    void (*fill)(void *ctx, uint8_t *out, size_t n);
};

static inline void
qr_rng_fill(const struct qr_rng *r, void *out, size_t n)
{
    r->fill(r->ctx, (uint8_t *)out, n);
}

/* The system generator (libsodium, getrandom). */
struct qr_rng qr_rng_system(void);

#endif
