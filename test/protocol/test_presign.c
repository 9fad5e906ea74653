/*
 * Presigning as a machine: parameters, order of messages, quanta, exits, and what its values look
 * like. Cheating peers are in test_attack_*.c and test_malice.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/presign_int.h"
#include "protocol/zero.h"
#include "test/common/stage.h"

static const uint16_t S12[] = {1, 2}, S123[] = {1, 2, 3};
static struct quorum *q;

static int
set_up(void **state)
{
    (void)state;
    q = stage_new("presign");
    return q ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    q = quorum_free(q);
    return 0;
}

/* ---- parameters ------------------------------------------------------------------------------------- */

static void
attack_14_signing_sets(void **state)
{
    static const struct {
        uint16_t S[4], t, B, initiator;
        qr_err want;
    } bad[] = {
        {{1, 2}, 2, 0, 1, QR_ERR_USAGE},  {{1, 2}, 2, 5, 1, QR_ERR_USAGE},
        {{1, 2}, 2, 20, 1, QR_ERR_USAGE}, {{1, 2}, 2, 1, 1, QR_ERR_USAGE},
        {{1}, 1, 4, 1, QR_ERR_SET},       {{1, 2, 3}, 3, 4, 1, QR_ERR_SET},
        {{2, 1}, 2, 4, 1, QR_ERR_SET},    {{1, 1}, 2, 4, 1, QR_ERR_SET},
        {{0, 1}, 2, 4, 1, QR_ERR_SET},    {{1, 4}, 2, 4, 1, QR_ERR_SET},
        {{2, 3}, 2, 4, 2, QR_ERR_SET},    {{1, 2}, 2, 4, 3, QR_ERR_SET},
        {{1, 2}, 2, 4, 0, QR_ERR_SET},    {{1, 65535}, 2, 4, 1, QR_ERR_SET},
    };
    struct qr_batch_id good, id;
    const struct qr_pair *pairs[4] = {NULL, q->party[1].pair[2], q->party[1].pair[3], NULL};
    struct qr_presign *p = NULL;
    void *mem = qr_locked_alloc(qr_presign_size(3, 16), NULL);
    struct qr_key key = *stage_key(2, 1);

    (void)state;
    stage_use(q, 2);
    quorum_batch_id(q, S12, 2, 4, &good);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        id = good;
        memset(id.S, 0, sizeof id.S);
        memcpy(id.S, bad[k].S, sizeof bad[k].S);
        id.t = bad[k].t;
        id.B = bad[k].B;
        id.initiator = bad[k].initiator;
        assert_int_equal(qr_presign_init(mem, &key, &id, pairs, q->party[1].aes, &p), bad[k].want);
    }
    id = good;
    id.key_id[0] ^= 1;
    assert_int_equal(qr_presign_init(mem, &key, &id, pairs, q->party[1].aes, &p), QR_ERR_SID);
    id = good;
    id.dkg_sid[31] ^= 1;
    assert_int_equal(qr_presign_init(mem, &key, &id, pairs, q->party[1].aes, &p), QR_ERR_SID);
    id = good;
    id.epoch = 1;
    assert_int_equal(qr_presign_init(mem, &key, &id, pairs, q->party[1].aes, &p), QR_ERR_SID);
    key.state = QR_KEY_PENDING;
    assert_int_equal(qr_presign_init(mem, &key, &good, pairs, q->party[1].aes, &p), QR_ERR_STATE);
    key.state = QR_KEY_ACTIVE;
    pairs[1] = NULL;
    assert_int_equal(qr_presign_init(mem, &key, &good, pairs, q->party[1].aes, &p), QR_ERR_STATE);
    assert_null(p);

    /* a pair that has not ended its set-up */
    struct qr_pair_params prm = {.self = 1, .peer = 2};
    void *pair_mem = qr_locked_alloc(qr_pair_size(), NULL);
    pairs[1] = qr_pair_init(pair_mem, &prm);
    assert_int_equal(qr_presign_init(mem, &key, &good, pairs, q->party[1].aes, &p), QR_ERR_STATE);
    qr_locked_free(pair_mem);
    qr_locked_free(mem);
}

