/*
 * The in-process link: a switchboard for tests and simulation.
 *
 * What: links made from one switchboard reach each other by "mem://name". Bytes sent become readable
 *       in a later step of the receiving link, in pieces of at most `chunk` bytes, after `delay_ns`.
 *       Faults are the test's: cut connections, or look at and change what is sent.
 * Invariants: deterministic: what happens depends only on the order of calls and the times given.
 *             The same bounds as any link: QR_LINK_BUF bytes in flight each way.
 * Thread rules: the switchboard and all its links belong to one thread.
 */
#ifndef QR_LINK_MEM_H
#define QR_LINK_MEM_H

#include "transport/link.h"

/* Set any of these at any time, between steps. */
struct qr_link_mem_faults {
    size_t chunk;      /* 0: any size */
    uint64_t delay_ns; /* from send to readable */
    void *ctx;
    /*
     * Sees every piece sent, may change its bytes and shorten it (the rest is lost); non-zero cuts
     * the connection behind it. Names are those the two links listen at ("" if none).
     */
    int (*tamper)(void *ctx, const char *from, const char *to, uint8_t *bytes, size_t *len);
};

/* NULL when out of memory. */
struct qr_link_mem_net *qr_link_mem_net_new(void);
/* After all its links. Takes NULL. */
void qr_link_mem_net_free(struct qr_link_mem_net *n);

struct qr_link_mem_faults *qr_link_mem_faults(struct qr_link_mem_net *n);
/* Connections that are open now; what is in flight on a cut one is lost. */
size_t qr_link_mem_count(const struct qr_link_mem_net *n);
/* Cuts connection number which < count; both ends see on_close. */
void qr_link_mem_cut(struct qr_link_mem_net *n, size_t which);

#endif
