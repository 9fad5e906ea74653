/*
 * Seeded mutations of protocol messages, against machines that are put back after each.
 *
 * What: one honest run is played and its messages and machines (as bytes) are kept; then, over and
 *       over, a machine is restored, a message of the run is mutated and delivered, and the run is
 *       played on. Mutations go by the list of fields (test/common/fields.c): bits, whole fields, other
 *       values of the kind, several fields at once, pieces of another session's message at the same
 *       place, lengths, other types, other senders, replays.
 * The oracle: never a crash; a mutation the message's layout refuses changes nothing and the run still
 *       ends well; otherwise the error is one that the list gives for a field that was touched; CHECK,
 *       which bans, only if a field was touched that must ban; a signature only if it verifies.
 * How many: 20,000 (4,000 in the quick set, 1,000,000 with QR_TEST_LONG=1). "cheap": refused before any
 *       cryptography; "deep": after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/control.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/mutant.h"
#include "test/common/quorum.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 4
#define MSG_MAX MUTANT_MAX

static const uint16_t S12[] = {1, 2};
static const struct field_shape shape = {
    .t = 2, .B = BATCH, .items = 1, .body = 120, .stamps = 1, .stamp = 90, .n = 2};
static struct mutator gen;
static struct mutant mut;
static struct quorum *q;

/* What came of the mutations, by error; and how far they got. */
static struct {
    size_t total, cheap, deep, complete, bans;
    size_t by_err[1024];
} tally;

static void
count(qr_err e, int deep)
{
    tally.total++;
    *(deep ? &tally.deep : &tally.cheap) += 1;
    tally.complete += e == QR_OK;
    tally.bans += e == QR_ERR_CHECK;
    tally.by_err[(unsigned)e % 1024]++;
}

static void
judge(const char *machine, qr_err e, int deep)
{
    if (!mutant_may_end(&gen, &mut, e))
        fail_msg("mutation %zu, %s, message %d: %s after a change of %s%s%s", tally.total, machine,
                 (int)mut.type, qr_err_name(e), mut.n_touched ? mut.touched[0]->name : "nothing",
                 mut.n_touched > 1 ? " and " : "", mut.n_touched > 1 ? mut.touched[1]->name : "");
    count(e, deep);
}

/* ---- machines that can be put back ------------------------------------------------------------- */

struct snapshot {
    void *at;
    uint8_t *copy;
    size_t len;
};

static struct snapshot
take(void *at, size_t len)
{
    struct snapshot s = {at, malloc(len), len};
    assert_non_null(s.copy);
    memcpy(s.copy, at, len);
    return s;
}

static void
put_back(const struct snapshot *s)
{
    memcpy(s->at, s->copy, s->len);
}

static int
same(const struct snapshot *s)
{
    return memcmp(s->at, s->copy, s->len) == 0;
}

/* An outbox that keeps the last message of each type. */
static uint8_t box[64][MSG_MAX];
static size_t box_len[64];

static uint8_t *
box_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
            size_t len)
{
    (void)ctx, (void)to, (void)epoch, (void)sid;
    assert_true(len <= MSG_MAX);
    box_len[type] = len;
    return box[type];
}

static void
box_done(void *ctx, uint16_t to, uint8_t *p)
{
    (void)ctx, (void)to, (void)p;
}

static const struct qr_outbox out = {NULL, box_reserve, box_done, box_done};

struct message {
    uint8_t *p, *other; /* of this session and of another */
    size_t len;
};

static void
keep(struct message *m, enum qr_msg type, int other)
{
    uint8_t *copy = malloc(box_len[type]);
    assert_non_null(copy);
    memcpy(copy, box[type], box_len[type]);
    m->len = box_len[type];
    *(other ? &m->other : &m->p) = copy;
}

/* ---- presigning --------------------------------------------------------------------------------- */

static struct {
    struct message m1, m2;        /* of party 1 */
    struct snapshot wait1, wait2; /* party 2, waiting for each */
    struct qr_presig peer[BATCH], own[BATCH];
} ps;

static struct qr_presign *
presign_machine(uint16_t i, const struct qr_batch_id *id)
{
    const struct qr_pair *pairs[2] = {q->party[i].pair[1], q->party[i].pair[2]};
    void *mem = qr_locked_alloc(qr_presign_size(2, BATCH), NULL);
    struct qr_presign *p = NULL;

    assert_non_null(mem);
    assert_int_equal(qr_presign_init(mem, &q->party[i].key, id, pairs, q->party[i].aes, &p), QR_OK);
    return p;
}

