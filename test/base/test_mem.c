/*
 * Memory: what is promised for locked blocks is looked up in the kernel's own books, and what must
 * die is done in a child process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/check.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers make mlock() succeed and do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_IS_REAL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define MLOCK_IS_REAL 0
#endif
#endif
#ifndef MLOCK_IS_REAL
#define MLOCK_IS_REAL 1
#endif

/* Runs f(arg) in a child that says nothing and leaves no core; returns its wait status. */
static int
in_child(void (*f)(void *), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT};
        int null = open("/dev/null", O_WRONLY);
        struct rlimit none = {0, 0};
        /* The default actions, also under a sanitizer or cmocka. */
        for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
            (void)signal(fatal[i], SIG_DFL);
        }
        (void)dup2(null, STDERR_FILENO);
        (void)setrlimit(RLIMIT_CORE, &none);
        f(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int
dies_of(int sig, void (*f)(void *), void *arg)
{
    int status = in_child(f, arg);
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static void
touch(void *p)
{
    *(volatile uint8_t *)p = 1;
}

static void
look(void *p)
{
    (void)*(volatile uint8_t *)p;
}

static uint8_t *
round_up(const uint8_t *p, size_t to)
{
    return (uint8_t *)(((uintptr_t)p + to - 1) / to * to);
}

static void
test_guard_pages(void **state)
{
    const size_t sizes[] = {1, 63, 64, 65, 4000, 4096, 4097, 100000};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i];
        uint8_t *p = qr_locked_alloc(n, NULL);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        uint8_t *end = round_up(p + n, page);
        assert_true((size_t)(end - (p + n)) < 64); /* the guard is right behind the block */
        assert_true(dies_of(SIGSEGV, look, end));
        assert_true(dies_of(SIGSEGV, touch, end));
        uint8_t *first = end - (n + page - 1) / page * page;
        assert_true(first <= p);
        assert_true(dies_of(SIGSEGV, look, first - 1));
        assert_true(dies_of(SIGSEGV, touch, first - 1));
        assert_int_equal(in_child(touch, p), 0); /* the block itself is fine */
        assert_int_equal(in_child(touch, p + n - 1), 0);
        assert_null(qr_locked_free(p));
    }
}

static void
do_free(void *p)
{
    (void)qr_locked_free(p);
}

static void
do_free_heap(void *p)
{
    (void)qr_free(p);
}

static void
use_and_free(void *last)
{
    uint8_t *p = qr_locked_alloc(100, NULL);
    memset(p, 1, *(size_t *)last + 1);
    (void)qr_locked_free(p);
}

static void
test_misuse_panics(void **state)
{
    uint8_t *p = qr_locked_alloc(100, NULL), *heap = qr_alloc(100);
    uint8_t *gone = qr_locked_alloc(5000, NULL);

    (void)state;
    assert_non_null(p);
    assert_non_null(heap);
    assert_non_null(gone);
    assert_true(dies_of(SIGABRT, do_free, p + 1));
    assert_true(dies_of(SIGABRT, do_free, heap));
    assert_null(qr_locked_free(gone));
    assert_true(dies_of(SIGABRT, do_free, gone));
    assert_true(dies_of(SIGABRT, do_free_heap, heap + 64));
    assert_null(qr_locked_free(p));
    assert_null(qr_free(heap));
}

/* 100 bytes leave 28 of canary before the guard page. */
static void
test_overrun_panics(void **state)
{
    (void)state;
    for (size_t last = 98; last < 128; last++) {
        if (last < 100) {
            assert_int_equal(in_child(use_and_free, &last), 0);
        } else {
            assert_true(dies_of(SIGABRT, use_and_free, &last));
        }
    }
}

