/*
 * Memory: the only wrapper of malloc/free, arenas, and locked memory for secrets.
 *
 * What: qr_alloc/qr_free (zeroed, sizes counted); qr_locked_alloc: own mapping with guard pages,
 *       mlock, MADV_DONTDUMP and MADV_WIPEONFORK, wiped on free and on panic; qr_arena: bump
 *       allocation out of a block the caller owns, so that protocol/ needs no heap; qr_dbuf: a
 *       growing byte buffer with a maximum fixed at birth.
 * Why: one place to count, bound, lock, wipe and (in tests) make the nth allocation fail.
 * Thread rules: qr_alloc/qr_free/locked are thread safe; arenas and dbufs are not.
 */
#ifndef QR_MEM_H
#define QR_MEM_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

/*
 * Zeroed and 64-byte aligned; NULL when out of memory or n == 0. For what is not secret: qr_free
 * does not wipe.
 */
void *qr_alloc(size_t n);
/* Moves; keeps the old block and returns NULL on failure (n == 0 too); new bytes are not zeroed. */
void *qr_realloc(void *p, size_t n);
/* Returns NULL always: p = qr_free(p). Takes NULL. */
void *qr_free(void *p);
char *qr_strdup(const char *s);
/*
 * For the allocator hooks of libraries: malloc and free behind the gate. Not zeroed, aligned as malloc
 * aligns, not in qr_alloc_stats.
 */
void *qr_lib_alloc(size_t n);
void qr_lib_free(void *p);
/* Bytes asked for and blocks now on the heap. */
void qr_alloc_stats(size_t *ret_bytes, size_t *ret_blocks);
/*
 * Asked before every heap allocation (of n bytes, by any thread); 0 makes it fail. NULL: no gate.
 * For a process-wide ceiling, and for tests that fail the nth allocation.
 */
void qr_alloc_gate(int (*may_allocate)(size_t n));

/*
 * Zeroed, 64-byte aligned, page-granular (whole pages for the smallest block: few and large);
 * *ret_locked (may be NULL) tells whether mlock succeeded. NULL when out of memory, n == 0, or on a
 * kernel that cannot keep the pages out of core files and child processes. A child process sees
 * zeros and must not free the block.
 */
void *qr_locked_alloc(size_t n, int *ret_locked);
/* Wipes; p must come from qr_locked_alloc (or be NULL); a block written past its end panics. */
void *qr_locked_free(void *p);
/* Bytes now in locked blocks; how many of them mlock refused. */
void qr_locked_stats(size_t *ret_bytes, size_t *ret_unlocked);

struct qr_arena {
    uint8_t *p;
    size_t cap, used;
};

/*
 * 64-byte aligned, zeroed if the arena's memory was; NULL when full or n == 0. Takes exactly
 * QR_ARENA_ROUND(n) bytes if the arena's memory is 64-byte aligned, which the two allocators see
 * to.
 */
void *qr_arena_get(struct qr_arena *a, size_t n);
/* n rounded up to the arena's granularity, for the *_size functions. */
#define QR_ARENA_ROUND(n) (((size_t)(n) + 63u) & ~(size_t)63u)

struct qr_dbuf {
    uint8_t *p;
    size_t len, cap, max;
};

void qr_dbuf_init(struct qr_dbuf *d, size_t max);
/* Room for n more bytes; QR_ERR_TOO_LARGE past max, QR_ERR_NO_MEMORY. */
qr_err QR_MUST qr_dbuf_reserve(struct qr_dbuf *d, size_t n);
qr_err QR_MUST qr_dbuf_append(struct qr_dbuf *d, const void *p, size_t n);
/* Drops the first n bytes, n <= len. */
void qr_dbuf_consume(struct qr_dbuf *d, size_t n);
/* Frees the bytes; the buffer is empty and usable again. Does not wipe: no secrets in here. */
void qr_dbuf_free(struct qr_dbuf *d);

#endif
