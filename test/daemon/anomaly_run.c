#include "test/daemon/anomaly_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    char trying[96];
    int apart; /* a child that may stop itself */
} now;

_Noreturn void __real_qr_panic(const char *file, int line, const char *what);
_Noreturn void __wrap_qr_panic(const char *file, int line, const char *what);

_Noreturn void
__wrap_qr_panic(const char *file, int line, const char *what)
{
    if (now.apart && strcmp(what, "out of memory") == 0) {
        _exit(ANOMALY_STOPPED);
    }
    __real_qr_panic(file, line, what);
}

struct sum {
    uint64_t lives, struck, unseen, repeated, started, restarted, stopped;
};

static uint64_t
number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void
one(const struct anomaly_cases *c, uint64_t n, struct sum *sum)
{
    struct life_report r;

    (void)snprintf(now.trying, sizeof now.trying, "%s, case %llu of %llu", c->name,
                   (unsigned long long)n, (unsigned long long)c->count);
    c->set(c->plan.ctx, n);
    life_run(&c->plan, &r);
    if (c->by_itself && r.starts + r.restarts > 0) {
        fail_msg("%s: a restart was needed: %s: %s", now.trying, r.stage, r.said);
    }
    now.trying[0] = 0;
    sum->lives++;
    if (!c->struck(c->plan.ctx)) {
        return;
    }
    sum->struck++;
    sum->unseen += r.retries + r.restarts + r.starts == 0;
    sum->repeated += r.retries > 0 && r.restarts + r.starts == 0;
    sum->started += r.starts > 0 && r.restarts == 0;
    sum->restarted += r.restarts > 0;
    if (getenv("ANOMALY_SAY") && r.stage[0]) {
        (void)fprintf(stderr, "%s %llu: %s: retries %u starts %u restarts %u: %s\n", c->name,
                      (unsigned long long)n, r.stage, r.retries, r.starts, r.restarts, r.said);
    }
}

/* In a process of its own; 1 if it failed. */
static int
one_apart(const struct anomaly_cases *c, uint64_t n, struct sum *sum)
{
    int pipes[2], status = 0;
    struct sum got = *sum;

    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        now.apart = c->may_stop;
        life_reopen();
        one(c, n, sum);
        _exit(write(pipes[1], sum, sizeof *sum) == (ssize_t)sizeof *sum ? 0 : 1);
    }
    (void)close(pipes[1]);
    ssize_t len = read(pipes[0], &got, sizeof got);
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (len == (ssize_t)sizeof got && status == 0) {
        *sum = got;
        return 0;
    }
    if (c->may_stop && WIFEXITED(status) && WEXITSTATUS(status) == ANOMALY_STOPPED) {
        sum->lives++;
        sum->struck++;
        sum->stopped++;
        return 0;
    }
    (void)fprintf(stderr, "FAILED: %s, case %llu (status %#x)\n", c->name, (unsigned long long)n,
                  (unsigned)status);
    return 1;
}

void
anomaly_run(const struct anomaly_cases *c)
{
    const char *name = getenv("ANOMALY_NAME");
    const char *set = getenv("QR_TEST_QUICK");
    uint64_t quick = set && set[0] == '1' ? (c->quick + 3) / 4 : c->quick;
    uint64_t most = getenv("QR_TEST_LONG") ? c->full : quick, only = number_of("ANOMALY_ONLY");
    most = number_of("ANOMALY_CASES") ? number_of("ANOMALY_CASES") : most;
    uint64_t step = c->count > most ? (c->count + most - 1) / most : 1;
    uint64_t first = 1 + number_of("QR_TEST_SEED") % step;
    struct sum sum = {0};
    int failed = 0;

    if (name && strcmp(name, c->name) != 0) {
        return;
    }
    for (uint64_t n = only ? only : first; n <= c->count; n += only ? c->count : step) {
        if (c->may_stop || getenv("ANOMALY_FORK")) {
            failed += one_apart(c, n, &sum);
        } else {
            one(c, n, &sum);
        }
    }
    print_message(
        "%s: %llu lives of %llu, %llu faults met: %llu unnoticed, %llu over after a "
        "repeated call, %llu after a start of one party, %llu after a restart of all, %llu "
        "stopped\n",
        c->name, (unsigned long long)sum.lives, (unsigned long long)c->count,
        (unsigned long long)sum.struck, (unsigned long long)sum.unseen,
        (unsigned long long)sum.repeated, (unsigned long long)sum.started,
        (unsigned long long)sum.restarted, (unsigned long long)sum.stopped);
    assert_int_equal(failed, 0);
    assert_true(only || sum.struck > 0);
}

int
anomaly_after(void **state)
{
    (void)state;
    if (life_net()) {
        print_message("failed at: %s\n", now.trying[0] ? now.trying : "a start");
        (void)fflush(NULL);
        abort(); /* the life is in the middle of something; no other test can go on from there */
    }
    return 0;
}
