/*
 * What the benches share: clocks, the single-key reference, medians, one JSON object per line.
 *
 * What: a bench measures one thing several times, each time between two measurements of the
 *       reference, and prints the median value and the median of value / reference.
 * Why a reference: the ratio says what threshold signing costs over what anyone would pay for one
 *       key on the same machine at the same moment; it survives other machines and busy neighbours
 *       far better than microseconds do.
 * Reference: one ecdsa_sign and one ecdsa_verify by libsecp256k1, CPU time of this thread.
 * Header only, so that a bench is one file; single thread.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "protocol/base/check.h"
#include "protocol/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_RUNS 7

/* Measured runs a case; one, too few for a figure, if QR_BENCH_QUICK is set. */
static inline int
bench_runs(void)
{
    const char *quick = getenv("QR_BENCH_QUICK");
    return quick != NULL && *quick != '\0' ? 1 : BENCH_RUNS;
}

/* Nanoseconds of CPU time of this thread. */
static inline double
bench_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

/* The single key of the reference. */
struct bench_key {
    uint8_t sec[32];
    qr_pt pub;
};

static inline struct bench_key
bench_key_make(void)
{
    struct bench_key key = {.sec = {0x51}};
    qr_fq k;

    QR_ASSERT(qr_fq_parse(&k, key.sec) == QR_OK && qr_pt_mul_base(&key.pub, &k) == QR_OK);
    return key;
}

/* The reference n times: one signature, verified. */
static inline void
bench_reference_work(const struct bench_key *key, uint8_t n)
{
    uint8_t digest[32] = {0}, sig[64];

    for (uint8_t i = 0; i < n; i++) {
        digest[0] = i;
        QR_ASSERT(qr_ecdsa_sign(sig, digest, key->sec) == QR_OK);
        QR_ASSERT(qr_ecdsa_verify(&key->pub, digest, sig) == QR_OK);
    }
}

/* Nanoseconds of the reference, now: the mean of 40, about 3 ms. */
static inline double
bench_reference_ns(void)
{
    enum { N = 40 };
    struct bench_key key = bench_key_make();
    double since = bench_cpu_ns();

    bench_reference_work(&key, N);
    return (bench_cpu_ns() - since) / N;
}

static inline int
bench_compare(const void *a, const void *b)
{
    double x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Sorts v. */
static inline double
bench_median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, bench_compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The commit the figures are of: QR_COMMIT from the environment. */
static inline const char *
bench_commit(void)
{
    const char *c = getenv("QR_COMMIT");
    return c != NULL && *c != '\0' ? c : "unknown";
}

/* One line. ratio < 0 prints null: the case has none. */
static inline void
bench_emit(const char *name, unsigned n, unsigned t, double value, const char *unit, double ratio)
{
    printf("{\"name\":\"%s\",\"n\":%u,\"t\":%u,\"value\":%.3f,\"unit\":\"%s\",\"ratio\":", name, n,
           t, value, unit);
    if (ratio < 0)
        printf("null");
    else
        printf("%.3f", ratio);
    printf(",\"commit\":\"%s\"}\n", bench_commit());
    fflush(stdout);
}

/* BENCH_RUNS values in nanoseconds and as ratios, to be collected run by run. */
struct bench_series {
    double ns[BENCH_RUNS], ratio[BENCH_RUNS];
    size_t runs;
};

/* One run's value, with the reference measured before and after it. */
static inline void
bench_add(struct bench_series *s, double ns, double ref_before, double ref_after)
{
    QR_ASSERT(s->runs < BENCH_RUNS);
    s->ns[s->runs] = ns;
    s->ratio[s->runs] = ns / ((ref_before + ref_after) / 2);
    s->runs++;
}

/* Medians; the value in microseconds. */
static inline void
bench_emit_series(const char *name, unsigned n, unsigned t, struct bench_series *s)
{
    double ns = bench_median(s->ns, s->runs), ratio = bench_median(s->ratio, s->runs);

    bench_emit(name, n, t, ns / 1e3, "us", ratio);
}

#endif
