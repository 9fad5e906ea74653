/*
 * Which connections the gateway closes by itself: those that are too slow, and those that are too many.
 *
 * What: a sweep, four times a second, over connections that let a request, or the taking of its answer,
 *       last too long; and, when more are open than max_connections, the end of as many as are too many.
 * Why: the library's own time-out starts anew with every byte; and at its limit it stops accepting, so that
 *       a thousand connections that say nothing would keep everybody else out until they time out.
 * Who goes first when there are too many: the oldest of those that never got a signature here, whether
 *       they say nothing or let a request trickle in (a newcomer must have the time to speak: it is
 *       not told from the silent ones when it comes); then the idle ones of clients that got
 *       signatures. Nobody whose request is at the party. HTTP lets a server close an idle
 *       connection at any time, and a client whose request was cut off may repeat it.
 * Questions, too: of strangers at most QR_GW_STRANGERS are at the party at once, the next are answered 503
 *       without it. So thousands of requests with bad stamps cost a client that is known a wait of that
 *       many and not of max_in_flight, and the party no more work than it can do.
 * Thread rules: the gateway's thread.
 */
#ifndef QR_GW_CROWD_H
#define QR_GW_CROWD_H

#include <stdint.h>

struct qr_gw;

/* So many above max_connections are accepted before the surplus is closed. */
#define QR_GW_SURPLUS 64u

#define QR_GW_STRANGERS 512u

struct qr_gw_conn;

/* May this connection's question go to the party? A question that goes is counted, if need be. */
int qr_gw_crowd_may_ask(const struct qr_gw_conn *c);
void qr_gw_crowd_asked(struct qr_gw_conn *c);
/* It was answered, or its client is gone. */
void qr_gw_crowd_done(struct qr_gw_conn *c);

/* Closes what is too slow, when it is time for that. */
void qr_gw_crowd_sweep(struct qr_gw *g);
/* Closes the surplus. Cheap when there is none; else one pass over the connections. */
void qr_gw_crowd_shed(struct qr_gw *g);

#endif
