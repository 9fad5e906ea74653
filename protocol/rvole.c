/*
 * Rows go through in steps that stay in the first cache: pads by two bulk AES calls, then scalars.
 * Sums over rows are kept unreduced (qr_fq_acc) to their end.
 */
#include "protocol/rvole.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/ct.h"

#define COLUMNS 3u               /* a_0, a_1, check */
#define ROW_LEN (COLUMNS * 32u)  /* of A~ */
#define ETA_AT (QR_XI * ROW_LEN) /* in the payload, after A~ */
#define MU_AT (ETA_AT + 32u)
#define STEP 32u                  /* rows at a time; divides QR_XI */
#define PAD_BLOCKS (COLUMNS * 2u) /* AES blocks of a pad row */

_Static_assert(QR_XI % STEP == 0, "steps cover the rows");
_Static_assert(MU_AT + 32u == QR_RVOLE_LEN, "payload layout");

/* An AES block; two words, little-endian in memory. */
typedef uint64_t block __attribute__((vector_size(16), may_alias));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tweaks are built as words");

struct work {
    block x[2 * STEP];                  /* what is padded */
    block y[2 * STEP];                  /* AES(x) */
    block pad[2 * STEP][PAD_BLOCKS];    /* per x: columns 0, 1, 2 of 32 bytes */
    qr_fq_loose alpha0[QR_XI][COLUMNS]; /* Alice only */
    uint8_t mu[QR_XI * 32u];
};

size_t
qr_rvole_scratch(void)
{
    return QR_ARENA_ROUND(sizeof(struct work));
}

void
qr_rvole_key(struct qr_aes *aes, const uint8_t rsid[static 32])
{
    struct qr_sec32 k QR_WIPE(qr_sec32);

    qr_th(QR_TAG_K_PAD, QR_FIELDS(QR_F(rsid, 32)), k.b);
    qr_aes_key(aes, k.b);
}

void
qr_gadget(const uint8_t rsid[static 32], qr_fq ret_g[static QR_XI])
{
    uint8_t wide[32];

    /* The bytes are made where the scalars go. */
    _Static_assert(sizeof(qr_fq) == 32, "a scalar takes the place of its bytes");
    qr_tx(QR_TAG_GADGET, QR_FIELDS(QR_F(rsid, 32)), (uint8_t *)ret_g, QR_XI * 32u);
    for (size_t j = 0; j < QR_XI; j++) {
        memcpy(wide, &ret_g[j], 32);
        qr_fq_reduce32(&ret_g[j], wide);
    }
}

/*
 * w->pad = F(x, tw) for n values w->x; value v has the global row first + v / per_row. The tweak
 * sits in the first six bytes of a block: u32 J, u8 i, u8 h, all big-endian, then zeros.
 */
static void
make_pads(struct work *w, struct qr_aes *aes, uint32_t first, size_t n, size_t per_row)
{
    block column[PAD_BLOCKS];

    for (unsigned i = 0; i < PAD_BLOCKS; i++)
        column[i] = (block){(uint64_t)(i / 2) << 32 | (uint64_t)(i % 2) << 40, 0};
    qr_aes_blocks(aes, (const uint8_t *)w->x, (uint8_t *)w->y, n);
    for (size_t v = 0; v < n; v++) {
        const block row = {__builtin_bswap32(first + (uint32_t)(v / per_row)), 0};
        for (size_t i = 0; i < PAD_BLOCKS; i++)
            w->pad[v][i] = w->y[v] ^ row ^ column[i];
    }
    qr_aes_blocks(aes, (const uint8_t *)w->pad, (uint8_t *)w->pad, n * PAD_BLOCKS);
    for (size_t v = 0; v < n; v++) {
        for (size_t i = 0; i < PAD_BLOCKS; i++)
            w->pad[v][i] ^= w->y[v];
    }
}

/* pad(x_v; J, i). */
static void
load_pad(const struct work *w, size_t v, size_t i, qr_fq_loose *ret)
{
    qr_fq_loose_load(ret, (const uint8_t *)&w->pad[v][2 * i]);
}

