/*
 * A timing test: does the time of some code depend on a secret?
 *
 * What: the same code runs many times with a secret that is either one fixed value or a fresh random
 *       one, in random order. Welch's t-test compares the two sets of times, as they are and without
 *       the slowest of them (cropped at 20 quantiles, because interrupts and other tenants fall on
 *       both classes alike); the largest |t| counts.
 * Why: it needs no model of the processor. It can show a leak and can never show that there is none.
 * Source: Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?", DATE 2017; written anew.
 */
#ifndef TEST_CTIME_DUDECT_H
#define TEST_CTIME_DUDECT_H

#include <stddef.h>
#include <stdint.h>

struct dudect_target {
    const char *name;
    size_t secret_len;
    unsigned slowness;                   /* samples are divided by it */
    uint8_t fixed;                       /* the fixed class is this byte, repeated */
    int leaks;                           /* 1: put here on purpose, and must be found */
    void (*load)(const uint8_t *secret); /* not timed; the same work for every secret */
    void (*run)(void);
};

/* All targets; ends with one that has no name. Sets up what they share. */
const struct dudect_target *dudect_targets(void);

/* n samples a class; the largest |t|. */
double dudect_measure(const struct dudect_target *t, size_t n);

#endif
