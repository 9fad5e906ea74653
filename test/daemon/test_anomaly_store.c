/*
 * The nth change of a party's disk fails, in turn: refused once, no space until the operator frees some,
 * read-only until it is mended, half done and then no power. See anomaly_life.h for what must hold; a
 * store that failed is not written again before its party is started anew.
 */
#include "test/daemon/anomaly_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/daemon/anomaly_mem.h"
#include "test/daemon/anomaly_run.h"
#include "test/sim/disk.h"

#include <stdio.h>

struct trouble {
    unsigned host;
    enum sim_disk_fault what;
    uint64_t nth;
};

static uint64_t total[LIFE_N + 1];

static void
arm(void *ctx)
{
    const struct trouble *t = ctx;
    anomaly_fail_memory(ANOMALY_HEAP, 0, 0);
    if (t->nth > 0) {
        sim_disk_fault(t->host, t->what, t->nth - 1);
    }
}

/* The operator frees space, or mounts the disk again. */
static void
mend(void *ctx)
{
    const struct trouble *t = ctx;
    sim_disk_fault(t->host, SIM_DISK_NONE, 0);
}

static void
set(void *ctx, uint64_t n)
{
    ((struct trouble *)ctx)->nth = n;
}

static int
struck(void *ctx)
{
    return sim_disk_struck(((const struct trouble *)ctx)->host) > 0;
}

static void
test_none(void **state)
{
    struct trouble t = {1, SIM_DISK_NONE, 0};
    const struct life_plan plan = {.arm = arm, .mend = mend, .ctx = &t};
    struct life_report r;

    (void)state;
    life_run(&plan, &r);
    assert_true(r.retries == 0 && r.restarts == 0 && r.starts == 0);
    for (unsigned i = 1; i <= LIFE_N; i++) {
        total[i] = sim_disk_changes(i);
        assert_true(total[i] > 50);
    }
    print_message("changes of the disks in a life: %llu, %llu, %llu\n",
                  (unsigned long long)total[1], (unsigned long long)total[2],
                  (unsigned long long)total[3]);
}

static void
run(const char *name, enum sim_disk_fault what, uint64_t quick)
{
    for (unsigned host = 1; host <= 2; host++) { /* who coordinates; who is restarted */
        struct trouble t = {host, what, 0};
        char text[64];
        (void)snprintf(text, sizeof text, "%s, party %u", name, host);
        const struct anomaly_cases c = {.name = text,
                                        .count = total[host],
                                        .quick = quick,
                                        .full = UINT64_MAX,
                                        .set = set,
                                        .struck = struck,
                                        .plan = {.arm = arm, .mend = mend, .ctx = &t}};
        anomaly_run(&c);
    }
}

static void
test_refused(void **state)
{
    (void)state;
    run("refused once", SIM_DISK_REFUSE, 3);
}

static void
test_full(void **state)
{
    (void)state;
    run("no space", SIM_DISK_FULL, 2);
}

static void
test_readonly(void **state)
{
    (void)state;
    run("read-only", SIM_DISK_READONLY, 1);
}

static void
test_torn(void **state)
{
    (void)state;
    run("torn", SIM_DISK_TORN, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_none, anomaly_after),
        cmocka_unit_test_teardown(test_refused, anomaly_after),
        cmocka_unit_test_teardown(test_full, anomaly_after),
        cmocka_unit_test_teardown(test_readonly, anomaly_after),
        cmocka_unit_test_teardown(test_torn, anomaly_after),
    };
    anomaly_init();
    return cmocka_run_group_tests(tests, life_setup, life_teardown);
}