/* The flags of the mapping that holds p, from /proc/self/smaps. */
static void
smaps_flags(const void *p, char flags[static 512])
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    int inside = 0;

    flags[0] = '\0';
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *end;
        unsigned long from = strtoul(line, &end, 16);
        if (*end == '-' && end != line) {
            unsigned long to = strtoul(end + 1, &end, 16);
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            memcpy(flags, line, sizeof line);
        }
    }
    (void)fclose(f);
}

static void
test_kernel_flags(void **state)
{
    char flags[512];
    int locked = -1;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = qr_locked_alloc(3 * page, &locked);

    (void)state;
    assert_non_null(p);
    for (size_t i = 0; i < 3; i++) {
        smaps_flags(p + i * page, flags);
        assert_non_null(strstr(flags, " dd")); /* not in core files */
        assert_non_null(strstr(flags, " wf")); /* wiped on fork */
        assert_int_equal(strstr(flags, " lo") != NULL, locked && MLOCK_IS_REAL);
    }
    smaps_flags(p - 1, flags);
    assert_null(strstr(flags, " rd"));
    assert_null(strstr(flags, " wr"));
    assert_null(qr_locked_free(p));
    smaps_flags(p, flags);
    assert_null(strstr(flags, " wf"));
}

static void
must_be_zero(void *p)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < 5000; i++) {
        if (b[i] != 0) {
            _exit(1);
        }
    }
}

static void
attack_23_forked_process_gets_zeros(void **state)
{
    uint8_t *p = qr_locked_alloc(5000, NULL);
    (void)state;
    assert_non_null(p);
    must_be_zero(p); /* new blocks are zero */
    memset(p, 0x77, 5000);
    assert_int_equal(in_child(must_be_zero, p), 0);
    assert_int_equal(p[4999], 0x77);
    assert_null(qr_locked_free(p));
}

/* Set by the child before it panics; read by its SIGABRT handler. */
static uint8_t *secret_at_panic[2];

static void
on_abort(int sig)
{
    (void)sig;
    for (size_t i = 0; i < 5000; i++) {
        if (secret_at_panic[0][i] | secret_at_panic[1][i]) {
            _exit(1);
        }
    }
    _exit(42);
}

static void
fill_and_panic(void *unused)
{
    (void)unused;
    secret_at_panic[0] = qr_locked_alloc(5000, NULL);
    secret_at_panic[1] = qr_locked_alloc(5000, NULL);
    memset(secret_at_panic[0], 0x77, 5000);
    memset(secret_at_panic[1], 0x77, 5000);
    (void)signal(SIGABRT, on_abort);
    QR_ASSERT(secret_at_panic[0][0] == 0);
}

static void
test_panic_wipes(void **state)
{
    int status = in_child(fill_and_panic, NULL);
    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* Without the right to lock, a block still works and says that it is not locked. */
static void
allocate_unlocked(void *unused)
{
    struct rlimit none = {0, 0};
    size_t bytes, unlocked;
    int locked = -1;

    (void)unused;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) {
        _exit(2);
    }
    uint8_t *p = qr_locked_alloc(5000, &locked);
    qr_locked_stats(&bytes, &unlocked);
    _exit(p && locked == 0 && bytes == 5000 && unlocked == 5000 ? 42 : 1);
}

