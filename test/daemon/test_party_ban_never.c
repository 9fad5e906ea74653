/*
 * What never retires a pair: everything that a network, a configuration, a host or a third party could
 * cause (protocol/README.md, "The ban rule").
 *
 * Party 2's messages to party 1 are changed, dropped, doubled, held back and invented; links are
 * damaged, clocks turned, documents differ. After each: no check was said to have failed, no party
 * holds any pair retired, in memory or on its disk, and the two presign and sign together again.
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
#define SLOT(k) (64u + (size_t)(k)*QR_PRESIGN2_SLOT_LEN)
#define AT_A 164u
#define AT_ETA (164u + 96u * QR_XI)

static struct cluster c;
static struct wiretap w;
static struct malice m;
static uint8_t pk[33];

enum how {
    NOTHING,
    FLIP,
    FILL, /* 33 bytes of 0xff: no scalar, no point */
    ADD_G,
    SHORTER,
    LONGER,
    EMPTY,
    OTHER_EPOCH,
    OTHER_SID,
    OTHER_TYPE,
    DROP,
    TWICE,
    HOLD, /* until the next message of another type has gone */
};

struct fault {
    const char *what;
    enum qr_msg type;
    enum how how;
    size_t at;
    uint8_t bits;
};

static struct {
    struct fault f;
    unsigned done;
    int held;
    uint8_t *held_p;
    struct wire_msg held_m;
} now;

static void
fault_tap(void *ctx, struct wiretap *tap, struct wire_msg *x)
{
    const struct fault *f = &now.f;
    qr_pt P, G;
    (void)ctx;
    if (f->how == NOTHING || x->from != 2 || x->to != 1) {
        return;
    }
    if (now.held && x->type != f->type) {
        /* this one first, then what was held back */
        wiretap_say(tap, 2, 1, x->type, x->epoch, x->sid, qr_view_of(x->p, x->len));
        wiretap_say(tap, 2, 1, now.held_m.type, now.held_m.epoch, now.held_m.sid,
                    qr_view_of(now.held_p, now.held_m.len));
        x->drop = 1;
        now.held = 0;
        return;
    }
    if (x->type != f->type) {
        return;
    }
    now.done++;
    switch (f->how) {
    case FLIP:
        x->p[f->at] ^= f->bits;
        break;
    case FILL:
        memset(x->p + f->at, 0xff, 32);
        break;
    case ADD_G:
        assert_int_equal(qr_pt_parse(&P, x->p + f->at), QR_OK);
        assert_int_equal(qr_pt_mul_base(&G, &qr_fq_one), QR_OK);
        assert_int_equal(qr_pt_add(&P, &P, &G), QR_OK);
        qr_pt_put(x->p + f->at, &P);
        break;
    case SHORTER:
        x->len -= x->len > 0;
        break;
    case LONGER:
        x->p[x->len++] = 0;
        break;
    case EMPTY:
        x->len = 0;
        break;
    case OTHER_EPOCH:
        x->epoch++;
        break;
    case OTHER_SID:
        x->sid[31] ^= 1;
        break;
    case OTHER_TYPE:
        x->type = (enum qr_msg)f->at;
        break;
    case DROP:
        x->drop = 1;
        break;
    case TWICE:
        wiretap_say(tap, 2, 1, x->type, x->epoch, x->sid, qr_view_of(x->p, x->len));
        break;
    case HOLD:
        if (!now.held) {
            qr_free(now.held_p);
            now.held_p = qr_alloc(x->len);
            assert_non_null(now.held_p);
            memcpy(now.held_p, x->p, x->len);
            now.held_m = *x;
            now.held = 1;
            x->drop = 1;
        }
        break;
    case NOTHING:
        break;
    }
}

static int
set_up(void **state)
{
    (void)state;
    cluster_start(&c, 3, NULL);
    malice_quiet(&c);
    wiretap_on(&w, &c, fault_tap, NULL);
    cluster_keygen(&c, 2, pk);
    malice_start(&m, &w, 2, 1);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    now.held_p = qr_free(now.held_p);
    malice_stop(&m);
    wiretap_off(&w);
    cluster_stop(&c);
    return 0;
}

static int
quiet(struct cluster *cl, void *ctx)
{
    (void)ctx;
    for (size_t i = 1; i <= cl->n; i++) {
        if (cl->p[i].alive && qr_batch_running(cl->p[i].party) > 0) {
            return 0;
        }
    }
    return 1;
}

