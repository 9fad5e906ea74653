/*
 * What is timed: scalars, the rows of the multiplication, the PPRF, C1 (the extension's check, with
 * Delta secret), C2 (the multiplication's check, with the choice bits secret), the multiplication
 * itself; and two leaks put here on purpose.
 *
 * A check is timed on a message that fails it whatever the secret is: its verdict is public, the way
 * to it must not be.
 */
#include "test/ctime/dudect.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/aes.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/cot.h"
#include "protocol/pprf.h"
#include "protocol/rows.h"
#include "protocol/rvole.h"

#define B 4u
#define N 64u /* rows */

static struct {
    /* what is secret in a run */
    uint8_t secret[64 + QR_COT_BETA_LEN(B)];
    qr_fq a, b;
    struct qr_sec16 delta;
    /* everything else */
    struct qr_aes *aes;
    _Alignas(64) struct qr_sec16 seed[16][256];
    _Alignas(64) struct qr_sec16 rows[QR_COT_ROWS(B)];
    _Alignas(64) uint8_t scratch[128 * 1024];
    struct qr_sec16 key[2 * QR_OT_COUNT];
    struct qr_pprf_work work;
    uint8_t pprf[QR_PPRF_LEN], cot[QR_COT_LEN(B)], payload[QR_RVOLE_LEN];
    uint8_t x[N * QR_ROW_LEN], y[N * QR_ROW_LEN], out[N * QR_ROW_LEN];
    qr_fq g[QR_XI], theta[2];
} s;

static const uint8_t sid[32] = {1}, rsid[32] = {2};
static volatile int sink;

static void
load_bytes(const uint8_t *secret)
{
    memcpy(s.secret, secret, sizeof s.secret);
}

static void
load_scalars(const uint8_t *secret)
{
    qr_fq_reduce32(&s.a, secret);
    qr_fq_reduce32(&s.b, secret + 32);
}

static void
load_delta(const uint8_t *secret)
{
    memcpy(&s.delta, secret, 16);
}

static void
run_scalar_products(void)
{
    qr_fq t = s.a;
    for (int i = 0; i < 32; i++)
        qr_fq_mul(&t, &t, &s.b);
    sink = (int)t.d[0];
}

static void
run_scalar_sums(void)
{
    qr_fq t = s.a;
    for (int i = 0; i < 32; i++) {
        qr_fq_add(&t, &t, &s.b);
        qr_fq_sub(&t, &t, &s.a);
        qr_fq_cadd(&t, &s.a, t.d[0] & 1);
        qr_fq_neg(&t, &t);
    }
    sink = (int)t.d[0];
}

static void
run_scalar_reduction(void)
{
    qr_fq t;
    qr_fq_acc acc;
    qr_fq_acc_zero(&acc);
    for (int i = 0; i < 16; i++) {
        qr_fq_reduce64(&t, s.secret + i);
        qr_fq_acc_mul(&acc, &t, &t);
    }
    qr_fq_acc_reduce(&t, &acc);
    sink = (int)t.d[0];
}

static void
rows(const struct qr_rows *r)
{
    r->cadd(s.x, s.y, s.secret, N);
    r->combine(s.out, s.x, s.theta, &s.theta[0], s.secret, N);
}

static void
run_rows_portable(void)
{
    rows(&qr_rows_portable);
}

static void
run_rows_best(void)
{
    rows(qr_rows_best());
}

static void
run_pprf_build(void)
{
    qr_pprf_build(sid, s.key, &s.work, s.pprf, s.seed);
}

static void
load_key(const uint8_t *secret)
{
    memcpy(s.key, secret, sizeof s.key);
}

static void
run_pprf_open(void)
{
    struct qr_sec16 delta;
    sink = (int)qr_pprf_open(sid, &s.delta, s.key, s.pprf, &s.work, s.seed, &delta);
}

static void
run_c1(void)
{
    sink = (int)qr_cot_recv(rsid, (const struct qr_sec16(*)[256])s.seed, &s.delta, B, s.cot, s.aes,
                            s.scratch, s.rows);
}

static struct qr_rvole
rvole(void)
{
    qr_rvole_key(s.aes, rsid);
    return (struct qr_rvole){rsid, s.g, s.aes, s.scratch};
}

