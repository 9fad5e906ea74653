/*
 * Online signing: what a share is bound to, that a presignature is used up whatever happens, what
 * the coordinator refuses, recovery ids, and the forgery that re-randomisation is there to stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "test/common/quorum.h"

static const uint16_t S12[] = {1, 2};
static struct quorum *q;
static struct qr_presig saved[3][16]; /* copies of a batch, so that tests can use one twice */

static int
set_up(void **state)
{
    (void)state;
    q = quorum_new(3, 2, "sign");
    if (quorum_pairs(q, S12, 2) != QR_OK || quorum_dkg(q) != QR_OK ||
        quorum_presign(q, S12, 2, 16) != QR_OK)
        return -1;
    for (size_t i = 1; i <= 2; i++)
        memcpy(saved[i], q->party[i].presig, sizeof saved[i]);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    q = quorum_free(q);
    return 0;
}

static int
fresh_presigs(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 2; i++)
        memcpy(q->party[i].presig, saved[i], sizeof saved[i]);
    return 0;
}

static struct quorum_input
input(void)
{
    struct quorum_input in = {0};

    memset(in.digest, 0x11, 32);
    memset(in.request_id, 0x22, 32);
    memset(in.rq, 0x33, 32);
    in.item = 5;
    return in;
}

static struct qr_sign_common
prepare(const struct quorum_input *in)
{
    struct qr_sign_common c;

    assert_int_equal(qr_sign_prepare(&q->party[1].key.pub, S12, 2, in->request_id, in->rq, in->path,
                                     in->depth, &c),
                     QR_OK);
    return c;
}

/* ---- recovery ids ---------------------------------------------------------------------------------- */

/*
 * x between q and the field's prime: about one point in 2^128, so no real signature shows it. The
 * prime is q + 14551231950b75fc4402da1722fc9baee (hexadecimal), so q + 2 is such an x.
 */
static void
attack_28_recid_of_large_x(void **state)
{
    uint8_t x[32], zero[32] = {0};
    qr_fq rx, want;
    int recid = -1;

    (void)state;
    /* q - 1, as bytes, by negating one; then q + 2 = (q - 1) + 3 without reduction */
    qr_fq_neg(&want, &qr_fq_one);
    qr_fq_put(x, &want);
    assert_int_equal(qr_sign_rx(x, 1, &rx, &recid), QR_OK);
    assert_int_equal(recid, 1);
    assert_true(qr_fq_eq(&rx, &want));
    assert_int_equal(qr_sign_rx(x, 0, &rx, &recid), QR_OK);
    assert_int_equal(recid, 0);

    unsigned carry = 3;
    for (size_t k = 32; k-- > 0 && carry != 0;) {
        carry += x[k];
        x[k] = (uint8_t)carry;
        carry >>= 8;
    }
    qr_fq_set_u64(&want, 2);
    assert_int_equal(qr_sign_rx(x, 0, &rx, &recid), QR_OK);
    assert_int_equal(recid, 2);
    assert_true(qr_fq_eq(&rx, &want));
    assert_int_equal(qr_sign_rx(x, 1, &rx, &recid), QR_OK);
    assert_int_equal(recid, 3);

    /* x = q: rx = 0 burns; so does x = 0. Nothing is written then. */
    x[31] = (uint8_t)(x[31] - 2);
    recid = 77;
    assert_int_equal(qr_sign_rx(x, 0, &rx, &recid), QR_ERR_INFINITY);
    assert_int_equal(qr_sign_rx(zero, 0, &rx, &recid), QR_ERR_INFINITY);
    assert_int_equal(recid, 77);
    assert_true(qr_fq_eq(&rx, &want));
}

/*
 * A whole signature with x(R') >= q: nobody knows the discrete logarithm of such a point, but a key
 * can be chosen afterwards. Take R' with x = q + d for a small d that is on the curve, any s, and
 * digest h; then pk' = (s*R' - h*G)/rx makes (rx, s) valid. combine must give recid 2 or 3.
 */