static void
test_mlock_refused(void **state)
{
    (void)state;
    if (!MLOCK_IS_REAL) {
        print_message("mlock() does nothing under a sanitizer\n");
        skip();
    }
    int status = in_child(allocate_unlocked, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void
test_locked_stats(void **state)
{
    size_t bytes, unlocked, bytes0, unlocked0;
    int l1, l2;

    (void)state;
    qr_locked_stats(&bytes0, &unlocked0);
    assert_int_equal(bytes0, 0);
    uint8_t *a = qr_locked_alloc(100, &l1), *b = qr_locked_alloc(200, &l2);
    qr_locked_stats(&bytes, &unlocked);
    assert_int_equal(bytes, 300);
    assert_int_equal(unlocked, (l1 ? 0 : 100) + (l2 ? 0 : 200));
    assert_null(qr_locked_free(a));
    qr_locked_stats(&bytes, &unlocked);
    assert_int_equal(bytes, 200);
    assert_null(qr_locked_free(b));
    assert_null(qr_locked_free(NULL));
    qr_locked_stats(&bytes, &unlocked);
    assert_int_equal(bytes, 0);
    assert_null(qr_locked_alloc(0, NULL));
    assert_null(qr_locked_alloc(SIZE_MAX, NULL));
    assert_null(qr_locked_alloc(SIZE_MAX / 4, NULL)); /* more than the address space */
}

static int allocations_left;

static int
gate(size_t n)
{
    (void)n;
    return allocations_left-- > 0;
}

static void
test_heap(void **state)
{
    size_t bytes, blocks, bytes0, blocks0;

    (void)state;
    qr_alloc_stats(&bytes0, &blocks0);
    uint8_t *p = qr_alloc(1000);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(p[i], 0);
        p[i] = (uint8_t)i;
    }
    char *s = qr_strdup("text");
    assert_string_equal(s, "text");
    qr_alloc_stats(&bytes, &blocks);
    assert_int_equal(bytes - bytes0, 1005);
    assert_int_equal(blocks - blocks0, 2);

    p = qr_realloc(p, 2000);
    assert_non_null(p);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(p[i], (uint8_t)i);
    }
    p = qr_realloc(p, 10);
    assert_non_null(p);
    assert_int_equal(p[9], 9);
    allocations_left = 0;
    qr_alloc_gate(gate);
    assert_null(qr_alloc(1));
    assert_null(qr_strdup("x"));
    assert_null(qr_realloc(p, 20));
    assert_null(qr_locked_alloc(10, NULL)); /* its bookkeeping */
    qr_alloc_gate(NULL);
    assert_int_equal(p[9], 9); /* the old block is still there */
    assert_null(qr_free(p));
    assert_null(qr_free(s));
    assert_null(qr_free(NULL));
    assert_null(qr_alloc(0));
    assert_null(qr_alloc(SIZE_MAX));
    assert_null(qr_alloc(SIZE_MAX - 63));
    qr_alloc_stats(&bytes, &blocks);
    assert_int_equal(bytes, bytes0);
    assert_int_equal(blocks, blocks0);
}

static void
test_arena(void **state)
{
    uint8_t *mem = qr_alloc(1024);
    struct qr_arena a = {mem, 1024, 0};

    (void)state;
    assert_int_equal(QR_ARENA_ROUND(0), 0);
    assert_int_equal(QR_ARENA_ROUND(1), 64);
    assert_int_equal(QR_ARENA_ROUND(64), 64);
    assert_int_equal(QR_ARENA_ROUND(65), 128);
    assert_ptr_equal(qr_arena_get(&a, 1), mem);
    assert_ptr_equal(qr_arena_get(&a, 64), mem + 64);
    assert_ptr_equal(qr_arena_get(&a, 65), mem + 128);
    assert_int_equal(a.used, QR_ARENA_ROUND(1) + QR_ARENA_ROUND(64) + QR_ARENA_ROUND(65));
    assert_null(qr_arena_get(&a, 0));
    assert_null(qr_arena_get(&a, 1024 - 256 + 1));
    assert_null(qr_arena_get(&a, SIZE_MAX));
    assert_null(qr_arena_get(&a, SIZE_MAX - 300));
    assert_int_equal(a.used, 256); /* refusals take nothing */
    assert_ptr_equal(qr_arena_get(&a, 1024 - 256), mem + 256);
    assert_null(qr_arena_get(&a, 1));

    /* Memory that is not aligned: still aligned blocks, still within bounds. */
    a = (struct qr_arena){mem + 1, 1000, 0};
    uint8_t *p = qr_arena_get(&a, 10);
    assert_ptr_equal(p, mem + 64);
    p = qr_arena_get(&a, 1001 - 128);
    assert_ptr_equal(p, mem + 128);
    assert_int_equal(a.used, 1000);
    assert_null(qr_arena_get(&a, 1));
    assert_null(qr_free(mem));
}

