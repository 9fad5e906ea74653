/*
 * The ban rule at whole parties: what a failed C1, C2 or C3 leads to, in which order.
 *
 * Party 2 cheats party 1 in every way that a check must catch (protocol/README.md, "The ban rule");
 * party 3 is honest. For each: the verdict, then the wipe, then the record on the disk, and only
 * then the first message of any kind; everybody is told; what was in flight with the cheater dies;
 * no other pair is touched; signing goes on without the pair; a restart brings nothing back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/malice.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOTH 3u /* the set {1, 2} */

static struct cluster c;
static struct wiretap w;
static struct malice m;
static uint8_t pk[33];

/* ---- the cheats ---------------------------------------------------------------------------- */

#define ROW QR_COT_ROW_BYTES(4)
#define SLOT(k) (64u + (size_t)(k)*QR_PRESIGN2_SLOT_LEN)
#define AT_PK 33u
#define AT_GU 66u
#define AT_GV 99u
#define AT_A 164u
#define AT_ETA (164u + 96u * QR_XI)
#define AT_MU (AT_ETA + 32u)

enum how { FLIP, ADD_G, OTHER_R };

static const struct cheat {
    const char *what;
    enum qr_msg type;
    size_t at;
    enum how how;
} cheats[] = {
    {"C1: a bit of u_0", QR_MSG_PRESIGN1, 32, FLIP},
    {"C1: a bit of u_15, among the masking bits", QR_MSG_PRESIGN1, 32 + 16 * ROW - 1, FLIP},
    {"C1: x~", QR_MSG_PRESIGN1, 32 + 16 * ROW + 7, FLIP},
    {"C1: h_T", QR_MSG_PRESIGN1, 32 + 16 * ROW + 16 + 31, FLIP},
    {"C2: a~, column 0", QR_MSG_PRESIGN2, SLOT(0) + AT_A + 31, FLIP},
    {"C2: a~, column 1", QR_MSG_PRESIGN2, SLOT(1) + AT_A + 96 * 200 + 32 + 31, FLIP},
    {"C2: a~, column 2", QR_MSG_PRESIGN2, SLOT(3) + AT_A + 96 * 415 + 64 + 31, FLIP},
    {"C2: eta", QR_MSG_PRESIGN2, SLOT(2) + AT_ETA + 31, FLIP},
    {"C2: mu", QR_MSG_PRESIGN2, SLOT(0) + AT_MU, FLIP},
    {"C3: Gamma_u", QR_MSG_PRESIGN2, SLOT(1) + AT_GU, ADD_G},
    {"C3: Gamma_v", QR_MSG_PRESIGN2, SLOT(3) + AT_GV, ADD_G},
    {"C3: pk_j", QR_MSG_PRESIGN2, SLOT(0) + AT_PK, ADD_G},
    {"C3: R_j, committed to and opened, but another r multiplied", QR_MSG_PRESIGN2, 0, OTHER_R},
};

struct cheating {
    const struct cheat *how; /* NULL: honest */
    unsigned cheated;
    uint8_t R33[4 * 33], salt[32];
    uint8_t com1[QR_BATCH_RUNS][32], sid1[QR_BATCH_RUNS][32]; /* what party 1 committed to */
    size_t n_com1;
};
static struct cheating cheating;

static void
add_generator(uint8_t *at)
{
    qr_pt P, G;
    assert_int_equal(qr_pt_parse(&P, at), QR_OK);
    assert_int_equal(qr_pt_mul_base(&G, &qr_fq_one), QR_OK);
    assert_int_equal(qr_pt_add(&P, &P, &G), QR_OK);
    qr_pt_put(at, &P);
}

/* Party 2's commitment to points of its own choice. */
static void
own_commitment(const uint8_t sid[32], uint8_t out[32])
{
    const uint8_t two[2] = {0, 2};
    qr_th(QR_TAG_COM_R,
          QR_FIELDS(QR_F(sid, 32), QR_F(two, 2), QR_F(cheating.R33, sizeof cheating.R33),
                    QR_F(cheating.salt, 32)),
          out);
}

