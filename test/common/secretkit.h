/*
 * secretkit: clusters whose policy asks for a peer secret, and a liar between two of their parties.
 *
 * What: parties in memory as cluster.h has them; links in memory; helpers that wait for secrets, that
 *       ask for a key and are refused, and that put words of one party into another's ear, as if they
 *       had come over their attested channel.
 * Rules: for cmocka tests; one cluster at a time.
 */
#ifndef TEST_SECRETKIT_H
#define TEST_SECRETKIT_H

#include "test/common/cluster.h"

/* n parties under the software TEE, peer_secret.threshold t; all secrets are made when it returns. */
void secretkit_start(struct cluster *c, size_t n, unsigned t);
/* The same, and with these `peers`; returns when the parties are linked. */
void secretkit_start_as(struct cluster *c, size_t n, const char *peers);
/* `peers` of such a policy; static. t 0: without peer_secret. */
const char *secretkit_peers(unsigned t);

/* The next cluster's pairs are set up by the parties themselves, not when secretkit_sign wants them. */
void secretkit_with_pairs(void);

/* cluster_stop, and the links' switchboard. */
void secretkit_stop(struct cluster *c);

/* For cluster_until: every party that is alive is open, or there is nothing to open. */
int secretkit_open(struct cluster *c, void *unused);
/* A fresh request is signed at party i. */
void secretkit_sign(struct cluster *c, size_t i, const uint8_t pk[33]);
/* A key is refused at party i with this error, and with these words. */
void secretkit_no_key(struct cluster *c, size_t i, unsigned t, qr_err e, const char *words);
/* Gives party `to` a message as if `from` had sent it. */
void secretkit_say(struct cluster *c, size_t from, size_t to, enum qr_msg type, qr_view payload);

/* The piece that party `holder` holds of `owner`'s epoch; 1 if there is one. */
int secretkit_piece(struct cluster *c, size_t holder, size_t owner, uint32_t epoch,
                    struct qr_piece *ret);

/* 1 if every field is the same: a struct has bytes that belong to none. */
int secretkit_same_piece(const struct qr_piece *a, const struct qr_piece *b);

/* Lines that the parties log are kept; 1 if one of this party (0: any) has both words. */
void secretkit_log_start(struct cluster *c);
int secretkit_logged(size_t party, const char *word, const char *other);
void secretkit_log_stop(void);

#endif