/* Works until it waits or ends. */
static qr_err
work(struct qr_presign *p, uint16_t i, uint16_t *blame)
{
    int more = 1;
    qr_err e = QR_OK;

    while (e == QR_OK && more)
        e = qr_presign_work(p, &q->party[i].rng, &out, &more, blame);
    return e;
}

static void
presign_set_up(void)
{
    for (int other = 1; other >= 0; other--) {
        struct qr_batch_id id;
        uint16_t blame;
        int kept;
        size_t n;
        uint8_t *mine = malloc(QR_PRESIGN1_LEN(BATCH)), *mine2 = malloc(MSG_MAX);

        quorum_batch_id(q, S12, 2, BATCH, &id);
        struct qr_presign *one = presign_machine(1, &id), *two = presign_machine(2, &id);
        assert_int_equal(qr_presign_start(two, &q->party[2].rng, &out), QR_OK);
        memcpy(mine, box[QR_MSG_PRESIGN1], QR_PRESIGN1_LEN(BATCH));
        assert_int_equal(qr_presign_start(one, &q->party[1].rng, &out), QR_OK);
        keep(&ps.m1, QR_MSG_PRESIGN1, other);
        if (!other)
            ps.wait1 = take(two, qr_presign_size(2, BATCH));
        uint8_t *his = other ? ps.m1.other : ps.m1.p;
        assert_int_equal(
            qr_presign_recv(two, 1, QR_MSG_PRESIGN1, qr_view_of(his, ps.m1.len), &kept), QR_OK);
        assert_int_equal(work(two, 2, &blame), QR_OK);
        memcpy(mine2, box[QR_MSG_PRESIGN2], MSG_MAX);
        if (!other)
            ps.wait2 = take(two, qr_presign_size(2, BATCH));
        assert_int_equal(
            qr_presign_recv(one, 2, QR_MSG_PRESIGN1, qr_view_of(mine, ps.m1.len), &kept), QR_OK);
        assert_int_equal(work(one, 1, &blame), QR_OK);
        keep(&ps.m2, QR_MSG_PRESIGN2, other);
        assert_int_equal(
            qr_presign_recv(one, 2, QR_MSG_PRESIGN2, qr_view_of(mine2, MSG_MAX), &kept), QR_OK);
        assert_int_equal(work(one, 1, &blame), QR_OK);
        if (!other)
            memcpy(ps.peer, qr_presign_result(one, &n), sizeof ps.peer);
        qr_presign_wipe(one);
        qr_locked_free(one);
        if (other) {
            qr_presign_wipe(two);
            qr_locked_free(two);
        }
        free(mine);
        free(mine2);
    }
}

static struct qr_key_pub *
pub(void)
{
    return &q->party[1].key.pub;
}

/* Both halves sign: a signature that is released verifies; 1 if one was. */
static int
sign_with(struct qr_presig *two, size_t slot)
{
    struct qr_presig a = ps.peer[slot], b = *two;
    uint8_t share[2][QR_SIGN_SHARE_LEN], sig[64], id[32] = {3}, digest[32] = {8};
    const uint8_t *shares[2] = {share[0], share[1]};
    struct qr_sign_common c;
    struct qr_sign_item item[2];
    uint16_t blame;
    int recid;

    assert_int_equal(qr_sign_prepare(pub(), S12, 2, id, id, NULL, 0, &c), QR_OK);
    assert_int_equal(qr_sign_share(&c, digest, 0, &a, share[0], &item[0]), QR_OK);
    assert_int_equal(qr_sign_share(&c, digest, 0, &b, share[1], &item[1]), QR_OK);
    qr_err e = qr_sign_combine(&c, &item[0], shares, sig, &recid, &blame);
    assert_true(e == QR_OK || e == QR_ERR_BAD_SIGNATURE || e == QR_ERR_SID);
    if (e == QR_OK)
        assert_true(quorum_openssl_verify(pub()->pk, digest, sig));
    return e == QR_OK;
}

