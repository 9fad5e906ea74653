/*
 * qr_link: byte streams between parties, nothing more.
 *
 * What: a table of functions with three back ends: link_nng.c (nng's tcp:// streams; the only file
 *       that includes nng), link_sock.c (plain TCP and AF_UNIX), link_mem.c (in process, for tests
 *       and simulation). A link listens at one address at most and dials many.
 * Why: the channel above is TLS over memory and does not care what carries its bytes; a link is
 *      untrusted and may drop, delay, reorder by reconnecting, or lie about addresses.
 * Invariants: per connection, bytes arrive in order or the connection is closed; a back end never
 *             buffers more than QR_LINK_BUF bytes of a connection in either direction: send takes
 *             less than it is given, and nothing is read from the system but inside qr_link_step.
 * Life of a connection: dial or a stranger's arrival; on_open or on_accept; on_data, on_room; exactly
 *      one on_close, after which it is gone. A dial that fails has its on_close without an on_open.
 * Callback and thread rules: a back end may use threads of its own, but every callback runs inside
 *      step, on the caller's thread. Callbacks may call dial, send and close, not free. After close
 *      only on_close comes. free calls no callbacks.
 * Clock: step is called when fd polls readable and at least once a second; a back end's own time-outs
 *      (dialling, lingering) are as coarse as that.
 */
#ifndef QR_LINK_H
#define QR_LINK_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_LINK_BUF (1024u * 1024u)
#define QR_LINK_DIAL_NS UINT64_C(5000000000)   /* a dial that takes longer fails with TIMEOUT */
#define QR_LINK_LINGER_NS UINT64_C(1000000000) /* a graceful close takes at most this */
#define QR_ADDRESS_MAX 128u /* "tcp://10.0.0.1:7001", "unix:///run/q.sock", "mem://name" */

struct qr_link;

/* Common head of every back end's connection. */
struct qr_conn {
    struct qr_link *link;
    void *user; /* from dial, or what on_accept returned */
};

struct qr_link_events {
    void *ctx;
    /* A stranger connected. The return value is this connection's `user`. */
    void *(*on_accept)(void *ctx, struct qr_conn *c);
    /* A dial succeeded. */
    void (*on_open)(void *ctx, struct qr_conn *c);
    /* Bytes arrived; they are gone when this returns. */
    void (*on_data)(void *ctx, struct qr_conn *c, qr_view data);
    /* Room for sending again after a short send. */
    void (*on_room)(void *ctx, struct qr_conn *c);
    /*
     * Gone: LINK_CLOSED, TIMEOUT (dialling) or NO_MEMORY, with a few words for the operator
     * ("connection refused"). The conn is freed when this returns.
     */
    void (*on_close)(void *ctx, struct qr_conn *c, qr_err why, const char *text);
};

struct qr_link_ops {
    const char *name; /* "nng", "sock", "mem" */
    /*
     * ADDRESS: cannot be parsed or bound; err_text is a sentence for the operator that names the
     * address ("tcp://127.0.0.1:7001: address already in use: is another quorated running?").
     */
    qr_err (*listen)(struct qr_link *l, const char *address, char *err_text, size_t err_cap);
    /* ADDRESS: cannot be parsed, no callback will come; NO_MEMORY likewise. */
    qr_err (*dial)(struct qr_link *l, const char *address, void *user);
    /* Takes up to data.len bytes; returns how many (0 when full; on_room will come). */
    size_t (*send)(struct qr_conn *c, qr_view data);
    /* Closes after what was taken is flushed (graceful) or at once; on_close comes in a later step. */
    void (*close)(struct qr_conn *c, int graceful);
    /* Where the other end seems to be, for the operator; a NUL-terminated word. */
    void (*remote)(const struct qr_conn *c, char *out, size_t cap);
    /* A file descriptor that polls readable when step has work, or -1. */
    int (*fd)(struct qr_link *l);
    void (*step)(struct qr_link *l, uint64_t now_ns);
    void (*free)(struct qr_link *l);
};

/* Common head of every back end's link. */
struct qr_link {
    const struct qr_link_ops *ops;
    struct qr_link_events ev;
};

/* Back ends. NULL when out of memory or descriptors. */
/* The first call starts nng's threads, which writes their names to /proc: before any sandbox. */
struct qr_link *qr_link_nng_new(const struct qr_link_events *ev);
struct qr_link *qr_link_sock_new(const struct qr_link_events *ev);
struct qr_link_mem_net; /* a switchboard shared by the links of one test: link_mem.h */
struct qr_link *qr_link_mem_new(struct qr_link_mem_net *n, const struct qr_link_events *ev);

#endif