static void
attack_28_combine_with_large_x(void **state)
{
    struct quorum_input in = input();
    struct qr_sign_common c = prepare(&in);
    struct qr_sign_item item = {0};
    uint8_t x[32], r33[33], share[2][QR_SIGN_SHARE_LEN] = {{0}}, sig[64];
    const uint8_t *shares[2] = {share[0], share[1]};
    qr_fq minus1, s, h, inv, one_third, two_thirds;
    qr_pt sR, recovered;
    int recid, seen = 0;
    uint16_t blame;

    (void)state;
    qr_fq_neg(&minus1, &qr_fq_one);
    for (unsigned d = 1; d < 40 && seen < 4; d++) {
        unsigned carry = d + 1;
        qr_fq_put(x, &minus1);
        for (size_t k = 32; k-- > 0 && carry != 0;) {
            carry += x[k];
            x[k] = (uint8_t)carry;
            carry >>= 8;
        }
        r33[0] = (uint8_t)(2 + seen % 2);
        memcpy(r33 + 1, x, 32);
        if (qr_pt_parse(&item.R, r33) != QR_OK)
            continue;
        assert_int_equal(qr_sign_rx(x, r33[0] & 1, &item.rx, &item.recid), QR_OK);
        assert_int_equal(item.recid, 2 + seen % 2);
        memcpy(item.digest, in.digest, 32);
        memset(item.ctx, (int)d, 32);

        qr_fq_set_u64(&s, 1234567 + d);
        if (seen >= 2)
            qr_fq_neg(&s, &s); /* a high one, which low-S will turn */
        qr_fq_reduce32(&h, in.digest);
        qr_fq_neg(&h, &h);
        assert_int_equal(qr_pt_mul_var(&sR, &item.R, &s), QR_OK);
        assert_int_equal(qr_pt_add_base_var(&sR, &sR, &h), QR_OK);
        qr_fq_inv_var(&inv, &item.rx);
        assert_int_equal(qr_pt_mul_var(&c.pk, &sR, &inv), QR_OK);

        /* shares w = s/3, 2s/3 and u' = 1/3, 2/3 */
        qr_fq_set_u64(&one_third, 3);
        qr_fq_inv_var(&one_third, &one_third);
        qr_fq_add(&two_thirds, &one_third, &one_third);
        for (size_t k = 0; k < 2; k++) {
            const qr_fq *part = k == 0 ? &one_third : &two_thirds;
            qr_fq w;
            qr_fq_mul(&w, &s, part);
            memcpy(share[k], item.ctx, 32);
            qr_fq_put(share[k] + 32, &w);
            qr_fq_put(share[k] + 64, part);
        }
        assert_int_equal(qr_sign_combine(&c, &item, shares, sig, &recid, &blame), QR_OK);
        assert_int_equal(recid, seen >= 2 ? item.recid ^ 1 : item.recid);
        assert_int_equal(qr_ecdsa_recover(&recovered, in.digest, sig, recid), QR_OK);
        assert_true(qr_pt_eq_var(&recovered, &c.pk));
        /* the id without its upper bit leads elsewhere */
        assert_true(qr_ecdsa_recover(&recovered, in.digest, sig, recid & 1) != QR_OK ||
                    !qr_pt_eq_var(&recovered, &c.pk));
        seen++;
    }
    assert_int_equal(seen, 4);
}

/* ---- what is bound --------------------------------------------------------------------------------- */

