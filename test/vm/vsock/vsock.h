/*
 * vsock: the host's side of virtio-vsock streams (virtio 1.2, section 5.10), over Unix sockets.
 *
 * What: a guest's connection to CID 2 or 3 (host, parent), port P, is a connection to the Unix socket
 *       PATH_P. Who connects to PATH and says "CONNECT P\n" is connected to the guest's port P and is
 *       told "OK N\n". This is the contract that other monitors have, so that what runs beside a real
 *       enclave's parent runs beside this unmodified (`hybrid:` addresses).
 * Credit: never more to the guest than it has room for; from the guest at most VSOCK_ROOM bytes that
 *       the socket has not taken. Half-close both ways.
 * A hostile parent, for tests: see struct vsock_malice.
 * Rules: one thread; poll-driven. At most VSOCK_CONNS connections; more are refused with RST.
 */
#ifndef TEST_VM_VSOCK_H
#define TEST_VM_VSOCK_H

#include "test/vm/vsock/virtq.h"

#include <poll.h>

#define VSOCK_CONNS 64u
#define VSOCK_ROOM (256u * 1024u)
#define VSOCK_POLLS (VSOCK_CONNS + 1u)

struct vsock_malice {
    unsigned delay_ms;   /* packets to the guest wait this long */
    unsigned drop_every; /* the payload of every Nth data packet from the guest vanishes; 0: none */
    uint64_t
        reset_after; /* a connection ends with RST after so many bytes from the guest; 0: none */
};

struct vsock;

struct vsock *vsock_new(const char *path, uint64_t guest_cid, struct virtq *rx, struct virtq *tx,
                        const struct vsock_malice *malice);

/* What to wait for; at most VSOCK_POLLS entries. *timeout_ms is made smaller where needed. */
size_t vsock_polls(struct vsock *v, struct pollfd *p, int *timeout_ms);
/* After poll: the same entries. Then the queues are served as far as they go. */
void vsock_step(struct vsock *v, const struct pollfd *p, size_t n);

#endif
