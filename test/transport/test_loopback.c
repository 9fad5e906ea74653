/*
 * Three nets over the links that a deployment has, with the real clock: big messages both ways, a
 * party that dies and comes back.
 */
#include "test/common/parties.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ThreadSanitizer does not see how nng hands objects to its reaper thread. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "race:libnng.so\n";
}

#define N 3

struct party {
    uint16_t index;
    struct qr_net *net;
    struct qr_net_params params;
    struct test_identity id;
    struct test_attester attester;
    unsigned ups[N + 1], downs[N + 1];
    uint64_t got[N + 1];
};

struct world {
    struct party party[N + 1];
    char address[QR_ADDRESS_MAX];
    unsigned port0;
};

static uint64_t
now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
on_up(void *ctx, const struct qr_peer_info *info)
{
    struct party *p = ctx;
    p->ups[info->index]++;
    if (!info->resumed) {
        p->got[info->index] = 0;
    }
}

static void
on_down(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct party *p = ctx;
    (void)why;
    assert_true(strlen(detail) > 0);
    p->downs[peer]++;
}

static void
on_refused(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    (void)ctx;
    (void)peer;
    if (why != QR_ERR_LINK_CLOSED) { /* one that is not there yet is all that may happen */
        fail_msg("refused: %s", detail);
    }
}

static uint8_t
byte_of(uint64_t number, size_t i)
{
    return (uint8_t)(number + i * 7 + (i >> 9));
}

static void
on_message(void *ctx, struct qr_msg_in *m)
{
    struct party *p = ctx;
    uint64_t n = p->got[m->from]++;
    assert_int_equal(m->seq, n + 1);
    for (size_t i = 0; i < m->payload.len; i++) {
        if (m->payload.p[i] != byte_of(n, i)) {
            fail_msg("byte %zu of message %u", i, (unsigned)n);
        }
    }
}

static struct qr_link *
new_nng(void *ctx, const struct qr_link_events *ev)
{
    (void)ctx;
    return qr_link_nng_new(ev);
}

static struct qr_link *
new_sock(void *ctx, const struct qr_link_events *ev)
{
    (void)ctx;
    return qr_link_sock_new(ev);
}

static void
start(struct world *w, uint16_t i)
{
    struct party *p = &w->party[i];
    struct qr_net_events ev = {.ctx = p,
                               .on_up = on_up,
                               .on_down = on_down,
                               .on_refused = on_refused,
                               .on_message = on_message};
    char err[256];
    p->params.boot_counter++;
    p->params.boot_nonce[1]++;
    if (qr_net_new(&p->params, &ev, &p->net, err, sizeof err) != QR_OK) {
        fail_msg("%s", err);
    }
}

static void
step(struct world *w)
{
    struct pollfd f[N];
    uint64_t now = now_ns(), next = now + 1000000000;

    for (int i = 0; i < N; i++) {
        const struct qr_net *net = w->party[i + 1].net;
        f[i] = (struct pollfd){.fd = net ? qr_net_fd(net) : -1, .events = POLLIN};
        if (net && qr_net_deadline(net) < next) {
            next = qr_net_deadline(net);
        }
    }
    (void)poll(f, N, next <= now ? 0 : (int)((next - now) / 1000000) + 1);
    for (int i = 1; i <= N; i++) {
        if (w->party[i].net) {
            qr_net_step(w->party[i].net, now_ns());
        }
    }
}

#define UNTIL(w, cond)                                                                             \
    do {                                                                                           \
        uint64_t until_ = now_ns() + UINT64_C(20000000000);                                        \
        while (!(cond)) {                                                                          \
            step(w);                                                                               \
            if (now_ns() > until_) {                                                               \
                fail_msg("never came: %s", #cond);                                                 \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static int
all_up(const struct world *w)
{
    for (uint16_t i = 1; i <= N; i++) {
        for (uint16_t j = 1; j <= N; j++) {
            if (i != j && !qr_net_is_up(w->party[i].net, j)) {
                return 0;
            }
        }
    }
    return 1;
}

static void
send_to_all(struct world *w, uint64_t number, size_t len)
{
    static const uint8_t sid[32] = {1};
    for (uint16_t i = 1; i <= N; i++) {
        for (uint16_t j = 1; j <= N; j++) {
            uint8_t *p =
                i == j ? NULL : qr_net_reserve(w->party[i].net, j, QR_MSG_PRESIGN2, 0, sid, len);
            if (i != j) {
                assert_non_null(p);
                for (size_t k = 0; k < len; k++) {
                    p[k] = byte_of(number, k);
                }
                qr_net_commit(w->party[i].net, j, p);
            }
        }
    }
}

static int
all_got(const struct world *w, uint64_t n)
{
    for (uint16_t i = 1; i <= N; i++) {
        for (uint16_t j = 1; j <= N; j++) {
            if (i != j && w->party[i].got[j] != n) {
                return 0;
            }
        }
    }
    return 1;
}

static void
run(struct qr_link *(*new_link)(void *, const struct qr_link_events *), const char *format,
    unsigned port0)
{
    struct world *w = qr_alloc(sizeof *w);
    size_t bytes, before, after;

    assert_int_equal(qr_hash_init(), QR_OK);
    qr_alloc_stats(&bytes, &before);
    for (uint16_t i = 1; i <= N; i++) {
        struct party *p = &w->party[i];
        p->index = i;
        test_params(&p->params, &p->id, &p->attester, i, N, format, port0, 1);
        p->params.new_link = new_link;
        start(w, i);
    }
    UNTIL(w, all_up(w));
    uint64_t n = 0;
    for (; n < 6; n++) { /* more than the kernel's buffers hold */
        send_to_all(w, n, QR_PRESIGN2_LEN(16));
    }
    UNTIL(w, all_got(w, n));
    for (; n < 200; n++) {
        send_to_all(w, n, 8 + n);
        step(w);
    }
    UNTIL(w, all_got(w, n));

    qr_net_free(w->party[2].net); /* and back at once, on the same address */
    w->party[2].net = NULL;
    memset(w->party[2].got, 0, sizeof w->party[2].got);
    start(w, 2);
    uint64_t t = now_ns();
    UNTIL(w, all_up(w) && w->party[1].ups[2] == 2 && w->party[3].ups[2] == 2);
    assert_true(now_ns() - t < UINT64_C(3000000000));
    assert_int_equal(w->party[1].downs[2], 1);
    assert_int_equal(w->party[1].ups[3], 1);
    for (uint16_t i = 1; i <= N; i += 2) { /* 1 and 3 to 2 and back: from the beginning */
        assert_int_equal(w->party[i].got[2], 0);
    }
    for (uint16_t i = 1; i <= N; i++) {
        if (w->party[i].net) {
            qr_net_free(w->party[i].net);
        }
    }
    qr_alloc_stats(&bytes, &after);
    assert_int_equal(before, after);
    qr_free(w);
}

/* Below the ephemeral range; other runs at the same time have other process ids. */
static unsigned
ports(unsigned which)
{
    return 20000 + ((unsigned)getpid() % 1000) * 12 + which * 4;
}

static void
over_nng(void **state)
{
    (void)state;
    run(new_nng, "tcp://127.0.0.1:%u", ports(0));
}

static void
over_tcp(void **state)
{
    (void)state;
    run(new_sock, "tcp://127.0.0.1:%u", ports(1));
}

static void
over_unix(void **state)
{
    (void)state;
    run(new_sock, "unix:///tmp/qr-test-loopback-%u.sock", (unsigned)getpid() * 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_nng),
        cmocka_unit_test(over_tcp),
        cmocka_unit_test(over_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
