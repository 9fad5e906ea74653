/*
 * Key generation against dealers that do their own arithmetic, and against two consistent stories.
 *
 * Attacks are written as a tap on the queue. A cheat that needs to know what others will say is
 * played twice: the generators are seeded, so a second quorum of the same seed says it again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/poly.h"
#include "test/common/quorum.h"

#define N 3
#define T 2
#define BCAST QR_DKG2_BCAST_LEN(T)
/* layout of the broadcast part */
#define AT_CC (33u * T)
#define AT_POK (AT_CC + 32u)
#define AT_SALT (AT_POK + 65u)
#define AT_ECHO (AT_SALT + 32u)

/* Replaces everything party 1 says in rounds 1 and 2. */
struct forger {
    uint8_t bcast[BCAST];
    uint8_t com[N + 1][34]; /* as the honest parties see them */
    qr_fq coef[T];
    uint8_t sid[32];
    uint8_t r3[QR_DKG3_LEN]; /* what an honest party says in round 3 */
    int have_r3, honest_end; /* play along to the end */
};

static void
forge_proof(struct forger *f, uint16_t as)
{
    uint8_t party[2], wide[64];
    qr_fq k, e, z;
    qr_pt R;

    qr_fq_set_u64(&k, 77);
    assert_int_equal(qr_pt_mul_base(&R, &k), QR_OK);
    qr_pt_put(f->bcast + AT_POK, &R);
    qr_put16(party, as);
    qr_tb(QR_TAG_POK,
          QR_FIELDS(QR_F(f->sid, 32), QR_F(party, 2), QR_F(f->bcast, 33 * T),
                    QR_F(f->bcast + AT_POK, 33)),
          wide);
    qr_fq_reduce64(&e, wide);
    qr_fq_mul(&z, &e, &f->coef[0]);
    qr_fq_add(&z, &z, &k);
    qr_fq_put(f->bcast + AT_POK + 33, &z);
}

static void
forge_commit(struct forger *f, uint8_t com[32])
{
    const uint8_t one[2] = {0, 1};

    qr_th(QR_TAG_COM_DKG,
          QR_FIELDS(QR_F(f->sid, 32), QR_F(one, 2), QR_F(f->bcast, AT_SALT),
                    QR_F(f->bcast + AT_SALT, 32)),
          com);
}

static void
forger_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct forger *f = ctx;
    uint8_t com1[32];

    forge_commit(f, com1);
    if (m->type == QR_MSG_DKG1) {
        if (m->from == 1)
            memcpy(m->p, com1, 32);
        qr_put16(f->com[m->from], m->from);
        memcpy(f->com[m->from] + 2, m->p, 32);
    }
    if (m->type == QR_MSG_DKG2 && m->from == 1) {
        const uint8_t round = 1;
        qr_fq share;

        qr_th(QR_TAG_ECHO, QR_FIELDS(QR_F(f->sid, 32), QR_F(&round, 1), QR_F(f->com[1], 34 * N)),
              f->bcast + AT_ECHO);
        memcpy(m->p, f->bcast, BCAST);
        qr_poly_eval(f->coef, T, m->to, &share);
        qr_fq_put(m->p + BCAST, &share);
    }
    if (m->type == QR_MSG_DKG3 && f->honest_end) {
        if (m->from == 2) {
            memcpy(f->r3, m->p, m->len);
            f->have_r3 = 1;
        }
        if (m->from == 1 && f->have_r3) {
            memcpy(m->p, f->r3, m->len);
        } else if (m->from == 1) {
            /* not known yet: say it later */
            quorum_inject(q, 1, m->to, m->type, m->sid, qr_view_of(m->p, m->len));
            m->drop = 1;
        }
    }
}

static void
forge_points(struct forger *f)
{
    for (size_t k = 0; k < T; k++) {
        qr_pt P;
        assert_int_equal(qr_pt_mul_base(&P, &f->coef[k]), QR_OK);
        qr_pt_put(f->bcast + 33 * k, &P);
    }
}

static struct quorum *
forging_quorum(struct forger *f)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    q->tap = forger_tap;
    q->tap_ctx = f;
    memset(f, 0, sizeof *f);
    qr_dkg_sid(&q->dkg, f->sid);
    memset(f->bcast + AT_CC, 0xcc, 32);
    memset(f->bcast + AT_SALT, 0x5a, 32);
    qr_fq_set_u64(&f->coef[0], 1000);
    qr_fq_set_u64(&f->coef[1], 1);
    return q;
}