/* A refused message: nothing changed, and every tenth time the honest one still leads to the end. */
static void
expect_refused(const struct snapshot *s, qr_err e)
{
    assert_true(e == QR_ERR_LENGTH || e == QR_ERR_STATE);
    assert_true(same(s));
    count(e, 0);
}

static void
mutate_presign1(void)
{
    struct qr_presign *two = ps.wait1.at;
    uint16_t blame = 0;
    int kept = 0;

    mutant_make(&gen, &mut, QR_MSG_PRESIGN1, 1, ps.m1.p, ps.m1.other, ps.m1.len);
    put_back(&ps.wait1);
    qr_err e = qr_presign_recv(two, mut.from, mut.type, qr_view_of(mut.p, mut.len), &kept);
    if (e != QR_OK) {
        assert_true(mut.other_length || mut.other_place);
        expect_refused(&ps.wait1, e);
        if (tally.total % 16 != 0)
            return;
        e = qr_presign_recv(two, 1, QR_MSG_PRESIGN1, qr_view_of(ps.m1.p, ps.m1.len), &kept);
        assert_int_equal(e, QR_OK);
        assert_int_equal(work(two, 2, &blame), QR_OK);
        return;
    }
    assert_false(kept);
    e = work(two, 2, &blame);
    if (e == QR_ERR_CHECK)
        assert_int_equal(blame, 1);
    if (e == QR_OK && !mutant_untouched(&mut)) {
        /* the commitment: round 1 cannot tell, the view of round 2 does */
        assert_int_equal(
            qr_presign_recv(two, 1, QR_MSG_PRESIGN2, qr_view_of(ps.m2.p, ps.m2.len), &kept), QR_OK);
        e = work(two, 2, &blame);
        assert_int_equal(blame, 0);
    }
    judge("presigning", e, 1);
}

static void
mutate_presign2(void)
{
    struct qr_presign *two = ps.wait2.at;
    uint16_t blame = 0;
    int kept = 0;
    size_t n = 0;

    mutant_make(&gen, &mut, QR_MSG_PRESIGN2, 1, ps.m2.p, ps.m2.other, ps.m2.len);
    put_back(&ps.wait2);
    qr_err e = qr_presign_recv(two, mut.from, mut.type, qr_view_of(mut.p, mut.len), &kept);
    if (e != QR_OK) {
        assert_true(mut.other_length || mut.other_place);
        expect_refused(&ps.wait2, e);
        return;
    }
    assert_true(kept);
    e = work(two, 2, &blame);
    int deep = e == QR_OK || e == QR_ERR_CHECK;
    if (e == QR_OK) {
        struct qr_presig r[BATCH];
        int signs = 1, psi = 0;
        assert_true(qr_presign_done(two));
        memcpy(r, qr_presign_result(two, &n), sizeof r);
        for (size_t k = 0; k < BATCH; k++)
            signs &= sign_with(&r[k], k);
        for (size_t k = 0; k < mut.n_touched; k++)
            psi |= strcmp(mut.touched[k]->name, "presign2.psi") == 0;
        assert_int_equal(signs, !psi);
    } else {
        assert_null(qr_presign_result(two, &n));
    }
    judge("presigning", e, deep);
}

/* ---- key generation ------------------------------------------------------------------------------ */

static struct {
    struct message m[4];     /* DKG1..4 of party 1 */
    struct snapshot wait[4]; /* party 2, waiting for each */
} dk;

static int
sign_identity(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    const struct quorum_party *p = ctx;
    return crypto_sign_detached(sig, NULL, msg, 32, p->id_sk);
}

static void
confirm_when_ready(struct qr_dkg *d, uint16_t i)
{
    struct qr_id_signer s = {&q->party[i], sign_identity};

    if (qr_dkg_ready(d) && !qr_dkg_done(d))
        assert_int_equal(qr_dkg_confirm(d, &s, &out), QR_OK);
}

