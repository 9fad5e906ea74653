/*
 * qr_address: "tcp://HOST:PORT", "unix://PATH", "mem://NAME", parsed in one place.
 *
 * What: strict: no user, no path after the port, no leading zeros, no spaces. HOST is a literal IPv4
 *       address of four decimal numbers, an IPv6 one in brackets, or a name whose last label is not a
 *       number: a resolver reads "010.0.0.1", "127.1" and "[2]" as addresses that nobody meant.
 * Why: an address that is almost right should fail at start-up with a sentence, not at 3 a.m.
 * Thread rules: no state.
 */
#ifndef QR_ADDRESS_H
#define QR_ADDRESS_H

#include "protocol/base/err.h"
#include "transport/link.h"

enum qr_address_kind { QR_ADDRESS_TCP, QR_ADDRESS_UNIX, QR_ADDRESS_MEM };

struct qr_address {
    enum qr_address_kind kind;
    char host[QR_ADDRESS_MAX]; /* TCP: without brackets; UNIX: the path; MEM: the name */
    uint16_t port;             /* TCP: 0 lets the system choose (listening only) */
};

/* ADDRESS. */
qr_err QR_MUST qr_address_parse(const char *text, struct qr_address *ret);

/*
 * "tcp://127.0.0.1:7001: address already in use: is another quorated running?" from an errno value
 * of listening or dialling; EINVAL speaks of the text itself.
 */
void qr_address_explain(const char *text, int errno_value, char *out, size_t cap);

#endif
