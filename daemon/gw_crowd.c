#include "daemon/gw_crowd.h"

#include "daemon/gw_int.h"
#include "daemon/log.h"

#include <sys/socket.h>

#define MS UINT64_C(1000000)
#define SWEEP_EVERY (250 * MS)
#define SAY_EVERY (10000 * MS)

/* The library finds it closed at its next turn, and tells us. */
static void
end(struct qr_gw_conn *c)
{
    struct qr_gw *g = c->l->gw;

    shutdown(c->fd, SHUT_RDWR);
    c->since_ns = g->now_ns;
    if (!c->ending) {
        c->ending = 1;
        g->ending++;
    }
}

void
qr_gw_crowd_sweep(struct qr_gw *g)
{
    uint64_t idle = g->cfg.idle_timeout_ms * MS, request = g->cfg.request_timeout_ms * MS;

    if (g->now_ns < g->sweep_at) {
        return;
    }
    g->sweep_at = g->now_ns + SWEEP_EVERY;
    for (struct qr_gw_conn *c = g->conns; c; c = c->next) {
        uint64_t limit = c->phase == QR_GW_RECEIVING ? request : idle + request;
        if (c->phase == QR_GW_WAITING || g->now_ns - c->since_ns < limit || c->fd < 0) {
            continue;
        }
        if (c->phase != QR_GW_IDLE) {
            g->count.closed_slow_total++;
        }
        end(c);
    }
}

int
qr_gw_crowd_may_ask(const struct qr_gw_conn *c)
{
    return c->known || !c->l->api || c->l->gw->strangers < QR_GW_STRANGERS;
}

void
qr_gw_crowd_asked(struct qr_gw_conn *c)
{
    if (!c->known && c->l->api) {
        c->counted = 1;
        c->l->gw->strangers++;
    }
}

void
qr_gw_crowd_done(struct qr_gw_conn *c)
{
    if (c->counted) {
        c->counted = 0;
        c->l->gw->strangers--;
    }
}

enum { STRANGER, KNOWN_IDLE, RANKS, STAYS };

static int
rank_of(const struct qr_gw_conn *c)
{
    if (c->ending || c->fd < 0 || !c->l->api) {
        return STAYS;
    }
    if (c->phase == QR_GW_IDLE) {
        return c->known ? KNOWN_IDLE : STRANGER;
    }
    return c->phase == QR_GW_RECEIVING && !c->known ? STRANGER : STAYS;
}

void
qr_gw_crowd_shed(struct qr_gw *g)
{
    uint64_t open = g->count.connections - g->ending, shed = 0;

    if (open <= g->cfg.max_connections) {
        return;
    }
    uint64_t excess = open - g->cfg.max_connections;
    for (int rank = 0; rank < RANKS && shed < excess; rank++) {
        for (struct qr_gw_conn *c = g->oldest; c && shed < excess; c = c->prev) {
            if (rank_of(c) == rank) {
                end(c);
                shed++;
            }
        }
    }
    g->count.shed_total += shed;
    if (shed && g->now_ns >= g->say_shed_at) {
        g->say_shed_at = g->now_ns + SAY_EVERY;
        qr_log(QR_LOG_WARN, "gateway", "crowded",
               "more connections than max_connections: the oldest are closed, strangers' first",
               QR_LOG_U64("max_connections", g->cfg.max_connections),
               QR_LOG_U64("closed_since_start", g->count.shed_total), QR_LOG_END);
    }
}