/* Every input changes ctx, and with it R': no two requests ever share a nonce. */
static void
attack_22_nonce_bound_to_everything(void **state)
{
    enum { CASES = 15 };
    uint8_t ctx[CASES][32], R[CASES][33], share[QR_SIGN_SHARE_LEN];

    (void)state;
    for (unsigned k = 0; k < CASES; k++) {
        struct quorum_input in = input();
        struct qr_presig p = saved[1][0];
        struct qr_sign_item item;
        uint16_t index = 5;

        in.path[0] = 1;
        in.depth = k == 7 ? 1 : k == 8 ? 2 : 0;
        if (k == 1)
            in.digest[31] ^= 1;
        if (k == 2)
            in.request_id[0] ^= 1;
        if (k == 3)
            in.rq[31] ^= 1;
        if (k == 4)
            index = 6;
        if (k == 5)
            p = saved[1][1];
        if (k == 6)
            p.id[33] ^= 1;
        struct qr_sign_common c = prepare(&in);
        if (k == 9)
            c.epoch++;
        if (k == 10)
            c.key_id[0] ^= 1;
        if (k == 11) {
            c.S[1] = 3;
            p.set_mask = 5;
        }
        if (k == 12)
            c.pk33[0] ^= 1;
        if (k == 13)
            memcpy(p.R, saved[1][2].R, 33);
        if (k == 14)
            p.id[0] ^= 1;
        assert_int_equal(qr_sign_share(&c, in.digest, index, &p, share, &item), QR_OK);
        memcpy(ctx[k], item.ctx, 32);
        qr_pt_put(R[k], &item.R);
        assert_memory_equal(share, ctx[k], 32);
        for (unsigned i = 0; i < 16; i++)
            assert_memory_not_equal(R[k], saved[1][i].R, 33);
        for (unsigned i = 0; i < k; i++) {
            assert_memory_not_equal(ctx[i], ctx[k], 32);
            assert_memory_not_equal(R[i], R[k], 33);
        }
    }
}

/* rq: body and stamps cannot be moved into one another. */
static void
test_rq(void **state)
{
    uint8_t a[32], b[32];
    qr_view stamps[] = {{(const uint8_t *)"one", 3}, {(const uint8_t *)"two", 3}};
    qr_view joined[] = {{(const uint8_t *)"onetwo", 6}};
    qr_view shifted[] = {{(const uint8_t *)"onet", 4}, {(const uint8_t *)"wo", 2}};

    (void)state;
    qr_sign_rq(qr_view_str("body"), stamps, 2, a);
    qr_sign_rq(qr_view_str("body"), joined, 1, b);
    assert_memory_not_equal(a, b, 32);
    qr_sign_rq(qr_view_str("body"), shifted, 2, b);
    assert_memory_not_equal(a, b, 32);
    qr_sign_rq(qr_view_str("body"), stamps, 1, b);
    assert_memory_not_equal(a, b, 32);
    qr_sign_rq(qr_view_str("bod"), stamps, 2, b);
    assert_memory_not_equal(a, b, 32);
    qr_sign_rq(qr_view_str("body"), stamps, 2, b);
    assert_memory_equal(a, b, 32);
    qr_sign_rq(qr_view_str(""), NULL, 0, b);
}

/* ---- prepare --------------------------------------------------------------------------------------- */

static void
attack_14_sets_at_signing(void **state)
{
    static const struct {
        uint16_t S[4];
        size_t t;
    } bad[] = {{{1}, 1},    {{1, 2, 3}, 3}, {{2, 1}, 2}, {{1, 1}, 2},
               {{0, 1}, 2}, {{1, 4}, 2},    {{0}, 0}};
    const struct qr_key_pub *key = &q->party[1].key.pub;
    uint32_t path[QR_PATH_MAX + 1] = {0}, hardened[] = {1, 0x80000000u};
    struct qr_sign_common c, untouched;
    uint8_t id[32] = {0};

    (void)state;
    memset(&c, 0x77, sizeof c);
    untouched = c;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        assert_int_equal(qr_sign_prepare(key, bad[k].S, bad[k].t, id, id, NULL, 0, &c), QR_ERR_SET);
    assert_int_equal(qr_sign_prepare(key, S12, 2, id, id, path, QR_PATH_MAX + 1, &c),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(qr_sign_prepare(key, S12, 2, id, id, hardened, 2, &c), QR_ERR_HARDENED);
    struct qr_key_pub broken = *key;
    broken.pk[0] = 9;
    assert_int_equal(qr_sign_prepare(&broken, S12, 2, id, id, NULL, 0, &c), QR_ERR_POINT);
    assert_memory_equal(&c, &untouched, sizeof c);
    assert_int_equal(qr_sign_prepare(key, S12, 2, id, id, path, QR_PATH_MAX, &c), QR_OK);
}

/* ---- a presignature is used once --------------------------------------------------------------------- */

static int
is_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint8_t all = 0;

    for (size_t k = 0; k < n; k++)
        all |= b[k];
    return all == 0;
}

