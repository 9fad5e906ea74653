/*
 * Pair set-up between two machines: the complete run, order and repetition, each field changed, and
 * what is left of a machine that failed.
 *
 * A machine holds no pointers, so a copy of its memory is a copy of the machine: runs are made once
 * and continued from each stage as often as a test needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/cot.h"
#include "protocol/pair.h"
#include "test/common/testrng.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Fields of the messages. */
#define COM_ZERO 0u
#define OT1 32u
#define PART 0u
#define SALT 32u
#define OT2 64u
#define PPRF (OT2 + QR_OT2_LEN)
#define PPRF_TREE 288u

struct side {
    struct qr_pair *p;
    uint8_t out[QR_PAIR2_LEN]; /* the last message sent */
    size_t out_len;
    enum qr_msg out_type;
    uint16_t out_to;
    uint8_t out_sid[32];
    int reserved, committed, cancelled;
    int full; /* refuse the next reservation */
    struct qr_testrng seed;
    int rng_closed; /* nothing may be drawn */
};

struct world {
    struct side s[2]; /* s[0]: party 3, s[1]: party 9 */
};

static uint8_t *
outbox_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
               size_t len)
{
    struct side *s = ctx;
    assert_int_equal(epoch, 0);
    assert_true(len <= sizeof s->out);
    if (s->full)
        return NULL;
    s->reserved++;
    s->out_len = len;
    s->out_type = type;
    s->out_to = to;
    memcpy(s->out_sid, sid, 32);
    return s->out;
}

static void
outbox_commit(void *ctx, uint16_t to, uint8_t *p)
{
    struct side *s = ctx;
    assert_ptr_equal(p, s->out);
    assert_int_equal(to, s->out_to);
    s->committed++;
}

static void
outbox_cancel(void *ctx, uint16_t to, uint8_t *p)
{
    struct side *s = ctx;
    assert_ptr_equal(p, s->out);
    assert_int_equal(to, s->out_to);
    s->cancelled++;
}

static void
rng_fill(void *ctx, uint8_t *out, size_t n)
{
    struct side *s = ctx;
    assert_false(s->rng_closed);
    qr_testrng_fill(&s->seed, out, n);
}

static qr_err
start(struct side *s)
{
    const struct qr_rng rng = {s, rng_fill};
    const struct qr_outbox out = {s, outbox_reserve, outbox_commit, outbox_cancel};
    return qr_pair_start(s->p, &rng, &out);
}

static qr_err
recv_bytes(struct side *s, enum qr_msg type, const uint8_t *p, size_t len)
{
    const struct qr_rng rng = {s, rng_fill};
    const struct qr_outbox out = {s, outbox_reserve, outbox_commit, outbox_cancel};
    return qr_pair_recv(s->p, type, qr_view_of(p, len), &rng, &out);
}

static struct qr_pair_params
params(int which)
{
    struct qr_pair_params a = {.self = 3, .peer = 9, .attempt = 7};
    memset(a.id_self, 0x31, 32);
    memset(a.id_peer, 0x91, 32);
    memset(a.nonce_self, 0x32, 32);
    memset(a.nonce_peer, 0x92, 32);
    struct qr_pair_params b = {.self = 9, .peer = 3, .attempt = 7};
    memcpy(b.id_self, a.id_peer, 32);
    memcpy(b.id_peer, a.id_self, 32);
    memcpy(b.nonce_self, a.nonce_peer, 32);
    memcpy(b.nonce_peer, a.nonce_self, 32);
    return which == 0 ? a : b;
}

/* A side with its own memory; generators differ unless `seed` is the same. */
static void
side_init(struct side *s, const struct qr_pair_params *p, const char *seed)
{
    struct qr_pair *mem = s->p ? s->p : aligned_alloc(64, qr_pair_size());
    assert_non_null(mem);
    memset(s, 0, sizeof *s);
    s->p = qr_pair_init(mem, p);
    qr_testrng_seed(&s->seed, seed);
}