static int
all_up(struct cluster *cl, void *ctx)
{
    for (size_t i = 1; i <= cl->n; i++) {
        for (uint16_t j = 1; j <= cl->n; j++) {
            if (j != i && !qr_net_is_up(cl->p[i].party->net, j)) {
                return 0;
            }
        }
    }
    return cluster_linked(cl, ctx);
}

static size_t
ready(size_t at, uint16_t owner)
{
    const struct qr_party *p = c.p[at].party;
    struct qr_pool_id id = {.set_mask = BOTH, .owner = owner};
    memcpy(id.key_id, p->key[0].key->pub.key_id, 32);
    return qr_pool_ready(p->pool, &id);
}

static void
turns(unsigned n)
{
    while (n-- > 0) {
        cluster_turn(&c);
    }
}

/* The fault is over: sessions end, if need be by their time-out; then all works and nobody is banned. */
static void
expect_no_ban(const char *what, size_t from)
{
    now.f = (struct fault){.how = NOTHING};
    now.held = 0;
    if (!cluster_until(&c, 60, quiet, NULL)) {
        c.now += 31 * SECOND;
        c.wall_ms += 31000;
        if (!cluster_until(&c, 4000, quiet, NULL)) {
            fail_msg("%s: sessions do not end", what);
        }
    }
    assert_true(cluster_until(&c, 20000, all_up, NULL));
    for (uint16_t i = 1; i <= 3; i++) {
        if (wiretap_find(&w, from, i, WIRE_CHECK) < w.n) {
            fail_msg("%s: a check failed at party %u", what, i);
        }
    }
    if (!malice_nobody_retired(&c)) {
        fail_msg("%s: a pair was retired", what);
    }
    /* 1 and 2 work together as before */
    size_t before = ready(1, 2);
    malice_demand(&c, 2, BOTH);
    (void)cluster_until(&c, 4000, quiet, NULL);
    turns(20);
    if (ready(1, 2) < before + 4) {
        fail_msg("%s: no presignatures any more", what);
    }
}

static void
play_in_a_batch(const struct fault *f)
{
    size_t from = w.n;
    now.f = *f;
    now.done = 0;
    malice_demand(&c, 2, BOTH);
    turns(15);
    if (f->type != QR_MSG_PRESIGN_START && f->type != QR_MSG_PRESIGN_DONE) {
        malice_demand(&c, 1, BOTH);
        turns(15);
    } else if (f->type == QR_MSG_PRESIGN_DONE) {
        malice_demand(&c, 1, BOTH); /* 2 says it to the owner */
        turns(25);
    }
    if (now.done == 0) {
        fail_msg("%s: never happened", f->what);
    }
    expect_no_ban(f->what, from);
}

/* ---- rows of the table that must not ban ------------------------------------------------------ */

static const struct fault contents[] = {
    {"R_j is another point", QR_MSG_PRESIGN2, ADD_G, SLOT(1), 0},
    {"the opening's salt", QR_MSG_PRESIGN2, FLIP, 3, 1},
    {"the commitment", QR_MSG_PRESIGN1, FLIP, 31, 0x80},
    {"the view", QR_MSG_PRESIGN2, FLIP, 40, 2},
    {"R_j is no point", QR_MSG_PRESIGN2, FILL, SLOT(0), 0},
    {"pk_j is no point", QR_MSG_PRESIGN2, FILL, SLOT(2) + 33, 0},
    {"Gamma_u is no point", QR_MSG_PRESIGN2, FILL, SLOT(0) + 66, 0},
    {"Gamma_v is no point", QR_MSG_PRESIGN2, FILL, SLOT(3) + 99, 0},
    {"psi is no scalar", QR_MSG_PRESIGN2, FILL, SLOT(1) + 132, 0},
    {"a~ is no scalar", QR_MSG_PRESIGN2, FILL, SLOT(1) + AT_A + 96 * 9 + 32, 0},
    {"eta is no scalar", QR_MSG_PRESIGN2, FILL, SLOT(0) + AT_ETA, 0},
};

static void
attack_17_public_faults_never_ban(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof contents / sizeof contents[0]; k++) {
        play_in_a_batch(&contents[k]);
    }
}

