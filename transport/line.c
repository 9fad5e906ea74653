/*
 * Lines: between the link's callbacks and the channel's.
 */
#include "transport/net_int.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <stdio.h>

#define TEXT_MAX (QR_CHAN_WHY_MAX + QR_ADDRESS_MAX + 64)

static struct qr_line *
line_new(struct qr_net *n, enum qr_role role, enum qr_line_state state)
{
    struct qr_line *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    l->net = n;
    l->role = role;
    l->state = state;
    l->since = l->heard = n->now;
    l->next = n->lines;
    if (n->lines) {
        n->lines->prev = l;
    }
    n->lines = l;
    n->half_open += role == QR_ROLE_SERVER;
    return l;
}

void
qr_line_free(struct qr_line *l)
{
    struct qr_net *n = l->net;

    if (l->prev) {
        l->prev->next = l->next;
    } else {
        n->lines = l->next;
    }
    if (l->next) {
        l->next->prev = l->prev;
    }
    if (l->role == QR_ROLE_SERVER && l->state != LINE_UP && l->state != LINE_FROZEN) {
        n->half_open--;
    }
    if (!l->peer) {
        qr_ledger_merge(&n->ledger.stranger, &l->counts);
    }
    qr_chan_free(l->chan);
    qr_free(l);
}

/* "peer 2 at tcp://10.0.0.2:7001: why" and its like. */
static void
compose(const struct qr_line *l, const char *text, char *out, size_t cap)
{
    char remote[QR_ADDRESS_MAX] = "?";

    if (l->conn) {
        l->conn->link->ops->remote(l->conn, remote, sizeof remote);
    }
    if (l->role == QR_ROLE_CLIENT) {
        (void)snprintf(out, cap, "peer %u at %s: %s", (unsigned)l->peer->cfg->index,
                       l->peer->cfg->address, text);
    } else if (l->peer) {
        (void)snprintf(out, cap, "peer %u from %s: %s", (unsigned)l->peer->cfg->index, remote,
                       text);
    } else {
        (void)snprintf(out, cap, "connection from %s: %s", remote, text);
    }
}

/* Out of service: the peer is told, the half-open count is kept, the operator hears why. */
static void
retire(struct qr_line *l, qr_err why, const char *text)
{
    enum qr_line_state was = l->state;
    char detail[TEXT_MAX];

    compose(l, text, detail, sizeof detail);
    if (l->role == QR_ROLE_SERVER && (was == LINE_UP || was == LINE_FROZEN)) {
        l->net->half_open++; /* as any other line that is on its way out */
    }
    l->state = LINE_CLOSING;
    if (was < LINE_UP) {
        qr_net_report(l->net, l->peer, why, text, detail);
    }
    if (l->peer) {
        qr_peer_lost(l->peer, l, why, detail);
    }
}

void
qr_line_pump(struct qr_line *l)
{
    while (!l->full && l->conn) {
        qr_view out = qr_chan_out(l->chan);
        if (out.len == 0) {
            return;
        }
        size_t n = l->conn->link->ops->send(l->conn, out);
        qr_chan_sent(l->chan, n);
        l->full = n < out.len;
    }
}

void
qr_line_fail(struct qr_line *l, qr_err why, const char *text)
{
    if (l->state == LINE_CLOSING) {
        return;
    }
    QR_ASSERT(l->conn); /* a dial ends by itself */
    retire(l, why, text);
    qr_chan_close(l->chan, why);
    qr_line_pump(l);
    /* Lingering costs a descriptor for a second: not for strangers. */
    l->conn->link->ops->close(l->conn, l->peer && qr_chan_out(l->chan).len == 0);
    l->net->dirty = 1;
}

/* The channel's callbacks. */

static void
on_identified(void *ctx)
{
    struct qr_line *l = ctx;

    if (!l->peer) {
        l->peer = qr_net_peer_of(l->net, qr_chan_peer(l->chan)->index);
        QR_ASSERT(l->peer); /* the channel asked for its identity key */
        qr_ledger_merge(l->peer->row, &l->counts);
        qr_chan_row(l->chan, l->peer->row);
    }
}

static qr_err
on_ready(void *ctx)
{
    struct qr_line *l = ctx;
    return qr_peer_ready(l->peer, l);
}

