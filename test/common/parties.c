#include "test/common/parties.h"

#include "protocol/base/hash.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void
test_identity_make(struct test_identity *id, uint16_t index)
{
    uint8_t seed[32] = {0};
    qr_put16(seed, index);
    (void)crypto_sign_ed25519_seed_keypair(id->pk, id->sk, seed);
}

static int
sign(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    const struct test_identity *id = ctx;
    return crypto_sign_ed25519_detached(sig, NULL, msg, 32, id->sk);
}

struct qr_id_signer
test_signer(struct test_identity *id)
{
    return (struct qr_id_signer){id, sign};
}

struct qr_rng
test_rng(void)
{
    return qr_rng_system();
}

/* "fake" || measurement || binder || filler that zstd likes */
static qr_err
evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct test_attester *a = ctx;

    if (a->fail) {
        return QR_ERR_PLATFORM;
    }
    if (!a->replay || a->last_len == 0) {
        struct qr_buf w = qr_buf_over(a->last, sizeof a->last);
        qr_buf_put(&w, "fake", 4);
        qr_buf_put(&w, a->measurement, 32);
        qr_buf_put(&w, binder, 32);
        a->last_len = w.len;
    }
    a->made++;
    qr_buf_put(out, a->last, a->last_len);
    for (int i = 0; i < 100; i++) {
        qr_buf_put(out, "certificate", 11);
    }
    uint32_t x = 1;
    for (size_t i = 0; i < a->bulk; i++) {
        x = x * 1664525u + 1013904223u;
        qr_buf_put8(out, (uint8_t)(x >> 24));
    }
    return out->err;
}

static qr_err
verify(void *ctx, uint16_t peer, enum qr_platform platform, const uint8_t boot_nonce[32],
       qr_view ev, const uint8_t binder[32], struct qr_claims *ret, char *why, size_t why_cap)
{
    struct test_attester *a = ctx;
    (void)peer;
    (void)boot_nonce;

    a->verified++;
    if (a->refuse) {
        (void)snprintf(why, why_cap, "measurement is not allowed");
        return a->refuse == 1 ? QR_ERR_ATTESTATION : QR_ERR_STALE;
    }
    if (platform != QR_PLATFORM_SIM || ev.len < 68 || memcmp(ev.p, "fake", 4) != 0) {
        (void)snprintf(why, why_cap, "not fake evidence");
        return QR_ERR_ATTESTATION;
    }
    if (memcmp(ev.p + 36, binder, 32) != 0) {
        (void)snprintf(why, why_cap, "made over another binder");
        return QR_ERR_ATTESTATION;
    }
    *ret = (struct qr_claims){.platform = platform, .insecure = 1};
    memcpy(ret->measurement, ev.p + 4, 32);
    return QR_OK;
}

struct qr_attester
test_attester(struct test_attester *a)
{
    struct qr_attester t = {
        .ctx = a, .platform = QR_PLATFORM_SIM, .evidence = evidence, .verify = verify};
    memcpy(t.measurement, a->measurement, 32);
    return t;
}

void
test_params(struct qr_net_params *p, struct test_identity *id, struct test_attester *a,
            uint16_t self, uint16_t n, const char *address, unsigned port0, uint8_t boot)
{
    static char listen[QR_MAX_PARTIES + 1][QR_ADDRESS_MAX];

    memset(p, 0, sizeof *p);
    test_identity_make(id, self);
    p->self = self;
    p->self_cloud = "cloud-a";
    memcpy(p->id, id->pk, 32);
    p->signer = test_signer(id);
    for (uint16_t i = 1; i <= n; i++) {
        struct test_identity other;
        char text[QR_ADDRESS_MAX];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, address, port0 + i);
#pragma GCC diagnostic pop
        if (i == self) {
            memcpy(listen[i], text, sizeof text);
            p->listen = listen[i];
            continue;
        }
        struct qr_net_peer *peer = &p->peers[p->n_peers++];
        test_identity_make(&other, i);
        peer->index = i;
        memcpy(peer->id, other.pk, 32);
        memcpy(peer->address, text, sizeof text);
        (void)snprintf(peer->cloud, sizeof peer->cloud, "cloud-%c", i % 2 ? 'a' : 'b');
    }
    memset(p->cluster, 0xc1, 32);
    memset(p->roster_hash, 0x41, 32);
    memset(p->policy_hash, 0x42, 32);
    p->roster_serial = 4;
    p->policy_serial = 7;
    memset(p->boot_nonce, boot, 32);
    p->boot_nonce[0] = (uint8_t)self;
    p->boot_counter = boot;
    p->attester = test_attester(a);
    p->rng = test_rng();
    p->zstd_level = 1;
}
