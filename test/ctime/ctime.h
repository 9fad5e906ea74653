/*
 * The parts of the constant-time test: each runs one side of the product with its secrets poisoned.
 *
 * What: the drivers that main() calls, and what they share.
 * Rules: a driver ends the program with must() when the product refuses what it should do; leaks are
 *       the tool's to report.
 */
#ifndef TEST_CTIME_CTIME_H
#define TEST_CTIME_CTIME_H

#include "protocol/fq.h"

/* Ends the program with status 2 unless ok. */
void must(int ok, const char *what);

/* n secret bytes of a fixed stream. */
void draw(void *p, size_t n);
void draw_scalar(qr_fq *ret);
/* A generator whose draws are all secret. */
const struct qr_rng *secret_rng(void);

/* The multiplication's rows, as this processor does them best; calls no library. */
void drive_rows(void);
/* The other arithmetic by itself: scalars, points, bit matrices, GF(2^128). */
void drive_primitives(void);
/* Base OT, PPRF, COT and RVOLE by themselves, what must fail included. */
void drive_multiplication(void);
/* Whole quorums: key generation, pairs, presigning and signing with t = 2 and t = 3. */
void drive_quorum(void);
/* Key records, sealing, identity keys, generators. */
void drive_keeping(void);
/* Whole daemons over real links: key generation, signing, a restart. */
void drive_daemon(void);
/* Back ends over hardware whose devices are played: a sealing secret without a TPM, Nitro's root. */
void drive_platform(void);
/* The libraries themselves, past the boundary, with poison inside. */
void drive_libraries(void);

/* Leaks put here on purpose: 0 if there is none of that name. Each must be reported. */
int plant(const char *name);

#endif
