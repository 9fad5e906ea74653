#include "test/common/stage.h"

static struct qr_key keys[2][4]; /* by t - 2, then by party */

struct quorum *
stage_new(const char *seed)
{
    struct quorum *q = quorum_new(3, 2, seed);
    int ok = quorum_pairs_all(q) == QR_OK;
    for (uint16_t t = 2; ok && t <= 3; t++) {
        q->dkg.t = t;
        ok = quorum_dkg(q) == QR_OK;
        for (uint16_t i = 1; i <= 3; i++) {
            keys[t - 2][i] = q->party[i].key;
        }
    }
    return ok ? q : quorum_free(q);
}

void
stage_use(struct quorum *q, uint16_t t)
{
    q->t = t;
    q->tap = NULL;
    q->shuffle = 0;
    q->reserve_fails_after = SIZE_MAX;
    for (uint16_t i = 1; i <= 3; i++) {
        q->party[i].key = *stage_key(t, i);
    }
}

const struct qr_key *
stage_key(uint16_t t, uint16_t i)
{
    return &keys[t - 2][i];
}
