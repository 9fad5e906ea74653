/*
 * Every source of randomness in the process gives what the seed says: libsodium's, OpenSSL's, each
 * party's own. Wall clocks of libraries do not reach anything that the run depends on.
 */
#define OPENSSL_SUPPRESS_DEPRECATED 1 /* RAND_METHOD is the one hook below all of OpenSSL */

#include "test/sim/sim.h"

#include "test/common/testrng.h"

#include <openssl/rand.h>
#include <sodium.h>

static struct qr_testrng world, library, party[SIM_HOSTS + 1];

static uint32_t
lib_random(void)
{
    return (uint32_t)qr_testrng_u64(&library);
}

static void
lib_fill(void *const buf, const size_t n)
{
    qr_testrng_fill(&library, buf, n);
}

static const char *
lib_name(void)
{
    return "simulation";
}

static int
ossl_bytes(unsigned char *buf, int n)
{
    qr_testrng_fill(&library, buf, (size_t)n);
    return 1;
}

static int
ossl_status(void)
{
    return 1;
}

void
sim_det_start(uint64_t seed)
{
    static randombytes_implementation impl = {
        .implementation_name = lib_name, .random = lib_random, .buf = lib_fill};
    static const RAND_METHOD method = {
        .bytes = ossl_bytes, .pseudorand = ossl_bytes, .status = ossl_status};
    char text[64];
    (void)snprintf(text, sizeof text, "sim world %llu", (unsigned long long)seed);
    qr_testrng_seed(&world, text);
    (void)snprintf(text, sizeof text, "sim library %llu", (unsigned long long)seed);
    qr_testrng_seed(&library, text);
    (void)randombytes_set_implementation(&impl);
    (void)RAND_set_rand_method(&method);
}

uint64_t
sim_rand(void)
{
    return qr_testrng_u64(&world);
}

uint64_t
sim_below(uint64_t n)
{
    return n ? sim_rand() % n : 0;
}

struct qr_rng
sim_det_rng(unsigned host, unsigned boot)
{
    char text[64];
    (void)snprintf(text, sizeof text, "sim host %u boot %u of %016llx", host, boot,
                   (unsigned long long)sim_rand());
    qr_testrng_seed(&party[host], text);
    return qr_testrng_rng(&party[host]);
}