static void
test_size(void **state)
{
    (void)state;
    assert_true(qr_presign_size(2, 16) < 512 * 1024);
    assert_true(qr_presign_size(2, 4) < qr_presign_size(2, 16));
    assert_true(qr_presign_size(16, 16) < 8 * 1024 * 1024);
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static void
test_benign_messages(void **state)
{
    struct qr_batch_id id;
    static uint8_t buf[QR_PRESIGN2_LEN(16) + 1];
    const size_t len1 = QR_PRESIGN1_LEN(4), len2 = QR_PRESIGN2_LEN(4);
    int kept;

    (void)state;
    stage_use(q, 2);
    quorum_batch_id(q, S12, 2, 4, &id);
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    quorum_presign_start(q, 1);
    quorum_presign_start(q, 2);
    struct qr_presign *p = q->party[1].ps;
    const struct {
        uint16_t from;
        enum qr_msg type;
        size_t len;
        qr_err want;
    } bad[] = {
        {2, QR_MSG_PRESIGN1, 0, QR_ERR_LENGTH},
        {2, QR_MSG_PRESIGN1, len1 - 1, QR_ERR_LENGTH},
        {2, QR_MSG_PRESIGN1, len1 + 1, QR_ERR_LENGTH},
        {2, QR_MSG_PRESIGN2, len2 - 1, QR_ERR_LENGTH},
        {2, QR_MSG_PRESIGN2, len2 + 1, QR_ERR_LENGTH},
        {2, QR_MSG_PRESIGN2, QR_PRESIGN2_LEN(8), QR_ERR_LENGTH},
        {1, QR_MSG_PRESIGN1, len1, QR_ERR_STATE},
        {3, QR_MSG_PRESIGN1, len1, QR_ERR_STATE},
        {0, QR_MSG_PRESIGN1, len1, QR_ERR_STATE},
        {2, QR_MSG_DKG1, QR_DKG1_LEN, QR_ERR_STATE},
        {3, QR_MSG_PRESIGN2, len2, QR_ERR_STATE},
        {2, QR_MSG_SIGN_SHARE, 96, QR_ERR_STATE},
    };
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        kept = 9;
        assert_int_equal(
            qr_presign_recv(p, bad[k].from, bad[k].type, qr_view_of(buf, bad[k].len), &kept),
            bad[k].want);
        assert_int_equal(kept, 0);
    }
    /* none of that did any harm; and what came once does not come again */
    quorum_pump(q);
    assert_true(qr_presign_done(p));
    assert_int_equal(qr_presign_recv(p, 2, QR_MSG_PRESIGN1, qr_view_of(buf, len1), &kept),
                     QR_ERR_STATE);
    assert_int_equal(qr_presign_recv(p, 2, QR_MSG_PRESIGN2, qr_view_of(buf, len2), &kept),
                     QR_ERR_STATE);
    assert_int_equal(kept, 0);
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);
}

/* A second, different message of a round: refused, and the first one counts. */
static void
second_word_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    unsigned *left = ctx;
    /* the machine refers to `first` until the batch ends */
    static uint8_t first[QR_PRESIGN2_LEN(4)], other[QR_PRESIGN2_LEN(4)];
    struct qr_presign *p = qq->party[2].ps;
    int kept;

    if (m->from != 1 || m->to != 2 || *left == 0)
        return;
    memcpy(first, m->p, m->len);
    memcpy(other, m->p, m->len);
    other[40] ^= 1;
    assert_int_equal(qr_presign_recv(p, 1, m->type, qr_view_of(first, m->len), &kept), QR_OK);
    assert_int_equal(kept, m->type == QR_MSG_PRESIGN2);
    assert_int_equal(qr_presign_recv(p, 1, m->type, qr_view_of(other, m->len), &kept),
                     QR_ERR_STATE);
    assert_int_equal(kept, 0);
    m->drop = 1;
    --*left;
}

static void
test_second_word(void **state)
{
    unsigned left = 2;

    (void)state;
    stage_use(q, 2);
    q->tap = second_word_tap;
    q->tap_ctx = &left;
    assert_int_equal(quorum_presign(q, S12, 2, 4), QR_OK);
    assert_int_equal(left, 0);
}

/* Duplicates of every message, right behind it. */
static void
double_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    unsigned *left = ctx;

    if (*left > 0) {
        --*left;
        quorum_inject(qq, m->from, m->to, m->type, m->sid, qr_view_of(m->p, m->len));
    }
}

static void
test_duplicates(void **state)
{
    unsigned left = 12;

    (void)state;
    stage_use(q, 3);
    q->tap = double_tap;
    q->tap_ctx = &left;
    assert_int_equal(quorum_presign(q, S123, 3, 4), QR_OK);
    assert_int_equal(left, 0);
}