static void
side_copy(struct side *to, const struct side *from)
{
    struct qr_pair *mem = to->p ? to->p : aligned_alloc(64, qr_pair_size());
    assert_non_null(mem);
    *to = *from;
    to->p = mem;
    memcpy(mem, from->p, qr_pair_size());
}

/* One run: before PAIR1 (0), with all PAIR1 sent (1), PAIR2 sent (2), PAIR3 sent (3), done (4). */
static struct world stage[5];
/* messages[i][k]: PAIR(i+1) of side k. */
static uint8_t messages[3][2][QR_PAIR2_LEN];
static const size_t lengths[3] = {QR_PAIR1_LEN, QR_PAIR2_LEN, QR_PAIR3_LEN};
static const enum qr_msg types[3] = {QR_MSG_PAIR1, QR_MSG_PAIR2, QR_MSG_PAIR3};
static struct side work, work2;

static int
setup(void **state)
{
    (void)state;
    if (qr_hash_init() != QR_OK || qr_aes_init() != QR_OK)
        return -1;
    for (int k = 0; k < 2; k++) {
        const struct qr_pair_params p = params(k);
        side_init(&stage[0].s[k], &p, k == 0 ? "pair side 3" : "pair side 9");
        side_copy(&stage[1].s[k], &stage[0].s[k]);
        assert_int_equal(start(&stage[1].s[k]), QR_OK);
    }
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 2; k++) {
            const struct side *s = &stage[i + 1].s[k];
            assert_int_equal(s->out_type, types[i]);
            assert_int_equal(s->out_len, lengths[i]);
            assert_int_equal(s->out_to, k == 0 ? 9 : 3);
            assert_memory_equal(s->out_sid, qr_pair_sid(s->p), 32);
            memcpy(messages[i][k], s->out, s->out_len);
        }
        for (int k = 0; k < 2; k++) {
            side_copy(&stage[i + 2].s[k], &stage[i + 1].s[k]);
            stage[i + 2].s[k].rng_closed = i > 0; /* PAIR2 and PAIR3 draw nothing */
            assert_int_equal(
                recv_bytes(&stage[i + 2].s[k], types[i], messages[i][1 - k], lengths[i]), QR_OK);
        }
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        free(stage[i].s[0].p);
        free(stage[i].s[1].p);
    }
    free(work.p);
    free(work2.p);
    return 0;
}

static void
expect_failed_and_wiped(const struct side *s)
{
    const uint8_t *mem = (const uint8_t *)s->p;
    size_t left = 0;

    assert_true(qr_pair_failed(s->p));
    assert_false(qr_pair_active(s->p));
    assert_null(qr_pair_keys(s->p));
    /* Only the public identifiers are left: state, indices, attempt, three hashes. */
    for (size_t i = 0; i < qr_pair_size(); i++)
        left += mem[i] != 0;
    assert_in_range(left, 1, 3 * 32 + 16);
    assert_int_equal(s->reserved, s->committed + s->cancelled);
}

static void
test_complete_run(void **state)
{
    const struct side *a = &stage[4].s[0], *b = &stage[4].s[1];
    const struct qr_pair_keys *ka = qr_pair_keys(a->p), *kb = qr_pair_keys(b->p);

    (void)state;
    assert_true(qr_pair_active(a->p) && qr_pair_active(b->p));
    assert_non_null(ka);
    assert_non_null(kb);
    assert_memory_equal(qr_pair_sid(a->p), qr_pair_sid(b->p), 32);
    assert_memory_equal(&ka->zero_seed, &kb->zero_seed, 32);
    assert_memory_not_equal(&ka->delta, &kb->delta, 16);
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        for (size_t x = 0; x < 256; x++) {
            assert_int_equal(memcmp(&ka->alice_seed[g][x], &kb->bob_seed[g][x], 16) == 0,
                             x != ka->delta.b[g]);
            assert_int_equal(memcmp(&kb->alice_seed[g][x], &ka->bob_seed[g][x], 16) == 0,
                             x != kb->delta.b[g]);
        }
    }
    /* Not active, and nothing to use, before the peer's confirmation. */
    for (int i = 0; i < 4; i++) {
        assert_false(qr_pair_active(stage[i].s[0].p) || qr_pair_failed(stage[i].s[0].p));
        assert_null(qr_pair_keys(stage[i].s[0].p));
    }
}

