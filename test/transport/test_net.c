/*
 * Nets among themselves: exactly once and in order whatever breaks, and who is not let in.
 */
#include "test/common/netrig.h"

#include "proto/wire.h"
#include "protocol/base/mem.h"
#include "test/common/testrng.h"
#include "transport/net_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
start_all(struct rig *r, uint16_t n)
{
    rig_init(r, n);
    for (uint16_t i = 1; i <= n; i++) {
        rig_start(r, i);
    }
    RIG_UNTIL(r, 200, rig_all_up(r));
}

static void
meet(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 3);
    for (uint16_t i = 1; i <= 3; i++) {
        for (uint16_t j = 1; j <= 3; j++) {
            const struct rig_view *v = &r.party[i].of[j];
            if (i == j) {
                assert_false(qr_net_is_up(r.party[i].net, j));
                assert_null(qr_net_info(r.party[i].net, j));
                continue;
            }
            assert_int_equal(v->ups, 1);
            assert_int_equal(v->info.resumed, 0);
            assert_int_equal(v->refused + v->downs, 0);
            assert_int_equal(v->info.boot_counter, 1);
            assert_int_equal(v->info.store_serial, 100 + j);
            assert_int_equal(v->info.store_root[7], j);
            assert_memory_equal(v->info.boot_nonce, r.party[j].params.boot_nonce, 32);
            assert_int_equal(v->info.claims.measurement[0], j);
            assert_int_equal(v->info.claims.insecure, 1);
            assert_memory_equal(qr_net_info(r.party[i].net, j), &v->info, sizeof v->info);
        }
    }
    assert_int_equal(qr_link_mem_count(r.mem), 3); /* one connection a pair */
    assert_null(qr_net_info(r.party[1].net, 9));
    assert_int_equal(qr_net_rtt_ns(r.party[1].net, 9), 0);
    rig_free(&r);
}

/* Sizes as the daemon has them: mostly small, some of a presigning's 640 KB. */
static size_t
some_size(struct qr_testrng *g)
{
    size_t k = qr_testrng_below(g, 1000);
    return 8 + (k < 900 ? qr_testrng_below(g, 300) : k < 998 ? qr_testrng_below(g, 20000) : 642688);
}

static enum qr_msg
some_type(struct qr_testrng *g, size_t len)
{
    static const enum qr_msg types[] = {QR_MSG_SIGN_REQUEST, QR_MSG_SIGN_SHARE, QR_MSG_PRESIGN1,
                                        QR_MSG_ADMIN, QR_MSG_PAIR1};
    return len > 100000 ? QR_MSG_PRESIGN2 : types[qr_testrng_below(g, 5)];
}

static void
exactly_once(void **state)
{
    struct rig r;
    struct qr_testrng g;
    uint64_t sent[4][4] = {{0}};
    unsigned cuts = 0, resumes = 0;
    const uint64_t each = 1700; /* times 6 ordered pairs: over 10,000 */
    (void)state;

    qr_testrng_seed(&g, "exactly_once");
    start_all(&r, 3);
    for (int busy = 1; busy;) {
        busy = 0;
        for (uint16_t i = 1; i <= 3; i++) {
            for (uint16_t j = 1; j <= 3; j++) {
                size_t burst = i == j ? 0 : qr_testrng_below(&g, 3);
                for (; burst > 0 && sent[i][j] < each; burst--) {
                    size_t len = some_size(&g);
                    sent[i][j] += (uint64_t)rig_send(&r, i, j, some_type(&g, len), sent[i][j], len);
                }
                busy |= i != j && r.party[j].of[i].received < each;
            }
        }
        qr_link_mem_faults(r.mem)->chunk = qr_testrng_below(&g, 2) ? 0 : 50000;
        if (qr_testrng_below(&g, 10) == 0 && qr_link_mem_count(r.mem) > 0) {
            qr_link_mem_cut(r.mem, qr_testrng_below(&g, qr_link_mem_count(r.mem)));
            cuts++;
        }
        rig_tick(&r, 15 * RIG_MS);
        assert_true(r.now < 600000 * RIG_MS);
    }
    qr_link_mem_faults(r.mem)->chunk = 0;
    RIG_UNTIL(&r, 3000, rig_all_up(&r));
    rig_run(&r, 200);
    for (uint16_t i = 1; i <= 3; i++) {
        for (uint16_t j = 1; j <= 3; j++) {
            if (i != j) {
                assert_int_equal(r.party[j].of[i].received, each);
                assert_int_equal(r.party[j].of[i].next_number, each);
                assert_int_equal(qr_net_queued(r.party[i].net, j), 0); /* all acknowledged */
                assert_int_equal(r.party[i].of[j].info.resumed, 1);
                resumes += r.party[i].of[j].resumed;
            }
        }
    }
    print_message("%u cuts, %u resumptions\n", cuts, resumes);
    assert_true(cuts > 20 && resumes > 20);
    rig_free(&r);
}

