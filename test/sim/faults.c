/* Makes planned events happen, ends what lasts, and puts everything right at the end. */
#include "test/sim/disk.h"
#include "test/sim/sim.h"
#include "test/sim/wire.h"

enum later {
    NOTHING,
    ONCE,      /* a fault of the wire again; x: which */
    KILL_BOOT, /* an ordinary crash, then a start */
    ROLL,      /* the old image goes in */
    UNROLL,    /* the true one comes back */
    UNCLONE,
    UNFAULT, /* the disk works again */
    UNSLOW,
    UNSKEW,
    STOP, /* a drain that takes too long */
};

static struct deed {
    uint64_t at, x;
    enum later what;
    unsigned a, b;
    struct sim_disk_image *image;
} agenda[128];
static unsigned next_event;
static uint64_t crash_change[SIM_HOSTS + 1], next_operator;

static struct deed *
later(uint64_t in, enum later what, unsigned a, unsigned b, uint64_t x)
{
    for (size_t i = 0; i < sizeof agenda / sizeof agenda[0]; i++) {
        if (agenda[i].what == NOTHING) {
            agenda[i] = (struct deed){.at = sim.now + in, .x = x, .what = what, .a = a, .b = b};
            return &agenda[i];
        }
    }
    return NULL;
}

/* ---- what the product's own calls run into ----------------------------------------------- */

static void
on_change(void *ctx, unsigned host, uint64_t change_no)
{
    (void)ctx;
    (void)change_no;
    if (crash_change[host] && --crash_change[host] == 0) {
        sim.injected[SIM_CRASH_STORE]++;
        sim_die(&sim.host[host]);
    }
}

void
sim_fault_sent(unsigned host)
{
    struct sim_host *h = &sim.host[host];
    if (h->crash_send && --h->crash_send == 0) {
        sim.injected[SIM_CRASH_SEND]++;
        sim_die(h);
    }
}

void
sim_fault_shared(unsigned host)
{
    struct sim_host *h = &sim.host[host];
    if (h->crash_share && --h->crash_share == 0) {
        sim.injected[SIM_CRASH_SHARE]++;
        sim_die(h);
    }
}

/* ---- events ------------------------------------------------------------------------------ */

static void
crash(unsigned host, int disk, int rst, uint64_t down)
{
    if (sim.host[host].up) {
        sim_kill(host, disk, rst);
        sim.host[host].boot_at = sim.now + down + SIM_MS;
    }
}

static int
disk_mode(uint64_t x)
{
    return x % 3 == 0 ? SIM_DISK_KEEP : x % 3 == 1 ? SIM_DISK_LOSE : SIM_DISK_SOME;
}

static void
on_wire(const struct sim_event *e, enum sim_wire_fault what)
{
    sim_wire_once(e->a, e->b, what);
    for (unsigned i = 0; i < e->x % 4; i++) {
        (void)later((e->x >> (8 * i + 8)) % (200 * SIM_MS), ONCE, e->a, e->b, what);
    }
}

static void
new_doc(enum sim_doc which)
{
    memcpy(sim.old_doc[which], sim.doc[which], sizeof sim.doc[which]);
    sim_make_doc(which, ++sim.serial[which], sim.doc[which], sizeof sim.doc[which]);
    for (unsigned h = 1; h <= sim.n; h++) {
        if (sim_may_step(&sim.host[h])) {
            sim_load_doc(h, which, sim.doc[which], 1);
        }
    }
}

/* The old document, well stamped, to a party that has a newer one. */
static int
stale(unsigned host, enum sim_doc which)
{
    const struct sim_host *h = &sim.host[host];
    if (!sim_may_step(h) || sim.serial[which] < 2 || !h->party->roster || !h->party->policy) {
        return 0;
    }
    uint64_t has =
        which == SIM_ROSTER ? h->party->roster->serial : qr_policy_serial(h->party->policy);
    if (has == sim.serial[which]) {
        sim_load_doc(host, which, sim.old_doc[which], 0);
        return 1;
    }
    return 0;
}