static void
attack_23_consumed_on_every_path(void **state)
{
    struct quorum_input in = input();
    struct qr_sign_common c = prepare(&in);
    uint8_t share[QR_SIGN_SHARE_LEN];
    struct qr_sign_item item;

    (void)state;
    /* success, then again */
    struct qr_presig p = saved[1][0];
    assert_int_equal(qr_sign_share(&c, in.digest, 0, &p, share, &item), QR_OK);
    assert_true(is_zero(&p, sizeof p));
    assert_false(is_zero(share, sizeof share));
    assert_int_equal(qr_sign_share(&c, in.digest, 0, &p, share, &item), QR_ERR_CONSUMED);
    assert_true(is_zero(share, sizeof share));
    assert_true(is_zero(&item, sizeof item));

    /* another set */
    p = saved[1][1];
    p.set_mask = 6;
    memset(share, 1, sizeof share);
    assert_int_equal(qr_sign_share(&c, in.digest, 0, &p, share, &item), QR_ERR_SET);
    assert_true(is_zero(&p, sizeof p));
    assert_true(is_zero(share, sizeof share));

    /* a damaged R */
    p = saved[1][2];
    p.R[0] = 0;
    assert_int_equal(qr_sign_share(&c, in.digest, 0, &p, share, &item), QR_ERR_POINT);
    assert_true(is_zero(&p, sizeof p));
    assert_true(is_zero(share, sizeof share));
    assert_true(is_zero(&item, sizeof item));
}

/* ---- what the coordinator refuses -------------------------------------------------------------------- */

struct change {
    size_t party, at;
    uint8_t flip;
    int fill;
};

static void
change_share(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN])
{
    const struct change *c = ctx;

    if (c->fill)
        memset(share[c->party] + c->at, 0xff, 32);
    else
        share[c->party][c->at] ^= c->flip;
}

static void
attack_31_nothing_unverified_leaves(void **state)
{
    static const struct {
        struct change c;
        qr_err want;
        uint16_t blame;
    } bad[] = {
        {{1, 0, 1, 0}, QR_ERR_SID, 2},
        {{0, 31, 0x80, 0}, QR_ERR_SID, 1},
        {{1, 32, 0, 1}, QR_ERR_SCALAR, 2},
        {{0, 64, 0, 1}, QR_ERR_SCALAR, 1},
        {{1, 63, 1, 0}, QR_ERR_BAD_SIGNATURE, 0},
        {{1, 95, 1, 0}, QR_ERR_BAD_SIGNATURE, 0},
        {{0, 40, 4, 0}, QR_ERR_BAD_SIGNATURE, 0},
        {{0, 70, 4, 0}, QR_ERR_BAD_SIGNATURE, 0},
    };
    struct quorum_input in = input();

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        struct change c = bad[k].c;
        uint8_t sig[64];
        uint16_t blame = 55;
        int recid = 55;

        memset(sig, 1, sizeof sig);
        assert_int_equal(quorum_sign(q, S12, 2, k, &in, change_share, &c, sig, &recid, &blame),
                         bad[k].want);
        assert_int_equal(blame, bad[k].blame);
        assert_true(is_zero(sig, sizeof sig));
        assert_int_equal(recid, 0);
        /* burned at both signers, although nothing came of it */
        assert_true(is_zero(&q->party[1].presig[k], sizeof(struct qr_presig)));
        assert_true(is_zero(&q->party[2].presig[k], sizeof(struct qr_presig)));
    }
}

