/*
 * The heap's only door, arenas and growing buffers; locked memory is in locked.c.
 *
 * Heap block:    | 64 bytes: struct head | n bytes ... |      64-byte aligned, as arenas want it
 */
#include "protocol/base/mem.h"

#include "protocol/base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

#define ALIGNMENT 64u
#define HEAD_MAGIC UINT64_C(0x71756f726174656d)

struct head {
    uint64_t magic;
    size_t n;
    uint8_t pad[ALIGNMENT - 16];
};

_Static_assert(sizeof(struct head) == ALIGNMENT, "blocks keep the alignment of their heads");

static atomic_size_t heap_bytes, heap_blocks;
static int (*_Atomic alloc_gate)(size_t n);

void
qr_alloc_gate(int (*may_allocate)(size_t n))
{
    atomic_store(&alloc_gate, may_allocate);
}

void
qr_alloc_stats(size_t *ret_bytes, size_t *ret_blocks)
{
    *ret_bytes = atomic_load(&heap_bytes);
    *ret_blocks = atomic_load(&heap_blocks);
}

static void *
block_new(size_t n)
{
    int (*gate)(size_t) = atomic_load(&alloc_gate);
    void *p = NULL;

    if (n == 0 || n > SIZE_MAX / 2 || (gate && !gate(n)) ||
        posix_memalign(&p, ALIGNMENT, sizeof(struct head) + n) != 0) {
        return NULL;
    }
    struct head *h = p;
    h->magic = HEAD_MAGIC;
    h->n = n;
    atomic_fetch_add(&heap_bytes, n);
    atomic_fetch_add(&heap_blocks, 1);
    return h + 1;
}

void *
qr_lib_alloc(size_t n)
{
    int (*gate)(size_t) = atomic_load(&alloc_gate);
    return gate && !gate(n) ? NULL : malloc(n);
}

void
qr_lib_free(void *p)
{
    free(p);
}

static struct head *
head_of(void *p)
{
    struct head *h = (struct head *)p - 1;
    QR_ASSERT(h->magic == HEAD_MAGIC); /* freed twice, or not ours */
    return h;
}

void *
qr_alloc(size_t n)
{
    void *p = block_new(n);
    if (p) {
        memset(p, 0, n);
    }
    return p;
}

void *
qr_realloc(void *p, size_t n)
{
    void *fresh = block_new(n);
    if (fresh && p) {
        size_t old = head_of(p)->n;
        memcpy(fresh, p, old < n ? old : n);
        qr_free(p);
    }
    return fresh;
}

void *
qr_free(void *p)
{
    if (p) {
        struct head *h = head_of(p);
        atomic_fetch_sub(&heap_bytes, h->n);
        atomic_fetch_sub(&heap_blocks, 1);
        h->magic = 0;
        free(h);
    }
    return NULL;
}

char *
qr_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = block_new(n);
    if (p) {
        memcpy(p, s, n);
    }
    return p;
}

/* Arenas. */

void *
qr_arena_get(struct qr_arena *a, size_t n)
{
    size_t skip = (size_t)(-(uintptr_t)(a->p + a->used) & (ALIGNMENT - 1));
    size_t left = a->cap - a->used;

    if (n == 0 || skip > left || n > left - skip) {
        return NULL;
    }
    void *p = a->p + a->used + skip;
    size_t end = a->used + skip + n;
    /* The tail up to the next boundary goes with this block, as QR_ARENA_ROUND counts it. */
    size_t tail = (size_t)(-(uintptr_t)(a->p + end) & (ALIGNMENT - 1));
    a->used = tail > a->cap - end ? a->cap : end + tail;
    return p;
}

/* Growing buffers. */

void
qr_dbuf_init(struct qr_dbuf *d, size_t max)
{
    *d = (struct qr_dbuf){.max = max};
}

qr_err
qr_dbuf_reserve(struct qr_dbuf *d, size_t n)
{
    if (n > d->max - d->len) {
        return QR_ERR_TOO_LARGE;
    }
    if (n <= d->cap - d->len) {
        return QR_OK;
    }
    /* Doubling, so that appending byte by byte stays linear. */
    size_t want = d->len + n, cap = d->cap < 256 ? 256 : d->cap;
    while (cap < want) {
        cap = cap > d->max / 2 ? d->max : 2 * cap;
    }
    cap = cap > d->max ? d->max : cap;
    uint8_t *p = qr_realloc(d->p, cap);
    if (!p) {
        return QR_ERR_NO_MEMORY;
    }
    d->p = p;
    d->cap = cap;
    return QR_OK;
}

qr_err
qr_dbuf_append(struct qr_dbuf *d, const void *p, size_t n)
{
    QR_TRY(qr_dbuf_reserve(d, n));
    if (n > 0) {
        memcpy(d->p + d->len, p, n);
        d->len += n;
    }
    return QR_OK;
}

void
qr_dbuf_consume(struct qr_dbuf *d, size_t n)
{
    QR_ASSERT(n <= d->len);
    if (n > 0) {
        memmove(d->p, d->p + n, d->len - n);
        d->len -= n;
    }
}

void
qr_dbuf_free(struct qr_dbuf *d)
{
    qr_free(d->p);
    qr_dbuf_init(d, d->max);
}