static void
lie_about_r(struct wire_msg *x)
{
    if (x->type == QR_MSG_PRESIGN1) {
        own_commitment(x->sid, x->p);
        return;
    }
    uint8_t all[2 * 34] = {0, 1};
    size_t k = 0;
    while (k < cheating.n_com1 && memcmp(cheating.sid1[k], x->sid, 32) != 0) {
        k++;
    }
    assert_true(k < cheating.n_com1);
    memcpy(all + 2, cheating.com1[k], 32);
    qr_put16(all + 34, 2);
    own_commitment(x->sid, all + 36);
    memcpy(x->p, cheating.salt, 32);
    qr_th(QR_TAG_VIEW, QR_FIELDS(QR_F(x->sid, 32), QR_F(all, sizeof all)), x->p + 32);
    for (size_t i = 0; i < 4; i++) {
        memcpy(x->p + SLOT(i), cheating.R33 + 33 * i, 33);
    }
}

static void
cheat_tap(void *ctx, struct wiretap *tap, struct wire_msg *x)
{
    const struct cheat *h = cheating.how;
    (void)ctx, (void)tap;
    if (x->type == QR_MSG_PRESIGN1 && x->from == 1 && x->to == 2 &&
        cheating.n_com1 < QR_BATCH_RUNS) {
        memcpy(cheating.sid1[cheating.n_com1], x->sid, 32);
        memcpy(cheating.com1[cheating.n_com1++], x->p, 32);
    }
    if (!h || x->from != 2 || x->to != 1) {
        return;
    }
    if (h->how == OTHER_R && (x->type == QR_MSG_PRESIGN1 || x->type == QR_MSG_PRESIGN2)) {
        lie_about_r(x);
        cheating.cheated++;
    } else if (h->how != OTHER_R && x->type == h->type) {
        if (h->how == FLIP) {
            x->p[h->at] ^= 1;
        } else {
            add_generator(x->p + h->at);
        }
        cheating.cheated++;
    }
}

static void
start_cheating(const struct cheat *how)
{
    memset(&cheating, 0, sizeof cheating);
    cheating.how = how;
    for (uint64_t k = 0; k < 4; k++) {
        qr_fq r;
        qr_pt R;
        qr_fq_set_u64(&r, 7000 + k);
        assert_int_equal(qr_pt_mul_base(&R, &r), QR_OK);
        qr_pt_put(cheating.R33 + 33 * k, &R);
    }
}

/* ---- the stage ------------------------------------------------------------------------------ */

static int
set_up(void **state)
{
    (void)state;
    cluster_start(&c, 3, NULL);
    malice_quiet(&c);
    wiretap_on(&w, &c, cheat_tap, NULL);
    cluster_keygen(&c, 2, pk);
    malice_start(&m, &w, 2, 1);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    malice_stop(&m);
    wiretap_off(&w);
    cluster_stop(&c);
    return 0;
}

static int
retired_at_all(struct cluster *cl, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= cl->n; i++) {
        if (!qr_pairs_retired(cl->p[i].party, 1, 2)) {
            return 0;
        }
    }
    return 1;
}

static size_t
pool_ready(size_t at, uint16_t mask, uint16_t owner)
{
    const struct qr_party *p = c.p[at].party;
    struct qr_pool_id id = {.set_mask = mask, .owner = owner};
    memcpy(id.key_id, p->key[0].key->pub.key_id, 32);
    return qr_pool_ready(p->pool, &id);
}

static int
quiet(struct cluster *cl, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= cl->n; i++) {
        if (qr_batch_running(cl->p[i].party) > 0) {
            return 0;
        }
    }
    return 1;
}

