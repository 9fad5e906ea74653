/*
 * Cheats that follow a strategy: other inputs for each peer, last words, other people's words, errors
 * that are meant to show something.
 *
 * Party 1 cheats; parties 2 and 3 are honest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/liar.h"
#include "test/common/stage.h"

#include <string.h>

#define BATCH 4
#define SLOT(k) (64u + (size_t)(k)*QR_PRESIGN2_SLOT_LEN)

static const uint16_t S12[] = {1, 2}, S123[] = {1, 2, 3};
static struct quorum *q;

static int
set_up(void **state)
{
    (void)state;
    q = stage_new("adaptive");
    return q ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    q = quorum_free(q);
    return 0;
}

static void
expect(uint16_t i, qr_err err, uint16_t blame)
{
    assert_int_equal(q->party[i].err, err);
    if (err != QR_OK)
        assert_int_equal(q->party[i].blame, blame);
}

/* ---- inconsistent inputs -------------------------------------------------------------------- */

/* The control: two machines that draw the same and are given the same are one honest party. */
static void
test_two_equal_stories_are_honest(void **state)
{
    struct qr_batch_id id;
    struct liars l;

    (void)state;
    stage_use(q, 3);
    quorum_batch_id(q, S123, 3, BATCH, &id);
    liars_start(&l, q, &id, 0);
    liars_run(&l);
    expect(2, QR_OK, 0);
    expect(3, QR_OK, 0);
    assert_true(qr_presign_done(q->party[2].ps) && qr_presign_done(q->party[3].ps));
    liars_end(&l);
}

/*
 * The same nonces, but another share of the key multiplied with party 3, and a pk_1 for it that fits:
 * every multiplication is sound. The sum of the pk_j is not the key: SUM, nobody named, no ban.
 */
static void
attack_25_another_share_for_each_peer(void **state)
{
    struct qr_batch_id id;
    struct liars l;
    qr_fq five;

    (void)state;
    stage_use(q, 3);
    quorum_batch_id(q, S123, 3, BATCH, &id);
    liars_start(&l, q, &id, 0);
    qr_fq_set_u64(&five, 5);
    qr_fq_add(&l.story[1].key->share, &l.story[1].key->share, &five);
    liars_run(&l);
    expect(2, QR_OK, 0);
    expect(3, QR_ERR_SUM, 0);
    liars_end(&l);
}

/* Other nonces for each peer, each committed to and opened well: the views differ, at both. */
static void
attack_25_another_nonce_for_each_peer(void **state)
{
    struct qr_batch_id id;
    struct liars l;

    (void)state;
    stage_use(q, 3);
    quorum_batch_id(q, S123, 3, BATCH, &id);
    liars_start(&l, q, &id, 1);
    liars_run(&l);
    expect(2, QR_ERR_EQUIVOCATION, 0);
    expect(3, QR_ERR_EQUIVOCATION, 0);
    liars_end(&l);
}

/* ---- rushing -------------------------------------------------------------------------------- */

/* Party 1's messages wait until nothing else is on its way; what the honest had said by then. */
static struct {
    struct quorum_msg *held[64];
    size_t n;
    enum qr_msg first, opens; /* its commitment, and what would open the others' */
    size_t opened_before;     /* messages of type `opens` from honest parties before it spoke */
    int spoke;
} rush;

static void
rush_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    (void)ctx, (void)qq;
    if (m->from != 1 && m->type == rush.opens && !rush.spoke)
        rush.opened_before++;
    if (m->from == 1 && m->type == rush.first && !rush.spoke && rush.n < 64) {
        /* a copy is held; this one is forgotten */
        struct quorum_msg *c = qr_alloc(sizeof *c);
        assert_non_null(c);
        *c = *m;
        c->p = qr_alloc(m->len);
        assert_non_null(c->p);
        memcpy(c->p, m->p, m->len);
        rush.held[rush.n++] = c;
        m->drop = 1;
    }
}

static void
rush_release(struct quorum *qq)
{
    rush.spoke = 1;
    for (size_t k = 0; k < rush.n; k++) {
        struct quorum_msg *m = rush.held[k];
        quorum_inject(qq, 1, m->to, m->type, m->sid, qr_view_of(m->p, m->len));
        qr_free(m->p);
        qr_free(m);
    }
}

/*
 * Nobody opens anything before everybody has committed, however long the last one waits: his
 * commitment cannot depend on what he has not seen. And waiting alone breaks nothing.
 */
static void
attack_16_rushing_sees_no_openings(void **state)
{
    struct qr_batch_id id;

    (void)state;
    stage_use(q, 3);
    quorum_batch_id(q, S123, 3, BATCH, &id);
    memset(&rush, 0, sizeof rush);
    rush.first = QR_MSG_PRESIGN1;
    rush.opens = QR_MSG_PRESIGN2;
    q->tap = rush_tap;
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    for (uint16_t i = 1; i <= 3; i++)
        quorum_presign_start(q, i);
    quorum_pump(q);
    assert_int_equal(rush.n, 2);
    assert_int_equal(rush.opened_before, 0);
    rush_release(q);
    quorum_pump(q);
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);

    /* key generation: DKG2 opens what DKG1 committed to */
    struct quorum *d = quorum_new(3, 2, "rushing");
    memset(&rush, 0, sizeof rush);
    rush.first = QR_MSG_DKG1;
    rush.opens = QR_MSG_DKG2;
    d->tap = rush_tap;
    assert_int_equal(quorum_dkg(d), QR_ERR_TIMEOUT); /* stands still without it */
    assert_int_equal(rush.n, 2);
    assert_int_equal(rush.opened_before, 0);
    for (uint16_t i = 2; i <= 3; i++)
        assert_false(qr_dkg_failed(d->party[i].dkg));
    rush_release(d);
    quorum_pump(d);
    for (uint16_t i = 1; i <= 3; i++)
        assert_true(qr_dkg_ready(d->party[i].dkg));
    quorum_free(d);
}

