#include "protocol/base/rng.h"

#include <sodium.h>

static void
system_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    randombytes_buf(out, n);
}

struct qr_rng
qr_rng_system(void)
{
    return (struct qr_rng){NULL, system_fill};
}
