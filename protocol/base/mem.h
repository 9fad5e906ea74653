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

/* Zeroed; NULL when out of memory or n == 0. */
void *qr_alloc(size_t n);
/* Keeps the old block and returns NULL on failure; new bytes are not zeroed. Public data only. */
void *qr_realloc(void *p, size_t n);
/* Returns NULL always: p = qr_free(p). Takes NULL. */
void *qr_free(void *p);
char *qr_strdup(const char *s);

/* Zeroed, page-granular; *ret_locked (may be NULL) tells whether mlock succeeded. */
void *qr_locked_alloc(size_t n, int *ret_locked);
/* Wipes; p must come from qr_locked_alloc (or be NULL); returns NULL. */
void *qr_locked_free(void *p);
/* Bytes now in locked blocks; how many of them mlock refused. */
void qr_locked_stats(size_t *ret_bytes, size_t *ret_unlocked);

struct qr_arena {
    uint8_t *p;
    size_t cap, used;
};

/* 64-byte aligned, zeroed if the arena's memory was; NULL when full. */
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
/* Drops the first n bytes. */
void qr_dbuf_consume(struct qr_dbuf *d, size_t n);
void qr_dbuf_free(struct qr_dbuf *d);

#endif