/* Identifiers, commitments, zero seed and confirmation from the specification. */
static void
test_reference(void **state)
{
    const struct qr_pair_params p = params(0);
    const uint8_t lo[2] = {0, 3}, hi[2] = {0, 9}, attempt[4] = {0, 0, 0, 7};
    uint8_t sid[32], h[32];

    (void)state;
    qr_th(QR_TAG_PAIR,
          QR_FIELDS(QR_F(lo, 2), QR_F(hi, 2), QR_F(p.id_self, 32), QR_F(p.id_peer, 32),
                    QR_F(p.nonce_self, 32), QR_F(p.nonce_peer, 32), QR_F(attempt, 4)),
          sid);
    for (int k = 0; k < 2; k++) {
        const struct side *s = &stage[4].s[k];
        assert_memory_equal(qr_pair_sid(s->p), sid, 32);
        qr_th(QR_TAG_COM_ZERO,
              QR_FIELDS(QR_F(sid, 32), QR_F(k == 0 ? lo : hi, 2), QR_F(messages[1][k] + PART, 32),
                        QR_F(messages[1][k] + SALT, 32)),
              h);
        assert_memory_equal(messages[0][k] + COM_ZERO, h, 32);
        qr_th(QR_TAG_ZERO_SEED,
              QR_FIELDS(QR_F(sid, 32), QR_F(messages[1][0] + PART, 32),
                        QR_F(messages[1][1] + PART, 32)),
              h);
        assert_memory_equal(&qr_pair_keys(s->p)->zero_seed, h, 32);
        qr_th(QR_TAG_PAIR_CONFIRM,
              QR_FIELDS(QR_F(sid, 32), QR_F(messages[0][0], QR_PAIR1_LEN),
                        QR_F(messages[0][1], QR_PAIR1_LEN), QR_F(messages[1][0], QR_PAIR2_LEN),
                        QR_F(messages[1][1], QR_PAIR2_LEN)),
              h);
        assert_memory_equal(messages[2][k], h, 32);
    }
}

/* The result does what it is for, in both directions. */
static void
test_keys_extend(void **state)
{
    _Alignas(64) static struct qr_sec16 t[QR_COT_ROWS(4)], q[QR_COT_ROWS(4)];
    static uint8_t beta[QR_COT_BETA_LEN(4)], msg[QR_COT_LEN(4)];
    struct qr_aes *aes = qr_aes_new();
    void *scratch = aligned_alloc(64, qr_cot_scratch(4));
    const uint8_t rsid[32] = {1};

    (void)state;
    assert_non_null(aes);
    assert_non_null(scratch);
    memset(beta, 0x6c, sizeof beta);
    for (int k = 0; k < 2; k++) {
        const struct qr_pair_keys *alice = qr_pair_keys(stage[4].s[k].p);
        const struct qr_pair_keys *bob = qr_pair_keys(stage[4].s[1 - k].p);
        qr_cot_send(rsid, bob->bob_seed, 4, beta, aes, scratch, msg, t);
        assert_int_equal(
            qr_cot_recv(rsid, alice->alice_seed, &alice->delta, 4, msg, aes, scratch, q), QR_OK);
        for (size_t j = 0; j < QR_COT_ROWS(4); j++) {
            for (size_t i = 0; i < 16; i++) {
                const int want = (0x6c >> (j % 8)) & 1 ? alice->delta.b[i] : 0;
                assert_int_equal(t[j].b[i] ^ q[j].b[i], want);
            }
        }
    }
    free(scratch);
    aes = qr_aes_free(aes);
}

