/*
 * What a script may do to the messages of a quorum (test/common/quorum.h) between sender and receiver.
 */
#ifndef TEST_FUZZ_KIT_QUORUM_H
#define TEST_FUZZ_KIT_QUORUM_H

#include "test/common/quorum.h"
#include "test/fuzz/kit.h"

#define FUZZ_QUEUE_OPS 11u /* op & 15 below this is fuzz_queue's */

/*
 * One operation on the message that comes next: deliver, change bytes, repeat, drop, turn round,
 * retype, cut, invent; or let the next reservation fail. *touched is set when a receiver may meet
 * what no honest sender computed. types: the message types of the run, ended by 0.
 */
void fuzz_queue(struct quorum *q, struct fuzz_in *in, uint8_t op, const enum qr_msg *types,
                int *touched);

#endif
