#include "enclave-shim/cpurand.h"

#include "protocol/base/secret.h"

#include <string.h>

#define SEED_TRIES 200 /* RDSEED gives out what it gathers, and others ask, too */
#define RAND_TRIES 20  /* Intel: ten failures in a row are a broken processor */

#if defined(__x86_64__)

#include <cpuid.h>

static int
rdseed(uint64_t *ret)
{
    unsigned char ok;
    __asm__ volatile("rdseed %0; setc %1" : "=r"(*ret), "=qm"(ok) : : "cc");
    return ok;
}

static int
rdrand(uint64_t *ret)
{
    unsigned char ok;
    __asm__ volatile("rdrand %0; setc %1" : "=r"(*ret), "=qm"(ok) : : "cc");
    return ok;
}

static int
has(unsigned *ret_seed)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    *ret_seed = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_RDSEED);
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND);
}

#define SEED rdseed
#define RAND rdrand
static const char *const names[] = {"none", "RDRAND", "RDSEED"};

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>
#ifndef HWCAP2_RNG
#define HWCAP2_RNG (1ul << 16)
#endif

/* The zero flag says that nothing was ready. */
static int
rndrrs(uint64_t *ret)
{
    int ok;
    __asm__ volatile("mrs %0, s3_3_c2_c4_1; cset %w1, ne" : "=r"(*ret), "=r"(ok) : : "cc");
    return ok;
}

static int
rndr(uint64_t *ret)
{
    int ok;
    __asm__ volatile("mrs %0, s3_3_c2_c4_0; cset %w1, ne" : "=r"(*ret), "=r"(ok) : : "cc");
    return ok;
}

static int
has(unsigned *ret_seed)
{
    *ret_seed = (getauxval(AT_HWCAP2) & HWCAP2_RNG) != 0;
    return *ret_seed != 0;
}

#define SEED rndrrs
#define RAND rndr
static const char *const names[] = {"none", "RNDR", "RNDRRS"};

#else

static int
has(unsigned *ret_seed)
{
    *ret_seed = 0;
    return 0;
}

#define SEED NULL
#define RAND NULL
static const char *const names[] = {"none", "none", "none"};

#endif

const struct qr_cpurand_ops *
qr_cpurand_ops(void)
{
    static const struct qr_cpurand_ops all = {SEED, RAND}, none = {NULL, NULL},
                                       rand_only = {NULL, RAND}, seed_only = {SEED, NULL};
    unsigned seed = 0;
    int rand = has(&seed);

    return seed && rand ? &all : seed ? &seed_only : rand ? &rand_only : &none;
}

const char *
qr_cpurand_name(void)
{
    const struct qr_cpurand_ops *ops = qr_cpurand_ops();
    return names[ops->seed ? 2 : ops->word ? 1 : 0];
}

static int
word(const struct qr_cpurand_ops *ops, uint64_t *ret)
{
    for (int i = 0; ops->seed && i < SEED_TRIES; i++) {
        if (ops->seed(ret)) {
            return 1;
        }
    }
    for (int i = 0; ops->word && i < RAND_TRIES; i++) {
        if (ops->word(ret)) {
            return 1;
        }
    }
    return 0;
}

qr_err
qr_cpurand(const struct qr_cpurand_ops *ops, uint8_t *out, size_t n)
{
    uint64_t w = 0, before = 0;

    if (!ops->seed && !ops->word) {
        memset(out, 0, n);
        return QR_ERR_NOT_FOUND;
    }
    for (size_t at = 0; at < n; at += sizeof w) {
        if (!word(ops, &w) || w == 0 || w == UINT64_MAX || w == before) {
            qr_wipe(out, n);
            return QR_ERR_PLATFORM;
        }
        before = w;
        memcpy(out + at, &w, n - at < sizeof w ? n - at : sizeof w);
    }
    qr_wipe(&w, sizeof w);
    qr_wipe(&before, sizeof before);
    return QR_OK;
}
