/*
 * The simulator's links: byte streams between hosts, with everything a network or a relay can do.
 *
 * What: a qr_link back end. Every piece of bytes gets a time of arrival; per direction of two hosts
 *       the faults below. Order within a connection is kept, as TCP keeps it, unless a fault says
 *       otherwise: a hostile relay may do what TCP would not.
 * Invariants: what happens depends on the seed's randomness and the order of calls alone; at most
 *             QR_LINK_BUF bytes are on their way in one direction of a connection.
 * Addresses: "mem://pI" is party I; sim_wire_route says which host answers there.
 */
#ifndef QR_SIM_WIRE_H
#define QR_SIM_WIRE_H

#include "transport/link.h"

void sim_wire_start(void);
/* The link of a process on `host`. */
struct qr_link *sim_wire_link(unsigned host, const struct qr_link_events *ev);
/* New connections to party `index` reach this host (0: refused). */
void sim_wire_route(unsigned index, unsigned host);
/* One way, from a host to any other, and at most so much more by chance. */
void sim_wire_delay(unsigned from, uint64_t ns, uint64_t jitter_ns);
/* The process is gone, its link object is not yet: nothing enters or leaves any more. rst: the other
   ends learn of it, else they only hear silence. */
void sim_wire_dead(unsigned host, int rst);

enum sim_wire_fault {
    SIM_WIRE_DROP,      /* the next piece is lost */
    SIM_WIRE_DUPLICATE, /* comes twice */
    SIM_WIRE_REORDER,   /* comes after the one that follows it */
    SIM_WIRE_CORRUPT,   /* one bit is flipped */
    SIM_WIRE_RESET,     /* half of it comes, then the connection is reset */
};
/* Happens to the next piece from a to b; returns at once. */
void sim_wire_once(unsigned a, unsigned b, enum sim_wire_fault what);
/* From now until `until` nothing from a arrives at b; it comes afterwards. Dials hang. */
void sim_wire_block(unsigned a, unsigned b, uint64_t until);
/* Until then every piece takes `extra` longer. */
void sim_wire_lag(unsigned a, unsigned b, uint64_t extra, uint64_t until);
void sim_wire_heal(void);
/* The earliest time at which a host's link has work; UINT64_MAX: none. */
uint64_t sim_wire_next(unsigned host);

#endif