/* Flipped, lost and delayed bytes: TLS notices, the connection goes, nothing else does. */
struct noise {
    struct qr_testrng g;
    unsigned hits;
};

static int
add_noise(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    struct noise *n = ctx;
    (void)from;
    (void)to;
    switch (qr_testrng_below(&n->g, 40)) {
    case 0:
        bytes[qr_testrng_below(&n->g, *len)] ^= (uint8_t)(1u << qr_testrng_below(&n->g, 8));
        n->hits++;
        return 0;
    case 1:
        *len = qr_testrng_below(&n->g, *len);
        n->hits++;
        return 0;
    case 2:
        n->hits++;
        return 1;
    default:
        return 0;
    }
}

static void
attack_13_noisy_link(void **state)
{
    struct rig r;
    struct noise n = {.hits = 0};
    uint64_t sent = 0;
    (void)state;

    qr_testrng_seed(&n.g, "noise");
    start_all(&r, 2);
    *qr_link_mem_faults(r.mem) =
        (struct qr_link_mem_faults){.delay_ns = 2 * RIG_MS, .ctx = &n, .tamper = add_noise};
    while (r.party[2].of[1].received < 2000) {
        if (sent < 2000) {
            sent += (uint64_t)rig_send(&r, 1, 2, QR_MSG_PRESIGN1, sent, 8 + sent % 5000);
        }
        rig_tick(&r, 20 * RIG_MS);
        assert_true(r.now < 3600000 * RIG_MS);
    }
    assert_int_equal(r.party[2].of[1].next_number, 2000);
    assert_true(n.hits > 20);
    rig_free(&r);
}

static void
attack_23_restart_drops_everything(void **state)
{
    struct rig r;
    uint8_t sid[32] = {1};
    (void)state;

    start_all(&r, 3);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN1, 0, 100), 1);
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 1);
    rig_stop(&r, 2);
    RIG_UNTIL(&r, 100, r.party[1].of[2].downs == 1 && r.party[3].of[2].downs == 1);
    assert_false(qr_net_is_up(r.party[1].net, 2));
    /* While it is away messages are kept, for it might be the link... */
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN1, 1, 5000), 1);
    uint8_t *open = qr_net_reserve(r.party[1].net, 2, QR_MSG_PRESIGN1, 0, sid, 100);
    uint8_t *other = qr_net_reserve(r.party[1].net, 2, QR_MSG_PRESIGN1, 0, sid, 100);
    assert_non_null(open);
    assert_non_null(other);
    assert_true(qr_net_queued(r.party[1].net, 2) > 5200);
    /* ... but it was the process: nothing said to the old one reaches the new one. */
    rig_restart(&r, 2);
    RIG_UNTIL(&r, 3000, rig_all_up(&r));
    assert_int_equal(r.party[1].of[2].ups, 2);
    assert_int_equal(r.party[1].of[2].info.resumed, 0);
    assert_int_equal(r.party[1].of[2].info.boot_counter, 2);
    assert_int_equal(r.party[3].of[2].info.resumed, 0);
    assert_int_equal(r.party[1].of[3].ups, 1); /* 3 did not notice */
    qr_net_commit(r.party[1].net, 2, open);    /* reserved for the old process */
    qr_net_cancel(r.party[1].net, 2, other);
    rig_run(&r, 100);
    assert_int_equal(r.party[2].of[1].received, 0);
    assert_int_equal(qr_net_queued(r.party[1].net, 2), 0);
    /* And seqs begin anew. */
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN1, 0, 100), 1);
    assert_int_equal(rig_send(&r, 2, 1, QR_MSG_PRESIGN1, 0, 100), 1);
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 1 && r.party[1].of[2].next_number == 1);
    rig_free(&r);
}

