/*
 * Measuring and judging; see dudect.h. |t| below 4.5 passes and above 10 fails; in between, the target
 * is measured again, afresh, with four times the samples, twice: a leak's t doubles each time.
 *
 * usage: dudect SAMPLES [NAME]
 */
#include "test/ctime/dudect.h"

#include <math.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define PASSES 4.5
#define FAILS 10.0
#define CROPS 20
#define TAKES 3

/* Ticks; nothing is reordered over it. */
static uint64_t
now(void)
{
#if defined(__x86_64__)
    _mm_mfence();
    _mm_lfence();
    uint64_t t = __rdtsc();
    _mm_lfence();
    return t;
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(t) : : "memory");
    return t;
#else
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

/* Mean and variance as they come (Welford). */
struct sums {
    double n, mean, m2;
};

static void
add(struct sums *s, double x)
{
    s->n += 1;
    double d = x - s->mean;
    s->mean += d / s->n;
    s->m2 += d * (x - s->mean);
}

/* Welch's t; 0 while there is too little to say anything. */
static double
welch(const struct sums *a, const struct sums *b)
{
    if (a->n < 30 || b->n < 30)
        return 0;
    double v = a->m2 / (a->n - 1) / a->n + b->m2 / (b->n - 1) / b->n;
    if (v <= 0)
        return fabs(a->mean - b->mean) > 0 ? INFINITY : 0;
    return fabs(a->mean - b->mean) / sqrt(v);
}

static int
by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double
largest_t(const uint64_t *time, const uint8_t *class, size_t n)
{
    uint64_t *sorted = calloc(n, sizeof *sorted);
    double worst = 0;

    if (sorted == NULL)
        abort();
    memcpy(sorted, time, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (int crop = 0; crop <= CROPS; crop++) {
        /* quantiles that grow denser towards 1, as the paper has them; the last is everything */
        double q = crop == CROPS ? 1 : 1 - pow(0.5, 10.0 * (crop + 1) / CROPS);
        uint64_t limit = sorted[(size_t)((double)(n - 1) * q)];
        struct sums s[2] = {{0}};
        for (size_t i = 0; i < n; i++)
            if (time[i] <= limit)
                add(&s[class[i]], (double)time[i]);
        worst = fmax(worst, welch(&s[0], &s[1]));
    }
    free(sorted);
    return worst;
}

double
dudect_measure(const struct dudect_target *t, size_t n)
{
    const size_t total = 2 * n, warm = 20;
    uint64_t *time = calloc(total, sizeof *time);
    uint8_t *class = calloc(total + warm, 1), *secret = malloc(t->secret_len);

    if (time == NULL || class == NULL || secret == NULL)
        abort();
    randombytes_buf(class, total + warm);
    for (size_t i = 0; i < total + warm; i++) {
        class[i] &= 1;
        /* the same work for both classes: a random secret is drawn in any case */
        randombytes_buf(secret, t->secret_len);
        uint8_t keep = (uint8_t)(0 - class[i]);
        for (size_t k = 0; k < t->secret_len; k++)
            secret[k] = (uint8_t)((secret[k] & keep) | (t->fixed & ~keep));
        t->load(secret);
        uint64_t begin = now();
        t->run();
        uint64_t end = now();
        if (i >= warm)
            time[i - warm] = end - begin;
    }
    double worst = largest_t(time, class + warm, total);
    free(time);
    free(class);
    free(secret);
    return worst;
}

/* Prints the line of one target; 1 if it is as it should be. */
static int
judge(const struct dudect_target *t, size_t samples)
{
    size_t n = samples / t->slowness < 60 ? 60 : samples / t->slowness;
    double worst = dudect_measure(t, n);

    for (int take = 1; take < TAKES && worst >= PASSES && worst <= FAILS; take++) {
        n *= 4;
        worst = dudect_measure(t, n);
    }
    int leaks = worst >= PASSES;
    int ok = t->leaks ? worst > FAILS : !leaks;
    printf("%s dudect %-28s samples %8zu  |t| %8.2f  %s\n", ok ? "ok  " : "FAIL", t->name, 2 * n,
           worst,
           t->leaks ? (ok ? "put there on purpose, and found" : "put there on purpose, not found")
                    : (leaks ? "the time depends on the secret" : "no difference seen"));
    (void)fflush(stdout);
    return ok;
}

int
main(int argc, char **argv)
{
    long samples = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    unsigned pass = 0, fail = 0;
    cpu_set_t one;

    if (samples < 100 || samples > 100000000) {
        fprintf(stderr, "usage: dudect SAMPLES [NAME]   SAMPLES a class, 100 or more\n");
        return 2;
    }
    /* Times of two processors do not compare. */
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    for (const struct dudect_target *t = dudect_targets(); t->name != NULL; t++) {
        if (argc > 2 && strstr(t->name, argv[2]) == NULL)
            continue;
        if (judge(t, (size_t)samples))
            pass++;
        else
            fail++;
    }
    printf("%u passed, %u failed\n", pass, fail);
    return fail > 0;
}
