/* Connections are pairs of ends; each end has a queue of the pieces on their way to it. */
#include "test/sim/wire.h"

#include "protocol/base/mem.h"
#include "test/sim/sim.h"

enum state { PENDING, OPEN, CLOSED };

struct piece {
    struct piece *next;
    uint64_t due;
    size_t len;
    uint8_t p[];
};

struct end {
    struct qr_conn base; /* first */
    struct end *next;    /* of the same link */
    struct end *other;   /* NULL once that end is gone, or known to be */
    enum state state;
    unsigned peer; /* the other end's host, 0 if nobody answered */
    int dialled, failed, eof, want_room, room;
    uint64_t ready; /* PENDING: when it opens, or fails; then: when eof or room is noticed */
    uint64_t last_due;
    struct piece *first, *last;
    size_t inbound;
};

struct wire_link {
    struct qr_link base; /* first */
    struct wire_link *next;
    struct end *ends;
    unsigned host;
    int dead, listens;
};

static struct {
    struct wire_link *links;
    unsigned route[SIM_HOSTS + 1];
    uint64_t delay[SIM_HOSTS + 1], jitter[SIM_HOSTS + 1];
    struct direction {
        uint64_t blocked_until, lag, lag_until;
        unsigned once; /* bit mask of sim_wire_fault */
    } dir[SIM_HOSTS + 1][SIM_HOSTS + 1];
} wire;

static struct wire_link *
link_of(const struct qr_link *l)
{
    return (struct wire_link *)(uintptr_t)l;
}

static struct end *
end_of(const struct qr_conn *c)
{
    return (struct end *)(uintptr_t)c;
}

static struct wire_link *
link_at(unsigned host)
{
    for (struct wire_link *l = wire.links; l; l = l->next) {
        if (l->host == host && !l->dead && l->listens) {
            return l;
        }
    }
    return NULL;
}

static uint64_t
arrival(unsigned from, unsigned to)
{
    const struct direction *d = &wire.dir[from][to];
    uint64_t at =
        sim.now + wire.delay[from] + (wire.jitter[from] ? sim_below(wire.jitter[from]) : 0);
    if (d->lag_until > sim.now) {
        at += d->lag;
    }
    return at < d->blocked_until ? d->blocked_until + sim_below(SIM_MS) : at;
}

static void
drop_pieces(struct end *e)
{
    while (e->first) {
        struct piece *p = e->first;
        e->first = p->next;
        (void)qr_free(p);
    }
    e->last = NULL;
    e->inbound = 0;
}

static struct end *
end_new(struct wire_link *l, void *user)
{
    struct end *e = qr_alloc(sizeof *e);
    struct end **at = &l->ends;
    if (!e) {
        return NULL;
    }
    e->base = (struct qr_conn){&l->base, user};
    while (*at) {
        at = &(*at)->next;
    }
    *at = e;
    return e;
}

/* Both ends forget each other; the other one notices at `when`. */
static void
part(struct end *e, uint64_t when)
{
    struct end *o = e->other;
    if (o) {
        o->eof = 1;
        o->ready = when;
        o->other = NULL;
        e->other = NULL;
    }
}

/* ---- the table --------------------------------------------------------------------------- */

static qr_err
wire_listen(struct qr_link *base, const char *address, char *err_text, size_t err_cap)
{
    struct wire_link *l = link_of(base);
    if (strncmp(address, "mem://p", 7) != 0) {
        (void)snprintf(err_text, err_cap, "%s: not an address of the simulation", address);
        return QR_ERR_ADDRESS;
    }
    l->listens = 1;
    return QR_OK;
}

static qr_err
wire_dial(struct qr_link *base, const char *address, void *user)
{
    struct wire_link *l = link_of(base);
    unsigned index = strncmp(address, "mem://p", 7) == 0 ? (unsigned)(address[7] - '0') : 0;
    struct end *e = end_new(l, user);
    if (!e) {
        return QR_ERR_NO_MEMORY;
    }
    e->dialled = 1;
    unsigned host = index <= SIM_HOSTS ? wire.route[index] : 0;
    struct wire_link *to = host && !l->dead ? link_at(host) : NULL;
    uint64_t there = host ? arrival(l->host, host) : sim.now + SIM_MS;
    uint64_t back = host ? arrival(host, l->host) - sim.now : 0;
    e->ready = there + back;
    e->peer = host;
    if (e->ready > sim.now + QR_LINK_DIAL_NS) {
        e->failed = 2;
        e->ready = sim.now + QR_LINK_DIAL_NS;
        return QR_OK;
    }
    struct end *d = to ? end_new(to, NULL) : NULL;
    if (!d) {
        e->failed = 1;
        return QR_OK;
    }
    d->peer = l->host;
    d->ready = there;
    e->other = d;
    d->other = e;
    return QR_OK;
}

