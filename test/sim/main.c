/* The simulator's command line: many seeds, or one of them again. */
#include "test/sim/run.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: sim --seeds A..B [--jobs N]   a life for each seed; the first violation is shrunk\n"
    "       sim --seed N [--events 0,3]   one of them again, or only these events of its plan\n"
    "           --plan           print what would happen, and stop\n"
    "           --trace FILE     write what happens, a line an event\n"
    "           --log            the parties' own log on stderr\n"
    "       --stop               end with the first violation\n"
    "       --whole              do not shrink it\n"
    "       --quiet              no progress\n"
    "exit: 0 no violation, 1 a violation, 2 usage\n";

struct sum {
    uint64_t seeds, failed, replayed, signatures, answers, refusals, virtual_ns, party_ns;
    uint64_t injected[SIM_KINDS];
};

/* A decimal number, or A..B; 0 if it is neither. */
static int
range(const char *text, uint64_t *from, uint64_t *to)
{
    char *end;
    *from = *to = strtoull(text, &end, 10);
    if (end != text && end[0] == '.' && end[1] == '.') {
        text = end + 2;
        *to = strtoull(text, &end, 10);
    }
    return end != text && *end == '\0' && *from <= *to;
}

static double
seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
add(struct sum *s, const struct sim_result *r)
{
    s->seeds++;
    s->failed += (uint64_t)r->failed;
    s->signatures += r->signatures;
    s->answers += r->answers;
    s->refusals += r->refusals;
    s->virtual_ns += r->virtual_ns;
    s->party_ns += r->party_ns;
    for (int k = 0; k < SIM_KINDS; k++) {
        s->injected[k] += r->injected[k];
    }
}

/* Every so many seeds, one is run twice: the same seed must be the same life. */
#define REPLAY_EVERY 50u

static void
work(uint64_t from, uint64_t to, unsigned step, const struct sim_options *o, int fd)
{
    for (uint64_t seed = from; seed <= to; seed += step) {
        struct sim_result r, twice;
        sim_run_seed(seed, NULL, o, &r);
        if (!r.failed && seed % REPLAY_EVERY == 0) {
            sim_run_seed(seed, NULL, o, &twice);
            if (twice.failed || memcmp(r.digest, twice.digest, 32) != 0) {
                r.failed = 1;
                (void)snprintf(r.why, sizeof r.why, "run twice, it went another way%s",
                               twice.failed ? ", into a violation" : "");
            }
        }
        if (write(fd, &r, sizeof r) != (ssize_t)sizeof r) {
            _exit(3);
        }
    }
    _exit(0);
}

static void
report(const struct sim_result *r, const struct sim_options *o)
{
    unsigned char mask[SIM_EVENTS];
    struct sim_result last = *r;
    struct sim_plan plan;
    printf("VIOLATION seed %llu: %s\n", (unsigned long long)r->seed, r->why);
    unsigned runs = sim_shrink(r->seed, mask, o, &last);
    sim_plan_make(r->seed, &plan);
    printf("shrunk in %u runs to: %s\n", runs, last.why);
    sim_plan_print(stdout, &plan, mask);
    printf("again: sim --seed %llu --events ", (unsigned long long)r->seed);
    const char *comma = "";
    for (unsigned i = 0; i < plan.n_events; i++) {
        if (mask[i]) {
            printf("%s%u", comma, i);
            comma = ",";
        }
    }
    printf("%s --log\n", comma[0] ? "" : "none");
}

static void
finish(const struct sum *s, uint64_t from, uint64_t to, double took)
{
    unsigned kinds = 0;
    uint64_t faults = 0;
    for (int k = 0; k < SIM_KINDS; k++) {
        kinds += s->injected[k] != 0;
        faults += s->injected[k];
        printf("  %-28s %9llu\n", sim_kind_name[k], (unsigned long long)s->injected[k]);
    }
    printf("seeds %llu..%llu: %llu run, %llu of them twice with the same end; %.1f s\n"
           "%llu signatures produced and verified, %llu refusals, %llu answers\n"
           "%llu faults of %u kinds in %.1f party-hours of virtual time\n"
           "%llu violations\n",
           (unsigned long long)from, (unsigned long long)to, (unsigned long long)s->seeds,
           (unsigned long long)s->replayed, took, (unsigned long long)s->signatures,
           (unsigned long long)s->refusals, (unsigned long long)s->answers,
           (unsigned long long)faults, kinds, (double)s->party_ns / 3.6e12,
           (unsigned long long)s->failed);
}