static void
store_fault(const struct sim_event *e, enum sim_disk_fault what)
{
    sim_disk_fault(e->a, what, e->x % 6);
    crash(e->b, SIM_DISK_KEEP, 1, 10 * SIM_MS); /* its return makes the others write */
    (void)later(e->length, UNFAULT, e->a, 0, 0);
}

static int
begin_clone(const struct sim_event *e)
{
    unsigned c = sim.n + 1;
    struct sim_host *h = &sim.host[c];
    if (h->up || h->index) {
        return 0;
    }
    struct sim_disk_image *image = sim_disk_snapshot(e->a);
    sim_disk_restore(c, image);
    sim_disk_image_free(image);
    h->index = e->a;
    h->tee = sim.host[e->a].tee; /* the same machine opens the same seals */
    (void)snprintf(h->listen, sizeof h->listen, "mem://p%u", e->a);
    (void)snprintf(h->cloud, sizeof h->cloud, "cloud-%u", e->a);
    sim_boot(c);
    (void)later(e->length + SIM_S, UNCLONE, e->a, c, 0);
    return 1;
}

static void
end_clone(unsigned a, unsigned c)
{
    sim_kill(c, SIM_DISK_KEEP, 1);
    sim.host[c].index = 0;
    sim.host[c].boot_at = UINT64_MAX;
    sim_wire_route(a, a);
    crash(a, SIM_DISK_KEEP, 1, 10 * SIM_MS);
}

void
sim_fault_apply(const struct sim_event *e)
{
    struct sim_host *h = &sim.host[e->a];
    int done = 1;
    sim_trace("fault", e->a, "%s peer=%u", sim_kind_name[e->kind], e->b);
    switch (e->kind) {
    case SIM_DROP:
        on_wire(e, SIM_WIRE_DROP);
        break;
    case SIM_DUPLICATE:
        on_wire(e, SIM_WIRE_DUPLICATE);
        break;
    case SIM_REORDER:
        on_wire(e, SIM_WIRE_REORDER);
        break;
    case SIM_CORRUPT:
        on_wire(e, SIM_WIRE_CORRUPT);
        break;
    case SIM_RESET:
        on_wire(e, SIM_WIRE_RESET);
        break;
    case SIM_DELAY:
        sim_wire_lag(e->a, e->b, e->x % (2 * SIM_S), sim.now + e->length);
        sim_wire_lag(e->b, e->a, (e->x >> 32) % (2 * SIM_S), sim.now + e->length);
        break;
    case SIM_PARTITION: /* from one, or from all */
        for (unsigned j = 1; j <= sim.n; j++) {
            if (j != e->a && (j == e->b || (e->x & 1))) {
                sim_wire_block(e->a, j, sim.now + e->length);
                sim_wire_block(j, e->a, sim.now + e->length);
            }
        }
        break;
    case SIM_ONE_WAY:
        sim_wire_block(e->a, e->b, sim.now + e->length);
        break;
    case SIM_CRASH:
        crash(e->a, disk_mode(e->x), 1, e->length / 4);
        break;
    case SIM_VANISH:
        crash(e->a, disk_mode(e->x), 0, e->length);
        break;
    case SIM_CRASH_STORE: /* at its next start, or when it remembers the other's */
        done = 0;
        crash_change[e->a] = 1 + (e->x >> 8) % 24;
        h->crash_disk = disk_mode(e->x);
        crash(e->x & 128 ? e->a : e->b, SIM_DISK_KEEP, 1, 10 * SIM_MS);
        break;
    case SIM_CRASH_SEND:
        done = 0;
        h->crash_send = 1 + e->x % 40;
        h->crash_disk = disk_mode(e->x >> 8);
        break;
    case SIM_CRASH_SHARE:
        done = 0;
        h->crash_share = 1 + e->x % 12;
        h->crash_disk = disk_mode(e->x >> 8);
        break;
    case SIM_SLOW:
        h->slow = 2 + e->x % 60;
        (void)later(e->length, UNSLOW, e->a, 0, 0);
        break;
    case SIM_STALL:
        h->frozen_until = sim.now + e->length;
        break;
    case SIM_CLOCK:
        h->wall_skew_ms = (int64_t)(e->x % 1200000) - 600000;
        (void)later(e->length, UNSKEW, e->a, 0, 0);
        break;
    case SIM_SUSPEND:
        h->frozen_until = sim.now + e->length / 2;
        h->mono_skew += e->x % (120 * SIM_S);
        break;
    case SIM_ROLLBACK: {
        struct deed *t = later(e->length, ROLL, e->a, 0, 0);
        if (t) {
            t->image = sim_disk_snapshot(e->a);
        }
        (void)later(e->length / 2, KILL_BOOT, e->a, 0, 0); /* so that there is something to lose */
        for (unsigned i = 0; i < (e->x >> 8) % 3; i++) {
            (void)later(e->length * (3 + i) / 6 + 200 * SIM_MS, KILL_BOOT, e->a, 0, 0);
        }
        if (e->x & 1) { /* the other one knows it from its disk alone */
            (void)later(e->length, KILL_BOOT, e->b, 0, 0);
        }
        break;
    }
    case SIM_CLONE:
        done = begin_clone(e);
        break;
    case SIM_TORN:
        store_fault(e, SIM_DISK_TORN);
        break;
    case SIM_REFUSED:
        store_fault(e, SIM_DISK_REFUSE);
        break;
    case SIM_FULL:
        store_fault(e, SIM_DISK_FULL);
        break;
    case SIM_READONLY:
        store_fault(e, SIM_DISK_READONLY);
        break;
    case SIM_DRAIN:
        done = sim_may_step(h);
        if (done) {
            sim.running = h; /* it writes and tells its last head */
            qr_party_drain(h->party);
            sim.running = NULL;
            h->draining = 1;
            (void)later(15 * SIM_S, STOP, e->a, 0, 0);
        }
        break;
    case SIM_NEW_POLICY:
        new_doc(SIM_POLICY);
        break;
    case SIM_NEW_ROSTER:
        new_doc(SIM_ROSTER);
        break;
    case SIM_STALE:
        new_doc(e->x & 1 ? SIM_ROSTER : SIM_POLICY);
        done = stale(e->a, e->x & 1 ? SIM_ROSTER : SIM_POLICY);
        break;
    case SIM_FORGED:
        for (int i = 0; i < 6; i++) {
            sim_client_forge(e->a, (int)((e->x + (unsigned)i) % 6));
        }
        break;
    case SIM_BURST:
        sim_client_burst(4 + (unsigned)(e->x % 12));
        break;
    default:
        sim_cheat_event(e);
        break;
    }
    sim.injected[e->kind] += (uint64_t)done;
}