static const struct fault names[] = {
    {"PRESIGN1, another sid", QR_MSG_PRESIGN1, OTHER_SID, 0, 0},
    {"PRESIGN2, another sid", QR_MSG_PRESIGN2, OTHER_SID, 0, 0},
    {"START, another sid", QR_MSG_PRESIGN_START, OTHER_SID, 0, 0},
    {"DONE, another sid", QR_MSG_PRESIGN_DONE, OTHER_SID, 0, 0},
    {"PRESIGN1, another epoch", QR_MSG_PRESIGN1, OTHER_EPOCH, 0, 0},
    {"PRESIGN2, another epoch", QR_MSG_PRESIGN2, OTHER_EPOCH, 0, 0},
    {"PRESIGN1 as DKG1", QR_MSG_PRESIGN1, OTHER_TYPE, QR_MSG_DKG1, 0},
    {"PRESIGN2 as PRESIGN1", QR_MSG_PRESIGN2, OTHER_TYPE, QR_MSG_PRESIGN1, 0},
    {"PRESIGN1 as PAIR1", QR_MSG_PRESIGN1, OTHER_TYPE, QR_MSG_PAIR1, 0},
    {"PRESIGN1 shorter", QR_MSG_PRESIGN1, SHORTER, 0, 0},
    {"PRESIGN1 longer", QR_MSG_PRESIGN1, LONGER, 0, 0},
    {"PRESIGN1 empty", QR_MSG_PRESIGN1, EMPTY, 0, 0},
    {"PRESIGN2 shorter", QR_MSG_PRESIGN2, SHORTER, 0, 0},
    {"PRESIGN2 longer", QR_MSG_PRESIGN2, LONGER, 0, 0},
    {"PRESIGN2 empty", QR_MSG_PRESIGN2, EMPTY, 0, 0},
    {"START shorter", QR_MSG_PRESIGN_START, SHORTER, 0, 0},
    {"START longer", QR_MSG_PRESIGN_START, LONGER, 0, 0},
    {"DONE longer", QR_MSG_PRESIGN_DONE, LONGER, 0, 0},
    {"START of another key", QR_MSG_PRESIGN_START, FLIP, 7, 1},
    {"START of another epoch", QR_MSG_PRESIGN_START, FLIP, 35, 1},
    {"START with a set that has another member", QR_MSG_PRESIGN_START, FLIP, 37, 5},
    {"START with one member more", QR_MSG_PRESIGN_START, FLIP, 37, 4},
    {"START with one member less", QR_MSG_PRESIGN_START, FLIP, 37, 1},
    {"START without its owner", QR_MSG_PRESIGN_START, FLIP, 37, 6},
    {"START with party 16", QR_MSG_PRESIGN_START, FLIP, 36, 0x80},
    {"START with B = 5", QR_MSG_PRESIGN_START, FLIP, 39, 1},
    {"START with B = 0", QR_MSG_PRESIGN_START, FLIP, 39, 4},
    {"START with B = 260", QR_MSG_PRESIGN_START, FLIP, 38, 1},
    {"START with another nonce", QR_MSG_PRESIGN_START, FLIP, 60, 1},
};

static void
attack_07_configuration_faults_never_ban(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        play_in_a_batch(&names[k]);
    }
}

static const struct fault network[] = {
    {"PRESIGN1 lost", QR_MSG_PRESIGN1, DROP, 0, 0},
    {"PRESIGN2 lost", QR_MSG_PRESIGN2, DROP, 0, 0},
    {"START lost", QR_MSG_PRESIGN_START, DROP, 0, 0},
    {"DONE lost", QR_MSG_PRESIGN_DONE, DROP, 0, 0},
    {"PRESIGN1 twice", QR_MSG_PRESIGN1, TWICE, 0, 0},
    {"PRESIGN2 twice", QR_MSG_PRESIGN2, TWICE, 0, 0},
    {"START twice", QR_MSG_PRESIGN_START, TWICE, 0, 0},
    {"DONE twice", QR_MSG_PRESIGN_DONE, TWICE, 0, 0},
    {"PRESIGN1 after PRESIGN2", QR_MSG_PRESIGN1, HOLD, 0, 0},
    {"START after PRESIGN1", QR_MSG_PRESIGN_START, HOLD, 0, 0},
};

