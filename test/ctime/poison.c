#include "test/ctime/poison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define QR_MSAN 1
#endif
#endif

#ifdef QR_MSAN
#include <sanitizer/msan_interface.h>
#else
#include <valgrind/memcheck.h>
#endif

/* What holds kept; a stack, because holds nest. */
static uint8_t kept[1u << 20];
static size_t kept_used;

static struct crossing *crossings;

#ifdef QR_MSAN

int
poison_watched(void)
{
    return 1;
}

void
poison_secret(void *p, size_t n)
{
    __msan_poison(p, n);
}

void
poison_public(const void *p, size_t n)
{
    __msan_unpoison(p, n);
}

int
poison_is_secret(const void *p, size_t n)
{
    return n > 0 && __msan_test_shadow(p, n) >= 0;
}

void
poison_must_be_public(const void *p, size_t n)
{
    __msan_check_mem_is_initialized(p, n);
}

/* Shadow bytes: a byte is kept as wholly secret or wholly public. */
static void
bits_get(const void *p, uint8_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bits[i] = __msan_test_shadow((const uint8_t *)p + i, 1) >= 0 ? 0xff : 0;
    __msan_unpoison(bits, n);
}

static void
bits_set(const void *p, const uint8_t *bits, size_t n)
{
    __msan_partial_poison(p, (void *)(uintptr_t)bits, n);
}

#else

int
poison_watched(void)
{
    uint8_t probe = 0, bits = 0;

    if (RUNNING_ON_VALGRIND == 0)
        return 0;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&probe, 1);
    return VALGRIND_GET_VBITS(&probe, &bits, 1) == 1 && bits == 0xff;
}

void
poison_secret(void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

void
poison_public(const void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

static void
bits_get(const void *p, uint8_t *bits, size_t n)
{
    memset(bits, 0, n);
    (void)VALGRIND_GET_VBITS(p, bits, n);
}

static void
bits_set(const void *p, const uint8_t *bits, size_t n)
{
    (void)VALGRIND_SET_VBITS(p, bits, n);
}

int
poison_is_secret(const void *p, size_t n)
{
    static uint8_t bits[4096];
    const uint8_t *at = p;

    for (size_t k; n > 0; n -= k, at += k) {
        k = n < sizeof bits ? n : sizeof bits;
        bits_get(at, bits, k);
        for (size_t i = 0; i < k; i++)
            if (bits[i] != 0)
                return 1;
    }
    return 0;
}

void
poison_must_be_public(const void *p, size_t n)
{
    (void)VALGRIND_CHECK_MEM_IS_DEFINED(p, n);
}

#endif

int
poison_is_all_secret(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!poison_is_secret((const uint8_t *)p + i, 1))
            return 0;
    return 1;
}

int
poison_hold(struct hold *h, const void *p, size_t n)
{
    *h = (struct hold){p, n, NULL};
    if (p == NULL || n == 0 || !poison_is_secret(p, n))
        return 0;
    if (n > sizeof kept - kept_used) {
        fprintf(stderr, "ctime: a library call with %zu secret bytes\n", n);
        abort();
    }
    h->bits = kept + kept_used;
    kept_used += n;
    bits_get(p, h->bits, n);
    poison_public(p, n);
    return 1;
}

void
poison_release(struct hold *h)
{
    if (h->bits != NULL) {
        bits_set(h->p, h->bits, h->n);
        kept_used -= h->n;
    }
}

void
poison_output(void *p, size_t n, int secret)
{
    if (secret)
        poison_secret(p, n);
    else
        poison_public(p, n);
}

void
poison_crossed(struct crossing *c)
{
    if (c->calls++ == 0) {
        c->next = crossings;
        crossings = c;
    }
}

void
poison_print_crossings(void)
{
    for (const struct crossing *c = crossings; c != NULL; c = c->next)
        printf("boundary %s %lu\n", c->name, c->calls);
}

static void
fill(void *ctx, uint8_t *out, size_t n)
{
    const struct poison_rng *r = ctx;

    qr_rng_fill(r->real, out, n);
    poison_output(out, n, n != r->public_len);
}

struct qr_rng
poison_rng_of(struct poison_rng *r)
{
    return (struct qr_rng){r, fill};
}
