/*
 * Seeds of one ordered pair as a set-up would leave them, without running one; for tests.
 *
 * What: 16 x 256 random leaf seeds for Bob, the same for Alice but for one random leaf a tree, and
 *       her Delta.
 */
#ifndef QR_TEST_OT_H
#define QR_TEST_OT_H

#include "protocol/base/msg_t.h"
#include "protocol/base/secret.h"
#include "test/common/testrng.h"

struct ot_seeds {
    struct qr_sec16 bob[QR_PPRF_GROUPS][256];
    struct qr_sec16 alice[QR_PPRF_GROUPS][256];
    struct qr_sec16 delta;
};

void ot_seeds_make(struct ot_seeds *s, struct qr_testrng *rng);

/* As the machines pass them: pointers to const trees. */
typedef const struct qr_sec16 (*ot_trees)[256];
ot_trees ot_bob(const struct ot_seeds *s);
ot_trees ot_alice(const struct ot_seeds *s);

#endif
