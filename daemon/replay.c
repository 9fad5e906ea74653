/*
 * Entries live in slabs that are added with use, are found through a chained hash table and leave
 * through a binary heap ordered by when they may be forgotten.
 *
 * An entry is known by SHA-256(secret || scheme || key || id). The secret is drawn at birth, so that
 * nobody can choose ids that fall into one bucket.
 */
#include "daemon/replay.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <sodium.h>

#define SLAB 1024u
#define ENTRIES_MAX ((size_t)1 << 24)
#define CLIENTS (4u * QR_CLIENTS_MAX) /* over all policies of the last minutes */
#define NONE UINT32_MAX

enum state { FREE, RUNNING, DONE, FAILED };

struct entry {
    uint8_t name[32], hash[32];
    uint64_t forget_ms;
    uint8_t *answer;
    uint32_t answer_len, reserved; /* reserved: RUNNING only */
    uint32_t next;                 /* in its bucket, or in the free list */
    uint32_t heap_at;
    uint32_t generation; /* raised at every reuse: old slot numbers find nothing */
    uint16_t client;
    uint8_t state;
};

struct client {
    struct qr_stamp_key key;
    size_t n; /* 0: slot unused */
};

struct qr_replay {
    struct qr_replay_limits limits;
    uint8_t secret[32];
    struct entry **slab;
    size_t n_slabs, n_entries, bytes;
    uint32_t free_list;
    uint32_t *bucket; /* n_buckets, a power of two */
    size_t n_buckets;
    uint32_t *heap; /* n_slabs * SLAB entries; by forget_ms, the first leaves first */
    struct client client[CLIENTS];
    size_t n_clients; /* slots ever used */
};

static struct entry *
entry_at(const struct qr_replay *r, uint32_t i)
{
    return &r->slab[i / SLAB][i % SLAB];
}

/* Heap. */

static void
heap_set(struct qr_replay *r, size_t at, uint32_t i)
{
    r->heap[at] = i;
    entry_at(r, i)->heap_at = (uint32_t)at;
}

static uint64_t
heap_time(const struct qr_replay *r, size_t at)
{
    return entry_at(r, r->heap[at])->forget_ms;
}

static void
heap_up(struct qr_replay *r, size_t at)
{
    uint32_t i = r->heap[at];
    uint64_t t = entry_at(r, i)->forget_ms;
    while (at > 0 && heap_time(r, (at - 1) / 2) > t) {
        heap_set(r, at, r->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(r, at, i);
}

/* n: entries in the heap. */
static void
heap_down(struct qr_replay *r, size_t at, size_t n)
{
    uint32_t i = r->heap[at];
    uint64_t t = entry_at(r, i)->forget_ms;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < n && heap_time(r, child + 1) < heap_time(r, child)) {
            child++;
        }
        if (child >= n || heap_time(r, child) >= t) {
            break;
        }
        heap_set(r, at, r->heap[child]);
        at = child;
    }
    heap_set(r, at, i);
}

/* Buckets. */

static uint32_t *
bucket_of(const struct qr_replay *r, const uint8_t name[static 32])
{
    return &r->bucket[qr_get32(name) & (r->n_buckets - 1)];
}

static void
link_entry(struct qr_replay *r, uint32_t i)
{
    uint32_t *b = bucket_of(r, entry_at(r, i)->name);
    entry_at(r, i)->next = *b;
    *b = i;
}

/* One more slab, with heap and buckets to match. */
static qr_err
grow(struct qr_replay *r)
{
    size_t n = (r->n_slabs + 1) * SLAB;
    uint32_t *heap = qr_realloc(r->heap, n * sizeof heap[0]);

    if (!heap) {
        return QR_ERR_NO_MEMORY;
    }
    r->heap = heap;
    if (n > r->n_buckets) {
        size_t m = r->n_buckets ? 2 * r->n_buckets : SLAB;
        uint32_t *bucket = qr_alloc(m * sizeof bucket[0]);
        if (!bucket) {
            return QR_ERR_NO_MEMORY;
        }
        memset(bucket, 0xff, m * sizeof bucket[0]); /* NONE */
        qr_free(r->bucket);
        r->bucket = bucket;
        r->n_buckets = m;
        for (size_t k = 0; k < r->n_entries; k++) {
            link_entry(r, r->heap[k]);
        }
    }
    struct entry *slab = qr_alloc(SLAB * sizeof slab[0]);
    if (!slab) {
        return QR_ERR_NO_MEMORY;
    }
    r->slab[r->n_slabs] = slab;
    for (size_t k = SLAB; k-- > 0;) {
        slab[k].next = r->free_list;
        r->free_list = (uint32_t)(r->n_slabs * SLAB + k);
    }
    r->n_slabs++;
    return QR_OK;
}