/* Every message at every stage but its own, every wrong length: refused, and nothing changed. */
static void
test_order_and_repetition(void **state)
{
    static const enum qr_msg foreign[] = {QR_MSG_DKG1, QR_MSG_PRESIGN1, QR_MSG_SIGN_SHARE, 0};

    (void)state;
    for (int st = 0; st < 5; st++) {
        const struct side *from = &stage[st].s[0];
        side_copy(&work, from);
        work.rng_closed = 1;
        const int reserved = work.reserved;
        for (int i = 0; i < 3; i++) {
            if (i + 1 != st)
                assert_int_equal(recv_bytes(&work, types[i], messages[i][1], lengths[i]),
                                 QR_ERR_STATE);
            assert_int_equal(recv_bytes(&work, types[i], messages[i][1], lengths[i] - 1),
                             QR_ERR_LENGTH);
            assert_int_equal(recv_bytes(&work, types[i], messages[i][1], lengths[i] + 1),
                             QR_ERR_LENGTH);
            assert_int_equal(recv_bytes(&work, types[i], NULL, 0), QR_ERR_LENGTH);
        }
        for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
            assert_int_equal(recv_bytes(&work, foreign[i], messages[0][1], 32), QR_ERR_STATE);
        if (st > 0)
            assert_int_equal(start(&work), QR_ERR_STATE);
        assert_memory_equal(work.p, from->p, qr_pair_size());
        assert_int_equal(work.reserved, reserved);
    }
}

/* Side 0 at stage st gets message i of side 1 with one change. */
static qr_err
deliver_changed(int st, size_t at, const uint8_t *bytes, size_t n)
{
    static uint8_t msg[QR_PAIR2_LEN];

    side_copy(&work, &stage[st].s[0]);
    memcpy(msg, messages[st - 1][1], lengths[st - 1]);
    memcpy(msg + at, bytes, n);
    return recv_bytes(&work, types[st - 1], msg, lengths[st - 1]);
}

static qr_err
deliver_flipped(int st, size_t at)
{
    const uint8_t b = messages[st - 1][1][at] ^ 0x08;
    return deliver_changed(st, at, &b, 1);
}

static void
test_changed_pair1(void **state)
{
    uint8_t bad[32];

    (void)state;
    memset(bad, 0xff, sizeof bad);
    for (size_t at = OT1; at < QR_PAIR1_LEN; at += 32 * 51) {
        assert_int_equal(deliver_changed(1, at, bad, 32), QR_ERR_SETUP);
        expect_failed_and_wiped(&work);
        assert_int_equal(work.cancelled, 1);
    }
    /* A changed commitment is found when it should open. */
    assert_int_equal(deliver_flipped(1, COM_ZERO + 11), QR_OK);
    assert_int_equal(recv_bytes(&work, QR_MSG_PAIR2, messages[1][1], QR_PAIR2_LEN),
                     QR_ERR_COMMITMENT);
    expect_failed_and_wiped(&work);
    /* Other valid points: Bob cannot tell, so his answer opens to other keys than Alice's. */
    assert_int_equal(deliver_changed(1, OT1 + 64 * 8, messages[0][1] + OT1 + 64 * 9, 64), QR_OK);
    side_copy(&work2, &stage[2].s[1]);
    assert_int_equal(recv_bytes(&work2, QR_MSG_PAIR2, work.out, QR_PAIR2_LEN), QR_ERR_SETUP);
    expect_failed_and_wiped(&work2);
}

static void
test_changed_pair2(void **state)
{
    (void)state;
    assert_int_equal(deliver_flipped(2, PART), QR_ERR_COMMITMENT);
    expect_failed_and_wiped(&work);
    assert_int_equal(deliver_flipped(2, SALT + 31), QR_ERR_COMMITMENT);
    expect_failed_and_wiped(&work);
    /* Points that are valid but another instance's. */
    assert_int_equal(deliver_changed(2, OT2, messages[1][1] + OT2 + 64 * 3, 64), QR_ERR_SETUP);
    expect_failed_and_wiped(&work);
    /* t~ and s~ of the first and the last tree. */
    for (size_t g = 0; g < QR_PPRF_GROUPS; g += 15) {
        assert_int_equal(deliver_flipped(2, PPRF + PPRF_TREE * g + 224), QR_ERR_SETUP);
        expect_failed_and_wiped(&work);
        assert_int_equal(deliver_flipped(2, PPRF + PPRF_TREE * g + 256), QR_ERR_SETUP);
        expect_failed_and_wiped(&work);
    }
}