/* Party 3 gets party 2's round 2 before party 1's round 1: it was early and must be kept. */
struct hold {
    int seen2;
    unsigned held;
};

static void
hold_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct hold *h = ctx;

    if (m->to != 3)
        return;
    if (m->from == 2 && m->type == QR_MSG_PRESIGN2) {
        h->seen2 = 1;
    } else if (m->from == 1 && !h->seen2) {
        quorum_inject(qq, 1, 3, m->type, m->sid, qr_view_of(m->p, m->len));
        m->drop = 1;
        h->held++;
    }
}

static void
test_early_round2(void **state)
{
    struct hold h = {0};

    (void)state;
    stage_use(q, 3);
    q->tap = hold_tap;
    q->tap_ctx = &h;
    assert_int_equal(quorum_presign(q, S123, 3, 4), QR_OK);
    assert_true(h.seen2 && h.held > 0);
}

/* A peer may be heard before this party has started; work before the start does nothing. */
static void
test_heard_before_start(void **state)
{
    struct qr_batch_id id;
    struct qr_outbox out = quorum_outbox(&q->party[2]);
    uint16_t blame = 5;
    int more = 5;

    (void)state;
    stage_use(q, 2);
    quorum_batch_id(q, S12, 2, 4, &id);
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    quorum_presign_start(q, 1);
    quorum_pump(q);
    assert_int_equal(qr_presign_work(q->party[2].ps, &q->party[2].rng, &out, &more, &blame), QR_OK);
    assert_int_equal(more, 0);
    assert_int_equal(blame, 0);
    quorum_presign_start(q, 2);
    assert_int_equal(qr_presign_start(q->party[2].ps, &q->party[2].rng, &out), QR_ERR_STATE);
    quorum_pump(q);
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);
}

/* ---- quanta ------------------------------------------------------------------------------------------ */

/* Delivers everything that waits, works nobody. */
static void
deliver_all(void)
{
    struct quorum_msg *m;

    while ((m = quorum_next(q)) != NULL)
        quorum_deliver(q, m);
}

/* Works one party until it has nothing to do; how many quanta that took. */
static unsigned
work_dry(uint16_t i)
{
    struct qr_outbox out = quorum_outbox(&q->party[i]);
    unsigned n = 0;
    uint16_t blame;
    int more = 1;

    while (more) {
        assert_int_equal(qr_presign_work(q->party[i].ps, &q->party[i].rng, &out, &more, &blame),
                         QR_OK);
        n++;
    }
    return n;
}

static void
test_quanta(void **state)
{
    const uint16_t B = 8;
    struct qr_batch_id id;

    (void)state;
    stage_use(q, 3);
    quorum_batch_id(q, S123, 3, B, &id);
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    for (uint16_t i = 1; i <= 3; i++)
        quorum_presign_start(q, i);
    deliver_all();
    /* C1 of two peers, then one quantum a slot */
    for (uint16_t i = 1; i <= 3; i++)
        assert_int_equal(work_dry(i), 2 + B);
    assert_int_equal(work_dry(1), 1);
    deliver_all();
    /* two messages to parse, then one quantum a slot */
    for (uint16_t i = 1; i <= 3; i++) {
        size_t n = 99;
        assert_false(qr_presign_done(q->party[i].ps));
        assert_null(qr_presign_result(q->party[i].ps, &n));
        assert_int_equal(n, 0);
        assert_int_equal(work_dry(i), 2 + B);
        assert_true(qr_presign_done(q->party[i].ps));
    }
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);
}

/* ---- results ----------------------------------------------------------------------------------------- */

