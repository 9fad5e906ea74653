/*
 * A malicious party of a cluster: what it can compute from its own memory, and say.
 *
 * What: party `self` of a cluster, run by an attacker who has its memory, its identity and its links:
 *       names of batches, openings of batches by hand, PRESIGN1 messages that guess bits of the
 *       victim's Delta, requests to sign with any presignature.
 * Why: attacks on whole parties, over real channels, that no honest program would carry out.
 * Rules: nothing here reads the victim's secrets. Links with WIRETAP_LINK (wiretap.h).
 */
#ifndef QR_TEST_MALICE_H
#define QR_TEST_MALICE_H

#include "test/common/cotref.h"
#include "test/common/wiretap.h"

struct malice {
    struct cluster *c;
    struct wiretap *w;
    uint16_t self, victim;
    size_t key;         /* index of the key at party self */
    struct qr_aes *aes; /* set by malice_start */
    struct cotref ref;
};

void malice_start(struct malice *m, struct wiretap *w, uint16_t self, uint16_t victim);
void malice_stop(struct malice *m);

/* The batch that `st` opens at `owner`, as every member names it. */
void malice_batch_id(const struct malice *m, uint16_t owner, const struct qr_ctl_start *st,
                     struct qr_batch_id *ret);
/* Opens a batch of 4 with the set {self, victim}: PRESIGN_START is on its way. */
void malice_open(struct malice *m, uint8_t ret_sid[static 32]);
/* PRESIGN1 for it, right for the victim's Delta byte g = guess and no other. */
void malice_guess(struct malice *m, const uint8_t sid[static 32], size_t g, unsigned guess);
/* A PRESIGN1 that is honest but for one bit at `at`; never passes C1 unless at < 32. */
void malice_flip(struct malice *m, const uint8_t sid[static 32], size_t at);
/* Gives a batch up. */
void malice_abort(struct malice *m, const uint8_t sid[static 32]);
/* Has the victim asked to sign `body` with this presignature of a pool that self owns. */
void malice_ask(struct malice *m, const char *body, const qr_view *stamps, size_t n_stamps,
                const uint8_t presig_id[static QR_PRESIG_ID_LEN], uint8_t ret_request[static 32]);

/* What the victim did about session sid since event `from`. */
enum malice_reply {
    REPLY_NONE,
    REPLY_ROUND2,  /* PRESIGN2 came: C1 passed */
    REPLY_FAILED,  /* ABORT, a check failed */
    REPLY_REFUSED, /* ABORT, not begun */
    REPLY_OTHER,
};
enum malice_reply malice_reply(const struct malice *m, size_t from, const uint8_t sid[static 32]);
/* Turns the cluster until there is a reply, or `turns` have passed. */
enum malice_reply malice_wait(struct malice *m, size_t from, const uint8_t sid[static 32],
                              size_t turns);

/* One batch more for owner's pool with the set of `mask`; by the party's own code. */
void malice_demand(struct cluster *c, uint16_t owner, uint16_t mask);
/* The administrators re-admit the pair i-j; all pairs are active afterwards (fails the test if not). */
void malice_readmit(struct cluster *c, uint16_t i, uint16_t j);
/* Asks party `at` for one signature with a key; verifies it. 1 if it came; *ret_signers: their mask. */
int malice_signs(struct cluster *c, size_t at, const uint8_t pk[static 33], uint16_t *ret_signers);
/* No party holds any pair retired, and none has a record of one. */
int malice_nobody_retired(struct cluster *c);

/* Pools of all parties stop being filled by themselves. */
void malice_quiet(struct cluster *c);

#endif