static void
run_c2(void)
{
    struct qr_rvole v = rvole();
    qr_fq d[2];
    sink = (int)qr_rvole_bob(&v, 0, s.rows, s.secret, s.payload, d);
}

static void
load_alice(const uint8_t *secret)
{
    load_scalars(secret);
    load_delta(secret + 64);
}

static void
run_alice(void)
{
    static uint8_t payload[QR_RVOLE_LEN];
    struct qr_rvole v = rvole();
    const qr_fq a[2] = {s.a, s.b};
    qr_fq c[2];
    qr_rvole_alice(&v, 0, s.rows, &s.delta, a, &s.b, payload, c);
}

static void
run_mask(void)
{
    qr_fq b;
    qr_rvole_mask(s.g, s.secret, 0, &b);
    sink = (int)b.d[0];
}

/* ---- leaks ---------------------------------------------------------------------------------- */

static void
run_early_exit(void)
{
    static const uint8_t zero[64];
    volatile const uint8_t *p = s.secret;
    size_t i = 0;
    while (i < sizeof zero && p[i] == zero[i])
        i++;
    sink = (int)i;
}

/* One multiplication for each bit that is set. */
static void
run_conditional_product(void)
{
    qr_fq t = s.theta[0];
    for (size_t j = 0; j < 64; j++)
        if (s.secret[j / 8] >> (j % 8) & 1)
            qr_fq_mul(&t, &t, &s.theta[1]);
    sink = (int)t.d[0];
}

static const struct dudect_target targets[] = {
    {"scalar-products", 64, 1, 0, 0, load_scalars, run_scalar_products},
    {"scalar-products-of-ones", 64, 1, 0xff, 0, load_scalars, run_scalar_products},
    {"scalar-sums", 64, 1, 0, 0, load_scalars, run_scalar_sums},
    {"scalar-reduction", sizeof s.secret, 1, 0xff, 0, load_bytes, run_scalar_reduction},
    {"rows-portable", sizeof s.secret, 1, 0, 0, load_bytes, run_rows_portable},
    {"rows-best", sizeof s.secret, 1, 0, 0, load_bytes, run_rows_best},
    {"pprf-build", sizeof s.key, 5, 0, 0, load_key, run_pprf_build},
    {"pprf-open", 16, 5, 0, 0, load_delta, run_pprf_open},
    {"c1-delta", 16, 2, 0, 0, load_delta, run_c1},
    {"c1-delta-of-ones", 16, 2, 0xff, 0, load_delta, run_c1},
    {"c2-choice-bits", sizeof s.secret, 2, 0, 0, load_bytes, run_c2},
    {"rvole-alice", 80, 2, 0, 0, load_alice, run_alice},
    {"rvole-mask", sizeof s.secret, 1, 0, 0, load_bytes, run_mask},
    {"planted-early-exit", sizeof s.secret, 1, 0, 1, load_bytes, run_early_exit},
    {"planted-conditional-product", sizeof s.secret, 1, 0, 1, load_bytes, run_conditional_product},
    {NULL, 0, 0, 0, 0, NULL, NULL},
};

const struct dudect_target *
dudect_targets(void)
{
    uint8_t wide[64];

    QR_ASSERT(qr_hash_init() == QR_OK && qr_aes_init() == QR_OK);
    s.aes = qr_aes_new();
    QR_ASSERT(s.aes != NULL);
    QR_ASSERT(qr_cot_scratch(B) <= sizeof s.scratch && qr_rvole_scratch() <= sizeof s.scratch);
    randombytes_buf(s.seed, sizeof s.seed);
    randombytes_buf(s.key, sizeof s.key);
    randombytes_buf(s.rows, sizeof s.rows);
    randombytes_buf(s.pprf, sizeof s.pprf);
    randombytes_buf(s.cot, sizeof s.cot);
    randombytes_buf(s.x, sizeof s.x);
    randombytes_buf(s.y, sizeof s.y);
    qr_gadget(rsid, s.g);
    for (int i = 0; i < 2; i++) {
        randombytes_buf(wide, sizeof wide);
        qr_fq_reduce64(&s.theta[i], wide);
    }
    /* scalars below q, as the payload's form is public */
    for (size_t i = 0; i < QR_RVOLE_LEN; i += 32) {
        randombytes_buf(s.payload + i, 32);
        s.payload[i] = 0;
    }
    return targets;
}