static void
test_results(void **state)
{
    struct qr_batch_id id;
    uint8_t sid[32], rsid[3][8][32], presig_id[34];
    size_t n;

    (void)state;
    stage_use(q, 3);
    memset(q->sent_bytes, 0, sizeof q->sent_bytes);
    quorum_batch_id(q, S123, 3, 12, &id);
    qr_batch_sid(&id, sid);
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    for (uint16_t i = 1; i <= 3; i++) {
        assert_int_equal(qr_presign_rsids(q->party[i].ps, rsid[i - 1], 8), 4);
        assert_int_equal(qr_presign_rsids(q->party[i].ps, rsid[i - 1], 3), 2);
        quorum_presign_start(q, i);
    }
    quorum_pump(q);
    for (uint16_t i = 1; i <= 3; i++) {
        const struct qr_presig *r = qr_presign_result(q->party[i].ps, &n);
        assert_int_equal(n, 12);
        for (uint16_t k = 0; k < n; k++) {
            qr_presig_id(sid, k, presig_id);
            assert_memory_equal(r[k].id, presig_id, 34);
            assert_int_equal(r[k].set_mask, 7);
            for (uint16_t other = 0; other < k; other++) {
                assert_memory_not_equal(r[k].R, r[other].R, 33);
                assert_false(qr_fq_eq(&r[k].phi, &r[other].phi));
            }
        }
    }
    assert_int_equal(q->sent_bytes[QR_MSG_PRESIGN1], 6 * QR_PRESIGN1_LEN(12));
    assert_int_equal(q->sent_bytes[QR_MSG_PRESIGN2], 6 * QR_PRESIGN2_LEN(12));
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);

    /* party 1's rsids with 2 are 2's with 1, the other way round; all six ordered pairs differ */
    assert_memory_equal(rsid[0][0], rsid[1][1], 32);
    assert_memory_equal(rsid[0][1], rsid[1][0], 32);
    assert_memory_equal(rsid[0][2], rsid[2][1], 32);
    assert_memory_equal(rsid[1][2], rsid[2][3], 32);
    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < a; b++)
            assert_memory_not_equal(rsid[0][a], rsid[0][b], 32);
}

/* Every field of a batch's name gives other rsids: one rsid never runs twice. */
static void
attack_07_names_bind(void **state)
{
    struct qr_batch_id good;
    uint8_t sid[32], other[32];

    (void)state;
    stage_use(q, 2);
    quorum_batch_id(q, S12, 2, 4, &good);
    qr_batch_sid(&good, sid);
    for (unsigned k = 0; k < 9; k++) {
        struct qr_batch_id id = good;
        uint8_t *bytes[] = {id.key_id, id.dkg_sid, id.grp, id.nonce};
        if (k < 4)
            bytes[k][31] ^= 1;
        id.epoch += k == 4;
        id.S[1] = (uint16_t)(id.S[1] + (k == 5));
        id.initiator = (uint16_t)(id.initiator + (k == 6));
        id.B = (uint16_t)(id.B + 4 * (k == 7));
        id.ctr += (uint64_t)(k == 8) << 40;
        qr_batch_sid(&id, other);
        assert_memory_not_equal(sid, other, 32);
    }
    /* grp: every member's index, identity, measurement and boot nonce */
    uint8_t a[2][32] = {{1}, {2}}, m[2][32] = {{3}, {4}}, b[2][32] = {{5}, {6}}, grp[32];
    qr_grp(S12, 2, (const uint8_t(*)[32])a, (const uint8_t(*)[32])m, (const uint8_t(*)[32])b, grp);
    for (unsigned k = 0; k < 6; k++) {
        uint8_t(*field)[32] = k % 3 == 0 ? a : k % 3 == 1 ? m : b;
        field[k / 3][9] ^= 1;
        qr_grp(S12, 2, (const uint8_t(*)[32])a, (const uint8_t(*)[32])m, (const uint8_t(*)[32])b,
               other);
        field[k / 3][9] ^= 1;
        assert_memory_not_equal(grp, other, 32);
    }
    const uint16_t S13[] = {1, 3};
    qr_grp(S13, 2, (const uint8_t(*)[32])a, (const uint8_t(*)[32])m, (const uint8_t(*)[32])b,
           other);
    assert_memory_not_equal(grp, other, 32);
}

/* The zero shares of a set add up to nothing, and each alone is something. */
static void
test_zero_shares_sum_to_zero(void **state)
{
    uint8_t sid[32] = {7};

    (void)state;
    for (uint16_t idx = 0; idx < 16; idx++) {
        qr_fq sum = qr_fq_zero, zeta;
        for (uint16_t i = 1; i <= 3; i++) {
            const struct qr_sec32 *z[3];
            for (uint16_t j = 1; j <= 3; j++)
                z[j - 1] = j == i ? NULL : &qr_pair_keys(q->party[i].pair[j])->zero_seed;
            qr_zero_share(z, S123, 3, i, sid, idx, &zeta);
            assert_false(qr_fq_is_zero(&zeta));
            qr_fq_add(&sum, &sum, &zeta);
        }
        assert_true(qr_fq_is_zero(&sum));
    }
}

/* Each presignature gets a fresh additive share of the key: its point is never the same twice. */
struct pk_list {
    uint8_t pk[2][16][33];
    size_t n[2];
};

