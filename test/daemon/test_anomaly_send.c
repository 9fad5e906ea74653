/*
 * The nth send of a party's link fails, in turn: nothing is taken for a while, a single byte is taken, the
 * connection is cut behind the piece or in its middle. See anomaly_life.h for what must hold. No restart may
 * be needed here: a link that fails is nothing that a party could not mend by itself.
 */
#include "test/daemon/anomaly_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "test/daemon/anomaly_mem.h"
#include "test/daemon/anomaly_run.h"

#include <stdio.h>

enum how { REFUSE, ONE_BYTE, CUT, CUT_INSIDE };

#define REFUSALS 20 /* sends in a row that take nothing */

static struct {
    enum how how;
    uint64_t nth, count, met;
} fault;

/* The links of link_mem, with a send of our own before theirs. */
static const struct qr_link_ops *below;
static struct qr_link_ops ops;
static struct qr_conn *starved[32]; /* were refused; hear of room later */
#define STARVED (sizeof starved / sizeof starved[0])

/* Puts `to` where `from` stands. */
static void
swap(const struct qr_conn *from, struct qr_conn *to)
{
    for (size_t i = 0; i < STARVED; i++) {
        if (starved[i] == from) {
            starved[i] = to;
            return;
        }
    }
}

/* A connection's end is told by its link; ours comes first, so that no ended one stays starved. */
static void (*closed_above)(void *ctx, struct qr_conn *c, qr_err why, const char *text);

static void
closed(void *ctx, struct qr_conn *c, qr_err why, const char *text)
{
    swap(c, NULL);
    closed_above(ctx, c, why, text);
}

static int
is_now(void)
{
    return fault.nth && fault.count >= fault.nth &&
           fault.count < fault.nth + (fault.how == REFUSE ? REFUSALS : 1);
}

static size_t
send_some(struct qr_conn *c, qr_view data)
{
    fault.count++;
    if (data.len > 0 && is_now()) {
        size_t n = fault.how == ONE_BYTE ? below->send(c, qr_view_of(data.p, 1)) : 0;
        if (fault.how == REFUSE || fault.how == ONE_BYTE) {
            fault.met++;
            swap(c, NULL); /* once is enough */
            swap(NULL, c);
            return n;
        }
    }
    return below->send(c, data);
}

static void
step(struct qr_link *l, uint64_t now_ns)
{
    struct qr_conn *due[STARVED];

    memcpy(due, starved, sizeof due);
    below->step(l, now_ns);
    for (size_t i = 0; i < STARVED; i++) {
        if (due[i] && due[i] == starved[i] && due[i]->link == l) {
            starved[i] = NULL;
            l->ev.on_room(l->ev.ctx, due[i]);
        }
    }
}

static void
close_it(struct qr_conn *c, int graceful)
{
    swap(c, NULL);
    below->close(c, graceful);
}

static void
free_it(struct qr_link *l)
{
    for (size_t i = 0; i < STARVED; i++) {
        starved[i] = starved[i] && starved[i]->link == l ? NULL : starved[i];
    }
    below->free(l);
}

static struct qr_link *
wrap(void *ctx, size_t party, struct qr_link *l)
{
    (void)ctx;
    (void)party;
    below = l->ops;
    closed_above = l->ev.on_close; /* the same function for every party */
    l->ev.on_close = closed;
    ops = *l->ops;
    ops.send = send_some;
    ops.step = step;
    ops.close = close_it;
    ops.free = free_it;
    l->ops = &ops;
    return l;
}

/* After send_some has counted. */
static int
tamper(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)bytes;
    if ((fault.how != CUT && fault.how != CUT_INSIDE) || !is_now()) {
        return 0;
    }
    fault.met++;
    *len = fault.how == CUT_INSIDE ? *len / 2 : *len;
    return 1;
}

static void
arm(void *ctx)
{
    (void)ctx;
    anomaly_fail_memory(ANOMALY_HEAP, 0, 0);
    fault.count = fault.met = 0;
    memset(starved, 0, sizeof starved);
    qr_link_mem_faults(life_net())->tamper = tamper;
}

static void
set(void *ctx, uint64_t n)
{
    (void)ctx;
    fault.nth = n;
}

static int
struck(void *ctx)
{
    (void)ctx;
    return fault.met > 0;
}

static uint64_t total;

static void
test_none(void **state)
{
    const struct life_plan plan = {.arm = arm, .link = wrap};
    struct life_report r;

    (void)state;
    fault.nth = 0;
    life_run(&plan, &r);
    assert_true(r.retries == 0 && r.restarts == 0 && r.starts == 0);
    total = fault.count;
    assert_true(total > 100);
    print_message("sends in a life: %llu\n", (unsigned long long)total);
}

static void
run(const char *name, enum how how, uint64_t quick)
{
    const struct anomaly_cases c = {.name = name,
                                    .count = total,
                                    .quick = quick,
                                    .full = UINT64_MAX,
                                    .by_itself = 1,
                                    .set = set,
                                    .struck = struck,
                                    .plan = {.arm = arm, .link = wrap}};
    fault.how = how;
    anomaly_run(&c);
}

static void
test_refused(void **state)
{
    (void)state;
    run("nothing taken", REFUSE, 3);
}

static void
test_one_byte(void **state)
{
    (void)state;
    run("one byte taken", ONE_BYTE, 3);
}

static void
test_cut(void **state)
{
    (void)state;
    run("cut behind the piece", CUT, 4);
}

static void
test_cut_inside(void **state)
{
    (void)state;
    run("cut inside the piece", CUT_INSIDE, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_none, anomaly_after),
        cmocka_unit_test_teardown(test_refused, anomaly_after),
        cmocka_unit_test_teardown(test_one_byte, anomaly_after),
        cmocka_unit_test_teardown(test_cut, anomaly_after),
        cmocka_unit_test_teardown(test_cut_inside, anomaly_after),
    };
    anomaly_init();
    return cmocka_run_group_tests(tests, life_setup, life_teardown);
}
