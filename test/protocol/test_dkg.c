/*
 * Key generation against dealers that cheat, parties that equivocate, and messages out of place.
 *
 * Attacks are written as a tap on the queue. A cheat that needs to know what others will say is
 * played twice: the generators are seeded, so a second quorum of the same seed says it again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
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

/* One change of one message type from one party, to one party or (to = 0) to all. */
struct change {
    enum qr_msg type;
    uint16_t from, to;
    size_t at;
    uint8_t flip;
    qr_err want[N + 1]; /* by party, the cheat's own entry is not looked at */
    uint16_t blame[N + 1];
};

static void
flip_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    const struct change *c = ctx;

    (void)q;
    if (m->type == c->type && m->from == c->from && (c->to == 0 || c->to == m->to))
        m->p[c->at] ^= c->flip;
}

static void
run_change(const struct change *c)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    struct change copy = *c;

    q->tap = flip_tap;
    q->tap_ctx = &copy;
    assert_int_not_equal(quorum_dkg(q), QR_OK);
    for (uint16_t i = 1; i <= N; i++) {
        if (i == c->from)
            continue;
        assert_int_equal(q->party[i].err, c->want[i]);
        assert_int_equal(q->party[i].blame, c->blame[i]);
        if (c->want[i] != QR_OK) {
            assert_true(qr_dkg_failed(q->party[i].dkg));
            assert_null(qr_dkg_key(q->party[i].dkg));
        }
        assert_false(qr_dkg_done(q->party[i].dkg));
        /* a failed run leaves nothing behind */
        assert_int_equal(q->outstanding, 0);
    }
    quorum_free(q);
}

static void
test_tampered_messages(void **state)
{
    static const struct change cases[] = {
        /* commitment changed for one: it does not open there, the other hears of it */
        {QR_MSG_DKG1, 1, 2, 0, 1, {0, 0, QR_ERR_COMMITMENT, QR_ERR_EQUIVOCATION}, {0, 0, 1, 0}},
        /* commitment changed for all: nobody can open it */
        {QR_MSG_DKG1, 1, 0, 31, 1, {0, 0, QR_ERR_COMMITMENT, QR_ERR_COMMITMENT}, {0, 0, 1, 1}},
        /* a commitment that only party 1 got wrong: the honest opening does not fit */
        {QR_MSG_DKG2, 1, 2, 40, 1, {0, 0, QR_ERR_COMMITMENT, QR_ERR_EQUIVOCATION}, {0, 0, 1, 0}},
        /* chain-code part, proof, salt: all are under the commitment */
        {QR_MSG_DKG2, 1, 2, AT_CC, 1, {0, 0, QR_ERR_COMMITMENT, QR_ERR_EQUIVOCATION}, {0, 0, 1, 0}},
        {QR_MSG_DKG2,
         1,
         2,
         AT_POK + 40,
         1,
         {0, 0, QR_ERR_COMMITMENT, QR_ERR_EQUIVOCATION},
         {0, 0, 1, 0}},
        {QR_MSG_DKG2,
         1,
         2,
         AT_SALT,
         1,
         {0, 0, QR_ERR_COMMITMENT, QR_ERR_EQUIVOCATION},
         {0, 0, 1, 0}},
        /* a false echo of round 1: two stories, nobody to blame */
        {QR_MSG_DKG2, 1, 0, AT_ECHO, 1, {0, 0, QR_ERR_EQUIVOCATION, QR_ERR_EQUIVOCATION}, {0}},
        /* a false echo told to one: the broadcasts differ, and the other finds that in round 3 */
        {QR_MSG_DKG2, 1, 2, AT_ECHO, 1, {0, 0, QR_ERR_EQUIVOCATION, QR_ERR_EQUIVOCATION}, {0}},
        /* a share that does not lie on the committed polynomial */
        {QR_MSG_DKG2, 1, 2, BCAST + 31, 1, {0, 0, QR_ERR_SHARE, QR_ERR_SHARE}, {0, 0, 1, 0}},
        /* round 3: another echo, a complaint */
        {QR_MSG_DKG3, 1, 2, 0, 1, {0, 0, QR_ERR_EQUIVOCATION, QR_OK}, {0}},
        {QR_MSG_DKG3, 1, 2, 32, 1, {0, 0, QR_ERR_SHARE, QR_OK}, {0}},
        {QR_MSG_DKG3, 1, 0, 32, 0x80, {0, 0, QR_ERR_SHARE, QR_ERR_SHARE}, {0}},
        /* confirmations */
        {QR_MSG_DKG4, 1, 2, 5, 1, {0, 0, QR_ERR_IDENTITY, QR_OK}, {0, 0, 1, 0}},
        {QR_MSG_DKG4, 1, 0, 40, 1, {0, 0, QR_ERR_IDENTITY, QR_ERR_IDENTITY}, {0, 0, 1, 1}},
    };

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct change *c = &cases[k];

        if (c->type == QR_MSG_DKG4 && c->to == 2) {
            /* party 3 heard nothing wrong and is done: activation is each party's own verdict */
            struct quorum *q = quorum_new(N, T, "dkg");
            struct change copy = *c;
            q->tap = flip_tap;
            q->tap_ctx = &copy;
            assert_int_equal(quorum_dkg(q), QR_ERR_IDENTITY);
            assert_int_equal(q->party[2].blame, 1);
            assert_true(qr_dkg_failed(q->party[2].dkg));
            assert_true(qr_dkg_done(q->party[3].dkg));
            quorum_free(q);
            continue;
        }
        run_change(c);
    }
}