/* sum u' = 0 and sum w = 0 cannot be divided by, or make s = 0. */
static void
zero_sum(void *ctx, uint8_t (*share)[QR_SIGN_SHARE_LEN])
{
    size_t at = *(size_t *)ctx;
    qr_fq a;

    assert_int_equal(qr_fq_parse(&a, share[0] + at), QR_OK);
    qr_fq_neg(&a, &a);
    qr_fq_put(share[1] + at, &a);
}

static void
test_zero_sums(void **state)
{
    struct quorum_input in = input();
    uint8_t sig[64];
    uint16_t blame;
    int recid;

    (void)state;
    for (size_t at = 32; at <= 64; at += 32)
        assert_int_equal(quorum_sign(q, S12, 2, at / 32, &in, zero_sum, &at, sig, &recid, &blame),
                         QR_ERR_BAD_SIGNATURE);
}

/* Signers with different inputs: no signature, and both presignatures are gone. */
static void
attack_24_split_view(void **state)
{
    struct quorum_input in[2] = {input(), input()};
    uint8_t share[2][QR_SIGN_SHARE_LEN], sig[64];
    const uint8_t *shares[] = {share[0], share[1]};
    struct qr_sign_item item[2];
    struct qr_sign_common c[2];
    uint16_t blame;
    int recid;

    (void)state;
    in[1].digest[0] ^= 1;
    for (size_t k = 0; k < 2; k++) {
        c[k] = prepare(&in[k]);
        assert_int_equal(
            qr_sign_share(&c[k], in[k].digest, 0, &q->party[k + 1].presig[0], share[k], &item[k]),
            QR_OK);
    }
    assert_int_equal(qr_sign_combine(&c[0], &item[0], shares, sig, &recid, &blame), QR_ERR_SID);
    assert_int_equal(blame, 2);
    /* a coordinator that hides the difference gets nothing valid either */
    memcpy(share[1], share[0], 32);
    assert_int_equal(qr_sign_combine(&c[0], &item[0], shares, sig, &recid, &blame),
                     QR_ERR_BAD_SIGNATURE);
    memcpy(share[0], item[1].ctx, 32);
    memcpy(share[1], item[1].ctx, 32);
    assert_int_equal(qr_sign_combine(&c[1], &item[1], shares, sig, &recid, &blame),
                     QR_ERR_BAD_SIGNATURE);
}

/* A signature for the parent's key is not released for a child's, nor the other way round. */
static void
test_only_under_the_requested_key(void **state)
{
    struct quorum_input in = input();
    struct qr_sign_common c = prepare(&in), child;
    uint8_t share[2][QR_SIGN_SHARE_LEN], sig[64];
    const uint8_t *shares[] = {share[0], share[1]};
    struct qr_sign_item item;
    uint16_t blame;
    int recid;

    (void)state;
    for (size_t k = 0; k < 2; k++)
        assert_int_equal(
            qr_sign_share(&c, in.digest, 0, &q->party[k + 1].presig[0], share[k], &item), QR_OK);
    in.path[0] = 1;
    in.depth = 1;
    child = prepare(&in);
    assert_int_equal(qr_sign_combine(&child, &item, shares, sig, &recid, &blame),
                     QR_ERR_BAD_SIGNATURE);
    struct qr_sign_item wrong = item;
    wrong.recid ^= 1;
    assert_int_equal(qr_sign_combine(&c, &wrong, shares, sig, &recid, &blame),
                     QR_ERR_BAD_SIGNATURE);
    assert_true(is_zero(sig, sizeof sig));
    assert_int_equal(qr_sign_combine(&c, &item, shares, sig, &recid, &blame), QR_OK);
}

/* ---- attacks ----------------------------------------------------------------------------------------- */