static void
test_dbuf(void **state)
{
    struct qr_dbuf d;
    uint8_t b[300];
    size_t bytes, blocks, bytes0, blocks0;

    (void)state;
    qr_alloc_stats(&bytes0, &blocks0);
    for (size_t i = 0; i < sizeof b; i++) {
        b[i] = (uint8_t)i;
    }
    qr_dbuf_init(&d, 1000);
    assert_int_equal(qr_dbuf_append(&d, NULL, 0), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, b, 300), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, b, 300), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, b, 300), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, b, 101), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_dbuf_reserve(&d, SIZE_MAX), QR_ERR_TOO_LARGE);
    assert_int_equal(d.len, 900);
    assert_int_equal(qr_dbuf_append(&d, b, 100), QR_OK);
    assert_int_equal(d.len, 1000);
    assert_int_equal(d.cap, 1000); /* never above the maximum */
    assert_memory_equal(d.p + 600, b, 300);
    qr_dbuf_consume(&d, 0);
    qr_dbuf_consume(&d, 599);
    assert_int_equal(d.len, 401);
    assert_int_equal(d.p[0], b[299]);
    assert_memory_equal(d.p + 1, b, 300);
    qr_dbuf_consume(&d, 401);
    assert_int_equal(d.len, 0);
    assert_int_equal(qr_dbuf_append(&d, b, 5), QR_OK);
    qr_dbuf_free(&d);

    /* A small maximum is kept, too. */
    struct qr_dbuf small;
    qr_dbuf_init(&small, 100);
    assert_int_equal(qr_dbuf_append(&small, b, 99), QR_OK);
    assert_int_equal(small.cap, 100);
    assert_int_equal(qr_dbuf_append(&small, b, 2), QR_ERR_TOO_LARGE);
    qr_dbuf_free(&small);

    /* Out of memory: what was there stays. */
    assert_int_equal(qr_dbuf_append(&d, b, 200), QR_OK);
    allocations_left = 0;
    qr_alloc_gate(gate);
    assert_int_equal(qr_dbuf_append(&d, b, 300), QR_ERR_NO_MEMORY);
    qr_alloc_gate(NULL);
    assert_int_equal(d.len, 200);
    assert_memory_equal(d.p, b, 200);
    qr_dbuf_free(&d);
    qr_alloc_stats(&bytes, &blocks);
    assert_int_equal(blocks, blocks0);
}

/* Byte by byte up to 64 KiB takes a dozen allocations, not thousands. */
static void
test_dbuf_grows_geometrically(void **state)
{
    struct qr_dbuf d;
    (void)state;
    qr_dbuf_init(&d, 1 << 16);
    allocations_left = 12;
    qr_alloc_gate(gate);
    for (int i = 0; i < 1 << 16; i++) {
        uint8_t v = (uint8_t)i;
        assert_int_equal(qr_dbuf_append(&d, &v, 1), QR_OK);
    }
    qr_alloc_gate(NULL);
    assert_int_equal(d.p[65535], 255);
    qr_dbuf_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locked_stats),  cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_misuse_panics), cmocka_unit_test(test_overrun_panics),
        cmocka_unit_test(test_kernel_flags),  cmocka_unit_test(attack_23_forked_process_gets_zeros),
        cmocka_unit_test(test_panic_wipes),   cmocka_unit_test(test_mlock_refused),
        cmocka_unit_test(test_heap),          cmocka_unit_test(test_arena),
        cmocka_unit_test(test_dbuf),          cmocka_unit_test(test_dbuf_grows_geometrically),
    };
    /* Debuggers and tracers of the child would keep it from dying of its signal. */
    (void)prctl(PR_SET_DUMPABLE, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
