/*
 * Words of Bitcoin transactions: what the input is worth that is signed, who gets how much, what comes
 * back, the fee. Scripts of the standard forms are shown as addresses of the main network; others as
 * they are.
 */
#include "daemon/words_int.h"

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <stdio.h>

#define ADDRESS_MAX 92u

/* ---- addresses ---- */

/* BIP173's checksum over values of 5 bits; BIP350 differs in the last constant. */
static uint32_t
polymod(uint32_t chk, unsigned value)
{
    static const uint32_t gen[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    uint32_t top = chk >> 25;

    chk = (chk & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++) {
        chk ^= (top >> i & 1) ? gen[i] : 0;
    }
    return chk;
}

static void
segwit_address(unsigned version, qr_view program, char out[static ADDRESS_MAX])
{
    static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    uint8_t v[1 + 64]; /* 40 bytes at most: 64 values of 5 bits */
    size_t n = 0, len = 3;
    unsigned bits = 0, acc = 0;
    uint32_t chk = 1;

    v[n++] = (uint8_t)version;
    for (size_t i = 0; i < program.len; i++) {
        acc = (acc << 8 | program.p[i]) & 0xfff;
        for (bits += 8; bits >= 5;) {
            bits -= 5;
            v[n++] = (uint8_t)(acc >> bits & 31);
        }
    }
    if (bits > 0) {
        v[n++] = (uint8_t)(acc << (5 - bits) & 31);
    }
    /* the prefix "bc", spread out as the checksum wants it */
    static const uint8_t hrp[5] = {3, 3, 0, 2, 3};
    for (size_t i = 0; i < sizeof hrp; i++) {
        chk = polymod(chk, hrp[i]);
    }
    memcpy(out, "bc1", 3);
    for (size_t i = 0; i < n; i++) {
        chk = polymod(chk, v[i]);
        out[len++] = alphabet[v[i]];
    }
    for (size_t i = 0; i < 6; i++) {
        chk = polymod(chk, 0);
    }
    chk ^= version == 0 ? 1 : 0x2bc830a3;
    for (unsigned i = 0; i < 6; i++) {
        out[len++] = alphabet[chk >> (25 - 5 * i) & 31];
    }
    out[len] = 0;
}

static void
base58_address(uint8_t prefix, const uint8_t hash[static 20], char out[static ADDRESS_MAX])
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t b[25], h[32], digit[40] = {0};
    size_t n = 0, len = 0;

    b[0] = prefix;
    memcpy(b + 1, hash, 20);
    qr_sha256(qr_view_of(b, 21), h);
    qr_sha256(qr_view_of(h, 32), h);
    memcpy(b + 21, h, 4);
    for (size_t i = 0; i < sizeof b; i++) {
        unsigned carry = b[i];
        for (size_t k = 0; k < n || carry; k++) {
            carry += (unsigned)digit[k] << 8;
            digit[k] = (uint8_t)(carry % 58);
            carry /= 58;
            n = k >= n ? k + 1 : n;
        }
    }
    for (size_t i = 0; i < sizeof b && b[i] == 0; i++) {
        out[len++] = '1';
    }
    while (n > 0) {
        out[len++] = alphabet[digit[--n]];
    }
    out[len] = 0;
}

/* 1 and the address; 0: this script has none. */
static int
address_of(qr_view s, char out[static ADDRESS_MAX])
{
    static const uint8_t p2pkh[] = {0x76, 0xa9, 0x14}, p2sh[] = {0xa9, 0x14};

    if (s.len == 25 && memcmp(s.p, p2pkh, 3) == 0 && s.p[23] == 0x88 && s.p[24] == 0xac) {
        base58_address(0, s.p + 3, out);
        return 1;
    }
    if (s.len == 23 && memcmp(s.p, p2sh, 2) == 0 && s.p[22] == 0x87) {
        base58_address(5, s.p + 2, out);
        return 1;
    }
    /* a witness program: a version from 0 to 16, and 2 to 40 bytes; version 0 has 20 or 32 */
    if (s.len < 4 || s.len > 42 || s.p[1] != s.len - 2 ||
        (s.p[0] != 0 && (s.p[0] < 0x51 || s.p[0] > 0x60)) ||
        (s.p[0] == 0 && s.len != 22 && s.len != 34)) {
        return 0;
    }
    segwit_address(s.p[0] ? s.p[0] - 0x50u : 0, qr_view_of(s.p + 2, s.len - 2), out);
    return 1;
}

/* ---- lines ---- */

static void
put_script(struct qr_words *w, qr_view script)
{
    char address[ADDRESS_MAX];

    if (address_of(script, address)) {
        qr_words_put(w, address);
    } else if (script.len > 0 && script.p[0] == 0x6a) {
        qr_words_put(w, "nobody (data, OP_RETURN), script of ");
        qr_words_hex(w, script);
    } else {
        qr_words_put(w, "a script of ");
        qr_words_hex(w, script);
    }
}

static void
put_sat(struct qr_words *w, uint64_t sat)
{
    uint8_t be[8];

    qr_put64(be, sat);
    qr_words_decimal(w, be, sizeof be, 8);
    qr_words_printf(w, " BTC (%llu sat)", (unsigned long long)sat);
}

static uint32_t
le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

void
qr_words_btc(struct qr_words *w, const struct qr_btc *t, size_t same)
{
    qr_words_label(w, "spends");
    put_sat(w, t->own_sat);
    qr_words_put(w, " from ");
    put_script(w, t->own_script);
    qr_words_printf(w, ", input %u of %u\n", t->input + 1u, (unsigned)t->n_in);
    if (same) {
        qr_words_line(w, "transaction", "the same as in item %zu", same);
        return;
    }
    for (size_t i = 0; i < t->n_out; i++) {
        uint64_t sat = 0;
        qr_view script;
        qr_btc_output(t, i, &sat, &script);
        int back = qr_view_eq(script, t->own_script);
        qr_words_label(w, back ? "comes back" : "pays");
        put_sat(w, sat);
        qr_words_put(w, " to ");
        put_script(w, script);
        qr_words_put(w, "\n");
    }
    qr_words_label(w, "fee");
    put_sat(w, t->spent_sat - t->out_sat);
    qr_words_put(w, t->fee_bound ? "\n" : ", AS THE CLIENT SAYS: no signature here binds it\n");
    uint32_t lock = le32(t->tx.p + t->tx.len - 4);
    if (lock != 0) {
        qr_words_line(w, "lock time", "%u%s", lock, lock < 500000000u ? " (a block)" : " (a time)");
    }
}
