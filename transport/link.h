/*
 * qr_link: a bounded byte stream between two parties, nothing more.
 *
 * What: a table of functions with three back ends: link_nng.c (nng's tcp:// streams; the only file
 *       that includes nng), link_sock.c (plain TCP and AF_UNIX), link_mem.c (in process, for tests
 *       and simulation).
 * Why: the channel above is TLS over memory BIOs and does not care what carries its bytes; a link
 *      is untrusted and may drop, delay, reorder by reconnecting, or lie about addresses.
 * Invariants: per connection, bytes arrive in order or the connection is closed; a connection never
 *             buffers more than QR_LINK_BUF bytes in either direction (send takes less than it is
 *             given: back-pressure; received bytes are not read from the system until consumed).
 * Callback and thread rules: a back end may use threads of its own, but every callback runs inside
 *      qr_link_step, on the caller's thread. No callback may call qr_link_free.
 */
#ifndef QR_LINK_H
#define QR_LINK_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_LINK_BUF (1024u * 1024u)
#define QR_ADDRESS_MAX 128u /* "tcp://10.0.0.1:7001", "unix:///run/q.sock", "mem://name" */

struct qr_link;
struct qr_conn;

struct qr_link_events {
    void *ctx;
    /* A stranger connected. Return the value to pass as `user` of this connection from now on. */
    void *(*on_accept)(void *ctx, struct qr_conn *c);
    /* A dial of ours succeeded. */
    void (*on_open)(void *ctx, struct qr_conn *c, void *user);
    /* Bytes arrived; return how many were consumed (the rest is offered again later). */
    size_t (*on_data)(void *ctx, struct qr_conn *c, void *user, qr_view data);
    /* Room for sending again after a short send. */
    void (*on_room)(void *ctx, struct qr_conn *c, void *user);
    /* Gone (dial failed, peer closed, error); the conn is freed after this returns. */
    void (*on_close)(void *ctx, struct qr_conn *c, void *user, qr_err why);
};

struct qr_link_ops {
    const char *name;
    /* QR_ERR_ADDRESS: cannot be parsed or bound; text for the operator in err_text. */
    qr_err (*listen)(struct qr_link *l, const char *address, char *err_text, size_t err_cap);
    qr_err (*dial)(struct qr_link *l, const char *address, void *user);
    /* Takes up to len bytes; returns how many (0 when full). */
    size_t (*send)(struct qr_conn *c, qr_view data);
    /* Closes after what was sent is flushed (graceful) or at once; on_close still comes. */
    void (*close)(struct qr_conn *c, int graceful);
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

/* Back ends. NULL when out of memory. */
struct qr_link *qr_link_nng_new(const struct qr_link_events *ev);
struct qr_link *qr_link_sock_new(const struct qr_link_events *ev);
struct qr_link_mem_net; /* a switchboard shared by the links of one test */
struct qr_link_mem_net *qr_link_mem_net_new(void);
void qr_link_mem_net_free(struct qr_link_mem_net *n);
struct qr_link *qr_link_mem_new(struct qr_link_mem_net *n, const struct qr_link_events *ev);

#endif