/* How long a party is missed after its process was replaced at once. */
static void
restart_is_quick(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 3);
    for (uint16_t i = 1; i <= 3; i++) {
        rig_run(&r, 2000);
        rig_restart(&r, i);
        RIG_UNTIL(&r, 300, rig_all_up(&r));
    }
    rig_free(&r);
}

static void
back_pressure(void **state)
{
    struct rig r;
    uint64_t n = 0;
    (void)state;

    start_all(&r, 2);
    while (rig_send(&r, 1, 2, QR_MSG_PRESIGN2, n, 642688)) {
        n++;
        assert_true(qr_net_queued(r.party[1].net, 2) <= QR_PEER_QUEUE_MAX);
        qr_net_step(r.party[1].net, r.now); /* the peer does not move */
        assert_true(n < 100);
    }
    assert_true(n >= 24 && n <= 26);
    n += (uint64_t)rig_send(&r, 1, 2, QR_MSG_PRESIGN1, n, 32); /* a small one still fits */
    RIG_UNTIL(&r, 1000, r.party[2].of[1].received == n);
    rig_run(&r, 100);
    assert_int_equal(qr_net_queued(r.party[1].net, 2), 0);
    rig_free(&r);
}

static void
sizes(void **state)
{
    struct rig r;
    uint8_t sid[32] = {0};
    (void)state;

    start_all(&r, 2);
    struct qr_net *net = r.party[1].net;
    assert_null(qr_net_reserve(net, 2, QR_MSG_PRESIGN2, 0, sid, QR_WIRE_PAYLOAD_MAX + 1));
    assert_null(qr_net_reserve(net, 2, QR_MSG_PRESIGN2, 0, sid, SIZE_MAX));
    assert_null(qr_net_reserve(net, 2, (enum qr_msg)99, 0, sid, 10));
    assert_null(qr_net_reserve(net, 1, QR_MSG_PRESIGN2, 0, sid, 10));  /* ourselves */
    assert_null(qr_net_reserve(net, 16, QR_MSG_PRESIGN2, 0, sid, 10)); /* nobody */
    uint8_t *big = qr_alloc(QR_FRAME_MAX);
    assert_int_equal(qr_net_send(net, 2, QR_MSG_PRESIGN2, 0, sid, (qr_view){big, QR_FRAME_MAX}),
                     QR_ERR_TOO_LARGE);
    qr_free(big);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PRESIGN2, 0, QR_WIRE_PAYLOAD_MAX), 1);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_ADMIN, 1, QR_WIRE_PAYLOAD_MAX), 1); /* packs */
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 2);
    rig_free(&r);
}

static void
never_up(void **state)
{
    struct rig r;
    uint8_t sid[32] = {0};
    (void)state;

    rig_init(&r, 2);
    rig_start(&r, 1);
    rig_run(&r, 100);
    assert_null(qr_net_reserve(r.party[1].net, 2, QR_MSG_PAIR1, 0, sid, 10));
    assert_int_equal(qr_net_send(r.party[1].net, 2, QR_MSG_PAIR1, 0, sid, (qr_view){sid, 3}),
                     QR_ERR_BACKPRESSURE);
    assert_int_equal(r.party[1].of[2].refused, 1); /* said once, not once a second */
    assert_non_null(strstr(r.party[1].of[2].detail, "peer 2 at mem://p2: connection refused"));
    rig_run(&r, 10000);
    assert_int_equal(r.party[1].of[2].refused, 1);
    rig_run(&r, 60000);
    assert_int_equal(r.party[1].of[2].refused, 2);
    rig_free(&r);
}