/* A confirmation of all zeros must be judged like any other. */
static void
zero_confirm_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)ctx, (void)q;
    if (m->type == QR_MSG_DKG4 && m->from == 3)
        memset(m->p, 0, m->len);
}

static void
test_zero_confirmation(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    (void)state;
    q->tap = zero_confirm_tap;
    assert_int_equal(quorum_dkg(q), QR_ERR_IDENTITY);
    for (uint16_t i = 1; i <= 2; i++) {
        assert_int_equal(q->party[i].err, QR_ERR_IDENTITY);
        assert_int_equal(q->party[i].blame, 3);
        assert_false(qr_dkg_done(q->party[i].dkg));
    }
    quorum_free(q);
}

/* Wrong lengths change nothing; then the right message still counts. */
static void
long_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    size_t *left = ctx;

    if (m->from != 1 || m->to != 2 || *left == 0)
        return;
    --*left;
    struct qr_outbox none = {0};
    uint16_t blame = 7;
    const size_t wrong[] = {0, 1, m->len - 1, m->len + 1};
    uint8_t big[QR_DKG2_LEN(QR_MAX_PARTIES) + 1] = {0};
    memcpy(big, m->p, m->len);
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal(
            qr_dkg_recv(q->party[2].dkg, 1, m->type, qr_view_of(big, wrong[k]), &none, &blame),
            QR_ERR_LENGTH);
        assert_int_equal(blame, 0);
    }
    /* strangers and foreign types neither */
    assert_int_equal(
        qr_dkg_recv(q->party[2].dkg, 0, m->type, qr_view_of(big, m->len), &none, &blame),
        QR_ERR_STATE);
    assert_int_equal(
        qr_dkg_recv(q->party[2].dkg, 2, m->type, qr_view_of(big, m->len), &none, &blame),
        QR_ERR_STATE);
    assert_int_equal(
        qr_dkg_recv(q->party[2].dkg, 4, m->type, qr_view_of(big, m->len), &none, &blame),
        QR_ERR_STATE);
    assert_int_equal(
        qr_dkg_recv(q->party[2].dkg, 1, QR_MSG_PRESIGN1, qr_view_of(big, m->len), &none, &blame),
        QR_ERR_STATE);
    /* the duplicate of what is about to be delivered is refused after it */
    quorum_inject(q, 1, 2, m->type, m->sid, qr_view_of(m->p, m->len));
}

static void
test_wrong_lengths_and_duplicates(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    size_t left = 4;

    (void)state;
    q->tap = long_tap;
    q->tap_ctx = &left;
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_int_equal(left, 0);
    quorum_free(q);
}

