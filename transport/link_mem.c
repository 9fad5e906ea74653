/*
 * In process: two ends of a connection hold pointers to each other, and each a queue of what is on
 * its way to it.
 */
#include "transport/link_mem.h"

#include "protocol/base/mem.h"
#include "transport/address.h"

#include <stdio.h>

enum state { PENDING, OPEN, CLOSED }; /* PENDING: on_open or on_accept is still to come */

struct piece {
    struct piece *next;
    uint64_t due;
    size_t at, len;
    uint8_t p[];
};

struct mem_conn {
    struct qr_conn base;    /* first */
    struct mem_conn *next;  /* of the same link */
    struct mem_conn *other; /* NULL once that end is gone */
    enum state state;
    int dialled, failed; /* failed: nobody listens there */
    int eof;             /* the other end closed: on_close after the last piece */
    int want_room;
    struct piece *first, *last;
    size_t inbound; /* bytes on their way to us */
    char remote[QR_ADDRESS_MAX];
};

struct mem_link {
    struct qr_link base; /* first */
    struct qr_link_mem_net *net;
    struct mem_link *next;
    struct mem_conn *conns;
    uint64_t now;
    char name[QR_ADDRESS_MAX]; /* "" while it does not listen */
};

struct qr_link_mem_net {
    struct mem_link *links;
    struct qr_link_mem_faults faults;
};

static struct mem_link *
link_of(const struct qr_link *l)
{
    return (struct mem_link *)(uintptr_t)l;
}

static struct mem_conn *
conn_of(struct qr_conn *c)
{
    return (struct mem_conn *)c;
}

static struct mem_link *
listener(struct qr_link_mem_net *n, const char *name)
{
    for (struct mem_link *l = n->links; l; l = l->next) {
        if (strcmp(l->name, name) == 0) {
            return l;
        }
    }
    return NULL;
}

static void
drop_pieces(struct mem_conn *c)
{
    while (c->first) {
        struct piece *p = c->first;
        c->first = p->next;
        qr_free(p);
    }
    c->last = NULL;
    c->inbound = 0;
}

static struct mem_conn *
conn_new(struct mem_link *l, void *user)
{
    struct mem_conn *c = qr_alloc(sizeof *c);
    if (c) {
        c->base = (struct qr_conn){&l->base, user};
        /* At the end: a step sees connections in the order they were made. */
        struct mem_conn **at = &l->conns;
        while (*at) {
            at = &(*at)->next;
        }
        *at = c;
    }
    return c;
}

static qr_err
mem_listen(struct qr_link *base, const char *address, char *err_text, size_t err_cap)
{
    struct mem_link *l = link_of(base);
    struct qr_address a;

    if (qr_address_parse(address, &a) != QR_OK || a.kind != QR_ADDRESS_MEM || l->name[0]) {
        (void)snprintf(err_text, err_cap, "%s: not an address: write mem://NAME", address);
        return QR_ERR_ADDRESS;
    }
    if (listener(l->net, a.host)) {
        (void)snprintf(err_text, err_cap, "%s: address already in use", address);
        return QR_ERR_ADDRESS;
    }
    (void)snprintf(l->name, sizeof l->name, "%s", a.host);
    return QR_OK;
}

static qr_err
mem_dial(struct qr_link *base, const char *address, void *user)
{
    struct mem_link *l = link_of(base);
    struct qr_address a;

    if (qr_address_parse(address, &a) != QR_OK || a.kind != QR_ADDRESS_MEM) {
        return QR_ERR_ADDRESS;
    }
    struct mem_conn *c = conn_new(l, user);
    if (!c) {
        return QR_ERR_NO_MEMORY;
    }
    c->dialled = 1;
    (void)snprintf(c->remote, sizeof c->remote, "%s", a.host);
    struct mem_link *to = listener(l->net, a.host);
    struct mem_conn *d = to ? conn_new(to, NULL) : NULL;
    if (!d) {
        c->failed = 1;
        return QR_OK;
    }
    (void)snprintf(d->remote, sizeof d->remote, "%s", l->name[0] ? l->name : "nameless");
    c->other = d;
    d->other = c;
    return QR_OK;
}

/* Bytes for d, as the faults leave them; non-zero: the connection is cut. */
static int
put_piece(struct mem_conn *d, const char *from, qr_view data, uint64_t now)
{
    struct qr_link_mem_faults *f = &link_of(d->base.link)->net->faults;
    struct piece *p = qr_alloc(sizeof *p + data.len);
    int cut = 0;

    if (!p) {
        return 1;
    }
    memcpy(p->p, data.p, data.len);
    p->len = data.len;
    p->due = now + f->delay_ns;
    if (f->tamper) {
        cut = f->tamper(f->ctx, from, link_of(d->base.link)->name, p->p, &p->len);
    }
    if (d->last) {
        d->last->next = p;
    } else {
        d->first = p;
    }
    d->last = p;
    d->inbound += p->len;
    return cut;
}

static size_t
mem_send(struct qr_conn *base, qr_view data)
{
    struct mem_conn *c = conn_of(base), *d = c->other;
    struct mem_link *l = link_of(base->link);

    if (c->state != OPEN || !d) {
        return data.len; /* into the void, as with a connection that is gone but not yet known so */
    }
    size_t room = QR_LINK_BUF - d->inbound, n = data.len < room ? data.len : room;
    if (n < data.len) {
        c->want_room = 1;
    }
    if (n > 0 && put_piece(d, l->name, (qr_view){data.p, n}, l->now) != 0) {
        d->eof = 1;
        d->other = NULL;
        c->eof = 1;
        c->other = NULL;
    }
    return n;
}