static void
put(struct end *d, const uint8_t *bytes, size_t len, uint64_t due)
{
    struct piece *p = qr_alloc(sizeof *p + len);
    if (!p) {
        return;
    }
    memcpy(p->p, bytes, len);
    p->len = len;
    p->due = d->last_due = due > d->last_due ? due : d->last_due;
    *(d->last ? &d->last->next : &d->first) = p;
    d->last = p;
    d->inbound += len;
}

static size_t
wire_send(struct qr_conn *base, qr_view data)
{
    struct end *e = end_of(base), *d = e->other;
    struct wire_link *l = link_of(base->link);
    if (e->state != OPEN || !d || l->dead) {
        return data.len; /* into the void */
    }
    size_t room = d->inbound < QR_LINK_BUF ? QR_LINK_BUF - d->inbound : 0;
    size_t n = data.len < room ? data.len : room;
    if (n < data.len) {
        e->want_room = 1;
    }
    if (n == 0) {
        return 0;
    }
    sim_fault_sent(l->host);
    if (l->dead) {
        return data.len;
    }
    struct direction *dir = &wire.dir[l->host][e->peer];
    uint64_t due = arrival(l->host, e->peer);
    unsigned once = dir->once;
    dir->once = 0;
    if (once & 1u << SIM_WIRE_DROP) {
        return n;
    }
    if ((once & 1u << SIM_WIRE_REORDER) && d->last) {
        /* before the piece that is already on its way */
        struct piece *was = d->last;
        uint64_t was_due = was->due;
        put(d, data.p, n, due);
        struct piece *now = d->last, **at = &d->first;
        while (*at != was) {
            at = &(*at)->next;
        }
        *at = now;
        now->next = was;
        was->next = NULL;
        now->due = was_due;
        d->last = was;
        was->due = d->last_due;
        return n;
    }
    put(d, data.p, once & 1u << SIM_WIRE_RESET ? (n + 1) / 2 : n, due);
    if (once & 1u << SIM_WIRE_CORRUPT) {
        d->last->p[sim_below(n)] ^= (uint8_t)(1u << sim_below(8));
    }
    if (once & 1u << SIM_WIRE_DUPLICATE) {
        put(d, data.p, n, due);
    }
    if (once & 1u << SIM_WIRE_RESET) {
        e->eof = 1;
        e->ready = due;
        part(e, due);
    }
    return n;
}

static void
wire_close(struct qr_conn *base, int graceful)
{
    struct end *e = end_of(base);
    struct wire_link *l = link_of(base->link);
    if (e->other && !l->dead) {
        if (!graceful) {
            drop_pieces(e->other);
        }
        uint64_t due = arrival(l->host, e->peer);
        part(e, due > e->other->last_due ? due : e->other->last_due);
    }
    drop_pieces(e);
    e->state = CLOSED;
    e->ready = sim.now;
}

static void
wire_remote(const struct qr_conn *c, char *out, size_t cap)
{
    (void)snprintf(out, cap, "host %u", end_of(c)->peer);
}

static int
wire_fd(struct qr_link *l)
{
    (void)l;
    return -1;
}

static void
deliver(struct wire_link *l, struct end *e)
{
    while (e->state == OPEN && e->first && e->first->due <= sim.now && !l->dead) {
        struct piece *p = e->first;
        e->first = p->next;
        e->last = e->first ? e->last : NULL;
        e->inbound -= p->len;
        if (e->other && e->other->want_room && e->inbound < QR_LINK_BUF / 2) {
            e->other->want_room = 0;
            e->other->room = 1;
            e->other->ready = arrival(l->host, e->peer);
        }
        l->base.ev.on_data(l->base.ev.ctx, &e->base, (qr_view){p->p, p->len});
        (void)qr_free(p);
    }
}

static void
turn(struct wire_link *l, struct end *e)
{
    if (e->state == PENDING && !e->failed && e->ready <= sim.now && !(e->eof && e->dialled)) {
        e->state = OPEN;
        if (e->dialled) {
            l->base.ev.on_open(l->base.ev.ctx, &e->base);
        } else {
            e->base.user = l->base.ev.on_accept(l->base.ev.ctx, &e->base);
        }
    }
    deliver(l, e);
    if (e->state == OPEN && e->room && e->ready <= sim.now && !l->dead) {
        e->room = 0;
        l->base.ev.on_room(l->base.ev.ctx, &e->base);
    }
}

static int
over(const struct end *e)
{
    return e->ready <= sim.now && (e->state == CLOSED || e->failed || (e->eof && !e->first));
}

