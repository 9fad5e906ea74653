/*
 * Memory that runs out at a chosen allocation, in the product's heap and in the libraries under it.
 *
 * What: counts allocations by where they come from, while anomaly_in(1) holds, and fails a planned run of
 *       them. Locked blocks and jansson's are seen by the linker's --wrap, the heap by qr_alloc_gate,
 *       OpenSSL's and SQLite's by their own hooks. protobuf-c takes no memory of its own here; libsodium and
 *       libsecp256k1 none at run time; zstd is off.
 * Rules: single-threaded; tests only.
 */
#ifndef TEST_ANOMALY_MEM_H
#define TEST_ANOMALY_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Each allocation is of one of these. */
enum anomaly_memory {
    ANOMALY_HEAP,   /* qr_alloc */
    ANOMALY_LOCKED, /* qr_locked_alloc */
    ANOMALY_OPENSSL,
    ANOMALY_SQLITE,
    ANOMALY_JSON, /* jansson */
    ANOMALY_MEMORIES,
};

/* First thing in main(): the libraries must not have allocated before. */
void anomaly_init(void);
/* 1: the product runs, allocations count and may fail. Returns what it was. */
int anomaly_in(int in);
/* The nth allocation of that kind (from 1) and the len - 1 after it fail; 0: none. Counts from zero. */
void anomaly_fail_memory(enum anomaly_memory kind, uint64_t nth, uint64_t len);
uint64_t anomaly_allocations(enum anomaly_memory kind);
/* Allocations refused since anomaly_fail_memory. */
uint64_t anomaly_refused(void);
/* Nothing fails any more; counting goes on. */
void anomaly_memory_back(void);
/* jansson's blocks on the heap. */
long anomaly_json_blocks(void);

#endif