static void
expect(const struct quorum *q, uint16_t i, qr_err err, uint16_t blame)
{
    assert_int_equal(q->party[i].err, err);
    assert_int_equal(q->party[i].blame, blame);
}

/* The forger's arithmetic is right: without a cheat his dealing makes a key. */
static void
test_forger_control(void **state)
{
    struct forger f;
    struct quorum *q = forging_quorum(&f);

    (void)state;
    forge_points(&f);
    forge_proof(&f, 1);
    f.honest_end = 1;
    (void)!quorum_dkg(q);
    for (uint16_t i = 2; i <= N; i++) {
        expect(q, i, QR_OK, 0);
        assert_non_null(qr_dkg_key(q->party[i].dkg));
        assert_int_equal(qr_key_check_share(qr_dkg_key(q->party[i].dkg)), QR_OK);
    }
    quorum_free(q);
}

/* p(2) = 0: F(2) is at infinity. It must be an error, not a crash and not an accepted share. */
static void
attack_09_infinite_evaluation(void **state)
{
    struct forger f;
    struct quorum *q = forging_quorum(&f);

    (void)state;
    qr_fq_set_u64(&f.coef[1], 500);
    qr_fq_neg(&f.coef[1], &f.coef[1]);
    forge_points(&f);
    forge_proof(&f, 1);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_INFINITY, 1);
    expect(q, 3, QR_ERR_EQUIVOCATION, 0);
    quorum_free(q);
}

/* A valid polynomial, but nobody showed that its constant term is known. */
static void
test_bad_proof(void **state)
{
    struct forger f;
    struct quorum *q = forging_quorum(&f);

    (void)state;
    forge_points(&f);
    forge_proof(&f, 1);
    f.bcast[AT_POK + 64] ^= 1;
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_PROOF, 1);
    expect(q, 3, QR_ERR_PROOF, 1);
    quorum_free(q);
}

/* A proof made for another index, and one for another run. */
static void
attack_19_proof_is_bound(void **state)
{
    struct forger f;
    struct quorum *q = forging_quorum(&f);

    (void)state;
    forge_points(&f);
    forge_proof(&f, 2);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_PROOF, 1);
    quorum_free(q);

    q = forging_quorum(&f);
    forge_points(&f);
    f.sid[0] ^= 1;
    forge_proof(&f, 1);
    f.sid[0] ^= 1;
    (void)!quorum_dkg(q);
    expect(q, 3, QR_ERR_PROOF, 1);
    quorum_free(q);
}

/* What the others will say, from a first run with the same seeds. */
static struct forger seen;

static void
spy_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)q;
    if (m->type == QR_MSG_DKG2 && m->from == *(const uint16_t *)ctx)
        memcpy(seen.bcast, m->p, BCAST);
}

static void
spy(uint16_t on)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    q->tap = spy_tap;
    q->tap_ctx = &on;
    assert_int_equal(quorum_dkg(q), QR_OK);
    quorum_free(q);
}

/* Party 1 commits to and opens party 3's very words: points, chain-code part and proof. */
static void
attack_19_replayed_opening(void **state)
{
    struct forger f;

    (void)state;
    spy(3);
    struct quorum *q = forging_quorum(&f);
    memcpy(f.bcast, seen.bcast, AT_SALT);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_PROOF, 1);
    expect(q, 3, QR_ERR_PROOF, 1);
    quorum_free(q);
}

/*
 * The rogue key: after the others' openings, party 1 wants F_0 = target - sum of theirs. His
 * commitment is out already, so he has to open something else.
 */
static void
rogue_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct forger *f = ctx;

    (void)q;
    if (m->type == QR_MSG_DKG1 && m->from == 1)
        forge_commit(f, m->p);
    if (m->type == QR_MSG_DKG2 && m->from == 1) {
        /* seen.bcast: party 3's opening; negated it would cancel out of the key */
        memcpy(m->p, seen.bcast, 33);
        m->p[0] ^= 1;
    }
}

static void
attack_16_rogue_key(void **state)
{
    struct forger f;

    (void)state;
    spy(3);
    struct quorum *q = forging_quorum(&f);
    q->tap = rogue_tap;
    forge_points(&f);
    forge_proof(&f, 1);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_COMMITMENT, 1);
    expect(q, 3, QR_ERR_COMMITMENT, 1);
    quorum_free(q);

    /* the same point committed to from the start, by one who foresaw it: no proof for it */
    q = forging_quorum(&f);
    forge_points(&f);
    memcpy(f.bcast, seen.bcast, 33);
    f.bcast[0] ^= 1;
    forge_proof(&f, 1);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_PROOF, 1);
    expect(q, 3, QR_ERR_PROOF, 1);
    quorum_free(q);
}