static void
dkg_set_up(void)
{
    static const enum qr_msg type[4] = {QR_MSG_DKG1, QR_MSG_DKG2, QR_MSG_DKG3, QR_MSG_DKG4};

    for (int other = 1; other >= 0; other--) {
        struct qr_dkg *d[3] = {NULL};
        uint8_t mine[4][512];
        uint16_t blame;

        q->dkg.n = 2;
        q->dkg.command_hash[0] ^= 1;
        for (uint16_t i = 1; i <= 2; i++) {
            struct qr_dkg_params prm = q->dkg;
            void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
            prm.self = i;
            assert_non_null(mem);
            assert_int_equal(qr_dkg_init(mem, &prm, &d[i]), QR_OK);
            assert_int_equal(qr_dkg_start(d[i], &q->party[i].rng, &out), QR_OK);
            if (i == 1)
                keep(&dk.m[0], QR_MSG_DKG1, other);
            else
                memcpy(mine[0], box[QR_MSG_DKG1], box_len[QR_MSG_DKG1]);
        }
        for (size_t k = 0; k < 4; k++) {
            uint8_t *his = other ? dk.m[k].other : dk.m[k].p;
            if (!other)
                dk.wait[k] = take(d[2], qr_dkg_size());
            assert_int_equal(
                qr_dkg_recv(d[2], 1, type[k], qr_view_of(his, dk.m[k].len), &out, &blame), QR_OK);
            confirm_when_ready(d[2], 2);
            if (k < 3)
                memcpy(mine[k + 1], box[type[k + 1]], box_len[type[k + 1]]);
            assert_int_equal(
                qr_dkg_recv(d[1], 2, type[k], qr_view_of(mine[k], dk.m[k].len), &out, &blame),
                QR_OK);
            confirm_when_ready(d[1], 1);
            if (k < 3)
                keep(&dk.m[k + 1], type[k + 1], other);
        }
        assert_true(qr_dkg_done(d[1]) && qr_dkg_done(d[2]));
        qr_dkg_wipe(d[1]);
        qr_locked_free(d[1]);
        if (other) {
            qr_dkg_wipe(d[2]);
            qr_locked_free(d[2]);
        }
    }
}

static void
mutate_dkg(void)
{
    static const enum qr_msg type[4] = {QR_MSG_DKG1, QR_MSG_DKG2, QR_MSG_DKG3, QR_MSG_DKG4};
    size_t k = qr_testrng_below(&gen.rng, 4);
    struct qr_dkg *two = dk.wait[k].at;
    uint16_t blame = 0;

    mutant_make(&gen, &mut, type[k], 1, dk.m[k].p, dk.m[k].other, dk.m[k].len);
    put_back(&dk.wait[k]);
    qr_err e = qr_dkg_recv(two, mut.from, mut.type, qr_view_of(mut.p, mut.len), &out, &blame);
    if (mut.other_length || mut.other_place) {
        /* DKG1 and DKG4 are told from one another by their names alone */
        if (e == QR_OK || !(e == QR_ERR_LENGTH || e == QR_ERR_STATE))
            fail_msg("key generation takes message %d of party %u: %s", (int)mut.type, mut.from,
                     qr_err_name(e));
        assert_false(qr_dkg_failed(two));
        count(e, 0);
        return;
    }
    /* the honest rest */
    for (size_t r = k + 1; e == QR_OK && r <= 4; r++) {
        confirm_when_ready(two, 2);
        if (r < 4)
            e = qr_dkg_recv(two, 1, type[r], qr_view_of(dk.m[r].p, dk.m[r].len), &out, &blame);
    }
    assert_int_equal(e == QR_OK, qr_dkg_done(two));
    judge("key generation", e, 1);
}

/* ---- pair set-up --------------------------------------------------------------------------------- */

static struct {
    struct message m[3];
    struct snapshot wait[3]; /* party 2, waiting for each */
} pr;

static struct qr_pair *
pair_machine(uint16_t i, uint32_t attempt)
{
    struct qr_pair_params prm = {.self = i, .peer = (uint16_t)(3 - i), .attempt = attempt};
    void *mem = qr_locked_alloc(qr_pair_size(), NULL);

    assert_non_null(mem);
    memcpy(prm.id_self, q->party[i].id_pk, 32);
    memcpy(prm.id_peer, q->party[3 - i].id_pk, 32);
    memcpy(prm.nonce_self, q->party[i].nonce, 32);
    memcpy(prm.nonce_peer, q->party[3 - i].nonce, 32);
    return qr_pair_init(mem, &prm);
}

