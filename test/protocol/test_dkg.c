/*
 * Key generation as a machine: every field of every message changed, messages out of place, the
 * signer, the outbox. Dealers that cheat with arithmetic of their own are in test_dkg_dealers.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "protocol/base/mem.h"
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
attack_08_wrong_lengths(void **state)
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
attack_08_raised_threshold(void **state)
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

/* ---- parameters, signer, outbox -------------------------------------------------------------------- */

static void
attack_15_indices_and_thresholds(void **state)
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
    qr_dkg_wipe(d); /* its index is gone as well */
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
attack_12_not_active_without_all(void **state)
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
        cmocka_unit_test(attack_08_wrong_lengths),
        cmocka_unit_test(test_second_word),
        cmocka_unit_test(attack_08_raised_threshold),
        cmocka_unit_test(attack_15_indices_and_thresholds),
        cmocka_unit_test(test_sid_binds),
        cmocka_unit_test(test_confirm),
        cmocka_unit_test(test_wrong_signer),
        cmocka_unit_test(attack_12_not_active_without_all),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