static void
pk_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct pk_list *l = ctx;

    (void)qq;
    if (m->type != QR_MSG_PRESIGN2)
        return;
    for (size_t slot = 0; slot < 4; slot++)
        memcpy(l->pk[m->from - 1][l->n[m->from - 1]++],
               m->p + 64 + slot * QR_PRESIGN2_SLOT_LEN + 33, 33);
}

static void
test_additive_shares_are_fresh(void **state)
{
    struct pk_list l = {.n = {0}};

    (void)state;
    stage_use(q, 2);
    q->tap = pk_tap;
    q->tap_ctx = &l;
    for (unsigned batch = 0; batch < 2; batch++)
        assert_int_equal(quorum_presign(q, S12, 2, 4), QR_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(l.n[i], 8);
        for (size_t a = 0; a < 8; a++)
            for (size_t b = 0; b < a; b++)
                assert_memory_not_equal(l.pk[i][a], l.pk[i][b], 33);
    }
    q->tap = NULL;
    q->tap_ctx = NULL;
}

/* The masked rows of a payload are uniform: a missing pad would show in the top bytes. */
struct histogram {
    unsigned count[256];
    size_t n;
};

static void
histogram_tap(void *ctx, struct quorum *qq, struct quorum_msg *m)
{
    struct histogram *h = ctx;

    (void)qq;
    if (m->type != QR_MSG_PRESIGN2)
        return;
    for (size_t slot = 0; slot < 16; slot++)
        for (size_t row = 0; row < 3 * QR_XI; row++) {
            h->count[m->p[64 + slot * QR_PRESIGN2_SLOT_LEN + 164 + 32 * row]]++;
            h->n++;
        }
}

static void
test_payload_is_uniform(void **state)
{
    struct histogram h = {{0}, 0};
    double chi2 = 0;

    (void)state;
    stage_use(q, 2);
    q->tap = histogram_tap;
    q->tap_ctx = &h;
    assert_int_equal(quorum_presign(q, S12, 2, 16), QR_OK);
    for (size_t k = 0; k < 256; k++) {
        double want = (double)h.n / 256, d = (double)h.count[k] - want;
        chi2 += d * d / want;
    }
    /* 255 degrees of freedom: mean 255, deviation 22.6; seven deviations */
    assert_true(chi2 < 255 + 7 * 22.6);
}

/* ---- exits ------------------------------------------------------------------------------------------- */

/* Everything behind the machine's head is zero, results included. */
static void
assert_wiped(const struct qr_presign *p)
{
    const uint8_t *raw = (const uint8_t *)p;
    size_t left = 0;

    for (size_t k = QR_ARENA_ROUND(sizeof *p); k < p->size; k++)
        left += raw[k] != 0;
    assert_int_equal(left, 0);
}

static void
test_backpressure(void **state)
{
    (void)state;
    for (uint16_t t = 2; t <= 3; t++) {
        const size_t all = 2u * t * (t - 1u);
        for (size_t after = 0; after <= all; after++) {
            stage_use(q, t);
            q->reserve_fails_after = after;
            assert_int_equal(quorum_presign(q, S123, t, 4),
                             after < all ? QR_ERR_BACKPRESSURE : QR_OK);
            assert_int_equal(q->outstanding, 0);
            for (uint16_t i = 1; i <= t; i++)
                if (q->party[i].err != QR_OK)
                    assert_wiped(q->party[i].ps);
        }
    }
    stage_use(q, 2);
}

/* Wiped from outside at any moment: reserved messages come back, nothing stays. */
static void
test_wipe_anywhere(void **state)
{
    struct qr_batch_id id;
    uint16_t blame;
    int more, kept;
    uint8_t msg[QR_PRESIGN1_LEN(4)] = {0};

    (void)state;
    stage_use(q, 2);
    for (unsigned stop = 0; stop <= 10; stop++) {
        struct qr_outbox out = quorum_outbox(&q->party[1]);
        unsigned quanta = 0;

        quorum_batch_id(q, S12, 2, 4, &id);
        assert_int_equal(quorum_presign_init(q, &id), QR_OK);
        quorum_presign_start(q, 1);
        quorum_presign_start(q, 2);
        deliver_all();
        work_dry(2);
        deliver_all();
        struct qr_presign *p = q->party[1].ps;
        for (more = 1; more && quanta < stop; quanta++)
            assert_int_equal(qr_presign_work(p, &q->party[1].rng, &out, &more, &blame), QR_OK);
        assert_int_equal(q->outstanding, stop >= 1 && stop < 5 ? 1 : 0);
        assert_int_equal(qr_presign_done(p), stop == 10);
        qr_presign_wipe(p);
        assert_int_equal(q->outstanding, 0);
        assert_wiped(p);
        qr_presign_wipe(p);
        size_t n;
        assert_null(qr_presign_result(p, &n));
        assert_int_equal(qr_presign_start(p, &q->party[1].rng, &out), QR_ERR_STATE);
        assert_int_equal(qr_presign_work(p, &q->party[1].rng, &out, &more, &blame), QR_ERR_STATE);
        assert_int_equal(qr_presign_recv(p, 2, QR_MSG_PRESIGN1, qr_view_of(msg, sizeof msg), &kept),
                         QR_ERR_STATE);
    }
}

