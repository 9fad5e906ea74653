/*
 * qr_loop: epoll, a timer and signals for one thread.
 *
 * What: file descriptors with a callback each, one deadline, SIGTERM/SIGINT/SIGHUP as flags.
 * Why: three kinds of event are all a party and its sockets need; less code than a library.
 * Rules: callbacks may add, change and remove any descriptor, their own included.
 */
#ifndef QR_LOOP_H
#define QR_LOOP_H

#include "protocol/base/err.h"

#include <stdint.h>

struct qr_loop;

struct qr_loop *qr_loop_new(void); /* NULL: out of descriptors or memory */
struct qr_loop *qr_loop_free(struct qr_loop *l);

typedef void (*qr_loop_fn)(void *ctx, int fd, uint32_t epoll_events);

qr_err QR_MUST qr_loop_add(struct qr_loop *l, int fd, uint32_t epoll_events, qr_loop_fn fn,
                           void *ctx);
qr_err QR_MUST qr_loop_change(struct qr_loop *l, int fd, uint32_t epoll_events);
void qr_loop_del(struct qr_loop *l, int fd);

/* Waits up to timeout_ms (0: poll, -1: for ever) and runs the callbacks of what is ready. */
void qr_loop_wait(struct qr_loop *l, int timeout_ms);

/* Blocks the signals and delivers them through the loop. */
qr_err QR_MUST qr_loop_signals(struct qr_loop *l);
int qr_loop_stop_asked(const struct qr_loop *l); /* SIGTERM or SIGINT came */

uint64_t qr_mono_ns(void);
uint64_t qr_wall_ms(void);

#endif
