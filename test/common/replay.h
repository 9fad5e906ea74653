/*
 * replay: the protocol machines, run from the inputs of a frozen transcript.
 *
 * What: pair set-ups, key generation, one presigning batch and the signatures of a transcript file,
 *       for all parties, in the order in which the file's header says that the parties draw; gives
 *       the lines that the file should hold.
 * Rules: for cmocka tests: a machine that refuses an honest message fails the running test, as does
 *        an envelope with a wrong sid or epoch. qr_hash_init, qr_aes_init and qr_group_init first.
 */
#ifndef TEST_REPLAY_H
#define TEST_REPLAY_H

#include "test/common/transcript.h"

enum replay_order {
    REPLAY_AS_FROZEN,
    REPLAY_PEERS_DESCENDING, /* a planted error: pair set-ups in another order */
};

struct replay;

/* Plays all of t, which must outlive the replay. */
struct replay *replay_play(struct transcript *t, enum replay_order order);
struct transcript_run *replay_lines(struct replay *r);
void replay_free(struct replay *r);

#endif
