#include "protocol/pprf.h"

#include "protocol/base/hash.h"
#include "protocol/ct.h"

/* One tree's part of the message: seven pairs of corrections, t~, s~. */
#define TREE_LEN (QR_PPRF_LEN / QR_PPRF_GROUPS)
#define T_AT (7u * 32u)
#define S_AT (T_AT + 32u)

#define ALL (~(uint64_t)0)
#define ENC_MAX 192u /* bytes of a node's or leaf's hash input */

/* The children of all `n` nodes of one level: child[2x] and child[2x+1]. */
static void
grow(const uint8_t sid[static 32], uint16_t g, uint8_t v, const struct qr_sec16 *node, size_t n,
     struct qr_sec16 *child)
{
    uint8_t enc[ENC_MAX], g_be[2];

    qr_put16(g_be, g);
    const size_t len =
        qr_enc(QR_TAG_PPRF_G, QR_FIELDS(QR_F(sid, 32), QR_F(g_be, 2), QR_F(&v, 1), QR_F(node, 16)),
               enc, sizeof enc);
    for (size_t x = 0; x < n; x++) {
        /* The hash is as long as both children, and goes where they stand. */
        memcpy(enc + len - 16, &node[x], 16);
        qr_sha256(qr_view_of(enc, len), (uint8_t *)&child[2 * x]);
    }
    qr_wipe(enc, sizeof enc);
}

/* Leaves to seeds and check values. */
static void
hash_leaves(const uint8_t sid[static 32], uint16_t g, const struct qr_sec16 *leaf,
            struct qr_sec16 *seed, uint8_t (*check)[32])
{
    uint8_t enc[ENC_MAX], wide[64], g_be[2];

    qr_put16(g_be, g);
    const size_t len = qr_enc(
        QR_TAG_PPRF_H, QR_FIELDS(QR_F(sid, 32), QR_F(g_be, 2), QR_F(leaf, 16)), enc, sizeof enc);
    for (size_t x = 0; x < QR_PPRF_LEAVES; x++) {
        memcpy(enc + len - 16, &leaf[x], 16);
        qr_sha512(qr_view_of(enc, len), wide);
        memcpy(check[x], wide, 32);
        memcpy(&seed[x], wide + 32, 16);
    }
    qr_wipe(enc, sizeof enc);
    qr_wipe(wide, sizeof wide);
}

static void
hash_checks(const uint8_t sid[static 32], uint16_t g, const uint8_t *checks, uint8_t out[static 32])
{
    uint8_t g_be[2];

    qr_put16(g_be, g);
    qr_th(QR_TAG_PPRF_T, QR_FIELDS(QR_F(sid, 32), QR_F(g_be, 2), QR_F(checks, 32 * QR_PPRF_LEAVES)),
          out);
}

/* Bob's tree g from K_{8g..8g+7}; key: those 16 keys. */
static void
build_tree(const uint8_t sid[static 32], uint16_t g, const struct qr_sec16 *key,
           struct qr_pprf_work *w, uint8_t *msg, struct qr_sec16 *seed)
{
    memcpy(w->node[0], key, 2 * sizeof *key);
    for (uint8_t v = 1; v < 8; v++) {
        struct qr_sec16 *child = w->node[v % 2];
        uint8_t *correction = msg + 32u * (v - 1u);

        grow(sid, g, v, w->node[(v + 1) % 2], (size_t)1 << v, child);
        /* L_v ^ K_{8g+v,0} || R_v ^ K_{8g+v,1}: left and right alternate in `child` as here. */
        memcpy(correction, key + 2 * v, 32);
        for (size_t x = 0; x < (size_t)2 << v; x += 2)
            qr_ct_xor(correction, (const uint8_t *)&child[x], 32, ALL);
    }
    hash_leaves(sid, g, w->node[1], seed, w->check);
    memset(msg + T_AT, 0, 32);
    for (size_t x = 0; x < QR_PPRF_LEAVES; x++)
        qr_ct_xor(msg + T_AT, w->check[x], 32, ALL);
    hash_checks(sid, g, w->check[0], msg + S_AT);
}

void
qr_pprf_build(const uint8_t sid[static 32], const struct qr_sec16 key[static 2 * QR_OT_COUNT],
              struct qr_pprf_work *work, uint8_t msg[static QR_PPRF_LEN],
              struct qr_sec16 (*seed)[QR_PPRF_LEAVES])
{
    for (uint16_t g = 0; g < QR_PPRF_GROUPS; g++)
        build_tree(sid, g, key + 16u * g, work, msg + TREE_LEN * g, seed[g]);
}