/* Messages outlive the callback and the net when somebody holds them. */
static struct qr_msg_in *kept[64];
static size_t n_kept;

static void
keep(struct rig_party *p, struct qr_msg_in *m)
{
    (void)p;
    qr_msg_ref(m);
    kept[n_kept++] = m;
}

static void
references(void **state)
{
    struct rig r;
    (void)state;

    n_kept = 0;
    start_all(&r, 2);
    r.party[2].on_message = keep;
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(rig_send(&r, 1, 2, i % 2 ? QR_MSG_ADMIN : QR_MSG_PRESIGN1, i, 1000), 1);
    }
    RIG_UNTIL(&r, 100, n_kept == 20);
    /* One frame carries them all: plain ones share its buffer. */
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(qr_get64(kept[i]->payload.p), i);
        assert_int_equal(kept[i]->seq, i + 1);
        assert_int_equal(kept[i]->from, 1);
        assert_int_equal(kept[i]->sid[0], 0x51);
    }
    rig_free(&r);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(kept[i]->payload.len, 1000);
        qr_msg_unref(kept[i]);
    }
}

/* A callback may answer at once; the answer leaves in the same step. */
static void
answer(struct rig_party *p, struct qr_msg_in *m)
{
    assert_int_equal(qr_net_send(p->net, m->from, m->type, m->epoch, m->sid, m->payload), QR_OK);
}

static void
answer_in_callback(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    r.party[2].on_message = answer;
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(rig_send(&r, 1, 2, QR_MSG_SIGN_SHARE, i, 96), 1);
    }
    qr_net_step(r.party[1].net, r.now);
    qr_net_step(r.party[2].net, r.now);
    qr_net_step(r.party[1].net, r.now);
    assert_int_equal(r.party[1].of[2].next_number, 100);
    rig_free(&r);
}

static void
round_trip_time(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    qr_link_mem_faults(r.mem)->delay_ns = 5 * RIG_MS;
    rig_run(&r, 60000);
    uint64_t rtt = qr_net_rtt_ns(r.party[1].net, 2);
    assert_true(rtt >= 10 * RIG_MS - RIG_MS / 2 && rtt <= 13 * RIG_MS);
    assert_int_equal(r.party[1].of[2].downs, 0); /* idle for half a minute, and alive */
    rig_free(&r);
}

/* The deadline alone drives an idle net: keepalives are on time and steps are few. */
static void
deadlines(void **state)
{
    struct rig r;
    unsigned steps = 0;
    (void)state;

    start_all(&r, 2);
    rig_run(&r, 100);
    uint64_t end = r.now + 60000 * RIG_MS;
    while (r.now < end) {
        uint64_t a = qr_net_deadline(r.party[1].net), b = qr_net_deadline(r.party[2].net);
        uint64_t next = a < b ? a : b;
        r.now = next > r.now ? next : r.now;
        /* Twice: what one says must be read by the other, which a descriptor would announce. */
        rig_tick(&r, 0);
        rig_tick(&r, 0);
        rig_tick(&r, 0);
        assert_true(++steps < 1000);
    }
    assert_int_equal(r.party[1].of[2].downs + r.party[2].of[1].downs, 0);
    rig_free(&r);
}

static int
swallow(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)bytes;
    *len = 0;
    return 0;
}

static void
silence(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    rig_run(&r, 1500);
    qr_link_mem_faults(r.mem)->tamper = swallow;
    rig_run(&r, 1900);
    assert_int_equal(r.party[1].of[2].downs, 0);
    RIG_UNTIL(&r, 1500, r.party[1].of[2].downs == 1 && r.party[2].of[1].downs == 1);
    assert_int_equal(r.party[1].of[2].why, QR_ERR_TIMEOUT);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_PAIR1, 0, 100), 1); /* kept until it is back */
    rig_run(&r, 20000);
    qr_link_mem_faults(r.mem)->tamper = NULL;
    RIG_UNTIL(&r, 12000, rig_all_up(&r));
    assert_int_equal(r.party[1].of[2].info.resumed, 1);
    RIG_UNTIL(&r, 100, r.party[2].of[1].received == 1);
    rig_free(&r);
}