/* A second, different message of the same round: refused, and the first one counts. */
static void
second_word_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    unsigned *left = ctx;
    struct qr_outbox out = quorum_outbox(&q->party[2]);
    struct qr_dkg *d = q->party[2].dkg;
    uint16_t blame;

    if (m->from != 1 || m->to != 2)
        return;
    assert_int_equal(qr_dkg_recv(d, 1, m->type, qr_view_of(m->p, m->len), &out, &blame), QR_OK);
    m->p[3] ^= 1;
    assert_int_equal(qr_dkg_recv(d, 1, m->type, qr_view_of(m->p, m->len), &out, &blame),
                     QR_ERR_STATE);
    m->drop = 1;
    --*left;
}

static void
test_second_word(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    unsigned left = 4;

    (void)state;
    q->tap = second_word_tap;
    q->tap_ctx = &left;
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_int_equal(left, 0);
    quorum_free(q);
}

/* A longer coefficient vector would raise the threshold: its message has the wrong length. */
static void
raised_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)ctx, (void)q;
    if (m->type == QR_MSG_DKG2 && m->from == 1) {
        uint8_t longer[QR_DKG2_LEN(T + 1)] = {0};
        uint16_t blame;
        struct qr_outbox none = {0};
        memcpy(longer, m->p, 33 * T);
        memcpy(longer + 33 * T, m->p, 33);
        memcpy(longer + 33 * (T + 1), m->p + 33 * T, m->len - 33 * T);
        assert_int_equal(qr_dkg_recv(q->party[m->to].dkg, 1, m->type,
                                     qr_view_of(longer, sizeof longer), &none, &blame),
                         QR_ERR_LENGTH);
        assert_int_equal(qr_dkg_recv(q->party[m->to].dkg, 1, m->type,
                                     qr_view_of(longer, QR_DKG2_LEN(T - 1)), &none, &blame),
                         QR_ERR_LENGTH);
        m->drop = 1;
    }
}

static void
test_raised_threshold(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    (void)state;
    q->tap = raised_tap;
    assert_int_equal(quorum_dkg(q), QR_ERR_TIMEOUT);
    for (uint16_t i = 2; i <= 3; i++) {
        assert_false(qr_dkg_failed(q->party[i].dkg));
        assert_null(qr_dkg_key(q->party[i].dkg));
    }
    quorum_free(q);
}

/* ---- a dealer that does his own arithmetic --------------------------------------------------------- */

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
test_infinite_evaluation(void **state)
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
test_proof_is_bound(void **state)
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
test_replayed_opening(void **state)
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
test_rogue_key(void **state)
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
test_bad_encodings(void **state)
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
test_two_stories(void **state)
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

/* ---- parameters, signer, outbox -------------------------------------------------------------------- */

static void
test_parameters(void **state)
{
    static const uint16_t bad[][3] = {/* self, t, n */
                                      {0, 2, 3}, {4, 2, 3}, {1, 1, 3},  {1, 0, 3},
                                      {1, 4, 3}, {1, 2, 1}, {1, 2, 17}, {1, 2, 0}};
    struct quorum *q = quorum_new(N, T, "dkg");
    void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
    struct qr_dkg *d = NULL;

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        struct qr_dkg_params p = q->dkg;
        p.self = bad[k][0];
        p.t = bad[k][1];
        p.n = bad[k][2];
        assert_int_equal(qr_dkg_init(mem, &p, &d), QR_ERR_SET);
    }
    struct qr_dkg_params p = q->dkg;
    p.self = 1;
    memcpy(p.id[2], p.id[0], 32);
    assert_int_equal(qr_dkg_init(mem, &p, &d), QR_ERR_SET);
    assert_null(d);
    qr_locked_free(mem);
    quorum_free(q);
}

