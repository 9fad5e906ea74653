/*
 * The service manager's protocol: readiness, status, watchdog, inherited sockets.
 *
 * What: sd_notify(3) as one datagram to $NOTIFY_SOCKET, and LISTEN_FDS of socket activation, as
 *       systemd documents them for programs that do not link its library.
 * Why: Type=notify units start what depends on us when we are ready, not when we were forked.
 * Rules: WATCHDOG=1 comes from the main loop only, so that a stuck loop is seen. Not thread safe.
 */
#ifndef QR_SDNOTIFY_H
#define QR_SDNOTIFY_H

#include <stdint.h>

/*
 * "READY=1", "STATUS=2/3 peers", "STOPPING=1", "WATCHDOG=1", or several joined by '\n'. Does
 * nothing without $NOTIFY_SOCKET; returns 1 if sent, 0 if there is no manager or it cannot be
 * reached.
 */
int qr_sd_notify(const char *state);
/* Microseconds between WATCHDOG=1 that the manager expects for this process; 0: no watchdog. */
uint64_t qr_sd_watchdog_us(void);
/*
 * The inherited listening socket of that name (FileDescriptorName=), close-on-exec set; name NULL:
 * the first. -1 when none was passed to this process. Each socket is given out once.
 */
int qr_sd_listen_fd(const char *name);

#endif