/* The first draw of a party is its constant term; only the test's generators can be asked. */
static void
constant_term(uint16_t party, qr_fq *ret)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    uint8_t wide[64];

    qr_rng_fill(&q->party[party].rng, wide, 64);
    qr_fq_reduce64(ret, wide);
    quorum_free(q);
}

/* A key at infinity, by somebody who knows the others' secrets; and two equal constant terms. */
static void
test_key_at_infinity_and_equal_terms(void **state)
{
    struct forger f;
    struct quorum *q = forging_quorum(&f);
    qr_fq a2, a3;

    (void)state;
    constant_term(2, &a2);
    constant_term(3, &a3);
    qr_fq_add(&f.coef[0], &a2, &a3);
    qr_fq_neg(&f.coef[0], &f.coef[0]);
    forge_points(&f);
    forge_proof(&f, 1);
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_INFINITY, 0);
    expect(q, 3, QR_ERR_INFINITY, 0);
    quorum_free(q);

    q = forging_quorum(&f);
    f.coef[0] = a3;
    forge_points(&f);
    forge_proof(&f, 1);
    (void)!quorum_dkg(q);
    /* party 3 knows that it is not the copier; party 2 names the later of the two */
    expect(q, 3, QR_ERR_PROOF, 1);
    expect(q, 2, QR_ERR_PROOF, 3);
    quorum_free(q);
}

/* Points and scalars that are none, under a commitment that opens. */
static void
attack_31_bad_encodings_of_dealers(void **state)
{
    static const struct {
        size_t at, len;
        uint8_t fill;
        qr_err want;
    } bad[] = {
        {0, 33, 0, QR_ERR_POINT},           {33, 1, 4, QR_ERR_POINT},
        {AT_POK, 33, 0xff, QR_ERR_POINT},   {AT_POK + 33, 32, 0xff, QR_ERR_SCALAR},
        {AT_POK + 33, 32, 0, QR_ERR_PROOF},
    };
    struct forger f;

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        struct quorum *q = forging_quorum(&f);
        forge_points(&f);
        forge_proof(&f, 1);
        memset(f.bcast + bad[k].at, bad[k].fill, bad[k].len);
        (void)!quorum_dkg(q);
        expect(q, 2, bad[k].want, 1);
        expect(q, 3, bad[k].want, 1);
        quorum_free(q);
    }
}

/* A share that is no scalar. */
static void
scalar_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)ctx, (void)q;
    if (m->type == QR_MSG_DKG2 && m->from == 1 && m->to == 2)
        memset(m->p + BCAST, 0xff, 32);
}

static void
test_share_not_canonical(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    (void)state;
    q->tap = scalar_tap;
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_SCALAR, 1);
    expect(q, 3, QR_ERR_SHARE, 0);
    quorum_free(q);
}

/*
 * True equivocation: party 1 commits to two dealings that differ in the chain-code part, and opens to
 * each of the others what it committed to there, with the echo that one expects. Each on its own
 * finds nothing; they find it in each other's echo.
 */
static struct forger story[N + 1];

static void
stories_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    if (m->from == 1 && m->to != 1) {
        forger_tap(&story[m->to], q, m);
    } else if (m->type == QR_MSG_DKG1) {
        for (uint16_t v = 2; v <= N; v++)
            forger_tap(&story[v], q, m);
    }
    (void)ctx;
}

static void
attack_12_two_chain_codes(void **state)
{
    struct quorum *q = NULL;

    (void)state;
    for (uint16_t v = 2; v <= N; v++) {
        quorum_free(q);
        q = forging_quorum(&story[v]);
        story[v].bcast[AT_CC] = (uint8_t)v;
        forge_points(&story[v]);
        forge_proof(&story[v], 1);
    }
    q->tap = stories_tap;
    (void)!quorum_dkg(q);
    expect(q, 2, QR_ERR_EQUIVOCATION, 0);
    expect(q, 3, QR_ERR_EQUIVOCATION, 0);
    quorum_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forger_control),
        cmocka_unit_test(attack_09_infinite_evaluation),
        cmocka_unit_test(test_bad_proof),
        cmocka_unit_test(attack_19_proof_is_bound),
        cmocka_unit_test(attack_19_replayed_opening),
        cmocka_unit_test(attack_16_rogue_key),
        cmocka_unit_test(test_key_at_infinity_and_equal_terms),
        cmocka_unit_test(attack_31_bad_encodings_of_dealers),
        cmocka_unit_test(test_share_not_canonical),
        cmocka_unit_test(attack_12_two_chain_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
