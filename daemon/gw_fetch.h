/*
 * qr_fetch: requests to vendors, off the gateway's thread.
 *
 * What: a table of two functions, and its implementation over libcurl: one thread works a short
 *       queue, one job at a time, and says through a descriptor that an answer is there.
 * Why a table: what is fetched when, and what is believed, is tested without a network.
 * Invariants: at most QR_FETCH_JOBS jobs are queued; a body ends at QR_DOC_BODY_MAX bytes, a job
 *      after QR_FETCH_SECONDS; no redirect is followed, no cookie kept, no proxy or credential of the
 *      environment used; HTTPS certificates are checked against the system's store. Nothing
 *      fetched is trusted all the same.
 * Thread rules: the caller's side is one thread.
 */
#ifndef QR_GW_FETCH_H
#define QR_GW_FETCH_H

#include "daemon/gw_need.h"

#define QR_FETCH_JOBS 32u
#define QR_FETCH_SECONDS 20
#define QR_FETCH_HEADER_MAX 12288u

struct qr_fetch_done {
    uint64_t id;
    unsigned status;        /* HTTP; 0: no answer, and why says so */
    unsigned retry_after_s; /* of 429 and 503; 0: not said */
    qr_view body;           /* these live until the next call of `next` */
    qr_view header;         /* the one that was asked for, or empty */
    char why[128];
};

struct qr_fetch_ask {
    const char *url;
    const char *post;        /* JSON to POST; NULL or "": a GET */
    int metadata;            /* 1: with "Metadata: true" */
    const char *want_header; /* of the answer; static, lower case, or NULL */
};

struct qr_fetcher {
    void *ctx;
    /* Queues it; copies. BUSY: the queue is full. */
    qr_err (*start)(void *ctx, uint64_t id, const struct qr_fetch_ask *ask);
    /* 1 and *ret: an answer, in the order of the jobs; 0: none yet. */
    int (*next)(void *ctx, struct qr_fetch_done *ret);
    int fd; /* readable while an answer waits; -1: ask again */
    void (*free)(void *ctx);
};

/* NO_MEMORY, INTERNAL (no thread, no libcurl). */
qr_err QR_MUST qr_fetch_curl(struct qr_fetcher *ret);

#endif
