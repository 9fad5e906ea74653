#include "daemon/pool.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <sodium.h>

#define NONE UINT32_MAX

/* Up to QR_BATCH_MAX slots; the batches of a pool are chained from old to new. */
struct batch {
    uint8_t sid[32];
    uint32_t slot[QR_BATCH_MAX]; /* NONE: spent */
    uint32_t next, prev, pool;
    uint16_t left;
};

struct group {
    struct qr_pool_id id;
    uint32_t first, last; /* batches, oldest first; NONE when empty */
    size_t ready, reserved;
    int used;
};

#define MAX_GROUPS 512

struct qr_pool {
    struct qr_presig *slab; /* locked */
    uint32_t *free_slot;
    size_t n_free, n_reserved;
    struct batch *batch;
    uint32_t *free_batch, *bucket; /* bucket: open addressing by sid, NONE or batch */
    size_t n_batches, n_free_batch, n_buckets;
    struct group group[MAX_GROUPS];
};

struct qr_pool *
qr_pool_new(size_t slots, int *ret_locked)
{
    struct qr_pool *p = qr_alloc(sizeof *p);
    if (!p) {
        return NULL;
    }
    p->n_batches = slots; /* every batch holds at least one entry */
    p->n_buckets = 1;
    while (p->n_buckets < 2 * p->n_batches) {
        p->n_buckets *= 2;
    }
    p->slab = qr_locked_alloc(slots * sizeof *p->slab, ret_locked);
    p->free_slot = qr_alloc(slots * sizeof *p->free_slot);
    p->batch = qr_alloc(p->n_batches * sizeof *p->batch);
    p->free_batch = qr_alloc(p->n_batches * sizeof *p->free_batch);
    p->bucket = qr_alloc(p->n_buckets * sizeof *p->bucket);
    if (!p->slab || !p->free_slot || !p->batch || !p->free_batch || !p->bucket) {
        return qr_pool_free(p);
    }
    for (size_t i = 0; i < slots; i++) {
        p->free_slot[p->n_free++] = (uint32_t)(slots - 1 - i);
    }
    for (size_t i = 0; i < p->n_batches; i++) {
        p->free_batch[p->n_free_batch++] = (uint32_t)(p->n_batches - 1 - i);
    }
    for (size_t i = 0; i < p->n_buckets; i++) {
        p->bucket[i] = NONE;
    }
    return p;
}

struct qr_pool *
qr_pool_free(struct qr_pool *p)
{
    if (p) {
        p->slab = qr_locked_free(p->slab);
        p->free_slot = qr_free(p->free_slot);
        p->batch = qr_free(p->batch);
        p->free_batch = qr_free(p->free_batch);
        p->bucket = qr_free(p->bucket);
    }
    return qr_free(p);
}

static int
same(const struct qr_pool_id *a, const struct qr_pool_id *b)
{
    return a->set_mask == b->set_mask && a->owner == b->owner &&
           memcmp(a->key_id, b->key_id, 32) == 0;
}

static struct group *
find_group(const struct qr_pool *p, const struct qr_pool_id *id)
{
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        if (p->group[i].used && same(&p->group[i].id, id)) {
            return (struct group *)(uintptr_t)&p->group[i];
        }
    }
    return NULL;
}

static struct group *
make_group(struct qr_pool *p, const struct qr_pool_id *id)
{
    struct group *g = find_group(p, id);
    for (size_t i = 0; !g && i < MAX_GROUPS; i++) {
        /* A pool with nothing in it may give its place up. */
        struct group *c = &p->group[i];
        if (!c->used || (c->first == NONE && c->reserved == 0)) {
            *c = (struct group){.id = *id, .first = NONE, .last = NONE, .used = 1};
            g = c;
        }
    }
    return g;
}

/* Batch ids are uniformly random hashes, so their first bytes spread well. */
static size_t
home(const struct qr_pool *p, const uint8_t *sid)
{
    return (size_t)qr_get32(sid) & (p->n_buckets - 1);
}

static uint32_t
find_batch(const struct qr_pool *p, const uint8_t *sid)
{
    for (size_t i = home(p, sid);; i = (i + 1) & (p->n_buckets - 1)) {
        uint32_t b = p->bucket[i];
        if (b == NONE || memcmp(p->batch[b].sid, sid, 32) == 0) {
            return b;
        }
    }
}

