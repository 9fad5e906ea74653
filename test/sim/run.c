/* A seed is run in a child: it starts from the same state each time, and may die. */
#include "test/sim/run.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
log_line(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    fprintf(stderr, "%10.6f p%u %.*s\n", (double)(sim.now - SIM_EPOCH) / 1e9, sim_self(), (int)len,
            line);
}

static void
run_here(uint64_t seed, const unsigned char *mask, const struct sim_options *o, int fd)
{
    struct sim_plan plan;
    struct sim_result r = {.seed = seed};
    qr_log_init(o->log ? QR_LOG_INFO : (enum qr_log_level)(QR_LOG_ERROR + 1), QR_LOG_JSON);
    qr_log_sink(log_line, NULL);
    (void)alarm(o->seconds);
    sim_plan_make(seed, &plan);
    sim_det_start(0);
    sim_world_open(plan.n);
    sim.trace = o->trace ? fopen(o->trace, "w") : NULL;
    if (sim.trace) {
        fprintf(sim.trace, "# quorate simulation, seed %llu, %u parties, t %u\n",
                (unsigned long long)seed, plan.n, plan.t[0]);
    }
    sim_world_start(&plan, mask);
    sim_world_run();
    sim_world_stop();
    r.signatures = sim.signatures;
    r.answers = sim.answers;
    r.refusals = sim.refusals;
    r.virtual_ns = sim.now - SIM_EPOCH;
    r.party_ns = sim.party_ns;
    r.lines = sim.lines;
    memcpy(r.injected, sim.injected, sizeof r.injected);
    memcpy(r.digest, sim.digest, 32);
    r.failed = sim.violation[0] != 0;
    (void)snprintf(r.why, sizeof r.why, "%.*s", (int)sizeof r.why - 1, sim.violation);
    if (sim.trace) {
        (void)fclose(sim.trace);
    }
    _exit(write(fd, &r, sizeof r) == (ssize_t)sizeof r ? 0 : 3);
}

void
sim_run_seed(uint64_t seed, const unsigned char *mask, const struct sim_options *o,
             struct sim_result *ret)
{
    int fd[2], status = 0;
    size_t got = 0;
    ssize_t n = 1;
    *ret = (struct sim_result){.seed = seed, .failed = 1};
    (void)fflush(NULL);
    if (pipe(fd) != 0) {
        (void)snprintf(ret->why, sizeof ret->why, "the simulator cannot make a pipe");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fd[0]);
        run_here(seed, mask, o, fd[1]);
    }
    (void)close(fd[1]);
    while (pid > 0 && got < sizeof *ret && n > 0) {
        n = read(fd[0], (uint8_t *)ret + got, sizeof *ret - got);
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || got != sizeof *ret) {
        *ret = (struct sim_result){.seed = seed, .failed = 1};
        (void)snprintf(ret->why, sizeof ret->why,
                       WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
                           ? "it did not end within %u s of real time"
                           : "the process ended by itself, status %#x",
                       WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? o->seconds
                                                                          : (unsigned)status);
    }
}

static int
fails(uint64_t seed, const unsigned char *mask, const struct sim_options *o,
      struct sim_result *last)
{
    struct sim_result r;
    sim_run_seed(seed, mask, o, &r);
    if (r.failed) {
        *last = r;
    }
    return r.failed;
}

unsigned
sim_shrink(uint64_t seed, unsigned char mask[SIM_EVENTS], const struct sim_options *o,
           struct sim_result *last)
{
    struct sim_plan plan;
    unsigned runs = 0;
    int again = 1;
    sim_plan_make(seed, &plan);
    memset(mask, 0, SIM_EVENTS);
    memset(mask, 1, plan.n_events);
    for (unsigned size = (plan.n_events + 1) / 2; size > 0 && runs < 200; size /= 2) {
        for (again = 1; again && runs < 200;) {
            again = 0;
            for (unsigned i = 0; i < plan.n_events; i += size) {
                unsigned char less[SIM_EVENTS];
                unsigned had = 0;
                memcpy(less, mask, sizeof less);
                for (unsigned k = i; k < i + size && k < plan.n_events; k++) {
                    had += less[k];
                    less[k] = 0;
                }
                if (had && (runs++, fails(seed, less, o, last))) {
                    memcpy(mask, less, sizeof less);
                    again = 1;
                }
            }
        }
    }
    return runs;
}
