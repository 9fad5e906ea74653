#include "protocol/rows.h"

#include "protocol/ct.h"

static void
diff(uint8_t *out, const uint8_t *x, const uint8_t *y, const qr_fq *a, size_t n)
{
    qr_fq_loose u QR_WIPE(qr_fq_loose), v QR_WIPE(qr_fq_loose);
    qr_fq t QR_WIPE(qr_fq);

    for (size_t at = 0; at < n * QR_ROW_LEN; at += QR_ROW_LEN) {
        qr_fq_loose_load(&u, x + at);
        qr_fq_loose_load(&v, y + at);
        qr_fq_loose_diff(&t, &u, &v, a);
        qr_fq_put(out + at, &t);
    }
}

static void
cadd(uint8_t *x, const uint8_t *y, const uint8_t *bits, size_t n)
{
    qr_fq_loose u QR_WIPE(qr_fq_loose), v QR_WIPE(qr_fq_loose);

    for (size_t j = 0; j < n; j++) {
        const uint64_t bit = qr_ct_bit(bits, j);
        for (size_t i = 0; i < QR_ROW_COLUMNS; i++, x += 32, y += 32) {
            qr_fq_loose_load(&u, x);
            qr_fq_loose_load(&v, y);
            qr_fq_loose_cadd(&u, &v, bit);
            qr_fq_loose_put(x, &u);
        }
    }
}

static void
dot(qr_fq *ret, const qr_fq *g, const uint8_t *x, size_t n)
{
    qr_fq_acc sum QR_WIPE(qr_fq_acc);
    qr_fq_loose u QR_WIPE(qr_fq_loose);

    qr_fq_acc_zero(&sum);
    for (size_t j = 0; j < n; j++) {
        qr_fq_loose_load(&u, x + QR_ROW_LEN * j);
        qr_fq_acc_mul_loose(&sum, &g[j], &u);
    }
    qr_fq_acc_reduce(ret, &sum);
}

static void
combine(uint8_t *out, const uint8_t *x, const qr_fq theta[static 2], const qr_fq *add,
        const uint8_t *bits, size_t n)
{
    qr_fq_acc sum QR_WIPE(qr_fq_acc);
    qr_fq_loose u QR_WIPE(qr_fq_loose);
    qr_fq t QR_WIPE(qr_fq);

    for (size_t j = 0; j < n; j++, x += QR_ROW_LEN) {
        qr_fq_acc_zero(&sum);
        qr_fq_loose_load(&u, x);
        qr_fq_acc_mul_loose(&sum, &theta[0], &u);
        qr_fq_loose_load(&u, x + 32);
        qr_fq_acc_mul_loose(&sum, &theta[1], &u);
        qr_fq_loose_load(&u, x + 64);
        qr_fq_acc_add_loose(&sum, &u);
        qr_fq_acc_reduce(&t, &sum);
        qr_fq_cadd(&t, add, qr_ct_bit(bits, j));
        qr_fq_put(out + 32 * j, &t);
    }
}

const struct qr_rows qr_rows_portable = {"portable", diff, cadd, dot, combine};

const struct qr_rows *
qr_rows_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512bw"))
        return &qr_rows_ifma;
#endif
    return &qr_rows_portable;
}
