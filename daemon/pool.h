/*
 * Presignature pools: who may spend what, once.
 *
 * What: presignatures in one locked slab, grouped in batches; a batch belongs to (key, signing set,
 *       owner), the owner being the party that initiated it. Only the owner may spend it, so two
 *       coordinators never reach for the same presignature.
 * Why in memory only: a restart loses them, which costs milliseconds; a copy that survived would
 *      cost the key.
 * Invariants: an entry leaves the slab (and is wiped there) in the same call that hands it out; at
 *      most QR_PRESIG_PER_KEY outstanding per key, reservations for running batches included.
 * Constant time: irrelevant (ids are public); the entries are only copied and wiped.
 * Thread rules: single-threaded.
 */
#ifndef QR_POOL_H
#define QR_POOL_H

#include "protocol/presign.h"

struct qr_pool;

/* Room for `slots` presignatures. NULL: out of memory. *ret_locked 0: mlock was refused. */
struct qr_pool *qr_pool_new(size_t slots, int *ret_locked);
struct qr_pool *qr_pool_free(struct qr_pool *p);

struct qr_pool_id {
    uint8_t key_id[32];
    uint16_t set_mask, owner;
};

/* Before a batch starts: QR_ERR_BUSY when the key's or the slab's bound would be passed. */
qr_err QR_MUST qr_pool_reserve(struct qr_pool *p, const struct qr_pool_id *id, size_t B);
void qr_pool_unreserve(struct qr_pool *p, const struct qr_pool_id *id, size_t B);
/* A finished batch takes its reservation's place; entries are copied in. */
qr_err QR_MUST qr_pool_add(struct qr_pool *p, const struct qr_pool_id *id,
                           const uint8_t batch_sid[static 32], const struct qr_presig *v, size_t B);

/* Unspent entries of a pool; of a key over all pools (reservations included). */
size_t qr_pool_ready(const struct qr_pool *p, const struct qr_pool_id *id);
size_t qr_pool_outstanding(const struct qr_pool *p, const uint8_t key_id[static 32]);

/* Owner: ids of the n oldest unspent entries; all or nothing (NO_PRESIGS). They stay until taken. */
qr_err QR_MUST qr_pool_choose(struct qr_pool *p, const struct qr_pool_id *id, size_t n,
                              uint8_t (*ret_ids)[QR_PRESIG_ID_LEN]);
/*
 * Consume: moves the entry to *ret (locked memory of the caller's) and wipes the slot. The id must
 * belong to this very pool. QR_ERR_CONSUMED when it is not there (any more).
 */
qr_err QR_MUST qr_pool_take(struct qr_pool *p, const struct qr_pool_id *id,
                            const uint8_t presig_id[static QR_PRESIG_ID_LEN],
                            struct qr_presig *ret);

/* Drops every batch whose set holds all parties of `mask` (one party: it restarted; two: retired). */
size_t qr_pool_drop_parties(struct qr_pool *p, uint16_t mask);
/* Calls fn for every non-empty pool. */
void qr_pool_each(const struct qr_pool *p,
                  void (*fn)(void *ctx, const struct qr_pool_id *id, size_t ready), void *ctx);

#endif
