/*
 * Cheating peers in presigning: each field of each message changed, and the cheats that are
 * consistent with themselves. For each: the error, who is blamed, and that only C1, C2 and C3 are
 * of the kind that retires a pair.
 *
 * Party 1 (with a partner) cheats; party 2 and, at t = 3, party 3 are honest and judge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/presign_int.h"
#include "test/common/stage.h"

#define B 4
static const uint16_t S12[] = {1, 2}, S123[] = {1, 2, 3};
static struct quorum *q;

static int
set_up(void **state)
{
    (void)state;
    q = stage_new("attacks");
    return q ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    q = quorum_free(q);
    return 0;
}

/* The daemon's rule in one line: this error, and no other, retires the pair. */
static int
retires(qr_err err)
{
    return err == QR_ERR_CHECK;
}

static void
expect(uint16_t i, qr_err err, uint16_t blame)
{
    const struct quorum_party *p = &q->party[i];

    assert_int_equal(p->err, err);
    assert_int_equal(p->blame, blame);
    if (err != QR_OK) {
        const uint8_t *raw = (const uint8_t *)p->ps;
        size_t left = 0, n;

        for (size_t k = QR_ARENA_ROUND(sizeof *p->ps); k < p->ps->size; k++)
            left += raw[k] != 0;
        assert_int_equal(left, 0);
        assert_null(qr_presign_result(p->ps, &n));
    }
}

/* ---- layouts --------------------------------------------------------------------------------------- */

#define ROW QR_COT_ROW_BYTES(B)
#define U(g) (32u + (g)*ROW)
#define X_TILDE (32u + 16u * ROW)
#define H_T (X_TILDE + 16u)

#define SLOT(k) (64u + (size_t)(k)*QR_PRESIGN2_SLOT_LEN)
#define AT_R 0u
#define AT_PK 33u
#define AT_GU 66u
#define AT_GV 99u
#define AT_PSI 132u
#define AT_ROW(j, i) (164u + 96u * (j) + 32u * (i))
#define AT_ETA (164u + 96u * QR_XI)
#define AT_MU (AT_ETA + 32u)

enum how { FLIP, FILL00, FILLFF, OTHER_POINT };

struct change {
    enum qr_msg type;
    size_t at;
    enum how how;
    uint8_t flip; /* or the number of bytes to fill */
    qr_err want;
};

static void
apply(const struct change *c, struct quorum_msg *m)
{
    qr_pt pt, G;

    switch (c->how) {
    case FLIP:
        m->p[c->at] ^= c->flip;
        break;
    case FILL00:
        memset(m->p + c->at, 0, c->flip);
        break;
    case FILLFF:
        memset(m->p + c->at, 0xff, c->flip);
        break;
    case OTHER_POINT:
        /* a valid point, but not the right one: plus G */
        assert_int_equal(qr_pt_parse(&pt, m->p + c->at), QR_OK);
        assert_int_equal(qr_pt_mul_base(&G, &qr_fq_one), QR_OK);
        assert_int_equal(qr_pt_add(&pt, &pt, &G), QR_OK);
        qr_pt_put(m->p + c->at, &pt);
        break;
    }
}

static void
change_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    const struct change *c = ctx;

    (void)qq;
    if (m->from == 1 && m->to == 2 && m->type == c->type)
        apply(c, m);
}