qr_err
qr_replay_new(const struct qr_replay_limits *limits, struct qr_replay **ret)
{
    if (limits->entries < 1 || limits->entries > ENTRIES_MAX || limits->per_client < 1 ||
        limits->per_client > limits->entries) {
        return QR_ERR_USAGE;
    }
    struct qr_replay *r = qr_alloc(sizeof *r);
    struct entry **slab = qr_alloc((limits->entries + SLAB - 1) / SLAB * sizeof *slab);
    if (!r || !slab) {
        qr_free(r);
        qr_free(slab);
        return QR_ERR_NO_MEMORY;
    }
    r->limits = *limits;
    r->slab = slab;
    r->free_list = NONE;
    randombytes_buf(r->secret, sizeof r->secret);
    *ret = r;
    return QR_OK;
}

struct qr_replay *
qr_replay_free(struct qr_replay *r)
{
    if (r) {
        for (size_t i = 0; i < r->n_slabs; i++) {
            for (size_t k = 0; k < SLAB; k++) {
                qr_free(r->slab[i][k].answer);
            }
            qr_free(r->slab[i]);
        }
        qr_free(r->slab);
        qr_free(r->bucket);
        qr_free(r->heap);
    }
    return qr_free(r);
}

static void
name_of(const struct qr_replay *r, const struct qr_stamp_key *who, qr_view id,
        uint8_t ret[static 32])
{
    uint8_t b[32 + 1 + 33 + QR_ID_MAX];
    QR_ASSERT(id.len <= QR_ID_MAX);
    memcpy(b, r->secret, 32);
    b[32] = (uint8_t)who->scheme;
    memcpy(b + 33, who->b, 33);
    memcpy(b + 66, id.p, id.len);
    qr_sha256(qr_view_of(b, 66 + id.len), ret);
}

static uint32_t
find(const struct qr_replay *r, const uint8_t name[static 32])
{
    uint32_t i = r->n_buckets ? *bucket_of(r, name) : NONE;
    while (i != NONE && memcmp(entry_at(r, i)->name, name, 32) != 0) {
        i = entry_at(r, i)->next;
    }
    return i;
}

/* The client's slot; CLIENTS if there is no room for another. */
static size_t
client_slot(struct qr_replay *r, const struct qr_stamp_key *who)
{
    size_t unused = CLIENTS;
    for (size_t i = 0; i < r->n_clients; i++) {
        if (r->client[i].n == 0) {
            unused = i;
        } else if (qr_stamp_key_cmp(&r->client[i].key, who) == 0) {
            return i;
        }
    }
    if (unused == CLIENTS && r->n_clients < CLIENTS) {
        unused = r->n_clients++;
    }
    return unused;
}

/* Takes the first entry of the heap out of everything. */
static void
forget_first(struct qr_replay *r)
{
    uint32_t i = r->heap[0];
    struct entry *e = entry_at(r, i);
    uint32_t *at = bucket_of(r, e->name);

    while (*at != i) {
        at = &entry_at(r, *at)->next;
    }
    *at = e->next;
    r->n_entries--;
    if (r->n_entries > 0) {
        heap_set(r, 0, r->heap[r->n_entries]);
        heap_down(r, 0, r->n_entries);
    }
    r->client[e->client].n--;
    r->bytes -= e->answer_len + e->reserved;
    qr_free(e->answer);
    *e = (struct entry){.generation = e->generation + 1, .next = r->free_list};
    r->free_list = i;
}

void
qr_replay_expire(struct qr_replay *r, uint64_t now_ms)
{
    while (r->n_entries > 0 && heap_time(r, 0) <= now_ms) {
        forget_first(r);
    }
}

static uint64_t
slot_number(const struct qr_replay *r, uint32_t i)
{
    return (uint64_t)entry_at(r, i)->generation << 32 | i;
}

/* NULL when the slot was forgotten. */
static struct entry *
entry_of(const struct qr_replay *r, uint64_t slot)
{
    uint32_t i = (uint32_t)slot;
    if (i / SLAB >= r->n_slabs || slot_number(r, i) != slot || entry_at(r, i)->state == FREE) {
        return NULL;
    }
    return entry_at(r, i);
}

static qr_err
reserve(struct qr_replay *r, struct entry *e, size_t answer_max)
{
    if (answer_max > UINT32_MAX || answer_max > r->limits.bytes - r->bytes) {
        return QR_ERR_RATE_LIMITED;
    }
    e->reserved = (uint32_t)answer_max;
    e->state = RUNNING;
    r->bytes += answer_max;
    return QR_OK;
}