/* Ten minutes on, evidence is renewed on a new connection, without a gap and without a fuss. */
static void
renewal(void **state)
{
    struct rig r;
    uint64_t n = 0;
    (void)state;

    start_all(&r, 2);
    unsigned made = r.party[1].attester.made;
    uint64_t end = r.now + 25 * 60000 * RIG_MS;
    while (r.now < end) {
        n += (uint64_t)rig_send(&r, 1, 2, QR_MSG_PRESIGN1, n, 3000);
        rig_tick(&r, 50 * RIG_MS);
    }
    rig_run(&r, 10);
    assert_int_equal(r.party[2].of[1].next_number, n);
    assert_int_equal(r.party[1].of[2].downs + r.party[2].of[1].downs, 0);
    assert_int_equal(r.party[1].attester.made, made + 2);
    assert_int_equal(r.party[1].of[2].ups, 3);
    assert_int_equal(r.party[1].of[2].resumed, 2);
    assert_int_equal(qr_link_mem_count(r.mem), 1);
    rig_free(&r);
}

static void
renewal_refused(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    rig_run(&r, 1000);
    r.party[2].attester.refuse = 1;
    RIG_UNTIL(&r, 601000, r.party[2].of[1].downs == 1);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_ATTESTATION);
    RIG_UNTIL(&r, 1000, r.party[1].of[2].downs == 1);
    rig_run(&r, 3000);
    assert_false(rig_all_up(&r));
    r.party[2].attester.refuse = 0;
    RIG_UNTIL(&r, 3000, rig_all_up(&r));
    assert_int_equal(r.party[1].of[2].info.resumed, 1);
    rig_free(&r);
}

/* The dialler is prevented from renewing: the line goes when the evidence is a minute overdue. */
static int
swallow_new(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    (void)ctx;
    (void)from;
    (void)to;
    if (*len > 6 && bytes[0] == 22) { /* a TLS handshake record */
        *len = 0;
    }
    return 0;
}

static void
renewal_impossible(void **state)
{
    struct rig r;
    (void)state;

    start_all(&r, 2);
    qr_link_mem_faults(r.mem)->tamper = swallow_new;
    rig_run(&r, 630000);
    assert_int_equal(r.party[1].of[2].downs, 0); /* a dead network path is no verdict */
    RIG_UNTIL(&r, 40000, r.party[1].of[2].downs == 1 && r.party[2].of[1].downs == 1);
    /* Whoever notices first closes. */
    assert_true(r.party[1].of[2].why == QR_ERR_ATTESTATION ||
                r.party[2].of[1].why == QR_ERR_ATTESTATION);
    rig_free(&r);
}

/*
 * Evidence that cannot be renewed for its age alone says nothing against the process that is connected:
 * the line stays until its own evidence is too old, and the tries become rare.
 */
static void
renewal_stale(void **state)
{
    struct rig r;
    (void)state;

    rig_init(&r, 2);
    for (uint16_t i = 1; i <= 2; i++) {
        r.party[i].params.reattest_ns = 60000 * RIG_MS;
        r.party[i].params.evidence_ns = 20 * 60000 * RIG_MS;
        rig_start(&r, i);
    }
    RIG_UNTIL(&r, 5000, rig_all_up(&r));
    r.party[2].attester.refuse = 2;
    unsigned before = r.party[2].attester.verified;
    rig_run(&r, 15 * 60000);
    assert_int_equal(r.party[1].of[2].downs + r.party[2].of[1].downs, 0);
    assert_int_equal(r.party[2].of[1].why, QR_ERR_STALE); /* told to the operator */
    /* After a minute, then 10, 20, 40 seconds later, then every minute. */
    assert_in_range(r.party[2].attester.verified - before, 12, 18);
    assert_int_equal(rig_send(&r, 1, 2, QR_MSG_ADMIN, 0, 100), 1); /* and it works meanwhile */
    RIG_UNTIL(&r, 1000, r.party[2].of[1].received == 1);

    r.party[2].attester.refuse = 0; /* renewed: the age begins again */
    RIG_UNTIL(&r, 61000, r.party[1].of[2].resumed == 1);
    assert_int_equal(r.party[1].of[2].downs, 0);

    r.party[2].attester.refuse = 2; /* never again: the line lives as long as its evidence */
    rig_run(&r, 19 * 60000);
    assert_int_equal(r.party[1].of[2].downs, 0);
    RIG_UNTIL(&r, 2 * 60000, r.party[1].of[2].downs == 1 && r.party[2].of[1].downs == 1);
    rig_free(&r);
}