static void
attack_13_network_faults_never_ban(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof network / sizeof network[0]; k++) {
        play_in_a_batch(&network[k]);
    }
    /* damaged bytes on the links, again and again, while batches run: TLS refuses them */
    for (unsigned round = 0; round < 4; round++) {
        size_t from = w.n;
        malice_demand(&c, 2, BOTH);
        turns(1 + round);
        w.corrupt = 1 + round;
        turns(200);
        assert_true(w.corrupt < 1 + round); /* it happened */
        w.corrupt = 0;
        expect_no_ban("damaged bytes", from);
    }
    /* a process that hangs longer than any session lives, then goes on */
    size_t from = w.n;
    malice_demand(&c, 2, BOTH);
    turns(2);
    c.p[2].frozen = 1;
    c.now += 40 * SECOND;
    c.wall_ms += 40000;
    turns(50);
    c.p[2].frozen = 0;
    expect_no_ban("a hang of forty seconds", from);
    /* killed in the middle of a batch */
    from = w.n;
    malice_demand(&c, 2, BOTH);
    turns(3);
    cluster_kill(&c, 2);
    turns(50);
    cluster_boot(&c, 2);
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    expect_no_ban("a crash in a batch", from);
}

/* ---- old and invented messages ---------------------------------------------------------------- */

static struct {
    uint8_t sid[32], *p[4];
    size_t len[4];
    enum qr_msg type[4];
    size_t n;
} old;

static void
record_tap(void *ctx, struct wiretap *tap, struct wire_msg *x)
{
    (void)ctx, (void)tap;
    if (x->from == 2 && x->to == 1 && old.n < 4 &&
        (x->type == QR_MSG_PRESIGN_START || x->type == QR_MSG_PRESIGN1 ||
         x->type == QR_MSG_PRESIGN2)) {
        old.p[old.n] = qr_alloc(x->len);
        assert_non_null(old.p[old.n]);
        memcpy(old.p[old.n], x->p, x->len);
        memcpy(old.sid, x->sid, 32);
        old.len[old.n] = x->len;
        old.type[old.n++] = x->type;
    }
}

static void
attack_07_replayed_messages_are_ignored(void **state)
{
    uint16_t who[2] = {2, 3};
    (void)state;
    size_t from = w.n;
    w.on_msg = record_tap;
    malice_demand(&c, 2, BOTH);
    assert_true(cluster_until(&c, 4000, quiet, NULL));
    turns(20);
    w.on_msg = fault_tap;
    assert_int_equal(old.n, 3);
    size_t made = ready(1, 2);
    /* by the one who said them and by another, one by one and all at once */
    for (size_t k = 0; k < 2; k++) {
        size_t start = w.n;
        for (size_t i = 0; i < old.n; i++) {
            wiretap_say(&w, who[k], 1, old.type[i], 0, old.sid, qr_view_of(old.p[i], old.len[i]));
            turns(3);
        }
        for (size_t i = 0; i < old.n; i++) {
            wiretap_say(&w, who[k], 1, old.type[i], 0, old.sid, qr_view_of(old.p[i], old.len[i]));
        }
        turns(50);
        assert_int_equal(wiretap_find(&w, start, 1, WIRE_C1), w.n);
        assert_int_equal(ready(1, 2), made);
    }
    expect_no_ban("replays", from);
    for (size_t i = 0; i < old.n; i++) {
        old.p[i] = qr_free(old.p[i]);
    }
    old.n = 0;
}

/* Nobody but the two of a pair can say that it is retired, and only under its own name. */
static void
attack_26_invented_notices_are_ignored(void **state)
{
    uint8_t buf[QR_CTL_RETIRE_LEN + 1], sid[32] = {0}, idx[6], h[32];
    (void)state;
    size_t from = w.n;
    for (unsigned k = 0; k < 12; k++) {
        /* party 2 says it about {1, 3}; signs well, badly, as itself, as 1, about {1, 2} as 1 */
        struct qr_ctl_retire r = {.lo = 1, .hi = 3, .by = 1};
        struct qr_buf b = qr_buf_over(buf, sizeof buf);
        r.hi = k == 4 ? 2 : 3;
        r.by = k == 1 ? 3 : k == 2 ? 2 : 1;
        r.lo = k == 5 ? 0 : k == 6 ? 3 : 1;
        r.hi = k == 7 ? 16 : k == 8 ? 17 : r.hi;
        r.by = k == 9 ? 0 : r.by;
        qr_put16(idx, r.lo);
        qr_put16(idx + 2, r.hi);
        qr_put16(idx + 4, r.by);
        qr_th(QR_TAG_RETIRE,
              QR_FIELDS(QR_F(c.p[2].party->roster->cluster, 32), QR_F(idx, 6), QR_F(r.nonce, 32)),
              h);
        assert_int_equal(qr_state_sign(c.p[2].party, h, r.sig), 0);
        qr_ctl_put_retire(&b, &r);
        size_t len = k == 10 ? b.len - 1 : k == 11 ? b.len + 1 : b.len;
        buf[sizeof buf - 1] = 0;
        wiretap_say(&w, 2, 1, QR_MSG_RETIRE, 0, sid, qr_view_of(buf, len));
        wiretap_say(&w, 2, 3, QR_MSG_RETIRE, 0, sid, qr_view_of(buf, len));
        turns(10);
    }
    expect_no_ban("invented notices", from);
}

