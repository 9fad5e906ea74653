/*
 * The nth allocation fails, in turn: the product's heap, its locked memory, OpenSSL's, SQLite's and
 * jansson's, alone and with the forty that follow it. See anomaly_life.h for what must hold.
 */
#include "test/daemon/anomaly_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "test/daemon/anomaly_mem.h"
#include "test/daemon/anomaly_run.h"

struct shortage {
    enum anomaly_memory kind;
    uint64_t nth, len;
};

static uint64_t total[ANOMALY_MEMORIES];

static void
set(void *ctx, uint64_t n)
{
    ((struct shortage *)ctx)->nth = n;
}

static void
arm(void *ctx)
{
    const struct shortage *s = ctx;
    anomaly_fail_memory(s->kind, s->nth, s->len);
}

/* There is memory again. */
static void
mend(void *ctx)
{
    (void)ctx;
    anomaly_memory_back();
}

static int
struck(void *ctx)
{
    (void)ctx;
    return anomaly_refused() > 0;
}

/* Nothing fails: what there is to fail. Three times: the first lives fill the libraries' caches. */
static void
test_none(void **state)
{
    struct shortage s = {ANOMALY_HEAP, 0, 0};
    struct life_plan plan = {.arm = arm, .ctx = &s};
    struct life_report r;

    (void)state;
    for (int i = 0; i < 3; i++) {
        life_run(&plan, &r);
        assert_true(r.retries == 0 && r.restarts == 0 && r.starts == 0);
    }
    for (int k = 0; k < ANOMALY_MEMORIES; k++) {
        total[k] = anomaly_allocations((enum anomaly_memory)k);
        assert_true(total[k] > 20);
    }
    print_message(
        "allocations in a life: heap %llu, locked %llu, OpenSSL %llu, SQLite %llu, jansson "
        "%llu\n",
        (unsigned long long)total[ANOMALY_HEAP], (unsigned long long)total[ANOMALY_LOCKED],
        (unsigned long long)total[ANOMALY_OPENSSL], (unsigned long long)total[ANOMALY_SQLITE],
        (unsigned long long)total[ANOMALY_JSON]);
}

/* Every allocation of a start, up to the first start that meets no fault; SQLite's in steps. */
static struct {
    uint64_t step, tried;
} starts;

static int
next_start(void *ctx)
{
    struct shortage *s = ctx;
    if (s->nth != 0 && anomaly_refused() == 0) {
        anomaly_memory_back();
        return 0;
    }
    s->nth += s->nth == 0 ? 1 : starts.step;
    starts.tried++;
    anomaly_fail_memory(s->kind, s->nth, 1);
    return 1;
}

static void
test_starts(void **state)
{
    (void)state;
    for (int kind = 0; kind < ANOMALY_MEMORIES; kind++) {
        if (kind == ANOMALY_OPENSSL) {
            continue; /* may stop the process: test_openssl */
        }
        struct shortage s = {(enum anomaly_memory)kind, 0, 1};
        const struct life_plan plan = {.arm = arm, .mend = mend, .ctx = &s};
        starts.tried = 0;
        starts.step = getenv("QR_TEST_LONG")                           ? 1
                      : kind == ANOMALY_SQLITE || kind == ANOMALY_JSON ? 13
                                                                       : 1;
        unsigned refused = life_starts(&plan, next_start);
        print_message("allocations of kind %d: %llu starts, %u refused\n", kind,
                      (unsigned long long)starts.tried, refused);
        assert_true(starts.tried > 1 && refused < starts.tried);
    }
}

static void
run(const char *name, enum anomaly_memory kind, uint64_t len, uint64_t quick, uint64_t full)
{
    const char *hurry = getenv("QR_TEST_QUICK");
    if (len > 1 && kind != ANOMALY_HEAP && hurry && hurry[0] == '1') {
        return; /* of the long shortages the quick set has the heap's alone */
    }
    struct shortage s = {kind, 0, len};
    struct anomaly_cases c = {.name = name,
                              .count = total[kind],
                              .quick = quick,
                              .full = full,
                              .set = set,
                              .struck = struck,
                              .may_stop = kind == ANOMALY_OPENSSL,
                              .plan = {.arm = arm, .mend = mend, .ctx = &s}};
    anomaly_run(&c);
}

static void
test_heap(void **state)
{
    (void)state;
    run("heap", ANOMALY_HEAP, 1, 5, UINT64_MAX);
    run("heap, 40 in a row", ANOMALY_HEAP, 40, 2, 300);
}

static void
test_locked(void **state)
{
    (void)state;
    run("locked memory", ANOMALY_LOCKED, 1, 3, UINT64_MAX);
    run("locked memory, 40 in a row", ANOMALY_LOCKED, 40, 1, UINT64_MAX);
}

static void
test_sqlite(void **state)
{
    (void)state;
    run("SQLite", ANOMALY_SQLITE, 1, 2, 700);
    run("SQLite, 40 in a row", ANOMALY_SQLITE, 40, 1, 100);
}

static void
test_json(void **state)
{
    (void)state;
    run("jansson", ANOMALY_JSON, 1, 2, 300);
}

static void
test_openssl(void **state)
{
    (void)state;
    run("OpenSSL", ANOMALY_OPENSSL, 1, 2, 300);
    run("OpenSSL, 40 in a row", ANOMALY_OPENSSL, 40, 1, 50);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test_teardown(test_starts, anomaly_after),
        cmocka_unit_test_teardown(test_heap, anomaly_after),
        cmocka_unit_test_teardown(test_locked, anomaly_after),
        cmocka_unit_test_teardown(test_sqlite, anomaly_after),
        cmocka_unit_test_teardown(test_json, anomaly_after),
        cmocka_unit_test_teardown(test_openssl, anomaly_after),
    };
    anomaly_init();
    return cmocka_run_group_tests(tests, life_setup, life_teardown);
}