/* ---- other people's words -------------------------------------------------------------------- */

/* Party 1 says to 2 what party 3 said to 2: all of it, or only the commitment and its opening. */
static struct {
    int all;
    uint8_t m1[QR_PRESIGN1_LEN(BATCH)], m2[QR_PRESIGN2_LEN(BATCH)];
    int have1, have2;
} parrot;

static void
parrot_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    (void)ctx;
    if (m->from == 3 && m->to == 2 && m->type == QR_MSG_PRESIGN1) {
        memcpy(parrot.m1, m->p, m->len);
        parrot.have1 = 1;
    } else if (m->from == 3 && m->to == 2 && m->type == QR_MSG_PRESIGN2) {
        memcpy(parrot.m2, m->p, m->len);
        parrot.have2 = 1;
    } else if (m->from == 1 && m->type == QR_MSG_PRESIGN1 && (m->to == 2 || !parrot.all)) {
        if (!parrot.have1) { /* later */
            quorum_inject(qq, 1, m->to, m->type, m->sid, qr_view_of(m->p, m->len));
            m->drop = 1;
        } else {
            memcpy(m->p, parrot.m1, parrot.all ? m->len : 32);
        }
    } else if (m->from == 1 && m->type == QR_MSG_PRESIGN2 && m->to == 2 && !parrot.all) {
        if (!parrot.have2) {
            quorum_inject(qq, 1, m->to, m->type, m->sid, qr_view_of(m->p, m->len));
            m->drop = 1;
            return;
        }
        memcpy(m->p, parrot.m2, 64); /* its salt; and its view, which is that of all */
        for (size_t k = 0; k < BATCH; k++)
            memcpy(m->p + SLOT(k), parrot.m2 + SLOT(k), 33);
    }
}

static void
attack_19_others_messages_are_not_ones_own(void **state)
{
    (void)state;
    stage_use(q, 3);
    /* the commitment and the opening of another: they name their party */
    memset(&parrot, 0, sizeof parrot);
    q->tap = parrot_tap;
    (void)!quorum_presign(q, S123, 3, BATCH);
    expect(2, QR_ERR_COMMITMENT, 1);
    /* the whole message: made for another pair's seeds. Only a liar can say it over his channel. */
    memset(&parrot, 0, sizeof parrot);
    parrot.all = 1;
    (void)!quorum_presign(q, S123, 3, BATCH);
    expect(2, QR_ERR_CHECK, 1);
    q->tap = NULL;
    assert_int_equal(quorum_presign(q, S123, 3, BATCH), QR_OK);
}

/* ---- what a failed signature shows ------------------------------------------------------------ */

static void
psi_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    (void)ctx, (void)qq;
    if (m->from != 1 || m->to != 2 || m->type != QR_MSG_PRESIGN2)
        return;
    for (size_t k = 0; k < BATCH; k++) {
        qr_fq psi;
        assert_int_equal(qr_fq_parse(&psi, m->p + SLOT(k) + 132), QR_OK);
        qr_fq_add(&psi, &psi, &qr_fq_one);
        qr_fq_put(m->p + SLOT(k) + 132, &psi);
    }
}

/*
 * psi is the one value that nothing checks before the signature. An error of 1 in it adds r_2 to party
 * 2's u and its share of the key to its v; but each is masked by the multiplication's outputs, so that
 * what party 2 answers is as uniform as ever: the top four bits of 256 answers under one key.
 */
static void
attack_17_wrong_psi_shows_nothing(void **state)
{
    unsigned count[2][16] = {{0}};
    struct quorum_input in = {.digest = {5}, .rq = {1}};

    (void)state;
    stage_use(q, 2);
    q->tap = psi_tap;
    for (unsigned run = 0; run < 64; run++) {
        assert_int_equal(quorum_presign(q, S12, 2, BATCH), QR_OK);
        for (size_t k = 0; k < BATCH; k++) {
            uint8_t share[2][QR_SIGN_SHARE_LEN], sig[64];
            const uint8_t *shares[2] = {share[0], share[1]};
            struct qr_sign_common c;
            struct qr_sign_item item[2];
            uint16_t blame;
            int recid;
            assert_int_equal(
                qr_sign_prepare(&q->party[2].key.pub, S12, 2, in.request_id, in.rq, NULL, 0, &c),
                QR_OK);
            for (uint16_t i = 1; i <= 2; i++)
                assert_int_equal(qr_sign_share(&c, in.digest, 0, &q->party[i].presig[k],
                                               share[i - 1], &item[i - 1]),
                                 QR_OK);
            assert_int_equal(qr_sign_combine(&c, &item[0], shares, sig, &recid, &blame),
                             QR_ERR_BAD_SIGNATURE);
            count[0][share[1][32] >> 4]++;
            count[1][share[1][64] >> 4]++;
        }
    }
    for (size_t v = 0; v < 2; v++) {
        double chi2 = 0;
        for (size_t b = 0; b < 16; b++) {
            double d = (double)count[v][b] - 16;
            chi2 += d * d / 16;
        }
        assert_true(chi2 < 45); /* 15 degrees of freedom: one run in 10,000 is above */
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_equal_stories_are_honest),
        cmocka_unit_test(attack_25_another_share_for_each_peer),
        cmocka_unit_test(attack_25_another_nonce_for_each_peer),
        cmocka_unit_test(attack_16_rushing_sees_no_openings),
        cmocka_unit_test(attack_19_others_messages_are_not_ones_own),
        cmocka_unit_test(attack_17_wrong_psi_shows_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