static qr_err
on_frame(void *ctx, enum qr_frame kind, qr_view body, struct qr_block *holder)
{
    struct qr_line *l = ctx;
    return qr_peer_frame(l->peer, l, kind, body, holder);
}

static qr_err
open_channel(struct qr_line *l)
{
    struct qr_chan_events ev = {l, on_identified, on_ready, on_frame};
    uint16_t expect = l->peer ? l->peer->cfg->index : 0;
    return qr_chan_new(&l->net->env, &ev, l->role, expect, l->peer ? l->peer->row : &l->counts,
                       &l->chan);
}

/* The link's callbacks. */

/* Room for one more stranger: the oldest that has not said who it is goes. */
static void
make_room(struct qr_net *n)
{
    struct qr_line *oldest = NULL;

    if (n->half_open <= 2 * (n->p.n_peers + 1)) {
        return;
    }
    for (struct qr_line *l = n->lines; l; l = l->next) { /* newest first */
        if (l->role == QR_ROLE_SERVER && !l->peer && l->conn && l->state != LINE_CLOSING) {
            oldest = l;
        }
    }
    if (oldest) {
        qr_line_fail(oldest, QR_ERR_BUSY, "too many connections that do not say who they are");
    }
}

static void *
on_accept(void *ctx, struct qr_conn *conn)
{
    struct qr_net *n = ctx;
    struct qr_line *l = line_new(n, QR_ROLE_SERVER, LINE_HANDSHAKE);

    if (!l) {
        conn->link->ops->close(conn, 0);
        return NULL;
    }
    l->conn = conn;
    if (open_channel(l) != QR_OK) {
        retire(l, QR_ERR_NO_MEMORY, "no memory for a connection");
        conn->link->ops->close(conn, 0);
        return l;
    }
    make_room(n);
    return l;
}

static void
on_open(void *ctx, struct qr_conn *conn)
{
    struct qr_line *l = conn->user;
    (void)ctx;

    l->conn = conn;
    if (l->state == LINE_CLOSING) { /* given up while it was dialled */
        conn->link->ops->close(conn, 0);
        return;
    }
    l->state = LINE_HANDSHAKE;
    l->heard = l->net->now;
    qr_err e = open_channel(l);
    if (e == QR_OK) {
        e = qr_chan_start(l->chan);
    }
    if (e != QR_OK) {
        retire(l, e, l->chan ? qr_chan_why(l->chan) : "no memory for a connection");
        conn->link->ops->close(conn, 0);
        return;
    }
    qr_line_pump(l);
}

static void
on_data(void *ctx, struct qr_conn *conn, qr_view data)
{
    struct qr_line *l = conn->user;
    (void)ctx;

    if (!l || !l->chan) {
        return;
    }
    l->heard = l->net->now;
    qr_err e = qr_chan_input(l->chan, data);
    if (e != QR_OK) {
        qr_line_fail(l, e, qr_chan_why(l->chan));
    } else {
        qr_line_pump(l);
    }
}

static void
on_room(void *ctx, struct qr_conn *conn)
{
    struct qr_line *l = conn->user;
    (void)ctx;

    if (l && l->chan) {
        l->full = 0;
        qr_line_pump(l);
    }
}

static void
on_close(void *ctx, struct qr_conn *conn, qr_err why, const char *text)
{
    struct qr_line *l = conn->user;
    char detail[TEXT_MAX];
    (void)ctx;

    if (!l) {
        return;
    }
    if (l->state != LINE_CLOSING) {
        int early = l->state == LINE_HANDSHAKE && l->chan;
        (void)snprintf(detail, sizeof detail, "%s%s%s", text, early ? " during " : "",
                       early ? qr_chan_stage(l->chan) : "");
        retire(l, why, detail);
    }
    qr_line_free(l);
}

const struct qr_link_events qr_line_events = {
    .on_accept = on_accept,
    .on_open = on_open,
    .on_data = on_data,
    .on_room = on_room,
    .on_close = on_close,
};

qr_err
qr_line_dial(struct qr_peer *p)
{
    struct qr_line *l = line_new(p->net, QR_ROLE_CLIENT, LINE_DIALLING);

    if (!l) {
        return QR_ERR_NO_MEMORY;
    }
    l->peer = p;
    qr_err e = p->net->link->ops->dial(p->net->link, p->cfg->address, l);
    if (e != QR_OK) {
        qr_line_free(l);
        return e;
    }
    p->dial = l;
    return QR_OK;
}
