/*
 * The gateway: HTTP on one side, the boundary on the other.
 *
 * What: listeners of libmicrohttpd driven from our own loop, one small state per connection, and the
 *       stream to the party. A request's exact body bytes and its stamp go to the party as they
 *       came; its answer is rendered and sent.
 * Why one thread: the HTTP library is polled from outside (its epoll descriptor beside the party's
 *      socket), so answers that arrive together are resumed together and written together, and
 *      there is no lock to hold.
 * Trust: a gateway holds no key and judges nothing. What it refuses by itself is form (gw_check.h);
 *      everything else is for the party, and a hostile gateway can only deny service.
 * Slow clients: bounded numbers of connections, in all and per address; a request must be complete
 *      within request_timeout, however its bytes trickle in.
 * Thread rules: single-threaded.
 */
#ifndef QR_GW_HTTP_H
#define QR_GW_HTTP_H

#include "daemon/config.h"

#include <poll.h>

struct qr_gw;

#define QR_GW_POLL_MAX 6u

/*
 * Listens at once. Errors, explained in err_text with what and where: ADDRESS (in use, not ours),
 * PERMISSIONS (the key file is readable by others), CONFIG (certificate, key), NO_MEMORY.
 */
qr_err QR_MUST qr_gw_new(const struct qr_config_gateway *cfg, struct qr_gw **ret, char *err_text,
                         size_t err_cap);
/* Closes everything, whatever is in flight. Takes NULL, returns NULL. */
struct qr_gw *qr_gw_free(struct qr_gw *g);

/* What to poll, and until when (milliseconds; -1: for ever). */
size_t qr_gw_poll_set(const struct qr_gw *g, struct pollfd out[static QR_GW_POLL_MAX]);
int qr_gw_poll_timeout(const struct qr_gw *g, uint64_t now_ns);
/* Does everything that can be done now. */
void qr_gw_step(struct qr_gw *g, uint64_t now_ns);

/* Stops accepting; requests in flight are finished, new ones are answered 503. */
void qr_gw_drain(struct qr_gw *g);
/* 1 when no request is in flight. */
int qr_gw_idle(const struct qr_gw *g);

/* Port of the API listener (for listen = …:0). */
uint16_t qr_gw_port(const struct qr_gw *g);
uint16_t qr_gw_metrics_port(const struct qr_gw *g);
int qr_gw_party_is_up(const struct qr_gw *g);

#endif