/* The sid holds everything the parties must agree on. */
static void
test_sid_binds(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    uint8_t sid[32], other[32];

    (void)state;
    qr_dkg_sid(&q->dkg, sid);
    for (unsigned k = 0; k < 9; k++) {
        struct qr_dkg_params p = q->dkg;
        uint8_t *field[] = {p.cluster, p.roster_hash, p.admin_hash,    p.command_hash,
                            p.id[2],   p.nonce[1],    p.measurement[0]};
        if (k < 7)
            field[k][7] ^= 1;
        else if (k == 7)
            p.t = 3;
        else
            p.n = 2;
        qr_dkg_sid(&p, other);
        assert_memory_not_equal(sid, other, 32);
    }
    quorum_free(q);
}

static int
refuse(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    (void)ctx, (void)msg, (void)sig;
    return -1;
}

static int
sign_wrongly(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    (void)ctx, (void)msg;
    memset(sig, 1, 64);
    return 0;
}

static unsigned dkg4_sent;

static void
count_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)ctx, (void)q;
    dkg4_sent += m->type == QR_MSG_DKG4;
}

/* DKG4 leaves only through qr_dkg_confirm, once, with a signature that verifies. */
static void
test_confirm(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    struct qr_id_signer bad = {NULL, refuse};
    struct qr_outbox none = {0};
    struct qr_dkg *d;

    (void)state;
    dkg4_sent = 0;
    q->tap = count_tap;
    /* a machine before its end, and one that is done, confirm nothing */
    struct qr_dkg_params p = q->dkg;
    p.self = 1;
    void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
    assert_int_equal(qr_dkg_init(mem, &p, &d), QR_OK);
    assert_int_equal(qr_dkg_confirm(d, &bad, &none), QR_ERR_STATE);
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_int_equal(dkg4_sent, N * (N - 1));
    assert_int_equal(qr_dkg_confirm(q->party[1].dkg, &bad, &none), QR_ERR_STATE);
    assert_int_equal(qr_dkg_key(q->party[1].dkg)->state, QR_KEY_ACTIVE);
    uint16_t party;
    assert_int_equal(qr_key_check(&q->party[1].key.pub, &party), QR_OK);
    for (uint16_t i = 1; i <= N; i++)
        assert_int_equal(qr_key_check_share(&q->party[i].key), QR_OK);
    qr_locked_free(mem);
    quorum_free(q);
}

/*
 * A signer whose key is not the roster's: nothing is sent, and the right one may still follow. The
 * harness confirms as soon as it can, so this party is driven by hand, with what the others said.
 */
static struct qr_dkg *by_hand;

static void
copy_to_hand_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct qr_outbox *out = ctx;
    uint16_t blame;

    (void)q;
    /* our own messages are the same, as the generator is: the copy only needs the others' */
    if (m->to == 1 && m->type != QR_MSG_DKG4)
        assert_int_equal(
            qr_dkg_recv(by_hand, m->from, m->type, qr_view_of(m->p, m->len), out, &blame), QR_OK);
}

static uint8_t sink[QR_DKG2_LEN(T)];
static unsigned sunk;

static uint8_t *
sink_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
             size_t len)
{
    (void)ctx, (void)to, (void)epoch, (void)sid, (void)len;
    sunk += type == QR_MSG_DKG4;
    return sink;
}

static void
sink_done(void *ctx, uint16_t to, uint8_t *p)
{
    (void)ctx, (void)to, (void)p;
}

static int
sign_as_1(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    return crypto_sign_detached(sig, NULL, msg, 32, ctx);
}

static void
test_wrong_signer(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    struct quorum *twin = quorum_new(N, T, "dkg");
    struct qr_outbox out = {NULL, sink_reserve, sink_done, sink_done};
    struct qr_id_signer bad[] = {{NULL, refuse}, {NULL, sign_wrongly}};
    struct qr_id_signer good = {q->party[1].id_sk, sign_as_1};
    struct qr_dkg_params p = q->dkg;
    void *mem = qr_locked_alloc(qr_dkg_size(), NULL);

    (void)state;
    p.self = 1;
    sunk = 0;
    assert_int_equal(qr_dkg_init(mem, &p, &by_hand), QR_OK);
    assert_int_equal(qr_dkg_start(by_hand, &twin->party[1].rng, &out), QR_OK);
    q->tap = copy_to_hand_tap;
    q->tap_ctx = &out;
    assert_int_equal(quorum_dkg(q), QR_OK);
    assert_true(qr_dkg_ready(by_hand));
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(qr_dkg_confirm(by_hand, &bad[k], &out), QR_ERR_IDENTITY);
        assert_int_equal(sunk, 0);
        assert_true(qr_dkg_ready(by_hand));
    }
    assert_int_equal(qr_dkg_confirm(by_hand, &good, &out), QR_OK);
    assert_int_equal(sunk, N - 1);
    assert_false(qr_dkg_ready(by_hand));
    qr_locked_free(mem);
    quorum_free(twin);
    quorum_free(q);
}