/* Everything that follows a verdict of party 1 on party 2, since event `from`. */
static void
expect_ban(const char *what, size_t from)
{
    size_t verdict = wiretap_find(&w, from, 1, WIRE_CHECK);
    if (verdict == w.n) {
        fail_msg("%s: no check failed", what);
    }
    assert_int_equal(wiretap_event(&w, verdict)->to, 2); /* the blamed one */
    size_t stored = wiretap_find_stored(&w, verdict, 1, QR_TABLE_PAIR, "1-2");
    size_t wiped = wiretap_find(&w, verdict, 1, WIRE_WIPED);
    size_t sent = wiretap_find_sent(&w, verdict, 1, 0);
    size_t told2 = w.n, told3 = w.n;
    for (size_t k = verdict; k < w.n; k++) {
        const struct wire_event *e = wiretap_event(&w, k);
        if (e->what == WIRE_SENT && e->from == 1 && e->type == QR_MSG_RETIRE) {
            told2 = e->to == 2 && told2 == w.n ? k : told2;
            told3 = e->to == 3 && told3 == w.n ? k : told3;
        }
    }
    size_t abort = wiretap_find_sent(&w, verdict, 1, QR_MSG_ABORT);
    /* wiped, on the disk, and nothing was said before; then all are told, then the session dies */
    assert_true(wiped < stored && stored < sent && sent < w.n);
    assert_int_equal(wiretap_event(&w, wiped)->code, 1);
    assert_true(told2 < abort && told3 < abort && abort < w.n);
    assert_int_equal(wiretap_event(&w, abort)->code, QR_ABORT_FAILED);
    /* one verdict, and no C1 with anybody of that pair after it */
    assert_int_equal(wiretap_find(&w, verdict + 1, 1, WIRE_CHECK), w.n);
    assert_int_equal(wiretap_find(&w, verdict + 1, 1, WIRE_C1), w.n);
    /* party 3 has it on its disk */
    assert_true(wiretap_find_stored(&w, verdict, 3, QR_TABLE_PAIR, "1-2") < w.n);
    for (size_t i = 1; i <= 3; i++) {
        assert_true(qr_pairs_retired(c.p[i].party, 1, 2));
        assert_false(qr_pairs_retired(c.p[i].party, 1, 3));
        assert_false(qr_pairs_retired(c.p[i].party, 2, 3));
    }
    assert_null(c.p[1].party->peer[2].pair);
    assert_true(qr_pairs_active(c.p[1].party, 3));
    /* nothing of the pair is left to be spent, and nothing in flight */
    for (uint16_t owner = 1; owner <= 2; owner++) {
        assert_int_equal(pool_ready(1, BOTH, owner), 0);
    }
    for (size_t k = 0; k < QR_BATCH_RUNS; k++) {
        assert_false(c.p[1].party->batch[k].used &&
                     (c.p[1].party->batch[k].pool.set_mask & BOTH) == BOTH);
    }
}

/* Batches of both owners at once, all cheated, until party 1 has judged. */
static size_t
play(const struct cheat *how, int many)
{
    start_cheating(NULL);
    malice_demand(&c, 3, 5); /* a bystander: {1, 3}, owned by 3 */
    assert_true(cluster_until(&c, 4000, quiet, NULL));
    size_t from = w.n;
    start_cheating(how);
    malice_demand(&c, 2, BOTH);
    if (many) {
        malice_demand(&c, 1, BOTH);
    }
    assert_true(cluster_until(&c, 8000, retired_at_all, NULL));
    for (int k = 0; k < 30; k++) {
        cluster_turn(&c);
    }
    assert_true(cheating.cheated > 0);
    start_cheating(NULL);
    return from;
}

/* What party 1 says after a verdict: a notice to each, then one word. */
static struct words {
    size_t n;
    uint16_t to[4], code[4], type[4];
} words[sizeof cheats / sizeof cheats[0]];
static size_t n_words;

static void
note_words(size_t from)
{
    struct words *x = &words[n_words++];
    for (size_t k = wiretap_find(&w, from, 1, WIRE_CHECK); k < w.n && x->n < 4; k++) {
        const struct wire_event *e = wiretap_event(&w, k);
        if (e->what == WIRE_SENT && e->from == 1 && e->type != QR_MSG_STORE_STATE) {
            x->to[x->n] = e->to;
            x->code[x->n] = e->code;
            x->type[x->n++] = (uint16_t)e->type;
        }
    }
}