/*
 * Of each pair of PPRF corrections Alice uses one, so a change of the other passes her check; the
 * confirmation is over all bytes, and catches it on both sides.
 */
static void
test_unused_correction(void **state)
{
    unsigned at_once = 0, later = 0;

    (void)state;
    for (size_t side = 0; side < 2; side++) {
        const qr_err e = deliver_flipped(2, PPRF + 16 * side);
        if (e == QR_ERR_SETUP) {
            expect_failed_and_wiped(&work);
            at_once++;
            continue;
        }
        assert_int_equal(e, QR_OK);
        side_copy(&work2, &stage[3].s[1]);
        assert_int_equal(recv_bytes(&work2, QR_MSG_PAIR3, work.out, 32), QR_ERR_SETUP);
        expect_failed_and_wiped(&work2);
        assert_int_equal(recv_bytes(&work, QR_MSG_PAIR3, messages[2][1], 32), QR_ERR_SETUP);
        expect_failed_and_wiped(&work);
        later++;
    }
    assert_int_equal(at_once, 1);
    assert_int_equal(later, 1);
}

static void
test_changed_pair3(void **state)
{
    (void)state;
    for (size_t i = 0; i < QR_PAIR3_LEN; i++) {
        assert_int_equal(deliver_flipped(3, i), QR_ERR_SETUP);
        expect_failed_and_wiped(&work);
    }
    /* A failed machine stays failed. */
    assert_int_equal(recv_bytes(&work, QR_MSG_PAIR3, messages[2][1], 32), QR_ERR_STATE);
    assert_int_equal(recv_bytes(&work, QR_MSG_PAIR1, messages[0][1], QR_PAIR1_LEN), QR_ERR_STATE);
    assert_int_equal(start(&work), QR_ERR_STATE);
    expect_failed_and_wiped(&work);
}

/* Our own messages sent back to us: the commitment names its party. */
static void
attack_19_reflection(void **state)
{
    (void)state;
    side_copy(&work, &stage[1].s[0]);
    assert_int_equal(recv_bytes(&work, QR_MSG_PAIR1, messages[0][0], QR_PAIR1_LEN), QR_OK);
    assert_int_equal(recv_bytes(&work, QR_MSG_PAIR2, messages[1][0], QR_PAIR2_LEN),
                     QR_ERR_COMMITMENT);
    expect_failed_and_wiped(&work);
}

/* Runs two sides to their ends; the first error, or QR_OK. */
static qr_err
run(struct side *a, struct side *b)
{
    static uint8_t from_a[QR_PAIR2_LEN], from_b[QR_PAIR2_LEN];

    QR_TRY(start(a));
    QR_TRY(start(b));
    for (int i = 0; i < 3; i++) {
        memcpy(from_a, a->out, lengths[i]);
        memcpy(from_b, b->out, lengths[i]);
        QR_TRY(recv_bytes(a, types[i], from_b, lengths[i]));
        QR_TRY(recv_bytes(b, types[i], from_a, lengths[i]));
    }
    return QR_OK;
}

/* Sides that disagree about anything in the sid do not come together, and nobody is harmed. */
static void
attack_07_wrong_sid_harms_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct qr_pair_params a = params(0), b = params(1);
        switch (i) {
        case 0:
            b.attempt++;
            break;
        case 1:
            b.nonce_self[31] ^= 1;
            break;
        case 2:
            b.nonce_peer[0] ^= 1;
            break;
        default:
            b.id_peer[9] ^= 1;
            break;
        }
        side_init(&work, &a, "wrong sid a");
        side_init(&work2, &b, "wrong sid b");
        assert_memory_not_equal(qr_pair_sid(work.p), qr_pair_sid(work2.p), 32);
        assert_int_equal(run(&work, &work2), QR_ERR_COMMITMENT);
        expect_failed_and_wiped(&work);
    }
}

