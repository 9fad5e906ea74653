/*
 * What the peer secret costs a party's processor: making one (draw, pieces, commitments), opening one
 * (pieces checked, key derived, the records of 64 keys unsealed). Wire and disk are not in it.
 */
#include "bench/bench.h"

#include "daemon/sharing.h"
#include "protocol/base/hash.h"
#include "protocol/key.h"

#define KEYS 64u

static struct qr_piece piece[QR_MAX_PARTIES];
static uint8_t blob[KEYS][QR_KEY_RECORD_MAX + QR_SEAL_OVERHEAD], plain[QR_KEY_RECORD_MAX];
static size_t blob_len[KEYS];

static qr_err
derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    (void)ctx;
    (void)epoch;
    (void)label;
    qr_sha256(ad, ret->b);
    return QR_OK;
}

static void
measure(uint16_t n, uint8_t need)
{
    const struct qr_rng rng = qr_rng_system();
    const struct qr_tee tee = {.derive = derive};
    const uint8_t id[32] = {1};
    struct qr_sharing s = {.epoch = 1, .owner = 1, .need = need, .n = (uint16_t)(n - 1)};
    struct qr_shamir_point point[QR_SHAMIR_NEED_MAX], back[QR_SHAMIR_NEED_MAX];
    struct qr_sec32 key;
    struct bench_series make = {0}, open = {0};

    for (uint16_t i = 0; i < s.n; i++) {
        s.holder[i].index = (uint16_t)(i + 2);
    }
    for (int run = 0; run < bench_runs(); run++) {
        double ref = bench_reference_ns(), at = bench_cpu_ns();
        QR_ASSERT(qr_sharing_draw(&s, &rng, id, point) == QR_OK);
        for (size_t i = 0; i < s.n; i++) {
            QR_ASSERT(qr_sharing_piece(&s, point, id, i, &piece[i]) == QR_OK);
        }
        double ns = bench_cpu_ns() - at, after = bench_reference_ns();
        bench_add(&make, ns, ref, after);
        QR_ASSERT(qr_sharing_key(&s, point, &tee, id, &key) == QR_OK);
        for (size_t k = 0; k < KEYS; k++) {
            struct qr_buf b = qr_buf_over(blob[k], sizeof blob[k]);
            QR_ASSERT(qr_sharing_seal(&key, &rng, 1, id, "key", qr_view_of(plain, sizeof plain),
                                      &b) == QR_OK);
            blob_len[k] = b.len;
        }
        ref = bench_reference_ns();
        at = bench_cpu_ns();
        for (size_t i = 0; i < need; i++) {
            QR_ASSERT(qr_sharing_take(&s, id, i, &piece[i], &back[i]) == QR_OK);
        }
        QR_ASSERT(qr_sharing_key(&s, back, &tee, id, &key) == QR_OK);
        for (size_t k = 0; k < KEYS; k++) {
            struct qr_buf b = qr_buf_over(plain, sizeof plain);
            QR_ASSERT(qr_sharing_unseal(&key, 1, id, "key", qr_view_of(blob[k], blob_len[k]), &b) ==
                      QR_OK);
        }
        ns = bench_cpu_ns() - at;
        after = bench_reference_ns();
        bench_add(&open, ns, ref, after);
    }
    bench_emit_series("secret_make", n, need + 1u, &make);
    bench_emit_series("secret_open_64_keys", n, need + 1u, &open);
}

int
main(void)
{
    const struct qr_rng rng = qr_rng_system();

    QR_ASSERT(qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK);
    measure(3, 1);
    measure(5, 2);
    measure(16, 8);
    return 0;
}
