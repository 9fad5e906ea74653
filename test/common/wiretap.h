/*
 * A tap on a cluster: every message a party commits and every write of its store, in one order.
 *
 * What: a test sees each message before it enters the sender's queue and may change, drop or
 *       redirect it; and it keeps a list of what happened, messages and store writes together.
 * Why: "durable before any reply" is a statement about that order; and a malicious party is the
 *      honest program with a tap that lies.
 * Rules: the program must be linked with WIRETAP_LINK of the Makefile, which sends the calls of the
 *        daemon's objects to the wrappers here. One tap at a time, one cluster. A write is listed when
 *        it has returned OK, a message when it is committed, that is before a byte of it can leave, a
 *        verdict when the machine returns it.
 */
#ifndef QR_TEST_WIRETAP_H
#define QR_TEST_WIRETAP_H

#include "test/common/cluster.h"

enum wire_what {
    WIRE_SENT,
    WIRE_STORED,
    WIRE_DELETED,
    WIRE_C1,     /* a C1 was computed; code: its qr_err */
    WIRE_CHECK,  /* a presigning machine gave the verdict CHECK; to: who is blamed */
    WIRE_FAILED, /* it ended with any other error; code: which */
    WIRE_WIPED,  /* a pair's state was wiped; code: 1 if nothing of it is left */
};

struct wire_event {
    enum wire_what what;
    uint16_t from, to; /* to: messages and CHECK */
    enum qr_msg type;  /* messages only */
    uint16_t code;     /* of ABORT and SIGN_SHARE; and see above */
    uint8_t sid[32];
    enum qr_table table; /* writes only */
    char name[QR_STORE_NAME_MAX + 1];
};

/* A message on its way; everything but `from` may be changed. p has room for 64 bytes more. */
struct wire_msg {
    uint16_t from, to;
    enum qr_msg type;
    uint32_t epoch;
    uint8_t sid[32];
    uint8_t *p;
    size_t len;
    int drop;
};

#define WIRETAP_EVENTS 65536u

struct wiretap {
    struct cluster *c;
    void (*on_msg)(void *ctx, struct wiretap *w, struct wire_msg *m); /* may be NULL */
    void *ctx;
    size_t n; /* events, the last WIRETAP_EVENTS of them at ev[k % WIRETAP_EVENTS] */
    struct wire_event *ev;
    size_t sent;      /* messages */
    unsigned corrupt; /* so many of the next pieces of bytes on any link are damaged */
};

void wiretap_on(struct wiretap *w, struct cluster *c,
                void (*on_msg)(void *ctx, struct wiretap *w, struct wire_msg *m), void *ctx);
/* Frees the list. */
void wiretap_off(struct wiretap *w);
/* Number k of all events so far. */
const struct wire_event *wiretap_event(const struct wiretap *w, size_t k);
/* The first event at or after `from` of this kind by this party (0: any type); w->n if there is none. */
size_t wiretap_find_sent(const struct wiretap *w, size_t from, uint16_t party, enum qr_msg type);
/* Of the kinds without a message or a table. */
size_t wiretap_find(const struct wiretap *w, size_t from, uint16_t party, enum wire_what what);
size_t wiretap_find_stored(const struct wiretap *w, size_t from, uint16_t party,
                           enum qr_table table, const char *name);
/* As party `from`, past the tap: what a process that party owns could say at any time. */
void wiretap_say(struct wiretap *w, uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch,
                 const uint8_t sid[32], qr_view payload);

#endif
