/*
 * qr_cpurand: random bytes of the processor itself.
 *
 * What: RDSEED, or RDRAND where there is no RDSEED (or it is exhausted); RNDRRS and RNDR on arm64. Each
 *       word is asked for again a bounded number of times.
 * Why: inside an enclave the kernel's pool starts with what a host could know; and two machines that run
 *       from one snapshot have the same pool until something tells them apart. The processor's words do.
 * Trust: none by itself. It is mixed (tee.h, qr_tee_rng), never used alone: a hypervisor may
 *       intercept the instructions, and processors exist whose RDRAND says success and gives ones.
 * Invariants: what cannot be random is refused as stuck: a word of zeros or ones, or the same word twice in
 *       a row within one call (a chance of 2^-62 a word for a sound generator).
 * Constant time: no branch on a word but those.
 * Thread rules: no state.
 */
#ifndef QR_CPURAND_H
#define QR_CPURAND_H

#include "protocol/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* One instruction: 1 and a word, or 0 (nothing ready). NULL: the processor does not have it. */
struct qr_cpurand_ops {
    int (*seed)(uint64_t *ret);
    int (*word)(uint64_t *ret);
};
/* Those of this processor. */
const struct qr_cpurand_ops *qr_cpurand_ops(void);

/*
 * n bytes. NOT_FOUND: the processor has neither; PLATFORM: nothing ready, or stuck. out is zeroed on an
 * error.
 */
qr_err QR_MUST qr_cpurand(const struct qr_cpurand_ops *ops, uint8_t *out, size_t n);

/* "RDSEED", "RDRAND", "RNDRRS", "RNDR" or "none", for the log. */
const char *qr_cpurand_name(void);

#endif