static const struct change table[] = {
    /* the OT extension: C1 */
    {QR_MSG_PRESIGN1, U(0), FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, U(0) + ROW - 1, FLIP, 0x80, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, U(7) + 100, FLIP, 0x10, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, U(15) + 3, FLIP, 2, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, U(3), FILL00, 16, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, X_TILDE, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, X_TILDE + 15, FLIP, 0x80, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, H_T, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN1, H_T + 31, FLIP, 0x80, QR_ERR_CHECK},
    /* the multiplication: C2 */
    {QR_MSG_PRESIGN2, SLOT(0) + AT_ROW(0, 0) + 31, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_ROW(0, 1) + 31, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_ROW(0, 2) + 31, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(1) + AT_ROW(200, 0) + 8, FLIP, 0x20, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_ROW(QR_XI - 1, 2) + 31, FLIP, 4, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(2) + AT_ROW(415, 1), FILL00, 32, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_ETA + 31, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_ETA, FILL00, 32, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_MU, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_MU + 31, FLIP, 0x80, QR_ERR_CHECK},
    /* the check in the exponent: C3 */
    {QR_MSG_PRESIGN2, SLOT(0) + AT_PK, OTHER_POINT, 0, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_PK, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_GU, OTHER_POINT, 0, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(1) + AT_GU, FLIP, 1, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_GV, OTHER_POINT, 0, QR_ERR_CHECK},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_GV, FLIP, 1, QR_ERR_CHECK},
    /* commitments and views: aborts that retire nothing */
    {QR_MSG_PRESIGN1, 0, FLIP, 1, QR_ERR_EQUIVOCATION},
    {QR_MSG_PRESIGN2, 0, FLIP, 1, QR_ERR_COMMITMENT},
    {QR_MSG_PRESIGN2, 31, FLIP, 0x80, QR_ERR_COMMITMENT},
    {QR_MSG_PRESIGN2, 32, FLIP, 1, QR_ERR_EQUIVOCATION},
    {QR_MSG_PRESIGN2, 63, FLIP, 1, QR_ERR_EQUIVOCATION},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_R, FLIP, 1, QR_ERR_COMMITMENT},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_R, OTHER_POINT, 0, QR_ERR_COMMITMENT},
    /* encodings */
    {QR_MSG_PRESIGN2, SLOT(0) + AT_R, FILL00, 33, QR_ERR_POINT},
    {QR_MSG_PRESIGN2, SLOT(1) + AT_PK, FILLFF, 33, QR_ERR_POINT},
    {QR_MSG_PRESIGN2, SLOT(2) + AT_GU, FILLFF, 1, QR_ERR_POINT},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_GV, FILL00, 1, QR_ERR_POINT},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_GV, FLIP, 6, QR_ERR_POINT},
    {QR_MSG_PRESIGN2, SLOT(0) + AT_PSI, FILLFF, 32, QR_ERR_SCALAR},
    {QR_MSG_PRESIGN2, SLOT(3) + AT_ROW(7, 1), FILLFF, 32, QR_ERR_SCALAR},
    {QR_MSG_PRESIGN2, SLOT(2) + AT_ETA, FILLFF, 32, QR_ERR_SCALAR},
};

static void
attack_17_each_place_of_presigning(void **state)
{
    (void)state;
    stage_use(q, 2);
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
        struct change c = table[k];

        q->tap = change_tap;
        q->tap_ctx = &c;
        (void)!quorum_presign(q, S12, 2, B);
        expect(2, c.want, c.want == QR_ERR_EQUIVOCATION ? 0 : 1);
        assert_int_equal(retires(q->party[2].err),
                         c.type == QR_MSG_PRESIGN1 ? c.at >= 32 : c.want == QR_ERR_CHECK);
        assert_int_equal(q->outstanding, 0);
    }
}

/* A change told to one of two honest peers is found by that one alone. */
static void
attack_25_one_of_two_victims(void **state)
{
    struct change c = {QR_MSG_PRESIGN2, SLOT(0) + AT_MU, FLIP, 1, QR_ERR_CHECK};

    (void)state;
    stage_use(q, 3);
    q->tap = change_tap;
    q->tap_ctx = &c;
    (void)!quorum_presign(q, S123, 3, B);
    expect(2, QR_ERR_CHECK, 1);
    expect(3, QR_OK, 0);
    /* a commitment told differently: both see it in the views */
    c = (struct change){QR_MSG_PRESIGN1, 0, FLIP, 1, QR_ERR_EQUIVOCATION};
    (void)!quorum_presign(q, S123, 3, B);
    expect(2, QR_ERR_EQUIVOCATION, 0);
    expect(3, QR_ERR_EQUIVOCATION, 0);
}

/*
 * All checks run before the verdict, and a check that failed is not hidden by another fault: a bad
 * payload in an early slot, a scalar that is none in a later one (or in the other peer's message).
 */