/* ---- the tests ------------------------------------------------------------------------------ */

/* Each check, each field it guards. */
static void
attack_03_every_check_bans(void **state)
{
    struct qr_sec16 delta[sizeof cheats / sizeof cheats[0]];
    const char *quick = getenv("QR_TEST_QUICK");
    size_t step = quick != NULL && quick[0] == '1' ? 3 : 1; /* still of each check */
    (void)state;
    for (size_t k = 0; k < sizeof cheats / sizeof cheats[0]; k += step) {
        /* what was guessed of the last Delta is worth nothing: this is another one */
        delta[k] = qr_pair_keys(c.p[1].party->peer[2].pair)->delta;
        for (size_t i = 0; i < k; i += step) {
            assert_memory_not_equal(&delta[i], &delta[k], sizeof delta[k]);
        }
        size_t from = play(&cheats[k], k % 2 == 0);
        expect_ban(cheats[k].what, from);
        note_words(from);
        uint16_t signers = 0;
        assert_true(malice_signs(&c, 1, pk, &signers));
        assert_int_equal(signers, 5); /* 1 and 3 */
        malice_readmit(&c, 1, 2);
    }
}

/* A guess of Delta that is wrong, with everything else as it must be. */
static void
attack_03_wrong_guess_of_delta(void **state)
{
    uint8_t sid[32];
    (void)state;
    const struct qr_pair_keys *k = qr_pair_keys(c.p[1].party->peer[2].pair);
    unsigned right = k->delta.b[6];
    /* the control: the right guess passes, and nobody is banned for the batch that then dies */
    size_t from = w.n;
    malice_open(&m, sid);
    malice_guess(&m, sid, 6, right);
    assert_int_equal(malice_wait(&m, from, sid, 2000), REPLY_ROUND2);
    malice_abort(&m, sid);
    assert_true(cluster_until(&c, 4000, quiet, NULL));
    assert_true(malice_nobody_retired(&c));
    from = w.n;
    malice_open(&m, sid);
    malice_guess(&m, sid, 6, right ^ 0x20);
    assert_int_equal(malice_wait(&m, from, sid, 2000), REPLY_FAILED);
    assert_true(cluster_until(&c, 2000, retired_at_all, NULL));
    expect_ban("a wrong guess", from);
    /* and there is no second question */
    for (unsigned n = 0; n < 4; n++) {
        from = w.n;
        malice_open(&m, sid);
        malice_guess(&m, sid, 6, right);
        assert_int_equal(malice_wait(&m, from, sid, 500), REPLY_REFUSED);
        assert_int_equal(wiretap_find(&w, from, 1, WIRE_C1), w.n);
    }
    malice_readmit(&c, 1, 2);
}

/* Sixty-four batches at once: all are told the same, and one verdict is all there is. */
static void
attack_27_parallel_batches(void **state)
{
    uint8_t sid[64][32];
    unsigned verdicts = 0, round2 = 0, refused = 0, busy = 0;
    (void)state;
    const struct qr_pair_keys *keys = qr_pair_keys(c.p[1].party->peer[2].pair);
    unsigned right = keys->delta.b[0];
    size_t from = w.n;
    for (size_t k = 0; k < 64; k++) {
        malice_open(&m, sid[k]);
        malice_guess(&m, sid[k], 0, (right + 1 + (unsigned)k) & 0xff);
    }
    assert_true(cluster_until(&c, 8000, retired_at_all, NULL));
    for (int k = 0; k < 200; k++) {
        cluster_turn(&c);
    }
    size_t first = wiretap_find(&w, from, 1, WIRE_CHECK);
    assert_true(first < w.n);
    for (size_t k = from; k < w.n; k++) {
        const struct wire_event *e = wiretap_event(&w, k);
        verdicts += e->what == WIRE_C1 && e->from == 1;
    }
    assert_int_equal(verdicts, 1);
    assert_int_equal(wiretap_find(&w, first + 1, 1, WIRE_C1), w.n);
    for (size_t k = 0; k < 64; k++) {
        enum malice_reply r = malice_reply(&m, from, sid[k]);
        round2 += r == REPLY_ROUND2;
        refused += r == REPLY_REFUSED;
        busy += r == REPLY_OTHER;
    }
    assert_int_equal(round2, 0);
    assert_true(refused + busy >= 60); /* those that were begun die in silence, but one */
    malice_readmit(&c, 1, 2);
}

