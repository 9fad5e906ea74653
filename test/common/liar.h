/*
 * A member of a presigning set of three that tells its two peers different stories.
 *
 * What: party 1 of a quorum runs the batch twice, one machine for each peer; what is sent to party 1
 *       goes to both machines, what a machine says goes to its own victim only. Between the steps a
 *       test may change what one machine works with (its copy of the key).
 * Why: inconsistent inputs and split views that are consistent in themselves cannot be made by
 *      changing bytes.
 */
#ifndef QR_TEST_LIAR_H
#define QR_TEST_LIAR_H

#include "test/common/quorum.h"

struct liar {
    struct quorum *q;
    struct qr_presign *ps;
    struct qr_key *key; /* its own copy; locked */
    uint16_t victim;
    struct qr_rng rng;
    struct quorum_rng seed;
    uint8_t *kept[8];
    size_t n_kept;
    struct {
        uint8_t *p;
        uint16_t to;
        enum qr_msg type;
        uint8_t sid[32];
        size_t len;
    } out[8];
};

struct liars {
    struct quorum *q;
    struct liar story[2]; /* for party 2 and for party 3 */
};

/*
 * Makes all machines of id (S = {1, 2, 3}) and starts them. two_seeds: the stories have randomness of
 * their own; otherwise they draw the same, and differ in what the test changes.
 */
void liars_start(struct liars *l, struct quorum *q, const struct qr_batch_id *id, int two_seeds);
/* Plays to the end; the honest parties' errors and machines are in q. */
void liars_run(struct liars *l);
void liars_end(struct liars *l);

#endif
