#include "test/common/ot.h"

#include <string.h>

void
ot_seeds_make(struct ot_seeds *s, struct qr_testrng *rng)
{
    qr_testrng_fill(rng, s->bob, sizeof s->bob);
    qr_testrng_fill(rng, &s->delta, sizeof s->delta);
    memcpy(s->alice, s->bob, sizeof s->alice);
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++)
        qr_testrng_fill(rng, &s->alice[g][s->delta.b[g]], 16);
}

ot_trees
ot_bob(const struct ot_seeds *s)
{
    return s->bob;
}

ot_trees
ot_alice(const struct ot_seeds *s)
{
    return s->alice;
}
