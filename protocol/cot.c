/*
 * Order of work: for each group of 256 leaves, AES runs over a few PRG blocks of all leaves at
 * once, and each block of 256 is folded at once into its eight sums while it is in the first cache.
 *
 * The matrix is built in the caller's rows, in blocks: block j (2,048 bytes) holds bits 128j to
 * 128j + 127 of the rows V_0..V_127. The check reads it in that form; transposing each block in
 * place then gives the 128 columns that are the rows t_j or q_j.
 */
#include "protocol/cot.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/bitmat.h"
#include "protocol/ct.h"
#include "protocol/gf128.h"

/* PRG blocks per AES call and group: 16 KB, so that it stays in the first cache with its seeds. */
#define STEP 4u
#define LEAF_BLOCK 4096u /* one PRG block of 256 leaves */
#define SUM_LEN 144u     /* qr_bitmat_fold: eight sums, then the total */
#define CHI_MAX (QR_COT_BITS(QR_BATCH_MAX) / 128u)

struct work {
    uint8_t leaf[STEP * LEAF_BLOCK];
    uint8_t last[QR_BITMAT_BLOCK];     /* block m of the matrix: the masking bits */
    uint8_t combined[QR_BITMAT_BLOCK]; /* T~_0..T~_127 or W~_0..W~_127 */
    uint8_t chi[16 * CHI_MAX];
    uint8_t sum[STEP][SUM_LEN];
    uint8_t seed_sum[SUM_LEN];
};

static const uint8_t no_sum[SUM_LEN];

/* The parts of one batch's message; all sizes follow from B. */
struct shape {
    size_t m;         /* data blocks; block m is the mask */
    size_t row_bytes; /* of one u_g or beta' */
};

size_t
qr_cot_scratch(uint16_t B)
{
    (void)B;
    return QR_ARENA_ROUND(sizeof(struct work));
}

static struct shape
shape_of(uint16_t B)
{
    QR_ASSERT(B >= 4 && B <= QR_BATCH_MAX && B % 4 == 0);
    return (struct shape){QR_COT_BITS(B) / 128u, QR_COT_ROW_BYTES(B)};
}

static void
key_prg(struct qr_aes *aes, const uint8_t rsid[static 32])
{
    struct qr_sec32 k QR_WIPE(qr_sec32);

    qr_th(QR_TAG_K_PRG, QR_FIELDS(QR_F(rsid, 32)), k.b);
    qr_aes_key(aes, k.b);
}

/*
 * w->sum[i] = fold over the 256 leaves x of block first + i of PRG(seed[x]), i < n <= STEP.
 *
 * PRG block j is AES(s ^ <j>) ^ s ^ <j>. Every sum has an even number of terms, so <j> cancels in
 * the feed-forward, and what is left of it, the fold of the seeds, is the same for every block: it
 * is w->seed_sum, computed once a group.
 */
static void
group_sums(struct work *w, struct qr_aes *aes, const struct qr_sec16 seed[256], size_t first,
           size_t n)
{
    uint8_t counter[16] = {0};

    for (size_t i = 0; i < n; i++) {
        qr_put32(counter + 12, (uint32_t)(first + i));
        qr_bitmat_add_each(w->leaf + i * LEAF_BLOCK, (const uint8_t *)seed, counter, 256);
    }
    qr_aes_blocks(aes, w->leaf, w->leaf, 256 * n);
    for (size_t i = 0; i < n; i++)
        qr_bitmat_fold(w->sum[i], w->seed_sum, w->leaf + i * LEAF_BLOCK);
}

/* Rows 8g..8g+7 of block j of the matrix. */
static uint8_t *
matrix_at(struct work *w, struct qr_sec16 *rows, struct shape sh, size_t g, size_t j)
{
    uint8_t *block = j < sh.m ? (uint8_t *)rows + j * QR_BITMAT_BLOCK : w->last;
    return block + 128 * g;
}

static void
xor16(uint8_t *ret, const uint8_t *a, const uint8_t *b)
{
    uint64_t x[2], y[2];

    memcpy(x, a, 16);
    memcpy(y, b, 16);
    x[0] ^= y[0];
    x[1] ^= y[1];
    memcpy(ret, x, 16);
}

/* Bob's V and u. */
static void
expand_bob(struct work *w, struct shape sh, struct qr_aes *aes, const struct qr_sec16 (*seed)[256],
           const uint8_t *beta, uint8_t *u, struct qr_sec16 *rows)
{
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++, u += sh.row_bytes) {
        qr_bitmat_fold(w->seed_sum, no_sum, (const uint8_t *)seed[g]);
        for (size_t j = 0; j <= sh.m; j++) {
            if (j % STEP == 0)
                group_sums(w, aes, seed[g], j, sh.m + 1 - j < STEP ? sh.m + 1 - j : STEP);
            const uint8_t *sum = w->sum[j % STEP];
            memcpy(matrix_at(w, rows, sh, g, j), sum, 128);
            xor16(u + 16 * j, sum + 128, beta + 16 * j);
        }
    }
}