static void
two_faults_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    const uint16_t *second = ctx;
    static const struct change bad = {QR_MSG_PRESIGN2, SLOT(2) + AT_MU, FLIP, 1, QR_OK};
    static const struct change none = {QR_MSG_PRESIGN2, SLOT(0) + AT_ROW(1, 1), FILLFF, 32, QR_OK};

    (void)qq;
    if (m->type != QR_MSG_PRESIGN2 || m->to != 2)
        return;
    if (m->from == 3)
        apply(&bad, m);
    if (m->from == *second)
        apply(&none, m);
}

static void
attack_33_check_is_never_hidden(void **state)
{
    (void)state;
    stage_use(q, 3);
    for (uint16_t second = 1; second <= 3; second += 2) {
        q->tap = two_faults_tap;
        q->tap_ctx = &second;
        (void)!quorum_presign(q, S123, 3, B);
        expect(2, QR_ERR_CHECK, 3);
    }
}

/* The number of quanta until the verdict does not tell which slot or which check failed. */
static void
attack_33_same_work_whatever_fails(void **state)
{
    static const size_t at[] = {
        SLOT(0) + AT_MU,
        SLOT(3) + AT_MU,
        SLOT(0) + AT_ROW(0, 0) + 31,
        SLOT(3) + AT_ROW(415, 2) + 31,
        SLOT(0) + AT_GU,
        SLOT(3) + AT_GV,
        SLOT(0) + AT_PK,
    };
    size_t first = 0;

    (void)state;
    stage_use(q, 2);
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
        struct change c = {QR_MSG_PRESIGN2, at[k], FLIP, 1, QR_ERR_CHECK};
        q->tap = change_tap;
        q->tap_ctx = &c;
        (void)!quorum_presign(q, S12, 2, B);
        expect(2, QR_ERR_CHECK, 1);
        if (k == 0)
            first = q->party[2].worked;
        assert_int_equal(q->party[2].worked, first);
    }
}

/* ---- cheats that are consistent with themselves ----------------------------------------------------- */

/*
 * Party 1 commits to an R of its own making and opens it properly, but multiplied with another r.
 * The commitment and every view agree; only C3 can tell.
 */
struct consistent {
    uint8_t R33[33 * B], salt[32], com1[32], view[32];
    uint8_t com[4][34];
    uint8_t batch_sid[32];
};

static void
consistent_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct consistent *c = ctx;
    const uint8_t one[2] = {0, 1};

    (void)qq;
    if (m->type == QR_MSG_PRESIGN1) {
        if (m->from == 1) {
            qr_th(
                QR_TAG_COM_R,
                QR_FIELDS(QR_F(m->sid, 32), QR_F(one, 2), QR_F(c->R33, 33 * B), QR_F(c->salt, 32)),
                m->p);
        }
        qr_put16(c->com[m->from], m->from);
        memcpy(c->com[m->from] + 2, m->p, 32);
    }
    if (m->type == QR_MSG_PRESIGN2 && m->from == 1) {
        qr_th(QR_TAG_VIEW, QR_FIELDS(QR_F(m->sid, 32), QR_F(c->com[1], 34 * 2)), c->view);
        memcpy(m->p, c->salt, 32);
        memcpy(m->p + 32, c->view, 32);
        for (size_t k = 0; k < B; k++)
            memcpy(m->p + SLOT(k), c->R33 + 33 * k, 33);
    }
}

static void
attack_17_other_r_than_committed(void **state)
{
    struct consistent c = {0};

    (void)state;
    stage_use(q, 2);
    for (uint64_t k = 0; k < B; k++) {
        qr_fq r;
        qr_pt R;
        qr_fq_set_u64(&r, 1000 + k);
        assert_int_equal(qr_pt_mul_base(&R, &r), QR_OK);
        qr_pt_put(c.R33 + 33 * k, &R);
    }
    q->tap = consistent_tap;
    q->tap_ctx = &c;
    (void)!quorum_presign(q, S12, 2, B);
    expect(2, QR_ERR_CHECK, 1);
}