/*
 * One step down Alice's tree. `path` is the node she lacks in the level of 2^v nodes, b her choice
 * bit, k = K_{8g+v,b}. She computes the children of every node, of the missing one from whatever
 * its entry holds. The correction for side b, without k and without the side-b children she knows,
 * is the side-b child of the missing node; the other child is missing in the next level.
 */
static void
descend(const uint8_t sid[static 32], uint16_t g, uint8_t v, const struct qr_sec16 *node,
        struct qr_sec16 *child, uint32_t path, uint64_t b, const struct qr_sec16 *k,
        const uint8_t correction[static 32])
{
    struct qr_sec16 want QR_WIPE(qr_sec16), zero = {{0}};
    uint64_t right = qr_ct_mask(b);
    size_t n = (size_t)1 << v;

    grow(sid, g, v, node, n, child);
    qr_ct_select(want.b, correction, correction + 16, 16, right);
    qr_ct_xor(want.b, k->b, 16, ALL);
    for (size_t x = 0; x < n; x++) {
        uint64_t known = ~qr_ct_mask_eq((uint32_t)x, path);
        qr_ct_xor(want.b, child[2 * x].b, 16, known & ~right);
        qr_ct_xor(want.b, child[2 * x + 1].b, 16, known & right);
    }
    for (size_t x = 0; x < n; x++) {
        uint64_t here = qr_ct_mask_eq((uint32_t)x, path);
        uint8_t *left = (uint8_t *)&child[2 * x];
        qr_ct_select(left, left, want.b, 16, here & ~right);
        qr_ct_select(left + 16, left + 16, want.b, 16, here & right);
        /* The missing child is cleared, so that its entry is a constant and not a hash of one. */
        qr_ct_select(left, left, zero.b, 16, here & right);
        qr_ct_select(left + 16, left + 16, zero.b, 16, here & ~right);
    }
}

/* Alice's tree g; returns 1 if s~ matches. choice, key: of OTs 8g..8g+7. */
static int
open_tree(const uint8_t sid[static 32], uint16_t g, uint8_t choice, const struct qr_sec16 *key,
          const uint8_t *msg, struct qr_pprf_work *w, struct qr_sec16 *seed, uint8_t *ret_delta)
{
    struct qr_sec32 s QR_WIPE(qr_sec32), lost QR_WIPE(qr_sec32);
    uint32_t path = (choice & 1u) ^ 1u;

    memset(w->node[0], 0, 2 * sizeof w->node[0][0]);
    qr_ct_xor(w->node[0][0].b, key[0].b, 16, qr_ct_mask(path));
    qr_ct_xor(w->node[0][1].b, key[0].b, 16, ~qr_ct_mask(path));
    for (uint8_t v = 1; v < 8; v++) {
        uint32_t b = ((uint32_t)choice >> v) & 1u;
        descend(sid, g, v, w->node[(v + 1) % 2], w->node[v % 2], path, b, &key[v],
                msg + 32u * (v - 1u));
        path = 2 * path + (b ^ 1u);
    }
    hash_leaves(sid, g, w->node[1], seed, w->check);
    /* c_Delta = t~ ^ (xor of the others). */
    memcpy(lost.b, msg + T_AT, 32);
    for (size_t x = 0; x < QR_PPRF_LEAVES; x++)
        qr_ct_xor(lost.b, w->check[x], 32, ~qr_ct_mask_eq((uint32_t)x, path));
    for (size_t x = 0; x < QR_PPRF_LEAVES; x++)
        qr_ct_select(w->check[x], w->check[x], lost.b, 32, qr_ct_mask_eq((uint32_t)x, path));
    hash_checks(sid, g, w->check[0], s.b);
    *ret_delta = (uint8_t)path;
    return qr_sec_eq(s.b, msg + S_AT, 32);
}

qr_err
qr_pprf_open(const uint8_t sid[static 32], const struct qr_sec16 *choice,
             const struct qr_sec16 key[static QR_OT_COUNT], const uint8_t msg[static QR_PPRF_LEN],
             struct qr_pprf_work *work, struct qr_sec16 (*seed)[QR_PPRF_LEAVES],
             struct qr_sec16 *ret_delta)
{
    struct qr_sec16 delta QR_WIPE(qr_sec16);
    int ok = 1;

    for (uint16_t g = 0; g < QR_PPRF_GROUPS; g++)
        ok &= open_tree(sid, g, choice->b[g], key + 8u * g, msg + TREE_LEN * g, work, seed[g],
                        &delta.b[g]);
    if (!ok)
        return QR_ERR_SETUP;
    *ret_delta = delta;
    return QR_OK;
}
