/*
 * kit_world: what stands below a party, played by the fuzzer: the net between attested peers, and the
 * sealed store.
 *
 * What: qr_net_*, qr_msg_* and qr_store_* for programs linked with --wrap of these names. Nets of one
 *       process find each other by party index; every message waits in a queue a link and direction
 *       until the receiver steps, where a script may hold, change, repeat, move and invent. Stores
 *       live in memory under their path, so that a forked child has its own.
 * Why: a party's judgement is the same whatever carries its messages; TLS and SQLite have targets of
 *      their own, and neither survives a fork.
 * Keeps what net.h promises: attested peers only, exactly once and in order within a pair of boots,
 *      on_up before any message, resumed or not, reservations refused before the first on_up.
 */
#ifndef TEST_FUZZ_KIT_WORLD_H
#define TEST_FUZZ_KIT_WORLD_H

#include "daemon/party_int.h"

#define WORLD_MAX 8

struct world_msg {
    struct qr_msg_in in; /* first: the party gets a pointer to it */
    struct world_msg *next;
    uint16_t to;
    uint64_t era; /* of the link when it was reserved */
    size_t len;
    _Alignas(64) uint8_t p[];
};

struct world_link {
    struct world_msg *head, **tail;
    size_t bytes, n;
};

struct world {
    struct qr_net *net[WORLD_MAX + 1];
    struct world_link q[WORLD_MAX + 1][WORLD_MAX + 1]; /* from, to */
    uint64_t era[WORLD_MAX + 1][WORLD_MAX + 1];
    uint8_t cut[WORLD_MAX + 1][WORLD_MAX + 1]; /* symmetric: no connection now */
    uint16_t held;                             /* this party's messages wait for world_release */
    unsigned release;
    unsigned reserve_ok; /* reservations until one of the held party fails; UINT_MAX: never */
    unsigned put_ok;     /* writes until one of its stores fails; UINT_MAX: never */
    const struct world_msg *delivering;
    /* Told of every message that a party commits. */
    void (*on_commit)(const struct world_msg *m);
};
extern struct world world;

void world_init(void);
/* A message as if `from` had computed it. */
void world_inject(uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch,
                  const uint8_t sid[32], qr_view payload);
/* Takes the oldest message out; the caller frees it with qr_free or puts it back. */
struct world_msg *world_take(uint16_t from, uint16_t to);
void world_put_back(uint16_t from, uint16_t to, struct world_msg *m);

#endif