/* Another policy, other ages. */
static void
renewal_by_policy(void **state)
{
    uint8_t hash[32] = {9};
    struct rig r;
    (void)state;

    start_all(&r, 2);
    for (uint16_t i = 1; i <= 2; i++) {
        qr_net_set_policy(r.party[i].net, hash, 8, 5000 * RIG_MS, 60000 * RIG_MS);
    }
    RIG_UNTIL(&r, 5000, r.party[1].of[2].ups == 2 && rig_all_up(&r));
    unsigned ups = r.party[1].of[2].ups;
    rig_run(&r, 21000);
    assert_in_range(r.party[1].of[2].ups - ups, 3, 4);
    rig_free(&r);
}

/* The nth allocation fails: no crash, no leak; a net that stands recovers. */
static size_t gate_left;

static int
gate(size_t n)
{
    (void)n;
    return gate_left == 0 || --gate_left > 0;
}

static void
out_of_memory(void **state)
{
    struct rig r;
    struct qr_net_events ev = {0};
    char err[256];
    unsigned failures = 0;
    size_t b0, k0, b1, k1;
    (void)state;

    rig_init(&r, 2);
    qr_alloc_stats(&b0, &k0);
    for (size_t i = 1;; i++) { /* at birth */
        struct qr_net *net = NULL;
        gate_left = i;
        qr_alloc_gate(gate);
        qr_err e = qr_net_new(&r.party[1].params, &ev, &net, err, sizeof err);
        qr_alloc_gate(NULL);
        if (e == QR_OK) {
            qr_net_free(net);
            break;
        }
        assert_int_equal(e, QR_ERR_NO_MEMORY);
        failures++;
    }
    assert_true(failures >= 5);
    qr_alloc_stats(&b1, &k1);
    assert_int_equal(k0, k1);

    rig_start(&r, 1);
    rig_start(&r, 2);
    uint64_t sent = 0;
    for (size_t i = 1; i < 120; i++) { /* in life: handshakes, frames, messages */
        gate_left = i;
        qr_alloc_gate(gate);
        rig_run(&r, 60);
        gate_left = 0;
        qr_alloc_gate(NULL);
        if (qr_link_mem_count(r.mem) > 0 && i % 3 == 0) {
            qr_link_mem_cut(r.mem, 0);
        }
        sent += (uint64_t)rig_send(&r, 1, 2, QR_MSG_ADMIN, sent, 2000);
    }
    RIG_UNTIL(&r, 20000, rig_all_up(&r));
    RIG_UNTIL(&r, 1000, r.party[2].of[1].next_number == sent);
    assert_true(sent > 50);
    rig_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meet),
        cmocka_unit_test(exactly_once),
        cmocka_unit_test(attack_13_noisy_link),
        cmocka_unit_test(attack_23_restart_drops_everything),
        cmocka_unit_test(restart_is_quick),
        cmocka_unit_test(back_pressure),
        cmocka_unit_test(sizes),
        cmocka_unit_test(never_up),
        cmocka_unit_test(references),
        cmocka_unit_test(answer_in_callback),
        cmocka_unit_test(round_trip_time),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(silence),
        cmocka_unit_test(renewal),
        cmocka_unit_test(renewal_refused),
        cmocka_unit_test(renewal_impossible),
        cmocka_unit_test(renewal_stale),
        cmocka_unit_test(renewal_by_policy),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