/* Stops every confirmation, so that the machines stay ready. */
static void
drop_confirm_tap(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    (void)ctx, (void)q;
    if (m->type == QR_MSG_DKG4)
        m->drop = 1;
}

static void
test_not_active_without_all(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");

    (void)state;
    q->tap = drop_confirm_tap;
    assert_int_equal(quorum_dkg(q), QR_ERR_TIMEOUT);
    for (uint16_t i = 1; i <= N; i++) {
        assert_false(qr_dkg_done(q->party[i].dkg));
        assert_int_equal(qr_dkg_key(q->party[i].dkg)->state, QR_KEY_PENDING);
    }
    quorum_free(q);
}

/* A full queue at any of the sends kills the run and leaves nothing reserved. */
static void
test_backpressure(void **state)
{
    (void)state;
    /* 4 rounds of 2 messages at 3 parties */
    for (size_t after = 0; after < 4 * 2 * 3; after++) {
        struct quorum *q = quorum_new(N, T, "dkg");

        q->reserve_fails_after = after;
        assert_int_equal(quorum_dkg(q), QR_ERR_BACKPRESSURE);
        assert_int_equal(q->outstanding, 0);
        quorum_free(q);
    }
    struct quorum *q = quorum_new(N, T, "dkg");
    q->reserve_fails_after = 4 * 2 * 3;
    assert_int_equal(quorum_dkg(q), QR_OK);
    quorum_free(q);
}

/* A wiped machine holds no byte of what it knew, and says no to everything. */
static void
test_wipe(void **state)
{
    struct quorum *q = quorum_new(N, T, "dkg");
    struct qr_outbox none = {0};
    uint8_t msg[QR_DKG1_LEN] = {0};
    uint16_t blame;

    (void)state;
    assert_int_equal(quorum_dkg(q), QR_OK);
    struct qr_dkg *d = q->party[1].dkg;
    qr_dkg_wipe(d);
    const uint8_t *raw = (const uint8_t *)d;
    size_t left = 0;
    for (size_t k = 0; k < qr_dkg_size(); k++)
        left += raw[k] != 0;
    assert_true(left <= sizeof(int)); /* the phase alone */
    assert_true(qr_dkg_failed(d));
    assert_null(qr_dkg_key(d));
    assert_int_equal(qr_dkg_start(d, &q->party[1].rng, &none), QR_ERR_STATE);
    assert_int_equal(qr_dkg_recv(d, 2, QR_MSG_DKG1, qr_view_of(msg, sizeof msg), &none, &blame),
                     QR_ERR_STATE);
    quorum_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tampered_messages),
        cmocka_unit_test(test_zero_confirmation),
        cmocka_unit_test(test_wrong_lengths_and_duplicates),
        cmocka_unit_test(test_second_word),
        cmocka_unit_test(test_raised_threshold),
        cmocka_unit_test(test_forger_control),
        cmocka_unit_test(test_infinite_evaluation),
        cmocka_unit_test(test_bad_proof),
        cmocka_unit_test(test_proof_is_bound),
        cmocka_unit_test(test_replayed_opening),
        cmocka_unit_test(test_rogue_key),
        cmocka_unit_test(test_key_at_infinity_and_equal_terms),
        cmocka_unit_test(test_bad_encodings),
        cmocka_unit_test(test_share_not_canonical),
        cmocka_unit_test(test_two_stories),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_sid_binds),
        cmocka_unit_test(test_confirm),
        cmocka_unit_test(test_wrong_signer),
        cmocka_unit_test(test_not_active_without_all),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