/* theta_0, theta_1 from A~. */
static void
derive_theta(const struct qr_rvole *v, uint16_t k, const uint8_t *a_tilde, qr_fq ret[static 2])
{
    uint8_t h[32], wide[64], k_be[2];

    qr_put16(k_be, k);
    qr_th(QR_TAG_THETA_IN, QR_FIELDS(QR_F(v->rsid, 32), QR_F(k_be, 2), QR_F(a_tilde, ETA_AT)), h);
    for (uint8_t i = 0; i < 2; i++) {
        qr_tb(QR_TAG_THETA, QR_FIELDS(QR_F(v->rsid, 32), QR_F(k_be, 2), QR_F(&i, 1), QR_F(h, 32)),
              wide);
        qr_fq_reduce64(&ret[i], wide);
    }
}

/* ret = x[2] + theta_0 * x[0] + theta_1 * x[1]; acc is the caller's, who wipes it once. */
static void
check_combine(qr_fq *ret, qr_fq_acc *acc, const qr_fq theta[static 2],
              const qr_fq_loose x[static COLUMNS])
{
    qr_fq_acc_zero(acc);
    qr_fq_acc_mul_loose(acc, &theta[0], &x[0]);
    qr_fq_acc_mul_loose(acc, &theta[1], &x[1]);
    qr_fq_acc_add_loose(acc, &x[2]);
    qr_fq_acc_reduce(ret, acc);
}

static void
hash_mu(const struct qr_rvole *v, uint16_t k, const uint8_t *mu, uint8_t out[static 32])
{
    uint8_t k_be[2];

    qr_put16(k_be, k);
    qr_th(QR_TAG_MU, QR_FIELDS(QR_F(v->rsid, 32), QR_F(k_be, 2), QR_F(mu, QR_XI * 32u)), out);
}

void
qr_rvole_alice(const struct qr_rvole *v, uint16_t k, const struct qr_sec16 *rows_q,
               const struct qr_sec16 *delta, const qr_fq a[static 2], const qr_fq *a_hat,
               uint8_t payload[static QR_RVOLE_LEN], qr_fq ret_c[static 2])
{
    struct work *w = v->scratch;
    const uint32_t row0 = QR_XI * (uint32_t)k;
    const qr_fq *const in[COLUMNS] = {&a[0], &a[1], a_hat};
    qr_fq_acc sum0 QR_WIPE(qr_fq_acc), sum1 QR_WIPE(qr_fq_acc), acc QR_WIPE(qr_fq_acc);
    qr_fq_loose alpha1 QR_WIPE(qr_fq_loose);
    qr_fq t QR_WIPE(qr_fq);
    qr_fq theta[2];
    block d;

    memcpy(&d, delta, 16);
    qr_fq_acc_zero(&sum0);
    qr_fq_acc_zero(&sum1);
    for (uint32_t base = 0; base < QR_XI; base += STEP) {
        for (size_t s = 0; s < STEP; s++) {
            memcpy(&w->x[2 * s], &rows_q[row0 + base + s], 16);
            w->x[2 * s + 1] = w->x[2 * s] ^ d;
        }
        make_pads(w, v->aes, row0 + base, 2 * STEP, 2);
        for (size_t s = 0; s < STEP; s++) {
            const size_t j = base + s;
            qr_fq_loose *alpha0 = w->alpha0[j];
            for (size_t i = 0; i < COLUMNS; i++) {
                load_pad(w, 2 * s, i, &alpha0[i]);
                load_pad(w, 2 * s + 1, i, &alpha1);
                qr_fq_loose_diff(&t, &alpha0[i], &alpha1, in[i]);
                qr_fq_put(payload + ROW_LEN * j + 32 * i, &t);
            }
            qr_fq_acc_mul_loose(&sum0, &v->g[j], &alpha0[0]);
            qr_fq_acc_mul_loose(&sum1, &v->g[j], &alpha0[1]);
        }
    }
    qr_fq_acc_reduce(&t, &sum0);
    qr_fq_neg(&ret_c[0], &t);
    qr_fq_acc_reduce(&t, &sum1);
    qr_fq_neg(&ret_c[1], &t);

    derive_theta(v, k, payload, theta);
    qr_fq_acc_zero(&acc);
    qr_fq_acc_mul(&acc, &theta[0], &a[0]);
    qr_fq_acc_mul(&acc, &theta[1], &a[1]);
    qr_fq_acc_add(&acc, a_hat);
    qr_fq_acc_reduce(&t, &acc);
    qr_fq_put(payload + ETA_AT, &t);
    for (size_t j = 0; j < QR_XI; j++) {
        check_combine(&t, &acc, theta, w->alpha0[j]);
        qr_fq_put(w->mu + 32 * j, &t);
    }
    hash_mu(v, k, w->mu, payload + MU_AT);
    qr_wipe(&d, sizeof d);
}