static void
act(struct deed *t)
{
    struct deed x = *t;
    struct sim_host *h = &sim.host[x.a];
    t->what = NOTHING;
    switch (x.what) {
    case ONCE:
        sim_wire_once(x.a, x.b, (enum sim_wire_fault)x.x);
        break;
    case KILL_BOOT:
        crash(x.a, SIM_DISK_KEEP, 1, SIM_MS);
        break;
    case ROLL: {
        struct deed *back = later(2 * SIM_S, UNROLL, x.a, 0, 0);
        sim_kill(x.a, SIM_DISK_KEEP, 1);
        if (back) {
            back->image = sim_disk_snapshot(x.a);
            sim_disk_restore(x.a, x.image);
            h->rolled_back = 1;
            sim_watch_rolled_back(x.a);
        }
        sim_disk_image_free(x.image);
        h->boot_at = sim.now + SIM_MS;
        break;
    }
    case UNROLL:
        sim_kill(x.a, SIM_DISK_KEEP, 1);
        sim_disk_restore(x.a, x.image);
        sim_disk_image_free(x.image);
        h->rolled_back = 0;
        sim_watch_rolled_back(x.a); /* what it learned on the old disk is gone */
        h->boot_at = sim.now + SIM_MS;
        break;
    case UNCLONE:
        end_clone(x.a, x.b);
        break;
    case UNFAULT:
        sim_disk_fault(x.a, SIM_DISK_NONE, 0);
        if (h->up && h->party->store_failed) {
            crash(x.a, SIM_DISK_KEEP, 1, SIM_MS); /* as its log asks for */
        }
        break;
    case UNSLOW:
        h->slow = 1;
        break;
    case UNSKEW:
        h->wall_skew_ms = 0;
        break;
    case STOP:
        if (h->draining) {
            crash(x.a, SIM_DISK_KEEP, 1, SIM_MS);
        }
        break;
    case NOTHING:
        break;
    }
}