static void
wire_step(struct qr_link *base, uint64_t now_ns)
{
    struct wire_link *l = link_of(base);
    (void)now_ns; /* the host's clock may be wrong; the network's is not */
    if (l->dead) {
        return;
    }
    for (struct end *e = l->ends; e; e = e->next) {
        turn(l, e);
    }
    for (struct end **at = &l->ends; *at && !l->dead;) {
        struct end *e = *at;
        if (!over(e)) {
            at = &e->next;
            continue;
        }
        const char *text = e->failed == 2       ? "no answer"
                           : e->failed          ? "connection refused"
                           : e->state == CLOSED ? "closed"
                                                : "the other end closed the connection";
        l->base.ev.on_close(l->base.ev.ctx, &e->base,
                            e->failed == 2 ? QR_ERR_TIMEOUT : QR_ERR_LINK_CLOSED, text);
        part(e, sim.now);
        *at = e->next;
        drop_pieces(e);
        (void)qr_free(e);
    }
}

static void
wire_free(struct qr_link *base)
{
    struct wire_link *l = link_of(base);
    while (l->ends) {
        struct end *e = l->ends;
        l->ends = e->next;
        if (!l->dead) {
            wire_close(&e->base, 1);
        }
        drop_pieces(e);
        (void)qr_free(e);
    }
    for (struct wire_link **at = &wire.links; *at; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    (void)qr_free(l);
}

static const struct qr_link_ops ops = {"sim",       wire_listen, wire_dial, wire_send, wire_close,
                                       wire_remote, wire_fd,     wire_step, wire_free};

/* ---- the simulator's side ---------------------------------------------------------------- */

void
sim_wire_start(void)
{
    memset(&wire, 0, sizeof wire);
}

struct qr_link *
sim_wire_link(unsigned host, const struct qr_link_events *ev)
{
    struct wire_link *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    l->base = (struct qr_link){&ops, *ev};
    l->host = host;
    l->next = wire.links;
    wire.links = l;
    return &l->base;
}

void
sim_wire_route(unsigned index, unsigned host)
{
    wire.route[index] = host;
}

void
sim_wire_delay(unsigned from, uint64_t ns, uint64_t jitter_ns)
{
    wire.delay[from] = ns;
    wire.jitter[from] = jitter_ns;
}

void
sim_wire_dead(unsigned host, int rst)
{
    for (struct wire_link *l = wire.links; l; l = l->next) {
        if (l->host != host || l->dead) {
            continue;
        }
        l->dead = 1;
        for (struct end *e = l->ends; e; e = e->next) {
            drop_pieces(e);
            if (e->other && rst) {
                uint64_t due = arrival(host, e->peer);
                part(e, due > e->other->last_due ? due : e->other->last_due);
            } else if (e->other) {
                e->other->other = NULL; /* it will hear nothing more, not even the end */
                e->other = NULL;
            }
        }
    }
}

void
sim_wire_once(unsigned a, unsigned b, enum sim_wire_fault what)
{
    wire.dir[a][b].once |= 1u << what;
}

void
sim_wire_block(unsigned a, unsigned b, uint64_t until)
{
    struct direction *d = &wire.dir[a][b];
    d->blocked_until = until > d->blocked_until ? until : d->blocked_until;
    for (struct wire_link *l = wire.links; l; l = l->next) {
        for (struct end *e = l->ends; l->host == b && e; e = e->next) {
            for (struct piece *p = e->peer == a ? e->first : NULL; p; p = p->next) {
                p->due = p->due < until ? until : p->due; /* what is on its way waits, too */
            }
            e->last_due = e->last && e->last->due > e->last_due ? e->last->due : e->last_due;
        }
    }
}

void
sim_wire_lag(unsigned a, unsigned b, uint64_t extra, uint64_t until)
{
    wire.dir[a][b].lag = extra;
    wire.dir[a][b].lag_until = until;
}

void
sim_wire_heal(void)
{
    memset(wire.dir, 0, sizeof wire.dir);
}

uint64_t
sim_wire_next(unsigned host)
{
    uint64_t next = UINT64_MAX;
    for (const struct wire_link *l = wire.links; l; l = l->next) {
        for (const struct end *e = l->ends; l->host == host && !l->dead && e; e = e->next) {
            uint64_t t = UINT64_MAX;
            if (e->state == PENDING || e->state == CLOSED || e->room || (e->eof && !e->first)) {
                t = e->ready;
            }
            if (e->state == OPEN && e->first && e->first->due < t) {
                t = e->first->due;
            }
            next = t < next ? t : next;
        }
    }
    return next;
}
