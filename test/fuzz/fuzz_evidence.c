/* Evidence of any platform, and sealed blobs: nothing random is accepted. */
#include "enclave-shim/seal.h"
#include "enclave-shim/tee.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    static uint8_t out[1 << 16];
    static const uint8_t binder[32] = {7};
    const struct qr_sec32 key = {{1}};
    static const struct qr_verify_opts opts = {.now_ms = INT64_C(1795000000000)};
    static struct qr_verdict verdict;
    static struct qr_verify_out found;
    struct qr_claims claims;
    char why[QR_SENTENCE_MAX + 32] = "";

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK);
        started = 1;
    }
    unsigned platform = fuzz_choice(&data, &size, 12);
    qr_view v = qr_view_of(data, size);
    /* a good one would need a signature over this very binder */
    FUZZ_MUST(qr_tee_verify((enum qr_platform)platform, v, binder, &opts, &verdict, &found, &claims,
                            why, sizeof why) == QR_ERR_ATTESTATION);
    FUZZ_MUST(why[0] != 0);
    fuzz_text(why, sizeof why);
    struct qr_buf b = qr_buf_over(out, sizeof out);
    FUZZ_MUST(qr_unseal_blob(&key, 0, qr_view_of(binder, 32), v, &b) != QR_OK && b.len == 0);
    return 0;
}
