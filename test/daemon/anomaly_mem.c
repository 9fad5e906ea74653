#include "test/daemon/anomaly_mem.h"

#include "protocol/base/mem.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    int in; /* product code runs */
    uint64_t count[ANOMALY_MEMORIES];
    enum anomaly_memory kind;
    uint64_t nth, len, refused;
} mem;

int
anomaly_in(int in)
{
    int was = mem.in;
    mem.in = in;
    return was;
}

static int
may_allocate(enum anomaly_memory kind)
{
    if (!mem.in) {
        return 1;
    }
    uint64_t n = ++mem.count[kind];
    if (mem.nth && kind == mem.kind && n >= mem.nth && n - mem.nth < mem.len) {
        mem.refused++;
        return 0;
    }
    return 1;
}

void
anomaly_fail_memory(enum anomaly_memory kind, uint64_t nth, uint64_t len)
{
    memset(&mem, 0, sizeof mem);
    mem.kind = kind;
    mem.nth = nth;
    mem.len = len;
}

uint64_t
anomaly_allocations(enum anomaly_memory kind)
{
    return mem.count[kind];
}

uint64_t
anomaly_refused(void)
{
    return mem.refused;
}

static int
heap_gate(size_t n)
{
    (void)n;
    return may_allocate(ANOMALY_HEAP);
}

void *__real_qr_locked_alloc(size_t n, int *ret_locked);
void *__wrap_qr_locked_alloc(size_t n, int *ret_locked);

void *
__wrap_qr_locked_alloc(size_t n, int *ret_locked)
{
    return may_allocate(ANOMALY_LOCKED) ? __real_qr_locked_alloc(n, ret_locked) : NULL;
}

static void *
ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return may_allocate(ANOMALY_OPENSSL) ? malloc(n) : NULL;
}

static void *
ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return may_allocate(ANOMALY_OPENSSL) ? realloc(p, n) : NULL;
}

static void
ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static long json_blocks;

void *__real_qr_lib_alloc(size_t n);
void __real_qr_lib_free(void *p);
void *__wrap_qr_lib_alloc(size_t n);
void __wrap_qr_lib_free(void *p);

void *
__wrap_qr_lib_alloc(size_t n)
{
    void *p = NULL;
    if (may_allocate(ANOMALY_JSON)) {
        int was = anomaly_in(0); /* it asks the heap's gate as well */
        p = __real_qr_lib_alloc(n);
        (void)anomaly_in(was);
    }
    json_blocks++; /* one that is refused is given behind the gate: proto/json_strict.c */
    return p;
}

void
__wrap_qr_lib_free(void *p)
{
    json_blocks -= p != NULL;
    __real_qr_lib_free(p);
}

static sqlite3_mem_methods sql_own;

static void *
sql_malloc(int n)
{
    return may_allocate(ANOMALY_SQLITE) ? sql_own.xMalloc(n) : NULL;
}

static void *
sql_realloc(void *p, int n)
{
    return may_allocate(ANOMALY_SQLITE) ? sql_own.xRealloc(p, n) : NULL;
}

void
anomaly_init(void)
{
    sqlite3_mem_methods m;

    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1 ||
        sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sql_own) != SQLITE_OK) {
        (void)fprintf(stderr, "anomaly_init is not the first thing in main\n");
        abort();
    }
    m = sql_own;
    m.xMalloc = sql_malloc;
    m.xRealloc = sql_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &m) != SQLITE_OK) {
        abort();
    }
    qr_alloc_gate(heap_gate);
}

long
anomaly_json_blocks(void)
{
    return json_blocks;
}

void
anomaly_memory_back(void)
{
    mem.nth = 0;
}