/* A done machine keeps its results and nothing else. */
static void
test_done_keeps_only_results(void **state)
{
    struct qr_batch_id id;

    (void)state;
    stage_use(q, 2);
    quorum_batch_id(q, S12, 2, 4, &id);
    assert_int_equal(quorum_presign_init(q, &id), QR_OK);
    quorum_presign_start(q, 1);
    quorum_presign_start(q, 2);
    quorum_pump(q);
    const struct qr_presign *p = q->party[1].ps;
    const uint8_t *raw = (const uint8_t *)p;
    size_t left = 0;
    for (size_t k = (size_t)(p->wipe_from - raw); k < p->size; k++)
        left += raw[k] != 0;
    assert_int_equal(left, 0);
    assert_true(p->wipe_from <= (uint8_t *)p->own);
    assert_int_equal(quorum_presign_collect(q, &id), QR_OK);
    assert_wiped(p);
}

/* The pair retired or set up anew in the middle of a batch: it gets no further answer. */
static void
test_pair_goes_away(void **state)
{
    struct qr_batch_id id;
    uint16_t blame;
    int more;

    (void)state;
    stage_use(q, 2);
    /* before the start, after PRESIGN1, in round 2, at the parse, in C2/C3 */
    static const unsigned stops[] = {0, 0, 2, 5, 8};
    for (size_t k = 0; k < 5; k++) {
        struct quorum *own = quorum_new(2, 2, "pair goes away");
        struct qr_outbox out = quorum_outbox(&own->party[1]);
        qr_err err;

        assert_int_equal(quorum_pairs_all(own), QR_OK);
        assert_int_equal(quorum_dkg(own), QR_OK);
        quorum_batch_id(own, S12, 2, 4, &id);
        assert_int_equal(quorum_presign_init(own, &id), QR_OK);
        struct quorum *outer = q;
        q = own;
        struct qr_presign *p = own->party[1].ps;
        if (k == 0) {
            qr_pair_wipe(own->party[1].pair[2]);
            err = qr_presign_start(p, &own->party[1].rng, &out);
        } else {
            quorum_presign_start(own, 1);
            quorum_presign_start(own, 2);
            deliver_all();
            work_dry(2);
            deliver_all();
            for (unsigned n = 0; n < stops[k]; n++)
                assert_int_equal(qr_presign_work(p, &own->party[1].rng, &out, &more, &blame),
                                 QR_OK);
            if (k == 2) {
                /* set up anew in the same place, with other keys */
                assert_int_equal(qr_presign_size(2, 4), p->size);
                struct qr_pair_params prm = {.self = 1, .peer = 2, .attempt = 1};
                qr_pair_wipe(own->party[1].pair[2]);
                (void)qr_pair_init(own->party[1].pair[2], &prm);
            } else {
                qr_pair_wipe(own->party[1].pair[2]);
            }
            blame = 9;
            err = qr_presign_work(p, &own->party[1].rng, &out, &more, &blame);
            assert_int_equal(blame, 0);
        }
        assert_int_equal(err, QR_ERR_RETIRED);
        assert_int_equal(own->outstanding, 0);
        assert_wiped(p);
        q = outer;
        quorum_free(own);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_14_signing_sets),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_benign_messages),
        cmocka_unit_test(test_second_word),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_early_round2),
        cmocka_unit_test(test_heard_before_start),
        cmocka_unit_test(test_quanta),
        cmocka_unit_test(test_results),
        cmocka_unit_test(attack_07_names_bind),
        cmocka_unit_test(test_zero_shares_sum_to_zero),
        cmocka_unit_test(test_additive_shares_are_fresh),
        cmocka_unit_test(test_payload_is_uniform),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_wipe_anywhere),
        cmocka_unit_test(test_done_keeps_only_results),
        cmocka_unit_test(test_pair_goes_away),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