/* x(c*R) mod q */
static void
forged_rx(const uint8_t R33[static 33], const qr_fq *c, qr_fq *ret)
{
    uint8_t x[32];
    qr_pt R;
    int odd;

    assert_int_equal(qr_pt_parse(&R, R33), QR_OK);
    if (c != NULL)
        assert_int_equal(qr_pt_mul_var(&R, &R, c), QR_OK);
    qr_pt_xy(&R, x, &odd);
    qr_fq_reduce32(ret, x);
}

/*
 * The raw-hash forgery (protocol notes; CVE-2025-66017): R of a presignature is known before the
 * hash is chosen. For the message m that the attacker wants, with hash h*, and any c, he asks for a
 * signature on h = h* * rx / rx(cR), gets s, and (rx(cR), s * rx(cR) / (c * rx)) is a signature on m.
 * Returns 1 if the forged signature verifies. `nonce33` is the nonce point the attacker counted on.
 */
static int
forge(const uint8_t nonce33[static 33], const qr_fq *c, const uint8_t target[static 32],
      const qr_fq *s)
{
    const struct qr_key_pub *key = &q->party[1].key.pub;
    qr_fq rx, rxc, t, inv;
    uint8_t sig[64];
    qr_pt pk;

    forged_rx(nonce33, NULL, &rx);
    forged_rx(nonce33, c, &rxc);
    qr_fq_mul(&t, c, &rx);
    qr_fq_inv_var(&inv, &t);
    qr_fq_mul(&t, s, &rxc);
    qr_fq_mul(&t, &t, &inv);
    if (qr_fq_is_high_var(&t))
        qr_fq_neg(&t, &t);
    qr_fq_put(sig, &rxc);
    qr_fq_put(sig + 32, &t);
    assert_int_equal(qr_pt_parse(&pk, key->pk), QR_OK);
    return qr_ecdsa_verify(&pk, target, sig) == QR_OK;
}

static void
chosen_hash(const uint8_t R33[static 33], const qr_fq *c, const uint8_t target[static 32],
            uint8_t h[static 32])
{
    qr_fq rx, rxc, inv, t;

    forged_rx(R33, NULL, &rx);
    forged_rx(R33, c, &rxc);
    qr_fq_inv_var(&inv, &rxc);
    qr_fq_reduce32(&t, target);
    qr_fq_mul(&t, &t, &rx);
    qr_fq_mul(&t, &t, &inv);
    qr_fq_put(h, &t);
}

