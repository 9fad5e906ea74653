/*
 * The arithmetic, function by function, on secret operands; some of it is not on the path of a
 * signature on this machine (portable code, where the processor has something better).
 */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/bitmat.h"
#include "protocol/ct.h"
#include "protocol/gf128.h"
#include "protocol/group.h"
#include "protocol/poly.h"
#include "protocol/rows.h"
#include "protocol/zero.h"

static void
scalars(void)
{
    uint8_t wide[64], out[32];
    qr_fq a, b, c;
    qr_fq_acc acc;
    qr_fq_loose x, y;
    uint64_t bit = 1;

    draw(wide, sizeof wide);
    qr_fq_reduce64(&a, wide);
    draw(wide, sizeof wide);
    qr_fq_reduce32(&b, wide);
    poison_secret(&bit, sizeof bit);
    qr_fq_add(&c, &a, &b);
    qr_fq_sub(&c, &c, &b);
    qr_fq_neg(&c, &c);
    qr_fq_mul(&c, &c, &b);
    qr_fq_cmov(&c, &a, &b, bit);
    qr_fq_cadd(&c, &b, bit);
    must(qr_fq_is_zero(&c) + qr_fq_eq(&a, &b) == 0, "scalars");
    qr_fq_acc_zero(&acc);
    draw(wide, sizeof wide);
    qr_fq_loose_load(&x, wide);
    qr_fq_loose_load(&y, wide + 32);
    for (int i = 0; i < 20; i++) {
        qr_fq_acc_mul(&acc, &a, &b);
        qr_fq_acc_add(&acc, &c);
        qr_fq_acc_mul_loose(&acc, &a, &x);
        qr_fq_acc_add_loose(&acc, &y);
    }
    qr_fq_acc_reduce(&c, &acc);
    qr_fq_loose_cadd(&x, &y, bit);
    qr_fq_loose_diff(&b, &x, &y, &c);
    qr_fq_loose_put(wide, &x);
    qr_fq_put(out, &b);
    must(qr_fq_parse(&a, out) == QR_OK, "an encoding of a scalar");
    memset(out, 0xff, sizeof out);
    poison_secret(out, sizeof out);
    must(qr_fq_parse(&a, out) == QR_ERR_SCALAR, "no encoding of a scalar");
    /* public ones, which the signature's end needs */
    qr_fq_set_u64(&a, 3);
    qr_fq_inv_var(&b, &a);
    must(qr_fq_is_high_var(&a) == 0, "3 is low");
}

/* Products of a secret scalar: whether it is zero is public, and so are both answers. */
static void
points(void)
{
    qr_fq k = {{0, 0, 0, 0}}, coef[3], at;
    qr_pt G, P;

    must(qr_pt_mul_base(&G, &qr_fq_one) == QR_OK, "G");
    poison_secret(&k, sizeof k);
    must(qr_pt_mul_base(&P, &k) == QR_ERR_INFINITY, "0*G");
    must(qr_pt_mul(&P, &G, &k) == QR_ERR_INFINITY, "0*P");
    must(qr_pt_eq(&G, &G), "a point equals itself");
    draw_scalar(&k);
    must(qr_pt_mul_base(&P, &k) == QR_OK, "k*G");
    for (int i = 0; i < 3; i++)
        draw_scalar(&coef[i]);
    qr_poly_eval(coef, 3, 2, &at);
}

static void *
room(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    must(p != NULL, "memory");
    memset(p, 0, n);
    return p;
}

static void
bits(void)
{
    uint8_t *block = room(QR_BITMAT_BLOCK), *leaf = room(4096), sum[144] = {0};
    uint8_t chi[16 * 4], x[16 * 4], last[16], r[16];

    draw(block, QR_BITMAT_BLOCK);
    qr_bitmat_transpose(block, 1);
    draw(leaf, 4096);
    qr_bitmat_fold(sum, sum, leaf);
    qr_bitmat_fold_portable(sum, sum, leaf);
    draw(chi, sizeof chi);
    draw(x, sizeof x);
    draw(last, sizeof last);
    qr_gf128_combine(r, chi, x, 16, 4, last);
    qr_gf128_combine_portable(r, chi, x, 16, 4, last);
    qr_bitmat_add_each(leaf, leaf, r, 256);
    qr_ct_xor(leaf, block, 64, qr_ct_mask(qr_ct_bit(r, 3)));
    qr_ct_select(leaf, leaf, block, 64, qr_ct_mask_eq(r[0], 5));
    free(block);
    free(leaf);
}

/* Rows of numbers, by one implementation: a whole presignature's, and a few. */
static void
rows(const struct qr_rows *t)
{
    enum { N = 64 };
    uint8_t *x = room(N * QR_ROW_LEN), *y = room(N * QR_ROW_LEN), *out = room(N * QR_ROW_LEN);
    uint8_t bit[N / 8];
    qr_fq a, g[N], theta[2], sum;

    draw(x, N * QR_ROW_LEN);
    draw(y, N * QR_ROW_LEN);
    draw(bit, sizeof bit);
    draw_scalar(&a);
    for (int i = 0; i < N; i++)
        draw_scalar(&g[i]);
    draw_scalar(&theta[0]);
    draw_scalar(&theta[1]);
    t->diff(out, x, y, &a, N);
    t->cadd(x, out, bit, N);
    t->dot(&sum, g, x, N);
    must(!poison_watched() || poison_is_all_secret(x, N * QR_ROW_LEN), "rows stay secret");
    t->combine(out, x, theta, &a, bit, N);
    must(!poison_watched() || poison_is_all_secret(out, N * 32), "combined rows stay secret");
    must(!poison_watched() || poison_is_all_secret(&sum, sizeof sum), "a sum stays secret");
    free(x);
    free(y);
    free(out);
}

static void
zero_sharing(void)
{
    struct qr_sec32 z[3];
    const struct qr_sec32 *at[3] = {&z[0], &z[1], &z[2]};
    const uint16_t S[3] = {1, 2, 4};
    uint8_t sid[32] = {3};
    qr_fq zeta;

    draw(z, sizeof z);
    qr_zero_share(at, S, 3, 2, sid, 1, &zeta);
}

void
drive_primitives(void)
{
    scalars();
    points();
    bits();
    rows(&qr_rows_portable);
    zero_sharing();
}

/* By itself, as no library is called here: the part that MSan can run. */
void
drive_rows(void)
{
    printf("rows: %s\n", qr_rows_best()->name);
    rows(qr_rows_best());
}
