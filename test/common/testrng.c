#include "test/common/testrng.h"

#include "protocol/base/view.h"

#include <sodium.h>

void
qr_testrng_seed(struct qr_testrng *t, const char *seed)
{
    crypto_hash_sha256(t->key, (const unsigned char *)seed, strlen(seed));
    t->offset = 0;
}

/* Bytes of the stream from a block boundary on. */
static void
stream(const struct qr_testrng *t, uint64_t block, uint8_t *out, size_t n)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    memset(out, 0, n);
    crypto_stream_chacha20_ietf_xor_ic(out, out, n, nonce, (uint32_t)block, t->key);
}

void
qr_testrng_fill(struct qr_testrng *t, void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        size_t skip = t->offset % 64, take = n;
        if (skip == 0 && n >= 64) {
            take = n - n % 64;
            stream(t, t->offset / 64, p, take);
        } else {
            uint8_t block[64];
            take = n < 64 - skip ? n : 64 - skip;
            stream(t, t->offset / 64, block, sizeof block);
            memcpy(p, block + skip, take);
        }
        p += take;
        n -= take;
        t->offset += take;
    }
}

static void
fill(void *ctx, uint8_t *out, size_t n)
{
    qr_testrng_fill(ctx, out, n);
}

struct qr_rng
qr_testrng_rng(struct qr_testrng *t)
{
    return (struct qr_rng){t, fill};
}

uint64_t
qr_testrng_u64(struct qr_testrng *t)
{
    uint8_t b[8];
    qr_testrng_fill(t, b, sizeof b);
    return qr_get64(b);
}

size_t
qr_testrng_below(struct qr_testrng *t, size_t n)
{
    return (size_t)(qr_testrng_u64(t) % n);
}
