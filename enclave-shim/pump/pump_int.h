/*
 * What the files of the pump share. pump.c: making, waiting, handing out events; trunk.c: connecting,
 * frames in and out; stream.c: the connections at this half; resolve.c: names.
 *
 * Everything is edge-triggered: a connection is registered once, its readiness is remembered here, and
 * what can go on stands in its trunk's queue. So no event is asked for that cannot be used, and a stream
 * without credit costs nothing.
 * Events carry (kind, generation, index): one that is late for a closed connection finds another generation.
 */
#ifndef QR_PUMP_INT_H
#define QR_PUMP_INT_H

#include "enclave-shim/pump/pump.h"

#define QR_PUMP_IN_CAP (QR_PUMP_WINDOW + QR_PUMP_WRITE)
#define QR_PUMP_OUT_CAP (8u * QR_PUMP_WRITE)
#define QR_PUMP_NONE 0xffffu

#define QR_PUMP_DIAL_NS UINT64_C(10000000000) /* a route's connection must be there by then */
#define QR_PUMP_MEET_NS UINT64_C(5000000000)  /* from a trunk's connection to HELLO */
#define QR_PUMP_PING_NS UINT64_C(5000000000)
#define QR_PUMP_DEAD_NS UINT64_C(30000000000) /* without a byte, PING or not */

enum qr_pump_kind {
    QR_PUMP_EV_STREAM,
    QR_PUMP_EV_TRUNK,
    QR_PUMP_EV_WAIT,
    QR_PUMP_EV_ROUTE,
    QR_PUMP_EV_NAME,
    QR_PUMP_EV_DOCUMENT
};

enum qr_stream_state {
    QR_STREAM_FREE,
    QR_STREAM_NAMING,     /* a name is being resolved */
    QR_STREAM_CONNECTING, /* until writable */
    QR_STREAM_OPEN,
    QR_STREAM_GONE, /* the connection is closed; both ENDs are awaited */
};

struct qr_stream {
    enum qr_stream_state state;
    int fd;
    uint32_t gen;
    uint8_t route, end;                          /* end: enum qr_pump_end to send */
    uint8_t rd_ready, rd_hup, wr_ready, wr_shut; /* of the connection */
    uint8_t want_open, want_end, queued;
    uint8_t counted, touched; /* among its route's streams; the ring was used */
    uint32_t owed;            /* bytes delivered that the other half has no credit for yet */
    uint32_t head, len;
    uint8_t *ring; /* QR_PUMP_WINDOW bytes */
    uint16_t next;
    uint64_t until;
};

enum qr_trunk_state {
    QR_TRUNK_DOWN,
    QR_TRUNK_CONNECTING,
    QR_TRUNK_HYBRID,
    QR_TRUNK_HELLO,
    QR_TRUNK_UP
};

struct qr_trunk {
    struct qr_pump *p;
    unsigned index;
    struct qr_endpoint at;
    int fd, listener;
    uint32_t gen;
    enum qr_trunk_state state;
    uint8_t rd_ready, rd_hup, wr_ready, want_pong, pinged;
    uint64_t until, heard, backoff, since; /* since: up */
    uint64_t told, told_broken; /* when a lost connection, and a hostile half, were last logged */
    struct qr_mux mux;
    uint8_t *in, *out;
    size_t in_len, out_head, out_tail;
    uint16_t first, last; /* queue of streams that can go on */
    struct qr_stream s[QR_PUMP_STREAMS];
};

struct qr_pump_gate { /* a route's listener */
    int fd;
    int waiting; /* taken out of epoll: no room, or out of descriptors */
    unsigned streams;
    uint64_t rest_until, told;
};

struct qr_pump {
    struct qr_pump_conf c;
    int epoll, names; /* names: a pipe that resolve.c's threads write to */
    uint64_t now, ticked;
    int busy, soon; /* more to do at once; something waits for a time-out */
    qr_pump_log_fn log;
    void *log_ctx;
    uint8_t *rings; /* one mapping for all */
    size_t rings_len;
    struct qr_trunk *trunk; /* c.trunks of them */
    struct qr_pump_gate gate[QR_PUMP_ROUTES];
    struct qr_names *resolver;
    int document; /* its listener */
    uint64_t document_told;
};

/* pump.c */
uint64_t qr_pump_tag(enum qr_pump_kind kind, uint32_t gen, uint32_t index);
int qr_pump_watch(struct qr_pump *p, int fd, uint32_t events, uint64_t tag);
void qr_pump_say(struct qr_pump *p, enum qr_pump_log level, const char *ev, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* document.c */
void qr_document_accept(struct qr_pump *p);

/* trunk.c */
void qr_trunk_start(struct qr_trunk *t);
void qr_trunk_accept(struct qr_trunk *t);
void qr_trunk_event(struct qr_trunk *t, uint32_t events);
/* Reads, serves the queue, writes; 1 if there is more to do at once. */
int qr_trunk_turn(struct qr_trunk *t);
int qr_trunk_tick(struct qr_trunk *t); /* time-outs; 1 if one is near */
void qr_trunk_close(struct qr_trunk *t);
/* Room for a frame with this much payload. */
int qr_trunk_room(const struct qr_trunk *t, size_t payload);
/* Where that payload is to be put, before qr_trunk_put. */
uint8_t *qr_trunk_space(struct qr_trunk *t, size_t payload);
void qr_trunk_put(struct qr_trunk *t, const struct qr_pump_frame *f);
void qr_trunk_queue(struct qr_trunk *t, unsigned stream);

/* stream.c */
void qr_stream_gate(struct qr_pump *p, unsigned route); /* connections wait at a listener */
int qr_stream_gates(struct qr_pump *p);                 /* listeners that rested; 1 if one does */
void qr_stream_event(struct qr_trunk *t, unsigned i, uint32_t events);
/* failed: why there is no address, or NULL. */
void qr_stream_named(struct qr_pump *p, uint64_t tag, const char *failed,
                     const struct qr_endpoint *numeric);
/* One frame at most of what this stream can send; 1 if it can go on. */
int qr_stream_serve(struct qr_trunk *t, unsigned i);
/* The other half's frames, after qr_mux_recv. */
void qr_stream_opened(struct qr_trunk *t, unsigned i, unsigned route);
void qr_stream_data(struct qr_trunk *t, unsigned i, const uint8_t *p, size_t n);
void qr_stream_fin(struct qr_trunk *t, unsigned i);
void qr_stream_ended(struct qr_trunk *t, unsigned i, enum qr_pump_end why);
int qr_stream_tick(struct qr_trunk *t, unsigned i);
/* The trunk is lost: close hard, forget. */
void qr_stream_drop(struct qr_trunk *t, unsigned i);

/* resolve.c: at most QR_NAMES_MAX at a time; -1 when there is no room. */
#define QR_NAMES_MAX 8u
int qr_names_ask(struct qr_pump *p, uint64_t tag, const struct qr_endpoint *e);
/* Takes answers that are there and calls qr_stream_named. */
void qr_names_take(struct qr_pump *p);
struct qr_names *qr_names_new(int *ret_fd);
struct qr_names *qr_names_free(struct qr_names *n);

#endif
