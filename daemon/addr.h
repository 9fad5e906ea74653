/*
 * Numeric socket addresses: "127.0.0.1:8440", "[::1]:8440".
 *
 * What: text to sockaddr and back, and the question whether it stays on this machine.
 * Why: what a listener binds to must not depend on a name service, and plain HTTP is allowed only
 *      where nobody else can listen.
 * Thread rules: pure functions.
 */
#ifndef QR_ADDR_H
#define QR_ADDR_H

#include "protocol/base/err.h"

#include <stddef.h>
#include <sys/socket.h>

struct qr_addr {
    struct sockaddr_storage ss;
    socklen_t len;
};

#define QR_ADDR_TEXT_MAX 64u

/* QR_ERR_ADDRESS for anything but a numeric IPv4 or bracketed IPv6 address and a port 0..65535. */
qr_err QR_MUST qr_addr_parse(const char *text, struct qr_addr *ret);
/* 127.0.0.0/8, ::1 (also as ::ffff:127.x). */
int qr_addr_is_loopback(const struct qr_addr *a);
/* In the form that parses; "unix" or "unknown" for other families. */
void qr_addr_text(const struct qr_addr *a, char out[static QR_ADDR_TEXT_MAX]);
/* Decimal digits without leading zeros, at most max. Returns 0 and leaves *ret on anything else. */
int qr_parse_decimal(const char *s, size_t len, unsigned long max, unsigned long *ret);

#endif