/* An ABORT may end a session of its sender's; it never means that anybody cheated. */
static void
attack_13_aborts_never_ban(void **state)
{
    uint8_t sid[32], code[3] = {0};
    (void)state;
    for (uint16_t k = 0; k < 7; k++) {
        size_t from = w.n;
        malice_open(&m, sid);
        turns(3);
        qr_put16(code, k == 6 ? 0xffff : k);
        wiretap_say(&w, 3, 1, QR_MSG_ABORT, 0, sid, qr_view_of(code, 2)); /* no member of it */
        wiretap_say(&w, 2, 1, QR_MSG_ABORT, 0, sid, qr_view_of(code, 1));
        wiretap_say(&w, 2, 1, QR_MSG_ABORT, 0, sid, qr_view_of(code, 3));
        turns(5);
        assert_int_equal(qr_batch_running(c.p[1].party), 1);
        wiretap_say(&w, 2, 1, QR_MSG_ABORT, 0, sid, qr_view_of(code, 2));
        turns(5);
        assert_int_equal(qr_batch_running(c.p[1].party), 0);
        expect_no_ban("an abort", from);
    }
}

/* ---- the online round ------------------------------------------------------------------------- */

static const struct fault online[] = {
    {"w", QR_MSG_SIGN_SHARE, FLIP, 8 + 63, 1},
    {"u'", QR_MSG_SIGN_SHARE, FLIP, 8 + 95, 1},
    {"w is no scalar", QR_MSG_SIGN_SHARE, FILL, 8 + 32, 0},
    {"ctx", QR_MSG_SIGN_SHARE, FLIP, 8, 1},
    {"a share's code", QR_MSG_SIGN_SHARE, FLIP, 5, 7},
    {"a share's count", QR_MSG_SIGN_SHARE, FLIP, 7, 1},
    {"a share's attempt", QR_MSG_SIGN_SHARE, FLIP, 3, 1},
    {"a share, shorter", QR_MSG_SIGN_SHARE, SHORTER, 0, 0},
    {"a share, longer", QR_MSG_SIGN_SHARE, LONGER, 0, 0},
    {"a share, empty", QR_MSG_SIGN_SHARE, EMPTY, 0, 0},
    {"a share, lost", QR_MSG_SIGN_SHARE, DROP, 0, 0},
    {"a share, twice", QR_MSG_SIGN_SHARE, TWICE, 0, 0},
    {"a share of another request", QR_MSG_SIGN_SHARE, OTHER_SID, 0, 0},
};

static void
attack_21_bad_shares_burn_and_never_ban(void **state)
{
    struct qr_party *one = c.p[1].party;
    (void)state;
    malice_demand(&c, 1, BOTH);
    assert_true(cluster_until(&c, 4000, quiet, NULL));
    for (size_t k = 0; k < sizeof online / sizeof online[0]; k++) {
        uint16_t signers = 0;
        size_t from = w.n;
        uint64_t bad = one->c.sign_bad, moved = one->c.sign_moved;
        /* the set that party 1 would take first is the one with the cheater */
        one->key[0].hot = BOTH;
        one->peer[2].avoid_until = one->peer[3].avoid_until = 0;
        if (ready(1, 1) == 0) {
            malice_demand(&c, 1, BOTH);
            assert_true(cluster_until(&c, 4000, quiet, NULL));
            turns(20);
        }
        size_t stock = ready(1, 1);
        now.f = online[k];
        now.done = 0;
        if (!malice_signs(&c, 1, pk, &signers)) {
            fail_msg("%s: no signature from another set", online[k].what);
        }
        now.f.how = NOTHING;
        assert_int_equal(now.done > 0, 1);
        /* one presignature is gone, whatever happened; a bad share is counted, and moved away from */
        assert_int_equal(ready(1, 1), stock - 1);
        assert_int_equal(one->c.sign_bad - bad, k < 4);
        assert_int_equal(one->c.sign_moved > moved, online[k].how != TWICE);
        assert_int_equal(signers, online[k].how == TWICE ? BOTH : 5);
        for (uint16_t i = 1; i <= 3; i++) {
            assert_int_equal(wiretap_find(&w, from, i, WIRE_CHECK), w.n);
        }
        assert_true(malice_nobody_retired(&c));
    }
}

