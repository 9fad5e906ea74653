/*
 * qr_pump: one half of the pump that stands between an enclave and its parent.
 *
 * What: an enclave has loopback and vsock, nothing else. One half of the pump runs inside, one on the
 *       parent; between them are one to four trunks (vsock connections), and over these any number of
 *       streams, each of a route: a number that one half listens for and the other connects for.
 *       Bytes only: nothing that passes is looked at.
 * Why: peers, the gateway, the store and KMS through few connections, with one place that decides what
 *      may pass, and with back-pressure: a reader that is slow stops its own stream and no other.
 * Invariants: memory is fixed when it is made; per stream at most QR_PUMP_WINDOW bytes wait for their
 *      reader. Every write on a trunk is at most QR_PUMP_WRITE bytes. A half-closed or reset connection
 *      is that at the other half, too. When a trunk is lost its streams are reset, its listeners stay
 *      (who connects meanwhile is reset at once), and the half that dials tries again after 50 ms,
 *      doubling to 1 s. The other half may send any bytes: what does not fit ends the trunk, with a log line.
 * Thread rules: single-threaded, but for the short-lived threads that resolve names (outside only).
 */
#ifndef QR_PUMP_H
#define QR_PUMP_H

#include "enclave-shim/pump/conf.h"

enum qr_pump_log { QR_PUMP_INFO, QR_PUMP_WARN };

struct qr_pump;

/* ev: a stable word; msg: a sentence. At most about one a second for each route. */
typedef void (*qr_pump_log_fn)(void *ctx, enum qr_pump_log level, const char *ev, const char *msg);

/* Listens at once. ADDRESS (cannot listen; err_text says where and why), NO_MEMORY. */
qr_err QR_MUST qr_pump_new(const struct qr_pump_conf *c, qr_pump_log_fn log, void *log_ctx,
                           struct qr_pump **ret, char *err_text, size_t err_cap);
struct qr_pump *qr_pump_free(struct qr_pump *p);
/* Waits for events, at most timeout_ms, and does what they ask for. */
void qr_pump_step(struct qr_pump *p, int timeout_ms);
/* Polls readable when step has work; call it every 50 ms all the same. */
int qr_pump_fd(const struct qr_pump *p);
/* 1 if this trunk has met the other half. */
int qr_pump_is_up(const struct qr_pump *p, unsigned trunk);
/* Streams in use, over all trunks. */
unsigned qr_pump_streams(const struct qr_pump *p);
/* Where a route listens: the port that the system chose for tcp with port 0; 0 for others. */
uint16_t qr_pump_port(const struct qr_pump *p, unsigned route);

#endif
