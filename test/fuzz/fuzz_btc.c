/*
 * Unsigned Bitcoin transactions and what they spend. Input: how, the signed input, three scripts with a
 * length each (script, redeem, witness), then the transaction. `how` may have the scripts hashed into
 * each other, so that what must fit does.
 */
#include "daemon/btc_wire.h"
#include "daemon/preimage_btc.h"
#include "daemon/ripemd160.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/kit.h"

/* P2WSH of the witness script, P2SH of the redeem script, as `how` has it. */
static void
fit(struct qr_btc_prevout *p, uint8_t how, uint8_t room[static 64])
{
    if (how & 2) {
        room[0] = 0;
        room[1] = 32;
        qr_sha256(p->witness, room + 2);
        *(how & 4 ? &p->redeem : &p->script) = qr_view_of(room, 34);
    }
    if (how & 4) {
        room[40] = 0xa9;
        room[41] = 20;
        qr_hash160(p->redeem, room + 42);
        room[62] = 0x87;
        p->script = qr_view_of(room + 40, 23);
    }
}

static void
check(const struct qr_btc *t, qr_view tx)
{
    uint64_t sum = 0, sat = 0;
    qr_view script;

    FUZZ_MUST(t->n_in >= 1 && t->n_in <= QR_BTC_INPUTS_MAX && t->input < t->n_in && t->n_out >= 1);
    for (size_t i = 0; i < t->n_out; i++) {
        qr_btc_output(t, i, &sat, &script);
        FUZZ_MUST(script.p >= tx.p && script.p + script.len <= tx.p + tx.len - 4);
        sum += sat;
    }
    FUZZ_MUST(script.p + script.len == tx.p + tx.len - 4); /* the last ends before the lock time */
    FUZZ_MUST(sum == t->out_sat && sum <= t->spent_sat && t->spent_sat <= QR_SAT_MAX);
    for (size_t i = 0; i < t->n_in; i++) {
        qr_view p = qr_btc_outpoint(t, i);
        FUZZ_MUST(p.p >= tx.p && p.p + p.len <= tx.p + tx.len);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_btc_prevout prev[QR_BTC_INPUTS_MAX];
    struct fuzz_in in = {data, size};
    struct qr_btc t, outline;
    uint8_t digest[32], other[32], room[64];
    char why[256] = "";

    FUZZ_MUST(qr_hash_init() == QR_OK);
    uint8_t how = fuzz_u8(&in), input = fuzz_u8(&in);
    prev[0] = (struct qr_btc_prevout){.sat = UINT64_C(5000000000)};
    prev[0].script = fuzz_bytes(&in);
    prev[0].redeem = fuzz_bytes(&in);
    prev[0].witness = fuzz_bytes(&in);
    fit(&prev[0], how, room);
    qr_view tx = qr_view_of(in.p, in.len);
    qr_err e = qr_btc_outline(tx, &outline, why, sizeof why);
    size_t n = e == QR_OK ? outline.n_in : 1;
    for (size_t i = 1; i < n; i++) {
        prev[i] = prev[0];
    }
    if (qr_btc_parse(tx, how & 1, input, prev, n, &t, digest, why, sizeof why) == QR_OK) {
        FUZZ_MUST(e == QR_OK && t.out_sat == outline.out_sat);
        check(&t, tx);
        prev[input].sat++; /* the own amount is signed by BIP143 alone */
        FUZZ_MUST(qr_btc_parse(tx, how & 1, input, prev, n, &t, other, NULL, 0) == QR_OK);
        FUZZ_MUST((memcmp(digest, other, 32) != 0) == (how & 1));
    } else {
        FUZZ_MUST(why[0] != 0);
    }
    fuzz_text(why, sizeof why);
    return 0;
}
