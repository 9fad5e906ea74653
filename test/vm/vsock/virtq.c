/* A guest's split virtqueues; see virtq.h. */
#include "test/vm/vsock/virtq.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

#define DESC_NEXT 1u
#define AVAIL_NO_INTERRUPT 1u

void
vm_die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("vsockd: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void *
translate(const struct vm_memory *m, int user, uint64_t addr, uint64_t len)
{
    for (size_t i = 0; i < m->n; i++) {
        uint64_t base = user ? m->r[i].user : m->r[i].guest;
        if (addr >= base && addr - base < m->r[i].size && len <= m->r[i].size - (addr - base)) {
            return m->r[i].host + (addr - base);
        }
    }
    vm_die("address 0x%llx + %llu lies outside the guest's memory", (unsigned long long)addr,
           (unsigned long long)len);
}

void *
vm_user(const struct vm_memory *m, uint64_t addr, uint64_t len)
{
    return translate(m, 1, addr, len);
}

void *
vm_guest(const struct vm_memory *m, uint64_t addr, uint64_t len)
{
    return translate(m, 0, addr, len);
}

int
virtq_ready(const struct virtq *q)
{
    return q->num > 0 && q->desc && q->avail && q->used && q->kick >= 0 && q->enabled &&
           q->mem->n > 0;
}

int
virtq_take(struct virtq *q, struct virtq_chain *c)
{
    if (!virtq_ready(q)) {
        return 0;
    }
    uint16_t *avail = vm_user(q->mem, q->avail, 4 + 2ull * q->num);
    uint16_t idx = atomic_load_explicit((_Atomic uint16_t *)&avail[1], memory_order_acquire);
    if (idx == q->next) {
        return 0;
    }
    const struct desc *table = vm_user(q->mem, q->desc, sizeof *table * (uint64_t)q->num);
    uint16_t i = avail[2 + q->next % q->num];
    q->next++;
    *c = (struct virtq_chain){.head = i};
    for (;;) {
        if (i >= q->num || c->n == VIRTQ_IOV) {
            vm_die("the guest's chain of buffers is not one");
        }
        struct desc d = table[i];
        c->v[c->n].iov_base = vm_guest(q->mem, d.addr, d.len);
        c->v[c->n++].iov_len = d.len;
        c->len += d.len;
        if (!(d.flags & DESC_NEXT)) {
            return 1;
        }
        i = d.next;
    }
}

void
virtq_give(struct virtq *q, const struct virtq_chain *c, uint32_t written)
{
    uint8_t *used = vm_user(q->mem, q->used, 4 + 8ull * q->num);
    _Atomic uint16_t *idx = (_Atomic uint16_t *)(void *)(used + 2);
    uint16_t now = atomic_load_explicit(idx, memory_order_relaxed);
    uint32_t entry[2] = {c->head, written};

    memcpy(used + 4 + 8 * (size_t)(now % q->num), entry, sizeof entry);
    atomic_store_explicit(idx, (uint16_t)(now + 1), memory_order_release);
}

void
virtq_notify(const struct virtq *q)
{
    const uint16_t *avail = vm_user(q->mem, q->avail, 4);
    uint64_t one = 1;

    atomic_thread_fence(memory_order_seq_cst);
    if (q->call >= 0 && !(avail[0] & AVAIL_NO_INTERRUPT) && write(q->call, &one, 8) != 8) {
        vm_die("cannot interrupt the guest");
    }
}

static void
chain_copy(const struct virtq_chain *c, size_t at, uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < c->n && n > 0; i++) {
        size_t len = c->v[i].iov_len;
        if (at >= len) {
            at -= len;
            continue;
        }
        size_t k = len - at < n ? len - at : n;
        uint8_t *p = (uint8_t *)c->v[i].iov_base + at;
        if (to) {
            memcpy(to, p, k);
            to += k;
        } else {
            memcpy(p, from, k);
            from += k;
        }
        n -= k;
        at = 0;
    }
    if (n > 0) {
        vm_die("a packet is longer than its buffers");
    }
}

void
chain_get(const struct virtq_chain *c, size_t at, void *to, size_t n)
{
    chain_copy(c, at, to, NULL, n);
}

void
chain_put(const struct virtq_chain *c, size_t at, const void *from, size_t n)
{
    chain_copy(c, at, NULL, from, n);
}