static qr_err
enter(struct qr_replay *r, const struct qr_stamp_key *who, const uint8_t name[static 32],
      const uint8_t hash[static 32], uint64_t forget_ms, size_t answer_max, uint32_t *ret_i)
{
    size_t c = client_slot(r, who);

    if (c == CLIENTS || r->n_entries >= r->limits.entries ||
        r->client[c].n >= r->limits.per_client) {
        return QR_ERR_RATE_LIMITED;
    }
    if (r->free_list == NONE) {
        QR_TRY(grow(r));
    }
    uint32_t i = r->free_list;
    struct entry *e = entry_at(r, i);
    QR_TRY(reserve(r, e, answer_max));
    r->free_list = e->next;
    memcpy(e->name, name, 32);
    memcpy(e->hash, hash, 32);
    e->forget_ms = forget_ms;
    e->client = (uint16_t)c;
    r->client[c].key = *who;
    r->client[c].n++;
    link_entry(r, i);
    heap_set(r, r->n_entries, i);
    heap_up(r, r->n_entries++);
    *ret_i = i;
    return QR_OK;
}

qr_err
qr_replay_begin(struct qr_replay *r, const struct qr_stamp_key *who, qr_view id,
                const uint8_t hash[static 32], uint64_t now_ms, uint64_t forget_ms,
                size_t answer_max, enum qr_replay_state *ret_state, uint64_t *ret_slot)
{
    enum qr_replay_state state = QR_REPLAY_NEW;
    uint8_t name[32];

    if (forget_ms <= now_ms) {
        return QR_ERR_EXPIRED;
    }
    qr_replay_expire(r, now_ms);
    name_of(r, who, id, name);
    uint32_t i = find(r, name);
    if (i == NONE) {
        QR_TRY(enter(r, who, name, hash, forget_ms, answer_max, &i));
    } else {
        struct entry *e = entry_at(r, i);
        if (memcmp(e->hash, hash, 32) != 0) {
            return QR_ERR_REPLAY_CONFLICT;
        }
        state = e->state == DONE ? QR_REPLAY_DONE : QR_REPLAY_RUNNING;
        if (e->state == FAILED) {
            QR_TRY(reserve(r, e, answer_max));
            state = QR_REPLAY_FAILED;
        }
    }
    *ret_state = state;
    *ret_slot = slot_number(r, i);
    return QR_OK;
}

qr_err
qr_replay_finish(struct qr_replay *r, uint64_t slot, qr_view answer)
{
    struct entry *e = entry_of(r, slot);
    uint8_t *copy = NULL;

    if (!e) {
        return QR_OK;
    }
    if (e->state != RUNNING) {
        return QR_ERR_USAGE;
    }
    if (answer.len > e->reserved) {
        return QR_ERR_TOO_LARGE;
    }
    if (answer.len > 0) {
        copy = qr_alloc(answer.len);
        if (!copy) {
            return QR_ERR_NO_MEMORY;
        }
        memcpy(copy, answer.p, answer.len);
    }
    r->bytes -= e->reserved - answer.len;
    e->reserved = 0;
    e->answer = copy;
    e->answer_len = (uint32_t)answer.len;
    e->state = DONE;
    return QR_OK;
}

void
qr_replay_fail(struct qr_replay *r, uint64_t slot)
{
    struct entry *e = entry_of(r, slot);
    if (e && e->state == RUNNING) {
        r->bytes -= e->reserved;
        e->reserved = 0;
        e->state = FAILED;
    }
}

qr_view
qr_replay_answer(const struct qr_replay *r, uint64_t slot)
{
    const struct entry *e = entry_of(r, slot);
    return e && e->state == DONE ? qr_view_of(e->answer, e->answer_len) : qr_view_of(NULL, 0);
}

int
qr_replay_find(struct qr_replay *r, const struct qr_stamp_key *who, qr_view id, uint64_t now_ms,
               uint8_t ret_hash[static 32])
{
    uint8_t name[32];

    qr_replay_expire(r, now_ms);
    name_of(r, who, id, name);
    uint32_t i = find(r, name);
    if (i == NONE) {
        return 0;
    }
    memcpy(ret_hash, entry_at(r, i)->hash, 32);
    return 1;
}

void
qr_replay_stats(const struct qr_replay *r, size_t *ret_entries, size_t *ret_bytes)
{
    *ret_entries = r->n_entries;
    *ret_bytes = r->bytes;
}
