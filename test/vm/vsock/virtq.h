/*
 * virtq: a split virtqueue of a guest whose memory we map (virtio 1.2, section 2.7).
 *
 * What: the next chain of buffers as an iovec, giving it back, and telling the guest.
 * Rules: the guest may be wrong: an address outside its memory, a loop or an index outside the ring
 *        ends the program with a sentence. No indirect descriptors and no event index: neither is
 *        offered. One thread.
 */
#ifndef TEST_VM_VIRTQ_H
#define TEST_VM_VIRTQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define VM_REGIONS 8u
#define VIRTQ_IOV 64u

struct vm_memory {
    size_t n;
    struct {
        uint64_t guest, size, user; /* guest's physical address; QEMU's own address of it */
        uint8_t *host;              /* ours */
    } r[VM_REGIONS];
};

struct virtq {
    const struct vm_memory *mem;
    uint32_t num;               /* entries, a power of two */
    uint64_t desc, avail, used; /* in QEMU's addresses; 0: not set up */
    uint16_t next;              /* of avail's entries, the one we take next */
    int kick, call;             /* eventfds, -1: none */
    int enabled;
};

struct virtq_chain {
    uint16_t head;
    size_t n, len; /* pieces, and bytes in all of them */
    struct iovec v[VIRTQ_IOV];
};

/* QEMU's address (user) or a physical one (guest) to ours; ends the program when it is outside. */
void *vm_user(const struct vm_memory *m, uint64_t addr, uint64_t len);
void *vm_guest(const struct vm_memory *m, uint64_t addr, uint64_t len);

int virtq_ready(const struct virtq *q);
/* 1: a chain was taken; 0: there is none. */
int virtq_take(struct virtq *q, struct virtq_chain *c);
/* Gives it back, `written` bytes of it ours; then virtq_notify once for many. */
void virtq_give(struct virtq *q, const struct virtq_chain *c, uint32_t written);
void virtq_notify(const struct virtq *q);

/* Copies from or to a chain, `at` bytes in. */
void chain_get(const struct virtq_chain *c, size_t at, void *to, size_t n);
void chain_put(const struct virtq_chain *c, size_t at, const void *from, size_t n);

_Noreturn void vm_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
