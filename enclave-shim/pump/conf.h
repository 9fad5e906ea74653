/*
 * The pump's configuration: a strict INI file, read without any library.
 *
 *     [pump]
 *     dial = vsock:3:7000            the trunk: this half connects (the enclave's does), or
 *     listen = vsock:any:7000        this half waits for the other
 *     trunks = 1                     1..QR_PUMP_TRUNKS; trunk i has PORT + i
 *
 *     [route 7]                      a number that both halves know
 *     listen = tcp:127.0.0.1:7101    who connects here is carried to the other half's route 7, or
 *     dial = unix:/run/gateway.sock  what the other half's route 7 brings is connected to this
 *     trunk = 0                      which trunk carries it
 *     streams = 16                   connections at a time; more wait, or are refused when they come
 *                                    from the other half
 *
 *     [document]                     outside only
 *     listen = vsock:any:9001        who connects here is given
 *     file = /etc/quorate/enclave    this file, of at most QR_PUMP_DOCUMENT_MAX bytes: what quorate-init
 *                                    asks its parent for
 *
 * Lines are "[section]", "key = value", comments from "#" or ";" at the start of a line, or empty; a key
 * that is unknown, repeated or out of range is refused with file, line and what is allowed.
 * Invariants: each route has either listen or dial. The inside half's routes are unix: or loopback tcp:,
 *      so that the trunk is the only way in or out. All of this is the host's to read, nothing secret.
 */
#ifndef QR_PUMP_CONF_H
#define QR_PUMP_CONF_H

#include "enclave-shim/pump/endpoint.h"
#include "enclave-shim/pump/frame.h"

#define QR_PUMP_TRUNKS 4u
#define QR_PUMP_CONF_MAX 32768u
#define QR_PUMP_DOCUMENT_MAX 65536u

enum qr_pump_way { QR_PUMP_NOWHERE, QR_PUMP_LISTEN, QR_PUMP_DIAL };

struct qr_pump_route {
    enum qr_pump_way way;
    struct qr_endpoint at;
    uint32_t trunk, streams;
};

struct qr_pump_conf {
    enum qr_pump_side side;
    enum qr_pump_way way; /* of the trunk */
    struct qr_endpoint at;
    uint32_t trunks;
    struct qr_pump_route route[QR_PUMP_ROUTES];
    struct {
        enum qr_pump_way way; /* LISTEN, or NOWHERE: there is none */
        struct qr_endpoint at;
        char file[QR_ADDRESS_MAX];
    } document;
};

/* name: for messages. CONFIG; err_text says "FILE:LINE: what is wrong; what is allowed". */
qr_err QR_MUST qr_pump_conf_parse(enum qr_pump_side side, const char *name, qr_view text,
                                  struct qr_pump_conf *ret, char *err_text, size_t err_cap);
/* Reads a file of at most QR_PUMP_CONF_MAX bytes and parses it. CONFIG. */
qr_err QR_MUST qr_pump_conf_load(enum qr_pump_side side, const char *path, struct qr_pump_conf *ret,
                                 char *err_text, size_t err_cap);

#endif