/* ---- documents and clocks --------------------------------------------------------------------- */

static void
load_policy(size_t i, unsigned serial)
{
    char doc[sizeof c.policy], *at;
    memcpy(doc, c.policy, sizeof doc);
    at = strstr(doc, "\"serial\":1");
    assert_non_null(at);
    at[9] = (char)('0' + serial);
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_POLICY, .n_stamps = 1};
    ask.body = qr_view_str(doc);
    ask.stamps[0] = cluster_stamp(c.admin, doc, 2);
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, i, 1, &ask), 100);
    assert_non_null(a);
    assert_int_equal(a->error, QR_OK);
}

static void
attack_07_documents_and_clocks_never_ban(void **state)
{
    (void)state;
    size_t from = w.n;
    malice_demand(&c, 2, BOTH);
    turns(2);
    load_policy(2, 2); /* one party is ahead: links are refused, batches die */
    turns(300);
    assert_false(qr_net_is_up(c.p[1].party->net, 2));
    assert_true(malice_nobody_retired(&c));
    load_policy(1, 2);
    load_policy(3, 2);
    expect_no_ban("a policy that is newer at one party", from);
    from = w.n;
    malice_demand(&c, 2, BOTH);
    turns(2);
    c.wall_ms -= 86400000; /* a day back, and again; the other way round what was sure stays sure */
    turns(50);
    c.wall_ms += 86400000;
    turns(50);
    expect_no_ban("clocks", from);
}

/* ---- confirmations told differently ------------------------------------------------------------ */

static void
two_faced_tap(void *ctx, struct wiretap *tap, struct wire_msg *x)
{
    (void)ctx, (void)tap;
    if (x->from == 2 && x->to == 3 && x->type == QR_MSG_DKG4) {
        x->p[9] ^= 1;
        now.done++;
    }
}

static int
key_everywhere(struct cluster *cl, void *ctx)
{
    size_t active = 0;
    for (size_t i = 1; i <= cl->n; i++) {
        const struct qr_party *p = cl->p[i].party;
        for (size_t k = 0; k < p->n_keys; k++) {
            active += p->key[k].key->state == QR_KEY_ACTIVE &&
                      memcmp(p->key[k].key->pub.pk, ctx, 33) == 0;
        }
    }
    return active == cl->n;
}

/*
 * Party 2 confirms a new key to party 1 and not to party 3. Party 3 has it as pending, on its disk, and
 * hears the true confirmations from party 1: nobody holds a key that another cannot come to hold.
 */
static void
attack_25_equivocated_confirmation(void **state)
{
    uint8_t other[33];
    uint16_t signers = 0;
    (void)state;
    size_t from = w.n;
    now.done = 0;
    w.on_msg = two_faced_tap;
    cluster_keygen(&c, 2, other); /* party 1 has all that it needs */
    w.on_msg = fault_tap;
    assert_int_equal(now.done, 1);
    turns(50);
    assert_false(key_everywhere(&c, other));
    cluster_kill(&c, 3);
    cluster_boot(&c, 3);
    assert_true(cluster_until(&c, 20000, all_up, NULL));
    assert_true(cluster_until(&c, 2000, key_everywhere, other));
    assert_true(malice_signs(&c, 3, other, &signers));
    expect_no_ban("a confirmation told differently", from);
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
        cmocka_unit_test(attack_17_public_faults_never_ban),
        cmocka_unit_test(attack_07_configuration_faults_never_ban),
        cmocka_unit_test(attack_13_network_faults_never_ban),
        cmocka_unit_test(attack_07_replayed_messages_are_ignored),
        cmocka_unit_test(attack_26_invented_notices_are_ignored),
        cmocka_unit_test(attack_13_aborts_never_ban),
        cmocka_unit_test(attack_21_bad_shares_burn_and_never_ban),
        cmocka_unit_test(attack_07_documents_and_clocks_never_ban),
        cmocka_unit_test(attack_25_equivocated_confirmation),
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
