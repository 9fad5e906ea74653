/*
 * The heap's only door, and locked memory.
 *
 * Heap block:    | 64 bytes: struct head | n bytes ... |      64-byte aligned, as arenas want it
 * Locked block:  | guard page | slack ... n bytes, canary | guard page |
 *
 * A locked block ends at its rear guard page (up to 63 bytes of canary between), so that running
 * over its end dies at once. Its bookkeeping lives in an ordinary heap list: the panic hook walks
 * it.
 */
#include "protocol/base/mem.h"

#include "protocol/base/check.h"
#include "protocol/base/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 64u
#define CANARY 0xa5
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

/* Locked memory. */

struct locked {
    struct locked *next;
    uint8_t *map, *p;
    size_t map_len, n;
    int is_locked;
};

static pthread_mutex_t locked_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct locked *locked_list;

/* Runs on the way to abort(), perhaps with the mutex held by the thread that failed: no lock. */
static void
wipe_all(void)
{
    for (struct locked *l = locked_list; l; l = l->next) {
        qr_wipe(l->p, l->n);
    }
}

void *
qr_locked_alloc(size_t n, int *ret_locked)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (n == 0 || n > SIZE_MAX / 4) {
        return NULL;
    }
    size_t body = (n + page - 1) / page * page;
    struct locked *l = qr_alloc(sizeof *l);
    if (!l) {
        return NULL;
    }
    /* Reserved without access first: what is not opened below stays a guard. */
    l->map_len = body + 2 * page;
    l->map = mmap(NULL, l->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l->map == MAP_FAILED) {
        qr_free(l);
        return NULL;
    }
    uint8_t *first = l->map + page;
    /*
     * A child process must not get the bytes, a core file neither. Kernels since 4.14 have both
     * flags; one that refuses them gets no secrets.
     */
    if (mprotect(first, body, PROT_READ | PROT_WRITE) != 0 ||
        madvise(first, body, MADV_DONTDUMP) != 0 || madvise(first, body, MADV_WIPEONFORK) != 0) {
        (void)munmap(l->map, l->map_len);
        qr_free(l);
        return NULL;
    }
    l->is_locked = mlock(first, body) == 0;
    l->n = n;
    l->p = first + body - QR_ARENA_ROUND(n);
    memset(l->p + n, CANARY, QR_ARENA_ROUND(n) - n);

    (void)pthread_mutex_lock(&locked_mutex);
    qr_panic_hook = wipe_all;
    l->next = locked_list;
    locked_list = l;
    (void)pthread_mutex_unlock(&locked_mutex);
    if (ret_locked) {
        *ret_locked = l->is_locked;
    }
    return l->p;
}

static struct locked *
locked_unlink(const void *p)
{
    struct locked *found = NULL;
    (void)pthread_mutex_lock(&locked_mutex);
    for (struct locked **at = &locked_list; *at; at = &(*at)->next) {
        if ((*at)->p == p) {
            found = *at;
            *at = found->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&locked_mutex);
    return found;
}

void *
qr_locked_free(void *p)
{
    if (!p) {
        return NULL;
    }
    struct locked *l = locked_unlink(p);
    QR_ASSERT(l); /* freed twice, or not a locked block */
    for (size_t i = l->n; i < QR_ARENA_ROUND(l->n); i++) {
        QR_ASSERT(l->p[i] == CANARY); /* written past its end */
    }
    qr_wipe(l->p, l->n);
    (void)munmap(l->map, l->map_len); /* unlocks, too */
    return qr_free(l);
}

void
qr_locked_stats(size_t *ret_bytes, size_t *ret_unlocked)
{
    size_t bytes = 0, unlocked = 0;
    (void)pthread_mutex_lock(&locked_mutex);
    for (struct locked *l = locked_list; l; l = l->next) {
        bytes += l->n;
        unlocked += l->is_locked ? 0 : l->n;
    }
    (void)pthread_mutex_unlock(&locked_mutex);
    *ret_bytes = bytes;
    *ret_unlocked = unlocked;
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