static void
pair_set_up(void)
{
    static const enum qr_msg type[3] = {QR_MSG_PAIR1, QR_MSG_PAIR2, QR_MSG_PAIR3};

    for (int other = 1; other >= 0; other--) {
        struct qr_pair *one = pair_machine(1, 5u + (unsigned)other);
        struct qr_pair *two = pair_machine(2, 5u + (unsigned)other);
        static uint8_t mine[3][QR_PAIR2_LEN];

        assert_int_equal(qr_pair_start(two, &q->party[2].rng, &out), QR_OK);
        memcpy(mine[0], box[QR_MSG_PAIR1], QR_PAIR1_LEN);
        assert_int_equal(qr_pair_start(one, &q->party[1].rng, &out), QR_OK);
        keep(&pr.m[0], QR_MSG_PAIR1, other);
        for (size_t k = 0; k < 3; k++) {
            uint8_t *his = other ? pr.m[k].other : pr.m[k].p;
            if (!other)
                pr.wait[k] = take(two, qr_pair_size());
            assert_int_equal(
                qr_pair_recv(two, type[k], qr_view_of(his, pr.m[k].len), &q->party[2].rng, &out),
                QR_OK);
            if (k < 2)
                memcpy(mine[k + 1], box[type[k + 1]], box_len[type[k + 1]]);
            assert_int_equal(qr_pair_recv(one, type[k], qr_view_of(mine[k], pr.m[k].len),
                                          &q->party[1].rng, &out),
                             QR_OK);
            if (k < 2)
                keep(&pr.m[k + 1], type[k + 1], other);
        }
        assert_true(qr_pair_active(one) && qr_pair_active(two));
        qr_pair_wipe(one);
        qr_locked_free(one);
        if (other) {
            qr_pair_wipe(two);
            qr_locked_free(two);
        }
    }
}

/* rounds: PAIR1 and PAIR2 cost milliseconds, PAIR3 and what is refused nothing. */
static void
mutate_pair(int costly)
{
    static const enum qr_msg type[3] = {QR_MSG_PAIR1, QR_MSG_PAIR2, QR_MSG_PAIR3};
    size_t k = costly ? qr_testrng_below(&gen.rng, 2) : 2;
    struct qr_pair *two = pr.wait[k].at;

    mutant_make(&gen, &mut, type[k], 1, pr.m[k].p, pr.m[k].other, pr.m[k].len);
    put_back(&pr.wait[k]);
    if (mut.from != 1) { /* a machine has one peer */
        mut.from = 1;
        mut.other_place = mut.type != type[k];
    }
    qr_err e = qr_pair_recv(two, mut.type, qr_view_of(mut.p, mut.len), &q->party[2].rng, &out);
    if (mut.other_length || mut.other_place) {
        expect_refused(&pr.wait[k], e);
        return;
    }
    /*
     * PAIR2 after a changed PAIR1: the peer's honest answer was to another message. What is wrong
     * shows at the latest in the confirmation.
     */
    for (size_t r = k + 1; e == QR_OK && r < 3; r++)
        e = qr_pair_recv(two, type[r], qr_view_of(pr.m[r].p, pr.m[r].len), &q->party[2].rng, &out);
    if (e != QR_OK)
        assert_null(qr_pair_keys(two));
    /* our own PAIR2 is drawn anew, so that even the control ends in SETUP when it is not the last */
    if (k == 0 && e == QR_ERR_SETUP)
        count(e, 1);
    else
        judge("pair set-up", e, 1);
    assert_int_not_equal(e, QR_ERR_CHECK);
}

/* ---- shares, control messages ------------------------------------------------------------------- */

static struct {
    struct qr_sign_common c;
    struct qr_sign_item item;
    uint8_t share[2][2][8 + QR_SIGN_SHARE_LEN]; /* [this or another request][party] */
} sg;