/* pk_1 + G to party 2 and pk_3 - G to it: the sum is right, each alone is not what was multiplied. */
static void
compensated_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    (void)ctx, (void)qq;
    if (m->type != QR_MSG_PRESIGN2 || m->to != 2)
        return;
    for (size_t k = 0; k < B; k++) {
        uint8_t *at = m->p + SLOT(k) + AT_PK;
        qr_pt pk, G;
        assert_int_equal(qr_pt_parse(&pk, at), QR_OK);
        assert_int_equal(qr_pt_mul_base(&G, &qr_fq_one), QR_OK);
        if (m->from == 3)
            qr_pt_neg(&G, &G);
        assert_int_equal(qr_pt_add(&pk, &pk, &G), QR_OK);
        qr_pt_put(at, &pk);
    }
}

static void
attack_17_compensated_key_shares(void **state)
{
    (void)state;
    stage_use(q, 3);
    q->tap = compensated_tap;
    (void)!quorum_presign(q, S123, 3, B);
    expect(2, QR_ERR_CHECK, 1);
}

/* A wrong share used everywhere: nothing is inconsistent between two parties; the sum is not pk. */
static void
attack_17_wrong_share_throughout(void **state)
{
    (void)state;
    stage_use(q, 3);
    qr_fq_add(&q->party[1].key.share, &q->party[1].key.share, &qr_fq_one);
    (void)!quorum_presign(q, S123, 3, B);
    for (uint16_t i = 2; i <= 3; i++) {
        expect(i, QR_ERR_SUM, 0);
        assert_false(retires(q->party[i].err));
    }
}