void
qr_rvole_mask(const qr_fq g[static QR_XI], const uint8_t *beta, uint16_t k, qr_fq *ret_b)
{
    qr_fq b QR_WIPE(qr_fq) = qr_fq_zero;

    for (size_t j = 0; j < QR_XI; j++)
        qr_fq_cadd(&b, &g[j], qr_ct_bit(beta, QR_XI * (size_t)k + j));
    *ret_b = b;
}

/* Every scalar of the payload below q; public, variable time. */
static qr_err
check_scalars(const uint8_t *payload)
{
    qr_fq t;

    for (const uint8_t *p = payload; p < payload + MU_AT; p += 32) {
        /* All of q's first 64 bits are set, so one word settles nearly every scalar. */
        if (qr_get64(p) == UINT64_MAX)
            QR_TRY(qr_fq_parse(&t, p));
    }
    return QR_OK;
}

qr_err
qr_rvole_bob(const struct qr_rvole *v, uint16_t k, const struct qr_sec16 *rows_t,
             const uint8_t *beta, const uint8_t payload[static QR_RVOLE_LEN], qr_fq ret_d[static 2])
{
    struct work *w = v->scratch;
    const uint32_t row0 = QR_XI * (uint32_t)k;
    qr_fq_acc sum0 QR_WIPE(qr_fq_acc), sum1 QR_WIPE(qr_fq_acc), acc QR_WIPE(qr_fq_acc);
    qr_fq d0 QR_WIPE(qr_fq), d1 QR_WIPE(qr_fq), t QR_WIPE(qr_fq);
    struct qr_sec32 mu QR_WIPE(qr_sec32);
    qr_fq_loose d[COLUMNS], a_tilde;
    qr_fq theta[2], minus_eta;

    QR_TRY(check_scalars(payload));
    derive_theta(v, k, payload, theta);
    qr_fq_reduce32(&t, payload + ETA_AT);
    qr_fq_neg(&minus_eta, &t);
    qr_fq_acc_zero(&sum0);
    qr_fq_acc_zero(&sum1);
    for (uint32_t base = 0; base < QR_XI; base += STEP) {
        memcpy(w->x, rows_t + row0 + base, STEP * sizeof w->x[0]);
        make_pads(w, v->aes, row0 + base, STEP, 1);
        for (size_t s = 0; s < STEP; s++) {
            const size_t j = base + s;
            const uint64_t bit = qr_ct_bit(beta, row0 + j);
            for (size_t i = 0; i < COLUMNS; i++) {
                load_pad(w, s, i, &d[i]);
                qr_fq_loose_load(&a_tilde, payload + ROW_LEN * j + 32 * i);
                qr_fq_loose_cadd(&d[i], &a_tilde, bit);
            }
            qr_fq_acc_mul_loose(&sum0, &v->g[j], &d[0]);
            qr_fq_acc_mul_loose(&sum1, &v->g[j], &d[1]);
            check_combine(&t, &acc, theta, d);
            qr_fq_cadd(&t, &minus_eta, bit);
            qr_fq_put(w->mu + 32 * j, &t);
        }
    }
    qr_wipe(d, sizeof d);
    hash_mu(v, k, w->mu, mu.b);
    qr_fq_acc_reduce(&d0, &sum0);
    qr_fq_acc_reduce(&d1, &sum1);
    if (!qr_sec_eq(mu.b, payload + MU_AT, 32))
        return QR_ERR_CHECK;
    ret_d[0] = d0;
    ret_d[1] = d1;
    return QR_OK;
}
