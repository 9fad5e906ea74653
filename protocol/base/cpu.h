/*
 * What this CPU can do beyond the baseline that the product is built for.
 *
 * What: one question a function, each cheap enough to ask at every call.
 * Why: one place that knows how each architecture is asked; protocol/ itself includes nothing of
 *      the operating system.
 */
#ifndef QR_CPU_H
#define QR_CPU_H

/* Carry-less multiplication: PCLMULQDQ, PMULL. */
int qr_cpu_clmul(void);

#endif