/*
 * What the cheater is told does not depend on which check failed, nor where. The words are those of
 * the bans above; this test stands behind them in main.
 */
static void
attack_33_same_words_for_every_check(void **state)
{
    (void)state;
    assert_true(n_words >= 5);
    for (size_t k = 0; k < n_words; k++) {
        assert_int_equal(words[k].n, 3); /* two notices, one coarse word */
        assert_memory_equal(&words[k], &words[0], sizeof words[0]);
    }
}

/* Kill -9 at once after the verdict; and the restart of everybody else, one by one. */
static void
attack_03_ban_survives_restarts(void **state)
{
    uint16_t signers = 0;
    (void)state;
    size_t from = play(&cheats[4], 0);
    expect_ban("before the restarts", from);
    for (size_t i = 1; i <= 3; i++) {
        cluster_kill(&c, i);
        cluster_boot(&c, i);
        assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
        for (size_t j = 1; j <= 3; j++) {
            assert_true(qr_pairs_retired(c.p[j].party, 1, 2));
        }
        assert_null(c.p[1].party->peer[2].pair);
        assert_null(c.p[2].party->peer[1].pair);
    }
    assert_true(malice_signs(&c, 1, pk, &signers));
    assert_int_equal(signers, 5);
    malice_readmit(&c, 1, 2);
}

/*
 * The pair is retired although the disk takes nothing any more: in memory, and the party stops
 * signing rather than to go on with a ban that the next start would not know.
 */
static void
attack_03_ban_on_a_full_disk(void **state)
{
    uint16_t signers = 0;
    (void)state;
    /* a store that failed once takes no write any more */
    c.p[1].party->store_failed = 1;
    size_t from = w.n;
    start_cheating(&cheats[0]);
    malice_demand(&c, 2, BOTH);
    for (int k = 0; k < 400; k++) {
        cluster_turn(&c);
    }
    start_cheating(NULL);
    size_t verdict = wiretap_find(&w, from, 1, WIRE_CHECK);
    assert_true(verdict < w.n);
    assert_int_equal(wiretap_find_stored(&w, verdict, 1, QR_TABLE_PAIR, "1-2"), w.n);
    assert_true(qr_pairs_retired(c.p[1].party, 1, 2));
    assert_null(c.p[1].party->peer[2].pair);
    /* the others were told and did record it; the party itself signs no more */
    assert_true(retired_at_all(&c, NULL));
    assert_true(wiretap_find_stored(&w, verdict, 3, QR_TABLE_PAIR, "1-2") < w.n);
    assert_false(malice_signs(&c, 1, pk, &signers));
    /* restarted with a disk that works, it hears of its own ban from the others */
    cluster_kill(&c, 1);
    cluster_boot(&c, 1);
    assert_true(cluster_until(&c, 20000, retired_at_all, NULL));
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_null(c.p[1].party->peer[2].pair);
    malice_readmit(&c, 1, 2);
}

static void
no_lines(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_03_every_check_bans),
        cmocka_unit_test(attack_33_same_words_for_every_check),
        cmocka_unit_test(attack_03_wrong_guess_of_delta),
        cmocka_unit_test(attack_27_parallel_batches),
        cmocka_unit_test(attack_03_ban_survives_restarts),
        cmocka_unit_test(attack_03_ban_on_a_full_disk),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    qr_log_init(getenv("QR_TEST_LOG") ? QR_LOG_DEBUG : QR_LOG_ERROR, QR_LOG_HUMAN);
    if (!getenv("QR_TEST_LOG")) {
        qr_log_sink(no_lines, NULL);
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
