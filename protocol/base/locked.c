/*
 * Locked memory of mem.h; apart from mem.c, which the library for wallets takes without libsodium.
 *
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
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0xa5

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
