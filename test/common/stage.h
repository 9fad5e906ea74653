/*
 * stage: three parties with two keys, of t = 2 and of t = 3, over the same pairs.
 *
 * What: a quorum (quorum.h) made once for a test binary, and put back into order between tests.
 * Why: making it costs pair set-up; every test of presigning wants both thresholds.
 * Rules: one at a time; quorum_free ends it.
 */
#ifndef TEST_STAGE_H
#define TEST_STAGE_H

#include "test/common/quorum.h"

/* NULL if it cannot be made. */
struct quorum *stage_new(const char *seed);
/* No tap, no shuffling, no refusals, and every party holds its key of this threshold. */
void stage_use(struct quorum *q, uint16_t t);
/* Party i's key of threshold t. */
const struct qr_key *stage_key(uint16_t t, uint16_t i);

#endif
