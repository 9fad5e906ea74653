/*
 * A copy of a running party: the test's process forked, with all its memory, and one party of it.
 *
 * What: party `who` of a cluster (over local sockets) goes on twice: in the test's process as before,
 *       and in a child that has everything it had: identity, boot nonce, presignatures, TLS and OT
 *       state, message numbers. The child's other parties are gone; its party finds its connections
 *       broken, as a machine restored from a snapshot does, has a copy of its disk, and reaches the
 *       same peers. Both are stepped in turn, a millisecond of the cluster's clock at a time.
 * How: locked memory lives through this fork because the rig stands in front of madvise; the copy's
 *      sockets are replaced by dead ones in an epoll instance of its own, descriptor by descriptor.
 *      A table in memory that both share holds every presignature that anybody computed a share from.
 * Rules: link with CLONE_LINK. One copy at a time. For software TEEs and link_sock.
 */
#ifndef QR_TEST_CLONERIG_H
#define QR_TEST_CLONERIG_H

#include "test/common/cluster.h"

struct clone;

/* Before the cluster is started: from now on shares are counted. */
void clone_watch(struct cluster *c); /* NULL: nobody any more */
/* Copies party who as it is now. */
struct clone *clone_make(struct cluster *c, size_t who);
void clone_end(struct clone *k);

/* n turns of the original's cluster, of the copy, or of both by turns. */
enum clone_run { CLONE_ORIGINAL = 1, CLONE_COPY = 2, CLONE_BOTH = 3 };
void clone_turns(struct clone *k, enum clone_run which, size_t n);

/* The copy's view: is its peer connected? */
int clone_up(struct clone *k, uint16_t peer);
/* A request to the copy, and its answer: 0 none yet, 1 signed (sig: r || s), -1 refused. */
void clone_sign(struct clone *k, const char *body);
int clone_answer(struct clone *k, uint8_t sig[64]);

/*
 * Presignatures from which one party (both copies are one) computed shares of different requests:
 * how many.
 */
size_t clone_used_twice(void);
/* Shares computed by this party so far, copies counted together. */
size_t clone_shares(size_t party);

#endif
