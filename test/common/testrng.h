/*
 * A seeded, deterministic qr_rng, for transcripts that can be repeated and frozen.
 *
 * What: fill() returns consecutive bytes of one stream, whatever the sizes of the draws:
 *       crypto_stream_chacha20_ietf(key = SHA-256(seed text), nonce = 12 zero bytes), block counter
 *       from 0 (RFC 8439). The position advances across calls and never returns.
 * Why: test/model/ draws the same bytes in the same order and so makes the same transcript.
 * Limits: 256 GiB a seed. Not thread safe; tests only.
 */
#ifndef QR_TEST_TESTRNG_H
#define QR_TEST_TESTRNG_H

#include "protocol/base/rng.h"

struct qr_testrng {
    uint8_t key[32];
    uint64_t offset; /* of the next byte */
};

/* Position 0 of the stream that belongs to `seed`. */
void qr_testrng_seed(struct qr_testrng *t, const char *seed);
/* The generator as a table; t must outlive it. */
struct qr_rng qr_testrng_rng(struct qr_testrng *t);
void qr_testrng_fill(struct qr_testrng *t, void *out, size_t n);
/* The next 8 bytes as a big-endian number. */
uint64_t qr_testrng_u64(struct qr_testrng *t);
/* 0..n-1, n >= 1; good enough for choosing cases. */
size_t qr_testrng_below(struct qr_testrng *t, size_t n);

#endif