static void
sign_set_up(void)
{
    uint16_t blame = 0;
    int kept, n_kept = 0;
    size_t n;
    struct qr_presign *two = ps.wait2.at;

    (void)n_kept;
    put_back(&ps.wait2);
    assert_int_equal(
        qr_presign_recv(two, 1, QR_MSG_PRESIGN2, qr_view_of(ps.m2.p, ps.m2.len), &kept), QR_OK);
    assert_int_equal(work(two, 2, &blame), QR_OK);
    memcpy(ps.own, qr_presign_result(two, &n), sizeof ps.own);
    for (size_t r = 0; r < 2; r++) {
        uint8_t id[32] = {1}, digest[32] = {(uint8_t)(4 + r)};
        struct qr_sign_common c;
        struct qr_sign_item item;
        struct qr_presig a = ps.peer[r], b = ps.own[r];
        assert_int_equal(qr_sign_prepare(pub(), S12, 2, id, id, NULL, 0, &c), QR_OK);
        memset(sg.share[r], 0, sizeof sg.share[r]);
        for (size_t i = 0; i < 2; i++) {
            sg.share[r][i][3] = 1;
            sg.share[r][i][7] = 1;
        }
        assert_int_equal(qr_sign_share(&c, digest, 0, &a, sg.share[r][0] + 8, &item), QR_OK);
        if (r == 0) {
            sg.c = c;
            sg.item = item;
        }
        assert_int_equal(qr_sign_share(&c, digest, 0, &b, sg.share[r][1] + 8, &item), QR_OK);
    }
}

static void
mutate_share(void)
{
    struct qr_ctl_share s;
    uint8_t sig[64];
    uint16_t blame = 9;
    int recid;

    mutant_make(&gen, &mut, QR_MSG_SIGN_SHARE, 2, sg.share[0][1], sg.share[1][1],
                8 + QR_SIGN_SHARE_LEN);
    qr_err e = qr_ctl_get_share(qr_view_of(mut.p, mut.len), &s);
    if (e != QR_OK || s.n != 1) {
        /* a length, a count, a code: the decoder's business; a count of nothing is left to its owner */
        assert_false(mutant_untouched(&mut));
        count(e == QR_OK ? QR_ERR_LENGTH : e, 0);
        return;
    }
    if (mut.other_place)
        mut.other_place = 0; /* type and sender are not the machine's */
    const uint8_t *shares[2] = {sg.share[0][0] + 8, s.shares};
    e = qr_sign_combine(&sg.c, &sg.item, shares, sig, &recid, &blame);
    if (e == QR_OK)
        assert_true(quorum_openssl_verify(pub()->pk, sg.item.digest, sig));
    else
        assert_true(sodium_is_zero(sig, sizeof sig));
    judge("signing", e, e == QR_OK || e == QR_ERR_BAD_SIGNATURE);
}

/* What a decoder takes, its encoder writes back the same: there is one encoding of everything. */
static void
mutate_control(void)
{
    static uint8_t msg[4096], other[4096], back[8192], bytes[4096];
    static const enum qr_msg types[] = {QR_MSG_SIGN_REQUEST,  QR_MSG_ADMIN,
                                        QR_MSG_PRESIGN_START, QR_MSG_RETIRE,
                                        QR_MSG_STORE_STATE,   QR_MSG_KEY_SYNC};
    static struct qr_ctl_sign sign;
    static struct qr_ctl_admin admin;
    struct qr_ctl_start start;
    struct qr_ctl_retire retire;
    struct qr_ctl_store store;
    struct qr_ctl_key key;
    enum qr_msg type = types[qr_testrng_below(&gen.rng, 6)];
    struct qr_buf b = qr_buf_over(msg, sizeof msg);
    qr_view stamp = qr_view_of(bytes, shape.stamp), text = qr_view_of(bytes, shape.body);

    qr_testrng_fill(&gen.rng, bytes, 200);
    if (type == QR_MSG_SIGN_REQUEST)
        qr_ctl_put_sign(
            &b, &(struct qr_ctl_sign){
                    .n = 1, .presig_ids = bytes, .body = text, .stamp = {stamp}, .n_stamps = 1});
    else if (type == QR_MSG_ADMIN)
        qr_ctl_put_admin(&b, &(struct qr_ctl_admin){.body = text, .stamp = {stamp}, .n_stamps = 1});
    else if (type == QR_MSG_RETIRE)
        qr_ctl_put_retire(&b, &(struct qr_ctl_retire){.lo = 1, .hi = 2, .by = 2});
    else if (type == QR_MSG_KEY_SYNC)
        qr_ctl_put_key(&b, &(struct qr_ctl_key){.tell = 1, .n = 2, .confirm = bytes});
    else
        b.len = fields_msg_len(type, &shape);
    memcpy(other, msg, sizeof other);
    qr_testrng_fill(&gen.rng, other + 40, 60);
    mutant_make(&gen, &mut, type, 1, msg, other, b.len);

    qr_view v = qr_view_of(mut.p, mut.len);
    qr_err e;
    b = qr_buf_over(back, sizeof back);
    switch (type) {
    case QR_MSG_SIGN_REQUEST:
        if ((e = qr_ctl_get_sign(v, &sign)) == QR_OK)
            qr_ctl_put_sign(&b, &sign);
        break;
    case QR_MSG_ADMIN:
        if ((e = qr_ctl_get_admin(v, &admin)) == QR_OK)
            qr_ctl_put_admin(&b, &admin);
        break;
    case QR_MSG_PRESIGN_START:
        if ((e = qr_ctl_get_start(v, &start)) == QR_OK)
            qr_ctl_put_start(&b, &start);
        break;
    case QR_MSG_RETIRE:
        if ((e = qr_ctl_get_retire(v, &retire)) == QR_OK)
            qr_ctl_put_retire(&b, &retire);
        break;
    case QR_MSG_STORE_STATE:
        if ((e = qr_ctl_get_store(v, &store)) == QR_OK)
            qr_ctl_put_store(&b, &store);
        break;
    default:
        if ((e = qr_ctl_get_key(v, &key)) == QR_OK)
            qr_ctl_put_key(&b, &key);
    }
    if (e == QR_OK) {
        assert_int_equal(b.len, mut.len);
        assert_memory_equal(back, mut.p, mut.len);
    }
    count(e, 0);
}