void
sim_fault_tick(void)
{
    const struct sim_plan *p = sim.plan;
    sim_disk_on_change(on_change, NULL);
    uint64_t begin = p->start ? sim.client_start : SIM_EPOCH;
    while (!sim.healing && begin && next_event < p->n_events &&
           sim.now >= begin + p->event[next_event].at) {
        const struct sim_event *e = &p->event[next_event++];
        if (!sim.mask || sim.mask[next_event - 1]) {
            sim_fault_apply(e);
        }
    }
    for (size_t i = 0; i < sizeof agenda / sizeof agenda[0]; i++) {
        if (agenda[i].what != NOTHING && agenda[i].at <= sim.now) {
            act(&agenda[i]);
        }
    }
    for (unsigned h = 1; h <= SIM_HOSTS; h++) {
        struct sim_host *x = &sim.host[h];
        /* A fork of the store, and the true one is left: a start puts it ahead of the other. */
        if (x->refused && !x->rolled_back && !sim.host[sim.n + 1].up) {
            x->refused = 0;
            crash(h, SIM_DISK_KEEP, 1, 10 * SIM_MS);
        }
        if (x->up && !x->dying && sim_disk_is_cut(h)) {
            x->crash_disk = SIM_DISK_SOME;
            sim_die(x);
        }
    }
    /* The operator, once a second: documents that a party missed. */
    if (sim.now >= next_operator && sim.client_start) {
        next_operator = sim.now + SIM_S;
        for (unsigned h = 1; h <= sim.n; h++) {
            struct sim_host *x = &sim.host[h];
            if (sim_may_step(x) && !x->rolled_back && x->party->roster &&
                x->party->roster->serial < sim.serial[SIM_ROSTER]) {
                sim_load_doc(h, SIM_ROSTER, sim.doc[SIM_ROSTER], 1);
            }
            if (sim_may_step(x) && !x->rolled_back && x->party->policy &&
                qr_policy_serial(x->party->policy) < sim.serial[SIM_POLICY]) {
                sim_load_doc(h, SIM_POLICY, sim.doc[SIM_POLICY], 1);
            }
        }
    }
}

uint64_t
sim_fault_next(void)
{
    uint64_t next = UINT64_MAX, begin = sim.plan->start ? sim.client_start : SIM_EPOCH;
    if (!sim.healing && begin && next_event < sim.plan->n_events) {
        next = begin + sim.plan->event[next_event].at;
    }
    for (size_t i = 0; i < sizeof agenda / sizeof agenda[0]; i++) {
        if (agenda[i].what != NOTHING && agenda[i].at < next) {
            next = agenda[i].at;
        }
    }
    return next;
}

void
sim_fault_heal(void)
{
    sim_wire_heal();
    for (size_t i = 0; i < sizeof agenda / sizeof agenda[0]; i++) {
        if (agenda[i].what == ROLL) {
            sim_disk_image_free(agenda[i].image);
            agenda[i].what = NOTHING;
        } else if (agenda[i].what != NOTHING) {
            act(&agenda[i]);
        }
    }
    for (unsigned h = 1; h <= sim.n; h++) {
        struct sim_host *x = &sim.host[h];
        int restart = x->wall_skew_ms != 0 || x->skewed_boot ||
                      (x->up && (x->party->store_failed || x->draining));
        crash_change[h] = 0;
        sim_disk_fault(h, SIM_DISK_NONE, 0);
        x->frozen_until = 0;
        x->slow = 1;
        x->wall_skew_ms = 0;
        x->crash_send = x->crash_share = 0;
        if (restart) {
            crash(h, SIM_DISK_KEEP, 1, SIM_MS);
        } else if (!x->up) {
            x->boot_at = sim.now + SIM_MS;
        }
    }
}