static void
mem_close(struct qr_conn *base, int graceful)
{
    struct mem_conn *c = conn_of(base);

    if (c->other) {
        if (!graceful) {
            drop_pieces(c->other);
        }
        c->other->eof = 1;
        c->other->other = NULL;
        c->other = NULL;
    }
    drop_pieces(c);
    c->state = CLOSED;
}

static void
mem_remote(const struct qr_conn *base, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s", ((const struct mem_conn *)base)->remote);
}

static int
mem_fd(struct qr_link *base)
{
    (void)base;
    return -1;
}

static void
begin(struct mem_link *l, struct mem_conn *c)
{
    c->state = OPEN;
    if (c->dialled) {
        l->base.ev.on_open(l->base.ev.ctx, &c->base);
    } else {
        c->base.user = l->base.ev.on_accept(l->base.ev.ctx, &c->base);
    }
}

static void
deliver(struct mem_link *l, struct mem_conn *c)
{
    size_t chunk = l->net->faults.chunk ? l->net->faults.chunk : SIZE_MAX;

    while (c->state == OPEN && c->first && c->first->due <= l->now) {
        struct piece *p = c->first;
        size_t n = p->len - p->at < chunk ? p->len - p->at : chunk;
        qr_view v = {p->p + p->at, n};
        p->at += n;
        c->inbound -= n;
        if (p->at == p->len) { /* out of the list before the callback, which may close */
            c->first = p->next;
            c->last = c->first ? c->last : NULL;
        } else {
            p = NULL;
        }
        if (n > 0) {
            l->base.ev.on_data(l->base.ev.ctx, &c->base, v);
        }
        qr_free(p);
        if (chunk != SIZE_MAX) {
            break; /* one piece a step */
        }
    }
}

static void
turn(struct mem_link *l, struct mem_conn *c)
{
    if (c->state == PENDING && !c->failed && !(c->eof && c->dialled)) {
        begin(l, c);
    }
    deliver(l, c);
    if (c->state == OPEN && c->want_room && c->other && c->other->inbound < QR_LINK_BUF) {
        c->want_room = 0;
        l->base.ev.on_room(l->base.ev.ctx, &c->base);
    }
}

static void
mem_step(struct qr_link *base, uint64_t now_ns)
{
    struct mem_link *l = link_of(base);

    l->now = now_ns;
    for (struct mem_conn *c = l->conns; c; c = c->next) {
        turn(l, c);
    }
    for (struct mem_conn **at = &l->conns; *at;) {
        struct mem_conn *c = *at;
        if (c->state != CLOSED && !c->failed && !(c->eof && !c->first)) {
            at = &c->next;
            continue;
        }
        const char *text = c->failed            ? "connection refused"
                           : c->state == CLOSED ? "closed"
                                                : "the other end closed the connection";
        l->base.ev.on_close(l->base.ev.ctx, &c->base, QR_ERR_LINK_CLOSED, text);
        *at = c->next; /* new ones are put at the end: at is still right */
        qr_free(c);
    }
}

static void
mem_free(struct qr_link *base)
{
    struct mem_link *l = link_of(base);

    while (l->conns) {
        struct mem_conn *c = l->conns;
        l->conns = c->next;
        mem_close(&c->base, 1);
        qr_free(c);
    }
    for (struct mem_link **at = &l->net->links; *at; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    qr_free(l);
}

static const struct qr_link_ops ops = {
    .name = "mem",
    .listen = mem_listen,
    .dial = mem_dial,
    .send = mem_send,
    .close = mem_close,
    .remote = mem_remote,
    .fd = mem_fd,
    .step = mem_step,
    .free = mem_free,
};

struct qr_link *
qr_link_mem_new(struct qr_link_mem_net *n, const struct qr_link_events *ev)
{
    struct mem_link *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    l->base = (struct qr_link){&ops, *ev};
    l->net = n;
    l->next = n->links;
    n->links = l;
    return &l->base;
}

/* The switchboard. */

struct qr_link_mem_net *
qr_link_mem_net_new(void)
{
    return qr_alloc(sizeof(struct qr_link_mem_net));
}

void
qr_link_mem_net_free(struct qr_link_mem_net *n)
{
    qr_free(n);
}

struct qr_link_mem_faults *
qr_link_mem_faults(struct qr_link_mem_net *n)
{
    return &n->faults;
}

/* Connections are counted at the dialling end. */
static struct mem_conn *
nth(const struct qr_link_mem_net *n, size_t which, size_t *ret_count)
{
    struct mem_conn *found = NULL;
    size_t i = 0;

    for (const struct mem_link *l = n->links; l; l = l->next) {
        for (struct mem_conn *c = l->conns; c; c = c->next) {
            if (c->dialled && c->other) {
                found = i++ == which ? c : found;
            }
        }
    }
    *ret_count = i;
    return found;
}

size_t
qr_link_mem_count(const struct qr_link_mem_net *n)
{
    size_t count;
    (void)nth(n, 0, &count);
    return count;
}

void
qr_link_mem_cut(struct qr_link_mem_net *n, size_t which)
{
    size_t count;
    struct mem_conn *c = nth(n, which, &count);

    if (c) {
        struct mem_conn *d = c->other;
        drop_pieces(c);
        drop_pieces(d);
        c->other = d->other = NULL;
        c->eof = d->eof = 1;
    }
}
