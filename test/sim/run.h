/*
 * One seed, in a process of its own: a crash of the product is a finding, not the end.
 */
#ifndef QR_SIM_RUN_H
#define QR_SIM_RUN_H

#include "test/sim/sim.h"

struct sim_result {
    uint64_t seed, signatures, answers, refusals, virtual_ns, party_ns, lines;
    uint64_t injected[SIM_KINDS];
    uint8_t digest[32];
    int failed;
    char why[400];
};

struct sim_options {
    const char *trace; /* file, or NULL */
    int log;           /* the parties' own log on stderr */
    unsigned seconds;  /* of real time; more is a finding as well */
};

/* mask: NULL, or which of the plan's events happen. */
void sim_run_seed(uint64_t seed, const unsigned char *mask, const struct sim_options *o,
                  struct sim_result *ret);
/* Cuts a failing seed down: *mask keeps the events without which it does not fail. Returns runs. */
unsigned sim_shrink(uint64_t seed, unsigned char mask[SIM_EVENTS], const struct sim_options *o,
                    struct sim_result *last);

#endif