/* ---- all of them --------------------------------------------------------------------------------- */

static int
set_up(void **state)
{
    (void)state;
    q = quorum_new(2, 2, "mutate");
    mutator_seed(&gen, &shape, getenv("QR_TEST_SEED") ? getenv("QR_TEST_SEED") : "mutate");
    if (quorum_pairs_all(q) != QR_OK || quorum_dkg(q) != QR_OK)
        return -1;
    presign_set_up();
    sign_set_up();
    dkg_set_up();
    pair_set_up();
    return 0;
}

static void
free_message(struct message *m)
{
    free(m->p);
    free(m->other);
}

static int
tear_down(void **state)
{
    (void)state;
    qr_presign_wipe(ps.wait1.at);
    qr_locked_free(ps.wait1.at);
    free(ps.wait1.copy);
    free(ps.wait2.copy);
    free_message(&ps.m1);
    free_message(&ps.m2);
    qr_locked_free(dk.wait[0].at);
    for (size_t k = 0; k < 4; k++) {
        free(dk.wait[k].copy);
        free_message(&dk.m[k]);
    }
    qr_locked_free(pr.wait[0].at);
    for (size_t k = 0; k < 3; k++) {
        free(pr.wait[k].copy);
        free_message(&pr.m[k]);
    }
    q = quorum_free(q);
    return 0;
}

static void
test_mutations(void **state)
{
    const char *want = getenv("QR_TEST_MUTATIONS");
    const char *quick = getenv("QR_TEST_QUICK");
    size_t n = getenv("QR_TEST_LONG") ? 1000000 : quick != NULL && quick[0] == '1' ? 4000 : 20000;
    uint64_t since = quorum_cpu_ns();

    (void)state;
    n = want != NULL ? strtoul(want, NULL, 10) : n;
    while (tally.total < n) {
        size_t turn = qr_testrng_below(&gen.rng, 2000);
        if (turn < 1)
            mutate_pair(1);
        else if (turn < 100)
            mutate_pair(0);
        else if (turn < 300)
            mutate_presign1();
        else if (turn < 450)
            mutate_presign2();
        else if (turn < 650)
            mutate_dkg();
        else if (turn < 950)
            mutate_share();
        else
            mutate_control();
    }
    (void)printf("mutations: %zu in %.1f s of CPU: %zu cheap, %zu deep; %zu taken, "
                 "%zu ban\n",
                 tally.total, (double)(quorum_cpu_ns() - since) / 1e9, tally.cheap, tally.deep,
                 tally.complete, tally.bans);
    for (size_t k = 0; k < 1024; k++)
        if (tally.by_err[k] > 0)
            (void)printf("mutations: %zu %s\n", tally.by_err[k], qr_err_name((qr_err)k));
    assert_true(tally.bans > n / 50 && tally.deep > n / 10 && tally.cheap > n / 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