/*
 * Alice's W = V ^ Delta_i * beta'. She must sum bit_b(x ^ Delta_g) * r_x over all x but Delta_g.
 * With any value r for the leaf she lacks, let V_b and T be the fold over all 256 leaves. Then
 *
 *     V_b ^ bit_b(Delta_g) * T = sum over all x of bit_b(x ^ Delta_g) * r_x,
 *
 * in which leaf Delta_g has the coefficient bit_b(0) = 0: r cancels, and nothing depends on Delta
 * but one mask for each row.
 */
static void
expand_alice(struct work *w, struct shape sh, struct qr_aes *aes,
             const struct qr_sec16 (*seed)[256], const struct qr_sec16 *delta, const uint8_t *u,
             struct qr_sec16 *rows)
{
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++, u += sh.row_bytes) {
        uint64_t mask[8];
        for (size_t b = 0; b < 8; b++)
            mask[b] = qr_ct_mask(qr_ct_bit(delta->b, 8 * g + b));
        qr_bitmat_fold(w->seed_sum, no_sum, (const uint8_t *)seed[g]);
        for (size_t j = 0; j <= sh.m; j++) {
            uint64_t t[2], v[16];
            if (j % STEP == 0)
                group_sums(w, aes, seed[g], j, sh.m + 1 - j < STEP ? sh.m + 1 - j : STEP);
            xor16(w->sum[j % STEP] + 128, w->sum[j % STEP] + 128, u + 16 * j);
            memcpy(v, w->sum[j % STEP], 128);
            memcpy(t, w->sum[j % STEP] + 128, 16);
            for (size_t b = 0; b < 8; b++) {
                v[2 * b] ^= t[0] & mask[b];
                v[2 * b + 1] ^= t[1] & mask[b];
            }
            memcpy(matrix_at(w, rows, sh, g, j), v, 128);
        }
        qr_wipe(mask, sizeof mask);
    }
}

/* The challenge from all of u, and the 128 combined rows. */
static void
combine_rows(struct work *w, struct shape sh, const uint8_t rsid[static 32], const uint8_t *u,
             const struct qr_sec16 *rows)
{
    qr_tx(QR_TAG_CHI, QR_FIELDS(QR_F(rsid, 32), QR_F(u, QR_PPRF_GROUPS * sh.row_bytes)), w->chi,
          16 * sh.m);
    for (size_t i = 0; i < 128; i++)
        qr_gf128_combine(w->combined + 16 * i, w->chi, (const uint8_t *)&rows[i], QR_BITMAT_BLOCK,
                         sh.m, w->last + 16 * i);
}

static void
hash_rows(const struct work *w, const uint8_t rsid[static 32], uint8_t out[static 32])
{
    qr_th(QR_TAG_OT_CHK, QR_FIELDS(QR_F(rsid, 32), QR_F(w->combined, sizeof w->combined)), out);
}

void
qr_cot_send(const uint8_t rsid[static 32], const struct qr_sec16 (*seed)[256], uint16_t B,
            const uint8_t *beta, struct qr_aes *aes, void *scratch, uint8_t *msg,
            struct qr_sec16 *rows_t)
{
    struct work *w = scratch;
    struct shape sh = shape_of(B);
    uint8_t *x = msg + QR_PPRF_GROUPS * sh.row_bytes;

    key_prg(aes, rsid);
    expand_bob(w, sh, aes, seed, beta, msg, rows_t);
    combine_rows(w, sh, rsid, msg, rows_t);
    qr_gf128_combine(x, w->chi, beta, 16, sh.m, beta + 16 * sh.m);
    hash_rows(w, rsid, x + 16);
    qr_bitmat_transpose((uint8_t *)rows_t, sh.m);
    sodium_stackzero(2048);
}

qr_err
qr_cot_recv(const uint8_t rsid[static 32], const struct qr_sec16 (*seed)[256],
            const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg, struct qr_aes *aes,
            void *scratch, struct qr_sec16 *rows_q)
{
    struct work *w = scratch;
    struct shape sh = shape_of(B);
    const uint8_t *x = msg + QR_PPRF_GROUPS * sh.row_bytes;
    struct qr_sec32 h QR_WIPE(qr_sec32);

    key_prg(aes, rsid);
    expand_alice(w, sh, aes, seed, delta, msg, rows_q);
    combine_rows(w, sh, rsid, msg, rows_q);
    for (size_t i = 0; i < 128; i++) {
        uint8_t *row = w->combined + 16 * i, shifted[16];
        xor16(shifted, row, x);
        qr_ct_select(row, row, shifted, 16, qr_ct_mask(qr_ct_bit(delta->b, i)));
    }
    hash_rows(w, rsid, h.b);
    qr_bitmat_transpose((uint8_t *)rows_q, sh.m);
    sodium_stackzero(2048);
    return qr_sec_eq(h.b, x + 16, 32) ? QR_OK : QR_ERR_CHECK;
}
