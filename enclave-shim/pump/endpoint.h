/*
 * Where a pump connects to or listens: strict text, non-blocking sockets.
 *
 *     vsock:CID:PORT       AF_VSOCK. Dialling: that machine. Listening: only that machine is let in;
 *                          CID "any": whoever comes.
 *     hybrid:PATH:PORT     AF_UNIX as virtual machine monitors offer vsock to their host. Dialling:
 *                          connect to PATH, write "CONNECT PORT\n", read "OK n\n". Listening: the
 *                          socket PATH_PORT, where the monitor connects for a guest that dials PORT.
 *     tcp:HOST:PORT        numeric, or a name (dialling at the outside half only)
 *     unix:PATH
 *
 * Invariants: no descriptor is inherited by programs; TCP has no delay. A Unix socket is made with
 *      mode 0660; a stale file of a dead listener at its path is replaced, anything else is not.
 * Thread rules: no state.
 */
#ifndef QR_PUMP_ENDPOINT_H
#define QR_PUMP_ENDPOINT_H

#include "transport/address.h"

#define QR_ENDPOINT_ANY 0xffffffffu

enum qr_endpoint_kind {
    QR_ENDPOINT_NONE,
    QR_ENDPOINT_VSOCK,
    QR_ENDPOINT_HYBRID,
    QR_ENDPOINT_TCP,
    QR_ENDPOINT_UNIX
};

struct qr_endpoint {
    enum qr_endpoint_kind kind;
    uint32_t cid;              /* vsock */
    uint32_t port;             /* vsock, hybrid, tcp */
    char host[QR_ADDRESS_MAX]; /* tcp: host without brackets; unix, hybrid: path, <= 100 bytes */
};

/* ADDRESS. */
qr_err QR_MUST qr_endpoint_parse(const char *text, struct qr_endpoint *ret);
#define QR_ENDPOINT_TEXT_MAX (QR_ADDRESS_MAX + 24u)
void qr_endpoint_text(const struct qr_endpoint *e, char out[static QR_ENDPOINT_TEXT_MAX]);
/* 1 if it is tcp on 127.0.0.0/8 or ::1. */
int qr_endpoint_is_loopback(const struct qr_endpoint *e);
/* 1 if it is tcp with a name that must be resolved first. */
int qr_endpoint_is_name(const struct qr_endpoint *e);

/*
 * A connecting socket, or -1 with errno. It polls writable when it is there or failed (SO_ERROR).
 * For hybrid the caller does the CONNECT line. Names: EINVAL.
 */
int qr_endpoint_dial(const struct qr_endpoint *e);
/* A listening socket, or -1 with errno. TCP needs a numeric host. */
int qr_endpoint_listen(const struct qr_endpoint *e);
/* One connection of a listener, or -1 with errno; EACCES: a stranger's CID, closed already. */
int qr_endpoint_accept(const struct qr_endpoint *e, int listener);

#endif
