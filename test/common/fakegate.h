/*
 * fakegate: an HTTP server of a test, in a thread; says whatever the test wants.
 *
 * What: accepts one connection after the other, reads one request (by Content-Length), calls the
 *       test's function, and sends the bytes it appended, whole or drop by drop. With TLS if given
 *       a certificate.
 * Why: clients must stand every gateway, also one that lies.
 */
#ifndef TEST_FAKEGATE_H
#define TEST_FAKEGATE_H

#include "protocol/base/mem.h"

#include <stdint.h>

struct fakegate;

/* request is NUL-terminated; append the raw response to out. */
typedef void (*fakegate_fn)(void *ctx, const char *request, struct qr_dbuf *out);

/* cert and key: PEM files, or NULL for plain HTTP. */
struct fakegate *fakegate_start(fakegate_fn fn, void *ctx, const char *cert, const char *key);
struct fakegate *fakegate_stop(struct fakegate *g);
uint16_t fakegate_port(const struct fakegate *g);
/* Send each byte alone, this long apart. */
void fakegate_drip(struct fakegate *g, unsigned us);
unsigned fakegate_requests(const struct fakegate *g);

/* "HTTP/1.1 <status> x", Content-Length, body. */
void fakegate_reply(struct qr_dbuf *out, unsigned status, qr_view body);

#endif
