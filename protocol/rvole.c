/*
 * Rows go through in steps that stay in the first cache: pads by two bulk AES calls, then what
 * needs both pads or the peer's number. Sums over all rows follow.
 */
#include "protocol/rvole.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/ct.h"
#include "protocol/rows.h"

#define ETA_AT (QR_XI * QR_ROW_LEN) /* in the payload, after A~ */
#define MU_AT (ETA_AT + 32u)
#define STEP 32u                     /* rows at a time */
#define BLOCKS (QR_ROW_COLUMNS * 2u) /* AES blocks of a row of pads */
#define BIT_BYTES (QR_XI / 8u)       /* of choice bits a presignature */

#define STACK_USED 4096u /* at most, by the row functions' vectors */

_Static_assert(QR_XI % STEP == 0 && STEP % 8 == 0, "steps cover the rows");
_Static_assert(MU_AT + 32u == QR_RVOLE_LEN, "payload layout");
_Static_assert(BLOCKS * 16u == QR_ROW_LEN, "pads are rows");

/* An AES block; two words, little-endian in memory. */
typedef uint64_t block __attribute__((vector_size(16), may_alias));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tweaks are built as words");

struct work {
    block x[STEP];             /* what is padded */
    block y[STEP];             /* AES(x) */
    block row[QR_XI][BLOCKS];  /* alpha0 (Alice), gamma and then d. (Bob) */
    block other[STEP][BLOCKS]; /* alpha1 */
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
 * pad = F(x, tw) for the STEP values w->x, which belong to global rows first, first + 1, ... The
 * tweak sits in the first six bytes of a block: u32 J, u8 i, u8 h, all big-endian, then zeros.
 */
static void
make_pads(struct work *w, struct qr_aes *aes, uint32_t first, block (*pad)[BLOCKS])
{
    block column[BLOCKS];

    for (unsigned i = 0; i < BLOCKS; i++)
        column[i] = (block){(uint64_t)(i / 2) << 32 | (uint64_t)(i % 2) << 40, 0};
    qr_aes_blocks(aes, (const uint8_t *)w->x, (uint8_t *)w->y, STEP);
    for (uint32_t j = 0; j < STEP; j++) {
        const block row = {__builtin_bswap32(first + j), 0};
        for (size_t i = 0; i < BLOCKS; i++)
            pad[j][i] = w->y[j] ^ row ^ column[i];
    }
    qr_aes_blocks(aes, (const uint8_t *)pad, (uint8_t *)pad, STEP * BLOCKS);
    for (size_t j = 0; j < STEP; j++) {
        for (size_t i = 0; i < BLOCKS; i++)
            pad[j][i] ^= w->y[j];
    }
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
    static const uint8_t no_bits[BIT_BYTES];
    const struct qr_rows *rows = qr_rows_best();
    const qr_fq *const in[QR_ROW_COLUMNS] = {&a[0], &a[1], a_hat};
    struct work *w = v->scratch;
    const uint8_t *alpha0 = (const uint8_t *)w->row, *alpha1 = (const uint8_t *)w->other;
    qr_fq_acc acc QR_WIPE(qr_fq_acc);
    qr_fq t QR_WIPE(qr_fq);
    qr_fq theta[2];
    block d;

    memcpy(&d, delta, sizeof d);
    for (uint32_t j = 0; j < QR_XI; j += STEP) {
        const uint32_t J = QR_XI * (uint32_t)k + j;
        memcpy(w->x, rows_q + J, sizeof w->x);
        make_pads(w, v->aes, J, w->row + j);
        for (size_t s = 0; s < STEP; s++)
            w->x[s] ^= d;
        make_pads(w, v->aes, J, w->other);
        for (size_t i = 0; i < QR_ROW_COLUMNS; i++)
            rows->diff(payload + QR_ROW_LEN * j + 32 * i, alpha0 + QR_ROW_LEN * j + 32 * i,
                       alpha1 + 32 * i, in[i], STEP);
    }
    for (size_t i = 0; i < 2; i++) {
        rows->dot(&t, v->g, alpha0 + 32 * i, QR_XI);
        qr_fq_neg(&ret_c[i], &t);
    }

    derive_theta(v, k, payload, theta);
    qr_fq_acc_zero(&acc);
    qr_fq_acc_mul(&acc, &theta[0], &a[0]);
    qr_fq_acc_mul(&acc, &theta[1], &a[1]);
    qr_fq_acc_add(&acc, a_hat);
    qr_fq_acc_reduce(&t, &acc);
    qr_fq_put(payload + ETA_AT, &t);
    rows->combine(w->mu, alpha0, theta, &qr_fq_zero, no_bits, QR_XI);
    hash_mu(v, k, w->mu, payload + MU_AT);
    qr_wipe(&d, sizeof d);
    sodium_stackzero(STACK_USED);
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
    const struct qr_rows *rows = qr_rows_best();
    const uint8_t *bits = beta + BIT_BYTES * (size_t)k;
    struct work *w = v->scratch;
    uint8_t *d = (uint8_t *)w->row;
    qr_fq sum0 QR_WIPE(qr_fq), sum1 QR_WIPE(qr_fq), t QR_WIPE(qr_fq);
    struct qr_sec32 mu QR_WIPE(qr_sec32);
    qr_fq theta[2], minus_eta;

    QR_TRY(check_scalars(payload));
    derive_theta(v, k, payload, theta);
    qr_fq_reduce32(&t, payload + ETA_AT);
    qr_fq_neg(&minus_eta, &t);
    for (uint32_t j = 0; j < QR_XI; j += STEP) {
        const uint32_t J = QR_XI * (uint32_t)k + j;
        memcpy(w->x, rows_t + J, sizeof w->x);
        make_pads(w, v->aes, J, w->row + j);
        rows->cadd(d + QR_ROW_LEN * j, payload + QR_ROW_LEN * j, bits + j / 8, STEP);
    }
    rows->dot(&sum0, v->g, d, QR_XI);
    rows->dot(&sum1, v->g, d + 32, QR_XI);
    rows->combine(w->mu, d, theta, &minus_eta, bits, QR_XI);
    hash_mu(v, k, w->mu, mu.b);
    sodium_stackzero(STACK_USED);
    if (!qr_sec_eq(mu.b, payload + MU_AT, 32))
        return QR_ERR_CHECK;
    ret_d[0] = sum0;
    ret_d[1] = sum1;
    return QR_OK;
}
