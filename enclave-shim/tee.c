/*
 * What all platforms share: choosing the verifier, and the generator.
 */
#include "enclave-shim/tee.h"

#include "enclave-shim/tee_sim.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <sodium.h>
#include <stdio.h>

qr_err
qr_tee_verify(enum qr_platform platform, qr_view evidence, const uint8_t binder[static 32],
              struct qr_claims *ret, char *why, size_t why_cap)
{
    if (evidence.len > QR_EVIDENCE_MAX) {
        if (why) {
            (void)snprintf(why, why_cap, "evidence has %zu bytes, at most %u are allowed",
                           evidence.len, QR_EVIDENCE_MAX);
        }
        return QR_ERR_ATTESTATION;
    }
    if (platform == QR_PLATFORM_SIM) {
        return qr_sim_verify(evidence, binder, ret, why, why_cap);
    }
    if (why) {
        (void)snprintf(why, why_cap, "no verifier for platform %s (%d) in this build",
                       qr_platform_name(platform), (int)platform);
    }
    return QR_ERR_ATTESTATION;
}

/* The generator. */

struct qr_tee_mix {
    uint8_t key[32];
    size_t left; /* bytes until the platform is asked again */
};

static const uint8_t nonce_stream[crypto_stream_chacha20_NONCEBYTES] = {0};
static const uint8_t nonce_next[crypto_stream_chacha20_NONCEBYTES] = {1};

/* key = HMAC-SHA512(key, system || platform), so that neither can undo what the other gave. */
static void
reseed(struct qr_tee *t)
{
    uint8_t seeds[64], mac[64];
    randombytes_buf(seeds, 32);
    t->random(t->ctx, seeds + 32, 32);
    qr_hmac_sha512(qr_view_of(t->mix->key, 32), qr_view_of(seeds, sizeof seeds), mac);
    memcpy(t->mix->key, mac, 32);
    t->mix->left = QR_TEE_RESEED;
    qr_wipe(seeds, sizeof seeds);
    qr_wipe(mac, sizeof mac);
}

static void
mix_fill(void *ctx, uint8_t *out, size_t n)
{
    struct qr_tee *t = ctx;
    struct qr_tee_mix *m = t->mix;

    if (m->left < n) {
        reseed(t);
    }
    m->left -= n < m->left ? n : m->left;
    randombytes_buf(out, n);
    (void)crypto_stream_chacha20_xor(out, out, n, nonce_stream, m->key);
    /* What was drawn cannot be computed again from what is kept. */
    (void)crypto_stream_chacha20(m->key, sizeof m->key, nonce_next, m->key);
}

struct qr_rng
qr_tee_rng(struct qr_tee *t)
{
    if (!t->mix) {
        t->mix = qr_locked_alloc(sizeof *t->mix, NULL);
        QR_ASSERT(t->mix);
        reseed(t);
    }
    return (struct qr_rng){.ctx = t, .fill = mix_fill};
}

void
qr_tee_close(struct qr_tee *t)
{
    if (t->free) {
        t->free(t->ctx);
    }
    qr_locked_free(t->mix);
    *t = (struct qr_tee){0};
}