static void
attack_22_raw_hash_forgery(void **state)
{
    const uint8_t target[32] = "the message the attacker wants.";
    qr_fq c, phi, u, v, rx, h, inv, s;
    uint8_t sig[64];
    uint16_t blame;
    int recid;

    (void)state;
    qr_fq_set_u64(&c, 987654321);

    /* Without re-randomisation it works: s = (h*phi + rx*v)/u straight from the presignature. */
    struct quorum_input in = input();
    chosen_hash(saved[1][3].R, &c, target, in.digest);
    qr_fq_add(&phi, &saved[1][3].phi, &saved[2][3].phi);
    qr_fq_add(&u, &saved[1][3].u, &saved[2][3].u);
    qr_fq_add(&v, &saved[1][3].v, &saved[2][3].v);
    forged_rx(saved[1][3].R, NULL, &rx);
    qr_fq_reduce32(&h, in.digest);
    qr_fq_mul(&s, &h, &phi);
    qr_fq_mul(&rx, &rx, &v);
    qr_fq_add(&s, &s, &rx);
    qr_fq_inv_var(&inv, &u);
    qr_fq_mul(&s, &s, &inv);
    assert_true(forge(saved[1][3].R, &c, target, &s));

    /* Against what there is: the signature on the very hash he chose leads nowhere. */
    for (size_t slot = 4; slot < 12; slot++) {
        struct qr_sign_common common;
        struct qr_sign_item item;
        uint8_t share[QR_SIGN_SHARE_LEN], r33[33];
        qr_fq answered;

        in = input();
        chosen_hash(saved[1][slot].R, &c, target, in.digest);
        common = prepare(&in);
        struct qr_presig copy = saved[1][slot];
        assert_int_equal(qr_sign_share(&common, in.digest, in.item, &copy, share, &item), QR_OK);
        qr_pt_put(r33, &item.R);
        assert_memory_not_equal(r33, saved[1][slot].R, 33);
        assert_int_equal(quorum_sign(q, S12, 2, slot, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
        assert_int_equal(qr_fq_parse(&answered, sig + 32), QR_OK);
        /* low-S may have turned it: both signs, and both nonce points he could count on */
        for (int turn = 0; turn < 2; turn++) {
            assert_false(forge(saved[1][slot].R, &c, target, &answered));
            assert_false(forge(r33, &c, target, &answered));
            qr_fq_neg(&answered, &answered);
        }
    }
}

/*
 * Why a presignature answers once: two answers give the key, re-randomised or not. Played with
 * copies that only a test can make.
 */
static void
attack_23_reuse_would_give_the_key(void **state)
{
    qr_fq phi = qr_fq_zero, v = qr_fq_zero, sk, inv, t;
    qr_fq sum_w = qr_fq_zero, delta[2], u[2] = {qr_fq_zero, qr_fq_zero}, h;
    struct qr_sign_item item[2];
    struct quorum_input in[2] = {input(), input()};

    (void)state;
    in[1].digest[0] ^= 1;
    for (size_t k = 0; k < 2; k++) {
        struct qr_sign_common c = prepare(&in[k]);
        for (size_t i = 1; i <= 2; i++) {
            uint8_t share[QR_SIGN_SHARE_LEN], wide[64];
            struct qr_presig copy = saved[i][0];
            qr_fq a;

            assert_int_equal(qr_sign_share(&c, in[k].digest, 0, &copy, share, &item[k]), QR_OK);
            assert_int_equal(qr_fq_parse(&a, share + 64), QR_OK);
            qr_fq_add(&u[k], &u[k], &a);
            assert_int_equal(qr_fq_parse(&a, share + 32), QR_OK);
            if (k == 0)
                qr_fq_add(&sum_w, &sum_w, &a);
            qr_tb(QR_TAG_RERAND, QR_FIELDS(QR_F(item[k].ctx, 32)), wide);
            qr_fq_reduce64(&delta[k], wide);
        }
    }
    /* phi = (u'_1 - u'_2)/(delta_1 - delta_2); v = (w - h*phi)/rx; sk = v/phi */
    qr_fq_sub(&t, &delta[0], &delta[1]);
    qr_fq_inv_var(&inv, &t);
    qr_fq_sub(&t, &u[0], &u[1]);
    qr_fq_mul(&phi, &t, &inv);
    qr_fq_reduce32(&h, in[0].digest);
    qr_fq_mul(&t, &h, &phi);
    qr_fq_sub(&t, &sum_w, &t);
    qr_fq_inv_var(&inv, &item[0].rx);
    qr_fq_mul(&v, &t, &inv);
    qr_fq_inv_var(&inv, &phi);
    qr_fq_mul(&v, &v, &inv);
    quorum_reconstruct(q, S12, 2, &sk);
    assert_true(qr_fq_eq(&v, &sk));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_28_recid_of_large_x),
        cmocka_unit_test(attack_28_combine_with_large_x),
        cmocka_unit_test(attack_22_nonce_bound_to_everything),
        cmocka_unit_test(test_rq),
        cmocka_unit_test(attack_14_sets_at_signing),
        cmocka_unit_test(attack_23_consumed_on_every_path),
        cmocka_unit_test_setup(attack_31_nothing_unverified_leaves, fresh_presigs),
        cmocka_unit_test_setup(test_zero_sums, fresh_presigs),
        cmocka_unit_test_setup(attack_24_split_view, fresh_presigs),
        cmocka_unit_test_setup(test_only_under_the_requested_key, fresh_presigs),
        cmocka_unit_test_setup(attack_22_raw_hash_forgery, fresh_presigs),
        cmocka_unit_test(attack_23_reuse_would_give_the_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