static int
many(uint64_t from, uint64_t to, unsigned jobs, const struct sim_options *o, int stop, int whole,
     int quiet)
{
    struct sum s = {0};
    struct sim_result r, first = {.failed = 0};
    double began = seconds(), said = began;
    pid_t pid[64];
    int fd[2];
    if (pipe(fd) != 0) {
        perror("pipe");
        return 2;
    }
    for (unsigned j = 0; j < jobs; j++) {
        (void)fflush(NULL);
        pid[j] = fork();
        if (pid[j] == 0) {
            (void)close(fd[0]);
            work(from + j, to, jobs, o, fd[1]);
        }
    }
    (void)close(fd[1]);
    while (read(fd[0], &r, sizeof r) == (ssize_t)sizeof r) {
        add(&s, &r);
        s.replayed += !r.failed && r.seed % REPLAY_EVERY == 0;
        if (r.failed) {
            printf("violation seed %llu: %s\n", (unsigned long long)r.seed, r.why);
            if (!first.failed) {
                first = r;
            }
            if (stop) {
                break;
            }
        }
        if (!quiet && seconds() > said + 10) {
            said = seconds();
            fprintf(stderr, "%llu of %llu seeds, %llu signatures, %llu violations\n",
                    (unsigned long long)s.seeds, (unsigned long long)(to - from + 1),
                    (unsigned long long)s.signatures, (unsigned long long)s.failed);
        }
    }
    (void)close(fd[0]);
    for (unsigned j = 0; j < jobs; j++) {
        if (stop && first.failed) {
            (void)kill(pid[j], SIGTERM);
        }
        (void)waitpid(pid[j], NULL, 0);
    }
    if (first.failed && !whole) {
        report(&first, o);
    } else if (!first.failed && s.seeds != to - from + 1) {
        printf("only %llu seeds were run\n", (unsigned long long)s.seeds);
        s.failed++;
    }
    /* A kind that never struck in so many lives is a test that tests nothing. */
    for (int k = 0; k < SIM_KINDS && s.seeds >= 200; k++) {
        if (s.injected[k] == 0) {
            printf("violation: no seed injected \"%s\"\n", sim_kind_name[k]);
            s.failed++;
        }
    }
    finish(&s, from, to, seconds() - began);
    return s.failed ? 1 : 0;
}

static int
one(uint64_t seed, const char *events, int only_plan, const struct sim_options *o)
{
    unsigned char mask[SIM_EVENTS];
    struct sim_plan plan;
    struct sim_result r;
    memset(mask, events ? 0 : 1, sizeof mask);
    for (const char *c = events; c && *c;) {
        char *end;
        unsigned long i = strtoul(c, &end, 10);
        if (end != c && i < SIM_EVENTS) {
            mask[i] = 1;
        }
        c = *end ? end + 1 : end;
        if (end == c - 1 && *end != ',') {
            break;
        }
    }
    sim_plan_make(seed, &plan);
    sim_plan_print(stdout, &plan, mask);
    if (only_plan) {
        return 0;
    }
    sim_run_seed(seed, mask, o, &r);
    if (r.failed) {
        printf("VIOLATION seed %llu: %s\n", (unsigned long long)seed, r.why);
    }
    printf("%llu signatures, %llu refusals, %.3f s of virtual time, %llu lines of trace, digest ",
           (unsigned long long)r.signatures, (unsigned long long)r.refusals,
           (double)r.virtual_ns / 1e9, (unsigned long long)r.lines);
    for (int i = 0; i < 8; i++) {
        printf("%02x", r.digest[i]);
    }
    printf("\n");
    return r.failed ? 1 : 0;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'n'},
                                            {"events", required_argument, NULL, 'e'},
                                            {"plan", no_argument, NULL, 'p'},
                                            {"trace", required_argument, NULL, 't'},
                                            {"log", no_argument, NULL, 'l'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"stop", no_argument, NULL, 'x'},
                                            {"whole", no_argument, NULL, 'w'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {NULL, 0, NULL, 0}};
    struct sim_options o = {.seconds = 300};
    uint64_t from = 0, to = 0;
    const char *events = NULL;
    int c, plan = 0, stop = 0, whole = 0, quiet = 0, single = 0, many_seeds = 0;
    long jobs = sysconf(_SC_NPROCESSORS_ONLN);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's') {
            many_seeds = range(optarg, &from, &to);
        } else if (c == 'n') {
            single = range(optarg, &from, &to) && from == to;
        } else if (c == 'j') {
            jobs = strtol(optarg, NULL, 10);
        } else if (c == 'e') {
            events = optarg;
        } else if (c == 't') {
            o.trace = optarg;
        } else if (c == 'p') {
            plan = 1;
        } else if (c == 'l') {
            o.log = 1;
        } else if (c == 'x') {
            stop = 1;
        } else if (c == 'w') {
            whole = 1;
        } else if (c == 'q') {
            quiet = 1;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (single == many_seeds || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (single) {
        return one(from, events, plan, &o);
    }
    jobs = jobs < 1 ? 1 : jobs > 64 ? 64 : jobs;
    return many(from, to, (unsigned)jobs, &o, stop, whole, quiet);
}
