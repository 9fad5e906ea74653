/*
 * Rows: the few operations mod q that RVOLE does on hundreds of numbers at once.
 *
 * What: a table of four functions. A row is 96 bytes, three numbers (the columns) of 32 bytes
 *       big-endian; numbers are residues below 2^256, not necessarily below q ("loose").
 * Why: these loops are most of a multiplication's arithmetic. On CPUs with AVX-512 IFMA eight rows
 *      go at a time, in about a quarter of the time; everything else runs the portable table.
 * Rules: n, the number of rows, is a multiple of 8. No alignment needed. Bits are one a row, LSB
 *        first, and start at a byte.
 * Constant time: in all numbers and bits; time depends on n only.
 * Source: SPEC.md section 6.
 */
#ifndef QR_ROWS_H
#define QR_ROWS_H

#include "protocol/fq.h"

#define QR_ROW_COLUMNS 3u
#define QR_ROW_LEN (QR_ROW_COLUMNS * 32u)

struct qr_rows {
    const char *name;
    /*
     * One column: out = x - y + a, below q. x, y and out point at the column's number in the first
     * of n rows. out may be x or y.
     */
    void (*diff)(uint8_t *out, const uint8_t *x, const uint8_t *y, const qr_fq *a, size_t n);
    /* All columns of n rows: x += y where the row's bit is 1. Every number of y is below q. */
    void (*cadd)(uint8_t *x, const uint8_t *y, const uint8_t *bits, size_t n);
    /* One column: ret = sum of g[j] * x_j; n <= 1024. */
    void (*dot)(qr_fq *ret, const qr_fq *g, const uint8_t *x, size_t n);
    /*
     * out_j = x_{j,2} + theta[0] * x_{j,0} + theta[1] * x_{j,1}, plus `add` where the row's bit is
     * 1; below q. out: n numbers of 32 bytes, no rows.
     */
    void (*combine)(uint8_t *out, const uint8_t *x, const qr_fq theta[static 2], const qr_fq *add,
                    const uint8_t *bits, size_t n);
};

/* The fastest table this CPU can run. */
const struct qr_rows *qr_rows_best(void);

/* One number at a time; the tests' reference for the others. */
extern const struct qr_rows qr_rows_portable;

#if defined(__x86_64__)
/* Eight rows at a time; only where qr_rows_best() gives it. */
extern const struct qr_rows qr_rows_ifma;
#endif

#endif
