/*
 * anomaly_run: one life after another, each with the next fault of a list.
 *
 * What: plays a life per case, says which case is on when one fails, and adds up what it took to get
 *       through. QR_TEST_LONG=1 asks for `full` of them, else `quick` (a quarter with
 *       QR_TEST_QUICK=1), spread evenly, moved by QR_TEST_SEED.
 *       ANOMALY_FORK=1 gives each life a process of its own, so that all failing cases are listed and
 *       not only the first; ANOMALY_NAME=heap ANOMALY_ONLY=N plays one case alone, ANOMALY_CASES=N about so
 *       many; ANOMALY_SAY=1 tells what was noticed in each, LIFE_LOG=1 shows the parties' logs.
 */
#ifndef TEST_ANOMALY_RUN_H
#define TEST_ANOMALY_RUN_H

#include "test/daemon/anomaly_life.h"

#define ANOMALY_STOPPED 70 /* a child's status: the product stopped itself, out of memory */

struct anomaly_cases {
    const char *name;
    uint64_t count;       /* cases 1..count */
    uint64_t quick, full; /* how many of them are played, at most */
    /* Makes the plan's fault case n; the context is the plan's. */
    void (*set)(void *ctx, uint64_t n);
    /* Whether it happened at all: a case may lie behind the end of its life. */
    int (*struck)(void *ctx);
    /*
     * Each life in a process of its own, which may stop itself: where OpenSSL has no memory for a digest
     * there is nothing to return, and the party wipes its secrets and ends.
     */
    int may_stop;
    int by_itself; /* no restart may be needed */
    struct life_plan plan;
};

void anomaly_run(const struct anomaly_cases *c);
/* A test's teardown: says which case was on. */
int anomaly_after(void **state);

#endif
