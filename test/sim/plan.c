/*
 * What will happen in a life, from its seed. Every pair of kinds comes up once in as many seeds as
 * there are pairs, and any 200 seeds in a row hold every kind several times.
 */
#include "test/sim/sim.h"

#include "test/common/testrng.h"

const char *const sim_kind_name[SIM_KINDS] = {
#define SIM_KIND(id, name, cheat) name,
#include "test/sim/kinds.def"
#undef SIM_KIND
};

const int sim_kind_cheats[SIM_KINDS] = {
#define SIM_KIND(id, name, cheat) cheat,
#include "test/sim/kinds.def"
#undef SIM_KIND
};

static struct qr_testrng rng;

static uint64_t
below(uint64_t n)
{
    return qr_testrng_below(&rng, (size_t)n);
}

static uint64_t
between(uint64_t lo, uint64_t hi)
{
    return lo + below(hi - lo + 1);
}

static void
shape(struct sim_plan *p, int cheats)
{
    static const unsigned sizes[16] = {2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 5};
    p->n = cheats ? (unsigned)between(3, below(3) ? 3 : 4) : sizes[below(16)];
    p->keys = below(4) == 0 ? 2 : 1;
    for (unsigned k = 0; k < p->keys; k++) {
        p->t[k] = p->n == 2 || below(3) ? 2 : (unsigned)between(2, p->n < 4 ? p->n : 4);
    }
    p->cheater = cheats ? (unsigned)between(1, p->n) : 0;
    p->batch = (uint16_t)(below(4) ? 4 : 4 * between(1, 4));
    p->pool_low = (uint32_t)between(0, 6);
    p->pool_high = p->pool_low + (uint32_t)between(2, below(4) ? 6 : 16);
    p->pool_standby = below(2) ? (uint32_t)between(0, 4) : 0;
    p->ops = (unsigned)between(15, 22);
    p->quantum = between(100, 800) * SIM_US;
    p->jitter = below(3) ? between(1, 2000) * SIM_US : 0;
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        p->delay[h] = between(50, 20000) * SIM_US; /* from one machine to across an ocean */
    }
}

static struct sim_event
event(const struct sim_plan *p, enum sim_kind kind)
{
    struct sim_event e = {.kind = kind, .at = between(p->start, p->end), .x = qr_testrng_u64(&rng)};
    e.a = (unsigned)between(1, p->n);
    e.b = (unsigned)between(1, p->n - 1);
    e.b += e.b >= e.a; /* another one */
    /* Mostly shorter than a request's life, now and then longer than any time-out. */
    e.length = below(4) ? between(1, 900) * SIM_MS : between(1, 15) * SIM_S;
    if (sim_kind_cheats[kind]) {
        e.a = p->cheater;
        e.b = (unsigned)between(1, p->n - 1);
        e.b += e.b >= e.a;
    }
    return e;
}

/* A step near the golden section that meets all of n places before it comes back to the first. */
static uint64_t
stride(uint64_t n)
{
    for (uint64_t s = n * 618 / 1000;; s++) {
        uint64_t a = s, b = n;
        while (b != 0) {
            uint64_t r = a % b;
            a = b;
            b = r;
        }
        if (a == 1) {
            return s;
        }
    }
}

void
sim_plan_make(uint64_t seed, struct sim_plan *ret)
{
    char text[48];
    struct sim_plan p = {.seed = seed};
    (void)snprintf(text, sizeof text, "sim plan %llu", (unsigned long long)seed);
    qr_testrng_seed(&rng, text);
    /* The pair of kinds that this seed is about: a triangle, row by row, in large steps. */
    uint64_t pairs = (uint64_t)SIM_KINDS * (SIM_KINDS + 1) / 2;
    uint64_t at = seed % pairs * stride(pairs) % pairs;
    enum sim_kind one = 0;
    while (at >= (uint64_t)SIM_KINDS - one) {
        at -= (uint64_t)SIM_KINDS - one;
        one++;
    }
    enum sim_kind two = (enum sim_kind)(one + at);
    shape(&p, sim_kind_cheats[one] || sim_kind_cheats[two]);
    if (one == SIM_CHEAT_SPLIT || two == SIM_CHEAT_SPLIT) {
        p.t[0] = 3; /* a view can only be split between two others */
    }
    p.start = below(6) == 0 ? 0 : 1; /* from the very beginning, or once there are keys */
    p.end = between(4, 20) * SIM_S;
    /* A few of each, and sometimes one of a third kind. */
    unsigned each = (unsigned)between(1, 4);
    for (unsigned i = 0; i < each; i++) {
        p.event[p.n_events++] = event(&p, one);
        p.event[p.n_events++] = event(&p, two);
    }
    enum sim_kind third = (enum sim_kind)below(SIM_KINDS);
    if (below(2) && (!sim_kind_cheats[third] || p.cheater)) {
        p.event[p.n_events++] = event(&p, third);
    }
    /* Together: half of the time a fault of the second kind falls into one of the first. */
    for (unsigned i = 0; i + 1 < 2 * each; i += 2) {
        if (below(2)) {
            uint64_t when = p.event[i].at + below(p.event[i].length + SIM_MS);
            p.event[i + 1].at = when < p.end ? when : p.end;
        }
    }
    for (unsigned i = 1; i < p.n_events; i++) {
        for (unsigned k = i; k > 0 && p.event[k].at < p.event[k - 1].at; k--) {
            struct sim_event e = p.event[k];
            p.event[k] = p.event[k - 1];
            p.event[k - 1] = e;
        }
    }
    /*
     * In a fifth of the lives the policy asks for a peer secret; not in those that test/mutants/seeds
     * names, which are what they were.
     */
    if (seed % 20 == 10 || seed % 20 == 11 || seed % 20 == 13 || seed % 20 == 14) {
        p.secret = p.keys > 1 && p.t[1] > p.t[0] ? p.t[1] : p.t[0];
    }
    *ret = p;
}

void
sim_plan_print(FILE *f, const struct sim_plan *p, const unsigned char *mask)
{
    fprintf(f, "seed %llu: %u parties, t = %u", (unsigned long long)p->seed, p->n, p->t[0]);
    if (p->keys > 1) {
        fprintf(f, " and %u", p->t[1]);
    }
    fprintf(f, ", batches of %u, pools %u/%u/%u, %u requests%s", p->batch, p->pool_low,
            p->pool_high, p->pool_standby, p->ops, p->start ? "" : ", faults from the very start");
    if (p->secret) {
        fprintf(f, ", peer secret of threshold %u", p->secret);
    }
    if (p->cheater) {
        fprintf(f, ", party %u lies", p->cheater);
    }
    fputc('\n', f);
    for (unsigned i = 0; i < p->n_events; i++) {
        const struct sim_event *e = &p->event[i];
        if (!mask || mask[i]) {
            fprintf(f, "  event %2u at %8.3f s: %s, party %u and %u, %.3f s, x=%llx\n", i,
                    (double)e->at / 1e9, sim_kind_name[e->kind], e->a, e->b,
                    (double)e->length / 1e9, (unsigned long long)e->x);
        }
    }
}