#ifdef QR_VERIFY_BUILD
/*
 * Every entry is reachable from exactly one place: it lies where its id says, so two references to
 * one slot would need two ids; a free slot holds nothing; chains, counts and buckets agree.
 */
static int
consistent(const struct qr_pool *p)
{
    size_t used = 0, batches = 0, reserved = 0;
    for (size_t i = 0; i < p->n_free; i++) {
        if (!sodium_is_zero((const uint8_t *)&p->slab[p->free_slot[i]], sizeof *p->slab)) {
            return 0;
        }
    }
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        const struct group *g = &p->group[i];
        size_t ready = 0;
        for (uint32_t bi = g->used ? g->first : NONE; bi != NONE; bi = p->batch[bi].next) {
            const struct batch *b = &p->batch[bi];
            size_t left = 0;
            for (uint16_t k = 0; k < QR_BATCH_MAX; k++) {
                const struct qr_presig *v = b->slot[k] == NONE ? NULL : &p->slab[b->slot[k]];
                if (v && (memcmp(v->id, b->sid, 32) != 0 || qr_get16(v->id + 32) != k)) {
                    return 0;
                }
                left += v != NULL;
            }
            if (b->pool != i || b->left != left || left == 0 || find_batch(p, b->sid) != bi ||
                ++batches > p->n_batches) {
                return 0;
            }
            ready += left;
        }
        if (g->used && g->ready != ready) {
            return 0;
        }
        used += ready;
        reserved += g->used ? g->reserved : 0;
    }
    return used + p->n_free == p->n_batches && batches + p->n_free_batch == p->n_batches &&
           reserved == p->n_reserved && reserved <= p->n_free;
}
#endif

static void
unlink_bucket(struct qr_pool *p, const uint8_t *sid)
{
    size_t mask = p->n_buckets - 1, i = home(p, sid);
    while (memcmp(p->batch[p->bucket[i]].sid, sid, 32) != 0) {
        i = (i + 1) & mask;
    }
    /* Backward-shift deletion keeps every probe sequence unbroken. */
    for (size_t j = (i + 1) & mask; p->bucket[j] != NONE; j = (j + 1) & mask) {
        size_t h = home(p, p->batch[p->bucket[j]].sid);
        if (((j - h) & mask) >= ((j - i) & mask)) {
            p->bucket[i] = p->bucket[j];
            i = j;
        }
    }
    p->bucket[i] = NONE;
}

static void
free_entry(struct qr_pool *p, struct batch *b, size_t k)
{
    qr_wipe(&p->slab[b->slot[k]], sizeof *p->slab);
    p->free_slot[p->n_free++] = b->slot[k];
    b->slot[k] = NONE;
    b->left--;
    p->group[b->pool].ready--;
}

/* Takes a batch off its pool's chain, wiping what is left in it. */
static void
drop_batch(struct qr_pool *p, uint32_t bi)
{
    struct batch *b = &p->batch[bi];
    struct group *g = &p->group[b->pool];
    for (size_t k = 0; k < QR_BATCH_MAX; k++) {
        if (b->slot[k] != NONE) {
            free_entry(p, b, k);
        }
    }
    *(b->prev == NONE ? &g->first : &p->batch[b->prev].next) = b->next;
    *(b->next == NONE ? &g->last : &p->batch[b->next].prev) = b->prev;
    unlink_bucket(p, b->sid);
    p->free_batch[p->n_free_batch++] = bi;
}

qr_err
qr_pool_reserve(struct qr_pool *p, const struct qr_pool_id *id, size_t B)
{
    if (B == 0 || B > QR_BATCH_MAX || p->n_reserved + B > p->n_free ||
        qr_pool_outstanding(p, id->key_id) + B > QR_PRESIG_PER_KEY) {
        return QR_ERR_BUSY;
    }
    struct group *g = make_group(p, id);
    if (!g) {
        return QR_ERR_BUSY;
    }
    g->reserved += B;
    p->n_reserved += B;
    return QR_OK;
}

void
qr_pool_unreserve(struct qr_pool *p, const struct qr_pool_id *id, size_t B)
{
    struct group *g = find_group(p, id);
    if (g && g->reserved >= B && p->n_reserved >= B) {
        g->reserved -= B;
        p->n_reserved -= B;
    }
}

