/*
 * What all platforms share: choosing the verifier, and the generator.
 */
#include "enclave-shim/tee.h"

#include "enclave-shim/cpurand.h"
#include "enclave-shim/tee_sim.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <sodium.h>
#include <stdio.h>

/* One word means one thing in rosters, policies, HELLO and evidence. */
#define SAME(name) _Static_assert((int)QR_PLATFORM_##name == (int)QR_EV_##name, #name)
SAME(NITRO);
SAME(SNP);
SAME(TDX);
SAME(SGX);
SAME(AZURE_SNP);
SAME(AZURE_TDX);
SAME(GCP_SNP);
SAME(GCP_TDX);

static int
is_hardware(enum qr_platform p)
{
    switch (p) {
    case QR_PLATFORM_NITRO:
    case QR_PLATFORM_SNP:
    case QR_PLATFORM_TDX:
    case QR_PLATFORM_SGX:
    case QR_PLATFORM_AZURE_SNP:
    case QR_PLATFORM_AZURE_TDX:
    case QR_PLATFORM_GCP_SNP:
    case QR_PLATFORM_GCP_TDX:
        return 1;
    case QR_PLATFORM_SIM:
        break;
    }
    return 0;
}

/*
 * One digest of what runs there, which all parties compute alike: the launch measurements, and of the
 * registers that a running system may extend only those that stand still once it is up.
 */
static void
digest_measurement(enum qr_platform platform, const struct qr_claimset *c, uint8_t out[static 32])
{
    static const char *const path[] = {"pcrs.0",        "pcrs.1",       "pcrs.2",
                                       "measurement",   "body.mr_td",   "body.rtmr0",
                                       "body.rtmr1",    "body.rtmr2",   "body.mrenclave",
                                       "body.mrsigner", "quote.pcrs.4", "quote.pcrs.11"};
    qr_view f[2 + 2 * (sizeof path / sizeof path[0])];
    uint8_t kind = (uint8_t)platform;
    size_t n = 0;

    f[n++] = qr_view_str("measurement");
    f[n++] = qr_view_of(&kind, 1);
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        qr_view v;
        if (qr_claim_get_hex(c, path[i], &v)) {
            f[n++] = qr_view_str(path[i]);
            f[n++] = v;
        }
    }
    qr_th(QR_TAG_MEASUREMENT, f, n, out);
}

static qr_err
verify_hardware(enum qr_platform platform, qr_view wire, const uint8_t binder[static 32],
                const struct qr_verify_opts *o, struct qr_verdict *v, struct qr_verify_out *out,
                struct qr_claims *ret)
{
    struct qr_evidence ev;
    struct qr_verify_opts opts = *o;
    qr_err e = qr_evidence_decode(wire, &ev);

    if (e != QR_OK) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "evidence of %zu bytes: %s",
                       wire.len, qr_err_text(e));
    }
    if ((int)ev.kind != (int)platform) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_NOT_EVIDENCE,
                       "evidence kind: expected %s, found %s", qr_platform_name(platform),
                       qr_evidence_kind_name(ev.kind));
    }
    opts.binder = qr_view_of(binder, 32);
    QR_TRY(qr_verify(&ev, &opts, v, out));
    if (v->check[QR_CHECK_BINDER] != QR_CHECK_PASS) { /* a verifier that forgot it is no verifier */
        return qr_fail(v, QR_CHECK_BINDER, QR_REASON_BINDER, "the binder was not compared");
    }
    *ret = (struct qr_claims){.platform = platform};
    int debug = 0;
    ret->debug = qr_claim_get_bool(&v->claims, "debug", &debug) && debug;
    digest_measurement(platform, &v->claims, ret->measurement);
    return QR_OK;
}

qr_err
qr_tee_verify(enum qr_platform platform, qr_view evidence, const uint8_t binder[static 32],
              const struct qr_verify_opts *o, struct qr_verdict *v, struct qr_verify_out *out,
              struct qr_claims *ret, char *why, size_t why_cap)
{
    qr_verdict_init(v);
    *out = (struct qr_verify_out){.earliest_end_ms = INT64_MAX, .latest_issue_ms = -1};
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
    if (!is_hardware(platform)) {
        if (why) {
            (void)snprintf(why, why_cap, "platform %d is none that a party runs on", (int)platform);
        }
        return QR_ERR_ATTESTATION;
    }
    qr_err e = verify_hardware(platform, evidence, binder, o, v, out, ret);
    if (e != QR_OK && why) {
        (void)snprintf(why, why_cap, "%s (%s)", v->sentence[0] ? v->sentence : qr_err_text(e),
                       qr_reason_word(v->reason));
    }
    return e;
}

#define CLIENT_LABEL "quorate/client-evidence/v1"

void
qr_client_binder(const uint8_t nonce[static 32], const uint8_t identity[static 32],
                 const uint8_t policy_hash[static 32], const uint8_t roster_hash[static 32],
                 const uint8_t boot_nonce[static 32], uint8_t out[static 32])
{
    uint8_t text[sizeof CLIENT_LABEL - 1 + 5 * 32];
    struct qr_buf b = qr_buf_over(text, sizeof text);

    qr_buf_put(&b, CLIENT_LABEL, sizeof CLIENT_LABEL - 1);
    qr_buf_put(&b, nonce, 32);
    qr_buf_put(&b, identity, 32);
    qr_buf_put(&b, policy_hash, 32);
    qr_buf_put(&b, roster_hash, 32);
    qr_buf_put(&b, boot_nonce, 32);
    qr_sha256(qr_buf_view(&b), out);
}

/* The generator. */

struct qr_tee_mix {
    uint8_t key[32];
    size_t left; /* bytes until the platform is asked again */
};

static const uint8_t nonce_stream[crypto_stream_chacha20_NONCEBYTES] = {0};
static const uint8_t nonce_next[crypto_stream_chacha20_NONCEBYTES] = {1};

/*
 * key = HMAC-SHA512(key, system || platform || processor), so that none can undo what the others gave. A
 * processor that has no generator, or a broken one, gives zeros.
 */
static void
reseed(struct qr_tee *t)
{
    uint8_t seeds[96], mac[64];
    randombytes_buf(seeds, 32);
    t->random(t->ctx, seeds + 32, 32);
    qr_err e = qr_cpurand(qr_cpurand_ops(), seeds + 64, 32);
    (void)e;
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

const char *
qr_tee_why(const struct qr_tee *t, qr_err e)
{
    const char *text = t->why ? t->why(t->ctx) : "";
    return text && text[0] ? text : qr_err_text(e);
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