/* Two that collude on shares: what one adds the other takes away. Nothing is wrong with that key. */
static void
attack_17_colluding_shares_cancel(void **state)
{
    struct quorum_input in = {.digest = {9}};
    uint8_t sig[64];
    uint16_t blame;
    int recid;

    (void)state;
    stage_use(q, 3);
    /* lambda_1*d1 + lambda_3*d3 = 0 for S = {1,2,3}: lambda_1 = 3, lambda_3 = 1 */
    qr_fq d;
    qr_fq_set_u64(&d, 5);
    qr_fq_add(&q->party[1].key.share, &q->party[1].key.share, &d);
    qr_fq_set_u64(&d, 15);
    qr_fq_sub(&q->party[3].key.share, &q->party[3].key.share, &d);
    assert_int_equal(quorum_presign(q, S123, 3, B), QR_OK);
    assert_int_equal(quorum_sign(q, S123, 3, 0, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
    assert_true(quorum_openssl_verify(stage_key(3, 2)->pub.pk, in.digest, sig));
}

/* psi is checked by nothing in presigning: the signature fails, is not released, and burns. */
static void
attack_17_wrong_psi_burns(void **state)
{
    struct quorum_input in = {.digest = {3}};
    uint8_t sig[64], zero[sizeof(struct qr_presig)] = {0};
    uint16_t blame;
    int recid;

    (void)state;
    stage_use(q, 2);
    for (size_t slot = 0; slot < 2; slot++) {
        struct change c = {QR_MSG_PRESIGN2, SLOT(slot) + AT_PSI + 31, FLIP, 1, QR_OK};
        q->tap = change_tap;
        q->tap_ctx = &c;
        assert_int_equal(quorum_presign(q, S12, 2, B), QR_OK);
        assert_int_equal(quorum_sign(q, S12, 2, slot, &in, NULL, NULL, sig, &recid, &blame),
                         QR_ERR_BAD_SIGNATURE);
        assert_int_equal(blame, 0);
        assert_memory_equal(&q->party[2].presig[slot], zero, sizeof zero);
        /* the batch's other presignatures are sound */
        assert_int_equal(quorum_sign(q, S12, 2, 3, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
    }
}

/* ---- other runs, other peers ------------------------------------------------------------------------ */

/* Messages of an earlier batch with the same peer, put in place of this one's. */
struct replay {
    uint8_t *p1, *p2;
    enum qr_msg which;
    int recording;
};

static void
replay_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct replay *r = ctx;

    (void)qq;
    if (m->from != 1 || m->to != 2)
        return;
    if (r->recording)
        memcpy(m->type == QR_MSG_PRESIGN1 ? r->p1 : r->p2, m->p, m->len);
    else if (m->type == r->which)
        memcpy(m->p, m->type == QR_MSG_PRESIGN1 ? r->p1 : r->p2, m->len);
}

static void
attack_07_replay_of_another_batch(void **state)
{
    static uint8_t p1[QR_PRESIGN1_LEN(B)], p2[QR_PRESIGN2_LEN(B)];
    struct replay r = {p1, p2, QR_MSG_PRESIGN1, 1};

    (void)state;
    stage_use(q, 2);
    q->tap = replay_tap;
    q->tap_ctx = &r;
    assert_int_equal(quorum_presign(q, S12, 2, B), QR_OK);
    r.recording = 0;
    /*
     * The envelope's sid keeps such a message away from the machine (transport and daemon). One who
     * puts it there all the same is cheating with full knowledge.
     */
    (void)!quorum_presign(q, S12, 2, B);
    expect(2, QR_ERR_CHECK, 1);
    r.which = QR_MSG_PRESIGN2;
    (void)!quorum_presign(q, S12, 2, B);
    expect(2, QR_ERR_EQUIVOCATION, 0);
}

/* Party 1 answers party 2 with party 2's own words. */
struct mirror {
    uint8_t p1[QR_PRESIGN1_LEN(B)], p2[QR_PRESIGN2_LEN(B)];
    unsigned have;
};

static void
mirror_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct mirror *r = ctx;
    unsigned bit = m->type == QR_MSG_PRESIGN1 ? 1 : 2;
    uint8_t *store = bit == 1 ? r->p1 : r->p2;

    if (m->from == 2 && m->to == 1) {
        memcpy(store, m->p, m->len);
        r->have |= bit;
    } else if (m->from == 1 && m->to == 2 && (r->have & bit)) {
        memcpy(m->p, store, m->len);
    } else if (m->from == 1 && m->to == 2 && bit == 1) {
        quorum_inject(qq, 1, 2, m->type, m->sid, qr_view_of(m->p, m->len));
        m->drop = 1;
    }
}

static void
attack_19_mirrored_messages(void **state)
{
    static struct mirror r;

    (void)state;
    stage_use(q, 2);
    memset(&r, 0, sizeof r);
    q->tap = mirror_tap;
    q->tap_ctx = &r;
    (void)!quorum_presign(q, S12, 2, B);
    expect(2, QR_ERR_CHECK, 1);
}

/* Nothing that failed above has left anything behind: the same pairs still presign and sign. */
static void
test_honest_afterwards(void **state)
{
    struct quorum_input in = {.digest = {1, 2, 3}};
    uint8_t sig[64];
    uint16_t blame;
    int recid;

    (void)state;
    stage_use(q, 2);
    assert_int_equal(quorum_presign(q, S12, 2, B), QR_OK);
    assert_int_equal(quorum_sign(q, S12, 2, 1, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
    stage_use(q, 3);
    assert_int_equal(quorum_presign(q, S123, 3, B), QR_OK);
    assert_int_equal(quorum_sign(q, S123, 3, 1, &in, NULL, NULL, sig, &recid, &blame), QR_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_17_each_place_of_presigning),
        cmocka_unit_test(attack_25_one_of_two_victims),
        cmocka_unit_test(attack_33_check_is_never_hidden),
        cmocka_unit_test(attack_33_same_work_whatever_fails),
        cmocka_unit_test(attack_17_other_r_than_committed),
        cmocka_unit_test(attack_17_compensated_key_shares),
        cmocka_unit_test(attack_17_wrong_share_throughout),
        cmocka_unit_test(attack_17_colluding_shares_cancel),
        cmocka_unit_test(attack_17_wrong_psi_burns),
        cmocka_unit_test(attack_07_replay_of_another_batch),
        cmocka_unit_test(attack_19_mirrored_messages),
        cmocka_unit_test(test_honest_afterwards),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
