#include "test/common/walletkit.h"

#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/quorate_verify.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <stdio.h>

static void
write_policy(struct walletkit *k)
{
    char pcr[3][97];
    for (size_t i = 0; i < 3; i++) {
        qr_hex_encode(qr_view_of(k->d.pcr[i], 48), pcr[i]);
    }
    int n = snprintf(
        k->policy, sizeof k->policy,
        "{\"freshness\": {\"max_age_s\": 300, \"reattest_s\": 600, \"clock_spread_s\": 60,\n"
        "  \"stages\": {\"warn_s\": 3600, \"no_peers_s\": 7200, \"no_keys_s\": 14400,"
        " \"stop_s\": 86400}},\n"
        " \"require\": [\"chain\", \"validity\", \"signature\", \"binder\"],\n"
        " \"measurements\": [{\"name\": \"release-1\", \"platform\": \"aws-nitro\",\n"
        "  \"valid_from\": \"2020-01-01T00:00:00Z\", \"valid_until\": \"2090-01-01T00:00:00Z\",\n"
        "  \"expect\": {\"pcrs.0\": \"%s\",\n   \"pcrs.1\": \"%s\",\n   \"pcrs.2\": \"%s\"}}],\n"
        " \"peer_secret\": {\"threshold\": 2}, \"platforms\": {\"aws-nitro\": {}},\n"
        " \"quorum\": {\"max_per_cloud\": 1}}\n",
        pcr[0], pcr[1], pcr[2]);
    QR_ASSERT(n > 0 && (size_t)n < sizeof k->policy);
}

void
walletkit_init(struct walletkit *k, int64_t now_ms)
{
    int64_t shift = now_ms - EVGEN_NOW_MS;
    k->now_ms = now_ms;
    for (size_t i = 0; i < sizeof k->context; i++) {
        k->context[i] = (uint8_t)(i * 11 + 1);
    }
    evnitro_init(&k->d);
    for (size_t i = 0; i < EVNITRO_CERTS; i++) {
        k->d.spec[i].from_ms += shift;
        k->d.spec[i].to_ms += shift;
    }
    k->d.timestamp_ms = (uint64_t)((int64_t)k->d.timestamp_ms + shift);
    write_policy(k);
}

void
walletkit_encode(struct walletkit *k)
{
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    struct qr_buf b = qr_buf_over(k->wire, sizeof k->wire);
    qr_err err = qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, evnitro_doc(&k->d));
    qr_evidence_encode(&e, &b);
    QR_ASSERT(err == QR_OK && b.err == QR_OK);
    k->wire_len = b.len;
}

void
walletkit_build(struct walletkit *k)
{
    const uint8_t *c = k->context;
    enum quorate_status s = quorate_client_binder(c, c + 32, c + 64, c + 96, c + 128, k->binder);
    QR_ASSERT(s == QUORATE_OK);
    k->d.nonce = qr_view_of(k->binder, sizeof k->binder);
    evnitro_build(&k->d);
    evgen_sha256(evgen_view(&k->d.cert[EVNITRO_ROOT]), k->root);
    walletkit_encode(k);
}