qr_err
qr_pool_add(struct qr_pool *p, const struct qr_pool_id *id, const uint8_t batch_sid[static 32],
            const struct qr_presig *v, size_t B)
{
    struct group *g = find_group(p, id);
    if (!g || B == 0 || B > QR_BATCH_MAX || g->reserved < B || p->n_free < B ||
        p->n_free_batch == 0 || find_batch(p, batch_sid) != NONE) {
        return QR_ERR_INTERNAL;
    }
    uint32_t bi = p->free_batch[--p->n_free_batch];
    struct batch *b = &p->batch[bi];
    b->pool = (uint32_t)(g - p->group);
    b->left = (uint16_t)B;
    b->next = NONE;
    b->prev = g->last;
    memcpy(b->sid, batch_sid, 32);
    for (size_t k = 0; k < QR_BATCH_MAX; k++) {
        b->slot[k] = NONE;
        if (k < B) {
            b->slot[k] = p->free_slot[--p->n_free];
            p->slab[b->slot[k]] = v[k];
        }
    }
    size_t i = home(p, batch_sid);
    while (p->bucket[i] != NONE) {
        i = (i + 1) & (p->n_buckets - 1);
    }
    p->bucket[i] = bi;
    if (g->last == NONE) {
        g->first = bi;
    } else {
        p->batch[g->last].next = bi;
    }
    g->last = bi;
    g->ready += B;
    g->reserved -= B;
    p->n_reserved -= B;
    QR_VERIFY(consistent(p));
    return QR_OK;
}

size_t
qr_pool_ready(const struct qr_pool *p, const struct qr_pool_id *id)
{
    const struct group *g = find_group(p, id);
    return g ? g->ready : 0;
}

size_t
qr_pool_outstanding(const struct qr_pool *p, const uint8_t key_id[static 32])
{
    size_t n = 0;
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        if (p->group[i].used && memcmp(p->group[i].id.key_id, key_id, 32) == 0) {
            n += p->group[i].ready + p->group[i].reserved;
        }
    }
    return n;
}

qr_err
qr_pool_choose(struct qr_pool *p, const struct qr_pool_id *id, size_t n,
               uint8_t (*ret_ids)[QR_PRESIG_ID_LEN])
{
    const struct group *g = find_group(p, id);
    if (!g || g->ready < n) {
        return QR_ERR_NO_PRESIGS;
    }
    size_t got = 0;
    for (uint32_t bi = g->first; bi != NONE && got < n; bi = p->batch[bi].next) {
        const struct batch *b = &p->batch[bi];
        for (size_t k = 0; k < QR_BATCH_MAX && got < n; k++) {
            if (b->slot[k] != NONE) {
                memcpy(ret_ids[got++], p->slab[b->slot[k]].id, QR_PRESIG_ID_LEN);
            }
        }
    }
    return got == n ? QR_OK : QR_ERR_INTERNAL;
}

qr_err
qr_pool_take(struct qr_pool *p, const struct qr_pool_id *id,
             const uint8_t presig_id[static QR_PRESIG_ID_LEN], struct qr_presig *ret)
{
    uint32_t bi = find_batch(p, presig_id);
    uint16_t k = qr_get16(presig_id + 32);
    if (bi == NONE || k >= QR_BATCH_MAX) {
        return QR_ERR_CONSUMED;
    }
    struct batch *b = &p->batch[bi];
    if (!same(&p->group[b->pool].id, id) || b->slot[k] == NONE) {
        return QR_ERR_CONSUMED;
    }
    *ret = p->slab[b->slot[k]];
    free_entry(p, b, k);
    if (b->left == 0) {
        drop_batch(p, bi);
    }
    QR_VERIFY(consistent(p));
    return QR_OK;
}

size_t
qr_pool_drop_parties(struct qr_pool *p, uint16_t mask)
{
    size_t dropped = 0;
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        struct group *g = &p->group[i];
        if (g->used && (g->id.set_mask & mask) == mask) {
            dropped += g->ready;
            while (g->first != NONE) {
                drop_batch(p, g->first);
            }
        }
    }
    QR_VERIFY(consistent(p));
    return dropped;
}

void
qr_pool_each(const struct qr_pool *p,
             void (*fn)(void *ctx, const struct qr_pool_id *id, size_t ready), void *ctx)
{
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        if (p->group[i].used && p->group[i].ready > 0) {
            fn(ctx, &p->group[i].id, p->group[i].ready);
        }
    }
}