/* After a failure the next attempt works, under another sid and with unrelated keys. */
static void
test_next_attempt(void **state)
{
    struct qr_pair_params a = params(0), b = params(1);
    uint8_t old_sid[32];

    (void)state;
    assert_int_equal(deliver_flipped(3, 0), QR_ERR_SETUP);
    assert_int_equal(qr_pair_attempt(work.p), 7);
    memcpy(old_sid, qr_pair_sid(work.p), 32);
    a.attempt = b.attempt = qr_pair_attempt(work.p) + 1;
    /* Even from the very same generators. */
    side_init(&work, &a, "pair side 3");
    side_init(&work2, &b, "pair side 9");
    assert_int_equal(run(&work, &work2), QR_OK);
    assert_true(qr_pair_active(work.p) && qr_pair_active(work2.p));
    assert_int_equal(qr_pair_attempt(work.p), 8);
    assert_memory_not_equal(qr_pair_sid(work.p), old_sid, 32);
    const struct qr_pair_keys *now = qr_pair_keys(work.p), *old = qr_pair_keys(stage[4].s[0].p);
    assert_memory_not_equal(&now->zero_seed, &old->zero_seed, 32);
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        for (size_t x = 0; x < 256; x++) {
            assert_memory_not_equal(&now->alice_seed[g][x], &old->alice_seed[g][x], 16);
            assert_memory_not_equal(&now->bob_seed[g][x], &old->bob_seed[g][x], 16);
        }
    }
}

/* Both sides on the same generator: the two directions still have nothing in common. */
static void
attack_10_directions_are_unrelated(void **state)
{
    const struct qr_pair_params a = params(0), b = params(1);

    (void)state;
    side_init(&work, &a, "one generator");
    side_init(&work2, &b, "one generator");
    assert_int_equal(run(&work, &work2), QR_OK);
    const struct qr_pair_keys *ka = qr_pair_keys(work.p), *kb = qr_pair_keys(work2.p);
    assert_memory_equal(&ka->delta, &kb->delta, 16); /* drawn alike, as arranged */
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        for (size_t x = 0; x < 256; x++)
            assert_memory_not_equal(&ka->bob_seed[g][x], &kb->bob_seed[g][x], 16);
    }
}

/* An outbox that refuses ends the machine at whichever message it happens. */
static void
test_backpressure(void **state)
{
    (void)state;
    side_copy(&work, &stage[0].s[0]);
    work.full = 1;
    work.rng_closed = 1;
    assert_int_equal(start(&work), QR_ERR_BACKPRESSURE);
    expect_failed_and_wiped(&work);
    for (int i = 0; i < 2; i++) {
        side_copy(&work, &stage[i + 1].s[0]);
        work.full = 1;
        work.rng_closed = 1;
        assert_int_equal(recv_bytes(&work, types[i], messages[i][1], lengths[i]),
                         QR_ERR_BACKPRESSURE);
        expect_failed_and_wiped(&work);
    }
}

static void
test_wipe(void **state)
{
    (void)state;
    for (int st = 0; st < 5; st++) {
        side_copy(&work, &stage[st].s[1]);
        qr_pair_wipe(work.p);
        expect_failed_and_wiped(&work);
        qr_pair_wipe(work.p);
        expect_failed_and_wiped(&work);
        assert_memory_equal(qr_pair_sid(work.p), qr_pair_sid(stage[st].s[1].p), 32);
        assert_int_equal(qr_pair_attempt(work.p), 7);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_run),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_keys_extend),
        cmocka_unit_test(test_order_and_repetition),
        cmocka_unit_test(test_changed_pair1),
        cmocka_unit_test(test_changed_pair2),
        cmocka_unit_test(test_unused_correction),
        cmocka_unit_test(test_changed_pair3),
        cmocka_unit_test(attack_19_reflection),
        cmocka_unit_test(attack_07_wrong_sid_harms_nobody),
        cmocka_unit_test(test_next_attempt),
        cmocka_unit_test(attack_10_directions_are_unrelated),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
