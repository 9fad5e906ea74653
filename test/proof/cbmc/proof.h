/*
 * What the bounded proofs share: values the checker chooses, assumptions, and what is to be proved.
 *
 * What: nondet_*() has every value of its type; ASSUME() narrows, PROVE() is a proof obligation. Any
 *       function without a body returns every value, too.
 * How a proof is described: the head comment of each file has lines that run.sh reads.
 *       CBMC:   options beside those of every proof, which run.sh has
 *       SCALE:  FILE s/././  a constant made smaller in a copy of a product file, so that every
 *               reachable state fits the bound. Said in the proof's BOUND.
 *       BITE:   FILE s/././  an error planted in a copy; the proof must then be refuted. One line
 *               each; one at least.
 * Thread rules: none; nothing here runs.
 */
#ifndef QR_PROOF_H
#define QR_PROOF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __CPROVER
#define ASSUME(c) __CPROVER_assume(c)
#define PROVE(c, what) __CPROVER_assert((c), what)
#else /* so that compilers and editors can read the proofs */
#define ASSUME(c) ((void)(c))
#define PROVE(c, what) ((void)(c))
#endif

uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
size_t nondet_size(void);
int nondet_int(void);
unsigned nondet_unsigned(void);
char nondet_char(void);

/* A size from 0 to max. */
static inline size_t
any_size(size_t max)
{
    size_t n = nondet_size();
    ASSUME(n <= max);
    return n;
}

/*
 * An object of exactly n bytes, every byte anything: one step past its end is an error the checker
 * sees. Not NULL, also for n = 0.
 */
static inline uint8_t *
any_bytes(size_t n)
{
    uint8_t *p = malloc(n);
    ASSUME(p != NULL);
    return p;
}

void proof(void);

#endif
