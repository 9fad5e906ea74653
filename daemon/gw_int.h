/*
 * Inside the gateway: what gw_http.c (listeners, loop) and gw_conn.c (requests) share.
 *
 * Life of a connection: the library tells of it, it is linked into the list, its struct lives until
 * the library tells of its end. Life of a request: the phases below, in this order, back to IDLE.
 * A connection has one request at a time, so its memory is the connection's.
 */
#ifndef QR_GW_INT_H
#define QR_GW_INT_H

#include "daemon/gw_audit.h"
#include "daemon/gw_check.h"
#include "daemon/gw_cors.h"
#include "daemon/gw_crowd.h"
#include "daemon/gw_feed.h"
#include "daemon/gw_http.h"
#include "daemon/gw_metrics.h"
#include "daemon/gw_party.h"
#include "daemon/gw_raw.h"
#include "daemon/gw_store.h"

#include <microhttpd.h>

/* Bodies above this are freed when their request ends. */
#define QR_GW_BODY_KEEP (16u * 1024u)

struct qr_gw_listener {
    struct qr_gw *gw;
    struct MHD_Daemon *mhd;
    int epoll_fd;
    uint16_t port;
    int api, metrics; /* which routes exist here */
};

enum qr_gw_phase {
    QR_GW_IDLE,      /* no header yet (or only a part of one) */
    QR_GW_RECEIVING, /* header seen, body incomplete */
    QR_GW_WAITING,   /* suspended, the party has been asked */
    QR_GW_SENDING,   /* an answer is queued */
};

struct qr_gw_conn {
    struct qr_gw_listener *l;
    struct MHD_Connection *mhd;
    struct qr_gw_conn *prev, *next;
    int fd;
    int known;   /* it has got a signature */
    int counted; /* its question is one of gw->strangers */
    int ending;  /* we have shut it down; the library does not know yet */
    enum qr_gw_phase phase;
    uint64_t since_ns;   /* of the phase */
    uint64_t started_ns; /* of the request */
    /* the request */
    enum qr_gw_route route;
    enum qr_gw_method method;
    qr_view arg; /* into the library's copy of the path */
    struct qr_gw_head head;
    struct qr_gw_verdict verdict;
    struct qr_dbuf body;
    uint64_t ask_id;
    /* its answer */
    struct MHD_Response *reply;
    unsigned status;
};

struct qr_gw {
    struct qr_config_gateway cfg;
    struct qr_gw_listener api, metrics;
    struct qr_gw_party *party;
    struct qr_gw_feed *feed;
    struct qr_gw_audit *audit;         /* NULL: the audit log is not kept */
    struct qr_gw_store *store;         /* NULL: the party keeps its own */
    struct qr_gw_conn *conns, *oldest; /* the newest first */
    uint64_t ending;                   /* how many of them are */
    uint32_t strangers;                /* questions at the party of those that are not known */
    struct qr_gw_cors cors;
    struct qr_gw_metrics count;
    struct qr_dbuf scratch; /* one answer being rendered */
    uint64_t now_ns, sweep_at, say_shed_at;
    int draining;
    char *tls_cert, *tls_key; /* PEM text; NULL: plain HTTP */
    char mhd_error[256];      /* the library's last complaint */
};

/* The library's callbacks. cls is a struct qr_gw_listener. */
enum MHD_Result qr_gw_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_len, void **req);
void qr_gw_on_completed(void *cls, struct MHD_Connection *mhd, void **req,
                        enum MHD_RequestTerminationCode why);
void qr_gw_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                         enum MHD_ConnectionNotificationCode what);
/* qr_gw_party_cfg.on_answer; waiter is a struct qr_gw_conn. */
void qr_gw_on_answer(void *ctx, void *waiter, const struct qr_answer *a, qr_err why);

#endif
