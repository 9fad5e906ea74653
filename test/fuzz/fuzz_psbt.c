/*
 * PSBT files: what is read is written back byte for byte, binary and base64; the inputs that a key is asked
 * for can be digested or are refused in words; no signature gets in that the key did not make.
 */
#include "daemon/psbt.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/fuzz/fuzz.h"

static const uint8_t pk[33] = {
    0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0,
    0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d,
    0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
};
static const uint8_t secret[32] = {[31] = 1}; /* pk is its point */

static void
again(const struct qr_psbt *p, int text, size_t asked)
{
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    struct qr_psbt *q = NULL;
    struct qr_dbuf out, twice;

    qr_dbuf_init(&out, 2 * QR_PSBT_MAX);
    qr_dbuf_init(&twice, 2 * QR_PSBT_MAX);
    FUZZ_MUST(qr_psbt_write(p, text, &out) == QR_OK);
    FUZZ_MUST(qr_psbt_read(qr_view_of(out.p, out.len), &q, NULL, 0) == QR_OK);
    FUZZ_MUST(qr_psbt_was_text(q) == text && qr_psbt_asks(q, pk, ask) == asked);
    FUZZ_MUST(qr_psbt_write(q, text, &twice) == QR_OK);
    FUZZ_MUST(twice.len == out.len && memcmp(twice.p, out.p, out.len) == 0);
    qr_psbt_free(q);
    qr_dbuf_free(&out);
    qr_dbuf_free(&twice);
}

/* Returns how many are left to sign: those whose inputs make no sense. */
static size_t
sign(struct qr_psbt *p)
{
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    size_t n = qr_psbt_asks(p, pk, ask), left = n;
    uint8_t digest[32], rs[64];
    char why[256] = "";
    struct qr_btc t;

    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST(ask[i].input < qr_psbt_n_inputs(p));
        if (qr_btc_parse(qr_psbt_tx(p), ask[i].bip143, ask[i].input, qr_psbt_prevouts(p),
                         qr_psbt_n_inputs(p), &t, digest, why, sizeof why) != QR_OK) {
            FUZZ_MUST(why[0]);
            fuzz_text(why, sizeof why);
            continue;
        }
        FUZZ_MUST(qr_ecdsa_sign(rs, digest, secret) == QR_OK);
        rs[40] ^= 1;
        FUZZ_MUST(qr_psbt_add(p, ask[i].input, pk, rs) != QR_OK);
        rs[40] ^= 1;
        FUZZ_MUST(qr_psbt_add(p, ask[i].input, pk, rs) == QR_OK);
        left--;
    }
    return left;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    struct qr_rng rng = qr_rng_system();
    struct qr_psbt *p = NULL;
    struct qr_dbuf out;
    char why[256] = "";

    FUZZ_MUST(qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK);
    if (qr_psbt_read(qr_view_of(data, size), &p, why, sizeof why) != QR_OK) {
        FUZZ_MUST(!p && why[0] != 0);
        fuzz_text(why, sizeof why);
        return 0;
    }
    if (!qr_psbt_was_text(p)) {
        qr_dbuf_init(&out, QR_PSBT_MAX);
        FUZZ_MUST(qr_psbt_write(p, 0, &out) == QR_OK);
        FUZZ_MUST(out.len == size && memcmp(out.p, data, size) == 0);
        qr_dbuf_free(&out);
    }
    again(p, 0, qr_psbt_asks(p, pk, ask));
    size_t left = sign(p);
    again(p, 1, left);
    qr_psbt_free(p);
    return 0;
}
