/*
 * A scripted life of a quorum in which one thing fails at a chosen moment.
 *
 * What: LIFE_N real parties in one process (in-memory links and disks, seeded randomness, a clock that
 *       the script turns) live through: start, documents, linking, key generation, filling of the
 *       pools, a signature, a restart of party 2, two more signatures. A test arms its fault, runs the
 *       life, and gets what it took to get through it.
 * Checked in every life, whatever failed: each released signature verifies; no presignature is used
 *       twice by a party; no pair is retired; every request and command is answered in bounded time;
 *       whatever fails says something; after at most one restart of everything the service is back
 *       (by itself, on a repeated call, or by that restart: counted apart); and when all parties are
 *       gone, nothing of theirs is left in memory.
 * Who fails: what the product and the libraries under it do; the script's own allocations do not count
 *       (anomaly_mem.h).
 * Speed: nearly all of a life would be the elliptic curve of the pairs' set-up. Its results are the same
 *       in every life, as long as the seeded draws are, and are remembered (anomaly_memo.c).
 * Rules: for cmocka tests (a violation fails the running one); single-threaded; linked with
 *        $(ANOMALY_WRAP), by which locked allocations and shares are seen here.
 */
#ifndef TEST_ANOMALY_LIFE_H
#define TEST_ANOMALY_LIFE_H

#include "daemon/party.h"
#include "transport/link_mem.h"

#define LIFE_N 3u
#define LIFE_T 2u

/* How a life went. */
struct life_report {
    unsigned retries;  /* calls that failed and were repeated */
    unsigned restarts; /* of all parties, because repeating did not help */
    unsigned starts;   /* of one party that did not come up, or whose disk was cut */
    char stage[32];    /* in which the first of these happened; "" if none did */
    char said[512];    /* what was said there */
};

/* Before the restart that shall help: the operator mends what is broken. */
struct life_plan {
    void (*arm)(void *ctx); /* before the first start */
    void (*mend)(void *ctx);
    void *ctx;
    /* Wraps the link of a new process; NULL: as it is. */
    struct qr_link *(*link)(void *ctx, size_t party, struct qr_link *l);
};

/* Group fixtures. */
int life_setup(void **state);
int life_teardown(void **state);

/* In a child process: the machines' keys, which do not survive a fork, are read again. */
void life_reopen(void);

void life_run(const struct life_plan *plan, struct life_report *ret);

/*
 * The first three stages; then party 2 is stopped and started for as long as next() says so, which arms
 * the next fault. A start fails and says why, or the new process knows what the old one knew; either way
 * nothing is left behind. Returns how many failed.
 */
unsigned life_starts(const struct life_plan *plan, int (*next)(void *ctx));

/* The switchboard of the life that is on; NULL between lives. */
struct qr_link_mem_net *life_net(void);

#endif
